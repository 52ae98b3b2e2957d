"""Models: layers put together, and their training."""

from __future__ import annotations

from .sequential import Sequential

__all__ = ["Sequential"]
