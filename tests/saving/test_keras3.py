"""Files of Keras 3 and tf.keras: those that they wrote, those that minikeras writes, and what goes between them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import minikeras
from minikeras import Sequential, layers, losses, optimizers
from minikeras.__main__ import main
from minikeras.layers import Input
from minikeras.models import Model, load_model
from minikeras.saving import ModelFileError
from tests.models.small import blobs, classifier

h5py = pytest.importorskip("h5py")

FOLDER = Path(__file__).parents[1] / "reference"
MODELS = FOLDER / "keras3" / "models"
FILES = [
    *sorted(MODELS.glob("*.keras")),
    MODELS / "resid.h5",
    *sorted((FOLDER / "keras3" / "written").glob("*.keras")),
    *sorted((FOLDER / "tf_keras" / "trained").glob("*.h5")),
]
X, LABELS = blobs(samples=40)


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def same_weights(one, other):
    for array, its in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(array, its)


def several(arrays, name):
    """The arrays of a name: all of NAME0, NAME1, ... or NAME."""
    return [arrays[key] for key in arrays if key == name or key.removeprefix(name).isdecimal()]


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
    path.write_bytes((FOLDER / "keras3" / "written" / name).read_bytes())
    return path


# ---------------------------------------------------------------------- files that Keras 3 and tf.keras wrote


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
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


def test_the_arguments_of_compile_keep_their_meaning():
    model = load_model(FOLDER / "keras3" / "written" / "graph.keras")
    config = model.optimizer.get_config()
    assert (config["lr"], config["decay"], config["clipnorm"]) == (0.05, 0.25, 0.5)  # a schedule; global_clipnorm
    assert model.optimizer.iterations == 3
    assert model.loss == ["categorical_crossentropy", "mean_squared_error"]
    assert model.metrics == {"head": ["accuracy"], "value": ["mean_absolute_error"]}
    assert model.get_layer("shared").activation is minikeras.activations.hard_sigmoid6
    assert load_model(FOLDER / "keras3" / "written" / "amsgrad.keras").optimizer.weight_clipnorm == 0.1


def test_weights_go_into_a_model_with_other_names_by_the_count_of_their_classes():
    arrays = np.load(MODELS / "auto.npz")
    model = load_model(MODELS / "auto.keras", compile=False)
    unnamed = [(type(layer), {**layer.get_config(), "name": None}) for layer in model.layers]
    other = Sequential([Input(model.input_shape[1:]), *(kind.from_config(config) for kind, config in unnamed)])
    assert [layer.name for layer in other.layers] != [layer.name for layer in model.layers]
    other.load_weights(FOLDER / "keras3" / "auto.weights.h5")
    close(other.predict(arrays["x"]), arrays["after"])
    other.load_weights(MODELS / "auto.keras")
    same_weights(model, other)


def test_calls_of_models_are_counted_as_in_keras_3_in_its_h5_files_too(tmp_path):
    original = FOLDER / "keras3" / "written" / "graph.keras"
    model, config = load_model(original, compile=False), config_of(original)
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": config["config"]})
        file.attrs["keras_version"] = "3.15.1"
    x = several(np.load(original.with_suffix(".npz")), "x")
    for own, its in zip(load_model(tmp_path / "m.h5").predict(x), model.predict(x), strict=True):
        np.testing.assert_array_equal(own, its)


def test_a_graph_of_models_is_written_as_keras_3_wrote_it(tmp_path):
    original = FOLDER / "keras3" / "written" / "graph.keras"
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


# ---------------------------------------------------------------------- round trips


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
    source = MODELS / "auto.keras"
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


# ---------------------------------------------------------------------- what the other one hasn't


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            layers.ThresholdedReLU(),
            r"ThresholdedReLU 'odd': a \.keras file can't hold it, as Keras 3 has no such layer",
        ),
        (layers.LocallyConnected2D(2, 1), r"LocallyConnected2D 'odd': a \.keras file can't hold it"),
        (layers.TimeDistributed(layers.ThresholdedReLU(name="inner")), "ThresholdedReLU 'inner'"),
        (layers.Lambda(np.abs, output_shape=(2, 2, 2)), "Lambda 'odd'"),
        (layers.Activation("hard_sigmoid"), "Keras 3 means by it minikeras's 'hard_sigmoid6'"),
        (layers.Conv2DTranspose(2, 1, groups=2), "Conv2DTranspose 'odd': .* groups=2, which Keras 3 lacks"),
        (layers.UpSampling2D(interpolation="bilinear", half_pixel_centers=False), "half_pixel_centers=False"),
    ],
)
def test_what_keras_3_has_not_is_refused_before_anything_is_written(layer, message, tmp_path):
    layer.name = "odd"
    model = Sequential([Input((2, 2, 2)), layer])
    with pytest.raises(ValueError, match=message):
        model.save(tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == []


def test_a_layer_of_two_models_is_refused(tmp_path):
    start = Input((2,))
    shared = layers.Dense(2, name="shared")
    model = Model(start, layers.Add()([shared(start), Sequential([shared])(start)]))
    with pytest.raises(ValueError, match="'shared' is part of several models or wrappers"):
        model.save(tmp_path / "m.keras")


def test_an_argument_of_a_call_is_refused(tmp_path):
    start = Input((2,))
    with pytest.raises(ValueError, match=r"can't hold the arguments of its call.* Received: {'training': True}"):
        Model(start, layers.Dropout(0.5)(start, training=True)).save(tmp_path / "m.keras")


def test_optimizers_of_another_formula_are_said(tmp_path):
    model = classifier()
    path = tmp_path / "m.keras"
    model.compile(optimizers.RMSprop(epsilon=1e-4), "sparse_categorical_crossentropy")
    with pytest.warns(UserWarning, match="RMSprop: Keras 3 adds epsilon within the root"):
        model.save(path)
    assert config_of(path)["compile_config"]["optimizer"]["config"]["epsilon"] == 1e-8
    assert load_model(path).optimizer.get_config() == model.optimizer.get_config()
    for optimizer, why in [
        (optimizers.Nadam(), "Nadam has schedule_decay=1.0 and no other. Received: 0.004"),
        (optimizers.SGD(clipnorm=1.0, clipvalue=1.0), "limits gradients in one way only"),
    ]:
        model.compile(optimizer, "sparse_categorical_crossentropy")
        with pytest.warns(UserWarning, match=f"Keras 3 will load it without compiling it. .*{why}"):
            model.save(path)
        assert "compile_config" not in config_of(path)
        assert load_model(path).optimizer.get_config() == optimizer.get_config()


def optimizer_in(config):
    return config["compile_config"]["optimizer"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: optimizer_in(c).update(class_name="Lion"), "its optimizer is 'Lion', which minikeras doesn't have"),
        (lambda c: optimizer_in(c)["config"].update(weight_decay=0.1), "its Adam has weight_decay=0.1"),
        (
            lambda c: optimizer_in(c)["config"].update(learning_rate={"class_name": "CosineDecay", "config": {}}),
            "its Adam follows the schedule 'CosineDecay'",
        ),
        (
            lambda c: c["compile_config"].update(
                loss={"class_name": "CategoricalCrossentropy", "config": {"label_smoothing": 0.1}}
            ),
            "its loss 'CategoricalCrossentropy' has label_smoothing=0.1",
        ),
    ],
)
def test_training_that_minikeras_has_not_is_left_out_with_a_word(change, message, tmp_path):
    path = copied("amsgrad.keras", tmp_path)
    rewritten(path, change)
    with pytest.warns(UserWarning, match=f"loaded without what belongs to training, as {message}.*Compile the model"):
        assert load_model(path).optimizer is None


def test_an_optimizer_that_keras_3_lost_is_said(tmp_path):
    path = copied("amsgrad.keras", tmp_path)
    rewritten(path, lambda config: config["compile_config"].pop("optimizer"))  # as after save("m.h5") of the same model
    with pytest.warns(UserWarning, match="as it doesn't say which optimizer the model was compiled with"):
        assert load_model(path).optimizer is None


def test_a_name_alone_is_the_optimizer_with_tf_keras_s_arguments(tmp_path):
    path = tmp_path / "m.keras"
    model = classifier()
    rule = optimizers.Adagrad(0.001, epsilon_in_root=True, initial_accumulator=0.1)
    model.compile(rule, "sparse_categorical_crossentropy")
    model.fit(X, LABELS, verbose=0)
    model.save(path)
    rewritten(path, lambda metadata: metadata.update(keras_version="2.15.0", minikeras=None), "metadata.json")
    rewritten(path, lambda config: config["compile_config"].update(optimizer="adagrad"))
    loaded = load_model(path)
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert loaded.optimizer.iterations == model.optimizer.iterations == 2
    assert loaded.train_on_batch(X, LABELS) == model.train_on_batch(X, LABELS)


def test_a_state_that_is_no_more_in_the_archive_is_said(tmp_path):
    path = copied("amsgrad.keras", tmp_path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    data = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(data, "r+") as file:
        del file["optimizer"]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**parts, "model.weights.h5": data.getvalue()}.items():
            archive.writestr(name, content)
    with pytest.warns(UserWarning, match=r"m.keras: .*holds no state of its Adam, which begins anew: it was lost"):
        assert load_model(path).optimizer.iterations == 0
    load_model(path, compile=False)


def test_nothing_is_said_of_the_state_of_a_model_that_was_never_trained(tmp_path):
    model = classifier()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.save(tmp_path / "m.keras")
    load_model(tmp_path / "m.keras")  # warnings are errors


def test_metrics_that_minikeras_has_not_are_left_out_with_a_word(tmp_path):
    path = copied("amsgrad.keras", tmp_path)
    auc = {"module": "keras.metrics", "class_name": "AUC", "config": {"name": "auc"}, "registered_name": None}
    rewritten(path, lambda config: config["compile_config"].update(metrics=["mae", auc]))
    with pytest.warns(UserWarning, match="loaded without the metrics 'AUC'"):
        model = load_model(path)
    assert (model.metrics, model.optimizer.iterations) == (["mean_absolute_error"], 3)


# ---------------------------------------------------------------------- what a file can't do


def layer_in(config, number=1):
    return config["config"]["layers"][number]


LSTM = {"module": "keras.layers", "class_name": "LSTM", "config": {"name": "l", "units": 2}}
CODE = {"class_name": "__lambda__", "config": {"code": "YQ==", "defaults": None, "closure": None}}
LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "l", "function": CODE}}
SUM = {"module": "keras.src.ops.numpy", "class_name": "Add", "config": {"name": "add"}}
FOREIGN = {
    "module": "os",
    "class_name": "Dense",
    "config": {"name": "d", "units": 2},
    "registered_name": "theirs>Dense",
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(class_name="Dense"), "it describes no model, but 'Dense'"),
        (lambda c: c.pop("config"), "it describes no model"),
        (lambda c: layer_in(c).update(LSTM), "Unknown layer: 'LSTM'"),
        (lambda c: layer_in(c).update(LAMBDA), "Lambda 'l': function is stored as Python bytecode, which is never run"),
        (lambda c: layer_in(c).update(SUM), "the operation 'Add' of keras.src.ops.numpy stands between the layers"),
        (lambda c: layer_in(c).update(FOREIGN), "Unknown layer: 'theirs>Dense'"),
        (lambda c: layer_in(c)["config"].update(units=10**9), "the file doesn't hold so many weights"),
        (lambda c: layer_in(c)["config"].update(units=2), "holds weights of another architecture"),
        (lambda c: layer_in(c)["config"].update(units=-3), "units must be a positive integer"),
        (lambda c: layer_in(c)["config"].update(activation="glu"), "Unknown activation: 'glu'"),
        (
            lambda c: layer_in(c)["config"].update(dtype={"class_name": "P", "config": {"name": "mixed_float16"}}),
            "dtype",
        ),
        (lambda c: [layer_in(c, n).update(shared_object_id=7) for n in (1, 2)], "part of several models or wrappers"),
        (lambda c: optimizer_in(c)["config"].update(learning_rate=-1), "lr must be"),
        (lambda c: optimizer_in(c)["config"].update(amsgrad=False), "doesn't hold the state of its optimizer"),
    ],
)
def test_a_changed_configuration_is_refused_with_the_files_name(change, message, tmp_path):
    path = copied("amsgrad.keras", tmp_path)
    rewritten(path, change)
    with pytest.raises(ModelFileError) as caught:
        load_model(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def calls_of(config, kind):
    """What the first operation of a kind is called on."""
    return next(layer for layer in config["config"]["layers"] if layer["class_name"] == kind)["inbound_nodes"][0][
        "args"
    ]


@pytest.mark.parametrize(
    ("change", "operation"),
    [
        (lambda c: calls_of(c, "Add").__setitem__(1, 2.0), "Add"),
        (lambda c: calls_of(c, "Multiply")[1]["config"].update(shape=[None, 1]), "Multiply"),
        (lambda c: calls_of(c, "Maximum").pop(), "Maximum"),
        (lambda c: calls_of(c, "Tanh").__setitem__(0, [3]), "Tanh"),
        (lambda c: next(n for n in c["config"]["layers"] if n["class_name"] == "Relu").update(class_name="Cos"), "Cos"),
    ],
)
def test_operations_that_are_no_layers_are_named(change, operation, tmp_path):
    path = copied("operations.keras", tmp_path)
    rewritten(path, change)
    with pytest.raises(
        ModelFileError,
        match=rf"m.keras: the model can't be made of it: the operation '{operation}' of keras.* stands between the la",
    ):
        load_model(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(compile_config=[1]), "the arguments of compile must be a dict"),
        (lambda c: optimizer_in(c).update(config=None), "the optimizer's configuration must be a dict"),
        (lambda c: c["compile_config"].update(loss=3), "a loss or metric must be a name or a configuration"),
        (
            lambda c: optimizer_in(c)["config"].update(
                learning_rate={
                    "class_name": "InverseTimeDecay",
                    "config": {"initial_learning_rate": 1, "decay_rate": 1, "decay_steps": 0},
                }
            ),
            "division by zero",
        ),
    ],
)
def test_wrong_arguments_of_compile_are_refused_and_the_rest_can_be_read(change, message, tmp_path):
    path = copied("amsgrad.keras", tmp_path)
    rewritten(path, change)
    with pytest.raises(ModelFileError, match=rf"compile=False\) reads the rest: .*{message}"):
        load_model(path)
    same_weights(load_model(path, compile=False), load_model(FOLDER / "keras3" / "written" / "amsgrad.keras"))


def test_a_file_without_its_parts_is_refused(tmp_path):
    for member in ("config.json", "model.weights.h5"):
        path = tmp_path / "m.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(member, b"{}")
        with pytest.raises(ModelFileError, match=r"m\.keras is damaged or no \.keras file: there is no"):
            load_model(path)
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": []}}))
        archive.writestr("model.weights.h5", b"no HDF5")
    with pytest.raises(ModelFileError, match=r"m\.keras is damaged"):
        load_model(tmp_path / "m.keras")


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
