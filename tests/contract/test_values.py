"""No value is changed in silence: docs/reference/values.md says what becomes of each kind, and is made of this test.

Each kind of value goes through a real sync into each destination and is read back from its files. It is there *exact*;
or as its *text*; or in the *nearest* form that the destination has, which the test names; it is *null*, and its text is
in `_airbyte_meta`; or the record was *rejected* and the record beside it arrived. Anything else fails.

    KITESTRING_GOLDEN=1 python -m pytest tests/contract/test_values.py
"""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import functools
import json
import math
import os
import re
import sqlite3
import struct
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kitestring import json_codec, registry
from kitestring.batch import Batch
from kitestring.engine import Rejects, Selection, sync
from kitestring.schema import Schema
from kitestring.source import Item, Source
from kitestring.types import Catalog, Partition, States, Stream

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "values.md"
STAMP = dt.datetime(2024, 5, 1, 10, 20, 30, 123456)
DEEP: Any = {"x": 1}
for _ in range(1500):
    DEEP = {"n": DEEP}


LONG = "x" * 60_000_000


@dataclass(frozen=True)
class Kind:
    """A kind of value: `value` as Python has it, or `arrow` (then `value` is what a reader expects), and its `text`.

    `nearest` are the forms, by what the page says of them, that a destination may have instead. `shown` is how DuckDB
    prints a value of its own type that Python has not.
    """

    title: str
    value: Any
    schema: Any = None
    arrow: Any = None
    text: str | None = None
    nearest: dict[str, Any] = field(default_factory=dict)
    missing: bool = False
    display: str = ""


def utc(value: dt.datetime) -> dt.datetime:
    return value.replace(tzinfo=dt.UTC)


