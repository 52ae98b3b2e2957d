"""FLOPs are those of naive loops, memory that of real outputs, receptive fields what gradients reach."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from minikeras import Model, Sequential, Tensor, ops
from minikeras.layers import (
    Activation,
    Add,
    Average,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Dot,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Input,
    Lambda,
    Layer,
    LeakyReLU,
    LocallyConnected2D,
    Masking,
    MaxPooling2D,
    Multiply,
    Permute,
    RepeatVector,
    Reshape,
    SeparableConv2D,
    Softmax,
    TimeDistributed,
    UpSampling2D,
    ZeroPadding2D,
)


class Counted:
    """A number that counts what is done with it."""

    operations = 0

    def __add__(self, other):
        Counted.operations += 1
        return self

    __radd__ = __mul__ = __rmul__ = __sub__ = __truediv__ = maximum = __add__


def accumulated(*terms):
    """A sum of products, from zero on: a multiplication and an addition for each."""
    total = 0
    for x in terms:
        total = total + x * 1.0
    return total


def loops(make, places, terms, then=0):
    """The operations of a naive loop over the outputs, with the same sum for each."""
    Counted.operations = 0
    for _ in itertools.product(*map(range, places)):
        total = make(*[Counted()] * terms)
        for _ in range(then):
            total = total + Counted()
    return Counted.operations


def summed(*terms):
    total = 0
    for x in terms:
        total = total + x
    return total


# Layer, shape of a sample, operations of the loop that computes it.
FLOPS = {
    "dense": (lambda: Dense(3), (5,), lambda: loops(accumulated, (3,), 5, 1)),
    "dense without bias": (lambda: Dense(3, use_bias=False), (4, 5), lambda: loops(accumulated, (4, 3), 5)),
    "convolution": (lambda: Conv2D(4, (3, 2)), (6, 5, 3), lambda: loops(accumulated, (4, 4, 4), 18, 1)),
    "strides and relu": (
        lambda: Conv2D(4, 3, strides=2, padding="same", activation="relu"),
        (6, 5, 3),
        lambda: loops(accumulated, (3, 3, 4), 27, 2),
    ),
    "groups": (lambda: Conv1D(4, 3, groups=2), (8, 6), lambda: loops(accumulated, (6, 4), 9, 1)),
    "channels first": (
        lambda: Conv2D(4, 3, data_format="channels_first"),
        (2, 6, 5),
        lambda: loops(accumulated, (4, 4, 3), 18, 1),
    ),
    "volume": (lambda: Conv3D(2, 2), (3, 3, 3, 2), lambda: loops(accumulated, (2, 2, 2, 2), 16, 1)),
    "depthwise": (
        lambda: DepthwiseConv2D(3, depth_multiplier=2),
        (5, 5, 3),
        lambda: loops(accumulated, (3, 3, 6), 9, 1),
    ),
    "separable": (
        lambda: SeparableConv2D(4, 3, depth_multiplier=2),
        (5, 5, 3),
        lambda: loops(accumulated, (3, 3, 6), 9) + loops(accumulated, (3, 3, 4), 6, 1),
    ),
    # each input is added to the outputs under its window: 9 x 4 multiply-adds
    "transposed": (
        lambda: Conv2DTranspose(4, 3, strides=2),
        (3, 3, 2),
        lambda: loops(accumulated, (3, 3, 2), 36) + loops(summed, (7, 7, 4), 1),
    ),
    "locally connected": (
        lambda: LocallyConnected2D(4, 3),
        (5, 5, 2),
        lambda: loops(accumulated, (3, 3, 4), 18, 1),
    ),
    "maximum": (lambda: MaxPooling2D(2), (4, 6, 3), lambda: loops(summed, (2, 3, 3), 4)),
    "mean": (lambda: AveragePooling2D(3, strides=1), (4, 6, 3), lambda: loops(summed, (2, 4, 3), 9, 1)),
    "global maximum": (lambda: GlobalMaxPooling2D(), (4, 6, 3), lambda: loops(summed, (3,), 24)),
    "global maximum, kept": (lambda: GlobalMaxPooling2D(keepdims=True), (4, 6, 3), lambda: loops(summed, (3,), 24)),
    "global mean": (lambda: GlobalAveragePooling2D(), (4, 6, 3), lambda: loops(summed, (3,), 24, 1)),
    "normalization": (lambda: BatchNormalization(), (4, 3), lambda: loops(accumulated, (4, 3), 1)),
    "softmax": (lambda: Softmax(), (7,), lambda: 5 * 7),
    "activation": (lambda: Activation("tanh"), (7, 2), lambda: 14),
    "linear": (lambda: Activation("linear"), (7, 2), lambda: 0),
    "leaky": (lambda: LeakyReLU(), (7, 2), lambda: 14),
    "masking": (lambda: Masking(), (7, 2), lambda: 14),
    # rows first, 6 x 3, then columns, 6 x 9; each average is two multiplications and an addition
    "bilinear": (lambda: UpSampling2D((2, 3), interpolation="bilinear"), (3, 3, 1), lambda: 3 * (6 * 3 + 6 * 9)),
    "one axis bilinear": (lambda: UpSampling2D((2, 1), interpolation="bilinear"), (3, 3, 1), lambda: 3 * 6 * 3),
    "dropout": (lambda: Dropout(0.5), (7, 2), lambda: 0),
    "padding": (lambda: ZeroPadding2D(), (7, 2, 1), lambda: 0),
    "shape": (lambda: RepeatVector(3), (7,), lambda: 0),
    "steps": (lambda: TimeDistributed(Dense(3)), (6, 5), lambda: 6 * loops(accumulated, (3,), 5, 1)),
    "a model": (
        lambda: Sequential([Dense(3, input_shape=(5,)), Dense(2)]),
        (5,),
        lambda: loops(accumulated, (3,), 5, 1) + loops(accumulated, (2,), 3, 1),
    ),
}


@pytest.mark.parametrize("name", FLOPS)
def test_flops_are_the_operations_of_a_naive_loop(name):
    make, shape, operations = FLOPS[name]
    x = Input(shape)
    layer = make()
    assert Model(x, layer(x)).statistics()[layer.name].flops == operations()


@pytest.mark.parametrize(
    ("layer", "flops"),
    [
        (Add(), 2 * 12),
        (Average(), 3 * 12),
        (Multiply(), 2 * 12),
        (Concatenate(), 0),
    ],
)
def test_flops_of_layers_that_merge(layer, flops):
    inputs = [Input((3, 4)) for _ in range(3)]
    assert Model(inputs, layer(inputs)).statistics().flops == flops


def test_flops_of_dot_count_products_and_norms():
    inputs = [Input((5,)), Input((5,))]
    assert Model(inputs, Dot(1)(inputs)).statistics().flops == 2 * 5
    # of each vector: 5 squares and 5 sums, a root, 5 divisions
    assert Model(inputs, Dot(1, normalize=True)(inputs)).statistics().flops == 2 * 5 + 2 * (5 + 5 + 1 + 5)


def test_flops_of_a_well_known_network():
    """LeNet-5 as Keras's mnist_cnn has it; multiply-adds by hand: 26*26*32*9, 24*24*64*288, 9216*128, 128*10."""
    model = Sequential(
        [
            Conv2D(32, 3, input_shape=(28, 28, 1), use_bias=False),
            Conv2D(64, 3, use_bias=False),
            MaxPooling2D(2),
            Flatten(),
            Dense(128, use_bias=False),
            Dense(10, use_bias=False),
        ]
    )
    comparisons = 24 * 24 * 64
    assert model.statistics().flops == 2 * (194_688 + 10_616_832 + 1_179_648 + 1_280) + comparisons


