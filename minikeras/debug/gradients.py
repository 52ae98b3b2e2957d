"""gradient_summary: how large the gradient of each parameter is, and whether it is finite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.tensor import Tensor
from ..layers.base import Layer
from .tables import table


@dataclass(frozen=True, slots=True)
class GradientRow:
    """The gradient of one parameter beside the parameter.

    Attributes:
        name: Of the parameter.
        shape: Of both.
        gradient: Euclidean norm of the gradient; None if there is no gradient.
        weight: Euclidean norm of the parameter.
        ratio: The first divided by the second; infinite for a parameter of zeros, None if there is no gradient.
        zeros: Share of the gradient's elements that are exactly zero, 0 to 1; None if there is no gradient.
        finite: Whether all elements of the gradient are; None if there is no gradient.
    """

    name: str
    shape: tuple[int, ...]
    gradient: float | None
    weight: float
    ratio: float | None
    zeros: float | None
    finite: bool | None


class GradientSummary:
    """Norms of gradients; prints itself as a table.

    Attributes:
        rows: A `GradientRow` for each parameter.
        norm: Euclidean norm of all gradients together, as ``clipnorm`` takes it.
    """

    def __init__(self, rows: Sequence[GradientRow]) -> None:
        self.rows = list(rows)
        self.norm = float(np.linalg.norm([row.gradient for row in self.rows if row.gradient is not None]))

    def __str__(self) -> str:
        head = ("parameter", "shape", "|gradient|", "|weight|", "ratio", "zeros", "note")
        rows = [_fields(row) for row in self.rows]
        columns = len(head) if any(row[-1] for row in rows) else len(head) - 1
        lines = table(head[:columns], [row[:columns] for row in rows], right=(2, 3, 4, 5))
        return "\n".join([*lines, lines[1], f"norm of all gradients: {self.norm:.3g}"])

    __repr__ = __str__


def gradient_summary(parameters: Any, gradients: Sequence[Any] | None = None) -> GradientSummary:
    """Show for each parameter how large its gradient is, alone and relative to it.

    Call it after `backward`, which leaves gradients in ``.grad`` (``fit`` doesn't); or give the gradients. A ratio
    times the learning rate is the relative step that plain SGD would make; about 0.001 is common.

    Args:
        parameters: A model or layer, for its trainable weights, or a list of Parameters or leaf Tensors.
        gradients: One Tensor or array for each of them, or None where there is none; their ``.grad`` if left out.

    Returns:
        An object that prints itself as a table.

    Raises:
        TypeError: If ``parameters`` is something else.
        ValueError: If there aren't as many gradients, or one has another shape.

    Example:
        >>> import minikeras as mk
        >>> w = mk.Parameter([3.0, 4.0], name="w")
        >>> (2.0 * w[0]).backward()
        >>> print(gradient_summary([w]))
        parameter  shape  |gradient|  |weight|  ratio  zeros
        ────────────────────────────────────────────────────
        w          (2,)            2         5    0.4    50%
        ────────────────────────────────────────────────────
        norm of all gradients: 2
    """
    tensors = parameters.trainable_weights if isinstance(parameters, Layer) else parameters
    tensors = [tensors] if isinstance(tensors, Tensor) else tensors
    if not isinstance(tensors, (list, tuple)) or not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise TypeError(
            f"gradient_summary: expected a model, a layer or a list of Parameters. Received: {parameters!r:.80}"
        )
    found = [tensor.grad for tensor in tensors] if gradients is None else list(gradients)
    if len(found) != len(tensors):
        raise ValueError(f"gradient_summary: expected {len(tensors)} gradients. Received: {len(found)}")
    return GradientSummary(
        [_row(i, tensor, value) for i, (tensor, value) in enumerate(zip(tensors, found, strict=True))]
    )


def _row(place: int, tensor: Tensor, value: Any) -> GradientRow:
    name = getattr(tensor, "name", None) or f"parameter {place + 1}"
    weight = _norm(tensor.data)
    if value is None:
        return GradientRow(name, tensor.shape, None, weight, None, None, None)
    array = value.data if isinstance(value, Tensor) else np.asarray(value)
    if array.shape != tensor.shape:
        raise ValueError(
            f"gradient_summary: the gradient of {name!r} must have the shape {tensor.shape}. Received: {array.shape}"
        )
    norm = _norm(array)
    return GradientRow(
        name=name,
        shape=tensor.shape,
        gradient=norm,
        weight=weight,
        ratio=norm / weight if weight else float("inf") if norm else 0.0,
        zeros=float(np.mean(array == 0)) if array.size else 0.0,
        finite=bool(np.isfinite(array).all()),
    )


def _norm(array: np.ndarray) -> float:
    """Euclidean norm in float64, where squares of float32 don't overflow."""
    return float(np.linalg.norm(np.asarray(array, "float64")))


def _fields(row: GradientRow) -> list[str]:
    if row.gradient is None or row.ratio is None or row.zeros is None:
        return [row.name, str(row.shape), "none", f"{row.weight:.3g}", "", "", "no gradient"]
    words = "" if row.finite else "not finite"
    if row.finite and row.zeros == 1:
        words = "all zero"
    return [
        row.name,
        str(row.shape),
        f"{row.gradient:.3g}",
        f"{row.weight:.3g}",
        f"{row.ratio:.2g}",
        f"{row.zeros:.0%}",
        words,
    ]
