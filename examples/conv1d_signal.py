"""Predict the next value of a noisy signal with dilated causal convolutions.

Each signal is a sum of three waves, as tides are, with random amplitudes and phases, under noise. The network sees
the past alone: each layer doubles the dilation, so that six layers with a kernel of two see 64 values (van den Oord et
al., *WaveNet*, 2016). Its error is compared with that of the naive forecast, that the next value is like the last one,
and with the noise, which nobody can foresee: it comes within a tenth of that.
"""

from __future__ import annotations

import argparse

import numpy as np

import minikeras as keras
from minikeras.layers import Conv1D, InputLayer

LENGTH = 160
PERIODS = (9.3, 23.7, 41.0)
NOISE = 0.2
DILATIONS = (1, 2, 4, 8, 16, 32)
SIGHT = 1 + sum(DILATIONS)  # the values that a prediction is made from


def make_signals(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return noisy mixtures of waves (count, LENGTH + 1, 1)."""
    size = len(PERIODS), count, 1
    turns = np.arange(LENGTH + 1) / np.reshape(PERIODS, (-1, 1, 1)) + rng.random(size)
    signals = (rng.uniform(0.5, 1, size) * np.sin(2 * np.pi * turns)).sum(axis=0)
    return (signals + rng.normal(0, NOISE, signals.shape))[..., None]


def build_model() -> keras.Sequential:
    """Return a network (N, time, 1) -> (N, time, 1) that predicts for every moment the value after it."""
    model = keras.Sequential()
    model.add(InputLayer((None, 1)))  # None: of any length
    for dilation in DILATIONS:
        model.add(Conv1D(24, 2, padding="causal", dilation_rate=dilation, activation="relu"))
    model.add(Conv1D(1, 1))
    model.compile(keras.optimizers.Adam(lr=0.003), loss="mean_squared_error")
    return model


def error(predicted: np.ndarray, actual: np.ndarray) -> float:
    """Return the root of the mean squared error, where the network has its full sight."""
    return float(np.sqrt(np.mean((predicted - actual)[:, SIGHT - 1 :] ** 2)))


def main() -> None:
    """Make signals, train, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--signals", type=int, default=2000, help="how many to learn from (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    arguments = parser.parse_args()
    keras.set_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)

    train, test = make_signals(arguments.signals, rng), make_signals(200, rng)
    model = build_model()
    model.summary()
    model.fit(train[:, :-1], train[:, 1:], epochs=arguments.epochs, validation_split=0.1)

    past, future = test[:, :-1], test[:, 1:]
    print("Error of the next value (root mean square), on signals that are new to the network:")
    print(f"  naive   {error(past, future):.3f}  (it is like the last one)")
    print(f"  network {error(model.predict(past), future):.3f}")
    print(f"  noise   {NOISE:.3f}  (what nobody can foresee)")


if __name__ == "__main__":
    main()
