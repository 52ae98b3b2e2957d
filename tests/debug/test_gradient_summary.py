from __future__ import annotations

import numpy as np
import pytest

from minikeras import Parameter, Sequential, Tensor, gradients, layers, ops
from minikeras.debug import gradient_summary, observing, observing_gradients


def parameter(*values: float, name: str | None = "w") -> Parameter:
    return Parameter(np.array(values, "float32"), name=name)


def test_norms_ratio_and_zeros_are_those_of_each_parameter() -> None:
    w = parameter(3.0, 4.0, 0.0)
    ops.sum(w * np.array([6.0, 0.0, 8.0], "float32")).backward()
    (row,) = gradient_summary([w]).rows
    assert (row.name, row.shape, row.gradient, row.weight, row.ratio, row.finite) == ("w", (3,), 10.0, 5.0, 2.0, True)
    assert row.zeros == pytest.approx(1 / 3)


def test_it_prints_as_a_table_with_notes() -> None:
    summary = gradient_summary(
        [parameter(3.0, 4.0, name=name) for name in ("good", "infinite", "dead", "unused", "zero")],
        [[3.0, 0.0], [np.inf, 0.0], [0.0, 0.0], None, Tensor([0.3, 0.4])],
    )
    assert str(summary).splitlines() == [
        "parameter  shape  |gradient|  |weight|  ratio  zeros  note       ".rstrip(),
        "─" * 65,
        "good       (2,)            3         5    0.6    50%",
        "infinite   (2,)          inf         5    inf    50%  not finite",
        "dead       (2,)            0         5      0   100%  all zero",
        "unused     (2,)         none         5                no gradient",
        "zero       (2,)          0.5         5    0.1     0%",
        "─" * 65,
        "norm of all gradients: inf",
    ]


def test_of_a_model_it_shows_what_is_trained() -> None:
    model = Sequential([layers.Dense(3, input_dim=2), layers.BatchNormalization(), layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(4, 2))
    loss = ops.sum(model(x, training=True) ** 2)
    found = gradients(loss, model.trainable_weights, retain_graph=True)
    loss.backward()
    summary = gradient_summary(model)
    assert [row.name for row in summary.rows] == [weight.name for weight in model.trainable_weights]
    assert summary.norm == pytest.approx(np.sqrt(sum((g.numpy().astype("float64") ** 2).sum() for g in found)))
    assert str(gradient_summary(model, found)) == str(summary)


def test_norms_of_float32_do_not_overflow_and_empty_ones_are_zero() -> None:
    big, empty = gradient_summary([parameter(1e30, 1e30), parameter()], [np.full(2, 1e30), []]).rows
    assert big.gradient == pytest.approx(1e30 * 2**0.5)
    assert (empty.gradient, empty.weight, empty.ratio, empty.zeros) == (0.0, 0.0, 0.0, 0.0)


def test_a_parameter_of_zeros_has_an_infinite_ratio() -> None:
    assert gradient_summary(parameter(0.0), [[1.0]]).rows[0].ratio == float("inf")


def test_before_backward_and_of_an_unbuilt_model_there_is_nothing_to_show() -> None:
    assert "no gradient" in str(gradient_summary(Sequential([layers.Dense(1, input_dim=2)])))
    assert gradient_summary(Sequential([layers.Dense(1)])).rows == []
    assert str(gradient_summary([])).splitlines()[-1] == "norm of all gradients: 0"


def test_parameters_without_a_name_are_numbered() -> None:
    rows = gradient_summary([parameter(1.0), parameter(1.0, name=None)]).rows
    assert [row.name for row in rows] == ["w", "parameter 2"]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gradient_summary(3), TypeError, "gradient_summary: expected a model, a layer or .*. Received: 3"),
        (lambda: gradient_summary([1.0]), TypeError, r"Received: \[1.0\]"),
        (lambda: gradient_summary([parameter(1.0)], []), ValueError, "expected 1 gradients. Received: 0"),
        (
            lambda: gradient_summary([parameter(1.0)], [[1.0, 2.0]]),
            ValueError,
            r"'w' must have the shape \(1,\).*\(2,\)",
        ),
    ],
)
def test_wrong_calls_are_told(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()


# ---------------------------------------------------------------------- layers


def test_gradients_come_back_to_layers_from_the_last_to_the_first() -> None:
    model = Sequential([layers.Dense(3, input_dim=2, name="one"), layers.Dense(1, name="two")], name="model")
    seen: list[tuple[str, tuple[int, ...]]] = []
    with observing_gradients(lambda layer, gradient: seen.append((layer.name, gradient.shape))):
        y = model(np.ones((4, 2)))
    y.sum().backward()
    assert seen == [("two", (4, 1)), ("model", (4, 1)), ("one", (4, 3))]


def test_what_an_observer_returns_replaces_the_gradient_also_in_fit() -> None:
    model = Sequential([layers.Dense(1, input_dim=1, name="dense")])
    model.compile("sgd", "mse")
    before = model.get_weights()
    with observing_gradients(lambda layer, gradient: 0.0 * gradient):
        model.fit(np.ones((4, 1)), np.ones((4, 1)), verbose=0)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])
    model.fit(np.ones((4, 1)), np.ones((4, 1)), verbose=0)
    assert before[0] != model.get_weights()[0]


def test_hooks_of_weights_run_in_fit() -> None:
    model = Sequential([layers.Dense(1, input_dim=1, name="dense")])
    model.compile("sgd", "mse")
    kernel, bias = model.trainable_weights
    before = kernel.numpy().copy(), bias.numpy().copy()
    with kernel.register_hook(lambda g: 0.0 * g):
        model.fit(np.ones((4, 1)), 7.0 * np.ones((4, 1)), verbose=0)
    assert (kernel.numpy() == before[0]).all()
    assert (bias.numpy() != before[1]).all()


def test_both_observers_are_within_reach_of_debug() -> None:
    seen = []
    with observing(lambda layer, outputs: seen.append(layer.name)):
        layers.Dense(1, name="dense")(np.ones((1, 1)))
    assert seen == ["dense"]
