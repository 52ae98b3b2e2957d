from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from minikeras.core import config

SHOW = "from minikeras.core import config as c; print(c.floatx(), c.epsilon(), c.image_data_format())"


def show_with(folder: Path, **environment: str) -> tuple[str, str]:
    """The configuration a new process starts with, and what it warns of, with KERAS_HOME at the folder."""
    environment = {"KERAS_HOME": str(folder), "PYTHONPATH": str(Path(config.__file__).parents[2]), **environment}
    done = subprocess.run([sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip(), done.stderr


def test_the_defaults_are_those_of_keras() -> None:
    assert (config.floatx(), config.epsilon(), config.image_data_format()) == ("float32", 1e-7, "channels_last")


def test_setters_change_what_getters_return() -> None:
    config.set_floatx("float64")
    config.set_epsilon(1e-5)
    config.set_image_data_format("channels_first")
    assert (config.floatx(), config.epsilon(), config.image_data_format()) == ("float64", 1e-5, "channels_first")


def test_a_numpy_number_is_an_epsilon_and_comes_back_as_a_float() -> None:
    config.set_epsilon(np.float32(0.25))
    assert config.epsilon() == 0.25
    assert type(config.epsilon()) is float


@pytest.mark.parametrize("value", ["float31", "", None, 32, np.float32, np.dtype("float32"), ["float32"]])
def test_a_wrong_floatx_is_refused_and_changes_nothing(value: object) -> None:
    with pytest.raises(ValueError, match=r'floatx must be one of "float16", "float32", "float64"\. Received: '):
        config.set_floatx(value)
    assert config.floatx() == "float32"


@pytest.mark.parametrize("value", ["channels_middle", "Channels_Last", None, 1, True])
def test_a_wrong_image_data_format_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r'image_data_format must be one of "channels_last", "channels_first"'):
        config.set_image_data_format(value)


@pytest.mark.parametrize("value", [0, 0.0, 1, -1e-7, float("nan"), float("inf"), 10**400])
def test_an_epsilon_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"epsilon must be between 0 and 1, both excluded\. Received: "):
        config.set_epsilon(value)


@pytest.mark.parametrize("value", ["1e-7", None, True, 1j])
def test_an_epsilon_that_is_no_real_number_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"epsilon must be a real number\. Received: "):
        config.set_epsilon(value)


def test_a_scope_ends_where_it_began_even_by_an_exception_and_setters_inside() -> None:
    with pytest.raises(KeyError), config.scope(floatx="float64"):  # noqa: PT012 (the body is what is tested)
        assert config.floatx() == "float64"
        config.set_epsilon(0.5)
        raise KeyError
    assert (config.floatx(), config.epsilon()) == ("float32", 1e-7)


def test_a_scope_with_one_wrong_value_sets_none() -> None:
    with pytest.raises(ValueError, match="image_data_format"), config.scope(floatx="float64", image_data_format="?"):
        pytest.fail("the body must not run")
    assert config.floatx() == "float32"


def test_keras_json_sets_the_defaults_and_its_other_keys_are_ignored(tmp_path: Path) -> None:
    settings = {"floatx": "float64", "epsilon": 1e-4, "image_data_format": "channels_first", "backend": "theano"}
    (tmp_path / "keras.json").write_text(json.dumps(settings), encoding="utf-8-sig")
    assert show_with(tmp_path) == ("float64 0.0001 channels_first", "")


def test_without_keras_home_the_file_is_sought_in_the_home_folder(tmp_path: Path) -> None:
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text('{"floatx": "float16"}')
    assert show_with(tmp_path, KERAS_HOME="", HOME=str(tmp_path))[0] == "float16 1e-07 channels_last"


def test_a_missing_keras_json_is_no_matter(tmp_path: Path) -> None:
    assert show_with(tmp_path / "nowhere") == ("float32 1e-07 channels_last", "")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b"[" * 100_000, b'{"epsilon": ' + b"9" * 5000 + b"}"],
    ids=["empty", "half", "list", "null", "not utf-8", "too deep", "too long a number"],
)
def test_a_malformed_keras_json_is_a_warning_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    (tmp_path / "keras.json").write_bytes(content)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.warns(UserWarning, match=f"^{re.escape(str(tmp_path / 'keras.json'))} .* is ignored"):
        config._load_user_defaults()
    assert (config.floatx(), config.epsilon(), config.image_data_format()) == ("float32", 1e-7, "channels_last")


def test_an_unreadable_keras_json_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "keras.json").mkdir()
    shown, warned = show_with(tmp_path)
    assert shown == "float32 1e-07 channels_last"
    assert str(tmp_path / "keras.json") in warned


def test_a_wrong_value_in_keras_json_is_a_warning_and_the_others_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keras.json").write_text('{"floatx": "double", "epsilon": null, "image_data_format": "channels_first"}')
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        config._load_user_defaults()
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 2
    assert all(message.startswith(str(tmp_path / "keras.json")) for message in messages)
    assert "\"float64\". Received: 'double'; the default stays." in messages[0]
    assert "epsilon must be a real number" in messages[1]
    assert (config.floatx(), config.epsilon(), config.image_data_format()) == ("float32", 1e-7, "channels_first")


def test_the_suite_does_not_see_the_keras_json_of_the_user() -> None:
    assert os.listdir(os.environ["KERAS_HOME"]) == []
