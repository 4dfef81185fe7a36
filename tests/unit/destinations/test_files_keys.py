"""Keys, values and places of the files destination: what it writes is what it compares and reads back."""

from __future__ import annotations

import datetime as dt
import json
import tarfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.destinations.files import Files
from kitestring.engine import Selection, Status
from kitestring.engine import sync as run
from kitestring.errors import ConfigError
from kitestring.files import row_key as keys
from kitestring.files.stream_folder import stream_folder
from kitestring.testing.memory import MemorySource
from kitestring.types import DELETED_AT, Stream

FORMATS = ["parquet", "jsonl", "csv"]
BEFORE = Path(__file__).parents[2] / "fixtures" / "files_664614f.tar.gz"


def sync(
    path: Path,
    format_: str,
    records: list[dict[str, Any]],
    mode: str = "append_dedup",
    name: str = "s",
    key: str | None = "id",
    schema: Any = None,
    **options: Any,
) -> Any:
    source = MemorySource(
        records={name: records},
        primary_keys={name: key} if key else {},
        schemas={name: {"type": "object", "properties": schema}} if schema else {},
    )
    return run(source, Files(path=str(path), format=format_, **options), [Selection(name, write_mode=mode)])


def values(path: Path, field: str = "text", name: str = "s") -> list[Any]:
    """The values of a field in all visible files, as the destination reads them."""
    files, stream = Files(path=str(path)), Stream(name)
    found: list[Any] = []
    for file in files.store().names(stream_folder(stream)):
        for table in files.format_of(file).raw(files.store().open(stream_folder(stream), file)):
            found += files.format_of(file).values(table, field)
    return sorted(found, key=str)


def keyed(*ids: Any, text: str = "{n}") -> list[dict[str, Any]]:
    return [{"id": key, "text": text.format(n=n)} for n, key in enumerate(ids)]


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


# -- counts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("mode", ["append_dedup", "soft_delete"])
def test_what_a_merge_did_is_counted_exactly(tmp_path: Path, format_: str, mode: str) -> None:
    gone = {DELETED_AT: "2026-01-01T00:00:00Z"}
    schema = {"id": {"type": "integer"}, DELETED_AT: {"type": ["string", "null"], "format": "date-time"}}

    def counts(*rows: dict[str, Any]) -> tuple[int, int, int, int]:
        result = sync(tmp_path, format_, list(rows), mode, schema=schema)
        assert result.status is Status.succeeded, result.as_dict()
        figures = result.streams["s"]
        visible = Files(path=str(tmp_path), format=format_).count(
            replace(Stream("s", primary_key=(("id",),)), write=WRITES[mode])
        )
        return figures.written, figures.unchanged, figures.deleted, visible or 0

    assert counts(*keyed(1, 2, 3)) == (3, 0, 0, 3)
    assert counts({"id": 1, **gone}, {"id": 9, **gone}) == (0, 1, 1, 2)
    assert counts({"id": 1, **gone}) == (0, 1, 0, 2)  # told twice
    assert counts(*keyed(1, 2)) == (2, 0, 0, 3)  # a later version takes the mark away
    assert counts({"id": 1, "text": "late"}, {"id": 1, **gone}, *keyed(4))[3] == 3
    rows = {int(key): mark for key, mark in zip(*by_id(tmp_path), strict=True)}
    if mode == "soft_delete":
        assert {key for key, mark in rows.items() if mark is not None} == {1}
        assert str(rows[1]).startswith("2026-01-01")
    assert set(rows) == ({1, 2, 3, 4} if mode == "soft_delete" else {2, 3, 4})


def by_id(path: Path) -> tuple[list[Any], list[Any]]:
    files = Files(path=str(path))
    ids: list[Any] = []
    marks: list[Any] = []
    for file in files.store().names("s"):
        for table in files.format_of(file).raw(files.store().open("s", file)):
            ids += files.format_of(file).values(table, "id")
            marks += files.format_of(file).values(table, DELETED_AT)
    return ids, marks


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("mode", ["append_dedup", "soft_delete", "overwrite_dedup"])
def test_events_in_any_order_leave_and_count_what_one_after_the_other_does(
    tmp_path: Path, format_: str, mode: str
) -> None:
    import random

    dice = random.Random(f"{format_} {mode}")
    write = WRITES[mode]
    stream = Stream("s", schema={"properties": {"id": {"type": "integer"}}}, primary_key=(("id",),), write=write)
    expected: dict[int, tuple[str, bool]] = {}
    for turn in range(4):
        files = Files(path=str(tmp_path), format=format_)
        files.begin(stream)
        if write.replace:
            expected = {}
        start = sum(not marked for _, marked in expected.values())
        written = told = removed = 0
        for number in range(12):
            some = dice.sample(range(8), dice.randint(1, 4))
            if dice.random() < 0.5:
                text = f"{turn}.{number}"
                receipt = files.write(stream, Batch("s", rows=[{"id": key, "text": text} for key in some]))
                written += receipt.written
                expected |= dict.fromkeys(some, (text, False))
            elif write.deletes == "mark":
                told += len(some)
                files.mark(stream, {(key,): f"2026-01-0{turn + 1}T00:00:00Z" for key in some})
                for key in some:
                    if key in expected and not expected[key][1]:
                        expected[key] = expected[key][0], True
                        removed += 1
            else:
                told += len(some)
                files.delete(stream, [(key,) for key in some])
                removed += sum(expected.pop(key, None) is not None for key in some)
        receipt = files.commit(stream)
        assert (receipt.deleted, receipt.unchanged) == (removed, told - removed)
        visible = sum(not marked for _, marked in expected.values())
        assert files.count(stream) == visible == start * (not write.replace) + written - receipt.replaced - removed
        ids, marks = by_id(tmp_path)
        assert {int(key): mark is not None for key, mark in zip(ids, marks, strict=True)} == {
            key: marked for key, (_, marked) in expected.items()
        }
        assert values(tmp_path) == sorted(text for text, _ in expected.values())


