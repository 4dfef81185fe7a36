"""MongoDB: collections as a whole, by a cursor field, or by their changes."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import PrivateAttr, field_validator, model_validator

from kitestring.change_following import FOLLOWING_DELAY_S, Following, needs_capture
from kitestring.config import option, secret
from kitestring.errors import ConfigError, KitestringError, TransientError
from kitestring.facts import Facts, Proposal
from kitestring.source import Item, Source
from kitestring.sources.mongodb.airbyte_state import own_states
from kitestring.sources.mongodb.bson_value import ORDERED, bson_value, cursor_place
from kitestring.sources.mongodb.change_stream import ChangeStream, Followed, current_position, ended_error
from kitestring.sources.mongodb.collection import Collection, Records
from kitestring.sources.mongodb.connection import address_of, client_of, problem_of, translated
from kitestring.sql.first_load import FirstLoad, Positions, merged
from kitestring.sql.log_end import following_limit, load_limit
from kitestring.types import (
    CHANGED_AT,
    DELETED_AT,
    GLOBAL,
    Catalog,
    Checkpoint,
    Failed,
    Partition,
    State,
    States,
    Stream,
    Suspicion,
    SyncMode,
)
from kitestring.watermark import Watermark

if TYPE_CHECKING:
    from pymongo import MongoClient

UNUSED = ("initial_waiting_seconds", "queue_size", "discover_timeout_seconds", "initial_load_timeout_hours")
"""Options of Airbyte's source-mongodb-v2 that have no effect."""
NESTED = ("database_config", "instance_type")
"""Where Airbyte's versions have the connection."""
CDC_FIELDS: Mapping[str, Any] = {
    name: {"type": ["string", "null"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}
    for name in (CHANGED_AT, DELETED_AT)
}


class Mongodb(Source):
    """Reads the collections and views of MongoDB databases.

    A full refresh reads a large collection in ranges of `_id`, several at a time. With change data capture, a first
    load in such ranges is followed by the changes, which later syncs go on with.
    """

    facts: ClassVar[Facts] = Facts(
        title="MongoDB",
        network="python",
        programs=False,
        follows_changes=True,
        packages=("pymongo",),
        category="database",
        summary="collections of MongoDB, with their changes",
        proposal=Proposal(
            config="connection_string: mongodb://localhost:27017/\ndatabases: [shop]\n"
            "username: ${MONGODB_USER:-}\npassword: ${MONGODB_PASSWORD:-}\n"
        ),
    )

    connection_string: str = option(order=0, examples=["mongodb+srv://cluster0.abcd1.mongodb.net/"])
    """The address of the deployment, without a password."""

    databases: list[str] = option(order=1, min_length=1, examples=[["shop"]])
    """The databases whose collections are streams."""

    username: str | None = option(None, order=2)
    password: str | None = secret(None, order=3)
    auth_source: str = option("admin", order=4, title="Authentication source")
    """The database that knows the user."""

    schema_enforced: bool = option(True, order=5)
    """Whether the fields of documents are fields of the records. If not, a record has the document in `data`."""

    replication_method: Literal["CDC", "STANDARD"] = option("CDC", order=6, title="How changes are read")
    """CDC: by change streams, with deletions. STANDARD: by a cursor field, or whole collections."""

    update_capture_mode: Literal["Lookup", "Post Image"] = option("Lookup", order=7, group="advanced")
    """Where a changed document comes from: as it is now, or as it was after the change (the collection needs
    `changeStreamPreAndPostImages`)."""

    discover_sample_size: int = option(1_000, ge=10, le=100_000, order=8, group="advanced")
    """How many documents of a collection show which fields there are."""

    invalid_cdc_cursor_position_behavior: Literal["Fail sync"] = option("Fail sync", order=9, group="advanced")
    """What a sync does when the log from its position on is lost. It fails, and says what can be done."""

    connections: int = option(4, ge=1, le=64, order=10, group="advanced")
    """How many ranges are read at the same time."""

    _lock: Any = PrivateAttr(default_factory=threading.Lock)
    _client: Any = PrivateAttr(default=None)
    _failed: set[str] = PrivateAttr(default_factory=set)
    _following: Following | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _as_airbyte_has_it(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        options = {name: value for name, value in values.items() if name not in UNUSED}
        for name in NESTED:
            nested = options.pop(name, None)
            if isinstance(nested, Mapping):
                options = {**nested, **options}
        options.pop("cluster_type", None)
        database = options.pop("database", None)
        if database is not None:
            options.setdefault("databases", [database])
        return options

    @field_validator("connection_string")
    @classmethod
    def _is_an_address(cls, connection_string: str) -> str:
        problem = problem_of(connection_string)
        if problem:
            raise ValueError(problem)
        return connection_string

    # -- the catalog ---------------------------------------------------------------------------------------------------

    def check(self) -> None:
        if not self._names():
            raise ConfigError(
                f"{self._address} shows no collection in {', '.join(self.databases)}",
                hint="Check `databases`, and that the user may read them.",
            )
        if self._captures:
            current_position(self._connected(), self._address)

    def discover(self) -> Catalog:
        if self._captures:
            current_position(self._connected(), self._address)
        return Catalog(tuple(self._stream(*place) for place in self._names()))

    def _stream(self, database: str, name: str) -> Stream:
        collection = self._collection(database, name)
        stream = collection.stream(self.discover_sample_size)
        both = (SyncMode.full_refresh, SyncMode.incremental)
        if not self._captures:
            return replace(stream, sync_modes=both)
        if not collection.has_log:
            return stream
        schema = dict(stream.schema)
        schema["properties"] = {**schema["properties"], **CDC_FIELDS}
        return replace(stream, schema=schema, cursor=(CHANGED_AT,), source_defined_cursor=True, sync_modes=both)

    def _names(self) -> list[tuple[str, str]]:
        with translated(self._address):
            client = self._connected()
            return sorted(
                (database, name)
                for database in self.databases
                for name in client[database].list_collection_names()
                if not name.startswith("system.")
            )

    def _collection(self, database: str, name: str) -> Collection:
        with translated(self._address):
            documents = self._connected()[database][name]
            infos = list(documents.database.list_collections(filter={"name": name}))
        if not infos:
            raise ConfigError(
                f"{self._address} no longer has a collection {database}.{name}",
                hint="Take the stream out of the connection, or check the rights of the user.",
                stream=f"{database}.{name}",
            )
        is_plain = infos[0].get("type", "collection") == "collection"
        return Collection(documents, self._address, is_plain, is_plain and "idIndex" in infos[0], self.schema_enforced)

    # -- planning ------------------------------------------------------------------------------------------------------

    @property
    def _captures(self) -> bool:
        return self.replication_method == "CDC"

    def groups(self, streams: Sequence[Stream]) -> list[list[Stream]]:
        """Captured streams share the log; every other stream is for itself."""
        captured = [stream for stream in streams if self._captures and stream.incremental]
        return [*([captured] if captured else []), *([stream] for stream in streams if stream not in captured)]

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterator[Partition]:
        if self._captures and streams[0].incremental:
            yield from self._captured_partitions(streams, own_states(states))
            return
        for stream in streams:
            bounds = [] if stream.incremental else self._collection_of(stream).bounds()
            for number, (start, stop) in enumerate(ranges_of(bounds)):
                yield Partition((stream,), key=str(number or ""), data={"start": start, "stop": stop})

    def _captured_partitions(self, streams: Sequence[Stream], states: States) -> Iterator[Partition]:
        """The ranges that are still to be loaded, then the log."""
        positions = Positions([stream.key for stream in streams], states)
        now = current_position(self._connected(), self._address)
        self._failed = set()
        lows: dict[str, list[int]] = {}
        refused: dict[str, KitestringError] = {}
        loads: list[tuple[Stream, FirstLoad]] = []
        for stream in streams:
            ended = states.get(stream.key, {}).get("ended")
            load = positions.load(stream.key)
            try:
                if ended:
                    raise ended_error(ended, stream.key)
                if load is None and positions.low(stream.key) is None:
                    bounds = self._collection_of(stream).bounds()
                    load = FirstLoad(now, len(bounds) + 1, bounds, id=secrets.token_hex(8))
            except ConfigError as error:
                refused[stream.key] = error
                continue
            if load is not None:
                loads.append((stream, load))
            low: Any = load.low if load is not None else positions.low(stream.key)
            lows[stream.key] = low
        self._failed.update(refused)
        is_over = load_limit(self._following, follows_others=len(lows) > len(loads))
        for stream, load in loads:
            for number, (start, stop) in enumerate(ranges_of(load.plan)):
                if str(number) in load.parts:
                    continue
                if is_over():
                    lows.pop(stream.key)
                    break
                part = {"load": load.begun(), "part": str(number), "at": now, "start": start, "stop": stop}
                yield Partition((stream,), key=f"load {number}", data=part)
        loaded = {stream.key for stream, _ in loads}
        known = sorted(set(positions.shared.get("streams", ())) & set(lows) - loaded)
        own = translated_states(states, lows)
        data: dict[str, Any] = {
            "lows": lows,
            "refused": refused,
            "shared": positions.shared,
            "known": known,
            "others": positions.others,
            "own": own,
        }
        data["loads_wait"] = any(stream.key not in lows for stream, _ in loads)
        yield Partition(tuple(streams), key="log", data=data, order=1)

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        if "lows" in partition.data:
            yield from self._read_log(partition)
        elif "load" in partition.data:
            yield from self._read_part(partition)
        elif partition.stream.incremental:
            yield from self._read_by_cursor(partition.stream, states.get(partition.stream.key, {}))
        else:
            yield from self._read_range(partition)

    def _read_range(self, partition: Partition) -> Iterator[Item]:
        collection = self._collection_of(partition.stream)
        records = Records(collection)
        after = partition.data.get("at")
        for documents in collection.documents_between(partition.data["start"], partition.data["stop"], after):
            yield from records.batch(partition.stream.key, documents)

    def _read_part(self, partition: Partition) -> Iterator[Item]:
        """One range of a first load. An error other than a lost connection ends only this stream."""
        stream, data = partition.stream, partition.data
        load = FirstLoad.of(data["load"])
        assert load is not None
        yield Checkpoint(load.begun())
        if stream.key in self._failed:
            return
        try:
            yield from self._read_range(partition)
        except TransientError:
            raise
        except KitestringError as error:
            self._failed.add(stream.key)
            yield Failed(stream.key, error)
            return
        yield Checkpoint(load.loaded(data["part"], data["at"]))

    def _read_log(self, partition: Partition) -> Iterator[Item]:
        data = partition.data
        for key, error in data["refused"].items():
            yield Failed(key, error)
        followed: dict[tuple[str, str], Followed] = {}
        shared, lows = data["shared"], {key: low for key, low in data["lows"].items() if key not in self._failed}
        known = set(data["known"]).intersection(lows)
        after = ""
        token: dict[str, Any] | None = shared.get("resume_token") if known else None
        if token is not None and shared["position"] > min(lows.values()):
            # A later stream begins before the token: the others skip what they have.
            after = str(token.get("_data", ""))
            token = None
        for stream in partition.streams:
            if stream.key not in lows:
                continue
            is_known = stream.key in known
            low = None if is_known and token is not None else lows[stream.key]
            place = stream.namespace or self.databases[0], stream.name
            try:
                own_after = after if is_known else str(shared.get("after", {}).get(stream.key, ""))
                followed[place] = Followed(stream, self._collection_of(stream), low, own_after)
            except ConfigError as error:
                self._failed.add(stream.key)
                yield Failed(stream.key, error)
                continue
            if stream.key in data["own"]:
                yield Checkpoint(data["own"][stream.key], stream=stream.key)
        if not followed:
            return
        reached = {follower.stream.key: lows[follower.stream.key] for follower in followed.values()}
        start = min(reached.values())
        databases = sorted({database for database, _ in followed})
        log = ChangeStream(
            self._connected(), self._address, databases, followed, self.update_capture_mode == "Post Image"
        )
        log.others, log.tokens = data["others"], tokens_of(shared, data["others"])
        following = self._following
        is_over = None if following is None else following_limit(following, data["loads_wait"])
        yield from log.items(token, start, reached, is_over)

    def _read_by_cursor(self, stream: Stream, state: State) -> Iterator[Item]:
        """The documents from the state's cursor value on, in its order."""
        collection = self._collection_of(stream)
        name = stream.cursor[0] if stream.cursor and len(stream.cursor) == 1 else ""
        kinds = collection.kinds(self.discover_sample_size).get(name, set()) - {"null"}
        kind = next(iter(kinds), "") if len(kinds) == 1 else "number" if kinds == {"integer", "number"} else ""
        if kind not in ORDERED and (kinds or state):
            what = f"has values of the types {', '.join(sorted(kinds))}" if kinds else "is in no document of the sample"
            raise ConfigError(
                f"the cursor {'.'.join(stream.cursor or ())} of {stream.key} {what}",
                hint="Choose a field of the documents with numbers, texts, dates or object ids, or read the stream as "
                "full_refresh.",
                stream=stream.key,
            )
        since = state.get("cursor")
        mark = Watermark(
            (name,),
            since,
            keys=stream.primary_key,
            digests=stream.write.appends,
            known_digests=state.get("known", ()),
            place=cursor_place(kind),
        )
        records = Records(collection)

        def state_at(value: Any, digests: Any) -> State:
            return {"cursor": value, **({"known": digests} if digests else {})}

        for documents in collection.batches_by(name, None if since is None else bson_value(kind, since)):
            for item in records.batch(stream.key, documents):
                rows = getattr(item, "rows", None)
                if rows is None:
                    yield item
                    continue
                yield from [record for record in rows() if mark.is_new(record)]
            if mark.reached:
                yield mark.checkpoint(state_at)
        yield from map(Suspicion, mark.doubts)

    def merge(self, stream: str, state: State, checkpoint: State) -> State:
        return merged(state, checkpoint) if self._captures and stream != GLOBAL else checkpoint

    def refuse_to_follow(self) -> None:
        if not self._captures:
            raise needs_capture(self.replication_method)

    def follow(self, following: Following | None) -> None:
        self.refuse_to_follow()
        self._following = following

    def max_delay_s(self) -> float | None:
        return FOLLOWING_DELAY_S if self._following is not None else None

    def concurrency(self) -> int:
        return self.connections

    # -- the connection ------------------------------------------------------------------------------------------------

    @property
    def _address(self) -> str:
        return address_of(self.connection_string)

    def _collection_of(self, stream: Stream) -> Collection:
        return self._collection(stream.namespace or self.databases[0], stream.name)

    def _connected(self) -> MongoClient[dict[str, Any]]:
        with self._lock:
            if self._client is None:
                sign_in = {"username": self.username, "password": self.password, "authSource": self.auth_source}
                self._client = client_of(self.connection_string, sign_in if self.username else {})
            return self._client  # type: ignore[no-any-return]

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


def ranges_of(bounds: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """The ranges between bounds; the first and the last one are open."""
    return list(zip([None, *bounds], [*bounds, None], strict=True))


def tokens_of(shared: State, streams: Iterable[str]) -> dict[str, str]:
    """For streams that are not read, the data of the resume token up to which each has everything: a transaction has
    several changes at one position."""
    data = str(shared.get("resume_token", {}).get("_data", ""))
    tokens = {**dict.fromkeys(shared.get("streams", ()), data), **shared.get("after", {})}
    return {key: tokens[key] for key in streams if tokens.get(key)}


def translated_states(states: States, lows: Mapping[str, Any]) -> dict[str, State]:
    """The states of streams without a load that Kitestring began: those that were Airbyte's are stored as ours."""
    return {key: states[key] for key in lows if states.get(key, {}).keys() == {"low", "first", "last"}}
