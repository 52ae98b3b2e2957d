"""Convolution with windows of 3 x 3 by Winograd's minimal filtering F(4 x 4, 3 x 3) (Lavin and Gray 2016).

Tiles of 4 x 4 results are made of 6 x 6 inputs by 36 products per pair of channels, where the definition takes 144:
``Y = A' ((G w G') * (B' d B)) A`` (' transposes), and the gradient in the kernel is ``G' ((B' d B) * (A dY A')) G``.
Sums over channels turn the products into 36 GEMMs. So that the transforms are GEMMs too, a tile is a column of 36
numbers, and a transform from both sides the Kronecker product of its matrix with itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..core import tiers
from .blocks import Block, input_blocks, windows
from .epilogue import add_bias_and_activate
from .geometry import Ints, Slide
from .product import matmul, product_of_columns, product_of_rows, rows_apart, sum_of_outer_products

_A = np.array([[1, 0, 0, 0], [1, 1, 1, 1], [1, -1, 1, -1], [1, 2, 4, 8], [1, -2, 4, -8], [0, 0, 0, 1]])
_B = np.array(
    [
        [4, 0, 0, 0, 0, 0],
        [0, -4, 4, -2, 2, 4],
        [-5, -4, -4, -1, -1, 0],
        [0, 1, -1, 2, -2, -5],
        [1, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
)
_G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_AA, _BB, GG = (np.kron(matrix, matrix) for matrix in (_A, _B, _G))

_ONE = 7
"""The product whose transform is 1 everywhere: what is added to it is added to all results of a tile."""

MOST_CHANNELS = 640
"""Channels up to which the rounding errors of `docs/performance.md` hold."""

LEAST_RESULTS = 1024
"""Positions in a batch from which the transform of the kernel is worth it."""


def suits(x: np.ndarray, other: np.ndarray, sizes: Ints, slide: Slide, channels: Ints) -> bool:
    """Whether the products saved outweigh the transforms; tiles mustn't go far beyond the edge.

    Args:
        x: The inputs. Of the `other` factor of the product only the type counts.
        sizes, slide: The outputs, and the window that makes them.
        channels: Those of the input and of the output.
    """
    has_type = x.dtype == other.dtype and x.dtype in (np.float32, np.float64)
    if slide[:3] != ((3, 3), (1, 1), (1, 1)) or not has_type or not tiers.winograd():
        return False
    results, computed = math.prod(sizes), math.prod(4 * -(-size // 4) for size in sizes)
    is_wide = 16 <= min(channels) <= max(channels) <= MOST_CHANNELS and math.prod(channels) >= 512
    return is_wide and computed <= 1.5 * results and len(x) * results >= LEAST_RESULTS


def transformed_kernel(w: np.ndarray) -> np.ndarray:
    """``G w G'`` (36, C, F) of a kernel (3, 3, C, F)."""
    return matmul(GG.astype(w.dtype), w.reshape(9, -1)).reshape(36, *w.shape[2:])


def convolve(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, out: np.ndarray, slide: Slide, activation: str | None
) -> None:
    """Write a convolution of stride 1 with bias and activation.

    Args:
        x: ndarray (N, H, W, C).
        w: ndarray (36, C, F), what `transformed_kernel` made of the kernel.
        bias: ndarray (F,) or None.
        out: ndarray (N, *sizes, F), any view.
        slide: The window, 3 x 3.
        activation: {None, "relu", "tanh", "sigmoid"}.
    """
    channels, filters = w.shape[1:]
    back = _AA.T.astype(x.dtype)
    for (images, rows), data in _input_tiles(x, out.shape[1:-1], slide, filters, w.nbytes):
        tiles = data[0].size // channels
        products = rows_apart(36, tiles * filters, data.dtype)
        product_of_rows(data.reshape(36, tiles, channels), w, out=products.reshape(36, tiles, filters))
        if bias is not None:
            products[_ONE].reshape(tiles, filters)[...] += bias
        results = product_of_columns(back, products)
        squares = results.reshape(4, 4, *data.shape[1:4], filters).transpose(2, 3, 0, 4, 1, 5)
        _write_squares(squares, out[images, 4 * rows.start : 4 * rows.stop], activation)


