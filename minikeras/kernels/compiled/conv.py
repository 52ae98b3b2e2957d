"""Convolution and its gradients, of every kind, by compiled loops: as one indirect product, or Winograd's way.

Nothing is lowered to columns and no zeros are stuffed. A `Way` says how to write results and how to add up a kernel's
gradient, block by block; here it is chosen, and threads share the blocks.
"""

from __future__ import annotations

import functools
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
from . import indirect, product, wide, winograd
from .activation import pass_and_sum, relu_grad
from .jit import FLOATS, plain
from .packing import Cut, Own
from .sharing import Task, parts_of, run

Way = indirect.Way | winograd.Way

EVEN_CHANNELS, MOST_GAIN = 21, 2.5
"""Channels of both sides at which Winograd's products save what its transforms cost, and what it saves at most."""
KERNEL_RESULTS = 300
"""Results that could be computed while Winograd's algorithm transforms the kernel."""
FEW = 3
"""Filters up to which it pays to fill the vectors with channels, and sum those afterwards."""
DIRECT, EXCHANGED, BY_FILTER = "direct", "exchanged", "by filter"
"""A kernel's gradient: the input's windows for each element of the cotangent; the cotangent moved over the input, so
that vectors hold channels; or channel by channel for each filter."""
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
    way = _way(x, sizes, slide, w.shape[-1], groups)
    return _write(x, way, w, bias, sizes, activation)


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
    if not _is_covered(g, w, bias) or 0 in input_size or _is_sparse(slide):
        return by_numpy.conv_input_grad(
            g, w, bias, input_size=input_size, **_named(slide), groups=groups, activation=activation
        )
    if groups > 1 == w.shape[-2]:
        out = depthwise_input_grad(g, w.reshape(*slide.window, groups, -1), input_size=input_size, **_named(slide))
        add_bias_and_activate(out, bias, activation)
        return out
    way = _adjoint_way(g, w.shape[-2] * groups, input_size, slide, groups)
    return _write(g, way, transposed_kernel(w, groups), bias, input_size, activation)


