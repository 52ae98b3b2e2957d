"""Convolution and its two gradients, of every kind, by compiled loops: as one indirect product, or Winograd's way.

Nothing is lowered to columns and no zeros are stuffed: `plan` says where everything is, and `product` multiplies.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...core import tiers
from ...core.memory import aligned_empty
from ...core.threads import spread
from .. import conv as by_numpy
from .. import depthwise as depthwise_by_numpy
from ..conv import transposed_kernel
from ..epilogue import add_bias_and_activate
from ..geometry import Ints, Padding, Slide, mirrored_padding, output_lengths
from . import product, winograd
from .jit import is_covered, plain
from .plan import Part, Plan, Shapes, of_adjoint, of_convolution, plan, three

LEAST_RESULTS = 256
"""Pixels of the output from which Winograd's algorithm pays."""
FEW = 3
"""Filters up to which it pays to fill the vectors with channels, and sum those afterwards."""


def conv(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    strides: Ints,
    padding: Padding,
    dilation: Ints,
    groups: int = 1,
    activation: str | None = None,
) -> np.ndarray:
    """As `minikeras.kernels.conv`."""
    slide = Slide(w.shape[:-2], strides, dilation, padding)
    if not _is_covered(x, w, bias):
        return by_numpy.conv(x, w, bias, **_named(slide), groups=groups, activation=activation)
    if groups == x.shape[-1] > 1:
        w = w.reshape(*w.shape[:-2], groups, -1)
        return depthwise_conv(x, w, bias, **_named(slide), activation=activation)
    sizes = output_lengths(x.shape[1:-1], *slide)
    if _suits_winograd(len(x), sizes, slide, w.shape[-2:], groups):
        return winograd.convolve(x, w, bias, sizes=sizes, padding=padding, activation=activation)
    task = _Task(of_convolution(sizes, slide), strides, (1,) * len(sizes), groups)
    return _write(x, w.reshape(-1, *w.shape[-2:]), bias, sizes, task, activation)


def conv_input_grad(
    g: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    input_size: Ints,
    strides: Ints,
    padding: Padding,
    dilation: Ints,
    groups: int = 1,
    activation: str | None = None,
) -> np.ndarray:
    """As `minikeras.kernels.conv_input_grad`."""
    slide, channels = Slide(w.shape[:-2], strides, dilation, padding), w.shape[-2:]
    if not _is_covered(g, w, bias):
        return by_numpy.conv_input_grad(
            g, w, bias, input_size=input_size, **_named(slide), groups=groups, activation=activation
        )
    if groups > 1 == channels[0]:
        out = depthwise_input_grad(g, w.reshape(*slide.window, groups, -1), input_size=input_size, **_named(slide))
        add_bias_and_activate(out, bias, activation)
        return out
    reversed_kernel = transposed_kernel(w, groups)
    if _suits_winograd(len(g), input_size, slide, channels, groups):
        padding = mirrored_padding(slide)
        return winograd.convolve(g, reversed_kernel, bias, sizes=input_size, padding=padding, activation=activation)
    task, kernel = _adjoint(reversed_kernel, input_size, g.shape[1:-1], slide, groups)
    return _write(g, kernel, bias, input_size, task, activation)


