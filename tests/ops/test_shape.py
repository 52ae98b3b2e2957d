from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minikeras import Tensor, ops
from minikeras.ops.shape import _concatenate, _getitem, _put, _scatter_add
from tests.ops.cases import Case, normal, parametrize

MASK = normal(3, 4, seed=5) > 0
INDICES: list[Any] = [
    0, -1, slice(1, None), slice(None, None, -2), None, ..., (..., 0), (slice(None), None, 1), (1, 2), (None, 0, ...),
    [0, 2, 2], [], (slice(None), [3, 0, 3]), ([0, 0, 1], [1, 1, 2]), ([[0], [2]], [1, 1, 3]), ([1], slice(2, 4)),
    MASK, MASK[:, 0], (slice(None), MASK[1]), np.array([[0, 1], [1, 1]]), np.int64(1), np.array(1), True,
    (np.newaxis, [2, 2], ..., 0),
]  # fmt: skip

PERMUTATIONS: list[Any] = [None, (2, 0, 1), (-1, 0, -2), (0, 1, 2)]
CASES = [
    *[
        Case(ops.reshape, str(shape), lambda x, shape=shape: ops.reshape(x, shape), [normal(2, 6)])
        for shape in [(12,), (3, -1), (1, 2, 2, 3), (2, 6)]
    ],
    Case(ops.reshape, "to 0-d", lambda x: ops.reshape(x, ()), [normal(1, 1)]),
    Case(ops.reshape, "empty", lambda x: ops.reshape(x, (3, 0)), [normal(0, 2)]),
    Case(ops.reshape, "transposed", lambda x: ops.reshape(x, (6,)), [normal(2, 3).T]),
    *[Case(ops.transpose, str(p), lambda x, p=p: ops.transpose(x, p), [normal(2, 3, 4)]) for p in PERMUTATIONS],
    *[
        Case(ops.broadcast_to, str(shape), lambda x, shape=shape: ops.broadcast_to(x, shape), [normal(3, 1)])
        for shape in [(3, 1), (3, 4), (2, 3, 1), (2, 3, 4), (0, 3, 4)]
    ],
    *[
        Case(ops.expand_dims, str(axis), lambda x, axis=axis: ops.expand_dims(x, axis), [normal(2, 3)])
        for axis in [0, -1, 1, (0, 2), (-1, 0)]
    ],
    *[
        Case(ops.squeeze, str(axis), lambda x, axis=axis: ops.squeeze(x, axis), [normal(1, 3, 1)])
        for axis in [None, 0, -1, (0, 2)]
    ],
    *[
        Case(ops.pad, str(pairs), lambda x, pairs=pairs: ops.pad(x, pairs, 2.0), [normal(2, 3)])
        for pairs in [((0, 0), (0, 0)), ((1, 0), (0, 2)), [[2, 3], [1, 1]]]
    ],
    *[
        Case(ops.crop, str(pairs), lambda x, pairs=pairs: ops.crop(x, pairs), [normal(3, 4)])
        for pairs in [((0, 0), (0, 0)), ((1, 0), (0, 2)), ((1, 2), (0, 0))]
    ],
    *[
        Case(ops.flip, str(axis), lambda x, axis=axis: ops.flip(x, axis), [normal(2, 3)])
        for axis in [None, 0, -1, (0, 1)]
    ],
    *[
        Case(_concatenate, f"axis {axis}", lambda *xs, axis=axis: ops.concatenate(xs, axis), [*arrays])
        for axis, arrays in [
            (0, [normal(2, 3), normal(1, 3), normal(0, 3)]),
            (-1, [normal(2, 3), normal(2, 1)]),
            (1, [normal(2, 2), normal(2, 3), normal(2, 1)]),
            (0, [normal(2)]),
        ]
    ],
    Case(_concatenate, "with a constant", lambda x: ops.concatenate([x, np.ones((2, 1)), x * x]), [normal(2, 3)]),
    *[
        Case(ops.repeat, f"{n} times, axis {axis}", lambda x, n=n, axis=axis: ops.repeat(x, n, axis), [normal(2, 3)])
        for n, axis in [(2, 0), (3, 1), (2, -1), (1, 0), (0, 1)]
    ],
    *[
        Case(ops.tile, str(reps), lambda x, reps=reps: ops.tile(x, reps), [normal(2, 3)])
        for reps in [2, (2,), (2, 3), (2, 1, 3), (1, 1)]
    ],
    Case(ops.tile, "0-d", lambda x: ops.tile(x, 3), [normal()]),
    *[
        Case(_getitem, f"[{i}] {index}"[:50], lambda x, index=index: x[index], [normal(3, 4)])
        for i, index in enumerate(INDICES)
    ],
    Case(_put, "repeated", lambda x: _put(x, index=np.array([1, 1, 0]), shape=(4,)), [normal(3)]),
    Case(_put, "slice", lambda x: _put(x, index=slice(0, 3), shape=(4,)), [normal(3)]),
    *[
        Case(ops.take, label, lambda x, i=indices, axis=axis: ops.take(x, i, axis=axis), [normal(3, 4)])
        for label, indices, axis in [
            ("repeated", [2, 0, 2], 0),
            ("matrix of indices", np.array([[0, 1], [1, 1]]), 1),
            ("last axis, negative indices", [-1, 0, -1], -1),
            ("one", 1, 1),
            ("none", np.zeros(0, int), 0),
        ]
    ],
    Case(_scatter_add, "repeated", lambda x: _scatter_add(x, [1, 1, 0], axis=1, shape=(2, 4)), [normal(2, 3)]),
]


