"""Events of a log become whole records: windows of loads, values that the log leaves out, checkpoints."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from kitestring.batch import Batch
from kitestring.sql.changes import (
    ROW_NUMBER,
    Altered,
    Event,
    Reached,
    Rows,
    Tracked,
    Truncated,
    Verdict,
    Window,
    items,
)
from kitestring.types import DELETED_AT, GLOBAL, Checkpoint, SchemaChange, Stream, Suspicion, Truncate, Write

AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SCHEMA = pa.schema(
    [("id", pa.int64()), ("text", pa.string()), ("lsn", pa.int64()), (DELETED_AT, pa.timestamp("us", "UTC"))]
)


class Table:
    """A table at the source, and how often it was read by key."""

    def __init__(self, **rows: str) -> None:
        self.rows = {int(key.removeprefix("row")): text for key, text in rows.items()}
        self.reads: list[list[int]] = []

    def read_keys(self, keys: pa.Table) -> pa.Table:
        sought = keys["id"].to_pylist()
        self.reads.append(sought)
        present = [(n, key) for n, key in enumerate(sought) if key in self.rows]
        return pa.table(
            {
                "id": pa.array([key for _, key in present], pa.int64()),
                "text": pa.array([self.rows[key] for _, key in present], pa.string()),
                ROW_NUMBER: pa.array([n for n, _ in present], pa.int64()),
            }
        )

    def read_all(self) -> Iterable[Batch]:
        yield Batch("t", table=changes(*self.rows.items()))


def changes(*rows: tuple[int, str | None]) -> pa.Table:
    """Rows of (key, text); a text of None is a deletion."""
    return pa.table(
        {
            "id": pa.array([key for key, _ in rows], pa.int64()),
            "text": pa.array([text for _, text in rows], pa.string()),
            "lsn": pa.array([n for n, _ in enumerate(rows)], pa.int64()),
            DELETED_AT: pa.array([None if text is not None else AT for _, text in rows], pa.timestamp("us", "UTC")),
        },
        schema=SCHEMA,
    )


def tracked(table: Table, window: Window, keep: Any = "latest") -> dict[str, Tracked]:
    write = Write(keep="latest", deletes="remove") if keep == "latest" else Write()
    stream = Stream("t", primary_key=(("id",),), write=write)
    return {"t": Tracked(stream, window, table.read_keys, table.read_all)}


def read(events: Iterable[Event], streams: dict[str, Tracked]) -> list[Any]:
    """The items, rows as (key, text)."""
    result: list[Any] = []
    for item in items(events, streams, lambda position: {"position": position}):
        if isinstance(item, Batch):
            result += [(row["id"], row["text"] if row[DELETED_AT] is None else None) for row in item.rows()]
        else:
            result.append(item)
    return result


def rows(table: pa.Table, position: int = 10, unknown: Iterable[int] = ()) -> Rows:
    mask = np.zeros(table.num_rows, bool)
    mask[list(unknown)] = True
    return Rows("t", table, position, {"text": mask} if mask.any() else {})


def test_a_change_before_the_load_is_left_out_one_behind_it_is_taken() -> None:
    window = Window(low=5, first=8, last=12)
    verdicts = [window.verdict(position) for position in (4, 5, 8, 11, 12)]
    assert verdicts == [Verdict.skip, Verdict.reread, Verdict.reread, Verdict.reread, Verdict.apply]
    kept = [window.verdict(position, keeps_versions=True) for position in (4, 7, 8, 12)]
    assert kept == [Verdict.skip, Verdict.skip, Verdict.apply, Verdict.apply]


def test_positions_may_be_lists_of_a_file_and_an_offset() -> None:
    window = Window(low=[3, 900], first=[3, 900], last=[4, 10])
    positions = [[3, 899], [3, 1000], [4, 9], [4, 10], [10, 1]]
    reread = Verdict.reread
    assert [window.verdict(p) for p in positions] == [Verdict.skip, reread, reread, Verdict.apply, Verdict.apply]


def test_a_record_that_changed_while_it_was_loaded_is_read_again_and_does_not_go_back_in_time() -> None:
    table = Table(row1="newest", row3="inserted")
    log = rows(changes((1, "old"), (2, "old"), (3, "old"), (1, "newer"), (2, None), (4, None), (3, None)))
    assert read([log], tracked(table, Window(5, 5, 20))) == [(1, "newest"), (2, None), (4, None), (3, "inserted")]
    assert len(table.reads) == 1
    assert sorted(table.reads[0]) == [1, 2, 3, 4]


def test_a_value_that_the_log_leaves_out_is_that_of_the_version_before_or_of_the_source() -> None:
    table = Table(row1="of the source")
    log = rows(changes((2, "known"), (1, ""), (2, ""), (2, ""), (1, "")), unknown=[1, 2, 3, 4])
    expected = [(2, "known"), (1, "of the source"), (2, "known"), (2, "known"), (1, "of the source")]
    assert read([log], tracked(table, Window.at(0))) == expected
    assert table.reads == [[1]]


def test_a_version_whose_record_is_gone_is_left_out_since_its_deletion_follows() -> None:
    log = rows(changes((1, ""), (1, ""), (1, None), (2, "two")), unknown=[0, 1])
    assert read([log], tracked(Table(), Window.at(0))) == [(1, None), (2, "two")]


def test_a_record_that_was_deleted_and_inserted_is_no_earlier_version() -> None:
    table = Table(row1="of the source")
    log = rows(changes((1, "before"), (1, None), (1, "")), unknown=[2])
    assert read([log], tracked(table, Window.at(0))) == [(1, "before"), (1, None), (1, "of the source")]


def test_a_log_without_old_values_is_a_suspicion_where_all_versions_are_kept() -> None:
    streams = tracked(Table(row1="later"), Window.at(0), keep="all")
    result = read([rows(changes((1, "")), unknown=[0]), Reached(11), Reached(12)], streams)
    assert result[0] == (1, "later")
    assert [type(item) for item in result[1:]] == [Suspicion, Checkpoint, Checkpoint]
    assert "1 versions of t" in result[1].reason


def test_a_table_that_is_emptied_during_its_load_is_read_again() -> None:
    table = Table(row7="after")
    event = Truncated("t", "2026-01-01T00:00:00Z", 10)
    assert read([event], tracked(table, Window(5, 5, 20))) == [Truncate(event.at, "t"), (7, "after")]
    assert read([event], tracked(table, Window.at(3))) == [Truncate(event.at, "t")]
    assert read([event], tracked(table, Window.at(30))) == []


def test_an_altered_table_is_read_again_where_no_change_has_its_new_values() -> None:
    table = Table(row1="one")
    event = Altered("t", SCHEMA, "its column text is new and came with values", {"columns": ["text"]})
    change, row, checkpoint = read([event], tracked(table, Window.at(0)))
    assert change == SchemaChange(SCHEMA, "t")
    assert row == (1, "one")
    assert checkpoint == Checkpoint({"note": {"columns": ["text"]}}, stream="t")
    assert read([event], tracked(table, Window.at(0), keep="all")) == [change]
    assert read([Altered("t", SCHEMA)], tracked(table, Window.at(0))) == [change]


def test_a_checkpoint_of_all_streams_has_the_position() -> None:
    assert read([Reached(17)], tracked(Table(), Window.at(0))) == [Checkpoint({"position": 17}, stream=GLOBAL)]
