"""Layers over space: the only file that knows "channels_first", and where int and tuple arguments become tuples.

A `SpatialLayer` computes on (batch, *space, channels), whatever its ``data_format`` says: its inputs arrive as
transposed views and its outputs leave as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np

from .. import checks, ops
from ..core import config
from ..core.tensor import Tensor
from ..kernels import geometry
from .base import Layer
from .measures import Reach, Reads
from .shapes import InputSpec, Shape, as_size

Lengths = tuple[int | None, ...]
Sizes = tuple[int, ...]
Pair = tuple[int, int]
Channels = TypeVar("Channels", int, "int | None")

# What one axis of space counts, for messages.
_COUNTED = {1: ("steps",), 2: ("rows", "columns"), 3: ("planes", "rows", "columns")}


class SpatialLayer(Layer):
    """Base of the layers over ``rank`` axes of space; the rank is a class attribute.

    A subclass writes `compute`, the values, and `output_lengths` and `output_channels`, the shape.
    None of the three sees ``data_format``.

    Args:
        data_format: "channels_last" for (batch, *space, channels), "channels_first" for (batch, channels, *space).
            None is "channels_last" for one axis of space, and ``image_data_format`` for more.
        **kwargs: Those of `Layer`.
    """

    rank: ClassVar[int]
    _fitting: Lengths | None = None  # of the last input, which have been checked

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = as_data_format(data_format, self.rank, self)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    # ------------------------------------------------------------------ what a subclass writes

    def compute(self, x: Tensor) -> Tensor:
        """Compute (batch, *output space, output channels) from (batch, *space, channels)."""
        raise NotImplementedError(f"{type(self).__name__} must write compute(self, x)")

    def output_lengths(self, lengths: Lengths) -> Lengths:
        """Return the lengths of the output's axes of space; None stays None. Raises ValueError if one is no length."""
        return lengths

    def output_channels(self, channels: Channels) -> Channels:
        """Return the number of the output's channels."""
        return channels

    def axis_reads(self, lengths: Lengths) -> tuple[Reads, ...] | None:
        """Return what is read along each axis of space of the output; None if it isn't known."""
        return None

    # ------------------------------------------------------------------ what it gets for that

    def reach(self, input_shape: Shape) -> Reach | None:
        """Return what `axis_reads` says of the axes of space; the channels are read as a whole."""
        reads = self.axis_reads(self.split_shape(input_shape)[1])
        if reads is None:
            return None
        first = self.data_format == "channels_first"
        space = [((axis + first, one),) for axis, one in enumerate(reads)]
        return Reach(((), *space) if first else (*space, ()), (0 if first else self.rank,))

    def build(self, input_shape: Shape) -> None:
        """Refuse an input that gives no output; a subclass makes its weights first."""
        self.compute_output_shape(input_shape)
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """Compute the output, in the layer's ``data_format``."""
        is_last = self.data_format == "channels_last"
        x = inputs if is_last else channels_last(inputs, self.data_format)
        lengths = x.shape[1:-1]
        if lengths != self._fitting:  # a dimension that was free when the layer was built is checked here
            self.output_lengths(lengths)
            self._fitting = lengths
        y = self.compute(x)
        return y if is_last else from_channels_last(y, self.data_format)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Shape:
        """Return the output's shape for an input's shape, batch dimension and None included."""
        batch, lengths, channels = self.split_shape(input_shape)
        return join_shape(batch, self.output_lengths(lengths), self.output_channels(channels), self.data_format)

    def split_shape(self, shape: Sequence[int | None]) -> tuple[int | None, Lengths, int | None]:
        """Return (batch, lengths, channels) of a shape; raise ValueError if it has another number of axes."""
        InputSpec(ndim=self.rank + 2).check(tuple(shape), self)
        if self.data_format == "channels_first":
            return shape[0], tuple(shape[2:]), shape[1]
        return shape[0], tuple(shape[1:-1]), shape[-1]

    def known_channels(self, input_shape: Sequence[int | None]) -> int:
        """Return the input's channels and let the layer expect just as many from now on.

        Raises:
            ValueError: If they aren't known.
        """
        channels = self.split_shape(input_shape)[2]
        if channels is None:
            raise ValueError(
                f"{self}: the channels of the input must be known when the weights are made. "
                f"Received: input shape {tuple(input_shape)} with data_format={self.data_format!r}"
            )
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={channel_axis(self.data_format): channels})
        return channels


# ---------------------------------------------------------------------- where the channels are


def as_data_format(value: Any, rank: int, owner: Any) -> str:
    """Return "channels_last" or "channels_first".

    Args:
        value: One of them in any case, or None for the default: "channels_last" for one axis of space, and
            ``image_data_format`` for more.
        rank: Number of axes of space.
        owner: The layer, named in the message.

    Raises:
        ValueError: For anything else.
    """
    if value is None:
        return "channels_last" if rank == 1 else config.image_data_format()
    return checks.choice(str(owner), "data_format", value, ("channels_last", "channels_first"))


