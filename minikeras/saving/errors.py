"""What goes wrong with a file of a model."""

from __future__ import annotations

# What to do next, in a script.
WEIGHTS_ALONE = "A file of save_weights is read by model.load_weights"
A_TRAINING = "holds a training that was broken off, for the callback BackupAndRestore, and no model to be loaded"
WITHOUT_TRAINING = "load_model(..., compile=False) reads the rest"


class ModelFileError(ValueError):
    """A file of a model is damaged, of another format, or doesn't fit the model."""


class NoModelError(ModelFileError):
    """A file that is whole, but holds weights or other arrays and no model."""
