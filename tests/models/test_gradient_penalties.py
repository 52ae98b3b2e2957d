"""Gradient penalties through every family of layers: the derivative of a slope, judged by differences in float64.

The penalty is that of a WGAN-GP: how far the lengths of the gradients with respect to the inputs are from 1. Its own
gradient with respect to the weights needs the second derivative of each layer, mixed between input and weights.
"""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

from minikeras import config, grad, gradients, layers, ops
from minikeras.core import random
from minikeras.layers.base import call_context
from minikeras.models import Model, Sequential
from minikeras.optimizers import Adam
from minikeras.utils import FlatParameters

STEP = 1e-5


@pytest.fixture(autouse=True)
def _float64():
    config.set_floatx("float64")


def penalty_of(model, inputs, training):
    """The sum of the outputs, its gradient with respect to the inputs, and the penalty of that, as functions."""
    values = [value for layer in model._flatten() for value in vars(layer).values()]
    streams = [(value, random.get_state(value)) for value in values if isinstance(value, np.random.Generator)]

    def output(*arrays):
        for stream, state in streams:
            random.set_state(stream, state)
        with call_context(training=training):
            return ops.sum(model(list(arrays) if len(arrays) > 1 else arrays[0]))

    def slope():
        return grad(output, argnums=range(len(inputs)), create_graph=True)(*inputs)

    def penalty():
        squares = sum(ops.sum(part * part, axis=tuple(range(1, part.ndim))) for part in slope())
        return ops.mean((ops.sqrt(squares) - 1.0) ** 2)

    return output, slope, penalty


def check(model, *inputs, training=True):
    """Compare slope and gradient of the penalty with differences, along random directions."""
    rng = np.random.default_rng(7)
    output, slope, penalty = penalty_of(model, inputs, training)
    directions = [rng.standard_normal(x.shape) for x in inputs]

    ahead, behind = (
        output(*(x + h * d for x, d in zip(inputs, directions, strict=True))).item() for h in (STEP, -STEP)
    )
    along = sum(float((part.numpy() * d).sum()) for part, d in zip(slope(), directions, strict=True))
    assert along == pytest.approx((ahead - behind) / (2 * STEP), rel=1e-6, abs=1e-8)

    flat = FlatParameters(model.trainable_weights)
    gradient = flat.join(gradients(penalty(), flat.parameters))
    assert np.abs(gradient).max() > 1e-6, "the penalty doesn't depend on the weights"
    here = flat.vector
    for direction in rng.standard_normal((3, flat.size)):
        values = []
        for h in (STEP, -STEP):
            with flat.at(here + h * direction):
                values.append(penalty().item())
        assert gradient @ direction == pytest.approx((values[0] - values[1]) / (2 * STEP), rel=1e-5, abs=1e-7)


def critic(rank, *middle, size=5, channels=2):
    """A model of inputs (N, size, ..., channels) with the layers in its middle, curved before and after them."""
    conv = (layers.Conv1D, layers.Conv2D, layers.Conv3D)[rank - 1]
    shape = (*[size] * rank, channels)
    model = Sequential([conv(2, 2, padding="same", activation="tanh", input_shape=shape), *middle])
    if len(model.output_shape) > 2:
        model.add(layers.Flatten())
    model.add(layers.Dense(2, activation="tanh"))
    return model


def samples(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal((3, *shape))


SPACE = {
    "a convolution": lambda conv: conv(3, 2, strides=2, activation="sigmoid"),
    "a dilated convolution": lambda conv: conv(3, 2, dilation_rate=2, padding="same", activation="elu"),
    "a convolution without bias or activation": lambda conv: conv(2, 3, use_bias=False),
    "a convolution in groups": lambda conv: conv(4, 2, groups=2, activation="softplus"),
}


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", SPACE)
def test_convolutions(rank, name):
    conv = (layers.Conv1D, layers.Conv2D, layers.Conv3D)[rank - 1]
    check(critic(rank, SPACE[name](conv)), samples(*[5] * rank, 2))


def test_a_causal_convolution():
    check(critic(1, layers.Conv1D(3, 3, padding="causal", activation="tanh")), samples(5, 2))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_transposed_convolutions(rank, padding):
    conv = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)[rank - 1]
    check(critic(rank, conv(2, 3, strides=2, padding=padding, activation="tanh"), size=3), samples(*[3] * rank, 2))


