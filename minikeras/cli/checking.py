"""``minikeras check``: what a file is, and whether it is sound."""

from __future__ import annotations

import os
import warnings

import numpy as np

from .. import saving
from ..layers.shapes import count
from ..models import load_model
from .advice import advised
from .contents import Contents, read_contents


def check_file(path: str) -> bool:
    """Print what a file is; return whether it is sound: read to its end, all weights finite, the training state whole.

    Raises:
        OSError, ValueError, ImportError: If it can't be read.
    """
    contents = read_contents(path)
    faults = [*_not_finite(contents)]
    model = contents.model
    print(f"{path}: {_form(path)}, {os.path.getsize(path):,} bytes, {'a model' if model else 'weights only'}")
    if model is not None:
        layers = count(len(model.layers), "layer")
        shapes = f"{_shown(model.input_shape)} -> {_shown(model.output_shape)}"
        print(f"  architecture: {type(model).__name__} '{model.name}', {layers}, {shapes}")
    arrays = [array for layer in contents.weights.values() for array in layer.values()]
    types = ", ".join(sorted({array.dtype.name for array in arrays})) or "none"
    where = f"{count(len(arrays), 'array')} of {count(len(contents.weights), 'layer')}"
    print(f"  weights: {contents.parameters:,} in {where}, {types}")
    if model is not None:
        print(f"  training: {_training(path, faults)}")
    for fault in faults:
        print(f"  FAULT: {advised(fault)}")
    print("  sound" if not faults else f"  {count(len(faults), 'fault')}")
    return not faults


def _form(path: str) -> str:
    with open(path, "rb") as file:
        start = file.read(8)
    if start == b"\x89HDF\r\n\x1a\n":
        return "HDF5 of Keras"
    if start[:2] == b"PK":
        return "Keras 3's .keras" if saving.is_keras3(path) else "minikeras's .npz"
    return "safetensors"


def _not_finite(contents: Contents) -> list[str]:
    counts = {
        f"{layer}/{name}": (int(array.size - np.isfinite(array).sum()), array.size)
        for layer, arrays in contents.weights.items()
        for name, array in arrays.items()
    }
    return [f"{name}: {bad} of {size} numbers are NaN or infinite" for name, (bad, size) in counts.items() if bad]


def _training(path: str, faults: list[str]) -> str:
    """What a file says of training; what can't be read of it is a fault."""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model = load_model(path)
    except saving.ModelFileError as error:
        faults.append(str(error).removeprefix(f"{path}: "))
        return "can't be read"
    remarks = "".join(f"; {str(warning.message).removeprefix(f'{path}: ')}" for warning in said)
    if model.optimizer is None:
        return f"not compiled{remarks}"
    state = [array for array in model.optimizer.get_weights() if np.ndim(array)]
    if any(not np.isfinite(array).all() for array in state):
        faults.append(f"the state of {type(model.optimizer).__name__} isn't finite")
    kept = f"with its state after {count(model.optimizer.iterations, 'step')}" if state else "without a state"
    return f"compiled with {type(model.optimizer).__name__} {kept}{remarks}"


def _shown(shape: object) -> str:
    return str(shape).replace("None", "?")
