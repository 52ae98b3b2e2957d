"""tape_summary: what stands on the tape of a Tensor, as a table or as a graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import tape
from ..core.tensor import Tensor
from .origin import input_names
from .tables import bytes_in_words, ends_of, table


@dataclass(frozen=True, slots=True)
class TapeRow:
    """One operation on the tape.

    Attributes:
        number: Its place in the order of computation, from 1.
        operation: Its name.
        shape: Of its output; a tuple with one shape for each output if there are several, with None where an output
            isn't used.
        dtype: Of its output.
        inputs: By input name where it comes from: the number of a row, the name of a leaf, or None for what needs no
            gradient.
        saved: Bytes of the arrays that its derivative will read; None once backward has freed them.
        line: ``file:number`` of the user's line, if it was recorded inside `detect_anomaly`.
        layer: The layer that it ran in, likewise.
    """

    number: int
    operation: str
    shape: Any
    dtype: str
    inputs: dict[str, int | str | None]
    saved: int | None
    line: str | None = None
    layer: str | None = None


class TapeSummary:
    """The tape of some Tensors at the time of the call; prints itself and holds nothing of the tape.

    Attributes:
        rows: A `TapeRow` for each operation, oldest first.
        leaves: Names and shapes of the leaves that gradients flow to.
        outputs: The rows, by number, or leaves, by name, that the Tensors themselves are.
        saved: Bytes of all arrays that are kept for backward, each counted once.
        saved_by_leaves: Those of them that are the values of leaves, which are there anyway.
        freed: How many operations backward has freed.
        max_rows: How many rows are printed at most.
    """

    def __init__(self, outputs: Sequence[Tensor], max_rows: int) -> None:
        nodes = tape._reachable(list(outputs))[::-1]
        self.max_rows = max_rows
        numbers = {node: number for number, node in enumerate(nodes, 1)}
        shapes = _output_shapes(nodes, outputs)
        names = _leaf_names(nodes, outputs)
        self.leaves = {name: leaf.shape for leaf, name in names.items()}
        self.outputs = [names[out] if out.node is None else numbers[out.node] for out in outputs]
        self.freed = sum(node.saved is None for node in nodes)
        self.rows = [_row(node, numbers, names, shapes) for node in nodes]
        buffers = {id(buffer): buffer for node in nodes for buffer in map(_buffer, _saved_arrays(node))}
        own = {id(_buffer(leaf.data)) for leaf in names}
        self.saved = sum(buffer.nbytes for buffer in buffers.values())
        self.saved_by_leaves = sum(buffer.nbytes for key, buffer in buffers.items() if key in own)

    def __str__(self) -> str:
        first, last = ends_of(len(self.rows), self.max_rows)
        shown = [*self.rows[:first], *self.rows[len(self.rows) - last :]]
        traced = any(row.line or row.layer for row in shown)
        head = ["#", "operation", "output", "dtype", "inputs", "saved", *(["line"] if traced else [])]
        lines = table(head, [_fields(row, traced) for row in shown], right=(0, 5))
        if last:
            lines.insert(2 + first, f"… {len(self.rows) - first - last:,} more …")
        return "\n".join([*lines, lines[1], *self._totals()])

    __repr__ = __str__

    def _totals(self) -> list[str]:
        count = len(self.rows)
        operations = f"{count:,} operation{'s' * (count != 1)}"
        if self.freed:
            operations += f", {'all' if self.freed == count else f'{self.freed:,}'} freed by backward"
        first, last = ends_of(len(self.leaves), self.max_rows)
        names = list(self.leaves)
        shown = [*names[:first], *(["…"] if last else []), *names[len(names) - last :]]
        leaves = f"{len(names):,} lea{'f' if len(names) == 1 else 'ves'}"
        saved = f"saved for backward: {bytes_in_words(self.saved)}"
        if self.saved_by_leaves:
            saved += f", of which {bytes_in_words(self.saved_by_leaves)} are the values of leaves"
        return [f"{operations}; {leaves}: {', '.join(shown)}", saved]

    def to_dot(self, max_rows: int | None = None) -> str:
        """The tape as text in Graphviz's language: operations are boxes, leaves are ellipses.

        Args:
            max_rows: How many of the youngest operations are drawn at most; all if None.
        """
        limit = len(self.rows) if max_rows is None else _checked(max_rows, "to_dot")
        rows = self.rows[len(self.rows) - limit :] if limit < len(self.rows) else self.rows
        drawn = {row.number for row in rows}
        lines = ["digraph tape {", '  rankdir="BT"; node [shape=box, fontname="monospace"];']
        edges, used = [], dict.fromkeys(out for out in self.outputs if isinstance(out, str))
        for row in rows:
            lines.append(f"  n{row.number} [label={_quoted(f'{row.operation}', str(row.shape), row.dtype)}];")
            for name, source in row.inputs.items():
                if isinstance(source, str):
                    used[source] = None
                    edges.append(f"  {_quoted(source)} -> n{row.number} [label={_quoted(name)}];")
                elif source is not None:
                    start = f"n{source}" if source in drawn else "earlier"
                    edges.append(f"  {start} -> n{row.number} [label={_quoted(name)}];")
        lines += [f"  {_quoted(name)} [shape=ellipse, label={_quoted(name, str(self.leaves[name]))}];" for name in used]
        if limit < len(self.rows):
            lines.append(f'  earlier [shape=plaintext, label="{len(self.rows) - limit:,} earlier operations"];')
        return "\n".join([*lines, *dict.fromkeys(edges), "}"])


def tape_summary(outputs: Tensor | Sequence[Tensor], max_rows: int = 40) -> TapeSummary:
    """Show what `backward` of a Tensor would walk over: operations, where their inputs come from, what they saved.

    What was recorded inside `detect_anomaly` also tells its line and layer. After backward the rows are still there,
    and marked as freed.

    Args:
        outputs: A Tensor on the tape, or several, such as the gradients of a ``create_graph``.
        max_rows: How many rows are printed at most, half of them from the beginning and half from the end.

    Returns:
        An object that prints itself as a table; ``to_dot()`` gives Graphviz's text.

    Raises:
        TypeError: If something else than Tensors is given.
        ValueError: If a Tensor isn't on the tape, or ``max_rows`` is no positive integer.

    Example:
        >>> import minikeras as mk
        >>> w = mk.Parameter([[1.0, 2.0]], name="w")
        >>> print(tape_summary(mk.ops.tanh(w * 3.0).sum()))
        #  operation  output  dtype    inputs    saved
        ──────────────────────────────────────────────
        1  multiply   (1, 2)  float32  x=w, y=–    0 B
        2  tanh       (1, 2)  float32  x=#1        8 B
        3  sum        ()      float32  x=#2        0 B
        ──────────────────────────────────────────────
        3 operations; 1 leaf: w
        saved for backward: 8 B
    """
    tensors = [outputs] if isinstance(outputs, Tensor) else list(outputs) if isinstance(outputs, (list, tuple)) else []
    if not tensors:
        raise TypeError(f"tape_summary: expected a Tensor or a list of Tensors. Received: {outputs!r:.80}")
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"tape_summary: expected a Tensor or a list of Tensors. Received: {type(tensor).__name__}")
        if not tensor.requires_grad:
            raise ValueError(f"tape_summary: expected a Tensor on the tape. Received: {tensor!r:.80}")
    return TapeSummary(tensors, _checked(max_rows, "tape_summary"))


def _checked(max_rows: Any, owner: str) -> int:
    if isinstance(max_rows, bool) or not isinstance(max_rows, (int, np.integer)) or max_rows < 1:
        raise ValueError(f"{owner}: max_rows must be a positive integer. Received: {max_rows!r}")
    return int(max_rows)


def _row(
    node: tape.Node, numbers: dict[tape.Node, int], names: dict[Tensor, str], shapes: dict[Any, tuple[Any, Any]]
) -> TapeRow:
    found = [shapes.get((node, i)) for i in range(node.outputs)]
    dtypes = {str(entry[1]) for entry in found if entry is not None}
    inputs: dict[str, int | str | None] = {}
    for name, edge in zip(input_names(node.operation, len(node.edges)), node.edges, strict=True):
        source = None if edge is None else edge[0]
        inputs[name] = None if source is None else numbers[source] if isinstance(source, tape.Node) else names[source]
    origin = getattr(node, "origin", None)
    outputs = tuple([None if entry is None else entry[0] for entry in found])
    return TapeRow(
        number=numbers[node],
        operation=node.operation.name,
        shape=outputs if node.outputs > 1 else outputs[0],
        dtype=", ".join(sorted(dtypes)),
        inputs=inputs,
        saved=None if node.saved is None else sum(array.nbytes for array in _saved_arrays(node)),
        line=origin and origin.line,
        layer=origin and origin.layer,
    )


def _fields(row: TapeRow, traced: bool) -> list[str]:
    inputs = [
        f"{name}={'–' if source is None else f'#{source}' if isinstance(source, int) else source}"
        for name, source in row.inputs.items()
    ]
    shown = ", ".join(inputs[:4]) + (f", … {len(inputs) - 4} more" if len(inputs) > 4 else "")
    saved = "freed" if row.saved is None else bytes_in_words(row.saved)
    where = " ".join(part for part in (row.line, row.layer and f"({row.layer})") if part)
    return [str(row.number), row.operation, str(row.shape), row.dtype, shown, saved, *([where] if traced else [])]


def _output_shapes(nodes: Sequence[tape.Node], outputs: Sequence[Tensor]) -> dict[Any, tuple[Any, Any]]:
    """Shape and dtype of each used output: a node doesn't hold its outputs, but what uses them knows their shapes."""
    edges = [edge for node in nodes for edge in node.edges if edge is not None]
    found = {(source, index): (shape, dtype) for source, index, shape, dtype in edges}
    found.update({(out.node, out.index): (out.shape, out.dtype) for out in outputs if out.node is not None})
    return found


