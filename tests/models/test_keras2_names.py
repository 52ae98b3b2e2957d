"""What scripts for Keras 2 ask models, layers and symbolic tensors for besides their methods."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from minikeras import Model, Sequential, models
from minikeras import backend as K
from minikeras.layers import BatchNormalization, Dense, Dropout, GaussianNoise, Input, Lambda, Layer, TimeDistributed
from minikeras.optimizers import SGD, Adam

RNG = np.random.default_rng(11)
X = RNG.normal(size=(6, 3)).astype(np.float32)
Y = RNG.normal(size=(6, 2)).astype(np.float32)


def chain(*between):
    """A compiled model with layers between two Dense ones."""
    model = Sequential([Dense(4, input_dim=3, name="first"), *between, Dense(2, name="last")], name="m")
    model.compile(SGD(0.1, momentum=0.9), "mse")
    return model


# ---------------------------------------------------------------------- the learning phase


@pytest.mark.parametrize("layer", [Dropout(0.5), BatchNormalization(), GaussianNoise(1.0)], ids=str)
def test_what_behaves_differently_in_training_uses_the_learning_phase(layer):
    inner = Sequential([layer], name="inner")
    inner.build((None, 4))
    model = chain(inner)
    assert model.uses_learning_phase
    assert [item.uses_learning_phase for item in model.layers] == [False, True, False]
    assert [item.output._uses_learning_phase for item in model.layers] == [False, True, True]
    assert not chain().uses_learning_phase


def test_an_argument_training_and_a_flag_of_ones_own_count():
    x = Input((3,))
    fixed, free = Dropout(0.5)(x, training=False), K.in_train_phase(x, 2 * x)
    assert [fixed._uses_learning_phase, free._uses_learning_phase] == [False, True]

    class Own(Layer):
        def __init__(self, **keywords):
            super().__init__(**keywords)
            self.uses_learning_phase = True

        def call(self, inputs):
            return inputs * K.learning_phase()

    assert Own()(x)._uses_learning_phase
    assert TimeDistributed(Dropout(0.1)).uses_learning_phase


def test_the_idiom_of_an_inner_output_with_the_learning_phase():
    model = chain(Dropout(0.5))
    get = K.function([model.layers[0].input, K.learning_phase()], [model.layers[1].output])
    kernel = model.get_weights()[0]
    assert get([X, 0])[0] == pytest.approx(X @ kernel, rel=1e-4, abs=1e-6)
    dropped = get([X, 1])[0]
    kept = dropped != 0
    assert 0 < kept.sum() < kept.size
    assert dropped[kept] == pytest.approx(2 * (X @ kernel)[kept], rel=1e-4, abs=1e-6)


# ---------------------------------------------------------------------- symbolic tensors


def test_a_symbolic_tensor_tells_its_shape_and_its_layer_by_keras_names():
    shared = Dense(2, name="shared")
    one, two = shared(Input((3,))), shared(Input((3,)))
    assert one._keras_shape == (None, 2)
    assert [y._keras_history for y in (one, two)] == [(shared, 0, 0), (shared, 1, 0)]
    with pytest.raises(AttributeError, match=r"K\.int_shape\(x\) is its shape"):
        one.get_shape()


# ---------------------------------------------------------------------- functions of a model


def test_the_functions_that_keras_makes_before_threads_and_before_set_weights():
    model = chain(Dropout(0.5))
    model._make_predict_function()
    model._make_test_function()
    assert model.predict_function([X, 0])[0] == pytest.approx(model.predict(X))
    assert chain().predict_function([X])[0].shape == (6, 2)
    model = chain()
    model.train_on_batch(X, Y)
    state, weights = K.batch_get_value(model.optimizer.weights), model.get_weights()
    other = chain()
    other._make_train_function()
    other.set_weights(weights)
    other.optimizer.set_weights(state)
    model.train_on_batch(X, Y)
    other.train_on_batch(X, Y)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_step_of_an_optimizer_as_updates_of_a_function_is_that_of_training():
    for optimizer in (SGD(0.1, momentum=0.9), Adam(0.01, clipnorm=0.1), SGD(1.0, clipvalue=0.05)):
        model, other = chain(), chain()
        other.set_weights(model.get_weights())
        model.compile(optimizer, "mse")
        by_hand = type(optimizer).from_config(optimizer.get_config())
        updates = by_hand.get_updates(loss=other.total_loss, params=other.trainable_weights)
        fed = [other.input, other.targets[0], other.sample_weights[0]]
        step = K.function(fed, [other.total_loss], updates=updates)
        for _ in range(3):
            assert step([X, Y, np.ones(6)])[0] == pytest.approx(model.train_on_batch(X, Y), rel=1e-5)
        for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
            assert a == pytest.approx(b, rel=1e-4, abs=1e-6)


def test_the_updates_of_the_optimizer_and_of_the_model_are_a_step_of_training():
    trained, by_hand = (chain(BatchNormalization(momentum=0.9, name="norm")) for _ in range(2))
    by_hand.set_weights(trained.get_weights())
    updates = by_hand.optimizer.get_updates(by_hand.total_loss, by_hand.trainable_weights) + by_hand.updates
    fed = [by_hand.input, *by_hand.targets, *by_hand.sample_weights, K.learning_phase()]
    step = K.function(fed, [by_hand.total_loss], updates=updates)
    for _ in range(3):
        assert step([X, Y, np.ones(6), 1])[0] == pytest.approx(trained.train_on_batch(X, Y), rel=1e-6)
    for one, other in zip(trained.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert by_hand.get_layer("norm").get_weights()[2].any()


def test_updates_are_those_of_the_calls_in_the_model_also_of_models_inside():
    norm = BatchNormalization(name="norm")
    x, other = Input((4,)), Input((4,))
    twice = Model([x, other], [norm(x), norm(other)])
    once = Model(x, twice.outputs[0])
    moving = [norm.moving_mean, norm.moving_variance]
    assert [variable for variable, _ in once.updates] == moving
    assert [variable for variable, _ in twice.updates] == moving * 2 == [variable for variable, _ in norm.updates]
    assert len(twice.get_updates_for(other)) == len(norm.get_updates_for(other)) == 2
    assert twice.get_updates_for(None) == []

    inner = Input((4,))
    outer = Model(inner, Dense(1)(once(inner)))
    batch = np.arange(12.0).reshape(3, 4)
    K.function([inner], [], updates=outer.updates)([batch])
    np.testing.assert_allclose(norm.moving_mean.numpy(), 0.01 * batch.mean(axis=0), rtol=1e-6)
    once.trainable = False
    assert outer.updates == []
    assert BatchNormalization()(inner, training=False).source.operation.updates == []


def test_functions_among_the_updates_are_called():
    seen = []
    K.function([], [K.constant(1.0)], updates=[lambda: seen.append(1)])([])
    assert seen == [1]


@pytest.mark.parametrize(
    ("settings", "of_norm"),
    [({}, lambda g, norm: g), ({"clipnorm": 0.5}, lambda g, norm: g * 0.5 / norm), ({"clipvalue": 0.2}, None)],
)
def test_get_gradients_clips_as_training_does(settings, of_norm):
    model = chain()
    gradients = SGD(**settings).get_gradients(model.total_loss, model.trainable_weights)
    found = K.function([model.input, *model.targets, *model.sample_weights], gradients)([X, 9 * Y, np.ones(6)])
    plain = [*model.gradients_on_batch(X, 9 * Y).values()]
    norm = np.sqrt(sum((g**2).sum() for g in plain))
    assert norm > 0.5
    for gradient, g in zip(found, plain, strict=True):
        assert gradient == pytest.approx(
            np.clip(g, -0.2, 0.2) if of_norm is None else of_norm(g, norm), rel=1e-4, abs=1e-6
        )


def test_a_loss_that_is_a_number_has_no_recorded_gradients():
    with pytest.raises(
        TypeError, match=r"Adam: the loss must be symbolic, such as model\.total_loss.*Received: Tensor"
    ):
        Adam().get_updates(K.constant(1.0), [])


# ---------------------------------------------------------------------- copies


@pytest.mark.parametrize("wrap", [lambda inner: inner, lambda inner: TimeDistributed(inner)], ids=["plain", "wrapped"])
def test_clone_model_takes_functions_without_a_name_and_files_refuse_them_still(wrap, tmp_path):
    inner = wrap(Lambda(lambda x, by: by * x, arguments={"by": 3.0}, output_shape=lambda shape: shape))
    model = Sequential([Dense(2, input_shape=(4, 3)), inner])
    clone = models.clone_model(model)
    clone.set_weights(model.get_weights())
    steps = RNG.normal(size=(5, 4, 3))
    np.testing.assert_array_equal(clone.predict(steps), model.predict(steps))
    assert clone.layers[1] is not inner
    x = Input((4, 3))
    functional = Model(x, inner(x))
    assert models.clone_model(functional).predict(steps) == pytest.approx(3 * steps, rel=1e-5)
    for use in (lambda: model.save(tmp_path / "m.npz"), model.get_config, clone.to_json):
        with pytest.raises(ValueError, match="Cannot serialize"):
            use()


def test_pickles_go_on_training_as_the_model_does():
    model = chain(Dropout(0.5), BatchNormalization())
    model.fit(X, Y, epochs=2, verbose=0)
    other = pickle.loads(pickle.dumps(model))
    for each in (model, other):
        each.fit(X, Y, epochs=2, verbose=0)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_idiom_of_the_gradient_norm():
    x = Input((3,))
    model = Model(x, [Dense(2, name="a")(x), Dense(1, name="b")(x)])
    model.layers[-1].trainable = False
    model.compile("sgd", {"a": "mse", "b": "mae"})
    model.layers[-1].trainable = True
    weights = model._collected_trainable_weights
    assert weights == model.get_layer("a").weights
    norm = K.sqrt(sum(K.sum(K.square(g)) for g in K.gradients(model.total_loss, weights)))
    fed = model._feed_inputs + model._feed_targets + model._feed_sample_weights
    inputs, targets, sample_weights = model._standardize_user_data(X, [Y, Y[:, :1]], [np.arange(6.0), None])
    (found,) = K.function(fed, [norm])(inputs + targets + sample_weights)
    residuals = 2 / 2 * (model.predict(X)[0] - Y) * np.arange(6.0)[:, None] / 5  # of 2 outputs, 5 samples count
    assert found == pytest.approx(
        np.sqrt(((X.T @ residuals) ** 2).sum() + (residuals.sum(axis=0) ** 2).sum()), rel=1e-5
    )
    assert [array.tolist() for array in sample_weights] == [[0, 1, 2, 3, 4, 5], [1] * 6]


# ---------------------------------------------------------------------- tensors reported with the metrics


def parts():
    """A model whose loss is the sum of two symbolic ones, and these."""
    x = Input((3,))
    model = Model(x, Dense(2, name="scores")(x), name="m")
    one, other = K.mean(K.square(model.output), axis=-1), 0.5 * K.sum(K.abs(x), axis=-1)
    model.add_loss(K.mean(one + other))
    model.compile("sgd")
    return model, one, other


def test_tensors_are_reported_under_the_names_that_were_appended():
    model, one, other = parts()
    for name, tensor in (("one", one), ("other", other)):
        model.metrics_names.append(name)
        model.metrics_tensors.append(tensor)
    loss, *values = model.evaluate(X, batch_size=4, verbose=0)
    assert values == pytest.approx([(model.predict(X) ** 2).mean(), np.abs(X).sum(axis=1).mean() / 2], rel=1e-5)
    assert loss == pytest.approx(sum(values), rel=1e-5)
    logs = model.fit(X, batch_size=4, validation_data=(X, None), verbose=0).history
    assert set(logs) == {"loss", "one", "other", "val_loss", "val_one", "val_other"}
    np.testing.assert_allclose(np.add(logs["val_one"], logs["val_other"]), logs["val_loss"], rtol=1e-5)
    with pytest.raises(TypeError, match="reads tensors of this very model"):
        pickle.dumps(model)

    model.compile("sgd")
    assert (model.metrics_names, model.metrics_tensors) == (["loss"], [])
    model.train_on_batch(X, None)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([], r"'m': to metrics_names and metrics_tensors the same number.*\['loss', 'name'\] and 0 tensors"),
        ([Input((3,), name="else")], "'m': one of metrics_tensors isn't made of the model's inputs.*'else'"),
        ([3.0], "'m': one of metrics_tensors isn't made of the model's inputs.*'float'"),
    ],
)
def test_what_can_not_be_reported_is_named(tensors, message):
    model, *_ = parts()
    model.metrics_names.append("name")
    model.metrics_tensors.extend(tensors)
    with pytest.raises(ValueError, match=message):
        model.train_on_batch(X, None)


# ---------------------------------------------------------------------- taking off the last layers


def functional(*between):
    """As `chain`, of symbolic tensors."""
    x = output = Input((3,), name="x")
    for layer in (Dense(4, name="first"), *between, Dense(2, name="last")):
        output = layer(output)
    model = Model(x, output, name="m")
    model.compile(SGD(0.1), "mse")
    return model


@pytest.mark.parametrize("make", [chain, functional])
def test_layers_pop_takes_the_last_layer_off_the_model(make):
    model = make(Dropout(0.5, name="drop"))
    hidden = X @ model.layers[-3].get_weights()[0]
    popped = model.layers.pop()
    model.outputs = [model.layers[-1].output]
    model.layers[-1].outbound_nodes = []
    assert (popped.name, model.layers[-1].name, model.output_shape, len(model.weights)) == (
        "last",
        "drop",
        (None, 4),
        2,
    )
    np.testing.assert_allclose(model.predict(X), hidden, rtol=1e-5)
    with pytest.raises(RuntimeError, match="must be compiled first"):
        model.train_on_batch(X, hidden)

    longer = Model(model.input, Dense(5)(model.layers[-1].output))
    longer.compile("sgd", "mse")
    longer.fit(X, np.ones((6, 5)), verbose=0)
    assert model.output_shape == (None, 4)


@pytest.mark.parametrize("make", [chain, functional])
def test_outputs_that_are_assigned_shorten_the_model(make):
    model = make(Dropout(0.5, name="drop"))
    model.outputs = [model.get_layer("first").output]
    assert [layer.name for layer in model.layers][-1] == "first"
    assert model.output_names == ["first"]
    model.compile("sgd", "mse")
    model.train_on_batch(X, np.ones((6, 4)))
    assert type(model).from_config(model.get_config()).output_shape == (None, 4)


def test_the_layers_of_a_network_in_keras_2_move_to_a_sequential_without_the_last():
    base = functional(BatchNormalization(name="norm"))
    base.layers.pop()
    model = Sequential()
    for layer in base.layers:
        layer.trainable = False
        model.add(layer)
    model.add(Dense(7))
    assert (model.output_shape, len(model.trainable_weights), len(model.weights)) == ((None, 7), 2, 8)
    np.testing.assert_allclose(
        Model(model.inputs, model.layers[-2].get_output_at(1)).predict(X), base.predict(X), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda m: m.layers.pop(0),
            ValueError,
            r"'m': layers.pop\(\) takes the last layer off.*Received: index=0 for 3",
        ),
        (lambda m: m.layers.append(Dense(1)), TypeError, "'m': model.layers follows from the graph and is only read"),
        (lambda m: m.layers.__setitem__(0, Dense(1)), TypeError, "is only read"),
        (
            lambda m: [m.layers.pop() for _ in range(3)],
            ValueError,
            r"makes the only output.*Received: <InputLayer 'x'>",
        ),
        (lambda m: setattr(m, "outputs", [3]), TypeError, "'m': outputs must be symbolic tensors.*Received: int 3"),
        (lambda m: setattr(m, "outputs", [Dense(1)(Input((3,)))]), ValueError, "'m': the graph is disconnected"),
    ],
)
def test_other_changes_of_the_layers_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        change(functional())


def test_layers_are_taken_off_where_that_leaves_a_model():
    x = Input((3,))
    several = Model(x, [Dense(1)(x), Dense(2, name="second")(x)], name="m")
    with pytest.raises(ValueError, match=r"makes the only output.*of a model with the outputs .*'second'"):
        several.layers.pop()
    with pytest.raises(ValueError, match="outputs must be the output of one of its layers"):
        chain().outputs = [x]
    assert type(pickle.loads(pickle.dumps(several.layers))) is list


# ---------------------------------------------------------------------- what isn't there


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("to_yaml", r"model\.to_json\(\) holds the same"),
        ("train_function", r"model\.train_on_batch\(x, y\)"),
        ("test_function", r"test_on_batch\(x, y\) take its place"),
        ("run_internal_graph", r"model\(x\)"),
        ("_inbound_nodes", r"get_input_at"),
        ("outbound_nodes", r"get_output_at"),
        ("get_output_shape_for", "compute_output_shape"),
        ("trainable_variables", "trainable_weights"),
        ("constraints", r"weight\.constraint"),
        ("_nodes_by_depth", r"model\.layers are in the order of computation"),
        ("loss_functions", r"model\.total_loss"),
    ],
)
def test_an_attribute_that_is_left_out_says_what_to_write(name, advice):
    with pytest.raises(AttributeError, match=f"Sequential has no attribute '{name}': .*{advice}"):
        getattr(chain(), name)
    assert not hasattr(chain(), name)


def test_model_from_yaml_and_target_tensors_say_what_to_write():
    with pytest.raises(ImportError, match=r"model_from_yaml isn't part of minikeras.*model_from_json"):
        models.model_from_yaml  # noqa: B018
    with pytest.raises(ValueError, match=r"Sequential 'm': target_tensors: give the targets to fit"):
        chain().compile("sgd", "mse", target_tensors=[K.zeros((6, 2))])


def test_class_weights_that_are_to_be_found_out_are_refused():
    with pytest.raises(ValueError, match=r"class_weight must be a dict.*compute_class_weight.*Received: 'auto'"):
        chain().fit(X, Y, class_weight="auto", verbose=0)
