"""Keys, values and places of the files destination: what it writes is what it compares and reads back."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from files_syncs import FORMATS, keyed, sync, values

from kitestring.batch import Batch
from kitestring.destinations.files import Files
from kitestring.engine import Selection, Status
from kitestring.engine import sync as run
from kitestring.files import row_key as keys
from kitestring.testing.memory import MemorySource
from kitestring.types import DELETED_AT, Stream

pytestmark = pytest.mark.slow

KEYS: dict[str, list[Any]] = {
    "numbers and texts": [1, "1", 2, "x", "2.0"],
    "booleans": [True, "true", 1, "1", False],
    "long integers": [123456789012345678901, 123456789012345678902, 2**53, 2**53 + 1, -(2**64)],
    "decimals": [Decimal("1.00000000000000000001"), Decimal("1.00000000000000000002"), 1],
    "odd texts": ["", " ", "null", "NULL", "a,b", 'q"q', "l\nb", "c\rr", "n\0n", "\ufeff", "|", "\\0", "nan", "'1"],
    "floats": [0.5, 1e300, -2.5],
}


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("case", KEYS)
@pytest.mark.parametrize("where", ["declared by nothing", "declared as several types", "inside of an object"])
def test_different_keys_stay_different_and_the_same_key_is_the_same(
    tmp_path: Path, format_: str, case: str, where: str
) -> None:
    ids = KEYS[case]
    schema = {"id": {"type": ["integer", "string", "number", "boolean", "null"]}} if "several" in where else None
    inside = where == "inside of an object"

    def records(text: str, some: list[Any]) -> list[dict[str, Any]]:
        return [{"k": {"id": key}, "text": f"{text} {ids.index(key)}"} if inside else
                {"id": key, "text": f"{text} {ids.index(key)}"} for key in some]  # fmt: skip

    def write(rows: list[dict[str, Any]]) -> Any:
        if not inside:
            return sync(tmp_path, format_, rows, schema=schema)
        source = MemorySource(records={"s": rows}, primary_keys={})
        selection = Selection("s", write_mode="append_dedup", primary_key=["k.id"])
        return run(source, Files(path=str(tmp_path), format=format_), [selection])

    ids = [key for n, key in enumerate(ids) if not any(type(key) is type(old) and key == old for old in ids[:n])]
    assert write(records("first", ids)).status is Status.succeeded
    assert len(values(tmp_path)) == len(ids)
    result = write(records("second", ids))
    assert result.status is Status.succeeded, result.as_dict()
    assert len(values(tmp_path)) == len(ids)
    assert all(text.startswith("second") for text in values(tmp_path))
    assert (
        write([{**row, DELETED_AT: "2026-01-01T00:00:00Z"} for row in records("x", ids[:1])]).streams["s"].deleted == 1
    )
    assert len(values(tmp_path)) == len(ids) - 1


def test_a_key_that_csv_could_not_tell_from_a_text_is_rejected(tmp_path: Path) -> None:
    result = sync(tmp_path, "csv", keyed(10**50, str(10**50), 3))
    assert (result.streams["s"].written, result.streams["s"].rejected) == (2, 1)
    assert sync(tmp_path / "p", "parquet", keyed(10**50, str(10**50), 3)).streams["s"].written == 3


@pytest.mark.parametrize("format_", FORMATS)
def test_a_key_that_would_be_stored_like_another_is_rejected(tmp_path: Path, format_: str) -> None:
    result = sync(tmp_path, format_, keyed("a\ud83d", "a\ud83e", "a"))
    assert (result.streams["s"].written, result.streams["s"].rejected) == (1, 2)
    if format_ != "jsonl":
        moments = keyed("2024-01-01T00:00:00.0000001Z", "2024-01-01T00:00:00.0000002Z", "2024-01-01T00:00:00Z")
        schema = {"id": {"type": "string", "format": "date-time"}}
        result = sync(tmp_path / "t", format_, moments, schema=schema)
        assert (result.streams["s"].written, result.streams["s"].rejected) == (1, 2)
        numbers = keyed(Decimal("0.10000000000000000001"), Decimal("0.1"))
        result = sync(tmp_path / "n", format_, numbers, schema={"id": {"type": "number"}})
        assert (result.streams["s"].written, result.streams["s"].rejected) == (1, 1)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_moment_is_the_same_key_however_it_is_spelled(tmp_path: Path, format_: str) -> None:
    schema = {"id": {"type": "string", "format": "date-time"}}
    assert sync(tmp_path, format_, keyed("2024-01-01T02:00:00+02:00"), schema=schema).ok
    assert sync(tmp_path, format_, keyed("2024-01-01T00:00:00Z", text="new"), schema=schema).ok
    assert values(tmp_path) == ["new"]


@pytest.mark.parametrize("format_", FORMATS)
def test_in_a_field_of_texts_a_number_is_its_text(tmp_path: Path, format_: str) -> None:
    schema = {"id": {"type": "string"}}
    assert sync(tmp_path, format_, keyed(1), schema=schema).ok
    assert sync(tmp_path, format_, keyed("1", text="new"), schema=schema).ok
    assert values(tmp_path) == ["new"]


def test_numbers_are_one_text_however_they_are_spelled() -> None:
    same = [1, 1.0, Decimal("1.00"), Decimal("10e-1")]
    assert {keys.part_of(value) for value in same} == {"1"}
    big = 123 * 10**60
    assert keys.part_of(big) == keys.part_of(Decimal("1.23e62")) != keys.part_of(big + 1)
    column = pa.array([Decimal("-5"), Decimal(10**37), None], pa.decimal128(38, 0))
    assert keys.parts_of(column, "").to_pylist() == [keys.part_of(v) for v in (-5, 10**37, None)]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("then", FORMATS)
def test_a_change_of_the_format_goes_on_with_the_files_that_are_there(tmp_path: Path, format_: str, then: str) -> None:
    assert sync(tmp_path, format_, keyed(1, "1", 2)).ok
    result = sync(tmp_path, then, keyed(1, "1", text="new"), compression="gzip")
    assert result.status is Status.succeeded, result.as_dict()
    assert values(tmp_path) == ["2", "new", "new"]
    assert Files(path=str(tmp_path), format=then).count(Stream("s")) == 3


@pytest.mark.parametrize("format_", FORMATS)
def test_values_of_all_kinds_are_read_back_merged_and_counted(tmp_path: Path, format_: str) -> None:
    odd = ["", None, "NULL", " ", "a\r\nb\rc\n", '"', '""', ",", "\ufeffx", "nul\0", "cut \ud83d", "x" * 3_000_000]
    rows = [{"id": n, "text": text, "nothing": None} for n, text in enumerate(odd)]
    for _ in range(2):
        result = sync(tmp_path, format_, rows)
        assert result.status is Status.succeeded, result.as_dict()
    expected = [None if text is None else text.replace("\ud83d", "\ufffd") for text in odd]
    assert values(tmp_path) == sorted(expected, key=str)


@pytest.mark.slow
@pytest.mark.parametrize("format_", FORMATS)
def test_a_text_of_60_mb_is_merged_and_counted(tmp_path: Path, format_: str) -> None:
    for mode in ("append_dedup", "append", "overwrite"):
        result = sync(tmp_path / mode, format_, [{"id": 1, "text": "x" * 60_000_000}, {"id": 2, "text": "y"}], mode)
        assert result.status is Status.succeeded, result.as_dict()
        assert sync(tmp_path / mode, format_, keyed(2), mode).status is Status.succeeded


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("mode", ["append", "append_dedup", "overwrite"])
def test_records_of_nulls_and_records_without_fields_are_counted(tmp_path: Path, format_: str, mode: str) -> None:
    if mode != "append_dedup":
        result = sync(tmp_path / "empty", format_, [{}, {}], mode, key=None)
        assert result.status is Status.succeeded, result.as_dict()
        schema = {"v": {"type": ["string", "null"]}}
        result = sync(tmp_path / "one", format_, [{"v": None}, {"v": "a"}, {"v": None}], mode, key=None, schema=schema)
        assert result.status is Status.succeeded, result.as_dict()
    assert sync(tmp_path / "two", format_, [{"id": 1, "v": None}, {"id": 2}], mode).status is Status.succeeded


def test_json_lines_have_words_for_floats_that_are_no_numbers_and_read_them_back(tmp_path: Path) -> None:
    rows = [{"id": 1, "f": float("nan"), "n": None}, {"id": 2, "f": float("-inf"), "n": 2**70}, {"id": 3, "f": -0.0}]
    assert sync(tmp_path, "jsonl", rows).ok
    (file,) = (tmp_path / "s").iterdir()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["f"] for line in lines] == ["NaN", "-Infinity", 0.0]
    assert str(lines[2]["f"]) == "-0.0"
    assert lines[1]["n"] == 2**70


@pytest.mark.parametrize("format_", FORMATS)
def test_a_record_of_1500_levels_is_rejected_and_the_others_arrive(tmp_path: Path, format_: str) -> None:
    deep: Any = {"x": 1}
    for _ in range(1500):
        deep = {"n": deep}
    result = sync(tmp_path, format_, [{"id": 1, "d": deep}, {"id": 2, "d": None}])
    assert (result.streams["s"].written, result.streams["s"].rejected) == (1, 1)


def test_fields_whose_names_fall_together_keep_their_values(tmp_path: Path) -> None:
    row = {"id": 1, **dict(zip(["a\ud83d", "a\ud83e", "a\ufffd", "", "n\0"], range(1, 6), strict=True))}
    for format_ in FORMATS:
        assert sync(tmp_path / format_, format_, [row]).ok
    (file,) = (tmp_path / "parquet" / "s").iterdir()
    assert sorted(pq.read_table(file).to_pylist()[0].values()) == [1, 1, 2, 3, 4, 5]
    (file,) = (tmp_path / "jsonl" / "s").iterdir()
    assert sorted(json.loads(file.read_text()).values()) == [1, 1, 2, 3, 4, 5]
    (file,) = (tmp_path / "csv" / "s").iterdir()
    header, record = file.read_text().splitlines()
    assert len(set(header.split(","))) == 6
    assert sorted(record.split(",")) == ["1", "1", "2", "3", "4", "5"]


def test_parquet_takes_what_it_has_no_type_for_as_text(tmp_path: Path) -> None:
    table = pa.table({"i": pa.array([(1, 2, 3)], pa.month_day_nano_interval()), "e": pa.array([{}], pa.struct([]))})
    files = Files(path=str(tmp_path))
    files.begin(Stream("s"))
    assert files.write(Stream("s"), files.prepare(Stream("s"), Batch("s", table=table))).written == 1
    (file,) = (tmp_path / "s").iterdir()
    assert pq.read_table(file).to_pylist() == [{"i": "P1M2DT0.000000003S", "e": "{}"}]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_merge_leaves_the_bytes_of_what_it_keeps(tmp_path: Path, format_: str) -> None:
    rows = [{"id": n, "n": n / 2, "d": dt.date(2024, 1, 1), "j": {"a": n}} for n in range(3)]
    assert sync(tmp_path, format_, rows).ok
    (before,) = (tmp_path / "s").iterdir()
    kept = pq.read_table(before).slice(0, 1).to_pylist() if format_ == "parquet" else before.read_bytes().splitlines()
    assert sync(tmp_path, format_, [{**rows[2], "n": 7.5}]).ok
    files = list((tmp_path / "s").iterdir())
    if format_ == "parquet":
        assert kept[0] in [row for file in files for row in pq.read_table(file).to_pylist()]
    else:
        lines = [line for file in files for line in file.read_bytes().splitlines()]
        assert set(kept[:-1]) <= set(lines)
