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

    def batches(self, batch_size: int = 32) -> Iterator[Samples]:
        """The batches of one epoch, of this size unless the feed has a size of its own."""
        rng = self._rng or random.stream()
        order = epoch_order(len(self.samples), self._batch_size or batch_size, self._shuffle, rng)
        return (self.samples.take(rows) for rows in itertools.islice(order, self.steps))

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
        self._items: Iterator[Any] | None = None

    def batches(self, batch_size: int = 32) -> Iterator[Any]:
        """The next ``steps`` batches, of the size they come in."""
        return (self._convert(self._next(step)) for step in range(self.steps))

    def __enter__(self) -> GeneratorFeed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the threads."""
        if self._enqueuer is not None:
            self._enqueuer.stop()

    def _start(self) -> Iterator[Any]:
        """Called with the first batch, and not on entering, so that an interrupt finds the threads looked after."""
        if not self._workers:
            return self._in_this_thread()
        if isinstance(self._source, Sequence):
            self._enqueuer = OrderedEnqueuer(self._source, self._use_multiprocessing, self._shuffle)
        else:
            self._enqueuer = GeneratorEnqueuer(self._source, self._use_multiprocessing)
        self._enqueuer.start(workers=self._workers, max_queue_size=self._max_queue_size)
        return self._enqueuer.get()

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

    def _in_this_thread(self) -> Iterator[Any]:
        if not isinstance(self._source, Sequence):
            return iter(self._source)
        return self._passes(self._source, random.stream() if self._shuffle else None)

    @staticmethod
    def _passes(sequence: Sequence, rng: np.random.Generator | None) -> Iterator[Any]:
        while True:
            count = len(sequence)
            for index in rng.permutation(count).tolist() if rng is not None else range(count):
                yield sequence[index]
            sequence.on_epoch_end()


Feed = ArrayFeed | GeneratorFeed


def is_generator(value: Any) -> bool:
    """Whether this gives batches one by one: a generator, another iterator, or a `Sequence`."""
    return isinstance(value, (Sequence, Iterator)) or (hasattr(value, "__next__") and hasattr(value, "__iter__"))
