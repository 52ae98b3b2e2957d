"""Mutated zip archives: what members hold, with lengths and checksums that are right again, and the archive around it.

The archive is put together field by field here, so that any field can be wrong while all others are right.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from random import Random

import numpy as np

from .values import NUMBERS, PATHS, change_bytes, change_json

FIELDS = [
    "made",
    "needed",
    "flags",
    "method",
    "time",
    "date",
    "crc",
    "packed",
    "size",
    "disk",
    "inside",
    "outside",
    "place",
]
OF_THE_END = ["disk", "first_disk", "here", "count", "size", "place", "comment"]
BITS = {"crc": 32, "packed": 32, "size": 32, "outside": 32, "place": 32}


@dataclass
class Member:
    """A member to be written; ``local`` and ``central`` override fields of its header and its entry."""

    name: bytes
    data: bytes
    method: int = 0
    extra: bytes = b""
    central_extra: bytes = b""
    comment: bytes = b""
    described: bool = False
    local_name: bytes | None = None
    shared: int | None = None  # the member whose place in the file this one claims as well
    local: dict[str, int] = field(default_factory=dict)
    central: dict[str, int] = field(default_factory=dict)


@dataclass
class Zip:
    """An archive to be written."""

    members: list[Member]
    before: bytes = b""
    between: bytes = b""
    comment: bytes = b""
    wide: bool = False
    end: dict[str, int] = field(default_factory=dict)

    def build(self) -> bytes:
        out = bytearray(self.before)
        directory = b""
        places: list[int] = []
        for member in self.members:
            place = len(out)
            if member.shared is not None and member.shared < len(places):
                place = places[member.shared]
            places.append(place)
            packed = _deflated(member.data) if member.method == 8 else member.data
            fields = {
                **dict.fromkeys(FIELDS, 0),
                "made": 20,
                "needed": 20,
                "flags": 8 * member.described,
                "method": member.method,
                "date": 33,
                "crc": zlib.crc32(member.data),
                "packed": len(packed),
                "size": len(member.data),
                "place": place,
            }
            if not member.name.isascii():
                fields["flags"] |= 1 << 11
            own = {**fields, **member.local}
            if member.described:
                own = {**own, "crc": 0, "packed": 0, "size": 0, **member.local}
            name = member.name if member.local_name is None else member.local_name
            if member.shared is None:
                numbers = [own[key] for key in ("needed", "flags", "method", "time", "date", "crc", "packed", "size")]
                out += struct.pack("<4s5H3L2H", b"PK\3\4", *numbers, len(name), len(member.extra))
                out += name + member.extra + packed
                if member.described:
                    out += struct.pack("<4s3L", b"PK\7\10", fields["crc"], len(packed), len(member.data))
                out += self.between
            own = {**fields, **member.central}
            numbers = [
                own[key] for key in ("made", "needed", "flags", "method", "time", "date", "crc", "packed", "size")
            ]
            lengths = len(member.name), len(member.central_extra), len(member.comment)
            rest = [own[key] for key in ("disk", "inside", "outside", "place")]
            directory += struct.pack("<4s6H3L5H2L", b"PK\1\2", *numbers, *lengths, *rest)
            directory += member.name + member.central_extra + member.comment
        begin, count = len(out), len(self.members)
        out += directory
        end = {"disk": 0, "first_disk": 0, "here": count, "count": count, "size": len(directory), "place": begin}
        end |= {"comment": len(self.comment)} | self.end
        if self.wide:
            numbers = [end[key] for key in ("disk", "first_disk", "here", "count", "size", "place")]
            at = len(out)
            out += struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, *numbers) + struct.pack(
                "<4sLQL", b"PK\6\7", 0, at, 1
            )
        numbers = [end[key] % 2**16 for key in OF_THE_END[:4]] + [end["size"] % 2**32, end["place"] % 2**32]
        out += struct.pack("<4s4H2LH", b"PK\5\6", *numbers, end["comment"]) + self.comment
        return bytes(out)


@cache
def parts(data: bytes) -> tuple[tuple[str, bytes], ...]:
    """The members of a sound archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return tuple((info.filename, archive.read(info)) for info in archive.infolist())


