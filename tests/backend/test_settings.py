"""The backend: the configuration under Keras's names, and the session."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras import Sequential, backend, config, initializers
from minikeras.layers import Dense, Layer


def test_the_configuration_is_the_one_that_everything_reads():
    assert (backend.floatx(), backend.epsilon(), backend.image_data_format()) == ("float32", 1e-7, "channels_last")
    backend.set_floatx("float64")
    backend.set_epsilon(1e-5)
    backend.set_image_data_format("channels_first")
    assert (config.floatx(), config.epsilon(), config.image_data_format()) == ("float64", 1e-5, "channels_first")
    assert initializers.Zeros()((2,)).dtype == np.float64


def test_a_wrong_setting_is_refused():
    with pytest.raises(ValueError, match="floatx must be one of"):
        backend.set_floatx("int32")


def test_cast_to_floatx_makes_an_array_of_the_default_type():
    assert backend.cast_to_floatx([1, 2]).dtype == np.float32
    assert backend.cast_to_floatx(np.arange(3.0)).dtype == np.float32
    with config.scope(floatx="float64"):
        assert backend.cast_to_floatx(1).dtype == np.float64


def test_clear_session_lets_automatic_names_start_again():
    class Nameless(Layer):
        pass

    backend.clear_session()
    assert [Nameless().name, Nameless().name] == ["nameless_1", "nameless_2"]
    backend.clear_session()
    assert Nameless().name == "nameless_1"


def test_identifiers_count_for_each_prefix() -> None:
    backend.reset_uids()
    assert [backend.get_uid("a"), backend.get_uid("b"), backend.get_uid("a"), backend.get_uid()] == [1, 1, 2, 1]
    backend.reset_uids()
    assert backend.get_uid("a") == 1
    backend.clear_session()
    assert backend.get_uid("a") == 1


def test_keras_1s_names_of_the_data_formats() -> None:
    assert backend.image_dim_ordering() == "tf"
    backend.set_image_dim_ordering("th")
    assert (backend.image_data_format(), backend.image_dim_ordering()) == ("channels_first", "th")
    with pytest.raises(ValueError, match=r"dim_ordering must be one of 'tf', 'th'\. Received: 'channels_first'"):
        backend.set_image_dim_ordering("channels_first")


def test_a_data_format_is_that_of_the_configuration_unless_it_is_given() -> None:
    assert backend.normalize_data_format(None) == "channels_last"
    assert backend.normalize_data_format("Channels_First") == "channels_first"
    backend.set_image_data_format("channels_first")
    assert backend.normalize_data_format(None) == "channels_first"
    with pytest.raises(ValueError, match="data_format must be one of 'channels_last', 'channels_first'"):
        backend.normalize_data_format("tf")


def test_a_name_scope_stands_before_the_names_of_weights_and_variables() -> None:
    backend.clear_session()
    with backend.name_scope("block") as name:
        assert name == "block/"
        with backend.name_scope("inner"):
            model = Sequential([Dense(2, input_dim=3, name="d")])
            made = [backend.variable(1.0, name="v"), backend.zeros((2,), name="z"), backend.placeholder((2,), name="p")]
    names = [weight.name for weight in model.weights]
    assert names == ["block/inner/d/kernel", "block/inner/d/bias"]
    assert [x.name for x in made] == [f"block/inner/{name}" for name in "vzp"]
    assert backend.variable(1.0, name="v").name == "v"
    model.compile("sgd", "mse")
    assert [*model.gradients_on_batch(np.ones((1, 3)), np.ones((1, 2)))] == names


def test_a_name_scope_that_comes_up_again_has_a_number_unless_it_is_entered_again() -> None:
    backend.clear_session()
    seen = []
    for name in ("a", "a", "a", "a_1/", "b"):
        with backend.name_scope(name) as scope:
            seen.append(scope)
    assert seen == ["a/", "a_1/", "a_2/", "a_1/", "b/"]
    message = r"name_scope: the name must be a string\. Received: None"
    with pytest.raises(TypeError, match=message), backend.name_scope(None):  # type: ignore[arg-type]
        pass


def test_weights_made_in_a_scope_are_saved_and_loaded_by_their_layers(tmp_path) -> None:
    models = []
    for scope in ("one", "two"):
        with backend.name_scope(scope):
            models.append(Sequential([Dense(2, input_dim=3, name="d")]))
    models[0].save_weights(tmp_path / "w.npz")
    models[1].load_weights(tmp_path / "w.npz", by_name=True)
    assert np.array_equal(models[0].get_weights()[0], models[1].get_weights()[0])


def test_the_conventions_are_tensorflows():
    assert backend.backend() == "tensorflow"
