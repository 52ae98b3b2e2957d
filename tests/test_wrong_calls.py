"""Wrong calls, and the words their messages must contain: who, which argument, what was expected, what was received."""

from __future__ import annotations

import numpy as np
import pytest

import minikeras
from minikeras import Tensor, layers, losses, ops, optimizers, regularizers
from minikeras.models import Sequential

X = np.zeros((8, 6, 6, 1), "float32")
Y = np.zeros((8, 3), "float32")


def image(size, channels=1):
    return np.zeros((1, size, size, channels), "float32")


def model(**arguments):
    made = Sequential(
        [layers.Conv2D(2, 3, input_shape=(6, 6, 1), name="c"), layers.Flatten(), layers.Dense(3, name="d")]
    )
    made.compile("sgd", "mse", **arguments)
    return made


def fit(x=X, y=Y, **arguments):
    return model().fit(x, y, verbose=0, **arguments)


def call_twice(layer, first, second):
    layer(first)
    return layer(second)


ARGUMENTS_OF_LAYERS = {
    "filters that are a float": (lambda: layers.Conv2D(2.5, 3), "Conv2D 'conv2d_1': filters positive integer: 2.5"),
    "filters that are a bool": (lambda: layers.Conv2D(True, 3), "Conv2D filters positive integer: True"),
    "a kernel of size zero": (lambda: layers.Conv2D(2, 0), "Conv2D kernel_size positive integer: 0"),
    "a kernel of another rank": (lambda: layers.Conv2D(2, (3, 3, 3)), "Conv2D kernel_size tuple of 2: (3, 3, 3)"),
    "strides that are text": (lambda: layers.Conv2D(2, 3, strides="2"), "Conv2D strides positive integer: '2'"),
    "an unknown padding": (lambda: layers.Conv2D(2, 3, padding="full"), "Conv2D padding 'valid' 'same': 'full'"),
    "causal padding of images": (
        lambda: layers.Conv2D(2, 3, padding="causal"),
        "Conv2D padding 'valid' 'same': 'causal'",
    ),
    "causal padding with channels first": (
        lambda: layers.Conv1D(2, 3, padding="causal", data_format="channels_first"),
        "Conv1D padding='causal' data_format='channels_last': data_format='channels_first'",
    ),
    "strides and dilation together": (
        lambda: layers.Conv2D(2, 3, strides=2, dilation_rate=2),
        "Conv2D strides dilation_rate exclude: strides=(2, 2), dilation_rate=(2, 2)",
    ),
    "strides and dilation of a separable layer": (
        lambda: layers.SeparableConv2D(2, 3, strides=2, dilation_rate=2),
        "SeparableConv2D strides dilation_rate exclude: strides=(2, 2)",
    ),
    "filters that don't divide into groups": (
        lambda: layers.Conv2D(4, 3, groups=3),
        "Conv2D filters divisible groups: filters=4, groups=3",
    ),
    "an unknown data format": (
        lambda: layers.Conv2D(2, 3, data_format="NHWC"),
        "Conv2D data_format 'channels_last' 'channels_first': 'NHWC'",
    ),
    "a keyword with a typing error": (
        lambda: layers.Conv2D(2, 3, dillation_rate=2),
        "Conv2D unexpected 'dillation_rate' Did you mean 'dilation_rate'",
    ),
    "an unknown activation": (
        lambda: layers.Conv2D(2, 3, activation="rellu"),
        "Conv2D 'conv2d_1' activation Did you mean 'relu' 'rellu'",
    ),
    "an unknown initializer": (
        lambda: layers.Dense(2, kernel_initializer="glorot"),
        "Dense 'dense_1' kernel_initializer Did you mean 'glorot_uniform' 'glorot'",
    ),
    "an unknown regularizer": (lambda: regularizers.get("l3"), "regularizer 'l3'"),
    "an output padding as large as the stride": (
        lambda: layers.Conv2DTranspose(2, 3, strides=2, output_padding=2),
        "Conv2DTranspose output_padding less stride: output_padding=(2, 2), strides=(2, 2)",
    ),
    "a negative cropping": (lambda: layers.Cropping2D(-1), "Cropping2D cropping at least 0: -1"),
    "a cropping of three sides": (
        lambda: layers.Cropping2D(((1, 2, 3), (1, 1))),
        "Cropping2D cropping pair: (1, 2, 3)",
    ),
    "a padding that is text": (lambda: layers.ZeroPadding1D("1"), "ZeroPadding1D padding integer: '1'"),
    "an upsampling by zero": (lambda: layers.UpSampling2D(0), "UpSampling2D size positive integer: 0"),
    "an unknown interpolation": (
        lambda: layers.UpSampling2D(2, interpolation="cubic"),
        "UpSampling2D interpolation 'nearest' 'bilinear': 'cubic'",
    ),
    "a pool of another rank": (lambda: layers.MaxPooling2D((2, 2, 2)), "MaxPooling2D pool_size tuple of 2: (2, 2, 2)"),
    "a rate above one": (lambda: layers.Dropout(1.5), "Dropout rate [0, 1): 1.5"),
    "a permutation that repeats": (lambda: layers.Permute((1, 3)), "Permute dims once: (1, 3)"),
    "negative units": (lambda: layers.Dense(-1), "Dense units positive integer: -1"),
    "a momentum that is text": (
        lambda: layers.BatchNormalization(momentum="x"),
        "BatchNormalization momentum number [0, 1]: 'x'",
    ),
    "an input shape that is a number": (
        lambda: layers.Dense(2, input_shape=4),
        "Dense input_shape tuple Write input_shape=(4,): 4",
    ),
}

