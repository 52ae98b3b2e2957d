"""Boston housing: prices of 506 districts of 1978, with 13 quantities each."""

from __future__ import annotations

import numpy as np

from .. import checks
from ..utils.download import get_file
from .npz import read_npz

_ORIGIN = "https://s3.amazonaws.com/keras-datasets/boston_housing.npz"
_SHA256 = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"


def load_data(
    path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the districts, from the cache or else from the web, shuffled and split as Keras does.

    One of the quantities encodes the share of black inhabitants; the set is of use for comparing numbers with older
    work, and for nothing else.

    Args:
        path: The file's name in the cache's folder ``datasets``, or an absolute path.
        test_split: The share that is for testing.
        seed: Of the order.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: float64 (N, 13) and prices in thousands of dollars (N,).

    Raises:
        ConnectionError: If it is neither in the cache nor can be downloaded.
        ValueError: If test_split isn't at least 0 and below 1.

    References:
        D. Harrison and D. L. Rubinfeld, *Hedonic housing prices and the demand for clean air*, 1978.
    """
    checks.number("boston_housing.load_data", "test_split", test_split, "[0, 1)")
    x, y = read_npz(get_file(path, origin=_ORIGIN, file_hash=_SHA256), "x", "y")
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    start = int(len(x) * (1 - test_split))
    return (x[order[:start]], y[order[:start]]), (x[order[start:]], y[order[start:]])
