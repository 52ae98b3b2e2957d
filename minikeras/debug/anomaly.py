"""detect_anomaly: who made the first NaN or infinity, forward or backward, and on which line."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ContextDecorator
from dataclasses import replace
from typing import Any

import numpy as np

from ..core import tape
from ..core.primitive import Primitive
from ..core.tensor import Parameter, Tensor
from . import looking
from .finite import Defect, find_defect
from .origin import Origin, checksums_of, here, input_names

_CHECKS = {"nan": ("nan",), "inf": ("inf",), "both": ("nan", "inf")}


class AnomalyError(FloatingPointError):
    """A NaN or an infinity, told where it came from.

    Args:
        message: What happened, in which elements and why, and where.

    Attributes:
        phase: "forward" or "backward".
        operation: Name of the operation that computed it, or whose derivative did; of the one that received it if
            ``received`` is true; "sum" if adding up the gradient of a leaf overflowed.
        kind: "NaN" or "infinity".
        received: True if it was there before: in data, in a parameter, in a gradient given from outside.
        input: Backward: the input whose gradient it is; if received: the input that it came in by. None if it is the
            output of an operation.
        parameter: Name of the Parameter that held it or whose gradient it is; None if it is none, or has no name.
        index: The first bad element.
        count: How many elements are bad.
        shape: Of the array with the bad elements.
        line: ``file:number`` of the user's line that ran the operation forward; None if that isn't known.
        source: The text of that line.
        layer: Name of the innermost layer that the operation ran in, or None.
    """

    phase: str
    operation: str
    kind: str
    received: bool
    input: str | None
    parameter: str | None
    index: tuple[int, ...]
    count: int
    shape: tuple[int, ...]
    line: str | None
    source: str
    layer: str | None

    def __init__(self, message: str) -> None:
        super().__init__(message)


class detect_anomaly(ContextDecorator):
    """Context manager and decorator: the first NaN or infinity that an operation or a derivative makes is an error.

    The error names the operation and the line that ran it, also if its derivative failed long after; for that, the
    forward has to run inside as well. It says whether the operation made the value or received it, from data or from a
    parameter. It is in effect in this thread, and inside all else that runs there: ``fit``, ``gradients``, layers.
    Infinities that a program writes as a number, as in ``where(mask, x, -inf)``, are no anomaly while they stay
    infinite. NumPy's warnings are silent inside, as they tell less.

    Inside, an operation on few numbers takes about five times as long, and a training step of a small convolutional
    network about 1.4 times; outside nothing is looked at.

    Args:
        check: "nan", "inf" or "both".
        writes: Whether to find out, by checksums, where an array that a derivative reads was written to by hand since,
            which versions only count for `Tensor.assign`; backward then raises a RuntimeError.

    Raises:
        AnomalyError: In the body, at the first operation or derivative that isn't finite.
        ValueError: If ``check`` is something else.

    Example:
        >>> import minikeras as mk
        >>> x = mk.Tensor([4.0, 0.0], requires_grad=True)
        >>> with detect_anomaly():
        ...     mk.ops.sqrt(x - 1.0)  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        minikeras.debug.anomaly.AnomalyError: forward: 'sqrt' made NaN in its output
          1 of 2 elements, the first at [1], where x = -1
          at example.py:7: y = ops.sqrt(x - 1.0)
    """

    def __init__(self, check: str = "both", *, writes: bool = True) -> None:
        if not isinstance(check, str) or check not in _CHECKS:
            hint = " As a decorator it needs parentheses, @detect_anomaly()." if callable(check) else ""
            raise ValueError(f'detect_anomaly: check must be "nan", "inf" or "both".{hint} Received: {check!r}')
        self.check = check
        self.writes = bool(writes)

    def __enter__(self) -> detect_anomaly:
        looking.begin(_Detector(_CHECKS[self.check], self.writes))
        return self

    def __exit__(self, *exception: object) -> None:
        detector = looking.innermost(_Detector)
        if detector is not None:
            looking.end(detector)

    def _recreate_cm(self) -> detect_anomaly:
        return detect_anomaly(self.check, writes=self.writes)


class _Detector(looking.Looker):
    """What one `detect_anomaly` looks for, and what it has seen. The innermost one looks, and those around it don't."""

    def __init__(self, kinds: tuple[str, ...], writes: bool) -> None:
        self.kinds = kinds
        self.writes = writes
        self.infinite_constants = False  # the program works with infinities that it wrote itself
        self.derivative: Origin | None = None  # of what, while a derivative is computed

    def around_call(self, run: looking.Run, operation: Primitive, /, *inputs: Any, **static: Any) -> Any:
        """Run an operation and look at its outputs."""
        if self is not looking.innermost(_Detector):
            return run()
        with np.errstate(all="ignore"):
            outputs = run()
        results = outputs if isinstance(outputs, (list, tuple)) else (outputs,)
        if not any(output is not None and output.symbolic for output in results):
            self.after_call(operation, inputs, static, results)
        return outputs

    def around_derivative(self, run: looking.Run, operation: Primitive, *arguments: Any) -> Any:
        """Run the derivative of an operation and look at what it receives and gives."""
        if self is not looking.innermost(_Detector) or self.derivative is not None:
            return run()
        node, cotangents, _ = arguments
        self.before_derivative(node, cotangents)
        origin = getattr(node, "origin", None) or Origin(None, 0, "")
        self.derivative = origin.within_derivative_of(operation.name)
        try:
            with np.errstate(all="ignore"):
                values = run()
        finally:
            self.derivative = None
        self.after_derivative(node, cotangents, values)
        return values

    def after_call(
        self, operation: Primitive, inputs: tuple[Any, ...], static: dict[str, Any], results: Sequence[Tensor | None]
    ) -> None:
        """Look at what an operation has computed, and note where it ran."""
        origin = self.derivative
        node = next((output.node for output in results if output is not None and output.node is not None), None)
        if node is not None:
            origin = origin or here()
            if origin is not None:
                node.origin = replace(origin, checksums=checksums_of(node) if self.writes else {})
        if self.derivative is not None:
            return  # a step of a derivative may be infinite where the next one masks it; its result is looked at
        for output in results:
            defect = output is not None and find_defect(output.data, self.kinds)
            if defect and (origin or (origin := here())):
                self._raise_forward(operation, inputs, static, defect, origin)

    def _raise_forward(
        self,
        operation: Primitive,
        inputs: tuple[Any, ...],
        static: dict[str, Any],
        defect: Defect,
        origin: Origin,
    ) -> None:
        bound, _ = operation._bind(inputs, static)
        operands = dict(zip(input_names(operation, len(bound)), bound, strict=False))
        kinds = ("nan",) if defect.kind == "NaN" else ("inf",)
        bad = {name: found for name, value in operands.items() if (found := find_defect(_data(value), kinds))}
        if defect.kind == "infinity":
            self.infinite_constants |= any(not isinstance(operands[name], (Tensor, np.ndarray)) for name in bad)
            if bad and self.infinite_constants:
                return
        if not bad:
            text = f"forward: {operation.name!r} made {_a(defect.kind)} in its output"
            values = _values(operation, defect, {name: _data(value) for name, value in operands.items()})
            raise _error(text, defect, values, origin, phase="forward", operation=operation.name)
        name, found = next(iter(bad.items()))
        raise _error(
            f"forward: {operation.name!r} received {_a(found.kind)} in its input {name!r}, {_what(operands[name])}",
            found,
            ": it was there before",
            origin,
            phase="forward",
            operation=operation.name,
            received=True,
            input=name,
            parameter=getattr(operands[name], "name", None),
        )

    def before_derivative(self, node: tape.Node, cotangents: list[Tensor | None]) -> None:
        """Look at the gradients that arrive at an operation, and at the arrays that its derivative will read."""
        origin = getattr(node, "origin", None)
        for cotangent in cotangents:
            defect = cotangent is not None and find_defect(cotangent.data, self.kinds)
            if defect:
                raise _error(
                    f"backward: {_a(defect.kind)} arrives at the output of {node.operation.name!r}",
                    defect,
                    _made_between(node.hooks),
                    origin,
                    phase="backward",
                    operation=node.operation.name,
                    received=True,
                )
        if origin is not None and origin.checksums and node.saved is not None:
            now = checksums_of(node)
            for what, checksum in origin.checksums.items():
                if now.get(what, checksum) != checksum:
                    raise RuntimeError(
                        f"backward: the {what} of {node.operation.name!r} was written to after it was saved for the "
                        f"gradient, which would be wrong. Change leaves by assign, and nothing else in place."
                        f"{_ran(node.operation.name, origin)}"
                    )

    def after_derivative(self, node: tape.Node, cotangents: list[Tensor | None], values: list[Tensor | None]) -> None:
        """Look at the gradients that a derivative has computed."""
        operation = node.operation
        names = input_names(operation, len(values))
        for name, value, edge in zip(names, values, node.edges, strict=True):
            defect = value is not None and find_defect(value.data, self.kinds)
            if defect and edge is not None:
                known = {names[i]: kept[0] for i, kept in node.saved[0].items()}
                known["its output"] = node.saved[2] and node.saved[2][0][0]
                known["the gradient of its output"] = None if cotangents[0] is None else cotangents[0].data
                parameter = getattr(edge[0], "name", None)
                raise _error(
                    f"backward: the derivative of {operation.name!r} made {_a(defect.kind)} in the gradient of its "
                    f"input {name!r}{f' ({parameter})' if parameter else ''}",
                    defect,
                    _values(operation, defect, known),
                    getattr(node, "origin", None),
                    phase="backward",
                    operation=operation.name,
                    input=name,
                    parameter=parameter,
                )

    def around_walk(self, run: looking.Run, *arguments: Any) -> Any:
        """Look at the gradients that backward starts from, and at those that it ends with."""
        if self is not looking.innermost(_Detector) or self.derivative is not None:
            return run()
        outputs, seeds = arguments[:2]
        for output, seed in zip(outputs, seeds, strict=True):
            if defect := find_defect(seed.data, self.kinds):
                operation = "leaf" if output.node is None else output.node.operation.name
                text = f"backward: received {_a(defect.kind)} in the gradient given for the output of {operation!r}"
                origin = getattr(output.node, "origin", None)
                raise _error(text, defect, "", origin, phase="backward", operation=operation, received=True)
        with np.errstate(all="ignore"):
            arrivals = run()
        for tensor, value in arrivals:
            if defect := find_defect(value.data, self.kinds):
                text = f"backward: {_a(defect.kind)} in the gradient of {_what(tensor)}"
                between = _made_between(tensor._hooks)
                name = getattr(tensor, "name", None)
                raise _error(text, defect, between, None, phase="backward", operation="sum", parameter=name)
        return arrivals