IMAGES = {
    "DepthwiseConv2D": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, strides=2, activation="tanh"),
    "SeparableConv2D": lambda: layers.SeparableConv2D(3, 3, depth_multiplier=2, padding="same", activation="sigmoid"),
    "LocallyConnected2D": lambda: layers.LocallyConnected2D(2, 3, activation="tanh"),
    "MaxPooling2D": lambda: layers.MaxPooling2D(2),
    "MaxPooling2D with overlaps": lambda: layers.MaxPooling2D(3, strides=1, padding="same"),
    "AveragePooling2D": lambda: layers.AveragePooling2D(2, padding="same"),
    "GlobalMaxPooling2D": lambda: layers.GlobalMaxPooling2D(),
    "GlobalAveragePooling2D": lambda: layers.GlobalAveragePooling2D(),
    "UpSampling2D": lambda: layers.UpSampling2D(2),
    "UpSampling2D, bilinear": lambda: layers.UpSampling2D((2, 3), interpolation="bilinear"),
    "Cropping2D": lambda: layers.Cropping2D(((1, 0), (0, 2))),
    "ZeroPadding2D": lambda: layers.ZeroPadding2D((1, 2)),
    "BatchNormalization": lambda: layers.BatchNormalization(),
    "BatchNormalization of the first axis": lambda: layers.BatchNormalization(axis=1, scale=False),
    "Dropout": lambda: layers.Dropout(0.3),
    "AlphaDropout": lambda: layers.AlphaDropout(0.3),
    "SpatialDropout2D": lambda: layers.SpatialDropout2D(0.3, seed=4),
    "GaussianNoise": lambda: layers.GaussianNoise(0.3),
    "GaussianDropout": lambda: layers.GaussianDropout(0.3),
    "PReLU": lambda: layers.PReLU(alpha_initializer="random_uniform", shared_axes=[1, 2]),
    "LeakyReLU": lambda: layers.LeakyReLU(0.2),
    "ELU": lambda: layers.ELU(0.7),
    "ThresholdedReLU": lambda: layers.ThresholdedReLU(0.1),
    "ReLU": lambda: layers.ReLU(max_value=0.5, negative_slope=0.1),
    "Softmax": lambda: layers.Softmax(),
    "Permute": lambda: layers.Permute((2, 3, 1)),
    "Reshape": lambda: layers.Reshape((25, 2)),
    "Lambda": lambda: layers.Lambda(lambda x: x * ops.sigmoid(x)),
}


@pytest.mark.parametrize("name", IMAGES)
def test_layers_of_images(name):
    check(critic(2, IMAGES[name]()), samples(5, 5, 2))


def test_batch_normalization_by_its_moving_statistics():
    check(critic(2, layers.BatchNormalization()), samples(5, 5, 2), training=False)


OF_ONE_AXIS = {
    "LocallyConnected1D": lambda: layers.LocallyConnected1D(2, 3, activation="tanh"),
    "SeparableConv1D": lambda: layers.SeparableConv1D(3, 3, activation="tanh"),
    "DepthwiseConv1D": lambda: layers.DepthwiseConv1D(3, depth_multiplier=2, activation="tanh"),
    "MaxPooling1D": lambda: layers.MaxPooling1D(2),
    "AveragePooling1D": lambda: layers.AveragePooling1D(2),
    "UpSampling1D": lambda: layers.UpSampling1D(2),
    "Cropping1D": lambda: layers.Cropping1D(1),
    "ZeroPadding1D": lambda: layers.ZeroPadding1D(2),
    "TimeDistributed": lambda: layers.TimeDistributed(layers.Dense(3, activation="tanh")),
    "GlobalMaxPooling1D": lambda: layers.GlobalMaxPooling1D(),
    "Dense along the last axis": lambda: layers.Dense(3, activation="softmax"),
}


@pytest.mark.parametrize("name", OF_ONE_AXIS)
def test_layers_of_sequences(name):
    check(critic(1, OF_ONE_AXIS[name]()), samples(5, 2))