INTEGER, NUMBER = {"type": ["null", "integer"]}, {"type": ["null", "number"]}
TEXT, ANY = {"type": ["null", "string"]}, {}
KINDS = {
    "int64": Kind("integer of 64 bits", -(2**63), INTEGER),
    "uint64": Kind("integer of 64 bits without sign", 2**64 - 1, ANY),
    "big": Kind("integer of 21 digits", 123456789012345678901, ANY),
    "negative": Kind("negative integer of 21 digits", -123456789012345678901, ANY),
    "huge": Kind("integer of 60 digits", 10**59 + 7, ANY),
    "big declared": Kind("integer of 21 digits in an `integer` field", 123456789012345678901, INTEGER),
    "decimal": Kind("decimal of 38 digits", Decimal("-12345678901234567890.123456789012345678"), ANY),
    "long decimal": Kind("decimal of 50 digits", Decimal("1." + "123456789" * 5 + "1234"), ANY),
    "1e400": Kind("number beyond 64-bit floats (1e400)", Decimal("1E+400"), ANY),
    "float": Kind("float", 0.1, NUMBER),
    "minus zero": Kind("float -0.0", -0.0, NUMBER, nearest={"0": 0, "0.0": 0.0}),
    "nan": Kind("float NaN", math.nan, NUMBER, text="NaN", nearest={"null": None}),
    "infinity": Kind("float -Infinity", -math.inf, NUMBER, text="-Infinity", nearest={"null": None}),
    "boolean": Kind("boolean", True, {"type": ["null", "boolean"]}, nearest={"1": 1}),
    "text": Kind("text", "naïve 日本 👩‍👩‍👧 \n\r\t \"',;", TEXT),
    "nul": Kind("text with NUL", "a\x00b", TEXT, nearest={"U+FFFD": "a\ufffdb"}),
    "surrogate": Kind("text with half a surrogate pair", "cut \ud83d", TEXT, nearest={"U+FFFD": "cut \ufffd"}),
    "long text": Kind("text of 60 MB", LONG, TEXT, nearest={"cut": LONG[:-1]}),
    "bytes": Kind("bytes", b"\x89PNG\x00\xff", ANY, text="iVBORwD/"),
    "date": Kind("date", dt.date(2024, 5, 1), {"type": "string", "format": "date"}),
    "date bc": Kind(
        "date before the year 1",
        "0044-03-15 BC",
        arrow=pa.array([-735160], pa.date32()),
        text="-0043-03-15",
        display="0044-03-15 (BC)",
    ),
    "date far": Kind(
        "date after the year 9999",
        "12024-05-01",
        arrow=pa.array([3672269], pa.date32()),
        text="+12024-05-01",
        display="12024-05-01",
    ),
    "date endless": Kind(
        "endless date (`infinity`)",
        "infinity",
        arrow=pa.array([2**31 - 1], pa.date32()),
        text="infinity",
        display="infinity",
    ),
    "moment endless": Kind(
        "endless date-time (`-infinity`)",
        "-infinity",
        arrow=pa.array([-(2**63 - 1)], pa.timestamp("us", "UTC")),
        text="-infinity",
        display="-infinity",
    ),
    "24:00": Kind("time 24:00:00", "24:00:00", arrow=pa.array([86_400_000_000], pa.time64("us")), text="24:00:00"),
    "time": Kind("time", dt.time(1, 2, 3, 4), arrow=pa.array([3_723_000_004], pa.time64("us")), text="01:02:03.000004"),
    "zoned": Kind("date-time with a zone", utc(STAMP), {"type": "string", "format": "date-time"}),
    "naive": Kind(
        "date-time without a zone",
        STAMP,
        {"type": "string", "format": "date-time", "airbyte_type": "timestamp_without_timezone"},
    ),
    "nanoseconds": Kind(
        "date-time with nanoseconds",
        "2024-05-01T10:20:30.123456789",
        arrow=pa.array([1714558830123456789], pa.timestamp("ns")),
        text="2024-05-01T10:20:30.123456789",
        nearest={"microseconds": STAMP, "microseconds as text": STAMP.isoformat()},
    ),
    "interval": Kind(
        "interval",
        "P1M2DT3S",
        arrow=pa.array([pa.MonthDayNano([1, 2, 3_000_000_000])], pa.month_day_nano_interval()),
        text="P1M2DT3S",
        display="1 month 2 days 00:00:03",
    ),
    "uuid": Kind("uuid", uuid.UUID(int=2**100 + 5), ANY, text=str(uuid.UUID(int=2**100 + 5))),
    "json text": Kind("JSON text with a repeated key", '{"a": 1, "a": 2, "z": "\\u0000", "n": 1e5}', TEXT),
    "object": Kind(
        "object with an integer of 22 digits",
        {"a": [1, {"b": None}], "z": "a\x00b", "n": 2**70},
        {"type": ["null", "object"]},
        nearest={
            "the integer as text": {"a": [1, {"b": None}], "z": "a\x00b", "n": str(2**70)},
            "U+FFFD for NUL": {"a": [1, {"b": None}], "z": "a\ufffdb", "n": 2**70},
        },
    ),
    "array": Kind(
        "array of texts", ["x", None, "y"], {"type": ["null", "array"], "items": {"type": ["null", "string"]}}
    ),
    "array of arrays": Kind("array of arrays", [[1, 2], [3]], {"type": ["null", "array"]}),
    "deep": Kind("1,500 levels of nesting", DEEP, {"type": ["null", "object"]}),
    "null": Kind("null", None, TEXT),
    "missing": Kind("missing", None, TEXT, missing=True, nearest={"null": None}),
}
COLUMNS = {
    "duckdb": "DuckDB",
    "sqlite": "SQLite",
    "postgres": "PostgreSQL",
    "mysql": "MySQL",
    "clickhouse": "ClickHouse",
    "delta": "Delta Lake",
    "iceberg": "Iceberg",
    "parquet": "Parquet",
    "jsonl": "JSON lines",
    "csv": "CSV",
    "milvus": "Milvus",
    "pgvector": "pgvector",
    "lancedb": "LanceDB",
    "qdrant": "Qdrant",
    "chroma": "Chroma",
}


MISSING = "(no field)"
CSV_TEXTS = {
    "NaN": ("nan",),
    "-Infinity": ("-inf",),
    "-0.0": ("-0",),
    "2024-05-01T10:20:30.123456789": ("2024-05-01 10:20:30.123456789",),
    "2024-05-01T10:20:30.123456": ("2024-05-01 10:20:30.123456",),
    "2024-05-01T10:20:30.123456+00:00": ("2024-05-01 10:20:30.123456Z",),
}
"""How CSV spells some texts."""


def stream_of(name: str) -> str:
    return re.sub(r"\W", "_", name)


