"""Models that Keras 2.2.4 trained: from its configuration and initial weights to its losses and predictions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from minikeras import layers, optimizers

FOLDER = Path(__file__).parents[1] / "reference" / "keras224" / "models"
COMPILE = json.loads((FOLDER / "compile.json").read_text(encoding="utf-8"))
# Keras 2.2.4 keeps other moving statistics of batch normalization; training itself doesn't read them
WITHOUT_MOVING_STATISTICS = ["auto", "lenet", "voxel", "wave"]
NAMES = [*WITHOUT_MOVING_STATISTICS, "sep", "resid"]
BEFORE_NORMALIZATION = ["a/bias"]  # its true gradient is zero, and what there is of it is rounding
# TensorFlow gave the gradient of a 3-D window to each of its largest elements: here all 8 of an upsampled voxel
TIED = {"conv3d_1/kernel": 8.0, "conv3d_1/bias": 8.0}


def compiled(name):
    """The model with its initial weights, and the arrays computed with it."""
    arrays = dict(np.load(FOLDER / f"{name}.npz"))
    model = layers.deserialize(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))
    model.set_weights([arrays[f"w{i}"] for i in range(len(model.weights))])
    settings = COMPILE[name]
    optimizer = optimizers.deserialize({"class_name": settings["optimizer"], "config": settings["optimizer_config"]})
    model.compile(optimizer, settings["loss"], metrics=settings["metrics"])
    return model, arrays


def train(model, arrays):
    """The 8 steps that Keras took."""
    batches = [slice(i % 4 * 8, i % 4 * 8 + 8) for i in range(8)]
    return [model.train_on_batch(arrays["x"][rows], arrays["y"][rows]) for rows in batches]


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def numbered(arrays, prefix):
    """The arrays prefix0, prefix1, ..."""
    return [arrays[f"{prefix}{i}"] for i in range(sum(key.startswith(prefix) for key in arrays))]


def trained(name):
    """The model with the weights and, in its optimizer, the state that Keras had saved after the 8 steps."""
    model, arrays = compiled(name)
    after = dict(np.load(FOLDER / f"{name}_trained.npz"))
    model.set_weights(numbered(after, "w"))
    model.optimizer.build(model.trainable_weights)
    model.optimizer.set_weights(numbered(after, "state"))
    return model, arrays


@pytest.mark.parametrize("name", NAMES)
def test_predictions_and_every_step_of_training_are_kerass(name):
    model, arrays = compiled(name)
    assert_close(model.predict(arrays["x"]), arrays["before"])
    logs = train(model, arrays)
    for column in range(2):
        assert_close(np.array(logs)[:, column], arrays["logs"][:, column])


@pytest.mark.parametrize("name", WITHOUT_MOVING_STATISTICS)
def test_evaluation_and_predictions_after_training_are_kerass(name):
    model, arrays = compiled(name)
    train(model, arrays)
    assert_close(model.evaluate(arrays["x"], arrays["y"], verbose=0), arrays["evaluate"])
    assert_close(model.predict(arrays["x"]), arrays["after"])


@pytest.mark.parametrize("name", NAMES)
def test_training_goes_on_as_kerass(name):
    model, arrays = compiled(name)
    train(model, arrays)
    assert_close(go_on(model, arrays), arrays["resumed"])


def go_on(model, arrays):
    """The 3 steps that Keras took after saving."""
    return [model.train_on_batch(arrays["x"][:8], arrays["y"][:8]) for _ in range(3)]


@pytest.mark.parametrize("name", NAMES)
def test_training_gives_kerass_weights_and_state_of_the_optimizer(name):
    model, arrays = compiled(name)
    train(model, arrays)
    after, _ = trained(name)
    names = [weight.name for weight in after.weights]
    without = [name for name in names if "moving" in name or name in BEFORE_NORMALIZATION]
    for weight, its in zip(model.weights, after.weights, strict=True):
        if its.name not in without:
            assert_close(weight.numpy(), its.numpy())
    for weight, its in zip(model.trainable_weights, after.trainable_weights, strict=True):
        factor = TIED.get(its.name, 1.0)
        for power, (found, expected) in enumerate(zip(state(model, weight), state(after, its), strict=True), 1):
            if its.name not in without:
                assert_close(found * factor**power, expected)


def state(model, weight):
    """The slots of the optimizer that belong to a weight."""
    arrays = model.optimizer.get_weights()[model.optimizer.saves_iterations :]
    weights = model.trainable_weights
    place = next(i for i, own in enumerate(weights) if own is weight)
    return arrays[place :: len(weights)]


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_that_keras_saved_predict_and_score_as_there(name):
    model, arrays = trained(name)
    assert_close(model.predict(arrays["x"]), arrays["after"])
    assert_close(model.evaluate(arrays["x"], arrays["y"], verbose=0), arrays["evaluate"])


@pytest.mark.parametrize("name", sorted({*NAMES} - {"voxel"}))  # whose state holds gradients that are 8 times larger
def test_training_resumes_from_the_state_that_keras_saved(name):
    model, arrays = trained(name)
    assert_close(go_on(model, arrays), arrays["resumed"])


def test_the_configuration_of_keras_comes_back():
    model, _ = compiled("lenet")
    config = json.loads((FOLDER / "lenet.json").read_text(encoding="utf-8"))["config"]
    again = json.loads(json.dumps(model.get_config()))
    for layer, original in zip(again["layers"], config["layers"], strict=True):
        assert layer["class_name"] == original["class_name"]
        assert {key: layer["config"][key] for key in original["config"]} == original["config"]


def test_the_configuration_of_a_graph_comes_back():
    model, _ = compiled("resid")
    config = json.loads((FOLDER / "resid.json").read_text(encoding="utf-8"))["config"]
    again = json.loads(model.to_json())["config"]
    assert [layer["name"] for layer in again["layers"]] == [layer["name"] for layer in config["layers"]]
    for layer, original in zip(again.pop("layers"), config.pop("layers"), strict=True):
        assert {key: layer["config"][key] for key in original["config"]} == original["config"]
        assert {**layer, "config": None} == {**original, "config": None}
    assert again == config
