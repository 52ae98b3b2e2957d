"""The tape: what an operation leaves behind for backward, and the walk over it.

An operation on a Tensor that requires a gradient records one :class:`Node`. A node knows where its inputs came from
(its edges) and what its derivative needs (saved arrays), never its own output, so the graph has no reference cycles
and dies with the last Tensor that can reach it. Backward visits nodes in reverse order of creation: an input is always
older than what was computed from it, so sorting by age is a topological order and no recursion is needed.
"""

from __future__ import annotations

import itertools
import operator
import threading
from collections.abc import Sequence
from contextlib import ContextDecorator
from typing import TYPE_CHECKING, Any

import numpy as np

from .hooks import Hooks
from .memory import keep_freed_memory

if TYPE_CHECKING:
    from .primitive import Primitive
    from .tensor import Tensor


class _GradMode(threading.local):
    enabled = True


_mode = _GradMode()
_clock = itertools.count()


def grad_enabled() -> bool:
    """Whether operations record on the tape in this thread."""
    return _mode.enabled


class _SetGradMode(ContextDecorator):
    """Switch recording for a block or a decorated function, in this thread; nests and re-enters."""

    _value: bool

    def __init__(self) -> None:
        self._previous: list[bool] = []

    def __enter__(self) -> None:
        self._previous.append(_mode.enabled)
        _mode.enabled = self._value

    def __exit__(self, *exception: object) -> None:
        _mode.enabled = self._previous.pop()

    def _recreate_cm(self) -> _SetGradMode:
        return type(self)()


class no_grad(_SetGradMode):
    """Context manager and decorator: operations inside leave nothing on the tape.

    Example::

        with minikeras.no_grad():
            prediction = model(x)
    """

    _value = False


class enable_grad(_SetGradMode):
    """Context manager and decorator: operations inside record again, also within :class:`no_grad`."""

    _value = True


# Where one input of an operation came from, and what its gradient looks like: a leaf Tensor or an older Node, which of
# the node's outputs, the shape and the dtype. A plain tuple, as one is made for every input of every operation.
Edge = tuple["Tensor | Node", int, tuple[int, ...], np.dtype]


class Node:
    """One recorded operation.

    Attributes:
        order: creation number; larger is younger.
        operation: the :class:`~minikeras.core.primitive.Primitive` that ran.
        edges: per input an :data:`Edge`, or None where no gradient flows.
        saved: what the derivative reads, filled by the operation; None once backward has freed it.
        outputs: number of outputs.
        hooks: per output what is to see its gradient; None as long as nothing is.
        origin: where the forward ran, set by `minikeras.debug.detect_anomaly` and else never, to cost nothing.
    """

    __slots__ = ("edges", "hooks", "operation", "order", "origin", "outputs", "saved")

    hooks: dict[int, Hooks] | None
    origin: Any

    def __init__(self, operation: Primitive, edges: Sequence[Edge | None], saved: Any, outputs: int) -> None:
        self.order = next(_clock)
        self.operation = operation
        self.edges = edges
        self.saved = saved
        self.outputs = outputs
        self.hooks = None


def hooks_at(tensor: Tensor) -> Hooks:
    """The hooks of the place that a Tensor stands for, to be added to."""
    if tensor.node is None:
        if tensor._hooks is None:
            tensor._hooks = Hooks()
        return tensor._hooks
    if tensor.node.hooks is None:
        tensor.node.hooks = {}
    return tensor.node.hooks.setdefault(tensor.index, Hooks())