def _leaf_names(nodes: Sequence[tape.Node], outputs: Sequence[Tensor]) -> dict[Tensor, str]:
    """The leaves in the order of first use, each with a name that no other has."""
    sources = [edge[0] for node in nodes for edge in node.edges if edge is not None]
    leaves = dict.fromkeys(
        [s for s in sources if not isinstance(s, tape.Node)] + [o for o in outputs if o.node is None]
    )
    named: dict[Tensor, str] = {}
    for number, leaf in enumerate(leaves, 1):
        name = getattr(leaf, "name", None) or f"leaf {number}"
        named[leaf] = name if name not in named.values() else f"{name} ({number})"
    return named


def _saved_arrays(node: tape.Node) -> Iterator[np.ndarray]:
    """The arrays that the derivative of a node will read."""
    if node.saved is not None:
        inputs, _, outputs, _, extra = node.saved
        yield from _arrays_in([entry[0] for entry in inputs.values()])
        yield from _arrays_in([entry[0] for entry in outputs or () if entry is not None])
        yield from _arrays_in(extra)


def _arrays_in(items: Any) -> Iterator[np.ndarray]:
    if isinstance(items, np.ndarray):
        yield items
    elif isinstance(items, (list, tuple)):
        for item in items:
            yield from _arrays_in(item)


def _buffer(array: np.ndarray) -> np.ndarray:
    """The array whose memory a view keeps alive."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _quoted(*lines: str) -> str:
    """Lines of text as one string of Graphviz's language."""
    return '"' + r"\n".join(line.replace("\\", r"\\").replace('"', r"\"") for line in lines) + '"'