class Cut(BaseException):
    pass


@pytest.mark.parametrize("mode", ["append_dedup", "soft_delete", "overwrite_dedup"])
@pytest.mark.parametrize("exchange", [True, False])
def test_a_merge_that_is_cut_off_at_any_change_of_the_disk_is_completed_by_the_next_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, exchange: bool
) -> None:
    """Cuts a commit at its nth rename, link or removal; the next sync of the same events leaves what is due."""
    import os
    import shutil

    if not exchange:
        monkeypatch.setattr("kitestring.files.store.exchange_folders", lambda new, old: False)
    stream = Stream("s", primary_key=(("id",),), write=WRITES[mode])

    def events(files: Files) -> None:
        files.begin(stream)
        files.write(stream, Batch("s", rows=keyed(*range(4), text="new {n}")))
        if mode == "soft_delete":
            files.mark(stream, {(1,): "2026-01-01T00:00:00Z", (5,): "2026-01-01T00:00:00Z"})
        else:
            files.delete(stream, [(1,), (5,)])
        files.write(stream, Batch("s", rows=keyed(7)))

    cuts = 0
    for step in range(1, 60):
        path = tmp_path / str(step)
        old = replace(stream, write=WRITES["append_dedup"])
        files = Files(path=str(path), format="jsonl")
        files.begin(old)
        files.write(old, Batch("s", rows=keyed(*range(6), text="old {n}")))
        files.commit(old)
        events(files)
        changes = iter(range(1, 1000))

        def cutting(call: Any, changes: Any = changes, step: int = step) -> Any:
            def change(*arguments: Any, **options: Any) -> Any:
                if next(changes) == step:
                    raise Cut
                return call(*arguments, **options)

            return change

        with monkeypatch.context() as patch:
            for place, name in ((os, "link"), (Path, "rename"), (Path, "replace"), (shutil, "rmtree")):
                patch.setattr(place, name, cutting(getattr(place, name)))
            try:
                files.commit(stream)
            except Cut:
                cuts += 1
            else:
                break
        again = Files(path=str(path), format="jsonl")
        events(again)
        again.commit(stream)
        expected = {0: "new 0", 2: "new 2", 3: "new 3", 7: "0"}
        if not mode.startswith("overwrite"):
            expected[4] = "old 4"
        marked = {1: "new 1", 5: "old 5"} if mode == "soft_delete" else {}
        ids, marks = by_id(path)
        assert sorted(ids) == sorted([*expected, *marked]), step
        assert {key for key, mark in zip(ids, marks, strict=True) if mark} == set(marked), step
        assert values(path) == sorted([*expected.values(), *marked.values()]), step
    assert cuts >= 3


# -- places ------------------------------------------------------------------------------------------------------------


def test_two_streams_of_one_place_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    def write(namespace: str | None, name: str) -> Any:
        source = MemorySource(records={name: keyed(1)}, primary_keys={name: "id"})
        return run(source, Files(path=str(tmp_path)), [Selection(name, write_mode="overwrite")], namespace=namespace)

    assert write("a.b", "c").ok
    before = sorted((tmp_path / "a.b.c").iterdir())
    for namespace, name in (("a", "b.c"), (None, "a.b.c")):
        result = write(namespace, name)
        assert isinstance(result.error, ConfigError)
        assert "would share the folder a.b.c" in result.error.message
        assert "owner.json" in result.error.hint
    assert sorted((tmp_path / "a.b.c").iterdir()) == before
    assert write("a.b", "c").ok


@pytest.mark.parametrize(
    "name", ["", "%", "tmp", "incoming", "orders.csv", "owner.json", ".kitestring", "con", "a ", "e\u0301", "\u00e9",
             "\ud83d", "x" * 400, "x" * 401, "Orders", "orders", ".", "/"],
)  # fmt: skip
def test_any_name_is_a_place_of_its_own(tmp_path: Path, name: str) -> None:
    files = Files(path=str(tmp_path))
    for other in ("other", name):
        stream = Stream(other, primary_key=(("id",),), write=WRITES["overwrite_dedup"])
        for _ in range(2):
            files.begin(stream)
            files.write(stream, Batch(other, rows=keyed(1, 2)))
            files.commit(stream)
    assert files.count(Stream("other")) == files.count(Stream(name)) == 2
    assert len([p for p in tmp_path.iterdir() if p.name != ".kitestring"]) == 2


