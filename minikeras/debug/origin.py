"""Where an operation runs: the user's line, and the layers around it."""

from __future__ import annotations

import linecache
import os
import sys
import zlib
from dataclasses import dataclass, field, replace
from types import CodeType, FrameType

import numpy as np

from ..core import symbolic, tape
from ..core.primitive import Primitive
from ..layers.base import Layer

_LAYER_CALL: CodeType = Layer._run.__code__
_PROBE: CodeType = symbolic._probe.__code__
_PASSED_THROUGH = {"minikeras", "numpy", "contextlib", "functools"}  # frames that are nobody's own code


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an operation ran.

    Attributes:
        file: Path of the innermost file outside of minikeras; None if there is none.
        number: The line in it.
        function: The function that the line is in.
        layers: The layers whose ``call`` it ran in, innermost first, as in "Dense 'dense_1'".
        layer: The name of the innermost layer, or None.
        derivative_of: The operation in whose derivative it ran, under ``create_graph``; the line is that operation's.
        checksums: What the saved arrays were, see `checksums_of`.
    """

    file: str | None
    number: int
    function: str
    layers: tuple[str, ...] = ()
    layer: str | None = None
    derivative_of: str | None = None
    checksums: dict[str, int] = field(default_factory=dict)

    @property
    def line(self) -> str | None:
        """``file:number``, the file relative to the working folder where it is inside; None if not known."""
        if self.file is None:
            return None
        inside = self.file.startswith(os.getcwd() + os.sep)
        return f"{os.path.relpath(self.file) if inside else self.file}:{self.number}"

    @property
    def source(self) -> str:
        """The text of the line; empty if the file can't be read."""
        return linecache.getline(self.file, self.number).strip() if self.file else ""

    def within_derivative_of(self, operation: str) -> Origin:
        """The same place, for what the derivative of an operation that ran there computes."""
        return replace(self, derivative_of=operation, checksums={})

    def __str__(self) -> str:
        where = "a line that is not known" if self.file is None else self.line
        function = "" if self.function.startswith("<") or self.file is None else f", in {self.function}"
        text = f"{where}{function}" + (f": {self.source}" if self.source else "")
        if self.derivative_of:
            text += f"\n  as a part of the derivative of {self.derivative_of!r}"
        if self.layers:
            text += f"\n  in {' of '.join(self.layers)}"
        return text


def here() -> Origin | None:
    """Where the operation that is being called runs; None while a shape is only tried out on stand-ins."""
    frame: FrameType | None = sys._getframe(1)
    user: FrameType | None = None
    layers: list[Layer] = []
    while frame is not None:
        if frame.f_code is _PROBE:
            return None
        if frame.f_code is _LAYER_CALL:
            layers.append(frame.f_locals["self"])
        elif user is None and _is_users(frame):
            user = frame
        frame = frame.f_back
    names = tuple([str(layer) for layer in layers])
    layer = layers[0].name if layers else None
    if user is None:
        return Origin(None, 0, "", names, layer)
    return Origin(user.f_code.co_filename, user.f_lineno, user.f_code.co_name, names, layer)


def input_names(operation: Primitive, count: int) -> tuple[str, ...]:
    """The names of an operation's inputs, numbered where it takes any number of them."""
    names = operation._input_names(count)
    return names if len(set(names)) == len(names) else tuple([f"{name}[{i}]" for i, name in enumerate(names)])


def checksums_of(node: tape.Node) -> dict[str, int]:
    """A checksum for each array that the derivative of a recorded operation will read, by what it is.

    Arrays that have changed by their versions are left out: those are refused without this.
    """
    inputs, _, outputs, _, _ = node.saved
    names = input_names(node.operation, len(node.edges))
    kept = [(f"input {names[i]!r}", *entry) for i, entry in inputs.items()]
    kept += [
        (f"output {i}" if len(outputs) > 1 else "output", *entry) for i, entry in enumerate(outputs or ()) if entry
    ]
    return {
        what: zlib.crc32(np.ascontiguousarray(array).tobytes())
        for what, array, counter, version in kept
        if counter is not None and counter[0] == version
    }


def _is_users(frame: FrameType) -> bool:
    package = frame.f_globals.get("__package__") or frame.f_globals.get("__name__") or ""
    return package.partition(".")[0] not in _PASSED_THROUGH
