"""Writes ``keras3/written`` and ``tf_keras/trained``: files of Keras 3.15.1 and tf_keras 2.21, with what they give.

Also ``keras3/activations.npz``: values of the activations that came with Keras 3 and their gradients, in float64.

Run with a Python that has keras, tf_keras and tensorflow: ``python tests/reference/generate_keras3.py``. Beside each
file stands an archive with inputs ``x0 ...``, targets ``y0 ...``, predictions ``after0 ...`` and, where the model is
compiled, ``resumed``: the losses of three steps of training after saving, on all samples.
"""

import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tf_keras

warnings.simplefilter("ignore")
HERE = Path(__file__).parent
L = keras.layers


def graph():
    """Two inputs and outputs, a shared layer, models inside of which one is called twice and gives an output."""
    image, vector = L.Input((6, 6, 2), name="image"), L.Input((3,), name="vector")
    start = L.Input((6, 6, 2))
    x = L.Conv2D(3, 3, padding="same", activation="relu", kernel_regularizer="l2")(start)
    block = keras.Model(start, L.BatchNormalization()(x), name="block")
    shared = L.Dense(4, name="shared", activation="hard_sigmoid", kernel_constraint=keras.constraints.MaxNorm(1.0))
    head = keras.Sequential(
        [L.Input((8,)), L.Dense(5, activation="tanh"), L.Dense(2, activation="softmax")], name="head"
    )
    pooled = L.GlobalAveragePooling2D()
    summed = L.Add()([block(image), block(L.ZeroPadding2D(1)(L.Cropping2D(1)(image)))])
    joined = L.Concatenate()([shared(pooled(summed)), shared(vector)])
    model = keras.Model([image, vector], [head(joined), L.Dense(1, name="value")(joined)], name="graph")
    rate = keras.optimizers.schedules.InverseTimeDecay(0.05, 2, 0.5)
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9, global_clipnorm=0.5),
        loss=[keras.losses.CategoricalCrossentropy(), "mse"],
        loss_weights=[1.0, 0.5],
        metrics=[["accuracy"], [keras.metrics.MeanAbsoluteError()]],
    )
    rng = np.random.default_rng(0)
    labels = np.eye(2)[rng.integers(0, 2, 8)]
    return model, [rng.normal(size=(8, 6, 6, 2)), rng.normal(size=(8, 3))], [labels, rng.normal(size=(8, 1))]


def chain():
    """Layers that the other files lack, most of them with arguments of their own."""
    layers = [
        L.Input((4, 9, 9, 2)),
        L.TimeDistributed(L.Conv2D(3, 3, activation="elu", groups=1, dilation_rate=2)),
        L.Conv3D(4, 2, kernel_initializer="he_normal"),
        L.LeakyReLU(0.2),
        L.AveragePooling3D((1, 2, 2)),
        L.Reshape((3, 2, 8)),
        L.UpSampling2D(2, interpolation="bilinear"),
        L.SpatialDropout2D(0.2),
        L.Conv2DTranspose(4, 3, strides=2, padding="same", activation="softplus"),
        L.SeparableConv2D(
            4, 3, depth_multiplier=2, padding="same", pointwise_regularizer=keras.regularizers.L1L2(0.1, 0.2)
        ),
        L.DepthwiseConv2D(3, activation="selu", depthwise_constraint="unit_norm"),
        L.GaussianNoise(0.1, seed=1),
        L.Softmax(),
        L.ReLU(max_value=0.9, negative_slope=0.1, threshold=0.01),
        L.Reshape((-1, 4)),
        L.Cropping1D(2),
        L.ZeroPadding1D((1, 2)),
        L.UpSampling1D(2),
        L.Conv1D(4, 2, padding="causal", dilation_rate=2, activation="softsign"),
        L.Conv1DTranspose(3, 3, strides=2, activation="sigmoid"),
        L.PReLU(shared_axes=[1], alpha_initializer=keras.initializers.Constant(0.3)),
        L.BatchNormalization(scale=False, momentum=0.9, epsilon=1e-2),
        L.MaxPooling1D(3, strides=2, padding="same"),
        L.TimeDistributed(keras.Sequential([L.Dense(6), L.AlphaDropout(0.1)])),
        L.GlobalMaxPooling1D(),
        L.RepeatVector(3),
        L.Permute((2, 1)),
        L.Flatten(),
        L.Activation("hard_sigmoid"),
        L.ActivityRegularization(l2=0.1),
        L.Dense(5, activity_regularizer="l1", bias_initializer=keras.initializers.RandomUniform(-1, 1)),
        L.GaussianDropout(0.1),
    ]
    return keras.Sequential(layers, name="chain"), [np.random.default_rng(1).normal(size=(4, 4, 9, 9, 2))], []


def operations():
    """Operations between layers that layers do too."""
    ops = keras.ops
    a, b = L.Input((3,), name="a"), L.Input((3,), name="b")
    dense = L.Dense(3)
    y = ops.tanh(ops.maximum(a + dense(b), ops.silu(b)) * (dense(a) - b))
    model = keras.Model([a, b], ops.relu(ops.minimum(y, ops.softplus(a))) + ops.sigmoid(b))
    model.compile("sgd", "mse")
    rng = np.random.default_rng(3)
    return model, [rng.normal(size=(5, 3)), rng.normal(size=(5, 3))], [rng.normal(size=(5, 3))]


def rectified(module):
    """Layers as activations, and the function that has the name of one of them."""
    layers = module.layers
    own = layers.LeakyReLU(0.1)
    chosen = ["leaky_relu", "LeakyReLU" if module is tf_keras else layers.LeakyReLU(), own, layers.ReLU(1.5), "elu"]
    model = module.Sequential([layers.Input((4,)), *[layers.Dense(4, activation=given) for given in chosen]])
    model.compile("sgd", "mse")
    rng = np.random.default_rng(4)
    return model, [rng.normal(size=(6, 4))], [rng.normal(size=(6, 4))]


