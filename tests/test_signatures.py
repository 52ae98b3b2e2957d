"""Every name of Keras 2.2.4 is there with its arguments and defaults, or is listed with the reason why not.

The names stand in ``reference/keras224_signatures.json``. Every public name of minikeras says what it takes, and
every configuration makes the same object again.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import minikeras
from minikeras import compat
from minikeras.registry import Configurable

DATA = json.loads((Path(__file__).parent / "reference" / "keras224_signatures.json").read_text(encoding="utf-8"))
SIGNATURES = {f"{module}.{name}": (module, name) for module, names in DATA["signatures"].items() for name in names}
LEFT_OUT = {name for names in DATA["left_out"].values() for name in names}
DEVIATIONS = {name for names in DATA["deviations"].values() for name in names}
PRESENT = sorted(SIGNATURES.keys() - LEFT_OUT)

OPERANDS = {"x", "y"}  # of elementwise functions: a line that says what is computed says what they are

# What the constructors of configurable classes can't do without.
EXAMPLES: dict[str, Any] = {
    "activation": "relu",
    "dims": (2, 1),
    "filters": 2,
    "input_dim": 3,
    "kernel_size": 3,
    "n": 2,
    "output_dim": 2,
    "rate": 0.25,
    "stddev": 0.5,
    "target_shape": (4,),
    "units": 2,
    "axes": 1,
}
BY_HAND = {"Function", "InputLayer", "Lambda"}  # tested beside the class


def small_model() -> minikeras.Model:
    """A graph of one layer."""
    x = minikeras.layers.Input((3,), name="x")
    return minikeras.Model(x, minikeras.layers.Dense(2, name="dense")(x), name="small")


MADE = {"Model": small_model}  # classes whose arguments depend on each other

# Namespaces of Keras 2.2.4, a name there, and its other names, as its sources assign them.
ALIASES = [
    ("backend", "int_shape", ("get_variable_shape",)),
    ("constraints", "MaxNorm", ("max_norm", "maxnorm")),
    ("constraints", "NonNeg", ("non_neg", "nonneg")),
    ("constraints", "UnitNorm", ("unit_norm", "unitnorm")),
    ("constraints", "MinMaxNorm", ("min_max_norm",)),
    ("initializers", "Zeros", ("zero", "zeros")),
    ("initializers", "Ones", ("one", "ones")),
    ("initializers", "Constant", ("constant",)),
    ("initializers", "RandomUniform", ("uniform", "random_uniform")),
    ("initializers", "RandomNormal", ("normal", "random_normal")),
    ("initializers", "TruncatedNormal", ("truncated_normal",)),
    ("initializers", "Identity", ("identity",)),
    ("initializers", "Orthogonal", ("orthogonal",)),
    ("losses", "mean_squared_error", ("mse", "MSE")),
    ("losses", "mean_absolute_error", ("mae", "MAE")),
    ("losses", "mean_absolute_percentage_error", ("mape", "MAPE")),
    ("losses", "mean_squared_logarithmic_error", ("msle", "MSLE")),
    ("losses", "kullback_leibler_divergence", ("kld", "KLD")),
    ("losses", "cosine_proximity", ("cosine",)),
    ("metrics", "mean_squared_error", ("mse", "MSE")),
    ("metrics", "mean_absolute_error", ("mae", "MAE")),
    ("metrics", "mean_absolute_percentage_error", ("mape", "MAPE")),
    ("metrics", "mean_squared_logarithmic_error", ("msle", "MSLE")),
    ("metrics", "cosine_proximity", ("cosine",)),
    *[("optimizers", n, (n.lower(),)) for n in ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "Adamax", "Nadam")],
    *[("layers", f"Conv{rank}D", (f"Convolution{rank}D",)) for rank in (1, 2, 3)],
    *[("layers", f"SeparableConv{rank}D", (f"SeparableConvolution{rank}D",)) for rank in (1, 2)],
    ("layers", "Conv2DTranspose", ("Deconvolution2D", "Deconv2D", "Convolution2DTranspose")),
    ("layers", "Conv3DTranspose", ("Deconvolution3D", "Deconv3D")),
    *[("layers", f"MaxPooling{rank}D", (f"MaxPool{rank}D",)) for rank in (1, 2, 3)],
    *[("layers", f"AveragePooling{rank}D", (f"AvgPool{rank}D",)) for rank in (1, 2, 3)],
    *[("layers", f"GlobalMaxPooling{rank}D", (f"GlobalMaxPool{rank}D",)) for rank in (1, 2, 3)],
    *[("layers", f"GlobalAveragePooling{rank}D", (f"GlobalAvgPool{rank}D",)) for rank in (1, 2, 3)],
]


def find(full: str) -> Any:
    """What Keras's name stands for."""
    module, name = SIGNATURES[full]
    if module.startswith("keras.wrappers"):
        pytest.importorskip("sklearn", reason="needs the extra minikeras[sklearn]")
    with compat.installed():
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    return found


@pytest.mark.parametrize("full", PRESENT)
def test_a_name_of_keras_takes_its_arguments_in_order_with_its_defaults(full: str) -> None:
    found = find(full)
    assert differences(full, DATA["signatures"][SIGNATURES[full][0]][SIGNATURES[full][1]], found) == []


