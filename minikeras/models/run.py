"""A training in progress: where it stands, all that its rest depends on, and the conditions it was begun under."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import layers, losses, metrics
from ..backend import randomness
from ..callbacks import Callback, CallbackList, ProgbarLogger
from ..core import random
from ..saving.errors import ModelFileError
from ..utils.attributes import AttributeWatch, digest_of, put_back
from ..utils.passes import Bookmark, global_states, set_global_states
from .compilation import Compilable, each
from .feeding import ArrayFeed, Feed
from .streams import get_streams, set_streams, walk

_SHOWN = 8
_OF_CALLBACKS = ("model", "params", "validation_data")
_OF_OPTIMIZERS = ("_params", "_state", "_batches")
_OF_LAYERS = frozenset(vars(layers.Layer()))
_FREE = ("epochs", "verbose", "resumed")  # a training may be made longer, and shown otherwise


class TrainingRun:
    """What a `RunKeeper` writes to a file between two batches or epochs, and what it needs to go on from there.

    Args:
        model: The model in training.
        callbacks: All its callbacks.
        feed: Where its batches come from; None for an optimizer that takes all samples at once.
        validation: Where those of the validation come from.
        params: What callbacks are told.
        initial_epoch: The number of the first epoch.

    Attributes:
        epoch: The number of the epoch in progress, or of the next one.
        batch: How many of its batches have been trained.
        last_size: The number of samples in the last one.
        stopped: Whether a callback has ended it.
        conditions: What must be the same for a training to be the rest of another: by name, as plain values.
        resumed: Whether it goes on from a state.
    """

    def __init__(
        self,
        model: Compilable,
        callbacks: CallbackList,
        feed: Feed | None,
        validation: Feed | None,
        params: dict[str, Any],
        initial_epoch: int,
    ) -> None:
        self.model: Any = model
        self.callbacks = callbacks
        self.epoch = self.initial_epoch = initial_epoch
        self.batch = self.last_size = 0
        self.stopped = False
        self._params = params
        self._feeds = {"training": feed, "validation": validation}
        self._resumed: dict[str, Any] | None = None
        self._path = ""
        self._watches: dict[str, AttributeWatch] = {}
        self.conditions: dict[str, Any] = {}
        self._baselines: dict[str, dict[str, Any]] = {}  # as they were before an epoch that goes on began once more

    @property
    def resumed(self) -> bool:
        return self._resumed is not None

    @property
    def ends(self) -> bool:
        """Whether no epoch is left."""
        return self.batch == 0 and (self.stopped or self.epoch >= self._params["epochs"])

    @property
    def in_steps(self) -> bool:
        """Whether it consists of steps, between which it can be left and taken up again."""
        return self._feeds["training"] is not None

    def sources_without_return(self) -> list[str]:
        """Which of the data, "training" and "validation", come from generators that can't go back."""
        return [name for name, feed in self._feeds.items() if feed is not None and not getattr(feed, "rewinds", True)]

    # ------------------------------------------------------------------ conditions

    def _conditions(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "fit: initial_epoch": self.initial_epoch,
            **{f"fit: {name}": value for name, value in self._params.items() if name not in _FREE},
            "fit: callbacks": [type(callback).__name__ for callback in self._kept_callbacks()],
            "compile: loss": each(_name_of, self.model.loss),
            "compile: metrics": each(_name_of, self.model.metrics),
            "compile: weighted_metrics": each(_name_of, self.model.weighted_metrics),
            "compile: loss_weights": _plain(self.model.loss_weights),
            "compile: sample_weight_mode": _plain(self.model.sample_weight_mode),
            "compile: optimizer": type(self.model.optimizer).__name__,
            **{f"optimizer: {name}": _plain(value) for name, value in self.model.optimizer.get_config().items()},
        }
        for name, feed in self._feeds.items():
            found |= {f"{name} data: {key}": value for key, value in _describe_feed(feed).items()}
        return found | dict(_describe_model(self.model))

    def begin(self, then: Mapping[str, Any] | None, path: str) -> None:
        """Note the conditions, and refuse the file of a training under others.

        Args:
            then: The conditions of the training in the file; None if there is none.
            path: The file.

        Raises:
            ValueError: If something differs; the message says what.
        """
        self._path = path
        now = self.conditions = self._conditions()
        if then is None:
            return
        with self._named():
            differing = [name for name in dict.fromkeys([*then, *now]) if then.get(name) != now.get(name)]
        if not differing:
            return
        lines = [f"  {name}: {_shown(then.get(name))} then, {_shown(now.get(name))} now" for name in differing[:_SHOWN]]
        if len(differing) > _SHOWN:
            lines.append(f"  and {len(differing) - _SHOWN} more")
        raise ValueError(
            f"{self.model}: the training in {path} was begun under other conditions, and can't be gone on with:\n"
            + "\n".join(lines)
            + "\nRemove the file to begin anew; each training needs a backup_dir of its own."
        )

    # ------------------------------------------------------------------ state

    def track(self) -> None:
        """Begin to know what changes; to be called when all callbacks have begun."""
        for name, callback in self._named_callbacks():
            if callback.get_state() is None:
                self._watches[name] = AttributeWatch(callback, type(callback).__name__, _OF_CALLBACKS)
        optimizer = self.model.optimizer
        self._watches["optimizer"] = AttributeWatch(optimizer, type(optimizer).__name__, _OF_OPTIMIZERS)
        if self.batch:
            self._baselines = {name: watch.all() for name, watch in self._watches.items()}
        for feed in self._feeds.values():
            if feed is not None:
                feed.track()

    def state(self) -> dict[str, Any]:
        """All that the rest of the training depends on besides its conditions.

        Raises:
            TypeError: If a callback, metric or Sequence has changed in a way that no file can hold.
        """
        model = self.model
        marks = {name: feed and feed.bookmark() for name, feed in self._feeds.items()}
        mark = marks["training"]
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "last_size": self.last_size,
            "stopped": self.stopped,
            "input_shapes": model._accepted,
            "weights": [weight.numpy() for weight in model.weights],
            "optimizer": {"slots": model.optimizer.get_weights(), "rest": self._watches["optimizer"].changes()},
            "streams": get_streams(model),
            "random": {
                "seed": random.get_seed_state(),
                "backend": randomness.get_stream_states(),
                **global_states(),
                **(mark.globals if isinstance(mark, Bookmark) else {}),
            },
            "metrics": [AttributeWatch(metric, str(metric), _OF_LAYERS).all() for metric in self._stateful_metrics()],
            "callbacks": {name: self._state_of(name, callback) for name, callback in self._named_callbacks()},
            "feeds": {name: mark.state for name, mark in marks.items() if mark},
        }

    def go_on(self, state: dict[str, Any]) -> None:
        """Take up a training whose `state` this is: where it stands is known at once, the rest follows by `restore`."""
        with self._named():
            for name in ("epoch", "batch"):
                if type(state[name]) is not int or state[name] < 0:
                    raise ValueError(f"{name} must be the number of one. Received: {state[name]!r:.100}")
            for name in ("epoch", "batch", "last_size", "stopped"):
                setattr(self, name, state[name])
        self._resumed = state
        self._params["resumed"] = True

    def restore(self) -> None:
        """Put everything back; to be called when all callbacks have begun, also the epoch if one is in progress.

        Raises:
            ModelFileError: If something doesn't fit.
        """
        if self._resumed is not None:
            with self._named():
                self._restore(self._resumed)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ModelFileError(f"{self._path}: the training in it can't be gone on with: {error}") from error

    def _restore(self, state: dict[str, Any]) -> None:
        model = self.model
        if not model.built:
            model.ensure_built(state["input_shapes"])
        model._bound()
        for weight, array in zip(model.weights, state["weights"], strict=True):
            weight.assign(array)
        if state["optimizer"]["slots"]:
            model.optimizer.build(model._trained)
            model.optimizer.set_weights(state["optimizer"]["slots"])
        put_back(model.optimizer, {**self._baselines.get("optimizer", {}), **state["optimizer"]["rest"]})
        for metric, values in zip(self._stateful_metrics(), state["metrics"], strict=True):
            put_back(metric, values)
        for name, callback in self._named_callbacks():
            its = state["callbacks"].get(name)
            if name in self._watches:
                put_back(callback, {**self._baselines.get(name, {}), **(its or {})})
            elif its is not None:
                callback.set_state(its)
        for name, feed in self._feeds.items():
            if feed is not None and name in state["feeds"]:
                feed.go_on(state["feeds"][name])
        set_streams(model, state["streams"])
        # last, as what came before may have begun streams of its own
        random.set_seed_state(state["random"]["seed"])
        randomness.set_stream_states(state["random"]["backend"])
        set_global_states({name: state["random"][name] for name in global_states()})

    def _state_of(self, name: str, callback: Callback) -> Any:
        watch = self._watches.get(name)
        return callback.get_state() if watch is None else watch.changes()

    def _stateful_metrics(self) -> list[Any]:
        return list(self.model._bound().stateful.values()) if self.model.built else []

    def _kept_callbacks(self) -> list[Callback]:
        return [callback for callback in self.callbacks.callbacks if not isinstance(callback, ProgbarLogger)]

    def _named_callbacks(self) -> Iterator[tuple[str, Callback]]:
        seen: Counter[str] = Counter()
        for callback in self.callbacks.callbacks:
            kind = type(callback).__name__
            seen[kind] += 1
            yield f"{kind} {seen[kind]}", callback


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"{value!r:.120}"


