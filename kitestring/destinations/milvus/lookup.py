"""Look-ups of records' chunks in a Milvus collection: by primary key if we choose it, by filter if Milvus does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from kitestring.destinations.milvus.filters import among
from kitestring.destinations.milvus.layout import Layout
from kitestring.vector.store import Ref, Stored

Query: TypeAlias = Callable[[str, list[str]], list[dict[str, Any]]]
"""Returns these fields, and the primary key, of the rows that pass a filter."""

# A query answers at most 16,384 rows (https://milvus.io/docs/limitations.md).
IDS = 8_000

RECORDS = 1_000
"""The most records in one filter."""

LEDGER = ("_ks_key", "chunk_number", "_ks_digest", "_ks_metadata_digest", "_ks_namespace", "_ab_record_id")
"""The fields that identify a chunk and its state."""


def find_by_id(layout: Layout, query: Query, refs: Sequence[Ref]) -> dict[str, list[Stored]]:
    """Query the expected ids and the next one; if that exists too, query further ones."""
    by_key: dict[str, list[Stored]] = {}
    fields = [name for name in ("_ks_digest", "_ks_metadata_digest") if layout.stores(name)]
    # Only earlier versions wrote rows without a namespace.
    former = {ref.key for ref in refs if ref.former} - {ref.key for ref in refs if not ref.former}
    if former and layout.stores("_ks_namespace"):
        fields.append("_ks_namespace")
    windows = [(ref.key, 0, ref.count + 1) for ref in refs]
    while windows:
        ids = {layout.row_id(key, n): (key, n) for key, a, b in windows for n in range(a, b)}
        present: set[tuple[str, int]] = set()
        names = list(ids)
        for start in range(0, len(names), IDS):
            for row in query(among(layout.primary.name, names[start : start + IDS]), fields):
                row_id = row[layout.primary.name]
                key, number = ids[row_id]
                present.add((key, number))
                if key in former and row.get("_ks_namespace") is not None:
                    continue
                by_key.setdefault(key, []).append(
                    Stored(row_id, key, number, row.get("_ks_digest") or "", row.get("_ks_metadata_digest") or "")
                )
        windows = [(key, b, b + max(16, b - a)) for key, a, b in windows if (key, b - 1) in present]
    return by_key


def find_by_filter(layout: Layout, query: Query, refs: Sequence[Ref]) -> dict[str, list[Stored]]:
    """Query by record, in a collection whose ids Milvus assigns."""
    by_id = {ref.record_id: ref for ref in refs if not ref.former}
    former = {ref.key for ref in refs if ref.former} - {ref.key for ref in refs if not ref.former}
    by_key: dict[str, list[Stored]] = {}
    fields = [name for name in (*LEDGER, "_ab_stream") if layout.stores(name)]
    for start in range(0, len(refs), RECORDS):
        part = refs[start : start + RECORDS]
        keys = among("_ks_key", (ref.key for ref in part))
        if layout.stores("_ab_record_id"):  # rows of Airbyte have no key of ours
            keys = f"{keys} or {among('_ab_record_id', (ref.record_id for ref in part))}"
        for row in query(keys, fields):
            ref = by_id.get(row.get("_ab_record_id") or "")
            key = row.get("_ks_key")
            if key is None and ref is not None and row.get("_ab_stream") == ref.stream:
                by_key.setdefault(ref.key, []).append(Stored(row[layout.primary.name], ref.key, None))
            elif key is not None and not (key in former and row.get("_ks_namespace") is not None):
                by_key.setdefault(key, []).append(stored_of(row, layout))
    asked_keys = {ref.key for ref in refs}
    return {key: chunks for key, chunks in by_key.items() if key in asked_keys}


def stored_of(row: Mapping[str, Any], layout: Layout) -> Stored:
    """A row with the fields of `LEDGER` as a stored chunk."""
    key, number = row.get("_ks_key"), row.get("chunk_number")
    return Stored(
        row[layout.primary.name],
        key or "",
        int(number) if key and number is not None else None,
        row.get("_ks_digest") or "",
        row.get("_ks_metadata_digest") or "",
        row.get("_ab_record_id"),
        row.get("_ks_namespace"),
    )
