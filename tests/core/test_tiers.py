"""Which kernels run: what chooses them, and what happens where numba is missing or fails."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from minikeras import config
from minikeras.core import tiers

HAS_NUMBA = importlib.util.find_spec("numba") is not None
needs_numba = pytest.mark.skipif(not HAS_NUMBA, reason="needs numba")


def output_of(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )


def double(x):
    return 2 * x


def double_compiled(x):
    return 2.0 * x


def test_without_a_choice_compiled_kernels_run_where_numba_is_installed() -> None:
    assert output_of("from minikeras import config; print(config.kernels())", MINIKERAS_KERNELS="").stdout.strip() == (
        "numba" if HAS_NUMBA else "numpy"
    )


def test_the_environment_chooses() -> None:
    code = "from minikeras import config; print(config.kernels())"
    assert output_of(code, MINIKERAS_KERNELS="numpy").stdout.strip() == "numpy"


def test_an_unknown_choice_of_the_environment_is_warned_of_and_ignored() -> None:
    done = output_of("from minikeras import config; print(config.kernels())", MINIKERAS_KERNELS="cuda")
    assert 'MINIKERAS_KERNELS must be "numpy" or "numba" and is ignored. Received: \'cuda\'' in done.stderr


@pytest.mark.parametrize("name", ["Numba", "", None, 3])
def test_an_unknown_tier_is_refused(name) -> None:
    with pytest.raises(ValueError, match='kernels must be "numpy" or "numba"'):
        config.set_kernels(name)


def test_asking_for_numba_where_it_is_missing_names_the_extra(monkeypatch) -> None:
    monkeypatch.setattr(tiers, "_has_numba", lambda: False)
    with pytest.raises(ImportError, match=r"minikeras\[fast\]"):
        config.set_kernels("numba")


def test_the_environment_asking_for_a_missing_numba_is_a_warning(monkeypatch) -> None:
    monkeypatch.setattr(tiers, "_has_numba", lambda: False)
    monkeypatch.setattr(tiers, "_chosen", None)
    monkeypatch.setenv("MINIKERAS_KERNELS", "numba")
    with pytest.warns(UserWarning, match=r"isn't installed.*minikeras\[fast\]"):
        assert config.kernels() == "numpy"
    assert config.kernels() == "numpy"  # and says so once


def test_a_scope_restores_what_was_chosen() -> None:
    before = config.kernels(), config.winograd()
    with tiers.kernels_scope("numpy"):
        config.set_winograd(not before[1])
        assert config.kernels() == "numpy"
    assert (config.kernels(), config.winograd()) == before


def test_winograd_is_true_or_false() -> None:
    with pytest.raises(TypeError, match="winograd must be True or False"):
        config.set_winograd("off")
    assert output_of("from minikeras import config; print(config.winograd())", MINIKERAS_WINOGRAD="0").stdout == (
        "False\n"
    )


def test_a_kernel_runs_the_chosen_version(monkeypatch) -> None:
    kernel = tiers.tiered(double, double_compiled)
    for name, result in (("numpy", int), ("numba", float)):
        monkeypatch.setattr(tiers, "_chosen", name)
        assert type(kernel(2)) is result
    assert kernel.__name__ == "double"


def test_where_compiling_fails_numpys_kernels_run_after_one_warning(monkeypatch) -> None:
    def fails(x):
        raise tiers.CompilationError("no LLVM")

    monkeypatch.setattr(tiers, "_chosen", "numba")
    kernel = tiers.tiered(double, fails)
    with pytest.warns(UserWarning, match="numba couldn't compile a kernel.*no LLVM") as caught:
        assert [kernel(2), kernel(3)] == [4, 6]
    assert len(caught) == 1
    assert config.kernels() == "numpy"


def test_an_error_of_the_kernel_itself_is_not_hidden(monkeypatch) -> None:
    def fails(x):
        raise ZeroDivisionError

    monkeypatch.setattr(tiers, "_chosen", "numba")
    with pytest.raises(ZeroDivisionError):
        tiers.tiered(double, fails)(2)


@needs_numba
def test_numba_is_imported_by_the_first_kernel_that_is_compiled_and_never_again(tmp_path) -> None:
    code = (
        "import sys, numpy as np; from minikeras import kernels; before = 'numba' in sys.modules;"
        "kernels.relu_grad(np.ones(3), np.ones(3)); print(before, 'numba' in sys.modules)"
    )
    for imported in ("False True", "False False"):
        assert output_of(code, MINIKERAS_KERNELS="numba", NUMBA_CACHE_DIR=str(tmp_path)).stdout.strip() == imported


@needs_numba
def test_compiling_is_told_once_and_only_where_the_cache_has_nothing(tmp_path) -> None:
    code = (
        "import numpy as np; from minikeras import kernels;"
        "[kernels.relu_grad(np.ones(3, t), np.ones(3, t)) for t in ('float32', 'float64')]"
    )
    cache = str(tmp_path)
    first, second = (output_of(code, MINIKERAS_KERNELS="numba", NUMBA_CACHE_DIR=cache).stderr for _ in range(2))
    assert first.count("\n") == 1
    assert first.startswith(f"minikeras: compiling kernels (once; kept in {cache}")
    assert second == ""


@needs_numba
def test_what_numba_cannot_compile_is_a_compilation_error() -> None:
    from minikeras.kernels.compiled.jit import compiled

    @compiled
    def unknown(x):
        return x.no_such_attribute

    with pytest.raises(tiers.CompilationError, match="unknown: "):
        unknown(np.ones(3))


@needs_numba
@pytest.mark.parametrize(
    "error", [RuntimeError("LLVM IR parsing error\nline 2"), OSError(28, "No space"), RuntimeError()]
)
def test_what_llvm_or_the_disk_refuse_is_a_compilation_error(error) -> None:
    from minikeras.kernels.compiled.jit import compiled

    def refuse():
        raise error

    loop = compiled(double)
    loop.prepare = refuse
    with pytest.raises(tiers.CompilationError, match=r"^double: (LLVM IR parsing error|.*No space|RuntimeError)$"):
        loop(np.ones(3))


@needs_numba
def test_a_convolution_that_cannot_be_compiled_is_numpys() -> None:
    code = (
        "import numpy as np; from minikeras import config, kernels; x, w = np.ones((1, 6, 4)), np.ones((3, 4, 8));"
        "y = kernels.conv(x, w, strides=(1,), dilation=(1,), padding=((1, 1),)); print(y[0, :, 0], config.kernels())"
    )
    done = output_of(code, MINIKERAS_KERNELS="numba", NUMBA_DISABLE_JIT="1")  # where instructions can't be written
    assert done.stdout.strip() == "[ 8. 12. 12. 12. 12.  8.] numpy"
    assert done.stderr.count("numba couldn't compile a kernel") == 1
