"""Observers: functions that see every layer's output while models run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
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


def notify(layer: Any, outputs: Any) -> None:
    """Tell the observers what a layer has returned."""
    for observer in _observers.get():
        observer(layer, outputs)
