"""Optimizers of Keras 3 and tf.keras in the terms of minikeras, and back: arguments, and the order of the state.

What is called the same means the same but for these: ``clipnorm`` limits each gradient by itself, and
``global_clipnorm`` is minikeras's ``clipnorm``; RMSprop and Adagrad add epsilon within the root; Adagrad's sums begin
at 0.1; Nadam's momentum warms up 250 times as fast; ``decay`` is the schedule `InverseTimeDecay`. The optimizers of
tf.keras before 2.11, still there as "legacy", are Keras 2's but for ``clipnorm`` and Adagrad's beginning.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Shape = tuple[int, ...]

# The state of each optimizer in Keras 3's order. What stands in one tuple is kept side by side for each weight.
_SLOTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "SGD": (("velocity",),),
    "RMSprop": (("accumulator",),),
    "Adagrad": (("accumulator",),),
    "Adadelta": (("accumulator", "delta_accumulator"),),
    "Adam": (("m", "v"), ("vhat",)),
    "Adamax": (("m", "u"),),
    "Nadam": (("m", "v"),),
}
_UNCOUNTED = ("RMSprop", "Adagrad", "Adadelta")  # whose state in minikeras has no count of steps
_ARGUMENTS = {
    "SGD": ("momentum", "nesterov"),
    "RMSprop": ("rho", "epsilon"),
    "Adagrad": ("epsilon",),
    "Adadelta": ("rho", "epsilon"),
    "Adam": ("beta_1", "beta_2", "epsilon", "amsgrad"),
    "Adamax": ("beta_1", "beta_2", "epsilon"),
    "Nadam": ("beta_1", "beta_2", "epsilon"),
}
_CLIPPING = {"clipnorm": "weight_clipnorm", "global_clipnorm": "clipnorm", "clipvalue": "clipvalue"}
# What minikeras's optimizers don't do, with the values that say that it isn't wanted.
_BEYOND: dict[str, tuple[Any, ...]] = {
    "weight_decay": (None, 0),
    "use_ema": (False,),
    "loss_scale_factor": (None, 1),
    "gradient_accumulation_steps": (None,),
    "centered": (False,),
}


class Inexpressible(ValueError):
    """One of the two has it, and the other has no equal."""


class State(NamedTuple):
    """How a file keeps the state of an optimizer.

    Attributes:
        name: The optimizer's class.
        config: Its configuration in minikeras.
        legacy: Whether the order is that of tf.keras before 2.11: Keras 2's.
    """

    name: str
    config: Mapping[str, Any]
    legacy: bool = False

    def order(self, found: Sequence[Shape], wanted: Sequence[Shape]) -> list[int | None] | None:
        """Which arrays of the file make up the state.

        Args:
            found: The shapes of the file's arrays.
            wanted: Those that the optimizer's `set_weights` takes.

        Returns:
            For each of these the number of the array; None for one that the file leaves out, as it is zero. None if the
            arrays don't fit.
        """
        if self.name not in _SLOTS:
            return list(range(len(found))) if [*found] == [*wanted] else None
        counted = self.name not in _UNCOUNTED
        slots = [slot for group in _SLOTS[self.name] for slot in group]
        number = (len(wanted) - counted) // len(slots)
        shapes = {slot: wanted[counted + i * number : counted + (i + 1) * number] for i, slot in enumerate(slots)}
        for groups in self._groups():
            body = list(_side_by_side(groups, number))
            if (before := _beginning([*found], [shapes[slot][weight] for slot, weight in body])) is not None:
                places = {key: before + place for place, key in enumerate(body)}
                count: list[int | None] = [0] if counted else []
                return count + [places.get((slot, weight)) for slot in slots for weight in range(number)]
        return None

    def _groups(self) -> Iterator[tuple[tuple[str, ...], ...]]:
        groups = _kept(self.name, self.config)
        yield tuple((slot,) for group in groups for slot in group) if self.legacy else groups
        if self.name == "SGD" and not groups:
            yield _SLOTS["SGD"]  # tf.keras since 2.11 keeps zeros


def _beginning(found: list[Shape], body: list[Shape]) -> int | None:
    """Where the arrays of these shapes begin, if there are only numbers around them.

    The count of steps and the rate come before them; behind may be Nadam's product of momenta, which follows from the
    count.
    """
    for behind in (0, 1):
        before = len(found) - len(body) - behind
        around = found[:before] + found[before + len(body) :]
        if before > 0 and found[before : before + len(body)] == body and not any(around):
            return before
    return None


# ---------------------------------------------------------------------- reading


def from_keras(found: Any) -> tuple[dict[str, Any], State]:
    """The configuration of an optimizer of Keras 3 or tf.keras as one of minikeras, and how its state is kept.

    Raises:
        Inexpressible: If minikeras has no equal.
        ValueError: If it is no such configuration.
    """
    if found is None:  # Keras 3 loses it when a model is saved to .h5, and to .keras later on
        raise Inexpressible("it doesn't say which optimizer the model was compiled with")
    if isinstance(found, str):
        found = _by_name(found)
    if not isinstance(found, Mapping) or not isinstance(found.get("class_name"), str):
        raise ValueError(f"the optimizer must be described by its class and configuration. Received: {found!r:.100}")
    config = found.get("config")
    if not isinstance(config, Mapping):
        raise ValueError(f"the optimizer's configuration must be a dict. Received: {config!r:.100}")
    name = found["class_name"].rpartition(">")[2]
    if name not in _SLOTS:
        raise Inexpressible(f"its optimizer is {name!r}, which minikeras doesn't have")
    for argument, harmless in _BEYOND.items():
        if argument in config and config[argument] not in harmless:
            raise Inexpressible(f"its {name} has {argument}={config[argument]!r}, which minikeras's doesn't have")
    if name == "RMSprop" and config.get("momentum"):
        raise Inexpressible(f"its RMSprop has momentum={config['momentum']!r}, which minikeras's doesn't have")
    if name == "Nadam" and "is_legacy_optimizer" in config:
        raise Inexpressible("its Nadam is that of tf.keras since 2.11, which keeps a part of its state in no file")
    legacy = "use_ema" not in config
    own = {argument: config[argument] for argument in _ARGUMENTS[name] if argument in config}
    own |= {ours: config[theirs] for theirs, ours in _CLIPPING.items() if config.get(theirs) is not None}
    own |= _rate(name, config.get("learning_rate"))
    if legacy and config.get("decay"):
        own["schedule_decay" if name == "Nadam" else "decay"] = config["decay"]
    if name == "Nadam" and not legacy:
        own["schedule_decay"] = 1.0
    if name in ("RMSprop", "Adagrad") and not legacy:
        own["epsilon_in_root"] = True
    if name == "Adagrad":
        own["initial_accumulator"] = config.get("initial_accumulator_value", 0.1)
    return {"class_name": name, "config": own}, State(name, own, legacy)


def _by_name(name: str) -> dict[str, Any]:
    """The configuration that tf.keras means where its ``.keras`` files say no more than a name."""
    by_name = {known.lower(): known for known in _SLOTS}
    rate = 0.01 if name.lower() == "sgd" else 0.001
    config = {"learning_rate": rate, "use_ema": False, "is_legacy_optimizer": False}
    return {"class_name": by_name.get(name.lower(), name), "config": config}


def _rate(name: str, rate: Any) -> dict[str, Any]:
    if not isinstance(rate, Mapping):
        return {"lr": rate}
    schedule, config = rate.get("class_name"), rate.get("config") or {}
    if schedule != "InverseTimeDecay" or config.get("staircase") or name == "Nadam":
        raise Inexpressible(f"its {name} follows the schedule {schedule!r}, which minikeras's doesn't have")
    return {"lr": config["initial_learning_rate"], "decay": config["decay_rate"] / config["decay_steps"]}


# ---------------------------------------------------------------------- writing


def to_keras3(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of an optimizer of minikeras as Keras 3 writes it.

    Raises:
        Inexpressible: If Keras 3 has no equal.
    """
    if name not in _SLOTS:
        raise Inexpressible(f"Keras 3 has no optimizer {name!r}")
    clipping = {theirs: config[ours] for theirs, ours in _CLIPPING.items() if config.get(ours)}
    if len(clipping) > 1:
        raise Inexpressible(f"Keras 3's {name} limits gradients in one way only. Received: {clipping}")
    if name == "Nadam" and config["schedule_decay"] != 1.0:
        raise Inexpressible(
            f"Keras 3's Nadam has schedule_decay=1.0 and no other. Received: {config['schedule_decay']!r}"
        )
    arguments = {argument: config[argument] for argument in _ARGUMENTS[name]}
    if name in ("RMSprop", "Adagrad") and not config.get("epsilon_in_root", False):
        warnings.warn(
            f"{name}: Keras 3 adds epsilon within the root: there its square is written, and steps differ a little "
            "where gradients are small. epsilon_in_root=True is Keras 3's formula",
            stacklevel=2,
        )
        arguments["epsilon"] = config["epsilon"] ** 2
    if name == "RMSprop":
        arguments |= {"momentum": 0.0, "centered": False}
    if name == "Adagrad":
        arguments["initial_accumulator_value"] = config.get("initial_accumulator", 0.0)
    rate: Any = config["lr"]
    if config.get("decay"):
        decay = {"initial_learning_rate": rate, "decay_steps": 1, "decay_rate": config["decay"], "staircase": False}
        rate = _object("keras.optimizers.schedules", "InverseTimeDecay", {**decay, "name": "InverseTimeDecay"})
    common = {
        "name": name.lower(),
        "learning_rate": rate,
        "weight_decay": None,
        **dict.fromkeys(_CLIPPING),
        **clipping,
        "use_ema": False,
        "ema_momentum": 0.99,
        "ema_overwrite_frequency": None,
        "loss_scale_factor": None,
        "gradient_accumulation_steps": None,
    }
    return _object("keras.optimizers", name, {**common, **arguments})


