"""Numerical derivatives: central differences along lines, and how far they can be trusted.

A `Line` goes through the point in one direction. Its slope is measured with one small step first, which is enough
where it agrees with the claim. Where it doesn't, a sweep of steps is extrapolated to the step 0 by Neville's scheme,
whose columns also say how large the error is (Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", Advances in
Engineering Software 4, 1982). The step with the smallest estimated error is chosen for each line by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .arrays import Arrays


class Steps(NamedTuple):
    """The sizes of steps, relative to the size of the point, that fit a floating-point type.

    Attributes:
        first: The one tried first, alone.
        sweep: Those of the sweep, from large to small.
        epsilon: The rounding of values, relative.
    """

    first: float
    sweep: tuple[float, ...]
    epsilon: float


DOUBLE = Steps(1e-5, tuple(10.0**-k for k in range(1, 10)), float(np.finfo(np.float64).eps))
SINGLE = Steps(1e-2, tuple(10.0 ** (-k / 2) for k in range(1, 10)), float(np.finfo(np.float32).eps))


class Slope(NamedTuple):
    """A slope and the estimate of its error."""

    value: float
    error: float


class Probe:
    """A function around a point, seen through one cotangent for each output.

    Args:
        evaluate: From the inputs to one flat float64 vector of all outputs.
        points: The inputs.
        outputs: The vector at the point itself.
        cotangent: What the vector is multiplied by.
        steps: Which steps to take.
    """

    def __init__(
        self,
        evaluate: Callable[[Arrays], np.ndarray],
        points: Arrays,
        outputs: np.ndarray,
        cotangent: np.ndarray,
        steps: Steps,
    ) -> None:
        self.evaluate = evaluate
        self.points = points
        self.outputs = outputs
        self.cotangent = cotangent
        self.steps = steps
        with np.errstate(all="ignore"):
            self.noise_of_values = steps.epsilon * float(np.linalg.norm(outputs * cotangent))

    def size(self, i: int) -> float:
        """How large the elements of an input are: the unit of its steps."""
        return typical_size(self.points[i])

    def line(self, moves: dict[int, np.ndarray]) -> Line:
        """The line along these directions of some inputs, each of the input's shape."""
        return Line(self, moves)

    def element(self, i: int, index: int) -> Line:
        """The line along one element of an input, with a unit step that fits the element."""
        move = np.zeros(self.points[i].shape, self.points[i].dtype)
        move.flat[index] = max(abs(float(self.points[i].flat[index])), 0.1 * self.size(i))
        return Line(self, {i: move})


