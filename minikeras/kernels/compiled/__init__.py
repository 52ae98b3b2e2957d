"""The kernels that numba makes faster: the same functions, with the same arguments and results, as `minikeras.kernels`.

What one of them doesn't cover, such as other types than float32 and float64, it leaves to NumPy's version.
"""

from __future__ import annotations

from .activation import dropout, relu_grad
from .conv import (
    conv,
    conv_gradients,
    conv_input_grad,
    conv_kernel_grad,
    depthwise_conv,
    depthwise_input_grad,
    depthwise_kernel_grad,
)
from .entropy import (
    binary_cross_entropy,
    binary_cross_entropy_grad,
    cross_entropy,
    cross_entropy_grad,
    softmax,
    softmax_cross_entropy,
    softmax_cross_entropy_grad,
    softmax_grad,
)
from .matmul import matmul
from .normalization import batch_norm, batch_norm_grad, channel_affine
from .pool import average_pool, average_pool_grad, max_pool, max_pool_values, pool_scatter
from .reduction import channel_sum, middle_sum
from .resize import block_sum, upsample_nearest
from .squashing import sigmoid, sigmoid_grad, tanh_grad
from .steps import (
    adadelta_step,
    adagrad_step,
    adam_step,
    adamax_step,
    momentum_step,
    nadam_step,
    rmsprop_step,
    sgd_step,
    step_length,
)

__all__ = [
    "adadelta_step",
    "adagrad_step",
    "adam_step",
    "adamax_step",
    "average_pool",
    "average_pool_grad",
    "batch_norm",
    "batch_norm_grad",
    "binary_cross_entropy",
    "binary_cross_entropy_grad",
    "block_sum",
    "channel_affine",
    "channel_sum",
    "conv",
    "conv_gradients",
    "conv_input_grad",
    "conv_kernel_grad",
    "cross_entropy",
    "cross_entropy_grad",
    "depthwise_conv",
    "depthwise_input_grad",
    "depthwise_kernel_grad",
    "dropout",
    "matmul",
    "max_pool",
    "max_pool_values",
    "middle_sum",
    "momentum_step",
    "nadam_step",
    "pool_scatter",
    "relu_grad",
    "rmsprop_step",
    "sgd_step",
    "sigmoid",
    "sigmoid_grad",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_grad",
    "softmax_grad",
    "step_length",
    "tanh_grad",
    "upsample_nearest",
]
