"""A read that is ordered by its cursor goes on from its state: no row missing, and in append none twice."""

import datetime as dt
from collections import Counter
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring.sql import sorted_watermark
from kitestring.sql.sorted_watermark import SortedWatermark

pytestmark = pytest.mark.slow  # seconds: left to `make test`

US = 10**6
TYPES = {"int4": pa.int32(), "numeric": pa.string(), "float8": pa.float64(), "timestamp": pa.timestamp("us")}


def order(type_, value):
    """PostgreSQL's order: nulls first, NaN behind infinity."""
    if value is None:
        return (0, 0)
    if type_ == "timestamp":
        return (1, value)
    number = Decimal(value)
    return (2, 0) if number.is_nan() else (1, number)


def sync(type_, rows, state, *, now, size, keys=(("id",),), digests=True, rejected=(), stop=None):
    """What one sync writes, until it is cut off behind so many checkpoints, and the state then."""
    mark = SortedWatermark("c", type_, state, now=now, keys=keys, digests=digests)
    since = mark.since
    if type_ == "timestamp" and since is not None:
        since = sorted_watermark.ticks_of(since, US)
    ordered = sorted(rows, key=lambda row: order(type_, row["c"]))
    read = [r for r in ordered if since is None or (r["c"] is not None and order(type_, r["c"]) >= order(type_, since))]
    schema = pa.schema([("id", pa.int64()), ("c", TYPES[type_])])
    written, durable, refused = [], [], []
    for start in range(0, 0 if mark.stuck else len(read), size):
        table = pa.Table.from_pylist(read[start : start + size], schema)
        for row in mark.take(table).to_pylist():
            (refused if row["id"] in rejected else written).append(row)
        checkpoint = mark.checkpoint()
        if checkpoint is not None:
            state, durable = checkpoint.without(refused), list(written)
            if stop is not None and (stop := stop - 1) < 0:
                return durable, state, mark.doubts
    mark.finish()
    if (checkpoint := mark.checkpoint(last=True)) is not None:
        state = checkpoint.without(refused) if refused else checkpoint.state
    return written, state, mark.doubts


