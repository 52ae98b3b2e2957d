"""Convolutions of any kind as indirect products: what `plan` lays out, `product` computes."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from ...core.memory import LINE, aligned, aligned_empty
from ..geometry import Ints, Phase, Slide
from . import product
from .jit import Loop, plain
from .packing import COUNT, FIRST, LAST
from .plan import PIECES, Part, Plan, Shapes, of_adjoint, of_convolution, plan, three
from .sharing import Task, run
from .wide import Wide

ALIGNED = 4096
"""Positions from which it pays to copy a kernel to where its rows begin with cache lines."""
IMAGES = (COUNT, 0, np.iinfo(np.intp).max)
"""What stands for a part's images among the arguments of a loop, and for all their blocks."""


class Job(NamedTuple):
    """What a loop does with arrays of certain shapes.

    Attributes:
        loop, address: What is called, and where the product is that it calls.
        tables: Its arguments behind the arrays.
        images, blocks: How many there are.
        order: The rows of the kernel, as `Plan.order`.
        results: How many numbers are written.
    """

    loop: Loop
    address: int
    tables: tuple[np.ndarray, ...]
    images: int
    blocks: int
    order: np.ndarray | None = None
    results: int = 0

    def ordered(self, kernel: np.ndarray) -> np.ndarray:
        """The kernel's rows in the order in which they are multiplied, flat."""
        columns = kernel.shape[-1]
        if self.order is not None:
            out = aligned_empty((self.order.size, columns), kernel.dtype)
            kernel = kernel.reshape(-1, columns).take(self.order, axis=0, out=out, mode="clip")
        elif self.results >= ALIGNED * columns and columns * kernel.itemsize % LINE == 0:
            kernel = aligned(kernel)
        return kernel.reshape(-1)

    def run(self, arrays: tuple[Any, ...], parts: int, *rest: Any) -> None:
        """Do it in so many parts; `rest` are arguments behind the tables."""
        if parts == 1:
            self.loop(self.address, *arrays, *self.tables, *rest, self.images, 0, self.blocks)
        else:
            run([self.task(arrays, *rest, self.images, FIRST, LAST)], self.blocks, parts)

    def task(self, arrays: tuple[Any, ...], *rest: Any) -> Task:
        """The loop with all its arguments."""
        return self.loop, (self.address, *arrays, *self.tables, *rest)


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

    def writing(self, x: Ints, out: Ints, dtype: np.dtype, pieces: int = PIECES, times: int = 1) -> Job:
        """What writes the results for an input of shape `x` to an array of shape `out`, so many `times`.

        Its arrays are input, kernel, what the sums begin with, and results; then comes the least value of a result.
        """
        p = self._plan(x, out, dtype, pieces, times)
        tables = (*p[:-2], product.tile_shapes(dtype))
        address, results = product.multiply_at.address(dtype), times * math.prod(out)
        return Job(product.convolve, address, tables, x[0], p.blocks, p.order, results)

    def adding(self, x: Ints, g: Ints, dtype: np.dtype, pieces: int = PIECES) -> Job:
        """What adds the gradient in the kernel, flat, to a total; its arrays are input, cotangent and total."""
        p = self._plan(x, g, dtype, pieces)
        tables = (p.col, _steps(p.col.size, g[-1] * self.pixels), p.row, *p[3:-2], product.tile_shapes(dtype))
        return Job(product.kernel_gradient, product.multiply_at.address(dtype), tables, x[0], p.blocks)

    def total_size(self, x: Ints, g: Ints, dtype: np.dtype) -> int:
        """How many numbers the total of `adding` has."""
        return self._plan(x, g, dtype, PIECES).col.size * g[-1] * self.pixels

    def kernel_gradient(self, total: np.ndarray, filters: int) -> np.ndarray:
        """The gradient in the kernel, flat."""
        if self.wide is None:
            return total
        return self.wide.kernel_gradient(total, math.prod(self.parts[0].window) // self.wide.window, filters)

    def start(self, bias: np.ndarray) -> np.ndarray:
        """What the sums of `writing` begin with."""
        return plain(bias) if self.wide is None else np.tile(bias, self.pixels)

    def _plan(self, x: Ints, out: Ints, dtype: np.dtype, pieces: int, times: int = 0) -> Plan:
        return _plan_of(self, x, out, dtype.itemsize, pieces, times)


@functools.lru_cache(maxsize=256)
def _steps(count: int, step: int) -> np.ndarray:
    return np.arange(count) * step


@functools.lru_cache(maxsize=256)
def _plan_of(way: Way, x: Ints, out: Ints, itemsize: int, pieces: int, times: int) -> Plan:
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
        pieces=pieces,
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
