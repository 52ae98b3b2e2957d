"""Argument names of Keras 1, taken with a warning as Keras 2 does."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


def renamed(**names: str) -> Callable[[Method], Method]:
    """Make a method of a model take arguments by their former names.

    Args:
        **names: From the former name to the present one.

    Returns:
        A decorator; the method's signature stays as it is.
    """

    def decorate(method: Method) -> Method:
        @functools.wraps(method)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            for old in names.keys() & kwargs.keys():
                new = names[old]
                if new in kwargs:
                    raise TypeError(f"{self}: {method.__name__} got both {new} and its former name {old}")
                warnings.warn(
                    f"{self}: {method.__name__}: {old} is called {new} since Keras 2{_meaning(old)}", stacklevel=2
                )
                kwargs[new] = kwargs.pop(old)
                if old == "samples_per_epoch":
                    generator = args[0] if args else kwargs.get("generator")
                    kwargs[new] //= getattr(generator, "batch_size", None) or 1
            return method(self, *args, **kwargs)

        return wrapper  # type: ignore[return-value]  # of the method's type, says wraps

    return decorate


def _meaning(old: str) -> str:
    return ", and counts batches, no longer samples" if "samples" in old else ""
