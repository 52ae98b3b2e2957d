"""Observers: functions that see every layer's output while models run, and the gradients that come back to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

Observer = Callable[[Any, Any], object]

_observers: ContextVar[tuple[Observer, ...]] = ContextVar("minikeras_observers", default=())


@contextmanager
def observing(observer: Observer) -> Iterator[None]:
    """Call ``observer(layer, outputs)`` after each layer that runs in the body of a ``with`` statement.

    Args:
        observer: Function of the Layer and what its ``call`` returned, a Tensor or a list of them.

    Example:
        >>> from minikeras.layers import Dense, Flatten
        >>> with observing(lambda layer, outputs: print(type(layer).__name__, outputs.shape)):
        ...     x = Dense(4)(Flatten()([[[1.0], [2.0]]]))
        Flatten (1, 2)
        Dense (1, 4)
    """
    token = _observers.set((*_observers.get(), observer))
    try:
        yield
    finally:
        _observers.reset(token)


@contextmanager
def observing_gradients(observer: Observer) -> Iterator[None]:
    """Call ``observer(layer, gradient)`` with each gradient that comes back to the output of a layer.

    That is of layers that run in the body of a ``with`` statement, also if backward runs after it.

    Args:
        observer: Function of the Layer and the gradient of one of its outputs, a Tensor. It returns None, or what
            replaces the gradient; see `Tensor.register_hook`.

    Example:
        >>> from minikeras.layers import Dense
        >>> with observing_gradients(lambda layer, gradient: print(type(layer).__name__, gradient.numpy())):
        ...     y = Dense(2)([[1.0]])
        >>> (3.0 * y).sum().backward()
        Dense [[3. 3.]]
    """

    def hook(layer: Any, outputs: Any) -> None:
        for output in outputs if isinstance(outputs, (list, tuple)) else (outputs,):
            if output.requires_grad:
                output.register_hook(partial(observer, layer))

    with observing(hook):
        yield


def notify(layer: Any, outputs: Any) -> None:
    """Tell the observers what a layer has returned."""
    for observer in _observers.get():
        observer(layer, outputs)
