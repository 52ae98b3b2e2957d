"""Convolutions prepared for arrays of certain shapes: what depends on those alone is found out once."""

from __future__ import annotations

import math
from typing import TypeGuard

import numpy as np

from ...core.memory import aligned_empty
from ...core.threads import spread
from ..epilogue import add_bias_and_activate
from ..geometry import Ints
from ..product import matmul
from . import indirect, winograd
from .jit import plain
from .packing import Own
from .product import floor_of
from .sharing import parts_of

Way = indirect.Way | winograd.Way


def is_of_sums(way: Way) -> TypeGuard[indirect.Way]:
    """Whether results are sums over channels, as vectors of filters would mostly be empty."""
    return isinstance(way, indirect.Way) and way.sums


class Writer:
    """What writes the results of a convolution.

    Args:
        way: How.
        x: Shape of the input, (N, *spatial, C).
        out: Shape of the results, (N, *sizes, F).
        dtype: Of all arrays.
    """

    def __init__(self, way: Way, x: Ints, out: Ints, dtype: np.dtype) -> None:
        self.way, self.out, self.dtype = way, out, dtype
        self.room = (out[0], *way.room(out[1:-1]), out[-1])
        self.by_channels: Writer | None = None
        if is_of_sums(way):
            self.by_channels = Writer(way.by_channels, x, (*out[:-1], x[-1]), dtype)
        self.is_direct = 0 not in out and self.by_channels is None
        if self.is_direct:
            self.job = way.writing(x, self.room, dtype)
            self.floors = [floor_of(dtype, is_relu) for is_relu in (False, True)]
            self.zeros = way.start(np.zeros(out[-1], dtype))
            self.positions = math.prod(self.room[:-1])
            self.elements = math.prod(x) + math.prod(self.room)

    def __call__(self, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, activation: str | None) -> np.ndarray:
        """Convolve `x` with a kernel (*window, C / groups, F), add `bias` and activate."""
        if not self.is_direct:
            out = np.empty(self.out, self.dtype) if self.by_channels is None else self._sums(self.by_channels, x, w)
            add_bias_and_activate(out, bias, activation)
            return out
        kernel, out = self.way.arranged(w), aligned_empty(self.room, self.dtype)
        start = self.zeros if bias is None else self.way.start(bias)
        arrays = (plain(x).reshape(-1), self.job.ordered(kernel), start, out.reshape(-1))
        parts = parts_of(self.job.blocks, self.elements + _products(self.positions, kernel.size))
        self.job.run(arrays, parts, self.floors[activation == "relu"])
        if self.room != self.out:
            out = _copied(out[..., : self.out[-2], :], aligned_empty(self.out, self.dtype))
        if activation not in (None, "relu"):
            spread(lambda images: add_bias_and_activate(out[images], None, activation), len(out), 8 * out.size)
        return out

    def _sums(self, by_channels: Writer, x: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Convolve with each filter channel by channel, and sum those afterwards."""
        channels, ones = w.shape[-2], np.ones((w.shape[-2], 1), self.dtype)
        products = (by_channels(x, each[..., None, :], None, None) for each in np.moveaxis(w, -1, 0))
        sums = [matmul(product.reshape(-1, channels), ones) for product in products]
        return np.concatenate(sums, axis=-1).reshape(self.out)


class Adder:
    """What adds up the gradient in the kernel of a convolution.

    Args:
        way: How.
        x: Shape of the input, (N, *spatial, C).
        g: Shape of the results, (N, *sizes, F).
        dtype: Of all arrays.
    """

    def __init__(self, way: Way, x: Ints, g: Ints, dtype: np.dtype) -> None:
        self.way, self.dtype, self.filters = way, dtype, g[-1]
        self.room = (g[0], *way.room(g[1:-1]), g[-1])
        self.is_filled = self.room == g
        self.job = way.adding(x, self.room, dtype)
        self.size = way.total_size(x, self.room, dtype)
        self.elements = math.prod(x) + math.prod(self.room) + _products(math.prod(self.room[:-1]), self.size)

    def __call__(self, x: np.ndarray, g: np.ndarray) -> np.ndarray:
        """The gradient, flat, for an input and a cotangent of the results."""
        g = plain(g) if self.is_filled else self._filled(g)
        parts = parts_of(self.job.blocks, self.elements)
        totals = np.zeros((parts, self.size), self.dtype)
        self.job.run((plain(x).reshape(-1), g.reshape(-1), totals[0] if parts == 1 else Own(totals)), parts)
        return self.way.kernel_gradient(totals[0] if parts == 1 else totals.sum(axis=0), self.filters)

    def _filled(self, g: np.ndarray) -> np.ndarray:
        """`g` with zeros behind, as many as there is room for."""
        out = aligned_empty(self.room, self.dtype)
        out[..., g.shape[-2] :, :] = 0
        _copied(g, out[..., : g.shape[-2], :])
        return out


def _copied(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    spread(lambda images: np.copyto(target[images], source[images]), len(target), 2 * target.size)
    return target


def _products(positions: int, kernel_size: int) -> int:
    """What the products of a convolution cost, in elements that are read."""
    return positions * kernel_size // 64
