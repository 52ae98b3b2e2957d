"""Every example in a docstring runs and shows what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import minikeras

MODULES = [module.name for module in pkgutil.walk_packages(minikeras.__path__, "minikeras.")]


@pytest.mark.parametrize("name", ["minikeras", *(name for name in MODULES if name != "minikeras.__main__")])
def test_the_examples_of(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # for examples that write files
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        if "pip install 'minikeras[" not in str(error):
            raise
        pytest.skip(str(error))
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0
