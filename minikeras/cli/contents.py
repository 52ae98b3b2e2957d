"""What a file holds, whatever its format: a model and its weights, or weights alone."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import saving
from ..models import load_model


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        path: The file.
        model: The model; None for a file of weights.
        weights: From the name of each layer that has weights to its arrays by name, in the order of the file.
    """

    path: str
    model: Any
    weights: Mapping[str, Mapping[str, np.ndarray]]

    @property
    def parameters(self) -> int:
        """How many numbers the weights are."""
        return sum(array.size for layer in self.weights.values() for array in layer.values())


def read_contents(path: str) -> Contents:
    """Read a file.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If it is damaged, or neither a model's nor of weights; a ValueError.
        ImportError: If it takes h5py, which isn't installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what belongs to training
            model = load_model(path, compile=False)
    except saving.NoModelError:
        with saving.open_weights(path) as file:
            arrays = {layer: {name: file.read(layer, name) for name in shapes} for layer, shapes in file.layers.items()}
        if not arrays:
            raise saving.ModelFileError(f"{path} holds neither a model nor weights") from None
        return Contents(path, None, arrays)
    described = saving.describe_weights(model.layers)
    return Contents(path, model, {d.layer: dict(zip(d.names, d.arrays, strict=True)) for d in described})


def table(rows: list[tuple[str, ...]]) -> str:
    """Rows of texts as columns; the first row is the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(t.ljust(w) for t, w in zip(row, widths, strict=True)).rstrip() for row in rows)
