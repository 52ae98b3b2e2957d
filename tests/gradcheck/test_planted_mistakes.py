from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from minikeras import Tensor
from minikeras.core.tape import gradients
from tests.gradcheck.mutations import DEVELOPMENT, EQUIVALENT, GENERIC, HELD_OUT, MUTATIONS
from tests.gradcheck.planting import Function, Mutation
from tests.gradcheck.seeds import seeds
from tests.gradcheck.subjects import SUBJECTS

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_a_planted_mistake_is_found(mutation: Mutation) -> None:
    for seed in seeds(mutation.name):
        report = mutation.report(seed)
        result = mutation.result(report)
        assert not result.ok, f"seed {seed}:\n{report}"
        assert not report.ok


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda s: f"{s.family} {s.label}")
def test_the_subjects_are_right_once_the_mistakes_are_out_again(subject: Function) -> None:
    for seed in seeds(subject.label):
        report = subject.check(seed)
        assert report.ok, f"seed {seed}:\n{report}"


def _gradients(subject: Function, seed: int) -> list[np.ndarray]:
    xs = [Tensor(array, requires_grad=True) for array in subject.arrays(seed)]
    output = subject.call(*xs)
    # Powers of two lose no digits when they are added or rounded.
    cotangent = 2.0 ** np.random.default_rng(seed).integers(-3, 4, output.shape)
    return [g.numpy() for g in gradients(output, xs, cotangent)]


@pytest.mark.parametrize(("mutation", "reason"), EQUIVALENT, ids=lambda v: getattr(v, "name", ""))
def test_what_was_left_out_of_the_mistakes_changes_nothing(mutation: Mutation, reason: str) -> None:
    for seed in range(20):
        right = _gradients(mutation.subject, seed)
        with mutation.plant():
            wrong = _gradients(mutation.subject, seed)
        for one, other in zip(right, wrong, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15, err_msg=reason)


def test_there_are_hundreds_of_mistakes_of_every_kind() -> None:
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS) > 500
    assert len({mutation.kind for mutation in MUTATIONS}) > 40
    assert len({mutation.subject.family for mutation in MUTATIONS}) > 100
    used = Counter(mutation.kind for mutation in MUTATIONS)
    assert all(used[mistake.kind] >= 4 for mistake in GENERIC)


def test_four_in_ten_are_held_out_with_every_verdict_on_both_sides() -> None:
    assert 0.38 < len(HELD_OUT) / len(MUTATIONS) < 0.44
    common = {truth for truth, count in Counter(m.truths[0] for m in MUTATIONS).items() if count > 1}
    assert common <= {m.truths[0] for m in HELD_OUT}
    assert common <= {m.truths[0] for m in DEVELOPMENT}


def test_a_mistake_is_out_again_also_after_an_error() -> None:
    mutation = next(m for m in MUTATIONS if isinstance(m.subject, Function) and m.subject.operation._backward)
    operation = mutation.subject.operation
    kept = operation._vjps, operation._backward
    with pytest.raises(ZeroDivisionError), mutation.plant():
        raise ZeroDivisionError
    assert (operation._vjps, operation._backward) == kept
    assert not operation._plans
