"""`K.function`, `K.gradients` and losses of K operations on models, against what the layers compute at once."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras import Model, Sequential, losses, metrics, ops, optimizers
from minikeras import backend as K
from minikeras.core.tape import gradients
from minikeras.core.tensor import Tensor
from minikeras.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    Lambda,
    Layer,
    Reshape,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 6, 6, 2)).astype("float32")
Y = np.eye(3, dtype="float32")[[0, 1, 2, 1, 0]]


def small_cnn():
    model = Sequential(
        [
            Conv2D(4, 3, activation="tanh", input_shape=(6, 6, 2), name="conv"),
            BatchNormalization(name="norm"),
            Flatten(name="flat"),
            Dense(3, activation="softmax", name="scores"),
        ]
    )
    model.get_layer("norm").set_weights([RNG.uniform(0.5, 1.5, 4) for _ in range(4)])
    return model


def at_once(model, x=X):
    """The outputs of the layers, one after the other, on the tape."""
    outputs = [Tensor(x, requires_grad=True)]
    for layer in model.layers:
        outputs.append(layer(outputs[-1]))
    return outputs


# ---------------------------------------------------------------------- function


def test_one_function_gives_the_outputs_of_all_layers():
    model = small_cnn()
    found = K.function([model.input], [layer.output for layer in model.layers])([X])
    for array, expected in zip(found, at_once(model)[1:], strict=True):
        np.testing.assert_allclose(array, expected.numpy(), rtol=1e-6, atol=1e-6)


def test_the_learning_phase_says_whether_dropout_drops_and_which_statistics_count():
    model = Sequential([BatchNormalization(input_shape=(4,)), Dropout(0.25)])
    x = RNG.normal(2.0, 3.0, (400, 4)).astype("float32")
    run = K.function([model.input, K.learning_phase()], [model.layers[0].output, model.output])
    normalized, kept = run([x, 0])
    np.testing.assert_allclose(normalized, x / np.sqrt(1.001), rtol=1e-5)
    np.testing.assert_array_equal(kept, normalized)
    before = model.get_weights()
    normalized, kept = run([x, 1])
    np.testing.assert_allclose(normalized, (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-3), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(kept[kept != 0], (normalized / 0.75)[kept != 0], rtol=1e-5)
    assert np.mean(kept == 0) == pytest.approx(0.25, abs=0.05)
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)  # a function has no updates but those it is given
    model.compile("sgd", "mse")
    model.train_on_batch(x, x)
    np.testing.assert_allclose(model.get_weights()[2], 0.01 * x.mean(axis=0), rtol=1e-5)


def test_a_layer_s_own_updates_are_those_of_training_alone():
    class Count(Layer):
        def build(self, input_shape):
            self.seen = self.add_weight("seen", (), initializer="zeros", trainable=False)
            super().build(input_shape)

        def call(self, inputs):
            self.add_update(K.update_add(self.seen, 1.0), inputs)
            return inputs * 1.0

    model = Sequential([Count(input_shape=(1,)), Dense(1)])
    model.compile("sgd", "mse")
    K.function([model.input, K.learning_phase()], [model.output])([np.ones((2, 1)), 1])
    model.predict(np.ones((2, 1)))
    assert model.get_weights()[0] == 0.0
    model.train_on_batch(np.ones((2, 1)), np.ones((2, 1)))
    assert model.get_weights()[0] == 1.0


def test_updates_written_by_hand_are_a_step_of_gradient_descent():
    by_hand, compiled = small_cnn(), small_cnn()
    for model in (by_hand, compiled):
        model.get_layer("norm").trainable = False
    by_hand.set_weights(compiled.get_weights())
    target = K.placeholder((None, 3))
    loss = K.mean(K.categorical_crossentropy(target, by_hand.output))
    weights = by_hand.trainable_weights
    slopes = K.gradients(loss, weights)
    updates = [K.update_sub(weight, 0.1 * slope) for weight, slope in zip(weights, slopes, strict=True)]
    step = K.function([by_hand.input, target, K.learning_phase()], [loss], updates=updates)
    compiled.compile(optimizers.SGD(lr=0.1), "categorical_crossentropy")
    for _ in range(3):
        (found,) = step([X, Y, 1])
        assert found == pytest.approx(compiled.train_on_batch(X, Y), rel=1e-5)
    for one, other in zip(by_hand.get_weights(), compiled.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------------- gradients


def test_gradients_of_a_score_with_respect_to_inputs_feature_maps_and_weights():
    model = small_cnn()
    conv = model.get_layer("conv")
    wanted = [model.input, conv.output, *conv.weights]
    slopes = K.gradients(K.sum(model.output[:, 1]), wanted)
    found = K.function([model.input], slopes)([X])
    outputs = at_once(model)
    expected = gradients(ops.sum(outputs[-1][:, 1]), [outputs[0], outputs[1], *conv.weights])
    for array, tensor in zip(found, expected, strict=True):
        np.testing.assert_allclose(array, tensor.numpy(), rtol=1e-4, atol=1e-6)


def test_gradients_of_gradients_are_a_penalty_on_slopes():
    inputs = Input((3,))
    model = Model(inputs, Dense(1, activation="tanh")(Dense(4, activation="softplus")(inputs)))
    x = RNG.normal(size=(5, 3)).astype("float32")
    (slope,) = K.gradients(model.output, [model.input])
    penalty = K.mean(K.square(K.sqrt(K.sum(K.square(slope), axis=-1)) - 1.0))  # Gulrajani et al. 2017
    kernel = model.layers[1].kernel
    found, of_kernel = K.function([model.input], [penalty, *K.gradients(penalty, [kernel])])([x])

    def by_hand():
        t = Tensor(x, requires_grad=True)
        (g,) = gradients(ops.sum(model(t)), [t], create_graph=True)
        return ops.mean(ops.square(ops.sqrt(ops.sum(ops.square(g), axis=-1)) - 1.0))

    value = by_hand()
    assert found == pytest.approx(value.item(), rel=1e-5)
    np.testing.assert_allclose(of_kernel, gradients(value, [kernel])[0].numpy(), rtol=1e-4, atol=1e-6)


def test_grad_cam_in_keras_s_words():
    inputs = Input((6, 6, 2))
    maps = Conv2D(4, 3, activation="relu", name="maps")(inputs)
    model = Model(inputs, Dense(3, activation="softmax")(GlobalAveragePooling2D()(maps)))
    conv = model.get_layer("maps")
    slopes = K.gradients(model.output[:, 2], conv.output)[0]
    iterate = K.function([model.input], [K.mean(slopes, axis=(0, 1, 2)), conv.output[0]])
    pooled, feature_maps = iterate([X[:1]])
    assert (pooled.shape, feature_maps.shape) == ((4,), (4, 4, 4))
    # the score is a softmax of W^T mean(maps) + b: its slope is the same at each of the 16 places
    kernel = model.get_weights()[2]
    p = model.predict(X[:1])[0]
    np.testing.assert_allclose(pooled, p[2] * (kernel[:, 2] - kernel @ p) / 16, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(feature_maps, conv(X[:1]).numpy()[0], rtol=1e-6)


# ---------------------------------------------------------------------- losses of K operations


def autoencoder(noise=0.0):
    """A small deconvolutional variational autoencoder, as Keras's example writes it, and its inner tensors."""
    inputs = Input((4, 4, 1))
    hidden = Dense(8, activation="tanh")(Flatten()(Conv2D(2, 3, strides=2, padding="same")(inputs)))
    mean, log_variance = Dense(2)(hidden), Dense(2)(hidden)

    def sampling(arguments):
        z_mean, z_log_var = arguments
        shape = (K.shape(z_mean)[0], K.int_shape(z_mean)[1])
        return z_mean + K.exp(0.5 * z_log_var) * K.random_normal(shape=shape, stddev=noise)

    z = Lambda(sampling, output_shape=(2,))([mean, log_variance])
    maps = Reshape((2, 2, 2))(Dense(8, activation="relu")(z))
    outputs = Activation("sigmoid")(Conv2DTranspose(1, 3, strides=2, padding="same")(maps))
    return Model(inputs, outputs), mean, log_variance


