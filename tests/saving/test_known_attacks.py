"""The known attacks on files of models, one by one.

Each test builds the file that does harm elsewhere, for every format that can hold it, and shows that loading it is a
`ModelFileError` that names the file and the cause; that no code ran, no other file was opened or written, nothing was
fetched, and little memory was taken. Where an advisory says less than what a test needs, the docstring says which kind
of attack is covered.
"""

from __future__ import annotations

import base64
import ctypes
import io
import json
import marshal
import os
import pickle
import struct
import sys
import tarfile
import tracemalloc
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest

import minikeras.models
from minikeras import Sequential, layers
from minikeras.callbacks import BackupAndRestore, ModelCheckpoint
from minikeras.models import load_model
from minikeras.registry import get_custom_objects
from minikeras.saving import ModelFileError
from minikeras.saving.states import read_state, write_state
from minikeras.utils import get_file
from tests.saving.fuzz.zips import Member, Zip, npy, parts
from tests.saving.watch import watched

h5py = pytest.importorskip("h5py")

SECRET = b"the secret of another file, as long as four rows of a kernel.."
MEMORY = 64 * 2**20
INPUT = {"class_name": "InputLayer", "config": {"name": "i", "batch_input_shape": [None, 4], "dtype": "float32"}}
INPUT3 = {
    "module": "keras.layers",
    "class_name": "InputLayer",
    "config": {"batch_shape": [None, 4], "dtype": "float32", "name": "i"},
    "registered_name": None,
}


# ---------------------------------------------------------------------- files


def npz_file(path, *described, arrays=()):
    model = {"class_name": "Sequential", "config": {"name": "m", "layers": [INPUT, *described]}}
    text = json.dumps({"format": 1, "model": model, "training": None, "streams": []}).encode()
    members = {"model.npy": npy(np.frombuffer(text, np.uint8))}
    members |= {f"weights/{name}.npy": npy(array) for name, array in dict(arrays).items()}
    path.write_bytes(Zip([Member(name.encode(), data) for name, data in members.items()]).build())


def h5_file(path, *described, version="2.2.4", fill=None):
    model = {"class_name": "Sequential", "config": {"name": "m", "layers": [INPUT, *described]}}
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version
        file.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = json.dumps(model)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = np.array([b"d"])
        group.create_group("d").attrs["weight_names"] = np.array([b"d/kernel:0"])
        if fill is None:
            group["d"].create_dataset("d/kernel:0", data=np.zeros((4, 4), "f4"))
        else:
            fill(group["d"])


def legacy_h5_file(path, *described):
    """The same by Keras 3, or by tf.keras."""
    h5_file(path, *described, version="3.9.0")


def keras_file(path, *described, weights=lambda group: None, more=()):
    model = {"name": "m", "trainable": True, "layers": [INPUT3, *described], "build_input_shape": [None, 4]}
    config = {"module": "keras", "class_name": "Sequential", "config": model, "registered_name": None}
    members = {
        "metadata.json": json.dumps({"keras_version": "3.9.0", "date_saved": "2025-01-01@00:00:00"}).encode(),
        "config.json": json.dumps(config).encode(),
        "model.weights.h5": weights_h5(weights),
        **dict(more),
    }
    path.write_bytes(Zip([Member(name.encode(), data) for name, data in members.items()]).build())


def weights_h5(fill):
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_group("layers/input_layer/vars")
        fill(file.create_group("layers/dense/vars"))
        file.create_group("vars")
    return memory.getvalue()


def safetensors_file(path, header, data=b""):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


DENSE = {"class_name": "Dense", "config": {"name": "d", "units": 4, "use_bias": False}}
DENSE3 = {"module": "keras.layers", "class_name": "Dense", "config": DENSE["config"], "registered_name": None}
OF_MODELS = {".npz": npz_file, ".h5": h5_file, "-legacy.h5": legacy_h5_file, ".keras": keras_file}


def dense():
    return Sequential([layers.Dense(4, use_bias=False, input_dim=4, name="d")])


@contextmanager
def opened(path):
    """Write down when any process opens a file, where Linux tells."""
    events = []
    if sys.platform != "linux":
        yield events
        return
    libc = ctypes.CDLL(None)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(watch, os.fsencode(path), 0x21) >= 0  # accesses and openings
    try:
        yield events
        with pytest.raises(BlockingIOError) if not events else pytest.raises(AssertionError):
            events.append(os.read(watch, 2**16))
    finally:
        os.close(watch)


