"""Softmax and the entropies behind it in one pass over memory: a row stays in the first-level cache until it is done.

For float32, whose exponential function is computed here; what needs one in float64 is NumPy's.
"""

from __future__ import annotations

import numpy as np

from ...core.memory import aligned_empty
from .. import entropy
from .exponential import exponential, logarithm
from .jit import compiled, compiled_sums, is_covered, plain
from .packing import Cut
from .sharing import share
from .vectors import flat

TINY = float(np.finfo(np.float32).tiny)


def softmax(x: np.ndarray, *, axis: int) -> np.ndarray:
    """As `minikeras.kernels.softmax`."""
    if not _is_covered(axis, x):
        return entropy.softmax(x, axis=axis)
    y = np.empty(x.shape, x.dtype)
    rows, out = _rows(x), _rows(y)
    share(_softmax, Cut(rows), Cut(out), length=len(rows), elements=4 * x.size)
    return y


def softmax_grad(delta: np.ndarray, y: np.ndarray, *, axis: int) -> np.ndarray:
    """As `minikeras.kernels.softmax_grad`."""
    if not _is_covered(axis, delta, y):
        return entropy.softmax_grad(delta, y, axis=axis)
    dx = np.empty(y.shape, y.dtype)
    source, value, out = _rows(delta), _rows(y), _rows(dx)
    share(_softmax_grad, Cut(source), Cut(value), Cut(out), length=len(out), elements=3 * y.size)
    return dx


