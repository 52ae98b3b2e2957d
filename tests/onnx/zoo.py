"""Models of one or a few layers, with every layer that minikeras has and the arguments that change what it computes."""

from __future__ import annotations

import functools
import inspect
import itertools
import warnings

import numpy as np

import minikeras
from minikeras import Input, Model, Sequential, layers, ops

ACTIVATIONS = [
    name
    for name, item in vars(minikeras.activations).items()
    if inspect.isfunction(item) and item.__module__ == "minikeras.activations" and name not in ("get", "fused_name")
]
LAST, FIRST = "channels_last", "channels_first"


def chain(shape, *made, dtype=None):
    """A Sequential of layers for samples of a shape."""
    return Sequential([layers.InputLayer(shape, dtype=dtype), *made])


def image(data_format, *space, channels=3):
    return (*space, channels) if data_format == LAST else (channels, *space)


def merged(layer, *shapes):
    inputs = [Input(shape) for shape in shapes]
    return Model(inputs, layer(inputs))


def convolutions():
    sizes = {1: (11,), 2: (9, 8), 3: (6, 5, 7)}
    kinds = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}
    settings = {
        "": {},
        "same": {"padding": "same"},
        "same, strides": {"padding": "same", "strides": 2},
        "strides": {"strides": 3, "activation": "relu"},
        "dilated": {"padding": "same", "dilation_rate": 2, "use_bias": False},
        "groups": {"groups": 2, "activation": "tanh"},
    }
    for (rank, make), (what, keywords), data_format in itertools.product(
        kinds.items(), settings.items(), (LAST, FIRST)
    ):
        if rank == 3 and what == "dilated":
            keywords = {**keywords, "kernel_size": 2}
        size = {"kernel_size": 3, **keywords}
        shape = image(data_format, *sizes[rank], channels=4)
        yield f"Conv{rank}D {what} {data_format}", chain(shape, make(6, data_format=data_format, **size))
    yield "Conv1D causal", chain((10, 3), layers.Conv1D(4, 3, padding="causal", dilation_rate=2))
    yield "Conv2D uneven", chain((9, 12, 2), layers.Conv2D(4, (2, 5), strides=(3, 1), padding="same"))
    yield "Conv2D of free sizes", chain((None, None, 2), layers.Conv2D(4, 3, strides=2, padding="same"))


def transposed():
    sizes = {1: (5,), 2: (4, 5), 3: (3, 4, 2)}
    kinds = {1: layers.Conv1DTranspose, 2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}
    settings = {
        "": {},
        "same": {"padding": "same"},
        "same, strides": {"padding": "same", "strides": 2, "activation": "relu"},
        "strides wider than the window": {"strides": 3, "kernel_size": 2, "padding": "same"},
        "strides": {"strides": 2, "use_bias": False},
        "dilated": {"dilation_rate": 2, "padding": "same"},
        "output padding": {"strides": 3, "output_padding": 1},
        "same, output padding": {"strides": 3, "output_padding": 2, "padding": "same"},
        "groups": {"groups": 2},
    }
    for (rank, make), (what, keywords), data_format in itertools.product(
        kinds.items(), settings.items(), (LAST, FIRST)
    ):
        size = {"kernel_size": 3, **keywords}
        shape = image(data_format, *sizes[rank], channels=4)
        yield f"Conv{rank}DTranspose {what} {data_format}", chain(shape, make(6, data_format=data_format, **size))
    yield "Conv2DTranspose of free sizes", chain((None, None, 2), layers.Conv2DTranspose(3, 3, strides=2))


def depthwise():
    one = (layers.DepthwiseConv1D, (9,)), (layers.DepthwiseConv2D, (7, 8))
    two = (layers.SeparableConv1D, (9,)), (layers.SeparableConv2D, (7, 8))
    settings = {
        "": {},
        "same": {"padding": "same", "depth_multiplier": 2},
        "strides": {"padding": "same", "strides": 2, "activation": "relu"},
        "dilated": {"dilation_rate": 2, "use_bias": False},
    }
    for (what, keywords), data_format in itertools.product(settings.items(), (LAST, FIRST)):
        for make, size in one:
            layer = make(3, data_format=data_format, **keywords)
            yield f"{make.__name__} {what} {data_format}", chain(image(data_format, *size), layer)
        for make, size in two:
            layer = make(5, 3, data_format=data_format, **keywords)
            yield f"{make.__name__} {what} {data_format}", chain(image(data_format, *size), layer)
    yield "SeparableConv1D causal", chain((9, 2), layers.SeparableConv1D(3, 3, padding="causal"))


