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


@pytest.mark.parametrize("name", [*WITHOUT_MOVING_STATISTICS, "sep", "resid"])
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


@pytest.mark.parametrize("name", WITHOUT_MOVING_STATISTICS)
def test_training_goes_on_as_kerass(name):
    model, arrays = compiled(name)
    train(model, arrays)
    assert_close([model.train_on_batch(arrays["x"][:8], arrays["y"][:8]) for _ in range(3)], arrays["resumed"])


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
