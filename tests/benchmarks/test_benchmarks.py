"""That the benchmarks run, at sizes that measure nothing; what they find is looked at by who runs ``make bench``."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
WORKLOADS = ["mnist", "cifar", "wavenet", "xception", "autoencoder", "voxel", "digits"]


@pytest.fixture(scope="module")
def modules():
    """The programs' modules, which find one another as scripts of one folder do."""
    sys.path.insert(0, str(HERE))
    names = ["cases", "contenders", "keras_api", "machine", "measuring", "report", "run", "workloads"]
    before = {name: sys.modules.pop(name, None) for name in names}
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(HERE))
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / "run.py"), "--tiny", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_a_run_of_everything_measures_minikeras_and_keeps_the_results(tmp_path: Path) -> None:
    kept = tmp_path / "results.json"
    done = run("--workloads", "digits", "--contenders", "numpy", "--json", str(kept))
    assert done.returncode == 0, done.stderr
    results = json.loads(kept.read_text())
    times = results["workloads"]["digits"]
    assert all(times[measure]["numpy"]["min"] > 0 for measure in ("step", "fit", "predict", "one"))
    assert all(item["times"]["numpy"]["min"] > 0 for part in ("operations", "shapes") for item in results[part])
    assert results["growth"]["layers"]["2"]["times"]["numpy"]["min"] > 0
    assert results["memory"]["digits"]["numpy"]["added"] > 0
    assert results["import"]["minikeras-numpy"][0] > 0
    # 2 * (8 * 8 * 9 * 16 + 6 * 6 * 9 * 16 * 16 + 144 * 10) forward; the same twice in backward but for the first layer
    forward = [2 * 32 * n for n in (64 * 9 * 16, 36 * 9 * 256, 144 * 10)]
    assert results["profile"]["numpy"]["digits"]["products"] == 3 * sum(forward) - forward[0]
    for title in ("One training step", "Single operations", "Growth", "Memory", "Import", "Where a step's time goes"):
        assert f"### {title}" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba isn't installed")
def test_the_compiled_kernels_take_part_where_numba_is(tmp_path: Path) -> None:
    kept = tmp_path / "results.json"
    done = run("--workloads", "digits", "--parts", "workloads", "--contenders", "numba", "--json", str(kept))
    assert done.returncode == 0, done.stderr
    assert json.loads(kept.read_text())["workloads"]["digits"]["step"]["numba"]["min"] > 0


def test_who_isnt_installed_is_named_and_left_out() -> None:
    done = run("--workloads", "digits", "--parts", "import", "--contenders", "keras-none")
    assert done.returncode == 2
    assert "'keras-none' is none of numpy, numba" in done.stderr


@pytest.mark.parametrize("name", WORKLOADS)
def test_each_workload_is_built_and_learns(modules, name: str) -> None:
    api = modules["keras_api"].KerasApi("minikeras")
    given = modules["workloads"].find(name)
    model = api.model(given)
    assert model.input_shape == (None, *given.shape)
    assert model.output_shape == ((None, given.classes) if given.classes else (None, *given.shape))
    x, y = modules["keras_api"].data(given, 1)
    assert math.isfinite(model.train_on_batch(x[:2], y[:2]))


def test_the_same_seed_draws_the_same_shapes_and_another_one_others(modules) -> None:
    draw = modules["cases"].random_shapes
    assert draw(3) == draw(3)
    assert draw(3) != draw(4)
    assert len(draw(3)) == 50
    kinds = {(case.kind, len(case.size)) for case in draw(3)}
    assert {("conv", 1), ("conv", 2), ("conv", 3), ("depthwise", 2), ("transposed", 2), ("max_pool", 2)} <= kinds


def test_no_random_shape_is_larger_than_a_small_network(modules) -> None:
    for seed in range(20):
        for case in modules["cases"].random_shapes(seed):
            elements = case.batch * math.prod(case.size) * max(case.channels, case.filters)
            assert elements <= 2**22 or case.batch == 1, case
            assert min(case.size) > case.dilation * (case.window - 1), case


def test_a_ratio_is_the_faster_layout_of_the_peer_by_ours(modules) -> None:
    times = {"numpy": {"min": 2.0}, "torch-first": {"min": 6.0}, "torch-last": {"min": 5.0}}
    results = {"workloads": {"a": {"step": times}, "b": {"step": {**times, "numpy": {"min": 10.0}}}}}
    report = modules["report"]
    found = report.ratios(results, "step", "numpy", modules["contenders"].EAGER)
    assert found == {"a": 2.5, "b": 0.5}
    assert report.geometric_mean(found.values()) == pytest.approx(math.sqrt(1.25))


