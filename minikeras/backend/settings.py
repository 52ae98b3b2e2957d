"""The configuration, the names of the conventions, and the numbers behind automatic names."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import numpy as np

from .. import checks
from ..core.config import floatx, image_data_format, set_image_data_format

_DIM_ORDERINGS = {"tf": "channels_last", "th": "channels_first"}

_uids: Counter[str] = Counter()
_uids_lock = threading.Lock()


def backend() -> str:
    """Return "tensorflow": its conventions are followed here, such as for kernels, padding and data formats."""
    return "tensorflow"


def cast_to_floatx(x: Any) -> np.ndarray:
    """Numbers or an array as an ndarray of the type `floatx`."""
    return np.asarray(x, dtype=floatx())


def normalize_data_format(value: str | None) -> str:
    """Return a data format by its full name.

    Args:
        value: "channels_last" or "channels_first"; `image_data_format` if None.

    Returns:
        "channels_last" or "channels_first".

    Raises:
        ValueError: For anything else.
    """
    if value is None:
        return image_data_format()
    return checks.choice("backend", "data_format", value, ("channels_last", "channels_first"))


def image_dim_ordering() -> str:
    """Return Keras 1's name of the image data format: "tf" for "channels_last", "th" for "channels_first"."""
    return next(name for name, data_format in _DIM_ORDERINGS.items() if data_format == image_data_format())


def set_image_dim_ordering(dim_ordering: str) -> None:
    """Set the image data format by Keras 1's name of it.

    Args:
        dim_ordering: "tf" for "channels_last", "th" for "channels_first".

    Raises:
        ValueError: For anything else.
    """
    set_image_data_format(_DIM_ORDERINGS[checks.choice("backend", "dim_ordering", dim_ordering, [*_DIM_ORDERINGS])])


def get_uid(prefix: str = "") -> int:
    """Return 1 on the first call with this prefix, 2 on the second and so on.

    Args:
        prefix: What is counted.
    """
    with _uids_lock:
        _uids[prefix] += 1
        return _uids[prefix]


def reset_uids() -> None:
    """Let `get_uid` start from 1 again."""
    with _uids_lock:
        _uids.clear()
