"""Losses, metrics and weights, against computations by hand."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from minikeras import Sequential, Tensor, layers, losses, ops
from minikeras import backend as K
from minikeras.layers.base import Layer
from minikeras.models.objective import average
from tests.models.small import Scale, TwoHeads, blobs, classifier, linear

X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
Y = np.array([1.0, 2.0, 3.0])
ERRORS = np.array([0.5, 0.5, 0.5])  # of linear() on these


def test_the_loss_is_the_mean_over_samples():
    assert linear().test_on_batch(X, Y + 1.5) == pytest.approx(1.0)


def test_sample_weights_divide_by_the_share_of_those_that_are_not_zero():
    weights = np.array([2.0, 0.0, 4.0])
    targets = Y + 0.5 - np.array([1.0, 5.0, 2.0])
    expected = (2.0 * 1.0 + 4.0 * 4.0) / 2
    model = linear()
    assert model.test_on_batch(X, targets, sample_weight=weights) == pytest.approx(expected)
    assert model.test_on_batch(X, targets, sample_weight=weights[:, None]) == pytest.approx(expected)
    assert model.evaluate(X, targets, sample_weight=weights, verbose=0) == pytest.approx(expected)
    assert model.train_on_batch(X, targets, sample_weight=weights) == pytest.approx(expected)


def test_weights_of_zero_alone_give_a_loss_of_zero():
    assert linear().test_on_batch(X, Y, sample_weight=np.zeros(3)) == 0.0


def test_a_sample_of_weight_zero_has_no_influence_on_training():
    one, other = linear(), linear()
    one.train_on_batch(X[:2], Y[:2] + 1)
    other.train_on_batch(X, np.array([2.0, 3.0, 99.0]), sample_weight=np.array([1.0, 1.0, 0.0]))
    np.testing.assert_allclose(one.get_weights()[0], other.get_weights()[0], rtol=1e-6)


@pytest.mark.parametrize("form", ["class numbers", "columns", "one-hot"])
def test_class_weights_multiply_the_samples_of_a_class(form):
    x, labels = blobs()
    y = {"class numbers": labels, "columns": labels[:, None], "one-hot": np.eye(3)[labels]}[form]
    model = classifier(loss="categorical_crossentropy" if form == "one-hot" else "sparse_categorical_crossentropy")
    by_class = {0: 1.0, 1: 2.0, 2: 0.5}
    scores = -np.log(model.predict(x)[np.arange(len(x)), labels])
    expected = np.mean(scores * np.array([1.0, 2.0, 0.5])[labels])
    assert model.train_on_batch(x, y, class_weight=by_class)[0] == pytest.approx(expected, rel=1e-5)


def test_class_and_sample_weights_multiply():
    x, labels = blobs(samples=4)
    one, other = classifier(), classifier()
    other.set_weights(one.get_weights())
    sample_weight = np.array([1.0, 0.0, 2.0, 3.0])
    together = one.train_on_batch(x, labels, sample_weight, class_weight={0: 1.0, 1: 2.0, 2: 0.5})
    alone = other.train_on_batch(x, labels, sample_weight * np.array([1.0, 2.0, 0.5])[labels])
    assert together == pytest.approx(alone)


def test_class_weights_count_in_fit_and_in_its_validation_split():
    x, labels = blobs(samples=20)
    model = classifier(metrics=[])
    by_class = {0: 10.0, 1: 10.0, 2: 10.0}
    plain = model.evaluate(x[16:], labels[16:], verbose=0)
    history = model.fit(x, labels, class_weight=by_class, validation_split=0.2, verbose=0, shuffle=False)
    assert history.history["val_loss"][0] == pytest.approx(10 * plain, rel=0.1)


def test_weights_for_each_step_weight_sequences():
    model = Sequential([Scale(1.0, input_shape=(3, 1))])
    model.compile("sgd", "mse", sample_weight_mode="temporal")
    x = np.array([[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]])
    weights = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 1.0]])
    expected = (1 * 1.0 + 2 * 9.0 + 36.0) / 3
    assert model.test_on_batch(x, np.zeros_like(x), sample_weight=weights) == pytest.approx(expected)


def test_weights_for_samples_average_the_other_axes_first():
    scores = np.arange(6.0).reshape(2, 3)
    assert average(Tensor(scores), np.array([0.0, 3.0])).item() == pytest.approx(3.0 * 4.0)


def test_metrics_ignore_sample_weights_and_weighted_metrics_count_them():
    model = linear(metrics=["mae"], weighted_metrics=["mae"])
    weights = np.array([3.0, 0.0, 0.0])
    targets = Y + 0.5 - np.array([1.0, 2.0, 3.0])
    assert model.metrics_names == ["loss", "mean_absolute_error", "weighted_mean_absolute_error"]
    assert model.test_on_batch(X, targets, sample_weight=weights)[1:] == pytest.approx([2.0, 3.0])


@pytest.mark.parametrize("spelling", ["accuracy", "acc"])
@pytest.mark.parametrize(
    ("units", "activation", "loss", "resolved"),
    [
        (1, "sigmoid", "binary_crossentropy", "binary_accuracy"),
        (1, "sigmoid", "mse", "binary_accuracy"),
        (3, "sigmoid", "binary_crossentropy", "binary_accuracy"),
        (3, "softmax", "categorical_crossentropy", "categorical_accuracy"),
        (3, "softmax", "sparse_categorical_crossentropy", "sparse_categorical_accuracy"),
    ],
)
def test_accuracy_says_what_it_stands_for(spelling, units, activation, loss, resolved):
    model = Sequential([layers.Dense(units, activation=activation, input_dim=2)])
    model.compile("sgd", loss, metrics=[spelling])
    assert model.metrics_names == ["loss", "acc"]
    assert model.metrics_resolved == {"acc": resolved}


def test_accuracy_is_the_share_of_right_predictions():
    x, labels = blobs()
    model = classifier()
    expected = np.mean(model.predict(x).argmax(axis=1) == labels)
    assert model.evaluate(x, labels, batch_size=7, verbose=0)[1] == pytest.approx(expected)


def test_the_same_metric_twice_has_two_names():
    model = linear(metrics=["mae", "mean_absolute_error"])
    assert model.metrics_names == ["loss", "mean_absolute_error", "mean_absolute_error_1"]


def test_losses_and_metrics_can_be_functions():
    def largest_error(y_true, y_pred):
        return ops.max(ops.absolute(y_true - y_pred))

    def half_square(y_true, y_pred):
        return 0.5 * (y_true - y_pred) ** 2

    model = linear(loss=half_square, metrics=[largest_error])
    assert model.metrics_names == ["loss", "largest_error"]
    assert model.train_on_batch(X, Y + np.array([0.5, 0.5, 3.5])) == pytest.approx([0.5 * 9 / 3, 3.0])


def test_a_function_may_return_the_loss_of_the_whole_batch():
    def total(y_true, y_pred):
        return ops.sum((y_true - y_pred) ** 2)

    assert linear(loss=total).train_on_batch(X, Y) == pytest.approx(np.sum(ERRORS**2))


def test_a_partial_of_a_loss_keeps_its_target_shape():
    model = Sequential([layers.Dense(3, input_dim=2)])
    from_logits = functools.partial(losses.sparse_categorical_crossentropy, from_logits=True)
    model.compile("sgd", from_logits, metrics=["acc"])
    x, labels = blobs()
    scores = model.predict(x)
    expected = np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(x)), labels])
    loss, accuracy = model.train_on_batch(x, labels)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert accuracy == np.mean(scores.argmax(axis=1) == labels).astype("float32")


@pytest.mark.parametrize("shape", [(2, 4), (2, 4, 1)])
def test_class_numbers_of_pixels_may_lack_the_last_axis(shape):
    model = Sequential([layers.Activation("softmax", input_shape=(4, 3))])
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert model.test_on_batch(np.zeros((2, 4, 3)), np.zeros(shape)) == pytest.approx(np.log(3.0))


def test_the_loss_keeps_the_type_of_the_model():
    def check(y_true, y_pred):
        seen.append((y_true.dtype, y_pred.dtype))
        return losses.mean_squared_error(y_true, y_pred)

    seen = []
    linear(loss=check).train_on_batch(X, np.array([1, 2, 3]))
    assert seen == [(np.float32, np.float32)]


def test_outputs_take_losses_metrics_and_weights_by_name():
    model = TwoHeads()
    model.compile("sgd", {"double": "mse", "score": "mae"}, metrics={"double": "mae"}, loss_weights={"double": 2.0})
    x = [np.array([[1.0], [1.0]]), np.zeros((2, 1))]
    targets = {"double": np.array([[1.0], [0.0]]), "score": np.ones((2, 1))}
    weights = {"double": np.array([1.0, 0.0])}
    values = model.test_on_batch(x, targets, sample_weight=weights)
    assert model.metrics_names == ["loss", "double_loss", "score_loss", "double_mean_absolute_error"]
    assert values == pytest.approx([2.0 * 1.0 + 1.0, 1.0, 1.0, 1.5])


def test_sample_weights_for_each_output_in_a_list():
    model = TwoHeads()
    model.compile("sgd", "mse")
    x = [np.array([[1.0], [2.0]]), np.zeros((2, 1))]
    weights = [np.array([0.0, 1.0]), np.array([2.0, 2.0])]
    values = model.test_on_batch(x, [np.zeros((2, 1)), np.ones((2, 1))], sample_weight=weights)
    assert values[1:] == pytest.approx([16.0, 2.0])


def test_class_weights_by_the_name_of_an_output():
    model = TwoHeads()
    model.compile("sgd", "mse")
    x = [np.array([[1.0], [1.0]]), np.zeros((2, 1))]
    targets = [np.array([[0.0], [1.0]]), np.ones((2, 1))]
    values = model.train_on_batch(x, targets, class_weight={"double": {0: 3.0, 1: 1.0}})
    assert values[1:] == pytest.approx([(3.0 * 4.0 + 1.0) / 2, 1.0])


@pytest.mark.parametrize(
    ("units", "activation", "loss", "message"),
    [
        (1, "softmax", "mse", "softmax over one unit is always 1"),
        (3, "sigmoid", "categorical_crossentropy", "classes that exclude each other"),
        (3, "softmax", "binary_crossentropy", "takes each class by itself"),
    ],
)
def test_a_last_layer_that_does_not_go_with_the_loss_warns(units, activation, loss, message):
    model = Sequential([layers.Dense(units, activation=activation, input_dim=2, name="last")], name="m")
    with pytest.warns(UserWarning, match=f"Sequential 'm', Dense 'last': .*{message}"):
        model.compile("sgd", loss)
    unbuilt = Sequential([layers.Dense(units), layers.Activation(activation)])
    unbuilt.compile("sgd", loss)
    with pytest.warns(UserWarning, match=message):
        unbuilt.train_on_batch(np.zeros((2, 2)), np.zeros((2, units)))


class TruePositives(Layer):
    """Counts as Keras 2's documentation of stateful metrics does."""

    def __init__(self, name="true_positives", **keywords):
        super().__init__(name=name, **keywords)
        self.stateful = True
        self.reset_states()

    def reset_states(self):
        self.count = 0

    def __call__(self, y_true, y_pred):
        self.count += int(np.sum(y_true.numpy() * np.round(y_pred.numpy())))
        return Tensor(self.count)