def conv_kernel_grad(
    x: np.ndarray, g: np.ndarray, *, window: Ints, strides: Ints, padding: Padding, dilation: Ints, groups: int = 1
) -> np.ndarray:
    """As `minikeras.kernels.conv_kernel_grad`."""
    slide, channels, filters = Slide(window, strides, dilation, padding), x.shape[-1], g.shape[-1]
    if not _is_covered(x, g):
        return by_numpy.conv_kernel_grad(x, g, window=window, **_named(slide), groups=groups)
    if groups == channels > 1:
        return depthwise_kernel_grad(x, g, window=window, **_named(slide)).reshape(*window, 1, filters)
    way, how = _kernel_way(x, g, slide, groups)
    if how == EXCHANGED:
        exchanged = _kernel_grad(g, x, way).reshape(*window, filters // groups, groups, -1)
        exchanged = exchanged[(slice(None, None, -1),) * len(window)].swapaxes(-1, -3)
        return plain(exchanged.reshape(*window, channels // groups, filters))
    if how == BY_FILTER:
        parts = [_kernel_grad(x, g[..., f : f + 1].repeat(channels, -1), way) for f in range(filters)]
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
    x, w = _repeated(x, w.shape[-1]), w.reshape(*slide.window, 1, -1)
    way = _channelwise_way(x.shape, sizes, slide, x.dtype.char)
    return _write(x, way, w, bias, sizes, activation)


def depthwise_input_grad(
    g: np.ndarray, w: np.ndarray, *, input_size: Ints, strides: Ints, padding: Padding, dilation: Ints
) -> np.ndarray:
    """As `minikeras.kernels.depthwise_input_grad`."""
    slide, (channels, multiplier) = Slide(w.shape[:-2], strides, dilation, padding), w.shape[-2:]
    if not _is_covered(g, w) or 0 in input_size:
        return depthwise_by_numpy.depthwise_input_grad(g, w, input_size=input_size, **_named(slide))
    reversed_kernel = w.reshape(*slide.window, 1, -1)[(slice(None, None, -1),) * len(slide.window)]
    way = _channelwise_adjoint_way(g.shape, input_size, slide, g.dtype.char)
    out = _write(g, way, reversed_kernel, None, input_size, None)
    return out if multiplier == 1 else out.reshape(*out.shape[:-1], channels, multiplier).sum(axis=-1)


def depthwise_kernel_grad(
    x: np.ndarray, g: np.ndarray, *, window: Ints, strides: Ints, padding: Padding, dilation: Ints
) -> np.ndarray:
    """As `minikeras.kernels.depthwise_kernel_grad`."""
    slide, channels = Slide(window, strides, dilation, padding), x.shape[-1]
    if not _is_covered(x, g):
        return depthwise_by_numpy.depthwise_kernel_grad(x, g, window=window, **_named(slide))
    x = _repeated(x, g.shape[-1] // channels)
    way = _channelwise_way(x.shape, g.shape[1:-1], slide, x.dtype.char)
    return _kernel_grad(x, g, way).reshape(*window, channels, -1)


def conv_gradients(
    delta: np.ndarray,
    x: np.ndarray | None,
    w: np.ndarray | None,
    y: np.ndarray | None = None,
    *,
    needs: tuple[bool, bool, bool],
    input_size: Ints,
    window: Ints,
    strides: Ints,
    padding: Padding,
    dilation: Ints,
    groups: int = 1,
) -> Gradients:
    """As `minikeras.kernels.conv_gradients`: behind relu some images at a time, whose cotangents stay in cache."""
    slide, filters = Slide(window, strides, dilation, padding), delta.shape[-1]
    kernels, steps = (relu_grad, conv_input_grad, conv_kernel_grad), {**_named(slide), "groups": groups}
    if y is None:
        return one_by_one(kernels, (delta, x, w, y), needs, input_size, window, steps)
    given = [array for array in (x, w) if array is not None]
    step = max(CHUNK_BYTES // max(y[:1].nbytes, 1), 1)
    is_unusual = groups > 1 or 0 in input_size or not _is_covered(delta, y, *given) or len(y) < 4 * step
    forth = back = None
    if not is_unusual and needs[0] and w is not None:
        back = _adjoint_way(y, w.shape[-2], input_size, slide, 1)
        is_unusual = _is_of_whole_arrays(back, input_size) or _is_sparse(slide)
    if not is_unusual and needs[1] and x is not None:
        forth, how = _kernel_way(x, y, slide, 1)
        is_unusual = how != DIRECT or forth.room(y.shape[1:-1]) != y.shape[1:-1]
    if is_unusual:
        return one_by_one(kernels, (delta, x, w, y), needs, input_size, window, steps)
    delta, y = plain(delta), plain(y)
    parts = parts_of(len(y), 2 * y.size * math.prod(window))
    g, sums = aligned_empty((parts, step, *y.shape[1:]), y.dtype), np.zeros((parts, filters))
    flat = Cut(delta.reshape(-1)), Cut(y.reshape(-1)), Own(g.reshape(parts, -1))
    tasks: list[Task] = [(pass_and_sum, (*flat, Own(sums)))]
    dx = dw = None
    if back is not None and w is not None:
        kernel = back.arranged(transposed_kernel(w))
        dx = aligned_empty((len(y), *input_size, w.shape[-2]), w.dtype)
        tasks.append(back.writing_images(g, kernel, np.zeros(w.shape[-2], w.dtype), dx))
    if forth is not None and x is not None:
        totals = np.zeros((parts, forth.total_size(x, y)), y.dtype)
        tasks.append(forth.adding_images(plain(x), g, totals))
    run(tasks, len(y), parts, step)
    if forth is not None and x is not None:
        dw = forth.kernel_gradient(totals.sum(axis=0), filters).reshape(*window, x.shape[-1], filters)
    return dx, dw, sums.sum(axis=0).astype(y.dtype) if needs[2] else None


# ---------------------------------------------------------------------- the choice


def _is_covered(x: np.ndarray, *others: np.ndarray | None) -> bool:
    if x.ndim > 5 or not x.size or x.dtype not in FLOATS:
        return False
    return all(array is None or (array.dtype == x.dtype and array.size > 0) for array in others)


def _is_sparse(slide: Slide) -> bool:
    """Whether nearly all phases of the adjoint are zeros."""
    return math.prod(slide.strides) > SPARSE * math.prod(slide.window)


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


def _is_of_whole_arrays(way: Way, sizes: Ints) -> bool:
    """Whether a way to write results has no form for some images after the other."""
    return way.room(sizes) != sizes or _is_of_sums(way)


def _is_of_sums(way: Way) -> TypeGuard[indirect.Way]:
    """Whether results are sums over channels, as vectors of filters would mostly be empty."""
    return isinstance(way, indirect.Way) and way.sums


def _way(x: np.ndarray, sizes: Ints, slide: Slide, filters: int, groups: int) -> Way:
    """How to convolve `x`."""
    if _suits_winograd(len(x), sizes, slide, (x.shape[-1], filters), groups):
        return winograd.Way(slide.padding)
    return _indirect_way(x.shape, sizes, slide, filters, groups, x.dtype.char)


@functools.lru_cache(maxsize=256)
def _indirect_way(x: Ints, sizes: Ints, slide: Slide, filters: int, groups: int, dtype: str) -> indirect.Way:
    if groups > 1 or 0 in sizes:
        return indirect.way_of_convolution(sizes, slide, groups)
    kind, taps, depth = np.dtype(dtype), math.prod(slide.window), x[-1] * math.prod(slide.window[:-1])
    alone = wide.of_product(x[-1] * taps, filters, kind)
    sums = wide.of_sums(x[-1], filters, taps, kind) if filters <= FEW < x[-1] else math.inf
    axis, rows = _last(slide, x[-2], sizes[-1]), x[0] * math.prod(sizes[:-1])
    several = wide.of_convolution(axis, rows, filters, depth, kind, min(alone, sums))
    return indirect.way_of_convolution(sizes, slide, wide=several, sums=several is None and sums < alone)


def _adjoint_way(g: np.ndarray, channels: int, input_size: Ints, slide: Slide, groups: int) -> Way:
    """How to compute the adjoint of a convolution with results like `g`; its kernel is the reversed one."""
    if _suits_winograd(len(g), input_size, slide, (channels, g.shape[-1]), groups):
        return winograd.Way(mirrored_padding(slide))
    return _indirect_adjoint_way(g.shape, channels, input_size, slide, groups, g.dtype.char)


@functools.lru_cache(maxsize=256)
def _indirect_adjoint_way(
    g: Ints, channels: int, input_size: Ints, slide: Slide, groups: int, dtype: str
) -> indirect.Way:
    if groups > 1:
        return indirect.way_of_adjoint(input_size, g[1:-1], slide, groups)
    kind, taps = np.dtype(dtype), math.prod(slide.window) / math.prod(slide.strides)
    alone = wide.of_product(g[-1] * taps, channels, kind)
    sums = wide.of_sums(g[-1], channels, taps, kind) if channels <= FEW < g[-1] else math.inf
    axis, rows = _last(slide, input_size[-1], g[-2]), g[0] * math.prod(input_size[:-1])
    depth = g[-1] * math.prod(slide.window[:-1]) / math.prod(slide.strides[:-1])
    several = wide.of_adjoint(axis, rows, channels, depth, kind, min(alone, sums))
    return indirect.way_of_adjoint(input_size, g[1:-1], slide, wide=several, sums=several is None and sums < alone)


def _kernel_way(x: np.ndarray, g: np.ndarray, slide: Slide, groups: int) -> tuple[Way, str]:
    """How to compute the gradient in the kernel: the way, and what goes it."""
    if _suits_winograd(len(x), g.shape[1:-1], slide, (x.shape[-1], g.shape[-1]), groups):
        return winograd.Way(slide.padding), DIRECT
    return _indirect_kernel_way(x.shape, g.shape, slide, groups, x.dtype.char)


@functools.lru_cache(maxsize=256)
def _indirect_kernel_way(x: Ints, g: Ints, slide: Slide, groups: int, dtype: str) -> tuple[indirect.Way, str]:
    channels, filters, sizes, kind = x[-1] // groups, g[-1] // groups, g[1:-1], np.dtype(dtype)
    if 0 in sizes:
        return indirect.way_of_convolution(sizes, slide, groups), DIRECT
    taps = math.prod(slide.window)
    costs: dict[str, float] = {DIRECT: product.computed(taps * channels, filters, kind)}
    if max(slide.strides) == 1 and filters < channels:
        costs[EXCHANGED] = product.computed(taps * filters, channels, kind) * math.prod(x[1:-1]) / math.prod(sizes)
    if filters <= FEW < channels and groups == 1:
        costs[BY_FILTER] = 1.5 * filters * product.computed(taps, channels, kind)  # both factors are loaded
    how = min(costs, key=lambda name: costs[name])
    axis, rows, several = _last(slide, x[-2], sizes[-1]), x[0] * math.prod(sizes[:-1]), None
    if groups == 1:
        depth = taps // slide.window[-1] * channels
        several = wide.of_kernel_gradient(axis, rows, filters, depth, kind, costs[how])
    if several is not None or how == DIRECT:
        return indirect.way_of_convolution(sizes, slide, groups, wide=several), DIRECT
    if how == BY_FILTER:
        return indirect.way_of_convolution(sizes, slide, channelwise=True), how
    return indirect.way_of_convolution(x[1:-1], slide._replace(padding=mirrored_padding(slide)), groups), how


@functools.lru_cache(maxsize=256)
def _channelwise_way(x: Ints, sizes: Ints, slide: Slide, dtype: str) -> indirect.Way:
    """How to convolve each of the channels of an array of shape `x` with a window of its own."""
    axis, rows = _last(slide, x[-2], sizes[-1]), x[0] * math.prod(sizes[:-1])
    several = wide.channelwise(axis, rows, x[-1], math.prod(slide.window[:-1]), np.dtype(dtype))
    return indirect.way_of_convolution(sizes, slide, channelwise=True, wide=several)


@functools.lru_cache(maxsize=256)
def _channelwise_adjoint_way(g: Ints, input_size: Ints, slide: Slide, dtype: str) -> indirect.Way:
    axis = _last(slide._replace(padding=mirrored_padding(slide)), g[-2], input_size[-1])
    rows = g[0] * math.prod(input_size[:-1])
    several = wide.channelwise(axis, rows, g[-1], math.prod(slide.window[:-1]), np.dtype(dtype))
    return indirect.way_of_adjoint(input_size, g[1:-1], slide, channelwise=True, wide=several)


def _last(slide: Slide, length: int, results: int) -> wide.Axis:
    """What a convolution does along the last axis."""
    return wide.Axis(length, results, slide.window[-1], slide.strides[-1], slide.dilation[-1], slide.padding[-1][0])


# ---------------------------------------------------------------------- the work


def _write(
    x: np.ndarray, way: Way, w: np.ndarray, bias: np.ndarray | None, sizes: Ints, activation: str | None
) -> np.ndarray:
    """Convolve `x` (N, *spatial, C) with a kernel (*window, C / groups, F), add `bias` and activate."""
    filters = w.shape[-1]
    if 0 in sizes:
        return np.empty((len(x), *sizes, filters), x.dtype)
    if _is_of_sums(way):
        out = _sums_of_channels(x, way, w, sizes)
        add_bias_and_activate(out, bias, activation)
        return out
    kernel, room = way.arranged(w), way.room(sizes)
    out = aligned_empty((len(x), *room, filters), x.dtype)
    start = np.zeros(filters, x.dtype) if bias is None else plain(bias)
    blocks, task = way.writing(plain(x), kernel, start, out, activation == "relu")
    run([task], blocks, parts_of(blocks, x.size + out.size + _products(out, kernel.size)))
    if room != sizes:
        out = _copied(out[..., : sizes[-1], :], aligned_empty((len(x), *sizes, filters), x.dtype))
    if activation not in (None, "relu"):
        spread(lambda images: add_bias_and_activate(out[images], None, activation), len(out), 8 * out.size)
    return out


def _sums_of_channels(x: np.ndarray, way: indirect.Way, w: np.ndarray, sizes: Ints) -> np.ndarray:
    """Convolve with each filter channel by channel, and sum those afterwards."""
    channels, filters = w.shape[-2:]
    ones, by_channels, kernel = np.ones((channels, 1), x.dtype), way.by_channels, np.moveaxis(w, -1, 0)
    products = (_write(x, by_channels, each[..., None, :], None, sizes, None) for each in kernel)
    sums = [matmul(product.reshape(-1, channels), ones) for product in products]
    return np.concatenate(sums, axis=-1).reshape(len(x), *sizes, filters)


def _kernel_grad(x: np.ndarray, g: np.ndarray, way: Way) -> np.ndarray:
    """The gradient in the kernel of the convolution from `x` to `g`, flat."""
    x, g = plain(x), _filled(plain(g), way.room(g.shape[1:-1]))
    size = way.total_size(x, g)
    blocks = way.blocks(x, g)
    parts = parts_of(blocks, x.size + g.size + _products(g, size))
    totals = np.zeros((parts, size), x.dtype)
    run([way.adding(x, g, totals)], blocks, parts)
    return way.kernel_gradient(totals[0] if parts == 1 else totals.sum(axis=0), g.shape[-1])


def _filled(g: np.ndarray, room: Ints) -> np.ndarray:
    """`g` with zeros behind, as many as there is room for."""
    if room == g.shape[1:-1]:
        return g
    out = aligned_empty((len(g), *room, g.shape[-1]), g.dtype)
    out[..., g.shape[-2] :, :] = 0
    _copied(g, out[..., : g.shape[-2], :])
    return out


def _copied(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    spread(lambda images: np.copyto(target[images], source[images]), len(target), 2 * target.size)
    return target


def _products(results: np.ndarray, kernel_size: int) -> int:
    """What the products of a convolution cost, in elements that are read."""
    return results.size * kernel_size // results.shape[-1] // 64


def _repeated(x: np.ndarray, times: int) -> np.ndarray:
    """Each channel several times: one for each of its filters."""
    return x if times == 1 else x.repeat(times, axis=-1)


def _named(slide: Slide) -> dict[str, Any]:
    return {"strides": slide.strides, "padding": slide.padding, "dilation": slide.dilation}
