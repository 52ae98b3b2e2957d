"""Keras's data sets, small ones of the same format, from a server on this machine."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from minikeras import config
from minikeras.datasets import boston_housing, cifar, cifar10, cifar100, fashion_mnist, imdb, mnist, reuters
from tests.datasets import pickles
from tests.server import Site, serving

random = np.random.default_rng(0)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as site:
        yield site


def serve(site: Site, monkeypatch: pytest.MonkeyPatch, module: ModuleType, content: bytes) -> None:
    """Let a module find its file on the server, where it has another hash."""
    site.files["set"] = content
    monkeypatch.setattr(module, "_ORIGIN", site.url + "set")
    for name in ("_MD5", "_SHA256"):
        if hasattr(module, name):
            monkeypatch.setattr(module, name, None)


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def texts(*lists: list[int]) -> np.ndarray:
    array = np.empty(len(lists), dtype=object)
    for row, words in enumerate(lists):
        array[row] = words
    return array


def test_mnist(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = random.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    labels = np.arange(5, dtype=np.uint8)
    content = npz(x_train=images[:3], y_train=labels[:3], x_test=images[3:], y_test=labels[3:])
    serve(site, monkeypatch, mnist, content)
    for _ in range(2):
        (x_train, y_train), (x_test, y_test) = mnist.load_data()
        np.testing.assert_array_equal(np.concatenate([x_train, x_test]), images)
        np.testing.assert_array_equal(np.concatenate([y_train, y_test]), labels)
        assert (x_train.dtype, len(x_train)) == (np.uint8, 3)
    assert site.requests == ["set"]
    assert (tmp_path / "datasets/mnist.npz").exists()


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">BBBB{array.ndim}i", 0, 0, 8, array.ndim, *array.shape)
    return gzip.compress(header + array.tobytes())


@pytest.fixture
def fashion(site: Site, monkeypatch: pytest.MonkeyPatch) -> tuple[Site, dict[str, np.ndarray]]:
    arrays = {
        name: random.integers(0, 256, (4,) if "idx1" in name else (4, 28, 28), dtype=np.uint8)
        for name in fashion_mnist._MD5
    }
    site.files.update({name: idx(array) for name, array in arrays.items()})
    monkeypatch.setattr(fashion_mnist, "_ORIGIN", site.url)
    monkeypatch.setattr(fashion_mnist, "_MD5", dict.fromkeys(arrays))
    return site, arrays


def test_fashion_mnist(fashion: tuple[Site, dict[str, np.ndarray]], tmp_path: Path) -> None:
    site, arrays = fashion
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    for found, expected in zip((y_train, x_train, y_test, x_test), arrays.values(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert sorted(path.name for path in (tmp_path / "datasets/fashion-mnist").iterdir()) == sorted(arrays)
    assert len(site.requests) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip file", "is broken"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x05abcd", mtime=0), r"announces 5 bytes of shape \(5,\)"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x03abcd", mtime=0), r"announces 3 bytes of shape \(3,\)"),
        (gzip.compress(b"\0\0\x08\x01\x7f\xff\xff\xff" + b"a" * 100, mtime=0), "announces 2147483647 bytes"),
        (gzip.compress(b"\0\0\x0d\x01\0\0\0\x04abcd", mtime=0), "is no IDX file of bytes with 1 axes"),
        (gzip.compress(b"\0\0\x08\x01\xff\xff\xff\xff", mtime=0), "is no IDX file"),
        (gzip.compress(b"\0\0\x08", mtime=0), "is no IDX file"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x04abcd", mtime=0)[:-9], "is broken"),
    ],
)
def test_a_broken_idx_file_is_named(content: bytes, message: str, fashion: tuple[Site, dict[str, np.ndarray]]) -> None:
    site, _ = fashion
    site.files["train-labels-idx1-ubyte.gz"] = content
    with pytest.raises(ValueError, match=f"train-labels-idx1-ubyte.gz.*{message}"):
        fashion_mnist.load_data()


def cifar_batch(count: int, **labels: list[int]) -> tuple[np.ndarray, bytes]:
    images = random.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    return images, pickles.batch({"batch_label": "a batch", **labels, "data": images.reshape(count, -1)})


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_cifar10(site: Site, monkeypatch: pytest.MonkeyPatch, data_format: str) -> None:
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    parts = {name: cifar_batch(2, labels=[number, 9]) for number, name in enumerate(names)}
    files = {f"cifar-10-batches-py/{name}": content for name, (_, content) in parts.items()}
    serve(site, monkeypatch, cifar10, tar(files))
    with config.scope(image_data_format=data_format):
        (x_train, y_train), (x_test, y_test) = cifar10.load_data()
    images = np.concatenate([images for images, _ in parts.values()])
    if data_format == "channels_last":
        images = images.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(np.concatenate([x_train, x_test]), images)
    np.testing.assert_array_equal(y_train, [[0], [9], [1], [9], [2], [9], [3], [9], [4], [9]])
    np.testing.assert_array_equal(y_test, [[5], [9]])
    assert y_test.dtype == x_test.dtype == np.uint8


@pytest.mark.parametrize("label_mode", ["fine", "coarse"])
def test_cifar100(site: Site, monkeypatch: pytest.MonkeyPatch, label_mode: str) -> None:
    labels = {"fine": [99, 5, 0], "coarse": [19, 1, 0]}
    parts = {
        name: cifar_batch(3, fine_labels=labels["fine"], coarse_labels=labels["coarse"]) for name in ("train", "test")
    }
    serve(site, monkeypatch, cifar100, tar({f"cifar-100-python/{name}": part[1] for name, part in parts.items()}))
    (x_train, y_train), (x_test, y_test) = cifar100.load_data(label_mode)
    np.testing.assert_array_equal(x_train, parts["train"][0].transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(x_test, parts["test"][0].transpose(0, 2, 3, 1))
    assert y_train[:, 0].tolist() == y_test[:, 0].tolist() == labels[label_mode]


def test_cifar100_has_two_label_modes() -> None:
    with pytest.raises(ValueError, match=r"label_mode must be one of 'fine', 'coarse'. Received: 'all'"):
        cifar100.load_data("all")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cos\nsystem\n(S'ls'\ntR.", r"can't be read: The pickled data asks for os\.system"),
        (pickles.batch([1]), "holds no dict"),
        (pickles.batch({"labels": [1]}), "holds no uint8 images under 'data'"),
        (pickles.batch({"data": np.zeros((1, 5), "uint8"), "labels": [1]}), "holds no uint8 images under 'data'"),
        (cifar_batch(2, labels=[1])[1], "doesn't hold 2 labels under 'labels'"),
        (cifar_batch(1, fine_labels=[1])[1], "doesn't hold 1 labels under 'labels'"),
    ],
)
def test_what_is_no_batch_of_cifars_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "batch").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        cifar.load_batch(tmp_path / "batch")


def test_boston_housing_is_split_as_keras_does(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = np.arange(20.0).reshape(10, 2), np.arange(10.0)
    serve(site, monkeypatch, boston_housing, npz(x=x, y=y))
    (x_train, y_train), (x_test, y_test) = boston_housing.load_data(test_split=0.3)
    np.random.seed(113)
    order = np.arange(10)
    np.random.shuffle(order)
    np.testing.assert_array_equal(y_train, order[:7])
    np.testing.assert_array_equal(y_test, order[7:])
    np.testing.assert_array_equal(np.concatenate([x_train, x_test]), x[order])
    with pytest.raises(ValueError, match=r"test_split must be a number in \[0, 1\). Received: 1"):
        boston_housing.load_data(test_split=1)


REVIEWS = texts([1, 14, 22], [1, 194], [1, 14, 47, 8, 30], [1, 5])


@pytest.fixture
def reviews(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.array([1, 0, 0, 1])
    serve(site, monkeypatch, imdb, npz(x_train=REVIEWS, y_train=numbers, x_test=REVIEWS[::-1], y_test=numbers[::-1]))


def by_keras(x: np.ndarray, seed: int = 113) -> list[list[int]]:
    np.random.seed(seed)
    order = np.arange(len(x))
    np.random.shuffle(order)
    return [x[row] for row in order]


@pytest.mark.usefixtures("reviews")
def test_imdb_is_shuffled_and_numbered_as_keras_does() -> None:
    (x_train, y_train), (x_test, y_test) = imdb.load_data()
    limit = 194 + 3  # without num_words Keras leaves the very last word out
    for x, source in ((x_train, REVIEWS), (x_test, REVIEWS[::-1])):
        assert x.tolist() == [[1, *(w + 3 if w + 3 < limit else 2 for w in text)] for text in by_keras(source)]
    np.testing.assert_array_equal(y_train, by_keras(np.array([1, 0, 0, 1])))
    np.testing.assert_array_equal(y_test, by_keras(np.array([1, 0, 0, 1])[::-1]))


@pytest.mark.usefixtures("reviews")
def test_imdb_leaves_rare_and_frequent_words_out() -> None:
    (x_train, _), _ = imdb.load_data(num_words=30, skip_top=9)
    assert x_train.tolist() == [[2, *(w + 3 if 9 <= w + 3 < 30 else 2 for w in text)] for text in by_keras(REVIEWS)]
    (x_train, _), _ = imdb.load_data(num_words=30, skip_top=9, oov_char=None, start_char=None, index_from=0)
    assert x_train.tolist() == [[w for w in text if 9 <= w < 30] for text in by_keras(REVIEWS)]


@pytest.mark.usefixtures("reviews")
def test_imdb_keeps_reviews_shorter_than_maxlen_each_with_its_label_and_in_its_part() -> None:
    (x_train, y_train), (x_test, y_test) = imdb.load_data(maxlen=4, num_words=1000)
    assert sorted(zip(x_train.tolist(), y_train.tolist(), strict=True)) == [([1, 4, 8], 1), ([1, 4, 197], 0)]
    assert sorted(zip(x_test.tolist(), y_test.tolist(), strict=True)) == [([1, 4, 8], 1), ([1, 4, 197], 0)]
    with pytest.raises(ValueError, match=r"no text is shorter than maxlen. Received: 2"):
        imdb.load_data(maxlen=2)


@pytest.mark.usefixtures("reviews")
def test_imdb_takes_keras_1s_name_of_num_words_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="nb_words is called num_words"):
        (x_train, _), _ = imdb.load_data(nb_words=10)
    assert x_train.tolist() == imdb.load_data(num_words=10)[0][0].tolist()
    with pytest.raises(TypeError, match="unexpected arguments num_word"):
        imdb.load_data(num_word=10)


def test_reuters_is_split_after_shuffling(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(site, monkeypatch, reuters, npz(x=REVIEWS, y=np.array([10, 11, 12, 13])))
    (x_train, y_train), (x_test, y_test) = reuters.load_data(num_words=1000, test_split=0.25, seed=5)
    expected = [[1, *(w + 3 for w in text)] for text in by_keras(REVIEWS, 5)]
    assert [*x_train.tolist(), *x_test.tolist()] == expected
    assert (len(x_train), len(x_test)) == (3, 1)
    assert [*y_train, *y_test] == by_keras(np.array([10, 11, 12, 13]), 5)


@pytest.mark.parametrize("module", [imdb, reuters])
def test_the_index_of_words(site: Site, monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    site.files["index"] = json.dumps({"the": 1, "naïve": 2}).encode()
    monkeypatch.setattr(module, "_INDEX_ORIGIN", site.url + "index")
    monkeypatch.setattr(module, "_INDEX_MD5", None)
    assert module.get_word_index() == {"the": 1, "naïve": 2}


@pytest.mark.parametrize("module", [mnist, fashion_mnist, cifar10, cifar100, imdb, reuters, boston_housing])
def test_offline_the_message_names_address_and_place(
    module: ModuleType, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ORIGIN", "http://127.0.0.1:9/set/")
    with pytest.raises(ConnectionError) as caught:
        module.load_data()
    message = str(caught.value)
    assert "http://127.0.0.1:9/set/" in message
    assert f"save it as {tmp_path / 'datasets'}" in message


@pytest.mark.parametrize("module", [mnist, fashion_mnist, cifar10, cifar100, imdb, reuters, boston_housing])
def test_a_file_that_is_not_the_known_one_is_refused(
    module: ModuleType, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("", "train-labels-idx1-ubyte.gz"):
        site.files[name] = b"something else"
    monkeypatch.setattr(module, "_ORIGIN", site.url)
    with pytest.raises(ValueError, match=r"isn't the expected file: its (md5|sha256) hash isn't"):
        module.load_data()
