"""Pickles as Python 2 wrote them: CIFAR's batches and NumPy's object arrays, written by hand for tests."""

from __future__ import annotations

import math
import struct

import numpy as np


def batch(content: dict[str, object]) -> bytes:
    """A pickle of protocol 2, as cPickle made CIFAR's."""
    return b"\x80\x02" + _value(content) + b"."


def object_array(lists: list[list[int]]) -> bytes:
    """A pickled array of lists, as in the npy files of IMDB and Reuters."""
    return b"\x80\x02" + _array((len(lists),), "O8", 63, _value(lists)) + b"."


def _value(value: object) -> bytes:
    if isinstance(value, dict):
        return b"}(" + b"".join(_value(key) + _value(item) for key, item in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(_value, value)) + b"e"
    if isinstance(value, str):
        return b"U" + bytes((len(value),)) + value.encode("latin-1")
    if isinstance(value, np.ndarray):
        content = value.tobytes()
        return _array(value.shape, "u1", 0, b"T" + struct.pack("<I", len(content)) + content)
    if isinstance(value, int) and 0 <= value < 256:
        return b"K" + bytes((value,))
    if isinstance(value, int) and 0 <= value < 65536:
        return b"M" + struct.pack("<H", value)
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    raise TypeError(value)


def _array(shape: tuple[int, ...], code: str, flags: int, content: bytes) -> bytes:
    assert math.prod(shape)
    sizes = b"(" + b"".join(map(_value, shape)) + b"t"
    minus_one = b"J\xff\xff\xff\xff"
    return (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85q\x03U\x01b\x87Rq\x04(K\x01"
        + sizes
        + b"cnumpy\ndtype\nq\x05"
        + _value(code)
        + b"K\x00K\x01\x87Rq\x06(K\x03U\x01|NNN"
        + minus_one
        + minus_one
        + _value(flags)
        + b"tb\x89"
        + content
        + b"tb"
    )