VOLUMES = {
    "MaxPooling3D": lambda: layers.MaxPooling3D(2),
    "AveragePooling3D": lambda: layers.AveragePooling3D(2),
    "UpSampling3D": lambda: layers.UpSampling3D((1, 2, 2)),
    "Cropping3D": lambda: layers.Cropping3D(1),
    "ZeroPadding3D": lambda: layers.ZeroPadding3D(1),
}


@pytest.mark.parametrize("name", VOLUMES)
def test_layers_of_volumes(name):
    check(critic(3, VOLUMES[name](), size=4), samples(4, 4, 4, 2))


@pytest.mark.parametrize(
    "merge",
    [
        layers.Add(),
        layers.Subtract(),
        layers.Multiply(),
        layers.Average(),
        layers.Maximum(),
        layers.Minimum(),
        layers.Concatenate(),
        layers.Dot(-1),
        layers.Dot(-1, normalize=True),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_merged_branches(merge):
    left, right = layers.Input((4, 3)), layers.Input((4, 3))
    shared = layers.Conv1D(2, 2, padding="same", activation="tanh")
    merged = layers.Flatten()(merge([shared(left), layers.Dense(2, activation="sigmoid")(shared(right))]))
    model = Model([left, right], layers.Dense(2, activation="tanh")(merged))
    check(model, samples(4, 3), samples(4, 3, seed=1))


def test_a_penalty_of_embedded_words():
    words = np.array([[0, 2, 2], [1, 3, 0]])
    embedding = layers.Embedding(4, 2, input_length=3)
    top = Sequential([layers.Conv1D(2, 2, activation="tanh", input_shape=(3, 2)), layers.Flatten(), layers.Dense(1)])
    embedding(words), top(np.zeros((1, 3, 2)))
    flat = FlatParameters([*embedding.trainable_weights, *top.trainable_weights])

    def penalty():
        embedded = embedding(words)
        (slope,) = gradients(ops.sum(top(embedded) ** 2), embedded, create_graph=True)
        return ops.mean((ops.norm(slope, axis=(1, 2)) - 1.0) ** 2)

    here = flat.vector + np.random.default_rng(0).standard_normal(flat.size)
    flat.assign(here)
    found = flat.join(gradients(penalty(), flat.parameters))
    for i, unit in enumerate(np.eye(flat.size) * STEP):
        values = []
        for sign in (1, -1):
            with flat.at(here + sign * unit):
                values.append(penalty().item())
        assert found[i] == pytest.approx((values[0] - values[1]) / (2 * STEP), rel=1e-5, abs=1e-7)


def test_the_penalty_of_a_critic_that_gives_the_same_to_everything_is_finite():
    model = critic(2)
    model.layers[0].set_weights([np.zeros((2, 2, 2, 2)), np.zeros(2)])
    slope = grad(lambda x: ops.sum(model(x)), create_graph=True)(samples(5, 5, 2))
    penalty = ops.mean((ops.norm(slope, axis=(1, 2, 3)) - 1.0) ** 2)
    assert penalty.item() == 1.0
    assert all(np.isfinite(g.numpy()).all() for g in gradients(penalty, model.trainable_weights) if g is not None)


def test_training_by_a_gradient_penalty_leaves_nothing_behind():
    """Without the garbage collector, the arrays in memory are as many after 10 steps as before."""
    model = critic(2, layers.BatchNormalization(), layers.LeakyReLU(0.2), layers.Conv2DTranspose(2, 3, strides=2))
    x, optimizer, weights = samples(5, 5, 2), Adam(), model.trainable_weights

    def step():
        loss = penalty_of(model, [x], training=True)[2]() - ops.mean(model(x))
        optimizer.apply_gradients(gradients(loss, weights), weights)

    def arrays():
        snapshot = tracemalloc.take_snapshot()
        domain = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
        return sum(trace.size for trace in snapshot.filter_traces([domain]).traces)

    step()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        step()
        memory, objects = arrays(), len(gc.get_objects())
        for _ in range(10):
            step()
        assert arrays() == memory
        assert len(gc.get_objects()) - objects < 10
        assert gc.collect() == 0
    finally:
        tracemalloc.stop()
        gc.enable()
