"""XML to be written: the standard library's elements take fifteen calls each for that, these take two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from slipway.errors import InvalidDomainXml

_NONE: Mapping[str, str] = {}
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)


class Element(Struct):
    """An element with its attributes, and a text or elements in it."""

    tag: str
    attributes: Mapping[str, str] = {}
    text: str | None = None
    children: list[Element] = []

    def add(self, tag: str, attributes: Mapping[str, str] = _NONE, text: str | None = None) -> Element:
        """Add an element at the end of it."""
        child = Element(tag, attributes, text)
        self.children.append(child)
        return child

    def written(self) -> str:
        """As text, a line for each element. Raises `InvalidDomainXml` for a character that XML does not allow."""
        text = self._written("")
        # Nearly all texts are printable as a whole: only what is in another one is looked at by itself.
        if not text.replace("\n", "").isprintable():
            self._check()
        return text

    def _written(self, indent: str) -> str:
        start = f"{indent}<{self.tag}"
        for name in self.attributes:
            start += f' {name}="{self.attributes[name].translate(_ESCAPES)}"'
        if self.children:
            inside = ""
            for child in self.children:
                inside += child._written(indent + "  ")
            return f"{start}>\n{inside}{indent}</{self.tag}>\n"
        if self.text is None:
            return f"{start}/>\n"
        return f"{start}>{self.text.translate(_ESCAPES)}</{self.tag}>\n"

    def _check(self) -> None:
        for tag, value in self._values():
            if not _is_allowed(value):
                raise InvalidDomainXml(f"<{tag}> cannot hold {value!r}: it has a character that XML does not allow")

    def _values(self) -> Iterator[tuple[str, str]]:
        """All texts and attributes, each with the tag of its element."""
        yield from ((self.tag, value) for value in self.attributes.values())
        if self.text is not None:
            yield self.tag, self.text
        for child in self.children:
            yield from child._values()


def _is_allowed(text: str) -> bool:
    return text.isprintable() or all(
        sign in "\t\n\r" or " " <= sign <= "\ud7ff" or "\ue000" <= sign <= "\ufffd" or sign > "\uffff" for sign in text
    )
