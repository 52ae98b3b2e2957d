"""The second look: an input whose gradient disagreed along a direction, element by element.

What is found goes to `verdict.classify` as `Evidence`: the claimed and the measured derivative of every output (or of
their weighted sum) in each examined element, how far the measurement can be trusted, and where there are kinks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .differences import Line, Probe

ALL = 1500  # inputs up to this size are examined whole
SAMPLE = 150  # so many elements of larger ones
ENTRIES = 4_000_000  # Jacobians up to this size are kept
WORST = 8  # so many of the worst elements are looked at for lost digits
PULLS = 400  # outputs up to this number are pulled back one by one

PullBack = Callable[[np.ndarray], np.ndarray]


@dataclass
class Kink:
    """An element at which the slopes ahead and behind differ, however small the step.

    Attributes:
        index: Of the element, flat.
        low, high: The slopes between which the claimed one may lie.
        jumps: Whether the value itself jumps.
    """

    index: int
    low: float
    high: float
    jumps: bool = False


@dataclass
class Evidence:
    """What is known of one input.

    Attributes:
        name: Of the input.
        shape: Of the input.
        point: Its values.
        indices: Flat indices of the examined elements, in order.
        whole: Whether these are all.
        analytic, numeric: Claimed and measured derivative of the weighted sum of outputs in each examined element.
        errors: The estimated error of each measured one.
        scale: The largest of both in size.
        tolerance: Up to where they count as equal.
        kinks: Where there is none.
        output_shape: Shape of the output, if there is one only; the outputs' number else.
        weight: What `analytic`, `numeric`, `errors` and `kinks` were divided by: the cotangent of a single output.
        claimed, measured: (outputs, examined elements): the Jacobians, where they are small enough.
        outputs: The values themselves, flat.
        arrived: Whether the claimed gradient was anything but None.
        lost: By how much a gradient may be off in the worst elements if it cancels as the values do; NaN elsewhere.
        values_type: "float32" or "float16" if all values are numbers of that type in a function of float64.
        worst: Position of the worst element among the examined ones.
        line: The line along the worst element.
    """

    name: str
    shape: tuple[int, ...]
    point: np.ndarray
    indices: np.ndarray
    whole: bool
    analytic: np.ndarray
    numeric: np.ndarray
    errors: np.ndarray
    scale: float
    tolerance: float
    kinks: list[Kink] = field(default_factory=list)
    output_shape: tuple[int, ...] = ()
    claimed: np.ndarray | None = None
    measured: np.ndarray | None = None
    gradient: np.ndarray | None = None
    outputs: np.ndarray | None = None
    arrived: bool = True
    lost: np.ndarray | None = None
    values_type: str | None = None
    weight: float = 1.0
    worst: int = 0
    line: Line | None = None


def examine(
    probe: Probe,
    i: int,
    gradient: np.ndarray,
    pull_back: PullBack,
    rng: np.random.Generator,
    rtol: float,
    weight: float = 1.0,
    **known: Any,
) -> Evidence:
    """Measure the derivative of the outputs in the elements of an input.

    Args:
        probe: The function.
        i: Number of the input.
        gradient: The claimed gradient.
        pull_back: From a flat cotangent of all outputs to the claimed gradient of this input.
        rng: Chooses a sample of a large input.
        rtol: Tolerance, relative to the largest element.
        weight: The cotangent, if there is one output only.
        **known: Other fields of `Evidence`.
    """
    size = gradient.size
    indices = np.arange(size) if size <= ALL else _suspects(probe, i, gradient, rng)
    lines = [probe.element(i, int(index)) for index in indices]
    units = [float(line.moves[i].flat[index]) for line, index in zip(lines, indices, strict=True)]
    outputs = probe.outputs.size
    keep = outputs * len(indices) <= ENTRIES
    measured = np.empty((outputs, len(indices))) if keep else None
    numeric, errors = np.empty(len(indices)), np.empty(len(indices))
    kinks = []
    with np.errstate(all="ignore"):
        bound = float(np.nanmax(np.abs(gradient), initial=0.0))
        seen = [lines[k].seen_noise() for k in rng.permutation(len(lines))[:3]]
        probe.noise_of_values = max(probe.noise_of_values, float(np.median(seen)) if seen else 0.0)
        for k, line in enumerate(lines):
            unit = units[k]
            rates, error, kink = _measure(line, int(indices[k]), unit, bound * abs(unit))
            numeric[k], errors[k] = float(rates @ probe.cotangent) / unit, error / abs(unit)
            if measured is not None:
                measured[:, k] = rates / unit
            if kink is not None:
                kinks.append(kink)
    analytic = gradient.reshape(-1)[indices].astype(np.float64) / weight + 0.0  # no -0
    numeric, errors = numeric / weight, errors / abs(weight)
    for kink in kinks:
        kink.low, kink.high = sorted((kink.low / weight + 0.0, kink.high / weight + 0.0))
    finite = np.concatenate([analytic, numeric])[np.isfinite(np.concatenate([analytic, numeric]))]
    scale = float(np.abs(finite).max(initial=0.0))
    if not analytic.any():  # a slope of nothing but rounding is small beside what wide steps show
        wide = np.array([line.central(probe.steps.sweep[0]) for line in lines]) / units / weight
        scale = max(scale, float(np.abs(wide[np.isfinite(wide)]).max(initial=0.0)))
    differences = np.abs(analytic - numeric)
    lost = _lost(lines, indices, differences, rtol * scale) / abs(weight)
    worst = int(np.argmax(np.where(np.isnan(differences), np.inf, differences))) if len(indices) else 0
    claimed = _claimed(probe, pull_back, indices) if keep and outputs <= PULLS else None
    return Evidence(
        **known,
        indices=indices,
        whole=size <= ALL,
        analytic=analytic,
        numeric=numeric,
        errors=errors,
        scale=scale,
        tolerance=max(rtol * scale, 1e-300),
        kinks=kinks,
        claimed=claimed,
        measured=measured if claimed is not None else None,
        lost=lost,
        worst=worst,
        line=lines[worst] if lines else None,
        gradient=gradient / weight,
        weight=weight,
        outputs=probe.outputs,
    )


def _measure(line: Line, index: int, unit: float, scale: float) -> tuple[np.ndarray, float, Kink | None]:
    """The rates of the outputs, the estimated error of their weighted sum, and the kink if there is one.

    Two steps are enough where they agree and the slopes ahead and behind approach one another.
    """
    cotangent, sweep = line.probe.cotangent, line.probe.steps.sweep
    coarse, fine = sweep[2], sweep[3]
    ratio = (coarse / fine) ** 2
    rough, close = line.rates(coarse), line.rates(fine)
    rates = (ratio * close - rough) / (ratio - 1.0)
    error = abs(float((rates - close) @ cotangent))
    size = max(scale, abs(float(rates @ cotangent)))  # in this order, scale where the slope is NaN
    straight = line.bend(fine) <= max(0.3 * line.bend(coarse), line.negligible_bend(fine, size))
    if straight and max(error, line.noise(fine)) <= 1e-5 * size and not line.falls_with_the_step():
        return rates, 1e-3 * error + 4.0 * line.noise(fine), None
    kink = _kink(line, index, unit, size)
    if kink is not None:
        return close, error, kink
    line.seen_noise()
    best = line.extrapolated(size)
    steps = [step for step in sweep if np.isfinite(line.central(step))]
    if not steps:
        return close, float("inf"), None
    rates = line.rates(min(steps, key=lambda step: abs(line.central(step) - best.value)))
    left = best.value - float(rates @ cotangent)
    square = float(cotangent @ cotangent)
    return (rates + left / square * cotangent if square and np.isfinite(left) else rates), best.error, None


def _lost(lines: list[Line], indices: np.ndarray, differences: np.ndarray, tolerance: float) -> np.ndarray:
    """What the noise of values makes of a derivative over a step as long as the element itself, where that differs."""
    found = np.full(len(lines), np.nan)
    order = np.argsort(np.where(np.isnan(differences), -1.0, -differences))
    for k in order[:WORST]:
        if differences[k] > tolerance:
            (move,) = lines[k].moves.values()
            (point,) = (lines[k].probe.points[i] for i in lines[k].moves)
            reach = abs(float(point.flat[indices[k]])) or abs(float(move.flat[indices[k]]))
            lines[k].seen_noise()
            found[k] = lines[k].noise(reach)
    return found


def _kink(line: Line, index: int, unit: float, scale: float) -> Kink | None:
    """A kink at the point, or nearer than differences can see."""
    sweep = line.probe.steps.sweep
    small, middle = sweep[6], sweep[3]
    if line.jumps():
        return Kink(index, -np.inf, np.inf, jumps=True)
    near, far = line.bend(small), line.bend(middle)
    if (
        not np.isfinite(near + far)
        or near <= line.negligible_bend(small, scale)
        or near < 0.3 * far
        or not line.breaks()
    ):
        return None
    low, high = sorted(slope / unit + 0.0 for slope in line.one_sided(small))  # no -0
    return Kink(index, low, high)


def _claimed(probe: Probe, pull_back: PullBack, indices: np.ndarray) -> np.ndarray:
    """The rows of the claimed Jacobian."""
    rows = np.empty((probe.outputs.size, len(indices)))
    for k in range(probe.outputs.size):
        cotangent = np.zeros(probe.outputs.size)
        cotangent[k] = probe.cotangent[k]  # a rule that isn't linear in its cotangent is taken where it was seen
        rows[k] = pull_back(cotangent).reshape(-1)[indices] / cotangent[k]
    return rows


def _suspects(probe: Probe, i: int, gradient: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Elements of a large input: a random sample, and those to which halving leads, half by half."""
    chosen = set(rng.choice(gradient.size, SAMPLE, replace=False).tolist())
    signs = rng.choice(np.array([-1.0, 1.0]), gradient.size) * probe.size(i)
    step = probe.steps.first
    for _ in range(4):
        elements = np.array(sorted(set(range(gradient.size)) - chosen)) if chosen else np.arange(gradient.size)
        while len(elements) > 1:
            halves = [elements[: len(elements) // 2], elements[len(elements) // 2 :]]
            elements = max(halves, key=lambda half: _disagreement(probe, i, gradient, signs, half, step))
        chosen.update(elements.tolist())
    return np.array(sorted(chosen))


def _disagreement(
    probe: Probe, i: int, gradient: np.ndarray, signs: np.ndarray, elements: np.ndarray, step: float
) -> float:
    """How far claim and measurement differ along random signs of some elements."""
    move = np.zeros(gradient.size)
    move[elements] = signs[elements]
    measured = probe.line({i: move.reshape(gradient.shape)}).central(step)
    difference = abs(measured - float(np.dot(move, gradient.reshape(-1))))
    return difference if np.isfinite(difference) else np.inf


def swept(line: Line, expected: float, scale: float) -> list[tuple[float, float]]:
    """The relative error of the claim for each step of the sweep.

    Args:
        line: The line.
        expected: The claimed slope along it.
        scale: What errors are relative to.
    """
    return [(step, abs(slope - expected) / scale) for step, slope in line.sweep()]
