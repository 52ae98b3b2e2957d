from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minikeras import Parameter, Tensor, enable_grad, no_grad, ops
from minikeras.core import tape
from minikeras.core.primitive import primitive
from minikeras.core.tape import grad_enabled, gradients


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


# ---------------------------------------------------------------------- long chains and memory


def test_a_chain_of_ten_thousand_operations_differentiates() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(10_000):
        y = y + x
    y.backward()
    assert x.grad.item() == 10_001


def test_a_chain_of_a_hundred_thousand_operations_is_freed_without_recursion() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = -y
    gone = weakref.ref(y)
    del y
    assert gone() is None


def test_second_order_through_a_long_chain() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(2_000):
        y = y * 1.0
    (first,) = gradients((y * y).sum(), x, create_graph=True)
    (second,) = gradients(first.sum(), x)
    assert second.item() == 2.0


def test_a_diamond_of_many_paths_is_walked_once_per_operation() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(60):  # 2**60 paths
        y = y + y
    started = time.thread_time()  # others may be busy
    y.backward()
    assert x.grad.item() == 2.0**60
    assert time.thread_time() - started < 1.0


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def training_step(parameters: list[Parameter], create_graph: bool) -> None:
    x, w, gamma, beta = Tensor(np.ones((2, 6, 2))), *parameters
    sliding: dict[str, Any] = {"strides": (1,), "padding": ((1, 1),), "dilation": (1,)}
    y = ops.conv(x, w, activation="relu", **sliding)
    y, _, variance = ops.batch_norm(y, gamma, beta)
    y = ops.max_pool(y, window=(2,), strides=(2,), padding=((0, 0),))
    loss = ops.logsumexp(ops.reshape(y, (2, -1)), axis=-1).sum() + variance.sum() + ops.prod(gamma)
    found = gradients(loss, parameters, create_graph=create_graph)
    if create_graph:
        found = gradients(sum((g * g).sum() for g in found), parameters)
    for p, g in zip(parameters, found, strict=True):
        p.assign(p.data - 0.01 * g.numpy())


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_training_step_leaves_nothing_for_the_garbage_collector(create_graph: bool, no_collector: None) -> None:
    rng = np.random.default_rng(0)
    parameters = [Parameter(rng.standard_normal(shape)) for shape in [(3, 2, 4), (4,), (4,)]]
    training_step(parameters, create_graph)  # what is made once, such as plans
    gc.collect()
    training_step(parameters, create_graph)
    assert gc.collect() == 0


def test_backward_into_grad_leaves_nothing_for_the_garbage_collector(no_collector: None) -> None:
    x = leaf(1.0, 2.0)
    for _ in range(2):
        ops.exp(x * x).sum().backward()
    gc.collect()
    (x * x).sum().backward()
    assert gc.collect() == 0


def test_backward_frees_what_was_saved_as_it_goes() -> None:
    x = leaf(1.0, 2.0)
    y = ops.exp(x)
    saved = weakref.ref(y.data)
    loss = y.sum()
    del y
    assert saved() is not None
    loss.backward()
    assert saved() is None


# ---------------------------------------------------------------------- freed, retained, recorded


def test_a_second_backward_over_a_freed_tape_is_refused_by_name() -> None:
    x = leaf(1.0)
    y = ops.exp(x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"the tape of 'sum' was freed.*retain_graph=True"):
        y.backward()


def test_a_retained_tape_can_be_walked_again() -> None:
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8.0


def test_create_graph_retains_and_records() -> None:
    x = leaf(2.0)
    y = (x**3).sum()
    (first,) = gradients(y, x, create_graph=True)
    (second,) = gradients(first, x, create_graph=True)
    (third,) = gradients(second, x)
    assert (first.item(), second.item(), third.item()) == (12.0, 12.0, 6.0)
    assert not third.requires_grad
    gradients(y, x)


def test_backward_with_create_graph_puts_a_differentiable_gradient_into_grad() -> None:
    x = leaf(2.0)
    (x**3).sum().backward(create_graph=True)
    (second,) = gradients(x.grad, x)
    assert second.item() == 12.0
    x.grad = None


def test_gradients_off_the_tape_are_not_recorded_even_within_enable_grad() -> None:
    x = leaf(2.0)
    with enable_grad():
        (first,) = gradients((x * x).sum(), x)
    assert not first.requires_grad


# ---------------------------------------------------------------------- what is asked for


def test_gradients_of_intermediate_results_and_of_several_outputs() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3.0
    z = y * y
    dy, dx = gradients([z, y], [y, x], [np.ones(2), np.array([10.0, 20.0])])
    np.testing.assert_array_equal(dy.numpy(), [16.0, 32.0])
    np.testing.assert_array_equal(dx.numpy(), [48.0, 96.0])


def test_an_output_is_its_own_input() -> None:
    x = leaf(1.0)
    y = x * 2.0
    assert [g.item() for g in gradients(y, [y, x])] == [1.0, 2.0]
    assert gradients(x, x)[0].item() == 1.0


