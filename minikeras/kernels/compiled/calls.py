"""Functions in machine code that Python calls: they check their arguments, and take them apart for compiled loops.

numba's own would need numba. These need what any function in C needs: some of Python's functions, and how an array lies
in memory (``PyArrayObject``, which extensions rely on). A function declines, by returning NotImplemented, what isn't
exactly of the kinds that it was written for, so that another one can be asked.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from . import stored
from .kinds import NUMBERS, kind_of, numba_type, parsed, type_name, usual
from .lazy import imported

Body = Callable[[Any, Any, Any, list[Any], list[Any]], Any]
"""Writes what a function does. It is given numba's context, LLVM's builder, the integer that the function is bound to,
numba's types of the arguments and their values; and returns the function's result, an object."""

_HEAD = object.__basicsize__  # bytes in front of what an object holds; the last of them say of which type it is
_FASTCALL = 0x80  # the arguments come as an array
_PLAIN = 0x1 | 0x100 | 0x400  # flags of an array: contiguous, aligned, writeable


class Overloads:
    """A function for Python, of which a version is made when arguments are of new kinds.

    Args:
        make: Makes it for given kinds; it may be called several times for the same.
    """

    def __init__(self, make: Callable[[tuple[str, ...]], Callable[..., Any]]) -> None:
        self.make = functools.cache(make)
        self.made: tuple[Callable[..., Any], ...] = ()

    def __call__(self, *args: Any) -> Any:
        for function in self.made:
            result = function(*args)
            if result is not NotImplemented:
                return result
        args = tuple([usual(arg) for arg in args])
        function = self.make(tuple([kind_of(arg) for arg in args]))
        if function not in self.made:
            self.made = (*self.made, function)
        return function(*args)


def function(name: str, kinds: tuple[str, ...], body: Body, integer: int) -> Callable[..., Any]:
    """A function for Python, from disk or written anew.

    Args:
        name: What it is kept by, beside its kinds.
        kinds: Of its arguments.
        body: Writes its code.
        integer: What it is bound to.
    """
    name = f"{name}({','.join(kinds)})"
    found = stored.load_or_make(name, lambda: _written(name, kinds, body))
    method = _Method(name.encode(), found.address, _FASTCALL, None)
    made = _new_function(ctypes.byref(method), integer, None)
    _methods.append(method)
    return made


class _Method(ctypes.Structure):
    """Python's PyMethodDef."""

    _fields_ = (("name", ctypes.c_char_p), ("code", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p))


_methods: list[_Method] = []  # Python's functions refer to them
_new_function = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)(
    ("PyCFunction_NewEx", ctypes.pythonapi)
)


# ---------------------------------------------------------------------- what is written


def _written(name: str, kinds: tuple[str, ...], body: Body) -> bytes:
    """The object file of a function."""
    ir = imported("llvmlite.ir")
    thing, word = ir.IntType(8).as_pointer(), ir.IntType(64)

    def write(context: Any, module: Any) -> None:
        code = ir.Function(module, ir.FunctionType(thing, [thing, thing.as_pointer(), word]), name)
        arguments = _Arguments(context, code)
        values = arguments.taken_apart(kinds)
        integer = arguments.call("PyLong_AsSsize_t", word, code.args[0])
        result = body(context, arguments.builder, integer, [numba_type(kind) for kind in kinds], values)
        arguments.builder.ret(result)

    return compiled_object(write)


