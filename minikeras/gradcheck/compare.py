"""Comparison of a subject's gradients with differences: directions first, elements where these disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .arrays import Arrays, epsilon_of, flat, same_bits, type_of
from .differences import DOUBLE, Line, Probe, Steps, balancing, direction, typical_size
from .examine import Evidence, examine, swept
from .report import Result
from .subject import Gradients, Subject, values_beside
from .verdict import (
    AGREES,
    KINK,
    KNOWN,
    NON_DETERMINISTIC,
    NOT_FINITE,
    PRECISION,
    WRONG,
    Verdict,
    agrees,
    by_pattern,
    classify,
    independent,
    is_single,
    rounded,
)

SMALL = 3  # inputs up to this size are checked element by element at once
FULL = 2000  # and up to this size with method="full"


@dataclass(frozen=True)
class Settings:
    """How to check.

    Attributes:
        method: "auto", "full" or "random".
        rtol: Tolerance relative to the largest derivative.
        atol: Absolute tolerance.
        seed: Of the directions and cotangents.
        steps: Of the differences.
    """

    method: str
    rtol: float
    atol: float
    seed: int
    steps: Steps = DOUBLE


class Comparison:
    """The comparison of one subject with its differences.

    Args:
        subject: What is checked.
        settings: How.
        order: What the results are of.
        rng: Draws directions and cotangents.
        reference: The same function for the differences, where it isn't the subject itself.
        floor: Changes of the value up to this are rounding.
    """

    def __init__(
        self,
        subject: Subject,
        settings: Settings,
        order: int,
        rng: np.random.Generator,
        reference: Subject | None = None,
        floor: float = 0.0,
    ) -> None:
        self.subject = subject
        self.floor = floor
        self.settings = settings
        self.order = order
        self.rng = rng
        self.reference = reference or subject
        self.notes: list[str] = []
        self.complaint: Verdict | None = None  # what concerns all inputs alike
        self._before = [np.array(point) for point in subject.points]
        self._start()

    def results(self) -> list[Result]:
        """One for each differentiable input."""
        found = [self._checked(i) for i in self.subject.differentiable]
        return found if self.complaint is not None else self._together(found)

    # ------------------------------------------------------------------ the claim

    def _start(self) -> None:
        """Values and gradients at the point, after a call elsewhere that must not leave a trace."""
        subject, rng = self.subject, self.rng
        elsewhere = self._beside()
        primed = self._floats(values_beside(subject, elsewhere))
        self.cotangents = [direction(rng, output.shape).astype(output.dtype) for output in primed]
        early = self._quietly(subject.gradients, elsewhere, self.cotangents)
        values = self._floats(subject.values(subject.points))
        if [v.shape for v in values] != [c.shape for c in self.cotangents]:
            raise ValueError(
                f"{subject.owner}: the shapes of the outputs must not depend on the values of the inputs. Received: "
                f"{[c.shape for c in self.cotangents]} and {[v.shape for v in values]} at two points nearby"
            )
        self.gradients = self._quietly(subject.gradients, subject.points, self.cotangents)
        self.output_shape = values[0].shape if len(values) == 1 else (sum(v.size for v in values),)
        self._look_for_writes()
        self._look_for_randomness(values)
        self._elsewhere, self._early = elsewhere, early
        cotangent = flat(self.cotangents)
        at_point = flat(values) if self.reference is self.subject else self._evaluate(self.reference.points)
        self.finite = bool(np.isfinite(at_point).all())
        self.probe = Probe(self._evaluate, self.reference.points, at_point, cotangent, self.settings.steps)
        self.values_type = type_of(values, primed)
        if self.values_type is not None:
            self.probe.noise_of_values *= float(np.finfo(self.values_type).eps / np.finfo(np.float64).eps)
        self.weight = float(cotangent[0]) if len(cotangent) == 1 else 1.0  # numbers of one output are told without it
        self.rounding = 64.0 * epsilon_of(values) * max(float(np.linalg.norm(at_point * cotangent)), self._largest())
        self.rounding = max(self.rounding, self.floor)

    def _largest(self) -> float:
        """The size of the gradient that moves the value most."""
        with np.errstate(all="ignore"):
            sizes = [
                float(np.linalg.norm(gradient)) * self.probe.size(i)
                for i, gradient in enumerate(self.gradients)
                if gradient is not None and gradient.size
            ]
        return max((size for size in sizes if np.isfinite(size)), default=0.0)

    def _beside(self) -> Arrays:
        points = [*self.subject.points]
        for i in self.subject.differentiable:
            move = 1e-3 * typical_size(points[i]) * direction(self.rng, points[i].shape)
            points[i] = (points[i] + move).astype(points[i].dtype)
        return points

    def _floats(self, outputs: Arrays) -> Arrays:
        return [output for output in outputs if output.dtype.kind == "f"]

    def _quietly(self, function: Any, *arguments: Any) -> Gradients:
        with np.errstate(all="ignore"):
            return function(*arguments)

    def _evaluate(self, arrays: Arrays) -> np.ndarray:
        with np.errstate(all="ignore"):
            return flat(self._floats(values_beside(self.reference, arrays)))

    def _look_for_writes(self) -> None:
        for name, point, before in zip(self.subject.names, self.subject.points, self._before, strict=True):
            if not same_bits(point, before):
                point[...] = before
                self.complaint = Verdict(
                    WRONG, f"wrong: the function or its gradient writes into its input {name!r}", certain=True
                )

    def _look_for_randomness(self, values: Arrays) -> None:
        again = self._floats(self.subject.values(self.subject.points))
        repeated = self._quietly(self.subject.gradients, self.subject.points, self.cotangents)
        pairs = [("value", a, b) for a, b in zip(values, again, strict=True)]
        pairs += [
            (f"gradient of {name!r}", a, b)
            for name, a, b in zip(self.subject.names, self.gradients, repeated, strict=True)
            if a is not None and b is not None
        ]
        for what, one, other in pairs:
            if one.shape != other.shape or not same_bits(one, other):
                with np.errstate(all="ignore"):
                    scale = np.abs(one).max(initial=0.0)
                    difference = np.abs(one - other).max(initial=0.0) if one.shape == other.shape else np.inf
                if difference <= 16 * np.finfo(one.dtype).eps * scale:
                    self.notes.append(f"the {what} differs in its last bits when computed twice")
                    continue
                self.complaint = Verdict(
                    NON_DETERMINISTIC,
                    f"non-deterministic: the {what} differs by {difference:.2g} when computed twice at the same point",
                )
                return

    # ------------------------------------------------------------------ one input

    def _checked(self, i: int) -> Result:
        subject = self.subject
        point, given = subject.points[i], self.gradients[i]
        result = Result(subject.names[i], self.order, point.shape, agrees())
        verdict = self.complaint or self._formal(point, given)
        if verdict is not None:
            result.verdict = verdict
            return result
        gradient = np.zeros(point.shape) if given is None else np.asarray(given, np.float64) + 0.0  # no -0
        if point.size == 0:
            result.verdict = agrees("agrees: there are no elements")
            return result
        if not np.isfinite(gradient).all() or not self._agree_along(result, i, gradient):
            self._look_closer(result, i, gradient, given is not None)
        elif result.verdict.kind == AGREES and point.dtype == np.float64 and is_single(gradient):
            result.verdict = rounded(result.relative_error)
        elif self.settings.method == "full":
            self._describe_elements(result, i, gradient)
        return result

    def _formal(self, point: np.ndarray, given: np.ndarray | None) -> Verdict | None:
        """What is wrong with a gradient before any number is compared."""
        if not self.finite:
            return Verdict(NOT_FINITE, "the value itself is not finite at this point")
        if given is None:
            return None
        if given.shape != point.shape:
            return Verdict(WRONG, f"wrong shape: the gradient has {given.shape}, the input {point.shape}")
        if given.dtype.kind != "f":
            return Verdict(WRONG, f"wrong dtype: the gradient has {given.dtype}, the input {point.dtype}")
        if given.dtype != point.dtype:
            return Verdict(PRECISION, f"precision: the gradient has dtype {given.dtype}, the input {point.dtype}")
        return None

    def _agree_along(self, result: Result, i: int, gradient: np.ndarray) -> bool:
        """Whether claim and measurement agree along every direction; the result tells of the worst."""
        zero = True
        for index, line in self._lines(i, gradient):
            predicted = float(np.vdot(gradient, line.moves[i]))
            scale, measured, good = self._agree(line, predicted, gradient)
            error = abs(predicted - measured)
            relative = error / scale if scale > 0.0 else 0.0
            nothing = max(8.0 * line.noise(self.settings.steps.first), self.rounding)
            zero = zero and abs(predicted) <= self.rounding and abs(measured) <= nothing
            if np.isnan(result.relative_error) or not relative <= result.relative_error:
                unit = 1.0 if index is None else float(line.moves[i].flat[index])
                result.index = None if index is None else _unraveled(index, result.shape)
                unit *= self.weight
                result.analytic, result.numeric = predicted / unit, measured / unit
                result.absolute_error, result.relative_error = error / abs(unit), relative
            if not good:
                return False
        if zero:
            result.verdict = independent(self.order)
        return True

    def _lines(self, i: int, gradient: np.ndarray) -> list[tuple[int | None, Line]]:
        """The lines to look along, with the element where they move one only."""
        size, method = gradient.size, self.settings.method
        if (method == "auto" and size <= SMALL) or (method == "full" and size <= FULL):
            return [(index, self.probe.element(i, index)) for index in range(size)]
        unit = self.probe.size(i)
        dtype = self.probe.points[i].dtype
        plain = (unit * direction(self.rng, gradient.shape)).astype(dtype)
        balanced = (unit * direction(self.rng, gradient.shape) * balancing(gradient)).astype(dtype)
        return [(None, self.probe.line({i: plain})), (None, self.probe.line({i: balanced}))]

    def _agree(self, line: Line, predicted: float, gradient: np.ndarray) -> tuple[float, float, bool]:
        """The scale of a slope, the slope as measured, and whether the claim agrees with it."""
        settings = self.settings
        first = settings.steps.first
        measured = line.central(first)
        (move,) = line.moves.values()
        alone = np.count_nonzero(move) == 1
        spread = float(np.abs(gradient).max() * np.abs(move).max()) if alone else float(np.linalg.norm(gradient * move))
        tolerance = settings.atol * float(np.linalg.norm(move))

        def close(value: float, error: float) -> tuple[float, bool]:
            scale = max(spread, abs(value))
            allowed = max(settings.rtol * scale, min(error, 1e3 * settings.rtol * scale), tolerance)
            nothing = max(error, self.rounding)
            if max(abs(value), abs(predicted)) <= nothing:
                return nothing, True
            return scale, bool(abs(predicted - value) <= allowed)

        scale, good = close(measured, 8.0 * line.noise(first))
        if good:
            return scale, measured, True
        line.seen_noise()
        best = line.extrapolated()
        if np.isfinite(best.error):
            scale, good = close(best.value, 2.0 * best.error)
            nothing = max(abs(predicted), abs(best.value), best.error) <= self.rounding
            good = good and (nothing or best.error <= KNOWN * scale)
            return scale, best.value, good
        return scale, measured, False

    # ------------------------------------------------------------------ suspects

    def _evidence(self, i: int, gradient: np.ndarray, arrived: bool) -> Evidence:
        def pull_back(cotangent: np.ndarray) -> np.ndarray:
            found = self._quietly(self.subject.gradients, self.subject.points, self._split(cotangent))[i]
            return np.zeros(gradient.shape) if found is None else found

        return examine(
            self.probe,
            i,
            gradient,
            pull_back,
            self.rng,
            self.settings.rtol,
            name=self.subject.names[i],
            shape=gradient.shape,
            point=self.subject.points[i],
            output_shape=self.output_shape,
            arrived=arrived,
            values_type=self.values_type,
            weight=self.weight,
        )

    def _look_closer(self, result: Result, i: int, gradient: np.ndarray, arrived: bool) -> None:
        evidence = self._evidence(i, gradient, arrived)
        _fill(result, evidence)
        verdict = classify(evidence)
        if verdict.kind == WRONG and self._is_stale(i, gradient):
            verdict = Verdict(
                WRONG, "wrong, perhaps stale: it is the gradient at another point, of an earlier call", certain=False
            )
        result.verdict = verdict
        self._kinks = {**getattr(self, "_kinks", {}), i: [kink.index for kink in evidence.kinks if not kink.jumps]}

    def _is_stale(self, i: int, gradient: np.ndarray) -> bool:
        """Whether the gradient is the right one of the call elsewhere that came first."""
        early = self._early[i]
        if early is None or not (early == gradient).all() or self.reference is not self.subject:
            return False
        probe = Probe(
            self._evaluate,
            self._elsewhere,
            self._evaluate(self._elsewhere),
            self.probe.cotangent,
            self.settings.steps,
        )
        line = probe.line({i: probe.size(i) * direction(self.rng, gradient.shape)})
        slope = line.extrapolated().value
        return bool(abs(slope - float(np.vdot(gradient, line.moves[i]))) <= 1e-6 * abs(slope))

    def _describe_elements(self, result: Result, i: int, gradient: np.ndarray) -> None:
        if gradient.size > FULL or result.verdict.kind != AGREES:
            return
        evidence = self._evidence(i, gradient, True)
        _fill(result, evidence)
        if evidence.claimed is not None and evidence.measured is not None:
            scale = float(np.abs(evidence.measured).max(initial=0.0))
            if float(np.abs(evidence.claimed - evidence.measured).max(initial=0.0)) > 1e-5 * scale:
                result.verdict = by_pattern(evidence)

    def _split(self, cotangent: np.ndarray) -> Arrays:
        parts, start = [], 0
        for like in self.cotangents:
            parts.append(cotangent[start : start + like.size].reshape(like.shape).astype(like.dtype))
            start += like.size
        return parts

    def _together(self, results: list[Result]) -> list[Result]:
        """Subgradients that are right for each element alone must also be right together, as at ties."""
        kinks: dict[int, list[int]] = {
            i: found
            for (i, found), kind in (
                (item, next(r.verdict.kind for r in results if r.name == self.subject.names[item[0]]))
                for item in getattr(self, "_kinks", {}).items()
            )
            if kind == KINK and found
        }
        if not kinks:
            return results
        moves, predicted, scale = {}, 0.0, 0.0
        for i, indices in kinks.items():
            move = np.zeros(self.probe.points[i].shape, self.probe.points[i].dtype)
            move.flat[indices] = self.probe.size(i)
            gradient = self.gradients[i]
            moves[i] = move
            predicted += 0.0 if gradient is None else float(np.vdot(gradient, move))
            scale = max(scale, float(np.abs(move).sum()) * (0.0 if gradient is None else float(np.abs(gradient).max())))
        line = self.probe.line(moves)
        low, high = line.one_sided(self.settings.steps.sweep[6])
        slack = 1e-4 * max(scale, abs(low), abs(high))
        if not low - slack <= predicted <= high + slack:
            text = (
                f"wrong, perhaps the rule for ties: moving the tied elements together changes the value by {low:.6g} "
                f"to {high:.6g}, the gradient says {predicted:.6g}"
            )
            for result in results:
                if result.verdict.kind == KINK:
                    result.verdict = Verdict(WRONG, text, certain=False)
        return results


def _fill(result: Result, e: Evidence) -> None:
    """Numbers of the worst element and of all that were examined."""
    scale = e.scale or 1.0
    errors = np.abs(e.analytic - e.numeric)
    result.index = _unraveled(int(e.indices[e.worst]), e.shape)
    result.analytic, result.numeric = float(e.analytic[e.worst]), float(e.numeric[e.worst])
    result.absolute_error = float(errors[e.worst])
    result.relative_error = result.absolute_error / scale
    result.examined, result.errors = e.indices, errors / scale
    if e.line is not None:
        unit = float(next(iter(e.line.moves.values())).flat[int(e.indices[e.worst])])
        unit *= e.weight
        result.sweep = swept(e.line, result.analytic * unit, scale * abs(unit))


def _unraveled(index: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(k) for k in np.unravel_index(index, shape))
