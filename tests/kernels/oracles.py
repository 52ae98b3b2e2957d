"""Naive oracles: the definitions written out as loops over positions and taps, in float64."""

from __future__ import annotations

import itertools

import numpy as np

from minikeras import kernels


def random_window_case(rng, rank=None, with_dilation=True, with_groups=True):
    """Arguments of a random sliding-window operation that has at least one output per axis."""
    rank = rank or int(rng.integers(1, 4))
    window = tuple(int(k) for k in rng.integers(1, 4, rank))
    strides = tuple(int(s) for s in rng.integers(1, 4, rank))
    dilation = tuple(int(d) for d in rng.integers(1, 4 if with_dilation else 2, rank))
    padding = tuple((int(lo), int(hi)) for lo, hi in rng.integers(0, 4, (rank, 2)))
    groups = int(rng.integers(1, 4)) if with_groups else 1
    lengths = []
    for k, d, (lo, hi) in zip(window, dilation, padding, strict=True):
        least = max((k - 1) * d + 1 - lo - hi, 1)
        lengths.append(least + int(rng.integers(0, 8 if rank < 3 else 4)))
    return {
        "lengths": tuple(lengths),
        "window": window,
        "strides": strides,
        "dilation": dilation,
        "padding": padding,
        "groups": groups,
    }


def reads(lengths, window, strides, dilation, padding):
    """Every (output position, tap, input position) with the input inside the array."""
    outputs = []
    for n, k, s, d, (lo, hi) in zip(lengths, window, strides, dilation, padding, strict=True):
        starts = [p for p in range(-lo, n + hi, s) if p + (k - 1) * d < n + hi]
        outputs.append(list(enumerate(starts)))
    for position in itertools.product(*outputs):
        for tap in itertools.product(*(range(k) for k in window)):
            source = tuple(start + t * d for (_, start), t, d in zip(position, tap, dilation, strict=True))
            if all(0 <= i < n for i, n in zip(source, lengths, strict=True)):
                yield tuple(o for o, _ in position), tap, source


def output_sizes(lengths, window, strides, dilation, padding):
    """Number of starts of a window, counted one by one."""
    sizes = []
    for n, k, s, d, (lo, hi) in zip(lengths, window, strides, dilation, padding, strict=True):
        sizes.append(sum(p + (k - 1) * d < n + hi for p in range(-lo, n + hi, s)))
    return tuple(sizes)


def conv(x, w, strides, padding, dilation, groups):
    lengths, window = x.shape[1:-1], w.shape[:-2]
    inputs, filters = w.shape[-2], w.shape[-1] // groups
    y = np.zeros((len(x), *output_sizes(lengths, window, strides, dilation, padding), w.shape[-1]))
    for o, tap, i in reads(lengths, window, strides, dilation, padding):
        for group in range(groups):
            read, written = (slice(group * n, (group + 1) * n) for n in (inputs, filters))
            y[(slice(None), *o, written)] += x[(slice(None), *i, read)] @ w[tap][:, written]
    return y


def conv_gradients(x, w, g, case):
    """Both adjoints read off the naive convolution, which is linear in each argument."""
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    groups, inputs, filters = case["groups"], w.shape[-2], w.shape[-1] // case["groups"]
    steps = case["strides"], case["dilation"], case["padding"]
    for o, tap, i in reads(x.shape[1:-1], w.shape[:-2], *steps):
        for group in range(groups):
            read, written = (slice(group * n, (group + 1) * n) for n in (inputs, filters))
            cotangent = g[(slice(None), *o, written)]
            dx[(slice(None), *i, read)] += cotangent @ w[tap][:, written].T
            dw[tap][:, written] += x[(slice(None), *i, read)].T @ cotangent
    return dx, dw


def depthwise_conv(x, w, strides, padding, dilation):
    lengths, window = x.shape[1:-1], w.shape[:-2]
    channels, multiplier = w.shape[-2:]
    y = np.zeros((len(x), *output_sizes(lengths, window, strides, dilation, padding), channels * multiplier))
    for o, tap, i in reads(lengths, window, strides, dilation, padding):
        for c, m in itertools.product(range(channels), range(multiplier)):
            y[(slice(None), *o, c * multiplier + m)] += x[(slice(None), *i, c)] * w[tap][c, m]
    return y


def depthwise_gradients(x, w, g, case):
    """Both adjoints read off the naive depthwise convolution."""
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    multiplier = w.shape[-1]
    steps = case["strides"], case["dilation"], case["padding"]
    for o, tap, i in reads(x.shape[1:-1], w.shape[:-2], *steps):
        for c, m in np.ndindex(*w.shape[-2:]):
            cotangent = g[(slice(None), *o, c * multiplier + m)]
            dx[(slice(None), *i, c)] += cotangent * w[tap][c, m]
            dw[tap][c, m] += x[(slice(None), *i, c)] @ cotangent
    return dx, dw


def windows_inside(lengths, window, strides, padding):
    """{output position: [(flat tap, input position), …]} of a pooling."""
    cells = {}
    for o, tap, i in reads(lengths, window, strides, (1,) * len(window), padding):
        cells.setdefault(o, []).append((int(np.ravel_multi_index(tap, window)), i))
    return cells


def assert_convolves(x_shape, window, filters, *, padding=1, strides=1, dilation=1, groups=1, dtype=np.float64):
    """Compare the kernels' convolution of random numbers, and both gradients, with those of the definition."""
    rng = np.random.default_rng(0)
    rank = len(window)
    steps = {"strides": (strides,) * rank, "dilation": (dilation,) * rank, "padding": ((padding, padding),) * rank}
    x = rng.standard_normal(x_shape).astype(dtype)
    w = rng.standard_normal((*window, x_shape[-1] // groups, filters)).astype(dtype)
    y = kernels.conv(x, w, groups=groups, **steps)
    tolerance = {"rtol": 0, "atol": (1e-9 if dtype == np.float64 else 1e-4) * max(np.abs(y).max(), 1)}
    np.testing.assert_allclose(y, conv(x, w, groups=groups, **steps), **tolerance)
    g = rng.standard_normal(y.shape).astype(dtype)
    dx, dw = conv_gradients(x, w, g, {**steps, "groups": groups})
    got = kernels.conv_input_grad(g, w, input_size=x_shape[1:-1], groups=groups, **steps)
    np.testing.assert_allclose(got, dx, **tolerance)
    np.testing.assert_allclose(kernels.conv_kernel_grad(x, g, window=window, groups=groups, **steps), dw, **tolerance)
