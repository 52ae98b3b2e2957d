"""How far an epoch is: a live bar where somebody watches, and one line when it is over."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

_SECONDS_BETWEEN_FRAMES = 0.1


class Bar:
    """The progress of one epoch, one evaluation or one prediction.

    While it runs there is tqdm's bar on stderr, if tqdm is installed and stderr is a terminal or the program runs in
    a notebook with widgets. When it ends, one line goes to stdout, such as
    ``Epoch 3/10  45/45  loss 0.1234  acc 0.9876  (1.2 s)``.

    Args:
        total: the number of steps, or None where it isn't known.
        description: what the line begins with, "Epoch 3/10" say.
        verbose: 0 is silent, 1 shows the bar and the line, 2 the line only.

    Raises:
        ValueError: if verbose is none of these.

    Example:
        >>> with Bar(2, "Epoch 1/1", verbose=2) as bar:
        ...     for loss in (0.5, 0.25):
        ...         bar.update(1, {"loss": loss})
        ...     bar.close({"loss": 0.25})  # doctest: +ELLIPSIS
        Epoch 1/1  2/2  loss 0.2500  (... s)
    """

    def __init__(self, total: int | None, description: str = "", verbose: int = 1) -> None:
        if verbose not in (0, 1, 2):
            raise ValueError(f"verbose must be 0 (silent), 1 (bar) or 2 (a line per epoch). Received: {verbose!r}")
        self._total = total
        self._description = description
        self._verbose = verbose
        self._done = 0
        self._start = self._shown = time.perf_counter()
        self._live = _live_bar(total, description) if verbose == 1 else None

    def update(self, n: int = 1, logs: Mapping[str, float] | None = None) -> None:
        """Count n more steps; logs are the metrics so far. Cheap enough for steps of a few microseconds."""
        self._done += n
        if self._live is None:
            return
        now = time.perf_counter()
        if now - self._shown >= _SECONDS_BETWEEN_FRAMES:
            self._shown = now
            self._live.set_postfix_str(_metrics(logs or {}), refresh=False)
            self._live.update(self._done - self._live.n)

    @property
    def done(self) -> int:
        """How many steps have been counted."""
        return self._done

    def close(self, logs: Mapping[str, float] | None = None) -> None:
        """Remove the bar, and write the line if there are logs (which may be empty)."""
        if self._live is not None:
            self._live.close()
            self._live = None
        if logs is not None and self._verbose:
            steps = str(self._done) if self._total is None else f"{self._done}/{self._total}"
            seconds = f"({time.perf_counter() - self._start:.1f} s)"
            print("  ".join(filter(None, (self._description, steps, _metrics(logs), seconds))), flush=True)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave no half bar behind when an epoch is broken off."""
        self.close()


def _metrics(logs: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {number(float(value))}" for name, value in logs.items())


def number(value: float) -> str:
    """The value with four digits after the point; small ones in scientific notation, so that they keep their digits."""
    return f"{value:.4e}" if 0 < abs(value) < 1e-3 else f"{value:.4f}"


def _live_bar(total: int | None, description: str) -> Any:
    """Return a bar of tqdm's, None where there is no tqdm or nobody to watch."""
    try:
        if in_notebook():
            if importlib.util.find_spec("ipywidgets") is None:  # tqdm would print a bar that can't be removed
                return None
            from tqdm.notebook import tqdm
        elif sys.stderr is not None and sys.stderr.isatty():
            from tqdm import tqdm
        else:
            return None
    except ImportError:
        return None
    # frames come when update asks for them, which it does at its own pace
    return tqdm(total=total, desc=description, leave=False, mininterval=0, miniters=1)


def in_notebook() -> bool:
    """Whether the program runs in a Jupyter notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"
