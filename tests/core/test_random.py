from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from minikeras.core import random


def draws(count: int) -> list[float]:
    return [random.stream().random() for _ in range(count)]


def test_a_seed_repeats_its_streams_in_order() -> None:
    random.set_seed(7)
    first = draws(3)
    random.set_seed(7)
    assert draws(3) == first
    assert len(set(first)) == 3


def test_different_seeds_give_different_streams() -> None:
    random.set_seed(7)
    first = draws(1)
    random.set_seed(8)
    assert draws(1) != first


def test_how_much_one_stream_draws_does_not_matter_to_the_next() -> None:
    random.set_seed(7)
    random.stream().random(1000)
    second = random.stream().random()
    random.set_seed(7)
    assert draws(2)[1] == second


def test_a_seeded_run_neither_reads_nor_moves_the_state_of_numpy() -> None:
    random.set_seed(7)
    expected = draws(2)
    np.random.seed(1)
    before = np.random.get_state()[1].tolist()
    random.set_seed(7)
    assert draws(2) == expected
    assert np.random.get_state()[1].tolist() == before


def test_without_a_seed_the_state_of_numpy_decides() -> None:
    np.random.seed(0)
    first = draws(3)
    np.random.seed(0)
    assert draws(3) == first
    np.random.seed(1)
    assert draws(3) != first
    assert len(set(first)) == 3


def test_set_seed_none_goes_back_to_the_state_of_numpy() -> None:
    np.random.seed(0)
    expected = draws(1)
    random.set_seed(7)
    random.set_seed(None)
    np.random.seed(0)
    assert draws(1) == expected


def test_a_stream_of_its_own_seed_depends_on_nothing_and_moves_nothing() -> None:
    own = random.stream(3).random()
    random.set_seed(7)
    expected = draws(2)
    random.set_seed(7)
    first = draws(1)
    assert random.stream(3).random() == own
    assert first + draws(1) == expected


def test_a_numpy_integer_and_an_integer_of_any_size_are_seeds() -> None:
    assert random.stream(np.uint8(3)).random() == random.stream(3).random()
    assert random.stream(2**200).random() != random.stream(2**200 + 1).random()


def test_a_seed_scope_repeats_itself_and_leaves_the_outer_streams_where_they_stood() -> None:
    random.set_seed(7)
    expected = draws(2)
    random.set_seed(7)
    outer = draws(1)
    with random.seed_scope(1):
        inner = draws(2)
    with pytest.raises(KeyError), random.seed_scope(1):  # noqa: PT012 (the body is what is tested)
        assert draws(2) == inner
        raise KeyError
    assert outer + draws(1) == expected


@pytest.mark.parametrize("call", [random.set_seed, random.stream, lambda seed: random.seed_scope(seed).__enter__()])
@pytest.mark.parametrize(("seed", "error"), [(-1, ValueError), (1.0, TypeError), (True, TypeError), ("1", TypeError)])
def test_a_wrong_seed_is_refused(call: Any, seed: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"seed must be a non-negative integer or None. Received: {seed!r}"):
        call(seed)


def test_streams_asked_for_by_several_threads_are_the_same_set_without_repetition() -> None:
    random.set_seed(7)
    expected = set(draws(400))
    random.set_seed(7)
    barrier = threading.Barrier(4)

    def ask(_: int) -> list[float]:
        barrier.wait()
        return draws(100)

    with ThreadPoolExecutor(4) as pool:
        found = [number for numbers in pool.map(ask, range(4)) for number in numbers]
    assert len(found) == 400
    assert set(found) == expected


def test_a_saved_state_passes_through_json_and_goes_on_where_it_stood() -> None:
    stream = random.stream(3)
    stream.integers(0, 2**16, size=3, dtype=np.uint16)  # leaves half a word in the buffer of the bit generator
    saved = json.dumps(random.get_state(stream))
    expected = stream.integers(0, 2**32, size=5, dtype=np.uint32).tolist()
    other = random.stream(4)
    random.set_state(other, json.loads(saved))
    assert other.integers(0, 2**32, size=5, dtype=np.uint32).tolist() == expected


def test_a_state_does_not_change_when_its_stream_goes_on() -> None:
    stream = random.stream(3)
    state = random.get_state(stream)
    first = stream.random(4).tolist()
    random.set_state(stream, state)
    assert stream.random(4).tolist() == first


@pytest.mark.parametrize(
    "changes",
    [
        {"bit_generator": "MT19937"},
        {"state": None},
        {"state": {"state": 1.5, "inc": 3}},
        {"state": {"state": 2**128, "inc": 3}},
        {"state": {"state": 1}},
        {"uinteger": 2**32},
    ],
)
def test_a_wrong_state_is_refused_and_leaves_the_stream_as_it_was(changes: dict[str, Any]) -> None:
    stream = random.stream(3)
    before = random.get_state(stream)
    with pytest.raises(ValueError, match="state must be what get_state returned"):
        random.set_state(stream, {**before, **changes})
    assert random.get_state(stream) == before
