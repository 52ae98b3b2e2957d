"""The attributes of an object that change, to be kept and put back in another process."""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
import os
import random
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from ..core.tensor import Tensor
from ..saving.states import encode

_SMALL = 1024  # elements that are compared in no time
_LARGE = 2**28  # bytes of an array that may take their time, about a second for four of them


class AttributeWatch:
    """Knows which attributes of an object have changed since a moment.

    Args:
        owner: The object.
        name: What it is called in messages.
        leave_out: Attributes that are none of our business.

    Example:
        >>> class Counter:
        ...     count, step = 0, 1
        >>> counter = Counter()
        >>> watch = AttributeWatch(counter, "the counter")
        >>> counter.count = 5
        >>> watch.changes()
        {'count': 5}
    """

    def __init__(self, owner: Any, name: str, leave_out: Collection[str] = ()) -> None:
        self._owner = owner
        self._name = name
        self._leave_out = frozenset(leave_out)
        self._before = {key: (value, _digest(value)) for key, value in self._attributes()}

    def changes(self, small_only: bool = False) -> dict[str, Any]:
        """The attributes that have other values now, as copies.

        Args:
            small_only: Leave out arrays and lists whose comparison takes time.

        Raises:
            TypeError: If one has changed that isn't made of plain values, arrays and random streams.
        """
        found = {}
        for key, value in self._attributes():
            if small_only and not _is_small(value):
                continue
            before, digest = self._before.get(key, (_NOTHING, None))
            now = _digest(value)
            if now is None and value is not before:
                raise TypeError(
                    f"{self._name}: its attribute {key!r} has changed, and is nothing that a file of a training can "
                    "hold: numbers, text, lists, dicts, arrays and random generators. Define get_state() and "
                    f"set_state(state). Received: {value!r:.100}"
                )
            if now != digest or (before is _NOTHING):
                found[key] = _copy(value)
        return found

    def all(self) -> dict[str, Any]:
        """Copies of all attributes that a file of a training can hold."""
        return {key: _copy(value) for key, value in self._attributes() if _digest(value) is not None}

    def _attributes(self) -> Iterator[tuple[str, Any]]:
        items = list(getattr(self._owner, "__dict__", {}).items())
        return ((key, value) for key, value in items if key not in self._leave_out)


def put_back(owner: Any, changes: dict[str, Any]) -> None:
    """Give an object the attributes that `AttributeWatch.changes` found; streams and tensors are changed in place.

    The changes may be a stranger's: a text that the constructor was given may be a path, and stays as it is.

    Raises:
        ValueError: If such a text, a method, or what Python itself keeps in an object, would be changed.
    """
    arguments = inspect.signature(type(owner)).parameters
    for key, value in changes.items():
        current = vars(owner).get(key)
        given = key in arguments and isinstance(current, (str, os.PathLike))
        method = callable(getattr(type(owner), key, None))
        if key.startswith("__") or method or (given and value != current):
            raise ValueError(f"{type(owner).__name__}: {key!r} can't become {value!r:.100}; it is {current!r:.100}")
        if isinstance(current, Tensor) and isinstance(value, np.ndarray):
            current.assign(value)
        elif isinstance(current, np.random.Generator) and isinstance(value, np.random.Generator):
            current.bit_generator.state = value.bit_generator.state
        elif isinstance(current, np.random.RandomState) and isinstance(value, np.random.RandomState):
            current.set_state(value.get_state())
        elif isinstance(current, random.Random) and isinstance(value, random.Random):
            current.setstate(value.getstate())
        else:
            setattr(owner, key, value)


_NOTHING = object()


def _copy(value: Any) -> Any:
    return value.numpy().copy() if isinstance(value, Tensor) else copy.deepcopy(value)


def _is_small(value: Any) -> bool:
    if isinstance(value, (np.ndarray, Tensor)):
        return value.size <= _SMALL
    if isinstance(value, (list, tuple, dict, set)):
        items = value.values() if isinstance(value, dict) else value
        return len(value) <= _SMALL and all(item is None or isinstance(item, (bool, int, float, str)) for item in items)
    return True


def _digest(value: Any) -> bytes | None:
    """A hash of a value; None for what isn't plain."""
    arrays: list[np.ndarray] = []
    if isinstance(value, Tensor):
        if value.symbolic:
            return None
        value = value.numpy()
    try:
        described = encode(value, arrays)
    except (TypeError, RecursionError):
        return None
    return digest_of([json.dumps(described).encode(), *arrays])


def digest_of(parts: list[Any]) -> bytes:
    """A hash of arrays, with their shapes and dtypes, and of bytes; of arrays beyond 256 MB some rows stand for all."""
    total = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            total.update(f"{part.shape}{part.dtype.str}".encode())
            if part.nbytes > _LARGE:
                part = part[:: -(-part.nbytes // _LARGE)]
            part = np.ascontiguousarray(part).reshape(-1).view(np.uint8)
        total.update(part)
    return total.digest()
