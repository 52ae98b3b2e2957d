"""Settings of an optimizer: declared once with their range, checked whenever they are set."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .. import checks


class Setting(float):
    """The value of a hyperparameter: a float that can also be assigned to, as Keras's backend variables can.

    Attributes:
        assign: Sets the hyperparameter of the optimizer it was read from.
    """

    assign: Callable[[Any], None]

    def __new__(cls, value: float, assign: Callable[[Any], None]) -> Setting:
        setting = super().__new__(cls, value)
        setting.assign = assign
        return setting

    def __reduce__(self) -> tuple[Any, ...]:
        return float, (float(self),)


class Hyperparameter:
    """Attribute of an optimizer that holds a number of an interval.

    Args:
        interval: Such as ``"[0, 1)"``.
        optional: Whether it may be None.

    Raises:
        TypeError: On setting what is no number.
        ValueError: On setting a number outside the interval.
    """

    def __init__(self, interval: str, optional: bool = False) -> None:
        self._interval = interval
        self._optional = optional
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, optimizer: Any, owner: type | None = None) -> Any:
        if optimizer is None:
            return self
        value = vars(optimizer)[self._name]
        return None if value is None else Setting(value, partial(self.__set__, optimizer))

    def __set__(self, optimizer: Any, value: Any) -> None:
        if not (value is None and self._optional):
            value = checks.number(type(optimizer).__name__, self._name, value, self._interval)
        vars(optimizer)[self._name] = value
