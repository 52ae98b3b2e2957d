"""Convolution, its two adjoints, and the depthwise kind; any rank, strides, dilation and groups together.

Shapes: input ``x (N, *spatial, C)``, kernel ``w (*window, C / groups, F)``, output ``y (N, *positions, F)``. Strides,
dilation and padding have one entry per spatial axis; padding entries are (before, after) pairs.

Convolution is bilinear in ``x`` and ``w``. Given the cotangent of its output, :func:`conv_input_grad` is its adjoint in
``x`` and :func:`conv_kernel_grad` that in ``w``, and the derivatives of each of the three are the other two. The
transposed convolution of the layers is :func:`conv_input_grad`.
"""

from __future__ import annotations

from typing import Any

from .. import kernels
from ..core.primitive import primitive
from ..core.tape import grad_enabled
from ..core.tensor import Tensor
from .epilogue import through_activation
from .reduce import sum as reduce_sum
from .windows import check_cotangent, check_kernel, check_sliding

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


@primitive
def conv(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    strides: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int = 1,
    activation: str | None = None,
) -> Any:
    """``activation(x * w + bias)``, a convolution (as in the field: cross-correlation) with its epilogue in one pass.

    Args:
        x: (N, *spatial, C).
        w: (*window, C / groups, F).
        bias: (F,) or None.
        strides, dilation: one int per spatial axis.
        padding: one (before, after) pair per spatial axis, of zeros.
        groups: channels and filters are split into so many parts that don't see each other.
        activation: "relu", "tanh", "sigmoid" or None.

    Returns:
        Tensor (N, *positions, F).
    """
    check_sliding(x, strides=strides, padding=padding, dilation=dilation)
    check_kernel(x, w, bias, w.shape[-2] * groups, w.shape[-1])
    _check_groups(w, groups)
    return kernels.conv(
        x, w, bias, strides=strides, padding=padding, dilation=dilation, groups=groups, activation=activation
    )


@conv.backward(x="w", w="x", out="activation")
def _(
    g: Tensor,
    needs: tuple[bool, ...],
    x: Tensor,
    w: Tensor,
    x_shape: Ints,
    w_shape: Ints,
    out: Tensor,
    strides: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    activation: str | None,
) -> Any:
    sliding = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    needs_bias = len(needs) > 2 and needs[2]
    if activation in (None, "relu") and not grad_enabled():
        needed = (needs[0], needs[1], needs_bias)
        y = None if activation is None else out
        return conv_gradients(g, x, w, y, wanted=needed, input_size=x_shape[1:-1], window=w_shape[:-2], **sliding)
    g = through_activation(g, out, activation)
    return (
        conv_input_grad(g, w, input_size=x_shape[1:-1], **sliding) if needs[0] else None,
        conv_kernel_grad(x, g, window=w_shape[:-2], **sliding) if needs[1] else None,
        _bias_grad(g) if needs_bias else None,
    )


@primitive(differentiable=False)
def conv_gradients(
    delta: Any,
    x: Any,
    w: Any,
    y: Any,
    *,
    wanted: tuple[bool, bool, bool],
    input_size: Ints,
    window: Ints,
    strides: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int = 1,
) -> Any:
    """The gradients of :func:`conv` in input, kernel and bias, where no derivative of them is wanted.

    `y` is its result if that is behind relu, else None. What isn't needed is None, and so may be what only that reads:
    `w` for the input's, `x` for the kernel's.
    """
    return kernels.conv_gradients(
        delta, x, w, y, needs=wanted, input_size=input_size, window=window, strides=strides, padding=padding,
        dilation=dilation, groups=groups,
    )  # fmt: skip


@primitive
def conv_input_grad(
    delta: Any,
    w: Any,
    bias: Any = None,
    *,
    input_size: Ints,
    strides: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int = 1,
    activation: str | None = None,
) -> Any:
    """The adjoint of :func:`conv` in its input, with an epilogue of its own: a transposed convolution.

    Args:
        delta: (N, *positions, F).
        w: (*window, C / groups, F).
        bias: (C,) or None.
        input_size: the spatial sizes of the result.
        strides, padding, dilation, groups: of the convolution whose adjoint this is.
        activation: "relu", "tanh", "sigmoid" or None.

    Returns:
        Tensor (N, *input_size, C).
    """
    check_sliding(delta, input_size=input_size, strides=strides, padding=padding, dilation=dilation)
    check_kernel(delta, w, bias, w.shape[-1], w.shape[-2] * groups)
    _check_groups(w, groups)
    return kernels.conv_input_grad(
        delta,
        w,
        bias,
        input_size=input_size,
        strides=strides,
        padding=padding,
        dilation=dilation,
        groups=groups,
        activation=activation,
    )


@conv_input_grad.backward(delta="w", w="delta", out="activation")
def _(
    g: Tensor,
    needs: tuple[bool, ...],
    delta: Tensor,
    w: Tensor,
    w_shape: Ints,
    out: Tensor,
    strides: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    activation: str | None,
) -> Any:
    g = through_activation(g, out, activation)
    sliding = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    return (
        conv(g, w, **sliding) if needs[0] else None,
        conv_kernel_grad(g, delta, window=w_shape[:-2], **sliding) if needs[1] else None,
        _bias_grad(g) if len(needs) > 2 and needs[2] else None,
    )


