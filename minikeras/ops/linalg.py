"""Products of matrices and tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from .. import kernels
from ..core.primitive import primitive
from ..core.tensor import Tensor, operations
from ..core.threads import spread
from ..kernels.epilogue import add_bias_and_activate
from .epilogue import through_activation
from .reduce import sum as reduce_sum
from .reduce import sum_to
from .shape import broadcast_to, getitem, moveaxis, reshape, swapaxes, transpose


@primitive(name="matmul")
def _matmul(x: Any, y: Any) -> Any:
    return kernels.matmul(x, y)


_matmul.vjps(x=lambda g, y: _matmul(g, swapaxes(y, -1, -2)), y=lambda g, x: _matmul(swapaxes(x, -1, -2), g))


def matmul(x: Any, y: Any) -> Tensor:
    """Matrix product ``(..., M, K) @ (..., K, N) -> (..., M, N)``, broadcast over the leading axes.

    A vector on the left counts as a row, on the right as a column, and its axis is dropped from the result.

    Raises:
        ValueError: an operand is a scalar, or the inner sizes differ.
    """
    x = x if isinstance(x, Tensor) else Tensor(x)
    y = y if isinstance(y, Tensor) else Tensor(y)
    rows, columns = x.shape, y.shape
    if len(rows) == len(columns) == 2 and rows[1] == columns[0]:
        return _matmul(x, y)
    if x.ndim == 0 or y.ndim == 0 or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise ValueError(f"matmul: expected (..., M, K) @ (..., K, N). Received: {x.shape} @ {y.shape}")
    if y.ndim == 1:
        return reduce_sum(x * y, axis=-1) if x.ndim == 1 else reshape(matmul(x, reshape(y, (-1, 1))), x.shape[:-1])
    if x.ndim == 1:
        return getitem(matmul(reshape(x, (1, -1)), y), (Ellipsis, 0, slice(None)))
    if y.ndim == 2 and x.ndim > 2 and None not in x.shape:
        # One large product, and a kernel gradient without a sum over the batch.
        rows = reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))
        return reshape(_matmul(rows, y), (*x.shape[:-1], y.shape[-1]))
    return _matmul(x, y)


def dot(x: Any, y: Any) -> Tensor:
    """Sum of products over the last axis of ``x`` and the second-to-last (or only) axis of ``y``, as NumPy's dot."""
    x, y = (t if isinstance(t, Tensor) else Tensor(t) for t in (x, y))
    if x.ndim == 0 or y.ndim == 0:
        return x * y
    return tensordot(x, y, axes=([x.ndim - 1], [max(y.ndim - 2, 0)]))


