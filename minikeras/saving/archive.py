"""Zip archives, read with nothing taken on trust.

Python's ``zipfile`` reads what it can. Here an archive is what NumPy and Keras write, or it is refused: the directory
at its end and the headers before the members say the same, the members lie side by side from the first byte on, nothing
is encrypted, linked or compressed beyond deflate, and no size is believed before it was compared with the bytes that
are there. A member is read by its exact name, to memory. Names are keys: nothing is ever extracted, so what looks like
a path leads nowhere.

The format: PKWARE, APPNOTE.TXT, version 6.3.10 (2022).
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from .errors import ModelFileError

MOST_MEMBERS = 20_000
LONGEST_DIRECTORY = 2**23
BOMB = 200  # times that a member may grow, and all of them together
SLACK = 2**20  # bytes that it may grow by in any case: small arrays of zeros compress better than large ones

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_HEADER = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED = 0, 8
_DESCRIPTOR, _UTF8 = 1 << 3, 1 << 11
_HARMLESS = 0b110 | _DESCRIPTOR | _UTF8  # the level of compression; sizes behind the data; names in UTF-8
_ENCRYPTED = 1 | 1 << 6 | 1 << 13
_LONGEST_DESCRIPTOR = 24
_FULL_16, _FULL_32 = 2**16 - 1, 2**32 - 1
_NEWEST = 45  # the version of the format that brought 64-bit sizes
_PIECE = 2**20


@dataclass(frozen=True, slots=True)
class Member:
    """What the archive says of one of its members.

    Attributes:
        name: Its name, as it is written there.
        size: Bytes of its content.
        packed: Bytes that it takes in the archive.
        deflated: Whether it is compressed.
        crc: The checksum of its content.
        header: Where its header begins.
        start: Where its data begin.
        described: Whether sizes may stand behind the data once more.
    """

    name: str
    size: int
    packed: int
    deflated: bool
    crc: int
    header: int
    start: int
    described: bool


class Archive:
    """An open zip archive, used in a ``with`` statement.

    Args:
        path: The file.
        kind: What it should be, for messages.

    Attributes:
        path: The file.
        members: Dict from name to `Member`, in the order of the archive's directory.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If it isn't such an archive; names the file, and the member if it is one's fault.
    """

    def __init__(self, path: str | os.PathLike[str], kind: str = "a zip archive") -> None:
        self.path = os.fspath(path)
        self.members: dict[str, Member] = {}
        self._kind = kind

    def __enter__(self) -> Archive:
        self._file: BinaryIO = open(self.path, "rb")
        try:
            with self.errors():
                self.members = _read_directory(self._file)
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def read(self, name: str, most: int) -> bytes:
        """The content of a member.

        Args:
            name: Its exact name.
            most: Bytes that it may have; nothing of a larger one is read.

        Raises:
            ModelFileError: If there is none of this name, it is larger, or it is damaged.
        """
        with self.errors():
            if (member := self.members.get(name)) is None:
                raise ValueError(f"there is no member {name!r} in it")
            if member.size > most:
                raise ValueError(f"{name!r} has {member.size} bytes, and no more than {most} are read")
            reader = self.open(name)
            data = reader.read(member.size)
            reader.finish()
            return data

    def open(self, name: str) -> MemberReader:
        """A reader of the member of this exact name; it raises ValueErrors, to be used inside of `errors`."""
        return MemberReader(self._file, self.members[name])

    @contextmanager
    def errors(self, what: str = "") -> Iterator[None]:
        """Give whatever is wrong with the bytes, or with what is made of them, the name of the file.

        Args:
            what: What can't be done then; that it is damaged if not given.
        """
        try:
            yield
        except ModelFileError:
            raise
        except (
            *(ValueError, TypeError, AttributeError, ArithmeticError, LookupError, RecursionError),
            *(OSError, struct.error, zlib.error),
        ) as error:
            beginning = f"{self.path}: {what}" if what else f"{self.path} is damaged or not {self._kind}"
            raise ModelFileError(f"{beginning}: {error}") from error


class MemberReader:
    """Reads a member piece by piece, never more than it declares.

    Attributes:
        left: Bytes of its content that haven't been read.
    """

    def __init__(self, file: BinaryIO, member: Member) -> None:
        self.left = member.size
        self._file = file
        self._member = member
        self._position = member.start
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS) if member.deflated else None
        self._waiting = b""
        self._crc = 0

    def read(self, count: int) -> bytes:
        """The next bytes, exactly so many.

        Raises:
            ValueError: If there are less.
        """
        return b"".join(self._pieces(count))

    def read_into(self, target: memoryview) -> None:
        """Fill a buffer of bytes.

        Raises:
            ValueError: If there are less.
        """
        filled = 0
        for piece in self._pieces(len(target)):
            target[filled : filled + len(piece)] = piece
            filled += len(piece)

    def finish(self) -> None:
        """Make sure that all has been read, and has the checksum that is declared.

        Raises:
            ValueError: If not.
        """
        name = self._member.name
        if self._inflater is not None:
            while not self._inflater.eof and (self._waiting or self._packed_left):
                if self._inflate(1):
                    raise ValueError(f"{name!r} holds more than the {self._member.size} bytes that it declares")
            if not self._inflater.eof or self._inflater.unused_data or self._waiting:
                raise ValueError(f"the compressed data of {name!r} don't end where they should")
        if self.left or self._packed_left:
            raise ValueError(f"{name!r} has {self._packed_left or self.left} bytes too many")
        if self._crc != self._member.crc:
            raise ValueError(f"{name!r} has another checksum than it should")

    @property
    def _packed_left(self) -> int:
        return self._member.start + self._member.packed - self._position

    def _pieces(self, count: int) -> Iterator[bytes]:
        if count > self.left:
            raise ValueError(f"{self._member.name!r} is cut off: {count} bytes expected, {self.left} left")
        self.left -= count
        while count:
            most = min(count, _PIECE)
            piece = self._raw(most) if self._inflater is None else self._inflate(most)
            if not piece:
                raise ValueError(f"{self._member.name!r} is cut off: it holds less than it declares")
            self._crc = zlib.crc32(piece, self._crc)
            count -= len(piece)
            yield piece

    def _raw(self, most: int) -> bytes:
        self._file.seek(self._position)
        data = self._file.read(min(most, self._packed_left))
        self._position += len(data)
        return data

    def _inflate(self, most: int) -> bytes:
        """Some bytes of the content; none at its end."""
        if self._inflater is None:
            raise ValueError("not compressed")
        while not self._inflater.eof:
            self._waiting = self._waiting or self._raw(_PIECE)
            last = not self._waiting
            piece = self._inflater.decompress(self._waiting, most)
            self._waiting = self._inflater.unconsumed_tail
            if piece or last:
                return piece
        return b""


# ---------------------------------------------------------------------- the directory


def _read_directory(file: BinaryIO) -> dict[str, Member]:
    """All members of an archive, checked against their headers, one another and the length of the file."""
    length = file.seek(0, os.SEEK_END)
    offset, size, count = _find_directory(file, length)
    data = _exactly(file, offset, size, "its directory")
    members: dict[str, Member] = {}
    position = 0
    for _ in range(count):
        member, position = _read_entry(file, data, position, offset)
        if member.name in members:
            raise ValueError(f"{_short(member.name)} is in it twice")
        members[member.name] = member
    if position != size:
        raise ValueError(f"its directory has {size - position} bytes more than its {count} entries")
    _check_places(members, offset)
    if sum(member.size for member in members.values()) > BOMB * length + SLACK:
        raise ValueError(f"its members claim more than {BOMB} times the {length} bytes of the file: a compression bomb")
    return members


def _find_directory(file: BinaryIO, length: int) -> tuple[int, int, int]:
    """Where the directory begins, its bytes and its entries, from the record that ends the archive."""
    start = length - _END.size
    if start < 0:
        raise ValueError(f"it has only {length} bytes")
    magic, disk, first_disk, count_here, count, size, offset, comment = _END.unpack(_exactly(file, start, _END.size))
    if magic != b"PK\5\6" or comment:
        raise ValueError("it doesn't end as a zip archive without a comment does")
    found: tuple[int, ...] = (disk, first_disk, count_here, count, size, offset)
    if (wide := _wide_end(file, start - _LOCATOR_64.size)) is not None:
        start, true = wide
        full = (_FULL_16,) * 4 + (_FULL_32,) * 2
        if any(old not in (new, most) for old, new, most in zip(found, true, full, strict=True)):
            raise ValueError("its two records of the end differ")
        found = true
    disk, first_disk, count_here, count, size, offset = found
    if disk or first_disk or count_here != count:
        raise ValueError("it is a part of an archive on several disks")
    if count > MOST_MEMBERS:
        raise ValueError(f"it has {count} members, and no more than {MOST_MEMBERS} are read")
    if offset + size != start or size > LONGEST_DIRECTORY:
        raise ValueError(f"its directory of {size} bytes at {offset} doesn't lie before its end at {start}")
    return offset, size, count


def _wide_end(file: BinaryIO, start: int) -> tuple[int, tuple[int, ...]] | None:
    """The 64-bit record of the end: where it begins, and the numbers that replace the short record's."""
    if start < 0:
        return None
    magic, disk, place, disks = _LOCATOR_64.unpack(_exactly(file, start, _LOCATOR_64.size))
    if magic != b"PK\6\7":
        return None
    if disk or disks != 1 or place != start - _END_64.size:
        raise ValueError("its 64-bit record of the end isn't where it should be")
    record = _END_64.unpack(_exactly(file, place, _END_64.size))
    if record[0] != b"PK\6\6" or record[1] != _END_64.size - 12:
        raise ValueError("its 64-bit record of the end is of an unknown form")
    return place, record[4:]