def positives():
    model = Sequential([layers.Activation("linear", input_shape=(1,))])
    model.compile("sgd", "mse", metrics=["mae", TruePositives()])
    return model


def test_a_stateful_metric_counts_over_an_epoch_and_begins_anew_with_the_next():
    model = positives()
    x, y = np.array([1.0, 1.0, 0.0, 1.0, 1.0]), np.array([1.0, 0.0, 0.0, 1.0, 1.0])
    assert model.metrics_names == ["loss", "mean_absolute_error", "true_positives"]
    assert model.stateful_metric_names == ["true_positives"]
    assert model.evaluate(x, y, batch_size=2, verbose=0)[2] == 3
    assert model.evaluate(x, y, batch_size=2, verbose=0)[2] == 3
    history = model.fit(x, y, batch_size=2, epochs=2, validation_data=(x[:1], y[:1]), verbose=0).history
    assert history["true_positives"] == [3, 3]
    assert history["val_true_positives"] == [1, 1]
    assert model.train_on_batch(x, y)[2] == 1 + 3  # on batches nothing is reset
    assert model.metrics[1] not in [*model._sublayers()]  # and it is no part of the model


class TruePositivesInK(Layer):
    """The same, word for word as there."""

    def __init__(self, name="true_positives", **kwargs):
        super().__init__(name=name, **kwargs)
        self.stateful = True
        self.true_positives = K.variable(value=0, dtype="int32")

    def reset_states(self):
        K.set_value(self.true_positives, 0)

    def __call__(self, y_true, y_pred):
        y_true = K.cast(y_true, "int32")
        y_pred = K.cast(K.round(y_pred), "int32")
        correct_preds = K.cast(K.equal(y_pred, y_true), "int32")
        true_pos = K.cast(K.sum(correct_preds * y_true), "int32")
        current_true_pos = self.true_positives * 1
        self.add_update(K.update_add(self.true_positives, true_pos), inputs=[y_true, y_pred])
        return current_true_pos + true_pos


