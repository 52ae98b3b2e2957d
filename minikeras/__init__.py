"""minikeras: a small deep-learning framework on NumPy with Keras's manners.

The engine is here at once: `Tensor`, `Parameter`, the operations in `ops`, and the derivatives of functions (`grad`
and its kin). Keras's namespaces (`layers`, `models`, `optimizers`, ...) are loaded when they are first used.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from . import ops  # also fills in the operations behind Tensor's operators and methods
from .core import config
from .core.primitive import primitive
from .core.random import seed_scope, set_seed
from .core.tape import enable_grad, gradients, no_grad
from .core.tensor import Parameter, Tensor
from .transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

if TYPE_CHECKING:
    from . import (
        activations,
        backend,
        callbacks,
        compat,
        constraints,
        datasets,
        debug,
        gradcheck,
        initializers,
        layers,
        losses,
        metrics,
        models,
        optimizers,
        preprocessing,
        regularizers,
        utils,
        wrappers,
    )
    from .debug import profile
    from .layers import Input
    from .models import Model, Sequential

__version__ = "0.1.0"

__all__ = [
    "Input",
    "Model",
    "Parameter",
    "Sequential",
    "Tensor",
    "activations",
    "backend",
    "callbacks",
    "compat",
    "config",
    "constraints",
    "datasets",
    "debug",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradients",
    "hessian",
    "hvp",
    "initializers",
    "jacobian",
    "jvp",
    "layers",
    "losses",
    "metrics",
    "models",
    "no_grad",
    "ops",
    "optimizers",
    "preprocessing",
    "primitive",
    "profile",
    "regularizers",
    "seed_scope",
    "set_seed",
    "utils",
    "value_and_grad",
    "vjp",
    "wrappers",
]

_lazy_objects = {"Input": "layers", "Model": "models", "Sequential": "models", "profile": "debug"}
_lazy_modules = frozenset(__all__) - globals().keys() - _lazy_objects.keys()


def __getattr__(name: str) -> Any:
    """Load a namespace on first use; what is found is kept, so that this runs once per name."""
    if name in _lazy_modules:
        found = importlib.import_module(f".{name}", __name__)
    elif name in _lazy_objects:
        found = getattr(importlib.import_module(f".{_lazy_objects[name]}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(globals().keys() | set(__all__))


class _KerasPaths:
    """Lets ``from minikeras.layers.convolutional import Conv2D`` work: Keras's paths that are no modules here."""

    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> Any:
        """Return what `compat` has of a module below minikeras that nothing else has found."""
        if not fullname.startswith(f"{__name__}."):
            return None
        return importlib.import_module(".compat", __name__).find_under_minikeras(fullname)


sys.meta_path.append(_KerasPaths)  # asked last, and only for what isn't there
