"""Messages of the protocol: one line each, whatever the records hold and whatever the output is."""

from __future__ import annotations

import datetime
import io
import json
import os
import threading
from typing import Any

import pytest

from kitestring.airbyte.messages import WRITE_BYTES, Writer
from kitestring.types import Stream


class Counting(io.BytesIO):
    calls = 0

    def write(self, data: Any) -> int:
        self.calls += 1
        return super().write(data)


def encoded_messages(records: list[dict[Any, Any]], stream: Stream | None = None) -> list[dict[str, Any]]:
    out = io.BytesIO()
    Writer(out).records(stream or Stream("things"), records)
    lines = out.getvalue().split(b"\n")
    assert lines.pop() == b""
    return [json.loads(line) for line in lines]


def test_a_record_stands_in_its_envelope() -> None:
    (message,) = encoded_messages([{"id": 1, "text": 'a "b" \n c', "list": [None, {"x": None}], "gone": None}])
    assert message["type"] == "RECORD"
    assert message["record"]["emitted_at"] > 1_700_000_000_000
    assert {**message["record"], "emitted_at": 0} == {
        "stream": "things",
        "data": {"id": 1, "text": 'a "b" \n c', "list": [None, {"x": None}]},
        "emitted_at": 0,
    }


def test_the_envelope_names_a_namespace_and_any_stream() -> None:
    (message,) = encoded_messages([{}], Stream('a "quoted" näme', namespace="other"))
    assert message["record"]["stream"] == 'a "quoted" näme'
    assert message["record"]["namespace"] == "other"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**80, 2**80),
        ("\ud800", "\ufffd"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        ({1: {2: "numbers as names"}}, {"1": {"2": "numbers as names"}}),
        (float("nan"), "NaN"),
        ({"a", }, ["a"]),
    ],
)  # fmt: skip
def test_what_plain_json_does_not_know_is_written_all_the_same(value: Any, expected: Any) -> None:
    before, message, after = encoded_messages([{"id": 0}, {"value": value}, {"id": 2}])
    assert message["record"]["data"] == {"value": expected}
    assert (before["record"]["data"], after["record"]["data"]) == ({"id": 0}, {"id": 2})


def test_records_go_out_in_few_writes_of_bounded_size() -> None:
    out = Counting()
    Writer(out).records(Stream("things"), [{"id": n, "text": "x" * 1_000} for n in range(3_000)])
    assert 3 <= out.calls <= 4
    out = Counting()
    Writer(out).records(Stream("things"), [{"text": "x" * WRITE_BYTES} for _ in range(5)])
    assert out.calls >= 5


def test_an_unbuffered_output_gets_every_byte() -> None:
    """A raw write to a pipe that is full and does not wait takes a part of the bytes only."""
    reading, writing = os.pipe()
    results: list[bytes] = []

    def drain() -> None:
        with open(reading, "rb") as file:
            results.extend(file)

    class Short(io.FileIO):
        def write(self, data: Any) -> int:
            return super().write(bytes(data)[:1_000])

    with Short(writing, "wb") as raw:
        reader = threading.Thread(target=drain)
        reader.start()
        writer = Writer(raw)
        writer.records(Stream("things"), [{"id": n, "text": "x" * 100} for n in range(2_000)])
        writer.flush()
    reader.join()
    assert [json.loads(line)["record"]["data"]["id"] for line in results] == list(range(2_000))
