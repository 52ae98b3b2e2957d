from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from minikeras import Parameter, Tensor, ops
from minikeras.core import config


def doubled(t: Any) -> Any:
    return t * 2.0


# ---------------------------------------------------------------------- making one


def test_an_array_is_shared_and_keeps_its_dtype() -> None:
    for dtype in (np.float16, np.float32, np.float64, np.int8, np.bool_):
        array = np.ones(3, dtype)
        assert Tensor(array).data is array
        assert Tensor(array).dtype == dtype


def test_python_floats_become_floatx_and_integers_stay() -> None:
    assert Tensor(1.5).dtype == Tensor([1.5, 2.0]).dtype == np.float32
    assert Tensor([1, 2]).dtype == np.int64
    assert Tensor([1, 2], requires_grad=True).dtype == np.float32
    with config.scope(floatx="float64"):
        assert Tensor(1.5).dtype == np.float64


def test_numpy_scalars_keep_their_dtype_and_a_dtype_converts() -> None:
    assert Tensor(np.float64(1.5)).dtype == np.float64
    assert Tensor(np.ones(3), dtype=np.float32).dtype == np.float32
    assert Tensor([1, 2], dtype="float64").dtype == np.float64


def test_a_tensor_of_a_tensor_shares_its_values_and_version_off_the_tape() -> None:
    x = Tensor(np.ones(3), requires_grad=True)
    again = Tensor(x)
    assert again.data is x.data
    assert not again.requires_grad
    x.assign(np.zeros(3))
    assert again.version == x.version == 1
    assert Tensor(x, dtype=np.float32).version == 0


@pytest.mark.parametrize(
    "data",
    ["text", ["a"], [[1], [1, 2]], None, object(), {"a": 1}, [1j], np.ones(2, complex), np.array([{}])],
    ids=lambda data: repr(data).partition(" at 0x")[0],
)  # fmt: skip
def test_what_is_not_real_numbers_is_refused(data: Any) -> None:
    with pytest.raises(TypeError, match=r"Tensor: expected .*Received"):
        Tensor(data)


def test_a_list_of_tensors_is_refused_and_names_the_alternative() -> None:
    with pytest.raises(TypeError, match=r"ops\.stack"):
        Tensor([Tensor(1.0), [Tensor(2.0)]])


def test_integers_have_no_gradient() -> None:
    with pytest.raises(TypeError, match=r"requires_grad needs a floating-point dtype.*Received: dtype int64"):
        Tensor(np.arange(3), requires_grad=True)


# ---------------------------------------------------------------------- describing and reading it


def test_shape_size_and_axes() -> None:
    x = Tensor(np.ones((2, 3)))
    assert (x.shape, x.ndim, x.size, len(x), x.T.shape) == ((2, 3), 2, 6, 2, (3, 2))


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (Tensor([1.0, 2.0]), "Tensor([1., 2.])"),
        (Tensor(np.ones(1)), "Tensor([1.], dtype=float64)"),
        (Tensor([1, 2]), "Tensor([1, 2], dtype=int64)"),
        (Tensor(1.0, requires_grad=True), "Tensor(1., requires_grad=True)"),
        (ops.exp(Tensor(0.0, requires_grad=True)), "Tensor(1., from=exp)"),
        (Parameter(np.ones((2, 3)), name="kernel"), "Parameter('kernel', shape=(2, 3), dtype=float64, trainable=True)"),
        (Parameter([1.0], trainable=False), "Parameter(unnamed, shape=(1,), dtype=float32, trainable=False)"),
    ],
    ids=lambda value: None if isinstance(value, Tensor) else value,
)
def test_repr_shows_values_dtype_and_origin(tensor: Tensor, text: str) -> None:
    assert repr(tensor) == text


def test_repr_of_a_large_tensor_is_short() -> None:
    assert len(repr(Tensor(np.ones((100, 100))))) < 1000


def test_one_element_converts_to_a_python_number() -> None:
    x = Tensor(np.array([[2.5]]), requires_grad=True)
    assert (x.item(), float(x), int(x), bool(x), f"{x:.2f}") == (2.5, 2.5, 2, True, "2.50")
    assert Tensor([1, 2]).tolist() == [1, 2]
    assert list(range(5))[Tensor(np.array(3))] == 3


@pytest.mark.parametrize("convert", [float, int, bool, Tensor.item], ids=lambda f: f.__name__)
def test_several_elements_do_not(convert: Any) -> None:
    with pytest.raises(ValueError, match=r"needs exactly one element. Received: shape \(2,\)"):
        convert(Tensor([1.0, 2.0]))


def test_a_float_is_no_index() -> None:
    with pytest.raises(TypeError, match="interpreted as an integer"):
        range(Tensor(3.0))


def test_a_tensor_without_axes_has_no_length() -> None:
    for use in (len, iter):
        with pytest.raises(TypeError, match="without axes"):
            use(Tensor(1.0))


def test_iterating_gives_tensors_with_gradients() -> None:
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    first, second = x
    (first * second).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2.0, 1.0])


