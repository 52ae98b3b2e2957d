"""Layers and models as subjects: their weights become inputs by name, and are put back bit for bit afterwards.

While a layer is checked, its weights are held in the floating-point type of the check, its random streams start anew
at every call, so that dropout drops the same elements, and moving statistics start from the same values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..backend import randomness
from ..core import config, random
from ..core.tensor import Parameter, Tensor
from ..layers.base import Layer, call_context
from ..layers.shapes import as_list
from ..models.compilation import Compilable
from ..models.data import Samples
from .arrays import Arrays
from .differences import direction
from .subject import EngineSubject, as_outputs


class LayerSubject(EngineSubject):
    """A function of Tensors that also reads weights, which count as inputs.

    Args:
        function: Takes a Tensor for each array, reads the weights, returns the outputs.
        layer: A layer that is `held`.
        arrays: The inputs of the function.
        names: Of these.
        weights: Parameters that count as inputs.
        rest: What `held` gave: where every call starts from.
        dtype: "float32" or "float64": what the layer computes in.
        owner: For messages.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        layer: Layer,
        arrays: Arrays,
        names: list[str],
        weights: list[Parameter],
        rest: Rest,
        dtype: str,
        owner: str,
    ) -> None:
        self.function = function
        self.owner = owner
        self.weights = weights
        counted = {id(weight) for weight in weights}
        self.points = [*arrays, *(in_type(rest.values[id(weight)], dtype) for weight in weights)]
        self.names = [*names, *unique_names([str(weight.name) for weight in weights])]
        self._dtype = dtype
        self._count = len(arrays)
        self._states = [(w, in_type(rest.values[id(w)], dtype)) for w in layer.weights if id(w) not in counted]
        self._parts = [part for part in layer._flatten() if np.dtype(part.dtype).kind == "f"]
        self._rest = rest
        self._draws = True
        self.values(self.points)
        self._draws = self._has_drawn()
        self.try_off_the_tape()

    def _rewind(self) -> None:
        for stream, position in self._rest.streams:
            random.set_state(stream, position)
        np.random.set_state(self._rest.numpy_state)  # noqa: NPY002
        _rewind_seeded(self._rest.seeded)

    def _has_drawn(self) -> bool:
        """Whether random numbers were drawn since the last rewinding."""
        if any(random.get_state(stream) != position for stream, position in self._rest.streams):
            return True
        if _seeded_positions() != self._rest.seeded:
            return True
        now, before = np.random.get_state(), self._rest.numpy_state  # noqa: NPY002
        return any(not np.array_equal(a, b) for a, b in zip(now, before, strict=True))

    def run(self, arrays: Arrays) -> tuple[list[Tensor], list[Tensor]]:
        """Put weights and states in place, start the random streams anew, and call."""
        inputs = [Tensor(array, requires_grad=array.dtype.kind == "f") for array in arrays[: self._count]]
        for weight, array in zip(self.weights, arrays[self._count :], strict=True):
            weight.data = array
        for state, value in self._states:
            state.data = value.copy()
        for part in self._parts:
            part.dtype = self._dtype
        if self._draws:
            self._rewind()
        with random.seed_scope(0), config.scope(floatx=self._dtype):
            outputs = as_outputs(self.function(*inputs), self.owner)
        return [*inputs, *self.weights], outputs


class Rest(NamedTuple):
    """Where every call of a held layer starts from.

    Attributes:
        values: Of the weights, by id.
        streams: Random streams with their positions.
        numpy_state: That of NumPy's global stream, as a layer of one's own may draw from it.
        seeded: Positions of the streams of the backend's random functions, by seed.
    """

    values: dict[int, np.ndarray]
    streams: list[tuple[np.random.Generator, dict[str, Any]]]
    numpy_state: Any
    seeded: dict[int, dict[str, Any]]


@contextmanager
def held(layer: Layer, move: np.random.Generator | None = None) -> Iterator[Rest]:
    """Let a `LayerSubject` have a layer for the body of a ``with`` statement.

    On leaving, also by an exception, its weights are the very arrays that they were, and its types, its random streams
    and the versions of its weights stand where they stood.

    Args:
        layer: A built layer.
        move: Moves the weights a little away from where they are; None leaves them.
    """
    streams = [(stream, random.get_state(stream)) for stream in streams_of(layer)]
    numpy_state = np.random.get_state()  # noqa: NPY002
    seeded = _seeded_positions()
    with ExitStack() as stack:
        for weight in layer.weights:
            stack.callback(_put_back, weight, weight.data, weight._version, weight.grad)
        for part in layer._flatten():
            stack.callback(setattr, part, "dtype", part.dtype)
        for stream, position in streams:
            stack.callback(random.set_state, stream, position)
        stack.callback(np.random.set_state, numpy_state)
        stack.callback(_rewind_seeded, seeded)
        values = {id(w): w.data.copy() if move is None else _moved(w, move) for w in layer.weights}
        for weight in layer.weights:
            weight.data = values[id(weight)].copy()
            weight._version = [0]
        yield Rest(values, streams, numpy_state, seeded)


