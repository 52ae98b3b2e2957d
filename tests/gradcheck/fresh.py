"""A second set of wrong derivatives, made to score the verdicts, without having seen how they are found.

The first set that was held out (``mutations.HELD_OUT``) has been looked at while the verdicts were improved. These were
written after that, without a look at ``minikeras/gradcheck``; what is true of each was decided before any was checked,
and isn't changed. Nothing may be tuned on them. Where several verdicts are true, the plainest stands first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import Tensor, layers, ops
from minikeras.ops.linalg import _matmul
from tests.gradcheck import fresh_by_hand, fresh_formulas, fresh_operations
from tests.gradcheck import planting as p
from tests.gradcheck.fresh_by_hand import (
    ADJOINT,
    EXTRA_TERM,
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
    inside,
    normal,
    positive,
)
from tests.gradcheck.fresh_operations import formula
from tests.gradcheck.in_layers import dense, last, layer, model, ours
from tests.gradcheck.phenomena import INDEPENDENT, KINK, SYMMETRIC, case, with_value
from tests.gradcheck.planting import Mutation, Sample, altered, scaled
from tests.gradcheck.subjects import subject

AGREES = ("agrees",)

# ---------------------------------------------------------------------- layers of one's own, with several weights


class Highway(layers.Layer):
    """``t * tanh(x W) + (1 - t) * x`` (Srivastava et al. 2015), where the second gate is taken for a constant."""

    def build(self, input_shape: Any) -> None:
        size = input_shape[-1]
        self.kernel = self.add_weight("kernel", (size, size), initializer="glorot_uniform")
        self.gate = self.add_weight("gate", (size, size), initializer="glorot_uniform")
        self.bias = self.add_weight("bias", (size,), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        t = ops.sigmoid(inputs @ self.gate + self.bias)
        return t * ops.tanh(inputs @ self.kernel) + (1.0 - ops.stop_gradient(t)) * inputs


class Modulated(layers.Layer):
    """A gain and a shift per feature, the gain taken for a constant, the shift counted twice backwards."""

    def build(self, input_shape: Any) -> None:
        self.gain = self.add_weight("gain", (input_shape[-1],), initializer="ones")
        self.shift = self.add_weight("shift", (input_shape[-1],), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        return inputs * ops.stop_gradient(self.gain) + self.shift * 2.0 - ops.stop_gradient(self.shift)


class Normalized(layers.Layer):
    """Layer normalization whose deviation is taken for a constant, and that learns no gain for the first feature."""

    def build(self, input_shape: Any) -> None:
        self.gain = self.add_weight("gain", (input_shape[-1],), initializer="ones")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        centred = inputs - ops.mean(inputs, axis=-1, keepdims=True)
        deviation = ops.stop_gradient(ops.sqrt(ops.mean(centred * centred, axis=-1, keepdims=True) + 0.01))
        first = np.arange(inputs.shape[-1]) == 0
        return centred / deviation * ops.where(first, ops.stop_gradient(self.gain), self.gain)


class LowRank(layers.Layer):
    """A kernel of two factors; a penalty on their product reaches the second alone."""

    def build(self, input_shape: Any) -> None:
        self.tall = self.add_weight("tall", (input_shape[-1], 2), initializer="glorot_uniform")
        self.wide = self.add_weight("wide", (2, 3), initializer="glorot_uniform")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        penalty = ops.sum(ops.square(ops.stop_gradient(self.tall) @ self.wide))
        return inputs @ (self.tall @ self.wide) + 0.1 * penalty


class Straight(layers.Layer):
    """Signs of the kernel forward, the identity backward (Courbariaux et al. 2016)."""

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight("kernel", (input_shape[-1], 2), initializer="glorot_uniform")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        return inputs @ (self.kernel + ops.stop_gradient(ops.sign(self.kernel) - self.kernel))


OWN = [
    Mutation(layer("highway", Highway, (3, 4)), "missing share", "gate", SOME_TERM),
    Mutation(layer("highway", Highway, (4, 3)), "missing share", "bias", SOME_TERM),
    Mutation(layer("modulated", Modulated, (3, 5)), "detached", "gain", ZERO),
    Mutation(layer("modulated", Modulated, (3, 5)), "counted twice", "shift", FACTOR),
    Mutation(layer("normalized", Normalized, (3, 5)), "product term", "input", SOME_TERM),
    Mutation(layer("normalized", Normalized, (3, 5)), "detached", "gain", PARTLY_ZERO, detail="one feature"),
    Mutation(layer("low rank", LowRank, (2, 4)), "penalty ignored", "tall", SOME_TERM),
    Mutation(layer("straight", Straight, (3, 4)), "constant", "kernel", ("independent", "wrong")),
]

# ---------------------------------------------------------------------- ours

LINE = (2, 6, 4)
LOCAL = layer("LocallyConnected1D", lambda: layers.LocallyConnected1D(2, 3), LINE)
LOCAL_IMAGE = layer("LocallyConnected2D", lambda: layers.LocallyConnected2D(2, 2), (2, 3, 4, 2))
EMBEDDING = layer("Embedding", lambda: layers.Embedding(6, 3), (4, 5))
SEPARABLE = layer("SeparableConv2D", lambda: layers.SeparableConv2D(3, 2, depth_multiplier=2), (2, 4, 5, 2))
CAUSAL = layer("causal Conv1D", lambda: layers.Conv1D(4, 3, padding="causal", dilation_rate=2), LINE)
FIRST = layer(
    "Conv2D with channels first",
    lambda: layers.Conv2D(2, (3, 2), strides=2, data_format="channels_first"),
    (2, 2, 5, 6),
)
BACK = layer("Conv3DTranspose", lambda: layers.Conv3DTranspose(2, 2, strides=(2, 1, 1)), (1, 2, 3, 2, 3))
STEPS = layer("TimeDistributed", lambda: layers.TimeDistributed(layers.Dense(3, activation="sigmoid")), LINE)
SHARED = layer("PReLU", lambda: layers.PReLU("uniform", shared_axes=[1]), LINE)
MOVING = layer("BatchNormalization of axis 1", lambda: layers.BatchNormalization(axis=1), (4, 3, 5), training=True)
GLOBAL = layer("GlobalAveragePooling2D", layers.GlobalAveragePooling2D, (2, 3, 4, 2))


def _first_step(_: Any, v: dict[str, Any]) -> Tensor:
    g = v["g"] * v["out"] * (1.0 - v["out"])
    return ops.sum(ops.reshape(g, (2, 6, 3))[:, 0], axis=0)


def _without_mean(g: Tensor, v: dict[str, Any]) -> Tensor:
    """Batch normalization's gradient of (batch, channels, steps), without the share of the mean."""
    deviation = ops.sqrt(ops.var(v["x"], axis=(0, 2), keepdims=True) + v["epsilon"])
    gain = ops.reshape(v["gamma"], (1, -1, 1))
    return g + gain / deviation * ops.mean(v["g"][0], axis=(0, 2), keepdims=True)


