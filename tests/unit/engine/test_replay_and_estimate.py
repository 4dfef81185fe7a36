"""Rejected records can be written again; a dry run writes nothing."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from kitestring.batch import Batch
from kitestring.engine import MemoryStates, Rejects, Selection, Status, estimate, replay, sync
from kitestring.errors import ConfigError, RecordError
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import DELETED_AT, Receipt, Stream


class Picky(MemoryDestination):
    """Takes no record whose value is negative."""

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        if any(row["v"] < 0 for row in batch.rows()):
            raise RecordError("negative values are not taken")
        return super().write(stream, batch)


def source(rows: list[dict[str, Any]]) -> MemorySource:
    return MemorySource(records={"t": rows}, primary_keys={"t": "id"})


def test_an_edited_reject_is_written_and_leaves_the_file(tmp_path: Path) -> None:
    rejects, destination = Rejects(tmp_path), Picky()
    rows = [{"id": 1, "v": 1}, {"id": 2, "v": -2}, {"id": 3, "v": -3}]
    assert sync(source(rows), destination, rejects=rejects, connection="c").streams["t"].rejected == 2
    path = rejects.path("c")
    path.write_text(path.read_text().replace('"v":-2', '"v":2'))
    result = replay(source(rows), destination, rejects, "c")
    assert result.ok
    assert (result.streams["t"].written, result.streams["t"].rejected) == (1, 1)
    assert [row["id"] for row in destination.stored["t"]] == [1, 2]
    assert [json.loads(line)["record"]["id"] for line in path.read_text().splitlines()] == [3]


def test_a_replay_into_an_overwritten_stream_adds_and_keeps_what_is_there(tmp_path: Path) -> None:
    rejects, destination = Rejects(tmp_path), Picky()
    mode = [Selection("t", write_mode="overwrite")]
    sync(source([{"id": 1, "v": 1}, {"id": 2, "v": -2}]), destination, mode, rejects=rejects)
    path = rejects.path("default")
    path.write_text(path.read_text().replace("-2", "2"))
    assert replay(source([]), destination, rejects, "default", mode).ok
    assert [row["id"] for row in destination.stored["t"]] == [1, 2]
    assert not path.exists()


def test_a_replay_that_fails_keeps_every_reject(tmp_path: Path) -> None:
    class Down(MemoryDestination):
        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            raise ConfigError("the disk is full", hint="")

    rejects = Rejects(tmp_path)
    sync(source([{"id": 2, "v": -2}]), Picky(), rejects=rejects)
    before = rejects.path("default").read_text()
    assert replay(source([]), Down(), rejects, "default").status is Status.failed
    assert rejects.path("default").read_text() == before


def test_there_is_nothing_to_replay(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no rejected records"):
        replay(source([]), MemoryDestination(), Rejects(tmp_path), "default")


def test_a_line_that_is_no_reject_is_named(tmp_path: Path) -> None:
    rejects = Rejects(tmp_path)
    rejects.path("c").write_text('{"stream": "t", "record": {}}\n\n{"stream": 3}\n')
    with pytest.raises(ConfigError, match=r"line 3 of c\.jsonl is not a rejected record"):
        list(rejects.read("c"))


def test_any_record_can_be_kept_as_a_reject(tmp_path: Path) -> None:
    from kitestring.types import Reject

    rejects = Rejects(tmp_path)
    loop: dict[str, Any] = {}
    loop["me"] = loop
    for record in ({"big": 2**70}, {"surrogate": "\ud800"}, {"bytes": b"x", 1: 2}, loop):
        rejects.add("c", "t", [Reject(record, "odd")])
    assert len(list(rejects.read("c"))) == 4


def test_a_dry_run_counts_what_a_sync_would_do_and_writes_nothing() -> None:
    rows: list[dict[str, Any]] = [{"id": n, "v": 1} for n in range(500)]
    rows.append({"id": 3, "v": 1, DELETED_AT: "2026-01-01"})
    destination = MemoryDestination()
    estimated = estimate(source(rows), destination)
    assert estimated.streams["t"].read == 501
    assert estimated.total("records") >= 499
    assert estimated.streams["t"].deleted == 1
    assert destination.stored == {}


def test_a_dry_run_begins_where_the_state_stands_and_a_sample_stops_early() -> None:
    rows = [{"id": n, "seen": n} for n in range(5000)]
    origin = MemorySource(records={"t": rows}, primary_keys={"t": "id"}, cursors={"t": "seen"})
    states = MemoryStates()
    states.save("default", "t", {"cursor": 4989})
    assert estimate(origin, MemoryDestination(), states=states).streams["t"].read == 10
    sampled = estimate(origin, MemoryDestination(), sample=100).streams["t"]
    assert sampled.sampled
    assert sampled.read < 5000


ODD: dict[str, Any] = {
    "id": 1,
    "v": -1,
    "photo": b"\x89PNG",
    "ratio": float("inf"),
    "price": Decimal("1.50"),
    "huge": 2**70,
    "at": dt.datetime(2024, 1, 1, 10, tzinfo=dt.UTC),
    "local": dt.datetime(2024, 1, 1, 10, 0, 0, 1),
    "day": dt.date(2024, 2, 29),
    "opens": dt.time(10, 30),
    "key": UUID(int=7),
    "long": "24:00:00",
    "text": "aGk=",
    "a/b~c": [{"d": b"x"}, Decimal("NaN")],
}


def test_a_corrected_reject_comes_in_with_its_other_fields_as_they_were(tmp_path: Path) -> None:
    rejects, destination = Rejects(tmp_path), Picky()
    sync(source([ODD]), destination, rejects=rejects, connection="c", max_rejects=5)
    path = rejects.path("c")
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["types"]["/a~1b~0c/0/d"] == "bytes"
    path.write_text(line.replace('"v":-1', '"v":1').replace("aGk=", "bye") + "\n")
    assert replay(source([]), destination, rejects, "c").ok
    (row,) = destination.stored["t"]
    assert str(row.pop("a/b~c")) == str(ODD["a/b~c"])
    expected = {name: value for name, value in ODD.items() if name != "a/b~c"}
    assert row == {**expected, "v": 1, "text": "bye"}
    assert {name: type(value) for name, value in row.items()} == {name: type(value) for name, value in expected.items()}


def test_a_value_edited_into_another_form_stays_as_it_was_written(tmp_path: Path) -> None:
    from kitestring.types import Reject

    rejects = Rejects(tmp_path)
    kinds = ("photo", "ratio", "price", "at", "day", "opens", "key")
    rejects.add("c", "t", [Reject({name: ODD[name] for name in kinds}, "odd")])
    path = rejects.path("c")
    entry = json.loads(path.read_text())
    entry["record"] = dict.fromkeys(kinds, "?")
    del entry["record"]["key"]
    path.write_text(json.dumps(entry) + "\n")
    assert [entry["record"] for entry in rejects.read("c")] == [dict.fromkeys(kinds[:-1], "?")]


def test_a_reject_of_thousands_of_levels_is_kept_whole_and_replayed(tmp_path: Path) -> None:
    deep: Any = b"bottom"
    for _ in range(3_000):
        deep = {"in": deep}
    rejects, destination = Rejects(tmp_path), Picky()
    sync(source([{"id": 1, "v": -1, "deep": deep}]), destination, rejects=rejects, connection="c")
    path = rejects.path("c")
    path.write_text(path.read_text().replace('"v":-1', '"v":1'))
    assert replay(source([]), destination, rejects, "c").ok
    (row,) = destination.stored["t"]
    for _ in range(3_000):
        row = row["deep" if "deep" in row else "in"]
    assert row["in"] == b"bottom"


def test_rejects_that_differ_in_type_alone_are_two(tmp_path: Path) -> None:
    from kitestring.types import Reject

    rejects, destination = Rejects(tmp_path), MemoryDestination()
    rejects.add("c", "t", [Reject({"id": 1, "v": value}, "odd") for value in (1, True, 1.0, 1, float("nan"))])
    assert replay(MemorySource(records={"t": []}), destination, rejects, "c").ok
    assert [str(row["v"]) for row in destination.stored["t"]] == ["1", "True", "1.0", "nan"]


def test_rejects_of_earlier_versions_are_read(tmp_path: Path) -> None:
    rejects = Rejects(tmp_path)
    line = r'{"at": "", "stream": "t", "reason": "r", "record": {"b": "b\u0027x\u0027", "s": "\ud800", "n": NaN}}'
    rejects.path("c").write_text(line + "\n")
    (entry,) = rejects.read("c")
    assert str(entry["record"]) == str({"b": "b'x'", "s": "�", "n": float("nan")})
