"""Mutated HDF5 files: what they mean, by h5py, and fields of their messages, with checksums that are right again."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import h5py
import numpy as np

from .values import PATHS, change_bytes, change_json, set_number

_WORD = 2**32 - 1
_TEXTS = ("model_config", "training_config", "minikeras")
_CONTINUATION = 0x10


def mutated(data: bytes, other: bytes, rng: Random) -> tuple[bytes, str]:
    """An HDF5 file with something wrong in it, and what.

    Args:
        data: A sound file.
        other: Another one.
        rng: Where choices come from.
    """
    done: list[str] = []
    choice = rng.random()
    changed = bytearray(data)
    if choice < 0.35:
        changed, done = _of_meaning(data, rng)
    elif choice < 0.75:
        for _ in range(rng.choice([1, 1, 1, 2, 4])):
            done.append(change_a_message(changed, data, rng))
    if choice > 0.7 or rng.random() < 0.03:
        done.append(change_bytes(changed, other, rng))
    return bytes(changed), " + ".join(done)


# ---------------------------------------------------------------------- messages and checksums


def change_a_message(changed: bytearray, data: bytes, rng: Random) -> str:
    """Change a number in a message of an object's header, or in the superblock, and make its checksum right."""
    chunks, messages = structure(data)
    if rng.random() < 0.1:
        begin, end = chunks[0]
        set_number(changed, rng.randrange(begin + 8, end), rng)
        what, chunk = "superblock", chunks[0]
    else:
        kind, begin, end, chunk = rng.choice(messages)
        what = f"message {kind:#x}"
        for _ in range(rng.choice([1, 1, 2])):
            if rng.random() < 0.15:  # its own type, size or flags
                changed[begin - rng.randint(1, 4)] = rng.choice([0, 1, 3, 8, 16, 17, 255, rng.randrange(256)])
            elif begin < end:
                set_number(changed, rng.randrange(begin, end), rng)
    if rng.random() < 0.97:
        sign(changed, chunk)
    return what


def sign(data: bytearray, chunk: tuple[int, int]) -> None:
    """Write the checksum of a chunk behind it, if it is of the kind that has one."""
    begin, end = chunk
    if data[begin : begin + 4] in (b"OHDR", b"OCHK") or (begin == 0 and data[8] >= 2):
        data[end : end + 4] = lookup3(bytes(data[begin:end])).to_bytes(4, "little")


@cache
def structure(data: bytes) -> tuple[list[tuple[int, int]], list[tuple[int, int, int, tuple[int, int]]]]:
    """Where the superblock (first) and the chunks of headers are, and their messages: type, begin, end, chunk."""
    chunks: list[tuple[int, int]] = [(0, 44 if data[8] >= 2 else 96)]
    messages: list[tuple[int, int, int, tuple[int, int]]] = []
    pending = [_header(data, address) for address in _addresses(data)]
    while pending:
        modern, ordered, chunk, begin = pending.pop()
        chunks.append(chunk)
        head = (6 if ordered else 4) if modern else 8
        while begin + head <= chunk[1]:
            kind, size = (
                (data[begin], *struct.unpack_from("<H", data, begin + 1))
                if modern
                else struct.unpack_from("<2H", data, begin)
            )
            end = min(begin + head + size, chunk[1])
            messages.append((kind, begin + head, end, chunk))
            if kind == _CONTINUATION:
                place, length = struct.unpack_from("<2Q", data, begin + head)
                last = place + length - (4 if modern else 0)
                pending.append((modern, ordered, (place, last), place + (4 if modern else 0)))
            begin = end
    return chunks, messages


def _header(data: bytes, address: int) -> tuple[bool, bool, tuple[int, int], int]:
    """Of an object's header: whether it is of version 2, whether that has an order of creation, its first chunk, and
    where the messages in it begin.
    """
    if data[address : address + 4] != b"OHDR":
        size = struct.unpack_from("<L", data, address + 8)[0]
        return False, False, (address, address + 16 + size), address + 16
    flags = data[address + 5]
    begin = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    size = int.from_bytes(data[begin : begin + width], "little")
    return True, bool(flags & 4), (address, begin + width + size), begin + width


