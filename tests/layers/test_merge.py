"""Merge layers and their functions against Keras, and what their documentation promises."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from minikeras import Tensor, layers
from minikeras.core.tape import gradients
from minikeras.layers import Add, Average, Concatenate, Dot, Input, Maximum, Minimum, Multiply, Subtract
from tests.layers.properties import check_configuration
from tests.layers.reference import compare
from tests.numerical import check_gradients

FOLDER = Path(__file__).parents[1] / "reference" / "keras224"
CASES = json.loads((FOLDER / "merges.json").read_text())


@pytest.mark.parametrize("i", range(len(CASES)), ids=lambda i: f"{CASES[i]['layer']}-{i}")
def test_agrees_with_keras(i):
    with np.load(FOLDER / "merges.npz") as stored:
        arrays = {key.removeprefix(f"{i}/"): stored[key] for key in stored.files if key.startswith(f"{i}/")}
    layer = layers.deserialize({"class_name": CASES[i]["layer"], "config": {**CASES[i]["config"], "dtype": "float64"}})
    xs = [Tensor(arrays[f"x{k}"], requires_grad=True) for k in range(len(CASES[i]["input_shapes"]))]
    y = layer(xs)
    assert layer.compute_output_shape([x.shape for x in xs]) == y.shape
    compare("y", y, arrays["y"], 1e-9)
    for k, found in enumerate(gradients(y, xs, Tensor(arrays["g"]))):
        compare(f"dx{k}", found, arrays[f"dx{k}"], 1e-9)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *[(name, {}) for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")],
        ("Concatenate", {"axis": 1}),
        ("Dot", {"axes": (1, 2), "normalize": True}),
    ],
)
def test_the_function_is_the_layer(name, arguments):
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=(2, 3, 3)).astype("float32") for _ in range(2)]
    function = getattr(layers, name.lower())
    np.testing.assert_array_equal(function(xs, **arguments).numpy(), getattr(layers, name)(**arguments)(xs).numpy())
    check_configuration(getattr(layers, name)(**arguments))
    symbolic = function([Input((3, 3)), Input((3, 3))], name="merged", **arguments)
    assert symbolic.shape == (None, *function(xs, **arguments).shape[1:])


@pytest.mark.parametrize("make", [Add, Subtract, Multiply, Average, Maximum, Minimum])
def test_inputs_of_fewer_axes_are_stretched_behind_the_batch(make):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 4))
    assert make().compute_output_shape([(None, 3, None), (2, 4)]) == (2, 3, None)
    np.testing.assert_allclose(make()([x, y]).numpy(), make()([x, np.repeat(y[:, None], 3, axis=1)]).numpy())


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (Add(), [(2, 3), (2, 1), (2, 3)]),
        (Subtract(), [(2, 3), (2, 3)]),
        (Multiply(), [(2, 3), (2, 3), (2, 3)]),
        (Average(), [(2, 3, 2), (2, 2)]),
        (Maximum(), [(2, 3), (2, 3)]),
        (Minimum(), [(2, 3), (2, 3)]),
        (Concatenate(1), [(2, 1, 2), (2, 2, 2)]),
        (Dot(2), [(2, 3, 2), (2, 1, 2)]),
        (Dot((1, -1), normalize=True), [(2, 3), (2, 2, 3)]),
    ],
    ids=str,
)
def test_first_and_second_derivatives_agree_with_differences(layer, shapes):
    rng = np.random.default_rng(0)
    check_gradients(lambda *xs: layer(list(xs)), [rng.normal(size=shape) for shape in shapes])


def test_dot_takes_any_number_of_axes():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 4, 6))
    layer = Dot((2, 1))
    assert layer.compute_output_shape([(None, 3, 4, 5), (None, 4, 6)]) == (None, 3, 5, 6)
    np.testing.assert_allclose(layer([x, y]).numpy(), np.einsum("bijk,bjl->bikl", x, y))


def masked(values):
    return layers.Masking()(np.array(values, "float32").reshape(1, -1, 1))


def test_elementwise_merges_are_masked_where_one_input_is():
    assert Add()([masked([1, 0, 2]), masked([0, 0, 3])]).mask.tolist() == [[False, False, True]]
    assert Add()([masked([1, 0, 2]), np.ones((1, 3, 1), "float32")]).mask.tolist() == [[True, False, True]]
    assert Add()([np.ones((1, 3, 1)), np.ones((1, 3, 1))]).mask is None


def test_concatenate_joins_masks_along_the_steps_and_combines_them_along_channels():
    plain = np.full((1, 2, 1), np.nan, "float32")
    assert Concatenate(1)([masked([1, 0, 2]), plain]).mask.tolist() == [[True, False, True, True, True]]
    assert Concatenate()([masked([1, 0]), masked([1, 2])]).mask.tolist() == [[True, False]]
    assert Concatenate()([masked([1, 0]), plain]).mask.tolist() == [[True, False]]


def test_dot_has_no_mask():
    assert Dot(1)([masked([1, 0]), masked([1, 2])]).mask is None


def two(one, other):
    return [np.ones(one), np.ones(other)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: Add(name="a")(np.ones((2, 3))),
            r"Add 'a': .* list of at least 2 inputs. Received: one input of shape",
        ),
        (lambda: Add()([np.ones((2, 3))]), r"at least 2 inputs. Received: 1 input of shapes \(None, 3\)"),
        (lambda: Subtract()([np.ones((2, 3))] * 3), r"must be called on 2 inputs. Received: 3 inputs of shapes"),
        (
            lambda: Add()(two((2, 3), (2, 4))),
            r"the same sizes, or 1 where .*: 2 inputs of shapes \(None, 3\), \(None, 4\)",
        ),
        (
            lambda: Add()(two((2, 3), (3, 3))),
            r"must have one batch size. Received: 2 inputs of shapes \(2, 3\), \(3, 3",
        ),
        (lambda: Concatenate()(two((2, 3, 4), (2, 2, 4))), r"same sizes but for axis 2. Received: .*\(None, 2, 4\)"),
        (lambda: Concatenate(2)(two((2, 3), (2, 3))), r"one number of axes, and axis 2. Received: 2 inputs"),
        (lambda: Concatenate(0), r"axis must be an integer other than 0, the batch. Received: 0"),
        (lambda: Concatenate(1.0), r"axis must be an integer other than 0, the batch. Received: 1.0"),
        (lambda: Dot("1"), r"axes must be an integer other than 0, the batch. Received: '1'"),
        (lambda: Dot((1, 2, 3)), r"axes must be an integer or a pair of them. Received: \(1, 2, 3\)"),
        (lambda: Dot(1)(two((2, 3), (2, 4))), r"axis 1 of the first .* must have one size, and have 3 and 4. Received"),
        (lambda: Dot(2)(two((2, 3), (2, 3))), r"no axis 2 besides the batch. Received: 2 inputs of shapes"),
    ],
)
def test_wrong_calls_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
