"""Forge handwritten digits with a Wasserstein GAN whose critic pays for slopes other than 1.

A critic gives real digits more than forged ones, by as much as it can with a slope of 1; the difference is then the
Wasserstein distance of the two (Arjovsky et al., *Wasserstein GAN*, 2017). A penalty holds the slope: the critic's
gradient with respect to images between real and forged ones should have the length 1 (Gulrajani et al., *Improved
Training of Wasserstein GANs*, 2017). To learn by it is to differentiate a gradient, for which ``create_graph=True``
keeps the tape of the first one.

Other than a GAN's losses, the distance tells how far the training is. A judge who knows digits tells it as well, by the
inception score (Salimans et al., 2016): of how many different digits, from 1 to 10, it sees clear images. With five
seeds the distance falls from between 2.4 and 2.9 to between 0.32 and 0.45, at a mean slope of 1.01; the score rises
from 1.0 to between 5.0 and 5.4, where unseen digits have 8.7 to 9.0.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import minikeras as keras
from minikeras import Tensor, grad, ops
from minikeras.datasets import digits
from minikeras.layers import Conv2D, Conv2DTranspose, Dense, Flatten, LeakyReLU, MaxPooling2D, Reshape
from minikeras.models import Sequential
from minikeras.optimizers import Adam

LATENT = 16
BATCH = 64
CRITIC_STEPS = 3  # of the critic for each of the generator
PENALTY = 10.0


def build_generator() -> Sequential:
    """Return a network of noise (N, LATENT) that gives images (N, 8, 8, 1)."""
    model = Sequential(name="generator")
    model.add(Dense(2 * 2 * 32, activation="relu", input_dim=LATENT))
    model.add(Reshape((2, 2, 32)))
    model.add(Conv2DTranspose(32, 4, strides=2, padding="same", activation="relu"))
    model.add(Conv2DTranspose(16, 4, strides=2, padding="same", activation="relu"))
    model.add(Conv2D(1, 3, padding="same", activation="sigmoid"))
    return model


def build_critic() -> Sequential:
    """Return a network of images (N, 8, 8, 1) that gives a number (N, 1) to each.

    No batch normalization: each image must have a slope of its own.
    """
    model = Sequential(name="critic")
    model.add(Conv2D(16, 3, padding="same", input_shape=(8, 8, 1)))
    model.add(LeakyReLU(0.2))
    model.add(Conv2D(32, 3, strides=2, padding="same"))
    model.add(LeakyReLU(0.2))
    model.add(Conv2D(32, 3, strides=2, padding="same"))
    model.add(LeakyReLU(0.2))
    model.add(Flatten())
    model.add(Dense(1))
    return model


def slopes(critic: Sequential, real: np.ndarray, forged: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Return the lengths (N,) of the critic's gradients at random places between images (N, 8, 8, 1), on the tape."""
    share = rng.uniform(size=(len(real), 1, 1, 1)).astype("float32")
    gradient = grad(lambda images: ops.sum(critic(images)), create_graph=True)(share * real + (1 - share) * forged)
    return ops.norm(gradient, axis=(1, 2, 3))


def distance(critic: Sequential, real: np.ndarray, forged: np.ndarray) -> Tensor:
    """Return how much more the critic gives to real images than to forged ones."""
    return ops.mean(critic(real)) - ops.mean(critic(forged))


def step(model: Sequential, optimizer: Adam, loss: Tensor) -> None:
    """Let the model's weights go down the loss."""
    weights = model.trainable_weights
    optimizer.apply_gradients(keras.gradients(loss, weights), weights)