def _describe_feed(feed: Feed | None) -> dict[str, Any]:
    if feed is None:
        return {}
    if isinstance(feed, ArrayFeed):
        samples = feed.samples
        parts: dict[str, list[Any]] = {"inputs": samples.inputs, "targets": samples.targets, "weights": samples.weights}
        described: dict[str, Any] = {
            name: [None if a is None else f"{a.shape} {a.dtype}, hash {digest_of([a]).hex()[:16]}" for a in arrays]
            for name, arrays in parts.items()
        }
    else:
        described = {"source": feed.source_name}
    return described | {name: _plain(value) for name, value in feed.settings.items()}


def _describe_model(model: Any) -> Iterator[tuple[str, Any]]:
    """The layers without their names, which are others where a model is made again in the same process."""
    inside = walk(model)
    numbers = {layer.name: f"#{number}" for number, layer in enumerate(inside)}
    for number, layer in enumerate(inside):
        where = f"model: layer {number}, {type(layer).__name__}" if number else "model"
        try:
            config = {} if not number else layer.get_config()
        except (ValueError, TypeError, NotImplementedError):  # a layer with a function in it, such as Lambda
            config = {}
        for name, value in config.items():
            if name != "name":
                yield f"{where}: {name}", _renamed(_plain(value), numbers)
    if model.built:
        trained = {id(weight) for weight in model._trained}
        yield "model: weights", [[list(w.shape), w.dtype.name, id(w) in trained] for w in model.weights]


def _name_of(identifier: Any) -> Any:
    if isinstance(identifier, str) or identifier is None:
        return identifier
    for namespace in (losses, metrics):
        try:
            return _plain(namespace.serialize(identifier))
        except (ValueError, TypeError):
            continue
    return getattr(identifier, "__name__", type(identifier).__name__)


def _plain(value: Any) -> Any:
    """A value as JSON has it; what it has no form of by its type or name."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value)
    return getattr(value, "__name__", type(value).__name__)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """The value with the names of layers replaced, wherever they stand in it."""
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value
