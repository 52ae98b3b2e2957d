"""The formats: sound files to begin with, how they are changed, how they are loaded, and what they hold in truth."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from minikeras import Input, Model, Sequential, callbacks, layers
from minikeras.core.random import seed_scope
from minikeras.models import load_model
from minikeras.saving import ModelFileError

from . import hdf5, zips
from .values import change_bytes, change_json


def dense() -> Any:
    """The smallest that is of use."""
    model = Sequential([layers.Dense(3, activation="tanh", input_dim=2, name="a"), layers.Dense(2, name="b")], name="m")
    model.compile("sgd", "mse")
    return model


def conv() -> Any:
    """Convolution, normalization, dropout with a random stream, and an optimizer with a state."""
    model = Sequential(
        [
            layers.Conv2D(
                2, 3, padding="same", activation="relu", input_shape=(4, 4, 1), kernel_regularizer="l2", name="c"
            ),
            layers.BatchNormalization(name="n"),
            layers.Dropout(0.5, name="d"),
            layers.Flatten(name="f"),
            layers.Dense(2, activation="softmax", name="s"),
        ],
        name="m",
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    model.fit(np.ones((4, 4, 4, 1)), np.eye(2)[[0, 1, 0, 1]], verbose=0)
    return model


def graph() -> Any:
    """Two inputs, a layer used twice, a model inside."""
    one, other = Input((3,), name="one"), Input((3,), name="other")
    shared = layers.Dense(2, name="shared")
    inner = Sequential([layers.Dense(2, input_dim=2, name="i")], name="inner")
    both = layers.concatenate([inner(shared(one)), shared(other)], name="both")
    model = Model([one, other], layers.Dense(1, name="out")(both), name="g")
    model.compile("rmsprop", "mse")
    model.fit([np.ones((2, 3))] * 2, np.ones((2, 1)), verbose=0)
    return model


class Format:
    """A format that models or weights are loaded from.

    Attributes:
        suffix: What its files end in.
        hdf5: Whether there is HDF5 in them.
        models: Models that weights are loaded into.
        seeds: Sound files.
        originals: Others, which Keras has written.
        partly: Whether the last model was loaded by name, so that some weights may not be the file's.
    """

    suffix = ""
    hdf5 = False
    partly = False

    @property
    def originals(self) -> list[bytes]:
        return []

    def __init__(self) -> None:
        with seed_scope(0):
            self.models = [make() for make in (dense, conv, graph)]
        # more often the smallest, whose mutations hit something that matters
        self.seeds = [data for model in (self.models[0], *self.models) for data in self._files(model)]

    def mutated(self, rng: Random) -> tuple[bytes, str]:
        """A file with something wrong in it, and what."""
        raise NotImplementedError

    def load(self, path: str, rng: Random) -> Any:
        """The model that a file is loaded as, or into."""
        self.partly = False
        if not self._weights_only and rng.random() < 0.7:
            return load_model(path)
        model = rng.choice(self.models)
        model.set_weights([np.full(weight.shape, 0.125) for weight in model.weights])
        choice = rng.random()
        self.partly = choice > 0.8
        model.load_weights(path, **({"by_name": True, "skip_mismatch": choice < 0.9} if self.partly else {}))
        return model

    def differs(self, path: str, model: Any) -> str:
        """What a model has that isn't in its file; "" if nothing, or if that can't be said."""
        return ""

    _weights_only = False

    def _files(self, model: Any) -> list[bytes]:
        return [saved(model.save, self.suffix)]

    def _pair(self, rng: Random) -> tuple[bytes, bytes]:
        seeds = self.originals if self.originals and rng.random() < 0.05 else self.seeds  # those are larger, and slow
        return rng.choice(seeds), rng.choice(self.seeds)


class Npz(Format):
    """minikeras's own files."""

    suffix = ".npz"

    def _files(self, model: Any) -> list[bytes]:
        return [saved(model.save, ".npz"), saved(model.save_weights, ".npz")]

    def mutated(self, rng: Random) -> tuple[bytes, str]:
        return zips.mutated(*self._pair(rng), rng, zips.changed_npy)

    def differs(self, path: str, model: Any) -> str:
        with np.load(path, allow_pickle=False) as arrays:
            return (
                ""
                if self.partly
                else strangers(model, [array for name in arrays.files for array in _readable(arrays, name)])
            )


