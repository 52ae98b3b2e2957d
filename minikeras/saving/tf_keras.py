"""Configurations of tf.keras of TensorFlow 2, and of Keras 3's ``.h5`` files, in the terms of Keras 2.2.4."""

from __future__ import annotations

from typing import Any

# Arguments that came later, with the values that say what is so anyway.
_LATER: dict[str, tuple[Any, ...]] = {
    "autocast": (True,),
    "dynamic": (False,),
    "fused": (None, False, True),
    "groups": (1,),
    "implementation": (1, 2, 3),  # how LocallyConnected computes
    "input_axes": (None,),
    "keepdims": (False,),
    "optional": (False,),
    "output_axes": (None,),
    "ragged": (False,),
    "quantization_config": (None,),
    "renorm": (False,),
    "renorm_clipping": (None,),
    "renorm_momentum": (0.99,),
    "synchronized": (False,),
    "type_spec": (None,),
    "virtual_batch_size": (None,),
}
_UNUSED = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")  # what separable layers only inherit


def translate(layer: dict[str, Any]) -> None:
    """Change the description of a layer, ``{"class_name", "config", ...}``, into Keras 2.2.4's.

    What has no equal there stays, and is refused by the layer that it is for.
    """
    config = layer["config"]
    if layer["class_name"] == "Functional":
        layer["class_name"] = "Model"
    if isinstance(nodes := layer.get("inbound_nodes"), list):
        layer["inbound_nodes"] = [_node(node) if isinstance(node, dict) else node for node in nodes]
    if layer["class_name"] == "LeakyReLU" and "negative_slope" in config:
        config["alpha"] = config.pop("negative_slope")
    if "layers" in config:
        for ends in ("input_layers", "output_layers"):
            if isinstance(place := config.get(ends), list) and place and isinstance(place[0], str):
                config[ends] = [place]
    if layer["class_name"] in ("L1", "L2"):
        layer["class_name"] = "L1L2"
    for name, values in _LATER.items():
        if name in config and any(config[name] is value or config[name] == value for value in values):
            del config[name]
    if layer["class_name"].startswith(("Separable", "Depthwise")):
        for name in _UNUSED:
            config.pop(name, None)
    if layer["class_name"] == "BatchNormalization" and isinstance(axis := config.get("axis"), list) and len(axis) == 1:
        config["axis"] = axis[0]
    if layer["class_name"] == "InputLayer" and "batch_shape" in config:
        config["batch_input_shape"] = config.pop("batch_shape")
    policy = config.get("dtype")
    if isinstance(policy, dict) and isinstance(policy.get("config"), dict):
        config["dtype"] = policy["config"].get("name")
    if "layers" in config and "dtype" in config:
        del config["dtype"]  # a model's own, which each of its layers says again


def _node(node: dict[str, Any]) -> list[Any]:
    """A call in Keras 3's form, ``{"args": ..., "kwargs": ...}`` with tensors in it, as a list of places."""
    keywords = {name: value for name, value in (node.get("kwargs") or {}).items() if value is not None}
    tensors = node.get("args") or []
    while len(tensors) == 1 and isinstance(tensors[0], list):
        tensors = tensors[0]
    return [[*tensor["config"]["keras_history"], keywords] for tensor in tensors]
