"""What pooling does with a run of windows, by whole vectors of channels.

All functions get the same arguments. `large` is the array in which the windows lie and `small` the one with an element
for each of them, both flat, as `index`, the taps that maxima came from. The first window begins at element `base` of
`large`, each further one `pitch` elements later, and `channels` long are their elements, from `at` on in `small`. All
have `found` taps, whose distances and numbers are in `offsets` and `taps`. `weight` multiplies sums and what is spread;
`alone` says whether what is spread is written, as no other window has those elements, or added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .lazy import imported
from .vectors import Vectors, inlined


@inlined
def largest(  # type: ignore[no-untyped-def]
    vectors, large, base, small, index, at, offsets, taps, found, windows, pitch, channels, weight, alone
):
    """Write the maxima and the numbers of their taps."""
    build = vectors.build

    def write(window: Any, c: Any, mask: Any) -> None:
        target, best = _place(vectors, at, window, channels, c), vectors.variable(_tap(vectors, taps, 0))

        def compare(most: Any, value: Any, tap: Any) -> Any:
            is_larger = build.fcmp_ordered(">", value, most)
            build.store(build.select(is_larger, _tap(vectors, taps, tap), build.load(best)), best)
            return _larger(vectors, is_larger, value, most)

        source = build.gep(large, [_place(vectors, base, window, pitch, c)])
        vectors.store(_over_taps(vectors, source, offsets, found, mask, -float("inf"), compare), small, target, mask)
        vectors.bytes.store(build.trunc(build.load(best), vectors.bytes.kind), index, target, mask)

    _each_vector(vectors, windows, channels, write)


@inlined
def largest_value(  # type: ignore[no-untyped-def]
    vectors, large, base, small, index, at, offsets, taps, found, windows, pitch, channels, weight, alone
):
    """Write the maxima."""

    def write(window: Any, c: Any, mask: Any) -> None:
        source = vectors.build.gep(large, [_place(vectors, base, window, pitch, c)])
        most = _over_taps(vectors, source, offsets, found, mask, -float("inf"), compare)
        vectors.store(most, small, _place(vectors, at, window, channels, c), mask)

    def compare(most: Any, value: Any, tap: Any) -> Any:
        return _larger(vectors, vectors.build.fcmp_ordered(">", value, most), value, most)

    _each_vector(vectors, windows, channels, write)


@inlined
def total(  # type: ignore[no-untyped-def]
    vectors, large, base, small, index, at, offsets, taps, found, windows, pitch, channels, weight, alone
):
    """Write the sums, times `weight`."""
    build, factor = vectors.build, vectors.splat(weight)

    def write(window: Any, c: Any, mask: Any) -> None:
        source = build.gep(large, [_place(vectors, base, window, pitch, c)])
        value = _over_taps(vectors, source, offsets, found, mask, 0.0, lambda sum_, value, _: build.fadd(sum_, value))
        vectors.store(build.fmul(value, factor), small, _place(vectors, at, window, channels, c), mask)

    _each_vector(vectors, windows, channels, write)


@inlined
def spread_to_largest(  # type: ignore[no-untyped-def]
    vectors, large, base, small, index, at, offsets, taps, found, windows, pitch, channels, weight, alone
):
    """Give each window's element to the tap that `index` names, and zero to the others."""
    build = vectors.build

    def share(vectors: Vectors, place: Any, mask: Any) -> Callable[[Any], Any]:
        chosen = build.zext(vectors.bytes.load(index, place, mask), vectors.integers)
        given, zero = vectors.load(small, place, mask), vectors.number(0.0)
        return lambda tap: build.select(build.icmp_signed("==", chosen, _tap(vectors, taps, tap)), given, zero)

    _spread(vectors, share, large, base, at, offsets, found, windows, pitch, channels, alone)


@inlined
def spread(  # type: ignore[no-untyped-def]
    vectors, large, base, small, index, at, offsets, taps, found, windows, pitch, channels, weight, alone
):
    """Give each window's element, times `weight`, to all of its taps."""

    def share(vectors: Vectors, place: Any, mask: Any) -> Callable[[Any], Any]:
        given = vectors.build.fmul(vectors.load(small, place, mask), vectors.splat(weight))
        return lambda tap: given

    _spread(vectors, share, large, base, at, offsets, found, windows, pitch, channels, alone)


