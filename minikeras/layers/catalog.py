"""The catalog of layers: names to classes, for configurations."""

from __future__ import annotations

from ..registry import Registry
from .base import Layer

# A model is a layer, of a module that stands above this one
_models = {"Model": "minikeras.models", "Sequential": "minikeras.models"}
registry = Registry("layer", base=Layer, callables=False, optional=False, late=_models)

get = registry.get
serialize = registry.serialize
deserialize = registry.deserialize
