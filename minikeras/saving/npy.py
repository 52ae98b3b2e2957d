"""The header of the ``.npy`` format, read without ``eval`` and with a limit for everything.

The format: NumPy Enhancement Proposal 1 (Kern 2007), ``numpy.lib.format``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from .archive import MemberReader

LONGEST_HEADER = 4096
MOST_AXES = 32
_MAGIC = b"\x93NUMPY"
_BYTES_OF_LENGTH = {b"\1\0": 2, b"\2\0": 4, b"\3\0": 4}
# What numpy.save writes; Python 2 had an L behind long integers.
_HEADER = re.compile(
    r"\{ ?'descr': ?'(?P<type>[^'\\]{1,40})', ?'fortran_order': ?(?P<fortran>False|True), ?"
    r"'shape': ?\((?P<shape>[0-9L, ]*)\),? ?\} *\n?"
)
_AXES = re.compile(r"|[0-9]{1,19}L?,|[0-9]{1,19}L?(, ?[0-9]{1,19}L?)+,?")
_TYPE = re.compile(r"[<>=|]?(f[248]|[iu][1248]|b1)|\?")


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """What the header of an array says.

    Attributes:
        shape: The shape.
        dtype: A type of numbers.
        fortran: Whether the first axis runs fastest.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool

    @property
    def nbytes(self) -> int:
        """Bytes of the array's data."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(member: MemberReader) -> NpyHeader:
    """Read the header at the beginning of a member of an archive; nothing of the array's size is allocated.

    Raises:
        ValueError: If it isn't one of an array of numbers whose data are the rest of the member.
    """
    start = member.read(8)
    if start[:6] != _MAGIC or (width := _BYTES_OF_LENGTH.get(start[6:])) is None:
        raise ValueError(f"it begins with {start!r}, not as version 1, 2 or 3 of the .npy format does")
    length = int.from_bytes(member.read(width), "little")
    if length > LONGEST_HEADER:
        raise ValueError(f"its header of {length} bytes is longer than {LONGEST_HEADER}")
    header = parse_header(member.read(length).decode("latin-1"))
    if header.nbytes != member.left:
        raise ValueError(f"its shape {header.shape} takes {header.nbytes} bytes, and it has {member.left}")
    return header


def parse_header(text: str) -> NpyHeader:
    """The array that a header describes.

    Args:
        text: The literal of a dict as ``numpy.save`` writes it.

    Raises:
        ValueError: If it has another form, the type is none of numbers, or there are more than 32 axes.
    """
    found = _HEADER.fullmatch(text)
    if found is None or _AXES.fullmatch(found["shape"]) is None:
        raise ValueError(f"its header is none that NumPy writes: {text.strip()!r:.100}")
    if _TYPE.fullmatch(found["type"]) is None:
        raise ValueError(f"it doesn't hold numbers but {found['type']!r}")
    shape = tuple(int(size) for size in re.findall("[0-9]+", found["shape"]))
    if len(shape) > MOST_AXES:
        raise ValueError(f"it has {len(shape)} axes, more than {MOST_AXES}")
    return NpyHeader(shape, np.dtype(found["type"]), found["fortran"] == "True")
