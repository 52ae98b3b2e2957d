"""Convolution and its gradients, of every kind, by compiled loops: as one indirect product, or Winograd's way.

Nothing is lowered to columns and no zeros are stuffed. A `Way` says how to write results and how to add up a kernel's
gradient, block by block; here it is chosen, and threads share the blocks.
"""

from __future__ import annotations

import math
from typing import Any, TypeGuard

import numpy as np

from ...core import tiers
from ...core.memory import aligned_empty
from ...core.threads import spread
from .. import conv as by_numpy
from .. import depthwise as depthwise_by_numpy
from ..conv import transposed_kernel
from ..epilogue import add_bias_and_activate
from ..geometry import Ints, Padding, Slide, mirrored_padding, output_lengths
from ..gradients import Gradients, one_by_one
from ..product import matmul
from ..winograd import MOST_CHANNELS
from . import indirect, product, winograd
from .activation import pass_and_sum, relu_grad
from .jit import is_covered, plain
from .packing import Cut, Own
from .sharing import Task, parts_of, run

Way = indirect.Way | winograd.Way

EVEN_CHANNELS, MOST_GAIN = 21, 2.5
"""Channels of both sides at which Winograd's products save what its transforms cost, and what it saves at most."""
KERNEL_RESULTS = 300
"""Results that could be computed while Winograd's algorithm transforms the kernel."""
FEW = 3
"""Filters up to which it pays to fill the vectors with channels, and sum those afterwards."""
SPARSE = 16
"""Phases of the strides per tap of the window from which nearly all have none, so that NumPy's way is faster."""
CHUNK_BYTES = 1 << 18
"""What the cotangents of some images take that stay in cache until all gradients have been computed from them."""


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
    way = _way(len(x), sizes, slide, w.shape[-2:], groups)
    return _write(x, way, way.arranged(w), bias, sizes, activation)


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
    slide = Slide(w.shape[:-2], strides, dilation, padding)
    if not _is_covered(g, w, bias) or 0 in input_size or _is_sparse(slide, w.shape[-2]):
        return by_numpy.conv_input_grad(
            g, w, bias, input_size=input_size, **_named(slide), groups=groups, activation=activation
        )
    if groups > 1 == w.shape[-2]:
        out = depthwise_input_grad(g, w.reshape(*slide.window, groups, -1), input_size=input_size, **_named(slide))
        add_bias_and_activate(out, bias, activation)
        return out
    way, kernel = _adjoint_way(g, w, input_size, slide, groups)
    return _write(g, way, kernel, bias, input_size, activation)


