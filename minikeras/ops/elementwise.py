"""Elementwise operations, each with its derivative beside it. All of them broadcast."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import kernels
from ..core import config
from ..core.primitive import Primitive, primitive
from ..core.tensor import Tensor
from ..kernels.entropy import quotient

# ---------------------------------------------------------------------- piecewise constant


def _flat(name: str, summary: str, function: Any) -> Primitive:
    """A floating-point operation of one array whose derivative is zero wherever it exists."""

    def forward(x: Any) -> Any:
        return function(x)

    forward.__name__, forward.__doc__, forward.__module__ = name, summary, __name__
    made: Primitive = primitive(forward)
    made.vjps(x=None)
    return made


sign = _flat("sign", "-1, 0 or 1; its derivative is zero.", np.sign)
floor = _flat("floor", "Rounded down to an integer; its derivative is zero.", np.floor)
ceil = _flat("ceil", "Rounded up to an integer; its derivative is zero.", np.ceil)
round = _flat("round", "Rounded to the nearest integer, halves to even; its derivative is zero.", np.round)


def _test_of_one(name: str, summary: str, function: Any) -> Primitive:
    """An operation of one array with a truth value per element."""

    def forward(x: Any) -> Any:
        return function(x)

    forward.__name__, forward.__doc__, forward.__module__ = name, summary, __name__
    made: Primitive = primitive(forward, differentiable=False)
    return made


def _test_of_two(name: str, summary: str, function: Any) -> Primitive:
    """An operation of two arrays with a truth value per element."""

    def forward(x: Any, y: Any) -> Any:
        return function(x, y)

    forward.__name__, forward.__doc__, forward.__module__ = name, summary, __name__
    made: Primitive = primitive(forward, differentiable=False)
    return made


isnan = _test_of_one("isnan", "Whether each element is NaN.", np.isnan)
isinf = _test_of_one("isinf", "Whether each element is infinite.", np.isinf)
isfinite = _test_of_one("isfinite", "Whether each element is neither infinite nor NaN.", np.isfinite)
logical_not = _test_of_one("logical_not", "Whether each element is false.", np.logical_not)
equal = _test_of_two("equal", "``x == y``, elementwise.", np.equal)
not_equal = _test_of_two("not_equal", "``x != y``, elementwise.", np.not_equal)
greater = _test_of_two("greater", "``x > y``, elementwise.", np.greater)
greater_equal = _test_of_two("greater_equal", "``x >= y``, elementwise.", np.greater_equal)
less = _test_of_two("less", "``x < y``, elementwise.", np.less)
less_equal = _test_of_two("less_equal", "``x <= y``, elementwise.", np.less_equal)
logical_and = _test_of_two("logical_and", "Whether both are true, elementwise.", np.logical_and)
logical_or = _test_of_two("logical_or", "Whether one is true, elementwise.", np.logical_or)

# ---------------------------------------------------------------------- arithmetic


@primitive
def add(x: Any, y: Any) -> Any:
    """``x + y``, broadcast."""
    return np.add(x, y)


add.vjps(x=lambda g: g, y=lambda g: g)


@primitive
def subtract(x: Any, y: Any) -> Any:
    """``x - y``, broadcast."""
    return np.subtract(x, y)


subtract.vjps(x=lambda g: g, y=lambda g: -g)


@primitive
def multiply(x: Any, y: Any) -> Any:
    """``x * y``, broadcast."""
    return np.multiply(x, y)


multiply.vjps(x=lambda g, y: g * y, y=lambda g, x: g * x)


@primitive
def divide(x: Any, y: Any) -> Any:
    """``x / y``, broadcast."""
    return np.true_divide(x, y)


divide.vjps(x=lambda g, y: g / y, y=lambda g, y, out: -g * (out / y))


@primitive
def over(x: Any, y: Any) -> Any:
    """``x / y``, but 0 where both are, as on the way back through an infinite derivative that nothing asks for.

    What :func:`where` leaves out has the cotangent 0, and stays without gradient also where a root's derivative is
    infinite; ``0 / 0`` would make NaN of it.
    """
    return quotient(x, y)


over.vjps(x=lambda g, y: over(g, y), y=lambda g, y, out: -g * over(out, y))


@primitive
def floor_divide(x: Any, y: Any) -> Any:
    """``x // y``: the quotient rounded down; its derivative is zero."""
    return np.floor_divide(x, y)


floor_divide.vjps(x=None, y=None)


@primitive
def remainder(x: Any, y: Any) -> Any:
    """``x % y``, with the sign of ``y``; derivative 1 in ``x`` and ``-(x // y)`` in ``y``."""
    return np.remainder(x, y)


remainder.vjps(x=lambda g: g, y=lambda g, x, y: -g * floor_divide(x, y))


@primitive
def power(x: Any, y: Any) -> Any:
    """``x ** y``, broadcast; the derivative in ``y`` is taken as 0 where ``x <= 0``."""
    return x**y


