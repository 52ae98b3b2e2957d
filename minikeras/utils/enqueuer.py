"""Batches made ahead by threads, while the model computes."""

from __future__ import annotations

import contextvars
import threading
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from .. import checks
from ..core import random
from .sequence import Sequence

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
        self._changed = threading.Condition()
        self._ahead: deque[Future[Any]] = deque()
        self._limit = 0
        self._running = False
        self._thread: threading.Thread | None = None

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
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._produce, workers), daemon=True)
        self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Let the workers finish what they are at, drop what is ahead, and wait until the threads have ended.

        Args:
            timeout: The longest wait in seconds; None waits as long as it takes.
        """
        with self._changed:
            self._running = False
            for future in self._ahead:
                future.cancel()
            self._ahead.clear()
            self._changed.notify_all()
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

    def __enter__(self) -> SequenceEnqueuer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @abstractmethod
    def _run(self, executor: ThreadPoolExecutor) -> None:
        """Put futures of batches until told to stop or at the end."""

    def _batches(self) -> Iterator[Any]:
        while (future := self._next()) is not None:
            try:
                batch = future.result()
            except CancelledError:  # stopped by another thread
                return
            except BaseException:
                self.stop()
                raise
            if batch is _END:
                self.stop()
                return
            if not self._taken():
                return
            if batch is not None:
                yield batch

    def _next(self) -> Future[Any] | None:
        """The oldest future, still counted as ahead; None after stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._ahead or not self._running)
            return self._ahead[0] if self._running else None

    def _taken(self) -> bool:
        """Make room for another future; False after stop."""
        with self._changed:
            if self._running:
                self._ahead.popleft()
                self._changed.notify_all()
            return self._running

    def _produce(self, workers: int) -> None:
        with ThreadPoolExecutor(workers, thread_name_prefix="minikeras-batches") as executor:
            try:
                self._run(executor)
            except BaseException as error:  # noqa: BLE001 (the consumer raises it)
                self._put(partial(_failed, error))

    def _put(self, make: Callable[[], Future[Any]]) -> bool:
        """Line a future up once there is room for it; False after stop."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._ahead) < self._limit or not self._running)
            if self._running:
                self._ahead.append(make())
                self._changed.notify_all()
            return self._running


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
        self._stream = random.stream() if shuffle else None

    def _run(self, executor: ThreadPoolExecutor) -> None:
        while True:
            length = len(self.sequence)
            if length < 1:
                raise ValueError(f"OrderedEnqueuer: {type(self.sequence).__name__} has no batches: its length is 0")
            order = range(length) if self._stream is None else self._stream.permutation(length).tolist()
            for index in order:
                run = contextvars.copy_context().run  # a context of its own: two threads can't be in the same one
                if not self._put(partial(executor.submit, run, self.sequence.__getitem__, index)):
                    return
            if not self._all_taken():
                return
            if hasattr(self.sequence, "on_epoch_end"):
                self.sequence.on_epoch_end()

    def _all_taken(self) -> bool:
        """Wait until nothing is ahead; False after stop."""
        with self._changed:
            self._changed.wait_for(lambda: not self._ahead or not self._running)
            return self._running


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

    def _run(self, executor: ThreadPoolExecutor) -> None:
        for batch in self.sequence:
            if not self._put(partial(_finished, batch)):
                return
        self._put(partial(_finished, _END))


def _finished(batch: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(batch)
    return future


def _failed(error: BaseException) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return future
