"""The cases of a destination's contract about records that the source no longer lists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kitestring.airbyte.modes import WRITES
from kitestring.destination import ListsKeys
from kitestring.engine import MemoryStates, Result, Selection, Status, sync
from kitestring.testing.contract.suite import SCHEMA, WITH_DELETIONS, DestinationSuite
from kitestring.testing.memory import MemorySource
from kitestring.types import DELETED_AT, Record


class MissingCases(DestinationSuite):
    """Records that a listing of the source lacks."""

    def test_a_record_that_a_full_refresh_no_longer_lists_is_removed(self, tmp_path: Path) -> None:
        states = self.needs_listing(tmp_path)
        assert self.listing(tmp_path, self.records(30), "hard", states).ok
        left = [record for record in self.records(30) if record["id"] not in (3, 17)]
        left[0] = {**left[0], "text": "changed"}
        result = self.listing(tmp_path, left, "hard", states)
        assert result.ok, result.as_dict()
        figures = result.streams[self.stream_name]
        assert (figures.read, figures.deleted, figures.read) == (30, 2, figures.accounted)
        texts = self.texts(tmp_path, "append_dedup")
        assert sorted(texts) == [record["id"] for record in left]
        assert texts[0] == "changed"

    def test_a_record_that_a_full_refresh_no_longer_lists_is_marked_until_it_comes_back(self, tmp_path: Path) -> None:
        states = self.needs_listing(tmp_path)
        self.needs("soft_delete", tmp_path)
        stream = replace(self.stream("soft_delete"), schema=WITH_DELETIONS)
        assert self.listing(tmp_path, self.records(20), "soft", states, WITH_DELETIONS).ok
        for _ in range(2):  # a marked record is not missing again
            result = self.listing(tmp_path, self.records(18), "soft", states, WITH_DELETIONS)
            assert result.ok, result.as_dict()
            rows = {int(row["id"]): row for row in self.seen_of(tmp_path, stream)}
            assert [n for n, row in sorted(rows.items()) if row.get(DELETED_AT) is not None] == [18, 19]
            assert len(rows) == 20
        assert result.streams[self.stream_name].deleted == 0
        assert self.listing(tmp_path, self.records(20), "soft", states, WITH_DELETIONS).ok
        assert all(row.get(DELETED_AT) is None for row in self.seen_of(tmp_path, stream))

    def test_records_that_an_earlier_sync_left_behind_are_removed_too(self, tmp_path: Path) -> None:
        states = self.needs_listing(tmp_path)
        assert self.run(tmp_path, self.records(30), "append_dedup").ok  # without detection
        result = self.listing(tmp_path, self.records(27), "hard", states)
        assert result.ok, result.as_dict()
        assert sorted(self.texts(tmp_path, "append_dedup")) == list(range(27))

    def test_an_incremental_stream_is_compared_with_the_keys_of_its_source(self, tmp_path: Path) -> None:
        states = self.needs_listing(tmp_path)
        way: dict[str, Any] = {"sync_mode": "incremental", "cursors": {self.stream_name: "id"}}
        assert self.listing(tmp_path, self.records(20), {"every_hours": 0}, states, **way).ok
        left = [record for record in self.records(22) if record["id"] not in (4, 5)]
        result = self.listing(tmp_path, left, {"every_hours": 0}, states, **way)
        assert result.ok, result.as_dict()
        assert sorted(self.texts(tmp_path, "append_dedup")) == [n for n in range(22) if n not in (4, 5)]
        figures = result.streams[self.stream_name]
        assert (figures.read, figures.written + figures.unchanged, figures.deleted) == (4, 2, 2)

    def test_a_listing_that_lacks_too_much_deletes_nothing_before_the_second(self, tmp_path: Path) -> None:
        states = self.needs_listing(tmp_path)
        assert self.listing(tmp_path, self.records(20), "hard", states).ok
        for count in (0, 6):  # nothing at all, then other records: no listing confirms the one before
            result = self.listing(tmp_path, self.records(20)[:count], "hard", states)
            assert result.status is Status.suspicious, result.as_dict()
            assert len(self.texts(tmp_path, "append_dedup")) == 20
        result = self.listing(tmp_path, self.records(6), "hard", states)
        assert result.ok, result.as_dict()
        assert sorted(self.texts(tmp_path, "append_dedup")) == list(range(6))

    def test_keys_of_several_kinds_are_compared_as_they_are(self, tmp_path: Path) -> None:
        states = self.needs_listing(tmp_path)
        schema = {**SCHEMA, "properties": {**SCHEMA["properties"], "id": {}}}
        rows = [{"id": key, "text": repr(key)} for key in (*range(10, 20), 1, "1")]
        assert self.listing(tmp_path, rows, "hard", states, schema).ok
        left = [row for row in rows if row["id"] != "1"]
        result = self.listing(tmp_path, left, "hard", states, schema)
        assert result.ok, result.as_dict()
        texts = sorted(
            row["text"] for row in self.seen_of(tmp_path, replace(self.stream("append_dedup"), schema=schema))
        )
        assert texts == sorted(row["text"] for row in left)

    def test_a_stream_of_the_same_name_in_another_namespace_loses_nothing(self, tmp_path: Path) -> None:
        states = self.needs_listing(tmp_path)
        for namespace, count in (("one", 20), ("two", 10), ("two", 9)):
            result = self.listing(tmp_path, self.records(count), "hard", states, namespace=namespace)
            assert result.ok, result.as_dict()
        for namespace, count in (("one", 20), ("two", 9)):
            rows = self.seen_of(tmp_path, replace(self.stream("append_dedup"), namespace=namespace))
            assert len(rows) == count

    def listing(
        self,
        folder: Path,
        records: list[Record],
        detect: Any,
        states: MemoryStates,
        schema: Any = SCHEMA,
        sync_mode: str = "full_refresh",
        namespace: str | None = None,
        **options: Any,
    ) -> Result:
        name = self.stream_name
        source = MemorySource(records={name: records}, primary_keys={name: "id"}, schemas={name: schema}, **options)
        selection = Selection(name, sync_mode, detect_deletes=detect, namespace=namespace)
        return sync(source, self.make(folder), [selection], states=states)

    def needs_listing(self, folder: Path) -> MemoryStates:
        destination = self.make(folder)
        if not isinstance(destination, ListsKeys) or WRITES["append_dedup"] not in destination.writes:
            pytest.skip("this destination cannot compare its records with a listing, and does not say it can")
        return MemoryStates()
