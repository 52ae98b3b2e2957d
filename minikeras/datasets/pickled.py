"""Pickled data without unpickling: arrays, numbers, text, lists and dicts are read, anything else is refused.

CIFAR's batches and the object arrays of IMDB and Reuters are pickles, and a pickle is a program that may call any
function. This reader calls none: it knows the few instructions that such data consists of, and takes the names of
NumPy's array and dtype as words, not as things to import.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

_INTEGERS = re.compile(rb"(?:K.|M..|J....)+", re.DOTALL)
_INTEGER = re.compile(rb"K(.)|M(..)|J(....)", re.DOTALL)
_MEMO_LIMIT = 2**24
_MARK = object()
_DTYPES = {"u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8", "O8", "O"}


class PickleError(ValueError):
    """Pickled data that is broken, or more than data."""


def read_pickle(data: bytes) -> Any:
    """Read a pickle that holds data only.

    Args:
        data: The pickle, of any protocol from 2 to 5. Text of Python 2 becomes bytes.

    Returns:
        A number, bytes, str, None, list, tuple, dict or array, or these in each other.

    Raises:
        PickleError: If it holds anything else, or is broken.
    """
    try:
        return _Reader(data).read()
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, struct.error) as error:
        if isinstance(error, PickleError):
            raise
        raise PickleError(f"The pickled data is broken: {type(error).__name__}: {error}") from error


class _Name:
    """One of the names of NumPy's that data may contain; or an array or dtype that is still without its contents."""

    def __init__(self, kind: str, arguments: tuple[Any, ...] = ()) -> None:
        self.kind = kind
        self.arguments = arguments


_NAMES = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("numpy.core.multiarray", "_reconstruct"): "reconstruct",
    ("numpy._core.multiarray", "_reconstruct"): "reconstruct",
}


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def read(self) -> Any:
        while True:
            if run := _INTEGERS.match(self.data, self.at):  # lists of words are almost nothing else
                self.at = run.end()
                self.stack += map(_integer, _INTEGER.findall(run.group()))
                continue
            code = self.take(1)
            if code == b".":
                return self.result()
            if code not in _INSTRUCTIONS:
                raise PickleError(
                    f"The pickled data holds the instruction {code!r} at byte {self.at - 1}, which plain data doesn't "
                    "need; it was not read further"
                )
            _INSTRUCTIONS[code](self)

    def result(self) -> Any:
        if len(self.stack) != 1 or isinstance(self.stack[0], _Name) or self.stack[0] is _MARK:
            raise PickleError("The pickled data is broken: it doesn't end in one value")
        return self.stack[0]

    def take(self, count: int) -> bytes:
        piece = self.data[self.at : self.at + count]
        if len(piece) != count:
            raise PickleError(f"The pickled data is broken: it ends at byte {len(self.data)}, inside a value")
        self.at += count
        return piece

    def number(self, layout: str) -> int:
        return int(struct.unpack(layout, self.take(struct.calcsize(layout)))[0])

    def line(self) -> str:
        end = self.data.index(b"\n", self.at)
        text, self.at = self.data[self.at : end].decode("ascii"), end + 1
        return text

    def bytes(self, layout: str) -> None:
        self.stack.append(self.take(self.number(layout)))

    def text(self, layout: str) -> None:
        self.stack.append(self.take(self.number(layout)).decode("utf-8"))

    def since_mark(self) -> list[Any]:
        start = len(self.stack) - 1
        while self.stack[start] is not _MARK:
            start -= 1
            if start < 0:
                raise PickleError("The pickled data is broken: the beginning of a list is missing")
        items = self.stack[start + 1 :]
        del self.stack[start:]
        return items

    def push_tuple(self, count: int) -> None:
        items = tuple(self.stack[-count:])
        if len(items) != count:
            raise PickleError("The pickled data is broken: a tuple is incomplete")
        del self.stack[-count:]
        self.stack.append(items)

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise PickleError("The pickled data is broken: something is appended to what is no list")
        target += items

    def update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise PickleError("The pickled data is broken: something is entered into what is no dict")
        target.update(zip(items[::2], items[1::2], strict=True))

    def remember(self, key: int) -> None:
        if not 0 <= key < _MEMO_LIMIT:
            raise PickleError(f"The pickled data is broken: it numbers a value {key}")
        self.memo[key] = self.stack[-1]

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str) or (module, name) not in _NAMES:
            raise PickleError(
                f"The pickled data asks for {module}.{name}, which plain data doesn't need; it was refused"
            )
        self.stack.append(_Name(_NAMES[module, name]))

    def reduce(self) -> None:
        """A call in other readers; here a beginning of an array or a dtype."""
        arguments, function = self.stack.pop(), self.stack.pop()
        kind = function.kind if isinstance(function, _Name) and not function.arguments else None
        if kind == "reconstruct" and len(arguments) == 3 and getattr(arguments[0], "kind", None) == "ndarray":
            self.stack.append(_Name("array", ("empty",)))
        elif kind == "dtype" and _text(arguments[0]) in _DTYPES:
            self.stack.append(_Name("typed", (_text(arguments[0]),)))
        else:
            raise PickleError("The pickled data holds a call that plain data doesn't need; it was refused")

    def build(self) -> None:
        """Give an array or a dtype its contents."""
        state, begun = self.stack.pop(), self.stack.pop()
        if not isinstance(begun, _Name) or begun.kind not in ("array", "typed"):
            raise PickleError(
                "The pickled data sets the state of an object that plain data doesn't need; it was refused"
            )
        built = _array(state) if begun.kind == "array" else _dtype(begun.arguments[0], state)
        self.stack.append(built)
        for key, value in self.memo.items():
            if value is begun:
                self.memo[key] = built


