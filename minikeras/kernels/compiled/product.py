"""The one product that all convolutions are, with the addresses of its left factor in tables.

``out[i, f] = sum over k of x[row[i] + col[k]] * b[k, f]`` is a convolution when `row` holds where each window begins,
and `col` how far its elements are from there (the indirect convolution of Dukhan 2019): strides, dilation and axes are
all in the tables, and nothing is copied into columns. Exchange the tables, and it is the gradient in the kernel.
*Channelwise*, ``out[i, f] = sum over k of x[row[i] + col[k] + f] * b[k, f]``, it is a depthwise convolution.

A tile of the result, some rows by some vectors, stays in registers while k runs.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ...core.memory import LINE
from .jit import compiled
from .vectors import ByAddress, Vectors, inlined, registers

CHANNEL_VECTORS = 2
"""The widest tile of channelwise products."""
DEPTH = 512
"""Rows of the kernels that a block is multiplied with before the next: as many as the second-level cache holds."""
LEAST_ROW = 12
"""Positions in a row from which rows at the edge of an image are multiplied on their own, without what is padding."""
CHUNK = 512
"""Positions that all rows of a kernel's gradient go through before the next: with fewer, tiles are read and written too
often, and the second-level cache holds them."""
CHUNK_BYTES = 24 << 10
"""What they take where tiles are a single vector wide, each of which reads as much as it multiplies: half of the
first-level cache."""


# ---------------------------------------------------------------------- a tile


@inlined
def _tile(  # type: ignore[no-untyped-def]
    vectors, x, x_at, row, out_row, row_at, col, k_first, k_last, b, b_pitch, b_at, start, start_at, out, out_at,
    filters, accumulates, floor, channelwise
):  # fmt: skip
    """Write the code of a tile's product: that for each number of vectors, and the choice between them.

    Args:
        vectors: writes it.
        x, b, start, out: flat arrays; `x_at`, `b_at`, `start_at`, `out_at` are where in them all begins.
        row, out_row: where each row begins in `x` and `out`; the tile's rows are those from `row_at` on.
        col: where each k is in `x`; they run from `k_first` to `k_last`.
        b_pitch: from one row of `b` to the next.
        filters: columns of the tile, of which the last vector may be filled in part.
        accumulates: whether to add to `out`, or else to `start`.
        floor: least value of the results, minus infinity for none. NaN stays.
        channelwise: which of the two products it is.
    """
    build, all_rows = vectors.build, registers()[1]
    places = (build.gep(p, [at]) for p, at in ((x, x_at), (row, row_at), (out_row, row_at), (out, out_at)))
    x, row, out_row, out = places
    b, start = build.gep(b, [b_at]), build.gep(start, [start_at])
    with build.if_else(channelwise) as branches:
        for branch, is_channelwise in zip(branches, (True, False), strict=True):
            with branch:
                for count, rows in enumerate(all_rows[:CHANNEL_VECTORS] if is_channelwise else all_rows, start=1):
                    needs = build.icmp_signed(">", filters, vectors.integer(vectors.lanes * (count - 1)))
                    fits = build.icmp_signed("<=", filters, vectors.integer(vectors.lanes * count))
                    with build.if_then(build.and_(needs, fits)):
                        left = build.sub(filters, vectors.integer(vectors.lanes * (count - 1)))
                        masks = [None] * (count - 1) + [vectors.mask(left)]
                        sources, targets = (
                            [build.gep(p, [build.load(build.gep(t, [vectors.integer(i)]))]) for i in range(rows)]
                            for p, t in ((x, row), (out, out_row))
                        )
                        sums = _sums(vectors, masks, targets, start, accumulates)
                        sums = _loop(vectors, masks, sources, col, k_first, k_last, b, b_pitch, sums, is_channelwise)
                        least = vectors.splat(floor)
                        for i, value in enumerate(sums):
                            target, v = targets[i // count], i % count
                            vectors.store(vectors.at_least(value, least), target, v * vectors.lanes, masks[v])


def _sums(vectors: Vectors, masks: list[Any], targets: list[Any], start: Any, accumulates: Any) -> list[Any]:
    """What the products are added to, row by row: `targets` or `start`."""
    build = vectors.build
    with build.if_else(accumulates) as (adding, new):
        with adding:
            present = [vectors.load(t, v * vectors.lanes, mask) for t in targets for v, mask in enumerate(masks)]
            from_adding = build.block
        with new:
            begun = [vectors.load(start, v * vectors.lanes, mask) for v, mask in enumerate(masks)] * len(targets)
            from_new = build.block
    return [vectors.phi(vectors.kind, {from_adding: p, from_new: s}) for p, s in zip(present, begun, strict=True)]


def _loop(
    vectors: Vectors, masks: list[Any], sources: list[Any], col: Any, k_first: Any, k_last: Any, b: Any, b_pitch: Any,
    sums: list[Any], channelwise: bool
) -> list[Any]:  # fmt: skip
    """Add all products to `sums`, which are in registers all the while."""
    build = vectors.build
    loop, end = (build.function.append_basic_block() for _ in range(2))
    before = build.block
    place, last = (build.gep(col, [k]) for k in (k_first, k_last))  # as a number it would take one more register
    build.cbranch(build.icmp_signed("<", k_first, k_last), loop, end)
    build.position_at_end(loop)
    entry, b_row = vectors.phi(col.type, {before: place}), vectors.phi(b.type, {before: b})
    old = [vectors.phi(vectors.kind, {before: value}) for value in sums]
    at = build.load(entry)
    factors = [vectors.load(b_row, v * vectors.lanes, mask) for v, mask in enumerate(masks)]
    new = []
    for i, source in enumerate(sources):
        pointer = build.gep(source, [at])
        broadcast = None if channelwise else vectors.splat(build.load(pointer))
        for v, mask in enumerate(masks):
            factor = vectors.load(pointer, v * vectors.lanes, mask) if channelwise else broadcast
            new.append(vectors.fused(factor, factors[v], old[i * len(masks) + v]))
    steps = [build.gep(entry, [vectors.integer(1)]), build.gep(b_row, [b_pitch]), *new]
    for phi, value in zip([entry, b_row, *old], steps, strict=True):
        phi.add_incoming(value, loop)
    build.cbranch(build.icmp_unsigned("!=", steps[0], last), loop, end)
    build.position_at_end(end)
    return [vectors.phi(vectors.kind, {before: s, loop: n}) for s, n in zip(sums, new, strict=True)]


# ---------------------------------------------------------------------- loops


@functools.cache
def tile_shapes(dtype: np.dtype) -> np.ndarray:
    """Lanes of a vector, and the rows of a tile of 1, 2, … vectors; nobody writes to it."""
    size, rows = registers()
    return np.array([size // dtype.itemsize, *rows])


def computed(rows: int, columns: int, dtype: np.dtype) -> int:
    """How many vectors of sums the tiles of a result have, those beyond its edge too."""
    lanes, *heights = tile_shapes(dtype).tolist()
    vectors = -(-columns // lanes)
    height = heights[min(vectors, len(heights)) - 1]
    return -(-rows // height) * height * vectors


@functools.cache
def floor_of(dtype: np.dtype, is_relu: bool) -> np.generic:
    """The least value of results that are the positive part if `is_relu`, or all there is."""
    return dtype.type(0 if is_relu else -np.inf)


@compiled
def multiply(  # type: ignore[no-untyped-def]
    x, x_at, row, out_row, first, last, col, k_first, k_last, b, b_pitch, b_at, start, start_at, out, out_at, filters,
    accumulates, floor, channelwise, tiles, spare
):  # fmt: skip
    """The product for rows `first` to `last`, tile by tile; `spare` (2, rows of a tile) is scratch memory."""
    lanes, widest = tiles[0], CHANNEL_VECTORS if channelwise else tiles.size - 1
    for f in range(0, filters, widest * lanes):
        width = min(filters - f, widest * lanes)
        step = tiles[(width + lanes - 1) // lanes]
        whole, begin = last - (last - first) % step, x_at + f if channelwise else x_at
        for is_rest in range(2):  # arrays get other names out here, as to count who uses them costs as much as a tile
            rows, out_rows, low, high = row, out_row, first, whole
            if is_rest:  # the last row again and again: what is written twice is the same
                rows, out_rows, low, high = spare[0], spare[1], 0, min(last - whole, 1)
                for j in range(step * high):
                    rows[j], out_rows[j] = row[min(whole + j, last - 1)], out_row[min(whole + j, last - 1)]
            for i in range(low, high, step):
                _tile(x, begin, rows, out_rows, i, col, k_first, k_last, b, b_pitch, b_at + f, start, start_at + f,
                      out, out_at + f, width, accumulates, floor, channelwise != 0
                )  # fmt: skip


def _kinds_of_multiply(number: str) -> tuple[str, ...]:
    """The kinds of its arguments, for numbers of one."""
    array, table, index = f"{number}[1]", "i8[1]", "i8"
    rows, depth, b = (table, table, index, index), (table, index, index), (array, index, index)
    out = (array, index, array, index, index, "b1", number)
    return (array, index, *rows, *depth, *b, *out, "b1", table, "i8[2]")


multiply_at = ByAddress(multiply, _kinds_of_multiply)


@compiled
def aligned(count, kind):  # type: ignore[no-untyped-def]
    """Scratch memory of `count` numbers of the type of the array `kind`, which begins with a cache line."""
    memory = np.empty(count + LINE // kind.itemsize, kind.dtype)
    return memory[-memory.ctypes.data % LINE // kind.itemsize :]


@compiled
def largest(numbers):  # type: ignore[no-untyped-def]
    """The largest of some integers: NumPy's `max` would call a function of numba's runtime."""
    found = numbers[0]
    for i in range(1, numbers.size):
        found = max(found, numbers[i])
    return found


@compiled
def _copy(source, p, target, q, count):  # type: ignore[no-untyped-def]
    for e in range(np.uintp(count)):  # an index without sign spares the question whether it counts from the end
        target[np.uintp(q) + e] = source[np.uintp(p) + e]


@compiled
def _clear(target, q, count):  # type: ignore[no-untyped-def]
    for e in range(np.uintp(count)):
        target[np.uintp(q) + e] = 0


@compiled
def fill(x, image, first, lengths, before, frame, channels, target, to):  # type: ignore[no-untyped-def]
    """Write a frame, some of an image's pixels with zeros around them, to `target` from `to` on.

    The frame begins `first` rows into the padded image, and is as large as the three numbers in `frame` say.
    """
    plane, line = frame[1] * frame[2] * channels, frame[2] * channels
    x_line = lengths[2] * channels
    x_plane = lengths[1] * x_line
    begin = image * lengths[0] * x_plane
    low = min(max(before[0] - first, 0), frame[0])
    high = max(min(lengths[0] + before[0] - first, frame[0]), low)
    _clear(target, to, low * plane)
    _clear(target, to + high * plane, (frame[0] - high) * plane)
    if plane == x_plane and before[1] == 0 and before[2] == 0 and frame[1] == lengths[1]:
        _copy(x, begin + (first + low - before[0]) * plane, target, to + low * plane, (high - low) * plane)
        return
    left = min(max(before[2], 0), frame[2])
    right = max(min(lengths[2] + before[2], frame[2]), left)
    for i in range(low, high):
        for j in range(frame[1]):
            q, row = to + i * plane + j * line, j - before[1]
            if row < 0 or row >= lengths[1]:
                _clear(target, q, line)
                continue
            p = begin + (first + i - before[0]) * x_plane + row * x_line + (left - before[2]) * channels
            _clear(target, q, left * channels)
            _copy(x, p, target, q + left * channels, (right - left) * channels)
            _clear(target, q + right * channels, line - right * channels)


@compiled
def convolve(  # type: ignore[no-untyped-def]
    address, x, b, start, out, row, out_row, col, parts, layout, lengths, before, frame, tiles, floor, images, first,
    last
):  # fmt: skip
    """Write blocks `first` to `last` of a convolution, or of several that together fill `out`.

    Args:
        address: where `multiply` is.
        x, b, start, out: flat arrays: input (N, *lengths, C), kernels (k, F), bias (F,), and the results.
        row, out_row, col: the tables, of all parts one behind the other.
        parts: (convolutions, 9): the first row in the tables; rows of positions in an image and positions in each;
            first and last k; where it begins in an image of `out`; along the first axis, where the first window begins
            in the input, how many taps it has and their distance.
        layout: what the first line takes apart: images and rows in a block, and distances.
        lengths, before, frame: of three axes each: the input's, what is put in front (if negative, cut off), the
            frame's.
        tiles: lanes of a vector, and rows of a tile of 1, 2, … vectors.
        floor: least value of the results.
        images: N. There may be fewer blocks than `last`.
    """
    group, rows, stride, step, out_step, out_image, channels, groups, filters, framed, channelwise = layout
    slabs = (largest(parts[:, 1]) + rows - 1) // rows
    depth, width = channels // groups, filters // groups
    size = frame[0] * frame[1] * frame[2] * channels
    pixels = lengths[0] * lengths[1] * lengths[2] * channels
    buffer, spare = aligned(group * size if framed else 0, x), np.empty((2, largest(tiles)), row.dtype)
    for block in range(first, min(last, (images + group - 1) // group * slabs)):
        image, begin = block // slabs * group, block % slabs * rows
        count = min(group, images - image)
        source, at = x, image * pixels + begin * step
        if framed:
            for i in range(count):
                fill(x, image + i, begin * stride, lengths, before, frame, channels, buffer, i * size)
            source, at = buffer, 0
        for p in range(parts.shape[0]):
            first_row, height, positions, first_k, last_k, to, origin, taps, dilation = parts[p]
            to += image * out_image + begin * out_step
            here, per_tap = min(rows, height - begin), (last_k - first_k) // max(taps, 1)
            splits = framed and positions >= LEAST_ROW
            for i in range(count if splits else 1):
                r = 0
                while r < here:
                    end, low, high = here, 0, taps
                    if splits:  # taps that see nothing but zeros above or below the image needn't be multiplied
                        at_row = origin + (begin + r) * stride
                        low, high = _inside(at_row, dilation, taps, lengths[0])
                        end = r + 1
                        while end < here:
                            at_row += stride
                            if _inside(at_row, dilation, taps, lengths[0]) != (low, high):
                                break
                            end += 1
                    top = first_row + (i * height + r) * positions
                    bottom = top + (end - r) * positions * (1 if splits else count)
                    _write_rows(address, source, at, row, out_row, top, bottom, col, first_k + low * per_tap,
                                first_k + high * per_tap, b, start, out, to, filters, depth, width, groups, floor,
                                channelwise, tiles, spare
                    )  # fmt: skip
                    r = end


@compiled
def _inside(position, dilation, taps, length):  # type: ignore[no-untyped-def]
    """The first tap of a window along an axis that isn't before its beginning, and the first that is beyond its end."""
    low = min(max((-position + dilation - 1) // dilation, 0), taps)
    return low, max(min((length - 1 - position) // dilation + 1, taps), low)


@compiled
def _write_rows(  # type: ignore[no-untyped-def]
    address, x, x_at, row, out_row, first, last, col, first_k, last_k, b, start, out, out_at, filters, depth, width,
    groups, floor, channelwise, tiles, spare
):  # fmt: skip
    """Write some rows of a block: all groups, and so many k at a time as the cache holds kernels for."""
    minus_infinity = -x.dtype.type(np.inf)
    for k in range(first_k, max(last_k, first_k + 1), DEPTH):
        least = floor if k + DEPTH >= last_k else minus_infinity
        for j in range(1 if channelwise else groups):
            multiply_at(address, x, x_at + j * depth, row, out_row, first, last, col, k, min(k + DEPTH, last_k), b,
                     filters, k * filters + j * width, start, j * width, out, out_at + j * width,
                     filters if channelwise else width, k > first_k, least, channelwise != 0, tiles, spare
            )  # fmt: skip


@compiled
def kernel_gradient(  # type: ignore[no-untyped-def]
    address, x, g, out, row, out_row, col, parts, layout, lengths, before, frame, tiles, images, first, last
):  # fmt: skip
    """Add what blocks `first` to `last` give to the gradient in the kernels, `out` (k, F).

    Arguments as those of `convolve`, the tables exchanged: `row` is an element of the windows, and `col` a position.
    """
    group, rows, stride, step, _, _, channels, groups, filters, framed, channelwise = layout
    height, positions = parts[0, 1], parts[0, 2]
    slabs = (height + rows - 1) // rows
    depth, width = channels // groups, filters // groups
    size = frame[0] * frame[1] * frame[2] * channels
    pixels = lengths[0] * lengths[1] * lengths[2] * channels
    buffer, spare = aligned(group * size if framed else 0, x), np.empty((2, largest(tiles)), row.dtype)
    floor, length = -x.dtype.type(np.inf), CHUNK
    if width <= tiles[0] and not channelwise:
        length = min(CHUNK, CHUNK_BYTES // (width * x.itemsize + min(channels * x.itemsize, LINE)))
    for block in range(first, min(last, (images + group - 1) // group * slabs)):
        image, begin = block // slabs * group, block % slabs * rows
        count = min(group, images - image)
        source, at = x, image * pixels + begin * step
        if framed:
            for i in range(count):
                fill(x, image + i, begin * stride, lengths, before, frame, channels, buffer, i * size)
            source, at = buffer, 0
        g_at, total = (image * height + begin) * positions * filters, min(rows, height - begin) * positions * count
        for chunk in range(0, total, length):
            for j in range(1 if channelwise else groups):
                multiply_at(address, source, at + j * depth, row, out_row, 0, row.size, col, chunk,
                            min(chunk + length, total), g, filters, g_at + chunk * filters + j * width, g, 0, out,
                            j * width, filters if channelwise else width, True, floor, channelwise != 0, tiles, spare
                )  # fmt: skip
