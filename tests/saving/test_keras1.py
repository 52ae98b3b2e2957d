"""Files of Keras 1: kernels that stood otherwise, layers and arguments of other names."""

from __future__ import annotations

import json

import numpy as np
import pytest

from minikeras import Sequential, layers, optimizers
from minikeras.models import Model, load_model
from minikeras.saving import ModelFileError
from tests.saving.files import X

h5py = pytest.importorskip("h5py")


def test_a_file_of_keras_1_is_read(tmp_path):
    convolution = {"nb_filter": 2, "nb_row": 3, "nb_col": 3, "border_mode": "same", "dim_ordering": "tf", "name": "c"}
    convolution |= {"batch_input_shape": [None, 4, 4, 1], "subsample": [1, 1], "init": "glorot_uniform", "bias": True}
    config = [
        {"class_name": "Convolution2D", "config": {**convolution, "activation": "relu", "trainable": True}},
        {"class_name": "Flatten", "config": {"name": "f", "trainable": True}},
        {"class_name": "Dense", "config": {"name": "d", "output_dim": 3, "input_dim": 32, "init": "uniform"}},
    ]
    weights = {"c": {"c_W": (3, 3, 1, 2), "c_b": (2,)}, "f": {}, "d": {"d_W": (32, 3), "d_b": (3,)}}
    values = {name: np.random.default_rng(0).normal(size=s) for ws in weights.values() for name, s in ws.items()}
    arrays = {layer: {name: values[name].astype("f4") for name in names} for layer, names in weights.items()}
    file_of_keras_1(tmp_path / "k1.h5", config, arrays)
    model = load_model(tmp_path / "k1.h5")
    for array, value in zip(model.get_weights(), values.values(), strict=True):
        np.testing.assert_array_equal(array, value.astype("f4"))


