"""The state of optimizers, and the count of steps, in Keras 2's files: what is said where one is missing."""

from __future__ import annotations

import pytest

from minikeras import optimizers
from minikeras.models import load_model
from minikeras.saving import ModelFileError
from tests.models.small import classifier
from tests.saving.files import KERAS2, LABELS, X, names_in, same_weights, trained

h5py = pytest.importorskip("h5py")


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
    (tmp_path / "m.h5").write_bytes((KERAS2 / "lenet.h5").read_bytes())
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
        del file["optimizer_weights"][names_in(file["optimizer_weights"])[-1]]
    with pytest.raises(
        ModelFileError, match=r"m.h5: .*compile=False\) reads the rest: it names the array 'optimizer_w"
    ):
        load_model(path)
    same_weights(load_model(path, compile=False), model)
