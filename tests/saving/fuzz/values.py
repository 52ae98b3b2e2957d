"""Mutations that every format shares: of bytes, and of what JSON says."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

NUMBERS = [0, 1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 4096, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**64 - 1]
PATHS = [
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\x",
    "a/../b",
    "..",
    "\\\\host\\x",
    "http://localhost/x",
    "",
    "/",
    "é\u202e",
]
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 10**6, 10**9, 2**63, -(2**70), 0.5, -1e308, float("nan"), float("inf")),
    *("", "a/b", [], {}, [0], [[]], [1, 2, 3], ["x", None], {"class_name": "Dense", "config": {}}, "relu", "same"),
    *("Lambda", "é" * 50, "x" * 10_000, [0] * 1000, "os.system", "\ud800", *PATHS),
    {"class_name": "Lambda", "config": {"function": ["YQ==", None, None], "function_type": "lambda"}},
    {"module": "builtins", "class_name": "eval", "config": "1", "registered_name": "eval"},
    {"module": "os", "class_name": "function", "config": "system", "registered_name": "function"},
    {"class_name": "__tensor__", "config": {"value": [1.0], "dtype": "float32"}},
]


def flip_bits(data: bytearray, rng: Random) -> None:
    for _ in range(rng.randint(1, 20)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def truncate(data: bytearray, rng: Random) -> None:
    del data[rng.randrange(len(data)) :]


def extend(data: bytearray, rng: Random) -> None:
    data += rng.randbytes(rng.choice([1, 2, 8, 100, 5000]))


def move(data: bytearray, rng: Random) -> None:
    """Copy a piece over another."""
    length = rng.randint(1, 600)
    source, target = rng.randrange(len(data)), rng.randrange(len(data))
    data[target : target + length] = data[source : source + length]


def number(data: bytearray, rng: Random) -> None:
    """Put an extreme number of 1 to 8 bytes somewhere."""
    set_number(data, rng.randrange(len(data)), rng)


def set_number(data: bytearray, place: int, rng: Random) -> None:
    width = rng.choice([1, 2, 4, 8])
    value = rng.choice([*NUMBERS, len(data), place, rng.getrandbits(64)]) % 2 ** (8 * width)
    place = place // width * width
    data[place : place + width] = value.to_bytes(width, "little")


def splice(data: bytearray, other: bytes, rng: Random) -> None:
    """Go on with another file from somewhere."""
    place = rng.randrange(len(data))
    data[place:] = other[min(rng.choice([place, rng.randrange(len(other))]), len(other) - 1) :]


OF_BYTES = [flip_bits, truncate, extend, move, number, number]


def change_bytes(data: bytearray, other: bytes, rng: Random) -> str:
    """Change a file without regard to what is in it."""
    if not data or rng.random() < 0.15:
        splice(data or bytearray(b" "), other, rng)
        return "splice"
    mutation = rng.choice(OF_BYTES)
    mutation(data, rng)
    return mutation.__name__


def change_json(text: str | bytes, rng: Random) -> str:
    """The text of a JSON object with a few values changed, moved, removed or repeated, or its form broken."""
    choice = rng.random()
    if choice < 0.04:
        return rng.choice(["[", '{"a":', '{"class_name":"Sequential","config":{"layers":[']) * rng.choice(
            [50, 101, 30_000]
        )
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        return rng.choice(["{}", "[]", "null", ""])
    if choice < 0.08:
        return twice(config, rng)
    for _ in range(rng.randint(1, 3)):
        config = _change_a_value(config, rng)
    found = json.dumps(config)
    if choice < 0.12:
        data = bytearray(found.encode())
        rng.choice(OF_BYTES)(data, rng)
        return data.decode("latin-1")
    return found


def twice(config: Any, rng: Random) -> str:
    """The same object with one of its keys there twice."""
    if not isinstance(config, dict) or not config:
        return "{}"
    key = rng.choice(list(config))
    return json.dumps(config)[:-1] + f", {json.dumps(key)}: {json.dumps(config[rng.choice(list(config))])}}}"


def _change_a_value(config: Any, rng: Random) -> Any:
    if not isinstance(config, (dict, list)):
        return config
    places = []
    pending = [config]
    while pending:
        value = pending.pop()
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], (dict, list)):
                pending.append(value[key])
    if not places:
        return _value(rng)
    value, key = rng.choice(places)
    choice = rng.random()
    if choice < 0.12:
        del value[key]
    elif choice < 0.2 and isinstance(value, dict):
        value[rng.choice(["x", "module", "registered_name", "function", "name", "config", *PATHS])] = value.pop(key)
    elif choice < 0.35:
        other, place = rng.choice(places)
        value[key] = json.loads(json.dumps(other[place]))
    elif choice < 0.55 and type(value[key]) is int:
        value[key] = rng.choice([value[key] + 1, value[key] - 1, -value[key], 2 * value[key], 10 ** rng.randint(1, 20)])
    else:
        value[key] = _value(rng)
    return config


def _value(rng: Random) -> Any:
    return copy.deepcopy(rng.choice(VALUES))