def evidence_bound(x, decoded, mean, log_variance):
    """The loss in NumPy, from arrays."""
    p = np.clip(decoded, 1e-7, 1 - 1e-7)
    nats = -(x * np.log(p) + (1 - x) * np.log(1 - p)).reshape(len(x), -1).sum(axis=1)
    return (nats - 0.5 * (1 + log_variance - mean**2 - np.exp(log_variance)).sum(axis=1)).mean()


def symbolic_bound(inputs, outputs, mean, log_variance):
    reconstruction = 16 * losses.binary_crossentropy(K.flatten(inputs), K.flatten(outputs))
    divergence = -0.5 * K.sum(1 + log_variance - K.square(mean) - K.exp(log_variance), axis=-1)
    return K.mean(reconstruction + divergence)


IMAGES = (RNG.random((6, 4, 4, 1)) < 0.4).astype("float32")


def by_numpy(vae, mean, log_variance):
    arrays = [Model(vae.input, tensor).predict(IMAGES) for tensor in (vae.output, mean, log_variance)]
    return evidence_bound(IMAGES, *arrays)


def with_added_loss(vae, mean, log_variance):
    vae.add_loss(symbolic_bound(vae.input, vae.output, mean, log_variance))
    vae.compile("rmsprop")
    return {}


def with_closure(vae, mean, log_variance):
    def vae_loss(x, decoded):
        return symbolic_bound(x, decoded, mean, log_variance)

    vae.compile("rmsprop", loss=vae_loss)
    return {"y": IMAGES}


