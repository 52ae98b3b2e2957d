"""A campaign: mutated files loaded one by one in processes that may die, and what came of each."""

from __future__ import annotations

import collections
import json
import math
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from minikeras.saving import ModelFileError

from ..watch import watched
from .forked import Forked, forked_readers, server
from .formats import FORMATS, Format

SECONDS = 2.0
MEMORY = 256  # MiB
_BATCH = 500
_HANGS = 10.0  # seconds of computing after which a case is given up
_WAITS = 120.0  # seconds without an answer after which a process is given up
# In the order in which a file passes them, with the files of minikeras that refuse there.
STAGES = {
    "structure of the file": ("archive.py", "hdf5.py", "safetensors.py", "npz.py"),
    "headers of arrays": ("npy.py",),
    "names and forms of what is inside": ("keras2_config.py", "keras2.py", "model.py", "weights.py", "tf_keras.py"),
    "JSON": ("configurations.py",),
    "values of the configuration": (),  # whatever refuses elsewhere
    "weights beside the model's": ("matching.py",),
    "data of arrays": (),
    "training's configuration and state": (),
    "random streams": (),
}
_READING = {"read", "read_into", "finish", "_pieces"}


@dataclass
class Outcome:
    """What became of a case."""

    case: int
    stage: str
    seconds: float = 0.0
    mebibytes: float = 0.0
    what: str = ""
    failure: str = ""


@dataclass
class Report:
    """What became of all cases."""

    cases: int = 0
    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    failures: list[str] = field(default_factory=list)
    slowest: Outcome = field(default_factory=lambda: Outcome(-1, ""))
    largest: Outcome = field(default_factory=lambda: Outcome(-1, ""))
    taken: float = 0.0
    computing: float = 0.0

    def add(self, outcome: Outcome) -> None:
        self.cases += 1
        self.counts[outcome.stage] += 1
        self.slowest = max(self.slowest, outcome, key=lambda o: o.seconds)
        self.largest = max(self.largest, outcome, key=lambda o: o.mebibytes)
        if outcome.failure:
            self.failures.append(f"case {outcome.case} ({outcome.what}): {outcome.failure}")

    def lines(self) -> list[str]:
        ordered = [f"refused: {name}" for name in STAGES]
        keys = [key for key in ordered if key in self.counts]
        keys += sorted(key for key in self.counts if key not in ordered)
        lines = [f"{self.cases} cases in {self.taken:.0f} s, {self.computing:.0f} s of computing"]
        lines += [f"{100 * self.counts[key] / self.cases:6.2f} %  {self.counts[key]:8}  {key}" for key in keys]
        for name, worst in (("slowest", self.slowest), ("largest", self.largest)):
            lines.append(f"{name}: {worst.seconds:.3f} s, {worst.mebibytes:.1f} MiB: case {worst.case} ({worst.what})")
        return [*lines, f"failures: {len(self.failures)}", *self.failures]


def run(
    name: str, count: int, seed: int, first: int = 0, seconds: float = math.inf, keep: Path | None = None
) -> Report:
    """Load so many mutated files of a format, or as many as the seconds allow.

    Args:
        name: The format, of `FORMATS`.
        count: Number of cases.
        seed: Case and seed say what a file is.
        first: The first case.
        seconds: When to begin no further batch.
        keep: Folder for the files that went wrong.
    """
    report = Report()
    started, before = time.monotonic(), sum(_computing())
    formats = FORMATS[name]()
    case, end = first, first + count
    with tempfile.TemporaryDirectory() as folder:
        while case < end and time.monotonic() - started < seconds:
            last = min(case + _BATCH, end)
            for outcome in _batch(formats, range(case, last), seed, folder):
                report.add(outcome)
                case = outcome.case + 1
                if outcome.failure and keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    data, _ = formats.mutated(_random(seed, outcome.case))
                    (keep / f"{name}-{seed}-{outcome.case}{formats.suffix}").write_bytes(data)
    report.taken = time.monotonic() - started
    report.computing = sum(_computing()) - before
    return report


def _random(seed: int, case: int) -> Random:
    return Random(f"{seed}/{case}")


