"""Layers, by name and by class; `get`, `serialize` and `deserialize` turn one into the other."""

from __future__ import annotations

from ..registry import Registry
from .base import Layer
from .conv import Conv1D, Conv2D, Conv3D
from .conv_transpose import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
from .core import Activation, Dense, Dropout, Flatten, Permute, RepeatVector, Reshape
from .cropping import Cropping1D, Cropping2D, Cropping3D
from .input import Input, InputLayer
from .normalization import BatchNormalization
from .padding import ZeroPadding1D, ZeroPadding2D, ZeroPadding3D
from .pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from .separable import DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D
from .shapes import InputSpec
from .upsampling import UpSampling1D, UpSampling2D, UpSampling3D

__all__ = [
    "Activation",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "BatchNormalization",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "Input",
    "InputLayer",
    "InputSpec",
    "Layer",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Permute",
    "RepeatVector",
    "Reshape",
    "SeparableConv1D",
    "SeparableConv2D",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "deserialize",
    "get",
    "serialize",
]

registry = Registry("layer", base=Layer, callables=False, optional=False)
for _layer in [obj for obj in list(globals().values()) if isinstance(obj, type) and issubclass(obj, Layer)]:
    registry.register(_layer)

get = registry.get
serialize = registry.serialize
deserialize = registry.deserialize
