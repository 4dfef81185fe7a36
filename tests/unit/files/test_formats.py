"""Every format reads back what it has written: all types, odd texts, files in pieces, and files that are damaged."""

from __future__ import annotations

import datetime as dt
import io
import math
import struct
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kitestring import arrow, arrow_values
from kitestring.batch import Batch
from kitestring.errors import ConfigError, SchemaError
from kitestring.files.column import TypeSample, parse_text
from kitestring.files.data_file import DataFiles
from kitestring.files.formats import FORMATS, DamageError, Format, format_of
from kitestring.files.formats import format as format_module
from kitestring.files.store import LocalStore
from kitestring.types import Stream

ALL = [(name, word) for name, format_ in FORMATS.items() for word in ("none", "gzip", "zstd")]
STREAM = Stream("s")
PROPERTY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from("\"',;|\r\n\t\0\\\ufeff\u2028 {}[]"), max_size=12)
WHOLE = st.integers(-(10**38) + 1, 10**38 - 1)
MOMENTS = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30))
FLOATS = st.floats() | st.sampled_from([-0.0, math.nan, math.inf, -math.inf, 1e300, 5e-324, 1e16, 0.1])
TYPES: list[tuple[pa.DataType, Any]] = [
    (pa.int8(), st.integers(-(2**7), 2**7 - 1)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float64(), FLOATS),
    (pa.float32(), st.floats(width=32)),
    (pa.bool_(), st.booleans()),
    (pa.string(), TEXTS | st.sampled_from(["1", "true", "null", "NaN", "2024-01-01", "007", "{}", '"', '""', ","])),
    (pa.large_string(), TEXTS),
    (pa.binary(), st.binary(max_size=8)),
    (pa.decimal128(38, 0), WHOLE.map(Decimal)),
    (pa.decimal128(38, 20), WHOLE.map(lambda n: Decimal(n).scaleb(-20, arrow.Context(prec=60)))),
    (pa.decimal256(60, 5), st.integers(-(10**60) + 1, 10**60 - 1).map(
        lambda n: Decimal(n).scaleb(-5, arrow.Context(prec=80)))),
    (pa.date32(), st.dates() | st.integers(-(2**31), 2**31 - 1)),
    (pa.timestamp("us"), MOMENTS),
    (pa.timestamp("us", "UTC"), MOMENTS.map(lambda moment: moment.replace(tzinfo=dt.UTC))),
    (pa.timestamp("ns"), st.integers(-(2**63) + 1, 2**63 - 1)),
    (pa.timestamp("s"), st.integers(-(10**11), 10**11)),
    (pa.time64("us"), st.times() | st.just(86_400_000_000)),
    (pa.time32("s"), st.integers(0, 86_399)),
    (pa.null(), st.none()),
    (pa.list_(pa.string()), st.lists(TEXTS | st.none(), max_size=3)),
    (pa.list_(pa.float64()), st.lists(FLOATS, max_size=3)),
    (pa.list_(pa.list_(pa.int64())), st.lists(st.lists(st.integers(-9, 9), max_size=2), max_size=2)),
    (pa.struct([("A", pa.decimal128(38, 0)), ("a", pa.timestamp("us", "UTC"))]),
     st.fixed_dictionaries({"A": WHOLE.map(Decimal) | st.none(), "a": st.just(dt.datetime(1, 1, 2, tzinfo=dt.UTC))})),
    (pa.list_(pa.struct([("b", pa.binary())])), st.lists(st.fixed_dictionaries({"b": st.binary(max_size=3)}))),
]  # fmt: skip


@st.composite
def tables(draw: Any) -> pa.Table:
    """A table with a column of most types, whose names are odd."""
    rows = draw(st.integers(1, 4))
    chosen = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=6))
    odd = TEXTS | st.sampled_from(["id", "ID", "Id", "a,b", 'q"', "l\nb", "", " ", "\u00e9", "e\u0301"])
    names = draw(st.lists(odd, min_size=len(chosen), max_size=len(chosen), unique=True))
    columns = [
        pa.array(draw(st.lists(values | st.none(), min_size=rows, max_size=rows)), type_) for type_, values in chosen
    ]
    return pa.table(columns, names=names)


