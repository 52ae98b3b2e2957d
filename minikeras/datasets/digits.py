"""1,797 handwritten digits of 8×8 pixels, shipped with the package."""

from __future__ import annotations

from importlib import resources
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Images: TypeAlias = npt.NDArray[np.uint8]
Labels: TypeAlias = npt.NDArray[np.uint8]

_ONE_IN = 5  # of each digit's images, one in five is for testing


def load_data() -> tuple[tuple[Images, Labels], tuple[Images, Labels]]:
    """Return the digits, split into 1,438 for training and 359 for testing.

    The split is fixed: of each digit every fifth image, in the order of the set, is for testing. It depends on no
    seed, and both parts hold the ten digits in the same proportions.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: images uint8 (N, 8, 8) of grey levels from 0 (paper) to 16 (ink),
        and labels uint8 (N,) from 0 to 9. The arrays are the caller's own.

    References:
        E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository,
        1998, doi:10.24432/C50P49, licensed CC BY 4.0; this is its test part.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data()
        >>> x_train.shape, y_test.shape
        ((1438, 8, 8), (359,))
    """
    source = resources.files(__package__) / "data" / "digits.npz"
    with source.open("rb") as file, np.load(file, allow_pickle=False) as data:
        images, labels = data["images"], data["labels"]
    test = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        test[np.flatnonzero(labels == digit)[_ONE_IN // 2 :: _ONE_IN]] = True
    return (images[~test], labels[~test]), (images[test], labels[test])
