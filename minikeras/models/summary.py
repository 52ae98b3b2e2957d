"""The table that ``model.summary()`` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..layers.base import Layer
from ..layers.shapes import Shape
from .receptive import describe_jump
from .statistics import LayerStatistics, ModelStatistics

_HEAD = ("Layer (type)", "Output Shape", "Param #")
_COLUMNS = {"flops": ["FLOPs"], "memory": ["Activations"], "receptive_field": ["Receptive field", "Jump"]}
_GAP = 2


def print_summary(
    title: str,
    layers: Iterable[tuple[Layer, Shape | None]],
    model: Layer,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], object] | None = None,
    sources: Sequence[Sequence[str]] | None = None,
    further: tuple[Sequence[str], ModelStatistics] | None = None,
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
        further: Which columns of `_COLUMNS` there are, and what they show; none if None.
    """
    write = print_fn or print
    rows: list[Sequence[str]] = [
        (f"{layer.name} ({type(layer).__name__})", "?" if shape is None else str(shape), _parameters(layer))
        for layer, shape in layers
    ]
    head: Sequence[str] = _HEAD
    if further is not None:
        shown, statistics = further
        head = (*head, *(title for name in shown for title in _COLUMNS[name]))
        rows = [
            (*row, *(text for name in shown for text in _cells(name, item)))
            for row, item in zip(rows, statistics.layers, strict=True)
        ]
    if sources is not None:
        head = (*head, "Connected to")
        rows = [line for row, names in zip(rows, sources, strict=True) for line in _with_sources(row, names)]
    ends = _column_ends([head, *rows], line_length, positions)
    rule = "─" * ends[-1]
    for line in (title, rule, _line(head, ends), rule, *(_line(row, ends) for row in rows), rule):
        write(line)
    for line in _totals(model) + (_further_totals(*further) if further is not None and model.built else []):
        write(line)


def _with_sources(row: Sequence[str], names: Sequence[str]) -> list[Sequence[str]]:
    """A row and what its layer is connected to, further names in rows of their own."""
    first, *others = names or [""]
    return [(*row, first), *((*[""] * len(row), name) for name in others)]


def _cells(column: str, item: LayerStatistics) -> Sequence[str]:
    """What the columns of a statistic show of a layer."""
    if column == "flops":
        return ("?" if item.flops is None else f"{item.flops:,}",)
    if column == "memory":
        return ("?" if item.activation_bytes is None else _size(item.activation_bytes),)
    if item.receptive_fields is None:
        return ("?", "?")
    fields = list(item.receptive_fields.values())
    return tuple(", ".join(dict.fromkeys(map(text, fields))) for text in (str, describe_jump))


def _size(number: int) -> str:
    """A number of bytes, in the unit that fits."""
    if number < 1024:
        return f"{number} B"
    power = min((number.bit_length() - 1) // 10, 4)
    return f"{number / 1024**power:,.1f} {'KMGT'[power - 1]}iB"


def _further_totals(shown: Sequence[str], statistics: ModelStatistics) -> list[str]:
    """The sums of the columns that have one."""
    lines = []
    for name, what, label in (("flops", "flops", "FLOPs"), ("memory", "activation_bytes", "Activations")):
        if name in shown:
            missing = statistics.unknown(what)
            known = statistics.known(what)
            number = f"{known:,}" if name == "flops" else _size(known)
            least, rest = ("at least ", f"; not known of {', '.join(missing)}") if missing else ("", "")
            lines.append(f"{label} for one sample: {least}{number}{rest}")
    return lines


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
    widths = [max(len(row[i]) for row in rows) + _GAP for i in range(columns)]
    natural = [sum(widths[: i + 1]) for i in range(len(widths))]
    if positions is None and (line_length is None or columns > len(_HEAD) + 1):
        return natural if line_length is None else [end * line_length // natural[-1] for end in natural]
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