def mutated(data: bytes, other: bytes, rng: Random, inner: Callable[[str, bytes, Random], bytes]) -> tuple[bytes, str]:
    """An archive with something wrong in it, and what.

    Args:
        data: A sound archive.
        other: Another one.
        rng: Where choices come from.
        inner: Changes the content of a member.
    """
    choice = rng.random()
    if choice < 0.2:
        changed = bytearray(data)
        what = change_bytes(changed, other, rng)
        return bytes(changed), what
    plan = Zip([Member(name.encode(), content) for name, content in parts(data)])
    done = []
    if choice < 0.75:
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            member = rng.choice(plan.members)
            if rng.random() < 0.5:  # what isn't an array is rarer and says more
                texts = [m for m in plan.members if m.name in (b"model.npy", b"state.npy", b"config.json")]
                member = rng.choice(texts or [member])
            member.data = inner(member.name.decode(), member.data, rng)
            done.append(f"content of {member.name.decode()}")
    if choice > 0.7:
        mutation = rng.choice(OF_ARCHIVES)
        mutation(plan, other, rng)
        done.append(mutation.__name__)
    if rng.random() < 0.1:
        for member in plan.members:
            member.method = 8
    return plan.build(), " + ".join(done)


# ---------------------------------------------------------------------- what is in an archive


def twice(plan: Zip, other: bytes, rng: Random) -> None:
    plan.members.insert(rng.randint(0, len(plan.members)), rng.choice(plan.members))


def left_out(plan: Zip, other: bytes, rng: Random) -> None:
    del plan.members[rng.randrange(len(plan.members))]


def of_another(plan: Zip, other: bytes, rng: Random) -> None:
    """A member of another file, under its own name or one of this file's."""
    name, data = rng.choice(parts(other))
    if rng.random() < 0.5:
        rng.choice(plan.members).data = data
    else:
        plan.members.append(Member(name.encode(), data))


def renamed(plan: Zip, other: bytes, rng: Random) -> None:
    member = rng.choice(plan.members)
    suffix = b"." + member.name.rpartition(b".")[2]
    old = member.name
    member.name = rng.choice(
        [
            rng.choice(PATHS).encode() + suffix,
            rng.choice(plan.members).name,
            old + b"\0",
            old.upper(),
            b"\xff" + old,
            b"",
            old + b"/",
        ]
    )


def names_that_differ(plan: Zip, other: bytes, rng: Random) -> None:
    rng.choice(plan.members).local_name = rng.choice([b"x", b"", rng.choice(plan.members).name])


def reordered(plan: Zip, other: bytes, rng: Random) -> None:
    rng.shuffle(plan.members)


def overlapping(plan: Zip, other: bytes, rng: Random) -> None:
    rng.choice(plan.members).shared = rng.randrange(len(plan.members))


def bomb(plan: Zip, other: bytes, rng: Random) -> None:
    member = rng.choice(plan.members)
    member.data, member.method = _zeros(rng.choice([10**6, 10**7, 5 * 10**7])), 8
    if rng.random() < 0.5:  # as much as the limits allow
        member.central = member.local = {"size": 200 * len(_deflated(member.data)) + 2**20}


def described(plan: Zip, other: bytes, rng: Random) -> None:
    for member in plan.members:
        member.described = rng.random() < 0.8


def extra_fields(plan: Zip, other: bytes, rng: Random) -> None:
    """64-bit sizes that are needed, that aren't, or that are there twice; fields of other kinds; a field cut off."""
    member = rng.choice(plan.members)
    size = len(member.data)
    wide = struct.pack("<2H2Q", 1, 16, rng.choice([size, size, size + 1, 2**63]), size)
    member.extra = rng.choice([wide, wide + wide, wide[:-3], b"UT\5\0\1abcd", b"\xff\xff\xff\xff"])
    if rng.random() < 0.7:
        member.local |= {"size": 2**32 - 1, "packed": 2**32 - 1}
    if rng.random() < 0.5:
        member.central_extra = member.extra
        if rng.random() < 0.7:
            member.central |= {"size": 2**32 - 1, "packed": 2**32 - 1}


def around(plan: Zip, other: bytes, rng: Random) -> None:
    """Bytes where none belong, or a record of the end with 64 bits."""
    junk = rng.choice([b"x", b"PK\3\4" + b"\0" * 26, b"PK\5\6" + b"\0" * 18, rng.randbytes(40)])
    kind = rng.choice(["before", "between", "comment", "wide"])
    setattr(plan, kind, True if kind == "wide" else junk)


def field_of_a_member(plan: Zip, other: bytes, rng: Random) -> None:
    member = rng.choice(plan.members)
    name = rng.choice(FIELDS)
    value = rng.choice([*NUMBERS, len(member.data) + 1, max(len(member.data) - 1, 0), 1 << rng.randrange(16)])
    changes = {name: value % 2 ** BITS.get(name, 16)}
    where = rng.random()
    if where < 0.7:
        member.central |= changes
    if where > 0.3:
        member.local |= changes


