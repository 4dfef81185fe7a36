"""The contract of destinations as a test class."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kitestring.batch import Batch
from kitestring.destination import Counts
from kitestring.engine import MemoryStates, Selection, Status, sync
from kitestring.errors import ConfigError
from kitestring.source import Item
from kitestring.testing.contract.browse_cases import BrowseCases
from kitestring.testing.contract.change_cases import ChangeCases
from kitestring.testing.contract.key_cases import KeyCases
from kitestring.testing.contract.missing_cases import MissingCases
from kitestring.testing.contract.suite import SCHEMA
from kitestring.testing.contract.value_cases import ValueCases
from kitestring.testing.memory import MemorySource
from kitestring.types import Checkpoint, Partition, States


class DestinationContract(ValueCases, KeyCases, ChangeCases, MissingCases, BrowseCases):
    """The contract of every destination: `make` and `stored` reach yours, `expected` gives the form of its values."""

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
        reopened = self.make(tmp_path)
        try:
            assert len(self.stored(reopened, replace(self.stream(mode), name=odd))) == 2
        finally:
            reopened.close()

    def test_two_streams_at_once_are_both_whole(self, tmp_path: Path) -> None:
        mode = self.any_mode(tmp_path)
        records = {name: self.records(250, name + " {n}") for name in ("left", "right")}
        keys, schemas = dict.fromkeys(records, "id"), dict.fromkeys(records, SCHEMA)
        for _ in range(2):
            source = MemorySource(records=records, primary_keys=keys, schemas=schemas, pieces=4)
            result = sync(source, self.make(tmp_path), [Selection(name, write_mode=mode) for name in records])
            assert result.status is Status.succeeded, result.as_dict()
        copies = 2 if mode == "append" else 1
        for name in records:
            rows = self.seen_of(tmp_path, replace(self.stream(mode), name=name))
            assert sorted((int(row["id"]), row["text"]) for row in rows) == sorted(
                (n, f"{name} {n}") for n in range(250) for _ in range(copies)
            )

    def test_a_stream_of_the_same_name_in_another_namespace_is_another(self, tmp_path: Path) -> None:
        mode = self.any_mode(tmp_path)
        for namespace in ("one", "two"):
            source = self.source(self.records(3, namespace + " {n}"))
            selections = [Selection(self.stream_name, write_mode=mode, namespace=namespace)]
            result = sync(source, self.make(tmp_path), selections)
            assert result.status is Status.succeeded, result.as_dict()
        for namespace in ("one", "two"):
            rows = self.seen_of(tmp_path, replace(self.stream(mode), namespace=namespace))
            assert sorted(row["text"] for row in rows) == [f"{namespace} {n}" for n in range(3)]
