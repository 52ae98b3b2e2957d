"""Lambda: a function of yours as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core import symbolic
from ..registry import OWN_OBJECTS, get_custom_objects, serialize_object
from .base import Layer
from .context import trial
from .shapes import as_shape, is_shape, map_shapes


class Lambda(Layer):
    """Applies a function, which makes no weights: write a subclass of `Layer` for one that does.

    Args:
        function: Function of the input (a Tensor, or a list of them) that returns a Tensor, or a list of them. If it
            takes ``mask`` it is given the input's.
        output_shape: Shape of one sample of the output, or a function from the input's shape to the output's, both
            with the batch; found by running the function on small arrays if None.
        mask: The output's mask, or a function of (inputs, mask) that returns it; the output has none if None.
        arguments: Dict of further keyword arguments of the function.
        **kwargs: Those of `Layer`.

    A configuration holds functions by name, and a name is looked up among custom objects only: code is neither stored
    nor loaded, so a ``lambda`` needs a name by `custom_object_scope`.

    Raises:
        TypeError: If the function isn't callable, or arguments isn't a dict.

    Example:
        >>> Lambda(lambda x: x ** 2)([[1.0, 3.0]]).tolist()
        [[1.0, 9.0]]
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Sequence[int | None] | Callable[[Any], Any] | None = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"{self}: function must be callable. Received: {function!r}")
        if arguments is not None and not isinstance(arguments, Mapping):
            raise TypeError(f"{self}: arguments must be a dict of keyword arguments. Received: {arguments!r}")
        self.function = function
        self.arguments = dict(arguments or {})
        self.mask = mask
        self.supports_masking = mask is not None
        self.output_shape_given: Any = output_shape
        if output_shape is not None and not callable(output_shape):
            self.output_shape_given = as_shape(output_shape, self, "output_shape")
        self._function_takes_mask = _takes_mask(function)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Apply the function."""
        extra = {"mask": mask} if self._function_takes_mask else {}
        return self.function(inputs, **{**self.arguments, **extra})

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return what the argument ``mask`` says."""
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return what the argument ``output_shape`` says, or what running the function on small arrays shows."""
        given = self.output_shape_given
        if given is None:
            return super().compute_output_shape(input_shape)
        if not callable(given):
            return (input_shape[0] if is_shape(input_shape) else input_shape[0][0], *given)
        found = given(map_shapes(lambda shape: shape, input_shape))
        if not isinstance(found, (tuple, list)):
            raise ValueError(f"{self}: the function output_shape must return a shape. Received: {found!r}")
        return map_shapes(lambda shape: shape, found)

    def _symbolic_outputs(self, inputs: Any, keywords: dict[str, Any]) -> Any:
        """As the function itself shows, dtypes included, unless a shape was given."""
        if self.output_shape_given is None:
            with trial():
                return symbolic.infer(self, (inputs,), keywords)
        return super()._symbolic_outputs(inputs, keywords)

    def get_config(self) -> dict[str, Any]:
        """Return the configuration, functions by their names.

        Raises:
            ValueError: For a lambda without a name.
        """
        config = {name: getattr(self, name) for name in ("name", "trainable", "dtype")}
        if self.batch_input_shape is not None:
            config["batch_input_shape"] = self.batch_input_shape
        config["function"] = self._name_of("function", self.function)
        config["function_type"] = "function"
        by_name = callable(self.output_shape_given)
        shape = self._name_of("output_shape", self.output_shape_given) if by_name else self.output_shape_given
        config["output_shape"] = shape
        config["output_shape_type"] = "function" if by_name else "raw"
        config["mask"] = self._name_of("mask", self.mask) if callable(self.mask) else self.mask
        config["arguments"] = dict(self.arguments)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Lambda:
        """Return a layer from what `get_config` gave.

        Args:
            config: The configuration.
            custom_objects: Dict from names to functions, besides those of the `custom_object_scope`.

        Raises:
            ValueError: For a name that isn't among the custom objects, or stored code.
        """
        config = dict(config)
        known = {**get_custom_objects(), **(custom_objects or {})}
        owner = f"Lambda '{config.get('name')}'"
        config["function"] = _function(
            config.get("function"), config.pop("function_type", None), known, owner, "function"
        )
        kind = config.pop("output_shape_type", "raw")
        if kind != "raw":
            config["output_shape"] = _function(config.get("output_shape"), kind, known, owner, "output_shape")
        if isinstance(config.get("mask"), str):
            config["mask"] = _function(config["mask"], "function", known, owner, "mask")
        return cls(**config)

    def _name_of(self, argument: str, function: Any) -> str:
        try:
            return serialize_object(function)
        except ValueError as error:
            raise ValueError(f"{self}: {argument}: {error}") from None


def _takes_mask(function: Callable[..., Any]) -> bool:
    try:
        return "mask" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some callables written in C show no signature
        return False


def _function(value: Any, kind: Any, known: Mapping[str, Any], owner: str, argument: str) -> Any:
    """The function that a configuration names."""
    keras3 = value.get("class_name") if isinstance(value, Mapping) else None
    if kind == "lambda" or isinstance(value, (list, tuple)) or keras3 == "__lambda__":
        raise ValueError(
            f"{owner}: {argument} is stored as Python bytecode, which is never run: it could do anything, and fits one "
            f"version of Python only. Write the function's name in place of it in the configuration. {OWN_OBJECTS}"
        )
    if not isinstance(value, str) or value not in known:
        raise ValueError(
            f"{owner}: {argument} names a function that isn't known here. {OWN_OBJECTS} Received: {value!r}"
        )
    return known[value]
