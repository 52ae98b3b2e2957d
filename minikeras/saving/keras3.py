"""``.keras`` files: zip archives of a configuration, the arguments of ``compile``, and weights in an HDF5 file.

The members are ``metadata.json``, ``config.json`` and ``model.weights.h5``. What minikeras has and Keras 3 doesn't
(random streams, the exact arguments of ``compile``) stands under "minikeras" in ``metadata.json``, which Keras 3
doesn't read.
"""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..layers.catalog import NUMBER
from . import tf_keras
from .archive import Archive
from .atomic import atomic_write
from .configurations import LONGEST, dicts, parse, text_of
from .errors import ModelFileError
from .hdf5 import Hdf5Reader, fill_hdf5, require_h5py
from .keras2 import of_keras3
from .keras3_compile import training_from_keras, training_to_keras3
from .keras3_config import model_to_keras3, output_names
from .keras3_optimizers import Inexpressible, State, keras3_state
from .keras3_places import Place
from .keras3_weights import weights_content
from .matching import LayerWeights

SUFFIX = ".keras"
VERSION = "3.15.1"  # the layout is that of this version
_METADATA, _CONFIG, _WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
_LARGEST = 2**34  # bytes of weights

# ---------------------------------------------------------------------- reading


@contextmanager
def open_archive(path: str | os.PathLike[str]) -> Iterator[Archive]:
    """Open a ``.keras`` file.

    Raises:
        ModelFileError: If it isn't such an archive.
    """
    with Archive(path, "a .keras file") as archive:
        if missing := [name for name in (_CONFIG, _WEIGHTS) if name not in archive.members]:
            raise ModelFileError(f"{archive.path} is damaged or no .keras file: there is no {missing[0]!r} in it")
        yield archive


def is_keras3(path: str | os.PathLike[str]) -> bool:
    """Whether a zip archive is a ``.keras`` file by its name or its members."""
    if os.fspath(path).endswith(SUFFIX):
        return True
    try:
        with Archive(path) as archive:
            return _CONFIG in archive.members
    except ModelFileError:
        return False


def weights_reader(archive: Archive) -> Hdf5Reader:
    """The reader of the weights in a ``.keras`` file; to be opened."""
    require_h5py()
    return Hdf5Reader(archive.path, archive.read(_WEIGHTS, _LARGEST))


def read_description(archive: Archive) -> tuple[dict[str, Any], State | None]:
    """The description of the model in a ``.keras`` file, for `save_model`, and how the optimizer's state is kept.

    Raises:
        ModelFileError: If it can't be read.
    """
    with archive.errors():
        found = parse(archive.read(_CONFIG, LONGEST))
        metadata = parse(archive.read(_METADATA, LONGEST)) if _METADATA in archive.members else {}
    own, compiled = metadata.get("minikeras"), found.get("compile_config")
    version = metadata.get("keras_version")
    with archive.errors("the model can't be made of it"):
        model = tf_keras.model_from_keras3(found, not isinstance(version, str) or of_keras3(version))
    description: dict[str, Any] = {"model": model, "training": None, "streams": []}
    if isinstance(own, dict):
        description |= {"training": own.get("training"), "streams": own.get("streams", [])}
        return description, _own_state(description["training"])
    if not compiled:
        return description, None
    with archive.errors():
        training, state = training_of(compiled, model)
    return description | training, state


def training_of(compiled: Any, model: Mapping[str, Any]) -> tuple[dict[str, Any], State | None]:
    """What a file says of training, for the description of a model, and how the optimizer's state is kept.

    Args:
        compiled: ``compile_config`` or ``training_config`` of the file.
        model: The model's configuration in the terms of minikeras.

    Returns:
        A dict of "training", "remarks" for the user, and "unreadable": what is wrong with it, or None.
    """
    found: dict[str, Any] = {"training": None, "remarks": [], "unreadable": None}
    try:
        if not isinstance(compiled, dict):
            raise ValueError(f"the arguments of compile must be a dict. Received: {compiled!r:.100}")
        found["training"], state, left_out = training_from_keras(compiled, output_names(model))
    except Inexpressible as error:
        found["remarks"] = [f"loaded without what belongs to training, as {error}. Compile the model again"]
        return found, None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        found["unreadable"] = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        return found, None
    if left_out:
        lost = ", ".join(map(repr, left_out))
        found["remarks"] = [f"loaded without the metrics {lost}, which minikeras doesn't have"]
    return found, state


def _own_state(training: Any) -> State | None:
    optimizer = training.get("optimizer") if isinstance(training, dict) else None
    if not isinstance(optimizer, dict) or not isinstance(optimizer.get("config"), dict):
        return None
    return State(str(optimizer.get("class_name")), optimizer["config"])


# ---------------------------------------------------------------------- writing


def write_model(
    path: str | os.PathLike[str],
    description: Mapping[str, Any],
    layers: Sequence[LayerWeights],
    state: Sequence[np.ndarray] = (),
) -> None:
    """Write a model to a ``.keras`` file; see `saving.save_model`.

    Raises:
        ValueError: If Keras 3 has no equal of something in the model. Nothing is written then.
    """
    training = description["training"]
    config = model_to_keras3(description["model"])
    _refuse_shared(layers)
    name = ""
    if training:
        name = training["optimizer"]["class_name"]
        try:
            config["compile_config"] = training_to_keras3(training, output_names(description["model"]))
        except Inexpressible as error:
            warnings.warn(f"{os.fspath(path)}: Keras 3 will load it without compiling it. {error}", stacklevel=4)
        if state:
            state = keras3_state(name, training["optimizer"]["config"], training["iterations"], state)
    streams = description["streams"]
    if streams and any(NUMBER in item for item in dicts(description["model"])):
        warnings.warn(
            f"{os.fspath(path)}: a layer without weights is part of several models, and becomes several layers there: "
            "random numbers go on in another way. An .npz file holds everything",
            stacklevel=4,
        )
        streams = []
    metadata = {"keras_version": VERSION, "minikeras": {"training": training, "streams": streams}}
    texts = {_METADATA: text_of(metadata).encode(), _CONFIG: text_of(config).encode()}
    weights = io.BytesIO()
    fill_hdf5(weights, *weights_content(layers, state, name.lower()))
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for member, data in [*texts.items(), (_WEIGHTS, weights.getvalue())]:
            archive.writestr(zipfile.ZipInfo(member), data)  # a ZipInfo of its own has no time of day in it


def _refuse_shared(layers: Sequence[LayerWeights]) -> None:
    """Keras 3 makes two layers of one that is part of two models, and looks for its weights twice then."""
    holders: dict[Place, list[str]] = {}
    for layer in layers:
        for place in layer.places:
            holders.setdefault(place, []).append(layer.layer)
    if shared := [names for names in holders.values() if len(names) > 1]:
        raise ValueError(
            f"{' and '.join(map(repr, shared[0]))} have a layer in common, and Keras 3 can't read such a "
            "model from a .keras file. Save it to .npz or .h5"
        )
