"""Callbacks that keep or show the loss and the metrics: BaseLogger, ProgbarLogger, History, CSVLogger."""

from __future__ import annotations

import csv
import os
import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from .. import checks
from ..utils.progress import Bar
from .base import Callback, Logs


class Averages:
    """The means of some named values over batches, each batch counted by its number of samples.

    Args:
        stateful: Names of the values that are totals already: of these the last one is taken.

    Example:
        >>> averages = Averages()
        >>> averages.add({"loss": 1.0}, 3)
        >>> averages.add({"loss": 2.0}, 1)
        >>> averages.means()
        {'loss': 1.25}
    """

    def __init__(self, stateful: Collection[str] = ()) -> None:
        self._stateful = frozenset(stateful)
        self._sums: dict[str, float] = {}
        self._samples = 0

    def add(self, values: Mapping[str, float], samples: int) -> None:
        """Count the values of a batch with so many samples."""
        self._samples += samples
        for name, value in values.items():
            self._sums[name] = value if name in self._stateful else self._sums.get(name, 0.0) + value * samples

    def get_state(self) -> dict[str, Any]:
        """The sums so far."""
        return {"sums": dict(self._sums), "samples": self._samples}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_state` gave."""
        self._sums, self._samples = dict(state["sums"]), state["samples"]

    def means(self) -> dict[str, float]:
        """Return the means so far; empty before the first batch."""
        if not self._samples:
            return {}
        return {name: total if name in self._stateful else total / self._samples for name, total in self._sums.items()}


class BaseLogger(Callback):
    """Turn the batches' loss and metrics into the epoch's: their means weighted by the number of samples.

    ``fit`` puts one in front of all other callbacks.

    Args:
        stateful_metrics: Names of the metrics whose last value is that of the epoch.
    """

    def __init__(self, stateful_metrics: Iterable[str] | None = None) -> None:
        self.stateful_metrics = set(stateful_metrics or ())

        self._averages = Averages(self.stateful_metrics)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._averages = Averages(self.stateful_metrics)

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        _count(self._averages, self.params, logs)

    def get_state(self) -> dict[str, Any]:
        """The sums of the epoch in progress."""
        return self._averages.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        self._averages.set_state(state)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            validation = dict(logs)
            logs.clear()
            logs.update(self._averages.means(), **validation)


class ProgbarLogger(Callback):
    """Show how far an epoch is and, when it is over, a line with its loss and metrics.

    ``fit`` adds one unless it is told ``verbose=0``.

    Args:
        count_mode: "samples" or "steps": what the line counts.
        stateful_metrics: Names of the metrics that are shown as they are, not as means over the batches.

    Raises:
        ValueError: For another count_mode.
    """

    _bar: Bar | None = None

    def __init__(self, count_mode: str = "samples", stateful_metrics: Iterable[str] | None = None) -> None:
        self.count_mode = checks.choice("ProgbarLogger", "count_mode", count_mode, ("samples", "steps"))
        self.stateful_metrics = set(stateful_metrics or ())
        self._averages = Averages(self.stateful_metrics)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._averages = Averages(self.stateful_metrics)
        title = f"Epoch {epoch + 1}/{self.params['epochs']}"
        self._bar = Bar(self.params.get(self.count_mode), title, self.params["verbose"])

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        _count(self._averages, self.params, logs)
        if self._bar is not None:
            size = 1 if self.count_mode == "steps" else (logs or {}).get("size", 0)
            self._bar.update(size, self._averages.means())

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._bar is not None:
            known = self.params["metrics"]
            self._bar.close({name: value for name, value in (logs or {}).items() if name in known})
            self._bar = None

    def get_state(self) -> dict[str, Any]:
        """The sums of the epoch in progress, and how far it is."""
        return {"averages": self._averages.get_state(), "shown": 0 if self._bar is None else self._bar.done}

    def set_state(self, state: dict[str, Any]) -> None:
        self._averages.set_state(state["averages"])
        if self._bar is not None:
            self._bar.update(state["shown"], self._averages.means())

    def close(self) -> None:
        """Remove the bar of an epoch that was broken off."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class History(Callback):
    """The loss and the metrics of every epoch; what ``fit`` returns.

    Attributes:
        history: Dict from name (``loss``, ``acc``, ``val_loss``, ...) to the list of its values.
        epoch: The numbers of the epochs, from 0.
        params: What training told about itself, see `Callback`.
    """

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}

    def set_model(self, model: Any) -> None:
        """Keep no reference: the model keeps its History, and the two would be a cycle."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch = []
        self.history = {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class CSVLogger(Callback):
    """Write a row for each epoch to a CSV file: its number and the values of the logs, ordered by name.

    Each row is written when its epoch is over, and with `BackupAndRestore` there are none twice. Where an epoch lacks
    a value, such as the validation of an epoch that was stopped, there is "NA".

    Args:
        filename: Path of the file.
        separator: One character between the fields.
        append: Go on with a file that is there, under its header; otherwise it is written anew.

    Raises:
        ValueError: For a separator that isn't one character; in training, if a file to be continued has a header
            that isn't of this logger.

    Example:
        >>> from pathlib import Path
        >>> from minikeras import Sequential, layers
        >>> model = Sequential([layers.Dense(1, input_dim=1)])
        >>> model.compile("sgd", "mse")
        >>> log = CSVLogger("log.csv", separator=";")
        >>> history = model.fit([0.0], [0.0], epochs=2, callbacks=[log], verbose=0)
        >>> Path("log.csv").read_text().split()
        ['epoch;loss', '0;0.0', '1;0.0']
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        if not isinstance(separator, str) or len(separator) != 1:
            raise ValueError(f"CSVLogger: separator must be one character. Received: {separator!r}")
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = checks.flag("CSVLogger", "append", append)
        self.keys: list[str] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        goes_on = self.append or (self.params or {}).get("resumed")
        self.keys = self._resume() if goes_on and os.path.exists(self.filename) else None
        if self.keys is None:
            open(self.filename, "w", encoding="utf-8").close()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        begins = self.keys is None
        if self.keys is None:
            self.keys = sorted(logs)
        with open(self.filename, "a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=self.sep, lineterminator="\n")
            if begins:
                writer.writerow(["epoch", *self.keys])
            writer.writerow([epoch, *(_field(logs.get(key, "NA")) for key in self.keys)])

    def get_state(self) -> dict[str, Any]:
        """The columns, and how long the file is."""
        size = os.path.getsize(self.filename) if os.path.exists(self.filename) else 0
        return {"keys": self.keys, "size": size}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take away the rows of epochs that are trained again."""
        size = os.path.getsize(self.filename)
        if size < state["size"]:
            warnings.warn(
                f"CSVLogger: {self.filename!r} has {size} bytes, and had {state['size']} when the training was broken "
                "off: rows of earlier epochs are missing",
                RuntimeWarning,
                stacklevel=2,
            )
            return
        self.keys = state["keys"]
        os.truncate(self.filename, state["size"])

    def _resume(self) -> list[str] | None:
        """The columns of the file that is there; None if it is empty. A last line that was cut off is ended."""
        with open(self.filename, newline="", encoding="utf-8") as file:
            header = next(csv.reader(file, delimiter=self.sep), None)
        if not header:
            return None
        if header[0] != "epoch":
            raise ValueError(
                f"CSVLogger: append=True needs a file whose header begins with 'epoch{self.sep}'. "
                f"Received: {self.filename!r} with the header {self.sep.join(header)!r}"
            )
        with open(self.filename, "rb+") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        return header[1:]


def _count(averages: Averages, params: dict[str, Any], logs: Logs | None) -> None:
    logs = logs or {}
    averages.add({name: logs[name] for name in params["metrics"] if name in logs}, logs.get("size", 0))


def _field(value: Any) -> Any:
    """A value as Keras 2 writes it: several numbers in brackets."""
    if np.ndim(value):
        return f'"[{", ".join(map(str, value))}]"'
    return value
