from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minikeras import ops
from tests.ops.cases import Case, normal, parametrize

SIZES: list[tuple[Any, Any]] = [
    ((4,), (3,)),
    ((1,), (2,)),
    ((3, 2), (2, 2)),
    ((2, 3), (1, 4)),
    ((2, 1, 2), (2, 3, 1)),
]

CASES = [
    case
    for lengths, size in SIZES
    for case in [
        Case(ops.upsample_nearest, f"{size}", lambda x, n=size: ops.upsample_nearest(x, n), [normal(2, *lengths, 2)]),
        Case(ops.upsample_linear, f"{size}", lambda x, n=size: ops.upsample_linear(x, n), [normal(2, *lengths, 2)]),
        Case(
            ops.block_sum,
            f"{size}",
            lambda x, n=size: ops.block_sum(x, n),
            [normal(2, *(a * b for a, b in zip(lengths, size, strict=True)), 2)],
        ),
        Case(
            ops.upsample_linear_grad,
            f"{size}",
            lambda x, n=size: ops.upsample_linear_grad(x, n),
            [normal(2, *(a * b for a, b in zip(lengths, size, strict=True)), 2)],
        ),
    ]
]


@parametrize(CASES)
def test_the_gradient_is_that_of_differences(case: Case) -> None:
    case.check()


def test_nearest_repeats_every_element() -> None:
    x = normal(2, 3, 2, 4)
    expected = np.repeat(np.repeat(x, 2, axis=1), 3, axis=2)
    np.testing.assert_array_equal(ops.upsample_nearest(x, (2, 3)).numpy(), expected)
    assert ops.upsample_nearest(x.astype(np.float32), (2, 3)).dtype == np.float32


def test_linear_interpolates_between_half_pixel_centres_and_repeats_the_border() -> None:
    line = np.array([1.0, 3.0, 2.0])
    positions = (np.arange(12) + 0.5) / 4 - 0.5
    result = ops.upsample_linear(line.reshape(1, 3, 1), (4,))
    np.testing.assert_allclose(result.numpy().ravel(), np.interp(positions, [0, 1, 2], line))


@pytest.mark.parametrize("operation", [ops.upsample_nearest, ops.upsample_linear], ids=lambda o: o.name)
def test_a_wrong_call_names_the_argument(operation: Any) -> None:
    with pytest.raises(ValueError, match=f"{operation.name}: size must be a tuple of 2, one entry per spatial axis"):
        operation(np.ones((1, 2, 2, 1)), (2,))
