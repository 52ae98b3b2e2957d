"""Where everything is that a convolution reads and writes: the tables of `product`, made once for each geometry.

Three spatial axes, of which the middle one, or both that aren't first, may have length 1. Blocks are some images, or
some rows of a large one; what a block reads is copied into a frame with zeros around it if the convolution pads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ..geometry import Ints, Phase, Slide, phases
from . import edges
from .product import LEAST_ROW
from .wide import Wide

BLOCK_BYTES = 1 << 19
"""What a block reads and writes: less than a core's second-level cache, kernels aside."""
POSITIONS = 4096
"""The most positions in a block, for the tables' sake."""
PIECES, LEAST_POSITIONS = 4, 256
"""A batch is cut into so many blocks for several threads, unless they'd have fewer positions than that."""
LEAST_SLAB = 48
"""Positions that rows of an image should have at least to be a block of their own."""


class Part(NamedTuple):
    """A convolution of stride 1 or more that writes some of the results; three axes each.

    Attributes:
        start: where in the input the first window begins; negative if before it.
        counts: positions.
        window, dilation: the taps' number and distance.
        first: the first result that it writes.
    """

    start: Ints
    counts: Ints
    window: Ints
    dilation: Ints
    first: Ints


class Shapes(NamedTuple):
    """What a plan depends on besides its parts; three axes each.

    Attributes:
        images, lengths, channels: of the input.
        outputs, filters: of the result.
        strides: from window to window in the input.
        steps: from result to result of a part in the output.
        groups: of channels; as many as there are channels if `channelwise`.
        itemsize: bytes of a number.
        beyond: pixels that are read behind a window's last one.
        pieces: blocks that a batch is cut into at least, unless they'd have fewer than `LEAST_POSITIONS`.
    """

    images: int
    lengths: Ints
    channels: int
    outputs: Ints
    filters: int
    strides: Ints
    steps: Ints
    groups: int
    channelwise: bool
    itemsize: int
    beyond: Ints = (0, 0, 0)
    pieces: int = PIECES


class Plan(NamedTuple):
    """The arguments of `product.convolve` that say where things are.

    Besides them the number of blocks; and the rows of the kernels, some of them several times, in the order in which
    they are multiplied, or None if that is their own.
    """

    row: np.ndarray
    out_row: np.ndarray
    col: np.ndarray
    parts: np.ndarray
    layout: np.ndarray
    lengths: np.ndarray
    before: np.ndarray
    frame: np.ndarray
    blocks: int
    order: np.ndarray | None


def three(values: Ints, fill: int = 1) -> Ints:
    """Three axes of one, two or three: the first is the first, and the last of several the last."""
    return (values[0], *(fill,) * (3 - len(values)), *values[1:])


def of_convolution(sizes: Ints, slide: Slide, wide: Wide | None = None) -> tuple[Part, ...]:
    """The one part of a convolution."""
    axes = [-lo for lo, _ in slide.padding], sizes, slide.window, slide.dilation, (0,) * len(sizes)
    return (_part(axes if wide is None else [axis[:-1] for axis in axes], wide),)


def of_adjoint(
    lengths: Ints, sizes: Ints, slide: Slide, wide: Wide | None = None
) -> tuple[tuple[Part, ...], tuple[Phase, ...]]:
    """The parts of a convolution's adjoint, from outputs of `sizes` to inputs of `lengths`: one for every phase.

    `wide` is about the last axis, which has no phases then.
    """
    kept = len(lengths) - (wide is not None)
    lengths, cut = lengths[:kept], [axes[:kept] for axes in slide]
    found = phases(lengths, sizes[:kept], *cut) if kept else (Phase((), (), (), Slide((), (), (), ())),)
    return tuple(_part_of_phase(phase, lengths, wide) for phase in found), found