def test_a_layer_of_several_calls_counts_them_all():
    shared, inputs = Dense(3, name="shared"), [Input((5,)), Input((5,))]
    model = Model(inputs, Add()([shared(x) for x in inputs]))
    assert model.statistics()["shared"].flops == 2 * 3 * 11
    assert model.statistics()["shared"].activation_bytes == 2 * 3 * 4


# ---------------------------------------------------------------------- memory


def small_network():
    x = Input((8, 8, 2), name="x")
    y = Conv2D(3, 3, padding="same", activation="relu")(x)
    y = Add()([y, BatchNormalization()(Conv2D(3, 3, padding="same")(y))])
    y = Flatten()(MaxPooling2D(2)(y))
    return Model(x, [Dense(4, activation="softmax")(y), Dense(1)(y)])


def test_memory_is_that_of_the_real_outputs():
    model = small_network()
    made = [layer for layer in model.layers if layer.name != "x"]
    outputs = Model(model.input, [layer.output for layer in made])(np.zeros((1, 8, 8, 2), "float32"))
    found = model.statistics()
    assert [found[layer.name].activation_bytes for layer in made] == [output.data.nbytes for output in outputs]
    assert found.activation_bytes == sum(output.data.nbytes for output in outputs)
    assert found["x"].activation_bytes == 0


