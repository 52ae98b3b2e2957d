"""ScipyOptimizer: training as minimization over all samples at once, by SciPy's methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Protocol

import numpy as np

from .. import checks
from ..core.tensor import Parameter
from .base import Optimizer

_METHODS = ("L-BFGS-B", "BFGS", "CG", "Newton-CG", "trust-ncg", "trust-krylov")
_BY_CURVATURE = ("Newton-CG", "trust-ncg", "trust-krylov")
_NO_RATE = "ScipyOptimizer has no learning rate: a line search or a trust region finds each step"


class Function(Protocol):
    """What is minimized: a function of one vector, such as `models.LossSurface`."""

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """The value and its gradient at a point, array (size,)."""

    def hvp(self, theta: np.ndarray, v: np.ndarray) -> np.ndarray:
        """The product of the Hessian at a point and a vector, both arrays (size,)."""


class ScipyOptimizer(Optimizer):
    """Minimizes the loss over all samples at once by ``scipy.optimize.minimize``.

    An epoch of ``fit`` is one iteration of the method, and all samples belong to it; ``batch_size`` only says how many
    are computed at a time. The losses and metrics of an epoch are those after its iteration. Training ends early where
    the method finds no better place; ``result`` tells why. Each ``fit`` starts the method anew.

    Where training breaks off, by an error or Ctrl-C, the model has the best weights of any iteration.

    A line search needs the same function at each call. Layers that draw random numbers are refused, therefore, unless
    ``fixed_noise`` has them draw the same ones throughout. Weights with constraints are refused as well.

    Args:
        method: "L-BFGS-B" (Byrd et al. 1995; Zhu et al. 1997) has the curvature from the last gradients; "BFGS" keeps a
            matrix of size², for small models; "CG" are nonlinear conjugate gradients. "Newton-CG", "trust-ncg"
            (Nocedal and Wright 2006, chapter 7) and "trust-krylov" (Gould et al. 1999) use products with the exact
            Hessian.
        tol: Tolerance for ending, as SciPy takes it for the method; its default if None.
        options: SciPy's options of the method, such as ``{"maxcor": 20}``. ``maxiter`` is given by ``fit``'s epochs.
        fixed_noise: Whether layers such as Dropout draw one time for the whole training.

    Attributes:
        result: SciPy's ``OptimizeResult`` of the last ``fit``: why it ended (``message``), iterations (``nit``),
            evaluations (``nfev``), ...; None before.

    Raises:
        ValueError: If the method isn't one of these, or an option is fit's affair.
        TypeError: If an argument is of another type.

    Example:
        >>> from minikeras import Sequential, layers
        >>> model = Sequential([layers.Dense(1, input_dim=1)])
        >>> model.compile(ScipyOptimizer(), "mse")
        >>> history = model.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], epochs=20, verbose=0)
        >>> [weight.round(3).tolist() for weight in model.get_weights()], model.optimizer.result.success
        ([[[2.0]], [1.0]], True)
    """

    full_batch = True

    def __init__(
        self,
        method: str = "L-BFGS-B",
        tol: float | None = None,
        options: Mapping[str, Any] | None = None,
        fixed_noise: bool = False,
    ) -> None:
        by_name = {name.lower(): name for name in _METHODS}
        if not isinstance(method, str) or method.lower() not in by_name:
            raise ValueError(f"ScipyOptimizer: method must be one of {', '.join(_METHODS)}. Received: {method!r}")
        if options is not None and not isinstance(options, Mapping):
            raise TypeError(f"ScipyOptimizer: options must be a dict. Received: {options!r}")
        if options is not None and "maxiter" in options:
            raise ValueError(
                f"ScipyOptimizer: an iteration is an epoch: say epochs={options['maxiter']!r} in fit. "
                f"Received: options={options!r}"
            )
        self.method = by_name[method.lower()]
        self.tol = None if tol is None else checks.number("ScipyOptimizer", "tol", tol, "(0, inf)")
        self.options = None if options is None else dict(options)
        self.fixed_noise = checks.flag("ScipyOptimizer", "fixed_noise", fixed_noise)
        self.result: Any = None
        self._begin()

    @property
    def lr(self) -> NoReturn:
        """There is none.

        Raises:
            AttributeError: Always.
        """
        raise AttributeError(_NO_RATE)

    @lr.setter
    def lr(self, value: Any) -> NoReturn:
        raise AttributeError(_NO_RATE)

    def apply_gradients(self, grads: Sequence[Any], params: Sequence[Parameter]) -> None:
        """Refuse: it takes no single steps.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(
            f"ScipyOptimizer: {self.method} evaluates the loss many times in each step and needs all samples at once: "
            "train by model.fit(x, y) with arrays. train_on_batch and generators need another optimizer, such as Adam"
        )

    def check(self, parameters: Sequence[Parameter]) -> None:
        """Refuse parameters with constraints.

        Raises:
            ValueError: If one has a constraint.
        """
        bound = [parameter.name for parameter in parameters if getattr(parameter, "constraint", None) is not None]
        if bound:
            raise ValueError(
                f"ScipyOptimizer: {self.method} would leave the constraints of weights unheeded. Take them away, or "
                f"train with another optimizer, such as Adam. Received: constraints of {', '.join(map(str, bound))}"
            )

    def minimize(
        self, function: Function, start: Any, iterations: int, callback: Callable[[np.ndarray], bool] | None = None
    ) -> Any:
        """Minimize a function of a vector.

        Args:
            function: Has ``value_and_gradient`` and, for the methods by curvature, ``hvp``. Where a step leads to
                values that aren't finite, the method sees a height and goes less far.
            start: Where to begin, array (size,).
            iterations: How many at most.
            callback: Called with the point after each iteration; what it returns says whether to stop.

        Returns:
            SciPy's ``OptimizeResult``, also kept as ``result``.

        Raises:
            FloatingPointError: If value or gradient at the start are not finite.

        Example:
            >>> class Bowl:
            ...     def value_and_gradient(self, theta):
            ...         return float(np.sum((theta - 3.0) ** 2)), 2.0 * (theta - 3.0)
            >>> ScipyOptimizer("BFGS").minimize(Bowl(), np.zeros(2), iterations=10).x.round(6).tolist()
            [3.0, 3.0]
        """
        from scipy import optimize

        self.result = None
        guarded = _Guarded(function)

        def after_iteration(intermediate_result: Any) -> None:  # SciPy goes by the argument's name
            self._iterations += 1
            if callback is not None and callback(np.array(intermediate_result.x)):
                raise StopIteration

        try:
            self.result = optimize.minimize(
                guarded.value_and_gradient,
                np.asarray(start, np.float64),
                jac=True,
                hessp=guarded.hvp if self.method in _BY_CURVATURE else None,
                method=self.method,
                tol=self.tol,
                options={**(self.options or {}), "maxiter": iterations},
                callback=after_iteration,
            )
        finally:
            guarded.release()
        return self.result


class _Guarded:
    """A function as a method can go on with it: where it isn't finite, there is a height.

    Line searches interpolate: they turn back from a height, but get lost at infinity.
    """

    def __init__(self, function: Function) -> None:
        self._function: Function | None = function
        self._worst: float | None = None

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = self._function.value_and_gradient(theta)  # type: ignore[union-attr]  # not after release
        if math.isfinite(value) and bool(np.isfinite(gradient).all()):
            self._worst = value if self._worst is None else max(value, self._worst)
            return value, gradient
        if self._worst is None:
            raise FloatingPointError(
                f"ScipyOptimizer: the loss and its gradient must be finite at the start. Received: loss {value}, "
                f"a gradient of {np.count_nonzero(~np.isfinite(gradient))} elements that aren't finite"
            )
        return self._worst + 10.0 * (1.0 + abs(self._worst)), np.zeros_like(gradient)

    def hvp(self, theta: np.ndarray, v: np.ndarray) -> np.ndarray:
        return self._function.hvp(theta, v)  # type: ignore[union-attr]

    def release(self) -> None:
        """Let go of the function: SciPy's older versions leave a cycle, which would keep it."""
        self._function = None