def conv_kernel_grad(
    x: np.ndarray, g: np.ndarray, *, window: Ints, strides: Ints, padding: Padding, dilation: Ints, groups: int = 1
) -> np.ndarray:
    """As `minikeras.kernels.conv_kernel_grad`."""
    slide, channels, filters = Slide(window, strides, dilation, padding), x.shape[-1], g.shape[-1]
    if not _is_covered(x, g):
        return by_numpy.conv_kernel_grad(x, g, window=window, **_named(slide), groups=groups)
    if groups == channels > 1:
        return depthwise_kernel_grad(x, g, window=window, **_named(slide)).reshape(*window, 1, filters)
    if _suits_winograd(len(x), g.shape[1:-1], slide, (channels, filters), groups):
        return winograd.kernel_grad(x, g, padding)
    task = _Task(of_convolution(g.shape[1:-1], slide), strides, (1,) * len(window), groups)
    if groups == 1 and filters <= FEW < channels:
        parts = [_kernel_grad(x, g[..., f : f + 1].repeat(channels, -1), task.channelwise()) for f in range(filters)]
        dw = np.stack(parts, axis=-1)
    else:
        dw = _kernel_grad(x, g, task)
    return dw.reshape(*window, channels // groups, filters)


def depthwise_conv(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    strides: Ints,
    padding: Padding,
    dilation: Ints,
    activation: str | None = None,
) -> np.ndarray:
    """As `minikeras.kernels.depthwise_conv`."""
    slide = Slide(w.shape[:-2], strides, dilation, padding)
    if not _is_covered(x, w, bias):
        return depthwise_by_numpy.depthwise_conv(x, w, bias, **_named(slide), activation=activation)
    sizes = output_lengths(x.shape[1:-1], *slide)
    task = _Task(of_convolution(sizes, slide), strides, (1,) * len(sizes)).channelwise()
    return _write(_repeated(x, w.shape[-1]), w.reshape(-1, 1, w.shape[-2] * w.shape[-1]), bias, sizes, task, activation)


def depthwise_input_grad(
    g: np.ndarray, w: np.ndarray, *, input_size: Ints, strides: Ints, padding: Padding, dilation: Ints
) -> np.ndarray:
    """As `minikeras.kernels.depthwise_input_grad`."""
    slide, (channels, multiplier) = Slide(w.shape[:-2], strides, dilation, padding), w.shape[-2:]
    if not _is_covered(g, w):
        return depthwise_by_numpy.depthwise_input_grad(g, w, input_size=input_size, **_named(slide))
    reversed_kernel = w.reshape(*slide.window, 1, -1)[(slice(None, None, -1),) * len(slide.window)]
    task, kernel = _adjoint(reversed_kernel, input_size, g.shape[1:-1], slide, 1)
    out = _write(g, kernel, None, input_size, task.channelwise(), None)
    return out if multiplier == 1 else out.reshape(*out.shape[:-1], channels, multiplier).sum(axis=-1)


def depthwise_kernel_grad(
    x: np.ndarray, g: np.ndarray, *, window: Ints, strides: Ints, padding: Padding, dilation: Ints
) -> np.ndarray:
    """As `minikeras.kernels.depthwise_kernel_grad`."""
    slide, channels = Slide(window, strides, dilation, padding), x.shape[-1]
    if not _is_covered(x, g):
        return depthwise_by_numpy.depthwise_kernel_grad(x, g, window=window, **_named(slide))
    task = _Task(of_convolution(g.shape[1:-1], slide), strides, (1,) * len(window)).channelwise()
    return _kernel_grad(_repeated(x, g.shape[-1] // channels), g, task).reshape(*window, channels, -1)


# ---------------------------------------------------------------------- the choice


def _is_covered(x: np.ndarray, *others: np.ndarray | None) -> bool:
    return x.ndim <= 5 and is_covered(x, *others) and all(a is None or a.size > 0 for a in (x, *others))


def _suits_winograd(images: int, sizes: Ints, slide: Slide, channels: Ints, groups: int) -> bool:
    """Whether the products saved outweigh the transforms, that of the kernel included.

    Tiles of 4 x 4 results mustn't go far beyond the edge.
    """
    if slide[:3] != ((3, 3), (1, 1), (1, 1)) or groups > 1 or not tiers.winograd():
        return False
    results = math.prod(sizes)
    computed = math.prod(4 * -(-size // 4) for size in sizes)
    is_wide = 16 <= min(channels) <= max(channels) <= winograd.MOST_CHANNELS
    return is_wide and computed <= 2 * results and images * results >= LEAST_RESULTS


# ---------------------------------------------------------------------- the indirect product


class _Task(NamedTuple):
    """What a plan needs to know besides the arrays."""

    parts: tuple[Part, ...]
    strides: Ints
    steps: Ints
    groups: int = 1
    is_channelwise: bool = False

    def channelwise(self) -> _Task:
        return self._replace(is_channelwise=True)

    def plan(self, x: np.ndarray, sizes: Ints, filters: int) -> Plan:
        return plan(
            self.parts,
            Shapes(
                images=len(x),
                lengths=three(x.shape[1:-1]),
                channels=x.shape[-1],
                outputs=three(sizes),
                filters=filters,
                strides=three(self.strides),
                steps=three(self.steps),
                groups=x.shape[-1] if self.is_channelwise else self.groups,
                channelwise=self.is_channelwise,
                itemsize=x.itemsize,
            ),
        )


def _adjoint(
    reversed_kernel: np.ndarray, input_size: Ints, sizes: Ints, slide: Slide, groups: int
) -> tuple[_Task, np.ndarray]:
    """The convolutions that the adjoint of one consists of, and their kernels (taps of all, F / groups, C)."""
    parts, phases = of_adjoint(input_size, sizes, slide)
    shape = (-1, *reversed_kernel.shape[-2:])
    kernels = [reversed_kernel[phase.taps].reshape(shape) for phase in phases]
    kernel = kernels[0] if len(kernels) == 1 else np.concatenate(kernels)
    return _Task(parts, (1,) * len(sizes), slide.strides, groups), kernel


def _write(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, sizes: Ints, task: _Task, activation: str | None
) -> np.ndarray:
    """Convolve `x` (N, *spatial, C) with `w` (taps, C / groups, F), add `bias` and activate."""
    channels, filters = x.shape[-1], w.shape[-1]
    if filters <= FEW < channels and task.groups == 1 and not task.is_channelwise:
        ones, task = np.ones((channels, 1), x.dtype), task.channelwise()
        sums = [_write(x, w[..., f : f + 1].swapaxes(1, 2), None, sizes, task, None) @ ones for f in range(filters)]
        out = sums[0] if filters == 1 else np.concatenate(sums, axis=-1)
        add_bias_and_activate(out, bias, activation)
        return out
    out = aligned_empty((len(x), *sizes, filters), x.dtype)
    if out.size == 0:
        return out
    start = np.zeros(filters, x.dtype) if bias is None else plain(bias)
    floor = x.dtype.type(0 if activation == "relu" else -np.inf)
    p = task.plan(x, sizes, filters)
    arrays = (plain(x).reshape(-1), plain(w).reshape(-1), start, out.reshape(-1))
    where, tiles = p[:-1], product.tile_shapes(x.dtype)

    def work(blocks: slice) -> None:
        product.convolve(*arrays, *where, tiles, floor, blocks.start, blocks.stop)

    spread(work, p.blocks, x.size + out.size + out.size * p.col.size // 64)
    if activation not in (None, "relu"):
        spread(lambda images: add_bias_and_activate(out[images], None, activation), len(out), 8 * out.size)
    return out


def _kernel_grad(x: np.ndarray, g: np.ndarray, task: _Task) -> np.ndarray:
    """The gradient (elements of a window, F) in the kernel, of the convolution from `x` to `g`."""
    filters = g.shape[-1]
    p = task.plan(x, g.shape[1:-1], filters)
    out_row = np.arange(p.col.size) * filters
    arrays = plain(x).reshape(-1), plain(g).reshape(-1)
    where, tiles = (p.col, out_row, p.row, p.parts, p.layout, *p[5:8]), product.tile_shapes(x.dtype)

    def work(blocks: slice) -> np.ndarray:
        total = np.zeros(p.col.size * filters, x.dtype)
        product.kernel_gradient(*arrays, total, *where, tiles, blocks.start, blocks.stop)
        return total

    totals = spread(work, p.blocks, x.size + g.size + g.size * p.col.size // 64)
    return sum(totals[1:], start=totals[0]).reshape(-1, filters)


def _repeated(x: np.ndarray, times: int) -> np.ndarray:
    """Each channel several times: one for each of its filters."""
    return x if times == 1 else x.repeat(times, axis=-1)


def _named(slide: Slide) -> dict[str, Any]:
    return {"strides": slide.strides, "padding": slide.padding, "dilation": slide.dilation}
