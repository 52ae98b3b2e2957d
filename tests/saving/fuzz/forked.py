"""The process that reads HDF5 files, forked instead of started anew: the same code and limits, without the imports."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minikeras.saving import hdf5, hdf5_child


class Forked:
    """What `Hdf5Reader` needs of ``subprocess.Popen``, by a fork."""

    seconds = 0.0  # of computing in children that have ended
    kibibytes = 0  # the most that one of them grew by

    def __init__(self, command: list[str], **_: Any) -> None:
        requests, answers = os.pipe(), os.pipe()
        self.before = _resident()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the threads of this process are idle
            self.pid = os.fork()
        if self.pid == 0:
            try:
                os.dup2(requests[0], 0)
                os.dup2(answers[1], 1)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                os.closerange(3, 256)
                sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115
                sys.argv = command[3:]
                hdf5_child.main()
            finally:
                os._exit(1)
        os.close(requests[0])
        os.close(answers[1])
        self.stdin, self.stdout = open(requests[1], "wb"), open(answers[0], "rb")  # noqa: SIM115
        self.code: int | None = None

    def kill(self) -> None:
        if self.code is None:
            os.kill(self.pid, 9)

    def wait(self) -> int:
        if self.code is None:
            _, status, usage = os.wait4(self.pid, 0)
            self.code = os.waitstatus_to_exitcode(status)
            Forked.seconds += usage.ru_utime + usage.ru_stime
            Forked.kibibytes = max(Forked.kibibytes, usage.ru_maxrss - self.before)
        return self.code


@contextmanager
def forked_readers() -> Iterator[None]:
    """Read HDF5 files by forks of this process, in the body of a ``with`` statement."""
    popen, hdf5.subprocess.Popen = hdf5.subprocess.Popen, Forked  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        hdf5.subprocess.Popen = popen  # type: ignore[misc]


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
