"""The contract of sources as a test class."""

from __future__ import annotations

import json
import pickle
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring import json_codec
from kitestring.batch import Batch
from kitestring.engine import Selection, Status, sync
from kitestring.errors import ConfigError
from kitestring.paths import at
from kitestring.source import Source
from kitestring.testing.contract.gap import Gaps
from kitestring.testing.contract.value import misfits
from kitestring.testing.memory import MemoryDestination
from kitestring.types import Checkpoint, Record, State, States, Stream, SyncMode


@dataclass
class Reading:
    """The result of reading a stream: its records, the number that the last state covers, all states, the last one."""

    stream: Stream
    records: list[Record] = field(default_factory=list)
    covered: int = 0
    checkpoints: list[State] = field(default_factory=list)
    state: State = field(default_factory=dict)


class SourceContract(Gaps):
    """The contract of every source. `make` gives a source that reads a little data, the same each time.

    The streams are read once for the whole class and looked at by several cases; incrementally where they can be.
    """

    sampled: ClassVar[int] = 3
    """Of how many streams the cases are run that read again and again."""

    _readings: ClassVar[list[Reading]]

    # -- what the author of a source writes ----------------------------------------------------------------------------

    def make(self, folder: Path) -> Source:
        raise NotImplementedError

    def streams(self, source: Source) -> list[Stream]:
        """The streams to read here; all of them by default."""
        return list(source.discover())

    def spec(self, folder: Path) -> dict[str, Any]:
        """The form of the configuration."""
        return type(self.make(folder)).spec()

    def load(self, folder: Path, config: Mapping[str, Any]) -> Source:
        """The source with another configuration."""
        return type(self.make(folder)).load(config)

    def comparable(self, state: Any) -> Any:
        """A state without what depends on when, and for how long, it was read."""
        return state

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, source: Source, stream: Stream, states: States) -> tuple[list[Record], State]:
        """All records of a stream and the state behind them, read as the engine does."""
        reading = self.read_until(source, stream, states)
        return reading.records, reading.state

    def read_until(self, source: Source, stream: Stream, states: States, most: int | None = None) -> Reading:
        """The same with all checkpoints, and up to so many records, as if the process were killed behind them."""
        reading = Reading(stream, state=deepcopy(dict(states.get(stream.key, {}))))
        for partition in source.partitions([stream], states):
            items = source.read(partition, states)
            try:
                for item in items:
                    rows = item.rows() if isinstance(item, Batch) else [item] if isinstance(item, dict) else []
                    reading.records.extend(rows)
                    if most is not None and len(reading.records) >= most:
                        del reading.records[most:]
                        return reading
                    if isinstance(item, Checkpoint):
                        reading.state = source.merge(stream.key, reading.state, deepcopy(item.state))
                        reading.checkpoints.append(deepcopy(item.state))
                        reading.covered = len(reading.records)
            finally:
                close = getattr(items, "close", None)
                if close:
                    close()
        reading.state = source.finish(stream, reading.state)
        reading.covered = len(reading.records)
        return reading

    def read_all(self, folder: Path) -> list[Reading]:
        source = self.make(folder)
        try:
            return [self.read_until(source, chosen(stream), {}) for stream in self.streams(source)]
        finally:
            source.close()

    def readings(self, folder: Path) -> list[Reading]:
        """All streams, read once for the class."""
        if "_readings" not in vars(type(self)):
            type(self)._readings = self.read_all(folder)
        return type(self)._readings

    def sample(self, folder: Path) -> Iterator[Reading]:
        """A few streams that are read incrementally and have records: short ones with several checkpoints first."""
        readings = [r for r in self.readings(folder) if r.stream.incremental and r.records and r.checkpoints]
        yield from sorted(readings, key=lambda r: (len(r.checkpoints) < 3, len(r.records)))[: self.sampled]

    # -- records and states --------------------------------------------------------------------------------------------

    def test_reading_twice_gives_the_same_records_and_states(self, tmp_path: Path) -> None:
        first = type(self)._readings = self.read_all(tmp_path)
        for result, other in zip(first, self.read_all(tmp_path), strict=True):
            assert result.stream.key == other.stream.key
            assert result.records == other.records, result.stream.key
            assert self.comparable(result.state) == self.comparable(other.state), result.stream.key
        assert any(reading.records for reading in first)

    def test_every_record_is_an_object_with_its_primary_key(self, tmp_path: Path) -> None:
        for reading in self.readings(tmp_path):
            for row in reading.records:
                assert isinstance(row, dict)
                for path in reading.stream.primary_key:
                    assert at(row, path) is not None, (reading.stream.key, path)

    def test_values_are_of_the_types_that_the_schema_declares(self, tmp_path: Path) -> None:
        wrong: dict[str, Any] = {}
        for reading in self.readings(tmp_path):
            for row in reading.records:
                for path, value in misfits(row, reading.stream.schema):
                    wrong.setdefault(f"{reading.stream.key}: {path}", value)
        assert not wrong

    def test_versions_of_a_record_come_in_their_order(self, tmp_path: Path) -> None:
        for reading in self.readings(tmp_path):
            stream, latest = reading.stream, dict[str, Any]()
            if not (stream.incremental and stream.cursor and stream.primary_key):
                continue
            for row in reading.records:
                key = canonical([at(row, path) for path in stream.primary_key])
                value = at(row, stream.cursor)
                if value is not None:
                    assert key not in latest or latest[key] <= value, (stream.key, key, latest[key], value)
                    latest[key] = value

    def test_its_states_are_json(self, tmp_path: Path) -> None:
        for reading in self.readings(tmp_path):
            for state in (*reading.checkpoints, reading.state):
                assert isinstance(state, dict), reading.stream.key
                assert json.loads(json.dumps(state, allow_nan=False)) == state, reading.stream.key

    def test_it_goes_on_from_its_state_where_it_ended(self, tmp_path: Path) -> None:
        source = self.make(tmp_path)
        for reading in self.readings(tmp_path):
            if not reading.stream.incremental:
                continue
            records, state = self.read(source, reading.stream, {reading.stream.key: reading.state})
            all_ = Counter(map(canonical, reading.records))
            new = Counter(map(canonical, records)) - all_
            assert not new, f"{reading.stream.key} has records that the first read did not have: {new}"
            if records:  # those that the state cannot tell from new ones; they come again, not more and more
                assert len(records) <= len(reading.records)
                second, _ = self.read(source, reading.stream, {reading.stream.key: state})
                assert len(second) <= len(records), reading.stream.key
        source.close()

    def test_a_read_that_was_killed_goes_on_with_all_that_its_state_does_not_cover(self, tmp_path: Path) -> None:
        for reading in self.sample(tmp_path):
            key, count = reading.stream.key, len(reading.records)
            expected = set(map(canonical, reading.records))
            for most in {random.Random(f"{key} {seed}").randint(1, count) for seed in (1, 2)}:
                source = self.make(tmp_path)
                killed = self.read_until(source, reading.stream, {}, most)
                if killed.state:
                    source.saved({key: killed.state})
                source.close()
                states = {key: json.loads(json.dumps(killed.state))} if killed.state else {}
                source = self.make(tmp_path)
                rest, _ = self.read(source, reading.stream, states)
                source.close()
                covered = set(map(canonical, killed.records[: killed.covered]))
                lost = expected - covered - set(map(canonical, rest))
                assert not lost, f"{key}, killed after {most} of {count}: {len(lost)} records are lost, {min(lost)}"

    def test_a_full_refresh_reads_what_a_first_incremental_read_does(self, tmp_path: Path) -> None:
        source = self.make(tmp_path)
        for reading in (*self.sample(tmp_path), *list(self.sample(tmp_path))[:1]):  # the first once more
            records, _ = self.read(source, replace(reading.stream, sync_mode=SyncMode.full_refresh), {})
            assert set(map(canonical, records)) == set(map(canonical, reading.records)), reading.stream.key
        source.close()

    def test_a_sync_brings_what_is_read_one_partition_after_the_other(self, tmp_path: Path) -> None:
        source, destination = self.make(tmp_path), MemoryDestination()
        readings = {reading.stream.key: reading for reading in self.readings(tmp_path)}
        selections = [
            Selection(
                key,
                sync_mode=reading.stream.sync_mode.value,
                write_mode="append",
                cursor=".".join(reading.stream.cursor)
                if reading.stream.cursor and not reading.stream.source_defined_cursor
                else None,
            )
            for key, reading in readings.items()
        ]
        result = sync(source, destination, selections)
        errors = {key: stream.error for key, stream in result.streams.items() if stream.error}
        assert result.status in (Status.succeeded, Status.suspicious), (result.error, errors)
        for key, reading in readings.items():
            stored = destination.stored.get(key, [])
            assert set(map(canonical, stored)) == set(map(canonical, reading.records)), key

    # -- the catalog and its pieces ------------------------------------------------------------------------------------

    def test_every_stream_has_a_name_of_its_own_and_an_object_schema(self, tmp_path: Path) -> None:
        source = self.make(tmp_path)
        streams = list(source.discover())
        source.close()
        assert streams
        assert len({stream.key for stream in streams}) == len(streams)
        for stream in streams:
            kind = stream.schema.get("type", "object")
            assert "object" in (kind if isinstance(kind, list) else [kind])

    def test_discovering_twice_gives_the_same_streams(self, tmp_path: Path) -> None:
        source, other = self.make(tmp_path), self.make(tmp_path)
        catalogs = [list(source.discover()), list(source.discover()), list(other.discover())]
        source.close()
        other.close()
        assert catalogs[0] == catalogs[1] == catalogs[2]

    def test_its_partitions_can_be_pickled(self, tmp_path: Path) -> None:
        source = self.make(tmp_path)
        for stream in self.streams(source)[:5]:
            for _, partition in zip(range(3), source.partitions([stream], {}), strict=False):
                assert pickle.loads(pickle.dumps(partition)).key == partition.key  # noqa: S301
        source.close()

    # -- configuration, errors, ends -----------------------------------------------------------------------------------

    def test_check_accepts_it(self, tmp_path: Path) -> None:
        source = self.make(tmp_path)
        source.check()
        source.close()

    def test_its_spec_is_a_form(self, tmp_path: Path) -> None:
        spec = self.spec(tmp_path)
        assert spec["type"] == "object"
        assert "$ref" not in str(spec)

    def test_a_configuration_that_lacks_what_is_required_is_refused_with_its_name(self, tmp_path: Path) -> None:
        required = self.spec(tmp_path).get("required", [])
        if not required:
            pytest.skip("this source has no option that is required")
        with pytest.raises(ConfigError) as refusal:
            self.load(tmp_path, {}).check()
        assert any(name in f"{refusal.value} {refusal.value.hint}" for name in required)

    def test_a_stream_that_is_not_there_is_refused_with_its_name(self, tmp_path: Path) -> None:
        source = self.make(tmp_path)
        with pytest.raises(ConfigError, match="no_such_stream"):
            sync(source, MemoryDestination(), ["no_such_stream"])
        source.close()

    def test_it_can_be_closed_twice_and_used_after_that(self, tmp_path: Path) -> None:
        source = self.make(tmp_path)
        streams = self.streams(source)
        source.close()
        source.close()
        assert [stream.key for stream in self.streams(source)] == [stream.key for stream in streams]
        for partition in source.partitions([streams[0]], {}):
            next(iter(source.read(partition, {})), None)
            break
        source.close()


def chosen(stream: Stream) -> Stream:
    """The stream as a sync would read it: incrementally, if it can be."""
    incremental = SyncMode.incremental in stream.sync_modes and (stream.cursor or stream.source_defined_cursor)
    return replace(stream, sync_mode=SyncMode.incremental) if incremental else stream


def canonical(value: Any) -> str:
    return json_codec.dumps_text(value, sort_keys=True)
