from __future__ import annotations

import io
import sys

import pytest

from minikeras import utils
from minikeras.registry import Configurable
from minikeras.utils import generic_utils, io_utils


class Scale(Configurable):
    def __init__(self, factor: float = 2.0) -> None:
        self.factor = factor


def test_an_object_comes_back_from_its_configuration() -> None:
    config = utils.serialize_keras_object(Scale(3.0))
    assert config == {"class_name": "Scale", "config": {"factor": 3.0}}
    assert utils.deserialize_keras_object(config, {"Scale": Scale}).factor == 3.0


def test_functions_go_by_their_names_and_none_stays() -> None:
    assert utils.serialize_keras_object(len) == "len"
    assert utils.deserialize_keras_object("len", {"len": len}) is len
    assert utils.serialize_keras_object(None) is utils.deserialize_keras_object(None) is None


def test_custom_objects_come_before_those_of_the_scope_and_those_before_the_modules() -> None:
    with utils.custom_object_scope({"f": max}):
        assert utils.deserialize_keras_object("f", {"f": len}) is max
        assert utils.deserialize_keras_object("f", {"f": len}, custom_objects={"f": min}) is min
        assert utils.get_custom_objects()["f"] is max
    assert "f" not in utils.get_custom_objects()


def test_an_unknown_name_is_refused_with_what_was_looked_for() -> None:
    with pytest.raises(ValueError, match=r"Unknown layer: 'Scal'. Did you mean 'Scale'"):
        utils.deserialize_keras_object("Scal", {"Scale": Scale}, printable_module_name="layer")


@pytest.mark.parametrize("name", ["HDF5Matrix", "h5dict", "multi_gpu_model", "convert_all_kernels_in_model"])
def test_what_is_left_out_says_what_to_do_instead(name: str) -> None:
    with pytest.raises(ImportError, match=f"minikeras.utils.{name} isn't part of minikeras: .{{20}}"):
        getattr(utils, name)


def test_the_advice_is_seen_by_import_statements() -> None:
    with pytest.raises(ImportError, match=r"a minikeras\.utils\.Sequence whose __getitem__ reads a slice"):
        from minikeras.utils.io_utils import HDF5Matrix  # noqa: F401


def test_other_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match=r"module 'minikeras\.utils' has no attribute 'to_categorial'"):
        utils.to_categorial  # noqa: B018 (the access is the test)


def test_keras_paths_lead_to_the_same_objects() -> None:
    assert generic_utils.Progbar is utils.Progbar
    assert utils.data_utils.Sequence is utils.Sequence
    assert utils.np_utils.to_categorical is utils.to_categorical


@pytest.mark.parametrize(("answers", "overwrite"), [("y\n", True), ("what?\nN\n", False)])
def test_overwriting_is_asked_for(answers: str, overwrite: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answers))
    assert io_utils.ask_to_proceed_with_overwrite("weights.npz") is overwrite


def test_arguments_are_found() -> None:
    def takes(a: int, /, b: int, *c: int, d: int = 0, **rest: int) -> None: ...

    assert [name for name in "abcde" if generic_utils.has_arg(takes, name)] == ["b", "d"]
    assert generic_utils.has_arg(takes, "e", accept_all=True)
    assert not generic_utils.has_arg(lambda b: b, "e", accept_all=True)


def test_lists_are_made_and_unpacked() -> None:
    items = [1, 2]
    assert generic_utils.to_list(items) is items
    assert generic_utils.to_list(None) == [None]
    assert generic_utils.to_list((1, 2)) == [(1, 2)]
    assert generic_utils.to_list((1, 2), allow_tuple=True) == [1, 2]
    assert generic_utils.unpack_singleton(items) is items
    assert generic_utils.unpack_singleton([[]]) == []
    assert generic_utils.unpack_singleton(()) == ()
