"""What every way to write leaves of a few events: the table that the contract suite runs and the docs show."""

from __future__ import annotations

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


def left_by(write: Write) -> list[tuple[int, str, bool]]:
    """What the two syncs of `EVENTS` leave: key, text, and whether the record bears the mark of a deletion."""
    first, second = ([(row["id"], row["text"], DELETED_AT in row) for row in rows] for rows in EVENTS)
    if write.keep == "all":
        kept = second if write.replace else first + second
        return sorted(row for row in kept if write.deletes == "keep" or not row[2])
    if write.replace:  # the new copy has no earlier version that a deletion could mark or leave
        return [(1, "a2", False), (9, "c", False)]
    deleted = {"remove": [], "mark": [(2, "b", True), (3, "c", True)], "keep": [(2, "b", False), (3, "c", False)]}
    return sorted([(1, "a2", False), (9, "c", False), *deleted[write.deletes]])


def left_by_truncate(write: Write) -> list[tuple[int, str, bool]]:
    """What the two syncs of `TRUNCATE` leave."""
    before = [(1, "a2", False)] if write.replace else [(1, "a2", False), (2, "b", False), (3, "c", False)]
    if write.appends:
        before = [(1, "a", False), *before]
    kept = {"remove": [], "mark": [(key, text, True) for key, text, _ in before], "keep": before}
    return sorted([*kept[write.deletes], (9, "c", False)])
