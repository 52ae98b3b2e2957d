"""Files of Keras 3 as minikeras writes them: what comes back, and where it stands for Keras 3."""

from __future__ import annotations

import functools
import zipfile

import numpy as np
import pytest

import minikeras
from minikeras import Sequential, layers, losses, optimizers
from minikeras.__main__ import main
from minikeras.layers import Input
from minikeras.models import Model, load_model
from minikeras.saving import ModelFileError
from tests.models.small import classifier
from tests.saving.files import KERAS3, LABELS, X, config_of, rewritten, same_weights

h5py = pytest.importorskip("h5py")


@pytest.mark.filterwarnings("ignore:.*Keras 3")
@pytest.mark.parametrize("rule", ["sgd", "rmsprop", "adam", "nadam"])
def test_training_goes_on_bit_for_bit_from_a_keras_file(rule, tmp_path):
    minikeras.set_seed(0)
    inner = Sequential([layers.Dense(6, activation="relu", input_dim=2), layers.Dropout(0.3)])
    model = Sequential([inner, layers.BatchNormalization(), layers.Dropout(0.2), layers.Dense(3, activation="softmax")])
    model.compile(optimizers.get(rule), "sparse_categorical_crossentropy", metrics=["accuracy"])
    if rule != "nadam":
        model.optimizer.decay = 0.01
    model.fit(X, LABELS, epochs=2, batch_size=7, verbose=0)
    model.save(tmp_path / "model.keras")
    minikeras.set_seed(None)
    loaded = load_model(tmp_path / "model.keras")
    histories = [m.fit(X, LABELS, epochs=4, initial_epoch=2, batch_size=7, verbose=0).history for m in (model, loaded)]
    assert histories[0] == histories[1]
    same_weights(model, loaded)


def nested():
    """A graph in which models of both kinds are called twice and give outputs."""
    start = Input((4,))
    graph = Model(start, layers.BatchNormalization()(layers.Dense(4)(start)), name="graph")
    chain = Sequential([layers.Dense(4, input_dim=4), layers.PReLU()], name="chain")
    x, y = Input((4,), name="x"), Input((4,), name="y")
    dense = layers.Dense(4, name="dense")
    first = chain(dense(x))
    return Model([x, y], [chain(layers.Add()([first, dense(y)])), graph(first), graph(dense(x)), first])


def test_nested_graphs_come_back(tmp_path):
    model = nested()
    model.set_weights([np.random.default_rng(0).uniform(0.5, 1, w.shape) for w in model.get_weights()])
    model.save(tmp_path / "m.keras")
    loaded = load_model(tmp_path / "m.keras")
    rng = np.random.default_rng(1)
    x = [rng.normal(size=(3, 4)), rng.normal(size=(3, 4))]
    for own, its in zip(model.predict(x), loaded.predict(x), strict=True):
        np.testing.assert_array_equal(own, its)


def test_activations_that_came_with_keras_3_come_back(tmp_path):
    names = ["celu", "gelu", "hard_silu", "leaky_relu", "log_softmax", "mish", "relu6", "silu", "swish"]
    model = Sequential([Input((3,)), *[layers.Dense(3, activation=name) for name in names]])
    x = np.random.default_rng(0).normal(size=(4, 3))
    for suffix in ("keras", "h5", "npz"):
        model.save(tmp_path / f"m.{suffix}")
        loaded = load_model(tmp_path / f"m.{suffix}")
        assert [layer.activation for layer in loaded.layers] == [layer.activation for layer in model.layers]
        np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    found = [layer["config"]["activation"] for layer in config_of(tmp_path / "m.keras")["config"]["layers"][1:]]
    assert found == [*names[:-1], "silu"]  # as Keras 3 writes them


def test_layers_as_activations_come_back(tmp_path):
    chosen = ["LeakyReLU", {"class_name": "LeakyReLU", "config": {"alpha": 0.1}}]
    chosen += [{"class_name": "ReLU", "config": {"max_value": 1.5}}, {"class_name": "Softmax", "config": {"axis": 1}}]
    model = Sequential([Input((3,)), *[layers.Dense(3, activation=given) for given in chosen]])
    x = np.random.default_rng(0).normal(size=(4, 3))
    for suffix in ("keras", "h5", "npz"):
        model.save(tmp_path / f"m.{suffix}")
        np.testing.assert_array_equal(load_model(tmp_path / f"m.{suffix}").predict(x), model.predict(x))
    found = [layer["config"]["activation"] for layer in config_of(tmp_path / "m.keras")["config"]["layers"][1:]]
    slopes = [item["config"].get("negative_slope") for item in found]
    assert slopes == [0.3, 0.1, 0.0, None]  # as Keras 3 calls them
    assert {item["module"] for item in found} == {"keras.layers"}


