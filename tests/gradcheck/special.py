"""Mistakes that are made in one derivative and not in others: those of textbooks, and of issue trackers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras import Tensor, ops
from minikeras.core.primitive import Primitive
from minikeras.ops.elementwise import sigmoid_grad, tanh_grad
from minikeras.ops.linalg import _einsum, _matmul
from minikeras.ops.nn import _along, _relu, _standardised, softmax_grad
from minikeras.ops.pool import average_pool_grad
from minikeras.ops.reduce import _spread
from minikeras.ops.shape import _concatenate, _getitem
from tests.gradcheck.planting import (
    Function,
    Mutation,
    Plant,
    Sample,
    altered,
    flipped,
    replaced,
    rounded,
    rules,
    scaled,
    stale,
    swapped,
    transposed,
)
from tests.gradcheck.subjects import distinct, normal, of, positive, subject

WRONG, SIGN, FACTOR, ZERO, TRANSPOSED = ("wrong",), ("sign",), ("factor",), ("zero",), ("transposed",)
A_TERM = ("missing-term",)
# A missing term that isn't the same all along an axis leaves no mark by which to tell it from any other error.
SOME_TERM = ("missing-term", "wrong")
TURNED = ("transposed", "wrong")


def rule(
    operation: Primitive, kind: str, wrt: str, truths: tuple[str, ...], wrong: Callable[..., Any], detail: str = ""
) -> Mutation:
    """Another rule for an input of the operation's (first) subject."""
    return Mutation(of(operation), kind, wrt, truths, replaced(operation, wrt, wrong), detail)


def reading(
    target: Function, kind: str, wrt: str, truths: tuple[str, ...], *, detail: str = "", **change: Any
) -> Mutation:
    """The right rule of a subject, altered as :func:`altered` says."""
    return Mutation(target, kind, wrt, truths, altered(target.operation, target.place(wrt), **change), detail)


def old(target: Function, wrt: str, name: str) -> Mutation:
    return Mutation(target, "stale", wrt, WRONG, stale(target, wrt, name), f"{name} of an earlier call")


# ---------------------------------------------------------------------- elementwise

ELEMENTWISE = [
    rule(ops.cos, "sign", "x", SIGN, lambda g, x: g * ops.sin(x), "minus forgotten"),
    rule(ops.square, "factor", "x", FACTOR, lambda g, x: g * x, "2 forgotten"),
    rule(ops.sqrt, "factor", "x", FACTOR, lambda g, out: g / out, "1/2 forgotten"),
    rule(ops.erf, "factor", "x", FACTOR, lambda g, x: g * ops.exp(-ops.square(x)), "2 / sqrt(pi) forgotten"),
    rule(ops.reciprocal, "wrong formula", "x", WRONG, lambda g, out: -g * out, "square forgotten"),
    rule(ops.reciprocal, "sign", "x", SIGN, lambda g, out: g * ops.square(out), "minus forgotten"),
    rule(ops.log1p, "wrong formula", "x", WRONG, lambda g, x: g / x, "that of log"),
    rule(ops.arcsin, "wrong formula", "x", WRONG, lambda g, x: g / (1.0 - ops.square(x)), "root forgotten"),
    rule(ops.sinh, "wrong formula", "x", WRONG, lambda g, x: g * ops.cos(x), "that of sin"),
    rule(ops.tan, "product term", "x", SOME_TERM, lambda g, out: g * ops.square(out), "+ 1 forgotten"),
    rule(ops.exp, "wrong point", "x", WRONG, lambda g, out: g * ops.exp(out)),
    rule(ops.sin, "wrong point", "x", WRONG, lambda g, out: g * ops.cos(out)),
    rule(ops.softplus, "wrong point", "x", WRONG, lambda g, out: g * ops.sigmoid(out)),
    rule(ops.log, "wrong point", "x", WRONG, lambda g, out: g / (out + 2.0)),
    rule(ops.tanh, "wrong point", "x", WRONG, lambda g, x: tanh_grad(g, x), "x for tanh(x)"),
    rule(ops.sigmoid, "wrong point", "x", WRONG, lambda g, x: sigmoid_grad(g, x), "x for sigmoid(x)"),
    rule(ops.sigmoid, "wrong formula", "x", WRONG, lambda g, out: tanh_grad(g, out), "that of tanh"),
    rule(ops.absolute, "condition ignored", "x", ("wrong", "sign"), lambda g: g),
    rule(ops.clip, "condition ignored", "x", WRONG, lambda g: g),
    rule(_relu, "condition ignored", "x", WRONG, lambda g: g),
    rule(_relu, "wrong formula", "x", WRONG, lambda g, x: g * ops.where(x > 0, 1.0, 0.1), "a leak"),
    rule(_relu, "condition reversed", "x", WRONG, lambda g, x: g * ops.where(x > 0, 0.0, 1.0)),
    rule(ops.maximum, "condition reversed", "x", WRONG, lambda g, x, y: ops.where(ops.less(x, y), g, 0.0)),
    rule(ops.where, "condition ignored", "x", WRONG, lambda g: g),
    rule(ops.elu, "condition ignored", "x", WRONG, lambda g, x: g * ops.exp(x)),
    rule(ops.divide, "wrong formula", "y", WRONG, lambda g, out: -g * out, "a division forgotten"),
    rule(ops.power, "wrong formula", "y", WRONG, lambda g, out: g * out, "logarithm forgotten"),
    rule(ops.power, "wrong formula", "x", WRONG, lambda g, y, out: g * y * out, "exponent not lowered"),
    rule(ops.add, "broadcasting", "y", SOME_TERM, lambda g: g[0], "first row instead of the sum"),
    rule(ops.add, "averaged", "y", FACTOR, lambda g: ops.mean(g, axis=0)),
    rule(ops.add, "wrong axis", "y", WRONG, lambda g: ops.sum(g, axis=1)),
    rule(ops.multiply, "broadcasting", "y", SOME_TERM, lambda g, x: (g * x)[-1], "last row instead of the sum"),
    rule(ops.multiply, "averaged", "y", FACTOR, lambda g, x: ops.mean(g * x, axis=0)),
    rule(ops.divide, "broadcasting", "y", SOME_TERM, lambda g, y, out: (-g * (out / y))[:, :1], "first column"),
    old(of(ops.tanh), "x", "out"),
    old(of(ops.exp), "x", "out"),
    old(of(ops.multiply), "x", "y"),
    old(of(ops.square), "x", "x"),
    old(of(_relu), "x", "out"),
]

