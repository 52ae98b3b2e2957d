"""Reports: what a check has found, for people, for machines and as a picture."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .drawing import draw
from .verdict import Verdict

WIDTH = 100
UNDECIDED = ("precision", "non-deterministic", "not-finite")  # kinds that say more about the function than the gradient


@dataclass
class Result:
    """What was found of one input or parameter.

    Attributes:
        name: Of the input or parameter.
        order: 1 for the gradient, 2 for the gradient of the gradient.
        shape: Of the input.
        verdict: Its `kind`, the `text` in words, and whether the kind is `certain`.
        index: Of the worst element, a tuple; None where no single element was looked at.
        analytic: The claimed derivative there, or along the direction that was looked at.
        numeric: The measured one.
        absolute_error: Their difference.
        relative_error: The difference relative to the largest derivative of this input.
        sweep: Pairs of a step, relative to the size of the point, and the relative error with it.
        examined: Flat indices of the elements that were looked at one by one; None if none were.
        errors: The relative error in each of these.
    """

    name: str
    order: int
    shape: tuple[int, ...]
    verdict: Verdict
    index: tuple[int, ...] | None = None
    analytic: float = math.nan
    numeric: float = math.nan
    absolute_error: float = math.nan
    relative_error: float = math.nan
    sweep: list[tuple[float, float]] = field(default_factory=list)
    examined: np.ndarray | None = field(default=None, repr=False)
    errors: np.ndarray | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the gradient passes."""
        return self.verdict.ok

    def to_dict(self) -> dict[str, Any]:
        """The result in plain values, fit for JSON; numbers that aren't finite become None."""
        return {
            "name": self.name,
            "order": self.order,
            "shape": list(self.shape),
            "ok": self.ok,
            "verdict": {
                "kind": self.verdict.kind,
                "text": self.verdict.text,
                "certain": self.verdict.certain,
            },
            "index": None if self.index is None else list(self.index),
            "analytic": _plain(self.analytic),
            "numeric": _plain(self.numeric),
            "absolute_error": _plain(self.absolute_error),
            "relative_error": _plain(self.relative_error),
            "sweep": [[step, _plain(error)] for step, error in self.sweep],
        }


@dataclass
class GradientReport:
    """What a check has found; true if every gradient passes, and printed as a text that says what is wrong where.

    Attributes:
        subject: What was checked, in words.
        results: One `Result` for each input or parameter and order.
        dtype: What the gradients were computed in.
        notes: What else was noticed, in words.
    """

    subject: str
    results: list[Result]
    dtype: str = "float64"
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every gradient passes."""
        return all(result.ok for result in self.results)

    @property
    def failures(self) -> list[Result]:
        """The results that don't pass."""
        return [result for result in self.results if not result.ok]

    def __bool__(self) -> bool:
        return self.ok

    def __getitem__(self, name: str) -> Result:
        """The result of this name; of the first order where there are two."""
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(f"no result named {name!r}, only {[result.name for result in self.results]}")

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def to_dict(self) -> dict[str, Any]:
        """The report in plain values, fit for JSON."""
        return {
            "subject": self.subject,
            "ok": self.ok,
            "dtype": self.dtype,
            "notes": list(self.notes),
            "results": [result.to_dict() for result in self.results],
        }

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the error against the step, and where in each input the errors are.

        Inputs that failed are drawn; if none did, those that were looked at element by element (as with
        ``method="full"``).

        Args:
            path: File to write; the suffix says the format, PNG without one. None writes none.

        Returns:
            The matplotlib Figure, which a notebook shows.

        Raises:
            ImportError: If matplotlib isn't installed.
        """
        figure = draw(self.subject, self.failures or self.results)
        if path is not None:
            figure.savefig(path, format=None if os.path.splitext(path)[1] else "png", dpi=120)
        return figure

    def _lines(self) -> list[str]:
        failed = self.failures
        count = len(self.results)
        orders = max((result.order for result in self.results), default=1)
        if not count:
            head = "nothing to check: no input of a floating-point type"
        elif failed:
            head = f"{len(failed)} of {_counted(count, 'gradient')} {'is' if len(failed) == 1 else 'are'} wrong"
            if all(result.verdict.kind in UNDECIDED for result in failed):
                head = f"{len(failed)} of {_counted(count, 'gradient')} can't be confirmed"
        else:
            head = f"{_counted(count, 'gradient')} {'agrees' if count == 1 else 'agree'} with differences"
        kinds = "" if self.dtype == "float64" else f", in {self.dtype}"
        lines = [_cut(f"{self.subject}: {head}{kinds}")]
        names = [result.name + (f" (order {result.order})" if orders > 1 else "") for result in self.results]
        name_width = min(max(map(len, names), default=0), 40)
        shapes = [str(result.shape) for result in self.results]
        shape_width = min(max(map(len, shapes), default=0), 24)
        for result, name, shape in zip(self.results, names, shapes, strict=True):
            mark = "ok" if result.ok else "UNSURE" if result.verdict.kind in UNDECIDED else "WRONG"
            lead = f"  {mark:<6}  {name:<{name_width}}  {shape:<{shape_width}}  "
            error = "" if math.isnan(result.relative_error) or not result.ok else f", error {result.relative_error:.1e}"
            if result.verdict.kind in ("independent", "kink"):
                error = ""
            lines += _wrapped(lead, result.verdict.text + error)
            if not result.ok:
                lines += _details(result)
        lines += [line for note in self.notes for line in _wrapped("  note   ", note)]
        return lines


class GradientError(AssertionError):
    """A gradient is wrong; the text is the report.

    Attributes:
        report: The `GradientReport`.
    """

    def __init__(self, report: GradientReport) -> None:
        super().__init__(str(report))
        self.report = report


def _details(result: Result) -> list[str]:
    lines = []
    if not math.isnan(result.analytic):
        place = "along a random direction" if result.index is None else f"worst at {list(result.index)}"
        if result.index == ():
            place = "there"
        first, second = "the gradient says", "differences say"
        if result.name == "Hessian":
            place, first, second = "along two random directions", "one after the other", "the other way round"
        lines += _wrapped(
            "         ",
            f"{place}: {first} {result.analytic:.10g}, {second} {result.numeric:.10g} "
            f"(absolute error {result.absolute_error:.2g}, relative {result.relative_error:.2g})",
        )
    if result.sweep:
        lines.append("         step   " + " ".join(f"{step:>7.0e}" for step, _ in result.sweep))
        lines.append("         error  " + " ".join(f"{error:>7.0e}" for _, error in result.sweep))
    return lines


def _wrapped(lead: str, text: str) -> list[str]:
    """Text behind a lead, in lines of at most `WIDTH`; a lead that leaves no room stands alone."""
    if len(lead) > WIDTH - 30:
        return [_cut(lead.rstrip()), *_wrapped(" " * 9, text)]
    lines, current = [], lead
    empty = True
    for word in text.split(" "):
        if not empty and len(current) + 1 + len(word) > WIDTH:
            lines.append(current.rstrip())
            current, empty = " " * len(lead), True
        current += word if empty else f" {word}"
        empty = False
    return [*lines, current.rstrip()]


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 3] + "..."


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
