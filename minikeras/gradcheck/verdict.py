"""Verdicts: what is wrong with a gradient, in words.

The kinds are constants of this module. `classify` goes from the special to the general: what differences can't decide
(values that aren't finite, kinks, lost digits) first, then patterns of the claimed Jacobian beside the measured one.
A verdict that the numbers suggest but don't prove is not `certain`, and its words say "perhaps".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import patterns
from .examine import Evidence
from .wording import places

AGREES = "agrees"
FACTOR = "factor"
SIGN = "sign"
TRANSPOSED = "transposed"
MISSING_TERM = "missing-term"
ZERO = "zero"
WRONG = "wrong"
KINK = "kink"
PRECISION = "precision"
NON_DETERMINISTIC = "non-deterministic"
INDEPENDENT = "independent"
NOT_FINITE = "not-finite"
KINDS = (
    AGREES,
    FACTOR,
    SIGN,
    TRANSPOSED,
    MISSING_TERM,
    ZERO,
    WRONG,
    KINK,
    PRECISION,
    NON_DETERMINISTIC,
    INDEPENDENT,
    NOT_FINITE,
)


KNOWN = 1e-6  # a slope whose relative error is larger confirms nothing


@dataclass(frozen=True)
class Verdict:
    """What was found of one input.

    Attributes:
        kind: One of `KINDS`.
        text: The same in words, with numbers.
        certain: Whether the kind is proven, and not only likely.
        ok: Whether the gradient passes.
    """

    kind: str
    text: str
    certain: bool = True
    ok: bool = False


def agrees(text: str = "agrees") -> Verdict:
    """The gradient is right."""
    return Verdict(AGREES, text, ok=True)


def is_single(gradient: np.ndarray) -> bool:
    """Whether float32 could hold every element, which doesn't happen by chance: cotangents are random."""
    return bool(gradient.any() and (gradient == gradient.astype(np.float32)).all())


def rounded(relative_error: float) -> Verdict:
    """The gradient went through float32."""
    return Verdict(
        PRECISION, f"precision: the gradient's elements are float32 numbers; relative error {relative_error:.1g}"
    )


def independent(order: int = 1) -> Verdict:
    """There is nothing to differentiate, and the gradient knows it."""
    if order == 2:
        return Verdict(INDEPENDENT, "linear or constant: the second derivative is 0, and so is the gradient's", ok=True)
    return Verdict(INDEPENDENT, "not a function of this input: the derivative is 0, and so is the gradient", ok=True)


def classify(evidence: Evidence) -> Verdict:
    """Say what is wrong with a gradient, if anything is."""
    if not evidence.arrived:
        evidence.analytic = np.zeros(len(evidence.indices))
    return (
        _not_finite(evidence) or _kinks(evidence) or _agreeing(evidence) or _precision(evidence) or by_pattern(evidence)
    )


# ---------------------------------------------------------------------- what differences can't decide


def _not_finite(e: Evidence) -> Verdict | None:
    claimed = ~np.isfinite(e.analytic)
    if claimed.any():
        what = "NaN" if np.isnan(e.analytic[claimed]).any() else "infinite"
        place = _places(e, np.flatnonzero(claimed))
        return Verdict(NOT_FINITE, f"the gradient is {what} at {place}")
    unmeasured = ~np.isfinite(e.numeric)
    if unmeasured.any():
        place = _places(e, np.flatnonzero(unmeasured))
        return Verdict(NOT_FINITE, f"values beside the point are not finite, so nothing can be measured at {place}")
    return None


def _kinks(e: Evidence) -> Verdict | None:
    """A verdict where kinks are all that differs; else they are left out of what follows."""
    if not e.kinks:
        return None
    position = {int(index): k for k, index in enumerate(e.indices)}
    slack = 1e-4 * e.scale
    outside = []
    for kink in e.kinks:
        claimed = e.analytic[position[kink.index]]
        if not kink.jumps and not kink.low - slack <= claimed <= kink.high + slack:
            outside.append(kink)
    others = np.setdiff1d(np.arange(len(e.indices)), [position[kink.index] for kink in e.kinks])
    wrong = np.abs(e.analytic - e.numeric)[others] > np.maximum(e.tolerance, 10.0 * e.errors[others])
    place = _places(e, np.array([position[kink.index] for kink in e.kinks]))
    first = e.kinks[0]
    if not outside and not wrong.any():
        if any(kink.jumps for kink in e.kinks):
            return Verdict(KINK, f"the value jumps at {place}, where it has no derivative", ok=True)
        claimed = e.analytic[position[first.index]]
        return Verdict(
            KINK,
            f"not differentiable here: a kink at {place}; the slopes on its sides are {first.low:.6g} and "
            f"{first.high:.6g}, the gradient's {claimed:.6g} is a subgradient",
            ok=True,
        )
    if not wrong.any():
        kink = outside[0]
        claimed = e.analytic[position[kink.index]]
        return Verdict(
            WRONG,
            f"wrong, perhaps the rule for ties: at the kink at {_places(e, np.array([position[kink.index]]))} the "
            f"gradient {claimed:.6g} is not between the slopes on its sides, {kink.low:.6g} and {kink.high:.6g}",
            certain=False,
        )
    _leave_out(e, others)
    return None