@primitive
def conv_kernel_grad(
    x: Any, delta: Any, *, window: Ints, strides: Ints, padding: Pairs, dilation: Ints, groups: int = 1
) -> Any:
    """The adjoint of :func:`conv` in its kernel: (N, *spatial, C), (N, *positions, F) -> (*window, C / groups, F)."""
    check_sliding(x, window=window, strides=strides, padding=padding, dilation=dilation)
    check_cotangent(x, delta, groups)
    if x.shape[-1] % groups:
        raise ValueError(f"the {x.shape[-1]} channels of the input must divide evenly into groups")
    return kernels.conv_kernel_grad(
        x, delta, window=window, strides=strides, padding=padding, dilation=dilation, groups=groups
    )


@conv_kernel_grad.backward(x="delta", delta="x")
def _(
    g: Tensor,
    needs: tuple[bool, bool],
    x: Tensor,
    delta: Tensor,
    x_shape: Ints,
    strides: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
) -> Any:
    sliding = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    return (
        conv_input_grad(delta, g, input_size=x_shape[1:-1], **sliding) if needs[0] else None,
        conv(x, g, **sliding) if needs[1] else None,
    )


def _check_groups(w: Any, groups: int) -> None:
    if w.shape[-1] % groups:
        raise ValueError(f"the {w.shape[-1]} filters of the kernel must divide evenly into groups")


def _bias_grad(g: Tensor) -> Tensor:
    return reduce_sum(g, axis=tuple(range(g.ndim - 1)))


# ---------------------------------------------------------------------- depthwise: a triangle of its own


@primitive
def depthwise_conv(
    x: Any, w: Any, bias: Any = None, *, strides: Ints, padding: Pairs, dilation: Ints, activation: str | None = None
) -> Any:
    """Every channel convolved with its own kernels: output channel ``c * M + m`` sees input channel ``c`` only.

    Args:
        x: (N, *spatial, C).
        w: (*window, C, M).
        bias: (C * M,) or None.
        strides, dilation: one int per spatial axis.
        padding: one (before, after) pair per spatial axis.
        activation: "relu", "tanh", "sigmoid" or None.

    Returns:
        Tensor (N, *positions, C * M).
    """
    check_sliding(x, strides=strides, padding=padding, dilation=dilation)
    check_kernel(x, w, bias, w.shape[-2], w.shape[-2] * w.shape[-1])
    return kernels.depthwise_conv(
        x, w, bias, strides=strides, padding=padding, dilation=dilation, activation=activation
    )


@depthwise_conv.backward(x="w", w="x", out="activation")
def _(
    g: Tensor,
    needs: tuple[bool, ...],
    x: Tensor,
    w: Tensor,
    x_shape: Ints,
    w_shape: Ints,
    out: Tensor,
    strides: Ints,
    padding: Pairs,
    dilation: Ints,
    activation: str | None,
) -> Any:
    g = through_activation(g, out, activation)
    sliding = {"strides": strides, "padding": padding, "dilation": dilation}
    return (
        depthwise_input_grad(g, w, input_size=x_shape[1:-1], **sliding) if needs[0] else None,
        depthwise_kernel_grad(x, g, window=w_shape[:-2], **sliding) if needs[1] else None,
        _bias_grad(g) if len(needs) > 2 and needs[2] else None,
    )


@primitive
def depthwise_input_grad(delta: Any, w: Any, *, input_size: Ints, strides: Ints, padding: Pairs, dilation: Ints) -> Any:
    """The adjoint of :func:`depthwise_conv` in its input: (N, *positions, C * M) -> (N, *input_size, C)."""
    check_sliding(delta, input_size=input_size, strides=strides, padding=padding, dilation=dilation)
    check_kernel(delta, w, None, w.shape[-2] * w.shape[-1], w.shape[-2])
    return kernels.depthwise_input_grad(
        delta, w, input_size=input_size, strides=strides, padding=padding, dilation=dilation
    )


@depthwise_input_grad.backward(delta="w", w="delta")
def _(
    g: Tensor,
    needs: tuple[bool, bool],
    delta: Tensor,
    w: Tensor,
    w_shape: Ints,
    strides: Ints,
    padding: Pairs,
    dilation: Ints,
) -> Any:
    sliding = {"strides": strides, "padding": padding, "dilation": dilation}
    return (
        depthwise_conv(g, w, **sliding) if needs[0] else None,
        depthwise_kernel_grad(g, delta, window=w_shape[:-2], **sliding) if needs[1] else None,
    )


@primitive
def depthwise_kernel_grad(x: Any, delta: Any, *, window: Ints, strides: Ints, padding: Pairs, dilation: Ints) -> Any:
    """The adjoint of :func:`depthwise_conv` in its kernel: -> (*window, C, M)."""
    check_sliding(x, window=window, strides=strides, padding=padding, dilation=dilation)
    check_cotangent(x, delta, x.shape[-1])
    return kernels.depthwise_kernel_grad(x, delta, window=window, strides=strides, padding=padding, dilation=dilation)


@depthwise_kernel_grad.backward(x="delta", delta="x")
def _(
    g: Tensor,
    needs: tuple[bool, bool],
    x: Tensor,
    delta: Tensor,
    x_shape: Ints,
    strides: Ints,
    padding: Pairs,
    dilation: Ints,
) -> Any:
    sliding = {"strides": strides, "padding": padding, "dilation": dilation}
    return (
        depthwise_input_grad(delta, g, input_size=x_shape[1:-1], **sliding) if needs[0] else None,
        depthwise_conv(x, g, **sliding) if needs[1] else None,
    )
