"""Convolution with windows of 3 x 3 by Winograd's minimal filtering F(4 x 4, 3 x 3) (Lavin and Gray 2016).

Tiles of 4 x 4 results are made of 6 x 6 inputs by 36 products per pair of channels, where the definition takes 144:
``Y = A' ((G w G') * (B' d B)) A`` (' transposes). Sums over channels turn the products into 36 GEMMs. The gradient in
the kernel is ``G' ((B' d B) * (A dY A')) G``, and that in the input a convolution with the reversed kernel.
Tiles come in rows: tile row ``image * tile_rows + i`` holds rows 4 i to 4 i + 3 of an image's results.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...core.threads import spread
from ..blocks import BLOCK_BYTES
from ..epilogue import add_bias_and_activate
from ..geometry import Ints, Padding
from .jit import compiled, plain

_G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_GG = np.kron(_G, _G)  # G from both sides, for windows and transforms in a row
_TWO, _FOUR, _FIVE, _EIGHT = (np.float32(factor) for factor in (2, 4, 5, 8))  # which leave float32 what it is
MOST_CHANNELS = 640
_ROW = 4112
"""Elements in a row of scratch memory: at least six pixels of `MOST_CHANNELS`."""
_ROW_1, _ROW_2, _ROW_3, _ROW_4, _ROW_5, _ROW_6, _ROW_8, _ROW_10 = (
    np.uintp(rows * _ROW) for rows in (1, 2, 3, 4, 5, 6, 8, 10)
)


def convolve(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None,
    *,
    sizes: Ints,
    padding: Padding,
    activation: str | None,
) -> np.ndarray:
    """Convolution of stride 1.

    Args:
        x: ndarray (N, H, W, C).
        w: ndarray (3, 3, C, F).
        bias: ndarray (F,) or None.
        sizes: (rows, columns) of the result.
        padding: ((top, bottom), (left, right)); what is negative is cut off.
        activation: {None, "relu", "tanh", "sigmoid"}.

    Returns:
        ndarray (N, *sizes, F)
    """
    channels, filters = w.shape[-2:]
    out = np.empty((len(x), *sizes, filters), x.dtype)
    kernels = (_GG.astype(x.dtype) @ w.reshape(9, -1)).reshape(36, channels, filters)
    x, (top, _), (left, _) = plain(x), *padding
    row_bias = np.zeros(sizes[1] * filters, x.dtype) if bias is None else np.tile(bias, sizes[1])
    tile_rows, tiles = _tiles(sizes)
    is_relu = activation == "relu"

    def work(rows: slice) -> None:
        for block in _blocks(rows, tiles, (channels, filters), x.itemsize):
            data, products = _buffers(block, tiles, (channels, filters), x.dtype)
            _input_tiles(x, data, block.start, tile_rows, tiles, top, left)
            np.matmul(data, kernels, out=products)
            _output_tiles(products, out, row_bias, is_relu, block.start, tile_rows, tiles)
            if activation is not None and not is_relu:
                first, last = (_first_row(row, tile_rows, sizes[0]) for row in (block.start, block.stop))
                add_bias_and_activate(out.reshape(-1, *out.shape[2:])[first:last], None, activation)

    spread(work, len(x) * tile_rows, out.size * channels)
    return out


def kernel_grad(x: np.ndarray, g: np.ndarray, padding: Padding) -> np.ndarray:
    """Gradient of `convolve` in w.

    Args:
        x: ndarray (N, H, W, C).
        g: ndarray (N, rows, columns, F).
        padding: that of the convolution.

    Returns:
        ndarray (3, 3, C, F)
    """
    channels, filters = x.shape[-1], g.shape[-1]
    x, g, (top, _), (left, _) = plain(x), plain(g), *padding
    tile_rows, tiles = _tiles(g.shape[1:-1])

    def work(rows: slice) -> np.ndarray:
        total = np.zeros((36, channels, filters), x.dtype)
        for block in _blocks(rows, tiles, (channels, filters), x.itemsize):
            data, cotangent = _buffers(block, tiles, (channels, filters), x.dtype)
            _input_tiles(x, data, block.start, tile_rows, tiles, top, left)
            _gradient_tiles(g, cotangent, block.start, tile_rows, tiles)
            total += np.matmul(data.swapaxes(1, 2), cotangent)
        return total

    parts = spread(work, len(x) * tile_rows, g.size * channels)
    total = sum(parts[1:], start=parts[0]).reshape(36, -1)
    return (_GG.T.astype(x.dtype) @ total).reshape(3, 3, channels, filters)


def _tiles(sizes: Ints) -> Ints:
    return -(-sizes[0] // 4), -(-sizes[1] // 4)


def _first_row(tile_row: int, tile_rows: int, height: int) -> int:
    image, i = divmod(tile_row, tile_rows)
    return image * height + 4 * i


def _blocks(rows: slice, tiles: int, channels: Ints, itemsize: int) -> Iterator[slice]:
    """Tile rows whose transforms stay in cache, together at least as large as the kernels that each block reads."""
    limit = max(BLOCK_BYTES, 36 * channels[0] * channels[1] * itemsize)
    step = max(limit // (36 * tiles * sum(channels) * itemsize), 1)
    step = -(-(rows.stop - rows.start) // max(-(-(rows.stop - rows.start) // step), 1))
    for start in range(rows.start, rows.stop, max(step, 1)):
        yield slice(start, min(start + step, rows.stop))


def _buffers(block: slice, tiles: int, channels: Ints, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    count = (block.stop - block.start) * tiles
    return np.empty((36, count, channels[0]), dtype), np.empty((36, count, channels[1]), dtype)


# ---------------------------------------------------------------------- compiled

# Each transform multiplies from both sides: one loop goes through the pixels' channels, the other through whole runs of
# tiles. Scratch memory has rows of fixed length: distances that the compiler knows needn't be compared at run time.
# Indices without sign spare the question whether they count from the end.


@compiled
def _input_six(d0, d1, d2, d3, d4, d5):  # type: ignore[no-untyped-def]
    """B' times a column."""
    even, odd = d4 - _FOUR * d2, d3 - _FOUR * d1
    wide, narrow = d4 - d2, _TWO * (d3 - d1)
    first, last = _FOUR * d0 - _FIVE * d2 + d4, _FOUR * d1 - _FIVE * d3 + d5
    return first, even + odd, even - odd, wide + narrow, wide - narrow, last


