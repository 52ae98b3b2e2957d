"""Some results side by side taken as one, so that few filters fill a vector.

Results lie in memory pixel by pixel: `pixels` neighbours along the last axis, of F filters each, are one *wide* result
of ``pixels F`` filters. It is what a longer window makes, whose kernel is the given one several times side by side,
each time moved along, with zeros around it: those are multiplied for nothing, but fewer than the lanes that were empty.
A channelwise product needs no zeros, as its vectors of the input are as wide.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from .product import computed, tile_shapes

COPIED = 3.0
"""What it costs to copy a number, where a vector's product costs one half: if the results have to be cut to length."""

WRITTEN = 12.0
"""Products' time that it takes to write a vector, and to read and sum it up afterwards."""

ARRANGED = 3e4
"""Cycles that it takes to arrange the kernel."""
GAIN = 0.8
"""What share of the other way's cycles it must not exceed."""


class Axis(NamedTuple):
    """A convolution along the last axis: lengths of input and results, and the window; `before` is its padding."""

    length: int
    results: int
    window: int
    stride: int
    dilation: int
    before: int


@dataclasses.dataclass(frozen=True, eq=False)
class Wide:
    """What makes wide results along the last axis.

    Attributes:
        pixels: Results in each.
        count: How many there are; the last one may reach beyond the end.
        start, window, stride, dilation: Where in the input the first window begins, and how the longer window slides.
        places: (3, n): numbers of results in a wide one, the taps that they see, and where those are in the longer
            window. None if channelwise.
    """

    pixels: int
    count: int
    start: int
    window: int
    stride: int
    dilation: int
    places: np.ndarray | None

    def kernel(self, w: np.ndarray) -> np.ndarray:
        """The longer window's kernel (*others, `window`, C, pixels F) for one (*others, taps, C, F)."""
        *others, taps, channels, filters = w.shape
        if self.places is None:
            return np.tile(w, self.pixels)
        out = np.zeros((math.prod(others), self.window, channels, self.pixels, filters), w.dtype)
        result, tap, at = self.places
        out[:, at, :, result] = w.reshape(-1, taps, channels, filters)[:, tap].swapaxes(0, 1)
        return out.reshape(*others, self.window, channels, -1)

    def kernel_gradient(self, total: np.ndarray, others: int, filters: int) -> np.ndarray:
        """The gradient in the given kernel, flat, from that in the longer window's; `others` are taps of other axes."""
        if self.places is None:
            return total.reshape(-1, self.pixels, filters).sum(axis=1)
        total = total.reshape(others, self.window, -1, self.pixels, filters)
        result, _, at = self.places
        each = total[:, at, :, result].reshape(self.pixels, -1, others, *total.shape[2::2])
        return each.sum(axis=0).swapaxes(0, 1)


def of_convolution(axis: Axis, rows: int, filters: int, depth: int, dtype: np.dtype, most: float) -> Wide | None:
    """The cheapest way to fill vectors with the results of a convolution; None for another one.

    Args:
        axis: The last one.
        rows: Of results along that, of all images.
        filters: Of the result.
        depth: Products per tap of this axis that a result is the sum of.
        dtype: Of all numbers.
        most: Cycles that the best of the others takes for a result.
    """
    return _cheapest(axis.results, rows, filters, depth, dtype, most, [_convolved(axis, m) for m in range(2, 17)])


def of_adjoint(axis: Axis, rows: int, channels: int, depth: float, dtype: np.dtype, most: float) -> Wide | None:
    """As `of_convolution` for the adjoint of one, whose results are its input and have `channels`."""
    several = [_adjoint(axis, m) for m in range(axis.stride, 17, axis.stride) if m > 1]
    return _cheapest(axis.length, rows, channels, depth, dtype, most, several)


def of_kernel_gradient(axis: Axis, rows: int, filters: int, depth: int, dtype: np.dtype, most: float) -> Wide | None:
    """As `of_convolution` for the gradient in its kernel, where `most` is counted in vectors for each result."""
    best, least = None, min(GAIN * most * axis.results, most * axis.results - ARRANGED / max(rows, 1))
    for pixels in range(2, min(axis.results, tile_shapes(dtype)[0] // filters) + 1):
        wide = _convolved(axis, pixels)
        cost: float = wide.count * computed(depth * wide.window, pixels * filters, dtype)
        if axis.results % pixels:
            cost += 2 * COPIED * axis.results * filters
        if cost < least:
            best, least = wide, cost
    return best


def channelwise(axis: Axis, rows: int, channels: int, depth: int, dtype: np.dtype) -> Wide | None:
    """As `of_convolution` of stride 1 for a channelwise product."""
    if axis.stride > 1:
        return None
    slide = (-axis.before, axis.window)
    several = [Wide(m, -(-axis.results // m), *slide, m, axis.dilation, None) for m in range(2, 17)]
    most = of_product(axis.window * depth, channels, dtype)
    return _cheapest(axis.results, rows, channels, depth, dtype, most, several)


def _convolved(axis: Axis, pixels: int) -> Wide:
    unit = math.gcd(axis.stride, axis.dilation)
    result, tap = np.indices((pixels, axis.window)).reshape(2, -1)
    at = (result * axis.stride + tap * axis.dilation) // unit
    window, count = int(at[-1]) + 1, -(-axis.results // pixels)
    return Wide(pixels, count, -axis.before, window, axis.stride * pixels, unit, np.array([result, tap, at]))


def _adjoint(axis: Axis, pixels: int) -> Wide:
    """Input ``i = pixels q + result`` is read by tap t at output ``(i + before - t dilation) / stride``.

    The kernel is reversed.
    """
    result, tap = np.indices((pixels, axis.window)).reshape(2, -1)
    moved = result + axis.before - tap * axis.dilation
    seen = moved % axis.stride == 0
    result, tap, at = result[seen], tap[seen], moved[seen] // axis.stride
    start = int(at.min()) if at.size else 0
    window = int(at.max()) - start + 1 if at.size else 0
    count = -(-axis.length // pixels)
    return Wide(pixels, count, start, window, pixels // axis.stride, 1,
                np.array([result, axis.window - 1 - tap, at - start]))  # fmt: skip


def _cheapest(
    length: int, rows: int, filters: int, depth: float, dtype: np.dtype, most: float, several: list[Wide]
) -> Wide | None:
    best, least = None, min(GAIN * most * length, most * length - ARRANGED / max(rows, 1))
    for wide in several:
        if wide.pixels > length or wide.pixels * filters > 4 * tile_shapes(dtype)[0]:
            break
        cost = wide.count * of_product(depth * wide.window, wide.pixels * filters, dtype)
        if length % wide.pixels:
            cost += COPIED * length * filters
        if cost < least:
            best, least = wide, cost
    return best


def of_sums(channels: int, filters: int, taps: float, dtype: np.dtype) -> float:
    """Cycles for each result whose products are made channel by channel, and summed afterwards."""
    return filters * -(-channels // tile_shapes(dtype)[0]) * (taps + WRITTEN)


def of_product(depth: float, columns: int, dtype: np.dtype) -> float:
    """Cycles for each row of a product: two vectors' products each, and one more in which a tile's row is loaded."""
    lanes, *heights = tile_shapes(dtype).tolist()
    whole, rest = divmod(-(-columns // lanes), len(heights))
    vectors = [len(heights)] * whole + [rest] * (rest > 0)
    return depth * sum(count / 2 + 1 / heights[count - 1] for count in vectors)
