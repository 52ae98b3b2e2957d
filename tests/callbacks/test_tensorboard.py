"""TensorBoard's files, read back by tensorboardX's own protocol buffers."""

from __future__ import annotations

import builtins
import struct
import threading
import time

import numpy as np
import pytest

from minikeras import Sequential, layers
from minikeras.callbacks import Callback, TensorBoard
from tests.models.small import blobs, classifier


def events(folder):
    """All values that were written: (step, value)."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    found = []
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = event_pb2.Event.FromString(data[12 : 12 + length])
            found += [(event.step, value) for value in event.summary.value]
            data = data[16 + length :]
    return found


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    pytest.importorskip("tensorboardX")
    before = threading.active_count()
    yield
    deadline = time.monotonic() + 5.0  # a queue's own thread ends a moment after the queue is closed
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


X, LABELS = blobs(samples=20)


def test_scalars_of_every_epoch_are_those_of_the_history(tmp_path):
    history = classifier().fit(X, LABELS, epochs=3, validation_split=0.2, callbacks=[TensorBoard(tmp_path)], verbose=0)
    found = [
        (step, value.tag, value.simple_value) for step, value in events(tmp_path) if value.HasField("simple_value")
    ]
    assert {tag for _, tag, _ in found} == {"loss", "acc", "val_loss", "val_acc"}
    losses = [value for _, tag, value in found if tag == "val_loss"]
    assert losses == pytest.approx(history.history["val_loss"], rel=1e-6)
    assert [step for step, tag, _ in found if tag == "loss"] == [0, 1, 2]


def test_scalars_of_batches_are_written_by_samples(tmp_path):
    classifier().fit(X, LABELS, batch_size=5, callbacks=[TensorBoard(tmp_path, update_freq=10)], verbose=0)
    steps = [step for step, value in events(tmp_path) if value.tag == "loss"]
    assert steps == [10, 20, 20]  # and once more for the epoch


def test_histograms_of_weights_outputs_and_gradients(tmp_path):
    model = classifier()
    board = TensorBoard(tmp_path, histogram_freq=2, write_grads=True)
    model.fit(X, LABELS, epochs=3, validation_data=(X[:7], LABELS[:7]), callbacks=[board], verbose=0)
    found = {(step, value.tag): value.histo for step, value in events(tmp_path) if value.HasField("histo")}
    names = [weight.name for weight in model.weights]
    tags = [*names, *(f"{name}_grad" for name in names), *(f"{layer.name}_out" for layer in (*model.layers, model))]
    assert sorted({tag for _, tag in found}) == sorted(tag.replace(":", "_") for tag in tags)
    assert {step for step, _ in found} == {0, 2}
    final = model.weights[0].numpy()
    assert found[2, names[0]].max == pytest.approx(final.max())
    assert found[2, f"{names[0]}_grad"].num == final.size
    gradient = model.gradients_on_batch(X[:7], LABELS[:7])[names[0]]
    assert found[2, f"{names[0]}_grad"].max == pytest.approx(gradient.max(), rel=1e-4)


def test_kernels_are_written_as_images_filter_by_filter(tmp_path):
    model = Sequential(
        [layers.Conv2D(5, 3, input_shape=(4, 4, 3), name="c"), layers.Flatten(), layers.Dense(1, name="d")]
    )
    model.compile("sgd", "mse")
    board = TensorBoard(tmp_path, histogram_freq=1, write_images=True, write_graph=False)
    model.fit(np.zeros((2, 4, 4, 3)), np.zeros(2), callbacks=[board], verbose=0)
    images = {value.tag: value.image for _, value in events(tmp_path) if value.HasField("image")}
    assert {tag.partition("/")[0] for tag in images} == {"c", "d"}
    assert all(image.encoded_image_string.startswith(b"\x89PNG") for image in images.values())


def test_the_summary_is_written_as_text(tmp_path):
    classifier().fit(X, LABELS, callbacks=[TensorBoard(tmp_path)], verbose=0)
    (text,) = [value.tensor.string_val[0] for _, value in events(tmp_path) if value.tag.startswith("model")]
    assert b"Total params: 51" in text


def test_an_interrupted_training_ends_the_writing_thread(tmp_path):
    class Interrupt(Callback):
        def on_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classifier().fit(X, LABELS, callbacks=[TensorBoard(tmp_path), Interrupt()], verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"embeddings_freq": 1}, "embeddings are not written. tensorboardX does it"),
        ({"embeddings_layer_names": ["a"]}, "embeddings are not written"),
        ({"histogram_freq": -1}, "TensorBoard: histogram_freq must be an integer of at least 0"),
        ({"update_freq": "hour"}, "TensorBoard: update_freq must be a positive integer. Received: 'hour'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TensorBoard(**arguments)


def test_gradients_need_validation_data(tmp_path):
    with pytest.raises(ValueError, match="write_grads computes the gradients for validation data"):
        classifier().fit(X, LABELS, callbacks=[TensorBoard(tmp_path, 1, write_grads=True)], verbose=0)


def test_a_missing_library_is_named_with_its_extra(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name == "tensorboardX":
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install minikeras\[tensorboard\]"):
        classifier().fit(X, LABELS, callbacks=[TensorBoard(tmp_path)], verbose=0)
