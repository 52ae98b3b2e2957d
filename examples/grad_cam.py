"""Show where a network looks when it reads a handwritten digit somewhere in an image: Grad-CAM.

The feature maps of a convolution, weighted by the mean gradient of the winning digit's score, are a map of what speaks
for it (Selvaraju et al., *Grad-CAM: Visual Explanations from Deep Networks*, 2017). Two measurements tell whether the
map is right: how much of it lies on the strokes, and how the network's certainty falls when the strokes that it marks
are erased, rather than as many others.
"""

from __future__ import annotations

import argparse

import numpy as np

import minikeras as keras
from minikeras import backend as K
from minikeras.datasets import digits
from minikeras.layers import Activation, Conv2D, Dense, GlobalMaxPooling2D, Input, MaxPooling2D
from minikeras.models import Model

SIZE = 16  # rows and columns of an image; the digit in it has 8
INK = 0.25  # the grey level from which on a pixel is part of a stroke
VALIDATION = 144  # digits of which no image is learned from
ERASED = 6  # pixels


def place(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return empty images (N, SIZE, SIZE, 1) with the given ones (N, 8, 8) somewhere in each, in levels from 0 to 1."""
    canvas = np.zeros((len(images), SIZE, SIZE, 1))
    for sheet, image, (row, column) in zip(canvas, images, rng.integers(SIZE - 7, size=(len(images), 2)), strict=True):
        sheet[row : row + 8, column : column + 8, 0] = image / 16
    return canvas


def build_model() -> Model:
    """Return a network of images (N, SIZE, SIZE, 1) that gives the probabilities (N, 10) of the ten digits."""
    image = Input((SIZE, SIZE, 1))
    x = Conv2D(16, 3, padding="same", activation="relu")(image)
    x = MaxPooling2D()(x)
    x = Conv2D(32, 3, padding="same", activation="relu")(x)
    x = Conv2D(64, 3, padding="same", activation="relu", name="features")(x)
    x = Dense(10, name="scores")(GlobalMaxPooling2D()(x))
    model = Model(image, Activation("softmax")(x))
    model.compile(keras.optimizers.Adam(lr=0.003), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def grad_cam(model: Model, images: np.ndarray) -> np.ndarray:
    """Return the maps (N, SIZE, SIZE) of what speaks for the digits that the network sees in images."""
    features = model.get_layer("features").output
    score = K.max(model.get_layer("scores").output, axis=-1)
    look = K.function([model.input], [features, K.gradients(score, features)[0]])
    values, slopes = look([images])
    importance = slopes.mean(axis=(1, 2), keepdims=True)
    maps = np.maximum((values * importance).sum(axis=-1), 0)
    return maps.repeat(2, axis=1).repeat(2, axis=2)  # the network pools once


def erase(images: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return images without the pixels of the strokes that stand highest in order (N, SIZE, SIZE)."""
    pixels = images.reshape(len(images), -1).copy()
    rank = np.where(pixels >= INK, order.reshape(pixels.shape), -1).argsort(axis=1)
    np.put_along_axis(pixels, rank[:, -ERASED:], 0, axis=1)
    return pixels.reshape(images.shape)


def draw(image: np.ndarray, heat: np.ndarray) -> str:
    """Return an image (SIZE, SIZE, 1) beside its map (SIZE, SIZE), in characters."""
    shades = np.array(list(" .:-=+*#%@"))
    rows = np.hstack([image[..., 0], np.zeros((SIZE, 2)), heat / (heat.max() + K.epsilon())])
    return "\n".join("  " + "".join(np.repeat(shades[(row * 9).round().astype(int)], 2)) for row in rows)


def main() -> None:
    """Train, explain, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    arguments = parser.parse_args()
    keras.set_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)

    (x_train, y_train), (x_test, _) = digits.load_data()
    validation = place(x_train[-VALIDATION:], rng), y_train[-VALIDATION:]
    x_train, y_train = place(np.tile(x_train[:-VALIDATION], (2, 1, 1)), rng), np.tile(y_train[:-VALIDATION], 2)
    x_test = place(x_test, rng)
    model = build_model()
    model.fit(x_train, y_train, epochs=arguments.epochs, validation_data=validation, verbose=2)

    maps = grad_cam(model, x_test)
    probabilities = model.predict(x_test)
    for i in rng.choice(len(x_test), 2, replace=False):
        print(f"A {probabilities[i].argmax()}, and what speaks for it:\n{draw(x_test[i], maps[i])}")

    strokes = x_test[..., 0] >= INK
    print(f"Of {len(x_test)} digits that are new to the network:")
    on_strokes = np.sum(maps * strokes) / maps.sum()
    print(f"  strokes fill {strokes.mean():.1%} of the images, and {on_strokes:.1%} of the maps")
    print(f"Certainty of the digit that it sees in them: {certainty(probabilities, probabilities):.1%}")
    for what, order in (("at random", rng.random(maps.shape)), ("where the map says", maps)):
        left = certainty(model.predict(erase(x_test, order)), probabilities)
        print(f"  without {ERASED} pixels of the strokes {what:18} {left:.1%}")


def certainty(now: np.ndarray, before: np.ndarray) -> float:
    """Return the mean probability now of the digits that were the most probable before, both (N, 10)."""
    return float(now[np.arange(len(now)), before.argmax(axis=1)].mean())


if __name__ == "__main__":
    main()
