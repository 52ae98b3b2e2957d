"""The weights of a model as a state dict of PyTorch, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

import numpy as np

from ..layers.base import Layer
from ..saving.matching import Difference, table
from .torch_layout import Entry, entries
from .torch_order import Order, follow_graph

_COUNTER = "num_batches_tracked"  # of PyTorch's BatchNorm: only what takes averages without a momentum reads it


def to_torch_state_dict(model: Any, names: Mapping[str, str] | None = None, tensors: bool = False) -> dict[str, Any]:
    """Return the weights of a model in PyTorch's layout, for ``module.load_state_dict``.

    A layer becomes the module of its name, in models inside of models "model.layer", and a separable convolution two:
    "layer.depthwise" and "layer.pointwise". Kernels are (outputs, inputs / groups, *window), of transposed convolutions
    (inputs, outputs / groups, *window), those of Dense (outputs, inputs).

    In PyTorch images, and whatever goes through layers over space, are taken to be (batch, channels, *space). Behind a
    Flatten the rows of a Dense kernel are put in the order of features that this gives. Behind Reshape and Permute
    tensors are taken to be as in minikeras.

    Args:
        model: A model, built, of layers that PyTorch has modules for.
        names: Dict from names of modules, as they are said above, to others in their place.
        tensors: Whether to return torch tensors; else NumPy arrays, and PyTorch isn't needed.

    Returns:
        Dict from "module.weight" and so on to arrays, in the order of computation.

    Raises:
        ImportError: If tensors are asked for and PyTorch isn't installed.
        RuntimeError: If the model isn't built.
        ValueError: If PyTorch has no module for a layer; for names that aren't there, or are given twice.

    Example:
        >>> from minikeras import Sequential
        >>> from minikeras.layers import Conv2D, Dense, Flatten
        >>> model = Sequential([Conv2D(4, 3, name="conv", input_shape=(8, 8, 3)), Flatten(), Dense(2, name="dense")])
        >>> {name: array.shape for name, array in to_torch_state_dict(model).items()}
        {'conv.weight': (4, 3, 3, 3), 'conv.bias': (4,), 'dense.weight': (2, 144), 'dense.bias': (2,)}
    """
    found: dict[str, np.ndarray] = {}
    modules = _modules(model)
    others = _others(model, modules, names)
    for module, parts in modules.items():
        for entry in parts:
            found[f"{others[module]}.{entry.name}"] = entry.to_torch()
        if any(entry.name == "running_mean" for entry in parts):
            found[f"{others[module]}.{_COUNTER}"] = np.array(0, np.int64)
    if not tensors:
        return found
    try:
        import torch
    except ImportError:
        raise ImportError("to_torch_state_dict(..., tensors=True) needs PyTorch: pip install torch") from None
    return {name: torch.from_numpy(array.copy()) for name, array in found.items()}


def from_torch_state_dict(model: Any, state_dict: Mapping[str, Any], names: Mapping[str, str] | None = None) -> None:
    """Set the weights of a model to those of a state dict of PyTorch; see `to_torch_state_dict` for the layouts.

    Modules are matched by their names, if these are the model's, or as ``names`` says; else in order, whatever they are
    called: the modules of the state dict as they follow one another in it, the layers in the order of computation. The
    shapes must agree; if one doesn't, no weight is changed.

    Args:
        model: A model, built.
        state_dict: What ``module.state_dict()`` gives: torch tensors, or arrays, by name.
        names: Dict from names of the model's modules to those in the state dict, which may hold more; a module that is
            left out has its own name there.

    Raises:
        RuntimeError: If the model isn't built.
        TypeError: If the state dict is no dict of tensors.
        ValueError: If it doesn't fit: a table says which layer expects what.
    """
    modules = _modules(model)
    found = _grouped(model, state_dict)
    differences: list[Difference] = []
    assigned: list[tuple[Entry, np.ndarray]] = []
    for module, source in _pairs(model, modules, found, names):
        arrays = found[source] if source is not None else {}
        wanted = {entry.name: entry for entry in modules[module]} if module is not None else {}
        for name in dict.fromkeys([*wanted, *arrays]):
            entry, array = wanted.get(name), arrays.get(name)
            if entry is not None and array is not None and entry.shape == array.shape:
                assigned.append((entry, array))
            elif not (array is None and entry is not None and entry.weight is None):
                shapes = (None if entry is None else entry.shape, None if array is None else array.shape)
                differences.append(Difference(module or "-", name, *shapes, source or ""))
    if differences:
        raise ValueError(
            f"{model}: the state dict holds weights of another architecture.\n{table(differences, 'dict')}\n"
            "from_torch_state_dict(..., names={'layer': 'module', ...}) says which belongs to which; arrays are "
            "compared in PyTorch's layout."
        )
    _check_constants(model, assigned)
    for entry, array in assigned:
        if entry.weight is not None:
            entry.weight.assign(entry.from_torch(array, entry.weight))


def _modules(model: Any) -> dict[str, list[Entry]]:
    """The model's weights by module of PyTorch, in the order of computation."""
    if not hasattr(model, "_connected"):
        raise TypeError(
            f"a state dict is made of a model, or read into one: load_model gives it. Received: {model!r:.100}"
        )
    if not model.built:
        raise RuntimeError(
            f"{model}: it isn't built, so that it has no weights yet. Give the first layer an input_shape"
        )
    graph = model._connected()
    if graph is None:
        raise ValueError(
            f"{model}: of a model that is a program, with a call of its own, nobody knows how the layers follow one "
            "another. Make it of layers by Model(inputs, outputs)"
        )
    made: dict[int, tuple[Layer, Order]] = {}
    found: dict[str, list[Entry]] = {}

    def visit(layer: Layer, x: Order, name: str) -> None:
        known = made.setdefault(id(layer), (layer, x))[1]
        if known is not x:
            if not np.array_equal(known.numbers(), x.numbers()):
                raise ValueError(f"{layer}: it is called on features of different orders in PyTorch")
            return
        for entry in entries(layer, x):
            found.setdefault(f"{name}.{entry.module}" if entry.module else name, []).append(entry)

    follow_graph(graph, [Order(symbol.shape) for symbol in graph.inputs], visit)
    return found