def test_activations_with_arguments_come_back_where_keras_3_need_not_read_them(tmp_path):
    activation = functools.partial(minikeras.activations.leaky_relu, negative_slope=0.5)
    model = Sequential([layers.Dense(3, activation=activation, input_dim=2)])
    for suffix in ("npz", "h5"):
        model.save(tmp_path / f"m.{suffix}")
        np.testing.assert_array_equal(load_model(tmp_path / f"m.{suffix}").predict(X), model.predict(X))


def test_an_activation_with_weights_of_its_own_comes_back_and_keras_3_has_none(tmp_path):
    model = Sequential([layers.Dense(3, activation="PReLU", input_dim=2)])
    model.set_weights([np.full(array.shape, -0.5) for array in model.get_weights()])
    for suffix in ("h5", "npz", "weights.h5"):
        path = tmp_path / f"m.{suffix}"
        model.save_weights(path) if "weights" in suffix else model.save(path)
        model.load_weights(path)
        if "weights" not in suffix:
            assert [array.shape for array in load_model(path).get_weights()] == [(2, 3), (3,), (3,)]
            np.testing.assert_array_equal(load_model(path).predict(X), model.predict(X))
    with pytest.raises(
        ValueError, match=r"Dense '.*': a \.keras file can't hold the activation 'PReLU', whose weights"
    ):
        model.save(tmp_path / "m.keras")


def test_global_pooling_that_keeps_its_axes_comes_back(tmp_path):
    model = Sequential([Input((4, 4, 2)), layers.GlobalMaxPooling2D(keepdims=True), layers.Conv2D(3, 1)])
    for suffix in ("keras", "h5"):
        model.save(tmp_path / f"m.{suffix}")
        assert load_model(tmp_path / f"m.{suffix}").output_shape == (None, 1, 1, 3)
    Sequential([Input((4, 2)), layers.GlobalMaxPooling1D()]).save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        assert "keepdims" not in file.attrs["model_config"]  # which Keras 2 doesn't know


def test_a_frozen_model_is_frozen_in_each_of_its_layers(tmp_path):
    inner = Sequential([layers.Dense(4, input_dim=3), Sequential([layers.BatchNormalization(name="norm")])])
    inner.trainable = False
    model = Sequential([inner, layers.Dense(2)])
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((4, 3)), np.ones((4, 2)))
    model.save(tmp_path / "m.keras")
    described = config_of(tmp_path / "m.keras")["config"]["layers"][1]
    norm = described["config"]["layers"][2]["config"]["layers"]
    assert [layer["config"].get("trainable") for layer in [described, *norm[1:]]] == [False, False]
    loaded = load_model(tmp_path / "m.keras")
    assert len(loaded.trainable_weights) == 2
    same_weights(model, loaded)


def test_weights_stand_where_keras_3_looks_for_them(tmp_path):
    inside = Sequential([layers.Dense(2, input_dim=2), layers.BatchNormalization(name="norm")], name="inside")
    wrapped = layers.TimeDistributed(layers.Dense(3), name="each", input_shape=(3, 2))
    model = Sequential([layers.TimeDistributed(inside, input_shape=(3, 2)), wrapped, layers.Dense(2), layers.Dense(1)])
    model.save_weights(tmp_path / "w.weights.h5")
    with h5py.File(tmp_path / "w.weights.h5") as file:
        assert [*file["layers"]] == ["dense", "dense_1", "time_distributed", "time_distributed_1"]
        assert [*file["layers/time_distributed/layer/layers/batch_normalization/vars"]] == ["0", "1", "2", "3"]
        assert file["layers/time_distributed/layer/layers/batch_normalization/vars"].attrs["name"] == "norm"
        assert file["layers/time_distributed_1/layer/vars/0"].shape == (2, 3)
        assert file["layers/time_distributed_1/vars"].attrs["name"] == "each"
    before = model.get_weights()
    model.set_weights([array + 1 for array in before])
    model.load_weights(tmp_path / "w.weights.h5")
    for array, its in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, its)


def test_what_does_not_fit_is_said_in_a_table_and_names_may_decide(tmp_path):
    path = tmp_path / "w.weights.h5"
    Sequential([layers.Dense(4, input_dim=2, name="a"), layers.Dense(3, name="b")]).save_weights(path)
    model = Sequential([layers.Dense(4, input_dim=2, name="a"), layers.Dense(5, name="b")])
    before = model.get_weights()
    with pytest.raises(ModelFileError, match=r"b +kernel +\(4, 5\) +\(4, 3\) in 'b'"):
        model.load_weights(path)
    with pytest.warns(UserWarning, match="these weights keep their values"):
        model.load_weights(path, by_name=True, skip_mismatch=True)
    assert not np.array_equal(model.get_weights()[0], before[0])
    np.testing.assert_array_equal(model.get_weights()[2], before[2])
    longer = Sequential([layers.Dense(4, input_dim=2), layers.Dense(3), layers.Dense(2, name="last")])
    with pytest.raises(ModelFileError, match=r"last +kernel +\(3, 2\) +-"):
        longer.load_weights(path)
    shorter = Sequential([layers.Dense(4, input_dim=2)])
    with pytest.raises(ModelFileError, match=r"- +vars/0 +- +\(4, 3\) in 'b'"):
        shorter.load_weights(path)


