"""Pictures: the learning curves of a training. They need matplotlib, the extra ``plot``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from .callbacks import History


def plot_history(history: History | Mapping[str, Sequence[float]], path: str | os.PathLike[str] | None = None) -> Any:
    """Draw the learning curves: one panel for each quantity, with training and validation in it.

    Args:
        history: What ``fit`` returned, or its ``history`` dict.
        path: File to write; the suffix says the format, PNG without one. None writes none.

    Returns:
        The matplotlib Figure, which a notebook shows.

    Raises:
        ImportError: If matplotlib isn't installed.
        TypeError: If ``history`` is something else.
        ValueError: If there is no epoch in it.

    Example::

        plot_history(model.fit(x, y, validation_split=0.2), "curves.png")
    """
    curves = history.history if isinstance(history, History) else history
    if not isinstance(curves, Mapping):
        raise TypeError(f"plot_history: history must be what fit returned, or its dict. Received: {history!r}")
    if not any(len(values) for values in curves.values()):
        raise ValueError("plot_history: history has no epochs to draw. Received: an empty history")
    first = history.epoch[0] if isinstance(history, History) else 0
    figure = _figure(curves, first + 1)
    if path is not None:
        figure.savefig(path, format=None if os.path.splitext(path)[1] else "png", dpi=120)
    return figure


def _figure(curves: Mapping[str, Sequence[float]], first_epoch: int) -> Any:
    figure_class, whole_numbers = _matplotlib()
    panels = list(dict.fromkeys(name.removeprefix("val_") for name in curves))
    figure = figure_class(figsize=(4.8 * len(panels), 3.6), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name, label in ((panel, "training"), (f"val_{panel}", "validation")):
            if name in curves:
                values = curves[name]
                axes.plot(range(first_epoch, first_epoch + len(values)), values, marker=".", label=label)
        axes.set(title=panel, xlabel="epoch")
        axes.xaxis.set_major_locator(whole_numbers(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def _matplotlib() -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise ImportError("plot_history needs matplotlib: pip install 'minikeras[plot]'") from error
    return Figure, MaxNLocator
