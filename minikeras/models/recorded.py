"""What training minimises as a symbolic tensor, which is how Keras 2 has it: ``model.total_loss`` and its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..core import config, symbolic
from ..core.symbolic import SymbolicTensor
from ..core.tensor import Tensor
from .objective import Head, average


@dataclass(frozen=True, slots=True)
class RecordedLoss:
    """The loss of a compiled model as a record.

    Attributes:
        targets: A symbolic tensor for the targets of each output that has a loss.
        sample_weights: One for their weights, (samples,) or (samples, steps).
        total: The loss with all penalties, of the model's inputs and these.
    """

    targets: list[SymbolicTensor]
    sample_weights: list[SymbolicTensor]
    total: SymbolicTensor


def record_loss(heads: Sequence[Head], outputs: Sequence[SymbolicTensor], penalties: Sequence[Any]) -> RecordedLoss:
    """Record the loss.

    Args:
        heads: What each output is trained for.
        outputs: The outputs.
        penalties: Symbolic tensors, and functions that compute a Tensor; each is added.
    """
    targets, weights = [], []
    total: Any = 0.0
    for head, output in zip(heads, outputs, strict=True):
        if head.loss is None:
            continue
        targets.append(target_of(head, output))
        steps = (None, None) if head.mode == "temporal" else (None,)
        weights.append(SymbolicTensor(steps, config.floatx(), f"{head.name}_sample_weights"))
        scores = head.loss(targets[-1], output)
        dtype = scores.dtype if scores.dtype.kind == "f" else config.floatx()
        loss = symbolic.record(_averaged, (scores, weights[-1], output), {}, [((), dtype)])
        total = total + loss * head.loss_weight
    for penalty in penalties:
        if not isinstance(penalty, Tensor):
            penalty = symbolic.record(penalty, (), {}, [((), config.floatx())])
        total = total + (penalty.sum() if penalty.ndim else penalty)
    return RecordedLoss(targets, weights, total)


def target_of(head: Head, output: SymbolicTensor) -> SymbolicTensor:
    """A symbolic tensor for the targets of an output; for a loss of one's own they are taken to have its shape."""
    shape = head.target_shape() or output.shape
    return SymbolicTensor((None, *shape[1:]), output.dtype, f"{head.name}_target")


def _averaged(scores: Tensor, weights: Tensor, output: Tensor) -> Tensor:
    return average(scores, weights.numpy(), output.mask)