def written(format_: Format, table: pa.Table) -> bytes:
    packed = format_.encode_batch(STREAM, Batch("s", table=table))
    assert packed.rows == table.num_rows
    assert not packed.rejects
    return b"".join(bytes(file) for file in packed.files)


def read(format_: Format, data: bytes, schema: pa.Schema | None = None) -> list[dict[str, Any]]:
    return [row for table in format_.read(io.BytesIO(data), schema) for row in arrow_values.rows(table)]


def plain(value: Any) -> Any:
    """The value in a form that `==` compares exactly, NaN and -0.0 too."""
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else repr(value))
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return (type(value).__name__, value)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "compression"), [*[(name, "none") for name in FORMATS], ("csv", "zstd")])
@given(tables())
@example(pa.table({"id": pa.array(["", None, '"', "a\r\nb"]), "ID": pa.array([-0.0, math.nan, None, -math.inf])}))
@example(pa.table({"n": pa.array([None, None], pa.string())}))
@PROPERTY
def test_what_is_written_is_read_back_with_its_types(name: str, compression: str, table: pa.Table) -> None:
    format_ = FORMATS[name](compression)
    data = written(format_, table)
    results = read(format_, data, table.schema)
    assert list(map(plain, results)) == list(map(plain, arrow_values.rows(table)))
    assert format_.count(io.BytesIO(data)) == table.num_rows
    assert all(part.schema.names == table.schema.names for part in format_.read(io.BytesIO(data), table.schema))


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
@given(tables())
@PROPERTY
def test_without_a_schema_a_value_is_itself_or_its_text(name: str, table: pa.Table) -> None:
    format_ = FORMATS[name]()
    results = read(format_, written(format_, table))
    assert len(results) == table.num_rows
    for row, expected in zip(results, arrow_values.rows(table), strict=True):
        for field, value in expected.items():
            got = row.get(field)
            if not (isinstance(value, str) and got == value) and isinstance(got, str):
                assert value is not None
                text = got.replace(" ", "T", 1) if isinstance(value, dt.datetime) else got
                assert spelled_alike(text, value), (got, value)
            elif isinstance(value, Decimal) and isinstance(got, float):
                assert Decimal(repr(got)) == value
            elif isinstance(value, float) and not isinstance(got, float):
                assert got == value
            else:
                short = isinstance(value, float) and abs(value) < 2**24 and float32(got) == value
                assert plain(got) == plain(value) or short or (got == value and type(value) is not bool)


