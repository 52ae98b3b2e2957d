"""Products of matrices, shared by the threads that share everything else."""

from __future__ import annotations

import numpy as np

from ..core.threads import UNSHARED, num_threads, spread

SMALL = 1_000_000
"""Products up to which OpenBLAS, where it has AVX-512, multiplies matrices as they lie, without copying them first."""

FEWEST_ROWS = 90
"""Rows of a small product that are worth it; with fewer, the other factor isn't small, nor in the first-level cache."""

OUTER_ROWS = 128
"""Rows whose outer products are summed by one product: fewer cost sums, with more the others don't fit."""


def matmul(x: np.ndarray, y: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """``x @ y``, of which each thread makes some rows, some columns if there are more of them, or some of a stack.

    Args:
        x: ndarray (..., M, K).
        y: ndarray (..., K, N).
        out: ndarray (..., M, N) that is written; None for a new one.

    Returns:
        `out`
    """
    if x.size * y.size < UNSHARED:
        return np.matmul(x, y, out=out)
    products = x.size * y.shape[-1] if x.ndim >= y.ndim else x.shape[-2] * y.size
    if products <= 16 * UNSHARED and x.size + y.size <= UNSHARED:
        return np.matmul(x, y, out=out)
    is_outer = x.shape[-1] == 1  # BLAS takes two to four times as long
    multiply = np.multiply if is_outer else np.matmul
    effort = max(products if is_outer else products // 16, UNSHARED + 1)
    if x.ndim == y.ndim == 2:
        by_rows = len(x) >= y.shape[1]
        length = max(len(x), y.shape[1])
    else:
        by_rows, length = True, len(x) if x.shape[:-2] == y.shape[:-2] else 1
    if length == 1:
        return spread(lambda _: multiply(x, y, out=out), 1, effort)[0]
    out = np.empty((*x.shape[:-1], y.shape[-1]), np.result_type(x, y)) if out is None else out
    parts = min(length, num_threads())  # no more than that: each one reads the other factor again

    def work(part: slice) -> None:
        some = slice(length * part.start // parts, length * part.stop // parts)
        if not by_rows:
            multiply(x, y[:, some], out=out[:, some])
        else:
            multiply(x[some], y[some] if y.ndim > 2 else y, out=out[some])

    spread(work, parts, effort)
    return out


def product_of_rows(x: np.ndarray, y: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """``x @ y`` where `x` has many rows and `y` is small: some rows after the other, each a small product.

    BLAS copies the factors of large products in its own order first, which doesn't pay with few columns.

    Args:
        x: ndarray (..., M, K).
        y: ndarray (..., K, N). Best contiguous.
        out: ndarray (..., M, N) that is written; None for a new one.

    Returns:
        `out`
    """
    length, depth = x.shape[-2:]
    fit = SMALL // max(depth * y.shape[-1], 1)
    if not FEWEST_ROWS <= fit < length:
        return np.matmul(x, y, out=out)
    rows = _even(length, fit)
    whole = length // rows * rows
    if out is None:
        stack = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        out = np.empty((*stack, length, y.shape[-1]), np.result_type(x, y))
    np.matmul(_cut(x[..., :whole, :], rows), y[..., None, :, :], out=_cut(out[..., :whole, :], rows))
    if whole < length:
        np.matmul(x[..., whole:, :], y, out=out[..., whole:, :])
    return out


def product_of_columns(x: np.ndarray, y: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """``x @ y`` of a small `x` (M, K) and the many columns of `y` (K, N), as `product_of_rows` for rows."""
    out = np.empty((len(x), y.shape[1]), np.result_type(x, y)) if out is None else out
    product_of_rows(y.T, x.T, out=out.T)
    return out


def rows_apart(rows: int, length: int, dtype: np.dtype) -> np.ndarray:
    """An empty matrix for products with columns, of whose rows few share a place in cache.

    Caches find lines by their address modulo 4096: where that is the same for all rows, a column is never there.
    """
    line = 64 // dtype.itemsize
    lines = -(-length // line) | 1
    return np.empty((rows, lines * line), dtype)[:, :length]


def sum_of_outer_products(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``x.T @ y`` of many rows, for stacks of both: small products of some rows and columns, which are then summed.

    Args:
        x: ndarray (..., L, M).
        y: ndarray (..., L, N).

    Returns:
        ndarray (..., M, N)
    """
    length, width = x.shape[-2:]
    fit = SMALL // (OUTER_ROWS * max(y.shape[-1], 1))
    columns = _even_part(width, fit)
    if length < 2 * OUTER_ROWS or fit < FEWEST_ROWS or columns < min(width, 32):
        return np.matmul(x.swapaxes(-1, -2), y)
    whole = length // OUTER_ROWS * OUTER_ROWS
    some = _cut(x[..., :whole, :], OUTER_ROWS)
    some = some.reshape(*some.shape[:-1], width // columns, columns)
    products = np.matmul(np.moveaxis(some, -3, -1), _cut(y[..., :whole, :], OUTER_ROWS)[..., None, :, :])
    total = np.add.reduce(products, axis=-4).reshape(*products.shape[:-4], width, y.shape[-1])
    if whole < length:
        total += np.matmul(x[..., whole:, :].swapaxes(-1, -2), y[..., whole:, :])
    return total


def _cut(array: np.ndarray, rows: int) -> np.ndarray:
    """View (..., pieces, rows, N) of an array (..., pieces * rows, N)."""
    return array.reshape(*array.shape[:-2], -1, rows, array.shape[-1])


def _even_part(length: int, fit: int) -> int:
    """The largest divisor of `length` that is at most `fit`; 0 if there is none."""
    return next((part for part in range(min(length, fit), 0, -1) if length % part == 0), 0)


def _even(length: int, fit: int) -> int:
    """How many to take at a time, `fit` at most, so that the last time takes about as many."""
    return -(-length // -(-length // fit))
