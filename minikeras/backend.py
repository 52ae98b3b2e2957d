"""Keras's backend: the configuration and the session."""

from __future__ import annotations

from typing import Any

import numpy as np

from .core.config import epsilon, floatx, image_data_format, set_epsilon, set_floatx, set_image_data_format
from .layers.base import reset_names

__all__ = [
    "cast_to_floatx",
    "clear_session",
    "epsilon",
    "floatx",
    "image_data_format",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
]


def cast_to_floatx(x: Any) -> np.ndarray:
    """Numbers or an array as an ndarray of the type `floatx`."""
    return np.asarray(x, dtype=floatx())


def clear_session() -> None:
    """Let the automatic names of layers start from 1 again."""
    reset_names()
