"""The changes of collections, from the log of a deployment by a change stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kitestring.batch import Batch
from kitestring.errors import ConfigError
from kitestring.sources.mongodb.bson_value import id_of, moment_of
from kitestring.sources.mongodb.collection import Collection, Records
from kitestring.sources.mongodb.connection import is_lost, translated
from kitestring.types import CHANGED_AT, DELETED_AT, GLOBAL, Checkpoint, Failed, Record, Reject, State, Stream

if TYPE_CHECKING:
    from pymongo import MongoClient

    from kitestring.source import Item

AWAIT_MS = 500
"""How long the server waits for a change before it says that there is none."""
BEHIND_S = 60.0
"""How long to wait where the server has not yet shown the changes up to the position that it named itself."""
BATCH_EVENTS = 1_000
BATCH_S = 2.0
FOLLOWING_BATCH_S = 0.2
FOLLOWING_AWAIT_MS = 100
"""The same while changes are followed."""
IDLE_S = 10.0
"""How often the position of a stream that is followed moves while nothing changes."""

ENDS = {"drop": "dropped", "rename": "renamed", "dropDatabase": "dropped with its database"}

Position = list[int]
"""A cluster time: seconds and a number within them."""


@dataclass
class Followed:
    """A stream whose changes are read. `low`: it has the changes before this position, and of those at it the ones up
    to the resume token with the data `after`. None: it has none of them."""

    stream: Stream
    collection: Collection
    low: Position | None
    after: str = ""
    records: Records = field(init=False)
    pending: list[tuple[Any, Record]] = field(default_factory=list)
    ended: bool = False

    def __post_init__(self) -> None:
        self.records = Records(self.collection)

    def take(self, event: Mapping[str, Any]) -> None:
        """Note the change of a document."""
        if not self.follows(event):
            return
        operation, at = event["operationType"], moment_at(event)
        if operation == "delete":
            before = event.get("fullDocumentBeforeChange") or event["documentKey"]
            record = self.collection.record(before) | {DELETED_AT: at}
        else:
            document = event.get("fullDocument")
            if document is None:  # deleted since: its deletion follows
                return
            record = self.collection.record(document) | {DELETED_AT: None}
        self.pending.append((event["documentKey"]["_id"], record | {CHANGED_AT: at}))

    def follows(self, event: Mapping[str, Any]) -> bool:
        if self.ended or self.low is None:
            return not self.ended
        position, data = position_of(event), event["_id"].get("_data")
        # The data of tokens have the order of their changes.
        is_known = position == self.low and isinstance(data, str) and data <= self.after
        return position >= self.low and not is_known

    def flush(self) -> Iterator[Item]:
        if not self.pending:
            return
        twins = self.records.twins([value for value, _ in self.pending])
        rows = []
        for value, record in self.pending:
            if twins and id_of(value) in twins:
                yield Reject(record, twins[id_of(value)], stream=self.stream.key)
            else:
                rows.append(record)
        self.pending = []
        if rows:
            yield Batch(self.stream.key, rows=rows)


class ChangeStream:
    """Reads the changes of some streams from a position on."""

    def __init__(
        self,
        client: MongoClient[dict[str, Any]],
        address: str,
        databases: Sequence[str],
        followed: Mapping[tuple[str, str], Followed],
        post_images: bool,
    ) -> None:
        self.client = client
        self.address = address
        self.databases = databases
        self.followed = followed
        self.post_images = post_images
        self.others: Mapping[str, Position] = {}
        """How far the streams are that are not read."""
        self.tokens: Mapping[str, str] = {}
        """The data of the resume tokens up to which those have everything."""

    def items(
        self,
        token: Mapping[str, Any] | None,
        position: Position,
        reached: Mapping[str, Position],
        is_over: Callable[[], bool] | None = None,
    ) -> Iterator[Item]:
        """The changes after a token, or without one from a position on; with states of all streams. Up to the end of
        the log as it is now, or, as they come, until `is_over`. `reached`: the position up to which each stream has
        everything."""
        from pymongo.errors import OperationFailure

        end = current_position(self.client, self.address) if is_over is None else None
        try:
            with translated(self.address), self._open(token, position, follows=is_over is not None) as changes:
                if end is not None:
                    yield from self._items(changes, position, end, reached)
                elif is_over is not None:
                    yield from self._followed(changes, position, is_over, reached)
        except ConfigError as error:
            if isinstance(error.__cause__, OperationFailure) and is_lost(error.__cause__):
                raise lost_error(self.address, list(reached), error.message) from error
            raise

    def _open(self, token: Mapping[str, Any] | None, position: Position, follows: bool) -> Any:
        from bson import Timestamp

        version = self.client.server_info()["versionArray"]
        options: dict[str, Any] = {"batch_size": BATCH_EVENTS}
        options["max_await_time_ms"] = FOLLOWING_AWAIT_MS if follows else AWAIT_MS
        options["full_document"] = "required" if self.post_images else "updateLookup"
        if version[0] >= 6:
            options["full_document_before_change"] = "whenAvailable"
        start = {"start_at_operation_time": Timestamp(*position)} if token is None else {"start_after": dict(token)}
        places = [{"db": database, "coll": name} for database, name in self.followed]
        ours = [{"ns.db": place["db"], "ns.coll": place["coll"]} for place in places]
        replaced = [{"to.db": place["db"], "to.coll": place["coll"]} for place in places]
        ends = {"operationType": {"$in": ["dropDatabase", "invalidate"]}}
        watched = self.client[self.databases[0]] if len(self.databases) == 1 else self.client
        return watched.watch([{"$match": {"$or": [*ours, *replaced, ends]}}], **options, **start)

    def _items(
        self, changes: Any, position: Position, end: Position, reached: Mapping[str, Position]
    ) -> Iterator[Item]:
        count, flushed, waits_until = 0, time.monotonic(), time.monotonic() + BEHIND_S
        token: Mapping[str, Any] | None = None
        while True:
            event = changes.try_next() if changes.alive else None
            is_last = False
            if event is None:
                token = changes.resume_token or token
                shown = position_of_token(token)
                is_last = not changes.alive or shown is None or shown >= end or time.monotonic() > waits_until
            elif position_of(event) > end:
                is_last = True
            else:
                token, position = event["_id"], position_of(event)
                count += 1
                yield from self._taken(event)
            if is_last or count >= BATCH_EVENTS or (count and time.monotonic() - flushed > BATCH_S):
                yield from self._flushed(token, position, reached)
                count, flushed = 0, time.monotonic()
            if is_last:
                return

    def _followed(
        self, changes: Any, position: Position, is_over: Callable[[], bool], reached: Mapping[str, Position]
    ) -> Iterator[Item]:
        """Changes as they come: they wait for others for a moment at most."""
        count, flushed = 0, time.monotonic()
        token: Mapping[str, Any] | None = None
        while True:
            is_last = is_over() or not changes.alive or all(follower.ended for follower in self.followed.values())
            event = None if is_last else changes.try_next()
            age_s = time.monotonic() - flushed
            if event is not None:
                token, position = event["_id"], position_of(event)
                count += 1
                yield from self._taken(event)
                is_due = count >= BATCH_EVENTS or age_s > FOLLOWING_BATCH_S
            else:
                if not count:
                    token = changes.resume_token or token
                    position = max(position, position_of_token(token) or position)
                is_due = is_last or bool(count) or age_s > IDLE_S
            if is_due:
                yield from self._flushed(token, position, reached)
                count, flushed = 0, time.monotonic()
            if is_last:
                return

    def _flushed(
        self, token: Mapping[str, Any] | None, position: Position, reached: Mapping[str, Position]
    ) -> Iterator[Item]:
        for follower in self.followed.values():
            yield from follower.flush()
        if token is not None:
            left = {key: low for key, low in reached.items() if low > position}
            state = state_of(token, position, [key for key in reached if key not in left])
            state |= {"left": {**self.others, **left}} if left or self.others else {}
            state |= {"after": dict(self.tokens)} if self.tokens else {}
            yield Checkpoint(state, stream=GLOBAL)

    def _taken(self, event: Mapping[str, Any]) -> Iterator[Item]:
        """The end of streams whose collection an event ends; notes other changes."""
        operation, place, target = event["operationType"], event.get("ns") or {}, event.get("to") or {}
        if operation in ("insert", "update", "replace", "delete"):
            follower = self.followed.get((place["db"], place["coll"]))
            if follower is not None:
                follower.take(event)
            return
        if operation not in ENDS:
            return
        for (database, name), follower in self.followed.items():
            is_own = place.get("db") == database and (operation == "dropDatabase" or place.get("coll") == name)
            is_replaced = target.get("db") == database and target.get("coll") == name
            if not (is_own or is_replaced) or not follower.follows(event):
                continue
            what = ENDS[operation]
            if is_replaced:
                what = f"replaced by {place.get('db')}.{place.get('coll')}"
            elif target:
                what += f" to {target.get('db')}.{target.get('coll')}"
            reason = f"the collection {follower.stream.key} was {what} at {moment_at(event)}"
            yield from follower.flush()
            follower.ended = True
            yield Checkpoint({"ended": reason}, stream=follower.stream.key)
            yield Failed(follower.stream.key, ended_error(reason, follower.stream.key))


def state_of(token: Mapping[str, Any], position: Position, streams: Sequence[str]) -> State:
    return {"resume_token": dict(token), "position": position, "streams": sorted(streams)}


def ended_error(reason: str, stream: str) -> ConfigError:
    return ConfigError(
        f"{reason}: the destination has its documents as they were",
        hint="Refresh the stream, refresh it and keep the old data beside it, or take it out of the connection.",
        stream=stream,
    )


def lost_error(address: str, streams: Sequence[str], reason: str) -> ConfigError:
    return ConfigError(
        f"{address} no longer has the changes since the last sync of {', '.join(sorted(streams))}: {reason}",
        hint="Refresh these streams, refresh them and keep the old data beside them, or take them out of the "
        "connection. A larger oplog, or more frequent syncs, avoid it.",
    )


def position_of(event: Mapping[str, Any]) -> Position:
    stamp = event["clusterTime"]
    return [stamp.time, stamp.inc]


def moment_at(event: Mapping[str, Any]) -> str:
    return moment_of(event.get("wallTime") or event["clusterTime"].as_datetime())


def position_of_token(token: Mapping[str, Any] | None) -> Position | None:
    """The cluster time in a resume token: a byte of its type, then eight bytes. None for a token of another form."""
    data = (token or {}).get("_data")
    if not isinstance(data, str) or not data.startswith("82") or len(data) < 18:
        return None
    try:
        return [int(data[2:10], 16), int(data[10:18], 16)]
    except ValueError:
        return None


def current_position(client: MongoClient[dict[str, Any]], address: str) -> Position:
    """The last cluster time that a majority of the members has. `ConfigError` for a server without a log."""
    with translated(address):
        answer = client.admin.command("hello")
    if not answer.get("setName") and answer.get("msg") != "isdbgrid":
        raise ConfigError(
            f"{address} is a single server without a log of changes",
            hint="Set `replication_method` to STANDARD, or make it a replica set of one member: rs.initiate().",
        )
    stamp = ((answer.get("lastWrite") or {}).get("majorityOpTime") or {}).get("ts") or answer["operationTime"]
    return [stamp.time, stamp.inc]
