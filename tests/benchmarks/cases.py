"""Single layers: the operations that networks are made of, and shapes that nobody has chosen."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass

PARTS = ("forward", "input gradient", "kernel gradient", "forward and backward")


@dataclass(frozen=True)
class Case:
    """A layer on an input.

    Attributes:
        kind: "conv", "depthwise", "transposed", "max_pool", "average_pool", "batch_norm", "dense", "cross_entropy" or
            the name of an optimizer.
        part: One of `PARTS`, or "step" of an optimizer.
        batch, size, channels: Of the input, (batch, *size, channels); of an optimizer ``size`` are the parameters.
        filters, window, stride, dilation, groups: Of the layer, the same along each axis; filters are also units.
        same: Whether the output has the size of the input; only with a stride of 1.
    """

    kind: str
    part: str
    batch: int = 1
    size: tuple[int, ...] = ()
    channels: int = 1
    filters: int = 0
    window: int = 1
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    same: bool = False

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict) -> Case:
        """From JSON."""
        return Case(**{**values, "size": tuple(values["size"])})

    @property
    def parameters(self) -> list[int]:
        """Of an optimizer: the sizes of twenty parameters, as a network has them."""
        return [self.size[0] // 20] * 20

    @property
    def layer(self) -> str:
        """The layer and its sizes, in words."""
        if self.part == "step":
            return f"{self.kind}, {self.size[0]:,} parameters"
        rank = len(self.size)
        shape = "×".join(str(n) for n in (self.batch, *self.size, self.channels))
        if self.kind in ("dense", "cross_entropy"):
            return f"{self.kind} {shape}" + (f" → {self.filters}" if self.filters else "")
        if self.kind == "batch_norm":
            return f"{self.kind} {shape}"
        found = f"{self.kind} {rank}-D {'×'.join([str(self.window)] * rank)}, {shape}"
        found += f" → {self.filters}" if self.filters and self.kind != "depthwise" else ""
        for name, usual in (("stride", 1), ("dilation", 1), ("groups", 1)):
            if getattr(self, name) != usual and (name != "stride" or "pool" not in self.kind):
                found += f", {name} {getattr(self, name)}"
        return found + (", same" if self.same else "")


def operations() -> list[Case]:
    """The single operations, at sizes of small networks."""
    forms = {
        1: {"batch": 16, "size": (1024,), "channels": 32, "filters": 32, "window": 3},
        2: {"batch": 32, "size": (28, 28), "channels": 32, "filters": 64, "window": 3},
        3: {"batch": 8, "size": (16, 16, 16), "channels": 16, "filters": 32, "window": 3},
    }
    found = [Case("conv", part, **form) for form in forms.values() for part in PARTS[:3]]
    found += [
        Case("conv", PARTS[3], batch=32, size=(28, 28), channels=64, filters=64, window=1),
        Case("conv", PARTS[3], batch=32, size=(28, 28), channels=32, filters=64, window=3, stride=2),
        Case("conv", PARTS[3], batch=32, size=(28, 28), channels=32, filters=64, window=3, dilation=2),
        Case("conv", PARTS[3], batch=32, size=(28, 28), channels=32, filters=64, window=3, groups=4),
        Case("conv", PARTS[3], batch=8, size=(28, 28), channels=16, filters=32, window=7),
    ]
    depthwise = Case("depthwise", PARTS[0], batch=32, size=(32, 32), channels=64, window=3, same=True)
    found += [Case(**{**asdict(depthwise), "part": part}) for part in PARTS[:3]]
    found += [
        Case("transposed", PARTS[0], batch=32, size=(14, 14), channels=32, filters=32, window=3, stride=2),
        Case("transposed", PARTS[3], batch=32, size=(14, 14), channels=32, filters=32, window=3, stride=2),
        Case("max_pool", PARTS[0], batch=64, size=(26, 26), channels=64, window=2, stride=2),
        Case("max_pool", PARTS[3], batch=64, size=(26, 26), channels=64, window=2, stride=2),
        Case("average_pool", PARTS[3], batch=64, size=(26, 26), channels=64, window=2, stride=2),
        Case("batch_norm", PARTS[3], batch=64, size=(26, 26), channels=64),
        Case("dense", PARTS[3], batch=128, channels=9216, filters=128),
        Case("cross_entropy", PARTS[3], batch=4096, channels=100),
    ]
    return found + [Case(name, "step", size=(1_000_000,)) for name in ("sgd", "adam", "rmsprop", "adadelta")]


def random_shapes(seed: int, count: int = 50) -> list[Case]:
    """Layers of random kinds and sizes, forward and backward; the kinds take turns.

    Args:
        seed: The same one gives the same shapes.
        count: How many.
    """
    draw = random.Random(seed)
    kinds = [("conv", 1), ("conv", 2), ("conv", 3), ("depthwise", 2), ("transposed", 2), ("max_pool", 2)]
    kinds += [("conv", 2), ("average_pool", 2), ("transposed", 1), ("depthwise", 1)]
    return [_random_case(draw, *kinds[i % len(kinds)]) for i in range(count)]


def _random_case(draw: random.Random, kind: str, rank: int) -> Case:
    window = draw.choice((1, 2, 3, 3, 5, 7) if rank < 3 else (1, 2, 3, 3, 5)) if "pool" not in kind else 0
    channels = draw.choice((1, 3, 8, 16, 24, 32, 48, 64, 96, 128))
    filters = draw.choice((4, 8, 16, 24, 32, 48, 64, 96, 128))
    stride = draw.choice((1, 1, 1, 2, 3)) if "pool" not in kind else draw.choice((2, 2, 3))
    dilation = draw.choice((1, 1, 1, 2)) if kind == "conv" and stride == 1 else 1
    groups = draw.choice((1, 1, 1, 2, 4)) if kind == "conv" and channels % 8 == filters % 8 == 0 else 1
    window = window or stride
    same = stride == 1 and draw.random() < 0.5
    shortest = dilation * (window - 1) + stride + 1
    size = tuple(max(shortest, draw.randint(*{1: (32, 1024), 2: (7, 48), 3: (6, 20)}[rank])) for _ in range(rank))
    places = 1
    for n in size:
        places *= n
    work = places * channels * (filters * window**rank / groups if kind in ("conv", "transposed") else 60)
    most = max(1, min(128, int(1.5e8 / work), int(2**22 / (places * max(channels, filters)))))
    batch = draw.choice([n for n in (1, 2, 4, 8, 16, 32, 64, 128) if n <= most])
    filters = 0 if kind not in ("conv", "transposed") else filters
    part = "forward and backward"
    return Case(kind, part, batch, size, channels, filters, window, stride, dilation, groups, same)
