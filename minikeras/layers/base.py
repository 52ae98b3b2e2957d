"""Layer: weights made on the first call, a pure shape function and a configuration that round-trips."""

from __future__ import annotations

import copy
import difflib
import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from .. import checks, constraints, initializers, ops, regularizers
from ..core import config, symbolic
from ..core.tensor import Parameter, Tensor, as_array
from ..registry import Configurable
from . import observers
from .absent import AbsentFromLayers, BeforeInit
from .attached import Attaching, Attachment
from .context import (
    CallContext,
    call_context,
    current_context,
    fix_training,
    in_call,
    in_context,
    in_training,
    take_room,
    trial,
)
from .measures import Measured
from .naming import reset_names, scoped, unique_name
from .recording import Recorded
from .shapes import (
    InputSpec,
    Shape,
    as_list,
    as_shape,
    as_size,
    count,
    is_shape,
    map_inputs,
    map_shapes,
    masks_of,
    shape_first,
    shapes_of,
)

__all__ = [
    "CallContext",
    "InputSpec",
    "Layer",
    "call_context",
    "fix_training",
    "in_call",
    "in_training",
    "reset_names",
    "unique_name",
]


class Layer(Recorded, Attaching, Measured, AbsentFromLayers, Configurable):
    """Base of all layers: a function of tensors with weights of its own.

    A subclass makes its weights in `build` by `add_weight` and computes in `call`; both are all it needs.
    Layers kept as attributes (also in lists) are part of it: their weights are its weights.

    A layer that has weights computes in its ``dtype``: floating-point inputs of another one are cast to it. A layer
    without weights leaves them as they are. Integers are cast where ``casts_integers`` says so.

    Args:
        name: Name in a model, in summaries and messages; by default the class name in snake case and a number.
        trainable: Whether training updates the weights.
        dtype: Type of weights and computation; ``floatx`` at the time of construction if None.
        input_shape: Shape of one sample, for the first layer of a model; None where a dimension is free.
        batch_input_shape: The same with the batch dimension in front.
        batch_size: Batch dimension to go with ``input_shape``.
        input_dim: Short for ``input_shape=(input_dim,)``.
        weights: Initial weights, as for `set_weights`.

    Raises:
        TypeError: For a keyword that the layer doesn't have.

    Example:
        >>> class Scale(Layer):
        ...     def build(self, input_shape):
        ...         self.factor = self.add_weight("factor", input_shape[-1:], initializer="ones")
        ...         super().build(input_shape)
        ...     def call(self, inputs):
        ...         return inputs * self.factor
    """

    casts_integers: bool = False
    supports_masking: bool = False
    stateful: bool = False
    activity_regularizer: Callable[[Tensor], Tensor] | None = None
    _adds_in_call: bool = False
    _updates_in_call: bool = False
    _uses_phase: bool = False
    _takes_training: ClassVar[bool] = False
    _takes_mask: ClassVar[bool] = False
    _makes_masks: ClassVar[bool] = False  # also without a mask of its input
    _masks_inside: ClassVar[bool] = False  # the layers inside give its outputs their masks
    _says_shape: ClassVar[bool] = False
    _config_excludes: tuple[str, ...] = ("input_shape", "batch_size", "input_dim", "weights")

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        parameters = inspect.signature(cls.call).parameters
        cls._takes_training = "training" in parameters
        cls._takes_mask = "mask" in parameters
        called = getattr(getattr(cls.call, "__code__", None), "co_names", ())
        cls._adds_in_call, cls._updates_in_call = "add_loss" in called, "add_update" in called
        cls._makes_masks = cls.compute_mask is not Layer.compute_mask
        cls._says_shape = cls.compute_output_shape is not Layer.compute_output_shape

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        input_shape: Sequence[int | None] | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        input_dim: int | None = None,
        weights: Sequence[Any] | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise TypeError(_unknown_keyword(type(self), next(iter(unknown))))
        if name is not None and not isinstance(name, str):
            raise TypeError(f"{type(self).__name__}: name must be a string. Received: name={name!r}")
        self.name = name or unique_name(type(self).__name__)
        self.trainable = checks.flag(str(self), "trainable", trainable)
        self.dtype = _dtype_name(config.floatx() if dtype is None else dtype, self)
        if input_dim is not None:
            input_shape = (as_size(input_dim, self, "input_dim"),)
        if input_shape is not None:
            batch_input_shape = (batch_size, *as_shape(input_shape, self, "input_shape"))
        self.batch_input_shape: Shape | None = None
        if batch_input_shape is not None:
            self.batch_input_shape = as_shape(batch_input_shape, self, "batch_input_shape")
        self.built = False
        self.input_spec: InputSpec | None = None
        self._accepted: Any = None  # the shapes of the last inputs, which have been checked
        self._trainable_weights: list[Parameter] = []
        self._non_trainable_weights: list[Parameter] = []
        self._initial_weights = weights
        self._nodes: list[symbolic.Call] = []
        self._losses: list[Attachment] = []
        self._updates: list[Attachment] = []

    def __str__(self) -> str:
        return f"{type(self).__name__} '{self.name}'"

    def __repr__(self) -> str:
        return f"<{self}>"

    @property
    def uses_learning_phase(self) -> bool:
        """Whether it behaves differently in training: it, or a layer inside, takes ``training`` in its call.

        A layer that asks ``K.learning_phase()`` instead sets this to True, as in Keras 2.
        """
        return self._uses_phase or any(layer._takes_training or layer._uses_phase for layer in self._flatten())

    @uses_learning_phase.setter
    def uses_learning_phase(self, value: bool) -> None:
        self._uses_phase = bool(value)

    # ------------------------------------------------------------------ what a subclass writes

    def build(self, input_shape: Any) -> None:
        """Make the weights.

        Args:
            input_shape: Tuple with the batch dimension in front, None where a dimension is free; a list of such
                tuples for a layer of several inputs.
        """
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Compute the output; a subclass that behaves differently in training adds ``training=None``.

        Args:
            inputs: A Tensor, or a list of them.

        Returns:
            A Tensor, or a list of them.
        """
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the output's shape for an input's shape, batch dimension and None included.

        This general form runs the layer on small arrays, twice, to see which dimensions follow a free one.
        """
        layer = self if self.built else copy.deepcopy(self)
        shape_of = map_shapes(lambda shape: symbolic.SymbolicTensor(shape, self.dtype), input_shape)
        with trial():
            found = symbolic.infer(layer, (shape_of,), {})
        shapes = [shape for shape, _ in found]
        return shapes if isinstance(found, tuple) else shapes[0]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask that the output carries, for the one that the input carries.

        This general form gives the input's mask where ``supports_masking`` says so.

        Args:
            inputs: A Tensor, or a list of them.
            mask: A Tensor of booleans (samples, steps) or None; a list of such for a list of inputs.

        Returns:
            A Tensor of booleans or None; a list of such for several outputs.

        Raises:
            TypeError: If there is a mask and the layer doesn't know what to do with it.
        """
        if self.supports_masking:
            return mask
        if any(item is not None for item in as_list(mask)):
            raise TypeError(
                f"{self} does not support masking, but its input carries a mask, as from Masking or from Embedding "
                "with mask_zero. A layer of your own says supports_masking = True or writes compute_mask. "
                f"Received: {mask!r:.100}"
            )
        return None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain values, for `from_config` and for files."""
        config = super().get_config()
        if config.get("batch_input_shape") is None:
            config.pop("batch_input_shape", None)
        return config

    # ------------------------------------------------------------------ calling

    def __call__(self, inputs: Any, training: bool | None = None, **keywords: Any) -> Any:
        """Build the layer if this is its first call, check the inputs and compute.

        Args:
            inputs: A Tensor or array, or a list of them.
            training: Whether to behave as in training; what the `call_context` says if None.
            **keywords: Passed on to `call`.

        Returns:
            What `call` returns; symbolic where an input is.

        Raises:
            ValueError: If an input's shape doesn't fit.
        """
        if not isinstance(inputs, Tensor) or inputs.symbolic:
            inputs = map_inputs(_as_tensor, inputs)
            if symbolic.symbols_in(inputs):
                return self._record(inputs, training, keywords)
        self._accept(inputs)
        inputs = self._cast(inputs)
        context = current_context()
        training = in_training() if training is None else bool(training)
        if context is not None and context.training == training:
            return self._run(inputs, context, keywords)
        inner = CallContext(training, context.penalties if context else None, context.frozen if context else None)
        return in_context(inner, self._run, inputs, inner, keywords)

    def ensure_built(self, input_shape: Any) -> None:
        """Build the layer for this input shape unless it is built, and set the ``weights`` given at construction.

        Args:
            input_shape: As for `build`; the size of the batch is not fixed by it.
        """
        if not self.built:
            self._check_inputs(input_shape)
            self.build(map_shapes(lambda shape: (None, *shape[1:]) if shape else (), input_shape))
            self.built = True
            if isinstance(activation := vars(self).get("activation"), Layer):  # its weights are this layer's too
                activation.ensure_built(self.compute_output_shape(input_shape))
        if self._initial_weights is not None:
            initial, self._initial_weights = self._initial_weights, None
            self.set_weights(initial)

    def __getstate__(self) -> dict[str, Any]:
        # A copy stands by itself: the calls of the original belong to the graph of the original.
        return {**vars(self), "_nodes": [], "_accepted": None}

    def _accept(self, inputs: Any) -> None:
        """Build the layer unless it is built, and check the inputs unless the last ones had the same shapes."""
        shapes = inputs.data.shape if isinstance(inputs, Tensor) and not inputs.symbolic else shapes_of(inputs)
        if shapes != self._accepted or not self.built:
            self.ensure_built(shapes)
            self._check_inputs(shapes)
            self._accepted = shapes

    def _run(self, inputs: Any, context: CallContext, keywords: dict[str, Any]) -> Any:
        if context.training and context.frozen is None and not self.trainable:
            context = CallContext(True, context.penalties, frozenset(id(layer) for layer in self._flatten()))
            return in_context(context, self._run, inputs, context, keywords)
        if self._takes_training:
            keywords["training"] = context.training
        masks = self._masks(inputs, keywords)
        if masks is not None and self._masks_inside:
            inputs = _masked(inputs, masks, inputs)
        outputs = self.call(inputs, **keywords)
        if type(outputs) is not Tensor or self.activity_regularizer is not None:
            self._check_outputs(outputs, context)
        observers.notify(self, outputs)
        if (masks is not None or self._makes_masks) and not self._masks_inside:
            return _masked(outputs, self._checked_mask(self.compute_mask(inputs, masks)), inputs)
        return outputs

    def _check_outputs(self, outputs: Any, context: CallContext) -> None:
        """Refuse what is no Tensor, or has no values; take the penalties of what has."""
        for output in outputs if isinstance(outputs, (list, tuple)) else (outputs,):
            if not isinstance(output, Tensor):
                raise TypeError(f"{self}: call must return a Tensor. Received: {type(output).__name__}")
            if output.symbolic:
                raise TypeError(
                    f"{self}: call used a symbolic tensor that isn't among its inputs; call the layer on all that it "
                    f"reads, as a list. Received: {output!r}"
                )
            if self.activity_regularizer is not None and context.penalties is not None:
                context.penalties.append(self.activity_regularizer(output))

    def _masks(self, inputs: Any, keywords: dict[str, Any]) -> Any:
        """The mask of the inputs: as given by keyword, else as they carry it; handed to `call` where that takes it."""
        if "mask" not in keywords:
            masks = masks_of(inputs)
            if masks is not None and self._takes_mask:
                keywords["mask"] = masks
            return masks
        return keywords["mask"] if self._takes_mask else keywords.pop("mask")

    def _record(self, inputs: Any, training: bool | None, keywords: dict[str, Any]) -> Any:
        """The symbolic outputs of a call on symbolic inputs."""
        self._accept(inputs)
        static = dict(keywords) if training is None else {"training": training, **keywords}
        masks = keywords["mask"] if "mask" in keywords else masks_of(inputs)
        outputs = symbolic.record(self, (inputs,), static, self._symbolic_outputs(inputs, static))
        self._nodes.append(as_list(outputs)[0].source)
        if masks is not None or self._makes_masks:
            mask = self._checked_mask(self.compute_mask(inputs, masks))
            for output, its_mask in zip(as_list(outputs), _one_each(mask, outputs), strict=True):
                output.mask = its_mask
        return outputs

    def _checked_mask(self, mask: Any) -> Any:
        """What `compute_mask` returned, arrays as Tensors."""
        if isinstance(mask, (list, tuple)):
            return [self._checked_mask(item) for item in mask]
        if mask is None or isinstance(mask, Tensor):
            return mask
        if isinstance(mask, np.ndarray):
            return Tensor(mask)
        raise TypeError(f"{self}: compute_mask must return a Tensor of booleans or None. Received: {mask!r}")

    def _symbolic_outputs(self, inputs: Any, keywords: dict[str, Any]) -> Any:
        """(shape, dtype) of each output: as `compute_output_shape` says, or else found by running the layer."""
        if not self._says_shape:
            with trial():
                return symbolic.infer(self, (inputs,), keywords)
        shapes = self.compute_output_shape(shapes_of(inputs))
        dtypes = [x.dtype for x in self._cast(as_list(inputs))]
        dtype = next((dtype for dtype in dtypes if dtype.kind == "f"), dtypes[0])
        return [(shapes, dtype)] if is_shape(shapes) else tuple([(shape, dtype) for shape in shapes])

    def _cast(self, inputs: Any) -> Any:
        if isinstance(inputs, Tensor) and not inputs.symbolic and inputs.data.dtype is _dtype_named(self.dtype):
            return inputs
        has_weights = bool(self._trainable_weights or self._non_trainable_weights)
        if not (has_weights or self.casts_integers):
            return inputs
        kinds = ("f" if has_weights else "") + ("iub" if self.casts_integers else "")

        def cast(x: Tensor) -> Tensor:
            if x.dtype == self.dtype or x.dtype.kind not in kinds:
                return x
            result = ops.cast(x, dtype=self.dtype)
            result.mask = x.mask
            return result

        return map_inputs(cast, inputs)

    def _check_inputs(self, shapes: Any) -> None:
        specs = as_list(self.input_spec) if self.input_spec is not None else []
        given = [shapes] if is_shape(shapes) else shapes
        if specs and len(specs) != len(given):
            raise ValueError(f"{self}: expected {count(len(specs), 'input')}. Received: {len(given)}, shapes {given}")
        for spec, shape in zip(specs, given, strict=False):
            spec.check(tuple(shape), self)

    def resolve(self, namespace: Any, argument: str, identifier: Any) -> Any:
        """Return what a name, configuration or callable stands for, such as ``activations.get(identifier)``.

        Args:
            namespace: A module with a ``get``: activations, initializers, regularizers, constraints.
            argument: The argument's name, for the message.
            identifier: What was given for it.

        Raises:
            ValueError: If it is unknown; names the layer and the argument.
        """
        try:
            return namespace.get(identifier)
        except ValueError as error:
            raise ValueError(f"{self}: {argument}: {error}") from None

    # ------------------------------------------------------------------ weights

    @shape_first
    def add_weight(
        self,
        name: str | None = None,
        shape: Sequence[int] = (),
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        trainable: bool = True,
        constraint: Any = None,
    ) -> Parameter:
        """Make a weight of this layer.

        Args:
            name: What the weight is: "kernel", "bias", ...
            shape: Its shape.
            dtype: Its dtype; the layer's if None.
            initializer: Name, configuration or Initializer; Glorot's uniform one if None.
            regularizer: Penalty that training adds to the loss.
            trainable: False for a state that training doesn't update by gradient.
            constraint: Applied after each update.

        Returns:
            The Parameter.
        """
        name = name or f"weight_{len(self._trainable_weights) + len(self._non_trainable_weights) + 1}"
        shape = tuple(as_size(size, self, f"each size of the weight {name!r}", minimum=0) for size in shape)
        take_room(shape, f"{self}: the weight {name!r}")
        initial = initializers.get(initializer if initializer is not None else "glorot_uniform")
        weight = Parameter(
            initial(shape, dtype=dtype or self.dtype),
            name=scoped(f"{self.name}/{name}"),
            trainable=trainable,
            regularizer=regularizers.get(regularizer),
            constraint=constraints.get(constraint),
            dtype=dtype or self.dtype,
        )
        (self._trainable_weights if trainable else self._non_trainable_weights).append(weight)
        return weight

    @property
    def weights(self) -> list[Parameter]:
        """All weights: the trainable ones, the others, then those of the layers kept as attributes."""
        return _unique([*self._trainable_weights, *self._non_trainable_weights], self._sublayers(), "weights")

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The weights that training updates; none if the layer isn't trainable."""
        if not self.trainable:
            return []
        return _unique(self._trainable_weights, self._sublayers(), "trainable_weights")

    @trainable_weights.setter
    def trainable_weights(self, weights: list[Parameter]) -> None:
        self._trainable_weights = weights

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        """The weights that training leaves alone."""
        trained = {id(weight) for weight in self.trainable_weights}
        return [weight for weight in self.weights if id(weight) not in trained]

    @non_trainable_weights.setter
    def non_trainable_weights(self, weights: list[Parameter]) -> None:
        self._non_trainable_weights = weights

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of the weights' values, in the order of `weights`."""
        return [weight.numpy().copy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the values of all weights, in the order of `weights`.

        Raises:
            ValueError: If their number or a shape differs; then none is changed.
            TypeError: If one isn't made of numbers, or it is no list of arrays.
        """
        own = self.weights
        if isinstance(weights, (str, os.PathLike, Mapping)):
            raise TypeError(
                f"{self}: set_weights expects a list of arrays, as get_weights gives it; load_weights reads files. "
                f"Received: {weights!r:.100}"
            )
        if len(own) != len(weights):
            unbuilt = "" if self.built else ", as it is not built yet"
            raise ValueError(
                f"{self}: set_weights expects {count(len(own), 'array')}{unbuilt}. Received: {len(weights)}"
            )
        arrays = [as_array(value, weight.dtype) for weight, value in zip(own, weights, strict=True)]
        for weight, array in zip(own, arrays, strict=True):
            if weight.shape != array.shape:
                raise ValueError(
                    f"{self}: the weight '{weight.name}' has shape {weight.shape}. Received: shape {array.shape}"
                )
        for weight, array in zip(own, arrays, strict=True):
            weight.assign(array)

    def count_params(self) -> int:
        """Return the number of elements of all weights.

        Raises:
            RuntimeError: If the layer isn't built.
        """
        if not self.built:
            raise RuntimeError(f"{self} is not built: its weights are made when the input's shape is known")
        return sum(weight.size for weight in self.weights)

    def _sublayers(self) -> Iterator[Layer]:
        for value in vars(self).values():
            if isinstance(value, (Layer, list, tuple)):
                yield from (item for item in as_list(value) if isinstance(item, Layer))


for _attribute in ("name", "batch_input_shape", "_accepted"):  # of these, one is read first whatever is done
    setattr(Layer, _attribute, BeforeInit(_attribute))


# ---------------------------------------------------------------------- helpers


def _as_tensor(value: Any) -> Tensor:
    if isinstance(value, Layer):
        raise TypeError(
            f"a layer is called on tensors, such as another layer gives: Dense(2)(Flatten()(x)). Received: {value!r}"
        )
    return value if isinstance(value, Tensor) else Tensor(value)


def _one_each(masks: Any, outputs: Any) -> list[Any]:
    """A mask or None for each output."""
    return as_list(masks) if masks is not None else [None] * len(as_list(outputs))


def _masked(outputs: Any, masks: Any, inputs: Any) -> Any:
    """The outputs, carrying masks; an input that is given back as it is keeps the mask that it has."""
    given = {id(x) for x in as_list(inputs)}

    def carry(output: Tensor, mask: Any) -> Tensor:
        if output.mask is not mask:
            output = ops.identity(output) if id(output) in given else output
            output.mask = mask
        return output

    found = [carry(output, mask) for output, mask in zip(as_list(outputs), _one_each(masks, outputs), strict=True)]
    return found if isinstance(outputs, (list, tuple)) else found[0]


@functools.cache
def _dtype_named(name: str) -> np.dtype:
    return np.dtype(name)  # NumPy takes as long for it as for a small sum


def _dtype_name(dtype: Any, owner: Layer) -> str:
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found.kind not in "fiub":
        raise ValueError(f"{owner}: dtype must be a number type such as 'float32'. Received: {dtype!r}")
    return found.name


def _unknown_keyword(cls: type, keyword: str) -> str:
    known = {
        name
        for owner in cls.__mro__
        if "__init__" in vars(owner)
        for name, parameter in list(inspect.signature(vars(owner)["__init__"]).parameters.items())[1:]
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }
    close = difflib.get_close_matches(keyword, sorted(known))
    hint = f" Did you mean {' or '.join(repr(name) for name in close)}?" if close else ""
    return f"{cls.__name__} got an unexpected keyword argument {keyword!r}.{hint} It takes: {', '.join(sorted(known))}"


def _unique(own: list[Parameter], layers: Iterator[Layer], kind: str) -> list[Parameter]:
    found = own + [weight for layer in layers for weight in getattr(layer, kind)]
    return list({id(weight): weight for weight in found}.values())
