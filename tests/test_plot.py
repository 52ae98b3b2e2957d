from __future__ import annotations

import sys

import numpy as np
import pytest

from minikeras import Sequential, layers
from minikeras.plot import plot_history

HISTORY = {"loss": [1.0, 0.5], "acc": [0.5, 0.9], "val_loss": [1.1, 0.7], "lr": [0.1, 0.01]}


def test_each_quantity_has_a_panel_with_its_curves(tmp_path):
    pytest.importorskip("matplotlib")
    figure = plot_history(HISTORY, tmp_path / "curves.png")
    assert [axes.get_title() for axes in figure.axes] == ["loss", "acc", "lr"]
    loss, acc, _ = figure.axes
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    np.testing.assert_array_equal(loss.lines[0].get_xdata(), [1, 2])
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), [1.0, 0.5])
    assert [line.get_label() for line in acc.lines] == ["training"]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_trained_history_is_drawn_with_its_epochs(tmp_path):
    pytest.importorskip("matplotlib")
    model = Sequential([layers.Dense(1, input_dim=1)])
    model.compile("sgd", "mse")
    history = model.fit([0.0, 1.0], [0.0, 1.0], initial_epoch=3, epochs=5, verbose=0)
    figure = plot_history(history, str(tmp_path / "curves"))
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xdata(), [4, 5])
    assert (tmp_path / "curves").read_bytes().startswith(b"\x89PNG")


def test_the_suffix_says_the_format(tmp_path):
    pytest.importorskip("matplotlib")
    plot_history(HISTORY, tmp_path / "curves.svg")
    assert "<svg" in (tmp_path / "curves.svg").read_text(encoding="utf-8")


def test_without_a_path_no_file_is_written(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    plot_history(HISTORY)
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"plot_history needs matplotlib: pip install 'minikeras\[plot\]'"):
        plot_history(HISTORY)


def test_what_is_no_history_is_refused():
    with pytest.raises(TypeError, match=r"history must be what fit returned, or its dict. Received: \[1\]"):
        plot_history([1])
    with pytest.raises(ValueError, match="no epochs to draw"):
        plot_history({"loss": []})
