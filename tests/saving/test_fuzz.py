"""A short run of each campaign of ``python -m tests.saving.fuzz``, and the tools that it trusts."""

from __future__ import annotations

import os
import re
import sys

import numpy as np
import pytest

from minikeras.saving import ModelFileError
from minikeras.saving.archive import Archive
from tests.saving.watch import watched

pytest.importorskip("h5py")
if sys.platform != "linux":
    pytest.skip("needs Linux's limits of processes and measures of memory", allow_module_level=True)

from tests.saving.fuzz import campaign, forked, formats, hdf5, zips

CASES = {"npz": 300, "safetensors": 300, "h5": 60, "keras": 60, "weights.h5": 60, "backup": 150}


@pytest.mark.parametrize("name", formats.FORMATS)
def test_mutated_files_give_models_and_file_errors_only(name):
    report = campaign.run(name, CASES[name], seed=7)
    assert report.failures == []
    assert report.cases == CASES[name]
    assert report.counts["loaded"] > 0.02 * report.cases
    assert len([stage for stage in report.counts if stage.startswith("refused")]) >= 3


class Planted(formats.Npz):
    """A loader that does what no loader may."""

    def __init__(self, deed):
        super().__init__()
        self.deed = deed

    def mutated(self, rng):
        return b"x", "nothing"

    def load(self, path, rng):
        return self.deed(path)


def raise_error(error):
    raise error


def spin(path):
    while True:
        pass


PLANTED = {
    "another exception": (lambda path: raise_error(KeyError("x")), "KeyError"),
    "an error without the file's name": (lambda path: raise_error(ModelFileError("x")), "the file isn't named: x"),
    "another file": (lambda path: open("/etc/hostname").close() or formats.dense(), "did more than reading"),
    "much memory": (lambda path: np.ones(2**25 * 10) and None, "MemoryError"),
    "some memory": (lambda path: np.ones(2**24 * 3).sum() and formats.dense(), "took 3.. MiB|MemoryError"),
    "a crash": (lambda path: os.kill(os.getpid(), 9), "the process ended with -9"),
    "a hang": (spin, "the process ended with -27"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_loader_that_does_wrong_is_found_out(what, monkeypatch):
    deed, message = PLANTED[what]
    monkeypatch.setitem(formats.FORMATS, "planted", lambda: Planted(deed))
    monkeypatch.setattr(campaign, "_HANGS", 0.3)
    (failure,) = campaign.run("planted", 1, seed=0).failures
    assert re.search(message, failure), failure


def test_a_case_is_the_same_for_the_same_number_and_seed():
    one, other = campaign.run("npz", 40, seed=3), campaign.run("npz", 20, seed=3, first=20)
    again = campaign.run("npz", 20, seed=3)
    assert one.counts == other.counts + again.counts


def test_checksums_of_hdf5_are_computed_as_hdf5_does():
    data = hdf5.modern(formats.H5().seeds[0])
    signed = 0
    for begin, end in dict.fromkeys(hdf5.structure(data)[0]):
        if data[begin : begin + 4] in (b"OHDR", b"OCHK", data[:4]):
            assert hdf5.lookup3(data[begin:end]).to_bytes(4, "little") == data[end : end + 4]
            signed += 1
    assert signed > 5


def test_an_archive_that_is_put_together_field_by_field_is_one(tmp_path):
    (tmp_path / "a.zip").write_bytes(
        zips.Zip([zips.Member(b"a", b"x" * 99, method=8), zips.Member(b"b", b"y")]).build()
    )
    with Archive(tmp_path / "a.zip") as archive:
        assert [archive.read("a", 99), archive.read("b", 1)] == [b"x" * 99, b"y"]


def test_what_a_body_does_is_watched(tmp_path):
    (tmp_path / "secret").write_bytes(b"")
    with watched(tmp_path / "own") as seen:
        eval("1 + 1")
        (tmp_path / "secret").read_bytes()
        (tmp_path / "new").mkdir()
    assert [event for event, _ in seen] == ["compile", "exec", "open", "os.mkdir"]


def test_forked_readers_are_gone_at_the_end():
    from minikeras.saving import hdf5 as product

    before = product.subprocess.Popen
    with forked.forked_readers():
        assert product.subprocess.Popen is forked.Forked
    assert product.subprocess.Popen is before
