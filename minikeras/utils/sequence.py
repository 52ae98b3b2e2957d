"""Sequence: batches by number, the form of data that several threads can prepare."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any


class Sequence(ABC):
    """Batches that can be asked for by number, in any order and by several threads at once.

    A subclass says how many there are (``__len__``) and makes each (``__getitem__``).

    Example:
        >>> import numpy as np
        >>> class Squares(Sequence):
        ...     def __len__(self):
        ...         return 2
        ...     def __getitem__(self, index):
        ...         x = np.arange(3) + 3 * index
        ...         return x, x**2
        >>> [y.tolist() for _, y in Squares()]
        [[0, 1, 4], [9, 16, 25]]
    """

    @abstractmethod
    def __getitem__(self, index: int) -> Any:
        """Make a batch: ``(inputs, targets)``, ``(inputs, targets, sample_weights)`` or inputs alone.

        Args:
            index: Its number, from 0 to ``len(self) - 1``.
        """

    @abstractmethod
    def __len__(self) -> int:
        """The number of batches in an epoch."""

    def on_epoch_end(self) -> None:  # noqa: B027 (a hook that may stay empty)
        """Called after each epoch, when no batch is in the making: the place to shuffle."""

    def __iter__(self) -> Iterator[Any]:
        """The batches of one epoch in order."""
        return (self[index] for index in range(len(self)))
