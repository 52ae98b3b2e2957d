"""Noise in training: added, multiplied, or dropping whole channels."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .. import checks, ops
from ..core import random
from ..core.tensor import Tensor
from .base import Layer
from .core import Dropout
from .shapes import InputSpec, Shape
from .spatial import as_data_format, channel_axis


class Noise(Layer):
    """Base of the layers that draw Gaussian noise in training and do nothing outside of it.

    Each layer draws from a random stream of its own. A subclass writes `disturb`.

    Args:
        **kwargs: Those of `Layer`.
    """

    casts_integers = True
    supports_masking = True
    _keeps_places = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stream = random.stream()

    def disturb(self, x: Tensor, noise: np.ndarray) -> Tensor:
        """Return x with noise, given as normal numbers of mean 0 and deviation 1 in x's shape and dtype."""
        raise NotImplementedError(f"{type(self).__name__} must write disturb(self, x, noise)")

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Disturb the input if this is training."""
        if not training:
            return inputs
        drawn = np.float64 if inputs.dtype == np.float64 else np.float32
        return self.disturb(inputs, self.stream.standard_normal(inputs.shape, drawn).astype(inputs.dtype, copy=False))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return tuple(input_shape)


class GaussianNoise(Noise):
    """In training, adds Gaussian noise of mean 0. Outside of training it does nothing.

    Args:
        stddev: Standard deviation of the noise, at least 0.
        **kwargs: Those of `Layer`.

    Input and output: any shape, and the same.

    Raises:
        ValueError: For a negative deviation.

    Example:
        >>> GaussianNoise(0.1)([[1.0, 2.0]], training=False).tolist()
        [[1.0, 2.0]]
    """

    def __init__(self, stddev: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stddev = checks.number(str(self), "stddev", stddev, "[0, inf)")

    def disturb(self, x: Tensor, noise: np.ndarray) -> Tensor:
        """Return ``x + stddev * noise``."""
        return x + self.stddev * noise


class GaussianDropout(Noise):
    """In training, multiplies by Gaussian noise of mean 1 and deviation ``sqrt(rate / (1 - rate))``.

    The deviation is that of `Dropout` with the same rate (Srivastava et al. 2014). Outside of training it does nothing.

    Args:
        rate: At least 0 and less than 1.
        **kwargs: Those of `Layer`.

    Input and output: any shape, and the same.

    Raises:
        ValueError: For a rate outside of [0, 1).

    Example:
        >>> GaussianDropout(0.5)([[1.0, 2.0]], training=False).tolist()
        [[1.0, 2.0]]
    """

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = checks.number(str(self), "rate", rate, "[0, 1)")

    def disturb(self, x: Tensor, noise: np.ndarray) -> Tensor:
        """Return ``x * (1 + deviation * noise)``."""
        deviation = (self.rate / (1.0 - self.rate)) ** 0.5
        return x * (1.0 + deviation * noise)


class AlphaDropout(Dropout):
    """Dropout for networks of selu: in training, keeps mean and variance of an input that has mean 0 and variance 1.

    Elements are set at random to the limit of selu for small arguments, then all are scaled and shifted (Klambauer et
    al. 2017). Outside of training it does nothing.

    Args:
        rate: Probability of an element to be dropped, at least 0 and less than 1.
        noise_shape: Shape of the random choice, as for `Dropout`.
        seed: Seed of the layer's stream; by default one that follows from the seed of the run.
        **kwargs: Those of `Layer`.

    Input and output: any shape, and the same.

    Raises:
        ValueError: As `Dropout`.

    Example:
        >>> AlphaDropout(0.1)([[1.0, 2.0]], training=False).tolist()
        [[1.0, 2.0]]
    """

    _LIMIT: ClassVar[float] = -1.6732632423543772 * 1.0507009873554805

    def drop(self, x: Tensor, keep: np.ndarray) -> Tensor:
        """Return ``scale * x + shift`` where ``keep`` is true and ``scale * limit + shift`` elsewhere."""
        scale = ((1.0 - self.rate) * (1.0 + self.rate * self._LIMIT**2)) ** -0.5
        shift = -scale * self._LIMIT * self.rate
        shifts = np.where(keep, shift, scale * self._LIMIT + shift).astype(x.dtype)
        return ops.dropout(x, keep=keep, scale=scale) + shifts


# ---------------------------------------------------------------------- whole channels


class SpatialDropout(Dropout):
    """In training, sets whole channels to 0 at random and scales the others so that the expectation stays.

    Neighbours in space are much alike, so that dropping single elements would hardly matter (Tompson et al. 2015).
    Outside of training it does nothing.

    Args:
        rate: Probability of a channel to be dropped, at least 0 and less than 1.
        data_format: "channels_last" or "channels_first"; ``image_data_format`` if None, but "channels_last" with
            one axis of space.
        seed: Seed of the layer's stream; by default one that follows from the seed of the run.
        **kwargs: Those of `Layer`.

    Raises:
        ValueError: For a rate outside of [0, 1), or a ``noise_shape``, which follows from the input.
    """

    rank: ClassVar[int]

    def __init__(self, rate: float, data_format: str | None = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, seed=seed, **kwargs)
        if self.noise_shape is not None:
            raise ValueError(
                f"{self}: noise_shape follows from the input: use Dropout for one of your own. "
                f"Received: noise_shape={self.noise_shape}"
            )
        self.data_format = as_data_format(data_format, self.rank, self)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def choice_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape with a size of 1 along space."""
        own = (0, channel_axis(self.data_format) % len(shape))
        return tuple(size if axis in own else 1 for axis, size in enumerate(shape))


class SpatialDropout1D(SpatialDropout):
    """Dropout of whole channels of sequences.

    Args:
        rate: Probability of a channel to be dropped, at least 0 and less than 1.
        seed: Seed of the layer's stream; by default one that follows from the seed of the run.
        **kwargs: Those of `Layer`.

    Input and output: (batch, steps, channels), and the same.

    Example:
        >>> y = SpatialDropout1D(0.5, seed=1)([[[1.0, 1.0], [1.0, 1.0]]], training=True)
        >>> bool((y[:, 0] == y[:, 1]).all())
        True
    """

    rank = 1


class SpatialDropout2D(SpatialDropout):
    """Dropout of whole channels of images.

    Args:
        *args, **kwargs: Those of `SpatialDropout`.

    Input and output: (batch, rows, columns, channels), and the same, or with "channels_first" (batch, channels, rows,
    columns).

    Example:
        >>> SpatialDropout2D(0.2).compute_output_shape((None, 28, 28, 3))
        (None, 28, 28, 3)
    """

    rank = 2


class SpatialDropout3D(SpatialDropout):
    """Dropout of whole channels of volumes.

    Args:
        *args, **kwargs: Those of `SpatialDropout`.

    Input and output: (batch, planes, rows, columns, channels), and the same, or with "channels_first" (batch,
    channels, planes, rows, columns).

    Example:
        >>> SpatialDropout3D(0.2).compute_output_shape((None, 8, 8, 8, 3))
        (None, 8, 8, 8, 3)
    """

    rank = 3
