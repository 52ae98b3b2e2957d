"""Zip archives and headers of arrays from anywhere: what is read, and by which words the rest is refused."""

from __future__ import annotations

import io
import json
import struct
import time
import zipfile

import numpy as np
import pytest

from minikeras.models import load_model, model_from_json
from minikeras.saving import ModelFileError, archive
from minikeras.saving.archive import Archive
from minikeras.saving.configurations import text_of
from minikeras.saving.npy import parse_header
from minikeras.saving.npz import NpzReader, write_npz
from tests.saving.fuzz.zips import Member, Zip, npy

FULL = 2**32 - 1


def two(**of_the_first):
    first = Member(b"a", b"x" * 50)
    for name, value in of_the_first.items():
        setattr(first, name, value)
    return Zip([first, Member(b"b", b"y" * 50)])


def wide(size=50, packed=50):
    return struct.pack("<2H2Q", 1, 16, size, packed)


def changed(**fields):
    return lambda: two(central=fields, local=fields)


def around(**what):
    plan = two()
    for name, value in what.items():
        setattr(plan, name, value)
    return plan


def deflated_and_more():
    """Data behind the end of what is compressed, counted in."""
    plan = two(method=8)
    packed = len(zipfile.zlib.compress(b"x" * 50, 1)) - 6
    plan.members[0].central = plan.members[0].local = {"packed": packed + 54, "size": 50}
    return plan


REFUSED = {
    "an entry without a header": (lambda: two(central={"place": 900}), "'a' lies outside of the archive"),
    "another name in the header": (lambda: two(local_name=b"c"), "'a' has a header that differs"),
    "another size in the header": (lambda: two(local={"size": 49, "packed": 49}), "'a' has a header that differs"),
    "another checksum in the header": (lambda: two(local={"crc": 1}), "'a' has a header that differs"),
    "other flags in the header": (lambda: two(local={"flags": 4}), "'a' has a header that differs"),
    "another method in the header": (lambda: two(local={"method": 8}), "'a' has a header that differs"),
    "a wrong checksum": (changed(crc=1), "'a' has another checksum"),
    "encryption": (changed(flags=1), "'a' is encrypted"),
    "strong encryption": (changed(flags=65), "'a' is encrypted"),
    "a patch": (changed(flags=32), "'a' needs what this reader doesn't know"),
    "another method": (changed(method=12), "'a' is compressed in a way that NumPy and Keras don't write: 12"),
    "a newer version": (lambda: two(central={"needed": 63}), "'a' needs what this reader doesn't know"),
    "another disk": (lambda: two(central={"disk": 1}), "'a' needs what this reader doesn't know"),
    "a link": (lambda: two(central={"made": 0x314, "outside": 0o120777 << 16}), "'a' is a link or a device"),
    "a name twice": (lambda: two(name=b"b"), "'b' is in it twice"),
    "a member without a name": (lambda: two(name=b""), "'' is no name of a member"),
    "a control character": (lambda: two(name=b"a\x1b[2J"), "is no name of a member"),
    "a name that ends early": (lambda: two(name=b"a\0.exe"), "is no name of a member"),
    "a name in no encoding": (lambda: two(name=b"\xff"), "is no text"),
    "members in one place": (lambda: Zip([Member(b"a", b"x"), Member(b"b", b"x", shared=0)]), "'b' has a header that"),
    "members that overlap": (
        lambda: two(central={"size": 60, "packed": 60}, local={"size": 60, "packed": 60}),
        "'b' overlaps another member",
    ),
    "bytes before": (lambda: around(before=b"#!/bin/sh\n"), "'a' overlaps another member, or follows bytes"),
    "bytes between": (lambda: around(between=b"PK\3\4"), "'b' overlaps another member, or follows bytes"),
    "a comment": (lambda: around(comment=b"x"), "doesn't end as a zip archive without a comment"),
    "a comment that isn't there": (lambda: around(end={"comment": 3}), "doesn't end as a zip archive"),
    "fewer entries": (lambda: around(end={"here": 1, "count": 1}), "more than its 1 entries"),
    "more entries": (lambda: around(end={"here": 3, "count": 3}), "its directory is cut off"),
    "parts of an archive": (lambda: around(end={"here": 1}), "on several disks"),
    "too many entries": (lambda: around(end={"here": 60_000, "count": 60_000}), "no more than 20000"),
    "a directory elsewhere": (lambda: around(end={"place": 3}), "doesn't lie before its end"),
    "a wide end that differs": (
        lambda: around(wide=True, end={"count": 2**40 + 2}),
        "its two records of the end differ",
    ),
    "wide sizes that nobody needs": (lambda: two(extra=wide()), "'a' has 64-bit sizes where none are needed"),
    "wide sizes twice": (
        lambda: two(extra=wide() + wide(), local={"size": FULL, "packed": FULL}),
        "'a' has 64-bit sizes twice",
    ),
    "no wide sizes": (lambda: two(local={"size": FULL, "packed": FULL}), "or none where they are"),
    "a wide size that differs": (
        lambda: two(extra=wide(51), local={"size": FULL, "packed": FULL}),
        "'a' has a header that differs",
    ),
    "an extra field cut off": (lambda: two(extra=b"UT\5\0"), "'a' has an extra field that is cut off"),
    "a stored member that grows": (changed(size=51), "'a' declares 51 bytes, and takes 50"),
    "a bomb": (lambda: two(method=8, data=bytes(2**24)), "'a' declares 16777216 bytes out of .*: a compression bomb"),
    "less than declared": (lambda: two(method=8, central={"size": 51}, local={"size": 51}), "'a' is cut off"),
    "more than declared": (
        lambda: two(method=8, central={"size": 49}, local={"size": 49}),
        "holds more than the 49 bytes",
    ),
    "data behind the compressed": (deflated_and_more, "overlaps another member|don't end where they should"),
}


