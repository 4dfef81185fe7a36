"""A source and a destination in memory: real connectors for tests of whatever stands between two ends."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field, PrivateAttr

from kitestring.batch import Batch
from kitestring.destination import Destination
from kitestring.errors import ConfigError
from kitestring.paths import at
from kitestring.source import Item, Source
from kitestring.types import Catalog, Checkpoint, Partition, Receipt, Record, States, Stream, SyncMode, WriteMode


class MemorySource(Source):
    """Streams that are given as lists of records.

    `cursors` and `primary_keys` are by stream; a stream with a cursor is incremental, is read in the order of its list,
    and gives a checkpoint after every `checkpoint_every` records. `pieces` splits a stream into partitions.
    """

    records: Any  # Mapping[str, Sequence[Record]]: not validated, so that a test may give what no source should
    primary_keys: Mapping[str, str] = Field(default_factory=dict)
    cursors: Mapping[str, str] = Field(default_factory=dict)
    schemas: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    checkpoint_every: int = 100
    pieces: int = 1

    def discover(self) -> Catalog:
        return Catalog(tuple(self._stream(name) for name in self.records))

    def _stream(self, name: str) -> Stream:
        cursor, key = self.cursors.get(name), self.primary_keys.get(name)
        return Stream(
            name,
            schema=self.schemas.get(name) or {"type": "object", "properties": {}, "additionalProperties": True},
            primary_key=((key,),) if key else (),
            cursor=(cursor,) if cursor else None,
            sync_modes=(SyncMode.full_refresh, SyncMode.incremental) if cursor else (SyncMode.full_refresh,),
        )

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterable[Partition]:
        for stream in streams:
            count = 1 if stream.incremental else self.pieces
            for number in range(count):
                yield Partition((stream,), f"{number}/{count}", {"number": number, "count": count})

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        stream = partition.stream
        number, count = partition.data["number"], partition.data["count"]
        since = states.get(stream.key, {}).get("cursor") if stream.incremental else None
        given, latest = 0, since
        for position, record in enumerate(self.records[stream.name]):
            if position % count != number:
                continue
            if stream.incremental and stream.cursor:
                value = at(record, stream.cursor)
                if since is not None and value is not None and value <= since:
                    continue
                latest = value if value is not None else latest
            yield record
            given += 1
            if stream.incremental and given % self.checkpoint_every == 0:
                yield Checkpoint({"cursor": latest})
        if stream.incremental and latest is not None:
            yield Checkpoint({"cursor": latest})


class MemoryDestination(Destination):
    """Keeps what it is given in `stored`, by the stream's key; has every mode and every ability."""

    modes: ClassVar[frozenset[str] | set[str]] = {"append", "overwrite", "append_dedup"}
    batch_rows: ClassVar[int] = 100

    _stored: dict[str, list[Record]] = PrivateAttr(default_factory=dict)
    _shadows: dict[str, list[Record]] = PrivateAttr(default_factory=dict)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    @property
    def stored(self) -> dict[str, list[Record]]:
        return self._stored

    def begin(self, stream: Stream) -> None:
        if stream.write_mode is WriteMode.overwrite:
            self._shadows[stream.key] = []

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        with self._lock:
            if stream.write_mode is WriteMode.overwrite:
                self._shadows[stream.key].extend(batch.rows())
                return None
            kept = self._stored.setdefault(stream.key, [])
            if stream.write_mode is WriteMode.append:
                kept.extend(batch.rows())
                return None
            places = {self._key(stream, row): place for place, row in enumerate(kept)}
            written = 0
            for row in batch.rows():
                place = places.get(self._key(stream, row))
                if place is None:
                    places[self._key(stream, row)] = len(kept)
                    kept.append(row)
                elif kept[place] == row:
                    continue
                else:
                    kept[place] = row
                written += 1
            return Receipt(written=written, unchanged=len(batch) - written)

    def commit(self, stream: Stream) -> None:
        if stream.write_mode is WriteMode.overwrite:
            self._stored[stream.key] = self._shadows.pop(stream.key)

    def abort(self, stream: Stream) -> None:
        self._shadows.pop(stream.key, None)

    def delete(self, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> None:
        gone = set(keys)
        kept = self._stored.get(stream.key, [])
        self._stored[stream.key] = [row for row in kept if self._key(stream, row) not in gone]

    def count(self, stream: Stream) -> int | None:
        return len(self._stored.get(stream.key, ()))

    def estimate(self, stream: Stream, batch: Batch) -> Mapping[str, float]:
        return {"records": len(batch)}

    def _key(self, stream: Stream, row: Record) -> tuple[Any, ...]:
        if not stream.primary_key:
            raise ConfigError(f"the stream {stream.key} has no primary key", hint="Choose append.")
        return tuple(at(row, path) for path in stream.primary_key)
