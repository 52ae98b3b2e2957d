"""What the benchmarks run on, and what else runs there."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

STATISTICS = Path("/proc/stat")


def description() -> dict[str, Any]:
    """The machine, in words and numbers."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "processor": name or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def used_cores(seconds: float) -> list[float]:
    """How many cores others use, while all contenders wait; nothing where the system doesn't say, or in no time.

    A load average would count what has ended a minute ago, and so a run of these benchmarks before this one.
    """
    if not seconds or not STATISTICS.exists():
        return []
    before = _ticks_at_work()
    start = time.perf_counter()
    time.sleep(seconds)
    return [(_ticks_at_work() - before) / os.sysconf("SC_CLK_TCK") / (time.perf_counter() - start)]


def _ticks_at_work() -> int:
    user, nice, system, _idle, _waiting, *interrupts = map(int, STATISTICS.read_text().splitlines()[0].split()[1:9])
    return user + nice + system + sum(interrupts)