@pytest.mark.parametrize("full", sorted(LEFT_OUT))
def test_a_name_that_is_listed_as_left_out_is_not_there(full: str) -> None:
    with pytest.raises((ImportError, AttributeError, NotImplementedError)):
        find(full)()


def test_what_is_left_out_or_deviates_is_a_name_of_keras() -> None:
    assert LEFT_OUT - SIGNATURES.keys() == set()
    assert {deviation.partition(":")[0] for deviation in DEVIATIONS} - set(PRESENT) == set()


@pytest.mark.parametrize(("namespace", "name", "aliases"), ALIASES)
def test_an_alias_is_the_very_object_that_it_stands_for(namespace: str, name: str, aliases: tuple[str, ...]) -> None:
    for alias in aliases:
        assert find(f"keras.{namespace}.{alias}") is getattr(getattr(minikeras, namespace), name)


def test_whatever_has_two_names_is_among_the_aliases() -> None:
    known = {f"keras.{namespace}.{alias}" for namespace, _, aliases in ALIASES for alias in aliases}
    first: dict[tuple[str, int], str] = {}
    alike = [
        (full, first[namespace, id(found)])
        for full in PRESENT
        for namespace, name in [SIGNATURES[full]]
        if "." not in name and not full.startswith("keras.wrappers") and full not in known
        for found in [find(full)]
        if first.setdefault((namespace, id(found)), full) != full
    ]
    assert alike == []


def differences(full: str, expected: list[list[Any]], found: Any) -> list[str]:
    """Where a signature isn't what Keras 2.2.4's was, one line each."""
    signature = inspect.signature(found)
    own = [p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if own and own[0].name == "self":
        own = own[1:]
    lines = []
    for index, (name, *default) in enumerate(expected):
        if f"{full}:{name}" in DEVIATIONS:
            continue
        if index >= len(own) or own[index].name != name:
            lines.append(f"argument {index} should be {name}")
        elif default and not isinstance(default[0], dict) and plain(own[index].default) != plain(default[0]):
            lines.append(f"{name} should default to {default[0]!r}, not to {own[index].default!r}")
    for further in own[len(expected) :]:
        if further.default is further.empty and f"{full}:{further.name}" not in DEVIATIONS:
            lines.append(f"{further.name} is required, which Keras doesn't have")
    return lines


def plain(value: Any) -> Any:
    """A default in one form: (1, 1) and [1, 1] are 1."""
    if isinstance(value, (list, tuple)):
        items = [plain(item) for item in value]
        return items[0] if items and all(item == items[0] for item in items) else tuple(items)
    return value


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (lambda a, b=1: 0, []),
        (lambda a, b=(1, 1), c=2: 0, []),
        (lambda b, a=1: 0, ["argument 0 should be a", "argument 1 should be b"]),
        (lambda a, b=2: 0, ["b should default to 1, not to 2"]),
        (lambda a: 0, ["argument 1 should be b"]),
        (lambda a, *, b=1: 0, ["argument 1 should be b"]),
    ],
)
def test_a_signature_that_differs_is_found(function: Any, fault: list[str]) -> None:
    assert differences("keras.x", [["a"], ["b", 1]], function) == fault


# ---------------------------------------------------------------------- docstrings and configurations


def public_objects() -> Iterator[tuple[str, Any]]:
    """The classes and functions in the public namespaces of minikeras, by their full name."""
    namespaces = [getattr(minikeras, name) for name in minikeras.__all__]
    modules = [found for found in namespaces if inspect.ismodule(found)]
    modules += [inner for outer in modules for _, inner in inspect.getmembers(outer, inspect.ismodule)]
    for module in [minikeras, *(module for module in modules if module.__name__.startswith("minikeras."))]:
        for name in getattr(module, "__all__", ()):
            found = getattr(module, name)
            if inspect.isclass(found) or inspect.isfunction(found):
                yield f"{found.__module__}.{found.__qualname__}", found


OBJECTS = dict(public_objects())
CONFIGURABLE = sorted(
    name for name, found in OBJECTS.items() if inspect.isclass(found) and issubclass(found, Configurable)
)


@pytest.mark.parametrize("full", sorted(OBJECTS))
def test_a_public_name_has_a_docstring_that_tells_of_its_arguments(full: str) -> None:
    found = OBJECTS[full]
    text = inspect.getdoc(found) or ""
    assert text
    parameters = [
        parameter.name
        for parameter in inspect.signature(found).parameters.values()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]
    inherited = " ".join(inspect.getdoc(base) or "" for base in getattr(found, "__mro__", ())[1:])
    assert [
        name
        for name in parameters
        if name not in OPERANDS and not re.search(rf"\b{re.escape(name)}\b", f"{text} {inherited}")
    ] == []


@pytest.mark.parametrize("full", CONFIGURABLE)
def test_a_configuration_makes_the_same_object_again(full: str) -> None:
    cls = OBJECTS[full]
    required = [
        p.name for p in inspect.signature(cls).parameters.values() if p.default is p.empty and p.kind < p.VAR_KEYWORD
    ]
    if cls.__name__ in BY_HAND or set(required) - EXAMPLES.keys():
        pytest.skip(f"needs {required}: tested beside the class")
    make = MADE.get(cls.__name__, lambda: cls(**{name: EXAMPLES[name] for name in required}))
    first = make()
    config = json.loads(json.dumps(first.get_config()))
    assert json.loads(json.dumps(cls.from_config(config).get_config())) == config
