"""Layers of several inputs that give one output, and the functions that make such a layer and call it at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, ClassVar

from .. import checks, ops
from ..core import config
from ..core.tensor import Tensor
from .activation import as_axis
from .base import Layer
from .measures import ITSELF, Reach, elements, keep_places
from .shapes import Shape, count, is_shape


class Merge(Layer):
    """Base of the layers that take a list of inputs.

    A subclass writes `merge` and `merged_shape`.

    Args:
        **kwargs: Those of `Layer`.
    """

    casts_integers = True
    supports_masking = True

    def merge(self, tensors: list[Tensor]) -> Tensor:
        """Return one Tensor of the inputs, whose shapes have been checked."""
        raise NotImplementedError(f"{type(self).__name__} must write merge(self, tensors)")

    def merged_shape(self, shapes: list[Shape]) -> Shape:
        """Return the output's shape; raise ValueError for shapes that don't fit each other."""
        raise NotImplementedError(f"{type(self).__name__} must write merged_shape(self, shapes)")

    def build(self, input_shape: Sequence[Shape]) -> None:
        """Refuse inputs that don't fit each other."""
        self.compute_output_shape(input_shape)
        super().build(input_shape)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Merge the inputs."""
        self.compute_output_shape([x.shape for x in inputs])  # sizes that were free when the layer was built
        return self.merge(list(inputs))

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        """Return the output's shape for the list of the inputs' shapes."""
        if is_shape(input_shape) or len(input_shape) < 2:
            raise ValueError(f"{self}: it must be called on a list of at least 2 inputs. Received: {_of(input_shape)}")
        shapes = [tuple(shape) for shape in input_shape]
        if len({shape[0] for shape in shapes if shape and shape[0] is not None}) > 1:
            raise ValueError(f"{self}: the inputs must have one batch size. Received: {_of(shapes)}")
        return self.merged_shape(shapes)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Tensor | None:
        """Return where the masks of all inputs are true; an input without one counts as true everywhere."""
        masks = [] if mask is None else [m for m in mask if m is not None]
        return reduce(ops.logical_and, masks) if masks else None


class ElementwiseMerge(Merge):
    """Base of the layers that merge element by element.

    Sizes of 1 are stretched. An input of fewer axes gets axes of size 1 behind the batch.

    Args:
        **kwargs: Those of `Layer`.
    """

    combine: ClassVar[Callable[..., Tensor]]  # of two inputs; more are combined from left to right

    def merge(self, tensors: list[Tensor]) -> Tensor:
        """Combine all, from left to right."""
        return reduce(type(self).combine, _of_one_rank(tensors))

    def merged_shape(self, shapes: list[Shape]) -> Shape:
        """Return the shape that all of them are stretched to; None where a size isn't known."""
        rank = max(len(shape) for shape in shapes)
        padded = [(shape[0], *(1,) * (rank - len(shape)), *shape[1:]) for shape in shapes]
        merged: list[int | None] = [_common([shape[0] for shape in shapes])]
        for sizes in list(zip(*padded, strict=True))[1:]:
            stretched = {size for size in sizes if size != 1}
            if len(stretched - {None}) > 1:
                raise ValueError(
                    f"{self}: the inputs must have the same sizes, or 1 where one is stretched. Received: {_of(shapes)}"
                )
            merged.append(None if None in stretched else next(iter(stretched), 1))
        return tuple(merged)

    def flops(self, input_shape: Sequence[Shape], output_shape: Shape) -> int:
        """One for each element and each input but the first."""
        return (len(input_shape) - 1) * elements(output_shape)

    def reach(self, input_shape: Sequence[Shape]) -> list[Reach]:
        """The element at its place; all of an axis that is stretched."""
        merged = self.compute_output_shape(input_shape)
        found = []
        for shape in input_shape:
            further = len(merged) - len(shape)
            kept = [(((axis - 1, ITSELF),) if shape[axis] != 1 else ()) for axis in range(1, len(shape))]
            found.append(Reach((*[()] * further, *kept)))
        return found


