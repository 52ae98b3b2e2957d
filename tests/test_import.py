"""What `import minikeras` loads and costs, each time in a process of its own."""

from __future__ import annotations

import statistics
import subprocess
import sys

import pytest

import minikeras


def output_of(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_minikeras_loads_nothing_but_numpy_and_the_standard_library() -> None:
    loaded = output_of(
        "import sys, numpy; before = set(sys.modules); import minikeras; print(*(set(sys.modules) - before))"
    )
    packages = {module.partition(".")[0] for module in loaded.split()}
    assert "minikeras" in packages
    assert packages - set(sys.stdlib_module_names) - {"minikeras", "numpy"} == set()


def test_importing_minikeras_takes_less_than_a_quarter_second_more_than_numpy() -> None:
    clock = "import time, numpy; start = time.process_time(); import minikeras; print(time.process_time() - start)"
    # of this process alone: others may be busy
    output_of(clock)  # compiles the package if nobody has yet
    assert statistics.median(float(output_of(clock)) for _ in range(5)) < 0.25


def test_the_namespaces_of_keras_are_loaded_on_first_use() -> None:
    code = (
        "import sys, minikeras; before = 'minikeras.layers' in sys.modules; layers = minikeras.layers;"
        "print(before, layers is sys.modules['minikeras.layers'], 'layers' in vars(minikeras))"
    )
    assert output_of(code) == "False True True"


@pytest.mark.parametrize("name", minikeras.__all__)
def test_every_public_name_is_there_and_listed(name: str) -> None:
    assert getattr(minikeras, name) is not None
    assert name in dir(minikeras)


def test_a_star_import_brings_the_public_names() -> None:
    assert output_of("from minikeras import *; print(Tensor.__name__, layers.__name__)") == "Tensor minikeras.layers"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'minikeras' has no attribute 'leyers'"):
        minikeras.leyers  # noqa: B018 (the access is the test)


def test_a_configuration_of_a_model_is_read_by_layers_alone() -> None:
    config = {"class_name": "Sequential", "config": {"name": "m", "layers": []}}
    assert output_of(f"from minikeras.layers import deserialize; print(deserialize({config}).name)") == "m"