OURS = [
    ours(LOCAL, "one position", "kernel", PARTLY_ZERO, altered(_matmul, "y", p.masked(p.at(1, value=0.0)))),
    ours(LOCAL, "averaged", "kernel", FACTOR, altered(_matmul, "y", scaled(0.25)), "over the positions"),
    ours(LOCAL_IMAGE, "positions in another order", "kernel", TURNED, altered(_matmul, "y", p.flipped(0))),
    ours(EMBEDDING, "factor", "embeddings", FACTOR, altered(ops.take, "x", scaled(1 / 20)), "mean over all lookups"),
    ours(EMBEDDING, "off by one", "embeddings", ADJOINT,
         altered(ops.take, "x", lambda g, _: ops.concatenate([g[5:], g[:5]], 0)), "rows"),
    ours(SEPARABLE, "transposed", "depthwise_kernel", TRANSPOSED, altered(ops.depthwise_conv, "w", p.transposed(2, 3))),
    ours(SEPARABLE, "sign", "pointwise_kernel", SIGN, altered(ops.conv, "w", scaled(-1.0))),
    ours(SEPARABLE, "zero", "input", ZERO, altered(ops.depthwise_conv, "x", p.nothing)),
    ours(CAUSAL, "padding's side", "kernel", WRONG, altered(ops.conv, "w", padding=lambda v: ((0, 4),))),
    ours(CAUSAL, "transposed", "kernel", TRANSPOSED, altered(ops.conv, "w", p.transposed(1, 2)), "channels"),
    ours(FIRST, "one channel", "kernel", WRONG, altered(ops.conv, "w", p.masked(p.at((..., 1), value=2.0)))),
    ours(FIRST, "averaged", "bias", FACTOR, altered(ops.conv, "bias", scaled(1 / 12)), "over images and positions"),
    ours(BACK, "reversed", "kernel", TURNED, altered(ops.conv_input_grad, "w", p.flipped(0, 1))),
    ours(BACK, "offset", "bias", EXTRA_TERM, altered(ops.conv_input_grad, "bias", lambda g, _: g + 2.0)),
    ours(STEPS, "bias reduction", "bias", SOME_TERM, altered(ops.dense, "bias", _first_step, ("g", "out")),
         "first step"),
    ours(STEPS, "activation ignored", "kernel", WRONG, altered(ops.dense, "w", activation=lambda v: None)),
    ours(SHARED, "bias reduction", "alpha", SOME_TERM,
         altered(ops.multiply, "x", lambda _, v: (v["g"] * v["y"])[:1, :1][0], ("g", "y")), "first of batch and step"),
    ours(MOVING, "product term", "input", ("missing-term",),
         altered(ops.batch_norm, "x", _without_mean, ("g",)), "the mean's"),
    ours(MOVING, "sign", "beta", SIGN, altered(ops.batch_norm, "beta", scaled(-1.0))),
    ours(GLOBAL, "averaged", "input", FACTOR, altered(ops.mean, "x", scaled(12.0)), "count forgotten"),
]  # fmt: skip
# ---------------------------------------------------------------------- losses and models


