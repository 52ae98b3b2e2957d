"""Reuters: 11,228 newswires in 46 topics, as lists of word numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import checks
from ..utils.download import get_file
from .npz import read_npz
from .words import prepared, read_index, renamed, shuffled

_ORIGIN = "https://s3.amazonaws.com/text-datasets/reuters.npz"
_MD5 = "87aedbeb0cb229e378797a632c1997b6"
_INDEX_ORIGIN = "https://s3.amazonaws.com/text-datasets/reuters_word_index.json"
_INDEX_MD5 = "4d44cc38712099c9e383dc6e5f11a921"


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    **keywords: Any,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the newswires, from the cache or else from the web; the file is read without unpickling it.

    Args:
        path: The file's name in the cache's folder ``datasets``, or an absolute path.
        num_words: Words of this number and above are replaced by oov_char; None keeps all.
        skip_top: So are those below this number.
        maxlen: Only newswires shorter than this, start_char included, are kept.
        test_split: The share that is for testing.
        seed: Of the order.
        start_char: The number that each newswire begins with; None for none.
        oov_char: The number for words that are left out; None leaves them out without a trace.
        index_from: Is added to the number of each word.
        **keywords: Keras 1's ``nb_words``, with a warning.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: object arrays (N,) of lists of int, to be given to
        ``pad_sequences``, and topics from 0 to 45, int64.

    Raises:
        ConnectionError: If it is neither in the cache nor can be downloaded.
        ValueError: If maxlen leaves nothing, test_split isn't in [0, 1), or the file isn't what it should be.
    """
    num_words = renamed(num_words, keywords)
    checks.number("reuters.load_data", "test_split", test_split, "[0, 1)")
    x, y = read_npz(get_file(path, origin=_ORIGIN, file_hash=_MD5), "x", "y")
    [(texts, labels)] = prepared(
        [shuffled(x, y, seed)],
        num_words=num_words,
        skip_top=skip_top,
        maxlen=maxlen,
        start_char=start_char,
        oov_char=oov_char,
        index_from=index_from,
    )
    start = int(len(texts) * (1 - test_split))
    return (texts[:start], labels[:start]), (texts[start:], labels[start:])


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """Return the number of each word, from the cache or else from the web.

    Args:
        path: The file's name in the cache's folder ``datasets``.

    Returns:
        Dict from word to number; ``index_from`` of `load_data` has to be added.
    """
    return read_index(get_file(path, origin=_INDEX_ORIGIN, file_hash=_INDEX_MD5))