def test_a_stateful_metric_makes_its_updates_in_evaluation_too():
    model = Sequential([layers.Dense(1, activation="sigmoid", kernel_initializer="ones", input_shape=(4,))])
    model.compile("adam", "binary_crossentropy", metrics=[TruePositivesInK()])
    x = np.random.default_rng(1).normal(size=(50, 4))
    y = (x[:, :1] > 0).astype(int)
    history = model.fit(x, y, batch_size=10, epochs=2, validation_data=(x, y), verbose=0).history
    expected = int(((model.predict(x) > 0.5) & (y == 1)).sum())
    assert expected > 10  # more than one batch can give
    assert model.evaluate(x, y, batch_size=10, verbose=0)[1] == history["val_true_positives"][-1] == expected
    assert abs(history["true_positives"][-1] - expected) < 5


def test_reset_states_reaches_the_layers_that_keep_a_state():
    class Counter(Layer):
        stateful = True
        count = 5

        def reset_states(self):
            self.count = 0

    model = Sequential([Counter(input_shape=(1,)), layers.Dense(1)])
    model.reset_states()
    assert model.layers[0].count == 0


class Marked(Layer):
    """Marks the entries that aren't 9."""

    def compute_mask(self, inputs, mask=None):
        return ops.not_equal(inputs[..., 0], 9.0)


