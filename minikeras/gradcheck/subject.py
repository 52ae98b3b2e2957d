"""Subjects: what can be checked, each a function of arrays with a gradient that somebody claims.

A `Subject` gives the values of a function and, for a cotangent of each output, the claimed gradient of each input.
The checker knows nothing else of it, so that operations of the engine, hand-written NumPy, layers and models are
checked by the same code.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core import tape
from ..core.tensor import Tensor
from .arrays import Arrays

Gradients = list[np.ndarray | None]


class Subject(ABC):
    """A function of arrays, and the gradient that it claims to have.

    Attributes:
        owner: Who asks, for messages: "check_gradients", "check_layer", ...
        names: One for each input.
        points: Where to check, one array for each input; those of a floating-point type are differentiated.
    """

    owner: str
    names: list[str]
    points: Arrays

    @abstractmethod
    def values(self, arrays: Arrays) -> Arrays:
        """The outputs at these inputs; outputs that are None are left out."""

    @abstractmethod
    def gradients(self, arrays: Arrays, cotangents: Arrays) -> Gradients:
        """The claimed gradient of ``sum(output * cotangent)`` in each input; None where none arrives."""

    @property
    def differentiable(self) -> list[int]:
        """The numbers of the inputs that have a gradient."""
        return [i for i, point in enumerate(self.points) if point.dtype.kind == "f"]


class EngineSubject(Subject):
    """What the engine differentiates: a subclass says how to run it."""

    plain = False  # whether values are computed off the tape

    @abstractmethod
    def run(self, arrays: Arrays) -> tuple[list[Tensor], list[Tensor]]:
        """The inputs as places on the tape, and the outputs computed from them."""

    def values(self, arrays: Arrays) -> Arrays:
        """The outputs, computed off the tape where that was seen to give the same."""
        with tape.no_grad() if self.plain else tape.enable_grad():
            return [output.data for output in self.run(arrays)[1]]

    def gradients(self, arrays: Arrays, cotangents: Arrays) -> Gradients:
        """The gradients that the tape gives."""
        with tape.enable_grad():
            leaves, outputs = self.run(arrays)
            return [None if g is None else g.data for g in pulled_back(leaves, outputs, cotangents, False)]

    def try_off_the_tape(self) -> None:
        """Let `values` do without the tape if it gives the same: a function may differentiate inside of itself."""
        recorded = self.values(self.points)
        self.plain = True
        try:
            found = self.values(self.points)
            self.plain = len(found) == len(recorded) and all(map(_nearly_equal, found, recorded))
        except Exception:  # noqa: BLE001 (whatever it is that needs the tape)
            self.plain = False


class FunctionSubject(EngineSubject):
    """A function of Tensors.

    Args:
        function: Takes a Tensor for each array, returns a Tensor, or a tuple or list of Tensors and Nones.
        points: The arrays.
        names: Of the inputs.
        owner: For messages.
    """

    def __init__(self, function: Callable[..., Any], points: Arrays, names: list[str], owner: str) -> None:
        self.function = function
        self.points = points
        self.names = names
        self.owner = owner
        self.try_off_the_tape()

    def run(self, arrays: Arrays) -> tuple[list[Tensor], list[Tensor]]:
        """Call the function on fresh Tensors."""
        leaves = [Tensor(array, requires_grad=array.dtype.kind == "f") for array in arrays]
        try:
            return leaves, as_outputs(self.function(*leaves), self.owner)
        except TypeError as error:
            if "NumPy was given a Tensor" not in str(error):
                raise
            hint = "or, if the function is one of plain arrays, give its hand-written gradient as gradient="
            raise TypeError(f"{self.owner}: {error}; {hint}") from error


class ArraySubject(Subject):
    """A function of arrays with a hand-written gradient.

    Args:
        function: Takes the arrays, returns a number or an array, or a tuple or list of them.
        gradient: Takes the arrays, or a cotangent for each output first; returns the gradients.
        points: The arrays.
        names: Of the inputs.
        owner: For messages.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        gradient: Callable[..., Any],
        points: Arrays,
        names: list[str],
        owner: str,
    ) -> None:
        self.function = function
        self.gradient = gradient
        self.points = points
        self.names = names
        self.owner = owner
        self._pulls_back = takes(gradient, len(points) + 1)
        self._scalar_only = takes(gradient, len(points))

    def values(self, arrays: Arrays) -> Arrays:
        """The outputs."""
        result = self.function(*arrays)
        several = result if isinstance(result, (tuple, list)) else [result]
        if all(output is None for output in several):
            raise TypeError(f"{self.owner}: the function must return a number or an array. Received: {result!r}")
        return [_as_output(output, self.owner) for output in several if output is not None]

    def gradients(self, arrays: Arrays, cotangents: Arrays) -> Gradients:
        """What the hand-written gradient gives."""
        scalar = len(cotangents) == 1 and cotangents[0].size == 1
        if self._scalar_only and (scalar or not self._pulls_back):
            if not scalar:
                shapes = [cotangent.shape for cotangent in cotangents]
                raise ValueError(
                    f"{self.owner}: the function's output isn't a single number, so gradient must take a cotangent of "
                    f"its shape before the inputs: gradient(cotangent, *inputs). Received: outputs of shape {shapes}"
                )
            factor = cotangents[0].reshape(())
            found = self._checked(self.gradient(*arrays))
            return [None if g is None else np.asarray(g * factor, g.dtype) for g in found]
        cotangent: Any = cotangents[0] if len(cotangents) == 1 else tuple(cotangents)
        return self._checked(self.gradient(cotangent, *arrays))

    def _checked(self, found: Any) -> Gradients:
        return as_gradients(found, self, "gradient")


