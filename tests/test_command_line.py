"""`minikeras diff`, `predict` and `check`: what they print, write, and exit with."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minikeras import Model, Sequential, layers, losses
from minikeras.__main__ import main
from minikeras.callbacks import BackupAndRestore, Callback
from minikeras.callbacks.backup import read_backup
from minikeras.saving.states import write_state
from tests import pages


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def model(units=3, seed=1, last="two"):
    made = Sequential([layers.Dense(units, input_dim=2, name="one"), layers.Dense(1, name=last)], name="m")
    rng = np.random.default_rng(seed)
    made.set_weights([rng.standard_normal(weight.shape) for weight in made.get_weights()])
    return made


def outcome(capsys, *arguments):
    """The exit code, and the lines on both outputs."""
    code = main([*arguments])
    printed = capsys.readouterr()
    return code, printed.out.splitlines(), printed.err


# ---------------------------------------------------------------------- diff


@pytest.mark.parametrize("other", ["b.npz", "b.h5", "b.keras", "w.npz", "w.safetensors", "w.h5", "w.weights.h5"])
def test_the_same_model_in_any_two_formats_is_no_difference(other, capsys):
    if other.endswith((".h5", ".keras")):
        pytest.importorskip("h5py")
    model().save("a.npz")
    (model().save_weights if other.startswith("w") else model().save)(other)
    code, lines, _ = outcome(capsys, "diff", "a.npz", other)
    assert (code, lines[-1]) == (0, "No difference in 2 layers, 13 numbers.")
    assert len(lines) == 6


def test_the_largest_difference_of_each_weight_is_shown(capsys):
    one, other = model(), model()
    weights = other.get_weights()
    weights[1] += [0.0, -0.25, 0.125]
    other.set_weights(weights)
    one.save("a.npz")
    other.save("b.npz")
    code, lines, _ = outcome(capsys, "diff", "a.npz", "b.npz")
    assert code == 1
    assert [line.split()[-1] for line in lines[1:5]] == ["0", "0.25", "0", "0"]
    assert lines[-1] == "The files differ."


def test_other_shapes_layers_and_arguments_are_differences(capsys):
    model().save("a.npz")
    other = model(4)
    other.add(layers.Activation("relu", name="more"))
    other.save("b.npz")
    code, lines, _ = outcome(capsys, "diff", "a.npz", "b.npz")
    assert code == 1
    rows = [line.split() for line in lines]
    assert ["one", "units", "3", "4"] in rows
    assert ["more", "layer", "-", "Activation"] in rows
    assert ["one", "kernel", "(2,", "3)", "(2,", "4)"] in rows


def test_layers_of_other_names_go_together_in_order_and_nan_is_no_number(capsys):
    model().save_weights("a.npz")
    other = model(last="dense_7")
    other.get_layer("dense_7").set_weights([np.full((3, 1), np.nan), model().get_weights()[3]])
    other.save_weights("b.npz")
    code, lines, _ = outcome(capsys, "diff", "a.npz", "b.npz")
    assert code == 1
    assert lines[3].split() == ["two", "|", "dense_7", "kernel", "(3,", "1)", "(3,", "1)", "inf"]
    assert outcome(capsys, "diff", "b.npz", "b.npz")[0] == 0


# ---------------------------------------------------------------------- predict


def test_predictions_are_those_of_the_model(capsys):
    made, x = model(), np.random.default_rng(0).standard_normal((5, 2)).astype("float32")
    made.save("m.npz")
    np.save("x.npy", np.asfortranarray(x))
    code, lines, _ = outcome(capsys, "predict", "m.npz", "x.npy", "y.npy", "--batch-size", "2")
    assert (code, lines) == (0, ["y.npy: two (5, 1) float32"])
    np.testing.assert_array_equal(np.load("y.npy"), made.predict(x, batch_size=2))


def test_several_inputs_go_by_their_names_and_outputs_come_out_by_theirs(capsys):
    one, other = layers.Input((2,), name="one"), layers.Input((2,), name="other")
    both = Model([one, other], [layers.Subtract(name="less")([one, other]), layers.Add(name="more")([one, other])])
    both.save("m.npz")
    np.savez("x.npz", other=np.ones((3, 2)), one=np.full((3, 2), 5.0))
    assert outcome(capsys, "predict", "m.npz", "x.npz", "y.npz")[0] == 0
    with np.load("y.npz") as found:
        assert {name: np.unique(found[name]).tolist() for name in found.files} == {"less": [4.0], "more": [6.0]}


PREDICTIONS = {
    "objects": (["m.npz", "objects.npy", "y.npy"], "objects.npy is damaged or no .npy file of numbers: it doesn't"),
    "petabytes": (["m.npz", "large.npy", "y.npy"], "takes 8000000000000000 bytes, and it has 0"),
    "another file": (["m.npz", "m.npz", "y.npy"], "m.npz: the model has 1 input, one_input. Received: "),
    "too few inputs": (["two.npz", "x.npy", "y.npz"], "the model has 2 inputs, a, b: give an .npz file"),
    "too few files": (["two.npz", "xs.npz", "y.npy"], "2 outputs, p, q: their file must end in .npz"),
    "a suffix": (["m.npz", "x.npy", "y.csv"], "predict writes .npy and .npz files. Received: 'y.csv'"),
    "a folder": (["m.npz", "x.npy", "no/y.npy"], "no/y.npy can't be written: there is no folder"),
    "a shape": (["m.npz", "wrong.npy", "y.npy"], "axis 1 of the input must have size 2, and has 3. Received: shape"),
    "no file": (["m.npz", "no.npy", "y.npy"], "No such file"),
    "weights": (["w.npz", "x.npy", "y.npy"], "w.npz holds no model"),
}


@pytest.mark.parametrize("case", PREDICTIONS)
def test_what_cant_be_predicted_is_a_message_and_writes_nothing(case, tmp_path, capsys):
    model().save("m.npz")
    model().save_weights("w.npz")
    a, b = layers.Input((2,), name="a"), layers.Input((2,), name="b")
    Model([a, b], [layers.Dense(1, name="p")(a), layers.Dense(1, name="q")(b)]).save("two.npz")
    np.save("x.npy", np.zeros((1, 2)))
    np.savez("xs.npz", a=np.zeros((1, 2)), b=np.zeros((1, 2)))
    np.save("wrong.npy", np.zeros((1, 3)))
    np.save("objects.npy", np.array([{}]), allow_pickle=True)
    with open("large.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**9)})
    before = sorted(tmp_path.iterdir())
    arguments, message = PREDICTIONS[case]
    code, lines, error = outcome(capsys, "predict", *arguments)
    assert (code, lines) == (2, [])
    assert message in error
    assert sorted(tmp_path.iterdir()) == before


# ---------------------------------------------------------------------- check


def test_a_sound_file_is_described(capsys):
    made = model()
    made.compile("adam", "mse")
    made.fit(np.zeros((4, 2)), np.zeros(4), batch_size=2, verbose=0)
    made.save("m.npz")
    code, lines, _ = outcome(capsys, "check", "m.npz")
    assert code == 0
    assert lines[0].startswith("m.npz: minikeras's .npz, ")
    assert lines[1:] == [
        "  architecture: Sequential 'm', 2 layers, (?, 2) -> (?, 1)",
        "  weights: 13 in 4 arrays of 2 layers, float32",
        "  training: compiled with Adam with its state after 2 steps",
        "  sound",
    ]


def test_a_file_of_weights_is_called_so(capsys):
    model().save_weights("w.safetensors")
    code, lines, _ = outcome(capsys, "check", "w.safetensors")
    assert code == 0
    assert lines[0].endswith("bytes, weights only")


class PowerCut(Callback):
    """Ends a training in the middle of its second epoch."""

    def on_batch_end(self, batch, logs=None):
        if len(self.model.history.epoch) == 1 and batch == 1:
            raise KeyboardInterrupt


def broken_off():
    """The file of a training that was broken off."""
    made = model()
    made.compile("adam", "mse")
    with pytest.raises(KeyboardInterrupt):
        made.fit(
            np.zeros((8, 2)), np.zeros(8), 2, epochs=3, verbose=0, callbacks=[BackupAndRestore("b", 1), PowerCut()]
        )
    return "b/training.npz"


def test_a_training_that_was_broken_off_is_called_so(capsys):
    path = broken_off()
    code, lines, _ = outcome(capsys, "check", path)
    assert code == 0
    assert re.fullmatch(rf"{path}: BackupAndRestore's .npz, [\d,]+ bytes, a training that was broken off", lines[0])
    assert lines[1:] == [
        "  weights: 13 in 4 arrays, float32",
        "  training: compiled with Adam, 1 epoch and 1 step done",
        "  sound",
    ]


@pytest.mark.parametrize("command", ["summary {}", "diff {} {}", "convert {} m.npz", "predict {} x.npy y.npy"])
def test_a_training_that_was_broken_off_is_no_model(command, capsys):
    code, lines, error = outcome(capsys, *command.format(*[broken_off()] * 2).split())
    assert (code, lines) == (2, [])
    assert error == (
        "minikeras: b/training.npz holds a training that was broken off, for the callback BackupAndRestore, and no "
        "model to be loaded\n"
    )
    with pytest.raises(ValueError, match="holds a training that was broken off"):
        model().load_weights("b/training.npz")


@pytest.mark.parametrize("change", [{"epoch": -1}, {"batch": "two"}, {"weights": 3}, {"weights": [1]}])
def test_a_training_that_stands_nowhere_is_damaged(change, capsys):
    kept = read_backup(broken_off())
    kept["run"].update(change)
    write_state("b/training.npz", kept, 1)
    code, _, error = outcome(capsys, "check", "b/training.npz")
    assert code == 2
    assert "b/training.npz is damaged: it doesn't say where the training stands" in error


def test_weights_of_a_broken_training_that_are_no_numbers_are_a_fault(capsys):
    kept = read_backup(broken_off())
    kept["run"]["weights"][1] = np.full(3, np.nan, "f4")
    write_state("b/training.npz", kept, 1)
    code, lines, _ = outcome(capsys, "check", "b/training.npz")
    assert (code, lines[-2:]) == (1, ["  FAULT: weights/1: 3 of 3 numbers are NaN or infinite", "  1 fault"])


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("m.h5", "HDF5 of Keras 2.2.4"),
        ("w.weights.h5", "Keras 3's .weights.h5"),
        ("keras3/models/resid.h5", "HDF5 of Keras 3.15.1"),
        ("tf_keras/chain.h5", "HDF5 of Keras 2.21.0"),
        ("m.safetensors", "safetensors"),
    ],
)
def test_the_format_of_a_file_is_said(name, form, capsys):
    pytest.importorskip("h5py")
    path = name
    if "/" in name:
        path = os.fspath(Path(__file__).parent / "reference" / name)
    else:
        (model().save if name == "m.h5" else model().save_weights)(name)
    code, lines, _ = outcome(capsys, "check", path)
    assert code == 0
    assert lines[0].startswith(f"{path}: {form}, ")


@pytest.mark.parametrize("command", ["check m", "summary m", "diff m m", "convert m n.npz", "predict m x.npy y.npy"])
def test_a_folder_is_no_file(command, capsys):
    Path("m").mkdir()
    assert outcome(capsys, *command.split()) == (2, [], "minikeras: m is a folder, and models and weights are files\n")
    Path("m", "saved_model.pb").touch()
    _, _, error = outcome(capsys, *command.split())
    assert "m is a SavedModel of TensorFlow, which minikeras doesn't read: save it to .keras or .h5 there" in error


def test_run_without_a_script_asks_for_no_more(capsys):
    with pytest.raises(SystemExit):
        main(["run"])
    assert capsys.readouterr().err.endswith("the following arguments are required: SCRIPT\n")


def test_a_file_of_keras_3_is_called_so_whatever_its_name(capsys):
    pytest.importorskip("h5py")
    model().save("m.keras")
    Path("m.keras").rename("m.npz")
    code, lines, _ = outcome(capsys, "check", "m.npz")
    assert code == 0
    assert lines[0].startswith("m.npz: Keras 3's .keras, ")


def test_weights_that_are_no_numbers_are_a_fault(capsys):
    made = model()
    made.set_weights([np.where(np.arange(w.size).reshape(w.shape) == 1, np.inf, w) for w in made.get_weights()])
    made.save("m.npz")
    code, lines, _ = outcome(capsys, "check", "m.npz")
    assert code == 1
    assert lines[-4:-1] == [
        f"  FAULT: {name}: 1 of {size} numbers are NaN or infinite"
        for name, size in (("one/kernel", 6), ("one/bias", 3), ("two/kernel", 3))
    ]
    assert lines[-1] == "  3 faults"


@pytest.mark.parametrize("command", [["check", "bad.npz"], ["diff", "bad.npz", "bad.npz"]])
def test_a_damaged_file_is_exit_code_2(command, capsys):
    model().save("bad.npz")
    with open("bad.npz", "r+b") as file:
        file.truncate(700)
    code, _, error = outcome(capsys, *command)
    assert code == 2
    assert "bad.npz is damaged" in error


class Own(layers.Dense):
    """A layer that the command line doesn't know."""