TIMES = subject(ops.multiply, "of equal shape", x=normal(3, 4), y=normal(3, 4))
TIMES_SINE = subject(ops.multiply, "x sin(x)", lambda x: x * ops.sin(x), x=normal(3, 4))
SELF_PRODUCT = subject(_matmul, "with itself", lambda x: x @ x, x=normal(3, 3))
SHARES = [
    Mutation(TIMES, "swapped", "x", WRONG, swapped(ops.multiply, "x", "y")),
    Mutation(of(ops.subtract), "swapped", "x", SIGN, swapped(ops.subtract, "x", "y")),
    Mutation(of(_matmul), "swapped", "y", WRONG, swapped(_matmul, "x", "y")),
    Mutation(of(ops.power), "swapped", "x", WRONG, swapped(ops.power, "x", "y")),
    Mutation(of(ops.dense), "swapped", "w", WRONG, swapped(ops.dense, "x", "w")),
    Mutation(TIMES_SINE, "missing share", "x", SOME_TERM, replaced(ops.multiply, "y", lambda: None)),
    Mutation(TIMES_SINE, "missing share", "x", SOME_TERM, replaced(ops.multiply, "x", lambda: None), "the other"),
    Mutation(SELF_PRODUCT, "missing share", "x", SOME_TERM, replaced(_matmul, "x", lambda: None)),
    Mutation(
        subject(ops.subtract, "x - exp(x)", lambda x: x - ops.exp(x), x=normal(5)),
        "missing share", "x", SOME_TERM, replaced(ops.subtract, "x", lambda: None),
    ),
    Mutation(
        subject(ops.where, "max(x, 0.1 x)", lambda x: ops.where(x > 0, x, x * 0.1), x=normal(4, 3)),
        "missing share", "x", ("zero", "missing-term", "wrong"), replaced(ops.where, "y", lambda: None),
    ),
]  # fmt: skip

