"""Fashion-MNIST: 70,000 pieces of clothing of 28×28 pixels."""

from __future__ import annotations

import gzip
import math
import os
import zlib

import numpy as np

from ..utils.download import get_file

_ORIGIN = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_MD5 = {
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
}
_LARGEST = 2**30  # bytes


def load_data() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the images, from the cache's folder ``datasets/fashion-mnist`` or else from the web.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: images uint8 (60000, 28, 28) and (10000, 28, 28), labels uint8
        from 0 to 9: T-shirt, trousers, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot.

    Raises:
        ConnectionError: If a file is neither in the cache nor can be downloaded.

    References:
        H. Xiao, K. Rasul and R. Vollgraf, *Fashion-MNIST: a novel image dataset for benchmarking machine learning
        algorithms*, 2017.
    """
    folder = os.path.join("datasets", "fashion-mnist")
    y_train, x_train, y_test, x_test = (
        _read_idx(get_file(name, origin=_ORIGIN + name, file_hash=md5, cache_subdir=folder), 1 if "idx1" in name else 3)
        for name, md5 in _MD5.items()
    )
    return (x_train, y_train), (x_test, y_test)


def _read_idx(path: str, ndim: int) -> np.ndarray:
    """Read a gzipped file of bytes in the IDX format: 0 0 8 ndim, sizes as big-endian integers, then the bytes."""
    try:
        with gzip.open(path, "rb") as file:
            header = file.read(4 + 4 * ndim)
            shape = tuple(np.frombuffer(header[4:], ">i4").tolist())
            if header[:4] != bytes((0, 0, 8, ndim)) or len(shape) != ndim or min(shape) < 0:
                raise ValueError(f"{path} is no IDX file of bytes with {ndim} axes")
            count = math.prod(shape)
            content = file.read(count + 1) if count <= _LARGEST else b""
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is broken: {error}") from error
    if len(content) != count:
        raise ValueError(
            f"{path} is broken: it announces {count} bytes of shape {shape} and has another number of them"
        )
    return np.frombuffer(content, np.uint8).reshape(shape).copy()
