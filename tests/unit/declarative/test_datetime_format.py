"""Dates and durations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from kitestring.declarative.datetime_format import DateFormat, Months, as_moment, parse_duration, parse_iso

NOON = datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("format", "text", "moment"),
    [
        ("%s", "1709209815", datetime(2024, 2, 29, 12, 30, 15, tzinfo=UTC)),
        ("%s_as_float", "1709209815.5", datetime(2024, 2, 29, 12, 30, 15, 500000, tzinfo=UTC)),
        ("%ms", "1709209815123", datetime(2024, 2, 29, 12, 30, 15, 123000, tzinfo=UTC)),
        ("%epoch_microseconds", "1709209815123456", NOON),
        ("%Y-%m-%d", "2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
        ("%Y-%m-%dT%H:%M:%SZ", "2024-02-29T12:30:15Z", NOON.replace(microsecond=0)),
        ("%Y-%m-%dT%H:%M:%S", "2024-02-29T12:30:15", NOON.replace(microsecond=0)),
        ("%Y-%m-%dT%H:%M:%S.%fZ", "2024-02-29T12:30:15.123456Z", NOON),
        ("%Y-%m-%dT%H:%M:%S.%f", "2024-02-29T12:30:15.123456", NOON),
        ("%Y-%m-%dT%H:%M:%S%z", "2024-02-29T12:30:15+0000", NOON.replace(microsecond=0)),
        ("%Y-%m-%dT%H:%M:%S.%f%z", "2024-02-29T12:30:15.123456+0000", NOON),
        ("%Y-%m-%dT%H:%M:%S.%_msZ", "2024-02-29T12:30:15.123Z", NOON.replace(microsecond=123000)),
        ("%d.%m.%Y %H:%M", "29.02.2024 12:30", NOON.replace(second=0, microsecond=0)),
    ],
)
def test_a_format_parses_and_writes(format: str, text: str, moment: datetime) -> None:
    known = DateFormat(format)
    assert known.parse(text) == moment
    assert known.format(moment) == text


def test_a_zone_is_kept() -> None:
    result = DateFormat("%Y-%m-%dT%H:%M:%S%z").parse("2024-02-29T12:30:15+02:00")
    assert result == datetime(2024, 2, 29, 12, 30, 15, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize("text", ["2024-02-30T00:00:00Z", "2024-02-29 12:30:15Z", "nonsense", ""])
def test_what_does_not_fit_a_format_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        DateFormat("%Y-%m-%dT%H:%M:%SZ").parse(text)


def test_fast_and_slow_parsing_agree_on_fractions() -> None:
    assert DateFormat("%Y-%m-%dT%H:%M:%S.%fZ").parse("2024-02-29T12:30:15.1Z").microsecond == 100000


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("P1D", timedelta(days=1)),
        ("PT1S", timedelta(seconds=1)),
        ("PT0.001S", timedelta(milliseconds=1)),
        ("P1W", timedelta(weeks=1)),
        ("PT1H30M", timedelta(hours=1, minutes=30)),
        ("-P1D", timedelta(days=-1)),
        ("P1M", Months(1, timedelta())),
        ("P1Y2M3D", Months(14, timedelta(days=3))),
    ],
)
def test_a_duration_is_read(text: str, duration: object) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "P", "PT", "1D", "P1H", "PXD"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an ISO 8601 duration"):
        parse_duration(text)


def test_months_keep_the_day_where_the_month_has_it() -> None:
    assert datetime(2024, 1, 31, tzinfo=UTC) + parse_duration("P1M") == datetime(2024, 2, 29, tzinfo=UTC)
    assert datetime(2024, 3, 31, tzinfo=UTC) - parse_duration("P1M") == datetime(2024, 2, 29, tzinfo=UTC)
    assert datetime(2024, 3, 31, tzinfo=UTC) + parse_duration("-P1Y") == datetime(2023, 3, 31, tzinfo=UTC)
    assert parse_duration("P1M") * 3 == Months(3, timedelta())  # type: ignore[operator]
    with pytest.raises(OverflowError):
        datetime(9999, 12, 1, tzinfo=UTC) + parse_duration("P1M")


def test_dates_are_moments_in_utc() -> None:
    assert parse_iso("2024-02-29") == datetime(2024, 2, 29, tzinfo=UTC)
    assert parse_iso("2024-02-29T02:00:00+02:00") == datetime(2024, 2, 29, tzinfo=UTC)
    assert as_moment(NOON.date()) == datetime(2024, 2, 29, tzinfo=UTC)
    assert as_moment(NOON) == NOON