class _Arguments:
    """Writes how a function's arguments are checked and taken apart.

    Args:
        context: numba's.
        code: The function.
    """

    def __init__(self, context: Any, code: Any) -> None:
        self.ir, self.context, self.code = imported("llvmlite.ir"), context, code
        self.thing, self.word, self.int = (self.ir.IntType(8).as_pointer(), self.ir.IntType(64), self.ir.IntType(32))
        self.builder = self.ir.IRBuilder(code.append_basic_block())
        self.declines = code.append_basic_block()
        declining = self.ir.IRBuilder(self.declines)
        declining.ret(new_reference(declining, "NotImplemented"))

    def taken_apart(self, kinds: tuple[str, ...]) -> list[Any]:
        """The values of all arguments."""
        _, given, count = self.code.args
        self._require(self.builder.icmp_signed("==", count, self.word(len(kinds))))
        return [self._value(self.builder.load(self.builder.gep(given, [self.word(i)])), k) for i, k in enumerate(kinds)]

    def call(self, name: str, result: Any, *args: Any) -> Any:
        """Call one of Python's functions."""
        return call(self.builder, name, result, *args)

    def _require(self, condition: Any) -> None:
        """Decline unless it holds."""
        goes_on = self.builder.append_basic_block()
        self.builder.cbranch(condition, goes_on, self.declines)
        self.builder.position_at_end(goes_on)

    def _require_type(self, value: Any, *types: type) -> None:
        place = self.builder.gep(value, [self.word(_HEAD - ctypes.sizeof(ctypes.c_void_p))])
        kind = self.builder.load(self.builder.bitcast(place, self.thing.as_pointer()))
        found = [self.builder.icmp_unsigned("==", kind, known(self.builder, type_name(each))) for each in types]
        self._require(found[0] if len(found) == 1 else self.builder.or_(*found))

    def _value(self, value: Any, kind: str) -> Any:
        name, ndim, count = parsed(kind)
        if ndim is not None:
            return self._array(value, kind, name, ndim)
        if count is None:
            return self._number(value, name)
        self._require_type(value, tuple)
        self._require(self.builder.icmp_signed("==", self.call("PyTuple_Size", self.word, value), self.word(count)))
        items = [self.call("PyTuple_GetItem", self.thing, value, self.word(i)) for i in range(count)]
        return self.context.make_tuple(self.builder, numba_type(kind), [self._number(item, name) for item in items])

    def _number(self, value: Any, name: str) -> Any:
        self._require_type(value, *NUMBERS[name])
        if name == "i8":
            return self.call("PyNumber_AsSsize_t", self.word, value, self.thing(None))
        if name == "b1":
            return self.builder.icmp_signed("==", self.call("PyObject_IsTrue", self.int, value), self.int(1))
        number = self.call("PyFloat_AsDouble", self.ir.DoubleType(), value)
        return number if name == "f8" else self.builder.fptrunc(number, self.ir.FloatType())

    def _array(self, value: Any, kind: str, name: str, ndim: int) -> Any:
        self._require_type(value, np.ndarray)
        build, integers = self.builder, self.word.as_pointer()
        fields = [self.thing, self.int, integers, integers, self.thing, self.thing, self.int]
        place = build.gep(value, [self.word(_HEAD)])
        place = build.bitcast(place, self.ir.LiteralStructType(fields).as_pointer())
        data, axes, lengths, strides, _, dtype, flags = (
            build.load(build.gep(place, [self.int(0), self.int(i)])) for i in range(len(fields))
        )
        self._require(build.icmp_unsigned("==", dtype, known(build, f"dtype.{name}")))
        self._require(build.icmp_signed("==", axes, self.int(ndim)))
        self._require(build.icmp_signed("==", build.and_(flags, self.int(_PLAIN)), self.int(_PLAIN)))
        both = ([build.load(build.gep(each, [self.word(i)])) for i in range(ndim)] for each in (lengths, strides))
        numba_kind = numba_type(kind)
        data = build.bitcast(data, self.context.get_data_type(numba_kind.dtype).as_pointer())
        return array_value(self.context, build, numba_kind, data, *both)


# ---------------------------------------------------------------------- what more of it is written with


def compiled_object(write: Callable[[Any, Any], None]) -> bytes:
    """The object file of a module of LLVM's, into which `write` writes with numba's context."""
    context = imported("numba.core.registry").cpu_target.target_context
    stored.loader()  # has made known what is written about
    with imported("numba.core.compiler_lock").global_compiler_lock:
        library = context.codegen().create_library("minikeras")
        library.enable_object_caching()
        module = library.create_ir_module("minikeras")
        write(context, module)
        library.add_ir_module(module)
        library.finalize()
        return library.serialize_using_object_code()[2][0]


def array_value(context: Any, builder: Any, kind: Any, data: Any, lengths: Any, strides: Any) -> Any:
    """A value that describes an array which belongs to somebody else."""
    arrays = imported("numba.np.arrayobj")
    array = arrays.make_array(kind)(context, builder)
    size = getattr(kind.dtype, "bitwidth", 8) // 8  # booleans take a byte, and say nothing
    arrays.populate_array(array, data, lengths, strides, size, None)
    return array._getvalue()


def known(builder: Any, name: str) -> Any:
    """Where one of `stored.OBJECTS` is."""
    ir, name = imported("llvmlite.ir"), f"minikeras.{name}"
    return builder.module.globals.get(name) or ir.GlobalVariable(builder.module, ir.IntType(8), name)


def new_reference(builder: Any, name: str) -> Any:
    """One of `stored.OBJECTS`, to return."""
    found = known(builder, name)
    call(builder, "Py_IncRef", imported("llvmlite.ir").VoidType(), found)
    return found


def call(builder: Any, name: str, result: Any, *args: Any) -> Any:
    """Call one of `stored.FUNCTIONS`, or of C's."""
    ir = imported("llvmlite.ir")
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(builder.module.globals.get(name) or ir.Function(builder.module, kind, name), args)