def local():
    for data_format in (LAST, FIRST):
        keywords = {"data_format": data_format, "strides": 2, "activation": "relu"}
        yield (
            f"LocallyConnected1D {data_format}",
            chain(image(data_format, 9), layers.LocallyConnected1D(4, 3, **keywords)),
        )
        shape = image(data_format, 7, 6)
        yield f"LocallyConnected2D {data_format}", chain(shape, layers.LocallyConnected2D(4, (3, 2), **keywords))
    layer = layers.LocallyConnected2D(4, 3, use_bias=False, data_format=FIRST)
    yield "LocallyConnected2D between others", chain((3, 7, 7), layer, layers.Conv2D(2, 2, data_format=FIRST))


def space():
    sizes = {1: (9,), 2: (7, 8), 3: (4, 6, 5)}
    for rank, data_format in itertools.product((1, 2, 3), (LAST, FIRST)):
        shape = image(data_format, *sizes[rank])
        for kind, padding, strides in itertools.product(("Max", "Average"), ("valid", "same"), (None, 1, 3)):
            layer = getattr(layers, f"{kind}Pooling{rank}D")(2, strides, padding, data_format=data_format)
            yield f"{kind}Pooling{rank}D {padding} {strides} {data_format}", chain(shape, layer)
        for kind in ("Max", "Average"):
            layer = getattr(layers, f"Global{kind}Pooling{rank}D")(data_format=data_format)
            yield f"Global{kind}Pooling{rank}D {data_format}", chain(shape, layer)
            layer = getattr(layers, f"Global{kind}Pooling{rank}D")(data_format=data_format, keepdims=True)
            yield f"Global{kind}Pooling{rank}D kept {data_format}", chain(shape, layer)
        pairs = ((1, 0), (2, 1), (0, 2))[:rank]
        pairs = pairs[0] if rank == 1 else pairs
        for kind, factor in (
            ("Cropping", pairs),
            ("ZeroPadding", pairs),
            ("UpSampling", 2 if rank == 1 else (2, 3, 1)[:rank]),
        ):
            layer = getattr(layers, f"{kind}{rank}D")(factor, data_format=data_format)
            yield f"{kind}{rank}D {data_format}", chain(shape, layer)
        if rank == 2:
            for centred in (True, False):
                layer = layers.UpSampling2D((2, 3), data_format, "bilinear", half_pixel_centers=centred)
                yield f"UpSampling2D bilinear {centred} {data_format}", chain(shape, layer)
    free = chain((None, None, 2), layers.AveragePooling2D(3, 2, "same"), layers.UpSampling2D(interpolation="bilinear"))
    yield "AveragePooling2D of free sizes", free
    yield "GlobalAveragePooling2D of free sizes", chain((None, None, 2), layers.GlobalAveragePooling2D())


def normalizations():
    for axis in (-1, 1, 2):
        yield f"BatchNormalization {axis}", chain((4, 5, 3), layers.BatchNormalization(axis))
    yield "BatchNormalization of steps", chain((6, 3), layers.BatchNormalization())
    yield "BatchNormalization of channels", chain((5,), layers.BatchNormalization())
    bare = layers.BatchNormalization(scale=False, center=False, epsilon=0.1)
    yield "BatchNormalization bare", chain((5, 5, 3), bare)
    yield "BatchNormalization behind Conv2D", chain((5, 5, 3), layers.Conv2D(4, 2), layers.BatchNormalization())
    first = [layers.Conv2D(4, 2, data_format=FIRST), layers.BatchNormalization(axis=1)]
    yield "BatchNormalization behind channels first", chain((3, 5, 5), *first)


