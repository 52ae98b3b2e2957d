"""What all optimizers share: clipping, decay, the walk over the parameters, constraints, the state."""

from __future__ import annotations

import difflib
import inspect
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .. import checks, kernels
from ..core import config
from ..core.tape import no_grad
from ..core.tensor import Parameter, Tensor
from ..core.threads import spread
from ..registry import Configurable
from .clipping import global_norm, scaled_to_norm
from .hyperparameter import Hyperparameter
from .symbolic_steps import SymbolicSteps

# Parameters of at most so many elements are joined to one vector, as calls would take longer than the computation.
SMALL = 4096

# The longest such vector.
JOINED = 16384

# update(p, g, scratch, *slots): one step on a block, in place; all are vectors, scratch two of them; g is not changed.
Rule = Callable[..., None]


class Batch(NamedTuple):
    """Parameters that are updated together: their numbers among all, and their state, in one vector for each slot."""

    members: list[int]
    slots: list[np.ndarray]


class Block(NamedTuple):
    """A part of a batch's vectors that one call of a rule updates."""

    p: np.ndarray
    g: np.ndarray
    slots: list[np.ndarray]


class Optimizer(SymbolicSteps, Configurable):
    """Base of all optimizers.

    A subclass names its state in ``slots`` (arrays beside each parameter, of zeros at first) and defines `rule`.

    Args:
        lr: Learning rate.
        clipnorm: If the norm of all gradients together exceeds this, they are scaled down to it; None for no limit.
        clipvalue: Gradients are cut off at this absolute value; None for no limit.
        learning_rate: Another name for ``lr``, which it replaces if given.
        weight_clipnorm: A gradient of a larger norm than this is scaled down to it by itself, as tf.keras and Keras 3
            mean by their ``clipnorm``; None for no limit. It comes before the others.

    Raises:
        TypeError, ValueError: If an argument is unknown or out of range.
    """

    slots: ClassVar[tuple[str, ...]] = ()
    full_batch: ClassVar[bool] = False  # whether it takes no steps by `apply_gradients` but minimizes by itself
    saves_iterations: ClassVar[bool] = True
    unsaid: ClassVar[dict[str, Any]] = {}  # defaults that stand in no configuration; so does None of all arguments
    _config_excludes = ("learning_rate",)

    lr = Hyperparameter("[0, inf)")
    decay = Hyperparameter("[0, inf)")
    clipnorm = Hyperparameter("[0, inf)", optional=True)
    clipvalue = Hyperparameter("[0, inf)", optional=True)
    weight_clipnorm = Hyperparameter("[0, inf)", optional=True)

    def __init__(
        self,
        lr: float,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        learning_rate: float | None = None,
        weight_clipnorm: float | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise TypeError(_unknown_argument(type(self), next(iter(unknown))))
        self.lr = lr if learning_rate is None else learning_rate
        self.decay = 0.0
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.weight_clipnorm = weight_clipnorm
        self._begin()

    def _begin(self) -> None:
        """Start without state."""
        self._iterations = 0
        self._params: list[Parameter] = []
        self._state: dict[Parameter, list[np.ndarray]] = {}
        self._batches: list[Batch] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_batches": None}  # copies of views would be no views

    @property
    def learning_rate(self) -> Any:
        """Another name for ``lr``."""
        return self.lr

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self.lr = value

    @property
    def iterations(self) -> int:
        """How many steps have been taken."""
        return self._iterations

    @iterations.setter
    def iterations(self, value: int) -> None:
        number = checks.number(type(self).__name__, "iterations", value, "[0, inf)")
        if number != int(number):
            raise ValueError(f"{type(self).__name__}: iterations must be an integer. Received: {value!r}")
        self._iterations = int(number)

    def apply_gradients(self, grads: Sequence[Any], params: Sequence[Parameter]) -> None:
        """Take one step: update the parameters in place, then apply their constraints.

        Args:
            grads: A gradient (ndarray or Tensor) for each parameter; they are not changed.
            params: The parameters. State is kept for each of them, whatever others come along in later steps.

        Raises:
            ValueError: If a gradient is missing or of another shape than its parameter.
        """
        arrays = self._checked_gradients(grads, params)
        if self.weight_clipnorm:
            arrays = [scaled_to_norm(array, float(self.weight_clipnorm)) for array in arrays]
        self.build(params)
        rate = float(self.lr)
        if self.decay:
            rate /= 1.0 + self.decay * self._iterations
        update = self.rule(rate, self._iterations + 1)
        scale = self._clipping_scale(arrays)
        batches = self._batches or []
        # A parameter that is given twice takes one step after the other.
        for group in [batches] if len(set(params)) == len(params) else [[batch] for batch in batches]:
            self._step(update, group, arrays, scale)
        for param in params:
            if param.constraint is not None:
                with no_grad():
                    param.assign(param.constraint(param))
        self._iterations += 1

    def rule(self, rate: float, step: int) -> Rule:
        """The update of one step.

        Args:
            rate: Learning rate of this step, after decay.
            step: Its number, from 1 on.

        Returns:
            Function ``update(p, g, scratch, *slots)`` that changes a block ``p`` of a parameter and its ``slots`` in
            place, given the gradient ``g``; ``scratch`` are two vectors of the same length to compute in.
        """
        raise NotImplementedError(f"{type(self).__name__} must define rule(rate, step)")

    def build(self, params: Sequence[Parameter]) -> None:
        """Make the state of parameters that have none yet; `get_weights` and `set_weights` go by these parameters."""
        known = len(params) == len(self._params) and all(map(operator.is_, params, self._params))
        if known and self._batches is not None:
            return
        self._params = list(params)
        for param in self._params:
            if param not in self._state:
                self._state[param] = [
                    np.full(self.slot_shape(slot, param), self.first_value(slot), param.dtype) for slot in self.slots
                ]
        self._batches = list(self._join())

    def slot_shape(self, slot: str, param: Parameter) -> tuple[int, ...]:
        """The shape of a slot of a parameter: its own, unless a subclass says otherwise."""
        return param.shape

    def first_value(self, slot: str) -> float:
        """What a slot begins with: zero, unless a subclass says otherwise."""
        return 0.0

    def get_weights(self) -> list[np.ndarray]:
        """The state in Keras 2's order: the step count (where Keras keeps it), then slot by slot for all parameters.

        Empty before the first step or `build`.
        """
        count = [np.asarray(self._iterations, np.int64)] if self.saves_iterations and self._params else []
        return count + [array.copy() for array in self._slot_arrays()]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the state to what `get_weights` gave; `build` comes first if no step was taken yet.

        Raises:
            ValueError: If number or shapes of the arrays differ.
        """
        values = [np.asarray(value) for value in weights]
        own = self._slot_arrays()
        shapes = ([()] if self.saves_iterations and self._params else []) + [array.shape for array in own]
        if [value.shape for value in values] != shapes:
            hint = "" if self._params else " Call build(params) first: the state belongs to parameters."
            raise ValueError(
                f"{type(self).__name__}: expected {len(shapes)} arrays of the shapes {shapes}.{hint} "
                f"Received: {len(values)}, of the shapes {[value.shape for value in values]}"
            )
        if len(values) > len(own):
            self.iterations = values.pop(0).item()
        for array, value in zip(own, values, strict=True):
            array[...] = value

    def get_config(self) -> dict[str, Any]:
        """The hyperparameters; those that Keras 2 leaves out or doesn't have only where they say something."""
        config = super().get_config()
        return {name: value for name, value in config.items() if value != self.unsaid.get(name)}

    def _slot_arrays(self) -> list[np.ndarray]:
        return [self._state[param][i] for i in range(len(self.slots)) for param in self._params]

    def _checked_gradients(self, grads: Sequence[Any], params: Sequence[Parameter]) -> list[np.ndarray]:
        name = type(self).__name__
        if len(grads) != len(params):
            raise ValueError(
                f"{name}: expected a gradient for each of {len(params)} parameters. Received: {len(grads)}"
            )
        arrays = []
        for grad, param in zip(grads, params, strict=True):
            if type(grad) is Tensor and grad.data.shape == param.data.shape:
                arrays.append(grad.data)
                continue
            if grad is None:
                raise ValueError(
                    f"{name}: the parameter {param.name!r} has no gradient (None), as the loss does not depend on it "
                    "or passes an operation without derivative. Set trainable=False to leave it as it is."
                )
            array = grad.numpy() if isinstance(grad, Tensor) else np.asarray(grad)
            if array.shape != param.shape:
                raise ValueError(
                    f"{name}: the gradient of {param.name!r} must have its shape {param.shape}. "
                    f"Received: shape {array.shape}"
                )
            arrays.append(array)
        return arrays

    def _clipping_scale(self, grads: list[np.ndarray]) -> float:
        """What all gradients are multiplied by so that their common norm is at most ``clipnorm``."""
        if not self.clipnorm:
            return 1.0
        norm = global_norm(grads)
        return self.clipnorm / norm if norm >= self.clipnorm else 1.0

    def _join(self) -> Iterator[Batch]:
        """Batches of small parameters of one dtype, their state laid end to end, and of each other parameter alone."""
        open_batches: dict[np.dtype, list[int]] = {}
        seen: set[Parameter] = set()
        for number, param in enumerate(self._params):
            if param.size > SMALL or param in seen:
                yield Batch([number], [slot.reshape(-1) for slot in self._state[param]])
                continue
            seen.add(param)
            members = open_batches.setdefault(param.dtype, [])
            if sum(self._params[i].size for i in members) + param.size > JOINED:
                yield self._end_to_end(members)
                members = open_batches[param.dtype] = []
            members.append(number)
        for members in open_batches.values():
            yield self._end_to_end(members)

    def _end_to_end(self, members: list[int]) -> Batch:
        params = [self._params[i] for i in members]
        slots = [np.concatenate(parts, axis=None) for parts in zip(*[self._state[p] for p in params], strict=True)]
        for param in params:
            self._state[param] = list(self._state[param])
        for i, slot in enumerate(slots):
            start = 0
            for param in params:
                old = self._state[param][i]
                self._state[param][i] = slot[start : start + old.size].reshape(old.shape)
                start += old.size
        return Batch(members, slots)

    def _step(self, update: Rule, batches: list[Batch], grads: list[np.ndarray], scale: float) -> None:
        """Update batches that have no parameter in common, in several threads if that pays."""
        length, size = kernels.step_length(), 0
        vectors, blocks = [], []
        for batch in batches:
            p, g = self._vectors(batch, grads)
            vectors.append(p)
            size += p.size
            if p.size <= length:
                blocks.append(Block(p, g, batch.slots))
                continue
            for start in range(0, p.size, length):
                part = slice(start, start + length)
                blocks.append(Block(p[part], g[part], [slot[part] for slot in batch.slots]))
        spread(lambda part: self._advance(update, blocks[part], scale), len(blocks), size * (2 + len(self.slots)))
        for batch, p in zip(batches, vectors, strict=True):
            self._put_back(batch, p)

    def _vectors(self, batch: Batch, grads: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """A batch's parameters and gradients as one vector each: where it can be, the parameter itself."""
        if len(batch.members) == 1:
            member = batch.members[0]
            p, g = self._params[member].data, grads[member]
            return p.reshape(-1), (g if g.dtype == p.dtype else g.astype(p.dtype)).reshape(-1)
        p = np.concatenate([self._params[i].data for i in batch.members], axis=None)
        return p, np.concatenate([grads[i] for i in batch.members], axis=None, dtype=p.dtype)

    def _put_back(self, batch: Batch, p: np.ndarray) -> None:
        """The updated vector into the parameters, unless it is theirs already."""
        start, is_copy = 0, len(batch.members) > 1
        for param in [self._params[i] for i in batch.members]:
            data = param.data
            if is_copy or not data.flags.c_contiguous:
                data[...] = p[start : start + data.size].reshape(data.shape)
                start += data.size
            param.mark_changed()

    def _advance(self, update: Rule, blocks: list[Block], scale: float) -> None:
        """Update blocks in place, one after the other."""
        limit = self.clipvalue
        longest = max([block.p.size for block in blocks], default=0)
        clipped = np.empty(0)
        for p, g, slots in blocks:
            size = p.size
            if clipped.dtype != p.dtype or not clipped.size:
                clipped, first, second = np.empty((3, longest), p.dtype)
            if scale != 1.0:
                g = np.multiply(g, scale, out=clipped[:size])
            if limit:
                g = np.clip(g, -limit, limit, out=clipped[:size])
            update(p, g, [first[:size], second[:size]], *slots)


def fuzz(value: float | None) -> float:
    """An optimizer's ``epsilon``: the configured fuzz factor if None."""
    return config.epsilon() if value is None else value


def _unknown_argument(cls: type, name: str) -> str:
    signatures = [inspect.signature(owner.__init__) for owner in (cls, Optimizer)]  # type: ignore[misc]
    known = {
        p.name: None for signature in signatures for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD
    }
    known.pop("self")
    close = difflib.get_close_matches(name, known)
    hint = f" Did you mean {' or '.join(repr(word) for word in close)}?" if close else ""
    return f"{cls.__name__}: unknown argument {name!r}.{hint} It takes {', '.join(known)}."
