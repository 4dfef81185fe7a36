"""Cursors: slices, requests, states."""

from __future__ import annotations

from typing import Any

import pytest
from loopback import Api, Open, cursor, stream, sync

from kitestring.declarative.stream import CLOSED
from kitestring.errors import ConfigError
from kitestring.types import Checkpoint, SyncMode

SINCE = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "since"}
UNTIL = {**SINCE, "field_name": "until"}
WINDOW = {"start_time_option": SINCE, "end_time_option": UNTIL}


def at(*days: str) -> dict[str, Any]:
    return {"data": [{"id": day, "updated_at": f"2024-{day}T00:00:00Z"} for day in days]}


def windows(api: Api) -> list[tuple[str, str]]:
    return [(call.query["since"], call.query["until"]) for call in api.calls]


def test_a_first_read_covers_all_and_the_state_is_the_latest_value(api: Api, open_source: Open) -> None:
    api.answers["/things"] = at("01-05", "02-03", "01-20")
    result = sync(open_source(stream(url=api.url, incremental_sync=cursor(**WINDOW))))
    assert windows(api) == [("2024-01-01T00:00:00Z", "2024-03-01T00:00:00Z")]
    assert result.state == {"updated_at": "2024-02-03T00:00:00Z"}


def test_the_next_read_begins_at_the_state(api: Api, open_source: Open) -> None:
    api.answers["/things"] = at("02-10")
    source = open_source(stream(url=api.url, incremental_sync=cursor(**WINDOW)))
    result = sync(source, state={"updated_at": "2024-02-03T00:00:00Z", "other": 1})
    assert windows(api) == [("2024-02-03T00:00:00Z", "2024-03-01T00:00:00Z")]
    assert result.state == {"updated_at": "2024-02-10T00:00:00Z", "other": 1}


def test_a_read_without_records_keeps_the_state(api: Api, open_source: Open) -> None:
    api.answers["/things"] = at()
    source = open_source(stream(url=api.url, incremental_sync=cursor()))
    assert sync(source, state={"updated_at": "2024-02-03T00:00:00Z"}).state == {"updated_at": "2024-02-03T00:00:00Z"}
    assert sync(source).state == {"updated_at": "2024-01-01T00:00:00Z"}


def test_a_state_before_the_start_date_begins_there(api: Api, open_source: Open) -> None:
    api.answers["/things"] = at()
    sync(
        open_source(stream(url=api.url, incremental_sync=cursor(**WINDOW))),
        state={"updated_at": "2023-01-01T00:00:00Z"},
    )
    assert windows(api)[0][0] == "2024-01-01T00:00:00Z"


STEPS = cursor(**WINDOW, step="P1M", cursor_granularity="PT1S")


