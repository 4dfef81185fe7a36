"""A Singer tap: its catalog, its records and its one state."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from kitestring.airbyte.singer import SingerSource, document
from kitestring.engine import MemoryStates, Result, Selection, Status, sync
from kitestring.errors import ConfigError, ConnectorError
from kitestring.testing.memory import MemoryDestination

ACTOR = [sys.executable, "-I", "-S", str(Path(__file__).parent / "actor.py")]


def entry(name: str, **about: Any) -> dict[str, Any]:
    return {
        "tap_stream_id": f"id-{name}",
        "stream": name,
        "schema": {"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string"}}},
        "metadata": [
            {"breadcrumb": [], "metadata": {"table-key-properties": ["id"], "inclusion": "available", **about}},
            {"breadcrumb": ["properties", "at"], "metadata": {"inclusion": "available"}},
            {"breadcrumb": ["properties", "odd"], "metadata": {"inclusion": "unsupported"}},
        ],
    }


CATALOG = {
    "streams": [
        entry("a", **{"valid-replication-keys": ["at"]}),
        entry("b", **{"forced-replication-method": "FULL_TABLE"}),
    ]
}


def row(stream: str, number: int) -> dict[str, Any]:
    return {"say": {"type": "RECORD", "stream": stream, "record": {"id": number}, "time_extracted": "2026-01-01"}}


def state(**bookmarks: Any) -> dict[str, Any]:
    return {"say": {"type": "STATE", "value": {"bookmarks": bookmarks, "currently_syncing": None}}}


def tap(read: list[Any], **more: Any) -> SingerSource:
    config = {"discover": [{"raw": "INFO starting\n" + json.dumps(CATALOG, indent=2)}], "read": read, **more}
    return SingerSource.load({"command": ACTOR, "config": config})


def run(
    singer_source: SingerSource, *streams: Selection | str, states: MemoryStates | None = None
) -> tuple[Result, MemoryDestination]:
    destination = MemoryDestination()
    return sync(singer_source, destination, list(streams) or None, states=states), destination


def test_the_catalog_says_keys_and_modes() -> None:
    a, b = tap([]).discover()
    assert (a.name, a.primary_key, a.cursor) == ("a", (("id",),), ("at",))
    assert [mode.value for mode in a.sync_modes] == ["full_refresh", "incremental"]
    assert [mode.value for mode in b.sync_modes] == ["full_refresh"]


def test_records_arrive_under_the_name_or_the_id_of_their_stream() -> None:
    schema = {"say": {"type": "SCHEMA", "stream": "a", "schema": {}, "key_properties": ["id"]}}
    result, destination = run(
        tap([schema, row("a", 1), row("id-a", 2), row("b", 3), {"say": {"type": "ACTIVATE_VERSION"}}])
    )
    assert result.ok
    assert [r["id"] for r in destination.stored["a"]] == [1, 2]
    assert [r["id"] for r in destination.stored["b"]] == [3]


def test_selected_streams_are_marked_the_way_taps_want_it(tmp_path: Path) -> None:
    assert run(tap([row("a", 1)], notes=str(tmp_path)), "a")[0].ok
    called = json.loads((tmp_path / "read.json").read_text())["files"]["--catalog"]["content"]
    a, b = called["streams"]
    root, field, odd = (item["metadata"] for item in a["metadata"])
    assert (root["selected"], root["replication-method"], root["replication-key"]) == (True, "INCREMENTAL", "at")
    assert field["selected"] is True
    assert "selected" not in odd
    assert b["metadata"][0]["metadata"]["selected"] is False


def test_the_state_is_saved_and_handed_back_without_the_streams_that_are_read_in_full(tmp_path: Path) -> None:
    states = MemoryStates()
    assert run(
        tap([row("a", 1), state(a={"at": 1}, b={"x": 1}), row("b", 1), state(a={"at": 2}, b={"x": 2})]), states=states
    )[0].ok
    assert states.load("default")[""]["value"]["bookmarks"]["a"] == {"at": 2}
    assert run(tap([row("a", 1)], notes=str(tmp_path)), states=states)[0].ok
    called = json.loads((tmp_path / "read.json").read_text())["files"]
    assert called["--state"]["content"] == {"bookmarks": {"a": {"at": 2}}, "currently_syncing": None}
    full = Selection("a", sync_mode="full_refresh", write_mode="overwrite")
    assert run(tap([row("a", 1)], notes=str(tmp_path)), full, "b", states=states)[0].ok
    assert "--state" not in json.loads((tmp_path / "read.json").read_text())["files"]


def test_a_tap_that_crashes_fails_the_sync_and_keeps_the_state_before() -> None:
    states = MemoryStates()
    actions = [row("a", 1), state(a={"at": 1}), row("a", 2), {"error": "CRITICAL no route"}, {"exit": 1}]
    result, _ = run(tap(actions), "a", states=states)
    assert result.status is Status.failed
    assert "CRITICAL no route" in str(result.streams["a"].error)
    assert states.load("default")["a"]["value"] == {"bookmarks": {"a": {"at": 1}}, "currently_syncing": None}


def test_a_tap_that_cannot_discover_is_not_configured() -> None:
    broken = SingerSource.load({"command": ACTOR, "config": {"discover": [{"error": "no key"}, {"exit": 1}]}})
    with pytest.raises(ConfigError, match="no key"):
        broken.check()
    with pytest.raises(ConnectorError, match="gave no catalog"):
        SingerSource.load({"command": ACTOR, "config": {"discover": [{"raw": "hello"}]}}).discover()


def test_files_instead_of_records_are_refused() -> None:
    result, _ = run(tap([{"say": {"type": "BATCH", "stream": "a", "manifest": []}}]), "a")
    assert "batch_config" in result.streams["a"].error.hint  # type: ignore[union-attr]


def test_records_that_are_no_objects_are_rejected() -> None:
    odd = {"say": {"type": "RECORD", "stream": "a", "record": "text"}}
    result, _ = run(tap([odd, row("a", 1)]), "a")
    assert (result.streams["a"].read, result.streams["a"].rejected) == (2, 1)


def test_a_catalog_is_found_behind_whatever_was_printed_before_it() -> None:
    assert document(b'{"level": "info"}\n{"streams": []}') == {"streams": []}
    assert document(b'hello { world\n{"streams": [1]}') == {"streams": [1]}
    assert document(b"nothing") is None
