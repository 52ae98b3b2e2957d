"""Models: layers put together, and their training."""

from __future__ import annotations

from .. import layers
from .persistence import load_model, save_model
from .sequential import Sequential

__all__ = ["Sequential", "load_model", "save_model"]

layers.registry.register(Sequential)  # a model is a layer of other models, also in their configurations
