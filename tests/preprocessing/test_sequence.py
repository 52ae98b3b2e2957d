from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minikeras.preprocessing import sequence
from minikeras.preprocessing.sequence import TimeseriesGenerator, pad_sequences, skipgrams

LISTS = [[1, 2, 3], [4], [], [5, 6, 7, 8]]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, [[0, 1, 2, 3], [0, 0, 0, 4], [0, 0, 0, 0], [5, 6, 7, 8]]),
        ({"padding": "post"}, [[1, 2, 3, 0], [4, 0, 0, 0], [0, 0, 0, 0], [5, 6, 7, 8]]),
        ({"maxlen": 2}, [[2, 3], [0, 4], [0, 0], [7, 8]]),
        ({"maxlen": 2, "truncating": "post", "value": 9}, [[1, 2], [9, 4], [9, 9], [5, 6]]),
        ({"maxlen": 2, "truncating": "post", "padding": "post"}, [[1, 2], [4, 0], [0, 0], [5, 6]]),
    ],
)
def test_sequences_are_padded_and_cut_at_the_ends_that_are_named(
    arguments: dict[str, Any], expected: list[list[int]]
) -> None:
    padded = pad_sequences(LISTS, **arguments)
    assert padded.tolist() == expected
    assert padded.dtype == np.int32


def test_elements_may_be_arrays_and_texts() -> None:
    padded = pad_sequences([np.ones((2, 3)), np.ones((1, 3))], dtype="float64", value=-1.0)
    assert padded.shape == (2, 2, 3)
    assert padded[1].tolist() == [[-1] * 3, [1] * 3]
    assert pad_sequences([["a"], ["b", "c"]], dtype=object, value="").tolist() == [["", "a"], ["b", "c"]]


def test_no_sequences_make_an_empty_array() -> None:
    assert pad_sequences([]).shape == (0, 0)
    assert pad_sequences([[], []], maxlen=3).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_the_sampling_table_agrees_with_keras() -> None:
    # make_sampling_table(6) of keras-preprocessing 1.0.5
    table = sequence.make_sampling_table(6)
    np.testing.assert_allclose(table[:2], 0.00315225, atol=1e-8)
    frequency = 1 / (5 * (np.log(5) + 0.577) + 0.5 - 1 / 60)
    np.testing.assert_allclose(table[5], np.sqrt(1e-5 / frequency))
    assert sequence.make_sampling_table(3, sampling_factor=10.0).tolist() == [1, 1, 1]


def test_words_are_paired_with_their_neighbours() -> None:
    couples, labels = skipgrams([1, 2, 0, 3], 4, window_size=2, negative_samples=0, shuffle=False)
    assert couples == [[1, 2], [2, 1], [2, 3], [3, 2]]
    assert labels == [1, 1, 1, 1]


def test_random_pairs_have_the_same_first_words_and_the_label_0() -> None:
    couples, labels = skipgrams(list(range(1, 30)), 30, window_size=3, negative_samples=2.0, seed=0)
    near = [couple for couple, label in zip(couples, labels, strict=True) if label == 1]
    random = [couple for couple, label in zip(couples, labels, strict=True) if label == 0]
    assert len(random) == 2 * len(near)
    assert sorted(first for first, _ in random) == sorted(2 * [first for first, _ in near])
    assert {other for _, other in random} == set(range(1, 30))
    assert all(0 < abs(first - other) <= 3 for first, other in near)
    assert labels != sorted(labels, reverse=True)
    assert skipgrams(list(range(1, 30)), 30, window_size=3, negative_samples=2.0, seed=0) == (couples, labels)


def test_labels_can_be_categorical_and_words_sampled() -> None:
    couples, labels = skipgrams(
        [1, 2], 3, negative_samples=1, categorical=True, shuffle=False, sampling_table=[0, 1, -1]
    )
    assert couples[0] == [1, 2]
    assert labels == [[0, 1], [1, 0]]
    assert skipgrams([1], 3) == ([], [])


DATA = np.arange(50)[:, None]