class SingleValue(Source):
    """A stream for each kind: a record with the value, and one without beside it."""

    kinds: Any

    def discover(self) -> Catalog:
        return Catalog(tuple(self._stream(name, kind) for name, kind in self.kinds.items()))

    def _stream(self, name: str, kind: Kind) -> Stream:
        if kind.arrow is not None:
            fields = [("id", pa.int64()), ("text", pa.string()), ("value", kind.arrow.type)]
            return Stream(stream_of(name), schema=Schema.of_arrow(pa.schema(fields)), primary_key=(("id",),))
        schema = {"type": "object", "properties": {"id": INTEGER, "text": TEXT, "value": kind.schema}}
        return Stream(stream_of(name), schema=schema, primary_key=(("id",),))

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        stream = partition.stream
        kind = next(kind for name, kind in self.kinds.items() if stream_of(name) == stream.name)
        if kind.arrow is not None:
            values = pa.concat_arrays([kind.arrow, pa.nulls(1, kind.arrow.type)])
            yield Batch(stream.key, table=pa.table({"id": [1, 2], "text": ["one", "two"], "value": values}))
            return
        yield {"id": 1, "text": "one"} if kind.missing else {"id": 1, "text": "one", "value": kind.value}
        yield {"id": 2, "text": "two", "value": None}


def config_of(destination: str, folder: Path, server: Any) -> tuple[str, dict[str, Any]]:
    if destination == "postgres":
        return "postgres", {**server.config, "schema": "kinds"}
    if destination in ("mysql", "clickhouse"):
        return destination, {**server.config, "database": "kinds"}
    if destination == "duckdb":
        return "duckdb", {"path": str(folder / "values.duckdb")}
    if destination == "sqlite":
        return "sqlite", {"path": str(folder / "values.sqlite")}
    if destination == "delta":
        return "delta", {"path": str(folder / "lake")}
    if destination == "iceberg":
        return "iceberg", {"warehouse_location": str(folder / "lake")}
    processing = {"chunk_size": 100, "text_fields": ["text"], "metadata_fields": ["id", "value"]}
    if destination == "pgvector":
        indexing = {**server.config, "default_schema": "chunks", "index": "NONE"}
        return "pgvector", {"processing": processing, "embedding": {"mode": "fake"}, "indexing": indexing,
                            "shadow_folder": str(folder)}  # fmt: skip
    if destination == "lancedb":
        indexing = {"path": str(folder / "values.lance"), "collection": "kinds"}
        return "lancedb", {"processing": processing, "embedding": {"mode": "fake"}, "indexing": indexing}
    if destination == "qdrant":
        indexing = {"url": str(folder / "values.qdrant"), "collection": "kinds"}
        return "qdrant", {"processing": processing, "embedding": {"mode": "fake"}, "indexing": indexing}
    if destination == "chroma":
        mode = {"mode": "persistent_client", "path": str(folder / "values.chroma")}
        indexing = {"auth_method": mode, "collection_name": "kinds"}
        return "chroma", {"processing": processing, "embedding": {"mode": "fake"}, "indexing": indexing}
    if destination == "milvus":
        indexing = {"host": str(folder / "values.db"), "collection": "kinds", "auth": {"mode": "no_auth"}}
        return "milvus", {"processing": processing, "embedding": {"mode": "fake"}, "indexing": indexing}
    return "files", {"path": str(folder / "files"), "format": destination}


