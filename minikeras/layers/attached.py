"""Losses and updates that layers bring along, besides the loss that a model is compiled with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..core import symbolic
from ..core.tensor import Parameter, Tensor
from .context import call_context, current_context, in_training, is_frozen, withheld_updates, without_updates
from .shapes import as_list

if TYPE_CHECKING:
    from .base import Layer


class Attachment(NamedTuple):
    """A loss or an update, and the ids of the inputs that it depends on; None if it depends on none."""

    item: Any
    inputs: frozenset[int] | None


class Attaching:
    """Mixin: `add_loss` and `add_update`, and what was added."""

    _adds_in_call: bool  # whether call adds losses
    _updates_in_call: bool  # whether call adds pairs (variable, new value)
    _losses: list[Attachment]
    _updates: list[Attachment]
    _nodes: list[symbolic.Call]
    activity_regularizer: Callable[[Tensor], Tensor] | None
    stateful: bool
    trainable: bool
    _sublayers: Callable[[], Iterator[Layer]]
    if TYPE_CHECKING:

        @property
        def weights(self) -> list[Parameter]:
            """All weights."""

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Add to the loss that training minimises.

        Args:
            losses: A loss or a list of them. Inside `call`: a Tensor, its elements are summed. Anywhere else: a
                symbolic tensor made of a model's tensors by operations, or a function without arguments that
                computes a Tensor from weights; training computes these anew in every step.
            inputs: The tensor or tensors that the losses depend on, for `get_losses_for`.

        Raises:
            ValueError: For a Tensor outside of `call`: it is a number that no training changes.
        """
        for loss in as_list(losses):
            if isinstance(loss, symbolic.SymbolicTensor) or not isinstance(loss, Tensor):
                if not isinstance(loss, Tensor) and not callable(loss):
                    raise ValueError(
                        f"{self}: add_loss takes a symbolic tensor, a function without arguments or, inside call, a "
                        f"Tensor. Received: {loss!r}"
                    )
                self._losses.append(Attachment(loss, _ids(inputs)))
                continue
            context = current_context()
            self._adds_in_call = True
            if context is None:
                raise ValueError(
                    f"{self}: outside of call, a Tensor is a number that training can't follow: give add_loss a "
                    f"function, as in layer.add_loss(lambda: ...), or a symbolic tensor. Received: {loss!r:.100}"
                )
            if context.penalties is not None:
                context.penalties.append(loss.sum() if loss.ndim else loss)

    def add_update(self, updates: Any, inputs: Any = None) -> None:
        """Add what has to be done in every step of training besides the updates of the optimizer.

        Args:
            updates: An update or a list of them: a pair of a variable and its new value (what ``K.update`` gives
                inside `call`), assigned at once if this is a call in training; or a function without arguments,
                called after each step of training. Variables that are assigned already are passed over.
            inputs: The tensor or tensors that the updates depend on, for `get_updates_for`.

        A layer that isn't trainable, or is inside of one that isn't, makes no updates. One that is ``stateful``, such
        as a metric that counts on, assigns its pairs in every call, in evaluation and prediction too.

        Raises:
            ValueError: If an update is something else.
        """
        for update in [updates] if _is_pair(updates) else as_list(updates):
            if _is_pair(update):
                context = current_context()
                if context and (self.stateful or (context.training and not is_frozen(self))):
                    _assign_or_withhold(*update)
            elif callable(update):
                self._updates.append(Attachment(update, _ids(inputs)))
            elif not isinstance(update, Tensor):
                raise ValueError(
                    f"{self}: add_update takes pairs (variable, new value) and functions without arguments. "
                    f"Received: {update!r}"
                )

    @property
    def losses(self) -> list[Any]:
        """The penalties of weights; losses added symbolically or as functions; and symbolic ones of activity
        regularizers, for each call on symbolic tensors. Those of inner layers are among them.

        The penalties of weights are symbolic too, so that what is made of them follows the weights (``K.eval`` gives
        their value of now); inside of a layer's call, a loss function or a `call_context` they are Tensors."""
        return self._weight_penalties() + [attachment.item for attachment in self._attached_losses()]

    @property
    def updates(self) -> list[Any]:
        """What a step of training changes besides the optimizer, for ``K.function(..., updates=...)``.

        The functions added by `add_update`, and for each call on symbolic tensors the pairs of a variable and its
        symbolic new value, such as the moving statistics of batch normalization; those of inner layers are among
        them, and none of layers that training leaves alone.
        """
        return [attachment.item for attachment in self._all_updates()]

    def get_losses_for(self, inputs: Any = None) -> list[Any]:
        """Return the losses that depend on these inputs; for None those that depend on none."""
        wanted = _ids(inputs)
        own = self._weight_penalties() if wanted is None else []
        return own + [attachment.item for attachment in self._attached_losses() if attachment.inputs == wanted]

    def get_updates_for(self, inputs: Any = None) -> list[Any]:
        """Return the updates that depend on these inputs; for None those that depend on none."""
        wanted = _ids(inputs)
        return [attachment.item for attachment in self._all_updates() if attachment.inputs == wanted]

    # ------------------------------------------------------------------ helpers

    def _weight_penalties(self) -> list[Tensor]:
        penalties = [(weight.regularizer, weight) for weight in self.weights if weight.regularizer is not None]
        if current_context() is not None:
            return [penalty(weight) for penalty, weight in penalties]
        return [symbolic.record(penalty, (weight,), {}, [((), weight.dtype)]) for penalty, weight in penalties]

    def _attached_losses(self) -> list[Attachment]:
        """All losses of this layer and those inside it that aren't penalties of weights."""
        return self._added_losses() + self._penalties_at(self._nodes)

    def _added_losses(self) -> list[Attachment]:
        return [attachment for layer in self._flatten() for attachment in layer._losses]

    def _live_updates(self) -> list[Attachment]:
        """The updates of this layer and all inside it that training carries out."""
        if not (self.trainable or self.stateful):
            return []
        inner = [attachment for layer in self._sublayers() for attachment in layer._live_updates()]
        return list({id(attachment): attachment for attachment in [*self._updates, *inner]}.values())

    def _all_updates(self) -> list[Attachment]:
        """The updates that training carries out: functions, and what calls on symbolic tensors assign."""
        return self._live_updates() + self._updates_at(self._nodes)

    def _updates_at(self, nodes: Sequence[symbolic.Call]) -> list[Attachment]:
        """The pairs that calls of this layer on symbolic tensors assign in training."""
        if not any(layer._updates_in_call for layer in self._flatten()):
            return []
        found = []
        for node in nodes:
            if node.inputs:
                updates = _UpdatesOf(self)
                values = symbolic.record(updates, node.inputs, node.static)
                found += [Attachment(pair, _ids(node.inputs)) for pair in zip(updates.variables, values, strict=True)]
        return found

    def _flatten(self) -> list[Any]:
        """This layer and all inside it, each once."""
        found: dict[int, Any] = {}
        stack: list[Any] = [self]
        while stack:
            layer = stack.pop()
            if id(layer) not in found:
                found[id(layer)] = layer
                stack += reversed(list(layer._sublayers()))
        return list(found.values())

    def _penalties_at(self, nodes: Sequence[symbolic.Call]) -> list[Attachment]:
        """What calls of this layer on symbolic tensors add to the loss, symbolically."""
        penalty = self.activity_regularizer
        if not self._penalizes_inside():
            if penalty is None:
                return []
            return [Attachment(penalty(output), _ids(node.inputs)) for node in nodes for output in node.outputs]
        return [
            Attachment(
                symbolic.record(_PenaltiesOf(self), node.inputs, node.static, [((), node.outputs[0].dtype)]),
                _ids(node.inputs),
            )
            for node in nodes
            if node.inputs
        ]

    def _penalizes_inside(self) -> bool:
        """Whether penalties come up while it is called, of itself or of layers inside."""
        inner = self._flatten()[1:]
        return self._adds_in_call or any(
            layer.activity_regularizer is not None
            or layer._adds_in_call
            or any(isinstance(attachment.item, symbolic.SymbolicTensor) for attachment in layer._losses)
            for layer in inner
        )


