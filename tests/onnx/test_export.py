from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from minikeras import Input, Model, Sequential, layers
from minikeras import backend as K
from minikeras.__main__ import main
from minikeras.core import config
from minikeras.models import model_from_json
from minikeras.onnx import export as export_module
from tests.onnx import networks, zoo

onnx = pytest.importorskip("onnx")
from onnx.reference import ReferenceEvaluator  # noqa: E402

from minikeras.onnx import onnx_model  # noqa: E402

try:
    import onnxruntime
except ImportError:
    onnxruntime = None

TOLERANCE = 1e-5  # of the largest element


def run(message, arrays):
    """The outputs of a graph: by ONNX Runtime where it is installed, else by onnx's own slow evaluator."""
    feeds = dict(zip([item.name for item in message.graph.input], arrays, strict=True))
    if onnxruntime is None:
        return ReferenceEvaluator(message).run(None, feeds)
    return onnxruntime.InferenceSession(message.SerializeToString()).run(None, feeds)


def evaluator_is_wrong(name):
    """What onnx's evaluator gets wrong: uneven padding of MaxPool at stride 1, and groups of ConvTranspose."""
    return onnxruntime is None and (
        (name.startswith("MaxPooling") and " same 1 " in name) or ("DTranspose groups" in name)
    )


def predicted(model, arrays):
    outputs = model.predict(arrays if len(arrays) > 1 else arrays[0])
    return outputs if isinstance(outputs, list) else [outputs]


def disagreement(model, message, number):
    """How far the outputs are from those of the model, as a share of the largest."""
    arrays = zoo.samples(model, number)
    expected, found = predicted(model, arrays), run(message, arrays)
    assert [(x.shape, x.dtype) for x in found] == [(x.shape, x.dtype) for x in expected]
    return max(np.abs(x - y).max() / (np.abs(y).max() or 1.0) for x, y in zip(found, expected, strict=True))


def chain(*made, shape):
    return zoo.prepared(zoo.chain(shape, *made))


def operations(model):
    return [node.op_type for node in onnx_model(model).graph.node]


@pytest.mark.parametrize("family", zoo.FAMILIES, ids=lambda family: family.__name__)
def test_every_layer_predicts_the_same(family):
    wrong = {}
    for name, model in family():
        message = onnx_model(zoo.prepared(model))
        onnx.checker.check_model(message, full_check=True)
        if not evaluator_is_wrong(name):
            error = max(disagreement(model, message, number) for number in (1, 3))
            if not error < TOLERANCE:
                wrong[name] = error
    assert wrong == {}


def test_keras_networks_of_convolutions_predict_the_same():
    for file in sorted((Path(__file__).parents[1] / "reference/keras224/models").glob("*.json")):
        if file.name != "compile.json":
            model = zoo.prepared(model_from_json(file.read_text(encoding="utf-8")))
            message = onnx_model(model)
            onnx.checker.check_model(message, full_check=True)
            assert disagreement(model, message, 2) < TOLERANCE, file.name


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_of_both_data_formats_predict_the_same(seed):
    model = networks.network(seed)
    message = onnx_model(model)
    onnx.checker.check_model(message, full_check=True)
    assert disagreement(model, message, 3) < TOLERANCE


def test_every_layer_class_has_a_converter_or_is_code():
    from minikeras.onnx.converters import _converters

    classes = {item for item in vars(layers).values() if isinstance(item, type) and issubclass(item, layers.Layer)}
    assert {made.__name__ for made in classes - _converters.keys()} == {"Lambda", "Layer", "Wrapper"}


@pytest.mark.parametrize("opset", [17, 18, 21])
def test_newer_operations_compute_the_same(opset):
    model = zoo.prepared(
        zoo.merged(layers.Dot(1, True), (4, 3), (4, 3)), seed=2
    )  # which has a reduction, that has changed
    pooled = chain(layers.GlobalAveragePooling2D(), layers.BatchNormalization(), shape=(4, 5, 3))
    for made in (model, pooled):
        message = onnx_model(made, opset)
        onnx.checker.check_model(message, full_check=True)
        assert message.opset_import[0].version == opset
        assert disagreement(made, message, 2) < TOLERANCE


