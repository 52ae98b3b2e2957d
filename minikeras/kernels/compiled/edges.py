"""Positions near the edge of an image apart from the others, so that what is padding isn't multiplied there.

Along the first axis the loop itself leaves out taps that see nothing but zeros. Along the others positions are sorted
by the taps that see something: those in the middle see all, those at an edge or in a corner some. These get a kernel of
their own, which has no others.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from ..geometry import Ints

TILE = 9
"""Rows of a tile."""
VISIT = 12
"""Products in whose time the sums of a tile are written, and a row of the kernel is copied."""
CALL = 3000
"""Products in whose time the kernel's copy is begun."""
GAIN = 0.93
"""What share of the time without sorting it must not exceed."""


class Kind(NamedTuple):
    """Positions that see the same taps along the second and third axis.

    Attributes:
        positions: Their numbers in a row of positions, in order.
        taps: The numbers of those taps among all of these axes, in order.
    """

    positions: np.ndarray
    taps: np.ndarray


def seen(start: int, stride: int, count: int, taps: int, dilation: int, length: int) -> np.ndarray:
    """For each of `count` windows along an axis of `length`, the first tap inside of it and the one behind the last."""
    begin = start + stride * np.arange(count)
    low = np.clip(-(begin // dilation), 0, taps)
    return np.stack([low, np.clip((length - 1 - begin) // dilation + 1, low, taps)])


def all_positions(counts: Ints, window: Ints) -> Kind:
    """All of them as if they saw everything, of three axes along the second and third."""
    return Kind(np.arange(counts[1] * counts[2]), np.arange(window[1] * window[2]))


def sorted_positions(
    axes: list[np.ndarray], window: Ints, depth: int, images: int, times: int, least_row: int
) -> list[Kind]:
    """The kinds of positions, or all as one if that takes no longer.

    Args:
        axes: What `seen` gives for each of three axes.
        window: Taps of three axes.
        depth: Products for each tap.
        images, times: How many are multiplied together, and how often that is done.
        least_row: Positions in a row from which the loop leaves out taps along the first axis.
    """
    together = all_positions((0, *[axis.shape[1] for axis in axes[1:]]), window)
    kinds = []
    for (b, rows), (c, columns) in itertools.product(_alike(axes[1]), _alike(axes[2])):
        positions = np.add.outer(rows * axes[2].shape[1], columns).ravel()
        taps = np.add.outer(np.arange(*b) * window[2], np.arange(*c)).ravel()
        kinds.append(Kind(positions, taps))
    each, all_ = (sum(_cost(kind, axes[0], depth, images, least_row) for kind in k) for k in (kinds, [together]))
    copied = sum(kind.taps.size for kind in kinds if kind.taps.size < together.taps.size) * window[0] * depth
    return kinds if each + (copied * VISIT + CALL) / times < GAIN * all_ else [together]


def _alike(axis: np.ndarray) -> list[tuple[Ints, np.ndarray]]:
    """The taps that positions along an axis see, and which positions do."""
    each, which = np.unique(axis, axis=1, return_inverse=True)
    return [(tuple(taps.tolist()), np.flatnonzero(which.ravel() == i)) for i, taps in enumerate(each.T)]


def _cost(kind: Kind, rows: np.ndarray, depth: int, images: int, least_row: int) -> int:
    """Products of a tile's width, and what stands for writing them."""
    size, taps = kind.positions.size, (rows[1] - rows[0]).tolist()
    groups = [(max(taps), images * len(taps))]
    if size >= least_row:
        groups = [(seen, len(list(found))) for seen, found in itertools.groupby(taps)] * images
    return sum(-(-count * size // TILE) * (seen * kind.taps.size * depth + VISIT) for seen, count in groups)
