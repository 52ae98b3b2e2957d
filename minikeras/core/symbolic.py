"""Symbolic tensors: a shape and a dtype that stand for values to come.

An operation on a :class:`SymbolicTensor` records the call instead of running it; the shape of its result is found by
running it on small arrays. :func:`evaluate` replays the record on real values, on the tape where they are.
:func:`gradients` records a differentiation: what it differentiates with respect to is on the tape when it is replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from . import config, tape
from .tensor import Tensor

# Sizes tried for free dimensions: two that differ tell which dimensions of the result are free. Larger ones
# follow for operations that need room, such as a convolution with a wide window.
_PROBES = ((5, 17), (41, 137), (321, 1089))


class Call:
    """A recorded call: ``operation(*inputs, **static)``, where inputs (also inside lists) may be symbolic.

    Attributes:
        variables: the symbolic inputs that the operation differentiates the others with respect to.
        outputs: what it gives.
    """

    __slots__ = ("inputs", "operation", "outputs", "static", "variables")

    def __init__(
        self,
        operation: Callable[..., Any],
        inputs: tuple[Any, ...],
        static: dict[str, Any],
        variables: Sequence[SymbolicTensor] = (),
    ) -> None:
        self.operation = operation
        self.inputs = inputs
        self.static = static
        self.variables = tuple(variables)
        self.outputs: tuple[SymbolicTensor, ...] = ()

    def give(self, outputs: Sequence[tuple[Sequence[int | None], Any]]) -> None:
        """Make the outputs, a shape and a dtype for each."""
        self.outputs = tuple(
            [SymbolicTensor(shape, dtype, source=self, output=i) for i, (shape, dtype) in enumerate(outputs)]
        )


class SymbolicTensor(Tensor):
    """A placeholder with a shape, where None is a dimension that is free, and a dtype, but no values.

    Args:
        shape: tuple of ints and None.
        dtype: NumPy dtype; ``floatx`` if None.
        name: shown in messages.
        source: the call whose output this is; None for an input.
        output: which output of the call.

    Attributes:
        entry: for the input of a model the call that stands for it, with the input's layer as its operation.
    """

    __slots__ = ("_dtype", "_shape", "entry", "name", "output", "source")
    symbolic = True

    def __init__(
        self,
        shape: Sequence[int | None],
        dtype: Any = None,
        name: str | None = None,
        source: Call | None = None,
        output: int = 0,
    ) -> None:
        self._shape = tuple(shape)
        self._dtype = np.dtype(dtype or config.floatx())
        self.name = name
        self.source = source
        self.output = output
        self.grad = None
        self.requires_grad = False
        self.node = None
        self.index = 0
        self.mask = None
        self.entry: Call | None = None

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Tuple of ints, and None for a free dimension."""
        return self._shape

    @property
    def dtype(self) -> np.dtype:
        """NumPy dtype of the values to come."""
        return self._dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._shape)

    def __getattr__(self, attribute: str) -> Any:
        # Reached for what only real Tensors have: `data`, which is never set here, and what is computed from it.
        raise AttributeError(
            f"{self!r} is symbolic: it has no {attribute!r} before it is evaluated; operations on it record themselves"
        )

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is symbolic and has no truth value; use ops.where for a choice by value")

    def __repr__(self) -> str:
        name = f"'{self.name}', " if self.name else ""
        return f"SymbolicTensor({name}shape={self.shape}, dtype={self.dtype})"


def record(
    operation: Callable[..., Any],
    inputs: tuple[Any, ...],
    static: dict[str, Any],
    shapes: Any = None,
) -> Any:
    """Record ``operation(*inputs, **static)``; return its symbolic output, or a tuple of them.

    Args:
        operation: what to call.
        inputs: its positional arguments.
        static: its keyword arguments.
        shapes: what `infer` gives, where that is known without running the operation.

    Raises whatever ``operation`` raises on arrays of these shapes.
    """
    if shapes is None:
        shapes = infer(operation, inputs, static)
    call = Call(operation, inputs, static)
    pairs = shapes if isinstance(shapes, tuple) else shapes[:1]
    call.give(pairs)
    return call.outputs if isinstance(shapes, tuple) else call.outputs[0]


