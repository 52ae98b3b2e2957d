"""Models as estimators of scikit-learn: for pipelines, cross-validation and searches over hyperparameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np

from ..core.random import seed_scope
from ..models import Model, Sequential
from ..utils.np_utils import to_categorical

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
except ImportError as error:
    raise ImportError(
        "minikeras.wrappers.scikit_learn needs scikit-learn 1.6 or newer: pip install 'minikeras[sklearn]'"
    ) from error

__all__ = ["BaseWrapper", "KerasClassifier", "KerasRegressor"]

_ARRAYS = {"allow_nd": True, "dtype": "numeric"}  # images have more axes than two
_FURTHER_PARAMETERS = ("nb_epoch", "random_state")  # neither build_fn's nor in a method's signature


class BaseWrapper(BaseEstimator):
    """What `KerasClassifier` and `KerasRegressor` share.

    Args:
        build_fn: Function, or object with ``__call__``, that returns a compiled model. If None, the ``__call__`` of
            the subclass is it.
        **sk_params: Arguments of ``build_fn``, and of the model's ``fit``, ``predict`` and ``evaluate`` (``epochs``,
            ``batch_size``, ``verbose``, ...). Two more: ``random_state``, a seed with which every ``fit`` starts; and
            arguments of ``build_fn`` named ``input_shape`` (of one sample), ``n_classes`` or ``n_outputs`` that have no
            default and aren't given are filled in by ``fit``, from the data.

    Raises:
        ValueError: In `fit`, for a parameter that is none of these.
    """

    _several_outputs = False

    def __init__(self, build_fn: Callable[..., Any] | None = None, **sk_params: Any) -> None:
        self.build_fn = build_fn
        self._sk_params = sk_params
        self.check_params(sk_params)

    # ------------------------------------------------------------------ parameters

    @property
    def sk_params(self) -> dict[str, Any]:
        """The parameters beside ``build_fn``, from name to value."""
        return self._sk_params

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Refuse parameters that neither ``build_fn`` nor the model takes.

        Args:
            params: From name to value.

        Raises:
            ValueError: If there is such a parameter.
        """
        if self.build_fn is not None and not callable(self.build_fn):
            return  # scikit-learn wants a constructor to take anything; fit will say it
        takers: list[Callable[..., Any]] = [
            Sequential.fit,
            Sequential.predict,
            Sequential.predict_classes,
            Sequential.evaluate,
        ]
        takers += [self._build_fn()] if self.build_fn is not None or callable(self) else []
        for name in params:
            if name not in _FURTHER_PARAMETERS and not any(_takes(function, name) for function in takers):
                raise ValueError(f"{type(self).__name__}: {name} is not a legal parameter, of build_fn or of the model")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return ``build_fn`` and all ``sk_params``.

        Args:
            deep: For scikit-learn; parameters that have parameters of their own are not looked into.

        Returns:
            From name to value.
        """
        return {**self.sk_params, "build_fn": self.build_fn}

    def set_params(self, **params: Any) -> BaseWrapper:
        """Change parameters.

        Args:
            **params: From name to value.

        Returns:
            self

        Raises:
            ValueError: If a parameter is not legal; then none is changed.
        """
        before = self.build_fn
        self.build_fn = params.pop("build_fn", before)
        try:
            self.check_params(params)
        except ValueError:
            self.build_fn = before
            raise
        self.sk_params.update(params)
        return self

    def filter_sk_params(self, fn: Callable[..., Any], override: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return those of the ``sk_params`` that a function takes.

        Args:
            fn: The function.
            override: More arguments, which go before ``sk_params``.

        Returns:
            From name to value.
        """
        return {name: value for name, value in self.sk_params.items() if _takes(fn, name)} | dict(override or {})

    # ------------------------------------------------------------------ fitting

    @property
    def model(self) -> Any:
        """The model that `fit` has trained.

        Raises:
            AttributeError: Before `fit`.
        """
        return self.model_

    @property
    def history(self) -> dict[str, list[float]]:
        """The losses and metrics of the training, epoch by epoch.

        Keras 2's ``fit`` returned the History; here as in scikit-learn it returns the estimator, and this property
        lets ``clf.fit(x, y).history["loss"]`` mean the same.

        Raises:
            AttributeError: Before `fit`.
        """
        return self.history_

    def _fit(self, x: np.ndarray, y: np.ndarray, known: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
        """Build a model and train it; ``known`` is what the data say to a ``build_fn`` that asks."""
        build = self._build_fn()
        learned = {name: known[name] for name in known.keys() & _required(build) - self.sk_params.keys()}
        fit_arguments = self.filter_sk_params(Sequential.fit, arguments)
        if "nb_epoch" in self.sk_params:
            fit_arguments["nb_epoch"] = self.sk_params["nb_epoch"]  # fit knows what it is called today
        with self._seeded():
            self.model_ = build(**self.filter_sk_params(build, learned))
            if not isinstance(self.model_, Model):
                raise TypeError(
                    f"{type(self).__name__}: build_fn must return a compiled model. Received: {self.model_!r:.100}"
                )
            self.history_ = self.model_.fit(x, self._targets(y), **fit_arguments).history
        return self

    def _seeded(self) -> Any:
        state = self.sk_params.get("random_state")
        return nullcontext() if state is None else seed_scope(int(check_random_state(state).randint(2**31 - 1)))

    def _build_fn(self) -> Callable[..., Any]:
        build = self.build_fn if self.build_fn is not None else getattr(self, "__call__", None)  # noqa: B004
        if not callable(build) or isinstance(build, Model):
            raise TypeError(
                f"{type(self).__name__}: build_fn must be a function that returns a model. Received: {build!r}"
            )
        return build

    def _targets(self, y: np.ndarray) -> np.ndarray:
        """The targets in the form that the model's loss takes."""
        return y

    def _inputs(self, x: Any) -> np.ndarray:
        """Samples for a fitted model, checked."""
        check_is_fitted(self, "model_")
        return validate_data(self, x, reset=False, **_ARRAYS)

    def _predictions(self, x: Any, method: Callable[..., Any], arguments: Mapping[str, Any]) -> np.ndarray:
        x = self._inputs(x)
        return self.model_.predict(x, **self.filter_sk_params(method, arguments))

    def _evaluation(self, x: np.ndarray, y: np.ndarray, sample_weight: Any, arguments: Mapping[str, Any]) -> np.ndarray:
        """The loss and the metrics."""
        arguments = self.filter_sk_params(Sequential.evaluate, arguments)
        if sample_weight is not None:
            arguments["sample_weight"] = np.asarray(sample_weight)
        return np.atleast_1d(self.model_.evaluate(x, y, **arguments))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.multi_output = self._several_outputs
        tags.non_deterministic = "random_state" not in self.sk_params
        return tags


class KerasClassifier(ClassifierMixin, BaseWrapper):
    """A model as a classifier of scikit-learn.

    The labels may be of any kind; the model sees class numbers from 0, or one-hot rows if its loss is
    categorical_crossentropy.

    Args:
        build_fn: Function, or object with ``__call__``, that returns a compiled model. If None, the ``__call__`` of
            the subclass is it.
        **sk_params: Arguments of ``build_fn`` and of the model's methods; see `BaseWrapper`.

    Attributes:
        classes_: The labels, sorted.
        n_classes_: Their number.
        n_features_in_: Size of the second axis of the samples.
        model_: The trained model.
        history_: Dict from metric to its value in each epoch.

    Example:
        >>> import numpy as np
        >>> from minikeras.layers import Dense
        >>> def build(n_classes, units=8):
        ...     model = Sequential([Dense(units, activation="relu"), Dense(n_classes, activation="softmax")])
        ...     model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        ...     return model
        >>> x, y = np.eye(4), np.array(["cat", "cat", "dog", "dog"])
        >>> classifier = KerasClassifier(build, units=16, epochs=200, verbose=0, random_state=0).fit(x, y)
        >>> classifier.predict(x[:3])
        array(['cat', 'cat', 'dog'], dtype='<U3')
    """

    def fit(self, x: Any, y: Any, sample_weight: Any = None, **kwargs: Any) -> KerasClassifier:
        """Build a new model and train it.

        Args:
            x: Samples, array (samples, ...).
            y: Labels (samples,) or (samples, 1), or one-hot rows (samples, classes).
            sample_weight: Array (samples,).
            **kwargs: Arguments of the model's ``fit``.

        Returns:
            self; its ``history`` is that of the training.

        Raises:
            ValueError: If an array doesn't fit, or the labels are no classes.
        """
        x, y = validate_data(self, x, y, multi_output=True, **_ARRAYS)
        if y.ndim > 2 or y.shape[1:] == (0,):
            raise ValueError(f"{type(self).__name__}: Invalid shape for y: {y.shape}")
        check_classification_targets(y)
        if y.ndim == 2 and y.shape[1] > 1:
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_, y = np.unique(_column(y), return_inverse=True)
        self.n_classes_ = len(self.classes_)
        if self.n_classes_ < 2:
            raise ValueError(f"{type(self).__name__}: y must have two classes or more. Received: one class")
        if sample_weight is not None:
            kwargs["sample_weight"] = np.asarray(sample_weight)
            if not kwargs["sample_weight"].any():
                raise ValueError(
                    f"{type(self).__name__}: every sample_weight is zero, so that there is nothing to learn"
                )
        known = {"input_shape": x.shape[1:], "n_classes": self.n_classes_, "n_outputs": self.n_classes_}
        return self._fit(x, y, known, kwargs)

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """Compute the label of each sample.

        Args:
            x: Samples, array (samples, ...).
            **kwargs: Arguments of the model's ``predict_classes``.

        Returns:
            Array (samples,) of labels.
        """
        probabilities = self._probabilities(x, Sequential.predict_classes, kwargs)
        return self.classes_[probabilities.argmax(axis=-1)]

    def predict_proba(self, x: Any, **kwargs: Any) -> np.ndarray:
        """Compute the probability of each class.

        Args:
            x: Samples, array (samples, ...).
            **kwargs: Arguments of the model's ``predict_proba``.

        Returns:
            Array (samples, classes), the classes in the order of ``classes_``; also where the model has one output.
        """
        return self._probabilities(x, Sequential.predict_proba, kwargs)

    def score(self, x: Any, y: Any, sample_weight: Any = None, **kwargs: Any) -> float:
        """Compute the share of samples whose label is predicted.

        Args:
            x: Samples, array (samples, ...).
            y: Their labels, as for `fit`.
            sample_weight: Array (samples,).
            **kwargs: Arguments of the model's ``evaluate``.

        Returns:
            The accuracy.

        Raises:
            ValueError: If the model isn't compiled with ``metrics=["accuracy"]``.
        """
        x, y = self._inputs(x), np.asarray(y)
        if y.ndim < 2 or y.shape[1] == 1:
            y = _class_numbers(_column(y), self.classes_, self)
        values = self._evaluation(x, self._targets(y), sample_weight, kwargs)
        for name, value in zip(self.model_.metrics_names, values, strict=True):
            if name == "acc":
                return float(value)
        raise ValueError(
            f"{type(self).__name__}: the model isn't configured to compute accuracy. Pass metrics=['accuracy'] to "
            "model.compile in build_fn"
        )

    def _probabilities(self, x: Any, method: Callable[..., Any], arguments: Mapping[str, Any]) -> np.ndarray:
        outputs = self._predictions(x, method, arguments)
        return np.hstack([1 - outputs, outputs]) if outputs.shape[-1] == 1 else outputs

    def _targets(self, y: np.ndarray) -> np.ndarray:
        loss = self.model_.loss
        if getattr(loss, "__name__", loss) == "categorical_crossentropy" and y.ndim == 1:
            return to_categorical(y, self.n_classes_)
        return y


class KerasRegressor(RegressorMixin, BaseWrapper):
    """A model as a regressor of scikit-learn.

    Args:
        build_fn: Function, or object with ``__call__``, that returns a compiled model. If None, the ``__call__`` of
            the subclass is it.
        **sk_params: Arguments of ``build_fn`` and of the model's methods; see `BaseWrapper`.

    Attributes:
        n_features_in_: Size of the second axis of the samples.
        model_: The trained model.
        history_: Dict from metric to its value in each epoch.

    Example:
        >>> import numpy as np
        >>> from minikeras.layers import Dense
        >>> def build():
        ...     model = Sequential([Dense(1)])
        ...     model.compile("sgd", "mse")
        ...     return model
        >>> x = np.linspace(-1, 1, 32).reshape(-1, 1)
        >>> regressor = KerasRegressor(build, epochs=200, batch_size=4, verbose=0).fit(x, 2 * x[:, 0] + 1)
        >>> regressor.predict([[0.5]]).round(2)
        array([2.], dtype=float32)
    """

    _several_outputs = True

    def fit(self, x: Any, y: Any, **kwargs: Any) -> KerasRegressor:
        """Build a new model and train it.

        Args:
            x: Samples, array (samples, ...).
            y: Targets (samples,) or (samples, outputs).
            **kwargs: Arguments of the model's ``fit``.

        Returns:
            self; its ``history`` is that of the training.

        Raises:
            ValueError: If an array doesn't fit.
        """
        x, y = validate_data(self, x, y, multi_output=True, y_numeric=True, **_ARRAYS)
        known = {"input_shape": x.shape[1:], "n_outputs": y.shape[1] if y.ndim > 1 else 1}
        return self._fit(x, _column(y), known, kwargs)

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """Compute the outputs.

        Args:
            x: Samples, array (samples, ...).
            **kwargs: Arguments of the model's ``predict``.

        Returns:
            Array (samples,), or (samples, outputs) where the model has several.
        """
        outputs = self._predictions(x, Sequential.predict, kwargs)
        return outputs[:, 0] if outputs.shape[1:] == (1,) else outputs

    def score(self, x: Any, y: Any, sample_weight: Any = None, **kwargs: Any) -> float:
        """Compute the negative loss, of which more is better; not the R2 of scikit-learn's regressors.

        Args:
            x: Samples, array (samples, ...).
            y: Their targets.
            sample_weight: Array (samples,).
            **kwargs: Arguments of the model's ``evaluate``.

        Returns:
            The negative loss.
        """
        return -float(self._evaluation(self._inputs(x), np.asarray(y), sample_weight, kwargs)[0])


def _takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has an argument of this name; one that takes any isn't enough."""
    parameter = inspect.signature(function).parameters.get(name)
    return parameter is not None and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)


def _required(function: Callable[..., Any]) -> set[str]:
    return {name for name, parameter in inspect.signature(function).parameters.items() if _is_required(parameter)}


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD


def _column(y: np.ndarray) -> np.ndarray:
    """Targets (samples, 1) as (samples,), with scikit-learn's warning."""
    return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


def _class_numbers(labels: np.ndarray, classes: np.ndarray, owner: BaseWrapper) -> np.ndarray:
    numbers = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
    unknown = classes[numbers] != labels
    if unknown.any():
        raise ValueError(f"{type(owner).__name__}: y has labels that fit hasn't seen: {np.unique(labels[unknown])}")
    return numbers
