"""HDF5 files from anywhere: what is refused, by which words, and what the reading process may not do."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from minikeras.models import load_model
from minikeras.saving import ModelFileError, hdf5_child
from minikeras.saving.configurations import parse
from minikeras.saving.hdf5 import Hdf5Reader, write_hdf5
from tests.models.small import classifier

h5py = pytest.importorskip("h5py")
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs limits of processes, and signals")


def test_arrays_and_texts_come_back_as_they_were(tmp_path):
    path = tmp_path / "a.h5"
    attributes = {"": {"model_config": "{é}"}, "g/h": {"weight_names": ["a", "b"]}, "empty": {"weight_names": []}}
    arrays = {"g/h/a": np.arange(6, dtype="f4").reshape(2, 3), "g/h/b": np.float64(2.5), "none": np.zeros((0, 3), "f2")}
    write_hdf5(path, attributes, arrays)
    with Hdf5Reader(path) as reader:
        assert reader.attributes == {**attributes, "g": {}}
        assert reader.shapes == {name: np.shape(array) for name, array in arrays.items()}
        for name, array in arrays.items():
            found = reader.read(name)
            assert found.dtype == array.dtype
            np.testing.assert_array_equal(found, array)


def test_a_file_that_is_a_member_of_an_archive_is_read_from_its_bytes(tmp_path):
    path = tmp_path / "a.h5"
    write_hdf5(path, {"": {"model_config": "{}"}}, {"a": np.arange(2**18)})
    data = path.read_bytes()
    path.unlink()
    with Hdf5Reader("m.keras", data) as reader:
        assert reader.attributes[""] == {"model_config": "{}"}
        np.testing.assert_array_equal(reader.read("a"), np.arange(2**18))
    with pytest.raises(ModelFileError, match=r"^m\.keras is damaged or no file of Keras"), Hdf5Reader("m.keras", b"x"):
        pass


def test_big_endian_and_compressed_arrays_are_read(tmp_path):
    data = np.random.default_rng(0).normal(size=(50, 40))
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        file.create_dataset("big", data=data.astype(">f8"))
        file.create_dataset("packed", data=data, compression="gzip", shuffle=True, chunks=(7, 9))
        file.create_dataset("zeros", data=np.zeros((512, 512), "f4"), compression="gzip")
    with Hdf5Reader(tmp_path / "a.h5") as reader:
        np.testing.assert_array_equal(reader.read("big"), data)
        np.testing.assert_array_equal(reader.read("packed"), data)
        assert not reader.read("zeros").any()


def deep(file):
    group = file
    for _ in range(40):
        group = group.create_group("g")


def virtual(file):
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(4,))
    file.create_virtual_dataset("a", layout)


def attribute(name, value, **how):
    return lambda file: file.attrs.create(name, value, **how)


def array(*arguments, **keywords):
    return lambda file: file.create_dataset("a", *arguments, **keywords)


REFUSED = {
    "an external link": (
        lambda f: f.__setitem__("a", h5py.ExternalLink("/etc/passwd", "/")),
        "'a' is an external link",
    ),
    "a soft link": (lambda f: f.__setitem__("a", h5py.SoftLink("/b")), "'a' is a soft link"),
    "external storage": (array((4,), "f4", external=[("/etc/passwd", 0, 16)]), r"another file \(external storage\)"),
    "a virtual dataset": (virtual, "'a' is a virtual dataset"),
    "references": (array(data=h5py.Reference(), dtype=h5py.ref_dtype), "'a' holds object references instead of"),
    "text": (array(data=np.array(["x"], object), dtype=h5py.string_dtype()), "'a' holds text instead of numbers"),
    "ragged arrays": (array((2,), dtype=h5py.vlen_dtype("f4")), "'a' holds arrays of variable length"),
    "compound values": (array(data=np.zeros(2, [("x", "f4"), ("y", "f4")])), "'a' holds compound values"),
    "complex numbers": (array(data=np.zeros(2, "c8")), "'a' holds .* instead of numbers"),
    "a named type": (lambda f: f.__setitem__("a", np.dtype("f4")), "'a' is neither a group nor an array"),
    "no shape": (array(data=h5py.Empty("f4")), "'a' is an array without a shape"),
    "nothing stored": (array((10**6, 10**6), "f4"), "0 bytes of data instead of 4000000000000"),
    "a huge shape": (array((10**6, 10**6), "f4", chunks=(100, 100)), "a compression bomb"),
    "a bomb": (array(data=np.zeros(2**22, "f4"), compression="gzip", chunks=(2**22,)), "a compression bomb"),
    "another filter": (array(data=np.zeros(100), compression="lzf"), "the filter 32000"),
    "deep nesting": (deep, "nested deeper than 32"),
    "a loop": (lambda f: f.__setitem__("a", f["/"]), "nested deeper than 32"),
    "a number for text": (attribute("model_config", 3.0), "'@model_config' holds numbers instead of text"),
    "a reference for text": (
        lambda f: f.attrs.create("model_config", f.ref, dtype=h5py.ref_dtype),
        "'@model_config' holds object references instead of text",
    ),
    "a table of names": (attribute("layer_names", np.array([[b"a"]])), "'@layer_names' has the shape"),
    "no text": (attribute("model_config", b"\xff\xfe"), "UnicodeDecodeError"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_by_name_is(what, tmp_path):
    make, message = REFUSED[what]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        make(file)
    with pytest.raises(ModelFileError, match=message) as caught, Hdf5Reader(tmp_path / "a.h5"):
        pass
    assert str(tmp_path / "a.h5") in str(caught.value)
    with h5py.File(tmp_path / "a.h5") as file, pytest.raises((hdf5_child.Refused, UnicodeDecodeError), match=r"."):
        hdf5_child.describe(h5py, file, 10**6)


def test_too_many_objects_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5_child, "MOST_OBJECTS", 9)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i in range(10):
            file.create_group(str(i))
        with pytest.raises(hdf5_child.Refused, match="more than 9 objects"):
            hdf5_child.describe(h5py, file, 10**6)


def test_arrays_that_share_their_bytes_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = np.zeros(10**5)
        for i in range(9):
            file[str(i)] = file["a"]
    with pytest.raises(ModelFileError, match="they overlap"), Hdf5Reader(tmp_path / "a.h5"):
        pass


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 1000, "nested deeper than 100"),
        ('{"a":' * 200, "nested deeper than 100"),
        ("[[]" + ",[]" * 200_001 + "]", "more than 200000 lists and dicts"),
        (" " * (2**24 + 1), "is longer than"),
        ("[1]", "must be a JSON object"),
        ('{"a"', "Expecting"),
        ("{" + "0," * 10**6 + "}", "more than 1000000 values"),
        ("{" + '"a":0,' * 300_001 + "}", "more than 300000 keys"),
        ('{"a": ' + "9" * 101 + "}", "an integer of 101 digits"),
        ('{"a": 1e400}', "the number 1e400 is too large"),
        ('{"a": 0.' + "1" * 200 + "}", "too large or too long"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ('{"a": [-Infinity]}', "-Infinity is no number of JSON"),
        ('{"a": {"b": 1, "b": 2}}', "the key 'b' is there twice"),
        ('{"a": "\\ud800"}', "surrogates not allowed"),
        ('{"\\uDBff": 1}', "surrogates not allowed"),
        (b'{"a": "\xed\xa0\x80"}', "can't decode"),
        ('{"a": 1}'.encode("utf-16"), "can't decode"),
        ('{"a": 1}'.encode("utf-16-le"), "Expecting property name"),
    ],
)
def test_a_configuration_without_measure_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_what_is_unusual_but_right_is_read():
    assert parse('{"a": "\\ud83d\\ude00", "b": ' + str(2**128) + ', "c": 1e-300}') == {
        "a": "\N{GRINNING FACE}",
        "b": 2**128,
        "c": 1e-300,
    }


@pytest.mark.parametrize("filling", ["[", "\\\\", '\\"[', ",", "é["])
def test_strings_over_the_edges_of_pieces_are_strings(filling, monkeypatch):
    monkeypatch.setattr("minikeras.saving.configurations._PIECE", 7)
    text = f'{{"a": ["{filling * 200}", [1, "{filling}"]]}}'
    assert parse(text) == json.loads(text)
    with pytest.raises(ValueError, match="nested deeper than 100"):
        parse(f'{{"a": "{filling * 50}", "b": {"[" * 100}')


def test_brackets_in_strings_are_not_nesting():
    assert parse('{"a": "' + "[" * 200 + '\\"["}') == {"a": "[" * 200 + '"['}


# ---------------------------------------------------------------------- the process


def in_child(code):
    """Run code under the limits of a file of 1000 bytes; the code finds NumPy, h5py and the module ``child``."""
    lines = ["import json, math, os, sys", f"sys.path += {[p for p in sys.path if p]!r}", "import numpy, h5py"]
    lines += ["from minikeras.saving import hdf5_child as child", "child.limit_memory(1000)", "child.limit(1000)", code]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, env=environment)


@POSIX
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("open('/etc/passwd')", "Too many open files"),
        ("open('/tmp/new', 'w')", "Too many open files"),
        ("os.pipe()", "Too many open files"),
        ("import socket; socket.socket()", "Too many open files|No module|Error"),
    ],
)
def test_the_reading_process_can_open_nothing(code, error):
    result = in_child(code)
    assert result.returncode == 1
    assert re.search(error, result.stderr)


@POSIX
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="only Linux keeps to the limit of memory")
def test_the_reading_process_has_little_memory():
    assert "MemoryError" in in_child("bytearray(2**27)").stderr
    assert in_child("bytearray(2**25)").returncode == 0


@POSIX
def test_the_reading_process_has_little_time():
    assert in_child("while True: pass").returncode == -signal.SIGPROF


def stand_in(monkeypatch, tmp_path, program):
    """Let a program of another kind answer, as if a file had taken over the process."""
    script = tmp_path / "child.py"
    script.write_text(
        f"import sys, os, json, time\nout = sys.stdout.buffer\n{program}\nout.flush()\n", encoding="utf-8"
    )
    monkeypatch.setattr("minikeras.saving.hdf5._CHILD", str(script))


def answer(description):
    text = json.dumps(description)
    return f"text = {text!r}.encode(); out.write(len(text).to_bytes(8, 'little') + text)"


LONG = {"attributes": {}, "datasets": {"a": [[10], "<f4"]}}


@POSIX
@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("os.kill(os.getpid(), 11)", "died of SIGSEGV"),
        ("os._exit(3)", "ended with the code 3, perhaps out of memory"),
        ("out.write(b'x')", "ended with the code 0"),
        ("out.write((2**62).to_bytes(8, 'little'))", "an answer of 4611686018427387904 bytes"),
        ("time.sleep(60)", "takes too long"),
        (answer([]), "damaged"),
        (answer({"attributes": {"": {"a": 3}}, "datasets": {}}), "the attribute 'a' is no text"),
        (answer({"attributes": {}, "datasets": {"a": [[-1], "<f4"]}}), "has the shape"),
        (answer({"attributes": {}, "datasets": {"a": [[1], "|O"]}}), "the type |O"),
        (answer({"attributes": {}, "datasets": {"a": [[1], "|V9"]}}), "the type |V9"),
        (answer(LONG), "ended with the code 0"),
        (f"{answer(LONG)}\nout.write(b'+123')", "ended with the code 0"),
        (f"{answer(LONG)}\nout.write(b'-' + (9**9).to_bytes(8, 'little'))", "an answer of 387420489 bytes"),
        (f"{answer(LONG)}\nout.write(b'-' + (2).to_bytes(8, 'little') + b'no')", "damaged or no file of Keras: no"),
    ],
)
def test_whatever_the_reading_process_answers_is_an_error_message(program, message, tmp_path, monkeypatch):
    stand_in(monkeypatch, tmp_path, program)
    monkeypatch.setattr("minikeras.saving.hdf5._PATIENCE", 2.0)
    path = tmp_path / "a.h5"
    classifier().save(path)
    with pytest.raises(ModelFileError) as caught, Hdf5Reader(path) as reader:
        reader.read("a")
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_nothing_is_left_running(tmp_path):
    path = tmp_path / "a.h5"
    classifier().save(path)
    with Hdf5Reader(path) as reader:
        child = reader._child
    assert child.returncode is not None
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ModelFileError):
        load_model(path)