def evaluate(outputs: Any, values: Mapping[SymbolicTensor, Any]) -> Any:
    """Replay what was recorded.

    Args:
        outputs: a SymbolicTensor, or a list or tuple of them.
        values: per symbolic input a Tensor or array of its shape (None fits any size).

    Returns:
        Tensors in the structure of ``outputs``.

    Raises:
        ValueError: an input has no value, or one that doesn't fit its shape.
    """
    wanted = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    known = {id(symbol): _fitting(symbol, value) for symbol, value in values.items()}
    order = _in_order(wanted, known)
    replay = _Replay(known, {id(symbol) for call in order for symbol in call.variables})
    taped = _differentiated(order)
    for call in order:
        with tape.enable_grad() if id(call) in taped else nullcontext():
            replay.run(call)
    found = [replay.value(symbol) for symbol in wanted]
    return found if isinstance(outputs, list) else tuple(found) if isinstance(outputs, tuple) else found[0]


def gradients(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[SymbolicTensor | None]:
    """Record the gradients of the sum of all elements of ``outputs``.

    Args:
        outputs: symbolic tensors.
        inputs: symbolic tensors, inputs or intermediate results, and leaves such as Parameters.

    Returns:
        Per input a SymbolicTensor of its shape; None for a symbolic one that no output was computed from.
    """
    symbols = symbols_in(list(inputs))
    call = Call(_gradients_of_sums, (list(outputs), list(inputs)), {}, variables=symbols)
    reached = _upstream(symbols_in(list(outputs)))
    call.give([(x.shape, x.dtype) for x in inputs])
    return [
        gradient if not x.symbolic or id(x) in reached else None
        for x, gradient in zip(inputs, call.outputs, strict=True)
    ]


def _gradients_of_sums(outputs: list[Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """Gradients on the tape, zeros where there is none; recorded in turn where the mode says so."""
    live = [output for output in outputs if output.requires_grad]
    seeds = [Tensor(np.ones(output.shape, output.dtype)) for output in live]
    found = tape.gradients(live, inputs, seeds, create_graph=tape.grad_enabled(), retain_graph=True)
    return [Tensor(np.zeros(x.shape, x.dtype)) if g is None else g for x, g in zip(inputs, found, strict=True)]


def symbols_in(items: Any) -> list[SymbolicTensor]:
    """All symbolic tensors in nested lists and tuples."""
    if isinstance(items, SymbolicTensor):
        return [items]
    if isinstance(items, (list, tuple)):
        return [symbol for item in items for symbol in symbols_in(item)]
    return []


def _in_order(wanted: list[Any], known: dict[int, Any]) -> list[Call]:
    """The calls that ``wanted`` depends on, inputs before what uses them; without recursion."""
    order: list[Call] = []
    done: set[int] = set()
    stack: list[tuple[Any, bool]] = [(symbol, False) for symbol in reversed(wanted)]
    while stack:
        symbol, ready = stack.pop()
        call = symbol.source
        if id(symbol) in known:
            continue
        if call is None:
            raise ValueError(f"evaluate: no value was given for the input {symbol!r}")
        if id(call) in done:
            continue
        if ready:
            done.add(id(call))
            order.append(call)
        else:
            stack.append((symbol, True))
            stack += [(parent, False) for parent in symbols_in(call.inputs)]
    return order


def _upstream(symbols: list[SymbolicTensor]) -> set[int]:
    """The ids of these symbols and of all that they were computed from."""
    found: set[int] = set()
    stack = list(symbols)
    while stack:
        symbol = stack.pop()
        if id(symbol) not in found:
            found.add(id(symbol))
            stack += symbols_in(symbol.source.inputs) if symbol.source else []
    return found


def _differentiated(order: list[Call]) -> set[int]:
    """The ids of the calls whose results a later call differentiates: they have to run on the tape."""
    found: set[int] = set()
    for call in reversed(order):
        if call.variables or id(call) in found:
            found |= {id(symbol.source) for symbol in symbols_in(call.inputs)}
    return found


class _Replay:
    """The values of symbols in one evaluation: those given, those computed, and which of them are variables."""

    __slots__ = ("known", "results", "variables")

    def __init__(self, known: dict[int, Any], variables: set[int]) -> None:
        self.known = known
        self.variables = variables
        self.results: dict[int, Any] = {}

    def run(self, call: Call) -> None:
        self.results[id(call)] = call.operation(*[self.value(item) for item in call.inputs], **call.static)

    def value(self, item: Any) -> Any:
        """What stands for a symbol, also inside lists; other things are as they are."""
        if isinstance(item, (list, tuple)):
            return type(item)(self.value(part) for part in item)
        if not isinstance(item, SymbolicTensor):
            return item
        if id(item) in self.variables:
            return self._variable(item)
        return self.known[id(item)] if id(item) in self.known else self._result(item)

    def _result(self, symbol: SymbolicTensor) -> Any:
        result = self.results[id(symbol.source)]
        return result[symbol.output] if isinstance(result, (list, tuple)) else result

    def _variable(self, symbol: SymbolicTensor) -> Tensor:
        """The value as a place on the tape, the same one for all that read it."""
        self.variables.discard(id(symbol))
        value = self.value(symbol)
        if not value.requires_grad and value.dtype.kind == "f":
            value = Tensor(value, requires_grad=True)
        self.known[id(symbol)] = value
        return value


def _fitting(symbol: SymbolicTensor, value: Any) -> Tensor:
    value = value if isinstance(value, Tensor) else Tensor(value)
    if len(value.shape) != len(symbol.shape) or any(
        want is not None and want != got for want, got in zip(symbol.shape, value.shape, strict=True)
    ):
        raise ValueError(f"evaluate: {symbol!r} expects shape {symbol.shape}. Received: shape {value.shape}")
    return value


def infer(operation: Callable[..., Any], inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
    """(shape, dtype) of each output, as a tuple if there are several, a list of one if not.

    Found by running the operation on small arrays, twice, with other sizes for what is free.
    """
    for attempt, (first, second) in enumerate(_PROBES):
        try:
            one, other = _probe(operation, inputs, static, first), _probe(operation, inputs, static, second)
            break
        except (ValueError, IndexError):
            if attempt == len(_PROBES) - 1 or not any(None in symbol.shape for symbol in symbols_in(inputs)):
                raise
    several = isinstance(one, (list, tuple))
    pairs = zip(one, other, strict=True) if several else [(one, other)]
    found = [(tuple(a if a == b else None for a, b in zip(x.shape, y.shape, strict=True)), x.dtype) for x, y in pairs]
    return tuple(found) if several else found


def _probe(operation: Callable[..., Any], inputs: tuple[Any, ...], static: dict[str, Any], free: int) -> Any:
    def stand_in(item: Any) -> Any:
        if isinstance(item, SymbolicTensor):
            if item.source is not None and item.dtype.kind in "iu":  # may be a size that shapes follow from
                result = _probe(item.source.operation, item.source.inputs, item.source.static, free)
                return result[item.output] if isinstance(result, (list, tuple)) else result
            return Tensor(np.ones(tuple(free if size is None else size for size in item.shape), item.dtype))
        if isinstance(item, (list, tuple)):
            return type(item)(stand_in(part) for part in item)
        return item

    with tape.no_grad(), np.errstate(all="ignore"):
        return operation(*[stand_in(item) for item in inputs], **static)
