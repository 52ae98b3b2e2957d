"""What tests of files share: those that Keras 2, tf.keras and Keras 3 wrote, comparisons, and changes of files."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np

from tests.models.small import blobs, classifier

REFERENCE = Path(__file__).parents[1] / "reference"
KERAS2 = REFERENCE / "keras224" / "models"
KERAS2_NAMES = ["auto", "lenet", "resid", "sep", "voxel", "wave"]
KERAS3 = REFERENCE / "keras3" / "models"
WRITTEN = REFERENCE / "keras3" / "written"
TF_KERAS = REFERENCE / "tf_keras"
X, LABELS = blobs(samples=40)


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def same_weights(one, other):
    for array, its in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(array, its)


def several(arrays, name):
    """The arrays of a name: all of NAME0, NAME1, ... or NAME."""
    return [arrays[key] for key in arrays if key == name or key.removeprefix(name).isdecimal()]


def names_in(group):
    """The names of the weights in a group of an HDF5 file of Keras 2's layout."""
    return [name.decode() for name in group.attrs["weight_names"]]


def trained(rule="adam", epochs=1):
    model = classifier()
    model.compile(rule, "sparse_categorical_crossentropy")
    model.fit(X, LABELS, epochs=epochs, verbose=0)
    return model


def config_of(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def rewritten(path, change, member="config.json"):
    """Change a description in a file."""
    with zipfile.ZipFile(path) as archive:
        data = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(data[member])
    change(config)
    data[member] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in data.items():
            archive.writestr(name, content)


def copied(name, tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes((WRITTEN / name).read_bytes())
    return path
