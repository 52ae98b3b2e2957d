"""Initial values of weights."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import checks
from .core import config, random
from .registry import Configurable, Registry

_TRUNCATED_STD = 0.87962566103423978  # of the standard normal distribution cut off at two deviations
_DISTRIBUTIONS = ("normal", "uniform", "truncated_normal", "untruncated_normal")


class Initializer(Configurable):
    """Base of all initializers: a callable that makes the values of a weight."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        """Make new values.

        Args:
            shape: Of the weight.
            dtype: A floating-point type; ``floatx`` if None.

        Returns:
            A new ndarray.

        Raises:
            TypeError: If the dtype is not a floating-point type.
            ValueError: If the shape is not made of sizes, or doesn't suit the initializer.
        """
        name = type(self).__name__
        if not isinstance(shape, (tuple, list)) or not all(_is_size(size) for size in shape):
            raise ValueError(f"{name}: shape must be a tuple of non-negative integers. Received: {shape!r}")
        dtype = np.dtype(dtype or config.floatx())
        if dtype.kind != "f":
            raise TypeError(f"{name}: dtype must be a floating-point type. Received: {dtype.name}")
        return self._values(tuple(shape)).astype(dtype, copy=False)

    def _values(self, shape: tuple[int, ...]) -> np.ndarray:
        """The values in any type."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(shape, dtype=None)")


registry = Registry("initializer", base=Initializer)
get = registry.get
serialize = registry.serialize
deserialize = registry.deserialize


