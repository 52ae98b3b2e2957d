"""Keras 1's names of arguments, Keras's other names of layers, and the layers that aren't there."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from minikeras import layers


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            lambda: layers.Convolution2D(4, 3, 2, border_mode="same", subsample=(2, 2), dim_ordering="th", bias=False),
            lambda: layers.Conv2D(
                4, (3, 2), padding="same", strides=(2, 2), data_format="channels_first", use_bias=False
            ),
        ),
        (lambda: layers.Convolution2D(4, 3, 2), lambda: layers.Conv2D(4, (3, 2))),
        (lambda: layers.Conv2D(4, 3, nb_col=2), lambda: layers.Conv2D(4, (3, 2))),
        (
            lambda: layers.Conv2D(nb_filter=4, nb_row=3, nb_col=2, init="ones"),
            lambda: layers.Conv2D(4, (3, 2), kernel_initializer="ones"),
        ),
        (
            lambda: layers.Conv2D(4, (3, 2), (2, 2), bias=False),
            lambda: layers.Conv2D(4, (3, 2), (2, 2), use_bias=False),
        ),
        (lambda: layers.Conv1D(4, 3, input_dim=5), lambda: layers.Conv1D(4, 3, input_shape=(None, 5))),
        (lambda: layers.Convolution3D(4, 3, 2, 1), lambda: layers.Conv3D(4, (3, 2, 1))),
        (
            lambda: layers.Conv1D(nb_filter=4, filter_length=3, subsample_length=2, input_length=9, input_dim=5),
            lambda: layers.Conv1D(4, 3, strides=2, input_shape=(9, 5)),
        ),
        (
            lambda: layers.SeparableConv2D(4, 3, 3, init="ones", b_regularizer="l2"),
            lambda: layers.SeparableConv2D(
                4, (3, 3), depthwise_initializer="ones", pointwise_initializer="ones", bias_regularizer="l2"
            ),
        ),
        (
            lambda: layers.Deconvolution2D(4, 3, 3, output_shape=(None, 9, 9, 4)),
            lambda: layers.Conv2DTranspose(4, (3, 3)),
        ),
        (
            lambda: layers.Dense(output_dim=3, W_regularizer="l1", b_constraint="non_neg"),
            lambda: layers.Dense(3, kernel_regularizer="l1", bias_constraint="non_neg"),
        ),
        (lambda: layers.Dropout(p=0.3), lambda: layers.Dropout(0.3)),
        (lambda: layers.GaussianNoise(sigma=0.3), lambda: layers.GaussianNoise(0.3)),
        (
            lambda: layers.SpatialDropout2D(p=0.3, dim_ordering="tf"),
            lambda: layers.SpatialDropout2D(0.3, "channels_last"),
        ),
        (lambda: layers.MaxPooling1D(pool_length=3, stride=2), lambda: layers.MaxPooling1D(3, 2)),
        (lambda: layers.MaxPooling2D((3, 3), border_mode="same"), lambda: layers.MaxPooling2D((3, 3), padding="same")),
        (lambda: layers.UpSampling1D(length=3), lambda: layers.UpSampling1D(3)),
        (lambda: layers.ZeroPadding2D(1, dim_ordering="default"), lambda: layers.ZeroPadding2D(1)),
        (lambda: layers.Embedding(5, 2, init="ones"), lambda: layers.Embedding(5, 2, "ones")),
        (lambda: layers.PReLU(init="ones"), lambda: layers.PReLU("ones")),
        (
            lambda: layers.BatchNormalization(mode=0, beta_init="ones"),
            lambda: layers.BatchNormalization(beta_initializer="ones"),
        ),
    ],
)
def test_keras_1_s_call_is_keras_2_s_with_a_warning(old, new):
    with pytest.warns(UserWarning, match="to the Keras 2 API") as caught:
        found = old().get_config()
    assert [warning.filename for warning in caught] == [__file__]
    expected = new().get_config()
    assert {**found, "name": None} == {**expected, "name": None}


def test_the_warning_shows_the_call_of_today():
    with pytest.warns(UserWarning, match=r"Update your `Conv2D` call .* `Conv2D\(8, \(3, 3\), padding='same'\)`"):
        layers.Conv2D(8, 3, 3, border_mode="same")


def test_keras_2_s_calls_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layers.Conv2D(8, (3, 3), (2, 2), "same")
        layers.Conv2DTranspose(8, 3, 2, "same")
        layers.Dense(3, input_dim=4)
        layers.Embedding(5, 2, input_length=3)


def test_a_subclass_takes_the_names_too():
    class Mine(layers.Conv2D):
        pass

    with pytest.warns(UserWarning, match="Update your `Mine` call"):
        assert Mine(8, 3, 3).kernel_size == (3, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: layers.Conv2D(8, 3, 2, padding="same"), ValueError, r"kernel_size as a tuple.* Received: 8, 3, 2"),
        (lambda: layers.Dense(units=2, output_dim=3), TypeError, r"units is given twice.* Received: output_dim=3"),
        (lambda: layers.BatchNormalization(mode=2), TypeError, r"mode of Keras 1 is no more.* Received: mode=2"),
        (lambda: layers.Embedding(5, 2, dropout=0.2), TypeError, r"SpatialDropout1D behind it. Received: dropout=0.2"),
        (lambda: layers.Dense(2, border_mode="same"), TypeError, r"unexpected keyword argument 'border_mode'"),
    ],
)
def test_wrong_calls_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_atrous_convolutions_are_dilated_ones():
    with pytest.warns(UserWarning, match="Use Conv1D with dilation_rate=2"):
        assert layers.AtrousConvolution1D(4, 3, atrous_rate=2).dilation_rate == (2,)
    with pytest.warns(UserWarning, match="Use Conv2D with dilation_rate="):
        assert layers.AtrousConv2D(4, (3, 3), atrous_rate=(2, 1)).dilation_rate == (2, 1)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("Convolution1D", "Conv1D"),
        ("Convolution3D", "Conv3D"),
        ("Deconvolution2D", "Conv2DTranspose"),
        ("Deconvolution3D", "Conv3DTranspose"),
        ("SeparableConvolution2D", "SeparableConv2D"),
        *[(f"MaxPool{rank}D", f"MaxPooling{rank}D") for rank in (1, 2, 3)],
        *[(f"AvgPool{rank}D", f"AveragePooling{rank}D") for rank in (1, 2, 3)],
        *[(f"GlobalMaxPool{rank}D", f"GlobalMaxPooling{rank}D") for rank in (1, 2, 3)],
        *[(f"GlobalAvgPool{rank}D", f"GlobalAveragePooling{rank}D") for rank in (1, 2, 3)],
    ],
)
def test_other_names_are_the_same_layers(alias, name):
    assert getattr(layers, alias) is getattr(layers, name)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN", "ConvLSTM2D", "CuDNNLSTM", "Bidirectional", "Merge"])
def test_layers_that_are_not_there_say_what_to_use(name):
    with pytest.raises(ImportError, match=rf"no {name}: .*(Conv1D|Conv3D|Add)"):
        exec(f"from minikeras.layers import {name}")


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(layers, "Conv9D")


def test_a_layer_with_old_names_computes():
    with pytest.warns(UserWarning, match="Keras 2 API"):
        layer = layers.Convolution2D(2, 3, 3, weights=[np.ones((3, 3, 1, 2)), np.zeros(2)])
    assert layer(np.ones((1, 3, 3, 1), "float32")).numpy().tolist() == [[[[9.0, 9.0]]]]
