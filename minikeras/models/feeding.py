"""Feeds: where the batches of an epoch come from, arrays or generators."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import numpy as np

from ..core import random
from ..layers.shapes import as_size
from ..utils.enqueuer import GeneratorEnqueuer, OrderedEnqueuer, SequenceEnqueuer
from ..utils.passes import Bookmark, Passes, keeps_state
from ..utils.sequence import Sequence
from .data import Samples, epoch_order


def as_steps(value: Any, owner: Any, argument: str) -> int:
    """A number of batches; of ``len(x) / batch_size``, as Keras 2 scripts write it, the last is a part, and counts."""
    if isinstance(value, float) and 0 < value < math.inf:
        value = math.ceil(value)
    return as_size(value, owner, argument)


class ArrayFeed:
    """Batches of samples that are in memory.

    Args:
        samples: The samples.
        batch_size: Samples in a batch, the last one takes what is left; None if whoever asks for batches says it.
        shuffle: As for `epoch_order`.
        steps: Batches in an epoch; all that there are if None.
        rng: Stream that shuffles.
    """

    def __init__(
        self,
        samples: Samples,
        batch_size: int | None,
        shuffle: bool | str = False,
        steps: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.samples = samples
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._rng = rng
        self.steps = steps
        if steps is None and batch_size is not None:
            self.steps = -(-len(samples) // batch_size)

        self.settings = {"batch_size": batch_size, "shuffle": shuffle, "steps": self.steps}
        self._order: dict[str, Any] | None = None  # the state of the stream before it shuffled this epoch

    def batches(self, batch_size: int = 32, first: int = 0) -> Iterator[Samples]:
        """The batches of one epoch from the first one on, of this size unless the feed has a size of its own."""
        rng = self._rng or random.stream()
        if self._rng is not None:
            if first and self._order is not None:  # the stream itself has shuffled this epoch already
                rng = random.stream(0)
                random.set_state(rng, self._order)
            else:
                self._order = random.get_state(rng)
        order = epoch_order(len(self.samples), self._batch_size or batch_size, self._shuffle, rng)
        return (self.samples.take(rows) for rows in itertools.islice(order, first, self.steps))

    def track(self) -> None:
        """Nothing needs to be known beforehand."""

    def bookmark(self) -> Bookmark:
        """Where the feed stands, for `go_on`."""
        return Bookmark({"order": self._order})

    def go_on(self, state: dict[str, Any]) -> None:
        """Let the epoch that `batches` begins not with its first batch be the one of the bookmark of this state."""
        self._order = state["order"]

    def __enter__(self) -> ArrayFeed:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing is held."""


