"""Random networks of layers of both data formats, to compare what they predict with what their ONNX graphs compute.

A few are compared by the tests; ``python -m tests.onnx.networks 4000`` compares more, with ONNX Runtime.
"""

from __future__ import annotations

import math
import random
import sys

import numpy as np

from minikeras import Input, Model, layers
from tests.onnx import zoo

LARGEST = 3000  # elements of a sample anywhere


def network(seed):
    """A network of two to seven random layers and a few merges, with random weights."""
    draw = random.Random(seed)
    x = y = Input(draw.choice([(4,), (6, 3), (6, 5, 3), (5, 6, 4)]))
    made = [x]
    for _ in range(draw.randint(2, 7)):
        try:
            found = random_layer(draw, y.shape)(y)
        except (TypeError, ValueError):  # it doesn't fit: another one
            continue
        if math.prod(found.shape[1:]) > LARGEST:
            continue
        y = found
        same = [other for other in made if other.shape == y.shape]
        if same and draw.random() < 0.3:
            kinds = [layers.Add, layers.Multiply, layers.Maximum, layers.Concatenate]
            y = draw.choice(kinds)()([y, draw.choice(same)])
        made.append(y)
    return zoo.prepared(Model(x, y), seed)


def random_layer(draw, shape):
    """A layer for an input of two to four axes."""
    makers = {2: on_channels, 3: on_steps, 4: on_images}[len(shape)](draw, shape)
    return draw.choice(makers)()


def on_channels(draw, shape):
    return [
        lambda: layers.Dense(draw.randint(2, 6), activation=draw.choice(["relu", "tanh", None])),
        lambda: layers.BatchNormalization(),
        lambda: layers.Reshape((-1, draw.choice([1, 2]))),
        lambda: layers.RepeatVector(3),
        lambda: layers.PReLU("uniform"),
        lambda: layers.Softmax(),
        lambda: layers.Dropout(0.3),
    ]


def on_steps(draw, shape):
    data_format = draw.choice([zoo.LAST, zoo.FIRST])
    keywords = {"data_format": data_format}
    padding = {"padding": draw.choice(["same", "valid"]), "strides": draw.randint(1, 2), **keywords}
    return [
        lambda: layers.Conv1D(draw.randint(2, 4), draw.randint(1, 3), **padding),
        lambda: layers.Conv1DTranspose(3, 2, **padding),
        lambda: layers.SeparableConv1D(3, 2, **padding),
        lambda: layers.LocallyConnected1D(2, 2, **keywords),
        lambda: layers.Dense(draw.randint(2, 5)),
        lambda: layers.TimeDistributed(layers.Dense(3)),
        lambda: layers.Permute((2, 1)),
        lambda: layers.Flatten(data_format),
        lambda: layers.Reshape((*shape[1:], 1)),
        lambda: layers.MaxPooling1D(2, **padding),
        lambda: layers.UpSampling1D(2, **keywords),
        lambda: layers.ZeroPadding1D(1, **keywords),
        lambda: layers.GlobalAveragePooling1D(),
        lambda: layers.BatchNormalization(draw.choice([1, 2, -1])),
        lambda: layers.PReLU("uniform", shared_axes=draw.choice([None, [1], [2]])),
        lambda: layers.Softmax(draw.choice([1, 2])),
        lambda: layers.Masking(0.0),
    ]


def on_images(draw, shape):
    data_format = draw.choice([zoo.LAST, zoo.FIRST])
    keywords = {"data_format": data_format}
    padding = {"padding": draw.choice(["same", "valid"]), "strides": draw.randint(1, 2), **keywords}
    return [
        lambda: layers.Conv2D(draw.randint(2, 4), draw.randint(1, 3), **padding),
        lambda: layers.Conv2DTranspose(3, draw.randint(1, 3), **padding),
        lambda: layers.DepthwiseConv2D(2, depth_multiplier=2, **padding),
        lambda: layers.SeparableConv2D(3, 2, **padding),
        lambda: layers.LocallyConnected2D(2, 2, **keywords),
        lambda: layers.Dense(draw.randint(2, 5)),
        lambda: layers.TimeDistributed(layers.Conv1D(2, 2, padding="same")),
        lambda: layers.Permute(tuple(draw.sample([1, 2, 3], 3))),
        lambda: layers.Flatten(data_format),
        lambda: layers.Reshape((shape[1] * shape[2], shape[3])),
        lambda: layers.AveragePooling2D(2, **padding),
        lambda: layers.UpSampling2D((2, 1), interpolation=draw.choice(["nearest", "bilinear"]), **keywords),
        lambda: layers.UpSampling2D(2, interpolation="bilinear", half_pixel_centers=False, **keywords),
        lambda: layers.ZeroPadding2D(((1, 0), (0, 2)), **keywords),
        lambda: layers.Cropping2D(((1, 0), (0, 0)), **keywords),
        lambda: layers.GlobalMaxPooling2D(**keywords),
        lambda: layers.BatchNormalization(draw.choice([1, 2, 3, -1])),
        lambda: layers.PReLU("uniform", shared_axes=draw.choice([None, [1], [1, 2], [2, 3]])),
        lambda: layers.Softmax(draw.choice([1, 2, 3])),
        lambda: layers.ReLU(1.0, 0.1, 0.2),
    ]


def main(count):
    """Compare many; print those that disagree, and the largest difference."""
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail

    from tests.onnx.test_export import TOLERANCE, disagreement, onnx_model

    worst, refused = 0.0, []
    for seed in range(count):
        model = network(seed)
        try:
            error = disagreement(model, onnx_model(model), 3)
        except Fail:
            # 1.32 moves a Transpose through a bilinear Resize, and can't run that then; without optimizations it runs
            refused.append(seed)
            continue
        worst = max(worst, error)
        if not error < TOLERANCE:
            print(seed, error, [type(layer).__name__ for layer in model.layers])
    print(f"{count} networks, the largest difference {np.float32(worst)}; ONNX Runtime can't run {refused}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