def focal(y_true: Any, y_pred: Any) -> Tensor:
    """A weighted square whose weight, that hangs on the prediction, is taken for a constant."""
    return ops.mean(ops.stop_gradient(ops.exp(-y_pred)) * ops.square(y_pred - y_true), axis=-1)


def overlap(y_true: Any, y_pred: Any) -> Tensor:
    """A soft Dice coefficient (Milletari et al. 2016) whose denominator is taken for a constant."""
    below = ops.sum(ops.square(y_true), axis=-1) + ops.sum(ops.square(y_pred), axis=-1) + 1.0
    return 1.0 - 2.0 * ops.sum(y_true * y_pred, axis=-1) / ops.stop_gradient(below)


def rounding(y_true: Any, y_pred: Any) -> Tensor:
    """A mean square in float32."""
    return ops.cast(ops.mean(ops.square(ops.cast(y_pred - y_true, "float32")), axis=-1), "float64")


MODELS = [
    Mutation(model("focal", dense(input_shape=(3,)), last(), loss=focal), "product term", "last/kernel", SOME_TERM),
    Mutation(model("overlap", dense(input_shape=(3,)), last(), loss=overlap), "product term", "last/bias", SOME_TERM),
    Mutation(model("float32 loss", dense(input_shape=(3,)), last(), loss=rounding), "rounded", "last/kernel",
             PRECISION),
    Mutation(model("logcosh", dense(input_shape=(3,)), last(), loss="logcosh"), "wrong formula", "last/kernel", WRONG,
             altered(ops.dense, "w", lambda g, v: g + 0.1 * g * g), "a square too many"),
    Mutation(model("two layers", dense(input_shape=(3,)), last(), loss="mae"), "one element", "hidden/bias", WRONG,
             altered(ops.dense, "bias", lambda g, _: g * p.at(0, value=1.5)(g.shape) if g.shape == (3,) else g)),
    Mutation(model("normalized model", dense(input_shape=(3,)), layers.BatchNormalization, last()), "factor",
             "hidden/kernel", FACTOR, altered(ops.batch_norm, "x", scaled(0.5)), "from the layer above"),
    Mutation(model("activity of a mean", dense(input_shape=(3,), activity_regularizer=lambda x: 0.1 * ops.sum(
             ops.square(x - ops.stop_gradient(ops.mean(x))))), last()), "none", "hidden/kernel", AGREES,
             detail="a detached mean whose share is zero"),
]  # fmt: skip

# ---------------------------------------------------------------------- right once, wrong twice


def twice(operation: Any, label: str, sample: Sample, call: Any = None) -> Any:
    return subject(operation, f"{label}, once more", call, order=2, x=sample)