def keras3_state(
    name: str, config: Mapping[str, Any], iterations: int, state: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """The state of an optimizer in Keras 3's order.

    Args:
        name: Its class.
        config: Its configuration in minikeras.
        iterations: How many steps were taken.
        state: What its `get_weights` gave.
    """
    if name not in _SLOTS:
        return [*state]
    slots = [slot for group in _SLOTS[name] for slot in group]
    arrays = list(state[name not in _UNCOUNTED :])
    number = len(arrays) // len(slots)
    by_slot = {slot: arrays[i * number : (i + 1) * number] for i, slot in enumerate(slots)}
    before = [np.asarray(iterations, np.int64)]
    if not config.get("decay"):
        before.append(np.asarray(config["lr"], np.float32))
    body = [by_slot[slot][weight] for slot, weight in _side_by_side(_kept(name, config), number)]
    return before + body + ([_momenta(config, iterations)] if name == "Nadam" else [])


def _momenta(config: Mapping[str, Any], iterations: int) -> np.ndarray:
    """The product of Nadam's momenta so far."""
    steps = range(1, iterations + 1)
    momenta = [config["beta_1"] * (1.0 - 0.5 * 0.96 ** (step * config["schedule_decay"])) for step in steps]
    return np.asarray(math.prod(momenta), np.float32)


def _kept(name: str, config: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """The slots that Keras 3 keeps for this configuration."""
    unused = (name == "SGD" and not config.get("momentum")) * ["velocity"]
    unused += (name == "Adam" and not config.get("amsgrad")) * ["vhat"]
    return tuple(group for group in _SLOTS[name] if group[0] not in unused)


def _side_by_side(groups: tuple[tuple[str, ...], ...], number: int) -> Iterator[tuple[str, int]]:
    """The slots of so many weights, in order."""
    for group in groups:
        yield from ((slot, weight) for weight in range(number) for slot in group)


def _object(module: str, name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config, "registered_name": None}
