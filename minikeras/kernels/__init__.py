"""The hot loops: plain ndarrays in, freshly allocated C-contiguous ndarrays out, inputs never written.

Everything works for any number of spatial axes and any float dtype; the arguments are trusted, checks are made above.
Those that `compiled` has too run there if so chosen, see `minikeras.config.set_kernels`.
"""

from __future__ import annotations

from ..core.tiers import tiered
from . import compiled
from .activation import dropout, relu, relu_grad
from .conv import conv, conv_input_grad, conv_kernel_grad
from .depthwise import depthwise_conv, depthwise_input_grad, depthwise_kernel_grad
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
from .geometry import explicit_padding, output_length, output_lengths, taps, transposed_length, window_span
from .gradients import conv_gradients
from .normalization import batch_norm, batch_norm_grad, channel_affine
from .pool import average_pool, average_pool_grad, max_pool, max_pool_values, pool_gather, pool_scatter
from .product import matmul
from .reduction import channel_sum, middle_sum, row_sum
from .resize import block_sum, upsample_linear, upsample_linear_grad, upsample_nearest
from .squashing import sigmoid, sigmoid_grad, tanh, tanh_grad
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

for _name in compiled.__all__:
    globals()[_name] = tiered(globals()[_name], getattr(compiled, _name))

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
    "explicit_padding",
    "matmul",
    "max_pool",
    "max_pool_values",
    "middle_sum",
    "momentum_step",
    "nadam_step",
    "output_length",
    "output_lengths",
    "pool_gather",
    "pool_scatter",
    "relu",
    "relu_grad",
    "rmsprop_step",
    "row_sum",
    "sgd_step",
    "sigmoid",
    "sigmoid_grad",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_grad",
    "softmax_grad",
    "step_length",
    "tanh",
    "tanh_grad",
    "taps",
    "transposed_length",
    "upsample_linear",
    "upsample_linear_grad",
    "upsample_nearest",
    "window_span",
]