SECOND_ORDER = [
    formula(twice(ops.log, "detached", positive(4)), "detached", "x", ZERO, lambda g, x: g / x.detach()),
    formula(twice(ops.reciprocal, "half detached", positive(4)), "detached", "x", ("factor", "missing-term"),
            lambda g, out: -g * out * out.detach()),
    Mutation(twice(ops.softplus, "sigmoid", normal(2, 3)), "sign", "x", SIGN, altered(ops.sigmoid, "x", scaled(-1.0))),
    Mutation(twice(ops.sin, "cos", positive(5)), "factor", "x", FACTOR, altered(ops.cos, "x", scaled(3.0))),
    Mutation(twice(ops.cosh, "sinh", normal(2, 2)), "noise", "x", NOISE, altered(ops.sinh, "x", p.noisy)),
    formula(twice(ops.norm, "one factor detached", positive(4), lambda x: ops.norm(x)), "product term", "x", SOME_TERM,
            lambda g, x, out: g * x / out.detach()),
]  # fmt: skip

# ---------------------------------------------------------------------- right, and difficult


def _sum_of_shares(x: Any) -> Any:
    return ops.sum(ops.softmax(x), axis=-1)


RIGHT = [
    case("kink", "elu with a slope of 1.7", KINK, lambda x: ops.elu(x, alpha=1.7), with_value(normal(5), 0.0, 2)),
    case("kink", "hard sigmoid", KINK, ops.hard_sigmoid, with_value(inside(2, 3), 2.5, (0, 1))),
    case("kink", "relu up to six", KINK, lambda x: ops.relu(x, max_value=6.0), with_value(normal(5), 6.0, 4)),
    case("kink", "smallest of equals", SYMMETRIC, lambda x: ops.min(x, axis=1), with_value(
        normal(2, 4), -5.0, (1, 0), (1, 2))),
    case("kink", "a mean absolute difference", SYMMETRIC, lambda x: ops.mean(ops.absolute(x - 0.25)),
         with_value(normal(6), 0.25, 3)),
    case("none", "softsign at zero", AGREES, ops.softsign, with_value(normal(5), 0.0, 1)),
    case("none", "a squared relu at zero", AGREES, lambda x: ops.square(ops.relu(x)), with_value(normal(5), 0.0, 1)),
    case("none", "a steep tanh", AGREES, lambda x: ops.tanh(x * 30.0), inside(6)),
    case("none", "sizes that differ", AGREES, lambda x: ops.square(x), lambda seed: 10.0 ** np.arange(-4.0, 5.0)),
    case("nan", "arc cosine at one", ("not-finite", "kink"), ops.arccos, with_value(inside(4), 1.0, 2)),
    case("nan", "a division by zero", NAN, lambda x: 1.0 / x, with_value(positive(4), 0.0, 3)),
    case("rounded", "a float32 logarithm", PRECISION, lambda x: ops.cast(ops.log(ops.cast(x, "float32")), "float64"),
         positive(3, 3)),
    case("rounded", "a float16 product", PRECISION,
         lambda x: ops.cast(ops.cast(x, "float16") @ np.ones((3, 2), np.float16), "float64"), normal(2, 3)),
    case("cancellation", "a number that comes and goes", PRECISION, lambda x: ops.sin(x) + 1e10 - 1e10, normal(4)),
    case("cancellation", "a tangent quotient", PRECISION, lambda x: (ops.tan(x) - x) / (x * x * x),
         lambda seed: 1e-6 * np.random.default_rng(seed).uniform(1, 2, 3)),
    case("noise", "a random summand", NOISE, lambda x: ops.square(x) * (1 + 0.01 * np.random.normal(size=x.shape)),
         normal(3, 2)),
    case("constant", "a sum of shares", ("independent", "agrees"), _sum_of_shares, normal(3, 4)),
    case("constant", "signs", INDEPENDENT, ops.sign, normal(6)),
    case("constant", "never chosen", INDEPENDENT, lambda x: ops.where(np.zeros(4, bool), x, 1.0), normal(4)),
    case("constant", "rounded to tens", INDEPENDENT, lambda x: ops.round(x * 0.1 + 0.23) * 10.0, inside(4)),
]  # fmt: skip

PARTS: dict[str, list[Mutation]] = {
    "by hand": [*fresh_by_hand.MUTATIONS, *fresh_formulas.MUTATIONS],
    "operations": fresh_operations.MUTATIONS,
    "layers and models": [*OWN, *OURS, *MODELS],
    "second order": SECOND_ORDER,
    "right": RIGHT,
}
MUTATIONS: list[Mutation] = [mutation for part in PARTS.values() for mutation in part]
