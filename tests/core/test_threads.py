"""One pool of threads shares the work of large operations, whoever asks and whatever happens."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import minikeras
from minikeras import config, kernels, layers, models
from minikeras.core import threads, tiers
from minikeras.core.threads import WORTHWHILE, spread
from minikeras.kernels.compiled import sharing

LARGE = 16 * WORTHWHILE
needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs numba")


@pytest.fixture(params=[1, 2, 3])
def number(request):
    before = config.num_threads()
    config.set_num_threads(request.param)
    yield request.param
    config.set_num_threads(before)


@pytest.fixture
def three_threads():
    before = config.num_threads()
    config.set_num_threads(3)
    yield
    config.set_num_threads(before)


def test_the_parts_are_the_whole_in_order(number):
    parts = spread(lambda part: list(range(part.start, part.stop)), 17, LARGE)
    assert [i for part in parts for i in part] == list(range(17))
    assert len(parts) == (1 if number == 1 else 2 * number)


@pytest.mark.parametrize(("length", "elements"), [(1, LARGE), (17, WORTHWHILE - 1), (0, 0)])
def test_little_work_stays_in_the_calling_thread(three_threads, length, elements):
    assert spread(lambda part: threading.current_thread(), length, elements) == [threading.current_thread()]


def test_large_work_runs_in_several_threads_at_once(three_threads):
    meeting = threading.Barrier(3)
    names = spread(lambda part: (meeting.wait(20), threading.current_thread().name)[1], 3, 2 * WORTHWHILE)
    assert len(set(names)) == 3


def test_the_first_error_is_raised_after_all_parts_have_ended(three_threads):
    ended = []

    def work(part):
        if part.start == 0:
            raise ZeroDivisionError("of part 0")
        time.sleep(0.01)
        ended.append(part.start)

    with pytest.raises(ZeroDivisionError, match="of part 0"):
        spread(work, 6, LARGE)
    assert sorted(ended) == [1, 2, 3, 4, 5]


def test_work_inside_of_work_stays_where_it_is(three_threads):
    inner = spread(lambda _: spread(lambda part: part, 8, LARGE), 6, LARGE)
    assert inner == [[slice(0, 8)]] * 6


def test_numpy_warns_or_not_as_the_caller_has_said(three_threads):
    def work(part):
        return np.divide(np.ones(2), np.zeros(2))

    with np.errstate(divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        spread(work, 6, LARGE)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        spread(work, 6, LARGE)


def test_blas_has_one_thread_meanwhile_and_its_own_number_again_afterwards(three_threads):
    get, _ = threads._blas_threads()
    before = get()
    assert set(spread(lambda part: get(), 6, LARGE)) == {1}
    assert get() == before == 3
    with pytest.raises(ZeroDivisionError):
        spread(lambda part: 1 / 0, 6, LARGE)
    assert get() == before


def test_this_numpy_brings_a_blas_whose_threads_can_be_set(three_threads):
    if "openblas" not in str(np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]):
        pytest.skip("NumPy was built with another BLAS")
    assert threads._blas_threads()[0]() == 3


def test_a_sandbox_that_binds_threads_to_cores_is_no_error(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: {0, 1}, raising=False)
    monkeypatch.setattr(threads, "_current_core", lambda: 0)

    def refuse(thread, cores):
        raise PermissionError("not here")

    monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)
    threads._leave(0)


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or threads._available_cores() < 2 or threads._current_core() is None,
    reason="needs two cores, and a system that says which one",
)
def test_a_thread_leaves_the_core_of_whoever_it_helps_but_isnt_bound():
    cores, moves = os.sched_getaffinity(0), []

    def helper():
        for _ in range(5):  # the system may bring it back at any time
            before = threads._current_core()
            threads._leave(before)
            moves.append(threads._current_core() != before)
            assert os.sched_getaffinity(0) == cores
        threads._leave(None)

    thread = threading.Thread(target=helper)
    thread.start()
    thread.join(20)
    assert len(moves) == 5
    assert any(moves)


def test_callers_in_many_threads_get_what_each_asked_for(three_threads):
    found: dict[int, int] = {}

    def caller(i):
        for _ in range(50):
            found[i] = sum(spread(lambda part: i * (part.stop - part.start), 100, LARGE))

    callers = [threading.Thread(target=caller, args=(i,)) for i in range(8)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(60)
    assert found == {i: 100 * i for i in range(8)}


@pytest.fixture(params=["numpy", pytest.param("numba", marks=needs_numba)])
def everything_is_shared(request, three_threads, monkeypatch):
    """Each tier's kernels, with work shared by three threads however little it is."""
    monkeypatch.setattr(threads, "WORTHWHILE", 0)
    monkeypatch.setattr(sharing, "WORTHWHILE", 0)
    with tiers.kernels_scope(request.param):
        yield


