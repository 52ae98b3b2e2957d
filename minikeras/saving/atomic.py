"""Writing a file so that its path never holds half of it."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

# What a file is called until it is complete: ".NAME.0123456789abcdef.minikeras"
_SUFFIX = ".minikeras"
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EIO}
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}" + re.escape(_SUFFIX))


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file beside ``path``, to write; move it to ``path`` when the body has ended without an exception.

    The data is on the disk before the move, so after a crash at any moment the path has the old content or the new
    one, whole. After an exception the old content stays and nothing is left behind; what a process that was killed
    has left in the folder is removed.

    Args:
        path: The file; a symbolic link is followed.

    Raises:
        OSError: If the folder doesn't exist or can't be written to, or the disk is full.
    """
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{os.fspath(path)} can't be written: there is no folder {folder!r}")
    if os.path.isdir(target):
        raise IsADirectoryError(f"{os.fspath(path)} can't be written: it is a folder")
    _remove_left_behind(folder)
    with _disk_errors(path):
        temporary, file = _create(folder, name)
    try:
        with _disk_errors(path):
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if os.name == "posix":  # still locked: nobody takes it for left behind
                    os.replace(temporary, target)
            if os.name != "posix":  # where an open file can't be moved, it can't be removed by others either
                os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


@contextmanager
def _disk_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name the file where the system tells only that the disk is full, or names the unfinished one."""
    try:
        yield
    except OSError as error:
        unfinished = _TEMPORARY.fullmatch(os.path.basename(str(error.filename)))
        if error.errno is None or not (unfinished or error.errno in _FULL):
            raise
        what = f"{os.strerror(error.errno)}: it could not be written, and is as it was before"
        raise OSError(error.errno, what, os.fspath(path)) from error


def _remove_left_behind(folder: str) -> None:
    """Remove the unfinished files of processes that have ended: nobody has them locked any more."""
    for entry in os.listdir(folder):
        if not _TEMPORARY.fullmatch(entry):
            continue
        with suppress(OSError):
            path = os.path.join(folder, entry)
            with open(path, "r+b") as file:
                if os.name == "posix":
                    _lock(file.fileno())
                    os.unlink(path)
            if os.name != "posix":
                os.unlink(path)


def _create(folder: str, name: str) -> tuple[str, BinaryIO]:
    """A new file that is locked, and its path."""
    while True:
        path = os.path.join(folder, f".{name}.{secrets.token_hex(8)}{_SUFFIX}")
        file = open(path, "x+b")  # noqa: SIM115 (the caller closes it)
        with suppress(OSError):  # some file systems know no locks: there nothing that was left behind is removed
            _lock(file.fileno(), wait=True)
        if os.path.exists(path):  # nobody took it for left behind before it was locked
            return path, file
        file.close()


def _lock(descriptor: int, wait: bool = False) -> None:
    """Lock a file for as long as it is open; an OSError if another process has locked it and there is no waiting."""
    if os.name == "posix":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sync_folder(folder: str) -> None:
    """Bring the move itself to the disk, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems can't
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
