"""Delta tables beyond the contract: commits that are not made twice, conflicts, object stores, old files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from stand_ins.object_store import running_s3

from kitestring.batch import Batch
from kitestring.destinations.delta import Delta, DeltaTables
from kitestring.engine import Selection, Status, sync
from kitestring.errors import ConfigError, KitestringError, TransientError
from kitestring.lake.table_format import WriteId
from kitestring.testing.memory import MemorySource
from kitestring.types import Stream, Write

pytestmark = pytest.mark.slow

SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}, "text": {"type": ["null", "string"]}}}


def source(count: int, text: str = "a") -> MemorySource:
    records = [{"id": n, "text": f"{text}{n}"} for n in range(count)]
    return MemorySource(records={"things": records}, primary_keys={"things": "id"}, schemas={"things": SCHEMA})


def run(destination: Delta, count: int, mode: str, text: str = "a") -> Any:
    result = sync(source(count, text), destination, [Selection("things", write_mode=mode)])
    assert result.status is Status.succeeded, result.as_dict()
    return result.streams["things"]


def rows_of(place: str | Path, **options: Any) -> list[dict[str, Any]]:
    table = DeltaTable(str(place), **options).to_pyarrow_table()
    return sorted(table.to_pylist(), key=lambda row: row["id"])


def test_a_batch_whose_answer_was_lost_is_not_added_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit is made, then the connection breaks; the engine writes the batch again."""
    from kitestring.destinations import delta

    append, lost = delta.OpenDelta.append, iter([True])

    def broken(table: Any, rows: Any, write: WriteId | None) -> None:
        append(table, rows, write)
        if next(lost, False):
            raise TransientError("the connection broke")

    monkeypatch.setattr(delta.OpenDelta, "append", broken)
    figures = run(Delta(path=str(tmp_path)), 3, "append")
    assert figures.written == 3
    assert [row["id"] for row in rows_of(tmp_path / "default" / "things")] == [0, 1, 2]