def tensordot(x: Any, y: Any, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Tensor:
    """Sum of products over pairs of axes.

    Args:
        x, y: arrays.
        axes: how many last axes of ``x`` meet the first ones of ``y``, or a pair of lists of axes.

    Returns:
        Tensor with the remaining axes of ``x``, then those of ``y``.
    """
    x, y = (t if isinstance(t, Tensor) else Tensor(t) for t in (x, y))
    if x.symbolic or y.symbolic:
        return operations.record(tensordot, (x, y), {"axes": axes})
    if isinstance(axes, (int, np.integer)):
        if not 0 <= axes <= min(x.ndim, y.ndim):
            raise ValueError(f"tensordot: shapes {x.shape} and {y.shape} don't share so many axes. Received: {axes}")
        axes = (range(x.ndim - axes, x.ndim), range(axes))
    ax, ay = (
        normalize_axis_tuple(tuple(pair) if np.ndim(pair) else pair, t.ndim, "tensordot")
        for t, pair in zip((x, y), axes, strict=True)
    )
    if [x.shape[a] for a in ax] != [y.shape[a] for a in ay]:
        raise ValueError(f"tensordot: axes {ax} of {x.shape} must have the lengths of axes {ay} of {y.shape}")
    free_x = [a for a in range(x.ndim) if a not in ax]
    free_y = [a for a in range(y.ndim) if a not in ay]
    rows, columns = [x.shape[a] for a in free_x], [y.shape[a] for a in free_y]
    inner = math.prod(x.shape[a] for a in ax)
    left = reshape(transpose(x, (*free_x, *ax)), (math.prod(rows), inner))
    right = reshape(transpose(y, (*ay, *free_y)), (inner, math.prod(columns)))
    return reshape(_matmul(left, right), (*rows, *columns))


@primitive
def dense(x: Any, w: Any, bias: Any = None, *, activation: str | None = None) -> Any:
    """``activation(x @ w + bias)`` in one pass.

    Args:
        x: (..., channels).
        w: (channels, units).
        bias: (units,) or None.
        activation: "relu", "tanh", "sigmoid" or None.

    Returns:
        Tensor (..., units).
    """
    result = kernels.matmul(x if x.ndim == 2 else x.reshape(-1, x.shape[-1]), w)
    add_bias_and_activate(result, bias, activation)
    return result if x.ndim == 2 else result.reshape(*x.shape[:-1], w.shape[-1])


@dense.backward(x="w", w="x", out="activation")
def _(
    g: Tensor,
    needs: tuple[bool, ...],
    x: Tensor,
    w: Tensor,
    x_shape: tuple[int, ...],
    out: Tensor,
    activation: str | None,
) -> Any:
    g = through_activation(g, out, activation)
    rows = _as_rows(g)
    dx = _matmul(rows, transpose(w)) if needs[0] else None
    return (
        dx if dx is None or len(x_shape) == 2 else reshape(dx, shape=x_shape),
        _matmul(transpose(_as_rows(x)), rows) if needs[1] else None,
        reduce_sum(rows, axis=0) if len(needs) > 2 and needs[2] else None,
    )


def _as_rows(x: Tensor) -> Tensor:
    return x if x.ndim == 2 else reshape(x, shape=(-1, x.shape[-1]))


# ---------------------------------------------------------------------- Einstein summation


@primitive(name="einsum")
def _einsum(*xs: Any, spec: str) -> Any:
    return spread(lambda _: np.einsum(spec, *xs, optimize=True), 1, sum([x.size for x in xs]))[0]


@_einsum.backward
def _(g: Tensor, needs: tuple[bool, ...], xs: tuple[Any, ...], spec: str) -> list[Tensor | None]:
    terms, result = spec.split("->")
    names = terms.split(",")
    found: list[Tensor | None] = []
    for i, need in enumerate(needs):
        if not need:
            found.append(None)
            continue
        others = [(xs[j], names[j]) for j in range(len(xs)) if j != i]
        available = set(result).union(*(name for _, name in others))
        reached = "".join(letter for letter in names[i] if letter in available)
        back = _einsum(g, *[x for x, _ in others], spec=",".join([result, *(n for _, n in others)]) + "->" + reached)
        # Along an axis of length one that was stretched the gradient is summed; along one that only this operand has,
        # or against which others were stretched, every element gets the same.
        sizes = dict(zip(reached, back.shape, strict=True))
        kept = [1 if 1 in (n, sizes.get(letter, 1)) else n for letter, n in zip(names[i], xs[i].shape, strict=True)]
        back = sum_to(back, tuple(n for letter, n in zip(names[i], kept, strict=True) if letter in reached))
        found.append(broadcast_to(reshape(back, kept), xs[i].shape))
    return found


def einsum(spec: str, *tensors: Any) -> Tensor:
    """Einstein summation in NumPy's notation, such as ``einsum("bij,bjk->bik", x, y)``.

    Args:
        spec: subscripts with or without "->", with "..." and repeated letters in one operand (diagonals).
        tensors: as many operands as ``spec`` names.

    Raises:
        ValueError: the subscripts don't fit the operands.
    """
    xs = [t if isinstance(t, Tensor) else Tensor(t) for t in tensors]
    names, result = _subscripts(spec, [x.ndim for x in xs])
    for i, name in enumerate(names):
        for letter in sorted(set(name)):
            while names[i].count(letter) > 1:
                xs[i], names[i] = _diagonal(xs[i], names[i], letter)
    return _einsum(*xs, spec=",".join(names) + "->" + result)


def _subscripts(spec: str, ranks: list[int]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with "..." spelled out."""
    terms, arrow, result = spec.replace(" ", "").partition("->")
    names = terms.split(",")
    if len(names) != len(ranks):
        raise ValueError(f"einsum: '{spec}' names {len(names)} operands. Received: {len(ranks)}")
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c not in spec]
    widths = [
        rank - len(name.replace("...", "")) if "..." in name else 0 for name, rank in zip(names, ranks, strict=True)
    ]
    for name, rank, width in zip(names, ranks, widths, strict=True):
        if width < 0 or ("..." not in name and len(name) != rank):
            raise ValueError(f"einsum: '{name}' in '{spec}' doesn't fit an operand of {rank} axes")
    dots = "".join(spare[: max(widths, default=0)])
    names = [name.replace("...", dots[len(dots) - width :]) for name, width in zip(names, widths, strict=True)]
    if arrow:
        if dots and "..." not in result:
            raise ValueError(f"einsum: the result of '{spec}' must have '...' where an operand has it")
        return names, result.replace("...", dots)
    letters = "".join(names)
    return names, dots + "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots))


def _diagonal(x: Tensor, name: str, letter: str) -> tuple[Tensor, str]:
    """``x`` with two axes of one letter replaced by their diagonal, which comes last."""
    first = name.index(letter)
    second = name.index(letter, first + 1)
    if x.shape[first] != x.shape[second]:
        raise ValueError(f"einsum: the axes '{letter}' of an operand must have one length. Received: shape {x.shape}")
    diagonal = np.arange(x.shape[first])
    moved = moveaxis(x, (first, second), (0, 1))
    return moveaxis(getitem(moved, (diagonal, diagonal)), 0, -1), name[:first] + name[first + 1 : second] + name[
        second + 1 :
    ] + letter
