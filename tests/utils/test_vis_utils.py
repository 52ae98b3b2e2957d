from __future__ import annotations

import builtins
import re
import shutil
import xml.etree.ElementTree as ET

import pytest

from minikeras import Model, Sequential, ops
from minikeras.layers import (
    Add,
    Conv2D,
    Dense,
    Flatten,
    Input,
    Lambda,
    MaxPooling2D,
    Subtract,
    TimeDistributed,
)
from minikeras.utils import model_to_dot, plot_model
from minikeras.utils.diagram import text_width

SVG = "{http://www.w3.org/2000/svg}"


def sequential():
    return Sequential([Conv2D(2, 3, name="a", input_shape=(8, 8, 1)), MaxPooling2D(name="b"), Flatten(name="c")])


def residual():
    x = Input((4,), name="x")
    y = Dense(4, name="y")(x)
    return Model(x, Add(name="z")([x, y]))


def siamese():
    encoder = Sequential([Dense(2, input_shape=(4,))], name="encoder")
    a, b = Input((4,), name="a"), Input((4,), name="b")
    return Model([a, b], Subtract(name="d")([encoder(a), encoder(b)]))


def arrows(model, **arguments):
    """The edges of the DOT text by the labels of boxes."""
    text = model_to_dot(model, **arguments).to_string()
    labels = dict(re.findall(r'^(\d+) \[label="(.*)"\];$', text, re.MULTILINE))
    return [(labels[a], labels[b]) for a, b in re.findall(r"^(\d+) -> (\d+);$", text, re.MULTILINE)]


def texts(model, **arguments):
    root = ET.fromstring(model_to_dot(model, **arguments).create(prog="dot", format="svg"))
    return [element.text for element in root.iter(f"{SVG}text")]


def test_the_text_has_a_box_for_each_layer_and_an_arrow_for_each_connection():
    assert arrows(sequential()) == [
        ("a_input: InputLayer", "a: Conv2D"),
        ("a: Conv2D", "b: MaxPooling2D"),
        ("b: MaxPooling2D", "c: Flatten"),
    ]
    assert sorted(arrows(residual())) == [
        ("x: InputLayer", "y: Dense"),
        ("x: InputLayer", "z: Add"),
        ("y: Dense", "z: Add"),
    ]


def test_a_shared_model_is_one_box():
    assert arrows(siamese()) == [
        ("a: InputLayer", "encoder: Sequential"),
        ("b: InputLayer", "encoder: Sequential"),
        ("encoder: Sequential", "d: Subtract"),
    ]


def test_a_wrapper_names_what_it_wraps_and_an_operation_itself():
    x = Input((3, 4), name="x")
    y = TimeDistributed(Dense(2, name="inner"), name="outer")(x)
    assert arrows(Model(x, ops.exp(y))) == [
        ("x: InputLayer", "outer(inner): TimeDistributed(Dense)"),
        ("outer(inner): TimeDistributed(Dense)", "exp"),
    ]


def test_names_are_left_out_on_request():
    assert arrows(sequential(), show_layer_names=False)[0] == ("InputLayer", "Conv2D")


def test_boxes_tell_shapes_on_request():
    shown = texts(sequential(), show_shapes=True)[5:10]
    assert shown == ["a: Conv2D", "input:", "(None, 8, 8, 1)", "output:", "(None, 6, 6, 2)"]
    assert "[(None, 4), (None, 4)]" in texts(residual(), show_shapes=True)
    text = model_to_dot(sequential(), show_shapes=True).to_string()
    assert r'1 [label="a: Conv2D\n|{input:|output:}|{(None, 8, 8, 1)|(None, 6, 6, 2)}"];' in text


def test_calls_on_different_shapes_are_multiple():
    a, b, shared = Input((2, 3)), Input((4, 3)), Dense(1, name="shared")
    assert texts(Model([a, b], [shared(a), shared(b)]), show_shapes=True).count("multiple") == 2


def test_names_are_escaped():
    x = Input((4,), name='<x> & "{y}|\x07\\')
    model = Model(x, Dense(1, name="]]>")(x))
    assert '<x> & "{y}|\N{REPLACEMENT CHARACTER}\\: InputLayer' in texts(model)
    assert r"\<x\> & \"\{y\}\|" in model_to_dot(model).to_string()


def test_texts_fit_into_their_boxes():
    root = ET.fromstring(model_to_dot(residual(), show_shapes=True)._repr_svg_())
    (group,) = root.iter(f"{SVG}g")
    boxes = [[float(r.get(k)) for k in ("x", "y", "width", "height")] for r in group.iter(f"{SVG}rect")]
    assert len(boxes) == 3
    for element in group.iter(f"{SVG}text"):
        x, y, width = float(element.get("x")), float(element.get("y")), text_width(element.text)
        left = x - width / 2 if element.get("text-anchor") == "middle" else x
        assert any(
            l <= left and left + width <= l + w and t + 8 <= y <= t + h
            for l, t, w, h in boxes  # noqa: E741
        ), element.text