class Safetensors(Format):
    """Weights as a header in JSON and bytes."""

    suffix = ".safetensors"
    _weights_only = True

    def _files(self, model: Any) -> list[bytes]:
        return [saved(model.save_weights, ".safetensors")]

    def mutated(self, rng: Random) -> tuple[bytes, str]:
        data, other = self._pair(rng)
        changed = bytearray(data)
        if rng.random() < 0.25:
            return bytes(changed), change_bytes(changed, other, rng)
        size = int.from_bytes(data[:8], "little")
        header, content = json.loads(data[8 : 8 + size]), bytearray(data[8 + size :])
        choice = rng.random()
        if choice < 0.35:
            text, what = change_json(json.dumps(header), rng), "header"
        else:
            text, content, what = _other_tensors(header, content, rng)
        raw = text.encode("utf-8", "surrogatepass")
        raw += b" " * (-len(raw) % 8)
        length = (
            len(raw)
            if rng.random() < 0.97
            else rng.choice([0, len(raw) - 1, len(raw) + 1, len(data), 2**62, 2**64 - 1])
        )
        return length.to_bytes(8, "little") + raw + content, what

    def differs(self, path: str, model: Any) -> str:
        if self.partly:
            return ""
        data = Path(path).read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        types = {
            "F64": "<f8",
            "F32": "<f4",
            "F16": "<f2",
            "I64": "<i8",
            "I32": "<i4",
            "U8": "u1",
            "BOOL": "?",
            "I8": "i1",
        }
        found = []
        for name, entry in json.loads(data[8:start]).items():
            if name != "__metadata__" and entry["dtype"] in types:
                begin, end = (start + offset for offset in entry["data_offsets"])
                found.append(np.frombuffer(data[begin:end], types[entry["dtype"]]).reshape(entry["shape"]))
            elif name != "__metadata__":
                return ""  # of a type that NumPy doesn't have
        return strangers(model, found)


