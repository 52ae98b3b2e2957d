"""What is trained: seven small networks, and one that grows; described once, built by each library in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Layer = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Workload:
    """A network and what it is trained for.

    Attributes:
        layers: Kind and options of each layer. Convolutions have as many axes as the input.
        optimizer: Its name, with the defaults of Keras 2 or of the peer.
        loss: "categorical_crossentropy", "mse" or "binary_crossentropy"; the last layer has the activation for it.
        shape: Of a sample, channels last.
        classes: How many; None if the target has the shape of the input.
        batch: Samples in a step.
    """

    layers: tuple[Layer, ...]
    optimizer: str
    loss: str
    shape: tuple[int, ...]
    classes: int | None
    batch: int


def conv(filters: int, window: int, activation: str | None = "relu", **options: Any) -> Layer:
    """A convolution; options are strides, padding and dilation_rate."""
    return "conv", {"filters": filters, "window": window, "activation": activation, **options}


def separable(filters: int) -> Layer:
    """A 3×3 convolution by channel, then one by place."""
    return "separable", {"filters": filters, "window": 3, "padding": "same", "activation": "relu"}


def dense(units: int, activation: str | None = "relu") -> Layer:
    """Every unit sees all channels."""
    return "dense", {"units": units, "activation": activation}


POOL: Layer = ("max_pool", {"window": 2})
FLATTEN: Layer = ("flatten", {})
CLASSIFIER: Layer = dense(10, "softmax")


def dropout(rate: float) -> Layer:
    """Zeros for so large a share."""
    return "dropout", {"rate": rate}


CROSS_ENTROPY = "categorical_crossentropy"

WORKLOADS = {
    # two convolutions and two dense layers, as in Keras's example for MNIST
    "mnist": Workload(
        (conv(32, 3), conv(64, 3), POOL, dropout(0.25), FLATTEN, dense(128), dropout(0.5), CLASSIFIER),
        "adadelta",
        CROSS_ENTROPY,
        (28, 28, 1),
        10,
        128,
    ),
    # four convolutions, as in Keras's example for CIFAR-10
    "cifar": Workload(
        (
            *(conv(32, 3, padding="same"), conv(32, 3), POOL, dropout(0.25)),
            *(conv(64, 3, padding="same"), conv(64, 3), POOL, dropout(0.25)),
            *(FLATTEN, dense(512), dropout(0.5), CLASSIFIER),
        ),
        "rmsprop",
        CROSS_ENTROPY,
        (32, 32, 3),
        10,
        32,
    ),
    # causal, dilated convolutions of sequences (van den Oord et al. 2016)
    "wavenet": Workload(
        (
            conv(32, 2, "tanh", padding="causal"),
            *(conv(32, 2, padding="causal", dilation_rate=2**i) for i in range(1, 8)),
            conv(4, 1, None),
        ),
        "adam",
        "mse",
        (1024, 4),
        None,
        16,
    ),
    # separable convolutions (Chollet 2017)
    "xception": Workload(
        (
            *(conv(32, 3, padding="same"), separable(64), separable(64), POOL),
            *(separable(128), separable(128), ("global_average", {}), CLASSIFIER),
        ),
        "adam",
        CROSS_ENTROPY,
        (32, 32, 3),
        10,
        32,
    ),
    # strides down, a transposed convolution and upsampling up
    "autoencoder": Workload(
        (
            *(conv(16, 3, strides=2, padding="same"), conv(32, 3, strides=2, padding="same")),
            ("transposed", {"filters": 32, "window": 3, "strides": 2, "padding": "same", "activation": "relu"}),
            *(("upsample", {"factor": 2}), conv(16, 3, padding="same"), conv(1, 3, "sigmoid", padding="same")),
        ),
        "adam",
        "binary_crossentropy",
        (28, 28, 1),
        None,
        64,
    ),
    # convolutions of volumes
    "voxel": Workload(
        (conv(16, 3), POOL, conv(32, 3), POOL, FLATTEN, dense(64), CLASSIFIER),
        "sgd",
        CROSS_ENTROPY,
        (24, 24, 24, 1),
        10,
        16,
    ),
    # so small that what counts is what a call costs
    "digits": Workload(
        (("pad", {"width": 1}), conv(16, 3), conv(16, 3), POOL, FLATTEN, CLASSIFIER),
        "adam",
        CROSS_ENTROPY,
        (8, 8, 1),
        10,
        32,
    ),
}

GROWTH_AXES = ("batch", "pixels", "layers")


def grown(axis: str, factor: int) -> Workload:
    """A network of like convolutions, larger by a factor along one axis.

    Args:
        axis: "batch", "pixels" or "layers".
        factor: A power of two.
    """
    times = {name: factor if name == axis else 1 for name in GROWTH_AXES}
    height = 32 * times["pixels"]
    layers = (conv(16, 3, padding="same"),) * (2 * times["layers"])
    return Workload(layers, "sgd", "mse", (height, 32, 16), None, 8 * times["batch"])


def growth_of_work(axis: str, factor: int) -> float:
    """How many times the operations of a training step grow with `grown`; the first layer needs one product less."""
    return (6 * factor - 1) / 5 if axis == "layers" else float(factor)


def find(name: str) -> Workload:
    """A workload by its name; "layers×4" and its like are those that grow."""
    axis, _, factor = name.partition("×")
    return grown(axis, int(factor)) if factor else WORKLOADS[name]
