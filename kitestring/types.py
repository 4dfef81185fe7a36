"""The words of the contract as frozen data: stream, catalog, partition, checkpoint, receipt, reject, write.

`Batch`, the run of records that travels between a source and a destination, lives in `batch.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from kitestring.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.errors import KitestringError

Record: TypeAlias = dict[str, Any]
"""One record: JSON values by field name."""

State: TypeAlias = dict[str, Any]
"""The data with which a source resumes: free JSON, owned by the source, saved by the engine."""

Path: TypeAlias = tuple[str, ...]
"""The path of a field: `("user", "id")` is `record["user"]["id"]`."""

DELETED_AT = "_ab_cdc_deleted_at"
"""The field that marks a record as a deletion when it is not null: the Airbyte protocol's name for it.
It is part of the stream's schema when the source reports deletions."""

CHANGED_AT = "_ab_cdc_updated_at"
"""The field with the time of the change, in records from the log of a database: the Airbyte protocol's name for it."""

GLOBAL = ""
"""The key under which the state of a partition that feeds several streams at once is kept (a replication slot)."""

NULLED_RECORDS = "records_with_nulled_values"
"""The figure of a receipt: how many of its records have a null in place of a value that does not fit its column."""

COUNTS = "_counts"
"""The key beside the states under which the engine notes how many records each stream had when its last sync ended."""


class SyncMode(StrEnum):
    """The way a stream is read."""

    full_refresh = "full_refresh"
    incremental = "incremental"


@dataclass(frozen=True, slots=True)
class Write:
    """The way a stream is written: three choices. (`airbyte/modes.py` has Airbyte's names.)

    - `replace`: the records are a whole new copy, which takes the place of what was there once it is complete.
    - `keep`: every version of a record ("all"), or the last one of each primary key ("latest").
    - `deletes`, what becomes of a record that the source has deleted. "remove": it goes. "mark": it stays, with the
      time in `_ab_cdc_deleted_at`, and no search or count finds it. "keep": with "all" the deletion is a record of its
      own, with "latest" it is ignored.

    A deletion removes or marks the record of a key, so it asks for `keep="latest"`; only a new copy of all versions may
    leave deleted records out. `ValueError` for another combination.
    """

    replace: bool = False
    keep: Literal["all", "latest"] = "all"
    deletes: Literal["remove", "mark", "keep"] = "keep"

    def __post_init__(self) -> None:
        if type(self.replace) is not bool or self.keep not in ("all", "latest"):
            raise ValueError(f"replace is true or false and keep is all or latest, not {self.replace} and {self.keep}")
        if self.deletes not in ("remove", "mark", "keep"):
            raise ValueError(f"deletes is remove, mark or keep, not {self.deletes}")
        if self.keep == "all" and (self.deletes == "mark" or (self.deletes == "remove" and not self.replace)):
            raise ValueError(
                f"deletes: {self.deletes} needs keep: latest, because a deletion names one record, "
                "and keep: all has several records with a key"
            )

    @property
    def appends(self) -> bool:
        """Every record is added to what is there."""
        return not self.replace and self.keep == "all"

    def __str__(self) -> str:
        return f"{'replace' if self.replace else 'add'}, keep {self.keep}, deletes {self.deletes}"


APPEND = frozenset({Write()})
"""The write modes of every destination."""

EVERY_WRITE = frozenset(
    {
        *(Write(replace, "latest", deletes) for replace in (False, True) for deletes in ("remove", "mark", "keep")),
        *(Write(replace=True, deletes=deletes) for deletes in ("remove", "keep")),
        Write(),
    }
)
"""All combinations that have a meaning."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream: first as the source declares it, then (`sync_mode`, `write`, `fields`) as it was selected.

    `schema` is a JSON Schema of type object; it becomes a `Schema`, which has the Arrow types too. `primary_key` is a
    tuple of paths, empty if there is none. `cursor` is the path of the field that orders the stream, or None;
    `source_defined_cursor` says that the user cannot choose another. `sync_modes` is what the source can do. `fields`
    are the selected paths, empty for all.
    """

    name: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    primary_key: tuple[Path, ...] = ()
    cursor: Path | None = None
    namespace: str | None = None
    sync_modes: tuple[SyncMode, ...] = (SyncMode.full_refresh,)
    source_defined_cursor: bool = False
    sync_mode: SyncMode = SyncMode.full_refresh
    write: Write = Write()
    fields: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema", Schema.of(self.schema))

    @property
    def arrow_schema(self) -> pa.Schema:
        """The declared fields as Arrow types: those of the source where it knows them, else by the JSON Schema."""
        return Schema.of(self.schema).arrow

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

    Partitions are read at the same time, so two of them must not have versions of the same record, unless `order` says
    which are newer: one with a higher number is read when all those planned before it with a lower number have ended.
    """

    streams: tuple[Stream, ...]
    key: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    order: int = 0

    @property
    def stream(self) -> Stream:
        """The one stream of this partition."""
        return self.streams[0]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything this partition yielded so far is covered by `state`.

    `stream` is the key of the stream the state belongs to, `GLOBAL` for the state that the streams of a group share.
    None means the partition's only stream, or, where it feeds several, the state they share. `without` gives the state
    as it would be without some of the records that it covers: those that the destination rejects do not move a
    cursor.
    """

    state: State
    stream: str | None = None
    without: Callable[[Sequence[Record]], State] | None = field(default=None, compare=False, repr=False)


States: TypeAlias = Mapping[str, State]
"""Saved states by stream key (and `GLOBAL`), as they were when the read began."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A rejected record and the reason. `mapped`: the stream's mappers were already applied to it. `stream` is the
    stream's key, None where the partition has only one."""

    record: Record
    reason: str
    mapped: bool = False
    stream: str | None = None


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A warning that makes the stream end `suspicious`. `reason` is a sentence with two facts that do not agree;
    `stream` is the stream's key, None where the partition has only one."""

    reason: str
    stream: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """One stream of a partition that feeds several ended early; the others go on. `stream` is its key."""

    stream: str
    error: KitestringError


@dataclass(frozen=True, slots=True)
class Truncate:
    """The source's stream was emptied at this point of the read: all records that came before are deleted.

    `deleted_at` is its time, in the form of `_ab_cdc_deleted_at` (ISO 8601); `stream` is the stream's key, None where
    the partition has only one. Partitions that are read at the same time have no order: a stream that may be emptied
    comes from one, or they have an `order`.
    """

    deleted_at: str
    stream: str | None = None


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """The records that follow have this schema: JSON Schema or an Arrow schema. `stream` is the stream's key, None
    where the partition has only one."""

    schema: Mapping[str, Any] | pa.Schema
    stream: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The outcome of writing a batch; without a receipt every record counts as written.

    written + unchanged + deleted + len(rejected) must be the number of records in the batch, or the sync is not green.
    `replaced`: the number of counted records that these replace; None where it is not known: then the count is checked
    by its bounds.
    `figures` are extra counts that the result sums up per stream (`chunks_embedded`, `tokens`, `cost_usd`, …).
    """

    written: int = 0
    unchanged: int = 0
    deleted: int = 0
    rejected: Sequence[Reject] = ()
    replaced: int | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
