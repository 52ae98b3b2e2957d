"""Trainer: fit, evaluate and predict, for any graph of layers."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import checks
from ..callbacks import Callback, History
from ..layers.shapes import as_size, single
from .data import Samples, labels_are_sorted
from .feeding import ArrayFeed, as_steps, is_generator
from .full_batch import FullBatchTrainer
from .legacy import renamed
from .surface import LossSurface

_QUEUE = {"workers": 1, "max_queue_size": 10, "use_multiprocessing": False}


class Trainer(FullBatchTrainer):
    """A layer that can be trained by itself."""

    @renamed(nb_epoch="epochs")
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int = 1,
        callbacks: Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
    ) -> History:
        """Train on arrays.

        Args:
            x: Inputs: array (samples, ...) or nested lists; for several inputs a list or a dict by name. A generator
                or a Sequence of batches goes to `fit_generator`.
            y: Targets, likewise for the outputs.
            batch_size: Samples in one step; 32 if None. The last step of an epoch takes what is left. With an optimizer
                for all samples at once (`optimizers.ScipyOptimizer`) an epoch is one step of it; then so many samples
                are computed at a time, all if None.
            epochs: The number of the last epoch; as many epochs are trained if ``initial_epoch`` is 0.
            verbose: 0 is silent, 1 shows a bar and a line for each epoch, 2 the line only.
            callbacks: List of callbacks.
            validation_split: Share of the samples that is held out and evaluated after each epoch: the last ones,
                taken before shuffling.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)``, a generator or a Sequence to evaluate instead.
            shuffle: Whether each epoch takes the samples in a new order; "batch" shuffles batches as a whole.
            class_weight: Dict from class number to its weight in the loss; for several outputs a dict of them by name.
            sample_weight: Array (samples,), or (samples, steps) with ``sample_weight_mode="temporal"``; for several
                outputs a list or a dict by name.
            initial_epoch: The number of the first epoch, to go on with an earlier training.
            steps_per_epoch: End each epoch after so many steps.
            validation_steps: End each validation after so many steps.

        Returns:
            The History: ``.history["loss"]``, ``["acc"]``, ``["val_loss"]``, ... with a value for each epoch.

        Raises:
            RuntimeError: If the model isn't compiled.
            ValueError: If an argument or an array doesn't fit.

        Example:
            >>> from minikeras import Sequential, layers
            >>> model = Sequential([layers.Dense(1, input_dim=2)])
            >>> model.compile("sgd", "mse")
            >>> history = model.fit([[0.0, 1.0], [1.0, 0.0]], [1.0, 2.0], epochs=3, verbose=0)
            >>> len(history.history["loss"])
            3
        """
        if is_generator(x):
            self._refuse_beside_generator(
                y=y, batch_size=batch_size, sample_weight=sample_weight, validation_split=validation_split
            )
            return self.fit_generator(
                x,
                steps_per_epoch,
                epochs,
                verbose,
                callbacks,
                validation_data,
                validation_steps,
                class_weight,
                shuffle=bool(shuffle),
                initial_epoch=initial_epoch,
            )
        self._compiled()
        full_batch = self.optimizer.full_batch
        all_at_once = full_batch and batch_size is None
        batch_size = self._batch_size(batch_size)
        epochs, initial_epoch = self._epochs(epochs, initial_epoch)
        self._check_verbose(verbose)
        if shuffle not in (True, False, "batch"):
            raise ValueError(f"{self}: shuffle must be True, False or 'batch'. Received: {shuffle!r}")
        samples = self._samples(x, y, sample_weight, class_weight)
        if validation_data is None and validation_split:
            samples, held_out = self._split(samples, validation_split)
            validation: Any = ArrayFeed(held_out, batch_size, steps=self._steps(validation_steps, "validation_steps"))
        else:
            validation = self._validation_feed(validation_data, validation_steps, batch_size, _QUEUE)
        if full_batch:
            if steps_per_epoch is not None:
                raise ValueError(
                    f"{self}: {type(self.optimizer).__name__} takes all samples in each epoch. "
                    f"Received: steps_per_epoch={steps_per_epoch!r}"
                )
            self._warn_of_stale_compile()
            at_a_time = len(samples) if all_at_once else batch_size
            full = {"batch_size": len(samples), "epochs": epochs, "verbose": int(verbose)}
            return self._fit_full_batch(samples, at_a_time, validation, full, callbacks or (), initial_epoch)
        samples, batch_size = self._repeated_for_tensors(samples, batch_size, steps_per_epoch)
        steps = self._steps(steps_per_epoch, "steps_per_epoch", len(samples), batch_size)
        shuffle = shuffle if self._feed_input_names else False  # tensors stay in their order
        rng = self.stream if shuffle else None
        feed = ArrayFeed(samples, batch_size, shuffle, steps, rng)
        self._warn_of_stale_compile()
        params = {
            "batch_size": batch_size,
            "epochs": epochs,
            "steps": feed.steps,
            "samples": len(samples),
            "verbose": int(verbose),
        }
        return self._fit(feed, validation, params, callbacks or (), initial_epoch)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int = 1,
        sample_weight: Any = None,
        steps: int | None = None,
    ) -> Any:
        """Compute the loss and the metrics without training.

        Args:
            x: Inputs, as in ``fit``.
            y: Targets.
            batch_size: Samples computed at a time; 32 if None.
            verbose: 0 is silent, 1 shows a bar while it runs.
            sample_weight: As in ``fit``.
            steps: End after so many batches.

        Returns:
            The loss, or a list of the loss and the metrics in the order of `metrics_names`: means over the batches,
            weighted by their number of samples; of stateful metrics their last value. The loss includes the penalties
            of regularizers.

        Raises:
            RuntimeError: If the model isn't compiled.
            ValueError: If an argument or an array doesn't fit.
        """
        if is_generator(x):
            self._refuse_beside_generator(y=y, batch_size=batch_size, sample_weight=sample_weight)
            return self.evaluate_generator(x, steps, verbose=verbose)
        batch_size = self._batch_size(batch_size)
        self._check_verbose(verbose)
        samples = self._samples(x, y, sample_weight)
        samples, batch_size = self._repeated_for_tensors(samples, batch_size, steps)
        feed = ArrayFeed(samples, batch_size, steps=self._steps(steps, "steps", len(samples), batch_size))
        return single(self._evaluate(feed, int(verbose)))

    def predict(self, x: Any, batch_size: int | None = None, verbose: int = 0, steps: int | None = None) -> Any:
        """Compute the outputs.

        Args:
            x: Inputs, as in ``fit``.
            batch_size: Samples computed at a time; 32 if None.
            verbose: 0 is silent, 1 shows a bar while it runs.
            steps: End after so many batches.

        Returns:
            Array (samples, ...), or a list of them for several outputs.

        Raises:
            ValueError: If an argument or an array doesn't fit.
        """
        if is_generator(x):
            self._refuse_beside_generator(batch_size=batch_size)
            return self.predict_generator(x, steps, verbose=verbose)
        batch_size = self._batch_size(batch_size)
        self._check_verbose(verbose)
        inputs = self._inputs(x)
        if not inputs:
            outputs = self._outputs([])
            return single([np.concatenate([output] * (self._steps(steps, "steps") or 1)) for output in outputs])
        wanted = self._steps(steps, "steps", len(inputs[0]), batch_size)
        if wanted is not None:
            inputs = [array[: wanted * batch_size] for array in inputs]
        return self._predict(inputs, batch_size, int(verbose))

    def train_on_batch(self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None) -> Any:
        """Take one step of training on these samples.

        Args:
            x: Inputs, as in ``fit``.
            y: Targets.
            sample_weight: As in ``fit``.
            class_weight: As in ``fit``.

        Returns:
            The loss before the update, or a list of it and the metrics in the order of `metrics_names`.

        Raises:
            RuntimeError: If the model isn't compiled.
            ValueError: If an array doesn't fit.
        """
        return single(self._train_step(self._samples(x, y, sample_weight, class_weight)))

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None) -> Any:
        """Compute the loss and the metrics of these samples in one step; arguments and result as in ``evaluate``."""
        return single(self._test_step(self._samples(x, y, sample_weight)))

    def predict_on_batch(self, x: Any) -> Any:
        """Compute the outputs of these samples in one step; arguments and result as in ``predict``."""
        inputs = self._inputs(x)
        return self._predict(inputs, len(inputs[0]) if inputs else 1, 0)

    def gradients_on_batch(self, x: Any, y: Any, sample_weight: Any = None) -> dict[str, np.ndarray]:
        """Compute the gradients of the loss for these samples, without training.

        Args:
            x: Inputs, as in ``fit``.
            y: Targets.
            sample_weight: As in ``fit``.

        Returns:
            Dict from the name of each weight that training updates to an array of its shape.

        Raises:
            RuntimeError: If the model isn't compiled.
            ValueError: If an array doesn't fit.
        """
        return self._gradients(self._samples(x, y, sample_weight))

    def loss_surface(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        batch_size: int | None = None,
        training: bool = False,
    ) -> LossSurface:
        """The loss for these samples as a function of one vector of parameters: for SciPy's solvers, and for curvature.

        Args:
            x: Inputs, as in ``fit``.
            y: Targets.
            sample_weight: As in ``fit``.
            class_weight: As in ``fit``.
            batch_size: Samples computed at a time; all if None. The loss is the mean over the batches by samples.
            training: Whether layers behave as in training. Then those that draw random numbers draw the same ones at
                each call.

        Returns:
            A `LossSurface`, with the loss, its gradient and products with its Hessian.

        Raises:
            RuntimeError: If the model isn't compiled.
            ValueError: If an array doesn't fit, or the model has nothing to train.

        Example:
            >>> from scipy.optimize import minimize
            >>> from minikeras import Sequential, layers
            >>> model = Sequential([layers.Dense(1, input_dim=1)])
            >>> model.compile("sgd", "mse")
            >>> surface = model.loss_surface([[0.0], [1.0]], [1.0, 3.0])
            >>> found = minimize(surface.value_and_gradient, surface.start, jac=True, method="L-BFGS-B")
            >>> found.x.round(3).tolist()
            [2.0, 1.0]
        """
        samples = self._samples(x, y, sample_weight, class_weight)
        size = len(samples) if batch_size is None else self._batch_size(batch_size)
        return LossSurface(self, samples, size, checks.flag(str(self), "training", training))

    # ------------------------------------------------------------------ checks and preparation

    def _warn_of_stale_compile(self) -> None:
        now, then = self.trainable_weights, self._trained
        if len(now) != len(then) or any(a is not b for a, b in zip(now, then, strict=True)):
            warnings.warn(
                f"{self}: trainable was changed after compile: {len(then)} weights are trained, {len(now)} are "
                "trainable now. compile again to train these",
                stacklevel=4,
            )

    def _split(self, samples: Samples, fraction: float) -> tuple[Samples, Samples]:
        if isinstance(fraction, bool) or not isinstance(fraction, numbers.Real) or not 0 < fraction < 1:
            raise ValueError(f"{self}: validation_split must be a number in [0, 1). Received: {fraction!r}")
        training, validation = samples.split_tail(float(fraction))
        if not len(training) or not len(validation):
            raise ValueError(
                f"{self}: validation_split must leave samples on both sides: of {len(samples)}, {len(training)} for "
                f"training and {len(validation)} for validation. Received: {fraction!r}"
            )
        for head, target in zip(self._bound().heads, samples.targets, strict=True):
            classifies = getattr(head.loss, "__name__", "").endswith("crossentropy")
            if target is not None and classifies and labels_are_sorted(target):
                warnings.warn(
                    f"{self}: the labels are sorted, and validation_split={fraction} takes the last samples, before "
                    "shuffling: training and validation see different classes. Shuffle the data first",
                    stacklevel=4,
                )
        return training, validation

    def _repeated_for_tensors(self, samples: Samples, batch_size: int, steps: Any) -> tuple[Samples, int]:
        """Where no input is fed, each step takes all targets."""
        if self._feed_input_names:
            return samples, batch_size
        return samples.repeated(self._steps(steps, "steps") or 1), len(samples)

    def _batch_size(self, batch_size: Any) -> int:
        if batch_size is None:
            return next((len(tensor) for tensor in self.input_tensors if tensor is not None), 32)
        return as_size(batch_size, self, "batch_size")

    def _steps(self, steps: Any, argument: str, samples: int | None = None, batch_size: int = 1) -> int | None:
        """A number of steps, if it is one and so many samples suffice for it; None stays None."""
        if steps is None:
            return None
        steps = as_steps(steps, self, argument)
        if samples is not None and (steps - 1) * batch_size >= samples:
            raise ValueError(
                f"{self}: {samples} samples make {-(-samples // batch_size)} steps with batches of {batch_size}. "
                f"Received: {argument}={steps}"
            )
        return steps

    def _refuse_beside_generator(self, **arguments: Any) -> None:
        given = [name for name, value in arguments.items() if value is not None and not _is_zero(value)]
        if given:
            raise ValueError(
                f"{self}: a generator gives whole batches, with targets and weights: {', '.join(given)} can't be given"
            )


def _is_zero(value: Any) -> bool:
    return isinstance(value, numbers.Real) and float(value) == 0.0