def field_of_the_end(plan: Zip, other: bytes, rng: Random) -> None:
    plan.wide = rng.random() < 0.3
    name = rng.choice(OF_THE_END)
    value = rng.choice([*NUMBERS, len(plan.members) - 1, len(plan.members) + 1])
    plan.end = {name: value % (2**16 if name in ("disk", "first_disk", "comment") else 2**32)}


OF_ARCHIVES: list[Callable[[Zip, bytes, Random], None]] = [
    *(twice, left_out, of_another, renamed, names_that_differ, reordered, overlapping, bomb, described, extra_fields),
    *(around, field_of_a_member, field_of_a_member, field_of_a_member, field_of_the_end),
]

# ---------------------------------------------------------------------- what is in an array


def changed_npy(name: str, data: bytes, rng: Random) -> bytes:
    """An ``.npy`` file with something wrong in its header, its numbers, or the JSON that they stand for."""
    length = int.from_bytes(data[8:10], "little")
    header, content = data[10 : 10 + length].decode("latin-1"), data[10 + length :]
    kind = re.search("'descr': '([<>|=][fiub][1248])'", header)
    if data[:6] != b"\x93NUMPY" or kind is None:
        return rng.randbytes(rng.choice([0, 1, 50]))
    if name == "model.npy" and rng.random() < 0.85:
        text = change_json(content.decode("utf-8", "replace"), rng)
        return npy(np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8))
    choice = rng.random()
    if choice < 0.45:
        return _with_header(changed_header(header, rng), content, rng)
    if choice < 0.6:  # numbers that are none, or are extreme
        values = [float("nan"), float("inf"), 1e38, -1e38, 0.0]
        dtype = np.dtype(kind[1])
        if dtype.kind == "f" and content and len(content) % dtype.itemsize == 0:
            array = np.frombuffer(content, dtype).copy()
            array[rng.randrange(len(array)) :] = rng.choice(values)
            content = array.tobytes()
        return data[: 10 + length] + content
    if choice < 0.8:
        return data[: 10 + length] + rng.choice(
            [content[:-1], content + b"\0", b"", rng.randbytes(len(content)), content * 2]
        )
    changed = bytearray(data)
    change_bytes(changed, data, rng)
    return bytes(changed)


def changed_header(header: str, rng: Random) -> str:
    """The text of a header with another type, order or shape, or of another form."""
    shape = re.search(r"\(([0-9, ]*)\)", header)
    sizes = [int(size) for size in re.findall("[0-9]+", shape[1])] if shape else []
    choice = rng.random()
    if choice < 0.45 and shape:
        for _ in range(rng.randint(1, 2)):
            if sizes and rng.random() < 0.6:
                sizes[rng.randrange(len(sizes))] = rng.choice([*NUMBERS, -1, 10**30, rng.randrange(50)])
            else:
                sizes.insert(rng.randint(0, len(sizes)), rng.choice([0, 1, 1, 2, 2**40]))
        return header.replace(shape[0], str(tuple(sizes)))
    if choice < 0.6 and len(sizes) > 1 and shape:
        rng.shuffle(sizes)
        return header.replace(shape[0], str(tuple(sizes)))
    if choice < 0.8:
        types = [
            "|O",
            "<f8",
            ">f4",
            "<f2",
            "<i4",
            "|b1",
            "<c8",
            "|V4",
            "<U1",
            "|S4",
            "<M8[s]",
            "?",
            "<f16",
            "f",
            "[('a', '<f4')]",
        ]
        return re.sub("'descr': '[^']*'", f"'descr': {rng.choice(types)!r}", header)
    if choice < 0.9:
        return header.replace("False", rng.choice(["True", "0", "None", "__import__('os')", "[]"]))
    data = bytearray(header.encode("latin-1"))
    change_bytes(data, header.encode("latin-1"), rng)
    return data.decode("latin-1")


def _with_header(header: str, content: bytes, rng: Random) -> bytes:
    text = header.encode("latin-1")
    version, width = rng.choice([(1, 2), (1, 2), (2, 4), (3, 4), (9, 4)])
    if rng.random() < 0.05:
        text += b" " * rng.choice([4000, 70_000])
    length = len(text) if rng.random() < 0.95 else rng.choice(NUMBERS)
    return b"\x93NUMPY" + bytes([version, 0]) + (length % 2 ** (8 * width)).to_bytes(width, "little") + text + content


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue()


@cache
def _zeros(count: int) -> bytes:
    return bytes(count)


_packed: dict[int, bytes] = {}


def _deflated(data: bytes) -> bytes:
    """Raw deflate; the large ones, which are zeros, are kept."""
    if len(data) >= 10**6 and len(data) in _packed:
        return _packed[len(data)]
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    packed = packer.compress(data) + packer.flush()
    if len(data) >= 10**6:
        _packed[len(data)] = packed
    return packed
