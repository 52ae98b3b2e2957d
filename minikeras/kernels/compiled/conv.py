"""Convolution and its gradients, of every kind, by compiled loops: as one indirect product, or Winograd's way.

Nothing is lowered to columns and no zeros are stuffed. A `Way` says how to write results and how to add up a kernel's
gradient, block by block; here it is chosen, once for arrays of certain shapes.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ...core import tiers
from ...core.memory import aligned_empty
from .. import conv as by_numpy
from .. import depthwise as depthwise_by_numpy
from ..conv import transposed_kernel
from ..epilogue import add_bias_and_activate
from ..geometry import Ints, Padding, Slide, mirrored_padding, output_lengths
from ..gradients import Gradients, one_by_one
from ..winograd import MOST_CHANNELS
from . import indirect, product, wide, winograd
from .activation import pass_and_sum, relu_grad
from .indirect import IMAGES
from .jit import FLOATS, plain
from .packing import Cut, Own
from .prepared import Adder, Way, Writer, is_of_sums
from .product import floor_of
from .reduction import add_rows
from .sharing import Task, parts_of, run

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
"""Phases of the strides per tap of the window, or results per position of the cotangent, from which nearly all that an
adjoint reads is zero, so that NumPy's way is faster."""
TAP_PRODUCTS = 600_000
"""Products in whose time NumPy adds up what one tap gives."""
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
    if not _is_covered(x, w, bias):
        return by_numpy.conv(
            x, w, bias, strides=strides, padding=padding, dilation=dilation, groups=groups, activation=activation
        )
    if groups == x.shape[-1] > 1:
        w = w.reshape(*w.shape[:-2], groups, -1)
        return depthwise_conv(x, w, bias, strides=strides, padding=padding, dilation=dilation, activation=activation)
    write = _convolution(x.shape, w.shape, strides, dilation, padding, groups, x.dtype, tiers.winograd())
    return write(x, w, bias, activation)


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
    steps: dict[str, Any] = {"strides": strides, "padding": padding, "dilation": dilation}
    is_depthwise, write = groups > 1 == w.shape[-2], None
    if _is_covered(g, w, bias) and 0 not in input_size and not is_depthwise:
        result = (*input_size, w.shape[-2] * groups)
        write = _adjoint(g.shape, result, w.shape[:-2], strides, dilation, padding, groups, g.dtype, tiers.winograd())
    if write is not None:
        return write(g, transposed_kernel(w, groups), bias, activation)
    if not is_depthwise:
        return by_numpy.conv_input_grad(
            g, w, bias, input_size=input_size, **steps, groups=groups, activation=activation
        )
    w = w.reshape(*w.shape[:-2], groups, -1)
    out = depthwise_input_grad(g, w, input_size=input_size, **steps)
    add_bias_and_activate(out, bias, activation)
    return out


