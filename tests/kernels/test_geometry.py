from __future__ import annotations

import itertools

import numpy as np
import pytest

from minikeras.kernels import geometry
from tests.kernels import oracles

AXES = [
    (length, window, stride, dilation, lo, hi)
    for length, window, stride, dilation, lo, hi in itertools.product(
        range(1, 9), range(1, 4), range(1, 4), range(1, 4), range(3), range(3)
    )
]


def test_output_length_counts_the_positions_where_the_window_fits():
    for length, window, stride, dilation, lo, hi in AXES:
        (expected,) = oracles.output_sizes((length,), (window,), (stride,), (dilation,), ((lo, hi),))
        assert geometry.output_length(length, window, stride, dilation, lo, hi) == expected


def test_taps_are_the_reads_that_stay_inside_the_input():
    for length, window, stride, dilation, lo, hi in AXES:
        case = ((length,), (window,), (stride,), (dilation,), ((lo, hi),))
        found = [
            (o, tap, i)
            for tap, ((outputs,), (inputs,)) in enumerate(geometry.taps(*case))
            for o, i in zip(np.arange(99)[outputs], np.arange(99)[inputs], strict=True)
        ]
        expected = [(o, tap, i) for (o,), (tap,), (i,) in oracles.reads(*case)]
        assert sorted(found) == sorted(expected)


def test_taps_of_several_axes_come_in_row_major_order():
    pairs = list(geometry.taps((5, 6), (2, 3), (1, 1), (1, 1), ((0, 0), (0, 0))))
    starts = [tuple(s.start for s in inputs) for _, inputs in pairs]
    assert starts == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_same_padding_gives_ceil_of_length_over_stride_with_the_odd_element_behind():
    for length, window, stride, dilation in itertools.product(range(1, 12), range(1, 6), range(1, 5), range(1, 4)):
        ((lo, hi),) = geometry.explicit_padding("same", (length,), (window,), (stride,), (dilation,))
        assert hi - lo in (0, 1)
        assert geometry.output_length(length, window, stride, dilation, lo, hi) == -(-length // stride)


def test_same_padding_is_as_small_as_possible():
    assert geometry.explicit_padding("same", (7, 8), (3, 3), (2, 2), (1, 1)) == ((1, 1), (0, 1))
    assert geometry.explicit_padding("same", (8,), (2,), (3,), (1,)) == ((0, 0),)


def test_causal_padding_stands_in_front():
    assert geometry.explicit_padding("causal", (9,), (3,), (1,), (4,)) == ((8, 0),)


def test_valid_padding_is_none():
    assert geometry.explicit_padding("valid", (9, 9), (3, 3), (1, 1), (1, 1)) == ((0, 0), (0, 0))


def test_an_unknown_padding_is_refused_by_name():
    with pytest.raises(ValueError, match="padding='full'"):
        geometry.explicit_padding("full", (9,), (3,), (1,), (1,))
    with pytest.raises(ValueError, match="padding='causal'"):
        geometry.transposed_length(9, 3, 1, "causal")


def test_a_transposed_same_length_is_the_length_times_the_stride():
    for length, window, stride, dilation in itertools.product(range(1, 5), range(1, 5), range(1, 4), range(1, 3)):
        assert geometry.transposed_length(length, window, stride, "same", None, dilation) == length * stride


def test_a_transposed_length_convolves_back_to_where_it_came_from():
    for length, window, stride, dilation, extra in itertools.product(
        range(1, 5), range(1, 5), range(1, 4), range(1, 3), (None, 0, 1, 2)
    ):
        if extra is not None and extra >= stride:
            continue
        result = geometry.transposed_length(length, window, stride, "valid", extra, dilation)
        assert geometry.output_length(result, window, stride, dilation) == length


def test_a_transposed_same_length_with_output_padding_follows_keras():
    # (4 - 1) * 2 + 3 - 2 * 1 + output_padding, as keras.utils.conv_utils.deconv_length
    assert geometry.transposed_length(4, 3, 2, "same", 0) == 7
    assert geometry.transposed_length(4, 3, 2, "same", 1) == 8
    assert geometry.transposed_length(4, 3, 2, "same", 1, dilation=2) == 8