def test_memory_of_a_model_inside_is_that_of_its_layers_for_each_step():
    inner = Sequential([Dense(6, input_shape=(3,)), Dense(2)], name="inner")
    x = Input((5, 3))
    assert Model(x, TimeDistributed(inner)(x)).statistics().activation_bytes == 5 * (6 + 2) * 4
    y = Input((3,))
    assert Model(y, inner(y)).statistics()["inner"].activation_bytes == (6 + 2) * 4


def test_memory_follows_the_dtype():
    model = Sequential([Dense(6, input_shape=(3,), dtype="float64")])
    assert model.statistics().activation_bytes == 48


# ---------------------------------------------------------------------- receptive fields


def positive(model):
    """The model with all weights 1, so that no gradient cancels; variances and means stay."""
    for layer in model._flatten():
        for weight in layer._trainable_weights:
            weight.assign(np.ones(weight.shape))
    return model


def measured(model, shape):
    """The largest extent, over all outputs, of the inputs with a gradient, along each axis of space."""
    positive(model)
    x = Tensor(np.random.default_rng(0).uniform(0.5, 1.0, (1, *shape)).astype("float64"), requires_grad=True)
    y = model(x)
    largest = [0, 0]
    for place in itertools.product(*map(range, y.shape[1:3])):
        x.grad = None
        ops.sum(model(x)[(slice(None), *place)]).backward()
        seen = np.argwhere(x.grad.data[0].any(axis=-1))
        if not seen.size:
            continue  # a place between those that the adjoint fills
        largest = [max(a, b) for a, b in zip(largest, np.ptp(seen, axis=0) + 1, strict=True)]
    return tuple(largest)


def joined(*paths, merge=Add):
    """Layers on one input whose outputs are merged."""

    def build(x):
        ends = []
        for path in paths:
            y = x
            for layer in path:
                y = layer(y)
            ends.append(y)
        return merge()(ends)

    return build


def line(*layers):
    def build(x):
        for layer in layers:
            x = layer(x)
        return x

    return build


def average(size, **keywords):
    return AveragePooling2D(size, **keywords)  # reads all of its window, as a maximum doesn't by its gradient


FIELDS = {
    "two convolutions": (lambda: line(Conv2D(2, 3), Conv2D(1, (3, 2))), (5, 4), (1, 1)),
    "strides": (lambda: line(Conv2D(2, 3, strides=2, padding="same"), Conv2D(1, 3)), (7, 7), (2, 2)),
    "dilation": (lambda: line(Conv2D(1, 3, dilation_rate=2), Conv2D(1, 3)), (7, 7), (1, 1)),
    "pooling": (lambda: line(Conv2D(1, 3), average(2), Conv2D(1, 3)), (8, 8), (2, 2)),
    "residual": (
        lambda: joined([Conv2D(1, 3, padding="same"), Conv2D(1, 3, padding="same")], [Conv2D(1, 1)]),
        (5, 5),
        (1, 1),
    ),
    "shifted paths": (lambda: joined([Cropping2D(((4, 0), (0, 4)))], [Cropping2D(((0, 4), (4, 0)))]), (5, 5), (1, 1)),
    "transposed": (lambda: line(Conv2D(1, 3), Conv2DTranspose(1, 3, strides=2, padding="same")), (4, 4), (0.5, 0.5)),
    "adjoint with gaps": (lambda: line(Conv2DTranspose(1, 2, strides=3)), (1, 1), (1 / 3, 1 / 3)),
    "nearest": (lambda: line(UpSampling2D(2), Conv2D(1, 4)), (3, 3), (0.5, 0.5)),
    "down after up": (lambda: line(UpSampling2D(2), Conv2D(1, 2, strides=2)), (1, 1), (1, 1)),
    "bilinear": (lambda: line(UpSampling2D((2, 3), interpolation="bilinear")), (2, 2), (0.5, 1 / 3)),
    "padding": (lambda: line(ZeroPadding2D(2), Conv2D(1, 5)), (5, 5), (1, 1)),
    "depthwise": (lambda: line(DepthwiseConv2D(3), SeparableConv2D(1, 3)), (5, 5), (1, 1)),
    "concatenated": (
        lambda: line(joined([Conv2D(1, 5, padding="same")], [Conv2D(1, 1)], merge=Concatenate), Conv2D(1, 3)),
        (7, 7),
        (1, 1),
    ),
    "axes exchanged": (lambda: line(Conv2D(1, (3, 1)), Permute((2, 1, 3)), Conv2D(1, (1, 5))), (7, 1), (1, 1)),
    "a model inside": (
        lambda: line(
            Sequential([Conv2D(1, 3, strides=2, input_shape=(15, 15, 2)), BatchNormalization()]), Conv2D(1, 3)
        ),
        (7, 7),
        (2, 2),
    ),
}


