"""Draw what the filters of a convolutional network look for.

For each filter a picture is sought that excites it: from noise uphill along the gradient of the filter's mean
response (Erhan et al., *Visualizing Higher-Layer Features of a Deep Network*, 2009). The network knows handwritten
digits, and takes images of any size. How strongly a filter answers to its picture is compared with its answers to the
noise that the picture began as, and to the digit that it likes best.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import minikeras as keras
from minikeras import backend as K
from minikeras.datasets import digits
from minikeras.layers import Conv2D, Dense, GlobalMaxPooling2D, Input
from minikeras.models import Model
from minikeras.preprocessing.image import save_img

SIZE = 16  # rows and columns of a picture
LAYER = "visualized"


def build_model() -> Model:
    """Return a network of images (N, rows, columns, 1) of any size that gives probabilities (N, 10) of the digits."""
    image = Input((None, None, 1))
    x = Conv2D(16, 3, activation="relu")(image)
    x = Conv2D(32, 3, activation="relu", name=LAYER)(x)
    x = Conv2D(64, 3, activation="relu")(x)
    model = Model(image, Dense(10, activation="softmax")(GlobalMaxPooling2D()(x)))
    model.compile(keras.optimizers.Adam(lr=0.003), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def climb(model: Model, index: int, picture: np.ndarray, steps: int) -> np.ndarray:
    """Go uphill from a picture (1, SIZE, SIZE, 1) of grey levels from 0 to 1 to one that excites the filter."""
    response = K.mean(model.get_layer(LAYER).output[..., index])
    slope = K.gradients(response, model.input)[0]
    slope /= K.sqrt(K.mean(K.square(slope))) + K.epsilon()  # steps of one length, however strong the filter is
    look = K.function([model.input], [response, slope])
    for _ in range(steps):
        _, direction = look([picture])
        picture = np.clip(picture + 0.1 * direction, 0, 1)
    return picture


def sheet(pictures: np.ndarray, columns: int = 8) -> np.ndarray:
    """Return all pictures (N, SIZE, SIZE, 1) on one, each stretched from black to white, with a margin around each."""
    low, high = pictures.min(axis=(1, 2), keepdims=True), pictures.max(axis=(1, 2), keepdims=True)
    framed = np.pad((pictures - low) / (high - low + K.epsilon()), ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows, size = len(pictures) // columns, SIZE + 2
    return framed.reshape(rows, columns, size, size).transpose(0, 2, 1, 3).reshape(rows * size, columns * size, 1)


def main() -> None:
    """Train, climb, compare, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=12, help="of training before (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=40, help="uphill, for each filter (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--output", type=Path, default="filters.png", help="the pictures (default: %(default)s)")
    arguments = parser.parse_args()
    keras.set_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)

    (images, labels), (x_test, _) = digits.load_data()
    images, x_test = images[..., None] / 16, x_test[..., None] / 16
    model = build_model()
    model.fit(images, labels, epochs=arguments.epochs, validation_split=0.1, verbose=2)

    layer = model.get_layer(LAYER)
    noise = rng.uniform(0.4, 0.6, (layer.filters, SIZE, SIZE, 1))
    pictures = np.concatenate([climb(model, i, noise[i : i + 1], arguments.steps) for i in range(layer.filters)])

    respond = K.function([model.input], [K.mean(layer.output, axis=[1, 2])])
    to_noise, to_digits = respond([noise])[0].diagonal(), respond([x_test])[0].max(axis=0)
    to_pictures = respond([pictures])[0].diagonal()
    print(f"Mean response of the {layer.filters} filters of {layer.name!r}:")
    print(f"  to noise                       {to_noise.mean():.3f}")
    print(f"  each to the digit it likes     {to_digits.mean():.3f}")
    print(f"  each to the picture made of it {to_pictures.mean():.3f}")
    print(f"{np.sum(to_pictures > to_digits)} filters like their picture better than any of {len(x_test)} digits")
    save_img(arguments.output, sheet(pictures))
    print(f"Pictures: {arguments.output.resolve()}")


if __name__ == "__main__":
    main()