def file_of_keras_1(path, config, weights, model="Sequential", training=None, state=None):
    """A file as `save_model` of Keras 1.2.2 wrote it."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"1.2.2"
        file.attrs["model_config"] = json.dumps({"class_name": model, "config": config}).encode()
        if training:
            file.attrs["training_config"] = json.dumps(training).encode()
        fill(file.create_group("model_weights"), weights)
        if state:
            write_arrays(file, "optimizer_weights", state)


def fill(group, weights):
    """Write layers and their weights to a group of a file."""
    group.attrs["layer_names"] = [name.encode() for name in weights]
    for layer, named in weights.items():
        write_arrays(group, layer, named)


def write_arrays(group, place, named):
    inside = group.create_group(place)
    inside.attrs["weight_names"] = [name.encode() for name in named]
    for name, array in named.items():
        inside[name] = array


DECAYED = {"name": "WeightRegularizer", "l1": 0.0, "l2": 0.01}
COMMON = {"init": "glorot_uniform", "activation": "relu", "bias": True, "trainable": True, "W_regularizer": DECAYED}
COMMON |= {"b_regularizer": None, "activity_regularizer": None, "W_constraint": {"name": "MaxNorm", "m": 3, "axis": 0}}
COMMON |= {"b_constraint": None, "input_dtype": "float32", "border_mode": "valid", "name": "l"}
OF_2D = {"nb_filter": 3, "nb_row": 2, "nb_col": 2, "subsample": [1, 1]}
OF_1D = {"nb_filter": 3, "filter_length": 2, "subsample_length": 1, "input_dim": 4, "input_length": 6}
OLD_LAYERS = {  # the layer today, its input, Keras 1's class and arguments, and where its axes stood
    "steps": (layers.Conv1D(3, 2), (6, 4), "Convolution1D", OF_1D, lambda w: w[:, None]),
    "steps before 1.2": (
        layers.Conv1D(3, 2), (6, 4), "Convolution1D", OF_1D, lambda w: w.transpose(2, 1, 0)[..., None],
    ),
    "channels first": (
        layers.Conv2D(3, 2, data_format="channels_first"), (3, 5, 5), "Convolution2D",
        {**OF_2D, "dim_ordering": "th"}, lambda w: w.transpose(3, 2, 0, 1),
    ),
    "dilated": (
        layers.Conv2D(3, 2, dilation_rate=2), (5, 5, 3), "AtrousConvolution2D",
        {**OF_2D, "dim_ordering": "tf", "atrous_rate": [2, 2]}, lambda w: w,
    ),
    "transposed": (
        layers.Conv2DTranspose(3, 2), (5, 5, 3), "Deconvolution2D",
        {**OF_2D, "dim_ordering": "tf", "output_shape": [None, 6, 6, 3]}, lambda w: w.transpose(0, 1, 3, 2),
    ),
    "transposed, channels first": (
        layers.Conv2DTranspose(3, 2, data_format="channels_first"), (3, 5, 5), "Deconvolution2D",
        {**OF_2D, "dim_ordering": "th", "output_shape": [None, 3, 6, 6]}, lambda w: w.transpose(2, 3, 0, 1),
    ),
    "volumes, channels first": (
        layers.Conv3D(3, 2, data_format="channels_first"), (2, 4, 4, 4), "Convolution3D",
        {"nb_filter": 3, "kernel_dim1": 2, "kernel_dim2": 2, "kernel_dim3": 2, "subsample": [1, 1, 1],
         "dim_ordering": "th"}, lambda w: w.transpose(4, 3, 0, 1, 2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", [*OLD_LAYERS])
def test_kernels_of_keras_1_are_put_in_the_order_of_today(case, tmp_path):
    layer, shape, old, arguments, stored = OLD_LAYERS[case]
    made = type(layer).from_config({**layer.get_config(), "activation": "relu"})
    today = Sequential([layers.InputLayer(shape), made])
    rng = np.random.default_rng(0)
    kernel, bias = (rng.normal(size=w.shape).astype("f4") for w in today.get_weights())
    today.set_weights([kernel, bias])
    config = [{"class_name": old, "config": {**COMMON, **arguments, "batch_input_shape": [None, *shape]}}]
    file_of_keras_1(tmp_path / "k1.h5", config, {"l": {"l_W": stored(kernel), "l_b": bias}})
    model = load_model(tmp_path / "k1.h5")
    x = rng.normal(size=(2, *shape))
    np.testing.assert_array_equal(model.predict(x), today.predict(x))
    found = model.layers[-1].get_config()
    assert found["kernel_regularizer"]["config"]["l2"] == pytest.approx(0.01)
    assert found["kernel_constraint"]["config"] == {"max_value": 3, "axis": 0}


@pytest.mark.parametrize(
    ("case", "holder"),
    [*((case, "none") for case in OLD_LAYERS), ("steps", "a wrapper"), ("transposed, channels first", "a model")],
)
def test_kernels_in_files_of_weights_are_turned_for_the_layers_that_they_are_for(case, holder, tmp_path):
    layer, shape, _, _, stored = OLD_LAYERS[case]
    made = type(layer).from_config(layer.get_config())
    chain = Sequential([layers.InputLayer(shape), made, layers.BatchNormalization(axis=1)])
    model = {
        "none": chain,
        "a wrapper": Sequential([layers.InputLayer((2, *shape)), layers.TimeDistributed(made)]),
        "a model": Sequential([layers.InputLayer(shape), chain]),
    }[holder]
    rng = np.random.default_rng(0)
    values = [rng.uniform(0.5, 1.0, w.shape).astype("f4") for w in model.get_weights()]
    names = ["l_W", "l_b", "b_gamma", "b_beta", "b_mean", "b_std"][: len(values)]
    written = dict(zip(names, [stored(values[0]), *values[1:]], strict=True))
    groups = {"l": dict([*written.items()][:2]), "b": dict([*written.items()][2:])}
    with h5py.File(tmp_path / "w.h5", "w") as file:  # Keras 1 didn't say so in files of weights
        fill(file, groups if holder == "none" else {"holder": written})
    model.load_weights(tmp_path / "w.h5")
    for array, value in zip(model.get_weights(), values, strict=True):
        np.testing.assert_array_equal(array, value)


def test_kernels_of_no_shape_that_keras_1_had_are_shown_in_the_table(tmp_path):
    model = Sequential([layers.Conv1D(3, 2, input_shape=(6, 4), name="c")])
    with h5py.File(tmp_path / "w.h5", "w") as file:
        fill(file, {"l": {"l_W": np.ones((5, 1, 4, 3)), "l_b": np.ones(3)}})
    with pytest.raises(ModelFileError, match=r"c +kernel +\(2, 4, 3\) +\(4, 1, 5, 3\) in 'l'"):
        model.load_weights(tmp_path / "w.h5")


def test_a_file_with_names_of_today_has_kernels_of_today(tmp_path):
    model = Sequential([layers.Conv2DTranspose(3, 2, input_shape=(4, 4, 3), name="c")])
    model.save_weights(tmp_path / "w.h5")
    before = model.get_weights()
    with h5py.File(tmp_path / "w.h5", "r+") as file:
        del file.attrs["keras_version"]
    model.set_weights([array + 1 for array in before])
    model.load_weights(tmp_path / "w.h5")
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_a_kernel_of_keras_1_inside_of_another_layer_is_turned_too(tmp_path):
    given = {key: value for key, value in COMMON.items() if key != "input_dtype"}
    inner = {"class_name": "Convolution1D", "config": {**given, **OF_1D, "name": "inner"}}
    outer = {"name": "l", "batch_input_shape": [None, 5, 6, 4], "layer": inner, "trainable": True}
    kernel = np.random.default_rng(0).normal(size=(2, 1, 4, 3)).astype("f4")
    weights = {"l": {"l_W": kernel, "l_b": np.ones(3)}}
    file_of_keras_1(tmp_path / "k1.h5", [{"class_name": "TimeDistributed", "config": outer}], weights)
    np.testing.assert_array_equal(load_model(tmp_path / "k1.h5").get_weights()[0], kernel[:, 0])


@pytest.mark.parametrize("config", [3, {"layers": 3}, [3], [{"class_name": "Merge", "config": {"mode": []}}]])
def test_configurations_of_keras_1_that_are_none_are_refused(config, tmp_path):
    file_of_keras_1(tmp_path / "k1.h5", config, {"l": {"l_W": np.ones((2, 2))}})
    with pytest.raises(ModelFileError, match=r"k1.h5"):
        load_model(tmp_path / "k1.h5")


def test_a_graph_of_keras_1_trains_on(tmp_path):
    def dense(name, source):
        given = {key: value for key, value in COMMON.items() if key not in ("border_mode", "input_dtype")}
        given |= {"name": name, "output_dim": 2, "input_dim": 2, "W_regularizer": None, "W_constraint": None}
        return {"name": name, "class_name": "Dense", "config": given, "inbound_nodes": [[[source, 0, 0]]]}

    start = {"name": "i", "batch_input_shape": [None, 2], "input_dtype": "float32", "sparse": False}
    merge = {"name": "m", "mode": "concat", "mode_type": "raw", "concat_axis": -1, "dot_axes": -1, "arguments": {}}
    described = [
        {"name": "i", "class_name": "InputLayer", "config": start, "inbound_nodes": []},
        dense("a", "i"),
        dense("b", "i"),
        {"name": "m", "class_name": "Merge", "config": merge, "inbound_nodes": [[["a", 0, 0], ["b", 0, 0]]]},
    ]
    graph = {"name": "g", "layers": described, "input_layers": [["i", 0, 0]], "output_layers": [["m", 0, 0]]}
    x = layers.Input((2,))
    today = Model(x, layers.Concatenate()([layers.Dense(2, activation="relu")(x) for _ in range(2)]))
    today.compile(optimizers.Adam(epsilon=1e-8), "mse")
    target = np.tile(X, 2)
    today.train_on_batch(X, target)
    state = today.optimizer.get_weights()[:-4]  # Adam had no fourth part before 2.1.3, and a count in float32
    adam = {"lr": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "decay": 0.0}
    training = {"optimizer_config": {"class_name": "Adam", "config": adam}, "loss": "mse", "metrics": []}
    training |= {"sample_weight_mode": None, "loss_weights": None}
    kernel, bias, other, shift = today.get_weights()
    weights = {"i": {}, "a": {"a_W": kernel, "a_b": bias}, "b": {"b_W": other, "b_b": shift}, "m": {}}
    states = {f"v{number}": np.asarray(array, "f4") for number, array in enumerate(state)}
    file_of_keras_1(tmp_path / "k1.h5", graph, weights, "Model", training, states)
    model = load_model(tmp_path / "k1.h5")
    assert model.optimizer.iterations == 1
    for _ in range(2):
        assert model.train_on_batch(X, target) == today.train_on_batch(X, target)


def test_an_embedding_of_keras_1_keeps_its_sizes(tmp_path):
    config = {"name": "e", "batch_input_shape": [None, 7], "input_dtype": "int32", "input_dim": 5, "output_dim": 3}
    config |= {"init": "uniform", "input_length": 7, "mask_zero": False, "W_regularizer": None, "dropout": 0.0}
    table = np.arange(15.0).reshape(5, 3)
    file_of_keras_1(tmp_path / "k1.h5", [{"class_name": "Embedding", "config": config}], {"e": {"e_W": table}})
    np.testing.assert_array_equal(load_model(tmp_path / "k1.h5").predict(np.full((1, 7), 2))[0, 0], table[2])
