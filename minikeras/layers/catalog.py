"""The catalog of layers: names to classes, for configurations."""

from __future__ import annotations

from ..registry import Registry
from .base import Layer

registry = Registry("layer", base=Layer, callables=False, optional=False)

get = registry.get
serialize = registry.serialize
deserialize = registry.deserialize
