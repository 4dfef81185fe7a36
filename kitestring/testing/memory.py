"""A source and a destination in memory: real connectors for tests of the parts between them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field, PrivateAttr

from kitestring.batch import Batch
from kitestring.destination import Destination
from kitestring.errors import ConfigError
from kitestring.identity import Identity, identifier, typed
from kitestring.key_listing import KeyListing
from kitestring.paths import at, nested
from kitestring.source import Item, Source
from kitestring.types import (
    DELETED_AT,
    EVERY_WRITE,
    Catalog,
    Checkpoint,
    Partition,
    Path,
    Receipt,
    Record,
    States,
    Stream,
    SyncMode,
    Write,
)


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
        items, latest = 0, since
        for position, record in enumerate(self.records[stream.name]):
            if position % count != number:
                continue
            if stream.incremental and stream.cursor:
                value = at(record, stream.cursor)
                if since is not None and value is not None and value <= since:
                    continue
                latest = value if value is not None else latest
            yield record
            items += 1
            if stream.incremental and items % self.checkpoint_every == 0:
                yield Checkpoint({"cursor": latest})
        if stream.incremental and latest is not None:
            yield Checkpoint({"cursor": latest})


@dataclass(slots=True)
class KnownPlaces:
    """The places of records in a list of rows, as long as it has this many."""

    rows: list[Record]
    count: int
    primary_key: Sequence[Path]
    schema: Any
    places: dict[Identity, int]

    def are_of(self, rows: list[Record], stream: Stream) -> bool:
        return (
            self.rows is rows
            and self.count == len(rows)
            and self.primary_key == stream.primary_key
            and self.schema is stream.schema
        )


class MemoryDestination(Destination):
    """Keeps what it is given in `stored`, by the stream's key; has every way to write and every ability."""

    writes: ClassVar[frozenset[Write]] = EVERY_WRITE
    batch_rows: ClassVar[int] = 100

    _stored: dict[str, list[Record]] = PrivateAttr(default_factory=dict)
    _staged: dict[str, list[Record]] = PrivateAttr(default_factory=dict)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _known: dict[str, KnownPlaces] = PrivateAttr(default_factory=dict)

    @property
    def stored(self) -> dict[str, list[Record]]:
        return self._stored

    def begin(self, stream: Stream) -> None:
        if stream.write.replace:
            self._staged[stream.key] = []

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        with self._lock:
            remaining = self._rows(stream)
            if stream.write.keep == "all":
                remaining.extend(batch.rows())
                self._known.pop(stream.key, None)
                return None
            identity = self._identity(stream)
            written, replaced = 0, self._drop_older(stream, batch)
            places = self._places(stream)
            for row in batch.rows():
                place = places.setdefault(identity(row), len(remaining))
                if place == len(remaining):
                    remaining.append(row)
                elif remaining[place] == row and typed(remaining[place]) == typed(row):  # 1 == True in Python
                    continue
                else:
                    replaced += stream.write.deletes != "mark" or remaining[place].get(DELETED_AT) is None
                    remaining[place] = row
                written += 1
            self._known[stream.key].count = len(remaining)
            # What a new copy has already counts as having come with this batch again.
            unchanged = len(batch) - written
            return Receipt(written, unchanged, replaced=replaced + (unchanged if stream.write.replace else 0))

    def commit(self, stream: Stream) -> None:
        if stream.write.replace:
            self._stored[stream.key] = self._staged.pop(stream.key)

    def abort(self, stream: Stream) -> None:
        self._staged.pop(stream.key, None)

    def delete(self, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> Receipt:
        remaining, places = self._rows(stream), self._places(stream)
        sought = {self._identity_of_key(stream, key) for key in keys}
        if not sought & places.keys():
            return Receipt(unchanged=len(keys))
        identity = self._identity(stream)
        deleted = [identity(row) for row in remaining if identity(row) in sought]
        remaining[:] = [row for row in remaining if identity(row) not in sought]
        self._known.pop(stream.key, None)
        present = len(set(deleted))
        return Receipt(deleted=present, unchanged=len(keys) - present, replaced=len(deleted) - present)

    def mark(self, stream: Stream, keys: Mapping[tuple[Any, ...], Any]) -> Receipt:
        places, remaining = self._places(stream), self._rows(stream)
        marked = 0
        for key, deleted_at in keys.items():
            place = places.get(self._identity_of_key(stream, key))
            if place is not None and remaining[place].get(DELETED_AT) is None:
                remaining[place] = {**remaining[place], DELETED_AT: deleted_at}
                marked += 1
        return Receipt(deleted=marked, unchanged=len(keys) - marked)

    def truncate(self, stream: Stream, deleted_at: str) -> Receipt:
        remaining = self._rows(stream)
        unmarked = [place for place, row in enumerate(remaining) if row.get(DELETED_AT) is None]
        if stream.write.deletes == "mark":
            for place in unmarked:
                remaining[place] = {**remaining[place], DELETED_AT: deleted_at}
        else:
            remaining.clear()
            self._known.pop(stream.key, None)
        return Receipt(deleted=len(unmarked))

    def key_listing(self, stream: Stream) -> MemoryListing:
        return MemoryListing(self, stream)

    def count(self, stream: Stream) -> int | None:
        marks = stream.write.deletes == "mark"
        return sum(not marks or row.get(DELETED_AT) is None for row in self._stored.get(stream.key, ()))

    def estimate(self, stream: Stream, batch: Batch) -> Mapping[str, float]:
        return {"records": len(batch)}

    def _drop_older(self, stream: Stream, batch: Batch) -> int:
        """Where several versions of a record were kept before, only the last may stay. How many visible ones go."""
        rows, places = self._rows(stream), self._places(stream)
        if len(places) == len(rows):
            return 0
        identity = self._identity(stream)
        coming = {identity(row) for row in batch.rows()}
        older = [row for n, row in enumerate(rows) if identity(row) in coming and places[identity(row)] != n]
        dropped = {id(row) for row in older}
        rows[:] = [row for row in rows if id(row) not in dropped]
        self._known.pop(stream.key, None)
        return sum(stream.write.deletes != "mark" or row.get(DELETED_AT) is None for row in older)

    def _rows(self, stream: Stream) -> list[Record]:
        return self._staged[stream.key] if stream.write.replace else self._stored.setdefault(stream.key, [])

    def _places(self, stream: Stream) -> dict[Identity, int]:
        """The place of the last version of each record; kept for the next batch while nothing else changes the rows."""
        rows, known = self._rows(stream), self._known.get(stream.key)
        if known is None or not known.are_of(rows, stream):
            identity = self._identity(stream)
            places = {identity(row): place for place, row in enumerate(rows)}
            self._known[stream.key] = known = KnownPlaces(rows, len(rows), stream.primary_key, stream.schema, places)
        return known.places

    def _identity(self, stream: Stream) -> Callable[[Record], Identity]:
        if not stream.primary_key:
            raise ConfigError(f"the stream {stream.key} has no primary key", hint="Choose append.")
        return identifier(stream.primary_key, stream.schema)

    def _identity_of_key(self, stream: Stream, key: Sequence[Any]) -> Identity:
        return self._identity(stream)(nested(stream.primary_key, key))


class MemoryListing(KeyListing):
    """A listing of keys compared with the records in memory."""

    def __init__(self, destination: MemoryDestination, stream: Stream) -> None:
        self.destination = destination
        self.stream = stream
        self.listed: set[Identity] = set()
        self.missing: list[tuple[Any, ...]] = []

    def add(self, keys: Sequence[tuple[Any, ...]]) -> None:
        self.listed.update(self.destination._identity_of_key(self.stream, key) for key in keys)

    def compare(self) -> tuple[int, int]:
        identity, marks = self.destination._identity(self.stream), self.stream.write.deletes == "mark"
        rows = [row for row in self.destination._rows(self.stream) if not marks or row.get(DELETED_AT) is None]
        missing = [row for row in rows if identity(row) not in self.listed]
        self.missing = [tuple(at(row, path) for path in self.stream.primary_key) for row in missing]
        return len(rows), len(missing)

    def texts(self) -> Iterator[Sequence[str]]:
        yield [repr(key) for key in self.missing]

    def delete(self, deleted_at: str) -> Receipt:
        if self.stream.write.deletes == "mark":
            return self.destination.mark(self.stream, dict.fromkeys(self.missing, deleted_at))
        return self.destination.delete(self.stream, self.missing)
