"""Models in files: architecture, weights, and all that training needs to go on as if it had never stopped."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import checks, layers, losses, metrics, optimizers, saving
from ..initializers import Ones, Zeros
from ..layers.base import Layer
from ..layers.catalog import shared
from ..layers.context import limited_weights
from ..registry import CustomObjectScope
from .compilation import each
from .streams import get_streams, set_streams, walk
from .training import Trainer

_LONGEST_REASON = 5000  # characters: errors quote what they received, and a file may hold much


def save_model(
    model: Any, filepath: str | os.PathLike[str], overwrite: bool = True, include_optimizer: bool = True
) -> None:
    """Write a model to one file: its configuration, its weights and its random streams.

    If it is compiled also the arguments of ``compile`` and the state of the optimizer: training goes on after
    `load_model` as it would have without.

    The file holds arrays and JSON, no code: functions and classes of your own are kept by name. It is written beside
    its place and moved there when complete, so that a crash leaves the old one whole.

    Args:
        model: A built model.
        filepath: Path that ends in ``.npz``; or in ``.keras`` for Keras 3, in ``.h5`` or ``.hdf5`` for Keras 2.
        overwrite: Whether to replace a file that is there.
        include_optimizer: Whether to write what belongs to training.

    Raises:
        RuntimeError: If the model isn't built.
        FileExistsError: If a file is there that must not be replaced.
        ValueError: If the path has another suffix, or a layer has something without a name in its configuration.
    """
    saving.check_path(filepath, "save", overwrite)
    checks.flag("save", "include_optimizer", include_optimizer)
    if not hasattr(model, "optimizer"):
        raise TypeError(f"save writes models, and no other layers. Received: {model!r:.200}")
    if not model.built:
        raise RuntimeError(f"{model}: save needs a built model. Give the first layer an input_shape, or call build")
    training = _training_config(model) if include_optimizer and model.optimizer is not None else None
    description = {"model": saving.describe(model), "training": training, "streams": get_streams(model)}
    state = [np.asarray(array) for array in model.optimizer.get_weights()] if training else []
    saving.save_model(filepath, description, saving.describe_weights(model.layers), state)


def load_model(
    filepath: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None, compile: bool = True
) -> Any:
    """Read a model that `save_model`, Keras 2, tf.keras or Keras 3 has written.

    Args:
        filepath: The file.
        custom_objects: Dict from name to class or function of your own that the model uses.
        compile: Whether to compile it as it was, with the state of its optimizer.

    Returns:
        The model.

    Raises:
        TypeError: If ``filepath`` is no path, or ``custom_objects`` no dict of classes and functions.
        FileNotFoundError: If there is no such file.
        ModelFileError: If the file is damaged or holds no model; a ValueError.
        ValueError: If a name is unknown.

    Example:
        >>> from minikeras import Sequential
        >>> model = Sequential([layers.Dense(1, input_dim=2)])
        >>> model.save("model.npz")
        >>> bool((load_model("model.npz").get_weights()[0] == model.get_weights()[0]).all())
        True
    """
    path = checks.path("load_model", "filepath", filepath)
    checks.flag("load_model", "compile", compile)
    given = {} if custom_objects is None else custom_objects
    with CustomObjectScope(given), saving.open_model(filepath) as file:
        with _named(path, "the model can't be made of it"):
            training, streams = file.description["training"], file.description["streams"]
            with limited_weights(file.elements), shared():
                model = layers.deserialize(file.description["model"])
            if not isinstance(model, Trainer):
                raise ValueError(f"it doesn't describe a model. Received: {model!r}")
            inside: list[Layer] = model.layers  # type: ignore[attr-defined]  # every registered model has them
            described = saving.describe_weights(inside)
            weights = [weight for layer in inside for weight in layer.weights]
            for weight, array in zip(weights, file.read_weights(described), strict=True):
                weight.assign(array)
        for remark in file.description.get("remarks", ()) if compile else ():
            warnings.warn(f"{path}: {remark}", stacklevel=2)
        if compile:
            with _named(path, f"it can't be compiled as it was; {saving.WITHOUT_TRAINING}"):
                if (why := file.description.get("unreadable")) is not None:
                    raise ValueError(why)
                if training is not None:
                    _compile(model, training, file)
        if file.united and not (model.optimizer and file.state):  # a state that fits has shown it
            warnings.warn(
                f"{path}: what is named {', '.join(map(repr, file.united[:8]))} has the same weights in several models "
                "or wrappers, and is taken for one layer",
                stacklevel=2,
            )
    _restore_streams(model, streams, path)
    return model


@contextmanager
def _named(path: str, what: str) -> Iterator[None]:
    """Say the file's name, and what failed, with the error that a configuration leads to."""
    try:
        yield
    except saving.ModelFileError:
        raise
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
        why = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise saving.ModelFileError(f"{path}: {what}: {str(why)[:_LONGEST_REASON]}") from error


