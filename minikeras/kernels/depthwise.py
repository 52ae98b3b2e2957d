"""Depthwise convolution and its two gradients: every channel is filtered by itself.

With one product per element and tap there is nothing for a GEMM to reuse, so taps are accumulated directly,
in blocks that stay in cache. Shapes: x (N, *spatial, C), w (*window, C, M), g (N, *output, C M), channel c M + m.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .blocks import blocks
from .epilogue import add_bias_and_activate
from .geometry import Padding, output_lengths, taps

Ints = tuple[int, ...]


def depthwise_conv(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    strides: Ints,
    padding: Padding,
    dilation: Ints,
    activation: str | None = None,
) -> np.ndarray:
    """Convolve every channel with its own M kernels.

    Parameters
    ----------
    x : ndarray (N, *spatial, C)
    w : ndarray (*window, C, M)
    bias : ndarray (C M,) or None
    strides, dilation : tuples of int, one per spatial axis
    padding : tuple of (lo, hi), one per spatial axis
    activation : {None, "relu", "tanh", "sigmoid"}

    Returns
    -------
    ndarray (N, *output, C M)
        Channel ``c M + m`` is input channel c under its m-th kernel.
    """
    *window, channels, multiplier = w.shape
    sizes = output_lengths(x.shape[1:-1], window, strides, dilation, padding)
    pairs = list(taps(x.shape[1:-1], window, strides, dilation, padding))
    kernels = w.reshape(-1, channels, multiplier)
    out = np.zeros((len(x), *sizes, channels, multiplier), np.result_type(x, w))
    for images in _image_blocks(out, x):
        target, source = out[images], x[images, ..., None]
        for (o, i), kernel in zip(pairs, kernels, strict=True):
            target[(slice(None), *o)] += source[(slice(None), *i)] * kernel
        add_bias_and_activate(target.reshape(*target.shape[:-2], -1), bias, activation)
    return out.reshape(len(x), *sizes, channels * multiplier)


def depthwise_input_grad(
    g: np.ndarray, w: np.ndarray, *, input_size: Ints, strides: Ints, padding: Padding, dilation: Ints
) -> np.ndarray:
    """Adjoint of `depthwise_conv` in x.

    Parameters
    ----------
    g : ndarray (N, *output, C M)
    w : ndarray (*window, C, M)
    input_size : tuple of int
        Spatial sizes of x.
    strides, padding, dilation
        Those of the convolution.

    Returns
    -------
    ndarray (N, *input_size, C)
    """
    *window, channels, multiplier = w.shape
    pairs = list(taps(input_size, window, strides, dilation, padding))
    kernels = w.reshape(-1, channels, multiplier)
    dx = np.zeros((len(g), *input_size, channels), np.result_type(g, w))
    for images in _image_blocks(dx, g):
        target, source = dx[images], g[images].reshape(-1, *g.shape[1:-1], channels, multiplier)
        for (o, i), kernel in zip(pairs, kernels, strict=True):
            for m in range(multiplier):
                target[(slice(None), *i)] += source[(slice(None), *o)][..., m] * kernel[:, m]
    return dx


def depthwise_kernel_grad(
    x: np.ndarray, g: np.ndarray, *, window: Ints, strides: Ints, padding: Padding, dilation: Ints
) -> np.ndarray:
    """Adjoint of `depthwise_conv` in w.

    Parameters
    ----------
    x : ndarray (N, *spatial, C)
    g : ndarray (N, *output, C M)
    window : tuple of int
    strides, padding, dilation
        Those of the convolution.

    Returns
    -------
    ndarray (*window, C, M)
    """
    channels = x.shape[-1]
    multiplier = g.shape[-1] // channels
    pairs = list(taps(x.shape[1:-1], window, strides, dilation, padding))
    axes = list(range(1, x.ndim + 1))
    dw = np.zeros((len(pairs), channels, multiplier), np.result_type(x, g))
    for images in _image_blocks(x, g):
        source, cotangent = x[images], g[images].reshape(-1, *g.shape[1:-1], channels, multiplier)
        for (o, i), total in zip(pairs, dw, strict=True):
            total += np.einsum(source[(slice(None), *i)], axes, cotangent[(slice(None), *o)], [*axes, 0], [axes[-1], 0])
    return dw.reshape(*window, channels, multiplier)


def _image_blocks(*arrays: np.ndarray) -> Iterator[slice]:
    size = sum(a[:1].nbytes for a in arrays)
    for images, _ in blocks(len(arrays[0]), 1, size):
        yield images
