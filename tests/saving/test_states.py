"""States of trainings in files: everything comes back as it was, and a file can ask for nothing else."""

from __future__ import annotations

import json
import math
import random
from collections import deque

import numpy as np
import pytest

from minikeras.core.random import get_seed_state, set_seed, set_seed_state, stream
from minikeras.saving import ModelFileError
from minikeras.saving.npz import write_npz
from minikeras.saving.states import read_state, write_state

VALUES = {
    "plain": [None, True, 3, 2**70, -1.5, "text", {"a": [1]}],
    "no numbers of JSON": [math.inf, -math.inf],
    "a tuple in a dict with other keys": {1: ("x", 2), ("a", 1): {"$k": 3}},
    "a queue and a set": [deque([1, 2], maxlen=4), {3, 1}],
    "long lists": [[0.1 * i for i in range(50)], list(range(-20, 40)), [*range(40), 2**80]],
    "numbers of NumPy": [np.float32(0.1), np.int64(3), np.bool_(True)],
}


@pytest.mark.parametrize("name", VALUES)
def test_values_come_back_with_their_types(name, tmp_path):
    write_state(tmp_path / "s.npz", {"value": VALUES[name]}, 1)
    found = read_state(tmp_path / "s.npz", 1)["value"]
    assert found == VALUES[name]
    assert repr(found) == repr(VALUES[name])


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "uint64", "bool", "<U7", ">f4"])
def test_arrays_come_back_bit_by_bit(dtype, tmp_path):
    array = np.arange(12).reshape(3, 4).T.astype(dtype)
    write_state(tmp_path / "s.npz", {"array": array, "empty": np.zeros((0, 3))}, 1)
    found = read_state(tmp_path / "s.npz", 1)
    assert found["array"].dtype == array.dtype
    np.testing.assert_array_equal(found["array"], array)
    assert found["empty"].shape == (0, 3)


@pytest.mark.parametrize("bits", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_random_generators_go_on(bits, tmp_path):
    one, legacy, plain = np.random.Generator(getattr(np.random, bits)(1)), np.random.RandomState(2), random.Random(3)
    one.random(dtype=np.float32), legacy.randn(), plain.gauss(0, 1)
    write_state(tmp_path / "s.npz", {"all": [one, legacy, plain]}, 1)
    its, old, other = read_state(tmp_path / "s.npz", 1)["all"]
    assert its.random(3, np.float32).tolist() == one.random(3, np.float32).tolist()
    assert (old.randn(), old.rand()) == (legacy.randn(), legacy.rand())
    assert (other.gauss(0, 1), other.random()) == (plain.gauss(0, 1), plain.random())


def test_what_no_file_can_hold_is_named_with_its_place(tmp_path):
    with pytest.raises(TypeError, match=r"a\['b'\]\[1\] is neither a plain value nor an array. Received: <object"):
        write_state(tmp_path / "s.npz", {"a": {"b": [0, object()]}}, 1)
    with pytest.raises(TypeError, match=r"a is neither a plain value nor an array"):
        write_state(tmp_path / "s.npz", {"a": np.array([{}])}, 1)
    assert list(tmp_path.iterdir()) == []


HOSTILE = {
    "an unknown kind": {"$os.system": "echo"},
    "a private kind": {"$__class__": []},
    "a generator of another module": {"$generator": {"bit_generator": "os", "state": {}}},
    "a generator without its state": {"$generator": {"bit_generator": "PCG64"}},
    "a kind beside other keys": {"$tuple": [], "more": 1},
    "an array that isn't there": {"$array": 7},
    "an array by name": {"$array": "../../etc"},
    "text of petabytes": {"$text": [["a"], "<U999999999999"]},
    "text that is a pickle": {"$text": [["a"], "|O"]},
    "a dict of something else": {"$dict": [1, 2]},
    "an unhashable key": {"$dict": [[[1], 2]]},
    "a negative queue": {"$deque": [[1], -5]},
    "a state of Python's that is cut off": {"$random": [{"$tuple": [1, 2]}, None]},
    "no dict": [1, 2],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_description_is_refused(case, tmp_path):
    text = json.dumps({"format": 1, "state": HOSTILE[case] if case == "no dict" else {"x": HOSTILE[case]}})
    write_npz(tmp_path / "s.npz", {"state": np.frombuffer(text.encode(), np.uint8)})
    with pytest.raises(ModelFileError, match=r"s.npz is damaged"):
        read_state(tmp_path / "s.npz", 1)


def test_another_format_and_other_files_are_told_apart(tmp_path):
    write_state(tmp_path / "s.npz", {}, 2)
    with pytest.raises(ModelFileError, match=r"s.npz has the format 2; this version of minikeras reads 1"):
        read_state(tmp_path / "s.npz", 1)
    np.savez(tmp_path / "other.npz", a=np.zeros(2))
    with pytest.raises(ModelFileError, match=r"other.npz holds no state of a training, only arrays \['a'\]"):
        read_state(tmp_path / "other.npz", 1)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_refused(share, tmp_path):
    write_state(tmp_path / "s.npz", {"a": np.zeros(100), "b": list(range(100))}, 1)
    data = (tmp_path / "s.npz").read_bytes()
    (tmp_path / "s.npz").write_bytes(data[: int(share * len(data))])
    with pytest.raises(ModelFileError, match=r"s.npz is damaged"):
        read_state(tmp_path / "s.npz", 1)


def test_a_seed_goes_on_with_the_streams_that_follow():
    set_seed(5)
    stream()
    kept = get_seed_state()
    following = [stream().random() for _ in range(3)]
    set_seed(9)
    set_seed_state(json.loads(json.dumps(kept)))
    assert [stream().random() for _ in range(3)] == following
    set_seed_state(None)
    assert get_seed_state() is None
    with pytest.raises(ValueError, match=r"state must be what get_seed_state returned. Received: \{'entropy': -1\}"):
        set_seed_state({"entropy": -1})
