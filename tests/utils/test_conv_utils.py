"""The arithmetic of convolutions gives the numbers of Keras 2.2.4's formulas."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from minikeras.utils import conv_utils


def test_tuples() -> None:
    assert conv_utils.normalize_tuple(3, 2, "strides") == (3, 3)
    assert conv_utils.normalize_tuple([1, np.int64(2), 3], 3, "strides") == (1, 2, 3)
    assert type(conv_utils.normalize_tuple(np.int64(2), 1, "strides")[0]) is int


@pytest.mark.parametrize("value", [(1, 2, 3), (), 1.5, (1, 1.5), "ab", None])
def test_what_is_no_tuple_is_refused_by_its_name(value: Any) -> None:
    with pytest.raises(ValueError, match="strides must be an integer or 2 integers"):
        conv_utils.normalize_tuple(value, 2, "strides")


def test_paddings() -> None:
    assert [conv_utils.normalize_padding(name) for name in ("valid", "SAME", "Causal")] == ["valid", "same", "causal"]
    for value in ("full", None):
        with pytest.raises(ValueError, match="padding must be 'valid', 'same' or 'causal'"):
            conv_utils.normalize_padding(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "length"),
    [
        ((10, 3, "valid", 1), 8),
        ((10, 3, "valid", 2), 4),
        ((10, 3, "valid", 1, 4), 2),
        ((11, 4, "same", 3), 4),
        ((11, 4, "causal", 2, 3), 6),
        ((10, 3, "full", 1), 12),
        ((10, 3, "full", 5, 2), 3),
        ((2, 3, "valid", 1), 0),
        ((None, 3, "same", 1), None),
    ],
)
def test_output_lengths(arguments: Any, length: int | None) -> None:
    assert conv_utils.conv_output_length(*arguments) == length


@pytest.mark.parametrize(
    ("arguments", "length"),
    [
        ((8, 3, "valid", 1), 10),
        ((4, 3, "valid", 2), 9),
        ((6, 3, "same", 2), 11),
        ((6, 4, "same", 2), 10),
        ((12, 3, "full", 1), 10),
        ((None, 3, "valid", 1), None),
    ],
)
def test_input_lengths(arguments: Any, length: int | None) -> None:
    assert conv_utils.conv_input_length(*arguments) == length


@pytest.mark.parametrize(
    ("arguments", "length"),
    [
        ((5, 2, 3, "valid", None), 11),
        ((5, 4, 3, "valid", None), 20),
        ((5, 2, 3, "same", None), 10),
        ((5, 2, 3, "full", None), 7),
        ((5, 2, 3, "valid", 1), 12),
        ((5, 2, 3, "same", 1), 10),
        ((5, 2, 3, "full", 1), 8),
        ((5, 2, 3, "valid", None, 2), 13),
        ((None, 2, 3, "same", None), None),
    ],
)
def test_lengths_of_transposed_convolutions(arguments: Any, length: int | None) -> None:
    assert conv_utils.deconv_length(*arguments) == length


def test_all_lengths_are_those_of_keras_formulas() -> None:
    for n, stride, window, dilation in itertools.product(range(7, 11), range(1, 4), range(1, 4), range(1, 4)):
        span = (window - 1) * dilation + 1
        whole = {"same": n, "causal": n, "valid": n - span + 1, "full": n + span - 1}
        for padding, length in whole.items():
            found = conv_utils.conv_output_length(n, window, padding, stride, dilation)
            assert found == (length + stride - 1) // stride
        plain = {
            "same": n * stride,
            "valid": n * stride + max(span - stride, 0),
            "full": n * stride - stride - span + 2,
        }
        for padding, length in plain.items():
            assert conv_utils.deconv_length(n, stride, window, padding, None, dilation) == length
        for padding, crop in {"same": span // 2, "valid": 0, "full": span - 1}.items():
            length = (n - 1) * stride + span - 2 * crop
            assert conv_utils.deconv_length(n, stride, window, padding, 1, dilation) == length + 1
            if dilation == 1:
                assert conv_utils.conv_input_length(n, window, padding, stride) == length


def test_other_paddings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Received: padding='half'"):
        conv_utils.conv_output_length(10, 3, "half", 1)
    with pytest.raises(ValueError, match=r"'valid', 'same', 'full'\. Received: padding='causal'"):
        conv_utils.conv_input_length(10, 3, "causal", 1)
    with pytest.raises(ValueError, match=r"'valid', 'same', 'full'\. Received: padding='causal'"):
        conv_utils.deconv_length(None, 1, 3, "causal", None)