def backward(tensor: Tensor, gradient: Tensor | None, retain_graph: bool, create_graph: bool) -> None:
    """Accumulate the gradient of ``tensor`` into ``.grad`` of every leaf it depends on (see ``Tensor.backward``)."""
    seed = _seeds([tensor], None if gradient is None else [gradient])
    arrivals = _walk([tensor], seed, None, create_graph, retain_graph)
    given: set[int] = {id(seed[0].data)}
    for leaf, value in arrivals:
        if leaf.grad is not None:
            leaf.grad = leaf.grad + value if create_graph else type(value)(leaf.grad.data + value.data)
        elif create_graph:
            leaf.grad = value
        else:
            # An array that went to two leaves, or is a view of another, is nobody's to change in place.
            shared = id(value.data) in given or value.data.base is not None or not value.data.flags.writeable
            leaf.grad = type(value)(value.data.copy() if shared else value.data)
            given.add(id(value.data))


def gradients(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> list[Tensor | None]:
    """Gradients of ``outputs`` with respect to ``inputs``; nothing is written to ``.grad``.

    Args:
        outputs: one Tensor or a sequence of Tensors on the tape.
        inputs: one Tensor or a sequence: leaves or intermediate results.
        grad_outputs: per output the cotangent, of the output's shape. May be left out for outputs with one element.
        create_graph: record the computation of the gradients, so that they can be differentiated again.
        retain_graph: keep the tape for another backward. Defaults to ``create_graph``.

    Returns:
        A list with one Tensor per input, of its shape and dtype; None where the outputs do not depend on it.

    Raises:
        TypeError: an output or input is no Tensor.
        RuntimeError: the tape was already freed, an output is not on the tape, or a saved array has changed since.
        ValueError: a cotangent is missing or has the wrong shape.
    """
    results = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    targets = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    for role, items in (("outputs", results), ("inputs", targets)):
        for item in items:
            if not hasattr(item, "requires_grad"):
                raise TypeError(f"gradients: expected Tensors as {role}. Received: {type(item).__name__}")
    if grad_outputs is not None and not isinstance(grad_outputs, (list, tuple)):
        grad_outputs = [grad_outputs]
    retain = create_graph if retain_graph is None else retain_graph
    arrivals = _walk(results, _seeds(results, grad_outputs), targets, create_graph, retain)
    found = {_place(tensor): value for tensor, value in arrivals}
    return [found.get(_place(tensor)) for tensor in targets]


def _seeds(outputs: list[Tensor], cotangents: Sequence[Any] | None) -> list[Tensor]:
    """The cotangents to start from, checked; ones for outputs with a single element."""
    if cotangents is None:
        cotangents = [None] * len(outputs)
    if len(cotangents) != len(outputs):
        raise ValueError(f"gradients: expected one cotangent per output, {len(outputs)}. Received: {len(cotangents)}")
    seeds = []
    for output, cotangent in zip(outputs, cotangents, strict=True):
        if not output.requires_grad:
            raise RuntimeError(
                "backward: the output is not on the tape: it was computed without any Tensor that requires a gradient, "
                f"under no_grad(), or was detached. Received: {output!r}"
            )
        seeds.append(output.as_cotangent(cotangent))
    return seeds


def _walk(
    outputs: list[Tensor], seeds: list[Tensor], targets: list[Tensor] | None, create_graph: bool, retain_graph: bool
) -> list[tuple[Tensor, Tensor]]:
    """Walk the tape from ``outputs``; return (tensor, gradient) for every target, or for every leaf."""
    keep_freed_memory()  # who asks for gradients will do so again
    nodes = _reachable(outputs)
    wanted = {_place(target): target for target in targets} if targets is not None else None
    useful = _useful(nodes, wanted) if wanted is not None else None
    pending = _Pending(create_graph)
    for output, seed in zip(outputs, seeds, strict=True):
        pending.add(_place(output), seed)
    arrivals: list[tuple[Tensor, Tensor]] = []
    was_enabled = _mode.enabled
    _mode.enabled = create_graph
    try:
        for node in nodes:
            cotangents = pending.take(node)
            if node.hooks is not None:
                arrivals += _run_hooks(node, cotangents, useful, wanted)
            if wanted is not None:
                for i, value in enumerate(cotangents):
                    if value is not None and (node, i) in wanted:
                        arrivals.append((wanted[node, i], value))
            needs = tuple([edge is not None for edge in node.edges]) if useful is None else useful.get(node)
            if needs is None or (cotangents[0] is None and all(value is None for value in cotangents)):
                continue
            values = node.operation.pull_back(node, cotangents, needs)
            for edge, value in zip(node.edges, values, strict=True):
                if edge is not None and value is not None:
                    pending.add(edge[:2], value)
            if not retain_graph:
                node.saved = None
        for place, value in pending.gradients.items():
            if wanted is None or place in wanted:
                hooks = place[0]._hooks
                arrivals.append((place[0], value if hooks is None else hooks.run(value)))
    finally:
        _mode.enabled = was_enabled
    return arrivals


def _run_hooks(
    node: Node,
    cotangents: list[Tensor | None],
    useful: dict[Node, tuple[bool, ...]] | None,
    wanted: dict[tuple[Any, int], Tensor] | None,
) -> list[tuple[Tensor, Tensor]]:
    """Let the hooks of a node change the gradients of its outputs; return those that are to be kept in ``.grad``."""
    kept = []
    idle = useful is not None and node not in useful  # nothing that is wanted lies behind it
    for i, hooks in (node.hooks or {}).items():
        value = cotangents[i]
        if value is None or (idle and (node, i) not in (wanted or {})):
            continue
        cotangents[i] = value = hooks.run(value)
        keeper = None if wanted is not None or hooks.keeper is None else hooks.keeper()
        if keeper is not None:
            kept.append((keeper, value))
    return kept


class _Pending:
    """Gradients on their way, by the place where they arrive.

    The first contribution is borrowed (it may be shared with another place), the second allocates the sum, later ones
    are added in place. Under ``create_graph`` sums are operations themselves.
    """

    __slots__ = ("gradients", "owned", "recording")

    def __init__(self, recording: bool) -> None:
        self.gradients: dict[tuple[Any, int], Tensor] = {}
        self.owned: set[tuple[Any, int]] = set()
        self.recording = recording

    def add(self, place: tuple[Any, int], gradient: Tensor) -> None:
        current = self.gradients.get(place)
        if current is None:
            self.gradients[place] = gradient
        elif self.recording or current.data.ndim == 0:
            self.gradients[place] = current + gradient
        elif place in self.owned:
            current.data += gradient.data
        else:
            self.gradients[place] = type(current)(current.data + gradient.data)
            self.owned.add(place)

    def take(self, node: Node) -> list[Tensor | None]:
        """The gradients of the outputs of a node, None where nothing has arrived."""
        take = self.gradients.pop
        if node.outputs == 1:
            return [take((node, 0), None)]
        return [take((node, i), None) for i in range(node.outputs)]


def _place(tensor: Tensor) -> tuple[Any, int]:
    """What identifies a Tensor on the tape: the node and output it came from, or itself when it is a leaf."""
    return (tensor, 0) if tensor.node is None else (tensor.node, tensor.index)


def _reachable(outputs: list[Tensor]) -> list[Node]:
    """Every node the outputs depend on, youngest first."""
    stack = [output.node for output in outputs if output.node is not None]
    seen = set(stack)
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and isinstance(source := edge[0], Node) and source not in seen:
                seen.add(source)
                stack.append(source)
    return sorted(seen, key=operator.attrgetter("order"), reverse=True)


def _useful(nodes: list[Node], wanted: dict[tuple[Any, int], Tensor]) -> dict[Node, tuple[bool, ...]]:
    """For the nodes through which a gradient reaches a wanted place: which of their inputs lead there."""
    useful: dict[Node, tuple[bool, ...]] = {}
    for node in reversed(nodes):
        needs = tuple([edge is not None and (edge[0] in useful or edge[:2] in wanted) for edge in node.edges])
        if any(needs):
            useful[node] = needs
    return useful
