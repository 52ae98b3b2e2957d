"""The table that ``model.summary()`` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..layers.base import Layer
from ..layers.shapes import Shape

_HEAD = ("Layer (type)", "Output Shape", "Param #")
_GAP = 2


def print_summary(
    title: str,
    layers: Iterable[tuple[Layer, Shape | None]],
    model: Layer,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], object] | None = None,
    sources: Sequence[Sequence[str]] | None = None,
) -> None:
    """Print a line for each layer, and the number of parameters.

    Args:
        title: First line.
        layers: Each layer and the shape of its output; None where that isn't known yet.
        model: What the layers belong to, for the totals.
        line_length: Width of the table; as wide as its content if None.
        positions: Where the columns end: shares of the width, or characters if the last is larger than 1.
        print_fn: Called with each line instead of ``print``.
        sources: What each layer is connected to, in a column of its own and a line for each; no column if None.
    """
    write = print_fn or print
    rows: list[Sequence[str]] = [
        (f"{layer.name} ({type(layer).__name__})", "?" if shape is None else str(shape), _parameters(layer))
        for layer, shape in layers
    ]
    head: Sequence[str] = _HEAD
    if sources is not None:
        head = (*_HEAD, "Connected to")
        rows = [line for row, names in zip(rows, sources, strict=True) for line in _with_sources(row, names)]
    ends = _column_ends([head, *rows], line_length, positions)
    rule = "─" * ends[-1]
    for line in (title, rule, _line(head, ends), rule, *(_line(row, ends) for row in rows), rule):
        write(line)
    for line in _totals(model):
        write(line)


def _with_sources(row: Sequence[str], names: Sequence[str]) -> list[Sequence[str]]:
    """A row and what its layer is connected to, further names in rows of their own."""
    first, *others = names or [""]
    return [(*row, first), *(("", "", "", name) for name in others)]


def _parameters(layer: Layer) -> str:
    return f"{layer.count_params():,}" if layer.built else "?"


def _totals(model: Layer) -> list[str]:
    if not model.built:
        return ["Not built yet: shapes and parameters are known with the first data, or an input_shape."]
    total = sum(weight.size for weight in model.weights)
    trainable = sum(weight.size for weight in model.trainable_weights)
    return [
        f"Total params: {total:,}",
        f"Trainable params: {trainable:,}",
        f"Non-trainable params: {total - trainable:,}",
    ]


def _column_ends(
    rows: Sequence[Sequence[str]], line_length: int | None, positions: Sequence[float] | None
) -> list[int]:
    columns = len(rows[0])
    if line_length is None and positions is None:
        widths = [max(len(row[i]) for row in rows) + _GAP for i in range(columns)]
        return [sum(widths[: i + 1]) for i in range(len(widths))]
    plain = columns == len(_HEAD)
    length = line_length or (65 if plain else 98)
    shares = list(positions or ((0.45, 0.85, 1.0) if plain else (0.33, 0.55, 0.67, 1.0)))
    if len(shares) < columns or sorted(shares) != shares:
        raise ValueError(f"summary: positions must be {columns} rising numbers. Received: {positions!r}")
    return [int(share * length) if shares[-1] <= 1 else int(share) for share in shares[:columns]]


def _line(fields: Sequence[str], ends: Sequence[int]) -> str:
    line = ""
    for field, end in zip(fields, ends, strict=True):
        room = end - len(line) - 1
        line += (field if len(field) <= room else field[: max(room - 1, 0)] + "…").ljust(end - len(line))
    return line.rstrip()