@registry.register("zero")
class Zeros(Initializer):
    """All zeros."""

    def _values(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.zeros(shape)


@registry.register("one")
class Ones(Initializer):
    """All ones."""

    def _values(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.ones(shape)


@registry.register
class Constant(Initializer):
    """One value everywhere.

    Args:
        value: A number, or an array that broadcasts to the weight.
    """

    def __init__(self, value: Any = 0) -> None:
        self.value = value

    def _values(self, shape: tuple[int, ...]) -> np.ndarray:
        try:
            return np.broadcast_to(np.asarray(self.value, np.float64), shape).copy()
        except (TypeError, ValueError):
            raise ValueError(
                f"Constant: value must be a number or an array that broadcasts to the shape {shape}. "
                f"Received: {self.value!r}"
            ) from None


class _Random(Initializer):
    """Draws from a stream of its own; with a seed, every call gives the same values, as in Keras 2."""

    seed: int | None

    def _stream(self) -> np.random.Generator:
        return random.stream(self.seed)


@registry.register("normal")
class RandomNormal(_Random):
    """Normal distribution.

    Args:
        mean: Its mean.
        stddev: Its standard deviation.
        seed: Non-negative integer for the same values at every call; None for new ones.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean = checks.number("RandomNormal", "mean", mean)
        self.stddev = checks.number("RandomNormal", "stddev", stddev, "[0, inf)")
        self.seed = _checked_seed("RandomNormal", seed)

    def _values(self, shape: tuple[int, ...]) -> np.ndarray:
        return self._stream().normal(self.mean, self.stddev, shape)


@registry.register("uniform")
class RandomUniform(_Random):
    """Uniform distribution.

    Args:
        minval: Lower end.
        maxval: Upper end.
        seed: Non-negative integer for the same values at every call; None for new ones.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        self.minval = checks.number("RandomUniform", "minval", minval)
        self.maxval = checks.number("RandomUniform", "maxval", maxval, f"[{self.minval}, inf)")
        self.seed = _checked_seed("RandomUniform", seed)

    def _values(self, shape: tuple[int, ...]) -> np.ndarray:
        return self._stream().uniform(self.minval, self.maxval, shape)


@registry.register
class TruncatedNormal(_Random):
    """Normal distribution without what lies beyond two standard deviations.

    Args:
        mean: Mean of the distribution.
        stddev: Standard deviation before the cut.
        seed: Non-negative integer for the same values at every call; None for new ones.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean = checks.number("TruncatedNormal", "mean", mean)
        self.stddev = checks.number("TruncatedNormal", "stddev", stddev, "[0, inf)")
        self.seed = _checked_seed("TruncatedNormal", seed)

    def _values(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.mean + self.stddev * standard_truncated(self._stream(), shape)


@registry.register
class VarianceScaling(_Random):
    """Random values whose variance is ``scale / n``, with n from the shape of the weight.

    Args:
        scale: Positive factor.
        mode: What n is: "fan_in" (inputs of a unit), "fan_out" (its outputs) or "fan_avg" (their mean).
        distribution: "uniform", "normal" (cut off at two standard deviations, as also "truncated_normal" says) or
            "untruncated_normal".
        seed: Non-negative integer for the same values at every call; None for new ones.
    """

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "normal", seed: int | None = None
    ) -> None:
        self.scale = checks.number("VarianceScaling", "scale", scale, "(0, inf)")
        self.mode = checks.choice("VarianceScaling", "mode", mode, ("fan_in", "fan_out", "fan_avg"))
        self.distribution = checks.choice("VarianceScaling", "distribution", distribution, _DISTRIBUTIONS)
        self.seed = _checked_seed("VarianceScaling", seed)

    def _values(self, shape: tuple[int, ...]) -> np.ndarray:
        fan_in, fan_out = compute_fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return self._stream().uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return self._stream().normal(0.0, math.sqrt(variance), shape)
        return math.sqrt(variance) / _TRUNCATED_STD * standard_truncated(self._stream(), shape)


@registry.register
class Orthogonal(_Random):
    """A random orthogonal matrix (Saxe et al. 2014): all axes but the last are its rows.

    Args:
        gain: Factor.
        seed: Non-negative integer for the same values at every call; None for new ones.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        self.gain = checks.number("Orthogonal", "gain", gain)
        self.seed = _checked_seed("Orthogonal", seed)

    def _values(self, shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: the weight must have at least two axes. Received: shape {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(self._stream().standard_normal((max(rows, columns), min(rows, columns))))
        q = q * np.sign(np.diagonal(r))  # without this QR's own choice of signs would not be uniform
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


@registry.register
class Identity(Initializer):
    """The identity matrix, with zeros where it is not square.

    Args:
        gain: Factor.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = checks.number("Identity", "gain", gain)

    def _values(self, shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) != 2:
            raise ValueError(f"Identity: the weight must have two axes. Received: shape {shape}")
        return self.gain * np.eye(*shape)


@registry.register
def glorot_normal(seed: int | None = None) -> VarianceScaling:
    """Truncated normal with variance ``2 / (fan_in + fan_out)`` (Glorot and Bengio 2010)."""
    return VarianceScaling(1.0, "fan_avg", "normal", seed)


@registry.register
def glorot_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform within ``±sqrt(6 / (fan_in + fan_out))`` (Glorot and Bengio 2010)."""
    return VarianceScaling(1.0, "fan_avg", "uniform", seed)


@registry.register
def he_normal(seed: int | None = None) -> VarianceScaling:
    """Truncated normal with variance ``2 / fan_in``, for rectifiers (He et al. 2015)."""
    return VarianceScaling(2.0, "fan_in", "normal", seed)


@registry.register
def he_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform within ``±sqrt(6 / fan_in)``, for rectifiers (He et al. 2015)."""
    return VarianceScaling(2.0, "fan_in", "uniform", seed)


@registry.register
def lecun_normal(seed: int | None = None) -> VarianceScaling:
    """Truncated normal with variance ``1 / fan_in`` (LeCun et al. 1998), for selu (Klambauer et al. 2017)."""
    return VarianceScaling(1.0, "fan_in", "normal", seed)


@registry.register
def lecun_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform within ``±sqrt(3 / fan_in)`` (LeCun et al. 1998)."""
    return VarianceScaling(1.0, "fan_in", "uniform", seed)


zero = zeros = Zeros
one = ones = Ones
constant = Constant
normal = random_normal = RandomNormal
uniform = random_uniform = RandomUniform
truncated_normal = TruncatedNormal
orthogonal = Orthogonal
identity = Identity


def compute_fans(shape: Sequence[int]) -> tuple[float, float]:
    """The number of inputs and of outputs of a unit, as Keras 2 reads them off the shape of a weight.

    Args:
        shape: ``(inputs, units)`` of a matrix, ``(*window, inputs, units)`` of a kernel with a window of 1 to 3 axes.

    Returns:
        ``(fan_in, fan_out)``; for other shapes both are the square root of the number of elements.
    """
    if 2 <= len(shape) <= 5:
        window = math.prod(shape[:-2])
        return float(shape[-2] * window), float(shape[-1] * window)
    return math.sqrt(math.prod(shape)), math.sqrt(math.prod(shape))


def standard_truncated(stream: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal values; those beyond two are drawn again."""
    values = stream.standard_normal(shape)
    flat = values.reshape(-1)
    outside = np.flatnonzero(np.abs(flat) > 2)
    while outside.size:
        flat[outside] = stream.standard_normal(outside.size)
        outside = outside[np.abs(flat[outside]) > 2]
    return values


def _checked_seed(owner: str, seed: Any) -> int | None:
    if seed is None:
        return None
    if not _is_size(seed):
        raise TypeError(f"{owner}: seed must be a non-negative integer or None. Received: {seed!r}")
    return int(seed)


def _is_size(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= 0