def channel_axis(data_format: str) -> int:
    """Return the axis of the channels."""
    return 1 if data_format == "channels_first" else -1


def channels_last(x: Tensor, data_format: str) -> Tensor:
    """Return x as (batch, *space, channels): a view."""
    return ops.moveaxis(x, 1, -1) if data_format == "channels_first" else x


def from_channels_last(x: Tensor, data_format: str) -> Tensor:
    """Return (batch, *space, channels) in the data format: a view."""
    return ops.moveaxis(x, -1, 1) if data_format == "channels_first" else x


def join_shape(batch: int | None, lengths: Lengths, channels: int | None, data_format: str) -> Shape:
    """Return the shape with these parts."""
    return (batch, channels, *lengths) if data_format == "channels_first" else (batch, *lengths, channels)


# ---------------------------------------------------------------------- windows


def counted(rank: int) -> Sequence[str]:
    """Return what each of ``rank`` axes of space counts, as messages call it: rows and columns for two."""
    return _COUNTED.get(rank, [f"elements of axis {axis + 1}" for axis in range(rank)])


def window_lengths(
    lengths: Lengths, window: Sizes, strides: Sizes, dilation: Sizes, padding: str, owner: Any
) -> Lengths:
    """Return how many positions a window takes along each axis; None stays None.

    Args:
        lengths: Lengths of the input.
        window, strides, dilation: One integer per axis.
        padding: "valid", "same" or "causal".
        owner: The layer, named in the message.

    Raises:
        ValueError: If the input is narrower than the window.
    """
    found: list[int | None] = []
    for noun, n, k, s, d in zip(counted(len(lengths)), lengths, window, strides, dilation, strict=True):
        if n is None:
            found.append(None)
            continue
        ((lo, hi),) = geometry.explicit_padding(padding, (n,), (k,), (s,), (d,))
        length = geometry.output_length(n, k, s, d, lo, hi) if n else 0
        if length == 0:
            dilated = f" with dilation {d}" if d > 1 else ""
            raise ValueError(
                f"{owner}: the window {k}{dilated} spans {geometry.window_span(k, d)} {noun}, the input has {n}. "
                f"Received: an input with space {lengths}, padding={padding!r}"
            )
        found.append(length)
    return tuple(found)


# ---------------------------------------------------------------------- int and tuple arguments


def as_tuple(value: Any, rank: int, owner: Any, argument: str, minimum: int = 1) -> Sizes:
    """Return one integer per axis of space.

    Args:
        value: An integer for all axes, or a tuple or list of one for each.
        rank: Number of axes.
        owner: The layer, named in the message.
        argument: The argument's name.
        minimum: Smallest value allowed.

    Raises:
        ValueError: For another number of values, or values that are no such integers.
    """
    if not _is_sequence(value):
        return (as_size(value, owner, argument, minimum),) * rank
    if len(value) != rank:
        raise ValueError(
            f"{owner}: {argument} must be an integer or a tuple of {rank}, one for each axis. Received: {value!r}"
        )
    return tuple(as_size(item, owner, f"each item of {argument}", minimum) for item in value)


def as_pairs(value: Any, rank: int, owner: Any, argument: str) -> tuple[Pair, ...]:
    """Return (before, after) for each axis of space, of a cropping or padding.

    Args:
        value: An integer for all sides; a tuple of one per axis, the same before and after; or a tuple of one pair
            per axis. With one axis, a pair of integers is that axis's (before, after).
        rank: Number of axes.
        owner: The layer, named in the message.
        argument: The argument's name.

    Raises:
        ValueError: For anything else.
    """
    if rank == 1 and _is_sequence(value) and len(value) == 2 and not any(_is_sequence(item) for item in value):
        value = (value,)
    if not _is_sequence(value):
        size = as_size(value, owner, argument, minimum=0)
        return ((size, size),) * rank
    if len(value) != rank:
        forms = "or a pair of them" if rank == 1 else f"a tuple of {rank} integers or a tuple of {rank} pairs"
        raise ValueError(f"{owner}: {argument} must be an integer, {forms}. Received: {value!r}")
    return tuple(_as_pair(item, owner, f"each item of {argument}") for item in value)


def _as_pair(value: Any, owner: Any, argument: str) -> Pair:
    if _is_sequence(value) and len(value) != 2:
        raise ValueError(f"{owner}: {argument} must be an integer of at least 0 or a pair of them. Received: {value!r}")
    before, after = value if _is_sequence(value) else (value, value)
    return as_size(before, owner, argument, minimum=0), as_size(after, owner, argument, minimum=0)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim > 0)