def _read_entry(file: BinaryIO, data: bytes, position: int, directory: int) -> tuple[Member, int]:
    """The member that the directory describes at a position, and the position behind it."""
    if position + _ENTRY.size > len(data):
        raise ValueError("its directory is cut off")
    fields = _ENTRY.unpack_from(data, position)
    magic, made, needed, flags, method, _, _, crc, packed, size, n_name, n_extra, n_comment = fields[:13]
    disk, _, attributes, header = fields[13:]
    begin = position + _ENTRY.size
    end = begin + n_name + n_extra + n_comment
    if magic != b"PK\1\2" or end > len(data):
        raise ValueError("its directory is damaged")
    raw = data[begin : begin + n_name]
    name = _decoded(raw, flags)
    what = _short(name)
    extra = data[begin + n_name : begin + n_name + n_extra]
    size, packed, header = _wide_sizes(what, extra, (size, packed, header))
    if flags & _ENCRYPTED:
        raise ValueError(f"{what} is encrypted")
    if method not in (_STORED, _DEFLATED):
        raise ValueError(f"{what} is compressed in a way that NumPy and Keras don't write: {method}")
    if flags & ~_HARMLESS or disk or needed > _NEWEST:
        raise ValueError(f"{what} needs what this reader doesn't know: flags {flags:#x}, version {needed}, disk {disk}")
    if made >> 8 == 3 and stat.S_IFMT(attributes >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ValueError(f"{what} is a link or a device instead of a file")
    if method == _STORED and size != packed:
        raise ValueError(f"{what} declares {size} bytes, and takes {packed} without being compressed")
    if size > BOMB * packed + SLACK:
        raise ValueError(f"{what} declares {size} bytes out of {packed}: a compression bomb")
    start = _check_header(file, what, header, directory, (flags, method, crc, packed, size, raw))
    if start + packed > directory:
        raise ValueError(f"{what} takes {packed} bytes, more than there are")
    return Member(name, size, packed, method == _DEFLATED, crc, header, start, bool(flags & _DESCRIPTOR)), end


def _check_header(
    file: BinaryIO, what: str, header: int, directory: int, entry: tuple[int, int, int, int, int, bytes]
) -> int:
    """Compare the header before a member with its entry in the directory; return where the data begin."""
    flags, method, crc, packed, size, raw = entry
    if header + _HEADER.size > directory:
        raise ValueError(f"{what} lies outside of the archive")
    fields = _HEADER.unpack(_exactly(file, header, _HEADER.size))
    magic, _, own_flags, own_method, _, _, own_crc, own_packed, own_size, n_name, n_extra = fields
    rest = _exactly(file, header + _HEADER.size, n_name + n_extra)
    own_size, own_packed, _ = _wide_sizes(what, rest[n_name:], (own_size, own_packed, 0))
    same = (magic, own_flags, own_method, rest[:n_name]) == (b"PK\3\4", flags, method, raw)
    later = flags & _DESCRIPTOR and (own_crc, own_packed, own_size) == (0, 0, 0)
    if not same or not (later or (own_crc, own_packed, own_size) == (crc, packed, size)):
        raise ValueError(f"{what} has a header that differs from its entry in the directory")
    return header + _HEADER.size + n_name + n_extra


def _wide_sizes(what: str, extra: bytes, numbers: tuple[int, int, int]) -> tuple[int, int, int]:
    """Replace those numbers that are too large for 32 bits by what the extra field of 64-bit numbers says."""
    wide = None
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        position += 4 + length
        if kind == 1:
            if wide is not None:
                raise ValueError(f"{what} has 64-bit sizes twice")
            wide = extra[position - length : position]
    if position != len(extra):
        raise ValueError(f"{what} has an extra field that is cut off")
    missing = sum(number == _FULL_32 for number in numbers)
    if len(wide or b"") != 8 * missing:
        raise ValueError(f"{what} has 64-bit sizes where none are needed, or none where they are")
    found = iter(struct.unpack(f"<{missing}Q", wide or b""))
    size, packed, header = (next(found) if number == _FULL_32 else number for number in numbers)
    return size, packed, header


def _check_places(members: dict[str, Member], directory: int) -> None:
    """See to it that the members share no byte, and that none belongs to nobody."""
    end, descriptor = 0, 0
    for member in sorted(members.values(), key=lambda member: member.header):
        if not end <= member.header <= end + descriptor:
            raise ValueError(f"{_short(member.name)} overlaps another member, or follows bytes that belong to none")
        end = member.start + member.packed
        descriptor = _LONGEST_DESCRIPTOR if member.described else 0
    if not end <= directory <= end + descriptor:
        raise ValueError("there are bytes before its directory that belong to no member")


def _decoded(raw: bytes, flags: int) -> str:
    try:
        name = raw.decode("utf-8" if flags & _UTF8 else "ascii")
    except UnicodeDecodeError:
        raise ValueError(f"the name {raw[:50]!r} of a member is no text") from None
    if not name or not name.isprintable():
        raise ValueError(f"{_short(name)} is no name of a member")
    return name


def _short(name: str) -> str:
    return repr(name if len(name) <= 100 else name[:100] + "...")


def _exactly(file: BinaryIO, position: int, count: int, what: str = "it") -> bytes:
    file.seek(position)
    data = file.read(count)
    if len(data) != count:
        raise ValueError(f"{what} is cut off")
    return data
