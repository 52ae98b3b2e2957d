"""Machine code on disk: loaded without numba by a later process, and only where it is whole and fits."""

from __future__ import annotations

import ctypes
import functools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from minikeras.kernels.compiled import activation, calls, jit, kinds, runtime, stored
from tests.kernels import test_every_compiled_loop

needs_store = pytest.mark.skipif(os.name != "posix", reason="numba's own cache is all there is")
NAME = "activation.pass_positive(f4[1],f4[1],f4[1])"
_loaders = []  # what they loaded stays where it is


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty store; what is called makes a process of it that has loaded nothing yet."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))

    def begin_anew():
        monkeypatch.setattr(stored, "_loaded", {})
        monkeypatch.setattr(stored, "loader", functools.cache(stored.loader.__wrapped__))
        _loaders.append(stored.loader)

    begin_anew()
    return begin_anew


def positive():
    """A loop as it is before its first call."""
    loop = activation.pass_positive
    return jit.Loop(loop.function, loop.fastmath, loop.apart)


def kept():
    """The loop, if it needn't be compiled."""
    loop = positive()
    loop.prepare = lambda: pytest.fail("it is compiled")
    return loop


def result(loop, dtype="float32"):
    delta, y, out = np.arange(9.0).astype(dtype), np.arange(-4.0, 5.0).astype(dtype), np.zeros(9, dtype)
    assert loop(delta, y, out) is None
    return out.tolist()


EXPECTED = [0.0] * 5 + [5.0, 6.0, 7.0, 8.0]


def file_of(name):
    return stored._folders()[0] / stored._file_name(name)


@needs_store
def test_what_was_compiled_is_loaded_and_not_compiled_again(store):
    assert result(positive()) == EXPECTED
    store()
    assert result(kept()) == EXPECTED


@needs_store
@pytest.mark.parametrize("name", [NAME, stored.FIRST, "call_(f4[1],f4[1],f4[1])"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:-200] + bytes([data[-200] ^ 1]) + data[-199:],
        lambda data: bytes([data[0] ^ 1]) + data[1:],
    ],
)
def test_a_damaged_file_is_not_loaded_but_written_anew(store, name, damage):
    result(positive())
    file = file_of(name)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    store()
    assert stored.load(name) is None
    assert result(positive()) == EXPECTED
    assert file.read_bytes()[32:200] == whole[32:200]
    store()
    assert result(kept()) == EXPECTED


@needs_store
def test_a_file_of_another_processor_or_version_is_not_loaded(store, monkeypatch):
    here = stored._circumstances()
    monkeypatch.setattr(stored, "_circumstances", lambda: here.replace("+", "-", 1))
    result(positive())
    foreign = file_of(NAME)
    monkeypatch.setattr(stored, "_circumstances", lambda: here)
    store()
    assert file_of(NAME) != foreign
    assert stored.load(NAME) is None
    foreign.rename(file_of(NAME))  # what it says counts, not what it is called
    assert stored.load(NAME) is None


@needs_store
def test_a_file_of_another_loop_is_not_loaded(store):
    result(positive())
    file_of(NAME).rename(file_of("activation.other(f4[1])"))
    assert stored.load("activation.other(f4[1])") is None


def test_without_a_folder_all_is_compiled_and_works(store, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setattr(stored, "_folders", lambda: [file / "folder"])
    assert result(positive()) == EXPECTED
    assert result(positive(), "float64") == EXPECTED


def test_a_cache_folder_is_never_looked_for_where_the_process_happens_to_be(monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    for given in ("relative", "~"):
        monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert [folder.name for folder in stored._folders()] == ["__pycache__"]


def test_loops_from_elsewhere_are_not_kept(store):
    def scaled(x):
        for i in range(x.size):
            x[i] *= 2

    x = np.ones(3)
    jit.compiled(scaled)(x)
    assert x.tolist() == [2.0] * 3
    assert not list(stored._folders()[0].glob("*scaled*"))


def test_threads_that_ask_first_at_the_same_time_get_the_same(store):
    loop = positive()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: result(loop, ["float32", "float64"][i % 2]), range(32)))
    assert found == [EXPECTED] * 32
    assert len(loop.made) == 2


TRAINING = """
import sys, zlib, numpy as np, minikeras
from minikeras.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from minikeras.kernels.compiled import stored

stored._read = {read}
minikeras.set_seed(0)
model = minikeras.Sequential([
    Conv2D(8, 3, activation="relu", input_shape=(12, 12, 1)), MaxPooling2D(2), Dropout(0.2), Flatten(),
    Dense(10, activation="softmax"),
])
model.compile("adadelta", "categorical_crossentropy")
x, y = np.random.default_rng(0).random((64, 12, 12, 1), "f4"), np.eye(10, dtype="f4")[np.arange(64) % 10]
losses = [model.train_on_batch(x, y) for _ in range(3)]
print("numba" in sys.modules, losses, zlib.crc32(b"".join(w.tobytes() for w in model.get_weights())))
"""


@needs_store
def test_a_training_gives_the_same_bits_in_a_process_that_does_not_import_numba():
    outputs = [run(TRAINING.replace("{read}", read)).split(" ", 1) for read in ("lambda _: None", "stored._read")]
    assert [imported for imported, _ in outputs] == ["True", "False"]
    assert outputs[0][1] == outputs[1][1]