def _spread(
    vectors: Vectors, share: Callable[[Vectors, Any, Any], Callable[[Any], Any]], large: Any, base: Any, at: Any,
    offsets: Any, found: Any, windows: Any, pitch: Any, channels: Any, alone: Any,
) -> None:  # fmt: skip
    """Write what gives each tap its share of a vector of `small`.

    What is added goes tap by tap, so that nothing is read right after it was written. A vector that reaches into the
    next window's channels would be, though it leaves them as they are: where they are few they are single numbers.
    """
    build = vectors.build

    def target(vectors: Vectors, tap: Any, window: Any, c: Any) -> Any:
        first = build.add(base, build.load(build.gep(offsets, [tap])))
        return _place(vectors, first, window, pitch, c)

    def write(window: Any, c: Any, mask: Any) -> None:
        of_tap = share(vectors, _place(vectors, at, window, channels, c), mask)
        with _range(vectors, found) as tap:
            vectors.store(of_tap(tap.index), large, target(vectors, tap.index, window, c), mask)

    def add(vectors: Vectors) -> None:
        with _range(vectors, found) as tap:

            def add_vector(window: Any, c: Any, mask: Any) -> None:
                of_tap = share(vectors, _place(vectors, at, window, channels, c), mask)
                to = target(vectors, tap.index, window, c)
                vectors.store(build.fadd(vectors.load(large, to, mask), of_tap(tap.index)), large, to, mask)

            _each_vector(vectors, windows, channels, add_vector)

    with build.if_else(alone) as (writing, adding):
        with writing:
            _each_vector(vectors, windows, channels, write)
        with adding:
            reaches_on = build.icmp_signed("<", pitch, vectors.integer(vectors.lanes))
            several = build.icmp_signed(">", windows, vectors.integer(1))
            with build.if_else(build.and_(reaches_on, several)) as (one_by_one, by_vectors):
                with one_by_one:
                    add(vectors.single)
                with by_vectors:
                    add(vectors)


def _larger(vectors: Vectors, is_larger: Any, value: Any, most: Any) -> Any:
    """The larger one, NaN if either is."""
    build = vectors.build
    return build.select(build.fcmp_unordered("uno", value, value), value, build.select(is_larger, value, most))


def _each_vector(vectors: Vectors, windows: Any, channels: Any, write: Callable[[Any, Any, Any], None]) -> None:
    """Have `write` write what is done in each window, with the vector of channels from one on, and its mask."""
    build, lanes = vectors.build, vectors.integer(vectors.lanes)
    whole = build.udiv(channels, lanes)
    end = build.mul(whole, lanes)
    rest = build.sub(channels, end)
    mask = vectors.mask(rest)
    with _range(vectors, windows) as window:
        with _range(vectors, whole) as vector:
            write(window.index, build.mul(vector.index, lanes), None)
        with build.if_then(build.icmp_signed(">", rest, vectors.integer(0))):
            write(window.index, end, mask)


def _over_taps(
    vectors: Vectors, source: Any, offsets: Any, found: Any, mask: Any, start: float,
    join: Callable[[Any, Any, Any], Any],
) -> Any:  # fmt: skip
    """What `join` makes of `start`, or the last result, and a tap's vector, for all taps."""
    build, result = vectors.build, vectors.variable(vectors.number(start))
    with _range(vectors, found) as tap:
        value = vectors.load(source, build.load(build.gep(offsets, [tap.index])), mask)
        build.store(join(build.load(result), value, tap.index), result)
    return build.load(result)


def _tap(vectors: Vectors, taps: Any, at: Any) -> Any:
    """A tap's number, in all lanes."""
    number = vectors.build.load(vectors.build.gep(taps, [at if hasattr(at, "type") else vectors.integer(at)]))
    return vectors.splat(vectors.build.trunc(number, vectors.integers.element))


def _place(vectors: Vectors, first: Any, window: Any, pitch: Any, c: Any) -> Any:
    return vectors.build.add(first, vectors.build.add(vectors.build.mul(window, pitch), c))


def _range(vectors: Vectors, count: Any) -> Any:
    return imported("numba.core.cgutils").for_range(vectors.build, count)
