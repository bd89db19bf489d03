"""A picture as DOT, for Graphviz and whatever else reads that."""

from __future__ import annotations

from xml.sax.saxutils import escape

from slipway.looks.drawing import COLOURS, Drawing, Edge, Node, fit


def as_dot(drawing: Drawing) -> str:
    """A directed graph; boxes are numbered, as in Mermaid."""
    numbers = {node.id: f"n{number}" for number, node in enumerate(drawing.nodes)}
    lines = [
        "digraph {",
        f'  label={_label(fit(drawing.title))}; labelloc=t; fontname="sans-serif";',
        '  node [shape=box, style="rounded,filled", fillcolor="#ffffff", fontname="sans-serif", fontsize=11];',
        '  edge [fontname="sans-serif", fontsize=10];',
    ]
    for group in dict.fromkeys(node.group for node in drawing.nodes):
        inside = [_box(node, numbers) for node in drawing.nodes if node.group == group]
        label = f"    label={_label(fit(group))};"
        lines += ["  subgraph cluster_g {", label, *(f"  {one}" for one in inside), "  }"] if group else inside
    lines += [_arrow(edge, numbers) for edge in drawing.edges]
    return "\n".join([*lines, "}"]) + "\n"


def _box(node: Node, numbers: dict[str, str]) -> str:
    colours = COLOURS.get(node.status) if node.status else None
    more = f', fillcolor="{colours[0]}", color="{colours[1]}", fontcolor="#111111"' if colours else ""
    return f"  {numbers[node.id]} [label={_label(*node.text)}{more}];"


def _arrow(edge: Edge, numbers: dict[str, str]) -> str:
    more = [f"label={_label(fit(edge.label))}"] if edge.label else []
    more += ["style=dashed"] if edge.faint else []
    attributes = f" [{', '.join(more)}]" if more else ""
    return f"  {numbers[edge.source]} -> {numbers[edge.target]}{attributes};"


def _label(*lines: str) -> str:
    """A text to be shown, in which backslashes and HTML's entities mean something."""
    return '"' + "\\n".join(escape(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'
