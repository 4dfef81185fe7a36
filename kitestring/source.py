"""The base class of sources, `Source`, and `@stream` for sources of a few methods."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, runtime_checkable

from kitestring.batch import Batch
from kitestring.config import Config
from kitestring.errors import ConfigError, ConnectorError
from kitestring.facts import Facts
from kitestring.types import (
    Catalog,
    Checkpoint,
    Failed,
    Partition,
    Record,
    Reject,
    SchemaChange,
    State,
    States,
    Stream,
    Suspicion,
    SyncMode,
    Truncate,
)
from kitestring.watermark import Watermark

if TYPE_CHECKING:
    from kitestring.http import Session, Share

Item: TypeAlias = "Record | Batch | Checkpoint | Truncate | SchemaChange | Reject | Suspicion | Failed"
"""The items that `Source.read` yields."""


class Source(Config):
    """Reads streams. The fields of the class are its configuration.

    A source is synchronous and keeps no state of a read in itself: the engine reads several partitions at once, each
    in its own thread, so `read` gets everything by its arguments.
    """

    facts: ClassVar[Facts] = Facts()
    """The facts it declares. What is not declared is refused where it matters."""

    values_new_fields: ClassVar[bool] = False
    """Whether its schemas say what existing rows have in a field that is new (`schema.VALUE_OF_EXISTING_ROWS`)."""

    def check(self) -> None:
        """Raise what is wrong (`ConfigError`, `AuthError`, `TransientError`); return when a sync can start.

        The default reads the first record of the first stream.
        """
        for stream in self.discover():
            for partition in self.partitions([stream], {}):
                for item in self.read(partition, {}):
                    if not isinstance(item, Checkpoint):
                        return
                return

    def discover(self) -> Catalog:
        """The streams that can be read. The default collects the `@stream` methods."""
        return Catalog(tuple(declared.stream for declared in declared_streams(type(self)).values()))

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterable[Partition]:
        """The independent pieces of a read, produced as lazily as the source likes. Default: one per stream."""
        return [Partition((stream,)) for stream in streams]

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        """Yield the records of a partition (dicts, or `Batch`es), and a `Checkpoint` wherever a restart could begin.

        `states` are the states as saved before this sync began; an incremental stream begins there, a full refresh
        finds none. A record that cannot be taken is yielded as a `Reject`, a doubt about the whole as a `Suspicion` (a
        source that does not cover it by a checkpoint has it read again). A partition of several streams yields
        `Batch`es, which say their stream, and `Failed` for a stream that ends early while the others go on.

        The default calls the `@stream` method of the partition's stream.
        """
        stream = partition.stream
        declared = declared_streams(type(self)).get(stream.name)
        if declared is None:
            raise ConnectorError(f"{type(self).__name__} has no method for the stream {stream.name}")
        return declared.read(self, stream, states.get(stream.key, {}))

    def groups(self, streams: Sequence[Stream]) -> list[list[Stream]]:
        """Which streams are planned together, one call of `partitions` for each group. Default: each stream for itself.

        A source whose partition feeds several streams (a replication slot, a program) puts these into one group.
        """
        return [[stream] for stream in streams]

    def merge(self, stream: str, state: State, checkpoint: State) -> State:
        """The stream's state after a checkpoint of one of its partitions. Default: the checkpoint's state replaces it.

        A source that plans several partitions for an incremental stream says here what they add up to. Called by one
        thread, in the order in which the data became durable.
        """
        return checkpoint

    def finish(self, stream: Stream, state: State) -> State:
        """The stream's state when all its partitions were read and written. Default: as it is."""
        return state

    def saved(self, states: States) -> None:
        """These states are durable, and so is all that they cover: what the source keeps for a restart before them may
        go (a replication slot is confirmed here, never earlier).

        `states` holds those that were saved just now, by stream key (and `GLOBAL`). Called by one thread, a few times a
        second at most, while `read` goes on in others. An error fails the sync; the states stay. Not called where the
        states are not kept, and not again for a state whose sync was killed between the two: that state is among the
        `states` of the next `read`.
        """

    def leave_out(self, stream: str) -> bool:
        """Go on without a stream whose change the sync cannot carry out, in a partition that feeds several.

        True: the stream fails alone. From now on no state that streams share says that it has what comes. False (the
        default): all streams of the group fail. Called in the thread that reads the partition, between two items.
        """
        return False

    def max_delay_s(self) -> float | None:
        """How long a record may wait for others before it is written. None: a few seconds, as the engine likes it."""
        return None

    def refresh_snapshot(self) -> None:
        """What is planned from now on is read as it is now, not as in a snapshot that earlier reads share.

        Called before the keys of a stream are listed: an older listing would lack the newest records. Others may still
        read in the earlier snapshot. Default: nothing, for a source without snapshots.
        """

    def concurrency(self) -> int:
        """The number of partitions that may be read at the same time."""
        return 4

    @cached_property
    def http(self) -> Session:
        """The HTTP session of this source: pooled, with retries and rate limits."""
        from kitestring.http import Session

        return Session()

    def share(self, share: Share) -> None:
        """Use rate limits shared with other processes. Default: do nothing."""

    def close(self) -> None:
        """Close connections, also after an error, possibly while a read still waits.

        The object may be used again: it connects when it needs to.
        """
        if "http" in self.__dict__:
            self.__dict__.pop("http").close()