def _power_base(g: Tensor, x: Tensor, y: Any) -> Tensor:
    if isinstance(y, Tensor):  # a zero exponent makes a constant: no 0 * 0**-1
        return g * y * power(x, where(equal(y, 0), 1.0, y - 1))
    if 0 < y < 1:  # the slope at 0 is infinite, as that of sqrt
        return over(g * y, power(x, 1 - y))
    return g * 0.0 if y == 0 else g * y if y == 1 else g * (y * power(x, y - 1))


def _power_exponent(g: Tensor, x: Any, out: Tensor) -> Tensor:
    if not isinstance(x, Tensor):
        return g * (out * math.log(x)) if x > 0 else g * 0.0
    positive = greater(x, 0)
    return g * where(positive, out * log(where(positive, x, 1.0)), 0.0)


power.vjps(x=_power_base, y=_power_exponent)


@primitive
def negative(x: Any) -> Any:
    """``-x``."""
    return np.negative(x)


negative.vjps(x=lambda g: -g)


@primitive
def identity(x: Any) -> Any:
    """``x`` itself, as a new place on the tape."""
    return x


identity.vjps(x=lambda g: g)


@primitive(differentiable=False)
def stop_gradient(x: Any) -> Any:
    """``x`` as a constant: no gradient flows back through it."""
    return x


@primitive
def cast(x: Any, *, dtype: Any) -> Any:
    """``x`` converted to ``dtype``; the gradient is converted back."""
    return np.asarray(x).astype(dtype)


cast.vjps(x=lambda g: g)


# ---------------------------------------------------------------------- powers, exponentials, logarithms


@primitive
def square(x: Any) -> Any:
    """``x ** 2``."""
    return np.square(x)


square.vjps(x=lambda g, x: g * (x * 2.0))


@primitive
def sqrt(x: Any) -> Any:
    """Square root; NaN below zero, infinite derivative at zero."""
    return np.sqrt(x)


sqrt.vjps(x=lambda g, out: over(g, out * 2.0))


@primitive
def reciprocal(x: Any) -> Any:
    """``1 / x``."""
    return np.true_divide(1.0, x)


reciprocal.vjps(x=lambda g, out: -g * out * out)  # the square of out alone may overflow


@primitive
def exp(x: Any) -> Any:
    """``e ** x``."""
    return np.exp(x)


exp.vjps(x=lambda g, out: g * out)


@primitive
def expm1(x: Any) -> Any:
    """``e ** x - 1``, exact for small ``x``."""
    return np.expm1(x)


expm1.vjps(x=lambda g, x: g * exp(x))  # out + 1 has no digits left where out is near -1


@primitive
def log(x: Any) -> Any:
    """Natural logarithm."""
    return np.log(x)


log.vjps(x=lambda g, x: g / x)


@primitive
def log1p(x: Any) -> Any:
    """``log(1 + x)``, exact for small ``x``."""
    return np.log1p(x)


log1p.vjps(x=lambda g, x: g / (x + 1.0))

# ---------------------------------------------------------------------- trigonometry and sigmoids


@primitive
def sin(x: Any) -> Any:
    """Sine, of radians."""
    return np.sin(x)


sin.vjps(x=lambda g, x: g * cos(x))


@primitive
def cos(x: Any) -> Any:
    """Cosine, of radians."""
    return np.cos(x)


cos.vjps(x=lambda g, x: -g * sin(x))


@primitive
def tan(x: Any) -> Any:
    """Tangent, of radians."""
    return np.tan(x)


tan.vjps(x=lambda g, out: g * (square(out) + 1.0))


@primitive
def arcsin(x: Any) -> Any:
    """Inverse sine, in radians."""
    return np.arcsin(x)


def _cosine_of_arcsine(x: Tensor) -> Tensor:
    near_zero = less(absolute(x), 0.5)  # near 1, digits of 1 - x**2 are lost; near 0, those of the product's derivative
    return sqrt(where(near_zero, 1.0 - square(x), (1.0 - x) * (1.0 + x)))


arcsin.vjps(x=lambda g, x: over(g, _cosine_of_arcsine(x)))


@primitive
def arccos(x: Any) -> Any:
    """Inverse cosine, in radians."""
    return np.arccos(x)


arccos.vjps(x=lambda g, x: -over(g, _cosine_of_arcsine(x)))


@primitive
def arctan(x: Any) -> Any:
    """Inverse tangent, in radians."""
    return np.arctan(x)


arctan.vjps(x=lambda g, x: g * arctan_slope(x))


@primitive
def arctan_slope(x: Any) -> Any:
    """``1 / (1 + x**2)``: the derivative of :func:`arctan`, which is 0 where the square overflows."""
    with np.errstate(over="ignore"):
        result = np.square(x)
        result += 1.0
        return np.reciprocal(result)


arctan_slope.vjps(x=lambda g, x, out: g * (x * -2.0 * out) * out)


@primitive
def sinh(x: Any) -> Any:
    """Hyperbolic sine."""
    return np.sinh(x)


