"""``minikeras check``: what a file is, and whether it is sound."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping

import numpy as np

from .. import saving
from ..callbacks.backup import read_backup
from ..layers.shapes import count
from ..models import load_model
from ..saving.hdf5 import MAGIC, Hdf5Reader
from ..saving.keras2 import version_of
from ..saving.keras3_weights import is_keras3
from ..saving.npz import NpzReader, beginning
from ..saving.states import is_state
from .advice import advised
from .contents import read_contents


def check_file(path: str) -> bool:
    """Print what a file is; return whether it is sound: read to its end, all weights finite, the training state whole.

    Raises:
        OSError, ValueError, ImportError: If it can't be read.
    """
    if _is_backup(path):
        return _check_backup(path)
    contents = read_contents(path)
    faults = _not_finite(contents.weights)
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
    return _conclude(faults)


def _conclude(faults: list[str]) -> bool:
    for fault in faults:
        print(f"  FAULT: {advised(fault)}")
    print("  sound" if not faults else f"  {count(len(faults), 'fault')}")
    return not faults


def _is_backup(path: str) -> bool:
    """Whether it is a file of `BackupAndRestore`."""
    if not beginning(path).startswith(b"PK") or saving.is_keras3(path):
        return False
    with NpzReader(path) as reader:
        return is_state(reader)


def _check_backup(path: str) -> bool:
    """As `check_file`, of a training that was broken off."""
    kept = read_backup(path)
    conditions, run = kept["conditions"], kept["run"]
    done = [run.get("epoch"), run.get("batch")]
    weights = run.get("weights")
    plain = all(type(number) is int and number >= 0 for number in done) and isinstance(weights, list)
    if not plain or not all(isinstance(array, np.ndarray) for array in weights):
        raise saving.ModelFileError(f"{path} is damaged: it doesn't say where the training stands")
    print(f"{path}: BackupAndRestore's .npz, {os.path.getsize(path):,} bytes, a training that was broken off")
    types = ", ".join(sorted({array.dtype.name for array in weights})) or "none"
    print(f"  weights: {sum(array.size for array in weights):,} in {count(len(weights), 'array')}, {types}")
    part = f" and {count(done[1], 'step')}" if done[1] else ""
    optimizer = conditions.get("compile: optimizer")
    print(f"  training: compiled with {optimizer!s:.100}, {count(done[0], 'epoch')}{part} done")
    return _conclude(_not_finite({"weights": {str(number): array for number, array in enumerate(weights)}}))


def _form(path: str) -> str:
    start = beginning(path)
    if start.startswith(MAGIC):
        with Hdf5Reader(path) as reader:
            return "Keras 3's .weights.h5" if is_keras3(reader) else f"HDF5 of Keras {version_of(reader):.20}"
    if start.startswith(b"PK"):
        return "Keras 3's .keras" if saving.is_keras3(path) else "minikeras's .npz"
    return "safetensors"


def _not_finite(weights: Mapping[str, Mapping[str, np.ndarray]]) -> list[str]:
    counts = {
        f"{layer}/{name}": (int(array.size - np.isfinite(array).sum()), array.size)
        for layer, arrays in weights.items()
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
