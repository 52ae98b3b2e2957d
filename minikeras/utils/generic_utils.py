"""Keras's path of names for custom objects, configurations, lists and arguments, and the bar of progress."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..registry import CustomObjectScope, Registry, custom_object_scope, get_custom_objects, serialize_object
from .progbar import Progbar

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "has_arg",
    "serialize_keras_object",
    "to_list",
    "unpack_singleton",
]


def serialize_keras_object(instance: Any) -> Any:
    """The configuration of an object.

    Args:
        instance: An object with get_config, a function, or None.

    Returns:
        ``{"class_name": ..., "config": ...}``, the function's name, or None.

    Raises:
        ValueError: If it has neither a configuration nor a name.

    Example:
        >>> serialize_keras_object(len)
        'len'
    """
    return serialize_object(instance)


def deserialize_keras_object(
    identifier: Any,
    module_objects: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    printable_module_name: str = "object",
) -> Any:
    """The object that a configuration or a name stands for.

    Args:
        identifier: ``{"class_name": ..., "config": ...}``, the name of a function or class, or None.
        module_objects: The known names, such as a module's ``globals()``.
        custom_objects: More names, which are looked up first.
        printable_module_name: What is looked for, for messages.

    Returns:
        A new object for a configuration or a class, the function itself for its name, None for None.

    Raises:
        ValueError: If the name is unknown or the configuration has another form.

    Example:
        >>> deserialize_keras_object("size", {"size": len})
        <built-in function len>
    """
    if identifier is None:
        return None
    known = {**(module_objects or {}), **get_custom_objects(), **(custom_objects or {})}
    return Registry(printable_module_name).deserialize(identifier, known)


def has_arg(fn: Callable[..., Any], name: str, accept_all: bool = False) -> bool:
    """Whether a function takes an argument by this name.

    Args:
        fn: The function.
        name: The argument's name.
        accept_all: Whether ``**kwargs`` counts.

    Example:
        >>> has_arg(to_list, "x"), has_arg(to_list, "y")
        (True, False)
    """
    parameters = inspect.signature(fn).parameters
    if name in parameters and parameters[name].kind in (
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    ):
        return True
    takes_all = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    return accept_all and takes_all


def to_list(x: Any, allow_tuple: bool = False) -> list[Any]:
    """A list as it is, anything else as the only item of one.

    Args:
        x: Anything.
        allow_tuple: Whether a tuple becomes the list of its items.

    Example:
        >>> to_list(1), to_list([1]), to_list((1, 2)), to_list((1, 2), allow_tuple=True)
        ([1], [1], [(1, 2)], [1, 2])
    """
    if isinstance(x, list):
        return x
    return list(x) if allow_tuple and isinstance(x, tuple) else [x]


def unpack_singleton(x: Sequence[Any]) -> Any:
    """The item of a sequence of one; longer ones, and the empty one, as they are.

    Args:
        x: A list or tuple.

    Example:
        >>> unpack_singleton([5]), unpack_singleton([5, 6])
        (5, [5, 6])
    """
    return x[0] if len(x) == 1 else x
