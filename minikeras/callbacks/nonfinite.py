"""TerminateOnNaN: the end of a training whose loss is no number any more."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import Any

from ..debug.finite import is_finite
from ..layers.base import Layer
from ..layers.observers import observing
from ..layers.shapes import as_list
from .base import Callback, Logs


class TerminateOnNaN(Callback):
    """Stop the training as soon as the loss of a batch is NaN or infinite, and print where that began.

    Each layer's output is looked at while it is computed, which costs one pass over it. To learn which operation made
    the first NaN or infinity, also in backward, run ``fit`` inside `minikeras.debug.detect_anomaly`.

    Attributes:
        layer: The first layer whose output wasn't finite in the last batch; None if all were.
    """

    def __init__(self) -> None:
        self.layer: Layer | None = None
        self._observing = ExitStack()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._observing.enter_context(observing(self._look))

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self.layer = None

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        where = "every layer's output was finite: it comes from the loss function or a penalty"
        if self.layer is not None:
            where = f"{self.layer} was the first layer whose output wasn't finite"
            if not all(is_finite(weight) for weight in self.layer.get_weights()):
                where += ", nor are its weights"
        print(f"Batch {batch}: Invalid loss ({loss}), terminating training; {where}")
        self.model.stop_training = True

    def get_state(self) -> dict[str, Any]:
        """Nothing: training ends where there is something to tell."""
        return {}

    def close(self) -> None:
        """Look at no layer any more."""
        self._observing.close()

    def _look(self, layer: Layer, outputs: Any) -> None:
        if self.layer is None and not all(is_finite(output.numpy()) for output in as_list(outputs)):
            self.layer = layer
