"""Threads that share a compiled loop's work, and need neither the interpreter nor the system to hand it over.

To wake a thread, and to wait for the interpreter's lock, takes 50 to 100 µs each: as long as many loops. So the helpers
of `core.threads` linger for a moment, after what they did last, in a compiled function that watches a *box* in memory.
Who has work writes it there, and takes parts of it himself until none is left; nobody waits for a helper that hasn't
begun. One job is in the box at a time: who finds it taken does all parts alone.
"""

from __future__ import annotations

import functools
import inspect
import os
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core import threads
from ...core.memory import aligned_empty
from .calls import call
from .jit import Loop, compiled
from .lazy import imported
from .packing import FIRST, Cut, Own, pack

Task = tuple[Loop, tuple[Any, ...]]
"""A loop and its arguments, as `packing.pack` takes them."""

WORTHWHILE = 1 << 17
"""Elements that must be read or written for a second thread that is awake to pay."""
LINGERING = 1e-3
"""Seconds for which a helper watches the box before it sleeps."""
PATIENCE = 64
"""Turns of waiting, of 15 to 50 ns each, after which another thread may have the core."""
MOST_TASKS = 8

# Where in the box what is; what several threads write has a cache line of its own.
OPEN, OWNER, INSIDE, NEXT, FAILED, CALLS, AWAKE = range(0, 56, 8)
LENGTH, PARTS, STEP, LIMIT, TASKS, FIRST_TASK = range(56, 62)
SIZE = FIRST_TASK + 2 * MOST_TASKS


def share(loop: Loop, *args: Any, length: int, elements: int) -> None:
    """Call a loop for parts that together are ``range(length)``, in several threads if that pays.

    Args:
        loop: What is called; it returns nothing.
        args: Its arguments, as `packing.pack` takes them.
        length: How much there is to do.
        elements: About how many array elements the whole reads or writes.

    Raises:
        MemoryError: if the loop has no room for what it keeps for itself.
    """
    run([(loop, args)], length, parts_of(length, elements))


def parts_of(length: int, elements: int) -> int:
    """Into how many parts work is cut; it depends on the arguments and the number of threads only."""
    number = threads.free_threads()
    if number == 1 or length < 2 or elements < WORTHWHILE:
        return 1
    return min(length, number if elements < 32 * WORTHWHILE else 2 * number)


def run(tasks: list[Task], length: int, parts: int, step: int = 0) -> None:
    """Carry out all tasks for each part of ``range(length)``.

    Args:
        tasks: At most `MOST_TASKS`.
        length: How much there is to do.
        parts: Into how many parts it is cut.
        step: How much all tasks, one after the other, are carried out for before the rest of a part. 0: for all of it.

    Raises:
        MemoryError: if a loop has no room for what it keeps for itself.
    """
    if parts == 1 and not step:
        for loop, args in tasks:
            loop(*[_for_all(arg, length) if type(arg) in _MARKED else arg for arg in args])
        return
    packed = [pack(loop, args) for loop, args in tasks]
    numbers = np.array([(place, room.ctypes.data) for place, room in packed], np.intp).reshape(-1)
    helpers = min(parts, threads.free_threads()) - 1
    box = _helpers().summon(helpers)
    if _run(box, numbers, length, parts, step or max(length, 1), helpers):
        raise MemoryError(f"{tasks[0][0].function.__name__}: no memory is left")


_MARKED = {Cut, Own, str}


def _for_all(arg: Any, length: int) -> Any:
    """What the one part that is all gets of a marked argument."""
    if isinstance(arg, Cut):
        return arg.array
    if isinstance(arg, Own):
        return arg.array[0]
    return 0 if arg == FIRST else length


class _Helpers:
    """The box, and what helpers do when nobody calls."""

    def __init__(self) -> None:
        self.box = aligned_empty((SIZE,), np.dtype(np.intp))
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)  # a child has none of its parent's threads
        self.turns = self._turns(LINGERING)

    def _turns(self, seconds: float, trial: int = 5000) -> int:
        """How many turns of waiting take so long, if nothing else slows them down."""
        times = []
        for _ in range(4):  # the first may compile it
            start = time.perf_counter()
            _serve(self.box, 0, trial)
            times.append(time.perf_counter() - start)
        return int(trial * seconds / min(times)) + 1

    def _forget(self) -> None:
        self.box[...] = 0

    def linger(self, is_idle: Callable[[], bool]) -> None:
        """Help who writes into the box, until nobody has for a while, or somebody calls."""
        calls = self.box[CALLS]
        if is_idle():
            _serve(self.box, calls, self.turns)

    def call(self) -> None:
        """Have those who linger come back."""
        self.box[CALLS] += 1

    def summon(self, number: int) -> np.ndarray:
        """See to it that so many are awake, or will be soon; return the box."""
        if self.box[AWAKE] < number:
            threads.summon(number)
        return self.box


@functools.cache
def _helpers() -> _Helpers:
    helpers = _Helpers()
    threads.linger_with(helpers)
    return helpers


# ---------------------------------------------------------------------- compiled


def _instruction(write: Callable[..., Any]) -> Any:
    """Make a function for compiled loops of an instruction for an element of an array that numba doesn't have."""
    return _Instruction(write)


