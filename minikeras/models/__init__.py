"""Models: layers put together, and their training."""

from __future__ import annotations

from .. import layers
from ..layers import Input
from ..utils.left_out import left_out
from .cloning import clone_model, model_from_config, model_from_json
from .functional import Model
from .persistence import load_model, save_model
from .sequential import Sequential
from .surface import LossSurface
from .torch_state import from_torch_state_dict, to_torch_state_dict

__all__ = [
    "Input",
    "LossSurface",
    "Model",
    "Sequential",
    "clone_model",
    "from_torch_state_dict",
    "load_model",
    "model_from_config",
    "model_from_json",
    "save_model",
    "to_torch_state_dict",
]

__getattr__ = left_out(
    __name__, {"model_from_yaml": "YAML is not read; model.to_json() and model_from_json hold the same"}
)

for _model in (Model, Sequential):
    layers.registry.register(_model)  # a model is a layer of other models, also in their configurations