def train(
    real: np.ndarray, held_out: np.ndarray, epochs: int, rng: np.random.Generator, verbose: bool = True
) -> tuple[Sequential, list[tuple[float, float]]]:
    """Train a generator on images (N, 8, 8, 1).

    Args:
        real: The images.
        held_out: Images that the critic doesn't learn from, to measure the distance with.
        epochs: Times to go through them.
        rng: For noise, places and order.
        verbose: Whether to print a line for each epoch.

    Returns:
        The generator, and for each epoch the distance of its images from those held out and the mean slope.
    """
    generator, critic = build_generator(), build_critic()
    optimizers = [Adam(lr=0.001, beta_1=0.0, beta_2=0.9) for _ in range(2)]

    def noise(count: int = BATCH) -> np.ndarray:
        return rng.standard_normal((count, LATENT), "float32")

    history = []
    for epoch in range(epochs):
        seen = []
        order = rng.permutation(len(real))[: len(real) // BATCH * BATCH]
        for number, rows in enumerate(order.reshape(-1, BATCH)):
            forged = generator.predict_on_batch(noise())
            lengths = slopes(critic, real[rows], forged, rng)
            penalty = ops.mean((lengths - 1.0) ** 2)
            step(critic, optimizers[0], PENALTY * penalty - distance(critic, real[rows], forged))
            seen.append(lengths.numpy().mean())
            if number % CRITIC_STEPS == CRITIC_STEPS - 1:
                step(generator, optimizers[1], -ops.mean(critic(generator(noise()))))
        apart = distance(critic, held_out, generator.predict(noise(len(held_out)))).item()
        history.append((apart, float(np.mean(seen))))
        if verbose:
            print(f"Epoch {epoch + 1}/{epochs} - distance {apart:.3f} - slope {history[-1][1]:.3f}")
    return generator, history


def build_judge(images: np.ndarray, labels: np.ndarray) -> Sequential:
    """Return a network that knows digits: images (N, 8, 8, 1) -> probabilities (N, 10)."""
    model = Sequential(name="judge")
    model.add(Conv2D(32, 3, padding="same", activation="relu", input_shape=(8, 8, 1)))
    model.add(MaxPooling2D())
    model.add(Flatten())
    model.add(Dense(64, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", loss="sparse_categorical_crossentropy")
    model.fit(images, labels, epochs=15, verbose=0)
    return model


def inception_score(judge: Sequential, images: np.ndarray) -> float:
    """Return of how many digits the judge sees clear images (N, 8, 8, 1): from 1 to 10."""
    p = judge.predict(images).astype("float64").clip(1e-12)
    return float(np.exp(np.mean(np.sum(p * np.log(p / p.mean(axis=0)), axis=1))))


def draw(path: Path, forged: np.ndarray, history: list[tuple[float, float]]) -> None:
    """Draw forged digits (64, 8, 8, 1), and distance and slope over the epochs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    tiles = np.pad(forged[..., 0].reshape(8, 8, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0.3)
    left.imshow(tiles.transpose(0, 2, 1, 3).reshape(80, 80), cmap="gray", vmin=0, vmax=1)
    left.set_axis_off()
    left.set_title("forged digits")
    apart, lengths = np.transpose(history)
    epochs = np.arange(1, len(history) + 1)
    right.plot(epochs, apart, label="distance from unseen digits")
    right.plot(epochs, lengths, label="mean slope of the critic")
    right.axhline(1.0, color="gray", linewidth=0.8, linestyle="--")
    right.set(xlabel="epoch", ylim=(0, None))
    right.grid(alpha=0.3)
    right.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Train with several seeds, let the judge judge, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="the first one (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=1, help="so many trainings, one seed after the other")
    parser.add_argument("--output", type=Path, help="PNG of the first training; none if left out")
    arguments = parser.parse_args()

    (real, labels), (held_out, _) = digits.load_data()
    real, held_out = ((images[..., None] / 16).astype("float32") for images in (real, held_out))
    for seed in range(arguments.seed, arguments.seed + arguments.seeds):
        keras.set_seed(seed)
        rng = np.random.default_rng(seed)
        generator, history = train(real, held_out, arguments.epochs, rng, verbose=arguments.seeds == 1)
        noise = rng.standard_normal((500, LATENT))
        forged, untrained = generator.predict(noise), build_generator().predict(noise)
        judge = build_judge(real, labels)
        scores = [inception_score(judge, images) for images in (untrained, forged, held_out)]
        most, (last, slope) = max(apart for apart, _ in history), history[-1]
        print(f"seed {seed}: distance {most:.2f} at most, {last:.2f} in the end; slope {slope:.2f};", end=" ")
        print("inception score {:.2f} untrained, {:.2f} forged, {:.2f} real".format(*scores))
        if arguments.output and seed == arguments.seed:
            draw(arguments.output, forged[:64], history)
            print(f"Forged digits: {arguments.output.resolve()}")


if __name__ == "__main__":
    main()
