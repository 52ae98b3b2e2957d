"""Convolution with windows that reach along the first spatial axis only, as all do that have one axis.

Each tap reads the whole input, some rows further on. So the result is the sum of one product for each tap (Cho and
Brand 2017), of the input as it lies: nothing is copied into columns, and what a tap would read of the padding is left
out. Shapes: x (N, *spatial, C), w (*window, C, F), g (N, *output, F).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .blocks import blocks
from .epilogue import add_bias_and_activate
from .geometry import Ints, Slide, taps
from .lowering import lowers_rowwise
from .product import product_of_rows, sum_of_outer_products


def suits(sizes: Ints, slide: Slide, channels: int, filters: int) -> bool:
    """Whether the window is of that kind, moves by one, and the products are worth more than their sums."""
    window, strides, _, padding = slide
    if window[0] == 1 or math.prod(window[1:]) > 1 or max(strides) > 1 or any(map(any, padding[1:])):
        return False
    return lowers_rowwise(sizes, slide, channels, filters)


def convolve(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, out: np.ndarray, slide: Slide, activation: str | None
) -> None:
    """Write the convolution with bias and activation into `out` (N, *output, F), any view."""
    channels, filters = w.shape[-2:]
    kernels = np.ascontiguousarray(w).reshape(-1, channels, filters)
    width = math.prod(out.shape[2:-1])
    for images, rows in blocks(len(x), out.shape[1], (channels + 2 * filters) * width * x.itemsize):
        target = out[images, rows]
        result = target if target[:1].flags.c_contiguous else np.empty(target.shape, out.dtype)
        total = result.reshape(len(result), -1, filters)
        products = np.empty(total.shape, out.dtype)
        # a tap that all rows have an input for comes first, if there is one, so that nothing need be cleared
        reads = sorted(_reads(x.shape[1], rows, slide), key=lambda read: -len(read[1]))
        is_written = bool(reads) and len(reads[0][1]) == rows.stop - rows.start
        if not is_written:
            total[...] = 0
        for place, (tap, outputs, inputs) in enumerate(reads):
            part = slice(width * (outputs.start - rows.start), width * (outputs.stop - rows.start))
            source = x[images, inputs.start : inputs.stop].reshape(len(total), -1, channels)
            if place == 0 and is_written:
                product_of_rows(source, kernels[tap], out=total)
            else:
                total[:, part] += product_of_rows(source, kernels[tap], out=products[:, part])
        add_bias_and_activate(result, bias, activation, target)


def kernel_grad(x: np.ndarray, g: np.ndarray, slide: Slide) -> np.ndarray:
    """The gradient of a convolution in its kernel: (*window, C, F)."""
    channels, filters = x.shape[-1], g.shape[-1]
    total = np.zeros((slide.window[0], channels, filters), np.result_type(x, g))
    row_bytes = (channels + filters) * math.prod(g.shape[2:-1]) * x.itemsize
    for images, rows in blocks(len(g), g.shape[1], row_bytes):
        for tap, outputs, inputs in _reads(x.shape[1], rows, slide):
            source, cotangent = x[images, inputs.start : inputs.stop], g[images, outputs.start : outputs.stop]
            source, cotangent = (part.reshape(len(part), -1, part.shape[-1]) for part in (source, cotangent))
            total[tap] += sum_of_outer_products(source, cotangent).sum(axis=0)
    return total.reshape(*slide.window, channels, filters)


def _reads(length: int, rows: slice, slide: Slide) -> Iterator[tuple[int, range, range]]:
    """(tap, those of the `rows` of the output that it has an input for, and these inputs), where there are any."""
    pairs = taps((length,), slide.window[:1], (1,), slide.dilation[:1], slide.padding[:1])
    for tap, ((outputs,), (inputs,)) in enumerate(pairs):
        start, stop = max(outputs.start, rows.start), min(outputs.stop, rows.stop)
        shift = inputs.start - outputs.start
        if start < stop:
            yield tap, range(start, stop), range(start + shift, stop + shift)