def assert_refused(path, *words, load=load_model):
    """That loading fails by an error with the file's name and these words, and does nothing besides."""
    secret = path.parent / "secret"
    if not secret.exists():
        secret.write_bytes(SECRET)
    before, custom = sorted(path.parent.rglob("*")), dict(get_custom_objects())
    tracemalloc.start()
    try:
        with opened(secret), watched(path) as seen, pytest.raises(ModelFileError) as caught:
            load(path)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    text = str(caught.value)
    assert str(path) in text
    for word in words:
        assert word in text or (word == "Lambda" and "__lambda__" in text), text
    assert seen == []
    assert sorted(path.parent.rglob("*")) == before
    assert get_custom_objects() == custom
    assert SECRET.decode() not in text


def assert_layer_refused(tmp_path, suffix, layer, *words):
    """The same of a layer of Keras 3 in a file of each kind; Keras 2's have no modules."""
    path = tmp_path / f"m{suffix}"
    old = {"class_name": layer["class_name"], "config": layer["config"]}
    OF_MODELS[suffix](path, layer if suffix == ".keras" else old)
    assert_refused(path, *words)


class Payload:
    """Runs when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (os.fspath(self.marker),)


def bytecode(marker):
    code = compile(f"lambda x: __import__('os').mkdir({os.fspath(marker)!r}) or x", "<attack>", "eval")
    return base64.b64encode(marshal.dumps(code.co_consts[0])).decode()


@pytest.fixture(scope="module")
def fork_server():
    if not hasattr(os, "fork"):
        yield
        return
    from tests.saving.fuzz.forked import server

    with server():
        yield


@pytest.fixture
def quick(fork_server):
    """HDF5 files are read by processes that are forked, where the test isn't about the process that reads them."""
    if not hasattr(os, "fork"):
        yield
        return
    from tests.saving.fuzz.forked import forked_readers

    with forked_readers():
        yield


every_format = pytest.mark.parametrize("suffix", OF_MODELS)


# ---------------------------------------------------------------------- code


@pytest.mark.parametrize("disguise", ["object array", "bare pickle", "pickle in a member", "number type"])
def test_cve_2019_6446_pickles_in_arrays(disguise, tmp_path):
    """numpy.load unpickles arrays of objects."""
    path, marker = tmp_path / "m.npz", tmp_path / "ran"
    pickled = pickle.dumps(Payload(marker))
    array = io.BytesIO()
    np.lib.format.write_array(array, np.array([Payload(marker)], object), allow_pickle=True)
    contents = {"object array": array.getvalue(), "pickle in a member": pickled}
    contents["number type"] = array.getvalue().replace(b"'|O'", b"'<f8'")
    if disguise == "bare pickle":
        path.write_bytes(pickled)
    else:
        path.write_bytes(Zip([Member(b"weights/d/kernel.npy", contents[disguise])]).build())
    words = {
        "object array": ["'weights/d/kernel'", "doesn't hold numbers but '|O'"],
        "bare pickle": ["not an .npz file"],
        "pickle in a member": ["'weights/d/kernel'", ".npy format"],
        "number type": ["'weights/d/kernel'", "takes 8 bytes"],
    }
    for load in (load_model, dense().load_weights):
        assert_refused(path, *words[disguise], load=load)


@pytest.mark.parametrize("suffix", [*OF_MODELS, ".weights.h5", ".safetensors", ".yaml"])
def test_cve_2021_37678_yaml(suffix, tmp_path):
    """model_from_yaml builds any object of Python. There is none, and a file in YAML is no model's."""
    path = tmp_path / f"m{suffix}"
    path.write_text(f"!!python/object/apply:os.mkdir ['{tmp_path / 'ran'}']\nclass_name: Sequential\n")
    assert_refused(path)
    assert_refused(path, load=dense().load_weights)
    with pytest.raises(ImportError, match="YAML is not read"):
        _ = minikeras.models.model_from_yaml


