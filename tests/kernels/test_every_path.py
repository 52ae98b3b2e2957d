"""Every path of every kernel, forced: it is taken, its value is the definition's, and its gradient is right.

In float64 and in float32, with blocks of the usual size and tiny ones, and with two threads. That no path is forgotten
is asserted as well: together the cases run every line of the kernels.
"""

from __future__ import annotations

import functools
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from minikeras import Tensor, config, kernels
from minikeras.core import threads
from minikeras.gradcheck import assert_gradients
from minikeras.kernels import blocks, pool, reduction
from minikeras.kernels.compiled import sharing
from minikeras.ops import reduce
from tests.kernels.paths import cases

# the package's names are the functions
conv, depthwise, shifted, winograd = (
    sys.modules[f"minikeras.kernels.{name}"] for name in ("conv", "depthwise", "shifted", "winograd")
)

CASES = {case.name: case for case in cases()}
TIERS = {  # the files of each tier of kernels
    "numpy": [
        *("activation", "blocks", "conv", "depthwise", "epilogue", "lowering", "normalization", "pool", "reduction"),
        *("resize", "shifted", "squashing", "winograd"),
    ],
}
WHOLE = {  # what can't be cut
    "channel_affine, channels of the first axis",
    "relu_grad of a number",
    "dropout, stretched",
    "row_sum",
    "relu of a number",
    "tanh of a number",
    "sigmoid of a number",
    "batch_norm, channels of the first axis",
    "batch_norm without scale, channels of the first axis",
}


@pytest.fixture
def taken(monkeypatch):
    """The set of the paths that run, by the names that the cases use."""
    found: set[str] = set()

    def watch(module, attribute, label):
        real = getattr(module, attribute)

        def spy(*args, **options):
            result = real(*args, **options)
            found.update(label(result, *args, **options))
            return result

        monkeypatch.setattr(module, attribute, spy)

    def walk(what):
        return lambda result, x, *args, **options: {f"{what}, {'rows' if args[-1].strides[-1] == 1 else 'positions'}"}

    def by_position(result, *args, rowwise, **options):
        return {"position, row by row" if rowwise else "position"}

    def by_tap(result, *args, whole_rows, **options):
        return {"tap, whole rows" if whole_rows else "tap"}

    watch(conv, "_convolve_by_projection", lambda *args: {"projection"})
    watch(conv, "_scatter_products", lambda *args: {"sums"})
    watch(winograd, "convolve", lambda *args: {"winograd"})
    watch(winograd, "kernel_grad", lambda *args: {"winograd kernel"})
    watch(shifted, "convolve", lambda *args: {"shifted"})
    watch(shifted, "kernel_grad", lambda *args: {"shifted kernel"})
    watch(conv, "columns_by_position", by_position)
    watch(conv, "columns_by_tap", by_tap)
    watch(conv, "_kernel_grad_by_position", lambda *args: {"kernel"})
    watch(conv, "_kernel_grad_by_tap", lambda *args: {"kernel"})
    watch(conv, "conv_kernel_grad", lambda *args, **options: {"mirrored"})  # by itself: operations call the package's
    watch(depthwise, "_filter", walk("depthwise"))
    watch(depthwise, "_kernel_grad", walk("depthwise kernel"))
    watch(pool, "is_tiled", lambda result, *args: {"tiled" if result else "not tiled"})
    watch(kernels, "channel_sum", lambda *args: {"channel_sum"})
    assert reduce.kernels is kernels
    return found


def named(taken):
    """The paths of a kernel's gradient are called as such, as its columns are those of other paths too."""
    if "kernel" not in taken:
        return taken
    columns = {
        "tap": "kernel: tap",
        "position": "kernel: position",
        "position, row by row": "kernel: position, row by row",
    }
    return {columns.get(path, path) for path in taken - {"kernel"}}


