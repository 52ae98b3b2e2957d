"""Files of weights: arrays only, never code."""

from __future__ import annotations

from .npz import ModelFileError
from .weights import describe_weights, load_weights, save_weights

__all__ = ["ModelFileError", "describe_weights", "load_weights", "save_weights"]