def stored(destination: str, folder: Path, server: Any, name: str) -> Any:
    """The value of the record 1 as a reader finds it; `LookupError` where the record is not there."""
    if destination == "pgvector":
        condition = f"stream = '{name}' AND metadata -> 'id' = '1'"
        rows = server.run(f"SELECT metadata::text AS metadata FROM chunks.kitestring WHERE {condition}")
        return json_codec.loads(rows[0]["metadata"]).get("value") if rows else absent()
    if destination == "postgres":
        columns = server.run(
            "SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute "
            f"WHERE attrelid = 'kinds.\"{name}\"'::regclass AND attname = 'value'"
        )
        column = "value" if columns else "NULL::text AS value"
        try:
            rows = server.read(f'SELECT {column} FROM kinds."{name}" WHERE id = 1')
        except OverflowError:  # Python has no such date
            rows = server.run(f'SELECT value::text AS value FROM kinds."{name}" WHERE id = 1')
        value = rows[0]["value"] if rows else absent()
        kind = columns[0]["type"] if columns else ""
        if kind.startswith("time ") and server.run(f"SELECT 1 AS one FROM kinds.\"{name}\" WHERE value = '24:00'"):
            return "24:00:00"  # Python has no such time
        return json_codec.loads(value) if kind == "jsonb" and value is not None else value
    if destination == "mysql":
        return stored_in_mysql(server, name)
    if destination == "clickhouse":
        return stored_in_clickhouse(server, name)
    if destination == "duckdb":
        import duckdb

        with duckdb.connect(folder / "values.duckdb", read_only=True) as database:
            columns = [row[0] for row in database.execute(f'DESCRIBE "{name}"').fetchall()]
            value = "value" if "value" in columns else "NULL"
            kind = database.execute(f'SELECT typeof({value}) FROM "{name}"').fetchall()[0][0]
            endless = f'SELECT 1 FROM "{name}" WHERE id = 1 AND isinf({value})'
            if kind.startswith(("DATE", "TIMESTAMP")) and database.execute(endless).fetchall():
                kind = "INTERVAL"  # as text: Python has no such moment
            if kind == "TIMESTAMP WITH TIME ZONE":
                value = f"{value} AT TIME ZONE 'UTC'"
            try:
                if kind == "INTERVAL":  # Python has no months either
                    raise ValueError(kind)
                rows = database.execute(f'SELECT {value} FROM "{name}" WHERE id = 1').fetchall()
            except (OverflowError, ValueError, duckdb.Error):  # Python has no such date
                rows = database.execute(f'SELECT CAST({value} AS VARCHAR) FROM "{name}" WHERE id = 1').fetchall()
        actual_row = rows[0][0] if rows else absent()
        return utc(actual_row) if "TIME ZONE" in kind else actual_row
    if destination == "sqlite":
        with contextlib.closing(sqlite3.connect(folder / "values.sqlite")) as file:
            columns = [column for _, column, *_ in file.execute(f'PRAGMA table_info("{name}")')]
            value = "value" if "value" in columns else "NULL"
            rows = file.execute(f'SELECT {value} FROM "{name}" WHERE id = 1').fetchall()
        return rows[0][0] if rows else absent()
    if destination == "lancedb":
        import lancedb

        table = lancedb.connect(folder / "values.lance").open_table("kinds")
        condition = f"stream = '{name}' AND json_extract(metadata, '$.id') = '1'"
        texts = table.search().where(condition).select(["metadata"]).to_arrow()["metadata"].to_pylist()
        return json_codec.loads(texts[0]).get("value") if texts else absent()
    if destination == "qdrant":
        payloads = [p for p in qdrant_payloads(folder) if p["_ab_stream"] == name and p["id"] == 1]
        return payloads[0].get("value") if payloads else absent()
    if destination == "chroma":
        of_record = {"$and": [{"_ab_stream": name}, {"id": 1}]}
        texts = [metadata["_ks_metadata"] for metadata in chroma_collection(folder).get(where=of_record)["metadatas"]]
        return json_codec.loads(texts[0]).get("value") if texts else absent()
    if destination == "milvus":
        rows = milvus_rows(folder)[name]
        return (rows[0][0] if rows[0] else None) if rows else absent()
    if destination in ("delta", "iceberg"):
        rows = [
            row for row in Batch(name, table=lake_table(destination, folder / "lake", name)).rows() if row["id"] == 1
        ]
        return rows[0].get("value") if rows else absent()
    paths = sorted((folder / "files" / name).glob(f"*.{destination}"))
    if destination == "parquet":
        tables = [Batch(name, table=pq.read_table(path)).rows() for path in paths]
        rows = [row for table in tables for row in table if row["id"] == 1]
        return rows[0].get("value") if rows else absent()
    if destination == "jsonl":
        rows = [json_codec.loads(line) for path in paths for line in path.read_bytes().splitlines()]
        rows = [row for row in rows if row["id"] == 1]
        return rows[0].get("value", MISSING) if rows else absent()
    csv.field_size_limit(2**31 - 1)
    rows = []
    for path in paths:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows += [row for row in csv.DictReader(file) if row["id"] == "1"]
    return (rows[0].get("value") or None) if rows else absent()


