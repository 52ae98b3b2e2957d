"""Embedding: vectors learned for integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import checks, constraints, initializers, ops, regularizers
from ..core.tensor import Parameter, Tensor
from .base import Layer
from .measures import Reach, keep_places
from .shapes import Shape, as_list, as_size


class Embedding(Layer):
    """Turns non-negative integers, such as those of words, into vectors learned for them.

    Args:
        input_dim: How many integers there are; the largest is ``input_dim - 1``.
        output_dim: Size of the vectors.
        embeddings_initializer: Initializer of the vectors, of shape (input_dim, output_dim).
        embeddings_regularizer: Penalty on the vectors.
        activity_regularizer: Penalty on the output.
        embeddings_constraint: Applied to the vectors after each update.
        mask_zero: Whether 0 stands for a step that doesn't count, as padding; the output carries a mask then.
        input_length: Number of steps, or a tuple of one for each axis of a sample, where it is constant.
        **kwargs: Those of `Layer`.

    Input and output: (batch, steps) of integers, or floats that are truncated, and (batch, steps, output_dim). There
    may be more axes of steps.

    Raises:
        ValueError: For sizes that aren't positive integers; when called, for an integer out of range or another
            length.

    Example:
        >>> Embedding(1000, 64, input_length=10).compute_output_shape((None, 10))
        (None, 10, 64)
    """

    _config_excludes = ("input_shape", "batch_size", "weights")  # input_dim is an argument of its own here
    embeddings: Parameter

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        activity_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        input_length: int | Sequence[int | None] | None = None,
        **kwargs: Any,
    ) -> None:
        if "input_shape" not in kwargs and "batch_input_shape" not in kwargs:
            kwargs["input_shape"] = tuple(as_list(input_length))
        super().__init__(**kwargs)
        self.input_dim = as_size(input_dim, self, "input_dim")
        self.output_dim = as_size(output_dim, self, "output_dim")
        self.embeddings_initializer = self.resolve(initializers, "embeddings_initializer", embeddings_initializer)
        self.embeddings_regularizer = self.resolve(regularizers, "embeddings_regularizer", embeddings_regularizer)
        self.activity_regularizer = self.resolve(regularizers, "activity_regularizer", activity_regularizer)
        self.embeddings_constraint = self.resolve(constraints, "embeddings_constraint", embeddings_constraint)
        self.mask_zero = checks.flag(str(self), "mask_zero", mask_zero)
        self.supports_masking = self.mask_zero
        self.input_length = input_length

    def build(self, input_shape: Shape) -> None:
        """Make the vectors."""
        self.compute_output_shape(input_shape)
        self.embeddings = self.add_weight(
            "embeddings",
            (self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """Look the vectors up."""
        self.compute_output_shape(inputs.shape)
        integers = inputs.numpy() if inputs.dtype.kind in "iu" else inputs.detach().numpy().astype(np.int64)
        if integers.size and (integers.min() < 0 or integers.max() >= self.input_dim):
            wrong = integers.min() if integers.min() < 0 else integers.max()
            raise ValueError(
                f"{self}: the input must hold integers from 0 to {self.input_dim - 1}, as input_dim={self.input_dim} "
                f"says. Received: {wrong}"
            )
        return ops.take(self.embeddings, integers, axis=0)

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Tensor | None:
        """Return where the input isn't 0, if ``mask_zero`` says so; a mask of the input is replaced."""
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape with ``output_dim`` behind it."""
        steps = tuple(input_shape[1:])
        if self.input_length is not None:
            given = as_list(self.input_length)
            if len(given) != len(steps) or any(
                None not in (one, other) and one != other for one, other in zip(given, steps, strict=True)
            ):
                raise ValueError(
                    f"{self}: the input must have the steps that input_length says. "
                    f"Received: input_length={self.input_length}, input shape {tuple(input_shape)}"
                )
            steps = tuple(other if one is None else one for one, other in zip(given, steps, strict=True))
        return (input_shape[0], *steps, self.output_dim)

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """None are needed: the vectors are looked up."""
        return 0

    def reach(self, input_shape: Shape) -> Reach:
        """The steps are kept, the channels are new."""
        return Reach((*keep_places(input_shape).axes, ()))

    def _cast(self, inputs: Tensor) -> Tensor:
        return inputs  # float16 or float32 would round large integers

    def _symbolic_outputs(self, inputs: Any, keywords: dict[str, Any]) -> Any:
        return [(self.compute_output_shape(inputs.shape), np.dtype(self.dtype))]
