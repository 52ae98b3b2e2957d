"""Optimizers: the paths of Keras 2.2.4, clipping, decay, constraints, state, settings and messages."""

from __future__ import annotations

import copy
import json
import math
import pickle
import tracemalloc

import numpy as np
import pytest

from minikeras import Parameter, Tensor, config, constraints, kernels, optimizers
from minikeras.optimizers import SGD, Adadelta, Adagrad, Adam, Adamax, Nadam, RMSprop
from minikeras.optimizers.hyperparameter import Hyperparameter
from tests.functions import assert_close, reference, reference_names

CASES = reference_names("opt")
ALL = [SGD, RMSprop, Adagrad, Adadelta, Adam, Adamax, Nadam]
EVERY_KIND = [*[cls() for cls in ALL], SGD(momentum=0.9), SGD(momentum=0.9, nesterov=True), Adam(amsgrad=True)]


def kind_of(value):
    """What the value is called in the name of a test: the same in every process, unlike its address."""
    return type(value).__name__ if isinstance(value, optimizers.Optimizer) else str(value)


def fresh(optimizer):
    return optimizers.deserialize(optimizers.serialize(optimizer))


def quadratic_path(optimizer, dtype, steps=12):
    """The parameter after each step of minimising ``sum((A w - b)**2)``."""
    a, b = reference()["opt/A"].astype(dtype), reference()["opt/b"].astype(dtype)
    w = Parameter(reference()["opt/w0"].astype(dtype))
    path = []
    for _ in range(steps):
        optimizer.apply_gradients([2 * a.T @ (a @ w.numpy() - b)], [w])
        path.append(w.numpy().copy())
    return np.array(path)


# ---------------------------------------------------------------------- the numbers


def test_the_reference_covers_all_optimizers():
    assert {case.split("/")[0] for case in CASES} == {name for name in optimizers.registry if name != "ScipyOptimizer"}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_the_path_is_that_of_keras(case, dtype):
    name, kwargs = case.split("/")
    path = quadratic_path(optimizers.deserialize({"class_name": name, "config": json.loads(kwargs)}), dtype)
    assert path.dtype == dtype
    assert_close(path, reference()[f"opt/{case}"])


@pytest.mark.parametrize("optimizer", EVERY_KIND, ids=kind_of)
def test_a_parameter_of_many_blocks_goes_as_each_of_its_elements(optimizer):
    rng = np.random.default_rng(0)
    length = kernels.step_length()
    size, places = 2 * length + 5, [0, length - 1, length, -1]
    start, grads = rng.normal(size=size), rng.normal(size=(3, size))
    whole, ends = (
        Parameter(start.copy()),
        Parameter(start[places].copy()),
    )
    together, alone = fresh(optimizer), fresh(optimizer)
    for g in grads:
        together.apply_gradients([g], [whole])
        alone.apply_gradients([g[places]], [ends])
    np.testing.assert_allclose(whole.numpy()[places], ends.numpy(), rtol=1e-13)


@pytest.mark.parametrize("optimizer", EVERY_KIND, ids=kind_of)
def test_shape_and_layout_of_a_parameter_make_no_difference(optimizer):
    rng = np.random.default_rng(0)
    values, g = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    flat, fortran = Parameter(values.ravel().copy()), Parameter(np.asfortranarray(values))
    memory = fortran.data
    scalar = Parameter(values[0, 0])
    fresh(optimizer).apply_gradients([g.ravel(), np.asfortranarray(g), g[0, 0]], [flat, fortran, scalar])
    np.testing.assert_array_equal(fortran.numpy(), flat.numpy().reshape(3, 4))
    assert fortran.data is memory
    assert scalar.numpy() == flat.numpy()[0]


@pytest.mark.parametrize("optimizer", EVERY_KIND, ids=kind_of)
def test_gradients_are_left_alone_and_versions_rise(optimizer):
    w, g = Parameter(np.ones(4)), np.full(4, 10.0)
    optimizer = fresh(optimizer)
    optimizer.clipnorm, optimizer.clipvalue = 1.0, 0.1
    optimizer.apply_gradients([g], [w])
    np.testing.assert_array_equal(g, 10.0)
    assert w.version == 1
    assert not np.array_equal(w.numpy(), np.ones(4))


def test_gradients_may_be_tensors_and_of_another_dtype():
    w = Parameter(np.ones(2, np.float32))
    SGD(lr=0.5).apply_gradients([Tensor(np.array([1.0, 2.0]))], [w])
    assert w.dtype == np.float32
    np.testing.assert_array_equal(w.numpy(), [0.5, 0.0])