def conv_kernel_grad(
    x: np.ndarray, g: np.ndarray, *, window: Ints, strides: Ints, padding: Padding, dilation: Ints, groups: int = 1
) -> np.ndarray:
    """As `minikeras.kernels.conv_kernel_grad`."""
    slide, channels, filters = Slide(window, strides, dilation, padding), x.shape[-1], g.shape[-1]
    if not _is_covered(x, g):
        return by_numpy.conv_kernel_grad(x, g, window=window, **_named(slide), groups=groups)
    if groups == channels > 1:
        return depthwise_kernel_grad(x, g, window=window, **_named(slide)).reshape(*window, 1, filters)
    way = _way(len(x), g.shape[1:-1], slide, (channels, filters), groups)
    if _has_rather_channels(x, g, slide, groups):  # the cotangent moves over the input, instead of the other way round
        back = indirect.way_of_convolution(x.shape[1:-1], slide._replace(padding=mirrored_padding(slide)))
        exchanged = _kernel_grad(g, x, back).reshape(*window, filters, channels)
        return plain(exchanged[(slice(None, None, -1),) * len(window)].swapaxes(-1, -2))
    if _has_few(way, filters, channels):
        by_channels = way._replace(channelwise=True)
        parts = [_kernel_grad(x, g[..., f : f + 1].repeat(channels, -1), by_channels) for f in range(filters)]
        return np.stack(parts, axis=-1).reshape(*window, channels, filters)
    return _kernel_grad(x, g, way).reshape(*window, channels // groups, filters)


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
    way = indirect.way_of_convolution(sizes, slide)._replace(channelwise=True)
    kernel = way.arranged(w.reshape(*slide.window, 1, -1))
    return _write(_repeated(x, w.shape[-1]), way, kernel, bias, sizes, activation)


def depthwise_input_grad(
    g: np.ndarray, w: np.ndarray, *, input_size: Ints, strides: Ints, padding: Padding, dilation: Ints
) -> np.ndarray:
    """As `minikeras.kernels.depthwise_input_grad`."""
    slide, (channels, multiplier) = Slide(w.shape[:-2], strides, dilation, padding), w.shape[-2:]
    if not _is_covered(g, w) or 0 in input_size:
        return depthwise_by_numpy.depthwise_input_grad(g, w, input_size=input_size, **_named(slide))
    reversed_kernel = w.reshape(*slide.window, 1, -1)[(slice(None, None, -1),) * len(slide.window)]
    way, kernel = indirect.way_of_adjoint(reversed_kernel, input_size, g.shape[1:-1], slide)
    out = _write(g, way._replace(channelwise=True), kernel, None, input_size, None)
    return out if multiplier == 1 else out.reshape(*out.shape[:-1], channels, multiplier).sum(axis=-1)


def depthwise_kernel_grad(
    x: np.ndarray, g: np.ndarray, *, window: Ints, strides: Ints, padding: Padding, dilation: Ints
) -> np.ndarray:
    """As `minikeras.kernels.depthwise_kernel_grad`."""
    slide, channels = Slide(window, strides, dilation, padding), x.shape[-1]
    if not _is_covered(x, g):
        return depthwise_by_numpy.depthwise_kernel_grad(x, g, window=window, **_named(slide))
    way = indirect.way_of_convolution(g.shape[1:-1], slide)._replace(channelwise=True)
    return _kernel_grad(_repeated(x, g.shape[-1] // channels), g, way).reshape(*window, channels, -1)


def relu_conv_gradients(
    delta: np.ndarray,
    x: np.ndarray | None,
    w: np.ndarray | None,
    y: np.ndarray,
    *,
    needs: tuple[bool, bool, bool],
    input_size: Ints,
    window: Ints,
    strides: Ints,
    padding: Padding,
    dilation: Ints,
    groups: int = 1,
) -> Gradients:
    """As `minikeras.kernels.relu_conv_gradients`: some images at a time, whose cotangents stay in cache."""
    slide, filters = Slide(window, strides, dilation, padding), y.shape[-1]
    given = [array for array in (x, w) if array is not None]
    step = max(CHUNK_BYTES // max(y[:1].nbytes, 1), 1)
    is_unusual = groups > 1 or 0 in input_size or not _is_covered(delta, y, *given) or len(y) < 4 * step
    if is_unusual or _is_of_whole_arrays(needs, x, w, y, slide):
        kernels, steps = (relu_grad, conv_input_grad, conv_kernel_grad), {**_named(slide), "groups": groups}
        return one_by_one(kernels, (delta, x, w, y), needs, input_size, window, steps)
    delta, y = plain(delta), plain(y)
    parts = parts_of(len(y), 2 * y.size * math.prod(window))
    g, sums = aligned_empty((parts, step, *y.shape[1:]), y.dtype), np.zeros((parts, filters))
    flat = Cut(delta.reshape(-1)), Cut(y.reshape(-1)), Own(g.reshape(parts, -1))
    tasks: list[Task] = [(pass_and_sum, (*flat, Own(sums)))]
    dx = dw = None
    if needs[0] and w is not None:
        way, kernel = _adjoint_way(y, w, input_size, slide, 1)
        dx = aligned_empty((len(y), *input_size, w.shape[-2]), w.dtype)
        tasks.append(way.writing_images(g, kernel, np.zeros(w.shape[-2], w.dtype), dx))
    if needs[1] and x is not None:
        way = _way(len(x), y.shape[1:-1], slide, (x.shape[-1], filters), 1)
        totals = np.zeros((parts, way.total_size(x, y)), y.dtype)
        tasks.append(way.adding_images(plain(x), g, totals))
    run(tasks, len(y), parts, step)
    if needs[1] and x is not None:
        dw = way.kernel_gradient(totals.sum(axis=0)).reshape(*window, x.shape[-1], filters)
    return dx, dw, sums.sum(axis=0).astype(y.dtype) if needs[2] else None


# ---------------------------------------------------------------------- the choice


def _is_covered(x: np.ndarray, *others: np.ndarray | None) -> bool:
    return x.ndim <= 5 and is_covered(x, *others) and all(a is None or a.size > 0 for a in (x, *others))


def _is_sparse(slide: Slide, channels: int) -> bool:
    """Whether nearly all phases of the adjoint are zeros, or each has one tap for few channels."""
    phases, taps = math.prod(slide.strides), math.prod(slide.window)
    return phases > SPARSE * taps or (phases >= taps > 1 and channels <= FEW)


def _suits_winograd(images: int, sizes: Ints, slide: Slide, channels: Ints, groups: int) -> bool:
    """Whether Winograd's algorithm is faster, though it computes what of its tiles is beyond the edge as well."""
    if slide[:3] != ((3, 3), (1, 1), (1, 1)) or groups > 1 or not tiers.winograd():
        return False
    if min(channels) < 16 or max(channels) > MOST_CHANNELS:
        return False
    computed = images * math.prod(4 * -(-size // 4) for size in sizes)
    both = 2 * math.prod(channels) / sum(channels)  # harmonic mean: transforms are of each side, products of both
    gain = min(both / EVEN_CHANNELS, MOST_GAIN)
    return computed / gain + KERNEL_RESULTS < images * math.prod(sizes)


def _has_rather_channels(x: np.ndarray, g: np.ndarray, slide: Slide, groups: int = 1) -> bool:
    """Whether the gradient in the kernel is better made of vectors of channels, as those of filters are less full."""
    channels, filters, taps = x.shape[-1], g.shape[-1], math.prod(slide.window)
    if groups > 1 or max(slide.strides) > 1 or filters >= channels:
        return False
    if _suits_winograd(len(x), g.shape[1:-1], slide, (channels, filters), groups):
        return False
    by_filters = g[..., 0].size * product.computed(taps * channels, filters, g.dtype)
    return x[..., 0].size * product.computed(taps * filters, channels, g.dtype) < by_filters


def _is_of_whole_arrays(
    needs: tuple[bool, bool, bool], x: np.ndarray | None, w: np.ndarray | None, y: np.ndarray, slide: Slide
) -> bool:
    """Whether the way of a gradient has no form for some images after the other."""
    if needs[0] and w is not None and (_is_sparse(slide, w.shape[-2]) or w.shape[-2] <= FEW < y.shape[-1]):
        return True
    return needs[1] and x is not None and _has_rather_channels(x, y, slide)


def _has_few(way: Way, filters: int, channels: int) -> TypeGuard[indirect.Way]:
    """Whether vectors would mostly be empty, so that they had better hold channels."""
    return filters <= FEW < channels and isinstance(way, indirect.Way) and way.groups == 1 and not way.channelwise


def _way(images: int, sizes: Ints, slide: Slide, channels: Ints, groups: int) -> Way:
    """How to convolve."""
    if _suits_winograd(images, sizes, slide, channels, groups):
        return winograd.Way(slide.padding)
    return indirect.way_of_convolution(sizes, slide, groups)


def _adjoint_way(g: np.ndarray, w: np.ndarray, input_size: Ints, slide: Slide, groups: int) -> tuple[Way, np.ndarray]:
    """How to compute the adjoint of a convolution with `w`, and the kernel for it."""
    reversed_kernel = transposed_kernel(w, groups)
    if _suits_winograd(len(g), input_size, slide, w.shape[-2:], groups):
        way = winograd.Way(mirrored_padding(slide))
        return way, way.arranged(reversed_kernel)
    return indirect.way_of_adjoint(reversed_kernel, input_size, g.shape[1:-1], slide, groups)


# ---------------------------------------------------------------------- the work


def _write(
    x: np.ndarray, way: Way, kernel: np.ndarray, bias: np.ndarray | None, sizes: Ints, activation: str | None
) -> np.ndarray:
    """Convolve `x` (N, *spatial, C) with `kernel` (any, C / groups, F), add `bias` and activate."""
    channels, filters = x.shape[-1], kernel.shape[-1]
    if 0 in sizes:
        return np.empty((len(x), *sizes, filters), x.dtype)
    if _has_few(way, filters, channels):
        ones, way = np.ones((channels, 1), x.dtype), way._replace(channelwise=True)
        kernels = (plain(kernel[..., f].reshape(-1, 1, channels)) for f in range(filters))
        sums = [matmul(_write(x, way, each, None, sizes, None).reshape(-1, channels), ones) for each in kernels]
        out = np.concatenate(sums, axis=-1).reshape(len(x), *sizes, filters)
        add_bias_and_activate(out, bias, activation)
        return out
    out = aligned_empty((len(x), *sizes, filters), x.dtype)
    start = np.zeros(filters, x.dtype) if bias is None else plain(bias)
    blocks, task = way.writing(plain(x), kernel, start, out, activation == "relu")
    run([task], blocks, parts_of(blocks, x.size + out.size + _products(out, kernel.size)))
    if activation not in (None, "relu"):
        spread(lambda images: add_bias_and_activate(out[images], None, activation), len(out), 8 * out.size)
    return out


def _kernel_grad(x: np.ndarray, g: np.ndarray, way: Way) -> np.ndarray:
    """The gradient in the kernel of the convolution from `x` to `g`, flat."""
    x, g, size = plain(x), plain(g), way.total_size(x, g)
    blocks = way.blocks(x, g)
    parts = parts_of(blocks, x.size + g.size + _products(g, size))
    totals = np.zeros((parts, size), x.dtype)
    run([way.adding(x, g, totals)], blocks, parts)
    return way.kernel_gradient(totals.sum(axis=0))


def _products(results: np.ndarray, kernel_size: int) -> int:
    """What the products of a convolution cost, in elements that are read."""
    return results.size * kernel_size // results.shape[-1] // 64


def _repeated(x: np.ndarray, times: int) -> np.ndarray:
    """Each channel several times: one for each of its filters."""
    return x if times == 1 else x.repeat(times, axis=-1)


def _named(slide: Slide) -> dict[str, Any]:
    return {"strides": slide.strides, "padding": slide.padding, "dilation": slide.dilation}
