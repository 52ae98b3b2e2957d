"""The eigenvalues of hessian_spectrum.py, judged by the whole Hessian of a small network."""

from __future__ import annotations

import importlib.util
import re

import numpy as np
import pytest

from minikeras import Sequential, layers
from tests.examples.running import ROOT, run


def example():
    specification = importlib.util.spec_from_file_location("hessian_spectrum", ROOT / "examples/hessian_spectrum.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_both_ends_of_the_spectrum_are_those_of_the_explicit_hessian():
    rng = np.random.default_rng(0)
    conv = layers.Conv2D(2, 3, activation="tanh", input_shape=(6, 6, 1), dtype="float64")
    head = layers.Dense(3, activation="softmax", dtype="float64")
    model = Sequential([conv, layers.AveragePooling2D(), layers.Flatten(), head])
    model.compile("adam", "sparse_categorical_crossentropy")
    surface = model.loss_surface(rng.normal(size=(9, 6, 6, 1)), rng.integers(0, 3, 9))
    step, here = 1e-5, surface.start
    rows = [surface.gradient(here + step * e) - surface.gradient(here - step * e) for e in np.eye(surface.size)]
    expected, vectors = np.linalg.eigh(np.array(rows) / (2 * step))

    largest, smallest, vector = example().spectrum(surface, large=6, small=2)
    np.testing.assert_allclose(largest, expected[: -6 - 1 : -1], rtol=1e-6)
    np.testing.assert_allclose(smallest, expected[:2], rtol=1e-4, atol=1e-8)
    assert abs(vector @ vectors[:, -1]) == pytest.approx(1.0, abs=1e-6)
    assert example().curvature_along(surface, vector, step=1e-4) == pytest.approx(expected[-1], rel=1e-5)


def test_training_leaves_small_negative_curvature_and_the_first_eigenvalue_is_the_curvature_along_its_vector(tmp_path):
    pytest.importorskip("matplotlib")
    arguments = ("--epochs", "10", "--samples", "200", "--count", "5", "--output", "spectrum.png")
    text = run("hessian_spectrum.py", *arguments, cwd=tmp_path)
    largest, smallest, along = (
        [[float(value) for value in line.split()] for line in re.findall(rf"{name} +([-\d. ]+)", text)]
        for name in ("largest eigenvalues", "smallest", "from two gradients:")
    )
    assert len(largest) == len(smallest) == len(along) == 2
    for values, (curvature,) in zip(largest, along, strict=True):
        assert values == sorted(values, reverse=True)
        assert len(values) == 5
        assert curvature == pytest.approx(values[0], rel=0.02)
    assert smallest[0][0] < smallest[1][0] < 0
    assert (tmp_path / "spectrum.png").read_bytes().startswith(b"\x89PNG")