def read_all(path):
    with Archive(path) as found:
        return [found.read(name, 1000) for name in found.members]


@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_its_name_is(what, tmp_path):
    make, message = REFUSED[what]
    path = tmp_path / "a.zip"
    path.write_bytes(make().build())
    with pytest.raises(ModelFileError, match=message) as caught:
        read_all(path)
    assert str(path) in str(caught.value)


def test_many_small_bombs_are_one(tmp_path):
    members = [Member(b"%d" % i, bytes(2**20), method=8) for i in range(20)]
    (tmp_path / "a.zip").write_bytes(Zip(members).build())
    with pytest.raises(ModelFileError, match="its members claim more than 200 times"), Archive(tmp_path / "a.zip"):
        pass


@pytest.mark.parametrize(
    "plan",
    [
        two(),
        two(method=8),
        two(described=True),
        two(extra=wide(), local={"size": FULL, "packed": FULL}),
        two(extra=b"UT\5\0\1abcd", comment=b"a comment"),
        two(name=b"../../a"),
        two(name="ä".encode()),
        around(wide=True),
        Zip([]),
    ],
    ids=["plain", "deflated", "described", "wide", "extra", "path", "umlaut", "wide-end", "empty"],
)
def test_what_other_programs_write_is_read(plan, tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(plan.build())
    with Archive(path) as found, zipfile.ZipFile(path) as expected:
        assert list(found.members) == expected.namelist()
        for name in found.members:
            assert found.read(name, 50) == expected.read(name)


def test_a_zip_file_written_to_a_pipe_is_read(tmp_path):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a", b"x" * 99)
        made.writestr("b", b"")
    (tmp_path / "a.zip").write_bytes(pipe.getvalue())
    with Archive(tmp_path / "a.zip") as found:
        assert [found.read(name, 99) for name in "ab"] == [b"x" * 99, b""]


def test_a_member_is_read_by_its_exact_name_and_as_far_as_was_asked(tmp_path):
    (tmp_path / "a.zip").write_bytes(two().build())
    with Archive(tmp_path / "a.zip", "a box") as found:
        with pytest.raises(ModelFileError, match=r"a.zip is damaged or not a box: there is no member 'A' in it"):
            found.read("A", 50)
        with pytest.raises(ModelFileError, match="'a' has 50 bytes, and no more than 49 are read"):
            found.read("a", 49)


def test_large_arrays_come_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "_PIECE", 7)
    arrays = {
        "a": np.arange(999, dtype=">i4").reshape(27, 37),
        "b": np.asfortranarray(np.eye(5, 7)),
        "c": np.float32(2),
    }
    arrays |= {"none": np.zeros((0, 3)), "yes": np.array([True, False])}
    write_npz(tmp_path / "a.npz", arrays)
    np.savez_compressed(tmp_path / "b.npz", **arrays)
    for name in ("a.npz", "b.npz"):
        with NpzReader(tmp_path / name) as reader:
            assert reader.shapes == {key: np.shape(array) for key, array in arrays.items()}
            for key, array in arrays.items():
                np.testing.assert_array_equal(reader.read(key), array)
                assert reader.read(key).dtype == np.asarray(array).dtype


