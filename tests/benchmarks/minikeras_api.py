"""minikeras, with one of its tiers of kernels: the workloads by Keras's names, and single layers on its tape."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from cases import Case
from keras_api import KerasApi, data
from measuring import Missing, timed
from workloads import find

import minikeras as mk
from minikeras import config, gradients, no_grad, ops, optimizers

PRODUCTS = ("conv", "conv_input_grad", "conv_kernel_grad", "dense", "matmul")


class Minikeras(KerasApi):
    """minikeras.

    Args:
        tier: "numpy" or "numba".
    """

    def __init__(self, tier: str) -> None:
        super().__init__("minikeras")
        chosen = config.kernels() if hasattr(config, "kernels") else "numpy"
        if chosen != tier:
            raise Missing(f"the kernels of {tier} aren't there")

    def case(self, case: dict[str, Any], variant: str = "") -> Callable[[], Any]:
        """What one measurement of a single layer calls."""
        given = Case.from_dict(case)
        draw = np.random.default_rng(0)
        if given.part == "step":
            return _optimizer_step(given, draw)
        x = mk.Parameter(draw.random((given.batch, *given.size, given.channels), "float32"))
        if given.kind == "cross_entropy":
            labels = np.eye(given.channels, dtype="float32")[draw.integers(0, given.channels, given.batch)]
            return lambda: gradients(ops.mean(ops.softmax_cross_entropy(labels, x)), [x])
        layer = self.layer(given.kind, _options(given), len(given.size))
        shape = layer(x, training=True).shape
        cotangent = mk.Tensor(draw.random(shape, "float32"))
        weights = layer.trainable_weights
        if given.part == "forward":
            return lambda: _without_tape(layer, x)
        if given.part == "forward and backward":
            return lambda: gradients(layer(x, training=True), [x, *weights], [cotangent])
        wanted = [x] if given.part == "input gradient" else weights
        outputs = layer(x, training=True)
        return lambda: gradients(outputs, wanted, [cotangent], retain_graph=True)

    def gemm(self, size: int) -> Callable[[], Any]:
        """A product of two square matrices, whose speed is the machine's limit."""
        a, b = np.random.default_rng(0).random((2, size, size), "float32")
        out = np.empty_like(a)
        return lambda: np.matmul(a, b, out=out)

    def activation_bytes(self, workload: str) -> int:
        """The memory of all layers' outputs for a batch."""
        given = find(workload)
        return given.batch * self.model(given).statistics().activation_bytes

    def profile(self, workload: str, seconds: float) -> dict[str, Any]:
        """Where the time of a training step goes: the profile of several, per step."""
        given = find(workload)
        mk.backend.clear_session()  # layers are named from 1
        model = self.model(given)
        x, y = data(given, 1)
        step = lambda: model.train_on_batch(x, y)  # noqa: E731
        timed(step, 0.0)
        timed(step, 0.0)
        with mk.profile() as found:
            steps = 1 + len(timed(step, seconds))  # and the one that is not timed
        products = sum(row.flops or 0 for row in found.rows if row.operation in PRODUCTS)
        rows = [
            {"layer": row.layer, "operation": row.operation, "ms": 1e3 * row.time / steps, "gflops": row.gflops}
            for row in found.sorted("time")
        ]
        rows.append({"layer": "other (Python)", "operation": "", "ms": 1e3 * found.other / steps, "gflops": None})
        return {"ms": 1e3 * found.wall / steps, "products": products / steps, "rows": rows}


def _without_tape(layer: Any, x: Any) -> Any:
    with no_grad():
        return layer(x, training=True)


def _options(given: Case) -> dict[str, Any]:
    """The arguments of a layer, by the names of the workloads."""
    if given.kind == "dense":
        return {"units": given.filters}
    if given.kind == "batch_norm":
        return {}
    options = {"window": given.window, "strides": given.stride, "padding": "same" if given.same else "valid"}
    if given.kind in ("conv", "transposed"):
        options["filters"] = given.filters
    if given.kind == "conv":
        options.update(dilation_rate=given.dilation, groups=given.groups)
    return options


def _optimizer_step(given: Case, draw: np.random.Generator) -> Callable[[], Any]:
    parameters = [mk.Parameter(draw.random((n,), "float32")) for n in given.parameters]
    grads = [draw.random(parameter.shape, "float32") for parameter in parameters]
    optimizer = optimizers.get(given.kind)
    return lambda: optimizer.apply_gradients(grads, parameters)