def test_a_loss_layer_of_one_s_own_is_the_whole_loss():
    class VariationalLoss(Layer):
        def call(self, inputs):
            x, decoded, mean, log_variance = inputs
            self.add_loss(symbolic_bound(x, decoded, mean, log_variance), inputs=inputs)
            return decoded

    vae, mean, log_variance = autoencoder()
    outputs = VariationalLoss()([vae.input, vae.output, mean, log_variance])
    whole = Model(vae.input, outputs)
    whole.compile("rmsprop", loss=None)
    expected = by_numpy(vae, mean, log_variance)
    assert whole.evaluate(IMAGES, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert whole.train_on_batch(IMAGES, None) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("idiom", [with_added_loss, with_closure])
def test_the_loss_of_a_variational_autoencoder(idiom):
    vae, mean, log_variance = autoencoder()
    target = idiom(vae, mean, log_variance)
    expected = by_numpy(vae, mean, log_variance)
    assert vae.evaluate(IMAGES, **target, verbose=0) == pytest.approx(expected, rel=1e-5)
    history = vae.fit(IMAGES, **target, epochs=60, batch_size=6, verbose=0).history["loss"]
    assert history[0] == pytest.approx(expected, rel=1e-5)
    assert history[-1] < 0.97 * history[0]
    assert vae.evaluate(IMAGES, **target, verbose=0) == pytest.approx(by_numpy(vae, mean, log_variance), rel=1e-5)


def test_the_first_step_follows_the_numerical_gradient():
    vae, mean, log_variance = autoencoder()
    vae.add_loss(symbolic_bound(vae.input, vae.output, mean, log_variance))
    vae.compile(optimizers.SGD(lr=1e-3))
    before = vae.get_weights()
    vae.train_on_batch(IMAGES, None)
    slopes = [(was - now) / 1e-3 for was, now in zip(before, vae.get_weights(), strict=True)]
    direction = [RNG.normal(size=array.shape) for array in before]
    values = []
    for sign in (1, -1):
        vae.set_weights([a + sign * 1e-2 * v for a, v in zip(before, direction, strict=True)])
        values.append(by_numpy(vae, mean, log_variance))
    along = sum((slope * v).sum() for slope, v in zip(slopes, direction, strict=True))
    assert along == pytest.approx((values[0] - values[1]) / 2e-2, rel=5e-2)


def test_noise_in_a_lambda_is_drawn_anew_in_each_batch():
    vae, mean, log_variance = autoencoder(noise=1.0)
    z = vae.layers[[isinstance(layer, Lambda) for layer in vae.layers].index(True)].output
    draw = K.function([vae.input], [z, mean, log_variance])
    draws = [draw([IMAGES]) for _ in range(300)]
    m, v = draws[0][1], draws[0][2]
    noise = np.stack([(sample - m) / np.exp(0.5 * v) for sample, *_ in draws])
    assert noise.mean() == pytest.approx(0.0, abs=0.05)
    assert noise.std() == pytest.approx(1.0, abs=0.05)
    assert metrics.binary_crossentropy is losses.binary_crossentropy


def test_a_model_s_losses_and_its_total_loss_are_tensors_for_functions():
    x = Input((3,))
    model = Model(x, Dense(2, kernel_regularizer="l2", activity_regularizer="l1")(x))
    model.add_loss(0.5 * K.mean(K.square(model.output)))
    data = RNG.normal(size=(4, 3)).astype("float32")
    y = model.predict(data)
    found = K.function([x], model.losses)([data])
    expected = [0.01 * (model.get_weights()[0] ** 2).sum(), 0.5 * (y**2).mean(), 0.01 * np.abs(y).sum()]
    assert sorted(map(float, found)) == pytest.approx(sorted(expected), rel=1e-5)
    model.compile("sgd", "mse")
    total = model.test_on_batch(data, np.zeros((4, 2)))
    assert total == pytest.approx(sum(expected) + (y**2).mean(), rel=1e-5)


def test_layers_are_used_with_functions_one_by_one():
    model = small_cnn()
    tail = K.function([model.get_layer("flat").output], [model.output])
    flat = at_once(model)[3].numpy()
    np.testing.assert_allclose(tail([flat])[0], model.predict(X), rtol=1e-5)
