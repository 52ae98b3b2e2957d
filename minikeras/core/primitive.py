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

Derivatives are written with operations on Tensors, so they have derivatives themselves. Sums over broadcast axes and
conversions back to the input's dtype are done here, once, for all operations.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

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
        self._static_defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        self._inputs = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
        self._variadic = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
        self._most = len(self._inputs) if self._variadic is None else float("inf")
        self._vjps: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {}
        self._backward: tuple[Callable[..., Any], tuple[str, ...]] | None = None
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
        self._vjps = {name: (rule or _nothing, self._reads(rule or _nothing)) for name, rule in rules.items()}
        self._plans.clear()

    def backward(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator: one rule that returns the gradients of all inputs together, None where none is needed."""
        self._backward = (rule, self._reads(rule))
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
        # A rule with the names of this primitive, so that the tape keeps exactly the inputs.
        reads = ("g", "needs", *self._inputs, *statics)

        def rule(g: Any, needs: tuple[bool, ...], *values: Any) -> list[Tensor | None]:
            inputs, static = values[: len(self._inputs)], dict(zip(statics, values[len(self._inputs) :], strict=True))
            return pull_back_through(definition, g, needs, inputs, static)

        self._backward = (rule, reads)
        self._plans.clear()
        return definition

    def _reads(self, rule: Callable[..., Any]) -> tuple[str, ...]:
        names = tuple(inspect.signature(rule).parameters)
        known = {
            "g",
            "needs",
            "out",
            *self._inputs,
            *(f"{name}_shape" for name in self._inputs),
            *self._static_defaults,
        }
        if self._extra:
            known.add("extra")
        if self._variadic:
            known |= {self._variadic, f"{self._variadic}_shape"}
        unknown = set(names) - known
        if unknown:
            raise TypeError(
                f"primitive {self.name}: its derivative asks for {sorted(unknown)}, but may read {sorted(known)}"
            )
        return names

    # ------------------------------------------------------------------ running

    def __call__(self, *inputs: Any, **static: Any) -> Any:
        if len(inputs) > self._most or (static and not static.keys() <= self._static_defaults.keys()):
            inputs, static = self._bind(inputs, static)
        tracked = False
        arrays: list[Any] = []
        for value in inputs:
            if isinstance(value, Tensor):
                if value.symbolic:
                    return operations.record(self, inputs, static)
                tracked = tracked or value.requires_grad
                arrays.append(value.data)
            else:
                arrays.append(_operand(value))
        if not any(isinstance(array, np.ndarray) for array in arrays):
            arrays = [array if array is None else np.asarray(array, config.floatx()) for array in arrays]
        try:
            result = self.forward(*arrays, **static)
        except (ValueError, TypeError, IndexError) as error:
            raise self._explained(error, arrays, static) from error
        extra = None
        if self._extra:
            result, extra = result
        several = type(result) is tuple
        results = result if several else (result,)
        outputs = tuple([None if array is None else _fresh(array) for array in results])
        _share_versions(inputs, outputs)
        if tracked and _mode.enabled and self._differentiable:
            self._record(inputs, arrays, static, outputs, extra)
        return outputs if several else outputs[0]

    def _bind(self, inputs: tuple[Any, ...], static: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Inputs given by keyword and static arguments given by position, each put where it belongs."""
        names = [*self._inputs, *self._static_defaults]
        surplus = [name for name in static if name not in names]
        if surplus or (self._variadic is None and len(inputs) > len(names)):
            what = f"keyword {surplus[0]!r}" if surplus else f"{len(inputs)} positional arguments"
            raise TypeError(f"{self.name}: expected the arguments {', '.join(names)}. Received: {what}")
        if self._variadic is None:
            given = dict(zip(names, inputs, strict=False))
            twice = given.keys() & static.keys()
            if twice:
                raise TypeError(f"{self.name}: the argument {min(twice)!r} is given by position and by keyword")
            given.update(static)
            last = max((i for i, name in enumerate(self._inputs) if name in given), default=-1)
            inputs = tuple([given.get(name) for name in self._inputs[: last + 1]])
            static = {name: given[name] for name in self._static_defaults if name in given}
        return inputs, static

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
        needs = tuple([isinstance(value, Tensor) and value.requires_grad for value in inputs])
        plan = self._plans.get(needs) or self._plan(needs)
        edges = tuple([_edge(value) if need else None for value, need in zip(inputs, needs, strict=True)])
        saved = _Saved(
            [array if keep else None for array, keep in zip(arrays, plan.keeps, strict=True)],
            [_version(value) if keep else None for value, keep in zip(inputs, plan.keeps, strict=True)],
            [np.shape(array) for array in arrays] if plan.shapes else None,
            [None if output is None else output.data for output in outputs] if plan.out else None,
            [None if output is None else _version(output) for output in outputs] if plan.out else None,
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
        if self._backward is not None:
            reads = set(self._backward[1])
        else:
            missing = [name for name, need in zip(names, needs, strict=True) if need and name not in self._vjps]
            if missing:
                raise TypeError(f"{self.name}: no derivative is defined with respect to its input {missing[0]!r}")
            reads = {r for name, need in zip(names, needs, strict=True) if need for r in self._vjps[name][1]}
        plan = _Plan(
            keeps=tuple(name in reads for name in names),
            shapes=any(f"{name}_shape" in reads for name in names),
            out="out" in reads,
            extra="extra" in reads,
        )
        self._plans[needs] = plan
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
        reader = _Reader(self, node, tuple(cotangents) if node.outputs > 1 else cotangents[0], needs)
        values: list[Any]
        if self._backward is not None:
            rule, names = self._backward
            values = [*rule(*[reader[name] for name in names]), *[None] * len(needs)]
            del values[len(needs) :]  # a rule gives one for each optional input too, also where it was left out
        else:
            values = [None] * len(needs)
            for i, name in enumerate(self._input_names(len(needs))):
                if needs[i]:
                    rule, names = self._vjps[name]
                    values[i] = rule(*[reader[n] for n in names])
        return [
            _fitted(value, edge) if value is not None and edge is not None and need else None
            for value, edge, need in zip(values, node.edges, needs, strict=True)
        ]


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
        extra: forward returns ``(output, extra)``, where ``extra`` is anything that only the derivative reads.
        differentiable: False for operations whose result carries no gradient (comparisons, argmax).
        name: shown in messages; defaults to the function's name.

    Returns:
        A :class:`Primitive`: call it with Tensors or arrays; declare its derivative with ``.vjps``, ``.backward`` or
        ``.composite``.
    """
    if forward is None:
        return lambda function: Primitive(function, extra, differentiable, name)
    return Primitive(forward, extra, differentiable, name)


class _Plan:
    __slots__ = ("extra", "keeps", "out", "shapes")

    def __init__(self, keeps: tuple[bool, ...], shapes: bool, out: bool, extra: bool) -> None:
        self.keeps = keeps
        self.shapes = shapes
        self.out = out
        self.extra = extra


class _Saved:
    """What one node keeps for its derivative: arrays, and the versions they had."""

    __slots__ = ("arrays", "extra", "out", "out_versions", "shapes", "static", "versions")

    def __init__(
        self,
        arrays: list[Any],
        versions: list[Any],
        shapes: Any,
        out: Any,
        out_versions: Any,
        static: dict[str, Any],
        extra: Any,
    ) -> None:
        self.arrays = arrays
        self.versions = versions
        self.shapes = shapes
        self.out = out
        self.out_versions = out_versions
        self.static = static
        self.extra = extra


class _Reader:
    """Looks up what a derivative reads, wraps saved arrays as Tensors and links them to the tape when it records."""

    __slots__ = ("cotangent", "needs", "node", "operation", "saved")

    def __init__(self, operation: Primitive, node: tape.Node, cotangent: Any, needs: tuple[bool, ...]) -> None:
        self.operation = operation
        self.node = node
        self.saved = node.saved
        self.cotangent = cotangent
        self.needs = needs

    def __getitem__(self, name: str) -> Any:
        if name == "g":
            return self.cotangent
        if name == "needs":
            return self.needs
        operation = self.operation
        if name in operation._inputs:
            return self._input(operation._inputs.index(name))
        if name == "out":
            outputs = tuple(self._output(i) for i in range(self.node.outputs))
            return outputs if len(outputs) > 1 else outputs[0]
        if name == "extra":
            return self.saved.extra
        if name in operation._static_defaults:
            return self.saved.static.get(name, operation._static_defaults[name])
        if name == operation._variadic:
            return tuple(self._input(i) for i in range(len(self.needs)))
        owner = name.removesuffix("_shape")
        if owner == operation._variadic:
            return tuple(self.saved.shapes)
        index = operation._inputs.index(owner)
        return self.saved.shapes[index] if index < len(self.saved.shapes) else None

    def _input(self, index: int) -> Any:
        if index >= len(self.saved.arrays):
            return None  # an optional input that was not given
        array = self.saved.arrays[index]
        if not isinstance(array, np.ndarray):
            return array
        edge = self.node.edges[index]
        version = self.saved.versions[index]
        if version is not None and version[0][0] != version[1]:
            self._refuse(self.operation._input_names(len(self.needs))[index], "input", edge, version)
        if edge is None or not _mode.enabled:
            return Tensor(array)
        if not isinstance(edge.source, tape.Node):
            return edge.source
        return _linked(array, edge.source, edge.index)

    def _output(self, index: int) -> Tensor:
        array = self.saved.out[index]
        version = self.saved.out_versions[index]
        if version[0][0] != version[1]:
            self._refuse("", "output", None, version)
        return _linked(array, self.node, index) if _mode.enabled else Tensor(array)

    def _refuse(self, name: str, role: str, edge: tape.Edge | None, version: tuple[list[int], int]) -> None:
        what = f"{role} '{name}'" if name else role
        owner = getattr(edge.source, "name", None) if edge is not None else None
        raise RuntimeError(
            f"backward: the {what} of '{self.operation.name}'{f' ({owner})' if owner else ''} was changed in place "
            f"after it was saved for the gradient: expected version {version[1]}. Received: version {version[0][0]}"
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
            else Tensor(value.data, requires_grad=True)
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


def _nothing() -> None:
    """The rule of an input whose derivative is zero."""


def _operand(value: Any) -> Any:
    """An operand that is no Tensor: arrays as they are, NumPy scalars as Python's, so that they don't widen float32."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return as_array(value)


def _fresh(array: Any) -> Tensor:
    return Tensor(array if type(array) is np.ndarray else np.asarray(array))


def _linked(array: np.ndarray, node: tape.Node, index: int) -> Tensor:
    tensor = Tensor(array)
    tensor.requires_grad = True
    tensor.node = node
    tensor.index = index
    return tensor


def _edge(value: Tensor) -> tape.Edge:
    data = value.data
    return tape.Edge(value if value.node is None else value.node, value.index, data.shape, data.dtype)


def _version(value: Any) -> tuple[list[int], int] | None:
    return (value._version, value._version[0]) if isinstance(value, Tensor) else None


def _share_versions(inputs: tuple[Any, ...], outputs: tuple[Tensor | None, ...]) -> None:
    """An output that is a view of an input changes when that does: they count together."""
    for output in outputs:
        if output is None:
            continue
        data = output.data
        for value in inputs:
            if isinstance(value, Tensor) and (
                value.data is data
                or (data.base is not None and (data.base is value.data or data.base is value.data.base))
            ):
                output._version = value._version


def _fitted(value: Tensor, edge: tape.Edge) -> Tensor:
    """A gradient in the shape and dtype of its input: summed over broadcast axes, converted back."""
    data = value.data
    if data.shape != edge.shape:
        value = operations.sum_to(value, shape=edge.shape)
    if value.data.dtype != edge.dtype:
        value = operations.cast(value, dtype=edge.dtype)
    return value
