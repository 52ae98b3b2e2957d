"""IMDB: 50,000 film reviews, half of them favourable, as lists of word numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..utils.download import get_file
from .npz import read_npz
from .words import prepared, read_index, renamed, shuffled

_ORIGIN = "https://s3.amazonaws.com/text-datasets/imdb.npz"
_MD5 = "599dadb1135973df5b59232a0e9a887c"
_INDEX_ORIGIN = "https://s3.amazonaws.com/text-datasets/imdb_word_index.json"
_INDEX_MD5 = "bfafd718b763782e994055a2d397834f"


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    **keywords: Any,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the reviews, from the cache or else from the web; the file is read without unpickling it.

    Args:
        path: The file's name in the cache's folder ``datasets``, or an absolute path.
        num_words: Words of this number and above are replaced by oov_char; None keeps all.
        skip_top: So are those below this number.
        maxlen: Only reviews shorter than this, start_char included, are kept.
        seed: Of the order.
        start_char: The number that each review begins with; None for none.
        oov_char: The number for words that are left out; None leaves them out without a trace.
        index_from: Is added to the number of each word.
        **keywords: Keras 1's ``nb_words``, with a warning.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: object arrays (N,) of lists of int, to be given to
        ``pad_sequences``, and labels 0 or 1, int64.

    Raises:
        ConnectionError: If it is neither in the cache nor can be downloaded.
        ValueError: If maxlen leaves nothing, or the file isn't what it should be.

    References:
        A. L. Maas et al., *Learning word vectors for sentiment analysis*, 2011.
    """
    num_words = renamed(num_words, keywords)
    file = get_file(path, origin=_ORIGIN, file_hash=_MD5)
    x_train, y_train, x_test, y_test = read_npz(file, "x_train", "y_train", "x_test", "y_test")
    parts = [shuffled(x_train, y_train, seed), shuffled(x_test, y_test, seed)]
    train, test = prepared(
        parts,
        num_words=num_words,
        skip_top=skip_top,
        maxlen=maxlen,
        start_char=start_char,
        oov_char=oov_char,
        index_from=index_from,
    )
    return train, test


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """Return the number of each word, from the cache or else from the web.

    Args:
        path: The file's name in the cache's folder ``datasets``.

    Returns:
        Dict from word to number; ``index_from`` of `load_data` has to be added.
    """
    return read_index(get_file(path, origin=_INDEX_ORIGIN, file_hash=_INDEX_MD5))