class Add(ElementwiseMerge):
    """Sum of the inputs.

    Args:
        **kwargs: Those of `Layer`.

    Inputs and output: a list of tensors of one shape, and the same; see `ElementwiseMerge` for what is stretched.

    Raises:
        ValueError: When built or called, for fewer than two inputs or shapes that don't fit each other.

    Example:
        >>> Add()([Tensor([[1.0, 2.0]]), Tensor([[3.0, 4.0]])]).tolist()
        [[4.0, 6.0]]
    """

    combine = staticmethod(ops.add)


class Subtract(ElementwiseMerge):
    """The first input minus the second.

    Args:
        **kwargs: Those of `Layer`.

    Inputs and output: a list of two tensors of one shape, and the same; see `ElementwiseMerge` for what is stretched.

    Raises:
        ValueError: When built or called, for other than two inputs or shapes that don't fit each other.

    Example:
        >>> Subtract()([Tensor([[1.0, 2.0]]), Tensor([[3.0, 3.0]])]).tolist()
        [[-2.0, -1.0]]
    """

    combine = staticmethod(ops.subtract)

    def merged_shape(self, shapes: list[Shape]) -> Shape:
        """Return the shape that both are stretched to."""
        _expect_two(shapes, self)
        return super().merged_shape(shapes)


class Multiply(ElementwiseMerge):
    """Product of the inputs, element by element.

    Args:
        **kwargs: Those of `Layer`.

    Inputs and output: a list of tensors of one shape, and the same; see `ElementwiseMerge` for what is stretched.

    Raises:
        ValueError: When built or called, for fewer than two inputs or shapes that don't fit each other.

    Example:
        >>> Multiply()([Tensor([[1.0, 2.0]]), Tensor([[3.0, 4.0]])]).tolist()
        [[3.0, 8.0]]
    """

    combine = staticmethod(ops.multiply)


class Average(ElementwiseMerge):
    """Mean of the inputs.

    Args:
        **kwargs: Those of `Layer`.

    Inputs and output: a list of tensors of one shape, and the same; see `ElementwiseMerge` for what is stretched.

    Raises:
        ValueError: When built or called, for fewer than two inputs or shapes that don't fit each other.

    Example:
        >>> Average()([Tensor([[1.0, 2.0]]), Tensor([[3.0, 4.0]])]).tolist()
        [[2.0, 3.0]]
    """

    combine = staticmethod(ops.add)

    def merge(self, tensors: list[Tensor]) -> Tensor:
        """Divide the sum by the number of inputs."""
        return super().merge(tensors) / len(tensors)

    def flops(self, input_shape: Sequence[Shape], output_shape: Shape) -> int:
        """The sum, and a division for each element."""
        return len(input_shape) * elements(output_shape)


class Maximum(ElementwiseMerge):
    """Largest of the inputs, element by element; among equals the first gets the gradient.

    Args:
        **kwargs: Those of `Layer`.

    Inputs and output: a list of tensors of one shape, and the same; see `ElementwiseMerge` for what is stretched.

    Raises:
        ValueError: When built or called, for fewer than two inputs or shapes that don't fit each other.

    Example:
        >>> Maximum()([Tensor([[1.0, 4.0]]), Tensor([[3.0, 2.0]])]).tolist()
        [[3.0, 4.0]]
    """

    combine = staticmethod(ops.maximum)


class Minimum(ElementwiseMerge):
    """Smallest of the inputs, element by element; among equals the first gets the gradient.

    Args:
        **kwargs: Those of `Layer`.

    Inputs and output: a list of tensors of one shape, and the same; see `ElementwiseMerge` for what is stretched.

    Raises:
        ValueError: When built or called, for fewer than two inputs or shapes that don't fit each other.

    Example:
        >>> Minimum()([Tensor([[1.0, 4.0]]), Tensor([[3.0, 2.0]])]).tolist()
        [[1.0, 2.0]]
    """

    combine = staticmethod(ops.minimum)