@pytest.fixture
def results(modules):
    """What a run would keep in which every contender takes 1 ms more than the one before."""
    names = [contender.name for contender in modules["contenders"].CONTENDERS]
    times = {name: {"min": 4.0 + i, "median": 5.0 + i, "rounds": 3} for i, name in enumerate(names)}
    measures = dict.fromkeys(("step", "fit", "predict", "one"), times)
    cases = [
        {"case": case.to_dict(), "layer": case.layer, "part": case.part, "times": times}
        for case in modules["cases"].random_shapes(0, 5)
    ]
    profiles = {"ms": 4.0, "products": 1e8, "rows": [{"layer": "a", "operation": "conv", "ms": 3.0, "gflops": 9.0}]}
    added = {name: {"added": 1000 * (i + 1)} for i, name in enumerate(names)}
    return {
        "machine": {"processor": "a machine", "cores": 2, "system": "Linux", "python": "3.12.1", "used": [0.0, 0.1]},
        "versions": {"torch": "2"},
        "peak": 100.0,
        "workloads": {"mnist": measures, "digits": {**measures, "fit": {}, "step": {"numba": {"error": "it fell"}}}},
        "operations": cases,
        "shapes": cases,
        "growth": {"layers": {"1": {"times": times}, "2": {"times": times}}},
        "memory": {"mnist": added},
        "import": {"torch": [1.0, 3.0]},
        "profile": {"numpy": {"mnist": profiles}},
    }


def test_the_tables_show_ratios_limits_and_failures(modules, results) -> None:
    page = modules["report"].markdown(results)
    lines = {line.split(" | ")[0].strip("| "): line for line in page.splitlines() if line.startswith("|")}
    assert lines["training step, PyTorch eager"] == "| training step, PyTorch eager | 1.50 (1.50) | 1.20 (1.20) |"
    assert lines["memory that training adds, PyTorch eager, `mnist`"].endswith("| 3.00 | 1.50 |")
    assert lines["limit, ms"] == "| limit, ms | 1 |"
    assert lines["minikeras, NumPy, % of limit"].endswith("| 25% |")
    assert "| minikeras, numba | 5 (6) | failed |  |" in page
    assert "layers: minikeras, NumPy | 1.00 | 0.45 |" in page  # a step of twice the layers is 11/5 of the work
    assert "a conv 75%" in page
    assert lines["the fastest Keras 3 / minikeras, NumPy"].endswith("| 2.50 | 2.50 | 2.50 |")
    assert "3 rounds; others used 0.0 to 0.1 cores" in page
    assert "busy" not in page
    results["machine"]["used"][1] = 0.9
    assert modules["report"].markdown(results).startswith("**The machine was busy")


