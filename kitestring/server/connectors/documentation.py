"""The pages of Kitestring's own connectors, for reading beside a form."""

from __future__ import annotations

from pathlib import Path

from kitestring.server.connectors.definitions import Definition

PACKAGE = Path(__file__).parents[2]
FOLDERS = (PACKAGE / "pages", PACKAGE.parent / "docs" / "reference")
"""Where the pages are: in an installed package, or in the repository."""


def page_of(definition: Definition) -> str:
    """The page of a connector in Markdown; empty for those that are not Kitestring's."""
    if not definition.native:
        return ""
    for folder in FOLDERS:
        page = folder / f"{definition.kind}s" / f"{definition.connector}.md"
        if page.is_file():
            return page.read_text("utf-8")
    return ""
