"""The kernels that numba makes faster: the same functions, with the same arguments and results, as `minikeras.kernels`.

What one of them doesn't cover, such as other types than float32 and float64, it leaves to NumPy's version.
"""

from __future__ import annotations

from .depthwise import depthwise_conv, depthwise_input_grad, depthwise_kernel_grad

__all__ = ["depthwise_conv", "depthwise_input_grad", "depthwise_kernel_grad"]
