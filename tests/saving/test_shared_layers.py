"""Layers that are part of several models, or of a model and a wrapper: one in memory, one in a file, one again."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

import minikeras
from minikeras import Sequential, layers
from minikeras.layers import Input, catalog
from minikeras.models import Model, load_model, model_from_json
from minikeras.saving import ModelFileError
from tests.saving.files import TF_KERAS, WRITTEN, config_of, rewritten, same_weights

h5py = pytest.importorskip("h5py")
RNG = np.random.default_rng(0)
DATA = RNG.normal(size=(8, 3)), RNG.normal(size=(8, 3))


def shared():
    """A layer of a graph, a graph in it, two chains and a wrapper; and a model of a model and of the graph."""
    minikeras.set_seed(1)
    both, x, y = layers.Dense(3, "tanh", name="both", input_shape=(3,)), Input((3,)), Input((3,))
    one = Sequential([both, layers.Dense(3)], name="one")
    other = Sequential([layers.Dropout(0.5), both], name="other")
    inner = Model(y, layers.Dense(3)(both(y)), name="inner")
    encoder = Model(z := Input((3,)), layers.Dense(3, name="code")(both(z)), name="encoder")
    coder = Model(w := Input((3,)), layers.Dense(3)(encoder(encoder(w))), name="coder")
    steps = layers.TimeDistributed(both, name="each")(layers.RepeatVector(2)(x))
    ends = [both(x), inner(both(x)), one(x), other(x), coder(x), encoder(x), layers.GlobalMaxPooling1D()(steps)]
    model = Model(x, layers.Add()(ends))
    model.compile("adam", "mse")
    model.fit(*DATA, epochs=2, batch_size=3, verbose=0)
    return model


def holders_of_one(model):
    """The layer "both", from everything that has it."""
    inside = [model, *(model.get_layer(name) for name in ("one", "other", "inner", "encoder"))]
    return {id(holder.get_layer("both")) for holder in inside} | {id(model.get_layer("each").layer)}


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_a_layer_of_several_models_is_one_in_files_and_trains_on_bit_for_bit(suffix, tmp_path):
    model = shared()
    model.save(tmp_path / f"m.{suffix}")
    loaded = load_model(tmp_path / f"m.{suffix}")
    assert len(holders_of_one(model)) == len(holders_of_one(loaded)) == 1
    assert loaded.get_layer("encoder") is loaded.get_layer("coder").get_layer("encoder")
    histories = [m.fit(*DATA, epochs=4, initial_epoch=2, batch_size=3, verbose=0).history for m in (model, loaded)]
    assert histories[0] == histories[1]
    same_weights(model, loaded)
    loaded.save(tmp_path / f"again.{suffix}")
    same_weights(load_model(tmp_path / f"again.{suffix}"), loaded)


def test_a_layer_of_several_models_is_one_in_json():
    model = shared()
    loaded = model_from_json(model.to_json())
    assert len(holders_of_one(loaded)) == 1
    loaded.set_weights(model.get_weights())
    np.testing.assert_array_equal(loaded.predict(DATA[0]), model.predict(DATA[0]))
    assert "shared_object_id" not in towers((1.0, 2.0)).to_json()


def test_weights_of_a_layer_of_several_models_are_in_each_of_them(tmp_path):
    model = shared()
    before = model.get_weights()
    for suffix in ("npz", "h5", "weights.h5", "safetensors"):
        model.save_weights(tmp_path / f"w.{suffix}")
    for suffix in ("npz", "h5", "weights.h5", "safetensors"):
        model.set_weights([array + 1 for array in before])
        model.load_weights(tmp_path / f"w.{suffix}")
        for array, its in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(array, its)


@pytest.mark.parametrize("path", [WRITTEN / "shared.keras", WRITTEN / "shared.h5"], ids=lambda path: path.name)
def test_a_layer_of_several_models_in_a_file_of_keras_3_is_one(path):
    model = load_model(path)  # Keras 3.15.1 makes 108 parameters of its .h5 file, and can't read its .keras file
    assert model.count_params() == 60
    assert {id(model.get_layer(name).get_layer("both")) for name in ("one", "other")} == {id(model.get_layer("both"))}
    assert model.get_layer("each").layer is model.get_layer("both")


def test_a_layer_of_several_models_in_a_file_of_tf_keras_is_one():
    model = load_model(TF_KERAS / "trained" / "shared.h5")  # tf_keras 2.21 makes 96 parameters of it
    assert model.count_params() == 60
    assert model.get_layer("one").get_layer("both") is model.get_layer("other").get_layer("both")


def towers(values):
    """Two models that have layers of the same names, and the values of each."""
    x = Input((2,))
    made = [Sequential([layers.Dense(2, input_dim=2, name="same")], name=name) for name in ("left", "right")]
    for tower, value in zip(made, values, strict=True):
        tower.set_weights([np.full((2, 2), value), np.zeros(2)])
    return Model(x, layers.Add()([tower(x) for tower in made]))


@pytest.mark.parametrize("values", [(1.0, 2.0), (1.0, 1.0)])
def test_layers_of_one_name_stay_several_where_the_file_knows_it(values, tmp_path):
    for suffix in ("npz", "h5", "keras"):
        towers(values).save(tmp_path / f"m.{suffix}")
        assert load_model(tmp_path / f"m.{suffix}").count_params() == 12


def test_layers_of_one_name_and_other_values_stay_several_in_files_that_say_nothing(tmp_path):
    for values, parameters in [((1.0, 2.0), 12), ((1.0, 1.0), 6)]:
        towers(values).save(tmp_path / "m.h5")
        with h5py.File(tmp_path / "m.h5", "r+") as file:
            del file.attrs["minikeras"]
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            assert load_model(tmp_path / "m.h5").count_params() == parameters
        words = f"{tmp_path / 'm.h5'}: what is named 'same' has the same weights in several models"
        assert [str(warning.message).startswith(words) for warning in said] == [True] * (parameters == 6)


def test_keras_3_cannot_read_such_a_model_so_that_none_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"^'.*' and '.*' have a layer in common, and Keras 3 can't read such a model"):
        shared().save(tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == []


def test_random_numbers_of_a_layer_of_several_models_go_on_or_it_is_said(tmp_path):
    minikeras.set_seed(0)
    drop, x = layers.Dropout(0.5), Input((3,))
    chains = [Sequential([layers.Dense(3, input_dim=3), drop, layers.Dropout(0.2)]) for _ in range(2)]
    model = Model(x, layers.Add()([chain(x) for chain in chains]))
    model.compile("sgd", "mse")
    model.fit(*DATA, verbose=0)
    for suffix in ("npz", "h5"):
        model.save(tmp_path / f"m.{suffix}")
    with pytest.warns(UserWarning, match=r"m\.keras: a layer without weights is part of several models"):
        model.save(tmp_path / "m.keras")
    loaded = [load_model(tmp_path / f"m.{suffix}") for suffix in ("npz", "h5", "keras")]
    loss = model.train_on_batch(*DATA)
    assert [other.train_on_batch(*DATA) == loss for other in loaded] == [True, True, False]


def both_in(config):
    """The descriptions of the layer "both" in a configuration."""
    found = [config]
    for value in found:
        found += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [item for item in found if isinstance(item, dict) and item.get("config", {}) and "class_name" in item
            and isinstance(item["config"], dict) and item["config"].get("name") == "both"]  # fmt: skip


def test_a_layer_whose_other_descriptions_cannot_be_told_is_refused_by_name(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes((WRITTEN / "shared.keras").read_bytes())
    rewritten(path, lambda config: [item["config"].update(name=f"b{i}") for i, item in enumerate(both_in(config))])
    assert any("shared_object_id" in item for item in config_of(path)["config"]["layers"])
    with pytest.raises(
        ModelFileError, match=r"m\.keras: .* the layer 'b\d' is part of several models or wrappers in it"
    ):
        load_model(path)


def test_one_layer_in_different_words_is_refused(tmp_path):
    path = tmp_path / "m.h5"
    shared().save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        both_in(config)[-1]["config"]["activation"] = "relu"
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ModelFileError, match=r"m\.h5: .*Dense 'both' is described twice, in different words"):
        load_model(path)


@pytest.mark.parametrize("number", [None, True, "1", 1.0, [1], {}])
def test_numbers_that_are_none_make_layers_of_their_own(number):
    described = {"class_name": "Dense", "config": {"units": 2}, catalog.NUMBER: number}
    with catalog.shared():
        assert layers.deserialize(described) is not layers.deserialize(described)
        assert layers.deserialize({**described, catalog.NUMBER: 1}) is layers.deserialize(
            {**described, catalog.NUMBER: 1}
        )
    assert layers.deserialize({**described, catalog.NUMBER: 1}) is not layers.deserialize(
        {**described, catalog.NUMBER: 1}
    )
