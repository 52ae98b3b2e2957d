"""Find the largest and the smallest eigenvalues of a network's Hessian, before and after training.

The Hessian of a loss with n parameters has n² elements, but its product with a vector costs about three gradients
(Pearlmutter, *Fast Exact Multiplication by the Hessian*, 1994), and Lanczos's method finds the eigenvalues at both ends
of the spectrum by such products alone. A few large ones stand out of a bulk near 0 (Sagun et al., *Empirical Analysis
of the Hessian of Over-Parametrized Neural Networks*, 2017); the negative ones, along which the loss curves downward,
become small by training. That the first one is right is seen from two gradients, a little way along its eigenvector.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.sparse.linalg import eigsh

import minikeras as keras
from minikeras.datasets import digits
from minikeras.layers import AveragePooling2D, Conv2D, Dense, Flatten
from minikeras.models import LossSurface, Sequential


def build_model() -> Sequential:
    """Return a network of images (N, 8, 8, 1) that gives the probabilities (N, 10) of the ten digits."""
    model = Sequential()
    model.add(Conv2D(8, 3, activation="tanh", input_shape=(8, 8, 1)))
    model.add(AveragePooling2D())
    model.add(Conv2D(16, 3, activation="tanh"))
    model.add(Flatten())
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def spectrum(surface: LossSurface, large: int, small: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find both ends of the spectrum of the Hessian of the loss.

    Args:
        surface: The loss as a function of n parameters.
        large: How many of the largest eigenvalues.
        small: How many of the smallest.

    Returns:
        The largest eigenvalues, falling; the smallest, rising; the eigenvector of the first one, of length 1.
    """
    hessian = surface.hessian()
    start = np.random.default_rng(0).standard_normal(surface.size)  # SciPy's own would differ from run to run
    values, vectors = eigsh(hessian, k=large, which="LA", v0=start, tol=1e-4)
    smallest = eigsh(hessian, k=small, which="SA", v0=start, tol=1e-4, return_eigenvectors=False)
    return np.sort(values)[::-1], np.sort(smallest), vectors[:, np.argmax(values)]


def curvature_along(surface: LossSurface, direction: np.ndarray, step: float = 0.01) -> float:
    """Return the loss's second derivative along a direction of length 1, from gradients ahead and behind."""
    here = surface.start
    ahead, behind = surface.gradient(here + step * direction), surface.gradient(here - step * direction)
    return float((ahead - behind) @ direction) / (2 * step)


def draw(path: Path, spectra: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Draw the large and the small eigenvalues of each moment, by name."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for when, (largest, smallest) in spectra.items():
        first, last = np.arange(1, len(largest) + 1), np.arange(-len(smallest), 0) + 1
        (line,) = axes.plot(first, largest, "o", label=when)
        axes.plot(last + len(largest) + len(smallest) + 1, smallest[::-1], "o", color=line.get_color(), mfc="none")
    axes.axhline(0.0, color="gray", linewidth=0.8)
    ticks = [1, len(largest), len(largest) + len(smallest) + 1]
    axes.set_xticks(ticks, ["largest", f"number {len(largest)}", "smallest"])
    axes.set(ylabel="eigenvalue of the Hessian")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Train, and look at the curvature before and after."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30, help="default: %(default)s")
    parser.add_argument("--samples", type=int, default=600, help="that the Hessian is for (default: %(default)s)")
    parser.add_argument("--count", type=int, default=16, help="of the largest eigenvalues (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--output", type=Path, help="PNG of the eigenvalues; none if left out")
    arguments = parser.parse_args()
    keras.set_seed(arguments.seed)

    (images, labels), _ = digits.load_data()
    images = images[..., None] / 16
    chosen = images[: arguments.samples], labels[: arguments.samples]
    model = build_model()
    print(f"{model.count_params()} parameters: their Hessian has {model.count_params() ** 2:,} elements")

    surface = model.loss_surface(*chosen)
    spectra = {}
    for when in ("before training", "after training"):
        loss, accuracy = model.evaluate(*chosen, verbose=0)
        largest, smallest, vector = spectrum(surface, arguments.count)
        spectra[when] = largest, smallest
        print(f"{when}: loss {loss:.3f}, {accuracy:.1%} right")
        print("  largest eigenvalues", *(f"{value:.3f}" for value in largest))
        print("  smallest           ", *(f"{value:.3f}" for value in smallest))
        print(f"  curvature along the first eigenvector, from two gradients: {curvature_along(surface, vector):.3f}")
        if when == "before training":
            model.fit(images, labels, epochs=arguments.epochs, verbose=0)

    if arguments.output:
        draw(arguments.output, spectra)
        print(f"Eigenvalues: {arguments.output.resolve()}")


if __name__ == "__main__":
    main()