@pytest.mark.usefixtures("quick")
@every_format
@pytest.mark.parametrize("form", ["Keras 2", "Keras 3", "output_shape"])
def test_cve_2024_3660_and_2025_9905_code_in_a_lambda(form, suffix, tmp_path):
    """Lambda layers keep bytecode in the file, which old versions ran, newer ones for .h5 files whatever safe_mode."""
    code = bytecode(tmp_path / "ran")
    config = {"name": "l", "function": [code, None, None], "function_type": "lambda"}
    if form == "Keras 3":
        function = {"code": code, "defaults": None, "closure": None}
        config = {"name": "l", "function": {"class_name": "__lambda__", "config": function}}
    if form == "output_shape":
        config = {"name": "l", "function": "relu", "function_type": "function"}
        config |= {"output_shape": [code, None, None], "output_shape_type": "lambda"}
    layer = {"module": "keras.layers", "class_name": "Lambda", "config": config, "registered_name": None}
    assert_layer_refused(tmp_path, suffix, layer, "Lambda")


@pytest.mark.usefixtures("quick")
@every_format
def test_cve_2025_1550_modules_named_by_the_configuration(suffix, tmp_path):
    """``module`` and ``class_name`` import and call anything."""
    marker = os.fspath(tmp_path / "ran")
    for module, name, config in [
        ("os", "mkdir", {"path": marker}),
        ("builtins", "eval", {"source": f"__import__('os').mkdir({marker!r})"}),
        ("builtins", "function", "eval"),
        ("subprocess", "Popen", {"args": ["mkdir", marker]}),
        ("minikeras.models", "load_model", {"filepath": os.fspath(tmp_path / "secret")}),
    ]:
        layer = {"module": module, "class_name": name, "config": config, "registered_name": name}
        assert_layer_refused(tmp_path, suffix, layer, name)


@pytest.mark.usefixtures("quick")
@every_format
@pytest.mark.parametrize("place", ["activation", "kernel_initializer", "kernel_regularizer", "kernel_constraint"])
def test_cve_2025_1550_modules_named_by_an_argument(place, suffix, tmp_path):
    """The same where a layer takes a function or an object."""
    function = {"module": "os", "class_name": "function", "config": "system", "registered_name": "function"}
    config = {"name": "d", "units": 4, place: function}
    layer = {"module": "keras.layers", "class_name": "Dense", "config": config, "registered_name": None}
    assert_layer_refused(tmp_path, suffix, layer)
    for name in ("os.system", "__import__", "eval", "get", "deserialize", "registry"):
        assert_layer_refused(tmp_path, suffix, {**layer, "config": {**config, place: name}}, name)


@pytest.mark.usefixtures("quick")
@every_format
def test_cve_2025_8747_functions_of_the_library_itself(suffix, tmp_path):
    """What the library has anyway, such as get_file, is called with arguments of the file, which safe_mode let pass."""
    arguments = {
        "fname": "x",
        "origin": "http://localhost:9/x",
        "cache_dir": os.fspath(tmp_path / "ran"),
        "extract": True,
    }
    for module, name in [
        ("keras.utils", "get_file"),
        ("keras.src.utils.file_utils", "get_file"),
        ("keras.utils", "plot_model"),
    ]:
        layer = {"module": module, "class_name": name, "config": arguments, "registered_name": name}
        assert_layer_refused(tmp_path, suffix, layer, name)
        function = {"module": module, "class_name": "function", "config": name, "registered_name": name}
        for value in (function, name, f"{module}.{name}"):
            config = {"name": "l", "function": value, "function_type": "function", "arguments": arguments}
            layer = {"module": "keras.layers", "class_name": "Lambda", "config": config, "registered_name": None}
            assert_layer_refused(tmp_path, suffix, layer, "Lambda")


@pytest.mark.usefixtures("quick")
@every_format
def test_cve_2025_9906_a_file_that_turns_safety_off(suffix, tmp_path):
    """The configuration calls enable_unsafe_deserialization first, and has code later. There is no such switch here."""
    switch = {
        "module": "keras.config",
        "class_name": "enable_unsafe_deserialization",
        "config": {},
        "registered_name": "enable_unsafe_deserialization",
    }
    assert_layer_refused(tmp_path, suffix, switch, "enable_unsafe_deserialization")
    config = {"name": "l", "function": [bytecode(tmp_path / "ran"), None, None], "function_type": "lambda"}
    for extra in ({"safe_mode": False}, {"custom_objects": {"f": "os.system"}}, {"trusted": True}):
        layer = {
            "module": "keras.layers",
            "class_name": "Lambda",
            "config": {**config, **extra},
            "registered_name": None,
        }
        assert_layer_refused(tmp_path, suffix, {**layer, **extra}, "Lambda")
    with pytest.raises(TypeError, match="safe_mode"):
        load_model(tmp_path / f"m{suffix}", safe_mode=False)