def test_a_batch_of_a_failed_sync_is_never_taken_for_one_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commit was made, but the store was away until the sync had failed. The next one reads more records."""
    from kitestring.destinations import delta

    destination, stream = Delta(path=str(tmp_path)), Stream("things", schema=SCHEMA)
    append = delta.OpenDelta.append

    def broken(table: Any, rows: Any, write: WriteId | None) -> None:
        append(table, rows, write)
        raise TransientError("the connection broke")

    def write(*ids: int) -> None:
        rows = [{"id": n, "text": "x"} for n in ids]
        destination.begin(stream)
        destination.write(stream, destination.prepare(stream, Batch("things", rows=rows)))

    monkeypatch.setattr(delta.OpenDelta, "append", broken)
    with pytest.raises(TransientError):
        write(1)
    destination.close()
    monkeypatch.setattr(delta.OpenDelta, "append", append)
    write(1, 2)
    assert [row["id"] for row in rows_of(tmp_path / "default" / "things")] == [1, 1, 2]


def test_rows_that_another_program_changed_meanwhile_stop_the_commit(tmp_path: Path) -> None:
    run(Delta(path=str(tmp_path)), 3, "append")
    place = tmp_path / "default" / "things"
    opened = DeltaTables(str(tmp_path), {}).open("default", "things")
    assert opened is not None
    DeltaTable(str(place)).delete("id = 1")
    keys, rows = pa.table({"id": [1]}), pa.table({"id": [1], "text": ["new"]})
    with pytest.raises(TransientError, match="at the same time"):
        opened.replace(keys, rows.cast(opened.schema), None)
    assert [row["id"] for row in rows_of(place)] == [0, 2]


def test_keys_that_are_null_long_or_close_in_time_are_replaced_exactly(tmp_path: Path) -> None:
    """The statistics of a Delta log cut off long texts, and moments at milliseconds."""
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": ["null", "string"]},
            "at": {"type": "string", "format": "date-time"},
            "n": {"type": "integer"},
        },
    }
    stream = Stream(
        "things",
        schema=schema,
        primary_key=(("name",), ("at",)),
        write=Write(replace=False, keep="latest", deletes="keep"),
    )
    keys = [
        (name, f"2026-01-01T00:00:00.{second:06}Z")
        for name in (None, "é" * 60, "é" * 60 + "\U0010ffff", "z" * 40)
        for second in (1, 2, 999_999)
    ]
    destination = Delta(path=str(tmp_path))
    for number in range(3):
        destination.begin(stream)
        rows = [{"name": name, "at": at, "n": number} for name, at in keys[number:]]
        destination.write(stream, destination.prepare(stream, Batch("things", rows=rows)))
        destination.commit(stream)
        destination.close()
    rows = DeltaTable(str(tmp_path / "default" / "things")).to_pyarrow_table().to_pylist()
    assert sorted(row["n"] for row in rows) == [0, 1, *[2] * 10]


def test_small_files_are_joined_and_old_ones_stay_until_they_are_vacuumed(tmp_path: Path) -> None:
    place = tmp_path / "default" / "things"
    run(Delta(path=str(tmp_path), compact=False), 2, "append")
    for _ in range(21):
        write_deltalake(str(place), pa.table({"id": [7], "text": ["x"]}), mode="append")
    run(Delta(path=str(tmp_path)), 1, "append_dedup")
    assert len(DeltaTable(str(place)).file_uris()) == 1
    assert len(rows_of(place)) == 23
    assert len(list(place.glob("*.parquet"))) > 20
    with pytest.raises(ConfigError):
        Delta.load({"path": str(tmp_path), "vacuum_hours": 1})


def test_files_that_cannot_be_joined_fail_no_sync(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    place = tmp_path / "default" / "things"
    run(Delta(path=str(tmp_path), compact=False), 1, "append")
    for _ in range(21):
        write_deltalake(str(place), pa.table({"id": [7], "text": ["x"]}), mode="append")
    next(place.glob("*.parquet")).unlink()
    run(Delta(path=str(tmp_path)), 1, "append")
    assert DeltaTable(str(place)).count() == 23
    assert "the files of things were not tidied" in caplog.text


# -- S3 ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """A stand-in for S3 with the bucket `lake`: options of delta-rs."""
    with running_s3("lake") as address:
        yield {
            "aws_access_key_id": "key",
            "aws_secret_access_key": "secret",
            "aws_region": "us-east-1",
            "aws_endpoint_url": address,
            "aws_allow_http": "true",
        }


def test_tables_of_an_object_store_are_written_replaced_listed_and_dropped(s3: dict[str, str]) -> None:
    destination = Delta.load({"path": "s3://lake/tables/", "storage_options": s3})
    destination.check()
    assert destination.stored_streams() == []
    run(destination, 3, "append_dedup")
    figures = run(destination, 4, "append_dedup")
    assert (figures.written, figures.unchanged) == (1, 3)
    run(destination, 2, "overwrite", "b")
    assert rows_of("s3://lake/tables/default/things", storage_options=s3) == [
        {"id": 0, "text": "b0"},
        {"id": 1, "text": "b1"},
    ]
    streams = destination.stored_streams()
    assert streams is not None
    assert [(stream.name, stream.records) for stream in streams] == [("things", 2)]
    assert DeltaTables("s3://lake/tables", s3).listed() == [("default", "things")]


@pytest.mark.parametrize(
    ("change", "kind"),
    [({"path": "s3://nowhere/x"}, ConfigError), ({"aws_endpoint_url": "http://127.0.0.1:9"}, TransientError)],
)
def test_an_object_store_that_does_not_answer_is_described(
    s3: dict[str, str], change: dict[str, str], kind: type[KitestringError]
) -> None:
    path = change.pop("path", "s3://lake/x")
    options = {**s3, **change, "timeout": "2s", "connect_timeout": "1s", "max_retries": "0", "retry_timeout": "1s"}
    with pytest.raises(kind) as caught:
        Delta.load({"path": path, "storage_options": options}).check()
    assert "secret" not in str(caught.value)


def test_what_names_credentials_of_the_machine_is_declared(s3: dict[str, str]) -> None:
    assert Delta(path="./lake").machine_use() is None
    assert Delta(path="s3://lake", storage_options=s3).machine_use() is None
    assert "credentials" in str(Delta(path="s3://lake").machine_use())
    odd = {**s3, "aws_web_identity_token_file": "/etc/passwd"}
    assert "aws_web_identity_token_file" in str(Delta(path="s3://lake", storage_options=odd).machine_use())
