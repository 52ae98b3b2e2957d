"""What minikeras writes, read by Keras 3: in this Python if it is there, or in that of MINIKERAS_KERAS_PYTHON."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minikeras import Sequential, layers
from minikeras.models import load_model

PYTHON = os.environ.get("MINIKERAS_KERAS_PYTHON") or (sys.executable if importlib.util.find_spec("keras") else "")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PYTHON, reason="needs Keras 3")]
pytest.importorskip("h5py")

FOLDER = Path(__file__).parents[1] / "reference" / "keras224" / "models"
NAMES = ["auto", "lenet", "resid", "sep", "voxel", "wave"]
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
            layers.Flatten(),
            layers.ELU(0.5),
            Sequential([layers.Dense(6, activation="selu", input_dim=12), layers.AlphaDropout(0.1)]),
            layers.Dense(5),
            layers.Softmax(),
        ]
    )


def test_keras_3_predicts_the_same(tmp_path):
    models = {name: load_model(FOLDER / f"{name}.h5") for name in NAMES}
    models["chain"] = chain()
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
