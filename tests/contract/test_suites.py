"""The suites find what they are there to find: connectors that are broken in one way each fail the case for it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kitestring.batch import Batch
from kitestring.destination import Destination
from kitestring.errors import ConfigError
from kitestring.source import Item, Source
from kitestring.testing.contract import DestinationContract, SourceContract
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import DELETED_AT, Catalog, Checkpoint, Partition, Receipt, Record, States, Stream, Write

APPEND_DEDUP = Write(keep="latest", deletes="remove")


@contextmanager
def finding() -> Iterator[None]:
    """What is inside fails as a case of pytest does."""
    with pytest.raises((AssertionError, KeyError, TypeError, ValueError, ConfigError)):
        yield


# -- destinations ------------------------------------------------------------------------------------------------------


class Changed(MemoryDestination):
    """Changes each record on its way."""

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        return super().write(stream, Batch(batch.stream, rows=[self.changed(dict(row)) for row in batch.rows()]))

    def changed(self, row: Record) -> Record:
        return row


class RoundsNumbers(Changed):
    def changed(self, row: Record) -> Record:
        return {k: float(v) if type(v).__name__ == "Decimal" else v for k, v in row.items()}


class ShiftsMoments(Changed):
    def changed(self, row: Record) -> Record:
        return {k: v.replace("T12", "T13") if k == "at" and v else v for k, v in row.items()}


class DropsNested(Changed):
    def changed(self, row: Record) -> Record:
        return {k: None if k == "nested" else v for k, v in row.items()}


class FoldsNames(Changed):
    def changed(self, row: Record) -> Record:
        return {name.lower(): value for name, value in row.items()}


class CutsNames(Changed):
    def changed(self, row: Record) -> Record:
        return {name[:63]: value for name, value in row.items()}


class StripsText(Changed):
    def changed(self, row: Record) -> Record:
        return {k: v.replace("\0", "") if isinstance(v, str) else v for k, v in row.items()}


class ForgetsNamespace(MemoryDestination):
    def commit(self, stream: Stream) -> None:
        super().commit(stream)
        self._stored = {key.rpartition(".")[2]: rows for key, rows in self._stored.items()}


class KeepsDeleted(MemoryDestination):
    def delete(self, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> Receipt:
        return super().delete(stream, keys[:1])


class MarksAnew(MemoryDestination):
    def mark(self, stream: Stream, keys: Mapping[tuple[Any, ...], Any]) -> Receipt:
        for row in self._rows(stream):
            if (row["id"],) in keys:
                row[DELETED_AT] = keys[(row["id"],)]
        return Receipt(deleted=len(keys))


class CountsMarked(MemoryDestination):
    def count(self, stream: Stream) -> int | None:
        return len(self._stored.get(stream.key, ()))


class ReplacesEarly(MemoryDestination):
    """The old copy goes when the new one begins."""

    def begin(self, stream: Stream) -> None:
        super().begin(stream)
        if stream.write.replace:
            self._stored[stream.key] = []


class KeepsStaged(MemoryDestination):
    def begin(self, stream: Stream) -> None:
        if stream.write.replace:
            self._staged.setdefault(stream.key, [])


class Doubles(MemoryDestination):
    """Adds what it should replace, where that came in another sync."""

    def begin(self, stream: Stream) -> None:
        super().begin(stream)
        for row in self._stored.get(stream.key, ()):
            row["id"] = row["id"] + 0.0 if isinstance(row["id"], int) else row["id"]

    def _places(self, stream: Stream) -> dict[Any, int]:
        return {k: p for k, p in super()._places(stream).items() if isinstance(self._rows(stream)[p]["id"], int)}


BROKEN_DESTINATIONS: list[tuple[type[MemoryDestination], str]] = [
    (RoundsNumbers, "test_long_numbers_keep_all_their_digits"),
    (ShiftsMoments, "test_values_of_all_types_arrive_as_they_were"),
    (DropsNested, "test_values_of_all_types_arrive_as_they_were"),
    (FoldsNames, "test_fields_whose_names_differ_by_case_stay_apart"),
    (CutsNames, "test_names_that_mean_something_to_a_database_are_names_of_fields"),
    (StripsText, "test_hostile_text_arrives_or_is_rejected_never_lost"),
    (ForgetsNamespace, "test_a_stream_of_the_same_name_in_another_namespace_is_another"),
    (KeepsDeleted, "test_a_deleted_record_is_gone"),
    (KeepsDeleted, "test_a_deleted_record_that_comes_back_in_the_next_batch_is_there"),
    (MarksAnew, "test_a_soft_deleted_record_stays_with_the_first_time_until_it_comes_back"),
    (CountsMarked, "test_a_soft_deleted_record_stays_with_the_first_time_until_it_comes_back"),
    (ReplacesEarly, "test_overwrite_that_fails_half_way_keeps_the_old_records"),
    (KeepsStaged, "test_an_overwrite_after_a_crash_in_the_middle_of_one_is_clean"),
    (Doubles, "test_records_that_come_again_since_their_state_was_lost_are_there_once"),
    (Doubles, "test_the_same_sync_twice_changes_nothing"),
]


@pytest.mark.parametrize(("broken", "case"), BROKEN_DESTINATIONS, ids=lambda value: getattr(value, "__name__", value))
def test_a_destination_that_is_broken_fails_the_case_for_it(
    broken: type[MemoryDestination], case: str, tmp_path: Path
) -> None:
    kept: dict[Path, MemoryDestination] = {}

    class Contract(DestinationContract):
        def make(self, folder: Path) -> Destination:
            return kept.setdefault(folder, broken())

        def stored(self, destination: Destination, stream: Stream) -> list[Record]:
            assert isinstance(destination, MemoryDestination)
            return destination.stored.get(stream.key, [])

    with finding():
        getattr(Contract(), case)(tmp_path)


# -- sources -----------------------------------------------------------------------------------------------------------

ROWS = [{"id": n % 20, "seen": n, "name": f"name {n}"} for n in range(60)]
SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}, "seen": {"type": "integer"}}}


class RunsAhead(MemorySource):
    """Its checkpoints cover records that it has not given yet."""

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        for item in super().read(partition, states):
            if isinstance(item, dict):
                yield Checkpoint({"cursor": item["seen"]})
            yield item


STARTS = itertools.count()


class BeginsAnew(MemorySource):
    """Gives other records after each start."""

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        for item in super().read(partition, states):
            yield {**item, "name": self.__dict__.setdefault("start", next(STARTS))} if isinstance(item, dict) else item


class SavesNoText(MemorySource):
    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        for item in super().read(partition, states):
            yield Checkpoint({**item.state, 1: "a key that is not text"}) if isinstance(item, Checkpoint) else item  # type: ignore[dict-item]


class GivesOldVersionsLast(MemorySource):
    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        items = list(super().read(partition, states))
        yield from reversed([item for item in items if isinstance(item, dict)])
        yield from (item for item in items if isinstance(item, Checkpoint))


class DeclaresTexts(MemorySource):
    def _stream(self, name: str) -> Stream:
        return Stream(name, schema={"properties": {"id": {"type": "string"}}}, primary_key=(("id",),))


class KeepsItsPlace(MemorySource):
    """A state of the read stands in the source."""

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        yielded = self.__dict__.setdefault("given", set())
        for item in super().read(partition, states):
            if isinstance(item, dict):
                if (item["seen"]) in yielded:
                    continue
                yielded.add(item["seen"])
            yield item


class FindsNewStreams(MemorySource):
    def discover(self) -> Catalog:
        self.__dict__["count"] = self.__dict__.get("count", 0) + 1
        return Catalog((*super().discover(), Stream(f"new {self.__dict__['count']}")))


BROKEN_SOURCES: list[tuple[type[MemorySource], str]] = [
    (RunsAhead, "test_a_read_that_was_killed_goes_on_with_all_that_its_state_does_not_cover"),
    (BeginsAnew, "test_reading_twice_gives_the_same_records_and_states"),
    (SavesNoText, "test_its_states_are_json"),
    (GivesOldVersionsLast, "test_versions_of_a_record_come_in_their_order"),
    (DeclaresTexts, "test_values_are_of_the_types_that_the_schema_declares"),
    (KeepsItsPlace, "test_a_full_refresh_reads_what_a_first_incremental_read_does"),
    (FindsNewStreams, "test_discovering_twice_gives_the_same_streams"),
]


@pytest.mark.parametrize(("broken", "case"), BROKEN_SOURCES, ids=lambda value: getattr(value, "__name__", value))
def test_a_source_that_is_broken_fails_the_case_for_it(broken: type[MemorySource], case: str, tmp_path: Path) -> None:
    class Contract(SourceContract):
        def make(self, folder: Path) -> Source:
            return broken(
                records={"a": ROWS},
                primary_keys={"a": "id"},
                cursors={"a": "seen"},
                schemas={"a": SCHEMA},
                checkpoint_every=7,
            )

    with finding():
        getattr(Contract(), case)(tmp_path)
