"""Products of few rows or few columns, as dense layers make them of a batch: the large factor stays where it is.

BLAS first copies both factors into an order of its own (Goto and van de Geijn 2008), which pays where many rows meet
many columns. Here tiles of the result read the large factor itself, some of its rows that the second-level cache
holds after the others. A transposed one is taken as the left factor of the transposed product, whose tiles are turned
while they are in cache.
"""

from __future__ import annotations

import numpy as np

from ...core.memory import aligned_empty
from .. import product
from ..blocks import BLOCK_BYTES
from .jit import compiled, is_covered, plain
from .packing import FIRST, LAST, Own
from .product import DEPTH, aligned, multiply_at, tile_shapes
from .sharing import parts_of, run

FEW = 64
"""Rows or columns up to which copying the large factor costs more than it saves, measured beside OpenBLAS."""
UNCOPIED = 1 << 20
"""Products up to which BLAS copies nothing either: OpenBLAS's limit is 100 cubed."""
LEAST_DEPTH = 128
"""Products that each result should be the sum of: BLAS begins and ends a tile sooner."""
LEAST_BLOCK = 128
"""Rows of the right factor that the cache should hold."""
CHUNK = 64
"""Rows of a large left factor that go through all columns before the next."""


def matmul(x: np.ndarray, y: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """As `minikeras.kernels.matmul`."""
    if x.ndim == y.ndim == 2 and x.size * y.shape[1] > UNCOPIED and out is None and is_covered(x, y):
        (rows, depth), columns = x.shape, y.shape[1]
        if rows == 1 < depth and y.flags.carray:
            return _row_product(x, y)
        if depth >= LEAST_DEPTH and min(rows, columns) > 1:  # BLAS has a way of its own with a single column
            if rows <= FEW and y.flags.farray:
                return _product(y.T, x.T, True)
            if (rows <= FEW and y.flags.carray and _deep(y) >= LEAST_BLOCK) or (columns <= FEW and x.flags.carray):
                return _product(x, y, False)
    return product.matmul(x, y, out)


def _row_product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``x @ y`` of one row, which takes as long as `y` takes to be read: each thread reads some rows of it."""
    parts = parts_of(len(y), y.size)
    if parts == 1:
        return product.matmul(x, y)
    totals = np.zeros((parts, y.shape[1]), x.dtype)
    run([(add_rows, (plain(x).reshape(-1), y.reshape(-1), Own(totals), FIRST, LAST))], len(y), parts)
    return totals.sum(axis=0, keepdims=True)


def _deep(y: np.ndarray) -> int:
    """Rows that are multiplied before the next."""
    return min(DEPTH, BLOCK_BYTES // (y.shape[1] * y.itemsize))


def _product(x: np.ndarray, y: np.ndarray, is_turned: bool) -> np.ndarray:
    """``x @ y``, or its transpose."""
    x, y = plain(x), plain(y)
    rows, columns = len(x), y.shape[1]
    out = aligned_empty((columns, rows) if is_turned else (rows, columns), x.dtype)
    tiles = tile_shapes(x.dtype)
    lanes, *heights = tiles.tolist()
    by_columns = columns > rows
    if by_columns:  # tiles of which the fewest rows are left over, and of these the widest
        vectors = max(range(2, len(heights) + 1), key=lambda count: (-(-rows % heights[count - 1]), count))
        chunk, length = rows, -(-columns // (vectors * lanes))
    else:
        vectors = min(-(-columns // lanes), len(heights))
        chunk, length = CHUNK // heights[vectors - 1] * heights[vectors - 1], rows
    arrays = (x.reshape(-1), y.reshape(-1), out.reshape(-1))
    sizes = (columns, vectors * lanes, _deep(y), chunk)
    args = (multiply_at.address(x.dtype), *arrays, *sizes, is_turned, by_columns, max(heights), tiles, FIRST, LAST)
    run([(multiply_few, args)], length, parts_of(length, x.size * columns // 16))
    return out


# ---------------------------------------------------------------------- compiled


@compiled
def multiply_few(  # type: ignore[no-untyped-def]
    address, x, y, out, columns, width, deep, chunk, is_turned, by_columns, highest, tiles, first, last
):  # fmt: skip
    """Write rows `first` to `last` of ``x @ y``, or as many times `width` columns, of all flat arrays.

    Args:
        address: where `multiply` is.
        x, y, out: factors and result, which is the transposed one if `is_turned`.
        columns: of `y`.
        width, deep: columns and rows of `y` that are multiplied before the next.
        chunk: rows of `x` that are.
        is_turned, by_columns: what is written.
        highest: rows of the highest tile.
        tiles: lanes of a vector, and rows of a tile of 1, 2, … vectors.
    """
    depth, floor = y.size // columns, -x.dtype.type(np.inf)
    rows = x.size // depth
    top, bottom, left, right = first, last, 0, columns
    if by_columns:
        top, bottom, left, right = 0, rows, first * width, min(last * width, columns)
    spare, tables = np.empty((2, highest), np.intp), np.empty((3, max(depth, chunk)), np.intp)
    row, part_row, col = tables[0], tables[1], tables[2]
    zeros, part = aligned(width, x), aligned(chunk * width, x)
    for e in range(width):
        zeros[e] = 0
    for k in range(depth):
        col[k] = k
    for begin in range(top, bottom, chunk):
        count = min(chunk, bottom - begin)
        for i in range(count):
            row[i], part_row[i] = (begin + i) * depth, i * width
        for k in range(0, depth, deep):
            for f in range(left, right, width):
                here = min(width, right - f)
                multiply_at(address, x, 0, row, part_row, 0, count, col, k, min(k + deep, depth), y, columns,
                            k * columns + f, zeros, 0, part, 0, here, False, floor, False, tiles, spare
                )  # fmt: skip
                lines, to, line = (count, here, width, 1), begin * columns + f, columns
                if is_turned:
                    lines, to, line = (here, count, 1, width), f * rows + begin, rows
                _add(part, lines, out, to, line, k > 0)


@compiled
def add_rows(x, y, total, first, last):  # type: ignore[no-untyped-def]
    """Add rows `first` to `last` of flat `y`, each times its element of `x`, to `total`; eight rows at a time."""
    one = np.uintp(total.size)
    two, three, four = one + one, one + one + one, one + one + one + one
    for k in range(first, last - 7, 8):
        a, b, c, d, e, f, g, h = x[k], x[k + 1], x[k + 2], x[k + 3], x[k + 4], x[k + 5], x[k + 6], x[k + 7]
        p = np.uintp(k) * one
        for i in range(one):
            q = p + i
            r = q + four
            value = a * y[q] + b * y[q + one] + c * y[q + two] + d * y[q + three]
            total[i] += value + (e * y[r] + f * y[r + one] + g * y[r + two] + h * y[r + three])
    for k in range(last - (last - first) % 8, last):
        p = np.uintp(k) * one
        for i in range(one):
            total[i] += x[k] * y[p + i]


@compiled
def _add(part, lines, out, to, line, accumulates):  # type: ignore[no-untyped-def]
    """Write a part of the result, or add it to what is there: `lines`, their length, and both distances in `part`."""
    number, length, pitch, step = lines
    for i in range(number):
        p, q = np.uintp(i * pitch), np.uintp(to + i * line)
        for e in range(np.uintp(length)):
            value = part[p + e * np.uintp(step)]
            out[q + e] = value + out[q + e] if accumulates else value
