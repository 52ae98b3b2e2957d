"""Who takes part, and their processes."""

from __future__ import annotations

import json
import os
import selectors
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("worker.py")
ANSWER_WITHIN = 150.0  # seconds; a compiler may take long


@dataclass(frozen=True)
class Contender:
    """A library in one of its ways.

    Attributes:
        name: As tables show it.
        library: What the worker imports; contenders of one library share a process.
        variant: The way, for libraries that have several.
        own: Whether it is minikeras.
    """

    name: str
    library: str
    variant: str = ""
    own: bool = False


CONTENDERS = [
    Contender("numpy", "minikeras-numpy", own=True),
    Contender("numba", "minikeras-numba", own=True),
    Contender("torch-first", "torch", "first"),
    Contender("torch-last", "torch", "last"),
    Contender("torch-fused", "torch", "fused"),
    Contender("torch-compiled", "torch", "compiled"),
    Contender("keras-tensorflow", "keras-tensorflow"),
    Contender("keras-jax", "keras-jax"),
    Contender("keras-torch", "keras-torch"),
]
TITLES = {
    "numpy": "minikeras, NumPy",
    "numba": "minikeras, numba",
    "torch-first": "PyTorch, channels_first",
    "torch-last": "PyTorch, channels_last",
    "torch-fused": "PyTorch, channels_last, fused optimizer",
    "torch-compiled": "PyTorch, channels_last, torch.compile",
    "keras-tensorflow": "Keras 3, TensorFlow",
    "keras-jax": "Keras 3, JAX",
    "keras-torch": "Keras 3, PyTorch",
}
EAGER = ("torch-first", "torch-last")  # the better of these is "PyTorch eager"


class Worker:
    """The process of a library, which stands still between its answers: threads of some would go on spinning.

    Args:
        library: As `worker.load` takes it.
        python: The interpreter.

    Attributes:
        missing: Why it can't take part; None if it can.
        imported: Seconds that its import took.
        version: Of the library.
    """

    def __init__(self, library: str, python: str) -> None:
        self.library = library
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (it lives as long as the process)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        self._process: subprocess.Popen[str] | None = subprocess.Popen(
            [python, str(WORKER), library],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )
        self._number = 0
        self.missing: str | None = None
        hello = self._answer()
        self.imported: float = hello.get("import", 0.0)
        self.version: str = hello.get("version", "")
        if "version" not in hello:
            self.close(hello.get("missing") or hello["error"])
        self._signal("SIGSTOP")

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to a request; ``{"error": why}`` if there is none."""
        if self._process is None or self._process.stdin is None:
            return {"error": self.missing or "it has ended"}
        self._signal("SIGCONT")
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it says why, or what the system says of it
        answer = self._answer()
        self._signal("SIGSTOP")
        return answer

    def prepare(self, task: str, **options: Any) -> tuple[int, dict[str, Any]]:
        """Have something prepared; return its number and the answer."""
        self._number += 1
        return self._number, self.ask(prepare=self._number, task=task, **options)

    def time(self, number: int, seconds: float) -> list[float]:
        """Milliseconds of each of several calls; none if they failed."""
        return self.ask(time=number, seconds=seconds).get("times", [])

    def close(self, why: str | None = None) -> None:
        """End the process."""
        self.missing = why or self.missing or "it has ended"
        process, self._process = self._process, None
        if process is None:
            return
        _signal(process, "SIGCONT")
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._errors.close()

    def _signal(self, name: str) -> None:
        if self._process is not None:
            _signal(self._process, name)

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            ready = selector.select(ANSWER_WITHIN)
        line = self._process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        if not ready:
            self._process.kill()
        self._errors.seek(0)
        last = self._errors.read().strip().splitlines()[-1:]
        why = f"no answer within {ANSWER_WITHIN:.0f} s" if not ready else f"it has ended: {' '.join(last)}"
        self.close(why)
        return {"error": why}


def _signal(process: subprocess.Popen[str], name: str) -> None:
    if hasattr(signal, name):  # not everywhere
        process.send_signal(getattr(signal, name))


class Field:
    """The contenders that are there, with a process for each library.

    Args:
        names: Who is wanted.
        peers: Interpreters, of which a peer's is the first that has it.
        say: Called with a line for the reader.
    """

    def __init__(self, names: list[str], peers: list[str], say: Any) -> None:
        self.pythons: dict[str, str] = {}
        self.workers: dict[str, Worker] = {}
        self.contenders: list[Contender] = []
        for contender in (contender for contender in CONTENDERS if contender.name in names):
            if contender.library not in self.workers:
                self.workers[contender.library] = self._first(contender, peers)
            worker = self.workers[contender.library]
            if worker.missing is None:
                self.contenders.append(contender)
            else:
                say(f"without {TITLES[contender.name]}: {worker.missing}")

    def start(self, contender: Contender) -> Worker:
        """A process of its own for a contender."""
        return Worker(contender.library, self.pythons[contender.library])

    def _first(self, contender: Contender, peers: list[str]) -> Worker:
        """A process with the first interpreter that has the contender, or that of the last one, which hasn't."""
        for python in [sys.executable] if contender.own else peers:
            self.pythons[contender.library] = python
            worker = self.start(contender)
            if worker.missing is None:
                break
        return worker

    @property
    def own(self) -> Worker | None:
        """A process with minikeras, if there is one."""
        return next((self.workers[c.library] for c in self.contenders if c.own), None)

    def versions(self) -> dict[str, str]:
        """The version of each library that takes part."""
        return {c.library: self.workers[c.library].version for c in self.contenders}

    def close(self) -> None:
        """End all processes."""
        for worker in self.workers.values():
            worker.close()


