"""FlatParameters: parameters as one vector and back."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras import Parameter, Tensor
from minikeras.utils import FlatParameters


def parameters():
    return [
        Parameter(np.arange(6, dtype="float32").reshape(2, 3)),
        Parameter(np.array(7.0)),
        Parameter(np.zeros((0, 2), "float32")),
        Parameter(np.array([8.0, 9.0], "float32")),
    ]


def test_the_vector_holds_all_elements_in_order_in_float64():
    vector = FlatParameters(parameters()).vector
    assert vector.dtype == np.float64
    assert vector.tolist() == [0, 1, 2, 3, 4, 5, 7, 8, 9]


def test_the_vector_is_a_copy():
    own = parameters()
    FlatParameters(own).vector[:] = -1
    assert own[0].numpy().min() == 0


def test_split_undoes_join_and_gives_each_parameter_its_shape_and_dtype():
    own = parameters()
    flat = FlatParameters(own)
    parts = flat.split(flat.vector)
    assert [(part.shape, part.dtype) for part in parts] == [(p.shape, p.dtype) for p in own]
    assert flat.join(parts).tolist() == flat.vector.tolist()


def test_split_gives_new_arrays_also_of_float64():
    vector = np.ones(2)
    FlatParameters([Parameter(np.zeros(2))]).split(vector)[0][:] = 5
    assert vector.tolist() == [1, 1]


def test_a_missing_gradient_counts_as_zeros():
    flat = FlatParameters(parameters())
    assert flat.join([None, Tensor(3.0), None, [1.0, 2.0]]).tolist() == [0, 0, 0, 0, 0, 0, 3, 1, 2]


def test_assigning_writes_in_place_and_raises_the_version():
    own = parameters()
    array, version = own[0].data, own[0].version
    FlatParameters(own).assign(np.full(9, 4.0))
    assert own[0].data is array
    assert array.min() == array.max() == 4
    assert own[0].version == version + 1


def test_parameters_are_elsewhere_for_a_while_and_come_back_also_after_an_error():
    own = parameters()
    flat, arrays = FlatParameters(own), [p.data for p in own]
    seen = []

    def fail():
        with flat.at(np.full(9, 4.0)):
            seen.append(own[1].item())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert seen == [4.0]
    assert all(p.data is array for p, array in zip(own, arrays, strict=True))


def test_a_tape_recorded_elsewhere_is_good_for_backward_at_home():
    w = Parameter(np.array([1.0, 2.0]))
    with FlatParameters([w]).at([5.0, 6.0]):
        y = (w**3).sum()
    y.backward()
    assert w.grad.tolist() == [75.0, 108.0]


def test_no_parameters_make_an_empty_vector():
    flat = FlatParameters([])
    assert (flat.size, flat.vector.shape, flat.split(np.zeros(0))) == (0, (0,), [])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda flat: flat.split(np.zeros(8)), r"\(9,\).*\(8,\)"),
        (lambda flat: flat.assign(np.zeros((9, 1))), r"\(9,\).*\(9, 1\)"),
        (lambda flat: flat.join([None]), r"shapes.*\(2, 3\)"),
        (lambda flat: flat.join([np.zeros((3, 2)), None, None, None]), r"shapes.*\(3, 2\)"),
    ],
)
def test_other_shapes_are_refused(wrong, words):
    with pytest.raises(ValueError, match=f"FlatParameters.*{words}"):
        wrong(FlatParameters(parameters()))


@pytest.mark.parametrize("wrong", [np.zeros(3), Tensor([1, 2]), "kernel"], ids=["array", "integers", "text"])
def test_what_is_no_parameter_is_refused(wrong):
    with pytest.raises(TypeError, match="FlatParameters: parameters must be Tensors of floating-point numbers"):
        FlatParameters([wrong])