SHAPES = {
    "a window wider than the input": (
        lambda: layers.Conv2D(2, 5, dilation_rate=2)(image(7)),
        "Conv2D window 5 dilation 2 spans 9 rows, the input has 7: (7, 7)",
    ),
    "a pool wider than the input": (
        lambda: layers.MaxPooling2D(4)(image(3)),
        "MaxPooling2D window 4 spans 4 rows, the input has 3: (3, 3)",
    ),
    "an input without batch": (
        lambda: layers.Conv2D(2, 3)(np.zeros((6, 6, 1))),
        "Conv2D must have 4 axes has 3: shape (6, 6, 1)",
    ),
    "unknown channels": (
        lambda: layers.Conv2D(2, 3).build((None, 6, 6, None)),
        "Conv2D channels must be known: (None, 6, 6, None)",
    ),
    "channels that don't divide into groups": (
        lambda: layers.Conv2D(4, 3, groups=2).build((None, 6, 6, 3)),
        "Conv2D channels divisible groups: 3 channels, groups=2",
    ),
    "other channels than at first": (
        lambda: call_twice(layers.Conv2D(2, 3), image(6), image(6, channels=2)),
        "Conv2D axis -1 must have size 1: (1, 6, 6, 2)",
    ),
    "a transposed convolution that is the adjoint of none": (
        lambda: layers.Conv2DTranspose(2, 2, strides=2, padding="same", output_padding=0)(image(3)),
        "Conv2DTranspose adjoint of no convolution kernel_size=(2, 2), strides=(2, 2), padding='same'",
    ),
    "a cropping that leaves nothing": (
        lambda: layers.Cropping2D(3)(image(6)),
        "Cropping2D cropping 3 + 3 of 6 rows leaves nothing: (6, 6)",
    ),
    "a reshape to another number of elements": (
        lambda: layers.Reshape((4, 4))(np.zeros((1, 6))),
        "Reshape target_shape 6 elements: target_shape=(4, 4)",
    ),
    "a dense layer on a free axis": (
        lambda: layers.Dense(2).build((None, None)),
        "Dense last axis must be known: (None, None)",
    ),
    "an axis the input doesn't have": (
        lambda: layers.BatchNormalization(axis=4)(image(6)),
        "BatchNormalization axis 4: (None, 6, 6, 1)",
    ),
    "operands that don't broadcast": (
        lambda: Tensor(np.ones((2, 3))) + np.ones(4),
        "add broadcast: x of shape (2, 3) y of shape (4,)",
    ),
    "matrices that don't fit": (
        lambda: ops.matmul(np.ones((2, 3)), np.ones((2, 3))),
        "matmul (..., M, K): (2, 3) @ (2, 3)",
    ),
    "a reduction over an axis that isn't there": (
        lambda: ops.sum(np.ones((2, 3)), axis=5),
        "sum axis 5: (2, 3) axis=5",
    ),
}

