"""Model: graphs of layers with several inputs and outputs, shared layers, models in models and operations between."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

from minikeras import Model, Sequential, Tensor, backend, layers, models, ops
from minikeras.core.symbolic import SymbolicTensor
from minikeras.layers import Add, BatchNormalization, Concatenate, Dense, Dropout, Flatten, Input, Lambda, Reshape
from minikeras.optimizers import Adam

RNG = np.random.default_rng(0)
A = RNG.standard_normal((6, 3)).astype(np.float32)
B = RNG.standard_normal((6, 2)).astype(np.float32)


def two_by_two():
    """Two inputs, a shared layer, two outputs."""
    a, b = Input((3,), name="a"), Input((3,), name="b")
    shared = Dense(4, activation="tanh", name="shared")
    both = Concatenate(name="both")([shared(a), shared(b)])
    return Model([a, b], [Dense(1, name="value")(both), Dense(2, activation="softmax", name="kind")(both)], name="m")


def two_by_two_by_hand(model, a, b):
    kernel, bias, kernel_v, bias_v, kernel_k, bias_k = model.get_weights()
    both = np.concatenate([np.tanh(a @ kernel + bias), np.tanh(b @ kernel + bias)], axis=1)
    scores = np.exp(both @ kernel_k + bias_k)
    return both @ kernel_v + bias_v, scores / scores.sum(axis=1, keepdims=True)


# ---------------------------------------------------------------------- computation


def test_several_inputs_and_outputs_and_a_shared_layer():
    model = two_by_two()
    found = model.predict([A, 2 * A])
    for ours, by_hand in zip(found, two_by_two_by_hand(model, A, 2 * A), strict=True):
        np.testing.assert_allclose(ours, by_hand, rtol=1e-5, atol=1e-6)
    assert (model.input_names, model.output_names) == (["a", "b"], ["value", "kind"])
    assert model.input_shape == [(None, 3), (None, 3)]
    assert model.output_shape == [(None, 1), (None, 2)]
    assert len(model.weights) == 6  # the shared layer's count once
    assert model.count_params() == 3 * 4 + 4 + 8 + 1 + 16 + 2


def test_arrays_may_be_given_by_name():
    model = two_by_two()
    by_name = model.predict({"b": 2 * A, "a": A})
    for x, y in zip(by_name, model.predict([A, 2 * A]), strict=True):
        np.testing.assert_array_equal(x, y)
    model.compile("sgd", {"value": "mse", "kind": "categorical_crossentropy"}, loss_weights={"kind": 0.5})
    kind = np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 1, 0]]
    total, value, entropy = model.train_on_batch({"a": A, "b": A}, {"kind": kind, "value": A[:, :1]})
    assert total == pytest.approx(value + 0.5 * entropy, rel=1e-5)


def test_operations_between_layers_are_part_of_the_model_and_of_its_training():
    x = Input((3,))
    hidden = Dense(4, name="first")(x)
    y = ops.tanh(hidden * 2.0 + 1.0) - ops.mean(hidden, axis=-1, keepdims=True)
    model = Model(x, Dense(1, name="last")(y))
    first, bias, last, last_bias = model.get_weights()
    h = A @ first + bias
    by_hand = (np.tanh(2 * h + 1) - h.mean(axis=1, keepdims=True)) @ last + last_bias
    np.testing.assert_allclose(model.predict(A), by_hand, rtol=1e-5, atol=1e-6)
    model.compile(Adam(lr=0.02), "mse")
    losses = [model.train_on_batch(A, A[:, :1]) for _ in range(50)]
    assert losses[-1] < 0.5 * losses[0]
    assert not np.array_equal(model.get_layer("first").get_weights()[0], first)
    assert [layer.name for layer in model.layers][1:] == ["first", "last"]


def test_an_operation_may_be_an_output():
    x = Input((3,))
    model = Model(x, [x + 1.0, Dense(2, name="d")(x)])
    np.testing.assert_allclose(model.predict(A)[0], A + 1, rtol=1e-6)
    assert model.output_names == ["add", "d"]


def test_a_model_is_a_layer_of_another_and_may_be_shared():
    inner = Sequential([Dense(4, input_shape=(3,)), Dense(2)])
    a, b = Input((3,)), Input((3,))
    outer = Model([a, b], Add()([inner(a), inner(b)]))
    np.testing.assert_allclose(outer.predict([A, 2 * A]), inner.predict(A) + inner.predict(2 * A), rtol=1e-4, atol=1e-5)
    assert len(outer.trainable_weights) == 4
    assert inner.output_shape == (None, 2)
    assert inner.get_output_at(1).shape == (None, 2)
    assert inner.get_input_at(2) is b


def test_a_model_called_on_another_shape_shows_its_own_output_shape():
    x = Input((None, 3))
    model = Model(x, layers.UpSampling1D(2)(Dense(4)(x)) * 2.0)
    assert model(Input((5, 3))).shape == (None, 10, 4)
    assert model.compute_output_shape((7, None, 3)) == (7, None, 4)
    assert model.compute_output_shape((None, 6, 3)) == (None, 12, 4)


def test_intermediate_outputs_by_a_new_model_and_nothing_else_is_computed():
    calls = []

    class Counts(layers.Layer):
        def call(self, inputs):
            calls.append(self.name)
            return inputs * 1.0

        def compute_output_shape(self, input_shape):
            return input_shape

    x = Input((3,))
    inside = Counts(name="inside")(Dense(4, name="x")(x))
    model = Model(x, [Dense(1)(inside), Counts(name="aside")(x)])
    middle = Model(model.input, model.get_layer("x").output)
    kernel, bias = model.get_layer("x").get_weights()
    np.testing.assert_allclose(middle.predict(A), A @ kernel + bias, rtol=1e-5, atol=1e-6)
    assert calls == []
    Model(model.inputs, inside).predict(A)
    assert calls == ["inside"]


def test_sequential_and_functional_models_mix():
    model = Sequential([Dense(4, name="a", input_shape=(3,)), Dense(2, name="b")])
    middle = Model(model.input, model.get_layer("a").output)
    kernel, bias = model.layers[0].get_weights()
    np.testing.assert_allclose(middle.predict(A), A @ kernel + bias, rtol=1e-5, atol=1e-6)
    top = Model(model.input, Dense(1)(model.output))
    assert [layer.name for layer in top.layers][:3] == ["a_input", "a", "b"]
    assert Sequential([top, Dense(5)]).predict(A).shape == (6, 5)
    model.pop()
    assert (model.output_shape, model.outputs[0] is model.layers[0].output) == ((None, 4), True)


def test_shapes_are_those_that_layers_say_and_nothing_is_tried():
    class Never(layers.Layer):
        def call(self, inputs):
            raise RuntimeError("must not run")

        def compute_output_shape(self, input_shape):
            return (*input_shape[:-1], 7)

    assert Never()(Input((3,))).shape == (None, 7)
    y = Reshape((6,))(Input((None, 2)))
    assert y.shape == (None, 6)
    assert Model(y.source.inputs[0], y).predict(np.ones((4, 3, 2))).shape == (4, 6)


def test_a_thousand_layers_deep():
    x = y = Input((2,))
    for _ in range(1000):
        y = layers.Activation("linear")(y)
        y = y + 0.001
    model = Model(x, y)
    np.testing.assert_allclose(model.predict(B), B + 1, rtol=1e-3)
    assert len(model.layers) == 1001
    np.testing.assert_array_equal(copy.deepcopy(Model(x, model.layers[900].output)).predict(B).shape, (6, 2))


def test_intermediate_results_are_freed_as_soon_as_they_are_used():
    alive = []

    class Watch(layers.Layer):
        def call(self, inputs):
            gc.collect()
            alive.append(sum(ref() is not None for ref in made))
            result = inputs + 1.0
            made.append(weakref.ref(result))
            return result

        def compute_output_shape(self, input_shape):
            return input_shape

    made = []
    x = y = Input((2,))
    for _ in range(6):
        y = Watch()(y)
    Model(x, y).predict(B)
    assert max(alive) <= 1


def test_layers_are_in_kerass_order():
    # Keras 2.2.4 sorts by the longest way to an output, then by the order in which layers are met from the outputs
    a, b = Input((2,), name="a"), Input((2,), name="b")
    long = Dense(2, name="long2")(Dense(2, name="long1")(b))
    short = Dense(2, name="short")(a)
    model = Model([a, b], Add(name="sum")([short, long]))
    assert [layer.name for layer in model.layers] == ["b", "a", "long1", "short", "long2", "sum"]


# ---------------------------------------------------------------------- nodes


def test_a_layer_knows_its_call():
    x = Input((3,))
    layer = Dense(4)
    y = layer(x)
    assert (layer.input is x, layer.output is y) == (True, True)
    assert (layer.input_shape, layer.output_shape) == ((None, 3), (None, 4))
    assert (layer.input_mask, layer.output_mask) == (None, None)
    assert x.entry.operation.output is x


def test_a_layer_of_several_calls_knows_each():
    layer = Dense(4)
    x, z = Input((3,)), Input((None, 3))
    outputs = [layer(x), layer(x)]
    assert layer.output_shape == (None, 4)
    assert [layer.get_output_at(i) is y for i, y in enumerate(outputs)] == [True, True]
    assert layer.get_input_at(1) is x
    with pytest.raises(
        AttributeError, match=r"Dense '.*' has 2 inbound nodes, so which input is meant isn't clear: .*_at"
    ):
        layer.input  # noqa: B018
    wide = layers.Activation("relu")
    wide(x), wide(z)
    with pytest.raises(AttributeError, match="2 inbound nodes with different output shapes"):
        wide.output_shape  # noqa: B018
    assert wide.get_output_shape_at(1) == (None, None, 3)
    assert wide.get_input_shape_at(0) == (None, 3)
    assert (wide.get_input_mask_at(0), wide.get_output_mask_at(0)) == (None, None)


# ---------------------------------------------------------------------- training


def test_a_frozen_model_is_not_trained_inside_another_and_its_batch_normalization_keeps_its_statistics():
    inner = Sequential([Dense(4, input_shape=(3,)), BatchNormalization()])
    x = Input((3,))
    outer = Model(x, Dense(1)(inner(x)))
    inner.trainable = False
    outer.compile("sgd", "mse")
    before = inner.get_weights()
    outer.train_on_batch(A, A[:, :1])
    for was, now in zip(before, inner.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    assert len(outer.trainable_weights) == 2
    inner.trainable = True
    with pytest.warns(UserWarning, match="trainable was changed after compile"):
        outer.fit(A, A[:, :1], epochs=1, verbose=0)
    outer.compile("sgd", "mse")
    outer.train_on_batch(A, A[:, :1])
    assert not np.array_equal(before[0], inner.get_weights()[0])


def test_a_symbolic_loss_of_operations_is_all_that_is_minimised():
    x = Input((3,))
    mean, spread = Dense(2, name="mean")(x), Dense(2, name="spread")(x)
    decoded = Dense(3, name="decoded")(mean)
    model = Model(x, decoded)
    divergence = -0.5 * ops.mean(1.0 + spread - ops.square(mean) - ops.exp(spread), axis=-1)
    model.add_loss(ops.mean(ops.mean(ops.square(x - decoded), axis=-1) + divergence))
    model.compile(Adam(lr=0.02), loss=None)
    losses = model.fit(A, epochs=60, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    m, s, d = (Model(x, symbol).predict(A) for symbol in (mean, spread, decoded))
    expected = ((A - d) ** 2).mean() - 0.5 * (1 + s - m**2 - np.exp(s)).mean()
    assert model.evaluate(A, verbose=0) == pytest.approx(expected, rel=1e-4)
    assert len(model.losses) == 1


def test_losses_added_in_call_and_as_functions_count():
    class Penalty(layers.Layer):
        def call(self, inputs):
            self.add_loss(ops.sum(inputs), inputs=inputs)
            return inputs

        def compute_output_shape(self, input_shape):
            return input_shape

    x = Input((3,))
    dense = Dense(1, use_bias=False, kernel_initializer="ones", kernel_regularizer="l2")
    model = Model(x, dense(Penalty()(x)))
    dense.add_loss(lambda: ops.sum(dense.kernel))
    model.compile("sgd", "mse")
    y = A.sum(axis=1, keepdims=True)
    assert model.test_on_batch(A, y) == pytest.approx(A.sum() + 3.0 + 0.03, rel=1e-4)
    assert len(dense.get_losses_for(None)) == 2
    assert len(model.losses) == 3
    weights, inside = (loss for loss in model.losses if isinstance(loss, SymbolicTensor))
    assert backend.eval(weights) == pytest.approx(0.03)
    assert backend.function([x], [inside])([A])[0] == pytest.approx(A.sum(), rel=1e-5)
    assert [len(model.get_losses_for(inputs)) for inputs in (None, x)] == [2, 1]


def test_losses_and_updates_are_found_by_their_inputs():
    x = Input((3,))
    layer = Dense(2, activity_regularizer="l1")
    y = layer(x)
    assert [loss.symbolic for loss in layer.get_losses_for(x)] == [True]
    assert layer.get_losses_for(None) == []
    layer.add_update(print, inputs=y)
    assert (layer.updates, layer.get_updates_for(y), layer.get_updates_for(None)) == ([print], [print], [])


def test_updates_run_in_training_only():
    class Count(layers.Layer):
        def build(self, input_shape):
            self.seen = self.add_weight("seen", (), initializer="zeros", trainable=False)
            super().build(input_shape)

        def call(self, inputs):
            self.add_update((self.seen, self.seen + float(inputs.shape[0])), inputs)
            return inputs

        def compute_output_shape(self, input_shape):
            return input_shape

    steps = []
    x = Input((3,))
    count = Count()
    model = Model(x, Dense(1)(count(x)))
    model.add_update(lambda: steps.append(1))
    model.compile("sgd", "mse")
    model.train_on_batch(A, A[:, :1])
    model.predict(A)
    assert (count.get_weights()[0], steps) == (6.0, [1])


def test_a_subclass_with_a_call_of_its_own_trains():
    class Twins(Model):
        def __init__(self):
            super().__init__(name="twins")
            self.hidden = Dense(8, activation="tanh")
            self.drop = Dropout(0.1)
            self.heads = [Dense(1), Dense(2)]

        def call(self, inputs):
            hidden = self.drop(self.hidden(inputs))
            return [head(hidden) for head in self.heads]

    model = Twins()
    model.compile(Adam(lr=0.02), "mse")
    losses = model.fit(A, [A[:, :1], A[:, 1:]], epochs=80, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    assert [layer.name for layer in model.layers] == [
        model.hidden.name,
        model.drop.name,
        *(h.name for h in model.heads),
    ]
    assert len(model.weights) == 6
    assert model.output_shape == [(None, 1), (None, 2)]
    with pytest.raises(NotImplementedError, match=r"Twins 'twins' is a program, not a graph of layers"):
        model.get_config()


def test_integer_inputs_keep_their_type():
    x = Input((), dtype="int32")
    assert Model(x, x + 1).input_dtypes == ["int32"]


# ---------------------------------------------------------------------- copies and configurations


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["copy", "pickle"]
)
def test_copies_stand_by_themselves(copied):
    model = two_by_two()
    again = copied(model)
    for x, y in zip(again.predict([A, A]), model.predict([A, A]), strict=True):
        np.testing.assert_array_equal(x, y)
    again.set_weights([0 * w for w in again.get_weights()])
    assert np.abs(model.get_weights()[0]).sum() > 0
    assert again.get_layer("shared").get_output_at(1).shape == (None, 4)
    assert again.get_config() == model.get_config()


def test_a_configuration_comes_back_with_shared_layers_and_models_inside():
    inner = two_by_two()
    a, b = Input((3,)), Input((3,))
    value, kind = inner([a, b])
    again_value, _ = inner([b, a])
    model = Model([b, a], Concatenate()([value, kind, again_value]))
    config = model.get_config()
    again = models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict([A, 2 * A]), model.predict([A, 2 * A]))
    assert again.get_config() == config
    inside = next(layer for layer in config["layers"] if layer["name"] == "m")
    assert inside["inbound_nodes"] == [
        [[a.name, 0, 0, {}], [b.name, 0, 0, {}]],
        [[b.name, 0, 0, {}], [a.name, 0, 0, {}]],
    ]
    joined = config["layers"][-1]["inbound_nodes"]
    assert joined == [[["m", 1, 0, {}], ["m", 1, 1, {}], ["m", 2, 0, {}]]]  # a model's own node is number 0


def test_keyword_arguments_of_calls_are_kept():
    x = Input((3,))
    model = Model(x, Dropout(0.9)(x, training=True))
    again = Model.from_config(model.get_config())
    assert np.count_nonzero(again.predict(np.ones((50, 3)))) < 75


def test_a_clone_has_new_weights_and_the_same_connections():
    model = two_by_two()
    clone = models.clone_model(model)
    assert not np.array_equal(clone.get_weights()[0], model.get_weights()[0])
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict([A, A])[1], model.predict([A, A])[1])
    sequential = Sequential([Dense(2, input_shape=(3,))])
    assert models.clone_model(sequential).get_config() == sequential.get_config()
    x = Input((3,))
    y = Dense(2)(ops.square(x))
    new = Input((3,))
    with_operation = models.clone_model(Model(x, y), input_tensors=new)
    assert with_operation.inputs[0] is new


def test_a_lambda_takes_the_place_of_an_operation_in_a_configuration():
    def double(x):
        return 2.0 * x

    x = Input((3,))
    model = Model(x, Lambda(double)(x))
    again = Model.from_config(model.get_config(), custom_objects={"double": double})
    np.testing.assert_allclose(again.predict(A), 2 * A)


def test_a_saved_model_comes_back(tmp_path):
    model = two_by_two()
    model.save(tmp_path / "m.npz")
    again = models.load_model(tmp_path / "m.npz")
    np.testing.assert_array_equal(again.predict([A, A])[0], model.predict([A, A])[0])


# ---------------------------------------------------------------------- wrong calls


def deep(symbol):
    return Dense(2, name="d")(symbol)


def raw_operation():
    x = Input((3,))
    return Model(x, Dense(1)(x * 2.0), name="m").get_config()


def backend_function():
    x = Input((3,))
    return Model(x, Dense(1)(backend.cumsum(x, axis=1)), name="m").get_config()


def duplicate_names():
    x = Input((3,))
    return Model(x, Dense(1, name="d")(deep(x)), name="m")


def several_nodes():
    layer = Dense(1, name="d")
    return layer(Input((3,))), layer(Input((3,))), layer.output


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        (lambda: Model(Input((3,)), name="m"), TypeError, "Model 'm': a model needs inputs and outputs.*outputs=None"),
        (
            lambda: Model(A, A, name="m"),
            TypeError,
            "Model 'm': inputs must be symbolic tensors, made by Input.*ndarray",
        ),
        (lambda: Model(Input((3,)), Dense(1), name="m"), TypeError, "outputs must be .*; a layer gives one when it is"),
        (
            lambda: Model(Input((3,), name="u"), deep(Input((3,), name="v")), name="m"),
            ValueError,
            r"Model 'm': the graph is disconnected: .*inputs \['u'\]: no value was given for the input .*'v'",
        ),
        (
            duplicate_names,
            ValueError,
            r"Model 'm': the name of each layer must be its own. Received: 2 layers named 'd'",
        ),
        (
            lambda: Model(deep(Input((3,))), Input((3,)), name="m"),
            ValueError,
            "Model 'm': inputs must come from Input.*the output of <Dense 'd'>",
        ),
        (lambda: (x := Input((3,), name="u")) is not None and Model([x, x], x, name="m"), ValueError, "be given once"),
        (lambda: two_by_two().predict([A]), ValueError, "Model 'm': expected 2 input arrays"),
        (
            lambda: two_by_two().predict({"a": A, "c": A}),
            ValueError,
            r"named \['a', 'b'\]. Received: a dict of \['a', 'c'\]",
        ),
        (
            lambda: two_by_two().predict([A, B]),
            ValueError,
            "Model 'm', input 'b': axis 1 of the input must have size 3",
        ),
        (lambda: two_by_two()(Tensor(A)), ValueError, r"Model 'm': expected 2 inputs \['a', 'b'\]. Received: 1"),
        (backend_function, ValueError, "Model 'm': the operation 'cumsum' stands between the layers.*Lambda"),
        (raw_operation, ValueError, "Model 'm': the operation 'multiply' stands between the layers.*Lambda"),
        (lambda: Dense(1, name="d").output, AttributeError, "Dense 'd' is not connected: it has no output before"),
        (lambda: Dense(1, name="d").input_shape, AttributeError, "Dense 'd' has never been called on symbolic tensors"),
        (
            lambda: Dense(1, name="d").get_input_at(0),
            RuntimeError,
            "Dense 'd' has never been called on symbolic tensors",
        ),
        (lambda: two_by_two().get_layer("value").get_output_at(3), ValueError, "there is no output at node 3"),
        (several_nodes, AttributeError, r"Dense 'd' has 2 inbound nodes.*get_output_at\(node_index\)"),
        (
            lambda: Model(name="m").predict(A),
            TypeError,
            r"Model 'm': give inputs and outputs, or write call\(self, inputs\)",
        ),
        (lambda: Model.from_config({"layers": []}), ValueError, "Improper configuration of a Model: 'input_layers'"),
        (lambda: two_by_two().add_loss(3.0), ValueError, "Model 'm': add_loss takes a symbolic tensor, a function"),
        (lambda: two_by_two().add_loss(Tensor(3.0)), ValueError, "Model 'm': outside of call, a Tensor is a number"),
        (lambda: two_by_two().add_update(3.0), ValueError, "Model 'm': add_update takes pairs"),
        (lambda: two_by_two().compile("sgd"), ValueError, "Model 'm': compile needs a loss.*or one of add_loss"),
        (lambda: models.clone_model(Dense(1)), TypeError, "clone_model expects a model"),
        (lambda: models.model_from_config([]), TypeError, "expects a dict, not a list"),
        (
            lambda: models.model_from_json("m.json"),
            ValueError,
            r"open\(path\).read\(\). Received: 'm.json', and Expecting",
        ),
        (lambda: Flatten(name="f")(Input(())), ValueError, "Flatten 'f'"),
    ],
)
def test_wrong_calls_are_named(wrong, kind, message):
    with pytest.raises(kind, match=f"(?s){message}"):
        wrong()


def test_a_function_of_the_backend_at_the_end_names_the_output(capsys):
    x = Input((3,))
    model = Model([x], [backend.cumsum(Dense(2)(x), axis=1)])
    assert model.output_names == ["cumsum"]
    model.summary(flops=True)
    assert "not known of cumsum" in capsys.readouterr().out


def test_a_symbolic_loss_of_other_inputs_is_refused():
    model = two_by_two()
    model.add_loss(ops.sum(Input((3,), name="stranger")))
    with pytest.raises(
        ValueError, match=r"Model 'm': a loss of add_loss isn't made of the model's inputs: .*'stranger'"
    ):
        model.compile("sgd", "mse") or model.train_on_batch([A, A], [A[:, :1], A[:, :2]])


def test_automatic_names_are_kerass():
    backend.clear_session()
    x = Input((3,))
    model = Model(x, Dense(1)(x))
    assert (model.name, [layer.name for layer in model.layers]) == ("model_1", ["input_1", "dense_1"])
    assert isinstance(model.output, SymbolicTensor)


# ---------------------------------------------------------------------- losses as symbolic tensors


def test_the_penalties_of_weights_are_symbolic_outside_of_calls_and_follow_the_weights():
    x = Input((3,))
    model = Model(x, Dense(2, kernel_regularizer="l2", name="d")(x))
    (penalty,) = model.losses
    both = backend.function([x], [model.output, penalty, 2.0 * penalty])
    for scale in (1.0, 3.0):
        model.set_weights([np.full((3, 2), scale), np.zeros(2)])
        assert backend.eval(penalty) == pytest.approx(0.01 * 6 * scale**2)
        assert both([A])[1:] == pytest.approx([0.06 * scale**2, 0.12 * scale**2])
    gradient = backend.function([x], backend.gradients(penalty, model.trainable_weights))([A])
    assert gradient[0] == pytest.approx(np.full((3, 2), 0.02 * 3.0))
    assert gradient[1] == pytest.approx(np.zeros(2))


def test_losses_can_be_used_in_a_loss_of_ones_own():
    x = Input((3,))
    model = Model(x, Dense(2, kernel_regularizer="l2")(x))

    def loss(y_true, y_pred):
        return backend.mean(backend.square(y_pred - y_true), axis=-1) + 9.0 * sum(model.losses)

    model.compile("sgd", loss)
    own = model.gradients_on_batch(A, A[:, :2])
    model.compile("sgd", "mse")
    plain = model.gradients_on_batch(A, A[:, :2])
    kernel = model.get_weights()[0]
    name = model.weights[0].name
    assert own[name] - plain[name] == pytest.approx(9 * 0.02 * kernel, abs=1e-5)


def test_losses_of_what_depends_on_inputs_are_those_of_the_calls_in_the_model():
    shared = Dense(2, activity_regularizer="l2", use_bias=False, kernel_initializer="ones")
    x, other = Input((3,)), Input((3,))
    shared(other)
    inner = Sequential([Dense(2, activity_regularizer="l2", use_bias=False, kernel_initializer="ones", input_dim=2)])
    model = Model(x, inner(shared(x)))
    assert len(shared.losses) == 2
    first, second = model.losses
    hidden = np.repeat(A.sum(axis=1, keepdims=True), 2, axis=1)
    expected = [0.01 * (hidden**2).sum(), 0.01 * ((2 * hidden) ** 2).sum()]
    assert backend.function([x], [first, second])([A]) == pytest.approx(expected, rel=1e-4)
    assert [len(model.get_losses_for(inputs)) for inputs in (x, other, None)] == [2, 0, 0]
    model.compile("sgd", "mse")
    assert model.test_on_batch(A, 2 * hidden) == pytest.approx(sum(expected), rel=1e-4)
