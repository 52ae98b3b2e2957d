"""Measure minikeras beside its peers, in one run in which they take turns; see docs/performance.md.

Usage: ``python tests/benchmarks/run.py [options]``, or ``make bench``. Peers take part where they are installed, in
this interpreter or in those of ``--peers``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import report
from cases import operations, random_shapes
from contenders import CONTENDERS, EAGER, Contender, Field, race
from machine import description, used_cores
from workloads import GROWTH_AXES, WORKLOADS

ROOT = Path(__file__).resolve().parents[2]
PARTS = {  # how much of the time is for each
    "workloads": 0.55,
    "operations": 0.1,
    "shapes": 0.12,
    "growth": 0.08,
    "memory": 0.08,
    "import": 0.04,
    "profile": 0.03,
}
MEASURES = ("step", "fit", "predict", "one")
FACTORS = (1, 2, 4, 8, 16)
THREADS = [f"{name}_NUM_THREADS" for name in ("MINIKERAS", "OMP", "OPENBLAS", "MKL")]
THREADS += ["TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"]
SLOW_TO_START = ("torch-compiled",)  # a minute of compiling for each workload


def say(line: str) -> None:
    """Tell how far it is, without disturbing what goes to standard output."""
    print(f"[{time.strftime('%H:%M:%S')}] {line}", file=sys.stderr, flush=True)


class Bench:
    """A run.

    Args:
        options: Of the command line.
        field: The contenders.
    """

    def __init__(self, options: argparse.Namespace, field: Field) -> None:
        self.options = options
        self.field = field
        asked = {name: getattr(options, name) for name in ("rounds", "seconds", "seed", "threads")}
        self.found: dict[str, Any] = {"machine": description(), "versions": field.versions(), "options": asked}
        self.found["machine"]["used"] = []
        self.gemm: list[float] = []
        self.end = time.monotonic() + 60 * options.minutes
        self.end_of_part = self.end

    def run(self) -> dict[str, Any]:
        """Measure all parts that are asked for."""
        for i, part in enumerate(self.options.parts):
            say(part)
            self.found["machine"]["used"] += used_cores(self.options.seconds)
            share = PARTS[part] / sum(PARTS[later] for later in self.options.parts[i:])
            self.end_of_part = time.monotonic() + share * (self.end - time.monotonic())
            self.found[part] = getattr(self, f"_{part}")()
            self._measure_gemm()
            self._keep()
        return self.found

    def _keep(self) -> None:
        """Put what is known so far into the file: a long run may be interrupted."""
        size = self.options.gemm_size
        self.found["peak"] = 2e-6 * size**3 / min(self.gemm) if self.gemm else None  # GFLOP/s
        if self.options.json is not None:
            self.options.json.write_text(json.dumps(self.found, indent=1) + "\n", encoding="utf-8")

    def _names(self, *further: str) -> list[str]:
        """minikeras, PyTorch eager and what else is named."""
        return [c.name for c in CONTENDERS if c.own or c.name in (*EAGER, *further)]

    def _race(self, job: dict[str, Any], share: float, names: list[str], still_to_come: int) -> dict[str, Any]:
        """`race` with a share of the usual seconds, in what is left for this part divided by what is still to come."""
        now = time.monotonic()
        until = now + (self.end_of_part - now) / still_to_come
        return race(self.field, job, self.options.rounds, self.options.seconds * share, names, until)

    def _workloads(self) -> dict[str, Any]:
        found: dict[str, Any] = {name: {} for name in self.options.workloads}
        pairs = [(name, measure) for name in found for measure in MEASURES]
        everyone = [c.name for c in CONTENDERS]
        for i, (name, measure) in enumerate(pairs):
            if measure == MEASURES[0]:
                say(f"  {name}")
                self._measure_gemm()
            job = {measure: {"task": "workload", "name": name, "measure": measure}}
            found[name].update(self._race(job, 1.0, everyone, len(pairs) - i))
        return found

    def _operations(self) -> list[dict[str, Any]]:
        return list(self._cases(operations()[:: self.options.every]))

    def _shapes(self) -> list[dict[str, Any]]:
        return list(self._cases(random_shapes(self.options.seed, self.options.shapes)))

    def _cases(self, cases: list[Any]) -> Iterator[dict[str, Any]]:
        for i, case in enumerate(cases):
            job = {"it": {"task": "case", "case": case.to_dict()}}
            names = self._names(*(["torch-fused"] if case.part == "step" else []))
            times = self._race(job, 0.2, names, len(cases) - i)["it"]
            yield {"case": case.to_dict(), "layer": case.layer, "part": case.part, "times": times}

    def _growth(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for i, axis in enumerate(GROWTH_AXES):
            names = {f"{axis}×{factor}": factor for factor in self.options.factors}
            jobs = {name: {"task": "workload", "name": name, "measure": "step"} for name in names}
            times = self._race(jobs, 0.5, self._names(), len(GROWTH_AXES) - i)
            found[axis] = {str(factor): {"times": times[name]} for name, factor in names.items()}
            own = next((c for c in self.field.contenders if c.own), None)
            if own is not None:
                for factor in (self.options.factors[0], self.options.factors[-1]):
                    name = f"{axis}×{factor}"
                    told = self.field.workers[own.library].ask(tell="activation_bytes", workload=name)
                    found[axis][str(factor)].update(
                        activations=told.get("told"), added=self._memory_of(own, name).get("added")
                    )
        return found

    def _memory(self) -> dict[str, Any]:
        alone = [c for c in self.field.contenders if c.variant in ("", *[name.partition("-")[2] for name in EAGER])]
        found: dict[str, Any] = {}
        for name in self.options.workloads:
            if not found or time.monotonic() < self.end_of_part:
                found[name] = {contender.name: self._memory_of(contender, name) for contender in alone}
        return found

    def _memory_of(self, contender: Contender, workload: str) -> dict[str, Any]:
        worker = self.field.start(contender)
        answer = worker.ask(memory=workload, variant=contender.variant)
        worker.close()
        return answer

    def _import(self) -> dict[str, Any]:
        libraries = {contender.library: contender for contender in self.field.contenders}
        times: dict[str, list[float]] = {library: [] for library in libraries}
        for i in range(min(self.options.rounds, 3)):
            if i and time.monotonic() > self.end_of_part:
                break
            for library, contender in libraries.items():
                worker = self.field.start(contender)
                times[library].append(worker.imported)
                worker.close()
        return times

    def _profile(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for contender in (contender for contender in self.field.contenders if contender.own):
            worker = self.field.workers[contender.library]
            seconds = 2 * self.options.seconds
            answers = {n: worker.ask(tell="profile", workload=n, seconds=seconds) for n in self.options.workloads}
            found[contender.name] = {name: answer.get("told") or answer for name, answer in answers.items()}
        return found

    def _measure_gemm(self) -> None:
        if self.field.own is not None:
            number, answer = self.field.own.prepare("gemm", size=self.options.gemm_size)
            if not answer:
                self.gemm += self.field.own.time(number, self.options.seconds)


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options; lists are separated by commas or spaces."""
    everyone = [contender.name for contender in CONTENDERS]
    parser = argparse.ArgumentParser(description="minikeras beside its peers")
    parser.add_argument("--rounds", type=int, default=5, help="how many times the contenders take turns")
    parser.add_argument("--seconds", type=float, default=0.2, help="for each turn of a workload")
    parser.add_argument("--minutes", type=float, default=8.0, help="about so long; on a slow machine with fewer rounds")
    parser.add_argument("--threads", type=int, help="of every contender; as many as there are cores if not given")
    parser.add_argument("--workloads", nargs="*", default=[], help=f"of {', '.join(WORKLOADS)}; default all")
    parser.add_argument("--contenders", nargs="*", default=[], help=f"of {', '.join(everyone)}, or all")
    parser.add_argument("--parts", nargs="*", default=[], help=f"of {', '.join(PARTS)}; default all")
    parser.add_argument("--peers", nargs="+", default=[sys.executable], help="interpreters that have the peers")
    parser.add_argument("--seed", type=int, default=0, help="of the random shapes")
    parser.add_argument("--shapes", type=int, default=50, help="how many random shapes")
    parser.add_argument("--json", type=Path, help="file for the results; with --page docs/performance.json")
    parser.add_argument("--page", action="store_true", help="write the tables of docs/performance.md and its picture")
    parser.add_argument("--from-json", type=Path, help="measure nothing, and show the results of an earlier run")
    parser.add_argument("--tiny", action="store_true", help="as little as possible of everything, to test this program")
    options = parser.parse_args(arguments)
    options.workloads = _chosen(parser, options.workloads, list(WORKLOADS), list(WORKLOADS))
    usual = [name for name in everyone if name not in SLOW_TO_START]
    wanted = everyone if options.contenders == ["all"] else options.contenders
    options.contenders = _chosen(parser, wanted, everyone, usual)
    options.parts = _chosen(parser, options.parts, list(PARTS), list(PARTS))
    if (
        options.rounds < 1
        or options.shapes < 1
        or options.seconds < 0
        or options.minutes <= 0
        or (options.threads is not None and options.threads < 1)
    ):
        parser.error(
            "--rounds and --shapes must be at least 1, --seconds at least 0, --minutes and --threads more than 0"
        )
    options.every, options.gemm_size, options.factors = 1, 1024, FACTORS
    if options.tiny:
        options.rounds, options.seconds, options.shapes = 1, 0.0, 2
        options.every, options.gemm_size, options.factors = 11, 64, FACTORS[:2]
    if options.page and options.json is None:
        options.json = ROOT / "docs" / "performance.json"
    return options


def _chosen(parser: argparse.ArgumentParser, given: list[str], allowed: list[str], usual: list[str]) -> list[str]:
    names = [name for text in given for name in text.replace(",", " ").split()]
    for name in names:
        if name not in allowed:
            parser.error(f"{name!r} is none of {', '.join(allowed)}")
    return [name for name in allowed if name in names] if names else usual


def main(arguments: list[str] | None = None) -> None:
    """Measure, keep the results and show them."""
    options = parsed(arguments)
    if options.from_json is not None:
        results = json.loads(options.from_json.read_text(encoding="utf-8"))
    else:
        if options.threads is not None:
            os.environ.update(dict.fromkeys(THREADS, str(options.threads)))
        field = Field(options.contenders, options.peers, say)
        try:
            results = Bench(options, field).run()
        finally:
            field.close()
    page = report.markdown(results)
    print(page)
    if options.page:
        report.write_page(ROOT / "docs" / "performance.md", page)
        report.draw(results, ROOT / "docs" / "images" / "performance.png")


if __name__ == "__main__":
    main()
