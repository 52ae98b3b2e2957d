"""Steps of optimizers in one pass: each element of the parameter and its state is read once and written once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import steps
from ..steps import Scratch, square_limit
from .jit import compiled, is_covered, plain

Step = Callable[..., None]


def step_length() -> int:
    """As `minikeras.kernels.step_length`: one pass needs no cache, so there are fewer and longer parts."""
    return 65536


def _else(ordinary: Step) -> Callable[[Step], Step]:
    """Decorator: a step for the types that loops are compiled for, with NumPy's step for all others."""

    def decorate(fast: Step) -> Step:
        @functools.wraps(fast)
        def step(p: np.ndarray, g: np.ndarray, *state: Any, **options: Any) -> None:
            if is_covered(p, g):
                fast(p, plain(g), *state, **options)
            else:
                ordinary(p, g, *state, **options)

        return step

    return decorate


@_else(steps.sgd_step)
def sgd_step(p: np.ndarray, g: np.ndarray, scratch: Scratch, *, rate: float) -> None:
    """As `minikeras.kernels.sgd_step`."""
    _sgd(p, g, rate)


@_else(steps.momentum_step)
def momentum_step(
    p: np.ndarray, g: np.ndarray, scratch: Scratch, v: np.ndarray, *, rate: float, momentum: float, nesterov: bool
) -> None:
    """As `minikeras.kernels.momentum_step`."""
    _momentum(p, g, v, rate, momentum, *((momentum, rate) if nesterov else (1.0, 0.0)))


@_else(steps.adagrad_step)
def adagrad_step(p: np.ndarray, g: np.ndarray, scratch: Scratch, a: np.ndarray, *, rate: float, epsilon: float) -> None:
    """As `minikeras.kernels.adagrad_step`."""
    _adagrad(p, g, a, rate, epsilon, square_limit(p.dtype), float(np.finfo(p.dtype).max))


@_else(steps.rmsprop_step)
def rmsprop_step(
    p: np.ndarray, g: np.ndarray, scratch: Scratch, a: np.ndarray, *, rate: float, rho: float, epsilon: float
) -> None:
    """As `minikeras.kernels.rmsprop_step`."""
    _rmsprop(p, g, a, rate, rho, 1.0 - rho, epsilon, square_limit(p.dtype))


@_else(steps.adadelta_step)
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
    """As `minikeras.kernels.adadelta_step`."""
    _adadelta(p, g, a, d, rate, rho, 1.0 - rho, epsilon, square_limit(p.dtype))


@_else(steps.adam_step)
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
    """As `minikeras.kernels.adam_step`."""
    numbers = rate, beta_1, 1.0 - beta_1, beta_2, 1.0 - beta_2, epsilon, square_limit(p.dtype)
    if amsgrad:
        _amsgrad(p, g, m, v, vhat, *numbers)
    else:
        _adam(p, g, m, v, *numbers)


@_else(steps.adamax_step)
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
    """As `minikeras.kernels.adamax_step`."""
    _adamax(p, g, m, u, rate, beta_1, 1.0 - beta_1, beta_2, epsilon)


@_else(steps.nadam_step)
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
    """As `minikeras.kernels.nadam_step`."""
    averages = beta_1, 1.0 - beta_1, beta_2, 1.0 - beta_2
    _nadam(p, g, m, v, rate, *averages, epsilon, of_g, of_m, of_v, square_limit(p.dtype))


# ---------------------------------------------------------------------- compiled

# All compute in the type of the parameter. `kept` and `new` are the weights of an average, which add up to one.


@compiled
def _bounded(g, limit):  # type: ignore[no-untyped-def]
    """A finite gradient whose square overflows is cut off at the limit; infinity and NaN stay."""
    size = abs(g)
    bounded = limit if g > 0 else -limit
    return bounded if size >= limit + limit and size < np.inf else g


@compiled
def _sgd(p, g, rate):  # type: ignore[no-untyped-def]
    real = p.dtype.type
    speed = real(rate)
    for i in range(p.size):
        p[i] -= speed * g[i]


@compiled
def _momentum(p, g, v, rate, kept, of_v, of_g):  # type: ignore[no-untyped-def]
    real = p.dtype.type
    speed, keep, share, ahead = real(rate), real(kept), real(of_v), real(of_g)
    for i in range(p.size):
        velocity = keep * v[i] - speed * g[i]
        v[i] = velocity
        p[i] += share * velocity - ahead * g[i]


