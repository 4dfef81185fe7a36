"""How far an incremental read has come."""

import datetime as dt
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from kitestring import watermark
from kitestring.destination import Destination
from kitestring.engine import MemoryStates, Selection, Status, sync
from kitestring.errors import RecordError
from kitestring.source import Item, Source, stream
from kitestring.testing.memory import MemoryDestination
from kitestring.watermark import Watermark, place_of

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
WRITTEN = MemoryDestination


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("2024-05-01T10:00:00+07:00", "2024-05-01T04:00:00Z"),
        ("2024-05-01 10:00:00", "2024-05-01T10:00:00.000001Z"),
        ("2024-05-01", "2024-05-01T00:00:01Z"),
        ("9", "10"),
        ("9.5", "10"),
        (9, 10.5),
        (2**70, 2**70 + 1),
        (10**400, 10**400 + 1),
        (1.5, Decimal("1E+400")),
        (1.5, Decimal("1.50000000000000000001")),
        ("a9", "b1"),
        (dt.date(2024, 5, 1), dt.datetime(2024, 5, 1, 1, tzinfo=dt.UTC)),
    ],
)
def test_values_are_compared_by_what_they_are(smaller: Any, larger: Any) -> None:
    left, right = place_of(smaller), place_of(larger)
    assert left is not None
    assert right is not None
    assert left[0] == right[0]
    assert left[1] < right[1]


@pytest.mark.parametrize(
    "value", [None, True, math.nan, math.inf, Decimal("NaN"), Decimal("sNaN"), "", " ", [1], {"a": 1}]
)
def test_what_is_no_value_has_no_place(value: Any) -> None:
    assert place_of(value) is None


def test_nanoseconds_are_cut() -> None:
    assert place_of("2024-05-01T10:00:00.123456789Z") == place_of("2024-05-01T10:00:00.123456Z")


def state(mark: Watermark, without: Any = ()) -> Any:
    checkpoint = mark.checkpoint(lambda value, known: {"cursor": value, "known": known})
    assert checkpoint.without is not None
    return checkpoint.without(without)


def read(values: list[Any], since: Any = None, **more: Any) -> tuple[list[Any], Watermark]:
    mark = Watermark(("u",), since, now=NOW, keys=(("id",),), **more)
    records = [value if isinstance(value, dict) else {"id": n, "u": value} for n, value in enumerate(values)]
    return [record for record in records if mark.is_new(record)], mark


def test_the_future_and_what_is_no_value_never_become_the_state() -> None:
    rows, mark = read(["2026-05-01", "2026-06-01T13:00:00Z", "2999-01-01", "soon", None])
    assert len(rows) == 5
    assert state(mark)["cursor"] == "2026-05-01"
    assert [doubt.partition(" lies")[0] for doubt in mark.doubts] == [
        "the cursor value 2999-01-01",
        "the cursor value soon cannot be the start of an incremental read",
    ]
    assert state(read([1, math.nan, 3, math.inf, 2**80])[1])["cursor"] == 2**80


def test_a_rejected_record_does_not_move_the_state() -> None:
    rows, mark = read([1, 5, 5, 9, 7], since=0)
    assert state(mark)["cursor"] == 9
    assert state(mark, [rows[3]])["cursor"] == 7
    assert state(mark, [rows[1], rows[3], rows[4]])["cursor"] == 5
    assert state(mark, [rows[1], rows[2], rows[3], rows[4]])["cursor"] == 1
    assert state(mark, rows)["cursor"] == 0
    assert state(mark, [{"id": 7}])["cursor"] == 0


def test_only_the_highest_values_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watermark, "DISTINCT", 3)
    rows, mark = read([5, 9, 1, 7, 8, 2, 6])
    assert state(mark, [rows[1]])["cursor"] == 8
    assert state(mark, [rows[1], rows[4], rows[3]])["cursor"] is None


def test_in_append_a_late_record_arrives_and_none_twice() -> None:
    rows, mark = read([1, 2, 2], digests=True)
    saved = state(mark)
    assert saved["cursor"] == 2
    later = [{"id": 1, "u": 2}, {"id": 7, "u": 2}, {"id": 2, "u": 2}, {"id": 8, "u": 3}, {"id": 1, "u": 3}]
    rows, mark = read(later, since=2, digests=True, known_digests=saved["known"])
    assert [(row["id"], row["u"]) for row in rows] == [(7, 2), (8, 3), (1, 3)]
    # Nothing new: what is known stays known.
    for _ in range(2):
        rows, mark = read([{"id": 8, "u": 3}], since=3, digests=True, known_digests=state(mark)["known"])
        assert rows == []
    # Below the value it is not ours to judge.
    assert read(later, since=3, digests=True, known_digests=state(mark)["known"])[0][:3] == later[:3]


