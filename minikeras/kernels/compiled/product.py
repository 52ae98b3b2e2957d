"""The one product that all convolutions are, with the addresses of its left factor in tables.

``out[i, f] = sum over k of x[row[i] + col[k]] * b[k, f]`` is a convolution when `row` holds where each window begins,
and `col` how far its elements are from there (the indirect convolution of Dukhan 2019): strides, dilation and axes are
all in the tables, and nothing is copied into columns. Exchange the tables, and it is the gradient in the kernel.
*Channelwise*, ``out[i, f] = sum over k of x[row[i] + col[k] + f] * b[k, f]``, it is a depthwise convolution.

A tile of the result, some rows by some vectors, stays in registers while k runs. numba doesn't promise that for arrays,
so a tile is written in LLVM's own language; it is all that is.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .jit import compiled, imported

CHANNEL_VECTORS = 2
"""The widest tile of channelwise products."""
DEPTH = 512
"""Rows of the kernels that a block is multiplied with before the next: as many as the second-level cache holds."""
CHUNK = 128
"""Positions that all rows of a kernel's gradient go through before the next, which the first-level cache holds."""


# ---------------------------------------------------------------------- a tile


@functools.cache
def registers() -> tuple[int, tuple[int, ...]]:
    """Bytes in a vector register, and how many rows a tile of 1, 2, … vectors has: what registers there are hold it."""
    features = imported("llvmlite.binding").get_host_cpu_features()
    if features.get("avx512f"):
        return 64, (12, 10, 8, 7)
    if features.get("avx"):
        return 32, (10, 6)
    return 16, (10, 6)


class Tile:
    """One tile of the product, as a function that compiled loops call with the arguments of `tile` below."""

    @functools.cache  # noqa: B019 (there is one of them, for good)
    def prepare(self) -> Any:
        """The function, for numba."""
        types = imported("numba.core.types")

        def tile(  # type: ignore[no-untyped-def]
            context, x, x_at, row, out_row, row_at, col, k_first, k_last, b, b_pitch, b_at, start, start_at, out,
            out_at, filters, accumulates, floor, channelwise
        ):  # fmt: skip
            """Let numba know the types, and how the code is made.

            Args:
                x, b, start, out: flat arrays; `x_at`, `b_at`, `start_at`, `out_at` are where in them all begins.
                row, out_row: where each row begins in `x` and `out`; the tile's rows are those from `row_at` on.
                col: where each k is in `x`; they run from `k_first` to `k_last`.
                b_pitch: from one row of `b` to the next.
                filters: columns of the tile, of which the last vector may be filled in part.
                accumulates: whether to add to `out`, or else to `start`.
                floor: least value of the results, minus infinity for none. NaN stays.
                channelwise: which of the two products it is.
            """
            index = types.intp
            arguments = (x, index, row, row, index, row, index, index, b, index, index, b, index, x, index, index)
            signature = types.void(*arguments, types.boolean, x.dtype, types.boolean)

            def code(context, builder, signature, args):  # type: ignore[no-untyped-def]
                _Writer(context, builder, signature, args).write()
                return context.get_dummy_value()

            return signature, code

        return imported("numba.extending").intrinsic(tile)


