from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from minikeras.utils import get_file
from minikeras.utils.data_utils import validate_file
from tests.server import Site, serving

CONTENT = b"twelve bytes"
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        site.files["data.bin"] = CONTENT
        yield site


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


def test_a_file_is_downloaded_into_the_cache_once(site: Site, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = get_file("data.bin", site.url + "data.bin")
    assert path == str(cache / "datasets/data.bin")
    assert Path(path).read_bytes() == CONTENT
    assert capsys.readouterr().out == f"Downloading {site.url}data.bin\n"
    assert get_file("data.bin", site.url + "data.bin") == path
    assert site.requests == ["data.bin"]
    assert os.listdir(cache / "datasets") == ["data.bin"]


def test_the_cache_is_in_the_home_folder_unless_keras_home_is_set(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert get_file("x", site.url + "data.bin") == str(tmp_path / ".keras/datasets/x")


def test_cache_folder_and_name_can_be_chosen(site: Site, tmp_path: Path) -> None:
    path = get_file("x", site.url + "data.bin", cache_dir=tmp_path / "mine", cache_subdir="sub")
    assert path == str(tmp_path / "mine/sub/x")
    absolute = str(tmp_path / "elsewhere/x")
    assert get_file(absolute, site.url + "data.bin") == absolute
    assert Path(absolute).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "keywords",
    [
        {"file_hash": MD5},
        {"md5_hash": MD5},
        {"file_hash": SHA256},
        {"file_hash": SHA256.upper(), "hash_algorithm": "sha256"},
        {"file_hash": MD5, "hash_algorithm": "md5"},
    ],
)
def test_a_file_with_the_right_hash_is_taken(site: Site, keywords: dict[str, str]) -> None:
    assert Path(get_file("x", site.url + "data.bin", **keywords)).read_bytes() == CONTENT


def test_a_file_in_the_cache_with_another_hash_is_downloaded_again(
    site: Site, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cache / "datasets").mkdir(parents=True)
    (cache / "datasets/x").write_bytes(b"old")
    path = get_file("x", site.url + "data.bin", file_hash=MD5)
    assert Path(path).read_bytes() == CONTENT
    assert "is incomplete or outdated" in capsys.readouterr().out


def test_a_download_with_another_hash_is_refused_and_what_was_there_stays(site: Site, cache: Path) -> None:
    (cache / "datasets").mkdir(parents=True)
    (cache / "datasets/x").write_bytes(b"old")
    with pytest.raises(ValueError, match=f"isn't the expected file: its md5 hash isn't {MD5[::-1]}"):
        get_file("x", site.url + "data.bin", file_hash=MD5[::-1])
    assert os.listdir(cache / "datasets") == ["x"]
    assert (cache / "datasets/x").read_bytes() == b"old"


def test_a_truncated_download_is_refused_and_leaves_nothing(site: Site, cache: Path) -> None:
    site.announced["data.bin"] = 100
    with pytest.raises(ConnectionError, match="12 of 100 bytes came"):
        get_file("x", site.url + "data.bin")
    assert os.listdir(cache / "datasets") == []


def test_a_server_that_announces_no_length_is_believed(site: Site) -> None:
    site.announced["data.bin"] = None
    assert Path(get_file("x", site.url + "data.bin")).read_bytes() == CONTENT


def test_offline_the_message_says_where_to_put_the_file(cache: Path) -> None:
    with pytest.raises(ConnectionError) as caught:
        get_file("x", "http://127.0.0.1:9/data.bin")
    message = str(caught.value)
    for part in ("http://127.0.0.1:9/data.bin could not be downloaded", str(cache / "datasets/x"), "KERAS_HOME"):
        assert part in message


def test_an_address_without_a_file_is_named_with_the_servers_answer(site: Site) -> None:
    with pytest.raises(ConnectionError, match=f"{site.url}none could not be downloaded: 404 Not Found"):
        get_file("x", site.url + "none")


def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(ConnectionError, match=r"data.bin could not be downloaded: unknown url type"):
        get_file("x", "data.bin")


def test_a_cache_that_cannot_be_made_is_named(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"can't be made .* KERAS_HOME or by get_file\(..., cache_dir=...\)"):
        get_file("x", site.url + "data.bin", cache_dir=tmp_path / "file")
    assert site.requests == []


def test_untar_gives_the_folder_and_unpacks_it_once(site: Site, cache: Path) -> None:
    site.files["set.tgz"] = _tar({"set/x": b"one"})
    path = get_file("set", site.url + "set.tgz", untar=True)
    assert path == str(cache / "datasets/set")
    assert (Path(path) / "x").read_bytes() == b"one"
    assert sorted(os.listdir(cache / "datasets")) == ["set", "set.tar.gz"]
    (Path(path) / "x").write_bytes(b"changed")
    get_file("set", site.url + "set.tgz", untar=True)
    assert (Path(path) / "x").read_bytes() == b"changed"


def test_untar_refuses_what_is_no_tar_file(site: Site) -> None:
    with pytest.raises(ValueError, match="is no tar file"):
        get_file("set", site.url + "data.bin", untar=True)


def test_an_unsafe_archive_is_refused_by_get_file(site: Site, cache: Path) -> None:
    site.files["set.tgz"] = _tar({"../../evil": b"evil"})
    with pytest.raises(ValueError, match="leads out of its folder"):
        get_file("set", site.url + "set.tgz", untar=True)
    assert os.listdir(cache) == ["datasets"]


def test_extract_unpacks_beside_the_file(site: Site, cache: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x", b"one")
    site.files["a.zip"] = buffer.getvalue()
    assert get_file("a.zip", site.url + "a.zip", extract=True) == str(cache / "datasets/a.zip")
    assert (cache / "datasets/x").read_bytes() == b"one"


@pytest.mark.parametrize(
    ("file_hash", "algorithm", "message"),
    [
        ("abc", "auto", r"file_hash must be text of 32 \(MD5\) or 64 \(SHA-256\) hexadecimal digits. Received: 'abc'"),
        (MD5, "sha256", r"file_hash must be text of 64 \(sha256\) hexadecimal digits"),
        (MD5, "crc", "hash_algorithm must be 'auto', 'md5' or 'sha256'. Received: 'crc'"),
        (5, "auto", "Received: 5"),
    ],
)
def test_a_wrong_hash_argument_is_refused_before_the_download(
    site: Site, file_hash: str, algorithm: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        get_file("x", site.url + "data.bin", file_hash=file_hash, hash_algorithm=algorithm)
    assert site.requests == []


def test_validate_file_compares_the_hash(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(CONTENT)
    assert validate_file(tmp_path / "x", MD5, "md5")
    assert validate_file(tmp_path / "x", SHA256, chunk_size=5)
    assert not validate_file(tmp_path / "x", MD5[::-1])


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
