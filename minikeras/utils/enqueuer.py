"""Batches made ahead by threads, while the model computes."""

from __future__ import annotations

import contextvars
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

from .. import checks
from ..core import random
from .passes import Bookmark, Passes, keeps_state
from .sequence import Sequence

Place = SimpleQueue[Any]
"""Where one batch will be put."""

_END = object()


class SequenceEnqueuer(ABC):
    """Makes batches ahead and hands them out in order.

    Use it as a context manager, or call `start` and finally `stop`::

        with OrderedEnqueuer(sequence) as enqueuer:
            enqueuer.start(workers=4)
            for batch in enqueuer.get():
                ...

    An exception of a worker comes out of `get` where its batch would have come, with the worker's traceback; the
    threads are stopped by then.

    Args:
        sequence: What gives the batches.
        use_multiprocessing: Threads are used in any case; True warns of it. NumPy leaves other threads running while
            it computes, and threads share the data instead of copying it.
    """

    def __init__(self, sequence: Any, use_multiprocessing: bool = False) -> None:
        if use_multiprocessing:
            warnings.warn(
                "use_multiprocessing=True: minikeras prepares batches in threads, not in processes", stacklevel=3
            )
        self.sequence = sequence
        # Only SimpleQueue stands between the threads: the interrupt key can't leave it half locked, as it can a
        # Condition. `_ahead` holds a place for each batch, in order, `_room` a token for each that may be added.
        self._ahead: SimpleQueue[Place] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()
        self._limit = 0
        self._running = False
        self._thread: threading.Thread | None = None
        self._next: tuple[Any, Place] | None = None  # the place whose bookmark was looked at

    def is_running(self) -> bool:
        """Whether batches are being made: started, not stopped, not at the end."""
        return self._running

    def start(self, workers: int = 1, max_queue_size: int = 10) -> None:
        """Start to make batches.

        Args:
            workers: Number of threads.
            max_queue_size: How many batches may be made ahead.

        Raises:
            RuntimeError: If it has been started already.
            ValueError: If a number isn't a positive integer.
        """
        if self._thread is not None:
            raise RuntimeError(f"{type(self).__name__}: it is running already; call stop() first")
        workers = checks.integer(type(self).__name__, "workers", workers)
        self._limit, self._running = checks.integer(type(self).__name__, "max_queue_size", max_queue_size), True
        self._ahead, self._room = SimpleQueue(), SimpleQueue()
        self._give_room(self._limit)
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._produce, workers), daemon=True)
        self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Let the workers finish what they are at, drop what is ahead, and wait until the threads have ended.

        Args:
            timeout: The longest wait in seconds; None waits as long as it takes.
        """
        self._running = False
        self._give_room(self._limit)
        self._ahead.put(_place(_END))  # wakes a consumer in another thread
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(timeout)

    def get(self) -> Iterator[Any]:
        """The batches in order; None among them is skipped.

        Yields:
            What the sequence gives: without an end for a `Sequence`, until its end for a generator.

        Raises:
            RuntimeError: If it hasn't been started.
            Exception: What a worker raised.
        """
        if self._thread is None:
            raise RuntimeError(f"{type(self).__name__}: call start() before get()")
        return self._batches()

    @abstractmethod
    def track(self) -> None:
        """Say by `bookmark` where another process would go on; to be called before `start`."""

    @abstractmethod
    def go_on(self, state: dict[str, Any]) -> None:
        """Begin where a `Bookmark` of this state was made; to be called before `start`."""

    def bookmark(self) -> Bookmark | None:
        """Where the source stands before the next batch; waits until that is begun. None at the end."""
        if self._next is None:
            place = self._ahead.get()
            self._next = place.get(), place
        content = self._next[0]
        if isinstance(content, _Failure):
            raise content.error
        return content if isinstance(content, Bookmark) else None

    def __enter__(self) -> SequenceEnqueuer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @abstractmethod
    def _run(self, executor: ThreadPoolExecutor) -> None:
        """Put futures of batches until told to stop or at the end."""

    def _batches(self) -> Iterator[Any]:
        while self._running:
            batch = self._next_batch()
            if not self._running:  # stopped by another thread
                return
            if isinstance(batch, _Failure):
                self.stop()
                raise batch.error
            if batch is _END:
                self.stop()
                return
            self._give_room(1)
            if batch is not None:
                yield batch

    def _next_batch(self) -> Any:
        if self._next is None:
            place = self._ahead.get()
            content = place.get()
        else:
            (content, place), self._next = self._next, None
        return place.get() if isinstance(content, Bookmark) else content

    def _give_room(self, count: int) -> None:
        for _ in range(count):
            self._room.put(None)

    def _take_room(self, count: int = 1) -> bool:
        """Wait for room; False after stop."""
        for _ in range(count):
            self._room.get()
        return self._running

    def _produce(self, workers: int) -> None:
        with ThreadPoolExecutor(workers, thread_name_prefix="minikeras-batches") as executor:
            try:
                self._run(executor)
            except BaseException as error:  # noqa: BLE001 (the consumer raises it)
                self._ahead.put(_place(_Failure(error)))


class OrderedEnqueuer(SequenceEnqueuer):
    """Makes the batches of a `Sequence` by several threads, and hands them out in order, epoch after epoch.

    ``on_epoch_end`` is called when the last batch of an epoch has been taken.

    Args:
        sequence: The Sequence.
        use_multiprocessing: Warns; see `SequenceEnqueuer`.
        shuffle: Whether each epoch takes the batches in a new order.

    Raises:
        TypeError: If it is no Sequence.

    Example:
        >>> class Numbers(Sequence):
        ...     def __len__(self):
        ...         return 3
        ...     def __getitem__(self, index):
        ...         return 10 * index
        >>> with OrderedEnqueuer(Numbers()) as enqueuer:
        ...     enqueuer.start(workers=2)
        ...     batches = enqueuer.get()
        ...     print([next(batches) for _ in range(5)])
        [0, 10, 20, 0, 10]
    """

    def __init__(self, sequence: Sequence, use_multiprocessing: bool = False, shuffle: bool = False) -> None:
        if not hasattr(sequence, "__getitem__") or not hasattr(sequence, "__len__"):
            raise TypeError(f"OrderedEnqueuer: sequence must have __getitem__ and __len__. Received: {sequence!r}")
        super().__init__(sequence, use_multiprocessing)
        self.shuffle = shuffle
        self._passes = Passes(sequence, random.stream() if shuffle else None)

    def track(self) -> None:
        self._passes.track()

    def go_on(self, state: dict[str, Any]) -> None:
        self._passes.go_on(state)

    def _run(self, executor: ThreadPoolExecutor) -> None:
        while True:
            length = len(self.sequence)
            if length < 1:
                raise ValueError(f"OrderedEnqueuer: {type(self.sequence).__name__} has no batches: its length is 0")
            for position, index in self._passes.indices():
                if not self._take_room():
                    return
                place: Place = SimpleQueue()
                self._ahead.put(place)
                # A context of its own: two threads can't be in the same one.
                executor.submit(contextvars.copy_context().run, self._make, position, index, place)
            if not self._take_room(self._limit):  # when nothing is ahead
                return
            self._give_room(self._limit)
            self._passes.end()

    def _make(self, position: int, index: int, place: Place) -> None:
        try:
            bookmark = self._passes.mark(position)
            if bookmark is not None:
                place.put(bookmark)
            place.put(self._passes.make(index) if self._running else _END)
        except BaseException as error:  # noqa: BLE001 (the consumer raises it)
            place.put(_Failure(error))


class GeneratorEnqueuer(SequenceEnqueuer):
    """Advances a generator in a thread, ahead of its consumer.

    One thread does it, however many workers there are: two can't be inside a generator at the same time.

    Args:
        sequence: A generator or another iterable; where it ends, `get` ends.
        use_multiprocessing: Warns; see `SequenceEnqueuer`.
        wait_time: Without effect, as in Keras 2.2.4.
        random_seed: Without effect: it belongs to processes.

    Raises:
        TypeError: If it can't be iterated over.
    """

    def __init__(
        self,
        sequence: Iterable[Any],
        use_multiprocessing: bool = False,
        wait_time: float | None = None,
        random_seed: int | None = None,
    ) -> None:
        if not isinstance(sequence, Iterable):
            raise TypeError(f"GeneratorEnqueuer: sequence must be a generator. Received: {sequence!r}")
        if wait_time is not None:
            warnings.warn("GeneratorEnqueuer: wait_time has no effect", DeprecationWarning, stacklevel=2)
        super().__init__(sequence, use_multiprocessing)

        self._tracked = False

    def track(self) -> None:
        """Take bookmarks, of an iterator that says by ``get_state`` where it stands."""
        self._tracked = keeps_state(sequence := self.sequence) and iter(sequence) is sequence

    def go_on(self, state: dict[str, Any]) -> None:
        self.sequence.set_state(state["iterator"])

    def _run(self, executor: ThreadPoolExecutor) -> None:
        batches = iter(self.sequence)
        while True:
            bookmark = Bookmark({"iterator": self.sequence.get_state()}) if self._tracked else None
            batch = next(batches, _END)
            if batch is not _END and not self._take_room():
                return
            self._ahead.put(_place(batch, bookmark))
            if batch is _END:
                return


class _Failure:
    """In the place of a batch: what was raised instead."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _place(content: Any, bookmark: Bookmark | None = None) -> Place:
    place: Place = SimpleQueue()
    if bookmark is not None:
        place.put(bookmark)
    place.put(content)
    return place
