from __future__ import annotations

import io
import os
import stat
import zipfile

import numpy as np
import pytest

from minikeras import Sequential, layers
from minikeras.saving import ModelFileError
from minikeras.saving.atomic import atomic_write


def net(filters=4, units=3, **keywords):
    return Sequential(
        [
            layers.Conv2D(filters, 3, input_shape=(6, 6, 1), name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Flatten(),
            layers.Dense(units, name="dense", **keywords),
        ],
        name="m",
    )


def assert_same(one, other):
    for array, expected in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(array, expected)


def rewritten(path, change):
    """The archive with each member's bytes changed by ``change(name, data)``; None leaves one out."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            changed = change(name, data)
            if changed is not None:
                archive.writestr(name, changed)


def npy(array, **keywords):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **keywords)
    return file.getvalue()


def test_weights_come_back_exactly(tmp_path):
    model, other = net(), net()
    for weight in model.weights:
        weight.assign(np.random.default_rng(0).standard_normal(weight.shape))
    model.save_weights(tmp_path / "w.npz")
    other.load_weights(tmp_path / "w.npz")
    assert_same(other, model)


def test_numpy_reads_the_file_by_names(tmp_path):
    model = net()
    model.save_weights(tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz", allow_pickle=False) as arrays:
        assert list(arrays) == [
            "conv/kernel",
            "conv/bias",
            "norm/gamma",
            "norm/beta",
            "norm/moving_mean",
            "norm/moving_variance",
            "dense/kernel",
            "dense/bias",
        ]
        np.testing.assert_array_equal(arrays["conv/kernel"], model.get_weights()[0])


def test_what_numpy_writes_can_be_loaded(tmp_path):
    model, other = net(), net()
    names = ["c/kernel", "c/bias", *(f"n/{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance"))]
    names += ["d/kernel", "d/bias"]
    arrays = dict(zip(names, (np.asfortranarray(array) for array in model.get_weights()), strict=True))
    np.savez_compressed(tmp_path / "w.npz", **arrays)
    other.load_weights(tmp_path / "w.npz")
    assert_same(other, model)


@pytest.mark.parametrize("name", ["", "/"])
def test_arrays_without_the_name_of_a_layer_belong_to_one_without_a_name(name, tmp_path):
    model = Sequential([layers.Dense(2, input_dim=3)])
    kernel, bias = np.arange(6.0).reshape(3, 2), np.ones(2)
    np.savez(tmp_path / "w.npz", **{f"{name}kernel": kernel, f"{name}bias": bias})
    model.load_weights(tmp_path / "w.npz")
    np.testing.assert_array_equal(model.get_weights()[0], kernel)
    np.testing.assert_array_equal(model.get_weights()[1], bias)


def test_layers_are_matched_in_order_whatever_their_names(tmp_path):
    one = Sequential([layers.Dense(2, input_dim=2), layers.Dense(3)])
    other = Sequential([layers.Dense(2, input_dim=2), layers.Activation("relu"), layers.Dense(3)])
    one.save_weights(tmp_path / "w.npz")
    other.load_weights(tmp_path / "w.npz")
    assert_same(other, one)


def test_models_inside_models_are_saved_with_all_their_layers(tmp_path):
    def nested():
        inner = Sequential([layers.Dense(2, input_dim=2), layers.Dense(2)], name="inner")
        return Sequential([inner, layers.Dense(1, name="head")])

    model, other = nested(), nested()
    model.save_weights(tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz") as arrays:
        assert list(arrays)[:4] == ["inner/kernel", "inner/bias", "inner/kernel_2", "inner/bias_2"]
    other.load_weights(tmp_path / "w.npz")
    assert_same(other, model)


def test_equal_weights_give_equal_bytes(tmp_path):
    model = net()
    model.save_weights(tmp_path / "a.npz")
    model.save_weights(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_weights_of_another_type_are_converted(tmp_path):
    model, other = net(), net(dtype="float64")
    model.save_weights(str(tmp_path / "w.npz"))
    other.load_weights(str(tmp_path / "w.npz"))
    assert other.get_weights()[-1].dtype == np.float64
    assert_same(other, model)


def test_another_architecture_is_refused_with_a_table_and_nothing_is_changed(tmp_path):
    net(filters=8, use_bias=False).save_weights(tmp_path / "w.npz")
    model = net()
    before = model.get_weights()
    with pytest.raises(ModelFileError) as caught:
        model.load_weights(tmp_path / "w.npz")
    first, head, *rows, offer = str(caught.value).splitlines()
    assert first.endswith("w.npz holds weights of another architecture.")
    assert head.split() == ["layer", "weight", "model", "expects", "file", "holds"]
    assert rows[0].split() == ["conv", "kernel", "(3,", "3,", "1,", "4)", "(3,", "3,", "1,", "8)", "in", "'conv'"]
    assert "load_weights(..., by_name=True)" in offer
    assert rows[-1].split() == ["dense", "bias", "(3,)", "-"]
    assert len(rows) == 8
    for array, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_missing_and_surplus_layers_are_in_the_table(tmp_path):
    small, large = Sequential([layers.Dense(1, input_dim=1, name="a")]), Sequential()
    for name in ("a", "b"):
        large.add(layers.Dense(1, input_dim=1, name=name))
    small.save_weights(tmp_path / "small.npz")
    large.save_weights(tmp_path / "large.npz")
    with pytest.raises(ModelFileError, match=r"b +kernel +\(1, 1\) +-"):
        large.load_weights(tmp_path / "small.npz")
    with pytest.raises(ModelFileError, match=r"- +kernel +- +\(1, 1\) in 'b'"):
        small.load_weights(tmp_path / "large.npz")


def test_a_long_table_is_cut(tmp_path):
    def deep(units):
        return Sequential([layers.Dense(units, input_dim=units) for _ in range(15)])

    deep(2).save_weights(tmp_path / "w.npz")
    with pytest.raises(ModelFileError, match="and 10 more"):
        deep(3).load_weights(tmp_path / "w.npz")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"lost\.npz"):
        net().load_weights(tmp_path / "lost.npz")


@pytest.mark.parametrize("use", ["save_weights", "load_weights"])
def test_a_model_that_is_not_built_has_no_weights_yet(use, tmp_path):
    with pytest.raises(RuntimeError, match=f"Sequential 'm': {use} needs a built model"):
        getattr(Sequential([layers.Dense(1)], name="m"), use)(tmp_path / "w.npz")


def test_a_file_is_replaced_unless_told_otherwise(tmp_path):
    path = tmp_path / "w.npz"
    one, other = net(), net()
    one.save_weights(path)
    with pytest.raises(FileExistsError, match="is there already, and overwrite is False"):
        other.save_weights(path, overwrite=False)
    other.save_weights(path)
    one.load_weights(path)
    assert_same(one, other)


# ---------------------------------------------------------------------- by name


def three(units=3, width=5, names=("one", "two", "head")):
    """A model of three layers by these names, with random weights."""
    model = Sequential([layers.Dense(width, input_dim=2, name=names[0]), layers.Dense(4, name=names[1])])
    model.add(layers.Dense(units, name=names[2]))
    rng = np.random.default_rng(units)
    model.set_weights([rng.standard_normal(weight.shape) for weight in model.weights])
    return model


def taken(model, before, source):
    """For each weight whether it is that of the source, "s", or the one it had before, "b"."""
    found = ""
    for now, old, new in zip(model.get_weights(), before, source.get_weights(), strict=True):
        found += "s" if np.array_equal(now, new) else "b" if np.array_equal(now, old) else "?"
    return found


@pytest.mark.parametrize("whole", [False, True])
def test_by_name_loads_the_layers_that_have_a_name_in_common(whole, tmp_path):
    source, model = three(3), three(4, names=("one", "other", "new"))
    (source.save if whole else source.save_weights)(tmp_path / "w.npz")
    before = model.get_weights()
    model.load_weights(tmp_path / "w.npz", by_name=True)
    assert taken(model, before, source) == "ssbbbb"


def test_by_name_the_order_of_the_layers_is_of_no_account(tmp_path):
    three(3).save_weights(tmp_path / "w.npz")
    model = Sequential([layers.Dense(3, input_dim=4, name="head"), layers.Dense(2, name="last")])
    model.load_weights(tmp_path / "w.npz", by_name=True)
    assert_same(model.layers[0], three(3).layers[2])


def test_by_name_another_shape_is_refused_and_nothing_is_changed(tmp_path):
    three(3).save_weights(tmp_path / "w.npz")
    model = three(4)
    before = model.get_weights()
    with pytest.raises(ModelFileError, match=r"head +bias +\(4,\) +\(3,\) in 'head'\n.*skip_mismatch=True"):
        model.load_weights(tmp_path / "w.npz", by_name=True)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))


def test_skip_mismatch_loads_the_rest_and_lists_what_it_left(tmp_path):
    source, model = three(3), three(3, width=6)
    source.save_weights(tmp_path / "w.npz")
    before = model.get_weights()
    with pytest.warns(UserWarning, match=r"keep their values:\n(.*\n)+two +kernel +\(6, 4\) +\(5, 4\)") as caught:
        model.load_weights(tmp_path / "w.npz", by_name=True, skip_mismatch=True)
    assert caught[0].filename == __file__
    assert taken(model, before, source) == "bbbsss"  # the bias of "two" fits, and is loaded as Keras does


def test_skip_mismatch_leaves_a_layer_alone_that_has_another_number_of_weights(tmp_path):
    source = Sequential([layers.Dense(3, input_dim=2, name="one", use_bias=False)])
    source.save_weights(tmp_path / "w.npz")
    model = Sequential([layers.Dense(3, input_dim=2, name="one")])
    before = model.get_weights()
    with pytest.warns(UserWarning, match=r"one +kernel"):
        model.load_weights(tmp_path / "w.npz", by_name=True, skip_mismatch=True)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))


def test_names_without_any_in_common_are_pointed_out(tmp_path):
    three(3).save_weights(tmp_path / "w.npz")
    with pytest.warns(UserWarning, match=r"nothing is loaded: the model has a, b, c; the file has one, two, head"):
        three(3, names=("a", "b", "c")).load_weights(tmp_path / "w.npz", by_name=True)


@pytest.mark.parametrize("by_name", [False, True])
def test_reshape_takes_arrays_of_as_many_elements(by_name, tmp_path):
    source = Sequential([layers.Dense(3, input_dim=4, name="one")])
    source.save_weights(tmp_path / "w.npz")
    model = Sequential([layers.Conv1D(3, 2, input_shape=(5, 2), name="one")])
    with pytest.raises(ModelFileError, match=r"reshape=True\) takes arrays of other shapes"):
        model.load_weights(tmp_path / "w.npz", by_name=by_name)
    model.load_weights(tmp_path / "w.npz", by_name=by_name, reshape=True)
    kernel, bias = source.get_weights()
    assert np.array_equal(model.get_weights()[0], kernel.reshape(2, 2, 3))
    assert np.array_equal(model.get_weights()[1], bias)


def test_a_file_that_is_damaged_at_its_end_changes_no_weight(tmp_path):
    model = three(3)
    three(3).save_weights(tmp_path / "w.npz")
    rewritten(tmp_path / "w.npz", lambda name, data: data[:-4] if name == "head/bias.npy" else data)
    before = [array + 1 for array in model.get_weights()]
    model.set_weights(before)
    with pytest.raises(ModelFileError, match="damaged"):
        model.load_weights(tmp_path / "w.npz", by_name=True)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))


# ---------------------------------------------------------------------- damaged and hostile files


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(share, tmp_path):
    path = tmp_path / "w.npz"
    net().save_weights(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ModelFileError, match=r"w.npz is damaged or not an .npz file"):
        net().load_weights(path)


def test_a_flipped_bit_in_the_data_is_found(tmp_path):
    path = tmp_path / "w.npz"
    model = net()
    model.save_weights(path)
    data = bytearray(path.read_bytes())
    position = data.index(model.get_weights()[-2].tobytes()) + 5
    data[position] ^= 1
    path.write_bytes(data)
    before = model.get_weights()
    with pytest.raises(ModelFileError, match=r"w.npz is damaged"):
        model.load_weights(path)
    for array, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, expected)


HOSTILE = {
    "pickled objects": lambda name, data: npy(np.array([{}]), allow_pickle=True) if "conv/bias" in name else data,
    "text": lambda name, data: npy(np.array(["a"])) if "conv/bias" in name else data,
    "no array": lambda name, data: b"hello" if "conv/bias" in name else data,
    "too little data": lambda name, data: data[:-1] if "conv/bias" in name else data,
    "too much data": lambda name, data: data + b"\0" if "conv/bias" in name else data,
    "an unknown version": lambda name, data: data[:6] + b"\x09" + data[7:] if "conv/bias" in name else data,
    "a negative size": lambda name, data: data.replace(b"(4,)", b"(-4)") if "conv/bias" in name else data,
    "an endless header": lambda name, data: b"\x93NUMPY\x02\0" + b"\xff\xff\xff\x7f" + b" " * 99999,
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_member_is_refused(attack, tmp_path):
    path = tmp_path / "w.npz"
    net().save_weights(path)
    rewritten(path, HOSTILE[attack])
    with pytest.raises(ModelFileError, match=r"w.npz is damaged or not an .npz file"):
        net().load_weights(path)


def test_a_header_that_asks_for_petabytes_allocates_nothing(tmp_path):
    path = tmp_path / "w.npz"
    net().save_weights(path)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6, 10**3)}
    )
    rewritten(path, lambda name, data: header.getvalue() if "conv/kernel" in name else data)
    with pytest.raises(ModelFileError, match=r"w.npz .*'conv/kernel': its shape \(1000000, .* takes 80000000000000"):
        net().load_weights(path)


def test_a_member_twice_is_refused(tmp_path):
    path = tmp_path / "w.npz"
    net().save_weights(path)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("conv/bias.npy", npy(np.zeros(4)))
    with pytest.raises(ModelFileError, match=r"'conv/bias.npy' is in it twice"):
        net().load_weights(path)


def test_a_compression_that_numpy_does_not_write_is_refused(tmp_path):
    path = tmp_path / "w.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("conv/bias.npy", npy(np.zeros(4)))
    with pytest.raises(ModelFileError, match=r"'conv/bias.npy' is compressed in a way that NumPy and Keras"):
        net().load_weights(path)


def test_a_size_that_the_directory_claims_and_the_data_lack_is_refused(tmp_path):
    path = tmp_path / "w.npz"
    model = net()
    model.save_weights(path)
    sizes = [len(npy(array)).to_bytes(4, "little") for array in model.get_weights()[-1:]]
    data = path.read_bytes()
    directory = data.rindex(b"dense/bias.npy") - 46
    assert data[directory + 24 : directory + 28] == sizes[0]
    path.write_bytes(data[: directory + 24] + (999).to_bytes(4, "little") + data[directory + 28 :])
    with pytest.raises(ModelFileError, match=r"'dense/bias.npy' declares 999 bytes, and takes 140"):
        model.load_weights(path)


def test_a_member_that_is_no_array_is_refused(tmp_path):
    path = tmp_path / "w.npz"
    net().save_weights(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../evil.py", "print('hello')")
    with pytest.raises(ModelFileError, match=r"the member '../../evil.py' is no array"):
        net().load_weights(path)


# ---------------------------------------------------------------------- writing


def test_an_exception_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as file:  # noqa: PT012
        file.write(b"half of the ne")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
def test_permissions_are_those_of_any_new_file_and_links_are_followed(tmp_path):
    plain, real, link = tmp_path / "plain", tmp_path / "real", tmp_path / "link"
    plain.write_bytes(b"")
    link.symlink_to(real)
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert stat.S_IMODE(real.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