def test_inputs_without_influence_give_none() -> None:
    x, other, constant = leaf(1.0), leaf(1.0), Tensor([1.0])
    assert gradients(x * constant, [other, constant]) == [None, None]


def test_asking_for_some_inputs_writes_no_grad_and_leaves_the_rest_of_the_tape() -> None:
    x, y = leaf(2.0), leaf(3.0)
    product = ops.exp(x) * ops.exp(y)
    gradients(product, x)
    assert x.grad is None
    assert y.grad is None


def test_outputs_of_several_that_are_unused_cost_nothing() -> None:
    x = leaf(1.0, 2.0, 3.0, 4.0)
    first, _, third = ops.batch_norm(ops.reshape(x, (4, 1)))
    for output in (first, third):
        assert gradients(output.sum(), x, retain_graph=True)[0].shape == (4,)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x: (x * x).backward(), ValueError, r"gradient must be given.*Received: an output of shape \(2,\)"),
        (lambda x: (x * x).backward(np.ones(3)), ValueError, r"must have the output's shape \(2,\). Received: \(3,\)"),
        (lambda x: gradients([x, x], x, [np.ones(2)]), ValueError, "one cotangent per output, 2. Received: 1"),
        (lambda x: Tensor([1.0]).backward(), RuntimeError, "the output is not on the tape.*no_grad"),
        (lambda x: x.detach().sum().backward(), RuntimeError, "was detached"),
        (lambda x: (x * x).backward("text"), TypeError, "expected real numbers"),
        (lambda x: gradients(1.0, x), TypeError, "gradients: expected Tensors as outputs. Received: float"),
        (lambda x: gradients(x.sum(), [1.0]), TypeError, "gradients: expected Tensors as inputs. Received: float"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call(leaf(1.0, 2.0))


# ---------------------------------------------------------------------- accumulation


def test_gradients_accumulate_over_backwards_and_uses() -> None:
    x = leaf(1.0, 2.0)
    (x * x + x).sum().backward()
    (x * 3.0).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [6.0, 8.0])


def test_no_two_leaves_share_a_gradient_array_nor_hold_the_users() -> None:
    x, y, z = leaf(1.0, 2.0), leaf(1.0, 2.0), leaf(1.0, 2.0)
    seed = np.array([1.0, 1.0])
    (x + y + z).backward(seed)
    arrays = [seed, *[t.grad.data for t in (x, y, z)]]
    for i, first in enumerate(arrays):
        assert first.flags.writeable
        assert not any(np.shares_memory(first, second) for second in arrays[:i])


def test_the_users_gradient_is_never_written() -> None:
    x = leaf(1.0, 2.0)
    seed = Tensor(np.ones(2))
    y = x + 0.0
    (y + y + y + x).backward(seed)
    (y.detach() + x).backward(seed)
    np.testing.assert_array_equal(seed.numpy(), np.ones(2))
    np.testing.assert_array_equal(x.grad.numpy(), [5.0, 5.0])


def test_a_gradient_the_user_holds_does_not_change_at_the_next_backward() -> None:
    x = leaf(1.0)
    (x * 2.0).backward()
    held = x.grad
    (x * 3.0).backward()
    assert (held.item(), x.grad.item()) == (2.0, 5.0)


