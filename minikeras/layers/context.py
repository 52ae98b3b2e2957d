"""What layers called together share: whether they are training, and where their penalties and updates go."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from ..core.tensor import Parameter, Tensor

T = TypeVar("T")


class CallContext:
    """What the layers called inside a `call_context` share.

    Attributes:
        training: What a layer called without ``training`` takes.
        penalties: Scalar Tensors that layers add to the loss, one for each output of a layer that has an activity
            regularizer and each of `Layer.add_loss`; None where nobody wants them.
        frozen: The ids of the layers that training leaves alone; None if each layer's ``trainable`` says so.
        captured: From the id of a model to the values of its tensors that its loss reads besides the outputs.
    """

    __slots__ = ("captured", "frozen", "penalties", "training")

    def __init__(self, training: bool, penalties: list[Tensor] | None, frozen: frozenset[int] | None) -> None:
        self.training = training
        self.penalties = penalties
        self.frozen = frozen
        self.captured: dict[int, list[Tensor]] = {}


_context: ContextVar[CallContext | None] = ContextVar("minikeras_call_context", default=None)
_withheld: ContextVar[list[tuple[Parameter, Any]] | None] = ContextVar("minikeras_withheld", default=None)
_room: ContextVar[list[int] | None] = ContextVar("minikeras_room", default=None)
current_context = _context.get
withheld_updates = _withheld.get  # where updates go instead of being made; None where they are made
_fixed_training: bool | None = None


@contextmanager
def call_context(
    training: bool = False,
    penalties: list[Tensor] | None = None,
    frozen: frozenset[int] | None = None,
    collect: bool = True,
) -> Iterator[CallContext]:
    """Call layers in training or inference mode and collect their penalties.

    Args:
        training: Whether layers such as Dropout behave as in training; `fix_training` goes before it.
        penalties: The list that penalties are appended to; a new one if None.
        frozen: The ids of the layers that training leaves alone; None if each layer's ``trainable`` says so.
        collect: False if penalties aren't wanted, nor to be computed.

    Example:
        >>> with call_context(training=True) as context:
        ...     in_training(), context.penalties
        (True, [])
    """
    wanted = ([] if penalties is None else penalties) if collect else None
    fixed = bool(training) if _fixed_training is None else _fixed_training
    context = CallContext(fixed, wanted, frozen)
    token = _context.set(context)
    try:
        yield context
    finally:
        _context.reset(token)


def in_context(context: CallContext, function: Callable[..., T], *args: Any) -> T:
    """Call a function of layers in this very context; a layer's call is too short for a ``with`` statement."""
    token = _context.set(context)
    try:
        return function(*args)
    finally:
        _context.reset(token)


def in_training() -> bool:
    """Whether layers called here behave as in training: what the innermost `call_context` says, else False."""
    context = _context.get()
    return bool(_fixed_training) if context is None else context.training


def is_frozen(layer: Any) -> bool:
    """Whether training leaves a layer alone, because of itself or of a model around it.

    Args:
        layer: The layer; asked inside its call.
    """
    context = _context.get()
    if context is None or context.frozen is None:
        return not layer.trainable
    return id(layer) in context.frozen


@contextmanager
def without_updates() -> Iterator[list[tuple[Parameter, Any]]]:
    """Call layers without their updates: batch normalization uses the batch in training, and leaves its averages.

    Yields:
        A list, to which the pairs (variable, new value) that would have been assigned are appended.
    """
    pairs: list[tuple[Parameter, Any]] = []
    token = _withheld.set(pairs)
    try:
        yield pairs
    finally:
        _withheld.reset(token)


@contextmanager
def trial() -> Iterator[None]:
    """Call layers on small arrays, to see what they give: they leave neither penalties nor updates."""
    with call_context(training=False, collect=False), without_updates():
        yield


def in_call() -> bool:
    """Whether this runs inside a layer's call or a `call_context`."""
    return _context.get() is not None


def fix_training(training: bool | None) -> None:
    """Say for every `call_context` from now on whether it is training, whatever it says itself.

    A layer called with an argument ``training`` of its own follows that.

    Args:
        training: None leaves it to each `call_context` again.
    """
    global _fixed_training
    _fixed_training = training


@contextmanager
def limited_weights(elements: int) -> Iterator[None]:
    """Let the layers built inside have no more numbers in their weights than this, all of them together.

    A configuration from a file may ask for any size; what the file holds is the most that its model can need.
    """
    token = _room.set([elements])
    try:
        yield
    finally:
        _room.reset(token)


def take_room(shape: tuple[int, ...], what: str) -> None:
    """Count a weight that is about to be made.

    Raises:
        ValueError: If it is too large, see `limited_weights`.
    """
    room = _room.get()
    if room is not None:
        room[0] -= math.prod(shape)
        if room[0] < 0:
            raise ValueError(
                f"{what} has the shape {shape}, and the file doesn't hold so many weights (those of a layer that is "
                "part of several models may be there once)"
            )