@pytest.mark.parametrize("name", FIELDS)
def test_the_receptive_field_is_what_a_gradient_reaches(name):
    make, size, jump = FIELDS[name]
    x = Input((15, 15, 2), name="x", dtype="float64")
    model = Model(x, make()(x))
    field = model.statistics()[model.layers[-1].name].receptive_fields["x"]
    assert field.size == size
    assert [float(step) for step in field.jump] == pytest.approx(list(jump))
    assert measured(model, (15, 15, 2)) == size


def test_the_receptive_field_of_a_line_is_that_of_the_formula():
    """Araujo et al. 2019, equation 2: the sum of (k - 1) times the strides before, and 1."""
    sizes = [(3, 1), (3, 2), (5, 1), (3, 2), (3, 1)]
    model = Sequential([Conv1D(2, k, strides=s, padding="same") for k, s in sizes])
    model.build((None, 64, 1))
    jumps = [math.prod(s for _, s in sizes[:i]) for i in range(len(sizes))]
    expected = 1 + sum((k - 1) * jump for (k, _), jump in zip(sizes, jumps, strict=True))
    (field,) = model.statistics()[model.layers[-1].name].receptive_fields.values()
    assert (field.size, field.jump) == ((expected,), (4,))


@pytest.mark.parametrize(
    ("build", "shown"),
    [
        (line(Conv2D(2, 3), Flatten()), "3×3"),
        (line(Conv2D(2, 3), Flatten(), Dense(3)), "all"),
        (line(Conv2D(2, 3), GlobalAveragePooling2D()), "all"),
        (line(Conv2D(2, 3), GlobalAveragePooling2D(keepdims=True), Conv2D(3, 1)), "all"),
        (line(Conv2D(2, 3), Reshape((13, 13, 2, 1))), "3×3"),
        (line(Conv2D(2, 3), Lambda(lambda x: x)), None),
        (joined([Conv2D(2, 3)], [GlobalAveragePooling2D(), Reshape((1, 1, 2))], merge=Multiply), "all"),
        (line(TimeDistributed(Conv1D(2, 5)), Conv2D(2, 1)), "1×5"),
    ],
)
def test_receptive_fields_of_what_flattens_widens_or_is_not_known(build, shown):
    x = Input((15, 15, 2), name="x")
    model = Model(x, build(x))
    fields = model.statistics()[model.layers[-1].name].receptive_fields
    assert (fields if fields is None else str(fields["x"])) == shown


def test_receptive_fields_are_told_apart_by_the_input():
    a, b = Input((15, 1), name="a"), Input((15, 1), name="b")
    model = Model([a, b], Add(name="sum")([Conv1D(1, 3)(a), Conv1D(1, 3, dilation_rate=1)(Conv1D(1, 1)(b))]))
    fields = model.statistics()["sum"].receptive_fields
    assert {name: field.size for name, field in fields.items()} == {"a": (3,), "b": (3,)}


def test_steps_of_words_are_places():
    model = Sequential([Embedding(20, 4, input_length=10), Conv1D(3, 5)])
    (field,) = model.statistics()[model.layers[1].name].receptive_fields.values()
    assert field.size == (5,)


# ---------------------------------------------------------------------- what isn't known


class Doubled(Layer):
    def call(self, inputs):
        return 2.0 * inputs


class Said(Doubled):
    def flops(self, input_shape, output_shape):
        return math.prod(output_shape[1:])


class OtherDense(Dense):
    def call(self, inputs):
        return super().call(super().call(inputs))


