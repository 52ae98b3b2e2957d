"""Keras's path of what brings data to a model: downloads, sequences of batches, and threads that prepare them."""

from __future__ import annotations

from .download import get_file, validate_file
from .enqueuer import GeneratorEnqueuer, OrderedEnqueuer, SequenceEnqueuer
from .sequence import Sequence

__all__ = ["GeneratorEnqueuer", "OrderedEnqueuer", "Sequence", "SequenceEnqueuer", "get_file", "validate_file"]
