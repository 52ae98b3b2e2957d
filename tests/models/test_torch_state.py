"""State dicts of PyTorch: compared with formulas in NumPy that read PyTorch's layout, and with PyTorch itself."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from minikeras import Input, Model, Sequential, layers
from minikeras.models import from_torch_state_dict, to_torch_state_dict

LAST, FIRST = "channels_last", "channels_first"
RNG = np.random.default_rng(0)


def prepared(model):
    """The model with random weights, and variances above 0."""
    for weight in model.weights:
        values = RNG.normal(0.0, 0.5, weight.shape)
        weight.assign(abs(values) + 0.1 if "variance" in weight.name else values)
    return model


def chain(shape, *made):
    return prepared(Sequential([layers.InputLayer(shape), *made]))


def image(data_format, *space, channels):
    return (*space, channels) if data_format == LAST else (channels, *space)


def channels_first(x, data_format):
    return np.moveaxis(x, -1, 1) if data_format == LAST else x


# ---------------------------------------------------------------------- PyTorch's formulas


def convolved(x, weight, bias, groups=1, stride=1):
    """torch.nn.functional.conv2d: x (N, C, H, W), weight (O, C / groups, h, w)."""
    n, _, rows, columns = x.shape
    outputs, inputs, h, w = weight.shape
    size = ((rows - h) // stride + 1, (columns - w) // stride + 1)
    y = np.zeros((n, outputs, *size))
    for o, i, j in np.ndindex(outputs, *size):
        first = o // (outputs // groups) * inputs
        seen = x[:, first : first + inputs, i * stride : i * stride + h, j * stride : j * stride + w]
        y[:, o, i, j] = (seen * weight[o]).sum(axis=(1, 2, 3)) + bias[o]
    return y


def transposed(x, weight, bias, stride):
    """torch.nn.functional.conv_transpose2d: weight (C, O, h, w)."""
    n, channels, rows, columns = x.shape
    _, outputs, h, w = weight.shape
    y = np.zeros((n, outputs, (rows - 1) * stride + h, (columns - 1) * stride + w)) + bias[:, None, None]
    for c, i, j in np.ndindex(channels, rows, columns):
        y[:, :, i * stride : i * stride + h, j * stride : j * stride + w] += (
            x[:, c, i, j, None, None, None] * weight[None, c]
        )
    return y


def normalized(x, state, name, epsilon):
    """torch.nn.functional.batch_norm outside of training: the channels are axis 1."""
    shape = (1, -1, *(1,) * (x.ndim - 2))
    mean, var, weight, bias = (
        state[f"{name}.{part}"].reshape(shape) for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(var + epsilon) * weight + bias


@pytest.mark.parametrize("data_format", [LAST, FIRST])
def test_a_network_computes_the_same_from_the_state_dict_with_images_of_channels_first(data_format):
    model = chain(
        image(data_format, 7, 6, channels=4),
        layers.Conv2D(6, (3, 2), strides=2, groups=2, data_format=data_format, name="conv"),
        layers.BatchNormalization(-1 if data_format == LAST else 1, name="norm"),
        layers.Flatten(data_format),
        layers.BatchNormalization(name="flat_norm"),
        layers.Dropout(0.5),
        layers.Dense(5, activation="relu", name="hidden"),
        layers.Dense(3, name="out"),
    )
    state = to_torch_state_dict(model)
    x = RNG.normal(size=(2, *model.input_shape[1:])).astype("float32")
    y = convolved(channels_first(x, data_format), state["conv.weight"], state["conv.bias"], groups=2, stride=2)
    y = normalized(y, state, "norm", 1e-3)
    y = normalized(y.reshape(2, -1), state, "flat_norm", 1e-3)
    y = np.maximum(y @ state["hidden.weight"].T + state["hidden.bias"], 0.0)
    y = y @ state["out.weight"].T + state["out.bias"]
    np.testing.assert_allclose(model.predict(x), y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("data_format", [LAST, FIRST])
def test_depthwise_separable_and_transposed_kernels_compute_the_same(data_format):
    model = chain(
        image(data_format, 6, 7, channels=3),
        layers.DepthwiseConv2D(2, depth_multiplier=2, data_format=data_format, name="depth"),
        layers.SeparableConv2D(4, 2, data_format=data_format, name="sep"),
        layers.Conv2DTranspose(3, 3, strides=2, data_format=data_format, name="up"),
        layers.PReLU(shared_axes=[1, 2] if data_format == LAST else [2, 3], name="slopes"),
    )
    state = to_torch_state_dict(model)
    x = RNG.normal(size=(2, *model.input_shape[1:])).astype("float32")
    y = convolved(channels_first(x, data_format), state["depth.weight"], state["depth.bias"], groups=3)
    y = convolved(y, state["sep.depthwise.weight"], np.zeros(6), groups=6)
    y = convolved(y, state["sep.pointwise.weight"], state["sep.pointwise.bias"])
    y = transposed(y, state["up.weight"], state["up.bias"], stride=2)
    y = np.where(y > 0, y, y * state["slopes.weight"][:, None, None])
    np.testing.assert_allclose(channels_first(model.predict(x), data_format), y, rtol=1e-4, atol=1e-5)


def test_features_of_branches_that_are_flattened_and_joined_are_reordered_each_for_itself():
    x = Input((4, 5, 2))
    flat = [layers.Flatten()(layers.Conv2D(n, 2, name=f"c{n}")(x)) for n in (2, 3)]
    model = prepared(Model(x, layers.Dense(3, name="d")(layers.Concatenate()([*flat, layers.Flatten()(x)]))))
    state = to_torch_state_dict(model)
    images = RNG.normal(size=(2, 4, 5, 2)).astype("float32")
    first = images.transpose(0, 3, 1, 2)
    parts = [convolved(first, state[f"c{n}.weight"], state[f"c{n}.bias"]).reshape(2, -1) for n in (2, 3)]
    y = np.concatenate([*parts, first.reshape(2, -1)], axis=1) @ state["d.weight"].T + state["d.bias"]
    np.testing.assert_allclose(model.predict(images), y, rtol=1e-4, atol=1e-5)


def test_sequences_are_turned_only_behind_layers_over_steps():
    def rows_stay(*before, shape):
        model = chain(shape, *before, layers.Flatten(), layers.Dense(3, name="d"))
        return np.array_equal(to_torch_state_dict(model)["d.weight"], model.get_layer("d").kernel.numpy().T)

    assert rows_stay(shape=(4, 3))
    assert rows_stay(layers.Embedding(5, 3), shape=(4,))
    assert rows_stay(layers.Dense(3), shape=(4, 2))
    assert rows_stay(layers.Conv2D(2, 2), layers.GlobalMaxPooling2D(), shape=(4, 4, 2))
    assert rows_stay(layers.Reshape((3, 4)), shape=(12,))
    assert not rows_stay(layers.Conv1D(2, 2), shape=(4, 3))
    assert not rows_stay(layers.MaxPooling1D(2), shape=(4, 3))
    assert not rows_stay(layers.TimeDistributed(layers.Conv2D(2, 2)), shape=(2, 4, 4, 3))
    assert not rows_stay(shape=(4, 4, 3))


def test_the_order_of_features_is_followed_through_sums_operations_repetitions_and_models_of_several_outputs():
    x = Input((4, 4, 3))
    flat = layers.Flatten()(x)
    order = np.arange(48).reshape(4, 4, 3).transpose(2, 0, 1).ravel()
    inner_input = Input((48,))
    inner = Model(inner_input, [layers.Dense(48, name="first")(inner_input), layers.Dropout(0.5)(inner_input)])
    ways = {
        "sum": layers.Add()([flat, layers.Flatten()(layers.Activation("relu")(x))]),
        "operation": 2.0 * flat,
        "repeated": layers.RepeatVector(2)(flat),
        "joined": layers.Concatenate(1)([layers.RepeatVector(2)(flat), layers.RepeatVector(1)(flat)]),
    }
    for name, y in ways.items():
        model = prepared(Model(x, layers.Dense(2, name="d")(y)))
        rows = model.get_layer("d").kernel.numpy()[order]
        np.testing.assert_array_equal(to_torch_state_dict(model)["d.weight"], rows.T, err_msg=name)
    model = prepared(Model(x, layers.Dense(2, name="d")(inner(flat)[0])))
    state = to_torch_state_dict(model)
    np.testing.assert_array_equal(state["d.weight"], model.get_layer("d").kernel.numpy().T)
    np.testing.assert_array_equal(state[f"{inner.name}.first.weight"], inner.get_layer("first").kernel.numpy()[order].T)


def test_images_of_free_size_are_no_obstacle():
    model = chain((None, None, 3), layers.Conv2D(2, 2, name="c"), layers.Flatten())
    assert to_torch_state_dict(model)["c.weight"].shape == (2, 3, 2, 2)


def every_layer(data_format):
    """A network of all layers that PyTorch has modules for, and with a model inside."""
    inner = Sequential(
        [layers.InputLayer((5,)), layers.Dense(4, name="dense"), layers.PReLU(name="prelu")], name="inner"
    )
    return chain(
        image(data_format, 6, 6, channels=2),
        layers.Conv2D(4, 3, padding="same", data_format=data_format, use_bias=False, name="conv"),
        layers.BatchNormalization(-1 if data_format == LAST else 1, scale=False, name="norm"),
        layers.SeparableConv2D(4, 3, data_format=data_format, name="sep"),
        layers.Conv2DTranspose(2, 3, data_format=data_format, name="up"),
        layers.BatchNormalization(-1 if data_format == LAST else 1, scale=False, center=False, name="bare"),
        layers.Flatten(data_format),
        layers.PReLU(name="features"),
        layers.Dense(5, name="out"),
        inner,
    )


@pytest.mark.parametrize("data_format", [LAST, FIRST])
def test_weights_come_back_exactly(data_format):
    model, other = every_layer(data_format), every_layer(data_format)
    from_torch_state_dict(other, to_torch_state_dict(model))
    for array, expected in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(array, expected)


def test_names_are_those_of_layers_and_models():
    assert list(to_torch_state_dict(every_layer(LAST))) == [
        "conv.weight",
        "norm.weight",
        "norm.bias",
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
        "sep.depthwise.weight",
        "sep.pointwise.weight",
        "sep.pointwise.bias",
        "up.weight",
        "up.bias",
        "bare.running_mean",
        "bare.running_var",
        "bare.num_batches_tracked",
        "features.weight",
        "out.weight",
        "out.bias",
        "inner.dense.weight",
        "inner.dense.bias",
        "inner.prelu.weight",
    ]


def two(units=3):
    return chain((4,), layers.Dense(5, name="a"), layers.Dense(units, name="b"))


def test_modules_get_other_names_where_these_are_given():
    model, other = two(), two()
    state = to_torch_state_dict(model, names={"a": "features.0", "b": "head"})
    assert list(state) == ["features.0.weight", "features.0.bias", "head.weight", "head.bias"]
    mixed = {"more.weight": np.zeros(7), **dict(reversed(state.items()))}
    from_torch_state_dict(other, mixed, names={"a": "features.0", "b": "head"})
    np.testing.assert_array_equal(other.get_weights()[2], model.get_weights()[2])


def test_modules_of_other_names_are_matched_in_order():
    model, other = two(), two()
    arrays = to_torch_state_dict(model).values()
    from_torch_state_dict(other, dict(zip(["0.weight", "0.bias", "2.weight", "2.bias"], arrays, strict=True)))
    for array, expected in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(array, expected)


def test_what_does_not_fit_is_shown_in_a_table_and_nothing_is_changed():
    model = two()
    before = model.get_weights()
    with pytest.raises(ValueError, match="the state dict holds weights of another architecture") as caught:
        from_torch_state_dict(model, {**to_torch_state_dict(two(units=4)), "b.scale": np.ones(3)})
    text = str(caught.value)
    assert "b      weight  (3, 5)         (4, 5) in 'b'" in text
    assert "b      scale   -              (3,) in 'b'" in text
    assert "a      weight" not in text
    for array, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, expected)


def shared_between_orders():
    x, shared = Input((4, 4, 3)), layers.Dense(2, name="shared")
    first = layers.Flatten()(x)
    other = layers.Reshape((48,))(x)
    return Model(x, layers.Add()([shared(first), shared(other)]))


def added_in_orders():
    x = Input((4, 4, 3))
    return Model(x, layers.Dense(2)(layers.Add(name="sum")([layers.Flatten()(x), layers.Reshape((48,))(x)])))


class Own(layers.Layer):
    def build(self, input_shape):
        self.add_weight("w", (3,))
        super().build(input_shape)

    def call(self, inputs):
        return inputs


class Program(Model):
    def call(self, inputs):
        return inputs


def program():
    model = Program()
    model.build((None, 3))
    return model


WRONG = {
    "no built model": (lambda: to_torch_state_dict(Sequential([layers.Dense(2)])), RuntimeError, "it isn't built"),
    "a program": (lambda: to_torch_state_dict(program()), ValueError, "a model that is a program"),
    "a layer of one's own": (
        lambda: to_torch_state_dict(chain((3,), Own(name="own"))),
        ValueError,
        "Own 'own': PyTorch has no module for a layer of the class Own",
    ),
    "a locally connected layer": (
        lambda: to_torch_state_dict(chain((4, 3), layers.LocallyConnected1D(2, 2, name="l"))),
        ValueError,
        "LocallyConnected1D 'l': PyTorch has no locally connected layers",
    ),
    "slopes of places": (
        lambda: to_torch_state_dict(chain((4, 4, 3), layers.Conv2D(2, 2), layers.PReLU(name="p"))),
        ValueError,
        r"PReLU 'p': .* have the shape \(3, 3, 2\). Share the axes of space by shared_axes",
    ),
    "a layer on features of two orders": (
        lambda: to_torch_state_dict(shared_between_orders()),
        ValueError,
        "Dense 'shared': it is called on features of different orders",
    ),
    "a sum of features of two orders": (
        lambda: to_torch_state_dict(added_in_orders()),
        ValueError,
        "Add 'sum': its inputs come from images that are flattened in different orders",
    ),
    "a name that isn't there": (
        lambda: to_torch_state_dict(two(), {"c": "d"}),
        ValueError,
        r"names must be those of its modules, \['a', 'b'\]. Received: 'c'",
    ),
    "a name twice": (
        lambda: to_torch_state_dict(two(), {"a": "b"}),
        ValueError,
        "names must give each module one of its own",
    ),
    "a module that isn't there": (
        lambda: from_torch_state_dict(two(), to_torch_state_dict(two()), {"a": "features.0"}),
        ValueError,
        r"the state dict has no module 'features.0', .* It has \['a', 'b'\]",
    ),
    "no dict": (lambda: from_torch_state_dict(two(), [1]), TypeError, "state_dict must be a dict of tensors by name"),
    "text": (
        lambda: from_torch_state_dict(two(), {"a.weight": "x"}),
        TypeError,
        "must hold tensors of numbers. Received: <class 'str'> for 'a.weight'",
    ),
    "a scale where there is none": (
        lambda: from_torch_state_dict(
            chain((2,), layers.BatchNormalization(scale=False, name="n")),
            {f"n.{name}": np.full(2, 2.0) for name in ("weight", "bias", "running_mean", "running_var")},
        ),
        ValueError,
        "a BatchNormalization without scale or center can't take a weight that isn't 1.0 everywhere",
    ),
    "a path": (
        lambda: to_torch_state_dict("m.npz"),
        TypeError,
        "a state dict is made of a model, or read into one.* Received: 'm.npz'",
    ),
}


@pytest.mark.parametrize(("call", "kind", "message"), WRONG.values(), ids=WRONG)
def test_wrong_calls_are_named(call, kind, message):
    with pytest.raises(kind, match=f"(?s){message}"):
        call()


def test_tensors_without_pytorch_are_an_error_that_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"tensors=True\) needs PyTorch: pip install torch"):
        to_torch_state_dict(two(), tensors=True)


# ---------------------------------------------------------------------- with PyTorch itself


def torch_pairs(nn):
    """Models beside what they are in PyTorch, for images, sequences and volumes."""
    for data_format in (LAST, FIRST):
        axis = -1 if data_format == LAST else 1
        yield (
            chain(
                image(data_format, 8, 9, channels=3),
                layers.Conv2D(4, 3, padding="same", activation="relu", data_format=data_format),
                layers.BatchNormalization(axis, epsilon=1e-5),
                layers.MaxPooling2D(2, data_format=data_format),
                layers.DepthwiseConv2D(2, depth_multiplier=2, data_format=data_format),
                layers.SeparableConv2D(5, 2, data_format=data_format, use_bias=False),
                layers.PReLU(shared_axes=[1, 2] if data_format == LAST else [2, 3]),
                layers.Flatten(data_format),
                layers.BatchNormalization(epsilon=1e-5),
                layers.Dense(3),
            ),
            nn.Sequential(
                nn.Conv2d(3, 4, 3, padding="same"),
                nn.ReLU(),
                nn.BatchNorm2d(4),
                nn.MaxPool2d(2),
                nn.Conv2d(4, 8, 2, groups=4),
                nn.Conv2d(8, 8, 2, groups=8, bias=False),
                nn.Conv2d(8, 5, 1, bias=False),
                nn.PReLU(5),
                nn.Flatten(),
                nn.BatchNorm1d(5 * 2 * 2),
                nn.Linear(5 * 2 * 2, 3),
            ),
            data_format,
        )
        yield (
            chain(
                image(data_format, 5, 4, channels=4),
                layers.Conv2DTranspose(6, 3, strides=2, groups=2, data_format=data_format),
                layers.ELU(),
                layers.Conv2D(2, 2, groups=2, dilation_rate=2, data_format=data_format),
            ),
            nn.Sequential(
                nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), nn.ELU(), nn.Conv2d(6, 2, 2, groups=2, dilation=2)
            ),
            data_format,
        )
        yield (
            chain(
                image(data_format, 9, channels=3),
                layers.Conv1D(4, 3, data_format=data_format),
                layers.Conv1DTranspose(2, 2, data_format=data_format),
                layers.Flatten(data_format),
                layers.Dense(3),
            ),
            nn.Sequential(nn.Conv1d(3, 4, 3), nn.ConvTranspose1d(4, 2, 2), nn.Flatten(), nn.Linear(16, 3)),
            data_format,
        )
        yield (
            chain(
                image(data_format, 4, 5, 6, channels=2),
                layers.Conv3D(3, 2, data_format=data_format),
                layers.Conv3DTranspose(2, 2, data_format=data_format),
                layers.Flatten(data_format),
                layers.Dense(3),
            ),
            nn.Sequential(nn.Conv3d(2, 3, 2), nn.ConvTranspose3d(3, 2, 2), nn.Flatten(), nn.Linear(240, 3)),
            data_format,
        )


def both(torch, model, module, data_format):
    x = RNG.normal(size=(2, *model.input_shape[1:])).astype("float32")
    with torch.no_grad():
        y = module.eval()(torch.from_numpy(np.ascontiguousarray(channels_first(x, data_format)))).numpy()
    own = model.predict(x)
    return channels_first(own, data_format) if own.ndim > 2 else own, y


def test_pytorch_computes_the_same_with_the_weights_of_a_model():
    torch = pytest.importorskip("torch")
    for model, module, data_format in torch_pairs(torch.nn):
        ours = to_torch_state_dict(model, tensors=True)
        theirs = dict(zip(module.state_dict(), ours.values(), strict=True))
        module.load_state_dict(theirs, strict=True)
        np.testing.assert_allclose(*both(torch, model, module, data_format), rtol=1e-4, atol=1e-5)


def test_a_model_computes_the_same_with_the_weights_of_pytorch():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    for model, module, data_format in torch_pairs(torch.nn):
        with torch.no_grad():
            for name, tensor in module.state_dict().items():
                if "running" in name:
                    tensor.uniform_(0.5, 1.5)
        from_torch_state_dict(model, module.state_dict())
        np.testing.assert_allclose(*both(torch, model, module, data_format), rtol=1e-4, atol=1e-5)


def test_half_precision_of_pytorch_and_embeddings_are_read():
    torch = pytest.importorskip("torch")
    model = chain((4,), layers.Embedding(7, 3), layers.Conv1D(2, 2), layers.GlobalAveragePooling1D())
    module = torch.nn.ModuleList([torch.nn.Embedding(7, 3), torch.nn.Conv1d(3, 2, 2)]).to(torch.bfloat16)
    from_torch_state_dict(model, module.state_dict())
    words = np.array([[1, 2, 6, 0], [3, 3, 4, 5]])
    with torch.no_grad():
        embedding, conv = module.float()
        y = conv(embedding(torch.from_numpy(words)).transpose(1, 2)).mean(dim=2).numpy()
    np.testing.assert_allclose(model.predict(words), y, rtol=1e-4, atol=1e-6)