# ---------------------------------------------------------------------- headers of arrays


@pytest.mark.parametrize("shape", [(), (3,), (0,), (2, 3), (1, 2, 3, 4, 5)])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "|i1", "<u8", "|b1"])
def test_headers_are_read_as_numpy_reads_them(shape, dtype):
    for order in "CF":
        file = io.BytesIO()
        np.lib.format.write_array(file, np.zeros(shape, dtype, order=order))
        file.seek(8)
        expected = np.lib.format.read_array_header_1_0(file)
        found = parse_header(file.getvalue()[10 : 10 + file.getvalue()[8] + 256 * file.getvalue()[9]].decode())
        assert (found.shape, found.fortran, found.dtype) == expected


def test_the_long_integers_of_python_2_are_read():
    assert parse_header("{'descr': '<f4', 'fortran_order': False, 'shape': (3L, 4L), }").shape == (3, 4)


HEADER = "{{'descr': {}, 'fortran_order': {}, 'shape': {}, }}"
WRONG_HEADERS = {
    HEADER.format("'|O'", "False", "(1,)"): "it doesn't hold numbers but '|O'",
    HEADER.format("'<U3'", "False", "(1,)"): "it doesn't hold numbers but '<U3'",
    HEADER.format("'<c8'", "False", "(1,)"): "it doesn't hold numbers but '<c8'",
    HEADER.format("'<f16'", "False", "(1,)"): "it doesn't hold numbers but '<f16'",
    HEADER.format("'|V4'", "False", "(1,)"): "it doesn't hold numbers but '|V4'",
    HEADER.format("[('a', '<f4')]", "False", "(1,)"): "its header is none that NumPy writes",
    HEADER.format("'<f4'", "0", "(1,)"): "its header is none that NumPy writes",
    HEADER.format("'<f4'", "False", "(-1,)"): "its header is none that NumPy writes",
    HEADER.format("'<f4'", "False", "(1.0,)"): "its header is none that NumPy writes",
    HEADER.format("'<f4'", "False", "(3)"): "its header is none that NumPy writes",
    HEADER.format("'<f4'", "False", "(1,,2)"): "its header is none that NumPy writes",
    HEADER.format("'<f4'", "False", "(" + "9" * 20 + ",)"): "its header is none that NumPy writes",
    HEADER.format("'<f4'", "False", "[1]"): "its header is none that NumPy writes",
    HEADER.format("'<f4'", "__import__('os').system('x')", "(1,)"): "its header is none that NumPy writes",
    HEADER.format("'<f4'", "False", str((1,) * 33)): "it has 33 axes, more than 32",
    "{" * 1000: "its header is none that NumPy writes",
    "": "its header is none that NumPy writes",
}