# Smooth functions at a tie: there a rule that gives to all, or to none, is wrong by any reading of the kink.
PAIR = subject(ops.maximum, "of x and x", lambda x: ops.maximum(x, x), x=normal(3, 4))
LOWER_PAIR = subject(ops.minimum, "of x and x", lambda x: ops.minimum(x, x), x=normal(3, 4))
STACKED = subject(ops.max, "of x and x", lambda x: ops.max(ops.stack([x, x]), axis=0), x=normal(3, 4))
BLOCKS = {"window": (2, 2), "strides": (2, 2), "padding": ((0, 0), (0, 0))}
POOLED = subject(
    ops.max_pool, "of equal blocks", lambda x: ops.max_pool(ops.upsample_nearest(x, (2, 2)), **BLOCKS),
    x=normal(2, 2, 2, 2),
)  # fmt: skip


def _to_every_largest(g: Tensor, x: Tensor, out: Tensor, axis: Any) -> Tensor:
    return ops.where(ops.equal(x, _spread(out, x.shape, axis)), _spread(g, x.shape, axis), 0.0)


TIES = [
    Mutation(PAIR, "tie", "x", FACTOR, replaced(ops.maximum, "y", lambda g, x, y: ops.where(y >= x, g, 0.0)), "both"),
    Mutation(PAIR, "tie", "x", ZERO, replaced(ops.maximum, "x", lambda g, x, y: ops.where(x > y, g, 0.0)), "none"),
    Mutation(LOWER_PAIR, "tie", "x", FACTOR, replaced(ops.minimum, "y", lambda g, x, y: ops.where(y <= x, g, 0.0)),
             "both"),
    Mutation(LOWER_PAIR, "tie", "x", ZERO, replaced(ops.minimum, "x", lambda g, x, y: ops.where(x < y, g, 0.0)),
             "none"),
    Mutation(STACKED, "tie", "x", FACTOR, replaced(ops.max, "x", _to_every_largest), "all"),
    Mutation(POOLED, "tie", "x", FACTOR, replaced(ops.max_pool, "x", lambda g: ops.upsample_nearest(g, (2, 2))), "all"),
]  # fmt: skip


def at_a_kink(sample: Sample, place: Any, value: float = 0.0) -> Sample:
    """A sample with one element where the function isn't differentiable: the others are to be right all the same."""

    def changed(seed: int) -> np.ndarray:
        array = sample(seed).copy()
        array[place] = value
        return array

    return changed


KINKED_RELU = subject(_relu, "with a kink", x=at_a_kink(normal(3, 4), (1, 1)))
KINKED_ABSOLUTE = subject(ops.absolute, "with a kink", x=at_a_kink(normal(3, 4), (0, 2)))
KINKED_CLIP = subject(
    ops.clip, "with a kink", lambda x: ops.clip(x, -0.5, 0.5), x=at_a_kink(distinct(3, 4), (2, 0), 0.5)
)
KINKED_POOL = subject(
    ops.max_pool, "with a tie", lambda x: ops.max_pool(x, **BLOCKS),
    x=at_a_kink(distinct(1, 4, 4, 2), (0, slice(0, 2), 0, 0), 5.0),
)  # fmt: skip
BESIDE_KINKS = [
    reading(KINKED_RELU, "factor", "x", ("factor", "wrong"), after=scaled(1.5), detail="beside a kink"),
    reading(KINKED_ABSOLUTE, "sign", "x", ("sign", "wrong"), after=scaled(-1.0), detail="beside a kink"),
    reading(
        KINKED_CLIP, "condition ignored", "x", WRONG, after=lambda _, v: v["g"], also=("g",), detail="beside a kink"
    ),
    reading(KINKED_POOL, "averaged", "x", ("factor", "wrong"), after=scaled(0.25), detail="beside a tie"),
]

# ---------------------------------------------------------------------- reductions and moves