class ForwardBackwardSubject(Subject):
    """An object with ``forward(*inputs)`` and ``backward(grad_output)``.

    Args:
        module: The object.
        points: The arrays.
        names: Of the inputs.
        owner: For messages.
    """

    def __init__(self, module: Any, points: Arrays, names: list[str], owner: str) -> None:
        self.module = module
        self.points = points
        self.names = names
        self.owner = owner

    def values(self, arrays: Arrays) -> Arrays:
        """What ``forward`` gives."""
        result = self.module.forward(*arrays)
        several = result if isinstance(result, (tuple, list)) else [result]
        if all(output is None for output in several):
            raise TypeError(f"{self.owner}: forward must return a number or an array. Received: {result!r}")
        return [_as_output(output, self.owner) for output in several if output is not None]

    def gradients(self, arrays: Arrays, cotangents: Arrays) -> Gradients:
        """What ``backward`` gives right after ``forward``."""
        self.module.forward(*arrays)
        found = self.module.backward(cotangents[0] if len(cotangents) == 1 else tuple(cotangents))
        return as_gradients(found, self, "backward")


class SlopeSubject(Subject):
    """The slope of another subject along a fixed direction, as a function of its inputs and of the cotangents.

    Its gradient in the inputs is the Hessian times the direction, so that checking it checks second derivatives. The
    gradient is multiplied with the directions outside of the engine, whose own rules for sums and products are checked
    by this as well.

    Args:
        first: What the engine differentiates once.
        cotangents: One for each output, where the slope's gradient in them is checked.
        directions: One for each differentiable input.
    """

    def __init__(self, first: EngineSubject, cotangents: Arrays, directions: Arrays) -> None:
        self.first = first
        self.directions = directions
        self.owner = first.owner
        self._count = len(first.points)
        self._cotangents = cotangents
        several = len(cotangents) > 1
        labels = [f"cotangent {i}" if several else "cotangent" for i in range(len(cotangents))]
        self.names = [*first.names, *labels]
        self.points = [*first.points, *cotangents]

    def values(self, arrays: Arrays) -> Arrays:
        """The slope as one number; it needs the tape."""
        with tape.enable_grad():
            found = self._gradients(arrays, create_graph=False)[1]
        products = [np.vdot(g.data, d) for g, d in self._fitting(found)]
        kinds = {d.dtype for d in self.directions}
        return [np.asarray(sum(map(float, products)), kinds.pop() if len(kinds) == 1 else np.float64)]

    def gradients(self, arrays: Arrays, cotangents: Arrays) -> Gradients:
        """The gradient of the slope: the gradients pulled back once more, by the directions."""
        with tape.enable_grad():
            leaves, found = self._gradients(arrays, create_graph=True)
            fitting = self._fitting(found)
            weights = [np.asarray(d * cotangents[0], d.dtype) for _, d in fitting]
            again = pulled_back(leaves, [g for g, _ in fitting], weights, False)
        return [None if g is None else g.data for g in again]

    def _gradients(self, arrays: Arrays, create_graph: bool) -> tuple[list[Tensor], list[Tensor | None]]:
        """Inputs and cotangents as places on the tape, and the gradient in each differentiable input."""
        leaves, outputs = self.first.run(arrays[: self._count])
        weights = [Tensor(array, requires_grad=True) for array in arrays[self._count :]]
        found = pulled_back(leaves, outputs, weights, create_graph)
        return [*leaves, *weights], [g for g, leaf in zip(found, leaves, strict=True) if leaf.dtype.kind == "f"]

    def _fitting(self, found: list[Tensor | None]) -> list[tuple[Tensor, np.ndarray]]:
        """The gradients with their directions, where there is one of the right shape."""
        pairs = zip(found, self.directions, strict=True)
        return [(g, d) for g, d in pairs if g is not None and g.shape == d.shape]


