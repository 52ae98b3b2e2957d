"""Pooling over windows and over all of space, for one, two and three axes of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from .. import checks, ops
from ..core.tensor import Tensor
from ..kernels import geometry
from .measures import Reach, Reads, elements, read_by_windows
from .shapes import Shape
from .spatial import Lengths, SpatialLayer, as_tuple, channels_last, counted, from_channels_last, window_lengths


class Pooling(SpatialLayer):
    """Pooling: one value for each window that slides over the input, each channel by itself.

    Args:
        pool_size: Size of the window; an integer, or a tuple of one per axis.
        strides: Step of the window; an integer, or a tuple of one per axis; ``pool_size`` if None.
        padding: "valid" for windows inside the input only, or "same" for ``ceil(length / stride)`` outputs; in any
            case. What is added at the border is never a maximum and doesn't count in an average.
        data_format: "channels_last" or "channels_first"; ``image_data_format`` if None, but "channels_last" with
            one axis.
        **kwargs: Those of `Layer`.

    Raises:
        ValueError: For sizes that aren't positive integers; when built or called, for an input narrower than the
            window.
    """

    pool: ClassVar[Callable[..., Tensor]]  # of x, window, strides and padding

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.pool_size = as_tuple(pool_size, self.rank, self, "pool_size")
        self.strides = self.pool_size if strides is None else as_tuple(strides, self.rank, self, "strides")
        self.padding = checks.choice(str(self), "padding", padding, ("valid", "same"))

    def compute(self, x: Tensor) -> Tensor:
        """Pool x (batch, *space, channels)."""
        padding = geometry.explicit_padding(self.padding, x.shape[1:-1], self.pool_size, self.strides, (1,) * self.rank)
        return self.pool(x, window=self.pool_size, strides=self.strides, padding=padding)

    def output_lengths(self, lengths: Lengths) -> Lengths:
        """Return how often the window fits along each axis."""
        return window_lengths(lengths, self.pool_size, self.strides, (1,) * self.rank, self.padding, self)

    def axis_reads(self, lengths: Lengths) -> tuple[Reads, ...]:
        """Return what the window reads along each axis."""
        return read_by_windows(lengths, self.pool_size, self.strides, (1,) * self.rank, self.padding)

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """A comparison, or an addition, for each element of each window."""
        return math.prod(self.pool_size) * elements(output_shape)


class MaxPooling(Pooling):
    """Pooling by the maximum; among equals the first gets the gradient."""

    pool = staticmethod(ops.max_pool)


class AveragePooling(Pooling):
    """Pooling by the mean over the elements of the window that are in the input."""

    casts_integers = True
    pool = staticmethod(ops.average_pool)

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """An addition for each element of each window, and a division for each output."""
        return super().flops(input_shape, output_shape) + elements(output_shape)


class MaxPooling1D(MaxPooling):
    """Pooling of one axis, such as time, by the maximum.

    Args:
        *args, **kwargs: Those of `Pooling`.

    Input and output: (batch, steps, channels) and (batch, new steps, channels).

    Example:
        >>> MaxPooling1D(3, strides=2).compute_output_shape((None, 9, 4))
        (None, 4, 4)
    """

    rank = 1


class MaxPooling2D(MaxPooling):
    """Pooling of images by the maximum.

    Args:
        *args, **kwargs: Those of `Pooling`.

    Input and output: (batch, rows, columns, channels) and (batch, new rows, new columns, channels), or with
    "channels_first" (batch, channels, rows, columns) and so on.

    Example:
        >>> MaxPooling2D((2, 2)).compute_output_shape((None, 28, 28, 32))
        (None, 14, 14, 32)
    """

    rank = 2


class MaxPooling3D(MaxPooling):
    """Pooling of volumes by the maximum.

    Args:
        *args, **kwargs: Those of `Pooling`.

    Input and output: (batch, planes, rows, columns, channels) and (batch, new planes, new rows, new columns,
    channels), or with "channels_first" (batch, channels, planes, rows, columns) and so on.

    Example:
        >>> MaxPooling3D(2, padding="same").compute_output_shape((None, 5, 6, 7, 8))
        (None, 3, 3, 4, 8)
    """

    rank = 3


class AveragePooling1D(AveragePooling):
    """Pooling of one axis, such as time, by the mean.

    Args:
        *args, **kwargs: Those of `Pooling`.

    Input and output: (batch, steps, channels) and (batch, new steps, channels).

    Example:
        >>> AveragePooling1D(3).compute_output_shape((None, 9, 4))
        (None, 3, 4)
    """

    rank = 1


class AveragePooling2D(AveragePooling):
    """Pooling of images by the mean.

    Args:
        *args, **kwargs: Those of `Pooling`.

    Input and output: (batch, rows, columns, channels) and (batch, new rows, new columns, channels), or with
    "channels_first" (batch, channels, rows, columns) and so on.

    Example:
        >>> AveragePooling2D(2, strides=1).compute_output_shape((None, 28, 28, 32))
        (None, 27, 27, 32)
    """

    rank = 2


class AveragePooling3D(AveragePooling):
    """Pooling of volumes by the mean.

    Args:
        *args, **kwargs: Those of `Pooling`.

    Input and output: (batch, planes, rows, columns, channels) and (batch, new planes, new rows, new columns,
    channels), or with "channels_first" (batch, channels, planes, rows, columns) and so on.

    Example:
        >>> AveragePooling3D((1, 2, 2)).compute_output_shape((None, 4, 6, 6, 8))
        (None, 4, 3, 3, 8)
    """

    rank = 3


# ---------------------------------------------------------------------- over all of space


class GlobalPooling(SpatialLayer):
    """Pooling over all of space: one value per channel.

    Args:
        data_format: "channels_last" or "channels_first"; ``image_data_format`` if None, but "channels_last" with
            one axis.
        keepdims: Whether the axes of space stay, with length 1.
        **kwargs: Those of `Layer`.

    Raises:
        ValueError: When built or called, for an axis of length 0.
    """

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.keepdims = checks.flag(str(self), "keepdims", keepdims)

    def output_lengths(self, lengths: Lengths) -> Lengths:
        """Return no lengths, as no axis is left; or ones."""
        for noun, n in zip(counted(self.rank), lengths, strict=True):
            if n == 0:
                raise ValueError(
                    f"{self}: there is nothing to pool in 0 {noun}. Received: an input with space {lengths}"
                )
        return (1,) * (self.rank * self.keepdims)

    def reach(self, input_shape: Shape) -> Reach:
        """Return that all of space is read."""
        return Reach(
            ((),) * (1 + self.rank * self.keepdims), (0 if self.data_format == "channels_first" else self.rank,)
        )

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """A comparison, or an addition, for each element of the input."""
        return elements(input_shape)

    def _space(self) -> tuple[int, ...]:
        """The axes of space of (batch, *space, channels)."""
        return tuple(range(1, self.rank + 1))


class GlobalMaxPooling(GlobalPooling):
    """The maximum of each channel; equals share the gradient evenly."""

    def compute(self, x: Tensor) -> Tensor:
        """Take the maximum over the space of x (batch, *space, channels)."""
        return ops.max(x, axis=self._space(), keepdims=self.keepdims)


class GlobalAveragePooling(GlobalPooling):
    """The mean of each channel (Lin, Chen and Yan 2014)."""

    casts_integers = True

    def compute(self, x: Tensor) -> Tensor:
        """Average x (batch, *space, channels) over its space."""
        return ops.mean(x, axis=self._space(), keepdims=self.keepdims)

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """An addition for each element of the input, and a division for each channel."""
        return super().flops(input_shape, output_shape) + elements(output_shape)


class GlobalMaxPooling1D(GlobalMaxPooling):
    """The maximum over one axis, such as time.

    Args:
        *args, **kwargs: Those of `GlobalPooling`.

    Input and output: (batch, steps, channels) and (batch, channels).

    Example:
        >>> GlobalMaxPooling1D().compute_output_shape((None, None, 4))
        (None, 4)
    """

    rank = 1


class GlobalMaxPooling2D(GlobalMaxPooling):
    """The maximum over images.

    Args:
        *args, **kwargs: Those of `GlobalPooling`.

    Input and output: (batch, rows, columns, channels), or with "channels_first" (batch, channels, rows, columns), and
    (batch, channels).

    Example:
        >>> GlobalMaxPooling2D().compute_output_shape((None, 7, 7, 64))
        (None, 64)
    """

    rank = 2


class GlobalMaxPooling3D(GlobalMaxPooling):
    """The maximum over volumes.

    Args:
        *args, **kwargs: Those of `GlobalPooling`.

    Input and output: (batch, planes, rows, columns, channels), or with "channels_first" (batch, channels, planes,
    rows, columns), and (batch, channels).

    Example:
        >>> GlobalMaxPooling3D().compute_output_shape((None, 4, 4, 4, 16))
        (None, 16)
    """

    rank = 3


class GlobalAveragePooling1D(GlobalAveragePooling):
    """The mean over one axis, such as time; over the steps that count, if the input carries a mask.

    Args:
        *args, **kwargs: Those of `GlobalPooling`.

    Input and output: (batch, steps, channels) and (batch, channels), which is 0 for a sample with no step that counts.

    Example:
        >>> GlobalAveragePooling1D(data_format="channels_first").compute_output_shape((None, 4, None))
        (None, 4)
    """

    rank = 1
    supports_masking = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Average over the steps, or over those that the mask (batch, steps) marks."""
        if mask is None:
            return super().call(inputs)
        x = channels_last(inputs, self.data_format)
        counts = ops.expand_dims(ops.cast(mask, dtype=inputs.dtype), axis=-1)
        if counts.shape[:-1] != x.shape[:2]:
            raise ValueError(
                f"{self}: the mask must be (batch, steps), here {x.shape[:2]}; the mask that an input carries is that "
                f"of its axis 1, and with data_format={self.data_format!r} the steps are axis "
                f"{2 if self.data_format == 'channels_first' else 1}. Received: a mask of shape {counts.shape[:-1]}"
            )
        total = ops.sum(x * counts, axis=1, keepdims=self.keepdims)
        y = total / ops.maximum(ops.sum(counts, axis=1, keepdims=self.keepdims), 1.0)
        return from_channels_last(y, self.data_format) if self.keepdims else y

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> None:
        """Return None: no steps are left."""


class GlobalAveragePooling2D(GlobalAveragePooling):
    """The mean over images.

    Args:
        *args, **kwargs: Those of `GlobalPooling`.

    Input and output: (batch, rows, columns, channels), or with "channels_first" (batch, channels, rows, columns), and
    (batch, channels).

    Example:
        >>> GlobalAveragePooling2D().compute_output_shape((None, 7, 7, 64))
        (None, 64)
    """

    rank = 2


class GlobalAveragePooling3D(GlobalAveragePooling):
    """The mean over volumes.

    Args:
        *args, **kwargs: Those of `GlobalPooling`.

    Input and output: (batch, planes, rows, columns, channels), or with "channels_first" (batch, channels, planes,
    rows, columns), and (batch, channels).

    Example:
        >>> GlobalAveragePooling3D().compute_output_shape((None, 4, 4, 4, 16))
        (None, 16)
    """

    rank = 3
