from __future__ import annotations

import json
import struct
import tracemalloc

import numpy as np
import pytest

from minikeras import Sequential, layers
from minikeras.__main__ import main
from minikeras.models import load_model
from minikeras.saving import ModelFileError
from minikeras.saving.safetensors import SafetensorsReader, write_safetensors


def net(filters=4, names=("conv", "dense")):
    return Sequential(
        [
            layers.Conv2D(filters, 3, input_shape=(6, 6, 1), name=names[0]),
            layers.BatchNormalization(name="norm"),
            layers.Flatten(),
            layers.Dense(3, name=names[1]),
        ],
        name="m",
    )


def assert_same(one, other):
    for array, expected in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(array, expected)


def file_of(header, data=b"", length=None):
    """The bytes of a file with a header, given as text or as what is written as JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="F32", shape=(2,), begin=0, end=8):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def test_weights_come_back_exactly(tmp_path):
    model, other = net(), net(names=("another", "last"))
    for weight in model.weights:
        weight.assign(np.random.default_rng(0).standard_normal(weight.shape))
    model.save_weights(tmp_path / "w.safetensors")
    other.load_weights(tmp_path / "w.safetensors")
    assert_same(other, model)


def test_the_header_names_each_weight_by_layer_and_weight(tmp_path):
    net().save_weights(tmp_path / "w.safetensors")
    data = (tmp_path / "w.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert length % 8 == 0
    assert header["conv/kernel"] == {"dtype": "F32", "shape": [3, 3, 1, 4], "data_offsets": [0, 144]}
    assert list(header)[1:4] == ["conv/kernel", "conv/bias", "norm/gamma"]
    assert json.loads(header["__metadata__"]["layers"]) == ["conv", "norm", "dense"]


@pytest.mark.parametrize(
    "dtype", ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">f4", ">i8"]
)
def test_arrays_of_every_type_come_back(dtype, tmp_path):
    arrays = {"a": np.arange(6).reshape(2, 3).astype(dtype), "none": np.zeros((0, 2), dtype), "one": np.array(1, dtype)}
    write_safetensors(tmp_path / "a.safetensors", arrays)
    with SafetensorsReader(tmp_path / "a.safetensors") as reader:
        assert reader.shapes == {"a": (2, 3), "none": (0, 2), "one": ()}
        for name, array in arrays.items():
            assert reader.read(name).dtype == np.dtype(dtype).newbyteorder("=")
            np.testing.assert_array_equal(reader.read(name), array)


def test_bfloat16_is_read_as_float32(tmp_path):
    halves = (np.array([1.0, -2.5, 3.140625], "<f4").view("<u4") >> 16).astype("<u2")
    (tmp_path / "a.safetensors").write_bytes(file_of({"a": entry("BF16", (3,), 0, 6)}, halves.tobytes()))
    with SafetensorsReader(tmp_path / "a.safetensors") as reader:
        assert reader.read("a").tolist() == [1.0, -2.5, 3.140625]


def test_wider_types_come_first_so_that_each_is_aligned(tmp_path):
    write_safetensors(tmp_path / "a.safetensors", {"small": np.zeros(3, "u1"), "large": np.zeros(2, "f8")})
    data = (tmp_path / "a.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    assert header["large"]["data_offsets"] == [0, 16]
    assert header["small"]["data_offsets"] == [16, 19]


def test_text_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="can't hold 'a', which is of the type <U1"):
        write_safetensors(tmp_path / "a.safetensors", {"a": np.array(["x"])})
    assert list(tmp_path.iterdir()) == []


DAMAGED = {
    "nothing": (b"", "no file of a model or of weights: it is empty"),
    "a header longer than the file": (file_of({"a": entry()}, bytes(8), length=2**20), "its header should be 1048576"),
    "a header of 16 MB and more": (file_of({}, length=2**40), ""),
    "a header that is no JSON": (file_of(b"{'a': 1}"), "Expecting property name"),
    "a header that is no UTF-8": (file_of(b'{"\xff": 1}'), "can't decode byte 0xff"),
    "a header that is nested deep": (file_of(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"), "nested deeper than"),
    "a name that is there twice": (
        file_of(b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8"}}'),
        "the key 'a' is there twice",
    ),
    "an entry that is a list": (file_of({"a": [1]}), "'a' must have a dtype, a shape and data_offsets"),
    "an entry with a field too many": (file_of({"a": {**entry(), "path": "/etc/passwd"}}), "must have a dtype"),
    "an unknown type": (file_of({"a": entry("F4")}, bytes(8)), "its dtype must be one of BOOL, U8"),
    "a type that is a number": (file_of({"a": entry(4)}, bytes(8)), "its dtype must be one of"),
    "a negative size": (file_of({"a": entry(shape=(-2,))}, bytes(8)), "its shape must be a list of sizes"),
    "a size that is a float": (file_of({"a": entry(shape=(2.0,))}, bytes(8)), "its shape must be a list of sizes"),
    "a size that is a boolean": (file_of({"a": entry(shape=(True, 2))}, bytes(8)), "its shape must be a list"),
    "a size beyond 64 bits": (file_of({"a": entry(shape=(2**64, 0), end=0)}), "its shape must be a list of sizes"),
    "petabytes": (file_of({"a": entry(shape=(2**50,))}, bytes(8)), "takes 4503599627370496 bytes, and its place has 8"),
    "a shape that is too long": (file_of({"a": entry(shape=(1,) * 33, end=4)}, bytes(4)), "must be a list of sizes"),
    "three offsets": (
        file_of({"a": {**entry(), "data_offsets": [0, 4, 8]}}, bytes(8)),
        "its data_offsets must be a pair",
    ),
    "an end before the beginning": (file_of({"a": entry(begin=8, end=0)}, bytes(8)), "and its place has -8"),
    "a shape of another length": (file_of({"a": entry(shape=(3,))}, bytes(8)), "takes 12 bytes, and its place has 8"),
    "a gap": (file_of({"a": entry(begin=4, end=12)}, bytes(12)), "'a' has a gap before it"),
    "an overlap": (file_of({"a": entry(), "b": entry(begin=4, end=12)}, bytes(12)), "'b' overlaps with another"),
    "the same bytes twice": (file_of({"a": entry(), "b": entry()}, bytes(8)), "'b' overlaps with another"),
    "a byte too many": (file_of({"a": entry()}, bytes(9)), "its arrays end at byte"),
    "a byte too few": (file_of({"a": entry()}, bytes(7)), "its arrays end at byte"),
    "metadata that are numbers": (file_of({"__metadata__": {"a": 1}}), "__metadata__ must hold text"),
    "metadata that are text": (file_of({"__metadata__": "a"}), "__metadata__ must hold text"),
}


@pytest.mark.parametrize(("data", "message"), DAMAGED.values(), ids=DAMAGED)
def test_what_is_wrong_with_a_file_is_said_with_its_name_before_anything_is_allocated(data, message, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(data)
    model = net()
    before = model.get_weights()
    tracemalloc.start()
    with pytest.raises(ModelFileError, match=r"bad\.safetensors is damaged or (not an?|no file)") as caught:
        model.load_weights(tmp_path / "bad.safetensors")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert message in str(caught.value)
    assert peak < 2**21
    for weight, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_every_truncation_and_every_changed_byte_of_the_header_gives_weights_or_the_one_error(tmp_path):
    model = Sequential([layers.Dense(2, input_dim=2, name="d")])
    model.save_weights(tmp_path / "w.safetensors")
    data = (tmp_path / "w.safetensors").read_bytes()
    header = 8 + struct.unpack("<Q", data[:8])[0]
    random = np.random.default_rng(0)
    changed = [data[:length] for length in range(0, len(data), 3)]
    for place in range(header):
        changed.append(data[:place] + bytes([data[place] ^ 1 << random.integers(8)]) + data[place + 1 :])
    refused = []
    for variant in changed:
        (tmp_path / "bad.safetensors").write_bytes(variant)
        try:
            model.load_weights(tmp_path / "bad.safetensors")
        except ModelFileError as error:
            refused.append(str(error))
    assert len(changed) // 2 < len(refused) < len(changed)  # metadata may change
    assert all("bad.safetensors" in message for message in refused)


def test_another_architecture_is_shown_in_a_table(tmp_path):
    net().save_weights(tmp_path / "w.safetensors")
    with pytest.raises(ModelFileError) as caught:
        net(filters=5).load_weights(tmp_path / "w.safetensors")
    assert "w.safetensors holds weights of another architecture." in str(caught.value)
    assert "conv   kernel           (3, 3, 1, 5)   (3, 3, 1, 4) in 'conv'" in str(caught.value)


def test_layers_are_matched_by_name_where_asked_and_what_does_not_fit_is_skipped(tmp_path):
    model, other = net(), net(filters=5)
    model.save_weights(tmp_path / "w.safetensors")
    with pytest.warns(UserWarning, match="these weights keep their values"):
        other.load_weights(tmp_path / "w.safetensors", by_name=True, skip_mismatch=True)
    np.testing.assert_array_equal(other.get_layer("dense").get_weights()[1], model.get_layer("dense").get_weights()[1])


def test_a_file_that_says_no_order_is_matched_by_the_names_of_its_layers(tmp_path):
    model, other = net(names=("z", "a")), net(names=("z", "a"))
    arrays = {f"{layer.name}/{w.name.split('/')[1]}": w.numpy() for layer in model.layers for w in layer.weights}
    write_safetensors(tmp_path / "w.safetensors", dict(sorted(arrays.items())))
    other.load_weights(tmp_path / "w.safetensors")
    assert_same(other, model)
    with pytest.raises(ModelFileError, match="doesn't say in which order its layers are"):
        net().load_weights(tmp_path / "w.safetensors")


def test_names_of_pytorch_are_told_how_to_be_read(tmp_path):
    write_safetensors(tmp_path / "w.safetensors", {"0.weight": np.zeros((3, 4), "f4"), "0.bias": np.zeros(3, "f4")})
    with pytest.raises(ModelFileError, match=r"'0.weight', '0.bias'. If these are PyTorch's, models.from_torch_state"):
        net().load_weights(tmp_path / "w.safetensors")


def test_two_names_of_one_weight_are_refused(tmp_path):
    write_safetensors(tmp_path / "w.safetensors", {"a": np.zeros(3), "/a": np.zeros(2)})
    with pytest.raises(ModelFileError, match=r"w\.safetensors holds both 'a' and '/a'"):
        net().load_weights(tmp_path / "w.safetensors")


def test_a_whole_model_is_neither_written_to_it_nor_read_from_it(tmp_path):
    with pytest.raises(ValueError, match=r"save writes whole models, .* model.save_weights writes it"):
        net().save(tmp_path / "m.safetensors")
    net().save_weights(tmp_path / "w.safetensors")
    with pytest.raises(ModelFileError, match=r"w.safetensors holds no model, only weights. .* model.load_weights"):
        load_model(tmp_path / "w.safetensors")


def test_convert_writes_the_weights_of_a_model(tmp_path, capsys):
    model, other = net(), net()
    model.save(tmp_path / "m.npz")
    assert main(["convert", str(tmp_path / "m.npz"), str(tmp_path / "w.safetensors")]) == 0
    other.load_weights(tmp_path / "w.safetensors")
    assert_same(other, model)
    assert main(["convert", str(tmp_path / "w.safetensors"), str(tmp_path / "m.npz")]) == 2
    assert "holds no model, only weights" in capsys.readouterr().err


def test_the_package_safetensors_reads_what_is_written(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    model = net()
    model.save_weights(tmp_path / "w.safetensors")
    found = numpy.load_file(tmp_path / "w.safetensors")
    assert len(found) == len(model.weights)
    np.testing.assert_array_equal(found["conv/kernel"], model.get_weights()[0])
    mixed = {
        "b": np.array([True, False]),
        "d": np.arange(3.0),
        "h": np.ones((2, 2), "f2"),
        "i": np.arange(5, dtype="i8"),
    }
    write_safetensors(tmp_path / "mixed.safetensors", mixed, {"k": "v"})
    for name, array in numpy.load_file(tmp_path / "mixed.safetensors").items():
        np.testing.assert_array_equal(array, mixed[name], strict=True)


def test_what_the_package_safetensors_writes_is_read(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    model, other = net(), net()
    model.save_weights(tmp_path / "w.safetensors")
    numpy.save_file(numpy.load_file(tmp_path / "w.safetensors"), tmp_path / "again.safetensors")
    other.load_weights(tmp_path / "again.safetensors")
    assert_same(other, model)


def test_the_package_safetensors_refuses_what_is_refused_here(tmp_path):
    safetensors = pytest.importorskip("safetensors")
    numpy = pytest.importorskip("safetensors.numpy")
    stricter = {"a name that is there twice", "an entry with a field too many", "a shape that is too long"}
    for what in DAMAGED.keys() - stricter:
        (tmp_path / "bad.safetensors").write_bytes(DAMAGED[what][0])
        with pytest.raises(safetensors.SafetensorError):
            numpy.load_file(tmp_path / "bad.safetensors")
