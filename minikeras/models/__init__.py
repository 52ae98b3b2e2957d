"""Models: layers put together, and their training."""

from __future__ import annotations

from .. import layers
from ..layers import Input
from .cloning import clone_model, model_from_config, model_from_json
from .functional import Model
from .persistence import load_model, save_model
from .sequential import Sequential
from .surface import LossSurface

__all__ = [
    "Input",
    "LossSurface",
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_config",
    "model_from_json",
    "save_model",
]

for _model in (Model, Sequential):
    layers.registry.register(_model)  # a model is a layer of other models, also in their configurations
