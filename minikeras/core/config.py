"""Process-wide defaults: float type, fuzz factor and image data format.

They start as float32, 1e-7 and "channels_last", or as ``keras.json`` says, which is looked for in ``$KERAS_HOME``
(``~/.keras`` where that is not set). Other keys of the file are ignored.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .threads import num_threads as num_threads
from .threads import set_num_threads as set_num_threads
from .tiers import kernels as kernels
from .tiers import set_kernels as set_kernels
from .tiers import set_winograd as set_winograd
from .tiers import winograd as winograd

_FLOAT_TYPES = ("float16", "float32", "float64")
_DATA_FORMATS = ("channels_last", "channels_first")

_floatx = "float32"
_epsilon = 1e-7
_image_data_format = "channels_last"


def floatx() -> str:
    """Return the default float type: "float16", "float32" or "float64"."""
    return _floatx


def set_floatx(value: str) -> None:
    """Set the default float type of weights and of data without a type of its own.

    Args:
        value: "float16", "float32" or "float64".

    Raises:
        ValueError: for anything else.
    """
    global _floatx
    _floatx = _check_floatx(value)


def epsilon() -> float:
    """Return the fuzz factor: the small number that keeps divisions and logarithms finite."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """Set the fuzz factor.

    Args:
        value: a number between 0 and 1, both excluded.

    Raises:
        TypeError: if it isn't a real number.
        ValueError: if it is out of range.
    """
    global _epsilon
    _epsilon = _check_epsilon(value)


def image_data_format() -> str:
    """Return where images have their channels by default: "channels_last" or "channels_first"."""
    return _image_data_format


def set_image_data_format(value: str) -> None:
    """Set where images have their channels by default.

    Args:
        value: "channels_last" for (batch, *space, channels), "channels_first" for (batch, channels, *space).

    Raises:
        ValueError: for anything else.
    """
    global _image_data_format
    _image_data_format = _check_image_data_format(value)


def keras_home() -> str:
    """Return the folder of ``keras.json`` and of downloads: ``$KERAS_HOME``, or ``~/.keras`` where that is unset."""
    return os.path.expanduser(os.environ.get("KERAS_HOME") or os.path.join("~", ".keras"))


@contextmanager
def scope(
    *, floatx: str | None = None, epsilon: float | None = None, image_data_format: str | None = None
) -> Iterator[None]:
    """Set some of the defaults for the body of a ``with`` statement; on leaving, all three are as they were before.

    Args:
        floatx: see `set_floatx`; None leaves it as it is.
        epsilon: see `set_epsilon`; None leaves it as it is.
        image_data_format: see `set_image_data_format`; None leaves it as it is.

    Raises:
        TypeError, ValueError: as the setters do, before anything is changed.

    Example:
        >>> from minikeras import config
        >>> with config.scope(floatx="float64"):
        ...     print(config.floatx())
        float64
    """
    global _floatx, _epsilon, _image_data_format
    before = (_floatx, _epsilon, _image_data_format)
    inside = (
        _floatx if floatx is None else _check_floatx(floatx),
        _epsilon if epsilon is None else _check_epsilon(epsilon),
        _image_data_format if image_data_format is None else _check_image_data_format(image_data_format),
    )
    _floatx, _epsilon, _image_data_format = inside
    try:
        yield
    finally:
        _floatx, _epsilon, _image_data_format = before


def _check_floatx(value: Any) -> str:
    return _check_choice("floatx", value, _FLOAT_TYPES)


def _check_epsilon(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"epsilon must be a real number. Received: {value!r}")
    if not 0 < value < 1:  # also catches NaN
        raise ValueError(f"epsilon must be between 0 and 1, both excluded. Received: {value!r}")
    return float(value)


def _check_image_data_format(value: Any) -> str:
    return _check_choice("image_data_format", value, _DATA_FORMATS)


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        expected = ", ".join(f'"{choice}"' for choice in choices)
        raise ValueError(f"{name} must be one of {expected}. Received: {value!r}")
    return str(value)


def _load_user_defaults() -> None:
    """Take the defaults from the user's keras.json; what is wrong with it becomes a warning, never an error."""
    path = os.path.join(keras_home(), "keras.json")
    try:
        with open(path, encoding="utf-8-sig") as file:  # with or without a byte order mark
            settings = json.load(file)
    except FileNotFoundError:
        return
    except (OSError, ValueError, RecursionError) as error:
        warnings.warn(f"{path} can't be read as JSON and is ignored: {error}", stacklevel=2)
        return
    if not isinstance(settings, dict):
        warnings.warn(f"{path} must hold a JSON object and is ignored. Received: {settings!r}", stacklevel=2)
        return
    setters: dict[str, Callable[[Any], None]]
    setters = {"floatx": set_floatx, "epsilon": set_epsilon, "image_data_format": set_image_data_format}
    for key, setter in setters.items():
        if key in settings:
            try:
                setter(settings[key])
            except (TypeError, ValueError) as error:
                warnings.warn(f"{path}: {error}; the default stays.", stacklevel=2)


_load_user_defaults()
