"""Wrong calls of what saves and loads: paths that are none, files of other kinds, words in the place of flags."""

from __future__ import annotations

import errno
import io
import os

import numpy as np
import pytest

from minikeras.models import load_model, model_from_json, save_model
from minikeras.saving import ModelFileError
from tests.models.small import classifier


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must end in '.npz', '.keras', '.h5' or '.hdf5'.*. Received: '.*w.bin'"):
        classifier().save_weights(tmp_path / "w.bin")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [None, 3, b"w.npz", io.BytesIO()], ids=["None", "number", "bytes", "open file"])
def test_what_is_no_path_is_refused_by_name(given):
    model = classifier()
    uses = {"save": model.save, "save_weights": model.save_weights, "load_weights": model.load_weights}
    for use, call in {**uses, "load_model": load_model, "export": model.export}.items():
        with pytest.raises(TypeError, match=f"{use}: filepath must be a path, as a str or an os.PathLike"):
            call(given)


def test_a_folder_is_not_replaced_and_the_error_names_it(tmp_path):
    (tmp_path / "w.npz").mkdir()
    with pytest.raises(IsADirectoryError, match=r"w.npz can't be written: it is a folder"):
        classifier().save_weights(tmp_path / "w.npz")
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.npz"]


def test_where_nothing_may_be_written_the_error_names_the_file_that_was_asked_for(tmp_path, monkeypatch):
    def refused(path, mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr("minikeras.saving.atomic.open", refused, raising=False)
    with pytest.raises(PermissionError, match=r"it could not be written.*w\.npz'$") as caught:
        classifier().save_weights(tmp_path / "w.npz")
    assert caught.value.filename == str(tmp_path / "w.npz")


def test_weights_may_also_go_to_safetensors_says_the_error(tmp_path):
    with pytest.raises(ValueError, match=r"'.hdf5'; for weights only also in '.safetensors'. Received"):
        classifier().save_weights(tmp_path / "w.bin")


@pytest.mark.parametrize("data", [b"hello, world", b""], ids=["text", "nothing"])
@pytest.mark.parametrize("name", ["w.h5", "w.keras", "w.safetensors", "w"])
def test_a_file_of_no_format_is_not_called_an_archive(name, data, tmp_path):
    (tmp_path / name).write_bytes(data)
    why = "begins with b'hello, w'" if data else "it is empty"
    for load in (load_model, classifier().load_weights):
        with pytest.raises(ModelFileError, match=f"{name} is damaged or no file of a model or of weights: .*{why}"):
            load(tmp_path / name)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "it is a pointer of Git LFS"),
        (b'{"class_name": "Sequential"}', "it may be the JSON of an architecture, which model_from_json"),
        (b"\x80\x04\x95\x0f", "it may be a pickle, which can run code and is never read"),
        (b"\x93NUMPY\x01\x00v\x00", "it holds one array of NumPy: model.set_weights takes a list of arrays"),
        (b"<!DOCTYPE html>", "it may be a page of the web"),
        (b"\x1f\x8b\x08\x00", "it is compressed by gzip"),
    ],
)
def test_files_that_are_often_taken_for_models_are_called_what_they_are(data, what, tmp_path):
    (tmp_path / "m.h5").write_bytes(data)
    for load in (load_model, classifier().load_weights):
        with pytest.raises(ModelFileError, match=rf"m\.h5 is damaged or no file of a model or of weights: .*; {what}"):
            load(tmp_path / "m.h5")


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda model: model.save("m.npz", "h5"), "save: overwrite"),
        (lambda model: model.save("m.npz", include_optimizer="no"), "save: include_optimizer"),
        (lambda model: model.save_weights("w.npz", overwrite=None), "save_weights: overwrite"),
        (lambda model: model.load_weights("w.npz", {}), "load_weights: by_name"),
        (lambda model: model.load_weights("w.npz", skip_mismatch="yes"), "load_weights: skip_mismatch"),
        (lambda model: model.load_weights("w.npz", reshape=(2, 3)), "load_weights: reshape"),
        (lambda model: load_model("m.npz", compile="no"), "load_model: compile"),
    ],
)
def test_words_are_no_flags(call, argument, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match=f"{argument} must be True or False. Received: "):
        call(classifier())


def test_what_is_no_model_no_list_of_arrays_and_no_dict_of_objects_is_named(tmp_path):
    model = classifier()
    model.save(tmp_path / "m.npz")
    with pytest.raises(TypeError, match=r"save writes models, and no other layers. Received: "):
        save_model(model.layers[0], tmp_path / "m.npz")
    for given in ("w.npz", tmp_path / "w.npz", {"kernel": np.ones(3)}):
        with pytest.raises(
            TypeError, match=r"set_weights expects a list of arrays, .* load_weights reads files. Received"
        ):
            model.set_weights(given)
    for call in (lambda: load_model(tmp_path / "m.npz", False), lambda: model_from_json(model.to_json(), False)):
        with pytest.raises(
            TypeError, match=r"custom_objects must be a dict from name to class or function\. Received: F"
        ):
            call()


def test_a_missing_folder_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"can't be written: there is no folder"):
        classifier().save_weights(tmp_path / "lost" / "w.npz")
