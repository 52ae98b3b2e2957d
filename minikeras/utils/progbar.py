"""Progbar: Keras's own bar, for loops that a script writes itself."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

from .. import checks
from .progress import in_notebook, number


class Progbar:
    """A bar of text on stdout, such as ``30/50 [=================>............] - ETA: 2s - loss: 0.2512``.

    On a terminal and in a notebook the bar is drawn over itself; elsewhere each state gets a line.

    Args:
        target: The number of steps; None where it isn't known.
        width: Of the bar, in characters.
        verbose: 0 is silent, 1 shows the bar, 2 the values at the end only.
        interval: The shortest time between two states, in seconds.
        stateful_metrics: Names of values that are shown as they are; the others are averaged over the steps.

    Raises:
        TypeError: If interval is no number.
        ValueError: If target or width is no integer or too small, interval negative, or verbose none of these.

    Example:
        >>> bar = Progbar(4, verbose=2)
        >>> for step in range(4):
        ...     bar.add(1, [("loss", 1.0 + step)])  # doctest: +ELLIPSIS
         - ...s - loss: 2.5000
    """

    def __init__(
        self,
        target: int | None,
        width: int = 30,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
    ) -> None:
        if verbose not in (0, 1, 2):
            raise ValueError(f"Progbar: verbose must be 0, 1 or 2. Received: {verbose!r}")
        self.target = None if target is None else checks.integer("Progbar", "target", target, 0)
        self.width = checks.integer("Progbar", "width", width, 1)
        self.verbose = verbose
        self.interval = checks.number("Progbar", "interval", interval, "[0, inf)")
        self.stateful_metrics = set(stateful_metrics or ())
        self._dynamic = in_notebook() or (sys.stdout is not None and sys.stdout.isatty())
        self._done = 0
        self._sums: dict[str, tuple[float, int]] = {}
        self._start = time.perf_counter()
        self._shown = -float("inf")
        self._length = 0

    def update(self, current: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Go to a step.

        Args:
            current: The number of steps done.
            values: Pairs ``(name, value)``; a value counts for the steps since the last update.
        """
        steps = current - self._done
        for name, value in values or ():
            if name in self.stateful_metrics:
                self._sums[name] = (float(value), 1)
            else:
                total, count = self._sums.get(name, (0.0, 0))
                self._sums[name] = (total + float(value) * steps, count + steps)
        self._done = current
        now = time.perf_counter()
        over = self.target is not None and current >= self.target
        if self.verbose == 1 and (over or now - self._shown >= self.interval):
            self._shown = now
            self._draw(now - self._start, over)
        elif self.verbose == 2 and (over or self.target is None):
            print(f" - {now - self._start:.0f}s{self._values()}", flush=True)

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Go n steps further; see `update`."""
        self.update(self._done + n, values)

    def _draw(self, seconds: float, over: bool) -> None:
        line = self._bar() + self._time(seconds) + self._values()
        if self._dynamic:
            print("\r" + line.ljust(self._length), end="\n" if over else "", flush=True)
            self._length = len(line)
        else:
            print(line, flush=True)

    def _bar(self) -> str:
        if self.target is None:
            return f"{self._done:7d}/Unknown"
        filled = min(self.width, self.width * self._done // max(self.target, 1)) if self.target else self.width
        head = "" if not filled else "=" * (filled - 1) + (">" if self._done < self.target else "=")
        return f"{self._done:{len(str(self.target))}d}/{self.target} [{head.ljust(self.width, '.')}]"

    def _time(self, seconds: float) -> str:
        pace = seconds / self._done if self._done else 0.0
        if self.target is not None and self._done < self.target:
            return f" - ETA: {_duration(int(pace * (self.target - self._done)))}"
        if pace >= 1:
            return f" - {seconds:.0f}s {pace:.0f}s/step"
        return f" - {seconds:.0f}s " + (f"{pace * 1e3:.0f}ms/step" if pace >= 1e-3 else f"{pace * 1e6:.0f}us/step")

    def _values(self) -> str:
        return "".join(f" - {name}: {number(total / max(count, 1))}" for name, (total, count) in self._sums.items())


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if minutes else f"{rest}s"
