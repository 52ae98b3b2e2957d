"""Which versions of the kernels run: NumPy's, or those that numba compiles. The choice is made here and nowhere else.

``$MINIKERAS_KERNELS`` is "numpy" or "numba"; without it, the compiled ones run where numba is installed.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_TIERS = ("numpy", "numba")

_chosen: str | None = None  # until somebody asks
_uses_winograd = os.environ.get("MINIKERAS_WINOGRAD") != "0"


class CompilationError(Exception):
    """A kernel couldn't be compiled."""


def kernels() -> str:
    """Return which versions of the kernels run: "numpy" or "numba"."""
    global _chosen
    if _chosen is None:
        _chosen = _choice_at_start()
    return _chosen


def set_kernels(name: str) -> None:
    """Set which versions of the kernels run, for the whole process.

    It starts as ``$MINIKERAS_KERNELS``, else as "numba" where that is installed, else as "numpy".

    Args:
        name: "numpy" for those that need nothing but NumPy, "numba" for compiled ones.

    Raises:
        ValueError: for anything else.
        ImportError: for "numba" where numba isn't installed.
    """
    global _chosen
    if not isinstance(name, str) or name not in _TIERS:
        raise ValueError(f'kernels must be "numpy" or "numba". Received: {name!r}')
    if name == "numba" and not _has_numba():
        raise ImportError('the kernels "numba" need numba, which isn\'t installed: pip install "minikeras[fast]"')
    _chosen = name


def winograd() -> bool:
    """Return whether convolutions may use Winograd's algorithm."""
    return _uses_winograd


def set_winograd(allowed: bool) -> None:
    """Set whether convolutions may use Winograd's algorithm: it is faster, and a digit less exact.

    It starts as True, unless ``$MINIKERAS_WINOGRAD`` is 0.

    Raises:
        TypeError: for what is neither True nor False.
    """
    global _uses_winograd
    if not isinstance(allowed, bool):
        raise TypeError(f"winograd must be True or False. Received: {allowed!r}")
    _uses_winograd = allowed


@contextmanager
def kernels_scope(name: str | None = None) -> Iterator[None]:
    """`set_kernels` for the body of a ``with`` statement; None leaves them as they are.

    On leaving, all choices are what they were before.
    """
    global _chosen, _uses_winograd
    before = _chosen, _uses_winograd
    if name is not None:
        set_kernels(name)
    try:
        yield
    finally:
        _chosen, _uses_winograd = before


def tiered(plain: Kernel, compiled: Callable[..., Any]) -> Kernel:
    """Return a kernel that is one or the other, as chosen; `plain` for good once something couldn't be compiled.

    Args:
        plain: what NumPy does.
        compiled: the same by functions that numba compiles when they are first called.
    """

    @functools.wraps(plain)
    def kernel(*args: Any, **options: Any) -> Any:
        if (_chosen or kernels()) == "numba":
            try:
                return compiled(*args, **options)
            except CompilationError as error:
                _give_up(error)
        return plain(*args, **options)

    return cast(Kernel, kernel)


def _give_up(error: CompilationError) -> None:
    global _chosen
    if _chosen == "numba":  # the first of several threads says so
        _chosen = "numpy"
        warnings.warn(f"numba couldn't compile a kernel, so NumPy's run instead: {error}", stacklevel=4)


def _choice_at_start() -> str:
    name = os.environ.get("MINIKERAS_KERNELS") or None
    if name not in (None, *_TIERS):
        warnings.warn(f'$MINIKERAS_KERNELS must be "numpy" or "numba" and is ignored. Received: {name!r}', stacklevel=4)
        name = None
    if name == "numba" and not _has_numba():
        warnings.warn(
            "$MINIKERAS_KERNELS is \"numba\", which isn't installed, so NumPy's kernels run: "
            'pip install "minikeras[fast]"',
            stacklevel=4,
        )
    return "numba" if name != "numpy" and _has_numba() else "numpy"


def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None