def _error(text: str, defect: Defect, why: str, origin: Origin | None, **attributes: Any) -> AnomalyError:
    """The error with its attributes; its text is what happened, in which elements and why, and at which line."""
    where = _ran(attributes["operation"], origin, attributes["phase"] == "forward")
    error = AnomalyError(f"{text}\n  {defect}{why}{where}")
    vars(error).update(
        {"received": False, "input": None, "parameter": None, **attributes},
        kind=defect.kind,
        index=defect.index,
        count=defect.count,
        shape=defect.shape,
        line=origin and origin.line,
        source=origin.source if origin else "",
        layer=origin and origin.layer,
    )
    return error


def _ran(operation: str, origin: Origin | None, now: bool = False) -> str:
    if operation in ("leaf", "sum"):
        return ""
    if origin is None or origin.file is None:
        return f"\n  {operation!r} ran outside of detect_anomaly: run the forward inside to see its line"
    return f"\n  {'at' if now else f'{operation!r} ran at'} {origin}"


def _made_between(hooks: Any) -> str:
    return ": a hook returned it, or a sum overflowed" if hooks else ": the sum of what its uses gave overflowed"


def _what(value: Any) -> str:
    """What an input is, in words."""
    if isinstance(value, Parameter):
        return f"the parameter {value.name!r}" if value.name else f"a parameter of shape {value.shape}"
    if isinstance(value, Tensor) and value.node is not None:
        return f"the result of {value.node.operation.name!r} of shape {value.shape}"
    if isinstance(value, Tensor) and value.requires_grad:
        return f"a leaf of shape {value.shape}"
    if isinstance(value, (Tensor, np.ndarray)):
        return f"data of shape {value.shape}"
    return f"the number {value}"


def _values(operation: Primitive, defect: Defect, arrays: dict[str, Any]) -> str:
    """What an elementwise operation, or its derivative, computed the element from."""
    if not operation.__module__.endswith("ops.elementwise"):
        return ""
    shown = []
    for name, array in arrays.items():
        if array is not None and _broadcasts(np.shape(array), defect.shape):
            shown.append(f"{name} = {float(np.broadcast_to(array, defect.shape)[defect.index]):.6g}")
    return f", where {' and '.join(shown)}" if shown else ""


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    return len(shape) <= len(target) and all(n in (1, m) for n, m in zip(shape[::-1], target[::-1], strict=False))


def _data(value: Any) -> Any:
    return value.data if isinstance(value, Tensor) else value


def _a(kind: str) -> str:
    return "an infinity" if kind == "infinity" else kind