def test_inputs_and_outputs_have_the_names_and_shapes_of_the_model():
    image, words = Input((None, 8, 3), name="image"), Input((5,), name="words", dtype="int32")
    pooled = layers.GlobalMaxPooling2D()(image)
    vectors = layers.Flatten()(layers.Embedding(9, 2)(words))
    model = Model([image, words], [layers.Dense(2, name="class")(pooled), layers.Dense(3, name="box")(vectors)])
    graph = onnx_model(model).graph

    def described(items):
        return {item.name: [d.dim_param or d.dim_value for d in item.type.tensor_type.shape.dim] for item in items}

    assert described(graph.input) == {"image": ["batch", "image_axis_1", 8, 3], "words": ["batch", 5]}
    assert described(graph.output) == {"class": ["batch", 2], "box": ["batch", 3]}
    assert graph.input[1].type.tensor_type.elem_type == onnx.TensorProto.INT32


def test_images_are_transposed_on_the_way_in_and_out_and_not_around_each_layer():
    network = [
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.BatchNormalization(),
        layers.PReLU(shared_axes=[1, 2]),
        layers.MaxPooling2D(2),
        layers.SeparableConv2D(4, 3, padding="same"),
        layers.Dropout(0.5),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.Cropping2D(1),
        layers.Conv2DTranspose(2, 3),
        layers.Softmax(),
    ]
    assert operations(chain(*network, shape=(8, 8, 3))).count("Transpose") == 2
    assert operations(chain(*network[:3], layers.GlobalAveragePooling2D(), shape=(8, 8, 3))).count("Transpose") == 1
    first = [layers.Conv2D(4, 3, data_format="channels_first"), layers.MaxPooling2D(2, data_format="channels_first")]
    assert operations(chain(*first, shape=(3, 8, 8))).count("Transpose") == 0


def test_branches_share_one_transpose_and_layers_called_twice_their_weights():
    x = Input((6, 6, 3))
    shared = layers.Conv2D(2, 3, name="shared")
    model = Model(x, layers.Add()([shared(x), shared(layers.Dropout(0.1)(x)), layers.Conv2D(2, 3, name="own")(x)]))
    graph = onnx_model(model).graph
    assert [node.op_type for node in graph.node].count("Transpose") == 2
    assert sorted(item.name for item in graph.initializer) == [
        "own/bias",
        "own/kernel",
        "shared/bias",
        "shared/kernel",
    ]


def test_what_acts_in_training_only_and_what_nothing_needs_is_left_out():
    assert operations(chain(layers.Dense(2), layers.Dropout(0.5), shape=(3,))) == ["Gemm"]
    masked = chain(layers.Embedding(5, 2, mask_zero=True), layers.Dense(3), shape=(4,))
    assert operations(masked) == ["Cast", "Gather", "MatMul", "Add"]


def test_a_model_of_doubles_stays_one_of_doubles():
    with config.scope(floatx="float64"):
        model = chain(layers.Dense(3, activation="tanh"), layers.BatchNormalization(), shape=(4,))
        message = onnx_model(model)
        arrays = zoo.samples(model, 2)
        (found,) = ReferenceEvaluator(message).run(None, {message.graph.input[0].name: arrays[0]})
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, model.predict(arrays[0]), rtol=1e-6)  # epsilon is a float32 in ONNX


def test_an_input_that_is_a_variable_becomes_a_constant():
    fixed = Input(tensor=K.variable(np.array([[1.0, 2.0, 3.0]])))
    fed = Input((3,), name="fed")
    model = Model([fed, fixed], layers.Add()([fed, fixed]))
    message = onnx_model(model)
    assert [item.name for item in message.graph.input] == ["fed"]
    (found,) = run(message, [np.ones((2, 3), "float32")])
    np.testing.assert_array_equal(found, [[2.0, 3.0, 4.0]] * 2)


