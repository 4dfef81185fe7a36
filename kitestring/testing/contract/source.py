"""The contract of sources as a test class."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

from kitestring.batch import Batch
from kitestring.source import Source
from kitestring.testing.contract.gap import Gaps
from kitestring.types import Checkpoint, Record, States, Stream, SyncMode


class SourceContract(Gaps):
    """What every source keeps. `make` gives a source that reads a little data."""

    def make(self, folder: Path) -> Source:
        raise NotImplementedError

    def streams(self, source: Source) -> list[Stream]:
        """The streams to read here; all of them by default."""
        return list(source.discover())

    def read(self, source: Source, stream: Stream, states: States) -> tuple[list[Record], dict[str, Any]]:
        """All records of a stream and the state behind them, read as the engine does."""
        rows: list[Record] = []
        state: dict[str, Any] = dict(states.get(stream.key, {}))
        for partition in source.partitions([stream], states):
            for item in source.read(partition, states):
                if isinstance(item, Batch):
                    rows.extend(item.rows())
                elif isinstance(item, Checkpoint):
                    state = source.merge(stream.key, state, item.state)
                elif isinstance(item, dict):
                    rows.append(item)
        return rows, source.finish(stream, state)

    def test_check_accepts_it(self, tmp_path: Path) -> None:
        source = self.make(tmp_path)
        source.check()
        source.close()

    def test_every_stream_has_a_name_of_its_own_and_an_object_schema(self, tmp_path: Path) -> None:
        source = self.make(tmp_path)
        streams = list(source.discover())
        source.close()
        assert streams
        assert len({stream.key for stream in streams}) == len(streams)
        for stream in streams:
            kind = stream.schema.get("type", "object")
            assert "object" in (kind if isinstance(kind, list) else [kind])

    def test_every_record_is_an_object_with_its_primary_key(self, tmp_path: Path) -> None:
        source = self.make(tmp_path)
        for stream in self.streams(source):
            for row in self.read(source, stream, {})[0]:
                assert isinstance(row, dict)
                for path in stream.primary_key:
                    value: Any = row
                    for part in path:
                        value = value[part]
                    assert value is not None
        source.close()

    def test_reading_twice_gives_the_same_records(self, tmp_path: Path) -> None:
        for stream in self.streams(self.make(tmp_path)):
            counts = []
            for _ in range(2):
                source = self.make(tmp_path)
                counts.append(len(self.read(source, stream, {})[0]))
                source.close()
            assert counts[0] == counts[1], stream.key

    def test_its_state_is_json_and_goes_on_where_it_ended(self, tmp_path: Path) -> None:
        for stream in self.streams(self.make(tmp_path)):
            if SyncMode.incremental not in stream.sync_modes:
                continue
            chosen = replace(stream, sync_mode=SyncMode.incremental)
            source = self.make(tmp_path)
            first, state = self.read(source, chosen, {})
            source.close()
            assert json.loads(json.dumps(state)) == state
            source = self.make(tmp_path)
            second, _ = self.read(source, chosen, {stream.key: state})
            source.close()
            assert len(second) <= len(first), stream.key

    def test_its_partitions_can_be_pickled(self, tmp_path: Path) -> None:
        source = self.make(tmp_path)
        for stream in self.streams(source)[:5]:
            for _, partition in zip(range(3), source.partitions([stream], {}), strict=False):
                assert pickle.loads(pickle.dumps(partition)).key == partition.key  # noqa: S301
        source.close()

    def test_its_spec_is_a_form(self, tmp_path: Path) -> None:
        spec = type(self.make(tmp_path)).spec()
        assert spec["type"] == "object"
        assert "$ref" not in str(spec)
