"""When a schedule comes next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kitestring.errors import ConfigError
from kitestring.project_file import timing
from kitestring.server.connections import schedule


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def after(values: dict[str, Any], moment: str, count: int = 1) -> list[str]:
    created, now, results = schedule.parse(values), ms(moment), []
    for _ in range(count):
        now = schedule.next_ms(created, now) or 0
        results.append(datetime.fromtimestamp(now / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    return results


def cron(expression: str, zone: str = "UTC") -> dict[str, Any]:
    return {"type": "cron", "expression": expression, "time_zone": zone}


@pytest.mark.parametrize(
    ("expression", "coming"),
    [
        ("*/15 * * * *", "2026-11-25T10:15:00"),
        ("30 6 * * 1-5", "2026-11-26T06:30:00"),
        ("0 0 * * 0", "2026-11-29T00:00:00"),
        ("0 0 12 * * ?", "2026-11-25T12:00:00"),
        ("0 0 12 ? * 1", "2026-11-29T12:00:00"),  # Quartz: 1 is Sunday
        ("0 0 12 ? * MON-FRI", "2026-11-25T12:00:00"),
        ("0 0 12 ? * FRI-MON", "2026-11-27T12:00:00"),
        ("0 0 12 ? * 6L", "2026-11-27T12:00:00"),
        ("0 0 12 ? * 2#1", "2026-12-07T12:00:00"),
        ("0 0 12 L * ?", "2026-11-30T12:00:00"),
        ("0 0 12 ? * L", "2026-11-28T12:00:00"),
        ("15 0/5 * * * ?", "2026-11-25T10:05:15"),
        ("0 0 0 1 1 ? 2028", "2028-01-01T00:00:00"),
        ("0 0 12 * * ? UTC", "2026-11-25T12:00:00"),
        ("0 0 12 * * ? Europe/Berlin", "2026-11-25T11:00:00"),
    ],
)
def test_a_cron_expression_comes_when_its_language_says(expression: str, coming: str) -> None:
    assert after(cron(expression), "2026-11-25T10:01:00") == [coming]


@pytest.mark.parametrize(
    ("values", "fact"),
    [
        (cron("* * *"), "has 3 fields"),
        (cron(""), "has 0 fields"),
        (cron("* * * * * ?"), "several times a minute"),
        (cron("0 0 12 15W * ?"), "weekday nearest"),
        (cron("0 0 12 L-3 * ?"), "back from the end"),
        (cron("0 0 12 1 * 2"), "day of the month and a day of the week"),
        (cron("0 0 12 ? * 8"), "no such weekday"),
        (cron("61 * * * *"), "not a cron expression"),
        (cron("0 0 31 2 *"), "never comes|not a cron"),
        (cron("0 0 12 * * ? 2001"), "never comes"),
        (cron("0 0 * * *", "Mars/Olympus"), "no time zone"),
        ({"type": "basic", "every": 0, "unit": "hours"}, "whole number"),
        ({"type": "basic", "every": 2, "unit": "moons"}, "not one of"),
        ({"type": "sometimes"}, "no schedule of the type"),
        ({"type": "manual", "jitter_s": -1}, "jitter"),
        ({"type": "continuous", "window_s": 0}, "window_s"),
        ({"type": "continuous", "rollover_s": True}, "rollover_s"),
        ({"type": "continuous", "jitter_s": 5}, "jitter"),
        ({"type": "basic", "every": 2, "unit": "hours", "jitter_s": 60}, "takes no jitter"),
    ],
)
def test_a_schedule_that_cannot_be_says_why_and_what_to_write(values: dict[str, Any], fact: str) -> None:
    with pytest.raises(ConfigError, match=fact) as caught:
        schedule.parse(values)
    assert caught.value.hint


def test_an_hour_that_does_not_exist_is_not_missed_and_a_doubled_one_comes_once() -> None:
    berlin = cron("30 2 * * *", "Europe/Berlin")
    # On 2027-03-28 the clock goes from 2:00 to 3:00, on 2026-10-25 it shows 2:30 twice.
    assert after(berlin, "2027-03-27T12:00:00", 2) == ["2027-03-28T01:00:00", "2027-03-29T00:30:00"]
    assert after(berlin, "2026-10-24T12:00:00", 2) == ["2026-10-25T00:30:00", "2026-10-26T01:30:00"]


def test_every_so_often_counts_from_the_last_time() -> None:
    assert after({"type": "basic", "every": 6, "unit": "hour"}, "2026-11-25T10:01:00", 2) == [
        "2026-11-25T16:01:00",
        "2026-11-25T22:01:00",
    ]
    assert after({"type": "basic", "every": 1, "unit": "months"}, "2027-01-31T08:00:00") == ["2027-02-28T08:00:00"]


def test_jitter_is_the_same_for_a_connection_each_time_and_spreads_several() -> None:
    created = schedule.parse({**cron("0 * * * *"), "jitter_s": 600})
    now = ms("2026-11-25T10:30:00")
    first = {key: schedule.next_ms(created, now, key) or 0 for key in "abcdefgh"}
    assert len(set(first.values())) > 4
    assert all(0 <= entry - ms("2026-11-25T11:00:00") <= 600_000 for entry in first.values())
    for key, item in first.items():
        assert (schedule.next_ms(created, item, key) or 0) - item == 3_600_000


def test_a_continuous_schedule_begins_at_once_and_its_jobs_start_each_other() -> None:
    form = schedule.parse({"type": "continuous"})
    assert form == schedule.from_api({"scheduleType": "manual", "continuous": True})
    assert form == schedule.parse(timing("continuous"))
    assert (schedule.first_ms(form, 7), schedule.next_ms(form, 7)) == (7, None)
    with pytest.raises(ConfigError, match="is continuous and has the scheduleType cron"):
        schedule.from_api({"scheduleType": "cron", "cronExpression": "0 6 * * *", "continuous": True})


def test_a_manual_schedule_never_comes() -> None:
    assert schedule.next_ms(schedule.MANUAL, 5) is None


@pytest.mark.parametrize(
    "values",
    [
        {"scheduleType": "manual"},
        {"scheduleType": "manual", "continuous": {"windowSeconds": 60, "rolloverSeconds": 3600}},
        {"scheduleType": "cron", "cronExpression": "0 0 12 * * ? UTC"},
        {"scheduleType": "basic", "basicTiming": "Every 6 HOURS"},
    ],
)
def test_what_airbytes_clients_send_is_what_they_get_back(values: dict[str, Any]) -> None:
    assert schedule.to_api(schedule.from_api(values)) == values


def test_a_cron_expression_without_a_zone_comes_back_with_utc_as_airbyte_writes_it() -> None:
    kept = schedule.from_api({"scheduleType": "cron", "cronExpression": "0 0 12 * * ?"})
    assert kept == {"type": "cron", "expression": "0 0 12 * * ?", "time_zone": "UTC"}
    assert schedule.to_api(kept)["cronExpression"] == "0 0 12 * * ? UTC"
