"""Hooks: functions that see, and may replace, the gradient that arrives at one place of the tape."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tensor import Tensor

Hook = Callable[["Tensor"], Any]

_numbers = itertools.count()


class Hooks:
    """What is asked for at one place: functions in the order they came, and whether the gradient is to be kept.

    Attributes:
        functions: the hooks by number.
        keeper: the Tensor that keeps its gradient, referred to weakly as it holds its node, which holds this; None if
            nobody asked for it.
    """

    __slots__ = ("__weakref__", "functions", "keeper")

    def __init__(self) -> None:
        self.functions: dict[int, Hook] = {}
        self.keeper: weakref.ref[Tensor] | None = None

    def run(self, gradient: Tensor) -> Tensor:
        """The gradient after all functions, each of which gets what the one before it left."""
        for hook in list(self.functions.values()):
            result = hook(gradient)
            if result is not None:
                gradient = _checked(hook, gradient, result)
        return gradient


class Handle:
    """A hook that was registered; also a context manager that removes it at the end of a ``with`` block."""

    __slots__ = ("_hooks", "_number")

    def __init__(self, hooks: Hooks, hook: Hook) -> None:
        self._hooks = weakref.ref(hooks)
        self._number = next(_numbers)
        hooks.functions[self._number] = hook

    def remove(self) -> None:
        """Take the hook away; without effect if it is gone already."""
        hooks = self._hooks()
        if hooks is not None:
            hooks.functions.pop(self._number, None)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def _checked(hook: Hook, gradient: Tensor, result: Any) -> Tensor:
    """What a hook returned, as a gradient of the same shape and dtype."""
    name = getattr(hook, "__qualname__", repr(hook))
    try:
        changed = result if isinstance(result, type(gradient)) else type(gradient)(result, dtype=gradient.dtype)
    except TypeError as error:
        raise TypeError(
            f"register_hook: {name} must return None, a Tensor or an array. Received: {type(result).__name__}"
        ) from error
    if changed.shape != gradient.shape:
        raise ValueError(
            f"register_hook: {name} must return a gradient of the shape that it got, {gradient.shape}. "
            f"Received: shape {changed.shape}"
        )
    return gradient.as_cotangent(changed)
