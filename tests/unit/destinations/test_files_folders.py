"""The folders of streams, and files of an earlier version."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
from files_syncs import BEFORE, FORMATS, keyed, sync, values

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.destinations.files import Files
from kitestring.engine import Selection, Status
from kitestring.engine import sync as run
from kitestring.errors import ConfigError
from kitestring.files.stream_folder import stream_folder
from kitestring.testing.memory import MemorySource
from kitestring.types import DELETED_AT, Stream


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
    for number in range(2):
        result = sync(path, format_, [{"id": 2, "text": f"new {number}"}], name=name, schema=schema)
        assert result.status is Status.succeeded, result.as_dict()
        assert values(path, name=name) == sorted(["a", f"new {number}", "c" if name == "typed" else "c2"])
    record = {"id": 1, DELETED_AT: "2026-01-01T00:00:00Z"}
    result = sync(path, format_, [record], name=name, schema=schema)
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
