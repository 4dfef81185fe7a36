"""The streams of a table of pgvector, and its chunks by page."""

# ruff: noqa: S608 - names in statements are quoted, all else is a parameter

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from kitestring.destinations.pgvector.filters import condition
from kitestring.destinations.pgvector.rows import clean_text, hit_of
from kitestring.stored_rows import MOST_COUNTED, StoredStream
from kitestring.vector.store import MARKED

if TYPE_CHECKING:
    from kitestring.filters import Filter

Fetch: TypeAlias = Callable[[str, Mapping[str, Any]], list[Any]]
"""Runs a query with its parameters."""

LIVE = f"NOT starts_with(metadata_digest, '{MARKED}')"
CHUNK = "id, record_id, stream, chunk_number, text, metadata::text, 0.0"
"""The columns for `hit_of`."""


def streams(table: str, fetch: Fetch) -> list[StoredStream]:
    """All streams, with their records and chunks."""
    records = f"count(*) FILTER (WHERE chunk_number = 0 AND {LIVE})"
    query = f"SELECT stream, min(namespace), {records}, count(*) FROM {table} GROUP BY stream ORDER BY stream"
    return [StoredStream(name, namespace or None, live, chunks) for name, namespace, live, chunks in fetch(query, {})]


class Listing:
    """The chunks of a stream that pass a filter."""

    def __init__(
        self, table: str, fetch: Fetch, stream: str, where: Filter | str | None, include_deleted: bool
    ) -> None:
        conditions = ["stream = %(stream)s", *([] if include_deleted else [LIVE])]
        self.values: dict[str, Any] = {"stream": clean_text(stream)}
        if where is not None:
            conditions.append(condition(where, self.values))
        self.source = f"FROM {table} WHERE {' AND '.join(conditions)}"
        self.fetch = fetch

    def page(self, limit: int, offset: int) -> list[dict[str, Any]]:
        """Chunks by id: those of a record are together."""
        query = f"SELECT {CHUNK} {self.source} ORDER BY id LIMIT %(limit)s OFFSET %(offset)s"
        return [hit_of(row) for row in self.fetch(query, {**self.values, "limit": limit, "offset": offset})]

    def number(self) -> int:
        """How many chunks there are, at most one more than are counted."""
        query = f"SELECT count(*) FROM (SELECT 1 {self.source} LIMIT %(limit)s) AS counted"
        return int(self.fetch(query, {**self.values, "limit": MOST_COUNTED + 1})[0][0])
