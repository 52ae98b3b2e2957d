"""Keras's path of the arithmetic of convolutions, for layers of one's own."""

from __future__ import annotations

import operator
from typing import Any

from ..kernels import geometry

__all__ = ["conv_input_length", "conv_output_length", "deconv_length", "normalize_padding", "normalize_tuple"]

_LAYERS = ("valid", "same", "causal")


def normalize_tuple(value: Any, n: int, name: str) -> tuple[int, ...]:
    """One integer per axis, of one for all or of one for each.

    Args:
        value: An integer or n of them.
        n: Number of axes.
        name: Name of the argument, for messages.

    Raises:
        ValueError: If it is neither.

    Example:
        >>> normalize_tuple(3, 2, "kernel_size")
        (3, 3)
    """
    try:
        values = tuple(value) if hasattr(value, "__iter__") else (value,) * n
        checked = tuple(operator.index(item) for item in values)
    except TypeError:
        checked = ()
    if not checked or len(checked) != n:
        raise ValueError(f"{name} must be an integer or {n} integers. Received: {value!r}")
    return checked


def normalize_padding(value: str) -> str:
    """The name of a padding in lower case.

    Args:
        value: "valid", "same" or "causal", in any case.

    Raises:
        ValueError: If it is something else.

    Example:
        >>> normalize_padding("SAME")
        'same'
    """
    padding = value.lower() if isinstance(value, str) else value
    if padding not in _LAYERS:
        raise ValueError(f"padding must be 'valid', 'same' or 'causal'. Received: padding={value!r}")
    return padding


def conv_output_length(
    input_length: int | None, filter_size: int, padding: str, stride: int, dilation: int = 1
) -> int | None:
    """Length of what a convolution makes of an axis.

    Args:
        input_length: Length of the axis; None where it is free.
        filter_size: Length of the window.
        padding: "valid", "same", "causal", or "full" for every position that touches the axis.
        stride: Step of the window.
        dilation: Spacing of the window's taps.

    Returns:
        The length, 0 where the window doesn't fit; None for None.

    Raises:
        ValueError: For another padding.

    Example:
        >>> conv_output_length(28, 5, "valid", 2)
        12
    """
    _check(padding, (*_LAYERS, "full"))
    if input_length is None:
        return None
    if padding == "full":
        lo = hi = geometry.window_span(filter_size, dilation) - 1
    else:
        ((lo, hi),) = geometry.explicit_padding(padding, (input_length,), (filter_size,), (stride,), (dilation,))
    return geometry.output_length(input_length, filter_size, stride, dilation, lo, hi)


def conv_input_length(output_length: int | None, filter_size: int, padding: str, stride: int) -> int | None:
    """Length of an axis of which a convolution makes an output; the shortest, where several do with "valid".

    Args:
        output_length: Length of the output; None where it is free.
        filter_size: Length of the window.
        padding: "valid", "same" or "full".
        stride: Step of the window.

    Returns:
        The length; None for None.

    Raises:
        ValueError: For another padding.

    Example:
        >>> conv_input_length(12, 5, "valid", 2)
        27
    """
    return deconv_length(output_length, stride, filter_size, padding, output_padding=0)


def deconv_length(
    dim_size: int | None,
    stride_size: int,
    kernel_size: int,
    padding: str,
    output_padding: int | None,
    dilation: int = 1,
) -> int | None:
    """Length of what a transposed convolution makes of an axis.

    Args:
        dim_size: Length of the axis; None where it is free.
        stride_size: How much the axis widens.
        kernel_size: Length of the window.
        padding: "valid", "same" or "full".
        output_padding: Elements added at the end; None for the lengths that the layers have without it.
        dilation: Spacing of the window's taps.

    Returns:
        The length; None for None.

    Raises:
        ValueError: For another padding.

    Example:
        >>> deconv_length(14, 2, 5, "same", None)
        28
    """
    _check(padding, ("valid", "same", "full"))
    if dim_size is None:
        return None
    if padding == "full":  # crops what "valid" would give at both ends
        span = geometry.window_span(kernel_size, dilation)
        return (dim_size - 1) * stride_size + span - 2 * (span - 1) + (output_padding or 0)
    return geometry.transposed_length(dim_size, kernel_size, stride_size, padding, output_padding, dilation)


def _check(padding: str, allowed: tuple[str, ...]) -> None:
    if padding not in allowed:
        names = ", ".join(map(repr, allowed))
        raise ValueError(f"padding must be one of {names}. Received: padding={padding!r}")
