"""The entry points: `check_gradients`, `check_layer` and `check_model`, and `assert_gradients` for tests."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import checks
from ..core.tensor import Tensor
from ..layers.base import Layer
from ..layers.embedding import Embedding
from ..layers.shapes import as_list, is_shape
from ..models.compilation import Compilable
from .compare import Settings
from .differences import DOUBLE, SINGLE
from .orders import compare
from .prepared import LayerSubject, as_model_inputs, held, in_type, run_layer, run_loss, unique_names, unmeasured
from .report import GradientError, GradientReport
from .subject import ArraySubject, EngineSubject, ForwardBackwardSubject, FunctionSubject, Subject, must_take, takes

RTOL = 1e-9  # what central differences in float64 reach with room to spare
RTOL_SINGLE = 1e-4  # float32 gradients beside float64 differences
RTOL_SINGLE_DIFFERENCES = 2e-2  # float32 gradients beside float32 differences


def check_gradients(
    f: Any,
    inputs: Any,
    *,
    gradient: Callable[..., Any] | None = None,
    names: Sequence[str] | None = None,
    order: int = 1,
    method: str = "auto",
    dtype: str = "float64",
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
) -> GradientReport:
    """Check the gradients of a function against differences of its values.

    Each input is first moved along two random directions, which takes four evaluations; what disagrees is looked at
    element by element, over a sweep of steps, until the report can say what is wrong.

    Args:
        f: What to check. A function of Tensors (a `primitive` is one) that returns a Tensor, or a tuple or list of
            Tensors and Nones. With ``gradient``, a function of arrays that returns a number or an array, or several.
            Or an object with ``forward(*inputs)`` and ``backward(grad_output)``, which returns the gradient of the
            input, or a tuple of them; for several outputs it is given a tuple.
        inputs: An array, a Tensor or a number, or a list or tuple of them: one for each argument of ``f``. Those of a
            floating-point type are differentiated, others are passed as they are.
        gradient: Hand-written gradient of ``f``: ``gradient(*inputs)`` of a function that returns one number, or
            ``gradient(cotangent, *inputs)``, which gives the gradient of ``sum(f(*inputs) * cotangent)``; for several
            outputs the cotangent is a tuple. It returns an array for each input, or a dict of them by name.
        names: Of the inputs in the report; the names of the function's parameters by default.
        order: 2 also checks the gradient of the gradient, in the inputs and in the cotangent, and that the Hessian is
            symmetric. It needs a function of Tensors.
        method: "random" looks along random directions; "full" at every element of inputs that have not more than
            2000, and at every entry of the Jacobian where that is small (up to 400 outputs); "auto" looks at the
            elements of very small inputs, and along directions of the others.
        dtype: "float64" converts all inputs to it. "float32" has the gradient computed in float32, and compares it
            with differences of the same function in float64; if it doesn't run in float64, with differences in
            float32 with large steps.
        rtol: Tolerance, relative to the largest derivative of an input: 1e-9 if None; 1e-4 in float32, or 2e-2 beside
            differences in float32. What differences can't resolve is tolerated as well.
        atol: Absolute tolerance of a derivative; 0 if None.
        seed: Of directions and cotangents.

    Returns:
        The `GradientReport`: true if all gradients agree, and printed as a text that says what is wrong where.

    Raises:
        TypeError: If ``f`` can't be called, or returns something else, or an argument isn't what it should be.
        ValueError: If an argument is out of its range, or ``gradient`` returns another number of gradients.
        RuntimeError: If ``f`` raises at a point beside the inputs, where differences are taken.

    Example:
        >>> import numpy as np
        >>> def loss(w):
        ...     return (w**3).sum()
        >>> report = check_gradients(loss, np.array([1.0, 2.0]), gradient=lambda w: -3 * w**2)
        >>> print(report.results[0].verdict.text)
        wrong sign, everywhere
    """
    owner = "check_gradients"
    settings = _settings(owner, method, dtype, rtol, atol, seed)
    order = _order(owner, order)
    arrays = _as_arrays(inputs, owner)

    def subject(kind: str) -> Subject:
        return _subject(f, gradient, [in_type(in_type(array, dtype), kind) for array in arrays], names, owner)

    if order == 2 and not isinstance(subject(dtype), EngineSubject):
        raise ValueError(f"{owner}: order=2 needs a function of Tensors: only the engine differentiates gradients")
    return _report(f"{owner} of {_name(f)}", subject, settings, order, dtype, rtol)


def check_layer(
    layer: Layer,
    input_shape: Any = None,
    *,
    inputs: Any = None,
    batch_size: int = 2,
    training: bool | None = None,
    randomize: bool = True,
    order: int = 1,
    method: str = "auto",
    dtype: str = "float64",
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
) -> GradientReport:
    """Check the gradients of a layer in its inputs and in each of its weights.

    The layer is built if it isn't. Afterwards its weights, its random streams and its moving statistics are what they
    were, to the bit. Penalties of activity regularizers count as further outputs.

    Args:
        layer: Any `Layer`, also one of your own.
        input_shape: Shape of one sample, as in ``Layer(input_shape=...)``; with None in front it has the batch axis. A
            list of shapes for a layer of several inputs.
        inputs: Arrays to use instead of random ones: one, or a list; with the batch axis. Normal numbers by default,
            for an `Embedding` random integers.
        batch_size: Samples in the random inputs.
        training: As when calling the layer.
        randomize: Whether the weights are moved a little away from where they are: initial zeros and ones would hide
            mistakes.
        order, method, dtype, rtol, atol, seed: As for `check_gradients`.

    Returns:
        The `GradientReport`; weights have their names in the layer.

    Raises:
        TypeError: If ``layer`` is no Layer.
        ValueError: If an argument is out of its range or the shape doesn't fit the layer.

    Example:
        >>> from minikeras.layers import Dense
        >>> check_layer(Dense(3, activation="tanh"), (4,)).ok
        True
    """
    owner = "check_layer"
    if not isinstance(layer, Layer):
        raise TypeError(f"{owner}: layer must be a Layer. Received: {layer!r:.80}")
    settings = _settings(owner, method, dtype, rtol, atol, seed)
    order = _order(owner, order)
    rng = np.random.default_rng(settings.seed)
    arrays, several = _layer_inputs(layer, input_shape, inputs, batch_size, rng, owner)
    shapes = [array.shape for array in arrays]
    layer.ensure_built(shapes if several else shapes[0])
    names = [f"input {i}" for i in range(len(arrays))] if several else ["input"]
    weights = [weight for weight in layer.weights if weight.requires_grad]

    def subject(kind: str) -> LayerSubject:
        points = [in_type(in_type(array, dtype), kind) for array in arrays]
        return LayerSubject(run_layer(layer, several, training), layer, points, names, weights, rest, kind, owner)

    with held(layer, rng if randomize else None) as rest:
        return _report(f"{owner} of {layer}", subject, settings, order, dtype, rtol)


def check_model(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    class_weight: Any = None,
    training: bool = True,
    inputs: bool = False,
    order: int = 1,
    method: str = "auto",
    dtype: str = "float64",
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
) -> GradientReport:
    """Check the gradients of the loss of a compiled model in every parameter that training updates.

    The loss is the one that training minimises, with penalties of weights and activities and what ``add_loss`` added.
    Afterwards the model is what it was, to the bit.

    Args:
        model: A compiled model.
        x: Inputs, as in ``fit``.
        y: Targets, as in ``fit``.
        sample_weight: As in ``fit``.
        class_weight: As in ``fit``.
        training: Whether layers behave as in training. Dropout and noise are the same at every evaluation.
        inputs: Whether to check the gradients in the inputs as well.
        order, method, dtype, rtol, atol, seed: As for `check_gradients`.

    Returns:
        The `GradientReport`; parameters have their names in the model.

    Raises:
        TypeError: If ``model`` is no model.
        RuntimeError: If it isn't compiled.
        ValueError: If an argument or an array doesn't fit.
    """
    owner = "check_model"
    if not isinstance(model, Compilable):
        raise TypeError(f"{owner}: model must be a Model or Sequential. Received: {model!r:.80}")
    settings = _settings(owner, method, dtype, rtol, atol, seed)
    order = _order(owner, order)
    samples = model._samples(x, y, sample_weight, class_weight)
    arrays = as_model_inputs(model, samples, "float64") if inputs else []
    names = [str(name) for name in model.input_names] if inputs else []

    def subject(kind: str) -> LayerSubject:
        function = run_loss(model, samples, training, kind)
        points = [in_type(in_type(array, dtype), kind) for array in arrays]
        return LayerSubject(function, model, points, names, model._trained, rest, kind, owner)

    with held(model) as rest, unmeasured(model):
        return _report(f"{owner} of {model}", subject, settings, order, dtype, rtol)


def assert_gradients(f: Any, *arguments: Any, **options: Any) -> GradientReport:
    """Raise an error that shows the report unless the gradients agree.

    Args:
        f: A `GradientReport`, or what `check_gradients` takes.
        *arguments: As for `check_gradients`.
        **options: As for `check_gradients`.

    Returns:
        The report.

    Raises:
        GradientError: An AssertionError, if a gradient is wrong or can't be confirmed.
        TypeError: If there are other arguments beside a report.
    """
    __tracebackhide__ = True  # pytest shows the caller's line
    if isinstance(f, GradientReport) and (arguments or options):
        given = [*(type(argument).__name__ for argument in arguments), *options]
        raise TypeError(
            f"assert_gradients: a report is judged as it is, other arguments have no use. Received: {', '.join(given)}"
        )
    report = f if isinstance(f, GradientReport) else check_gradients(f, *arguments, **options)
    if not report.ok:
        raise GradientError(report)
    return report


def _report(
    title: str, subject: Callable[[str], Subject], settings: Settings, order: int, dtype: str, rtol: float | None
) -> GradientReport:
    """Compare a subject, made for a floating-point type, with its differences."""
    with np.errstate(all="ignore"):
        checked = subject(dtype)
        reference = None
        if dtype == "float32":
            reference = _in_double(subject, checked)
            settings = _for_single(settings, reference, rtol)
        results, notes = compare(checked, settings, order, reference)
    return GradientReport(title, results, dtype, notes)


# ---------------------------------------------------------------------- layers and models


def _layer_inputs(
    layer: Layer, input_shape: Any, inputs: Any, batch_size: int, rng: np.random.Generator, owner: str
) -> tuple[list[np.ndarray], bool]:
    """The inputs of a layer, and whether it takes a list."""
    if inputs is not None:
        several = isinstance(inputs, (list, tuple))
        return _as_arrays(inputs, owner), several
    if input_shape is None:
        if layer.batch_input_shape is None:
            raise ValueError(f"{owner}: {layer} has no input shape yet: give input_shape or inputs")
        input_shape = layer.batch_input_shape
    batch_size = checks.integer(owner, "batch_size", batch_size)
    if not isinstance(input_shape, (list, tuple)):
        raise ValueError(
            f"{owner}: input_shape must be the sizes of one sample, as (8, 8, 3), or a list of such tuples. "
            f"Received: {input_shape!r}"
        )
    several = not is_shape(input_shape) and isinstance(input_shape, (list, tuple)) and not _is_sizes(input_shape)
    shapes = [_with_batch(shape, batch_size, owner) for shape in (input_shape if several else [input_shape])]
    if isinstance(layer, Embedding):
        return [rng.integers(0, layer.input_dim, shape) for shape in shapes], several
    return [rng.standard_normal(shape) for shape in shapes], several


def _is_sizes(shape: Any) -> bool:
    return all(size is None or isinstance(size, (int, np.integer)) for size in shape)


def _with_batch(shape: Any, batch_size: int, owner: str) -> tuple[int, ...]:
    sizes = list(as_list(shape)) if not isinstance(shape, tuple) else list(shape)
    if sizes and sizes[0] is None:
        sizes = sizes[1:]
    if not _is_sizes(sizes) or any(size is None or size < 0 for size in sizes):
        raise ValueError(
            f"{owner}: input_shape must be the sizes of one sample, all of them known; None may stand in front for the "
            f"batch. Received: {shape!r}"
        )
    return (batch_size, *(int(size) for size in sizes))


# ---------------------------------------------------------------------- arguments


def _settings(owner: str, method: Any, dtype: Any, rtol: float | None, atol: float | None, seed: Any) -> Settings:
    checks.choice(owner, "dtype", dtype, ("float64", "float32"))
    return Settings(
        checks.choice(owner, "method", method, ("auto", "full", "random")),
        (RTOL if dtype == "float64" else RTOL_SINGLE)
        if rtol is None
        else checks.number(owner, "rtol", rtol, "[0, inf)"),
        0.0 if atol is None else checks.number(owner, "atol", atol, "[0, inf)"),
        checks.integer(owner, "seed", seed, minimum=0),
    )


def _order(owner: str, order: Any) -> int:
    if order not in (1, 2) or isinstance(order, bool):
        raise ValueError(f"{owner}: order must be 1 or 2. Received: {order!r}")
    return int(order)


def _subject(f: Any, gradient: Any, points: list[np.ndarray], names: Any, owner: str) -> Subject:
    if gradient is not None:
        if not callable(gradient):
            raise TypeError(f"{owner}: gradient must be a function. Received: {gradient!r:.80}")
        must_take(f, len(points), "f", owner)
        if not takes(gradient, len(points)):
            must_take(gradient, len(points) + 1, "gradient", owner, ", and a cotangent before them")
        return ArraySubject(f, gradient, points, _names(f, names, len(points), owner), owner)
    if callable(getattr(f, "forward", None)) and callable(getattr(f, "backward", None)) and not hasattr(f, "vjps"):
        must_take(f.forward, len(points), "f.forward", owner)
        return ForwardBackwardSubject(f, points, _names(f.forward, names, len(points), owner), owner)
    if not callable(f):
        raise TypeError(f"{owner}: f must be a function, or have forward and backward. Received: {f!r:.80}")
    must_take(f, len(points), "f", owner)
    return FunctionSubject(f, points, _names(f, names, len(points), owner), owner)


def _as_arrays(inputs: Any, owner: str) -> list[np.ndarray]:
    several = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if not several:
        raise ValueError(f"{owner}: inputs must hold at least one array. Received: {inputs!r}")
    arrays = []
    for i, value in enumerate(several):
        array = value.data if isinstance(value, Tensor) else np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{owner}: inputs must be arrays of real numbers. Received: inputs[{i}]={value!r:.80}")
        arrays.append(array)
    return arrays


def _names(f: Any, given: Sequence[str] | None, count: int, owner: str) -> list[str]:
    if given is not None:
        if isinstance(given, str) or len(given) != count:
            raise ValueError(f"{owner}: names must have one for each of the {count} inputs. Received: {given!r}")
        return unique_names([str(name) for name in given])
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    found = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return found[:count] if len(found) >= count else [f"input {i}" for i in range(count)]


def _name(f: Any) -> str:
    name = getattr(f, "__name__", None) or type(f).__name__
    return "a function" if name == "<lambda>" else str(name)


def _in_double(make: Callable[[str], Subject], subject: Subject) -> Subject | None:
    """The subject in float64, if it runs there and computes the same."""
    try:
        reference = make("float64")
        wide, narrow = reference.values(reference.points), subject.values(subject.points)
    except Exception:  # noqa: BLE001 (whatever it is that it can't do in float64)
        return None
    with np.errstate(all="ignore"):
        same = all(
            a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-3 * np.abs(a).max(initial=0.0), equal_nan=True)
            for a, b in zip(wide, narrow, strict=False)
        )
    return reference if same and all(a.dtype != np.float32 for a in wide) else None


def _for_single(settings: Settings, reference: Subject | None, rtol: float | None) -> Settings:
    """Settings that fit float32 gradients, beside differences in float64 or, without a reference, in float32."""
    if reference is not None:
        return replace(settings, steps=DOUBLE)
    return replace(settings, steps=SINGLE, rtol=RTOL_SINGLE_DIFFERENCES if rtol is None else rtol)
