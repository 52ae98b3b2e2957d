"""A contender's process: prepares what it is asked for, and runs and times it when it is its turn.

Usage: ``python worker.py LIBRARY``, then a line of JSON in for each line of JSON out. What a contender doesn't have is
answered by ``{"missing": why}``, what fails by ``{"error": why}``. It runs in the interpreter of the contender, which
needs NumPy and the library, nothing else.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import Missing, timed


def peak_memory() -> int:
    """The most memory that this process has had, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the process was before it became this program
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def load(library: str) -> Any:
    """Import a contender: "minikeras-numpy", "minikeras-numba", "keras-tensorflow" and its like, or "torch"."""
    name, _, kind = library.partition("-")
    if name == "torch":
        from pytorch_api import PyTorch

        return PyTorch()
    if name == "minikeras":
        os.environ["MINIKERAS_KERNELS"] = kind
        from minikeras_api import Minikeras

        return Minikeras(kind)
    os.environ.update(KERAS_BACKEND=kind, TF_CPP_MIN_LOG_LEVEL="3")
    from keras_api import KerasApi

    return KerasApi("keras")


class Tasks:
    """What was prepared, by number.

    Args:
        library: The contender, as `load` gave it.
    """

    def __init__(self, library: Any) -> None:
        self.library = library
        self.prepared: dict[int, Callable[[], Any]] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked for: prepare, time, measure or forget."""
        match request:
            case {"prepare": number, "task": task, **options}:
                function = self.prepared[number] = getattr(self.library, task)(**options)
                timed(function, 0.0)  # compilers and caches have their say
                return {}
            case {"time": number, "seconds": seconds}:
                return {"times": timed(self.prepared[number], seconds)}
            case {"memory": workload, **options}:
                before = peak_memory()
                step = self.library.workload(workload, "step", **options)
                for _ in range(5):
                    step()
                return {"before": before, "added": peak_memory() - before}
            case {"tell": what, **options}:
                return {"told": getattr(self.library, what)(**options)}
            case {"forget": _}:
                self.prepared.clear()
                return {}
        raise ValueError(f"no such request: {request}")


def main(library_name: str) -> None:
    """Answer requests until the input ends."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not be taken for an answer
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: who stands still doesn't see that nobody asks
    start = time.perf_counter()
    answer: dict[str, Any]
    try:
        tasks = Tasks(load(library_name))
        answer = {"import": time.perf_counter() - start, "version": tasks.library.version}
    except (ImportError, Missing) as error:
        answer = {"missing": str(error)}
    print(json.dumps(answer), file=out, flush=True)
    for line in sys.stdin if "missing" not in answer else ():
        try:
            answer = tasks.answer(json.loads(line))
        except Missing as error:
            answer = {"missing": str(error)}
        except Exception as error:  # noqa: BLE001 (a peer may fail in any way; the others go on)
            answer = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