@pytest.mark.parametrize("text", WRONG_HEADERS)
def test_other_headers_are_refused(text):
    with pytest.raises(ValueError, match="it") as caught:
        parse_header(text)
    assert WRONG_HEADERS[text] in str(caught.value)


# ---------------------------------------------------------------------- files that are as large as they may be


def described(path, model, training=None):
    text = json.dumps({"format": 1, "model": model, "training": training, "streams": []}).encode()
    path.write_bytes(Zip([Member(b"model.npy", npy(np.frombuffer(text, np.uint8)))]).build())


def chain(count, backwards=False):
    """A graph of so many layers, one after the other; or listed from the last one on."""
    start = {"name": "0", "batch_input_shape": [None, 1], "dtype": "float32"}
    inside = [{"class_name": "InputLayer", "config": start, "name": "0", "inbound_nodes": []}]
    for i in range(1, count):
        calls = [[[f"{i - 1}", 0, 0, {}]]]
        inside.append({"class_name": "Flatten", "config": {"name": f"{i}"}, "name": f"{i}", "inbound_nodes": calls})
    ends = {"input_layers": [["0", 0, 0]], "output_layers": [[f"{count - 1}", 0, 0]]}
    return {"class_name": "Model", "config": {"name": "m", "layers": inside[::-1] if backwards else inside, **ends}}


def test_layers_in_any_order_make_the_same_graph_in_no_more_time(tmp_path):
    taken = {}
    for backwards in (False, True):
        described(tmp_path / "m.npz", chain(1000, backwards))
        before = time.process_time()
        model = load_model(tmp_path / "m.npz")
        taken[backwards] = time.process_time() - before
        assert len(model.layers) == 1000
        assert model.predict(np.ones((2, 1)), verbose=0).tolist() == [[1.0], [1.0]]
    assert taken[True] < 3 * taken[False] + 0.2  # once it was the square of their number


def test_more_layers_than_any_network_has_are_refused(tmp_path):
    described(tmp_path / "m.npz", chain(4001))
    with pytest.raises(ModelFileError, match=r"m.npz: it describes 4001 layers; 4000 are the most"):
        load_model(tmp_path / "m.npz")


def test_more_metrics_than_anybody_has_are_refused(tmp_path):
    compiled = {"optimizer": {"class_name": "SGD", "config": {}}, "loss": "mse", "metrics": ["mse"] * 3000}
    described(tmp_path / "m.npz", chain(3), compiled)
    with pytest.raises(ModelFileError, match=r"m.npz: the arguments of compile are more than 2000 values"):
        load_model(tmp_path / "m.npz")


def test_messages_about_long_values_are_short(tmp_path):
    inside = {"name": "d", "units": list(range(10**5))}
    for layer in ({"class_name": "x" * 10**6, "config": {}}, {"class_name": "Dense", "config": inside}):
        model = chain(1)
        model["config"]["layers"].append({**layer, "name": "d", "inbound_nodes": [[["0", 0, 0, {}]]]})
        described(tmp_path / "m.npz", model)
        with pytest.raises(ModelFileError) as caught:
            load_model(tmp_path / "m.npz")
        assert len(str(caught.value)) < 6000


@pytest.mark.parametrize("text", ["[" * 10**5, '{"a": 1, "a": 2}', '{"a": NaN}', {}, 3, b"\xff"])
def test_a_model_from_json_takes_json_with_the_same_limits(text):
    with pytest.raises(ValueError, match="model_from_json takes the text of a model"):
        model_from_json(text)


@pytest.mark.parametrize("number", [float("nan"), np.float32("inf"), np.array([-np.inf])])
def test_numbers_that_json_does_not_have_are_not_written(number):
    with pytest.raises(ValueError, match="must consist of finite numbers to be saved"):
        text_of({"a": [number]})
