"""Graph: the layers and operations between symbolic inputs and outputs, in Keras's order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from ..core import symbolic
from ..core.symbolic import Call, Program, SymbolicTensor, symbols_in
from ..layers.base import Layer
from ..layers.shapes import Shape, is_shape, masks_of

T = TypeVar("T")


class Graph:
    """What is computed between symbolic inputs and outputs.

    Args:
        inputs: Of a model, as `Input` gives them.
        outputs: Made of the inputs by layers and operations.
        owner: The model, for messages.

    Attributes:
        program: What computes the outputs.
        layers: The layers by depth, the farthest from the outputs first; those of one depth in the order in which
            they are met on the way from the outputs. This is the order of Keras, and so that of the weights.

    Raises:
        ValueError: If an output depends on another input, or two layers have one name.
    """

    def __init__(self, inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor], owner: str) -> None:
        try:
            self.program = Program(inputs, outputs)
        except ValueError as error:
            names = [symbol.name for symbol in inputs]
            raise ValueError(
                f"{owner}: the graph is disconnected: an output depends on more than the inputs {names}: {error}"
            ) from None
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.layers = _by_depth(outputs, inputs)
        names_of = Counter(layer.name for layer in self.layers)
        if twice := [name for name, number in names_of.items() if number > 1]:
            raise ValueError(
                f"{owner}: the name of each layer must be its own. Received: {names_of[twice[0]]} layers named "
                f"{twice[0]!r}"
            )

    def nodes(self, layer: Layer) -> list[Call]:
        """The calls of a layer that are part of the graph, in the order in which they were made."""
        here = {id(call) for call in self.program.calls} | {id(symbol.entry) for symbol in self.inputs}
        return [node for node in layer._nodes if id(node) in here]

    def sources(self, layer: Layer) -> list[str]:
        """What a layer is called on: ``name[node][output]`` as Keras writes it, or the name of an operation."""
        found = []
        for node in self.nodes(layer):
            for symbol in symbols_in([*node.inputs]):
                source = node_of(symbol)
                if isinstance(source.operation, Layer):
                    found.append(f"{source.operation.name}[{source.operation._nodes.index(source)}][{symbol.output}]")
                else:
                    found.append(name_of(source))
        return found

    def is_chain(self) -> bool:
        """Whether the layers follow one another, each with one input and one call."""
        steps = [[id(node_of(symbol)) for symbol in symbols_in([*call.inputs])] for call in self.program.calls]
        expected = [[id(node)] for node in ([symbol.entry for symbol in self.inputs] + self.program.calls)[:-1]]
        return steps == expected and len(self.layers) == len(steps) + 1

    def output_shapes(self, input_shapes: Sequence[Shape]) -> list[Shape]:
        """The shapes of the outputs for inputs of other shapes than those it was made with."""
        known = self.propagate(input_shapes)
        return [known[id(symbol)].shape for symbol in self.outputs]

    def propagate(self, input_shapes: Sequence[Shape]) -> dict[int, SymbolicTensor]:
        """Symbols of the shapes that all tensors have for inputs of these shapes, by the id of those they stand for."""
        known = {
            id(symbol): SymbolicTensor(shape, symbol.dtype)
            for symbol, shape in zip(self.inputs, input_shapes, strict=True)
        }
        for call in self.program.calls:
            arguments = _substituted(call.inputs, known)
            if isinstance(call.operation, Layer):
                found = call.operation.compute_output_shape(_shapes(arguments[0]))
                shapes = [found] if is_shape(found) else found
            else:
                inferred = symbolic.infer(call.operation, arguments, call.static)
                shapes = [shape for shape, _ in inferred]
            for symbol, shape in zip(call.outputs, shapes, strict=True):
                known[id(symbol)] = SymbolicTensor(shape, symbol.dtype)
        return known

    def carries_masks(self, masks: Sequence[Any]) -> list[bool]:
        """Whether each output has a mask, if the inputs have these (or None)."""
        known = dict(zip(map(id, self.inputs), masks, strict=True))
        for call in self.program.calls:
            found: Any = None
            if isinstance(call.operation, Layer):
                mask = _each(lambda symbol: known.get(id(symbol), masks_of(symbol)), call.inputs[0])
                masked = any(item is not None for item in (mask if isinstance(mask, list) else [mask]))
                found = call.operation.compute_mask(call.inputs[0], mask) if masked else None
            several = found if isinstance(found, (list, tuple)) else [found] * len(call.outputs)
            for symbol, its_mask in zip(call.outputs, several, strict=True):
                known[id(symbol)] = symbol.mask if symbol.mask is not None else its_mask
        return [known[id(symbol)] is not None for symbol in self.outputs]

    def replay(self, symbols: Sequence[SymbolicTensor], copies: dict[int, Layer]) -> list[SymbolicTensor]:
        """Record the same calls anew on other inputs, with copies in place of the layers; return the outputs."""
        known = dict(zip(map(id, self.inputs), symbols, strict=True))
        for call in sorted(self.program.calls, key=lambda call: call.number):
            operation = copies.get(id(call.operation), call.operation)
            arguments, static = _substituted(call.inputs, known), _substituted([*call.static.values()], known)
            results = operation(*arguments, **dict(zip(call.static, static, strict=True)))
            results = results if isinstance(results, (list, tuple)) else [results]
            known.update(zip(map(id, call.outputs), results, strict=True))
        return [known[id(symbol)] for symbol in self.outputs]

    def trace(self, values: Sequence[T], visit: Callable[[Call, tuple[Any, ...]], Sequence[T]]) -> list[T]:
        """Carry other things than tensors through the graph.

        Args:
            values: One for each input.
            visit: Given a call and its arguments, with values in the place of symbols, returns those of its outputs.

        Returns:
            One for each output.
        """
        known = dict(zip(map(id, self.inputs), values, strict=True))
        for call in self.program.calls:
            made = visit(call, _substituted(call.inputs, known))
            known.update(zip(map(id, call.outputs), made, strict=True))
        return [known[id(symbol)] for symbol in self.outputs]

    def flatten(self, further: Sequence[SymbolicTensor]) -> tuple[Any, ...]:
        """The graph, and further symbols made of its inputs, as a flat list of calls: symbols are numbers here.

        This is how graphs are copied and pickled, whatever their depth.
        """
        wanted = [*self.outputs, *further]
        calls = sorted(Program(self.inputs, wanted).calls, key=lambda call: call.number)
        symbols = [*self.inputs, *(output for call in calls for output in call.outputs)]
        numbers: dict[int, Any] = {id(symbol): _Number(i) for i, symbol in enumerate(symbols)}
        steps = [
            (call.operation, _substituted(call.inputs, numbers), _substituted(list(call.static.items()), numbers))
            for call in calls
        ]
        entries = [node_of(symbol).operation for symbol in self.inputs]
        return entries, steps, [numbers[id(symbol)].value for symbol in wanted]


class _Number:
    """Stands for a symbol in a flat graph."""

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


def unflatten(flat: tuple[Any, ...]) -> tuple[list[SymbolicTensor], list[SymbolicTensor]]:
    """Record the calls of a flat graph; return its inputs, and what it was asked for."""
    entries, steps, wanted = flat
    inputs = [layer.output for layer in entries]
    symbols = list(inputs)
    for operation, arguments, static in steps:
        results = operation(*_numbered(arguments, symbols), **dict(_numbered(static, symbols)))
        symbols += results if isinstance(results, (list, tuple)) else [results]
    return inputs, [symbols[number] for number in wanted]


def _numbered(item: Any, symbols: Sequence[SymbolicTensor]) -> Any:
    if isinstance(item, _Number):
        return symbols[item.value]
    return type(item)([_numbered(part, symbols) for part in item]) if isinstance(item, (list, tuple)) else item


def node_of(symbol: SymbolicTensor) -> Call:
    """The call that made a symbolic tensor; for an input of a model that of its InputLayer."""
    node = symbol.entry or symbol.source
    if node is None:
        raise ValueError(f"{symbol!r} comes from no layer; an input of a model is made by Input")
    return node


def name_of(call: Call) -> str:
    """The name of the layer or operation that was called; functions of the backend are recorded as they are."""
    unnamed = getattr(call.operation, "__name__", type(call.operation).__name__)
    return str(getattr(call.operation, "name", unnamed))


def _by_depth(outputs: Sequence[SymbolicTensor], inputs: Sequence[SymbolicTensor]) -> list[Layer]:
    """Keras's order of layers: by the longest way to an output, then as they are met from the outputs."""
    met: dict[int, Any] = {}  # layers, and operations that belong to none, in the order in which they are met
    order: list[Call] = []
    for symbol in outputs:
        order += _after_what_they_need(node_of(symbol), met, order)
    depth_of_node: dict[int, int] = {}
    depth: dict[int, int] = {}
    for node in reversed(order):
        own = max(depth_of_node.get(id(node), 0), depth.get(_key(node), 0))
        depth_of_node[id(node)] = depth[_key(node)] = own
        for parent in _parents(node):
            depth_of_node[id(parent)] = max(depth_of_node.get(id(parent), 0), own + 1)
    unused = [symbol.entry for symbol in inputs if symbol.entry is not None and _key(symbol.entry) not in depth]
    found = sorted(met, key=lambda key: -depth[key])  # stable: layers of one depth stay as they were met
    return [node.operation for node in unused] + [met[key] for key in found if isinstance(met[key], Layer)]


