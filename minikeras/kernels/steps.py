"""Steps of optimizers: a parameter and its state changed in place, as vectors that the caller cuts to length.

All take ``(p, g, scratch, *state)``: the parameter, its gradient, which is not changed, two vectors to compute in, and
the state. The formulas are those of the optimizers' classes.
"""

from __future__ import annotations

import numpy as np

from ..core.threads import num_threads

Scratch = list[np.ndarray]


def step_length() -> int:
    """How many elements a step should take at a time: few enough to stay in cache through all passes.

    More where threads share the work: between passes they wait for each other, so passes should last (measured).
    """
    return 65536 if num_threads() == 1 else 131072


def sgd_step(p: np.ndarray, g: np.ndarray, scratch: Scratch, *, rate: float) -> None:
    """``p -= rate * g``."""
    p -= np.multiply(g, rate, out=scratch[0])


def momentum_step(
    p: np.ndarray, g: np.ndarray, scratch: Scratch, v: np.ndarray, *, rate: float, momentum: float, nesterov: bool
) -> None:
    """``v = momentum * v - rate * g; p += v``, or with Nesterov ``p += momentum * v - rate * g``."""
    descent, ahead = scratch
    np.multiply(g, rate, out=descent)
    v *= momentum
    v -= descent
    if nesterov:
        p += np.multiply(v, momentum, out=ahead)
        p -= descent
    else:
        p += v


def adagrad_step(p: np.ndarray, g: np.ndarray, scratch: Scratch, a: np.ndarray, *, rate: float, epsilon: float) -> None:
    """``a += g**2; p -= rate * g / (sqrt(a) + epsilon)``; the sum ends at the largest number."""
    s, total = scratch
    g = _square(g, s)
    try:
        with np.errstate(over="raise"):
            np.add(a, s, out=total)
    except FloatingPointError:
        total[np.isinf(total) & np.isfinite(a) & np.isfinite(s)] = np.finfo(a.dtype).max
    a[...] = total
    _descend(p, g, a, rate, epsilon, s)


def rmsprop_step(
    p: np.ndarray, g: np.ndarray, scratch: Scratch, a: np.ndarray, *, rate: float, rho: float, epsilon: float
) -> None:
    """``a = rho * a + (1 - rho) * g**2; p -= rate * g / (sqrt(a) + epsilon)``."""
    s = scratch[0]
    g = _square(g, s)
    _average_squares(a, s, rho)
    _descend(p, g, a, rate, epsilon, s)


def adadelta_step(
    p: np.ndarray,
    g: np.ndarray,
    scratch: Scratch,
    a: np.ndarray,
    d: np.ndarray,
    *,
    rate: float,
    rho: float,
    epsilon: float,
) -> None:
    """``a = rho * a + (1 - rho) * g**2; u = g * sqrt((d + epsilon) / (a + epsilon)); p -= rate * u``, and d as a."""
    u, s = scratch
    g = _square(g, s)
    _average_squares(a, s, rho)
    np.sqrt(np.add(d, epsilon, out=u), out=u)
    u /= np.sqrt(np.add(a, epsilon, out=s), out=s)
    u *= g
    _average_squares(d, np.square(u, out=s), rho)
    u *= rate
    p -= u


def adam_step(
    p: np.ndarray,
    g: np.ndarray,
    scratch: Scratch,
    m: np.ndarray,
    v: np.ndarray,
    vhat: np.ndarray,
    *,
    rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    amsgrad: bool,
) -> None:
    """``p -= rate * m / (sqrt(v) + epsilon)`` with the averages m of g and v of its square, or the largest v so far."""
    s = scratch[0]
    g = _square(g, s)
    _average_squares(v, s, beta_2)
    _average(m, g, beta_1, s)
    np.sqrt(np.maximum(vhat, v, out=vhat) if amsgrad else v, out=s)
    s += epsilon
    np.divide(m, s, out=s)
    s *= rate
    p -= s


def adamax_step(
    p: np.ndarray,
    g: np.ndarray,
    scratch: Scratch,
    m: np.ndarray,
    u: np.ndarray,
    *,
    rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """``u = max(beta_2 * u, |g|); p -= rate * m / (u + epsilon)`` with the average m of g."""
    s = scratch[0]
    _average(m, g, beta_1, s)
    u *= beta_2
    np.maximum(u, np.abs(g, out=s), out=u)
    np.add(u, epsilon, out=s)
    np.divide(m, s, out=s)
    s *= rate
    p -= s


def nadam_step(
    p: np.ndarray,
    g: np.ndarray,
    scratch: Scratch,
    m: np.ndarray,
    v: np.ndarray,
    *,
    rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    of_g: float,
    of_m: float,
    of_v: float,
) -> None:
    """``p -= rate * (of_g * g + of_m * m) / (sqrt(of_v * v) + epsilon)`` with averages m of g and v of g**2."""
    direction, s = scratch
    g = _square(g, s)
    _average_squares(v, s, beta_2)
    _average(m, g, beta_1, s)
    np.multiply(g, of_g, out=direction)
    direction += np.multiply(m, of_m, out=s)
    np.sqrt(np.multiply(v, of_v, out=s), out=s)
    s += epsilon
    direction /= s
    direction *= rate
    p -= direction


def square_limit(dtype: np.dtype) -> float:
    """Half of the smallest power of two whose square overflows: 2**63 in float32."""
    return 2.0 ** (int(np.finfo(dtype).maxexp) // 2 - 1)


def _square(g: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Leave ``g**2`` in ``out``, to be added to an optimizer's state, without infinities, which would stay there.

    Returns:
        The gradient to go on with: ``g``, or a copy in which the finite elements whose squares overflow are cut off at
        `square_limit`. A step that doesn't depend on the gradient's scale stays what it should be. Infinities and NaN
        stay, to be seen.
    """
    try:
        with np.errstate(over="raise"):
            np.square(g, out=out)
    except FloatingPointError:
        limit = square_limit(g.dtype)
        size = np.abs(g)
        g = np.where((size >= 2 * limit) & (size < np.inf), np.copysign(g.dtype.type(limit), g), g)
        np.square(g, out=out)
    return g


def _average(m: np.ndarray, g: np.ndarray, beta: float, scratch: np.ndarray) -> None:
    """``m = beta * m + (1 - beta) * g``, in place."""
    m *= beta
    m += np.multiply(g, 1.0 - beta, out=scratch)


def _average_squares(a: np.ndarray, squares: np.ndarray, rho: float) -> None:
    """``a = rho * a + (1 - rho) * squares``, in place; the squares are changed too."""
    squares *= 1.0 - rho
    a *= rho
    a += squares


def _descend(p: np.ndarray, g: np.ndarray, a: np.ndarray, rate: float, epsilon: float, scratch: np.ndarray) -> None:
    """``p -= rate * g / (sqrt(a) + epsilon)``, in place."""
    np.sqrt(a, out=scratch)
    scratch += epsilon
    np.divide(g, scratch, out=scratch)
    scratch *= rate
    p -= scratch
