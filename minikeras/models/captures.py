"""Losses and metrics that read tensors of the model besides what they are given, as those of Keras 2 may.

The loss of a variational autoencoder, say, reads the mean and the spread that an inner layer makes. Such a function is
recorded once; in every step the model gives the values that it reads along with its outputs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType, MethodType
from typing import Any

from ..core.symbolic import Program, SymbolicTensor, symbols_in
from ..core.tensor import Tensor

_OWN = __name__.partition(".")[0]


class Capturing:
    """A function of (y_true, y_pred) that reads symbolic tensors of a model, as a record.

    Args:
        function: The loss or metric.
        y_true: A symbolic tensor that stands for the targets.
        y_pred: The model's output.
        known: The symbolic tensors that the model computes, by id.

    Attributes:
        captured: Those that the function reads.

    Raises:
        ValueError: If it reads one that nothing of the model makes.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        y_true: SymbolicTensor,
        y_pred: SymbolicTensor,
        known: Mapping[int, SymbolicTensor],
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        scores = function(y_true, y_pred)
        given = {id(y_true), id(y_pred)}
        self.captured = [] if not symbols_in([scores]) else _frontier(scores, given, known)
        try:
            self._program = Program([y_true, y_pred, *self.captured], [scores])
        except (ValueError, AttributeError) as error:
            name = getattr(function, "__name__", type(function).__name__)
            raise ValueError(f"{name} reads a tensor that isn't made of the model's inputs: {error}") from None

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """The record of the function itself; see `apply` for values."""
        return self.function(y_true, y_pred)

    def compute(self, y_true: Tensor, y_pred: Tensor, values: Mapping[int, Tensor]) -> Tensor:
        """The scores.

        Args:
            y_true: Targets.
            y_pred: Outputs.
            values: From the id of each captured tensor to its value.
        """
        (scores,) = self._program([y_true, y_pred, *(values[id(symbol)] for symbol in self.captured)])
        return scores


def apply(function: Callable[..., Any], y_true: Tensor, y_pred: Tensor, values: Mapping[int, Tensor]) -> Any:
    """The scores that a loss or metric gives, whether it captures tensors or not; see `Capturing.compute`."""
    if isinstance(function, Capturing):
        return function.compute(y_true, y_pred, values)
    return function(y_true, y_pred)


def reads_symbols(function: Any) -> bool:
    """Whether a function, or one of yours that it calls, names a symbolic tensor: in its closure or as a global."""
    seen: set[int] = set()
    stack = [function]
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, SymbolicTensor):
            return True
        stack += _named_by(item)
    return False


def _named_by(item: Any) -> list[Any]:
    if isinstance(item, (list, tuple)):
        return [*item] if len(item) < 100 else []
    if isinstance(item, functools.partial):
        return [item.func, *item.args, *item.keywords.values()]
    if isinstance(item, MethodType):
        return [item.__func__, *getattr(item.__self__, "__dict__", {}).values()]
    if not isinstance(item, FunctionType) or (item.__module__ or "").partition(".")[0] == _OWN:
        return []
    cells = [cell.cell_contents for cell in item.__closure__ or () if _is_filled(cell)]
    names = {name for code in _codes(item.__code__) for name in code.co_names}
    return cells + [item.__globals__[name] for name in sorted(names) if name in item.__globals__]


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a name that is not bound yet
        return False


def _frontier(symbol: SymbolicTensor, given: set[int], known: Mapping[int, SymbolicTensor]) -> list[SymbolicTensor]:
    """The tensors of a model that a record reads first, seen from its end."""
    found: dict[int, SymbolicTensor] = {}
    done: set[int] = set()
    stack: list[SymbolicTensor] = [symbol]
    while stack:
        item = stack.pop()
        if id(item) in done or id(item) in given:
            continue
        done.add(id(item))
        if id(item) in known:
            found[id(item)] = item
        elif item.source is not None:
            stack += symbols_in([*item.source.inputs, *item.source.static.values()])
    return list(found.values())
