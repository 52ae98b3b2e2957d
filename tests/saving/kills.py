"""Kill processes that write files, at random moments: what they leave must be whole, and a training must go on.

    python -m tests.saving.kills 200              # so many kills of each kind
    python -m tests.saving.kills 200 --kinds npz h5 keras backup --seed 1

Each kind prints how many kills hit the writing of a file, that is left an unfinished file beside it, which the next
save removes. The exit code is 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
FILES = {"npz": "m.npz", "h5": "m.h5", "keras": "m.keras"}


def model():
    from minikeras import Sequential, layers

    made = Sequential([layers.Dense(128, input_dim=128, name="one"), layers.Dense(128, name="two")])
    made.compile("adam", "mse")
    made.train_on_batch(np.zeros((1, 128)), np.zeros((1, 128)))
    return made


def save_in_a_loop(path: str) -> None:
    """Save a model again and again, whose weights all have the number of the save."""
    from minikeras.models import load_model

    made = model()
    number = load_model(path).get_weights()[0][0, 0] if os.path.exists(path) else 0
    while True:
        number += 1
        made.set_weights([np.full(weight.shape, number) for weight in made.get_weights()])
        made.save(path)
        print(int(number), flush=True)


def train(folder: str) -> None:
    """A training with all that can be lost: shuffling, noise, the state of optimizer and callbacks, a Sequence."""
    import minikeras
    from minikeras import Sequential, layers
    from minikeras.callbacks import BackupAndRestore, CSVLogger, EarlyStopping, ReduceLROnPlateau

    class Batches(minikeras.utils.Sequence):
        def __init__(self, x, y):
            self.x, self.y, self.order, self.rng = x, y, np.arange(len(x)), np.random.default_rng(1)

        def __len__(self):
            return 6

        def __getitem__(self, index):
            rows = self.order[8 * index : 8 * index + 8]
            return self.x[rows] + self.rng.normal(0, 0.1, self.x[rows].shape), self.y[rows]

        def on_epoch_end(self):
            np.random.shuffle(self.order)

    minikeras.set_seed(7)
    np.random.seed(7)
    x = np.random.normal(size=(48, 6))
    net = Sequential([layers.Dense(32, "relu", input_dim=6), layers.BatchNormalization(), layers.Dropout(0.4)])
    net.add(layers.Dense(1))
    net.compile("nadam", "mse")
    callbacks = [
        ReduceLROnPlateau("loss", factor=0.9, patience=1),
        EarlyStopping("loss", patience=100, restore_best_weights=True),
        CSVLogger(f"{folder}/log.csv"),
        BackupAndRestore(f"{folder}/backup", save_freq=2),
    ]
    print("trains", flush=True)
    history = net.fit(Batches(x, x.sum(1)), epochs=8, callbacks=callbacks, verbose=0)
    losses = np.array(history.history["loss"])
    partial = f"{folder}/partial.npz"
    np.savez(partial, *net.get_weights(), *net.optimizer.get_weights(), losses)
    os.replace(partial, f"{folder}/end.npz")


def started(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.saving.kills", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def unfinished(folder: Path) -> int:
    return sum(path.name.endswith(".minikeras") for path in folder.rglob(".*"))


def kills_while_saving(kind: str, count: int, chance: random.Random) -> tuple[int, list[str]]:
    """Kill a process that saves; return how many kills hit a save, and what was lost."""
    from minikeras.models import load_model

    hits, lost = 0, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / FILES[kind]
        for kill in range(count):
            process = started("--save", str(path))
            process.stdout.readline()
            time.sleep(chance.uniform(0, 0.05))
            process.kill()
            printed = [int(line) for line in process.communicate()[0].split()]
            left = unfinished(folder)
            hits += left
            try:
                loaded = load_model(path)
                values = np.unique(np.concatenate([w.ravel() for w in loaded.get_weights()]))
                if len(values) != 1 or values[0] < max(printed, default=1) or left > 1:
                    lost.append(f"kill {kill}: weights {values[:3]} after save {printed[-1:]}, {left} unfinished files")
            except Exception as error:  # noqa: BLE001 (whatever it is)
                lost.append(f"kill {kill}: {type(error).__name__}: {error}")
        load_model(path).save(path)
        if unfinished(folder):
            lost.append(f"unfinished files stayed: {sorted(p.name for p in folder.iterdir())}")
    return hits, lost


def kills_while_training(count: int, chance: random.Random) -> tuple[int, list[str]]:
    """Kill a training and start it again until it ends; and so on until so many kills.

    Return how many were brought to their end, and what was other there than without a kill.
    """
    kills, lost, ends = 0, [], 0
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name, "whole")
        whole.mkdir()
        process = started("--train", str(whole))
        process.stdout.readline()
        start = time.perf_counter()
        process.communicate()
        span = 0.5 * (time.perf_counter() - start)
        expected, table = (whole / "end.npz"), (whole / "log.csv").read_text()
        while kills < count:
            folder = Path(name, f"run{ends}")
            folder.mkdir()
            while not (folder / "end.npz").exists():
                process = started("--train", str(folder))
                process.stdout.readline()
                if kills < count:
                    time.sleep(chance.uniform(0, span))
                    kills += process.poll() is None
                    process.kill()
                process.communicate()
                if process.returncode not in (0, -9):
                    return kills, [*lost, f"after {kills} kills it ended with {process.returncode}"]
            ends += 1
            with np.load(expected) as one, np.load(folder / "end.npz") as other:
                if one.files != other.files or any(not np.array_equal(one[key], other[key]) for key in one.files):
                    lost.append(f"run {ends}: other numbers at the end")
            if (folder / "log.csv").read_text() != table:
                lost.append(f"run {ends}: other rows in the log")
            if (folder / "backup").exists():
                lost.append(f"run {ends}: left {sorted(p.name for p in (folder / 'backup').iterdir())}")
    return ends, lost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=200)
    parser.add_argument("--kinds", nargs="+", default=[*FILES, "backup"], choices=[*FILES, "backup"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", help=argparse.SUPPRESS)
    parser.add_argument("--train", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.save or arguments.train:
        save_in_a_loop(arguments.save) if arguments.save else train(arguments.train)
        return 0
    bad = 0
    for kind in arguments.kinds:
        chance = random.Random(arguments.seed)
        if kind == "backup":
            ends, lost = kills_while_training(arguments.count, chance)
            print(
                f"{kind}: {arguments.count} kills, {ends} trainings brought to their end, {len(lost)} losses",
                flush=True,
            )
        else:
            hits, lost = kills_while_saving(kind, arguments.count, chance)
            print(f"{kind}: {arguments.count} kills, {hits} within a save, {len(lost)} losses", flush=True)
        bad += len(lost)
        print("\n".join(lost[:10]), end="\n" if lost else "")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
