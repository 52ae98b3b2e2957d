"""Gradient checks: gradients compared with differences of values, and in words what is wrong with one that differs.

`check_gradients` takes a function of Tensors, a custom `primitive`, a function of plain arrays with a hand-written
gradient, or an object with ``forward`` and ``backward``; `check_layer` a layer with its weights; `check_model` the loss
of a compiled model in all its parameters. Each gives a `GradientReport`, which is true if all agrees and prints what is
wrong where otherwise; `assert_gradients` raises it as an error, for tests.

How it works, by file:

* `subject`, `prepared`: what is checked, as a function of arrays with a claimed gradient.
* `differences`: central differences with a step chosen by their own estimate of the error.
* `compare`, `orders`: first look, along two random directions for each input: four evaluations where all is well.
* `examine`: second look at what disagreed, element by element, for the whole Jacobian where it is small.
* `views`, `patterns`, `wording`, `verdict`: what is wrong, from the claimed Jacobian beside the measured one.
* `report`, `drawing`: the result as an object, a text and a picture.

Example:
    >>> import numpy as np
    >>> from minikeras import ops
    >>> check_gradients(lambda x: ops.sum(ops.sin(x)), np.array([0.5, 1.0, 1.5])).ok
    True
"""

from .check import assert_gradients, check_gradients, check_layer, check_model
from .report import GradientError, GradientReport, Result
from .verdict import Verdict

__all__ = [
    "GradientError",
    "GradientReport",
    "Result",
    "Verdict",
    "assert_gradients",
    "check_gradients",
    "check_layer",
    "check_model",
]
