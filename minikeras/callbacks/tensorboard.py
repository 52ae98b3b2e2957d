"""TensorBoard: scalars, histograms and images of a training, written by tensorboardX."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..layers.base import Layer
from ..layers.observers import observing
from ..layers.shapes import as_list, as_size
from .base import Callback, Logs


class TensorBoard(Callback):
    """Write what TensorBoard shows: needs the extra ``minikeras[tensorboard]``.

    Args:
        log_dir: Folder of the files.
        histogram_freq: Write histograms of all weights, and of the outputs of all layers for the first samples of the
            validation data, after every so many epochs; 0 for never.
        batch_size: Number of those samples.
        write_graph: Write the model's summary, as text.
        write_grads: With the histograms also those of the gradients of the loss for the same samples.
        write_images: With the histograms also the weights as images, convolution kernels filter by filter.
        embeddings_freq: Must be 0.
        embeddings_layer_names: Must be None.
        embeddings_metadata: Must be None.
        embeddings_data: Must be None.
        update_freq: When to write the loss and the metrics: "epoch", "batch", or after so many samples.

    Raises:
        ValueError: If an argument is out of its range; in training, if gradients are to be written and there are no
            arrays of validation data.
        ImportError: In training, if tensorboardX isn't installed.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "./logs",
        histogram_freq: int = 0,
        batch_size: int = 32,
        write_graph: bool = True,
        write_grads: bool = False,
        write_images: bool = False,
        embeddings_freq: int = 0,
        embeddings_layer_names: Any = None,
        embeddings_metadata: Any = None,
        embeddings_data: Any = None,
        update_freq: int | str = "epoch",
    ) -> None:
        if embeddings_freq or any(
            x is not None for x in (embeddings_layer_names, embeddings_metadata, embeddings_data)
        ):
            raise ValueError(
                "TensorBoard: embeddings are not written. tensorboardX does it in one call after training: "
                "SummaryWriter(log_dir).add_embedding(layer.get_weights()[0])"
            )
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = as_size(histogram_freq, "TensorBoard", "histogram_freq", 0)
        self.batch_size = as_size(batch_size, "TensorBoard", "batch_size")
        self.write_graph = write_graph
        self.write_grads = write_grads
        self.write_images = write_images
        self.update_freq: Any = update_freq
        if update_freq != "epoch":
            self.update_freq = 1 if update_freq == "batch" else as_size(update_freq, "TensorBoard", "update_freq")
        self.writer: Any = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.histogram_freq and self.write_grads and not self.validation_data:
            raise ValueError(
                "TensorBoard: write_grads computes the gradients for validation data, which must be given as arrays"
            )
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "TensorBoard needs tensorboardX: install it by pip install minikeras[tensorboard]"
            ) from error
        self.writer = SummaryWriter(self.log_dir)
        self._samples = self._samples_written = 0
        if self.write_graph:
            lines: list[str] = []
            self.model.summary(print_fn=lines.append)
            self.writer.add_text("model", "\n".join(f"    {line}" for line in lines))

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.update_freq == "epoch":
            return
        self._samples += (logs or {}).get("size", 0)
        if self._samples - self._samples_written >= self.update_freq:
            self._write_scalars(logs, self._samples)
            self._samples_written = self._samples

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
            if self.validation_data:
                self._write_activations(epoch)
        self._write_scalars(logs, epoch if self.update_freq == "epoch" else self._samples)
        self.writer.flush()

    def close(self) -> None:
        """Close the file and end the thread that writes it."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def _write_scalars(self, logs: Logs | None, step: int) -> None:
        for name, value in (logs or {}).items():
            if name not in ("batch", "size") and np.ndim(value) == 0:
                self.writer.add_scalar(name, float(value), step)

    def _write_weights(self, epoch: int) -> None:
        for weight in self.model.weights:
            self._write_histogram(weight.name, weight.numpy(), epoch)
            images = _images(weight.numpy()) if self.write_images else None
            if images is not None:
                self.writer.add_images(weight.name, images, epoch, dataformats="NHWC")

    def _write_activations(self, epoch: int) -> None:
        arrays = [array[: self.batch_size] for array in self.validation_data]
        inputs = arrays[: len(self.model.input_names)]
        targets, weights = np.array_split(np.arange(len(inputs), len(arrays)), 2)

        def write(layer: Layer, outputs: Any) -> None:
            for output in as_list(outputs):
                self._write_histogram(f"{layer.name}_out", output.numpy(), epoch)

        with observing(write):
            self.model.predict_on_batch(inputs)
        if self.write_grads:
            gradients = self.model.gradients_on_batch(
                inputs, [arrays[i] for i in targets], [arrays[i] for i in weights]
            )
            for name, gradient in gradients.items():
                self._write_histogram(f"{name}_grad", gradient, epoch)

    def _write_histogram(self, name: str, array: np.ndarray, epoch: int) -> None:
        if np.isfinite(array).all():  # tensorboardX raises on others
            self.writer.add_histogram(name, array, epoch)


def _images(weight: np.ndarray) -> np.ndarray | None:
    """A weight as images (count, height, width, colours) from 0 to 1; None if it has too many axes.

    A convolution kernel (height, width, channels, filters) is one image per filter, in colour where it has three
    channels, else of its first one; a matrix is one image.
    """
    if weight.ndim == 4:
        channels = weight if weight.shape[2] == 3 else weight[:, :, :1]
        images = np.moveaxis(channels, -1, 0)
    elif weight.ndim in (1, 2):
        images = np.atleast_2d(weight)[None, :, :, None]
    elif weight.ndim == 3:
        images = np.moveaxis(weight, -1, 0)[..., None]
    else:
        return None
    low, high = images.min(), images.max()
    return (images - low) / ((high - low) or 1.0)