sinh.vjps(x=lambda g, x: g * cosh(x))


@primitive
def cosh(x: Any) -> Any:
    """Hyperbolic cosine."""
    return np.cosh(x)


cosh.vjps(x=lambda g, x: g * sinh(x))


@primitive
def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return kernels.tanh(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else np.tanh(x)


tanh.vjps(x=lambda g, out: tanh_grad(g, out))


@primitive
def tanh_grad(delta: Any, y: Any) -> Any:
    """``delta * (1 - y**2)``: back through tanh, from its value ``y``."""
    return kernels.tanh_grad(delta, y)


tanh_grad.vjps(delta=lambda g, y: tanh_grad(g, y), y=lambda g, delta, y: g * delta * (y * -2.0))


@primitive
def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))``, without overflow at either end."""
    return kernels.sigmoid(np.asarray(x, np.result_type(x, np.float16)))  # floats as they are, integers to floats


sigmoid.vjps(x=lambda g, out: sigmoid_grad(g, out))


@primitive
def sigmoid_grad(delta: Any, y: Any) -> Any:
    """``delta * y * (1 - y)``: back through the sigmoid, from its value ``y``."""
    return kernels.sigmoid_grad(delta, y)


sigmoid_grad.vjps(delta=lambda g, y: sigmoid_grad(g, y), y=lambda g, delta, y: g * delta * (1.0 - y * 2.0))


@primitive
def softplus(x: Any) -> Any:
    """``log(1 + exp(x))``, without overflow."""
    return np.logaddexp(x, np.zeros((), np.asarray(x).dtype))


softplus.vjps(x=lambda g, x: g * sigmoid(x))


@primitive
def log_cosh(x: Any) -> Any:
    """``log(cosh(x))``, without overflow, and exact for small ``x``."""
    size = np.absolute(x)
    lost = np.expm1(-size)
    rest = lost + 1.0  # exp(-|x|)
    near = size < 1.0
    with np.errstate(divide="ignore"):  # cosh(x) - 1 = (1 - exp(-|x|))**2 / (2 exp(-|x|))
        part = np.log1p(np.where(near, lost * lost / (rest * 2.0), rest * rest))
    return part + np.where(near, 0.0, size - math.log(2.0))


log_cosh.vjps(x=lambda g, x: g * tanh(x))


@primitive
def erf(x: Any) -> Any:
    """The error function, ``2 / sqrt(pi) * integral of exp(-t**2) from 0 to x``."""
    from scipy.special import erf as scipy_erf

    return scipy_erf(x)


# Beyond 28, exp(-x**2) is 0 also in float64, and x**2 may overflow.
erf.vjps(x=lambda g, x: g * (exp(-square(clip(x, -28.0, 28.0))) * (2.0 / math.sqrt(math.pi))))

# ---------------------------------------------------------------------- kinks: each choice is documented


@primitive
def absolute(x: Any) -> Any:
    """``|x|``; the derivative at 0 is 0."""
    return np.absolute(x)


absolute.vjps(x=lambda g, x: g * sign(x))


@primitive
def maximum(x: Any, y: Any) -> Any:
    """The larger of two, elementwise; on ties the gradient goes to ``x``."""
    return np.maximum(x, y)


maximum.vjps(x=lambda g, x, y: where(greater_equal(x, y), g, 0.0), y=lambda g, x, y: where(greater_equal(x, y), 0.0, g))


@primitive
def minimum(x: Any, y: Any) -> Any:
    """The smaller of two, elementwise; on ties the gradient goes to ``x``."""
    return np.minimum(x, y)


minimum.vjps(x=lambda g, x, y: where(less_equal(x, y), g, 0.0), y=lambda g, x, y: where(less_equal(x, y), 0.0, g))


@primitive
def clip(x: Any, low: Any, high: Any) -> Any:
    """``x`` limited to ``low`` … ``high`` (None: no limit); at the limits themselves the gradient goes to ``x``."""
    return np.clip(x, low, high)


def _within(x: Tensor, low: Any, high: Any) -> Tensor:
    inside = less_equal(x, np.inf if high is None else high)
    return inside if low is None else logical_and(inside, greater_equal(x, low))


clip.vjps(
    x=lambda g, x, low, high: where(_within(x, low, high), g, 0.0),
    low=lambda g, x, low: where(less(x, low), g, 0.0),
    high=lambda g, x, high: where(greater(x, high), g, 0.0),
)


@primitive
def where(condition: Any, x: Any, y: Any) -> Any:
    """``x`` where ``condition`` is true, else ``y``; all broadcast."""
    if not isinstance(x, np.ndarray) and not isinstance(y, np.ndarray):
        x = np.asarray(x, config.floatx())  # NumPy would make float64 of two Python numbers
    return np.where(condition, x, y)


where.vjps(
    condition=None,
    x=lambda g, condition: where(condition, g, 0.0),
    y=lambda g, condition: where(condition, 0.0, g),
)
