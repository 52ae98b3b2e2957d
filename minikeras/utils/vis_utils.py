"""Pictures of models: as DOT text and SVG by themselves, in other formats by Graphviz or matplotlib."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from typing import Any

from .. import checks
from .diagram import FONT_SIZE, LINE, Diagram, diagram_of
from .layered_layout import RANKDIRS, lay_out
from .svg import FAINT, INK, MARGIN, arrow_head, to_svg

__all__ = ["Dot", "model_to_dot", "plot_model"]

_TEXTS = ("dot", "gv", "raw")
_DRAWN = ("png", "pdf", "jpg", "jpeg")
_SCALE = 2.0  # pixels of a PNG for each unit


class Dot:
    """The picture of a model, as `model_to_dot` gives it; a notebook shows it.

    Args:
        diagram: Its boxes and edges.
        rankdir: Where the edges lead: "TB", "LR", "BT" or "RL".
    """

    def __init__(self, diagram: Diagram, rankdir: str) -> None:
        self.diagram = diagram
        self.rankdir = rankdir

    def to_string(self) -> str:
        """Return the text in Graphviz's language DOT."""
        lines = ["digraph G {", f"rankdir={self.rankdir};", "concentrate=true;", "node [shape=record];"]
        for index, box in enumerate(self.diagram.boxes):
            label = _record(box.title)
            if box.rows:
                names, values = zip(*box.rows, strict=True)
                fields = "|".join(f"{{{'|'.join(map(_record, column))}}}" for column in (names, values))
                label = f"{label}\\n|{fields}"
                label = f"{{{label}}}" if self.rankdir in ("LR", "RL") else label
            lines.append(f'{index} [label="{label}"];')
        lines += [f"{tail} -> {head};" for tail, head in self.diagram.edges]
        return "\n".join([*lines, "}", ""])

    def create(self, prog: Any = None, format: str = "svg") -> bytes:
        """Return the contents of a file.

        Args:
            prog: The program of Graphviz that draws, for formats other than "svg" and "dot"; "dot" if None. Where it
                isn't installed, matplotlib draws.
            format: "svg", or "dot" for the text; "png", "pdf", "jpg", and what Graphviz knows besides.

        Raises:
            ImportError: If neither Graphviz nor matplotlib is there to draw such a picture.
            ValueError: If Graphviz refuses, or only Graphviz knows the format and isn't there.
        """
        kind = str(format).lower().removeprefix(".")
        if kind in _TEXTS:
            return self.to_string().encode()
        if kind == "svg":
            return self._repr_svg_().encode()
        program = shutil.which(prog if isinstance(prog, str) else "dot")
        if program is not None:
            return _graphviz(program, kind, self.to_string())
        if kind not in _DRAWN:
            raise ValueError(
                f"plot_model: without Graphviz the format must be svg, dot or one of {', '.join(_DRAWN)}. "
                f"Received: {kind!r}"
            )
        return self._by_matplotlib(kind)

    def write(self, path: str | os.PathLike[str], prog: Any = None, format: str | None = None) -> None:
        """Write a file.

        Args:
            path: Where.
            prog: As for `create`.
            format: As for `create`; by default what the path's suffix says, and DOT text without one.

        Raises:
            ImportError: As `create`.
            ValueError: As `create`.
            OSError: If the file can't be written.
        """
        suffix = os.path.splitext(path)[1][1:]
        contents = self.create(prog, format or suffix or "dot")
        with open(path, "wb") as file:
            file.write(contents)

    def _repr_svg_(self) -> str:
        return to_svg(self.diagram, lay_out([box.size for box in self.diagram.boxes], self.diagram.edges, self.rankdir))

    def _by_matplotlib(self, kind: str) -> bytes:
        figure_class, patches, path_class = _matplotlib(kind)
        layout = lay_out([box.size for box in self.diagram.boxes], self.diagram.edges, self.rankdir)
        width, height = layout.width + 2 * MARGIN, layout.height + 2 * MARGIN
        figure = figure_class(figsize=(width / 72, height / 72), dpi=72 * min(_SCALE, 30_000 / max(width, height)))
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set(xlim=(-MARGIN, layout.width + MARGIN), ylim=(layout.height + MARGIN, -MARGIN))
        axes.axis("off")
        for route in layout.routes:
            points = [route.start, *(point for curve in route.curves for point in curve)]
            codes = [path_class.MOVETO, *[path_class.CURVE4] * (len(points) - 1)]
            axes.add_patch(patches.PathPatch(path_class(points, codes), fill=False, color=INK, linewidth=1.2))
            axes.add_patch(patches.Polygon(arrow_head(route), facecolor=INK, linewidth=0))
        font = {"fontsize": FONT_SIZE, "va": "center", "color": INK, "family": "DejaVu Sans", "parse_math": False}
        for box, (x, y) in zip(self.diagram.boxes, layout.centers, strict=True):
            wide, high = box.size
            corner = (x - wide / 2 + 5, y - high / 2 + 5)
            shape = patches.FancyBboxPatch(
                corner, wide - 10, high - 10, boxstyle="round,pad=5", facecolor=box.color, edgecolor=INK, linewidth=1.0
            )
            axes.add_patch(shape)
            line = y - LINE * len(box.rows) / 2
            axes.text(x, line, box.title, ha="center", **font)
            for number, (label, text) in enumerate(box.rows, 1):
                left = x - box.rows_width / 2
                axes.text(left, line + number * LINE, label, **{**font, "color": FAINT})
                axes.text(left + box.label_width, line + number * LINE, text, **font)
        stream = io.BytesIO()
        figure.savefig(stream, format=kind)
        return stream.getvalue()


