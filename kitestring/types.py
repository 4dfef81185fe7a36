"""The words of the contract as frozen data: stream, catalog, partition, checkpoint, receipt, reject, modes.

`Batch`, the run of records that travels between a source and a destination, lives in `batch.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from kitestring.errors import KitestringError

Record: TypeAlias = dict[str, Any]
"""One record: JSON values by field name."""

State: TypeAlias = dict[str, Any]
"""What a source needs to go on from a point: free JSON, owned by the source, saved by the engine."""

Path: TypeAlias = tuple[str, ...]
"""Where a field stands: `("user", "id")` is `record["user"]["id"]`."""

DELETED_AT = "_ab_cdc_deleted_at"
"""The field that marks a record as a deletion when it is not null: the Airbyte protocol's name for it.
It is part of the stream's schema when the source reports deletions."""

GLOBAL = ""
"""The key under which the state of a partition that feeds several streams at once is kept (a replication slot)."""

COUNTS = "_counts"
"""The key beside the states under which the engine notes how many records each stream had when its last sync ended."""


class SyncMode(StrEnum):
    """How a stream is read."""

    full_refresh = "full_refresh"
    incremental = "incremental"


class WriteMode(StrEnum):
    """How a stream is written. `append_dedup` needs a primary key: the last version of each record wins."""

    append = "append"
    overwrite = "overwrite"
    append_dedup = "append_dedup"


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream: first as the source declares it, then (`sync_mode`, `write_mode`, `fields`) as it was selected.

    `schema` is a JSON Schema of type object. `primary_key` is a tuple of paths, empty if there is none. `cursor` is the
    path of the field that orders the stream, or None; `source_defined_cursor` says that the user cannot choose another.
    `sync_modes` is what the source can do. `fields` are the selected paths, empty for all.
    """

    name: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    primary_key: tuple[Path, ...] = ()
    cursor: Path | None = None
    namespace: str | None = None
    sync_modes: tuple[SyncMode, ...] = (SyncMode.full_refresh,)
    source_defined_cursor: bool = False
    sync_mode: SyncMode = SyncMode.full_refresh
    write_mode: WriteMode = WriteMode.append
    fields: tuple[Path, ...] = ()

    @property
    def key(self) -> str:
        """The name that is unique in a catalog: `namespace.name`, or the name alone where there is no namespace."""
        return f"{self.namespace}.{self.name}" if self.namespace else self.name

    @property
    def incremental(self) -> bool:
        return self.sync_mode is SyncMode.incremental


@dataclass(frozen=True, slots=True)
class Catalog:
    """The streams of a source."""

    streams: tuple[Stream, ...] = ()

    def __iter__(self) -> Any:
        return iter(self.streams)

    def __len__(self) -> int:
        return len(self.streams)

    def get(self, key: str) -> Stream | None:
        """The stream with this key (or this name, where only one has it)."""
        named = [s for s in self.streams if s.key == key] or [s for s in self.streams if s.name == key]
        return named[0] if len(named) == 1 else None


@dataclass(frozen=True, slots=True)
class Partition:
    """An independent piece of a read: a whole stream, a key range, a date window, one parent. Picklable.

    `streams` are the streams it feeds (nearly always one); `key` is unique among the partitions of these streams and
    stable from one run to the next; `data` is what the source needs to read it.
    """

    streams: tuple[Stream, ...]
    key: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stream(self) -> Stream:
        """The one stream of this partition."""
        return self.streams[0]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything this partition yielded so far is covered by `state`.

    `stream` is the key of the stream the state belongs to; None means the partition's only stream, or, where it feeds
    several, the state they share (`GLOBAL`).
    """

    state: State
    stream: str | None = None


States: TypeAlias = Mapping[str, State]
"""Saved states by stream key (and `GLOBAL`), as they were when the read began."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that could not be taken, and why. `mapped`: the stream's mappers have been at it already."""

    record: Record
    reason: str
    mapped: bool = False


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Something that speaks against what was read, though nothing failed: the stream ends `suspicious`. `reason` is a
    sentence with two facts that do not fit; `stream` is the stream's key, None where the partition has only one."""

    reason: str
    stream: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """One stream of a partition that feeds several ended early; the others go on. `stream` is its key."""

    stream: str
    error: KitestringError


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a write did with its batch; without one, every record counts as written.

    written + unchanged + deleted + len(rejected) must be the number of records in the batch, or the sync is not green.
    `figures` are extra counts that the result sums up per stream (`chunks_embedded`, `tokens`, `cost_usd`, …).
    """

    written: int = 0
    unchanged: int = 0
    deleted: int = 0
    rejected: Sequence[Reject] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
