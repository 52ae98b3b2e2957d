"""Layer: building, weights, names, configuration, the call context, shapes and wrong calls."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minikeras import Sequential, ops
from minikeras.core import config
from minikeras.core.symbolic import SymbolicTensor
from minikeras.core.tensor import Tensor
from minikeras.layers import Add, Conv2D, Dense, Input, Layer
from minikeras.layers.base import InputSpec, call_context, in_training, reset_names


class Scale(Layer):
    """Keras 2's way of writing a layer: build, add_weight, call, and no compute_output_shape."""

    def __init__(self, offset=0.0, **kwargs):
        super().__init__(**kwargs)
        self.offset = offset

    def build(self, input_shape):
        self.factor = self.add_weight(name="factor", shape=(input_shape[-1],), initializer="ones", trainable=True)
        super().build(input_shape)

    def call(self, inputs):
        return inputs * self.factor + self.offset


class Twice(Layer):
    """A layer of layers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = Scale()
        self.rest = [Scale(), Scale()]

    def build(self, input_shape):
        self.bias = self.add_weight("bias", (input_shape[-1],), initializer="zeros")
        self.count = self.add_weight("count", (), initializer="zeros", trainable=False)
        self.built = True

    def call(self, inputs):
        x = self.first(inputs)
        for layer in self.rest:
            x = layer(x)
        return x + self.bias


class Noisy(Layer):
    def call(self, inputs, training=None):
        return inputs + 1.0 if training else inputs


class Merge(Layer):
    def call(self, inputs):
        return [inputs[0] + inputs[1], inputs[0]]


# ---------------------------------------------------------------------- building and weights


def test_a_layer_builds_its_weights_on_the_first_call_only():
    layer = Scale()
    assert (layer.built, layer.weights) == (False, [])
    layer(np.ones((2, 3), np.float32))
    factor = layer.factor
    layer(np.ones((5, 3), np.float32))
    assert layer.built
    assert layer.weights == [factor]
    assert layer.factor.shape == (3,)


def test_build_gets_the_shape_with_a_free_batch():
    seen = []

    class Spy(Layer):
        def build(self, input_shape):
            seen.append(input_shape)

    Spy()(np.ones((4, 3, 2)))
    Spy()([np.ones((4, 3)), np.ones((4, 2))])
    assert seen == [(None, 3, 2), [(None, 3), (None, 2)]]


def test_a_build_that_forgets_to_say_so_still_happens_once():
    class Forgetful(Layer):
        def build(self, input_shape):
            self.w = self.add_weight("w", (2,))

    layer = Forgetful()
    layer(np.ones((1, 2)))
    layer(np.ones((1, 2)))
    assert len(layer.weights) == 1


def test_weights_carry_their_names_dtype_regularizer_and_constraint():
    layer = Layer(name="mine", dtype="float64")
    weight = layer.add_weight("kernel", (2, 2), initializer="ones", regularizer="l2", constraint="non_neg")
    state = layer.add_weight("state", (3,), dtype="float32", trainable=False)
    assert (weight.name, weight.dtype, weight.trainable) == ("mine/kernel", "float64", True)
    assert float(weight.regularizer(weight)) == pytest.approx(0.04)
    assert weight.constraint(Tensor([-1.0, 2.0])).tolist() == [0.0, 2.0]
    assert (state.dtype, state.trainable) == ("float32", False)
    assert layer.trainable_weights == [weight]
    assert layer.non_trainable_weights == [state]


def test_a_weight_needs_neither_name_nor_shape_nor_initializer():
    layer = Layer()
    assert layer.add_weight().shape == ()
    assert layer.add_weight().name.endswith("/weight_2")


def test_weights_of_layers_kept_as_attributes_are_part_of_the_layer():
    layer = Twice()
    layer(np.ones((2, 3), np.float32))
    names = [weight.name.split("/")[1] for weight in layer.weights]
    assert names == ["bias", "count", "factor", "factor", "factor"]
    assert [w.name.split("/")[1] for w in layer.trainable_weights] == ["bias", "factor", "factor", "factor"]
    assert layer.count_params() == 3 + 1 + 3 * 3


def test_a_layer_kept_twice_counts_once():
    layer = Twice()
    layer.rest = [layer.first]
    layer(np.ones((2, 3)))
    assert len(layer.weights) == 3


def test_a_frozen_layer_has_no_trainable_weights():
    layer = Twice()
    layer(np.ones((2, 3)))
    layer.first.trainable = False
    assert len(layer.trainable_weights) == 3
    layer.trainable = False
    assert layer.trainable_weights == []
    assert len(layer.non_trainable_weights) == 5


def test_trainable_weights_can_be_assigned_as_in_keras_1():
    layer = Layer()
    weight = Layer().add_weight("w", (2,))
    layer.trainable_weights = [weight]
    layer.non_trainable_weights = []
    assert layer.weights == [weight]


def test_get_weights_gives_copies_and_set_weights_takes_them():
    layer = Scale()
    layer(np.ones((1, 2)))
    (values,) = layer.get_weights()
    values += 1
    assert layer.factor.tolist() == [1.0, 1.0]
    layer.set_weights([values])
    assert layer.factor.tolist() == [2.0, 2.0]


def test_set_weights_takes_tensors_and_lists():
    layer, other = Scale(), Scale(dtype="float64", weights=[[0.1, 0.2]])
    layer(np.ones((1, 2)))
    other(np.ones((1, 2)))
    layer.set_weights(other.weights)
    assert layer.factor.tolist() == np.float32([0.1, 0.2]).tolist()
    assert other.factor.tolist() == [0.1, 0.2]
    with pytest.raises(TypeError, match=r"expected real numbers"):
        layer.set_weights([["a", "b"]])


def test_set_weights_refuses_another_number_or_shape_and_then_changes_nothing():
    layer = Twice(name="twice")
    with pytest.raises(ValueError, match=r"Twice 'twice': set_weights expects 0 arrays, as it is not built yet. Rec"):
        layer.set_weights([np.ones(3)])
    layer(np.ones((1, 3)))
    before = layer.get_weights()
    with pytest.raises(ValueError, match=r"Twice 'twice': set_weights expects 5 arrays. Received: 1"):
        layer.set_weights([np.ones(3)])
    with pytest.raises(ValueError, match=r"'scale_\d+/factor' has shape \(3,\). Received: shape \(1, 3\)"):
        layer.set_weights([np.ones(3), np.ones(()), np.ones((1, 3)), np.ones(3), np.ones(3)])
    np.testing.assert_equal(layer.get_weights(), before)


def test_initial_weights_are_set_when_the_layer_is_built():
    layer = Scale(weights=[np.array([2.0, 3.0])])
    assert layer(np.ones((1, 2), np.float32)).tolist() == [[2.0, 3.0]]
    built = Scale(weights=[np.array([2.0, 3.0])])
    built.build((None, 2))
    assert built(np.ones((1, 2), np.float32)).tolist() == [[2.0, 3.0]]


def test_count_params_needs_a_built_layer():
    with pytest.raises(RuntimeError, match=r"Scale 'scale_.*' is not built"):
        Scale().count_params()


# ---------------------------------------------------------------------- dtype


def test_the_dtype_is_floatx_at_construction():
    with config.scope(floatx="float64"):
        layer = Scale()
    assert layer.dtype == "float64"
    layer(np.ones((1, 2), np.float32))
    assert layer.factor.dtype == "float64"


def test_a_layer_with_weights_computes_in_its_dtype_with_the_gradient_in_the_input_s():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    y = Scale(dtype="float32")(x)
    y.sum().backward()
    assert (y.dtype, x.grad.dtype) == ("float32", "float64")
    assert x.grad.tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool", "float64"])
def test_integers_are_cast_where_the_layer_says_so(dtype):
    image = np.ones((1, 4, 4, 1), dtype)
    assert Conv2D(2, 3)(image).dtype == "float32"


def test_integers_reach_a_layer_that_may_use_them_as_indices():
    class Lookup(Layer):
        def build(self, input_shape):
            self.table = self.add_weight("table", (4, 2))

        def call(self, inputs):
            return ops.take(self.table, inputs, axis=0)

    assert Lookup()(np.array([[1, 3]])).shape == (1, 2, 2)


def test_a_layer_without_weights_leaves_the_dtype_alone():
    assert Noisy()(np.ones(2)).dtype == "float64"
    assert Noisy()(np.ones(2, np.int32)).dtype == "int32"


# ---------------------------------------------------------------------- names and configuration


def test_automatic_names_are_keras_s():
    reset_names()

    class MaxPooling2D(Layer):
        pass

    class _Hidden(Layer):
        pass

    assert [Conv2D(1, 1).name, Conv2D(1, 1).name] == ["conv2d_1", "conv2d_2"]
    assert MaxPooling2D().name == "max_pooling2d_1"
    assert _Hidden().name == "private__hidden_1"
    reset_names()
    assert Conv2D(1, 1).name == "conv2d_1"


def test_a_layer_prints_as_its_class_and_name():
    assert str(Scale(name="s")) == "Scale 's'"
    assert repr(Scale(name="s")) == "<Scale 's'>"


def test_the_configuration_is_the_constructor_s_and_the_base_s_arguments():
    layer = Scale(offset=2.0, name="s", trainable=False, input_shape=(None, 3), dtype="float64")
    expected = {
        "name": "s", "trainable": False, "dtype": "float64", "batch_input_shape": (None, None, 3), "offset": 2.0
    }  # fmt: skip
    assert layer.get_config() == expected
    assert Scale.from_config(expected).get_config() == expected
    assert "batch_input_shape" not in Scale().get_config()


def test_a_configuration_written_by_hand_builds_on_the_base_s():
    class Power(Layer):
        def __init__(self, exponent, **kwargs):
            super().__init__(**kwargs)
            self.p = exponent

        def get_config(self):
            return {**super().get_config(), "exponent": self.p}

    config = Power(3, name="cube").get_config()
    assert config == {"name": "cube", "trainable": True, "dtype": "float32", "exponent": 3}
    assert Power.from_config(config).p == 3


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"input_shape": (8, 8, 3)}, (None, 8, 8, 3)),
        ({"input_shape": [None, 3]}, (None, None, 3)),
        ({"input_shape": ()}, (None,)),
        ({"input_shape": (8,), "batch_size": 4}, (4, 8)),
        ({"batch_input_shape": (4, None, 3)}, (4, None, 3)),
        ({"input_dim": 5}, (None, 5)),
        ({}, None),
    ],
)
def test_the_input_shape_can_be_given_in_keras_s_ways(keywords, expected):
    assert Layer(**keywords).batch_input_shape == expected


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"input_shape": 784}, ValueError, r"Write input_shape=\(784,\). Received: 784"),
        ({"input_shape": "28x28"}, ValueError, "input_shape must be a tuple of integers and None. Received: '28x28'"),
        ({"input_shape": (28.0, 1)}, ValueError, "each size of input_shape must be a positive integer. Received: 28.0"),
        ({"input_shape": (0, 1)}, ValueError, "each size of input_shape must be a positive integer. Received: 0"),
        ({"batch_input_shape": (-1, 1)}, ValueError, "size of batch_input_shape must be .*. Received: -1"),
        ({"batch_size": True, "input_shape": (1,)}, ValueError, "positive integer. Received: True"),
        ({"input_dim": 2.5}, ValueError, "input_dim must be a positive integer. Received: 2.5"),
        ({"dtype": "float33", "name": "a"}, ValueError, "Layer 'a': dtype must be a number .* Received: 'float33'"),
        ({"dtype": object}, ValueError, "dtype must be a number type such as 'float32'. Received: <class 'object'>"),
        ({"trainable": "no", "name": "a"}, TypeError, "Layer 'a': trainable must be True or False. Received: 'no'"),
        ({"name": 3}, TypeError, "Layer: name must be a string. Received: name=3"),
    ],
)
def test_wrong_base_arguments_are_named(keywords, error, message):
    with pytest.raises(error, match=message):
        Layer(**keywords)


def test_an_unknown_keyword_is_refused_with_what_was_perhaps_meant():
    with pytest.raises(TypeError, match=r"Conv2D got an unexpected keyword argument 'kernel_initialiser'. Did you"):
        Conv2D(1, 1, kernel_initialiser="zeros")
    with pytest.raises(TypeError, match=r"Scale got an unexpected keyword argument 'ofset'. Did you mean 'offset'"):
        Scale(ofset=1.0)
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'xyz'. It takes: batch_input_shape, .*weights$"):
        Layer(xyz=1)


# ---------------------------------------------------------------------- the call context


def test_training_is_false_outside_of_a_context():
    assert not in_training()
    assert Noisy()(Tensor([1.0])).tolist() == [1.0]


def test_a_layer_takes_training_from_the_context_unless_told():
    layer = Noisy()
    with call_context(training=True):
        assert in_training()
        assert layer(Tensor([1.0])).tolist() == [2.0]
        assert layer(Tensor([1.0]), training=False).tolist() == [1.0]
        with call_context(training=False):
            assert layer(Tensor([1.0])).tolist() == [1.0]
    assert layer(Tensor([1.0]), training=True).tolist() == [2.0]
    assert not in_training()


def test_layers_inside_a_layer_follow_its_training():
    class Outer(Layer):
        def __init__(self):
            super().__init__()
            self.inner = Noisy()

        def call(self, inputs):
            return self.inner(inputs)

    assert Outer()(Tensor([1.0]), training=True).tolist() == [2.0]


def test_the_context_ends_with_an_error_too():
    with pytest.raises(RuntimeError), call_context(training=True):
        raise RuntimeError
    assert not in_training()


def test_each_thread_has_its_own_context():
    with call_context(training=True), ThreadPoolExecutor(1) as threads:
        assert threads.submit(in_training).result() is False


def test_activity_penalties_are_summed_over_the_batch_and_collected_in_the_context():
    layer = Conv2D(1, 1, kernel_initializer="ones", activity_regularizer="l1")
    x = np.ones((3, 2, 2, 1), np.float32)
    layer(x)  # outside of a context nobody asks for the penalty
    with call_context() as context:
        layer(x)
        layer(x, training=True)
    assert [float(penalty) for penalty in context.penalties] == pytest.approx([0.12, 0.12])


def test_keywords_reach_call():
    class Gain(Layer):
        def call(self, inputs, gain=1.0):
            return inputs * gain

    assert Gain()(Tensor([1.0]), gain=3.0).tolist() == [3.0]


# ---------------------------------------------------------------------- shapes


def test_the_output_shape_of_a_layer_that_does_not_say_is_found_by_running_it():
    class Halve(Layer):
        def call(self, inputs):
            return ops.sum(inputs[:, ::2], axis=-1)

    assert Halve().compute_output_shape((None, 10, 3)) == (None, 5)
    assert Halve().compute_output_shape((None, None, 3)) == (None, None)
    assert Halve().compute_output_shape((4, None, 3)) == (4, None)
    assert Merge().compute_output_shape([(None, 3), (None, 3)]) == [(None, 3), (None, 3)]


def test_finding_the_output_shape_leaves_the_layer_as_it_was():
    layer = Twice()
    assert layer.compute_output_shape((None, 3)) == (None, 3)
    assert (layer.built, layer.weights) == (False, [])
    layer(np.ones((1, 3)))
    weights = layer.get_weights()
    with call_context() as context:
        assert layer.compute_output_shape((None, 3)) == (None, 3)
    assert context.penalties == []
    np.testing.assert_equal(layer.get_weights(), weights)


def test_a_layer_called_on_a_symbolic_tensor_builds_and_records_itself():
    layer = Scale(offset=1.0)
    y = layer(SymbolicTensor((None, None, 3)))
    assert y.shape == (None, None, 3)
    assert layer.built
    assert y.source.operation is layer


def test_several_inputs_come_as_a_list():
    total, first = Merge()([np.ones(2), np.ones(2)])
    assert (total.tolist(), first.tolist()) == ([2.0, 2.0], [1.0, 1.0])


def test_python_lists_of_numbers_are_inputs_too():
    assert Scale()([[1.0, 2.0]]).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("spec", "shape", "message"),
    [
        (InputSpec(ndim=2), (1, 2, 3), "must have 2 axes, the batch included, and has 3"),
        (InputSpec(shape=(None, 4)), (1, 2, 3), "must have 2 axes, the batch included, and has 3"),
        (InputSpec(min_ndim=3), (1, 2), "must have at least 3 axes"),
        (InputSpec(max_ndim=1), (1, 2), "must have at most 1 axes"),
        (InputSpec(axes={-1: 4}), (1, 2), "axis -1 of the input must have size 4, and has 2"),
        (InputSpec(shape=(None, 4)), (1, 2), "axis 1 of the input must have size 4, and has 2"),
    ],
)
def test_an_input_that_does_not_fit_the_spec_is_refused(spec, shape, message):
    layer = Layer(name="mine")
    layer.input_spec = spec
    with pytest.raises(ValueError, match=rf"Layer 'mine': .*{message}.*Received: shape"):
        layer(np.ones(shape))


def test_the_number_of_inputs_is_checked():
    layer = Layer(name="mine")
    layer.input_spec = [InputSpec(), InputSpec()]
    layer([np.ones(2), np.ones(2)])
    with pytest.raises(ValueError, match=r"Layer 'mine': expected 2 inputs. Received: 1, shapes \[\(2,\)\]"):
        layer(np.ones(2))


def test_a_call_that_returns_no_tensor_is_named():
    class Broken(Layer):
        def call(self, inputs):
            return None

    with pytest.raises(TypeError, match=r"Broken 'broken_.*': call must return a Tensor. Received: NoneType"):
        Broken()(np.ones(2))


def test_add_weight_takes_the_shape_first_as_layers_of_keras_1_give_it():
    class Old(Layer):
        def build(self, input_shape):
            self.by_name = self.add_weight((input_shape[-1], 2), initializer="ones", name="first")
            self.in_order = self.add_weight([3], "second", initializer="zeros")
            super().build(input_shape)

        def call(self, inputs):
            return inputs

    layer = Old(name="old")
    layer(np.ones((1, 4)))
    assert [(weight.name, weight.shape) for weight in layer.weights] == [("old/first", (4, 2)), ("old/second", (3,))]
    assert layer.by_name.numpy().sum() == 8
    with pytest.raises(TypeError, match=r"add_weight takes its further arguments by name\. Received: \('float32',\)"):
        layer.add_weight((2,), "third", "float32")


class WithoutSuper(Layer):
    """Forgets to initialise what it is."""

    def __init__(self, factor):
        self.factor = factor


@pytest.mark.parametrize("use", [lambda layer: layer(np.ones((1, 2))), repr, lambda layer: Sequential([layer])])
def test_a_layer_that_was_not_initialised_says_so(use):
    with pytest.raises(AttributeError, match=r"WithoutSuper has no '\w+' yet: its __init__ must call super\(\)"):
        use(WithoutSuper(2.0))


def test_a_layer_called_on_a_layer_is_refused():
    for wrong in (Dense(3, name="other"), [Input((3,)), Dense(3, name="other")]):
        with pytest.raises(TypeError, match=r"a layer is called on tensors.*Received: <Dense 'other'>"):
            Add()(wrong)
