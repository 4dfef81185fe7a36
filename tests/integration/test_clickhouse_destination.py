"""What ClickHouse's tables go through beyond the contract: lost answers, other keys, wider keys, refusals."""

from __future__ import annotations

import base64
import datetime as dt
import itertools
import json
import math
import os
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from kitestring import arrow
from kitestring.batch import Batch
from kitestring.destinations.clickhouse import Clickhouse, connection
from kitestring.destinations.clickhouse.dialect import DIALECT
from kitestring.engine import Selection, sync
from kitestring.errors import AuthError, ConfigError, RecordError, TransientError
from kitestring.schema import Schema
from kitestring.testing.memory import MemorySource
from kitestring.types import Record, Stream, SyncMode, Write

pytestmark = pytest.mark.slow

numbers = itertools.count()
LATEST, ALL = Write(False, "latest", "remove"), Write(False, "all", "keep")


class Place:
    """A database of the server."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.database = f"beyond_{next(numbers)}"

    def destination(self, **options: Any) -> Clickhouse:
        config = {**self.server.config, "database": self.database, "airbyte_columns": False}
        return Clickhouse.load({**config, **options})

    def sync(self, records: Sequence[Record], mode: str = "append_dedup", key: str = "id", schema: Any = None) -> Any:
        source = MemorySource(records={"things": list(records)}, schemas={"things": schema or {}})
        selections = [Selection("things", write_mode=mode, primary_key=[key])]
        result = sync(source, self.destination(), selections)
        assert result.ok, result.as_dict()
        return result.streams["things"]

    def rows(self, columns: str, **settings: Any) -> list[tuple[Any, ...]]:
        query = f"SELECT {columns} FROM {self.database}.things ORDER BY ALL"
        return [tuple(row.values()) for row in self.server.run(query, **settings)]


@pytest.fixture
def place(clickhouse_server: Any) -> Iterator[Place]:
    place = Place(clickhouse_server)
    yield place
    clickhouse_server.fail({})
    clickhouse_server.run(f"DROP DATABASE IF EXISTS {place.database} SYNC")


def stream_of(write: Write) -> Stream:
    return Stream("things", primary_key=(("id",),), sync_modes=(SyncMode.full_refresh,), write=write)


def written(destination: Clickhouse, write: Write, rows: list[Record], is_first: bool = True) -> Any:
    """One batch, as the engine writes it: of a new sync, or the same batch once more."""
    stream = stream_of(write)
    if is_first:
        destination.begin(stream)
    return destination.write(stream, destination.prepare(stream, Batch(stream.key, rows=rows)))


@pytest.mark.parametrize("is_run", [True, False], ids=["the answer was lost", "the statement was lost"])
@pytest.mark.parametrize("write", [LATEST, ALL], ids=str)
def test_a_batch_whose_connection_broke_is_written_once(place: Place, write: Write, is_run: bool) -> None:
    destination = place.destination()
    rows: list[Record] = [{"id": n, "text": f"text {n}"} for n in range(20)]
    try:
        written(destination, write, rows[:10])
        place.server.fail({f"INSERT INTO `{place.database}`.`things`": (1, 0, "", is_run)})
        with pytest.raises(TransientError, match="broke off"):
            written(destination, write, [{**rows[0], "text": "new"}, *rows[10:]])
        receipt = written(destination, write, [{**rows[0], "text": "new"}, *rows[10:]], is_first=False)
    finally:
        destination.close()
    assert (receipt.written, receipt.unchanged, receipt.replaced) == (11, 0, 1 if write == LATEST else 0)
    expected = [(row["id"], row["text"]) for row in rows[(write == LATEST) :]]
    assert place.rows("id, text") == sorted([*expected, (0, "new")])
    assert len(place.rows("id", final=0)) == 21  # not even beside each other


def test_a_table_of_a_killed_process_is_dropped_and_the_listing_of_a_long_sync_is_not(place: Place) -> None:
    place.sync([{"id": 1}])
    prefixes = [connection.INCOMING, *connection.LISTING]
    names = [f"{prefix}{age}" for prefix in prefixes for age in ("old", "long")]
    for name in [*names, "others"]:
        place.server.run(f"CREATE TABLE {place.database}.{name} (c0 Int64) ENGINE = MergeTree ORDER BY tuple()")
    tables = f"FROM system.tables WHERE database = '{place.database}'"
    before = time.time() - 2 * connection.FORGOTTEN_S
    for row in place.server.run(f"SELECT metadata_path {tables}"):
        os.utime(place.server.folder / row["metadata_path"], (before, before))
    assert place.server.run(f"SELECT max(metadata_modification_time) < now() - 90000 AS old {tables}") == [{"old": 1}]
    for name in names:
        if name.endswith("long"):
            place.server.run(f"INSERT INTO {place.database}.{name} VALUES (1)")
    place.sync([{"id": 2}])
    remaining = {row["name"] for row in place.server.run(f"SHOW TABLES FROM {place.database}")}
    assert remaining & {*names, "others"} == {*(name for name in names if name.endswith("long")), "others"}


def test_a_sync_after_one_that_ended_with_a_lost_answer_writes_its_own_batch(place: Place) -> None:
    destination = place.destination()
    try:
        place.server.fail({f"INSERT INTO `{place.database}`.`things`": (1, 0, "", True)})
        with pytest.raises(TransientError):
            written(destination, ALL, [{"id": 1, "text": "a"}])
        written(destination, ALL, [{"id": 2, "text": "b"}])
    finally:
        destination.close()
    assert place.rows("id, text") == [(1, "a"), (2, "b")]


def test_staged_rows_that_are_lost_fail_the_batch_and_change_nothing(place: Place) -> None:
    destination = place.destination()
    try:
        written(destination, LATEST, [{"id": 1, "text": "a"}])
        place.server.fail({f"INSERT INTO `{place.database}`.`_kitestring_incoming": (1, 0, "", False)})
        with pytest.raises(TransientError):
            written(destination, LATEST, [{"id": 1, "text": "b"}, {"id": 2, "text": "b"}])
        assert place.rows("id, text") == [(1, "a")]
        written(destination, LATEST, [{"id": 1, "text": "b"}, {"id": 2, "text": "b"}])
    finally:
        destination.close()
    assert place.rows("id, text") == [(1, "b"), (2, "b")]
    tables = place.server.run(f"SELECT name FROM system.tables WHERE database = '{place.database}'")
    assert tables == [{"name": "things"}]


@pytest.mark.parametrize(
    ("code", "status", "kind", "message"),
    [
        (243, 500, ConfigError, "no disk space left"),
        (201, 500, TransientError, "the quota of reader is used up"),
        (252, 500, TransientError, "could not run the statement: Too many parts"),
        (497, 500, ConfigError, "does not let reader do this"),
        (349, 500, RecordError, "cannot take a value"),
        (0, 502, TransientError, "answered with status 502"),
        (0, 404, ConfigError, "not as ClickHouse does"),
    ],
)
def test_an_error_of_the_server_says_what_to_do(
    place: Place, code: int, status: int, kind: type[Exception], message: str
) -> None:
    destination = place.destination()
    text = f"Code: {code}. DB::Exception: Too many parts. (NAME) (version 26.9.2.1)" if code else "<html>"
    try:
        written(destination, LATEST, [{"id": 1, "text": "a"}])
        place.server.fail({"INSERT INTO": (1, status, text, False)})
        with pytest.raises(kind, match=message) as caught:
            written(destination, LATEST, [{"id": 1, "text": "b"}])
    finally:
        destination.close()
    assert type(caught.value) is kind
    assert "version" not in str(caught.value)
    assert place.rows("id, text") == [(1, "a")]


def test_a_wrong_password_and_a_server_that_is_not_there_are_named(place: Place) -> None:
    with pytest.raises(AuthError, match="refuses the password of reader") as caught:
        place.destination(password="not the secret").check()
    assert "not the secret" not in str(caught.value)
    with pytest.raises(TransientError, match="refuses the connection"):
        place.destination(port=1).check()
    place.destination().check()


def test_rights_that_are_missing_are_named_and_an_older_server_is_not_asked_for_them(place: Place) -> None:
    place.server.fail({"CHECK GRANT": (1, 400, "Code: 62. DB::Exception: Syntax error. (SYNTAX_ERROR)", False)})
    place.destination().check()
    place.server.fail({"CHECK GRANT": (1, 500, "Code: 497. DB::Exception: Not enough privileges. (X)", False)})
    with pytest.raises(ConfigError, match="does not let reader do this"):
        place.destination().check()


def test_a_database_whose_tables_cannot_be_exchanged_is_refused(place: Place) -> None:
    place.server.run(f"CREATE DATABASE {place.database} ENGINE = Memory")
    with pytest.raises(ConfigError, match=r"has the engine Memory, in which a table cannot be exchanged"):
        place.destination().check()


def test_a_key_gets_another_type_and_stays_a_key(place: Place) -> None:
    place.sync([{"id": n, "text": "first"} for n in range(3)])
    place.sync([{"id": 1, "text": "second"}, {"id": 2**40, "text": "second"}, {"id": "1", "text": "text"}])
    figures = place.sync([{"id": 1, "text": "third"}, {"id": "1", "text": "third"}, {"id": 0, "text": "first"}])
    assert (figures.written, figures.unchanged) == (2, 1)
    expected = [("0", "first"), ("1", "third"), ("1", "third"), (str(2**40), "second"), ("2", "first")]
    assert place.rows("id, text") == sorted(expected)


def test_rows_with_another_primary_key_are_all_there_until_they_come_once_more(place: Place) -> None:
    place.sync([{"id": n, "group": n % 2, "text": f"text {n}"} for n in range(4)])
    place.sync([{"id": 9, "group": 1, "text": "new"}], key="group")
    assert place.rows("id, `group`") == [(0, 0), (2, 0), (9, 1)]
    place.sync([{"id": 2, "group": 0, "text": "text 2"}])
    assert place.rows("id, `group`") == [(0, 0), (2, 0), (9, 1)]


def test_a_reader_without_final_sees_older_versions_and_select_star_no_column_of_ours(place: Place) -> None:
    for text in ("first", "second"):
        place.sync([{"id": 1, "text": text}])
    assert place.rows("*") == [(1, "second")]
    assert place.rows("text", final=0) == [("first",), ("second",)]


def test_odd_and_long_texts_arrive_as_they_are(place: Place) -> None:
    texts = ["\x00nul", "\\' \"`", "👩‍👩‍👧 \u202e", "x" * 3_000_000, "\n\r\t", "{id:String}", "NULL", "\\N"]
    place.sync([{"id": n, "text": text, "`odd\\ 'name\"": text} for n, text in enumerate(texts)])
    assert [row[1:] for row in place.rows("*")] == [(text, text) for text in texts]


def test_a_database_with_the_name_of_an_alias_is_written(place: Place) -> None:
    place.database = "incoming"
    place.sync([{"id": 1, "text": "a"}])
    place.sync([{"id": 1, "text": "b"}])
    place.database = DIALECT.candidates("incoming", DIALECT.safe_schema("incoming"))[0]
    assert place.rows("id, text") == [(1, "b")]


MOMENT = dt.datetime(2026, 5, 1, 10, 20, 30, 123400)
TYPED: dict[str, tuple[Any, list[Any], str]] = {
    "i8": (pa.int8(), [-128, None], "Int8"),
    "u16": (pa.uint16(), [65_535, None], "UInt16"),
    "i64": (pa.int64(), [-(2**63), None], "Int64"),
    "u64": (pa.uint64(), [2**64 - 1, None], "UInt64"),
    "f32": (pa.float32(), [0.5, None], "Float32"),
    "f64": (pa.float64(), [math.nan, -math.inf], "Float64"),
    "whole": (pa.float64(), [3.0, None], "Float64"),
    "amount": (pa.decimal128(38, 20), [Decimal("-123456789012345678.00000000000000000001"), None], "Decimal(38, 20)"),
    "flag": (pa.bool_(), [True, None], "Bool"),
    "raw": (pa.binary(), [b"\x00\xff", None], "String"),
    "day": (pa.date32(), [dt.date(1900, 1, 1), dt.date(2299, 12, 31)], "Date32"),
    "local": (pa.timestamp("us"), [MOMENT, None], "DateTime64(6, 'UTC')"),
    "moment": (pa.timestamp("ms", "UTC"), [MOMENT.replace(tzinfo=dt.UTC), None], "DateTime64(6, 'UTC')"),
    "time": (pa.time64("us"), [dt.time(1, 2, 3, 4), None], "String"),
    "id of": (pa.uuid(), [uuid.UUID(int=2**100 + 5).bytes, None], "UUID"),
    "list": (pa.list_(pa.int64()), [[1, None], []], "String"),
    "nothing": (pa.null(), [None, None], ""),
}
"""By column an Arrow type, its values, and the type in ClickHouse."""


def write_table(place: Place, table: pa.Table) -> None:
    destination = place.destination()
    stream = Stream("things", schema=Schema.of_arrow(table.schema), write=ALL)
    try:
        destination.begin(stream)
        destination.write(stream, destination.prepare(stream, Batch(stream.key, table=table)))
    finally:
        destination.close()


def test_arrow_types_are_typed_columns_and_all_become_the_text_of_their_values(place: Place) -> None:
    arrays = {name: pa.array(values, type_) for name, (type_, values, _) in TYPED.items()}
    write_table(place, pa.table(arrays))
    described = place.server.run(f"DESCRIBE TABLE {place.database}.things")
    types = {row["name"]: row["type"] for row in described if row["default_type"] != "MATERIALIZED"}
    assert types == {name: f"Nullable({type_})" for name, (_, _, type_) in TYPED.items() if type_}
    comments = {row["name"]: row["comment"] for row in described if row["comment"]}
    assert comments == {"raw": "bytes", "local": "without a time zone", "list": "JSON"}
    exact = ("i8", "u16", "i64", "u64", "f32", "f64", "amount", "flag", "day")
    for name in exact:
        expected = [value for value in TYPED[name][1] if value is not None]
        selected = place.server.run(f"SELECT {name} AS v FROM {place.database}.things WHERE {name} IS NOT NULL")
        assert repr([row["v"] for row in selected]) == repr(expected), name
    # The same columns with texts: all are widened at once, and the table is copied.
    write_table(place, pa.table({name: pa.array(["a text"]) for name in TYPED if name != "nothing"}))
    rows = place.server.run(f"SELECT * FROM {place.database}.things")
    for name in TYPED.keys() - {"nothing"}:
        texts = [row[name] for row in rows if row[name] is not None]
        values = [value for value in pa.array(TYPED[name][1], TYPED[name][0]).to_pylist() if value is not None]
        expected = ["a text", *map(text_of_value, values)]
        assert sorted(map(plain_text, texts)) == sorted(map(plain_text, expected)), name


def text_of_value(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else arrow.text(value)


def plain_text(text: str) -> str:
    """Zeros at the end of a fraction aside: ClickHouse writes none."""
    return re.sub(r"(\.\d*?)0+(\+|$)", r"\1\2", text)


def test_columns_become_wider_where_they_are(place: Place) -> None:
    narrow = {
        "a": pa.array([1], pa.int32()),
        "b": pa.array([Decimal("1.25")], pa.decimal128(10, 2)),
        "c": pa.array([7], pa.uint64()),
        "d": pa.array([3], pa.int64()),
        "e": pa.array([dt.date(2026, 5, 1)], pa.date32()),
        "f": pa.array([MOMENT], pa.timestamp("us")),
    }
    wide = {
        "a": pa.array([2**40], pa.int64()),
        "b": pa.array([Decimal("12345678901.5555")], pa.decimal128(20, 4)),
        "c": pa.array([-1], pa.int64()),
        "d": pa.array([0.5], pa.float64()),
        "e": pa.array([MOMENT], pa.timestamp("us")),
        "f": pa.array([MOMENT.replace(tzinfo=dt.UTC)], pa.timestamp("us", "UTC")),
    }
    write_table(place, pa.table(narrow))
    write_table(place, pa.table(wide))
    described = {row["name"]: row for row in place.server.run(f"DESCRIBE TABLE {place.database}.things")}
    types = [described[name]["type"].removeprefix("Nullable(").removesuffix(")") for name in wide]
    moment = "DateTime64(6, 'UTC')"
    assert types == ["Int64", "Decimal(20, 4)", "Decimal(20, 0)", "Float64", moment, moment]
    assert (described["e"]["comment"], described["f"]["comment"]) == ("without a time zone", "")
    utc = MOMENT.replace(tzinfo=dt.UTC)
    midnight = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
    assert place.rows("a, b, c, d, e, f") == [
        (1, Decimal("1.25"), 7, 3.0, midnight, utc),
        (2**40, Decimal("12345678901.5555"), -1, 0.5, utc, utc),
    ]


def test_a_date_that_clickhouse_does_not_have_is_null_and_named(place: Place) -> None:
    destination = place.destination(airbyte_columns=True)
    table = pa.table({"day": pa.array([-735160, 0], pa.date32())})
    stream = Stream("things", schema=Schema.of_arrow(table.schema), write=ALL)
    try:
        destination.begin(stream)
        receipt = destination.write(stream, destination.prepare(stream, Batch(stream.key, table=table)))
    finally:
        destination.close()
    assert (receipt.written, list(receipt.rejected)) == (2, [])
    ((meta,),) = place.rows("if(day IS NULL, _airbyte_meta, '') AS meta")[1:]
    (change,) = json.loads(meta)["changes"]
    assert (change["field"], change["value"]) == ("day", "-0043-03-15")