@compiled
def _adagrad(p, g, a, rate, epsilon, limit, largest):  # type: ignore[no-untyped-def]
    real = p.dtype.type
    speed, least, bound, most = real(rate), real(epsilon), real(limit), real(largest)
    for i in range(p.size):
        gradient = _bounded(g[i], bound)
        square = gradient * gradient
        total = a[i] + square
        total = most if total > most and a[i] <= most and square <= most else total
        a[i] = total
        p[i] -= gradient / (np.sqrt(total) + least) * speed


@compiled
def _rmsprop(p, g, a, rate, kept, new, epsilon, limit):  # type: ignore[no-untyped-def]
    real = p.dtype.type
    speed, keep, take, least, bound = real(rate), real(kept), real(new), real(epsilon), real(limit)
    for i in range(p.size):
        gradient = _bounded(g[i], bound)
        mean = keep * a[i] + take * (gradient * gradient)
        a[i] = mean
        p[i] -= gradient / (np.sqrt(mean) + least) * speed


@compiled
def _adadelta(p, g, a, d, rate, kept, new, epsilon, limit):  # type: ignore[no-untyped-def]
    real = p.dtype.type
    speed, keep, take, least, bound = real(rate), real(kept), real(new), real(epsilon), real(limit)
    for i in range(p.size):
        gradient = _bounded(g[i], bound)
        mean = keep * a[i] + take * (gradient * gradient)
        a[i] = mean
        step = np.sqrt(d[i] + least) / np.sqrt(mean + least) * gradient
        d[i] = keep * d[i] + take * (step * step)
        p[i] -= speed * step


@compiled
def _adam(p, g, m, v, rate, kept_1, new_1, kept_2, new_2, epsilon, limit):  # type: ignore[no-untyped-def]
    real = p.dtype.type
    speed, least, bound = real(rate), real(epsilon), real(limit)
    keep_1, take_1, keep_2, take_2 = real(kept_1), real(new_1), real(kept_2), real(new_2)
    for i in range(p.size):
        gradient = _bounded(g[i], bound)
        square = keep_2 * v[i] + take_2 * (gradient * gradient)
        mean = keep_1 * m[i] + take_1 * gradient
        v[i] = square
        m[i] = mean
        p[i] -= mean / (np.sqrt(square) + least) * speed


@compiled
def _amsgrad(p, g, m, v, vhat, rate, kept_1, new_1, kept_2, new_2, epsilon, limit):  # type: ignore[no-untyped-def]
    real = p.dtype.type
    speed, least, bound = real(rate), real(epsilon), real(limit)
    keep_1, take_1, keep_2, take_2 = real(kept_1), real(new_1), real(kept_2), real(new_2)
    for i in range(p.size):
        gradient = _bounded(g[i], bound)
        square = keep_2 * v[i] + take_2 * (gradient * gradient)
        mean = keep_1 * m[i] + take_1 * gradient
        most = vhat[i]
        most = square if square > most or square != square else most  # NaN stays
        v[i] = square
        m[i] = mean
        vhat[i] = most
        p[i] -= mean / (np.sqrt(most) + least) * speed


@compiled
def _adamax(p, g, m, u, rate, kept, new, beta_2, epsilon):  # type: ignore[no-untyped-def]
    real = p.dtype.type
    speed, keep, take, fade, least = real(rate), real(kept), real(new), real(beta_2), real(epsilon)
    for i in range(p.size):
        mean = keep * m[i] + take * g[i]
        size, most = abs(g[i]), fade * u[i]
        most = size if size > most or size != size else most  # NaN stays
        m[i] = mean
        u[i] = most
        p[i] -= mean / (most + least) * speed


@compiled
def _nadam(  # type: ignore[no-untyped-def]
    p, g, m, v, rate, kept_1, new_1, kept_2, new_2, epsilon, of_g, of_m, of_v, limit
):
    real = p.dtype.type
    speed, least, bound = real(rate), real(epsilon), real(limit)
    keep_1, take_1, keep_2, take_2 = real(kept_1), real(new_1), real(kept_2), real(new_2)
    share_g, share_m, share_v = real(of_g), real(of_m), real(of_v)
    for i in range(p.size):
        gradient = _bounded(g[i], bound)
        square = keep_2 * v[i] + take_2 * (gradient * gradient)
        mean = keep_1 * m[i] + take_1 * gradient
        v[i] = square
        m[i] = mean
        direction = share_g * gradient + share_m * mean
        p[i] -= direction / (np.sqrt(share_v * square) + least) * speed
