"""All gradients of a convolution at once, for those who need no derivative of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .activation import relu_grad
from .conv import conv_input_grad, conv_kernel_grad
from .geometry import Ints, Padding
from .reduction import channel_sum

Gradients = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]
Kernel = Callable[..., np.ndarray]


def conv_gradients(
    delta: np.ndarray,
    x: np.ndarray | None,
    w: np.ndarray | None,
    y: np.ndarray | None = None,
    *,
    needs: tuple[bool, bool, bool],
    input_size: Ints,
    window: Ints,
    strides: Ints,
    padding: Padding,
    dilation: Ints,
    groups: int = 1,
) -> Gradients:
    """Gradients of ``conv(x, w) + bias``, or of ``y = relu(conv(x, w) + bias)``, in its arguments.

    Args:
        delta: ndarray (N, *output, F), the cotangent of the result.
        x: ndarray (N, *input_size, C); None if the gradient in w isn't needed.
        w: ndarray (*window, C / groups, F); None if that in x isn't needed.
        y: ndarray (N, *output, F), the result behind relu; None without.
        needs: which of the gradients in x, w and bias are needed.
        input_size, window, strides, padding, dilation, groups: those of the convolution.

    Returns:
        tuple of ndarray or None, where it isn't needed
    """
    steps = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    kernels = (relu_grad, conv_input_grad, conv_kernel_grad)
    return one_by_one(kernels, (delta, x, w, y), needs, input_size, window, steps)


def one_by_one(
    kernels: tuple[Kernel, Kernel, Kernel],
    arrays: tuple[Any, ...],
    needs: tuple[bool, bool, bool],
    input_size: Ints,
    window: Ints,
    steps: dict[str, Any],
) -> Gradients:
    """The gradients by `kernels` for each of them; the other arguments are those of `conv_gradients`."""
    through_relu, input_grad, kernel_grad = kernels
    delta, x, w, y = arrays
    g = delta if y is None else through_relu(delta, y)
    return (
        input_grad(g, w, input_size=input_size, **steps) if needs[0] else None,
        kernel_grad(x, g, window=window, **steps) if needs[1] else None,
        channel_sum(g) if needs[2] else None,
    )
