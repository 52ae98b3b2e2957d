"""Layers, by name and by class; `get`, `serialize` and `deserialize` turn one into the other."""

from __future__ import annotations

from ..registry import Registry
from .base import Layer
from .conv import Conv1D, Conv2D, Conv3D
from .conv_transpose import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
from .separable import DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D
from .shapes import InputSpec

__all__ = [
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "InputSpec",
    "Layer",
    "SeparableConv1D",
    "SeparableConv2D",
    "deserialize",
    "get",
    "serialize",
]

_registry = Registry("layer", base=Layer, callables=False, optional=False)
for _layer in [obj for obj in list(globals().values()) if isinstance(obj, type) and issubclass(obj, Layer)]:
    _registry.register(_layer)

get = _registry.get
serialize = _registry.serialize
deserialize = _registry.deserialize
