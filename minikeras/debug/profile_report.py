"""What a profile shows: rows, a table, a bar chart and a trace."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .. import checks
from .tables import bytes_in_words, table

if TYPE_CHECKING:
    from .profiler import Event, profile


_OTHER = "other (Python)"


@dataclass(slots=True)
class ProfileRow:
    """What an operation took in a layer.

    Attributes:
        layer: Name of the innermost layer that it ran in; "–" outside of layers, "(optimizer)" for steps.
        operation: Its name; the class of the optimizer.
        calls: How many times it ran; for steps of an optimizer how many were made.
        backward_calls: How many times its derivative ran.
        forward: Seconds that it ran.
        backward: Seconds that its derivative ran.
        step: Seconds that the optimizer ran.
        forward_flops: Floating-point operations forward; None if not known.
        backward_flops: The same of its derivative.
        nbytes: Bytes of the results, without views; in backward of all that a derivative is made of.
    """

    layer: str
    operation: str
    calls: int = 0
    backward_calls: int = 0
    forward: float = 0.0
    backward: float = 0.0
    step: float = 0.0
    forward_flops: int | None = None
    backward_flops: int | None = None
    nbytes: int = 0

    @property
    def time(self) -> float:
        """Seconds in all."""
        return self.forward + self.backward + self.step

    @property
    def flops(self) -> int | None:
        """Floating-point operations forward and backward; None if neither is known."""
        return _sum(self.forward_flops, self.backward_flops)

    @property
    def gflops(self) -> float | None:
        """Billions of floating-point operations in a second, where they are known; None if they aren't."""
        known = [
            (flops, seconds)
            for flops, seconds in ((self.forward_flops, self.forward), (self.backward_flops, self.backward))
            if flops is not None
        ]
        seconds = sum(pair[1] for pair in known)
        return sum(pair[0] for pair in known) / seconds / 1e9 if seconds else None

    def add(self, event: Event) -> None:
        """Count something that ran."""
        self.nbytes += event.nbytes
        if event.kind == "backward":
            self.backward_calls += 1
            self.backward += event.seconds
            self.backward_flops = _sum(self.backward_flops, event.flops)
            return
        self.calls += 1
        if event.kind == "step":
            self.step += event.seconds
        else:
            self.forward += event.seconds
            self.forward_flops = _sum(self.forward_flops, event.flops)

    def merge(self, other: ProfileRow) -> None:
        """Count what another row has counted."""
        for name in ("calls", "backward_calls", "forward", "backward", "step", "nbytes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.forward_flops = _sum(self.forward_flops, other.forward_flops)
        self.backward_flops = _sum(self.backward_flops, other.backward_flops)

    def to_dict(self) -> dict[str, Any]:
        """The row as plain values."""
        return {**asdict(self), "time": self.time, "gflops": self.gflops}


def _sum(a: int | None, b: int | None) -> int | None:
    return a if b is None else b if a is None else a + b


# ---------------------------------------------------------------------- rows


_KEYS = {
    "time": lambda row: -row.time,
    "forward": lambda row: -row.forward,
    "backward": lambda row: -row.backward,
    "calls": lambda row: -row.calls,
    "gflops": lambda row: -(row.gflops or 0.0),
    "memory": lambda row: -row.nbytes,
    "name": lambda row: (row.layer, row.operation),
    "order": lambda row: 0,
}


def gathered(rows: Iterable[ProfileRow], by: str) -> list[ProfileRow]:
    """Rows with those added up that have the layer, the operation or both in common."""
    by = checks.choice("profile", "by", by, ("both", "layer", "operation"))
    found: dict[tuple[str, str], ProfileRow] = {}
    for row in rows:
        key = (row.layer if by != "operation" else "", row.operation if by != "layer" else "")
        if key not in found:
            found[key] = ProfileRow(*key)
        found[key].merge(row)
    return list(found.values())


def sorted_rows(rows: list[ProfileRow], sort: str) -> list[ProfileRow]:
    """Rows in an order, see `profile.sorted`."""
    return sorted(rows, key=_KEYS[checks.choice("profile", "sort", sort, tuple(_KEYS))])


# ---------------------------------------------------------------------- text


def text(profiled: profile, rows: list[ProfileRow], by: str, most: int) -> str:
    """The table of a profile, with what it adds up to."""
    shown, rest = rows[:most], rows[most:]
    total = sum(row.time for row in rows) + profiled.other
    head = ["layer", "operation", "calls", "ms", "share", "forward", "backward", "GFLOP/s", "results"]
    lines = [_fields(row, total) for row in shown]
    if rest:
        lines.append(_fields(gathered([_unnamed(row) for row in rest], "both")[0], total))
        lines[-1][:2] = [f"… {len(rest)} more", ""]
    lines.append([_OTHER, "", "", _ms(profiled.other), _share(profiled.other, total), "", "", "", ""])
    if by != "both":  # names stand in one column
        head = [by, *head[2:]]
        lines = [[line[0] or line[1], *line[2:]] for line in lines]
    names = 2 if by == "both" else 1
    found = table(head, lines, right=range(names, len(head)))
    return "\n".join([*found, found[1], *_totals(profiled, total)])


def _unnamed(row: ProfileRow) -> ProfileRow:
    unnamed = ProfileRow("", "")
    unnamed.merge(row)
    return unnamed


def _fields(row: ProfileRow, total: float) -> list[str]:
    return [
        row.layer,
        row.operation,
        f"{row.calls or row.backward_calls:,}",
        _ms(row.time),
        _share(row.time, total),
        _ms(row.forward) if row.forward else "",
        _ms(row.backward) if row.backward else "",
        "" if row.gflops is None else f"{row.gflops:.3g}",
        bytes_in_words(row.nbytes) if row.nbytes else "",
    ]


def _totals(profiled: profile, total: float) -> list[str]:
    lines = [f"{_ms(total)} ms in all"]
    if total - profiled.wall > 0.01 * total:
        lines[0] += f", in {_ms(profiled.wall)} ms, as threads ran side by side"
    flops = profiled.flops
    if flops and profiled.wall:
        lines.append(f"{flops / 1e9:.3g} GFLOP, {flops / profiled.wall / 1e9:.3g} GFLOP/s over all")
    if profiled.dropped:
        lines.append(f"{profiled.dropped:,} events are counted here, but not kept for export_chrome_trace")
    return lines


def _ms(seconds: float) -> str:
    value = 1e3 * seconds
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _share(seconds: float, total: float) -> str:
    return f"{seconds / total:.0%}" if total else ""


# ---------------------------------------------------------------------- picture


def draw(profiled: profile, rows: list[ProfileRow], by: str, most: int, path: str | os.PathLike[str] | None) -> Any:
    """A figure with a bar for each row, what is left and the rest of the time."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("profile.plot needs matplotlib: pip install 'minikeras[plot]'") from error
    shown, rest = rows[:most], rows[most:]
    labels = [_label(row, by) for row in shown]
    times = {
        "forward": [row.forward for row in shown],
        "backward": [row.backward for row in shown],
        "optimizer": [row.step for row in shown],
        "Python": [0.0] * len(shown),
    }
    if rest:
        together = gathered([_unnamed(row) for row in rest], "both")[0]
        labels.append(f"… {len(rest)} more")
        for name, seconds in zip(times, (together.forward, together.backward, together.step, 0.0), strict=True):
            times[name].append(seconds)
    labels.append(_OTHER)
    for name, seconds in zip(times, (0.0, 0.0, 0.0, profiled.other), strict=True):
        times[name].append(seconds)
    figure = Figure(figsize=(8.0, 1.1 + 0.28 * len(labels)), layout="constrained")
    axes = figure.subplots()
    left = [0.0] * len(labels)
    for (name, values), color in zip(times.items(), ("tab:blue", "tab:orange", "tab:green", "tab:gray"), strict=True):
        if any(values):
            widths = [1e3 * seconds for seconds in values]
            axes.barh(range(len(labels)), widths, left=left, color=color, label=name)
            left = [a + b for a, b in zip(left, widths, strict=True)]
    for place, width in enumerate(left):
        axes.annotate(f" {width:.3g}", (width, place), va="center", fontsize="small")
    axes.set_xlim(0.0, 1.12 * max(left) or 1.0)  # room for the numbers
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set(xlabel="ms", title=f"{1e3 * profiled.wall:.4g} ms")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower right")
    if path is not None:
        figure.savefig(path, format=None if os.path.splitext(path)[1] else "png", dpi=120)
    return figure


def _label(row: ProfileRow, by: str) -> str:
    return {"both": f"{row.layer}  {row.operation}", "layer": row.layer, "operation": row.operation}[by]


# ---------------------------------------------------------------------- trace


def trace_events(threads: Iterable[tuple[tuple[int, str], Sequence[Event]]], process: int) -> dict[str, Any]:
    """What ran in each thread, in the Trace Event Format: complete events, times in microseconds.

    Args:
        threads: The number and name of each thread, and what ran in it; times from the start of the profile.
        process: The number of the process.
    """
    found: list[dict[str, Any]] = []
    for (thread, name), events in threads:
        common = {"pid": process, "tid": thread}
        found.append({"ph": "M", "name": "thread_name", **common, "args": {"name": name}})
        found += [{"ph": "X", **common, **_described(event)} for event in sorted(events, key=lambda event: event.start)]
    return {"traceEvents": found, "displayTimeUnit": "ms"}


def _described(event: Event) -> dict[str, Any]:
    values = {"layer": event.layer, "flops": event.flops, "bytes": event.nbytes or None}
    return {
        "name": f"{event.name} backward" if event.kind == "backward" else event.name,
        "cat": event.kind,
        "ts": 1e6 * event.start,
        "dur": 1e6 * event.seconds,
        "args": {key: value for key, value in values.items() if value is not None},
    }


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write plain values to a file."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file)
