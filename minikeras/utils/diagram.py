"""What a picture of a model shows: a box for each layer and an edge for each connection, as Keras 2.2.4 has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.symbolic import Call, SymbolicTensor, symbols_in
from ..layers import Layer, Wrapper

FONT_SIZE = 13.0
LINE = 19.0
_PADDING = 12.0

# Widths of characters as parts of the font's size, those of DejaVu Sans: other common fonts are narrower.
_WIDTHS = {
    **dict.fromkeys("ijlI|'", 0.3),
    **dict.fromkeys(' .,:;!frt()[]{}-/\\"', 0.41),
    **dict.fromkeys("_scxzkvyJ", 0.59),
    **dict.fromkeys("mMW@%", 1.0),
    **dict.fromkeys("wNOQDGHU<>=+~#&", 0.84),
}

# The colour of a box by the module of its layer.
_COLORS = {
    **dict.fromkeys(["conv", "conv_transpose", "separable", "local"], "#dbe9fb"),
    **dict.fromkeys(["pooling", "upsampling", "cropping", "padding"], "#fdebd0"),
    **dict.fromkeys(["merge"], "#eadcf8"),
    **dict.fromkeys(["normalization", "noise", "activation"], "#eef1f4"),
    **dict.fromkeys(["input"], "#ffffff"),
    **dict.fromkeys(["functional", "sequential"], "#f9dfe6"),
    **dict.fromkeys(["Dense", "embedding"], "#dcf3e0"),
}
_PLAIN = "#f7f7f5"


@dataclass(frozen=True)
class Box:
    """A layer, or an operation between layers.

    Args:
        title: Its first line.
        rows: Further lines, a label and a text each.
        color: Of its background, as "#rrggbb".
    """

    title: str
    rows: tuple[tuple[str, str], ...]
    color: str

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, in units of which the font has `FONT_SIZE`."""
        width = max(text_width(self.title), self.rows_width)
        return width + 2 * _PADDING, LINE * (1 + len(self.rows)) + _PADDING

    @property
    def label_width(self) -> float:
        """How far to the right the texts of the rows begin."""
        return max((text_width(f"{label} ") for label, _ in self.rows), default=0.0)

    @property
    def rows_width(self) -> float:
        """Width of the rows, labels and texts."""
        return self.label_width + max((text_width(text) for _, text in self.rows), default=0.0)


@dataclass(frozen=True)
class Diagram:
    """Boxes, and edges by the indices of boxes."""

    boxes: tuple[Box, ...]
    edges: tuple[tuple[int, int], ...]


def text_width(text: str) -> float:
    """Return at least the width of a line of text."""
    return FONT_SIZE * sum(_WIDTHS.get(c, 0.68 if c.isascii() else 1.05) for c in text)


def diagram_of(owner: str, model: Any, show_shapes: bool, show_layer_names: bool) -> Diagram:
    """Return what a picture of a model shows.

    Args:
        owner: The function, for messages.
        model: The model.
        show_shapes: Whether boxes tell the shapes of inputs and outputs.
        show_layer_names: Whether boxes tell the names of layers.

    Raises:
        TypeError: If it is no model.
        ValueError: If nobody knows how its layers are connected.
    """
    if not isinstance(model, Layer) or not hasattr(model, "_connected"):
        raise TypeError(f"{owner}: model must be a model. Received: {type(model).__name__} {model!r:.100}")
    graph = model._connected()
    if graph is None:
        raise ValueError(
            f"{owner}: {model} has no graph to draw: it must be built, or made of inputs and outputs. Give the first "
            "layer an input_shape, or call model.build((None, ...)); a class with a call of its own has none. "
            f"Received: {model!r}"
        )
    calls = [*(symbol.entry for symbol in graph.inputs), *graph.program.calls]
    boxes: dict[int, int] = {}
    drawn: list[Box] = []
    for call in calls:
        if _key(call) not in boxes:
            boxes[_key(call)] = len(drawn)
            nodes = graph.nodes(call.operation) if isinstance(call.operation, Layer) else [call]
            drawn.append(_box(call.operation, nodes, show_shapes, show_layer_names))
    edges = [
        (boxes[_key(symbol.entry or symbol.source)], boxes[_key(call)])
        for call in calls
        for symbol in symbols_in([*call.inputs, *call.static.values()])
    ]
    return Diagram(tuple(drawn), tuple(dict.fromkeys(edges)))


def _key(call: Any) -> int:
    return id(call.operation) if isinstance(call.operation, Layer) else id(call)


def _box(operation: Any, nodes: list[Call], show_shapes: bool, show_layer_names: bool) -> Box:
    name, kind, color = operation.name, "", _PLAIN
    if isinstance(operation, Layer):
        kind, inner = type(operation).__name__, operation
        color = _COLORS.get(kind, _COLORS.get(type(operation).__module__.rpartition(".")[2], _PLAIN))
        if isinstance(inner, Wrapper):
            inner = inner.layer
            name, kind = f"{name}({inner.name})", f"{kind}({type(inner).__name__})"
            color = _COLORS.get(type(inner).__name__, _COLORS.get(type(inner).__module__.rpartition(".")[2], _PLAIN))
    title = f"{name}: {kind}" if kind and show_layer_names else kind or name
    rows: tuple[tuple[str, str], ...] = ()
    if show_shapes:
        rows = (
            ("input:", _shapes([symbols_in([*node.inputs]) or list(node.outputs) for node in nodes])),
            ("output:", _shapes([list(node.outputs) for node in nodes])),
        )
    return Box(title, rows, color)


def _shapes(calls: list[list[SymbolicTensor]]) -> str:
    """The shape, or list of them, that all calls have in common; "multiple" if they differ."""
    shapes = [[symbol.shape for symbol in symbols] for symbols in calls]
    if any(other != shapes[0] for other in shapes):
        return "multiple"
    return str(shapes[0][0] if len(shapes[0]) == 1 else shapes[0])