@parametrize(CASES)
def test_the_gradient_is_that_of_differences(case: Case) -> None:
    case.check()


COMPOSITES = {
    "flatten": (ops.flatten, np.ravel),
    "moveaxis": (lambda x: ops.moveaxis(x, (0, -1), (-1, 0)), lambda x: np.moveaxis(x, (0, -1), (-1, 0))),
    "moveaxis of one": (lambda x: ops.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1)),
    "swapaxes": (lambda x: ops.swapaxes(x, 0, -1), lambda x: np.swapaxes(x, 0, -1)),
    "stack": (lambda x: ops.stack([x, x * 2.0], 1), lambda x: np.stack([x, x * 2.0], 1)),
    "stack last": (lambda x: ops.stack([x, x * 2.0], -1), lambda x: np.stack([x, x * 2.0], -1)),
    "unstack": (lambda x: ops.concatenate(ops.unstack(x, 1), 0), lambda x: np.concatenate([*np.moveaxis(x, 1, 0)])),
    "split": (lambda x: ops.split(x, 2, -1)[1], lambda x: np.split(x, 2, -1)[1]),
    "split at": (lambda x: ops.split(x, [1, 3], 2)[1], lambda x: np.split(x, [1, 3], 2)[1]),
    "pad": (lambda x: ops.pad(x, [(1, 2), (0, 0), (3, 0)], -1.0),
            lambda x: np.pad(x, [(1, 2), (0, 0), (3, 0)], constant_values=-1.0)),
    "crop": (lambda x: ops.crop(x, [(1, 0), (0, 2), (1, 1)]), lambda x: x[1:, :-2, 1:-1]),
    "repeat": (lambda x: ops.repeat(x, 3, 1), lambda x: np.repeat(x, 3, 1)),
    "tile": (lambda x: ops.tile(x, (2, 1, 3)), lambda x: np.tile(x, (2, 1, 3))),
    "take": (lambda x: ops.take(x, [[1, 0], [2, 2]], 1), lambda x: np.take(x, [[1, 0], [2, 2]], 1)),
    "squeeze": (lambda x: ops.squeeze(x[:, :1], 1), lambda x: x[:, 0]),
    "expand_dims": (lambda x: ops.expand_dims(x, (0, -1)), lambda x: np.expand_dims(x, (0, -1))),
    "transpose": (lambda x: ops.transpose(x, (1, -1, 0)), lambda x: np.transpose(x, (1, 2, 0))),
    "flip": (lambda x: ops.flip(x, (0, 2)), lambda x: np.flip(x, (0, 2))),
    "broadcast_to": (lambda x: ops.broadcast_to(x, (2, 2, 3, 4)), lambda x: np.broadcast_to(x, (2, 2, 3, 4))),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPOSITES)
