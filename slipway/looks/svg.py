"""A picture as SVG: one file that loads nothing, in light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from xml.sax.saxutils import escape

from slipway.looks.drawing import COLOURS, Drawing, Edge, Node, fit
from slipway.looks.layout import Layout, Point, lay_out

_LINE = 16.0
_LETTER = 6.7
_TITLE_LETTER = 7.6
_PADDING = 12.0
_MARGIN = 24.0
_SIDE = 50.0
"""Room beside a box for an arrow to itself."""

_STYLE = """
svg { background: #ffffff; font: 12px ui-sans-serif, system-ui, "DejaVu Sans", sans-serif; }
rect { fill: #ffffff; stroke: #57606a; } text { fill: #111111; text-anchor: middle; }
.title { font-weight: 600; font-size: 13px; } .edge { fill: none; stroke: #57606a; } .faint { stroke-dasharray: 5 4; }
.label { font-size: 11px; paint-order: stroke; stroke: #ffffff; stroke-width: 4px; }
.frame { fill: none; stroke-dasharray: 2 3; } .head { fill: #57606a; }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117; } rect { fill: #161b22; stroke: #8b949e; } text { fill: #e6edf3; }
  .edge { stroke: #8b949e; } .label { stroke: #0d1117; } .head { fill: #8b949e; } .frame { fill: none; }
}
"""


def as_svg(drawing: Drawing) -> str:
    """A document of its own; the boxes' texts can be searched and read aloud."""
    sizes = {node.id: _size(node) for node in drawing.nodes}
    labels = [(_LETTER * len(fit(edge.label)), _LINE) if edge.label else None for edge in drawing.edges]
    loops = {edge.source for edge in drawing.edges if edge.source == edge.target}
    room = {name: (width + (2 * _SIDE if name in loops else 0), height) for name, (width, height) in sizes.items()}
    layout = lay_out(room, [(edge.source, edge.target) for edge in drawing.edges], labels)
    width, height = layout.size[0] + 2 * _MARGIN, layout.size[1] + 2 * _MARGIN
    title = escape(fit(drawing.title), {'"': "&quot;"})
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-_MARGIN:.0f} {-_MARGIN:.0f} {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{title}">',
        f"<title>{title}</title>",
        f"<style>{_STYLE}{_coloured(drawing)}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="head" d="M0 0L8 4L0 8z"/></marker></defs>',
        *_frames(drawing, layout, sizes),
        *(_arrow(e, path) for e, path in zip(drawing.edges, layout.paths, strict=True) if path),
        *(_loop(e, layout, sizes) for e in drawing.edges if e.source == e.target),
        *(_box(node, layout.centres[node.id], sizes[node.id]) for node in drawing.nodes),
        *(
            _label(e, at)
            for e, at in zip(drawing.edges, layout.labels, strict=True)
            if e.source != e.target and e.label
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _size(node: Node) -> tuple[float, float]:
    title, *rest = node.text
    width = max([_TITLE_LETTER * len(title), *(_LETTER * len(line) for line in rest)])
    return width + 2 * _PADDING, _LINE * len(node.text) + _PADDING


def _coloured(drawing: Drawing) -> str:
    found = dict.fromkeys(node.status for node in drawing.nodes if node.status)
    return "".join(
        f"g.{status.replace(' ', '-')} rect {{ fill: {fill}; stroke: {stroke}; stroke-width: 2px; }} "
        f"g.{status.replace(' ', '-')} text {{ fill: #111111; }}\n"
        for status in found
        for fill, stroke in [COLOURS[status]]
    )


def _box(node: Node, centre: Point, size: tuple[float, float]) -> str:
    (x, y), (width, height) = centre, size
    left, top = x - width / 2, y - height / 2
    kind = f' class="{node.status.replace(" ", "-")}"' if node.status else ""
    titles = (' class="title"', *("",) * len(node.lines), "")
    lines = [
        f'<text x="{x:.1f}" y="{top + _PADDING / 2 + _LINE * (number + 0.8):.1f}"{kind_}>{escape(line)}</text>'
        for number, (line, kind_) in enumerate(zip(node.text, titles, strict=False))
    ]
    rect = f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6"/>'
    return f"<g{kind}>{rect}{''.join(lines)}</g>"


def _arrow(edge: Edge, path: tuple[Point, ...]) -> str:
    x, y = path[0]
    parts = [f"M{x:.1f} {y:.1f}"]
    for (x0, y0), (x1, y1) in pairwise(path):
        middle = (y0 + y1) / 2
        parts.append(f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}")
    kind = "edge faint" if edge.faint else "edge"
    return f'<path class="{kind}" marker-end="url(#head)" d="{" ".join(parts)}"/>'


def _loop(edge: Edge, layout: Layout, sizes: dict[str, tuple[float, float]]) -> str:
    x, y = layout.centres[edge.source]
    right = x + sizes[edge.source][0] / 2
    curve = (
        f"M{right:.1f} {y - 8:.1f}C{right + 26:.1f} {y - 18:.1f} {right + 26:.1f} {y + 18:.1f} {right:.1f} {y + 8:.1f}"
    )
    text = f'<text class="label" x="{right + 34:.1f}" y="{y + 4:.1f}">{escape(fit(edge.label))}</text>'
    return f'<path class="edge" marker-end="url(#head)" d="{curve}"/>{text}'


def _label(edge: Edge, at: Point) -> str:
    return f'<text class="label" x="{at[0]:.1f}" y="{at[1] + 4:.1f}">{escape(fit(edge.label))}</text>'


def _frames(drawing: Drawing, layout: Layout, sizes: dict[str, tuple[float, float]]) -> Iterator[str]:
    for group in dict.fromkeys(node.group for node in drawing.nodes if node.group):
        inside = [node.id for node in drawing.nodes if node.group == group]
        left = min(layout.centres[n][0] - sizes[n][0] / 2 for n in inside) - 10
        right = max(layout.centres[n][0] + sizes[n][0] / 2 for n in inside) + 10
        top = min(layout.centres[n][1] - sizes[n][1] / 2 for n in inside) - 22
        bottom = max(layout.centres[n][1] + sizes[n][1] / 2 for n in inside) + 10
        place = f'x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"'
        text = f'<text x="{left + 30:.1f}" y="{top + 14:.1f}">{escape(fit(group))}</text>'
        yield f'<rect class="frame" {place} rx="8"/>{text}'
