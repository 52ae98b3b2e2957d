"""Files that Keras 2.2.4, tf.keras and Keras 3 wrote: they predict, score and train on as where they were written."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

import minikeras
from minikeras import Sequential
from minikeras.layers import Input
from minikeras.models import load_model, model_from_json
from tests.saving.files import (
    KERAS2,
    KERAS2_NAMES,
    KERAS3,
    TF_KERAS,
    WRITTEN,
    close,
    config_of,
    names_in,
    same_weights,
    several,
)

h5py = pytest.importorskip("h5py")


# ---------------------------------------------------------------------- Keras 2.2.4


@pytest.mark.parametrize("name", KERAS2_NAMES)
def test_a_file_of_keras_predicts_and_scores_as_there(name):
    arrays = np.load(KERAS2 / f"{name}.npz")
    model = load_model(KERAS2 / f"{name}.h5")
    close(model.predict(arrays["x"]), arrays["after"])
    close(model.evaluate(arrays["x"], arrays["y"], verbose=0), arrays["evaluate"])


@pytest.mark.parametrize("name", sorted({*KERAS2_NAMES} - {"voxel"}))  # its state holds TensorFlow's gradients of ties
def test_training_goes_on_where_keras_stopped(name):
    arrays = np.load(KERAS2 / f"{name}.npz")
    model = load_model(KERAS2 / f"{name}.h5")
    close([model.train_on_batch(arrays["x"][:8], arrays["y"][:8]) for _ in range(3)], arrays["resumed"])


@pytest.mark.parametrize("name", KERAS2_NAMES)
def test_weights_of_keras_go_into_the_model_of_its_json(name):
    arrays = np.load(KERAS2 / f"{name}.npz")
    model = model_from_json((KERAS2 / f"{name}.json").read_text(encoding="utf-8"))
    model.load_weights(KERAS2 / f"{name}.weights.h5")
    close(model.predict(arrays["x"]), arrays["after"])


@pytest.mark.parametrize("name", ["resid", "sep"])
def test_weights_of_a_whole_model_of_keras_are_found_by_the_layers_names(name):
    arrays = np.load(KERAS2 / f"{name}.npz")
    model = model_from_json((KERAS2 / f"{name}.json").read_text(encoding="utf-8"))
    model.load_weights(KERAS2 / f"{name}.h5", by_name=True)
    close(model.predict(arrays["x"]), arrays["after"])


@pytest.mark.parametrize("name", KERAS2_NAMES)
def test_the_layout_written_is_that_of_keras(name, tmp_path):
    load_model(KERAS2 / f"{name}.h5").save(tmp_path / "m.h5")
    with h5py.File(KERAS2 / f"{name}.h5") as original, h5py.File(tmp_path / "m.h5") as ours:
        found, expected = ([*_weights(file, "model_weights")] for file in (ours, original))
        assert [place for place, _ in found] == [place for place, _ in expected]
        for (_, array), (_, its) in zip(found, expected, strict=True):
            np.testing.assert_array_equal(array, its)
        states = (
            [file["optimizer_weights"][n][()] for n in names_in(file["optimizer_weights"])] for file in (ours, original)
        )
        for array, its in zip(*states, strict=True):
            np.testing.assert_array_equal(array, its)
        for attribute in ("keras_version", "backend"):
            assert ours.attrs[attribute] == original.attrs[attribute]
        training, expected = (json.loads(file.attrs["training_config"]) for file in (ours, original))
        assert {key: training["optimizer_config"]["config"][key] for key in expected["optimizer_config"]["config"]} == (
            expected["optimizer_config"]["config"]
        )


def _weights(file, place):
    for layer in file[place].attrs["layer_names"]:
        for name in names_in(file[place][layer.decode()]):
            yield (layer, name), file[place][layer.decode()][name][()]


# ---------------------------------------------------------------------- tf.keras and Keras 3


LATER = [*sorted(KERAS3.glob("*.h5")), *TF_KERAS.glob("*.h5")]
FILES = [
    *sorted(KERAS3.glob("*.keras")),
    KERAS3 / "resid.h5",
    *sorted(WRITTEN.glob("*.keras")),
    *sorted(WRITTEN.glob("*.h5")),
    *sorted((TF_KERAS / "trained").glob("*.h5")),
]


@pytest.mark.parametrize("path", LATER, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_a_file_of_later_keras_predicts_as_there(path):
    arrays = np.load(path.with_suffix(".npz"))
    close(load_model(path, compile=False).predict(arrays["x"]), arrays["after"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.parent.name}-{path.name}")
def test_a_file_predicts_and_trains_on_as_where_it_was_written(path):
    arrays = dict(np.load(path.with_suffix(".npz")))
    model = load_model(path)
    x, y = several(arrays, "x"), several(arrays, "y")
    found = model.predict(x if len(x) > 1 else x[0])
    for own, its in zip(found if isinstance(found, list) else [found], several(arrays, "after"), strict=True):
        close(own, its)
    if "before" in arrays:  # these files went on with the first eight samples
        x, y = [x[0][:8]], [y[0][:8]]
    for loss in arrays["resumed"]:
        close(
            np.ravel(model.train_on_batch(x if len(x) > 1 else x[0], y if len(y) > 1 else y[0]))[0], np.ravel(loss)[0]
        )


@pytest.mark.parametrize("name", ["graph", "chain", "rectified"])
def test_weights_of_keras_3_go_into_the_model_of_its_json(name):
    path = WRITTEN / f"{name}.keras"
    arrays = np.load(path.with_suffix(".npz"))
    model = model_from_json(json.dumps(config_of(path)))  # what to_json gives there
    model.load_weights(path)
    x = several(arrays, "x")
    found = model.predict(x if len(x) > 1 else x[0])
    for own, its in zip(found if isinstance(found, list) else [found], several(arrays, "after"), strict=True):
        close(own, its)


def test_weights_of_tf_keras_go_into_the_model_of_its_json():
    path = TF_KERAS / "graph.h5"
    with h5py.File(path) as file:
        text = {**json.loads(file.attrs["model_config"]), "keras_version": "2.21.0", "backend": "tensorflow"}
    model = model_from_json(json.dumps(text))
    model.load_weights(path)
    arrays = np.load(path.with_suffix(".npz"))
    close(model.predict(arrays["x"]), arrays["after"])


@pytest.mark.parametrize(
    "text", [{"module": "keras", "class_name": "Sequential"}, {"class_name": "Model", "config": {"layers": 3}}, {}]
)
@pytest.mark.parametrize("version", ["1.2.2", "2.2.4", "2.15.0", "3.15.1"])
def test_json_of_no_model_is_refused(version, text):
    with pytest.raises((ValueError, TypeError)):
        model_from_json(json.dumps({**text, "keras_version": version}))


def test_the_arguments_of_compile_keep_their_meaning():
    model = load_model(WRITTEN / "graph.keras")
    config = model.optimizer.get_config()
    assert (config["lr"], config["decay"], config["clipnorm"]) == (0.05, 0.25, 0.5)  # a schedule; global_clipnorm
    assert model.optimizer.iterations == 3
    assert model.loss == ["categorical_crossentropy", "mean_squared_error"]
    assert model.metrics == {"head": ["accuracy"], "value": ["mean_absolute_error"]}
    assert model.get_layer("shared").activation is minikeras.activations.hard_sigmoid6
    assert load_model(WRITTEN / "amsgrad.keras").optimizer.weight_clipnorm == 0.1


def test_weights_go_into_a_model_with_other_names_by_the_count_of_their_classes():
    arrays = np.load(KERAS3 / "auto.npz")
    model = load_model(KERAS3 / "auto.keras", compile=False)
    unnamed = [(type(layer), {**layer.get_config(), "name": None}) for layer in model.layers]
    other = Sequential([Input(model.input_shape[1:]), *(kind.from_config(config) for kind, config in unnamed)])
    assert [layer.name for layer in other.layers] != [layer.name for layer in model.layers]
    other.load_weights(KERAS3.parent / "auto.weights.h5")
    close(other.predict(arrays["x"]), arrays["after"])
    other.load_weights(KERAS3 / "auto.keras")
    same_weights(model, other)


def test_calls_of_models_are_counted_as_in_keras_3_in_its_h5_files_too(tmp_path):
    original = WRITTEN / "graph.keras"
    model, config = load_model(original, compile=False), config_of(original)
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": config["config"]})
        file.attrs["keras_version"] = "3.15.1"
    x = several(np.load(original.with_suffix(".npz")), "x")
    for own, its in zip(load_model(tmp_path / "m.h5").predict(x), model.predict(x), strict=True):
        np.testing.assert_array_equal(own, its)


def test_a_graph_of_models_is_written_as_keras_3_wrote_it(tmp_path):
    original = WRITTEN / "graph.keras"
    load_model(original).save(tmp_path / "m.keras")
    found, expected = config_of(tmp_path / "m.keras"), config_of(original)
    assert found["config"]["output_layers"] == expected["config"]["output_layers"]
    for own, its in zip(found["config"]["layers"], expected["config"]["layers"], strict=True):
        calls = [
            [tensor["config"]["keras_history"] for tensor in np.ravel(node["args"]).tolist()]
            for node in its["inbound_nodes"]
        ]
        assert [[place[:3] for place in node] for node in own["inbound_nodes"]] == calls, own["name"]
    with zipfile.ZipFile(tmp_path / "m.keras") as own, zipfile.ZipFile(original) as its:
        for archive, name in ((own, "own.h5"), (its, "its.h5")):
            (tmp_path / name).write_bytes(archive.read("model.weights.h5"))
    with h5py.File(tmp_path / "own.h5") as own, h5py.File(tmp_path / "its.h5") as its:
        places = [[], []]
        for file, found in zip((own, its), places, strict=True):
            file.visititems(lambda name, item, found=found: found.append(name) if hasattr(item, "shape") else None)
        assert places[0] == places[1]
        for name in places[0]:
            np.testing.assert_array_equal(own[name][()], its[name][()], err_msg=name)
