"""First and second order: a subject's gradients, then those of its slope along fixed directions."""

from __future__ import annotations

import numpy as np

from .arrays import Arrays, doubled
from .compare import Comparison, Settings
from .differences import DOUBLE, direction, typical_size
from .report import Result
from .subject import EngineSubject, SlopeSubject, Subject
from .verdict import WRONG, Verdict


def compare(
    subject: Subject, settings: Settings, order: int, reference: Subject | None = None
) -> tuple[list[Result], list[str]]:
    """Compare the gradients of a subject with differences, and at order 2 also those of its gradient.

    Args:
        subject: What is checked.
        settings: How.
        order: 1 or 2.
        reference: The same function for the differences, where it isn't the subject itself.

    Returns:
        The results and notes.
    """
    rng = np.random.default_rng(settings.seed)
    first = Comparison(subject, settings, 1, rng, reference)
    results, notes = first.results(), first.notes
    if order == 2 and isinstance(subject, EngineSubject) and first.complaint is None:
        moved = [subject.points[i] for i in subject.differentiable]
        directions = [direction(rng, point.shape).astype(point.dtype) for point in moved]
        slope = SlopeSubject(subject, first.cotangents, directions)
        wide = None
        if isinstance(reference, EngineSubject):
            wide = SlopeSubject(reference, doubled(first.cotangents), doubled(directions))
        reach = max(float(np.linalg.norm(d)) / typical_size(p) for d, p in zip(directions, moved, strict=True))
        second = Comparison(slope, settings, 2, rng, wide, first.rounding * reach)
        results += second.results()
        notes += second.notes
        if second.complaint is None:
            results += _asymmetry(subject, slope, second, directions, rng)
    return results, notes


def _asymmetry(
    subject: EngineSubject, slope: SlopeSubject, second: Comparison, directions: Arrays, rng: np.random.Generator
) -> list[Result]:
    """A result if the Hessian isn't symmetric: it is always, in exact arithmetic, if it is of a function.

    The product with one direction, along another, must not depend on which of the two comes first.
    """
    wanted = subject.differentiable
    factor = float(second.cotangents[0]) if second.cotangents else 0.0
    rows = [second.gradients[i] for i in wanted]
    if not factor or any(row is not None and row.shape != d.shape for row, d in zip(rows, directions, strict=True)):
        return []
    others = [direction(rng, d.shape).astype(d.dtype) for d in directions]
    with np.errstate(all="ignore"):
        ones = [np.ones((), second.cotangents[0].dtype)]
        columns = SlopeSubject(subject, slope.points[len(subject.points) :], others).gradients(slope.points, ones)
        first = [0.0 if row is None else np.vdot(row, o) / factor for row, o in zip(rows, others, strict=True)]
        last = [0.0 if columns[i] is None else np.vdot(columns[i], d) for i, d in zip(wanted, directions, strict=True)]
        parts = [np.linalg.norm(row * o) / abs(factor) for row, o in zip(rows, others, strict=True) if row is not None]
        scale = max(map(float, parts), default=0.0)
        one, other = sum(map(float, first)), sum(map(float, last))
    allowed = 1e-6 if second.settings.steps is DOUBLE and second.reference is second.subject else 1e-3
    if not np.isfinite(one - other) or abs(one - other) <= max(allowed * scale, second.rounding):
        return []
    size = sum(d.size for d in directions)
    verdict = Verdict(WRONG, "the Hessian is not symmetric, so the gradient is not that of any function")
    error = abs(one - other)
    return [Result("Hessian", 2, (size, size), verdict, None, one, other, error, error / scale if scale else np.inf)]
