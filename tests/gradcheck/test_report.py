"""The report as a text, as plain values and as a picture."""

from __future__ import annotations

import json

import numpy as np
import pytest

from minikeras.gradcheck import check_gradients

RNG = np.random.default_rng(0)
W, X = RNG.normal(size=(4, 3)), RNG.normal(size=(5, 4))


def loss(w, x):
    return np.sum(np.tanh(x @ w))


def right(w, x):
    g = 1 - np.tanh(x @ w) ** 2
    return x.T @ g, g @ w.T


def half(w, x):
    return 0.5 * right(w, x)[0], right(w, x)[1]


def test_a_report_that_agrees_is_short():
    report = check_gradients(loss, [W, X], gradient=right)
    lines = str(report).splitlines()
    assert lines[0] == "check_gradients of loss: 2 gradients agree with differences"
    assert len(lines) == 3
    assert bool(report)


def test_a_report_that_disagrees_says_where_and_shows_the_sweep():
    report = check_gradients(loss, [W, X], gradient=half)
    text = str(report)
    lines = text.splitlines()
    assert lines[0] == "check_gradients of loss: 1 of 2 gradients is wrong"
    assert "factor of 1/2" in text
    assert "worst at [" in text
    assert "1e-01" in text
    assert "1e-09" in text
    assert max(map(len, lines)) <= 100
    assert not report
    assert report["x"].ok


@pytest.mark.parametrize("length", [5, 60, 300])
def test_lines_are_not_longer_than_a_hundred_characters(length):
    names = ["a" * length, "b" * length]
    for gradient in (right, half, lambda w, x: (np.full_like(w, np.nan), np.zeros_like(x))):
        text = str(check_gradients(loss, [W, X], gradient=gradient, names=names))
        assert max(map(len, text.splitlines())) <= 100, text


def test_a_result_has_the_numbers():
    result = check_gradients(loss, [W, X], gradient=half)["w"]
    exact, claimed = right(W, X)[0][result.index], half(W, X)[0][result.index]
    np.testing.assert_allclose([result.numeric, result.analytic], [exact, claimed], rtol=1e-8)
    np.testing.assert_allclose(result.absolute_error, abs(exact - claimed), rtol=1e-6)
    np.testing.assert_allclose(result.relative_error, abs(exact - claimed) / np.abs(right(W, X)[0]).max(), rtol=1e-6)
    assert [step for step, _ in result.sweep] == pytest.approx([10.0**-k for k in range(1, 10)])
    assert all(abs(error - 0.5) < 0.1 for _, error in result.sweep)


def test_the_sweep_of_a_right_gradient_first_falls_and_then_rises():
    errors = [error for _, error in check_gradients(loss, [W, X], gradient=right, method="full")["w"].sweep]
    assert errors[0] > 1e-4
    assert min(errors) < 1e-9
    assert errors[-1] > 10 * min(errors)


@pytest.mark.parametrize("gradient", [right, half, lambda w, x: (np.full_like(w, np.nan), x * 0)])
def test_plain_values_go_through_json(gradient):
    report = check_gradients(loss, [W, X], gradient=gradient)
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert values["ok"] is report.ok
    assert [entry["name"] for entry in values["results"]] == ["w", "x"]
    assert values["results"][0]["verdict"]["kind"] == report["w"].verdict.kind
    assert values["results"][0]["shape"] == [4, 3]


def test_an_unknown_name_is_told_with_those_that_there_are():
    with pytest.raises(KeyError, match=r"\['w', 'x'\]"):
        check_gradients(loss, [W, X], gradient=right)["y"]


@pytest.mark.parametrize("gradient", [right, half, lambda w, x: (np.full_like(w, np.nan), x * 0)])
@pytest.mark.parametrize("method", ["auto", "full"])
def test_a_picture_is_drawn(tmp_path, gradient, method):
    pytest.importorskip("matplotlib")
    report = check_gradients(loss, [W, X], gradient=gradient, method=method)
    figure = report.plot(tmp_path / "errors")
    assert (tmp_path / "errors").read_bytes().startswith(b"\x89PNG")
    assert len(figure.axes) >= 2


@pytest.mark.parametrize("shape", [(), (7,), (3, 3, 2, 4)])
def test_inputs_of_any_shape_are_drawn(shape):
    pytest.importorskip("matplotlib")
    x = RNG.normal(size=shape)
    report = check_gradients(lambda x: np.sum(np.sin(x)), x, gradient=lambda x: 2 * np.cos(x))
    (curve, errors, *_) = report.plot().axes
    assert curve.lines
    assert errors.images
