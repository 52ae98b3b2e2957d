"""Tell whether two handwritten digits are the same, with a Siamese network.

Both digits go through one convolutional network, and the distance of what comes out is the answer: near for two images
of one digit, at least a margin apart for others (Hadsell, Chopra and LeCun, *Dimensionality Reduction by Learning an
Invariant Mapping*, 2006). It is right about 99 of 100 new pairs, the distance between the pixels themselves about 80
(of three seeds).
"""

from __future__ import annotations

import argparse

import numpy as np

import minikeras as keras
from minikeras import backend as K
from minikeras.datasets import digits
from minikeras.layers import Conv2D, Dense, Dropout, Flatten, Input, Lambda, MaxPooling2D
from minikeras.models import Model, Sequential

MARGIN = 1.0
VALIDATION = 144  # digits that are in no pair to learn from


def make_pairs(images: np.ndarray, labels: np.ndarray, count: int, rng: np.random.Generator) -> tuple:
    """Return pairs of images, each (count, 8, 8, 1), and 1.0 where they show one digit, 0.0 where not (count, 1).

    Every other pair shows one digit.
    """
    of_digit = [np.flatnonzero(labels == digit) for digit in range(10)]
    left = rng.integers(10, size=count)
    right = (left + np.arange(count) % 2 * rng.integers(1, 10, size=count)) % 10
    first, second = (images[[rng.choice(of_digit[digit]) for digit in side]] for side in (left, right))
    return [first, second], (left == right).astype("float32")[:, None]


def build_base() -> Sequential:
    """Return the network that both digits go through: (N, 8, 8, 1) -> (N, 16)."""
    base = Sequential(name="base")
    base.add(Conv2D(32, 3, padding="same", activation="relu", input_shape=(8, 8, 1)))
    base.add(MaxPooling2D())
    base.add(Conv2D(64, 3, padding="same", activation="relu"))
    base.add(Flatten())
    base.add(Dropout(0.25))
    base.add(Dense(16))
    return base


def distance(vectors: list) -> keras.Tensor:
    """Return the Euclidean distances (N, 1) between two lists of vectors (N, n)."""
    first, second = vectors
    return K.sqrt(K.maximum(K.sum(K.square(first - second), axis=1, keepdims=True), K.epsilon()))


def contrastive_loss(same: keras.Tensor, distances: keras.Tensor) -> keras.Tensor:
    """Pull the same digits together, push others apart until they are a margin away."""
    return K.mean(same * K.square(distances) + (1 - same) * K.square(K.maximum(MARGIN - distances, 0)), axis=-1)


def accuracy(same: keras.Tensor, distances: keras.Tensor) -> keras.Tensor:
    """Return the share of pairs that are on the right side of half the margin."""
    return K.mean(K.equal(same, K.cast(distances < MARGIN / 2, K.dtype(same))))


def build_model() -> Model:
    """Return a network of two images (N, 8, 8, 1) that gives their distance (N, 1)."""
    base, first, second = build_base(), Input((8, 8, 1)), Input((8, 8, 1))
    model = Model([first, second], Lambda(distance)([base(first), base(second)]))
    model.compile("adam", loss=contrastive_loss, metrics=[accuracy])
    return model


def pixel_accuracy(train: tuple, test: tuple) -> float:
    """Return the share of right answers by the distance of pixels, at the threshold that is best for training."""

    def distances(pairs: list) -> np.ndarray:
        return np.sqrt(np.square(pairs[0] - pairs[1]).sum(axis=(1, 2, 3)))[:, None]

    near, same = distances(train[0]), train[1] == 1
    thresholds = np.quantile(near, np.linspace(0, 1, 101))
    best = max(thresholds, key=lambda threshold: np.mean((near < threshold) == same))
    return float(np.mean((distances(test[0]) < best) == (test[1] == 1)))


def main() -> None:
    """Make pairs, train, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=10000, help="how many to learn from (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    arguments = parser.parse_args()
    keras.set_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)

    (x_train, y_train), (x_test, y_test) = digits.load_data()
    x_train = x_train[..., None] / 16
    train = make_pairs(x_train[:-VALIDATION], y_train[:-VALIDATION], arguments.pairs, rng)
    validation = make_pairs(x_train[-VALIDATION:], y_train[-VALIDATION:], 1000, rng)
    test = make_pairs(x_test[..., None] / 16, y_test, 2000, rng)
    model = build_model()
    model.fit(*train, batch_size=128, epochs=arguments.epochs, validation_data=validation, verbose=2)

    _, reached = model.evaluate(*test, verbose=0)
    print("Right answers on pairs of digits that are new to the network:")
    print(f"  pixels  {pixel_accuracy(train, test):.2%}")
    print(f"  network {reached:.2%}")


if __name__ == "__main__":
    main()