REDUCE = [
    reading(of(ops.sum), "wrong axis", "x", TURNED, axis=lambda v: 1),
    reading(of(ops.mean), "wrong axis", "x", TURNED, axis=lambda v: 1),
    reading(of(ops.norm), "wrong axis", "x", WRONG, axis=lambda v: 1),
    reading(of(ops.softmax), "wrong axis", "x", WRONG, axis=lambda v: 0),
    reading(of(ops.log_softmax), "wrong axis", "x", WRONG, axis=lambda v: 0),
    rule(ops.mean, "averaged", "x", FACTOR, lambda g, x_shape, axis: _spread(g, x_shape, axis), "count forgotten"),
    rule(ops.var, "product term", "x", A_TERM,
         lambda g, x, axis: _spread(g * (2.0 / x.shape[0]), x.shape, axis) * x, "not centred"),
    rule(ops.std, "wrong formula", "x", WRONG,
         lambda g, x, out, axis: _spread(g / x.shape[0], x.shape, axis) * (x - ops.mean(x, axis=0)),
         "division by std forgotten"),
    rule(ops.norm, "wrong formula", "x", WRONG, lambda g, x, axis: _spread(g, x.shape, axis) * x,
         "division by the norm forgotten"),
    rule(ops.max, "condition ignored", "x", WRONG, lambda g, x_shape, axis: _spread(g, x_shape, axis)),
    rule(ops.logsumexp, "wrong formula", "x", WRONG, lambda g, x_shape, axis: _spread(g, x_shape, axis),
         "weights forgotten"),
    rule(ops.cumsum, "not reversed", "x", ("wrong", "transposed"), lambda g, axis: ops.cumsum(g, axis=axis)),
    rule(ops.sum_to, "averaged", "x", FACTOR, lambda g, x_shape: ops.broadcast_to(g * 0.25, x_shape)),
]  # fmt: skip


def _quotient(g: Tensor, needs: Any, x: Tensor, out: Tensor, axis: Any) -> list[Any]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return [_spread(g * out, x.shape, axis) / x]


PROD_OF_ZERO = subject(ops.prod, "with a zero", lambda x: ops.prod(x * np.array([1.0, 0.0, 1.0]), axis=0), x=normal(3))


def _by_division() -> Any:
    return rules(ops.prod, backward=ops.prod._rule(_quotient))


def _swapped_pieces(g: Any, v: dict[str, Any]) -> Any:
    return v["g"][1:3]


def _overwritten(g: Tensor, x_shape: Any, index: Any) -> Tensor:
    """The slices put back one over the other, as by ``result[index] = g``."""
    rows = [np.flatnonzero(np.asarray(index) == i) for i in range(x_shape[0])]
    return ops.stack([g[int(found[-1])] if found.size else g[0] * 0.0 for found in rows])


MOVES = [
    Mutation(PROD_OF_ZERO, "division", "x", ("not-finite",), _by_division, "0 / 0"),
    rule(ops.transpose, "transposed", "x", TRANSPOSED, lambda g, axes: ops.transpose(g, axes), "not inverted"),
    reading(of(ops.pad), "off by one", "x", WRONG, pairs=lambda v: ((0, 3), (2, 1))),
    reading(of(ops.crop), "off by one", "x", WRONG, pairs=lambda v: ((0, 3), (2, 1))),
    rule(ops.flip, "reversed", "x", TURNED, lambda g: g, "not reversed again"),
    reading(of(_concatenate), "off by one", "x", WRONG, after=_swapped_pieces, also=("g",)),
    rule(ops.repeat, "wrong formula", "x", WRONG, lambda g: ops.sum(ops.reshape(g, (3, 3, 3)), axis=1), "that of tile"),
    rule(ops.repeat, "missing share", "x", SOME_TERM, lambda g: g[:, ::3], "of all but the first"),
    rule(ops.repeat, "averaged", "x", FACTOR, lambda g: ops.mean(ops.reshape(g, (3, 3, 3)), axis=2)),
    rule(ops.tile, "wrong formula", "x", WRONG,
         lambda g: ops.sum(ops.reshape(g, (3, 2, 3, 3)), axis=(1, 3)), "that of repeat"),
    rule(ops.tile, "missing share", "x", SOME_TERM, lambda g: g[:3, :3], "of all but the first"),
    rule(_getitem, "missing share", "x", SOME_TERM, _overwritten, "of a row that is taken twice"),
    rule(ops.take, "missing share", "x", SOME_TERM,
         lambda g, x_shape, indices: ops.transpose(_overwritten(ops.transpose(g), x_shape[::-1], indices)),
         "of a column that is taken twice"),
    rule(ops.broadcast_to, "broadcasting", "x", SOME_TERM, lambda g: g[:, :1], "first column instead of the sum"),
]  # fmt: skip

# ---------------------------------------------------------------------- products

STACKS = subject(_matmul, "one for all", x=normal(2, 3, 3), y=normal(1, 3, 4))
TANH = of(ops.dense, "with tanh")

