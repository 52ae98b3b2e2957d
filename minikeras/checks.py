"""Checks of arguments that more than one namespace makes; their messages name owner, argument and what was expected."""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Sequence
from typing import Any

import numpy as np


def number(owner: str, argument: str, value: Any, interval: str = "(-inf, inf)") -> float:
    """The value as a float, if it is a real number inside the interval.

    Args:
        owner: Whose argument it is, for the message.
        argument: Its name.
        value: Python or NumPy number, or anything with one element such as a 0-d array; bool is refused.
        interval: In the usual notation, such as ``"[0, 1)"``.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is outside.
    """
    if getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{owner}: {argument} must be a number in {interval}. Received: {value!r}")
    low, high = (float(end) for end in interval[1:-1].split(","))
    result = float(value)
    above = result >= low if interval.startswith("[") else result > low
    below = result <= high if interval.endswith("]") else result < high
    if math.isnan(result) or not (above and below):
        raise ValueError(f"{owner}: {argument} must be a number in {interval}. Received: {value!r}")
    return result


def path(owner: Any, argument: str, value: Any) -> str:
    """The value as text, if it is a path.

    Args:
        owner: Whose argument it is, for the message.
        argument: Its name.
        value: A str or an `os.PathLike`; open files and bytes are refused.

    Raises:
        TypeError: If it is anything else.
    """
    found = value.__fspath__() if isinstance(value, os.PathLike) else value
    if not isinstance(found, str):
        raise TypeError(f"{owner}: {argument} must be a path, as a str or an os.PathLike. Received: {value!r:.200}")
    return found


def integer(owner: Any, argument: str, value: Any, minimum: int = 1) -> int:
    """The value as an int, if it is an integer of at least the minimum.

    Args:
        owner: Whose argument it is, for the message.
        argument: Its name.
        value: A Python or NumPy integer; bool is refused.
        minimum: Smallest value allowed.

    Raises:
        ValueError: If it is anything else: bool, float, str, or an integer below the minimum.
    """
    try:
        result = operator.index(value)
    except TypeError:
        result = minimum - 1
    if result < minimum or isinstance(value, (bool, np.bool_)):
        expected = "a positive integer" if minimum == 1 else f"an integer of at least {minimum}"
        raise ValueError(f"{owner}: {argument} must be {expected}. Received: {value!r}")
    return result


def frequency(owner: Any, argument: str, value: Any) -> str | int:
    """The value, if it is "epoch" or a number of batches.

    Raises:
        TypeError: If it is neither a word nor an integer.
        ValueError: If it is another word, or less than 1.
    """
    if isinstance(value, str):
        if value.lower() != "epoch":
            raise ValueError(f"{owner}: {argument} must be 'epoch' or a number of batches. Received: {value!r}")
        return "epoch"
    return integer(owner, argument, value)


def flag(owner: str, argument: str, value: Any) -> bool:
    """The value as a bool, if it is true or false or (as files have it) 1 or 0.

    Raises:
        TypeError: If it is anything else.
    """
    if getattr(value, "ndim", None) == 0:
        value = value.item()
    if not isinstance(value, numbers.Real) or value not in (0, 1):
        raise TypeError(f"{owner}: {argument} must be True or False. Received: {value!r}")
    return bool(value)


def choice(owner: str, argument: str, value: Any, allowed: Sequence[str]) -> str:
    """The value in lower case, if it is one of the allowed words.

    Raises:
        ValueError: If it is not.
    """
    if not isinstance(value, str) or value.lower() not in allowed:
        expected = ", ".join(repr(word) for word in allowed)
        raise ValueError(f"{owner}: {argument} must be one of {expected}. Received: {value!r}")
    return value.lower()
