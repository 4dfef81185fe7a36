"""The text of a documentation page: what a reader sees, code as it is, without scripts and menus."""

from __future__ import annotations

import re
from html.parser import HTMLParser

HIDDEN = frozenset({"script", "style", "noscript", "svg", "template", "head", "iframe", "object"})
BREAKS = frozenset(
    {
        *(
            "p",
            "div",
            "section",
            "article",
            "li",
            "ul",
            "ol",
            "table",
            "tr",
            "pre",
            "blockquote",
            "br",
            "hr",
            "dt",
            "dd",
        ),
        *("h1", "h2", "h3", "h4", "h5", "h6", "header", "footer", "main", "nav", "aside", "details", "summary"),
    }
)
CELLS = frozenset({"td", "th"})
BLANKS = re.compile(r"[ \t\r\f\v]+")
GAPS = re.compile(r"\s*\n\s*\n\s*")


class TextParser(HTMLParser):
    """Collects the visible text. Elements that are hidden are left out with all that is in them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in HIDDEN:
            self._hidden.append(tag)
        elif not self._hidden:
            self.parts.append("\n" if tag in BREAKS else " | " if tag in CELLS else "")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            while self._hidden and self._hidden.pop() != tag:
                pass
        elif not self._hidden and tag in BREAKS:
            self.parts.append("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._hidden and tag in BREAKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def page_text(text: str, media_type: str, most: int) -> str:
    """The text of a document, at most `most` characters of it. A text that is no HTML stays as it is."""
    if "html" in media_type or re.match(r"\s*<(?:!doctype html|html)\b", text[:1000], re.IGNORECASE):
        parser = TextParser()
        parser.feed(text)
        parser.close()
        text = GAPS.sub("\n\n", BLANKS.sub(" ", "".join(parser.parts))).strip()
    return text[:most]
