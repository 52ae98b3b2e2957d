"""Keras 2's HDF5 files: those that Keras wrote, those that minikeras writes, and what goes between them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import minikeras
from minikeras import Sequential, layers, optimizers
from minikeras.callbacks import ModelCheckpoint
from minikeras.models import Model, load_model, model_from_json
from minikeras.saving import ModelFileError
from tests.models.small import blobs, classifier

h5py = pytest.importorskip("h5py")

FOLDER = Path(__file__).parents[1] / "reference" / "keras224" / "models"
NAMES = ["auto", "lenet", "resid", "sep", "voxel", "wave"]
X, LABELS = blobs(samples=40)


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def same_weights(one, other):
    for array, its in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(array, its)


# ---------------------------------------------------------------------- files that Keras 2.2.4 wrote


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_keras_predicts_and_scores_as_there(name):
    arrays = np.load(FOLDER / f"{name}.npz")
    model = load_model(FOLDER / f"{name}.h5")
    close(model.predict(arrays["x"]), arrays["after"])
    close(model.evaluate(arrays["x"], arrays["y"], verbose=0), arrays["evaluate"])


@pytest.mark.parametrize("name", sorted({*NAMES} - {"voxel"}))  # its state holds TensorFlow's gradients of ties
def test_training_goes_on_where_keras_stopped(name):
    arrays = np.load(FOLDER / f"{name}.npz")
    model = load_model(FOLDER / f"{name}.h5")
    close([model.train_on_batch(arrays["x"][:8], arrays["y"][:8]) for _ in range(3)], arrays["resumed"])


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_keras_go_into_the_model_of_its_json(name):
    arrays = np.load(FOLDER / f"{name}.npz")
    model = model_from_json((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    model.load_weights(FOLDER / f"{name}.weights.h5")
    close(model.predict(arrays["x"]), arrays["after"])


@pytest.mark.parametrize("name", ["resid", "sep"])
def test_weights_of_a_whole_model_of_keras_are_found_by_the_layers_names(name):
    arrays = np.load(FOLDER / f"{name}.npz")
    model = model_from_json((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    model.load_weights(FOLDER / f"{name}.h5", by_name=True)
    close(model.predict(arrays["x"]), arrays["after"])


@pytest.mark.parametrize("name", NAMES)
def test_the_layout_written_is_that_of_keras(name, tmp_path):
    load_model(FOLDER / f"{name}.h5").save(tmp_path / "m.h5")
    with h5py.File(FOLDER / f"{name}.h5") as original, h5py.File(tmp_path / "m.h5") as ours:
        found, expected = ([*_weights(file, "model_weights")] for file in (ours, original))
        assert [place for place, _ in found] == [place for place, _ in expected]
        for (_, array), (_, its) in zip(found, expected, strict=True):
            np.testing.assert_array_equal(array, its)
        states = (
            [file["optimizer_weights"][n][()] for n in _names(file["optimizer_weights"])] for file in (ours, original)
        )
        for array, its in zip(*states, strict=True):
            np.testing.assert_array_equal(array, its)
        for attribute in ("keras_version", "backend"):
            assert ours.attrs[attribute] == original.attrs[attribute]
        training, expected = (json.loads(file.attrs["training_config"]) for file in (ours, original))
        assert {key: training["optimizer_config"]["config"][key] for key in expected["optimizer_config"]["config"]} == (
            expected["optimizer_config"]["config"]
        )


def _names(group):
    return [name.decode() for name in group.attrs["weight_names"]]


def _weights(file, place):
    for layer in file[place].attrs["layer_names"]:
        for name in _names(file[place][layer.decode()]):
            yield (layer, name), file[place][layer.decode()][name][()]


# ---------------------------------------------------------------------- files of later Keras

LATER = [
    *sorted((FOLDER.parents[1] / "keras3" / "models").glob("*.h5")),
    *(FOLDER.parents[1] / "tf_keras").glob("*.h5"),
]


@pytest.mark.parametrize("path", LATER, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_a_file_of_later_keras_predicts_as_there(path):
    arrays = np.load(path.with_suffix(".npz"))
    close(load_model(path, compile=False).predict(arrays["x"]), arrays["after"])


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
        assert _names(file["block"]) == [*trained, "norm/moving_mean:0", "norm/moving_variance:0"]


def test_what_was_frozen_when_the_file_was_written_does_not_shuffle_weights(tmp_path):
    written, read = _block(frozen=True), _block()
    written.save_weights(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5") as file:
        assert _names(file["block"])[-4] == "one/kernel:0"  # as Keras 2 has it
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


def without_own_attribute(path):
    with h5py.File(path, "r+") as file:
        del file.attrs["minikeras"]


@pytest.mark.parametrize("rule", ["rmsprop", "adagrad", "adadelta"])
def test_a_count_of_steps_that_keras_does_not_keep_is_said_where_it_matters(rule, tmp_path, recwarn):
    model = classifier()
    model.compile(optimizers.get({"class_name": rule, "config": {"decay": 0.1}}), "sparse_categorical_crossentropy")
    model.train_on_batch(X, LABELS)
    model.save(tmp_path / "m.h5")
    assert load_model(tmp_path / "m.h5").optimizer.iterations == 1
    without_own_attribute(tmp_path / "m.h5")
    with pytest.warns(UserWarning, match="doesn't hold how many steps were taken"):
        load_model(tmp_path / "m.h5")


def test_nothing_is_said_where_the_count_is_kept_or_does_not_matter(tmp_path):
    for rule in (optimizers.SGD(decay=0.1), optimizers.RMSprop()):
        model = classifier()
        model.compile(rule, "sparse_categorical_crossentropy")
        model.train_on_batch(X, LABELS)
        model.save(tmp_path / "m.h5")
        without_own_attribute(tmp_path / "m.h5")
        assert load_model(tmp_path / "m.h5").optimizer.iterations == rule.saves_iterations


LOST = "holds no state of its {}, which begins anew: it was lost"
MAYBE = r"holds no state of its {}, which begins anew\. If the model was compiled with these weights and not trained"


def trained(rule="adam", epochs=1):
    model = classifier()
    model.compile(rule, "sparse_categorical_crossentropy")
    model.fit(X, LABELS, epochs=epochs, verbose=0)
    return model


def without_state(path):
    with h5py.File(path, "r+") as file:
        del file["optimizer_weights"]


@pytest.mark.parametrize("own", [True, False])
def test_a_state_that_is_no_more_in_the_file_is_said(own, tmp_path):
    path = tmp_path / "m.h5"
    trained().save(path)
    without_state(path)
    if not own:
        without_own_attribute(path)
    with pytest.warns(UserWarning, match=f"m.h5: .*{(LOST if own else MAYBE).format('Adam')}") as said:
        optimizer = load_model(path).optimizer
    assert len(said) == 1
    assert said[0].filename == __file__
    assert (optimizer.iterations, optimizer.get_weights()) == (0, [])
    load_model(path, compile=False)


def test_a_state_that_a_file_of_keras_2_may_have_had_is_said(tmp_path):
    (tmp_path / "m.h5").write_bytes((FOLDER / "lenet.h5").read_bytes())
    without_state(tmp_path / "m.h5")
    with pytest.warns(UserWarning, match=MAYBE.format("Adam")):
        load_model(tmp_path / "m.h5")


def test_a_model_compiled_on_weights_that_were_trained_before_lost_nothing(tmp_path):
    path, model = tmp_path / "m.h5", trained()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.save(path)
    load_model(path)  # warnings are errors
    without_own_attribute(path)  # as Keras 2 writes it
    with pytest.warns(UserWarning, match=MAYBE.format("Adam")):
        load_model(path)


@pytest.mark.parametrize(
    ("rule", "epochs"),
    [("adam", 0), ("sgd", 1), (optimizers.SGD(momentum=0.9), 0)],
    ids=["never trained", "stateless", "never trained, with momentum"],
)
def test_nothing_is_said_of_a_state_that_there_never_was_or_that_says_nothing(rule, epochs, tmp_path):
    path = tmp_path / "m.h5"
    trained(rule, epochs).save(path)
    with h5py.File(path, "r+") as file:
        if epochs:
            del file["optimizer_weights"]
        assert "optimizer_weights" not in file  # as Keras 2.2.4 has it
    load_model(path)
    without_own_attribute(path)
    load_model(path)  # warnings are errors


def test_a_model_saved_without_its_optimizer_is_not_compiled_and_nothing_is_said(tmp_path):
    trained().save(tmp_path / "m.h5", include_optimizer=False)
    assert load_model(tmp_path / "m.h5").optimizer is None


def test_a_state_of_which_an_array_is_missing_leaves_the_rest_readable(tmp_path):
    path, model = tmp_path / "m.h5", trained()
    model.save(path)
    with h5py.File(path, "r+") as file:
        del file["optimizer_weights"][_names(file["optimizer_weights"])[-1]]
    with pytest.raises(
        ModelFileError, match=r"m.h5: .*compile=False\) reads the rest: it names the array 'optimizer_w"
    ):
        load_model(path)
    same_weights(load_model(path, compile=False), model)


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
    with h5py.File(tmp_path / "k1.h5", "w") as file:
        file.attrs["keras_version"] = b"1.2.2"
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": config}).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        for layer, names in weights.items():
            inside = group.create_group(layer)
            inside.attrs["weight_names"] = [name.encode() for name in names]
            for name in names:
                inside[name] = values[name].astype("f4")
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
        layers_of = {"model_weights": None, **{f"model_weights/{layer}": named for layer, named in weights.items()}}
        for place, named in {**layers_of, **({"optimizer_weights": state} if state else {})}.items():
            group = file.create_group(place)
            if named is None:
                group.attrs["layer_names"] = [name.encode() for name in weights]
                continue
            group.attrs["weight_names"] = [name.encode() for name in named]
            for name, array in named.items():
                group[name] = array


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


def test_a_kernel_of_keras_1_inside_of_another_layer_is_refused_by_name(tmp_path):
    inner = {"class_name": "Convolution1D", "config": {**COMMON, **OF_1D, "name": "inner"}}
    outer = {"name": "l", "batch_input_shape": [None, 5, 6, 4], "layer": inner, "trainable": True}
    weights = {"l": {"l_W": np.ones((2, 1, 4, 3)), "l_b": np.ones(3)}}
    file_of_keras_1(tmp_path / "k1.h5", [{"class_name": "TimeDistributed", "config": outer}], weights)
    with pytest.raises(ModelFileError, match=r"k1.h5: .*Convolution1D 'inner': Keras 1 stored its kernel with other"):
        load_model(tmp_path / "k1.h5")


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