@pytest.mark.usefixtures("quick")
@every_format
def test_cve_2025_49655_pickles_in_a_wrapped_module(suffix, tmp_path):
    """TorchModuleWrapper unpickles what its configuration holds."""
    pickled = base64.b64encode(pickle.dumps(Payload(tmp_path / "ran"))).decode()
    module = {"class_name": "__bytes__", "config": {"value": pickled}}
    config = {"name": "t", "module": module, "trainable": True}
    names = ["TorchModuleWrapper", "FlaxLayer", "JaxLayer"]
    for name in names:
        layer = {"module": "keras.layers", "class_name": name, "config": config, "registered_name": None}
        assert_layer_refused(tmp_path, suffix, layer, name)


# ---------------------------------------------------------------------- other files, other machines


@pytest.mark.usefixtures("quick")
@every_format
@pytest.mark.parametrize("name", ["StringLookup", "IntegerLookup", "TextVectorization"])
def test_cve_2025_12058_vocabularies_read_from_paths_and_urls(name, suffix, tmp_path):
    """A vocabulary may be a path or a URL, which is opened while the model is made."""
    for place in (os.fspath(tmp_path / "secret"), "http://localhost:9/latest/meta-data", "file:///etc/passwd"):
        layer = {"module": "keras.layers", "class_name": name, "config": {"vocabulary": place}, "registered_name": None}
        assert_layer_refused(tmp_path, suffix, layer, name)


@pytest.mark.usefixtures("quick")
@every_format
def test_cve_2026_1462_models_in_other_folders(suffix, tmp_path):
    """TFSMLayer runs a SavedModel from a path or share that the configuration names, also under safe_mode."""
    config = {"name": "t", "filepath": "\\\\localhost\\share\\model", "call_endpoint": "serve"}
    layer = {"module": "keras.layers", "class_name": "TFSMLayer", "config": config, "registered_name": None}
    assert_layer_refused(tmp_path, suffix, layer, "TFSMLayer")


def external(secret):
    return lambda group: group.create_dataset("0", (4, 4), "f4", external=[(os.fspath(secret), 0, 64)])


def linked(secret):
    return lambda group: group.__setitem__("0", h5py.ExternalLink(os.fspath(secret), "/x"))


def virtual(secret):
    def fill(group):
        layout = h5py.VirtualLayout(shape=(4, 4), dtype="f4")
        layout[:] = h5py.VirtualSource(os.fspath(secret), "x", shape=(4, 4))
        group.create_virtual_dataset("0", layout)

    return fill


ELSEWHERE = {
    "external storage": (external, "has its data in another file"),
    "an external link": (linked, "is an external link to another file"),
    "a virtual dataset": (virtual, "is a virtual dataset, put together from other files"),
}


@pytest.mark.parametrize("kind", ELSEWHERE)
@pytest.mark.parametrize("suffix", [".h5", ".keras", ".weights.h5"])
def test_cve_2026_1669_arrays_in_other_files(kind, suffix, tmp_path):
    """HDF5 takes a weight's bytes from any file: they would be in the model, and in what is saved of it."""
    make, words = ELSEWHERE[kind]
    path, secret = tmp_path / f"m{suffix}", tmp_path / "secret"
    fill = make(secret)
    if suffix == ".h5":
        h5_file(path, DENSE, fill=lambda group: fill(group.create_group("d")))
    elif suffix == ".keras":
        keras_file(path, DENSE3, weights=fill)
    else:
        path.write_bytes(weights_h5(fill))
    for load in (load_model, dense().load_weights) if suffix != ".weights.h5" else (dense().load_weights,):
        assert_refused(path, words, load=load)