@pytest.mark.parametrize("optimizer", EVERY_KIND, ids=kind_of)
def test_a_step_allocates_little_once_the_state_is_there(optimizer):
    w, g = Parameter(np.ones(50 * kernels.step_length(), np.float32)), np.ones(50 * kernels.step_length(), np.float32)
    optimizer = fresh(optimizer)
    optimizer.apply_gradients([g], [w])
    tracemalloc.start()
    optimizer.apply_gradients([g], [w])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * kernels.step_length() * 4 * config.num_threads()


# ---------------------------------------------------------------------- clipping, decay, constraints


def test_clipnorm_is_by_the_norm_of_all_gradients_together():
    first, second = Parameter(np.zeros(1)), Parameter(np.zeros(1))
    SGD(lr=1.0, clipnorm=1.0).apply_gradients([np.array([3.0]), np.array([4.0])], [first, second])
    np.testing.assert_allclose([first.numpy()[0], second.numpy()[0]], [-0.6, -0.8])


def test_gradients_below_the_limits_are_not_scaled():
    w = Parameter(np.zeros(2))
    SGD(lr=1.0, clipnorm=10.0, clipvalue=5.0).apply_gradients([np.array([3.0, 4.0])], [w])
    np.testing.assert_array_equal(w.numpy(), [-3.0, -4.0])


def test_clipvalue_comes_after_clipnorm():
    w = Parameter(np.zeros(2))
    SGD(lr=1.0, clipnorm=1.0, clipvalue=0.7).apply_gradients([np.array([3.0, -4.0])], [w])
    np.testing.assert_allclose(w.numpy(), [-0.6, 0.7])


def test_decay_counts_the_steps_before():
    w, rates = Parameter(np.zeros(1)), []
    optimizer = SGD(lr=1.0, decay=0.5)
    for _ in range(3):
        before = w.item()
        optimizer.apply_gradients([np.ones(1)], [w])
        rates.append(before - w.item())
    np.testing.assert_allclose(rates, [1, 1 / 1.5, 1 / 2])


def test_constraints_are_applied_after_the_update_and_off_the_tape():
    w = Parameter(np.array([1.0, 1.0]), constraint=constraints.NonNeg())
    free = Parameter(np.array([1.0]))
    SGD(lr=1.0).apply_gradients([np.array([2.0, 0.5]), np.array([2.0])], [w, free])
    np.testing.assert_array_equal(w.numpy(), [0.0, 0.5])
    assert w.node is None
    assert free.item() == -1.0


# ---------------------------------------------------------------------- state


@pytest.mark.parametrize("optimizer", EVERY_KIND, ids=kind_of)
def test_a_path_goes_on_where_the_saved_state_left_it(optimizer):
    full = quadratic_path(fresh(optimizer), "float64")
    first = fresh(optimizer)
    half = quadratic_path(first, "float64", steps=5)
    second, w = fresh(first), Parameter(half[-1].copy())
    second.build([w])
    second.set_weights(first.get_weights())
    second.iterations = first.iterations
    a, b = reference()["opt/A"], reference()["opt/b"]
    for expected in full[5:]:
        second.apply_gradients([2 * a.T @ (a @ w.numpy() - b)], [w])
        np.testing.assert_allclose(w.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("optimizer", "shapes"),
    [
        (SGD(), [(), (2, 3), (3,)]),
        (RMSprop(), [(2, 3), (3,)]),
        (Adagrad(), [(2, 3), (3,)]),
        (Adadelta(), [(2, 3), (3,), (2, 3), (3,)]),
        (Adam(), [(), (2, 3), (3,), (2, 3), (3,), (1,), (1,)]),
        (Adam(amsgrad=True), [(), (2, 3), (3,), (2, 3), (3,), (2, 3), (3,)]),
        (Adamax(), [(), (2, 3), (3,), (2, 3), (3,)]),
        (Nadam(), [(), (2, 3), (3,), (2, 3), (3,)]),
    ],
    ids=kind_of,
)
def test_the_state_is_in_the_order_of_keras(optimizer, shapes):
    params = [Parameter(np.zeros((2, 3), np.float32)), Parameter(np.zeros(3, np.float32))]
    assert optimizer.get_weights() == []
    optimizer.apply_gradients([np.ones((2, 3)), np.ones(3)], params)
    state = optimizer.get_weights()
    assert [array.shape for array in state] == shapes
    if shapes[0] == ():
        assert state[0].dtype == np.int64
        assert state.pop(0) == 1
    assert all(array.dtype == np.float32 for array in state)


