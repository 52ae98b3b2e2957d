"""What IMDB and Reuters have in common: texts as lists of word numbers, sorted by how often a word occurs."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np

from .. import checks


def shuffled(texts: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Both in the order that NumPy's classic generator gives for the seed, which is Keras's order.

    Args:
        texts: Object array (N,) of lists of word numbers.
        labels: Array (N,).
        seed: The seed.
    """
    order = np.arange(len(texts))
    np.random.RandomState(seed).shuffle(order)
    return texts[order], labels[order]


def prepared(
    parts: list[tuple[np.ndarray, np.ndarray]],
    *,
    num_words: int | None,
    skip_top: int,
    maxlen: int | None,
    start_char: int | None,
    oov_char: int | None,
    index_from: int,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Number the words anew and drop those that aren't wanted; the arguments are those of ``load_data``.

    Args:
        parts: Pairs of texts and labels.
        **options: See `imdb.load_data`.

    Returns:
        The pairs, texts as object arrays (N,) of lists of int.

    Raises:
        ValueError: If maxlen leaves nothing of all the parts.
    """
    start = [] if start_char is None else [start_char]
    numbered = [([start + [word + index_from for word in text] for text in texts], labels) for texts, labels in parts]
    if maxlen is not None:
        numbered = [
            _shorter(texts, labels, checks.integer("load_data", "maxlen", maxlen)) for texts, labels in numbered
        ]
        if not any(texts for texts, _ in numbered):
            raise ValueError(f"load_data: no text is shorter than maxlen. Received: {maxlen!r}")
    if num_words is None:  # as in Keras, this leaves the very last word out
        num_words = max(max(text, default=0) for texts, _ in numbered for text in texts)
    wanted = range(skip_top, num_words)
    if oov_char is None:
        return [(_objects([[w for w in text if w in wanted] for text in texts]), labels) for texts, labels in numbered]
    return [
        (_objects([[w if w in wanted else oov_char for w in text] for text in texts]), labels)
        for texts, labels in numbered
    ]


def _shorter(texts: list[list[int]], labels: np.ndarray, length: int) -> tuple[list[list[int]], np.ndarray]:
    rows = [row for row, text in enumerate(texts) if len(text) < length]
    return [texts[row] for row in rows], labels[rows]


def _objects(texts: list[list[int]]) -> np.ndarray:
    """An object array (N,) of the lists."""
    array = np.empty(len(texts), dtype=object)
    for position, text in enumerate(texts):
        array[position] = text
    return array


def renamed(num_words: int | None, keywords: dict[str, Any]) -> int | None:
    """num_words, or what Keras 1's ``nb_words`` says."""
    if "nb_words" in keywords:
        warnings.warn("load_data: nb_words is called num_words", stacklevel=3)
        num_words = keywords.pop("nb_words")
    if keywords:
        raise TypeError(f"load_data: unexpected arguments {', '.join(sorted(keywords))}")
    return num_words


def read_index(path: str) -> dict[str, int]:
    """The JSON file with the number of each word."""
    with open(path, encoding="utf-8") as file:
        return dict(json.load(file))
