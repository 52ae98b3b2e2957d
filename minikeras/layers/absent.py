"""Attributes of Keras 2's layers and models that aren't here, with what to write instead."""

from __future__ import annotations

from typing import Any, NoReturn

_NODES = "a layer's calls are seen by layer.get_input_at(index) and layer.get_output_at(index)"


class Absent:
    """A descriptor: to read it is an AttributeError with advice. It may be assigned to as any attribute.

    Args:
        advice: What to write instead.
    """

    def __init__(self, advice: str) -> None:
        self.advice = advice

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> NoReturn:
        raise AttributeError(f"{owner.__name__} has no attribute {self.name!r}: {self.advice}")


class BeforeInit:
    """A descriptor of what `Layer` sets when it is initialised: to read it before is an AttributeError that says so.

    Args:
        name: Of the attribute.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> NoReturn:
        raise AttributeError(
            f"{owner.__name__} has no {self.name!r} yet: its __init__ must call super().__init__(**kwargs)"
        )


class AbsentFromLayers:
    """Mixin: what scripts for Keras 2 are found to ask a layer for."""

    assert_input_compatibility = Absent("a layer checks its inputs when it is called")
    get_output_shape_for = Absent("it is called compute_output_shape since Keras 2")
    inbound_nodes = Absent(_NODES)
    outbound_nodes = Absent(_NODES)
    _inbound_nodes = Absent(_NODES)
    _outbound_nodes = Absent(_NODES)
    constraints = Absent("each weight has its own: weight.constraint")
    regularizers = Absent("each weight has its own, weight.regularizer; layer.losses are the penalties")
    trainable_variables = Absent("it is called trainable_weights")
    non_trainable_variables = Absent("it is called non_trainable_weights")
    variables = Absent("they are called weights")