MODELS = {
    "a layer that is text": (lambda: Sequential(["Dense"]), "Sequential add layer: 'Dense'"),
    "two layers of one name": (
        lambda: Sequential([layers.Dense(2, name="a", input_shape=(2,)), layers.Dense(2, name="a")]),
        "Sequential name own: 'a'",
    ),
    "a layer that can't follow": (
        lambda: Sequential([layers.Conv2D(2, 3, input_shape=(None, None, 1)), layers.Flatten(), layers.Dense(3)]),
        "Sequential Dense 'dense_1' last axis must be known: (None, None)",
    ),
    "training before compile": (
        lambda: Sequential([layers.Dense(2, input_shape=(2,))]).fit(X, Y),
        "Sequential compiled model.compile(optimizer, loss",
    ),
    "an unknown loss": (lambda: model().compile("sgd", "mess"), "loss 'mess'"),
    "an unknown optimizer": (lambda: model().compile("adamm", "mse"), "optimizer Did you mean 'Adam': 'adamm'"),
    "an unknown metric": (lambda: model(metrics=["accurracy"]), "metric Did you mean 'accuracy' 'accurracy'"),
    "x and y of different lengths": (lambda: fit(y=Y[:5]), "Sequential same number of samples x 8 y: 5"),
    "an input of another shape": (lambda: fit(x=X[:, :5]), "Sequential Conv2D 'c' axis 1 size 6: (8, 5, 6, 1)"),
    "a target of another shape": (lambda: fit(y=np.zeros((8, 4))), "Sequential target 'd' (samples, 3): (8, 4)"),
    "a batch size of zero": (lambda: fit(batch_size=0), "Sequential batch_size positive integer: 0"),
    "negative epochs": (lambda: fit(epochs=-1), "Sequential epochs integer at least 0: -1"),
    "a validation split above one": (lambda: fit(validation_split=1.5), "Sequential validation_split [0, 1): 1.5"),
    "validation data without targets": (lambda: fit(validation_data=X), "Sequential validation_data (x, y): ndarray"),
    "no data": (lambda: fit(x=X[:0], y=Y[:0]), "Sequential at least one sample: (0, 6, 6, 1)"),
    "objects for data": (lambda: fit(x=np.array([object()] * 8)), "Sequential input real numbers: dtype object"),
    "too few sample weights": (lambda: fit(sample_weight=np.ones(3)), "Sequential same number sample_weight: 3"),
    "class weights in a list": (lambda: fit(class_weight=[1, 2]), "Sequential class_weight dict: [1, 2]"),
    "prediction from another shape": (
        lambda: model().predict(np.zeros((2, 7, 6, 1))),
        "Sequential Conv2D 'c' 6: (2, 7, 6, 1)",
    ),
    "too few weights": (lambda: model().set_weights([np.zeros(3)]), "Sequential set_weights 4 arrays: 1"),
    "a weight of another shape": (
        lambda: model().get_layer("d").set_weights([np.zeros((3, 3)), np.zeros(3)]),
        "Dense 'd' 'd/kernel' (32, 3): shape (3, 3)",
    ),
    "a layer that isn't there": (lambda: model().get_layer("x"), "Sequential no layer 'c' 'd': name='x'"),
    "weights from a missing file": (lambda: model().load_weights("missing.npz"), "missing.npz"),
}

OTHERS = {
    "a negative learning rate": (lambda: optimizers.SGD(lr=-1), "SGD lr [0, inf): -1"),
    "a learning rate that is text": (lambda: optimizers.Adam(lr="fast"), "Adam lr number: 'fast'"),
    "an unknown argument of an optimizer": (lambda: optimizers.Adam(learn=1), "Adam unknown 'learn' beta_1"),
    "a float type that isn't one": (lambda: minikeras.backend.set_floatx("int8"), "floatx float32: 'int8'"),
    "labels that are no classes": (
        lambda: losses.get("sparse_categorical_crossentropy")(np.array([[5]]), np.full((1, 3), 1 / 3)),
        "sparse_categorical_crossentropy y_true class numbers 0 to 2: 5",
    ),
    "class numbers for one-hot targets": (
        lambda: losses.get("categorical_crossentropy")(np.array([1, 2]), np.full((2, 3), 1 / 3)),
        "categorical_crossentropy y_true y_pred same shape to_categorical: (2,)",
    ),
    "a class beyond the last": (
        lambda: minikeras.utils.to_categorical([0, 5], 3),
        "to_categorical y class numbers num_classes 2: 0 to 5",
    ),
    "writing into a Tensor": (lambda: Tensor([1.0]).__setitem__(0, 2.0), "ops.where t.assign"),
    "a Tensor on the tape given to NumPy": (
        lambda: np.asarray(Tensor([1.0], requires_grad=True)),
        "tape gradient .numpy() .detach()",
    ),
    "a gradient of integers": (lambda: Tensor(np.arange(3), requires_grad=True), "requires_grad floating-point: int64"),
    "backward without a scalar": (
        lambda: (Tensor([1.0, 2.0], requires_grad=True) * 2).backward(),
        "gradient must be given more than one element: shape (2,)",
    ),
}

CALLS = {**ARGUMENTS_OF_LAYERS, **SHAPES, **MODELS, **OTHERS}


@pytest.fixture(autouse=True)
def names_from_one():
    minikeras.backend.clear_session()


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_call_says_who_what_expected_and_received(name):
    call, words = CALLS[name]
    with pytest.raises((ValueError, TypeError, RuntimeError, OSError)) as caught:
        call()
    message = str(caught.value)
    expected, colon, received = words.rpartition(": ")
    position = 0
    for word in (expected if colon else received).split():
        assert word in message, f"{word!r} is missing in: {message}"
    if colon:
        position = max(message.rfind("Received"), 0)
        assert all(part in message[position:] for part in received.split()), (
            f"{received!r} is not received in: {message}"
        )
