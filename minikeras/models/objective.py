"""What a model is trained for: the loss, its weight and the metrics of every output."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .. import checks, losses, metrics, ops
from ..core import config
from ..core.symbolic import SymbolicTensor
from ..core.tape import no_grad
from ..core.tensor import Tensor
from .captures import Capturing, apply, reads_symbols
from .data import Weights

Function = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Goals:
    """The arguments of ``compile``, losses and metrics looked up; what each output takes of them is not known yet."""

    loss: Any
    loss_weights: Any = None
    metrics: Any = None
    weighted_metrics: Any = None
    sample_weight_mode: Any = None


class Measure(NamedTuple):
    """A metric of an output: its name in the logs, the function, and whether sample weights count."""

    name: str
    function: Function
    weighted: bool


@dataclass(slots=True)
class Head:
    """What one output is trained for.

    Attributes:
        name: Of the output.
        shape: Of the output, with the batch axis; None where free.
        loss: Function (y_true, y_pred), or None if the output is not trained.
        loss_weight: Its factor in the total.
        mode: "temporal" if sample weights are for steps, else None.
        measures: The metrics.
    """

    name: str
    shape: tuple[int | None, ...]
    loss: Function | None
    loss_weight: float
    mode: str | None
    measures: list[Measure] = field(default_factory=list)

    def target_shape(self) -> tuple[int | None, ...] | None:
        """The shape that targets must have; None if the loss, being the user's own, decides."""
        function = getattr(self.loss, "func", self.loss)
        if function is losses.sparse_categorical_crossentropy:
            return (*self.shape[:-1], 1)
        name = getattr(function, "__name__", "")
        return self.shape if name and getattr(losses, name, None) is function else None

    def cast(self, target: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Targets in the type of the output; class numbers as they are."""
        if getattr(self.loss, "func", self.loss) is losses.sparse_categorical_crossentropy:
            return target
        return target.astype(dtype, copy=False)

    def check_target(self, target: np.ndarray, owner: str) -> None:
        """Raise ValueError if targets don't have the shape that the loss needs."""
        expected = self.target_shape()
        if expected is None or _fits(target.shape, expected):
            return
        if expected[-1] == 1 and _fits(target.shape, expected[:-1]):
            if self.shape != expected:
                return  # class numbers without the last axis of length one
            hint = " An axis of length one at the end is missing: y[..., None]."
        else:
            hint = _hint(target.shape, expected, self.shape)
        raise ValueError(
            f"{owner}: the target of the output {self.name!r} must have the shape {_readable(expected)} for the loss "
            f"{self.loss.__name__}.{hint} Received: shape {target.shape}"  # type: ignore[union-attr]
        )


class Objective:
    """The loss and the metrics of a model whose outputs are known.

    Args:
        goals: The arguments of ``compile``.
        names: Of the outputs.
        shapes: Of the outputs, with the batch axis.
        owner: The model, for messages.

    Attributes:
        heads: One for each output.
        names: The names of what a call returns: "loss", the losses of several outputs, the metrics.
        stateful: The metrics that keep a state from batch to batch (layers whose ``stateful`` is true), by name.

    Raises:
        ValueError: If losses, metrics or weights don't go with the outputs.
    """

    def __init__(
        self, goals: Goals, names: Sequence[str], shapes: Sequence[tuple[int | None, ...]], owner: str
    ) -> None:
        losses_, factors, modes = (
            per_output(getattr(goals, argument), names, argument, owner)
            for argument in ("loss", "loss_weights", "sample_weight_mode")
        )
        self.heads = [
            Head(name, tuple(shape), loss, _factor(factor, owner), _mode(mode, owner))
            for name, shape, loss, factor, mode in zip(names, shapes, losses_, factors, modes, strict=True)
        ]
        trained = [head for head in self.heads if head.loss is not None]
        self._several = len(self.heads) > 1
        self.names = ["loss", *(f"{head.name}_loss" for head in trained if self._several)]
        for argument, weighted in (("metrics", False), ("weighted_metrics", True)):
            given = metrics_of(getattr(goals, argument), names, argument, owner)
            for head, identifiers in zip(self.heads, given, strict=True):
                if head.loss is not None:
                    self._measure(head, identifiers, weighted)
        measures = [measure for head in trained for measure in head.measures]
        self.names += [measure.name for measure in measures]
        self.stateful = {m.name: m.function for m in measures if getattr(m.function, "stateful", False)}

    @property
    def resolved(self) -> dict[str, str]:
        """The name of each metric in the logs, and of the function that computes it."""
        return {measure.name: metrics.name_of(measure.function) for head in self.heads for measure in head.measures}

    def capture(
        self, target_of: Callable[[Head, SymbolicTensor], SymbolicTensor], outputs: Sequence[SymbolicTensor], known: Any
    ) -> list[SymbolicTensor]:
        """Record the losses and metrics that read tensors of the model, and return these tensors; see `Capturing`.

        Args:
            target_of: From a head and its output to a symbolic tensor for its targets.
            outputs: Of the model.
            known: As for `Capturing`.
        """
        found: dict[int, SymbolicTensor] = {}

        def recorded(function: Any, head: Head, output: SymbolicTensor) -> Any:
            if not reads_symbols(function):
                return function
            capturing = Capturing(function, target_of(head, output), output, known)
            found.update((id(symbol), symbol) for symbol in capturing.captured)
            return capturing

        for head, output in zip(self.heads, outputs, strict=True):
            head.loss = recorded(head.loss, head, output)
            head.measures = [m._replace(function=recorded(m.function, head, output)) for m in head.measures]
        return list(found.values())

    def reset_states(self) -> None:
        """Let the stateful metrics begin anew."""
        for metric in self.stateful.values():
            metric.reset_states()  # type: ignore[attr-defined]  # what makes it stateful

    def __call__(
        self,
        outputs: Sequence[Tensor],
        targets: Weights,
        weights: Weights,
        penalties: Iterable[Tensor],
        captured: Mapping[int, Tensor] | None = None,
    ) -> tuple[Tensor, list[float]]:
        """The loss of a batch, and the values that go with `names`.

        Args:
            outputs: Of the model; where one carries a mask, only the entries that it marks count.
            targets: As the outputs; None for an output without a loss.
            weights: Of the samples, for each output, or None.
            penalties: Scalars that are added to the loss.
            captured: The values of what `capture` returned, by the ids of the symbolic tensors.

        Returns:
            The total loss (scalar Tensor) and a list of floats.
        """
        captured = captured or {}
        total: Any = None
        parts: list[Tensor] = []
        values: list[float] = []
        for head, output, target, weight in zip(self.heads, outputs, targets, weights, strict=True):
            if head.loss is None or target is None:
                continue
            y_true = Tensor(head.cast(target, output.dtype))
            loss = average(apply(head.loss, y_true, output, captured), weight, output.mask)
            parts.append(loss)
            total = _plus(total, loss if head.loss_weight == 1.0 else loss * head.loss_weight)
            if head.measures:
                values += _values(head.measures, y_true, output, weight, captured)
        for penalty in penalties:
            total = _plus(total, penalty)
        return total, [total.item(), *([part.item() for part in parts] if self._several else []), *values]

    def _measure(self, head: Head, identifiers: list[Any], weighted: bool) -> None:
        """Add metrics to a head, under names that no other metric has."""
        for identifier in identifiers:
            name, function = metrics.resolve(identifier, head.loss, head.shape)
            prefix = (f"{head.name}_" if self._several else "") + ("weighted_" if weighted else "")
            taken = {*self.names, *(measure.name for other in self.heads for measure in other.measures)}
            candidates = (f"{prefix}{name}_{i}" if i else f"{prefix}{name}" for i in itertools.count())
            unique = next(candidate for candidate in candidates if candidate not in taken)
            head.measures.append(Measure(unique, function, weighted))


def average(scores: Any, weights: np.ndarray | None = None, mask: Tensor | None = None) -> Tensor:
    """The mean of scores; with weights Keras 2's: ``mean(scores * weights) / mean(weights != 0)``.

    Args:
        scores: Tensor (N, ...), or a scalar that is a mean already.
        weights: (N,) or (N, steps); axes of the scores beyond these are averaged first. If all are zero, so is
            the result.
        mask: (N, steps): the scores where it is false don't count, and the others are divided by its mean. Ignored
            by scores with fewer axes.

    Returns:
        Scalar Tensor.
    """
    scores = scores if isinstance(scores, Tensor) else Tensor(scores)
    if scores.dtype.kind == "b":
        scores = ops.cast(scores, dtype=config.floatx())
    if mask is not None and scores.ndim >= mask.ndim:
        kept = mask.numpy().astype(scores.dtype if scores.dtype.kind == "f" else config.floatx())
        if any(n not in (1, size) for n, size in zip(kept.shape, scores.shape, strict=False)):
            raise ValueError(
                f"the output's mask must have the first axes of the scores, {scores.shape}. Received: {kept.shape}"
            )
        scores = scores * _share(kept).reshape(kept.shape + (1,) * (scores.ndim - kept.ndim))
    if weights is None:
        return ops.mean(scores) if scores.ndim else scores
    beyond = tuple(range(weights.ndim, scores.ndim))
    if beyond:
        scores = ops.mean(scores, axis=beyond)
    used = max(int(np.count_nonzero(weights)), 1) / weights.size
    return ops.mean(scores * weights.astype(scores.dtype, copy=False)) / used


def _share(kept: np.ndarray) -> np.ndarray:
    """A mask of zeros and ones divided by its mean, unless all are zeros."""
    return kept / (kept.mean() or 1.0)


def per_output(value: Any, names: Sequence[str], argument: str, owner: str) -> list[Any]:
    """One item per output of what is given for all of them, in a list or in a dict by name.

    Raises:
        ValueError: If a list has another length or a dict names no output.
    """
    if isinstance(value, Mapping):
        unknown = [name for name in value if name not in names]
        if unknown:
            raise ValueError(f"{owner}: {argument} must name outputs of {list(names)}. Received: {unknown}")
        missing = [name for name in names if name not in value]
        if missing and argument == "loss":
            warnings.warn(f"{owner}: the outputs {missing} have no loss and are not trained", stacklevel=4)
        return [value.get(name) for name in names]
    if isinstance(value, (list, tuple)):
        if len(value) != len(names):
            raise ValueError(f"{owner}: {argument} must have an item for each of {list(names)}. Received: {value!r}")
        return list(value)
    return [value] * len(names)


def metrics_of(value: Any, names: Sequence[str], argument: str, owner: str) -> list[list[Any]]:
    """The metrics of each output: a list is for every output, a dict by name."""
    if isinstance(value, Mapping):
        return [_as_list(item) for item in per_output(value, names, argument, owner)]
    return [_as_list(value) for _ in names]


def warn_of_mismatch(loss: Function | None, activation: str | None, units: int | None, owner: str) -> None:
    """Warn where the last layer's activation and the loss don't go together.

    Args:
        loss: Of the output.
        activation: Name of the activation that makes the output.
        units: Length of the output's last axis.
        owner: The layer, for the message.
    """
    function = getattr(loss, "func", loss)
    if activation == "softmax" and units == 1:
        problem = "softmax over one unit is always 1: use 'sigmoid' with binary_crossentropy, or one unit per class"
    elif activation == "sigmoid" and function is losses.categorical_crossentropy:
        problem = (
            "categorical_crossentropy expects classes that exclude each other: use 'softmax', or binary_crossentropy"
        )
    elif activation == "softmax" and function is losses.binary_crossentropy and units != 1:
        problem = "binary_crossentropy takes each class by itself: use categorical_crossentropy with 'softmax'"
    else:
        return
    warnings.warn(f"{owner}: the activation {activation!r} and the loss don't go together; {problem}", stacklevel=4)


def _values(
    measures: Iterable[Measure],
    y_true: Tensor,
    output: Tensor,
    weight: np.ndarray | None,
    captured: Mapping[int, Tensor],
) -> Iterator[float]:
    mask, output = output.mask, output.detach()
    with no_grad():
        for measure in measures:
            scores = apply(measure.function, y_true, output, captured)
            yield float(average(scores, weight if measure.weighted else None, mask).item())


def _plus(total: Any, term: Any) -> Any:
    return term if total is None else total + term


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]


def _factor(loss_weight: Any, owner: str) -> float:
    return 1.0 if loss_weight is None else checks.number(owner, "each of loss_weights", loss_weight)


def _mode(mode: Any, owner: str) -> str | None:
    if mode not in (None, "temporal"):
        raise ValueError(f"{owner}: sample_weight_mode must be 'temporal' or None. Received: {mode!r}")
    return mode


def _fits(shape: tuple[int, ...], expected: Sequence[int | None]) -> bool:
    return len(shape) == len(expected) and all(
        want is None or want == size for want, size in zip(expected[1:], shape[1:], strict=True)
    )


def _readable(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join(["samples", *(str(size) for size in shape[1:])]) + ")"


def _hint(shape: tuple[int, ...], expected: Sequence[int | None], output: tuple[int | None, ...]) -> str:
    if _fits(shape, (*output[:-1], 1)) and output[-1] != 1:
        return " Class numbers go with sparse_categorical_crossentropy, or become one-hot by utils.to_categorical."
    if _fits(shape, output) and tuple(expected) != output:
        return " One-hot targets go with the loss categorical_crossentropy."
    return ""