def _batch(formats: Format, cases: range, seed: int, folder: str) -> Iterator[Outcome]:
    """The outcomes of some cases, from a process of their own; ends early with the one at which that process died."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the threads of this process are idle
        pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            _work(formats, cases, seed, folder, writing)
        except BaseException:  # noqa: BLE001 (of the harness itself)
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    done, why = cases.start, ""
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        rest = b""
        while True:
            if not select.select([pipe], [], [], _WAITS)[0]:
                os.kill(pid, signal.SIGKILL)
                why = f"no answer for {_WAITS:.0f} s"
                break
            data = pipe.read(2**16)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                done += 1
                yield Outcome(**json.loads(line))
            if not data:
                break
    _, status = os.waitpid(pid, 0)
    if done < cases.stop:
        _, what = formats.mutated(_random(seed, done))
        code = os.waitstatus_to_exitcode(status)
        yield Outcome(done, "the process died", what=what, failure=why or f"the process ended with {code}")


def _work(formats: Format, cases: range, seed: int, folder: str, answers: int) -> None:
    path = os.path.join(folder, f"case{formats.suffix}")
    warnings.simplefilter("ignore")
    own = _kibibytes("VmSize:") * 1024
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with server() if formats.hdf5 else nullcontext(), forked_readers():
        for case in cases:
            rng = _random(seed, case)
            data, what = formats.mutated(rng)
            Path(path).write_bytes(data)
            resource.setrlimit(resource.RLIMIT_AS, (own + MEMORY * 2**20, resource.RLIM_INFINITY))
            signal.setitimer(signal.ITIMER_PROF, _HANGS)
            outcome = _outcome(formats, path, rng)
            signal.setitimer(signal.ITIMER_PROF, 0.0)
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
            outcome.case, outcome.what = case, what
            os.write(answers, json.dumps(vars(outcome)).encode() + b"\n")


def _outcome(formats: Format, path: str, rng: Random) -> Outcome:
    Forked.seconds, Forked.kibibytes = 0.0, 0
    _forget_peak()
    before = _kibibytes("VmRSS:")
    begin = time.process_time()
    failure = ""
    model: Any = None
    with watched(path) as seen:
        try:
            model = formats.load(path, rng)
            stage = ""
        except ModelFileError as error:
            stage, failure = _refused(error, path)
        except Exception:  # noqa: BLE001 (is what we look for)
            stage, failure = "another exception", traceback.format_exc()
    taken = time.process_time() - begin + Forked.seconds
    grown = max(_kibibytes("VmHWM:") - before, Forked.kibibytes) / 1024
    if seen:
        failure = failure or f"did more than reading the file: {seen[:5]}"
    if not stage:
        try:
            stage, wrong = _checked(formats, path, model)
        except Exception:  # noqa: BLE001 (what has been loaded, another reader can't read)
            stage, wrong = "loaded", traceback.format_exc()
        failure = failure or wrong
    if taken > SECONDS:
        failure = failure or f"took {taken:.1f} s"
    if grown > MEMORY:
        failure = failure or f"took {grown:.0f} MiB"
    return Outcome(-1, stage, round(taken, 4), round(grown, 2), failure=failure)


def _refused(error: BaseException, path: str) -> tuple[str, str]:
    """The stage that refused a file, by the functions that its error came through."""
    text, failure = str(error), ""
    if path not in text:
        failure = f"the file isn't named: {text[:500]}"
    while True:
        if isinstance(error, MemoryError):
            failure = f"more memory than {MEMORY} MiB: {text[:500]}"
        if error.__cause__ is None:
            break
        error = error.__cause__
    if "the process that reads it died" in text:
        return "refused: libhdf5 crashed in its own process", failure
    if "takes too long" in text:
        return "refused: libhdf5 took too long", failure
    return f"refused: {_stage(error)}", failure


def _stage(error: BaseException) -> str:
    codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    own = [code for code in codes if "/minikeras/" in code.co_filename]
    functions = {code.co_name for code in own}
    if "_restore_streams" in functions:
        return "random streams"
    if "_compile" in functions:
        return "training's configuration and state"
    if not own:
        return "elsewhere"
    last = os.path.basename(own[-1].co_filename)
    if {code.co_name for code in own if code.co_filename == own[-1].co_filename} & _READING:
        return "data of arrays"
    return next((stage for stage, files in STAGES.items() if last in files), "values of the configuration")


def _checked(formats: Format, path: str, model: Any) -> tuple[str, str]:
    """How a file was loaded, and what is wrong with the model."""
    arrays = model.get_weights()
    for weight, array in zip(model.weights, arrays, strict=True):
        if weight.shape != array.shape or array.dtype != weight.dtype:
            return "loaded", f"{weight.name} has the shape {weight.shape}, its array {array.shape}, {array.dtype}"
    finite = all(np.isfinite(array).all() for array in arrays)
    return "loaded" if finite else "loaded, weights not finite", formats.differs(path, model)


def _computing() -> Iterator[float]:
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        yield usage.ru_utime + usage.ru_stime


def _forget_peak() -> None:
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def _kibibytes(what: str) -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(what))
