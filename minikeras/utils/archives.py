"""Archives from elsewhere, unpacked without trusting them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

_HARMLESS = 100 * 2**20  # bytes: a small archive may expand to this much
_LARGEST_RATIO = 200  # real data sets expand tenfold, bombs a thousandfold
_BLOCK = 2**20
_COMPRESSIONS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}


class ArchiveError(ValueError):
    """An archive that is broken, or that holds what no data set needs."""


def extract_archive(path: str | os.PathLike[str], folder: str | os.PathLike[str], archive_format: Any = "auto") -> bool:
    """Unpack a tar file (plain, gzip, bzip2, xz) or a zip file.

    Everything is checked and unpacked in a new folder first; only then is it moved to its place, so a refused or
    broken archive leaves nothing behind.

    Args:
        path: The archive.
        folder: Where to put what is in it; files of the same names are replaced.
        archive_format: "tar", "zip", a list of these, "auto" for both, None for neither.

    Returns:
        Whether it was an archive of such a format.

    Raises:
        ArchiveError: If a name in it is absolute or contains "..", if it holds links or devices, if it expands to
            more than 200 times its size (and 100 MiB), or if it is broken.
        OSError: If there isn't enough room.
        ValueError: If there is no such format.
    """
    formats = ["tar", "zip"] if archive_format == "auto" else archive_format or []
    for name in [formats] if isinstance(formats, str) else formats:
        if name not in _MEMBERS:
            raise ValueError(f"archive_format must be 'auto', 'tar', 'zip' or None. Received: {archive_format!r}")
        if (_is_tar if name == "tar" else zipfile.is_zipfile)(path):
            _extract(os.fspath(path), os.fspath(folder), name)
            return True
    return False


def _extract(path: str, folder: str, archive_format: str) -> None:
    allowed = max(_HARMLESS, _LARGEST_RATIO * os.path.getsize(path))
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".extracting-", dir=folder) as temporary:
        try:
            with _MEMBERS[archive_format](path, allowed) as members:
                for name, size, content in members:
                    allowed -= size
                    if allowed < 0:
                        raise _too_large(path)
                    _write(name, size, content, temporary, path)
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile) as error:
            raise ArchiveError(f"{path} is broken and was not unpacked: {error}") from error
        _move_into(temporary, folder)


def _is_tar(path: str | os.PathLike[str]) -> bool:
    """Whether it begins with a tar header (tarfile.is_tarfile would read on, as far as that header says)."""
    try:
        with _decompressed(os.fspath(path)) as content:
            tarfile.TarInfo.frombuf(content.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
    except EOFError:  # truncated in its first block: unpacking says so
        return True
    except (tarfile.HeaderError, OSError, zlib.error, lzma.LZMAError):
        return False
    return True


def _decompressed(path: str) -> IO[bytes]:
    with open(path, "rb") as file:
        start = file.read(6)
    opener: Any = next((opener for magic, opener in _COMPRESSIONS.items() if start.startswith(magic)), open)
    return opener(path, "rb")


@contextmanager
def _tar_members(path: str, allowed: int) -> Iterator[Iterator[tuple[str, int, IO[bytes] | None]]]:
    """Names, sizes and contents (None for a folder) of a tar file."""
    # a stream, so that nothing is read twice; bounded, since tarfile reads its extended headers in one piece
    with _decompressed(path) as content:
        bounded: Any = _Bounded(content, allowed, path)
        with tarfile.open(fileobj=bounded, mode="r|") as archive:
            yield ((tar.name, tar.size, _tar_content(archive, tar, path)) for tar in archive)


def _tar_content(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> IO[bytes] | None:
    if member.isdir():
        return None
    if not member.isreg():
        kind = "link" if member.issym() or member.islnk() else "device or special file"
        raise ArchiveError(f"{path} holds a {kind}, {member.name!r}, and was not unpacked: only files and folders are")
    return archive.extractfile(member)


@contextmanager
def _zip_members(path: str, allowed: int) -> Iterator[Iterator[tuple[str, int, IO[bytes] | None]]]:
    """Names, sizes and contents (None for a folder) of a zip file; sizes are checked before anything is unpacked."""
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > allowed:
            raise _too_large(path)
        yield (
            (zipped.filename, zipped.file_size, _zip_content(archive, zipped, path)) for zipped in archive.infolist()
        )


def _zip_content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: str) -> IO[bytes] | None:
    if (member.external_attr >> 16) & 0o170000 == 0o120000:
        raise ArchiveError(
            f"{path} holds a link, {member.filename!r}, and was not unpacked: only files and folders are"
        )
    if member.flag_bits & 1:
        raise ArchiveError(f"{path} is encrypted and was not unpacked")
    try:
        return None if member.is_dir() else archive.open(member)
    except NotImplementedError as error:  # a compression that zipfile doesn't know
        raise ArchiveError(f"{path} can't be unpacked: {error}") from error


_MEMBERS = {"tar": _tar_members, "zip": _zip_members}


class _Bounded:
    """A stream that ends in an error after so many bytes."""

    def __init__(self, stream: IO[bytes], allowed: int, path: str) -> None:
        self._stream, self._left, self._path = stream, allowed + _BLOCK, path  # headers and padding on top

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise _too_large(self._path)
        return data


def _write(name: str, size: int, content: IO[bytes] | None, folder: str, path: str) -> None:
    parts = _safe_parts(name, path)
    target = os.path.join(folder, *parts)
    if content is None:
        os.makedirs(target, exist_ok=True)
        return
    if not parts:
        raise ArchiveError(f"{path} holds a file without a name and was not unpacked")
    free = shutil.disk_usage(folder).free
    if size > free:
        raise OSError(f"{path}: {name!r} takes {size} bytes, and {folder} has room for {free}")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with content, open(target, "wb") as file:
        shutil.copyfileobj(content, file, _BLOCK)
    if os.path.getsize(target) != size:
        raise ArchiveError(f"{path} is broken and was not unpacked: {name!r} isn't {size} bytes long")


def _safe_parts(name: str, path: str) -> list[str]:
    """The parts of a relative name that stays in its folder, on every system."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
        raise ArchiveError(f"{path} holds the name {name!r}, which leads out of its folder, and was not unpacked")
    return [part for part in parts if part not in ("", ".")]


def _move_into(source: str, folder: str) -> None:
    for name in os.listdir(source):
        old, new = os.path.join(source, name), os.path.join(folder, name)
        if os.path.isdir(old) and os.path.isdir(new):
            _move_into(old, new)
        else:
            os.replace(old, new)


def _too_large(path: str) -> ArchiveError:
    return ArchiveError(
        f"{path} was not unpacked: it would expand to more than {_LARGEST_RATIO} times its size of "
        f"{os.path.getsize(path)} bytes"
    )
