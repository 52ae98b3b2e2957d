"""The workloads and single layers in PyTorch.

Variants: "first" and "last" are eager in the layouts channels_first and channels_last; "fused" and "compiled" are the
second with a fused optimizer or with torch.compile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from cases import Case
from measuring import Missing
from torch import nn
from workloads import Workload, find

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
MAX_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGE_POOL = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
BATCH_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
OPTIMIZERS = {
    "sgd": lambda p, **options: torch.optim.SGD(p, 0.01, **options),
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
    "adadelta": torch.optim.Adadelta,
}
FUSED = ("sgd", "adam")


class PyTorch:
    """PyTorch."""

    version = torch.__version__

    def workload(self, name: str, measure: str, variant: str = "first") -> Callable[[], Any]:
        """What one measurement of a workload calls; arguments as for the libraries with Keras's API."""
        if measure == "fit":
            raise Missing("PyTorch has no fit")
        given = find(name)
        _check(given.optimizer, len(given.shape) - 1, variant)
        torch.manual_seed(0)
        net = Net(given)
        x = torch.rand(1 if measure == "one" else given.batch, given.shape[-1], *given.shape[:-1])
        net, x = _in_layout(variant, net, x)
        if measure != "step":
            net = torch.compile(net.eval()) if variant == "compiled" else net.eval()
            return lambda: _inference(net, x)
        y = torch.randint(0, given.classes, (given.batch,)) if given.classes else torch.rand(x.shape)
        loss_of = {
            "categorical_crossentropy": F.cross_entropy,
            "mse": F.mse_loss,
            "binary_crossentropy": F.binary_cross_entropy_with_logits,
        }[given.loss]
        options = {"fused": True} if variant == "fused" else {}
        optimizer = OPTIMIZERS[given.optimizer](net.parameters(), **options)
        run = torch.compile(net) if variant == "compiled" else net

        def step() -> float:
            optimizer.zero_grad()
            loss = loss_of(run(x), y)
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    def case(self, case: dict[str, Any], variant: str = "first") -> Callable[[], Any]:
        """What one measurement of a single layer calls."""
        given = Case.from_dict(case)
        if variant == "compiled":
            raise Missing("single layers are measured in eager mode")
        if given.part == "step":
            _check(given.kind, 2, variant)
            return _optimizer_step(given, variant)
        if variant == "fused":
            raise Missing("a single layer has no optimizer")
        _check("sgd", len(given.size), variant)
        x = torch.rand(given.batch, given.channels, *given.size).requires_grad_()
        if given.kind == "cross_entropy":
            y = torch.randint(0, given.channels, (given.batch,))
            return lambda: torch.autograd.grad(F.cross_entropy(x, y), [x])
        layer, x = _in_layout(variant, _layer(given), x.detach())
        x.requires_grad_()
        weights = list(layer.parameters())
        with torch.no_grad():
            cotangent = torch.rand_like(layer(x))
        if given.part == "forward":
            return lambda: _inference(layer, x)
        if given.part == "forward and backward":
            return lambda: torch.autograd.grad(layer(x), [x, *weights], cotangent)
        wanted = [x] if given.part == "input gradient" else weights
        outputs = layer(x)
        return lambda: torch.autograd.grad(outputs, wanted, cotangent, retain_graph=True)


class Net(nn.Module):
    """A workload's network, without the activation that PyTorch's losses bring."""

    def __init__(self, given: Workload) -> None:
        super().__init__()
        *sizes, channels = given.shape
        self.parts = nn.Sequential()
        for kind, options in given.layers:
            made, sizes, channels = _made(kind, dict(options), list(sizes), channels)
            self.parts.extend(made)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits, or the outputs."""
        return self.parts(x)


class Padded(nn.Module):
    """Zeros at the ends, then a module."""

    def __init__(self, module: nn.Module, padding: list[tuple[int, int]]) -> None:
        super().__init__()
        self.module = module
        self.padding = [n for pair in reversed(padding) for n in pair]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The module's result."""
        return self.module(F.pad(x, self.padding))


class GlobalAverage(nn.Module):
    """The mean over all places."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C)."""
        return x.mean(tuple(range(2, x.ndim)))


