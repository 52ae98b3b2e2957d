from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest

import minikeras as mk
from minikeras import Sequential, Tensor, debug, gradients, layers, ops, profile
from minikeras.core import tape
from minikeras.core.primitive import Primitive
from minikeras.debug import counting, profiler
from minikeras.layers import Layer
from minikeras.optimizers import Optimizer


class Clock:
    """A clock that moves on only when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(profiler, "clock", found)
    return found


@pytest.fixture
def slow(clock: Clock):
    """An operation that takes 2 seconds, and 3 in backward."""

    @mk.primitive
    def slow(x):
        clock.pass_(2.0)
        return 2.0 * x

    @slow.backward
    def _(g):
        clock.pass_(3.0)
        return (2.0 * g,)

    return slow


def leaf(*shape: int) -> Tensor:
    return Tensor(np.ones(shape, "float32"), requires_grad=True)


def small_model() -> Sequential:
    model = Sequential(
        [
            layers.Conv2D(4, 3, activation="relu", input_shape=(8, 8, 2), name="conv"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(name="flatten"),
            layers.Dense(3, activation="softmax", name="dense"),
        ]
    )
    model.compile("adam", "categorical_crossentropy")
    return model


def samples(count: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((count, 8, 8, 2), "float32"), np.eye(3, dtype="float32")[rng.integers(0, 3, count)]


def row_of(p: profile, layer: str, operation: str):
    return next(row for row in p.rows if (row.layer, row.operation) == (layer, operation))


# ---------------------------------------------------------------------- times


def test_times_forward_and_backward_are_those_of_the_clock(slow, clock: Clock) -> None:
    with profile() as p:
        y = slow(leaf(3))
        clock.pass_(0.5)
        y.sum().backward()
    row = row_of(p, "–", "slow")
    assert (row.calls, row.backward_calls, row.forward, row.backward, row.time) == (1, 1, 2.0, 3.0, 5.0)
    assert (p.wall, p.other) == (5.5, 0.5)


def test_what_runs_inside_of_a_derivative_is_counted_once(slow, clock: Clock) -> None:
    @mk.primitive
    def outer(x):
        return 1.0 * x

    @outer.backward
    def _(g):
        clock.pass_(1.0)
        return (slow(g),)

    with profile() as p:
        outer(leaf(2)).sum().backward()
    assert [row.operation for row in p.rows] == ["outer", "sum"]
    assert row_of(p, "–", "outer").backward == 3.0  # with the 2 seconds of `slow`
    assert p.wall == 3.0
    assert p.other == 0.0


def test_second_derivatives_are_counted_where_forward_was(slow) -> None:
    class Slow(Layer):
        def call(self, inputs):
            return slow(inputs) ** 2

    x = leaf(2)
    with profile() as p:
        y = Slow(name="mine")(x)
        (g,) = gradients(y.sum(), [x], create_graph=True)
        gradients(g.sum(), [x])
    row = row_of(p, "mine", "slow")
    assert row.backward_calls == 2  # of the gradient, which is 8 x: the derivative of `slow` runs in both
    assert row.backward == 6.0
    assert sum(row.time for row in p.rows) + p.other == pytest.approx(p.wall)


def test_the_table_adds_up_to_the_time_that_passed() -> None:
    model = small_model()
    x, y = samples(64)
    start = time.perf_counter()
    with profile() as p:
        model.fit(x, y, batch_size=16, epochs=2, verbose=0)
    passed = time.perf_counter() - start
    total = sum(row.time for row in p.rows) + p.other
    assert total == pytest.approx(p.wall)
    assert 0.5 * passed < p.wall <= passed


def test_a_profile_that_is_entered_again_goes_on(slow, clock: Clock) -> None:
    p = profile()
    for _ in range(3):
        with p:
            slow(np.ones(2))
        clock.pass_(10.0)
    assert row_of(p, "–", "slow").calls == 3
    assert (p.wall, p.other) == (6.0, 0.0)


# ---------------------------------------------------------------------- calls and layers


def test_the_calls_of_a_training_are_counted_by_layer() -> None:
    model = small_model()
    x, y = samples(8)
    with profile() as p:
        model.fit(x, y, batch_size=4, epochs=3, verbose=0)
    found = {(row.layer, row.operation): (row.calls, row.backward_calls) for row in p.rows}
    assert found["conv", "conv"] == (6, 6)
    assert found["pool", "max_pool"] == (6, 6)
    assert found["dense", "dense"] == (6, 6)
    assert found["(optimizer)", "Adam"] == (6, 0)
    assert not [row for row in p.rows if row.layer == model.name]


def test_prediction_has_no_backward() -> None:
    model = small_model()
    with profile() as p:
        model.predict(samples()[0], batch_size=4)
    assert row_of(p, "conv", "conv").calls == 2
    assert not any(row.backward_calls for row in p.rows)


def test_layers_of_a_model_inside_of_a_model_have_their_own_rows() -> None:
    inner = Sequential([layers.Dense(3, name="deep", input_dim=2)])
    model = Sequential([inner, layers.Dense(1, name="top")])
    model.build((None, 2))
    with profile() as p:
        model(leaf(4, 2)).sum().backward()
    assert {(row.layer, row.backward_calls) for row in p.rows if row.operation == "dense"} == {("deep", 1), ("top", 1)}


def test_a_layer_that_is_frozen_by_itself_stands_there_once() -> None:
    frozen = layers.Dense(2, name="frozen", trainable=False)
    x = np.ones((1, 2), "float32")
    frozen(x)
    with profile() as p:
        frozen(x, training=True)
    assert [event.kind for event in p._logs[0].events] == ["forward", "layer"]


def test_backward_of_what_ran_before_the_block_has_no_layer() -> None:
    y = layers.Dense(2, name="before")(leaf(1, 3)).sum()
    with profile() as p:
        y.backward()
    assert row_of(p, "–", "dense").backward_calls == 1


def test_symbolic_operations_are_no_calls() -> None:
    x = layers.Input((3,))
    with profile() as p:
        ops.tanh(x)
    assert [row.operation for row in p.rows] in ([], ["tanh"])  # tried out on small arrays, to find its shape
    assert all(row.calls == 2 for row in p.rows)


# ---------------------------------------------------------------------- operations per second and memory


@pytest.mark.parametrize("layer", ["Conv1D", "Conv2D", "Conv3D", "Dense", "DepthwiseConv2D", "Conv2DTranspose"])
def test_forward_counts_what_the_layer_says_of_itself(layer: str) -> None:
    rank = 1 if layer in ("Conv1D", "Dense") else 3 if layer == "Conv3D" else 2
    window = () if layer == "Dense" else (3,)
    filters = () if layer == "DepthwiseConv2D" else (4,)
    found = getattr(layers, layer)(*filters, *window, use_bias=False)
    x = np.ones((5, *[6] * rank, 2), "float32")
    output = found(x)
    with profile() as p:
        found(x)
    assert p.flops == 5 * found.flops(x.shape, output.shape) > 0


def test_backward_of_a_convolution_makes_the_forwards_operations_for_each_gradient() -> None:
    layer = layers.Conv2D(4, 3, use_bias=False, name="conv")
    x = leaf(5, 8, 8, 2)
    layer(x)
    with profile() as p:
        layer(x).sum().backward()
    row = row_of(p, "conv", "conv")
    forward = 2 * 5 * 6 * 6 * 4 * 9 * 2  # a multiply-add for each output element and element of its window
    assert (row.forward_flops, row.backward_flops) == (forward, 2 * forward)
    with profile() as p:
        layer(x.numpy()).sum().backward()  # no gradient of the input
    assert row_of(p, "conv", "conv").backward_flops == forward


def test_the_rate_is_operations_by_the_clock(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = ops.matmul.__globals__["_matmul"].forward

    def slow_product(x, y):
        clock.pass_(0.001)
        return forward(x, y)

    monkeypatch.setattr(ops.matmul.__globals__["_matmul"], "forward", slow_product)
    with profile() as p:
        ops.matmul(np.ones((100, 200), "float32"), np.ones((200, 50), "float32"))
    row = row_of(p, "–", "matmul")
    assert row.flops == 2 * 100 * 200 * 50
    assert row.gflops == pytest.approx(2.0)  # two million in a millisecond


def test_layers_say_the_operations_of_what_is_no_product() -> None:
    pool = layers.MaxPooling2D(2, name="pool")
    x = np.ones((3, 8, 8, 5), "float32")
    with profile() as p:
        pool(x)
    assert row_of(p, "pool", "max_pool").flops == 3 * pool.flops(x.shape, (3, 4, 4, 5))


def test_einsum_counts_its_products() -> None:
    x, y = np.ones((2, 3, 4), "float32"), np.ones((2, 4, 5), "float32")
    with profile() as p:
        ops.einsum("bij,bjk->bik", x, y)
    assert p.flops == 2 * 2 * 3 * 4 * 5


def test_of_other_operations_none_are_known() -> None:
    with profile() as p:
        ops.tanh(np.ones(3))
    assert p.rows[0].flops is None
    assert p.rows[0].gflops is None
    assert p.flops == 0
    assert counting.operations_of(ops.exp, (np.ones(3),), {}, (3,)) is None


def test_results_count_their_bytes_and_views_none() -> None:
    x = leaf(4, 6)
    with profile() as p:
        ops.reshape(ops.tanh(x), (24,))
    assert row_of(p, "–", "tanh").nbytes == 4 * 24
    assert row_of(p, "–", "reshape").nbytes == 0


# ---------------------------------------------------------------------- threads, nesting, and together with others


def test_other_threads_are_seen_and_dont_count_as_this_ones_time(slow, clock: Clock) -> None:
    with profile() as p:
        thread = threading.Thread(target=lambda: slow(np.ones(2)), name="helper")
        thread.start()
        thread.join()
    assert row_of(p, "–", "slow").calls == 1
    assert p.wall == p.other == 2.0
    assert "as threads ran side by side" in str(p)
    assert sorted(log.thread[1] for log in p._logs) == sorted([threading.current_thread().name, "helper"])


def test_two_trainings_in_two_threads_are_counted_each_in_full() -> None:
    models = [small_model(), small_model()]
    x, y = samples(16)
    with profile() as p:
        threads = [threading.Thread(target=m.fit, args=(x, y, 4), kwargs={"verbose": 0}) for m in models]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    row = row_of(p, "conv", "conv")
    assert (row.calls, row.backward_calls) == (8, 8)
    assert row_of(p, "(optimizer)", "Adam").calls == 8


def test_what_outlasts_the_block_in_another_thread_is_left_out() -> None:
    begun, go_on = threading.Event(), threading.Event()

    @mk.primitive
    def waiting(x):
        begun.set()
        go_on.wait(10)
        return x + 1

    thread = threading.Thread(target=lambda: waiting(np.ones(1)))
    with profile() as p:
        thread.start()
        begun.wait(10)
    go_on.set()
    thread.join()
    assert p.rows == []


def test_a_profile_inside_of_another_measures_its_part(slow) -> None:
    with profile() as outer:
        slow(np.ones(2))
        with profile() as inner:
            slow(np.ones(2))
    assert (outer.rows[0].calls, inner.rows[0].calls) == (2, 1)
    assert (outer.wall, inner.wall) == (4.0, 2.0)


def test_detect_anomaly_and_a_profile_work_inside_of_one_another(slow) -> None:
    with profile() as p, debug.detect_anomaly(), pytest.raises(debug.AnomalyError, match="'log' made"):
        ops.log(slow(leaf(2)) * 0.0).sum().backward()
    assert [row.operation for row in p.rows] == ["slow", "multiply", "log"]
    with debug.detect_anomaly(), profile() as p:
        slow(leaf(2)).sum().backward()
    assert (p.rows[0].forward, p.rows[0].backward) == (2.0, 3.0)


def test_nothing_stays_where_nobody_looks() -> None:
    before = Primitive.__call__, Primitive.pull_back, tape._walk, Layer._run, Optimizer.apply_gradients
    with profile():
        assert Primitive.__call__ is not before[0]
        with profile(), debug.detect_anomaly():
            pass
        assert Primitive.__call__ is not before[0]
    with pytest.raises(ZeroDivisionError), profile():
        raise ZeroDivisionError
    assert (Primitive.__call__, Primitive.pull_back, tape._walk, Layer._run, Optimizer.apply_gradients) == before


def test_an_operation_that_fails_leaves_no_row_and_the_profile_goes_on() -> None:
    with profile() as p:
        with pytest.raises(ValueError, match="matmul"):
            ops.matmul(np.ones((2, 3)), np.ones((2, 3)))
        ops.tanh(np.ones(2))
    assert [row.operation for row in p.rows] == ["tanh"]


# ---------------------------------------------------------------------- what is shown


def test_the_table_shows_rows_and_what_they_add_up_to(slow, clock: Clock) -> None:
    with profile() as p:
        slow(leaf(2, 3)).sum().backward()
        clock.pass_(1.0)
    assert str(p).splitlines() == [
        "layer           operation  calls     ms  share  forward  backward  GFLOP/s  results",
        "───────────────────────────────────────────────────────────────────────────────────",
        "–               slow           1  5,000    83%    2,000     3,000              48 B",
        "–               sum            1   0.00     0%                                  4 B",
        "other (Python)                    1,000    17%",
        "───────────────────────────────────────────────────────────────────────────────────",
        "6,000 ms in all",
    ]


def test_rows_are_added_up_by_layer_or_by_operation() -> None:
    model = small_model()
    x, y = samples()
    with profile() as p:
        model.train_on_batch(x, y)
    by_layer = {row.layer: row for row in p.sorted(by="layer")}
    assert by_layer["dense"].calls == 2  # the product and softmax
    assert by_layer["dense"].time == pytest.approx(sum(row.time for row in p.rows if row.layer == "dense"))
    by_operation = [row.operation for row in p.sorted(by="operation")]
    assert len(by_operation) == len(set(by_operation))
    assert p.table(by="operation").startswith("operation ")


def test_rows_are_sorted_as_one_asks(slow) -> None:
    with profile() as p:
        for _ in range(3):
            ops.tanh(np.ones(100))
        slow(np.ones(2))
    names = {sort: [row.operation for row in p.sorted(sort)] for sort in ("time", "calls", "memory", "name", "order")}
    assert names == {
        "time": ["slow", "tanh"],
        "calls": ["tanh", "slow"],
        "memory": ["tanh", "slow"],
        "name": ["slow", "tanh"],
        "order": ["tanh", "slow"],
    }


def test_rows_beyond_the_most_are_added_up(slow) -> None:
    with profile() as p:
        slow(np.ones(2))
        ops.tanh(np.ones(2))
        ops.exp(np.ones(2))
    lines = p.table(max_rows=1).splitlines()
    assert lines[3].startswith("… 2 more")
    assert lines[3].split()[3] == "2"


def test_the_dict_is_plain_and_complete() -> None:
    model = small_model()
    with profile() as p:
        model.train_on_batch(*samples())
    found = json.loads(json.dumps(p.to_dict()))
    assert found["wall"] == p.wall
    assert found["flops"] == p.flops
    assert sum(row["time"] for row in found["rows"]) + found["other"] == pytest.approx(found["wall"])
    assert {"layer", "operation", "calls", "forward", "backward", "gflops", "nbytes"} <= found["rows"][0].keys()


def test_the_trace_is_in_the_trace_event_format(tmp_path) -> None:
    model = small_model()
    path = tmp_path / "trace.json"
    with profile() as p:
        model.train_on_batch(*samples())
        thread = threading.Thread(target=model.predict, args=(samples()[0],), name="predicting")
        thread.start()
        thread.join()
    p.export_chrome_trace(path)
    events = json.loads(path.read_text())["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["ph"] == "M"}
    assert "predicting" in names.values()
    complete = [e for e in events if e["ph"] == "X"]
    assert len(complete) + len(names) == len(events)
    for event in complete:
        assert isinstance(event["name"], str)
        assert isinstance(event["pid"], int)
        assert event["tid"] in names
        assert event["ts"] >= 0
        assert event["dur"] >= 0
        assert all(value is not None for value in event["args"].values())
    assert min(event["ts"] for event in complete) == 0


def test_in_the_trace_operations_lie_inside_of_layers_and_derivatives_inside_of_the_walk(tmp_path) -> None:
    model = small_model()
    with profile() as p:
        model.train_on_batch(*samples())
    p.export_chrome_trace(tmp_path / "trace.json")
    events = [e for e in json.loads((tmp_path / "trace.json").read_text())["traceEvents"] if e["ph"] == "X"]

    def the(name: str, kind: str) -> dict:
        return next(e for e in events if (e["name"], e["cat"]) == (name, kind))

    def inside(inner: dict, outer: dict) -> bool:
        return outer["ts"] <= inner["ts"] and inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"] + 1e-3

    assert inside(the("conv", "forward"), the("conv", "layer"))
    assert inside(the("conv", "layer"), the(model.name, "layer"))
    assert inside(the("conv backward", "backward"), the("backward", "walk"))
    assert inside(the("conv_gradients", "forward"), the("conv backward", "backward"))
    assert not inside(the("Adam", "step"), the("backward", "walk"))


def test_events_beyond_the_most_are_counted_but_not_kept() -> None:
    with profile(max_events=2) as p:
        for _ in range(5):
            ops.tanh(np.ones(2))
    assert p.rows[0].calls == 5
    assert len(p._logs[0].events) == 2
    assert p.dropped == 3
    assert "3 events are counted here, but not kept" in str(p)


def test_the_plot_has_a_bar_for_each_row(tmp_path, slow) -> None:
    pytest.importorskip("matplotlib")
    with profile() as p:
        slow(leaf(2)).sum().backward()
        ops.tanh(np.ones(2))
    figure = p.plot(tmp_path / "profile.png")
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["–  slow", "–  sum", "–  tanh", "other (Python)"]
    assert (tmp_path / "profile.png").stat().st_size > 1000
    assert [text.get_text() for text in p.plot(max_rows=1).axes[0].get_yticklabels()][1] == "… 2 more"


def test_an_empty_profile_shows_itself(tmp_path) -> None:
    p = profile()
    assert "other (Python)" in str(p)
    assert repr(p) == "<profile: 0 rows, 0.0 ms>"
    p.export_chrome_trace(tmp_path / "empty.json")
    assert json.loads((tmp_path / "empty.json").read_text())["traceEvents"] == []


# ---------------------------------------------------------------------- wrong calls


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: profile(lambda: 1), TypeError, r"with minikeras.profile\(\) as p"),
        (lambda: profile(max_events=0), ValueError, "max_events must be a positive integer. Received: 0"),
        (lambda: profile().table(sort="size"), ValueError, "sort must be .*'time'.*Received: 'size'"),
        (lambda: profile().table(by="model"), ValueError, "by must be .*'layer'.*Received: 'model'"),
        (lambda: profile().table(max_rows=0), ValueError, "max_rows must be a positive integer"),
        (lambda: profile().sorted("size"), ValueError, "sort must be"),
    ],
)
def test_wrong_calls_say_what_was_expected(call, error, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_running_profile_isnt_entered_again() -> None:
    p = profile()
    with p, pytest.raises(RuntimeError, match="running already"), p:
        pass
    assert Primitive.__call__.__name__ == "__call__"
