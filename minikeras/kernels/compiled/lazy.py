"""numba and llvmlite, imported where they are needed and not before."""

from __future__ import annotations

import importlib
from typing import Any

from ...core.tiers import CompilationError


def imported(name: str) -> Any:
    """The module of numba or llvmlite."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # one that doesn't fit NumPy's version fails in many ways
        raise CompilationError(f"import {name}: {error}") from error