def activations():
    for name in ACTIVATIONS:
        yield f"Activation {name}", chain((4, 5), layers.Activation(name))
        yield f"Dense {name}", chain((5,), layers.Dense(4, activation=name))
        yield f"Conv2D {name}", chain((5, 6, 2), layers.Conv2D(3, 2, activation=name))
    for function, settings in (
        ("relu", {"alpha": 0.1, "max_value": 0.6, "threshold": -0.2}), ("elu", {"alpha": 0.5}),
        ("softmax", {"axis": 1}), ("gelu", {"approximate": True}), ("celu", {"alpha": 0.5}),
        ("leaky_relu", {"negative_slope": 0.3}), ("hard_shrink", {"threshold": 0.2}), ("log_softmax", {"axis": 1}),
        ("soft_shrink", {"threshold": 0.2}),
    ):  # fmt: skip
        partial = functools.partial(getattr(minikeras.activations, function), **settings)
        yield f"{function} {settings}", chain((4, 5), layers.Conv1D(3, 2, activation=partial))
    for settings in (
        {}, {"max_value": 1.0}, {"negative_slope": 0.2}, {"threshold": 0.5}, {"negative_slope": 0.2, "threshold": -0.5},
        {"negative_slope": 0.2, "threshold": 0.3, "max_value": 0.7},
    ):  # fmt: skip
        yield f"ReLU {settings}", chain((4, 5), layers.ReLU(**settings))
    yield "LeakyReLU", chain((4, 5), layers.LeakyReLU(0.2))
    yield "ELU", chain((4, 5), layers.ELU(0.7))
    yield "ThresholdedReLU", chain((4, 5), layers.ThresholdedReLU(0.4))
    for axis in (1, 2, -1):
        yield f"Softmax {axis}", chain((4, 5), layers.Softmax(axis))
    yield "Softmax behind Conv2D", chain((5, 6, 2), layers.Conv2D(3, 2), layers.Softmax())
    for shared in (None, [1], [1, 2], [3]):
        layer = layers.PReLU("uniform", shared_axes=shared)
        yield f"PReLU {shared}", chain((4, 5, 3), layer)
        layer = layers.PReLU("uniform", shared_axes=shared)
        yield f"PReLU {shared} behind Conv2D", chain((4, 5, 3), layers.Conv2D(2, 2), layer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras advises against it
        yield "a layer as an activation", chain((5,), layers.Dense(4, activation=layers.LeakyReLU(0.1)))


def shapes():
    yield "Dense", chain((5,), layers.Dense(4, use_bias=False))
    yield "Dense of steps", chain((3, 5), layers.Dense(4))
    yield "Dense of places", chain((4, 4, 5), layers.Conv2D(3, 2), layers.Dense(4), layers.Conv2D(2, 2))
    for data_format in (LAST, FIRST):
        shape = image(data_format, 5, 6)
        conv = layers.Conv2D(4, 2, data_format=data_format)
        yield f"Flatten {data_format}", chain(shape, conv, layers.Flatten(data_format), layers.Dense(3))
    yield "Flatten of other data", chain((3, 5, 6), layers.Conv2D(4, 2, data_format=FIRST), layers.Flatten(LAST))
    yield "Flatten of channels", chain((5,), layers.Flatten())
    yield "Reshape", chain((4, 6), layers.Reshape((2, 3, 4)), layers.Reshape((-1, 2)))
    yield "Reshape of free sizes", chain((None, 6), layers.Reshape((-1, 3, 2)))
    yield "Reshape to an image", chain((12,), layers.Reshape((2, 2, 3)), layers.Conv2DTranspose(2, 3))
    yield "Permute", chain((4, 5, 6), layers.Permute((3, 1, 2)), layers.Dense(2))
    yield (
        "Permute before Conv2D",
        chain((3, 5, 6), layers.Permute((2, 3, 1)), layers.Conv2D(2, 2), layers.Permute((3, 1, 2))),
    )
    yield "RepeatVector", chain((4,), layers.RepeatVector(3), layers.Conv1D(2, 2))
    yield "Embedding", chain((6,), layers.Embedding(7, 3))
    yield "Embedding of free length", chain((None,), layers.Embedding(7, 3), layers.Conv1D(2, 3, padding="same"))
    yield "Embedding of integers", chain((6,), layers.Embedding(7, 3), dtype="int32")
    dropped = [layers.Dropout(0.5), layers.GaussianNoise(1.0), layers.GaussianDropout(0.3), layers.AlphaDropout(0.2)]
    yield "noise", chain((4,), layers.Dense(3), *dropped, layers.ActivityRegularization(0.1), layers.Dense(2))
    yield "SpatialDropout1D", chain((4, 2), layers.SpatialDropout1D(0.5), layers.Conv1D(2, 2))
    yield "SpatialDropout2D", chain((4, 4, 2), layers.SpatialDropout2D(0.5), layers.Conv2D(2, 2))
    yield "SpatialDropout3D", chain((3, 3, 3, 2), layers.SpatialDropout3D(0.5), layers.Conv3D(2, 2))
    yield "nothing at all", chain((4,), layers.Dropout(0.5))


def merges():
    for kind in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Concatenate"):
        yield kind, merged(getattr(layers, kind)(), (4, 3), (4, 3), (4, 3))
    yield "Subtract", merged(layers.Subtract(), (4, 3), (4, 3))
    yield "Add of other ranks", merged(layers.Add(), (3,), (4, 3))
    yield "Multiply by one size", merged(layers.Multiply(), (4, 5, 1), (4, 5, 3))
    yield "Concatenate along 1", merged(layers.Concatenate(1), (4, 3), (2, 3))
    for axes, normalize in (((1, 1), False), ((2, 2), True), ((2, 1), False), (-1, True)):
        shapes = ((4, 3), (3, 5)) if axes == (2, 1) else ((4, 3), (4, 3))
        yield f"Dot {axes} {normalize}", merged(layers.Dot(axes, normalize), *shapes)
    yield "Dot of vectors", merged(layers.Dot(1), (4,), (4,))
    yield "Dot of three axes", merged(layers.Dot((3, 1)), (2, 4, 3), (3, 5))
    yield "Dot of free sizes", merged(layers.Dot((2, 2)), (None, 3), (None, 3))


def graphs():
    x = Input((6, 6, 3))
    a = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    b = layers.Conv2D(4, 3, padding="same")(a)
    yield "residual", Model(x, layers.GlobalAveragePooling2D()(layers.Add()([a, b])))
    x = Input((6, 6, 3))
    branches = [layers.Conv2D(2, size, padding="same")(x) for size in (1, 3)]
    joined = layers.Concatenate()([*branches, layers.MaxPooling2D(3, 1, "same")(x)])
    yield "inception", Model(x, layers.Conv2D(2, 1)(layers.BatchNormalization()(joined)))
    x = Input((6, 6, 3))
    y = layers.Conv2D(4, 3, padding="same")(x)
    gate = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D()(y))
    yield "squeeze and excitation", Model(x, layers.Multiply()([y, gate]))
    shared, one, other = layers.Dense(3, activation="tanh"), Input((4,)), Input((4,))
    yield "shared layer", Model([one, other], layers.Subtract()([shared(one), shared(other)]))
    inner = Sequential([layers.Conv2D(2, 3, input_shape=(6, 6, 3)), layers.Flatten(), layers.Dense(3)])
    one, other = Input((6, 6, 3)), Input((6, 6, 3))
    yield "nested and shared model", Model([one, other], layers.Add()([inner(one), inner(other)]))
    x = Input((4,))
    two = Model(x, [layers.Dense(2)(x), layers.Dense(3)(x)])
    x = Input((4,))
    first, second = two(x)
    yield "several outputs, and an input as one", Model(x, [second, first, second, x])
    x, y = Input((4,)), Input((4,))
    yield "operations between layers", Model([x, y], 2.0 * layers.Dense(4)(x) - y * y + 1.0)
    yield "TimeDistributed Dense", chain((3, 4), layers.TimeDistributed(layers.Dense(2)))
    yield (
        "TimeDistributed Conv2D",
        chain((3, 5, 5, 2), layers.TimeDistributed(layers.Conv2D(4, 2)), layers.Conv3D(2, 2)),
    )
    yield "TimeDistributed of free length", chain((None, 5, 5, 2), layers.TimeDistributed(layers.Conv2D(4, 2)))
    inner = Sequential([layers.Conv1D(2, 2, input_shape=(5, 3)), layers.Flatten(), layers.Dense(3)])
    yield "TimeDistributed model", chain((4, 5, 3), layers.TimeDistributed(inner), layers.Conv1D(2, 2))
    masked = [layers.Masking(0.0), layers.Dense(3), layers.Dropout(0.5), layers.GlobalAveragePooling1D()]
    yield "Masking", chain((5, 2), *masked)
    yield "Masking of floats", chain((5, 2), layers.Masking(1.0), layers.Activation("relu"))
    yield "Embedding with a mask", chain((6,), layers.Embedding(7, 3, mask_zero=True), layers.GlobalAveragePooling1D())
    x, y = Input((5, 2)), Input((5, 2))
    both = layers.Add()([layers.Masking()(x), layers.Masking()(y)])
    kept = layers.GlobalAveragePooling1D(keepdims=True)
    yield "a mask, kept", chain((6,), layers.Embedding(7, 3, mask_zero=True), kept)
    yield "masks of two inputs", Model([x, y], layers.GlobalAveragePooling1D()(both))
    x, y = Input((5, 2)), Input((4, 2))
    behind = layers.Concatenate(1)([layers.Masking()(x), y])
    yield "masks behind one another", Model([x, y], layers.GlobalAveragePooling1D()(behind))
    inner = Sequential([layers.Dense(3, input_shape=(5, 2)), layers.GlobalAveragePooling1D()])
    yield "a mask that enters a model", chain((5, 2), layers.Masking(), inner)
    words = layers.TimeDistributed(layers.Embedding(7, 3, mask_zero=True))
    yield "TimeDistributed makes a mask", chain((4, 5), words, layers.TimeDistributed(layers.GlobalAveragePooling1D()))


