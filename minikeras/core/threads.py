"""The threads that share a kernel's work: one pool for the process, made when it is first needed.

NumPy lets go of the interpreter while it computes, so the parts of a large operation run side by side in plain threads.
BLAS has threads of its own, which would fight with these for the cores, and go on spinning for tens of milliseconds
after every product. So it is held to one wherever it would use them: large products are shared here.
"""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import functools
import itertools
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

import numpy as np

Result = TypeVar("Result")

WORTHWHILE = 1 << 19
"""Elements that must be read or written for a second thread to save more than waking it costs (30 to 100 µs)."""

UNSHARED = 1 << 13
"""Elements up to which BLAS doesn't think of a second thread: OpenBLAS's limit is 9216 for a matrix and a vector."""


def spread(work: Callable[[slice], Result], length: int, elements: int) -> list[Result]:
    """Call ``work`` for parts of ``range(length)`` that together are all of it, in several threads if that pays.

    The parts depend on the number of threads and the arguments only, never on which thread was free, so sums over
    results are the same from run to run.

    Args:
        work: takes a slice; may run in any thread, several at once.
        length: how much there is to do, at least 0.
        elements: about how many array elements the whole reads or writes; sixteen products of BLAS count as one.

    Returns:
        What ``work`` returned, in the order of the parts.

    Raises:
        Exception: the first that ``work`` raised, after all parts have ended.
    """
    threads = free_threads()
    if threads == 1 or length < 2 or elements < WORTHWHILE:
        if elements <= UNSHARED:
            return [work(slice(0, length))]
        with _one_blas_thread:
            return [work(slice(0, length))]
    parts = min(length, threads if elements < 8 * WORTHWHILE else 2 * threads)
    bounds = [length * i // parts for i in range(parts + 1)]
    job = _Job(work, [slice(start, stop) for start, stop in itertools.pairwise(bounds)])
    with _one_blas_thread:
        _pool.help(job, min(threads, parts) - 1)
        if _pool.attendant:
            _pool.attendant.call()
        contextvars.copy_context().run(_work, job)
        job.done.acquire()
    if job.error is not None:
        raise job.error
    return job.results


def free_threads() -> int:
    """How many threads may share what the calling one has to do: one if that is a part of something shared."""
    return 1 if is_shared() else _number


def is_shared() -> bool:
    """Whether the calling thread works on a part of something that others work on too."""
    return _sharing.get()


class _Job:
    """Parts of work that threads take until none is left."""

    def __init__(self, work: Callable[[slice], Any], parts: list[slice]) -> None:
        self.work = work
        self.parts = parts
        self.core = _current_core()
        self.results: list[Any] = [None] * len(parts)
        self.error: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()
        self._lock = threading.Lock()
        self._taken = self._finished = 0

    def run(self) -> None:
        while (part := self._take()) is not None:
            try:
                self.results[part] = self.work(self.parts[part])
            except BaseException as error:  # noqa: BLE001 (raised again by the thread that asked for the work)
                self.error = self.error or error
            self._finish()

    def _take(self) -> int | None:
        with self._lock:
            part = self._taken
            self._taken += 1
        return part if part < len(self.parts) else None

    def _finish(self) -> None:
        with self._lock:
            self._finished += 1
            last = self._finished == len(self.parts)
        if last:
            self.done.release()


class Attendant(Protocol):
    """What idle threads of the pool do for a while before they sleep."""

    def linger(self, is_idle: Callable[[], bool]) -> None:
        """Called by a thread that has nothing to do; `is_idle` says whether that is still so."""

    def call(self) -> None:
        """Have all who linger return: there is work."""


def linger_with(attendant: Attendant) -> None:
    """Say what idle threads do before they sleep."""
    _pool.attendant = attendant


def summon(helpers: int) -> None:
    """Wake so many threads: the attendant has something for them."""
    _pool.help(_Summons(), helpers)


class _Summons:
    """A job without work."""

    def __init__(self) -> None:
        self.core = _current_core()

    def run(self) -> None:
        """Nothing is done here: whoever comes lingers afterwards."""


class _Pool:
    """Threads that help whoever has work; they start when first asked for, and end with the process."""

    def __init__(self) -> None:
        self.attendant: Attendant | None = None
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)  # a child has none of its parent's threads

    def _forget(self) -> None:
        self._queue: SimpleQueue[tuple[_Job | _Summons, contextvars.Context]] = SimpleQueue()
        self._lock = threading.Lock()
        self._size = 0

    def help(self, job: _Job | _Summons, helpers: int) -> None:
        """Have up to ``helpers`` threads run the job, with the caller's context (NumPy's error state is part of it)."""
        with self._lock:
            for _ in range(helpers - self._size):
                name = f"minikeras-{self._size + 1}"
                threading.Thread(target=_serve, args=(self._queue,), name=name, daemon=True).start()
                self._size += 1
        for _ in range(helpers):
            self._queue.put((job, contextvars.copy_context()))