@compiled
def _output_four(m0, m1, m2, m3, m4, m5):  # type: ignore[no-untyped-def]
    """A' times a column."""
    sum1, sum2, difference1, difference2 = m1 + m2, m3 + m4, m1 - m2, m3 - m4
    second, fourth = difference1 + _TWO * difference2, difference1 + _EIGHT * difference2 + m5
    return m0 + sum1 + sum2, second, sum1 + _FOUR * sum2, fourth


@compiled
def _gradient_six(g0, g1, g2, g3):  # type: ignore[no-untyped-def]
    """A times a column."""
    even, odd, wide, narrow = g0 + g2, g1 + g3, g0 + _FOUR * g2, _TWO * g1 + _EIGHT * g3
    return g0, even + odd, even - odd, wide + narrow, wide - narrow, g3


@compiled
def _padded_rows(x, rows, width, image, top, left):  # type: ignore[no-untyped-def]
    """Copy `width` pixels of rows `top`, `top` + 1, … from column `left` on, with zeros outside the image."""
    n, source, target = x.shape[3], x.reshape(-1), rows.reshape(-1)
    first = min(max(-left, 0), width)
    for i in range(rows.shape[0]):
        row = top + i
        last = max(min(x.shape[2] - left, width), first) if 0 <= row < x.shape[1] else first
        p, q = ((image * x.shape[1] + row) * x.shape[2] + left) * n, i * rows.shape[1]
        for e in range(first * n):
            target[np.uintp(q + e)] = 0
        for e in range(first * n, last * n):
            target[np.uintp(q + e)] = source[np.uintp(p + e)]
        for e in range(last * n, width * n):
            target[np.uintp(q + e)] = 0


