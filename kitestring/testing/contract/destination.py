"""The contract of destinations as a test class."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.destination import Counts, Deletes, Destination
from kitestring.engine import MemoryStates, Selection, Status, sync
from kitestring.errors import ConfigError
from kitestring.source import Item
from kitestring.testing.contract.gap import Gaps
from kitestring.testing.memory import MemorySource
from kitestring.testing.write_table import EVENTS, left_by
from kitestring.types import (
    DELETED_AT,
    EVERY_WRITE,
    Checkpoint,
    Partition,
    Record,
    States,
    Stream,
    SyncMode,
    Write,
)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "text": {"type": ["null", "string"]},
        "number": {"type": ["null", "number"]},
        "flag": {"type": ["null", "boolean"]},
        "at": {"type": ["null", "string"], "format": "date-time"},
        "nested": {"type": ["null", "object"]},
        "tags": {"type": ["null", "array"], "items": {"type": "string"}},
    },
}

HOSTILE = [
    "",
    " ",
    "plain",
    "naïve café – “quotes”",
    "日本語 한국어 العربية עברית",
    "👩‍👩‍👧‍👦 e\u0301 \u202eltr\u202c",
    'a "quoted" \\ back\\\\slash',
    "it's; DROP TABLE x; --",
    "line\nbreak\r\ttab",
    "nul\x00inside",
    "{{ template }} ${ENV} %s",
    "x" * 100_000,
]


class DestinationContract(Gaps):
    """What every destination keeps. The stream of these tests is `things`, with the primary key `id`."""

    stream_name: ClassVar[str] = "things"

    def make(self, folder: Path) -> Destination:
        """The destination under test; called with the same folder it means the same place."""
        raise NotImplementedError

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        """What a reader of the destination sees of this stream, at least `id` and `text`, in any order."""
        raise NotImplementedError

    # -- the material --------------------------------------------------------------------------------------------------

    def records(self, count: int, text: str = "text {n}") -> list[Record]:
        return [
            {
                "id": n,
                "text": text.format(n=n),
                "number": n / 4,
                "flag": n % 2 == 0,
                "at": f"2026-01-{n % 28 + 1:02d}T12:00:00Z",
                "nested": {"a": {"b": n}},
                "tags": ["x", str(n)],
            }
            for n in range(count)
        ]

    def source(self, records: list[Any], **more: Any) -> MemorySource:
        name = self.stream_name
        return MemorySource(records={name: records}, primary_keys={name: "id"}, schemas={name: SCHEMA}, **more)

    def run(self, folder: Path, records: list[Any], mode: str, **more: Any) -> Any:
        """Sync these records with a fresh destination object."""
        return sync(self.source(records), self.make(folder), [Selection(self.stream_name, write_mode=mode)], **more)

    def seen(self, folder: Path, mode: str = "append") -> list[Record]:
        destination = self.make(folder)
        try:
            return self.stored(destination, self.stream(mode))
        finally:
            destination.close()

    def stream(self, mode: str) -> Stream:
        return Stream(
            self.stream_name,
            schema=SCHEMA,
            primary_key=(("id",),),
            sync_modes=(SyncMode.full_refresh,),
            write=WRITES[mode],
        )

    def needs(self, mode: str, folder: Path) -> None:
        if WRITES[mode] not in self.make(folder).writes:
            pytest.skip(f"this destination does not have the mode {mode}, and says so")

    def texts(self, folder: Path, mode: str = "append") -> dict[int, str]:
        return {int(row["id"]): row["text"] for row in self.seen(folder, mode)}

    # -- the cases -----------------------------------------------------------------------------------------------------

    def test_check_accepts_it_and_creates_nothing(self, tmp_path: Path) -> None:
        folder = tmp_path / "d"
        destination = self.make(folder)
        destination.check()
        destination.close()
        assert not folder.exists() or not list(folder.iterdir())

    def test_append_keeps_all_records_of_two_syncs(self, tmp_path: Path) -> None:
        self.needs("append", tmp_path)
        assert self.run(tmp_path, self.records(3), "append").ok
        assert self.run(tmp_path, self.records(3), "append").ok
        assert sorted(int(row["id"]) for row in self.seen(tmp_path)) == [0, 0, 1, 1, 2, 2]

    def test_values_of_all_types_arrive_as_they_were(self, tmp_path: Path) -> None:
        mode = self.any_mode(tmp_path)
        records = self.records(5)
        result = self.run(tmp_path, records, mode)
        assert result.status is Status.succeeded, result.as_dict()
        rows = {int(row["id"]): row for row in self.seen(tmp_path, mode)}
        assert sorted(rows) == [0, 1, 2, 3, 4]
        for record in records:
            row = rows[record["id"]]
            assert row["text"] == record["text"]
            if "number" in row:
                assert math.isclose(float(row["number"]), record["number"])
            if "flag" in row:
                assert row["flag"] in (record["flag"], str(record["flag"]).lower())

    def test_nulls_and_missing_fields_are_no_error(self, tmp_path: Path) -> None:
        mode = self.any_mode(tmp_path)
        rows = [
            {"id": 1, "text": "a", "number": None, "flag": None, "nested": None, "tags": None},
            {"id": 2, "text": "b"},
        ]
        assert self.run(tmp_path, rows, mode).ok
        assert self.texts(tmp_path, mode) == {1: "a", 2: "b"}

    def test_hostile_text_arrives_or_is_rejected_never_lost(self, tmp_path: Path) -> None:
        mode = self.any_mode(tmp_path)
        rows = [{"id": n, "text": text} for n, text in enumerate(HOSTILE)]
        result = self.run(tmp_path, rows, mode)
        assert result.status is Status.succeeded, result.as_dict()
        figures = result.streams[self.stream_name]
        assert figures.read == len(HOSTILE)
        assert figures.accounted == len(HOSTILE)
        stored = self.texts(tmp_path, mode)
        for n in (2, 3, 4, 5, 6, 7):
            assert stored[n] == HOSTILE[n]

    def test_a_field_of_the_wrong_type_never_fails_the_sync(self, tmp_path: Path) -> None:
        mode = self.any_mode(tmp_path)
        rows = [*self.records(3), {"id": 3, "text": "odd", "number": "not a number", "flag": {"a": 1}, "tags": 7}]
        result = self.run(tmp_path, rows, mode)
        assert result.status is Status.succeeded, result.as_dict()
        assert result.streams[self.stream_name].accounted == 4
        assert {0, 1, 2} <= set(self.texts(tmp_path, mode))

    def test_new_fields_in_a_later_sync_are_taken(self, tmp_path: Path) -> None:
        mode = self.any_mode(tmp_path)
        assert self.run(tmp_path, self.records(2), mode).ok
        later = [{"id": 7, "text": "later", "brand_new": "value", "another": 3}]
        result = self.run(tmp_path, later, mode)
        assert result.status is Status.succeeded, result.as_dict()
        assert self.texts(tmp_path, mode)[7] == "later"

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
            assert self.run(tmp_path, self.records(30), "append_dedup").ok
        assert len(self.seen(tmp_path, "append_dedup")) == 30

    def test_a_deleted_record_is_gone(self, tmp_path: Path) -> None:
        if not isinstance(self.make(tmp_path), Deletes):
            pytest.skip("this destination cannot delete, and does not say it can")
        assert self.run(tmp_path, self.records(5), "append_dedup").ok
        gone = [{"id": n, "text": "", DELETED_AT: "2026-01-01T00:00:00Z"} for n in (1, 3, 99)]
        result = self.run(tmp_path, gone, "append_dedup")
        assert result.status is Status.succeeded, result.as_dict()
        assert sorted(self.texts(tmp_path, "append_dedup")) == [0, 2, 4]

    @pytest.mark.parametrize("write", sorted(EVERY_WRITE, key=str), ids=str)
    def test_every_write_leaves_what_the_table_of_writes_says(self, tmp_path: Path, write: Write) -> None:
        if write not in self.make(tmp_path).writes:
            pytest.skip(f"this destination does not write so ({write}), and says so")
        for rows in EVENTS:
            schema = {**SCHEMA, "properties": {**SCHEMA["properties"], DELETED_AT: {"type": ["null", "string"]}}}
            source = MemorySource(
                records={self.stream_name: rows},
                primary_keys={self.stream_name: "id"},
                schemas={self.stream_name: schema},
            )
            choices = {"replace": write.replace, "keep": write.keep, "deletes": write.deletes}
            result = sync(source, self.make(tmp_path), [Selection(self.stream_name, write_mode=choices)])
            assert result.status is Status.succeeded, result.as_dict()
            assert result.streams[self.stream_name].accounted == len(rows)
        stream = replace(self.stream("append"), write=write, schema=schema)
        destination = self.make(tmp_path)
        try:
            stored = self.stored(destination, stream)
            if isinstance(destination, Counts):
                visible = sum(not row[2] for row in left_by(write)) if write.deletes == "mark" else len(left_by(write))
                assert destination.count(stream) in (visible, None)
        finally:
            destination.close()
        assert sorted((int(row["id"]), row["text"], bool(row.get(DELETED_AT))) for row in stored) == left_by(write)

    def test_overwrite_leaves_only_the_new_records(self, tmp_path: Path) -> None:
        self.needs("overwrite", tmp_path)
        assert self.run(tmp_path, self.records(20), "overwrite").ok
        assert self.run(tmp_path, self.records(3, "second {n}"), "overwrite").ok
        assert self.texts(tmp_path, "overwrite") == {n: f"second {n}" for n in range(3)}

    def test_overwrite_that_fails_half_way_keeps_the_old_records(self, tmp_path: Path) -> None:
        self.needs("overwrite", tmp_path)
        assert self.run(tmp_path, self.records(20), "overwrite").ok
        name = self.stream_name

        class Breaking(MemorySource):
            def read(self, partition: Partition, states: States) -> Iterator[Item]:
                yield Batch(name, rows=list(self.records[name]))
                raise ConfigError("the source broke", hint="")

        broken = Breaking(records={name: self.records(10, "new {n}")}, schemas={name: SCHEMA})
        result = sync(broken, self.make(tmp_path), [Selection(name, write_mode="overwrite")])
        assert result.status is Status.failed
        assert self.texts(tmp_path, "overwrite") == {n: f"text {n}" for n in range(20)}

    def test_an_overwrite_after_a_crash_in_the_middle_of_one_is_clean(self, tmp_path: Path) -> None:
        self.needs("overwrite", tmp_path)
        assert self.run(tmp_path, self.records(20), "overwrite").ok
        crashed, stream = self.make(tmp_path), self.stream("overwrite")
        crashed.begin(stream)
        batch = Batch(stream.key, rows=self.records(7, "lost {n}"))
        crashed.write(stream, crashed.prepare(stream, batch))
        crashed.close()  # neither committed nor aborted, as after a kill
        assert self.texts(tmp_path, "overwrite") == {n: f"text {n}" for n in range(20)}
        assert self.run(tmp_path, self.records(4, "new {n}"), "overwrite").ok
        assert self.texts(tmp_path, "overwrite") == {n: f"new {n}" for n in range(4)}

    def test_a_batch_written_again_after_a_crash_leaves_no_second_copy(self, tmp_path: Path) -> None:
        self.needs("append_dedup", tmp_path)
        stream = self.stream("append_dedup")
        for _ in range(2):  # the second time as if the process had died between write and save
            destination = self.make(tmp_path)
            destination.begin(stream)
            batch = Batch(stream.key, rows=self.records(10))
            destination.write(stream, destination.prepare(stream, batch))
            destination.commit(stream)
            destination.close()
        assert len(self.seen(tmp_path, "append_dedup")) == 10

    def test_an_empty_stream_is_green_and_changes_nothing(self, tmp_path: Path) -> None:
        mode = self.any_mode(tmp_path)
        assert self.run(tmp_path, self.records(3), mode).ok
        result = self.run(tmp_path, [], mode)
        assert result.status in (Status.succeeded, Status.suspicious)
        assert len(self.seen(tmp_path, mode)) == 3

    def test_its_count_is_what_a_reader_sees(self, tmp_path: Path) -> None:
        destination = self.make(tmp_path)
        if not isinstance(destination, Counts):
            pytest.skip("this destination cannot count, and does not say it can")
        mode = self.any_mode(tmp_path)
        try:
            assert destination.count(self.stream(mode)) in (0, None)
        finally:
            destination.close()
        assert self.run(tmp_path, self.records(17), mode).ok
        destination = self.make(tmp_path)
        assert isinstance(destination, Counts)
        try:
            assert destination.count(self.stream(mode)) in (17, None)
        finally:
            destination.close()

    def test_a_cancelled_sync_leaves_what_was_acknowledged(self, tmp_path: Path) -> None:
        self.needs("append_dedup", tmp_path)
        cancel, name = threading.Event(), self.stream_name

        class Cancelling(MemorySource):
            def read(self, partition: Partition, states: States) -> Iterator[Item]:
                yield Batch(name, rows=list(self.records[name]))
                yield Checkpoint({"cursor": 9})
                cancel.set()
                while True:
                    yield Batch(name, rows=[])
                    if cancel.wait(0.01):
                        return

        states = MemoryStates()
        source = Cancelling(
            records={name: self.records(10)}, primary_keys={name: "id"}, cursors={name: "id"}, schemas={name: SCHEMA}
        )
        result = sync(source, self.make(tmp_path), states=states, cancel=cancel)
        assert result.status in (Status.cancelled, Status.succeeded)
        saved = states.load("default").get(name)
        if saved:
            assert len(self.seen(tmp_path, "append_dedup")) == 10

    def test_a_stream_with_an_odd_name_is_written(self, tmp_path: Path) -> None:
        mode = self.any_mode(tmp_path)
        odd = 'odd name/with "quotes" & ünïcode; --'
        source = MemorySource(records={odd: self.records(2)}, primary_keys={odd: "id"}, schemas={odd: SCHEMA})
        destination = self.make(tmp_path)
        result = sync(source, destination, [Selection(odd, write_mode=mode)])
        assert result.status is Status.succeeded, result.as_dict()
        again = self.make(tmp_path)
        try:
            assert len(self.stored(again, replace(self.stream(mode), name=odd))) == 2
        finally:
            again.close()

    def any_mode(self, folder: Path) -> str:
        writes = self.make(folder).writes
        return next(mode for mode in ("append_dedup", "append", "overwrite") if WRITES[mode] in writes)