def _write_squares(squares: np.ndarray, out: np.ndarray, activation: str | None) -> None:
    """Put tiles (N, rows, 4, columns, 4, F) in their places in `out`, at whose edges they may be cut off."""
    height, width = (size // 4 for size in out.shape[1:3])
    for row, tall in ((slice(height), 4), (slice(height, None), out.shape[1] % 4)):
        for column, wide in ((slice(width), 4), (slice(width, None), out.shape[2] % 4)):
            some = squares[:, row, :tall, column, :wide]
            if some.size:
                place = out[:, 4 * (row.start or 0) :, 4 * (column.start or 0) :]
                place = place[:, : tall * some.shape[1], : wide * some.shape[3]]
                add_bias_and_activate(some, None, activation, place.reshape(some.shape))


def kernel_grad(x: np.ndarray, g: np.ndarray, slide: Slide) -> np.ndarray:
    """The gradient of a convolution in its kernel, before the transform of it: the transpose of `transformed_kernel`.

    Args:
        x: ndarray (N, H, W, C).
        g: ndarray (N, *sizes, F).
        slide: The window, 3 x 3.

    Returns:
        ndarray (36, C, F)
    """
    channels, filters = x.shape[-1], g.shape[-1]
    total = np.zeros((36, channels, filters), np.result_type(x, g))
    inputs = _input_tiles(x, g.shape[1:-1], slide, filters, total.nbytes)
    for (_, data), cotangent in zip(inputs, _cotangent_tiles(g, channels, total.nbytes), strict=True):
        total += sum_of_outer_products(data.reshape(36, -1, channels), cotangent.reshape(36, -1, filters))
    return total


def kernel_of_transformed(total: np.ndarray) -> np.ndarray:
    """``G' w G`` (3, 3, C, F) of what `kernel_grad` gives."""
    return matmul(GG.T.astype(total.dtype), total.reshape(36, -1)).reshape(3, 3, *total.shape[1:])


def _input_tiles(
    x: np.ndarray, sizes: Ints, slide: Slide, filters: int, at_least: int
) -> Iterator[tuple[Block, np.ndarray]]:
    """``B' d B`` of the inputs, a block at a time: (block of tiles, ndarray (36, images, rows, columns, C))."""
    counts = _tiles(sizes)
    ends = [
        4 * count + 2 - length - lo for count, length, (lo, _) in zip(counts, x.shape[1:-1], slide.padding, strict=True)
    ]
    padding = tuple((lo, end) for (lo, _), end in zip(slide.padding, ends, strict=True))
    return _transformed(x, _BB.T, Slide((6, 6), (4, 4), (1, 1), padding), counts, filters, at_least)


def _cotangent_tiles(g: np.ndarray, channels: int, at_least: int) -> Iterator[np.ndarray]:
    """``A dY A'`` of the outputs' gradient, in the blocks of `_input_tiles`: ndarray (36, images, rows, columns, F)."""
    counts = _tiles(g.shape[1:-1])
    padding = tuple((0, 4 * count - size) for count, size in zip(counts, g.shape[1:-1], strict=True))
    tiles = _transformed(g, _AA, Slide((4, 4), (4, 4), (1, 1), padding), counts, channels, at_least)
    return (data for _, data in tiles)


def _transformed(
    x: np.ndarray, matrix: np.ndarray, slide: Slide, counts: Ints, others: int, at_least: int
) -> Iterator[tuple[Block, np.ndarray]]:
    """The tiles of `x`, as columns multiplied by `matrix`."""
    matrix = matrix.astype(x.dtype)
    channels = x.shape[-1]
    row_bytes = 36 * counts[1] * (channels + others) * x.itemsize // 2  # half: its arrays aren't used all at once
    for block, part in input_blocks(x, counts, slide, row_bytes=row_bytes, at_least=at_least):
        view = windows(part, (block[1].stop - block[1].start, counts[1]), slide)[:, 0]
        view = view.transpose(3, 4, 0, 1, 2, 5)
        columns = rows_apart(matrix.shape[1], math.prod(view.shape[2:]), x.dtype)
        columns.reshape(view.shape)[...] = view
        transformed = product_of_columns(matrix, columns, out=rows_apart(36, columns.shape[1], x.dtype))
        yield block, transformed.reshape(36, *view.shape[2:])


def _tiles(sizes: Ints) -> Ints:
    return tuple(-(-size // 4) for size in sizes)
