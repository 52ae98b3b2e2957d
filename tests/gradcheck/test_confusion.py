from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.gradcheck.confusion import Score, score
from tests.gradcheck.planting import Mutation, Other
from tests.gradcheck.seeds import seeds

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]


def said(kind: str, certain: bool, *truths: str) -> Mutation:
    """A case of which the checker says this."""
    verdict = SimpleNamespace(kind=kind, certain=certain)
    result = SimpleNamespace(name="x", order=1, verdict=verdict, ok=kind == "agrees")
    report: Any = SimpleNamespace(results=[result])
    return Mutation(Other("family", "label", lambda seed: report), "kind", "x", truths)


def scored(*cases: Mutation) -> Score:
    return score(lambda _: [0], cases)


def test_the_verdicts_on_the_held_out_set_are_right_and_never_falsely_certain() -> None:
    found = score(lambda case: seeds(case.name))
    assert not found.falsely_named, "\n".join(found.falsely_named)
    assert not found.missed, "\n".join(found.missed)
    assert found.accuracy >= 0.8, str(found)


def test_any_of_the_truths_is_right_and_stands_on_the_diagonal() -> None:
    found = scored(said("transposed", True, "wrong", "transposed"), said("sign", False, "sign"))
    assert found.accuracy == 1
    assert found.counts == {("transposed", "transposed"): 1, ("sign", "sign"): 1}


def test_a_false_kind_counts_as_named_unless_it_says_perhaps_or_is_none_in_particular() -> None:
    found = scored(said("sign", True, "factor"), said("sign", False, "factor"), said("wrong", True, "factor"))
    assert (len(found.wrong), len(found.falsely_named), found.accuracy) == (3, 1, 0)


def test_a_mistake_that_passes_is_missed_and_falsely_named() -> None:
    found = scored(said("agrees", True, "zero"))
    assert len(found.missed) == len(found.falsely_named) == 1


def test_the_matrix_is_a_table_in_markdown() -> None:
    table = scored(said("sign", True, "factor"), said("factor", True, "factor")).table()
    assert table.splitlines() == ["| true \\ said | factor | sign |", "|---|---|---|", "| factor | 1 | 1 |"]
