"""FlatParameters: several parameters as one vector, which is how optimizers and eigensolvers of SciPy see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..core.tensor import Tensor


class FlatParameters:
    """Parameters laid end to end in one vector of float64; the parameters keep their own dtype.

    Args:
        parameters: Tensors of any shapes, such as ``model.trainable_weights``.

    Attributes:
        parameters: List of them.
        size: Length of the vector.

    Raises:
        TypeError: If one of them isn't a Tensor of floating-point numbers.

    Example:
        >>> from minikeras import Parameter
        >>> flat = FlatParameters([Parameter(np.ones((2, 2))), Parameter(np.zeros(3))])
        >>> flat.vector.tolist()
        [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
        >>> [part.shape for part in flat.split(np.arange(7.0))]
        [(2, 2), (3,)]
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)
        for parameter in self.parameters:
            if not isinstance(parameter, Tensor) or parameter.dtype.kind != "f":
                raise TypeError(
                    f"FlatParameters: parameters must be Tensors of floating-point numbers. Received: {parameter!r:.80}"
                )
        self._ends = np.cumsum([parameter.size for parameter in self.parameters], dtype=int)
        self.size = int(self._ends[-1]) if self.parameters else 0

    @property
    def vector(self) -> np.ndarray:
        """The parameters' values now: array (size,), a copy."""
        return self.join(self.parameters)

    def assign(self, vector: Any) -> None:
        """Set the parameters to a vector.

        Raises:
            ValueError: If it hasn't the shape (size,).
        """
        for parameter, part in zip(self.parameters, self.split(vector), strict=True):
            parameter.assign(part)

    def join(self, arrays: Sequence[Any]) -> np.ndarray:
        """Lay one array for each parameter end to end.

        Args:
            arrays: Arrays or Tensors of the parameters' shapes, such as their gradients; None stands for zeros.

        Returns:
            Array (size,) of float64.

        Raises:
            ValueError: If their number or a shape differs.
        """
        shapes = [parameter.shape for parameter in self.parameters]
        given = [shape if a is None else np.shape(a) for a, shape in zip(arrays, shapes, strict=False)]
        if len(arrays) != len(shapes) or given != shapes:
            raise ValueError(f"FlatParameters: join needs arrays of the shapes {shapes}. Received: {given}")
        result = np.zeros(self.size)
        for array, part in zip(arrays, self._cut(result), strict=True):
            if array is not None:
                part[...] = np.ravel(array.data if isinstance(array, Tensor) else array)
        return result

    def split(self, vector: Any) -> list[np.ndarray]:
        """Cut a vector into an array for each parameter.

        Args:
            vector: Numbers of shape (size,).

        Returns:
            New arrays of the parameters' shapes and dtypes.

        Raises:
            ValueError: If it has another shape.
        """
        vector = np.asarray(vector.data if isinstance(vector, Tensor) else vector)
        if vector.shape != (self.size,):
            raise ValueError(
                f"FlatParameters: the vector must have the shape ({self.size},). Received: shape {vector.shape}"
            )
        return [
            part.reshape(parameter.shape).astype(parameter.dtype)
            for parameter, part in zip(self.parameters, self._cut(vector), strict=True)
        ]

    @contextmanager
    def at(self, vector: Any) -> Iterator[None]:
        """Give the parameters the values of a vector for the body of a ``with`` statement.

        They get other arrays meanwhile, and their own back: what was recorded inside stays good for backward.
        """
        values, own = self.split(vector), [parameter.data for parameter in self.parameters]
        try:
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.data = value
            yield
        finally:
            for parameter, array in zip(self.parameters, own, strict=True):
                parameter.data = array

    def _cut(self, vector: np.ndarray) -> list[np.ndarray]:
        return np.split(vector, self._ends[:-1]) if self.parameters else []
