"""Products of matrices are NumPy's, whoever makes which part."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras import config, kernels
from minikeras.core import threads
from minikeras.kernels import product

SHAPES = {
    "more rows": ((130, 70), (70, 40)),
    "more columns": ((3, 700), (700, 90)),
    "one row": ((1, 900), (900, 200)),
    "a stack": ((5, 60, 70), (5, 70, 40)),
    "a stack and one matrix": ((5, 60, 70), (70, 40)),
    "one matrix and a stack": ((60, 70), (5, 70, 40)),
    "a stack that is broadcast": ((5, 1, 60, 70), (4, 70, 40)),
    "little": ((4, 5), (5, 6)),
    "nothing": ((0, 5), (5, 6)),
}


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("name", SHAPES)
def test_a_product_is_numpys_in_any_number_of_threads(name, dtype, number, monkeypatch):
    monkeypatch.setattr(threads, "WORTHWHILE", 0)
    before = config.num_threads()
    config.set_num_threads(number)
    x, y = (np.random.default_rng(0).integers(-9, 9, shape).astype(dtype) for shape in SHAPES[name])
    result = kernels.matmul(x, y)  # of integers that floats hold: the same in any order
    config.set_num_threads(before)
    assert result.dtype == dtype
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, np.matmul(x, y))


def test_a_factor_may_be_a_view():
    x = np.arange(90_000.0).reshape(300, 300)
    np.testing.assert_array_equal(kernels.matmul(x.T, x[:, ::3]), np.matmul(x.T.copy(), x[:, ::3].copy()))


def test_blas_is_held_to_one_thread_for_what_isnt_shared():
    get, set_number = threads._blas_threads()
    before = get()
    set_number(3)
    seen = []
    threads.spread(lambda part: seen.append(get()), 1, threads.UNSHARED + 1)
    threads.spread(lambda part: seen.append(get()), 1, threads.UNSHARED)
    assert get() == 3
    set_number(before)
    assert seen == [1, 3]


def test_blas_is_held_for_a_matrix_and_a_vector_though_that_isnt_shared(monkeypatch):
    asked = []
    monkeypatch.setattr(product, "spread", lambda work, length, elements: asked.append(elements) or [work(slice(0, 1))])
    kernels.matmul(np.ones((1, 60)), np.ones((60, 80)))
    assert not asked
    kernels.matmul(np.ones((1, 100)), np.ones((100, 95)))
    assert asked == [threads.UNSHARED + 1]