def pulled_back(
    leaves: Sequence[Tensor], outputs: Sequence[Tensor], cotangents: Sequence[Any], create_graph: bool
) -> list[Tensor | None]:
    """The gradient of each leaf, None where none arrives or the leaf has none."""
    pairs = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if o.requires_grad]
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    if not pairs or not wanted:
        return [None] * len(leaves)
    seeds = [c if isinstance(c, Tensor) else Tensor(c) for _, c in pairs]
    found = iter(tape.gradients([o for o, _ in pairs], wanted, seeds, create_graph))
    return [next(found) if leaf.requires_grad else None for leaf in leaves]


def as_outputs(result: Any, owner: str) -> list[Tensor]:
    """What a function of Tensors has returned as a list, without Nones and what isn't floating point.

    Raises:
        TypeError: If there is something else in it, or nothing.
    """
    several = list(result) if isinstance(result, (tuple, list)) else [result]
    for output in several:
        if output is not None and not isinstance(output, Tensor):
            hint = " Give gradient= for a function of plain arrays." if isinstance(output, (np.ndarray, float)) else ""
            raise TypeError(
                f"{owner}: the function must return a Tensor, or a tuple or list of Tensors.{hint} "
                f"Received: {type(output).__name__}"
            )
    outputs = [output for output in several if output is not None]
    if not outputs:
        raise TypeError(f"{owner}: the function must return a Tensor. Received: {result!r}")
    return [output for output in outputs if output.dtype.kind == "f"]


def as_gradients(found: Any, subject: Subject, what: str) -> Gradients:
    """Hand-written gradients, one for each input; those of integer inputs may be left out.

    Raises:
        ValueError: If their number is another one.
        TypeError: If one isn't numbers.
    """
    if isinstance(found, Mapping):
        unknown = [name for name in found if name not in subject.names]
        if unknown:
            raise ValueError(
                f"{subject.owner}: {what} must name inputs of {subject.names}. Received: {unknown}",
            )
        given = [found.get(name) for name in subject.names]
    else:
        given = list(found) if isinstance(found, (tuple, list)) else [found]
    wanted = subject.differentiable
    if len(given) == len(wanted) != len(subject.points):
        values = iter(given)
        given = [next(values) if i in wanted else None for i in range(len(subject.points))]
    if len(given) != len(subject.points):
        raise ValueError(
            f"{subject.owner}: {what} must return a gradient for each of the inputs {subject.names}. "
            f"Received: {len(given)}"
        )
    return [None if g is None else _as_numbers(g, subject.owner, f"{what} must return numbers") for g in given]


def takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many positional arguments; True if nobody knows."""
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def must_take(function: Any, count: int, name: str, owner: str, more: str = "") -> None:
    """Refuse a function that can't be called with so many arguments.

    Raises:
        TypeError: If it is one.
    """
    if callable(function) and not takes(function, count):
        raise TypeError(
            f"{owner}: {name} must take {count} argument{'s' if count != 1 else ''}, one for each of the inputs{more}. "
            f"Received: {name}{inspect.signature(function)}"
        )


def values_beside(subject: Subject, arrays: Arrays) -> Arrays:
    """The outputs at another point than the subject's own.

    Raises:
        RuntimeError: If the function raises there; it says where.
    """
    try:
        return subject.values(arrays)
    except Exception as error:
        moved = [
            f"{name!r} by up to {np.abs(array - point).max():.1g}"
            for name, array, point in zip(subject.names, arrays, subject.points, strict=True)
            if not np.array_equal(array, point)
        ]
        subject.values(subject.points)  # what raises here as well has its own error
        raise RuntimeError(
            f"{subject.owner}: the function must have values beside the point as well, where differences are taken; it "
            f"raised {type(error).__name__} after a move of {' and '.join(moved)}. Received: {error}"
        ) from error


def _as_output(value: Any, owner: str) -> np.ndarray:
    return _as_numbers(value, owner, "the function must return numbers")


def _as_numbers(value: Any, owner: str, expected: str) -> np.ndarray:
    array = value.data if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{owner}: {expected}. Received: {value!r:.80}")
    return array


def _nearly_equal(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-9, atol=1e-12, equal_nan=True)
