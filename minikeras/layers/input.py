"""Inputs of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.symbolic import Call, SymbolicTensor
from ..core.tensor import Tensor
from .base import Layer, unique_name
from .shapes import InputSpec, Shape


class InputLayer(Layer):
    """The entry of a model: it says what shape the input has, and gives it back as it is.

    Args:
        input_shape: Shape of one sample; None where a dimension is free.
        batch_size: Batch dimension to go with it; free if None.
        batch_input_shape: Both in one, in place of them.
        dtype: Type of the input; ``floatx`` if None.
        input_tensor: A Tensor, such as ``K.variable`` gives: the input has always this value, whatever the model is fed
            besides. A symbolic tensor becomes the input itself. It gives the shape, and is part of no configuration.
        sparse: Kept for Keras's signature; only False, as there are no sparse tensors.
        name: Name; "input_1" and so on by default.

    Raises:
        TypeError: If input_tensor is none.
        ValueError: Without a shape, with two of them, for a sparse one, for a symbolic tensor that is an input already;
            when called, for an input of another shape.

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
        input_tensor: Tensor | None = None,
        sparse: bool = False,
        name: str | None = None,
    ) -> None:
        name = name or unique_name("Input")
        if sparse:
            raise ValueError(
                f"InputLayer '{name}': there are no sparse inputs: leave sparse out, and give x.toarray() of a matrix "
                f"of scipy.sparse, or batches of it by a generator. Received: sparse={sparse!r}"
            )
        if input_tensor is not None:
            if not isinstance(input_tensor, Tensor):
                raise TypeError(
                    f"InputLayer '{name}': the tensor of an input must be a Tensor, as K.variable(array) gives. "
                    f"Received: {type(input_tensor).__name__}"
                )
            if getattr(input_tensor, "entry", None) is not None:
                raise ValueError(f"InputLayer '{name}': the tensor is an input already. Received: {input_tensor!r}")
            input_shape, batch_input_shape, dtype = None, input_tensor.shape, input_tensor.dtype
        if (input_shape is None) == (batch_input_shape is None):
            raise ValueError(
                f"InputLayer '{name}': the shape of a sample or of a batch must be given, and not both. "
                f"Received: {input_shape!r} and {batch_input_shape!r}"
            )
        super().__init__(
            name=name,
            dtype=dtype,
            input_shape=input_shape,
            batch_size=batch_size,
            batch_input_shape=batch_input_shape,
        )
        self.sparse = False
        self.input_tensor = input_tensor
        self.input_spec = InputSpec(shape=self.batch_input_shape)
        self.built = True
        self._enter()

    def __getstate__(self) -> dict[str, Any]:
        symbolic = isinstance(self.input_tensor, SymbolicTensor)
        return {**super().__getstate__(), **({"input_tensor": None} if symbolic else {})}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._enter()

    def __call__(self, inputs: Any = None, training: bool | None = None, **keywords: Any) -> Any:
        """Give the input back; without one, the tensor of its own."""
        if inputs is None and self.input_tensor is not None:
            return self.input_tensor
        return super().__call__(inputs, training, **keywords)

    def _enter(self) -> None:
        """Make the symbolic input."""
        if isinstance(self.input_tensor, SymbolicTensor):
            symbol = self.input_tensor
            symbol.name = symbol.name or self.name
        else:
            symbol = SymbolicTensor(self.batch_input_shape, self.dtype, self.name)
        symbol.entry = Call(self, (), {})
        symbol.entry.outputs = (symbol,)
        if self.input_tensor is not None and symbol is not self.input_tensor:
            symbol.source = symbol.entry  # computed by this layer, where nobody gives it a value
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
    tensor: Tensor | None = None,
) -> SymbolicTensor:
    """Return the symbolic input of a model: a shape and a dtype, to call layers on or to begin a Sequential with.

    Args:
        shape: Shape of one sample; None where a dimension is free.
        batch_shape: The same with the batch dimension in front, in place of it.
        name: Name of the input; "input_1" and so on by default.
        dtype: Type of the input; ``floatx`` if None.
        sparse: Kept for Keras's signature; only False, as there are no sparse tensors.
        tensor: The value that the input always has, in place of a shape; see `InputLayer`. Neither ``fit`` nor
            ``predict`` is given an array for it.

    Raises:
        TypeError: As `InputLayer`.
        ValueError: As `InputLayer`.

    Example:
        >>> Input((None, 3)).shape
        (None, None, 3)
    """
    layer = InputLayer(
        input_shape=shape, batch_input_shape=batch_shape, dtype=dtype, input_tensor=tensor, sparse=sparse, name=name
    )
    return layer.output
