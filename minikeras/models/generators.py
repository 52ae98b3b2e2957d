"""GeneratorTrainer: training, evaluation and prediction with batches that generators and Sequences make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..callbacks import Callback, History
from ..layers.shapes import as_size, single
from .data import Samples
from .feeding import ArrayFeed, Feed, GeneratorFeed, as_steps, is_generator
from .legacy import renamed
from .loops import Loops


class GeneratorTrainer(Loops):
    """A layer that can be trained by what generators give, with threads that work ahead."""

    @renamed(
        samples_per_epoch="steps_per_epoch",
        nb_epoch="epochs",
        nb_val_samples="validation_steps",
        nb_worker="workers",
        max_q_size="max_queue_size",
        pickle_safe="use_multiprocessing",
    )
    def fit_generator(
        self,
        generator: Any,
        steps_per_epoch: int | None = None,
        epochs: int = 1,
        verbose: int = 1,
        callbacks: Sequence[Callback] | None = None,
        validation_data: Any = None,
        validation_steps: int | None = None,
        class_weight: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        shuffle: bool = True,
        initial_epoch: int = 0,
    ) -> History:
        """Train on batches that a generator or a `utils.Sequence` makes.

        However training ends, also by an exception or by the interrupt key, the threads have ended when this returns.

        Args:
            generator: Gives ``(inputs, targets)`` or ``(inputs, targets, sample_weights)``, as for ``train_on_batch``,
                for as long as it is asked; or a Sequence of them.
            steps_per_epoch: Batches in an epoch; those of the Sequence if None.
            epochs: The number of the last epoch.
            verbose: 0 is silent, 1 shows a bar and a line for each epoch, 2 the line only.
            callbacks: List of callbacks.
            validation_data: What to evaluate after each epoch: ``(x, y)`` or ``(x, y, sample_weight)`` in arrays, a
                generator or a Sequence.
            validation_steps: Batches to take of a validation generator.
            class_weight: Dict from class number to its weight in the loss.
            max_queue_size: So many batches are made ahead.
            workers: Number of threads that make batches; a plain generator is advanced by one of them at a time. With
                0 they are made in this thread.
            use_multiprocessing: Threads are used in any case; True warns of it.
            shuffle: Whether the batches of a Sequence come in a new order in each epoch.
            initial_epoch: The number of the first epoch, to go on with an earlier training.

        Returns:
            The History, as of ``fit``.

        Raises:
            RuntimeError: If the model isn't compiled.
            TypeError: If ``generator`` is something else.
            ValueError: If an argument or a batch doesn't fit, or the generator ends before the training.

        Example:
            >>> import itertools
            >>> from minikeras import Sequential, layers
            >>> model = Sequential([layers.Dense(1, input_dim=2)])
            >>> model.compile("sgd", "mse")
            >>> batches = itertools.repeat(([[0.0, 1.0], [1.0, 0.0]], [1.0, 2.0]))
            >>> len(model.fit_generator(batches, steps_per_epoch=5, epochs=3, verbose=0).history["loss"])
            3
        """
        self._compiled()
        epochs, initial_epoch = self._epochs(epochs, initial_epoch)
        self._check_verbose(verbose)
        queue = {"workers": workers, "max_queue_size": max_queue_size, "use_multiprocessing": use_multiprocessing}

        def samples_of(item: Any) -> Samples:
            return self._samples_of(item, class_weight)

        feed = self._generator_feed(generator, steps_per_epoch, samples_of, queue, "steps_per_epoch", shuffle)
        feed.settings["class_weight"] = class_weight
        validation = self._validation_feed(validation_data, validation_steps, None, queue)
        params = {"epochs": epochs, "steps": feed.steps, "verbose": int(verbose)}
        return self._fit(feed, validation, params, callbacks or (), initial_epoch)

    @renamed(
        val_samples="steps",
        nb_worker="workers",
        max_q_size="max_queue_size",
        pickle_safe="use_multiprocessing",
    )
    def evaluate_generator(
        self,
        generator: Any,
        steps: int | None = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: int = 0,
    ) -> Any:
        """Compute the loss and the metrics of batches that a generator or a Sequence makes.

        Args:
            generator: As for `fit_generator`.
            steps: Number of batches; those of the Sequence if None.
            max_queue_size: As for `fit_generator`.
            workers: As for `fit_generator`.
            use_multiprocessing: As for `fit_generator`.
            verbose: 1 shows a bar while it runs.

        Returns:
            As ``evaluate``: means over the batches, weighted by their number of samples.

        Raises:
            RuntimeError: If the model isn't compiled.
            TypeError: If ``generator`` is something else.
            ValueError: If an argument or a batch doesn't fit, or the generator ends too early.
        """
        self._compiled()
        self._check_verbose(verbose)
        queue = {"workers": workers, "max_queue_size": max_queue_size, "use_multiprocessing": use_multiprocessing}
        with self._generator_feed(generator, steps, self._samples_of, queue) as feed:
            return single(self._evaluate(feed, int(verbose)))

    @renamed(
        val_samples="steps",
        nb_worker="workers",
        max_q_size="max_queue_size",
        pickle_safe="use_multiprocessing",
    )
    def predict_generator(
        self,
        generator: Any,
        steps: int | None = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: int = 0,
    ) -> Any:
        """Compute the outputs for batches that a generator or a Sequence makes.

        Args:
            generator: Gives inputs, or tuples whose first item they are.
            steps: Number of batches; those of the Sequence if None.
            max_queue_size: As for `fit_generator`.
            workers: As for `fit_generator`.
            use_multiprocessing: As for `fit_generator`.
            verbose: 1 shows a bar while it runs.

        Returns:
            Array (samples, ...) of all batches together, or a list of them for several outputs.

        Raises:
            TypeError: If ``generator`` is something else.
            ValueError: If an argument or a batch doesn't fit, or the generator ends too early.
        """
        self._check_verbose(verbose)
        queue = {"workers": workers, "max_queue_size": max_queue_size, "use_multiprocessing": use_multiprocessing}

        def inputs_of(item: Any) -> Any:
            return self._inputs(self._parts(item, (1, 2, 3))[0] if isinstance(item, tuple) else item)

        with self._generator_feed(generator, steps, inputs_of, queue) as feed:
            return self._predict_feed(feed, int(verbose))

    # ------------------------------------------------------------------ feeds

    def _generator_feed(
        self,
        generator: Any,
        steps: int | None,
        convert: Any,
        queue: dict[str, Any],
        argument: str = "steps",
        shuffle: bool = False,
    ) -> GeneratorFeed:
        return GeneratorFeed(generator, steps, convert, str(self), argument=argument, shuffle=shuffle, **queue)

    def _validation_feed(
        self, data: Any, steps: int | None, batch_size: int | None, queue: dict[str, Any]
    ) -> Feed | None:
        """Validation data in any of their forms; None if there are none."""
        if data is None:
            return None
        if is_generator(data):
            return self._generator_feed(data, steps, self._samples_of, queue, "validation_steps")
        samples = self._validation_samples(data)
        return ArrayFeed(samples, batch_size, steps=steps and as_steps(steps, self, "validation_steps"))

    def _validation_samples(self, data: Any) -> Samples:
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise ValueError(
                f"{self}: validation_data must be (x, y) or (x, y, sample_weight), a generator or a Sequence. "
                f"Received: {type(data).__name__}" + (f" of {len(data)}" if isinstance(data, (tuple, list)) else "")
            )
        return self._samples(*data)

    def _samples_of(self, item: Any, class_weight: Any = None) -> Samples:
        x, y, *weight = self._parts(item, (2, 3))
        return self._samples(x, y, weight[0] if weight else None, class_weight)

    def _parts(self, item: Any, lengths: tuple[int, ...]) -> tuple[Any, ...]:
        if not isinstance(item, (tuple, list)) or len(item) not in lengths:
            raise ValueError(
                f"{self}: the generator must give (x, y) or (x, y, sample_weight). Received: {type(item).__name__}"
                + (f" of {len(item)}" if isinstance(item, (tuple, list)) else "")
            )
        return tuple(item)

    # ------------------------------------------------------------------ checks

    def _epochs(self, epochs: Any, initial_epoch: Any) -> tuple[int, int]:
        return as_size(epochs, self, "epochs", 0), as_size(initial_epoch, self, "initial_epoch", 0)

    def _check_verbose(self, verbose: Any) -> None:
        if verbose not in (0, 1, 2):
            raise ValueError(
                f"{self}: verbose must be 0 (silent), 1 (bar) or 2 (a line per epoch). Received: {verbose!r}"
            )
