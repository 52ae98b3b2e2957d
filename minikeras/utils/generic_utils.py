"""Keras's path of names for custom objects, of configurations, and of the bar of progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..registry import CustomObjectScope, Registry, custom_object_scope, get_custom_objects, serialize_object
from .progbar import Progbar

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "serialize_keras_object",
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
