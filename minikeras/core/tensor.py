"""Tensor and Parameter: an ndarray that remembers how it was computed."""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from . import config, tape
from .hooks import Handle, Hooks


class _Operations:
    """The operations that Tensor's methods call; ``minikeras.ops`` fills each of them when it is imported.

    They are declared here, so that core imports nothing from ops, and typed, so that a missing one is found.
    """

    add: Callable[..., Tensor]
    subtract: Callable[..., Tensor]
    multiply: Callable[..., Tensor]
    divide: Callable[..., Tensor]
    floor_divide: Callable[..., Tensor]
    remainder: Callable[..., Tensor]
    power: Callable[..., Tensor]
    negative: Callable[..., Tensor]
    absolute: Callable[..., Tensor]
    matmul: Callable[..., Tensor]
    equal: Callable[..., Tensor]
    not_equal: Callable[..., Tensor]
    greater: Callable[..., Tensor]
    greater_equal: Callable[..., Tensor]
    less: Callable[..., Tensor]
    less_equal: Callable[..., Tensor]
    logical_not: Callable[..., Tensor]
    logical_and: Callable[..., Tensor]
    logical_or: Callable[..., Tensor]
    getitem: Callable[..., Tensor]
    sum: Callable[..., Tensor]
    mean: Callable[..., Tensor]
    prod: Callable[..., Tensor]
    max: Callable[..., Tensor]
    min: Callable[..., Tensor]
    var: Callable[..., Tensor]
    std: Callable[..., Tensor]
    argmax: Callable[..., Tensor]
    argmin: Callable[..., Tensor]
    any: Callable[..., Tensor]
    all: Callable[..., Tensor]
    reshape: Callable[..., Tensor]
    transpose: Callable[..., Tensor]
    squeeze: Callable[..., Tensor]
    clip: Callable[..., Tensor]
    cast: Callable[..., Tensor]
    sum_to: Callable[..., Tensor]
    identity: Callable[..., Tensor]
    stack: Callable[..., Tensor]
    record: Callable[..., Any]
    array_ufunc: Callable[..., Any]
    array_function: Callable[..., Any]


operations = _Operations()


