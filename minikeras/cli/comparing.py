"""``minikeras diff``: two files of models or weights, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

import numpy as np

from ..layers.shapes import count
from .contents import Contents, read_contents, table

# The shape is that of the input of the model, which not all formats keep twice.
_NOT_COMPARED = ("name", "batch_input_shape")


def compare_files(first: str, second: str) -> bool:
    """Print how the layers and weights of two files differ; return whether they do.

    Layers of one name belong together where both files have the same names, otherwise in order: automatic names
    differ from run to run. NaN equals NaN.

    Raises:
        OSError, ValueError, ImportError: If a file can't be read.
    """
    one, other = read_contents(first), read_contents(second)
    rows: list[tuple[str, ...]] = [("layer", "what", first, second, "max difference")]
    differs = False
    for row, different in _rows(one, other):
        rows.append(row)
        differs |= different
    if len(rows) > 1:
        print(table(rows))
    layers, numbers = count(len(one.weights), "layer"), one.parameters
    print("The files differ." if differs else f"No difference in {layers}, {numbers:,} numbers.")
    return differs


def _rows(one: Contents, other: Contents) -> Iterator[tuple[tuple[str, ...], bool]]:
    """A row for all that differs, and for the weights of each layer; whether it is a difference."""
    if one.model is not None and other.model is not None:
        for what in ("input_shape", "output_shape"):
            shapes = str(getattr(one.model, what)), str(getattr(other.model, what))
            if shapes[0] != shapes[1]:
                yield ("the model", what, *shapes, ""), True
        yield from ((row, True) for row in _configurations(one.model, other.model))
    for a, b in _pairs(one.weights, other.weights):
        mine, its = one.weights.get(a or "", {}), other.weights.get(b or "", {})
        title = a if a == b else f"{a or '-'} | {b or '-'}"
        for p, q in _pairs(mine, its):
            x, y = mine.get(p or ""), its.get(q or "")
            name = p if p == q or q is None else q if p is None else f"{p} | {q}"
            same_shape = x is not None and y is not None and x.shape == y.shape
            distance = _distance(x, y) if same_shape else None
            shown = "" if distance is None else f"{distance:.3g}" if distance else "0"
            yield (str(title), str(name), _shape(x), _shape(y), shown), distance != 0


def _configurations(one: Any, other: Any) -> Iterator[tuple[str, ...]]:
    """Where the layers are of other kinds, or have other arguments."""
    for a, b in zip_longest(one.layers, other.layers):
        if a is None or b is None:
            there = a or b
            kinds = (type(there).__name__ if a else "-", type(there).__name__ if b else "-")
            yield there.name, "layer", *kinds, ""
            continue
        title = a.name if a.name == b.name else f"{a.name} | {b.name}"
        if type(a) is not type(b):
            yield title, "layer", type(a).__name__, type(b).__name__, ""
            continue
        if hasattr(a, "layers"):
            yield from ((f"{title}/{row[0]}", *row[1:]) for row in _configurations(a, b))
            continue
        mine, its = a.get_config(), b.get_config()
        for key in dict.fromkeys([*mine, *its]):
            if key not in _NOT_COMPARED and mine.get(key) != its.get(key):
                yield title, key, f"{mine.get(key)!r:.40}", f"{its.get(key)!r:.40}", ""


def _pairs(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str | None, str | None]]:
    if set(one) == set(other):
        return [(name, name) for name in one]
    if set(one) & set(other) and (set(one) < set(other) or set(other) < set(one)):
        return [(n if n in one else None, n if n in other else None) for n in dict.fromkeys([*one, *other])]
    return list(zip_longest(one, other))


def _distance(x: Any, y: Any) -> float:
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    equal = (x == y) | (np.isnan(x) & np.isnan(y))
    if equal.all():
        return 0.0
    distance = np.abs(np.where(equal, 0.0, x) - np.where(equal, 0.0, y))
    return float("inf") if np.isnan(distance).any() else float(distance.max())


def _shape(array: np.ndarray | None) -> str:
    return "-" if array is None else str(array.shape)
