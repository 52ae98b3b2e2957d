"""Depthwise convolution, one pass for all taps: an innermost loop over the channels of a pixel sums nine products.

Nine products per pass keep the sum in a register for a window of 3 x 3. Indices without sign spare the question whether
they count from the end. Windows have two axes here, of which the first may be of size 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ...core.threads import spread
from .. import depthwise
from ..epilogue import add_bias_and_activate
from ..geometry import Ints, Padding, Slide, mirrored_padding, output_lengths
from .jit import compiled, is_covered, plain

RUN = 512
"""Elements that the innermost loop takes at least: pixels side by side where there are fewer channels."""


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
    window, (channels, multiplier) = w.shape[:-2], w.shape[-2:]
    if len(window) > 2 or not is_covered(x, w, bias):
        return depthwise.depthwise_conv(
            x, w, bias, strides=strides, padding=padding, dilation=dilation, activation=activation
        )
    sizes = output_lengths(x.shape[1:-1], window, strides, dilation, padding)
    out = np.empty((len(x), *sizes, channels * multiplier), x.dtype)
    slide, kernel = Slide(window, strides, dilation, padding), _taps_first(w)

    def work(images: slice) -> None:
        for part in _parts(images, multiplier):
            _convolve(x[part], kernel, out[part], slide, bias, activation)

    spread(work, len(x), 2 * out.size * math.prod(window))
    return out


def depthwise_input_grad(
    g: np.ndarray, w: np.ndarray, *, input_size: Ints, strides: Ints, padding: Padding, dilation: Ints
) -> np.ndarray:
    """As `minikeras.kernels.depthwise_input_grad`."""
    window, (channels, multiplier) = w.shape[:-2], w.shape[-2:]
    if len(window) > 2 or not is_covered(g, w):
        return depthwise.depthwise_input_grad(
            g, w, input_size=input_size, strides=strides, padding=padding, dilation=dilation
        )
    slide, kernel = Slide(window, strides, dilation, padding), _taps_first(w)
    mirrored = slide._replace(padding=mirrored_padding(slide))
    is_symmetric = all(s == 1 for s in strides)  # with stride 1, the adjoint is a convolution with the reversed kernel
    reversed_kernel = plain(kernel[::-1])
    dx = np.empty((len(g), *input_size, channels), g.dtype)

    def work(images: slice) -> None:
        for part in _parts(images, multiplier):
            target = dx[part] if multiplier == 1 else np.empty((1, *input_size, channels * multiplier), g.dtype)
            if is_symmetric:
                _convolve(g[part], reversed_kernel, target, mirrored)
            else:
                target[...] = 0
                _scatter_taps(plain(_two_axes(g[part])), kernel, _two_axes(target), *_numbers(slide))
            if multiplier > 1:
                np.sum(target.reshape(*dx[part].shape, multiplier), axis=-1, out=dx[part])

    spread(work, len(g), 2 * g.size * math.prod(window))
    return dx


def depthwise_kernel_grad(
    x: np.ndarray, g: np.ndarray, *, window: Ints, strides: Ints, padding: Padding, dilation: Ints
) -> np.ndarray:
    """As `minikeras.kernels.depthwise_kernel_grad`."""
    if len(window) > 2 or not is_covered(x, g):
        return depthwise.depthwise_kernel_grad(x, g, window=window, strides=strides, padding=padding, dilation=dilation)
    slide, channels = Slide(window, strides, dilation, padding), g.shape[-1]

    def work(images: slice) -> np.ndarray:
        total = np.zeros((math.prod(window), channels))  # in float64: there may be many images
        for part in _parts(images, channels // x.shape[-1]):
            sums = np.zeros((len(total), g.shape[-2], channels), x.dtype)
            source = plain(_two_axes(_widened(x[part], channels)))
            _sum_over_pixels(source, plain(_two_axes(g[part])), sums, *_numbers(slide))
            total += sums.sum(axis=1, dtype=np.float64)
        return total

    parts = spread(work, len(x), 2 * g.size * math.prod(window))
    return sum(parts[1:], start=parts[0]).astype(x.dtype).reshape(*window, x.shape[-1], channels // x.shape[-1])


def _convolve(
    x: np.ndarray,
    kernel: np.ndarray,
    out: np.ndarray,
    slide: Slide,
    bias: np.ndarray | None = None,
    activation: str | None = None,
) -> None:
    channels = kernel.shape[1]
    source = plain(_two_axes(_widened(x, channels)))
    run = max(RUN // channels, 1) if slide.strides[-1] == 1 else 1
    start = np.zeros(run * channels, x.dtype) if bias is None else np.tile(bias, run)
    is_relu = activation == "relu"
    _sum_over_taps(source, np.tile(kernel, run), start, _two_axes(out), is_relu, *_numbers(slide))
    if activation is not None and not is_relu:
        add_bias_and_activate(out, None, activation)


def _parts(images: slice, multiplier: int) -> Iterator[slice]:
    """Few enough images for float32 sums over them, and one at a time where channels are copied."""
    step = 64 if multiplier == 1 else 1
    for start in range(images.start, images.stop, step):
        yield slice(start, min(start + step, images.stop))


def _taps_first(w: np.ndarray) -> np.ndarray:
    """(taps, C M) of (*window, C, M)."""
    return plain(w.reshape(math.prod(w.shape[:-2]), -1))


def _widened(x: np.ndarray, channels: int) -> np.ndarray:
    """Every channel as often as it has kernels."""
    return x if x.shape[-1] == channels else np.repeat(x, channels // x.shape[-1], axis=-1)


def _two_axes(array: np.ndarray) -> np.ndarray:
    return array if array.ndim == 4 else array[:, None]


def _numbers(slide: Slide) -> Ints:
    """The columns of the window, then strides, dilation and what stands before, as two numbers each."""
    before = tuple(lo for lo, _ in slide.padding)
    if len(slide.window) == 1:
        return (slide.window[0], 1, *slide.strides, 1, *slide.dilation, 0, *before)
    return (slide.window[1], *slide.strides, *slide.dilation, *before)


@compiled
def _add_nine(y, o, a, p, steps_a, b, q, steps_b, k, n):  # type: ignore[no-untyped-def]
    """Add to ``y[o : o + n]`` the sum of nine products of as many elements.

    They begin at ``a[p + steps_a[k]]`` and ``b[q + steps_b[k]]``, at the next steps, and so on.
    """
    p0, p1, p2 = p + steps_a[k], p + steps_a[k + 1], p + steps_a[k + 2]
    p3, p4, p5 = p + steps_a[k + 3], p + steps_a[k + 4], p + steps_a[k + 5]
    p6, p7, p8 = p + steps_a[k + 6], p + steps_a[k + 7], p + steps_a[k + 8]
    q0, q1, q2 = q + steps_b[k], q + steps_b[k + 1], q + steps_b[k + 2]
    q3, q4, q5 = q + steps_b[k + 3], q + steps_b[k + 4], q + steps_b[k + 5]
    q6, q7, q8 = q + steps_b[k + 6], q + steps_b[k + 7], q + steps_b[k + 8]
    for c in range(n):
        y[o + c] += (
            (a[p0 + c] * b[q0 + c] + a[p1 + c] * b[q1 + c] + a[p2 + c] * b[q2 + c])
            + (a[p3 + c] * b[q3 + c] + a[p4 + c] * b[q4 + c] + a[p5 + c] * b[q5 + c])
            + (a[p6 + c] * b[q6 + c] + a[p7 + c] * b[q7 + c] + a[p8 + c] * b[q8 + c])
        )


@compiled
def _add_three(y, o, a, p, steps_a, b, q, steps_b, k, n):  # type: ignore[no-untyped-def]
    """As `_add_nine`, of three."""
    p0, p1, p2 = p + steps_a[k], p + steps_a[k + 1], p + steps_a[k + 2]
    q0, q1, q2 = q + steps_b[k], q + steps_b[k + 1], q + steps_b[k + 2]
    for c in range(n):
        y[o + c] += a[p0 + c] * b[q0 + c] + a[p1 + c] * b[q1 + c] + a[p2 + c] * b[q2 + c]


@compiled
def _add_one(y, o, a, p, b, q, n):  # type: ignore[no-untyped-def]
    for c in range(n):
        y[o + c] += a[p + c] * b[q + c]


@compiled
def _tap_offsets(taps, columns, dilation_h, dilation_w):  # type: ignore[no-untyped-def]
    down, along = np.empty(taps, np.intp), np.empty(taps, np.intp)
    for tap in range(taps):
        down[tap], along[tap] = tap // columns * dilation_h, tap % columns * dilation_w
    return down, along


@compiled
def _sum_over_taps(x, w, bias, out, is_relu, columns, stride_h, stride_w, dilation_h, dilation_w, lo_h, lo_w):  # type: ignore[no-untyped-def]
    images, height, width, n = x.shape
    taps, positions = w.shape[0], out.shape[2]
    run = w.shape[1] // n  # pixels at once
    a, b, y = x.reshape(-1), w.reshape(-1), out.reshape(-1)
    down, along = _tap_offsets(taps, columns, dilation_h, dilation_w)
    steps = ((down * width + along) * n).astype(np.uintp)
    kernels = (np.arange(taps) * w.shape[1]).astype(np.uintp)
    first = min(max(-(-lo_w // stride_w), 0), positions)  # from which on all taps read the input, and where that ends
    last = max(min((width - 1 - along[-1] + lo_w) // stride_w + 1, positions), first)
    whole = np.zeros(taps, np.bool_)  # whether a tap is done from first to last
    for image in range(images):
        for i in range(out.shape[1]):
            here, top = (image * out.shape[1] + i) * positions, i * stride_h - lo_h
            for j in range(0, positions, run):
                o = np.uintp((here + j) * n)
                for e in range(np.uintp(min(run, positions - j) * n)):
                    y[o + e] = bias[e]
            all_rows, tap = top >= 0 and top + down[-1] < height, 0
            while tap < taps:
                row, many = top + down[tap], 1
                if all_rows and tap + 9 <= taps:
                    many = 9
                elif tap + 3 <= taps and down[tap] == down[tap + 2] and 0 <= row < height:
                    many = 3
                for k in range(tap, tap + many):
                    whole[k] = many > 1 and last > first
                for j in range(first, last if many > 1 else first, run):
                    size = np.uintp(min(run, last - j) * n)
                    o, p = (
                        np.uintp((here + j) * n),
                        np.uintp(((image * height + top) * width + j * stride_w - lo_w) * n),
                    )
                    if many == 9:
                        _add_nine(y, o, a, p, steps, b, np.uintp(0), kernels, tap, size)
                    else:
                        _add_three(y, o, a, p, steps, b, np.uintp(0), kernels, tap, size)
                tap += many
            for tap in range(taps):
                row = top + down[tap]
                if row < 0 or row >= height:
                    continue
                offset = along[tap] - lo_w
                j, stop = max(-(offset // stride_w), 0), min((width - 1 - offset) // stride_w + 1, positions)
                while j < stop:
                    if whole[tap] and first <= j < last:
                        j = last
                        continue
                    size = min(run, (min(first, stop) if whole[tap] and j < first else stop) - j)
                    p = np.uintp(((image * height + row) * width + j * stride_w + offset) * n)
                    _add_one(y, np.uintp((here + j) * n), a, p, b, kernels[tap], np.uintp(size * n))
                    j += size
            if is_relu:
                for e in range(np.uintp(here * n), np.uintp((here + positions) * n)):
                    if y[e] < 0:  # NaN stays
                        y[e] = 0


@compiled
def _scatter_taps(g, w, dx, columns, stride_h, stride_w, dilation_h, dilation_w, lo_h, lo_w):  # type: ignore[no-untyped-def]
    _, height, width, n = dx.shape
    down, along = _tap_offsets(w.shape[0], columns, dilation_h, dilation_w)
    a, b, y = g.reshape(-1), w.reshape(-1), dx.reshape(-1)
    for image in range(g.shape[0]):
        for i in range(g.shape[1]):
            for tap in range(w.shape[0]):
                row, offset = i * stride_h - lo_h + down[tap], along[tap] - lo_w
                if row < 0 or row >= height:
                    continue
                start, stop = max(-(offset // stride_w), 0), min((width - 1 - offset) // stride_w + 1, g.shape[2])
                for j in range(start, stop):
                    o = np.uintp(((image * height + row) * width + j * stride_w + offset) * n)
                    p = np.uintp(((image * g.shape[1] + i) * g.shape[2] + j) * n)
                    _add_one(y, o, a, p, b, np.uintp(tap * n), np.uintp(n))


@compiled
def _sum_over_pixels(x, g, dw, columns, stride_h, stride_w, dilation_h, dilation_w, lo_h, lo_w):  # type: ignore[no-untyped-def]
    """Sum over images and rows; `dw` (taps, positions, channels) keeps the positions along a row apart."""
    images, height, width, n = x.shape
    rows, positions = g.shape[1], g.shape[2]
    a, b, y = x.reshape(-1), g.reshape(-1), dw.reshape(-1)
    down, along = _tap_offsets(dw.shape[0], columns, dilation_h, dilation_w)
    steps_a = (np.arange(9) * (stride_h * width * n)).astype(np.uintp)
    steps_b = (np.arange(9) * (positions * n)).astype(np.uintp)
    run = 1 if stride_w > 1 else max(2 * RUN // n, 1)
    for image in range(images):
        for tap in range(dw.shape[0]):
            offset, above = along[tap] - lo_w, down[tap] - lo_h
            start, stop = max(-(offset // stride_w), 0), min((width - 1 - offset) // stride_w + 1, positions)
            upper, lower = max(-(above // stride_h), 0), min((height - 1 - above) // stride_h + 1, rows)
            for j in range(start, stop, run):
                o = np.uintp((tap * positions + j) * n)
                size = np.uintp(min(run, stop - j) * n)
                i = upper
                while i < lower:
                    p = np.uintp(((image * height + i * stride_h + above) * width + j * stride_w + offset) * n)
                    q = np.uintp(((image * rows + i) * positions + j) * n)
                    if i + 9 <= lower:
                        _add_nine(y, o, a, p, steps_a, b, q, steps_b, 0, size)
                        i += 9
                    elif i + 3 <= lower:
                        _add_three(y, o, a, p, steps_a, b, q, steps_b, 0, size)
                        i += 3
                    else:
                        _add_one(y, o, a, p, b, q, size)
                        i += 1
