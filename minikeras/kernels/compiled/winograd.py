"""Convolution with windows of 3 x 3 by Winograd's minimal filtering F(4 x 4, 3 x 3) (Lavin and Gray 2016).

Tiles of 4 x 4 results are made of 6 x 6 inputs by 36 products per pair of channels, where the definition takes 144:
``Y = A' ((G w G') * (B' d B)) A`` (' transposes). Sums over channels turn the products into 36 matrix products. The
gradient in the kernel is ``G' ((B' d B) * (A dY A')) G``, and that in the input a convolution with the reversed kernel.

Tiles are numbered through all images, and transformed a block at a time: (tile, one of 36, channel).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ...core.memory import aligned_empty
from ..geometry import Ints, Padding
from ..product import matmul
from ..winograd import GG
from .indirect import Job
from .jit import Loop, compiled, plain
from .plan import PIECES
from .product import aligned, fill, largest, multiply_at, tile_shapes
from .vectors import Vectors, inlined

BLOCK_BYTES = 3 << 18
"""What a block's transforms take: less than a core's second-level cache."""


class Way(NamedTuple):
    """How a convolution of stride 1 is computed; as `indirect.Way`.

    Attributes:
        padding: ((top, bottom), (left, right)); what is negative is cut off.
    """

    padding: Padding

    def arranged(self, w: np.ndarray) -> np.ndarray:
        """``G w G'`` of a kernel (3, 3, C, F): (36, C, F)."""
        out = aligned_empty((36, *w.shape[2:]), w.dtype)
        matmul(GG.astype(w.dtype), w.reshape(9, -1), out.reshape(36, -1))
        return out

    def room(self, sizes: Ints) -> Ints:
        """As `indirect.Way.room`."""
        return sizes

    def start(self, bias: np.ndarray) -> np.ndarray:
        """As `indirect.Way.start`."""
        return plain(bias)

    def writing(self, x: Ints, out: Ints, dtype: np.dtype, pieces: int = PIECES, times: int = 1) -> Job:
        """As `indirect.Way.writing`, with an arranged kernel."""
        return self._job(_convolve, x, out, dtype, pieces)

    def adding(self, x: Ints, g: Ints, dtype: np.dtype, pieces: int = PIECES) -> Job:
        """As `indirect.Way.adding`, for the arranged kernel."""
        return self._job(_kernel_gradient, x, g, dtype, pieces)

    def total_size(self, x: Ints, g: Ints, dtype: np.dtype) -> int:
        """How many numbers the total of `adding` has."""
        return 36 * x[-1] * g[-1]

    def kernel_gradient(self, total: np.ndarray, filters: int) -> np.ndarray:
        """``G' total G``: the gradient in the kernel, (9, C F)."""
        return matmul(GG.T.astype(total.dtype), total.reshape(36, -1))

    def _job(self, loop: Loop, x: Ints, out: Ints, dtype: np.dtype, pieces: int) -> Job:
        """A block's transforms are at least as large as the kernels, which each block reads."""
        (top, _), (left, _), sizes, filters = *self.padding, out[1:3], out[3]
        rows, columns = (-(-n // 4) for n in sizes)
        tiles, channels = x[0] * rows * columns, x[-1]
        limit = max(BLOCK_BYTES, 36 * channels * filters * dtype.itemsize)
        block = max(limit // (36 * (channels + filters) * dtype.itemsize), 1)
        block = min(block, -(-tiles // pieces))  # some for every thread
        layout = np.array([*x[1:], *sizes, filters, top, left, rows, columns, block], np.intp)
        return Job(loop, multiply_at.address(dtype), (layout, tile_shapes(dtype)), x[0], -(-tiles // block))


# ---------------------------------------------------------------------- transforms

Column = list[Any]
Transform = Callable[[Vectors, Column], Column]


def _input_six(vectors: Vectors, d: Column) -> Column:
    """B' times a column."""
    build, fused = vectors.build, vectors.fused
    even, odd = fused(-4.0, d[2], d[4]), fused(-4.0, d[1], d[3])
    wide, narrow = build.fsub(d[4], d[2]), build.fsub(d[3], d[1])
    first, last = fused(4.0, d[0], fused(-5.0, d[2], d[4])), fused(4.0, d[1], fused(-5.0, d[3], d[5]))
    second, third = build.fadd(even, odd), build.fsub(even, odd)
    return [first, second, third, fused(2.0, narrow, wide), fused(-2.0, narrow, wide), last]


def _gradient_six(vectors: Vectors, g: Column) -> Column:
    """A times a column."""
    build, fused = vectors.build, vectors.fused
    even, odd = build.fadd(g[0], g[2]), build.fadd(g[1], g[3])
    wide, narrow = fused(4.0, g[2], g[0]), fused(4.0, g[3], g[1])
    second, third = build.fadd(even, odd), build.fsub(even, odd)
    return [g[0], second, third, fused(2.0, narrow, wide), fused(-2.0, narrow, wide), g[3]]


def _output_four(vectors: Vectors, m: Column) -> Column:
    """A' times a column."""
    build, fused = vectors.build, vectors.fused
    sum1, sum2 = build.fadd(m[1], m[2]), build.fadd(m[3], m[4])
    difference1, difference2 = build.fsub(m[1], m[2]), build.fsub(m[3], m[4])
    first, second = build.fadd(build.fadd(m[0], sum1), sum2), fused(2.0, difference2, difference1)
    return [first, second, fused(4.0, sum2, sum1), fused(8.0, difference2, build.fadd(difference1, m[5]))]


def _both_sides(transform: Transform, vectors: Vectors, columns: Iterable[Column]) -> Iterator[Column]:
    """Transform columns, and then the rows of the result: rows, one after the other for the registers' sake."""
    halves = [transform(vectors, column) for column in columns]
    return (transform(vectors, list(row)) for row in zip(*halves, strict=True))


def _write_six(
    transform: Transform, size: int, vectors: Vectors, source: Any, line: Any, pixel: Any, target: Any, pitch: Any,
    left: Any
) -> None:  # fmt: skip
    """Write the code that makes 6 x 6 vectors `pitch` apart of `size` x `size` pixels."""
    build, mask = vectors.build, vectors.mask(left)

    def at(i: int, j: int) -> Any:
        return build.add(build.mul(line, vectors.integer(i)), build.mul(pixel, vectors.integer(j)))

    columns = ([vectors.load(source, at(i, j), mask) for i in range(size)] for j in range(size))
    for i, row in enumerate(_both_sides(transform, vectors, columns)):
        for j, value in enumerate(row):
            vectors.store(value, target, build.mul(pitch, vectors.integer(6 * i + j)), mask)


@inlined
def _input_tile(  # type: ignore[no-untyped-def]
    vectors, x, x_at, frame, is_framed, line, pixel, out, out_at, pitch, left
):  # fmt: skip
    """``B' d B`` of 6 x 6 pixels, for a vector of channels, of which there are `left`."""
    source = vectors.build.gep(vectors.build.select(is_framed, frame, x), [x_at])
    target = vectors.build.gep(out, [out_at])
    _write_six(_input_six, 6, vectors, source, line, pixel, target, pitch, left)


@inlined
def _gradient_tile(  # type: ignore[no-untyped-def]
    vectors, g, g_at, frame, is_framed, line, pixel, out, out_at, pitch, left
):  # fmt: skip
    """``A g A'`` of 4 x 4 pixels."""
    source = vectors.build.gep(vectors.build.select(is_framed, frame, g), [g_at])
    target = vectors.build.gep(out, [out_at])
    _write_six(_gradient_six, 4, vectors, source, line, pixel, target, pitch, left)


@inlined
def _output_tile(  # type: ignore[no-untyped-def]
    vectors, products, at, pitch, start, start_at, out, out_at, line, pixel, rows, columns, left, floor
):  # fmt: skip
    """``A' products A`` plus `start`, not below `floor`: as many rows and columns of pixels as there are."""
    build, mask, least = vectors.build, vectors.mask(left), vectors.splat(floor)
    source, target = build.gep(products, [at]), build.gep(out, [out_at])
    bias = vectors.load(build.gep(start, [start_at]), 0, mask)
    parts = (
        [vectors.load(source, build.mul(pitch, vectors.integer(6 * i + j)), mask) for i in range(6)] for j in range(6)
    )
    for i, row in enumerate(_both_sides(_output_four, vectors, parts)):
        values = [vectors.at_least(build.fadd(value, bias), least) for value in row]
        with build.if_then(build.icmp_signed("<", vectors.integer(i), rows)):
            for j, value in enumerate(values):
                with build.if_then(build.icmp_signed("<", vectors.integer(j), columns)):
                    place = build.add(build.mul(line, vectors.integer(i)), build.mul(pixel, vectors.integer(j)))
                    vectors.store(value, target, place, mask)


# ---------------------------------------------------------------------- loops


# These take all tiles of a block, and no array gets another name for one of them: to count who uses it costs as much.


@compiled
def _transform_inputs(x, first, count, layout, lengths, before, frame, buffer, lanes, out):  # type: ignore[no-untyped-def]
    """Write the transforms of `count` tiles of the input to `out`."""
    height, width, channels, _, _, _, top, left, rows, columns, _ = layout
    for t in range(count):
        tile = first + t
        image, i, j = tile // (rows * columns), tile // columns % rows * 4 - top, tile % columns * 4 - left
        at, line = ((image * height + i) * width + j) * channels, width * channels
        is_framed = i < 0 or j < 0 or i + 6 > height or j + 6 > width
        if is_framed:
            before[2] = -j
            fill(x, image, i, lengths, before, frame, channels, buffer, 0)
            at, line = 0, 6 * channels
        for c in range(0, channels, lanes):
            _input_tile(x, at + c, buffer, is_framed, line, channels, out, t * 36 * channels + c, channels,
                        channels - c)  # fmt: skip


@compiled
def _transform_gradients(g, first, count, layout, lengths, before, frame, buffer, lanes, out):  # type: ignore[no-untyped-def]
    """Write the transforms of `count` tiles of the cotangent to `out`."""
    _, _, _, height, width, filters, _, _, rows, columns, _ = layout
    for t in range(count):
        tile = first + t
        image, i, j = tile // (rows * columns), tile // columns % rows * 4, tile % columns * 4
        at, line = ((image * height + i) * width + j) * filters, width * filters
        is_framed = i + 4 > height or j + 4 > width
        if is_framed:
            before[2] = -j
            fill(g, image, i, lengths, before, frame, filters, buffer, 0)
            at, line = 0, 4 * filters
        for f in range(0, filters, lanes):
            _gradient_tile(g, at + f, buffer, is_framed, line, filters, out, t * 36 * filters + f, filters,
                           filters - f)  # fmt: skip


@compiled
def _convolve(address, x, kernels, start, out, layout, shapes, floor, images, first, last):  # type: ignore[no-untyped-def]
    """Write the tiles of blocks `first` to `last`, or to the end."""
    height, width, channels, out_height, out_width, filters, _, _, rows, columns, block = layout
    tiles = images * rows * columns
    lengths, before, frame = np.array([height, 1, width]), np.zeros(3, np.intp), np.array([6, 1, 6])
    buffer, spare = aligned(36 * channels, x), np.empty((2, largest(shapes)), np.intp)
    data, products = aligned(block * 36 * channels, x), aligned(block * 36 * filters, x)
    row, out_row, col = np.arange(block) * 36 * channels, np.arange(block) * 36 * filters, np.arange(channels)
    nothing, minus_infinity, lanes = np.zeros(filters, x.dtype), -x.dtype.type(np.inf), shapes[0]
    for begin in range(first * block, min(last, (tiles + block - 1) // block) * block, block):
        count = min(block, tiles - begin)
        _transform_inputs(x, begin, count, layout, lengths, before, frame, buffer, lanes, data)
        for p in range(36):
            multiply_at(address, data, p * channels, row, out_row, 0, count, col, 0, channels, kernels, filters,
                     p * channels * filters, nothing, 0, products, p * filters, filters, False, minus_infinity,
                     False, shapes, spare
            )  # fmt: skip
        for t in range(count):
            tile = begin + t
            image, i, j = tile // (rows * columns), tile // columns % rows * 4, tile % columns * 4
            to = ((image * out_height + i) * out_width + j) * filters
            for f in range(0, filters, lanes):
                _output_tile(products, t * 36 * filters + f, filters, start, f, out, to + f, out_width * filters,
                             filters, out_height - i, out_width - j, filters - f, floor)  # fmt: skip


@compiled
def _kernel_gradient(address, x, g, total, layout, shapes, images, first, last):  # type: ignore[no-untyped-def]
    """Add the transformed gradient (36, channels, filters) that the tiles of blocks `first` to `last` give."""
    height, width, channels, out_height, out_width, filters, _, _, rows, columns, block = layout
    tiles = images * rows * columns
    lengths, before, frame = np.array([height, 1, width]), np.zeros(3, np.intp), np.array([6, 1, 6])
    out_lengths, out_frame = np.array([out_height, 1, out_width]), np.array([4, 1, 4])
    buffer, spare = aligned(36 * max(channels, filters), x), np.empty((2, largest(shapes)), np.intp)
    data, cotangent = aligned(block * 36 * channels, x), aligned(block * 36 * filters, x)
    row, out_row, col = np.arange(channels), np.arange(channels) * filters, np.arange(block) * 36 * channels
    minus_infinity, lanes = -x.dtype.type(np.inf), shapes[0]
    for begin in range(first * block, min(last, (tiles + block - 1) // block) * block, block):
        count = min(block, tiles - begin)
        _transform_inputs(x, begin, count, layout, lengths, before, frame, buffer, lanes, data)
        _transform_gradients(g, begin, count, layout, out_lengths, before, out_frame, buffer, lanes, cotangent)
        for p in range(36):
            multiply_at(address, data, p * channels, row, out_row, 0, channels, col, 0, count, cotangent, 36 * filters,
                     p * filters, total, 0, total, p * channels * filters, filters, True, minus_infinity, False, shapes,
                     spare
            )  # fmt: skip
