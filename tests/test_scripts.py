"""Scripts written for Keras 2, run as they are by ``minikeras run`` and judged by the numbers that they print.

Most of them compute the same a second time in plain NumPy and print both.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = Path(__file__).resolve().parent / "scripts"


@pytest.fixture
def run(tmp_path) -> Callable[[str], dict[str, Any]]:
    """Function that runs a script, without warnings, and returns what its lines ``label: value`` say."""
    folders = {name: tmp_path / name.lower() for name in ("KERAS_HOME", "TMPDIR", "work")}
    for folder in folders.values():
        folder.mkdir()
    environment = os.environ | {name: str(folder) for name, folder in folders.items()}
    environment |= {"MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}

    def run(name: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "minikeras", "run", str(SCRIPTS / f"{name}.py")]
        pipes = {"capture_output": True, "text": True, "encoding": "utf-8"}
        done = subprocess.run(command, cwd=folders["work"], env=environment, timeout=120, **pipes)
        assert done.returncode == 0, done.stderr
        told = [line for line in done.stderr.splitlines() if not line.startswith("minikeras: compiling kernels")]
        assert told == []
        return {label: value_of(text) for label, text in (line.split(": ", 1) for line in done.stdout.splitlines())}

    return run


def value_of(text: str) -> float | str:
    """Return a number where the text is one."""
    try:
        return float(text)
    except ValueError:
        return text


def close(expected: float) -> Any:
    """Return what is equal to a number up to the rounding of float32."""
    return pytest.approx(expected, rel=2e-5, abs=1e-6)


def test_a_layer_of_ones_own_is_trained_saved_and_loaded(run):
    printed = run("custom_layer")
    assert printed["parameters"] == 5 * 4 + 5 + 4
    assert printed["trainable"] == 5 * 4 + 4
    assert printed["prediction"] == close(printed["prediction by hand"])
    assert printed["step"] > 1e-3
    assert printed["error after a step"] < 1e-6
    assert printed["units when loaded"] == 4
    assert printed["loaded differs by"] == 0


def test_losses_and_metrics_written_with_k_agree_with_numpy(run):
    printed = run("custom_loss")
    assert printed["names"] == "loss r2 within"
    for name in ("loss", "r2", "within"):
        assert printed[name] == close(printed[f"{name} by hand"])
    assert printed["r2"] > 0.8
    assert printed["r2 when loaded"] == printed["r2"]
    assert printed["below the 0.9 quantile"] == pytest.approx(0.9, abs=0.02)


def test_two_inputs_and_two_outputs_are_fed_by_name_and_weighted(run):
    printed = run("multi_input_output")
    logs = ["kind_acc", "kind_loss", "loss", "price_loss", "price_mean_absolute_error"]
    assert printed["history"].split() == [*logs, *(f"val_{name}" for name in logs)]
    assert printed["names"] == "loss kind_loss price_loss kind_acc price_mean_absolute_error"
    for name in [*logs, "last val_loss"]:
        assert printed[name] == close(printed[f"{name} by hand"])
    assert printed["improved"] > 2


def test_generators_and_sequences_train_as_arrays_do(run):
    printed = run("generators")
    assert printed["steps"] == 4
    assert printed["epochs seen"] == 3
    assert printed["moved"] > 1e-3
    assert printed["Sequence differs by"] < 1e-6
    assert printed["generator differs by"] < 1e-6
    assert printed["loss of Sequence"] == close(printed["loss of arrays"])
    assert printed["loss of generator"] == close(printed["loss of arrays"])
    assert printed["val_loss of arrays"] == close(printed["val_loss by hand"])
    assert printed["val_loss of Sequence"] == close(printed["val_loss by hand"])
    assert printed["val_loss of generator"] == close(printed["val_loss of the last two batches by hand"])
    assert printed["evaluate_generator"] == close(printed["val_loss by hand"])


def test_callbacks_work_together(run):
    printed = run("several_callbacks")
    assert printed["epochs"] == printed["epochs by hand"] < 60
    assert printed["stopped_epoch"] == printed["epochs"] - 1
    assert printed["batch sizes"] == "[8, 8, 8, 6]"
    assert printed["batches"] == 4 * printed["epochs"]
    assert printed["rates"] >= 3
    assert printed["rates differ by"] < 1e-8
    assert printed["columns"] == "epoch loss lr val_loss"
    assert printed["log differs by"] == 0
    assert printed["restored"] == close(printed["lowest val_loss"])
    assert printed["checkpoint"] == close(printed["lowest val_loss"])


def test_weights_go_from_model_to_model(run):
    printed = run("weight_transfer")
    assert printed["encoder moved"] > 1e-4
    assert printed["shared layers differ by"] < 1e-6
    assert printed["by name differs by"] < 1e-6
    assert printed["head moved"] == 0
    assert printed["before load_weights"] > 1e-2
    assert printed["after load_weights differs by"] < 1e-6
    assert printed["shared weights"] == 0
    assert printed["copies moved"] < 1e-6
    assert printed["wrong shape"] == "refused"


def test_class_weights_are_sample_weights_by_class(run):
    printed = run("imbalanced")
    for way in ("without weights", "class weights", "sample weights"):
        assert printed[f"{way} differ by"] < 1e-5
    assert printed["recall without"] < 0.2
    assert printed["recall with"] > 0.7
    assert printed["names"] == "loss acc weighted_acc"
    for name in ("first loss", "loss", "accuracy", "weighted accuracy"):
        assert printed[name] == close(printed[f"{name} by hand"])


def test_a_frozen_base_stays_identical_until_it_is_fine_tuned(run):
    printed = run("fine_tuning")
    assert printed["trainable when frozen"] == 2
    assert printed["not trainable when frozen"] == 6
    assert printed["frozen identical"] == "True"
    assert printed["head moved"] > 1e-2
    assert printed["trainable when tuned"] == 4
    assert printed["changed"] == "0 0 1 1 1 1"  # convolution as it was; gamma, beta and the moving statistics
    assert printed["loss ratio"] < 0.9
    assert printed["accuracy"] > 0.8


def test_an_optimizer_follows_another_and_begins_anew(run):
    printed = run("two_optimizers")
    assert printed["adam moved"] > 0.1
    assert printed["adam differs by"] < 1e-5
    assert printed["adam iterations"] == 8
    assert printed["recompiling moved"] == printed["adam differs by"]
    assert printed["sgd iterations at first"] == 0
    assert printed["learning rate"] == close(0.1)
    assert printed["sgd moved"] > 0.1
    assert printed["sgd differs by"] < 1e-5
    assert printed["sgd iterations"] == 12
    assert printed["momentum in the configuration"] == close(0.9)
    assert printed["default rate"] == close(0.001)
    assert printed["rebuilt rate"] == close(0.05)


def test_cross_validation_finds_the_least_squares_of_each_fold(run):
    pytest.importorskip("sklearn")
    printed = run("cross_validation")
    for fold in range(4):
        expected = pytest.approx(printed[f"fold {fold} least squares"], rel=1e-3)
        assert printed[f"fold {fold} by hand"] == expected
        assert printed[f"fold {fold} wrapped"] == expected
    assert printed["name after clear_session"] == "dense_1"
    assert printed["folds"] == 3
    assert printed["accuracy"] > 0.8
    assert printed["best epochs"] == 40
    assert printed["classes"] == "high low"


def test_the_graph_of_a_model_is_used_as_in_keras_2(run):
    printed = run("graph_idioms")
    assert printed["vae"] == pytest.approx(printed["vae by hand"], rel=1e-3)  # the sample has a little noise
    assert printed["vae falls to"] < 0.97
    assert printed["loss of a step"] == close(printed["loss of train_on_batch"])
    assert printed["gradient step differs by"] < 1e-6
    assert printed["train_on_batch differs by"] < 1e-6
    assert printed["attention differs by"] < 1e-6
    assert printed["axes of the embedding"] == 3
    assert printed["tensor as input differs by"] == 0
