"""What Keras 1 wrote otherwise than Keras 2: names in configurations, and the axes of some kernels.

The axes are those that Keras 2.2.4's ``preprocess_weights_for_loading`` turns around.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..layers.base import Layer
from ..layers.legacy import modern_arguments

_NAMES = {"Deconvolution2D": "Conv2DTranspose", "AtrousConvolution1D": "Conv1D", "AtrousConvolution2D": "Conv2D"} | {
    f"{kind}Convolution{rank}D": f"{kind}Conv{rank}D" for kind in ("", "Separable") for rank in (1, 2, 3)
}
_MERGES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum", "concat": "Concatenate"}


def name_today(name: str) -> str:
    """The name of a layer since Keras 2."""
    return _NAMES.get(name, name)


def translate(layer: dict[str, Any], name: str) -> None:
    """Change the description of a layer, which has this name in the file, into Keras 2's."""
    config = dict(layer["config"])
    if name == "Merge" and config.get("mode") in _MERGES:
        layer["class_name"] = _MERGES[config["mode"]]
        kept = {"name": config.get("name"), "trainable": config.get("trainable", True)}
        layer["config"] = kept | ({"axis": config.get("concat_axis", -1)} if config["mode"] == "concat" else {})
        return
    for argument, value in config.items():
        if isinstance(value, dict) and isinstance(value.get("name"), str):
            given = {key: item for key, item in value.items() if key != "name"}
            if argument.endswith("_regularizer"):
                config[argument] = {"class_name": "L1L2", "config": given}
            elif argument.endswith("_constraint"):
                renamed = {"max_value" if key == "m" else key: item for key, item in given.items()}
                config[argument] = {"class_name": value["name"], "config": renamed}
    if name.startswith("Atrous") and "atrous_rate" in config:
        config["dilation_rate"] = config.pop("atrous_rate")
    layer["config"] = modern_arguments(name_today(name), config)


class Kernel(NamedTuple):
    """How a layer's kernel stands in a file.

    Attributes:
        axes: Its axes in Keras 2's order.
        steps: Of a kernel over steps, which has an axis of size 1 besides, its length and number of filters.
    """

    axes: tuple[int, ...]
    steps: tuple[Any, Any] | None = None

    def order(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The axes of a kernel of this shape in Keras 2's order, an axis of size 1 to be dropped as the last one."""
        if len(shape) != len(self.axes):
            return tuple(range(len(shape)))
        if self.steps and (shape[0], shape[1], shape[3]) != (self.steps[0], 1, self.steps[1]):
            return (2, 1, 0, 3)  # (filters, channels, length, 1), before Keras 1.2
        return self.axes

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that a kernel of this shape gets."""
        turned = tuple(shape[axis] for axis in self.order(shape))
        return turned[:-1] if self.steps and len(turned) == 4 and turned[-1] == 1 else turned

    def turned(self, array: np.ndarray) -> np.ndarray:
        """A kernel as Keras 2 has it."""
        return array.transpose(self.order(array.shape)).reshape(self.shape(array.shape))


def kernel_of(layer: Layer) -> Kernel | None:
    """How Keras 1 stored the kernel of a layer; None where it stands as today."""
    name = type(layer).__name__
    if name == "Conv1D":
        return Kernel((0, 2, 3, 1), (layer.kernel_size[0], layer.filters))  # type: ignore[attr-defined]
    return _KERNELS.get((name, getattr(layer, "data_format", None) == "channels_first"))


_KERNELS = {
    ("Conv2D", True): Kernel((2, 3, 1, 0)),
    ("Conv3D", True): Kernel((2, 3, 4, 1, 0)),
    ("Conv2DTranspose", False): Kernel((0, 1, 3, 2)),
    ("Conv2DTranspose", True): Kernel((2, 3, 0, 1)),
}
"""By the layer, and whether its channels come first."""
