"""Diagrams as SVG."""

from __future__ import annotations

from html import escape

from .diagram import FONT_SIZE, LINE, Diagram
from .layered_layout import ARROW, Layout, Point, Route

MARGIN = 10.0
INK = "#3a4450"
FAINT = "#76808c"


def to_svg(diagram: Diagram, layout: Layout) -> str:
    """Return a diagram as the text of an SVG file.

    Args:
        diagram: What it shows.
        layout: Where.
    """
    width, height = layout.width + 2 * MARGIN, layout.height + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-MARGIN:.0f} {-MARGIN:.0f} {width:.0f} {height:.0f}">',
        f'<rect x="{-MARGIN:.0f}" y="{-MARGIN:.0f}" width="{width:.0f}" height="{height:.0f}" fill="white"/>',
        f'<g font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="{FONT_SIZE:.0f}" fill="{INK}">',
        *(_edge(route) for route in layout.routes),
    ]
    for box, (x, y) in zip(diagram.boxes, layout.centers, strict=True):
        wide, high = box.size
        left, top = x - wide / 2, y - high / 2
        parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="5" fill="{box.color}" '
            f'stroke="{INK}"/>'
        )
        base = top + (high - LINE * (1 + len(box.rows))) / 2 + LINE * 0.72
        parts.append(f'<text x="{x:.1f}" y="{base:.1f}" text-anchor="middle">{_text(box.title)}</text>')
        at = x - box.rows_width / 2
        for label, text in box.rows:
            base += LINE
            parts.append(f'<text x="{at:.1f}" y="{base:.1f}" fill="{FAINT}">{_text(label)}</text>')
            parts.append(f'<text x="{at + box.label_width:.1f}" y="{base:.1f}">{_text(text)}</text>')
    return "\n".join([*parts, "</g>", "</svg>", ""])


def arrow_head(route: Route) -> tuple[Point, Point, Point]:
    """Return the corners of the head at the end of an edge."""
    (x, y), (base_x, base_y) = route.tip, route.curves[-1][-1] if route.curves else route.start
    length = max(((x - base_x) ** 2 + (y - base_y) ** 2) ** 0.5, 1e-9)
    across, along = (base_y - y) / length * ARROW * 0.42, (x - base_x) / length * ARROW * 0.42
    return (x, y), (base_x + across, base_y + along), (base_x - across, base_y - along)


def _edge(route: Route) -> str:
    curves = " ".join("C " + " ".join(f"{x:.1f},{y:.1f}" for x, y in curve) for curve in route.curves)
    head = " ".join(f"{x:.1f},{y:.1f}" for x, y in arrow_head(route))
    path = f"M {route.start[0]:.1f},{route.start[1]:.1f} {curves}"
    return f'<path d="{path}" fill="none" stroke="{INK}" stroke-width="1.2"/><polygon points="{head}"/>'


def _text(text: str) -> str:
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text), quote=False)
