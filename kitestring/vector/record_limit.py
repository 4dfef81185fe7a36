"""Hits with at most so many chunks of one record, so that a long record does not fill a whole answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from kitestring.types import Record

MOST = 1_000
"""The chunks that are looked through for one answer."""
FACTOR = 4


def of_each_record(search: Callable[[int], list[Record]], limit: int, per_record: int) -> list[Record]:
    """The first `limit` hits in their order, without further chunks of a record that has `per_record` of them.
    `search` returns so many hits; more are asked for while too few records are among them."""
    size = limit
    while True:
        size = max(limit, min(MOST, size * FACTOR))
        hits = search(size)
        kept = limited(hits, per_record)[:limit]
        if len(kept) == limit or len(hits) < size or size >= MOST:
            return kept


def limited(hits: list[Record], per_record: int) -> list[Record]:
    counts: Counter[tuple[str, str]] = Counter()
    kept = []
    for hit in hits:
        record_id = hit.get("record_id")
        # A chunk of another program has no record: it is alone.
        record = str(hit.get("stream") or ""), str(hit["id"] if record_id is None else record_id)
        counts[record] += 1
        if counts[record] <= per_record:
            kept.append(hit)
    return kept
