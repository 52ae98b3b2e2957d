from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from minikeras import Tensor, kernels, ops
from minikeras.core.tape import gradients
from tests.kernels import oracles
from tests.ops.cases import Case, normal, parametrize

# (lengths, window, strides, dilation, padding, groups): each rank with everything at once, and each thing alone
SLIDINGS: list[dict[str, Any]] = [
    dict(zip(("lengths", "window", "strides", "dilation", "padding", "groups"), case, strict=True))
    for case in [
        ((6,), (3,), (1,), (1,), ((0, 0),), 1),
        ((6,), (1,), (1,), (1,), ((0, 0),), 2),
        ((7,), (2,), (3,), (1,), ((1, 0),), 1),
        ((7,), (3,), (2,), (2,), ((4, 0),), 2),
        ((3,), (2,), (1,), (1,), ((3, 2),), 1),
        ((4, 5), (2, 3), (1, 1), (1, 1), ((0, 0), (0, 0)), 1),
        ((4, 4), (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)), 1),
        ((5, 4), (3, 2), (2, 1), (1, 1), ((0, 1), (1, 1)), 1),
        ((4, 5), (2, 2), (1, 2), (2, 1), ((1, 0), (0, 2)), 3),
        ((4, 4), (1, 1), (2, 2), (1, 1), ((0, 0), (0, 0)), 1),
        ((3, 3, 3), (2, 2, 2), (1, 1, 1), (1, 1, 1), ((0, 0), (0, 0), (0, 0)), 1),
        ((3, 4, 3), (2, 1, 2), (2, 1, 1), (1, 1, 2), ((1, 0), (0, 0), (1, 1)), 2),
    ]
]  # fmt: skip
ACTIVATIONS = [None, "relu", "tanh", "sigmoid"]


def label(case: dict[str, Any]) -> str:
    return f"{len(case['window'])}d " + ", ".join(f"{k}={case[k]}" for k in ("window", "strides", "dilation", "groups"))


def sliding(case: dict[str, Any], groups: bool = True) -> dict[str, Any]:
    return {k: case[k] for k in ("strides", "dilation", "padding", *(["groups"] if groups else []))}


