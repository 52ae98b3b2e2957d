"""Wrong derivatives as they are met in layers, losses and models: own ones with a mistake, and ours on wrong rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras import Tensor, gradcheck, layers, models, ops, regularizers
from minikeras.core.primitive import primitive
from tests.gradcheck import planting as p
from tests.gradcheck.planting import Mutation, Other, Plant, altered, replaced
from tests.gradcheck.special import _without

SOME_TERM = ("missing-term", "wrong")


def layer(
    name: str, make: Callable[[], layers.Layer], shape: tuple[int, ...], *, training: bool | None = None, order: int = 1
) -> Other:
    """A layer as a subject, one of its own for every seed; the shape has the batch's size in front."""

    def check(seed: int) -> gradcheck.GradientReport:
        return gradcheck.check_layer(
            make(), (None, *shape[1:]), batch_size=shape[0], training=training, order=order, seed=seed
        )

    return Other(name, "a layer", check, order)


def ours(target: Other, kind: str, wrt: str, truths: tuple[str, ...], plant: Plant, detail: str = "") -> Mutation:
    return Mutation(target, kind, wrt, truths, plant, detail)


# ---------------------------------------------------------------------- layers of one's own


@primitive
def swish(x: Any) -> Any:
    """``x * sigmoid(x)``."""
    return x / (1 + np.exp(-x))


swish.vjps(x=lambda g, x: g * ops.sigmoid(x))  # without the share of the second factor


class Swish(layers.Layer):
    """On a primitive whose rule lacks a term."""

    def call(self, inputs: Any) -> Any:
        return swish(inputs)


class Centred(layers.Layer):
    """Subtracts the mean over the features, which it takes for a constant."""

    def call(self, inputs: Any) -> Any:
        return inputs - ops.stop_gradient(ops.mean(inputs, axis=-1, keepdims=True))


class Scaled(layers.Layer):
    """Divides by the norm of its kernel, which it takes for a constant (Salimans and Kingma 2016, with a mistake)."""

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight("kernel", (input_shape[-1], 3), initializer="glorot_uniform")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        return inputs @ (self.kernel / ops.stop_gradient(ops.norm(self.kernel, axis=0)))


class Gated(layers.Layer):
    """Two weights of which one is detached, and a bias that is there in vain."""

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight("kernel", (input_shape[-1], 3), initializer="glorot_uniform")
        self.gate = self.add_weight("gate", (input_shape[-1], 3), initializer="glorot_uniform")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        return (inputs @ self.kernel) * ops.sigmoid(ops.stop_gradient(inputs @ self.gate))


_chance = np.random.default_rng()


class Noisy(layers.Layer):
    """Random at every call, by a generator that nobody knows of."""

    def call(self, inputs: Any) -> Any:
        return inputs * _chance.uniform(0.5, 1.5, inputs.shape)


class Single(layers.Layer):
    """Computes in float32, whatever it is given."""

    def call(self, inputs: Any) -> Any:
        return ops.cast(ops.exp(ops.cast(inputs, np.float32)), inputs.dtype)


class Rounded(layers.Layer):
    """A straight-through estimator (Bengio et al. 2013): the derivative of a constant is taken as one."""

    def call(self, inputs: Any) -> Any:
        return inputs + ops.stop_gradient(ops.round(inputs) - inputs)


OWN = [
    Mutation(layer("swish", Swish, (3, 4)), "product term", "input", SOME_TERM),
    Mutation(layer("centred", Centred, (3, 4)), "product term", "input", ("missing-term",)),
    Mutation(layer("scaled", Scaled, (2, 4)), "product term", "kernel", SOME_TERM),
    Mutation(layer("gated", Gated, (2, 4)), "detached", "gate", ("zero",)),
    Mutation(layer("gated", Gated, (2, 4)), "missing share", "input", SOME_TERM),
    Mutation(layer("noisy", Noisy, (2, 3)), "noise", "input", ("non-deterministic",)),
    Mutation(layer("single", Single, (2, 3)), "rounded", "input", ("precision",)),
    Mutation(layer("straight through", Rounded, (2, 3)), "constant", "input", ("independent", "wrong")),
]

# ---------------------------------------------------------------------- ours


def _first_of_batch(_: Any, v: dict[str, Any]) -> Tensor:
    return ops.sum(v["g"][:1], axis=tuple(range(v["g"].ndim - 1)))


IMAGES = (2, 4, 4, 2)
CONV = layer("Conv2D", lambda: layers.Conv2D(2, 3, padding="same"), IMAGES)
RELU = layer("Conv2D", lambda: layers.Conv2D(2, 3, activation="tanh"), IMAGES)
TRANSPOSE = layer("Conv2DTranspose", lambda: layers.Conv2DTranspose(2, 3, strides=2), (2, 3, 3, 2))
DEPTHWISE = layer("DepthwiseConv2D", lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), IMAGES)
DENSE = layer("Dense", lambda: layers.Dense(4), (3, 4))
NORM = layer("BatchNormalization", layers.BatchNormalization, (6, 3), training=True)
PRELU = layer("PReLU", lambda: layers.PReLU("uniform"), (3, 4))
POOL = layer("AveragePooling2D", lambda: layers.AveragePooling2D(2), IMAGES)

