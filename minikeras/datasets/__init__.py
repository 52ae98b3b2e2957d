"""Data to learn from: `digits` comes with the package."""

from __future__ import annotations

from . import digits

__all__ = ["digits"]
