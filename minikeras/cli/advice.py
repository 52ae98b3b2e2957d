"""Advice at the end of errors, for whom has a command line and no script."""

from __future__ import annotations

from ..registry import OWN_OBJECTS
from ..saving.errors import WEIGHTS_ALONE, WITHOUT_TRAINING

_HERE = {
    OWN_OBJECTS: (
        "The command line knows only what is minikeras's own: a Python script can pass other classes and functions to "
        "load_model, by custom_objects."
    ),
    WEIGHTS_ALONE: "Files of weights are read by minikeras check and minikeras diff",
    WITHOUT_TRAINING: "minikeras convert --no-training reads the rest",
}


def advised(error: BaseException | str) -> str:
    """The text of an error, in which what to write in a script is replaced by what helps on the command line."""
    text = str(error)
    for in_a_script, here in _HERE.items():
        text = text.replace(in_a_script, here)
    return text
