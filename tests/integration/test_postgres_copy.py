"""What the stream of COPY brings into PostgreSQL is what stood in Arrow, of every type."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kitestring.destinations.postgres import Postgres
from kitestring.errors import RecordError
from kitestring.vendors.postgres import copy_stream

pytestmark = pytest.mark.slow

FIRST_DAY, LAST_DAY = -2_440_588, 2_145_042_905
FIRST_MOMENT, LAST_MOMENT = FIRST_DAY * 86_400_000_000, 2**63 - 2
DAY_S = 86_400
LETTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
MICROSECONDS = "(extract(epoch FROM {0}) * 1000000)::numeric"


def cut(nanoseconds):
    return abs(nanoseconds) // 1000 * (-1 if nanoseconds < 0 else 1)


@dataclass
class Case:
    """A type: its values, its column, how the column is read, and what is read then."""

    type: pa.DataType
    values: st.SearchStrategy[Any]
    column: str
    reads: str = "{0}"
    read: Callable[[Any], Any] = lambda value: value
    storage: pa.DataType | None = None

    def array(self, values: list[Any]) -> pa.Array:
        if isinstance(self.type, pa.BaseExtensionType):
            return pa.ExtensionArray.from_storage(self.type, pa.array(values, self.type.storage_type))
        return pa.array(values, self.storage).view(self.type) if self.storage else pa.array(values, self.type)


def integers(bits):
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def moments(unit, per_second, tz=None):
    factor = per_second / 1_000_000
    low, high = (max(-(2**63) + 1, int(FIRST_MOMENT * factor)), min(2**63 - 1, int(LAST_MOMENT * factor * (1 - 1e-9))))
    read = cut if unit == "ns" else lambda value: value * (1_000_000 // per_second)
    high = LAST_MOMENT if unit in ("us", "ns") else high
    kind = "timestamp with time zone" if tz else "timestamp"
    return Case(pa.timestamp(unit, tz), st.integers(low, high), kind, MICROSECONDS, read, pa.int64())


def times(type_, per_second, storage):
    read = cut if per_second > 1_000_000 else lambda value: value * (1_000_000 // per_second)
    return Case(type_, st.integers(0, DAY_S * per_second - 1), "time", MICROSECONDS, read, storage)


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(LETTERS, max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(LETTERS, max_size=3), inner, max_size=3),
    max_leaves=5,
)
TEXTS = st.text(LETTERS, max_size=12)
CASES = [
    Case(pa.int8(), integers(8), "smallint"),
    Case(pa.int16(), integers(16), "smallint"),
    Case(pa.int32(), integers(32), "integer"),
    Case(pa.int64(), integers(64), "bigint"),
    Case(pa.float32(), st.floats(width=32, allow_nan=False), "real", "{0}::float8"),
    Case(pa.float64(), st.floats(allow_nan=False), "double precision"),
    Case(pa.bool_(), st.booleans(), "boolean"),
    Case(pa.date32(), st.integers(FIRST_DAY, LAST_DAY), "date", "{0} - date '1970-01-01'", storage=pa.int32()),
    moments("s", 1),
    moments("ms", 1_000, "UTC"),
    moments("us", 1_000_000),
    moments("us", 1_000_000, "Europe/Berlin"),
    moments("ns", 1_000_000_000, "UTC"),
    times(pa.time32("s"), 1, pa.int32()),
    times(pa.time32("ms"), 1_000, pa.int32()),
    times(pa.time64("us"), 1_000_000, pa.int64()),
    times(pa.time64("ns"), 1_000_000_000, pa.int64()),
    Case(pa.string(), TEXTS, "text"),
    Case(pa.large_string(), TEXTS, "character varying"),
    Case(pa.dictionary(pa.int32(), pa.string()), TEXTS, "text"),
    Case(pa.binary(), st.binary(max_size=9), "bytea"),
    Case(pa.large_binary(), st.binary(max_size=9), "bytea"),
    Case(pa.binary(3), st.binary(min_size=3, max_size=3), "bytea"),
    Case(pa.uuid(), st.binary(min_size=16, max_size=16), "uuid", read=lambda value: uuid.UUID(bytes=value)),
    Case(pa.json_(), DOCUMENTS.map(json.dumps), "jsonb", read=json.loads),
    Case(pa.null(), st.none(), "text"),
]
NUMERIC = len(CASES)
CREATE = "CREATE TEMP TABLE kept (row int, {}, n numeric)".format(
    ", ".join(f"c{n} {case.column}" for n, case in enumerate(CASES))
)
READ = "SELECT {}, n FROM kept ORDER BY row".format(
    ", ".join(case.reads.format(f"c{n}") for n, case in enumerate(CASES))
)
EXACT = Context(prec=100)


@st.composite
def decimals(draw):
    """The type of a column of decimals, and its values."""
    precision = draw(st.integers(1, 38))
    scale = draw(st.integers(0, precision) | st.integers(-3, 0).filter(lambda scale: precision - scale <= 38))
    most = 10**precision - 1
    units = st.integers(-most, most) | st.sampled_from([most, -most, 0, most - most // 10])
    kind = draw(st.sampled_from([pa.decimal128, pa.decimal256]))
    return kind(precision, scale), units.map(lambda unit: EXACT.scaleb(Decimal(unit), -scale))


@pytest.fixture(scope="module")
def connection(postgres_server):
    opened = Postgres.load(postgres_server.config).open()
    opened.execute("SET timezone = 'UTC'")
    opened.execute(CREATE)
    yield opened
    opened.close()


def copied(connection: psycopg.Connection[Any], rows: pa.Table, table: str = "kept") -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)".encode()) as copy:
        for part in copy_stream(rows):
            copy.write(part)


@given(data=st.data())
@settings(max_examples=15, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_what_is_read_back_is_what_was_written(connection, data):
    count = data.draw(st.integers(0, 4))
    skipped, cut_at = data.draw(st.integers(0, 2)), data.draw(st.integers(0, 6))
    decimal_type, decimal_values = data.draw(decimals())
    cases = [*CASES, Case(decimal_type, decimal_values, "numeric")]
    columns, expected = [], []
    for case in cases:
        column = st.lists(st.none() | case.values, min_size=count + skipped, max_size=count + skipped)
        values = data.draw(column)
        array = case.array(values)
        columns.append(pa.chunked_array([array[:cut_at], array[cut_at:]], array.type)[skipped:])
        expected.append([None if value is None else case.read(value) for value in values[skipped:]])
    names = [f"c{n}" for n in range(len(cases))]
    numbers = pa.chunked_array([pa.array(range(count), pa.int32())])
    connection.execute("TRUNCATE kept")
    copied(connection, pa.table([numbers, *columns], ["row", *names]))
    rows = connection.execute(READ.encode()).fetchall()
    assert len(rows) == count
    assert [list(column) for column in zip(*rows, strict=True)] == (expected if count else [])
    written = [value for value in expected[NUMERIC] if value is not None]
    read = [row[NUMERIC] for row in rows if row[NUMERIC] is not None]
    places = max(decimal_type.scale, 0)
    assert [-value.as_tuple().exponent for value in read] == [places] * len(written)


@pytest.mark.parametrize("scale", range(39))
def test_a_decimal_of_38_digits_is_exact_wherever_its_point_is(connection, scale):
    digits = "12345678901234567890123456789012345678"
    values = [EXACT.scaleb(Decimal(sign + text), -scale) for sign in ("", "-") for text in (digits, "9" * 38, "1", "0")]
    rows = pa.table({"n": pa.array([*values, None], pa.decimal128(38, scale))})
    connection.execute("TRUNCATE kept")
    copied(connection, rows, "kept (n)")
    assert {row[0] for row in connection.execute("SELECT n FROM kept")} == {*values, None}


def test_more_rows_than_a_piece_and_what_stands_in_the_place_of_nulls_do_not_mix(connection):
    count = 200_000
    numbers = np.arange(count, dtype="i8")
    nulls = numbers % 3 == 0
    wild = np.where(nulls, np.iinfo("i8").min, numbers)
    rows = pa.table(
        {
            "c3": pa.array(wild, mask=nulls),
            "c10": pa.array(wild.view("M8[us]"), pa.timestamp("us"), mask=nulls),
            "c17": [None if null else f"text {number}" for number, null in zip(numbers, nulls, strict=True)],
        }
    )
    assert sum(1 for _ in copy_stream(rows)) > 3
    connection.execute("TRUNCATE kept")
    copied(connection, rows, "kept (c3, c10, c17)")
    query = """
        SELECT count(*), count(c3), count(c10), count(c17), sum(c3), max(c3),
               bool_and(c17 = 'text ' || c3 AND extract(epoch FROM c10) * 1000000 = c3)
        FROM kept
    """
    kept = int((~nulls).sum())
    (counts,) = connection.execute(query).fetchall()
    assert counts == (count, kept, kept, kept, int(numbers[~nulls].sum()), int(numbers[~nulls].max()), True)


@pytest.mark.parametrize(
    ("type_", "first"),
    [
        (pa.date32(), FIRST_DAY),
        (pa.timestamp("us"), FIRST_MOMENT),
        (pa.timestamp("s"), -(2**62)),
        (pa.timestamp("s"), 2**62),
    ],
    ids=["date", "timestamp", "overflow below", "overflow above"],
)
def test_a_moment_that_postgresql_has_not_is_refused_and_the_connection_goes_on(connection, type_, first):
    storage = pa.int32() if type_ == pa.date32() else pa.int64()
    column = "c7" if type_ == pa.date32() else "c10"
    for before in (1, 20_000, 1_000_000_000_000) if storage == pa.int64() else (1, 20_000):
        with pytest.raises(RecordError, match=r"out of range|out of bounds|overflow"):
            copied(connection, pa.table({"c": pa.array([0, first - before], storage).view(type_)}), f"kept ({column})")
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
