"""The MongoDB source on SecantusDB: change streams, first loads, values, and what is refused."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import PrivateAttr

from kitestring.batch import Batch
from kitestring.engine import MemoryStates, Result, Selection, Status, sync
from kitestring.errors import AuthError, ConfigError, ConnectorError, TransientError
from kitestring.testing.memory import MemoryDestination
from kitestring.types import CHANGED_AT, DELETED_AT, GLOBAL, Receipt, Stream

pytest.importorskip("pymongo")

from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from following_sync import Running, wait_for
from integration.mongodb_server import MongoDatabase

from kitestring.sources.mongodb import Mongodb, collection
from kitestring.sources.mongodb.bson_value import record_of, twins_of


class MortalDestination(MemoryDestination):
    """Fails before it writes its `dies_at`th batch, once."""

    _writes: int = PrivateAttr(default=0)
    batch_rows: ClassVar[int] = 30
    dies_at: int = 0

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        self._writes += 1
        if self._writes == self.dies_at:
            raise ConnectorError("the destination was switched off")
        return super().write(stream, batch)


class World:
    """A database, and a destination with its states."""

    def __init__(self, database: MongoDatabase, **options: Any) -> None:
        self.database, self.options = database, options
        self.states = MemoryStates()
        self.destination: MemoryDestination = MemoryDestination()

    def source(self, **options: Any) -> Mongodb:
        return Mongodb.load({**self.database.config, **self.options, **options})

    def sync(self, *names: str, write_mode: str = "append_dedup", **options: Any) -> Result:
        source = self.source(**options)
        selections = [Selection(f"{self.database.name}.{name}", "incremental", write_mode=write_mode) for name in names]
        try:
            return sync(source, self.destination, selections, states=self.states)
        finally:
            source.close()

    def stored(self, name: str) -> list[dict[str, Any]]:
        rows = self.destination.stored.get(f"{self.database.name}.{name}", [])
        return [{k: v for k, v in row.items() if k not in (CHANGED_AT, DELETED_AT)} for row in rows]

    def assert_equal(self, *names: str) -> None:
        for name in names:
            expected = [record_of(document) for document in self.database[name].find()]
            assert sorted(map(text, self.stored(name))) == sorted(map(text, expected))


def text(row: Any) -> str:
    return json.dumps(row, sort_keys=True)


@pytest.fixture
def world(mongodb: MongoDatabase) -> World:
    return World(mongodb)


def test_a_first_load_is_followed_by_every_change(world: World) -> None:
    orders = world.database["orders"]
    orders.insert_many([{"_id": n, "name": f"name {n}"} for n in range(50)])
    world.database["items"].insert_many([{"n": n} for n in range(7)])
    assert world.sync("orders", "items").status is Status.succeeded
    world.assert_equal("orders", "items")
    assert world.sync("orders", "items").total("read") == 0
    orders.insert_one({"_id": 100, "name": "new"})
    orders.update_many({"_id": {"$lt": 4}}, {"$set": {"name": "changed"}})
    orders.replace_one({"_id": 5}, {"other": [1, {"a": None}]})
    orders.delete_many({"_id": {"$in": [10, 11]}})
    orders.insert_one({"_id": 101})
    orders.delete_one({"_id": 101})
    result = world.sync("orders", "items")
    assert result.status is Status.succeeded
    assert result.total("deleted") == 2
    world.assert_equal("orders", "items")
    assert world.sync("orders", "items").total("read") == 0


def test_many_changes_in_one_second_arrive_over_several_checkpoints(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kitestring.sources.mongodb import change_stream

    monkeypatch.setattr(change_stream, "BATCH_EVENTS", 20)
    orders = world.database["orders"]
    orders.insert_one({"_id": 0})
    world.sync("orders")
    orders.insert_many([{"_id": n, "text": "ä€😀"} for n in range(1, 120)])
    assert world.sync("orders").total("read") == 119
    world.assert_equal("orders")
    assert world.sync("orders").total("read") == 0


def test_a_continuous_sync_writes_changes_as_they_come_and_a_stop_loses_nothing(world: World) -> None:
    orders = world.database["orders"]
    orders.insert_many([{"_id": n} for n in range(3)])
    running = Running(world)
    wait_for(lambda: len(world.stored("orders")) == 3)
    orders.insert_one({"_id": 3})
    orders.update_one({"_id": 0}, {"$set": {"name": "changed"}})
    orders.delete_one({"_id": 1})
    wait_for(lambda: sorted(row["_id"] for row in world.stored("orders")) == [0, 2, 3])
    assert running.windows == [], "the window is still open"
    result = running.end()
    assert result.status is Status.succeeded, result.as_dict()
    assert (result.total("read"), result.total("deleted")) == (6, 1)
    orders.insert_one({"_id": 4})
    assert world.sync("orders").total("read") == 1
    world.assert_equal("orders")
    with pytest.raises(ConfigError, match="reads by `replication_method: STANDARD`"):
        world.source(replication_method="STANDARD").refuse_to_follow()


def test_a_continuous_sync_ends_at_once_when_its_collection_is_dropped(world: World) -> None:
    world.database["orders"].insert_one({"_id": 1})
    running = Running(world)
    wait_for(lambda: len(world.stored("orders")) == 1)
    world.database["orders"].drop()
    running.thread.join(300)
    assert running.results, "it goes on"
    assert "was dropped" in str(running.results[0].streams[f"{world.database.name}.orders"].error)


def test_a_load_that_was_interrupted_goes_on_with_the_ranges_that_are_missing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "RANGE_DOCUMENTS", 40)
    monkeypatch.setattr(collection, "BATCH_DOCUMENTS", 10)
    mixed: list[Any] = [*range(60), *(f"text {n}" for n in range(60)), *(ObjectId() for _ in range(60))]
    orders = world.database["orders"]
    orders.insert_many([{"_id": value, "n": n} for n, value in enumerate(mixed)])
    mortal = MortalDestination()
    mortal.dies_at = 3
    world.destination = mortal
    assert world.sync("orders", connections=1).status is Status.failed
    written = len(world.stored("orders"))
    orders.update_one({"_id": 0}, {"$set": {"n": -1}})
    orders.delete_one({"_id": "text 59"})
    orders.insert_one({"_id": "late"})
    result = world.sync("orders", connections=1)
    assert result.status is Status.succeeded
    assert written > 0
    world.assert_equal("orders")


def test_a_stream_that_joins_later_is_loaded_while_the_others_go_on(world: World) -> None:
    world.database["orders"].insert_one({"_id": 1})
    world.sync("orders")
    world.database["orders"].insert_one({"_id": 2})
    world.database["items"].insert_many([{"_id": n} for n in range(9)])
    assert world.sync("orders", "items").status is Status.succeeded
    world.assert_equal("orders", "items")
    assert world.sync("orders", "items").total("read") == 0


def test_every_version_is_kept_once_by_append(world: World) -> None:
    orders = world.database["orders"]
    orders.insert_one({"_id": 1, "n": 1})
    world.sync("orders", write_mode="append")
    orders.replace_one({"_id": 1}, {"n": 2})
    orders.delete_one({"_id": 1})
    world.sync("orders", write_mode="append")
    rows = world.destination.stored[f"{world.database.name}.orders"]
    assert [(row.get("n"), row.get(DELETED_AT) is not None) for row in rows] == [(1, False), (2, False), (None, True)]


def test_changes_come_once_by_append_while_the_log_is_read_again_for_a_late_load(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "RANGE_DOCUMENTS", 40)
    monkeypatch.setattr(collection, "BATCH_DOCUMENTS", 10)
    orders, items = world.database["orders"], world.database["items"]
    world.destination = mortal = MortalDestination()
    orders.insert_one({"_id": 0})
    items.insert_many([{"_id": n} for n in range(120)])
    world.sync("orders", write_mode="append")
    mortal.dies_at = 3
    assert world.sync("items", write_mode="append", connections=1).status is Status.failed
    for n in range(1, 5):
        orders.insert_one({"_id": n})
    assert world.sync("orders", write_mode="append").total("read") == 4
    orders.insert_one({"_id": 5})
    assert world.sync("orders", "items", write_mode="append", connections=1).status is Status.succeeded
    assert sorted(row["_id"] for row in world.stored("orders")) == [0, 1, 2, 3, 4, 5]


def test_a_stream_that_is_taken_out_and_added_again_gets_each_change_once_by_append(world: World) -> None:
    orders, items = world.database["orders"], world.database["items"]
    orders.insert_one({"_id": 1})
    items.insert_one({"_id": 1})
    world.sync("orders", "items", write_mode="append")
    with items.database.client.start_session() as session, session.start_transaction():
        items.insert_many([{"_id": 2}, {"_id": 3}], session=session)
    world.sync("orders", "items", write_mode="append")
    for n in (2, 3):
        orders.insert_one({"_id": n})
        assert world.sync("orders", write_mode="append").total("read") == 1
    items.insert_one({"_id": 4})
    assert world.sync("orders", "items", write_mode="append").total("read") == 1
    assert world.sync("orders", "items", write_mode="append").total("read") == 0
    assert [row["_id"] for row in world.stored("items")] == [1, 2, 3, 4]
    assert [row["_id"] for row in world.stored("orders")] == [1, 2, 3]


@pytest.mark.parametrize("end", ["drop", "rename", "replace", "dropDatabase"])
def test_a_collection_that_is_dropped_or_renamed_fails_with_the_choices_until_it_is_refreshed(
    world: World, end: str
) -> None:
    database = world.database
    database["orders"].insert_many([{"_id": 1}, {"_id": 2}])
    database["items"].insert_one({"_id": 1})
    world.sync("orders", "items")
    if end == "drop":
        database["orders"].drop()
    elif end == "rename":
        database["orders"].rename("old_orders")
    elif end == "replace":
        database["other"].insert_one({"_id": 3})
        database["other"].rename("orders", dropTarget=True)
    else:
        database.client.drop_database(database.name)
    database["orders"].insert_one({"_id": 7})
    database["items"].insert_one({"_id": 9})
    key = f"{database.name}.orders"
    for _ in range(2):
        result = world.sync("orders", "items")
        error = result.streams[key].error
        assert error is not None
        assert "orders was" in str(error)
        assert "Refresh the stream" in error.hint
        assert len(world.stored("orders")) == 2
    if end != "dropDatabase":
        world.assert_equal("items")
    world.states.clear("default", key)
    assert world.sync("orders", "items").streams[key].error is None
    assert 7 in [row["_id"] for row in world.stored("orders")]


def test_a_refresh_does_not_bring_back_what_the_log_has_from_before_it(world: World) -> None:
    world.database["orders"].insert_one({"_id": 1})
    world.database["items"].insert_one({"_id": 1})
    world.sync("orders", "items")
    world.database["orders"].insert_one({"_id": 2})
    world.database["orders"].drop()
    world.database["orders"].insert_one({"_id": 3})
    world.states.clear("default", f"{world.database.name}.orders")
    world.destination.stored.clear()
    assert world.sync("orders").status is Status.succeeded
    world.assert_equal("orders")


def test_a_log_that_is_lost_fails_with_the_choices_and_a_refresh_mends_it(tmp_path: Path) -> None:
    import pymongo
    import secantus

    settings: dict[str, Any] = {"storage_path": str(tmp_path), "cache_size": "64M", "oplog_max_entries": 20}
    with secantus.SecantusDBServer(**settings) as server, pymongo.MongoClient(server.uri) as client:
        world = World(MongoDatabase(server.uri, client, "shop"))
        world.database["orders"].insert_one({"_id": 0})
        world.sync("orders")
        for n in range(1, 100):
            world.database["orders"].insert_one({"_id": n})
        client.admin.command("secantusAdmin.pruneOplog")
        error = world.sync("orders").streams["shop.orders"].error
        assert error is not None
        assert "no longer has the changes since the last sync of shop.orders" in str(error)
        assert "Refresh these streams" in error.hint
        assert len(world.stored("orders")) == 1
        world.states.clear("default", "shop.orders")
        assert world.sync("orders").streams["shop.orders"].error is None
        world.assert_equal("orders")


def test_a_wrong_password_is_said_without_it(tmp_path: Path) -> None:
    import secantus

    with secantus.SecantusDBServer(storage_path=str(tmp_path), require_auth=True, cache_size="64M") as server:
        config = {"connection_string": server.uri, "databases": ["shop"], "username": "me", "password": "hunter2"}
        source = Mongodb.load(config)
        with pytest.raises(AuthError, match="refuses the user") as caught:
            source.check()
        assert "hunter2" not in f"{caught.value} {caught.value.hint}"
        source.close()


def test_a_connection_of_airbyte_goes_on_from_its_state(world: World) -> None:
    from kitestring.sources.mongodb.airbyte_state import own_states

    hex_token = "826752A1B7000000072B0229296E04"
    shared = {"state": {'["shop",{"server_id":"shop"}]': json.dumps({"sec": 1, "resume_token": hex_token})}}
    states = {
        GLOBAL: {**shared, "schema_enforced": True},
        "shop.orders": {"id": "6b0d", "status": "COMPLETE", "idType": "OBJECT_ID"},
        "shop.items": {"id": "6b0d", "status": "IN_PROGRESS", "idType": "OBJECT_ID"},
    }
    own = own_states(states)
    position = [0x6752A1B7, 7]
    assert own[GLOBAL] == {"resume_token": {"_data": hex_token}, "position": position, "streams": ["shop.orders"]}
    assert own["shop.orders"]["low"] == position
    assert own["shop.items"] == {}
    newer = own_states({**states, GLOBAL: {"resumeToken": {"_data": hex_token}, "schemaEnforced": True}})
    assert newer[GLOBAL] == own[GLOBAL]
    with pytest.raises(ConfigError, match="no resume token"):
        own_states({**states, GLOBAL: {"state": {"x": "{}"}, "schema_enforced": True}})


def test_every_type_of_bson_arrives_exactly() -> None:
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=dt.UTC)
    document = {
        "_id": ObjectId("6b0d46af5fd2a7cbe46ce902"),
        "big": Int64(2**62),
        "price": Decimal128("1.10"),
        "nan": Decimal128("NaN"),
        "at": moment,
        "far": DatetimeMS(10**15),
        "early": DatetimeMS(-(10**14)),
        "bytes": b"\x00\xff",
        "typed": Binary(b"\x01", 5),
        "uuid": Binary(bytes(range(16)), 4),
        "stamp": Timestamp(5, 2),
        "regex": Regex("^a", "im"),
        "ref": DBRef("orders", ObjectId("6b0d46af5fd2a7cbe46ce902"), "shop"),
        "code": Code("f()", {"x": Int64(1)}),
        "least": MinKey(),
        "most": MaxKey(),
        "deep": [{"a.b": [None, True, 1.5]}],
        "": "empty name",
    }
    assert record_of(document) == {
        "_id": "6b0d46af5fd2a7cbe46ce902",
        "big": 2**62,
        "price": "1.10",
        "nan": "NaN",
        "at": "2026-01-02T03:04:05.678Z",
        "far": "+33658-09-27T01:46:40.000Z",
        "early": "-1199-02-15T14:13:20.000Z",
        "bytes": "AP8=",
        "typed": "AQ==",
        "uuid": "00010203-0405-0607-0809-0a0b0c0d0e0f",
        "stamp": {"$timestamp": {"t": 5, "i": 2}},
        "regex": {"$regularExpression": {"pattern": "^a", "options": "im"}},
        "ref": {"$ref": "orders", "$id": "6b0d46af5fd2a7cbe46ce902", "$db": "shop"},
        "code": {"$code": "f()", "$scope": {"x": 1}},
        "least": {"$minKey": 1},
        "most": {"$maxKey": 1},
        "deep": [{"a.b": [None, True, 1.5]}],
        "": "empty name",
    }


def test_two_documents_with_one_id_in_json_are_rejected_and_others_are_not(world: World) -> None:
    value = ObjectId()
    orders = world.database["orders"]
    orders.insert_many([{"_id": value, "n": 1}, {"_id": str(value), "n": 2}, {"_id": str(ObjectId()), "n": 3}])
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    orders.insert_many([{"_id": moment}, {"_id": "2026-01-01T00:00:00.000Z"}, {"_id": {"a": 1}}, {"_id": 5}])
    result = world.sync("orders")
    (figures,) = result.streams.values()
    assert (figures.rejected, figures.written) == (4, 3)
    assert {row["_id"] for row in world.stored("orders")}.isdisjoint({str(value), "2026-01-01T00:00:00.000Z"})
    # Nor does a change or a deletion of one of them touch the other.
    orders.delete_one({"_id": str(value)})
    orders.update_one({"_id": value}, {"$set": {"n": 9}})
    assert world.sync("orders").status is not Status.failed
    assert twins_of(5) == twins_of("x") == twins_of("2026-02-30T25:00:00.000Z") == []


def test_a_schema_says_what_a_sample_has(world: World) -> None:
    things = world.database["things"]
    things.insert_many([{"_id": 1, "a": 1, "b": "x", "c": 1}, {"_id": 2, "a": 1.5, "b": ObjectId(), "c": "text"}])
    source = Mongodb.load(world.database.config)
    (stream,) = source.discover()
    properties = stream.schema["properties"]
    assert properties["_id"] == {"type": ["integer", "null"]}
    assert properties["a"] == {"type": ["number", "null"]}
    assert properties["b"] == {"type": ["string", "null"]}
    assert properties["c"] == {}
    assert properties[DELETED_AT]["format"] == "date-time"
    source.close()


def test_documents_without_an_enforced_schema_arrive_as_data(world: World) -> None:
    world.database["things"].insert_one({"_id": 1, "a": {"b": 2}})
    world.options["schema_enforced"] = False
    world.sync("things")
    assert world.stored("things") == [{"_id": 1, "data": {"_id": 1, "a": {"b": 2}}}]


def test_the_configuration_of_airbyte_is_accepted() -> None:
    source = Mongodb.load(
        {
            "database_config": {
                "cluster_type": "SELF_MANAGED_REPLICA_SET",
                "connection_string": "mongodb://a.example.com:27017,b.example.com/?replicaSet=rs",
                "database": "shop",
                "username": "reader",
                "password": "secret",
                "auth_source": "admin",
                "schema_enforced": True,
            },
            "initial_waiting_seconds": 300,
            "queue_size": 10000,
            "discover_sample_size": 10000,
            "discover_timeout_seconds": 600,
            "invalid_cdc_cursor_position_behavior": "Fail sync",
            "update_capture_mode": "Lookup",
            "initial_load_timeout_hours": 8,
        }
    )
    assert (source.databases, source.username, source.discover_sample_size) == (["shop"], "reader", 10000)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("mongodb://reader:hunter2@db.example.com/", "has a password"),
        ("db.example.com", "should have the form"),
        ("mongodb://db.example.com/?tlsCAFile=/etc/passwd", "names a file"),
        ("mongodb://%2Ftmp%2Fmongodb-27017.sock/", "socket of this machine"),
        ("mongodb://db.example.com/?authMechanism=MONGODB-AWS", "authMechanism"),
    ],
)
def test_an_address_that_uses_the_machine_or_shows_a_secret_is_refused(address: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Mongodb.load({"connection_string": address, "databases": ["shop"]})
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_a_server_that_is_away_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from kitestring.sources.mongodb import connection

    monkeypatch.setattr(connection, "TIMEOUT_MS", 200)
    source = Mongodb.load({"connection_string": "mongodb://127.0.0.1:9/", "databases": ["shop"]})
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:9 cannot be reached"):
        source.check()
    source.close()


def test_a_server_without_a_log_is_refused_with_the_choice(tmp_path: Path) -> None:
    import secantus

    with secantus.SecantusDBServer(storage_path=str(tmp_path), replica_set_name=None, cache_size="64M") as server:
        source = Mongodb.load({"connection_string": server.uri, "databases": ["shop"]})
        source._connected()["shop"]["things"].insert_one({"_id": 1})
        with pytest.raises(ConfigError, match="without a log of changes"):
            source.check()
        source.close()
