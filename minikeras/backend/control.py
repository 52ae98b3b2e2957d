"""Choices by a condition or by the learning phase, and loops over the items of a first axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..core import symbolic
from ..core.symbolic import SymbolicTensor
from ..core.tensor import Tensor
from .recording import as_tensor, recorded
from .session import learning_phase

# ---------------------------------------------------------------------- choices


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One of two by a condition, or element by element.

    Args:
        condition: A number or truth value, or a Tensor of fewer or as many axes as the two have; further axes are
            added behind its own.
        then_expression: Where it is true: a Tensor, or a function without arguments that gives one.
        else_expression: Where it is false, likewise. Of a condition that is known and has no axes, only the function
            that is chosen is called.

    Raises:
        ValueError: If the condition has more axes.
    """
    if not isinstance(condition, SymbolicTensor) and as_tensor(condition).ndim == 0:
        return _called(then_expression if bool(condition) else else_expression)
    return _select(condition, _called(then_expression), _called(else_expression))


@recorded
def _select(condition: Any, x: Any, y: Any) -> Tensor:
    condition, x, y = as_tensor(condition), as_tensor(x), as_tensor(y)
    if condition.ndim == 0:
        return x if bool(condition) else y
    if condition.ndim > max(x.ndim, y.ndim):
        raise ValueError(
            f"switch: the condition must not have more axes than what it chooses from. Received: condition of shape "
            f"{condition.shape}, then_expression of shape {x.shape}, else_expression of shape {y.shape}"
        )
    missing = max(x.ndim, y.ndim) - condition.ndim
    return ops.where(ops.reshape(condition, (*condition.shape, *[1] * missing)), x, y)


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """``x`` in training, ``alt`` in inference.

    Args:
        x: A Tensor, or a function without arguments that gives one.
        alt: Likewise.
        training: Truth value, or a symbolic one; the `learning_phase` if None.

    Returns:
        One of them; a symbolic tensor that becomes one of them where the phase isn't known yet and they are symbolic.
    """
    if training is not None:
        return switch(training, x, alt)
    phase = learning_phase()
    if not isinstance(phase, SymbolicTensor):
        return _called(x if phase else alt)
    chosen, other = _called(x), _called(alt)
    # Where all is known already, nothing will ever say that this is training.
    return _select(phase, chosen, other) if symbolic.symbols_in([chosen, other]) else other


def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """``x`` in inference, ``alt`` in training; arguments as `in_train_phase`."""
    return in_train_phase(alt, x, training)


def _called(expression: Any) -> Any:
    return expression() if callable(expression) else expression


# ---------------------------------------------------------------------- over the items of the first axis


@recorded
def map_fn(fn: Callable[[Any], Any], elems: Any, name: str | None = None, dtype: Any = None) -> Any:
    """Apply a function to each item of the first axis and stack what it gives.

    Args:
        fn: From an item (a list of items, if ``elems`` is a list) to a Tensor, or to a tuple of them.
        elems: A Tensor, or a list of Tensors with first axes of one length.
        name: Kept for Keras's signature.
        dtype: Type of the result; what ``fn`` gives if None.

    Returns:
        A Tensor (items, ...), or a tuple of them.
    """
    results = [_known("map_fn", fn(item)) for item in _items(elems)]
    if not results:
        raise ValueError("map_fn: elems must have at least one item. Received: an empty first axis")
    if isinstance(results[0], (list, tuple)):
        return tuple([_stack(column, dtype) for column in zip(*results, strict=True)])
    return _stack(results, dtype)


def _stack(items: Sequence[Any], dtype: Any) -> Tensor:
    stacked = ops.stack([as_tensor(item) for item in items])
    return stacked if dtype is None else ops.cast(stacked, dtype=dtype)


@recorded
def foldl(fn: Callable[[Any, Any], Any], elems: Any, initializer: Any = None, name: str | None = None) -> Any:
    """Combine the items of the first axis from the first to the last: ``fn(fn(fn(initializer, e0), e1), e2)`` and on.

    Args:
        fn: From what was combined so far and an item to what is combined then.
        elems: A Tensor, or a list of Tensors with first axes of one length, whose items come as lists.
        initializer: What to begin with; the first item if None.
        name: Kept for Keras's signature.

    Raises:
        ValueError: Without items and initializer.
    """
    return _fold("foldl", fn, _items(elems), initializer)


@recorded
def foldr(fn: Callable[[Any, Any], Any], elems: Any, initializer: Any = None, name: str | None = None) -> Any:
    """Combine the items of the first axis from the last to the first: ``fn(fn(fn(initializer, e2), e1), e0)``.

    Args:
        fn: From what was combined so far and an item to what is combined then.
        elems: A Tensor, or a list of Tensors with first axes of one length, whose items come as lists.
        initializer: What to begin with; the last item if None.
        name: Kept for Keras's signature.

    Returns:
        What is combined in the end; the initializer if there are no items.

    Raises:
        ValueError: Without items and initializer.
    """
    return _fold("foldr", fn, _items(elems)[::-1], initializer)


def _fold(name: str, fn: Callable[[Any, Any], Any], items: list[Any], initializer: Any) -> Any:
    if initializer is None:
        if not items:
            raise ValueError(f"{name}: elems must have at least one item without an initializer. Received: none")
        initializer, *items = items
    for item in items:
        initializer = _known(name, fn(initializer, item))
    return initializer


def _items(elems: Any) -> list[Any]:
    if isinstance(elems, (list, tuple)) and any(isinstance(x, (Tensor, np.ndarray)) for x in elems):
        return [list(items) for items in zip(*[ops.unstack(x) for x in elems], strict=True)]
    return ops.unstack(elems)


def _known(name: str, result: Any) -> Any:
    if symbolic.symbols_in([result]):
        raise TypeError(
            f"{name}: fn reads a symbolic tensor that is not among elems: give it there too, or put all of this into a "
            f"Lambda layer. Received: {result!r}"
        )
    return result
