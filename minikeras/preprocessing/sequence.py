"""Sequences of numbers: brought to one length, paired for word vectors, cut from time series."""

from __future__ import annotations

import json
from collections.abc import Sequence as Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import checks
from ..core import random
from ..utils.sequence import Sequence


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: npt.DTypeLike = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Bring sequences to one length.

    Args:
        sequences: N lists or arrays, each of its own length; their elements are numbers or arrays of one shape.
        maxlen: The length; that of the longest sequence by default.
        dtype: Of the result.
        padding: Whether short ones are filled up at the front ("pre") or at the end ("post").
        truncating: Whether long ones are cut at the front ("pre") or at the end ("post").
        value: What to fill up with.

    Returns:
        Array (N, maxlen, *shape of an element).

    Raises:
        ValueError: If sequences aren't sequences, their elements differ in shape, or an argument is none of these.

    Example:
        >>> pad_sequences([[1], [2, 3, 4]], maxlen=2)
        array([[0, 1],
               [3, 4]], dtype=int32)
    """
    owner = "pad_sequences"
    at_front = checks.choice(owner, "padding", padding, ("pre", "post")) == "pre"
    cut_front = checks.choice(owner, "truncating", truncating, ("pre", "post")) == "pre"
    if not hasattr(sequences, "__len__") or isinstance(sequences, (str, bytes)):
        raise ValueError(f"{owner}: sequences must be a list of sequences. Received: {sequences!r}")
    for position, item in enumerate(sequences):
        if not hasattr(item, "__len__"):
            raise ValueError(f"{owner}: sequences must be a list of sequences. Received: {item!r} at {position}")
    if maxlen is None:
        length = max((len(item) for item in sequences), default=0)
    else:
        length = checks.integer(owner, "maxlen", maxlen)
    kind = np.dtype(dtype)
    if isinstance(value, str) and kind.kind not in "OU":
        raise ValueError(f"{owner}: text as value needs dtype=object. Received: value={value!r}, dtype={dtype!r}")
    shape: tuple[int, ...] = next((np.shape(item)[1:] for item in sequences if len(item)), ())
    padded = np.full((len(sequences), length, *shape), value, dtype=kind)
    for row, item in zip(padded, sequences, strict=True):
        kept = np.asarray(item[-length:] if cut_front else item[:length], dtype=kind)
        if len(kept) == 0:
            continue
        if kept.shape[1:] != shape:
            raise ValueError(
                f"{owner}: the elements of all sequences must have the shape {shape}. Received: {kept.shape[1:]}"
            )
        row[-len(kept) if at_front else 0 : None if at_front else len(kept)] = kept
    return padded


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> np.ndarray:
    """Probabilities with which to keep words, by rank, so that frequent ones don't drown the others.

    ``p = min(1, sqrt(s / f))`` with the sampling factor s and the word's frequency f, which by Zipf's law is about
    ``1 / (rank (log(rank) + 0.577) + 1/2 - 1/(12 rank))``.

    Args:
        size: How many ranks.
        sampling_factor: The factor s.

    Returns:
        Array (size,); word 0 is none and gets the probability of word 1.

    Raises:
        TypeError, ValueError: If size is no positive integer or the factor no positive number.

    References:
        T. Mikolov et al., *Distributed representations of words and phrases and their compositionality*, 2013.
    """
    rank = np.arange(checks.integer("make_sampling_table", "size", size), dtype=np.float64)
    rank[0] = 1.0
    inverse = rank * (np.log(rank) + 0.577) + 0.5 - 1.0 / (12.0 * rank)
    factor = checks.number("make_sampling_table", "sampling_factor", sampling_factor, "(0, inf)")
    return np.minimum(1.0, np.sqrt(factor * inverse))


def skipgrams(
    sequence: Collection[int],
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: Any = None,
    seed: int | None = None,
) -> tuple[list[list[int]], list[Any]]:
    """Pairs of words that stand near each other, and pairs with random words.

    Args:
        sequence: Word numbers of a text; 0 is no word.
        vocabulary_size: The largest word number and one.
        window_size: How far apart two words may stand.
        negative_samples: Random pairs for each near one.
        shuffle: Whether to mix the pairs.
        categorical: Whether labels are ``[0, 1]`` and ``[1, 0]`` instead of 1 and 0.
        sampling_table: Array of the probability to take each word; see `make_sampling_table`.
        seed: Of the random numbers.

    Returns:
        Pairs ``[word, other]``, and a label for each: 1 for near ones, 0 for random ones.

    Raises:
        TypeError, ValueError: If a number is out of range.

    References:
        T. Mikolov et al., *Efficient estimation of word representations in vector space*, 2013.
    """
    checks.integer("skipgrams", "vocabulary_size", vocabulary_size, 2)
    reach = checks.integer("skipgrams", "window_size", window_size)
    share = checks.number("skipgrams", "negative_samples", negative_samples, "[0, inf)")
    stream = random.stream(seed)
    words = [int(word) for word in sequence]
    couples = []
    for at, word in enumerate(words):
        if word and (sampling_table is None or sampling_table[word] >= stream.random()):
            others = words[max(0, at - reach) : at] + words[at + 1 : at + reach + 1]
            couples += [[word, other] for other in others if other]
    near = len(couples)
    if near and share:
        first = stream.permutation([word for word, _ in couples])
        wrong = stream.integers(1, vocabulary_size, size=int(near * share))
        couples += [[int(first[at % near]), other] for at, other in enumerate(wrong.tolist())]
    yes, no = ([0, 1], [1, 0]) if categorical else (1, 0)
    labels: list[Any] = [yes] * near + [no] * (len(couples) - near)
    if shuffle:
        order = stream.permutation(len(couples)).tolist()
        return [couples[at] for at in order], [labels[at] for at in order]
    return couples, labels


class TimeseriesGenerator(Sequence):
    """Batches of stretches of a time series, each with the target that follows it.

    Sample i is ``data[t - length : t : sampling_rate]`` with the target ``targets[t]``, ``t = start_index + length +
    i * stride``.

    Args:
        data: Array (time, ...).
        targets: Array (time, ...), as long as data.
        length: Of a stretch, in steps of time.
        sampling_rate: Every so-manieth step of a stretch is taken.
        stride: Steps from one stretch to the next.
        start_index: First step to use.
        end_index: Last step to use as a target; that of the data by default.
        shuffle: Whether to draw stretches at random, instead of in order.
        reverse: Whether stretches run backwards in time.
        batch_size: Stretches in a batch.

    Raises:
        ValueError: If data and targets differ in length, no stretch fits in, or a number is out of range.

    Example:
        >>> batches = TimeseriesGenerator(np.arange(6), np.arange(6), length=3, batch_size=2)
        >>> batches[0]
        (array([[0, 1, 2],
               [1, 2, 3]]), array([3, 4]))
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
    ) -> None:
        owner = "TimeseriesGenerator"
        self.data, self.targets = np.asarray(data), np.asarray(targets)
        if len(self.data) != len(self.targets):
            raise ValueError(
                f"{owner}: data and targets must be of one length. Received: {len(self.data)} and {len(self.targets)}"
            )
        self.length = checks.integer(owner, "length", length)
        self.sampling_rate = checks.integer(owner, "sampling_rate", sampling_rate)
        self.stride = checks.integer(owner, "stride", stride)
        self.start_index = checks.integer(owner, "start_index", start_index, 0) + self.length
        last = len(self.data) - 1
        self.end_index = last if end_index is None else checks.integer(owner, "end_index", end_index, 0)
        self.shuffle = checks.flag(owner, "shuffle", shuffle)
        self.reverse = checks.flag(owner, "reverse", reverse)
        self.batch_size = checks.integer(owner, "batch_size", batch_size)
        if not self.start_index <= self.end_index <= last:
            raise ValueError(
                f"{owner}: no stretch fits in: start_index + length = {self.start_index} must be at most end_index = "
                f"{self.end_index}, and that at most {last}, the last step of the data"
            )
        self._stream = random.stream()

    def __len__(self) -> int:
        """The number of batches."""
        stretches = (self.end_index - self.start_index) // self.stride + 1
        return -(-stretches // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """A batch: stretches (rows, steps, ...) and targets (rows, ...)."""
        if self.shuffle:
            ends = self._stream.integers(self.start_index, self.end_index + 1, size=self.batch_size)
        else:
            ends = np.arange(self.start_index, self.end_index + 1, self.stride)
            ends = ends[index * self.batch_size : (index + 1) * self.batch_size]
        steps = np.arange(-self.length, 0, self.sampling_rate)
        rows = ends[:, None] + (steps[::-1] if self.reverse else steps)
        return self.data[rows], self.targets[ends]

    def get_config(self) -> dict[str, Any]:
        """The arguments; data and targets as JSON."""
        return {
            "data": json.dumps(self.data.tolist()),
            "targets": json.dumps(self.targets.tolist()),
            "length": self.length,
            "sampling_rate": self.sampling_rate,
            "stride": self.stride,
            "start_index": self.start_index - self.length,
            "end_index": self.end_index,
            "shuffle": self.shuffle,
            "reverse": self.reverse,
            "batch_size": self.batch_size,
        }

    def to_json(self, **keywords: Any) -> str:
        """The configuration as JSON; keywords go to ``json.dumps``."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **keywords)


def timeseries_generator_from_json(json_string: str) -> TimeseriesGenerator:
    """The generator that `TimeseriesGenerator.to_json` described.

    Args:
        json_string: What it gave.

    Raises:
        ValueError: If it isn't JSON.
    """
    config = json.loads(json_string)["config"]
    data, targets = json.loads(config.pop("data")), json.loads(config.pop("targets"))
    return TimeseriesGenerator(data, targets, **config)
