"""Callbacks: what training calls at its beginning and end, and around every epoch and batch."""

from __future__ import annotations

from ..utils.left_out import left_out
from .backup import BackupAndRestore
from .base import Callback, CallbackList, LambdaCallback
from .learning_rate import LearningRateScheduler, ReduceLROnPlateau
from .loggers import Averages, BaseLogger, CSVLogger, History, ProgbarLogger
from .monitor import EarlyStopping, ModelCheckpoint
from .nonfinite import TerminateOnNaN
from .tensorboard import TensorBoard

__all__ = [
    "Averages",
    "BackupAndRestore",
    "BaseLogger",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
]


__getattr__ = left_out(
    __name__,
    {
        "RemoteMonitor": "send the logs where you like by LambdaCallback(on_epoch_end=lambda epoch, logs: ...), or "
        "watch the file of a CSVLogger or of TensorBoard",
    },
)