@pytest.mark.parametrize("rankdir", ["TB", "LR", "BT", "RL"])
def test_the_direction_is_that_of_rankdir(rankdir):
    picture = model_to_dot(sequential(), rankdir=rankdir)
    assert f"rankdir={rankdir};" in picture.to_string()
    root = ET.fromstring(picture.create())
    assert (float(root.get("width")) > float(root.get("height"))) == (rankdir in ("LR", "RL"))


@pytest.mark.parametrize(
    ("name", "start"), [("m.svg", b"<svg "), ("m.dot", b"digraph G {"), ("m.gv", b"digraph G {"), ("m.SVG", b"<svg ")]
)
def test_svg_and_dot_files_need_nothing_else(tmp_path, monkeypatch, name, start):
    without_drawing(monkeypatch)
    picture = plot_model(residual(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    picture.write(tmp_path / "again")
    assert (tmp_path / "again").read_text() == picture.to_string()


def test_png_without_graphviz_is_drawn_by_matplotlib(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    monkeypatch.setattr(shutil, "which", lambda program: None)
    x = Input((4,), name="$a_b$ 100%")
    plot_model(Model(x, Dense(1)(x)), str(tmp_path / "m.png"), show_shapes=True)
    with image.open(tmp_path / "m.png") as drawn:
        width, height = drawn.size
        assert len(drawn.convert("RGB").getcolors(100_000)) > 10
    root = ET.fromstring(model_to_dot(Model(x, Dense(1)(x)), show_shapes=True).create())
    assert width == pytest.approx(2 * float(root.get("width")), abs=60)
    assert height == pytest.approx(2 * float(root.get("height")), abs=4)
    plot_model(Model(x, Dense(1)(x)), tmp_path / "without")
    assert (tmp_path / "without").read_bytes().startswith(b"\x89PNG")


def test_graphviz_draws_where_it_is_there(tmp_path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\ncase $1 in -Tpng) printf "drawn "; head -n 1;; *) echo "no $1" >&2; exit 1;; esac\n')
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(program) if name == "dot" else None)
    assert model_to_dot(residual()).create(prog="dot", format="png") == b"drawn digraph G {\n"
    with pytest.raises(ValueError, match=r"Graphviz can't draw the format. Received: 'nothing'; it says: no -Tnothing"):
        model_to_dot(residual()).create(format="nothing")


def without_drawing(monkeypatch):
    """Neither Graphviz nor matplotlib."""
    real = builtins.__import__

    def refusing(name, *rest, **keywords):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *rest, **keywords)

    monkeypatch.setattr(shutil, "which", lambda program: None)
    monkeypatch.setattr(builtins, "__import__", refusing)


def test_png_without_either_says_what_to_install(tmp_path, monkeypatch):
    without_drawing(monkeypatch)
    with pytest.raises(ImportError, match=r"minikeras\[plot\].*Graphviz.*ends in .svg needs neither"):
        plot_model(residual(), tmp_path / "m.png")
    assert list(tmp_path.iterdir()) == []


class Own(Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plot_model(Dense(1)), TypeError, "plot_model: model must be a model. Received: Dense"),
        (lambda: model_to_dot("m"), TypeError, "model_to_dot: model must be a model. Received: str 'm'"),
        (lambda: plot_model(Sequential([Dense(1)])), ValueError, "has no graph to draw: it must be built.*Received"),
        (lambda: plot_model(Own()), ValueError, "has no graph to draw.*a call of its own has none"),
        (lambda: plot_model(residual(), rankdir="UP"), ValueError, "rankdir must be one of TB, .*Received: 'UP'"),
        (lambda: plot_model(residual(), rankdir=None), ValueError, "rankdir must be one of TB, .*Received: None"),
        (lambda: plot_model(residual(), show_shapes="m.png"), TypeError, "show_shapes must be .*Received: 'm.png'"),
        (lambda: plot_model(residual(), None), TypeError, "to_file must be a path. Received: None"),
        (lambda: plot_model(residual(), "m.xyz"), ValueError, r"format must be svg, dot or one of.*Received: 'xyz'"),
        (lambda: plot_model(residual(), "/no/such/m.svg"), OSError, "/no/such/m.svg"),
    ],
)
def test_wrong_calls_are_told(monkeypatch, call, error, message):
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(error, match=message):
        call()


def test_the_idiom_of_notebooks_shows_a_lambda():
    x = Input((2,), name="x")
    shown = model_to_dot(Model(x, Lambda(lambda t: t, name="f")(x)), show_shapes=True).create(prog="dot", format="svg")
    assert isinstance(shown, bytes)
    assert ET.fromstring(shown).tag == f"{SVG}svg"
