"""Inputs that force each path of each kernel, with the naive result and the names of the paths that they take.

Which way a convolution goes depends on its geometry alone (`_convolve`, `lowers_by_tap`, `lowers_rowwise` and their
kin), so each case says its geometry, and the test asserts that the way was taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minikeras import ops
from minikeras.ops.elementwise import sigmoid_grad, tanh_grad
from minikeras.ops.epilogue import relu_grad
from tests.kernels import oracles

IMAGES = 3
ACTIVATIONS = {
    None: lambda y: y,
    "relu": lambda y: np.maximum(y, 0),
    "tanh": np.tanh,
    "sigmoid": lambda y: 1 / (1 + np.exp(-y)),
}


class Case(NamedTuple):
    """A function of Tensors that takes a certain path.

    Attributes:
        name: In words.
        takes: The paths that its forward takes with NumPy's kernels, of those that `test_every_path.py` watches.
        f: The function.
        arrays: Its inputs, in float64.
        expected: Its value by the definition.
    """

    name: str
    takes: set[str]
    f: Callable[..., Any]
    arrays: list[np.ndarray]
    expected: Callable[..., np.ndarray]


def cases() -> list[Case]:
    """All of them; a name says the kernel and the path."""
    return [*_convolutions(), *_input_gradients(), *_kernel_gradients(), *_depthwise(), *_pools(), *_others()]


def _geometry(lengths, window, strides=1, dilation=1, padding=1, groups=1):
    rank = len(lengths)
    return {
        "strides": (strides,) * rank,
        "padding": ((padding, padding),) * rank if isinstance(padding, int) else padding,
        "dilation": (dilation,) * rank,
        "groups": groups,
    }


def _random(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def _plain(steps):
    return {name: value for name, value in steps.items() if name != "groups"}


# ---------------------------------------------------------------------- convolution

# name: (paths, lengths, window, channels, filters, geometry, activation; "no bias" leaves that out)
CONVOLUTIONS = {
    "by projection": ({"projection"}, (6, 7), (3, 3), 16, 2, {}, "relu"),
    "by projection, 1-D, dilated": ({"projection"}, (12,), (3,), 8, 1, {"dilation": 2}, None),
    "by projection, 3-D": ({"projection"}, (3, 4, 5), (2, 1, 3), 9, 1, {}, "no bias"),
    "by tap": ({"tap, whole rows"}, (6, 7), (3, 3), 1, 3, {}, "tanh"),
    "by tap, no bias": ({"tap, whole rows"}, (6, 7), (3, 3), 1, 3, {}, "no bias"),
    "by tap, groups": ({"tap, whole rows"}, (6, 7), (3, 3), 4, 4, {"groups": 2}, "sigmoid"),
    "by tap, dilated": ({"tap, whole rows"}, (7, 9), (3, 3), 3, 4, {"dilation": 2}, None),
    "by tap, 3-D": ({"tap, whole rows"}, (3, 4, 9), (2, 2, 3), 1, 2, {}, None),
    "by tap, 1-D": ({"tap"}, (12,), (3,), 1, 2, {}, "relu"),
    "by tap, strided": ({"tap"}, (11, 12), (3, 3), 1, 3, {"strides": 2}, None),
    "by tap, strided, groups": ({"tap"}, (15, 17), (3, 3), 4, 4, {"strides": 2, "groups": 2}, "no bias"),
    "by position": ({"position"}, (6, 7), (3, 3), 6, 4, {}, "sigmoid"),
    "by position, strided": ({"position"}, (6, 7), (3, 3), 6, 4, {"strides": 2}, None),
    "by position, groups": ({"position"}, (6, 7), (3, 3), 12, 4, {"groups": 2}, "tanh"),
    "by position, one pixel": ({"position"}, (4, 5), (1, 1), 3, 4, {"padding": 0}, "no bias"),
    "by position, one pixel of many": (
        {"position"},
        (7, 6),
        (1, 1),
        6,
        4,
        {"padding": 0, "strides": 3, "groups": 2},
        None,
    ),
    "by position, many filters": ({"position"}, (16, 16), (3, 3), 6, 24, {}, "relu"),
    "by position, many channels": ({"position"}, (7, 8), (3, 3), 16, 17, {}, "relu"),
    "by position, many channels, no padding": ({"position"}, (7, 13), (3, 3), 17, 16, {"padding": 0}, "no bias"),
    "by position, row by row": ({"position, row by row"}, (16, 16), (3, 3), 6, 4, {}, "relu"),
    "by position, row by row, dilated": ({"position, row by row"}, (18, 18), (3, 3), 16, 4, {"dilation": 2}, None),
    "by shifts": ({"shifted"}, (256,), (3,), 6, 4, {}, "relu"),
    "by shifts, dilated, much padding": ({"shifted"}, (80,), (4,), 16, 3, {"dilation": 7, "padding": 40}, "no bias"),
    "by shifts, no padding": ({"shifted"}, (80,), (2,), 9, 10, {"padding": 0}, "tanh"),
    "by shifts, along one of two axes": ({"shifted"}, (20, 9), (3, 1), 16, 5, {"padding": ((2, 1), (0, 0))}, None),
    "by Winograd": ({"winograd"}, (11, 12), (3, 3), 16, 32, {}, "relu"),
    "by Winograd, cut in rows": ({"winograd"}, (43, 8), (3, 3), 32, 16, {}, "relu"),
    "by Winograd, tiles that fit": ({"winograd"}, (22, 18), (3, 3), 16, 32, {"padding": 0}, "no bias"),
    "of one channel per group": ({"depthwise, rows"}, (6, 7), (3, 3), 3, 6, {"groups": 3}, "tanh"),
}


def _convolutions():
    for name, (takes, lengths, window, channels, filters, options, activation) in CONVOLUTIONS.items():
        steps = _geometry(lengths, window, **options)
        x, w, bias = _random((IMAGES, *lengths, channels), (*window, channels // steps["groups"], filters), (filters,))
        function = None if activation == "no bias" else activation
        arrays = [x, w] if activation == "no bias" else [x, w, bias]

        def f(*tensors, steps=steps, function=function):
            return ops.conv(*tensors, activation=function, **steps)

        def expected(x, w, bias=0.0, steps=steps, function=function):
            return ACTIVATIONS[function](oracles.conv(x, w, **steps) + bias)

        yield Case(f"conv {name}", takes, f, arrays, expected)


# as above; channels are those of the result, and the paths those of the phases
INPUT_GRADIENTS = {
    "by projection": ({"projection"}, (6, 7), (3, 3), 2, 16, {}, "relu"),
    "by tap": ({"tap, whole rows"}, (6, 7), (3, 3), 3, 1, {}, "tanh"),
    "by tap, phases": ({"tap, whole rows", "position"}, (14, 15), (3, 3), 3, 1, {"strides": 2}, "sigmoid"),
    "by tap, 1-D, phases": ({"tap", "position"}, (15,), (3,), 3, 1, {"strides": 2}, None),
    "by position": ({"position"}, (6, 7), (3, 3), 4, 6, {}, None),
    "by position, phases": ({"position"}, (6, 7), (3, 3), 4, 16, {"strides": 2}, "relu"),
    "by position, phases, groups": ({"position"}, (6, 7), (3, 3), 4, 32, {"strides": 2, "groups": 2}, "no bias"),
    "by position, phases without taps": ({"position"}, (7, 7), (2, 2), 3, 16, {"strides": 3}, "tanh"),
    "by position, phases, dilated": ({"position"}, (9, 8), (3, 2), 3, 16, {"strides": 2, "dilation": 3}, None),
    "by position, many channels": ({"position"}, (7, 8), (3, 3), 16, 17, {}, "relu"),
    "by position, row by row": ({"position, row by row"}, (16, 16), (3, 3), 4, 6, {}, "no bias"),
    "by shifts": ({"shifted"}, (120,), (3,), 4, 6, {}, "relu"),
    "by shifts, phases": ({"shifted"}, (401,), (5,), 4, 9, {"strides": 2}, "relu"),
    "by Winograd": ({"winograd"}, (11, 12), (3, 3), 16, 32, {"padding": 0}, "relu"),
    "by sums for each tap": ({"sums"}, (6, 7), (3, 3), 4, 6, {"padding": 0}, "relu"),
    "by sums for each tap, few outputs": ({"sums"}, (4,), (3,), 2, 3, {"strides": 2}, "relu"),
    "by sums for each tap, dilated, no bias": ({"sums"}, (14,), (3,), 2, 3, {"padding": 0, "dilation": 3}, "no bias"),
    "of one channel per group": ({"depthwise, rows"}, (6, 7), (3, 3), 3, 6, {"groups": 3}, "sigmoid"),
}


def _input_gradients():
    for name, (takes, lengths, window, channels, filters, options, activation) in INPUT_GRADIENTS.items():
        steps = _geometry(lengths, window, **options)
        sizes = oracles.output_sizes(lengths, window, steps["strides"], steps["dilation"], steps["padding"])
        g, w, bias = _random((IMAGES, *sizes, filters), (*window, channels // steps["groups"], filters), (channels,))
        function = None if activation == "no bias" else activation
        arrays = [g, w] if activation == "no bias" else [g, w, bias]

        def f(*tensors, steps=steps, function=function, lengths=lengths):
            return ops.conv_input_grad(*tensors, input_size=lengths, activation=function, **steps)

        def expected(g, w, bias=0.0, steps=steps, function=function, shape=(IMAGES, *lengths, channels)):
            return ACTIVATIONS[function](oracles.conv_gradients(np.zeros(shape), w, g, steps)[0] + bias)

        yield Case(f"conv_input_grad {name}", takes, f, arrays, expected)


KERNEL_GRADIENTS = {
    "from the smaller side, by position": ({"mirrored", "kernel: position"}, (6, 7), (3, 3), 48, 6, {}),
    "from the smaller side, by tap": ({"mirrored", "kernel: tap"}, (6, 7), (3, 3), 16, 2, {}),
    "of few filters, much padding": ({"kernel: position, row by row"}, (6, 7), (3, 3), 16, 2, {"padding": 4}),
    "by tap": ({"kernel: tap"}, (6, 7), (3, 3), 1, 3, {}),
    "by tap, groups": ({"kernel: tap"}, (6, 7), (3, 3), 4, 4, {"groups": 2}),
    "by tap, strided": ({"kernel: tap"}, (11, 12), (3, 3), 1, 3, {"strides": 2}),
    "by tap, 1-D": ({"kernel: tap"}, (12,), (3,), 1, 3, {}),
    "by position": ({"kernel: position"}, (6, 7), (3, 3), 6, 4, {}),
    "by position, strided": ({"kernel: position"}, (6, 7), (3, 3), 6, 4, {"strides": 2}),
    "by position, one pixel of many": ({"kernel: position"}, (7, 6), (1, 1), 6, 4, {"padding": 0, "strides": 2}),
    "by position, groups": ({"kernel: position"}, (6, 7), (3, 3), 12, 4, {"groups": 2}),
    "by position, many channels": ({"kernel: position"}, (7, 8), (3, 3), 16, 17, {}),
    "by position, row by row": ({"kernel: position, row by row"}, (16, 16), (3, 3), 6, 4, {}),
    "by position, row by row, groups": ({"kernel: position, row by row"}, (16, 16), (3, 3), 12, 4, {"groups": 2}),
    "by shifts": ({"shifted kernel"}, (80,), (3,), 6, 4, {"padding": 2}),
    "by shifts, along one of two axes": ({"shifted kernel"}, (20, 9), (3, 1), 16, 4, {"padding": ((1, 1), (0, 0))}),
    "by Winograd": ({"winograd kernel"}, (11, 12), (3, 3), 16, 32, {}),
    "by Winograd, cut in rows": ({"winograd kernel"}, (43, 8), (3, 3), 32, 16, {"padding": 0}),
    "of one channel per group": ({"depthwise kernel, rows"}, (6, 7), (3, 3), 3, 6, {"groups": 3}),
}


def _kernel_gradients():
    for name, (takes, lengths, window, channels, filters, options) in KERNEL_GRADIENTS.items():
        steps = _geometry(lengths, window, **options)
        sizes = oracles.output_sizes(lengths, window, steps["strides"], steps["dilation"], steps["padding"])
        arrays = _random((IMAGES, *lengths, channels), (IMAGES, *sizes, filters))

        def f(x, g, steps=steps, window=window):
            return ops.conv_kernel_grad(x, g, window=window, **steps)

        def expected(x, g, steps=steps, shape=(*window, channels // steps["groups"], filters)):
            return oracles.conv_gradients(x, np.zeros(shape), g, steps)[1]

        yield Case(f"conv_kernel_grad {name}", takes, f, arrays, expected)


# name: (rows or positions, lengths, window, channels, multiplier, geometry)
DEPTHWISE = {
    "rows": ("rows", (6, 7), (3, 3), 3, 1, {}),
    "rows, multiplied": ("rows", (6, 7), (3, 3), 2, 3, {}),
    "rows, 1-D": ("rows", (12,), (3,), 3, 2, {}),
    "rows, 3-D, dilated": ("rows", (5, 4, 5), (2, 1, 2), 2, 1, {"dilation": 2}),
    "rows, strided": ("rows", (6, 7), (3, 3), 3, 1, {"strides": 2}),
    "rows, strided, multiplied": ("rows", (7, 7), (2, 3), 2, 2, {"strides": 3}),
    "rows, strided, much padding": ("rows", (4, 3), (2, 5), 2, 1, {"strides": 2, "padding": 5}),
    "rows, strided, taps that read nothing": ("rows", (9, 2), (1, 2), 2, 1, {"strides": 3, "padding": 0}),
    "positions": ("positions", (9, 11), (3, 3), 3, 1, {"strides": 2, "dilation": 2}),
    "positions, multiplied": ("positions", (9, 9), (2, 3), 2, 2, {"strides": 3, "dilation": 2}),
}


def _depthwise():
    for name, (walk, lengths, window, channels, multiplier, options) in DEPTHWISE.items():
        steps = _plain(_geometry(lengths, window, **options))
        sizes = oracles.output_sizes(lengths, window, steps["strides"], steps["dilation"], steps["padding"])
        x, w, g, bias = _random(
            (IMAGES, *lengths, channels),
            (*window, channels, multiplier),
            (IMAGES, *sizes, channels * multiplier),
            (channels * multiplier,),
        )

        def forward(x, w, bias, steps=steps):
            return ops.depthwise_conv(x, w, bias, activation="tanh", **steps)

        def by_definition(x, w, bias, steps=steps):
            return np.tanh(oracles.depthwise_conv(x, w, **steps) + bias)

        def input_grad(g, w, steps=steps, lengths=lengths):
            return ops.depthwise_input_grad(g, w, input_size=lengths, **steps)

        def naive_input_grad(g, w, steps=steps, shape=x.shape):
            return oracles.depthwise_gradients(np.zeros(shape), w, g, steps)[0]

        def kernel_grad(x, g, steps=steps, window=window):
            return ops.depthwise_kernel_grad(x, g, window=window, **steps)

        def naive_kernel_grad(x, g, steps=steps, shape=w.shape):
            return oracles.depthwise_gradients(x, np.zeros(shape), g, steps)[1]

        yield Case(f"depthwise_conv by {name}", {f"depthwise, {walk}"}, forward, [x, w, bias], by_definition)
        # its phases have stride 1
        yield Case(f"depthwise_input_grad of {name}", {"depthwise, rows"}, input_grad, [g, w], naive_input_grad)
        yield Case(
            f"depthwise_kernel_grad by {name}", {f"depthwise kernel, {walk}"}, kernel_grad, [x, g], naive_kernel_grad
        )


# ---------------------------------------------------------------------- pooling

# name: (tiled, lengths, window, strides, padding)
POOLS = {
    "tiles": (True, (4, 6), (2, 3), (2, 3), ((0, 0), (0, 0))),
    "tiles and a rest": (False, (5, 6), (2, 3), (2, 3), ((0, 0), (0, 0))),
    "gaps": (False, (7, 8), (2, 2), (3, 4), ((0, 0), (0, 0))),
    "overlaps": (False, (6, 7), (3, 3), (2, 1), ((0, 0), (0, 0))),
    "padded tiles": (False, (5, 6), (2, 2), (2, 2), ((1, 0), (1, 1))),
    "padded overlaps": (False, (6, 7), (3, 3), (2, 2), ((1, 1), (0, 1))),
    "1-D": (False, (9,), (3,), (2,), ((1, 1),)),
    "3-D": (True, (2, 4, 2), (2, 2, 1), (2, 2, 1), ((0, 0), (0, 0), (0, 0))),
    "more than 256 taps": (False, (280,), (270,), (3,), ((0, 0),)),
}


def _pools():
    for name, (is_tiled, lengths, window, strides, padding) in POOLS.items():
        steps = {"window": window, "strides": strides, "padding": padding}
        cells = oracles.windows_inside(lengths, window, strides, padding)
        sizes = oracles.output_sizes(lengths, window, strides, (1,) * len(lengths), padding)
        (x, g) = _random((IMAGES, *lengths, 2), (IMAGES, *sizes, 2))
        index = _winners(x, cells, g.shape)
        tiled = {"tiled"} if is_tiled else {"not tiled"}
        options = {"steps": steps, "cells": cells, "index": index, "lengths": lengths, "shape": g.shape}

        def max_pool(x, o=options):
            return ops.max_pool(x, **o["steps"])

        def naive_max(x, o=options):
            return _gathered(x, o["cells"], o["index"])

        def gather(x, o=options):
            return ops.pool_gather(x, index=o["index"], **o["steps"])

        def scatter(g, o=options):
            return ops.pool_scatter(g, index=o["index"], input_size=o["lengths"], **o["steps"])

        def naive_scatter(g, o=options):
            return _scattered(g, o["cells"], o["index"], o["lengths"])

        def average(x, o=options):
            return ops.average_pool(x, **o["steps"])

        def naive_average(x, o=options):
            y = np.zeros(o["shape"])
            for place, cell in o["cells"].items():
                y[(slice(None), *place)] = np.mean([x[(slice(None), *i)] for _, i in cell], axis=0)
            return y

        def spread(g, o=options):
            return ops.average_pool_grad(g, input_size=o["lengths"], **o["steps"])

        def naive_spread(g, o=options):
            dx = np.zeros((len(g), *o["lengths"], g.shape[-1]))
            for place, cell in o["cells"].items():
                for _, i in cell:
                    dx[(slice(None), *i)] += g[(slice(None), *place)] / len(cell)
            return dx

        yield Case(f"max_pool, {name}", set(), max_pool, [x], naive_max)
        yield Case(f"pool_gather, {name}", set(), gather, [x], naive_max)
        yield Case(f"pool_scatter, {name}", tiled, scatter, [g], naive_scatter)
        yield Case(f"average_pool, {name}", set(), average, [x], naive_average)
        yield Case(f"average_pool_grad, {name}", tiled, spread, [g], naive_spread)


def _winners(x, cells, shape):
    index = np.zeros(shape, np.uint16)
    for place, cell in cells.items():
        best = np.argmax([x[(slice(None), *i)] for _, i in cell], axis=0)
        index[(slice(None), *place)] = np.array([tap for tap, _ in cell])[best]
    return index


def _gathered(x, cells, index):
    y = np.zeros(index.shape)
    for place, cell in cells.items():
        for tap, i in cell:
            chosen = index[(slice(None), *place)] == tap
            y[(slice(None), *place)] += np.where(chosen, x[(slice(None), *i)], 0.0)
    return y


def _scattered(g, cells, index, lengths):
    dx = np.zeros((len(g), *lengths, g.shape[-1]))
    for place, cell in cells.items():
        for tap, i in cell:
            chosen = index[(slice(None), *place)] == tap
            dx[(slice(None), *i)] += np.where(chosen, g[(slice(None), *place)], 0.0)
    return dx


# ---------------------------------------------------------------------- the rest

LAYOUTS = {
    "(batch, channels)": ((8, 3), -1),
    "channels last": ((3, 5, 6, 3), -1),
    "channels first": ((3, 3, 5, 6), 1),
    "an axis between": ((3, 3, 4, 5, 2), 3),
    "channels of the first axis": ((3, 4, 5), 0),
}
FACTORS = {
    "1-D": ((5,), (3,)),
    "one axis kept": ((3, 5), (1, 4)),
    "2-D": ((4, 3), (2, 3)),
    "3-D": ((2, 3, 2), (2, 1, 4)),
}


def _others():
    for name, (shape, axis) in LAYOUTS.items():
        x, gamma, beta = _random(shape, (shape[axis],), (shape[axis],))

        def normalize(x, gamma=None, beta=None, axis=axis):
            return ops.batch_norm(x, gamma, beta, axis=axis, epsilon=1e-3)[0]

        def definition(x, gamma=1.0, beta=0.0, axis=axis):
            x = np.moveaxis(x, axis, -1)
            over = tuple(range(x.ndim - 1))
            y = (x - x.mean(axis=over)) / np.sqrt(x.var(axis=over) + 1e-3) * gamma + beta
            return np.moveaxis(y, -1, axis)

        yield Case(f"batch_norm, {name}", set(), normalize, [x, gamma, beta], definition)
        yield Case(f"batch_norm without scale, {name}", set(), normalize, [x], definition)

        def affine(x, scale, shift, axis=axis):
            return ops.channel_affine(x, scale, shift, axis=axis)

        def by_definition(x, scale, shift, axis=axis):
            return np.moveaxis(np.moveaxis(x, axis, -1) * scale + shift, -1, axis)

        yield Case(f"channel_affine, {name}", set(), affine, [x, gamma, beta], by_definition)

    for name, (lengths, size) in FACTORS.items():
        x, y = _random((IMAGES, *lengths, 2), (IMAGES, *np.multiply(lengths, size), 2))
        nearest, linear = _upsampling(lengths, size, _nearest), _upsampling(lengths, size, _linear)
        for operation, matrix, array in (
            (ops.upsample_nearest, nearest, x),
            (ops.block_sum, nearest.T, y),
            (ops.upsample_linear, linear, x),
            (ops.upsample_linear_grad, linear.T, y),
        ):
            shape = y.shape if array is x else x.shape

            def resize(x, operation=operation, size=size):
                return operation(x, size=size)

            def product(x, matrix=matrix, shape=shape):
                return np.einsum("ij,njc->nic", matrix, x.reshape(len(x), -1, 2)).reshape(shape)

            yield Case(f"{operation.__name__}, {name}", set(), resize, [array], product)

    x, other = _random((IMAGES, 40, 50, 3), (IMAGES, 40, 50, 3))
    yield Case(
        "channel_sum",
        {"channel_sum"},
        lambda x: ops.sum(x, axis=(0, 1, 2)),
        [x],
        lambda x: x.sum(axis=(0, 1, 2)),
    )
    yield Case("middle_sum", set(), lambda x: ops.sum(x, axis=(1, 2)), [x], lambda x: x.sum(axis=(1, 2)))
    yield Case("middle_sum, mean", set(), lambda x: ops.mean(x, axis=(2, 1)), [x], lambda x: x.mean(axis=(1, 2)))
    keep = _random(x.shape)[0] > 0
    yield Case("dropout", set(), lambda x: ops.dropout(x, keep=keep, scale=2.0), [x], lambda x: x * keep * 2)
    one = keep[:, :1]
    yield Case("dropout, stretched", set(), lambda x: ops.dropout(x, keep=one, scale=2.0), [x], lambda x: x * one * 2)
    yield Case("row_sum", set(), lambda x: ops.sum(x, axis=-1), [x[0, :37]], lambda x: x.sum(axis=-1))
    for function in ("relu", "tanh", "sigmoid"):
        yield Case(function, set(), getattr(ops, function), [x], ACTIVATIONS[function])
        yield Case(f"{function} of a number", set(), getattr(ops, function), [np.array(0.5)], ACTIVATIONS[function])
    y = np.tanh(other)
    yield Case("tanh_grad", set(), tanh_grad, [x, y], lambda g, y: g * (1 - y * y))
    yield Case("sigmoid_grad", set(), sigmoid_grad, [x, y], lambda g, y: g * y * (1 - y))
    y = np.maximum(other, 0)
    yield Case("relu_grad", set(), lambda g: relu_grad(g, y.astype(g.dtype)), [x], lambda g: np.where(y > 0, g, 0))
    yield Case("relu_grad of a number", set(), lambda g: relu_grad(g, g), [np.array(2.0)], lambda g: g)


def _upsampling(lengths, size, of_axis):
    """The matrix of an upsampling of all axes, which is the Kronecker product of those of each."""
    matrix = np.ones((1, 1))
    for length, factor in zip(lengths, size, strict=True):
        matrix = np.kron(matrix, of_axis(length, factor))
    return matrix


def _nearest(length, factor):
    return np.repeat(np.eye(length), factor, axis=0)


def _linear(length, factor):
    places = (np.arange(length * factor) + 0.5) / factor - 0.5
    return np.array([np.interp(places, np.arange(length), unit) for unit in np.eye(length)]).T
