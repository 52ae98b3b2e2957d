"""Configurations of tf.keras of TensorFlow 2, and of Keras 3, in the terms of Keras 2.2.4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import layers
from ..registry import get_custom_objects
from . import sharing
from .configurations import described
from .keras3_config import ACTIVATIONS, MODELS

# Arguments that came later, with the values that say what is so anyway.
_LATER: dict[str, tuple[Any, ...]] = {
    "autocast": (True,),
    "dynamic": (False,),
    "fused": (None, False, True),
    "groups": (1,),
    "implementation": (1, 2, 3),  # how LocallyConnected computes
    "input_axes": (None,),
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
_UNSEEDED = ("GaussianDropout", "GaussianNoise")
_CODE = ("__lambda__", "__typespec__")
_MERGES = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")  # operations of layers' names that do the same
_FUNCTIONS = {"Relu": "relu", "Sigmoid": "sigmoid", "Silu": "silu", "Softplus": "softplus", "Tanh": "tanh"}
_OPERATIONS = ("keras.ops", "keras.src.ops", "keras.src.layers.core.tf_op_layer", "tf.")


def model_from_keras3(found: dict[str, Any], keras3: bool = True) -> dict[str, Any]:
    """Change the description of a model, as a ``.keras`` file has it, into Keras 2.2.4's.

    Args:
        found: The description.
        keras3: Whether it is Keras 3's, and not tf.keras's.

    Raises:
        ValueError: If there is something in it that has no equal.
    """
    if found.get("class_name") not in MODELS or not isinstance(found.get("config"), dict):
        raise ValueError(f"it describes no model, but {found.get('class_name')!r:.100}")
    model = {"class_name": found["class_name"], "config": found["config"]}
    translate_all(model, keras3)
    return model


def translate_all(model: dict[str, Any], keras3: bool) -> None:
    """Change the description of a model and all that is in it; see `translate`."""
    everything = list(described(model))
    for layer in everything:
        _make_layer(layer)
    for layer in everything:
        translate(layer, keras3)
    sharing.complete(model)


def _make_layer(layer: dict[str, Any]) -> None:
    """Make an operation between layers a layer that does the same.

    Raises:
        ValueError: If there is none.
    """
    name, module = layer["class_name"], layer.get("module")
    if not isinstance(module, str) or not module.startswith(_OPERATIONS):
        return
    shapes = [_shapes(node) for node in layer.get("inbound_nodes") or [None]]
    own: dict[str, Any] = {"name": layer["config"].get("name")}
    if name in _MERGES and all(len(given) == 2 and given[0] == given[1] for given in shapes):
        layer |= {"module": "keras.layers", "config": own}
    elif name in _FUNCTIONS and layer["config"].keys() == {"name"} and all(len(given) == 1 for given in shapes):
        layer |= {"module": "keras.layers", "class_name": "Activation"}
        layer["config"] = {**own, "activation": _FUNCTIONS[name]}
    else:
        raise ValueError(
            f"the operation {name!r} of {module} stands between the layers, and minikeras reads graphs of layers; of "
            f"operations only {', '.join([*_MERGES, *_FUNCTIONS])}, on tensors of one shape"
        )


def _shapes(node: Any) -> list[Any]:
    """The shapes of the tensors that an operation is called on; none if there is something else."""
    given = node.get("args") if isinstance(node, dict) and not node.get("kwargs") else None
    configs = [item.get("config") if isinstance(item, dict) else None for item in given or []]
    shapes = [config.get("shape") if isinstance(config, dict) else None for config in configs]
    return shapes if all(isinstance(shape, list) for shape in shapes) else []


def translate(layer: dict[str, Any], keras3: bool) -> None:
    """Change the description of a layer, ``{"class_name", "config", ...}``, into Keras 2.2.4's.

    What has no equal there stays, and is refused by the layer that it is for.

    Args:
        layer: The description.
        keras3: Whether it is Keras 3's, and not tf.keras's.

    Raises:
        ValueError: For stored code, or an argument of a call that is no tensor.
    """
    config = layer["config"]
    _check_module(layer)
    if isinstance(config.get("layers"), list):
        _translate_graph(config, keras3)
    if layer["class_name"] == "Functional":
        layer["class_name"] = "Model"
    if layer["class_name"] == "LeakyReLU" and "negative_slope" in config:
        config["alpha"] = config.pop("negative_slope")
    if layer["class_name"] in ("L1", "L2"):
        layer["class_name"] = "L1L2"
    for name, values in _LATER.items():
        if name in config and any(config[name] is value or config[name] == value for value in values):
            del config[name]
    for name, value in config.items():
        if not isinstance(value, dict):
            continue
        if value.get("class_name") == "function" and isinstance(function := value.get("config"), str):
            config[name] = function if function in get_custom_objects() else function.rpartition(">")[2]
        elif value.get("class_name") == "__lambda__":
            raise ValueError(
                f"{layer['class_name']} {config.get('name')!r}: {name} is stored as Python bytecode, which is never run"
            )
    if keras3 and config.get("activation") in [*ACTIVATIONS]:
        config["activation"] = ACTIVATIONS[config["activation"]]
    if layer["class_name"] in _UNSEEDED:
        config.pop("seed", None)
    if isinstance(config.get("seed"), dict):
        config["seed"] = None
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


def _check_module(layer: dict[str, Any]) -> None:
    name, module = layer["class_name"], layer.get("module")
    if name in _CODE:
        raise ValueError(f"there is Python code in it ({name}), which is never run")
    package, _, bare = name.rpartition(">")
    if package and name not in get_custom_objects() and bare not in (*layers.registry, *MODELS):
        layer["class_name"] = bare  # as Keras 3's .h5 files name a registered class
    if not isinstance(module, str) or module == "keras.layers":
        return
    if module.partition(".")[0] not in ("keras", "builtins") and name in (*layers.registry, *MODELS):
        layer["class_name"] = layer.get("registered_name") or f"{module}>{name}"  # another class of this name


# ---------------------------------------------------------------------- graphs


def _translate_graph(config: dict[str, Any], keras3: bool) -> None:
    """Write calls as lists of places, and count them as Keras 2 does; see `keras3_config`."""
    inside = {layer.get("name"): layer.get("class_name") for layer in config["layers"] if isinstance(layer, dict)}
    for layer in config["layers"]:
        if isinstance(layer, dict) and isinstance(nodes := layer.get("inbound_nodes"), list):
            what = f"{layer.get('class_name')} {layer.get('name')!r}"
            places = [_node(node, what) if isinstance(node, dict) else node for node in nodes]
            if keras3:
                places = [[_counted(place, MODELS, inside) for place in node] for node in places]
            layer["inbound_nodes"] = places
    for ends in ("input_layers", "output_layers"):
        if ends in config:
            places = _flat(config[ends])
            config[ends] = [_counted(place, ("Sequential",), inside) for place in places] if keras3 else places


def _node(node: dict[str, Any], what: str) -> list[Any]:
    """A call in Keras 3's form, ``{"args": ..., "kwargs": ...}`` with tensors in it, as a list of places.

    Keras 3 decides anew with every call whether it is training, whatever was said when the call was recorded.
    """
    given = node.get("kwargs") or {}
    keywords = {name: value for name, value in given.items() if value is not None and name != "training"}
    tensors = node.get("args") or []
    while len(tensors) == 1 and isinstance(tensors[0], list):
        tensors = tensors[0]
    return [[*_history(tensor, what), keywords] for tensor in tensors]


def _history(tensor: Any, what: str) -> list[Any]:
    if not isinstance(tensor, Mapping) or tensor.get("class_name") != "__keras_tensor__":
        raise ValueError(f"{what} is called with an argument that is no tensor. Received: {tensor!r:.100}")
    return list(tensor["config"]["keras_history"])


def _counted(place: Any, models: tuple[str, ...], inside: Mapping[Any, Any]) -> Any:
    """A place whose call is counted as in Keras 2, where that from a model's inputs to its outputs comes first."""
    name, number, *rest = place
    return [name, number + (inside.get(name) in models), *rest]


def _flat(ends: Any) -> list[Any]:
    """The inputs or outputs of a graph as a list of places; those of a dict in the order of its keys, as in Keras 3."""
    if isinstance(ends, dict):
        return [place for key in sorted(ends) for place in _flat(ends[key])]
    if isinstance(ends, list) and ends and isinstance(ends[0], str):
        return [ends]
    return [place for item in ends for place in _flat(item)] if isinstance(ends, list) else [ends]
