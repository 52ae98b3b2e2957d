"""The arguments of ``compile`` in files of Keras 3 and tf.keras, in the terms of minikeras, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import losses, metrics
from .keras3_optimizers import Inexpressible, State, from_keras, to_keras3

_OWN_NAMES = {  # Keras 3's names that minikeras doesn't know by spelling alone
    "KLDivergence": "kullback_leibler_divergence",
    "kl_divergence": "kullback_leibler_divergence",
    "CosineSimilarity": "cosine_proximity",
    "cosine_similarity": "cosine_proximity",
    "LogCoshError": "logcosh",
}
_KERAS_NAMES = {
    "kullback_leibler_divergence": "kl_divergence",
    "cosine_proximity": "cosine_similarity",
    "logcosh": "log_cosh",
}
_AS_CLASSES = {
    "categorical_crossentropy": "CategoricalCrossentropy",
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    "binary_crossentropy": "BinaryCrossentropy",
}
# Arguments of losses and metrics, with the values that say what is so anyway.
_HARMLESS: dict[str, tuple[Any, ...]] = {
    "axis": (-1,),
    "from_logits": (False,),
    "ignore_class": (None,),
    "k": (5,),
    "label_smoothing": (0,),
    "reduction": ("sum_over_batch_size", "auto"),
    "threshold": (0.5, None),
}
_FAMILIES = ("accuracy", "acc", "crossentropy", "ce")
_COSINE = ("CosineSimilarity", "cosine_similarity")  # as a metric the cosine itself, as a loss minus that

# ---------------------------------------------------------------------- reading


def training_from_keras(found: Mapping[str, Any], outputs: Sequence[str]) -> tuple[dict[str, Any], State, list[str]]:
    """The arguments of ``compile``, as `save_model` takes them.

    Args:
        found: ``compile_config`` of a ``.keras`` file, or ``training_config`` of an ``.h5`` file.
        outputs: Names of the model's outputs.

    Returns:
        The arguments; how the optimizer's state is kept; the names of metrics that minikeras lacks and are left out.

    Raises:
        Inexpressible: If the optimizer or a loss has no equal in minikeras.
        ValueError: If something is of another form.
    """
    optimizer, state = from_keras(found.get("optimizer", found.get("optimizer_config")))
    left_out: list[str] = []
    training = {
        "optimizer": optimizer,
        "iterations": None,
        "loss": _each(_loss, found.get("loss")),
        "metrics": _metrics(found.get("metrics"), outputs, left_out),
        "weighted_metrics": _metrics(found.get("weighted_metrics"), outputs, left_out),
        "loss_weights": found.get("loss_weights"),
        "sample_weight_mode": None,
    }
    return training, state, left_out


def _loss(item: Any) -> Any:
    name, config = _named(item)
    if name is None:
        return None
    own = _OWN_NAMES.get(name, name)
    if own in losses.registry or config:
        own = losses.get(own).__name__
    logits = config.pop("from_logits", False)
    if odd := _odd(config):
        raise Inexpressible(f"its loss {name!r} has {odd}, which minikeras's doesn't have")
    return {"class_name": own, "config": {"from_logits": True}} if logits else own


def _metrics(found: Any, outputs: Sequence[str], left_out: list[str]) -> Any:
    """The metrics in one list, or in one for each output."""
    if isinstance(found, Mapping) and "class_name" not in found:
        return {name: _known(items, left_out) for name, items in found.items()}
    if isinstance(found, list) and len(outputs) > 1 and any(isinstance(item, list) for item in found):
        return {name: _known(items, left_out) for name, items in zip(outputs, found, strict=False)}
    return _known(found, left_out)


def _known(items: Any, left_out: list[str]) -> list[str]:
    known = []
    for item in _flat(items):
        name, config = _named(item)
        if name in _FAMILIES:
            known.append(name)
        elif name is not None:
            try:
                if name in _COSINE or _odd(config):
                    raise ValueError(f"another {name}")
                known.append(metrics.get(_OWN_NAMES.get(name, name)).__name__)
            except ValueError:
                left_out.append(name)
    return known


def _named(item: Any) -> tuple[str | None, dict[str, Any]]:
    """The name of a loss or metric, and its arguments."""
    if item is None or isinstance(item, str):
        return item, {}
    if not isinstance(item, Mapping) or not isinstance(name := item.get("class_name"), str):
        raise ValueError(f"a loss or metric must be a name or a configuration. Received: {item!r:.100}")
    config = item.get("config")
    if name == "function" and isinstance(config, str):
        return config, {}
    config = {key: value for key, value in (config or {}).items() if key not in ("name", "dtype")}
    function = config.pop("fn", None)
    if name in ("LossFunctionWrapper", "MeanMetricWrapper"):
        return _named(function)[0], config
    return name, config


def _odd(config: Mapping[str, Any]) -> str:
    """The arguments that mean something."""
    odd = {key: value for key, value in config.items() if value not in _HARMLESS.get(key, ())}
    return ", ".join(f"{key}={value!r:.50}" for key, value in odd.items())


# ---------------------------------------------------------------------- writing


def training_to_keras3(training: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
    """The arguments of ``compile`` as a ``.keras`` file has them in ``compile_config``.

    Args:
        training: As `save_model` gets them.
        outputs: Names of the model's outputs.

    Raises:
        Inexpressible: If Keras 3 has no equal of the optimizer.
    """
    optimizer = training["optimizer"]
    return {
        "optimizer": to_keras3(optimizer["class_name"], optimizer["config"]),
        "loss": _of_outputs(_keras_loss, training["loss"], outputs),
        "loss_weights": _of_outputs(lambda weight: weight, training["loss_weights"], outputs),
        "metrics": _keras_metrics(training["metrics"], outputs),
        "weighted_metrics": _keras_metrics(training["weighted_metrics"], outputs),
        "run_eagerly": False,
        "steps_per_execution": 1,
        "jit_compile": False,
    }


def _of_outputs(convert: Callable[[Any], Any], found: Any, outputs: Sequence[str]) -> Any:
    """One item if there is one output, else a list."""
    if isinstance(found, Mapping) and "class_name" not in found:
        found = [found.get(name) for name in outputs]
    if not isinstance(found, list):
        found = [found] * len(outputs)
    if all(item is None for item in found):
        return None
    converted = [convert(item) for item in found]
    return converted if len(outputs) > 1 else converted[0]


def _keras_loss(item: Any) -> Any:
    if isinstance(item, Mapping) and item["class_name"] in _AS_CLASSES:
        name = _AS_CLASSES[item["class_name"]]
        config = {**item["config"], "name": item["class_name"], "reduction": "sum_over_batch_size"}
        return {"module": "keras.losses", "class_name": name, "config": config, "registered_name": None}
    return _keras_name(item, losses.registry)


def _keras_metrics(found: Any, outputs: Sequence[str]) -> Any:
    if isinstance(found, Mapping):
        items = [_flat(found.get(name)) for name in outputs]
    else:
        items = [_flat(found)] * len(outputs)
    if not any(items):
        return None
    converted = [
        [
            item if item in _FAMILIES else _keras_name(item, metrics.registry)
            for item in of_one
            if item != "cosine_proximity"
        ]
        for of_one in items
    ]
    return converted if len(outputs) > 1 else converted[0]


def _keras_name(item: Any, known: Any) -> Any:
    """A name that Keras 3 knows; for a function of one's own what it writes for one."""
    if not isinstance(item, str) or item in known:
        return _KERAS_NAMES.get(item, item) if isinstance(item, str) else item
    return {"module": "builtins", "class_name": "function", "config": item, "registered_name": item}


def _flat(items: Any) -> list[Any]:
    """The metrics of an output: one, a list, or a list in a list."""
    if isinstance(items, list):
        return [inner for item in items for inner in _flat(item)]
    return [] if items is None else [items]


def _each(convert: Callable[[Any], Any], items: Any) -> Any:
    """What a list or dict by output names holds, converted; or the item itself."""
    if isinstance(items, list):
        return [convert(item) for item in items]
    if isinstance(items, Mapping) and "class_name" not in items:
        return {name: convert(item) for name, item in items.items()}
    return convert(items)
