"""Code by whole vector registers, written in LLVM's language where numba can't promise that values stay in them.

A function decorated with `inlined` writes the code of a function that compiled loops call: it gets `Vectors`, which
knows how, and the arguments as LLVM's values, arrays as pointers to their first element.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .calls import array_value, call
from .jit import Loop
from .kinds import numba_type
from .lazy import imported


@functools.cache
def registers() -> tuple[int, tuple[int, ...]]:
    """Bytes in a vector register; and how many rows of 1, 2, … vectors of sums all registers together hold."""
    try:
        features = imported("llvmlite.binding").get_host_cpu_features()
    except RuntimeError:  # LLVM can't tell on this system
        features = {}
    if features.get("avx512f"):
        return 64, (9, 9, 9, 6)
    return 32 if features.get("avx") else 16, (8, 6)


def inlined(write: Callable[..., None]) -> Any:
    """Make a function for compiled loops, without result, whose code `write` writes."""
    return _Inlined(write)


class _Inlined:
    def __init__(self, write: Callable[..., None]) -> None:
        self.write = write

    @functools.cache  # noqa: B019 (as many as are decorated)
    def prepare(self) -> Any:
        """The function, for numba."""
        types = imported("numba.core.types")

        def function(context: Any, *given: Any) -> Any:
            kinds = (types.intp if isinstance(t, types.Integer) else types.unliteral(t) for t in given)
            return types.void(*kinds), code

        def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            make_array = imported("numba.np.arrayobj").make_array
            pointers = (
                make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
                for kind, value in zip(signature.args, values, strict=True)
            )
            dtype = next(kind.dtype for kind in signature.args if isinstance(kind, types.Array))
            self.write(Vectors(builder, context.get_value_type(dtype), dtype.bitwidth), *pointers)
            return context.get_dummy_value()

        function.__signature__ = inspect.signature(self.write)  # type: ignore[attr-defined]
        function.__name__ = self.write.__name__
        return imported("numba.extending").intrinsic(function)


class _Flat:
    """The elements of a contiguous array as one axis: NumPy's `reshape` would call a function of numba's runtime.

    The array is borrowed, as every argument of a loop is.
    """

    @functools.cache  # noqa: B019 (there is one)
    def prepare(self) -> Any:
        """The function, for numba."""
        types = imported("numba.core.types")

        def flat(context: Any, array: Any) -> Any:
            return types.Array(array.dtype, 1, "C")(array), code

        def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            array = imported("numba.np.arrayobj").make_array(signature.args[0])(context, builder, values[0])
            return array_value(context, builder, signature.return_type, array.data, [array.nitems], [array.itemsize])

        return imported("numba.extending").intrinsic(flat)


flat: Any = _Flat()


class Vectors:
    """Writes instructions for vectors of one type.

    Attributes:
        build: what writes LLVM's instructions.
        lanes: numbers in a vector.
        kind: its type.
        integers: the type of a vector of integers as wide as the numbers.
    """

    def __init__(self, builder: Any, scalar: Any, bits: int, lanes: int = 0) -> None:
        self.ir, self.build, self.bits = imported("llvmlite.ir"), builder, bits
        self.lanes = lanes or registers()[0] * 8 // bits
        self.kind = self.ir.VectorType(scalar, self.lanes)
        self.integers = self.ir.VectorType(self.ir.IntType(bits), self.lanes)

    @functools.cached_property
    def bytes(self) -> Vectors:
        """As many bytes as there are numbers in a vector."""
        return Vectors(self.build, self.ir.IntType(8), 8, self.lanes)

    @functools.cached_property
    def single(self) -> Vectors:
        """Vectors of one number."""
        return Vectors(self.build, self.kind.element, self.bits, 1)

    def integer(self, value: int) -> Any:
        """A constant for addresses."""
        return self.ir.IntType(64)(value)

    def number(self, value: float) -> Any:
        """A vector of one constant."""
        return self.ir.Constant(self.kind, [value] * self.lanes)

    def variable(self, value: Any) -> Any:
        """Room for a value that changes, which is a register in the end."""
        place = imported("numba.core.cgutils").alloca_once(self.build, value.type)
        self.build.store(value, place)
        return place

    def phi(self, kind: Any, incoming: dict[Any, Any]) -> Any:
        """A value that depends on the block one comes from."""
        phi = self.build.phi(kind)
        for block, value in incoming.items():
            phi.add_incoming(value, block)
        return phi

    def splat(self, value: Any) -> Any:
        """A vector of one number."""
        kind, int32 = self.ir.VectorType(value.type, self.lanes), self.ir.IntType(32)
        undefined = self.ir.Constant(kind, self.ir.Undefined)
        single = self.build.insert_element(undefined, value, int32(0))
        zeros = self.ir.Constant(self.ir.VectorType(int32, self.lanes), [0] * self.lanes)
        return self.build.shuffle_vector(single, undefined, zeros)

    def mask(self, count: Any) -> Any:
        """The first `count` lanes, or all; it isn't negative, nor much larger."""
        lanes = self.ir.Constant(self.integers, list(range(self.lanes)))
        return self.build.icmp_signed("<", lanes, self.splat(self.build.trunc(count, self.integers.element)))

    def load(self, pointer: Any, offset: Any = 0, mask: Any = None) -> Any:
        """The vector at `pointer` + `offset`, zero where `mask` isn't set."""
        place = self._place(pointer, offset)
        if mask is None:
            value = self.build.load(place)
            value.align = self.bits // 8
            return value
        return self._call(
            "masked.load", self.kind, [place, self._align(), mask, self.ir.Constant(self.kind, None)], ".p0"
        )

    def store(self, value: Any, pointer: Any, offset: Any = 0, mask: Any = None) -> None:
        """Write a vector to `pointer` + `offset`, where `mask` is set."""
        place = self._place(pointer, offset)
        if mask is None:
            self.build.store(value, place).align = self.bits // 8
        else:
            self._call("masked.store", self.ir.VoidType(), [value, place, self._align(), mask], ".p0")

    def fused(self, a: Any, b: Any, c: Any) -> Any:
        """``a * b + c``, rounded once where the processor can; `a` may be a Python number."""
        return self._call("fmuladd", self.kind, [a if hasattr(a, "type") else self.number(a), b, c])

    def at_least(self, value: Any, floor: Any) -> Any:
        """The larger one; NaN if `value` is."""
        return self.build.select(self.build.fcmp_ordered(">", floor, value), floor, value)

    def _align(self) -> Any:
        return self.ir.IntType(32)(self.bits // 8)

    def _place(self, pointer: Any, offset: Any) -> Any:
        offset = offset if hasattr(offset, "type") else self.integer(offset)
        return self.build.bitcast(self.build.gep(pointer, [offset]), self.kind.as_pointer())

    def _call(self, name: str, result: Any, args: list[Any], suffix: str = "") -> Any:
        letter = "i" if self.kind == self.integers else "f"
        return call(self.build, f"llvm.{name}.v{self.lanes}{letter}{self.bits}{suffix}", result, *args)


class ByAddress:
    """A compiled loop for other compiled loops to call where it lies in memory, so that it isn't compiled into each.

    They call it as the loop itself, with `address` before all arguments.

    Args:
        loop: What is called.
        kinds: Gives the kinds of its arguments for that of the numbers.
    """

    def __init__(self, loop: Loop, kinds: Callable[[str], tuple[str, ...]]) -> None:
        self.loop, self.kinds = loop, kinds
        self.address = functools.cache(self._address)
        self.prepare = functools.cache(self._prepare)

    def __call__(self, *args: Any) -> None:
        """Only compiled loops call it so.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"{self.loop.function.__name__} is called by its address in compiled loops only")

    def _address(self, dtype: np.dtype) -> int:
        """Where it is, compiled for numbers of a type."""
        return self.loop.address(self.kinds(dtype.str[1:]))

    def _prepare(self) -> Any:
        """The function that calls it, for numba."""
        types = imported("numba.core.types")

        def function(context: Any, *given: Any) -> Any:
            kinds = [numba_type(kind) for kind in self.kinds(f"f{given[1].dtype.bitwidth // 8}")]

            def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
                kind = context.call_conv.get_function_type(types.none, kinds)
                place = builder.inttoptr(values[0], kind.as_pointer())
                context.call_conv.call_function(builder, place, types.none, kinds, values[1:])
                return context.get_dummy_value()

            return types.void(types.intp, *kinds), code

        names = ["context", "address", *inspect.signature(self.loop.function).parameters]
        parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return imported("numba.extending").intrinsic(function)