class _Instruction:
    def __init__(self, write: Callable[..., Any]) -> None:
        self.write = write

    @functools.cache  # noqa: B019 (as many as there are instructions)
    def prepare(self) -> Any:
        """The function, for numba: of an array, an index and more integers."""
        types = imported("numba.core.types")

        def instruction(context: Any, array: Any, *integers: Any) -> Any:
            return types.intp(array, *[types.intp] * len(integers)), code

        def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            array = imported("numba.np.arrayobj").make_array(signature.args[0])(context, builder, values[0])
            return self.write(builder, builder.gep(array.data, [values[1]]), *values[2:])

        names = ["context", "array", "index", *list(inspect.signature(self.write).parameters)[2:]]
        parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        instruction.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return imported("numba.extending").intrinsic(instruction)


@_instruction
def _load(builder: Any, place: Any) -> Any:
    return builder.load_atomic(place, "seq_cst", 8)


@_instruction
def _add(builder: Any, place: Any, value: Any) -> Any:
    """Return what was there before."""
    return builder.atomic_rmw("add", place, value, "seq_cst")


@_instruction
def _exchange(builder: Any, place: Any, value: Any) -> Any:
    return builder.atomic_rmw("xchg", place, value, "seq_cst")


@_instruction
def _call(builder: Any, place: Any, part: Any, first: Any, last: Any, length: Any) -> Any:
    """Call the function whose address is there, with the arguments whose address is behind it."""
    ir = imported("llvmlite.ir")
    word, memory = ir.IntType(64), ir.IntType(8).as_pointer()
    kind = ir.FunctionType(word, [memory, word, word, word, word]).as_pointer()
    arguments = builder.inttoptr(builder.load(builder.gep(place, [word(1)])), memory)
    return builder.call(builder.inttoptr(builder.load(place), kind), [arguments, part, first, last, length])


@_instruction
def _rest(builder: Any, place: Any) -> Any:
    """Tell the processor that the thread only waits."""
    ir = imported("llvmlite.ir")
    name, numbers = _HINTS.get(platform.machine().lower(), ("", []))
    args = [ir.IntType(32)(number) for number in numbers]
    if name:
        call(builder, name, ir.VoidType(), *args)
    return ir.IntType(64)(0)


@_instruction
def _give_way(builder: Any, place: Any) -> Any:
    """Let the system run another thread on this core, if there is one."""
    ir = imported("llvmlite.ir")
    if os.name == "posix":
        call(builder, "sched_yield", ir.IntType(32))
    return ir.IntType(64)(0)


_HINTS: dict[str, tuple[str, list[int]]] = {
    **dict.fromkeys(("x86_64", "amd64"), ("llvm.x86.sse2.pause", [])),
    **dict.fromkeys(("aarch64", "arm64"), ("llvm.aarch64.hint", [1])),
}


@compiled
def _take_parts(box):  # type: ignore[no-untyped-def]
    """Do parts of the job in the box until all are taken."""
    parts, length, step, tasks = box[PARTS], box[LENGTH], box[STEP], box[TASKS]
    while True:
        part = _add(box, NEXT, 1)
        if part >= parts:
            return
        first, last = length * part // parts, length * (part + 1) // parts
        for begin in range(first, last, step):
            end = min(begin + step, last)
            for task in range(tasks):
                if _call(box, FIRST_TASK + 2 * task, part, begin, end, length):
                    _add(box, FAILED, 1)


@compiled
def _run(box, tasks, length, parts, step, helpers):  # type: ignore[no-untyped-def]
    """Write a job into the box and see it done; return how many calls of loops failed."""
    is_shared = _exchange(box, OWNER, 1) == 0
    if not is_shared:
        box = np.zeros(SIZE, np.intp)
    box[LENGTH], box[PARTS], box[STEP], box[LIMIT], box[TASKS] = length, parts, step, helpers, tasks.size // 2
    for i in range(tasks.size):
        box[FIRST_TASK + i] = tasks[i]
    _exchange(box, NEXT, 0)
    _exchange(box, FAILED, 0)
    _add(box, OPEN, 1)  # odd: there is a job
    _take_parts(box)
    _add(box, OPEN, 1)
    turn = 0
    while _load(box, INSIDE) > 0:  # a helper either sees that the job is gone, or is seen here
        _wait(box, turn)
        turn += 1
    failed = _load(box, FAILED)
    if is_shared:
        _exchange(box, OWNER, 0)
    return failed


@compiled
def _serve(box, calls, turns):  # type: ignore[no-untyped-def]
    """Do parts of all jobs that are put into the box, until there was none for so many turns, or somebody calls."""
    _add(box, AWAKE, 1)
    seen, turn = 0, 0
    while turn < turns and _load(box, CALLS) == calls:
        turn += 1
        job = _load(box, OPEN)
        if job % 2 == 1 and job != seen:
            seen, turn = job, 0
            if _add(box, INSIDE, 1) < box[LIMIT] and _load(box, OPEN) == job:
                _take_parts(box)
            _add(box, INSIDE, -1)
        _wait(box, turn)
    _add(box, AWAKE, -1)


@compiled
def _wait(box, turn):  # type: ignore[no-untyped-def]
    """A turn of waiting; from time to time other threads may have the core: one of them may be waited for."""
    _rest(box, 0)
    if turn % PATIENCE == PATIENCE - 1:
        _give_way(box, 0)