def compiled_with_a_loss_of_ones_own():
    made = model()

    def own(y_true, y_pred):
        return losses.mean_squared_error(y_true, y_pred)

    made.compile("adam", own)
    return made


@pytest.mark.parametrize(
    "command",
    [
        ["summary", "m.npz"],
        ["convert", "m.npz", "n.npz"],
        ["diff", "m.npz", "m.npz"],
        ["predict", "m.npz", "x.npy", "y.npy"],
        ["check", "m.npz"],
    ],
    ids=lambda command: command[0],
)
def test_advice_is_for_whom_has_a_command_line(command, capsys):
    Sequential([Own(1, input_dim=2)]).save("m.npz")
    code, _, error = outcome(capsys, *command)
    assert code == 2
    assert "Unknown layer: 'Own'. The command line knows only what is minikeras's own: a Python script can" in error
    model().save_weights("m.npz")
    if command[0] in ("summary", "convert", "predict"):
        code, _, error = outcome(capsys, *command)
        assert code == 2
        assert "Files of weights are read by minikeras check and minikeras diff" in error
    assert "custom_object_scope" not in error
    assert "model.load_weights" not in error


def test_what_belongs_to_training_can_be_left_out(capsys):
    compiled_with_a_loss_of_ones_own().save("m.npz")
    code, lines, _ = outcome(capsys, "check", "m.npz")
    assert code == 1
    assert lines[-2].startswith(
        "  FAULT: it can't be compiled as it was; minikeras convert --no-training reads the rest: Unknown loss: 'own'"
    )
    assert main(["convert", "m.npz", "n.npz"]) == 2
    assert "minikeras convert --no-training reads the rest" in capsys.readouterr().err
    assert main(["convert", "--no-training", "m.npz", "n.npz"]) == 0
    assert main(["diff", "m.npz", "n.npz"]) == 0
    assert outcome(capsys, "check", "n.npz")[1][-2] == "  training: not compiled"


