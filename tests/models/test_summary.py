from __future__ import annotations

import pytest

from minikeras import Model, Sequential, layers, ops


def net():
    return Sequential(
        [
            layers.Conv2D(4, 3, input_shape=(None, None, 1), name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(1000, name="dense"),
        ],
        name="net",
    )


def lines_of(model, **arguments):
    lines = []
    model.summary(print_fn=lines.append, **arguments)
    return lines


def test_summary_lists_layers_shapes_and_parameters_in_columns():
    assert lines_of(net()) == [
        "Sequential 'net'",
        "─" * 63,
        "Layer (type)                   Output Shape           Param #",
        "─" * 63,
        "conv (Conv2D)                  (None, None, None, 4)  40",
        "norm (BatchNormalization)      (None, None, None, 4)  16",
        "pool (GlobalAveragePooling2D)  (None, 4)              0",
        "dense (Dense)                  (None, 1000)           5,000",
        "─" * 63,
        "Total params: 5,056",
        "Trainable params: 5,048",
        "Non-trainable params: 8",
    ]


def test_summary_counts_frozen_layers_as_not_trainable():
    model = net()
    model.get_layer("dense").trainable = False
    assert lines_of(model)[-2:] == ["Trainable params: 48", "Non-trainable params: 5,008"]


def test_summary_before_build_says_so():
    lines = lines_of(Sequential([layers.Conv2D(4, 3, name="conv")]))
    assert [line.split() for line in lines if line.startswith("conv")] == [["conv", "(Conv2D)", "?", "?"]]
    assert lines[-1].startswith("Not built yet")


def test_line_length_and_positions_set_the_columns_and_cut_what_is_too_long():
    lines = lines_of(net(), line_length=40, positions=[0.5, 0.8, 1.0])
    assert lines[1] == "─" * 40
    assert lines[6] == "pool (GlobalAverag… (None, 4)   0"
    assert all(len(line) <= 40 for line in lines)


def test_positions_above_one_are_characters():
    assert lines_of(net(), positions=[30, 60, 70])[1] == "─" * 70


def test_positions_that_do_not_rise_are_refused():
    with pytest.raises(ValueError, match=r"positions must be 3 rising numbers. Received: \[0.9, 0.5, 1.0\]"):
        net().summary(positions=[0.9, 0.5, 1.0])


def test_summary_prints_by_default(capsys):
    net().summary()
    assert "Total params: 5,056" in capsys.readouterr().out


def test_a_graph_shows_what_each_layer_is_connected_to():
    x = layers.Input((3,), name="x")
    shared = layers.Dense(3, name="shared")
    y = layers.Add(name="sum")([shared(x), shared(ops.square(x))])
    assert lines_of(Model(x, y, name="net"))[2:-3] == [
        "Layer (type)    Output Shape  Param #  Connected to",
        "─" * 53,
        "x (InputLayer)  (None, 3)     0",
        "shared (Dense)  (None, 3)     12       x[0][0]",
        "                                       square",
        "sum (Add)       (None, 3)     0        shared[0][0]",
        "                                       shared[1][0]",
        "─" * 53,
    ]


def test_layers_that_follow_one_another_need_no_such_column():
    x = layers.Input((3,), name="x")
    lines = lines_of(Model(x, layers.Dense(2, name="b")(layers.Dense(3, name="a")(x))))
    assert [line.split()[0] for line in lines[4:7]] == ["x", "a", "b"]
    assert "Connected to" not in lines[2]
