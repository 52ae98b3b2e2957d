"""The functions into whose derivatives mistakes are planted: at least one per kind of primitive."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minikeras import ops
from minikeras.core.primitive import Primitive
from minikeras.ops.elementwise import sigmoid_grad, tanh_grad
from minikeras.ops.linalg import _einsum, _matmul
from minikeras.ops.nn import _relu, softmax_grad
from minikeras.ops.shape import _concatenate, _getitem
from tests.gradcheck.planting import Function, Sample
from tests.ops import cases

_number = itertools.count()


def sampled(distribution: Callable[..., np.ndarray], *shape: int) -> Sample:
    """Numbers of a distribution of tests/ops/cases.py, others for every seed and every use."""
    number = next(_number)
    return lambda seed: distribution(*shape, seed=1000 * seed + number)


def normal(*shape: int) -> Sample:
    return sampled(cases.normal, *shape)


def positive(*shape: int) -> Sample:
    return sampled(cases.positive, *shape)


def inside(*shape: int) -> Sample:
    return sampled(cases.inside, *shape)


def distinct(*shape: int) -> Sample:
    return sampled(cases.distinct, *shape)


def subject(operation: Primitive, label: str, call: Any = None, order: int = 1, **samples: Sample) -> Function:
    return Function(operation, label, call or operation, samples, order)


UNARY: Iterable[tuple[Primitive, Any]] = [
    (ops.square, normal), (ops.sqrt, positive), (ops.reciprocal, positive), (ops.exp, normal), (ops.expm1, normal),
    (ops.log, positive), (ops.log1p, positive), (ops.sin, normal), (ops.cos, normal), (ops.tan, inside),
    (ops.arcsin, inside), (ops.arctan, normal), (ops.sinh, normal), (ops.tanh, normal), (ops.sigmoid, normal),
    (ops.softplus, normal), (ops.erf, normal), (ops.absolute, normal), (_relu, normal), (ops.elu, normal),
]  # fmt: skip
REDUCTIONS: Iterable[tuple[Primitive, Any]] = [
    (ops.sum, normal), (ops.mean, normal), (ops.var, normal), (ops.std, normal), (ops.norm, normal),
    (ops.max, distinct), (ops.logsumexp, normal), (ops.prod, positive),
]  # fmt: skip

KEEP = np.random.default_rng(5).random((4, 4)) > 0.3
CONV_1D = {"strides": (2,), "padding": ((1, 1),), "dilation": (1,)}
CONV_2D = {"strides": (1, 2), "padding": ((1, 1), (0, 1)), "dilation": (2, 1)}
CONV_SAME = {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1)}
GROUPED = {"strides": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 2}
POOL = {"window": (2, 2), "strides": (2, 2), "padding": ((0, 0), (0, 0))}
POOL_OVERLAPPING = {"window": (3, 2), "strides": (1, 2), "padding": ((1, 1), (0, 0))}
DENSE = "a matrix product with bias"

ELEMENTWISE = [
    *[subject(operation, "a square matrix", x=sample(4, 4)) for operation, sample in UNARY],
    subject(ops.add, "broadcast", x=normal(4, 4), y=normal(4)),
    subject(ops.subtract, "of equal shape", x=normal(4, 4), y=normal(4, 4)),
    subject(ops.multiply, "broadcast", x=normal(4, 4), y=normal(4)),
    subject(ops.divide, "broadcast", x=normal(3, 4), y=positive(3, 1)),
    subject(ops.power, "of equal shape", x=positive(3, 3), y=normal(3, 3)),
    subject(ops.maximum, "of equal shape", x=distinct(4, 4), y=inside(4, 4)),
    subject(ops.clip, "between numbers", lambda x: ops.clip(x, -0.5, 0.5), x=distinct(4, 4)),
    subject(ops.where, "on the diagonal", lambda x, y: ops.where(np.eye(4, dtype=bool), x, y), x=normal(4, 4),
            y=normal(4)),
    subject(tanh_grad, "both", delta=normal(3, 4), y=inside(3, 4)),
    subject(sigmoid_grad, "both", delta=normal(3, 4), y=inside(3, 4)),
]  # fmt: skip
REDUCE = [
    *[
        subject(operation, "the first axis", lambda x, f=operation: f(x, axis=0), x=sample(4, 4))
        for operation, sample in REDUCTIONS
    ],
    subject(ops.mean, "two axes", lambda x: ops.mean(x, axis=(0, 2)), x=normal(3, 2, 3)),
    subject(ops.cumsum, "the last axis", lambda x: ops.cumsum(x, axis=1), x=normal(3, 4)),
    subject(ops.cumprod, "the last axis", lambda x: ops.cumprod(x, axis=1), x=positive(3, 4)),
    subject(ops.sum_to, "a row", lambda x: ops.sum_to(x, (4,)), x=normal(4, 4)),
]
SHAPE = [
    subject(ops.transpose, "of three axes", lambda x: ops.transpose(x, (1, 2, 0)), x=normal(3, 3, 3)),
    subject(ops.pad, "both axes", lambda x: ops.pad(x, ((1, 2), (2, 1))), x=normal(3, 3)),
    subject(ops.crop, "both axes", lambda x: ops.crop(x, ((1, 2), (2, 1))), x=normal(5, 5)),
    subject(ops.flip, "the last axis", lambda x: ops.flip(x, -1), x=normal(3, 3)),
    subject(_concatenate, "two", lambda x, y: ops.concatenate([x, y], 0), x=normal(2, 3), y=normal(3, 3)),
    subject(ops.repeat, "the last axis", lambda x: ops.repeat(x, 3, -1), x=normal(3, 3)),
    subject(ops.tile, "both axes", lambda x: ops.tile(x, (2, 3)), x=normal(3, 3)),
    subject(_getitem, "rows, one of them twice", lambda x: x[[0, 2, 2]], x=normal(4, 3)),
    subject(ops.take, "columns, one of them twice", lambda x: ops.take(x, [1, 3, 1], axis=1), x=normal(3, 4)),
    subject(ops.broadcast_to, "a column", lambda x: ops.broadcast_to(x, (3, 4)), x=normal(3, 1)),
]
LINALG = [
    subject(_matmul, "of squares", x=normal(3, 3), y=normal(3, 3)),
    subject(_matmul, "broadcast", x=normal(2, 3, 3), y=normal(3, 4)),
    subject(ops.dense, DENSE, x=normal(4, 4), w=normal(4, 4), bias=normal(4)),
    subject(ops.dense, "with tanh", lambda x, w, bias: ops.dense(x, w, bias, activation="tanh"), x=normal(5, 3),
            w=normal(3, 4), bias=normal(4)),
    subject(_einsum, "a batch of products", lambda x, y: ops.einsum("bij,bjk->bik", x, y), x=normal(2, 3, 3),
            y=normal(2, 3, 3)),
]  # fmt: skip
CONV = [
    subject(ops.conv, "1-D with strides", lambda x, w, bias: ops.conv(x, w, bias, **CONV_1D), x=normal(2, 7, 3),
            w=normal(3, 3, 3), bias=normal(3)),
    subject(ops.conv, "2-D", lambda x, w, bias: ops.conv(x, w, bias, **CONV_2D), x=normal(2, 5, 5, 2),
            w=normal(2, 2, 2, 2), bias=normal(2)),
    subject(ops.conv, "same", lambda x, w: ops.conv(x, w, **CONV_SAME), x=normal(2, 4, 4, 2), w=normal(3, 3, 2, 2)),
    subject(ops.conv, "in groups", lambda x, w: ops.conv(x, w, **GROUPED), x=normal(2, 3, 3, 4), w=normal(2, 2, 2, 4)),
    subject(ops.conv_input_grad, "same", lambda delta, w: ops.conv_input_grad(delta, w, input_size=(4, 4), **CONV_SAME),
            delta=normal(2, 4, 4, 2), w=normal(3, 3, 2, 2)),
    subject(ops.conv_kernel_grad, "same", lambda x, delta: ops.conv_kernel_grad(x, delta, window=(3, 3), **CONV_SAME),
            x=normal(2, 4, 4, 2), delta=normal(2, 4, 4, 2)),
    subject(ops.depthwise_conv, "2-D", lambda x, w, bias: ops.depthwise_conv(x, w, bias, **CONV_2D),
            x=normal(2, 5, 5, 2), w=normal(2, 2, 2, 2), bias=normal(4)),
]  # fmt: skip
POOLING = [
    subject(ops.max_pool, "windows side by side", lambda x: ops.max_pool(x, **POOL), x=distinct(2, 4, 4, 2)),
    subject(ops.max_pool, "overlapping", lambda x: ops.max_pool(x, **POOL_OVERLAPPING), x=distinct(2, 4, 4, 2)),
    subject(ops.average_pool, "windows side by side", lambda x: ops.average_pool(x, **POOL), x=normal(2, 4, 4, 2)),
    subject(ops.average_pool, "overlapping", lambda x: ops.average_pool(x, **POOL_OVERLAPPING), x=normal(2, 4, 4, 2)),
    subject(ops.upsample_nearest, "twice", lambda x: ops.upsample_nearest(x, (2, 2)), x=normal(2, 3, 3, 2)),
    subject(ops.upsample_linear, "twice", lambda x: ops.upsample_linear(x, (2, 2)), x=normal(2, 3, 3, 2)),
    subject(ops.block_sum, "by two", lambda x: ops.block_sum(x, (2, 2)), x=normal(2, 4, 4, 2)),
]
NETWORKS = [
    subject(ops.dropout, "a mask", lambda x: ops.dropout(x, keep=KEEP, scale=1.5), x=normal(4, 4)),
    subject(ops.softmax, "rows", x=normal(4, 4)),
    subject(softmax_grad, "rows", delta=normal(3, 4), y=positive(3, 4)),
    subject(ops.log_softmax, "rows", x=normal(4, 4)),
    subject(ops.softmax_cross_entropy, "rows", labels=positive(4, 4), logits=normal(4, 4)),
    subject(ops.batch_norm, "the batch's rows", lambda x, gamma, beta: ops.batch_norm(x, gamma, beta)[0],
            x=normal(4, 4), gamma=positive(4), beta=normal(4)),
    subject(ops.batch_norm, "images", lambda x, gamma, beta: ops.batch_norm(x, gamma, beta)[0],
            x=normal(2, 3, 3, 2), gamma=positive(2), beta=normal(2)),
]  # fmt: skip

SUBJECTS: list[Function] = [*ELEMENTWISE, *REDUCE, *SHAPE, *LINALG, *CONV, *POOLING, *NETWORKS]


def of(operation: Primitive, label: str | None = None) -> Function:
    """The subject of that operation (and label)."""
    return next(s for s in SUBJECTS if s.operation is operation and label in (None, s.label))
