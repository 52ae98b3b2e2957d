"""What the command line does with files of models."""

from __future__ import annotations

from .advice import advised
from .checking import check_file
from .comparing import compare_files
from .predicting import predict_file

__all__ = ["advised", "check_file", "compare_files", "predict_file"]
