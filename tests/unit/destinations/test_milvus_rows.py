"""A chunk becomes a row in which every value fits its field, and a filter in which every value is quoted."""

from __future__ import annotations

import datetime
import decimal
import math
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitestring.destinations.milvus.errors import translate
from kitestring.destinations.milvus.filters import condition, quote
from kitestring.destinations.milvus.fitting import DYNAMIC_ROOM, fit_value
from kitestring.destinations.milvus.indexing import Indexing
from kitestring.destinations.milvus.layout import Field, Layout
from kitestring.destinations.milvus.rows import RowBuilder
from kitestring.errors import AuthError, ConfigError, ConnectorError, TransientError
from kitestring.filters import parse
from kitestring.names import mark
from kitestring.vector.payload import fit_values, json_safe, truncate_text
from kitestring.vector.store import Chunk


def layout(dynamic: bool = True, primary: str = "VARCHAR", id_length: int = 64, **fields: Field) -> Layout:
    return Layout(
        "things", Field("id", primary, id_length), False, Field("vector", "FLOAT_VECTOR", dimension=2), "text",
        fields, dynamic, "L2", None,
    )  # fmt: skip


def chunk(text: str = "hello", **metadata: Any) -> Chunk:
    return Chunk("k" * 32, 0, "tickets", "tickets_1", text, np.zeros(2, np.float32), "d", "m", metadata)


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        (Field("a", "VARCHAR", 5), "abcdef", "abcde"),
        (Field("a", "VARCHAR", 5), "ééé", "éé"),
        (Field("a", "VARCHAR", 50), {"b": [1]}, '{"b":[1]}'),
        (Field("a", "VARCHAR", 50), 7, "7"),
        (Field("a", "VARCHAR", 50), None, ""),
        (Field("a", "VARCHAR", 50, nullable=True), None, None),
        (Field("a", "INT64"), "12", 12),
        (Field("a", "INT64"), 1.5, 0),
        (Field("a", "INT64", nullable=True), 2**63, None),
        (Field("a", "INT8", nullable=True), 200, None),
        (Field("a", "DOUBLE", nullable=True), math.nan, None),
        (Field("a", "DOUBLE"), "1.5", 1.5),
        (Field("a", "FLOAT", nullable=True), 1e300, None),
        (Field("a", "BOOL"), "True", True),
        (Field("a", "BOOL", nullable=True), "perhaps", None),
        (Field("a", "JSON"), {"a": math.inf}, {"a": "Infinity"}),
        (Field("a", "DOUBLE", nullable=True), decimal.Decimal("0.1"), 0.1),
        (Field("a", "DOUBLE", nullable=True), decimal.Decimal("0.12345678901234567890"), None),
        (Field("a", "DOUBLE", nullable=True), 2**53 + 1, None),
        (Field("a", "ARRAY", 2, element="INT64"), [1, "2", None, 3], [1, 2]),
        (Field("a", "ARRAY", 2, element="VARCHAR"), "one", ["one"]),
    ],
)
def test_a_typed_column_gets_a_value_it_takes(field: Field, value: Any, stored: Any) -> None:
    assert fit_value(value, field) == stored


def test_dynamic_values_become_json_that_milvus_takes() -> None:
    values = {
        "day": datetime.date(2026, 1, 2),
        "price": decimal.Decimal("1.5"),
        "big": 2**80,
        "bytes": b"\xff",
        "numpy": np.int64(4),
        "nan": np.float32("nan"),
        "lone": "\ud800",
        3: {1, 2},
    }
    safe_values = json_safe(values)
    assert orjson.loads(orjson.dumps(safe_values)) == safe_values
    assert safe_values["day"] == "2026-01-02"
    assert (safe_values["price"], safe_values["big"], safe_values["bytes"]) == (1.5, str(2**80), "/w==")
    assert (safe_values["numpy"], safe_values["nan"], safe_values["lone"]) == (4, "NaN", "\ufffd")
    assert safe_values["3"] == [1, 2]


