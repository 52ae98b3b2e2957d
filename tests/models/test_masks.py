"""Masks through whole models, against what Keras 2.2.4 computes, written down in NumPy.

There, a score is multiplied by its mask and divided by the mask's mean; then the axes that the sample weights don't
have are averaged, the weights multiply and the result is divided by the share of weights that aren't zero.
"""

from __future__ import annotations

import numpy as np
import pytest

from minikeras import Model, Sequential, layers, ops
from minikeras import backend as K
from minikeras.layers import (
    Activation,
    Add,
    BatchNormalization,
    Concatenate,
    Conv1D,
    Dense,
    Dot,
    Dropout,
    Embedding,
    GlobalAveragePooling1D,
    Input,
    Lambda,
    Layer,
    Masking,
    Maximum,
    TimeDistributed,
)

WORDS = np.array([[1, 2, 0, 3], [4, 0, 0, 0], [2, 2, 1, 0]])
MASK = np.array([[1, 1, 0, 1], [1, 0, 0, 0], [1, 1, 1, 0]], bool)
RNG = np.random.default_rng(0)
TARGETS = RNG.normal(size=(3, 4, 2))


def kerass(scores, mask, weights=None):
    """What Keras 2.2.4's weighted_masked_objective gives for scores (N, steps) and a mask of this shape."""
    scores = scores * mask / np.mean(mask)
    if weights is not None:
        scores = scores.mean(axis=tuple(range(weights.ndim, scores.ndim)))
        scores = scores * weights / np.mean(weights != 0)
    return scores.mean()


def masked_model(*further, **compile_arguments):
    """Words, their vectors, and what further layers make of them; by default trained to match TARGETS."""
    model = Sequential([Embedding(5, 2, mask_zero=True, input_length=4, embeddings_initializer="normal"), *further])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **compile_arguments})
    return model


def squares(model):
    return ((model.predict(WORDS) - TARGETS) ** 2).mean(axis=-1)


PASSING = {
    "dense": lambda: [Dense(2, activation="tanh")],
    "activation": lambda: [Activation("tanh")],
    "dropout": lambda: [Dropout(0.5)],
    "batch normalization": lambda: [BatchNormalization()],
    "time distributed": lambda: [TimeDistributed(Dense(2))],
    "spatial dropout": lambda: [layers.SpatialDropout1D(0.5)],
    "noise": lambda: [layers.GaussianNoise(0.5), layers.GaussianDropout(0.5), layers.AlphaDropout(0.5)],
    "activations": lambda: [layers.LeakyReLU(), layers.PReLU(), layers.ELU(), layers.ReLU(), layers.Softmax()],
    "penalty": lambda: [layers.ActivityRegularization()],
    "threshold": lambda: [layers.ThresholdedReLU(0.01)],
    "several": lambda: [Dense(3, activation="relu"), Dropout(0.2), BatchNormalization(), Dense(2)],
    "a model": lambda: [Sequential([Dense(2, input_shape=(4, 2)), Activation("elu")])],
}


@pytest.mark.parametrize("name", PASSING)
def test_a_mask_reaches_the_loss_and_the_metrics_through(name):
    model = masked_model(*PASSING[name](), metrics=["mae"], weighted_metrics=["mse"])
    loss, mae, mse = model.test_on_batch(WORDS, TARGETS)
    errors = np.abs(model.predict(WORDS) - TARGETS).mean(axis=-1)
    assert loss == pytest.approx(kerass(squares(model), MASK), rel=1e-5)
    assert mse == pytest.approx(loss, rel=1e-6)
    assert mae == pytest.approx(kerass(errors, MASK), rel=1e-5)


REFUSING = {
    "Conv1D": lambda: Conv1D(2, 1),
    "Flatten": layers.Flatten,
    "Reshape": lambda: layers.Reshape((8,)),
    "Permute": lambda: layers.Permute((2, 1)),
    "MaxPooling1D": lambda: layers.MaxPooling1D(2),
    "GlobalMaxPooling1D": layers.GlobalMaxPooling1D,
    "UpSampling1D": lambda: layers.UpSampling1D(2),
    "ZeroPadding1D": lambda: layers.ZeroPadding1D(1),
    "Cropping1D": lambda: layers.Cropping1D(1),
    "LocallyConnected1D": lambda: layers.LocallyConnected1D(2, 1),
    "SeparableConv1D": lambda: layers.SeparableConv1D(2, 1),
}


@pytest.mark.parametrize("name", REFUSING)
def test_a_layer_that_would_mix_masked_steps_with_others_refuses(name):
    with pytest.raises(TypeError, match=f"{name} '.*' does not support masking, but its input carries a mask"):
        masked_model(REFUSING[name]())


