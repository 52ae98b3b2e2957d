from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from minikeras import config, kernels

pytestmark = pytest.mark.usefixtures("tier")

X = np.ones((64, 32, 32, 16), np.float32)
W = np.ones((3, 3, 16, 16), np.float32)
SLIDE = {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1)}
POOL = {"window": (3, 3), "strides": (2, 2), "padding": ((0, 1), (0, 1))}
POOLED, INDEX = kernels.max_pool(X, **POOL)
VECTOR = np.ones(16, np.float32)

CALLS = {
    "conv": lambda: kernels.conv(X, W, VECTOR, activation="relu", **SLIDE),
    "conv of one channel": lambda: kernels.conv(X[..., :1], W[:, :, :1], VECTOR, **SLIDE),
    "conv to one channel": lambda: kernels.conv(X, W[..., :1], **SLIDE),
    "conv_input_grad": lambda: kernels.conv_input_grad(X, W, input_size=(32, 32), **SLIDE),
    "conv_kernel_grad": lambda: kernels.conv_kernel_grad(X, X, window=(3, 3), **SLIDE),
    "depthwise_conv": lambda: kernels.depthwise_conv(X, W[..., :1], **SLIDE),
    "depthwise_input_grad": lambda: kernels.depthwise_input_grad(X, W[..., :1], input_size=(32, 32), **SLIDE),
    "depthwise_kernel_grad": lambda: kernels.depthwise_kernel_grad(X, X, window=(3, 3), **SLIDE),
    "max_pool": lambda: kernels.max_pool(X, **POOL),
    "pool_gather": lambda: kernels.pool_gather(X, INDEX, **POOL),
    "pool_scatter": lambda: kernels.pool_scatter(POOLED, INDEX, input_size=(32, 32), **POOL),
    "average_pool": lambda: kernels.average_pool(X, **POOL),
    "average_pool_grad": lambda: kernels.average_pool_grad(POOLED, input_size=(32, 32), **POOL),
    "upsample_nearest": lambda: kernels.upsample_nearest(X, size=(2, 2)),
    "block_sum": lambda: kernels.block_sum(X, size=(2, 2)),
    "upsample_linear": lambda: kernels.upsample_linear(X, size=(2, 2)),
    "upsample_linear_grad": lambda: kernels.upsample_linear_grad(X, size=(2, 2)),
    "batch_norm": lambda: kernels.batch_norm(X, VECTOR, VECTOR, axis=-1, epsilon=1e-3),
    "batch_norm_grad": lambda: kernels.batch_norm_grad(
        X, X, VECTOR, VECTOR, VECTOR, axis=-1, epsilon=1e-3, needs=(True, True, True)
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_kernel_takes_little_memory_beyond_its_results(name):
    tracemalloc.start()
    try:
        result = CALLS[name]()
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result is not None
    # the columns of a whole batch would take 36 MiB, X itself takes 4
    assert peak - kept < 4 * 2**20 * config.num_threads()
