"""Keras 2's module paths mean minikeras while it is installed for them, and leave no trace after."""

from __future__ import annotations

import copy
import importlib
import json
import pickle
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

import minikeras
from minikeras import compat
from minikeras.registry import get_custom_objects

ROOT = Path(minikeras.__file__).parent.parent
_DATA = Path(__file__).parent / "reference" / "keras224_signatures.json"
SIGNATURES = json.loads(_DATA.read_text(encoding="utf-8"))["signatures"]
LEFT_OUT = {name for names in json.loads(_DATA.read_text(encoding="utf-8"))["left_out"].values() for name in names}


@pytest.fixture
def _installed():
    with compat.installed():
        yield


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("path", compat.MODULES)
def test_a_path_of_the_table_has_the_names_of_its_modules(path):
    if path.startswith("keras.wrappers."):
        pytest.importorskip("sklearn", reason="needs the extra minikeras[sklearn]")
    if path.partition(".")[0] != "keras" and not isinstance(importlib.import_module(path), compat.StandIn):
        pytest.skip("the real package is installed")
    stand_in = importlib.import_module(path)
    assert stand_in.__name__ == path
    for target in compat.MODULES[path]:
        module = importlib.import_module(f"minikeras.{target}".rstrip("."))
        names = [name for name in getattr(module, "__all__", ()) if name in stand_in.__all__]
        assert names == list(getattr(module, "__all__", ()))
        first = compat.MODULES[path][0] == target
        submodules = {other.rpartition(".")[2] for other in compat.MODULES if other.startswith(f"{path}.")}
        for name in names if first else ():
            if name not in submodules:
                assert getattr(stand_in, name) is getattr(module, name)


@pytest.mark.usefixtures("_installed")
def test_what_a_script_imports_is_what_minikeras_has():
    import keras.layers.convolutional
    from keras import backend as K
    from keras.layers import Conv2D
    from keras.layers.core import Dense
    from keras.models import Sequential
    from keras.utils.np_utils import to_categorical

    assert keras.layers.convolutional.Conv2D is keras.layers.Conv2D is Conv2D is minikeras.layers.Conv2D
    assert Dense is minikeras.layers.Dense
    assert keras.Sequential is Sequential is minikeras.Sequential
    assert to_categorical is minikeras.utils.to_categorical
    assert K.mean is minikeras.backend.mean
    assert K is keras.backend


@pytest.mark.usefixtures("_installed")
def test_a_namespace_is_there_without_an_import_of_its_own():
    import keras

    assert keras.losses.mse is minikeras.losses.mse
    assert "layers" in dir(keras)
    assert "Conv2D" in dir(keras.layers)
    assert keras.__version__ == "2.2.4"


@pytest.mark.usefixtures("_installed")
def test_a_star_import_brings_the_layers():
    namespace: dict[str, object] = {}
    exec("from keras.layers import *", namespace)
    assert namespace["Conv2D"] is minikeras.layers.Conv2D


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("path", compat.LEFT_OUT)
def test_a_module_that_is_left_out_says_what_to_use_instead(path):
    if path == "keras_applications" and PathFinder.find_spec(path) is not None:
        pytest.skip("the real package is installed")
    with pytest.raises(ImportError) as caught:
        importlib.import_module(path)
    assert str(caught.value) == f"{path} isn't part of minikeras: {compat.LEFT_OUT[path]}"


@pytest.mark.usefixtures("_installed")
def test_names_that_are_left_out_say_what_to_use_instead():
    with pytest.raises(ImportError, match="recurrent layers"):
        from keras.layers import LSTM  # noqa: F401
    with pytest.raises(ImportError, match="no session"):
        from keras.backend import set_session  # noqa: F401
    with pytest.raises(ImportError, match="pretrained networks"):
        from keras.applications.vgg16 import VGG16  # noqa: F401


@pytest.mark.usefixtures("_installed")
def test_what_never_was_in_keras_is_an_import_error_that_names_what_is_close():
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'keras.layer'.*Did you mean keras.layers"):
        importlib.import_module("keras.layer")
    with pytest.raises(ImportError, match=r"cannot import name 'Conv4D' from 'keras\.layers'"):
        from keras.layers import Conv4D  # noqa: F401
    import keras

    assert not hasattr(keras.layers, "Conv4D")


