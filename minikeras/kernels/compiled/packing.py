"""Arguments of a compiled loop, written down in memory for any thread to call it with, for a part of the work.

A *packer* is compiled for each kind of arguments; it writes them and returns the address of a function in C's manner,
``part(arguments, number, first, last, length)``, which cuts from the arrays what belongs to a part and calls the loop.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import calls
from .jit import Loop, compiling
from .kinds import parsed
from .lazy import imported


class Cut(NamedTuple):
    """An array that consists of as many equal pieces as there is work; each part gets its own."""

    array: np.ndarray


class Own(NamedTuple):
    """An array whose first axis has a row for each part, which gets that."""

    array: np.ndarray


FIRST, LAST, COUNT = "first", "last", "count"
"""What stands for the bounds of a part's range, and for its length, among the arguments of a loop."""


def pack(loop: Loop, args: tuple[Any, ...]) -> tuple[int, np.ndarray]:
    """The address of the function that calls a loop for a part, and what it reads the arguments from.

    Args:
        loop: It returns nothing.
        args: Contiguous arrays, numbers and tuples of integers, `Cut` and `Own` arrays, and what stands for the range.
            The arrays are borrowed: who calls keeps them until the last part is done.
    """
    kinds = [arg.ndim if (kind := type(arg)) is np.ndarray else arg if kind is str else _kind(arg) for arg in args]
    layout = _layout(loop, tuple(kinds))
    values = [arg.array if type(arg) in _WRAPPED else arg for arg in args if type(arg) is not str]
    room = np.empty(layout.words, np.int64)
    return layout.packer(room, *values), room


_MARKS = {FIRST: "f", LAST: "l", COUNT: "n", Cut: "c", Own: "o"}
_WRAPPED = {Cut, Own}


class _Layout(NamedTuple):
    """What depends on the kinds of arguments only: what writes them down, and the words of eight bytes that takes."""

    packer: calls.Overloads
    words: int


@functools.cache
def _layout(loop: Loop, kinds: tuple[Any, ...]) -> _Layout:
    """The layout for arguments of kinds: what stands for the range, the axes of an array, or what `_kind` says."""
    words, marks = 1, ""
    for kind in kinds:
        cls, size = kind if isinstance(kind, tuple) else (np.ndarray, kind)
        marks += _MARKS.get(kind if isinstance(kind, str) else cls, "w")
        if not isinstance(kind, str):  # an array is described by five words, and two for each axis
            words += size if cls is tuple else 1 if size is None else 5 + 2 * size
    return _Layout(_packer(loop, marks), words)


def _kind(arg: Any) -> tuple[type, int | None]:
    """The type of an argument, and the axes of an array in it or the length of a tuple."""
    if isinstance(arg, (Cut, Own)):
        return type(arg), arg.array.ndim
    return type(arg), len(arg) if isinstance(arg, tuple) else None


@functools.cache
def _packer(loop: Loop, marks: str) -> calls.Overloads:
    """What writes arguments, of which each has a mark, behind the address of the loop."""

    def make(kinds: tuple[str, ...]) -> Callable[..., Any]:
        rest = iter(kinds[1:])
        address = loop.address(tuple(["i8" if mark in "fln" else _piece(next(rest), mark) for mark in marks]))
        with compiling(loop.function.__name__):
            return calls.function(f"pack_{marks}", kinds, functools.partial(_code, marks), address)

    return calls.Overloads(make)


def _piece(kind: str, mark: str) -> str:
    """The kind of what a part gets of an argument."""
    name, ndim, _ = parsed(kind)
    return f"{name}[{ndim - 1}]" if mark == "o" and ndim is not None else kind


# ---------------------------------------------------------------------- compiled


