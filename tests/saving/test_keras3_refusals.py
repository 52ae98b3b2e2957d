"""What Keras 3 has and minikeras hasn't, and the other way round; what a ``.keras`` file can't do."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

from minikeras import Sequential, layers, optimizers
from minikeras.layers import Input
from minikeras.models import Model, load_model
from minikeras.saving import ModelFileError
from tests.models.small import classifier
from tests.saving.files import LABELS, WRITTEN, X, config_of, copied, rewritten, same_weights

h5py = pytest.importorskip("h5py")


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
        (
            layers.Dense(2, activation={"class_name": "relu", "config": {"alpha": 0.5}}),
            r"Dense 'odd': a \.keras file can't hold arguments of the activation 'relu'",
        ),
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
    same_weights(load_model(path, compile=False), load_model(WRITTEN / "amsgrad.keras"))


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