@pytest.mark.parametrize("link", ["symbolic", "hard", "absolute", "upwards", "through a folder"])
@pytest.mark.parametrize("untar", [True, False])
def test_cve_2024_55459_and_2025_12060_archives_that_leave_their_folder(link, untar, tmp_path):
    """get_file unpacked tar files to wherever the names and links in them lead."""
    cache, outside = tmp_path / "cache", tmp_path / "outside"
    outside.mkdir()
    archive = tmp_path / "served.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:

        def add(name, data=b"", kind=tarfile.REGTYPE, target=""):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, target, len(data)
            tar.addfile(info, io.BytesIO(data))

        add("set/harmless", b"x")
        if link == "symbolic":
            add("set/door", kind=tarfile.SYMTYPE, target=os.fspath(outside))
            add("set/door/evil", b"evil")
        elif link == "hard":
            add("set/door", kind=tarfile.LNKTYPE, target="../../outside/evil")
        elif link == "absolute":
            add(os.fspath(outside / "evil"), b"evil")
        elif link == "upwards":
            add("set/../../../outside/evil", b"evil")
        else:  # a long chain of links, which ends outside when the path is too long to be resolved
            folder = "d" * 247
            for i in range(16):
                add(f"set/{folder}", kind=tarfile.DIRTYPE)
                add(f"set/{i}", kind=tarfile.SYMTYPE, target=folder)
            add("set/" + "/".join(map(str, range(16))) + "/up", kind=tarfile.SYMTYPE, target="../" * 20)
    with pytest.raises(ValueError, match=r"and was not unpacked") as caught:
        get_file("set", archive.as_uri(), untar=untar, extract=not untar, cache_dir=cache)
    assert "served" in str(caught.value) or str(cache) in str(caught.value)
    assert list(outside.iterdir()) == []
    left = {path.name for path in cache.rglob("*")}
    assert left <= {"datasets", "set", "set.tar.gz"}


# ---------------------------------------------------------------------- memory


@pytest.mark.usefixtures("quick")
def test_cve_2026_0897_shapes_without_bytes_in_hdf5(tmp_path):
    """An array declares petabytes, of which the file has none, or zeros that compress a thousandfold."""
    fills = {
        "bytes of data instead of": lambda group, name: group.create_dataset(name, (10**7, 10**8), "f4"),
        "a compression bomb": lambda group, name: group.create_dataset(name, (10**7, 10**8), "f4", chunks=(64, 64)),
        "compression bomb": lambda group, name: group.create_dataset(
            name, data=np.zeros(2**23, "f4"), chunks=(2**23,), compression="gzip"
        ),
    }
    for words, fill in fills.items():
        h5, keras, weights = (tmp_path / name for name in ("m.h5", "m.keras", "m.weights.h5"))
        h5_file(h5, DENSE, fill=lambda group, fill=fill: fill(group, "d/kernel:0"))
        keras_file(keras, DENSE3, weights=lambda group, fill=fill: fill(group, "0"))
        weights.write_bytes(weights_h5(lambda group, fill=fill: fill(group, "0")))
        for path in (h5, keras):
            assert_refused(path, words)
        for path in (h5, keras, weights):
            assert_refused(path, words, load=dense().load_weights)


def test_a_header_of_87_bytes_asks_for_petabytes(tmp_path):
    """numpy.load allocates what the header of an array says."""
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000, 1000), }"
    header = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    assert len(header) == 87
    path = tmp_path / "m.npz"
    npz_file(path, DENSE)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo("weights/d/kernel.npy"), header)
    words = ["'weights/d/kernel'", "its shape (1000000, 1000000, 1000) takes 8000000000000000 bytes, and it has 0"]
    assert_refused(path, *words)
    assert_refused(path, *words, load=dense().load_weights)


@pytest.mark.usefixtures("quick")
@every_format
def test_configurations_that_ask_for_petabytes(suffix, tmp_path):
    """A small configuration asks for weights of any size; the file holds none of them."""
    config = {"name": "d", "units": 10**15}
    layer = {"module": "keras.layers", "class_name": "Dense", "config": config, "registered_name": None}
    assert_layer_refused(tmp_path, suffix, layer, "doesn't hold so many weights")


def test_safetensors_that_claim_what_they_lack(tmp_path):
    path = tmp_path / "m.safetensors"
    entry = {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}
    for header, data in [
        ({"d/kernel": {**entry, "shape": [10**9, 10**6], "data_offsets": [0, 4 * 10**15]}}, b""),
        ({"d/kernel": entry}, b"\0" * 63),
        ({"d/kernel": entry, "d/other": entry}, b"\0" * 64),
        ({"d/kernel": {**entry, "data_offsets": [-8, 56]}}, b"\0" * 64),
    ]:
        safetensors_file(path, header, data)
        assert_refused(path, load=dense().load_weights)
    path.write_bytes(struct.pack("<Q", 2**63) + b"{")
    assert_refused(path, load=dense().load_weights)


