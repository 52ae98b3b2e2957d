"""Pictures of a report: the error against the step, and a map of the errors; they need the extra ``plot``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .report import Result

MOST = 6  # so many inputs are drawn, the worst first


def draw(title: str, results: Sequence[Result]) -> Any:
    """A figure with one row for each result.

    Args:
        title: Above the figure.
        results: What to draw.

    Returns:
        The matplotlib Figure.

    Raises:
        ImportError: If matplotlib isn't installed.
    """
    figure_class, norm_class = _matplotlib()
    chosen = sorted(results, key=lambda result: -_finite(result.relative_error))[:MOST]
    figure = figure_class(figsize=(9.6, 0.7 + 3.0 * max(len(chosen), 1)), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(max(len(chosen), 1), 2, squeeze=False)
    for (left, right), result in zip(grid, chosen, strict=False):
        _curve(left, result)
        _map(figure, right, result, norm_class)
    if not chosen:
        for axes in grid[0]:
            axes.set_axis_off()
    return figure


def _curve(axes: Any, result: Result) -> None:
    order = f", order {result.order}" if result.order > 1 else ""
    axes.set(title=f"{result.name}{order}: {result.verdict.kind}", xlabel="step", ylabel="relative error")
    points = [(step, max(error, 1e-17)) for step, error in result.sweep if math.isfinite(error)]
    if not points:
        axes.text(0.5, 0.5, "no sweep: agrees at the first step", ha="center", va="center", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])
        return
    axes.loglog(*zip(*points, strict=True), marker="o")
    errors = [error for _, error in points]
    axes.set_ylim(min(min(errors) / 3, max(errors) / 1e4), 3 * max(errors))
    axes.invert_xaxis()
    axes.grid(alpha=0.3)


def _map(figure: Any, axes: Any, result: Result, norm_class: Any) -> None:
    axes.set_title(f"errors in {result.name} {result.shape}")
    if result.errors is None or result.examined is None or not result.errors.size:
        axes.text(0.5, 0.5, "no element was looked at alone", ha="center", va="center", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])
        return
    size = math.prod(result.shape)
    errors = np.full(size, np.nan)
    errors[result.examined] = np.clip(np.nan_to_num(result.errors, nan=np.inf), 1e-17, 1e3)
    picture = _flat(errors, result.shape)
    norm = norm_class(
        vmin=1e-12, vmax=max(float(np.nanmax(picture)), 1.0)
    )  # one scale for all, so that bright is wrong
    image = axes.imshow(picture, norm=norm, cmap="magma", aspect="auto", interpolation="nearest")
    rows, columns = _axes_of(result.shape)
    axes.set(xlabel=columns, ylabel=rows)
    if not rows:
        axes.set_yticks([])
    figure.colorbar(image, ax=axes, label="relative error")


def _flat(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values of an array of any shape as a matrix: the last axis, or the last two of four, run to the right."""
    if len(shape) < 2:
        return values.reshape(1, -1)
    kept = len(shape) // 2
    return values.reshape(math.prod(shape[:kept]), -1)


def _axes_of(shape: tuple[int, ...]) -> tuple[str, str]:
    if len(shape) < 2:
        return "", "index"
    kept = len(shape) // 2
    rows, columns = list(range(kept)), list(range(kept, len(shape)))
    return tuple(f"{'axis' if len(axes) == 1 else 'axes'} {', '.join(map(str, axes))}" for axes in (rows, columns))  # type: ignore[return-value]


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 1e300


def _matplotlib() -> tuple[Any, Any]:
    try:
        from matplotlib.colors import LogNorm
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("GradientReport.plot needs matplotlib: pip install 'minikeras[plot]'") from error
    return Figure, LogNorm
