"""The one way to add an operation: a forward on ndarrays, and beside it how gradients come back.

Example::

    @primitive
    def multiply(x, y):
        return np.multiply(x, y)

    multiply.vjps(x=lambda g, y: g * y, y=lambda g, x: g * x)

Positional arguments are the arrays that may carry a gradient; keyword-only arguments are static. The parameter names
of a derivative say what the tape has to keep for it, and nothing else is kept:

==============  =====================================================================================
``g``           the cotangent of the output (a tuple, with None for unused outputs, if there are several)
an input        that input, as a Tensor on the tape
``out``         the output, likewise (a tuple if there are several)
``x_shape``     only the shape of the input ``x``
``extra``       what a forward declared with ``extra=True`` returned beside its output, no gradient flows into it
a static name   that argument
``needs``       per input whether its gradient is wanted
==============  =====================================================================================

A forward may name a keyword ``recording``, which tells it whether the tape will keep what it does: without, what only
the derivative reads needn't be computed.

Derivatives are written with operations on Tensors, so they have derivatives themselves. Sums over broadcast axes and
conversions back to the input's dtype are done here, once, for all operations.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import config, tape
from .tensor import Tensor, as_array, operations

_mode = tape._mode


class Primitive:
    """An operation on arrays with its derivative; make one with :func:`primitive`."""

    def __init__(self, forward: Callable[..., Any], extra: bool, differentiable: bool, name: str | None) -> None:
        self.forward = forward
        self.name = name or forward.__name__.strip("_")
        self.__name__ = self.name
        self.__doc__ = forward.__doc__
        self.__module__ = forward.__module__
        self.__wrapped__ = forward
        self._extra = extra
        self._differentiable = differentiable
        parameters = inspect.signature(forward).parameters.values()
        if taken := sorted(_RESERVED & {p.name for p in parameters}):
            raise TypeError(f"primitive {self.name}: rename {taken}, which mean something else to its derivative")
        self._static_defaults: dict[str, Any] = {
            p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "recording"
        }
        self._asks_whether_recording = any(p.name == "recording" for p in parameters)
        self._inputs = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
        self._required = tuple(p.name for p in parameters if p.name in self._inputs and p.default is p.empty)
        self._variadic = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
        self._most = len(self._inputs) if self._variadic is None else float("inf")
        self._vjps: dict[str, _Rule] = {}
        self._backward: _Rule | None = None
        self._plans: dict[tuple[bool, ...], _Plan] = {}

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    # ------------------------------------------------------------------ declaring the derivative

    def vjps(self, **rules: Callable[..., Tensor] | None) -> None:
        """One rule per differentiable input: cotangent of the output in, cotangent of that input out.

        None instead of a rule says that the derivative is zero wherever it exists.
        """
        unknown = set(rules) - set(self._inputs)
        if unknown:
            raise TypeError(f"primitive {self.name}: no input named {sorted(unknown)}; it has {self._inputs}")
        self._vjps = {name: self._rule(rule or _nothing) for name, rule in rules.items()}
        self._plans.clear()

    def backward(self, rule: Callable[..., Any] | None = None, /, **kept_for: str) -> Any:
        """Decorator: one rule that returns the gradients of all inputs together, None where none is needed.

        Keywords say when something that the rule reads has to be kept: the name of the one input whose gradient takes
        it, or for ``out`` the name of a static argument that must not be None. Otherwise the rule reads None.
        ``@conv.backward(x="w", w="x", out="activation")`` keeps ``x`` only where ``w`` needs a gradient.
        """
        if rule is None:
            return functools.partial(self.backward, **kept_for)
        self._backward = self._rule(rule, kept_for=kept_for)
        self._plans.clear()
        return rule

    def composite(self, definition: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator: differentiate ``definition``, the same function written with operations on Tensors.

        This is how a fused kernel gets a derivative of its own. ``definition`` takes the inputs and, by keyword, the
        static arguments that it names.
        """
        statics = [
            p.name
            for p in inspect.signature(definition).parameters.values()
            if p.kind is inspect.Parameter.KEYWORD_ONLY
        ]

        def rule(g: Any, needs: tuple[bool, ...], *values: Any) -> list[Tensor | None]:
            inputs, static = values[: len(self._inputs)], dict(zip(statics, values[len(self._inputs) :], strict=True))
            return pull_back_through(definition, g, needs, inputs, static)

        self._backward = self._rule(rule, ("g", "needs", *self._inputs, *statics))
        self._plans.clear()
        return definition

    def _rule(
        self, function: Callable[..., Any], names: tuple[str, ...] = (), kept_for: dict[str, str] | None = None
    ) -> _Rule:
        names = names or tuple(inspect.signature(function).parameters)
        readers = self._readers()
        unknown = set(names) - readers.keys()
        if unknown:
            raise TypeError(
                f"primitive {self.name}: its derivative asks for {sorted(unknown)}, but may read {sorted(readers)}"
            )
        return _Rule(function, names, tuple([readers[name] for name in names]), kept_for or {})

    def _readers(self) -> dict[str, Callable[[_Record], Any]]:
        """What a derivative may read: by parameter name, how to find it in what the tape has kept."""
        method, attribute = operator.methodcaller, operator.attrgetter
        readers: dict[str, Callable[[_Record], Any]] = {
            "g": attribute("cotangent"),
            "needs": attribute("needs"),
            "out": _Record.out,
        }
        if self._extra:
            readers["extra"] = attribute("extra")
        for name, default in self._static_defaults.items():
            readers[name] = method("option", name, default)
        for i, name in enumerate(self._inputs):
            readers[name] = method("input", i)
            readers[f"{name}_shape"] = method("shape", i)
        if self._variadic:
            readers[self._variadic] = _Record.all_inputs
            readers[f"{self._variadic}_shape"] = attribute("shapes")
        return readers

    # ------------------------------------------------------------------ running

    def __call__(self, *inputs: Any, **static: Any) -> Any:
        if len(inputs) > self._most or (static and not static.keys() <= self._static_defaults.keys()):
            inputs, static = self._bind(inputs, static)
        arrays: list[Any] = []
        seen_array = recording = False
        for value in inputs:
            if isinstance(value, Tensor):
                if value.symbolic:
                    return operations.record(self, inputs, static)
                arrays.append(value.data)
                seen_array = True
                if value.requires_grad:
                    recording = self._differentiable and _mode.enabled
            else:
                array = _operand(value)
                arrays.append(array)
                seen_array = seen_array or type(array) is np.ndarray
        if not seen_array:
            arrays = [array if array is None else np.asarray(array, config.floatx()) for array in arrays]
        try:
            if self._asks_whether_recording:
                result = self.forward(*arrays, **static, recording=recording)
            else:
                result = self.forward(*arrays, **static)
        except (TypeError, ValueError, IndexError) as error:
            raise self._explained(error, arrays, static) from error
        extra = None
        if self._extra:
            result, extra = result
        if type(result) is tuple:
            outputs = tuple([None if array is None else _output(array, inputs, arrays) for array in result])
            if recording:
                self._record(inputs, arrays, static, outputs, extra)
            return outputs
        output = _output(result, inputs, arrays)
        if recording:
            self._record(inputs, arrays, static, (output,), extra)
        return output

    def _bind(self, inputs: tuple[Any, ...], static: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Inputs given by keyword and static arguments given by position, each put where it belongs."""
        options = dict(zip(self._static_defaults, inputs[len(self._inputs) :], strict=False))
        if (
            self._variadic is None
            and len(inputs) == len(self._inputs) + len(options)
            and (not static or static.keys() <= self._static_defaults.keys() - options.keys())
        ):
            return inputs[: len(self._inputs)], {**options, **static}
        names = (*self._inputs, *self._static_defaults)
        surplus = [name for name in static if name not in names]
        if surplus or (self._variadic is None and len(inputs) > len(names)):
            what = f"keyword {surplus[0]!r}" if surplus else f"{len(inputs)} positional arguments"
            raise TypeError(f"{self.name}: expected the arguments {', '.join(names)}. Received: {what}")
        if self._variadic is not None:
            return inputs, static
        given = dict(zip(names, inputs, strict=False))
        if twice := given.keys() & static.keys():
            raise TypeError(f"{self.name}: the argument {min(twice)!r} is given by position and by keyword")
        given.update(static)
        if missing := [name for name in self._required if name not in given]:
            raise TypeError(f"{self.name}: the argument {missing[0]!r} is missing")
        count = max(len(inputs), *[i + 1 for i, name in enumerate(self._inputs) if name in given])
        inputs = tuple([given.get(name) for name in self._inputs[:count]])
        return inputs, {name: given[name] for name in self._static_defaults if name in given}

    def _explained(self, error: Exception, arrays: list[Any], static: dict[str, Any]) -> Exception:
        """An error of the forward as one that names the operation and what it received."""
        if str(error).startswith(f"{self.name}: "):
            return error
        names = self._input_names(len(arrays))
        received = [
            f"{name} of shape {np.shape(array)} and dtype {np.asarray(array).dtype}"
            for name, array in zip(names, arrays, strict=False)
            if array is not None
        ]
        received += [f"{name}={value!r:.60}" for name, value in static.items()]
        kind = TypeError if isinstance(error, TypeError) else IndexError if type(error) is IndexError else ValueError
        return kind(f"{self.name}: {str(error).strip()}. Received: {', '.join(received)}")

    def _record(
        self,
        inputs: tuple[Any, ...],
        arrays: list[Any],
        static: dict[str, Any],
        outputs: tuple[Tensor | None, ...],
        extra: Any,
    ) -> None:
        """Leave a node on the tape that holds what the derivative will read."""
        edges: list[tape.Edge | None] = [
            (value.node or value, value.index, value.data.shape, value.data.dtype)
            if isinstance(value, Tensor) and value.requires_grad
            else None
            for value in inputs
        ]
        needs = tuple([edge is not None for edge in edges])
        plan = self._plans.get(needs) or self._plan(needs)
        shapes = kept_outputs = None
        if plan.shapes:
            shapes = tuple([array.shape if type(array) is np.ndarray else np.shape(array) for array in arrays])
        if plan.out and (plan.out_for is None or static.get(plan.out_for) is not None):
            kept_outputs = [None if output is None else (output.data, *_version(output)) for output in outputs]
        saved = (
            {i: (arrays[i], *_version(inputs[i])) for i in plan.inputs} if plan.inputs else _NOTHING_KEPT,
            shapes,
            kept_outputs,
            static,
            extra if plan.extra else None,
        )
        node = tape.Node(self, edges, saved, len(outputs))
        for index, output in enumerate(outputs):
            if output is not None and output.data.dtype.kind == "f":
                output.requires_grad = True
                output.node = node
                output.index = index

    def _plan(self, needs: tuple[bool, ...]) -> _Plan:
        """Which inputs, shapes and outputs to keep when the inputs in ``needs`` want a gradient."""
        names = self._input_names(len(needs))
        wanted = [name for name, need in zip(names, needs, strict=True) if need]
        if self._backward is None:
            if missing := [name for name in wanted if name not in self._vjps]:
                raise TypeError(f"{self.name}: no derivative is defined with respect to its input {missing[0]!r}")
            reads = {read for name in wanted for read in self._vjps[name].names}
            kept_for: dict[str, str] = {}
        else:
            kept_for = self._backward.kept_for
            reads = {n for n in self._backward.names if n == "out" or n not in kept_for or kept_for[n] in wanted}
        plan = self._plans[needs] = _Plan(
            inputs=tuple([i for i, name in enumerate(names) if name in reads]),
            shapes=any(f"{name}_shape" in reads for name in names),
            out="out" in reads,
            out_for=kept_for.get("out"),
            extra="extra" in reads,
        )
        return plan

    def _input_names(self, count: int) -> tuple[str, ...]:
        return self._inputs[:count] if self._variadic is None else (self._variadic,) * count

    # ------------------------------------------------------------------ gradients

    def pull_back(
        self, node: tape.Node, cotangents: list[Tensor | None], needs: tuple[bool, ...]
    ) -> list[Tensor | None]:
        """Gradients of the inputs of ``node`` that ``needs`` marks, from those of its outputs."""
        if node.saved is None:
            raise RuntimeError(
                f"backward: the tape of '{self.name}' was freed by an earlier backward; call that one with "
                "retain_graph=True to walk it twice"
            )
        record = _Record(self, node, tuple(cotangents) if node.outputs > 1 else cotangents[0], needs)
        values: list[Any]
        if self._backward is not None:
            values = [*self._backward(record), *[None] * len(needs)]
            del values[len(needs) :]  # a rule gives one for each optional input too, also where it was left out
        else:
            names = self._input_names(len(needs))
            values = [self._vjps[name](record) if need else None for name, need in zip(names, needs, strict=True)]
        try:
            for i, (value, edge) in enumerate(zip(values, node.edges, strict=True)):
                if value is None or edge is None or not needs[i]:
                    values[i] = None
                elif (value.data.dtype is not edge[3] and value.data.dtype != edge[3]) or value.data.shape != edge[2]:
                    values[i] = _fitted(value, edge)
            return values
        except ValueError as error:
            raise ValueError(f"{self.name}: its derivative doesn't have the input's shape: {error}") from error


def primitive(
    forward: Callable[..., Any] | None = None,
    *,
    extra: bool = False,
    differentiable: bool = True,
    name: str | None = None,
) -> Any:
    """Make an operation on Tensors of a function on ndarrays (decorator).

    Args:
        forward: takes ndarrays (or Python numbers, or None) by position and static arguments by keyword; returns an
            ndarray, or a tuple of several. It must not write into its inputs.
        extra: forward returns ``(output, extra)``, where ``extra`` is anything that only the derivative reads (None
            will do where ``recording`` is False).
        differentiable: False for operations whose result carries no gradient (comparisons, argmax).
        name: shown in messages; defaults to the function's name.

    Returns:
        A :class:`Primitive`: call it with Tensors or arrays; declare its derivative with ``.vjps``, ``.backward`` or
        ``.composite``.
    """
    if forward is None:
        return lambda function: Primitive(function, extra, differentiable, name)
    return Primitive(forward, extra, differentiable, name)


class _Rule:
    """A derivative: a function, and how to find each of its parameters in what the tape has kept."""

    __slots__ = ("function", "kept_for", "names", "readers")

    def __init__(
        self,
        function: Callable[..., Any],
        names: tuple[str, ...],
        readers: tuple[Callable[[_Record], Any], ...],
        kept_for: dict[str, str],
    ) -> None:
        self.function = function
        self.names = names
        self.readers = readers
        self.kept_for = kept_for

    def __call__(self, record: _Record) -> Any:
        return self.function(*[read(record) for read in self.readers])


class _Plan(NamedTuple):
    """What one primitive keeps when certain of its inputs want a gradient."""

    inputs: tuple[int, ...]
    shapes: bool
    out: bool
    out_for: str | None
    extra: bool


class _Record:
    """What one node has kept, as its derivative reads it: arrays are Tensors again, linked where backward records."""

    __slots__ = ("_inputs", "_out", "cotangent", "extra", "needs", "node", "operation", "shapes", "static")

    def __init__(self, operation: Primitive, node: tape.Node, cotangent: Any, needs: tuple[bool, ...]) -> None:
        self.operation = operation
        self.node = node
        self.cotangent = cotangent
        self.needs = needs
        self._inputs, self.shapes, self._out, self.static, self.extra = node.saved

    def shape(self, index: int) -> tuple[int, ...] | None:
        """Shape of an input; None for an optional one that was left out."""
        return self.shapes[index] if index < len(self.shapes) else None

    def option(self, name: str, default: Any) -> Any:
        """A static argument."""
        return self.static.get(name, default)

    def all_inputs(self) -> tuple[Any, ...]:
        """The inputs of an operation that takes any number."""
        return tuple([self.input(i) for i in range(len(self.needs))])

    def input(self, index: int) -> Any:
        """An input; None for one that was left out or not kept."""
        kept = self._inputs.get(index)
        if kept is None:
            return None
        array, counter, version = kept
        if counter is None:
            return _constant(array) if isinstance(array, np.ndarray) else array
        edge = self.node.edges[index]
        source, place = (None, 0) if edge is None else edge[:2]
        if counter[0] != version:
            name = self.operation._input_names(len(self.needs))[index]
            self._refuse(f"input '{name}'", source, counter, version)
        if source is None or not _mode.enabled:
            return _constant(array, counter)
        return _linked(array, counter, source, place) if isinstance(source, tape.Node) else source

    def out(self) -> Any:
        """The output, or a tuple of them; None if it was not kept."""
        if self._out is None:
            return None
        outputs = tuple([None if kept is None else self._output(i, *kept) for i, kept in enumerate(self._out)])
        return outputs if len(outputs) > 1 else outputs[0]

    def _output(self, index: int, array: np.ndarray, counter: list[int], version: int) -> Tensor:
        if counter[0] != version:
            self._refuse("output", None, counter, version)
        return _linked(array, counter, self.node, index) if _mode.enabled else _constant(array, counter)

    def _refuse(self, what: str, source: Tensor | tape.Node | None, counter: list[int], version: int) -> None:
        owner = getattr(source, "name", None)
        raise RuntimeError(
            f"backward: the {what} of '{self.operation.name}'{f' ({owner})' if owner else ''} was changed in place "
            f"after it was saved for the gradient: expected version {version}. Received: version {counter[0]}"
        )


def pull_back_through(
    definition: Callable[..., Any], g: Any, needs: tuple[bool, ...], inputs: tuple[Any, ...], static: dict[str, Any]
) -> list[Tensor | None]:
    """Gradients of ``definition(*inputs, **static)`` by a tape of its own, recorded in turn where the mode says so.

    Args:
        definition: a function of Tensors that returns a Tensor or a tuple.
        g: the cotangent of its result, or a tuple with None for results that are unused.
        needs: per input whether its gradient is wanted; missing entries mean no.
        inputs, static: its arguments.

    Returns:
        One Tensor or None per entry of ``needs``.
    """
    recording = _mode.enabled
    needs_all = needs + (False,) * (len(inputs) - len(needs))
    with tape.enable_grad():
        # Aliases, so that the walk stops here and not at what the inputs were computed from.
        aliases = [
            value
            if not need
            else operations.identity(value)
            if value.requires_grad
            else Tensor(value, requires_grad=True)
            for value, need in zip(inputs, needs_all, strict=True)
        ]
        results = definition(*aliases, **static)
    several = isinstance(results, tuple)
    pairs = [
        (result, cotangent)
        for result, cotangent in zip(results if several else (results,), g if several else (g,), strict=True)
        if cotangent is not None and result is not None and result.requires_grad
    ]
    wanted = [alias for alias, need in zip(aliases, needs_all, strict=True) if need]
    found = iter(
        tape.gradients([r for r, _ in pairs], wanted, [c for _, c in pairs], create_graph=recording)
        if pairs
        else [None] * len(wanted)
    )
    return [next(found) if need else None for need in needs]


_NOTHING_KEPT: dict[int, Any] = {}
_RESERVED = {"g", "needs", "out", "extra"}
_PLAIN = frozenset({float, int, bool, type(None)})


def _nothing() -> None:
    """The rule of an input whose derivative is zero."""


def _operand(value: Any) -> Any:
    """An operand that is no Tensor: arrays as they are, NumPy scalars as Python's, so that they don't widen float32."""
    if type(value) in _PLAIN:
        return value
    return value.item() if isinstance(value, np.generic) else as_array(value)


def _output(array: Any, inputs: tuple[Any, ...], operands: list[Any]) -> Tensor:
    """A result as a Tensor. A view of an input changes when that does, so the two count their versions together."""
    if type(array) is not np.ndarray:
        return Tensor(np.asarray(array))
    tensor = Tensor(array)
    owner = array if array.base is None else array.base
    for i, operand in enumerate(operands):
        if type(operand) is np.ndarray and (operand is owner or operand.base is owner):
            value = inputs[i]
            if isinstance(value, Tensor):
                tensor._version = value._version
    return tensor


def _constant(array: np.ndarray, counter: list[int] | None = None) -> Tensor:
    tensor = Tensor(array)
    if counter is not None:
        tensor._version = counter
    return tensor


def _linked(array: np.ndarray, counter: list[int], node: tape.Node, index: int) -> Tensor:
    """A kept array as what it was: an output of ``node``."""
    tensor = _constant(array, counter)
    tensor.requires_grad = True
    tensor.node = node
    tensor.index = index
    return tensor


def _version(value: Any) -> tuple[list[int] | None, int]:
    """The counter of what shares this memory, and where it stands; (None, 0) for what is not a Tensor."""
    return (value._version, value._version[0]) if isinstance(value, Tensor) else (None, 0)


def _fitted(value: Tensor, edge: tape.Edge) -> Tensor:
    """A gradient in the shape and dtype of its input: summed over broadcast axes, converted back."""
    _, _, shape, dtype = edge
    if value.data.shape != shape:
        value = operations.sum_to(value, shape=shape)
    if value.data.dtype != dtype:
        value = operations.cast(value, dtype=dtype)
    return value
