"""What a column holds stays what it was when the column becomes wider; Arrow types arrive in DuckDB exactly."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sql_syncs import VENDORS, columns, run, synced, table

from kitestring.batch import Batch
from kitestring.destinations.duckdb import Duckdb
from kitestring.errors import RecordError
from kitestring.types import Stream

pytestmark = pytest.mark.slow  # seconds: left to `make test`

VALUES: list[Any] = [
    5, -(2**63), 2**64 - 1, 2**100, 10**38 - 1, 10**60, 2**53 + 1, 0.1, -0.0, 1e300, float("nan"), float("-inf"), True,
    Decimal("1.10"), Decimal("1234567890123456789.1234567890123456789"), Decimal("0.1234567890123456789012345"),
    "text", "a\x00b", b"\x00\xff", dt.date(2024, 1, 1), dt.datetime(2024, 1, 1, 1, 2, 3, 4),
    dt.datetime(2024, 1, 1, tzinfo=dt.UTC), {"a": [1, None]}, [1, 2], "24:00:00", "0044-03-15 BC",
]  # fmt: skip


def same(value: Any, stored: Any) -> bool:
    """Whether what is stored is the value, or its text."""
    if isinstance(value, bool) or isinstance(stored, bool):
        return stored is value or stored == str(value).lower()
    if isinstance(value, float) and math.isnan(value):
        return stored == "NaN" or (isinstance(stored, float) and math.isnan(stored))
    if isinstance(value, int | float | Decimal):
        exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        number = Decimal(repr(stored)) if isinstance(stored, float) else Decimal(stored)
        return exact == number and math.copysign(1, exact) == math.copysign(1, number)
    if isinstance(value, dt.date):
        moment = stored if isinstance(stored, dt.date) else dt.datetime.fromisoformat(stored)
        as_moment = value if isinstance(value, dt.datetime) else dt.datetime(value.year, value.month, value.day)
        if not isinstance(moment, dt.datetime):
            return bool(moment == value)
        return moment.replace(tzinfo=None) == as_moment.replace(tzinfo=None)
    if isinstance(value, bytes):
        return stored in (value, "AP8=")
    if isinstance(value, dict | list):
        return str(stored).replace(" ", "") in ('{"a":[1,null]}', "[1,2]")
    return bool(stored == value)


@pytest.mark.parametrize("vendor", VENDORS)
def test_no_value_changes_when_its_column_becomes_wider(tmp_path: Path, vendor: str) -> None:
    """A column for each pair of values, the one in the first sync, the other in the second."""
    path = tmp_path / f"x.{vendor}"
    pairs = list(itertools.permutations(range(len(VALUES)), 2))
    for place in (0, 1):
        record = {f"{pair}": VALUES[pair[place]] for pair in pairs}
        synced(path, {"s": [{"id": place, **record}]}, "append")
    rows = table(path, "SELECT * FROM s ORDER BY id")
    changed = []
    for column, pair in enumerate(pairs, 1):
        for place in (0, 1):
            value, stored = VALUES[pair[place]], rows[place][column]
            nearest = {"True": 1, "-0.0": 0.0} if vendor == "sqlite" else {}
            if not same(value, stored) and not same(nearest.get(str(value), value), stored):
                changed.append((value, VALUES[pair[1 - place]], stored))
    assert not changed


def written(path: Path, column: pa.Array | pa.ChunkedArray) -> tuple[str, Any]:
    """The type and the values as text of a column that is written."""
    destination, stream = Duckdb(path=str(path)), Stream("s")
    destination.begin(stream)
    destination.write(stream, destination.prepare(stream, Batch("s", table=pa.table({"v": column}))))
    destination.close()
    return columns(path, "s")["v"], [value for (value,) in table(path, "SELECT v::VARCHAR FROM s")]


@pytest.mark.parametrize(
    ("column", "kind", "texts"),
    [
        (pa.array([86_400_000_000], pa.time64("us")), "TIME", ["24:00:00"]),
        (pa.array([1], pa.timestamp("ns")), "TIMESTAMP_NS", ["1970-01-01 00:00:00.000000001"]),
        (pa.array([2**63 - 1], pa.timestamp("us", "UTC")), "TIMESTAMP WITH TIME ZONE", ["infinity"]),
        (pa.array([-62_200_000_000], pa.timestamp("s")), "TIMESTAMP_S", ["0003-12-17 (BC) 14:13:20"]),
        (pa.array([1001], pa.duration("us")), "INTERVAL", ["00:00:00.001001"]),
        (pa.array([(1, 2, 3000)], pa.month_day_nano_interval()), "INTERVAL", ["1 month 2 days 00:00:00.000003"]),
        (pa.array([1.5], pa.float16()), "FLOAT", ["1.5"]),
        (pa.array([Decimal(10) ** 50], pa.decimal256(60, 0)), "VARCHAR", [str(10**50)]),
        (pa.array([2**64 - 1], pa.uint64()), "UBIGINT", [str(2**64 - 1)]),
        (pa.array([{}], pa.struct([])), "VARCHAR", ["{}"]),
        (pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], ["a", "A"]), "VARCHAR", ['{"a":1,"A":2}']),
        (pa.array([[None]], pa.list_(pa.null())), "INTEGER[]", ["[NULL]"]),
        (
            pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)], pa.binary(16))),
            "UUID",
            ["00000000-0000-0000-0000-000000000000"],
        ),
        (
            pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a":1,"a":"\\u0000"}'])),
            "VARCHAR",
            ['{"a":1,"a":"\\u0000"}'],
        ),
    ],
)
def test_arrow_types_arrive_exactly(tmp_path: Path, column: pa.Array, kind: str, texts: list[str]) -> None:
    assert written(tmp_path / "x.duckdb", column) == (kind, texts)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1001], pa.duration("ns")),
        pa.array([2**60], pa.duration("s")),
        pa.array([(0, 0, 1)], pa.month_day_nano_interval()),
        pa.Array.from_buffers(
            pa.string(), 1, [None, pa.py_buffer(bytes([0] * 4 + [1] + [0] * 3)), pa.py_buffer(b"\xff")]
        ),
    ],
    ids=str,
)
def test_what_duckdb_has_no_exact_form_for_is_refused_as_one_record(tmp_path: Path, column: pa.Array) -> None:
    with pytest.raises(RecordError):
        written(tmp_path / "x.duckdb", column)


def test_uuids_of_the_first_version_stay_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    uuids = pa.array([bytes(range(16))], pa.binary(16))
    assert written(path, uuids)[0] == "BLOB"
    written(path, pa.ExtensionArray.from_storage(pa.uuid(), uuids))
    assert columns(path, "s") == {"v": "BLOB"}
    assert table(path, "SELECT DISTINCT v FROM s") == [(bytes(range(16)),)]


@pytest.mark.parametrize("levels", [400, 1_500, 5_000])
def test_deep_nesting_is_kept_or_one_record_is_rejected(tmp_path: Path, levels: int) -> None:
    path, deep = tmp_path / "x.duckdb", "x"
    for _ in range(levels):
        deep = {"n": deep}  # type: ignore[assignment]
    for _ in range(2):
        result = run(path, {"s": [{"id": 1, "d": None if levels > 1_000 else deep}, {"id": 2, "d": deep}]})
        assert result.streams["s"].rejected == (levels > 1_000)
        assert result.streams["s"].written == 2 - (levels > 1_000)


def test_a_text_of_60_megabytes_and_null_beside_missing_arrive(tmp_path: Path) -> None:
    path, text = tmp_path / "x.duckdb", "é" * 30_000_000
    synced(path, {"s": [{"id": 1, "v": text}, {"id": 2, "v": None}, {"id": 3}]})
    assert table(path, "SELECT id, length(v) FROM s ORDER BY id") == [(1, 30_000_000), (2, None), (3, None)]
    assert table(path, "SELECT v FROM s WHERE id = 1") == [(text,)]


def test_a_float_without_a_number_has_one_text_whenever_its_column_became_text(tmp_path: Path) -> None:
    later, at_once = tmp_path / "later.duckdb", tmp_path / "at_once.duckdb"
    numbers = [{"id": 1, "v": math.nan}, {"id": 2, "v": -math.inf}]
    synced(later, {"s": numbers})
    synced(later, {"s": [{"id": 3, "v": "x"}]})
    synced(at_once, {"s": [*numbers, {"id": 3, "v": "x"}]})
    for path in (later, at_once):
        assert table(path, f"SELECT v FROM {path.stem}.main.s ORDER BY id") == [("NaN",), ("-Infinity",), ("x",)]
