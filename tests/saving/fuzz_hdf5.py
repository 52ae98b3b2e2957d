"""Mutated HDF5 files: each gives a model or a ModelFileError with the file's name, and nothing else.

``python -m tests.saving.fuzz_hdf5 --cases 10000 --seed 0`` prints how many files reached which stage, and the worst
time and memory. What goes wrong is kept under ``--keep``. The process that reads a file is forked here instead of
started anew, which is all that is different from `load_model` as it is; so this runs on POSIX only.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import re
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from minikeras.models import load_model
from minikeras.saving import ModelFileError, hdf5, hdf5_child

FOLDER = Path(__file__).parents[1] / "reference" / "keras224" / "models"
SEEDS = [FOLDER / f"{name}.h5" for name in ("auto", "lenet", "resid", "sep", "voxel", "wave")]
SEEDS += [FOLDER.parents[1] / "keras3" / "models" / "resid.h5", FOLDER.parents[1] / "tf_keras" / "graph.h5"]
SIGNATURES = re.compile(rb"TREE|SNOD|HEAP|GCOL|OHDR|\x89HDF|FRHP|BTHD")
NUMBERS = [0, 1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 4096, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**64 - 1]
VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        10**6,
        10**9,
        2**63,
        -(2**70),
        0.5,
        -1e308,
        float("nan"),
        float("inf"),
        "",
        "a/b",
    ),
    *(
        [],
        {},
        [0],
        [[]],
        [1, 2, 3],
        ["x", None],
        {"class_name": "Dense", "config": {}},
        "relu",
        "same",
        "Lambda",
        "é" * 50,
    ),
    *({"class_name": "Lambda", "config": {"function": ["YQ==", None, None], "function_type": "lambda"}}, "os.system"),
]

# ---------------------------------------------------------------------- mutations of bytes


def flip_bits(data: bytearray, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 20)):
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))


def truncate(data: bytearray, rng: np.random.Generator) -> None:
    del data[rng.integers(len(data)) :]


def splice(data: bytearray, rng: np.random.Generator) -> None:
    length = int(rng.integers(1, 600))
    source, target = rng.integers(0, len(data), 2)
    data[target : target + length] = data[source : source + length]


def change_a_field(data: bytearray, rng: np.random.Generator) -> None:
    """A number of 1 to 8 bytes shortly behind a signature of HDF5's structures, or in an object's header."""
    places = [found.start() for found in SIGNATURES.finditer(data)]
    near = int(rng.choice(places)) + int(rng.integers(4, 64)) if rng.random() < 0.6 else int(rng.integers(len(data)))
    width = int(rng.choice([1, 2, 4, 8]))
    place = near // width * width
    number = int(rng.choice(np.array([*NUMBERS, len(data), near], object))) % 2 ** (8 * width)
    data[place : place + width] = number.to_bytes(width, "little")


# ---------------------------------------------------------------------- mutations of what the bytes mean


def change_the_version(file: Any, rng: np.random.Generator) -> None:
    file.attrs["keras_version"] = str(
        rng.choice(["1.2.2", "2.0.8", "2.3.1", "2.2.4-tf", "2.12.0", "3.9.0", "", "9" * 400])
    ).encode()


def change_a_text(file: Any, rng: np.random.Generator) -> None:
    """A value in one of the configurations."""
    name = str(rng.choice([n for n in ("model_config", "training_config", "minikeras") if n in file.attrs]))
    config = json.loads(file.attrs[name])
    for _ in range(rng.integers(1, 4)):
        _change_a_value(config, rng)
    file.attrs[name] = json.dumps(config)


def _change_a_value(config: Any, rng: np.random.Generator) -> None:
    places = []
    pending = [config]
    while pending:
        value = pending.pop()
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], (dict, list)):
                pending.append(value[key])
    if not places:
        return
    value, key = places[rng.integers(len(places))]
    choice = rng.random()
    if choice < 0.15:
        del value[key]
    elif choice < 0.3:
        other, place = places[rng.integers(len(places))]
        value[key] = json.loads(json.dumps(other[place]))
    else:
        value[key] = VALUES[rng.integers(len(VALUES))]


def nest_a_text(file: Any, rng: np.random.Generator) -> None:
    depth = int(rng.choice([50, 101, 1000, 100_000]))
    file.attrs["model_config"] = (
        str(rng.choice(["[", '{"a":', '{"class_name":"Sequential","config":{"layers":['])) * depth
    )


def change_names(file: Any, rng: np.random.Generator) -> None:
    groups = [file["model_weights"], *file["model_weights"].values(), file["optimizer_weights"]]
    group = groups[rng.integers(len(groups))]
    name = next(n for n in ("layer_names", "weight_names") if n in group.attrs)
    names = [n.decode() for n in group.attrs[name] if isinstance(n, bytes)] or ["a"]
    at = int(rng.integers(len(names)))
    new: list[Any] = [
        names[:at],
        [*names, names[at]],
        names[::-1],
        ["../" + names[at]],
        [names[at] * 3000],
        7,
        "text",
        [],
    ]
    value = new[rng.integers(len(new))]
    group.attrs[name] = [n.encode() for n in value] if isinstance(value, list) and value else value


def change_an_array(file: Any, rng: np.random.Generator) -> None:
    arrays: list[str] = []
    file.visititems(lambda name, item: arrays.append(name) if isinstance(item, h5py.Dataset) else None)
    name = str(rng.choice(arrays))
    old = file[name][()]
    del file[name]
    group = file
    kinds: list[Callable[[], Any]] = [
        lambda: None,
        lambda: group.create_dataset(name, data=np.zeros((3, 5), "f4")),
        lambda: group.create_dataset(name, data=old.astype("f8")),
        lambda: group.create_dataset(name, data=old.astype(">i2")),
        lambda: group.create_dataset(name, data=np.full(old.shape, np.nan)),
        lambda: group.create_dataset(name, shape=(2**40, 2**20), dtype="f4", chunks=(1024, 1024)),
        lambda: group.create_dataset(name, shape=(2**14, 2**14), dtype="f4", chunks=(2**14, 2**10), compression="gzip"),
        lambda: group.create_dataset(name, data=np.zeros(2**20, "f4"), compression="gzip", chunks=(2**20,)),
        lambda: group.create_dataset(name, data=np.array(["a", "b"], dtype=object), dtype=h5py.string_dtype()),
        lambda: group.create_dataset(name, data=file.ref, dtype=h5py.ref_dtype),
        lambda: group.create_dataset(name, data=np.zeros(3, [("a", "f4"), ("b", "i4")])),
        lambda: group.create_dataset(
            name, shape=old.shape, dtype="f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
        ),
        lambda: group.create_virtual_dataset(name, _virtual(old.shape)),
        lambda: group.create_dataset(name, data=h5py.Empty("f4")),
        lambda: group.__setitem__(name, h5py.SoftLink("/model_weights")),
        lambda: group.__setitem__(name, h5py.ExternalLink("/etc/passwd", "/")),
        lambda: group.__setitem__(name, file["model_weights"]),
    ]
    kinds[rng.integers(len(kinds))]()


def _virtual(shape: tuple[int, ...]) -> Any:
    layout = h5py.VirtualLayout(shape=shape or (1,), dtype="f4")
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", shape=shape or (1,))
    return layout


def nest_groups(file: Any, rng: np.random.Generator) -> None:
    group = file["model_weights"]
    for _ in range(int(rng.choice([10, 40, 400]))):
        group = group.create_group("g")
    if rng.random() < 0.5:
        group["back"] = file["/"]


OF_BYTES = [flip_bits, truncate, splice, change_a_field, change_a_field]
OF_MEANING = [
    change_a_text,
    change_a_text,
    change_a_text,
    nest_a_text,
    change_names,
    change_an_array,
    change_an_array,
    nest_groups,
    change_the_version,
]


def mutated(rng: np.random.Generator, path: str) -> str:
    """Write a mutated file; return the names of what was done to it."""
    data = bytearray(SEEDS[rng.integers(len(SEEDS))].read_bytes())
    done = []
    meant = rng.random() < 0.5
    if meant:
        Path(path).write_bytes(data)
        with h5py.File(path, "r+") as file:
            for _ in range(rng.integers(1, 3)):
                mutation = OF_MEANING[rng.integers(len(OF_MEANING))]
                try:
                    mutation(file, rng)
                    done.append(mutation.__name__)
                except (ValueError, KeyError, OSError, StopIteration, TypeError, RuntimeError, AttributeError):
                    done.append(f"{mutation.__name__} (not possible)")
        data = bytearray(Path(path).read_bytes())
    if not meant or rng.random() < 0.1:
        mutation = OF_BYTES[rng.integers(len(OF_BYTES))]
        mutation(data, rng)
        done.append(mutation.__name__)
    Path(path).write_bytes(data)
    return " + ".join(done)


# ---------------------------------------------------------------------- reading


class Forked:
    """What `Hdf5Reader` needs of ``subprocess.Popen``, by a fork."""

    largest = 0  # resident memory of a child, in KiB, beside what it had at the fork

    def __init__(self, command: list[str], **_: Any) -> None:
        requests, answers = os.pipe(), os.pipe()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the threads of this process are idle
            self.pid = os.fork()
        if self.pid == 0:
            try:
                os.dup2(requests[0], 0)
                os.dup2(answers[1], 1)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                os.closerange(3, 256)
                sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115
                sys.argv = command[3:]
                hdf5_child.main()
            finally:
                os._exit(1)
        os.close(requests[0])
        os.close(answers[1])
        self.stdin, self.stdout = open(requests[1], "wb"), open(answers[0], "rb")  # noqa: SIM115
        self.code: int | None = None
        self.before = before

    def kill(self) -> None:
        if self.code is None:
            os.kill(self.pid, 9)

    def wait(self) -> int:
        if self.code is None:
            _, status, usage = os.wait4(self.pid, 0)
            self.code = os.waitstatus_to_exitcode(status)
            Forked.largest = max(Forked.largest, usage.ru_maxrss - self.before)
        return self.code


STAGES = {
    "the process that reads it died": "crash of the reader, reported",
    "takes too long": "too slow, reported",
    "is damaged or no file of Keras": "refused: HDF5 structure",
    r"damaged or not an \.npz": "refused: not HDF5",
    "doesn't hold the state": "refused: state of the optimizer",
    "another architecture": "refused: weights",
    "random streams": "refused: random streams",
    "can't be compiled": "refused: values of the training's configuration",
    "can't be made of it": "refused: values of the configuration",
    "can't be read": "refused: JSON",
    "is damaged": "refused: names",
    "holds no": "refused: names",
}


def stage(path: str) -> str:
    """Load a file; return how far that went."""
    try:
        model = load_model(path)
    except ModelFileError as error:
        text = str(error)
        if path not in text:
            raise AssertionError(f"the file isn't named: {text}") from error
        return next((name for pattern, name in STAGES.items() if re.search(pattern, text)), text.replace(path, "FILE"))
    weights = model.get_weights()
    return "loaded" if all(np.isfinite(array).all() for array in weights) else "loaded, weights not finite"


def fuzz(cases: int, seed: int, keep: Path | None = None, seconds: float = float("inf")) -> dict[str, Any]:
    """Load so many mutated files, or as many as the seconds allow.

    Returns:
        Counts by stage, what failed, and the worst time in seconds and memory in MiB.
    """
    counts: collections.Counter[str] = collections.Counter()
    failures: list[str] = []
    worst, slowest = 0.0, ""
    started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    popen, hdf5.subprocess.Popen = hdf5.subprocess.Popen, Forked  # type: ignore[misc, assignment]
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            end = time.monotonic() + seconds
            for case in range(cases):
                if time.monotonic() > end:
                    break
                path = os.path.join(folder, "case.h5")
                what = mutated(np.random.default_rng([seed, case]), path)
                begin = time.perf_counter()
                try:
                    counts[stage(path)] += 1
                except Exception:  # noqa: BLE001
                    failures.append(f"case {case} ({what}): {traceback.format_exc()}")
                    if keep is not None:
                        keep.mkdir(parents=True, exist_ok=True)
                        (keep / f"{seed}-{case}.h5").write_bytes(Path(path).read_bytes())
                taken = time.perf_counter() - begin
                if taken > worst:
                    worst, slowest = taken, f"case {case} ({what})"
                os.unlink(path)
    finally:
        hdf5.subprocess.Popen = popen  # type: ignore[misc]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - started
    return {
        "counts": dict(counts.most_common()),
        "failures": failures,
        "worst seconds": round(worst, 3),
        "slowest": slowest,
        "MiB more in this process": round(grown / 1024, 1),
        "MiB more in the reader": round(Forked.largest / 1024, 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    options = parser.parse_args()
    print(json.dumps(fuzz(options.cases, options.seed, options.keep, options.seconds), indent=1))
