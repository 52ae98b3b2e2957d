"""Convolution and its two gradients: the three faces of one trilinear form <conv(x, w), g>.

Each lowers its input to columns, a block at a time, and leaves the arithmetic to one GEMM per block. The columns
of a block stay in cache between being written and being read, as do the results until bias and activation are applied.
Shapes: x (N, *spatial, C), w (*window, C / groups, F), g (N, *output, F).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..core.threads import spread
from . import shifted, winograd
from .blocks import BUFFERED, blocks, input_blocks, rows_in_place
from .depthwise import depthwise_conv, depthwise_input_grad, depthwise_kernel_grad
from .epilogue import add_bias_and_activate
from .geometry import Ints, Padding, Slices, Slide, mirrored_padding, output_lengths, phases, taps
from .lowering import columns_by_position, columns_by_tap, lowers_by_tap, lowers_rowwise, shifted_products, split_rows
from .product import product_of_rows, sum_of_outer_products

FEW_OUTPUTS = 1024
"""Positions in a batch of outputs up to which the phases of a strided convolution aren't worth it."""


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
    """Convolution (cross-correlation, as every network library means it) with bias and activation.

    Args:
        x: ndarray (N, *spatial, C).
        w: ndarray (*window, C / groups, F).
        bias: ndarray (F,) or None.
        strides, dilation: tuples of int, one per spatial axis.
        padding: tuple of (lo, hi), one per spatial axis.
        groups: Output channels ``[i F / groups, (i + 1) F / groups)`` see the i-th of as many parts of the input
            channels.
        activation: {None, "relu", "tanh", "sigmoid"}.

    Returns:
        ndarray (N, *output, F)
    """
    if groups == x.shape[-1] > 1:
        w = w.reshape(*w.shape[:-2], groups, -1)
        return depthwise_conv(x, w, bias, strides=strides, padding=padding, dilation=dilation, activation=activation)
    sizes = output_lengths(x.shape[1:-1], w.shape[:-2], strides, dilation, padding)
    out = np.empty((len(x), *sizes, w.shape[-1]), np.result_type(x, w))
    if 0 in sizes:
        return out
    x, slide = _without_gaps(x, Slide(w.shape[:-2], strides, dilation, padding))
    convolve = _way(x, w, bias, sizes, slide, groups, activation)

    def work(images: slice) -> None:
        convolve(x[images], out[images])

    spread(work, len(x), effort(out.size, math.prod(w.shape[:-1]), w.shape[-1]))
    return out


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
    """Adjoint of `conv` in x; with bias and activation, the transposed convolution (Dumoulin and Visin 2016).

    The inputs that a strided convolution reads fall into phases by their remainder modulo the stride. Each phase is
    reached by some taps only, and is an ordinary convolution of `g` with those: no zeros are stuffed between the
    elements of `g`, and every result is written once. Such a convolution pads `g`; where that would make much more of
    it, and where there is so little of it that several convolutions aren't worth it, the products with each tap are
    added up where they belong instead.

    Args:
        g: ndarray (N, *output, F).
        w: ndarray (*window, C / groups, F).
        bias: ndarray (C,) or None.
        input_size: tuple of int. Spatial sizes of x, which those of `g` do not determine.
        strides, padding, dilation, groups: Those of the convolution.
        activation: {None, "relu", "tanh", "sigmoid"}.

    Returns:
        ndarray (N, *input_size, C)
    """
    window = w.shape[:-2]
    if groups > 1 == w.shape[-2]:
        w = w.reshape(*window, groups, -1)
        out = depthwise_input_grad(g, w, input_size=input_size, strides=strides, padding=padding, dilation=dilation)
        add_bias_and_activate(out, bias, activation)
        return out
    out = np.empty((len(g), *input_size, w.shape[-2] * groups), np.result_type(g, w))
    if _sums_by_tap(g.shape[:-1], input_size, strides, groups):
        pairs = taps(input_size, window, strides, dilation, padding)
        scatter = rows_in_place(_scatter_products) if out.size >= BUFFERED else _scatter_products
        spread(
            lambda images: scatter(g[images], w, bias, out[images], pairs, activation),
            len(g),
            effort(g.size, math.prod(w.shape[:-1]), w.shape[-1]),
        )
        return out
    reversed_kernel = transposed_kernel(w, groups)
    parts = []
    for phase in phases(input_size, g.shape[1:-1], window, strides, dilation, padding):
        sizes = out[(slice(None), *phase.inputs)].shape[1:-1]
        kernel = reversed_kernel[phase.taps]
        parts.append((phase, _way(g, kernel, bias, sizes, phase.slide, groups, activation)))

    def work(images: slice) -> None:
        for phase, convolve in parts:
            convolve(g[(images, *phase.reads)], out[(images, *phase.inputs)])

    depth = math.prod(window) * w.shape[-1] // groups
    spread(work, len(g), effort(out.size // math.prod(strides), depth, out.shape[-1]))
    return out


def conv_kernel_grad(
    x: np.ndarray, g: np.ndarray, *, window: Ints, strides: Ints, padding: Padding, dilation: Ints, groups: int = 1
) -> np.ndarray:
    """Adjoint of `conv` in w.

    Args:
        x: ndarray (N, *spatial, C).
        g: ndarray (N, *output, F).
        window: tuple of int. Spatial sizes of the kernel.
        strides, padding, dilation, groups: Those of the convolution.

    Returns:
        ndarray (*window, C / groups, F)
    """
    channels, filters, sizes = x.shape[-1] // groups, g.shape[-1], g.shape[1:-1]
    if groups == x.shape[-1] > 1:
        dw = depthwise_kernel_grad(x, g, window=window, strides=strides, padding=padding, dilation=dilation)
        return dw.reshape(*window, channels, filters)
    x, slide = _without_gaps(x, Slide(window, strides, dilation, padding))
    cost = effort(g.size, math.prod(window) * channels, filters)
    if _has_few_filters(filters, channels, groups, slide):
        mirrored = mirrored_padding(slide)
        if all(lo >= 0 and hi >= 0 for lo, hi in mirrored):  # lower the smaller one: with stride 1 they are symmetric
            dw = conv_kernel_grad(g, x, window=window, strides=strides, padding=mirrored, dilation=dilation)
            return np.ascontiguousarray(transposed_kernel(dw))
    if groups == 1 and winograd.suits(x, g, sizes, slide, (channels, filters)):
        totals = spread(lambda images: winograd.kernel_grad(x[images], g[images], slide), len(x), cost)
        return winograd.kernel_of_transformed(sum(totals[1:], start=totals[0]))
    by_tap = lowers_by_tap(sizes, slide, channels)
    if groups == 1 and not by_tap and shifted.suits(sizes, slide, channels, 0):
        parts = spread(lambda images: shifted.kernel_grad(x[images], g[images], slide), len(x), cost)
        return sum(parts[1:], start=parts[0])
    by = _kernel_grad_by_tap if by_tap else _kernel_grad_by_position
    parts = spread(lambda images: by(x[images], g[images], slide, groups), len(x), cost)
    return sum(parts[1:], start=parts[0])


def _kernel_grad_by_position(x: np.ndarray, g: np.ndarray, slide: Slide, groups: int) -> np.ndarray:
    channels, filters, sizes, window = x.shape[-1] // groups, g.shape[-1], g.shape[1:-1], slide.window
    rowwise = lowers_rowwise(sizes, slide, x.shape[-1], 0)
    rows = window[0] if rowwise else 1
    total = np.zeros((rows, groups, math.prod(window) // rows * channels, filters // groups), np.result_type(x, g))
    for block, columns in columns_by_position(x, sizes, slide, groups=groups, filters=filters, rowwise=rowwise):
        cotangent = _grouped(g[block], groups, columns[0].shape[1])
        for row, column in zip(total, columns, strict=True):
            # (G, images, taps C/G, positions) @ (G, images, positions, F/G)
            row += sum_of_outer_products(column, cotangent).sum(axis=1)
    return np.ascontiguousarray(total.swapaxes(1, 2)).reshape(*window, channels, filters)


def _kernel_grad_by_tap(x: np.ndarray, g: np.ndarray, slide: Slide, groups: int) -> np.ndarray:
    channels, filters, sizes = x.shape[-1] // groups, g.shape[-1], g.shape[1:-1]
    total = np.zeros((groups, math.prod(slide.window) * channels, filters // groups), np.result_type(x, g))
    for block, columns, _ in columns_by_tap(x, sizes, slide, groups=groups, filters=filters, whole_rows=False):
        # (G, taps C/G, positions) @ (G, positions, F/G)
        total += sum_of_outer_products(columns.swapaxes(-1, -2), _grouped(g[block], groups))
    return np.ascontiguousarray(total.swapaxes(0, 1)).reshape(*slide.window, channels, filters)


def effort(results: int, depth: int, filters: int) -> int:
    """The elements of the columns, and a sixteenth of the products, which BLAS makes so much faster than copies."""
    return results * depth // max(filters, 1) + results * depth // 16


def _without_gaps(x: np.ndarray, slide: Slide) -> tuple[np.ndarray, Slide]:
    """A view of `x` without what a window of one element steps over, and how that slides there."""
    if math.prod(slide.window) > 1 or max(slide.strides) == 1 or slide.is_padded:
        return x, slide
    reads = tuple(slice(None, None, stride) for stride in slide.strides)
    return x[(slice(None), *reads)], slide._replace(strides=(1,) * len(reads))


def _way(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None,
    sizes: Ints,
    slide: Slide,
    groups: int,
    activation: str | None,
) -> Callable[[np.ndarray, np.ndarray], None]:
    """How to convolve `x`, chosen by shape, with what can be prepared for all images.

    Returns:
        A function of some images of `x` that writes into its second argument (N, *sizes, F), which may be any view.
    """
    channels, filters = w.shape[-2:]
    if not w.size:
        return lambda x, out: _convolve_by_nothing(bias, out, activation)
    if _has_few_filters(filters, channels, groups, slide):
        return lambda x, out: _convolve_by_projection(x, w, bias, out, slide, activation)
    if groups == 1 and winograd.suits(x, w, sizes, slide, (channels, filters)):
        kernel = winograd.transformed_kernel(w)
        return lambda x, out: winograd.convolve(x, kernel, bias, out, slide, activation)
    by_tap = lowers_by_tap(sizes, slide, channels)
    if groups == 1 and not by_tap and shifted.suits(sizes, slide, channels, filters):
        return lambda x, out: shifted.convolve(x, w, bias, out, slide, activation)
    by = _convolve_by_tap if by_tap else _convolve_by_position
    return lambda x, out: by(x, w, bias, out, slide, groups, activation)


def _has_few_filters(filters: int, channels: int, groups: int, slide: Slide) -> bool:
    """Whether the products for every tap are far fewer than the columns that they would be summed from."""
    window, strides = slide.window, slide.strides
    return 8 * filters <= channels and groups == 1 and math.prod(window) > 1 and all(s == 1 for s in strides)


def _convolve_by_nothing(bias: np.ndarray | None, out: np.ndarray, activation: str | None) -> None:
    out[...] = 0
    add_bias_and_activate(out, bias, activation)


def _convolve_by_position(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None,
    out: np.ndarray,
    slide: Slide,
    groups: int,
    activation: str | None,
) -> None:
    filters, sizes = w.shape[-1], out.shape[1:-1]
    rowwise = groups == 1 and lowers_rowwise(sizes, slide, x.shape[-1], filters)
    rows = slide.window[0] if rowwise else 1
    kernels = np.ascontiguousarray(w).reshape(rows, -1, groups, filters // groups)
    kernels = kernels.swapaxes(1, 2)[:, :, None]  # (rows, G, 1, taps C/G, F/G)
    for block, columns in columns_by_position(x, sizes, slide, groups=groups, filters=filters, rowwise=rowwise):
        target = out[block]
        result = target if target.flags.c_contiguous else np.empty(target.shape, out.dtype)
        total = _grouped(result, groups, columns[0].shape[1])
        product_of_rows(columns[0], kernels[0], out=total)
        for column, kernel in zip(columns[1:], kernels[1:], strict=True):
            total += product_of_rows(column, kernel)
        add_bias_and_activate(result, bias, activation, target)


def _convolve_by_tap(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None,
    out: np.ndarray,
    slide: Slide,
    groups: int,
    activation: str | None,
) -> None:
    filters, sizes = w.shape[-1], out.shape[1:-1]
    kernel = w.reshape(-1, filters) if bias is None else np.concatenate([w.reshape(-1, filters), bias[None]])
    kernel = _grouped(kernel, groups)  # (G, taps C/G and bias, F/G)
    whole_rows = slide.strides[-2:] == (1, 1)
    for block, columns, pitch in columns_by_tap(
        x, sizes, slide, groups=groups, filters=filters, whole_rows=whole_rows, ones=bias is not None
    ):
        target = out[block]
        result = np.empty((columns.shape[-1], filters), out.dtype)
        product_of_rows(columns.swapaxes(-1, -2), kernel, out=_grouped(result, groups))
        pixels = split_rows(result, target.shape[1:-1], pitch) if whole_rows else result.reshape(target.shape)
        add_bias_and_activate(pixels, None, activation, target)


def _convolve_by_projection(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None,
    out: np.ndarray,
    slide: Slide,
    activation: str | None,
) -> None:
    """Multiply every pixel with every tap first, and then sum the products that meet at a position."""
    window, (channels, filters) = w.shape[:-2], w.shape[-2:]
    rank, sizes = len(window), out.shape[1:-1]
    kernel = w.reshape(-1, channels, filters).swapaxes(1, 2).reshape(-1, channels)
    row_bytes = (len(kernel) + channels) * math.prod(sizes[1:]) * x.itemsize
    for block, part in input_blocks(x, sizes, slide, row_bytes=row_bytes):
        target = out[block]
        # (taps F, C) @ (C, pixels)
        products = np.matmul(kernel, part.reshape(-1, channels).T)
        products = products.reshape(*window, filters, len(part), *part.shape[2:-1])
        result = np.add.reduce(shifted_products(products, target.shape[1:-1], slide.dilation), axis=tuple(range(rank)))
        add_bias_and_activate(np.moveaxis(result, 0, -1), bias, activation, target)


def _sums_by_tap(shape: Ints, input_size: Ints, strides: Ints, groups: int) -> bool:
    """Whether lowering padded outputs isn't worth it, of which there are `shape` (measured)."""
    if groups > 1:
        return False
    if all(s == 1 for s in strides):
        return math.prod(input_size) > 1.6 * math.prod(shape[1:])
    return math.prod(shape) <= FEW_OUTPUTS


def _scatter_products(
    g: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None,
    out: np.ndarray,
    pairs: tuple[tuple[Slices, Slices], ...],
    activation: str | None,
) -> None:
    """Write the adjoint of a convolution into `out`: for each tap one GEMM, added to the inputs that the tap reads."""
    channels, filters = w.shape[-2:]
    kernels = np.ascontiguousarray(w.reshape(-1, channels, filters).swapaxes(1, 2))
    image_bytes = out[:1].nbytes + g[:1].nbytes + g[:1].nbytes // filters * channels
    for images, _ in blocks(len(g), 1, image_bytes):
        target, cotangent = out[images], g[images].reshape(-1, filters)
        products = np.empty((len(target), *g.shape[1:-1], channels), out.dtype)
        target[...] = 0
        for kernel, (outputs, inputs) in zip(kernels, pairs, strict=True):
            product_of_rows(cotangent, kernel, out=products.reshape(-1, channels))
            target[(slice(None), *inputs)] += products[(slice(None), *outputs)]
        add_bias_and_activate(target, bias, activation)


def transposed_kernel(w: np.ndarray, groups: int = 1) -> np.ndarray:
    """(*window, C/G, F) with taps reversed and the channels' roles exchanged: (*window, F/G, C)."""
    *window, channels, filters = w.shape
    w = w[(slice(None, None, -1),) * len(window)]
    if groups > 1:
        w = w.reshape(*window, channels, groups, filters // groups).swapaxes(-3, -1)  # (*window, F/G, G, C/G)
        return w.reshape(*window, filters // groups, groups * channels)
    return w.swapaxes(-1, -2)


def _grouped(array: np.ndarray, groups: int, images: int | None = None) -> np.ndarray:
    """(*any, F) seen as (groups, any, F / groups), or as (groups, images, the rest, F / groups)."""
    if images is None:
        return array.reshape(-1, groups, array.shape[-1] // groups).swapaxes(0, 1)
    return array.reshape(images, -1, groups, array.shape[-1] // groups).transpose(2, 0, 1, 3)