def test_losses_with_arguments_are_kept(tmp_path):
    model = Sequential([layers.Dense(3, input_dim=2)])
    model.compile("adam", {"class_name": "sparse_categorical_crossentropy", "config": {"from_logits": True}})
    loss = model.train_on_batch(X, LABELS)
    for suffix in (".keras", ".npz"):
        model.save(tmp_path / f"m{suffix}")
        loaded = load_model(tmp_path / f"m{suffix}")
        assert losses.serialize(losses.get(loaded.loss))["config"] == {"from_logits": True}
        assert loaded.evaluate(X, LABELS, verbose=0) == model.evaluate(X, LABELS, verbose=0) != loss
    rewritten(tmp_path / "m.keras", lambda metadata: metadata.pop("minikeras"), "metadata.json")
    loaded = load_model(tmp_path / "m.keras")  # as Keras 3 would write it
    assert loaded.evaluate(X, LABELS, verbose=0) == model.evaluate(X, LABELS, verbose=0)


def test_a_file_is_converted_to_every_format_and_back(tmp_path):
    source = KERAS3 / "auto.keras"
    for start, end in [(source, "a.npz"), ("a.npz", "b.keras"), ("b.keras", "c.weights.h5")]:
        assert main(["convert", str(tmp_path / start), str(tmp_path / end)]) == 0
    model, other = load_model(source), load_model(tmp_path / "b.keras")
    same_weights(model, other)
    for array, its in zip(model.optimizer.get_weights(), other.optimizer.get_weights(), strict=True):
        np.testing.assert_array_equal(array, its)
    other.load_weights(tmp_path / "c.weights.h5")
    same_weights(model, other)


class Twice(layers.Dense):
    """A layer of one's own."""

    def call(self, inputs):
        return 2.0 * super().call(inputs)


def test_classes_and_functions_of_ones_own_are_found_by_custom_objects(tmp_path):
    def own(y_true, y_pred):
        return losses.mean_squared_error(y_true, y_pred)

    model = Sequential([Twice(2, input_dim=2)])
    model.compile("sgd", own)
    model.save(tmp_path / "m.keras")
    assert config_of(tmp_path / "m.keras")["config"]["layers"][1]["module"] is None
    loaded = load_model(tmp_path / "m.keras", custom_objects={"Twice": Twice, "own": own})
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    with pytest.raises(ModelFileError, match="Unknown layer: 'Twice'"):
        load_model(tmp_path / "m.keras")
    named = {"module": "builtins", "class_name": "function", "config": "Custom>own", "registered_name": "function"}
    rewritten(tmp_path / "m.keras", lambda config: config["config"]["layers"][1]["config"].update(activation=named))
    for name in ("own", "Custom>own"):  # as Keras 3 names what is registered
        tripled = load_model(tmp_path / "m.keras", {"Twice": Twice, name: lambda x: 3.0 * x}, compile=False)
        np.testing.assert_allclose(tripled.predict(X), 3.0 * model.predict(X), rtol=1e-6)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    classifier().save(path)
    before = path.read_bytes()

    def fail(*arguments, **keywords):
        raise OSError("disk full")

    for owner, function in ((h5py.Group, "create_dataset"), (zipfile.ZipFile, "writestr")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, function, fail)
            with pytest.raises(OSError, match="disk full"):
                classifier().save(path)
        assert path.read_bytes() == before
        assert [entry.name for entry in tmp_path.iterdir()] == ["model.keras"]


def test_weights_alone_are_no_keras_file(tmp_path):
    with pytest.raises(ValueError, match=r"a \.keras file holds a whole model: model\.save writes it"):
        classifier().save_weights(tmp_path / "w.keras")
    classifier().save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(ModelFileError, match=r"holds no model, only arrays|only weights"):
        load_model(tmp_path / "w.weights.h5")


def test_without_h5py_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    path = tmp_path / "m.keras"
    classifier().save(path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for call in (lambda: load_model(path), lambda: classifier().save(path)):
        with pytest.raises(ImportError, match=r"pip install 'minikeras\[io\]'"):
            call()
