"""Models from descriptions, and models from models."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from .. import layers as layers_module
from ..core.tensor import Tensor
from ..layers.base import Layer
from ..layers.catalog import shared
from ..layers.input import Input, InputLayer
from ..layers.lambda_layer import Lambda
from ..layers.shapes import as_list
from ..registry import CustomObjectScope
from ..saving.configurations import parse
from ..saving.keras2_config import from_json
from .functional import Model
from .sequential import Sequential


def model_from_config(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a model from a configuration; the weights are new.

    Args:
        config: ``{"class_name": ..., "config": model.get_config()}``.
        custom_objects: Dict from name to class or function of your own.

    Raises:
        TypeError: For a list, the configuration of a Sequential's layers: `Sequential.from_config` takes it.
        ValueError: If a class is unknown or a configuration doesn't fit.
    """
    if isinstance(config, (list, tuple)):
        raise TypeError(
            "model_from_config expects a dict, not a list: for that there is Sequential.from_config(config)"
        )
    return layers_module.deserialize(config, custom_objects=custom_objects)


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a model from what ``to_json`` gave, also that of Keras 2, tf.keras or Keras 3; the weights are new.

    What meant something else in a version of Keras keeps its meaning, as in its files.

    Args:
        json_string: The text.
        custom_objects: Dict from name to class or function of your own.

    Raises:
        ValueError: If it is no JSON, or more of it than a model takes; if a class is unknown, or a configuration
            doesn't fit.
    """
    try:
        config = parse(json_string)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"model_from_json takes the text of a model; that of a file is open(path).read(). "
            f"Received: {json_string!r:.100}, and {error}"
        ) from None
    with CustomObjectScope({} if custom_objects is None else custom_objects), shared():
        return model_from_config(from_json(config))


def clone_model(model: Model, input_tensors: Any = None) -> Any:
    """Make a model of new layers with the same configurations and connections, and new weights.

    Args:
        model: A Sequential or a Model made of symbolic inputs and outputs.
        input_tensors: What `Input` gave, or a Tensor that the input is to be, for each input; new ones if None.

    Raises:
        TypeError: If it is something else.
        ValueError: If input_tensors don't fit.
    """
    if not isinstance(model, Model):
        raise TypeError(f"clone_model expects a model. Received: {model!r}")
    with CustomObjectScope(_functions_inside(model)):
        return _clone(model, input_tensors)


def _clone(model: Model, input_tensors: Any = None) -> Any:
    given = None if input_tensors is None else as_list(input_tensors)
    for symbol in given or ():
        if not isinstance(symbol, Tensor):
            raise ValueError(f"clone_model: input_tensors must be tensors, such as Input gives. Received: {symbol!r}")
    if given is not None:
        given = [tensor if getattr(tensor, "entry", None) else Input(tensor=tensor) for tensor in given]
    if isinstance(model, Sequential):
        copies = [_copy(layer) for layer in model._layers]
        if given is not None:
            copies = [given[0], *copies[len(model._layers) - len(model.layers) :]]
        clone: Any = Sequential(copies, name=model.name)
        if not clone.built and model.built:
            clone.build(model.input_shape)
        return clone
    graph = model._connected()
    if graph is None:
        raise TypeError(
            f"clone_model expects a model made of symbolic inputs and outputs; {model} writes its own call: make "
            "another by its class"
        )
    if given is not None and len(given) != len(graph.inputs):
        raise ValueError(f"clone_model: {model} has {len(graph.inputs)} inputs. Received: {len(given)} input_tensors")
    inputs = given or [Input(batch_shape=s.shape, dtype=s.dtype, name=s.name) for s in graph.inputs]
    mapping = {id(layer): _copy(layer) for layer in graph.layers if not isinstance(layer, InputLayer)}
    return Model(inputs, graph.replay(inputs, mapping), name=model.name)


def _functions_inside(model: Model) -> dict[str, Any]:
    """The functions of Lambda layers under names of the moment: here they are at hand, whatever files refuse."""
    lambdas = [layer for layer in model._flatten() if isinstance(layer, Lambda)]
    functions = [f for layer in lambdas for f in (layer.function, layer.output_shape_given, layer.mask) if callable(f)]
    return {f"{getattr(f, '__name__', type(f).__name__)} {i}": f for i, f in enumerate(functions)}


def _copy(layer: Layer) -> Layer:
    if isinstance(layer, Model) and inspect.getattr_static(type(layer), "from_config") in _PLAIN:
        return _clone(layer)
    return type(layer).from_config(layer.get_config())


_PLAIN = [inspect.getattr_static(cls, "from_config") for cls in (Model, Sequential)]
