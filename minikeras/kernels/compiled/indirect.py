"""Convolutions of any kind as indirect products: what `plan` lays out, `product` computes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..geometry import Ints, Slide
from . import product
from .jit import plain
from .plan import Part, Plan, Shapes, of_adjoint, of_convolution, plan, three

Blocks = tuple[int, Callable[[slice], None]]
"""Into how many blocks work is cut, and what does some of them."""
AddedBlocks = tuple[int, Callable[[slice, np.ndarray], None]]
"""As `Blocks`, of work whose results are added to a total."""


class Way(NamedTuple):
    """How a convolution, or several that together fill the result, are computed.

    Attributes:
        parts: the convolutions.
        strides: from window to window.
        steps: from result to result of a part.
        groups: of channels.
        channelwise: whether each channel goes into one result only.
    """

    parts: tuple[Part, ...]
    strides: Ints
    steps: Ints
    groups: int = 1
    channelwise: bool = False

    def arranged(self, w: np.ndarray) -> np.ndarray:
        """A kernel (*window, C / groups, F) as `writing` takes it."""
        return plain(w)

    def writing(self, x: np.ndarray, kernel: np.ndarray, start: np.ndarray, out: np.ndarray, is_relu: bool) -> Blocks:
        """What writes ``conv(x, kernel) + start``, its positive part if `is_relu`, to `out`; all arrays are plain."""
        p, tiles, address = self._plan(x, out), product.tile_shapes(x.dtype), product.multiply_at.address(x.dtype)
        arrays = (x.reshape(-1), kernel.reshape(-1), start, out.reshape(-1))
        floor = x.dtype.type(0 if is_relu else -np.inf)

        def work(blocks: slice) -> None:
            product.convolve(address, *arrays, *p[:-1], tiles, floor, blocks.start, blocks.stop)

        return p.blocks, work

    def adding(self, x: np.ndarray, g: np.ndarray) -> AddedBlocks:
        """What adds the gradient in the kernel to a total, flat; all arrays are plain."""
        p, tiles, address = self._plan(x, g), product.tile_shapes(x.dtype), product.multiply_at.address(x.dtype)
        arrays = (x.reshape(-1), g.reshape(-1))
        tables = (p.col, np.arange(p.col.size) * g.shape[-1], p.row)

        def work(blocks: slice, total: np.ndarray) -> None:
            product.kernel_gradient(address, *arrays, total, *tables, *p[3:-1], tiles, blocks.start, blocks.stop)

        return p.blocks, work

    def total_size(self, x: np.ndarray, g: np.ndarray) -> int:
        """How many numbers the total of `adding` has."""
        return self._plan(x, g).col.size * g.shape[-1]

    def kernel_gradient(self, total: np.ndarray) -> np.ndarray:
        """The gradient in the kernel, flat."""
        return total

    def _plan(self, x: np.ndarray, out: np.ndarray) -> Plan:
        return _plan_of(self, x.shape, out.shape, x.itemsize)


@functools.lru_cache(maxsize=256)
def _plan_of(way: Way, x: Ints, out: Ints, itemsize: int) -> Plan:
    """The plan for arrays of these shapes."""
    shapes = Shapes(
        images=x[0],
        lengths=three(x[1:-1]),
        channels=x[-1],
        outputs=three(out[1:-1]),
        filters=out[-1],
        strides=three(way.strides),
        steps=three(way.steps),
        groups=x[-1] if way.channelwise else way.groups,
        channelwise=way.channelwise,
        itemsize=itemsize,
    )
    return plan(way.parts, shapes)


@functools.lru_cache(maxsize=256)
def way_of_convolution(sizes: Ints, slide: Slide, groups: int = 1) -> Way:
    """For results of `sizes`."""
    return Way(of_convolution(sizes, slide), slide.strides, (1,) * len(sizes), groups)


def way_of_adjoint(
    reversed_kernel: np.ndarray, input_size: Ints, sizes: Ints, slide: Slide, groups: int = 1
) -> tuple[Way, np.ndarray]:
    """For the convolutions that the adjoint of one consists of, and their kernels (taps of all, F / groups, C)."""
    parts, phases = of_adjoint(input_size, sizes, slide)
    shape = (-1, *reversed_kernel.shape[-2:])
    kernels = [reversed_kernel[phase.taps].reshape(shape) for phase in phases]
    kernel = kernels[0] if len(kernels) == 1 else np.concatenate(kernels)
    return Way(parts, (1,) * len(sizes), slide.strides, groups), plain(kernel)
