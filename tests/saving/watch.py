"""What a piece of code does outside of its own memory: files, processes, the network, imports, code from data."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_EVENTS = {
    *("open", "exec", "compile", "import", "marshal.loads", "pickle.find_class", "code.__new__", "ctypes.dlopen"),
    *("os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.startfile", "subprocess.Popen", "pty.spawn"),
    *("socket.connect", "socket.getaddrinfo", "urllib.Request", "http.client.connect", "ftplib.connect"),
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate"),
    *("shutil.copyfile", "shutil.rmtree", "shutil.unpack_archive", "tempfile.mkstemp", "tempfile.mkdtemp"),
}
_ROOT = Path(__file__).parents[2]
_OWN = tuple(os.fspath(path) for path in {Path(sys.prefix), Path(sys.base_prefix), _ROOT, Path(os.__file__).parent})
_MODULES = ("minikeras", "numpy", "scipy", "h5py", "encodings", "unicodedata")
_COMPILERS = ("dataclasses.py", "inspect.py")  # of their own text
_seen: list[tuple[str, str]] | None = None
_allowed = ""
_hooked = False


@contextmanager
def watched(path: str | os.PathLike[str]) -> Iterator[list[tuple[str, str]]]:
    """Write down what the body does besides reading one file, and importing and running what is installed.

    The process that reads HDF5 files is expected, and can't be watched from here.

    Args:
        path: The file that may be read.

    Yields:
        A list, to which pairs of an audit event and its arguments are appended.
    """
    global _seen, _allowed, _hooked
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True
    found: list[tuple[str, str]] = []
    _allowed = os.fspath(path)
    _seen = found
    try:
        yield found
    finally:
        _seen = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    seen = _seen
    if seen is not None and event in _EVENTS and not _expected(event, arguments):
        seen.append((event, repr(arguments)[:300]))


def _expected(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        path, mode, flags = arguments
        writing = (isinstance(mode, str) and set(mode) & set("wax+")) or (flags & (os.O_WRONLY | os.O_RDWR))
        if isinstance(path, int) or os.fsdecode(path) in ("/dev/null", "/proc/self/statm", "/proc/self/status"):
            return True
        name = os.fsdecode(path)
        return not writing and (name == _allowed or (name.startswith(_OWN) and name.endswith((".py", ".pyc", ".so"))))
    if event == "import":
        return arguments[0].split(".")[0] in {*_MODULES, *sys.stdlib_module_names}
    if event == "subprocess.Popen":
        return arguments[0] == sys.executable and os.path.basename(arguments[1][3]) == "hdf5_child.py"
    if event in ("exec", "compile", "marshal.loads", "code.__new__"):  # importing does all of it
        return _importing()
    if event == "os.mkdir":  # of a folder that is there, which os.makedirs(exist_ok=True) tries
        return os.path.isdir(arguments[0])
    return event == "ctypes.dlopen" and _importing()


def _importing() -> bool:
    frame = sys._getframe(2)
    while frame is not None:
        if "importlib._bootstrap" in (name := frame.f_code.co_filename) or os.path.basename(name) in _COMPILERS:
            return True
        frame = frame.f_back
    return False