def test_in_append_a_record_of_the_future_arrives_once() -> None:
    known: Any = ()
    seen = []
    for _ in range(3):
        rows, mark = read(["2026-05-01", "2999-01-01", None], since=None, digests=True, known_digests=known)
        known = state(mark)["known"]
        seen.append(len(rows))
    assert seen == [3, 0, 0]


def test_rows_without_a_key_are_known_by_all_of_them_and_their_count() -> None:
    mark = Watermark(("u",), None, now=NOW, digests=True)
    row = {"u": 1, "v": "same"}
    assert mark.is_new(row)
    assert mark.is_new(row)
    second = Watermark(("u",), 1, now=NOW, digests=True, known_digests=state(mark)["known"])
    assert [second.is_new(row), second.is_new(row), second.is_new(row)] == [False, False, True]


def test_too_many_rows_at_the_value_are_counted_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watermark, "MOST_KNOWN", 3)
    saved = state(read([1, 1, 1, 1, 1], digests=True)[1])
    assert saved == {"cursor": 1, "known": 5}
    rows, mark = read([1, 1, 1, 1, 1], since=1, digests=True, known_digests=5)
    assert (rows, mark.doubts) == ([], [])
    assert state(mark)["known"] == 5
    rows, mark = read([1, 1, 1, 1, 1, 1], since=1, digests=True, known_digests=5)
    assert rows == []
    assert "now there are more" in mark.doubts[0]
    rows, mark = read([2], since=1, digests=True, known_digests=5)
    assert len(rows) == 1
    assert state(mark)["known"] != 5


def test_a_value_in_another_spelling_is_the_same_place() -> None:
    for first, second in ((1, 1.0), (1.0, 1), (1.0, Decimal("1.00")), (Decimal("2.50"), 2.5), (2**70, Decimal(2**70))):
        known = state(read([first], digests=True)[1])["known"]
        assert read([second], since=first, digests=True, known_digests=known)[0] == []


class Declared(Source):
    """A source of the decorator."""

    rows: Any

    @stream(primary_key="id", cursor="u")
    def things(self, since: Any) -> Iterator[Item]:
        start = place_of(since)
        for row in self.rows:
            place = place_of(row["u"])
            if start is None or place is None or place[0] != start[0] or place[1] >= start[1]:
                yield dict(row)


class Refusing(MemoryDestination):
    def prepare(self, stream: Any, batch: Any) -> Any:
        if any(row.get("bad") for row in batch.rows()):
            raise RecordError("it is bad")
        return batch


def run(rows: list[Any], states: MemoryStates, destination: Destination, mode: str) -> Any:
    return sync(Declared(rows=rows), destination, [Selection("things", write_mode=mode)], states=states)


@pytest.mark.parametrize("mode", ["append", "append_dedup"])
def test_a_declared_stream_misses_nothing_and_doubles_nothing(mode: str) -> None:
    states, destination = MemoryStates(), Refusing()
    rows: list[dict[str, Any]] = [
        {"id": 1, "u": "2024-05-01T10:00:00Z"},
        {"id": 2, "u": "2999-01-01T00:00:00Z"},
        {"id": 3, "u": "2024-05-03T10:00:00Z", "bad": True},
        {"id": 4, "u": "2024-05-02T10:00:00Z"},
        {"id": 5, "u": None},
    ]
    assert run(rows, states, destination, mode).status is Status.suspicious  # 2999
    assert states.load("default")["things"]["cursor"] == "2024-05-02T10:00:00Z"
    del rows[2]["bad"]
    rows.append({"id": 6, "u": "2024-05-02T10:00:00Z"})
    for _ in range(3):
        run(rows, states, destination, mode)
        assert sorted(row["id"] for row in destination.stored["things"]) == [1, 2, 3, 4, 5, 6]
    assert states.load("default")["things"]["cursor"] == "2024-05-03T10:00:00Z"
    assert ("known" in states.load("default")["things"]) is (mode == "append")