def _made(
    kind: str, options: dict[str, Any], sizes: list[int], channels: int
) -> tuple[list[nn.Module], list[int], int]:
    """The modules of a layer, and the sizes and channels of its output."""
    rank = len(sizes)
    match kind:
        case "conv":
            conv, sizes = _conv(sizes, channels, **{**options, "activation": None})
            return [conv, *_activation(options)], sizes, options["filters"]
        case "separable":
            window = options["window"]
            by_channel = CONV[rank](channels, channels, window, padding=window // 2, groups=channels, bias=False)
            by_place = CONV[rank](channels, options["filters"], 1)
            return [by_channel, by_place, *_activation(options)], sizes, options["filters"]
        case "transposed":
            window, stride = options["window"], options["strides"]
            before = (window - stride + 1) // 2
            extra = stride + 2 * before - window
            conv = TRANSPOSED[rank](channels, options["filters"], window, stride, before, extra)
            return [conv, *_activation(options)], [stride * n for n in sizes], options["filters"]
        case "max_pool":
            return [MAX_POOL[rank](options["window"])], [n // options["window"] for n in sizes], channels
        case "upsample":
            factor = options["factor"]
            return [nn.Upsample(scale_factor=factor)], [factor * n for n in sizes], channels
        case "pad":
            width = options["width"]
            return [Padded(nn.Identity(), [(width, width)] * rank)], [n + 2 * width for n in sizes], channels
        case "dropout":
            return [nn.Dropout(options["rate"])], sizes, channels
        case "flatten":
            for n in sizes:
                channels *= n
            return [nn.Flatten()], [], channels
        case "global_average":
            return [GlobalAverage()], [], channels
        case "dense":
            return [nn.Linear(channels, options["units"]), *_activation(options)], [], options["units"]
    raise ValueError(f"no such layer: {kind}")


def _conv(
    sizes: list[int],
    channels: int,
    filters: int,
    window: int,
    activation: None = None,
    strides: int = 1,
    padding: str = "valid",
    dilation_rate: int = 1,
) -> tuple[nn.Module, list[int]]:
    """A convolution with Keras's padding, and the sizes of its output."""
    span = dilation_rate * (window - 1)
    pairs = []
    for n in sizes:
        total = max(0, strides * (-(-n // strides) - 1) + span + 1 - n) if padding == "same" else 0
        pairs.append((span, 0) if padding == "causal" else (total // 2, total - total // 2))
    found = [(n + sum(pair) - span - 1) // strides + 1 for n, pair in zip(sizes, pairs, strict=True)]
    even = all(before == after for before, after in pairs)
    inner = [before for before, _ in pairs] if even else 0
    conv = CONV[len(sizes)](channels, filters, window, strides, inner, dilation_rate)
    return (conv if even else Padded(conv, pairs)), found


def _activation(options: dict[str, Any]) -> list[nn.Module]:
    name = options["activation"]
    return {"relu": [nn.ReLU()], "tanh": [nn.Tanh()]}.get(name, [])  # the losses bring softmax and sigmoid


def _layer(given: Case) -> nn.Module:
    """A single layer."""
    rank = len(given.size)
    padding = given.dilation * (given.window - 1) // 2 if given.same else 0
    match given.kind:
        case "conv" | "depthwise":
            depthwise = given.kind == "depthwise"
            filters = given.channels if depthwise else given.filters
            groups = given.channels if depthwise else given.groups
            options = {"dilation": given.dilation, "groups": groups}
            if given.same and given.window % 2 == 0:
                conv = CONV[rank](given.channels, filters, given.window, **options)
                total = given.dilation * (given.window - 1)
                return Padded(conv, [(total // 2, total - total // 2)] * rank)
            return CONV[rank](given.channels, filters, given.window, given.stride, padding, **options)
        case "transposed":
            if given.same and given.window % 2 == 0:
                raise Missing("PyTorch pads transposed convolutions alike at both ends")
            return TRANSPOSED[rank](given.channels, given.filters, given.window, given.stride, padding)
        case "max_pool" | "average_pool":
            kinds = MAX_POOL if given.kind == "max_pool" else AVERAGE_POOL
            return kinds[rank](given.window, given.stride)
        case "batch_norm":
            return BATCH_NORM[rank](given.channels)
        case "dense":
            return nn.Linear(given.channels, given.filters)
    raise ValueError(f"no such layer: {given.kind}")


def _check(optimizer: str, rank: int, variant: str) -> None:
    """Raise `Missing` where a variant is nothing else than another one."""
    if variant == "last" and rank not in LAST:
        raise Missing("there is no channels_last layout for these axes")
    if variant == "fused" and optimizer not in FUSED:
        raise Missing(f"there is no fused {optimizer} on a CPU")


def _in_layout(variant: str, module: nn.Module, x: torch.Tensor) -> tuple[nn.Module, torch.Tensor]:
    if variant == "first" or x.ndim - 2 not in LAST:
        return module, x
    layout = LAST[x.ndim - 2]
    return module.to(memory_format=layout), x.to(memory_format=layout)


def _inference(module: Any, x: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return module(x)


def _optimizer_step(given: Case, variant: str) -> Callable[[], Any]:
    parameters = [nn.Parameter(torch.rand(n)) for n in given.parameters]
    for parameter in parameters:
        parameter.grad = torch.rand_like(parameter)
    optimizer = OPTIMIZERS[given.kind](parameters, **({"fused": True} if variant == "fused" else {}))
    return optimizer.step