class Concatenate(Merge):
    """The inputs one behind the other, along one axis.

    Args:
        axis: The axis; not the batch.
        **kwargs: Those of `Layer`.

    Inputs and output: a list of tensors of one shape but for the axis, and that shape with the sum of the sizes there.

    Raises:
        ValueError: For an axis that isn't an integer or is the batch; when built or called, for fewer than two inputs,
            shapes that don't fit each other or don't have the axis.

    Example:
        >>> Concatenate()([Tensor([[1.0, 2.0]]), Tensor([[3.0]])]).tolist()
        [[1.0, 2.0, 3.0]]
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = as_axis(axis, self)

    def merge(self, tensors: list[Tensor]) -> Tensor:
        """Join the inputs."""
        return ops.concatenate(tensors, axis=self.axis)

    def merged_shape(self, shapes: list[Shape]) -> Shape:
        """Return the first shape with the sum of the sizes along the axis."""
        first, ranks = shapes[0], {len(shape) for shape in shapes}
        if len(ranks) > 1 or not -len(first) < self.axis < len(first):
            raise ValueError(
                f"{self}: the inputs must have one number of axes, and axis {self.axis}. Received: {_of(shapes)}"
            )
        axis = self.axis % len(first)
        merged = [_common(sizes) for sizes in zip(*shapes, strict=True)]
        along = [shape[axis] for shape in shapes]
        merged[axis] = None if None in along else sum(along)  # type: ignore[arg-type]  # no None among them
        for shape in shapes:
            if any(i != axis and size not in (None, merged[i]) for i, size in enumerate(shape)):
                raise ValueError(
                    f"{self}: the inputs must have the same sizes but for axis {axis}. Received: {_of(shapes)}"
                )
        return tuple(merged)

    def flops(self, input_shape: Sequence[Shape], output_shape: Shape) -> int:
        """None are needed."""
        return 0

    def reach(self, input_shape: Sequence[Shape]) -> list[Reach]:
        """All axes but the one are kept."""
        rank = len(input_shape[0]) - 1
        axis = self.axis % (rank + 1) - 1
        is_channels = axis == rank - 1 or (axis == 0 and rank > 2 and config.image_data_format() == "channels_first")
        return [keep_places(shape, [axis], [axis] if is_channels else []) for shape in input_shape]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Tensor | None:
        """Return the masks one behind the other or, joined along an axis that masks don't have, where all are true."""
        given = [] if mask is None else [m for m in mask if m is not None]
        if not given:
            return None
        ndim = given[0].ndim
        if self.axis % inputs[0].ndim >= ndim:
            return super().compute_mask(inputs, mask)
        masks = [_everywhere(x, ndim) if m is None else m for x, m in zip(inputs, mask, strict=True)]
        return ops.concatenate(masks, axis=self.axis % inputs[0].ndim)


