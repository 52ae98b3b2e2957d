"""Loops that numba compiles when they are first called, and that are kept on disk.

numba is imported when there is something to compile and not before: half a second, and 80 MB.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from ...core.tiers import CompilationError
from . import calls, runtime, stored
from .kinds import numba_type
from .lazy import imported

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


class Version(NamedTuple):
    """A loop as compiled for some kinds of arguments: where it is, and the kind of its result, or "" for none."""

    address: int
    result: str


class Loop(calls.Overloads):
    """A function that numba compiles."""

    def __init__(self, function: Callable[..., Any], fastmath: frozenset[str], apart: bool = False) -> None:
        super().__init__(self._callable)
        self.function, self.fastmath, self.apart = function, fastmath, apart
        self.version, self.prepare = functools.cache(self._version), functools.cache(self._prepare)

    def address(self, kinds: tuple[str, ...]) -> int:
        """Where in memory its compiled version for these kinds of arguments is."""
        with compiling(self.function.__name__):
            return self.version(kinds).address

    def _callable(self, kinds: tuple[str, ...]) -> Callable[..., Any]:
        """What Python calls for these kinds of arguments."""
        with compiling(self.function.__name__):
            address, result = self.version(kinds)
            return calls.function(f"call_{result}", kinds, functools.partial(_write_call, result), address)

    def _version(self, kinds: tuple[str, ...]) -> Version:
        module, _, short = self.function.__module__.rpartition(".")
        name = f"{short}.{self.function.__name__}({','.join(kinds)})"
        if module != __package__:  # `stored` doesn't notice when others change
            return self._compile(kinds)[0]
        found = stored.load(name)
        if found is not None:
            return Version(*found)
        version, made = self._compile(kinds)
        runtime.store(name, made.library, made.fndesc.llvm_func_name, version.result)
        return version

    def _compile(self, kinds: tuple[str, ...]) -> tuple[Version, Any]:
        """The version, and what numba has to say of it."""
        dispatcher, types = self.prepare(), tuple([numba_type(kind) for kind in kinds])
        if not hasattr(dispatcher, "compile"):
            raise CompilationError(f"{self.function.__name__}: $NUMBA_DISABLE_JIT is set")
        dispatcher.compile(types)
        made = dispatcher.overloads[types]
        address = made.library.get_pointer_to_function(made.fndesc.llvm_func_name)
        return Version(int(address), _result_of(made.signature.return_type)), made

    def _prepare(self) -> Any:
        """Hand the function to numba, after those that it calls; nothing is compiled yet."""
        names = {**self.function.__globals__}
        for name in self.function.__code__.co_names:
            if hasattr(names.get(name), "prepare"):
                names[name] = names[name].prepare()
        function = FunctionType(self.function.__code__, names, self.function.__name__, self.function.__defaults__)
        function.__module__, function.__qualname__ = self.function.__module__, self.function.__qualname__
        more = {"pipeline_class": _compiler_of_arrays_apart()} if self.apart else {}
        return dispatcher(function, fastmath=set(self.fastmath), **more)


def _result_of(kind: Any) -> str:
    types = imported("numba.core.types")
    if kind not in (types.none, types.intp):
        raise CompilationError(f"a loop returns an integer or nothing. Received: {kind}")
    return "" if kind == types.none else "i8"


def _write_call(result: str, context: Any, builder: Any, address: Any, kinds: list[Any], values: list[Any]) -> Any:
    """Write how Python calls a loop: without the interpreter's lock."""
    types, ir = imported("numba.core.types"), imported("llvmlite.ir")
    thing, nothing = ir.IntType(8).as_pointer(), ir.VoidType()
    returned = types.intp if result else types.none
    place = builder.inttoptr(address, context.call_conv.get_function_type(returned, kinds).as_pointer())
    state = calls.call(builder, "PyEval_SaveThread", thing)
    status, value = context.call_conv.call_function(builder, place, returned, kinds, values)
    calls.call(builder, "PyEval_RestoreThread", nothing, state)
    with builder.if_then(status.is_error, likely=False):  # all that can happen in a loop
        builder.ret(calls.call(builder, "PyErr_NoMemory", thing))
    return calls.call(builder, "PyLong_FromSsize_t", thing, value) if result else calls.new_reference(builder, "None")


@contextmanager
def compiling(name: str) -> Iterator[None]:
    """One thread at a time; what numba, LLVM or the disk refuse is a CompilationError."""
    try:
        with _lock:
            yield
    except Exception as error:
        # LLVM's complaints are RuntimeErrors, and a full disk's OSErrors
        if isinstance(error, (RuntimeError, OSError)) or type(error).__module__.startswith(("numba", "llvmlite")):
            reason = str(error).strip() or type(error).__name__
            raise CompilationError(f"{name}: {reason.splitlines()[0]}") from error
        raise


def dispatcher(function: FunctionType, **options: Any) -> Any:
    """What numba makes of a function: it compiles it for given types, or finds it in its own cache."""
    # numba's cache only notices a change of the function's own file, but what is called from there is compiled too
    function.__qualname__ = f"{function.__qualname__}_{stored.sources()}"
    njit, options = _import_njit(), {"nogil": True, "error_model": "numpy", **options}
    options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # `calls` has its own
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # there is no folder for a cache
        return njit(**options)(function)


@functools.cache
def _compiler_of_arrays_apart() -> Any:
    """numba's compiler, telling LLVM that the arguments don't overlap: there is a flag for it, but no option."""

    class Apart(imported("numba.core.compiler").Compiler):  # type: ignore[misc]
        def __init__(self, typingctx: Any, targetctx: Any, library: Any, args: Any, result: Any, flags: Any, rest: Any):
            flags.noalias = True
            super().__init__(typingctx, targetctx, library, args, result, flags, rest)

    return Apart


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