class Tensor:
    """An array with a gradient.

    Args:
        data: ndarray (shared, not copied), Tensor (its values, shared, off its tape), number or nested list of
            numbers. Python floats become ``floatx``; arrays keep their dtype.
        requires_grad: record operations on this Tensor, so that gradients with respect to it can be computed.
        dtype: convert to this dtype.

    Attributes:
        data: the values, an ndarray.
        grad: after ``backward()`` the accumulated gradient (a Tensor), or None.
        requires_grad: whether a gradient flows here: set by the user on leaves, true for what is computed from them.
        mask: which entries along the first axes count, a Tensor of booleans, or None; layers carry it on, operations
            don't.

    Raises:
        TypeError: ``data`` is not numeric, or ``requires_grad`` is asked for of an integer array.

    Example::

        x = Tensor([1.0, 2.0], requires_grad=True)
        (x * x).sum().backward()
        x.grad  # Tensor([2., 4.])
    """

    __slots__ = ("__weakref__", "_hooks", "_version", "data", "grad", "index", "mask", "node", "requires_grad")

    symbolic = False
    data: np.ndarray
    grad: Tensor | None
    node: tape.Node | None
    mask: Tensor | None
    _hooks: Hooks | None  # of a leaf, from the first hook on
    _version: list[int]

    def __init__(self, data: Any, requires_grad: bool = False, dtype: Any = None) -> None:
        # Counts the updates in place; Tensors made of one another share it with the memory.
        self._version = [0]
        array = data
        if type(data) is not np.ndarray or dtype is not None or data.dtype.kind not in "fiub":
            array = as_array(data, dtype, floating=requires_grad)
            if isinstance(data, Tensor) and data.data is array:
                self._version = data._version
        if requires_grad and array.dtype.kind != "f":
            raise TypeError(
                f"Tensor: requires_grad needs a floating-point dtype, as only real numbers have gradients. "
                f"Received: dtype {array.dtype}"
            )
        self.data = array
        self.grad = None
        self.requires_grad = requires_grad
        self.node = None
        self.index = 0
        self.mask = None
        self._hooks = None

    # ------------------------------------------------------------------ description

    @property
    def shape(self) -> tuple[Any, ...]:
        """Tuple of ints."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        """NumPy dtype."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.data.size

    @property
    def T(self) -> Tensor:
        """All axes reversed."""
        return operations.transpose(self)

    @property
    def version(self) -> int:
        """How often the values were changed in place by :meth:`assign` or an optimizer."""
        return self._version[0]

    def __repr__(self) -> str:
        text = np.array2string(self.data, separator=", ", prefix=type(self).__name__ + "(", threshold=100)
        details = "" if self.data.dtype == np.float32 else f", dtype={self.data.dtype}"
        if self.node is not None:
            details += f", from={self.node.operation.name}"
        elif self.requires_grad:
            details += ", requires_grad=True"
        return f"{type(self).__name__}({text}{details})"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a Tensor without axes")
        return self.shape[0]

    def __bool__(self) -> bool:
        return bool(self._only_element("bool()"))

    def __float__(self) -> float:
        return float(self._only_element("float()"))

    def __int__(self) -> int:
        return int(self._only_element("int()"))

    def __index__(self) -> int:
        return operator.index(self._only_element("an index"))

    def __format__(self, spec: str) -> str:
        return format(self.item() if spec and self.size == 1 else str(self), spec)

    __hash__ = object.__hash__

    def _only_element(self, use: str) -> Any:
        if self.data.size != 1:
            raise ValueError(f"Tensor: {use} needs exactly one element. Received: shape {self.shape}")
        return self.data.item()

    # ------------------------------------------------------------------ values

    def numpy(self) -> np.ndarray:
        """The values as an ndarray (the memory is shared; off the tape)."""
        return self.data

    def item(self) -> Any:
        """The only element as a Python number. Raises ValueError if there are several."""
        return self._only_element("item()")

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self.data.tolist()

    def detach(self) -> Tensor:
        """The same memory as a Tensor that is not on the tape."""
        return Tensor(self)

    def assign(self, value: Any) -> Tensor:
        """Replace the values in place (shape and dtype stay) and raise the version.

        Backward through an operation that saved the old values refuses to run. Returns self.

        Raises:
            RuntimeError: this Tensor is the result of a recorded operation.
            ValueError: ``value`` has another shape.
        """
        if self.node is not None:
            raise RuntimeError(
                f"assign: this Tensor is the result of '{self.node.operation.name}' on the tape and can't be changed "
                "in place. Assign to a leaf, or to its detach()."
            )
        value = value.data if isinstance(value, Tensor) else np.asarray(value)
        if value.shape != self.shape:
            raise ValueError(f"assign: expected an array of shape {self.shape}. Received: shape {value.shape}")
        self.data[...] = value
        self.mark_changed()
        return self

    def mark_changed(self) -> None:
        """Raise the version: call it after writing into ``.data`` by hand."""
        self._version[0] += 1

    # ------------------------------------------------------------------ gradients

    def backward(self, grad: Any = None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add the gradient of this Tensor with respect to every leaf it was computed from to the leaf's ``.grad``.

        Args:
            grad: the cotangent, of this Tensor's shape; may be left out when there is one element.
            retain_graph: keep the tape for another backward.
            create_graph: record the computation of the gradients, so that they can be differentiated again
                (implies ``retain_graph``). A leaf then holds a gradient whose tape holds the leaf: set its ``.grad`` to
                None after use, or the garbage collector has to find them; `gradients` makes no such cycle.

        Raises:
            RuntimeError: this Tensor is not on the tape, the tape was freed by an earlier backward, or a saved
                array was changed in place since.
            ValueError: ``grad`` is missing or has the wrong shape.
        """
        tape.backward(self, grad, retain_graph or create_graph, create_graph)

    def register_hook(self, hook: Callable[[Tensor], Any]) -> Handle:
        """Call a function with the gradient that arrives at this Tensor, each time that one does.

        It runs once for each walk over the tape, after the contributions of all uses were added up; several hooks run
        in the order they came. It must not write into the gradient, whose memory may be shared.

        Args:
            hook: takes the gradient (a Tensor of this one's shape; on the tape under ``create_graph``), returns None to
                leave it as it is, or a Tensor or array that replaces it from here on.

        Returns:
            A handle: its ``remove()``, or leaving a ``with`` block that it opened, takes the hook away.

        Raises:
            TypeError: ``hook`` is not callable.
            RuntimeError: no gradient flows to this Tensor.

        Example::

            x = Tensor([1.0, 2.0], requires_grad=True)
            y = x * x
            y.register_hook(lambda g: -g)  # gradient reversal, Ganin and Lempitsky 2015
            y.sum().backward()
            x.grad  # Tensor([-2., -4.])
        """
        if not callable(hook):
            raise TypeError(f"register_hook: expected a function of the gradient. Received: {hook!r:.80}")
        self._require_gradient("register_hook")
        return Handle(tape.hooks_at(self), hook)

    def retain_grad(self) -> None:
        """Have ``backward()`` keep the gradient of this intermediate result in ``.grad``, as leaves have it anyway.

        Raises:
            RuntimeError: no gradient flows to this Tensor.
        """
        self._require_gradient("retain_grad")
        if self.node is not None:
            tape.hooks_at(self).keeper = weakref.ref(self)

    def _require_gradient(self, use: str) -> None:
        if not self.requires_grad:
            raise RuntimeError(f"{use}: no gradient flows to a Tensor that doesn't require one. Received: {self!r}")

    def as_cotangent(self, value: Any = None) -> Tensor:
        """``value`` as a cotangent of this Tensor: its shape and dtype checked; ones if None and one element."""
        if value is None:
            if self.size != 1:
                raise ValueError(
                    "backward: a gradient must be given for an output with more than one element; sum it to a scalar "
                    f"or pass grad. Received: an output of shape {self.shape}"
                )
            return Tensor(np.ones(self.shape, self.dtype))
        if not isinstance(value, Tensor):
            value = Tensor(value, dtype=self.dtype)
        if value.shape != self.shape:
            raise ValueError(
                f"backward: the gradient must have the output's shape {self.shape}. Received: {value.shape}"
            )
        return value if value.dtype == self.dtype else operations.cast(value, dtype=self.dtype)

    # ------------------------------------------------------------------ operators

    def __add__(self, other: Any) -> Tensor:
        return operations.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return operations.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return operations.subtract(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return operations.subtract(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return operations.multiply(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return operations.multiply(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return operations.divide(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return operations.divide(other, self)

    def __floordiv__(self, other: Any) -> Tensor:
        return operations.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return operations.floor_divide(other, self)

    def __mod__(self, other: Any) -> Tensor:
        return operations.remainder(self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return operations.remainder(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return operations.power(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return operations.power(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return operations.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return operations.matmul(other, self)

    def __neg__(self) -> Tensor:
        return operations.negative(self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return operations.absolute(self)

    def __invert__(self) -> Tensor:
        return operations.logical_not(self)

    def __and__(self, other: Any) -> Tensor:
        return operations.logical_and(self, other)

    def __or__(self, other: Any) -> Tensor:
        return operations.logical_or(self, other)

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]  # elementwise, as ndarray's
        return operations.equal(self, other)

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return operations.not_equal(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return operations.greater(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return operations.greater_equal(self, other)

    def __lt__(self, other: Any) -> Tensor:
        return operations.less(self, other)

    def __le__(self, other: Any) -> Tensor:
        return operations.less_equal(self, other)

    def __getitem__(self, index: Any) -> Tensor:
        return operations.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "Tensors can't be changed by t[i] = v, as the tape could not follow it: build the new values with "
            "ops.where(mask, new, old), or replace all values of a leaf by t.assign(array)"
        )

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    # ------------------------------------------------------------------ methods in NumPy's names

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Sum over ``axis`` (int, tuple of ints, or None for all)."""
        return operations.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Mean over ``axis``."""
        return operations.mean(self, axis=axis, keepdims=keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Product over ``axis``."""
        return operations.prod(self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Maximum over ``axis``; tied maxima share the gradient evenly."""
        return operations.max(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Minimum over ``axis``; tied minima share the gradient evenly."""
        return operations.min(self, axis=axis, keepdims=keepdims)

    def var(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Variance (divided by N) over ``axis``."""
        return operations.var(self, axis=axis, keepdims=keepdims)

    def std(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Standard deviation (of the variance divided by N) over ``axis``."""
        return operations.std(self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None) -> Tensor:
        """Index of the first maximum along ``axis`` (integers; no gradient)."""
        return operations.argmax(self, axis=axis)

    def argmin(self, axis: int | None = None) -> Tensor:
        """Index of the first minimum along ``axis`` (integers; no gradient)."""
        return operations.argmin(self, axis=axis)

    def any(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Whether any element over ``axis`` is true (bool; no gradient)."""
        return operations.any(self, axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Whether all elements over ``axis`` are true (bool; no gradient)."""
        return operations.all(self, axis=axis, keepdims=keepdims)

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape, given as a tuple or as separate ints; one may be -1."""
        return operations.reshape(self, shape=_unpacked(shape))

    def transpose(self, *axes: Any) -> Tensor:
        """Axes in another order, given as a tuple or as separate ints; reversed if none is given."""
        return operations.transpose(self, axes=_unpacked(axes) if axes else None)

    def squeeze(self, axis: Any = None) -> Tensor:
        """Without the axes of length one (all of them, or those in ``axis``)."""
        return operations.squeeze(self, axis)

    def flatten(self) -> Tensor:
        """All elements in one axis."""
        return operations.reshape(self, (-1,))

    def clip(self, low: Any, high: Any) -> Tensor:
        """Values limited to the interval from ``low`` to ``high``."""
        return operations.clip(self, low, high)

    def astype(self, dtype: Any) -> Tensor:
        """Converted to another dtype."""
        return operations.cast(self, dtype=dtype)

    # ------------------------------------------------------------------ NumPy interoperation

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.requires_grad:
            raise TypeError(
                "NumPy was given a Tensor that is on the tape, where its gradient would be lost silently: use "
                ".numpy() or .detach() to leave the tape, or the function of minikeras.ops to stay on it"
            )
        if dtype is None:
            return self.data.copy() if copy else self.data
        return np.array(self.data, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        return operations.array_ufunc(ufunc, method, inputs, keywords)

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        return operations.array_function(function, args, keywords)

    # ------------------------------------------------------------------ copying

    def __reduce__(self) -> tuple[Any, ...]:
        self._require_leaf("pickle")
        return _restore, (type(self), self._state())

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        self._require_leaf("copy")
        state = self._state()
        return _restore(type(self), {**state, "data": state["data"].copy()})

    def _require_leaf(self, use: str) -> None:
        if self.node is not None:
            raise RuntimeError(f"Tensor: can't {use} a Tensor on the tape, its history can't come along; use detach()")

    def _state(self) -> dict[str, Any]:
        return {"data": self.data, "requires_grad": self.requires_grad}


class Parameter(Tensor):
    """A Tensor that a model learns.

    Args:
        data: initial values (copied if they aren't floating point already).
        name: shown in messages and used in files.
        trainable: whether an optimizer updates it; ``requires_grad`` follows.
        regularizer: callable from this Parameter to a scalar penalty, or None.
        constraint: callable applied to the values after each update, or None.
    """

    __slots__ = ("constraint", "name", "regularizer")

    def __init__(
        self,
        data: Any,
        name: str | None = None,
        trainable: bool = True,
        regularizer: Callable[[Tensor], Tensor] | None = None,
        constraint: Callable[[Tensor], Tensor] | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(as_array(data, dtype, floating=trainable), requires_grad=trainable)
        self.name = name
        self.regularizer = regularizer
        self.constraint = constraint

    @property
    def trainable(self) -> bool:
        """Whether an optimizer updates this Parameter."""
        return self.requires_grad

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.requires_grad = bool(value)

    def __repr__(self) -> str:
        name = f"'{self.name}'" if self.name else "unnamed"
        return f"Parameter({name}, shape={self.shape}, dtype={self.dtype}, trainable={self.trainable})"

    def _state(self) -> dict[str, Any]:
        return {
            "data": self.data,
            "name": self.name,
            "trainable": self.trainable,
            "regularizer": self.regularizer,
            "constraint": self.constraint,
        }


def as_array(data: Any, dtype: Any = None, floating: bool = False) -> np.ndarray:
    """``data`` as a numeric ndarray: Python floats become ``floatx``, arrays keep their dtype unless one is given.

    Raises TypeError for what is not numbers (text, objects, ragged lists).
    """
    if isinstance(data, Tensor):
        array = data.data
    elif isinstance(data, (list, tuple)) and _contains_tensor(data):
        raise TypeError("Tensor: received a list that holds Tensors; use ops.stack(list) or ops.concatenate(list)")
    else:
        try:
            array = np.asarray(data)
        except ValueError as error:
            raise TypeError(f"Tensor: expected numbers in a regular shape. Received: {data!r:.80}") from error
    if array.dtype.kind not in "fiub":
        raise TypeError(f"Tensor: expected real numbers. Received: {type(data).__name__} of dtype {array.dtype}")
    if dtype is None and not isinstance(data, (np.ndarray, np.generic, Tensor)):
        dtype = config.floatx() if array.dtype.kind == "f" or floating else None
    return array if dtype is None else array.astype(dtype, copy=False)


def _contains_tensor(items: Sequence[Any]) -> bool:
    return any(
        isinstance(item, Tensor) or (isinstance(item, (list, tuple)) and _contains_tensor(item)) for item in items
    )


def _unpacked(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """``f((2, 3))`` and ``f(2, 3)`` mean the same."""
    if len(arguments) == 1 and isinstance(arguments[0], (list, tuple)):
        return tuple(arguments[0])
    return arguments


def _restore(cls: type[Tensor], state: dict[str, Any]) -> Tensor:
    return cls(**state)
