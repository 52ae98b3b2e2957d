"""profile: where the time of a computation goes, by layer and operation, forward and backward."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .. import checks
from ..core.primitive import Primitive
from ..layers.base import Layer
from ..layers.measures import says
from ..layers.shapes import is_shape, shapes_of
from ..optimizers import Optimizer
from . import looking
from .counting import operations_of
from .profile_report import ProfileRow, draw, gathered, sorted_rows, text, trace_events, write_json

clock = time.perf_counter

NO_LAYER = "–"


@dataclass(slots=True)
class Event:
    """Something that ran.

    Attributes:
        kind: "forward", "backward", "layer", "walk" (of backward over the tape) or "step" (of an optimizer).
        name: Of the operation or the layer; the class of the optimizer.
        layer: Name of the innermost layer it belongs to; backward belongs where forward was.
        start: In seconds, by `clock`.
        seconds: How long it took, with all that ran inside.
        counted: Whether it stands in the table: not what runs inside of something that stands there, nor what only
            holds others, as layers do.
        flops: Floating-point operations, those inside included; None if not known.
        nbytes: Of the results that take memory of their own, also inside.
        inside: Of a layer that runs: what stands in the table and ran in it, but in no layer inside of it.
    """

    kind: str
    name: str
    layer: str
    start: float
    counted: bool
    seconds: float = 0.0
    flops: int | None = None
    nbytes: int = 0
    inside: list[Event] = field(default_factory=list)


@dataclass(slots=True)
class Log:
    """What ran in one thread.

    Attributes:
        thread: Its number and its name.
        open: What is running, the innermost last.
        events: What has run, up to the profile's ``max_events``.
        rows: The sums for the table, by layer and operation.
        busy: Seconds that stand in the table.
    """

    thread: tuple[int, str]
    open: list[Event] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    rows: dict[tuple[str, str], ProfileRow] = field(default_factory=dict)
    busy: float = 0.0


class profile(looking.Looker):
    """Context manager: measures what every operation takes in the body of a ``with`` statement.

    It sees operations forward, their derivatives in backward, and the steps of optimizers, in ``fit`` and ``predict``
    as well as in loops of your own, in all threads. Backward is counted where forward was: in the row of the operation
    and the layer. The rest of the time is Python's: layers, models, the tape, batches, callbacks. Entered again, it
    goes on. While it measures, an operation takes some microseconds more; outside nothing is measured.

    Args:
        max_events: So many single events are kept for `export_chrome_trace` in each thread; the table counts all.

    Attributes:
        wall: Seconds spent in the body.
        other: Seconds of them in which the thread that entered ran none of what has a row.
        dropped: How many events weren't kept.

    Raises:
        TypeError, ValueError: If ``max_events`` is no positive integer.

    Example:
        >>> import minikeras as mk
        >>> model = mk.Sequential([mk.layers.Dense(4, input_dim=8, name="first"), mk.layers.Dense(1, name="last")])
        >>> with mk.profile() as p:
        ...     outputs = model.predict([[0.0] * 8] * 5)
        >>> [(row.layer, row.operation, row.calls, row.flops) for row in p.sorted("name")]
        [('first', 'dense', 1, 320), ('last', 'dense', 1, 40)]
    """

    def __init__(self, *misplaced: Any, max_events: int = 500_000) -> None:
        if misplaced:
            raise TypeError(
                "profile measures the body of a with statement: `with minikeras.profile() as p: ...`. "
                f"Received: {misplaced[0]!r:.80}"
            )
        self.max_events = checks.integer("profile", "max_events", max_events, minimum=1)
        self.wall = 0.0
        self.other = 0.0
        self.dropped = 0
        self._running = False
        self._entered = 0.0
        self._busy_before = 0.0
        self._logs: list[Log] = []
        self._own = threading.local()
        self._layers: dict[int, str] = {}  # the layer that recorded each node of the tape, by the node's number

    def __enter__(self) -> profile:
        if self._running:
            raise RuntimeError("profile: it is running already; a profile inside of another is one of its own")
        self._running = True
        self._busy_before = self._log().busy
        looking.begin(self, everywhere=True)
        self._entered = clock()
        return self

    def __exit__(self, *exception: object) -> None:
        seconds = clock() - self._entered
        looking.end(self)
        self._running = False
        self.wall += seconds
        self.other += max(seconds - (self._log().busy - self._busy_before), 0.0)
        self._layers.clear()

    # ------------------------------------------------------------------ results

    @property
    def rows(self) -> list[ProfileRow]:
        """A `ProfileRow` for each layer and operation, in the order in which they first ran."""
        return gathered([row for log in list(self._logs) for row in list(log.rows.values())], "both")

    @property
    def flops(self) -> int:
        """Floating-point operations of all rows that know theirs: products, convolutions, and layers that say it."""
        return sum(row.flops or 0 for row in self.rows)

    def sorted(self, sort: str = "time", by: str = "both") -> list[ProfileRow]:
        """The rows in an order.

        Args:
            sort: "time", "forward", "backward", "calls", "gflops" or "memory", the largest first; "name" by the layer's
                and the operation's; "order" as they first ran.
            by: "both" has a row for each operation in each layer; "layer" and "operation" one for each of these.

        Raises:
            ValueError: If it is something else.
        """
        return sorted_rows(gathered(self.rows, by), sort)

    def table(self, by: str = "both", sort: str = "time", max_rows: int = 30) -> str:
        """The profile as text.

        Args:
            by, sort: As for `sorted`.
            max_rows: So many rows are shown; those that follow are added up in one.
        """
        most = checks.integer("profile.table", "max_rows", max_rows, minimum=1)
        return text(self, self.sorted(sort, by), by, most)

    __str__ = table

    def __repr__(self) -> str:
        return f"<profile: {len(self.rows)} rows, {1e3 * self.wall:.1f} ms>"

    def to_dict(self) -> dict[str, Any]:
        """The profile as plain values, for JSON: ``wall`` and ``other`` in seconds, ``flops``, and the ``rows``."""
        rows = [row.to_dict() for row in self.sorted("time")]
        return {"wall": self.wall, "other": self.other, "flops": self.flops, "dropped": self.dropped, "rows": rows}

    def plot(self, path: str | os.PathLike[str] | None = None, by: str = "both", max_rows: int = 20) -> Any:
        """Draw a bar for each row, forward and backward; needs matplotlib, the extra ``plot``.

        Args:
            path: File to write; the suffix says the format, PNG without one. None writes none.
            by: As for `sorted`.
            max_rows: So many bars are drawn, the longest.

        Returns:
            The matplotlib Figure, which a notebook shows.

        Raises:
            ImportError: If matplotlib isn't installed.
        """
        most = checks.integer("profile.plot", "max_rows", max_rows, minimum=1)
        return draw(self, self.sorted("time", by), by, most, path)

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Write what ran when as JSON, in the Trace Event Format of chrome://tracing and ui.perfetto.dev.

        Each thread has a lane, in which operations lie inside of layers and of the walk over the tape.

        Args:
            path: File to write.
        """
        write_json(path, trace_events(self._events_of_threads(), os.getpid()))

    def _events_of_threads(self) -> Iterator[tuple[tuple[int, str], list[Event]]]:
        logs = list(self._logs)
        first = min((event.start for log in logs for event in log.events), default=0.0)
        for log in logs:
            yield log.thread, [replace(event, start=event.start - first) for event in log.events]

    # ------------------------------------------------------------------ measuring

    def around_call(self, run: looking.Run, operation: Primitive, /, *inputs: Any, **static: Any) -> Any:
        """Measure an operation."""
        log = self._log()
        event = self._begin(log, "forward", operation.name, log.open[-1].layer if log.open else NO_LAYER)
        done = False
        try:
            outputs = run()
            results = [output for output in _as_list(outputs) if output is not None]
            done = not any(output.symbolic for output in results)
        finally:
            event.seconds = clock() - event.start
            log.open.pop()
            if done:
                event.flops = operations_of(operation, inputs, static, results[0].shape) if results else None
                event.nbytes = sum(output.data.nbytes for output in results if not _is_view(output, inputs))
                for output in results[:1]:
                    if output.node is not None:
                        self._layers[output.node.order] = event.layer
                self._keep(log, event)
        return outputs

    def around_derivative(self, run: looking.Run, operation: Primitive, /, *arguments: Any) -> Any:
        """Measure the derivative of an operation."""
        layer = self._layers.get(arguments[0].order, NO_LAYER)
        return self._around("backward", operation.name, layer, run)

    def around_walk(self, run: looking.Run, *arguments: Any) -> Any:
        """Note a walk over the tape, which holds derivatives."""
        return self._around("walk", "backward", NO_LAYER, run)

    def around_layer(self, run: looking.Run, layer: Layer, inputs: Any, *arguments: Any) -> Any:
        """Note a layer, which holds operations."""
        log = self._log()
        running = log.open and log.open[-1].kind == "layer" and log.open[-1].name == layer.name
        if running:  # it goes on with itself, in a context of its own
            return run()
        event = self._begin(log, "layer", layer.name, layer.name)
        try:
            outputs = run()
        finally:
            self._close(log, event)
            ran, event.inside = event.inside, []
        self._count_by_layer(log, layer, inputs, outputs, ran)
        return outputs

    def around_step(self, run: looking.Run, optimizer: Optimizer, /, *arguments: Any, **keywords: Any) -> Any:
        """Measure a step of an optimizer."""
        return self._around("step", type(optimizer).__name__, "(optimizer)", run)

    def _around(self, kind: str, name: str, layer: str, run: looking.Run) -> Any:
        log = self._log()
        event = self._begin(log, kind, name, layer)
        try:
            return run()
        finally:
            self._close(log, event)

    def _begin(self, log: Log, kind: str, name: str, layer: str) -> Event:
        counted = kind not in ("layer", "walk") and not any(event.counted for event in log.open)
        event = Event(kind, name, layer, 0.0, counted)
        log.open.append(event)
        event.start = clock()
        return event

    def _close(self, log: Log, event: Event) -> None:
        event.seconds = clock() - event.start
        log.open.pop()
        self._keep(log, event)

    def _keep(self, log: Log, event: Event) -> None:
        """Put an event that has ended where it belongs: in the table, or to what it ran in."""
        if not self._running:
            return  # it outlasted the block, in another thread
        if len(log.events) < self.max_events:
            log.events.append(event)
        else:
            self.dropped += 1
        if event.counted:
            log.busy += event.seconds
            row = log.rows.get((event.layer, event.name))
            if row is None:
                row = log.rows[event.layer, event.name] = ProfileRow(event.layer, event.name)
            row.add(event)
            if log.open and event.kind == "forward":
                log.open[-1].inside.append(event)
        elif log.open and event.kind not in ("layer", "walk"):
            outer = log.open[-1]
            outer.nbytes += event.nbytes
            if event.flops is not None:
                outer.flops = (outer.flops or 0) + event.flops

    def _count_by_layer(self, log: Log, layer: Layer, inputs: Any, outputs: Any, ran: Sequence[Event]) -> None:
        """Let a layer say how many operations it made, where it ran a single one that isn't known to."""
        if len(ran) != 1 or ran[0].flops is not None or not says(layer, "flops"):
            return
        shapes = shapes_of(inputs)
        if is_shape(shapes) and is_shape(shapes_of(outputs)):
            flops = layer.flops(shapes, shapes_of(outputs))
            if flops:
                ran[0].flops = flops * shapes[0]
                row = log.rows[ran[0].layer, ran[0].name]
                row.forward_flops = (row.forward_flops or 0) + ran[0].flops

    def _log(self) -> Log:
        log = getattr(self._own, "log", None)
        if log is None:
            log = self._own.log = Log((threading.get_ident(), threading.current_thread().name))
            self._logs.append(log)
        return log


def _as_list(outputs: Any) -> Sequence[Any]:
    return outputs if isinstance(outputs, (list, tuple)) else (outputs,)


def _is_view(output: Any, inputs: tuple[Any, ...]) -> bool:
    """Whether a result takes no memory of its own: then it counts its versions together with what it is a view of."""
    return any(getattr(value, "_version", None) is output._version for value in inputs)
