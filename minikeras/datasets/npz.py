"""Arrays of npz files, also those of objects, without unpickling."""

from __future__ import annotations

import os
import zipfile
from typing import Any

import numpy as np

from .pickled import PickleError, read_pickle

_LARGEST = 2**31  # bytes of one array


def read_npz(path: str | os.PathLike[str], *names: str) -> list[np.ndarray]:
    """Read arrays of an npz file.

    Args:
        path: The file.
        names: Of the arrays.

    Returns:
        The arrays, in this order.

    Raises:
        ValueError: If the file is broken, an array isn't there, or one holds more than data.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [_read_array(archive, name) for name in names]
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError) as error:
        raise ValueError(f"{os.fspath(path)} can't be read: {error}") from error


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > _LARGEST:
        raise ValueError(f"{name!r} takes {info.file_size} bytes")
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        read_header: Any = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read_header(file)
        if dtype.hasobject:
            array = read_pickle(file.read())
            if not isinstance(array, np.ndarray) or array.shape != shape:
                raise PickleError(f"{name!r} holds no array of shape {shape}")
            return array
    with archive.open(info) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