def test_convert_says_all_that_it_writes(capsys):
    model().save("m.npz")
    code, _, error = outcome(capsys, "convert", "m.npz", "m.pt")
    assert code == 2
    assert error == (
        "minikeras: convert writes .npz, .keras, .h5, .hdf5, .safetensors, .onnx files. Received: 'm.pt'\n"
    )


@pytest.mark.parametrize("target", ["x.npy", "./x.npy", "m.npz"])
def test_predict_writes_over_nothing_that_it_reads(target, capsys):
    model().save("m.npz")
    np.save("x.npy", np.ones((3, 2)))
    before = Path(target).read_bytes()
    code, _, error = outcome(capsys, "predict", "m.npz", "x.npy", target)
    assert code == 2
    assert "predict would write its output over" in error
    assert Path(target).read_bytes() == before


@pytest.mark.filterwarnings("default")
def test_a_warning_is_a_line_without_code(capsys):
    pytest.importorskip("h5py")
    made = model()
    made.compile("nadam", "mse")
    made.save("m.npz")
    code, _, error = outcome(capsys, "convert", "m.npz", "m.keras")
    assert code == 0
    assert error.startswith("minikeras: warning: m.keras: Keras 3 will load it without compiling it. ")
    assert len(error.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="pipes end otherwise elsewhere")