def test_an_archive_that_grows_a_thousandfold(tmp_path):
    zeros = bytes(2**28)
    for suffix, name in ((".npz", b"weights/d/kernel.npy"), (".npz", b"model.npy"), (".keras", b"config.json")):
        path = tmp_path / f"m{suffix}"
        path.write_bytes(Zip([Member(name, zeros, method=8), Member(b"model.weights.h5", b"")]).build())
        assert_refused(path, "a compression bomb")


def test_an_archive_whose_members_share_their_bytes(tmp_path):
    """Thousands of entries point at one member (Fifield 2019), which no ratio of a single one tells."""
    path = tmp_path / "m.npz"
    first = Member(b"weights/0/kernel.npy", npy(np.zeros(10**4, "f4")))
    others = [Member(b"weights/%d/kernel.npy" % i, first.data, local_name=first.name, shared=0) for i in range(1, 400)]
    path.write_bytes(Zip([first, *others]).build())
    assert_refused(path, "has a header that differs from its entry")
    for other in others:
        other.name, other.local_name = first.name, None
    path.write_bytes(Zip([first, *others]).build())
    assert_refused(path, "is in it twice")


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "C:\\evil", "..\\evil", "weights/../../evil", "~/evil"])
def test_names_in_a_file_are_keys_and_lead_nowhere(name, tmp_path):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    model = dense()
    kernel = model.get_weights()[0]
    path = folder / "w.npz"
    path.write_bytes(Zip([Member(f"{name}/kernel.npy".encode(), npy(kernel + 1))]).build())
    with watched(path) as seen:
        model.load_weights(path)  # the one layer, whatever its name
    np.testing.assert_array_equal(model.get_weights()[0], kernel + 1)
    path.write_bytes(Zip([Member(f"{name}.npy".encode(), npy(kernel))]).build())
    with watched(path) as more, pytest.raises(ModelFileError, match="another architecture"):
        model.load_weights(path)
    assert seen == more == []
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "a", folder, path]


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
@pytest.mark.parametrize("suffix", [".npz", ".h5", ".weights.h5", ".safetensors"])
def test_saving_over_a_link_changes_what_it_points_at_and_makes_no_other_file(suffix, tmp_path):
    """A link at the path is the user's own and is followed; what is written beside it has a name nobody can guess."""
    real, link = tmp_path / f"real{suffix}", tmp_path / f"link{suffix}"
    real.write_bytes(b"old")
    link.symlink_to(real)
    model = dense()
    model.save_weights(link)
    assert link.is_symlink()
    other = dense()
    other.load_weights(real)
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    assert sorted(tmp_path.iterdir()) == [link, real]


def test_a_member_that_is_a_link_is_refused(tmp_path):
    path = tmp_path / "m.npz"
    member = Member(b"weights/d/kernel.npy", os.fsencode(tmp_path / "secret"))
    member.central = {"made": 3 << 8 | 20, "outside": 0o120777 << 16}
    path.write_bytes(Zip([member]).build())
    assert_refused(path, "'weights/d/kernel.npy' is a link")


@pytest.mark.usefixtures("quick")
@every_format
def test_what_is_known_by_name_comes_from_the_caller_alone(suffix, tmp_path):
    class Mine(layers.Dense):
        pass

    config = {"name": "d", "units": 4, "use_bias": False}
    layer = {"module": "tests", "class_name": "Mine", "config": config, "registered_name": "tests>Mine"}
    layer["custom_objects"] = {"Mine": "Dense"}
    assert_layer_refused(tmp_path, suffix, layer, "Mine")
    assert "Mine" not in get_custom_objects()


# ---------------------------------------------------------------------- trainings that were broken off


def trained(folder, *callbacks):
    model = dense()
    model.compile("sgd", "mse")
    keeper = BackupAndRestore(folder / "kept", delete_checkpoint=False)
    model.fit(np.ones((4, 4)), np.ones((4, 4)), epochs=1, verbose=0, callbacks=[keeper, *callbacks])
    return folder / "kept" / "training.npz"


