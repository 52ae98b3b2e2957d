"""Keras's path of what asks before it overwrites."""

from __future__ import annotations

from .left_out import left_out

__all__ = ["ask_to_proceed_with_overwrite"]

HDF5_ADVICE = (
    "an h5py.Dataset is an array to fit and predict as it is; for data larger than memory write a "
    "minikeras.utils.Sequence whose __getitem__ reads a slice of it"
)

__getattr__ = left_out(__name__, {"HDF5Matrix": HDF5_ADVICE, "H5Dict": "open the file by h5py.File"})


def ask_to_proceed_with_overwrite(filepath: str) -> bool:
    """Ask on the terminal whether a file that exists may be replaced.

    Args:
        filepath: The file.

    Returns:
        Whether the answer was "y"; "n" is the only other one that ends the asking.
    """
    while True:
        answer = input(f"{filepath} exists already. Overwrite it? [y/n] ").strip().lower()
        if answer in ("y", "n"):
            return answer == "y"
