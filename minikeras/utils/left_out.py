"""Names of Keras 2.2.4 that aren't here, and what to use instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def left_out(module: str, advice: Mapping[str, str]) -> Callable[[str], Any]:
    """A ``__getattr__`` for a module: an ImportError with advice for names of Keras's that it doesn't have.

    (An ImportError even for attributes: ``from module import name`` would replace an AttributeError's message.)

    Args:
        module: The module's name.
        advice: From each such name to what to do instead.
    """

    def __getattr__(name: str) -> Any:
        if name in advice:
            raise ImportError(f"{module}.{name} isn't part of minikeras: {advice[name]}", name=name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return __getattr__
