"""Every layer over a grid of its arguments."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from minikeras import gradcheck, layers

LINE, IMAGE, SOLID = (2, 6, 3), (2, 5, 6, 2), (1, 4, 3, 4, 2)
SHAPES = {1: LINE, 2: IMAGE, 3: SOLID}


class Case(NamedTuple):
    """One layer with its arguments, and the shape of its input, or a list of them, with the batch in front."""

    label: str
    make: Callable[[], layers.Layer]
    shape: Any
    training: bool | None = None

    def check(self, seed: int, **options: Any) -> gradcheck.GradientReport:
        """What the checker says of it."""
        several = isinstance(self.shape, list)
        shapes = [(None, *shape[1:]) for shape in (self.shape if several else [self.shape])]
        batch = self.shape[0][0] if several else self.shape[0]
        return gradcheck.check_layer(
            self.make(), shapes if several else shapes[0], batch_size=batch, training=self.training, seed=seed,
            **options,
        )  # fmt: skip


def case(name: str, shape: Any, *arguments: Any, training: bool | None = None, **options: Any) -> Case:
    """A layer by its class's name."""
    told = [*map(str, arguments), *[f"{key}={value}" for key, value in options.items()]]
    label = f"{name}({', '.join(told)}) on {shape}{'' if training is None else f', training={training}'}"
    return Case(label, lambda: getattr(layers, name)(*arguments, **options), shape, training)


def convolutions() -> Iterator[Case]:
    for rank, shape in SHAPES.items():
        name = f"Conv{rank}D"
        for padding, strides, dilation in [("valid", 1, 1), ("same", 1, 1), ("same", 2, 1), ("valid", 1, 2)]:
            yield case(name, shape, 3, 2, padding=padding, strides=strides, dilation_rate=dilation)
        for activation in ("relu", "tanh", "sigmoid", "elu"):
            yield case(name, shape, 2, 2, activation=activation)
        yield case(name, shape, 2, 1, use_bias=False)
        yield case(name, (shape[0], shape[-1], *shape[1:-1]), 2, 2, data_format="channels_first")
        for padding, strides in itertools.product(("valid", "same"), (1, 2)):
            yield case(f"{name}Transpose", shape, 2, 3, padding=padding, strides=strides)
    yield case("Conv1D", LINE, 2, 3, padding="causal", dilation_rate=2)
    for multiplier, padding, strides in itertools.product((1, 2), ("valid", "same"), (1, 2)):
        arguments = {"depth_multiplier": multiplier, "padding": padding, "strides": strides}
        yield case("DepthwiseConv2D", IMAGE, 3, **arguments)
        yield case("SeparableConv2D", IMAGE, 2, 3, **arguments)
        yield case("SeparableConv1D", LINE, 2, 3, **arguments)
        yield case("DepthwiseConv1D", LINE, 3, **arguments)
    yield case("LocallyConnected1D", LINE, 2, 3)
    yield case("LocallyConnected2D", IMAGE, 2, 3, activation="tanh")


def windows() -> Iterator[Case]:
    for rank, shape in SHAPES.items():
        for kind, padding, strides in itertools.product(("Max", "Average"), ("valid", "same"), (None, 1)):
            yield case(f"{kind}Pooling{rank}D", shape, 2, padding=padding, strides=strides)
        yield case(f"GlobalMaxPooling{rank}D", shape)
        yield case(f"GlobalAveragePooling{rank}D", shape)
        yield case(f"UpSampling{rank}D", shape, 2)
        yield case(f"ZeroPadding{rank}D", shape, 2)
        yield case(f"Cropping{rank}D", shape, 1)
    yield case("UpSampling2D", IMAGE, (2, 3), interpolation="bilinear")


def activations() -> Iterator[Case]:
    for name in ("LeakyReLU", "PReLU", "ELU", "ThresholdedReLU", "Softmax", "ReLU"):
        yield case(name, (3, 4))
    yield case("PReLU", IMAGE, "ones", shared_axes=[1, 2])
    yield case("ReLU", (3, 4), 1.5, 0.1, 0.2)
    yield case("Softmax", IMAGE, 1)
    for name in ("relu", "elu", "selu", "tanh", "sigmoid", "hard_sigmoid", "softplus", "softsign", "softmax",
                 "exponential", "linear"):  # fmt: skip
        yield case("Activation", (3, 4), name)
        yield case("Dense", (3, 4), 2, activation=name)


def others() -> Iterator[Case]:
    yield case("Dense", (2, 3, 4), 3)
    yield case("Dense", (3, 4), 3, use_bias=False)
    yield case("Flatten", IMAGE)
    yield case("Reshape", (2, 6), (3, 2))
    yield case("Permute", LINE, (2, 1))
    yield case("RepeatVector", (2, 3), 4)
    yield case("ActivityRegularization", (3, 4), l1=0.1, l2=0.1)
    yield case("Masking", LINE)
    for training in (False, True):
        for shape in ((6, 3), LINE, IMAGE):
            yield case("BatchNormalization", shape, training=training)
        yield case("BatchNormalization", (6, 3), scale=False, training=training)
        yield case("BatchNormalization", (6, 3), center=False, training=training)
        for name in ("Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "AlphaDropout"):
            yield case(name, LINE, 0.3, training=training)
    yield case("BatchNormalization", IMAGE, axis=1, training=True)
    pair = [(3, 4), (3, 4)]
    for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"):
        yield case(name, pair)
    yield case("Dot", pair, 1)
    yield case("Dot", pair, 1, normalize=True)
    yield case("Dot", [LINE, LINE], (1, 1))
    yield Case("TimeDistributed(Dense)", lambda: layers.TimeDistributed(layers.Dense(2)), LINE)
    yield Case("Lambda", lambda: layers.Lambda(lambda x: x * x), (3, 4))


ZOO = [*convolutions(), *windows(), *activations(), *others()]
