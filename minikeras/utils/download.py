"""get_file: a file from the web, kept in a cache."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from typing import Any, BinaryIO

from ..core.config import keras_home
from ..saving.atomic import atomic_write
from .archives import extract_archive
from .progress import Bar

_BLOCK = 2**16
_SECONDS_WITHOUT_DATA = 60


def get_file(
    fname: str,
    origin: str,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
) -> str:
    """Return the path of a file in the cache, which is downloaded if it isn't there or doesn't have the right hash.

    Args:
        fname: Its name in the cache; an absolute path says where it is kept.
        origin: Its URL.
        untar: Whether it is a tar file (kept as ``fname + ".tar.gz"``) to be unpacked into the folder ``fname``.
        md5_hash: Keras 1's name for file_hash, with MD5.
        file_hash: What its hash must be, in hexadecimal digits.
        cache_subdir: Folder inside the cache.
        hash_algorithm: "md5", "sha256", or "auto" to tell by the length.
        extract: Whether to unpack it, if it is a tar or a zip file, into the folder that it is in.
        archive_format: Of these, which to try: "tar", "zip", "auto" for both, None for neither.
        cache_dir: The cache; ``$KERAS_HOME`` or else ``~/.keras`` by default.

    Returns:
        The path of the file; with untar, of the folder.

    Raises:
        ConnectionError: If the download fails; the message says where to put the file by hand.
        ValueError: If what comes isn't what its hash says, or the archive isn't safe to unpack.
        OSError: If the cache can't be written to.
    """
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    if file_hash is not None:
        _hash_name(file_hash, hash_algorithm)  # a wrong argument shows before the download
    cache = keras_home() if cache_dir is None else os.path.expanduser(os.fspath(cache_dir))
    folder = os.path.join(cache, cache_subdir)
    path = os.path.join(folder, fname)
    archive = path + ".tar.gz" if untar else path
    if not os.path.exists(archive) or not _has_hash(archive, file_hash, hash_algorithm):
        _make_folder(os.path.dirname(archive))
        _download(origin, archive, file_hash, hash_algorithm)
    if untar:
        if not os.path.exists(path) and not extract_archive(archive, folder, "tar"):
            raise ValueError(f"get_file: {archive} is no tar file. Delete it to download it again from {origin}")
        return path
    if extract:
        extract_archive(archive, folder, archive_format)
    return archive


def validate_file(
    fpath: str | os.PathLike[str], file_hash: str, algorithm: str = "auto", chunk_size: int = _BLOCK
) -> bool:
    """Whether a file has this hash.

    Args:
        fpath: The file.
        file_hash: The hash, in hexadecimal digits.
        algorithm: "md5", "sha256", or "auto" to tell by the length.
        chunk_size: How many bytes to read at a time.

    Raises:
        ValueError: If the hash isn't one of such an algorithm.
    """
    digest = hashlib.new(_hash_name(file_hash, algorithm), usedforsecurity=False)
    with open(fpath, "rb") as file:
        while block := file.read(chunk_size):
            digest.update(block)
    return digest.hexdigest() == file_hash.lower()


def _has_hash(path: str, file_hash: str | None, algorithm: str) -> bool:
    if file_hash is None or validate_file(path, file_hash, algorithm):
        return True
    print(f"{path} doesn't have the hash {file_hash}: it is incomplete or outdated, and is downloaded again")
    return False


def _hash_name(file_hash: str, algorithm: str) -> str:
    lengths = {"md5": 32, "sha256": 64}
    if algorithm not in ("auto", *lengths):
        raise ValueError(f"hash_algorithm must be 'auto', 'md5' or 'sha256'. Received: {algorithm!r}")
    for name, length in lengths.items():
        if algorithm in (name, "auto") and isinstance(file_hash, str) and len(file_hash) == length:
            return name
    expected = "32 (MD5) or 64 (SHA-256)" if algorithm == "auto" else f"{lengths[algorithm]} ({algorithm})"
    raise ValueError(f"file_hash must be text of {expected} hexadecimal digits. Received: {file_hash!r}")


def _make_folder(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise type(error)(
            f"The folder {folder} for downloaded files can't be made ({error}). Choose another by the environment "
            "variable KERAS_HOME or by get_file(..., cache_dir=...)"
        ) from error


def _download(origin: str, path: str, file_hash: str | None, algorithm: str) -> None:
    print(f"Downloading {origin}")
    with atomic_write(path) as file:  # after an exception the path is as it was before
        try:
            with urllib.request.urlopen(origin, timeout=_SECONDS_WITHOUT_DATA) as response:
                _copy(response, file)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise ConnectionError(
                f"{origin} could not be downloaded: {_code(error)}{reason}. If this machine is offline, bring the file "
                f"from another one and save it as {path}, or let the environment variable KERAS_HOME name the folder "
                "whose 'datasets' has it"
            ) from error
        file.flush()
        if file_hash is not None and not validate_file(file.name, file_hash, algorithm):
            raise ValueError(
                f"What {origin} gave isn't the expected file: its {_hash_name(file_hash, algorithm)} hash isn't "
                f"{file_hash}. Nothing was kept; the path would have been {path}"
            )


def _copy(response: Any, file: BinaryIO) -> None:
    """Copy an answer to a file, and see that it is complete."""
    announced = response.headers.get("Content-Length")
    total = int(announced) if announced is not None and announced.isdecimal() else None
    done = 0
    with Bar(total, "bytes") as bar:
        while block := response.read(_BLOCK):
            file.write(block)
            done += len(block)
            bar.update(len(block))
    if total is not None and done != total:
        raise ConnectionError(f"{done} of {total} bytes came")


def _code(error: Exception) -> str:
    return f"{error.code} " if isinstance(error, urllib.error.HTTPError) else ""
