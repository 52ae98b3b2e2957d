"""The configurations in Keras 2's HDF5 files, in the terms of minikeras, and back."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..layers import registry
from . import keras1, keras2, keras3, tf_keras
from .configurations import described, dicts, parse, text_of
from .errors import WEIGHTS_ALONE, NoModelError
from .hdf5 import Hdf5Reader
from .matching import LayerWeights
from .npz import ModelFileError

OWN = "minikeras"  # the attribute with what Keras doesn't keep
_COMPILE = ("loss", "metrics", "weighted_metrics", "loss_weights", "sample_weight_mode")
_EMPTY: dict[str, Any] = {"streams": [], "iterations": None}
_CHANNELS_LAST = {"data_format": "channels_last"}
_NO_SHAPE = {"noise_shape": None, "trainable": True}
# What Keras 2.2.4 or Keras 3 doesn't know is left out where it says what is so anyway.
_EXTENSIONS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("Cropping1D", "ZeroPadding1D", "UpSampling1D"), _CHANNELS_LAST),
    **dict.fromkeys(("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"), _NO_SHAPE),
    **{f"Global{kind}Pooling{rank}D": {"keepdims": False} for kind in ("Max", "Average") for rank in (1, 2, 3)},
    "Conv2DTranspose": {"dilation_rate": [1, 1]},
    "Conv3DTranspose": {"dilation_rate": [1, 1, 1]},
}

# ---------------------------------------------------------------------- reading


def read(reader: Hdf5Reader) -> dict[str, Any]:
    """The description of the model in a file, as `save_model` takes it.

    ``training["iterations"]`` is None where the file has no count of steps but in the optimizer's state. ``state`` is
    how the state of an optimizer of tf.keras or Keras 3 is kept; for ``remarks`` and more see `keras3.training_of`.

    Raises:
        ModelFileError: If there is no model in it, or its description can't be read.
    """
    root = reader.attributes[""]
    if "model_config" not in root:
        raise NoModelError(
            f"{reader.path} holds no model, only {'weights' if 'layer_names' in root else 'arrays'}. {WEIGHTS_ALONE}"
        )
    config = _parsed(reader, "model_config")
    version = keras2.version_of(reader)
    try:
        _translate(config, version)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ModelFileError(f"{reader.path} is damaged: its model_config can't be read: {error}") from error
    own = {**_EMPTY, **(_parsed(reader, OWN) if OWN in root else {})}
    description = {"model": config, "training": None, "streams": own["streams"], "state": None}
    if "training_config" not in root:
        return description
    found = _parsed(reader, "training_config")
    if keras2.of_tensorflow(version):
        training, state = keras3.training_of(found, config)
        return {**description, **training, "state": state}
    compiled = {
        **{name: found.get(name) for name in _COMPILE},
        "optimizer": found.get("optimizer_config"),
        "iterations": own["iterations"],
    }
    return {**description, "training": compiled}


def from_json(config: dict[str, Any]) -> dict[str, Any]:
    """The architecture that a version of Keras described by ``to_json``, in the terms of minikeras.

    Args:
        config: What the text says.

    Raises:
        ValueError: If it can't be read.
    """
    version = config.get("keras_version")
    try:
        if "module" in config:  # Keras 3 doesn't say its version
            return tf_keras.model_from_keras3(config)
        if isinstance(version, str):
            _translate(config, version)
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"the description of the model can't be read: {type(error).__name__}: {error}") from error
    return config


def _translate(config: dict[str, Any], version: str) -> None:
    """Change the configuration of a version of Keras into one of minikeras."""
    _name_as_today(config, version.startswith("1"))
    if keras2.of_tensorflow(version):
        tf_keras.translate_all(config, keras2.of_keras3(version))
    if not keras2.half_pixel_centres(version):
        for layer in _upsamplings(config):
            layer["config"].setdefault("half_pixel_centers", False)


def _parsed(reader: Hdf5Reader, name: str) -> dict[str, Any]:
    text = reader.attributes[""][name]
    try:
        if not isinstance(text, str):
            raise ValueError(f"{name} is no text")
        return parse(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{reader.path} is damaged: its {name} can't be read: {error}") from error


def _name_as_today(config: Any, of_keras1: bool) -> None:
    """Give layers their names since Keras 2; make a dict of the list that a Sequential's layers were until 2.2.2."""
    for value in list(dicts(config)):
        if isinstance(name := value.get("class_name"), str):
            value["class_name"] = keras1.name_today(name)
        if value.get("class_name") == "Sequential" and isinstance(value.get("config"), list):
            value["config"] = {"layers": value["config"]}
        elif of_keras1 and isinstance(name, str) and isinstance(value.get("config"), dict):
            keras1.translate(value, name)


