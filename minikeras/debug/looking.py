"""Looking on: operations, derivatives, layers and steps of optimizers pass those who look, while somebody does.

The first who looks puts versions that ask for lookers in the place of the real functions, and the last one takes them
away, so nobody pays who doesn't look.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from ..core import tape
from ..core.primitive import Primitive
from ..layers.base import Layer
from ..optimizers import Optimizer

Run = Callable[[], Any]


class Looker:
    """Somebody who looks. Each method gets what is about to run and its arguments, and returns what that returns.

    A subclass overrides what it wants to see.
    """

    def around_call(self, run: Run, operation: Primitive, /, *inputs: Any, **static: Any) -> Any:
        """An operation; its result is symbolic where an input is."""
        return run()

    def around_derivative(self, run: Run, operation: Primitive, *arguments: Any) -> Any:
        """The derivative of one; the arguments are those of `Primitive.pull_back`."""
        return run()

    def around_walk(self, run: Run, *arguments: Any) -> Any:
        """A walk over the tape; the arguments are the outputs, the gradients to start from, and what else it takes."""
        return run()

    def around_layer(self, run: Run, layer: Layer, inputs: Any, *arguments: Any) -> Any:
        """A layer that computes."""
        return run()

    def around_step(self, run: Run, optimizer: Optimizer, /, *arguments: Any, **keywords: Any) -> Any:
        """A step of an optimizer."""
        return run()


_PLACES: list[tuple[Any, str, str]] = [
    (Primitive, "__call__", "around_call"),
    (Primitive, "pull_back", "around_derivative"),
    (tape, "_walk", "around_walk"),
    (Layer, "_run", "around_layer"),
    (Optimizer, "apply_gradients", "around_step"),
]


class _Lookers(threading.local):
    here: tuple[Looker, ...] = ()  # in this thread


_lookers = _Lookers()
_everywhere: tuple[Looker, ...] = ()
_lock = threading.Lock()
_users = 0


def begin(looker: Looker, everywhere: bool = False) -> None:
    """Let somebody look, in this thread or in all.

    Who came first is asked last, and those who look everywhere after all others: they see least of the others' work.
    """
    global _everywhere, _users
    with _lock:
        _users += 1
        if everywhere:
            _everywhere = (*_everywhere, looker)
        else:
            _lookers.here = (*_lookers.here, looker)
        if _users == 1:
            for place, name, _ in _PLACES:
                setattr(place, name, _looking[name])


def end(looker: Looker) -> None:
    """Let one who looks, in this thread or everywhere, look no longer."""
    global _everywhere, _users
    with _lock:
        _users -= 1
        _everywhere = _without(_everywhere, looker)
        _lookers.here = _without(_lookers.here, looker)
        if _users == 0:
            for place, name, _ in _PLACES:
                setattr(place, name, _real[name])


LookerType = TypeVar("LookerType", bound=Looker)


def innermost(kind: type[LookerType]) -> LookerType | None:
    """The one of a kind that began to look in this thread last."""
    return next((looker for looker in reversed(_lookers.here) if isinstance(looker, kind)), None)


def _without(lookers: tuple[Looker, ...], looker: Looker) -> tuple[Looker, ...]:
    return tuple([other for other in lookers if other is not looker])


def _passing(function: Callable[..., Any], method: str) -> Callable[..., Any]:
    """A function that passes those who look on its way."""

    @functools.wraps(function)
    def looking(*arguments: Any, **keywords: Any) -> Any:
        run: Any = functools.partial(function, *arguments, **keywords)
        for looker in (*_everywhere, *_lookers.here):
            run = functools.partial(getattr(looker, method), run, *arguments, **keywords)
        return run()

    return looking


_real = {name: getattr(place, name) for place, name, _ in _PLACES}
_looking = {name: _passing(_real[name], method) for _, name, method in _PLACES}
