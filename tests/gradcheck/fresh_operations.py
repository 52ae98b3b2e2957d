"""Operations that no other set of mistakes uses, or uses with other shapes and arguments: a part of ``fresh.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras import Tensor, ops
from minikeras.core.primitive import Primitive
from minikeras.ops.epilogue import relu_grad
from minikeras.ops.linalg import _einsum, _matmul
from minikeras.ops.nn import _along, _relu, channel_affine, cross_entropy, sigmoid_cross_entropy
from minikeras.ops.pool import average_pool_grad, pool_gather
from minikeras.ops.reduce import _spread
from minikeras.ops.shape import _concatenate, _getitem, _put, _scatter_add
from tests.gradcheck import planting as p
from tests.gradcheck.fresh_by_hand import (
    ADJOINT,
    FACTOR,
    NAN,
    NOISE,
    PARTLY_ZERO,
    PRECISION,
    SIGN,
    SOME_TERM,
    TRANSPOSED,
    TURNED,
    WRONG,
    ZERO,
    distinct,
    inside,
    normal,
    positive,
)
from tests.gradcheck.planting import Function, Mutation, Sample, altered, replaced, scaled
from tests.gradcheck.special import _without
from tests.gradcheck.subjects import subject

Truths = tuple[str, ...]


def formula(target: Function, kind: str, wrt: str, truths: Truths, rule: Callable[..., Any], detail: str = "") -> Any:
    """Another rule for an input."""
    return Mutation(target, kind, wrt, truths, replaced(target.operation, wrt, rule), detail)


def change(target: Function, kind: str, wrt: str, truths: Truths, detail: str = "", **changes: Any) -> Mutation:
    """The right rule, altered as `altered` says."""
    return Mutation(target, kind, wrt, truths, altered(target.operation, target.place(wrt), **changes), detail)


def unary(operation: Primitive, sample: Sample) -> Function:
    return subject(operation, "of rank three", x=sample)


# ---------------------------------------------------------------------- elementwise

REMAINDER = subject(ops.remainder, "of positives", x=positive(3, 2), y=lambda seed: np.array([0.43, 0.31]))
MINIMUM = subject(ops.minimum, "against a column", x=distinct(2, 3, 4), y=inside(3, 1))
POWER = subject(ops.power, "against a row", x=positive(3, 4), y=positive(4))
DIVIDE = subject(ops.divide, "of rank three", x=normal(2, 3, 4), y=positive(3, 1))
PRODUCT = subject(ops.multiply, "of rank three", x=normal(2, 3, 1), y=normal(3, 4))
WHERE = subject(
    ops.where, "of columns", lambda x, y: ops.where(np.array([True, False, False, True]), x, y), x=normal(3, 4),
    y=normal(3, 1),
)  # fmt: skip
CLIP = subject(ops.clip, "between arrays", ops.clip, x=distinct(4, 5), low=lambda seed: np.full(5, -0.31),
               high=lambda seed: np.full(5, 0.42))  # fmt: skip
RELU_GRAD = subject(relu_grad, "both", lambda delta: relu_grad(delta, KINKS), delta=normal(4, 5))
KINKS = np.maximum(np.random.default_rng(2).normal(size=(4, 5)), 0)
ELEMENTWISE = [
    formula(unary(ops.arccos, inside(2, 2, 3)), "sign", "x", SIGN, lambda g, x: g / ops.sqrt(1.0 - x * x)),
    formula(unary(ops.cosh, normal(2, 2, 3)), "wrong formula", "x", ("sign", "wrong"),
            lambda g, x: -g * ops.sinh(x), "as for cos"),
    formula(unary(ops.cosh, normal(2, 3, 2)), "wrong formula", "x", WRONG, lambda g, out: g * out, "that of exp"),
    formula(unary(ops.log_cosh, normal(3, 2, 2)), "wrong formula", "x", WRONG, lambda g, x: g * x,
            "tanh forgotten"),
    change(unary(ops.log_cosh, normal(2, 3, 3)), "rounded", "x", PRECISION, after=p.rounded(np.float32)),
    formula(unary(ops.softsign, normal(2, 3, 2)), "wrong formula", "x", WRONG,
            lambda g, x: g / (1.0 + ops.absolute(x)), "square forgotten"),
    change(unary(ops.negative, normal(2, 3, 2)), "sign", "x", SIGN, after=scaled(-1.0)),
    change(unary(ops.identity, normal(3, 3, 3)), "transposed", "x", TRANSPOSED, after=p.transposed(0, 2)),
    formula(REMAINDER, "missing share", "y", ZERO, lambda g, y: g * 0.0),
    formula(REMAINDER, "sign", "y", SIGN, lambda g, x, y: g * ops.floor_divide(x, y)),
    formula(MINIMUM, "broadcasting", "y", SOME_TERM, lambda g, x, y: ops.where(x < y, 0.0, g)[:1, :, :],
            "first of the batch"),
    formula(MINIMUM, "condition reversed", "x", WRONG, lambda g, x, y: ops.where(x < y, 0.0, g)),
    formula(POWER, "wrong formula", "y", WRONG, lambda g, x, out: g * out * x, "x for its logarithm"),
    formula(POWER, "factor ignored", "x", WRONG, lambda g, x, y: g * x ** (y - 1.0), "the exponent"),
    formula(DIVIDE, "sign", "y", SIGN, lambda g, y, out: g * (out / y)),
    formula(DIVIDE, "averaged", "y", FACTOR, lambda g, y, out: -g * (out / y) * 0.125),
    formula(PRODUCT, "broadcasting", "x", SOME_TERM, lambda g, y: (g * y)[..., -1:], "last column"),
    formula(PRODUCT, "wrong axis", "y", WRONG, lambda g, x: ops.sum(g * ops.flip(x, 1), axis=0), "the other row's x"),
    formula(WHERE, "missing share", "y", SOME_TERM,
            lambda g, condition: ops.where(np.arange(4) == 1, g, 0.0), "of one column"),
    formula(WHERE, "condition shifted", "x", WRONG,
            lambda g, condition: ops.where(np.array([True, True, False, False]), g, 0.0)),
    formula(CLIP, "detached", "high", ZERO, lambda g, x, high: g * 0.0),
    formula(CLIP, "swapped", "low", WRONG, lambda g, x, low: ops.where(x > low, g, 0.0)),
    formula(RELU_GRAD, "condition ignored", "delta", WRONG, lambda g: g),
    change(unary(ops.arctan, normal(2, 3, 2)), "noise", "x", NOISE, after=p.noisy),
]  # fmt: skip

# ---------------------------------------------------------------------- reductions and moves

MEAN = subject(ops.mean, "the last axes", lambda x: ops.mean(x, axis=(1, 2)), x=normal(2, 3, 4))
STD = subject(ops.std, "of all", x=normal(3, 4))
VAR = subject(ops.var, "kept axes", lambda x: ops.var(x, axis=(0, 2), keepdims=True), x=normal(3, 2, 3))
NORM = subject(ops.norm, "of all", x=normal(2, 3, 2))
LEAST = subject(ops.min, "the last axis", lambda x: ops.min(x, axis=-1), x=distinct(2, 3, 4))
LOGSUMEXP = subject(ops.logsumexp, "of two axes", lambda x: ops.logsumexp(x, axis=(0, 1)), x=normal(3, 2, 2))
CUMSUM = subject(ops.cumsum, "the middle axis", lambda x: ops.cumsum(x, axis=1), x=normal(2, 4, 3))
PROD = subject(ops.prod, "of all", x=positive(5))
RESHAPE = subject(ops.reshape, "to rows", lambda x: ops.reshape(x, shape=(4, 3)), x=normal(3, 4))
PAD = subject(ops.pad, "of rank three", lambda x: ops.pad(x, ((1, 0), (0, 2), (3, 1))), x=normal(2, 3, 4))
TRANSPOSE = subject(ops.transpose, "of four axes", lambda x: ops.transpose(x, (3, 0, 2, 1)), x=normal(2, 2, 2, 2))
FLIP = subject(ops.flip, "of two axes", lambda x: ops.flip(x, (0, 2)), x=normal(2, 3, 4))
THREE = subject(_concatenate, "three", lambda x, y, z: ops.concatenate([x, y, z], -1), x=normal(3, 2), y=normal(3, 1),
                z=normal(3, 2))  # fmt: skip
TILE = subject(ops.tile, "a new axis", lambda x: ops.tile(x, (3, 1, 2)), x=normal(2, 3))
SLICES = subject(_getitem, "every other, backwards", lambda x: x[::-2, None, 1:], x=normal(5, 4))
PICKED = subject(_getitem, "pairs of indices", lambda x: x[np.array([0, 2, 0]), np.array([1, 1, 1])], x=normal(3, 3))
TAKEN = subject(ops.take, "a table of rows", lambda x: ops.take(x, np.array([[0, 3], [3, 3]]), axis=0), x=normal(4, 3))
PUT = subject(_put, "into zeros", lambda values: _put(values, index=np.array([4, 1, 2]), shape=(5, 3)),
              values=normal(3, 3))  # fmt: skip
SCATTER = subject(
    _scatter_add, "columns", lambda values: _scatter_add(values, np.array([2, 0, 2]), axis=1, shape=(4, 3)),
    values=normal(4, 3),
)  # fmt: skip
BROADCAST = subject(ops.broadcast_to, "two new axes", lambda x: ops.broadcast_to(x, (2, 5, 3)), x=normal(3))


def _last_one_wins(g: Tensor, x_shape: Any, index: Any) -> Tensor:
    """Zeros with g put at the index, not added."""
    kept = np.array([not np.any(index[0][i + 1 :] == index[0][i]) for i in range(len(index[0]))])
    return _put(g * kept.astype(float), index=index, shape=x_shape)


MOVES = [
    formula(MEAN, "averaged", "x", FACTOR, lambda g, x_shape, axis: _spread(g / 3.0, x_shape, axis), "by one axis"),
    formula(STD, "product term", "x", SOME_TERM, lambda g, x, out: g / out / 12.0 * x, "not centred"),
    formula(VAR, "averaged", "x", FACTOR, lambda g, x, axis: g * (2.0 / 8.0) * (x - ops.mean(x, axis, keepdims=True)),
            "n - 1"),
    formula(NORM, "wrong formula", "x", WRONG, lambda g, x: g * ops.sign(x), "that of the sum"),
    formula(LEAST, "missing share", "x", PARTLY_ZERO,
            lambda g, x, out: ops.where(ops.equal(x, ops.expand_dims(out, -1)), ops.expand_dims(g, -1), 0.0)
            * np.array([[[1.0]], [[0.0]]]), "of the second item"),
    formula(LEAST, "condition reversed", "x", ADJOINT,
            lambda g, x: ops.where(ops.equal(x, ops.max(x, -1, keepdims=True)), ops.expand_dims(g, -1), 0.0)),
    formula(LOGSUMEXP, "wrong axis", "x", WRONG, lambda g, x: g * ops.softmax(x, axis=0), "one of two"),
    formula(CUMSUM, "not reversed", "x", ADJOINT, lambda g, axis: ops.cumsum(g, axis=axis)),
    formula(CUMSUM, "off by one", "x", SOME_TERM,
            lambda g, axis: ops.flip(ops.cumsum(ops.flip(g, 1), axis=1), 1) - g, "without the step itself"),
    change(PROD, "one element", "x", WRONG, after=p.masked(p.at((2,), value=0.4))),
    formula(RESHAPE, "other order", "x", TURNED, lambda g: ops.transpose(ops.reshape(g, (4, 3))), "columns first"),
    change(PAD, "off by one", "x", WRONG, pairs=lambda v: ((1, 0), (0, 2), (2, 2))),
    formula(TRANSPOSE, "transposed", "x", TRANSPOSED, lambda g: ops.transpose(g, (3, 0, 2, 1)), "not inverted"),
    formula(FLIP, "reversed", "x", TURNED, lambda g: ops.flip(g, 0), "one of two axes"),
    change(THREE, "swapped pieces", "z", WRONG, after=lambda _, v: v["g"][:, :2], also=("g",)),
    change(THREE, "detached", "y", ZERO, after=p.nothing),
    formula(TILE, "missing share", "x", SOME_TERM, lambda g: ops.sum(g, axis=0)[:, :3], "of the copies along a row"),
    formula(TILE, "averaged", "x", FACTOR, lambda g: ops.mean(ops.reshape(g, (3, 2, 2, 3)), axis=(0, 2))),
    formula(SLICES, "not reversed", "x", TURNED, lambda g, x_shape: _put(g, index=np.s_[::2, None, 1:], shape=x_shape)),
    formula(SLICES, "off by one", "x", ADJOINT,
            lambda g, x_shape: _put(g, index=np.s_[::-2, None, :-1], shape=x_shape)),
    formula(PICKED, "overwritten", "x", SOME_TERM, _last_one_wins),
    formula(TAKEN, "missing share", "x", SOME_TERM,
            lambda g, x_shape: _scatter_add(g[0], np.array([0, 3]), axis=0, shape=x_shape), "of the second row"),
    change(TAKEN, "averaged", "x", WRONG, after=p.masked(p.at(3, value=1 / 3)), detail="by how often taken"),
    formula(PUT, "off by one", "values", WRONG, lambda g: g[[3, 0, 1]], "index from one"),
    formula(SCATTER, "wrong axis", "values", WRONG, lambda g: g[[2, 0, 2, 1], :]),
    formula(BROADCAST, "averaged", "x", FACTOR, lambda g: ops.mean(g, axis=(0, 1)) * 5.0, "over the batch"),
]  # fmt: skip

# ---------------------------------------------------------------------- contractions

EINSUM = subject(_einsum, "an outer product, summed", lambda x, y: ops.einsum("ijk,il->jl", x, y), x=normal(3, 3, 2),
                 y=normal(3, 4))  # fmt: skip
TRIPLE = subject(_einsum, "of three", lambda x, y, z: ops.einsum("ij,jk,k->i", x, y, z), x=normal(2, 3),
                 y=normal(3, 3), z=normal(3))  # fmt: skip
STACK = subject(_matmul, "of stacks", x=normal(2, 1, 2, 3), y=normal(2, 3, 3))
SEQUENCE = subject(ops.dense, "sequences with a sigmoid",
                   lambda x, w, bias: ops.dense(x, w, bias, activation="sigmoid"),
                   x=normal(2, 4, 3), w=normal(3, 3), bias=normal(3))  # fmt: skip
LINE = {"strides": (2,), "padding": ((1, 2),), "dilation": (3,), "groups": 2}
DILATED = subject(ops.conv, "dilated groups", lambda x, w, bias: ops.conv(x, w, bias, **LINE), x=normal(2, 11, 4),
                  w=normal(3, 2, 4), bias=normal(4))  # fmt: skip
CUBE = {"strides": (1, 2, 1), "padding": ((0, 0), (1, 1), (0, 1)), "dilation": (1, 1, 1)}
VOLUME = subject(ops.conv, "volumes", lambda x, w, bias: ops.conv(x, w, bias, activation="sigmoid", **CUBE),
                 x=normal(1, 3, 4, 3, 2), w=normal(2, 2, 2, 2, 3), bias=normal(3))  # fmt: skip
BACK = {"input_size": (6, 5), "strides": (2, 1), "padding": ((0, 1), (1, 1)), "dilation": (1, 2)}
TRANSPOSED_CONV = subject(
    ops.conv_input_grad, "transposed convolution", lambda delta, w, bias: ops.conv_input_grad(delta, w, bias, **BACK),
    delta=normal(2, 3, 3, 2), w=normal(2, 3, 2, 2), bias=normal(2),
)  # fmt: skip
DEPTH = subject(
    ops.depthwise_conv, "a line with tanh",
    lambda x, w, bias: ops.depthwise_conv(
        x, w, bias, strides=(2,), padding=((1, 0),), dilation=(1,), activation="tanh"),
    x=normal(3, 6, 2), w=normal(3, 2, 2), bias=normal(4),
)  # fmt: skip
CONTRACTIONS = [
    change(EINSUM, "transposed", "x", TRANSPOSED, after=p.transposed(0, 1)),
    change(EINSUM, "missing share", "y", SOME_TERM, detail="of the last k",
           after=lambda _, v: ops.einsum("ij,jl->il", v["xs"][0][..., 0], v["g"]), also=("g",)),
    change(TRIPLE, "factor", "y", FACTOR, after=scaled(3.0)),
    change(TRIPLE, "kernel transposed", "z", ADJOINT, after=lambda _, v: ops.einsum(
        "i,ij,kj->k", v["g"], v["xs"][0], v["xs"][1]), also=("g",)),
    formula(STACK, "broadcasting", "x", SOME_TERM, lambda g, y: (g @ ops.swapaxes(y, -1, -2))[:, :1], "first of two"),
    formula(STACK, "kernel transposed", "x", ADJOINT, lambda g, y: g @ y),
    change(SEQUENCE, "bias reduction", "bias", SOME_TERM, detail="last step alone",
           after=lambda g, v: ops.sum((v["g"] * v["out"] * (1.0 - v["out"]))[:, -1], axis=0), also=("g", "out")),
    change(SEQUENCE, "activation ignored", "w", WRONG, activation=lambda v: None),
    change(SEQUENCE, "wrong formula", "x", WRONG, activation=lambda v: "tanh", detail="another activation"),
    change(SEQUENCE, "transposed", "w", TRANSPOSED, after=p.transposed(0, 1)),
    change(DILATED, "groups in another order", "w", ADJOINT,
           after=lambda g, _: ops.concatenate([g[..., 2:], g[..., :2]], -1)),
    change(DILATED, "stride and dilation swapped", "x", WRONG, strides=lambda v: (3,), dilation=lambda v: (2,),
           padding=lambda v: ((1, 1),)),
    change(DILATED, "kernel flipped", "x", ADJOINT, w=lambda v: ops.flip(v["w"], 0)),
    change(DILATED, "averaged", "bias", FACTOR, after=scaled(1 / 2), detail="over the batch"),
    change(VOLUME, "activation ignored", "w", WRONG, activation=lambda v: None),
    change(VOLUME, "padding's side", "x", WRONG, padding=lambda v: ((0, 0), (1, 1), (1, 0))),
    change(VOLUME, "reversed", "w", TURNED, after=p.flipped(0, 1, 2)),
    change(VOLUME, "factor", "bias", FACTOR, after=scaled(4.0), detail="four times"),
    change(TRANSPOSED_CONV, "off by one", "delta", WRONG, padding=lambda v: ((1, 0), (1, 1))),
    change(TRANSPOSED_CONV, "transposed", "w", TRANSPOSED, after=p.transposed(2, 3), detail="channels"),
    change(TRANSPOSED_CONV, "bias reduction", "bias", SOME_TERM, detail="every other row",
           after=lambda _, v: ops.sum(v["g"][:, ::2], axis=(0, 1, 2)), also=("g",)),
    change(DEPTH, "transposed", "w", TRANSPOSED, after=p.transposed(1, 2), detail="multiplier first"),
    change(DEPTH, "zero", "bias", ZERO, after=scaled(0.0)),
    change(DEPTH, "one channel", "x", ("sign", "wrong"), after=p.masked(p.at((..., 1), value=-1.0)), detail="its sign"),
]  # fmt: skip

# ---------------------------------------------------------------------- windows and networks

ROW = {"window": (3,), "strides": (2,), "padding": ((1, 0),)}
AVERAGE = subject(ops.average_pool, "a line", lambda x: ops.average_pool(x, **ROW), x=normal(2, 6, 3))
SPREAD = subject(
    average_pool_grad, "images", lambda delta: average_pool_grad(
        delta, input_size=(4, 6), window=(2, 3), strides=(2, 3), padding=((0, 0), (0, 0))),
    delta=normal(2, 2, 2, 2),
)  # fmt: skip
LARGEST = subject(
    ops.max_pool, "volumes", lambda x: ops.max_pool(x, (2, 2, 1), (2, 2, 1), ((0, 0),) * 3), x=distinct(1, 4, 4, 2, 2)
)
TAPS = np.random.default_rng(4).integers(0, 2, (2, 3, 2))
GATHER = subject(
    pool_gather, "taps of a line", lambda x: pool_gather(x, index=TAPS, window=(2,), strides=(2,), padding=((0, 0),)),
    x=normal(2, 6, 2),
)  # fmt: skip
NEAREST = subject(ops.upsample_nearest, "a line", lambda x: ops.upsample_nearest(x, (3,)), x=normal(2, 4, 2))
LINEAR = subject(ops.upsample_linear, "between corners", lambda x: ops.upsample_linear(x, (2,), half_pixel=False),
                 x=normal(2, 4, 2))  # fmt: skip
FIRST_AXIS = subject(ops.softmax, "the first axis", lambda x: ops.softmax(x, axis=0), x=normal(3, 2, 2))
LOGS = subject(ops.log_softmax, "the middle axis", lambda x: ops.log_softmax(x, axis=1), x=normal(2, 3, 2))
CHANNELS = subject(
    ops.batch_norm, "channels first", lambda x, gamma, beta: ops.batch_norm(x, gamma, beta, axis=1)[0],
    x=normal(3, 2, 4), gamma=positive(2), beta=normal(2),
)  # fmt: skip
FEATURES = subject(
    ops.batch_norm, "sequences", lambda x, gamma, beta: ops.batch_norm(x, gamma, beta)[0],
    x=normal(2, 5, 3), gamma=positive(3), beta=normal(3),
)  # fmt: skip
AFFINE = subject(channel_affine, "channels in the middle", lambda x, scale, shift: channel_affine(
    x, scale, shift, axis=1), x=normal(2, 3, 4), scale=positive(3), shift=normal(3))  # fmt: skip
ENTROPY = subject(
    cross_entropy, "of three classes", lambda labels, probabilities: cross_entropy(labels, probabilities, epsilon=1e-7),
    labels=positive(4, 3), probabilities=positive(4, 3),
)  # fmt: skip
BINARY = subject(sigmoid_cross_entropy, "two tasks", labels=inside(4, 2), logits=normal(4, 2))
LEAKY = subject(ops.elu, "a slope below", lambda x: ops.elu(x, alpha=1.7), x=normal(2, 3, 2))
NETWORKS = [
    change(AVERAGE, "padding's side", "x", WRONG, padding=lambda v: ((0, 1),)),
    change(AVERAGE, "factor", "x", FACTOR, after=scaled(1 / 3), detail="count twice"),
    formula(SPREAD, "averaged", "delta", FACTOR, lambda g: ops.block_sum(g, (2, 3))),
    formula(LARGEST, "condition ignored", "x", WRONG, lambda g: ops.upsample_nearest(g, (2, 2, 1))),
    change(GATHER, "off by one", "x", ADJOINT, index=lambda v: 1 - v["index"], detail="the other tap"),
    formula(NEAREST, "missing share", "x", SOME_TERM, lambda g: g[:, 1::3], "of all but the middle"),
    change(LINEAR, "wrong formula", "x", WRONG, half_pixel=lambda v: True, detail="half pixels"),
    formula(FIRST_AXIS, "product term", "x", SOME_TERM, lambda g, out: g * out, "inner product forgotten"),
    change(FIRST_AXIS, "wrong axis", "x", WRONG, axis=lambda v: 1),
    formula(LOGS, "wrong formula", "x", WRONG,
            lambda g, out: g - ops.exp(out) * ops.mean(g, axis=1, keepdims=True), "mean for the sum"),
    change(CHANNELS, "bias reduction", "beta", SOME_TERM, after=lambda _, v: ops.sum(v["g"][0][:, :, 0], axis=0),
           also=("g",), detail="first place"),
    change(CHANNELS, "wrong point", "gamma", WRONG, after=lambda _, v: ops.sum(v["g"][0] * v["x"], axis=(0, 2)),
           also=("g",), detail="x not standardised"),
    change(FEATURES, "product term", "x", ("missing-term",), after=_without(True, False), also=("g",),
           detail="the mean's"),
    change(FEATURES, "nan", "gamma", NAN, after=p.with_nan),
    change(AFFINE, "factor ignored", "x", WRONG, after=lambda _, v: v["g"], also=("g",), detail="the scale"),
    change(AFFINE, "averaged", "shift", FACTOR, after=scaled(1 / 8)),
    change(AFFINE, "wrong point", "scale", WRONG,
           after=lambda _, v: ops.sum(v["g"] * v["x"] * _along(v["scale"], v["x"], 1), axis=(0, 2)), also=("g",)),
    change(ENTROPY, "product term", "probabilities", SOME_TERM, detail="normalization forgotten",
           after=lambda _, v: -ops.expand_dims(v["g"], -1) * v["labels"] / v["probabilities"], also=("g",)),
    change(ENTROPY, "sign", "labels", SIGN, after=scaled(-1.0)),
    formula(BINARY, "product term", "logits", SOME_TERM, lambda g, logits: g * ops.sigmoid(logits),
            "labels forgotten"),
    formula(BINARY, "wrong formula", "logits", WRONG, lambda g, labels, logits: g * (logits - labels),
            "sigmoid forgotten"),
    formula(LEAKY, "condition ignored", "x", WRONG, lambda g, x: g * 1.7 * ops.exp(x)),
    change(subject(_relu, "volumes", x=normal(2, 2, 2, 3)), "shifted", "x", WRONG, after=p.shifted(1)),
]  # fmt: skip

MUTATIONS: list[Mutation] = [*ELEMENTWISE, *MOVES, *CONTRACTIONS, *NETWORKS]
