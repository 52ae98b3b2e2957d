"""A process that has NumPy and h5py in it, and forks one that runs ``hdf5_child.main`` for each request.

It runs as a script, isolated like the program that it stands for: ``fork_server.py CHILD FOLDER ...``. Requests come by
the socket that is its standard input: arguments in JSON, with the files for standard input and output. Back go the
child's number and, when that has ended, its exit code, seconds of computing, and KiB of memory that it grew by.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import resource
import socket
import sys


def main() -> None:
    """Serve until the socket is closed."""
    path, *folders = sys.argv[1:]
    sys.path += folders
    import h5py  # noqa: F401

    spec = importlib.util.spec_from_file_location("hdf5_child", path)
    child = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(child)
    connection = socket.socket(fileno=0)
    gc.collect()
    gc.freeze()  # what no collection touches stays shared
    while True:
        message, files, _, _ = socket.recv_fds(connection, 2**16, 2)
        if not message:
            return
        before = resident()
        pid = os.fork()
        if pid == 0:
            serve(child, json.loads(message), files)
        for file in files:
            os.close(file)
        connection.send(json.dumps(pid).encode())
        _, status, usage = os.wait4(pid, 0)
        taken = usage.ru_utime + usage.ru_stime
        connection.send(json.dumps([os.waitstatus_to_exitcode(status), taken, usage.ru_maxrss - before]).encode())


def serve(child, arguments, files):
    """Be the process that reads one file."""
    try:
        os.dup2(files[0], 0)
        os.dup2(files[1], 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.closerange(3, 64)
        sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115
        sys.argv = ["hdf5_child.py", *arguments]
        child.main()
    finally:
        os._exit(1)


def resident() -> int:
    """KiB of memory that this process takes."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 1024


if __name__ == "__main__":
    main()
