"""What all workers share: how calls are timed, and how a contender says that it doesn't have something."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

LEAST = 4
"""Calls that a turn measures at least, where they take less than `LONG` together; else one."""

LONG = 1.0  # seconds


class Missing(Exception):
    """The contender can't do it."""


def timed(function: Callable[[], Any], seconds: float, most: int = 200) -> list[float]:
    """How many milliseconds each of several calls takes.

    Args:
        function: What is called, and once more before, as whoever has waited begins slowly.
        seconds: Then no further call begins, but for `LEAST`.
        most: So many calls at most.
    """
    times: list[float] = []
    function()
    begin = start = time.perf_counter()
    while not times or (len(times) < most and start - begin < (LONG if len(times) < LEAST else seconds)):
        function()
        end = time.perf_counter()
        times.append(1e3 * (end - start))
        start = end
    return times
