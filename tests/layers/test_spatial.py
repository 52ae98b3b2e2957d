"""What all layers over space share: data formats, windows, int and tuple arguments."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras.core import config
from minikeras.core.tensor import Tensor
from minikeras.layers import spatial
from minikeras.layers.spatial import SpatialLayer, as_data_format, as_pairs, as_tuple, window_lengths


class Every(SpatialLayer):
    """Takes every second element along all axes of space; the channels twice."""

    rank = 2

    def compute(self, x):
        assert x.shape[-1] == 3
        return x[:, ::2, ::2, [0, 1, 2, 0, 1, 2]]

    def output_lengths(self, lengths):
        return tuple(None if n is None else (n + 1) // 2 for n in lengths)

    def output_channels(self, channels):
        return None if channels is None else 2 * channels


# ---------------------------------------------------------------------- data formats


def test_a_spatial_layer_computes_on_channels_last_whatever_its_format():
    x = np.arange(2 * 5 * 4 * 3.0).reshape(2, 5, 4, 3)
    last = Every(data_format="channels_last")(x)
    first = Every(data_format="channels_first")(np.moveaxis(x, -1, 1))
    assert last.shape == (2, 3, 2, 6)
    np.testing.assert_array_equal(np.moveaxis(first.numpy(), 1, -1), last.numpy())


def test_the_output_shape_follows_the_format():
    assert Every(data_format="channels_last").compute_output_shape((None, 5, None, 3)) == (None, 3, None, 6)
    assert Every(data_format="channels_first").compute_output_shape((8, 3, None, 4)) == (8, 6, None, 2)


def test_the_data_format_is_resolved_at_construction():
    with config.scope(image_data_format="channels_first"):
        layer = Every()
    assert layer.data_format == "channels_first"
    assert Every().data_format == "channels_last"
    assert layer.get_config()["data_format"] == "channels_first"


def test_one_axis_of_space_has_its_channels_last_unless_told():
    with config.scope(image_data_format="channels_first"):
        assert as_data_format(None, 1, "layer") == "channels_last"
        assert as_data_format(None, 3, "layer") == "channels_first"
    assert as_data_format("Channels_First", 1, "layer") == "channels_first"


@pytest.mark.parametrize("value", ["channels", 1, True, ("channels_last",)])
def test_another_data_format_is_refused(value):
    with pytest.raises(ValueError, match=r"Every 'e': data_format must be one of 'channels_last', "):
        Every(data_format=value, name="e")


def test_to_channels_last_and_back_copies_nothing():
    x = Tensor(np.zeros((2, 3, 5, 4)))
    there = spatial.channels_last(x, "channels_first")
    back = spatial.from_channels_last(there, "channels_first")
    assert there.shape == (2, 5, 4, 3)
    assert np.shares_memory(back.numpy(), x.numpy())
    assert spatial.channels_last(x, "channels_last") is x


def test_the_number_of_axes_is_checked_with_and_without_values():
    layer = Every(name="e")
    for wrong in (lambda: layer(np.ones((2, 3, 4))), lambda: layer.compute_output_shape((2, 3, 4))):
        with pytest.raises(ValueError, match=r"Every 'e': the input must have 4 axes.* has 3. Received: shape \(2, 3"):
            wrong()


def test_unknown_channels_are_refused_where_they_must_be_known():
    layer = Every(name="e", data_format="channels_first")
    assert layer.known_channels((None, 7, None, None)) == 7
    with pytest.raises(ValueError, match=r"axis 1 of the input must have size 7, and has 3"):
        layer(np.ones((1, 3, 4, 4)))
    with pytest.raises(ValueError, match=r"Every 'e': the channels .* must be known .* \(None, None, 8, 8\) with"):
        layer.known_channels((None, None, 8, 8))


# ---------------------------------------------------------------------- windows


def test_window_lengths_leave_none_alone():
    assert window_lengths((7, None, 9), (3, 3, 3), (1, 1, 2), (1, 2, 1), "valid", "layer") == (5, None, 4)
    assert window_lengths((7, 1), (3, 4), (2, 3), (1, 1), "same", "layer") == (4, 1)
    assert window_lengths((7,), (3,), (2,), (1,), "causal", "layer") == (4,)


@pytest.mark.parametrize(
    ("lengths", "window", "dilation", "padding", "message"),
    [
        ((7, 9), (5, 1), (2, 1), "valid", "the window 5 with dilation 2 spans 9 rows, the input has 7"),
        ((7, 1), (5, 2), (1, 1), "valid", r"the window 2 spans 2 columns, the input has 1. Received: .*\(7, 1\)"),
        ((2,), (3,), (1,), "valid", "the window 3 spans 3 steps, the input has 2"),
        ((0,), (3,), (1,), "same", "the window 3 spans 3 steps, the input has 0"),
        ((1, 3, 3), (2, 1, 1), (1, 1, 1), "valid", "the window 2 spans 2 planes, the input has 1"),
        ((9, 9, 9, 1), (1, 1, 1, 2), (1, 1, 1, 1), "valid", "the window 2 spans 2 elements of axis 4, the input"),
    ],
)
def test_a_window_wider_than_the_input_shows_the_arithmetic(lengths, window, dilation, padding, message):
    with pytest.raises(ValueError, match=rf"^layer: {message}"):
        window_lengths(lengths, window, (1,) * len(lengths), dilation, padding, "layer")


# ---------------------------------------------------------------------- int and tuple arguments


@pytest.mark.parametrize("value", [3, np.int64(3), np.array(3), (3, 3), [3, np.int32(3)], np.array([3, 3])])
def test_integers_and_sequences_become_tuples_of_int(value):
    result = as_tuple(value, 2, "layer", "size")
    assert result == (3, 3)
    assert {type(item) for item in result} == {int}


@pytest.mark.parametrize("value", [0, -1, True, np.True_, 2.0, np.float64(2.0), "3", None, {3}, object])
def test_what_is_no_positive_integer_is_refused(value):
    with pytest.raises(ValueError, match=r"layer: size must be a positive integer. Received: "):
        as_tuple(value, 2, "layer", "size")
    with pytest.raises(ValueError, match=r"layer: each item of size must be a positive integer. Received: "):
        as_tuple((1, value), 2, "layer", "size")


def test_a_tuple_of_another_length_is_refused():
    message = r"layer: size must be an integer or a tuple of 2, one for each axis. Received: \(1, 2, 3\)"
    with pytest.raises(ValueError, match=message):
        as_tuple((1, 2, 3), 2, "layer", "size")


@pytest.mark.parametrize(
    ("value", "rank", "expected"),
    [
        (2, 1, ((2, 2),)),
        ((1, 2), 1, ((1, 2),)),
        (((1, 2),), 1, ((1, 2),)),
        ((3,), 1, ((3, 3),)),
        (0, 3, ((0, 0), (0, 0), (0, 0))),
        ((1, 2), 2, ((1, 1), (2, 2))),
        (((1, 2), (3, 4)), 2, ((1, 2), (3, 4))),
        ([[1, 2], [3, 4]], 2, ((1, 2), (3, 4))),
        (np.array([[1, 2], [3, 4]]), 2, ((1, 2), (3, 4))),
        ((1, (0, 2), 3), 3, ((1, 1), (0, 2), (3, 3))),
    ],
)
def test_pairs_come_in_three_forms(value, rank, expected):
    assert as_pairs(value, rank, "layer", "padding") == expected


@pytest.mark.parametrize(
    ("value", "rank", "message"),
    [
        (-1, 2, "padding must be an integer of at least 0. Received: -1"),
        (True, 2, "padding must be an integer of at least 0. Received: True"),
        ((1, 2, 3), 2, r"padding must be an integer, a tuple of 2 integers or a tuple of 2 pairs. Received: \(1, 2, 3"),
        ((1, 2, 3), 1, r"padding must be an integer, or a pair of them. Received: \(1, 2, 3\)"),
        ((1, 1.5), 1, "each item of padding must be an integer of at least 0. Received: 1.5"),
        (((1, 2), (3, "4")), 2, "each item of padding must be an integer of at least 0. Received: '4'"),
        (((1, 2), (3, 4, 5)), 2, r"each item of padding must be an integer .* pair of them.* Received: \(3, 4, 5\)"),
    ],
)
def test_other_pairs_are_refused(value, rank, message):
    with pytest.raises(ValueError, match=rf"^layer: {message}"):
        as_pairs(value, rank, "layer", "padding")


def test_the_abstract_parts_say_what_to_write():
    class Empty(SpatialLayer):
        rank = 1

    with pytest.raises(NotImplementedError, match=r"Empty must write compute"):
        Empty()(np.ones((1, 2, 3)))
