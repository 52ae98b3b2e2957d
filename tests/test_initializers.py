"""Initializers: Keras 2.2.4's distributions, seeds, names and messages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from minikeras import initializers
from minikeras.core import config, random

CASES = json.loads((Path(__file__).parent / "reference" / "keras224" / "initializers.json").read_text())
RANDOM = ["RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Orthogonal", "he_normal"]


@pytest.mark.parametrize("case", CASES)
def test_a_sample_has_the_statistics_of_keras(case):
    name, shape = case.split(" ", 1)
    mean, std, low, high = CASES[case]
    values = initializers.get(name)(tuple(json.loads(shape)), dtype="float64")
    error = std / np.sqrt(values.size)
    assert abs(values.mean() - mean) < 5 * np.sqrt(2) * error
    assert values.std() == pytest.approx(std, abs=6 * error)  # var(std) is at most about error**2, in two samples
    bounded = 0.02 if name != "RandomNormal" else 0.5
    assert values.min() == pytest.approx(low, rel=bounded)
    assert values.max() == pytest.approx(high, rel=bounded)


@pytest.mark.parametrize(
    ("name", "shape", "limit"),
    [
        ("glorot_uniform", (3, 3, 64, 128), np.sqrt(6 / (9 * 64 + 9 * 128))),
        ("he_uniform", (5, 32, 96), np.sqrt(6 / (5 * 32))),
        ("lecun_uniform", (400, 500), np.sqrt(3 / 400)),
        ("glorot_uniform", (5000,), np.sqrt(6 / (2 * np.sqrt(5000)))),
        ("lecun_uniform", (2, 3, 4, 5, 6, 7), np.sqrt(3 / np.sqrt(5040))),
        ("RandomUniform", (100, 100), 0.05),
    ],
)
def test_uniform_limits_follow_from_the_fans(name, shape, limit):
    largest = np.abs(initializers.get(name)(shape, dtype="float64")).max()
    assert 0.99 * limit < largest <= limit


@pytest.mark.parametrize(("mode", "fan"), [("fan_in", 200), ("fan_out", 800), ("fan_avg", 500)])
@pytest.mark.parametrize("distribution", ["normal", "truncated_normal", "untruncated_normal", "uniform"])
def test_variance_scaling_has_the_variance_asked_for(mode, fan, distribution):
    values = initializers.VarianceScaling(3.0, mode, distribution)((200, 800), "float64")
    assert values.var() == pytest.approx(3.0 / fan, rel=0.03)
    largest = np.abs(values).max() / np.sqrt(3.0 / fan)
    if distribution == "untruncated_normal":
        assert largest > 4
    else:
        assert largest <= {"uniform": np.sqrt(3)}.get(distribution, 2 / 0.87962566103423978)


def test_a_truncated_normal_keeps_within_two_deviations_of_its_mean():
    values = initializers.TruncatedNormal(1.0, 0.5)((300, 300), "float64")
    assert values.min() >= 0.0
    assert values.max() <= 2.0
    assert values.mean() == pytest.approx(1.0, abs=0.01)
    assert values.std() == pytest.approx(0.5 * 0.87962566, rel=0.02)


@pytest.mark.parametrize("shape", [(8, 3), (3, 8), (3, 3, 4, 6), (2, 2, 1, 30), (5, 5)])
def test_orthogonal_rows_or_columns_are_orthonormal_times_gain(shape):
    matrix = initializers.Orthogonal(2.0)(shape, "float64").reshape(-1, shape[-1])
    gram = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)


def test_orthogonal_matrices_have_no_preferred_signs():
    diagonal = [np.diagonal(initializers.Orthogonal(seed=i)((3, 3))) for i in range(300)]
    assert np.abs(np.mean(diagonal, axis=0)).max() < 0.15


def test_constants_and_identity():
    np.testing.assert_array_equal(initializers.Zeros()((2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(initializers.Ones()((2, 3)), np.ones((2, 3)))
    np.testing.assert_array_equal(initializers.Constant(1.5)((2, 2)), np.full((2, 2), 1.5))
    np.testing.assert_array_equal(initializers.Constant([1, 2])((3, 2)), [[1, 2]] * 3)
    np.testing.assert_array_equal(initializers.Identity(3.0)((2, 3)), [[3, 0, 0], [0, 3, 0]])


def test_a_constant_array_is_not_shared_with_the_weight():
    value = np.zeros(3)
    initializers.Constant(value)((3,), "float64")[0] = 1.0
    assert value[0] == 0.0


# ---------------------------------------------------------------------- dtype and seeds


@pytest.mark.parametrize("name", list(initializers.registry))
def test_values_have_the_dtype_asked_for_and_floatx_by_default(name):
    initializer = initializers.get(name)
    assert initializer((4, 4)).dtype == np.float32
    assert initializer((4, 4), dtype="float64").dtype == np.float64
    assert initializer((4, 4), dtype=np.float16).dtype == np.float16
    with config.scope(floatx="float64"):
        assert initializer((4, 4)).dtype == np.float64


@pytest.mark.parametrize("name", RANDOM)
def test_with_a_seed_every_call_gives_the_same_values(name):
    seeded = initializers.deserialize({"class_name": name, "config": {"seed": 0}})
    first = seeded((4, 5))
    np.testing.assert_array_equal(seeded((4, 5)), first)
    other = initializers.deserialize({"class_name": name, "config": {"seed": 1}})
    assert not np.array_equal(other((4, 5)), first)


@pytest.mark.parametrize("name", RANDOM)
def test_without_a_seed_every_call_gives_new_values_that_the_global_seed_fixes(name):
    initializer = initializers.get(name)
    with random.seed_scope(3):
        first, second = initializer((4, 5)), initializer((4, 5))
    assert not np.array_equal(first, second)
    with random.seed_scope(3):
        np.testing.assert_array_equal(initializer((4, 5)), first)


# ---------------------------------------------------------------------- names and configurations


@pytest.mark.parametrize(
    ("names", "cls"),
    [
        (("zeros", "zero", "Zeros"), initializers.Zeros),
        (("ones", "one", "Ones"), initializers.Ones),
        (("constant", "Constant"), initializers.Constant),
        (("normal", "random_normal", "RandomNormal"), initializers.RandomNormal),
        (("uniform", "random_uniform", "RandomUniform"), initializers.RandomUniform),
        (("truncated_normal", "TruncatedNormal"), initializers.TruncatedNormal),
        (("orthogonal", "Orthogonal"), initializers.Orthogonal),
        (("identity", "Identity"), initializers.Identity),
        (("glorot_uniform", "GlorotUniform", "he_normal", "HeNormal"), initializers.VarianceScaling),
        (("glorot_normal", "he_uniform", "lecun_normal", "lecun_uniform"), initializers.VarianceScaling),
    ],
)
def test_the_names_of_keras_resolve(names, cls):
    for name in names:
        assert type(initializers.get(name)) is cls
    assert initializers.random_normal is initializers.RandomNormal


@pytest.mark.parametrize(
    ("initializer", "config"),
    [
        (initializers.Zeros(), {}),
        (initializers.Constant(2), {"value": 2}),
        (initializers.RandomNormal(1, 2, 3), {"mean": 1.0, "stddev": 2.0, "seed": 3}),
        (initializers.RandomUniform(), {"minval": -0.05, "maxval": 0.05, "seed": None}),
        (initializers.TruncatedNormal(), {"mean": 0.0, "stddev": 0.05, "seed": None}),
        (initializers.Orthogonal(), {"gain": 1.0, "seed": None}),
        (initializers.Identity(2), {"gain": 2.0}),
        (
            initializers.glorot_uniform(),
            {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None},
        ),
    ],
)
def test_configurations_are_those_of_keras_and_round_trip(initializer, config):
    assert initializer.get_config() == config
    serialized = json.loads(json.dumps(initializers.serialize(initializer)))
    assert serialized == {"class_name": type(initializer).__name__, "config": config}
    assert initializers.get(serialized).get_config() == config


def test_an_initializer_of_ones_own_needs_only_call():
    class Ramp(initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return np.arange(np.prod(shape), dtype=dtype).reshape(shape)

    assert initializers.serialize(Ramp()) == {"class_name": "Ramp", "config": {}}
    assert initializers.get(Ramp)((2, 2)).tolist() == [[0, 1], [2, 3]]
    with pytest.raises(NotImplementedError, match="Initializer must define __call__"):
        initializers.Initializer()((2,))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: initializers.get("glorot_unifrom"), ValueError, "Unknown initializer: .* mean 'glorot_uniform'"),
        (lambda: initializers.get(0.1), ValueError, "Cannot interpret the initializer: .*Received: 0.1"),
        (lambda: initializers.RandomNormal(stddev=-1), ValueError, r"RandomNormal: stddev must be .* in \[0, inf\)"),
        (lambda: initializers.RandomNormal(mean="0"), TypeError, "RandomNormal: mean must be a number.*'0'"),
        (lambda: initializers.RandomUniform(1, 0), ValueError, r"RandomUniform: maxval must be .* in \[1.0, inf\)"),
        (lambda: initializers.TruncatedNormal(stddev=np.nan), ValueError, "TruncatedNormal: stddev .*Received: nan"),
        (lambda: initializers.VarianceScaling(0), ValueError, r"VarianceScaling: scale must be .* in \(0, inf\)"),
        (lambda: initializers.VarianceScaling(mode="fan"), ValueError, "mode must be one of 'fan_in', .*'fan'"),
        (lambda: initializers.VarianceScaling(distribution=1), ValueError, "distribution must be one of 'normal'"),
        (lambda: initializers.he_normal(seed=1.0), TypeError, "seed must be a non-negative integer or None.*1.0"),
        (lambda: initializers.he_normal(seed=True), TypeError, "seed must be a non-negative integer or None.*True"),
        (lambda: initializers.Orthogonal()((3,)), ValueError, r"Orthogonal: .* two axes. Received: shape \(3,\)"),
        (lambda: initializers.Identity()((2, 2, 2)), ValueError, "Identity: the weight must have two axes"),
        (lambda: initializers.Constant([1, 2])((3,)), ValueError, r"Constant: value must .* the shape \(3,\)"),
        (lambda: initializers.Constant("one")((3,)), ValueError, "Constant: value must be a number.*'one'"),
        (lambda: initializers.Zeros()((2, -1)), ValueError, r"Zeros: shape must be a tuple .*\(2, -1\)"),
        (lambda: initializers.Zeros()((2, 1.0)), ValueError, "Zeros: shape must be a tuple of non-negative integers"),
        (lambda: initializers.Zeros()(3), ValueError, "Zeros: shape must be a tuple .*Received: 3"),
        (lambda: initializers.Ones()((2,), "int32"), TypeError, "Ones: dtype must be a floating.*int32"),
    ],
)
def test_a_wrong_call_names_initializer_argument_and_what_was_expected(call, error, message):
    with pytest.raises(error, match=message):
        call()
