"""Symbolic tensors: a shape and a dtype that stand for values to come.

An operation on a :class:`SymbolicTensor` records the call instead of running it; the shape of its result is found by
running it on small arrays. :func:`evaluate` replays the record on real values, on the tape where they are.
:func:`gradients` records a differentiation: what it differentiates with respect to is on the tape when it is replayed.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import config, tape
from .tensor import Tensor

# Sizes tried for free dimensions: two that differ tell which dimensions of the result are free. Larger ones
# follow for operations that need room, such as a convolution with a wide window.
_PROBES = ((5, 17), (41, 137), (321, 1089))
_LARGEST_PROBE = 10_000_000  # elements: a mistake in a call on images of free size must not fill the memory


# What TensorFlow's tensors have, and scripts for Keras 2 use.
_ADVICE = {
    "eval": "K.eval(x) gives the value of what depends on no input, K.function([input], [x]) that of other tensors",
    "get_shape": "K.int_shape(x) is its shape, a tuple",
    "set_shape": "Its shape is what the operations that make it give; K.reshape makes another",
}

_numbers = itertools.count()


class Call:
    """A recorded call: ``operation(*inputs, **static)``, where inputs (also inside lists) may be symbolic.

    Attributes:
        variables: the symbolic inputs that the operation differentiates the others with respect to.
        outputs: what it gives.
        number: a later call has a larger one.
    """

    __slots__ = ("inputs", "number", "operation", "outputs", "static", "variables")

    def __init__(
        self,
        operation: Callable[..., Any],
        inputs: tuple[Any, ...],
        static: dict[str, Any],
        variables: Sequence[SymbolicTensor] = (),
    ) -> None:
        self.operation: Any = operation
        self.inputs = inputs
        self.static = static
        self.variables = tuple(variables)
        self.outputs: tuple[SymbolicTensor, ...] = ()
        self.number = next(_numbers)

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
        self._hooks = None
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

    @property
    def _keras_shape(self) -> tuple[int | None, ...]:
        """The shape, by the name that scripts for Keras 2 read."""
        return self._shape

    @property
    def _keras_history(self) -> tuple[Any, int, int]:
        """What made it, which call of that this was, and which output of the call."""
        call = self.entry or self.source
        if call is None:
            raise AttributeError(f"{self!r} was made by nothing: it has no '_keras_history'")
        return call.operation, getattr(call.operation, "_nodes", [call]).index(call), self.output

    @property
    def _uses_learning_phase(self) -> bool:
        """Whether its value differs in training."""
        calls = [symbol.source for symbol in upstream([self]) if symbol.source is not None]
        return any(
            call.static.get("training") is None and getattr(call.operation, "uses_learning_phase", False)
            for call in calls
        )

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):  # what copy and pickle look for, also before there is a name to show
            raise AttributeError(attribute)
        # Reached for what only real Tensors have: `data`, which is never set here, and what is computed from it.
        raise AttributeError(
            f"{self!r} is symbolic: it has no {attribute!r} before it is evaluated; operations on it record themselves"
            + (f". {_ADVICE[attribute]}" if attribute in _ADVICE else "")
        )

    def __len__(self) -> int:
        if not self._shape or self._shape[0] is None:
            raise TypeError(f"{self!r} has no known length, and can't be gone through element by element")
        return self._shape[0]

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
    inputs = [_fitting(symbol, value) for symbol, value in values.items()]
    found = Program(list(values), wanted)(inputs)
    return found if isinstance(outputs, list) else tuple(found) if isinstance(outputs, tuple) else found[0]


class Program:
    """What was recorded between inputs and outputs, put in order once, to be run many times.

    Each value has a slot, which is emptied when the last step that reads it has run; what the tape needs it keeps
    itself. Nothing is computed that the outputs don't depend on.

    Args:
        inputs: symbolic tensors.
        outputs: symbolic tensors.

    Attributes:
        calls: the recorded calls, each after those that it depends on.

    Raises:
        ValueError: an output depends on a symbolic tensor that is none of the inputs nor made of them.
    """

    def __init__(self, inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]) -> None:
        self.calls = _in_order(outputs, {id(symbol) for symbol in inputs})
        symbols = [*inputs, *(output for call in self.calls for output in call.outputs)]
        slots = {id(symbol): slot for slot, symbol in reversed(list(enumerate(symbols)))}
        variables = {slots[id(symbol)] for call in self.calls for symbol in call.variables if id(symbol) in slots}
        taped = _differentiated(self.calls)
        self._size = len(symbols)
        self._wanted = [slots[id(symbol)] for symbol in outputs]
        self._variables = [slot for slot in range(len(inputs)) if slot in variables]
        self._steps = [_Step(call, slots, variables, id(call) in taped) for call in self.calls]
        self._plan_release(len(inputs))

    def __call__(self, values: Sequence[Tensor]) -> list[Any]:
        """Return the outputs for values of the inputs."""
        slots: list[Any] = [None] * self._size
        slots[: len(values)] = values
        for slot in self._variables:
            slots[slot] = _on_tape(slots[slot])
        for step in self._steps:
            step.run(slots)
        return [slots[slot] for slot in self._wanted]

    def _plan_release(self, inputs: int) -> None:
        """Tell each step which slots nobody reads after it."""
        last: dict[int, _Step] = {}
        for step in self._steps:
            last.update(dict.fromkeys([*step.reads, *step.writes], step))
        for slot, step in last.items():
            if slot >= inputs and slot not in self._wanted:
                step.spent.append(slot)


class _Step:
    """One call of a program: where its arguments are, and where its results go."""

    __slots__ = ("inputs", "operation", "options", "reads", "simple", "spent", "static", "taped", "variables", "writes")

    def __init__(self, call: Call, slots: dict[int, int], variables: set[int], taped: bool) -> None:
        symbols = symbols_in([*call.inputs, *call.static.values()])
        self.operation = call.operation
        self.inputs = _placed(call.inputs, slots)
        self.static = call.static
        self.options = [*call.static.values()] if symbols_in([*call.static.values()]) else None
        if self.options is not None:
            self.options = _placed(self.options, slots)
        self.reads = [slots[id(symbol)] for symbol in symbols]
        self.writes = [slots[id(output)] for output in call.outputs]
        self.variables = [slot for slot in self.writes if slot in variables]
        self.simple = self.options is None and len(self.inputs) == 1 and isinstance(self.inputs[0], _Slot)
        self.taped = taped
        self.spent: list[int] = []

    def run(self, slots: list[Any]) -> None:
        """Compute the results from what is in the slots, and put them there."""
        if self.taped:
            with tape.enable_grad():
                result = self._result(slots)
        else:
            result = self._result(slots)
        if isinstance(result, (list, tuple)):
            for slot, value in zip(self.writes, result, strict=True):
                slots[slot] = value
        else:
            slots[self.writes[0]] = result
        for slot in self.variables:
            slots[slot] = _on_tape(slots[slot])
        for slot in self.spent:
            slots[slot] = None

    def _result(self, slots: list[Any]) -> Any:
        if self.simple:
            return self.operation(slots[self.reads[0]], **self.static)
        static = self.static
        if self.options is not None:
            static = dict(zip(static, _filled(self.options, slots), strict=True))
        return self.operation(*_filled(self.inputs, slots), **static)


class _Slot:
    """Stands for a value among the arguments of a step."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