OURS = [
    ours(CONV, "reversed", "kernel", ("transposed", "wrong"), altered(ops.conv, "w", p.flipped(0, 1))),
    ours(CONV, "bias reduction", "bias", SOME_TERM, altered(ops.conv, "bias", _first_of_batch, ("g",))),
    ours(CONV, "sign", "input", ("sign",), altered(ops.conv, "x", p.scaled(-1.0))),
    ours(CONV, "transposed", "kernel", ("transposed",), altered(ops.conv, "w", p.transposed(2, 3)), "channels"),
    ours(RELU, "activation ignored", "kernel", ("wrong",), altered(ops.conv, "w", activation=lambda v: None)),
    ours(TRANSPOSE, "shifted", "kernel", ("wrong",), altered(ops.conv_input_grad, "w", p.shifted(0))),
    ours(TRANSPOSE, "factor", "input", ("factor",), altered(ops.conv_input_grad, "delta", p.scaled(2.0))),
    ours(TRANSPOSE, "zero", "bias", ("zero",), altered(ops.conv_input_grad, "bias", p.scaled(0.0))),
    ours(DEPTHWISE, "transposed", "depthwise_kernel", ("transposed",),
         altered(ops.depthwise_conv, "w", p.transposed(2, 3)), "multiplier first"),
    ours(DEPTHWISE, "border", "input", ("zero", "wrong"),
         altered(ops.depthwise_conv, "x", p.masked(p.border((1, 2))))),
    ours(DENSE, "transposed", "kernel", ("transposed",), altered(ops.dense, "w", p.transposed(0, 1))),
    ours(DENSE, "averaged", "bias", ("factor",), altered(ops.dense, "bias", p.scaled(1 / 3))),
    ours(NORM, "product term", "input", ("missing-term",), altered(ops.batch_norm, "x", _without(True, False), ("g",)),
         "the mean's"),
    ours(NORM, "sign", "gamma", ("sign",), altered(ops.batch_norm, "gamma", p.scaled(-1.0))),
    ours(NORM, "detached", "beta", ("zero",), altered(ops.batch_norm, "beta", p.nothing)),
    ours(POOL, "averaged", "input", ("factor",),
         replaced(ops.average_pool, "x", lambda g: ops.upsample_nearest(g, (2, 2))), "count forgotten"),
]  # fmt: skip

# ---------------------------------------------------------------------- losses and models


def forgetful(weights: Tensor) -> Tensor:
    """A penalty whose derivative is forgotten."""
    return ops.sum(ops.square(ops.stop_gradient(weights))) * 0.05


def half_forgetful(weights: Tensor) -> Tensor:
    """A penalty of which half the derivative is forgotten."""
    return ops.sum(ops.square(weights) * 0.05 + ops.square(ops.stop_gradient(weights)) * 0.05)


def constant_target(y_true: Any, y_pred: Any) -> Tensor:
    """Squares of which one factor is taken for a constant."""
    return ops.mean((y_pred - y_true) * ops.stop_gradient(y_pred - y_true), axis=-1)


def detached_term(y_true: Any, y_pred: Any) -> Tensor:
    """A mean square and a mean, of which the mean is taken for a constant."""
    return ops.mean(ops.square(y_pred - y_true) + ops.stop_gradient(y_pred), axis=-1)


def model(name: str, *stack: Callable[[], layers.Layer], loss: Any = "mse", weighted: bool = False) -> Other:
    """A compiled Sequential as a subject; its data follow from the seed."""

    def check(seed: int) -> gradcheck.GradientReport:
        rng = np.random.default_rng(seed)
        built = models.Sequential([make() for make in stack])
        built.compile("sgd", loss)
        x, y = rng.normal(size=(5, *built.input_shape[1:])), rng.normal(size=(5, *built.output_shape[1:]))
        weights = rng.uniform(0.5, 1.5, 5) if weighted else None
        return gradcheck.check_model(built, x, y, sample_weight=weights, seed=seed)

    return Other(name, "a model", check)


def dense(**arguments: Any) -> Callable[[], layers.Layer]:
    return lambda: layers.Dense(3, activation="tanh", name="hidden", **arguments)


def last(**arguments: Any) -> Callable[[], layers.Layer]:
    return lambda: layers.Dense(2, name="last", **arguments)


def _detached(x: Any) -> Any:
    return ops.stop_gradient(x)


MODELS = [
    Mutation(
        model("penalty", dense(input_shape=(4,), kernel_regularizer=forgetful), last()),
        "penalty ignored", "hidden/kernel", SOME_TERM,
    ),
    Mutation(
        model("bias penalty", dense(input_shape=(4,), bias_initializer="normal", bias_regularizer=forgetful), last()),
        "penalty ignored", "hidden/bias", SOME_TERM,
    ),
    Mutation(
        model("half a penalty", dense(input_shape=(4,), kernel_regularizer=half_forgetful), last()),
        "penalty ignored", "hidden/kernel", SOME_TERM, detail="half of it",
    ),
    Mutation(
        model("activity", dense(input_shape=(4,), activity_regularizer=forgetful), last()),
        "penalty ignored", "hidden/kernel", SOME_TERM, detail="on the output",
    ),
    Mutation(
        model("half a square", dense(input_shape=(4,)), last(), loss=constant_target),
        "missing share", "last/kernel", ("factor",),
    ),
    Mutation(
        model("detached loss", dense(input_shape=(4,)), last(), loss=detached_term),
        "missing share", "last/bias", ("missing-term", "wrong"),
    ),
    Mutation(
        model("detached", dense(input_shape=(4,)), lambda: layers.Lambda(_detached), last()),
        "detached", "hidden/kernel", ("zero",),
    ),
    Mutation(
        model("weighted", dense(input_shape=(4,)), last(), weighted=True),
        "sign", "last/kernel", ("sign",), altered(ops.dense, "w", p.scaled(-1.0)),
    ),
    Mutation(
        model("l2", dense(input_shape=(4,), kernel_regularizer=regularizers.l2(0.1)), last()),
        "factor", "last/bias", ("factor",), altered(ops.dense, "bias", p.scaled(2.0)),
    ),
]  # fmt: skip

MUTATIONS: list[Mutation] = [*OWN, *OURS, *MODELS]
