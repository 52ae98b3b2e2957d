"""Machine code on disk, which another process loads by llvmlite alone.

To import numba, only to find that all is compiled already, takes half a second and 80 MB. So each function's object
file is kept beside numba's own cache: in ``$NUMBA_CACHE_DIR``, in ``__pycache__`` or the user's cache folder. Who may
write there decides what runs, as with numba's cache and any ``.pyc``. A file counts only if it is whole, and was made
from the same sources, by the same versions, for the same processor; else numba compiles anew.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import itertools
import os
import sys
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .kinds import DTYPES, NUMBERS, type_name
from .lazy import imported

FIRST = "memory"
"""The name of what others call, so that it is loaded before them."""
FUNCTIONS = (
    "PyErr_NoMemory", "PyEval_RestoreThread", "PyEval_SaveThread", "PyFloat_AsDouble", "PyLong_AsSsize_t",
    "PyLong_FromSsize_t", "PyNumber_AsSsize_t", "PyObject_IsTrue", "PyTuple_GetItem", "PyTuple_Size", "Py_IncRef",
)  # fmt: skip
"""Python's functions that machine code may call."""
OBJECTS: dict[str, Any] = {
    "None": None,
    "NotImplemented": NotImplemented,
    **{type_name(kind): kind for kind in (tuple, np.ndarray, *itertools.chain(*NUMBERS.values()))},
    **{f"dtype.{name}": dtype for name, dtype in DTYPES.items()},
}
"""Objects whose place it may know."""


class Code(NamedTuple):
    """A function in memory: where it is, and what was noted when it was saved."""

    address: int
    note: str


_loaded: dict[str, Code] = {}
_lock = threading.RLock()
_ELSEWHERE = {"NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER"}  # options that don't change the code


def load(name: str) -> Code | None:
    """The function that was saved by a name, or None if there is none that counts."""
    with _lock:
        if name not in _loaded:
            found = _read(name)
            if found is None or (name != FIRST and load(FIRST) is None):
                return None
            symbol, note, code = found
            _loaded[name] = Code(place(code, symbol), note)
        return _loaded[name]


def load_or_make(name: str, make: Callable[[], bytes]) -> Code:
    """The function that was saved by a name, else that by the same name in the object file that `make` makes."""
    with _lock:
        found = load(name)
        if found is None:
            code = make()
            save(name, code, name)
            found = _loaded[name] = Code(place(code, name), "")
        return found


def place(code: bytes, symbol: str) -> int:
    """Load an object file; return where in memory a function of it is."""
    with _lock:
        loader().add_object_file(imported("llvmlite.binding").ObjectFileRef.from_data(code))
        return int(loader().get_function_address(symbol))


def save(name: str, code: bytes, symbol: str, note: str = "") -> None:
    """Keep a function, if there is a folder for it.

    Args:
        name: What it is found by.
        code: An object file.
        symbol: What the function is called in there.
        note: What is to be known of it.
    """
    content = b"\n".join([*(part.encode() for part in (_circumstances(), name, symbol, note)), code])
    for folder in _folders():
        path = folder / _file_name(name)
        new = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            new.write_bytes(_digest(content) + content)
            new.replace(path)  # others see all of it or nothing
            return
        except OSError:
            with suppress(OSError):
                new.unlink(missing_ok=True)


def _read(name: str) -> tuple[str, str, bytes] | None:
    """Symbol, note and object file, if all is as it was written, for this process."""
    for folder in _folders():
        with suppress(OSError):
            data = (folder / _file_name(name)).read_bytes()
            digest, content = data[:_DIGEST], data[_DIGEST:]
            if _digest(content) == digest:
                circumstances, whose, symbol, note, code = content.split(b"\n", 4)
                if (circumstances.decode(), whose.decode()) == (_circumstances(), name):
                    return symbol.decode(), note.decode(), code
    return None


_DIGEST = 32


def _digest(content: bytes) -> bytes:
    import hashlib  # which takes longer than to read what it is for

    return hashlib.sha256(content).digest()


def _file_name(name: str) -> str:
    return f"{name.partition('(')[0]}-{zlib.crc32(name.encode()):08x}-{zlib.crc32(_circumstances().encode()):08x}.code"


def _folders() -> list[Path]:
    """Where machine code may be, the best place first."""
    if os.name != "posix":  # LLVM doesn't find C's functions by itself there, and would end the process
        return []
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given:
        return [Path(given) / "minikeras"]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    beside = [Path(__file__).parent / "__pycache__"]
    return [*beside, Path(cache) / "minikeras"] if os.path.isabs(cache) else beside


@functools.cache
def _circumstances() -> str:
    """All that machine code depends on, in a line."""
    binding = imported("llvmlite.binding")
    try:
        features = binding.get_host_cpu_features().flatten()
    except RuntimeError:  # LLVM can't tell on this system
        features = ""
    numba = importlib.util.find_spec("numba")
    made = os.stat(numba.origin) if numba and numba.origin else None  # its version is in there, and not to be had else
    options = {key: value for key, value in os.environ.items() if key.startswith("NUMBA_") and key not in _ELSEWHERE}
    return repr((
        sources(), sys.version, np.__version__, imported("llvmlite").__version__,
        made and (numba.origin, made.st_size, made.st_mtime_ns) if numba else None,
        binding.get_process_triple(), binding.get_host_cpu_name(), features, sorted(options.items()),
    ))  # fmt: skip


@functools.cache
def sources() -> str:
    """A number that changes with any of the files from which something is compiled."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return f"{zlib.crc32(b''.join(file.read_bytes() for file in files)):08x}"


@functools.cache
def loader() -> Any:
    """LLVM's part that puts object files into memory, which knows `FUNCTIONS` and `OBJECTS`."""
    binding = imported("llvmlite.binding")
    with suppress(RuntimeError):  # newer ones do it by themselves, and complain
        binding.initialize()
    binding.initialize_native_target()
    for name in FUNCTIONS:
        binding.add_symbol(name, ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value)
    for name, each in OBJECTS.items():
        binding.add_symbol(f"minikeras.{name}", id(each))
    machine = binding.Target.from_triple(binding.get_process_triple()).create_target_machine()
    return binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