def test_a_reader_that_stops_reading_is_no_error():
    model().save("m.npz")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "minikeras", "diff", "m.npz", "m.npz"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "MINIKERAS_KERNELS": "numpy"},
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("command", ["diff", "predict", "check"])
def test_help_has_examples_and_exit_codes(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    out = capsys.readouterr().out
    assert f"  minikeras {command} " in out
    assert "exit codes:" in out


# ---------------------------------------------------------------------- the page


def test_the_page_shows_what_the_commands_print(capsys):
    page = Path(__file__).parents[1] / "docs" / "command_line.md"
    for _ in pages.run(page):
        pass
    shown = re.findall(r"^```console\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(shown) == 1
    for block in shown:
        assert without_sizes(session(block, capsys)) == without_sizes(block)


def session(block, capsys):
    """The block with what its commands print now."""
    lines, code = [], 0
    for line in block.splitlines():
        if line.startswith("$ "):
            lines.append(line)
        if line.startswith("$ minikeras "):
            code = main(shlex.split(line)[2:])
            printed = capsys.readouterr()
            lines += [*printed.out.splitlines(), *printed.err.splitlines()]
        elif line == "$ echo $?":
            lines.append(str(code))
    return "\n".join(lines) + "\n"


def without_sizes(text):
    return re.sub(r"[\d,]+ bytes|\d\.\d+(e-\d+)?", "#", text)
