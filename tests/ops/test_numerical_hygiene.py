"""The tables of docs/numerics.md, computed: errors over the whole range of numbers, and what happens at hard points."""

from __future__ import annotations

import contextlib
import json
import re
from functools import partial
from math import inf, nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from minikeras import Tensor, constraints, losses, ops, regularizers
from minikeras.core import config
from minikeras.core.tape import gradients

ROOT = Path(__file__).resolve().parents[2]
TRUTH = json.loads((ROOT / "tests" / "reference" / "numerics.json").read_text(encoding="utf-8"))
DTYPES = ["float32", "float64"]


def table(first: str) -> list[list[str]]:
    """The cells of the rows of the table whose first column is called so."""
    lines = (ROOT / "docs" / "numerics.md").read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first} |")) + 2
    stop = next(i for i in range(start, len(lines)) if not lines[i].startswith("|"))
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines[start:stop]]


def with_derivatives(f: Any, x: np.ndarray, order: int = 2) -> list[np.ndarray]:
    """``f(x)``, the gradient of its sum, and that of the gradient's sum."""
    leaf = Tensor(x, requires_grad=True)
    value = f(leaf)
    (first,) = gradients([value], [leaf], [Tensor(np.ones(value.shape, value.dtype))], create_graph=True)
    if order == 1:
        return [value.numpy(), first.numpy()]
    second = None
    if first.requires_grad:
        (second,) = gradients([first], [leaf], [Tensor(np.ones(x.shape, x.dtype))])
    return [value.numpy(), first.numpy(), np.zeros_like(x) if second is None else second.numpy()]


# ---------------------------------------------------------------------- how exact


def beside_zero(x: Tensor) -> Tensor:
    return ops.stack([x, ops.stop_gradient(x) * 0.0], axis=-1)


def of_logits(target: float) -> Any:
    def f(x: Tensor) -> Tensor:
        y_true = np.full((*x.shape, 1), target, x.dtype)
        return losses.binary_crossentropy(y_true, ops.expand_dims(x, -1), from_logits=True)

    return f


FUNCTIONS = {
    "binary_crossentropy_of_logits_0": of_logits(0.0),
    "binary_crossentropy_of_logits_1": of_logits(1.0),
    "log_softmax_of_two": lambda x: ops.log_softmax(beside_zero(x))[..., 0],
    "logsumexp_of_two": lambda x: ops.logsumexp(beside_zero(x), axis=-1),
}
ACCURACY = {row[0]: [cell.split() for cell in row[1:4]] for row in table("operation")}


def errors(name: str, dtype: str, order: int, absolute: bool) -> np.ndarray:
    """In rounding units, at all points where the truth is a number of the type."""
    info = np.finfo(dtype)
    rows = TRUTH[name][dtype]
    truth = np.array([[float(text) for text in row[1:]] for row in rows])
    known = (np.abs(truth) <= float(info.max)).all(axis=1)
    x = np.array([row[0] for row in rows], dtype)[known]
    computed = with_derivatives(FUNCTIONS.get(name) or getattr(ops, name), x)[order]
    true = truth[known, order]
    assert computed.dtype == dtype
    assert np.isfinite(computed).all()
    unit = 1.0 if absolute else np.maximum(np.abs(true), float(info.tiny) / float(info.eps))
    return np.asarray(np.abs(computed - true) / (float(info.eps) * unit))


def test_the_table_has_every_function_of_the_reference() -> None:
    assert list(ACCURACY) == list(TRUTH)


@pytest.mark.parametrize("order", [0, 1, 2], ids=["value", "gradient", "second"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TRUTH)
def test_no_error_is_larger_than_the_page_says_over_the_whole_range(name: str, dtype: str, order: int) -> None:
    limit, *absolute = ACCURACY[name][order]
    assert errors(name, dtype, order, bool(absolute)).max() <= float(limit)


@pytest.mark.parametrize("name", TRUTH)
def test_the_page_does_not_overstate_errors(name: str) -> None:
    for order, (limit, *absolute) in enumerate(ACCURACY[name]):
        found = max(errors(name, dtype, order, bool(absolute)).max() for dtype in DTYPES)
        assert float(limit) <= 2 * found + 1


# ---------------------------------------------------------------------- hard points

POINTS = table("expression")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", POINTS, ids=[f"{row[0]} at {row[1]}" for row in POINTS])
def test_values_and_derivatives_at_hard_points_are_those_of_the_page(row: list[str], dtype: str) -> None:
    info = np.finfo(dtype)
    names = {
        "ops": ops, "losses": losses, "constraints": constraints, "regularizers": regularizers, "inf": inf, "nan": nan,
        "most": float(info.max) / 2, "least": float(info.smallest_subnormal), "log": np.log, "eps": config.epsilon(),
    }  # fmt: skip
    expression, at, *expected = [text for text in row[:5] if text]
    x = np.array(eval(at, names), dtype)
    names["np"] = SimpleNamespace(array=partial(np.array, dtype=dtype), nan=nan)  # nothing is computed in another type
    quiet = np.errstate(all="ignore") if re.search("inf|nan", "".join(expected)) else contextlib.nullcontext()
    with quiet, pytest.warns(RuntimeWarning) if expected[0] == "nan" else contextlib.nullcontext():
        found = with_derivatives(lambda x: eval(expression, {**names, "x": x}), x, order=len(expected) - 1)
    assert {part.dtype for part in found} == {np.dtype(dtype)}
    for value, text in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, eval(text, names), rtol=32 * info.eps, atol=info.tiny, err_msg=text)
