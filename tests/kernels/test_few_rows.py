"""Compiled products of few rows or columns are NumPy's, from any layout, and leave to BLAS what that does better."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from minikeras import config, kernels
from minikeras.core import tiers
from minikeras.kernels import compiled, product

SHAPES = [
    (1, 1003, 60),
    (1, 7, 300),
    (2, 130, 40),
    (7, 129, 300),
    (33, 700, 65),
    (64, 1100, 70),
    (16, 600, 2),
    (200, 150, 2),
    (131, 1030, 10),
    (90, 513, 64),
    (5, 128, 4000),
]
LAYOUTS = {
    "plain": lambda a: a.copy(),
    "transposed": lambda a: a.T.copy().T,
    "every other column": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
}


@pytest.fixture
def taken(monkeypatch):
    """Products of any size go the compiled way, as told by the list of which were transposed."""
    pytest.importorskip("numba")
    matmul, taken = sys.modules[compiled.matmul.__module__], []
    for name in ("UNCOPIED", "LEAST_DEPTH", "LEAST_BLOCK"):
        monkeypatch.setattr(matmul, name, 0)
    real, real_row = matmul._product, matmul._row_product
    monkeypatch.setattr(matmul, "_product", lambda x, y, is_turned: taken.append(is_turned) or real(x, y, is_turned))
    monkeypatch.setattr(matmul, "_row_product", lambda x, y: taken.append("row") or real_row(x, y))
    before = config.num_threads()
    with tiers.kernels_scope("numba"):
        yield taken
    config.set_num_threads(before)


def every_product(dtype):
    """All that is compiled for products."""
    y = np.ones((400, 400), dtype)
    kernels.matmul(np.ones((8, 400), dtype), y)
    kernels.matmul(np.ones((8, 400), dtype), y.T)
    kernels.matmul(np.ones((1, 4000), dtype), np.ones((4000, 400), dtype))


def random(*shapes, dtype="float64"):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_factors_of_all_layouts_give_the_product(shape, dtype, number, taken, monkeypatch):
    monkeypatch.setattr(sys.modules["minikeras.kernels.compiled.sharing"], "WORTHWHILE", 1)
    x, y = random(shape[:2], shape[1:], dtype=dtype)
    expected = np.einsum("mk,kn->mn", x, y, dtype=np.float64)
    # each block's error is that of a sum, in turn, of at most 512 products; rounding is as often up as down
    spread = np.einsum("mk,kn->mn", x**2, y**2, dtype=np.float64) * min(shape[1], 512)
    bound = 8 * np.finfo(dtype).eps * np.sqrt(spread)
    config.set_num_threads(number)
    for layout in LAYOUTS.values():
        for result in (kernels.matmul(layout(x), y), kernels.matmul(x, layout(y))):
            assert result.flags.c_contiguous
            assert result.dtype == dtype
            assert (np.abs(result - expected) <= bound).all()
    assert taken


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ((32, 600), (600, 128), [False]),
        ((64, 512), (512, 2000), [False]),
        ((600, 512), (512, 10), [False]),
        ((64, 512), (9000, 512), [True]),  # and transposed
        ((65, 512), (512, 65), []),  # many rows and columns
        ((1, 5000), (5000, 400), ["row"]),
        ((5000, 400), (400, 1), []),  # BLAS has a way of its own with a single column
        ((32, 64), (64, 1000), []),  # each result is soon done
        ((32, 128), (128, 100), []),  # BLAS copies nothing
        ((8, 512), (512, 9000), []),  # few rows of it stay in cache
    ],
)
def test_what_blas_does_better_is_left_to_it(x, y, expected, taken, monkeypatch):
    monkeypatch.undo()
    matmul, found = sys.modules[compiled.matmul.__module__], []
    monkeypatch.setattr(matmul, "_product", lambda *args: found.append(args[-1]))
    monkeypatch.setattr(matmul, "_row_product", lambda *args: found.append("row"))
    monkeypatch.setattr(product, "matmul", lambda *args: None)
    y = np.ones(y, "float32")
    with tiers.kernels_scope("numba"):
        kernels.matmul(np.ones(x, "float32"), y.T if expected == [True] else y)
    assert found == expected


def test_other_types_stacks_and_given_results_are_numpys(taken):
    x, y = random((3, 140), (140, 9))
    for dtype in ("int64", "bool", "complex128", "float16", "longdouble"):
        some = x.astype(dtype), y.astype(dtype)
        np.testing.assert_array_equal(kernels.matmul(*some), np.matmul(*some))
    np.testing.assert_array_equal(kernels.matmul(x, y.astype("float32")), x @ y.astype("float32"))
    np.testing.assert_array_equal(kernels.matmul(np.stack([x, x]), y), np.stack([x, x]) @ y)
    out = np.zeros((3, 9))
    assert kernels.matmul(x, y, out=out) is out
    np.testing.assert_array_equal(out, x @ y)
    assert not taken


def test_nothing_times_something_and_products_of_nothing(taken):
    for x, y in (((0, 5), (5, 6)), ((4, 0), (0, 6)), ((4, 5), (5, 0))):
        np.testing.assert_array_equal(kernels.matmul(np.ones(x), np.ones(y)), np.zeros((x[0], y[1])))


@pytest.mark.parametrize("layout", ["plain", "transposed"])
def test_what_is_not_finite_stays_where_it_belongs(layout, taken):
    x, y = random((9, 600), (600, 70), dtype="float32")
    x[2, 5], x[4] = np.nan, 0
    y[590, 3] = np.inf
    with np.errstate(invalid="ignore"):
        expected = x @ y
        result = kernels.matmul(x, LAYOUTS[layout](y))
    assert np.isnan(result[2]).all()
    assert np.isnan(result[4, 3])
    np.testing.assert_allclose(result, expected, atol=1e-4)
    assert taken == [layout == "transposed"]


def test_bits_are_the_same_in_every_run_and_any_number_of_threads(taken):
    x, y = random((32, 900), (900, 700), dtype="float32")
    results = []
    for number in (1, 1, 2, 3, 3):
        config.set_num_threads(number)
        results.append((kernels.matmul(x, y), kernels.matmul(y.T, x.T), kernels.matmul(x, y.T.copy().T)))
    for result in results[1:]:
        for one, other in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(one, other)


def test_one_row_is_the_same_in_every_run(taken, monkeypatch):
    monkeypatch.setattr(sys.modules["minikeras.kernels.compiled.sharing"], "WORTHWHILE", 1)
    x, y = random((1, 900), (900, 700), dtype="float32")
    for number in (1, 2, 3):
        config.set_num_threads(number)
        results = [kernels.matmul(x, y) for _ in range(20)]
        np.testing.assert_allclose(results[0], x @ y, rtol=0, atol=1e-4)
        for result in results[1:]:
            np.testing.assert_array_equal(result, results[0])
    assert set(taken) == {"row"}


def test_nothing_around_the_factors_is_read(taken):
    def surrounded(shape):
        memory = np.full((shape[0] + 20, shape[1]), np.nan)
        memory[10:-10] = 1
        return memory[10:-10]

    for x, y in (((7, 200), (200, 37)), ((75, 200), (200, 9)), ((1, 200), (200, 3))):
        np.testing.assert_array_equal(kernels.matmul(surrounded(x), surrounded(y)), 200)
        np.testing.assert_array_equal(kernels.matmul(surrounded(x), surrounded(y[::-1]).T), 200)


def test_products_with_a_depth_of_one_are_numpys_in_any_number_of_threads(taken):
    for x, y in (((3000, 1), (1, 200)), ((1, 1), (1, 9000)), ((2, 500, 1), (1, 300)), ((2, 90, 1), (2, 1, 90))):
        x, y = random(x, y)
        for number in (1, 2, 3):
            config.set_num_threads(number)
            np.testing.assert_array_equal(kernels.matmul(x, y), x @ y)
    assert not taken
