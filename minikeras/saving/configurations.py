"""Configurations as JSON: written with NumPy's values as plain ones, read with a limit for everything."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np

LONGEST = 2**24  # bytes; the largest networks of keras.applications have about a million
MOST_CONTAINERS = 200_000
MOST_KEYS = 300_000
MOST_VALUES = 1_000_000
DEEPEST = 100
LONGEST_NUMBER = 100  # characters; the states of random streams have 39 digits

_PIECE = 2**20
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_STEP = np.zeros(256, np.int8)
_STEP[[ord("["), ord("{")]] = 1
_STEP[[ord("]"), ord("}")]] = -1


def parse(text: str | bytes, longest: int = LONGEST) -> dict[str, Any]:
    """The object that a text in JSON describes.

    Args:
        text: The text; bytes are UTF-8.
        longest: Bytes that it may have.

    Raises:
        ValueError: If it is none, or is too long, too deep or of too many parts to be a model's; if a key is there
            twice, a number isn't finite or has more than 100 digits, or a string isn't valid text.
    """
    data = text.encode() if isinstance(text, str) else text
    if len(data) > longest:
        raise ValueError(f"a description of {len(data)} bytes is longer than {longest}")
    _check_form(data)
    found = json.loads(
        data.decode(),
        object_pairs_hook=_unique,
        parse_constant=_no_number,
        parse_int=_integer,
        parse_float=_finite,
    )
    if not isinstance(found, dict):
        raise ValueError(f"a description must be a JSON object. Received: {found!r:.100}")
    if _SURROGATE.search(data):
        json.dumps(found, ensure_ascii=False).encode()
    return found


def text_of(value: Any) -> str:
    """The JSON of a configuration.

    Raises:
        TypeError: If something in it is no plain value.
        ValueError: If a number in it isn't finite: JSON has none such.
    """
    try:
        return json.dumps(value, default=as_json, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"a model's configuration must consist of finite numbers to be saved: {error}") from error


def described(config: Any) -> Iterator[dict[str, Any]]:
    """All dicts in a configuration that describe an object: ``{"class_name", "config"}``."""
    for value in dicts(config):
        if isinstance(value.get("class_name"), str) and isinstance(value.get("config"), dict):
            yield value


def dicts(config: Any) -> Iterator[dict[str, Any]]:
    """All dicts in a configuration."""
    yield from (value for value in values(config) if isinstance(value, dict))


def values(config: Any) -> Iterator[Any]:
    """All values in a configuration, those in lists and dicts too."""
    pending = [config]
    while pending:
        value = pending.pop()
        yield value
        if isinstance(value, dict):
            pending += value.values()
        elif isinstance(value, list):
            pending += value


def as_json(value: Any) -> Any:
    """NumPy's numbers and arrays, which layers may have in their configurations, as Python's."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a model's configuration must consist of plain values. Received: {value!r}")


def _check_form(data: bytes) -> None:
    """Count what is outside of strings, before any of it becomes an object."""
    bare = np.frombuffer(data.replace(b"\\\\", b"").replace(b'\\"', b""), np.uint8)
    depth = containers = keys = commas = 0
    quoted = np.uint8(0)
    for start in range(0, len(bare), _PIECE):
        piece = bare[start : start + _PIECE]
        inside = np.bitwise_xor.accumulate((piece == ord('"')).view(np.uint8)) ^ quoted
        quoted = inside[-1]
        outside = inside == 0
        steps = _STEP[piece] * outside
        depths = depth + np.cumsum(steps, dtype=np.int32)
        depth = int(depths[-1])
        containers += int(np.count_nonzero(steps > 0))
        keys += int(np.count_nonzero((piece == ord(":")) & outside))
        commas += int(np.count_nonzero((piece == ord(",")) & outside))
        if depths.max() > DEEPEST:
            raise ValueError(f"a description that is nested deeper than {DEEPEST}")
    if containers > MOST_CONTAINERS:
        raise ValueError(f"a description of more than {MOST_CONTAINERS} lists and dicts")
    if keys > MOST_KEYS:
        raise ValueError(f"a description of more than {MOST_KEYS} keys")
    if containers + commas > MOST_VALUES:
        raise ValueError(f"a description of more than {MOST_VALUES} values")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {twice!r:.100} is there twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"an integer of {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits) if len(digits) <= LONGEST_NUMBER else math.inf
    if not math.isfinite(value):
        raise ValueError(f"the number {digits:.100} is too large or too long")
    return value
