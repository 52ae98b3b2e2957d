"""Random numbers.

Without a seed every call draws from a new stream under the seed of the whole, see ``minikeras.set_seed``. With one,
the first call starts the stream of that seed and later calls go on with it, so that a layer that gives its seed at
each call has new numbers each time; `clear_session` starts all streams anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..core import config
from ..core.random import get_state, set_state, stream
from ..core.tensor import Tensor
from ..initializers import standard_truncated
from .recording import as_ints, as_tensor, recorded

_streams: dict[int, np.random.Generator] = {}


@recorded
def random_normal(shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: int | None = None) -> Tensor:
    """Normal numbers; new ones whenever a recorded call is replayed.

    Args:
        shape: Tuple of integers, or of scalar Tensors such as ``K.shape(x)[0]``.
        mean: Their mean.
        stddev: Their standard deviation.
        dtype: `floatx` if None.
        seed: Non-negative integer of the stream to draw from; a new one if None.
    """
    return _tensor(_generator(seed).standard_normal(as_ints("random_normal", "shape", shape)), dtype) * stddev + mean


@recorded
def random_uniform(
    shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: int | None = None
) -> Tensor:
    """Numbers drawn uniformly; new ones whenever a recorded call is replayed.

    Args:
        shape: Tuple of integers, or of scalar Tensors such as ``K.shape(x)[0]``.
        minval: Lower end, included.
        maxval: Upper end, excluded.
        dtype: `floatx` if None; of an integer type the numbers are integers.
        seed: Non-negative integer of the stream to draw from; a new one if None.

    Returns:
        Tensor of that shape.
    """
    sizes = as_ints("random_uniform", "shape", shape)
    if np.dtype(dtype or config.floatx()).kind in "iu":
        return Tensor(_generator(seed).integers(minval, maxval, sizes).astype(dtype))
    return _tensor(_generator(seed).random(sizes), dtype) * (maxval - minval) + minval


@recorded
def random_binomial(shape: Any, p: Any = 0.0, dtype: Any = None, seed: int | None = None) -> Tensor:
    """Ones with probability ``p``, else zeros; new ones whenever a recorded call is replayed.

    Args:
        shape: Tuple of integers, or of scalar Tensors such as ``K.shape(x)[0]``.
        p: Probability of a one.
        dtype: `floatx` if None.
        seed: Non-negative integer of the stream to draw from; a new one if None.

    Returns:
        Tensor of that shape.
    """
    ones = ops.less(_generator(seed).random(as_ints("random_binomial", "shape", shape)), p)
    return ops.cast(ones, dtype=dtype or config.floatx())


@recorded
def truncated_normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: int | None = None
) -> Tensor:
    """Normal numbers without those beyond two standard deviations; new ones whenever a recorded call is replayed.

    Args:
        shape: Tuple of integers, or of scalar Tensors such as ``K.shape(x)[0]``.
        mean: Mean of the normal distribution.
        stddev: Its standard deviation, before the ends are cut off.
        dtype: `floatx` if None.
        seed: Non-negative integer of the stream to draw from; a new one if None.

    Returns:
        Tensor of that shape.
    """
    return (
        _tensor(standard_truncated(_generator(seed), as_ints("truncated_normal", "shape", shape)), dtype) * stddev
        + mean
    )


@recorded
def dropout(x: Any, level: float, noise_shape: Any = None, seed: int | None = None) -> Tensor:
    """Set a share of the elements to zero at random and scale the others to the same mean (Srivastava et al. 2014).

    Args:
        x: Any shape.
        level: The share, from 0 to below 1.
        noise_shape: Shape of the choice, 1 (or None: as ``x``) where it is the same along an axis.
        seed: As of `random_normal`.

    Raises:
        ValueError: If the share is out of range, or ``noise_shape`` has another number of axes.
    """
    x = as_tensor(x)
    if not 0 <= level < 1:
        raise ValueError(f"dropout: level must be at least 0 and less than 1. Received: {level!r}")
    noise_shape = (None,) * x.ndim if noise_shape is None else tuple(noise_shape)
    if len(noise_shape) != x.ndim:
        raise ValueError(f"dropout: noise_shape must have {x.ndim} sizes, as x has axes. Received: {noise_shape!r}")
    sizes = [n if noise is None else noise for n, noise in zip(x.shape, noise_shape, strict=True)]
    keep = _generator(seed).random(as_ints("dropout", "shape", sizes)) >= level
    return ops.dropout(x, keep=keep, scale=1.0 / (1.0 - level))


def reset_streams() -> None:
    """Let the streams of all seeds start anew."""
    _streams.clear()


def get_stream_states() -> dict[int, dict[str, Any]]:
    """Where the stream of each seed stands."""
    return {seed: get_state(generator) for seed, generator in _streams.items()}


def set_stream_states(states: dict[int, dict[str, Any]]) -> None:
    """Let the streams of all seeds go on from what `get_stream_states` gave."""
    reset_streams()
    for seed, state in states.items():
        set_state(_generator(seed), state)


def _generator(seed: int | None) -> np.random.Generator:
    if seed is None:
        return stream()
    if seed not in _streams:
        _streams[seed] = stream(seed)
    return _streams[seed]


def _tensor(values: np.ndarray, dtype: Any) -> Tensor:
    return Tensor(values, dtype=dtype or config.floatx())
