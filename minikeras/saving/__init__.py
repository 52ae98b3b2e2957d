"""Files of models and weights: arrays and JSON only, never code."""

from __future__ import annotations

from .errors import WITHOUT_TRAINING, NoModelError
from .keras3 import is_keras3
from .model import ModelFile, open_model, save_model
from .npz import ModelFileError
from .sharing import describe
from .weights import (
    check_path,
    check_weights_path,
    describe_weights,
    is_for_weights,
    load_weights,
    open_weights,
    save_weights,
)

__all__ = [
    "WITHOUT_TRAINING",
    "ModelFile",
    "ModelFileError",
    "NoModelError",
    "check_path",
    "check_weights_path",
    "describe",
    "describe_weights",
    "is_for_weights",
    "is_keras3",
    "load_weights",
    "open_model",
    "open_weights",
    "save_model",
    "save_weights",
]
