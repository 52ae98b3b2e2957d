"""Softmax and the entropies behind it, with their gradients: probabilities along one axis."""

from __future__ import annotations

import numpy as np


def softmax(x: np.ndarray, *, axis: int) -> np.ndarray:
    """``exp(x) / sum(exp(x))`` along `axis`, without overflow.

    Args:
        x: ndarray, any shape.
        axis: int.

    Returns:
        ndarray, shape of x
    """
    result = np.exp(x - np.maximum.reduce(x, axis=axis, keepdims=True))
    return np.divide(result, np.add.reduce(result, axis=axis, keepdims=True), out=result)


def softmax_grad(delta: np.ndarray, y: np.ndarray, *, axis: int) -> np.ndarray:
    """``y * (delta - sum(delta * y))``: back through `softmax`, from its value `y`.

    Args:
        delta, y: ndarray, same shape.
        axis: int.

    Returns:
        ndarray of that shape
    """
    result = delta * y
    result -= y * np.add.reduce(result, axis=axis, keepdims=True)
    return result


def log_softmax(x: np.ndarray, *, axis: int) -> np.ndarray:
    """``log(softmax(x))`` along `axis`, exact also where softmax is zero to rounding."""
    shifted = x - np.max(x, axis=axis, keepdims=True)
    shifted -= np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
    return shifted


def softmax_cross_entropy(labels: np.ndarray, logits: np.ndarray, *, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """``-sum(labels * log(softmax(logits)))`` along `axis`; a label of 0 counts nothing, whatever is impossible there.

    Args:
        labels, logits: ndarray, shapes that go together.
        axis: int.

    Returns:
        y: ndarray without `axis`
        shares: ndarray, shape of the logits. Their softmax.
    """
    shifted = logits - np.max(logits, axis=axis, keepdims=True)
    shares = np.exp(shifted)
    total = np.sum(shares, axis=axis, keepdims=True)
    y = -np.sum(weighted(labels, shifted - np.log(total)), axis=axis)
    return y, np.divide(shares, total, out=shares)


def softmax_cross_entropy_grad(delta: np.ndarray, labels: np.ndarray, shares: np.ndarray, *, axis: int) -> np.ndarray:
    """``delta * (shares * sum(labels) - labels)``: back to the logits.

    Args:
        delta: ndarray, the shape of the entropies.
        labels, shares: ndarray, as given to and by `softmax_cross_entropy`.
        axis: int.

    Returns:
        ndarray, the shape that labels and logits have together
    """
    return np.expand_dims(delta, axis) * (shares * np.add.reduce(labels, axis=axis, keepdims=True) - labels)


def cross_entropy(labels: np.ndarray, probabilities: np.ndarray, *, epsilon: float) -> np.ndarray:
    """``-sum(labels * log(p))`` along the last axis, of probabilities made to sum to one and kept off 0 and 1.

    Args:
        labels, probabilities: ndarray (..., classes).
        epsilon: float. How far probabilities are kept from 0 and 1.

    Returns:
        ndarray (...)
    """
    shares = quotient(probabilities, np.add.reduce(probabilities, axis=-1, keepdims=True))
    logarithms = np.log(np.minimum(np.maximum(shares, epsilon), 1.0 - epsilon))
    return -np.add.reduce(labels * logarithms, axis=-1)


def cross_entropy_grad(
    delta: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, *, epsilon: float
) -> np.ndarray:
    """Back through `cross_entropy`, to the probabilities; none where they were kept off 0 or 1.

    Args:
        delta: ndarray (...).
        labels, probabilities: ndarray (..., classes).
        epsilon: As there.

    Returns:
        ndarray (..., classes)
    """
    total = np.add.reduce(probabilities, axis=-1, keepdims=True)
    shares = quotient(probabilities, total)
    kept = np.minimum(np.maximum(shares, epsilon), 1.0 - epsilon)
    slope = np.where(np.equal(kept, shares), -delta[..., None] * labels / kept, 0)
    return quotient(slope - np.add.reduce(slope * shares, axis=-1, keepdims=True), total)


def binary_cross_entropy(labels: np.ndarray, probabilities: np.ndarray, *, epsilon: float) -> np.ndarray:
    """``-labels * log(p) - (1 - labels) * log(1 - p)``, of probabilities kept off 0 and 1.

    Args:
        labels, probabilities: ndarray, shapes that broadcast.
        epsilon: float. How far probabilities are kept from 0 and 1.

    Returns:
        ndarray
    """
    kept = np.minimum(np.maximum(probabilities, epsilon), 1.0 - epsilon)
    return (labels - 1.0) * np.log1p(-kept) - labels * np.log(kept)


def binary_cross_entropy_grad(
    delta: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, *, epsilon: float
) -> np.ndarray:
    """Back through `binary_cross_entropy`, to the probabilities; none where they were kept off 0 or 1.

    Args:
        delta, labels, probabilities: ndarray, shapes that broadcast.
        epsilon: As there.

    Returns:
        ndarray
    """
    kept = np.minimum(np.maximum(probabilities, epsilon), 1.0 - epsilon)
    return np.where(np.equal(kept, probabilities), delta * (kept - labels) / (kept * (1.0 - kept)), 0.0)


def quotient(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``x / y``, and 0 where both are 0."""
    try:
        with np.errstate(invalid="raise"):
            return np.true_divide(x, y)
    except FloatingPointError:
        idle = np.equal(x, 0) & np.equal(y, 0)
        return np.where(idle, 0, np.true_divide(x, np.where(idle, 1, y)))


def weighted(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """``weights * values``, and 0 where a weight is 0 and its value infinite: what can't be counts nothing."""
    try:
        with np.errstate(invalid="raise"):
            return np.multiply(weights, values)
    except FloatingPointError:
        return np.multiply(weights, np.where(np.equal(weights, 0) & np.isinf(values), 0, values))
