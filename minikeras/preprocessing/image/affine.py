"""Pictures turned, shifted, sheared, zoomed, flipped, and their channels and brightness changed.

An image is an array of three axes; which of them are its rows, columns and channels is said by arguments. All
geometric changes together are one affine map, and the image is resampled once. The maps, their order and the centre
are those of Keras 2.2.4 (keras-preprocessing 1.0.5); the centre lies at ``size / 2 + 0.5``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import checks
from ...core import random
from .files import stretched

FILL_MODES = ("constant", "nearest", "reflect", "wrap")


def apply_affine_transform(
    x: Any,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 0,
    col_axis: int = 1,
    channel_axis: int = 2,
    fill_mode: str = "nearest",
    cval: float = 0.0,
) -> np.ndarray:
    """Turn, shift, shear and zoom an image, by one linear resampling.

    Args:
        x: The image.
        theta: Angle to turn it by, in degrees.
        tx: Shift along the rows' axis, in pixels.
        ty: Shift along the columns' axis.
        shear: Angle to shear it by, in degrees.
        zx: Zoom along the rows' axis; below 1 enlarges.
        zy: Zoom along the columns' axis.
        row_axis: Axis of the rows.
        col_axis: Axis of the columns.
        channel_axis: Axis of the channels.
        fill_mode: What is beyond the edge: "constant" (cval), "nearest" (the edge), "reflect" or "wrap".
        cval: Value beyond the edge for "constant".

    Returns:
        An image of the same shape and dtype; x itself where nothing is to be done.

    Raises:
        ValueError: If x doesn't have three axes, or there is no such fill_mode.
    """
    x = _image("apply_affine_transform", x)
    fill_mode = checks.choice("apply_affine_transform", "fill_mode", fill_mode, FILL_MODES)
    matrix = _matrix(theta, tx, ty, shear, zx, zy)
    if np.array_equal(matrix, np.eye(3)):
        return x
    from scipy import ndimage

    matrix = transform_matrix_offset_center(matrix, x.shape[row_axis], x.shape[col_axis])
    planes = np.moveaxis(x, (channel_axis, row_axis, col_axis), (0, 1, 2))
    resampled = [
        ndimage.affine_transform(plane, matrix[:2, :2], matrix[:2, 2], order=1, mode=fill_mode, cval=cval)
        for plane in planes
    ]
    return np.moveaxis(np.stack(resampled), (0, 1, 2), (channel_axis, row_axis, col_axis))


def transform_matrix_offset_center(matrix: np.ndarray, x: int, y: int) -> np.ndarray:
    """The map (3, 3) that does at the centre of an image of x rows and y columns what the matrix does at its corner."""
    centre = np.array([[1, 0, x / 2 + 0.5], [0, 1, y / 2 + 0.5], [0, 0, 1]])
    back = np.array([[1, 0, -x / 2 - 0.5], [0, 1, -y / 2 - 0.5], [0, 0, 1]])
    return centre @ matrix @ back


def apply_channel_shift(x: Any, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """Add a number to all values; none leaves the range that the image had.

    Args:
        x: The image.
        intensity: The number.
        channel_axis: Axis of the channels; all get the same number, so it makes no difference.
    """
    x = _image("apply_channel_shift", x)
    return np.clip(x + intensity, x.min(), x.max()).astype(x.dtype, copy=False)


def apply_brightness_shift(x: Any, brightness: float, channel_axis: int = 2) -> np.ndarray:
    """Make an image brighter or darker.

    As in Keras the values are first stretched to the whole range of 0 … 255, and become whole numbers.

    Args:
        x: The image; of four channels the last is transparency, which stays.
        brightness: Factor; 0 is black, 1 as bright as before.
        channel_axis: Axis of the channels.

    Returns:
        An image of whole numbers from 0 to 255, of x's dtype or else floatx.
    """
    x = _image("apply_brightness_shift", x)
    levels = np.floor(stretched(x.astype(np.float32)))
    bright = np.floor(np.clip(np.float32(brightness) * levels, 0, 255))
    if x.shape[channel_axis] == 4:
        transparency = np.arange(4) == 3
        bright = np.where(
            transparency.reshape([-1 if axis == channel_axis % 3 else 1 for axis in range(3)]), levels, bright
        )
    return bright.astype(x.dtype, copy=False)


def flip_axis(x: Any, axis: int) -> np.ndarray:
    """The image with an axis reversed (a view)."""
    return np.flip(np.asarray(x), axis)


def random_rotation(
    x: Any,
    rg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
) -> np.ndarray:
    """Turn an image by a random angle.

    Args:
        x: The image; by default with its channels first.
        rg: The largest angle, in degrees.
        row_axis: Axis of the rows.
        col_axis: Axis of the columns.
        channel_axis: Axis of the channels.
        fill_mode: What is beyond the edge; see `apply_affine_transform`.
        cval: Value beyond the edge for "constant".
    """
    theta = random.stream().uniform(-rg, rg)
    axes = (row_axis, col_axis, channel_axis)
    return apply_affine_transform(x, theta, 0, 0, 0, 1, 1, *axes, fill_mode, cval)


def random_shift(
    x: Any,
    wrg: float,
    hrg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
) -> np.ndarray:
    """Shift an image by random distances.

    Args:
        x: The image; by default with its channels first.
        wrg: The largest shift to a side, as a share of the width.
        hrg: The largest shift up or down, as a share of the height.
        row_axis: Axis of the rows.
        col_axis: Axis of the columns.
        channel_axis: Axis of the channels.
        fill_mode: What is beyond the edge; see `apply_affine_transform`.
        cval: Value beyond the edge for "constant".
    """
    x = _image("random_shift", x)
    stream = random.stream()
    tx, ty = stream.uniform(-hrg, hrg) * x.shape[row_axis], stream.uniform(-wrg, wrg) * x.shape[col_axis]
    axes = (row_axis, col_axis, channel_axis)
    return apply_affine_transform(x, 0, tx, ty, 0, 1, 1, *axes, fill_mode, cval)


def random_shear(
    x: Any,
    intensity: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
) -> np.ndarray:
    """Shear an image by a random angle.

    Args:
        x: The image; by default with its channels first.
        intensity: The largest angle, in degrees.
        row_axis: Axis of the rows.
        col_axis: Axis of the columns.
        channel_axis: Axis of the channels.
        fill_mode: What is beyond the edge; see `apply_affine_transform`.
        cval: Value beyond the edge for "constant".
    """
    shear = random.stream().uniform(-intensity, intensity)
    axes = (row_axis, col_axis, channel_axis)
    return apply_affine_transform(x, 0, 0, 0, shear, 1, 1, *axes, fill_mode, cval)


def random_zoom(
    x: Any,
    zoom_range: Any,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
) -> np.ndarray:
    """Zoom an image by random factors, one for each direction.

    Args:
        x: The image; by default with its channels first.
        zoom_range: The smallest and the largest factor; below 1 enlarges.
        row_axis: Axis of the rows.
        col_axis: Axis of the columns.
        channel_axis: Axis of the channels.
        fill_mode: What is beyond the edge; see `apply_affine_transform`.
        cval: Value beyond the edge for "constant".

    Raises:
        ValueError: If zoom_range isn't two numbers.
    """
    low, high = pair("random_zoom", "zoom_range", zoom_range)
    zx, zy = (1, 1) if low == high == 1 else random.stream().uniform(low, high, 2)
    axes = (row_axis, col_axis, channel_axis)
    return apply_affine_transform(x, 0, 0, 0, 0, zx, zy, *axes, fill_mode, cval)


def random_channel_shift(x: Any, intensity_range: float, channel_axis: int = 0) -> np.ndarray:
    """Add a random number to all values; none leaves the range that the image had.

    Args:
        x: The image.
        intensity_range: The number is drawn uniformly from minus this to this.
        channel_axis: Axis of the channels; all get the same number, so it makes no difference.

    Returns:
        Array of the image's shape and type.
    """
    return apply_channel_shift(x, random.stream().uniform(-intensity_range, intensity_range), channel_axis)


def random_brightness(x: Any, brightness_range: Any) -> np.ndarray:
    """Make an image brighter or darker by a random factor; see `apply_brightness_shift`.

    Args:
        x: The image.
        brightness_range: The smallest and the largest factor.

    Raises:
        ValueError: If brightness_range isn't two numbers.
    """
    low, high = pair("random_brightness", "brightness_range", brightness_range)
    return apply_brightness_shift(x, random.stream().uniform(low, high))


def pair(owner: str, argument: str, value: Any) -> tuple[float, float]:
    """Two numbers that aren't negative, the smaller one first.

    Raises:
        ValueError: If it is anything else.
    """
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
        raise ValueError(f"{owner}: {argument} must be two numbers. Received: {value!r}")
    low, high = (checks.number(owner, f"each part of {argument}", part, "[0, inf)") for part in value)
    if low > high:
        raise ValueError(f"{owner}: {argument} must have the smaller number first. Received: {value!r}")
    return low, high


def _matrix(theta: float, tx: float, ty: float, shear: float, zx: float, zy: float) -> np.ndarray:
    """Where an output pixel (row, column, 1) comes from: zoomed first, then sheared, shifted and turned."""
    angle, slant = np.deg2rad(theta), np.deg2rad(shear)
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    shift = np.array([[1, 0, tx], [0, 1, ty], [0, 0, 1]])
    shearing = np.array([[1, -np.sin(slant), 0], [0, np.cos(slant), 0], [0, 0, 1]])
    return rotation @ shift @ shearing @ np.diag([zx, zy, 1])


def _image(owner: str, x: Any) -> np.ndarray:
    array = np.asarray(x)
    if array.ndim != 3:
        raise ValueError(f"{owner}: x must be one image, with 3 axes. Received: an array of shape {array.shape}")
    return array
