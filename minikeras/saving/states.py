"""States in files: nested plain values, arrays and random streams, in one ``.npz`` of JSON and arrays."""

from __future__ import annotations

import json
import math
import os
import random
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from .configurations import parse, values
from .errors import ModelFileError
from .npz import NpzReader, write_npz

_KEY = "state"
_ARRAY = "arrays/"
_LONGEST = 2**24
_LONG = 32
_MOST_BITS = 300
_BIT_GENERATORS = {
    generator.__name__: generator
    for generator in (np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64)
}


def write_state(path: str | os.PathLike[str], state: dict[str, Any], form: int) -> None:
    """Write a state; it takes the place of an old file when it is complete.

    Args:
        path: The file, see `atomic_write`.
        state: Dict of None, booleans, numbers, strings, lists, tuples, deques, sets, dicts, arrays of numbers or text,
            NumPy's random generators and Python's `random.Random`.
        form: Number of the format, which `read_state` compares.

    Raises:
        TypeError: If something else is in it; the message says where.
    """
    arrays: list[np.ndarray] = []
    described = {"format": form, "state": encode(state, arrays)}
    text = np.frombuffer(json.dumps(described).encode(), np.uint8)
    if text.size > _LONGEST:
        raise ValueError(
            f"{os.fspath(path)}: a state of {text.size} bytes besides its arrays is longer than {_LONGEST}"
        )
    write_npz(path, {_KEY: text, **{f"{_ARRAY}{i}": array for i, array in enumerate(arrays)}})


def read_state(path: str | os.PathLike[str], form: int) -> dict[str, Any]:
    """Read what `write_state` has written.

    The file can name no code: what it may hold is listed there. Arrays take no more memory than the file is long.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If it is damaged or of another format.
    """
    with NpzReader(path) as reader:
        shape = reader.shapes.get(_KEY)
        if shape is None or len(shape) != 1 or shape[0] > _LONGEST:
            raise ModelFileError(f"{reader.path} holds no state of a training, only arrays {list(reader.shapes)[:3]}")
        try:
            found = parse(reader.read(_KEY).tobytes())
            if found.get("format") != form:
                raise ModelFileError(
                    f"{reader.path} has the format {found.get('format')!r}; this version of minikeras reads {form}"
                )
            state = decode(found.get("state"), _once(reader))
        except ModelFileError:
            raise
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise ModelFileError(f"{reader.path} is damaged: its description can't be read: {error}") from error
    if not isinstance(state, dict):
        raise ModelFileError(f"{reader.path} is damaged: it doesn't describe a state")
    return state


def is_state(reader: NpzReader) -> bool:
    """Whether an open archive is one of `write_state`."""
    return _KEY in reader.shapes and all(name == _KEY or name.startswith(_ARRAY) for name in reader.shapes)


def _once(reader: NpzReader) -> Callable[[int], np.ndarray]:
    """Reads an array by its number, each of them once, so that a small file can't fill the memory with copies."""
    taken: set[str] = set()

    def read(number: int) -> np.ndarray:
        name = f"{_ARRAY}{int(number)}"
        if name in taken:
            raise ValueError(f"it uses the array {name!r} twice")
        taken.add(name)
        return reader.read(name)

    return read


