"""The cases of a destination's contract about versions and deletions of records, in every way to write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kitestring.airbyte.modes import WRITES
from kitestring.destination import Counts, Deletes, Truncates
from kitestring.engine import MemoryStates, Selection, Status, sync
from kitestring.testing.contract.suite import SCHEMA, WITH_DELETIONS, Batches, DestinationSuite
from kitestring.testing.contract.value import same
from kitestring.testing.write_table import EVENTS, TRUNCATE, left_by
from kitestring.types import (
    DELETED_AT,
    EVERY_WRITE,
    Record,
    SchemaChange,
    Stream,
    Write,
)

TIMES = [f"2026-01-0{day}T00:00:00Z" for day in range(1, 8)]


def upsert(key: int, text: str) -> Record:
    return {"id": key, "text": text}


def deletion(key: int, day: int = 0) -> Record:
    return {"id": key, "text": "deleted", DELETED_AT: TIMES[day]}


HISTORY: list[Batches] = [
    [
        # Twice in a batch; twice in two batches; deleted and there again, in one batch and in two.
        [upsert(1, "a"), upsert(2, "b"), upsert(1, "a2"), upsert(3, "c"), upsert(4, "d"), upsert(5, "e")],
        [upsert(2, "b2"), deletion(3), upsert(3, "c2"), deletion(4)],
        [upsert(4, "d2"), upsert(6, "f"), deletion(6), upsert(7, "g"), upsert(8, "h")],
    ],
    [
        # Deleted twice; another key; a new version of a deleted record; one that was never there.
        [deletion(5, 1), deletion(7, 1), upsert(70, "g"), deletion(99, 1), upsert(1, "a3")],
        [deletion(5, 2), upsert(8, "h2"), deletion(8, 2), upsert(6, "f2")],
        [upsert(5, "e2"), deletion(70, 3), upsert(71, "g")],
    ],
]
"""Syncs of batches, each written for itself."""


class ChangeCases(DestinationSuite):
    """Versions and deletions."""

    def test_append_dedup_keeps_one_version_of_each_key(self, tmp_path: Path) -> None:
        self.needs("append_dedup", tmp_path)
        assert self.run(tmp_path, self.records(5), "append_dedup").ok
        changed = [{**self.records(5)[2], "text": "changed"}, {"id": 9, "text": "new"}]
        assert self.run(tmp_path, changed, "append_dedup").ok
        rows = self.seen(tmp_path, "append_dedup")
        assert sorted(int(row["id"]) for row in rows) == [0, 1, 2, 3, 4, 9]
        assert self.texts(tmp_path, "append_dedup")[2] == "changed"

    def test_the_same_key_twice_in_a_batch_leaves_its_last_version(self, tmp_path: Path) -> None:
        self.needs("append_dedup", tmp_path)
        rows = [{"id": 1, "text": "first"}, {"id": 2, "text": "other"}, {"id": 1, "text": "last"}]
        assert self.run(tmp_path, rows, "append_dedup").ok
        assert self.texts(tmp_path, "append_dedup") == {1: "last", 2: "other"}
        assert len(self.seen(tmp_path, "append_dedup")) == 2

    def test_the_same_sync_twice_changes_nothing(self, tmp_path: Path) -> None:
        self.needs("append_dedup", tmp_path)
        for _ in range(2):
            result = self.run(tmp_path, self.records(30), "append_dedup")
            assert result.ok, result.as_dict()
        figures = result.streams[self.stream_name]
        assert figures.written + figures.unchanged == 30
        rows = self.by_id(tmp_path, "append_dedup")
        assert len(rows) == 30
        for record in self.records(30):
            self.assert_arrived(record, rows[record["id"]])

    def test_a_deleted_record_is_gone(self, tmp_path: Path) -> None:
        if not isinstance(self.make(tmp_path), Deletes):
            pytest.skip("this destination cannot delete, and does not say it can")
        assert self.run(tmp_path, self.records(5), "append_dedup").ok
        deleted = [{"id": n, "text": "", DELETED_AT: "2026-01-01T00:00:00Z"} for n in (1, 3, 99)]
        result = self.run(tmp_path, deleted, "append_dedup")
        assert result.status is Status.succeeded, result.as_dict()
        assert sorted(self.texts(tmp_path, "append_dedup")) == [0, 2, 4]

    def test_a_key_that_changes_leaves_the_record_under_the_new_key(self, tmp_path: Path) -> None:
        self.needs_deletes(tmp_path)
        write = WRITES["append_dedup"]
        self.run_batches(tmp_path, [[upsert(1, "a"), upsert(2, "b"), upsert(3, "c")]], write, WITH_DELETIONS)
        # The keys of two records change places by way of a third; in one batch, then in two.
        changes = [deletion(1), upsert(9, "a"), deletion(2), upsert(1, "b"), deletion(9), upsert(2, "a")]
        self.run_batches(tmp_path, [changes], write, WITH_DELETIONS)
        assert self.texts(tmp_path, "append_dedup") == {1: "b", 2: "a", 3: "c"}
        self.run_batches(tmp_path, [[deletion(3)], [upsert(30, "c")]], write, WITH_DELETIONS)
        assert self.texts(tmp_path, "append_dedup") == {1: "b", 2: "a", 30: "c"}
        assert len(self.seen(tmp_path, "append_dedup")) == 3

    def test_a_deleted_record_that_comes_back_in_the_next_batch_is_there(self, tmp_path: Path) -> None:
        self.needs_deletes(tmp_path)
        write = WRITES["append_dedup"]
        back = self.records(2)[1]
        self.run_batches(tmp_path, [self.records(2)], write, WITH_DELETIONS)
        self.run_batches(tmp_path, [[deletion(0), deletion(1)], [back]], write, WITH_DELETIONS)
        rows = self.by_id(tmp_path, "append_dedup")
        assert list(rows) == [1]
        self.assert_arrived(back, rows[1])

    def test_a_soft_deleted_record_stays_with_the_first_time_until_it_comes_back(self, tmp_path: Path) -> None:
        self.needs("soft_delete", tmp_path)
        write = WRITES["soft_delete"]
        stream = replace(self.stream(write), schema=WITH_DELETIONS)
        self.run_batches(tmp_path, [self.records(4)], write, WITH_DELETIONS)
        self.run_batches(tmp_path, [[deletion(1, 1)], [deletion(1, 2), deletion(2, 2)]], write, WITH_DELETIONS)
        self.run_batches(tmp_path, [[deletion(2, 3), deletion(99, 3)]], write, WITH_DELETIONS)
        rows = {int(row["id"]): row for row in self.seen_of(tmp_path, stream)}
        assert sorted(rows) == [0, 1, 2, 3]
        times = [self.expected({DELETED_AT: time})[DELETED_AT] for time in (None, TIMES[1], TIMES[2], None)]
        assert all(same(rows[n].get(DELETED_AT), time) for n, time in enumerate(times)), rows
        self.assert_arrived(self.records(2)[1], rows[1])  # as it was
        assert self.count(tmp_path, stream) in (2, None)
        self.run_batches(tmp_path, [[upsert(1, "back")]], write, WITH_DELETIONS)
        rows = {int(row["id"]): row for row in self.seen_of(tmp_path, stream)}
        assert rows[1].get(DELETED_AT) is None
        assert rows[1]["text"] == "back"
        assert self.count(tmp_path, stream) in (3, None)

    @pytest.mark.parametrize("write", sorted(EVERY_WRITE, key=str), ids=str)
    def test_every_write_leaves_what_the_table_of_writes_says(self, tmp_path: Path, write: Write) -> None:
        self.needs(write, tmp_path)
        for rows in EVENTS:
            self.run_batches(tmp_path, [rows], write, WITH_DELETIONS)
        self.assert_left(tmp_path, write, left_by(write))

    @pytest.mark.parametrize("write", sorted(EVERY_WRITE, key=str), ids=str)
    def test_every_write_leaves_what_the_table_of_writes_says_of_a_stream_that_is_emptied(
        self, tmp_path: Path, write: Write
    ) -> None:
        self.needs(write, tmp_path)
        choices = {"replace": write.replace, "keep": write.keep, "deletes": write.deletes}
        way = Selection(self.stream_name, write_mode=choices)
        for items in TRUNCATE:
            source = self.source(items, WITH_DELETIONS)
            result = sync(source, self.make(tmp_path), [way])
        can = write.deletes == "keep" or isinstance(self.make(tmp_path), Truncates)
        if not can and not (write.replace and write.deletes == "remove"):  # refused, and nothing behind it is written
            assert result.status is Status.failed
            assert "was emptied at the source" in str(result.streams[self.stream_name].error)
            assert 9 not in self.texts(tmp_path)
            return
        assert result.status is Status.succeeded, result.as_dict()
        assert result.streams[self.stream_name].read == result.streams[self.stream_name].accounted
        self.assert_left(tmp_path, write, left_by(write, TRUNCATE))

    def test_a_schema_that_changes_in_the_middle_of_a_read_is_taken(self, tmp_path: Path) -> None:
        mode = "append" if WRITES["append"] in self.make(tmp_path).writes else "append_dedup"
        self.needs(mode, tmp_path)
        wider = {**SCHEMA["properties"], "number": {"type": ["null", "string"]}, "more": {"type": ["null", "number"]}}
        change = SchemaChange({**SCHEMA, "properties": wider})
        records = [*self.records(2), change, {"id": 7, "text": "behind", "number": "a text", "more": 2.5}]
        result = self.run(tmp_path, records, mode)
        assert result.status is Status.succeeded, result.as_dict()
        assert (result.streams[self.stream_name].written, result.streams[self.stream_name].rejected) == (3, 0)
        assert self.texts(tmp_path, mode) == {0: "text 0", 1: "text 1", 7: "behind"}

    @pytest.mark.parametrize("write", sorted(EVERY_WRITE, key=str), ids=str)
    def test_versions_and_deletions_in_any_order_leave_what_the_way_to_write_says(
        self, tmp_path: Path, write: Write
    ) -> None:
        self.needs(write, tmp_path)
        for batches in HISTORY:
            self.run_batches(tmp_path, batches, write, WITH_DELETIONS)
        self.assert_left(
            tmp_path, write, left_by(write, [[row for rows in batches for row in rows] for batches in HISTORY])
        )

    def test_records_that_come_again_since_their_state_was_lost_are_there_once(self, tmp_path: Path) -> None:
        for mode in ("append", "append_dedup"):
            folder, states, name = tmp_path / mode, MemoryStates(), self.stream_name
            if WRITES[mode] not in self.make(folder).writes:
                continue
            selections = [Selection(name, write_mode=mode, sync_mode="incremental")]
            for count, lost in ((20, False), (50, True), (50, False)):
                source = self.source(self.records(count), cursors={name: "id"}, checkpoint_every=7)
                before = states.load("default")
                result = sync(source, self.make(folder), selections, states=states)
                if lost:  # killed before it saved
                    for key in states.load("default"):
                        states.clear("default", key)
                    for key, state in before.items():
                        states.save("default", key, state)
                assert result.status is Status.succeeded, result.as_dict()
            keys = sorted(int(row["id"]) for row in self.seen(folder, mode))
            repeated = range(20, 50) if mode == "append" else ()
            assert keys == sorted([*range(50), *repeated])

    def assert_left(self, folder: Path, write: Write, expected: list[tuple[int, str, bool]]) -> None:
        """Check the stored rows (key, text, marked or not) and the destination's own count."""
        stream = replace(self.stream(write), schema=WITH_DELETIONS)
        rows = self.seen_of(folder, stream)
        assert sorted((int(row["id"]), row["text"], bool(row.get(DELETED_AT))) for row in rows) == expected
        visible = sum(not marked for _, _, marked in expected) if write.deletes == "mark" else len(expected)
        assert self.count(folder, stream) in (visible, None)

    def needs_deletes(self, folder: Path) -> None:
        self.needs("append_dedup", folder)
        if not isinstance(self.make(folder), Deletes):
            pytest.skip("this destination cannot delete, and does not say it can")

    def count(self, folder: Path, stream: Stream) -> int | None:
        destination = self.make(folder)
        try:
            return destination.count(stream) if isinstance(destination, Counts) else None
        finally:
            destination.close()
