"""Losses and updates that layers bring along, besides the loss that a model is compiled with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core import symbolic
from ..core.tape import no_grad
from ..core.tensor import Parameter, Tensor
from .context import current_context, is_frozen
from .shapes import as_list

if TYPE_CHECKING:
    from .base import Layer


class Attachment(NamedTuple):
    """A loss or an update, and the ids of the inputs that it depends on; None if it depends on none."""

    item: Any
    inputs: frozenset[int] | None


class Attaching:
    """Mixin: `add_loss` and `add_update`, and what was added."""

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

        A layer that isn't trainable, or is inside of one that isn't, makes no updates unless it is ``stateful``.

        Raises:
            ValueError: If an update is something else.
        """
        for update in [updates] if _is_pair(updates) else as_list(updates):
            if _is_pair(update):
                context = current_context()
                if context is not None and context.training and (self.stateful or not is_frozen(self)):
                    variable, value = update
                    with no_grad():
                        variable.assign(value.detach() if isinstance(value, Tensor) else value)
            elif callable(update):
                self._updates.append(Attachment(update, _ids(inputs)))
            elif not isinstance(update, Tensor):
                raise ValueError(
                    f"{self}: add_update takes pairs (variable, new value) and functions without arguments. "
                    f"Received: {update!r}"
                )

    @property
    def losses(self) -> list[Any]:
        """The penalties of weights, computed now; losses added symbolically or as functions; and symbolic ones of
        activity regularizers, for each call on symbolic tensors. Those of inner layers are among them."""
        own = [weight.regularizer(weight) for weight in self.weights if weight.regularizer is not None]
        attached = [attachment for layer in self._flatten() for attachment in layer._own_losses()]
        return own + [attachment.item for attachment in attached]

    @property
    def updates(self) -> list[Any]:
        """The functions added by `add_update`, also of inner layers; none of layers that training leaves alone."""
        return [attachment.item for attachment in self._live_updates()]

    def get_losses_for(self, inputs: Any = None) -> list[Any]:
        """Return the losses that depend on these inputs; for None those that depend on none."""
        wanted = _ids(inputs)
        own: list[Any] = []
        if wanted is None:
            own = [weight.regularizer(weight) for weight in self.weights if weight.regularizer is not None]
        attached = [attachment for layer in self._flatten() for attachment in layer._own_losses()]
        return own + [attachment.item for attachment in attached if attachment.inputs == wanted]

    def get_updates_for(self, inputs: Any = None) -> list[Any]:
        """Return the updates that depend on these inputs; for None those that depend on none."""
        wanted = _ids(inputs)
        return [attachment.item for attachment in self._live_updates() if attachment.inputs == wanted]

    # ------------------------------------------------------------------ helpers

    def _live_updates(self) -> list[Attachment]:
        """The updates of this layer and all inside it that training carries out."""
        if not (self.trainable or self.stateful):
            return []
        inner = [attachment for layer in self._sublayers() for attachment in layer._live_updates()]
        return list({id(attachment): attachment for attachment in [*self._updates, *inner]}.values())

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

    def _own_losses(self) -> list[Attachment]:
        """What was added to this very layer, and the penalties on its outputs."""
        penalties = []
        if self.activity_regularizer is not None:
            for node in self._nodes:
                inputs = _ids(node.inputs)
                penalties += [Attachment(self.activity_regularizer(output), inputs) for output in node.outputs]
        return self._losses + penalties


def _ids(inputs: Any) -> frozenset[int] | None:
    return None if inputs is None else frozenset(id(tensor) for tensor in symbolic.symbols_in(inputs))


def _is_pair(update: Any) -> bool:
    return isinstance(update, tuple) and len(update) == 2 and isinstance(update[0], Parameter)
