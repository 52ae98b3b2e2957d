"""What every layer must satisfy, as checks that take a layer."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from minikeras import layers
from minikeras.core.tape import gradients
from minikeras.core.tensor import Tensor
from minikeras.gradcheck import assert_gradients, check_layer


def check_output_shape(layer: layers.Layer, shape: tuple[int, ...]) -> None:
    """The shape that the layer foretells is the real one, and None where a free dimension makes it free."""
    real = layer(np.ones(shape, np.float32)).shape
    assert tuple(layer.compute_output_shape(shape)) == real
    axis = 1 if getattr(layer, "data_format", "") == "channels_first" else len(shape) - 1
    free = [None if i != axis else size for i, size in enumerate(shape)]
    assert tuple(layer.compute_output_shape(free)) == tuple(None if i != axis else n for i, n in enumerate(real))


def check_configuration(layer: layers.Layer) -> None:
    """A layer made from the configuration, also after a way through JSON, has the same one."""
    config = layer.get_config()
    assert type(layer).from_config(config).get_config() == config
    stored = json.loads(json.dumps(layers.serialize(layer)))
    again = layers.deserialize(stored)
    assert type(again) is type(layer)
    assert again.get_config() == config


def check_data_formats(layer_class: Any, shape: tuple[int, ...], **arguments: Any) -> None:
    """With channels_first the layer computes what it computes with channels_last, transposed; so do gradients."""
    rng = np.random.default_rng(3)
    last = layer_class(data_format="channels_last", dtype="float64", **arguments)
    first = layer_class(data_format="channels_first", dtype="float64", **arguments)
    x = Tensor(rng.normal(size=shape), requires_grad=True)
    x_first = Tensor(np.moveaxis(x.numpy(), -1, 1).copy(), requires_grad=True)
    y = last(x)
    first.ensure_built(x_first.shape)
    first.set_weights(last.get_weights())
    y_first = first(x_first)
    np.testing.assert_allclose(np.moveaxis(y_first.numpy(), 1, -1), y.numpy(), rtol=1e-12)
    g = rng.normal(size=y.shape)
    wanted = gradients(y, [x, *last.weights], Tensor(g))
    found = gradients(y_first, [x_first, *first.weights], Tensor(np.moveaxis(g, -1, 1)))
    np.testing.assert_allclose(np.moveaxis(found[0].numpy(), 1, -1), wanted[0].numpy(), rtol=1e-10, atol=1e-12)
    for one, other in zip(found[1:], wanted[1:], strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-10, atol=1e-12)


def check_gradients(layer: layers.Layer, shape: tuple[int, ...]) -> None:
    """First and second derivatives agree with differences, in the input and in each weight."""
    assert_gradients(check_layer(layer, shape[1:], batch_size=shape[0], order=2))