def _part_of_phase(phase: Phase, lengths: Ints, wide: Wide | None) -> Part:
    start = [read.start - lo for read, (lo, _) in zip(phase.reads, phase.slide.padding, strict=True)]
    counts = [len(range(n)[part]) for n, part in zip(lengths, phase.inputs, strict=True)]
    first = [part.start for part in phase.inputs]
    return _part((start, counts, phase.slide.window, phase.slide.dilation, first), wide)


def _part(axes: Iterable[Sequence[int]], wide: Wide | None) -> Part:
    """A part of what is known about each axis, but the last one if `wide` tells about that."""
    last = () if wide is None else (wide.start, wide.count, wide.window, wide.dilation, 0)
    more = [()] * 5 if wide is None else [(value,) for value in last]
    return Part(*(three((*axis, *one), fill) for axis, one, fill in zip(axes, more, (0, 1, 1, 1, 0), strict=True)))


def plan(parts: tuple[Part, ...], shapes: Shapes, times: int) -> Plan:
    """Lay out what the parts of a convolution read and write.

    It is done so many `times` with one kernel; 0 if the positions mustn't be sorted.
    """
    axes = range(3)
    reading = [part for part in parts if math.prod(part.window)] or [parts[0]]
    before = tuple(max(-part.start[a] for part in reading) for a in axes)
    after = tuple(max(_end(part, shapes, a, part.counts[a]) for part in reading) - shapes.lengths[a] for a in axes)
    is_framed = any(lo > 0 or hi > 0 for lo, hi in zip(before, after, strict=True))
    if not is_framed:
        before, after = (0, 0, 0), (0, 0, 0)
    frame = tuple(n + lo + hi for n, lo, hi in zip(shapes.lengths, before, after, strict=True))
    group, rows = _blocks(parts, shapes, frame)
    if is_framed:
        frame = (max(_end(part, shapes, 0, rows) for part in reading) + before[0], *frame[1:])
    blocks = -(-shapes.images // group) * -(-max(part.counts[0] for part in parts) // rows)
    times *= blocks * is_framed
    row, out_row, col, numbers, order = _tables(parts, shapes, (frame, before, group, rows), times)
    line, out_line = frame[1] * frame[2] * shapes.channels, math.prod(shapes.outputs[1:]) * shapes.filters
    stride = shapes.strides[0]
    layout = [group, rows, stride, stride * line, shapes.steps[0] * out_line]
    layout += [shapes.outputs[0] * out_line, shapes.channels, shapes.groups, shapes.filters]
    layout += [is_framed, shapes.channelwise]
    integers = (numbers, layout, shapes.lengths, before, frame)
    parts_, layout_, lengths, before_, frame_ = (np.array(each, np.intp) for each in integers)
    return Plan(row, out_row, col, parts_, layout_, lengths, before_, frame_, blocks, order)


def _end(part: Part, shapes: Shapes, axis: int, count: int) -> int:
    """Where in the input the last of `count` windows ends."""
    span = (part.window[axis] - 1) * part.dilation[axis] + 1
    return part.start[axis] + (count - 1) * shapes.strides[axis] + span + shapes.beyond[axis]


def _blocks(parts: tuple[Part, ...], shapes: Shapes, frame: Ints) -> Ints:
    """How many images a block has, and how many rows of positions."""
    rows = max(part.counts[0] for part in parts)
    plane = max(part.counts[1] * part.counts[2] for part in parts)
    row_bytes = frame[1] * frame[2] * shapes.strides[0] * shapes.channels * shapes.itemsize
    row_bytes += sum(part.counts[1] * part.counts[2] for part in parts) * shapes.filters * shapes.itemsize
    fit = max(min(BLOCK_BYTES // max(row_bytes, 1), POSITIONS // max(plane, 1)), 1)
    pieces = -(-shapes.pieces // max(shapes.images, 1))
    if fit >= rows:
        slabs = min(pieces, rows * plane // LEAST_SLAB, rows)
        if slabs > 1:
            return 1, -(-rows // slabs)
        enough = max(-(-shapes.images // shapes.pieces), -(-LEAST_POSITIONS // max(rows * plane, 1)), 1)
        return min(max(fit // max(rows, 1), 1), enough), max(rows, 1)
    slabs = -(-rows // fit)
    return 1, -(-rows // (-(-slabs // pieces) * pieces))  # as many for each thread


def _tables(
    parts: tuple[Part, ...], shapes: Shapes, block: tuple[Ints, Ints, int, int], times: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[Ints], np.ndarray | None]:
    """Row, out_row and col of all parts, the numbers of each, and the order of the kernels' rows.

    Positions are sorted by what they see if that pays when they are multiplied so many `times`.
    """
    tables: list[list[np.ndarray]] = [[], [], [], []]
    numbers: list[Ints] = []
    row_at, k, own = 0, 0, 0
    for part in parts:
        row, out_row, col, out_at = _part_tables(part, shapes, *block)
        every = np.arange(col.size).reshape(part.window[0], part.window[1] * part.window[2], col.shape[-1])
        for kind in _kinds(part, shapes, block[2], times):
            mine = every[:, kind.taps].ravel()
            where = (row_at, part.counts[0], kind.positions.size, k, k + mine.size, out_at)
            numbers.append((*where, part.start[0], part.window[0], part.dilation[0]))
            found = row[:, kind.positions].ravel(), out_row[:, kind.positions].ravel(), col.ravel()[mine], own + mine
            for table, array in zip(tables, found, strict=True):
                table.append(array)
            row_at, k = row_at + found[0].size, k + mine.size
        own += col.size
    all_row, all_out_row, all_col, order = (np.concatenate(table) for table in tables)
    return all_row, all_out_row, all_col, numbers, None if np.array_equal(order, np.arange(own)) else order


def _kinds(part: Part, shapes: Shapes, images: int, times: int) -> list[edges.Kind]:
    if not times or shapes.channelwise or not math.prod(part.window):
        return [edges.all_positions(part.counts, part.window)]
    depth = shapes.channels // shapes.groups
    axes = zip(part.start, shapes.strides, part.counts, part.window, part.dilation, shapes.lengths, strict=True)
    return edges.sorted_positions([edges.seen(*axis) for axis in axes], part.window, depth, images, times, LEAST_ROW)


def _part_tables(
    part: Part, shapes: Shapes, frame: Ints, before: Ints, group: int, rows: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Row and out_row (rows, positions in each) and col (taps, depth) of a part, and where it begins in an image."""
    counts = (min(part.counts[0], rows), *part.counts[1:])
    pitch = _pitches(frame, shapes.channels)
    out_pitch = _pitches(shapes.outputs, shapes.filters)
    origin = sum((s + lo) * p for s, lo, p in zip(part.start, before, pitch[1:], strict=True))
    row = _grid((group, *counts), (pitch[0], *_products(shapes.strides, pitch[1:]))) + origin
    out_row = _grid((group, *counts), (out_pitch[0], *_products(shapes.steps, out_pitch[1:])))
    depth = 1 if shapes.channelwise else shapes.channels // shapes.groups
    col = _grid((*part.window, depth), (*_products(part.dilation, pitch[1:]), 1))
    plane = counts[1] * counts[2]
    at = sum(_products(part.first, out_pitch[1:]))
    return row.reshape(-1, plane), out_row.reshape(-1, plane), col.reshape(-1, depth), at


def _pitches(sizes: Ints, channels: int) -> Ints:
    """Elements from image to image, row to row, line to line and pixel to pixel."""
    line = sizes[2] * channels
    plane = sizes[1] * line
    return sizes[0] * plane, plane, line, channels


def _products(a: Ints, b: Ints) -> Ints:
    return tuple(x * y for x, y in zip(a, b, strict=True))


def _grid(counts: Ints, steps: Ints) -> np.ndarray:
    """``sum of index * step`` for all indices below `counts`, in row-major order."""
    total = np.zeros(1, np.intp)
    for count, step in zip(counts, steps, strict=True):
        total = np.add.outer(total, np.arange(count, dtype=np.intp) * step).ravel()
    return total