def test_values_are_numpys(name: str) -> None:
    ours, numpys = COMPOSITES[name]
    for x in (normal(2, 3, 4), normal(4, 3, 2).T, normal(2, 3, 4).astype(np.float32)):
        result, expected = ours(Tensor(x)), numpys(x)
        np.testing.assert_array_equal(result.numpy(), expected)
        assert result.dtype == x.dtype


@pytest.mark.parametrize("name", COMPOSITES)
def test_gradients_flow_through_combinations(name: str) -> None:
    Case(_getitem, name, COMPOSITES[name][0], [normal(2, 3, 4)]).check()


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indexing_is_numpys(index: Any) -> None:
    x = normal(3, 4)
    np.testing.assert_array_equal(Tensor(x)[index].numpy(), x[index])


def test_tensors_index_tensors() -> None:
    x = normal(3, 4)
    t = Tensor(x)
    np.testing.assert_array_equal(t[t > 0].numpy(), x[x > 0])
    np.testing.assert_array_equal(t[Tensor(np.array([2, 0])), 1].numpy(), x[[2, 0], 1])


def test_pieces_of_a_split_are_numpys_also_where_they_are_empty_or_beyond_the_end() -> None:
    x = normal(5)
    for where in ([2, 2, 9], [-1], [3, 1], np.array([1, 4]), np.int64(5), 1):
        for ours, numpys in zip(ops.split(x, where), np.split(x, where), strict=True):
            np.testing.assert_array_equal(ours.numpy(), numpys)
    assert [piece.shape for piece in ops.split(np.zeros((0, 2)), 3)] == [(0, 2)] * 3


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x: ops.reshape(x, (5,)), ValueError, r"reshape: 6 elements of shape \(2, 3\) don't fit.*shape=\(5,\)"),
        (lambda x: x.transpose(0, 0), ValueError, "transpose: repeated axis"),
        (lambda x: ops.broadcast_to(x, (2, 4)), ValueError, "broadcast_to: "),
        (lambda x: ops.squeeze(x, 0), ValueError, "squeeze: cannot select an axis"),
        (lambda x: ops.pad(x, [(1, 1)]), ValueError, r"pad: expected one \(before, after\) pair.*2 axes.*pairs="),
        (lambda x: ops.pad(x, [(1, 1), (-1, 0)]), ValueError, "pad: expected one"),
        (lambda x: ops.crop(x, [(0, 3), (0, 0)]), ValueError, "crop: "),
        (lambda x: ops.split(x, 2, 1), ValueError, "split: axis 1 of length 3 must divide evenly. Received: 2"),
        (lambda x: ops.split(x, 0), ValueError, "split: axis 0 of length 2 must divide evenly. Received: 0"),
        (lambda x: ops.concatenate([x, x[0]]), ValueError, "concatenate: .*dimensions"),
        (lambda x: ops.concatenate([]), ValueError, "concatenate: need at least one"),
        (lambda x: ops.stack([]), ValueError, "need at least one"),
        (lambda x: ops.repeat(x, [1, 2], 0), ValueError, "repeat: expected repeats to be one integer"),
        (lambda x: ops.repeat(x, -1, 0), ValueError, "repeat: expected repeats to be one integer"),
        (lambda x: x[2], IndexError, "getitem: index 2 is out of bounds.*x of shape"),
        (lambda x: x[0, 0, 0], IndexError, "getitem: too many indices"),
        (lambda x: x["a"], IndexError, "getitem: "),
        (lambda x: ops.take(x, [3], 1), IndexError, "take: index 3 is out of bounds"),
        (lambda x: ops.take(x, [0.5], 1), TypeError, "take: "),
        (lambda x: ops.moveaxis(x, 0, 5), ValueError, "moveaxis: axis 5"),
        (lambda x: ops.moveaxis(x, (0, 1), 0), ValueError, "moveaxis: "),
        (lambda x: ops.swapaxes(x, 0, 2), ValueError, "swapaxes: axis 2"),
        (lambda x: ops.unstack(x, 2), ValueError, "unstack: axis 2"),
        (lambda x: ops.split(x, 2, 3), ValueError, "split: axis 3"),
    ],
)
def test_a_wrong_call_names_the_operation_and_what_it_received(call: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        call(Tensor(normal(2, 3)))
