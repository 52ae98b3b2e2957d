"""Dense, and the layers that activate, drop or reshape whatever comes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import activations, checks, constraints, initializers, ops, regularizers
from ..core import random
from ..core.tensor import Parameter, Tensor
from ..core.threads import spread
from .base import Layer
from .measures import ITSELF, Reach, activation_flops, elements, keep_places
from .shapes import InputSpec, Shape, as_shape, as_size
from .spatial import as_data_format, channels_last

_DRAWN_AT_ONCE = 1 << 16  # random words, which stay in cache until they are compared


class Dense(Layer):
    """Densely connected layer: ``activation(x @ kernel + bias)`` over the last axis.

    Args:
        units: Size of the output's last axis.
        activation: Name or function applied to the output; none if None.
        use_bias: Whether a bias is added.
        kernel_initializer: Initializer of the kernel, of shape (channels, units).
        bias_initializer: Initializer of the bias, of shape (units,).
        kernel_regularizer: Penalty on the kernel.
        bias_regularizer: Penalty on the bias.
        activity_regularizer: Penalty on the output.
        kernel_constraint: Applied to the kernel after each update.
        bias_constraint: Applied to the bias after each update.
        **kwargs: Those of `Layer`.

    Input and output: (batch, ..., channels) and (batch, ..., units).

    Raises:
        ValueError: For units that aren't a positive integer; when built, for channels that aren't known.

    Example:
        >>> Dense(10, activation="softmax").compute_output_shape((None, 128))
        (None, 10)
    """

    casts_integers = True
    supports_masking = True
    kernel: Parameter
    bias: Parameter | None

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = as_size(units, self, "units")
        self.activation = self.resolve(activations, "activation", activation)
        self.use_bias = checks.flag(str(self), "use_bias", use_bias)
        self.kernel_initializer = self.resolve(initializers, "kernel_initializer", kernel_initializer)
        self.bias_initializer = self.resolve(initializers, "bias_initializer", bias_initializer)
        self.kernel_regularizer = self.resolve(regularizers, "kernel_regularizer", kernel_regularizer)
        self.bias_regularizer = self.resolve(regularizers, "bias_regularizer", bias_regularizer)
        self.activity_regularizer = self.resolve(regularizers, "activity_regularizer", activity_regularizer)
        self.kernel_constraint = self.resolve(constraints, "kernel_constraint", kernel_constraint)
        self.bias_constraint = self.resolve(constraints, "bias_constraint", bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Shape) -> None:
        """Make the kernel and the bias."""
        channels = input_shape[-1]
        if channels is None:
            raise ValueError(
                f"{self}: the last axis of the input must be known when the weights are made. "
                f"Received: input shape {tuple(input_shape)}"
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: channels})
        self.kernel = self.add_weight(
            "kernel",
            (channels, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias",
                (self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """Multiply by the kernel, add the bias and apply the activation, in one operation where it can."""
        fused = activations.fused_name(self.activation)
        y = ops.dense(inputs, self.kernel, self.bias, activation=fused)
        return y if fused else self.activation(y)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape with ``units`` as its last size."""
        return (*input_shape[:-1], self.units)

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """A multiply-add for each channel, for each output; the bias; the activation."""
        per_output = 2 * (input_shape[-1] or 0) + self.use_bias
        return per_output * elements(output_shape) + activation_flops(self.activation, output_shape)

    def reach(self, input_shape: Shape) -> Reach:
        """All channels are read."""
        last = (len(input_shape) - 2,)
        return keep_places(input_shape, mixed=last, channels=last)


class Activation(Layer):
    """Applies an activation function.

    Args:
        activation: Its name, or a function of a Tensor.
        **kwargs: Those of `Layer`.

    Input and output: any shape, and the same.

    Example:
        >>> Activation("relu")([[-1.0, 2.0]]).tolist()
        [[0.0, 2.0]]
    """

    casts_integers = True
    supports_masking = True

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = self.resolve(activations, "activation", activation)

    def call(self, inputs: Tensor) -> Tensor:
        """Apply the function."""
        return self.activation(inputs)

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """One for each element, five for softmax."""
        return activation_flops(self.activation, output_shape)

    def reach(self, input_shape: Shape) -> Reach:
        """Softmax reads all of the last axis, other functions the element."""
        last = (len(input_shape) - 2,) if self.activation is activations.softmax else ()
        return keep_places(input_shape, mixed=last, channels=last)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return tuple(input_shape)


