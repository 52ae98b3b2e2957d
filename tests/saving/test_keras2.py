"""Keras 2's HDF5 files as minikeras writes them: round trips, what meant something else then, what doesn't fit."""

from __future__ import annotations

import json

import numpy as np
import pytest

import minikeras
from minikeras import Sequential, layers, optimizers
from minikeras.callbacks import ModelCheckpoint
from minikeras.models import Model, load_model, model_from_json
from minikeras.saving import ModelFileError
from tests.models.small import classifier
from tests.saving.files import LABELS, X, names_in, same_weights

h5py = pytest.importorskip("h5py")


# ---------------------------------------------------------------------- round trips


@pytest.mark.parametrize("rule", [*("sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamax", "nadam")])
def test_training_goes_on_bit_for_bit_from_an_h5_file(rule, tmp_path):
    minikeras.set_seed(0)
    inner = Sequential([layers.Dense(6, activation="relu", input_dim=2), layers.Dropout(0.3)])
    model = Sequential([inner, layers.BatchNormalization(), layers.Dropout(0.2), layers.Dense(3, activation="softmax")])
    model.compile(optimizers.get(rule), "sparse_categorical_crossentropy", metrics=["accuracy"])
    if rule != "nadam":
        model.optimizer.decay = 0.01
    model.fit(X, LABELS, epochs=2, batch_size=7, verbose=0)
    model.save(tmp_path / "model.h5")
    minikeras.set_seed(None)
    loaded = load_model(tmp_path / "model.h5")
    histories = [m.fit(X, LABELS, epochs=4, initial_epoch=2, batch_size=7, verbose=0).history for m in (model, loaded)]
    assert histories[0] == histories[1]
    same_weights(model, loaded)


def test_a_graph_with_models_inside_comes_back(tmp_path):
    start = layers.Input((4,))
    block = Model(start, layers.BatchNormalization()(layers.Dense(4)(start)), name="block")
    image = layers.Input((4,))
    model = Model(image, layers.Add()([block(image), block(layers.Dense(4)(block(image)))]))
    model.save(tmp_path / "m.hdf5")
    loaded = load_model(tmp_path / "m.hdf5")
    same_weights(model, loaded)
    x = np.ones((2, 4), "f4")
    np.testing.assert_array_equal(model.predict(x), loaded.predict(x))


def _block(frozen=False):
    inner = [
        layers.Dense(2, input_dim=2, name="one"),
        layers.BatchNormalization(name="norm"),
        layers.Dense(2, name="two"),
    ]
    inner[0].trainable = not frozen
    return Sequential([layers.Dense(2, input_dim=3, name="first"), Sequential(inner, name="block")])


