"""How a mistake is planted into a derivative, and taken out again.

A :class:`Mutation` is a wrong derivative: what is checked (its subject), how the mistake gets in (a context manager
that puts the right derivative back), which input it makes wrong, and what may truly be said about it.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minikeras import Tensor, gradcheck, ops
from minikeras.core.primitive import Primitive
from minikeras.core.tape import gradients

Plant = Callable[[], contextlib.AbstractContextManager[Any]]
Sample = Callable[[int], np.ndarray]
Values = dict[str, Any]

# ---------------------------------------------------------------------- what is checked


@dataclass(frozen=True)
class Function:
    """A function of Tensors, with inputs that follow from a seed.

    Attributes:
        operation: the primitive that it is about.
        label: tells it from others of the same primitive.
        call: takes one Tensor per input.
        samples: per input, by name: an array for a seed.
        order: up to which derivative it is checked.
    """

    operation: Primitive
    label: str
    call: Callable[..., Any]
    samples: Mapping[str, Sample]
    order: int = 1

    @property
    def family(self) -> str:
        return self.operation.name

    def arrays(self, seed: int) -> list[np.ndarray]:
        return [sample(seed) for sample in self.samples.values()]

    def place(self, name: str) -> str | int:
        """How the operation's rules know an input: by its name, or by its number if there may be any number."""
        return name if self.operation._variadic is None else list(self.samples).index(name)

    def check(self, seed: int) -> gradcheck.GradientReport:
        return gradcheck.check_gradients(
            self.call, self.arrays(seed), names=list(self.samples), order=self.order, seed=seed
        )


@dataclass(frozen=True)
class Other:
    """Anything else that can be checked: a layer, a model, a gradient written by hand."""

    family: str
    label: str
    check: Callable[[int], gradcheck.GradientReport]
    order: int = 1


# ---------------------------------------------------------------------- mistakes


@dataclass(frozen=True)
class Mutation:
    """One wrong derivative.

    Attributes:
        subject: what is checked.
        kind: of the mistake, as its maker would call it.
        wrt: the input whose gradient is wrong.
        truths: the verdicts that are true of it, the plainest first; chosen before any classifier was written.
        plant: makes the context in which the derivative is wrong.
        detail: tells it from others of its kind.
    """

    subject: Function | Other
    kind: str
    wrt: str
    truths: tuple[str, ...]
    plant: Plant = field(default=contextlib.nullcontext, repr=False)
    detail: str = ""

    @property
    def name(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.subject.family}, {self.subject.label}: {self.wrt} {self.kind}{detail}"

    def report(self, seed: int) -> gradcheck.GradientReport:
        """What the checker says with the mistake in place."""
        with self.plant():
            return self.subject.check(seed)

    def result(self, report: gradcheck.GradientReport) -> gradcheck.Result:
        """The part of the report that is about the wrong gradient."""
        named = [r for r in report.results if r.name == self.wrt or r.name.endswith(f"/{self.wrt}")]
        found = [r for r in named if r.order == self.subject.order]
        if not found:
            raise LookupError(f"{self.name}: nothing is said of {self.wrt}, only {[r.name for r in report.results]}")
        return found[0]


# Three families of functions in ten and one kind of mistake in eight are set aside to score the verdicts on. What is
# added later falls to one side by its names alone; the number was taken among those that leave every verdict on both.
def held_out(mutation: Mutation) -> bool:
    """Whether nothing may be tuned on this mutation."""
    return _percentile(mutation.subject.family) < 30 or _percentile(mutation.kind) < 12


def _percentile(name: str) -> int:
    return zlib.crc32(f"255: {name}".encode()) % 100


# ---------------------------------------------------------------------- ways to get a mistake in


@contextlib.contextmanager
def rules(operation: Primitive, vjps: dict[str, Any] | None = None, backward: Any = None) -> Iterator[None]:
    """Within the block the operation has other rules: some in place of its vjps, or another backward."""
    kept = operation._vjps, operation._backward
    operation._vjps = {**operation._vjps, **(vjps or {})}
    operation._backward = backward or operation._backward
    operation._plans.clear()
    try:
        yield
    finally:
        operation._vjps, operation._backward = kept
        operation._plans.clear()


def unchanged(gradient: Any, _: Values) -> Any:
    return gradient