def test_stretches_of_a_time_series_as_in_keras_documentation() -> None:
    batches = TimeseriesGenerator(DATA, DATA, length=10, sampling_rate=2, batch_size=2)
    x, y = batches[0]
    assert len(batches) == 20
    assert x.tolist() == [[[0], [2], [4], [6], [8]], [[1], [3], [5], [7], [9]]]
    assert y.tolist() == [[10], [11]]


def test_stretches_with_stride_bounds_and_reversed() -> None:
    batches = TimeseriesGenerator(
        DATA, DATA, length=6, stride=3, batch_size=4, start_index=5, end_index=33, reverse=True
    )
    assert len(batches) == 2
    assert [y[:, 0].tolist() for _, y in batches] == [[11, 14, 17, 20], [23, 26, 29, 32]]
    assert batches[0][0][0, :, 0].tolist() == [10, 9, 8, 7, 6, 5]


def test_shuffled_stretches_fit_their_targets() -> None:
    batches = TimeseriesGenerator(DATA, DATA, length=3, shuffle=True, batch_size=64)
    x, y = batches[0]
    assert (x[:, -1] == y - 1).all()
    assert set(y.ravel()) <= set(range(3, 50))
    assert y.ravel().tolist() != sorted(y.ravel().tolist())


def test_the_end_of_an_epoch_changes_no_stretches() -> None:
    batches = TimeseriesGenerator(DATA, DATA, length=3, batch_size=4)
    batches.on_epoch_end()
    assert [y.ravel().tolist() for _, y in (batches[0], batches[1])] == [[3, 4, 5, 6], [7, 8, 9, 10]]


def test_a_generator_comes_back_from_its_json() -> None:
    batches = TimeseriesGenerator(DATA, DATA, length=6, stride=3, start_index=5, batch_size=4)
    again = sequence.timeseries_generator_from_json(batches.to_json())
    assert again.get_config() == batches.get_config()
    np.testing.assert_array_equal(again[1][0], batches[1][0])


WRONG = {
    "a number": (lambda: pad_sequences(5), ValueError, "sequences must be a list of sequences. Received: 5"),
    "numbers": (lambda: pad_sequences([[1], 2]), ValueError, "must be a list of sequences. Received: 2 at 1"),
    "a side": (
        lambda: pad_sequences(LISTS, padding="left"),
        ValueError,
        "padding must be one of 'pre', 'post'.*'left'",
    ),
    "a cut": (lambda: pad_sequences(LISTS, truncating="end"), ValueError, "truncating must be one of 'pre', 'post'"),
    "a length": (lambda: pad_sequences(LISTS, maxlen=0), ValueError, "maxlen must be a positive integer. Received: 0"),
    "text in numbers": (lambda: pad_sequences(LISTS, value="x"), ValueError, "text as value needs dtype=object"),
    "shapes": (lambda: pad_sequences([[[1, 2]], [[1]]]), ValueError, r"must have the shape \(2,\). Received: \(1,\)"),
    "a vocabulary": (lambda: skipgrams([1], 1), ValueError, "vocabulary_size must be an integer of at least 2"),
    "a window": (lambda: skipgrams([1], 3, window_size=0), ValueError, "window_size must be a positive integer"),
    "a share": (lambda: skipgrams([1], 3, negative_samples=-1), ValueError, r"negative_samples must be .*\[0, inf\)"),
    "a table": (lambda: sequence.make_sampling_table(0), ValueError, "size must be a positive integer. Received: 0"),
    "two lengths": (lambda: TimeseriesGenerator(DATA, DATA[1:], 3), ValueError, "of one length. Received: 50 and 49"),
    "too long": (
        lambda: TimeseriesGenerator(DATA, DATA, 50),
        ValueError,
        r"start_index \+ length = 50 must be at most",
    ),
    "past the end": (lambda: TimeseriesGenerator(DATA, DATA, 3, end_index=50), ValueError, "no stretch fits in"),
    "a float stride": (lambda: TimeseriesGenerator(DATA, DATA, 3, stride=1.5), ValueError, "stride must be a positive"),
}


@pytest.mark.parametrize(("call", "error", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_calls_are_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