LINALG = [
    rule(_matmul, "kernel transposed", "x", ("wrong", "transposed"), lambda g, y: g @ y),
    rule(_matmul, "kernel transposed", "y", ("wrong", "transposed"), lambda g, x: x @ g),
    rule(_matmul, "wrong order", "x", ("wrong", "transposed"), lambda g, y: ops.swapaxes(y, -1, -2) @ g),
    Mutation(STACKS, "broadcasting", "y", SOME_TERM,
             replaced(_matmul, "y", lambda g, x: (ops.swapaxes(x, -1, -2) @ g)[:1]), "first of the batch"),
    reading(of(ops.dense), "transposed", "w", TRANSPOSED, after=transposed(0, 1)),
    reading(of(ops.dense), "bias reduction", "bias", SOME_TERM, after=lambda _, v: v["g"][0], also=("g",),
            detail="first row"),
    reading(of(ops.dense), "averaged", "bias", FACTOR, after=scaled(0.25)),
    reading(of(ops.dense), "wrong axis", "bias", WRONG, after=lambda _, v: ops.sum(v["g"], axis=1), also=("g",)),
    reading(TANH, "activation ignored", "x", WRONG, activation=lambda v: None),
    reading(TANH, "activation ignored", "w", WRONG, activation=lambda v: None),
    reading(TANH, "activation ignored", "bias", WRONG, activation=lambda v: None),
    reading(TANH, "wrong formula", "w", WRONG, activation=lambda v: "sigmoid", detail="another activation"),
    old(TANH, "w", "out"),
    old(of(ops.dense), "w", "x"),
    reading(of(_einsum), "kernel transposed", "x", ("wrong", "transposed"), spec=lambda v: "bij,bkj->bik"),
    reading(of(_einsum), "averaged", "y", FACTOR, after=scaled(1 / 3)),
]  # fmt: skip

# ---------------------------------------------------------------------- convolution

CONV_1D, CONV, SAME = of(ops.conv, "1-D with strides"), of(ops.conv, "2-D"), of(ops.conv, "same")
GROUPS, DEPTHWISE = of(ops.conv, "in groups"), of(ops.depthwise_conv)
STRIDED = subject(
    ops.conv, "strides of two", lambda x, w: ops.conv(x, w, strides=(2,), padding=((0, 0),), dilation=(1,)),
    x=normal(2, 7, 2), w=normal(3, 2, 2),
)  # fmt: skip
LEFT = subject(
    ops.conv, "padded on the left", lambda x, w: ops.conv(x, w, strides=(1,), padding=((2, 0),), dilation=(1,)),
    x=normal(2, 6, 2), w=normal(3, 2, 3),
)  # fmt: skip
CAUSAL_DEPTHWISE = subject(
    ops.depthwise_conv, "padded on the left",
    lambda x, w: ops.depthwise_conv(x, w, strides=(1,), padding=((2, 0),), dilation=(1,)),
    x=normal(2, 6, 2), w=normal(3, 2, 3),
)  # fmt: skip


def _flipped_kernel(v: dict[str, Any]) -> Tensor:
    return ops.flip(v["w"], (0, 1))


def _swapped_channels(v: dict[str, Any]) -> Tensor:
    return ops.swapaxes(v["w"], -1, -2)


def _one_position(_: Any, v: dict[str, Any]) -> Tensor:
    g = v["g"]
    return g[(0,) * (g.ndim - 1)]


