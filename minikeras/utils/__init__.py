"""Helpers around a model: labels and arrays (`np_utils`), progress while it works (`progress`)."""

from __future__ import annotations

from . import np_utils, progress
from .np_utils import normalize, to_categorical

__all__ = ["normalize", "np_utils", "progress", "to_categorical"]