def softmax_cross_entropy(labels: np.ndarray, logits: np.ndarray, *, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """As `minikeras.kernels.softmax_cross_entropy`."""
    if not _is_covered(axis, labels, logits):
        return entropy.softmax_cross_entropy(labels, logits, axis=axis)
    y, shares = np.empty(logits.shape[:-1], logits.dtype), np.empty(logits.shape, logits.dtype)
    weights, rows, out, results = _rows(labels), _rows(logits), _rows(shares), y.reshape(-1)
    arrays = Cut(weights), Cut(rows), Cut(results), Cut(out)
    share(_softmax_cross_entropy, *arrays, length=len(out), elements=4 * logits.size)
    return y, shares


def softmax_cross_entropy_grad(delta: np.ndarray, labels: np.ndarray, shares: np.ndarray, *, axis: int) -> np.ndarray:
    """As `minikeras.kernels.softmax_cross_entropy_grad`."""
    if not _is_covered(axis, labels, shares) or delta.dtype != shares.dtype:
        return entropy.softmax_cross_entropy_grad(delta, labels, shares, axis=axis)
    dx = np.empty(shares.shape, shares.dtype)
    factor, weights, rows, out = plain(delta).reshape(-1), _rows(labels), _rows(shares), _rows(dx)
    arrays = Cut(factor), Cut(weights), Cut(rows), Cut(out)
    share(_softmax_cross_entropy_grad, *arrays, length=len(out), elements=3 * shares.size)
    return dx


def cross_entropy(labels: np.ndarray, probabilities: np.ndarray, *, epsilon: float) -> np.ndarray:
    """As `minikeras.kernels.cross_entropy`."""
    if _is_covered(-1, labels, probabilities) and epsilon > TINY:
        y = np.empty(probabilities.shape[:-1], probabilities.dtype)
        weights, rows, out = _rows(labels), _rows(probabilities), y.reshape(-1)
        arrays = Cut(weights), Cut(rows), Cut(out)
        share(_cross_entropy, *arrays, epsilon, length=len(out), elements=4 * rows.size)
        if np.isfinite(out).all():
            return y
    return entropy.cross_entropy(labels, probabilities, epsilon=epsilon)


def cross_entropy_grad(
    delta: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, *, epsilon: float
) -> np.ndarray:
    """As `minikeras.kernels.cross_entropy_grad`."""
    if _is_covered(-1, labels, probabilities) and delta.dtype == labels.dtype:
        dx = np.empty(probabilities.shape, probabilities.dtype)
        factor, weights, rows, out = plain(delta).reshape(-1), _rows(labels), _rows(probabilities), _rows(dx)
        arrays, fails = (Cut(factor), Cut(weights), Cut(rows), Cut(out)), np.zeros(1, np.intp)
        share(_cross_entropy_grad, *arrays, epsilon, fails, length=len(out), elements=4 * rows.size)
        if not fails[0]:
            return dx
    return entropy.cross_entropy_grad(delta, labels, probabilities, epsilon=epsilon)


def binary_cross_entropy(labels: np.ndarray, probabilities: np.ndarray, *, epsilon: float) -> np.ndarray:
    """As `minikeras.kernels.binary_cross_entropy`."""
    if not _is_alike(labels, probabilities) or epsilon <= TINY:
        return entropy.binary_cross_entropy(labels, probabilities, epsilon=epsilon)
    y = aligned_empty(labels.shape, labels.dtype)
    flat = [Cut(plain(array).reshape(-1)) for array in (labels, probabilities, y)]
    share(_binary_cross_entropy, *flat, epsilon, length=y.size, elements=8 * y.size)
    return y


def binary_cross_entropy_grad(
    delta: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, *, epsilon: float
) -> np.ndarray:
    """As `minikeras.kernels.binary_cross_entropy_grad`."""
    if not _is_alike(delta, labels, probabilities):
        return entropy.binary_cross_entropy_grad(delta, labels, probabilities, epsilon=epsilon)
    dx = aligned_empty(labels.shape, labels.dtype)
    flat = [Cut(plain(array).reshape(-1)) for array in (delta, labels, probabilities, dx)]
    share(_binary_cross_entropy_grad, *flat, epsilon, length=dx.size, elements=4 * dx.size)
    return dx


def _is_alike(*arrays: np.ndarray) -> bool:
    """Whether all are of one shape, and float32."""
    first = arrays[0]
    return first.ndim > 0 and all(array.dtype == np.float32 and array.shape == first.shape for array in arrays)


def _is_covered(axis: int, *arrays: np.ndarray) -> bool:
    """Whether all are of one shape, float32, and `axis` is their last."""
    shape = arrays[-1].shape
    if axis not in (-1, len(shape) - 1) or arrays[-1].dtype != np.float32 or not arrays[-1].size:
        return False
    return is_covered(*arrays) and all(array.shape == shape for array in arrays)


def _rows(array: np.ndarray) -> np.ndarray:
    return plain(array).reshape(-1, array.shape[-1])


# ---------------------------------------------------------------------- compiled

# The largest of a row is found among integers that are in the same order as the numbers, as vectors compare them
# without asking for NaN; a NaN makes the sum of its row NaN.


@compiled
def _order(x):  # type: ignore[no-untyped-def]
    bits = np.float32(x).view(np.int32)
    return np.int32(bits ^ ((bits >> 31) & 0x7FFFFFFF))


@compiled
def _number(order):  # type: ignore[no-untyped-def]
    return np.int32(order ^ ((order >> 31) & 0x7FFFFFFF)).view(np.float32)


@compiled_sums
def _softmax(x, y):  # type: ignore[no-untyped-def]
    source, out, n = flat(x), flat(y), np.uintp(x.shape[1])
    for row in range(x.shape[0]):
        p, top, total = np.uintp(row) * n, np.int32(-0x80000000), np.float32(0)
        for c in range(n):
            top = max(_order(source[p + c]), top)
        most = _number(top)
        for c in range(n):
            e = exponential(source[p + c] - most)
            out[p + c] = e
            total += e
        inverse = np.float32(1) / total
        for c in range(n):
            out[p + c] *= inverse


@compiled_sums
def _softmax_grad(delta, y, dx):  # type: ignore[no-untyped-def]
    source, value, out, n = flat(delta), flat(y), flat(dx), np.uintp(y.shape[1])
    for row in range(y.shape[0]):
        p, total = np.uintp(row) * n, np.float32(0)
        for c in range(n):
            total += source[p + c] * value[p + c]
        for c in range(n):
            out[p + c] = value[p + c] * (source[p + c] - total)


@compiled_sums
def _softmax_cross_entropy(labels, logits, y, shares):  # type: ignore[no-untyped-def]
    weight, source, out, n = flat(labels), flat(logits), flat(shares), np.uintp(logits.shape[1])
    for row in range(y.size):
        p, top = np.uintp(row) * n, np.int32(-0x80000000)
        total = weights = result = np.float32(0)
        for c in range(n):
            top = max(_order(source[p + c]), top)
        most = _number(top)
        for c in range(n):
            below, share = source[p + c] - most, weight[p + c]
            e = exponential(below)
            out[p + c] = e
            total += e
            weights += share
            is_nothing = (share == 0) & (below == -np.inf)  # what can't be counts nothing
            result -= share * (np.float32(0) if is_nothing else below)
        inverse = np.float32(1) / total
        for c in range(n):
            out[p + c] *= inverse
        y[row] = result + weights * np.float32(np.log(total))


@compiled_sums
def _softmax_cross_entropy_grad(delta, labels, shares, dx):  # type: ignore[no-untyped-def]
    weight, source, out, n = flat(labels), flat(shares), flat(dx), np.uintp(shares.shape[1])
    for row in range(delta.size):
        p, weights, factor = np.uintp(row) * n, np.float32(0), delta[row]
        for c in range(n):
            weights += weight[p + c]
        for c in range(n):
            out[p + c] = factor * (source[p + c] * weights - weight[p + c])


@compiled_sums
def _cross_entropy(labels, probabilities, y, epsilon):  # type: ignore[no-untyped-def]
    weight, source, n = flat(labels), flat(probabilities), np.uintp(probabilities.shape[1])
    least, most = np.float32(epsilon), np.float32(1 - epsilon)
    for row in range(y.size):
        p, total, result = np.uintp(row) * n, np.float32(0), np.float32(0)
        for c in range(n):
            total += source[p + c]
        for c in range(n):
            result -= weight[p + c] * logarithm(min(max(source[p + c] / total, least), most))
        y[row] = result if total > 0 else np.nan  # then NumPy's says what


@compiled_sums
def _cross_entropy_grad(delta, labels, probabilities, dx, epsilon, fails):  # type: ignore[no-untyped-def]
    """Set `fails` if a row has no sum to divide by."""
    weight, source, out, n = flat(labels), flat(probabilities), flat(dx), np.uintp(dx.shape[1])
    least, most, zero = np.float32(epsilon), np.float32(1 - epsilon), np.float32(0)
    for row in range(delta.size):
        p, total, sum_of_slopes, factor = np.uintp(row) * n, zero, zero, delta[row]
        for c in range(n):
            total += source[p + c]
        if not 0 < total < np.inf:
            fails[0] = 1
            return
        for c in range(n):
            share = source[p + c] / total
            slope = -factor * weight[p + c] / share
            slope = slope if (share >= least) & (share <= most) else zero
            out[p + c] = slope
            sum_of_slopes += slope * share
        for c in range(n):
            out[p + c] = (out[p + c] - sum_of_slopes) / total


@compiled
def _binary_cross_entropy(labels, probabilities, y, epsilon):  # type: ignore[no-untyped-def]
    least, most, one = np.float32(epsilon), np.float32(1 - epsilon), np.float32(1)
    for i in range(y.size):
        given = probabilities[i]
        p = min(max(given, least), most)
        rest = one - p
        lost = one - rest  # what of p is left when 1 - p has been rounded
        unlikely = logarithm(rest) * (p / lost) if lost > 0 else -p
        value = (labels[i] - one) * unlikely - labels[i] * logarithm(p)
        y[i] = value if given == given else given


@compiled
def _binary_cross_entropy_grad(delta, labels, probabilities, dx, epsilon):  # type: ignore[no-untyped-def]
    least, most, one = np.float32(epsilon), np.float32(1 - epsilon), np.float32(1)
    for i in range(dx.size):
        p = probabilities[i]
        kept = min(max(p, least), most)
        slope = delta[i] * (kept - labels[i]) / (kept * (one - kept))
        dx[i] = slope if kept == p else np.float32(0)