def test_a_broken_off_training_does_not_say_where_callbacks_write(tmp_path):
    """A file of a training holds the attributes of callbacks that changed: a path is none of them."""
    own = os.fspath(tmp_path / "own.npz")
    path = trained(tmp_path, ModelCheckpoint(own, monitor="loss"))
    state = read_state(path, 1)
    for change in ({"filepath": os.fspath(tmp_path / "evil.npz")}, {"__dict__": {"filepath": "evil.npz"}}):
        state["run"]["callbacks"]["ModelCheckpoint 1"] = change
        write_state(path, state, 1)
        with pytest.raises(ModelFileError, match=r"training.npz: .*ModelCheckpoint: '.*' can't become"):
            trained(tmp_path, ModelCheckpoint(own, monitor="loss"))
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "own.npz"}


def test_a_broken_off_training_under_conditions_that_are_none(tmp_path):
    path = trained(tmp_path)
    state = read_state(path, 1)
    for change in (np.ones(2), [np.ones(2)], {"a": 1}):
        state["conditions"]["fit: batch_size"] = change
        write_state(path, state, 1)
        with pytest.raises(ValueError, match=r"training\.npz"):
            trained(tmp_path)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ([{"$array": 0}] * 50_000, "uses the array 'arrays/0' twice"),
        ({"$text": [["a"] * 50_000, "<U4000000"]}, "are too many"),
        ({"$generator": {"bit_generator": "os.system"}}, "'os.system'"),
        ({"$object": 1}, "'object'"),
        ({"$array": -1}, "arrays/-1"),
    ],
)
def test_a_broken_off_training_that_grows_or_names_what_is_not_there(state, words, tmp_path):
    path = tmp_path / "training.npz"
    text = json.dumps({"format": 1, "state": {"a": state}}).encode()
    members = {"state.npy": npy(np.frombuffer(text, np.uint8)), "arrays/0.npy": npy(np.zeros(10**4))}
    path.write_bytes(Zip([Member(name.encode(), data) for name, data in members.items()]).build())
    assert_refused(path, words, load=lambda path: read_state(path, 1))


def test_a_count_of_steps_that_somebody_took_out_is_missed(tmp_path):
    path = tmp_path / "m.keras"
    model = dense()
    model.compile("adam", "mse")
    model.save(path)
    members = dict(parts(path.read_bytes()))
    metadata = json.loads(members["metadata.json"])
    metadata["minikeras"]["training"]["iterations"] = None
    members["metadata.json"] = json.dumps(metadata).encode()
    path.write_bytes(Zip([Member(name.encode(), data) for name, data in members.items()]).build())
    with pytest.warns(UserWarning, match=r"m.keras: .* holds no state of its Adam"):
        load_model(path)


# ---------------------------------------------------------------------- the tests' own tools


def test_files_built_in_the_same_way_without_an_attack_are_loaded(tmp_path):
    kernel = np.arange(16, dtype="f4").reshape(4, 4)
    npz_file(tmp_path / "m.npz", DENSE, arrays={"d/kernel": kernel})
    h5_file(tmp_path / "m.h5", DENSE, fill=lambda group: group.create_dataset("d/kernel:0", data=kernel))
    keras_file(tmp_path / "m.keras", DENSE3, weights=lambda group: group.create_dataset("0", data=kernel))
    entry = {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}
    safetensors_file(tmp_path / "m.safetensors", {"d/kernel": entry}, kernel.tobytes())
    (tmp_path / "m.weights.h5").write_bytes(weights_h5(lambda group: group.create_dataset("0", data=kernel)))
    for name in ("m.npz", "m.h5", "m.keras"):
        with watched(tmp_path / name) as seen:
            np.testing.assert_array_equal(load_model(tmp_path / name).get_weights()[0], kernel)
        assert seen == []
    for name in ("m.npz", "m.h5", "m.keras", "m.safetensors", "m.weights.h5"):
        model = dense()
        model.load_weights(tmp_path / name)
        np.testing.assert_array_equal(model.get_weights()[0], kernel)


def test_the_payloads_work(tmp_path):
    with pytest.raises(FileExistsError):
        pickle.loads(pickle.dumps(Payload(tmp_path)))
    code = marshal.loads(base64.b64decode(bytecode(tmp_path / "ran")))
    assert type(lambda: 0)(code, {})(3) == 3
    assert (tmp_path / "ran").is_dir()


@pytest.mark.skipif(sys.platform != "linux", reason="inotify")
def test_the_opening_of_a_file_is_noticed(tmp_path):
    (tmp_path / "secret").write_bytes(SECRET)
    with pytest.raises(pytest.fail.Exception), opened(tmp_path / "secret"):
        (tmp_path / "secret").read_bytes()
