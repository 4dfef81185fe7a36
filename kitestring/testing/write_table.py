"""The result of every write mode for a few events: the table that the contract suite runs and the docs show."""

from __future__ import annotations

from collections.abc import Sequence

from kitestring.types import DELETED_AT, Record, Truncate, Write

DELETION = "2026-01-01T00:00:00Z"

EVENTS: list[list[Record]] = [
    [{"id": 1, "text": "a"}, {"id": 2, "text": "b"}, {"id": 3, "text": "c"}],
    [
        {"id": 1, "text": "a2"},
        {"id": 2, "text": "b", DELETED_AT: DELETION},
        # 3 gets another key.
        {"id": 3, "text": "c", DELETED_AT: DELETION},
        {"id": 9, "text": "c"},
        # Never seen before.
        {"id": 8, "text": "d", DELETED_AT: DELETION},
    ],
]
"""Two syncs: three records; then a new version, a deletion, a change of key, the deletion of an unknown key."""

TRUNCATE: list[list[Record | Truncate]] = [
    [{"id": 1, "text": "a"}, {"id": 2, "text": "b"}, {"id": 3, "text": "c"}],
    [{"id": 1, "text": "a2"}, Truncate(DELETION), {"id": 9, "text": "c"}],
]
"""Two syncs: three records; then a new version, the emptying of the stream at its source, and a record after it."""


def left_by(write: Write, syncs: Sequence[Sequence[Record | Truncate]] = EVENTS) -> list[tuple[int, str, bool]]:
    """The records after these syncs in this write mode: key, text, and whether the record is marked as deleted.

    A replacement is a copy of its own: nothing of it knows what was there before.
    """
    rows: list[tuple[int, str, bool]] = []
    for items in syncs:
        if write.replace:
            rows = []
        for item in items:
            if isinstance(item, Truncate):
                rows = after_deletion(rows, write)
            elif write.keep == "all":
                if write.deletes == "keep" or DELETED_AT not in item:
                    rows.append((item["id"], item["text"], DELETED_AT in item))
            elif DELETED_AT in item:
                rows = after_deletion(rows, write, item["id"])
            else:
                rows = [*(row for row in rows if row[0] != item["id"]), (item["id"], item["text"], False)]
    return sorted(rows)


def after_deletion(
    rows: list[tuple[int, str, bool]], write: Write, key: int | None = None
) -> list[tuple[int, str, bool]]:
    """The rows that remain after the record of a key, or every record where there is none, was deleted."""
    if write.deletes == "remove":
        return [row for row in rows if key not in (None, row[0])]
    if write.deletes == "mark":
        return [(id_, text, marked or key in (None, id_)) for id_, text, marked in rows]
    return rows
