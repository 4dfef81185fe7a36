"""What the digests of the last list tell, and what becomes of odd ones."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from loopback import Api, Open, cursor, stream

from kitestring.declarative import DeclarativeSource, listed_records
from kitestring.declarative.listed_records import LISTED, digests_in
from kitestring.engine import Result, Selection
from kitestring.engine import sync as run
from kitestring.engine.state import MemoryStates
from kitestring.errors import ConfigError
from kitestring.testing.memory import MemoryDestination
from kitestring.types import SyncMode, Write

WHOLE = {"is_client_side_incremental": True, "passes_newly_listed": True}


def rows(*pairs: tuple[int, str]) -> dict[str, Any]:
    return {"data": [{"id": number, "updated_at": f"{day}T00:00:00Z"} for number, day in pairs]}


def synced(source: DeclarativeSource, states: MemoryStates, **more: Any) -> tuple[Result, list[Any]]:
    destination = MemoryDestination(**more)
    selection = Selection("things", SyncMode.incremental, Write(keep="latest"))
    result = run(source, destination, [selection], states=states)
    return result, sorted(row["id"] for row in destination.stored.get("things", ()))


def opened(api: Api, open_source: Open, **more: Any) -> DeclarativeSource:
    things = stream(url=api.url, path="/things", incremental_sync={**cursor(), **WHOLE, **more})
    return open_source({**things, "primary_key": "id"})


def test_a_record_comes_once_for_each_time_that_it_is_listed_with(api: Api, open_source: Open) -> None:
    states = MemoryStates()
    api.answers["/things"] = rows((1, "2024-01-05"), (2, "2024-01-20"))
    assert synced(opened(api, open_source), states)[1] == [1, 2]
    assert synced(opened(api, open_source), states)[1] == []
    api.answers["/things"] = rows((1, "2024-01-06"), (2, "2024-01-20"), (3, "2024-01-02"))
    assert synced(opened(api, open_source), states)[1] == [1, 3]
    api.answers["/things"] = rows((1, "2024-01-06"), (3, "2024-01-02"))
    assert synced(opened(api, open_source), states)[1] == []
    api.answers["/things"] = rows((1, "2024-01-06"), (2, "2024-01-20"), (3, "2024-01-02"))
    assert synced(opened(api, open_source), states)[1] == [2], "it was gone, and is back with its old time"


def test_a_list_that_broke_off_does_not_take_the_place_of_the_last_one(api: Api, open_source: Open) -> None:
    states = MemoryStates()
    api.answers["/things"] = rows((1, "2024-01-05"), (2, "2024-01-20"))
    synced(opened(api, open_source), states)
    api.answers["/things"] = (400, {"message": "no"})
    assert synced(opened(api, open_source), states)[0].status == "failed"
    api.answers["/things"] = rows((1, "2024-01-05"), (2, "2024-01-20"), (3, "2024-01-01"))
    assert synced(opened(api, open_source), states)[1] == [3]


def test_what_changed_just_before_the_sync_is_not_taken_for_known(api: Api, open_source: Open) -> None:
    states = MemoryStates()
    today = datetime.now(UTC).date().isoformat()
    api.answers["/things"] = rows((1, "2024-01-05"), (2, today))
    for _ in range(2):
        assert 2 in synced(opened(api, open_source, lookback_window="P2D", end_datetime=None), states)[1]


def test_a_list_that_is_too_long_is_read_by_time(
    api: Api, open_source: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(listed_records, "MOST_LISTED", 2)
    states = MemoryStates()
    api.answers["/things"] = rows((1, "2024-01-05"), (2, "2024-01-20"), (3, "2024-01-21"))
    assert synced(opened(api, open_source), states)[1] == [1, 2, 3]
    assert "the API lists 3 records, more than the 2 that are remembered" in caplog.text
    assert LISTED not in states.load("default")["things"]
    assert synced(opened(api, open_source), states)[1] == [3]


@pytest.mark.parametrize("text", ["no base64!", "YWJj", "é"])
def test_digests_that_somebody_changed_are_none(text: str) -> None:
    assert digests_in(text) is None


def test_a_list_that_is_not_read_to_its_end_cannot_be_remembered(api: Api, open_source: Open) -> None:
    things = stream(url=api.url, path="/things", incremental_sync={**cursor(), "passes_newly_listed": True})
    with pytest.raises(ConfigError, match="passes_newly_listed: needs `is_client_side_incremental`"):
        open_source(things).discover()