class Dropout(Layer):
    """In training, sets elements to 0 at random and scales the others so that their expectation stays.

    Each layer draws from a random stream of its own. Outside of training it does nothing. (Srivastava et al. 2014.)

    Args:
        rate: Probability of an element to be dropped, at least 0 and less than 1.
        noise_shape: Shape of the random choice, which is shared along the axes where it has size 1; None in it stands
            for the size of the input. ``(None, 1, None)`` drops whole channels of (batch, steps, channels).
        seed: Seed of the layer's stream; by default one that follows from the seed of the run.
        **kwargs: Those of `Layer`.

    Input and output: any shape, and the same.

    Raises:
        ValueError: For a rate outside of [0, 1); when called, for a noise_shape that doesn't fit the input.

    Example:
        >>> Dropout(0.5, seed=1)([[1.0, 1.0, 1.0, 1.0]], training=True).tolist()
        [[0.0, 2.0, 2.0, 2.0]]
    """

    casts_integers = True
    supports_masking = True
    _keeps_places = True

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rate = checks.number(str(self), "rate", rate, "[0, 1)")
        self.noise_shape = None if noise_shape is None else as_shape(noise_shape, self, "noise_shape")
        self.seed = None if seed is None else as_size(seed, self, "seed", minimum=0)
        self.stream = random.stream(self.seed)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Drop elements if this is training."""
        if not training or self.rate == 0.0:
            return inputs
        return self.drop(inputs, self._draw(self.choice_shape(inputs.shape)))

    def drop(self, x: Tensor, keep: np.ndarray) -> Tensor:
        """Return x, scaled, where ``keep`` is true, and 0 elsewhere."""
        return ops.dropout(x, keep=keep, scale=1.0 / (1.0 - self.rate))

    def choice_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the random choice for an input of this shape: it has the input's sizes, or 1."""
        given = self.noise_shape
        if given is None:
            return shape
        if len(given) != len(shape) or any(n not in (None, 1, size) for n, size in zip(given, shape, strict=True)):
            raise ValueError(
                f"{self}: noise_shape must have a size for each axis of the input: 1, None or that of the axis. "
                f"Received: noise_shape={given}, an input of shape {shape}"
            )
        return tuple(size if n is None else n for n, size in zip(given, shape, strict=True))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return tuple(input_shape)

    def _draw(self, shape: tuple[int, ...]) -> np.ndarray:
        """Which elements of an array of this shape to keep."""
        count = math.prod(shape)
        words = (count + 1) // 2  # two draws from each random word cost half of what floats do
        keep = np.empty(2 * words, bool)
        limit = round(self.rate * 2**32)

        def work(part: slice) -> None:
            # Each thread begins where the part before it ends: the numbers are those of one stream.
            stream = self.stream if part == slice(0, words) else random.ahead(self.stream, part.start)
            for start in range(part.start, part.stop, _DRAWN_AT_ONCE):
                stop = min(start + _DRAWN_AT_ONCE, part.stop)
                drawn = stream.integers(0, 2**64 - 1, stop - start, np.uint64, endpoint=True)
                np.greater_equal(drawn.view(np.uint32), limit, out=keep[2 * start : 2 * stop])

        if len(spread(work, words, count)) > 1:
            random.skip(self.stream, words)
        return keep[:count].reshape(shape)


class ActivityRegularization(Layer):
    """Gives its input back, with a penalty on it: ``sum(l1 * |x| + l2 * x**2)``.

    Args:
        l1: Factor of the sum of absolute values, at least 0.
        l2: Factor of the sum of squares, at least 0.
        **kwargs: Those of `Layer`.

    Input and output: any shape, and the same.

    Raises:
        ValueError: For a negative factor.

    Example:
        >>> ActivityRegularization(l1=0.01)([[1.0, -2.0]]).tolist()
        [[1.0, -2.0]]
    """

    supports_masking = True
    _keeps_places = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.l1 = checks.number(str(self), "l1", l1, "[0, inf)")
        self.l2 = checks.number(str(self), "l2", l2, "[0, inf)")
        self.activity_regularizer = regularizers.L1L2(l1=self.l1, l2=self.l2)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return tuple(input_shape)


# ---------------------------------------------------------------------- shape


class Flatten(Layer):
    """Makes one axis of all but the batch.

    Args:
        data_format: "channels_first" for an input (batch, channels, ...), which is flattened in the order of
            "channels_last" so that weights behind it fit both; ``image_data_format`` if None.
        **kwargs: Those of `Layer`.

    Input and output: (batch, ...) of at least two axes, and (batch, their product).

    Example:
        >>> Flatten().compute_output_shape((None, 4, 4, 32))
        (None, 512)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = as_data_format(data_format, 2, self)
        self.input_spec = InputSpec(min_ndim=2)

    def call(self, inputs: Tensor) -> Tensor:
        """Reshape, the channels last."""
        return ops.reshape(channels_last(inputs, self.data_format), shape=self.compute_output_shape(inputs.shape))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, product of the other sizes)."""
        return (input_shape[0], _product(input_shape[1:]))

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """None are needed."""
        return 0

    def reach(self, input_shape: Shape) -> Reach:
        """The axis is made of all those of the input."""
        return Reach((tuple((axis, ITSELF) for axis in range(len(input_shape) - 1)),))