def _training_config(model: Any) -> dict[str, Any] | None:
    """The arguments of ``compile`` as plain values; None, with a warning, if one of them has no name."""
    try:
        return {
            "optimizer": optimizers.serialize(model.optimizer),
            "iterations": model.optimizer.iterations,
            "loss": each(losses.serialize, each(losses.get, model.loss)),
            "metrics": each(_metric_config, model.metrics),
            "weighted_metrics": each(_metric_config, model.weighted_metrics),
            "loss_weights": model.loss_weights,
            "sample_weight_mode": model.sample_weight_mode,
        }
    except ValueError as error:
        warnings.warn(
            f"{model}: saved without what belongs to training: compile it again after loading. {error}", stacklevel=4
        )
        return None


def _metric_config(metric: Any) -> Any:
    return metric if isinstance(metric, str) else metrics.serialize(metrics.get(metric))


def _compile(model: Any, training: dict[str, Any], file: saving.ModelFile) -> None:
    optimizer = optimizers.deserialize(training["optimizer"])
    names = ("loss", "metrics", "loss_weights", "sample_weight_mode", "weighted_metrics")
    model.compile(optimizer, **{name: training[name] for name in names})
    steps = training["iterations"]
    if why := _missing_state(model, optimizer, steps, file):
        warnings.warn(
            f"{file.weights.path}: it says how the model was compiled, but holds no state of its "
            f"{type(optimizer).__name__}, which begins anew{why}",
            stacklevel=3,
        )
        return
    if file.state:
        optimizer.build(model.trainable_weights)
        optimizer.set_weights(file.read_optimizer([array.shape for array in optimizer.get_weights()]))
    if steps is not None:
        optimizer.iterations = steps
    elif file.state and optimizer.decay and not optimizer.saves_iterations:
        warnings.warn(
            f"{type(optimizer).__name__}: the file doesn't hold how many steps were taken, so that the decay of the "
            "rate begins anew. Set model.optimizer.iterations to their number",
            stacklevel=3,
        )


def _missing_state(model: Any, optimizer: Any, steps: Any, file: saving.ModelFile) -> str:
    """What is to be said of a state that isn't in the file; nothing where there was none.

    Keras 2 writes none of a model that was compiled and not trained since, and no count of steps: a file whose state
    was taken out looks the same. Weights that nobody has trained need no word.
    """
    stateless = not optimizer.slots or getattr(optimizer, "momentum", None) == 0
    if file.state or (stateless and not (optimizer.decay and steps is None)):
        return ""
    if file.always_has_state if steps is None else steps > 0:
        return ": it was lost"
    unknown = steps is None and _is_trained(model)
    return ". If the model was compiled with these weights and not trained since, there never was one" * unknown


def _is_trained(model: Any) -> bool:
    """Whether a weight that zeros or ones are made for has other values."""
    for layer in walk(model):
        for weight in [*layer._trainable_weights, *layer._non_trainable_weights]:
            name = str(weight.name).rpartition("/")[2]
            initial = getattr(layer, f"{name}_initializer", None)
            if isinstance(initial, (Zeros, Ones)) and not np.array_equal(weight.numpy(), initial(weight.shape)):
                return True
    return False


def _restore_streams(model: Any, states: list[Any], path: str) -> None:
    try:
        set_streams(model, states)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise saving.ModelFileError(f"{path}: the random streams are not those of its layers: {error}") from error
