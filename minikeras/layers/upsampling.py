"""Upsampling of one, two and three axes of space by whole factors."""

from __future__ import annotations

from typing import Any

from .. import checks, ops
from ..core.tensor import Tensor
from .measures import Reads, elements
from .shapes import Shape
from .spatial import Lengths, SpatialLayer, as_tuple


class UpSampling(SpatialLayer):
    """Upsampling: repeats every element along each axis of space.

    Args:
        size: How often; an integer, or a tuple of one per axis.
        data_format: "channels_last" or "channels_first"; ``image_data_format`` if None, but "channels_last" with
            one axis.
        **kwargs: Those of `Layer`.

    Raises:
        ValueError: For anything but positive integers.
    """

    def __init__(self, size: Any = 2, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.size = as_tuple(size, self.rank, self, "size")

    def compute(self, x: Tensor) -> Tensor:
        """Upsample x (batch, *space, channels)."""
        return ops.upsample_nearest(x, size=self.size)

    def output_lengths(self, lengths: Lengths) -> Lengths:
        """Return ``size`` times the length of each axis."""
        return tuple(None if n is None else n * factor for n, factor in zip(lengths, self.size, strict=True))

    def axis_reads(self, lengths: Lengths) -> tuple[Reads, ...]:
        """Return one element for each repetition."""
        return tuple(Reads(1, ((0,),) * factor) for factor in self.size)

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """None are needed."""
        return 0


class UpSampling1D(UpSampling):
    """Upsampling of one axis, such as time.

    Args:
        *args, **kwargs: Those of `UpSampling`.

    Input and output: (batch, steps, channels) and (batch, size * steps, channels).

    Example:
        >>> UpSampling1D(3).compute_output_shape((None, 10, 4))
        (None, 30, 4)
    """

    rank = 1

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; ``size`` is one integer, as Keras has it."""
        return {**super().get_config(), "size": self.size[0]}


class UpSampling2D(UpSampling):
    """Upsampling of images.

    Args:
        size: As of `UpSampling`.
        data_format: As of `UpSampling`.
        interpolation: "nearest" repeats the elements; "bilinear" puts weighted averages of their neighbours between
            them.
        half_pixel_centers: Where "bilinear" samples: at the centres of pixels, as Keras 3 and PyTorch do, or at their
            corners, as Keras 2.2.4 did, whose images are shifted. Its files are read with False.
        **kwargs: Those of `Layer`.

    Input and output: (batch, rows, columns, channels) and (batch, size[0] * rows, size[1] * columns, channels), or
    with "channels_first" (batch, channels, rows, columns) and so on.

    Raises:
        ValueError: As `UpSampling`; for another interpolation.

    Example:
        >>> UpSampling2D((2, 3)).compute_output_shape((None, 14, 14, 8))
        (None, 28, 42, 8)
    """

    rank = 2

    def __init__(
        self,
        size: Any = 2,
        data_format: str | None = None,
        interpolation: str = "nearest",
        half_pixel_centers: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(size, data_format, **kwargs)
        self.interpolation = checks.choice(str(self), "interpolation", interpolation, ("nearest", "bilinear"))
        self.half_pixel_centers = checks.flag(str(self), "half_pixel_centers", half_pixel_centers)
        self.casts_integers = self.interpolation == "bilinear"

    def compute(self, x: Tensor) -> Tensor:
        """Upsample x (batch, rows, columns, channels)."""
        if self.interpolation == "bilinear":
            return ops.upsample_linear(x, size=self.size, half_pixel=self.half_pixel_centers)
        return super().compute(x)

    def axis_reads(self, lengths: Lengths) -> tuple[Reads, ...]:
        """Return one element for each repetition, or the two that are averaged."""
        if self.interpolation == "nearest":
            return super().axis_reads(lengths)
        centred = self.half_pixel_centers
        return tuple(Reads(1, tuple(_neighbours(p, factor, centred) for p in range(factor))) for factor in self.size)

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """None for repetitions; two multiplications and an addition for each average, one axis after the other."""
        if self.interpolation == "nearest":
            return 0
        found, size = 0, elements(input_shape)
        for factor in self.size:
            size *= factor
            found += 3 * size if factor > 1 else 0
        return found


class UpSampling3D(UpSampling):
    """Upsampling of volumes.

    Args:
        *args, **kwargs: Those of `UpSampling`.

    Input and output: (batch, planes, rows, columns, channels) and (batch, size[0] * planes, size[1] * rows,
    size[2] * columns, channels), or with "channels_first" (batch, channels, planes, rows, columns) and so on.

    Example:
        >>> UpSampling3D((1, 2, 2)).compute_output_shape((None, 4, 7, 7, 8))
        (None, 4, 14, 14, 8)
    """

    rank = 3


def _neighbours(phase: int, factor: int, centred: bool) -> tuple[int, ...]:
    """The elements whose centres, or corners, are around that of a repetition; one if it is there itself."""
    low, rest = divmod(2 * phase + centred * (1 - factor), 2 * factor)
    return (low, low + 1) if rest else (low,)
