"""A picture as Mermaid, which Git forges draw where it stands in a document."""

from __future__ import annotations

import re

from slipway.looks.drawing import COLOURS, Drawing, Edge, Node, fit

_NO_LETTER = re.compile(r"[^\w \u2026\u201c\u201d.,/()=-]")


def as_mermaid(drawing: Drawing) -> str:
    """A flowchart. Boxes are numbered, so that no name of theirs is read as a word of Mermaid's."""
    numbers = {node.id: f"n{number}" for number, node in enumerate(drawing.nodes)}
    lines = ["flowchart TB"]
    for group in dict.fromkeys(node.group for node in drawing.nodes):
        inside = [_box(node, numbers) for node in drawing.nodes if node.group == group]
        lines += [f'  subgraph g["{_text(fit(group))}"]', *(f"  {one}" for one in inside), "  end"] if group else inside
    lines += [_arrow(edge, numbers) for edge in drawing.edges]
    for status in dict.fromkeys(node.status for node in drawing.nodes if node.status):
        fill, stroke = COLOURS[status]
        of_status = ",".join(numbers[node.id] for node in drawing.nodes if node.status is status)
        name = status.replace(" ", "_")
        lines += [f"  classDef {name} fill:{fill},stroke:{stroke},color:#111111", f"  class {of_status} {name}"]
    return "\n".join(lines) + "\n"


def _box(node: Node, numbers: dict[str, str]) -> str:
    return f'  {numbers[node.id]}["{"<br/>".join(map(_text, node.text))}"]'


def _arrow(edge: Edge, numbers: dict[str, str]) -> str:
    line = "-.->" if edge.faint else "-->"
    label = f'|"{_text(fit(edge.label))}"|' if edge.label else ""
    return f"  {numbers[edge.source]} {line}{label} {numbers[edge.target]}"


def _text(text: str) -> str:
    """With Mermaid's escapes for whatever it may take for something else: it reads HTML and Markdown in labels."""
    return _NO_LETTER.sub(lambda found: f"#{ord(found.group())};", text)