def small_model(seed):
    with minikeras.seed_scope(seed):
        made = models.Sequential(
            [
                layers.Conv2D(32, 3, activation="relu", input_shape=(16, 16, 16)),
                layers.MaxPooling2D(),
                layers.SeparableConv2D(16, 3, padding="same"),
                layers.BatchNormalization(),
                layers.Conv2DTranspose(8, 3, strides=2, activation="relu"),
                layers.Dropout(0.3, seed=seed),
                layers.Flatten(),
                layers.Dense(4, activation="softmax"),
            ]
        )
    made.compile("adam", "categorical_crossentropy")
    return made


def weights_after_training(model):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((24, 16, 16, 16)).astype(np.float32), np.eye(4, dtype=np.float32)[np.arange(24) % 4]
    model.fit(x, y, batch_size=12, epochs=2, shuffle=False, verbose=0)
    return [*model.get_weights(), model.predict(x)]


def test_two_models_trained_in_two_threads_give_what_they_give_alone(everything_is_shared):
    alone = {seed: weights_after_training(small_model(seed)) for seed in (1, 2)}
    made = {seed: small_model(seed) for seed in (1, 2)}
    together: dict[int, list[np.ndarray]] = {}
    both = [threading.Thread(target=lambda s=s: together.update({s: weights_after_training(made[s])})) for s in made]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(120)
    for seed, weights in alone.items():
        for a, b in zip(weights, together[seed], strict=True):
            np.testing.assert_array_equal(a, b)


