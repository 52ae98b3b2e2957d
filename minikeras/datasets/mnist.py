"""MNIST: 70,000 handwritten digits of 28×28 pixels."""

from __future__ import annotations

import numpy as np

from ..utils.download import get_file
from .npz import read_npz

_ORIGIN = "https://s3.amazonaws.com/img-datasets/mnist.npz"
_MD5 = "8a61469f7ea1b51cbae51d4f78837e45"


def load_data(
    path: str = "mnist.npz",
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the digits, from the cache or else from the web.

    Args:
        path: The file's name in the cache's folder ``datasets``, or an absolute path.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: images uint8 (60000, 28, 28) and (10000, 28, 28), labels uint8
        from 0 to 9.

    Raises:
        ConnectionError: If it is neither in the cache nor can be downloaded.

    References:
        Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, *Gradient-based learning applied to document recognition*,
        1998.
    """
    file = get_file(path, origin=_ORIGIN, file_hash=_MD5)
    x_train, y_train, x_test, y_test = read_npz(file, "x_train", "y_train", "x_test", "y_test")
    return (x_train, y_train), (x_test, y_test)