def test_weights_inside_a_model_stand_in_kerass_order_with_the_trainable_ones_first(tmp_path):
    _block().save_weights(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5") as file:
        trained = ["one/kernel:0", "one/bias:0", "norm/gamma:0", "norm/beta:0", "two/kernel:0", "two/bias:0"]
        assert names_in(file["block"]) == [*trained, "norm/moving_mean:0", "norm/moving_variance:0"]


def test_what_was_frozen_when_the_file_was_written_does_not_shuffle_weights(tmp_path):
    written, read = _block(frozen=True), _block()
    written.save_weights(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5") as file:
        assert names_in(file["block"])[-4] == "one/kernel:0"  # as Keras 2 has it
    read.load_weights(tmp_path / "w.h5")
    same_weights(written, read)


def test_weights_of_other_automatic_names_go_by_their_place(tmp_path):
    written, read = classifier(), classifier()
    written.save_weights(tmp_path / "w.h5")
    read.load_weights(tmp_path / "w.h5")
    same_weights(written, read)


def test_lists_of_names_longer_than_a_header_are_split_and_put_together(tmp_path):
    start = layers.Input((1,))
    made = [layers.Dense(1, name=f"layer_{'x' * 200}_{i}") for i in range(400)]
    model = Model(start, layers.Add()([layer(start) for layer in made]))
    model.save_weights(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5") as file:
        assert {"layer_names0", "layer_names1"} <= {*file.attrs}
        assert "layer_names" not in file.attrs
    before = model.get_weights()
    model.set_weights([array + 1 for array in before])
    model.load_weights(tmp_path / "w.h5")
    for array, its in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, its)


def test_checkpoints_are_h5_files_where_their_name_says_so(tmp_path):
    model = classifier()
    model.fit(X, LABELS, epochs=2, verbose=0, callbacks=[ModelCheckpoint(str(tmp_path / "w.{epoch:02d}.hdf5"))])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.01.hdf5", "w.02.hdf5"]
    same_weights(model, load_model(tmp_path / "w.02.hdf5"))


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "model.h5"
    classifier().save(path)
    before = path.read_bytes()

    def fail(*arguments, **keywords):
        raise OSError("disk full")

    monkeypatch.setattr(h5py.Group, "create_dataset", fail)
    with pytest.raises(OSError, match="disk full"):
        classifier().save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.h5"]


# ---------------------------------------------------------------------- what meant something else then


def bilinear(**arguments):
    model = Sequential([layers.UpSampling2D(2, interpolation="bilinear", input_shape=(2, 1, 1), **arguments)])
    return model, np.array([[[[0.0]], [[4.0]]]], "f4")


def test_bilinear_upsampling_of_a_file_of_2_2_4_samples_at_corners(tmp_path):
    model, x = bilinear()
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        assert file.attrs["keras_version"] == "2.3.1"  # the first that samples at half-pixel centres
        file.attrs["keras_version"] = b"2.2.4"
    np.testing.assert_allclose(load_model(tmp_path / "m.h5").predict(x)[0, :, 0, 0], [0, 2, 4, 4])
    np.testing.assert_allclose(model.predict(x)[0, :, 0, 0], [0, 1, 3, 4])


def test_bilinear_upsampling_in_json_of_2_2_4_samples_at_corners():
    model, x = bilinear()
    text = json.loads(model.to_json())
    del text["config"]["layers"][0]["config"]["half_pixel_centers"]  # which Keras doesn't know
    for version, expected in (("2.2.4", [0, 2, 4, 4]), ("2.3.1", [0, 1, 3, 4]), ("2.15.0", [0, 1, 3, 4])):
        made = model_from_json(json.dumps({**text, "keras_version": version}))
        np.testing.assert_allclose(made.predict(x)[0, :, 0, 0], expected)
    np.testing.assert_allclose(model_from_json(model.to_json()).predict(x)[0, :, 0, 0], [0, 1, 3, 4])


@pytest.mark.parametrize("centred", [True, False])
def test_what_bilinear_means_survives_a_round_trip(centred, tmp_path, recwarn):
    model, x = bilinear(half_pixel_centers=centred)
    model.save(tmp_path / "m.h5")
    assert any("later versions of Keras sample" in str(warning.message) for warning in recwarn) is not centred
    recwarn.clear()
    loaded = load_model(tmp_path / "m.h5")
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    with h5py.File(tmp_path / "m.h5") as file:
        assert "half_pixel" not in file.attrs["model_config"]  # which no version of Keras knows


def test_two_meanings_of_bilinear_are_not_put_into_one_file(tmp_path):
    model, _ = bilinear()
    model.add(layers.UpSampling2D(2, interpolation="bilinear", half_pixel_centers=False))
    with pytest.raises(ValueError, match=r"can't be in one \.h5 file"):
        model.save(tmp_path / "m.h5")


def test_kernels_of_theano_are_refused_as_they_are_stored_backwards(tmp_path):
    model = Sequential([layers.Conv1D(2, 2, input_shape=(4, 1))])
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file["model_weights"].attrs["backend"] = b"theano"
    with pytest.raises(ModelFileError, match="stores the kernels of convolutions backwards"):
        load_model(tmp_path / "m.h5")


# ---------------------------------------------------------------------- what doesn't fit


def rewritten(path, attribute, change):
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs[attribute])
        change(config)
        file.attrs[attribute] = json.dumps(config)


LAMBDA = {"class_name": "Lambda", "config": {"name": "l", "function": ["YQ==", None, None], "function_type": "lambda"}}
HUGE = {"class_name": "Dense", "config": {"name": "d", "units": 10**9, "batch_input_shape": [None, 10**5]}}


@pytest.mark.parametrize(
    ("attribute", "change", "message"),
    [
        ("model_config", lambda c: c.update(class_name="os.system"), "Unknown layer: 'os.system'"),
        ("model_config", lambda c: c.update(class_name="Dense"), "can't be made of it"),
        (
            "model_config",
            lambda c: c["config"]["layers"].append(LAMBDA),
            "Lambda 'l': function is stored as Python bytecode",
        ),
        ("model_config", lambda c: c["config"].update(layers=[HUGE]), "the file doesn't hold so many weights"),
        ("model_config", lambda c: c["config"]["layers"].pop(), "holds weights of another architecture"),
        ("model_config", lambda c: c["config"].pop("layers"), "can't be made of it: KeyError: 'layers'"),
        (
            "model_config",
            lambda c: c["config"]["layers"][1]["config"].update(units=-3),
            "units must be a positive integer",
        ),
        ("model_config", lambda c: c["config"]["layers"][1]["config"].update(cheese=1), "cheese"),
        ("training_config", lambda c: c.update(loss="own"), "Unknown loss: 'own'"),
        ("training_config", lambda c: c["optimizer_config"]["config"].update(lr=-1), "lr must be"),
        ("training_config", lambda c: c["optimizer_config"].update(class_name="Adam"), "compile=False"),
        ("minikeras", lambda c: c.update(streams=[[0, "lost", {}]]), "the random streams are not those of its layers"),
        ("minikeras", lambda c: c.update(iterations=-5), "iterations"),
        ("minikeras", lambda c: c.update(iterations="x"), "iterations"),
        ("minikeras", lambda c: c.update(streams=3), "the random streams are not those of its layers"),
    ],
)
def test_a_changed_configuration_is_refused_with_the_files_name(attribute, change, message, tmp_path):
    path = tmp_path / "model.h5"
    model = classifier()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, LABELS, verbose=0)
    model.save(path)
    rewritten(path, attribute, change)
    with pytest.raises(ModelFileError) as caught:
        load_model(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_what_does_not_fit_is_said_in_a_table_and_nothing_is_loaded(tmp_path):
    Sequential([layers.Dense(4, input_dim=2, name="a"), layers.Dense(3, name="b")]).save_weights(tmp_path / "w.h5")
    model = Sequential([layers.Dense(4, input_dim=2, name="a"), layers.Dense(5, name="b")])
    before = model.get_weights()
    with pytest.raises(ModelFileError, match=r"b +kernel +\(4, 5\) +\(4, 3\) in 'b'"):
        model.load_weights(tmp_path / "w.h5")
    for array, its in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, its)
    with pytest.warns(UserWarning, match="these weights keep their values"):
        model.load_weights(tmp_path / "w.h5", by_name=True, skip_mismatch=True)
    assert not np.array_equal(model.get_weights()[0], before[0])
    np.testing.assert_array_equal(model.get_weights()[2], before[2])


@pytest.mark.parametrize(
    ("make", "load", "message"),
    [
        (lambda path: classifier().save_weights(path), load_model, "holds no model, only weights"),
        (lambda path: h5py.File(path, "w").close(), load_model, "holds no model, only arrays"),
        (lambda path: h5py.File(path, "w").close(), lambda path: classifier().load_weights(path), "has layer_names"),
    ],
)
def test_files_without_what_is_asked_for_are_refused(make, load, message, tmp_path):
    make(tmp_path / "m.h5")
    with pytest.raises(ModelFileError, match=message):
        load(tmp_path / "m.h5")


def test_without_h5py_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    path = tmp_path / "m.h5"
    classifier().save(path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for call in (lambda: load_model(path), lambda: classifier().save(path), lambda: ModelCheckpoint(str(path))):
        with pytest.raises(ImportError, match=r"pip install 'minikeras\[io\]'"):
            call()
