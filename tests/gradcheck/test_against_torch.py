from __future__ import annotations

import pytest

pytest.importorskip("torch")

from tests.gradcheck.against_torch import CASES, Case, ours, theirs


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
@pytest.mark.parametrize("seed", range(3))
def test_what_torch_finds_is_found(case: Case, seed: int) -> None:
    assert bool(ours(case, seed)) == case.right
    assert theirs(case, seed) or not case.right