def _core_of_this_thread() -> Callable[[], int | None]:
    """How to ask for the core that runs a thread; the answer is None where threads can't be told where to run."""
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError, AttributeError):
            return ctypes.PyDLL(None).sched_getcpu
    return lambda: None


_current_core = _core_of_this_thread()


def _serve(queue: SimpleQueue[tuple[_Job | _Summons, contextvars.Context]]) -> None:
    while True:
        if _pool.attendant:
            _pool.attendant.linger(queue.empty)
        job, context = queue.get()
        _leave(job.core)
        context.run(_work, job)
        del job, context  # or the arrays would live until the next job


def _leave(core: int | None) -> None:
    """Move the calling thread to another core if it runs on this one.

    Linux wakes a thread where it last ran, or where it is woken from. Where cores say that they share no cache, as
    those of virtual machines do, helper and caller may take turns on one of them for long while another one is idle.
    """
    if core is not None and core == _current_core():
        cores = os.sched_getaffinity(0)
        if len(cores) > 1:
            with contextlib.suppress(OSError):  # where a sandbox doesn't let it, it stays
                os.sched_setaffinity(0, cores - {core})
                os.sched_setaffinity(0, cores)  # it is moved, not bound


def _work(job: _Job | _Summons) -> None:
    _sharing.set(True)
    job.run()


_sharing = contextvars.ContextVar("sharing", default=False)
_pool = _Pool()


class _OneBlasThread:
    """Hold BLAS to one thread while at least one block is entered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = 1
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)  # a child has none of its parent's threads

    def _forget(self) -> None:
        self._lock = threading.Lock()
        if self._users:
            self._users = 0
            _blas_threads()[1](self._before)

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                get, set_number = _blas_threads()
                self._before = get()
                set_number(1)

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._users = max(self._users - 1, 0)  # who forked inside of a block leaves it as well
            if not self._users:
                _blas_threads()[1](self._before)


_one_blas_thread = _OneBlasThread()


@functools.cache
def _blas_threads() -> tuple[Callable[[], int], Callable[[int], Any]]:
    """How to ask and to set the number of BLAS's threads; nothing happens where the library isn't a known one."""
    for path in _blas_paths():
        library = ctypes.PyDLL(path)  # these calls are short: no other thread is let in
        for get, set_number in _SPELLINGS:
            if hasattr(library, get):
                return library[get], library[set_number]
    return lambda: 1, lambda number: None


# NumPy's wheels bring OpenBLAS with a prefix and, for 64-bit integers, a suffix of their own.
_SPELLINGS = [
    (f"{prefix}openblas_get_num_threads{suffix}", f"{prefix}openblas_set_num_threads{suffix}")
    for prefix in ("scipy_", "")
    for suffix in ("64_", "")
] + [("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"), ("bli_thread_get_num_threads", "bli_thread_set_num_threads")]


def _blas_paths() -> Iterator[str]:
    """The BLAS libraries that NumPy's wheel brings, or else what Linux says that the process has loaded."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):
        yield from sorted(str(path) for path in folder.glob("*openblas*"))
    maps = Path("/proc/self/maps")
    if maps.exists():
        loaded = {line.split(maxsplit=5)[-1] for line in maps.read_text().splitlines() if "/" in line}
        yield from sorted(path for path in loaded if re.search(r"/lib(cblas|blas|blis|mkl_rt|openblas)[^/]*$", path))


# ---------------------------------------------------------------------- how many


def num_threads() -> int:
    """Return how many threads share the work of a large operation."""
    return _number


def set_num_threads(number: int) -> None:
    """Set how many threads share the work of a large operation, BLAS's own threads included.

    It starts as ``$MINIKERAS_NUM_THREADS``, else ``$OMP_NUM_THREADS``, else the cores that this process may use.

    Args:
        number: at least 1.

    Raises:
        TypeError, ValueError: for anything else.
    """
    global _number
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
        raise TypeError(f"num_threads must be an integer. Received: {number!r}")
    if number < 1:
        raise ValueError(f"num_threads must be at least 1. Received: {number!r}")
    _number = int(number)
    _blas_threads()[1](_number)


def _available_cores() -> int:
    """The cores that this process may run on: by its affinity, and by the quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no control group, or "max": no limit
        return cores


def _number_at_start() -> int:
    for name in ("MINIKERAS_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "")
        if text.isdecimal() and int(text) > 0:
            return int(text)
    return _available_cores()


_number = _number_at_start()
