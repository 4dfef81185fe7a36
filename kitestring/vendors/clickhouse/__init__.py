"""What the source and the destination of ClickHouse share: names in statements, and answers of the HTTP interface."""

from __future__ import annotations

from kitestring.vendors.clickhouse.arrow_body import ArrowBody
from kitestring.vendors.clickhouse.errors import Place, translated

__all__ = ["ArrowBody", "Place", "literal", "quoted", "translated"]


def quoted(name: str) -> str:
    """A name in backquotes."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def literal(text: str) -> str:
    """A text in single quotes."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
    return f"'{escaped}'"
