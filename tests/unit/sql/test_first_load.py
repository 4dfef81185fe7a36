"""The states of a load that is done in parts, and how far each stream is."""

from __future__ import annotations

from typing import Any

from kitestring.sql.changes import Tracked, Window
from kitestring.sql.first_load import FirstLoad, Positions, merged
from kitestring.sql.shared_state import SharedState
from kitestring.types import GLOBAL, Stream


def after(*checkpoints: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for checkpoint in checkpoints:
        state = merged(state, checkpoint)
    return state


def test_parts_in_any_order_add_up_to_a_loaded_stream() -> None:
    load = FirstLoad(low=5, count=3, id="5", note={"oid": 1})
    parts = [load.begun(), load.loaded("c", 5), load.begun(), load.loaded("a", 5), load.loaded("b", 9)]
    assert FirstLoad.of(after(*parts[:4])) == FirstLoad(5, 3, None, {"c": 5, "a": 5}, "5", {"oid": 1})
    assert after(*parts) == {"id": "5", "low": 5, "first": 5, "last": 9, "note": {"oid": 1}}


def test_a_part_that_comes_late_or_twice_changes_nothing() -> None:
    load = FirstLoad(low=5, count=1, id="5")
    state = after(load.begun(), load.loaded("a", 5))
    assert merged(state, load.loaded("a", 5)) == state
    assert merged(state, load.begun()) == state


def test_another_load_begins_at_its_start() -> None:
    first, second = FirstLoad(low=5, count=2, id="5"), FirstLoad(low=7, count=2, id="7")
    state = after(first.begun(), first.loaded("a", 5), second.begun())
    assert FirstLoad.of(state) == FirstLoad(7, 2, None, {}, "7")


def test_a_load_that_goes_on_has_a_window_from_its_first_snapshot_to_the_last() -> None:
    load = FirstLoad(low=5, count=3, parts={"a": 6})
    assert load.window(9) == Window(5, 6, 9)
    assert FirstLoad(low=5, count=1).window(5) == Window.at(5)


def test_the_log_is_kept_from_the_position_of_the_stream_that_is_furthest_behind() -> None:
    loading = FirstLoad(low=50, count=2, id="50")
    states = {
        GLOBAL: {"position": 90, "streams": ["a"]},
        "a": {"low": 10, "first": 10, "last": 10},
        "b": {"low": 70, "first": 70, "last": 70},
        "c": loading.begun(),
    }
    positions = Positions(["a", "b", "c", "new"], states)
    assert [positions.low(stream) for stream in ("a", "b", "c", "new")] == [90, 70, 50, None]
    assert positions.least() == 50
    assert positions.saved({"c": after(loading.begun(), loading.loaded("x", 50), loading.loaded("y", 50))}) == 50
    assert positions.saved({GLOBAL: {"position": 95, "streams": ["a", "b", "c"]}}) == 95
    assert Positions(["new"], states).least() is None


def test_a_stream_that_is_ahead_keeps_its_position_while_the_log_is_read_again_for_another() -> None:
    """A sync that breaks off then gives it no change a second time."""
    windows = {"a": Window.at(300), "b": Window.at(100)}
    tracked = {key: Tracked(Stream(key), window, lambda keys: keys, tuple) for key, window in windows.items()}
    shared = SharedState({"a": 300, "b": 100, "failed": 50, "new": None}, tracked, lambda position: {"log": position})
    state = shared(150)
    assert state == {"position": 150, "streams": ["b"], "left": {"a": 300, "failed": 50}, "log": 150}
    own = {key: {"low": 10, "first": 10, "last": 10} for key in ("a", "b", "failed")}
    positions = Positions(own, {GLOBAL: state, **own})
    assert [positions.low(key) for key in own] == [300, 150, 50]
    assert positions.least() == 50
    assert shared(300) == {"position": 300, "streams": ["a", "b"], "left": {"failed": 50}, "log": 300}