class _Writer:
    """Writes the code of `Tile`."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        self.ir, self.builder = imported("llvmlite.ir"), builder
        make_array, types = imported("numba.np.arrayobj").make_array, imported("numba.core.types")
        self.args = [
            make_array(kind)(context, builder, arg).data if isinstance(kind, types.Array) else arg
            for kind, arg in zip(signature.args, args, strict=True)
        ]
        self.bits = signature.args[0].dtype.bitwidth
        self.lanes = registers()[0] * 8 // self.bits
        self.vector = self.ir.VectorType(context.get_value_type(signature.args[0].dtype), self.lanes)
        self.zeros = self.ir.Constant(self.vector, [0.0] * self.lanes)

    def write(self) -> None:
        """All kinds of tiles, and the choice between them."""
        *args, channelwise = self.args
        filters = args[-3]
        with self.builder.if_else(channelwise) as branches:
            for branch, is_channelwise in zip(branches, (True, False), strict=True):
                widest = CHANNEL_VECTORS if is_channelwise else len(registers()[1])
                with branch:
                    for vectors in range(1, widest + 1):
                        is_wide = self.builder.icmp_signed(">", filters, self._int(self.lanes * (vectors - 1)))
                        fits = self.builder.icmp_signed("<=", filters, self._int(self.lanes * vectors))
                        with self.builder.if_then(self.builder.and_(is_wide, fits)):
                            self._write(args, registers()[1][vectors - 1], vectors, is_channelwise)

    def _write(self, args: list[Any], rows: int, vectors: int, channelwise: bool) -> None:
        (x, x_at, row, out_row, row_at, col, k_first, k_last, b, b_pitch, b_at, start, start_at, out, out_at, filters,
         accumulates, floor) = args  # fmt: skip
        build, function = self.builder, self.builder.function
        self.vectors = vectors
        self.mask = self._mask(filters)
        x, start, out, row, out_row = (
            build.gep(pointer, [at])
            for pointer, at in ((x, x_at), (start, start_at), (out, out_at), (row, row_at), (out_row, row_at))
        )
        sources = [build.gep(x, [build.load(build.gep(row, [self._int(i)]))]) for i in range(rows)]
        targets = [build.gep(out, [build.load(build.gep(out_row, [self._int(i)]))]) for i in range(rows)]
        adding, new, first, loop, end = (function.append_basic_block() for _ in range(5))
        build.cbranch(accumulates, adding, new)

        build.position_at_end(adding)
        present = [self._load(target, v) for target in targets for v in range(vectors)]
        build.branch(first)
        build.position_at_end(new)
        begun = [self._load(start, v) for v in range(vectors)] * rows
        build.branch(first)
        build.position_at_end(first)
        initial = [self._phi(self.vector, {adding: p, new: s}) for p, s in zip(present, begun, strict=True)]
        b_first = build.gep(b, [b_at])
        build.cbranch(build.icmp_signed("<", k_first, k_last), loop, end)

        build.position_at_end(loop)
        k, b_row = self._phi(k_first.type, {first: k_first}), self._phi(b_first.type, {first: b_first})
        sums = [self._phi(self.vector, {first: value}) for value in initial]
        at = build.load(build.gep(col, [k]))
        factors = [self._load(b_row, v) for v in range(vectors)]
        new_sums = []
        for i, source in enumerate(sources):
            pointer = build.gep(source, [at])
            broadcast = None if channelwise else self._splat(build.load(pointer))
            for v in range(vectors):
                factor = broadcast or self._load(pointer, v)
                new_sums.append(self._fused(factor, factors[v], sums[i * vectors + v]))
        k_next, b_next = build.add(k, self._int(1)), build.gep(b_row, [b_pitch])
        for phi, value in zip([k, b_row, *sums], [k_next, b_next, *new_sums], strict=True):
            phi.add_incoming(value, loop)
        build.cbranch(build.icmp_signed("<", k_next, k_last), loop, end)

        build.position_at_end(end)
        results = [self._phi(self.vector, {first: i, loop: n}) for i, n in zip(initial, new_sums, strict=True)]
        least = self._splat(floor)
        for i, result in enumerate(results):
            above = build.select(build.fcmp_ordered(">", least, result), least, result)
            self._store(above, targets[i // vectors], i % vectors)

    def _int(self, value: int) -> Any:
        return self.ir.IntType(64)(value)

    def _phi(self, kind: Any, incoming: dict[Any, Any]) -> Any:
        phi = self.builder.phi(kind)
        for block, value in incoming.items():
            phi.add_incoming(value, block)
        return phi

    def _splat(self, value: Any) -> Any:
        kind, int32 = self.ir.VectorType(value.type, self.lanes), self.ir.IntType(32)
        undefined = self.ir.Constant(kind, self.ir.Undefined)
        single = self.builder.insert_element(undefined, value, int32(0))
        zeros = self.ir.Constant(self.ir.VectorType(int32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(single, undefined, zeros)

    def _mask(self, filters: Any) -> Any:
        """Which lanes of the last vector there are."""
        left = self.builder.sub(filters, self._int(self.lanes * (self.vectors - 1)))
        lanes = self.ir.Constant(self.ir.VectorType(self.ir.IntType(64), self.lanes), list(range(self.lanes)))
        return self.builder.icmp_signed("<", lanes, self._splat(left))

    def _load(self, pointer: Any, v: int) -> Any:
        place = self._place(pointer, v)
        if v < self.vectors - 1:
            value = self.builder.load(place)
            value.align = self.bits // 8
            return value
        return self._call("masked.load", self.vector, [place, self._align(), self.mask, self.zeros], ".p0")

    def _store(self, value: Any, pointer: Any, v: int) -> None:
        place = self._place(pointer, v)
        if v < self.vectors - 1:
            self.builder.store(value, place).align = self.bits // 8
        else:
            self._call("masked.store", self.ir.VoidType(), [value, place, self._align(), self.mask], ".p0")

    def _fused(self, a: Any, b: Any, c: Any) -> Any:
        return self._call("fmuladd", self.vector, [a, b, c])

    def _align(self) -> Any:
        return self.ir.IntType(32)(self.bits // 8)

    def _place(self, pointer: Any, v: int) -> Any:
        return self.builder.bitcast(self.builder.gep(pointer, [self._int(v * self.lanes)]), self.vector.as_pointer())

    def _call(self, name: str, result: Any, args: list[Any], suffix: str = "") -> Any:
        kind = self.ir.FunctionType(result, [arg.type for arg in args])
        name = f"llvm.{name}.v{self.lanes}f{self.bits}{suffix}"
        function = self.builder.module.globals.get(name) or self.ir.Function(self.builder.module, kind, name)
        return self.builder.call(function, args)


_tile: Any = Tile()


# ---------------------------------------------------------------------- loops


@compiled
def _product(  # type: ignore[no-untyped-def]
    x, x_at, row, out_row, first, last, col, k_first, k_last, b, b_pitch, b_at, start, start_at, out, out_at, filters,
    accumulates, floor, channelwise, tiles, spare
):  # fmt: skip
    """The product for rows `first` to `last`, tile by tile; `spare` (2, rows of a tile) is scratch memory."""
    lanes, widest = tiles[0], CHANNEL_VECTORS if channelwise else tiles.size - 1
    for f in range(0, filters, widest * lanes):
        width = min(filters - f, widest * lanes)
        step = tiles[(width + lanes - 1) // lanes]
        begin = x_at + f if channelwise else x_at
        for i in range(first, last, step):
            rows, out_rows, at = row, out_row, i
            if i + step > last:  # the last row again and again: what is written twice is the same
                rows, out_rows, at = spare[0], spare[1], 0
                for j in range(step):
                    rows[j], out_rows[j] = row[min(i + j, last - 1)], out_row[min(i + j, last - 1)]
            _tile(x, begin, rows, out_rows, at, col, k_first, k_last, b, b_pitch, b_at + f, start, start_at + f, out,
                  out_at + f, width, accumulates, floor, channelwise
            )  # fmt: skip


@compiled
def _copy(source, p, target, q, count):  # type: ignore[no-untyped-def]
    for e in range(np.uintp(count)):  # an index without sign spares the question whether it counts from the end
        target[np.uintp(q) + e] = source[np.uintp(p) + e]


@compiled
def _clear(target, q, count):  # type: ignore[no-untyped-def]
    for e in range(np.uintp(count)):
        target[np.uintp(q) + e] = 0


@compiled
def _fill(x, image, first, lengths, before, frame, channels, target, to):  # type: ignore[no-untyped-def]
    """Write a frame, some of an image's pixels with zeros around them, to `target` from `to` on.

    The frame begins `first` rows into the padded image, and is as large as the three numbers in `frame` say.
    """
    plane, line = frame[1] * frame[2] * channels, frame[2] * channels
    x_line = lengths[2] * channels
    x_plane = lengths[1] * x_line
    begin = image * lengths[0] * x_plane
    low = min(max(before[0] - first, 0), frame[0])
    high = max(min(lengths[0] + before[0] - first, frame[0]), low)
    _clear(target, to, low * plane)
    _clear(target, to + high * plane, (frame[0] - high) * plane)
    if plane == x_plane and before[1] == 0 and before[2] == 0 and frame[1] == lengths[1]:
        _copy(x, begin + (first + low - before[0]) * plane, target, to + low * plane, (high - low) * plane)
        return
    left = min(max(before[2], 0), frame[2])
    right = max(min(lengths[2] + before[2], frame[2]), left)
    for i in range(low, high):
        for j in range(frame[1]):
            q, row = to + i * plane + j * line, j - before[1]
            if row < 0 or row >= lengths[1]:
                _clear(target, q, line)
                continue
            p = begin + (first + i - before[0]) * x_plane + row * x_line + (left - before[2]) * channels
            _clear(target, q, left * channels)
            _copy(x, p, target, q + left * channels, (right - left) * channels)
            _clear(target, q + right * channels, line - right * channels)


@compiled
def convolve(  # type: ignore[no-untyped-def]
    x, b, start, out, row, out_row, col, parts, layout, lengths, before, frame, tiles, floor, first, last
):  # fmt: skip
    """Write blocks `first` to `last` of a convolution, or of several that together fill `out`.

    Args:
        x, b, start, out: flat arrays: input (N, *lengths, C), kernels (k, F), bias (F,), and the results.
        row, out_row, col: the tables, of all parts one behind the other.
        parts: (convolutions, 6): the first row in the tables; rows of positions in an image and positions in each;
            first and last k; where it begins in an image of `out`.
        layout: see `Layout`.
        lengths, before, frame: of three axes each: the input's, what is put in front (if negative, cut off), the
            frame's.
        tiles: lanes of a vector, and rows of a tile of 1, 2, … vectors.
        floor: least value of the results.
    """
    images, group, rows, stride, step, out_step, out_image, channels, groups, filters, framed, channelwise = layout
    minus_infinity = -x.dtype.type(np.inf)
    slabs = (np.max(parts[:, 1]) + rows - 1) // rows
    depth, width = channels // groups, filters // groups
    size = frame[0] * frame[1] * frame[2] * channels
    pixels = lengths[0] * lengths[1] * lengths[2] * channels
    buffer, spare = np.empty(group * size if framed else 0, x.dtype), np.empty((2, np.max(tiles)), row.dtype)
    for block in range(first, last):
        image, begin = block // slabs * group, block % slabs * rows
        count = min(group, images - image)
        source, at = x, image * pixels + begin * step
        if framed:
            for i in range(count):
                _fill(x, image + i, begin * stride, lengths, before, frame, channels, buffer, i * size)
            source, at = buffer, 0
        for p in range(parts.shape[0]):
            first_row, height, positions, first_k, last_k, to = parts[p]
            last_row = first_row + min(rows, height - begin) * positions * count
            to += image * out_image + begin * out_step
            for k in range(first_k, max(last_k, first_k + 1), DEPTH):
                is_last = k + DEPTH >= last_k
                for j in range(1 if channelwise else groups):
                    _product(source, at + j * depth, row, out_row, first_row, last_row, col, k, min(k + DEPTH, last_k),
                             b, filters, k * filters + j * width, start, j * width, out, to + j * width,
                             filters if channelwise else width, k > first_k, floor if is_last else minus_infinity,
                             channelwise, tiles, spare
                    )  # fmt: skip


@compiled
def kernel_gradient(  # type: ignore[no-untyped-def]
    x, g, out, row, out_row, col, parts, layout, lengths, before, frame, tiles, first, last
):  # fmt: skip
    """Add what blocks `first` to `last` give to the gradient in the kernels, `out` (k, F).

    Arguments as those of `convolve`, the tables exchanged: `row` is an element of the windows, and `col` a position.
    """
    images, group, rows, stride, step, _, _, channels, groups, filters, framed, channelwise = layout
    height, positions = parts[0, 1], parts[0, 2]
    slabs = (height + rows - 1) // rows
    depth, width = channels // groups, filters // groups
    size = frame[0] * frame[1] * frame[2] * channels
    pixels = lengths[0] * lengths[1] * lengths[2] * channels
    buffer, spare = np.empty(group * size if framed else 0, x.dtype), np.empty((2, np.max(tiles)), row.dtype)
    floor = -x.dtype.type(np.inf)
    for block in range(first, last):
        image, begin = block // slabs * group, block % slabs * rows
        count = min(group, images - image)
        source, at = x, image * pixels + begin * step
        if framed:
            for i in range(count):
                _fill(x, image + i, begin * stride, lengths, before, frame, channels, buffer, i * size)
            source, at = buffer, 0
        g_at, total = (image * height + begin) * positions * filters, min(rows, height - begin) * positions * count
        for chunk in range(0, total, CHUNK):
            for j in range(1 if channelwise else groups):
                _product(source, at + j * depth, row, out_row, 0, row.size, col, chunk, min(chunk + CHUNK, total), g,
                         filters, g_at + chunk * filters + j * width, g, 0, out, j * width,
                         filters if channelwise else width, True, floor, channelwise, tiles, spare
                )  # fmt: skip
