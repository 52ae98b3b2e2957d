"""The process that reads HDF5 files, forked instead of started anew: the same code and limits, without the imports."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from minikeras.saving import hdf5

_SERVER = os.fspath(Path(__file__).with_name("fork_server.py"))
_Popen = subprocess.Popen
_connection: socket.socket | None = None


class Forked:
    """What `Hdf5Reader` needs of ``subprocess.Popen``, by a request to the server."""

    seconds = 0.0  # of computing in children that have ended
    kibibytes = 0  # the most that one of them grew by

    def __init__(self, command: list[str], **_: Any) -> None:
        (own_end, answers), (requests, other_end) = os.pipe(), os.pipe()
        socket.send_fds(_connection, [json.dumps(command[4:]).encode()], [requests, answers])
        os.close(requests)
        os.close(answers)
        self.stdin, self.stdout = open(other_end, "wb"), open(own_end, "rb")  # noqa: SIM115
        self.pid: int = json.loads(_connection.recv(1000))
        self.returncode: int | None = None

    def kill(self) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, 9)

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode, seconds, kibibytes = json.loads(_connection.recv(1000))
            Forked.seconds += seconds
            Forked.kibibytes = max(Forked.kibibytes, kibibytes)
        return self.returncode


@contextmanager
def server() -> Iterator[None]:
    """Have a server that forks, for `forked_readers`."""
    global _connection
    own_end, other_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-I", "-S", _SERVER, hdf5._CHILD, *hdf5._folders()]
    with own_end, _Popen(command, stdin=other_end, env=hdf5._environment()):
        other_end.close()
        _connection = own_end
        try:
            yield
        finally:
            own_end.close()  # which ends the server


@contextmanager
def forked_readers() -> Iterator[None]:
    """Read HDF5 files by forks of the server, in the body of a ``with`` statement."""
    popen, hdf5.subprocess.Popen = hdf5.subprocess.Popen, Forked  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        hdf5.subprocess.Popen = popen  # type: ignore[misc]