def test_training_with_the_same_seed_gives_the_same_bits_again(everything_is_shared):
    first, second = (weights_after_training(small_model(7)) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(not np.array_equal(a, b) for a, b in zip(first, weights_after_training(small_model(8)), strict=True))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_child_forked_while_blas_is_held_has_all_its_threads():
    script = """
import os, warnings
warnings.simplefilter("ignore")
from minikeras import config
from minikeras.core import threads
config.set_num_threads(3)
get, _ = threads._blas_threads()
with threads._one_blas_thread:
    child = os.fork()
    if not child:
        assert get() == 3
        with threads._one_blas_thread:
            assert get() == 1
        assert get() == 3
if not child:
    with threads._one_blas_thread:
        assert get() == 1
    os._exit(0 if get() == 3 else 1)
assert os.waitpid(child, 0)[1] == 0
assert get() == 3
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_has_threads_of_its_own():
    script = """
import os, warnings
warnings.simplefilter("ignore")
import numpy as np
from minikeras import config
from minikeras.core.threads import WORTHWHILE, spread
config.set_num_threads(3)
total = lambda: sum(spread(lambda part: part.stop - part.start, 100, 16 * WORTHWHILE))
assert total() == 100
child = os.fork()
if not child:
    os._exit(0 if total() == 100 else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


SLIDE = {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1)}
POOL = {"window": (2, 2), "strides": (2, 2), "padding": ((0, 0), (0, 0))}
X = np.random.default_rng(0).standard_normal((9, 32, 32, 16))
W = np.random.default_rng(1).standard_normal((3, 3, 16, 16))

CALLS = {
    "conv": lambda x: kernels.conv(x, W, W[0, 0, 0], activation="relu", **SLIDE),
    "conv_input_grad": lambda x: kernels.conv_input_grad(x, W, input_size=(32, 32), **SLIDE),
    "conv_kernel_grad": lambda x: kernels.conv_kernel_grad(x, x, window=(3, 3), **SLIDE),
    "depthwise_conv": lambda x: kernels.depthwise_conv(x, W[..., :2], **SLIDE),
    "depthwise_input_grad": lambda x: kernels.depthwise_input_grad(x, W[..., :1], input_size=(32, 32), **SLIDE),
    "depthwise_kernel_grad": lambda x: kernels.depthwise_kernel_grad(x, x, window=(3, 3), **SLIDE),
    "max_pool": lambda x: kernels.max_pool(x, **POOL)[0],
    "pool_scatter": lambda x: kernels.pool_scatter(*kernels.max_pool(x, **POOL), input_size=(32, 32), **POOL),
    "average_pool": lambda x: kernels.average_pool(x, **POOL),
    "upsample_nearest": lambda x: kernels.upsample_nearest(x, size=(2, 2)),
    "upsample_linear": lambda x: kernels.upsample_linear(x, size=(2, 2)),
    "batch_norm": lambda x: kernels.batch_norm(x, None, None, axis=-1, epsilon=1e-3)[0],
    "relu_grad": lambda x: kernels.relu_grad(x, x[::-1]),
    "channel_sum": kernels.channel_sum,
}


@pytest.mark.parametrize("name", CALLS)
def test_kernels_give_the_same_in_any_number_of_threads_and_in_every_run(name, number):
    config.set_num_threads(1)
    alone = CALLS[name](X)
    config.set_num_threads(number)
    several = CALLS[name](X)
    np.testing.assert_allclose(several, alone, rtol=1e-12, atol=1e-12 * np.abs(alone).max())
    np.testing.assert_array_equal(CALLS[name](X), several)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"MINIKERAS_NUM_THREADS": "5"}, "5"),
        ({"OMP_NUM_THREADS": "4"}, "4"),
        ({"MINIKERAS_NUM_THREADS": "many", "OMP_NUM_THREADS": "0"}, None),
    ],
)
def test_the_number_of_threads_is_the_environments_or_that_of_the_cores(environment, expected):
    names = ("MINIKERAS_NUM_THREADS", "OMP_NUM_THREADS")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    script = "from minikeras import config; print(config.num_threads())"
    run = subprocess.run(
        [sys.executable, "-c", script], env={**clean, **environment}, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == (expected or str(threads._available_cores()))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "num_threads must be at least 1. Received: 0"),
        (-2, ValueError, "num_threads must be at least 1. Received: -2"),
        (True, TypeError, "num_threads must be an integer. Received: True"),
        (2.0, TypeError, "num_threads must be an integer. Received: 2.0"),
        ("all", TypeError, "num_threads must be an integer. Received: 'all'"),
    ],
)
def test_a_number_of_threads_that_is_none_is_refused(value, error, message):
    before = config.num_threads()
    with pytest.raises(error, match=message):
        config.set_num_threads(value)
    assert config.num_threads() == before


_TRAINING = """
import os, threading, time
import numpy as np
from minikeras import config, layers as L, models, optimizers
config.set_num_threads(2)

def computing():  # milliseconds of all threads that Python didn't start
    ours = {thread.native_id for thread in threading.enumerate()}
    others = [task for task in os.listdir("/proc/self/task") if int(task) not in ours]
    return sum(int(open(f"/proc/self/task/{task}/schedstat").read().split()[0]) for task in others) / 1e6

np.ones((1000, 1000)) @ np.ones((1000, 1000))  # BLAS has started its threads
model = models.Sequential([
    L.Conv2D(64, 3, padding="same", activation="relu", input_shape=(32, 32, 48)), L.BatchNormalization(),
    L.Conv2D(64, 3, activation="relu"), L.SeparableConv2D(64, 3), L.MaxPooling2D(),
    L.Conv2DTranspose(32, 3, strides=2), L.Conv2D(1, 3, padding="same"), L.Flatten(), L.Dropout(0.5),
    L.Dense(256, activation="relu"), L.Dense(100, activation="softmax")])
model.compile(optimizers.Adam(clipnorm=1.0), "categorical_crossentropy")
x, y = np.ones((32, 32, 32, 48), "float32"), np.eye(100, dtype="float32")[:32]
model.train_on_batch(x, y)
time.sleep(0.3)
before = computing()
model.train_on_batch(x, y)
model.predict(x)
time.sleep(0.1)
print(computing() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads' time by Linux's files")
@pytest.mark.parametrize("tier", ["numpy", pytest.param("numba", marks=needs_numba)])
def test_training_never_wakes_the_threads_of_blas_which_would_spin_beside_ours(tier):
    environment = {**os.environ, "MINIKERAS_KERNELS": tier, "OPENBLAS_NUM_THREADS": "2"}
    run = subprocess.run(
        [sys.executable, "-c", _TRAINING], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert float(run.stdout) < 1
