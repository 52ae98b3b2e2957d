"""The kernels that numba makes faster: the same functions, with the same arguments and results, as `minikeras.kernels`.

What one of them doesn't cover, such as other types than float32 and float64, it leaves to NumPy's version.
"""

from __future__ import annotations

from .conv import conv, conv_input_grad, conv_kernel_grad
from .depthwise import depthwise_conv, depthwise_input_grad, depthwise_kernel_grad

__all__ = [
    "conv",
    "conv_input_grad",
    "conv_kernel_grad",
    "depthwise_conv",
    "depthwise_input_grad",
    "depthwise_kernel_grad",
]