def value_of(type_, step, odd):
    if odd:
        return {"numeric": "NaN", "float8": "inf"}.get(type_) and (
            "NaN" if type_ == "numeric" else float("nan") if step % 2 else float("inf")
        )
    if type_ == "timestamp":
        return step * US
    return (
        f"{step}.{'0' * (step % 3)}" if type_ == "numeric" and step % 3 else step if type_ != "numeric" else str(step)
    )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_comes_and_wherever_it_stops_each_row_is_written_once(data):
    type_ = data.draw(st.sampled_from(sorted(TYPES)))
    keys = data.draw(st.sampled_from([(("id",),), ()]))
    rows, written, rejected, state, clock = [], Counter(), set(), {}, 10
    for _ in range(data.draw(st.integers(1, 5))):
        for _ in range(data.draw(st.integers(0, 12))):
            highest = max(
                (place[1] for r in rows if (place := order(type_, r["c"]))[0] == 1 and r["believed"]), default=0
            )
            highest = int(highest) // US if type_ == "timestamp" else int(highest)
            step = highest + data.draw(st.sampled_from([0, 0, 0, 1, 2, 30]))
            odd = type_ in ("numeric", "float8") and data.draw(st.integers(0, 5)) == 0
            value = value_of(type_, step, odd)
            believed = not odd and not (type_ == "timestamp" and step > clock)
            rows.append({"id": len(rows), "c": value, "believed": believed})
            if data.draw(st.integers(0, 4)) == 0:
                rejected.add(len(rows) - 1)
        size, stop = data.draw(st.integers(1, 5)), data.draw(st.sampled_from([None, None, 0, 1, 2]))
        plain = [{"id": row["id"], "c": row["c"]} for row in rows]
        new, state, _ = sync(type_, plain, state, now=clock * US, size=size, keys=keys, rejected=rejected, stop=stop)
        written.update(row["id"] for row in new)
        clock += data.draw(st.sampled_from([0, 5, 40]))
        for row in rows:  # the clock reaches what lay in the future
            row["believed"] = row["believed"] or (type_ == "timestamp" and row["c"] <= clock * US)
        if type_ == "timestamp":
            break_even = [row["c"] for row in rows if row["believed"]]
            clock = max(clock, max(break_even, default=0) // US)
    new, state, _ = sync(
        type_, [{"id": r["id"], "c": r["c"]} for r in rows], state, now=clock * US, size=3, keys=keys, rejected=rejected
    )
    written.update(row["id"] for row in new)
    assert written == Counter(row["id"] for row in rows if row["id"] not in rejected)


ROWS = [{"id": n, "c": n // 4} for n in range(20)]


def test_where_the_destination_removes_duplicates_no_digests_are_kept_and_rows_at_the_state_come_again():
    written, state, _ = sync("int4", ROWS, {}, now=0, size=7, digests=False)
    assert (len(written), state) == (20, {"cursor": 4, "count": 4})
    second, state, _ = sync("int4", [*ROWS, {"id": 20, "c": 4}], state, now=0, size=7, digests=False)
    assert [row["id"] for row in second] == [16, 17, 18, 19, 20]
    assert state == {"cursor": 4, "count": 5}


def test_a_state_of_an_earlier_version_goes_on_without_a_double():
    state = {"cursor": 4, "count": 4}
    written, later, doubts = sync("int4", ROWS, state, now=0, size=3)
    assert (written, doubts) == ([], [])
    assert len(later["known"]) == 4
    written, _, _ = sync("int4", [*ROWS, {"id": 20, "c": 4}, {"id": 21, "c": 5}], later, now=0, size=3)
    assert [row["id"] for row in written] == [20, 21]


def test_a_state_of_an_earlier_version_with_more_rows_now_is_said_and_nothing_is_guessed():
    written, later, doubts = sync("int4", [*ROWS, {"id": 20, "c": 4}], {"cursor": 4, "count": 4}, now=0, size=3)
    assert written == []
    assert "refresh the stream" in doubts[0]
    assert later == {"cursor": 4, "count": 4}


@pytest.mark.parametrize(
    ("type_", "cursor"),
    [("numeric", "NaN"), ("float8", "inf"), ("timestamp", "9999-12-31 23:59:59.999999"), ("timestamp", "infinity")],
)
def test_a_poisoned_state_of_an_earlier_version_is_read_again_or_reported(type_, cursor):
    rows = [{"id": 1, "c": value_of(type_, 3, False)}]
    state = {"cursor": cursor, "count": 1}
    written, later, doubts = sync(type_, rows, state, now=10 * US, size=5, digests=False)
    assert len(written) == 1
    assert later["cursor"] not in (cursor, None)
    assert doubts == []
    written, later, doubts = sync(type_, rows, state, now=10 * US, size=5)
    assert (written, later) == ([], state)
    assert "refresh the stream" in doubts[0]


def test_what_lies_ahead_of_the_clock_is_written_and_told_only_beyond_a_day():
    hour = 3600 * US
    rows = [{"id": 1, "c": hour}, {"id": 2, "c": 5 * hour}]
    written, state, doubts = sync("timestamp", rows, {}, now=2 * hour, size=5)
    assert len(written) == 2
    assert state["cursor"] == "1970-01-01 01:00:00"
    assert doubts == []
    _, _, doubts = sync("timestamp", [*rows, {"id": 3, "c": 40 * hour}], state, now=2 * hour, size=5)
    assert "lies in the future of the server's clock" in doubts[0]


def test_above_ten_thousand_rows_of_one_value_they_are_counted_and_no_checkpoint_stands_among_them(monkeypatch):
    monkeypatch.setattr(sorted_watermark, "MOST_KNOWN", 5)
    rows = [{"id": n, "c": 1} for n in range(20)]
    mark = SortedWatermark("c", "int4", {}, now=0, keys=(("id",),), digests=True)
    table = pa.Table.from_pylist(rows, pa.schema([("id", pa.int64()), ("c", pa.int32())]))
    points = []
    for start in range(0, 20, 4):
        mark.take(table.slice(start, 4))
        points.append(mark.checkpoint())
    assert [point is not None for point in points] == [True, False, False, False, False]
    state = mark.checkpoint(last=True).state
    assert state == {"cursor": 1, "count": 20}
    written, _, doubts = sync("int4", [*rows, {"id": 20, "c": 2}], state, now=0, size=4)
    assert ([row["id"] for row in written], doubts) == ([20], [])
    _, _, doubts = sync("int4", [*rows, {"id": 20, "c": 1}], state, now=0, size=4)
    assert "unknown which" in doubts[0]


def test_rejected_records_cost_nothing_until_they_are_asked_for(monkeypatch):
    mark = SortedWatermark("c", "int4", {}, now=0, keys=(("id",),), digests=False)
    table = pa.Table.from_pylist(ROWS, pa.schema([("id", pa.int64()), ("c", pa.int32())]))
    mark.take(table)
    checkpoint = mark.checkpoint()
    assert checkpoint.state["cursor"] == 4
    assert checkpoint.without(ROWS[16:])["cursor"] == 3
    assert checkpoint.without(ROWS[17:]) == {"cursor": 4, "count": 1}
    assert "cursor" not in checkpoint.without(ROWS)


def test_a_rejected_record_whose_cursor_a_mapper_has_changed_may_be_any():
    mark = SortedWatermark("c", "date", {}, now=10**16, keys=(("id",),), digests=False)
    days = [{"id": n, "c": dt.date(2024, 1, 1 + n)} for n in range(3)]
    mark.take(pa.Table.from_pylist(days, pa.schema([("id", pa.int64()), ("c", pa.date32())])))
    checkpoint = mark.checkpoint()
    assert checkpoint.state["cursor"] == "2024-01-03"
    assert checkpoint.without([{"id": 2, "c": "2024-01-03"}])["cursor"] == "2024-01-02"
    assert "cursor" not in checkpoint.without([{"hashed": "x"}])