def _others(model: Any, modules: Mapping[str, Any], names: Mapping[str, str] | None) -> dict[str, str]:
    """The name for each module: as given, or its own."""
    given = dict(names or {})
    if unknown := [name for name in given if name not in modules]:
        raise ValueError(f"{model}: names must be those of its modules, {list(modules)}. Received: {unknown[0]!r}")
    found = {name: given.get(name, name) for name in modules}
    if len(set(found.values())) < len(found):
        raise ValueError(f"{model}: names must give each module one of its own. Received: {given}")
    return found


def _grouped(model: Any, state_dict: Mapping[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    """The arrays of a state dict by module."""
    if not isinstance(state_dict, Mapping):
        hint = "; module.state_dict() gives one" if hasattr(state_dict, "state_dict") else ""
        raise TypeError(f"{model}: state_dict must be a dict of tensors by name{hint}. Received: {type(state_dict)}")
    found: dict[str, dict[str, np.ndarray]] = {}
    for key, value in state_dict.items():
        module, _, name = str(key).rpartition(".")
        if name != _COUNTER:
            found.setdefault(module, {})[name] = _as_array(model, key, value)
    return found


def _as_array(model: Any, key: Any, value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if "bfloat16" in str(value.dtype) else value
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{model}: state_dict must hold tensors of numbers. Received: {type(value)} for {key!r}")
    return array


def _pairs(
    model: Any, modules: Mapping[str, Any], found: Mapping[str, Any], names: Mapping[str, str] | None
) -> Iterator[tuple[str | None, str | None]]:
    """Modules of the model and of the state dict that belong together; None where one has no other."""
    if names is not None:
        others = _others(model, modules, names)
        if missing := [other for other in others.values() if other not in found]:
            raise ValueError(
                f"{model}: the state dict has no module {missing[0]!r}, which names must say for each of "
                f"{list(modules)}. It has {list(found)}"
            )
        return iter(others.items())
    if set(modules) == set(found):
        return ((name, name) for name in modules)
    return zip_longest(modules, found)


def _check_constants(model: Any, assigned: list[tuple[Entry, np.ndarray]]) -> None:
    for entry, array in assigned:
        if entry.weight is None and not np.all(array == entry.constant):
            raise ValueError(
                f"{model}: a BatchNormalization without scale or center can't take a {entry.name} that isn't "
                f"{entry.constant} everywhere"
            )
