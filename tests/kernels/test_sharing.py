"""Threads share compiled loops without the interpreter: every part is done once, and nobody waits for who sleeps."""

from __future__ import annotations

import os
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("numba")

from minikeras import config
from minikeras.core.threads import WORTHWHILE, spread
from minikeras.kernels import gradients
from minikeras.kernels.compiled import conv as compiled_conv  # the function of this name hides the module
from minikeras.kernels.compiled import sharing
from minikeras.kernels.compiled.jit import compiled
from minikeras.kernels.compiled.packing import COUNT, FIRST, LAST, Cut, Own

CONV = sys.modules[compiled_conv.__module__]
LARGE = 64 * sharing.WORTHWHILE


@pytest.fixture(params=[1, 2, 3])
def number(request):
    before = config.num_threads()
    config.set_num_threads(request.param)
    yield request.param
    config.set_num_threads(before)


@compiled
def _record(piece, row, whole, factor, first, last, count, seen):  # type: ignore[no-untyped-def]
    for i in range(piece.shape[0]):
        for j in range(piece.shape[1]):
            piece[i, j] += factor * whole[j]
    row[0] += last - first
    seen[first] = count


@compiled
def _fill(memory):  # type: ignore[no-untyped-def]
    memory[np.empty(1 << 60, np.float64).size - (1 << 60)] = 1


def record(length, parts, step=0):
    piece, rows, whole = np.zeros((2 * length, 3)), np.zeros((parts, 1)), np.arange(3.0)
    seen = np.zeros(length + 1)
    sharing.run([(_record, (Cut(piece), Own(rows), whole, 2.0, FIRST, LAST, COUNT, seen))], length, parts, step)
    return piece, rows, seen


@pytest.mark.parametrize(("length", "parts", "step"), [(17, 1, 0), (17, 4, 0), (5, 5, 0), (17, 1, 4), (23, 3, 2)])
def test_every_part_is_done_once_with_what_belongs_to_it(number, length, parts, step):
    for _ in range(50):
        piece, rows, seen = record(length, parts, step)
        np.testing.assert_array_equal(piece, np.tile(2 * np.arange(3.0), (2 * length, 1)))
        bounds = [length * i // parts for i in range(parts + 1)]
        np.testing.assert_array_equal(rows[:, 0], np.diff(bounds))
        assert seen.sum() == length


def test_the_number_of_parts_depends_on_work_and_threads_alone(number):
    assert sharing.parts_of(100, sharing.WORTHWHILE - 1) == 1
    assert sharing.parts_of(100, sharing.WORTHWHILE) == number
    assert sharing.parts_of(100, LARGE) == (1 if number == 1 else 2 * number)
    assert sharing.parts_of(1, LARGE) == 1
    assert set(spread(lambda part: sharing.parts_of(100, LARGE), 2, 16 * WORTHWHILE)) == {1}  # they share already


def test_several_who_share_at_once_get_what_is_theirs(number):
    failed = []

    def work():
        for _ in range(200):
            piece, rows, _ = record(31, 6)
            if piece.sum() != 2 * 31 * 6 or rows.sum() != 31:
                failed.append(rows)

    several = [threading.Thread(target=work) for _ in range(4)]
    for thread in several:
        thread.start()
    for thread in several:
        thread.join()
    assert not failed


def test_memory_that_is_missing_in_any_thread_is_an_error(number):
    with pytest.raises(MemoryError, match="_fill: no memory is left"):
        sharing.run([(_fill, (np.zeros(3),))], 6, 6)
    assert record(5, 5)[1].sum() == 5


def test_helpers_come_when_summoned_sleep_again_and_serve_the_interpreter_in_between(monkeypatch):
    before = config.num_threads()
    config.set_num_threads(3)
    try:
        helpers, end = sharing._helpers(), time.monotonic() + 60
        box = helpers.box
        monkeypatch.setattr(helpers, "turns", 2000 * helpers.turns)  # seconds, however busy the machine is
        while box[sharing.AWAKE] < 2 and time.monotonic() < end:
            record(64, 6)
            time.sleep(0.001)
        assert box[sharing.AWAKE] == 2
        monkeypatch.undo()
        meeting = threading.Barrier(3)
        assert len(spread(lambda part: meeting.wait(20), 3, 2 * WORTHWHILE)) == 3
        while box[sharing.AWAKE] and time.monotonic() < end:
            time.sleep(0.001)
        assert box[sharing.AWAKE] == 0
    finally:
        config.set_num_threads(before)


def test_helpers_watch_for_as_long_as_they_should_however_long_compiling_took():
    helpers, box = sharing._helpers(), np.zeros_like(sharing._helpers().box)
    start = time.perf_counter()
    sharing._serve(box, 0, helpers._turns(0.005))
    assert time.perf_counter() - start >= 0.004


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_shares_with_helpers_of_its_own(number):
    record(64, 6)
    child = os.fork()
    if not child:
        os._exit(0 if all(record(64, 6)[1].sum() == 64 for _ in range(20)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert record(64, 6)[1].sum() == 64


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("lengths", "window", "strides", "padding", "channels", "filters"),
    [
        ((9, 11), (3, 3), (1, 1), ((1, 1), (1, 1)), 24, 32),  # Winograd
        ((9, 11), (3, 2), (2, 1), ((1, 0), (1, 0)), 5, 3),
        ((30,), (4,), (1,), ((3, 0),), 3, 300),
        ((5, 6, 7), (3, 3, 3), (1, 1, 1), ((0, 0),) * 3, 4, 8),
        ((8, 7), (1, 1), (1, 1), ((0, 0),) * 2, 40, 24),
    ],
)
@pytest.mark.parametrize("is_relu", [True, False])
def test_gradients_of_some_images_at_a_time_are_those_of_one_kernel_after_the_other(
    number, monkeypatch, is_relu, dtype, lengths, window, strides, padding, channels, filters
):
    monkeypatch.setattr(sharing, "WORTHWHILE", 1)
    rng = np.random.default_rng(3)
    sizes = [(n + sum(pad) - k) // s + 1 for n, k, s, pad in zip(lengths, window, strides, padding, strict=True)]
    x, w = rng.standard_normal((9, *lengths, channels)), rng.standard_normal((*window, channels, filters))
    delta, y = rng.standard_normal((2, 9, *sizes, filters))
    arrays = [array.astype(dtype) for array in (delta, x, w, y)]
    if not is_relu:
        arrays[3] = None
    options = {"input_size": lengths, "window": window, "strides": strides, "padding": padding}
    options |= {"dilation": (1,) * len(window)}
    expected = gradients.conv_gradients(*arrays, needs=(True, True, True), **options)
    tolerance = 2e-4 if dtype == "float32" else 1e-10
    for images in (1, 2):
        monkeypatch.setattr(CONV, "CHUNK_BYTES", images * arrays[0][:1].nbytes)
        for needs in ((True, True, True), (False, True, False), (True, False, True), (True, True, False)):
            found = CONV.conv_gradients(*arrays, needs=needs, **options)
            for need, ours, theirs in zip(needs, found, expected, strict=True):
                assert (ours is not None) == need
                if need:
                    np.testing.assert_allclose(ours, theirs, atol=tolerance * np.abs(theirs).max(), rtol=0)
