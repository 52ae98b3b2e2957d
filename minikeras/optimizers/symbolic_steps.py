"""Steps of optimizers as part of a record: what ``K.function(..., updates=optimizer.get_updates(...))`` carries out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..core import symbolic
from ..core.symbolic import SymbolicTensor
from ..core.tensor import Parameter, Tensor


class SymbolicSteps:
    """Mixin: Keras 2's `get_gradients` and `get_updates`, and the state as Tensors."""

    clipnorm: Any
    clipvalue: Any
    weight_clipnorm: Any
    apply_gradients: Callable[[Sequence[Any], Sequence[Parameter]], None]
    get_weights: Callable[[], list[np.ndarray]]

    @property
    def weights(self) -> list[Tensor]:
        """The state as Tensors of now, in the order of `get_weights`, for ``K.batch_get_value``."""
        return [Tensor(array) for array in self.get_weights()]

    def get_gradients(self, loss: Any, params: Sequence[Parameter]) -> list[SymbolicTensor]:
        """Record the gradients of a symbolic loss, clipped as in training.

        Args:
            loss: Symbolic tensor, such as ``model.total_loss``; the sum of its elements is differentiated.
            params: The weights.

        Returns:
            A symbolic tensor for each weight, of its shape.

        Raises:
            TypeError: If the loss is a number already.
        """
        grads = self._recorded_gradients(loss, params)
        if self.weight_clipnorm:
            grads = [grad * _scale([grad], self.weight_clipnorm) for grad in grads]
        if self.clipnorm:
            scale = _scale(grads, self.clipnorm)
            grads = [grad * scale for grad in grads]
        if self.clipvalue:
            grads = [ops.clip(grad, -self.clipvalue, self.clipvalue) for grad in grads]
        return grads

    def get_updates(self, loss: Any, params: Sequence[Parameter]) -> list[Any]:
        """Record one step of training, for ``K.function(..., updates=...)`` to carry out after its outputs.

        Args:
            loss: Symbolic tensor; the sum of its elements is minimised.
            params: The weights to update.

        Returns:
            A list of updates; it may be put together with others.

        Raises:
            TypeError: If the loss is a number already.
        """
        flat = ops.concatenate([ops.reshape(grad, (-1,)) for grad in self._recorded_gradients(loss, params)])
        return [(_Step(self, params), flat)]

    def _recorded_gradients(self, loss: Any, params: Sequence[Parameter]) -> list[Any]:
        if not isinstance(loss, SymbolicTensor):
            raise TypeError(
                f"{type(self).__name__}: the loss must be symbolic, such as model.total_loss. For a number on the tape "
                f"there are transforms.grad and apply_gradients. Received: {loss!r:.80}"
            )
        return symbolic.gradients([loss], list(params))


def _scale(grads: Sequence[Any], limit: float) -> Any:
    """What gradients are multiplied by so that their common norm is at most the limit."""
    norm = ops.sqrt(sum(ops.sum(ops.square(grad)) for grad in grads))
    return ops.where(norm >= limit, limit / norm, 1.0)


class _Step:
    """One step of an optimizer, in the place of a variable that is assigned to."""

    def __init__(self, optimizer: SymbolicSteps, params: Sequence[Parameter]) -> None:
        self.optimizer = optimizer
        self.params = list(params)

    def assign(self, flat: Any) -> None:
        """Take the step.

        Args:
            flat: The gradients of all weights, end to end.
        """
        ends = np.cumsum([param.size for param in self.params])[:-1]
        parts = np.split(flat.numpy() if isinstance(flat, Tensor) else np.asarray(flat), ends)
        grads = [part.reshape(param.shape) for part, param in zip(parts, self.params, strict=True)]
        self.optimizer.apply_gradients(grads, self.params)
