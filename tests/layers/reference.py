"""Runs a layer on what real Keras computed: inputs, weights, outputs and gradients in tests/reference."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikeras import layers
from minikeras.core.tape import gradients
from minikeras.core.tensor import Tensor
from minikeras.layers.base import call_context

_FOLDER = Path(__file__).parents[1] / "reference"


@dataclass
class Case:
    """One layer with one configuration, and the arrays computed with it, by the names of the reference's README."""

    layer: str
    config: dict[str, Any]
    dtype: str
    arrays: dict[str, np.ndarray]

    def weights(self, prefix: str = "w") -> list[np.ndarray]:
        """The arrays prefix0, prefix1, ... in order."""
        count = sum(key.startswith(prefix) and key[len(prefix) :].isdigit() for key in self.arrays)
        return [self.arrays[f"{prefix}{i}"] for i in range(count)]

    @property
    def tolerance(self) -> float:
        """Of the largest absolute value: what was computed in float32 can't be closer."""
        return 1e-5 if any(array.dtype == np.float32 for array in self.arrays.values()) else 1e-9


def reference_cases(*names: str) -> list[Any]:
    """The cases of these layers in all libraries, as parameters of a test."""
    return [
        pytest.param(_case(library, name, i, description), id=f"{library}-{name}-{i}")
        for library in ("keras224", "keras3")
        for name in names
        for i, description in enumerate(_descriptions(library).get(name, []))
    ]


def build(case: Case) -> layers.Layer:
    """The layer, from its configuration, with the reference's weights."""
    layer = layers.deserialize({"class_name": case.layer, "config": {**case.config, "dtype": case.dtype}})
    layer.ensure_built(case.arrays["x"].shape)
    layer.set_weights(case.weights())
    return layer


def check(case: Case, training: bool = False) -> None:
    """Compare the output and its gradients with respect to the input and the trainable weights."""
    prefix = "train_" if training else ""
    layer = build(case)
    x = Tensor(case.arrays["x"].astype(case.dtype), requires_grad=True)
    with call_context(training):
        y = layer(x)
    g = Tensor(case.arrays[f"{prefix}g"].astype(case.dtype))
    dx, *dw = gradients(y, [x, *layer.trainable_weights], g)
    assert y.dtype == case.dtype
    assert tuple(layer.compute_output_shape(x.shape)) == y.shape
    compare("y", y, case.arrays[f"{prefix}y"], case.tolerance)
    compare("dx", dx, case.arrays[f"{prefix}dx"], case.tolerance)
    expected = case.weights(f"{prefix}dw")
    assert len(dw) == len(expected)
    for i, (found, wanted) in enumerate(zip(dw, expected, strict=True)):
        compare(f"dw{i}", found, wanted, case.tolerance)


def compare(what: str, found: Tensor | None, expected: np.ndarray, tolerance: float) -> None:
    """Fail unless the arrays agree to ``tolerance`` of the largest absolute value."""
    assert found is not None, f"{what} is missing"
    assert found.shape == expected.shape, what
    largest = np.abs(expected).max(initial=0.0)
    difference = np.abs(found.numpy() - expected).max(initial=0.0)
    assert difference <= tolerance * (largest or 1.0), f"{what} differs by {difference}, its largest value is {largest}"


def _case(library: str, name: str, index: int, description: dict[str, Any]) -> Case:
    prefix = f"{name}/{index}/" if library == "keras3" else f"{index}/"
    stored = _arrays(library, "layers" if library == "keras3" else name)
    arrays = {key.removeprefix(prefix): array for key, array in stored.items() if key.startswith(prefix)}
    return Case(name, description["config"], description.get("dtype", "float64"), arrays)


@cache
def _descriptions(library: str) -> dict[str, list[dict[str, Any]]]:
    file = "cases.json" if library == "keras224" else "layers.json"
    return json.loads((_FOLDER / library / file).read_text())


@cache
def _arrays(library: str, file: str) -> dict[str, np.ndarray]:
    with np.load(_FOLDER / library / f"{file}.npz") as stored:
        return dict(stored)
