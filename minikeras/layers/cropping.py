"""Cropping of one, two and three axes of space."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..core.tensor import Tensor
from .measures import Reads
from .shapes import Shape
from .spatial import Lengths, SpatialLayer, as_pairs, counted


class Cropping(SpatialLayer):
    """Cropping: takes elements away at the beginning and the end of each axis of space.

    Args:
        cropping: How many; an integer for all sides, a tuple of one per axis for both of its sides, or a tuple of one
            pair (before, after) per axis. With one axis, a pair of integers is its (before, after).
        data_format: "channels_last" or "channels_first"; ``image_data_format`` if None, but "channels_last" with
            one axis.
        **kwargs: Those of `Layer`.

    Raises:
        ValueError: For anything but integers of at least 0; when built or called, if nothing would be left.
    """

    def __init__(self, cropping: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.cropping = as_pairs(cropping, self.rank, self, "cropping")

    def compute(self, x: Tensor) -> Tensor:
        """Crop x (batch, *space, channels)."""
        return ops.crop(x, pairs=((0, 0), *self.cropping, (0, 0)))

    def output_lengths(self, lengths: Lengths) -> Lengths:
        """Return what is left of each axis."""
        for noun, n, (before, after) in zip(counted(self.rank), lengths, self.cropping, strict=True):
            if n is not None and n <= before + after:
                raise ValueError(
                    f"{self}: cropping {before} + {after} of {n} {noun} leaves nothing. "
                    f"Received: an input with space {lengths}, cropping={self.cropping}"
                )
        return tuple(
            None if n is None else n - before - after for n, (before, after) in zip(lengths, self.cropping, strict=True)
        )

    def axis_reads(self, lengths: Lengths) -> tuple[Reads, ...]:
        """Return one element, shifted."""
        return tuple(Reads(1, ((before,),)) for before, _ in self.cropping)

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """None are needed."""
        return 0


class Cropping1D(Cropping):
    """Cropping of one axis, such as time.

    Args:
        *args, **kwargs: Those of `Cropping`.

    Input and output: (batch, steps, channels) and (batch, cropped steps, channels).

    Example:
        >>> Cropping1D((1, 2)).compute_output_shape((None, 10, 3))
        (None, 7, 3)
    """

    rank = 1

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; ``cropping`` is one pair, as Keras has it."""
        return {**super().get_config(), "cropping": self.cropping[0]}


class Cropping2D(Cropping):
    """Cropping of images.

    Args:
        cropping: As of `Cropping`, but nothing by default.
        data_format: As of `Cropping`.
        **kwargs: Those of `Layer`.

    Input and output: (batch, rows, columns, channels) and (batch, cropped rows, cropped columns, channels), or with
    "channels_first" (batch, channels, rows, columns) and so on.

    Example:
        >>> Cropping2D(((2, 2), (4, 0))).compute_output_shape((None, 28, 28, 3))
        (None, 24, 24, 3)
    """

    rank = 2

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, data_format, **kwargs)


class Cropping3D(Cropping):
    """Cropping of volumes.

    Args:
        *args, **kwargs: Those of `Cropping`.

    Input and output: (batch, planes, rows, columns, channels) and (batch, cropped planes, cropped rows,
    cropped columns, channels), or with "channels_first" (batch, channels, planes, rows, columns) and so on.

    Example:
        >>> Cropping3D((2, 4, 2)).compute_output_shape((None, 28, 28, 10, 3))
        (None, 24, 20, 6, 3)
    """

    rank = 3