def shapes(case: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Shapes of input, kernel and output: a batch of 2, 2 channels in and 1 filter out per group."""
    groups = case["groups"]
    positions = oracles.output_sizes(*[case[k] for k in ("lengths", "window", "strides", "dilation", "padding")])
    return (2, *case["lengths"], 2 * groups), (*case["window"], 2, groups), (2, *positions, groups)


def conv_cases() -> list[Case]:
    cases = []
    for i, case in enumerate(SLIDINGS):
        x, w, y = (normal(*shape, seed=i) for shape in shapes(case))
        activation = ACTIVATIONS[i % 4]
        static, backward = sliding(case), {**sliding(case), "input_size": case["lengths"]}
        cases += [
            Case(ops.conv, label(case), lambda x, w, static=static: ops.conv(x, w, **static), [x, w]),
            Case(
                ops.conv,
                f"{label(case)}, bias, {activation}",
                lambda x, w, b, static=static, a=activation: ops.conv(x, w, b, activation=a, **static),
                [x, w, normal(case["groups"])],
            ),
            Case(
                ops.conv_input_grad,
                label(case),
                lambda g, w, static=backward: ops.conv_input_grad(g, w, **static),
                [y, w],
            ),
            Case(
                ops.conv_input_grad,
                f"{label(case)}, bias, {activation}",
                lambda g, w, b, static=backward, a=activation: ops.conv_input_grad(g, w, b, activation=a, **static),
                [y, w, normal(2 * case["groups"])],
            ),
            Case(
                ops.conv_kernel_grad,
                label(case),
                lambda x, g, s=static, window=case["window"]: ops.conv_kernel_grad(x, g, window=window, **s),
                [x, y],
            ),
        ]
    return cases


def depthwise_cases() -> list[Case]:
    cases = []
    for i, (case, multiplier) in enumerate(zip(SLIDINGS, itertools.cycle([1, 2]), strict=False)):
        _, _, (batch, *positions, _) = shapes(case)
        x, w = normal(batch, *case["lengths"], 2, seed=i), normal(*case["window"], 2, multiplier, seed=i)
        y = normal(batch, *positions, 2 * multiplier, seed=i)
        static, activation = sliding(case, groups=False), ACTIVATIONS[i % 4]
        name = f"{label(case)}, multiplier={multiplier}"
        cases += [
            Case(
                ops.depthwise_conv,
                f"{name}, {activation}",
                lambda x, w, b, static=static, a=activation: ops.depthwise_conv(x, w, b, activation=a, **static),
                [x, w, normal(2 * multiplier)],
            ),
            Case(
                ops.depthwise_input_grad,
                name,
                lambda g, w, static=static, n=case["lengths"]: ops.depthwise_input_grad(g, w, input_size=n, **static),
                [y, w],
            ),
            Case(
                ops.depthwise_kernel_grad,
                name,
                lambda x, g, static=static, k=case["window"]: ops.depthwise_kernel_grad(x, g, window=k, **static),
                [x, y],
            ),
        ]
    return cases


CASES = [
    *conv_cases(),
    *depthwise_cases(),
    Case(
        ops.conv,
        "empty batch",
        lambda x, w: ops.conv(x, w, **sliding(SLIDINGS[0])),
        [normal(0, 6, 2), normal(3, 2, 1)],
    ),
    Case(
        ops.conv,
        "channels moved from the front",
        lambda x, w: ops.conv(x, w, **sliding(SLIDINGS[5])),
        [np.moveaxis(normal(2, 2, 4, 5), 1, -1), normal(2, 3, 2, 1)],
    ),
    Case(
        ops.conv,
        "every second image",
        lambda x, w: ops.conv(x, w, **sliding(SLIDINGS[5])),
        [normal(3, 4, 5, 2)[::2], normal(1, 2, 2, 3).T],
    ),
]


@parametrize(CASES)
def test_the_gradient_is_that_of_differences(case: Case) -> None:
    case.check()


@pytest.mark.parametrize("case", SLIDINGS, ids=label)
def test_values_are_those_of_naive_loops(case: dict[str, Any]) -> None:
    x, w, _ = (normal(*shape) for shape in shapes(case))
    bias = normal(case["groups"])
    expected = oracles.conv(x, w, case["strides"], case["padding"], case["dilation"], case["groups"])
    np.testing.assert_allclose(ops.conv(x, w, **sliding(case)).numpy(), expected, atol=1e-12)
    fused = ops.conv(x, w, bias, activation="tanh", **sliding(case))
    np.testing.assert_allclose(fused.numpy(), np.tanh(expected + bias), atol=1e-12)
    single = ops.conv(x.astype(np.float32), w.astype(np.float32), **sliding(case))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single.numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("case", SLIDINGS, ids=label)
def test_the_three_convolutions_are_adjoint_to_each_other(case: dict[str, Any]) -> None:
    x, w, g = (normal(*shape) for shape in shapes(case))
    forward = np.vdot(ops.conv(x, w, **sliding(case)).numpy(), g)
    back = ops.conv_input_grad(g, w, input_size=case["lengths"], **sliding(case))
    kernel = ops.conv_kernel_grad(x, g, window=case["window"], **sliding(case))
    np.testing.assert_allclose([np.vdot(x, back.numpy()), np.vdot(w, kernel.numpy())], forward, rtol=1e-12)


def test_an_input_shorter_than_the_window_has_no_positions() -> None:
    x = Tensor(normal(2, 2, 2), requires_grad=True)
    y = ops.conv(x, normal(3, 2, 4), **sliding(SLIDINGS[0]))
    assert y.shape == (2, 0, 4)
    np.testing.assert_array_equal(gradients(y.sum(), x)[0].numpy(), np.zeros((2, 2, 2)))


def counted(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[str]:
    """The names of the kernels called from now on."""
    calls: list[str] = []
    for name in names:
        kernel = getattr(kernels, name)
        monkeypatch.setattr(kernels, name, lambda *a, f=kernel, name=name, **k: (calls.append(name), f(*a, **k))[1])
    return calls


TRIANGLE = ("conv", "conv_input_grad", "conv_kernel_grad")


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ((True, True), ["conv_input_grad", "conv_kernel_grad"]),
        ((False, True), ["conv_kernel_grad"]),
        ((True, False), ["conv_input_grad"]),
    ],
)
def test_backward_through_another_activation_is_one_kernel_call_per_gradient_that_is_needed(
    needs: tuple[bool, bool], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, w = Tensor(normal(2, 6, 2), requires_grad=needs[0]), Tensor(normal(3, 2, 4), requires_grad=needs[1])
    loss = ops.conv(x, w, normal(4), activation="tanh", **sliding(SLIDINGS[0])).sum()
    calls = counted(monkeypatch, *TRIANGLE)
    loss.backward()
    assert calls == expected


@pytest.mark.parametrize("activation", ["relu", None])
def test_backward_of_a_convolution_is_one_kernel_call_unless_it_is_to_be_differentiated(
    activation: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, w, b = (Tensor(normal(*shape), requires_grad=True) for shape in ((2, 6, 2), (3, 2, 4), (4,)))
    calls = counted(monkeypatch, *TRIANGLE, "conv_gradients")
    found = []
    for create_graph, expected in ((False, ["conv_gradients"]), (True, ["conv_input_grad", "conv_kernel_grad"])):
        loss = (ops.conv(x, w, b, activation=activation, **sliding(SLIDINGS[0])) ** 2).sum()
        calls.clear()
        found.append(gradients(loss, [x, w, b], create_graph=create_graph))
        assert calls == expected
    for once, again in zip(*found, strict=True):
        np.testing.assert_allclose(once.numpy(), again.numpy(), rtol=1e-12)


def test_a_gradient_of_the_kernel_alone_asks_for_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = Tensor(normal(2, 6, 2), requires_grad=True), Tensor(normal(3, 2, 4), requires_grad=True)
    loss = ops.conv(x, w, activation="tanh", **sliding(SLIDINGS[0])).sum()
    calls = counted(monkeypatch, *TRIANGLE)
    gradients(loss, w)
    assert calls == ["conv_kernel_grad"]


@pytest.mark.parametrize(
    ("needs", "activation", "kept"),
    [
        ((True, True), None, {"x", "w"}),
        ((True, True), "relu", {"x", "w", "out"}),
        ((False, True), None, {"x"}),
        ((True, False), None, {"w"}),
        ((True, False), "tanh", {"w", "out"}),
    ],
)
def test_a_convolution_keeps_only_what_its_gradients_read(
    needs: tuple[bool, bool], activation: str | None, kept: set[str]
) -> None:
    x, w = Tensor(normal(2, 6, 2), requires_grad=needs[0]), Tensor(normal(3, 2, 4), requires_grad=needs[1])
    y = ops.conv(x, w, activation=activation, **sliding(SLIDINGS[0]))
    inputs, _, out, _, _ = y.node.saved
    assert {("x", "w")[i] for i in inputs} | ({"out"} if out else set()) == kept


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strides": (1, 1)}, "conv: strides must be a tuple of 1, one entry per spatial axis.*x of shape"),
        ({"dilation": 1}, "conv: dilation must be a tuple of 1"),
        ({"dilation": (-1,)}, "conv: dilation must be at least 1"),
        ({"strides": (0,)}, "conv: strides must be at least 1"),
        ({"padding": ()}, "conv: padding must be a tuple of 1"),
        ({"groups": 2}, "conv: "),
        ({"groups": 0}, "conv: .*groups"),
        ({"x": np.ones((2, 6))}, "conv: expected an array \\(N, \\*spatial, channels\\)"),
        ({"x": np.ones((2, 6, 3))}, "conv: the kernel of shape \\(3, 2, 4\\) takes 2 channels"),
        ({"w": np.ones((3, 3, 2, 4))}, "conv: expected a kernel of 3 axes"),
        ({"bias": np.ones(3)}, "conv: expected a bias of shape \\(4,\\)"),
        ({"activation": "gelu"}, "conv: .*gelu"),
    ],
)
def test_a_wrong_call_names_the_argument(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"x": np.ones((2, 6, 2)), "w": np.ones((3, 2, 4)), **sliding(SLIDINGS[0]), **change}
    with pytest.raises(ValueError, match=message):
        ops.conv(**arguments)


@pytest.mark.parametrize(
    ("shape", "groups", "message"),
    [
        ((1, 4, 6), 1, "expected a delta of 3 axes, and of 2 samples"),
        ((2, 4, 6, 1), 1, "expected a delta of 3 axes"),
        ((2, 4, 5), 2, "the channels of delta must be a multiple of 2"),
        ((2, 4, 6), 3, "the 4 channels of the input must divide evenly into groups"),
    ],
)
def test_a_cotangent_that_does_not_fit_the_input_is_told(shape: tuple[int, ...], groups: int, message: str) -> None:
    case = {**sliding(SLIDINGS[0]), "window": (3,), "groups": groups}
    x, delta = np.ones((2, 6, 4)), np.ones(shape)
    with pytest.raises(ValueError, match=f"conv_kernel_grad: {message}"):
        ops.conv_kernel_grad(x, delta, **case)


@pytest.mark.parametrize("shape", [(1, 4, 8), (2, 4, 6)])
def test_a_depthwise_cotangent_that_does_not_fit_the_input_is_told(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"depthwise_kernel_grad: .*(2 samples|multiple of 4)"):
        ops.depthwise_kernel_grad(
            np.ones((2, 6, 4)), np.ones(shape), window=(3,), strides=(1,), padding=((0, 0),), dilation=(1,)
        )
