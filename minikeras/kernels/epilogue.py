"""What follows a contraction while its result is still in cache: bias and activation."""

from __future__ import annotations

import math

import numpy as np


def add_bias_and_activate(
    block: np.ndarray, bias: np.ndarray | None, activation: str | None, out: np.ndarray | None = None
) -> None:
    """Add `bias` to the last axis of `block` and apply `activation`.

    Args:
        block: ndarray (..., channels). Is overwritten.
        bias: ndarray (channels,) or None.
        activation: {"relu", "tanh", "sigmoid"} or None.
        out: ndarray of the shape of `block`, any layout. Where the result goes; `block` itself if left out.
    """
    if out is None:
        out = block
    if bias is not None:
        _add_bias(block, bias)
    if activation == "relu":
        np.maximum(block, 0, out=out)
    elif activation == "tanh":
        np.tanh(block, out=out)
    elif activation == "sigmoid":
        _sigmoid(block, out)
    elif activation is not None:
        raise ValueError(f"expected the activation relu, tanh, sigmoid or None. Received: {activation!r}")
    elif out is not block:
        out[...] = block


def _add_bias(block: np.ndarray, bias: np.ndarray) -> None:
    if block.size > 10_000 and block.flags.c_contiguous:  # repeated, for longer inner loops
        width = block.shape[-2]
        row = np.empty((width if width <= 128 else math.gcd(width, 128), bias.size), bias.dtype)
        row[...] = bias
        bias, block = row.reshape(-1), block.reshape(-1, row.size)
    np.add(block, bias, out=block)


def _sigmoid(block: np.ndarray, out: np.ndarray) -> None:
    """1 / (1 + exp(-x)), accurate at both ends: where exp overflows the quotient is 0, as it should be."""
    with np.errstate(over="ignore"):
        np.negative(block, out=block)
        np.exp(block, out=block)
    block += 1
    np.reciprocal(block, out=out)