def test_each_parameter_keeps_its_state_when_others_come_along():
    one, two = Parameter(np.zeros(1)), Parameter(np.zeros(1))
    optimizer = SGD(lr=1.0, momentum=0.5)
    for params in ([one], [two], [one]):
        optimizer.apply_gradients([np.ones(1)], params)
    assert one.item() == -2.5  # -1, then -(1 + 0.5)
    assert two.item() == -1.0
    assert optimizer.iterations == 3


def test_a_frozen_step_count_of_nadam_follows_from_iterations():
    one, other = Nadam(), Nadam()
    w, v = Parameter(np.ones(1)), Parameter(np.ones(1))
    for _ in range(4):
        one.apply_gradients([np.ones(1)], [w])
    other.build([v])
    other.set_weights(one.get_weights())
    v.assign(w)
    one.apply_gradients([np.ones(1)], [w])
    other.apply_gradients([np.ones(1)], [v])
    assert v.item() == pytest.approx(w.item(), rel=1e-14)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
@pytest.mark.parametrize("optimizer", EVERY_KIND, ids=kind_of)
def test_a_copy_or_a_pickle_goes_on_by_itself(optimizer, duplicate):
    optimizer, w = fresh(optimizer), Parameter(np.ones(3))
    optimizer.apply_gradients([np.ones(3)], [w])
    other, v = duplicate((optimizer, w))
    for _ in range(2):
        other.apply_gradients([np.ones(3)], [v])
    assert optimizer.iterations == 1
    for _ in range(2):
        optimizer.apply_gradients([np.ones(3)], [w])
    np.testing.assert_array_equal(v.numpy(), w.numpy())


# ---------------------------------------------------------------------- settings and configurations


@pytest.mark.parametrize(
    ("cls", "defaults"),
    [
        (SGD, {"lr": 0.01, "momentum": 0.0, "decay": 0.0, "nesterov": False}),
        (RMSprop, {"lr": 0.001, "rho": 0.9, "epsilon": 1e-7, "decay": 0.0}),
        (Adagrad, {"lr": 0.01, "epsilon": 1e-7, "decay": 0.0}),
        (Adadelta, {"lr": 1.0, "rho": 0.95, "epsilon": 1e-7, "decay": 0.0}),
        (Adam, {"lr": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "decay": 0.0, "amsgrad": False}),
        (Adamax, {"lr": 0.002, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "decay": 0.0}),
        (Nadam, {"lr": 0.002, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "schedule_decay": 0.004}),
    ],
)
def test_arguments_and_defaults_are_those_of_keras(cls, defaults):
    assert cls().get_config() == defaults
    assert all(type(value) in (float, bool) for value in cls().get_config().values())
    assert cls(*defaults.values()).get_config() == defaults
    for name in (cls.__name__, cls.__name__.lower(), cls.__name__.upper()):
        assert type(optimizers.get(name)) is cls
    assert getattr(optimizers, cls.__name__.lower()) is cls


def test_a_configuration_round_trips_with_clipping_and_as_files_have_it():
    optimizer = Adam(learning_rate=0.5, clipnorm=1, clipvalue=0.5, amsgrad=1.0)
    config = json.loads(json.dumps(optimizers.serialize(optimizer)))
    again = optimizers.get(config)
    assert again.get_config() == optimizer.get_config()
    assert (again.lr, again.clipnorm, again.clipvalue, again.amsgrad) == (0.5, 1.0, 0.5, True)
    assert Adam(amsgrad=np.array(1)).amsgrad is True
    assert optimizers.get(optimizer) is optimizer


def test_epsilon_is_the_configured_one_at_construction():
    with config.scope(epsilon=1e-3):
        optimizer = Adam()
    assert optimizer.epsilon == 1e-3
    assert Adam(epsilon=0.1).epsilon == 0.1