def _placed(item: Any, slots: dict[int, int]) -> Any:
    """Nested arguments with slots in place of symbols."""
    if isinstance(item, SymbolicTensor):
        return _Slot(slots[id(item)])
    if isinstance(item, (list, tuple)) and symbols_in(item):
        return type(item)([_placed(part, slots) for part in item])
    return item


def _filled(item: Any, slots: list[Any]) -> Any:
    """Nested arguments with values in place of slots."""
    if type(item) is _Slot:
        return slots[item.index]
    if isinstance(item, (list, tuple)):
        return type(item)([_filled(part, slots) for part in item])
    return item


def _on_tape(value: Tensor) -> Tensor:
    """A value that gradients can be taken with respect to."""
    return value if value.requires_grad or value.dtype.kind != "f" else Tensor(value, requires_grad=True)


def gradients(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[SymbolicTensor | None]:
    """Record the gradients of the sum of all elements of ``outputs``.

    Args:
        outputs: symbolic tensors.
        inputs: symbolic tensors, inputs or intermediate results, and leaves such as Parameters.

    Returns:
        Per input a SymbolicTensor of its shape; None for a symbolic one that no output was computed from.
    """
    reached = {id(symbol) for symbol in upstream(symbols_in(list(outputs)))}
    wanted = [x for x in inputs if not x.symbolic or id(x) in reached]
    call = Call(_gradients_of_sums, (list(outputs), wanted), {}, variables=symbols_in(wanted))
    call.give([(x.shape, x.dtype) for x in wanted])
    found = {id(x): gradient for x, gradient in zip(wanted, call.outputs, strict=True)}
    return [found.get(id(x)) for x in inputs]


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


def _in_order(wanted: Sequence[SymbolicTensor], known: set[int]) -> list[Call]:
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
            raise ValueError(f"no value was given for the input {symbol!r}")
        if id(call) in done:
            continue
        if ready:
            done.add(id(call))
            order.append(call)
        else:
            stack.append((symbol, True))
            stack += [(parent, False) for parent in reversed(symbols_in([*call.inputs, *call.static.values()]))]
    return order


def upstream(symbols: Sequence[SymbolicTensor]) -> list[SymbolicTensor]:
    """These symbols and all that they were computed from, each once."""
    found: dict[int, SymbolicTensor] = {}
    stack = list(symbols)
    while stack:
        symbol = stack.pop()
        if id(symbol) not in found:
            found[id(symbol)] = symbol
            stack += symbols_in([*symbol.source.inputs, *symbol.source.static.values()]) if symbol.source else []
    return list(found.values())


def _differentiated(order: list[Call]) -> set[int]:
    """The ids of the calls whose results a later call differentiates: they have to run on the tape."""
    found: set[int] = set()
    for call in reversed(order):
        if call.operation is _gradients_of_sums or id(call) in found:  # of weights alone it has no variables
            found |= {id(symbol.source) for symbol in symbols_in(call.inputs)}
    return found


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
    one, other = _probed(operation, inputs, static)
    several = isinstance(one, (list, tuple))
    pairs = zip(one, other, strict=True) if several else [(one, other)]
    found = [(tuple(a if a == b else None for a, b in zip(x.shape, y.shape, strict=True)), x.dtype) for x, y in pairs]
    return tuple(found) if several else found


def _probed(operation: Callable[..., Any], inputs: tuple[Any, ...], static: dict[str, Any]) -> tuple[Any, Any]:
    """What the operation gives for two choices of the free sizes, the first pair that gives it room."""
    symbols = symbols_in(inputs)
    shapes = [symbol.shape for symbol in symbols if None in symbol.shape]
    failure: Exception | None = None
    found: Any = None
    for sizes in _PROBES if shapes else _PROBES[:1]:
        if sizes is not _PROBES[0] and any(_elements(shape, sizes[1]) > _LARGEST_PROBE for shape in shapes):
            break
        try:
            found = _probe(operation, inputs, static, sizes[0]), _probe(operation, inputs, static, sizes[1])
        except (ValueError, IndexError) as error:
            failure = failure or error
            continue
        if not _vanishes(found[0], inputs):
            break
    if failure is not None and not found and not any(None in shape[1:] for shape in shapes):
        # Beside an input of a fixed batch no other size may fit: then the batch isn't free.
        for size in sorted({symbol.shape[0] for symbol in symbols if symbol.shape and symbol.shape[0]}):
            with contextlib.suppress(ValueError, IndexError):
                result = _probe(operation, inputs, static, size)
                return result, result
    if failure is not None and not found:
        if not shapes:
            raise failure
        kind = ValueError if isinstance(failure, ValueError) else IndexError
        raise kind(f"{failure} ({_PROBES[0][0]} stands for each size that is None)") from failure
    return found


def _elements(shape: tuple[int | None, ...], free: int) -> int:
    return math.prod([free if size is None else size for size in shape])


def _vanishes(outputs: Any, inputs: tuple[Any, ...]) -> bool:
    """Whether a result is empty though no input is: a window, say, that is longer than what was tried."""
    results = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return any(0 in x.shape for x in results) and not any(0 in symbol.shape for symbol in symbols_in(inputs))


def _probe(operation: Callable[..., Any], inputs: tuple[Any, ...], static: dict[str, Any], free: int) -> Any:
    def stand_in(item: Any) -> Any:
        if isinstance(item, SymbolicTensor):
            if item.source is not None and item.dtype.kind in "iu":  # may be a size that shapes follow from
                result = _probe(item.source.operation, item.source.inputs, item.source.static, free)
                return result[item.output] if isinstance(result, (list, tuple)) else result
            x = Tensor(np.ones(tuple(free if size is None else size for size in item.shape), item.dtype))
            x.mask = stand_in(item.mask)
            return x
        if isinstance(item, (list, tuple)):
            return type(item)(stand_in(part) for part in item)
        return item

    keywords = {name: stand_in(item) for name, item in static.items()}
    with tape.no_grad(), np.errstate(all="ignore"):
        return operation(*[stand_in(item) for item in inputs], **keywords)
