"""Right derivatives that a checker may take for wrong ones: kinks, rounding, chance, and inputs that do nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras import ops
from minikeras.ops.nn import _relu
from tests.gradcheck.planting import Mutation, Other, Sample, held_out
from tests.gradcheck.special import BLOCKS
from tests.gradcheck.subjects import SUBJECTS, distinct, normal, positive, subject


def with_value(sample: Sample, value: float, *places: Any) -> Sample:
    """A sample with some elements replaced."""

    def changed(seed: int) -> np.ndarray:
        array = sample(seed).copy()
        for place in places or [0]:
            array[place] = value
        return array

    return changed


def case(kind: str, name: str, truths: tuple[str, ...], call: Callable[..., Any], x: Sample) -> Mutation:
    """A function of one input, of which these are the true verdicts."""
    function = subject(_relu, name, call, x=x)
    return Mutation(Other(f"{kind} of {name}", "right", function.check), kind, "x", truths)


KINK, PRECISION, INDEPENDENT = ("kink",), ("precision",), ("independent",)
# What a symmetric difference over the kink gives is the derivative by convention, or a smaller step doesn't meet it.
SYMMETRIC = ("kink", "agrees")
HALF = {"window": (2,), "strides": (2,), "padding": ((0, 0),)}


def _random(x: Any) -> Any:
    return x * np.random.normal(size=x.shape)


def _averaged(x: Any) -> Any:
    return ops.sum(x * x) * np.random.uniform(0.999, 1.001)


def _cosine_quotient(x: Any) -> Any:
    return (1.0 - ops.cos(x)) / ops.square(x)


def _exponential_quotient(x: Any) -> Any:
    return (ops.exp(x) - 1.0 - x) / ops.square(x)


def _single(f: Callable[..., Any], x: Any) -> Any:
    """A function in float32, whatever it is given."""
    return ops.cast(f(ops.cast(x, "float32")), "float64")


def _tiny(seed: int) -> np.ndarray:
    return 1e-6 * np.random.default_rng(seed).uniform(1, 2, 4)


PHENOMENA = [
    case("kink", "relu", KINK, ops.relu, with_value(normal(6), 0.0, 2)),
    case("kink", "relu nearby", SYMMETRIC, ops.relu, with_value(normal(6), 1e-9, 4)),
    case("kink", "absolute", SYMMETRIC, ops.absolute, with_value(normal(2, 3), 0.0, (1, 1))),
    case("kink", "maximum", KINK, lambda x: ops.maximum(x, 0.5), with_value(distinct(5), 0.5)),
    case("kink", "minimum nearby", SYMMETRIC, lambda x: ops.minimum(x, 0.5), with_value(distinct(5), 0.5 - 1e-10, 3)),
    case("kink", "max", SYMMETRIC, lambda x: ops.max(x, axis=0), with_value(normal(4, 2), 5.0, (0, 0), (2, 0))),
    case("kink", "clip", KINK, lambda x: ops.clip(x, -1.0, 1.0), with_value(distinct(6), 1.0, 5)),
    case("kink", "max_pool", KINK, lambda x: ops.max_pool(x, **HALF), with_value(normal(1, 4, 2), 5.0, (0, 0), (0, 1))),
    case("kink", "hinge", KINK, lambda x: ops.sum(ops.maximum(1.0 - x, 0.0)), with_value(normal(5), 1.0, 1)),
    case("kink", "norm", SYMMETRIC, lambda x: ops.norm(x, axis=1), with_value(normal(3, 2), 0.0, 1)),
    case("kink", "leaky relu", KINK, lambda x: ops.relu(x, alpha=0.3), with_value(normal(6), 0.0, 0)),
    case("nan", "root at zero", ("not-finite", "kink"), ops.sqrt, with_value(positive(4), 0.0, 1)),
    case("nan", "logarithm at zero", ("not-finite",), lambda x: ops.log(x), with_value(positive(4), 0.0, 1)),
    case("nan", "overflow", ("not-finite",), ops.exp, with_value(normal(4), 1000.0, 1)),
    case("rounded", "float32 inside", PRECISION, lambda x: ops.cast(ops.sin(ops.cast(x, "float32")), "float64"),
         normal(4)),
    case("rounded", "float16 inside", PRECISION, lambda x: ops.cast(ops.exp(ops.cast(x, "float16")), "float64"),
         normal(4)),
    case("cancellation", "a large summand", PRECISION, lambda x: ops.square(x) + 1e9 - 1e9, normal(4)),
    case("cancellation", "a sum of squares", ("precision", "agrees"),
         lambda x: ops.sum(ops.square(x + 1e7)) * 1e-7 - 1e7, normal(3)),
    case("cancellation", "a quotient of zeros", PRECISION, _cosine_quotient, _tiny),
    case("rounded", "a float32 product", PRECISION, lambda x: _single(lambda y: y @ np.ones((4, 3), np.float32), x),
         normal(2, 4)),
    case("rounded", "a float32 softmax", PRECISION, lambda x: _single(ops.softmax, x), normal(3, 4)),
    case("rounded", "a float32 square", PRECISION, lambda x: _single(ops.square, x), normal(5)),
    case("rounded", "a float32 tanh", PRECISION, lambda x: _single(ops.tanh, x), normal(2, 3)),
    case("rounded", "a float16 tanh", PRECISION, lambda x: ops.cast(ops.tanh(ops.cast(x, "float16")), "float64"),
         normal(2, 3)),
    case("cancellation", "exp(x) - 1 - x over a square", PRECISION, _exponential_quotient, _tiny),
    case("cancellation", "a sine quotient", PRECISION, lambda x: (x - ops.sin(x)) / (x * ops.square(x)), _tiny),
    case("cancellation", "a root of a large sum", PRECISION, lambda x: (ops.sqrt(x + 1e12) - 1e6) * 1e6, normal(4)),
    case("noise", "a random factor", ("non-deterministic",), _random, normal(4)),
    case("noise", "a factor near one", ("non-deterministic",), _averaged, normal(4)),
    case("constant", "zero times", INDEPENDENT, lambda x: x * 0.0 + 1.0, normal(4)),
    case("constant", "floor", INDEPENDENT, lambda x: ops.floor(x), positive(4)),
    case("constant", "minus itself", INDEPENDENT, lambda x: ops.sum(x) - ops.sum(x), normal(3)),
    case("constant", "its shape alone", INDEPENDENT, lambda x: ops.sum(x * 0.0, axis=0) + x.shape[0], normal(3, 2)),
    case("constant", "dead relu", INDEPENDENT, lambda x: ops.relu(x - 10.0), normal(4)),
    case("constant", "clipped", INDEPENDENT, lambda x: ops.clip(x, 20.0, 30.0), normal(4)),
    case("constant", "largest of equal blocks", INDEPENDENT,
         lambda x: ops.max_pool(ops.upsample_nearest(x * 0.0, (2, 2)), **BLOCKS), normal(1, 2, 2, 1)),
]  # fmt: skip
# Every subject as it is, to be called right.
RIGHT = [Mutation(s, "none", next(iter(s.samples)), ("agrees",)) for s in SUBJECTS]
HELD_OUT = [phenomenon for phenomenon in [*PHENOMENA, *RIGHT] if held_out(phenomenon)]
DEVELOPMENT = [phenomenon for phenomenon in [*PHENOMENA, *RIGHT] if not held_out(phenomenon)]
