"""Products of matrices, shared by the threads that share everything else."""

from __future__ import annotations

import numpy as np

from ..core.threads import UNSHARED, num_threads, spread


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
