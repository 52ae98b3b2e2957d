from __future__ import annotations

import collections
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from minikeras.datasets.npz import read_npz
from minikeras.datasets.pickled import PickleError, read_pickle
from tests.datasets import pickles

PLAIN = {
    b"bytes": b"\x00\xff",
    "text": "Grüße",
    "numbers": [0, 255, 256, 65535, 65536, -1, 2**31 - 1, -(2**31), 2**40, 1.5],
    "others": (None, True, False, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {}, []),
    "long": "x" * 300,
}


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_plain_data_of_todays_pickles_is_read(protocol: int) -> None:
    assert read_pickle(pickle.dumps(PLAIN, protocol=protocol)) == PLAIN


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "<i4", ">i8", "<f4", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_read(protocol: int, dtype: str, order: str) -> None:
    array = np.asarray(np.arange(24).reshape(2, 3, 4), dtype=dtype, order=order)
    found = read_pickle(pickle.dumps([array, array.T], protocol=protocol))
    for expected, got in zip([array, array.T], found, strict=True):
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == expected.dtype.newbyteorder("=")


@pytest.mark.parametrize("lists", [[[1, 2], [3]], [[1, 2], [3, 4]], [[]]])
def test_arrays_of_lists_are_read(lists: list[list[int]]) -> None:
    for data in (pickle.dumps(as_objects(lists), protocol=3), pickles.object_array(lists)):
        array = read_pickle(data)
        assert (array.dtype, array.shape, array.tolist()) == (object, (len(lists),), lists)


def test_a_pickle_of_python_2_is_read_as_pickle_reads_it() -> None:
    data = pickles.batch({"data": np.arange(6, dtype="uint8").reshape(2, 3), "labels": [3, 300, 70000], "name": "x"})
    mine, theirs = read_pickle(data), pickle.loads(data, encoding="bytes")
    np.testing.assert_array_equal(mine.pop(b"data"), theirs.pop(b"data"))
    assert mine == theirs == {b"labels": [3, 300, 70000], b"name": b"x"}


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch evil",)


class EvilState:
    def __reduce__(self) -> tuple[object, ...]:
        return np.dtype, ("u1", False, True), Evil()


ATTACKS = {
    "a call of the shell": pickle.dumps(Evil()),
    "a call inside data": pickle.dumps({"data": [1, Evil()]}, protocol=2),
    "a call in the state of a dtype": pickle.dumps(EvilState(), protocol=2),
    "eval in protocol 0": b"c__builtin__\neval\n(S'1'\ntR.",
    "an instance by INST": b"(S'ls'\nios\nsystem\n.",
    "an instance by OBJ": b"(cos\nsystem\nX\x02\x00\x00\x00lso.",
    "an object by NEWOBJ": b"\x80\x02cnumpy\nndarray\n(K\x01t\x81.",
    "a harmless class": pickle.dumps(collections.OrderedDict(a=1)),
    "a function of numpy's": b"\x80\x02cnumpy\nfromfile\nU\x01x\x85R.",
    "an attribute by STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.",
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.__class__\x93.",
    "a name that isn't text": b"\x80\x04K\x01K\x02\x93.",
    "an array made by ndarray itself": b"\x80\x02cnumpy\nndarray\nK\x01\x85\x85R.",
    "a dtype with fields": b"\x80\x02cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|U\x01xNNK\x01K\x01K\x00tb.",
    "a dtype of another kind": b"\x80\x02cnumpy\ndtype\nU\x02V8K\x00K\x01\x87R.",
    "the state of a list": b"\x80\x02]}b.",
    "the state of a name": b"\x80\x02cnumpy\nndarray\n}b.",
    "a persistent id": b"\x80\x02Px\n.",
    "an extension": b"\x80\x02\x82\x01.",
    "a buffer from outside": b"\x80\x05\x97.",
    "a set": pickle.dumps({1, 2}, protocol=4),
    "a number for a value that fills the memory": b"\x80\x02]r\xff\xff\xff\xff.",
    "a name alone": b"\x80\x02cnumpy\nndarray\n.",
    "an array without contents": (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R."
    ),
    "nothing": b"",
    "no end": b"\x80\x02]",
    "an end without a value": b"\x80\x02.",
    "two values": b"\x80\x02]].",
    "a mark as value": b"\x80\x02(.",
    "a list without its beginning": b"\x80\x02]e.",
    "a tuple of nothing": b"\x80\x02\x86.",
    "text longer than the data": b"\x80\x02T\xff\xff\xff\x7fabc.",
    "text of gigabytes": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "an unknown value from the memo": b"\x80\x02h\x07.",
    "an entry in a list": b"\x80\x02]K\x01K\x02s.",
    "an item for a dict": b"\x80\x02}K\x01a.",
    "a dict with a list as key": b"\x80\x02}]K\x01s.",
    "an unfinished name": b"\x80\x02cnumpy",
    "text that isn't": b"\x80\x04\x8c\x01\xff.",
}


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in; nothing is imported or run meanwhile."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "system", lambda _: pytest.fail("a shell was called"))
    modules = set(sys.modules)
    yield tmp_path
    assert {name for name in set(sys.modules) - modules if not name.startswith(("_pytest", "difflib"))} == set()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", ATTACKS.values(), ids=ATTACKS.keys())
