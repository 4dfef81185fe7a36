"""The streams of a Milvus collection, and its chunks by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from kitestring.destinations.milvus.filters import among, condition, quote
from kitestring.destinations.milvus.layout import Layout
from kitestring.destinations.milvus.searching import MARK, hit_of
from kitestring.errors import ConfigError

if TYPE_CHECKING:
    from kitestring.filters import Filter

Query: TypeAlias = Callable[..., list[dict[str, Any]]]
"""Returns these fields of the rows that pass a filter; `limit` and `offset` are options."""

WINDOW = 16_384
"""A server answers so many rows from the first, `offset` included (https://milvus.io/docs/limitations.md)."""
MOST_STREAMS = 1_000


def namespaces(layout: Layout, query: Query) -> dict[str, str | None]:
    """The namespace of each stream. One row of a stream that is not known yet is asked for until there is none: a query
    over all rows would take minutes."""
    if not layout.stores("_ab_stream"):
        return {}
    fields = [name for name in ("_ab_stream", "_ks_namespace") if layout.stores(name)]
    present: dict[str, str | None] = {}
    while len(present) < MOST_STREAMS:
        other = f"not ({among('_ab_stream', present)})" if present else f"_ab_stream != {quote('')}"
        rows = query(other, fields, limit=1)
        name = rows[0].get("_ab_stream") if rows else None
        if not isinstance(name, str) or name in present:
            break
        present[name] = rows[0].get("_ks_namespace") or None
    return dict(sorted(present.items()))


class Listing:
    """The chunks of a stream that pass a filter."""

    def __init__(
        self, layout: Layout, query: Query, stream: str, where: Filter | str | None, include_deleted: bool
    ) -> None:
        self.layout = layout
        self.query = query
        parts = [f"_ab_stream == {quote(stream)}", condition(where, layout)]
        self.filters = " and ".join(f"({part})" for part in parts if part)
        # Without marks their filter is left out: rows of another program lack the field, and would not pass.
        hides = not include_deleted and layout.stores_digests
        if hides and query(f"{self.filters} and {MARK}", [layout.primary.name], limit=1):
            self.filters += f" and not ({MARK})"

    def page(self, limit: int, offset: int, lite: bool) -> list[dict[str, Any]]:
        """Chunks by primary key."""
        layout, primary = self.layout, self.layout.primary.name
        fields = ["*"] if layout.dynamic else [primary, *layout.fields]
        if lite:  # its rows have no order of their own
            ids = sorted(row[primary] for row in self.query(self.filters, [primary]))[offset : offset + limit]
            rows = self.query(among(primary, ids), fields) if ids else []
        elif offset + limit > WINDOW:
            raise ConfigError(
                f"rows {offset + 1:,} to {offset + limit:,} were requested, and Milvus shows only the first {WINDOW:,}",
                hint="Narrow the rows with a filter.",
            )
        else:
            rows = self.query(self.filters, fields, limit=limit, offset=offset)
        rows.sort(key=lambda row: row[primary])
        return [hit_of(layout, {"entity": row, "distance": 0.0}) for row in rows]

    def number(self) -> int:
        return int(self.query(self.filters, ["count(*)"])[0]["count(*)"])