@dataclass
class Turn:
    """Something that one contender has prepared.

    Attributes:
        key: What it is a measurement of.
        contender: Whose.
        number: What the worker calls it.
        times: Milliseconds of each call so far, a list for each round.
    """

    key: str
    contender: Contender
    number: int
    times: list[list[float]]


def race(
    field: Field,
    group: dict[str, dict[str, Any]],
    rounds: int,
    seconds: float,
    names: Container[str],
    until: float = float("inf"),
) -> dict[str, dict[str, Any]]:
    """Time the same things at every contender, in rounds in which they take turns.

    What takes part is prepared before, so that contenders follow one another as closely as can be; who begins changes
    from round to round.

    Args:
        field: The contenders.
        group: By key the options of `Worker.prepare`; all of them are in each round.
        rounds: How many.
        seconds: For each turn; there is one call at least.
        names: The contenders that take part.
        until: By `time.monotonic`: then no further round begins, but for the first.

    Returns:
        By key, then by contender: the minimum, the median over the rounds of the medians, in milliseconds, and how many
        rounds there were; or ``{"error": why}``. Nothing for what a contender doesn't have.
    """
    turns: list[Turn] = []
    found: dict[str, dict[str, Any]] = {key: {} for key in group}
    for key, job in group.items():
        for contender in (contender for contender in field.contenders if contender.name in names):
            number, answer = field.workers[contender.library].prepare(**job, variant=contender.variant)
            if "error" in answer:
                found[key][contender.name] = answer
            elif "missing" not in answer:
                turns.append(Turn(key, contender, number, []))
    for shift in range(rounds):
        if shift and time.monotonic() > until:
            break
        for turn in [turns[(i + shift) % len(turns)] for i in range(len(turns))]:
            turn.times.append(field.workers[turn.contender.library].time(turn.number, seconds))
    for worker in field.workers.values():
        worker.ask(forget=True)
    for turn in turns:
        found[turn.key][turn.contender.name] = summary(turn.times)
    return found


def summary(rounds: list[list[float]]) -> dict[str, Any]:
    """The minimum of all times, and the median of the rounds' medians."""
    medians = [statistics.median(times) for times in rounds if times]
    if not medians:
        return {"error": "no call came to its end"}
    shortest = min(min(times) for times in rounds if times)
    return {"min": shortest, "median": statistics.median(medians), "rounds": len(medians)}
