"""The seed, and the streams of random numbers drawn under it.

Every layer, initializer and training run draws from a stream of its own, so that a change in one leaves the numbers
of the others as they were. Under a seed the n-th stream asked for is always the same. Without one, a new stream takes
its entropy from NumPy's global state: ``np.random.seed(0)`` at the top of a script makes the script reproducible.
"""

from __future__ import annotations

import numbers
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_lock = threading.Lock()
_root: np.random.SeedSequence | None = None


def set_seed(seed: int | None) -> None:
    """Make the streams that follow reproducible, in this order of asking and in all threads.

    NumPy's own global state is left alone.

    Args:
        seed: a non-negative integer of any size, or None to go back to streams seeded by NumPy's global state.

    Raises:
        TypeError: if it isn't an integer.
        ValueError: if it is negative.
    """
    global _root
    root = _sequence(seed)
    with _lock:
        _root = root


@contextmanager
def seed_scope(seed: int | None) -> Iterator[None]:
    """Set the seed for the body of a ``with`` statement.

    On leaving, the streams go on where they stood before.

    Args:
        seed: as for `set_seed`.

    Raises:
        TypeError, ValueError: as `set_seed` does.
    """
    global _root
    root = _sequence(seed)
    with _lock:
        before, _root = _root, root
    try:
        yield
    finally:
        with _lock:
            _root = before


def stream(seed: int | None = None) -> np.random.Generator:
    """Return a new, independent stream of random numbers.

    Args:
        seed: a non-negative integer for the stream that belongs to this number, whatever was drawn before;
            None for the next stream under `set_seed`, or one seeded by NumPy's global state if no seed is set.

    Raises:
        TypeError: if the seed isn't an integer.
        ValueError: if it is negative.
    """
    sequence = _sequence(seed)
    if sequence is None:
        with _lock:  # SeedSequence.spawn counts its children, unguarded
            sequence = _entropy_of_numpy() if _root is None else _root.spawn(1)[0]
    return np.random.Generator(np.random.PCG64(sequence))


def get_state(generator: np.random.Generator) -> dict[str, Any]:
    """Return the state of a stream as a dict of strings and integers, fit for JSON."""
    return dict(generator.bit_generator.state)


def set_state(generator: np.random.Generator, state: Any) -> None:
    """Let a stream go on from a saved state.

    Args:
        generator: a stream of `stream`, changed in place.
        state: what `get_state` returned.

    Raises:
        ValueError: if that isn't the state of such a stream; the stream is then unchanged.
    """
    trial = np.random.PCG64(0)  # NumPy sets a state field by field: one half right must not be half taken
    try:
        trial.state = state
        taken = trial.state == state  # NumPy truncates floats, as a JSON reader makes of large integers
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise ValueError(f"state must be what get_state returned. Received: {state!r}") from error
    if not taken:
        raise ValueError(f"state must be what get_state returned, integer for integer. Received: {state!r}")
    generator.bit_generator.state = trial.state


def get_seed_state() -> dict[str, Any] | None:
    """Return where `set_seed` stands, as a dict of integers fit for JSON; None if no seed is set."""
    with _lock:
        if _root is None:
            return None
        names = ("entropy", "spawn_key", "pool_size", "n_children_spawned")
        return {name: getattr(_root, name) for name in names}


def set_seed_state(state: Any) -> None:
    """Let the streams that follow be those that would have followed when `get_seed_state` gave this state.

    Args:
        state: what it returned.

    Raises:
        ValueError: if that isn't such a state.
    """
    global _root
    try:
        if state is not None and state["pool_size"] != np.random.SeedSequence(0).pool_size:
            raise ValueError("another size of the pool")
        root = None if state is None else np.random.SeedSequence(**state)
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"state must be what get_seed_state returned. Received: {state!r:.200}") from error
    with _lock:
        _root = root


def ahead(generator: np.random.Generator, words: int) -> np.random.Generator:
    """A new stream that goes on as this one will when it has drawn so many random words of 64 bits."""
    copy = np.random.PCG64(0)
    state: Any = generator.bit_generator.state
    copy.state = state
    return np.random.Generator(copy.advance(words))


def skip(generator: np.random.Generator, words: int) -> None:
    """Let a stream go on as if it had drawn so many random words of 64 bits."""
    generator.bit_generator.advance(words)  # type: ignore[attr-defined]  # streams are of PCG64


def _sequence(seed: Any) -> np.random.SeedSequence | None:
    """Return the root of a checked seed, None for None."""
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral):
        raise TypeError(f"seed must be a non-negative integer or None. Received: {seed!r}")
    if seed < 0:
        raise ValueError(f"seed must be a non-negative integer or None. Received: {seed!r}")
    return np.random.SeedSequence(int(seed))


def _entropy_of_numpy() -> np.random.SeedSequence:
    words = np.random.randint(0, 2**32, size=4, dtype=np.uint32)  # noqa: NPY002 (the global state is the point)
    return np.random.SeedSequence(words.tolist())