def test_weights_of_samples_and_of_steps_come_after_the_mask():
    by_sample, by_step = np.array([2.0, 0.0, 0.5]), RNG.uniform(0.0, 2.0, (3, 4)).round()
    model = masked_model(Dense(2), metrics=["mse"], weighted_metrics=["mse"])
    loss, plain, weighted = model.test_on_batch(WORDS, TARGETS, sample_weight=by_sample)
    assert loss == pytest.approx(kerass(squares(model), MASK, by_sample), rel=1e-5)
    assert (plain, weighted) == pytest.approx((kerass(squares(model), MASK), loss), rel=1e-5)
    model.compile("sgd", "mse", sample_weight_mode="temporal")
    expected = kerass(squares(model), MASK, by_step)
    assert model.test_on_batch(WORDS, TARGETS, sample_weight=by_step) == pytest.approx(expected, rel=1e-5)
    assert model.evaluate(WORDS, TARGETS, sample_weight=by_step, verbose=0) == pytest.approx(expected, rel=1e-5)
    # over batches, the mean by their sizes
    parts = [kerass(squares(model)[rows], MASK[rows], by_step[rows]) for rows in (slice(0, 2), slice(2, 3))]
    found = model.evaluate(WORDS, TARGETS, batch_size=2, sample_weight=by_step, verbose=0)
    assert found == pytest.approx((2 * parts[0] + parts[1]) / 3, rel=1e-5)
    assert model.train_on_batch(WORDS, TARGETS, sample_weight=by_step) == pytest.approx(expected, rel=1e-5)


def test_a_mask_takes_the_gradient_of_its_steps_away():
    model = masked_model()
    before = model.get_weights()[0]
    model.train_on_batch(WORDS, TARGETS)
    gradient = np.zeros((5, 2))
    for place in zip(*np.nonzero(MASK), strict=True):
        # mean over 12 steps and 2 channels, divided by the mask's mean
        gradient[WORDS[place]] += 2 * (before[WORDS[place]] - TARGETS[place]) / 24 / MASK.mean()
    np.testing.assert_allclose(model.get_weights()[0], before - 0.01 * gradient, rtol=1e-5)
    np.testing.assert_array_equal(model.get_weights()[0][0], before[0])  # the vector of the masked word


