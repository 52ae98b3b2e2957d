"""What the output of a layer costs and reads: floating-point operations, and positions of the input.

A layer says both for itself, by `Measured.flops` and `Measured.reach`; models add them up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from .. import activations
from ..kernels import geometry
from .shapes import Shape, is_shape


@dataclass(frozen=True)
class Reads:
    """Which positions along an axis of the input a position of the output reads.

    With n tuples of offsets, output position ``n * q + p`` reads the input positions ``step * q + offset`` for each
    offset of tuple p. A window has one tuple, and its stride as step; what widens by n has n tuples, and step 1.

    Args:
        step: How far n positions further on reads.
        offsets: The tuples.
    """

    step: int = 1
    offsets: tuple[tuple[int, ...], ...] = ((0,),)


ITSELF = Reads()


@dataclass(frozen=True)
class Reach:
    """What the elements of a layer's output read of one input. Axes are those of a sample, counted from 0.

    Args:
        axes: For each axis of the output the axes of the input that it is made of, with the positions that are read.
            An axis of the input that isn't in it is read as a whole.
        channels: The axes of the input that hold channels, not places.
    """

    axes: tuple[tuple[tuple[int, Reads], ...], ...]
    channels: tuple[int, ...] = ()


class Measured:
    """Mixin: what a layer says of its costs."""

    _keeps_places: ClassVar[bool] = False  # an output element reads the input element at its place, and no other

    def flops(self, input_shape: Any, output_shape: Any) -> int | None:
        """Return the number of floating-point operations for one sample, outside of training.

        A multiply-add is two operations; an activation function is one for each element and softmax five, a
        comparison is one. What a convolution reads of its padding counts.

        Args:
            input_shape: Tuple with the batch axis in front, all other sizes known; a list of such for several inputs.
            output_shape: The same of the output.

        Returns:
            The number, or None if it isn't known: a layer of your own may say it.
        """
        return 0 if self._keeps_places else None

    def reach(self, input_shape: Any) -> Reach | list[Reach] | None:
        """Return which elements of a sample an element of the output depends on, for receptive fields.

        Args:
            input_shape: Tuple with the batch axis in front, None where a size is free; a list for several inputs.

        Returns:
            A `Reach`, or a list of one for each input; None if it isn't known: a layer of your own may say it.
        """
        if not self._keeps_places:
            return None
        return keep_places(input_shape) if is_shape(input_shape) else [keep_places(shape) for shape in input_shape]


# ---------------------------------------------------------------------- counting


def says(layer: Measured, method: str) -> bool:
    """Return whether a method speaks of what the layer computes: a class of a user may have a ``call`` of its own.

    Args:
        layer: The layer.
        method: "flops" or "reach".
    """
    classes = type(layer).__mro__
    computes = next(cls for cls in classes if "call" in vars(cls))
    tells = next(cls for cls in classes if method in vars(cls))
    own = computes.__module__.partition(".")[0] != __name__.partition(".")[0]
    return not own or classes.index(tells) <= classes.index(computes)


def elements(shape: Sequence[int | None]) -> int:
    """Return the number of elements of one sample; its sizes must be known."""
    return math.prod(size or 0 for size in shape[1:])


def activation_flops(activation: Callable[..., Any] | None, shape: Shape) -> int:
    """Return the operations of an activation function on one sample.

    Args:
        activation: The function, or None.
        shape: What it is applied to, with the batch axis: one for each element, five for softmax (maximum,
            subtraction, exponential, sum, division), none for "linear".
    """
    if activation is None or activation is activations.linear:
        return 0
    return (5 if activation is activations.softmax else 1) * elements(shape)


# ---------------------------------------------------------------------- positions


def keep_places(shape: Shape, mixed: Sequence[int] = (), channels: Sequence[int] = ()) -> Reach:
    """Return the reach of a layer whose output has the input's axes.

    Args:
        shape: The input's, with the batch axis.
        mixed: Axes of a sample along which each element reads all others.
        channels: Those of them that hold channels.
    """
    axes = range(len(shape) - 1)
    return Reach(tuple(() if axis in mixed else ((axis, ITSELF),) for axis in axes), tuple(channels))


def read_by_windows(
    lengths: Sequence[int | None],
    window: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    padding: str,
) -> tuple[Reads, ...]:
    """Return what a sliding window reads along each axis; arguments as for ``spatial.window_lengths``."""
    found = []
    for n, k, s, d in zip(lengths, window, strides, dilation, strict=True):
        before = _padding_before(padding, n, k, s, d)
        found.append(Reads(s, (tuple(tap * d - before for tap in range(k)),)))
    return tuple(found)


def read_by_adjoint(
    lengths: Sequence[int | None],
    window: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    padding: str,
) -> tuple[Reads, ...]:
    """Return what the adjoint of a sliding window reads along each axis.

    Args:
        lengths: Lengths of the output, the input of the window.
        window, strides, dilation, padding: Those of the window.
    """
    found = []
    for n, k, s, d in zip(lengths, window, strides, dilation, strict=True):
        before = _padding_before(padding, n, k, s, d)
        phases = [[(p + before - tap * d) for tap in range(k)] for p in range(s)]
        found.append(Reads(1, tuple(tuple(at // s for at in phase if at % s == 0) for phase in phases)))
    return tuple(found)


def _padding_before(padding: str, length: int | None, window: int, stride: int, dilation: int) -> int:
    # of a free length the padding at the front isn't known; a multiple of the stride is the usual case
    n = stride * geometry.window_span(window, dilation) if length is None else length
    ((before, _),) = geometry.explicit_padding(padding, (n,), (window,), (stride,), (dilation,))
    return before
