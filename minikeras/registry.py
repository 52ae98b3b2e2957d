"""One factory for ``get`` / ``serialize`` / ``deserialize``, and configurations declared once.

Every namespace of named things (activations, initializers, losses, layers, ...) owns one `Registry`.
Objects with a state of their own inherit `Configurable`: their configuration is the constructor's signature.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

OWN_OBJECTS = "Your own classes and functions are found by custom_objects=... or inside a custom_object_scope."
_custom_objects: dict[str, Any] = {}


class Registry:
    """The named objects of one kind.

    Args:
        kind: What the objects are, for messages: ``"activation"``, ``"initializer"``, ...
        base: The class whose instances the registry gives. Then a registered class or a function without
            required arguments is a factory. Without a base the registered functions themselves are given.
        callables: Whether `get` takes any callable as it is.
        optional: Whether `get` gives None for None.
        elsewhere: Names that are resolved before the registry is asked, to be suggested all the same.
        partials: Whether the configuration of a function may hold keyword arguments of it.
        late: Names that a module of minikeras registers, and this module, which is imported when one is asked for.

    Example:
        >>> shades = Registry("shade")
        >>> @shades.register("grey")
        ... def gray(x):
        ...     return 0.5 * x
        >>> shades.get("grey") is gray, shades.serialize(gray)
        (True, 'gray')
    """

    def __init__(
        self,
        kind: str,
        base: type | None = None,
        *,
        callables: bool = True,
        optional: bool = True,
        elsewhere: tuple[str, ...] = (),
        partials: bool = False,
        late: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self.elsewhere = elsewhere
        self.partials = partials
        self.late = dict(late or {})
        self.base = base
        self.callables = callables
        self.optional = optional
        self._entries: dict[str, Any] = {}

    def register(self, *aliases: Any) -> Any:
        """Register a class or function under its own name and the aliases.

        A decorator: ``@registry.register`` or ``@registry.register("alias", ...)``.

        Raises:
            ValueError: If a name already belongs to another object.
        """
        if len(aliases) == 1 and callable(aliases[0]):
            return self._add(aliases[0], ())
        return lambda obj: self._add(obj, aliases)

    def get(self, identifier: Any) -> Any:
        """The object that a name, a configuration, a class, an instance or a callable stands for.

        Raises:
            ValueError: If the name is unknown or the identifier is of another type.
        """
        if identifier is None and self.optional:
            return None
        if isinstance(identifier, (str, Mapping)):
            return self.deserialize(identifier)
        if self.base is not None and isinstance(identifier, type) and issubclass(identifier, self.base):
            return identifier()
        if (self.callables and callable(identifier)) or (self.base is not None and isinstance(identifier, self.base)):
            return identifier
        instance = "a callable" if self.callables or self.base is None else f"an instance of {self.base.__name__}"
        raise ValueError(
            f"Cannot interpret the {self.kind}: expected a name, a configuration with 'class_name' and 'config', or "
            f"{instance}. Received: {identifier!r}"
        )

    def serialize(self, obj: Any) -> Any:
        """The configuration of an object (``{"class_name", "config"}``), or the name of a function.

        Raises:
            ValueError: If the object has neither a configuration nor a name.
        """
        return serialize_object(obj)

    def deserialize(self, config: str | Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The object that a name or a configuration describes.

        Names are looked up in ``custom_objects``, in the custom objects of the scope and in the registry, in this
        order; nothing outside of minikeras is ever imported.

        Raises:
            ValueError: If the name is unknown or the configuration has another form.
        """
        with CustomObjectScope(custom_objects or {}):
            if isinstance(config, str):
                return self._default(self._find(config))
            if not isinstance(config, Mapping) or "class_name" not in config or "config" not in config:
                raise ValueError(
                    f"Improper {self.kind} configuration: expected a name or a dict with the keys 'class_name' and "
                    f"'config'. Received: {config!r:.1000}"
                )
            return self._configured(config["class_name"], config["config"])

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def _add(self, obj: T, aliases: tuple[str, ...]) -> T:
        for name in (obj.__name__, *aliases):  # type: ignore[attr-defined]
            if self._entries.setdefault(name, obj) is not obj:
                raise ValueError(f"The {self.kind} name {name!r} is already registered for {self._entries[name]!r}")
        return obj

    def _find(self, name: Any) -> Any:
        if not isinstance(name, str):
            raise ValueError(f"The {self.kind} name must be a string. Received: {name!r}")
        for table in (_custom_objects, self._entries):
            if name in table:
                return table[name]
        if name in self.late:
            importlib.import_module(self.late[name])
            return self._entries[name]
        # Keras's versions spell one thing glorot_uniform and GlorotUniform, SGD and sgd.
        alike = {id(obj): obj for key, obj in self._entries.items() if _fold(key) == _fold(name)}
        if len(alike) == 1:
            return next(iter(alike.values()))
        raise ValueError(self._unknown(name))

    def _unknown(self, name: str) -> str:
        known = {_fold(key): key for key in (*self._entries, *self.elsewhere, *_custom_objects)}
        close = [repr(known[key]) for key in difflib.get_close_matches(_fold(name[:100]), known)]
        hint = f"Did you mean {' or '.join(close)}? " if close else ""
        return f"Unknown {self.kind}: {name!r:.200}. {hint}{OWN_OBJECTS}"

    def _default(self, entry: Any) -> Any:
        if isinstance(entry, type) or (self.base is not None and _takes_nothing(entry)):
            return entry()
        return entry

    def _configured(self, name: Any, config: Any) -> Any:
        entry = self._find(name)
        if not isinstance(config, Mapping):
            raise ValueError(f"The 'config' of {self.kind} {name!r} must be a dict. Received: {config!r}")
        if hasattr(entry, "from_config"):
            return entry.from_config(dict(config))
        if config and self.partials and not isinstance(entry, type) and _takes(entry, config):
            return functools.partial(entry, **config)
        if isinstance(entry, type) or (self.base is not None and (config or _takes_nothing(entry))):
            return entry(**config)
        if config:
            raise ValueError(f"The {self.kind} {name!r} is a function and takes no configuration. Received: {config!r}")
        return entry


