"""The arithmetic of sliding windows: pure integers, shared by every operation that slides one.

A window of ``window`` taps, spaced ``dilation`` apart, visits every ``stride``-th position of an axis that was
extended by ``lo`` elements in front and ``hi`` behind. Everything here follows from that sentence. A network
asks the same questions in every step, so the answers that take a while are remembered: their arguments are tuples.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

Padding = tuple[tuple[int, int], ...]
Slices = tuple[slice, ...]
Ints = tuple[int, ...]


class Slide(NamedTuple):
    """A window and how it slides: one entry per spatial axis in each field."""

    window: Ints
    strides: Ints
    dilation: Ints
    padding: Padding

    @property
    def is_padded(self) -> bool:
        """Whether there is anything around the input."""
        return any(map(any, self.padding))


def window_span(window: int, dilation: int = 1) -> int:
    """Number of elements from the first to the last tap of a window, both included."""
    return (window - 1) * dilation + 1


def output_length(length: int, window: int, stride: int, dilation: int = 1, lo: int = 0, hi: int = 0) -> int:
    """Number of positions a window takes along an axis; 0 where it doesn't fit at all."""
    return max((length + lo + hi - window_span(window, dilation)) // stride + 1, 0)


@functools.lru_cache
def output_lengths(lengths: Ints, window: Ints, strides: Ints, dilation: Ints, padding: Padding) -> Ints:
    """`output_length` for every axis."""
    return tuple(
        output_length(n, k, s, d, lo, hi)
        for n, k, s, d, (lo, hi) in zip(lengths, window, strides, dilation, padding, strict=True)
    )


@functools.lru_cache
def explicit_padding(padding: str, lengths: Ints, window: Ints, strides: Ints, dilation: Ints) -> Padding:
    """Turn Keras's name of a padding into (lo, hi) pairs, one per axis.

    Args:
        padding: {"valid", "same", "causal"}. "same" gives ``ceil(length / stride)`` outputs and puts an odd element
            behind, as TensorFlow does; "causal" puts everything in front, so that no output sees a later input.
        lengths, window, strides, dilation: tuples of int. One number per axis.

    Raises:
        ValueError: For any other name.
    """
    axes = zip(lengths, window, strides, dilation, strict=True)
    if padding == "valid":
        return tuple((0, 0) for _ in axes)
    if padding == "causal":
        return tuple((window_span(k, d) - 1, 0) for _, k, _, d in axes)
    if padding == "same":
        totals = (max((-(-n // s) - 1) * s + window_span(k, d) - n, 0) for n, k, s, d in axes)
        return tuple((total // 2, total - total // 2) for total in totals)
    raise ValueError(f"padding must be 'valid', 'same' or 'causal'. Received: padding={padding!r}")


def mirrored_padding(slide: Slide) -> Padding:
    """Padding of the outputs with which the reversed window of stride 1 leads back; negative where one must crop."""
    spans = (window_span(k, d) - 1 for k, d in zip(slide.window, slide.dilation, strict=True))
    return tuple((span - lo, span - hi) for span, (lo, hi) in zip(spans, slide.padding, strict=True))


def transposed_length(
    length: int, window: int, stride: int, padding: str, output_padding: int | None = None, dilation: int = 1
) -> int:
    """Length that a transposed convolution produces, by Keras's rule.

    Without `output_padding`, "same" gives ``length * stride`` and "valid" the shortest axis whose convolution sees
    every element. With it, the length is that of the plain adjoint, plus `output_padding`.

    Raises:
        ValueError: For a padding other than "valid" and "same".
    """
    if padding not in ("valid", "same"):
        raise ValueError(f"padding must be 'valid' or 'same'. Received: padding={padding!r}")
    span = window_span(window, dilation)
    if output_padding is None:
        return length * stride + (max(span - stride, 0) if padding == "valid" else 0)
    trim = 2 * (span // 2) if padding == "same" else 0
    return (length - 1) * stride + span - trim + output_padding


@functools.lru_cache
def taps(
    lengths: Ints, window: Ints, strides: Ints, dilation: Ints, padding: Padding
) -> tuple[tuple[Slices, Slices], ...]:
    """For each tap of the window, in row-major order, the outputs it feeds and the inputs it reads there.

    Only positions inside the input are covered, so padding needs no padded copy.

    Returns:
        tuple of (output slices, input slices): One slice per axis, both selecting the same number of elements, perhaps
        none.
    """
    axes = zip(lengths, window, strides, dilation, padding, strict=True)
    combinations = itertools.product(*(_axis_taps(*axis) for axis in axes))
    return tuple((tuple(o for o, _ in pairs), tuple(i for _, i in pairs)) for pairs in combinations)


def _axis_taps(length: int, window: int, stride: int, dilation: int, pad: tuple[int, int]) -> list[tuple[slice, slice]]:
    lo, hi = pad
    outputs = output_length(length, window, stride, dilation, lo, hi)
    pairs = []
    for tap in range(window):
        offset = tap * dilation - lo  # the input that output 0 reads through this tap
        first = max(-(offset // stride), 0)
        stop = max(min((length - 1 - offset) // stride + 1, outputs), first)
        start = first * stride + offset
        pairs.append((slice(first, stop), slice(start, start + (stop - first) * stride, stride)))
    return pairs


@functools.lru_cache
def interleaved(
    length: int, outputs: int, window: int, stride: int, lo: int
) -> tuple[tuple[slice, slice, tuple[int, int]], ...]:
    """Decompose a strided window along one axis into windows of stride 1, each on every ``stride``-th input.

    Args:
        length, outputs: Sizes of the axis, of input and output.
        window, stride, lo: Those of the window, and what pads the axis in front.

    Returns:
        tuple of (inputs, taps, padding): Together the windows with these taps of the kernel, on these inputs padded
        so, make each output.
    """
    parts = []
    for phase in range(min(stride, window)):
        count = outputs + len(range(phase, window, stride)) - 1
        before = min(max(-((phase - lo) // stride), 0), count)
        start = before * stride + phase - lo
        inside = max(min(len(range(start, length, stride)), count - before), 0)
        inputs = slice(start, start + inside * stride, stride) if inside else slice(0, 0)
        parts.append((inputs, slice(phase, None, stride), (before, count - before - inside)))
    return tuple(parts)


class Phase(NamedTuple):
    """Part of the adjoint of a sliding window: the inputs of one remainder modulo the stride, per axis.

    They are what a window of stride 1 with the taps ``kernel[taps]`` of the reversed kernel, perhaps none, makes of
    ``outputs[reads]`` when it slides as `slide` says.
    """

    inputs: Slices
    taps: Slices
    reads: Slices
    slide: Slide


@functools.lru_cache
def phases(
    lengths: Ints, outputs: Ints, window: Ints, strides: Ints, dilation: Ints, padding: Padding
) -> tuple[Phase, ...]:
    """Decompose the adjoint of a strided window into convolutions that together write every input once.

    Args:
        lengths, outputs: tuples of int. Sizes of the input and of the output.
        window, strides, dilation, padding: Those of the window.
    """
    axes = zip(lengths, outputs, window, strides, dilation, padding, strict=True)
    combinations = itertools.product(*(_axis_phases(*axis) for axis in axes))
    ones = (1,) * len(window)
    found = []
    for parts in combinations:
        inputs, reached, reads, counts, spacing, pads = zip(*parts, strict=True)
        found.append(Phase(inputs, reached, reads, Slide(counts, ones, spacing, pads)))
    return tuple(found)


def _axis_phases(
    length: int, outputs: int, window: int, stride: int, dilation: int, pad: tuple[int, int]
) -> list[tuple[slice, slice, slice, int, int, tuple[int, int]]]:
    """Along one axis, for every phase: inputs, taps, reads, number of taps, their dilation, and padding of the reads.

    Input i, counted from the padded start as ``i + lo = q stride + phase``, is read by tap t at output
    ``q - (t dilation - phase) / stride`` where that is whole: by every ``stride / gcd``-th tap.
    """
    common = math.gcd(stride, dilation)
    step, spacing = stride // common, dilation // common
    parts = []
    for first in range(min(stride, length)):
        quotient, phase = divmod(first + pad[0], stride)
        count = -(-(length - first) // stride)
        inputs = slice(first, None, stride)
        hits = [tap for tap in range(window) if tap * dilation % stride == phase]
        if not hits:
            parts.append((inputs, slice(0, 0), slice(0, 0), 0, 1, (0, 0)))
            continue
        start = quotient - (hits[-1] * dilation - phase) // stride
        stop = start + count + (len(hits) - 1) * spacing
        before = min(max(-start, 0), stop - start)
        low = min(max(start, 0), outputs)
        high = max(min(stop, outputs), low)
        pads = (before, stop - start - before - (high - low))
        reached = slice(window - 1 - hits[-1], window - hits[0], step)
        parts.append((inputs, reached, slice(low, high), len(hits), spacing, pads))
    return parts
