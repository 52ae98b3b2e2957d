"""Pictures in files and as arrays. Files need Pillow, the extra ``image``."""

from __future__ import annotations

import os
import re
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import checks
from ...core import config

_FORMATS = ("channels_last", "channels_first")
_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def data_format_of(owner: str, data_format: str | None) -> str:
    """A checked data format; the default one for None."""
    return (
        config.image_data_format()
        if data_format is None
        else checks.choice(owner, "data_format", data_format, _FORMATS)
    )


def img_to_array(img: Any, data_format: str | None = None, dtype: npt.DTypeLike | None = None) -> np.ndarray:
    """Turn a picture into an array.

    Args:
        img: A picture of Pillow's, or an array (rows, columns) or (rows, columns, channels).
        data_format: "channels_last" or "channels_first"; None is the default of the configuration.
        dtype: Of the array; floatx by default.

    Returns:
        Array (rows, columns, channels) or (channels, rows, columns).

    Raises:
        ValueError: If there is no such format, or img is no picture.
    """
    data_format = data_format_of("img_to_array", data_format)
    array = np.array(img, dtype=dtype or config.floatx())
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3:
        raise ValueError(f"img_to_array: img must have 2 or 3 axes. Received: an array of shape {array.shape}")
    return array.transpose(2, 0, 1) if data_format == "channels_first" else array


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: npt.DTypeLike | None = None) -> Any:
    """Turn an array into a picture of Pillow's.

    Args:
        x: Array (rows, columns, channels) or (channels, rows, columns) of 1, 3 or 4 channels.
        data_format: Which of these; None is the default of the configuration.
        scale: Whether to stretch the values to 0 … 255; otherwise they must be in this range.
        dtype: To compute in; floatx by default.

    Returns:
        A ``PIL.Image.Image``: grey, RGB or RGBA.

    Raises:
        ImportError: If Pillow isn't installed.
        ValueError: If there is no such format, or x isn't of such a shape.
    """
    image = _pillow().Image
    array = np.asarray(x, dtype=dtype or config.floatx())
    data_format = data_format_of("array_to_img", data_format)
    if array.ndim != 3:
        raise ValueError(f"array_to_img: x must have 3 axes. Received: an array of shape {array.shape}")
    if data_format == "channels_first":
        array = array.transpose(1, 2, 0)
    if array.shape[2] not in (1, 3, 4):
        raise ValueError(f"array_to_img: x must have 1, 3 or 4 channels. Received: {array.shape[2]}")
    levels = (stretched(array) if scale else array).astype(np.uint8)
    return image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)


def stretched(x: np.ndarray) -> np.ndarray:
    """The values of a picture, the maximum made 255 and the minimum 0 if it is negative, as Keras does."""
    x = x + max(-np.min(x), 0)
    highest = np.max(x)
    return x / highest * 255 if highest != 0 else x


def load_img(
    path: Any,
    grayscale: bool = False,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
) -> Any:
    """Read a picture.

    Args:
        path: A file's path, or an open file.
        grayscale: Keras 1's way to say ``color_mode="grayscale"``; warns.
        color_mode: "grayscale", "rgb" or "rgba".
        target_size: (rows, columns) to resample it to.
        interpolation: How: "nearest", "bilinear", "bicubic", "hamming", "box" or "lanczos".

    Returns:
        A ``PIL.Image.Image``.

    Raises:
        ImportError: If Pillow isn't installed.
        OSError: If the file can't be read, or is no picture.
        ValueError: If an argument is none of these.
    """
    if grayscale:
        warnings.warn("load_img: grayscale=True is color_mode='grayscale'", stacklevel=2)
        color_mode = "grayscale"
    mode = _MODES[checks.choice("load_img", "color_mode", color_mode, tuple(_MODES))]
    interpolation = checks.choice("load_img", "interpolation", interpolation, _INTERPOLATIONS)
    image = _pillow().Image
    with image.open(path) as file:
        picture = file.convert(mode)
    if target_size is not None:
        rows, columns = size_of("load_img", target_size)
        if picture.size != (columns, rows):
            picture = picture.resize((columns, rows), image.Resampling[interpolation.upper()])
    return picture


def save_img(
    path: Any,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **keywords: Any,
) -> None:
    """Write an array to a file as a picture.

    Args:
        path: The file's path, or an open file.
        x: As for `array_to_img`.
        data_format: As there.
        file_format: "png", "jpeg", ...; the suffix says it by default.
        scale: As there.
        **keywords: For Pillow's ``save``.

    Raises:
        ImportError: If Pillow isn't installed.
        ValueError: If x isn't of such a shape, or the format isn't known.
    """
    picture = array_to_img(x, data_format, scale)
    if file_format is not None and file_format.lower() == "jpg":
        file_format = "jpeg"
    suffix = os.path.splitext(path)[1] if isinstance(path, (str, os.PathLike)) else ""
    if picture.mode == "RGBA" and (file_format or suffix.lstrip(".")).lower() in ("jpg", "jpeg"):
        warnings.warn("save_img: JPEG has no transparency; the picture is saved as RGB", stacklevel=2)
        picture = picture.convert("RGB")
    picture.save(path, format=file_format, **keywords)


def list_pictures(directory: str | os.PathLike[str], ext: str = "jpg|jpeg|bmp|png|ppm") -> list[str]:
    """The paths of the pictures in a folder and the folders in it, sorted.

    Args:
        directory: The folder.
        ext: Their suffixes, separated by ``|``.
    """
    pattern = re.compile(rf".+\.(?:{ext})", re.IGNORECASE)
    found = (
        os.path.join(root, name) for root, _, names in os.walk(directory) for name in names if pattern.fullmatch(name)
    )
    return sorted(found)


def size_of(owner: str, target_size: Any) -> tuple[int, int]:
    """A checked (rows, columns)."""
    if not isinstance(target_size, (tuple, list)) or len(target_size) != 2:
        raise ValueError(f"{owner}: target_size must be (rows, columns). Received: {target_size!r}")
    rows, columns = (checks.integer(owner, "each part of target_size", size) for size in target_size)
    return rows, columns


def _pillow() -> Any:
    try:
        import PIL.Image
    except ImportError as error:
        raise ImportError("Pictures in files need Pillow: pip install 'minikeras[image]'") from error
    return PIL
