"""Wrong derivatives by the hundred: mistakes that any rule may suffer, spread over all subjects, and those of its own.

``MUTATIONS`` has them all. ``EQUIVALENT`` has those that looked like mistakes and change nothing, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tests.gradcheck import planting as p
from tests.gradcheck.handwritten import MUTATIONS as HANDWRITTEN
from tests.gradcheck.in_layers import MUTATIONS as IN_LAYERS
from tests.gradcheck.planting import Function, Mutation
from tests.gradcheck.special import EQUIVALENT as EQUIVALENT_SPECIAL
from tests.gradcheck.special import SPECIAL
from tests.gradcheck.subjects import SUBJECTS

__all__ = ["DEVELOPMENT", "EQUIVALENT", "HELD_OUT", "MUTATIONS"]

Shape = tuple[int, ...]


class Generic(NamedTuple):
    """A mistake that the gradient of any input may suffer, where ``fits`` says so; rounding needs digits to lose."""

    kind: str
    truths: tuple[str, ...]
    after: Callable[[Shape], Callable[..., Any]]
    fits: Callable[[Function, Shape], bool] = lambda subject, shape: True
    detail: str = ""
    rounds: bool = False


# Their derivatives are made of zeros, ones and other numbers that no rounding changes.
EXACT = {
    "add", "subtract", "sum", "mean", "max", "maximum", "cumsum", "sum_to", "transpose", "pad", "crop", "flip",
    "concatenate", "repeat", "tile", "getitem", "take", "broadcast_to", "max_pool", "average_pool", "absolute", "relu",
    "clip", "where", "dropout", "upsample_nearest", "upsample_linear", "block_sum",
}  # fmt: skip
EXACT_INPUTS = {"bias", "beta"}
# Some of their derivatives are zero, which ones hangs on the input: a mistake in one place may meet only those.
SPARSE = {"max", "maximum", "relu", "clip", "max_pool", "where", "getitem", "take", "dropout"}


def twins(shape: Shape) -> list[tuple[int, int]]:
    """Pairs of axes of equal length above one."""
    return [(i, j) for i in range(len(shape)) for j in range(i) if shape[i] == shape[j] > 1]


def matrix(_: Function, shape: Shape) -> bool:
    return len(shape) > 1 and shape[0] > 1


def images(_: Function, shape: Shape) -> bool:
    return len(shape) == 4


def many(_: Function, shape: Shape) -> bool:
    return int(np.prod(shape)) > 2


def dense(subject: Function, shape: Shape) -> bool:
    return subject.family not in SPARSE and many(subject, shape)


def dense_matrix(subject: Function, shape: Shape) -> bool:
    return matrix(subject, shape) and dense(subject, shape)


GENERIC = [
    Generic("sign", ("sign",), lambda _: p.scaled(-1.0)),
    Generic("one element", ("wrong",), lambda shape: p.masked(p.at((0,) * len(shape), value=1.3)), dense),
    Generic("factor", ("factor",), lambda _: p.scaled(2.0), detail="2"),
    Generic("zero", ("zero",), lambda _: p.scaled(0.0)),
    Generic("transposed", ("transposed",), lambda shape: p.transposed(*twins(shape)[-1]), lambda _, s: bool(twins(s))),
    Generic("nan", ("not-finite",), lambda _: p.with_nan),
    Generic("shifted", ("wrong",), lambda shape: p.shifted(-1), lambda _, shape: len(shape) > 0 and shape[-1] > 1),
    Generic("first item only", ("zero", "wrong"), lambda _: p.masked(p.at(slice(1, None), value=0.0)), matrix),
    Generic("noise", ("non-deterministic",), lambda _: p.noisy),
    Generic("factor", ("factor",), lambda _: p.scaled(0.5), detail="1/2"),
    Generic("offset", ("wrong", "missing-term"), lambda _: lambda g, _: g + 0.5, many),
    Generic("rounded", ("precision",), lambda _: p.rounded(np.float32), detail="float32", rounds=True),
    Generic("detached", ("zero",), lambda _: p.nothing),
    Generic("one channel", ("wrong",), lambda _: p.masked(p.at((..., 0), value=0.7)), dense_matrix),
    Generic("reversed", ("transposed", "wrong"), lambda _: p.flipped(0), lambda _, s: len(s) > 0 and s[0] > 1),
    Generic("border", ("zero", "wrong"), lambda _: p.masked(p.border((1, 2))), images),
    Generic("factor", ("factor",), lambda shape: p.scaled(float(shape[-1])), lambda _, s: s[-1] > 1, "n"),
    Generic("one row lost", ("zero", "wrong"), lambda _: p.masked(p.at(-1, value=0.0)), dense_matrix),
    Generic("rounded", ("precision", "wrong"), lambda _: p.rounded(np.float16), detail="float16", rounds=True),
]
PER_INPUT = 3


def generic() -> Iterator[Mutation]:
    """Three of the general mistakes for every input of every subject, all of them in turn."""
    turn = 0
    for subject in SUBJECTS:
        for wrt, array in zip(subject.samples, subject.arrays(0), strict=True):
            made = 0
            while made < PER_INPUT:
                mistake = GENERIC[turn % len(GENERIC)]
                turn += 1
                exact = subject.family in EXACT or wrt in EXACT_INPUTS
                if not mistake.fits(subject, array.shape) or (mistake.rounds and exact):
                    continue
                made += 1
                plant = p.altered(subject.operation, subject.place(wrt), mistake.after(array.shape))
                yield Mutation(subject, mistake.kind, wrt, mistake.truths, plant, mistake.detail)


# What the general mistakes don't change, by the mutation's name.
UNCHANGED = {
    "where, on the diagonal: x transposed": "a diagonal matrix is its own transpose",
    "crop, both axes: x one channel": "the gradient of what is cropped is zero",
}


def _distinct(mutations: list[Mutation]) -> list[Mutation]:
    """The first of each name."""
    found = {m.name: m for m in reversed(mutations)}
    return list(reversed(found.values()))


_generic = list(generic())
EQUIVALENT = [*EQUIVALENT_SPECIAL, *[(m, UNCHANGED[m.name]) for m in _generic if m.name in UNCHANGED]]
MUTATIONS = _distinct([*SPECIAL, *[m for m in _generic if m.name not in UNCHANGED], *IN_LAYERS, *HANDWRITTEN])
HELD_OUT = [mutation for mutation in MUTATIONS if p.held_out(mutation)]
DEVELOPMENT = [mutation for mutation in MUTATIONS if not p.held_out(mutation)]
