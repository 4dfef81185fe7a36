"""The slice that reaches the present is read behind the others, so that a record keeps its newer version."""

from __future__ import annotations

import threading
from typing import Any

from loopback import Api, Call, Open, cursor, stream

from kitestring.engine import MemoryStates, Selection
from kitestring.engine import sync as run
from kitestring.testing.memory import MemoryDestination


def test_a_record_that_changes_while_older_slices_are_read_keeps_its_newer_version(api: Api, open_source: Open) -> None:
    asked_for_march = threading.Event()

    def answer(call: Call) -> Any:
        if call.query["from"].startswith("2024-01"):
            asked_for_march.wait(0.5)  # the answer is on its way; is the present read meanwhile?
            return {"data": [{"id": 1, "text": "old", "updated_at": "2024-01-05T00:00:00Z"}]}
        if call.query["from"].startswith("2024-03"):
            asked_for_march.set()
            return {"data": [{"id": 1, "text": "new", "updated_at": "2024-03-20T00:00:00Z"}]}
        return {"data": [{"id": 2, "text": "february", "updated_at": "2024-02-20T00:00:00Z"}]}

    api.answers["/things"] = answer
    by = cursor(
        step="P1M",
        cursor_granularity="PT1S",
        end_datetime="2024-03-31T00:00:00Z",
        start_time_option={"type": "RequestOption", "inject_into": "request_parameter", "field_name": "from"},
    )
    source = open_source(stream(url=api.url, incremental_sync=by))
    destination, states = MemoryDestination(), MemoryStates()
    result = run(source, destination, [Selection("things", write_mode="append_dedup")], states=states)
    assert result.ok, result.as_dict()
    assert {row["id"]: row["text"] for row in destination.stored["things"]} == {1: "new", 2: "february"}
    assert states.load("default")["things"]["updated_at"] == "2024-03-20T00:00:00Z"


def test_only_the_last_of_several_slices_comes_behind_the_others(api: Api, open_source: Open) -> None:
    def orders(**more: Any) -> list[int]:
        source = open_source(stream(url=api.url, incremental_sync=cursor(**more)))
        (result,) = source.discover()
        return [partition.order for partition in source.partitions([result], {})]

    assert orders(step="P1M", cursor_granularity="PT1S") == [0, 1]
    assert orders(step="P10D", cursor_granularity="PT1S") == [0, 0, 0, 0, 0, 1]
    assert orders() == [0]