def test_anything_else_is_refused_and_nothing_is_run(data: bytes, watched: Path) -> None:
    with pytest.raises(PickleError, match="The pickled data"):
        read_pickle(data)


@pytest.mark.parametrize("shape", [(3, 3), (2, 2), (1,), (2**32, 2**32), ()])
def test_an_array_whose_shape_does_not_fit_its_contents_is_refused(shape: tuple[int, ...]) -> None:
    data = pickle.dumps(np.arange(6, dtype="uint8").reshape(2, 3), protocol=3)
    wrong = pickle.dumps(shape, protocol=3)[2:-1]
    with pytest.raises(PickleError, match=r"without \d+ numbers|without dtype or shape"):
        read_pickle(data.replace(b"K\x02K\x03\x86", wrong))


def test_every_truncation_of_a_batch_is_refused() -> None:
    data = pickles.batch({"data": np.arange(6, dtype="uint8").reshape(2, 3), "labels": [3, 300]})
    for end in range(len(data)):
        with pytest.raises(PickleError):
            read_pickle(data[:end])


def test_random_changes_of_a_batch_give_data_or_a_refusal() -> None:
    data = pickles.batch({"data": np.arange(6, dtype="uint8").reshape(2, 3), "labels": [3, 300, 70000]})
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(3000):
        changed = bytearray(data)
        changed[random.integers(len(data))] = random.integers(256)
        try:
            read_pickle(bytes(changed))
        except PickleError:
            refused += 1
    assert 1000 < refused < 3000


def test_npz_files_with_objects_are_read_without_unpickling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a.npz", x=as_objects([[1, 2], [3]]), y=np.array([4, 5]))
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("unpickled"))
    x, y = read_npz(tmp_path / "a.npz", "x", "y")
    assert x.tolist() == [[1, 2], [3]]
    assert y.tolist() == [4, 5]


def test_npz_files_that_mean_harm_are_refused(tmp_path: Path) -> None:
    evil = np.empty(1, object)
    evil[0] = Evil()
    np.savez(tmp_path / "a.npz", x=evil)
    with pytest.raises(ValueError, match=r"a\.npz can't be read: The pickled data asks for posix\.system"):
        read_npz(tmp_path / "a.npz", "x")


def test_broken_npz_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"no zip file")
    with pytest.raises(ValueError, match=r"a\.npz can't be read: File is not a zip file"):
        read_npz(tmp_path / "a.npz", "x")
    np.savez(tmp_path / "b.npz", y=1)
    with pytest.raises(ValueError, match=r"b\.npz can't be read: .*x\.npy"):
        read_npz(tmp_path / "b.npz", "x")


def as_objects(lists: list[list[int]]) -> np.ndarray:
    array = np.empty(len(lists), dtype=object)
    for row, items in enumerate(lists):
        array[row] = items
    return array
