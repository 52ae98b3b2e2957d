"""What a graph and a session are in Keras: the learning phase, functions of recorded tensors, gradients."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from .. import ops
from ..core import symbolic, tape
from ..core.symbolic import SymbolicTensor
from ..core.tensor import Tensor, as_array
from ..layers import base
from ..layers.context import without_updates
from ..layers.shapes import count
from .randomness import reset_streams
from .recording import as_tensor
from .settings import reset_uids
from .variables import eval as value_of
from .variables import set_value

# ---------------------------------------------------------------------- the learning phase


def _phase_of_context() -> Tensor:
    return Tensor(np.array(base.in_training(), dtype=np.int32))


_phase_of_context.uses_learning_phase = True  # type: ignore[attr-defined]  # a function may have attributes
_fixed_phase: int | None = None
_phase: SymbolicTensor = symbolic.record(_phase_of_context, (), {})
_phase.name = "keras_learning_phase"


def learning_phase() -> Any:
    """Whether layers behave as in training (1) or in inference (0).

    Returns:
        A number inside the call of a layer, or where `set_learning_phase` has fixed it. Elsewhere a symbolic tensor,
        always the same one, that can be an input of `function`; where it isn't fed, it is what the call of the model
        says in which it is computed.
    """
    if base.in_call():
        return int(base.in_training())
    return _phase if _fixed_phase is None else _fixed_phase


def set_learning_phase(value: int) -> None:
    """Fix the learning phase for all calls from now on, also those of ``fit`` and ``predict``.

    A layer called with an argument ``training`` of its own follows that. `clear_session` ends it.

    Args:
        value: 0 for inference, 1 for training.

    Raises:
        ValueError: For anything else.
    """
    global _fixed_phase
    if value not in (0, 1):
        raise ValueError(f"set_learning_phase: the learning phase must be 0 or 1. Received: {value!r}")
    _fixed_phase = int(value)
    base.fix_training(bool(value))


def clear_session() -> None:
    """Start anew: names and `get_uid` from 1, the learning phase free, the streams of seeds at their start."""
    global _fixed_phase
    _fixed_phase = None
    base.reset_names()
    base.fix_training(None)
    reset_uids()
    reset_streams()


def manual_variable_initialization(value: bool) -> None:
    """Kept for Keras's signature: variables have their values as soon as they are made.

    Args:
        value: False.

    Raises:
        ValueError: For True, as there is no session that could do it.
    """
    if value:
        raise ValueError(
            "manual_variable_initialization: variables have their values as soon as they are made; set them by "
            "set_value. Received: True"
        )


# ---------------------------------------------------------------------- gradients and functions


def gradients(loss: Any, variables: Any) -> list[Any]:
    """Gradients of the sum of all elements of the loss.

    Args:
        loss: A Tensor or a list of them; symbolic ones record their gradients, for `function` to compute.
        variables: What to differentiate with respect to, or a list of it: symbolic inputs and intermediate results,
            variables, weights, Tensors on the tape.

    Returns:
        A list with one Tensor per variable, of its shape; None where the loss doesn't depend on it. (Of symbolic
        losses the gradients with respect to variables and weights are zeros then.)

    Raises:
        TypeError: If something is no Tensor.
    """
    losses, targets = (list(x) if isinstance(x, (list, tuple)) else [x] for x in (loss, variables))
    for x in [*losses, *targets]:
        if not isinstance(x, Tensor):
            raise TypeError(f"gradients: expected Tensors, such as layer.output or a weight. Received: {x!r:.80}")
    if symbols := symbolic.symbols_in(losses):
        found = symbolic.gradients(symbols, targets)
        return [g if x.dtype.kind == "f" else None for g, x in zip(found, targets, strict=True)]
    live = [x for x in losses if x.requires_grad]
    seeds = [Tensor(np.ones(x.shape, x.dtype)) for x in live]
    return [*tape.gradients(live, targets, seeds, create_graph=tape.grad_enabled(), retain_graph=True)]


def stop_gradient(variables: Any) -> Any:
    """Take Tensors as constants: no gradient flows back through them.

    Args:
        variables: A Tensor, or a list or tuple of them.

    Returns:
        A Tensor of the same value, or a list of them.
    """
    if isinstance(variables, (list, tuple)):
        return [ops.stop_gradient(x) for x in variables]
    return ops.stop_gradient(variables)


def print_tensor(x: Any, message: str = "") -> Tensor:
    """Print the value of a Tensor, now or whenever a symbolic one is computed.

    Args:
        x: The Tensor.
        message: Printed in front.

    Returns:
        ``x``: what is computed from the result makes a symbolic one print.
    """
    if isinstance(x, SymbolicTensor):
        return symbolic.record(print_tensor, (x, message), {}, [(x.shape, x.dtype)])
    x = as_tensor(x)
    print(f"{message}{np.array2string(x.numpy())}")
    return ops.identity(x)


class Function:
    """What `function` makes: call it with a list of values, get a list of arrays.

    Args:
        inputs: List of symbolic tensors whose values are given at each call.
        outputs: List of Tensors to compute.
        updates: List of pairs (variable, new value), and of functions without arguments as ``Layer.add_update`` takes
            them; carried out after the outputs.
        name: Kept for Keras's signature.

    Raises:
        TypeError: If the inputs, outputs or updates are no lists of such things.
    """

    def __init__(
        self,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        updates: Sequence[Any] | None = None,
        name: str | None = None,
    ) -> None:
        for argument, value in (("inputs", inputs), ("outputs", outputs), ("updates", updates or [])):
            if not isinstance(value, (list, tuple)):
                raise TypeError(f"function: {argument} must be a list or tuple. Received: {value!r:.80}")
        for i, x in enumerate(inputs):
            if not isinstance(x, SymbolicTensor):
                raise TypeError(f"function: inputs[{i}] must be symbolic, such as model.input. Received: {x!r:.80}")
        for i, x in enumerate(outputs):
            if not isinstance(x, Tensor):
                hint = "; the loss doesn't depend on that variable" if x is None else ""
                raise TypeError(f"function: outputs[{i}] must be a Tensor{hint}. Received: {x!r:.80}")
        for i, pair in enumerate(updates or []):
            if callable(pair):
                continue
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise TypeError(
                    f"function: updates[{i}] must be a pair (variable, new value) or a function; an update of known "
                    f"values took place when it was written. Received: {pair!r:.80}"
                )
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.updates = list(updates or [])
        self._pairs = [pair for pair in self.updates if not callable(pair)]
        self.name = name

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """Compute the outputs, then carry out the updates.

        Args:
            inputs: A list with one array per input.

        Returns:
            A list with one array per output (a NumPy scalar where it has no axes).

        Raises:
            TypeError: If it is no list.
            ValueError: If there is another number of values, or one doesn't fit the shape of its input.
        """
        if not isinstance(inputs, (list, tuple)):
            raise TypeError(f"function: call it with a list of values. Received: {type(inputs).__name__}")
        if len(inputs) != len(self.inputs):
            raise ValueError(f"function: it has {count(len(self.inputs), 'input')}. Received: {len(inputs)} values")
        fed = {x: as_array(value, x.dtype) for x, value in zip(self.inputs, inputs, strict=True)}
        wanted = symbolic.symbols_in([*self.outputs, *[value for _, value in self._pairs]])
        phase = fed.get(_phase)
        context = nullcontext() if phase is None else base.call_context(bool(phase), collect=False)
        with tape.no_grad(), without_updates(), context:
            known = dict(zip(wanted, symbolic.evaluate(wanted, fed), strict=True))
        results = [value_of(known.get(x, x)) for x in self.outputs]
        for variable, value in self._pairs:
            set_value(variable, known[value] if isinstance(value, SymbolicTensor) else value)
        for update in self.updates:
            if callable(update):
                update()
        return results


def function(inputs: Any, outputs: Any, updates: Any = None, **kwargs: Any) -> Function:
    """Make a function that computes symbolic tensors.

    Args:
        inputs: List of symbolic inputs: `placeholder`, ``model.input``, `learning_phase`, or any symbolic tensor whose
            value is to be given.
        outputs: List of Tensors computed from them.
        updates: List of pairs (variable, new value), as `update` and ``Optimizer.get_updates`` give them, and of
            functions without arguments; carried out after the outputs. Nothing else is updated, in training neither:
            batch normalization leaves its moving statistics unless ``model.updates`` is among them.
        **kwargs: Only ``name``.

    Returns:
        A `Function`.

    Raises:
        TypeError: If the inputs, outputs or updates are no lists of such things.
        ValueError: For an unknown keyword.

    Example:
        >>> from minikeras import backend as K
        >>> x = K.placeholder((None, 3))
        >>> K.function([x], [x * x, K.gradients(x * x, x)[0]])([[[1, 2, 3]]])
        [array([[1., 4., 9.]], dtype=float32), array([[2., 4., 6.]], dtype=float32)]
    """
    if unknown := kwargs.keys() - {"name"}:
        raise ValueError(f"function: there is no session that takes the argument {min(unknown)!r}; leave it out")
    return Function(inputs, outputs, updates, **kwargs)
