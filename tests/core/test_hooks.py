from __future__ import annotations

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

from minikeras import Parameter, Tensor, gradients, no_grad, ops


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values, "float64"), requires_grad=True)


def unused(x: Tensor) -> Tensor:
    """A result that needs x, but that nobody asks a gradient of."""
    return ops.exp(x)


# ---------------------------------------------------------------------- what a hook sees and changes


def test_a_hook_on_a_leaf_sees_the_sum_over_all_uses_once() -> None:
    x, seen = leaf(3.0), []
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * x + 5.0 * x).sum().backward()
    assert seen == [[11.0]]
    assert x.grad.tolist() == [11.0]


def test_a_hook_on_an_intermediate_sees_the_sum_also_of_uses_from_before_it_was_registered() -> None:
    x, seen = leaf(3.0), []
    y = x * 2.0
    early = y * y
    y.register_hook(lambda g: seen.append(g.tolist()))
    (early + 5.0 * y).sum().backward()
    assert seen == [[17.0]]
    assert x.grad.tolist() == [34.0]


@pytest.mark.parametrize("changed", [lambda g: g * 10.0, lambda g: g.numpy() * 10, lambda g: [20]])
def test_what_a_hook_returns_goes_on_instead(changed) -> None:
    x = leaf(3.0)
    y = x * 2.0
    y.register_hook(changed)
    (2.0 * y).sum().backward()
    assert x.grad.tolist() == [40.0]


def test_hooks_run_in_the_order_they_came_each_with_the_result_of_the_one_before() -> None:
    x = leaf(1.0)
    x.register_hook(lambda g: g + 1.0)
    x.register_hook(lambda g: g * 10.0)
    (3.0 * x).sum().backward()
    assert x.grad.tolist() == [40.0]


def test_the_gradient_of_the_output_itself_passes_its_hook() -> None:
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.register_hook(lambda g: -g)
    y.backward()
    assert x.grad.tolist() == [-2.0, -4.0]


def test_gradients_gives_what_the_hooks_made_of_leaves_and_intermediates() -> None:
    x = leaf(1.0, 2.0)
    y = x * x
    x.register_hook(lambda g: g + 1.0)
    y.register_hook(lambda g: g * 10.0)
    dx, dy = gradients((3.0 * y).sum(), [x, y])
    assert dy.tolist() == [30.0, 30.0]
    assert dx.tolist() == [61.0, 121.0]


def test_a_hook_away_from_what_is_asked_for_does_not_run() -> None:
    x, w, seen = leaf(1.0), leaf(2.0), []
    y = unused(x)
    for tensor in (x, y):
        tensor.register_hook(seen.append)
    gradients((y * w).sum(), w)
    assert seen == []


def test_each_output_of_an_operation_has_hooks_of_its_own() -> None:
    x = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    gamma, beta = leaf(1.0, 1.0, 1.0), leaf(0.0, 0.0, 0.0)
    _, mean, variance = ops.batch_norm(x, gamma, beta)
    seen = []
    mean.register_hook(lambda g: seen.append(("mean", g.tolist())))
    variance.register_hook(lambda g: seen.append(("variance", g.tolist())))
    (2.0 * mean).sum().backward()
    assert seen == [("mean", [2.0, 2.0, 2.0])]


def test_a_removed_hook_runs_no_more_and_may_be_removed_twice() -> None:
    x = leaf(1.0)
    handle = x.register_hook(lambda g: g * 10.0)
    with x.register_hook(lambda g: g + 1.0):
        (3.0 * x).sum().backward()
    assert x.grad.tolist() == [31.0]
    handle.remove()
    handle.remove()
    (3.0 * x).sum().backward()
    assert x.grad.tolist() == [34.0]


def test_a_handle_outlives_its_tensor() -> None:
    x = leaf(1.0)
    handle = (x * x).register_hook(lambda g: g)
    handle.remove()


def test_a_hook_may_remove_itself() -> None:
    x, seen = leaf(1.0), []

    def once(g: Tensor) -> None:
        seen.append(g.item())
        handle.remove()

    handle = x.register_hook(once)
    for _ in range(2):
        (x * 2.0).sum().backward()
    assert seen == [2.0]


# ---------------------------------------------------------------------- second order


def test_under_create_graph_what_a_hook_computes_is_on_the_tape() -> None:
    x = leaf(2.0)
    with x.register_hook(lambda g: g * g):
        (first,) = gradients((x**3).sum(), x, create_graph=True)
    (second,) = gradients(first.sum(), x)
    assert first.tolist() == [144.0]  # (3 x^2)^2 = 9 x^4
    assert second.tolist() == [288.0]