def test_steps_do_not_overlap(api: Api, open_source: Open) -> None:
    api.answers["/things"] = at()
    sync(open_source(stream(url=api.url, incremental_sync=STEPS)))
    assert windows(api) == [
        ("2024-01-01T00:00:00Z", "2024-01-31T23:59:59Z"),
        ("2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
    ]


def test_a_lookback_reads_again_what_may_have_come_late(api: Api, open_source: Open) -> None:
    api.answers["/things"] = at("02-01")
    source = open_source(stream(url=api.url, incremental_sync=cursor(**WINDOW, lookback_window="P7D")))
    result = sync(source, state={"updated_at": "2024-02-03T00:00:00Z"})
    assert windows(api)[0][0] == "2024-01-27T00:00:00Z"
    assert result.state == {"updated_at": "2024-02-03T00:00:00Z"}
    api.calls.clear()
    sync(source, state={"updated_at": "2024-01-03T00:00:00Z"})
    assert windows(api)[0][0] == "2024-01-01T00:00:00Z"


def test_steps_that_end_out_of_order_move_the_state_only_when_they_join(api: Api, open_source: Open) -> None:
    api.answers["/things"] = lambda call: at("01-15") if call.query["since"] < "2024-02" else at("02-20")
    source = open_source(stream(url=api.url, incremental_sync=STEPS))
    (result,) = source.discover()
    first, second = source.partitions([result], {})
    notes = [[i for i in source.read(p, {}) if isinstance(i, Checkpoint)][0].state for p in (first, second)]  # noqa: RUF015
    late = source.merge("things", {}, notes[1])
    assert len(late["slices"]) == 2
    assert source.finish(result, late) == {"updated_at": "2024-01-01T00:00:00Z"}
    whole = source.merge("things", late, notes[0])
    assert source.finish(result, whole) == {"updated_at": "2024-02-20T00:00:00Z"}
    assert source.merge("things", {}, {"plain": 1}) == {"plain": 1}
    assert CLOSED in notes[0]


def test_a_state_with_a_gap_reads_the_gap_and_the_rest(api: Api, open_source: Open) -> None:
    api.answers["/things"] = at()
    saved = {
        "state_type": "date-range",
        "slices": [
            {
                "start": "2024-01-10T00:00:00Z",
                "end": "2024-01-20T00:00:00Z",
                "most_recent_cursor_value": "2024-01-15T00:00:00Z",
            },
            {"start": "2024-02-01T00:00:00Z", "end": "2024-02-10T00:00:00Z"},
        ],
        "legacy": {"other": 1},
    }
    result = sync(open_source(stream(url=api.url, incremental_sync=cursor(**WINDOW))), state=saved)
    assert windows(api) == [
        ("2024-01-01T00:00:00Z", "2024-01-10T00:00:00Z"),
        ("2024-01-20T00:00:00Z", "2024-02-01T00:00:00Z"),
        ("2024-02-10T00:00:00Z", "2024-03-01T00:00:00Z"),
    ]
    assert result.state == {"updated_at": "2024-01-15T00:00:00Z", "other": 1}


def test_records_that_were_read_before_are_filtered_here_where_the_api_cannot(api: Api, open_source: Open) -> None:
    api.answers["/things"] = {
        "data": [*at("01-05", "02-10", "02-20")["data"], {"id": "none"}, {"id": "odd", "updated_at": "?"}]
    }
    more = {"transformations": [{"type": "AddFields", "fields": [{"path": ["x"], "value": "1"}]}]}
    source = open_source(stream(url=api.url, incremental_sync=cursor(is_client_side_incremental=True), **more))
    result = sync(source, state={"updated_at": "2024-02-10T00:00:00Z"})
    assert [record["id"] for record in result.records] == ["02-10", "02-20", "none", "odd"]
    assert result.state == {"updated_at": "2024-02-20T00:00:00Z"}


def test_a_feed_is_read_until_a_record_is_known(api: Api, open_source: Open) -> None:
    api.answers["/things"] = [at("02-20", "02-15"), at("02-12", "02-01"), at("01-20", "01-10")]
    paginator = {"type": "DefaultPaginator", "pagination_strategy": {"type": "PageIncrement", "page_size": 2}}
    source = open_source(
        stream(url=api.url, incremental_sync=cursor(is_data_feed=True), retriever={"paginator": paginator})
    )
    result = sync(source, state={"updated_at": "2024-02-12T00:00:00Z"})
    assert [record["id"] for record in result.records] == ["02-20", "02-15", "02-12"]
    assert len(api.calls) == 2


@pytest.mark.parametrize(
    ("target", "details", "slices"),
    [
        ("DAY", {}, [("2024-01-04", "2024-01-31"), ("2024-02-01", "2024-02-28"), ("2024-02-29", "2024-03-04")]),
        ("WEEK", {"weekday": "MONDAY"}, [("2024-01-08", "2024-02-11"), ("2024-02-12", "2024-03-03")]),
        ("MONTH", {}, [("2024-02-01", "2024-02-29")]),
    ],
)
def test_slices_can_be_kept_to_whole_days_weeks_or_months(
    api: Api, open_source: Open, target: str, details: Any, slices: Any
) -> None:
    api.answers["/things"] = at()
    exact = {"type": "MinMaxDatetime", "datetime_format": "%Y-%m-%dT%H:%M:%SZ"}
    whole = cursor(
        **WINDOW,
        datetime_format="%Y-%m-%d",
        start_datetime={**exact, "datetime": "2024-01-03T06:00:00Z"},
        end_datetime={**exact, "datetime": "2024-03-05T06:00:00Z"},
        step="P28D" if target == "DAY" else "P1M",
        cursor_granularity="P1D",
        clamping={"target": target, "target_details": details},
    )
    sync(open_source(stream(url=api.url, incremental_sync=whole)))
    assert windows(api) == slices


def test_bounds_reach_templates_under_the_names_the_manifest_gives(api: Api, open_source: Open) -> None:
    api.answers["/things"] = at()
    named = cursor(partition_field_start="from_day", partition_field_end="to_day")
    requester = {"request_parameters": {"a": "{{ stream_interval.from_day }}", "b": "{{ stream_interval['to_day'] }}"}}
    sync(open_source(stream(url=api.url, incremental_sync=named, requester=requester)))
    assert api.calls[0].query == {"a": "2024-01-01T00:00:00Z", "b": "2024-03-01T00:00:00Z"}


def test_a_start_stays_between_a_lowest_and_a_highest(api: Api, open_source: Open) -> None:
    api.answers["/things"] = at()
    start = {
        "type": "MinMaxDatetime",
        "datetime": "{{ config.start }}",
        "min_datetime": "2024-01-10T00:00:00Z",
        "max_datetime": "{{ config.most }}",
    }
    for provided, begun in (("2023-01-01T00:00:00Z", "2024-01-10"), ("2024-02-20T00:00:00Z", "2024-02-01")):
        config = {"start": provided, "most": "2024-02-01T00:00:00Z"}
        sync(open_source(stream(url=api.url, incremental_sync=cursor(**WINDOW, start_datetime=start)), config=config))
        assert windows(api)[-1][0].startswith(begun)


def test_values_in_several_formats_are_read_and_one_is_written(api: Api, open_source: Open) -> None:
    api.answers["/things"] = {
        "data": [{"id": 1, "updated_at": "2024-02-03 10:00:00"}, {"id": 2, "updated_at": 1706745600}]
    }
    formats = ["%s", "%Y-%m-%d %H:%M:%S"]
    source = open_source(stream(url=api.url, incremental_sync=cursor(**WINDOW, cursor_datetime_formats=formats)))
    assert sync(source).state == {"updated_at": "2024-02-03T10:00:00Z"}


def test_a_format_that_loses_the_time_of_day_keeps_it_while_the_sync_runs(api: Api, open_source: Open) -> None:
    api.answers["/things"] = {"data": [{"id": 1, "updated_at": "2024-02-03"}]}
    start = {"type": "MinMaxDatetime", "datetime": "2024-01-01T05:00:00Z", "datetime_format": "%Y-%m-%dT%H:%M:%SZ"}
    lossy = cursor(datetime_format="%Y-%m-%d", start_datetime=start, end_datetime="2024-03-01")
    result = sync(open_source(stream(url=api.url, incremental_sync=lossy)))
    assert result.states[0]["slices"][0]["start"] == "2024-01-01"
    assert result.state == {"updated_at": "2024-02-03"}


def test_a_count_only_grows(api: Api, open_source: Open) -> None:
    api.answers["/things"] = {"data": [{"id": 7}, {"id": 9}, {"id": None}, {"id": "8"}]}
    counting = {
        "type": "IncrementingCountCursor",
        "cursor_field": "id",
        "start_value": "{{ config.first }}",
        "start_value_option": SINCE,
    }
    source = open_source(stream(url=api.url, incremental_sync=counting), config={"first": 5})
    assert sync(source).state == {"id": 9}
    assert api.calls[-1].query == {"since": "5"}
    result = sync(source, state={"id": 9})
    assert api.calls[-1].query == {"since": "9"}
    assert result.state == {"id": 9}


def test_the_catalog_says_what_the_cursor_is(open_source: Open) -> None:
    streams = [
        stream("a", url="http://x", incremental_sync=cursor()),
        stream("b", url="http://x", incremental_sync=cursor(allow_catalog_defined_cursor_field=True)),
        stream("c", url="http://x", primary_key=[["a", "b"], ["c"]]),
        stream("d", url="http://x", primary_key="id"),
        stream("e", url="http://x", primary_key=None),
    ]
    a, b, c, d, e = open_source(*streams).discover()
    assert (a.cursor, a.source_defined_cursor, a.sync_modes) == (
        ("updated_at",),
        True,
        (SyncMode.full_refresh, SyncMode.incremental),
    )
    assert not b.source_defined_cursor
    assert c.primary_key == (("a", "b"), ("c",))
    assert (d.primary_key, e.primary_key) == ((("id",),), ())


@pytest.mark.parametrize(
    ("wrong", "fact"),
    [
        ({"start_datetime": "yesterday"}, "'yesterday' is not a date in the format"),
        ({"start_datetime": "{{ config.day }}"}, "'x' is not a date"),
        ({"step": "P1D"}, "need each other"),
        ({"step": "1 day", "cursor_granularity": "PT1S"}, "not an ISO 8601 duration"),
        ({"lookback_window": "x"}, "not an ISO 8601 duration"),
        ({"datetime_format": None}, "needs `datetime_format`"),
        ({"clamping": {"target": "WEEK"}}, "target_details.weekday"),
        ({"clamping": {"target": "YEAR"}}, "DAY, MONTH, or WEEK"),
        ({"type": "CustomIncrementalSync", "class_name": "x.Y"}, "Python class x.Y"),
    ],
)
def test_a_wrong_cursor_is_told_with_its_place(open_source: Open, wrong: Any, fact: str) -> None:
    with pytest.raises(ConfigError, match=fact) as caught:
        sync(open_source(stream(url="http://127.0.0.1:1", incremental_sync=cursor(**wrong)), config={"day": "x"}))
    assert "streams[0].incremental_sync" in str(caught.value)


@pytest.mark.parametrize("value", ["?", {"a": 1}, [1]])
def test_a_state_that_cannot_be_read_is_told(open_source: Open, value: Any) -> None:
    with pytest.raises(ConfigError, match="the saved state holds"):
        sync(open_source(stream(url="http://127.0.0.1:1", incremental_sync=cursor())), state={"updated_at": value})


def test_a_wrong_primary_key_is_told(open_source: Open) -> None:
    for wrong in ({"a": 1}, [5], [[]]):
        with pytest.raises(ConfigError, match="primary_key"):
            open_source(stream(url="http://x", primary_key=wrong)).discover()


def test_a_state_is_read_in_the_format_it_was_written_in(api: Api, open_source: Open) -> None:
    api.answers["/things"] = {"data": [{"id": 1, "updated_at": 1706000000000}]}
    milliseconds = cursor(
        start_time_option=SINCE,
        end_datetime={"type": "MinMaxDatetime", "datetime": "1709251200"},
        start_datetime={"type": "MinMaxDatetime", "datetime": "1704067200"},
        datetime_format="%s",
        cursor_datetime_formats=["%ms"],
    )
    source = open_source(stream(url=api.url, incremental_sync=milliseconds))
    result = sync(source)
    assert result.state == {"updated_at": "1706000000"}
    sync(source, state=result.state)
    assert api.calls[-1].query["since"] == "1706000000"
    sync(source, state={"updated_at": "1706000000000"})
    assert api.calls[-1].query["since"] == "1706000000"
