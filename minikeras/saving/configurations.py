"""Configurations as JSON: written with NumPy's values as plain ones, read with a limit for everything."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

_LONGEST = 2**24  # characters; the largest networks of keras.applications have about a million
_MOST_CONTAINERS = 200_000
_DEEPEST = 100
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_STEP = np.zeros(256, np.int8)
_STEP[[ord("["), ord("{")]] = 1
_STEP[[ord("]"), ord("}")]] = -1


def parse(text: str | bytes) -> dict[str, Any]:
    """The object that a text in JSON describes.

    Raises:
        ValueError: If it is none, or is too long, too deep or of too many parts to be a model's.
    """
    data = text.encode() if isinstance(text, str) else text
    if len(data) > _LONGEST:
        raise ValueError(f"a description of {len(data)} bytes is longer than {_LONGEST}")
    outside = np.frombuffer(_STRING.sub(b"", data), np.uint8)
    steps = _STEP[outside]
    if np.count_nonzero(steps > 0) > _MOST_CONTAINERS:
        raise ValueError(f"a description of more than {_MOST_CONTAINERS} lists and dicts")
    if steps.size and np.cumsum(steps, dtype=np.int64).max() > _DEEPEST:
        raise ValueError(f"a description that is nested deeper than {_DEEPEST}")
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError(f"a description must be a JSON object. Received: {found!r:.100}")
    return found


def as_json(value: Any) -> Any:
    """NumPy's numbers and arrays, which layers may have in their configurations, as Python's."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a model's configuration must consist of plain values. Received: {value!r}")
