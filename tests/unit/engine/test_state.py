"""Where states are kept, and what happens when they cannot be."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from kitestring.engine import JsonStates, MemoryStates, SqliteStates
from kitestring.errors import ConfigError


@pytest.fixture(params=["memory", "sqlite", "json"])
def states(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    match request.param:
        case "memory":
            return MemoryStates()
        case "sqlite":
            return SqliteStates(tmp_path / "state.db")
        case _:
            return JsonStates(tmp_path / "state.json")


def test_states_are_saved_replaced_listed_and_cleared(states: Any) -> None:
    assert states.load("a") == {}
    states.save("a", "t", {"cursor": 1})
    states.save("a", "t", {"cursor": 2, "deep": {"ü": [1, None]}})
    states.save("a", "u", {})
    states.save("b", "t", {"cursor": "x"})
    assert states.load("a") == {"t": {"cursor": 2, "deep": {"ü": [1, None]}}, "u": {}}
    assert states.connections() == ["a", "b"]
    states.clear("a", "t")
    assert states.load("a") == {"u": {}}
    states.clear("a")
    assert states.connections() == ["b"]
    states.clear("never")
    states.clear("never", "t")


def test_a_loaded_state_can_be_changed_without_changing_the_saved(states: Any) -> None:
    states.save("a", "t", {"list": [1]})
    states.load("a")["t"]["list"].append(2)
    assert states.load("a") == {"t": {"list": [1]}}


def test_one_holder_at_a_time_and_free_again_afterwards(states: Any) -> None:
    with states.lock("a"), pytest.raises(ConfigError, match="another sync of the connection a is running"):
        states.lock("a").__enter__()
    with states.lock("a"):
        pass


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_text("this is not a database, whatever its name says" * 50)
    with pytest.raises(ConfigError, match=r"state\.db cannot be used: file is not a database"):
        SqliteStates(path).load("a")


@pytest.mark.parametrize("store", [SqliteStates, JsonStates])
def test_a_folder_that_cannot_be_written_is_named(store: Any, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigError, match="cannot be used"):
        store(blocked / "state").save("a", "t", {})
    with pytest.raises(ConfigError, match="cannot be used"), store(blocked / "state").lock("a"):
        pass


def test_a_json_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be used"):
        JsonStates(path).load("a")
    path.write_text("[]")
    with pytest.raises(ConfigError, match="the state of the file in state"):
        JsonStates(path).load("a")
    path.write_text('{"a": 3}')
    with pytest.raises(ConfigError, match="the state of a in state"):
        JsonStates(path).load("a")


def test_a_write_that_fails_leaves_the_json_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = JsonStates(tmp_path / "state.json")
    states.save("a", "t", {"cursor": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        states.save("a", "t", {"cursor": 2})
    assert states.load("a") == {"t": {"cursor": 1}}
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_damaged_state_in_the_database_is_refused(tmp_path: Path) -> None:
    states = SqliteStates(tmp_path / "state.db")
    states.save("a", "t", {})
    with sqlite3.connect(states.path) as database:
        database.execute("UPDATE states SET state = '[1'")
    with pytest.raises(ConfigError, match=r"state\.db is not JSON"):
        states.load("a")
