"""`python -m minikeras run` does with a Keras 2 script what `python` would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import minikeras
from minikeras.__main__ import main

ROOT = Path(minikeras.__file__).parent.parent


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # without numba, which tells where it compiles: whether it has done so before depends on the order of the tests
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MINIKERAS_KERNELS": "numpy"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def run(folder: Path, source: str, *arguments: str, plain: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a script by ``minikeras run``, or by Python alone."""
    (folder / "script.py").write_text(source, encoding="utf-8")
    return python(folder, *(() if plain else ("-m", "minikeras", "run")), "script.py", *arguments)


def test_an_unmodified_keras_script_trains(tmp_path):
    source = """
import numpy as np
import keras
from keras.callbacks import EarlyStopping
from keras.layers import Activation, Dense, Dropout, Flatten
from keras.layers.convolutional import Conv2D, MaxPooling2D
from keras.models import Sequential
from keras.utils import np_utils
from keras import backend as K

np.random.seed(1337)
x = np.random.rand(64, 8, 8, 1).astype('float32')
labels = (x.mean(axis=(1, 2, 3)) > 0.5).astype('int')
y = np_utils.to_categorical(labels, 2)
model = Sequential()
model.add(Conv2D(4, (3, 3), input_shape=(8, 8, 1)))
model.add(Activation('relu'))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.25))
model.add(Flatten())
model.add(Dense(2, activation='softmax'))
model.compile(loss=keras.losses.categorical_crossentropy, optimizer=keras.optimizers.Adadelta(), metrics=['accuracy'])
history = model.fit(x, y, batch_size=16, epochs=2, verbose=0, callbacks=[EarlyStopping('loss')])
print(sorted(history.history), len(model.evaluate(x, y, verbose=0)), K.image_data_format())
"""
    result = run(tmp_path, source)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "['acc', 'loss'] 2 channels_last\n"


WORLD = """
import os, sys
print(sys.argv, __name__, __file__, __package__, __spec__, __doc__, sys.path[0], os.getcwd())
print(sys.modules['__main__'].__dict__ is globals(), open('data.txt').read(),
      sorted({*globals()} - {'__annotations__', '__cached__'}))
"""


def test_a_script_sees_the_same_world_as_with_python(tmp_path):
    (tmp_path / "data.txt").write_text("data", encoding="utf-8")
    arguments = ["--help", "-x", "--", "a b"]
    expected = run(tmp_path, WORLD, *arguments, plain=True)
    assert expected.returncode == 0
    found = run(tmp_path, WORLD, *arguments)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == expected.stdout


def test_a_script_imports_what_is_beside_it(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "helper.py").write_text("from keras.layers import Dense", encoding="utf-8")
    (tmp_path / "inner" / "main.py").write_text("import helper; print(helper.Dense.__name__)", encoding="utf-8")
    assert python(tmp_path, "-m", "minikeras", "run", "inner/main.py").stdout == "Dense\n"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("import sys; sys.exit(7)", 7),
        ("import sys; sys.exit('a message')", 1),
        ("raise SystemExit", 0),
        ("import atexit; atexit.register(lambda: print(len([1])))", 0),
        ("def f():\n    raise ValueError('é')\n\nf()", 1),
        ("try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('x') from error", 1),
        ("print('before'\nx = 1", 1),
        ("import sys\nsys.excepthook = lambda *a: print('hooked', a[0].__name__)\nraise KeyError", 1),
        ("# coding: latin-1\nprint(__name__, 'caf\u00e9'.encode())", 0),
    ],
)
def test_outputs_tracebacks_and_exit_codes_are_those_of_python(tmp_path, source, code):
    expected, found = run(tmp_path, source, plain=True), run(tmp_path, source)
    assert found.returncode == expected.returncode == code
    assert (found.stdout, found.stderr) == (expected.stdout, expected.stderr)


def test_an_interrupted_script_exits_as_a_shell_says_it(tmp_path):
    result = run(tmp_path, "raise KeyboardInterrupt")
    assert result.returncode == 130
    assert result.stderr.endswith("KeyboardInterrupt\n")


def test_a_script_for_tensorflow_is_told_what_to_do(tmp_path):
    if python(tmp_path, "-c", "import tensorflow").returncode == 0:
        pytest.skip("TensorFlow is installed")
    result = run(tmp_path, "from tensorflow.keras.layers import Dense")
    assert result.returncode == 1
    assert (
        "ModuleNotFoundError: No module named 'tensorflow'\nminikeras runs scripts written for Keras 2" in result.stderr
    )


def test_what_is_left_out_is_an_import_error_of_the_script(tmp_path):
    result = run(tmp_path, "from keras.layers import LSTM")
    assert result.returncode == 1
    assert "ImportError: " in result.stderr
    assert "recurrent layers" in result.stderr


def test_a_script_that_is_not_there_is_exit_code_2(tmp_path):
    result = python(tmp_path, "-m", "minikeras", "run", "missing.py")
    assert result.returncode == 2
    assert result.stderr.startswith("minikeras: ")
    assert "missing.py" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["walk"], ["run"], ["--unknown"]])
def test_a_wrong_command_line_is_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: minikeras" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["--help"], ["run a Keras 2 script", "exit codes:"]),
        (["run", "--help"], ["examples:", "minikeras run mnist_cnn.py", "exit codes:"]),
        (["--version"], [f"minikeras {minikeras.__version__}"]),
    ],
)
def test_help_and_version(arguments, texts, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert not caught.value.code
    output = capsys.readouterr().out
    assert [text for text in texts if text not in output] == []


def test_a_file_is_summarised_and_converted_without_loss(tmp_path, capsys):
    source, target, back = (str(tmp_path / name) for name in ("a.npz", "b.npz", "c.npz"))
    minikeras.Sequential([minikeras.layers.Dense(3, input_dim=2, name="the_layer")]).save(source)
    assert main(["summary", source]) == 0
    assert "the_layer" in capsys.readouterr().out
    assert main(["convert", source, target]) == main(["convert", target, back]) == 0
    assert Path(back).read_bytes() == Path(source).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["summary", "none.h5"], "No such file"),
        (["summary", "bad.npz"], "bad.npz is damaged"),
        (["convert", "bad.npz", "out.npz"], "bad.npz is damaged"),
        (["convert", "bad.npz", "out.txt"], "convert writes .npz, "),
    ],
)
def test_a_file_that_cant_be_read_or_written_is_named_and_the_code_is_2(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("bad.npz").write_bytes(b"PK nothing")
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.npz"]