def _other_tensors(header: Any, content: bytearray, rng: Random) -> tuple[str, bytearray, str]:
    """A header whose entries are well-formed and say something else."""
    entries = [entry for name, entry in header.items() if name != "__metadata__"]
    entry = rng.choice(entries)
    what = rng.choice(["dtype", "shape", "offset", "name", "data", "order"])
    if what == "dtype":
        entry["dtype"] = rng.choice(["F64", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "C64", "O", "F32"])
        if rng.random() < 0.5:  # of the same size
            entry["dtype"] = rng.choice(["I32", "U32"])
    elif what == "shape":
        sizes = entry["shape"]
        if sizes and rng.random() < 0.7:
            sizes[rng.randrange(len(sizes))] = rng.choice([0, -1, 1, 2**62, 2**63, 10**30, 3, True, 1.0])
        else:
            sizes.insert(rng.randint(0, len(sizes)), rng.choice([1, 1, 0, 2]))
    elif what == "offset":
        entry["data_offsets"][rng.randrange(2)] += rng.choice([-4, -1, 1, 4, 2**40, -(2**40)])
    elif what == "name":
        old = rng.choice([name for name in header if name != "__metadata__"])
        header[rng.choice(["x", "../x", "a/kernel", "a//kernel", "", "/", old + "\0"])] = header.pop(old)
    elif what == "data":
        content = rng.choice(
            [content[:-1], content + b"\0", content[: len(content) // 2], bytearray(rng.randbytes(len(content)))]
        )
        if rng.random() < 0.5:
            content[: len(content) // 8 * 4] = np.full(len(content) // 8, np.nan, "f4").tobytes()
    else:
        items = list(header.items())
        rng.shuffle(items)
        header = dict(items)
    return json.dumps(header), content, what


class H5(Format):
    """Keras 2's files: written by minikeras, by Keras 2.2.4, by tf.keras and by Keras 3."""

    suffix = ".h5"
    hdf5 = True

    def _files(self, model: Any) -> list[bytes]:
        data = saved(model.save, ".h5")
        return [data, hdf5.modern(data), saved(model.save_weights, ".h5")]

    @cached_property
    def originals(self) -> list[bytes]:
        patterns = ("keras224/models/*.h5", "keras3/models/resid.h5", "keras3/written/shared.h5", "tf_keras/*.h5")
        return [data for pattern in patterns for data in _references(pattern)]

    def mutated(self, rng: Random) -> tuple[bytes, str]:
        return hdf5.mutated(*self._pair(rng), rng)


class WeightsH5(H5):
    """Keras 3's files of weights."""

    suffix = ".weights.h5"
    _weights_only = True

    @cached_property
    def originals(self) -> list[bytes]:
        return [dict(zips.parts(data))["model.weights.h5"] for data in _references("keras3/models/*.keras")]

    def _files(self, model: Any) -> list[bytes]:
        data = saved(model.save_weights, ".weights.h5")
        return [data, hdf5.modern(data)]


class Keras(Format):
    """Keras 3's archives: JSON and HDF5 in a zip file."""

    suffix = ".keras"
    hdf5 = True

    @cached_property
    def originals(self) -> list[bytes]:
        return _references("keras3/models/*.keras") + _references("keras3/written/shared.keras")

    def mutated(self, rng: Random) -> tuple[bytes, str]:
        data, other = self._pair(rng)
        own, weights = (dict(zips.parts(file))["model.weights.h5"] for file in (data, other))
        done: list[str] = []

        def inner(name: str, content: bytes, rng: Random) -> bytes:
            if name.endswith(".json"):
                return change_json(content, rng).encode("utf-8", "surrogatepass")
            if content != own:  # changed before, and nothing that h5py could read here
                changed = bytearray(content)
                done.append(change_bytes(changed, weights, rng))
                return bytes(changed)
            found, what = hdf5.mutated(content, weights, rng)
            done.append(what)
            return found

        changed, what = zips.mutated(data, other, rng, inner)
        return changed, " + ".join([what, *done])


class Backup(Npz):
    """The file of a training that was broken off."""

    suffix = ".npz"

    def _files(self, model: Any) -> list[bytes]:
        return [self._trained(model, epochs, steps) for epochs, steps in ((1, "epoch"), (2, 1))]

    def _trained(self, model: Any, epochs: int, steps: Any) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            backup = callbacks.BackupAndRestore(folder, save_freq=steps, delete_checkpoint=False)
            self._fit(model, backup, epochs)
            return Path(backup.path).read_bytes()

    def mutated(self, rng: Random) -> tuple[bytes, str]:
        def inner(name: str, content: bytes, rng: Random) -> bytes:
            return zips.changed_npy("model.npy" if name == "state.npy" else name, content, rng)

        index = rng.randrange(len(self.seeds))
        self.model = self.models[max(index // 2 - 1, 0)]  # the first has twice as many files
        return zips.mutated(self.seeds[index], rng.choice(self.seeds), rng, inner)

    def load(self, path: str, rng: Random) -> Any:
        """The model whose training was gone on with: one that has reached its end, so that nothing is trained."""
        try:
            self._fit(self.model, BackupAndRestore(path), 1)
        except ValueError as error:
            if "begun under other conditions" in str(error):
                raise ModelFileError(str(error)) from error
            raise
        return self.model

    def differs(self, path: str, model: Any) -> str:
        return ""

    @staticmethod
    def _fit(model: Any, backup: Any, epochs: int) -> None:
        x = [np.ones((2, *shape[1:])) for shape in as_list(model.input_shape)]
        y = np.ones((2, *model.output_shape[1:]))
        others = [callbacks.EarlyStopping(monitor="loss", patience=9), callbacks.ReduceLROnPlateau(monitor="loss")]
        model.fit(x if len(x) > 1 else x[0], y, epochs=epochs, verbose=0, callbacks=[backup, *others])


class BackupAndRestore(callbacks.BackupAndRestore):
    """Goes on with the training in a file, and writes none."""

    def __init__(self, path: str) -> None:
        super().__init__(os.path.dirname(path), delete_checkpoint=False)
        self._own_path = path

    @property
    def path(self) -> str:
        return self._own_path

    def _write(self, state: dict[str, Any]) -> None:
        pass


def as_list(shapes: Any) -> list[Any]:
    return shapes if isinstance(shapes, list) else [shapes]


FORMATS: dict[str, Callable[[], Format]] = {
    "npz": Npz,
    "safetensors": Safetensors,
    "h5": H5,
    "keras": Keras,
    "weights.h5": WeightsH5,
    "backup": Backup,
}


def _references(pattern: str) -> list[bytes]:
    """Files that other programs have written."""
    return [path.read_bytes() for path in sorted((Path(__file__).parents[2] / "reference").glob(pattern))]


def saved(save: Callable[[str], Any], suffix: str) -> bytes:
    """The file that a method writes."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what another format can't hold
        path = os.path.join(folder, f"m{suffix}")
        save(path)
        return Path(path).read_bytes()


def _readable(arrays: Any, name: str) -> Iterator[np.ndarray]:
    with suppress(ValueError, zipfile.BadZipFile):  # one that nobody has asked for may be damaged
        yield arrays[name]


def strangers(model: Any, arrays: list[np.ndarray]) -> str:
    """The weights of a model that no array of its file has the values of."""
    known = {_key(array) for array in arrays}
    pairs = zip(model.weights, model.get_weights(), strict=True)
    wrong = [weight.name for weight, array in pairs if _key(array) not in known]
    return f"these weights are not those of the file: {wrong}" if wrong else ""


def _key(array: np.ndarray) -> tuple[Any, ...]:
    with np.errstate(all="ignore"):
        return array.shape, np.asarray(array, "<f4").tobytes()
