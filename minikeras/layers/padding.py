"""Padding with zeros of one, two and three axes of space."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..core.tensor import Tensor
from .measures import Reads
from .shapes import Shape
from .spatial import Lengths, SpatialLayer, as_pairs


class ZeroPadding(SpatialLayer):
    """Padding: adds zeros at the beginning and the end of each axis of space.

    Args:
        padding: How many; an integer for all sides, a tuple of one per axis for both of its sides, or a tuple of one
            pair (before, after) per axis. With one axis, a pair of integers is its (before, after).
        data_format: "channels_last" or "channels_first"; ``image_data_format`` if None, but "channels_last" with
            one axis.
        **kwargs: Those of `Layer`.

    Raises:
        ValueError: For anything but integers of at least 0.
    """

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.padding = as_pairs(padding, self.rank, self, "padding")

    def compute(self, x: Tensor) -> Tensor:
        """Pad x (batch, *space, channels)."""
        return ops.pad(x, pairs=((0, 0), *self.padding, (0, 0)))

    def output_lengths(self, lengths: Lengths) -> Lengths:
        """Return how long each axis becomes."""
        return tuple(
            None if n is None else n + before + after for n, (before, after) in zip(lengths, self.padding, strict=True)
        )

    def axis_reads(self, lengths: Lengths) -> tuple[Reads, ...]:
        """Return one element, shifted."""
        return tuple(Reads(1, ((-before,),)) for before, _ in self.padding)

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """None are needed."""
        return 0


class ZeroPadding1D(ZeroPadding):
    """Padding of one axis, such as time.

    Args:
        *args, **kwargs: Those of `ZeroPadding`.

    Input and output: (batch, steps, channels) and (batch, padded steps, channels).

    Example:
        >>> ZeroPadding1D((0, 2)).compute_output_shape((None, 10, 3))
        (None, 12, 3)
    """

    rank = 1

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; ``padding`` is one pair, as Keras has it."""
        return {**super().get_config(), "padding": self.padding[0]}


class ZeroPadding2D(ZeroPadding):
    """Padding of images.

    Args:
        *args, **kwargs: Those of `ZeroPadding`.

    Input and output: (batch, rows, columns, channels) and (batch, padded rows, padded columns, channels), or with
    "channels_first" (batch, channels, rows, columns) and so on.

    Example:
        >>> ZeroPadding2D((1, 2)).compute_output_shape((None, 28, 28, 3))
        (None, 30, 32, 3)
    """

    rank = 2


class ZeroPadding3D(ZeroPadding):
    """Padding of volumes.

    Args:
        *args, **kwargs: Those of `ZeroPadding`.

    Input and output: (batch, planes, rows, columns, channels) and (batch, padded planes, padded rows, padded columns,
    channels), or with "channels_first" (batch, channels, planes, rows, columns) and so on.

    Example:
        >>> ZeroPadding3D(((0, 1), (2, 2), (1, 1))).compute_output_shape((None, 8, 8, 8, 1))
        (None, 9, 12, 10, 1)
    """

    rank = 3