class Dot(Merge):
    """Sums of products of two inputs along one axis of each, sample by sample.

    Args:
        axes: The axis of both, or a pair: that of the first and that of the second. Not the batch.
        normalize: Whether both are divided by their Euclidean norm along the axis first, which gives the cosine.
        **kwargs: Those of `Layer`.

    Inputs and output: (batch, ...) and (batch, ...), and (batch, other axes of the first, other axes of the second);
    (batch, 1) if there are none.

    Raises:
        ValueError: For axes of another form; when built or called, for other than two inputs, or sizes along the axes
            that differ.

    Example:
        >>> Dot(axes=1)([Tensor([[1.0, 2.0]]), Tensor([[3.0, 4.0]])]).tolist()
        [[11.0]]
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axes = self._checked(axes)
        self.normalize = checks.flag(str(self), "normalize", normalize)

    def merge(self, tensors: list[Tensor]) -> Tensor:
        """Multiply matrices (free, axis) and (axis, free) for each sample."""
        shape = self.merged_shape([x.shape for x in tensors])
        first, second = self._axes_of([x.shape for x in tensors])
        x = ops.moveaxis(tensors[0], first, -1)
        y = ops.moveaxis(tensors[1], second, 1)
        if self.normalize:
            x, y = ops.l2_normalize(x, axis=-1), ops.l2_normalize(y, axis=1)
        batch, length = x.shape[0], x.shape[-1]
        rows = ops.reshape(x, shape=(batch, math.prod(x.shape[1:-1]), length))
        columns = ops.reshape(y, shape=(batch, length, math.prod(y.shape[2:])))
        return ops.reshape(ops.matmul(rows, columns), shape=shape)

    def merged_shape(self, shapes: list[Shape]) -> Shape:
        """Return (batch, other axes of the first, other axes of the second)."""
        _expect_two(shapes, self)
        first, second = self._axes_of(shapes)
        one, other = shapes[0][first], shapes[1][second]
        if None not in (one, other) and one != other:
            raise ValueError(
                f"{self}: axis {first} of the first input and axis {second} of the second must have one size, and "
                f"have {one} and {other}. Received: {_of(shapes)}"
            )
        batch = _common([shape[0] for shape in shapes])
        free = (*shapes[0][1:first], *shapes[0][first + 1 :], *shapes[1][1:second], *shapes[1][second + 1 :])
        return (batch, *(free or (1,)))

    def flops(self, input_shape: Sequence[Shape], output_shape: Shape) -> int:
        """A multiply-add for each product; to normalise, one and a division for each element, and the norms' roots."""
        first = self._axes_of(list(input_shape))
        found = 2 * (input_shape[0][first[0]] or 0) * elements(output_shape)
        if self.normalize:
            sizes = [(elements(shape), shape[axis] or 1) for shape, axis in zip(input_shape, first, strict=True)]
            found += sum(3 * size + size // length for size, length in sizes)
        return found

    def reach(self, input_shape: Sequence[Shape]) -> list[Reach]:
        """All other axes are kept; they stand where `merged_shape` has them."""
        shapes = [tuple(shape) for shape in input_shape]
        kept = [
            [((axis - 1, ITSELF),) for axis in range(1, len(shape)) if axis != along]
            for shape, along in zip(shapes, self._axes_of(shapes), strict=True)
        ]
        first, second = kept
        if not first and not second:
            return [Reach(((),))] * 2
        return [Reach((*first, *[()] * len(second))), Reach((*[()] * len(first), *second))]

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return None: a product over an axis leaves nothing to be masked."""

    def _checked(self, axes: Any) -> int | tuple[int, int]:
        if not isinstance(axes, (tuple, list)):
            return as_axis(axes, self, "axes")
        if len(axes) != 2:
            raise ValueError(f"{self}: axes must be an integer or a pair of them. Received: {axes!r}")
        return as_axis(axes[0], self, "each of axes"), as_axis(axes[1], self, "each of axes")

    def _axes_of(self, shapes: list[Shape]) -> tuple[int, int]:
        """The two axes, counted from the front."""
        first, second = self.axes if isinstance(self.axes, tuple) else (self.axes, self.axes)
        for axis, shape in ((first, shapes[0]), (second, shapes[1])):
            if not -len(shape) < axis < len(shape):
                raise ValueError(f"{self}: an input has no axis {axis} besides the batch. Received: {_of(shapes)}")
        return first % len(shapes[0]), second % len(shapes[1])


# ---------------------------------------------------------------------- functions


def add(inputs: Sequence[Any], **kwargs: Any) -> Tensor:
    """Return the sum of the inputs; see `Add`.

    Args:
        inputs: A list of at least two tensors.
        **kwargs: Those of the layer.

    Example:
        >>> add([Tensor([[1.0]]), Tensor([[2.0]])]).tolist()
        [[3.0]]
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Tensor:
    """Return the first input minus the second; see `Subtract`.

    Args:
        inputs: A list of two tensors.
        **kwargs: Those of the layer.

    Example:
        >>> subtract([Tensor([[1.0]]), Tensor([[2.0]])]).tolist()
        [[-1.0]]
    """
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Tensor:
    """Return the product of the inputs, element by element; see `Multiply`.

    Args:
        inputs: A list of at least two tensors.
        **kwargs: Those of the layer.

    Example:
        >>> multiply([Tensor([[3.0]]), Tensor([[2.0]])]).tolist()
        [[6.0]]
    """
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Tensor:
    """Return the mean of the inputs; see `Average`.

    Args:
        inputs: A list of at least two tensors.
        **kwargs: Those of the layer.

    Example:
        >>> average([Tensor([[1.0]]), Tensor([[2.0]])]).tolist()
        [[1.5]]
    """
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Tensor:
    """Return the largest of the inputs, element by element; see `Maximum`.

    Args:
        inputs: A list of at least two tensors.
        **kwargs: Those of the layer.

    Example:
        >>> maximum([Tensor([[1.0]]), Tensor([[2.0]])]).tolist()
        [[2.0]]
    """
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Tensor:
    """Return the smallest of the inputs, element by element; see `Minimum`.

    Args:
        inputs: A list of at least two tensors.
        **kwargs: Those of the layer.

    Example:
        >>> minimum([Tensor([[1.0]]), Tensor([[2.0]])]).tolist()
        [[1.0]]
    """
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Tensor:
    """Return the inputs one behind the other; see `Concatenate`.

    Args:
        inputs: A list of at least two tensors.
        axis: The axis along which they are joined.
        **kwargs: Those of the layer.

    Example:
        >>> concatenate([Tensor([[1.0]]), Tensor([[2.0]])]).tolist()
        [[1.0, 2.0]]
    """
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> Tensor:
    """Return the sums of products of two inputs, sample by sample; see `Dot`.

    Args:
        inputs: A list of two tensors.
        axes: The axis of both, or that of the first and that of the second.
        normalize: Whether both are divided by their norm along the axis first.
        **kwargs: Those of the layer.

    Example:
        >>> dot([Tensor([[3.0, 1.0]]), Tensor([[2.0, 2.0]])], axes=-1).tolist()
        [[8.0]]
    """
    return Dot(axes=axes, normalize=normalize, **kwargs)(inputs)


# ---------------------------------------------------------------------- helpers


def _of_one_rank(tensors: list[Tensor]) -> list[Tensor]:
    """The tensors with axes of size 1 behind the batch where others have more axes."""
    rank = max(x.ndim for x in tensors)
    return [ops.expand_dims(x, axis=tuple(range(1, 1 + rank - x.ndim))) if x.ndim < rank else x for x in tensors]


def _everywhere(x: Tensor, ndim: int) -> Tensor:
    """A mask over the first axes that is true everywhere, of an input whose sizes may be free."""
    return ops.all(ops.less_equal(ops.isnan(x), True), axis=tuple(range(ndim, x.ndim)))


def _common(sizes: Sequence[int | None]) -> int | None:
    """The size that all of those that are known have."""
    return next((size for size in sizes if size is not None), None)


def _expect_two(shapes: list[Shape], owner: Layer) -> None:
    if len(shapes) != 2:
        raise ValueError(f"{owner}: it must be called on 2 inputs. Received: {_of(shapes)}")


def _of(shapes: Any) -> str:
    """The shapes of some inputs, for messages."""
    if is_shape(shapes):
        return f"one input of shape {tuple(shapes)}" if len(shapes) else "no inputs"
    return f"{count(len(shapes), 'input')} of shapes {', '.join(str(tuple(shape)) for shape in shapes)}"