def _after_what_they_need(last: Call, met: dict[int, Any], done: list[Call]) -> list[Call]:
    """The nodes that ``last`` depends on and itself, each after its parents; without recursion."""
    finished = {id(node) for node in done}
    if id(last) in finished:
        return []
    order: list[Call] = []
    met.setdefault(_key(last), last.operation)
    stack: list[tuple[Call, Iterator[Call]]] = [(last, iter(_parents(last)))]
    begun = {id(last)}
    while stack:
        node, parents = stack[-1]
        parent = next(parents, None)
        if parent is None:
            order.append(node)
            stack.pop()
        elif id(parent) not in finished and id(parent) not in begun:
            begun.add(id(parent))
            met.setdefault(_key(parent), parent.operation)
            stack.append((parent, iter(_parents(parent))))
    return order


def _parents(node: Call) -> list[Call]:
    return [node_of(symbol) for symbol in symbols_in([*node.inputs, *node.static.values()])]


def _key(node: Call) -> int:
    """What nodes of one layer have in common; an operation outside of layers stands for itself."""
    return id(node.operation) if isinstance(node.operation, Layer) else id(node)


def _each(function: Any, symbols: Any) -> Any:
    return [function(symbol) for symbol in symbols] if isinstance(symbols, (list, tuple)) else function(symbols)


def _shapes(tensors: Any) -> Any:
    return _each(lambda tensor: tuple(tensor.shape), tensors)


def _substituted(item: Any, known: dict[int, Any]) -> Any:
    """Nested arguments with other symbols in place of those that are known."""
    if isinstance(item, SymbolicTensor):
        return known[id(item)]
    if isinstance(item, (list, tuple)) and symbols_in(item):
        return type(item)([_substituted(part, known) for part in item])
    return item
