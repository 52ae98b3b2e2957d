"""Inputs of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.symbolic import Call, SymbolicTensor
from .base import Layer, unique_name
from .shapes import InputSpec, Shape


class InputLayer(Layer):
    """The entry of a model: it says what shape the input has, and gives it back as it is.

    Args:
        input_shape: Shape of one sample; None where a dimension is free.
        batch_size: Batch dimension to go with it; free if None.
        batch_input_shape: Both in one, in place of them.
        dtype: Type of the input; ``floatx`` if None.
        input_tensor: Kept for Keras's signature; only None.
        sparse: Kept for Keras's signature; only False.
        name: Name; "input_1" and so on by default.

    Raises:
        ValueError: Without a shape, with two of them, for a tensor of its own or a sparse one; when called, for an
            input of another shape.

    Example:
        >>> InputLayer((28, 28, 1)).batch_input_shape
        (None, 28, 28, 1)
    """

    _config_excludes = (*Layer._config_excludes, "input_tensor")
    batch_input_shape: Shape
    _keeps_places = True

    def __init__(
        self,
        input_shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        dtype: Any = None,
        input_tensor: None = None,
        sparse: bool = False,
        name: str | None = None,
    ) -> None:
        name = name or unique_name("Input")
        if (input_shape is None) == (batch_input_shape is None):
            raise ValueError(
                f"InputLayer '{name}': the shape of a sample or of a batch must be given, and not both. "
                f"Received: {input_shape!r} and {batch_input_shape!r}"
            )
        if input_tensor is not None or sparse:
            raise ValueError(
                f"InputLayer '{name}': an input has neither a tensor of its own nor sparse values; call the model on "
                f"the tensor. Received: {input_tensor!r}, sparse={sparse!r}"
            )
        super().__init__(
            name=name,
            dtype=dtype,
            input_shape=input_shape,
            batch_size=batch_size,
            batch_input_shape=batch_input_shape,
        )
        self.sparse = False
        self.input_spec = InputSpec(shape=self.batch_input_shape)
        self.built = True
        self._enter()

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._enter()

    def _enter(self) -> None:
        """Make the symbolic input."""
        symbol = SymbolicTensor(self.batch_input_shape, self.dtype, self.name)
        symbol.entry = Call(self, (), {})
        symbol.entry.outputs = (symbol,)
        self._nodes.append(symbol.entry)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return tuple(input_shape)


def Input(
    shape: Sequence[int | None] | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    dtype: Any = None,
    sparse: bool = False,
    tensor: None = None,
) -> SymbolicTensor:
    """Return the symbolic input of a model: a shape and a dtype, to call layers on or to begin a Sequential with.

    Args:
        shape: Shape of one sample; None where a dimension is free.
        batch_shape: The same with the batch dimension in front, in place of it.
        name: Name of the input; "input_1" and so on by default.
        dtype: Type of the input; ``floatx`` if None.
        sparse: Kept for Keras's signature; only False.
        tensor: Kept for Keras's signature; only None.

    Raises:
        ValueError: As `InputLayer`.

    Example:
        >>> Input((None, 3)).shape
        (None, None, 3)
    """
    layer = InputLayer(
        input_shape=shape, batch_input_shape=batch_shape, dtype=dtype, input_tensor=tensor, sparse=sparse, name=name
    )
    return layer.output
