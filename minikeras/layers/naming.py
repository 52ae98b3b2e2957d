"""Names of layers and weights: the automatic ones, and scopes that stand before others."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_names: Counter[str] = Counter()
_names_lock = threading.Lock()
_scope: ContextVar[str] = ContextVar("minikeras_name_scope", default="")
_scopes_seen: Counter[str] = Counter()


def unique_name(class_name: str) -> str:
    """Return the next automatic name for a class, as Keras numbers them: conv2d_1, conv2d_2, max_pooling2d_1, ...

    Args:
        class_name: Name of the class in CamelCase, such as "MaxPooling2D".
    """
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", class_name)
    prefix = re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
    prefix = f"private{prefix}" if prefix.startswith("_") else prefix
    with _names_lock:
        _names[prefix] += 1
        return f"{prefix}_{_names[prefix]}"


@contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Put a prefix before the names of the variables and weights that are made in the body of a ``with`` statement.

    Args:
        name: Name of the scope, which may stand inside of others. When it comes up again it is followed by a number;
            one that ends in "/", as this gives it, is entered again as it is.

    Yields:
        The whole prefix, with "/" at its end.

    Raises:
        TypeError: If the name is no string.

    Example:
        >>> from minikeras import backend as K
        >>> with K.name_scope("outer"), K.name_scope("inner") as scope:
        ...     K.variable(1.0, name="w").name, scope
        ('outer/inner/w', 'outer/inner/')
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"name_scope: the name must be a string. Received: {name!r}")
    prefix = name
    if not name.endswith("/"):
        path = _scope.get() + name
        seen = _scopes_seen[path]
        _scopes_seen[path] += 1
        prefix = f"{path}_{seen}/" if seen else f"{path}/"
    token = _scope.set(prefix)
    try:
        yield prefix
    finally:
        _scope.reset(token)


def scoped(name: str) -> str:
    """A name with the prefix of the `name_scope` that this is in."""
    return _scope.get() + name


def reset_names() -> None:
    """Let automatic names start from 1 again, and scopes have no numbers."""
    _scopes_seen.clear()
    with _names_lock:
        _names.clear()