def test_the_picture_is_drawn(modules, results, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    modules["report"].draw(results, tmp_path / "images" / "performance.png")
    assert (tmp_path / "images" / "performance.png").stat().st_size > 1000


def test_libraries_with_keras_names_are_divided_by_the_batches_of_a_call(modules) -> None:
    times = {"numpy": {"min": 8.0}, "torch-first": {"min": 3.0}}
    results = {"workloads": {"a": {"predict": times}}}
    assert modules["report"].ratios(results, "predict", "numpy", ["torch-first"]) == {"a": 1.5}


def test_the_minimum_is_of_all_times_and_the_median_of_the_rounds(modules) -> None:
    assert modules["contenders"].summary([[5.0, 1.0, 3.0], [7.0], [4.0]]) == {
        "min": 1.0,
        "median": 4.0,
        "rounds": 3,
    }
    assert "error" in modules["contenders"].summary([[], []])


def test_no_round_but_the_first_begins_when_time_is_over(modules) -> None:
    contenders = modules["contenders"]

    class Field:
        def __init__(self) -> None:
            self.contenders = contenders.CONTENDERS[:1]
            self.workers = {"minikeras-numpy": self}
            self.turns = 0

        def prepare(self, **job):
            return 1, {}

        def time(self, number, seconds):
            self.turns += 1
            return [1.0]

        def ask(self, **request):
            return {}

    for until, rounds in ((0.0, 1), (float("inf"), 4)):
        found = contenders.race(field := Field(), {"it": {"task": "gemm"}}, 4, 0.1, ["numpy"], until)
        assert field.turns == found["it"]["numpy"]["rounds"] == rounds


def test_the_page_keeps_what_stands_around_the_tables(modules, tmp_path: Path) -> None:
    report = modules["report"]
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{report.BEGIN}\nold\n{report.END}\n\nafter\n")
    report.write_page(page, "new")
    report.write_page(page, "newer")
    assert page.read_text() == (f"before\n\n{report.BEGIN}\n\n{report.PICTURE}\n\nnewer\n\n{report.END}\n\nafter\n")
    page.write_text("no markers")
    with pytest.raises(ValueError, match="must have the lines"):
        report.write_page(page, "new")


@pytest.mark.skipif(os.name != "posix", reason="interpreters are shell scripts here")
def test_a_peer_runs_in_the_first_interpreter_that_has_it(modules, tmp_path: Path, monkeypatch) -> None:
    contenders = modules["contenders"]
    worker = tmp_path / "worker.py"
    worker.write_text(
        'import sys; print(\'{"version": "2"}\' if \'has\' in sys.argv else \'{"missing": "it is not here"}\')'
    )
    monkeypatch.setattr(contenders, "WORKER", worker)
    pythons = {name: tmp_path / name for name in ("without", "with")}
    for name, path in pythons.items():
        path.write_text(f'#!/bin/sh\nexec {sys.executable} "$@" {"has" if name == "with" else ""}\n')
        path.chmod(0o755)
    said: list[str] = []
    field = contenders.Field(["torch-first"], [str(pythons["without"]), str(pythons["with"])], said.append)
    assert field.pythons == {"torch": str(pythons["with"])}
    assert field.versions() == {"torch": "2"}
    field.close()
    assert not contenders.Field(["torch-first"], [str(pythons["without"])], said.append).contenders
    assert said == ["without PyTorch, channels_first: it is not here"]


def test_a_turn_is_four_calls_at_least_unless_they_take_long(modules, monkeypatch) -> None:
    measuring = modules["measuring"]
    clock = [0.0]
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: clock[0])
    for seconds, calls in ((0.01, 20), (0.1, 4), (0.4, 3), (2.0, 1)):
        taken = lambda seconds=seconds: clock.__setitem__(0, clock[0] + seconds)  # noqa: E731
        assert measuring.timed(taken, 0.195) == pytest.approx([1e3 * seconds] * calls)


def test_what_others_compute_is_asked_in_a_while(modules, monkeypatch, tmp_path) -> None:
    machine, clock = modules["machine"], [0.0]
    statistics = tmp_path / "stat"

    def sleep(seconds: float) -> None:
        clock[0] += seconds
        ticks = 150 * os.sysconf("SC_CLK_TCK") // 100
        statistics.write_text(f"cpu {1000 + ticks} 20 300 99999 4 5 6 7 8 9\ncpu0 1 1 1 1\n")

    monkeypatch.setattr(machine, "STATISTICS", statistics)
    monkeypatch.setattr(machine.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(machine.time, "sleep", sleep)
    assert machine.used_cores(2.0) == []  # a system that doesn't say
    statistics.write_text("cpu 1000 20 300 88888 1 5 6 7 8 9\ncpu0 1 1 1 1\n")
    assert machine.used_cores(0.0) == []
    assert machine.used_cores(2.0) == pytest.approx([0.75])  # 1.5 s of work in 2 s; idling and waiting are none


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_contenders_stand_still_unless_they_are_asked(modules) -> None:
    worker = modules["contenders"].Worker("minikeras-numpy", sys.executable)

    def state() -> str:
        return Path(f"/proc/{worker._process.pid}/stat").read_text().rpartition(")")[2].split()[0]

    try:
        for _ in range(2):
            until = time.monotonic() + 20
            while state() != "T" and time.monotonic() < until:
                time.sleep(0.001)
            assert state() == "T"
            number, answer = worker.prepare("gemm", size=8)
            assert answer == {}
            assert worker.time(number, 0.001)
        process = worker._process
    finally:
        worker.close()
    assert process.returncode == 0


def test_a_contender_that_dies_is_left_out_and_says_why(modules) -> None:
    worker = modules["contenders"].Worker("nothing-there", sys.executable)
    assert worker.missing is not None
    assert worker.ask(forget=True) == {"error": worker.missing}
    worker.close()