def _upsamplings(config: Any) -> list[dict[str, Any]]:
    return [
        layer
        for layer in described(config)
        if layer["class_name"] == "UpSampling2D" and layer["config"].get("interpolation") == "bilinear"
    ]


# ---------------------------------------------------------------------- writing


def content(
    description: Mapping[str, Any], layers: Sequence[LayerWeights], state: Sequence[np.ndarray]
) -> tuple[dict[str, keras2.Attributes], dict[str, np.ndarray]]:
    """The attributes and arrays of a model's file, for `write_hdf5`; see `saving.save_model`."""
    model = _plain(description["model"])
    training = _plain(description["training"])
    own = {"streams": description["streams"], "iterations": (training or {}).get("iterations")}
    texts = {
        "keras_version": _sampling_version(model),
        OWN: text_of(own),
    }
    _make_inputs_explicit(model)
    for layer in described(model):
        defaults = {"groups": 1, **_EXTENSIONS.get(layer["class_name"], {})}
        for name in [name for name, value in defaults.items() if layer["config"].get(name) == value]:
            del layer["config"][name]
    texts["model_config"] = text_of(model)
    optimizer = ""
    if training:
        optimizer = training["optimizer"]["class_name"]
        compiled = {"optimizer_config": training["optimizer"], **{name: training[name] for name in _COMPILE}}
        texts["training_config"] = text_of(compiled)
    return keras2.model_content(texts, layers, optimizer, state)


def _make_inputs_explicit(model: Any) -> None:
    """Write what Keras 3 needs besides, and Keras 2 understands too.

    Keras 3 misreads the shape that the first layer of a Sequential says, and finds a layer in a layer by its module.
    """
    for layer in list(described(model)):
        config = layer["config"]
        inside = config.get("layers")
        if layer["class_name"] == "Sequential" and inside:
            config.pop("build_input_shape", None)
            first = inside[0]["config"]
            if inside[0]["class_name"] != "InputLayer" and (shape := first.pop("batch_input_shape", None)):
                given = {"batch_input_shape": shape, "dtype": first.get("dtype", "float32"), "sparse": False}
                given["name"] = f"{first.get('name', 'first')}_input"
                inside.insert(0, {"class_name": "InputLayer", "config": given})
        for inner in (config.get("layer"), config.get("activation")):
            if isinstance(inner, dict) and inner["class_name"] in registry:
                inner |= {"module": "keras.layers", "registered_name": None}


def _plain(config: Any) -> Any:
    """A copy, of what JSON has."""
    return json.loads(text_of(config))


def _sampling_version(model: Any) -> str:
    """The version of Keras 2 that means by bilinear upsampling what the model means; the layout is the same."""
    centred = {layer["config"].pop("half_pixel_centers", True) for layer in _upsamplings(model)}
    if len(centred) > 1:
        raise ValueError(
            "UpSampling2D: layers with half_pixel_centers=True and with False can't be in one .h5 file, as each "
            "version of Keras knows one of them only. Save the model to .npz"
        )
    for layer in described(model):
        layer["config"].pop("half_pixel_centers", None)  # without meaning for "nearest"
    if centred == {False}:
        warnings.warn(
            "UpSampling2D: half_pixel_centers=False is what Keras 2.2.4 does with the file; later versions of Keras "
            "sample at the centres of pixels and will predict something else",
            stacklevel=5,
        )
    return "2.3.1" if centred == {True} else keras2.VERSION