def test_a_hook_runs_in_the_second_walk_as_well() -> None:
    x = leaf(2.0)
    y = x * 1.0
    y.register_hook(lambda g: g * g)
    (first,) = gradients((y**2).sum(), x, create_graph=True)  # (2 x)^2
    (second,) = gradients(first.sum(), x)
    assert first.tolist() == [16.0]
    # 8 x by way of the first derivative, which passes the hook at y once more: 16 squared.
    assert second.tolist() == [256.0]


def test_a_gradient_is_on_the_tape_only_under_create_graph() -> None:
    x, seen = leaf(2.0), []
    x.register_hook(lambda g: seen.append(g.requires_grad))
    gradients((x**3).sum(), x)
    gradients((x**3).sum(), x, create_graph=True)
    assert seen == [False, True]


# ---------------------------------------------------------------------- keeping gradients


def test_retain_grad_keeps_the_gradient_of_an_intermediate_after_its_hooks() -> None:
    x = leaf(1.0, 2.0)
    y = x * x
    y.retain_grad()
    y.register_hook(lambda g: g * 10.0)
    (3.0 * y).sum().backward()
    assert y.grad.tolist() == [30.0, 30.0]
    assert x.grad.tolist() == [60.0, 120.0]


def test_a_kept_gradient_accumulates_and_shares_no_memory_with_that_of_a_leaf() -> None:
    x = leaf(1.0)
    y = ops.identity(x)
    y.retain_grad()
    z = y.sum()
    z.backward(retain_graph=True)
    y.grad.data[...] = 7.0
    assert x.grad.tolist() == [1.0]
    z.backward()
    assert (y.grad.tolist(), x.grad.tolist()) == ([8.0], [2.0])


def test_gradients_writes_no_kept_gradient() -> None:
    x = leaf(1.0)
    y = x * x
    y.retain_grad()
    gradients(y.sum(), x)
    assert y.grad is None


def test_retain_grad_of_a_leaf_changes_nothing() -> None:
    x = leaf(1.0)
    x.retain_grad()
    (2.0 * x).sum().backward()
    assert x.grad.tolist() == [2.0]


# ---------------------------------------------------------------------- wrong calls


@pytest.mark.parametrize("use", ["register_hook", "retain_grad"])
def test_where_no_gradient_flows_a_hook_is_refused(use: str) -> None:
    constant = Tensor([1.0])
    with no_grad():
        unrecorded = leaf(1.0) * 2.0
    for tensor in (constant, unrecorded, Parameter([1.0], trainable=False)):
        with pytest.raises(RuntimeError, match=rf"{use}: no gradient flows.*Received: (Tensor|Parameter)\("):
            getattr(tensor, use)(*[print] * (use == "register_hook"))


def test_a_hook_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match=r"register_hook: expected a function of the gradient. Received: 3"):
        leaf(1.0).register_hook(3)


def test_a_result_of_another_shape_or_kind_names_the_hook() -> None:
    x = leaf(1.0, 2.0)

    def clumsy(g: Tensor) -> Tensor:
        return g.sum()

    with x.register_hook(clumsy), pytest.raises(ValueError, match=r"clumsy must return.*\(2,\). Received: shape \(\)"):
        x.sum().backward()
    with x.register_hook(lambda g: "half"), pytest.raises(TypeError, match=r"<lambda> must return.*Received: str"):
        x.sum().backward()


# ---------------------------------------------------------------------- memory and copies


def test_hooks_leave_nothing_for_the_garbage_collector() -> None:
    x = leaf(1.0, 2.0)
    norms: list[float] = []

    def step() -> None:
        y = ops.exp(x)
        y.register_hook(lambda g: norms.append(float(ops.norm(g).item())))
        y.retain_grad()
        y.sum().backward()

    step()
    gc.collect()
    gc.disable()
    try:
        found = []
        for _ in range(3):  # other threads may leave something meanwhile
            step()
            found.append(gc.collect())
        assert min(found) == 0
    finally:
        gc.enable()


def test_hooks_die_with_their_tape() -> None:
    def hook(g: Tensor) -> None:
        pass

    y = leaf(1.0) * 2.0
    y.register_hook(hook)
    alive = weakref.ref(hook)
    del y, hook
    assert alive() is None


def test_copies_and_pickles_leave_hooks_behind() -> None:
    x = leaf(1.0)
    x.register_hook(lambda g: -g)
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        other.sum().backward()
        assert other.grad.tolist() == [1.0]
