"""The fixture `gradcheck`, as a project that has minikeras installed meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

import minikeras.gradcheck  # noqa: F401 (or the runs inside this process would import it, and pytester forget it again)
from minikeras import layers, models  # noqa: F401

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parent.parent.parent

HEAD = """
import numpy as np
import pytest
from minikeras import ops
from minikeras.gradcheck import assert_gradients, check_gradients

def loss(x):
    return (x**3).sum()

def wrong(x):
    return 2 * x**2

X = np.array([1.0, 2.0, 3.0])
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Function that runs tests with the plugin, in this process or in another."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # whatever else is installed

    def run(source, *arguments, apart=False):
        pytester.makepyfile(test_it=source)
        runner = pytester.runpytest_subprocess if apart else pytester.runpytest_inprocess
        return runner("-p", "pytest_minikeras", "-p", "no:cacheprovider", *arguments)

    return run


def test_functions_layers_and_models_pass_where_gradients_agree(run):
    result = run(
        HEAD
        + """
from minikeras import Sequential
from minikeras.layers import Dense

def test_function(gradcheck):
    assert gradcheck(ops.sin, X, order=2).ok
    assert gradcheck(loss, X, gradient=lambda x: 3 * x**2).ok

def test_layer(gradcheck):
    assert [r.shape for r in gradcheck.layer(Dense(2), (3,)).results] == [(2, 3), (3, 2), (2,)]

def test_model(gradcheck):
    model = Sequential([Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse")
    assert len(gradcheck.model(model, np.ones((4, 3)), np.ones((4, 1))).results) == 2
"""
    )
    result.assert_outcomes(passed=3)


def test_a_failure_shows_the_report_and_the_users_line_and_nothing_of_ours(run):
    result = run(HEAD + "def test_it(gradcheck):\n    gradcheck(loss, X, gradient=wrong)\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*gradcheck(loss, X, gradient=wrong)",
            "E * check_gradients of loss: 1 of 1 gradient is wrong",
            "E * WRONG *x*(3,)*wrong*",
            "E *step *",
            "test_it.py:*: GradientError",
            "*gradcheck call*",
            "checked with seed=*",
        ]
    )
    result.stdout.no_fnmatch_line("*pytest_minikeras.py:*")
    result.stdout.no_fnmatch_line("*minikeras/gradcheck/*")


def test_without_the_fixture_a_failure_looks_the_same(run):
    result = run(HEAD + "def test_it():\n    assert_gradients(loss, X, gradient=wrong)\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *check_gradients of loss: 1 of 1 gradient is wrong", "test_it.py:*: GradientError"])
    result.stdout.no_fnmatch_line("*minikeras/gradcheck/*")


def test_a_report_that_one_has_already_can_be_judged(run):
    result = run(
        HEAD
        + """
def test_right(gradcheck):
    gradcheck(check_gradients(ops.sin, X))

def test_wrong(gradcheck):
    gradcheck(check_gradients(loss, X, gradient=wrong))
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E *check_gradients of loss: 1 of 1 gradient is wrong"])


def test_reports_of_what_passed_are_shown_on_demand(run):
    result = run(HEAD + "def test_it(gradcheck):\n    gradcheck(ops.sin, X)\n", "-rP")
    result.stdout.fnmatch_lines(["*gradcheck call*", "check_gradients of sin: 1 gradient agrees with differences"])


def test_seeds_come_from_the_tests_names_and_can_be_chosen(run):
    source = (
        HEAD
        + """
import minikeras.gradcheck
seeds = []

@pytest.fixture(autouse=True)
def spy(monkeypatch):
    real = minikeras.gradcheck.check_gradients
    def check(*arguments, **options):
        seeds.append(options["seed"])
        return real(*arguments, **options)
    monkeypatch.setattr(minikeras.gradcheck, "check_gradients", check)

@pytest.mark.parametrize("case", [1, 2])
def test_it(gradcheck, case):
    gradcheck(ops.sin, X)

def test_chosen(gradcheck):
    gradcheck(ops.sin, X, seed=7)

def test_seeds():
    print("seeds", *seeds)
"""
    )
    lines = [next(line for line in run(source, "-s").outlines if "seeds " in line) for _ in range(2)]
    seeds = lines[0].split("seeds ")[1].split()[:3]
    assert lines[0].split("seeds ")[1] == lines[1].split("seeds ")[1]
    assert len(set(seeds)) == 3
    assert seeds[2].startswith("7")


def test_pictures_of_failures_go_into_a_folder(run, pytester):
    pytest.importorskip("matplotlib")
    source = (
        HEAD
        + """
@pytest.mark.parametrize("case", ["a/b", "a b"])
def test_it(gradcheck, case):
    gradcheck(loss, X, gradient=wrong)

def test_without_the_fixture():
    assert_gradients(loss, X, gradient=wrong)

def test_right(gradcheck):
    gradcheck(ops.sin, X)
"""
    )
    result = run(source, "--gradcheck-plots", "new/pictures", "-W", "error", apart=True)
    result.assert_outcomes(failed=3, passed=1)
    written = sorted((pytester.path / "new" / "pictures").iterdir())
    assert len(written) == 3
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
    result.stdout.fnmatch_lines([f"picture: *{written[-1].name}"])


def test_a_folder_that_cannot_be_made_is_told_before_the_first_test(run, pytester):
    pytest.importorskip("matplotlib")
    (pytester.path / "file").write_text("")
    result = run("def test_it(): pass", "--gradcheck-plots", "file")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --gradcheck-plots must be a folder that can be written to: *file*"])


def test_without_matplotlib_the_option_says_what_to_install(run, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = run("def test_it(): pass", "--gradcheck-plots", "folder")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --gradcheck-plots needs matplotlib: pip install 'minikeras?plot?'"])


def test_nothing_of_minikeras_is_imported_until_a_test_asks_for_the_fixture(run):
    source = """
import sys

def loaded():
    return [name for name in ("minikeras", "numpy", "matplotlib") if name in sys.modules]

def test_without():
    assert not loaded()

def test_fixture_alone(gradcheck):
    assert not loaded()

def test_with(gradcheck):
    gradcheck(lambda x: x * x, 3.0)
    assert loaded() == ["minikeras", "numpy"]
"""
    run(source, apart=True).assert_outcomes(passed=3)


def test_the_entry_point_is_named_like_the_module(request):
    """So that ``-p pytest_minikeras`` is the same plugin whether minikeras is installed or not, and never twice."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '[project.entry-points.pytest11]\npytest_minikeras = "pytest_minikeras"\n' in text
