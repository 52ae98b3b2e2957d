from __future__ import annotations

import gc
import re
import weakref

import numpy as np
import pytest

from minikeras import Parameter, Tensor, gradients, ops
from minikeras.debug import detect_anomaly, tape_summary
from minikeras.debug.tables import bytes_in_words
from minikeras.layers import Dense


def network() -> tuple[Parameter, Parameter, Tensor]:
    w, b = Parameter(np.ones((3, 2), "float32"), name="w"), Parameter(np.zeros(2, "float32"), name="b")
    hidden = ops.tanh(np.ones((4, 3), "float32") @ w + b)
    return w, b, (hidden * hidden).sum()


def test_each_operation_has_a_row_with_what_it_made_of_what_and_what_it_keeps() -> None:
    rows = tape_summary(network()[2]).rows
    assert [(row.number, row.operation) for row in rows] == list(
        enumerate(["matmul", "add", "tanh", "multiply", "sum"], 1)
    )
    assert [row.shape for row in rows] == [(4, 2), (4, 2), (4, 2), (4, 2), ()]
    assert {row.dtype for row in rows} == {"float32"}
    assert [row.inputs for row in rows] == [
        {"x": None, "y": "w"},
        {"x": 1, "y": "b"},
        {"x": 2},
        {"x": 3, "y": 3},
        {"x": 4},
    ]
    # matmul's derivative in w reads the (4, 3) data alone, multiply's the same array twice.
    assert [row.saved for row in rows] == [4 * 12, 0, 4 * 8, 2 * 4 * 8, 0]


def test_memory_is_counted_once_and_that_of_leaves_told_apart() -> None:
    w, _, loss = network()
    summary = tape_summary(loss)
    assert (summary.saved, summary.saved_by_leaves) == (4 * 12 + 4 * 8, 0)
    summary = tape_summary(ops.sin(w).sum())
    assert (summary.saved, summary.saved_by_leaves) == (24, 24)
    assert "saved for backward: 24 B, of which 24 B are the values of leaves" in str(summary)
    view = ops.sin(Tensor(np.ones((10, 10))[:1], requires_grad=True))
    assert tape_summary(view).saved == 800  # what a view keeps alive


def test_it_prints_as_a_table() -> None:
    assert str(tape_summary(network()[2])).splitlines() == [
        "#  operation  output  dtype    inputs      saved",
        "────────────────────────────────────────────────",
        "1  matmul     (4, 2)  float32  x=–, y=w     48 B",
        "2  add        (4, 2)  float32  x=#1, y=b     0 B",
        "3  tanh       (4, 2)  float32  x=#2         32 B",
        "4  multiply   (4, 2)  float32  x=#3, y=#3   64 B",
        "5  sum        ()      float32  x=#4          0 B",
        "────────────────────────────────────────────────",
        "5 operations; 2 leaves: w, b",
        "saved for backward: 80 B",
    ]


def test_after_backward_the_rows_are_marked_as_freed() -> None:
    loss = network()[2]
    loss.backward()
    summary = tape_summary(loss)
    assert summary.freed == 5
    assert [row.saved for row in summary.rows] == [None] * 5
    assert "5 operations, all freed by backward; 2 leaves" in str(summary)


def test_what_ran_inside_detect_anomaly_tells_its_line_and_layer() -> None:
    with detect_anomaly():
        y = Dense(2, name="last")(np.ones((1, 3)))
        loss = (y * y).sum()
    first, second, _ = tape_summary(loss).rows
    assert re.search(r"test_tape_summary\.py:\d+$", first.line)
    assert (first.layer, second.layer) == ("last", None)
    assert re.search(r"line\n.*test_tape_summary\.py:\d+ \(last\)\n", str(tape_summary(loss)), re.DOTALL)


def test_a_long_tape_is_printed_in_part_and_nothing_is_recursive() -> None:
    x = y = Tensor([1.0], requires_grad=True)
    for _ in range(20_000):
        y = y + 1.0
    summary = tape_summary(y, max_rows=6)
    assert len(summary.rows) == 20_000
    lines = str(summary).splitlines()
    assert [line.split()[0] for line in lines] == [
        *["#", lines[1], "1", "2", "3", "…", "19998", "19999", "20000", lines[1], "20,000", "saved"]
    ]
    assert lines[5] == "… 19,994 more …"
    many = tape_summary(sum((Tensor([1.0], requires_grad=True) for _ in range(100)), x), max_rows=4)
    assert "101 leaves: leaf 1, leaf 2, …, leaf 100, leaf 101" in str(many)


