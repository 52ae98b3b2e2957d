"""CIFAR-10: 60,000 colour images of 32×32 pixels in ten classes."""

from __future__ import annotations

import os

import numpy as np

from ..utils.download import get_file
from .cifar import as_set, load_batch

_ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
_MD5 = "c58f30108f718f92721af3b95e74349a"


def load_data() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the images, from the cache's folder ``datasets/cifar-10-batches-py`` or else from the web.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: images uint8 (50000, 32, 32, 3) and (10000, 32, 32, 3), or
        (N, 3, 32, 32) where the default data format is "channels_first"; labels uint8 (N, 1) from 0 to 9: airplane,
        automobile, bird, cat, deer, dog, frog, horse, ship, truck.

    Raises:
        ConnectionError: If they are neither in the cache nor can be downloaded.
        ValueError: If a file isn't what it should be.

    References:
        A. Krizhevsky, *Learning multiple layers of features from tiny images*, 2009.
    """
    folder = get_file("cifar-10-batches-py", origin=_ORIGIN, untar=True, file_hash=_MD5)
    batches = [load_batch(os.path.join(folder, f"data_batch_{number}")) for number in range(1, 6)]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return as_set(images, labels), as_set(*load_batch(os.path.join(folder, "test_batch")))