class Line:
    """A function along a line through the point; what was evaluated is kept.

    Args:
        probe: The function and its point.
        moves: By input, how far it moves for a step of 1.
    """

    def __init__(self, probe: Probe, moves: dict[int, np.ndarray]) -> None:
        self.probe = probe
        self.moves = moves
        self._sides: dict[float, tuple[np.ndarray, np.ndarray]] = {}
        self._noise: float | None = None

    def sides(self, step: float) -> tuple[np.ndarray, np.ndarray]:
        """The outputs ahead of the point and behind it."""
        if step not in self._sides:
            self._sides[step] = (self._at(step), self._at(-step))
        return self._sides[step]

    def rates(self, step: float) -> np.ndarray:
        """The central difference of each output."""
        ahead, behind = self.sides(step)
        return (ahead - behind) / (2.0 * step)

    def central(self, step: float) -> float:
        """The central difference of the outputs times their cotangents."""
        return float(np.dot(self.rates(step), self.probe.cotangent))

    def bend(self, step: float) -> float:
        """How much the slopes ahead and behind differ, over all outputs: in proportion to the step if smooth."""
        return float(np.abs(self.bends(step)).sum())

    def bends(self, step: float) -> np.ndarray:
        """How much the slopes ahead and behind differ in each output, times its cotangent."""
        ahead, behind = self.sides(step)
        return (ahead - 2.0 * self.probe.outputs + behind) / step * self.probe.cotangent

    def breaks(self) -> bool:
        """Whether the same two slopes stand ahead and behind for several steps: noise bends ever more, and any way."""
        bends = [self.bends(step) for step in self.probe.steps.sweep[3:7]]
        return all(itertools.starmap(_alike, itertools.pairwise(bends)))

    def jumps(self) -> bool:
        """Whether the values ahead and behind stay apart, however small the step."""
        apart = [float(self.rates(step) @ self.probe.cotangent) * step for step in self.probe.steps.sweep[4:8]]
        size = float(np.abs(self.probe.outputs * self.probe.cotangent).max(initial=0.0))
        size = max(size, float(np.abs(self.sides(self.probe.steps.sweep[4])[0]).max(initial=0.0)))
        return (
            bool(min(apart) > 0 or max(apart) < 0)
            and float(np.ptp(apart)) < 0.1 * abs(apart[-1])
            and abs(apart[-1]) > 1e-5 * size
        )

    def one_sided(self, step: float) -> tuple[float, float]:
        """The lowest and the highest slope that mixtures of ahead and behind give, chosen for each output."""
        ahead, behind = self.sides(step)
        forward = (ahead - self.probe.outputs) / step * self.probe.cotangent
        backward = (self.probe.outputs - behind) / step * self.probe.cotangent
        return float(np.minimum(forward, backward).sum()), float(np.maximum(forward, backward).sum())

    def noise(self, step: float) -> float:
        """The error of a central difference by rounding of the outputs."""
        return max(self.probe.noise_of_values, self._noise or 0.0) / step

    def seen_noise(self) -> float:
        """Rounding of the values as third and fourth differences show it; more than their own where digits cancel.

        They vanish for small steps where a function is smooth, and fall in proportion to the step at a kink; only what
        stays level from one step to the next is noise (Moré and Wild, "Estimating computational noise", SIAM Journal
        on Scientific Computing 33, 2011). 0 if nothing is.
        """
        if self._noise is None:
            first = 0.1 * self.probe.steps.epsilon**0.5
            levels = [self._level(step) for step in first * 10.0 ** np.arange(8) if step < 2e-2]
            level = [min(a, b) for a, b in itertools.pairwise(levels) if b <= 3.0 * a]
            self._noise = max(level, default=0.0)
        return self._noise

    def _level(self, step: float) -> float:
        """The size of noise, if higher differences with this step show nothing else."""
        (one, behind_one), (two, behind_two) = self.sides(step), self.sides(2.0 * step)
        middle = self.probe.outputs
        odd = np.stack(
            [two - 3.0 * one + 3.0 * middle - behind_one, one - 3.0 * middle + 3.0 * behind_one - behind_two]
        )
        even = two - 4.0 * one + 6.0 * middle - 4.0 * behind_one + behind_two
        thirds = np.linalg.norm(odd * self.probe.cotangent, axis=1) / 20.0**0.5
        fourth = np.linalg.norm(even * self.probe.cotangent) / 70.0**0.5
        return float(max(np.mean(thirds), fourth))

    def sweep(self) -> list[tuple[float, float]]:
        """The central difference for each step of the sweep."""
        return [(step, self.central(step)) for step in self.probe.steps.sweep]

    def negligible_bend(self, step: float, scale: float) -> float:
        """Up to where a bend is rounding, or too small to matter beside a slope of this scale."""
        return max(1e-4 * scale, 16.0 * self.noise(step) * max(1.0, len(self.probe.outputs)) ** 0.5)

    def extrapolated(self, scale: float = 0.0) -> Slope:
        """The slope with the smallest estimated error that the sweep allows; the error is inf if none is finite.

        Steps that reach beyond a kink are left out where smaller ones do not.

        Args:
            scale: The size of slopes that matter.
        """
        steps = self.probe.steps.sweep
        bends = [self.bend(step) for step in steps[:7]]
        beyond = [k for k, step in enumerate(steps[:7]) if not bends[k] <= self.negligible_bend(step, scale)]
        start = 0
        if beyond and beyond[-1] < 6 and bends[beyond[-1]] > 10.0 * bends[beyond[-1] + 1]:
            last = beyond[-1]
            falling = last > 1 and all(bends[k - 1] >= 5.0 * bends[k] for k in (last - 1, last))
            start = 0 if falling else last + 1  # where it is smooth, bends fall with the step till rounding hides them
        slopes = np.array([self.central(step) for step in steps[start:]])
        power = 1 if self.falls_with_the_step() else 2
        return neville(np.array(steps[start:]), slopes, noise=self.noise(1.0), power=power)

    def falls_with_the_step(self) -> bool:
        """Whether central differences converge in proportion to the step, as where the second derivative jumps.

        Where a function is smooth they converge with the square of the step.
        """
        changes = np.abs(np.diff([self.central(step) for step in self.probe.steps.sweep[1:5]]))
        ratio = self.probe.steps.sweep[2] / self.probe.steps.sweep[1]
        falls = (changes[1:] > 0.5 * ratio * changes[:-1]) & (changes[1:] < 2.0 * ratio * changes[:-1])
        return bool(falls.all())

    def _at(self, step: float) -> np.ndarray:
        arrays = [*self.probe.points]
        for i, move in self.moves.items():
            arrays[i] = arrays[i] + np.asarray(step * move, arrays[i].dtype)
        return self.probe.evaluate(arrays)