def operations():
    """What stands between layers: operations of `ops`."""
    functions = {
        "absolute": ops.absolute,
        "ceil and floor": lambda x: ops.ceil(x) + ops.floor(x),
        "cos and sin": lambda x: ops.cos(x) * ops.sin(x),
        "erf": ops.erf,
        "exp and negative": lambda x: -ops.exp(-x),
        "log and square": lambda x: ops.log(ops.square(x) + 1.0),
        "sqrt": lambda x: ops.sqrt(ops.absolute(x)),
        "reciprocal": lambda x: ops.reciprocal(x * x + 1.0),
        "sign": ops.sign,
        "relu with arguments": lambda x: ops.relu(x),
        "sigmoid and tanh": lambda x: ops.sigmoid(x) - ops.tanh(x),
        "softplus and softsign": lambda x: ops.softplus(x) / (2.0 + ops.softsign(x)),
        "a number first": lambda x: 1.0 / (3.0 + x * x),
        "power": lambda x: (ops.absolute(x) + 1.0) ** 1.5,
        "maximum and minimum": lambda x: ops.maximum(x, 0.1) - ops.minimum(x, np.float32(0.2)),
        "an array": lambda x: x * np.arange(5, dtype="float32"),
        "softmax": lambda x: ops.softmax(x, axis=1),
        "cast": lambda x: ops.cast(ops.cast(x * 3.0, dtype="int32"), dtype="float32"),
        "sum": lambda x: ops.sum(x, axis=-1),
        "mean and max": lambda x: ops.mean(x, axis=1, keepdims=True) + ops.max(x, axis=(1, 2), keepdims=True),
        "min": lambda x: ops.min(x, axis=1),
        "of all": lambda x: x / (1.0 + ops.sum(ops.square(x)) * 2.0),
        "transpose": lambda x: ops.transpose(x, axes=(0, 2, 1)) + 1.0,
        "concatenate": lambda x: ops.concatenate([x, x * 2.0], axis=1),
        "matmul": lambda x: ops.matmul(x, ops.transpose(x, axes=(0, 2, 1))),
        "stop_gradient": lambda x: ops.stop_gradient(x) + x,
    }
    for name, function in functions.items():
        x = Input((4, 6))
        yield f"operation {name}", Model(x, function(layers.Conv1D(5, 2)(x)))


FAMILIES = [
    convolutions,
    transposed,
    depthwise,
    local,
    space,
    normalizations,
    activations,
    shapes,
    merges,
    graphs,
    operations,
]  # each yields pairs of what a model shows and the model


def prepared(model, seed=0):
    """The model with weights that are neither 0 nor 1, and variances above 0."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        values = random.normal(0.0, 0.5, weight.shape)
        weight.assign(abs(values) + 0.1 if "variance" in weight.name else values)
    return model


def samples(model, number=3, seed=1):
    """Arrays for the inputs of a model; integers for an Embedding, and some steps that are 0."""
    random = np.random.default_rng(seed)
    found = []
    for symbol in model.inputs:
        shape = (number, *(6 + axis if size is None else size for axis, size in enumerate(symbol.shape[1:])))
        embedded = any("embedding" in weight.name for weight in model.weights)
        array = random.integers(0, 7, shape) if embedded else random.normal(size=shape)
        if not embedded and len(shape) == 3:
            array[:, 1] = 0.0
            array[0, -1] = 1.0
        found.append(array.astype(symbol.dtype))
    return found
