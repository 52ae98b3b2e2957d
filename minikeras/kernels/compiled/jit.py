"""Loops that numba compiles when they are first called, and keeps on disk.

Nothing here imports numba before that: half a second that a program without large arrays shouldn't pay.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, NoReturn

import numpy as np

from ...core.tiers import CompilationError

EXACT = frozenset({"contract"})
"""Rounding may be left out between a product and its sum, and nothing else: NaN and infinity stay what they are."""
REORDERED = frozenset({"contract", "reassoc", "nsz"})
"""Sums may also be taken in another order, as vectors need it."""

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

_lock = threading.RLock()  # kept while what a function calls is prepared as well


def compiled(function: Callable[..., Any]) -> Loop:
    """Make a function whose compiled version is made on its first call, for the types of its arguments.

    It lets go of the interpreter while it runs, so `spread` gives it all cores; it starts no threads itself.
    Functions that it calls are decorated as well.
    """
    return Loop(function, EXACT)


def compiled_sums(function: Callable[..., Any]) -> Loop:
    """As `compiled`, and free to sum in another order."""
    return Loop(function, REORDERED)


def compiled_apart(function: Callable[..., Any]) -> Loop:
    """As `compiled`, for arrays that share no memory: what one argument is written to isn't read by another one.

    Inner loops over few channels are then vectorised without asking, each time anew, whether their arrays overlap.
    """
    return Loop(function, EXACT, apart=True)


def is_covered(*arrays: np.ndarray | None) -> bool:
    """Whether all arrays are of one float type that the compiled kernels know."""
    given = [a.dtype for a in arrays if a is not None]
    return given[0] in FLOATS and given.count(given[0]) == len(given)


def plain(array: np.ndarray) -> np.ndarray:
    """The array as compiled loops want it: contiguous and writeable, so that one compiled version fits all."""
    return array if array.flags.carray else array.copy()


class Loop:
    """A function that numba compiles."""

    def __init__(self, function: Callable[..., Any], fastmath: frozenset[str], apart: bool = False) -> None:
        self.function, self.fastmath, self.apart = function, fastmath, apart
        self.dispatcher: Any = None

    def __call__(self, *args: Any) -> Any:
        try:
            return (self.dispatcher or self.prepare())(*args)
        except Exception as error:  # noqa: BLE001 (raised again)
            self._raise(error)

    def address(self, types: tuple[Any, ...]) -> int:
        """Where in memory its compiled version for these types of arguments is."""
        try:
            dispatcher = self.prepare()
            if not hasattr(dispatcher, "compile"):
                raise CompilationError(f"{self.function.__name__}: $NUMBA_DISABLE_JIT is set")
            dispatcher.compile(types)
            made = dispatcher.overloads[types]
            return int(made.library.get_pointer_to_function(made.fndesc.llvm_func_name))
        except Exception as error:  # noqa: BLE001 (raised again)
            self._raise(error)

    def _raise(self, error: Exception) -> NoReturn:
        # LLVM's complaints are RuntimeErrors, and a full disk's OSErrors; the loops themselves raise neither
        if isinstance(error, (RuntimeError, OSError)) or type(error).__module__.startswith(("numba", "llvmlite")):
            reason = str(error).strip() or type(error).__name__
            raise CompilationError(f"{self.function.__name__}: {reason.splitlines()[0]}") from error
        raise error

    def prepare(self) -> Any:
        """Hand the function to numba, after those that it calls; nothing is compiled yet."""
        with _lock:
            if self.dispatcher is None:
                self.dispatcher = self._dispatcher()
        return self.dispatcher

    def _dispatcher(self) -> Any:
        names = {**self.function.__globals__}
        for name in self.function.__code__.co_names:
            if hasattr(names.get(name), "prepare"):
                names[name] = names[name].prepare()
        function = FunctionType(self.function.__code__, names, self.function.__name__, self.function.__defaults__)
        function.__module__, function.__qualname__ = self.function.__module__, self.function.__qualname__
        more = {"pipeline_class": _compiler_of_arrays_apart()} if self.apart else {}
        return dispatcher(function, fastmath=set(self.fastmath), **more)


def dispatcher(function: FunctionType, **options: Any) -> Any:
    """What numba makes of a function: it compiles it for the types that it is called with, or finds it on disk."""
    # numba's cache only notices a change of the function's own file, but what is called from there is compiled too
    function.__qualname__ = f"{function.__qualname__}_{_sources()}"
    njit, options = _import_njit(), {"nogil": True, "error_model": "numpy", **options}
    options["no_cfunc_wrapper"] = True  # nobody calls it from C
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # there is no folder for a cache
        return njit(**options)(function)


@functools.cache
def _sources() -> str:
    """A number that changes with any of the files from which something is compiled."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return f"{zlib.crc32(b''.join(file.read_bytes() for file in files)):08x}"


@functools.cache
def _compiler_of_arrays_apart() -> Any:
    """numba's compiler, telling LLVM that the arguments don't overlap: there is a flag for it, but no option."""

    class Apart(imported("numba.core.compiler").Compiler):  # type: ignore[misc]
        def __init__(self, typingctx: Any, targetctx: Any, library: Any, args: Any, result: Any, flags: Any, rest: Any):
            flags.noalias = True
            super().__init__(typingctx, targetctx, library, args, result, flags, rest)

    return Apart


def imported(name: str) -> Any:
    """The module of numba or llvmlite."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # one that doesn't fit NumPy's version fails in many ways
        raise CompilationError(f"import {name}: {error}") from error


def _import_njit() -> Callable[..., Any]:
    numba, event = imported("numba"), imported("numba.core.event")

    class Announcement(event.Listener):  # type: ignore[name-defined]
        """Tells once that something of ours is being compiled, which the cache had not."""

        def on_start(self, event: Any) -> None:
            global _is_announced
            module = event.data["dispatcher"].py_func.__module__
            if module.startswith(__package__ or "") and not _is_announced:
                _is_announced = True
                folder = event.data["dispatcher"].stats.cache_path
                kept = f"once; kept in {folder}" if folder else "in every process: there is no folder to keep them in"
                print(f"minikeras: compiling kernels ({kept})", file=sys.stderr, flush=True)

        def on_end(self, event: Any) -> None:
            pass

    global _has_listener
    if not _has_listener:
        _has_listener = True
        event.register("numba:compile", Announcement())
    return numba.njit


_is_announced = _has_listener = False
