"""What a layer does that training leaves alone, wherever it stands, and when this is said."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from minikeras import Model, Sequential
from minikeras import backend as K
from minikeras.layers import BatchNormalization, Dense, Input, Layer, TimeDistributed

RNG = np.random.default_rng(7)
X = RNG.normal(3.0, 2.0, (16, 4)).astype(np.float32)
Y = RNG.normal(size=(16, 2)).astype(np.float32)
STEPS = X.reshape(4, 4, 4)


class Counter(Layer):
    """Counts its calls in training, by a pair and by a function."""

    def build(self, input_shape):
        self.pairs = self.add_weight("pairs", (), initializer="zeros", trainable=False)
        self.functions = self.add_weight("functions", (), initializer="zeros", trainable=False)
        self.add_update(lambda: self.functions.assign(self.functions.numpy() + 1))
        super().build(input_shape)

    def call(self, inputs):
        self.add_update(K.update_add(self.pairs, 1.0))
        return inputs

    def counts(self):
        """The two counts."""
        return [int(self.pairs.numpy()), int(self.functions.numpy())]


class Block(Layer):
    """Batch normalization inside of a layer of one's own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm = BatchNormalization()

    def call(self, inputs):
        return self.norm(inputs)


def sequential(*layers):
    """A model of these layers and a Dense one."""
    return Sequential([*layers, Dense(2)])


def train(model, x=X, y=Y):
    """Compile, and take one step with all samples."""
    model.compile("sgd", "mse")
    model.fit(x, y, batch_size=16, verbose=0)


def moving_mean(layer):
    """What a BatchNormalization keeps."""
    return layer.moving_mean.numpy().copy()


def test_a_frozen_layer_makes_no_updates_and_goes_on_with_them_when_it_is_free_again():
    counter = Counter(input_shape=(4,))
    model = sequential(counter)
    seen = []
    for trainable in (True, False, True):
        counter.trainable = trainable
        train(model)
        seen.append(counter.counts())
    assert seen == [[1, 1], [1, 1], [2, 2]]


def test_a_frozen_model_makes_no_updates_of_its_layers():
    counter = Counter()
    inner = Sequential([counter])
    inner.build((None, 4))
    inner.trainable = False
    train(sequential(inner))
    assert counter.counts() == [0, 0]
    assert inner.updates == [] == inner.get_updates_for(None)
    inner.trainable = True
    assert len(inner.get_updates_for(None)) == 1  # the function
    assert [variable for variable, _ in inner.get_updates_for(inner.input)] == [counter.pairs]
    assert len(inner.updates) == 2


def test_a_stateful_layer_makes_its_updates_also_when_it_is_frozen():
    counter = Counter(input_shape=(4,), trainable=False)
    counter.stateful = True
    model = sequential(counter)
    train(model)
    assert counter.counts() == [1, 1]  # none in the trials that find its shape
    assert model.stateful
    assert len(model.state_updates) == 2  # the function and the pair


def test_freezing_counts_from_the_next_compile_on():
    counter = Counter(input_shape=(4,))
    model = sequential(counter)
    train(model)
    counter.trainable = False
    model.fit(X, Y, batch_size=16, verbose=0)
    assert counter.counts() == [2, 2]
    model.compile("sgd", "mse")
    model.fit(X, Y, batch_size=16, verbose=0)
    assert counter.counts() == [2, 2]


def wrapped(norm):
    """Wrapped for steps."""
    return TimeDistributed(norm), STEPS, Y[:16].reshape(4, 4, 2)[..., :2]


def in_sequential(norm):
    """Inside of a Sequential."""
    return Sequential([norm]), X, Y


def in_a_model_in_a_model(norm):
    """Two models deep."""
    inner_input, outer_input = Input((4,)), Input((4,))
    inner = Model(inner_input, norm(inner_input))
    return Model(outer_input, inner(outer_input)), X, Y


def in_a_layer(norm):
    """Inside of a layer of one's own."""
    block = Block()
    block.norm = norm
    return block, X, Y


PLACES = [wrapped, in_sequential, in_a_model_in_a_model, in_a_layer]


@pytest.mark.parametrize("place", PLACES)
def test_batch_normalization_in_something_frozen_uses_its_moving_statistics(place):
    norm = BatchNormalization(momentum=0.5)
    outer, x, y = place(norm)
    model = sequential(outer)
    model.build(x.shape)
    outer.trainable = False
    train(model, x, y)
    assert np.array_equal(moving_mean(norm), np.zeros(4))
    # outside of any model too
    assert outer(x, training=True).numpy() == pytest.approx(x / np.sqrt(1.001), rel=1e-5)
    outer.trainable = True
    train(model, x, y)
    assert moving_mean(norm) == pytest.approx(X.mean(axis=0) * 0.5, rel=1e-5)


@pytest.mark.parametrize("place", PLACES)
def test_a_frozen_model_trains_nothing_at_all_and_toggles_back(place):
    norm = BatchNormalization(momentum=0.5)
    outer, x, y = place(norm)
    model = sequential(outer)
    model.build(x.shape)
    before = model.get_weights()
    model.trainable = False
    assert model.trainable_weights == []
    assert len(model.non_trainable_weights) == 6
    train(model, x, y)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    model.trainable = True
    assert len(model.trainable_weights) == 4
    train(model, x, y)
    assert not any(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_of_a_compiled_model_has_the_same_layers_frozen(copied):
    norm = BatchNormalization(momentum=0.5, trainable=False, input_shape=(4,))
    model = sequential(norm)
    train(model)
    other = copied(model)
    other.fit(X, Y, batch_size=16, verbose=0)
    model.fit(X, Y, batch_size=16, verbose=0)
    assert np.array_equal(moving_mean(other.layers[0]), np.zeros(4))
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), other.get_weights(), strict=True))


def test_a_wrapper_hands_trainable_on_and_keeps_that_of_its_layer_unless_told():
    frozen = TimeDistributed(Dense(3, trainable=False))
    told = TimeDistributed(Dense(3), trainable=False)
    assert [frozen.trainable, told.layer.trainable] == [False, False]
    frozen.trainable = True
    assert frozen.layer.trainable
    again = TimeDistributed.from_config(told.get_config())
    assert [again.trainable, again.layer.trainable] == [False, False]
    with pytest.raises(TypeError, match=r"trainable must be True or False\. Received: 'no'"):
        TimeDistributed(Dense(3), trainable="no")
