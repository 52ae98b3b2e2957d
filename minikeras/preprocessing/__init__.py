"""Data made ready for a model: pictures (`image`), sequences of numbers (`sequence`), texts (`text`)."""

from __future__ import annotations

from . import image, sequence, text

__all__ = ["image", "sequence", "text"]