def model_to_dot(model: Any, show_shapes: bool = False, show_layer_names: bool = True, rankdir: str = "TB") -> Dot:
    """Return the picture of a model: a box for each layer and an arrow for each connection.

    A model inside of the model is one box, as in Keras 2.2.4. A wrapper shows what it wraps, and an operation between
    layers has a box of its own.

    Args:
        model: The model, which must be built.
        show_shapes: Whether boxes tell the shapes of inputs and outputs.
        show_layer_names: Whether boxes tell the names of layers, besides their classes.
        rankdir: Where the arrows lead: "TB" down, "BT" up, "LR" to the right, "RL" to the left.

    Returns:
        The picture, which a notebook shows: ``to_string()`` is its DOT text, ``create(format="svg")`` the contents of
        a file, ``write(path)`` writes one.

    Raises:
        TypeError: If it is no model, or a flag is no flag.
        ValueError: If it has no graph, being not built or a class with a ``call`` of its own; for another rankdir.

    Example:
        >>> from minikeras.layers import Dense, Input
        >>> from minikeras.models import Model
        >>> x = Input((3,), name="x")
        >>> print(model_to_dot(Model(x, Dense(2, name="y")(x))).to_string())
        digraph G {
        rankdir=TB;
        concentrate=true;
        node [shape=record];
        0 [label="x: InputLayer"];
        1 [label="y: Dense"];
        0 -> 1;
        }
        <BLANKLINE>
    """
    return _dot("model_to_dot", model, show_shapes, show_layer_names, rankdir)


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
) -> Dot:
    """Draw a model and write the picture to a file.

    Args:
        model: The model, which must be built.
        to_file: The file. ``.svg`` and DOT text (``.dot``, ``.gv``) need nothing else; ``.png``, ``.pdf`` and
            ``.jpg`` need Graphviz or matplotlib, the extra ``plot``.
        show_shapes: Whether boxes tell the shapes of inputs and outputs.
        show_layer_names: Whether boxes tell the names of layers, besides their classes.
        rankdir: Where the arrows lead: "TB" down, "BT" up, "LR" to the right, "RL" to the left.

    Returns:
        The picture, which a notebook shows.

    Raises:
        ImportError: If neither Graphviz nor matplotlib is there for a format that needs one.
        TypeError: If it is no model, a flag is no flag, or the file is no path.
        ValueError: As `model_to_dot`; for a format that isn't known.
        OSError: If the file can't be written.

    Example::

        plot_model(model, "model.svg", show_shapes=True)
    """
    if not isinstance(to_file, (str, os.PathLike)):
        raise TypeError(f"plot_model: to_file must be a path. Received: {to_file!r}")
    picture = _dot("plot_model", model, show_shapes, show_layer_names, rankdir)
    picture.write(to_file, format=os.path.splitext(to_file)[1] or "png")
    return picture


def _dot(owner: str, model: Any, show_shapes: bool, show_layer_names: bool, rankdir: str) -> Dot:
    shapes = checks.flag(owner, "show_shapes", show_shapes)
    names = checks.flag(owner, "show_layer_names", show_layer_names)
    diagram = diagram_of(owner, model, shapes, names)
    if rankdir not in RANKDIRS:
        raise ValueError(f"{owner}: rankdir must be one of {', '.join(RANKDIRS)}. Received: {rankdir!r}")
    return Dot(diagram, rankdir)


def _record(text: str) -> str:
    """A text in the label of a record, where some characters mean something."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    for special in '\\"{}|<>':
        text = text.replace(special, f"\\{special}")
    return text


def _graphviz(program: str, kind: str, text: str) -> bytes:
    done = subprocess.run([program, f"-T{kind}"], input=text.encode(), capture_output=True, check=False)
    if done.returncode:
        message = done.stderr.decode(errors="replace").strip()
        raise ValueError(f"plot_model: Graphviz can't draw the format. Received: {kind!r}; it says: {message[:300]}")
    return done.stdout


def _matplotlib(kind: str) -> tuple[Any, Any, Any]:
    try:
        from matplotlib import patches
        from matplotlib.figure import Figure
        from matplotlib.path import Path
    except ImportError as error:
        raise ImportError(
            f"plot_model: a .{kind} needs matplotlib (pip install 'minikeras[plot]') or Graphviz's program dot. "
            "A file that ends in .svg needs neither"
        ) from error
    return Figure, patches, Path
