"""What minikeras writes, read by Keras 3: in this Python if it is there, or in that of MINIKERAS_KERAS_PYTHON."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from minikeras import Sequential, activations, layers, optimizers
from minikeras.models import Model, load_model
from tests.saving.files import KERAS2, KERAS2_NAMES

PYTHON = os.environ.get("MINIKERAS_KERAS_PYTHON") or (sys.executable if importlib.util.find_spec("keras") else "")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PYTHON, reason="needs Keras 3")]
pytest.importorskip("h5py")

READ = """
import json, sys, warnings
warnings.simplefilter("ignore")
import keras, numpy as np
found = {}
for path in sys.argv[1:]:
    arrays = np.load(path + ".npz")
    model = keras.models.load_model(path + ".h5", compile=False)
    error = np.abs(model.predict(arrays["x"], verbose=0) - arrays["y"]).max()
    found[path] = float(error / np.abs(arrays["y"]).max())
print(json.dumps(found))
"""


def chain():
    """A layer of each kind that the six models lack and Keras 3 has."""
    return Sequential(
        [
            layers.TimeDistributed(layers.Conv2D(3, 3, activation="elu"), input_shape=(4, 6, 6, 2)),
            layers.Conv3D(4, 2),
            layers.BatchNormalization(),
            layers.LeakyReLU(0.2),
            layers.AveragePooling3D((1, 2, 2)),
            layers.Reshape((3, 2, 2)),
            layers.UpSampling2D(2, interpolation="bilinear"),
            layers.SpatialDropout2D(0.2),
            layers.Conv2DTranspose(3, 3, strides=2, padding="same"),
            layers.DepthwiseConv2D(3),
            layers.GaussianNoise(0.1),
            layers.ZeroPadding2D(1),
            layers.Reshape((96, 3)),
            layers.Cropping1D(1),
            layers.ZeroPadding1D(1),
            layers.UpSampling1D(2),
            layers.Conv1D(4, 2, padding="causal", dilation_rate=2),
            layers.SeparableConv1D(4, 3),
            layers.PReLU(shared_axes=[1]),
            layers.GlobalAveragePooling1D(),
            layers.RepeatVector(3),
            layers.Permute((2, 1)),
            layers.Dense(3, activation="LeakyReLU"),
            layers.Dense(3, activation={"class_name": "LeakyReLU", "config": {"alpha": 0.1}}),
            layers.Flatten(),
            layers.ELU(0.5),
            Sequential([layers.Dense(6, activation="selu", input_dim=12), layers.AlphaDropout(0.1)]),
            layers.Dense(5),
            layers.Softmax(),
        ]
    )


def beyond_keras_2():
    """What only Keras 3 and minikeras have."""
    start = layers.Input((4, 3))
    own = ("hard_sigmoid", "hard_sigmoid6")  # which mean something else there
    names = [name for name in activations.registry if name not in own]
    kept = [layers.GlobalMaxPooling1D(keepdims=True)(start), layers.GlobalAveragePooling1D(keepdims=True)(start)]
    joined = layers.Concatenate()([layers.Activation(name)(start) for name in names])
    return Model(start, layers.Concatenate()([joined, *(layers.UpSampling1D(4)(one) for one in kept)]))


RESUME = """
import json, sys, warnings
warnings.simplefilter("ignore")
import keras, numpy as np
found = {}
for path in sys.argv[1:]:
    arrays = np.load(path + ".npz")
    model = keras.models.load_model(path + ".keras")
    x, y = ([arrays[f"{name}{i}"] for i in range(9) if f"{name}{i}" in arrays] for name in "xy")
    x, y = (several if len(several) > 1 else several[0] for several in (x, y))
    outputs = model.predict(x, verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    errors = [np.abs(o - arrays[f"after{i}"]).max() / np.abs(arrays[f"after{i}"]).max() for i, o in enumerate(outputs)]
    steps = int(model.optimizer.iterations)
    losses = []
    for _ in arrays["resumed"]:
        model.reset_metrics()
        losses.append(np.ravel(model.train_on_batch(x, y))[0])
    weights = keras.models.load_model(path + ".keras", compile=False)
    weights.set_weights([0 * array for array in weights.get_weights()])
    weights.load_weights(path + ".weights.h5")
    outputs = weights.predict(x, verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    errors += [np.abs(o - arrays[f"after{i}"]).max() / np.abs(arrays[f"after{i}"]).max() for i, o in enumerate(outputs)]
    found[path] = [float(max(errors)), steps, float(np.abs(np.array(losses) / arrays["resumed"] - 1).max())]
print(json.dumps(found))
"""
RULES = [
    optimizers.SGD(0.05, momentum=0.9, nesterov=True, clipnorm=0.5),
    optimizers.SGD(0.05, decay=0.1, clipvalue=0.01),
    optimizers.RMSprop(0.01, epsilon_in_root=True, weight_clipnorm=0.1),
    optimizers.RMSprop(0.01, decay=0.01),
    optimizers.Adagrad(0.05),
    optimizers.Adagrad(0.05, epsilon_in_root=True, initial_accumulator=0.1),
    optimizers.Adadelta(1.0, decay=0.1),
    optimizers.Adam(0.01),
    optimizers.Adam(0.01, amsgrad=True, decay=0.1),
    optimizers.Adamax(0.01),
    optimizers.Nadam(0.01, schedule_decay=1.0),
]


def graph():
    """Models of both kinds, called twice and giving outputs; a shared layer; two inputs."""
    start = layers.Input((4,))
    inner = Model(start, layers.BatchNormalization()(layers.Dense(4, kernel_regularizer="l2")(start)), name="inner")
    line = Sequential([layers.Dense(4, input_dim=4), layers.PReLU()], name="line")
    x, y = layers.Input((4,), name="x"), layers.Input((4,), name="y")
    dense = layers.Dense(4, name="dense", activation="hard_sigmoid6", kernel_constraint="max_norm")
    first = line(dense(x))
    joined = layers.Concatenate()([first, dense(y), inner(x)])
    outputs = [line(layers.Add()([first, dense(y)])), inner(first), layers.Dense(2, name="last")(joined)]
    return Model([x, y], outputs)


def without_randomness():
    """The layers of `chain` that do the same in training."""
    made = chain()
    noisy = ("SpatialDropout2D", "GaussianNoise")
    kept = [layer for layer in made.layers[:-3] if type(layer).__name__ not in noisy]
    return Sequential([layers.Input(made.input_shape[1:]), *kept, layers.Dense(3)])


def test_keras_3_predicts_the_same_and_trains_on(tmp_path):
    models = {"graph": graph(), "chain": without_randomness()}
    models |= {
        f"rule{i}": Sequential([layers.Dense(5, "tanh", input_dim=4), layers.Dense(2)]) for i in range(len(RULES))
    }
    rng = np.random.default_rng(0)
    for name, model in models.items():
        rule = RULES[int(name[4:])] if name.startswith("rule") else "sgd"
        model.compile(rule, "mse", metrics=["mae"])
        if name == "graph":
            model.compile(optimizers.Adam(0.01), ["mse", "logcosh", "mae"], {"last": "mse"}, [1.0, 0.5, 2.0])
        shapes = model.input_shape if isinstance(model.input_shape, list) else [model.input_shape]
        outputs = model.output_shape if isinstance(model.output_shape, list) else [model.output_shape]
        x, y = ([rng.normal(size=(8, *shape[1:])).astype("f4") for shape in several] for several in (shapes, outputs))
        given = (x if len(x) > 1 else x[0], y if len(y) > 1 else y[0])
        for _ in range(3):
            model.train_on_batch(*given)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about epsilon
            model.save(tmp_path / f"{name}.keras")
        model.save_weights(tmp_path / f"{name}.weights.h5")
        after = model.predict(given[0])
        after = after if isinstance(after, list) else [after]
        resumed = [np.ravel(model.train_on_batch(*given))[0] for _ in range(3)]
        named = {"x": x, "y": y, "after": after}
        arrays = {f"{key}{i}": array for key, several in named.items() for i, array in enumerate(several)}
        np.savez(tmp_path / f"{name}.npz", **arrays, resumed=resumed)
    paths = [os.fspath(tmp_path / name) for name in models]
    result = subprocess.run([PYTHON, "-c", RESUME, *paths], capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr[-3000:]
    found = json.loads(result.stdout.splitlines()[-1])
    assert set(found) == {*paths}
    print({os.path.basename(path): values for path, values in found.items()})
    for path, (prediction, steps, training) in found.items():
        assert (prediction < 1e-5, steps, training < 1e-5) == (True, 3, True), (path, found[path])


def test_keras_3_predicts_the_same(tmp_path):
    models = {name: load_model(KERAS2 / f"{name}.h5") for name in KERAS2_NAMES}
    models |= {"chain": chain(), "beyond": beyond_keras_2()}
    rng = np.random.default_rng(0)
    for name, model in models.items():
        x = rng.normal(size=(4, *model.input_shape[1:])).astype("f4")
        model.save(tmp_path / f"{name}.h5")
        np.savez(tmp_path / f"{name}.npz", x=x, y=model.predict(x))
    paths = [os.fspath(tmp_path / name) for name in models]
    result = subprocess.run([PYTHON, "-c", READ, *paths], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    errors = json.loads(result.stdout.splitlines()[-1])
    assert set(errors) == {*paths}
    assert max(errors.values()) < 1e-5, errors
