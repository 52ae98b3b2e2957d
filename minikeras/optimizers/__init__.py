"""Optimizers, with Keras 2's arguments, defaults and formulas."""

from __future__ import annotations

from ..registry import Registry
from .adagrad import Adadelta, Adagrad, RMSprop
from .adam import Adam, Adamax, Nadam
from .base import Optimizer
from .scipy_optimizer import ScipyOptimizer
from .sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "Adamax",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "ScipyOptimizer",
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "deserialize",
    "get",
    "nadam",
    "rmsprop",
    "serialize",
    "sgd",
]

registry = Registry("optimizer", base=Optimizer, callables=False, optional=False)
get = registry.get
serialize = registry.serialize
deserialize = registry.deserialize
for _optimizer in (SGD, RMSprop, Adagrad, Adadelta, Adam, Adamax, Nadam, ScipyOptimizer):
    registry.register(_optimizer)

sgd, rmsprop, adagrad, adadelta, adam, adamax, nadam = SGD, RMSprop, Adagrad, Adadelta, Adam, Adamax, Nadam
