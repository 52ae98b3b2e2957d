"""Whole models in files, and training that goes on from them."""

from __future__ import annotations

import json

import numpy as np
import pytest

import minikeras
from minikeras import Sequential, layers, ops, optimizers
from minikeras.layers.base import Layer
from minikeras.models import load_model
from minikeras.saving import ModelFileError
from tests.models.small import blobs, classifier

X, LABELS = blobs(samples=40)


def noisy(optimizer="adam"):
    """Everything whose state must come along: dropout, batch statistics, a model inside, an optimizer with slots."""
    inner = Sequential([layers.Dense(6, activation="relu", input_dim=2), layers.Dropout(0.3)])
    model = Sequential([inner, layers.BatchNormalization(), layers.Dropout(0.2), layers.Dense(3, activation="softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["mae"][:0])
    return model


def assert_same_weights(one, other):
    for array, its in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(array, its)


@pytest.mark.parametrize(
    "optimizer",
    [
        "adam",
        lambda: optimizers.SGD(lr=0.05, momentum=0.9, nesterov=True, decay=0.01),
        lambda: optimizers.RMSprop(decay=0.1),
        "nadam",
        "adadelta",
        "adagrad",
        "adamax",
        lambda: optimizers.Adam(amsgrad=True, clipnorm=0.5),
    ],
)
def test_training_goes_on_bit_for_bit_from_a_file(optimizer, tmp_path):
    minikeras.set_seed(0)
    model = noisy(optimizer() if callable(optimizer) else optimizer)
    model.fit(X, LABELS, epochs=2, batch_size=7, verbose=0)
    model.save(tmp_path / "model.npz")
    minikeras.set_seed(None)
    loaded = load_model(tmp_path / "model.npz")
    assert_same_weights(model, loaded)
    assert loaded.evaluate(X, LABELS, verbose=0) == model.evaluate(X, LABELS, verbose=0)
    histories = [m.fit(X, LABELS, epochs=5, initial_epoch=2, batch_size=7, verbose=0).history for m in (model, loaded)]
    assert histories[0] == histories[1]
    assert_same_weights(model, loaded)


def test_a_saved_and_loaded_model_saves_to_the_same_bytes(tmp_path):
    model = noisy()
    model.fit(X, LABELS, verbose=0)
    model.save(tmp_path / "one.npz")
    load_model(tmp_path / "one.npz").save(tmp_path / "other.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()


def test_compile_arguments_and_the_present_rate_come_along(tmp_path):
    model = Sequential([layers.Dense(2, input_dim=2, name="out")])
    model.compile(
        optimizers.SGD(lr=0.5),
        {"out": "mse"},
        metrics={"out": ["mae"]},
        loss_weights={"out": 3.0},
        weighted_metrics=["mse"],
    )
    model.optimizer.lr = 0.125
    model.save(tmp_path / "model.npz")
    loaded = load_model(tmp_path / "model.npz")
    assert float(loaded.optimizer.lr) == 0.125
    assert loaded.metrics_names == model.metrics_names == ["loss", "mean_absolute_error", "weighted_mean_squared_error"]
    assert loaded.evaluate(X, X + 1, verbose=0) == model.evaluate(X, X + 1, verbose=0)


def test_what_is_trainable_stays_so(tmp_path):
    model = noisy()
    model.layers[0].layers[0].trainable = False
    model.layers[1].trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, LABELS, verbose=0)
    model.save(tmp_path / "model.npz")
    loaded = load_model(tmp_path / "model.npz")
    assert [w.shape for w in loaded.trainable_weights] == [w.shape for w in model.trainable_weights]


def test_a_model_can_be_saved_and_loaded_without_its_training(tmp_path):
    model = noisy()
    model.fit(X, LABELS, verbose=0)
    for name, loaded in (
        ("a.npz", lambda path: load_model(path, compile=False)),
        ("b.npz", load_model),
    ):
        model.save(tmp_path / name, include_optimizer=name == "a.npz")
        copy = loaded(tmp_path / name)
        assert copy.optimizer is None
        np.testing.assert_array_equal(copy.predict(X), model.predict(X))
    assert (tmp_path / "b.npz").stat().st_size < (tmp_path / "a.npz").stat().st_size


class Twice(Layer):
    def call(self, inputs):
        return inputs * 2.0

    def compute_output_shape(self, input_shape):
        return input_shape


def own_loss(y_true, y_pred):
    return ops.mean(ops.absolute(y_true - y_pred), axis=-1)


def test_own_classes_and_functions_are_found_by_name(tmp_path):
    model = Sequential([layers.Dense(1, input_dim=2), Twice()])
    model.compile("sgd", own_loss, metrics=[own_loss, "mse"])
    path = tmp_path / "model.npz"
    model.save(path)
    with pytest.raises(ValueError, match="Unknown layer: 'Twice'"):
        load_model(path)
    with pytest.raises(ValueError, match="Unknown loss: 'own_loss'"):
        load_model(path, {"Twice": Twice})
    loaded = load_model(path, {"Twice": Twice, "own_loss": own_loss})
    assert loaded.metrics_names == ["loss", "own_loss", "mean_squared_error"]
    with pytest.raises(ValueError, match="Unknown layer"):
        load_model(path)  # names are known for that call only


def test_a_loss_without_a_name_is_left_out_with_a_warning(tmp_path):
    model = Sequential([layers.Dense(1, input_dim=2)])
    model.compile("sgd", lambda y_true, y_pred: (y_true - y_pred) ** 2)
    with pytest.warns(UserWarning, match="saved without what belongs to training: compile it again after loading"):
        model.save(tmp_path / "model.npz")
    assert load_model(tmp_path / "model.npz").optimizer is None


def test_weights_can_be_read_from_the_file_of_a_model(tmp_path):
    model, other = classifier(), classifier()
    model.save(tmp_path / "model.npz")
    other.load_weights(tmp_path / "model.npz")
    assert_same_weights(model, other)


def test_a_file_is_replaced_only_if_it_may_be_and_never_by_half(tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    classifier().save(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="is there already, and overwrite is False"):
        classifier().save(path, overwrite=False)

    def fail(*arguments, **keywords):
        raise OSError("disk full")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OSError, match="disk full"):
        classifier().save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.npz"]


def rewritten(path, change):
    """The file with its description changed."""
    with np.load(path) as archive:
        arrays = dict(archive)
    description = json.loads(arrays["model"].tobytes())
    change(description, arrays)
    if "model" in arrays:
        arrays["model"] = np.frombuffer(json.dumps(description).encode(), np.uint8)
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, a: d.update(format=99), "has the format 99; this version of minikeras reads 1"),
        (lambda d, a: d.pop("model"), "the model can't be made of it"),
        (lambda d, a: d.update(model={"class_name": "Dense", "config": {"units": 1}}), "doesn't describe a model"),
        (lambda d, a: a.pop("model"), "holds no model, only arrays"),
        (lambda d, a: a.pop(next(k for k in a if k.startswith("weights/"))), "holds weights of another architecture"),
        (lambda d, a: a.pop("optimizer/0"), "doesn't hold the state of its optimizer"),
        (lambda d, a: d.update(streams=[[0, "lost", {}]]), "the random streams are not those of its layers"),
        (lambda d, a: d.update(streams=[[0, "_stream", {}]]), "the random streams are not those of its layers"),
    ],
)
def test_a_changed_file_is_refused(change, message, tmp_path):
    path = tmp_path / "model.npz"
    model = classifier()
    model.fit(X, LABELS, verbose=0)
    model.save(path)
    rewritten(path, change)
    with pytest.raises(ModelFileError, match=message):
        load_model(path)


@pytest.mark.parametrize("cut", [0, 10, 300, -30])
def test_a_cut_file_is_refused(cut, tmp_path):
    path = tmp_path / "model.npz"
    classifier().save(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ModelFileError, match=r"is damaged or not an \.npz file"):
        load_model(path)


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (ValueError, lambda: classifier().save("model.txt"), "save writes .npz files, Keras 3's .keras and Keras 2's"),
        (RuntimeError, lambda: Sequential([layers.Dense(1)]).save("model.npz"), "save needs a built model"),
        (FileNotFoundError, lambda: load_model("nowhere.npz"), "nowhere.npz"),
    ],
)
def test_wrong_calls_are_refused(error, call, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
