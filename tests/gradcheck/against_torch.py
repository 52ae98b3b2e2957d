"""Beside PyTorch: the same wrong gradients in both, and the time for a convolution.

``python -m tests.gradcheck.against_torch`` prints both tables; it needs torch, which nothing else here does.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from minikeras import Tensor, gradcheck, layers
from minikeras.core.primitive import primitive


class Case(NamedTuple):
    """A function of arrays, and a gradient: takes the cotangent and the arrays, gives one array for each."""

    name: str
    function: Callable[..., Any]
    gradient: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    right: bool = False


def _softmax(x: np.ndarray) -> np.ndarray:
    weights = np.exp(x - x.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def _standard(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3)


def _patches(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.stack([x[i : i + len(w)] @ w for i in range(len(x) - len(w) + 1)])


def _spread(c: np.ndarray, w: np.ndarray, size: int) -> np.ndarray:
    found = np.zeros(size)
    for i, value in enumerate(c):
        found[i : i + len(w)] += value * w
    return found


def _window(c: np.ndarray, x: np.ndarray, taps: int) -> np.ndarray:
    return np.stack([c @ x[k : k + len(c)] for k in range(taps)])


AFFINE, PAIR, ONE = ((4, 3), (3, 3), (3,)), ((3, 4), (3, 4)), ((4, 3),)
CASES = [
    Case("sign", np.sin, lambda c, x: [-c * np.cos(x)], ONE),
    Case("factor 2", np.square, lambda c, x: [c * x], ONE),
    Case("factor 1.0005", np.sin, lambda c, x: [1.0005 * c * np.cos(x)], ONE),
    Case("zero", np.tanh, lambda c, x: [0 * x], ONE),
    Case("tanh'(x) at x for tanh(x)", np.tanh, lambda c, x: [c * (1 - x**2)], ONE),
    Case("bias: first row instead of the sum", lambda x, w, b: x @ w + b,
         lambda c, x, w, b: [c @ w.T, x.T @ c, c[0]], AFFINE),
    Case("bias: mean instead of the sum", lambda x, w, b: x @ w + b,
         lambda c, x, w, b: [c @ w.T, x.T @ c, c.mean(0)], AFFINE),
    Case("kernel transposed", lambda x, w, b: x @ w + b, lambda c, x, w, b: [c @ w, x.T @ c, c.sum(0)], AFFINE),
    Case("gradient transposed", lambda x, w, b: x @ w + b,
         lambda c, x, w, b: [c @ w.T, c.T @ x, c.sum(0)], AFFINE),
    Case("inputs swapped", lambda x, y: x * y, lambda c, x, y: [c * x, c * y], PAIR),
    Case("one element 1 % off", np.exp, lambda c, x: [c * np.exp(x) * np.where(np.arange(3) == 1, 1.01, 1)], ONE),
    Case("softmax without its inner product", _softmax, lambda c, x: [c * _softmax(x)], ONE),
    Case("batch normalization without the mean's share", _standard,
         lambda c, x: [(c - _standard(x) * (c * _standard(x)).mean(0)) / np.sqrt(x.var(0) + 1e-3)], ONE),
    Case("convolution: kernel flipped", _patches,
         lambda c, x, w: [_spread(c, w[::-1], len(x)), _window(c, x, len(w))], ((8,), (3,))),
    Case("convolution: off by one", _patches,
         lambda c, x, w: [np.roll(_spread(c, w, len(x)), 1), _window(c, x, len(w))], ((8,), (3,))),
    Case("through float32", np.sin, lambda c, x: [(c * np.cos(x)).astype(np.float32).astype(float)], ONE),
    Case("another one each time", np.sin, lambda c, x: [c * np.cos(x) * np.random.uniform(0.999, 1.001)], ONE),
    Case("1e-6 too large", np.sin, lambda c, x: [c * np.cos(x) * (1 + 1e-6)], ONE),
    Case("right: tanh", np.tanh, lambda c, x: [c * (1 - np.tanh(x) ** 2)], ONE, True),
    Case("right: convolution", _patches, lambda c, x, w: [_spread(c, w, len(x)), _window(c, x, len(w))], ((8,), (3,)),
         True),
]  # fmt: skip


def arrays(case: Case, seed: int) -> list[np.ndarray]:
    """Normal numbers."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in case.shapes]


def theirs(case: Case, seed: int) -> bool:
    """Whether torch.autograd.gradcheck passes the gradient."""

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            ctx.save_for_backward(*tensors)
            return torch.from_numpy(np.ascontiguousarray(case.function(*[t.detach().numpy() for t in tensors])))

        @staticmethod
        def backward(ctx: Any, cotangent: Any) -> Any:
            inputs = [t.detach().numpy() for t in ctx.saved_tensors]
            found = case.gradient(cotangent.numpy(), *inputs)
            return tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in found)

    tensors = [torch.from_numpy(array).requires_grad_() for array in arrays(case, seed)]
    return torch.autograd.gradcheck(Function.apply, tensors, raise_exception=False)


def ours(case: Case, seed: int) -> gradcheck.GradientReport:
    """What minikeras says of the same gradient, as that of a primitive."""

    @primitive(name="function")
    def function(*xs: Any) -> Any:
        return case.function(*xs)

    @function.backward
    def _(g: Tensor, xs: Any) -> list[Tensor]:
        return [Tensor(array) for array in case.gradient(g.numpy(), *[x.numpy() for x in xs])]

    return gradcheck.check_gradients(function, arrays(case, seed), seed=seed)


def convolution(repeats: int = 15) -> dict[str, float]:
    """Medians in seconds for a Conv2D of 2 x 8 x 8 x 3 -> 4 in input, kernel and bias, taken in turn."""
    layer = layers.Conv2D(4, 3, padding="same")
    layer.ensure_built((2, 8, 8, 3))
    rival = torch.nn.Conv2d(3, 4, 3, padding=1).double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.double, requires_grad=True)
    leaves = (x, rival.weight, rival.bias)

    def run(x: Any, w: Any, b: Any) -> Any:
        return torch.nn.functional.conv2d(x, w, b, padding=1)

    contestants: dict[str, Callable[[], Any]] = {
        "minikeras": lambda: gradcheck.check_layer(layer, (8, 8, 3)),
        "minikeras, method='full'": lambda: gradcheck.check_layer(layer, (8, 8, 3), method="full"),
        "torch": lambda: torch.autograd.gradcheck(run, leaves),
        "torch, fast_mode=True": lambda: torch.autograd.gradcheck(run, leaves, fast_mode=True),
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, check in contestants.items():
            start = time.perf_counter()
            assert check()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


def main() -> None:
    """Print both tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    seeds = range(parser.parse_args().seeds)
    torch.set_num_threads(1)
    version = torch.__version__.split("+")[0]
    print(f"| gradient | torch {version} rejects | minikeras rejects | and says |\n|---|---|---|---|")
    for case in CASES:
        rejected = sum(not theirs(case, seed) for seed in seeds)
        reports = [ours(case, seed) for seed in seeds]
        failed = [report.failures[0] for report in reports if not report.ok]
        words = failed[0].verdict.text if failed else "agrees"
        print(f"| {case.name} | {rejected} of {len(seeds)} | {len(failed)} of {len(seeds)} | {words} |")
    print("\n| Conv2D, 2 x 8 x 8 x 3 -> 4 | milliseconds |\n|---|---|")
    for name, seconds in convolution().items():
        print(f"| {name} | {1000 * seconds:.1f} |")


if __name__ == "__main__":
    main()