@contextmanager
def unmeasured(model: Compilable) -> Iterator[None]:
    """Leave the metrics of a model alone for the body of a ``with`` statement: only its loss is computed."""
    objective = model._bound()
    heads, names = objective.heads, objective.names
    kept = [head.measures for head in heads]
    measured = {measure.name for measures in kept for measure in measures}
    try:
        objective.names = [name for name in names if name not in measured]
        for head in heads:
            head.measures = []
        yield
    finally:
        objective.names = names
        for head, measures in zip(heads, kept, strict=True):
            head.measures = measures


def streams_of(layer: Layer) -> list[np.random.Generator]:
    """The random streams of a layer and of all inside it."""
    return [v for part in layer._flatten() for v in vars(part).values() if isinstance(v, np.random.Generator)]


def run_layer(layer: Layer, several: bool, training: bool | None) -> Callable[..., list[Tensor]]:
    """A function of Tensors that calls the layer; penalties of activities are further outputs."""

    def call(*inputs: Tensor) -> list[Tensor]:
        with call_context(bool(training)) as context:
            outputs = as_list(layer(list(inputs) if several else inputs[0], training=training))
            return [*outputs, *(context.penalties or ())]

    return call


def run_loss(model: Compilable, samples: Samples, training: bool, dtype: str) -> Callable[..., Tensor]:
    """A function of the inputs of a model, or of nothing if they are fixed, that computes its loss."""
    fixed = as_model_inputs(model, samples, dtype)

    def call(*inputs: Tensor) -> Tensor:
        given: list[Any] = list(inputs) or [Tensor(array) for array in fixed]
        batch = Samples(given, samples.targets, samples.weights)
        return model._loss(batch, training)[0]

    return call


def as_model_inputs(model: Compilable, samples: Samples, dtype: str) -> Arrays:
    """The inputs in the types that the model takes, floating-point ones in the type of the check."""
    return [
        array.astype(dtype if np.dtype(kind).kind == "f" else kind)
        for array, kind in zip(samples.inputs, model.input_dtypes, strict=True)
    ]


def in_type(array: np.ndarray, dtype: str) -> np.ndarray:
    """A copy of an array, in this type if it is floating point; as contiguous or not as it is."""
    kind = np.dtype(dtype) if array.dtype.kind == "f" else array.dtype
    if array.size and not (array.flags.c_contiguous or array.flags.f_contiguous):
        spread = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), kind)[..., ::2]
        spread[...] = array
        return spread
    return array.astype(kind)


def unique_names(names: list[str]) -> list[str]:
    """The names, with a number behind those that came before."""
    found: list[str] = []
    for name in names:
        number, unique = 2, name
        while unique in found:
            number, unique = number + 1, f"{name} ({number})"
        found.append(unique)
    return found


def _seeded_positions() -> dict[int, dict[str, Any]]:
    return {seed: random.get_state(stream) for seed, stream in randomness._streams.items()}


def _rewind_seeded(positions: dict[int, dict[str, Any]]) -> None:
    for seed, stream in list(randomness._streams.items()):
        if seed in positions:
            random.set_state(stream, positions[seed])
        else:
            del randomness._streams[seed]


def _put_back(weight: Parameter, data: np.ndarray, version: list[int], grad: Tensor | None) -> None:
    weight.data, weight._version, weight.grad = data, version, grad


def _moved(weight: Parameter, rng: np.random.Generator) -> np.ndarray:
    """Values near those of a weight: initial zeros and ones would hide mistakes.

    What training doesn't update keeps its sign and its zeros, as it may be a variance.
    """
    data = weight.data.copy()
    if not data.size or data.dtype.kind != "f":
        return data
    noise = direction(rng, data.shape)
    if not weight.trainable:
        return (data * np.exp(0.2 * noise)).astype(data.dtype)
    size = float(np.sqrt(np.mean(data.astype(np.float64) ** 2))) or 1.0
    return (data + 0.2 * size * noise).astype(data.dtype)
