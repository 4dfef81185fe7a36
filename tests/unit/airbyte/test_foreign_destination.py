"""A foreign destination: a batch counts as written when the connector gave back the state behind it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kitestring.airbyte.destination import AirbyteDestination, Writing
from kitestring.airbyte.modes import WRITES
from kitestring.engine import MemoryStates, Result, Selection, Status, sync
from kitestring.errors import ConfigError, ConnectorError, KitestringError
from kitestring.testing.memory import MemorySource
from kitestring.types import SchemaChange, Truncate

pytestmark = pytest.mark.slow

SHELF = [sys.executable, "-I", "-S", str(Path(__file__).parent / "shelf.py")]


def shelf(folder: Path, trouble: str = "", **settings: Any) -> AirbyteDestination:
    return AirbyteDestination.load(
        {"command": SHELF, "config": {"folder": str(folder), "trouble": trouble}, **settings}
    )


def source(count: int, text: str = "text") -> MemorySource:
    return MemorySource(
        records={"a": [{"id": n, "text": text} for n in range(count)]}, primary_keys={"a": "id"}, cursors={"a": "id"}
    )


def stored(folder: Path) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads((folder / "a.json").read_text())
    return content


def run(folder: Path, count: int, mode: str, trouble: str = "", **more: Any) -> Result:
    how = "full_refresh" if mode == "overwrite" else None
    destination = shelf(folder, trouble, **more.pop("settings", {}))
    return sync(source(count), destination, [Selection("a", sync_mode=how, write_mode=mode)], **more)


def error_of(result: Result) -> KitestringError:
    error = result.error or result.streams["a"].error
    assert error is not None
    return error


def test_its_modes_are_those_of_its_spec_and_its_check_is_its_own(tmp_path: Path) -> None:
    single_shelf = shelf(tmp_path)
    assert single_shelf.writes == {WRITES[word] for word in ("append", "overwrite", "append_dedup")}
    single_shelf.check()


def test_records_are_written_and_the_state_is_saved_behind_them(tmp_path: Path) -> None:
    states = MemoryStates()
    result = run(tmp_path, 250, "append", states=states)
    assert result.status is Status.succeeded
    assert len(stored(tmp_path)) == 250
    assert states.load("default")["a"] == {"cursor": 249}


def test_an_overwrite_replaces_when_the_process_has_ended_well(tmp_path: Path) -> None:
    assert run(tmp_path, 20, "overwrite").ok
    assert run(tmp_path, 3, "overwrite").ok
    assert [row["id"] for row in stored(tmp_path)] == [0, 1, 2]


@pytest.mark.parametrize("trouble", ["crash", "error", "end"])
def test_an_overwrite_that_fails_keeps_the_old_data(tmp_path: Path, trouble: str) -> None:
    assert run(tmp_path, 20, "overwrite").ok
    result = run(tmp_path, 7, "overwrite", trouble)
    assert result.status is Status.failed
    assert len(stored(tmp_path)) == 20


@pytest.mark.parametrize(
    ("trouble", "kind", "sentence"),
    [
        ("crash", ConnectorError, "exit code 7.*the shelf fell over"),
        ("error", ConfigError, "the disk is full"),
        ("end", ConnectorError, "exit code 3 at the end of a"),
    ],
)
def test_a_write_that_fails_is_never_green(tmp_path: Path, trouble: str, kind: type, sentence: str) -> None:
    states = MemoryStates()
    result = run(tmp_path, 50, "append", trouble, states=states)
    assert result.status is Status.failed
    error = error_of(result)
    assert isinstance(error, kind)
    assert __import__("re").search(sentence, str(error))
    if trouble != "end":
        assert states.load("default") == {}


def test_a_connector_that_counts_fewer_records_than_it_was_given_is_suspicious(tmp_path: Path) -> None:
    result = run(tmp_path, 50, "append", "lossy")
    assert result.status is Status.suspicious
    assert "50 records were read, 49 are accounted for" in result.streams["a"].suspicions[0]


def test_a_connector_that_never_gives_the_state_back_is_ended(tmp_path: Path) -> None:
    from kitestring.batch import Batch
    from kitestring.errors import TransientError
    from kitestring.types import Stream

    single_shelf, stream = shelf(tmp_path, "silent", quiet_s=0.6), Stream("a")
    began = time.monotonic()
    single_shelf.begin(stream)
    with pytest.raises(TransientError, match="wrote nothing for"):
        single_shelf.write(stream, Batch("a", rows=[{"id": 1}]))
    single_shelf.close()
    assert time.monotonic() - began < 300


def test_a_pause_in_which_nothing_is_asked_of_it_does_not_count_as_silence(tmp_path: Path) -> None:
    from kitestring.batch import Batch
    from kitestring.types import Stream

    single_shelf, stream = shelf(tmp_path, quiet_s=3), Stream("a")
    single_shelf.begin(stream)
    for number in range(2):
        single_shelf.write(stream, Batch("a", rows=[{"id": number}]))
        time.sleep(4)
    single_shelf.commit(stream)
    assert len(stored(tmp_path)) == 2


def test_a_stream_that_is_aborted_leaves_no_process(tmp_path: Path) -> None:
    from kitestring.batch import Batch
    from kitestring.types import Stream

    single_shelf, stream = shelf(tmp_path), Stream("a")
    single_shelf.begin(stream)
    single_shelf.write(stream, Batch("a", rows=[{"id": 1}]))
    process = single_shelf._writing["a"].process
    assert process is not None
    single_shelf.abort(stream)
    assert process._process.poll() is not None
    assert not process.folder.exists()


WIDER = SchemaChange({"type": "object", "properties": {"id": {"type": "integer"}, "more": {"type": "string"}}})


def test_a_changed_schema_in_the_middle_of_a_read_starts_another_process_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    start = Writing.start

    def noting(self: Writing) -> None:
        if self.process is None:
            started.append(sorted(self.stream.schema["properties"]))
        start(self)

    monkeypatch.setattr(Writing, "start", noting)
    items = MemorySource(
        records={"a": [{"id": 1}, WIDER, {"id": 2, "more": "m"}]},
        schemas={"a": {"type": "object", "properties": {"id": {"type": "integer"}}}},
    )
    assert sync(items, shelf(tmp_path), [Selection("a", write_mode="append")]).ok
    assert stored(tmp_path) == [{"id": 1}, {"id": 2, "more": "m"}]
    assert started == [["id"], ["id", "more"]]


def test_a_changed_schema_in_the_middle_of_an_overwrite_fails_and_the_old_data_stand(tmp_path: Path) -> None:
    assert run(tmp_path, 3, "overwrite").ok
    items = MemorySource(records={"a": [{"id": 7}, WIDER, {"id": 8}]})
    result = sync(items, shelf(tmp_path), [Selection("a", write_mode="overwrite")])
    assert result.status is Status.failed
    assert "has a schema only at its start" in error_of(result).message
    assert len(stored(tmp_path)) == 3


def test_a_stream_that_was_emptied_is_refused_but_for_an_overwrite_which_begins_again(tmp_path: Path) -> None:
    at = "2026-05-05T05:05:05Z"
    assert run(tmp_path, 3, "append_dedup").ok
    items = MemorySource(records={"a": [{"id": 7}, Truncate(at), {"id": 8}]}, primary_keys={"a": "id"})
    result = sync(items, shelf(tmp_path), [Selection("a", write_mode="append_dedup")])
    assert result.status is Status.failed
    assert f"a was emptied at the source at {at}, and AirbyteDestination cannot remove" in error_of(result).message
    assert 8 not in [row["id"] for row in stored(tmp_path)]
    assert sync(items, shelf(tmp_path), [Selection("a", write_mode="overwrite")]).ok
    assert stored(tmp_path) == [{"id": 8}]