class Configurable:
    """Mixin for objects whose configuration is what their constructor takes.

    The constructor stores each argument as an attribute of the same name; `get_config` reads the signature
    (that of the base class as well where it takes ``**kwargs``) and these attributes. Names in the class attribute
    ``_config_excludes`` are left out.

    Example:
        >>> class Scale(Configurable):
        ...     def __init__(self, factor=2.0):
        ...         self.factor = factor
        >>> Scale(3.0).get_config()
        {'factor': 3.0}
    """

    _config_excludes: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values: numbers, strings, tuples, lists, dicts.

        Nested objects become ``{"class_name", "config"}``, functions their names.

        Raises:
            AttributeError: If an argument is not kept in an attribute of its name.
        """
        config = {}
        for owner, name in _constructor_arguments(type(self)):
            if name in self._config_excludes:
                continue
            if hasattr(self, name):
                config[name] = _plain(getattr(self, name), f"{type(self).__name__}: the argument {name!r}")
            elif not _overrides_get_config(type(self), owner):
                raise AttributeError(
                    f"{type(self).__name__}.get_config(): the constructor argument {name!r} is not kept in an "
                    f"attribute of that name. Write self.{name} = {name} in __init__, or override get_config."
                )
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """A new object from what `get_config` gave.

        Raises:
            TypeError: If the configuration does not fit the constructor.
        """
        try:
            _signature(cls).bind(**config)  # type: ignore[arg-type]  # mypy takes the class for its instances
        except TypeError as error:
            raise TypeError(
                f"{cls.__name__}: the configuration does not fit: {error}. Received: {config!r:.1000}"
            ) from None
        return cls(**config)


@functools.lru_cache(maxsize=256)
def _signature(cls: type) -> inspect.Signature:
    return inspect.signature(cls)


class CustomObjectScope:
    """Context in which names of custom classes and functions are known to every registry.

    Args:
        *mappings: Dicts from name to class or function.

    Raises:
        TypeError: If one is something else.
    """

    def __init__(self, *mappings: Mapping[str, Any]) -> None:
        for mapping in mappings:
            if not isinstance(mapping, Mapping):
                raise TypeError(
                    f"custom_objects must be a dict from name to class or function. Received: {mapping!r:.200}"
                )
        self._mappings = mappings
        self._outside: dict[str, Any] = {}

    def __enter__(self) -> CustomObjectScope:
        self._outside = dict(_custom_objects)
        for mapping in self._mappings:
            _custom_objects.update(mapping)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _custom_objects.clear()
        _custom_objects.update(self._outside)


def custom_object_scope(*mappings: Mapping[str, Any]) -> CustomObjectScope:
    """``with custom_object_scope({"MyLayer": MyLayer}):`` makes the names known inside; see `CustomObjectScope`."""
    return CustomObjectScope(*mappings)


def get_custom_objects() -> dict[str, Any]:
    """The dict of custom objects known at present; updating it registers them until the scope ends."""
    return _custom_objects


def serialize_object(obj: Any) -> Any:
    """``{"class_name", "config"}`` of an object with `get_config`, the name of a function, None of None.

    A `functools.partial` of a function with keywords has these for its configuration.

    Raises:
        ValueError: If the object has neither a configuration nor a name.
    """
    if obj is None:
        return None
    if hasattr(obj, "get_config") and not isinstance(obj, type):
        return {"class_name": _name_of(type(obj)), "config": obj.get_config()}
    if isinstance(obj, functools.partial) and not obj.args:
        return {"class_name": _name_of(obj.func), "config": _plain(obj.keywords, f"{obj.func}: an argument")}
    return _name_of(obj)


def _name_of(obj: Any) -> str:
    for name, custom in _custom_objects.items():
        if custom is obj:
            return name
    name = getattr(obj, "__name__", "<unnamed>")
    if name.startswith("<"):
        raise ValueError(
            f"Cannot serialize {obj!r}: a lambda or an unnamed callable has no name to be found by. Define it with "
            "def or as a class with get_config, or give it a name by a custom_object_scope."
        )
    return name


def _plain(value: Any, what: str) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, (tuple, list)):
        items = [_plain(item, what) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, Mapping):
        return {key: _plain(item, what) for key, item in value.items()}
    if hasattr(value, "get_config") or callable(value):
        return serialize_object(value)
    raise TypeError(f"{what} cannot be part of a configuration. Received: {value!r} of type {type(value).__name__}")


def _constructor_arguments(cls: type) -> list[tuple[type, str]]:
    """The names a constructor takes, each with the class that states it; those of base classes come first."""
    levels: list[list[tuple[type, str]]] = []
    for owner in cls.__mro__:
        if "__init__" not in vars(owner):
            continue
        _, *parameters = inspect.signature(vars(owner)["__init__"]).parameters.values()
        levels.append([(owner, p.name) for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)])
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    by_name: dict[str, tuple[type, str]] = {}
    for level in reversed(levels):
        by_name.update((name, (owner, name)) for owner, name in level)
    return list(by_name.values())


def _overrides_get_config(cls: type, owner: type) -> bool:
    """Whether get_config is written by hand at or below the class that states the argument."""
    mro = cls.__mro__
    return any("get_config" in vars(klass) for klass in mro[: mro.index(owner) + 1])


def _takes_nothing(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    return True


def _takes(function: Callable[..., Any], keywords: Mapping[str, Any]) -> bool:
    """Whether a function has a default for each of the keywords."""
    parameters = inspect.signature(function).parameters
    return all(name in parameters and parameters[name].default is not inspect.Parameter.empty for name in keywords)


def _fold(name: str) -> str:
    return name.replace("_", "").lower()