def _addresses(data: bytes) -> list[int]:
    with h5py.File(io.BytesIO(data), "r") as file:
        found = [h5py.h5o.get_info(file.id).addr]
        file.visititems(lambda name, item: found.append(h5py.h5o.get_info(item.id).addr))
    return found


def lookup3(data: bytes) -> int:
    """HDF5's checksum of metadata (Jenkins 2006, hashlittle)."""
    a = b = c = (0xDEADBEEF + len(data)) & _WORD
    words = struct.unpack(f"<{-(-len(data) // 12) * 3}L", data.ljust(-(-len(data) // 12) * 12, b"\0"))
    for i in range(0, len(words) - 3, 3):
        a, b, c = (a + words[i]) & _WORD, (b + words[i + 1]) & _WORD, (c + words[i + 2]) & _WORD
        a, c = (a - c) & _WORD ^ _turned(c, 4), (c + b) & _WORD
        b, a = (b - a) & _WORD ^ _turned(a, 6), (a + c) & _WORD
        c, b = (c - b) & _WORD ^ _turned(b, 8), (b + a) & _WORD
        a, c = (a - c) & _WORD ^ _turned(c, 16), (c + b) & _WORD
        b, a = (b - a) & _WORD ^ _turned(a, 19), (a + c) & _WORD
        c, b = (c - b) & _WORD ^ _turned(b, 4), (b + a) & _WORD
    if not words:
        return c
    a, b, c = (a + words[-3]) & _WORD, (b + words[-2]) & _WORD, (c + words[-1]) & _WORD
    c = (c ^ b) - _turned(b, 14) & _WORD
    a = (a ^ c) - _turned(c, 11) & _WORD
    b = (b ^ a) - _turned(a, 25) & _WORD
    c = (c ^ b) - _turned(b, 16) & _WORD
    a = (a ^ c) - _turned(c, 4) & _WORD
    b = (b ^ a) - _turned(a, 14) & _WORD
    return (c ^ b) - _turned(b, 24) & _WORD


def _turned(word: int, by: int) -> int:
    return (word << by | word >> 32 - by) & _WORD


# ---------------------------------------------------------------------- meaning


def _of_meaning(data: bytes, rng: Random) -> tuple[bytearray, list[str]]:
    memory = io.BytesIO(data)
    done = []
    with h5py.File(memory, "r+") as file:
        for _ in range(rng.randint(1, 2)):
            mutation = rng.choice(OF_MEANING)
            try:
                mutation(file, rng)
                done.append(mutation.__name__)
            except (ValueError, KeyError, OSError, StopIteration, TypeError, RuntimeError, AttributeError, IndexError):
                done.append(f"{mutation.__name__} (not possible)")
    return bytearray(memory.getvalue()), done


def the_version(file: Any, rng: Random) -> None:
    versions = ["1.2.2", "2.0.8", "2.3.1", "2.2.4-tf", "2.12.0", "3.9.0", "", "9" * 400]
    file.attrs["keras_version"] = rng.choice(versions).encode()


def a_text(file: Any, rng: Random) -> None:
    """A value in one of the configurations."""
    name = rng.choice([name for name in _TEXTS if name in file.attrs])
    file.attrs[name] = change_json(file.attrs[name], rng).encode("utf-8", "surrogatepass")


def names(file: Any, rng: Random) -> None:
    """A list of names, with one that is missing, twice there, no text, a path, or with no form of a list."""
    groups: list[Any] = [file]
    file.visititems(lambda name, item: groups.append(item) if isinstance(item, h5py.Group) else None)
    group = rng.choice([g for g in groups if {"layer_names", "weight_names"} & {*g.attrs}])
    name = next(n for n in ("layer_names", "weight_names") if n in group.attrs)
    old = list(group.attrs[name])
    if not old:
        return
    del group.attrs[name]
    odd = rng.choice([rng.choice(PATHS).encode(), b"\xff\xfe", b"x" * 5000])
    kinds: list[Callable[[], Any]] = [
        lambda: group.attrs.create(name, np.array([*old[:-1], odd or b"x"])),
        lambda: group.attrs.create(name, np.array(old[:-1] or [b"x"])),
        lambda: group.attrs.create(name, np.array([*old, old[0]])),
        lambda: group.attrs.create(name, np.array(old[::-1])),
        lambda: group.attrs.create(name, b"one"),
        lambda: group.attrs.create(name, 3.0),
        lambda: group.attrs.create(name, np.array([old])),
        lambda: group.attrs.create(name, file.ref, dtype=h5py.ref_dtype),
        lambda: group.attrs.create(f"{name}0", np.array(old)),
        lambda: group.attrs.create(name, [n.decode("latin-1") for n in old], dtype=h5py.string_dtype()),
        lambda: group.attrs.create(name, h5py.Empty("f4")),
        lambda: None,
    ]
    rng.choice(kinds)()


def an_array(file: Any, rng: Random) -> None:
    """An array of another shape, type, storage or nature under the same name."""
    arrays: list[str] = []
    file.visititems(lambda name, item: arrays.append(name) if isinstance(item, h5py.Dataset) else None)
    name = rng.choice(arrays)
    if file[name].size > 2**22:
        raise ValueError("an array that was made huge before isn't copied")
    old = file[name][()]
    del file[name]
    put: Any = file.create_dataset
    outside = [("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
    kinds: list[Callable[[], Any]] = [
        lambda: None,
        lambda: put(name, data=np.zeros((3, 5), "f4")),
        lambda: put(name, data=old.astype("f8")),
        lambda: put(name, data=old.astype(">i2")),
        lambda: put(name, data=np.full(old.shape, np.nan)),
        lambda: put(name, data=old, **({"chunks": True, "compression": "gzip"} if old.shape else {})),
        lambda: put(name, shape=(2**40, 2**20), dtype="f4", chunks=(1024, 1024)),
        lambda: put(name, shape=(2**14, 2**14), dtype="f4", chunks=(2**14, 2**10), compression="gzip"),
        lambda: put(name, data=np.zeros(2**20, "f4"), compression="gzip", chunks=(2**20,)),
        lambda: put(name, data=np.array(["a", "b"], dtype=object), dtype=h5py.string_dtype()),
        lambda: put(name, data=file.ref, dtype=h5py.ref_dtype),
        lambda: put(name, data=np.zeros(3, [("a", "f4"), ("b", "i4")])),
        lambda: put(name, shape=old.shape, dtype="f4", external=outside),
        lambda: file.create_virtual_dataset(name, _virtual(old.shape)),
        lambda: put(name, data=h5py.Empty("f4")),
        lambda: file.__setitem__(name, h5py.SoftLink("/")),
        lambda: file.__setitem__(name, h5py.ExternalLink("/etc/passwd", "/")),
        lambda: file.__setitem__(name, file["/"]),
    ]
    rng.choice(kinds)()


def _virtual(shape: tuple[int, ...]) -> Any:
    layout = h5py.VirtualLayout(shape=shape or (1,), dtype="f4")
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", shape=shape or (1,))
    return layout


def nesting(file: Any, rng: Random) -> None:
    group = file
    for _ in range(rng.choice([10, 40, 200])):
        group = group.create_group("g")
    if rng.random() < 0.5:
        group["back"] = file["/"]


def a_name(file: Any, rng: Random) -> None:
    """An object moved to another name."""
    every: list[str] = []
    file.visit(every.append)
    old = rng.choice(every)
    file.move(old, rng.choice(["x", f"{old}/../x", f"{old}_", "layers/x", "vars", rng.choice(every) + "0"]))


OF_MEANING = [a_text, a_text, a_text, a_text, names, an_array, an_array, nesting, the_version, a_name]


def modern(data: bytes) -> bytes:
    """The same content in the newest form of HDF5, whose structures have checksums; large arrays compressed."""
    memory = io.BytesIO()
    with h5py.File(io.BytesIO(data), "r") as old, h5py.File(memory, "w", libver="latest") as file:
        file.attrs.update(old.attrs)

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Group):
                file.create_group(name).attrs.update(item.attrs)
            else:
                packed = {"chunks": item.shape, "compression": "gzip", "shuffle": True} if item.size > 8 else {}
                file.create_dataset(name, data=item[()], **packed)

        old.visititems(copy)
    return memory.getvalue()
