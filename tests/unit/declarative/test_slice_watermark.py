"""What a cursor believes, and what it knows of the records at its value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from loopback import Api, Open, cursor, stream, sync

from kitestring.engine import Result, Selection
from kitestring.engine import sync as run
from kitestring.engine.state import MemoryStates
from kitestring.testing.memory import MemoryDestination
from kitestring.types import SyncMode, Write

SINCE = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "since"}
UNTIL = {**SINCE, "field_name": "until"}
STEPS = {"step": "P1M", "cursor_granularity": "PT1S"}


def open_ended(**more: Any) -> dict[str, Any]:
    result = cursor(start_time_option=SINCE, **more)
    del result["end_datetime"]
    return result


class Syncs:
    """Syncs of one stream into one destination, one after the other."""

    def __init__(self, open_source: Open, things: dict[str, Any], write: Write | None = None) -> None:
        self.open_source, self.things, self.write = open_source, things, write or Write()
        self.states, self.destination = MemoryStates(), MemoryDestination()

    def __call__(self) -> Result:
        selection = Selection("things", SyncMode.incremental, self.write)
        return run(self.open_source(self.things), self.destination, [selection], states=self.states)

    @property
    def state(self) -> dict[str, Any]:
        return dict(self.states.load("default")["things"])

    @property
    def ids(self) -> list[Any]:
        return sorted(row["id"] for row in self.destination.stored["things"])


def rows(*values: Any) -> dict[str, Any]:
    return {"data": [{"id": number, "updated_at": value} for number, value in enumerate(values, 1)]}


@pytest.mark.parametrize(
    ("write", "more"),
    [
        (Write(), {}),
        (Write(), {"is_client_side_incremental": True}),
        (Write(keep="latest"), {}),
        (Write(keep="latest"), STEPS),
        (Write(keep="latest"), {"is_client_side_incremental": True}),
    ],
)
def test_a_record_of_the_future_is_written_told_and_does_not_end_all_reading(
    api: Api, open_source: Open, write: Write, more: dict[str, Any]
) -> None:
    future = {"id": 2, "updated_at": "2999-01-01T00:00:00Z"}
    data = [{"id": 1, "updated_at": "2024-05-01T10:00:00Z"}, future]
    api.answers["/things"] = lambda call: {"data": [row for row in data if row["updated_at"] >= call.query["since"]]}
    syncs = Syncs(open_source, stream(url=api.url, incremental_sync=open_ended(**more)), write)
    result = syncs()
    assert result.status == "suspicious"
    assert any("2999-01-01T00:00:00Z of updated_at is in the future" in s for s in result.streams["things"].suspicions)
    assert syncs.state["updated_at"] == "2024-05-01T10:00:00Z"
    data.append({"id": 3, "updated_at": "2024-06-01T10:00:00Z"})
    syncs()
    assert syncs.ids == [1, 2, 3]
    assert syncs.state["updated_at"] == "2024-06-01T10:00:00Z"


def test_a_moment_shortly_ahead_is_normal_and_is_no_state(api: Api, open_source: Open) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    api.answers["/things"] = rows("2024-02-01T00:00:00Z", soon)
    syncs = Syncs(open_source, stream(url=api.url, incremental_sync=open_ended()))
    assert syncs().ok
    assert syncs.state["updated_at"] == "2024-02-01T00:00:00Z"
    assert syncs().ok
    assert syncs.ids == [1, 2]


def test_the_clock_that_counts_is_the_apis(api: Api, open_source: Open) -> None:
    theirs = datetime.now(UTC) + timedelta(days=300)
    values = [(theirs + timedelta(minutes=m)).strftime("%Y-%m-%dT%H:%M:%SZ") for m in (-60, 60)]
    api.answers["/things"] = (200, rows(*values), {"Date": format_datetime(theirs, usegmt=True)})
    syncs = Syncs(open_source, stream(url=api.url, incremental_sync=open_ended()))
    result = syncs()
    assert result.ok, result.as_dict()
    assert syncs.state["updated_at"] == values[0]


def test_a_state_that_lies_in_the_future_is_told_and_read_from_now_on(api: Api, open_source: Open) -> None:
    api.answers["/things"] = rows()
    syncs = Syncs(open_source, stream(url=api.url, incremental_sync=open_ended()))
    syncs.states.save("default", "things", {"updated_at": "2999-01-01T00:00:00Z"})
    result = syncs()
    assert result.status == "suspicious"
    assert "the saved state of things is 2999-01-01T00:00:00Z, in the future" in result.streams["things"].suspicions[0]
    assert api.calls[0].query["since"][:4] == str(datetime.now(UTC).year)
    assert syncs.state["updated_at"] < "2999"


@pytest.mark.parametrize(
    ("value", "state"),
    [
        ("2024-05-01T10:00:00.123456789Z", "2024-05-01T10:00:00.123456Z"),
        ("2024-05-01 10:00:00.5", "2024-05-01T10:00:00.500000Z"),
        ("2024-05-01 10:00:00 UTC", "2024-05-01T10:00:00.000000Z"),
        ("2024-05-01T12:00:00+02:00", "2024-05-01T10:00:00.000000Z"),
        ("2024-05-01", "2024-05-01T00:00:00.000000Z"),
    ],
)
@pytest.mark.parametrize("more", [{}, STEPS])
def test_values_that_iso_8601_explains_are_read(
    api: Api, open_source: Open, value: str, state: str, more: dict[str, Any]
) -> None:
    api.answers["/things"] = rows(value, None, "")
    formats = {"datetime_format": "%Y-%m-%dT%H:%M:%S.%fZ", "start_datetime": "2024-01-01T00:00:00.000000Z"}
    result = sync(open_source(stream(url=api.url, incremental_sync=open_ended(**formats, **more))))
    assert result.state == {"updated_at": state}


@pytest.mark.parametrize("bad", ["yesterday", True, {"a": 1}, float("nan"), float("inf")])
def test_a_value_that_cannot_be_read_is_told_and_is_no_state(api: Api, open_source: Open, bad: Any) -> None:
    api.answers["/things"] = rows("2024-02-01T00:00:00Z", bad)
    syncs = Syncs(open_source, stream(url=api.url, incremental_sync=open_ended()))
    result = syncs()
    assert result.status == "suspicious"
    assert "of updated_at cannot be read with the manifest's formats" in result.streams["things"].suspicions[0]
    assert syncs.state["updated_at"] == "2024-02-01T00:00:00Z"
    syncs()
    assert syncs.ids == [1, 2], "none is doubled"


def test_numbers_are_compared_as_numbers(api: Api, open_source: Open) -> None:
    counting = {"type": "IncrementingCountCursor", "cursor_field": "updated_at", "start_value": 0}
    api.answers["/things"] = rows("9", "10", 8.5, float("nan"), float("inf"))
    result = sync(open_source(stream(url=api.url, incremental_sync=counting)))
    assert result.state == {"updated_at": 10}


def test_a_late_record_with_the_states_value_arrives_and_none_is_doubled(api: Api, open_source: Open) -> None:
    day = "2024-02-01T00:00:00Z"
    api.answers["/things"] = rows("2024-01-15T00:00:00Z", day, day)
    syncs = Syncs(open_source, stream(url=api.url, incremental_sync=open_ended()))
    assert syncs().ok
    api.answers["/things"] = {"data": [{"id": number, "updated_at": day} for number in (2, 3, 4)]}
    assert syncs().ok
    assert syncs.ids == [1, 2, 3, 4]
    assert len(syncs.state["kitestring_known"][day]) == 3
    api.answers["/things"] = {"data": [{"id": 2, "updated_at": "2024-02-02T00:00:00Z"}]}
    assert syncs().ok
    assert syncs.ids == [1, 2, 2, 3, 4]
    assert list(syncs.state["kitestring_known"]) == ["2024-02-02T00:00:00Z"]


def test_records_without_a_key_are_counted(api: Api, open_source: Open) -> None:
    day = {"updated_at": "2024-02-01T00:00:00Z", "id": 1}
    things = stream(url=api.url, incremental_sync=open_ended())
    things["primary_key"] = []
    api.answers["/things"] = {"data": [day, day]}
    syncs = Syncs(open_source, things)
    syncs()
    api.answers["/things"] = {"data": [day, day, day]}
    syncs()
    assert syncs.ids == [1, 1, 1]


def test_a_lookback_appends_no_record_twice(api: Api, open_source: Open) -> None:
    data = [f"2024-02-{number:02}T00:00:00Z" for number in range(1, 11)]
    api.answers["/things"] = lambda call: {
        "data": [{"id": value, "updated_at": value} for value in data if value >= call.query["since"]]
    }
    syncs = Syncs(open_source, stream(url=api.url, incremental_sync=open_ended(lookback_window="P3D")))
    for _ in range(3):
        assert syncs().ok
    assert syncs.ids == data


@pytest.mark.parametrize("whole", [False, True])
def test_partitions_double_no_record_and_lose_none(api: Api, open_source: Open, whole: bool) -> None:
    day = "2024-02-01T00:00:00Z"
    data = {"a": [1, 2], "b": [1]}
    for name in data:
        api.answers[f"/things/{name}"] = lambda call: {
            "data": [{"id": f"{call.path[-1]}{n}", "updated_at": day} for n in data[call.path[-1]]]
        }
    router = {"type": "ListPartitionRouter", "values": ["a", "b"], "cursor_field": "n"}
    things = stream(
        url=api.url,
        path="/things/{{ stream_slice['n'] }}",
        retriever={"partition_router": router},
        incremental_sync=open_ended(global_substream_cursor=whole),
    )
    syncs = Syncs(open_source, things)
    for number in (2, 3):
        syncs()
        data["b"].append(number)
    syncs()
    syncs()
    assert syncs.ids == ["a1", "a2", "b1", "b2", "b3"]


def test_where_the_destination_keeps_the_latest_no_digests_are_kept(api: Api, open_source: Open) -> None:
    api.answers["/things"] = rows("2024-02-01T00:00:00Z")
    syncs = Syncs(open_source, stream(url=api.url, incremental_sync=open_ended()), Write(keep="latest"))
    syncs()
    assert syncs.state == {"updated_at": "2024-02-01T00:00:00Z"}


def test_a_record_that_is_rejected_does_not_move_the_cursor(api: Api, open_source: Open) -> None:
    from kitestring.types import Checkpoint

    api.answers["/things"] = rows("2024-02-01T00:00:00Z", "2024-02-03T00:00:00Z", "2024-02-03T00:00:00Z")
    source = open_source(stream(url=api.url, incremental_sync=open_ended()))
    (result,) = source.discover()
    (partition,) = source.partitions([result], {})
    *_, checkpoint = source.read(partition, {})
    assert isinstance(checkpoint, Checkpoint)
    assert checkpoint.without is not None

    def state(*rejected: int) -> Any:
        assert checkpoint.without is not None
        records = rows("2024-02-01T00:00:00Z", *["2024-02-03T00:00:00Z"] * 2)["data"]
        note = checkpoint.without([records[number - 1] for number in rejected])
        return source.finish(result, source.merge("things", {}, note))["updated_at"]

    assert state() == "2024-02-03T00:00:00Z"
    assert state(3) == "2024-02-03T00:00:00Z"
    assert state(2, 3) == "2024-02-01T00:00:00Z"
    assert state(1, 2, 3) == "2024-01-01T00:00:00Z"


def test_a_value_with_a_zone_is_written_in_utc_where_the_format_names_none(api: Api, open_source: Open) -> None:
    zoned = open_ended(cursor_datetime_formats=["%Y-%m-%dT%H:%M:%S%z"])
    api.answers["/things"] = rows("2024-02-01T05:00:00+07:00", "2024-01-31T23:00:00+0000")
    result = sync(open_source(stream(url=api.url, incremental_sync=zoned)))
    assert result.state == {"updated_at": "2024-01-31T23:00:00Z"}
