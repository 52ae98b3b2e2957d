"""What goes wrong with a file of a model."""

from __future__ import annotations


class ModelFileError(ValueError):
    """A file of a model is damaged, of another format, or doesn't fit the model."""


class NoModelError(ModelFileError):
    """A file that is whole, but holds weights or other arrays and no model."""