SLIDING = [
    reading(SAME, "kernel flipped", "x", ("wrong", "transposed"), w=_flipped_kernel),
    reading(SAME, "kernel transposed", "x", ("wrong", "transposed"), w=_swapped_channels),
    reading(CONV, "kernel flipped", "x", ("wrong", "transposed"), w=_flipped_kernel),
    reading(SAME, "reversed", "w", TURNED, after=flipped(0, 1)),
    reading(SAME, "transposed", "w", TRANSPOSED, after=transposed(2, 3), detail="channels"),
    reading(SAME, "transposed", "w", TRANSPOSED, after=transposed(0, 1), detail="the window"),
    reading(STRIDED, "stride and dilation swapped", "x", WRONG, strides=lambda v: (1,), dilation=lambda v: (2,)),
    # with as many taps as positions this exchanges the two
    reading(STRIDED, "stride and dilation swapped", "w", ("wrong", "transposed"), strides=lambda v: (1,),
            dilation=lambda v: (2,)),
    reading(LEFT, "padding's side", "x", WRONG, padding=lambda v: ((0, 2),)),
    reading(LEFT, "padding's side", "w", WRONG, padding=lambda v: ((1, 1),)),
    reading(SAME, "off by one", "x", WRONG, padding=lambda v: ((0, 2), (1, 1))),
    reading(SAME, "off by one", "w", WRONG, padding=lambda v: ((1, 1), (2, 0))),
    reading(GROUPS, "groups in another order", "x", WRONG,
            after=lambda g, _: ops.concatenate([g[..., 2:], g[..., :2]], -1)),
    reading(CONV, "bias reduction", "bias", SOME_TERM, after=_one_position, also=("g",), detail="first position"),
    reading(CONV, "bias reduction", "bias", SOME_TERM, after=lambda _, v: ops.sum(v["g"], axis=(1, 2))[0], also=("g",),
            detail="first of the batch"),
    reading(CONV_1D, "averaged", "bias", FACTOR, after=scaled(1 / 8)),
    reading(CONV_1D, "bias reduction", "bias", SOME_TERM, after=lambda _, v: ops.sum(v["g"][:, 1:], axis=(0, 1)),
            also=("g",), detail="without the border"),
    old(SAME, "w", "x"),
    old(CONV, "x", "w"),
    reading(of(ops.conv_input_grad), "kernel flipped", "delta", ("wrong", "transposed"), w=_flipped_kernel),
    reading(of(ops.conv_input_grad), "off by one", "w", WRONG, padding=lambda v: ((1, 1), (0, 2))),
    reading(of(ops.conv_kernel_grad), "off by one", "x", WRONG, padding=lambda v: ((2, 0), (1, 1))),
    reading(DEPTHWISE, "transposed", "w", TRANSPOSED, after=transposed(2, 3), detail="multiplier first"),
    reading(DEPTHWISE, "kernel flipped", "x", ("wrong", "transposed"), w=_flipped_kernel),
    reading(DEPTHWISE, "bias reduction", "bias", SOME_TERM, after=_one_position, also=("g",), detail="first position"),
    reading(CAUSAL_DEPTHWISE, "padding's side", "x", WRONG, padding=lambda v: ((0, 2),)),
]  # fmt: skip


def _next_in_window(v: dict[str, Any]) -> Any:
    return (v["extra"] + 1) % 4


def _padding_counts(g: Tensor, x_shape: Any, window: Any, strides: Any, padding: Any) -> Tensor:
    """The average's gradient as if padding counted: smaller where the window reaches over the border."""
    share = np.ones(g.shape)
    share[:, [0, -1]] = 2 / 3
    return average_pool_grad(g * share, x_shape[1:-1], window=window, strides=strides, padding=padding)


WINDOWS = [
    rule(ops.max_pool, "wrong formula", "x", WRONG, lambda g: ops.upsample_nearest(g * 0.25, (2, 2)), "the average's"),
    reading(of(ops.max_pool), "off by one", "x", WRONG, extra=_next_in_window, detail="place in the window"),
    rule(ops.average_pool, "averaged", "x", FACTOR, lambda g: ops.upsample_nearest(g, (2, 2)), "count forgotten"),
    Mutation(of(ops.average_pool, "overlapping"), "padding counts", "x", WRONG,
             replaced(ops.average_pool, "x", _padding_counts)),
    reading(of(ops.average_pool, "overlapping"), "padding's side", "x", WRONG,
            padding=lambda v: ((0, 2), (0, 0))),
    rule(ops.upsample_nearest, "missing share", "x", SOME_TERM, lambda g: g[:, ::2, ::2], "of all but the first"),
    rule(ops.upsample_nearest, "averaged", "x", FACTOR,
         lambda g: ops.average_pool(g, (2, 2), (2, 2), ((0, 0), (0, 0)))),
    rule(ops.upsample_linear, "wrong formula", "x", WRONG, lambda g: ops.block_sum(g, (2, 2)), "that of nearest"),
    rule(ops.block_sum, "wrong formula", "x", WRONG, lambda g: ops.upsample_linear(g, (2, 2)), "linear"),
]  # fmt: skip

# ---------------------------------------------------------------------- networks


