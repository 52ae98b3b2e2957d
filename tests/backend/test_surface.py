"""The public names of Keras 2.2.4's backend with TensorFlow, and how each of them is called."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest

from minikeras import backend as K

# Name to signature, as inspect shows it, without annotations.
SIGNATURES: dict[str, str] = json.loads((Path(__file__).parent / "keras224_backend.json").read_text(encoding="utf-8"))
PRESENT = sorted(name for name, signature in SIGNATURES.items() if name in K.__all__)
LEFT_OUT = sorted(SIGNATURES.keys() - set(PRESENT))


@pytest.mark.parametrize("name", PRESENT)
def test_a_name_has_the_arguments_and_defaults_of_keras(name: str) -> None:
    def plain(signature: inspect.Signature) -> str:
        bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
        return str(signature.replace(parameters=bare, return_annotation=signature.empty))

    assert plain(inspect.signature(getattr(K, name))) == SIGNATURES[name]


def test_what_is_left_out_is_just_this() -> None:
    assert LEFT_OUT == [
        "ctc_batch_cost",
        "ctc_decode",
        "ctc_label_dense_to_sparse",
        "get_session",
        "rnn",
        "set_session",
    ]


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_says_what_to_write_instead(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'minikeras.backend' has no attribute '{name}': .{{20}}"):
        getattr(K, name)


def test_a_name_that_nobody_knows_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'minikeras.backend' has no attribute 'nonsense'$"):
        getattr(K, "nonsense")  # noqa: B009 (a mere expression would be B018)


@pytest.mark.parametrize("name", K.__all__)
def test_a_public_name_is_documented(name: str) -> None:
    assert len(inspect.getdoc(getattr(K, name)) or "") > 10


def test_the_tests_of_this_folder_name_every_function() -> None:
    files = [path for path in Path(__file__).parent.glob("test_*.py") if path.name != Path(__file__).name]
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    unnamed = {name for name in K.__all__ if not re.search(rf'\b(K|backend)\.{name}\b|"{name}"', text)}
    assert unnamed == {"Function", "Update"}  # what `function` and `update` make