def test_windows_gets_no_name_that_it_has_not() -> None:
    assert stream_folder(Stream("con"), windows=True) == "%63on"
    assert stream_folder(Stream("nul.txt"), windows=True) == "%6Eul.txt"
    assert stream_folder(Stream("a."), windows=True) == "a%2E"
    assert stream_folder(Stream("icon"), windows=True) == "icon"
    assert stream_folder(Stream("con"), windows=False) == "con"


def test_work_of_a_stream_called_tmp_is_not_swept_away(tmp_path: Path) -> None:
    import os

    assert sync(tmp_path, "jsonl", keyed(1), name="tmp").ok
    left = tmp_path / ".kitestring" / "tmp" / "incoming"
    left.mkdir()
    for kept in (left, left.parent / "owner.json", left.parent / "lock"):
        os.utime(kept, (0, 0))
    assert sync(tmp_path, "jsonl", keyed(2), name="tmp").ok
    assert len(values(tmp_path, name="tmp")) == 2
    assert {path.name for path in left.parent.iterdir()} >= {"owner.json", "lock"}


@pytest.mark.parametrize("exchange", [True, False])
def test_folders_of_somebody_else_in_a_streams_folder_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr("kitestring.files.store.exchange_folders", lambda new, old: False)
    assert sync(tmp_path, "jsonl", keyed(1)).ok
    (tmp_path / "s" / "mine").mkdir()
    (tmp_path / "s" / "mine" / "note").write_text("x")
    for mode in ("append_dedup", "overwrite"):
        assert sync(tmp_path, "jsonl", keyed(1, 2), mode).ok
        assert (tmp_path / "s" / "mine" / "note").read_text() == "x"


# -- what is there goes on ---------------------------------------------------------------------------------------------


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """What commit 664614f left."""
    with tarfile.open(BEFORE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("name", ["merged", "typed"])
def test_files_of_an_earlier_version_go_on_without_a_double(before: Path, format_: str, name: str) -> None:
    path, schema = before / format_, {"id": {"type": "integer"}} if name == "typed" else None
    kept = {file.name for file in (path / name).iterdir()}
    for turn in range(2):
        result = sync(path, format_, [{"id": 2, "text": f"new {turn}"}], name=name, schema=schema)
        assert result.status is Status.succeeded, result.as_dict()
        assert values(path, name=name) == sorted(["a", f"new {turn}", "c" if name == "typed" else "c2"])
    gone = {"id": 1, DELETED_AT: "2026-01-01T00:00:00Z"}
    result = sync(path, format_, [gone], name=name, schema=schema)
    assert result.streams[name].deleted == 1
    assert len(values(path, name=name)) == 2
    assert kept  # they were there


@pytest.mark.parametrize("format_", FORMATS)
def test_what_an_earlier_version_left_waiting_is_merged(before: Path, format_: str) -> None:
    assert sync(before / format_, format_, keyed(4, text="d"), name="waiting").ok
    assert values(before / format_, name="waiting") == ["b2", "c", "d"]


def test_waiting_lines_that_an_earlier_version_could_not_read_are_healed(before: Path) -> None:
    for _ in range(2):
        assert sync(before / "jsonl", "jsonl", keyed(2, text="ok"), name="odd").ok
    assert values(before / "jsonl", name="odd") == ["cut \ufffd", "ok"]
    pattern = str(before / "jsonl/odd/*.jsonl")
    rows = duckdb.sql(f"SELECT id FROM read_json('{pattern}', format='newline_delimited', union_by_name=true)")
    assert sorted(rows.fetchall()) == [(1,), (2,)]
    for file in (before / "jsonl/odd").iterdir():
        assert "NaN," not in file.read_text()


@pytest.mark.parametrize(("format_", "damage"), [("parquet", b"PAR1 no"), ("jsonl", b'{"id": 1\n')])
def test_a_waiting_file_that_nobody_can_read_is_named(tmp_path: Path, format_: str, damage: bytes) -> None:
    assert sync(tmp_path, format_, keyed(1)).ok
    waiting = tmp_path / ".kitestring/s/incoming"
    waiting.mkdir()
    (waiting / f"00000000Z.{format_}").write_bytes(damage)
    result = sync(tmp_path, format_, keyed(2))
    assert isinstance(result.error, ConfigError)
    assert f".kitestring/s/incoming/00000000Z.{format_} cannot be read" in result.error.message
    assert "move it out" in result.error.hint
    assert sync(tmp_path, format_, keyed(2), "overwrite").ok  # a new copy needs nothing of it
    assert values(tmp_path, "id")[-1] in (2, "2")