def additions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How each contribution to a gradient is added: borrowed, allocated, in place or recorded."""
    seen: list[str] = []
    original = tape._Pending.add

    def add(self: Any, place: Any, gradient: Tensor) -> None:
        before = self.gradients.get(place)
        array = None if before is None else before.data
        original(self, place, gradient)
        after = self.gradients[place]
        seen.append(
            "borrow" if array is None and after is gradient
            else "in place" if after.data is array
            else "record" if after.requires_grad
            else "allocate"
        )  # fmt: skip

    monkeypatch.setattr(tape._Pending, "add", add)
    return seen


def test_the_first_gradient_is_borrowed_the_second_allocates_later_ones_are_added_in_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = leaf(1.0, 2.0)
    y = ops.concatenate([x, x, x, x])
    seen = additions(monkeypatch)
    gradients(y, x, np.arange(8.0))
    assert seen == ["borrow", "borrow", "allocate", "in place", "in place"]


def test_nothing_is_added_in_place_under_create_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    x, seed = leaf(1.0, 2.0), leaf(*np.arange(8.0))
    y = ops.concatenate([x, x, x, x])
    seen = additions(monkeypatch)
    gradients(y, x, seed, create_graph=True)
    assert seen == ["borrow", "borrow", "record", "record", "record"]


def test_sums_of_many_uses_are_right() -> None:
    rng = np.random.default_rng(0)
    x, weights = leaf(*rng.standard_normal(3)), rng.standard_normal((7, 3))
    total = x * weights[0]
    for w in weights[1:]:
        total = total + x * w + ops.transpose(x) * 1.0
    np.testing.assert_allclose(gradients(total.sum(), x)[0].numpy(), weights.sum(0) + 6)


# ---------------------------------------------------------------------- versions


def test_an_input_changed_in_place_after_it_was_saved_is_refused_and_named() -> None:
    w = Parameter(np.ones(2), name="kernel")
    y = (w * w).sum()
    w.assign(np.zeros(2))
    with pytest.raises(
        RuntimeError,
        match=r"input '[xy]' of 'multiply' \(kernel\) was changed in place.*expected version 0. Received: version 1",
    ):
        y.backward()


def test_a_change_that_no_derivative_reads_is_fine() -> None:
    x = leaf(1.0, 2.0)
    y = (x + x).sum() + (x * 2.0).sum()
    x.assign(np.zeros(2))
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [4.0, 4.0])


def test_a_change_through_a_view_or_of_a_constant_is_noticed() -> None:
    base = Tensor(np.ones((2, 2)))
    x = leaf(1.0, 2.0)
    y = (x * base[0]).sum()
    base.assign(np.zeros((2, 2)))
    with pytest.raises(RuntimeError, match="input 'y' of 'multiply' was changed in place"):
        y.backward()


def test_a_change_of_an_output_through_its_detached_self_is_noticed() -> None:
    x = leaf(1.0, 2.0)
    y = ops.exp(x)
    total = y.sum()
    y.detach().assign(np.zeros(2))
    with pytest.raises(RuntimeError, match="output of 'exp' was changed in place"):
        total.backward()


@pytest.mark.parametrize("view", [lambda t: t, lambda t: ops.reshape(t, (2, 1))], ids=["itself", "a view"])
def test_a_change_between_first_and_second_order_is_noticed(view: Any) -> None:
    x = leaf(1.0, 2.0)
    y = view(x)
    (first,) = gradients((y * y * y).sum(), x, create_graph=True)
    gradients(first.sum(), x, retain_graph=True)
    x.assign(np.ones(2))
    with pytest.raises(RuntimeError, match="was changed in place"):
        gradients(first.sum(), x)


def test_a_change_of_a_constant_between_first_and_second_order_is_noticed() -> None:
    x, seed, w = leaf(1.0, 2.0), leaf(1.0, 1.0), Tensor(np.ones(2))
    (first,) = gradients(x * w, x, seed, create_graph=True)
    w.assign(np.zeros(2))
    with pytest.raises(RuntimeError, match="was changed in place"):
        gradients(first.sum(), seed)


def test_a_failed_backward_leaves_grad_as_it_was() -> None:
    x, w = leaf(1.0), Tensor(np.ones(1))
    y = x * w + x
    w.assign([2.0])
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()
    assert x.grad is None


# ---------------------------------------------------------------------- grad mode


def test_no_grad_and_enable_grad_nest() -> None:
    x = leaf(1.0)
    with no_grad():
        assert not (x * 2.0).requires_grad
        with enable_grad():
            assert (x * 2.0).requires_grad
            with no_grad():
                assert not grad_enabled()
            assert grad_enabled()
        assert not grad_enabled()
    assert grad_enabled()


def test_the_mode_is_restored_after_an_error_and_a_manager_can_be_entered_twice() -> None:
    off = no_grad()
    with pytest.raises(ValueError, match="stop"), off, off:
        raise ValueError("stop")
    assert grad_enabled()


def test_decorators_switch_the_mode_for_the_call_also_when_it_recurses() -> None:
    modes = []

    @no_grad()
    def f(depth: int) -> None:
        modes.append(grad_enabled())
        if depth:
            with enable_grad():
                f(depth - 1)
                modes.append(grad_enabled())

    f(1)
    assert modes == [False, False, True]
    assert grad_enabled()


def test_the_mode_belongs_to_the_thread() -> None:
    seen = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append(grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_threads_differentiate_at_the_same_time() -> None:
    results: dict[int, float] = {}

    def work(k: int) -> None:
        for _ in range(50):
            x = leaf(float(k))
            with no_grad() if k % 2 else enable_grad():
                (x * x).sum()
            (first,) = gradients((x**3).sum(), x, create_graph=True)
            results[k] = gradients(first, x)[0].item()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {k: 6.0 * k for k in range(1, 5)}


def test_a_leaf_under_no_grad_still_requires_a_gradient_afterwards() -> None:
    with no_grad():
        x = leaf(1.0)
    assert (x * 2.0).requires_grad


# ---------------------------------------------------------------------- costs


def test_an_input_that_needs_no_gradient_costs_none() -> None:
    asked = []

    @primitive
    def product(x: Any, y: Any) -> Any:
        return x * y

    product.vjps(x=lambda g, y: asked.append("x") or g * y, y=lambda g, x: asked.append("y") or g * x)
    x, y = leaf(1.0), leaf(2.0)
    gradients(product(x.detach(), y), y)
    gradients(product(x, y), x)
    gradients(product(x, 2.0), x)
    assert asked == ["y", "x", "x"]


def test_branches_that_lead_to_no_wanted_input_are_not_walked() -> None:
    asked = []

    @primitive
    def watched(x: Any) -> Any:
        return x * 1.0

    watched.vjps(x=lambda g: asked.append(1) or g)
    x, y = leaf(1.0), leaf(2.0)
    gradients(watched(x) * ops.exp(y), y)
    assert asked == []