def stored_in_mysql(server: Any, name: str) -> Any:
    """The comment of a column says that its date-times are in UTC, or its texts JSON."""
    columns = server.run(
        "SELECT data_type AS type, column_comment AS comment FROM information_schema.columns "
        f"WHERE table_schema = 'kinds' AND table_name = '{name}' AND column_name = 'value'"
    )
    type_, comment = (columns[0]["type"], columns[0]["comment"]) if columns else ("", "")
    # A row is sent in packets that have a limit, a text in pieces has none.
    column = {"time": "CAST(value AS CHAR)", "": "NULL"}.get(type_, "value")
    if type_ == "longtext":
        sizes = server.run(f'SELECT char_length(value) AS size FROM kinds."{name}" WHERE id = 1')
        size = (sizes[0]["size"] if sizes else 0) or 0
        starts = range(1, size + 1, 4_000_000)
        pieces = [f'SELECT substr(value, {n}, 4000000) AS v FROM kinds."{name}" WHERE id = 1' for n in starts]
        if pieces:
            text = "".join(server.run(piece)[0]["v"] for piece in pieces)
            return json_codec.loads(text) if comment == "JSON" else text
    rows = server.run(f'SELECT {column} AS value FROM kinds."{name}" WHERE id = 1')
    value = rows[0]["value"] if rows else absent()
    if type_ == "time" and value != "24:00:00.000000":
        return dt.time.fromisoformat(value)
    return utc(value) if comment == "UTC" and value is not None else str(value)[:8] if type_ == "time" else value


def stored_in_clickhouse(server: Any, name: str) -> Any:
    """The comment of a column says that its date-times have no zone, or its texts JSON."""
    columns = server.run(f'DESCRIBE TABLE kinds."{name}"')
    comment = next((column["comment"] for column in columns if column["name"] == "value"), None)
    rows = server.run(f'SELECT {"NULL" if comment is None else "value"} AS value FROM kinds."{name}" WHERE id = 1')
    value = rows[0]["value"] if rows else absent()
    if value is None or not comment:
        return value
    return json_codec.loads(value) if comment == "JSON" else value.replace(tzinfo=None)


def lake_table(destination: str, folder: Path, name: str) -> pa.Table:
    """The table as the library of its format reads it."""
    if destination == "delta":
        from deltalake import DeltaTable

        return DeltaTable(folder / "default" / name).to_pyarrow_table()
    from pyiceberg.catalog.sql import SqlCatalog

    catalog = SqlCatalog("kitestring", uri=f"sqlite:///{folder / 'catalog.db'}", warehouse=f"file://{folder}")
    with contextlib.closing(catalog):
        return catalog.load_table(("default", name)).scan().to_arrow()


