"""LossSurface: the loss as a function of one vector, judged by differences, by explicit Hessians and by evaluate."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from scipy.sparse.linalg import eigsh

from minikeras import Sequential, layers, regularizers
from minikeras.models import Model
from tests.models.small import linear

RNG = np.random.default_rng(0)
X = RNG.normal(size=(7, 6, 6, 2))
Y = RNG.integers(0, 3, 7)


def convnet(*extra, dtype="float64", **compile_arguments):
    """A small network of float64 with penalties, a BatchNormalization and what else is given."""
    model = Sequential(
        [
            layers.Conv2D(3, 3, activation="tanh", kernel_regularizer="l2", input_shape=(6, 6, 2), dtype=dtype),
            layers.BatchNormalization(dtype=dtype),
            *extra,
            layers.AveragePooling2D(),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", dtype=dtype, activity_regularizer=regularizers.l2(0.1)),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", **compile_arguments)
    return model


def differences(function, theta, step=1e-5):
    """Central differences of a function of a vector, one row for each element."""
    units = np.eye(len(theta)) * step
    return np.array([(np.asarray(function(theta + u)) - np.asarray(function(theta - u))) / (2 * step) for u in units])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("batch_size", [None, 3])
def test_gradient_and_hessian_agree_with_differences(training, batch_size):
    surface = convnet().loss_surface(X, Y, sample_weight=np.arange(7.0), batch_size=batch_size, training=training)
    theta = surface.start + 0.1 * RNG.normal(size=surface.size)
    np.testing.assert_allclose(surface.gradient(theta), differences(surface, theta), rtol=1e-6, atol=1e-8)
    hessian = differences(surface.gradient, theta)
    products = np.array([surface.hvp(theta, unit) for unit in np.eye(surface.size)])
    np.testing.assert_allclose(products, hessian, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(products, products.T, atol=1e-12)


CURVED = {
    "DepthwiseConv2D": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, activation="tanh", dtype="float64"),
    "SeparableConv2D": lambda: layers.SeparableConv2D(2, 3, activation="sigmoid", dtype="float64"),
    "Conv2DTranspose": lambda: layers.Conv2DTranspose(2, 3, strides=2, activation="softplus", dtype="float64"),
    "Conv2D in groups": lambda: layers.Conv2D(3, 2, groups=3, dilation_rate=2, activation="elu", dtype="float64"),
    "LocallyConnected2D": lambda: layers.LocallyConnected2D(2, 3, activation="tanh", dtype="float64"),
    "MaxPooling2D": lambda: layers.MaxPooling2D(2),
    "PReLU": lambda: layers.PReLU(alpha_initializer="random_uniform", shared_axes=[1, 2], dtype="float64"),
}


@pytest.mark.parametrize("name", CURVED)
def test_products_with_the_hessian_through_other_layers_agree_with_differences_of_gradients(name):
    surface = convnet(CURVED[name]()).loss_surface(X, Y, training=True)
    here, step = surface.start, 1e-5
    for v in np.random.default_rng(1).normal(size=(3, surface.size)):
        expected = (surface.gradient(here + step * v) - surface.gradient(here - step * v)) / (2 * step)
        np.testing.assert_allclose(surface.hvp(here, v), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("batch_size", [None, 3])
def test_the_loss_and_the_metrics_are_those_of_evaluate(batch_size):
    model = convnet(metrics=["accuracy"], dtype="float32")
    surface = model.loss_surface(X, Y, batch_size=batch_size)
    expected = model.evaluate(X, Y, batch_size=batch_size or 7, verbose=0)
    assert list(surface.logs(surface.start).values()) == pytest.approx(expected)
    assert surface(surface.start) == surface.value_and_gradient(surface.start)[0] == pytest.approx(expected[0])


def test_the_loss_elsewhere_is_that_of_a_model_with_these_weights():
    model = linear()
    surface = model.loss_surface([[1.0, 2.0]], [3.0])
    assert surface(np.array([2.0, 0.5, 1.0])) == pytest.approx((2.0 + 1.0 + 1.0 - 3.0) ** 2)
    assert surface(surface.start) == pytest.approx((1.0 + 4.0 + 0.5 - 3.0) ** 2)


def test_only_weights_that_are_trained_are_parameters():
    model = convnet()
    model.layers[0].trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert model.loss_surface(X, Y).size == sum(weight.size for weight in model.trainable_weights) == 3 + 3 + 12 * 3 + 3


def test_calls_leave_weights_statistics_and_random_streams_as_they_are():
    dropout = layers.Dropout(0.5)
    model = convnet(dropout)
    surface = model.loss_surface(X, Y, training=True)
    before, stream = model.get_weights(), dropout.stream.bit_generator.state
    theta = surface.start + 1.0
    for call in (surface, surface.gradient, lambda t: surface.hvp(t, t)):
        call(theta)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    assert dropout.stream.bit_generator.state == stream


def test_noise_is_the_same_at_each_call_and_its_layers_are_named():
    dropout, noise = layers.Dropout(0.5), layers.GaussianNoise(0.3)
    model = convnet(dropout, noise)
    surface = model.loss_surface(X, Y, training=True)
    theta = surface.start
    np.testing.assert_allclose(surface.gradient(theta), differences(surface, theta), rtol=1e-5, atol=1e-7)
    assert surface(theta) == surface(theta)
    assert surface.noisy == [dropout, noise]
    assert model.loss_surface(X, Y, training=True)(theta) == surface(theta)
    dropout.stream.random()
    assert model.loss_surface(X, Y, training=True)(theta) != surface(theta)


def test_without_noise_no_layer_is_named():
    surface = convnet(layers.Dropout(0.0)).loss_surface(X, Y, training=True)
    surface(surface.start)
    assert surface.noisy == []
    assert surface.moving  # the moving statistics


def test_products_notice_that_the_place_or_another_weight_has_changed():
    model = linear()
    model.layers[0].activation = lambda x: x * x
    surface = model.loss_surface([[1.0, 2.0]], [3.0])
    first, other = surface.start, surface.start + 0.5
    v = np.array([1.0, 0.0, 0.0])
    kept = [surface.hvp(first, v), surface.hvp(first, v), surface.hvp(other, v), surface.hvp(first, v)]
    np.testing.assert_array_equal(kept[0], kept[1])
    np.testing.assert_array_equal(kept[0], kept[3])
    assert (kept[0] != kept[2]).all()
    surface.parameters.assign(other)
    np.testing.assert_array_equal(surface.hvp(first, v), kept[0])


def test_products_notice_that_a_frozen_weight_has_changed():
    model = Sequential([layers.Dense(1, input_dim=1, use_bias=False), layers.Dense(1, use_bias=False)])
    model.set_weights([[[2.0]], [[3.0]]])
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    surface = model.loss_surface([[1.0]], [0.0])
    assert surface.hvp([3.0], [1.0]).tolist() == [8.0]
    model.layers[0].set_weights([[[1.0]]])
    assert surface.hvp([3.0], [1.0]).tolist() == [2.0]


def test_eigenvalues_by_lanczos_are_those_of_the_explicit_hessian():
    surface = convnet().loss_surface(X, Y)
    theta = surface.start
    expected = np.linalg.eigvalsh(differences(surface.gradient, theta))
    found = eigsh(surface.hessian(), k=5, which="LA", return_eigenvectors=False)
    np.testing.assert_allclose(np.sort(found), expected[-5:], rtol=1e-6)
    lowest = eigsh(surface.hessian(theta), k=1, which="SA", return_eigenvectors=False)
    np.testing.assert_allclose(lowest, expected[:1], rtol=1e-5, atol=1e-8)


def test_a_loss_linear_in_the_weights_has_products_of_zero():
    model = linear(loss=lambda y_true, y_pred: y_pred)
    surface = model.loss_surface([[1.0, 2.0]], [3.0])
    assert surface.hvp(surface.start, np.ones(3)).tolist() == [0.0, 0.0, 0.0]


def test_models_of_several_inputs_and_outputs_have_a_surface():
    a, b = layers.Input((2,)), layers.Input((2,))
    shared = layers.Dense(2, activation="tanh", dtype="float64")
    u, v = shared(a), shared(b)
    model = Model([a, b], [layers.Dot(1)([u, v]), layers.Add()([u, v])])
    model.compile("sgd", "mse", loss_weights=[0.5, 2.0])
    x = [RNG.normal(size=(4, 2)), RNG.normal(size=(4, 2))]
    surface = model.loss_surface(x, [np.ones((4, 1)), np.zeros((4, 2))])
    theta = surface.start
    np.testing.assert_allclose(surface.gradient(theta), differences(surface, theta), rtol=1e-6, atol=1e-8)
    products = [surface.hvp(theta, unit) for unit in np.eye(surface.size)]
    np.testing.assert_allclose(products, differences(surface.gradient, theta), rtol=1e-6, atol=1e-8)


def test_a_surface_is_freed_with_its_last_reference():
    gc.collect()
    gc.disable()
    try:
        model = convnet()
        surface = model.loss_surface(X, Y)
        surface.hvp(surface.start, surface.start)
        reference = weakref.ref(surface)
        del surface
        assert reference() is None
    finally:
        gc.enable()


def test_messages_name_the_model_and_what_was_expected():
    model = convnet()
    with pytest.raises(ValueError, match=r"FlatParameters: the vector must have the shape"):
        model.loss_surface(X, Y)(np.zeros(3))
    with pytest.raises(ValueError, match=r"Sequential .*target"):
        model.loss_surface(X)
    with pytest.raises(TypeError, match=r"Sequential .*training must be True or False"):
        model.loss_surface(X, Y, training="yes")
    with pytest.raises(ValueError, match=r"Sequential .*batch_size"):
        model.loss_surface(X, Y, batch_size=0)
    with pytest.raises(RuntimeError, match=r"Sequential .*must be compiled first"):
        Sequential([layers.Dense(1, input_dim=1)]).loss_surface([[1.0]], [1.0])
    model.trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"Sequential .*none of its weights is trainable"):
        model.loss_surface(X, Y)
