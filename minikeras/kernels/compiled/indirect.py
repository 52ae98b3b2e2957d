"""Convolutions of any kind as indirect products: what `plan` lays out, `product` computes."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ...core.memory import LINE, aligned, aligned_empty
from ..geometry import Ints, Phase, Slide
from . import product
from .jit import plain
from .packing import COUNT, FIRST, LAST, Cut, Own
from .plan import Part, Plan, Shapes, of_adjoint, of_convolution, plan, three
from .sharing import Task
from .wide import Wide

ALIGNED = 4096
"""Positions from which it pays to copy a kernel to where its rows begin with cache lines."""

Range = tuple[Any, Any, Any]
"""What a loop gets to know of a part: images, first and last block."""
IMAGES: Range = (COUNT, 0, np.iinfo(np.intp).max)
"""All blocks of a part's images."""


def blocks_of(images: int) -> Range:
    """A part's blocks of all images."""
    return images, FIRST, LAST


class Way:
    """How a convolution, or several that together fill the result, are computed; made once for each geometry.

    Args:
        parts: The convolutions.
        strides: From window to window.
        steps: From result to result of a part.
        groups: Of channels.
        channelwise: Whether each channel goes into one result only.
        wide: How some results are taken as one.
        phases: The taps of each part, if there are several.
        sums: Whether it had better be channelwise, and results be sums over channels.
    """

    def __init__(
        self, parts: tuple[Part, ...], strides: Ints, steps: Ints, groups: int, channelwise: bool, wide: Wide | None,
        phases: tuple[Phase, ...] = (), sums: bool = False,
    ) -> None:  # fmt: skip
        self.parts, self.groups, self.channelwise = parts, groups, channelwise
        self.wide, self.pixels, self.phases = wide, 1 if wide is None else wide.pixels, phases
        self.sums = sums
        self.strides = strides if wide is None else (*strides[:-1], wide.stride)
        self.steps = steps if wide is None else (*steps[:-1], 1)

    @functools.cached_property
    def by_channels(self) -> Way:
        """The same, channel by channel."""
        return Way(self.parts, self.strides, self.steps, self.groups, True, None, self.phases)

    def arranged(self, w: np.ndarray) -> np.ndarray:
        """A kernel (*window, C / groups, F), reversed for an adjoint, as `writing` takes it."""
        if self.wide is not None:
            w = self.wide.kernel(w)
        if len(self.phases) > 1:
            w = np.concatenate([w[phase.taps].reshape(-1, *w.shape[-2:]) for phase in self.phases])
        elif self.phases:
            w = w[self.phases[0].taps]
        return plain(w)

    def room(self, sizes: Ints) -> Ints:
        """The sizes of what is written or added up for results of `sizes`: wide ones may reach beyond the end."""
        return sizes if self.wide is None else (*sizes[:-1], self.wide.count * self.pixels)

    def writing(
        self, x: np.ndarray, kernel: np.ndarray, start: np.ndarray, out: np.ndarray, is_relu: bool
    ) -> tuple[int, Task]:
        """How many blocks there are, and what writes ``conv(x, kernel) + start`` to `out`; all arrays are plain.

        Of the results only the positive part is written if `is_relu`.
        """
        p = self._plan(x.shape, out, 1)
        arrays = (x.reshape(-1), _ordered(kernel, p, out), self._start(start), out.reshape(-1))
        return p.blocks, self._writing(p, arrays, is_relu, blocks_of(len(x)))

    def writing_images(self, x: np.ndarray, kernel: np.ndarray, start: np.ndarray, out: np.ndarray) -> Task:
        """As `writing`, some images after the other, from what each part has in a row of `x`: (parts, images, …)."""
        p = self._plan(x.shape[1:], out[: x.shape[1]], -(-len(out) // x.shape[1]))
        arrays = (Own(x.reshape(len(x), -1)), _ordered(kernel, p, out), self._start(start), Cut(out.reshape(-1)))
        return self._writing(p, arrays, False, IMAGES)

    def _writing(self, p: Plan, arrays: tuple[Any, ...], is_relu: bool, parts: Range) -> Task:
        dtype = arrays[1].dtype
        floor, tiles = product.floor_of(dtype, is_relu), product.tile_shapes(dtype)
        return product.convolve, (product.multiply_at.address(dtype), *arrays, *p[:-2], tiles, floor, *parts)

    def blocks(self, x: np.ndarray, g: np.ndarray) -> int:
        """How many blocks `adding` has."""
        return self._plan(x.shape, g).blocks

    def adding(self, x: np.ndarray, g: np.ndarray, totals: np.ndarray) -> Task:
        """What adds each part's gradient in the kernel, flat, to its total; all arrays are plain."""
        arrays = (x.reshape(-1), g.reshape(-1), Own(totals))
        return self._adding(self._plan(x.shape, g), g, arrays, blocks_of(len(x)))

    def adding_images(self, x: np.ndarray, g: np.ndarray, totals: np.ndarray) -> Task:
        """As `adding`, some images after the other, from what each part has in a row of `g`: (parts, images, …)."""
        arrays = (Cut(x.reshape(-1)), Own(g.reshape(len(g), -1)), Own(totals))
        return self._adding(self._plan((g.shape[1], *x.shape[1:]), g[0]), g, arrays, IMAGES)

    def _adding(self, p: Plan, g: np.ndarray, arrays: tuple[Any, ...], parts: Range) -> Task:
        steps = _steps(p.col.size, g.shape[-1] * self.pixels)
        tables = (p.col, steps, p.row, *p[3:-2], product.tile_shapes(g.dtype))
        return product.kernel_gradient, (product.multiply_at.address(g.dtype), *arrays, *tables, *parts)

    def total_size(self, x: np.ndarray, g: np.ndarray) -> int:
        """How many numbers the total of `adding` has."""
        return self._plan(x.shape, g).col.size * g.shape[-1] * self.pixels

    def kernel_gradient(self, total: np.ndarray, filters: int) -> np.ndarray:
        """The gradient in the kernel, flat."""
        if self.wide is None:
            return total
        return self.wide.kernel_gradient(total, math.prod(self.parts[0].window) // self.wide.window, filters)

    def _start(self, start: np.ndarray) -> np.ndarray:
        return start if self.wide is None else np.tile(start, self.pixels)

    def _plan(self, x: Ints, out: np.ndarray, times: int = 0) -> Plan:
        return _plan_of(self, x, out.shape, out.itemsize, times)


def _ordered(kernel: np.ndarray, p: Plan, results: np.ndarray) -> np.ndarray:
    """The kernels' rows as the plan reads them, flat."""
    rows = kernel.reshape(-1, kernel.shape[-1])
    if p.order is not None:
        out = aligned_empty((p.order.size, rows.shape[1]), rows.dtype)
        rows = rows.take(p.order, axis=0, out=out, mode="clip")
    elif results.size >= ALIGNED * rows.shape[1] and rows.strides[0] % LINE == 0:
        rows = aligned(rows)
    return rows.reshape(-1)


@functools.lru_cache(maxsize=256)
def _steps(count: int, step: int) -> np.ndarray:
    return np.arange(count) * step


@functools.lru_cache(maxsize=256)
def _plan_of(way: Way, x: Ints, out: Ints, itemsize: int, times: int) -> Plan:
    """The plan for arrays of these shapes."""
    *sizes, last, filters = out
    shapes = Shapes(
        images=x[0],
        lengths=three(x[1:-1]),
        channels=x[-1],
        outputs=three((*sizes[1:], last // way.pixels)),
        filters=filters * way.pixels,
        strides=three(way.strides),
        steps=three(way.steps),
        groups=x[-1] if way.channelwise else way.groups,
        channelwise=way.channelwise,
        itemsize=itemsize,
        beyond=three((*[0] * len(sizes[1:]), way.pixels - 1), 0) if way.channelwise else (0, 0, 0),
    )
    return plan(way.parts, shapes, times)


def way_of_convolution(
    sizes: Ints, slide: Slide, groups: int = 1, *, channelwise: bool = False, wide: Wide | None = None,
    sums: bool = False,
) -> Way:  # fmt: skip
    """For results of `sizes`."""
    parts = of_convolution(sizes, slide, wide)
    return Way(parts, slide.strides, (1,) * len(sizes), groups, channelwise, wide, sums=sums)


def way_of_adjoint(
    input_size: Ints, sizes: Ints, slide: Slide, groups: int = 1, *, channelwise: bool = False,
    wide: Wide | None = None, sums: bool = False,
) -> Way:  # fmt: skip
    """For the convolutions that the adjoint of one consists of, from outputs of `sizes` to inputs of `input_size`."""
    parts, phases = of_adjoint(input_size, sizes, slide, wide)
    return Way(parts, (1,) * len(sizes), slide.strides, groups, channelwise, wide, phases, sums)
