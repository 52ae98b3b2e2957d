"""LossSurface: the loss of a model on given samples as a function of its parameters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..callbacks import Averages
from ..core import random
from ..core.tape import enable_grad, gradients, no_grad
from ..core.tensor import Tensor
from ..utils.flat_parameters import FlatParameters
from .compilation import Compilable
from .data import Samples, batches


class LossSurface:
    """The loss of a compiled model on given samples, with all penalties, as a function of one vector of parameters.

    `Model.loss_surface` makes it. The parameters are those that training updates, laid end to end as float64
    (`FlatParameters`); the model computes in its own dtype. Calls leave the model as it is: weights, moving statistics
    and random streams. Layers that draw random numbers draw the same ones at each call, so that it is one function.

    Over several batches the loss is their mean by number of samples, as ``evaluate`` gives it.

    Args:
        model: A compiled, built model.
        samples: What the loss is for.
        batch_size: Samples computed at a time.
        training: Whether layers behave as in training.

    Attributes:
        parameters: The `FlatParameters`.
        size: Their number.
        samples: What the loss is for.
        noisy: Layers that drew random numbers in the last call.
        moving: Whether the last call would have changed a weight that isn't trained, such as moving statistics.

    Raises:
        ValueError: If the model has nothing to train.
    """

    def __init__(self, model: Compilable, samples: Samples, batch_size: int, training: bool = False) -> None:
        model._bound()
        if not model._trained:
            raise ValueError(f"{model}: its loss is no function of parameters, as none of its weights is trainable")
        self.model = model
        self.parameters = FlatParameters(model._trained)
        self.size = self.parameters.size
        self.noisy: list[Any] = []
        self.moving = False
        self.samples = samples
        self._rows = list(batches(len(samples), batch_size))
        self._training = training
        self._states = [weight for layer in model._inside for weight in layer._non_trainable_weights]
        self._streams = [
            (layer, value)
            for layer in model._inside
            for name, value in vars(layer).items()
            if isinstance(value, np.random.Generator) and name != "_stream"  # the stream that shuffles
        ]
        self._noise = [random.get_state(stream) for _, stream in self._streams]
        self._weights = model.weights
        self._slopes: tuple[Any, list[Tensor | None]] | None = None  # with where they were computed

    @property
    def start(self) -> np.ndarray:
        """The parameters as the model has them now: array (size,)."""
        return self.parameters.vector

    def __call__(self, theta: Any) -> float:
        """The loss at the parameters ``theta``, array (size,)."""
        return self.logs(theta)["loss"]

    def logs(self, theta: Any) -> dict[str, float]:
        """The loss and the metrics at the parameters ``theta``, array (size,), by name."""
        averages = self._averages()
        with self._at(theta), no_grad():
            for batch in self.batches():
                averages.add(self._named(self.model._loss(batch, self._training)[1]), len(batch))
        return averages.means()

    def gradient(self, theta: Any) -> np.ndarray:
        """The gradient of the loss at the parameters ``theta``, array (size,); of the same shape."""
        return self.logs_and_gradient(theta)[1]

    def value_and_gradient(self, theta: Any) -> tuple[float, np.ndarray]:
        """The loss and its gradient at the parameters ``theta``, array (size,)."""
        logs, gradient = self.logs_and_gradient(theta)
        return logs["loss"], gradient

    def logs_and_gradient(self, theta: Any) -> tuple[dict[str, float], np.ndarray]:
        """What `logs` gives, and the gradient."""
        averages, total = self._averages(), np.zeros(self.size)
        with self._at(theta), enable_grad():
            for batch in self.batches():
                loss, values = self.model._loss(batch, self._training)
                averages.add(self._named(values), len(batch))
                found = gradients(loss, self.parameters.parameters)
                total += len(batch) / len(self.samples) * self.parameters.join(found)
        return averages.means(), total

    def hvp(self, theta: Any, v: Any) -> np.ndarray:
        """The product of the Hessian at the parameters ``theta`` and a vector, without the Hessian.

        With all samples in one batch, the tape of the gradient is kept for further products at the same place.

        Args:
            theta: Array (size,).
            v: Array (size,).

        Returns:
            Array (size,).
        """
        directions = [Tensor(part) for part in self.parameters.split(v)]
        total = np.zeros(self.size)
        for batch, slopes in self._gradients_on_tape(np.asarray(theta)):
            pairs = [(g, d) for g, d in zip(slopes, directions, strict=True) if g is not None and g.requires_grad]
            if pairs:
                chosen, along = [g for g, _ in pairs], [d for _, d in pairs]
                found = gradients(chosen, self.parameters.parameters, along, retain_graph=len(self._rows) == 1)
                total += len(batch) / len(self.samples) * self.parameters.join(found)
        return total

    def hessian(self, theta: Any = None) -> Any:
        """The Hessian as something that multiplies vectors, for eigensolvers such as ``scipy.sparse.linalg.eigsh``.

        Args:
            theta: Where, array (size,); where the model is now if None.

        Returns:
            ``scipy.sparse.linalg.LinearOperator`` of the shape (size, size).

        Example:
            >>> from scipy.sparse.linalg import eigsh
            >>> from minikeras import Sequential, layers
            >>> model = Sequential([layers.Dense(1, input_dim=2, use_bias=False)])
            >>> model.compile("sgd", "mse")
            >>> surface = model.loss_surface([[1.0, 0.0], [0.0, 3.0]], [0.0, 0.0])
            >>> eigsh(surface.hessian(), k=1)[0].round(5).tolist()  # of diag(1, 9)
            [9.0]
        """
        from scipy.sparse.linalg import LinearOperator

        place = self.start if theta is None else np.array(theta, np.float64)

        def product(v: np.ndarray) -> np.ndarray:
            return self.hvp(place, np.ravel(v))

        return LinearOperator((self.size, self.size), matvec=product, rmatvec=product, dtype=np.float64)

    def batches(self) -> Iterator[Samples]:
        """The samples in the batches in which they are computed."""
        return (self.samples.take(rows) for rows in self._rows)

    # ------------------------------------------------------------------ helpers

    def _gradients_on_tape(self, theta: np.ndarray) -> Iterator[tuple[Samples, list[Tensor | None]]]:
        """Each batch with the gradients of its loss, recorded."""
        for batch in self.batches():
            if self._slopes is None or self._slopes[0] != self._place(theta):
                self._slopes = None
                with self._at(theta), enable_grad():
                    loss, _ = self.model._loss(batch, self._training)
                    slopes = gradients(loss, self.parameters.parameters, create_graph=True)
                if len(self._rows) > 1:
                    yield batch, slopes
                    continue
                self._slopes = (self._place(theta), slopes)
            yield batch, self._slopes[1]

    def _place(self, theta: np.ndarray) -> Any:
        """What a recorded gradient depends on: the parameters, and that no weight has been written to since."""
        return theta.tobytes(), [weight.version for weight in self._weights]

    @contextmanager
    def _at(self, theta: Any) -> Iterator[None]:
        """The model with these parameters; all that computing changes in it is as before afterwards."""
        self.model._reset_metrics()
        own = [(weight, weight.data, weight.version) for weight in self._states]
        streams = [(stream, random.get_state(stream)) for _, stream in self._streams]
        with self.parameters.at(theta):
            try:
                for weight, array, _ in own:
                    weight.data = array.copy()
                for (stream, _), state in zip(streams, self._noise, strict=True):
                    random.set_state(stream, state)
                yield
                self.moving = any(weight.version != version for weight, _, version in own)
                moved = [
                    random.get_state(stream) != state for (stream, _), state in zip(streams, self._noise, strict=True)
                ]
                self.noisy = [layer for (layer, _), drew in zip(self._streams, moved, strict=True) if drew]
            finally:
                for weight, array, _ in own:
                    weight.data = array
                for stream, state in streams:
                    random.set_state(stream, state)

    def _averages(self) -> Averages:
        return Averages(self.model.stateful_metric_names)

    def _named(self, values: list[float]) -> dict[str, float]:
        return dict(zip(self.model.metrics_names, values, strict=True))
