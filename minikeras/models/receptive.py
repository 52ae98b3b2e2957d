"""Receptive fields: which places of a model's inputs the outputs of its layers depend on.

Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks" (Distill, 2019), but with the
interval of each output position in place of size, jump and offset alone: after upsampling, neighbours read intervals of
different sizes, and paths that join may be shifted against each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ..core.symbolic import SymbolicTensor, symbols_in
from ..layers import TimeDistributed
from ..layers.base import Layer
from ..layers.measures import ITSELF, Reach, Reads, says
from ..layers.shapes import as_list
from .graph import Graph
from .training import Trainer

Origin = tuple[str, int]  # the name of an input, and an axis of its samples
Span = tuple[int, int]


@dataclass(frozen=True)
class Field:
    """The interval that each position along an axis reads; None for a position that reads nothing.

    Position ``n * q + p`` of n spans reads span p, moved on by ``q * shift``.
    """

    shift: int
    spans: tuple[Span | None, ...]

    @property
    def size(self) -> int:
        """The length of the longest interval."""
        return max((last - first + 1 for first, last in filter(None, self.spans)), default=0)

    @property
    def jump(self) -> Fraction:
        """How far apart the intervals of neighbours are, on average."""
        return Fraction(self.shift, len(self.spans))

    def through(self, reads: Reads) -> Field:
        """The field of what reads this one."""
        period = len(self.spans)
        times = period // math.gcd(period, reads.step)
        spans = [
            _hull([self._span(reads.step * q + offset) for offset in offsets])
            for q in range(times)
            for offsets in reads.offsets
        ]
        return Field(self.shift * reads.step * times // period, tuple(spans))

    def joined(self, other: Field) -> Field | None:
        """The field of what reads both at the same place; None, everything, if they move on at different rates."""
        if self.jump != other.jump:
            return None
        period = math.lcm(len(self.spans), len(other.spans))
        spans = [_hull([self._span(p), other._span(p)]) for p in range(period)]
        return Field(int(self.jump * period), tuple(spans))

    def _span(self, position: int) -> Span | None:
        q, p = divmod(position, len(self.spans))
        span = self.spans[p]
        return None if span is None else (span[0] + q * self.shift, span[1] + q * self.shift)


START = Field(1, ((0, 0),))


@dataclass(frozen=True)
class Seen:
    """What a tensor depends on.

    Args:
        axes: For each axis of a sample the axes of inputs whose places it holds.
        fields: The field along each axis of an input that it depends on; None for all of it.
        outer: How many axes a TimeDistributed has taken away.
    """

    axes: tuple[frozenset[Origin], ...]
    fields: Mapping[Origin, Field | None]
    outer: int = 0


@dataclass(frozen=True)
class ReceptiveField:
    """Which part of an input an element of a layer's output depends on, along each axis of space.

    Args:
        size: The number of places, where the input is large enough; None for all there are.
        jump: How many places of the input lie between neighbours of the output; None where there are none.
    """

    size: tuple[int | None, ...]
    jump: tuple[Fraction | None, ...]

    def __str__(self) -> str:
        return _by_axis(self.size)


def describe_jump(field: ReceptiveField) -> str:
    """Return the jumps as a table shows them, such as "2×2" or "1/2"."""
    return _by_axis(field.jump, "-")


def _by_axis(values: Sequence[Any], nothing: str = "all") -> str:
    if all(value is None for value in values):
        return nothing if values else "-"
    return "×".join(nothing if value is None else str(value) for value in values)


class Tracker:
    """Follows receptive fields through the graph of a model.

    Args:
        graph: The graph.
        shapes: The shape of each symbolic tensor in it, by id.
    """

    def __init__(self, graph: Graph, shapes: Mapping[int, SymbolicTensor]) -> None:
        self._channels: set[Origin] = set()
        self._ranks = {str(symbol.name): len(symbol.shape) - 1 for symbol in graph.inputs}
        inputs = []
        for symbol in graph.inputs:
            origins: list[Origin] = [(str(symbol.name), axis) for axis in range(len(symbol.shape) - 1)]
            inputs.append(Seen(tuple(frozenset([o]) for o in origins), dict.fromkeys(origins, START)))
        self._seen = self._follow(graph, shapes, inputs)

    def fields(self, symbols: Sequence[SymbolicTensor]) -> dict[str, ReceptiveField] | None:
        """The largest receptive fields of some tensors, by the name of the input; None if they aren't known."""
        largest: dict[Origin, Field | None] = {}
        for symbol in symbols:
            seen = self._seen[id(symbol)]
            if seen is None:
                return None
            for origin, field in seen.fields.items():
                largest[origin] = _larger(largest.get(origin, field), field)
        found = {}
        for name, rank in self._ranks.items():
            places = [largest[name, axis] for axis in range(rank) if (name, axis) in largest.keys() - self._channels]
            if any(origin[0] == name for origin in largest):
                found[name] = ReceptiveField(
                    tuple(None if field is None else field.size for field in places),
                    tuple(None if field is None else field.jump for field in places),
                )
        return found

    def _follow(
        self, graph: Graph, shapes: Mapping[int, SymbolicTensor], inputs: Sequence[Seen | None]
    ) -> dict[int, Seen | None]:
        seen = dict(zip(map(id, graph.inputs), inputs, strict=True))
        for call in graph.program.calls:
            symbols = symbols_in([*call.inputs])
            given = [seen[id(symbol)] for symbol in symbols]
            found: list[Seen | None] = [None] * len(call.outputs)
            if isinstance(call.operation, Layer) and None not in given:
                found = self._apply(call.operation, [shapes[id(symbol)].shape for symbol in symbols], given)
            seen.update(zip(map(id, call.outputs), found * (len(call.outputs) // len(found)), strict=True))
        return seen

    def _apply(self, layer: Layer, shapes: list[Any], given: list[Any]) -> list[Seen | None]:
        if isinstance(layer, Trainer):
            graph = layer._connected()  # type: ignore[attr-defined]  # every model has one
            if graph is None:
                return [None]
            inner = self._follow(graph, graph.propagate(shapes), given)
            return [inner[id(symbol)] for symbol in graph.outputs]
        if isinstance(layer, TimeDistributed):
            return self._apply_to_steps(layer, shapes[0], given[0])
        reach = layer.reach(shapes[0] if len(shapes) == 1 else shapes) if says(layer, "reach") else None
        if reach is None:
            return [None]
        one, *others = [self._reached(seen, by) for seen, by in zip(given, as_list(reach), strict=True)]
        for other in others:
            one = _joined(one, other)
        return [one]

    def _apply_to_steps(self, layer: TimeDistributed, shape: Any, seen: Seen) -> list[Seen | None]:
        steps, *axes = seen.axes
        found = self._apply(layer.layer, [(None, *shape[2:])], [replace(seen, axes=tuple(axes), outer=seen.outer + 1)])
        of_steps = {origin: seen.fields[origin] for origin in steps}
        return [
            None if one is None else Seen((steps, *one.axes), {**one.fields, **of_steps}, seen.outer) for one in found
        ]

    def _reached(self, seen: Seen, reach: Reach) -> Seen:
        """What depends on a tensor in this way."""
        fields: dict[Origin, Field | None] = dict.fromkeys(seen.fields)
        for axis, reads in (source for sources in reach.axes for source in sources):
            origins = seen.axes[axis]
            for origin in origins:
                field = seen.fields[origin]
                if reads is not ITSELF and field is not None:
                    field = field.through(reads) if len(origins) == 1 else None
                fields[origin] = field
        for axis in reach.channels:
            for origin in seen.axes[axis]:
                if len(seen.axes) + seen.outer == self._ranks[origin[0]]:  # nothing was flattened
                    self._channels.add(origin)
        axes = [frozenset().union(*(seen.axes[axis] for axis, _ in sources)) for sources in reach.axes]
        return Seen(tuple(axes), fields, seen.outer)


def _joined(one: Seen, other: Seen) -> Seen:
    fields = {**one.fields, **other.fields}
    for origin in one.fields.keys() & other.fields.keys():
        first, second = one.fields[origin], other.fields[origin]
        fields[origin] = None if first is None or second is None else first.joined(second)
    return Seen(tuple(a | b for a, b in zip(one.axes, other.axes, strict=True)), fields, one.outer)


def _larger(one: Field | None, other: Field | None) -> Field | None:
    if one is None or other is None:
        return None
    return max(one, other, key=lambda field: field.size)


def _hull(spans: Sequence[Span | None]) -> Span | None:
    known = [span for span in spans if span is not None]
    return (min(first for first, _ in known), max(last for _, last in known)) if known else None