@runtime_checkable
class GoesOnAfterRefresh(Protocol):
    """A source with a log that can read a stream as a whole, and go on from there with its changes."""

    @property
    def follows_log(self) -> bool:
        """True where its configuration reads the log."""

    def before_refresh(self, streams: Sequence[Stream], states: States) -> Callable[[Collection[str]], States]:
        """Called before these streams are read as full refreshes: from now on their log is kept, in a new slot if
        theirs is lost. `states` are those of all streams of the connection.

        Returns what gives the states to save once a copy is complete, for those of the streams whose copy is. Raises
        `ConfigError`, `AuthError` or `TransientError`.
        """


@dataclass(frozen=True, slots=True)
class Declared:
    """A `@stream` method with what its decorator said."""

    stream: Stream
    method: Callable[..., Iterable[Item]]
    takes_cursor: bool

    def read(self, source: Source, stream: Stream, state: State) -> Iterator[Item]:
        since = state.get("cursor") if stream.incremental else None
        items = self.method(source, since) if self.takes_cursor else self.method(source)
        if not (stream.incremental and stream.cursor):
            yield from items
            return
        mark = Watermark(
            stream.cursor,
            since,
            keys=stream.primary_key,
            digests=stream.write.appends,
            known_digests=state.get("known", ()),
        )
        for item in items:
            if isinstance(item, dict):
                if mark.is_new(item):
                    yield item
            elif isinstance(item, Batch) and not item.is_table:
                yield Batch(item.stream, rows=[row for row in item.rows() if mark.is_new(row)], nbytes=item.nbytes)
            else:
                yield item
        yield from map(Suspicion, mark.doubts)
        if mark.reached:
            yield mark.checkpoint(lambda value, digests: {"cursor": value, **({"known": digests} if digests else {})})


def stream(
    *,
    primary_key: str | Sequence[str] = (),
    cursor: str | None = None,
    schema: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Callable[[Callable[..., Iterable[Item]]], Callable[..., Iterable[Item]]]:
    """Make a method of a `Source` a stream of the method's name.

    The method yields records. With `cursor` (a field name, dots for nesting) the stream is incremental: the method's
    argument is the highest cursor value seen so far, or None at first, and the engine keeps it.
    """

    def declare(method: Callable[..., Iterable[Item]]) -> Callable[..., Iterable[Item]]:
        takes_cursor = len(inspect.signature(method).parameters) > 1
        if cursor and not takes_cursor:
            raise ConfigError(
                f"the stream {method.__name__} has a cursor, its method takes none",
                hint=f"Write `def {method.__name__}(self, since)`.",
            )
        modes = (SyncMode.full_refresh, SyncMode.incremental) if cursor else (SyncMode.full_refresh,)
        keys = (primary_key,) if isinstance(primary_key, str) else tuple(primary_key)
        declared = Stream(
            name=name or method.__name__,
            schema=schema or {"type": "object", "properties": {}, "additionalProperties": True},
            primary_key=tuple(tuple(key.split(".")) for key in keys if key),
            cursor=tuple(cursor.split(".")) if cursor else None,
            source_defined_cursor=cursor is not None,
            sync_modes=modes,
        )
        method.__kitestring_stream__ = Declared(declared, method, takes_cursor)  # type: ignore[attr-defined]
        return method

    return declare


def declared_streams(source: type[Source]) -> dict[str, Declared]:
    """The `@stream` methods of a class by stream name, in the order they were written, base classes first."""
    streams: dict[str, Declared] = {}
    for parent in reversed(source.__mro__):
        for member in vars(parent).values():
            declared = getattr(member, "__kitestring_stream__", None)
            if isinstance(declared, Declared):
                streams[declared.stream.name] = declared
    return streams
