from __future__ import annotations

import pytest

from minikeras.core.tensor import _Operations, operations


@pytest.mark.parametrize("name", _Operations.__annotations__)
def test_every_operation_that_tensors_call_is_filled(name: str) -> None:
    assert callable(getattr(operations, name))


def test_nothing_is_filled_that_is_not_declared() -> None:
    assert set(vars(operations)) == set(_Operations.__annotations__)