def test_settings_are_read_and_set_in_every_way_of_keras():
    optimizer = SGD(lr=0.1)
    optimizer.lr = np.float32(0.5)
    assert optimizer.lr == optimizer.learning_rate == 0.5
    optimizer.learning_rate = np.array(0.25)
    optimizer.lr *= 2
    assert float(optimizer.lr) == 0.5
    optimizer.lr.assign(0.125)  # what K.set_value(optimizer.lr, 0.125) needs
    assert f"{optimizer.lr:.3f}" == "0.125"
    optimizer.momentum = 0.9
    assert json.dumps({"lr": optimizer.lr, "momentum": optimizer.momentum}) == '{"lr": 0.125, "momentum": 0.9}'
    assert type(pickle.loads(pickle.dumps(optimizer.lr))) is float
    assert repr(optimizer.lr) == "0.125"


def test_settings_are_declared_on_the_class():
    assert isinstance(SGD.momentum, Hyperparameter)


def test_a_change_of_the_rate_counts_from_the_next_step():
    w, optimizer = Parameter(np.zeros(1)), SGD(lr=1.0)
    optimizer.apply_gradients([np.ones(1)], [w])
    optimizer.lr = 0.1
    optimizer.apply_gradients([np.ones(1)], [w])
    assert w.item() == pytest.approx(-1.1)


def test_an_optimizer_of_ones_own_needs_only_its_rule():
    class SignDescent(optimizers.Optimizer):
        def __init__(self, lr=0.1, **kwargs):
            super().__init__(lr, **kwargs)

        def rule(self, rate, step):
            def update(p, g, scratch):
                p -= rate * np.sign(g)

            return update

    w, optimizer = Parameter(np.zeros(2)), SignDescent(clipvalue=1.0)
    optimizer.apply_gradients([np.array([5.0, -0.1])], [w])
    np.testing.assert_allclose(w.numpy(), [-0.1, 0.1])
    assert optimizer.get_config() == {"lr": 0.1, "clipvalue": 1.0}


def _built(optimizer):
    optimizer.build([Parameter(np.zeros(2), name="dense/kernel")])
    return optimizer