@pytest.fixture(params=["usual blocks", "tiny blocks", "two threads"])
def circumstances(request, monkeypatch):
    """What cuts the work in parts; gives a list that tells afterwards how often it was cut."""
    cuts: list[str] = []
    if request.param == "tiny blocks":
        real_blocks = blocks.blocks

        def spy(*args, **options):
            found = list(real_blocks(*args, **options))
            cuts.extend(["block"] * (len(found) - 1))
            return iter(found)

        monkeypatch.setattr(blocks, "BLOCK_BYTES", 50)
        monkeypatch.setattr(blocks, "BUFFERED", 0)
        monkeypatch.setattr(conv, "BUFFERED", 0)
        monkeypatch.setattr(blocks, "blocks", spy)
        monkeypatch.setattr(conv, "blocks", spy)
        monkeypatch.setattr(shifted, "blocks", spy)
        monkeypatch.setattr(winograd, "blocks", spy)
        yield "tiny blocks", cuts
    elif request.param == "two threads":
        real = threads._pool.help
        monkeypatch.setattr(threads, "WORTHWHILE", 0)
        monkeypatch.setattr(sharing, "WORTHWHILE", 0)
        monkeypatch.setattr(threads._pool, "help", lambda *args: cuts.append("thread") or real(*args))
        summon = sharing._Helpers.summon
        monkeypatch.setattr(sharing._Helpers, "summon", lambda *args: cuts.append("thread") or summon(*args))
        before = config.num_threads()
        config.set_num_threads(2)
        yield "two threads", cuts
        config.set_num_threads(before)
    else:
        yield "usual blocks", cuts


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_the_path_is_taken_and_its_value_and_its_gradient_are_right(name, dtype, tier, taken, circumstances):
    case = CASES[name]
    arrays = [array.astype(dtype) for array in case.arrays]
    result = case.f(*map(Tensor, arrays))
    if tier == "numpy":
        assert named(taken) == case.takes
        which, cuts = circumstances
        assert bool(cuts) == (which != "usual blocks" and name not in WHOLE)
    assert result.dtype == dtype
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    expected = by_definition(name)
    np.testing.assert_allclose(result.numpy(), expected, rtol=0, atol=tolerance * max(np.abs(expected).max(), 1.0))
    assert_gradients(case.f, arrays, dtype=dtype)


@functools.cache
def by_definition(name):
    case = CASES[name]
    return case.expected(*case.arrays)


def test_together_the_cases_run_every_line_of_the_kernels(tier, monkeypatch):
    if tier not in TIERS:
        pytest.skip("compiled code has no lines that Python sees")
    folder = Path(kernels.__file__).parent
    files = {str(folder / f"{name}.py") for name in TIERS[tier]}
    run: set[tuple[str, int]] = set()

    def lines(frame, event, argument):
        run.add((frame.f_code.co_filename, frame.f_lineno))
        return lines

    pool._taps.cache_clear()
    winograd._banded.cache_clear()
    reduction._ones.cache_clear()
    before = sys.gettrace()
    sys.settrace(lambda frame, event, argument: lines if frame.f_code.co_filename in files else None)
    try:
        for size, buffered in ((blocks.BLOCK_BYTES, blocks.BUFFERED), (50, 0)):
            monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
            monkeypatch.setattr(blocks, "BUFFERED", buffered)
            for case in CASES.values():
                for f in (case.f, _of_large_numbers(case)):
                    leaves = [Tensor(array, requires_grad=True) for array in case.arrays]
                    f(*leaves).sum().backward()
                    f(*map(Tensor, case.arrays))  # where nothing is recorded, some compute less
        _windows_that_do_not_fit()
    finally:
        sys.settrace(before)
    missed = {line for line in _code_lines(files) if line not in run and not _is_raise(*line)}
    assert not missed, f"no case in tests/kernels/paths.py runs {sorted(missed)}"


def _windows_that_do_not_fit():
    """`test_compiled.py` compares both tiers on them."""
    x, steps = np.ones((1, 2, 4)), {"strides": (1,), "dilation": (1,), "padding": ((0, 0),)}
    kernels.conv(x, np.ones((3, 4, 5)), **steps)
    kernels.depthwise_conv(x, np.ones((3, 4, 1)), **steps)


def _of_large_numbers(case):
    """Batch normalization rescales what is too large for its squares."""
    if not case.name.startswith("batch_norm"):
        return case.f
    return lambda x, *others: case.f(x * 1e200, *others)


def _code_lines(files):
    """The lines that functions have code on."""
    for file in files:
        codes = [compile(Path(file).read_text(encoding="utf-8"), file, "exec")]
        while codes:
            code = codes.pop()
            codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
            if code.co_name != "<module>":
                inside = (line for _, _, line in code.co_lines() if line and line != code.co_firstlineno)
                yield from ((file, line) for line in inside)


def _is_raise(file, line):
    return Path(file).read_text(encoding="utf-8").splitlines()[line - 1].strip().startswith("raise")