def shared(module):
    """Layers and a model that are part of several models and of a wrapper."""
    layers = module.layers
    both = layers.Dense(3, activation="tanh", name="both")
    one = module.Sequential([layers.Input((3,)), both, layers.Dense(3, name="first")], name="one")
    other = module.Sequential([layers.Input((3,)), both, layers.Dense(3, name="second")], name="other")
    start, middle, whole = layers.Input((3,)), layers.Input((3,)), layers.Input((3,))
    encoder = module.Model(start, layers.Dense(3, activation="tanh", name="code")(start), name="encoder")
    decoder = module.Model(middle, layers.Dense(3, name="image")(middle), name="decoder")
    coder = module.Model(whole, decoder(encoder(whole)), name="coder")
    x = layers.Input((3,), name="x")
    steps = layers.TimeDistributed(both, name="each")(layers.RepeatVector(2)(x))
    ends = [one(x), other(x), coder(x), encoder(x), layers.GlobalAveragePooling1D()(steps)]
    ends += [both(x)] * (module is keras)  # tf.keras can't read its own .h5 file of a graph with such a layer
    model = module.Model(x, layers.Add()(ends), name="shared")
    model.compile(module.optimizers.Adam(0.05), "mse")
    rng = np.random.default_rng(5)
    return model, [rng.normal(size=(8, 3))], [rng.normal(size=(8, 3))]


def activations():
    """Values of activations; the gradients are those of the sum of the values times cos(x)."""
    names = ["celu", "gelu", "hard_shrink", "hard_silu", "hard_tanh", "leaky_relu", "log_sigmoid", "log_softmax"]
    names += ["mish", "relu6", "silu", "soft_shrink", "sparse_plus", "sparse_sigmoid", "tanh_shrink"]
    x = np.concatenate([np.random.default_rng(0).normal(size=(12, 5)) * 3, [[0.1, -0.2, 0.3, 30, -30]]])
    arrays = {"x": x}
    for name in names:
        variable = tf.Variable(x)
        with tf.GradientTape() as tape:
            y = getattr(keras.activations, name)(variable)
            total = tf.reduce_sum(y * np.cos(x))
        arrays |= {name: y.numpy(), f"{name}/dx": tape.gradient(total, variable).numpy()}
    arrays["gelu_approx"] = keras.activations.gelu(x, approximate=True).numpy()
    arrays["celu_0.5"] = keras.activations.celu(x, alpha=0.5).numpy()
    return arrays


def small(module, optimizer):
    """A model of two layers, and an optimizer."""
    layers = [module.layers.Input((5,)), module.layers.Dense(3, activation="tanh"), module.layers.Dense(2)]
    model = module.Sequential(layers)
    model.compile(optimizer, "mse", metrics=["mae"])
    rng = np.random.default_rng(2)
    return model, [rng.normal(size=(16, 5))], [rng.normal(size=(16, 2))]


def write(path, model, inputs, targets, *others):
    """Train for three steps, save, also under the other suffixes, train for three more."""
    inputs, targets = ([array.astype("f4") for array in arrays] for arrays in (inputs, targets))

    def steps():
        logs = []
        for _ in range(3):
            model.reset_metrics()
            logs.append(np.ravel(model.train_on_batch(inputs, targets))[0])
        return logs

    if targets:
        steps()
    for suffix in (path.suffix, *others):
        model.save(path.with_suffix(suffix))
    found = model.predict(inputs, verbose=0)
    after = found if isinstance(found, list) else [found]
    arrays = {"x": inputs, "y": targets, "after": after}
    named = {f"{name}{i}": array for name, several in arrays.items() for i, array in enumerate(several)}
    np.savez(path.with_suffix(".npz"), **named, resumed=steps() if targets else [])


def main():
    """Write all files."""
    folder = HERE / "keras3" / "written"
    folder.mkdir(exist_ok=True)
    optimizers = keras.optimizers
    models = {
        "graph": graph,
        "chain": chain,
        "operations": operations,
        "adagrad": lambda: small(keras, optimizers.Adagrad(0.1)),
        "adadelta": lambda: small(keras, optimizers.Adadelta(1.0, rho=0.9)),
        "amsgrad": lambda: small(keras, optimizers.Adam(0.1, amsgrad=True, clipnorm=0.1)),
    }
    for name, make in models.items():
        keras.utils.set_random_seed(0)
        write(folder / f"{name}.keras", *make())
    write(folder / "rectified.keras", *rectified(keras), ".h5")
    write(folder / "shared.keras", *shared(keras), ".h5")
    keras.config.set_floatx("float64")
    np.savez_compressed(HERE / "keras3" / "activations.npz", **activations())
    keras.config.set_floatx("float32")
    folder = HERE / "tf_keras" / "trained"
    folder.mkdir(exist_ok=True)
    old = tf_keras.optimizers.legacy
    models = {
        "old_amsgrad": old.Adam(0.1, amsgrad=True, decay=0.1, clipnorm=0.1),
        "old_adagrad": old.Adagrad(0.1),
        "new_rmsprop": tf_keras.optimizers.RMSprop(0.1),
    }
    for name, optimizer in models.items():
        tf_keras.utils.set_random_seed(0)
        write(folder / f"{name}.h5", *small(tf_keras, optimizer))
    write(folder / "rectified.h5", *rectified(tf_keras))
    write(folder / "shared.h5", *shared(tf_keras))


if __name__ == "__main__":
    main()