def test_class_numbers_of_steps_are_scored_where_the_mask_says():
    model = masked_model(Dense(3, activation="softmax"), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    labels = np.array([[0, 1, 2, 2], [1, 0, 0, 0], [2, 1, 0, 0]])
    p = model.predict(WORDS)
    scores = -np.log(np.take_along_axis(p, labels[..., None], axis=-1))[..., 0]
    right = p.argmax(axis=-1) == labels
    loss, accuracy = model.test_on_batch(WORDS, labels[..., None])
    assert loss == pytest.approx(kerass(scores, MASK), rel=1e-5)
    assert accuracy == pytest.approx(right[MASK].mean(), rel=1e-5)


def test_a_mask_that_leaves_nothing_of_a_batch_gives_no_loss_and_no_nan():
    model = masked_model(Dense(2))
    before = model.get_weights()
    assert model.train_on_batch(np.zeros((2, 4)), TARGETS[:2]) == 0.0
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


OTHER = np.array([[1, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1]])
MERGES = {
    "add": (Add, MASK & (OTHER != 0)),
    "maximum": (Maximum, MASK & (OTHER != 0)),
    "concatenate channels": (Concatenate, MASK & (OTHER != 0)),
    "concatenate steps": (lambda: Concatenate(axis=1), np.concatenate([MASK, OTHER != 0], axis=1)),
}


@pytest.mark.parametrize("name", MERGES)
def test_masks_meet_in_a_merge(name):
    make, expected = MERGES[name]
    a, b = Input((4,)), Input((4,))
    embed = Embedding(5, 2, mask_zero=True)
    merged = make()([embed(a), embed(b)])
    model = Model([a, b], merged)
    model.compile("sgd", "mse")
    outputs = model.predict([WORDS, OTHER])
    targets = RNG.normal(size=outputs.shape)
    scores = ((outputs - targets) ** 2).mean(axis=-1)
    assert model([WORDS, OTHER]).mask.tolist() == expected.tolist()
    assert model.test_on_batch([WORDS, OTHER], targets) == pytest.approx(kerass(scores, expected), rel=1e-5)


def test_one_mask_is_enough_and_a_product_of_all_steps_has_none():
    a, b = Input((4,)), Input((4, 2))
    embedded = Embedding(5, 2, mask_zero=True)(a)
    model = Model([a, b], Add()([embedded, b]))
    assert model([WORDS, TARGETS.astype("float32")]).mask.tolist() == MASK.tolist()
    assert Dot(axes=1)([embedded, embedded]).mask is None


def test_a_lambda_reads_masks_and_makes_them():
    last = Lambda(lambda x, mask: K.sum(x * K.expand_dims(K.cast(mask, "float32")), axis=1))
    model = masked_model(last)
    vectors = model.layers[0](WORDS).numpy()
    targets = TARGETS[:, 0]
    summed = (vectors * MASK[..., None]).sum(axis=1)
    np.testing.assert_allclose(model.predict(WORDS), summed, rtol=1e-5)
    assert model.test_on_batch(WORDS, targets) == pytest.approx(((summed - targets) ** 2).mean(), rel=1e-5)
    only_first = Lambda(lambda x: 2.0 * x, mask=lambda x, mask: mask & (K.arange(4) < 1))
    model = masked_model(only_first)
    first = np.array([[1, 0, 0, 0]] * 3)
    assert model.test_on_batch(WORDS, TARGETS) == pytest.approx(kerass(squares(model), first), rel=1e-5)


def test_a_layer_of_one_s_own_reads_shifts_and_ends_masks():
    class Backwards(Layer):
        def __init__(self, **keywords):
            super().__init__(**keywords)
            self.supports_masking = True

        def call(self, inputs, mask=None):
            return ops.flip(inputs * ops.cast(mask, dtype="float32")[..., None], axis=1)

        def compute_mask(self, inputs, mask=None):
            return ops.flip(mask, axis=1)

    model = masked_model(Backwards())
    expected = (model.layers[0](WORDS).numpy() * MASK[..., None])[:, ::-1]
    np.testing.assert_array_equal(model.predict(WORDS), expected)
    assert model.test_on_batch(WORDS, TARGETS) == pytest.approx(kerass(squares(model), MASK[:, ::-1]), rel=1e-5)
    ended = masked_model(GlobalAveragePooling1D(), Dense(2, use_bias=False, kernel_initializer="ones"))
    vectors = ended.layers[0](WORDS).numpy()
    means = np.stack([row[kept].mean(axis=0) for row, kept in zip(vectors, MASK, strict=True)])
    np.testing.assert_allclose(ended.predict(WORDS), means.sum(axis=1, keepdims=True) * np.ones(2), rtol=1e-5)
    assert ended(WORDS).mask is None


def test_masking_leaves_out_steps_of_real_numbers_in_fit_and_its_validation():
    x = RNG.normal(size=(6, 4, 2))
    x[0, 2:] = x[3, 1] = x[5] = -1.0
    mask = np.any(x != -1.0, axis=-1)
    model = Sequential([Masking(-1.0, input_shape=(4, 2)), TimeDistributed(Dense(1)), Activation("tanh")])
    model.compile("sgd", "mae", sample_weight_mode="temporal")
    y, weights = RNG.normal(size=(6, 4, 1)), RNG.integers(0, 3, (6, 4)).astype(float)
    errors = np.abs(model.predict(x) - y)[..., 0]
    logs = model.fit(x[:4], y[:4], epochs=1, verbose=0, sample_weight=weights[:4], shuffle=False).history
    assert logs["loss"] == [pytest.approx(kerass(errors[:4], mask[:4], weights[:4]), rel=1e-5)]
    logs = model.fit(
        x[:4], y[:4], verbose=0, sample_weight=weights[:4], validation_data=(x[4:], y[4:], weights[4:])
    ).history
    errors = np.abs(model.predict(x) - y)[..., 0]
    assert logs["val_loss"] == [pytest.approx(kerass(errors[4:], mask[4:], weights[4:]), rel=1e-5)]


def test_each_output_has_its_own_mask_and_a_shared_layer_each_call_s():
    a, b = Input((4,)), Input((4, 2))
    shared = Dense(2, activation="tanh")
    embedded = Embedding(5, 2, mask_zero=True)(a)
    model = Model([a, b], [shared(embedded), shared(b), GlobalAveragePooling1D()(embedded)])
    model.compile("sgd", "mse", loss_weights=[1.0, 2.0, 3.0])
    x = [WORDS, TARGETS]
    y = [TARGETS, -TARGETS, TARGETS[:, 0]]
    outputs = model.predict(x)
    means = [((output - target) ** 2).mean(axis=-1) for output, target in zip(outputs, y, strict=True)]
    parts = [kerass(means[0], MASK), means[1].mean(), means[2].mean()]
    total = parts[0] + 2 * parts[1] + 3 * parts[2]
    assert model.test_on_batch(x, y) == pytest.approx([total, *parts], rel=1e-5)


def made_by(mask):
    return lambda: masked_model(Lambda(lambda x: x, mask=mask)).test_on_batch(WORDS, TARGETS)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (made_by(3), TypeError, r"Lambda '.*': compute_mask must return a Tensor of booleans or None. Received: 3"),
        (made_by(lambda x, mask: "all"), TypeError, r"compute_mask must return a Tensor .*Received: 'all'"),
        (made_by(lambda x, mask: mask[:, :2]), ValueError, r"mask must have the first axes .*\(3, 4\). .*\(3, 2\)"),
    ],
)
def test_a_mask_that_is_none_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_layer_may_be_given_a_symbolic_mask():
    class Sum(Layer):
        def call(self, inputs, mask=None):
            return ops.sum(inputs * ops.cast(mask, dtype="float32")[..., None], axis=1)

        def compute_mask(self, inputs, mask=None):
            return None

    x, kept = Input((4, 2)), Input((4,), dtype="bool")
    model = Model([x, kept], [Sum()(x, mask=kept), GlobalAveragePooling1D()(x, mask=kept)])
    summed, means = model.predict([TARGETS, MASK])
    expected = (TARGETS * MASK[..., None]).sum(axis=1)
    np.testing.assert_allclose(summed, expected, rtol=1e-5)
    np.testing.assert_allclose(means, expected / MASK.sum(axis=1, keepdims=True), rtol=1e-5)
