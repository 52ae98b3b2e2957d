"""Convolutions of any kind as indirect products: what `plan` lays out, `product` computes."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from ..geometry import Ints, Slide
from . import product
from .jit import plain
from .packing import COUNT, FIRST, LAST, Cut, Own
from .plan import Part, Plan, Shapes, of_adjoint, of_convolution, plan, three
from .sharing import Task

Range = tuple[Any, Any, Any]
"""What a loop gets to know of a part: images, first and last block."""
IMAGES: Range = (COUNT, 0, np.iinfo(np.intp).max)
"""All blocks of a part's images."""


def blocks_of(images: int) -> Range:
    """A part's blocks of all images."""
    return images, FIRST, LAST


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

    def writing(
        self, x: np.ndarray, kernel: np.ndarray, start: np.ndarray, out: np.ndarray, is_relu: bool
    ) -> tuple[int, Task]:
        """How many blocks there are, and what writes ``conv(x, kernel) + start`` to `out`; all arrays are plain.

        Of the results only the positive part is written if `is_relu`.
        """
        p = self._plan(x, out)
        arrays = (x.reshape(-1), kernel.reshape(-1), start, out.reshape(-1))
        return p.blocks, self._writing(p, arrays, is_relu, blocks_of(len(x)))

    def writing_images(self, x: np.ndarray, kernel: np.ndarray, start: np.ndarray, out: np.ndarray) -> Task:
        """As `writing`, some images after the other, from what each part has in a row of `x`: (parts, images, …)."""
        p = self._plan(x[0], out[: x.shape[1]])
        arrays = (Own(x.reshape(len(x), -1)), kernel.reshape(-1), start, Cut(out.reshape(-1)))
        return self._writing(p, arrays, False, IMAGES)

    def _writing(self, p: Plan, arrays: tuple[Any, ...], is_relu: bool, parts: Range) -> Task:
        dtype = arrays[1].dtype
        floor, tiles = dtype.type(0 if is_relu else -np.inf), product.tile_shapes(dtype)
        return product.convolve, (product.multiply_at.address(dtype), *arrays, *p[:-1], tiles, floor, *parts)

    def blocks(self, x: np.ndarray, g: np.ndarray) -> int:
        """How many blocks `adding` has."""
        return self._plan(x, g).blocks

    def adding(self, x: np.ndarray, g: np.ndarray, totals: np.ndarray) -> Task:
        """What adds each part's gradient in the kernel, flat, to its total; all arrays are plain."""
        arrays = (x.reshape(-1), g.reshape(-1), Own(totals))
        return self._adding(self._plan(x, g), g, arrays, blocks_of(len(x)))

    def adding_images(self, x: np.ndarray, g: np.ndarray, totals: np.ndarray) -> Task:
        """As `adding`, some images after the other, from what each part has in a row of `g`: (parts, images, …)."""
        arrays = (Cut(x.reshape(-1)), Own(g.reshape(len(g), -1)), Own(totals))
        return self._adding(self._plan(x[: g.shape[1]], g[0]), g, arrays, IMAGES)

    def _adding(self, p: Plan, g: np.ndarray, arrays: tuple[Any, ...], parts: Range) -> Task:
        tables = (p.col, np.arange(p.col.size) * g.shape[-1], p.row, *p[3:-1], product.tile_shapes(g.dtype))
        return product.kernel_gradient, (product.multiply_at.address(g.dtype), *arrays, *tables, *parts)

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