def test_masks_leave_steps_out_of_losses_and_metrics():
    model = Sequential([Marked(input_shape=(3, 1))])
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mae"])
    x = np.array([[[1.0], [2.0], [9.0]], [[3.0], [9.0], [9.0]]])
    y = np.zeros_like(x)
    loss, plain, weighted = model.test_on_batch(x, y)
    assert (loss, plain, weighted) == pytest.approx((14.0 / 3, 2.0, 2.0))
    weights = np.array([2.0, 0.0])
    loss, plain, weighted = model.test_on_batch(x, y, sample_weight=weights)
    # Keras 2: scores * mask / mean(mask), the mean over the steps, then the weights over the share that isn't zero
    assert loss == pytest.approx(2.0 * (1.0 + 4.0) / 3 / 0.5 / 2 / 0.5)
    assert plain == pytest.approx(2.0)
    assert weighted == pytest.approx(2.0 * (1.0 + 2.0) / 3 / 0.5 / 2 / 0.5)


def test_masks_and_weights_for_steps_go_together():
    model = Sequential([Marked(input_shape=(3, 1))])
    model.compile("sgd", "mse", sample_weight_mode="temporal")
    x = np.array([[[1.0], [2.0], [9.0]], [[3.0], [9.0], [9.0]]])
    weights = np.array([[1.0, 2.0, 5.0], [0.0, 0.0, 1.0]])
    expected = (1.0 * 1.0 + 2.0 * 4.0) / 6 / 0.5 / (4 / 6)
    assert model.test_on_batch(x, np.zeros_like(x), sample_weight=weights) == pytest.approx(expected)


def test_a_mask_of_nothing_gives_a_loss_of_zero():
    assert average(Tensor(np.ones((2, 3))), mask=Tensor(np.zeros((2, 3), bool))).item() == 0.0


def test_a_scalar_of_a_function_knows_no_mask_and_booleans_are_averaged():
    assert average(Tensor(4.0), mask=Tensor(np.zeros((2, 3), bool))).item() == 4.0
    assert average(Tensor(np.array([True, False]))).item() == 0.5