def test_operations_with_many_inputs_show_the_first_ones() -> None:
    parts = [Tensor([1.0], requires_grad=True) for _ in range(9)]
    assert "=leaf 3, tensors[3]=leaf 4, … 5 more " in str(tape_summary(ops.concatenate(parts)))


def test_unused_outputs_have_no_shape() -> None:
    x = Tensor(np.ones((4, 2)), requires_grad=True)
    _, mean, _ = ops.batch_norm(x, np.ones(2), np.zeros(2))
    assert tape_summary(mean).rows[0].shape == (None, (2,), None)


def test_the_tape_of_gradients_is_shown_as_well() -> None:
    x = Tensor([2.0], requires_grad=True)
    found = gradients((x**3).sum(), x, create_graph=True)
    summary = tape_summary(found)
    assert summary.outputs == [len(summary.rows)]
    assert summary.leaves == {"leaf 1": (1,)}


def test_leaves_of_one_name_are_told_apart_and_a_leaf_is_a_tape_too() -> None:
    one, other = Parameter([1.0], name="w"), Parameter([1.0], name="w")
    assert list(tape_summary(one * other).leaves) == ["w", "w (2)"]
    assert tape_summary(one).outputs == ["w"]
    assert "0 operations; 1 leaf: w" in str(tape_summary(one))


def test_dot_has_a_box_for_each_operation_and_an_arrow_for_each_input() -> None:
    dot = tape_summary(network()[2]).to_dot()
    assert dot.startswith("digraph tape {")
    assert dot.endswith("}")
    assert r'n1 [label="matmul\n(4, 2)\nfloat32"];' in dot
    assert r'"w" [shape=ellipse, label="w\n(3, 2)"];' in dot
    assert sorted(re.findall(r"(\S+) -> (\S+) ", dot)) == [
        *[('"b"', "n2"), ('"w"', "n1"), ("n1", "n2"), ("n2", "n3"), ("n3", "n4"), ("n3", "n4"), ("n4", "n5")]
    ]


def test_dot_of_a_long_tape_may_be_cut_and_names_are_quoted() -> None:
    w = Parameter([1.0], name='a "w"')
    y = w
    for _ in range(10):
        y = y * w
    dot = tape_summary(y).to_dot(max_rows=3)
    assert re.findall(r"^  n(\d+) \[label", dot, re.MULTILINE) == ["8", "9", "10"]
    assert "7 earlier operations" in dot
    assert r'"a \"w\"" -> n9' in dot
    assert "earlier -> n8" in dot


def test_a_summary_holds_nothing_of_the_tape() -> None:
    _, _, loss = network()
    summary = tape_summary(loss)
    alive = weakref.ref(loss)
    saved = weakref.ref(loss.node.edges[0][0].saved[0][0][0])
    del loss
    gc.collect()
    assert (alive(), saved()) == (None, None)
    assert len(summary.rows) == 5


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (20_500_000, "20.5 MB"), (7 * 10**15, "7000.0 TB")],
)
def test_bytes_are_written_as_one_reads_them(count: int, words: str) -> None:
    assert bytes_in_words(count) == words


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tape_summary(3), TypeError, "tape_summary: expected a Tensor or a list of Tensors. Received: 3"),
        (lambda: tape_summary([]), TypeError, r"expected a Tensor or a list of Tensors. Received: \[\]"),
        (lambda: tape_summary([1]), TypeError, "expected a Tensor or a list of Tensors. Received: int"),
        (lambda: tape_summary(Tensor([1.0])), ValueError, r"expected a Tensor on the tape. Received: Tensor\(\[1"),
        (
            lambda: tape_summary(network()[2], max_rows=0),
            ValueError,
            "max_rows must be a positive integer. Received: 0",
        ),
        (lambda: tape_summary(network()[2]).to_dot(2.5), ValueError, "to_dot: max_rows must be a positive .*: 2.5"),
    ],
)
def test_wrong_calls_are_told(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()