class Reshape(Layer):
    """Gives each sample another shape.

    Args:
        target_shape: The shape without the batch; one size may be -1 and follows from the others.
        **kwargs: Those of `Layer`.

    Input and output: (batch, ...) and (batch, *target_shape).

    Raises:
        ValueError: For sizes that aren't positive integers; when built or called, if the number of elements differs.

    Example:
        >>> Reshape((-1, 2)).compute_output_shape((None, 3, 4))
        (None, 6, 2)
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = _as_sizes(target_shape, self, "target_shape", minimum=-1)
        if 0 in self.target_shape or self.target_shape.count(-1) > 1:
            raise ValueError(
                f"{self}: target_shape must hold positive integers, and -1 at most once. Received: {target_shape!r}"
            )

    def build(self, input_shape: Shape) -> None:
        """Refuse an input that doesn't fit."""
        self.compute_output_shape(input_shape)
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """Reshape."""
        return ops.reshape(inputs, shape=self.compute_output_shape(inputs.shape))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, *target_shape) with the size that -1 stands for, if it is known."""
        elements = _product(input_shape[1:])
        given = math.prod(size for size in self.target_shape if size != -1)
        rest: int | None = None
        if elements is not None:
            rest = elements // given
            if rest * given != elements or (rest != 1 and -1 not in self.target_shape):
                raise ValueError(
                    f"{self}: a sample of shape {tuple(input_shape[1:])} has {elements} elements, which don't fit "
                    f"target_shape. Received: target_shape={self.target_shape}"
                )
        return (input_shape[0], *(rest if size == -1 else size for size in self.target_shape))

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """None are needed."""
        return 0

    def reach(self, input_shape: Shape) -> Reach | None:
        """Known of axes that are kept, axes of size 1 that come or go, and one axis made of all."""
        axes = range(len(input_shape) - 1)
        if len(self.target_shape) == 1:
            return Reach((tuple((axis, ITSELF) for axis in axes),))
        target = self.compute_output_shape(input_shape)[1:]
        kept = [axis for axis in axes if input_shape[axis + 1] != 1]
        if [input_shape[axis + 1] for axis in kept] != [size for size in target if size != 1]:
            return None
        sources = iter(kept)
        return Reach(tuple(((next(sources), ITSELF),) if size != 1 else () for size in target))


class Permute(Layer):
    """Puts the axes of each sample in another order.

    Args:
        dims: The axes in their new order, counted from 1; the batch stays where it is.
        **kwargs: Those of `Layer`.

    Input and output: (batch, ...) of ``1 + len(dims)`` axes, and the same in the new order.

    Raises:
        ValueError: For anything but each of the axes once.

    Example:
        >>> Permute((2, 1)).compute_output_shape((None, 10, 64))
        (None, 64, 10)
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = _as_sizes(dims, self, "dims")
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"{self}: dims must hold each axis from 1 to {len(self.dims)} once; the batch, axis 0, stays. "
                f"Received: {dims!r}"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Tensor) -> Tensor:
        """Transpose."""
        return ops.transpose(inputs, axes=(0, *self.dims))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the sizes in their new order."""
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """None are needed."""
        return 0

    def reach(self, input_shape: Shape) -> Reach:
        """The axes in their new order."""
        return Reach(tuple(((axis - 1, ITSELF),) for axis in self.dims))


class RepeatVector(Layer):
    """Repeats each sample along a new axis.

    Args:
        n: How often.
        **kwargs: Those of `Layer`.

    Input and output: (batch, channels) and (batch, n, channels).

    Raises:
        ValueError: Unless n is a positive integer.

    Example:
        >>> RepeatVector(3).compute_output_shape((None, 32))
        (None, 3, 32)
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = as_size(n, self, "n")
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Tensor) -> Tensor:
        """Repeat."""
        return ops.repeat(ops.expand_dims(inputs, axis=1), repeats=self.n, axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, n, channels)."""
        return (input_shape[0], self.n, input_shape[1])

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """None are needed."""
        return 0

    def reach(self, input_shape: Shape) -> Reach:
        """The channels behind a new axis."""
        return Reach(((), ((0, ITSELF),)))


def _product(sizes: Sequence[int | None]) -> int | None:
    """The product, None if a size isn't known."""
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None


def _as_sizes(value: Any, owner: Layer, argument: str, minimum: int = 1) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list)):
        raise ValueError(f"{owner}: {argument} must be a tuple of integers. Received: {value!r}")
    return tuple(as_size(size, owner, f"each size of {argument}", minimum) for size in value)
