"""Passes over a `Sequence`: the order of its batches, and where to go on in another process."""

from __future__ import annotations

import random as python_random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..core import random
from .attributes import AttributeWatch, put_back
from .sequence import Sequence


class Bookmark:
    """Where a source of batches stands before one of them.

    Attributes:
        state: What its ``go_on`` takes: plain values, arrays and random streams.
        globals: The states of the random numbers of NumPy and Python, if making batches draws from them; else empty.
    """

    def __init__(self, state: dict[str, Any], globals: dict[str, Any] | None = None) -> None:
        self.state = state
        self.globals = globals or {}


class Passes:
    """The order in which the batches of a Sequence are made, pass after pass.

    Once it is told to `track`, `mark` says before each batch how another process would go on there. That takes what
    the Sequence says by ``get_state``; of one that doesn't, the attributes that have changed. Large arrays and lists
    among these are compared where a pass begins, as they change in ``on_epoch_end``, and small ones before each batch.

    Args:
        sequence: The Sequence.
        stream: Shuffles the batches of each pass; None takes them in order.
    """

    def __init__(self, sequence: Any, stream: np.random.Generator | None) -> None:
        self.sequence = sequence
        self._stream = stream
        self._watch: AttributeWatch | None = None
        self._began: dict[str, Any] | None = None  # the state where this pass began
        self._resumed: dict[str, Any] | None = None
        self._draws: set[str] = set()
        self._begun = False

    @property
    def _changes_at_end(self) -> bool:
        own = getattr(type(self.sequence), "on_epoch_end", Sequence.on_epoch_end)
        return own is not Sequence.on_epoch_end

    def track(self) -> None:
        """From now on, know what changes."""
        self._watch = AttributeWatch(self.sequence, type(self.sequence).__name__)

    def go_on(self, state: dict[str, Any]) -> None:
        """Begin where a bookmark of this state was made."""
        self._resumed = state
        self._began = state["pass"]
        if self._stream is not None:
            random.set_state(self._stream, state["pass"]["order"])

    def indices(self) -> Iterator[tuple[int, int]]:
        """One pass: the place of each batch in it, and the batch's number."""
        resumed, self._resumed = self._resumed, None
        length = len(self.sequence)
        if resumed is None and self._watch is not None:
            self._began = {
                "order": None if self._stream is None else random.get_state(self._stream),
                "sequence": self._state_of_pass(self._watch),
            }
        order = range(length) if self._stream is None else self._stream.permutation(length).tolist()
        first = 0
        if resumed is not None:
            first = resumed["position"]
            self._put_back(resumed, list(order[:first]))
        return ((place, order[place]) for place in range(first, length))

    def make(self, index: int) -> Any:
        """The batch of this number."""
        if self._begun:
            return self.sequence[index]
        self._begun = True  # only while the first one is made it is certain that the model doesn't draw meanwhile
        return self._noting_draws(lambda: self.sequence[index])

    def end(self) -> None:
        """A pass is over: tell the Sequence."""
        if self._changes_at_end:
            self._noting_draws(self.sequence.on_epoch_end)

    def mark(self, place: int) -> Bookmark | None:
        """A bookmark before the batch at this place of the pass; None if it isn't tracked."""
        if self._watch is None:
            return None
        state = {"pass": self._began, "position": place, "now": self._state_of_batch(self._watch)}
        return Bookmark(state, {name: _GLOBALS[name][0]() for name in sorted(self._draws)})

    def _state_of_pass(self, watch: AttributeWatch) -> Any:
        """What the Sequence is where a pass begins; of one that says it before each batch nothing."""
        if keeps_state(self.sequence):
            return self.sequence.get_state() if hasattr(self.sequence, "skip") else None
        return watch.changes(small_only=not self._changes_at_end)

    def _state_of_batch(self, watch: AttributeWatch) -> Any:
        if keeps_state(self.sequence):
            return None if hasattr(self.sequence, "skip") else self.sequence.get_state()
        return watch.changes(small_only=True)

    def _put_back(self, resumed: dict[str, Any], made: list[int]) -> None:
        began, now = resumed["pass"]["sequence"], resumed["now"]
        if not keeps_state(self.sequence):
            put_back(self.sequence, {**began, **now})
        elif hasattr(self.sequence, "skip"):
            self.sequence.set_state(began)
            for index in made:
                self.sequence.skip(index)
        else:
            self.sequence.set_state(now)

    def _noting_draws(self, work: Callable[[], Any]) -> Any:
        """Do something of the Sequence, and note whether it draws from the random numbers that all share."""
        if self._watch is None:
            return work()
        before = {name: get() for name, (get, _) in _GLOBALS.items() if name not in self._draws}
        found = work()
        self._draws.update(name for name, state in before.items() if not same(state, _GLOBALS[name][0]()))
        return found


def keeps_state(source: Any) -> bool:
    """Whether a source of batches says by itself where it stands."""
    return hasattr(source, "get_state") and hasattr(source, "set_state")


def global_states() -> dict[str, Any]:
    """The states of the random numbers of NumPy and Python that all share."""
    return {name: get() for name, (get, _) in _GLOBALS.items()}


def set_global_states(states: Mapping[str, Any]) -> None:
    """Let them go on from what `global_states` gave."""
    for name, state in states.items():
        _GLOBALS[name][1](state)


def _numpy_state() -> Any:
    return np.random.get_state(legacy=False)  # noqa: NPY002


def _set_numpy_state(state: Any) -> None:
    np.random.set_state(state)  # noqa: NPY002


def _python_state() -> Any:
    version, words, pending = python_random.getstate()
    return [version, list(words), pending]


def _set_python_state(state: Any) -> None:
    python_random.setstate((state[0], tuple(state[1]), state[2]))


_GLOBALS: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
    "numpy": (_numpy_state, _set_numpy_state),
    "python": (_python_state, _set_python_state),
}


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other))
    return bool(one == other)
