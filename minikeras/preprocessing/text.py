"""Texts as sequences of word numbers."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import checks

_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


def text_to_word_sequence(text: str, filters: str = _FILTERS, lower: bool = True, split: str = " ") -> list[str]:
    """Split a text into words.

    Args:
        text: The text.
        filters: Characters that separate words and belong to none.
        lower: Whether to turn it into lower case.
        split: What else separates words.

    Returns:
        The words.

    Raises:
        TypeError: If text isn't a string.

    Example:
        >>> text_to_word_sequence("It works, I see.")
        ['it', 'works', 'i', 'see']
    """
    if not isinstance(text, str):
        raise TypeError(f"text_to_word_sequence: text must be a string. Received: {text!r}")
    text = (text.lower() if lower else text).translate({ord(character): split for character in filters})
    return [word for word in text.split(split) if word]


def one_hot(text: str, n: int, filters: str = _FILTERS, lower: bool = True, split: str = " ") -> list[int]:
    """Number words by Python's ``hash``, which differs from run to run; see `hashing_trick`."""
    return hashing_trick(text, n, hash, filters, lower, split)


def hashing_trick(
    text: str,
    n: int,
    hash_function: Callable[[str], int] | str | None = None,
    filters: str = _FILTERS,
    lower: bool = True,
    split: str = " ",
) -> list[int]:
    """Number words without a vocabulary; different words may get the same number.

    Args:
        text: The text.
        n: Numbers are from 1 to ``n - 1``.
        hash_function: From word to integer; "md5" gives the same numbers in each run, None is Python's ``hash``,
            which doesn't.
        filters: As for `text_to_word_sequence`.
        lower: As there.
        split: As there.

    Returns:
        A number for each word.

    Raises:
        ValueError: If n isn't an integer of at least 2, or hash_function no function.

    References:
        K. Weinberger et al., *Feature hashing for large scale multitask learning*, 2009.

    Example:
        >>> hashing_trick("one two one", 100, "md5")
        [39, 78, 39]
    """
    checks.integer("hashing_trick", "n", n, 2)
    function = (
        {None: hash, "md5": _md5}.get(hash_function, hash_function) if not callable(hash_function) else hash_function
    )
    if not callable(function):
        raise ValueError(f"hashing_trick: hash_function must be 'md5', None or a function. Received: {hash_function!r}")
    return [function(word) % (n - 1) + 1 for word in text_to_word_sequence(text, filters, lower, split)]


def _md5(word: str) -> int:
    return int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest(), 16)