def test_the_file_is_written_whole_or_not_at_all(tmp_path):
    model = chain(layers.Dense(2), shape=(3,))
    model.export(tmp_path / "m.onnx")
    onnx.checker.check_model(str(tmp_path / "m.onnx"))
    before = (tmp_path / "m.onnx").read_bytes()
    with pytest.raises(ValueError, match="Lambda"):
        chain(layers.Lambda(K.square), shape=(3,)).export(tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_convert_writes_what_the_model_of_a_file_predicts(tmp_path, capsys):
    model = chain(layers.Dense(2), shape=(3,))
    model.save(tmp_path / "m.npz")
    assert main(["convert", str(tmp_path / "m.npz"), str(tmp_path / "m.onnx")]) == 0
    assert disagreement(model, onnx.load(tmp_path / "m.onnx"), 2) < TOLERANCE
    assert main(["convert", str(tmp_path / "m.onnx"), str(tmp_path / "n.npz")]) == 2
    assert "m.onnx" in capsys.readouterr().err


class Twice(layers.Dense):
    """What a class of the user's own computes, nobody knows."""

    def call(self, inputs):
        return 2.0 * super().call(inputs)


class Program(Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, inputs):
        return self.dense(inputs)


def program():
    model = Program()
    model.build((None, 3))
    return model


def called_in_training():
    x = Input((3,))
    return Model(x, layers.Dropout(0.5, name="always")(x, training=True))


def with_operation():
    x = Input((3,))
    return Model(x, K.cumsum(layers.Dense(2)(x), axis=1))


WRONG = {
    "a Lambda": (
        lambda: chain(layers.Lambda(K.square, name="own"), shape=(3,)),
        "Lambda 'own': a layer of the class Lambda can't be exported to ONNX, as it is code",
    ),
    "a class of one's own": (
        lambda: chain(Twice(2, name="own"), shape=(3,)),
        "Twice 'own': a layer of the class Twice",
    ),
    "one inside of another": (
        lambda: chain(layers.TimeDistributed(Twice(2, name="inner")), shape=(4, 3)),
        "Twice 'inner': a layer of the class Twice",
    ),
    "an activation of one's own": (
        lambda: chain(layers.Dense(2, activation=K.square, name="d"), shape=(3,)),
        "Dense 'd': its activation 'square' can't be exported to ONNX, as it is code. Those that can: celu, elu, exp",
    ),
    "a model with a call of its own": (program, "a model that is a program, with a call of its own"),
    "a call in training": (called_in_training, "Dropout 'always': it is called with training=..., which can't be"),
    "an operation that isn't known": (
        with_operation,
        "the operation 'cumsum', which stands between layers, can't be exported to ONNX. Layers of",
    ),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_exported_is_named(make, message, tmp_path):
    with pytest.raises(ValueError, match="can't be exported to ONNX") as caught:
        make().export(tmp_path / "m.onnx")
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filepath": "m.pb"}, r"export: filepath must end in '.onnx'. Received: 'm.pb'"),
        (
            {"filepath": "m.onnx", "format": "tf_saved_model"},
            "format must be one of 'onnx'. Received: 'tf_saved_model'",
        ),
        ({"filepath": "m.onnx", "opset_version": 13}, "opset_version must be an integer from 17 to .*Received: 13"),
        ({"filepath": "m.onnx", "opset_version": 999}, "opset_version must be an integer from 17 to .*Received: 999"),
        ({"filepath": "m.onnx", "opset_version": "17"}, "opset_version must be an integer from 17 to .*Received: '17'"),
    ],
)
def test_wrong_arguments_are_named(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        chain(layers.Dense(2), shape=(3,)).export(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_not_built_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="export needs a built model"):
        Sequential([layers.Dense(2)]).export(tmp_path / "m.onnx")


def test_weights_beyond_what_protobuf_holds_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "_LARGEST", 20)
    with pytest.raises(ValueError, match="its weights take 32 bytes, and an ONNX file holds less than 2 GiB"):
        chain(layers.Dense(2), shape=(3,)).export(tmp_path / "m.onnx")


def test_without_onnx_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'minikeras\[onnx\]'"):
        chain(layers.Dense(2), shape=(3,)).export(tmp_path / "m.onnx")
