"""Keras 3's layout of weights in HDF5 files: ``.weights.h5``, alone or as the member of a ``.keras`` archive.

Each layer is a group, its weights are numbered arrays in the group ``vars`` inside of it, whose attribute ``name`` is
the layer's name; see `keras3_places`. The optimizer's state are the numbered arrays of ``optimizer/vars``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .errors import ModelFileError
from .hdf5 import Hdf5Reader
from .keras3_places import CONTAINER, VARS, Place
from .matching import LayerWeights, Pairs

Attributes = dict[str, "str | list[str]"]
_OF_TF_KERAS = "_layer_checkpoint_dependencies"  # what tf.keras calls the list of layers
_OPTIMIZER = f"optimizer/{VARS}"
_SEEDS = "seed_generator"

# ---------------------------------------------------------------------- reading


def is_keras3(reader: Hdf5Reader) -> bool:
    """Whether an open file has Keras 3's layout."""
    return CONTAINER in reader.attributes or _OF_TF_KERAS in reader.attributes


class Keras3Weights:
    """The weights in an open file; see `WeightsFile`.

    Args:
        reader: The file.

    Raises:
        ModelFileError: If it holds no weights in Keras 3's layout.
    """

    def __init__(self, reader: Hdf5Reader) -> None:
        self.path = reader.path
        self.layers: dict[str, dict[str, tuple[int, ...]]] = {}
        self._reader = reader
        self._tops: dict[str, str] = {}  # the layers in the file, from their groups to their names
        self._groups: dict[str, str] = {}  # and back
        self._by_name: dict[str, str] = {}  # from a weight's place by names to its place by classes
        self._stored: dict[str, str] = {}  # from a weight's place by classes to its path in the file
        if not is_keras3(reader):
            raise ModelFileError(
                f"{self.path} holds no weights in Keras 3's layout: its groups are {sorted(reader.attributes)[:5]}"
            )
        for stored in reader.shapes:
            steps = stored.split("/")
            inside = len(steps) > 3 and steps[0] in (CONTAINER, _OF_TF_KERAS) and steps[-2] == VARS
            if inside and _SEEDS not in steps:
                self._add(stored, steps)

    def pairs(self, layers: Sequence[LayerWeights]) -> Pairs:
        """Which layer of the file each layer of a model is: by names where they agree, else by the count of classes."""
        named = {place.named for layer in layers for place in layer.places} == self._by_name.keys()
        found: Pairs = []
        for own in layers:
            places = [place for place in own.places if _is_in(place, own)]
            if not places:  # all of its weights are in other layers
                found.append((own, f"/{own.layer}"))
                self.layers.setdefault(f"/{own.layer}", {})
                continue
            found.append((own, self._tops.get(_top(self._by_name[places[0].named] if named else places[0].path))))
        used = {source for _, source in found}
        return found + [(None, source) for source in self.layers if source not in used]

    def names(self, own: LayerWeights, layer: str) -> dict[str, str]:
        """What the layer's weights are called in the file: the ends of their paths.

        A layer that is part of several models has its weights in the first of them. They become weights of the others.
        """
        places = [place for place in own.places if _is_in(place, own)]
        by_name = [_end(self._by_name.get(place.named, "")) for place in places]
        named = all(end in self.layers[layer] for end in by_name)
        ends = dict(zip(places, by_name if named else [_end(place.path) for place in places], strict=True))
        for place in own.places:
            if place not in ends:
                path = self._by_name.get(place.named, place.path) if named else place.path
                ends[place] = f"/{path}"
                if path in self._stored:
                    self.layers[layer][ends[place]] = self._reader.shapes[self._stored[path]]
        return {name: ends[place] for name, place in zip(own.names, own.places, strict=True)}

    def read(self, layer: str, name: str) -> np.ndarray:
        """Return a weight."""
        return self._reader.read(self._stored[name[1:] if name.startswith("/") else f"{self._groups[layer]}/{name}"])

    def _add(self, stored: str, steps: list[str]) -> None:
        named = list(steps)
        for number, step in enumerate(steps[:-1]):
            if step in (CONTAINER, _OF_TF_KERAS):
                steps[number] = named[number] = CONTAINER
                group = "/".join(stored.split("/")[: number + 2])
                name = self._reader.attributes.get(f"{group}/{VARS}", {}).get("name")
                named[number + 1] = name if isinstance(name, str) else steps[number + 1]
        place = "/".join(steps)
        top = _top(place)
        if top not in self._tops:
            taken = named[1] in self.layers
            self._tops[top] = steps[1] if taken else named[1]
            self._groups[self._tops[top]] = top
        self.layers.setdefault(self._tops[top], {})[_end(place)] = self._reader.shapes[stored]
        self._by_name["/".join(named)] = place
        self._stored[place] = stored


def state_paths(reader: Hdf5Reader) -> list[str]:
    """The paths of the arrays of the optimizer's state, in order.

    Raises:
        ValueError: If one of them is missing.
    """
    there = [path for path in reader.shapes if path.startswith(f"{_OPTIMIZER}/")]
    paths = [f"{_OPTIMIZER}/{number}" for number in range(len(there))]
    if {*there} != {*paths}:
        raise ValueError(f"the arrays of its optimizer's state are {sorted(there)[:5]}")
    return paths


def _is_in(place: Place, layer: LayerWeights) -> bool:
    """Whether a weight's place is in the layer, and not in another one that has it too."""
    return place.named.startswith(f"{CONTAINER}/{layer.layer}/")


def _top(place: str) -> str:
    """The path of the layer of the model that a weight is in."""
    return "/".join(place.split("/")[:2])


def _end(place: str) -> str:
    """The rest of the path behind that."""
    return "/".join(place.split("/")[2:])


# ---------------------------------------------------------------------- writing


def weights_content(
    layers: Sequence[LayerWeights], state: Sequence[np.ndarray] = (), optimizer: str = ""
) -> tuple[dict[str, Attributes], dict[str, np.ndarray]]:
    """The attributes and arrays of a file of weights, for `write_hdf5`.

    Args:
        layers: What `describe_weights` gives.
        state: The state of the optimizer in Keras 3's order.
        optimizer: Name of the optimizer.
    """
    attributes: dict[str, Attributes] = {CONTAINER: {}}
    arrays: dict[str, np.ndarray] = {}
    for layer in layers:
        for place, array in zip(layer.places, layer.arrays, strict=True):
            arrays[place.path] = array
            attributes.update(_names(place))
    if state:
        attributes[_OPTIMIZER] = {"name": optimizer}
        arrays |= {f"{_OPTIMIZER}/{number}": array for number, array in enumerate(state)}
    return attributes, arrays


def _names(place: Place) -> Mapping[str, Attributes]:
    """The groups that say the names of the layers on the way to a weight."""
    path, named = place.path.split("/"), place.named.split("/")
    if len(path) != len(named):  # a name with a slash in it
        return {}
    return {
        "/".join([*path[: number + 2], VARS]): {"name": named[number + 1]}
        for number, step in enumerate(path)
        if step == CONTAINER and number + 2 < len(path)
    }