def conv_kernel_grad(
    x: np.ndarray, g: np.ndarray, *, window: Ints, strides: Ints, padding: Padding, dilation: Ints, groups: int = 1
) -> np.ndarray:
    """As `minikeras.kernels.conv_kernel_grad`."""
    steps: dict[str, Any] = {"strides": strides, "padding": padding, "dilation": dilation}
    channels, filters = x.shape[-1], g.shape[-1]
    if not _is_covered(x, g):
        return by_numpy.conv_kernel_grad(x, g, window=window, **steps, groups=groups)
    if groups == channels > 1:
        return depthwise_kernel_grad(x, g, window=window, **steps).reshape(*window, 1, filters)
    add, how = _kernel_gradient(x.shape, g.shape, window, strides, dilation, padding, groups, g.dtype, tiers.winograd())
    if how == EXCHANGED:
        exchanged = add(g, x).reshape(*window, filters // groups, groups, -1)
        exchanged = exchanged[(slice(None, None, -1),) * len(window)].swapaxes(-1, -3)
        return plain(exchanged.reshape(*window, channels // groups, filters))
    if how == BY_FILTER:
        parts = [add(x, g[..., f : f + 1].repeat(channels, -1)) for f in range(filters)]
        return np.stack(parts, axis=-1).reshape(*window, channels, filters)
    return add(x, g).reshape(*window, channels // groups, filters)


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
    if not _is_covered(x, w, bias):
        return depthwise_by_numpy.depthwise_conv(
            x, w, bias, strides=strides, padding=padding, dilation=dilation, activation=activation
        )
    x, w = _repeated(x, w.shape[-1]), w.reshape(*w.shape[:-2], 1, -1)
    write = _channelwise(x.shape, w.shape[:-2], strides, dilation, padding, x.dtype)
    return write(x, w, bias, activation)


def depthwise_input_grad(
    g: np.ndarray, w: np.ndarray, *, input_size: Ints, strides: Ints, padding: Padding, dilation: Ints
) -> np.ndarray:
    """As `minikeras.kernels.depthwise_input_grad`."""
    window, (channels, multiplier) = w.shape[:-2], w.shape[-2:]
    if not _is_covered(g, w) or 0 in input_size:
        return depthwise_by_numpy.depthwise_input_grad(
            g, w, input_size=input_size, strides=strides, padding=padding, dilation=dilation
        )
    reversed_kernel = w.reshape(*window, 1, -1)[(slice(None, None, -1),) * len(window)]
    write = _channelwise_adjoint(g.shape, input_size, window, strides, dilation, padding, g.dtype)
    out = write(g, reversed_kernel, None, None)
    return out if multiplier == 1 else out.reshape(*out.shape[:-1], channels, multiplier).sum(axis=-1)


def depthwise_kernel_grad(
    x: np.ndarray, g: np.ndarray, *, window: Ints, strides: Ints, padding: Padding, dilation: Ints
) -> np.ndarray:
    """As `minikeras.kernels.depthwise_kernel_grad`."""
    channels = x.shape[-1]
    if not _is_covered(x, g):
        return depthwise_by_numpy.depthwise_kernel_grad(
            x, g, window=window, strides=strides, padding=padding, dilation=dilation
        )
    x = _repeated(x, g.shape[-1] // channels)
    add = _channelwise_gradient(x.shape, g.shape, window, strides, dilation, padding, g.dtype)
    return add(x, g).reshape(*window, channels, -1)


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
    """As `minikeras.kernels.conv_gradients`: some images at a time, whose cotangents stay in cache."""
    kernels, filters = (relu_grad, conv_input_grad, conv_kernel_grad), delta.shape[-1]
    steps = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    is_covered = all(_is_covered(delta, array) for array in (y, x, w) if array is not None)
    step, dtype = max(CHUNK_BYTES // max(delta[:1].nbytes, 1), 1), delta.dtype
    is_unusual = groups > 1 or 0 in input_size or not is_covered or len(delta) < 4 * step
    is_unusual = is_unusual or (y is None and not (needs[0] and needs[1]))
    slide = (strides, dilation, padding, 1, dtype, tiers.winograd())
    forth: Way | None = None
    back: Way | None = None
    if not is_unusual and needs[0] and w is not None:
        write = _adjoint(delta.shape, (*input_size, w.shape[-2]), window, *slide)
        back = None if write is None else write.way
        is_unusual = back is None or _is_of_whole_arrays(back, input_size)
    if not is_unusual and needs[1] and x is not None:
        add, how = _kernel_gradient(x.shape, delta.shape, window, *slide)
        forth = add.way
        is_unusual = how != DIRECT or _is_of_whole_arrays(forth, delta.shape[1:-1])
    if is_unusual or (y is None and isinstance(forth, winograd.Way)):  # which had rather transform more tiles at a time
        return one_by_one(kernels, (delta, x, w, y), needs, input_size, window, steps)
    delta, parts = plain(delta), parts_of(len(delta), 2 * delta.size * math.prod(window))
    some, sums = (step, *delta.shape[1:]), np.zeros((parts, filters))
    tasks: list[Task] = []
    g: Cut | Own = Cut(delta.reshape(-1))
    if y is not None:
        masked = Own(aligned_empty((parts, *some), dtype).reshape(parts, -1))
        tasks.append((pass_and_sum, (g, Cut(plain(y).reshape(-1)), masked, Own(sums))))
        g = masked
    elif needs[2]:
        tasks.append((add_rows, (g, Own(sums))))
    dx = dw = None
    if back is not None and w is not None:
        kernel = back.arranged(transposed_kernel(w))
        dx = aligned_empty((len(delta), *input_size, w.shape[-2]), dtype)
        job = back.writing(some, dx[:step].shape, dtype, pieces=1, times=-(-len(dx) // step))
        arrays = (g, job.ordered(kernel), back.start(np.zeros(w.shape[-2], dtype)), Cut(dx.reshape(-1)))
        tasks.append(job.task(arrays, floor_of(dtype, False), *IMAGES))
    if forth is not None and x is not None:
        job = forth.adding(x[:step].shape, some, dtype, pieces=1)
        totals = np.zeros((parts, forth.total_size(x.shape, delta.shape, dtype)), dtype)
        tasks.append(job.task((Cut(plain(x).reshape(-1)), g, Own(totals)), *IMAGES))
    run(tasks, len(delta), parts, step)
    if forth is not None and x is not None:
        dw = forth.kernel_gradient(totals.sum(axis=0), filters).reshape(*window, x.shape[-1], filters)
    return dx, dw, sums.sum(axis=0).astype(dtype) if needs[2] else None


# ---------------------------------------------------------------------- the choice


def _is_covered(x: np.ndarray, w: np.ndarray, bias: np.ndarray | None = None) -> bool:
    dtype = x.dtype
    if x.ndim > 5 or dtype not in FLOATS or w.dtype != dtype or not (x.size and w.size):
        return False
    return bias is None or (bias.dtype == dtype and bias.size > 0)


def _is_sparse(g: Ints, result: Ints, slide: Slide, groups: int, dtype: np.dtype) -> bool:
    """Whether too much of what an adjoint reads is zero: of `g` (N, *sizes, F), for `result` (*input_size, C)."""
    if math.prod(slide.strides) > SPARSE * math.prod(slide.window):
        return True
    results, channels = math.prod(result[:-1]), max(result[-1], int(product.tile_shapes(dtype)[0]))
    if groups > 1 or max(slide.strides) > 1 or results < SPARSE * math.prod(g[1:-1]):
        return False
    return g[0] * results * g[-1] * channels > TAP_PRODUCTS


def _suits_winograd(images: int, sizes: Ints, slide: Slide, channels: Ints, groups: int) -> bool:
    """Whether Winograd's algorithm is faster, though it computes what of its tiles is beyond the edge as well."""
    if slide[:3] != ((3, 3), (1, 1), (1, 1)) or groups > 1:
        return False
    if min(channels) < 16 or max(channels) > MOST_CHANNELS:
        return False
    computed = images * math.prod(4 * -(-size // 4) for size in sizes)
    both = 2 * math.prod(channels) / sum(channels)  # harmonic mean: transforms are of each side, products of both
    gain = min(both / EVEN_CHANNELS, MOST_GAIN)
    return computed / gain + KERNEL_RESULTS < images * math.prod(sizes)


def _is_of_whole_arrays(way: Way, sizes: Ints) -> bool:
    """Whether a way has no form for some images after the other."""
    return way.room(sizes) != sizes or is_of_sums(way)


@functools.lru_cache(maxsize=256)
def _convolution(
    x: Ints, w: Ints, strides: Ints, dilation: Ints, padding: Padding, groups: int, dtype: np.dtype, winograd_: bool
) -> Writer:
    """What convolves an array of shape `x`."""
    slide, filters = Slide(w[:-2], strides, dilation, padding), w[-1]
    sizes = output_lengths(x[1:-1], *slide)
    way: Way
    if winograd_ and _suits_winograd(x[0], sizes, slide, (x[-1], filters), groups):
        way = winograd.Way(padding)
    elif groups > 1 or 0 in sizes:
        way = indirect.way_of_convolution(sizes, slide, groups)
    else:
        taps, depth = math.prod(slide.window), x[-1] * math.prod(slide.window[:-1])
        alone = wide.of_product(x[-1] * taps, filters, dtype)
        sums = wide.of_sums(x[-1], filters, taps, dtype) if filters <= FEW < x[-1] else math.inf
        axis, rows = _last(slide, x[-2], sizes[-1]), x[0] * math.prod(sizes[:-1])
        several = wide.of_convolution(axis, rows, filters, depth, dtype, min(alone, sums))
        way = indirect.way_of_convolution(sizes, slide, wide=several, sums=several is None and sums < alone)
    return Writer(way, x, (x[0], *sizes, filters), dtype)


@functools.lru_cache(maxsize=256)
def _adjoint(
    g: Ints, result: Ints, window: Ints, strides: Ints, dilation: Ints, padding: Padding, groups: int,
    dtype: np.dtype, winograd_: bool,
) -> Writer | None:  # fmt: skip
    """What computes the adjoint of a convolution, of the reversed kernel: `result` (*sizes, C) for each image.

    None where NumPy's way is faster.
    """
    slide, input_size, channels = Slide(window, strides, dilation, padding), result[:-1], result[-1]
    if _is_sparse(g, result, slide, groups, dtype):
        return None
    way: Way
    if winograd_ and _suits_winograd(g[0], input_size, slide, (channels, g[-1]), groups):
        way = winograd.Way(mirrored_padding(slide))
    elif groups > 1:
        way = indirect.way_of_adjoint(input_size, g[1:-1], slide, groups)
    else:
        taps = math.prod(window) / math.prod(strides)
        alone = wide.of_product(g[-1] * taps, channels, dtype)
        sums = wide.of_sums(g[-1], channels, taps, dtype) if channels <= FEW < g[-1] else math.inf
        axis, rows = _last(slide, input_size[-1], g[-2]), g[0] * math.prod(input_size[:-1])
        depth = g[-1] * math.prod(window[:-1]) / math.prod(strides[:-1])
        several = wide.of_adjoint(axis, rows, channels, depth, dtype, min(alone, sums))
        of_sums = several is None and sums < alone
        way = indirect.way_of_adjoint(input_size, g[1:-1], slide, wide=several, sums=of_sums)
    return Writer(way, g, (g[0], *result), dtype)


@functools.lru_cache(maxsize=256)
def _kernel_gradient(
    x: Ints, g: Ints, window: Ints, strides: Ints, dilation: Ints, padding: Padding, groups: int, dtype: np.dtype,
    winograd_: bool,
) -> tuple[Adder, str]:  # fmt: skip
    """What adds up the gradient in the kernel, and how it is to be called."""
    slide, channels, filters, sizes = (
        Slide(window, strides, dilation, padding),
        x[-1] // groups,
        g[-1] // groups,
        g[1:-1],
    )
    if winograd_ and _suits_winograd(x[0], sizes, slide, (channels, filters), groups):
        return Adder(winograd.Way(padding), x, g, dtype), DIRECT
    if 0 in sizes:
        return Adder(indirect.way_of_convolution(sizes, slide, groups), x, g, dtype), DIRECT
    taps = math.prod(window)
    costs: dict[str, float] = {DIRECT: product.computed(taps * channels, filters, dtype)}
    if max(strides) == 1 and filters < channels:
        costs[EXCHANGED] = product.computed(taps * filters, channels, dtype) * math.prod(x[1:-1]) / math.prod(sizes)
    if filters <= FEW < channels and groups == 1:
        costs[BY_FILTER] = 1.5 * filters * product.computed(taps, channels, dtype)  # both factors are loaded
    how = min(costs, key=lambda name: costs[name])
    axis, rows, several = _last(slide, x[-2], sizes[-1]), x[0] * math.prod(sizes[:-1]), None
    if groups == 1:
        several = wide.of_kernel_gradient(axis, rows, filters, taps // window[-1] * channels, dtype, costs[how])
    if several is not None or how == DIRECT:
        return Adder(indirect.way_of_convolution(sizes, slide, groups, wide=several), x, g, dtype), DIRECT
    if how == BY_FILTER:
        channelwise = indirect.way_of_convolution(sizes, slide, channelwise=True)
        return Adder(channelwise, x, (*g[:-1], channels), dtype), how
    back = indirect.way_of_convolution(x[1:-1], slide._replace(padding=mirrored_padding(slide)), groups)
    return Adder(back, g, x, dtype), how


@functools.lru_cache(maxsize=256)
def _channelwise(x: Ints, window: Ints, strides: Ints, dilation: Ints, padding: Padding, dtype: np.dtype) -> Writer:
    """What convolves each of the channels of an array of shape `x` with a window of its own."""
    slide = Slide(window, strides, dilation, padding)
    sizes = output_lengths(x[1:-1], *slide)
    return Writer(_channelwise_way(x, sizes, slide, dtype), x, (x[0], *sizes, x[-1]), dtype)


@functools.lru_cache(maxsize=256)
def _channelwise_gradient(
    x: Ints, g: Ints, window: Ints, strides: Ints, dilation: Ints, padding: Padding, dtype: np.dtype
) -> Adder:
    slide = Slide(window, strides, dilation, padding)
    return Adder(_channelwise_way(x, g[1:-1], slide, dtype), x, g, dtype)


@functools.lru_cache(maxsize=256)
def _channelwise_adjoint(
    g: Ints, input_size: Ints, window: Ints, strides: Ints, dilation: Ints, padding: Padding, dtype: np.dtype
) -> Writer:
    slide = Slide(window, strides, dilation, padding)
    axis = _last(slide._replace(padding=mirrored_padding(slide)), g[-2], input_size[-1])
    rows = g[0] * math.prod(input_size[:-1])
    several = wide.channelwise(axis, rows, g[-1], math.prod(window[:-1]), dtype)
    way = indirect.way_of_adjoint(input_size, g[1:-1], slide, channelwise=True, wide=several)
    return Writer(way, g, (g[0], *input_size, g[-1]), dtype)


def _channelwise_way(x: Ints, sizes: Ints, slide: Slide, dtype: np.dtype) -> indirect.Way:
    axis, rows = _last(slide, x[-2], sizes[-1]), x[0] * math.prod(sizes[:-1])
    several = wide.channelwise(axis, rows, x[-1], math.prod(slide.window[:-1]), dtype)
    return indirect.way_of_convolution(sizes, slide, channelwise=True, wide=several)


def _last(slide: Slide, length: int, results: int) -> wide.Axis:
    """What a convolution does along the last axis."""
    return wide.Axis(length, results, slide.window[-1], slide.strides[-1], slide.dilation[-1], slide.padding[-1][0])


def _repeated(x: np.ndarray, times: int) -> np.ndarray:
    """Each channel several times: one for each of its filters."""
    return x if times == 1 else x.repeat(times, axis=-1)