@compiled
def _input_tiles(x, data, start, tile_rows, tiles, top, left):  # type: ignore[no-untyped-def]
    """``B' d B`` of all tiles, from tile row `start` on, into `data` (36, tiles, channels)."""
    size, count = x.shape[3], data.shape[1]
    rows, half = np.empty((6, _ROW), x.dtype), np.empty((6, 2 * _ROW), x.dtype)
    a, b, c, n = rows.reshape(-1), half.reshape(-1), data.reshape(-1), np.uintp(size)
    plane, most = np.uintp(count * size), (_ROW // size - 2) // 4
    for k in range(count // tiles * -(-tiles // most)):
        line, first = k // -(-tiles // most), k % -(-tiles // most) * most
        number = min(most, tiles - first)
        image, i = (start + line) // tile_rows, (start + line) % tile_rows
        _padded_rows(x, rows, 4 * number + 2, image, 4 * i - top, 4 * first - left)
        run = np.uintp(number * size)
        for t in range(number):
            for column in range(6):
                p, q = np.uintp((4 * t + column) * size), np.uintp((column * number + t) * size)
                for e in range(n):
                    b0, b1, b2, b3, b4, b5 = _input_six(
                        a[p + e],
                        a[p + _ROW_1 + e],
                        a[p + _ROW_2 + e],
                        a[p + _ROW_3 + e],
                        a[p + _ROW_4 + e],
                        a[p + _ROW_5 + e],
                    )
                    b[q + e], b[q + _ROW_2 + e], b[q + _ROW_4 + e] = b0, b1, b2
                    b[q + _ROW_6 + e], b[q + _ROW_8 + e], b[q + _ROW_10 + e] = b3, b4, b5
        for row in range(6):
            p0, q0 = np.uintp(row * 2 * _ROW), np.uintp((6 * row * count + line * tiles + first) * size)
            p1, q1 = p0 + run, q0 + plane
            p2, q2 = p1 + run, q1 + plane
            p3, q3 = p2 + run, q2 + plane
            p4, q4 = p3 + run, q3 + plane
            p5, q5 = p4 + run, q4 + plane
            for e in range(run):
                c[q0 + e], c[q1 + e], c[q2 + e], c[q3 + e], c[q4 + e], c[q5 + e] = _input_six(
                    b[p0 + e], b[p1 + e], b[p2 + e], b[p3 + e], b[p4 + e], b[p5 + e]
                )


@compiled
def _gradient_tiles(g, data, start, tile_rows, tiles):  # type: ignore[no-untyped-def]
    """``A g A'`` of all tiles, from tile row `start` on, into `data` (36, tiles, filters)."""
    size, count = g.shape[3], data.shape[1]
    rows, half = np.empty((4, _ROW), g.dtype), np.empty((6, 2 * _ROW), g.dtype)
    a, b, c, n = rows.reshape(-1), half.reshape(-1), data.reshape(-1), np.uintp(size)
    plane, most = np.uintp(count * size), _ROW // size // 4
    for k in range(count // tiles * -(-tiles // most)):
        line, first = k // -(-tiles // most), k % -(-tiles // most) * most
        number = min(most, tiles - first)
        image, i = (start + line) // tile_rows, (start + line) % tile_rows
        _padded_rows(g, rows, 4 * number, image, 4 * i, 4 * first)
        run = np.uintp(number * size)
        for t in range(number):
            for column in range(4):
                p, q = np.uintp((4 * t + column) * size), np.uintp((column * number + t) * size)
                for e in range(n):
                    b0, b1, b2, b3, b4, b5 = _gradient_six(
                        a[p + e], a[p + _ROW_1 + e], a[p + _ROW_2 + e], a[p + _ROW_3 + e]
                    )
                    b[q + e], b[q + _ROW_2 + e], b[q + _ROW_4 + e] = b0, b1, b2
                    b[q + _ROW_6 + e], b[q + _ROW_8 + e], b[q + _ROW_10 + e] = b3, b4, b5
        for row in range(6):
            p0, q0 = np.uintp(row * 2 * _ROW), np.uintp((6 * row * count + line * tiles + first) * size)
            p1, q1 = p0 + run, q0 + plane
            p2, q2 = p1 + run, q1 + plane
            p3, q3 = p2 + run, q2 + plane
            q4, q5 = q3 + plane, q3 + plane + plane
            for e in range(run):
                c[q0 + e], c[q1 + e], c[q2 + e], c[q3 + e], c[q4 + e], c[q5 + e] = _gradient_six(
                    b[p0 + e], b[p1 + e], b[p2 + e], b[p3 + e]
                )


@compiled
def _output_tiles(products, out, row_bias, is_relu, start, tile_rows, tiles):  # type: ignore[no-untyped-def]
    """Write ``A' products A`` (36, tiles, filters) with bias into `out`, from tile row `start` on."""
    height, width, size, count = out.shape[1], out.shape[2], out.shape[3], products.shape[1]
    half, rows = np.empty((6, _ROW), out.dtype), np.empty((4, _ROW), out.dtype)
    a, b, c, y, n = products.reshape(-1), half.reshape(-1), rows.reshape(-1), out.reshape(-1), np.uintp(size)
    six, zero, most = np.uintp(6 * count * size), out.dtype.type(0), _ROW // size // 4
    for k in range(count // tiles * -(-tiles // most)):
        line, first = k // -(-tiles // most), k % -(-tiles // most) * most
        number = min(most, tiles - first)
        image, i = (start + line) // tile_rows, (start + line) % tile_rows
        run = np.uintp(number * size)
        for column in range(6):
            p0, q0 = np.uintp((column * count + line * tiles + first) * size), np.uintp(column * _ROW)
            p1, q1 = p0 + six, q0 + run
            p2, q2 = p1 + six, q1 + run
            p3, q3 = p2 + six, q2 + run
            p4, p5 = p3 + six, p3 + six + six
            for e in range(run):
                b[q0 + e], b[q1 + e], b[q2 + e], b[q3 + e] = _output_four(
                    a[p0 + e], a[p1 + e], a[p2 + e], a[p3 + e], a[p4 + e], a[p5 + e]
                )
        for row in range(min(4, height - 4 * i)):
            for t in range(number):
                p, q0 = np.uintp((row * number + t) * size), np.uintp(4 * t * size)
                q1, q2, q3 = q0 + n, q0 + n + n, q0 + n + n + n
                for e in range(n):
                    c[q0 + e], c[q1 + e], c[q2 + e], c[q3 + e] = _output_four(
                        b[p + e],
                        b[p + _ROW_1 + e],
                        b[p + _ROW_2 + e],
                        b[p + _ROW_3 + e],
                        b[p + _ROW_4 + e],
                        b[p + _ROW_5 + e],
                    )
            o = np.uintp(((image * height + 4 * i + row) * width + 4 * first) * size)
            r = np.uintp(4 * first * size)
            for e in range(np.uintp(min(4 * number, width - 4 * first) * size)):
                value = c[e] + row_bias[r + e]
                y[o + e] = zero if is_relu and value < zero else value  # NaN stays
