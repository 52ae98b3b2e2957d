"""exp and log of float32, made of what LLVM turns into vectors; it knows none of its own."""

from __future__ import annotations

import numpy as np

from .jit import compiled


@compiled
def exponential(x):  # type: ignore[no-untyped-def]
    """``exp(x)`` to one unit in the last place, denormals, infinity and NaN as they should be.

    ``x = n log(2) + r`` with the logarithm in two parts (Cody and Waite 1980), the polynomial in r is that of Cephes
    (Moshier 1989), and the power of two is made of bits, in two halves as it may be beyond the largest exponent.
    """
    x = np.float32(-104) if x < np.float32(-104) else x
    x = np.float32(89) if x > np.float32(89) else x
    shifted = x * np.float32(1.44269504) + np.float32(12582912)  # 1.5 * 2**23: the last bits are the nearest integer
    n = shifted - np.float32(12582912)
    r = x - n * np.float32(0.693359375)
    r += n * np.float32(2.12194440e-4)
    y = np.float32(1.9875691500e-4)
    y = y * r + np.float32(1.3981999507e-3)
    y = y * r + np.float32(8.3334519073e-3)
    y = y * r + np.float32(4.1665795894e-2)
    y = y * r + np.float32(1.6666665459e-1)
    y = y * r + np.float32(5.0000001201e-1)
    y = y * (r * r) + r + np.float32(1)
    power = np.float32(shifted).view(np.int32) - np.int32(0x4B400000)
    half = np.int32(power >> 1)
    return y * _power_of_two(half) * _power_of_two(np.int32(power - half))


@compiled
def _power_of_two(n):  # type: ignore[no-untyped-def]
    return np.int32((n + np.int32(127)) << 23).view(np.float32)


@compiled
def logarithm(x):  # type: ignore[no-untyped-def]
    """``log(x)`` of a positive, finite number that is no denormal, to one unit in the last place.

    ``x = 2**n (1 + f)`` with ``1 + f`` between the roots of 1/2 and 2; the polynomial in f is that of Cephes (Moshier
    1989).
    """
    bits = np.float32(x).view(np.int32)
    power = np.int32((bits - np.int32(0x3F3504F3)) >> 23)
    f = np.int32(bits - np.int32(power << 23)).view(np.float32) - np.float32(1)
    n, square = np.float32(power), f * f
    y = np.float32(7.0376836292e-2)
    y = y * f - np.float32(1.1514610310e-1)
    y = y * f + np.float32(1.1676998740e-1)
    y = y * f - np.float32(1.2420140846e-1)
    y = y * f + np.float32(1.4249322787e-1)
    y = y * f - np.float32(1.6668057665e-1)
    y = y * f + np.float32(2.0000714765e-1)
    y = y * f - np.float32(2.4999993993e-1)
    y = y * f + np.float32(3.3333331174e-1)
    y = y * (f * square) - n * np.float32(2.12194440e-4)
    return (f + (y - np.float32(0.5) * square)) + n * np.float32(0.693359375)