def test_a_layer_of_the_user_says_its_flops_or_is_not_known():
    x = Input((4,))
    model = Model(x, OtherDense(4, name="other")(Said(name="said")(Doubled(name="doubled")(x))))
    found = model.statistics()
    assert [found[name].flops for name in ("doubled", "said", "other")] == [None, 4, None]
    assert found.flops is None
    assert found.unknown("flops") == ["doubled", "other"]
    steps = Input((3, 4))
    assert Model(steps, TimeDistributed(OtherDense(4))(steps)).statistics().flops is None


def test_a_model_with_a_call_of_its_own_is_not_known():
    class Own(Model):
        def call(self, inputs):
            return 2.0 * inputs

    x = Input((4,))
    found = Model(x, Own(name="own")(x)).statistics()["own"]
    assert (found.flops, found.activation_bytes, found.receptive_fields) == (None, None, None)


def test_operations_between_layers_are_counted_as_not_known():
    x = Input((4,))
    found = Model(x, Dense(2)(ops.exp(x))).statistics()
    assert found.unknown("flops") == [found.operations[0].name]
    assert found.activation_bytes == (4 + 2) * 4


def test_free_sizes_are_known_with_an_input_shape():
    model = Sequential([Conv2D(4, 3, input_shape=(None, None, 3)), MaxPooling2D(2)])
    assert model.statistics().flops is None
    assert model.statistics((None, 10, 10, 3)).flops == 8 * 8 * 4 * (2 * 27 + 1) + 4 * 4 * 4 * 4
    assert model.statistics((None, 10, 10, 3)).activation_bytes == (8 * 8 + 4 * 4) * 4 * 4


def test_an_input_shape_that_does_not_fit_is_refused():
    model = Sequential([Conv2D(4, 3, input_shape=(None, None, 3))])
    for shape in ((None, 10, 10, 4), (10, 10, 3), [(None, 9, 9, 3)] * 2, 5, "abc", [(None, 9, 9, 3), 4]):
        with pytest.raises(ValueError, match=r"statistics: input_shape must fit that of the model.*Received"):
            model.statistics(shape)


def test_a_name_that_is_not_there_is_told():
    with pytest.raises(KeyError, match="there is no layer 'x', only"):
        Sequential([Dense(1, input_shape=(1,))]).statistics()["x"]


# ---------------------------------------------------------------------- the table


def table(model, **arguments):
    lines = []
    model.summary(print_fn=lines.append, **arguments)
    return lines


def test_summary_shows_the_columns_that_are_asked_for():
    model = Sequential(
        [
            Conv2D(4, 3, name="a", input_shape=(9, 9, 1)),
            MaxPooling2D(2, name="b"),
            UpSampling2D(2, name="c"),
            Lambda(lambda x: x, name="d"),
        ],
        name="m",
    )
    lines = table(model, flops=True, memory=True, receptive_field=True)
    rows = [line.split() for line in lines[2:8]]
    assert rows[0][-5:] == ["FLOPs", "Activations", "Receptive", "field", "Jump"]
    assert rows[2][-5:] == ["3,724", "784", "B", "3×3", "1×1"]
    assert rows[3][-5:] == ["144", "144", "B", "4×4", "2×2"]
    assert rows[4][-5:] == ["0", "576", "B", "4×4", "1×1"]
    assert rows[5][-5:] == ["?", "576", "B", "?", "?"]
    assert lines[-2:] == ["FLOPs for one sample: at least 3,868; not known of d", "Activations for one sample: 2.0 KiB"]
    assert len({line.index("3×3") for line in lines if "3×3" in line} | {lines[2].index("Receptive")}) == 1


def test_summary_without_them_is_as_before():
    model = small_network()
    assert not any("FLOPs" in line or "Activations" in line for line in table(model))


def test_summary_cuts_nothing_with_all_columns_and_connections():
    lines = table(small_network(), flops=True, memory=True, receptive_field=True)
    assert not any("…" in line for line in lines)
    assert sum("batch_normalization" in line.split()[-1] for line in lines) == 1


def test_summary_of_a_model_that_is_not_built_shows_questions():
    lines = table(Sequential([Dense(3, name="a")]), flops=True)
    assert lines[4].split() == ["a", "(Dense)", "?", "?", "?"]


def test_columns_are_asked_for_by_name_and_by_flags():
    with pytest.raises(TypeError):
        small_network().summary(None, None, None, True)
    with pytest.raises(TypeError, match=r"summary: flops must be True or False. Received: 'yes'"):
        small_network().summary(flops="yes")