def altered(
    operation: Primitive,
    wrt: str | int,
    after: Callable[[Any, Values], Any] = unchanged,
    also: Sequence[str] = (),
    **reads: Callable[[Values], Any],
) -> Plant:
    """The operation's own rule for one input, which reads something wrong or whose result is changed.

    Args:
        operation: whose rule; its other inputs keep theirs.
        wrt: the input.
        after: takes the right gradient and what the rule has read, by name; gives the wrong gradient.
        also: further names to read.
        reads: by name, what the rule reads instead.
    """

    def plant() -> contextlib.AbstractContextManager[None]:
        place = wrt if isinstance(wrt, int) else operation._inputs.index(wrt)
        whole = operation._backward is not None
        old = operation._backward or operation._vjps[str(wrt)]
        further = also if whole else (*also, f"{wrt}_shape")
        names = (*old.names, *[name for name in further if name not in old.names])

        def wrong(*values: Any) -> Any:
            read = dict(zip(names, values, strict=True))
            given = {**read, **{name: change(read) for name, change in reads.items()}}
            found = old.function(*[given[name] for name in old.names])
            if not whole:  # the engine sums over broadcast axes after the rule: here it is done before the mistake
                return after(ops.sum_to(found, read[f"{wrt}_shape"]), read)
            if len(found) <= place or found[place] is None:
                return found
            right = old.function(*[read[name] for name in old.names]) if reads else found
            return [
                after(one, read) if i == place else other
                for i, (one, other) in enumerate(zip(found, right, strict=True))
            ]

        kept_for = {name: value for name, value in old.kept_for.items() if name not in also}
        rule = operation._rule(wrong, names, kept_for)
        return rules(operation, backward=rule) if whole else rules(operation, vjps={str(wrt): rule})

    return plant


def replaced(operation: Primitive, wrt: str, rule: Callable[..., Any]) -> Plant:
    """Another rule for one input of an operation that has one rule per input."""
    return lambda: rules(operation, vjps={wrt: operation._rule(rule)})


def swapped(operation: Primitive, first: str, second: str) -> Plant:
    """Each of two inputs gets the gradient of the other."""

    def plant() -> contextlib.AbstractContextManager[None]:
        if operation._backward is None:
            old = operation._vjps
            return rules(operation, vjps={first: old[second], second: old[first]})
        i, j = operation._inputs.index(first), operation._inputs.index(second)
        rule = operation._backward

        def wrong(*values: Any) -> Any:
            found = list(rule.function(*values))
            found[i], found[j] = found[j], found[i]
            return found

        return rules(operation, backward=operation._rule(wrong, rule.names, rule.kept_for))

    return plant


def stale(subject: Function, wrt: str, name: str) -> Plant:
    """The rule reads what an earlier call of the function, with other inputs, has left."""

    @contextlib.contextmanager
    def plant() -> Iterator[None]:
        cell: list[Any] = []

        def first(values: Values) -> Any:
            if not cell:
                kept = values[name]
                cell.append(kept.detach() if isinstance(kept, Tensor) else kept)
            return cell[0]

        with altered(subject.operation, wrt, **{name: first})():
            xs = [Tensor(array, requires_grad=True) for array in subject.arrays(10_000)]
            output = subject.call(*xs)
            gradients(output, xs, np.ones(output.shape))
            yield

    return plant


# ---------------------------------------------------------------------- changes of a gradient that any rule may suffer


def scaled(factor: float) -> Callable[..., Any]:
    return lambda g, _: g * factor


def nothing(g: Any, _: Values) -> None:
    """As if the input were detached."""


def masked(mask: Callable[[tuple[int, ...]], np.ndarray]) -> Callable[..., Any]:
    """Times an array that is made for the gradient's shape."""
    return lambda g, _: g * mask(g.shape)


def at(*places: Any, value: float) -> Callable[[tuple[int, ...]], np.ndarray]:
    """Ones, but for ``value`` at these indices."""

    def mask(shape: tuple[int, ...]) -> np.ndarray:
        result = np.ones(shape)
        for place in places:
            result[place] = value
        return result

    return mask


def border(axes: Sequence[int]) -> Callable[[tuple[int, ...]], np.ndarray]:
    """Zeros at both ends of these axes, ones within."""
    return at(*[(slice(None),) * axis + (end,) for axis in axes for end in (0, -1)], value=0.0)


def shifted(axis: int) -> Callable[..., Any]:
    """By one along an axis, with a zero at the start."""

    def after(g: Any, _: Values) -> Any:
        return ops.concatenate([_first(g, axis) * 0.0, _but_last(g, axis)], axis)

    return after


def _first(g: Tensor, axis: int) -> Tensor:
    return g[(slice(None),) * (axis % g.ndim) + (slice(0, 1),)]


def _but_last(g: Tensor, axis: int) -> Tensor:
    return g[(slice(None),) * (axis % g.ndim) + (slice(0, -1),)]


def flipped(*axes: int) -> Callable[..., Any]:
    return lambda g, _: ops.flip(g, axes)


def transposed(first: int, second: int) -> Callable[..., Any]:
    return lambda g, _: ops.swapaxes(g, first, second)


def rounded(dtype: Any) -> Callable[..., Any]:
    """Through a narrower type and back."""
    return lambda g, _: ops.cast(ops.cast(g, dtype), g.dtype)


def noisy(g: Any, _: Values) -> Any:
    """As from a kernel that adds in another order, or not at all, from run to run."""
    return g * np.random.uniform(0.9, 1.1, g.shape)


def with_nan(g: Any, _: Values) -> Any:
    """NaN at the last element."""
    return g * at((-1,) * g.ndim, value=np.nan)(g.shape)