def _array(state: Any) -> np.ndarray:
    _, shape, dtype, fortran, contents = state
    if not isinstance(dtype, np.dtype) or not all(type(size) is int and size >= 0 for size in shape):
        raise PickleError("The pickled data is broken: an array without dtype or shape")
    count = math.prod(shape)
    if dtype.hasobject:
        if type(contents) is not list or len(contents) != count:
            raise PickleError(f"The pickled data is broken: an array of shape {shape} without {count} objects")
        flat = np.empty(count, dtype=object)
        for position, item in enumerate(contents):  # at once, NumPy would make a matrix of lists of equal lengths
            flat[position] = item
    else:
        contents = contents.encode("latin-1") if isinstance(contents, str) else contents
        if not isinstance(contents, bytes) or len(contents) != count * dtype.itemsize:
            raise PickleError(f"The pickled data is broken: an array of shape {shape} without {count} numbers")
        flat = np.frombuffer(contents, dtype).astype(dtype.newbyteorder("="))
    return flat.reshape(shape, order="F" if fortran else "C")


def _dtype(code: str, state: Any) -> np.dtype[Any]:
    order = _text(state[1])
    if order not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
        raise PickleError("The pickled data holds a dtype with fields, which was refused")
    return np.dtype(order + code.replace("O8", "O"))


def _integer(parts: tuple[bytes, bytes, bytes]) -> int:
    small, medium, large = parts
    return small[0] if small else int.from_bytes(medium or large, "little", signed=bool(large))


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _push(make: Callable[[], Any]) -> Callable[[_Reader], None]:
    return lambda reader: reader.stack.append(make())


_INSTRUCTIONS: dict[bytes, Callable[[_Reader], Any]] = {
    b"\x80": lambda r: r.take(1),  # protocol
    b"\x95": lambda r: r.take(8),  # frame
    b"(": _push(lambda: _MARK),
    b"N": _push(lambda: None),
    b"\x88": _push(lambda: True),
    b"\x89": _push(lambda: False),
    b"]": _push(list),
    b"}": _push(dict),
    b")": _push(tuple),
    b"\x8a": lambda r: r.stack.append(int.from_bytes(r.take(r.number("<B")), "little", signed=True)),
    b"G": lambda r: r.stack.append(struct.unpack(">d", r.take(8))[0]),
    b"U": lambda r: r.bytes("<B"),
    b"T": lambda r: r.bytes("<I"),
    b"C": lambda r: r.bytes("<B"),
    b"B": lambda r: r.bytes("<I"),
    b"\x8e": lambda r: r.bytes("<Q"),
    b"X": lambda r: r.text("<I"),
    b"\x8c": lambda r: r.text("<B"),
    b"t": lambda r: r.stack.append(tuple(r.since_mark())),
    b"\x85": lambda r: r.push_tuple(1),
    b"\x86": lambda r: r.push_tuple(2),
    b"\x87": lambda r: r.push_tuple(3),
    b"a": lambda r: r.extend([r.stack.pop()]),
    b"e": lambda r: r.extend(r.since_mark()),
    b"s": lambda r: r.update([r.stack.pop(-2), r.stack.pop()]),
    b"u": lambda r: r.update(r.since_mark()),
    b"q": lambda r: r.remember(r.number("<B")),
    b"r": lambda r: r.remember(r.number("<I")),
    b"\x94": lambda r: r.remember(len(r.memo)),
    b"h": lambda r: r.stack.append(r.memo[r.number("<B")]),
    b"j": lambda r: r.stack.append(r.memo[r.number("<I")]),
    b"c": lambda r: r.name(r.line(), r.line()),
    b"\x93": lambda r: r.name(r.stack.pop(-2), r.stack.pop()),
    b"R": lambda r: r.reduce(),
    b"b": lambda r: r.build(),
}
