"""Train a deep residual network on handwritten digits, and the same network without its shortcuts.

Each block adds what it computes to what it was given, so that gradients have a straight way back to the first layer
(He et al., *Deep Residual Learning for Image Recognition*, 2016). After as many epochs on as many layers, the network
without shortcuts names 73 to 85 of 100 new digits rightly, the one with them 97 to 99 (of three seeds).
"""

from __future__ import annotations

import argparse

import numpy as np

import minikeras as keras
from minikeras.datasets import digits
from minikeras.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    Input,
)
from minikeras.models import Model

FILTERS = (16, 32)  # of the two stages; the second begins by halving height and width


def convolution(x: keras.Tensor, filters: int, strides: int = 1, kernel_size: int = 3) -> keras.Tensor:
    """Convolve a symbolic tensor (N, height, width, channels) and normalize it."""
    x = Conv2D(filters, kernel_size, strides=strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return BatchNormalization(momentum=0.9)(x)  # the moving statistics of so few batches must move fast


def block(x: keras.Tensor, filters: int, strides: int = 1, shortcut: bool = True) -> keras.Tensor:
    """Two convolutions and the shortcut around them, projected where it has to change its shape."""
    y = Activation("relu")(convolution(x, filters, strides))
    y = convolution(y, filters)
    if shortcut:
        if strides != 1:
            x = convolution(x, filters, strides, kernel_size=1)
        y = Add()([x, y])
    return Activation("relu")(y)


def build_model(blocks: int, shortcut: bool = True) -> Model:
    """Return a network of so many blocks per stage, from (N, 8, 8, 1) to the probabilities (N, 10) of the digits."""
    inputs = Input((8, 8, 1))
    x = Activation("relu")(convolution(inputs, FILTERS[0]))
    for stage, filters in enumerate(FILTERS):
        for index in range(blocks):
            x = block(x, filters, strides=2 if stage and not index else 1, shortcut=shortcut)
    outputs = Dense(10, activation="softmax")(GlobalAveragePooling2D()(x))
    model = Model(inputs, outputs, name="residual" if shortcut else "plain")
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    """Train both networks, compare their accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=6, help="in each of the two stages (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=4, help="times to go through the digits (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers (default: %(default)s)")
    arguments = parser.parse_args()
    keras.set_seed(arguments.seed)

    (x_train, y_train), (x_test, y_test) = digits.load_data()
    x_train, x_test = x_train[..., None] / np.float32(16), x_test[..., None] / np.float32(16)

    print(f"{4 * arguments.blocks + 2} layers with weights, one after the other")
    for shortcut in (False, True):
        model = build_model(arguments.blocks, shortcut)
        model.fit(x_train, y_train, batch_size=32, epochs=arguments.epochs, verbose=2)
        _, accuracy = model.evaluate(x_test, y_test, verbose=0)
        print(f"Test accuracy of the {model.name} network: {accuracy:.1%}")


if __name__ == "__main__":
    main()