class GeneratorFeed:
    """Batches that a generator or a `Sequence` makes, by threads that work ahead; used in a ``with`` statement.

    Args:
        source: Generator (or any iterator) of batches, or a Sequence of them.
        steps: Batches in an epoch; None for all of a Sequence.
        convert: What makes `Samples` (or something else that is wanted) of an item.
        owner: The model, for messages.
        workers: Number of threads; 0 makes the batches in this one.
        max_queue_size: So many batches may wait.
        use_multiprocessing: Warns: threads work in any case.
        shuffle: Whether a Sequence is taken in a new order each time.
        argument: What the steps are called, for messages.

    Raises:
        ValueError: If the steps of a generator aren't known, or an argument is out of its range.
        TypeError: If the source is neither.
    """

    def __init__(
        self,
        source: Any,
        steps: int | None,
        convert: Callable[[Any], Any],
        owner: str,
        *,
        workers: int = 1,
        max_queue_size: int = 10,
        use_multiprocessing: bool = False,
        shuffle: bool = False,
        argument: str = "steps",
    ) -> None:
        if not is_generator(source):
            raise TypeError(f"{owner}: expected a generator or a utils.Sequence. Received: {type(source).__name__}")
        if steps is None and isinstance(source, Sequence):
            steps = len(source)
        if steps is None:
            raise ValueError(f"{owner}: a generator has no length: say how many batches to take by {argument}=...")
        self.steps = as_steps(steps, owner, argument)
        self._source = source
        self._convert = convert
        self._owner = owner
        self._workers = as_size(workers, owner, "workers", 0)
        self._max_queue_size = as_size(max_queue_size, owner, "max_queue_size")
        self._use_multiprocessing = use_multiprocessing
        self._shuffle = shuffle
        self._enqueuer: SequenceEnqueuer | None = None
        batches = len(source) if isinstance(source, Sequence) else None
        self.settings: dict[str, Any] = {"batches": batches, "shuffle": self._shuffle, "steps": self.steps}
        self._passes: Passes | None = None  # of a Sequence, in this thread
        self._position = 0
        self._items: Iterator[Any] | None = None
        self._tracked = False
        self._resumed: dict[str, Any] | None = None

    @property
    def source_name(self) -> str:
        """What kind of thing the batches come from."""
        return type(self._source).__name__

    @property
    def rewinds(self) -> bool:
        """Whether another process can go on where this one was: with a Sequence, or what says where it stands."""
        return isinstance(self._source, Sequence) or keeps_state(self._source)

    def batches(self, batch_size: int = 32, first: int = 0) -> Iterator[Any]:
        """The next ``steps`` batches, of the size they come in; fewer, if ``first`` of them were taken before."""
        return (self._convert(self._next(step)) for step in range(first, self.steps))

    def track(self) -> None:
        """From now on, know how to make a `bookmark`; to be called before the first batch."""
        self._tracked = True

    def bookmark(self) -> Bookmark | None:
        """Where the source stands, for `go_on`; None before the first batch, and if it can't go on anywhere."""
        if not self.rewinds or self._items is None:
            return None
        if self._enqueuer is not None:
            return self._enqueuer.bookmark()
        if self._passes is not None:
            return self._passes.mark(self._position)
        return Bookmark({"iterator": self._source.get_state()})

    def go_on(self, state: dict[str, Any]) -> None:
        """Begin where a bookmark of this state was made; to be called before the first batch."""
        self._resumed = state
        if isinstance(self._source, Sequence):
            self._prepare()

    def __enter__(self) -> GeneratorFeed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the threads."""
        if self._enqueuer is not None:
            self._enqueuer.stop()

    def _prepare(self) -> None:
        """Make what gives the batches, which may draw a stream of random numbers, but start nothing."""
        shuffles = self._shuffle and isinstance(self._source, Sequence)
        if self._workers:
            self._enqueuer = (
                OrderedEnqueuer(self._source, self._use_multiprocessing, self._shuffle)
                if isinstance(self._source, Sequence)
                else GeneratorEnqueuer(self._source, self._use_multiprocessing)
            )
        elif isinstance(self._source, Sequence):
            self._passes = Passes(self._source, random.stream() if shuffles else None)
        source = self._enqueuer or self._passes
        if source is not None and self._tracked:
            source.track()
        if self._resumed is not None:
            if source is not None:
                source.go_on(self._resumed)
            else:
                self._source.set_state(self._resumed["iterator"])

    def _start(self) -> Iterator[Any]:
        """Called with the first batch, and not on entering, so that an interrupt finds the threads looked after."""
        if self._enqueuer is None and self._passes is None:
            self._prepare()
        if self._enqueuer is not None:
            self._enqueuer.start(workers=self._workers, max_queue_size=self._max_queue_size)
            return self._enqueuer.get()
        return iter(self._source) if self._passes is None else self._in_this_thread(self._passes)

    def _next(self, step: int) -> Any:
        if self._items is None:
            self._items = self._start()
        try:
            return next(self._items)
        except StopIteration:
            raise ValueError(
                f"{self._owner}: the generator ended after {step} of the {self.steps} batches that were asked for; "
                "it should go on for as long as it is asked"
            ) from None

    def _in_this_thread(self, passes: Passes) -> Iterator[Any]:
        while True:
            for self._position, index in passes.indices():
                batch = passes.make(index)
                self._position += 1
                yield batch
            passes.end()


Feed = ArrayFeed | GeneratorFeed


def is_generator(value: Any) -> bool:
    """Whether this gives batches one by one: a generator, another iterator, or a `Sequence`."""
    return isinstance(value, (Sequence, Iterator)) or (hasattr(value, "__next__") and hasattr(value, "__iter__"))