def _code(marks: str, context: Any, builder: Any, address: Any, kinds: list[Any], values: list[Any]) -> Any:
    """Write the code of a packer, that of the loop at an address."""
    ir = imported("llvmlite.ir")
    word = ir.IntType(64)
    kind = imported("numba.core.types").Tuple(kinds[1:])
    packed = context.make_tuple(builder, kind, values[1:])
    room = imported("numba.np.arrayobj").make_array(kinds[0])(context, builder, values[0]).data
    builder.store(address, builder.bitcast(room, word.as_pointer()))
    builder.store(packed, builder.bitcast(builder.gep(room, [word(1)]), packed.type.as_pointer())).align = 8

    arguments = [ir.IntType(8).as_pointer(), word, word, word, word]
    function = ir.Function(builder.module, ir.FunctionType(word, arguments), f"{builder.function.name}.part")
    function.linkage = "internal"
    _write_part(marks, kind, packed.type, context, function)
    return calls.call(builder, "PyLong_FromSsize_t", arguments[0], builder.ptrtoint(function, word))


def _write_part(marks: str, kind: Any, packed: Any, context: Any, function: Any) -> None:
    """Write the code of a function that calls the loop for a part; it returns whether that failed."""
    ir, cgutils, types = imported("llvmlite.ir"), imported("numba.core.cgutils"), imported("numba.core.types")
    word, builder = ir.IntType(64), ir.IRBuilder(function.append_basic_block())
    memory, part, first, last, length = function.args
    words = builder.bitcast(memory, word.as_pointer())
    values = builder.load(builder.bitcast(builder.gep(words, [word(1)]), packed.as_pointer()))
    values.align = 8
    rest = iter(zip(cgutils.unpack_tuple(builder, values), kind.types, strict=True))
    bounds = {"f": first, "l": last, "n": builder.sub(last, first)}
    args, kinds = [], []
    for mark in marks:
        value, each = (bounds[mark], types.intp) if mark in bounds else next(rest)
        if mark == "c":
            value = _cut(context, builder, each, value, (first, bounds["n"], length))
        elif mark == "o":
            value = _row(context, builder, each, value, part)
        args.append(value)
        kinds.append(each.copy(ndim=each.ndim - 1) if mark == "o" else each)
    callee = context.call_conv.get_function_type(types.none, kinds).as_pointer()
    place = builder.inttoptr(builder.load(words), callee)
    status, _ = context.call_conv.call_function(builder, place, types.none, kinds, args)
    builder.ret(builder.zext(status.is_error, word))


def _cut(context: Any, builder: Any, kind: Any, value: Any, bounds: tuple[Any, Any, Any]) -> Any:
    """`count` of `length` pieces of an array, from piece `first` on."""
    cgutils, array = imported("numba.core.cgutils"), imported("numba.np.arrayobj").make_array(kind)
    array, (first, count, length) = array(context, builder, value), bounds
    lengths, strides = (cgutils.unpack_tuple(builder, each, kind.ndim) for each in (array.shape, array.strides))
    piece = builder.sdiv(lengths[0], length)
    data = _moved(builder, array.data, builder.mul(builder.mul(first, piece), strides[0]))
    return calls.array_value(context, builder, kind, data, [builder.mul(count, piece), *lengths[1:]], strides)


def _row(context: Any, builder: Any, kind: Any, value: Any, part: Any) -> Any:
    """Row `part` of an array."""
    cgutils, array = imported("numba.core.cgutils"), imported("numba.np.arrayobj").make_array(kind)
    array = array(context, builder, value)
    lengths, strides = (cgutils.unpack_tuple(builder, each, kind.ndim) for each in (array.shape, array.strides))
    data = _moved(builder, array.data, builder.mul(part, strides[0]))
    return calls.array_value(context, builder, kind.copy(ndim=kind.ndim - 1), data, lengths[1:], strides[1:])


def _moved(builder: Any, data: Any, distance: Any) -> Any:
    byte = imported("llvmlite.ir").IntType(8).as_pointer()
    return builder.bitcast(builder.gep(builder.bitcast(data, byte), [distance]), data.type)
