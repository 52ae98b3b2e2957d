"""Keras 1's names of layers' arguments: taken with a warning that shows the call of today, as Keras 2 does.

`accept_keras1` puts a translator around a layer's constructor. A call that uses no old name passes it after one look.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from .base import Layer

_INIT = {"init": "kernel_initializer"}
_KERNEL = {"W_regularizer": "kernel_regularizer", "W_constraint": "kernel_constraint"}
_BIAS = {"b_regularizer": "bias_regularizer", "b_constraint": "bias_constraint", "bias": "use_bias"}
_FORMAT = {"dim_ordering": "data_format"}
_PADDING = {"border_mode": "padding"}
_WINDOW = {"nb_filter": "filters", "subsample": "strides", **_PADDING, **_FORMAT}
_CONV = {**_WINDOW, **_INIT, **_KERNEL, **_BIAS}
_CONV1D = {"nb_filter": "filters", "filter_length": "kernel_size", "subsample_length": "strides", **_PADDING}
_CONV1D |= {**_INIT, **_KERNEL, **_BIAS}
_POOL1D = {"pool_length": "pool_size", "stride": "strides", **_PADDING}
_POOL = {**_PADDING, **_FORMAT}

NAMES: dict[str, dict[str, str]] = {
    "Dense": {"output_dim": "units", **_INIT, **_KERNEL, **_BIAS},
    "Dropout": {"p": "rate"},
    "GaussianDropout": {"p": "rate"},
    "GaussianNoise": {"sigma": "stddev"},
    "SpatialDropout1D": {"p": "rate"},
    "SpatialDropout2D": {"p": "rate", **_FORMAT},
    "SpatialDropout3D": {"p": "rate", **_FORMAT},
    "Embedding": {
        "init": "embeddings_initializer",
        "W_regularizer": "embeddings_regularizer",
        "W_constraint": "embeddings_constraint",
    },
    "PReLU": {"init": "alpha_initializer"},
    "BatchNormalization": {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
    "Conv1D": _CONV1D,
    "LocallyConnected1D": _CONV1D,
    "Conv2D": _CONV,
    "Conv3D": _CONV,
    "Conv2DTranspose": _CONV,
    "LocallyConnected2D": _CONV,
    "SeparableConv2D": {**_WINDOW, **_BIAS, "init": "depthwise_initializer"},
    **dict.fromkeys(("MaxPooling1D", "AveragePooling1D"), _POOL1D),
    **dict.fromkeys(("MaxPooling2D", "AveragePooling2D", "MaxPooling3D", "AveragePooling3D"), _POOL),
    **dict.fromkeys(("GlobalMaxPooling2D", "GlobalAveragePooling2D"), _FORMAT),
    **dict.fromkeys(("GlobalMaxPooling3D", "GlobalAveragePooling3D"), _FORMAT),
    "UpSampling1D": {"length": "size"},
    **dict.fromkeys(("UpSampling2D", "UpSampling3D", "ZeroPadding2D", "ZeroPadding3D"), _FORMAT),
    **dict.fromkeys(("Cropping2D", "Cropping3D"), _FORMAT),
}
"""For each layer what Keras 1 called its arguments, and what they are called now."""

_SIDES = {
    **dict.fromkeys(("Conv2D", "Conv2DTranspose", "SeparableConv2D", "LocallyConnected2D"), ("nb_row", "nb_col")),
    "Conv3D": ("kernel_dim1", "kernel_dim2", "kernel_dim3"),
}
_DROPPED = {"Conv2DTranspose": ("output_shape",), "BatchNormalization": ("mode",), "Embedding": ("dropout",)}
_STEPS = {"Conv1D": ("input_length", "input_dim"), "LocallyConnected1D": ("input_length", "input_dim")}
_FORMATS = {"tf": "channels_last", "th": "channels_first", "default": None}


def accept_keras1(layer: type[Layer]) -> type[Layer]:
    """Let the constructor of a layer in the tables above take Keras 1's names; return the layer.

    A call that uses them warns with the call of today. One that gives an argument by both names is a TypeError.
    """
    name = layer.__name__
    sides = _SIDES.get(name, ())
    old = {*NAMES.get(name, ()), *sides, *_DROPPED.get(name, ()), *_STEPS.get(name, ())}
    if not old:
        return layer
    init: Callable[..., None] = layer.__init__

    @functools.wraps(init)
    def translate(self: Any, *args: Any, **kwargs: Any) -> None:
        separate = bool(sides) and _separate_sides(name, args, kwargs, len(sides))
        if separate or not old.isdisjoint(kwargs):
            args = (args[0], args[1:]) if separate else args
            args, kwargs = _translated(name, args, dict(kwargs))
            call = ", ".join([*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())])
            own = type(self).__name__
            warnings.warn(f"Update your `{own}` call to the Keras 2 API: `{own}({call})`", stacklevel=2)
        init(self, *args, **kwargs)

    layer.__init__ = translate  # type: ignore[method-assign]  # the same constructor for Keras 2's names
    return layer


def modern_arguments(layer: str, config: dict[str, Any]) -> dict[str, Any]:
    """A configuration of Keras 1, with the arguments' names of today.

    Args:
        layer: Name of the layer's class today.
        config: The configuration.
    """
    empty = ["input_dtype"] if layer == "Embedding" else ["input_dtype", "input_dim", "input_length"]  # the shape again
    given = {name: value for name, value in config.items() if name not in empty or "batch_input_shape" not in config}
    return _translated(layer, (), given)[1]


def _separate_sides(owner: str, args: tuple[Any, ...], kwargs: dict[str, Any], rank: int) -> bool:
    """Whether the call begins ``filters, rows, columns`` with integers: Keras 1's way to give the window.

    Raises:
        ValueError: If the rest of the call is Keras 2's, so that the last one may be meant as strides.
    """
    if len(args) != 1 + rank or not all(isinstance(size, int) for size in args[1:]):
        return False
    new = [name for name in ("padding", "strides", "data_format") if name in kwargs]
    if new:
        raise ValueError(
            f"{owner}: two or more integers after filters are the sides of the window in Keras 1, and {new[0]} is an "
            "argument of Keras 2. Write kernel_size as a tuple, and strides by keyword. "
            f"Received: {', '.join(map(repr, args))}"
        )
    return True


def _translated(owner: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments by their names of today."""
    names = NAMES.get(owner, {})
    missing = _SIDES.get(owner, ())[max(len(args) - 1, 0) :]
    if missing and all(side in kwargs for side in missing):
        window = (*args[1:], *(kwargs.pop(side) for side in missing))
        args, kwargs["kernel_size"] = args[:1], window
    if owner == "SeparableConv2D" and "init" in kwargs:
        kwargs["depthwise_initializer"] = kwargs["pointwise_initializer"] = kwargs.pop("init")
    if owner in _STEPS and "input_dim" in kwargs:
        kwargs["input_shape"] = (kwargs.pop("input_length", None), kwargs.pop("input_dim"))
    for name in _DROPPED.get(owner, ()):
        if name in kwargs and (value := kwargs.pop(name)) and name != "output_shape":
            hint = "put a SpatialDropout1D behind it" if name == "dropout" else "only 0 is left"
            raise TypeError(f"{owner}: the argument {name} of Keras 1 is no more: {hint}. Received: {name}={value!r}")
    for old, new in names.items():
        if old in kwargs:
            if new in kwargs:
                received = f"Received: {old}={kwargs[old]!r}"
                raise TypeError(f"{owner}: {new} is given twice, also by its name of Keras 1. {received}")
            kwargs[new] = kwargs.pop(old)
    if "dim_ordering" in names and kwargs.get("data_format") in _FORMATS:
        kwargs["data_format"] = _FORMATS[kwargs["data_format"]]
    return args, kwargs
