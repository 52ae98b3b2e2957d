"""Convolution with windows of 3 x 3 by Winograd's minimal filtering F(4 x 4, 3 x 3) (Lavin and Gray 2016).

Tiles of 4 x 4 results are made of 6 x 6 inputs by 36 products per pair of channels, where the definition takes 144:
``Y = A' ((G w G') * (B' d B)) A`` (' transposes), and the gradient in the kernel is ``G' ((B' d B) * (A dY A')) G``.
Sums over channels turn the products into 36 GEMMs. So that the transforms are GEMMs too, which read inputs and write
results where they lie, a row of tiles is transformed along its width at once, by a banded matrix.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

import numpy as np

from ..core import tiers
from .blocks import blocks, parts
from .epilogue import add_bias_and_activate
from .geometry import Ints, Slide
from .product import matmul, product_of_rows, rows_apart, sum_of_outer_products

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
GG = np.kron(_G, _G)
_MADE_OF = {"inputs": _B.T, "results": _A}
"""6 numbers of a tile's inputs, and of its results: (6, size of the tile)."""

_ONE = 7
"""The product whose transform is 1 everywhere: what is added to it is added to all results of a tile."""

WIDEST = 8
"""Tiles in a row whose banded matrix isn't too empty."""

MOST_CHANNELS = 640
"""Channels up to which the rounding errors of `docs/performance.md` hold."""

LEAST_PRODUCTS = 1 << 20
"""Products of a tap, with all channels and filters of a batch, from which the transforms are worth it."""


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
    is_wide = 16 <= min(channels) <= max(channels) <= MOST_CHANNELS
    return is_wide and computed <= 1.8 * results and len(x) * results * math.prod(channels) >= LEAST_PRODUCTS


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
    filters = w.shape[-1]
    for images, rows, columns in _blocks(out.shape, x.shape[-1] + filters, w):
        data = _tiles(x[images], "inputs", slide, rows, columns)
        products = rows_apart(36, data.shape[1] * filters, data.dtype)
        product_of_rows(data, w, out=products.reshape(36, -1, filters))
        del data
        if bias is not None:
            products[_ONE].reshape(-1, filters)[...] += bias
        part = out[images, 4 * rows.start : 4 * rows.stop, 4 * columns.start : 4 * columns.stop]
        _write_tiles(products, part)
        add_bias_and_activate(part, None, activation)


def kernel_grad(x: np.ndarray, g: np.ndarray, slide: Slide) -> np.ndarray:
    """The gradient of a convolution in its kernel, before the transform of it: the transpose of `transformed_kernel`.

    Args:
        x: ndarray (N, H, W, C).
        g: ndarray (N, *sizes, F).
        slide: The window, 3 x 3.

    Returns:
        ndarray (36, C, F)
    """
    total = np.zeros((36, x.shape[-1], g.shape[-1]), np.result_type(x, g))
    unpadded = slide._replace(padding=((0, 0), (0, 0)))
    for images, rows, columns in _blocks(g.shape, x.shape[-1] + g.shape[-1], total):
        data = _tiles(x[images], "inputs", slide, rows, columns)
        total += sum_of_outer_products(data, _tiles(g[images], "results", unpadded, rows, columns))
    return total


def kernel_of_transformed(total: np.ndarray) -> np.ndarray:
    """``G' w G`` (3, 3, C, F) of what `kernel_grad` gives."""
    return matmul(GG.T.astype(total.dtype), total.reshape(36, -1)).reshape(3, 3, *total.shape[1:])


def _blocks(shape: Ints, channels: int, kernel: np.ndarray) -> Iterator[tuple[slice, slice, slice]]:
    """Cut results of `shape` (N, *sizes, F): (images, rows of tiles, columns of tiles)."""
    images, height, width = shape[0], *(-(-size // 4) for size in shape[1:3])
    for columns in parts(width, WIDEST):
        # half of 36 numbers per tile: not all arrays are in use at once
        row_bytes = 18 * (columns.stop - columns.start) * channels * kernel.itemsize
        for some, rows in blocks(images, height, row_bytes, kernel.nbytes):
            yield some, rows, columns


def _tiles(x: np.ndarray, made_of: str, slide: Slide, rows: slice, columns: slice) -> np.ndarray:
    """``B' d B`` of the "inputs" `x` (N, H, W, C), or ``A dY A'`` of "results": ndarray (36, N tiles, C)."""
    matrix = _MADE_OF[made_of].astype(x.dtype)
    images, channels, size = len(x), x.shape[-1], matrix.shape[1]
    tall, wide = rows.stop - rows.start, columns.stop - columns.start
    (above, height), (left, width) = (
        _overlap(4 * tiles.start - lo, 4 * tiles.stop - 4 + size - lo, length)
        for tiles, (lo, _), length in zip((rows, columns), slide.padding, x.shape[1:3], strict=True)
    )
    lines = np.empty((images, 4 * tall + size - 4, 6, wide * channels), x.dtype)
    lines[:, :above] = lines[:, above + height.stop - height.start :] = 0
    inside = lines[:, above : above + height.stop - height.start]
    across = _banded(made_of, wide, left, width.stop - width.start, x.dtype)
    np.matmul(across, x[:, height, width], out=inside.reshape(*inside.shape[:2], 6 * wide, channels))
    image, line, number, element = lines.strides
    windows = np.ndarray(
        (images, tall, 6, size, wide * channels), x.dtype, lines, 0, (image, 4 * line, number, line, element)
    )
    data = rows_apart(36, images * tall * wide * channels, x.dtype)
    np.matmul(matrix, windows, out=data.reshape(6, 6, images, tall, -1).transpose(2, 3, 1, 0, 4))
    return data.reshape(36, -1, channels)


def _write_tiles(products: np.ndarray, out: np.ndarray) -> None:
    """Write ``A' M A`` of products (36, N tiles F) into `out` (N, H, W, F), at whose edges tiles may be cut off."""
    images, height, width, filters = out.shape
    tall, wide = -(-height // 4), -(-width // 4)
    lines = np.empty((images, tall, 4, 6, wide * filters), out.dtype)
    tiles = products.reshape(6, 6, images, tall, -1).transpose(2, 3, 1, 0, 4)
    np.matmul(_A.T.astype(out.dtype), tiles, out=lines.swapaxes(2, 3))
    across = _banded("results", wide, 0, width, out.dtype).T
    np.matmul(across, lines.reshape(images, 4 * tall, 6 * wide, filters)[:, :height], out=out)


def _overlap(start: int, stop: int, length: int) -> tuple[int, slice]:
    """How many positions from `start` on lie before those of an axis, and which of these are before `stop`."""
    first = max(start, 0)
    return first - start, slice(first, max(min(stop, length), first))


@functools.lru_cache
def _banded(made_of: str, tiles: int, first: int, length: int, dtype: np.dtype) -> np.ndarray:
    """What makes 6 numbers of each tile in a row: (6 tiles, length), of all its pixels the `first` ones missing."""
    matrix = _MADE_OF[made_of]
    banded = np.zeros((6, tiles, 4 * tiles + matrix.shape[1] - 4), dtype)
    for tile in range(tiles):
        banded[:, tile, 4 * tile : 4 * tile + matrix.shape[1]] = matrix
    return np.ascontiguousarray(banded[..., first : first + length]).reshape(6 * tiles, length)
