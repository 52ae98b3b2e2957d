"""Layers, by name and by class; `get`, `serialize` and `deserialize` turn one into the other."""

from __future__ import annotations

import warnings
from typing import Any

from . import core
from .activation import ELU, LeakyReLU, PReLU, ReLU, Softmax, ThresholdedReLU
from .base import Layer
from .catalog import deserialize, get, registry, serialize
from .conv import Conv1D, Conv2D, Conv3D
from .conv_transpose import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
from .core import Activation, ActivityRegularization, Dense, Dropout, Flatten, Permute, RepeatVector, Reshape
from .cropping import Cropping1D, Cropping2D, Cropping3D
from .embedding import Embedding
from .input import Input, InputLayer
from .lambda_layer import Lambda
from .legacy import accept_keras1
from .local import LocallyConnected1D, LocallyConnected2D
from .masking import Masking
from .merge import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from .noise import (
    AlphaDropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
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
from .wrappers import TimeDistributed, Wrapper

__all__ = [
    "ELU",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "AtrousConv1D",
    "AtrousConv2D",
    "AtrousConvolution1D",
    "AtrousConvolution2D",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNormalization",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Convolution1D",
    "Convolution2D",
    "Convolution2DTranspose",
    "Convolution3D",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Deconv2D",
    "Deconv3D",
    "Deconvolution2D",
    "Deconvolution3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dot",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "Input",
    "InputLayer",
    "InputSpec",
    "Lambda",
    "Layer",
    "LeakyReLU",
    "LocallyConnected1D",
    "LocallyConnected2D",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "Minimum",
    "Multiply",
    "PReLU",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Reshape",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "Subtract",
    "ThresholdedReLU",
    "TimeDistributed",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Wrapper",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "get",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]

for _layer in [obj for obj in list(globals().values()) if isinstance(obj, type) and issubclass(obj, Layer)]:
    registry.register(accept_keras1(_layer))

# ---------------------------------------------------------------------- Keras's other names

Convolution1D = Conv1D
Convolution2D = Conv2D
Convolution3D = Conv3D
Deconv2D = Deconvolution2D = Convolution2DTranspose = Conv2DTranspose
Deconv3D = Deconvolution3D = Conv3DTranspose
SeparableConvolution1D = SeparableConv1D
SeparableConvolution2D = SeparableConv2D
MaxPool1D = MaxPooling1D
MaxPool2D = MaxPooling2D
MaxPool3D = MaxPooling3D
AvgPool1D = AveragePooling1D
AvgPool2D = AveragePooling2D
AvgPool3D = AveragePooling3D
GlobalMaxPool1D = GlobalMaxPooling1D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalMaxPool3D = GlobalMaxPooling3D
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
for _layer in (Lambda, Masking, SpatialDropout1D, SpatialDropout2D, SpatialDropout3D):
    setattr(core, _layer.__name__, _layer)  # where Keras has them


def AtrousConvolution1D(*args: Any, atrous_rate: int = 1, **kwargs: Any) -> Conv1D:
    """Return a `Conv1D` with ``dilation_rate=atrous_rate``, and warn: Keras 1's name.

    Args:
        *args, **kwargs: Those of `Conv1D`.
        atrous_rate: Spacing of the window's taps.
    """
    return _atrous(Conv1D, args, atrous_rate, kwargs)


def AtrousConvolution2D(*args: Any, atrous_rate: Any = 1, **kwargs: Any) -> Conv2D:
    """Return a `Conv2D` with ``dilation_rate=atrous_rate``, and warn: Keras 1's name.

    Args:
        *args, **kwargs: Those of `Conv2D`.
        atrous_rate: Spacing of the window's taps; an integer, or a pair.
    """
    return _atrous(Conv2D, args, atrous_rate, kwargs)


def _atrous(layer: Any, args: Any, rate: Any, kwargs: dict[str, Any]) -> Any:
    name = layer.__name__
    warnings.warn(f"Use {name} with dilation_rate={rate!r} in place of Atrous{name}.", stacklevel=3)
    return layer(*args, dilation_rate=rate, **kwargs)


AtrousConv1D = AtrousConvolution1D
AtrousConv2D = AtrousConvolution2D

# ---------------------------------------------------------------------- what isn't there

_RECURRENT = (
    "recurrent layers are no part of minikeras. For sequences use Conv1D with padding='causal' and a dilation_rate "
    "that doubles from layer to layer, and GlobalAveragePooling1D or GlobalMaxPooling1D behind"
)
_ABSENT = {
    **dict.fromkeys(
        [
            "RNN",
            "SimpleRNN",
            "GRU",
            "LSTM",
            "SimpleRNNCell",
            "GRUCell",
            "LSTMCell",
            "StackedRNNCells",
            "CuDNNGRU",
            "CuDNNLSTM",
            "Recurrent",
            "Bidirectional",
        ],
        _RECURRENT,
    ),
    **dict.fromkeys(
        ["ConvLSTM2D", "ConvLSTM2DCell", "ConvRNN2D", "ConvRecurrent2D"],
        "recurrent layers are no part of minikeras. For sequences of images use Conv3D or TimeDistributed(Conv2D(...))",
    ),
    "MaxoutDense": "write Dense(units * n), Reshape((n, units)) and Lambda(lambda x: K.max(x, axis=1))",
    "Highway": "write it with Dense, Multiply and Add",
    "Merge": "use Add, Multiply, Average, Maximum, Concatenate or Dot",
    "merge": "use add, multiply, average, maximum, concatenate or dot",
}


def __getattr__(name: str) -> Any:
    if name in _ABSENT:
        # `from minikeras.layers import LSTM` would hide the message of an AttributeError
        raise ImportError(f"minikeras.layers has no {name}: {_ABSENT[name]}.")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
