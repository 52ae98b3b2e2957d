"""What goes into training: arrays in all the forms users have them, checked, cut into batches and cast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import config
from ..core.tensor import Tensor
from ..layers.shapes import count

Weights = list[np.ndarray | None]


@dataclass(frozen=True, slots=True)
class Samples:
    """Inputs, targets and weights of the same samples.

    Attributes:
        inputs: One array per input of the model, the samples along the first axis.
        targets: One array per output that has a loss; None for an output without.
        weights: One array per output, of shape (N,) or (N, steps); None where all samples count alike.
    """

    inputs: list[np.ndarray]
    targets: Weights
    weights: Weights

    def __len__(self) -> int:
        return next((len(array) for array in [*self.inputs, *self.targets] if array is not None), 1)

    def take(self, rows: slice | np.ndarray) -> Samples:
        """The samples at these rows: a view for a slice, a copy for row numbers."""
        return Samples(
            [_rows(array, rows) for array in self.inputs],
            [None if array is None else _rows(array, rows) for array in self.targets],
            [None if array is None else _rows(array, rows) for array in self.weights],
        )

    def repeated(self, times: int) -> Samples:
        """The samples, so many times one after the other."""
        inputs, *others = (
            [None if array is None else np.concatenate([array] * times) for array in arrays]
            for arrays in (self.inputs, self.targets, self.weights)
        )
        return Samples(inputs, *others)  # type: ignore[arg-type]  # no input is None

    def fed(self) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """What Keras 2 feeds: inputs, targets of outputs that have a loss, and their weights, ones where all count."""
        trained = [(y, weight) for y, weight in zip(self.targets, self.weights, strict=True) if y is not None]
        weights = [np.ones(len(self), config.floatx()) if weight is None else weight for _, weight in trained]
        return list(self.inputs), [y for y, _ in trained], weights

    def split_tail(self, fraction: float) -> tuple[Samples, Samples]:
        """The samples before and those in the last ``fraction``."""
        start = int(len(self) * (1.0 - fraction))
        return self.take(slice(0, start)), self.take(slice(start, None))


def as_arrays(data: Any, names: Sequence[str], kind: str, owner: str) -> list[np.ndarray]:
    """One array per name.

    Args:
        data: An array, or nested lists of numbers; for several names a list of them or a dict by name.
        names: Of the model's inputs or outputs.
        kind: "input" or "target", for messages.
        owner: The model, for messages.

    Returns:
        Arrays of numbers with at least two axes (a vector becomes a column), each with at least one sample.

    Raises:
        ValueError: If there is nothing, too much, or something that isn't numbers.
    """
    return [_as_array(part, f"{owner}: the {kind} {name!r}") for part, name in _parts(data, names, kind, owner)]


def as_targets(data: Any, names: Sequence[str | None], owner: str) -> Weights:
    """One array per output, None where the name is None (an output without a loss); see `as_arrays`."""
    wanted = [name for name in names if name is not None]
    if not wanted and data is None:
        return [None for _ in names]
    arrays = iter(as_arrays(data, wanted, "target", owner))
    return [None if name is None else next(arrays) for name in names]


def as_weights(
    sample_weight: Any,
    class_weight: Any,
    targets: Weights,
    names: Sequence[str],
    modes: Sequence[str | None],
    owner: str,
) -> Weights:
    """The weight of every sample for every output: sample_weight times the weight of its class.

    Args:
        sample_weight: Array (N,), or (N, steps) where the mode is "temporal"; a list or a dict by output name of
            them for a model of several outputs; or None.
        class_weight: Dict from class number to weight; a dict by output name of them; or None.
        targets: What `as_targets` returned.
        names: Of the outputs.
        modes: "temporal" or None for each output.
        owner: The model, for messages.

    Returns:
        One array per output, or None where neither is given.

    Raises:
        ValueError: If a shape doesn't fit or a class has no weight.
    """
    by_sample = _per_output(sample_weight, names, "sample_weight", owner)
    by_class = _per_output(class_weight, names, "class_weight", owner)
    weights: Weights = []
    for given, classes, target, name, mode in zip(by_sample, by_class, targets, names, modes, strict=True):
        where = f"{owner}: the output {name!r}"
        weight = None
        if target is not None:
            weight = None if given is None else _sample_weight(given, target, mode, where)
            if classes is not None:
                of_classes = _class_weight(classes, target, where)
                weight = of_classes if weight is None else (weight.T * of_classes).T
        weights.append(weight)
    return weights


def check_lengths(samples: Samples, owner: str) -> None:
    """Raise ValueError unless all arrays have the same number of samples."""
    if len(samples.inputs) == 1 and not samples.targets:
        return
    counts = {
        kind: [len(array) for array in arrays if array is not None]
        for kind, arrays in (("x", samples.inputs), ("y", samples.targets), ("sample_weight", samples.weights))
    }
    if len({length for lengths in counts.values() for length in lengths}) > 1:
        received = ", ".join(f"{kind}: {' and '.join(map(str, found))}" for kind, found in counts.items() if found)
        raise ValueError(f"{owner}: all arrays must have the same number of samples. Received: {received}")


def batches(samples: int, batch_size: int) -> Iterator[slice]:
    """The rows of each batch in turn; the last may be smaller."""
    return (slice(start, min(start + batch_size, samples)) for start in range(0, samples, batch_size))


def epoch_order(
    samples: int, batch_size: int, shuffle: bool | str, rng: np.random.Generator
) -> Iterator[slice | np.ndarray]:
    """The rows of each batch of an epoch: in order, shuffled, or with ``"batch"`` whole batches shuffled."""
    if shuffle == "batch":
        whole = list(batches(samples, batch_size))
        rest = [whole.pop()] if samples % batch_size else []
        return iter([whole[i] for i in rng.permutation(len(whole))] + rest)
    if shuffle:
        order = rng.permutation(samples)
        return (order[rows] for rows in batches(samples, batch_size))
    return batches(samples, batch_size)


def labels_are_sorted(target: np.ndarray) -> bool:
    """Whether class numbers or one-hot rows come class after class, so that a tail of them lacks classes."""
    labels = _labels(target)
    if labels is None or len(labels) < 3:
        return False
    steps = np.diff(labels.astype(np.float64))
    return bool(steps.any()) and bool((steps >= 0).all() or (steps <= 0).all())


# ---------------------------------------------------------------------- helpers


def _rows(array: np.ndarray, rows: slice | np.ndarray) -> np.ndarray:
    if isinstance(rows, np.ndarray) and array.flags.c_contiguous:
        return array.take(rows, axis=0)  # faster than array[rows], but copies all of an array in another order
    return array[rows]


def _parts(data: Any, names: Sequence[str], kind: str, owner: str) -> list[tuple[Any, str]]:
    expected = count(len(names), f"{kind} array")
    if isinstance(data, Mapping):
        missing = [name for name in names if name not in data]
        if missing or len(data) > len(names):
            raise ValueError(f"{owner}: expected {expected}, named {list(names)}. Received: a dict of {sorted(data)}")
        return [(data[name], name) for name in names]
    if data is None:
        raise ValueError(f"{owner}: expected {expected}. Received: None")
    if _lists_arrays(data) or (len(names) > 1 and isinstance(data, (list, tuple))):
        if len(data) != len(names):
            hint = " np.stack makes one array of a list of samples." if len(names) == 1 else ""
            raise ValueError(f"{owner}: expected {expected}.{hint} Received: a list of {len(data)} arrays")
        return list(zip(data, names, strict=True))
    if len(names) != 1:
        raise ValueError(f"{owner}: expected a list of {expected}. Received: {type(data).__name__}")
    return [(data, names[0])]


def _lists_arrays(data: Any) -> bool:
    return isinstance(data, (list, tuple)) and any(
        isinstance(item, (np.ndarray, Tensor)) and item.ndim for item in data
    )


def _as_array(value: Any, what: str) -> np.ndarray:
    try:
        array = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{what} must be numbers in a regular shape. Received: {type(value).__name__}") from error
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{what} must be real numbers. Received: {type(value).__name__} of dtype {array.dtype}")
    if not array.ndim or not len(array):
        raise ValueError(f"{what} must hold at least one sample. Received: shape {array.shape}")
    return array[:, None] if array.ndim == 1 else array


def _per_output(value: Any, names: Sequence[str], argument: str, owner: str) -> list[Any]:
    """What is given for each output: by name, in order, or as it is for the only one."""
    if isinstance(value, Mapping) and value and all(isinstance(key, str) for key in value):
        unknown = [key for key in value if key not in names]
        if unknown:
            raise ValueError(f"{owner}: {argument} names outputs of {list(names)}. Received: {unknown}")
        return [value.get(name) for name in names]
    if len(names) == 1:
        return list(value) if _lists_arrays(value) and len(value) == 1 else [value]
    if value is None:
        return [None] * len(names)
    if isinstance(value, (list, tuple)) and len(value) == len(names):
        return list(value)
    raise ValueError(
        f"{owner}: {argument} must be a list of {len(names)} or a dict by output name. Received: {value!r:.80}"
    )


def _sample_weight(value: Any, target: np.ndarray, mode: str | None, where: str) -> np.ndarray:
    weight = np.asarray(value)
    if weight.dtype.kind not in "fiub":
        raise ValueError(f"{where}: sample_weight must be numbers. Received: dtype {weight.dtype}")
    if mode == "temporal":
        if target.ndim < 3 or weight.shape != target.shape[:2]:
            raise ValueError(
                f"{where}: sample_weight_mode='temporal' takes a weight for each step, of shape (samples, steps), "
                f"and targets (samples, steps, ...), here {target.shape}. Received: sample_weight {weight.shape}"
            )
        return weight
    if weight.ndim == 2 and weight.shape[1] == 1:
        weight = weight[:, 0]
    if weight.ndim != 1:
        raise ValueError(
            f"{where}: sample_weight must have one axis, a weight for each of the {len(target)} samples; weights for "
            f"each step need compile(sample_weight_mode='temporal'). Received: shape {weight.shape}"
        )
    return weight


def _class_weight(by_class: Any, target: np.ndarray, where: str) -> np.ndarray:
    if isinstance(by_class, str):
        raise ValueError(
            f"{where}: class_weight must be a dict from class number to weight, which says what counts how much. "
            "For weights that balance the classes: dict(enumerate(sklearn.utils.class_weight.compute_class_weight("
            f"'balanced', classes=numpy.unique(y), y=y))). Received: {by_class!r}"
        )
    if not isinstance(by_class, Mapping):
        raise ValueError(f"{where}: class_weight must be a dict from class number to weight. Received: {by_class!r}")
    labels = _labels(target)
    if labels is None:
        raise ValueError(f"{where}: class_weight needs targets of one or two axes. Received: shape {target.shape}")
    classes, positions = np.unique(labels, return_inverse=True)
    missing = [number.item() for number in classes if number.item() not in by_class]
    if missing:
        raise ValueError(
            f"{where}: class_weight must have a weight for every class. Received: {dict(by_class)}, without {missing}"
        )
    return np.array([by_class[number.item()] for number in classes], dtype=np.float64)[positions.reshape(-1)]


def _labels(target: np.ndarray) -> np.ndarray | None:
    """The class of each sample, of class numbers (N, 1) or rows (N, classes); None for other shapes."""
    if target.ndim != 2:
        return None
    return target[:, 0] if target.shape[1] == 1 else target.argmax(axis=1)