def _alike(wide: np.ndarray, narrow: np.ndarray) -> bool:
    """Whether the bend with a small step is that of a larger one, or what a kink beside the point leaves of it."""
    sizes = float(np.linalg.norm(wide)), float(np.linalg.norm(narrow))
    return bool(
        0.1 * sizes[0] <= sizes[1] <= 1.5 * sizes[0] and np.dot(wide, narrow) >= 0.8 * sizes[0] * sizes[1] > 0.0
    )


def neville(steps: np.ndarray, slopes: np.ndarray, columns: int = 3, noise: float = 0.0, power: int = 2) -> Slope:
    """Extrapolate central differences to the step 0.

    Args:
        steps: From large to small.
        slopes: The central difference for each; errors are powers of the step, plus rounding.
        columns: How many powers to remove at most.
        noise: Of the values, as far as it is known.
        power: 2 if the errors have even powers only, else 1.

    Returns:
        The entry of the tableau with the smallest estimate of its error: the larger of the differences to the two
        entries that it was made of.
    """
    best = Slope(float("nan"), float("inf"))
    with np.errstate(all="ignore"):
        # Rounding changes slopes by something over the step: what the smallest steps show is there with all of them.
        rounding = _rounding(steps, slopes)[-4:]
        floor = float(rounding[np.isfinite(rounding)].max(initial=noise)) / steps
        previous = slopes
        for column in range(1, min(columns, len(steps) - 1) + 1):
            ratio = (steps[:-column] / steps[column:]) ** power
            current = (ratio * previous[1:] - previous[:-1]) / (ratio - 1.0)
            errors = np.maximum(np.abs(current - previous[1:]), np.abs(current - previous[:-1]))
            errors = np.maximum(errors, floor[column:])
            errors = np.where(np.isfinite(errors), errors, np.inf)
            k = int(np.argmin(errors))
            if errors[k] < best.error:
                best = Slope(float(current[k]), float(errors[k]))
            previous = current
    return best


def _rounding(steps: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """The changes from step to step, times the step: what rounding keeps level. Changes that die away are none."""
    changes = np.abs(np.diff(slopes))
    falls = (changes[1:] < 0.1 * changes[:-1]) & (changes[1:] > 0.0)  # 0 is what rounding to a grid gives
    dying = np.append(falls, False) | np.append(False, falls)
    return np.where(dying, 0.0, changes * steps[1:])


def typical_size(point: np.ndarray) -> float:
    """The root mean square of the finite elements, at least 0.01; 1 where all are zero."""
    with np.errstate(all="ignore"):
        finite = point[np.isfinite(point)].astype(np.float64)
        size = float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0
    return max(size, 1e-2) if size > 0 and np.isfinite(size) else 1.0


def direction(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A random direction without small elements: signs times magnitudes from 0.5 to 1.5."""
    return rng.choice(np.array([-1.0, 1.0]), shape) * rng.uniform(0.5, 1.5, shape)


def balancing(gradient: np.ndarray) -> np.ndarray:
    """Factors from 0.01 to 1 that let elements with a small gradient move as much of the value as those with a large
    one, so that a mistake in them isn't drowned."""
    size = np.abs(gradient)
    largest = size.max(initial=0.0)
    if not largest > 0 or not np.isfinite(largest):
        return np.ones(gradient.shape)
    factors = largest / np.maximum(size, 1e-2 * largest)
    return factors / factors.max()