def _inference(x: Tensor, gamma: Tensor, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The share of batch normalization's gradient that takes the statistics for constants, and those of the two."""
    normal_, inverse, _, _ = _standardised(x, -1, 1e-3)
    scale = _along(inverse * gamma, x, -1)
    axes = tuple(range(x.ndim - 1))
    of_mean = scale * ops.mean(g, axis=axes, keepdims=True)
    of_variance = scale * normal_ * ops.mean(g * normal_, axis=axes, keepdims=True)
    return scale * g, of_mean, of_variance


def _without(mean: bool, variance: bool) -> Callable[..., Any]:
    def after(_: Any, v: dict[str, Any]) -> Tensor:
        plain, of_mean, of_variance = _inference(v["x"], v["gamma"], v["g"][0])
        return plain - of_mean * (0.0 if mean else 1.0) - of_variance * (0.0 if variance else 1.0)

    return after


NORM, NORM_OF_IMAGES = of(ops.batch_norm), of(ops.batch_norm, "images")
ELU = subject(ops.elu, "alpha of a half", lambda x: ops.elu(x, alpha=0.5), x=normal(4, 4))


NETWORKS = [
    rule(ops.softmax, "product term", "x", SOME_TERM, lambda g, out: g * out, "inner product forgotten"),
    rule(ops.softmax, "wrong formula", "x", WRONG, lambda g, out: g * out * (1.0 - out), "the diagonal alone"),
    old(of(ops.softmax), "x", "out"),
    rule(ops.log_softmax, "product term", "x", SOME_TERM, lambda g: g, "sum forgotten"),
    rule(ops.log_softmax, "wrong formula", "x", WRONG,
         lambda g, out, axis: g - out * ops.sum(g, axis=axis, keepdims=True), "exp forgotten"),
    rule(softmax_grad, "product term", "y", SOME_TERM,
         lambda g, delta, y, axis: g * (delta - ops.sum(delta * y, axis=axis, keepdims=True)), "second sum forgotten"),
    reading(of(ops.softmax_cross_entropy), "wrong formula", "logits", WRONG, also=("g", "logits"),
            after=lambda _, v: ops.reshape(v["g"], (-1, 1)) * (ops.softmax(v["logits"]) - v["labels"]),
            detail="labels that needn't sum to one"),
    reading(of(ops.softmax_cross_entropy), "product term", "logits", SOME_TERM, also=("g", "logits"),
            after=lambda _, v: ops.reshape(v["g"], (-1, 1)) * ops.softmax(v["logits"]) * ops.sum(v["labels"], axis=1,
                                                                                               keepdims=True),
            detail="labels forgotten"),
    rule(ops.dropout, "condition ignored", "x", WRONG, lambda g, scale: g * scale),
    rule(ops.dropout, "factor", "x", FACTOR, lambda g, keep: g * np.asarray(keep, float), "scale forgotten"),
    rule(ops.dropout, "condition transposed", "x", ("wrong", "transposed"),
         lambda g, keep, scale: g * (keep.T * scale)),
    Mutation(ELU, "wrong formula", "x", WRONG,
             replaced(ops.elu, "x", lambda g, x: g * ops.where(x > 0, 1.0, ops.exp(x))), "alpha forgotten"),
    *[
        Mutation(target, "product term", "x", truths, altered(ops.batch_norm, "x", _without(*shares), ("g",)), detail)
        for target in (NORM, NORM_OF_IMAGES)
        for truths, shares, detail in [
            (A_TERM, (True, False), "the mean's"),
            (SOME_TERM, (False, True), "the variance's"),
            (SOME_TERM, (True, True), "both statistics'"),
        ]
    ],
    reading(NORM, "bias reduction", "beta", SOME_TERM, after=lambda _, v: v["g"][0][0], also=("g",),
            detail="first row"),
    reading(NORM, "wrong axis", "beta", WRONG, after=lambda _, v: ops.sum(v["g"][0], axis=1), also=("g",)),
    reading(NORM, "wrong formula", "gamma", WRONG, after=lambda _, v: ops.sum(v["g"][0] * v["x"], axis=0), also=("g",),
            detail="x not standardised"),
    old(NORM, "x", "extra"),
    old(NORM_OF_IMAGES, "gamma", "extra"),
]  # fmt: skip

# ---------------------------------------------------------------------- right once, wrong twice


def twice(operation: Primitive, label: str, sample: Any, call: Any = None) -> Function:
    return subject(operation, f"{label}, twice", call, order=2, x=sample)


def late(target: Function, kind: str, truths: tuple[str, ...], plant: Plant, detail: str = "") -> Mutation:
    return Mutation(target, kind, "x", truths, plant, detail)


CONVOLVED = subject(
    ops.conv, "twice", lambda x, w: ops.conv(x, w, strides=(1,), padding=((1, 1),), dilation=(1,)),
    order=2, x=normal(2, 5, 2), w=normal(3, 2, 2),
)  # fmt: skip
# What is missing of the derivative of a power of x is a share of it: a factor, as well.
SECOND_ORDER = [
    late(twice(ops.square, "detached", normal(5)), "detached", ZERO,
         replaced(ops.square, "x", lambda g, x: g * (x.detach() * 2.0)), "from its derivative"),
    late(twice(ops.exp, "detached", normal(5)), "detached", ZERO,
         replaced(ops.exp, "x", lambda g, out: g * out.detach()), "from its derivative"),
    late(twice(ops.tanh, "tanh_grad", normal(5)), "detached", ZERO, replaced(tanh_grad, "y", lambda: None)),
    late(twice(ops.tanh, "tanh_grad", normal(5)), "sign", SIGN, altered(tanh_grad, "y", scaled(-1.0))),
    late(twice(ops.sigmoid, "sigmoid_grad", normal(5)), "factor", FACTOR, altered(sigmoid_grad, "y", scaled(2.0))),
    late(twice(ops.softmax, "softmax_grad", normal(2, 3)), "product term", SOME_TERM,
         replaced(softmax_grad, "y", lambda g, delta, y: g * (delta - ops.sum(delta * y, axis=-1, keepdims=True)))),
    late(twice(ops.sin, "cos", positive(5)), "sign", SIGN, replaced(ops.cos, "x", lambda g, x: g * ops.sin(x))),
    late(twice(ops.divide, "of itself", positive(4), lambda x: 1.0 / x), "detached", ("factor", "missing-term"),
         replaced(ops.divide, "y", lambda g, y, out: -g * (out.detach() / y)), "from a factor"),
    late(twice(ops.multiply, "cube", distinct(4), lambda x: x * x * x), "missing share", ("factor", "missing-term"),
         replaced(ops.multiply, "x", lambda g, y: g * y.detach()), "detached"),
    Mutation(CONVOLVED, "sign", "w", ("sign", "wrong"), altered(ops.conv_input_grad, "w", scaled(-1.0))),
    Mutation(CONVOLVED, "reversed", "x", ("wrong", "transposed"), altered(ops.conv_kernel_grad, "x", flipped(1))),
]  # fmt: skip

SPECIAL: list[Mutation] = [
    *ELEMENTWISE, *SHARES, *TIES, *BESIDE_KINKS, *REDUCE, *MOVES, *LINALG, *SLIDING, *WINDOWS, *NETWORKS, *SECOND_ORDER,
]  # fmt: skip
# Those that change nothing, and why.
EQUIVALENT: list[tuple[Mutation, str]] = [
    (reading(CONV, "bias reduction", "bias", SOME_TERM, after=lambda _, v: v["g"], also=("g",), detail="left out"),
     "the engine sums a gradient over the axes along which its input was broadcast"),
    (rule(ops.multiply, "broadcasting", "y", SOME_TERM, lambda g, x: g * x, "sum left out"),
     "the engine sums a gradient over the axes along which its input was broadcast"),
    (rule(_relu, "tie", "x", WRONG, lambda g, x: g * ops.where(x >= 0, 1.0, 0.0), ">= for >"),
     "differs at 0 alone, where either is a subgradient"),
    (rule(ops.absolute, "tie", "x", WRONG, lambda g, x: g * ops.where(x >= 0, 1.0, -1.0), "1 at 0"),
     "differs at 0 alone, where either is a subgradient"),
    (rule(ops.max, "tie", "x", FACTOR, _to_every_largest, "without ties"),
     "the elements of its subject are distinct"),
    (rule(ops.elu, "wrong formula", "x", WRONG, lambda g, x: g * ops.where(x > 0, 1.0, ops.exp(x)), "alpha of one"),
     "the factor that is forgotten is one"),
    (old(NORM, "beta", "extra"), "the gradient of beta doesn't read the statistics"),
    (reading(of(ops.dense), "rounded", "bias", ("precision",), after=rounded(np.float32), detail="ones"),
     "for a cotangent of zeros and ones the sums of it are whole numbers"),
]  # fmt: skip