@needs_store
def test_every_compiled_loop_works_where_numba_cannot_be_imported(tier, monkeypatch):
    if tier != "numba":
        pytest.skip("NumPy's kernels have no compiled loops")
    test_every_compiled_loop.call_every_loop(monkeypatch)
    file, name = test_every_compiled_loop.__file__, "test_together_the_cases_call_every_compiled_loop"
    run(
        "import sys, pytest\n"
        "class Refusal:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.startswith('numba.'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refusal())\n"
        f"sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', {file!r}, '-k', {name!r}]))"
    )


def run(code):
    """What a Python program prints that has to succeed."""
    environment = {**os.environ, "MINIKERAS_KERNELS": "numba", "MINIKERAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


ROOT = Path(__file__).parents[2]


# ---------------------------------------------------------------------- what Python calls


VALUES = {
    "f4[1]": np.ones(3, "float32"),
    "f8[1]": np.ones(3),
    "f4[0]": np.ones((), "float32"),
    "f4[2]": np.ones((3, 3), "float32"),
    "f8[3]": np.ones((1, 2, 3)),
    "i8[1]": np.ones(3, np.int64),
    "u1[1]": np.ones(3, np.uint8),
    "b1[1]": np.ones(3, bool),
    "i8": 3,
    "b1": True,
    "f8": 0.5,
    "f4": np.float32(0.5),
    "i8*2": (1, 2),
    "i8*3": (1, 2, 3),
}
LIKE = {"i8": np.int64(3), "b1": np.False_, "f8": np.float64(0.5), "i8*2": (np.int64(1), 2)}
read_only, metadata = np.ones(3, "float32"), np.dtype("float32", metadata={"a": 1})
read_only.flags.writeable = False
OTHERS = [
    None,
    "1",
    1j,
    [1, 2],
    (1, 2.0),
    (1, True),
    (),
    np.int32(1),
    np.float16(1),
    read_only,
    np.ones(6, "float32")[::2],
    np.ones((3, 3), "float32", order="F")[:, :2],
    np.ones(3, ">f4"),
    np.ones(3, "float16"),
    np.ones(3, np.uint64),
    np.ones(3, object),
    np.ones(13, np.uint8)[1:].view("float32"),
    np.ones(3, metadata),
    np.ma.ones(3, "float32"),
    np.ones(3, "float32").view(np.matrix),
]


def taking(kind):
    """A function that takes one argument, and returns the integer that it is bound to."""

    def body(context, builder, integer, types, values):
        from llvmlite import ir

        return calls.call(builder, "PyLong_FromSsize_t", ir.IntType(8).as_pointer(), integer)

    return calls.function("test", (kind,), body, 7)


@pytest.mark.parametrize("kind", VALUES)
def test_a_function_declines_every_argument_that_is_not_of_its_kind(store, kind):
    function = taking(kind)
    assert function(VALUES[kind]) == 7
    assert function(LIKE.get(kind, VALUES[kind])) == 7
    for other in [value for name, value in VALUES.items() if name != kind] + OTHERS:
        assert function(other) is NotImplemented, f"{other!r} isn't {kind}"
    assert function() is function(VALUES[kind], VALUES[kind]) is NotImplemented


def test_the_kind_of_an_argument_is_that_of_the_function_that_takes_it():
    for kind, value in VALUES.items():
        assert kinds.kind_of(value) == kinds.kind_of(LIKE.get(kind, value)) == kind
    for other in OTHERS:
        with pytest.raises(TypeError, match=r"take contiguous, writeable arrays, numbers and .*\. Received: "):
            kinds.kind_of(other)


def test_arrays_of_subclasses_and_with_metadata_are_taken_as_what_they_are(store, tmp_path):
    mapped = np.memmap(tmp_path / "out", "float32", "w+", shape=9)
    loop, delta = positive(), np.arange(9, dtype=metadata)
    for _ in range(2):
        loop(delta, np.arange(-4, 5, dtype="float32"), mapped)
        assert mapped.tolist() == EXPECTED
    assert len(loop.made) == 1


def test_arguments_that_no_loop_takes_are_an_error_before_anything_is_written(store):
    with pytest.raises(TypeError, match=r"Received: float32 \(3,\), \(8,\)"):
        positive()(np.ones(3, "float32"), np.ones(3, "float32"), np.ones(6, "float32")[::2])


# ---------------------------------------------------------------------- memory


@needs_store
def test_memory_for_loops_is_aligned_and_described_as_numba_reads_it(store):
    result(positive())
    get = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32)(stored.load(stored.FIRST).address)
    free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(stored.loader().get_function_address(runtime.MEMORY[1]))
    for size, align in ((1, 16), (1000, 64), (0, 4096)):
        header = get(size, align)
        users, _, _, data, described, _ = (ctypes.c_size_t * 6).from_address(header)
        assert (users, described, data % align) == (1, size, 0)
        assert header + 48 <= data <= header + 48 + align
        ctypes.memset(data, 1, size)
        free(header)
    assert get(1 << 60, 16) is None