def encode(value: Any, arrays: list[np.ndarray], where: str = "") -> Any:
    """A value as JSON, whose arrays are appended to a list.

    Args:
        value: As for `write_state`.
        arrays: Receives the arrays, by number.
        where: What the value is called, for the message.

    Raises:
        TypeError: If it can't be written.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if type(value) is int and value.bit_length() < _MOST_BITS:
        return value
    if isinstance(value, float) and not isinstance(value, np.generic):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if type(value) is list:
        dtype = _number_kind(value)
        if dtype:
            arrays.append(np.array(value, dtype))
            return {"$numbers": len(arrays) - 1}
        return [encode(item, arrays, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: encode(item, arrays, f"{where}[{key!r}]" if where else key) for key, item in value.items()}
    for kind, (type_, parts) in _KINDS.items():
        if isinstance(value, type_):
            return {f"${kind}": encode(parts(value), arrays, where)}
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        if array.dtype.kind == "U":
            return {"$text": [array.tolist(), array.dtype.str]}
        if array.dtype.kind in "fiub":
            arrays.append(array)
            return {"$array" if isinstance(value, np.ndarray) else "$scalar": len(arrays) - 1}
    raise TypeError(f"{where} is neither a plain value nor an array. Received: {value!r:.100}")


def decode(value: Any, array: Callable[[int], np.ndarray]) -> Any:
    """The value that `encode` made JSON of.

    Args:
        value: The JSON.
        array: Gives an array by its number.

    Raises:
        ValueError, TypeError, LookupError: If it makes no sense.
    """
    if isinstance(value, list):
        return [decode(item, array) for item in value]
    if not isinstance(value, dict):
        return value
    kind = next((key for key in value if key.startswith("$")), None)
    if kind is None:
        return {key: decode(item, array) for key, item in value.items()}
    content = value[kind]
    if len(value) != 1:
        raise ValueError(f"{kind} stands beside other values")
    if kind in ("$array", "$scalar"):
        found = array(content).copy()
        return found if kind == "$array" else found[()]
    if kind == "$numbers":
        return array(content).tolist()
    if kind == "$float":
        return float(str(content))
    if kind == "$text":
        return _text_array(content[0], np.dtype(content[1]))
    return _MAKERS[kind[1:]](decode(content, array))


def _number_kind(values: list[Any]) -> type | None:
    """The type of array that a long list of numbers is kept in; None if it is no such list."""
    if len(values) < _LONG:
        return None
    if all(type(value) is float for value in values):
        return np.float64
    if all(type(value) is int and -(2**63) <= value < 2**63 for value in values):
        return np.int64
    return None


def _text_array(texts: Any, dtype: np.dtype[Any]) -> np.ndarray:
    size = dtype.itemsize * sum(isinstance(text, str) for text in values(texts))
    if dtype.kind != "U" or size > _LONGEST:
        raise ValueError(f"{dtype} is no type of text, or {size} bytes of it are too many")
    return np.array(texts, dtype)


def _generator_parts(generator: np.random.Generator) -> Any:
    state: Any = generator.bit_generator.state
    if state["bit_generator"] not in _BIT_GENERATORS:
        raise TypeError(f"a random generator must be one of NumPy's. Received: {generator!r}")
    return state


def _make_generator(state: Any) -> np.random.Generator:
    bits = _BIT_GENERATORS[state["bit_generator"]](0)
    bits.state = state
    return np.random.Generator(bits)


def _make_random_state(state: Any) -> np.random.RandomState:
    made = np.random.RandomState(0)
    made.set_state(state)
    return made


def _make_random(state: Any) -> random.Random:
    made = random.Random(0)
    made.setstate(state)
    return made


# What JSON has no form of: the type, what it consists of, and how it is made of that again.
_KINDS: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "tuple": (tuple, list),
    "deque": (deque, lambda value: [list(value), value.maxlen]),
    "set": (set, lambda value: sorted(value, key=repr)),
    "dict": (dict, lambda value: [[key, item] for key, item in value.items()]),
    "generator": (np.random.Generator, _generator_parts),
    "random_state": (np.random.RandomState, lambda value: value.get_state(legacy=False)),
    "random": (random.Random, lambda value: [np.array(value.getstate()[1], np.uint64), value.getstate()[2]]),
}
_MAKERS: dict[str, Callable[[Any], Any]] = {
    "tuple": tuple,
    "deque": lambda parts: deque(parts[0], parts[1]),
    "set": set,
    "dict": lambda parts: dict(map(tuple, parts)),
    "generator": _make_generator,
    "random_state": _make_random_state,
    "random": lambda parts: _make_random((random.Random.VERSION, tuple(map(int, parts[0])), parts[1])),
}
