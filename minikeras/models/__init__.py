"""Models: layers put together, and their training."""

from __future__ import annotations

from .. import layers
from .sequential import Sequential

__all__ = ["Sequential"]

layers.registry.register(Sequential)  # a model is a layer of other models, also in their configurations