def test_tensors_are_hashed_by_identity_and_compared_by_element() -> None:
    x = Tensor([1.0, 2.0])
    assert {x: 1}[x] == 1
    np.testing.assert_array_equal((x == Tensor([1.0, 3.0])).numpy(), [True, False])


METHODS: dict[str, Any] = {
    "sum": lambda t: t.sum(axis=0, keepdims=True), "mean": lambda t: t.mean(1), "prod": lambda t: t.prod(),
    "max": lambda t: t.max(axis=1), "min": lambda t: t.min(0), "var": lambda t: t.var(axis=(0, 1)),
    "std": lambda t: t.std(), "argmax": lambda t: t.argmax(axis=1), "argmin": lambda t: t.argmin(),
    "any": lambda t: (t > 2).any(axis=0), "all": lambda t: (t > 0).all(), "reshape": lambda t: t.reshape(3, 2),
    "reshape by tuple": lambda t: t.reshape((-1,)), "transpose": lambda t: t.transpose(1, 0),
    "transpose by tuple": lambda t: t.transpose((1, 0)), "reversed": lambda t: t.transpose(),
    "squeeze": lambda t: t[:1].squeeze(), "squeeze axis": lambda t: t[:1].squeeze(0), "flatten": lambda t: t.flatten(),
    "clip": lambda t: t.clip(1.5, 3.0), "astype": lambda t: t.astype(np.float32),
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_those_of_arrays(name: str) -> None:
    x = np.array([[1.0, 4.0, 2.0], [3.0, 0.5, 2.5]])
    result, expected = METHODS[name](Tensor(x)), METHODS[name](x)
    np.testing.assert_allclose(result.numpy(), expected)
    assert (result.shape, result.dtype) == (np.shape(expected), expected.dtype)


# ---------------------------------------------------------------------- changing it in place


def test_assign_replaces_the_values_in_place_and_raises_the_version() -> None:
    x = Tensor(np.ones(3))
    data = x.data
    assert x.assign([1.0, 2.0, 3.0]) is x
    assert x.data is data
    assert x.version == 1
    x.assign(Tensor(np.zeros(3)))
    np.testing.assert_array_equal(x.numpy(), np.zeros(3))
    x.data += 1.0
    x.mark_changed()
    assert x.version == 3


def test_assign_refuses_another_shape_and_results_of_operations() -> None:
    x = Tensor(np.ones(3), requires_grad=True)
    with pytest.raises(ValueError, match=r"assign: expected an array of shape \(3,\). Received: shape \(\)"):
        x.assign(0.0)
    with pytest.raises(RuntimeError, match="assign: this Tensor is the result of 'multiply' on the tape"):
        doubled(x).assign(np.ones(3))


@pytest.mark.parametrize(
    "view", [lambda t: t[1:], lambda t: t.reshape(3, 1), lambda t: t.detach(), ops.stop_gradient,
             lambda t: t.T[::2][:1], lambda t: ops.broadcast_to(t, (2, 3)), lambda t: Tensor(t), ops.identity],
)  # fmt: skip
def test_views_share_the_version(view: Any) -> None:
    x = Tensor(np.arange(3.0))
    y = view(x)
    assert np.shares_memory(x.data, y.data)
    x.assign(np.zeros(3))
    assert y.version == 1


def test_copies_have_a_version_of_their_own() -> None:
    x = Tensor(np.arange(3.0))
    copies = [x + 0.0, x[[0, 1]], ops.cast(x, np.float64), copy.deepcopy(x)]
    x.assign(np.zeros(3))
    assert [c.version for c in copies] == [0, 0, 0, 0]


# ---------------------------------------------------------------------- parameters and copies


def test_requires_grad_of_a_parameter_follows_trainable() -> None:
    p = Parameter([1.0], name="w")
    assert p.trainable
    assert p.requires_grad
    p.trainable = False
    assert not p.requires_grad
    assert not doubled(p).requires_grad


def test_operations_on_parameters_give_tensors() -> None:
    assert type(doubled(Parameter([1.0]))) is Tensor


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_leaves_are_copied_with_all_they_carry(duplicate: Any) -> None:
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    p = Parameter(np.ones(2, np.float16), name="w", trainable=False, regularizer=doubled, constraint=doubled)
    y, q = duplicate(x), duplicate(p)
    np.testing.assert_array_equal(y.numpy(), x.numpy())
    assert y.requires_grad
    assert (type(q), q.name, q.trainable, q.dtype) == (Parameter, "w", False, np.float16)
    assert (q.regularizer, q.constraint) == (doubled, doubled)
    y.assign(np.zeros(2))
    np.testing.assert_array_equal(x.numpy(), [1.0, 2.0])


def test_a_deep_copy_keeps_what_is_shared_shared() -> None:
    p = Parameter([1.0])
    first, second = copy.deepcopy([p, p])
    assert first is second
    assert first is not p


@pytest.mark.parametrize(("duplicate", "word"), [(copy.deepcopy, "copy"), (pickle.dumps, "pickle")])
def test_results_on_the_tape_are_not_copied(duplicate: Any, word: str) -> None:
    with pytest.raises(RuntimeError, match=rf"can't {word} a Tensor on the tape.*detach\(\)"):
        duplicate(doubled(Tensor([1.0], requires_grad=True)))
