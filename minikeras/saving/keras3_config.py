"""The configuration of a model as Keras 3 writes it in a ``.keras`` file.

Every object is described by ``module``, ``class_name``, ``config`` and ``registered_name``. Calls of a layer are
counted from 0, also those of a model, where Keras 2 counts the model itself; only among the outputs of a graph a call
of a functional model (not of a Sequential) is counted as in Keras 2.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from .. import activations, constraints, initializers, layers, regularizers

_MODULES = {
    "_initializer": ("keras.initializers", initializers.registry),
    "_regularizer": ("keras.regularizers", regularizers.registry),
    "_constraint": ("keras.constraints", constraints.registry),
}
MODELS = ("Functional", "Model", "Sequential")
ACTIVATIONS = {"hard_sigmoid": "hard_sigmoid6"}  # Keras 3's, and what it is called in minikeras
_ABSENT = ("LocallyConnected1D", "LocallyConnected2D", "ThresholdedReLU", "Lambda")
_HINT = "Save the model to .npz, which holds everything"
_LAST = ("channels_last",)
# Arguments that Keras 3 doesn't have, with the values that it can do without; None for all values.
_OWN: dict[str, dict[str, tuple[Any, ...] | None]] = {
    **{name: {"data_format": _LAST} for name in ("Cropping1D", "ZeroPadding1D", "UpSampling1D")},
    **{f"Conv{rank}DTranspose": {"groups": (1,)} for rank in (1, 2, 3)},
    **{f"SpatialDropout{rank}D": {"noise_shape": (None,), "trainable": None} for rank in (2, 3)},
    "SpatialDropout1D": {"noise_shape": (None,), "trainable": None, "data_format": _LAST},
    "Embedding": {"input_length": None},
    "UpSampling2D": {"half_pixel_centers": (True,)},
}


def model_to_keras3(model: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a model in Keras 3's form.

    Args:
        model: What `layers.serialize` gives for it.

    Raises:
        ValueError: If Keras 3 has no equal of a layer or of an argument; the message names the layer.
    """
    return _model(copy.deepcopy(dict(model)))


def output_names(model: Mapping[str, Any]) -> list[str]:
    """The names of the layers that give a model's outputs; for a configuration of Keras 2's form."""
    config = model["config"]
    if "output_layers" in config:
        return [place[0] for place in config["output_layers"]]
    return [config["layers"][-1]["config"]["name"]]


def _model(model: dict[str, Any], frozen: bool = False) -> dict[str, Any]:
    config = model["config"]
    frozen = frozen or config.get("trainable") is False
    if model["class_name"] == "Sequential":
        return _sequential(config, frozen)
    inside = {layer["name"]: layer["class_name"] for layer in config["layers"]}
    described = []
    for layer in config["layers"]:
        nodes = [[_inbound(place, layer["name"], inside) for place in node] for node in layer["inbound_nodes"]]
        described.append({**_layer(layer, frozen), "name": layer["name"], "inbound_nodes": nodes})
    graph = {
        "name": config["name"],
        "trainable": not frozen,
        "layers": described,
        "input_layers": _ends(config["input_layers"], inside),
        "output_layers": _ends(config["output_layers"], inside),
    }
    # Keras 3 has no public name for this class
    module = "keras.src.models.functional" if model["class_name"] == "Model" else None
    name = "Functional" if module else model["class_name"]
    return {"module": module, "class_name": name, "config": graph, "registered_name": name}


def _sequential(config: dict[str, Any], frozen: bool) -> dict[str, Any]:
    inside, shape = config["layers"], config.get("build_input_shape")
    described = [_layer(layer, frozen) for layer in inside]
    if inside and inside[0]["class_name"] != "InputLayer":
        first = inside[0]["config"]
        shape = first.get("batch_input_shape") or shape
        if shape:
            start = {"name": f"{first['name']}_input", "batch_input_shape": shape}
            described.insert(0, _layer({"class_name": "InputLayer", "config": start}))
    chain = {"name": config["name"], "trainable": not frozen, "layers": described}
    build = {"input_shape": shape} if shape else None
    if build:
        chain["build_input_shape"] = shape
    found = _object("keras", "Sequential", chain)
    return {**found, "build_config": build} if build else found


