"""The workloads in any library with Keras's API."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from measuring import Missing
from workloads import Workload, find

STEPS = 4  # batches in a call of fit or predict


class KerasApi:
    """A library that has Keras's names.

    Args:
        name: Of the module.
    """

    def __init__(self, name: str) -> None:
        warnings.simplefilter("ignore")
        self.module = importlib.import_module(name)
        self.layers = importlib.import_module(f"{name}.layers")
        self.sequential = importlib.import_module(f"{name}.models").Sequential
        self.version = self.module.__version__

    def workload(self, name: str, measure: str, variant: str = "") -> Callable[[], Any]:
        """What one measurement of a workload calls.

        Args:
            name: Of the workload.
            measure: "step", "fit", "predict" or "one".
            variant: Kept for libraries that have some.
        """
        given = find(name)
        model = self.model(given)
        steps = STEPS if measure in ("fit", "predict") else 1
        x, y = data(given, steps)
        calls = {
            "step": lambda: model.train_on_batch(x, y),
            "fit": lambda: model.fit(x, y, batch_size=given.batch, epochs=1, verbose=0),
            "predict": lambda: model.predict(x, batch_size=given.batch, verbose=0),
            "one": lambda: model.predict(x[:1], verbose=0),
        }
        return calls[measure]

    def model(self, given: Workload) -> Any:
        """The network, compiled."""
        rank = len(given.shape) - 1
        (kind, options), *others = given.layers
        first = self.layer(kind, {**options, "input_shape": given.shape}, rank)
        model = self.sequential([first, *[self.layer(kind, dict(options), rank) for kind, options in others]])
        model.compile(optimizer=given.optimizer, loss=given.loss)
        return model

    def layer(self, kind: str, options: dict[str, Any], rank: int) -> Any:
        """A layer by its description."""
        for ours, keras in (("window", "kernel_size"), ("factor", "size"), ("width", "padding")):
            if ours in options:
                options["pool_size" if kind.endswith("pool") else keras] = options.pop(ours)
        names = {
            "conv": f"Conv{rank}D",
            "separable": f"SeparableConv{rank}D",
            "depthwise": f"DepthwiseConv{rank}D",
            "transposed": f"Conv{rank}DTranspose",
            "max_pool": f"MaxPooling{rank}D",
            "average_pool": f"AveragePooling{rank}D",
            "global_average": f"GlobalAveragePooling{rank}D",
            "upsample": f"UpSampling{rank}D",
            "pad": f"ZeroPadding{rank}D",
            "batch_norm": "BatchNormalization",
            "dropout": "Dropout",
            "flatten": "Flatten",
            "dense": "Dense",
        }
        return getattr(self.layers, names[kind])(**options)

    def case(self, case: dict[str, Any], variant: str = "") -> Callable[[], Any]:
        """Single layers are measured where there is a tape to hold."""
        raise Missing("single layers aren't measured here")


def data(given: Workload, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets for so many steps."""
    draw = np.random.default_rng(0)
    count = given.batch * steps
    x = draw.random((count, *given.shape), "float32")
    if given.classes is None:
        return x, draw.random((count, *given.shape), "float32")
    return x, np.eye(given.classes, dtype="float32")[draw.integers(0, given.classes, count)]