def _apply(grads):
    SGD().apply_gradients(grads, [Parameter(np.zeros(2), name="dense/kernel")])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: optimizers.get("admm"), ValueError, "Unknown optimizer: 'admm'. Did you mean"),
        (lambda: optimizers.get(None), ValueError, "Cannot interpret the optimizer: .*an instance of Optimizer"),
        (lambda: optimizers.get(len), ValueError, "Cannot interpret the optimizer: .*built-in function len"),
        (lambda: SGD(lr=-0.1), ValueError, r"SGD: lr must be a number in \[0, inf\). Received: -0.1"),
        (lambda: SGD(lr="0.1"), TypeError, r"SGD: lr must be a number in \[0, inf\). Received: '0.1'"),
        (lambda: SGD(lr=True), TypeError, "SGD: lr must be a number.*Received: True"),
        (lambda: SGD(momentum=1.5), ValueError, r"SGD: momentum must be a number in \[0, 1\]. Received: 1.5"),
        (lambda: SGD(nesterov="yes"), TypeError, "SGD: nesterov must be True or False. Received: 'yes'"),
        (lambda: SGD(momentun=0.9), TypeError, "SGD: unknown argument 'momentun'. Did you mean 'momentum'"),
        (lambda: SGD(clipnorm=-1), ValueError, r"SGD: clipnorm must be a number in \[0, inf\)"),
        (lambda: Adam(beta_1=1.0), ValueError, r"Adam: beta_1 must be a number in \[0, 1\). Received: 1.0"),
        (lambda: Adam(epsilon=float("nan")), ValueError, "Adam: epsilon must be .*Received: nan"),
        (
            lambda: Nadam(decay=0.1),
            TypeError,
            "Nadam: unknown argument 'decay'. It takes lr, beta_1, .*, learning_rate",
        ),
        (lambda: RMSprop(rho=2), ValueError, r"RMSprop: rho must be a number in \[0, 1\]"),
        (lambda: setattr(Adam(), "lr", None), TypeError, "Adam: lr must be a number.*Received: None"),
        (lambda: setattr(Adam(), "iterations", 1.5), ValueError, "Adam: iterations must be an integer.*1.5"),
        (lambda: _apply([None]), ValueError, "SGD: the parameter 'dense/kernel' has no gradient"),
        (lambda: _apply([]), ValueError, "SGD: expected a gradient for each of 1 parameters. Received: 0"),
        (lambda: _apply([np.zeros((2, 1))]), ValueError, r"'dense/kernel' must have its shape \(2,\).*\(2, 1\)"),
        (lambda: SGD().set_weights([1]), ValueError, r"SGD: expected 0 arrays .*Call build\(params\) first"),
        (lambda: _built(SGD()).set_weights([1]), ValueError, r"SGD: expected 2 arrays of the shapes \[\(\), \(2,\)\]"),
        (lambda: optimizers.Optimizer(0.1).rule(0.1, 1), NotImplementedError, "Optimizer must define rule"),
    ],
)
def test_a_wrong_call_names_optimizer_argument_and_what_was_expected(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("kind", EVERY_KIND, ids=kind_of)
def test_parameters_updated_together_move_as_each_would_alone(kind):
    rng = np.random.default_rng(0)
    shapes = [(3, 4), (), (5,), (70, 70), (2, 2, 2), (60, 60), (60, 60), (60, 60), (60, 60)]  # small, large, many small
    values = [rng.normal(size=shape).astype("float32") for shape in shapes]
    steps = [[rng.normal(size=shape).astype("float32") for shape in shapes] for _ in range(3)]
    together = [Parameter(value.copy()) for value in values]
    optimizer = fresh(kind)
    for i, grads in enumerate(steps):
        optimizer.apply_gradients(grads, together)
        if i == 1:
            optimizer = copy.deepcopy({"optimizer": optimizer, "parameters": together})
            optimizer, together = optimizer["optimizer"], optimizer["parameters"]
    for i, value in enumerate(values):
        alone, own = Parameter(value.copy()), fresh(kind)
        for grads in steps:
            own.apply_gradients([grads[i]], [alone])
        np.testing.assert_array_equal(together[i].numpy(), alone.numpy())
        for joint, single in zip(optimizer._state[together[i]], own._state[alone], strict=True):
            np.testing.assert_array_equal(joint, single)


def test_parameters_that_come_and_go_keep_their_state():
    first, second, third = (Parameter(np.ones(size, "float32")) for size in (2, 3, 4))
    reference = Parameter(np.ones(2, "float32"))
    optimizer, alone = optimizers.Adam(), optimizers.Adam()
    for params in ([first, second], [first, third], [third, first, second], [first, first]):
        optimizer.apply_gradients([np.ones(param.shape, "float32") for param in params], params)
    for count in (1, 1, 1, 2):
        alone.apply_gradients([np.ones(2, "float32")] * count, [reference] * count)
    np.testing.assert_array_equal(first.numpy(), reference.numpy())


# ---------------------------------------------------------------------- as Keras 3 has it


def test_each_gradient_is_limited_by_itself_where_that_is_asked_for():
    params = [Parameter(np.zeros(2)), Parameter(np.zeros(1))]
    SGD(lr=1.0, weight_clipnorm=1.0).apply_gradients([np.array([3.0, -4.0]), np.array([0.5])], params)
    np.testing.assert_allclose(params[0].numpy(), [-0.6, 0.8], rtol=1e-15)
    np.testing.assert_array_equal(params[1].numpy(), [-0.5])
    assert SGD(weight_clipnorm=1.0).get_config()["weight_clipnorm"] == 1.0


@pytest.mark.parametrize(("cls", "kept", "taken"), [(RMSprop, 0.9, 0.1), (Adagrad, 1.0, 1.0)])
def test_epsilon_may_stand_in_the_root(cls, kept, taken):
    w, a, value = Parameter(np.ones(1)), 0.0, 1.0
    optimizer = cls(lr=0.1, epsilon=1e-2, epsilon_in_root=True)
    for g in (0.3, -0.02, 0.001):
        optimizer.apply_gradients([np.array([g])], [w])
        a = kept * a + taken * g * g
        value -= 0.1 * g / math.sqrt(a + 1e-2)
        np.testing.assert_allclose(w.numpy(), [value], rtol=1e-14)
    assert cls.from_config(optimizer.get_config()).epsilon_in_root is True


def test_adagrads_sums_may_begin_with_a_number():
    w = Parameter(np.ones(1))
    optimizer = Adagrad(lr=0.1, epsilon=0.0, initial_accumulator=0.25)
    optimizer.apply_gradients([np.array([1.0])], [w])
    np.testing.assert_allclose(w.numpy(), [1 - 0.1 / math.sqrt(1.25)], rtol=1e-15)


@pytest.mark.parametrize("arguments", [{"epsilon_in_root": "x"}, {"initial_accumulator": -1}, {"weight_clipnorm": "x"}])
def test_what_keras_3_has_is_checked_too(arguments):
    with pytest.raises((TypeError, ValueError), match=f"Adagrad: {next(iter(arguments))} must be"):
        Adagrad(**arguments)