def float32(value: Any) -> float:
    """The nearest float of 32 bits: CSV has the shortest text that names it."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def spelled_alike(text: str, value: Any) -> bool:
    """Whether the text is that of the value: in a column of texts, and where no type was found that holds it."""
    if isinstance(value, dict | list):
        return True  # JSON: what its text holds, the test with a schema shows
    if isinstance(value, float):
        return text.lower() in ("nan", "inf", "-inf", "infinity", "-infinity") or float(text) == value
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(text) == value
    if isinstance(value, dt.datetime):
        return dt.datetime.fromisoformat(text) == value
    if isinstance(value, dt.time):
        return dt.time.fromisoformat(text) == value
    if (ticks := arrow_values.ticks_of(text, 10**9)) is not None:  # 10:00:00.5 and 10:00:00.500
        return ticks == arrow_values.ticks_of(arrow.text(value), 10**9)
    return text in (arrow.text(value), arrow.text(value).replace("T", " "))


@pytest.mark.parametrize(("name", "compression"), ALL)
@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_file_is_read_in_pieces_of_any_size(
    monkeypatch: pytest.MonkeyPatch, name: str, compression: str, size: int
) -> None:
    texts = ["", "a", 'q"', '""', "l\nb", "c\r\nr", ",", "x" * 100, None, "\u00e9" * 9]
    rows = [{"id": n, "text": text, "n": n / 2} for n, text in enumerate(texts * 3)]
    schema = pa.schema([("text", pa.string()), ("n", pa.float64()), ("id", pa.int64())])
    format_ = FORMATS[name](compression)
    data = written(format_, pa.Table.from_pylist(rows, schema))
    monkeypatch.setattr(format_module, "READ_BYTES", size)
    monkeypatch.setattr("kitestring.files.formats.parquet.READ_BYTES", size)
    parts = list(format_.read(io.BytesIO(data), schema))
    assert len(parts) > 1
    assert [row for part in parts for row in part.to_pylist()] == pa.Table.from_pylist(rows, schema).to_pylist()
    assert format_.schema(io.BytesIO(data)).field("n").type == pa.float64()


KINDS = (
    st.integers(-(10**40), 10**40)
    | st.integers(-9, 9)
    | FLOATS
    | st.decimals(-(10**30), 10**30, places=12)
    | st.sampled_from([Decimal("NaN"), Decimal("1E+400"), Decimal("1E-50"), 2**53 + 1, "text", True, b"b"])
    | st.dates()
    | MOMENTS
)


@given(st.lists(st.lists(st.one_of(KINDS, st.none()), max_size=4), max_size=4))
@settings(max_examples=150, deadline=None)
def test_the_type_of_a_few_witnesses_is_the_type_of_all_values(parts: list[list[Any]]) -> None:
    witnesses = TypeSample()
    for part in parts:
        witnesses.add(part)
    assert witnesses.type == arrow.inferred([value for part in parts for value in part])


# -- files of others ------------------------------------------------------------------------------------------------


def csv_rows(text: str, schema: pa.Schema | None = None) -> list[dict[str, Any]]:
    return read(FORMATS["csv"](), text.encode(), schema)


def test_csv_without_quotes_is_what_it_spells_and_a_code_stays_a_text() -> None:
    text = "zip,n,x,when,day,ok\n007,1,1.5,2024-01-01T10:00:00Z,2024-02-29,true\n010,22,2e3,,,false\n"
    first, second = csv_rows(text)
    assert first == {
        "zip": "007",
        "n": 1,
        "x": 1.5,
        "when": dt.datetime(2024, 1, 1, 10, tzinfo=dt.UTC),
        "day": dt.date(2024, 2, 29),
        "ok": True,
    }
    assert (second["zip"], second["x"], second["when"]) == ("010", 2000.0, None)
    declared = pa.schema([("zip", pa.int64()), ("n", pa.decimal128(5, 2)), ("gone", pa.string())])
    assert csv_rows(text, declared)[1] == {"zip": 10, "n": Decimal("22.00"), "gone": None}


def test_a_number_that_its_column_does_not_hold_is_no_other_number() -> None:
    for text, type_ in (("1e400", pa.float64()), ("0x1F", pa.int64()), ("1.5", pa.int64()), ("300", pa.int8())):
        with pytest.raises(SchemaError, match=r"record 2: field a: .* does not fit"):
            csv_rows(f"a,b\n1,x\n{text},y\n", pa.schema([("a", type_)]))
    assert csv_rows("a\n1e400\n") == [{"a": "1e400"}]
    assert parse_text("-0") == 0
    assert math.copysign(1, parse_text("-0")) == -1


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_csv_of_others_may_have_a_mark_blank_lines_and_no_end(line_end: str) -> None:
    lines = ["\ufeffid,text", '1,"a', 'b"', "", "2,plain", ""]
    for text in (line_end.join(lines), line_end.join(lines[:-1])):
        assert csv_rows(text) == [{"id": 1, "text": f"a{line_end}b"}, {"id": 2, "text": "plain"}]
    assert csv_rows("id,id,ID\n1,2,3\n") == [{"id": 1, "id_2": 2, "ID": 3}]


def test_json_lines_of_others_may_have_blank_lines_and_no_end() -> None:
    data = b'\xef\xbb\xbf{"a": 1}\n\n{"a": NaN, "b": {"c": 1}}\r\n{"a": 10000000000000000000000}'
    assert read(FORMATS["jsonl"](), data)[0] == {"a": "1", "b": None}
    schema = FORMATS["jsonl"]().schema(io.BytesIO(data))
    assert schema.field("b").type == pa.json_()
    assert read(FORMATS["jsonl"](), data)[1]["b"] == '{"c":1}'


@pytest.mark.parametrize("name", FORMATS)
def test_empty_files_hold_no_record(name: str) -> None:
    format_ = FORMATS[name]()
    stream = Stream("s", schema={"properties": {"id": {"type": "integer"}, "t": {"type": "string"}}})
    data = format_.empty(stream)
    if data is not None:
        assert format_.schema(io.BytesIO(bytes(data))).names == ["id", "t"]
        assert read(format_, bytes(data)) == []
        assert format_.count(io.BytesIO(bytes(data))) == 0
    if name != "parquet":
        assert read(format_, b"") == []
        assert format_.count(io.BytesIO(b"")) == 0
        assert format_.schema(io.BytesIO(b"")).names == []


# -- damage ---------------------------------------------------------------------------------------------------------

GOOD = pa.table({"id": list(range(500)), "text": [f'"{n}", text' for n in range(500)]})


@pytest.mark.parametrize(
    ("name", "data", "where"),
    [
        ("t.parquet", b"", "0 bytes"),
        ("t.parquet", b"PAR1 no", "cannot be read"),
        ("t.jsonl", b'{"a": 1}\n{"a": 2', "line 2: "),
        ("t.jsonl", b'{"a": 1}\n[1]\n', "line 2: a JSON object is expected"),
        ("t.jsonl", b"\x00\xff\xfe\n", "line 1: "),
        ("t.csv", b'a,b\n1,2\n3,"4', "a quote is opened"),
        ("t.csv", b"a,b\n1,2\n3\n", "record 2 has 1 cells, and the header 2 columns"),
        ("t.csv", b'a,b\n1,2\n"x"y,2\n', "record 2: there is text after the closing quote of cell 1"),
        ("t.csv.gz", b"no gzip at all", "cannot be read"),
        ("t.jsonl.zst", b"no zstd at all", "cannot be read"),
    ],
)
def test_a_damaged_file_is_named_with_the_place(tmp_path: Any, name: str, data: bytes, where: str) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / name).write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        list(DataFiles(LocalStore(tmp_path), format_of, 0).read("s", name))
    assert caught.value.message.startswith(f"s/{name} cannot be read: ")
    assert where in caught.value.message
    assert "backup" in caught.value.hint


@pytest.mark.parametrize(("name", "compression"), [(n, c) for n, c in ALL if n == "parquet" or c != "none"])
def test_a_file_that_is_cut_off_anywhere_gives_an_error_never_fewer_records(name: str, compression: str) -> None:
    format_ = FORMATS[name](compression)
    data = written(format_, GOOD)
    for end in range(1, len(data), max(1, len(data) // 40)):
        with pytest.raises((DamageError, pa.ArrowException, OSError)):
            read(format_, data[:end], GOOD.schema)


def test_a_row_group_that_cannot_be_read_is_told_by_its_number() -> None:
    sink = io.BytesIO()
    pq.write_table(GOOD, sink, row_group_size=100, compression="zstd")
    data = bytearray(sink.getvalue())
    start = pq.read_metadata(io.BytesIO(data)).row_group(2).column(1).data_page_offset
    data[start : start + 60] = b"\xff" * 60
    seen: list[int] = []

    def reading() -> Iterator[None]:
        for table in FORMATS["parquet"]().read(io.BytesIO(data), GOOD.schema):
            seen.extend(table.column("id").to_pylist())
            yield

    with pytest.raises(DamageError, match="row group 3: "):
        list(reading())
    assert seen == list(range(200))


def test_parquet_has_dictionaries_for_repeated_values_alone():
    count = 20_000
    table = pa.table(
        {
            "id": pa.array(range(count)),
            "name": pa.array([f"name {n}" for n in range(count)]),
            "country": pa.array([["DE", "FR"][n % 2] for n in range(count)]),
            "none": pa.nulls(count, pa.string()),
            "document": pa.ExtensionArray.from_storage(pa.json_(), pa.array(["1"] * count)),
        }
    )
    nested = table.append_column("tags", pa.array([["a", "b"]] * count))
    for written, expected in ((table, {"country", "document", "none"}), (nested, {*nested.column_names})):
        with pq.ParquetFile(pa.BufferReader(FORMATS["parquet"]().encode([written]))) as file:
            columns = [file.metadata.row_group(0).column(n) for n in range(file.metadata.num_columns)]
            with_dictionary = {c.path_in_schema.partition(".")[0] for c in columns if c.has_dictionary_page}
            assert with_dictionary == expected
            assert file.read().to_pydict() == written.to_pydict()
