from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minikeras.utils import archives
from minikeras.utils.archives import ArchiveError, extract_archive


def tar_of(path: Path, *members: tuple[str, bytes] | tarfile.TarInfo, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


def zip_of(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def names_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_file_is_unpacked_whatever_its_compression(tmp_path: Path, mode: str) -> None:
    archive = tar_of(tmp_path / "a", special("set", tarfile.DIRTYPE), ("set/x", b"one"), ("./y", b"two"), mode=mode)
    assert extract_archive(archive, tmp_path / "out")
    assert (tmp_path / "out/set/x").read_bytes() == b"one"
    assert names_in(tmp_path / "out") == {"set", "set/x", "y"}


def test_a_zip_file_is_unpacked(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", ("set/", b""), ("set/x", b"one"))
    assert extract_archive(archive, tmp_path / "out")
    assert (tmp_path / "out/set/x").read_bytes() == b"one"


def test_files_of_the_same_names_are_replaced_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "out/set").mkdir(parents=True)
    (tmp_path / "out/set/x").write_text("old")
    (tmp_path / "out/set/mine").write_text("mine")
    extract_archive(zip_of(tmp_path / "a.zip", ("set/x", b"new")), tmp_path / "out")
    assert (tmp_path / "out/set/x").read_text() == "new"
    assert (tmp_path / "out/set/mine").read_text() == "mine"


@pytest.mark.parametrize("archive_format", ["auto", ["zip"], "tar", None, []])
def test_what_is_no_archive_of_these_formats_is_left_alone(tmp_path: Path, archive_format: object) -> None:
    (tmp_path / "a").write_bytes(b"just text, as long as a header of a tar file" * 20)
    assert not extract_archive(tmp_path / "a", tmp_path / "out", archive_format)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["/etc/evil", "../evil", "set/../../evil", "..\\evil", "\\evil", "C:/evil", "C:evil"])
@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, make: Callable[..., Path], name: str) -> None:
    archive = make(tmp_path / "a", ("good", b"good"), (name, b"evil"))
    with pytest.raises(ArchiveError, match="leads out of its folder"):
        extract_archive(archive, tmp_path / "in" / "out")
    assert names_in(tmp_path / "in") == {"out"}
    assert names_in(tmp_path) == {"a", "in", "in/out"}


@pytest.mark.parametrize(
    ("member", "kind"),
    [
        (special("link", tarfile.SYMTYPE, "/etc"), "link, 'link'"),
        (special("link", tarfile.SYMTYPE, "inside"), "link, 'link'"),
        (special("link", tarfile.LNKTYPE, "/etc/passwd"), "link, 'link'"),
        (special("zero", tarfile.CHRTYPE), "device or special file, 'zero'"),
        (special("disk", tarfile.BLKTYPE), "device or special file, 'disk'"),
        (special("pipe", tarfile.FIFOTYPE), "device or special file, 'pipe'"),
    ],
)
def test_links_and_devices_in_tar_files_are_refused(tmp_path: Path, member: tarfile.TarInfo, kind: str) -> None:
    with pytest.raises(ArchiveError, match=f"holds a {kind}"):
        extract_archive(tar_of(tmp_path / "a", member, (f"{member.name}/x", b"evil")), tmp_path / "out")
    assert names_in(tmp_path / "out") == set()


def test_links_in_zip_files_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with pytest.raises(ArchiveError, match="holds a link, 'link'"):
        extract_archive(zip_of(tmp_path / "a", (link, b"/etc")), tmp_path / "out")
    assert names_in(tmp_path / "out") == set()


def test_zip_bombs_are_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_HARMLESS", 2**20)
    monkeypatch.setattr(archives, "_write", lambda *_: pytest.fail("written"))
    archive = zip_of(tmp_path / "a", *((f"{number}", bytes(2**19)) for number in range(4)))
    with pytest.raises(ArchiveError, match="more than 200 times its size"):
        extract_archive(archive, tmp_path / "out")


def test_tar_bombs_are_refused_at_the_first_file_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_HARMLESS", 2**20)
    archive = tar_of(tmp_path / "a", *((f"{number}", bytes(2**19)) for number in range(4)))
    with pytest.raises(ArchiveError, match="more than 200 times its size"):
        extract_archive(archive, tmp_path / "out")
    assert names_in(tmp_path / "out") == set()


def test_bombs_in_the_headers_of_tar_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_HARMLESS", 2**10)
    monkeypatch.setattr(archives, "_BLOCK", 2**10)
    info = tarfile.TarInfo("x")
    info.pax_headers = {"comment": "a" * 2**22}
    with tarfile.open(tmp_path / "a", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    with pytest.raises(ArchiveError, match="more than 200 times its size"):
        extract_archive(tmp_path / "a", tmp_path / "out")


def test_a_small_archive_may_expand_a_lot(tmp_path: Path) -> None:
    assert extract_archive(zip_of(tmp_path / "a", ("zeros", bytes(2**23))), tmp_path / "out")
    assert (tmp_path / "out/zeros").stat().st_size == 2**23


def test_an_archive_larger_than_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = archives.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: usage._replace(free=10))
    with pytest.raises(OSError, match=r"'x' takes 11 bytes, and .* has room for 10"):
        extract_archive(zip_of(tmp_path / "a", ("x", b"hello world")), tmp_path / "out")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_truncated_tar_file_leaves_nothing_behind(tmp_path: Path, mode: str) -> None:
    noise = np.random.default_rng(0).bytes(40_000)
    whole = tar_of(tmp_path / "a", ("first", b"first"), ("second", noise), mode=mode).read_bytes()
    (tmp_path / "a").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArchiveError, match="is broken and was not unpacked"):
        extract_archive(tmp_path / "a", tmp_path / "out", "tar")
    assert names_in(tmp_path / "out") == set()


def test_a_zip_file_whose_content_was_changed_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        archive.writestr("x", b"hello world")
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes().replace(b"hello world", b"hullo world"))
    with pytest.raises(ArchiveError, match="Bad CRC-32"):
        extract_archive(tmp_path / "a", tmp_path / "out")


@pytest.mark.parametrize("opener", [gzip.open, bz2.open, lzma.open])
def test_a_compressed_file_that_is_no_archive_is_none(tmp_path: Path, opener: Callable[..., io.BufferedWriter]) -> None:
    with opener(tmp_path / "a", "wb") as file:
        file.write(b"text " * 300)
    assert not extract_archive(tmp_path / "a", tmp_path / "out")


def test_a_file_with_an_empty_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="holds a file without a name"):
        extract_archive(tar_of(tmp_path / "a", ("./.", b"evil")), tmp_path / "out")


def test_an_encrypted_zip_file_is_refused(tmp_path: Path) -> None:
    content = bytearray(zip_of(tmp_path / "a", ("x", b"one")).read_bytes())
    content[content.index(b"PK\x03\x04") + 6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ArchiveError, match="is encrypted and was not unpacked"):
        extract_archive(tmp_path / "a", tmp_path / "out")


@pytest.mark.parametrize("archive_format", ["rar", ["tar", "rar"]])
def test_an_unknown_format_is_refused(tmp_path: Path, archive_format: object) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(ValueError, match="archive_format must be 'auto', 'tar', 'zip' or None"):
        extract_archive(tmp_path / "a", tmp_path, archive_format)
