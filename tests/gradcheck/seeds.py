"""How many seeds a test of the checker takes: one of twenty by default, all with GRADCHECK_SEEDS=20."""

from __future__ import annotations

import os
import zlib

ALL = 20


def seeds(name: str) -> list[int]:
    """The seeds for what has this name: others for other names, so that all have their turn."""
    count = int(os.environ.get("GRADCHECK_SEEDS", "1"))
    first = zlib.crc32(name.encode())
    return [(first + i) % ALL for i in range(min(count, ALL))]
