"""Counts of the records in a Milvus collection: those with a first chunk and without a mark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitestring.destinations.milvus.filters import quote
from kitestring.destinations.milvus.layout import Layout
from kitestring.destinations.milvus.searching import MARK

if TYPE_CHECKING:
    from pymilvus import MilvusClient


def count_server(client: MilvusClient, layout: Layout, stream: str, timeout: float | None) -> int:
    """The records of a stream, counted by a server."""

    def rows(condition: str) -> int:
        answer = client.query(
            layout.collection,
            filter=condition,
            output_fields=["count(*)"],
            consistency_level="Strong",
            timeout=timeout,
        )
        return int(answer[0]["count(*)"])

    first = f"_ab_stream == {quote(stream)} and chunk_number == 0"
    return rows(first) - (rows(f"{first} and {MARK}") if layout.stores_digests else 0)


def count_lite(client: MilvusClient, layout: Layout, stream: str) -> int:
    """The same on Lite, which creates a Python object of every row that passes a filter, vector included, but none to
    count all rows. So count the smaller set: the matching rows, or the others."""
    marks, primary = layout.stores_digests, layout.primary.name
    total = int(client.query(layout.collection, output_fields=["count(*)"])[0]["count(*)"])
    names = ("_ab_stream", "chunk_number", *(("_ks_metadata_digest",) if marks else ()))
    columns = [layout.fields.get(name) for name in names]
    if total and all(field is not None and not field.nullable for field in columns):
        most = total // 2
        other_rows = client.query(
            layout.collection,
            filter=f"_ab_stream != {quote(stream)} or chunk_number != 0" + (f" or {MARK}" if marks else ""),
            output_fields=[primary],
            limit=most + 1,
        )
        if len(other_rows) <= most:
            return total - len(other_rows)
    condition = f"_ab_stream == {quote(stream)} and chunk_number == 0" + (f" and not ({MARK})" if marks else "")
    return len(client.query(layout.collection, filter=condition, output_fields=[primary]))
