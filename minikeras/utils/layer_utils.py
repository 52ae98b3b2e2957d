"""Layers and models as Keras's ``layer_utils`` sees them: their inputs, their size and their table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..core.symbolic import SymbolicTensor, symbols_in
from ..core.tensor import Tensor
from ..layers import Layer

__all__ = ["count_params", "get_source_inputs", "print_summary"]


def get_source_inputs(
    tensor: SymbolicTensor, layer: Layer | None = None, node_index: int | None = None
) -> list[SymbolicTensor]:
    """Return the inputs that a symbolic tensor is made of, each once, in the order in which they are met.

    Args:
        tensor: What `Input`, a layer or an operation gave.
        layer: The layer that made it, with ``node_index``, for an output of one of several calls; found by itself if
            None.
        node_index: Which of the layer's calls is meant.

    Raises:
        TypeError: If the tensor isn't symbolic.
        ValueError: If the layer doesn't have that call.

    Example:
        >>> from minikeras.layers import Add, Dense, Input
        >>> a, b = Input((3,), name="a"), Input((3,), name="b")
        >>> [symbol.name for symbol in get_source_inputs(Add()([Dense(3)(b), a]))]
        ['b', 'a']
    """
    if not isinstance(tensor, SymbolicTensor):
        raise TypeError(
            "get_source_inputs: tensor must be symbolic, made by Input and by calling layers on it. "
            f"Received: {type(tensor).__name__} {tensor!r:.100}"
        )
    stack = [tensor]
    if layer is not None and node_index is not None:
        call = layer._node_at(node_index, "input")
        stack = symbols_in([*call.inputs])[::-1] or [*call.outputs]
    found: dict[int, SymbolicTensor] = {}
    seen: set[int] = set()
    while stack:
        symbol = stack.pop()
        if id(symbol) in seen:
            continue
        seen.add(id(symbol))
        if symbol.source is None:
            found[id(symbol)] = symbol
        else:
            stack += symbols_in([*symbol.source.inputs, *symbol.source.static.values()])[::-1]
    return list(found.values())


def count_params(weights: Iterable[Tensor]) -> int:
    """Return the number of elements of some weights; one that is given twice counts once.

    Args:
        weights: Such as ``model.trainable_weights``.

    Raises:
        TypeError: If they are something else.

    Example:
        >>> from minikeras.layers import Dense
        >>> layer = Dense(2)
        >>> layer.build((None, 3))
        >>> count_params(layer.weights)
        8
    """
    if isinstance(weights, (Tensor, Layer)) or not isinstance(weights, Iterable):
        hint = "; a layer counts its own by layer.count_params()" if isinstance(weights, Layer) else ""
        raise TypeError(f"count_params: weights must be a list of weights{hint}. Received: {weights!r:.100}")
    unique = {id(weight): weight for weight in weights}.values()
    for weight in unique:
        if not isinstance(weight, Tensor):
            raise TypeError(f"count_params: each of weights must be a weight. Received: {weight!r:.100}")
    return sum(weight.size for weight in unique)


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], object] | None = None,
) -> None:
    """Print the table of a model's layers, as ``model.summary`` does.

    Args:
        model: The model.
        line_length: Width of the table; as wide as its content if None.
        positions: Where the columns end: shares of the width, or characters if the last is larger than 1.
        print_fn: Called with each line instead of ``print``.

    Raises:
        TypeError: If it is no model.
    """
    if isinstance(model, type) or not callable(getattr(model, "summary", None)):
        raise TypeError(f"print_summary: model must be a model. Received: {type(model).__name__} {model!r:.100}")
    model.summary(line_length, positions, print_fn)
