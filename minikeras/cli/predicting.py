"""``minikeras predict``: the outputs of a model for arrays in a file."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..layers.shapes import as_list, count
from ..models import load_model
from ..saving.atomic import atomic_write
from ..saving.errors import ModelFileError
from ..saving.npy import read_header
from ..saving.npz import NpzReader, write_npz


def predict_file(path: str, source: str, target: str, batch_size: int = 32) -> None:
    """Write what a model predicts for inputs of a file.

    Args:
        path: File of the model.
        source: ``.npy`` with the input, or ``.npz`` with an array for each, by the inputs' names or in their order.
        target: ``.npy`` for the output, or ``.npz`` for the outputs by their names; written whole or not at all.
        batch_size: Samples computed at a time.

    Raises:
        OSError, ValueError, ImportError: If a file can't be read or written, or the arrays don't fit.
    """
    if not target.endswith((".npy", ".npz")):
        raise ValueError(f"predict writes .npy and .npz files. Received: {target!r}")
    for given in (path, source):
        if os.path.exists(target) and os.path.exists(given) and os.path.samefile(given, target):
            raise ValueError(f"predict would write its output over {given!r}, which it reads. Received: {target!r}")
    model = load_model(path, compile=False)
    names = list(model.output_names)
    if target.endswith(".npy") and len(names) > 1:
        raise ValueError(
            f"{path}: the model has {len(names)} outputs, {', '.join(names)}: their file must end in .npz. "
            f"Received: {target!r}"
        )
    outputs = as_list(model.predict(_read_inputs(source, model), batch_size=batch_size))
    if target.endswith(".npz"):
        write_npz(target, dict(zip(names, outputs, strict=True)))
    else:
        with atomic_write(target) as file:
            np.lib.format.write_array(file, outputs[0], allow_pickle=False)
    for name, output in zip(names, outputs, strict=True):
        print(f"{target}: {name} {output.shape} {output.dtype}")


def _read_inputs(source: str, model: Any) -> Any:
    names = list(model.input_names)
    if source.endswith(".npz"):
        with NpzReader(source) as reader:
            found = {name: reader.read(name) for name in reader.shapes}
        if set(found) == set(names):
            return [found[name] for name in names]
        if len(found) != len(names):
            raise ValueError(
                f"{source}: the model has {count(len(names), 'input')}, {', '.join(names)}. "
                f"Received: {count(len(found), 'array')}, {', '.join(list(found)[:8])}"
            )
        return list(found.values())
    if len(names) > 1:
        raise ValueError(
            f"{source}: the model has {len(names)} inputs, {', '.join(names)}: give an .npz file with an array for each"
        )
    return read_npy(source)


class _Plain:
    """A file as the readers of archives see a member."""

    def __init__(self, file: Any, size: int) -> None:
        self._file = file
        self.left = size

    def read(self, count: int) -> bytes:
        data = self._file.read(count)
        self.left -= len(data)
        return data


def read_npy(path: str) -> np.ndarray:
    """Read an ``.npy`` file of numbers; its header can't ask for more than the file holds, nor for objects.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If it is something else or damaged; a ValueError.
    """
    with open(path, "rb") as file:
        member = _Plain(file, os.path.getsize(path))
        try:
            header = read_header(member)  # type: ignore[arg-type]  # it reads, and knows what is left
            data = member.read(header.nbytes)
        except (ValueError, MemoryError) as error:
            raise ModelFileError(f"{path} is damaged or no .npy file of numbers: {error}") from error
    array = np.frombuffer(data, header.dtype)
    return array.reshape(header.shape, order="F" if header.fortran else "C")