@functools.cache
def chroma_collection(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(folder / "values.chroma", settings=Settings(anonymized_telemetry=False))
    return client.get_collection("kinds", embedding_function=None)


@functools.cache
def qdrant_payloads(folder: Path) -> list[Any]:
    from qdrant_client import QdrantClient

    with contextlib.closing(QdrantClient(path=str(folder / "values.qdrant"))) as client:
        return [point.payload for point in client.scroll("kinds", limit=10_000)[0]]


@functools.cache
def milvus_rows(folder: Path) -> dict[str, list[list[Any]]]:
    """The rows 1 of all streams: of each the value, or nothing. One process reads them: to start it costs a second."""
    script = (
        "import json, sys\n"
        "from pymilvus import MilvusClient\n"
        "client = MilvusClient(sys.argv[1])\n"
        "client.load_collection('kinds')\n"
        "def rows_of(stream):\n"
        "    rows = client.query('kinds', filter='_ab_stream == \"' + stream + '\" and _id == 1',"
        " output_fields=['*'], consistency_level='Strong')\n"
        "    return [[row.get('value')] if 'value' in row else [] for row in rows]\n"
        "print('ROWS' + json.dumps({stream: rows_of(stream) for stream in sys.argv[2:]}))\n"
    )
    command = [sys.executable, "-c", script, str(folder / "values.db"), *map(stream_of, KINDS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows: dict[str, list[list[Any]]] = json.loads(done.stdout.partition("ROWS")[2])
    return rows


def absent() -> Any:
    raise LookupError("the record is not there")


def same(left: Any, right: Any) -> bool:
    """The same value of the same type, a zone as a moment, -0.0 apart from 0."""
    if isinstance(left, float) and isinstance(right, float):
        return struct.pack("d", left) == struct.pack("d", right) or (math.isnan(left) and math.isnan(right))
    if isinstance(left, dt.datetime) and isinstance(right, dt.datetime):
        return (left.tzinfo is None) == (right.tzinfo is None) and left == right
    if isinstance(left, Decimal | int) and isinstance(right, Decimal | int) and not isinstance(left, bool):
        return not isinstance(right, bool) and left == right
    return type(left) is type(right) and left == right


def text_of(kind: Kind) -> str | None:
    if kind.text is not None or isinstance(kind.value, str) or kind.value is None:
        return kind.text
    if isinstance(kind.value, dt.datetime | dt.date | dt.time):
        return kind.value.isoformat()
    return json_codec.dumps_text(kind.value, levels=json_codec.ANY_DEPTH)


def word_for(kind: Kind, value: Any) -> str:
    """What became of the value."""
    expected = MISSING if kind.missing else kind.value
    if same(value, expected) or (kind.display and value == kind.display):
        return "exact"
    text = text_of(kind)
    if isinstance(value, str) and text and value in {text, *CSV_TEXTS.get(text, ())}:
        return "text"
    if isinstance(value, str) and not isinstance(kind.value, str) and kind.text is None:
        with contextlib.suppress(ValueError):  # the JSON text in another spelling
            if json_codec.dumps(json_codec.loads(value), sort_keys=True) == json_codec.dumps(
                kind.value, sort_keys=True
            ):
                return "text"
    for word, nearest in kind.nearest.items():
        if same(value, nearest) or (
            word == "cut" and isinstance(value, str) and len(value) > 60_000 and nearest.startswith(value)
        ):
            return f"nearest: {word}"
    return f"CHANGED into {type(value).__name__} {str(value)[:100]}"


def outcome(kind: Kind, destination: str, folder: Path, server: Any, name: str, rejected: dict[str, str]) -> str:
    try:
        value = stored(destination, folder, server, stream_of(name))
    except LookupError:
        return "rejected" if stream_of(name) in rejected else "LOST"
    if value is None and kind.value is not None and destination in ("postgres", "mysql", "clickhouse"):
        text = text_of(kind)
        type_ = {"postgres": "text", "mysql": "char", "clickhouse": "text"}[destination]
        rows = server.run(f'SELECT CAST(_airbyte_meta AS {type_}) AS m FROM kinds."{stream_of(name)}" WHERE id = 1')
        if [change["value"] for change in json_codec.loads(rows[0]["m"])["changes"]] == [text]:
            return "null"
    return word_for(kind, value)


@pytest.fixture(scope="module")
def outcomes(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: Any, request: pytest.FixtureRequest
) -> dict[str, dict[str, str]]:
    """What became of each kind, by destination; without MySQL where MariaDB is not installed, without ClickHouse where
    chdb is not."""
    results: dict[str, dict[str, str]] = {}
    servers = dict.fromkeys(COLUMNS, postgres_server)
    for destination, name in (("mysql", "mariadb_server"), ("clickhouse", "clickhouse_server")):
        with contextlib.suppress(pytest.skip.Exception):
            servers[destination] = request.getfixturevalue(name)
    for destination, server in servers.items():
        if destination in ("mysql", "clickhouse") and server is postgres_server:
            continue
        folder = tmp_path_factory.mktemp(destination)
        rejects = Rejects(folder / "rejects")
        selections = [Selection(stream_of(name), write_mode="append_dedup") for name in KINDS]
        built = registry.destination(*config_of(destination, folder, server))
        result = sync(SingleValue(kinds=KINDS), built, selections, rejects=rejects, max_nulled_share=1.0)
        failed = {
            name: str(figures.error or figures.suspicions)
            for name, figures in result.streams.items()
            if figures.status != "succeeded"
        }
        assert result.status == "succeeded", f"{destination}: {result.error} {failed}"
        rejected = {entry["stream"]: entry["reason"] for entry in rejects.read("default")}
        results[destination] = {
            name: outcome(kind, destination, folder, server, name, rejected) for name, kind in KINDS.items()
        }
    return results


@pytest.mark.slow
def test_no_value_is_changed_in_silence_and_the_page_says_what_becomes_of_it(outcomes: Any) -> None:
    rows = [f"| kind of value | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, kind in KINDS.items():
        words = (outcomes.get(destination, {}).get(name, "not tried") for destination in COLUMNS)
        rows.append(f"| {kind.title} | {' | '.join(words)} |")
    changed = [row for row in rows if "CHANGED" in row or "LOST" in row]
    assert not changed, "\n".join(changed)
    if not {"mysql", "clickhouse"} <= outcomes.keys():
        pytest.skip("MariaDB or chdb is not installed here: the page has its column, which was not tried")
    page = PAGE.read_text("utf-8")
    expected = re.sub(r"<!-- values -->(\n\|[^\n]*)*", lambda _: "\n".join(["<!-- values -->", *rows]), page)
    if os.environ.get("KITESTRING_GOLDEN"):
        PAGE.write_text(expected, "utf-8")
    assert page == expected
