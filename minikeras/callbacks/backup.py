"""BackupAndRestore: a training that was broken off goes on as if it had never been."""

from __future__ import annotations

import os
import shutil
import warnings
from contextlib import suppress
from typing import Any

from .. import checks
from ..saving.errors import ModelFileError
from ..saving.states import read_state, write_state
from .base import RunKeeper

_FORM = 1
_NAME = "training.npz"
_PREVIOUS = "previous.npz"


class BackupAndRestore(RunKeeper):
    """Keep the state of the training in a file, so that the same script, run again, goes on with it.

    Whatever ends the process, the interrupt key, an exception, ``kill -9`` or a power cut, the next run of the same
    script takes up the training where the last backup was made, and ends with the same numbers to the last bit as a
    run without interruption: weights, optimizer, the order of the samples within the epoch, the random streams of
    layers and of NumPy and Python, metrics, the History, and the state of all callbacks.

    Arrays and `utils.Sequence` are taken up where they were, also with several threads; of a Sequence of your own the
    attributes that have changed are kept, unless it has ``get_state()`` and ``set_state(state)``. A plain generator
    begins anew, of which a warning tells, unless it is an iterator with these two methods. Of layers the weights and
    random streams are kept; callbacks: see `Callback.get_state`.

    What the training depends on (the model's layers, the arguments of ``compile`` and ``fit``, the data, by their
    hash) must be the same; if not, an error says what differs. Only ``epochs`` and ``verbose`` may change.

    Args:
        backup_dir: Folder for the file, which is made if need be; of this one training only.
        save_freq: "epoch" writes the file after each epoch, an integer after so many batches.
        double_checkpoint: Keep the file before the last one too, to fall back on if the disk has damaged that.
        delete_checkpoint: Whether the file is removed when the training is over. If not, running the script again
            trains nothing but what further ``epochs`` ask for.

    Raises:
        ValueError, TypeError: If an argument is out of its range; in training, if the file is of another training, or
            the optimizer takes all samples at once.
        ModelFileError: In training, if the file is damaged.

    Example:
        >>> from minikeras import Sequential, layers
        >>> model = Sequential([layers.Dense(1, input_dim=1)])
        >>> model.compile("adam", "mse")
        >>> backup = BackupAndRestore("backup", delete_checkpoint=False)
        >>> first = model.fit([0.0, 1.0], [1.0, 3.0], epochs=3, callbacks=[backup], verbose=0)
        >>> both = model.fit([0.0, 1.0], [1.0, 3.0], epochs=5, callbacks=[backup], verbose=0)
        >>> len(both.history["loss"]), both.history["loss"][:3] == first.history["loss"]
        (5, True)
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        owner = "BackupAndRestore"
        self.backup_dir = checks.path(owner, "backup_dir", backup_dir)
        if not self.backup_dir:
            raise ValueError(f"{owner}: backup_dir must be the path of a folder. Received: {backup_dir!r}")
        self.save_freq = checks.frequency(owner, "save_freq", save_freq)
        self.double_checkpoint = checks.flag(owner, "double_checkpoint", double_checkpoint)
        self.delete_checkpoint = checks.flag(owner, "delete_checkpoint", delete_checkpoint)
        self._batches = 0

    @property
    def path(self) -> str:
        """The file."""
        return os.path.join(self.backup_dir, _NAME)

    @property
    def previous_path(self) -> str:
        """The file before it, of ``double_checkpoint``."""
        return os.path.join(self.backup_dir, _PREVIOUS)

    def get_state(self) -> dict[str, Any]:
        """Nothing: the file is its state."""
        return {}

    def before_training(self, run: Any) -> None:
        """Look for the file of a training that was broken off, and whether this one is its rest."""
        if not run.in_steps:
            raise ValueError(
                f"BackupAndRestore: {type(run.model.optimizer).__name__} takes all samples at once and keeps its state "
                "to itself: a training by it can't be taken up in the middle"
            )
        if os.path.exists(self.backup_dir) and not os.path.isdir(self.backup_dir):
            raise NotADirectoryError(f"BackupAndRestore: backup_dir must be a folder. Received: {self.backup_dir!r}")
        os.makedirs(self.backup_dir, exist_ok=True)
        self._batches = 0
        kept = self._read()
        for name in run.sources_without_return():
            warnings.warn(
                f"BackupAndRestore: the {name} data come from a generator, which can't go back to where it was: after "
                "an interruption it begins anew, and the rest of the training differs. Give a utils.Sequence, or an "
                "iterator with get_state() and set_state(state)",
                RuntimeWarning,
                stacklevel=2,
            )
        run.begin(kept and kept["conditions"], self.path)
        if kept is not None:
            run.go_on(kept["run"])

    def at_rest(self, run: Any) -> None:
        """Write the file when it is time."""
        if self.save_freq == "epoch":
            due = run.batch == 0
        else:
            self._batches += run.batch > 0
            due = self._batches >= int(self.save_freq) or (run.ends and not self.delete_checkpoint)
        if due:
            self._batches = 0
            self._write({"conditions": run.conditions, "run": run.state()})

    def after_training(self) -> None:
        """Remove the file, unless it is to stay."""
        if self.delete_checkpoint:
            for path in (self.path, self.previous_path):
                with suppress(FileNotFoundError):
                    os.remove(path)
            with suppress(OSError):  # others may have put something there
                os.rmdir(self.backup_dir)

    def _write(self, state: dict[str, Any]) -> None:
        if self.double_checkpoint and os.path.exists(self.path):
            # a second name of the same file: what is at the first is replaced as a whole
            with suppress(FileNotFoundError):
                os.remove(self.previous_path)
            try:
                os.link(self.path, self.previous_path)
            except OSError:  # a file system without links
                shutil.copyfile(self.path, self.previous_path)
        write_state(self.path, state, _FORM)

    def _read(self) -> dict[str, Any] | None:
        """What is in the file; None if there is none."""
        try:
            return read_backup(self.path)
        except FileNotFoundError:
            return read_backup(self.previous_path) if os.path.exists(self.previous_path) else None
        except ModelFileError as error:
            if not os.path.exists(self.previous_path):
                raise ModelFileError(f"BackupAndRestore: {error}. Remove it to begin anew") from error
            warnings.warn(f"BackupAndRestore: {error}. The one before is taken", RuntimeWarning, stacklevel=3)
            return read_backup(self.previous_path)


def read_backup(path: str) -> dict[str, Any]:
    """What a file of `BackupAndRestore` holds: the "conditions" of a training, and its "run".

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If it is damaged, or another one.
    """
    kept = read_state(path, _FORM)
    if not (isinstance(kept.get("conditions"), dict) and isinstance(kept.get("run"), dict)):
        raise ModelFileError(f"{path} is damaged: it doesn't hold a training")
    return kept