def test_metadata_named_like_a_field_of_ours_get_an_underscore() -> None:
    row = RowBuilder(layout(), text=True).build(chunk(id=1, vector=2, chunk_number=9, _ks_key="mine"))
    assert (row["_id"], row["_vector"], row["_chunk_number"], row["__ks_key"]) == (1, 2, 9, "mine")
    named = Chunk("k", 0, "tickets", "1", "hello", np.zeros(2, np.float32), "d", "m", {"text": "mine"})
    assert RowBuilder(layout(), text=True).build(named)["_text"] == "mine"
    assert row["id"] == "k" * 32 + ":0"
    assert row["chunk_number"] == 0
    assert row["text"] == "hello"


def test_without_a_dynamic_field_only_columns_are_filled() -> None:
    columns = {"status": Field("status", "VARCHAR", 10), "number": Field("number", "INT64")}
    row = RowBuilder(layout(dynamic=False, **columns), text=True).build(chunk(status="new", other="gone"))
    assert set(row) == {"id", "vector", "text", "status", "number"}
    assert (row["status"], row["number"]) == ("new", 0)


def test_the_raw_text_is_left_out_or_emptied_where_a_column_must_be_filled() -> None:
    assert "text" not in RowBuilder(layout(), text=False).build(chunk())
    assert RowBuilder(layout(text=Field("text", "VARCHAR", 10)), text=False).build(chunk())["text"] == ""


def test_a_text_in_the_dynamic_field_shares_its_room_with_the_metadata() -> None:
    row = RowBuilder(layout(), text=True).build(chunk('"' * 70_000, other="x" * 60_000, status="new"))
    rest = {key: value for key, value in row.items() if key not in ("id", "vector")}
    assert len(orjson.dumps(rest)) <= DYNAMIC_ROOM + 16
    assert row["status"] == "new"
    assert row["_ks_digest"] == "d"


def test_ids_fit_every_primary_key() -> None:
    assert layout().row_id("k" * 32, 12) == "k" * 32 + ":12"
    number = layout(primary="INT64").row_id("k" * 32, 12)
    assert isinstance(number, int)
    assert 0 <= number < 2**63
    short = layout(id_length=20).row_id("k" * 32, 12)
    assert isinstance(short, str)
    assert len(short) == 20


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4),
)  # fmt: skip


@pytest.mark.slow
@given(st.dictionaries(st.text(st.characters(codec="utf-8")), json_values, max_size=6), st.integers(60, 400))
def test_metadata_never_exceed_their_room_and_stay_whole_where_they_fit(values: dict[str, Any], max_bytes: int) -> None:
    results, lost = fit_values(dict(values), max_bytes)
    assert len(orjson.dumps(results)) <= max_bytes
    assert lost == sum(name not in results or results[name] != value for name, value in values.items())
    if len(orjson.dumps(values)) <= max_bytes:
        assert results == values


@given(st.text(st.characters(codec="utf-8")), st.integers(0, 40))
def test_a_cut_text_is_the_longest_beginning_that_fits(text: str, max_bytes: int) -> None:
    short_text = truncate_text(text, max_bytes)
    assert text.startswith(short_text)
    assert len(short_text.encode()) <= max_bytes
    assert short_text == text or len(text[: len(short_text) + 1].encode()) > max_bytes


def test_conditions_are_quoted_and_name_the_stored_field() -> None:
    where = {"status": 'a "b" \\', "id": 7, "n": [1, 2], "at": {"gte": 1, "lt": 9}, "odd name": True}
    assert condition(parse(where), layout()) == (
        '(status == "a \\"b\\" \\\\" and ((_id == 7 and (not (exists _id_a5614527))) or _id_a5614527 == 7)'
        ' and n in [1,2] and (at >= 1 and at < 9) and $meta["odd name"] == true)'
    )
    assert condition("n > 1", layout()) == "n > 1"
    assert condition(None, layout()) == ""
    assert quote("line\nbreak") == '"line\\nbreak"'


