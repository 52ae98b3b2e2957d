"""Small models and data that the tests of this folder share."""

from __future__ import annotations

import numpy as np

from minikeras import Sequential, Tensor, layers
from minikeras.layers.base import Layer
from minikeras.models.training import Trainer


def blobs(samples=60, classes=3, seed=0):
    """Points in the plane around the corners of a polygon, and their class numbers, in random order."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, samples)
    angles = 2 * np.pi * labels / classes
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) + 0.2 * rng.standard_normal((samples, 2))
    return points.astype("float32"), labels


def classifier(classes=3, loss="sparse_categorical_crossentropy", optimizer="adam", metrics=("accuracy",)):
    model = Sequential([layers.Dense(8, activation="relu", input_dim=2), layers.Dense(classes, activation="softmax")])
    model.compile(optimizer, loss, metrics=list(metrics))
    return model


def linear(weights=(1.0, 2.0), bias=0.5, **compile_arguments):
    """y = x @ weights + bias, compiled for plain gradient descent."""
    model = Sequential([layers.Dense(1, input_dim=len(weights))])
    model.set_weights([np.array(weights)[:, None], np.array([bias])])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **compile_arguments})
    return model


class TwoHeads(Trainer):
    """Two inputs and two outputs: the double of the first input, and a Dense layer of the second."""

    def __init__(self):
        super().__init__()
        self.double = Scale(2.0, name="double")
        self.score = layers.Dense(1, name="score")

    def build(self, input_shape):
        self.score.ensure_built(input_shape[1])
        self.double.ensure_built(input_shape[0])
        super().build(input_shape)

    def call(self, inputs):
        return [self.double(inputs[0]), self.score(inputs[1])]

    @property
    def input_names(self):
        return ["left", "right"]

    @property
    def output_names(self):
        return ["double", "score"]

    @property
    def output_shapes(self):
        return [(None, 1), (None, 1)]

    @property
    def output_layers(self):
        return [self.double, self.score]


class Scale(Layer):
    """Multiply by one trainable number."""

    def __init__(self, factor=1.0, **keywords):
        super().__init__(**keywords)
        self.factor = factor

    def build(self, input_shape):
        self.scale = self.add_weight("scale", (), initializer="ones")
        self.scale.assign(np.array(self.factor))
        super().build(input_shape)

    def call(self, inputs):
        return inputs * self.scale


class Offset(Layer):
    """Add a number that is no weight."""

    def __init__(self, offset=1.0, **keywords):
        super().__init__(**keywords)
        self.offset = offset

    def call(self, inputs: Tensor) -> Tensor:
        return inputs + self.offset
