from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterator

import pytest

from minikeras.core import random
from minikeras.utils import GeneratorEnqueuer, OrderedEnqueuer, Sequence


class Numbers(Sequence):
    """Batches 0, 1, 2, ... plus 100 for each epoch that has ended; the first ones take longest."""

    def __init__(self, length: int = 6, pause: float = 0.0) -> None:
        self.length, self.pause, self.epoch = length, pause, 0
        self.threads: set[int] = set()
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> int:
        self.threads.add(threading.get_ident())
        self.asked.append(index)
        time.sleep(self.pause * (self.length - index))
        return index + 100 * self.epoch

    def on_epoch_end(self) -> None:
        self.epoch += 1


class Faulty(Numbers):
    def __getitem__(self, index: int) -> int:
        if index == 2:
            self.fail_here()
        return index

    def fail_here(self) -> None:
        raise LookupError("batch two is missing")


def threads_of_batches() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("minikeras-batches")]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert threads_of_batches() == []


def test_batches_come_in_order_though_several_threads_make_them() -> None:
    numbers = Numbers(6, pause=0.005)
    with OrderedEnqueuer(numbers) as enqueuer:
        enqueuer.start(workers=3)
        batches = enqueuer.get()
        assert [next(batches) for _ in range(6)] == [0, 1, 2, 3, 4, 5]
    assert len(numbers.threads) == 3


def test_the_next_epoch_begins_after_on_epoch_end() -> None:
    with OrderedEnqueuer(Numbers(3)) as enqueuer:
        enqueuer.start(workers=2, max_queue_size=5)
        batches = enqueuer.get()
        assert [next(batches) for _ in range(8)] == [0, 1, 2, 100, 101, 102, 200, 201]


def test_no_more_batches_are_made_ahead_than_allowed() -> None:
    numbers = Numbers(20)
    with OrderedEnqueuer(numbers) as enqueuer:
        enqueuer.start(workers=2, max_queue_size=3)
        batches = enqueuer.get()
        assert next(batches) == 0
        time.sleep(0.05)
        assert len(numbers.asked) == 4


def test_shuffling_takes_each_batch_once_in_an_epoch_in_an_order_of_the_seed() -> None:
    def two_epochs() -> list[int]:
        with random.seed_scope(3), OrderedEnqueuer(Numbers(8), shuffle=True) as enqueuer:
            enqueuer.start()
            batches = enqueuer.get()
            return [next(batches) for _ in range(16)]

    order = two_epochs()
    assert sorted(order[:8]) == list(range(8)) != order[:8]
    assert sorted(order[8:]) == list(range(100, 108))
    assert two_epochs() == order


@pytest.mark.parametrize("workers", [1, 4])
def test_an_exception_of_a_worker_comes_out_where_its_batch_would_have_come(workers: int) -> None:
    enqueuer = OrderedEnqueuer(Faulty())
    enqueuer.start(workers=workers)
    batches = enqueuer.get()
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(LookupError, match="batch two is missing") as caught:
        next(batches)
    assert "fail_here" in "".join(traceback.format_tb(caught.value.__traceback__))
    assert not enqueuer.is_running()


class FaultyEnd(Numbers):
    def on_epoch_end(self) -> None:
        raise OSError("the disk is gone")


def test_an_exception_at_the_end_of_an_epoch_comes_out_too() -> None:
    enqueuer = OrderedEnqueuer(FaultyEnd(2))
    enqueuer.start()
    batches = enqueuer.get()
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(OSError, match="the disk is gone"):
        next(batches)


def test_stopping_from_another_thread_ends_a_waiting_consumer() -> None:
    enqueuer = OrderedEnqueuer(Numbers(1, pause=0.2))
    enqueuer.start()
    threading.Timer(0.02, enqueuer.stop).start()
    assert list(enqueuer.get()) == []


def test_it_can_be_stopped_at_any_time_and_started_again() -> None:
    enqueuer = OrderedEnqueuer(Numbers(50))
    enqueuer.stop()
    for _ in range(3):
        enqueuer.start(workers=2)
        assert next(enqueuer.get()) % 100 == 0
        enqueuer.stop()
        assert not enqueuer.is_running()


def test_batches_that_are_none_are_skipped() -> None:
    with GeneratorEnqueuer(iter([1, None, 2])) as enqueuer:
        enqueuer.start()
        assert list(enqueuer.get()) == [1, 2]


def test_a_generator_is_followed_to_its_end_whatever_the_number_of_workers() -> None:
    with GeneratorEnqueuer(number**2 for number in range(30)) as enqueuer:
        enqueuer.start(workers=4, max_queue_size=2)
        assert list(enqueuer.get()) == [number**2 for number in range(30)]
        assert not enqueuer.is_running()


def test_an_exception_of_a_generator_comes_out() -> None:
    def faulty() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    enqueuer = GeneratorEnqueuer(faulty())
    enqueuer.start()
    batches = enqueuer.get()
    assert next(batches) == 1
    with pytest.raises(LookupError, match="no more"):
        next(batches)


@pytest.mark.parametrize("make", [lambda: OrderedEnqueuer(Numbers(), True), lambda: GeneratorEnqueuer(iter([]), True)])
def test_processes_are_replaced_by_threads_with_a_warning(make: object) -> None:
    with pytest.warns(UserWarning, match="use_multiprocessing=True: minikeras prepares batches in threads"):
        make()


def test_wait_time_warns_that_it_has_no_effect() -> None:
    with pytest.warns(DeprecationWarning, match="wait_time has no effect"):
        GeneratorEnqueuer(iter([]), wait_time=0.1)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"workers": 0}, "OrderedEnqueuer: workers must be a positive integer. Received: 0"),
        ({"workers": 1.5}, "workers must be a positive integer. Received: 1.5"),
        ({"max_queue_size": True}, "max_queue_size must be a positive integer. Received: True"),
    ],
)
def test_wrong_numbers_are_refused(keywords: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OrderedEnqueuer(Numbers()).start(**keywords)


def test_what_is_no_sequence_is_refused() -> None:
    with pytest.raises(TypeError, match=r"sequence must have __getitem__ and __len__. Received: 5"):
        OrderedEnqueuer(5)
    with pytest.raises(TypeError, match=r"sequence must be a generator. Received: 5"):
        GeneratorEnqueuer(5)


def test_an_empty_sequence_is_refused_instead_of_waiting_for_ever() -> None:
    enqueuer = OrderedEnqueuer(Numbers(0))
    enqueuer.start()
    with pytest.raises(ValueError, match="Numbers has no batches: its length is 0"):
        next(enqueuer.get())


def test_get_needs_start_and_start_needs_stop_before_the_next() -> None:
    enqueuer = OrderedEnqueuer(Numbers())
    with pytest.raises(RuntimeError, match=r"call start\(\) before get\(\)"):
        enqueuer.get()
    with enqueuer:
        enqueuer.start()
        with pytest.raises(RuntimeError, match=r"running already; call stop\(\) first"):
            enqueuer.start()


def test_a_sequence_must_say_its_length_and_its_batches() -> None:
    class Half(Sequence):
        def __len__(self) -> int:
            return 1

    with pytest.raises(TypeError, match=r"abstract method '?__getitem__"):
        Half()


def test_a_sequence_is_iterated_over_once() -> None:
    assert list(Numbers(3)) == [0, 1, 2]