def _leave_out(e: Evidence, kept: np.ndarray) -> None:
    e.whole = False
    e.indices, e.analytic, e.numeric, e.errors = e.indices[kept], e.analytic[kept], e.numeric[kept], e.errors[kept]
    e.lost = None if e.lost is None else e.lost[kept]
    if e.claimed is not None and e.measured is not None:
        e.claimed, e.measured = e.claimed[:, kept], e.measured[:, kept]


def _agreeing(e: Evidence) -> Verdict | None:
    """The second look may find that all is well: the first was disturbed by something near."""
    noisy = np.minimum(10.0 * e.errors, 10.0 * KNOWN * e.scale)
    if (np.abs(e.analytic - e.numeric) > np.maximum(e.tolerance, noisy)).any():
        return None
    if (e.errors > max(KNOWN * e.scale, e.tolerance)).any():
        return None
    if e.scale == 0.0:
        return Verdict(
            INDEPENDENT, "not a function of this input: the derivative is 0, and so is the gradient", ok=True
        )
    return agrees()


def _precision(e: Evidence) -> Verdict | None:
    difference = np.abs(e.analytic - e.numeric)
    if e.values_type is None and e.lost is not None and np.isfinite(e.lost).any():
        seen = np.isfinite(e.lost)
        if (difference[seen] <= 10.0 * e.lost[seen]).all():
            off = float(difference[seen].max())
            return Verdict(
                PRECISION,
                f"precision: the values cancel to noise, and so may the gradient; it is off by {off:.1g} (relative "
                f"{off / (e.scale or 1.0):.1g}), no more than that explains",
                certain=False,
            )
    if _is_stepped(e):
        return Verdict(
            PRECISION,
            "precision: the value stays for small steps and moves as the gradient says for large ones. Perhaps it is "
            "rounded, or a large number is added and taken away",
            certain=False,
        )
    mostly = float(np.median(e.errors)) > KNOWN * e.scale
    if (difference <= 10.0 * (e.errors.max() if mostly else e.errors)).all():
        floor = float(e.errors.max())
        return Verdict(
            PRECISION,
            f"precision: the values are so noisy that derivatives are known to {floor:.1g} only (relative "
            f"{floor / (e.scale or 1.0):.1g}); within that the gradient agrees. "
            + (f"They are {e.values_type} numbers" if e.values_type else "Perhaps float32 or cancellation inside"),
            certain=e.values_type is not None,
        )
    worst = float(difference.max())
    if worst <= 1e-4 * e.scale:
        relative = worst / e.scale
        if e.gradient is not None and (is_single(e.gradient) or is_single(e.gradient * e.weight)):
            return rounded(relative)
        if worst <= 2e-6 * e.scale:
            return Verdict(
                PRECISION,
                f"precision: the gradient is right to a relative error of {relative:.1g}, perhaps as something in it "
                "is computed in float32 or cancels",
                certain=False,
            )
    return None


def _is_stepped(e: Evidence) -> bool:
    """Whether the value moves in steps so large that the worst derivative is measured as 0."""
    if e.line is None or not e.whole or e.numeric[e.worst] != 0.0 or not np.isfinite(e.analytic[e.worst]):
        return False
    (move,) = e.line.moves.values()
    claimed = float(e.analytic[e.worst] * move.flat[int(e.indices[e.worst])]) * e.weight
    return abs(e.line.central(e.line.probe.steps.sweep[0]) - claimed) <= 0.02 * abs(claimed)


# ---------------------------------------------------------------------- patterns


def by_pattern(e: Evidence) -> Verdict:
    """What the claimed numbers look like beside the measured ones; wrong if like nothing known."""
    found = patterns.find(e)
    if found is None:
        difference = np.abs(e.analytic - e.numeric)
        worst = int(np.argmax(difference))
        known = bool(difference[worst] > 100.0 * e.errors[worst])
        return Verdict(WRONG, "wrong, " + _where(e), certain=known)
    return Verdict(found.kind, found.text, found.certain)


def _where(e: Evidence) -> str:
    difference = np.abs(e.analytic - e.numeric)
    wrong = np.flatnonzero(difference > np.maximum(1e-6 * e.scale, 10.0 * e.errors))
    if not len(wrong):
        return "of no simple pattern"
    if len(wrong) == len(e.indices):
        return "in every element" if len(wrong) > 1 else "by no simple pattern"
    return f"in {len(wrong)} of {len(e.indices)} elements: {_places(e, wrong)}"


def _places(e: Evidence, positions: np.ndarray, most: int = 3) -> str:
    return places(e.shape, e.indices[positions], most)
