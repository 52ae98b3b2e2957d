"""Every function against loops over output positions; the padding by TensorFlow's rule, written out anew."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minikeras import backend as K
from tests.backend.table import Case, normal, parametrize


def windows(x: np.ndarray, window: tuple, strides: tuple, padding: str, dilation: tuple, fill: float = 0.0) -> Any:
    """(position, what the window sees there: (N, *window, C)) for every position; and the positions' shape."""
    spans = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    pairs = []
    for n, span, s in zip(x.shape[1:-1], spans, strides, strict=True):
        total = max((-(-n // s) - 1) * s + span - n, 0)
        pairs.append({"valid": (0, 0), "causal": (span - 1, 0), "same": (total // 2, total - total // 2)}[padding])
    x = np.pad(x, [(0, 0), *pairs, (0, 0)], constant_values=fill)
    counts = [(n - span) // s + 1 for n, span, s in zip(x.shape[1:-1], spans, strides, strict=True)]
    seen = {}
    for position in itertools.product(*map(range, counts)):
        reads = zip(position, strides, spans, dilation, strict=True)
        seen[position] = x[(slice(None), *[slice(p * s, p * s + span, d) for p, s, span, d in reads])]
    return seen, counts


def conv(x: Any, w: Any, strides: Any = None, padding: str = "valid", dilation: Any = None) -> np.ndarray:
    rank = x.ndim - 2
    strides, dilation = strides or (1,) * rank, dilation or (1,) * rank
    seen, counts = windows(x, w.shape[:rank], strides, padding, dilation)
    y = np.zeros((len(x), *counts, w.shape[-1]))
    for position, block in seen.items():
        y[(slice(None), *position)] = np.tensordot(block, w, rank + 1)
    return y


def depthwise(x: Any, w: Any, *arguments: Any) -> np.ndarray:
    parts = [conv(x[..., c : c + 1], w[..., c : c + 1, :], *arguments) for c in range(x.shape[-1])]
    return np.concatenate(parts, axis=-1)


def pool(x: Any, window: tuple, strides: tuple, padding: str, reduce: Callable[..., Any]) -> np.ndarray:
    seen, counts = windows(x, window, strides, padding, (1,) * len(window), np.nan)
    y = np.zeros((len(x), *counts, x.shape[-1]))
    for position, block in seen.items():
        y[(slice(None), *position)] = reduce(block, axis=tuple(range(1, block.ndim - 1)))
    return y


def transposed(x: Any, w: Any, shape: tuple, *arguments: Any) -> np.ndarray:
    """The adjoint of the convolution, element by element: the coefficient of each element of the result."""
    y = np.zeros(shape)
    for index in np.ndindex(*shape):
        unit = np.zeros(shape)
        unit[index] = 1.0
        y[index] = np.sum(conv(unit, w, *arguments) * x)
    return y


def local(x: Any, w: Any, window: tuple, strides: tuple, first: bool = False) -> np.ndarray:
    seen, counts = windows(x, window, strides, "valid", (1,) * len(window))
    y = np.zeros((len(x), *counts, w.shape[-1]))
    for i, (position, block) in enumerate(seen.items()):
        block = np.moveaxis(block, -1, 1) if first else block
        y[(slice(None), *position)] = block.reshape(len(x), -1) @ w[i]
    return y


def first(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, -1, 1)


S, M, V = normal(2, 7, 2), normal(2, 5, 6, 2), normal(1, 4, 3, 4, 2)
KS, KI, KV = normal(3, 2, 3), normal(3, 2, 2, 3), normal(2, 2, 3, 2, 2)
DS, DI, PS, PI = normal(3, 2, 2), normal(3, 2, 2, 2), normal(1, 4, 3), normal(1, 1, 4, 3)
TI, TV = normal(2, 3, 3, 2), normal(1, 2, 2, 2, 2)
CF = "channels_first"
CASES = [
    Case("conv1d", K.conv1d, [S, KS], conv(S, KS)),
    Case("conv1d", lambda x, w: K.conv1d(x, w, 2, "same"), [S, KS], conv(S, KS, (2,), "same")),
    Case("conv1d", lambda x, w: K.conv1d(x, w, padding="causal", dilation_rate=2), [S, KS],
         conv(S, KS, (1,), "causal", (2,))),
    Case("conv1d", lambda x, w: K.conv1d(x, w, data_format=CF), [first(S), KS], first(conv(S, KS))),
    Case("conv2d", K.conv2d, [M, KI], conv(M, KI)),
    Case("conv2d", lambda x, w: K.conv2d(x, w, (2, 3), "same"), [M, KI], conv(M, KI, (2, 3), "same")),
    Case("conv2d", lambda x, w: K.conv2d(x, w, 1, "valid", CF, (2, 1)), [first(M), KI],
         first(conv(M, KI, None, "valid", (2, 1)))),
    Case("conv3d", K.conv3d, [V, KV], conv(V, KV)),
    Case("conv3d", lambda x, w: K.conv3d(x, w, (2, 1, 2), "same", CF), [first(V), KV],
         first(conv(V, KV, (2, 1, 2), "same"))),
    Case("depthwise_conv2d", K.depthwise_conv2d, [M, DI], depthwise(M, DI)),
    Case("depthwise_conv2d", lambda x, w: K.depthwise_conv2d(x, w, (2, 2), "same", CF), [first(M), DI],
         first(depthwise(M, DI, (2, 2), "same"))),
    Case("separable_conv1d", K.separable_conv1d, [S, DS, PS], depthwise(S, DS) @ PS[0]),
    Case("separable_conv1d", lambda x, d, p: K.separable_conv1d(x, d, p, 2, "same", CF), [first(S), DS, PS],
         first(depthwise(S, DS, (2,), "same") @ PS[0])),
    Case("separable_conv2d", K.separable_conv2d, [M, DI, PI], depthwise(M, DI) @ PI[0, 0]),
    Case("separable_conv2d", lambda x, d, p: K.separable_conv2d(x, d, p, dilation_rate=2), [M, DI, PI],
         depthwise(M, DI, (1, 1), "valid", (2, 2)) @ PI[0, 0]),
    Case("conv2d_transpose", lambda x, w: K.conv2d_transpose(x, w, (2, 5, 4, 3)), [TI, normal(3, 2, 3, 2)],
         transposed(TI, normal(3, 2, 3, 2), (2, 5, 4, 3))),
    Case("conv2d_transpose", lambda x, w: K.conv2d_transpose(x, w, (K.shape(x)[0], 6, 5, 3), (2, 2), "same"),
         [TI, normal(3, 2, 3, 2)], transposed(TI, normal(3, 2, 3, 2), (2, 6, 5, 3), (2, 2), "same")),
    Case("conv2d_transpose", lambda x, w: K.conv2d_transpose(x, w, (None, 3, 6, 6), 2, "same", CF),
         [first(TI), normal(2, 2, 3, 2)], first(transposed(TI, normal(2, 2, 3, 2), (2, 6, 6, 3), (2, 2), "same"))),
    Case("conv3d_transpose", lambda x, w: K.conv3d_transpose(x, w, (1, 4, 3, 4, 1), (2, 1, 2)),
         [TV, normal(2, 2, 2, 1, 2)], transposed(TV, normal(2, 2, 2, 1, 2), (1, 4, 3, 4, 1), (2, 1, 2))),
    Case("pool2d", lambda x: K.pool2d(x, (2, 2)), [M], pool(M, (2, 2), (1, 1), "valid", np.max)),
    Case("pool2d", lambda x: K.pool2d(x, (3, 2), (2, 2), "same", CF), [first(M)],
         first(pool(M, (3, 2), (2, 2), "same", np.nanmax))),
    Case("pool2d", lambda x: K.pool2d(x, (3, 3), (2, 2), "same", pool_mode="avg"), [M],
         pool(M, (3, 3), (2, 2), "same", np.nanmean)),
    Case("pool3d", lambda x: K.pool3d(x, 2), [V], pool(V, (2, 2, 2), (1, 1, 1), "valid", np.max)),
    Case("pool3d", lambda x: K.pool3d(x, 2, (2, 2, 2), "same", CF, "avg"), [first(V)],
         first(pool(V, (2, 2, 2), (2, 2, 2), "same", np.nanmean))),
    Case("local_conv1d", lambda x, w: K.local_conv1d(x, w, (3,), (2,)), [S, normal(3, 6, 2)],
         local(S, normal(3, 6, 2), (3,), (2,))),
    Case("local_conv2d", lambda x, w: K.local_conv2d(x, w, (3, 2), (2, 2), (2, 3)), [M, normal(6, 12, 2)],
         local(M, normal(6, 12, 2), (3, 2), (2, 2))),
    Case("local_conv2d", lambda x, w: K.local_conv2d(x, w, (2, 2), (3, 2), (2, 3), CF), [first(M), normal(6, 8, 2)],
         first(local(M, normal(6, 8, 2), (2, 2), (3, 2), first=True))),
]  # fmt: skip


@parametrize(CASES)
def test_the_value_is_that_of_loops(case: Case) -> None:
    case.check_value()


@parametrize(CASES)
def test_recorded_and_fed_it_is_the_same(case: Case) -> None:
    case.check_recorded()


@parametrize(CASES)
def test_the_derivatives_are_those_of_differences(case: Case) -> None:
    case.check_gradient()


def test_spatial_sizes_may_be_free_when_it_is_recorded() -> None:
    x = K.placeholder((None, None, None, 2), dtype="float64")
    y = K.conv2d(x, KI, (2, 2), "same")
    assert y.shape == (None, None, None, 3)
    np.testing.assert_allclose(K.function([x], [y])([M])[0], conv(M, KI, (2, 2), "same"), atol=1e-12)


def test_the_data_format_of_the_configuration_is_the_default() -> None:
    K.set_image_data_format(CF)
    np.testing.assert_allclose(K.conv2d(first(M), KI).numpy(), first(conv(M, KI)), atol=1e-12)
    np.testing.assert_allclose(K.conv1d(first(S), KS).numpy(), first(conv(S, KS)), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: K.conv2d(S, KI), r"conv2d: x must have 4 axes.*Received: shape \(2, 7, 2\)"),
        (lambda: K.conv2d(M, KS), r"conv2d: the kernel must have 4 axes. Received: shape \(3, 2, 3\)"),
        (lambda: K.conv2d(M, normal(3, 2, 5, 3)), "takes 5 channels"),
        (lambda: K.conv2d(M, KI, (1, 2, 3)), "conv2d: strides must be an integer or a tuple of 2"),
        (lambda: K.conv2d(M, KI, 0), "conv2d: strides must be a positive integer. Received: 0"),
        (lambda: K.conv2d(M, KI, padding="causal"), "conv2d: padding must be one of 'valid', 'same'. Received: 'caus"),
        (lambda: K.conv2d(M, KI, dilation_rate=3), "conv2d: the window 3 with dilation 3 spans 7 rows, the input has"),
        (lambda: K.conv2d(M, KI, data_format="NHWC"), "data_format must be one of 'channels_last'"),
        (lambda: K.conv2d_transpose(TI, KI, (2, 5, 3)), "conv2d_transpose: output_shape must have 4 sizes"),
        (
            lambda: K.conv2d_transpose(TI, normal(3, 2, 3, 2), (2, 7, 5, 3)),
            r"conv2d_transpose: the convolution from the output's space \(7, 5\) leads to \(5, 4\), and the input has",
        ),
        (lambda: K.separable_conv2d(M, DI, normal(2, 1, 4, 3)), "pointwise_kernel must have a window of 1"),
        (lambda: K.pool2d(M, (2, 2), pool_mode="mean"), "pool2d: pool_mode must be one of 'max', 'avg'"),
        (lambda: K.pool2d(M, 9), "pool2d: the window 9 spans 9 rows, the input has 5"),
        (lambda: K.local_conv1d(S, normal(3, 5, 2), (3,), (2,)), r"the kernel must be \(3, 6, 'filters'\)"),
        (lambda: K.local_conv2d(M, normal(6, 12, 2), (3, 2), (2, 2), (3, 2)), r"for the positions \(2, 3\)"),
    ],
)
def test_wrong_arguments_are_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