def test_a_name_that_is_set_in_a_namespace_is_known_there_until_the_end():
    with compat.installed():
        import keras

        def halved(y_true, y_pred):
            return 0.5 * minikeras.losses.mse(y_true, y_pred)

        keras.losses.halved = halved
        assert keras.losses.get("halved") is halved
        assert not hasattr(minikeras.losses, "halved")
    assert "halved" not in get_custom_objects()


def test_nothing_is_left_after_the_end():
    modules, finders = set(sys.modules), list(sys.meta_path)
    with compat.installed():
        importlib.import_module("keras.layers.core")
        assert "keras.layers.core" in sys.modules
    assert {name for name in set(sys.modules) - modules if not name.startswith("minikeras")} == set()
    assert sys.meta_path == finders
    compat.uninstall()
    assert sys.meta_path == finders


def test_installing_twice_is_installing_once_and_an_inner_context_leaves_the_outer_one():
    finders = list(sys.meta_path)
    with compat.installed():
        compat.install()
        with compat.installed():
            pass
        import keras

        assert keras.layers.Dense is minikeras.layers.Dense
    assert sys.meta_path == finders


def test_a_real_keras_beside_it_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "__init__.py").write_text("real = True\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    with compat.installed():
        assert importlib.import_module("keras").__version__ == "2.2.4"
    assert importlib.import_module("keras").real
    with pytest.raises(RuntimeError, match=r"keras is already imported, from .*keras.*restart the kernel"):
        compat.install()
    del sys.modules["keras"]
    assert [path.name for path in tmp_path.rglob("*")] == ["keras", "__init__.py"]


@pytest.mark.usefixtures("_installed")
def test_modules_survive_pickling_and_copying():
    import keras.backend

    assert pickle.loads(pickle.dumps(keras.backend)) is keras.backend
    assert copy.deepcopy(keras) is keras


def test_a_process_that_is_sent_a_module_installs_it(tmp_path):
    with compat.installed():
        import keras.layers

        (tmp_path / "module.pickle").write_bytes(pickle.dumps(keras.layers))
    code = f"import pickle; print(pickle.load(open({str(tmp_path / 'module.pickle')!r}, 'rb')).Dense)"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "<class 'minikeras.layers.core.Dense'>", result.stderr


# ---------------------------------------------------------------------- Keras's paths with minikeras in front


@pytest.mark.parametrize("path", [path for path in compat.MODULES if path.startswith("keras.")])
def test_a_path_of_keras_is_there_below_minikeras_too(path):
    if path.startswith("keras.wrappers."):
        pytest.importorskip("sklearn", reason="needs the extra minikeras[sklearn]")
    module = importlib.import_module(f"mini{path}")
    with compat.installed():
        keras_s = importlib.import_module(path)
        names = [name for name in SIGNATURES.get(path, ()) if "." not in name and f"{path}.{name}" not in LEFT_OUT]
        assert [name for name in names if getattr(module, name, None) is not getattr(keras_s, name)] == []


def test_scripts_with_minikeras_in_keras_s_place_import_by_its_paths():
    from minikeras.engine.topology import InputSpec, Layer
    from minikeras.layers.advanced_activations import LeakyReLU
    from minikeras.layers.convolutional import Conv2D
    from minikeras.objectives import mse

    from minikeras.layers.core import Dense, Lambda, SpatialDropout2D

    layers = minikeras.layers
    assert (Conv2D, LeakyReLU, Dense, Lambda) == (layers.Conv2D, layers.LeakyReLU, layers.Dense, layers.Lambda)
    assert (SpatialDropout2D, Layer, InputSpec) == (layers.SpatialDropout2D, layers.Layer, layers.InputSpec)
    assert mse is minikeras.losses.mse
    assert pickle.loads(pickle.dumps(minikeras.objectives)) is minikeras.objectives


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("minikeras.layers.recurrent", "keras.layers.recurrent isn't part of minikeras: there are no recurrent layers"),
        ("minikeras.applications.vgg16", "keras.applications isn't part of minikeras: there are no pretrained"),
        ("minikeras.layers.convolution", "No module named 'minikeras.layers.convolution'"),
        ("minikeras.keras", "No module named 'minikeras.keras'"),
    ],
)
def test_a_path_that_is_not_there_says_so(path, message):
    with pytest.raises(ModuleNotFoundError, match=message):
        importlib.import_module(path)
