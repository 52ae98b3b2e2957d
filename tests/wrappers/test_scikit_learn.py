"""Models as estimators of scikit-learn: scikit-learn's own checks, its tools, and Keras 2's manners."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs the extra minikeras[sklearn]")

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from minikeras import Sequential
from minikeras.layers import Conv2D, Dense, Flatten
from minikeras.wrappers.scikit_learn import KerasClassifier, KerasRegressor


def classifier(n_classes, units=32, loss="sparse_categorical_crossentropy"):
    model = Sequential([Dense(units, activation="relu"), Dense(n_classes, activation="softmax")])
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def binary():
    model = Sequential([Dense(8, activation="tanh"), Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def regressor(n_outputs):
    model = Sequential([Dense(32, activation="relu"), Dense(n_outputs)])
    model.compile("adam", "mse")
    return model


class OwnClassifier(KerasClassifier):
    def __call__(self, n_classes, units=4):
        return classifier(n_classes, units)


def two_clouds(samples=60):
    rng = np.random.default_rng(0)
    y = np.arange(samples) % 2
    return rng.normal(size=(samples, 3)) + 2.0 * y[:, None], y


QUIET = {"verbose": 0, "random_state": 0}

# What an estimator that trains by mini-batches, in float32, with Keras's score can't pass.
EXPECTED_TO_FAIL = {
    "check_sample_weight_equivalence_on_dense_data": "a sample that is left out moves the others to other batches",
    "check_regressors_train": "score is the negative loss, as in Keras 2, and not R2",
    "check_regressor_multioutput": "predictions are float32",
}
CHECKS = [
    *estimator_checks_generator(KerasClassifier(classifier, epochs=60, **QUIET)),
    *estimator_checks_generator(KerasRegressor(regressor, epochs=40, **QUIET)),
]


def name_of(check):
    return getattr(check, "func", check).__name__


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=lambda value: name_of(value) if callable(value) else None)
def test_a_check_of_scikit_learn(estimator, check):
    if name_of(check) in EXPECTED_TO_FAIL:
        with pytest.raises(AssertionError):
            check(estimator)
    else:
        check(estimator)


def test_fit_returns_the_estimator_whose_history_is_that_of_the_training():
    x, y = two_clouds()
    history = KerasClassifier(classifier, epochs=3, **QUIET).fit(x, y)
    assert isinstance(history, KerasClassifier)
    assert len(history.history["loss"]) == 3
    assert history.model.predict(x).shape == (60, 2)


def test_labels_of_any_kind_come_back():
    x, y = two_clouds()
    labels = np.array(["cat", "dog"])[y]
    fitted = KerasClassifier(classifier, epochs=60, **QUIET).fit(x, labels)
    assert fitted.classes_.tolist() == ["cat", "dog"]
    assert (fitted.predict(x) == labels).mean() > 0.9
    np.testing.assert_allclose(fitted.predict_proba(x), fitted.model.predict(x))
    assert fitted.score(x, labels) == pytest.approx((fitted.predict(x) == labels).mean())
    with pytest.raises(ValueError, match=r"labels that fit hasn't seen: \['cow'\]"):
        fitted.score(x, np.where(y, "cow", "cat"))


def test_one_hot_targets_are_made_for_categorical_crossentropy():
    x, y = two_clouds()
    by_number = KerasClassifier(classifier, loss="categorical_crossentropy", epochs=2, **QUIET).fit(x, y)
    one_hot = KerasClassifier(classifier, loss="categorical_crossentropy", epochs=2, **QUIET).fit(x, np.eye(2)[y])
    np.testing.assert_array_equal(by_number.predict_proba(x), one_hot.predict_proba(x))
    assert by_number.score(x, y) == one_hot.score(x, np.eye(2)[y])


def test_one_output_is_the_probability_of_the_second_class():
    x, y = two_clouds()
    fitted = KerasClassifier(binary, epochs=80, **QUIET).fit(x, y)
    second = fitted.model.predict(x)[:, 0]
    np.testing.assert_allclose(fitted.predict_proba(x), np.stack([1 - second, second], axis=1))
    np.testing.assert_array_equal(fitted.predict(x), (second > 0.5).astype(int))


def test_a_regressor_scores_by_its_negative_loss():
    x = np.linspace(-1, 1, 40).reshape(-1, 1)
    y = 3 * x[:, 0]
    fitted = KerasRegressor(regressor, epochs=100, **QUIET).fit(x, y)
    assert fitted.predict(x).shape == (40,)
    assert fitted.score(x, y) == pytest.approx(-np.mean((fitted.predict(x) - y) ** 2), rel=1e-4)
    weights = np.arange(40) < 5
    expected = -np.mean((fitted.predict(x)[:5] - y[:5]) ** 2)
    assert fitted.score(x, y, sample_weight=weights, batch_size=40) == pytest.approx(expected, rel=1e-4)


def test_images_are_samples_too():
    def build(n_classes):
        model = Sequential([Conv2D(2, 3, input_shape=(6, 6, 1)), Flatten(), Dense(n_classes, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = 0.3 * rng.normal(size=(40, 6, 6, 1)) + 2.0 * y[:, None, None, None]
    assert cross_val_score(KerasClassifier(build, epochs=40, batch_size=2, **QUIET), x, y, cv=2).min() > 0.8


def test_pipelines_and_searches_in_processes_of_their_own():
    x, y = two_clouds()
    pipeline = make_pipeline(StandardScaler(), KerasClassifier(classifier, **QUIET))
    grid = {"kerasclassifier__units": [4, 16], "kerasclassifier__epochs": [1, 40]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(x * 100, y)
    assert search.best_params_["kerasclassifier__epochs"] == 40
    assert search.best_score_ > 0.8


def test_a_clone_has_the_same_parameters_and_no_model():
    callbacks = []
    original = KerasClassifier(classifier, units=5, callbacks=callbacks, **QUIET).fit(*two_clouds())
    copied = clone(original)
    assert copied.get_params() == original.get_params()
    assert not hasattr(copied, "model")


def test_a_fitted_estimator_is_pickled_with_its_model_and_goes_on_as_if_it_had_not_been():
    x, y = two_clouds()
    fitted = KerasClassifier(classifier, epochs=2, **QUIET).fit(x, y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(x), fitted.predict_proba(x))
    assert again.model.train_on_batch(x, y) == fitted.model.train_on_batch(x, y)
    np.testing.assert_array_equal(again.predict_proba(x), fitted.predict_proba(x))


def test_a_subclass_can_build_the_model_itself():
    x, y = two_clouds()
    assert OwnClassifier(units=6, **QUIET).fit(x, y).model.layers[0].units == 6


def test_parameters_that_nobody_takes_are_refused():
    with pytest.raises(ValueError, match="unit is not a legal parameter"):
        KerasClassifier(classifier, unit=3)
    estimator = KerasClassifier(classifier, units=3)
    with pytest.raises(ValueError, match="unit is not a legal parameter"):
        estimator.set_params(unit=3)
    assert estimator.set_params(units=4, epochs=2).get_params() == {"build_fn": classifier, "units": 4, "epochs": 2}
    with pytest.raises(
        TypeError, match=r"build_fn must be a function that returns a model. Received: <Sequential 'm'>"
    ):
        KerasClassifier(Sequential(name="m")).fit(*two_clouds())
    with pytest.raises(TypeError, match=r"KerasClassifier: build_fn must return a compiled model. Received: None"):
        KerasClassifier(lambda: None).fit(*two_clouds())
    with pytest.raises(TypeError, match=r"build_fn must be a function that returns a model. Received: None"):
        KerasClassifier().fit(*two_clouds())


def test_arguments_go_where_they_are_taken_and_those_of_a_call_go_first():
    estimator = KerasClassifier(classifier, units=3, epochs=2, batch_size=8)
    assert estimator.filter_sk_params(classifier) == {"units": 3}
    assert estimator.filter_sk_params(Sequential.fit, {"epochs": 5}) == {"epochs": 5, "batch_size": 8}
    assert estimator.filter_sk_params(Sequential.predict) == {"batch_size": 8}
    fitted = estimator.fit(*two_clouds(), epochs=3, verbose=0)
    assert len(fitted.history["loss"]) == 3


def test_a_seed_makes_training_reproducible():
    x, y = two_clouds()
    first, second, other = (
        KerasClassifier(classifier, epochs=1, verbose=0, random_state=seed).fit(x, y).predict_proba(x)
        for seed in (1, np.random.RandomState(1), 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_the_name_of_keras_1_for_epochs_is_taken_with_a_warning():
    x, y = two_clouds()
    with pytest.warns(UserWarning, match="nb_epoch is called epochs"):
        fitted = KerasClassifier(classifier, nb_epoch=3, verbose=0).fit(x, y)
    assert len(fitted.history["loss"]) == 3


def test_accuracy_must_be_among_the_metrics():
    x = np.eye(2)
    with pytest.raises(ValueError, match=r"Pass metrics=\['accuracy'\]"):
        KerasClassifier(lambda: _without_metrics(), epochs=1, verbose=0).fit(x, [0, 1]).score(x, [0, 1])


def _without_metrics():
    model = Sequential([Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model
