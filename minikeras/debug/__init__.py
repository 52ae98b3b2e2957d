"""Looking into a computation: what made a NaN, what is on the tape, how large the gradients are.

* `detect_anomaly` names the operation, the line and the layer that made the first NaN or infinity.
* `tape_summary` shows the tape of a Tensor as a table or as a graph.
* `gradient_summary` shows how large the gradient of each parameter is beside the parameter.
* `profile`, also known as `minikeras.profile`, shows where the time goes.
* `observing` and `observing_gradients` see what layers compute, and the gradients that come back to them;
  `Tensor.register_hook` and `Tensor.retain_grad` do so for single Tensors.
"""

from __future__ import annotations

from ..layers.observers import observing, observing_gradients
from .anomaly import AnomalyError, detect_anomaly
from .gradients import GradientSummary, gradient_summary
from .profile_report import ProfileRow
from .profiler import profile
from .tape import TapeSummary, tape_summary

__all__ = [
    "AnomalyError",
    "GradientSummary",
    "ProfileRow",
    "TapeSummary",
    "detect_anomaly",
    "gradient_summary",
    "observing",
    "observing_gradients",
    "profile",
    "tape_summary",
]