class _PenaltiesOf:
    """What a call of a layer adds to the loss, as an operation; it calls the layer once more."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.name = f"losses of {layer.name}"

    def __call__(self, *inputs: Any, **static: Any) -> Tensor:
        context = current_context()
        with call_context(in_training(), frozen=context.frozen if context else None) as inner:
            self.layer(*inputs, **static)
        return sum(inner.penalties or [], Tensor(np.zeros((), self.layer.dtype)))


class _UpdatesOf:
    """The new values that a call of a layer in training assigns, as an operation; it calls the layer once more.

    Attributes:
        variables: What they are assigned to; known once it has run.
    """

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.name = f"updates of {layer.name}"
        self.variables: list[Parameter] = []

    def __call__(self, *inputs: Any, **static: Any) -> tuple[Tensor, ...]:
        with call_context(True, collect=False), without_updates() as pairs:
            self.layer(*inputs, **static)
        self.variables = [variable for variable, _ in pairs]
        return tuple(value if isinstance(value, Tensor) else Tensor(value) for _, value in pairs)


def _assign_or_withhold(variable: Parameter, value: Any) -> None:
    withheld = withheld_updates()
    if withheld is None:
        variable.assign(value)
    else:
        withheld.append((variable, value))


def _ids(inputs: Any) -> frozenset[int] | None:
    return None if inputs is None else frozenset(id(tensor) for tensor in symbolic.symbols_in(inputs))


def _is_pair(update: Any) -> bool:
    return isinstance(update, tuple) and len(update) == 2 and isinstance(update[0], Parameter)
