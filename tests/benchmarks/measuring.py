"""What all workers share: how calls are timed, and how a contender says that it doesn't have something."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

LEAST = 4
"""Calls that a turn measures at least."""


class Missing(Exception):
    """The contender can't do it."""


def timed(function: Callable[[], Any], seconds: float, most: int = 200) -> list[float]:
    """How many milliseconds each of several calls takes.

    Args:
        function: What is called, at least `LEAST` times, and once before, as whoever has waited begins slowly.
        seconds: Then no further call begins, but for those.
        most: So many calls at most.
    """
    times: list[float] = []
    function()
    end = time.perf_counter() + seconds
    while len(times) < LEAST or (len(times) < most and time.perf_counter() < end):
        start = time.perf_counter()
        function()
        times.append(1e3 * (time.perf_counter() - start))
    return times