def _layer(layer: Mapping[str, Any], frozen: bool = False) -> dict[str, Any]:
    """A layer's description; a layer of a frozen model is frozen itself in Keras 3."""
    name, config = layer["class_name"], dict(layer["config"])
    if name in MODELS:
        return _model({"class_name": name, "config": config}, frozen)
    what = f"{name} {config.get('name')!r}"
    if name in _ABSENT:
        raise ValueError(f"{what}: a .keras file can't hold it, as Keras 3 has no such layer. {_HINT}")
    if name == "InputLayer":
        given = {"batch_shape": config["batch_input_shape"], "dtype": config.get("dtype") or "float32"}
        extra = {"sparse": False, "ragged": False, "name": config["name"], "optional": False}
        return _object("keras.layers", name, given | extra)
    config.pop("batch_input_shape", None)
    if frozen:
        config["trainable"] = False
    for argument, harmless in _OWN.get(name, {}).items():
        value = config.pop(argument, None)
        if harmless is not None and value not in (None, *harmless) and config.get("interpolation") != "nearest":
            raise ValueError(f"{what}: a .keras file can't hold {argument}={value!r}, which Keras 3 lacks. {_HINT}")
    if "activity_regularizer" in config and config["activity_regularizer"] is None:
        del config["activity_regularizer"]
    if isinstance(config.get("layer"), Mapping):
        config["layer"] = _layer(config["layer"], frozen)
    if isinstance(activation := config.get("activation"), Mapping):
        if activation["class_name"] in activations.registry:
            raise ValueError(
                f"{what}: a .keras file can't hold arguments of the activation {activation['class_name']!r}. Layers "
                f"such as LeakyReLU can be activations there. {_HINT}. Received: {activation['config']!r:.100}"
            )
        if activation["class_name"] == "PReLU":
            raise ValueError(
                f"{what}: a .keras file can't hold the activation 'PReLU', whose weights Keras 3 loses. Add it to the "
                f"model by itself. {_HINT}"
            )
        config["activation"] = _layer(activation, frozen)
    elif isinstance(config.get("activation"), str):
        config["activation"] = _activation(config["activation"], what)
    if name == "LeakyReLU":
        config["negative_slope"] = config.pop("alpha")
    if isinstance(dtype := config.get("dtype"), str):
        config["dtype"] = _object("keras", "DTypePolicy", {"name": dtype})
    for argument, value in config.items():
        for ending, (module, known) in _MODULES.items():
            if argument.endswith(ending) and isinstance(value, Mapping):
                own = value["class_name"] not in known
                config[argument] = _object(None if own else module, value["class_name"], value["config"], own)
    own = name not in layers.registry
    return _object(None if own else "keras.layers", name, config, own)


def _activation(name: str, what: str) -> Any:
    """An activation by Keras 3's name; for a function of one's own what it writes for one."""
    if name in ACTIVATIONS:
        raise ValueError(
            f"{what}: a .keras file can't hold the activation {name!r}: Keras 3 means by it minikeras's "
            f"{ACTIVATIONS[name]!r}. {_HINT}"
        )
    name = {ours: theirs for theirs, ours in ACTIVATIONS.items()}.get(name, name)
    if name in activations.registry:
        return name
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": name}


def _inbound(place: Sequence[Any], caller: str, inside: Mapping[str, str]) -> list[Any]:
    name, number, output, *keywords = place
    if keywords and keywords[0]:
        raise ValueError(
            f"{caller}: a .keras file can't hold the arguments of its call, as Keras 3 decides about them anew. "
            f"{_HINT}. Received: {keywords[0]!r:.100}"
        )
    return [name, number - (inside[name] in MODELS), output, {}]


def _ends(places: Sequence[Sequence[Any]], inside: Mapping[str, str]) -> Any:
    """Inputs or outputs of a graph; one alone isn't put into a list."""
    found = [[name, number - (inside[name] == "Sequential"), output] for name, number, output in places]
    return found[0] if len(found) == 1 else found


def _object(module: str | None, name: str, config: Any, own: bool = False) -> dict[str, Any]:
    """The description of an object; one of one's own is found by its name."""
    return {"module": module, "class_name": name, "config": config, "registered_name": name if own else None}