def test_a_condition_says_what_becomes_of_rows_without_the_field() -> None:
    column = layout(status=Field("status", "VARCHAR", 5, nullable=True), n=Field("n", "INT64"))
    for where, text in {
        "status": ({"status": {"not": "a"}}, '(status is null or (not (status == "a")))'),
        "ne": (
            {"status": {"ne": "a"}},
            '((status is not null or (exists status_MARK)) and (status is null or (not (status == "a"))))',
        ),
        "no null": ({"n": {"not": 1}}, "(not (n == 1))"),
        "dynamic": ({"x": {"ne": "a"}}, '((exists x) and (not (x == "a")))'),
        "types": ({"x": [1, "a"]}, '(x == 1 or x == "a")'),
        "none": ({"x": None, "y": [2.5]}, "((not (exists x)) and y == 2.5)"),
        "order": ({"not": {"x": {"gt": 1}}}, '((not (exists x)) or (not (x > 1)) or x >= "")'),
        "list": ({"x": {"contains": "a"}}, 'json_contains(x, "a")'),
        "empty": ({"or": [{"x": []}, {"and": [{}]}]}, "(not (id in []))"),
    }.values():
        rendering = condition(parse(where), column)
        assert rendering.replace(mark("status"), "MARK") == text


def test_a_field_that_a_collection_without_dynamic_field_lacks_is_named() -> None:
    with pytest.raises(ConfigError, match="has no field other"):
        condition(parse({"other": 1}), layout(dynamic=False, status=Field("status", "VARCHAR", 5)))


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("OSError: No space left on device", ConfigError),
        ("[Errno 30] Read-only file system: '/x'", ConfigError),
        ("Fail connecting to server on 127.0.0.1:1", TransientError),
        ("auth check failure, please check api key is correct", AuthError),
        ("PrivilegeInsert: permission deny to reader", AuthError),
        ("request is rejected by grpc RateLimiter middleware: rate limit exceeded", TransientError),
        ("cannot parse expression: x ==", ConfigError),
        ("something else", ConnectorError),
    ],
)
def test_what_milvus_says_becomes_an_error_with_a_next_action(message: str, kind: type[Exception]) -> None:
    assert type(translate(Exception(message), "Milvus", {})) is kind


@pytest.mark.parametrize("host", ["ftp://x", "./kitestring", "localhost:19530", ""])
def test_a_host_that_is_neither_server_nor_lite_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match=r"path that ends in \.db"):
        Indexing.load({"host": host, "collection": "c"})


@pytest.mark.parametrize(
    "more",
    [
        {"collection": "no-good"},
        {"collection": "c", "text_field": "vector"},
        {"collection": "c", "scalar_fields": ["_ks_key"]},
        {"collection": "c", "partition_key": "status"},
        {"collection": "c", "scalar_fields": {"n": "DOUBLE"}, "partition_key": "n"},
    ],
)
def test_options_that_collide_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Indexing.load({"host": "x.db", **more})


def test_airbytes_configuration_is_taken_unchanged() -> None:
    from kitestring.registry import destination

    built: Any = destination(
        "airbyte/destination-milvus",
        {
            "processing": {
                "chunk_size": 1000,
                "chunk_overlap": 0,
                "text_fields": ["subject", "comments.*.body"],
                "metadata_fields": ["id"],
                "text_splitter": {"mode": "separator", "separators": ['"\\n\\n"', '" "'], "keep_separator": False},
                "field_name_mappings": [{"from_field": "subject", "to_field": "title"}],
            },
            "embedding": {"mode": "openai", "openai_key": "sk-x"},
            "indexing": {
                "host": "tcp://localhost:19530",
                "db": "",
                "collection": "airbyte",
                "auth": {"mode": "username_password", "username": "u", "password": "p"},
                "vector_field": "vector",
                "text_field": "text",
            },
            "omit_raw_text": False,
        },
    )
    assert built.indexing.auth.password == "p"
    assert "p" not in {str(value) for value in [built.place()]}
