from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from minikeras import Input, layers, set_seed
from minikeras import backend as K

SHAPE = (200, 500)
DRAWS = [K.random_normal, K.random_uniform, partial(K.random_binomial, p=0.5), K.truncated_normal]


@pytest.fixture(autouse=True)
def _fresh_session() -> Iterator[None]:
    K.clear_session()
    yield
    K.clear_session()


def moments(x: object) -> tuple[float, float]:
    values = K.eval(x)
    return float(values.mean()), float(values.std())


def test_distributions_have_the_moments_that_are_asked_for() -> None:
    # Of 100000 numbers the mean is off by about 0.3 percent of the deviation.
    assert moments(K.random_normal(SHAPE)) == pytest.approx((0, 1), abs=0.02)
    assert moments(K.random_normal(SHAPE, 3.0, 0.5)) == pytest.approx((3, 0.5), abs=0.02)
    assert moments(K.random_uniform(SHAPE)) == pytest.approx((0.5, 12**-0.5), abs=0.02)
    assert moments(K.random_uniform(SHAPE, -1.0, 3.0)) == pytest.approx((1, 4 / 12**0.5), abs=0.03)
    assert moments(K.random_binomial(SHAPE, 0.2)) == pytest.approx((0.2, 0.4), abs=0.02)
    assert moments(K.truncated_normal(SHAPE, 1.0, 2.0)) == pytest.approx((1, 2 * 0.8796), abs=0.03)
    assert moments(K.random_normal_variable(SHAPE, 3.0, 0.5)) == pytest.approx((3, 0.5), abs=0.02)
    assert moments(K.random_uniform_variable(SHAPE, 0, 2)) == pytest.approx((1, 2 / 12**0.5), abs=0.02)


def test_limits_hold() -> None:
    assert np.abs(K.eval(K.truncated_normal(SHAPE))).max() <= 2.0
    values = K.eval(K.random_uniform(SHAPE, -1, 2))
    assert -1.0 <= values.min() < -0.99
    assert 1.99 < values.max() < 2.0
    assert set(np.unique(K.eval(K.random_binomial(SHAPE, 0.5)))) == {0.0, 1.0}
    assert set(np.unique(K.eval(K.random_uniform(SHAPE, 0, 3, dtype="int32")))) == {0, 1, 2}


@pytest.mark.parametrize("draw", DRAWS)
def test_numbers_are_new_unless_the_seed_is_the_same(draw: partial) -> None:
    def drawn(**keywords: object) -> list:
        return K.eval(draw((20,), **keywords)).tolist()

    assert drawn() != drawn()
    assert drawn(seed=3) != drawn(seed=3)  # the stream goes on
    K.clear_session()
    first = drawn(seed=3)
    K.clear_session()
    assert drawn(seed=3) == first
    assert drawn(seed=4) != first
    set_seed(1)
    one = drawn()
    set_seed(1)
    assert drawn() == one


@pytest.mark.parametrize("draw", DRAWS)
def test_types_and_shapes_are_as_asked_for(draw: partial) -> None:
    x = draw((2, 3))
    assert (K.dtype(x), K.int_shape(x)) == ("float32", (2, 3))
    assert K.dtype(draw((2, 3), dtype="float64")) == "float64"
    assert K.int_shape(draw(K.shape(x))) == (2, 3)
    assert K.int_shape(draw(())) == ()


@pytest.mark.parametrize("draw", DRAWS)
def test_recorded_draws_are_new_whenever_they_are_replayed(draw: partial) -> None:
    x = K.placeholder((None, 4))
    noise = draw((K.shape(x)[0], 50))
    assert K.int_shape(noise) == (None, 50)
    f = K.function([x], [noise])
    one, two = f([np.zeros((3, 4))])[0], f([np.zeros((3, 4))])[0]
    assert one.shape == two.shape == (3, 50)
    assert (one != two).any()


def test_the_reparameterisation_of_an_autoencoder_has_its_gradient() -> None:
    mean, log_variance = Input((5,)), Input((5,))
    noise = K.random_normal(shape=(K.shape(mean)[0], 5))
    z = mean + K.exp(log_variance / 2.0) * noise
    assert K.int_shape(z) == (None, 5)
    grads = K.gradients(z, [mean, log_variance])
    sample, e, dm, dv = K.function([mean, log_variance], [z, noise, *grads])([np.ones((2, 5)), np.zeros((2, 5))])
    np.testing.assert_allclose(sample, 1 + e, rtol=1e-6)
    np.testing.assert_allclose(dm, np.ones((2, 5)))
    np.testing.assert_allclose(dv, e / 2, rtol=1e-6)


def test_variables_of_random_numbers_have_their_type_and_name() -> None:
    x = K.random_uniform_variable((2,), 0, 1, dtype="float64", name="x", seed=1)
    assert (K.dtype(x), x.name, x.trainable) == ("float64", "x", True)
    y = K.random_normal_variable((2,), 0, 1, name="y", seed=1)
    assert (K.dtype(y), y.name, y.trainable) == ("float32", "y", True)


# ---------------------------------------------------------------------- dropout


def test_dropout_keeps_the_mean_and_drops_the_share() -> None:
    x = K.variable(np.ones(SHAPE))
    y = K.dropout(x, 0.2)
    values = K.eval(y)
    np.testing.assert_allclose(np.unique(values), [0.0, 1.25])
    assert (values == 0).mean() == pytest.approx(0.2, abs=0.01)
    assert np.array_equal(K.gradients(y, x)[0].numpy(), values)


def test_dropout_of_nothing_changes_nothing() -> None:
    assert K.dropout(np.array([1.0, 2.0]), 0.0).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("noise_shape", [(4, 1, 100), (None, 1, None), (1, 100)])
def test_dropout_chooses_alike_where_the_noise_has_one_element(noise_shape: tuple) -> None:
    x = np.ones((4, 7, 100)) if len(noise_shape) == 3 else np.ones((7, 100))
    values = K.eval(K.dropout(x, 0.5, noise_shape))
    assert (values == values.mean(axis=-2, keepdims=True)).all()
    assert len(np.unique(values)) == 2


def test_recorded_dropout_is_new_each_time_also_with_a_seed() -> None:
    x = Input((200,))
    y = K.dropout(x, 0.5, seed=7)
    f = K.function([x], [y])
    one, two = f([np.ones((1, 200))])[0], f([np.ones((1, 200))])[0]
    assert set(np.unique(one)) == {0.0, 2.0}
    assert (one != two).any()


def test_a_layer_that_gives_its_seed_at_each_call_has_new_numbers() -> None:
    class Noise(layers.Layer):
        def call(self, inputs: object) -> object:
            return inputs + K.random_normal(K.shape(inputs), seed=1)

    noise = Noise()
    assert (noise(np.zeros((1, 3))).numpy() != noise(np.zeros((1, 3))).numpy()).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: K.dropout(np.ones(3), 1.0), ValueError, "dropout: level must be at least 0 and less than 1"),
        (lambda: K.dropout(np.ones((2, 3)), 0.5, (2,)), ValueError, "dropout: noise_shape must have 2 sizes"),
        (lambda: K.random_normal((2.5,)), TypeError, "random_normal: shape must be integers"),
        (lambda: K.random_uniform("ab"), TypeError, "random_uniform: shape must be integers"),
        (lambda: K.random_normal((2,), seed=-1), ValueError, "seed must be a non-negative integer"),
        (lambda: K.random_normal((2,), seed="a"), TypeError, "seed must be a non-negative integer"),
    ],
)
def test_wrong_arguments_are_named(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