class Tokenizer:
    """Numbers the words of texts: the most frequent one is 1.

    Args:
        num_words: Only words with numbers below this are used; None uses all.
        filters: Characters that separate words and belong to none.
        lower: Whether to turn texts into lower case.
        split: What else separates words.
        char_level: Whether each character is a word.
        oov_token: A word, with the number 1, that stands for unknown ones; None leaves them out.
        document_count: How many texts were seen before.
        **keywords: Keras 1's ``nb_words``, with a warning.

    Attributes:
        word_counts: Dict from word to how often it occurs.
        word_docs: Dict from word to the number of texts that it occurs in; index_docs is the same by number.
        word_index: Dict from word to number; index_word is its inverse.
        document_count: The number of texts seen.

    Raises:
        TypeError: If there are other keywords.
        ValueError: If num_words isn't a positive integer.

    Example:
        >>> tokenizer = Tokenizer()
        >>> tokenizer.fit_on_texts(["the cat", "the dog"])
        >>> tokenizer.texts_to_sequences(["the dog sleeps"])
        [[1, 3]]
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = _FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        document_count: int = 0,
        **keywords: Any,
    ) -> None:
        if "nb_words" in keywords:
            warnings.warn("Tokenizer: nb_words is called num_words", stacklevel=2)
            num_words = keywords.pop("nb_words")
        if keywords:
            raise TypeError(f"Tokenizer: unexpected arguments {', '.join(sorted(keywords))}")
        self.num_words = None if num_words is None else checks.integer("Tokenizer", "num_words", num_words)
        self.filters = filters
        self.lower = lower
        self.split = split
        self.char_level = char_level
        self.oov_token = oov_token
        self.document_count = document_count
        self.word_counts: Counter[str] = Counter()
        self.word_docs: Counter[str] = Counter()
        self.index_docs: Counter[int] = Counter()
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def fit_on_texts(self, texts: Iterable[str | Sequence[str]]) -> None:
        """Learn the words; may be called several times.

        Args:
            texts: Strings, or lists of words.
        """
        for words in map(self._words, self._each(texts)):
            self.document_count += 1
            self.word_counts.update(words)
            self.word_docs.update(set(words))
        # most_common keeps the order of appearance among equals
        known = [] if self.oov_token is None else [self.oov_token]
        known += [word for word, _ in self.word_counts.most_common()]
        self.word_index = {word: number for number, word in enumerate(known, start=1)}
        self.index_word = {number: word for word, number in self.word_index.items()}
        self.index_docs = Counter({self.word_index[word]: count for word, count in self.word_docs.items()})

    def fit_on_sequences(self, sequences: Sequence[Sequence[int]]) -> None:
        """Learn, for the mode "tfidf", in how many texts each number occurs.

        Args:
            sequences: Lists of word numbers.
        """
        self.document_count += len(sequences)
        for sequence in sequences:
            self.index_docs.update(set(sequence))

    def texts_to_sequences(self, texts: Iterable[str | Sequence[str]]) -> list[list[int]]:
        """The numbers of the words; unknown ones are left out, or get oov_token's number.

        Args:
            texts: Strings, or lists of words.

        Returns:
            A list of numbers for each text.
        """
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[str | Sequence[str]]) -> Iterator[list[int]]:
        """Like `texts_to_sequences`, one text at a time."""
        unknown = None if self.oov_token is None else self.word_index.get(self.oov_token)
        for words in map(self._words, self._each(texts)):
            numbers = (self._used(self.word_index.get(word), unknown) for word in words)
            yield [number for number in numbers if number is not None]

    def sequences_to_texts(self, sequences: Iterable[Sequence[int]]) -> list[str]:
        """The words of the numbers, separated by blanks.

        Args:
            sequences: Lists of word numbers.

        Returns:
            A string for each.
        """
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Sequence[int]]) -> Iterator[str]:
        """Like `sequences_to_texts`, one sequence at a time."""
        unknown = None if self.oov_token is None else self.word_index.get(self.oov_token)
        for sequence in sequences:
            numbers = (self._used(number if number in self.index_word else None, unknown) for number in sequence)
            yield " ".join(self.index_word[number] for number in numbers if number is not None)

    def texts_to_matrix(self, texts: Iterable[str | Sequence[str]], mode: str = "binary") -> np.ndarray:
        """A row for each text, a column for each word; see `sequences_to_matrix`."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences: Sequence[Sequence[int]], mode: str = "binary") -> np.ndarray:
        """A row for each sequence, a column for each word number.

        Args:
            sequences: N lists of word numbers.
            mode: What stands there: "binary" whether the word occurs, "count" how often, "freq" its share, "tfidf"
                ``(1 + log(count)) * log(1 + texts / (1 + texts with the word))``.

        Returns:
            Array float64 (N, num_words), or (N, highest number + 1) where num_words is None.

        Raises:
            ValueError: If there is no such mode, or neither num_words nor a vocabulary, or no texts for "tfidf".
        """
        mode = checks.choice("Tokenizer", "mode", mode, ("binary", "count", "freq", "tfidf"))
        if self.num_words is None and not self.word_index:
            raise ValueError("Tokenizer: the number of columns isn't known: set num_words or call fit_on_texts first")
        if mode == "tfidf" and not self.document_count:
            raise ValueError("Tokenizer: mode='tfidf' needs texts: call fit_on_texts first")
        columns = self.num_words or len(self.word_index) + 1
        matrix = np.zeros((len(sequences), columns))
        for row, sequence in zip(matrix, sequences, strict=True):
            for number, count in Counter(sequence).items():
                if number < columns:
                    row[number] = self._weight(mode, number, count, len(sequence))
        return matrix

    def get_config(self) -> dict[str, Any]:
        """The arguments and, as JSON each, what was learnt."""
        learnt = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
        return {
            "num_words": self.num_words,
            "filters": self.filters,
            "lower": self.lower,
            "split": self.split,
            "char_level": self.char_level,
            "oov_token": self.oov_token,
            "document_count": self.document_count,
            **{name: json.dumps(getattr(self, name)) for name in learnt},
        }

    def to_json(self, **keywords: Any) -> str:
        """The configuration as JSON; keywords go to ``json.dumps``."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **keywords)

    def _each(self, texts: Any) -> Iterable[Any]:
        if isinstance(texts, str):
            raise ValueError(f"Tokenizer: texts must be a list of strings, not one string. Received: {texts!r}")
        return texts

    def _words(self, text: str | Sequence[str]) -> list[str]:
        if isinstance(text, str) and not self.char_level:
            return text_to_word_sequence(text, self.filters, self.lower, self.split)
        return [word.lower() if self.lower else word for word in text]

    def _used(self, number: int | None, unknown: int | None) -> int | None:
        return unknown if number is None or (self.num_words and number >= self.num_words) else number

    def _weight(self, mode: str, number: int, count: int, length: int) -> float:
        if mode == "count":
            return count
        if mode == "freq":
            return count / length
        if mode == "tfidf":
            return (1 + math.log(count)) * math.log(1 + self.document_count / (1 + self.index_docs[number]))
        return 1


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """The tokenizer that `Tokenizer.to_json` described.

    Args:
        json_string: What it gave.

    Raises:
        ValueError: If it isn't JSON.
    """
    config = json.loads(json_string)["config"]
    learnt = {name: json.loads(config.pop(name)) for name in ("word_counts", "word_docs", "word_index")}
    by_number = {name: json.loads(config.pop(name)) for name in ("index_docs", "index_word")}
    tokenizer = Tokenizer(**config)
    tokenizer.word_counts, tokenizer.word_docs = Counter(learnt["word_counts"]), Counter(learnt["word_docs"])
    tokenizer.word_index = learnt["word_index"]
    tokenizer.index_docs = Counter({int(number): count for number, count in by_number["index_docs"].items()})
    tokenizer.index_word = {int(number): word for number, word in by_number["index_word"].items()}
    return tokenizer
