"""The pytest plugin of minikeras: the fixture `gradcheck`, and ``--gradcheck-plots`` for pictures of what failed.

It stands beside the package and not in it, because pytest imports it at every start wherever minikeras is installed:
importing a module of the package would import NumPy and the engine with it, which costs every run its time, and would
have run most of a package under test before pytest-cov looks. So minikeras is imported by the first test that asks for
the fixture.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import warnings
import zlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from minikeras.gradcheck import GradientReport

SECTION = "gradcheck"


class GradientChecks:
    """What the fixture `gradcheck` gives: checks of gradients that fail the test with their report.

    The directions and cotangents of a check are drawn from a seed that is made of the test's name: other tests use
    others, and the next run the same. ``seed=`` sets another one.

    Args:
        item: The test.

    Example:
        A test of one's own derivative, of a layer and of a model::

            def test_gradients(gradcheck):
                gradcheck(cube, np.array([1.0, 2.0]))
                gradcheck.layer(MyLayer(4), (8, 8, 3), order=2)
                gradcheck.model(model, x, y)
    """

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._seed = zlib.crc32(item.name.encode())

    def __call__(self, f: Any, *arguments: Any, **options: Any) -> GradientReport:
        """Check a function as `minikeras.gradcheck.check_gradients` does, or judge a report that one has already.

        Args:
            f: What `check_gradients` takes, or a `GradientReport`.
            *arguments: As for `check_gradients`.
            **options: As for `check_gradients`.

        Returns:
            The report.

        Raises:
            GradientError: An AssertionError, if a gradient is wrong or can't be confirmed.
        """
        __tracebackhide__ = True
        if isinstance(f, _module().GradientReport):
            return _module().assert_gradients(f, *arguments, **options)
        return self._checked(_module().check_gradients, f, *arguments, **options)

    def layer(self, layer: Any, *arguments: Any, **options: Any) -> GradientReport:
        """Check a layer as `minikeras.gradcheck.check_layer` does; returns and raises as a call does."""
        __tracebackhide__ = True
        return self._checked(_module().check_layer, layer, *arguments, **options)

    def model(self, model: Any, *arguments: Any, **options: Any) -> GradientReport:
        """Check a compiled model as `minikeras.gradcheck.check_model` does; returns and raises as a call does."""
        __tracebackhide__ = True
        return self._checked(_module().check_model, model, *arguments, **options)

    def _checked(self, check: Callable[..., GradientReport], *arguments: Any, **options: Any) -> GradientReport:
        __tracebackhide__ = True
        options = {"seed": self._seed, **options}
        report = check(*arguments, **options)
        if not report.ok:
            self._item.add_report_section("call", SECTION, f"checked with seed={options['seed']}")
            raise _module().GradientError(report)
        self._item.add_report_section("call", SECTION, str(report))  # which -rP shows
        return report


@pytest.fixture
def gradcheck(request: pytest.FixtureRequest) -> GradientChecks:
    """Check gradients of functions, layers and models; a wrong one fails the test with a report of what is wrong."""
    return GradientChecks(request.node)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--gradcheck-plots``."""
    parser.getgroup("minikeras").addoption(
        "--gradcheck-plots",
        metavar="DIR",
        type=Path,
        help="write a picture of every failed gradient check into this folder (needs matplotlib)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Find out before the first test whether there can be pictures."""
    folder = config.getoption("gradcheck_plots")
    if folder is None:
        return
    if importlib.util.find_spec("matplotlib") is None:
        raise pytest.UsageError("--gradcheck-plots needs matplotlib: pip install 'minikeras[plot]'")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise pytest.UsageError(f"--gradcheck-plots must be a folder that can be written to: {error}") from None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Draw what a failed check has found, also one that was made without the fixture."""
    folder = item.config.getoption("gradcheck_plots")
    loaded = sys.modules.get("minikeras.gradcheck")
    if folder is not None and loaded is not None and call.excinfo is not None:
        error = call.excinfo.value
        if isinstance(error, loaded.GradientError):
            item.add_report_section(call.when, SECTION, _drawn(error.report, folder, item.nodeid))
    return (yield)


def _drawn(report: GradientReport, folder: Path, test: str) -> str:
    """Write the picture of a report; returns what to tell about it."""
    path = folder / f"{re.sub(r'[^A-Za-z0-9_.]+', '-', test)[:100]}-{zlib.crc32(test.encode()):08x}.png"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matplotlib warns of is no fault of the test
        try:
            report.plot(path)
        except OSError as error:
            return f"no picture: {error}"
    return f"picture: {path}"


def _module() -> Any:
    return importlib.import_module("minikeras.gradcheck")
