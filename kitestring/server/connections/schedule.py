"""Schedules: manual, every so often, continuous, or by cron (five fields, or Quartz's six and seven).

The form in the store is one of

    {"type": "manual"}
    {"type": "basic", "every": 6, "unit": "hours"}
    {"type": "cron", "expression": "0 30 6 ? * MON-FRI", "time_zone": "Europe/Berlin"}
    {"type": "continuous", "window_s": 300, "rollover_s": 86400}

that of cron with an optional `jitter_s`. A continuous connection has a job that does not end: it is reconciled after
each window, and a new job follows it after `rollover_s`. Quartz:
quartz-scheduler.org/documentation/quartz-2.3.0/tutorials/crontrigger.html.
"""

from __future__ import annotations

import calendar
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from kitestring.errors import ConfigError
from kitestring.server.clock import now_ms

UNITS = ("minutes", "hours", "days", "weeks", "months")
SECONDS = {"minutes": 60, "hours": 3600, "days": 86_400, "weeks": 7 * 86_400}
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MOST_YEARS = 10
WINDOW_S, MOST_WINDOW_S = 300, 3600
ROLLOVER_S, MOST_ROLLOVER_S = 86_400, 7 * 86_400

Schedule = Mapping[str, Any]
MANUAL: Schedule = {"type": "manual"}


def parse(values: Any) -> dict[str, Any]:
    """A schedule in the store's form, checked. `ConfigError` says what is wrong with it."""
    if not isinstance(values, Mapping):
        raise ConfigError("the schedule is not an object", hint='Write {"type": "manual"}, or cron, or basic.')
    kind = values.get("type", "manual")
    schedule: dict[str, Any] = {"type": kind}
    if kind == "basic":
        every, unit = values.get("every"), str(values.get("unit", "hours"))
        unit = unit if unit.endswith("s") else f"{unit}s"
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ConfigError("the schedule's `every` should be a whole number from 1", hint="Write `every: 6`.")
        if unit not in UNITS:
            raise ConfigError(f"the schedule's unit {unit} is not one of {', '.join(UNITS)}", hint="Take one of these.")
        schedule |= {"every": every, "unit": unit}
    elif kind == "cron":
        expression, zone = split_zone(str(values.get("expression", "")), str(values.get("time_zone") or "UTC"))
        schedule |= {"expression": expression, "time_zone": zone}
        if next_ms(schedule, now_ms()) is None:
            raise ConfigError(f"the schedule {expression} never comes", hint="Correct its days, months or years.")
    elif kind == "continuous":
        schedule |= {
            "window_s": seconds_of(values, "window_s", WINDOW_S, MOST_WINDOW_S),
            "rollover_s": seconds_of(values, "rollover_s", ROLLOVER_S, MOST_ROLLOVER_S),
        }
    elif kind != "manual":
        raise ConfigError(f"there is no schedule of the type {kind}", hint="Take manual, basic, cron or continuous.")
    jitter = values.get("jitter_s", 0)
    if not isinstance(jitter, int | float) or isinstance(jitter, bool) or not 0 <= jitter <= 86_400:
        raise ConfigError("the schedule's jitter_s should be seconds, at most a day", hint="Write `jitter_s: 60`.")
    if jitter and kind != "cron":
        raise ConfigError(
            f"a {kind} schedule takes no jitter_s: it counts from the last run", hint="Leave jitter_s out, or use cron."
        )
    if jitter:
        schedule["jitter_s"] = jitter
    return schedule


def seconds_of(values: Mapping[str, Any], name: str, default: int, most: int) -> int:
    seconds = values.get(name, default)
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 1 <= seconds <= most:
        raise ConfigError(
            f"the schedule's {name} should be a whole number of seconds from 1 to {most}",
            hint=f"Write `{name}: {default}`.",
        )
    return seconds


def is_continuous(schedule: Schedule) -> bool:
    return bool(schedule["type"] == "continuous")


def first_ms(schedule: Schedule, now: int, key: str = "") -> int | None:
    """The next run of a connection that was just created, changed or activated."""
    return now if is_continuous(schedule) else next_ms(schedule, now, key)


def next_ms(schedule: Schedule, after_ms: int, key: str = "") -> int | None:
    """The next run after a moment, in UTC milliseconds; None for a manual schedule, and a continuous one: the end of
    its job starts the next.

    `key` (a connection's id) chooses the place within the jitter: the same one each time, so that intervals stay even.
    """
    if schedule["type"] == "basic":
        return after_basic(schedule, after_ms)
    if schedule["type"] == "cron":
        shift = jitter_ms(schedule, key)
        moment_ms = after_cron(schedule["expression"], schedule.get("time_zone") or "UTC", after_ms - shift)
        return None if moment_ms is None else moment_ms + shift
    return None


def jitter_ms(schedule: Schedule, key: str) -> int:
    most = int(float(schedule.get("jitter_s", 0)) * 1000)
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % (most + 1) if most else 0


def after_basic(schedule: Schedule, after_ms: int) -> int:
    every, unit = int(schedule["every"]), schedule["unit"]
    if unit != "months":
        return after_ms + every * SECONDS[unit] * 1000
    moment = datetime.fromtimestamp(after_ms / 1000, UTC)
    month = moment.month - 1 + every
    year, month = moment.year + month // 12, month % 12 + 1
    day = min(moment.day, calendar.monthrange(year, month)[1])
    return int(moment.replace(year=year, month=month, day=day).timestamp() * 1000)


def after_cron(expression: str, zone: str, after_ms: int) -> int | None:
    from cronsim import CronSim, CronSimError

    fields, years = plain(expression)
    begin = datetime.fromtimestamp(max(after_ms, 0) / 1000, zone_of(zone))
    try:
        coming = CronSim(fields, begin)
        for moment in coming:
            if moment.year > begin.year + MOST_YEARS and (years is None or moment.year > max(years)):
                return None
            if years is None or moment.year in years:
                return int(moment.timestamp() * 1000)
    except CronSimError as error:
        raise ConfigError(
            f"the schedule {expression} is not a cron expression: {error}",
            hint='Write "30 6 * * 1-5" (minute, hour, day, month, weekday) or Quartz: "0 30 6 ? * MON-FRI".',
        ) from None
    return None


def plain(expression: str) -> tuple[str, set[int] | None]:
    """A cron expression as cronsim takes it (second first where it has one), and the years it is confined to."""
    fields = expression.upper().split()
    if len(fields) not in (5, 6, 7):
        raise ConfigError(
            f"the schedule {expression or '(empty)'} has {len(fields)} fields, cron has 5, Quartz 6 or 7",
            hint='Write "30 6 * * 1-5" (minute, hour, day, month, weekday) or Quartz: "0 30 6 ? * MON-FRI".',
        )
    if len(fields) == 5:
        if "?" in fields:
            fields = ["*" if field == "?" else field for field in fields]
        return " ".join(fields), None
    second, minute, hour, day, month, weekday, *year = fields
    if not second.isdigit():
        raise ConfigError(
            f"the schedule {expression} comes several times a minute: its seconds are {second}",
            hint="Write one number, such as 0, for the seconds.",
        )
    if day != "?" and weekday not in ("?", "*") and day != "*":
        raise ConfigError(
            f"the schedule {expression} names a day of the month and a day of the week",
            hint="Write ? for one of the two.",
        )
    if "W" in day.replace("LW", ""):
        raise ConfigError(
            f"the schedule {expression} uses the weekday nearest to a day ({day}), which is not supported",
            hint="Name the day, or LW for the last weekday of the month.",
        )
    if re.search(r"L-\d", day):
        raise ConfigError(
            f"the schedule {expression} counts days back from the end of the month ({day}), which is not supported",
            hint="Name the day, or L for the last one.",
        )
    if day == "?":
        day = "*"
    weekday = "*" if weekday == "?" else ",".join(quartz_weekday(term, expression) for term in weekday.split(","))
    years = None if not year or year[0] == "*" else years_of(year[0], expression)
    return " ".join((second, minute, hour, day, month, weekday)), years


def quartz_weekday(term: str, expression: str) -> str:
    """One term of Quartz's weekdays (1 or SUN to 7 or SAT) as cron counts them, from 0."""
    if term == "*" or term.startswith("*/"):
        return term
    if term == "L":
        return "6"
    step = ""
    if "/" in term:
        term, step = term.split("/", 1)

    def number(day_name: str) -> int:
        if day_name in DAYS:
            return DAYS.index(day_name)
        if day_name.isdigit() and 1 <= int(day_name) <= 7:
            return int(day_name) - 1
        raise ConfigError(
            f"the schedule {expression} has no such weekday: {day_name}", hint="Quartz counts 1 (SUN) to 7 (SAT)."
        )

    if "#" in term:
        day_name, nth = term.split("#", 1)
        return f"{number(day_name)}#{nth}"
    if term.endswith("L"):
        return f"{number(term[:-1])}L"
    if "-" in term:
        first, last = (number(day_name) for day_name in term.split("-", 1))
        days = [day % 7 for day in range(first, last + 1 if last >= first else last + 8)]
        return ",".join(map(str, sorted(days[:: int(step) if step.isdigit() and int(step) else 1])))
    day = number(term)
    return ",".join(map(str, range(day, 7, int(step)))) if step.isdigit() and int(step) else str(day)


def years_of(field: str, expression: str) -> set[int]:
    years: set[int] = set()
    for term in field.split(","):
        match = re.fullmatch(r"(\d{4})(?:-(\d{4}))?(?:/(\d+))?", term)
        if match is None:
            raise ConfigError(f"the schedule {expression} has no such year: {term}", hint="Write 2026 or 2026-2028.")
        first = int(match[1])
        last = int(match[2]) if match[2] else (2099 if match[3] else first)
        years.update(range(first, last + 1, int(match[3] or 1)))
    return years


def split_zone(expression: str, zone: str) -> tuple[str, str]:
    """An expression without the time zone that Airbyte's API writes behind it, and that zone."""
    terms = expression.split()
    if len(terms) > 5 and re.fullmatch(r"[A-Za-z_]+(/[A-Za-z_+\-0-9]+)*", terms[-1]) and not is_field(terms[-1]):
        zone_of(terms[-1])
        return " ".join(terms[:-1]), terms[-1]
    zone_of(zone)
    return " ".join(terms), zone


def is_field(term: str) -> bool:
    return term.upper() in DAYS or term.upper() in ("L", "LW")


def zone_of(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigError(f"there is no time zone {name}", hint="Write UTC, or a name such as Europe/Berlin.") from None


# -- as Airbyte's API has it -----------------------------------------------------------------------------------------


def from_api(schedule: Mapping[str, Any] | None) -> dict[str, Any]:
    """`{scheduleType, cronExpression}` in the store's form; nothing is manual. `continuous` beside it is ours: true, or
    an object with `windowSeconds` and `rolloverSeconds`."""
    kind = (schedule or {}).get("scheduleType", "manual")
    continuous = (schedule or {}).get("continuous")
    if continuous:
        if kind != "manual":
            raise ConfigError(
                f"the schedule is continuous and has the scheduleType {kind}",
                hint="Give the scheduleType manual with `continuous`, or leave `continuous` out.",
            )
        settings = continuous if isinstance(continuous, Mapping) else {}
        names = {"windowSeconds": "window_s", "rolloverSeconds": "rollover_s"}
        chosen = {name: settings[key] for key, name in names.items() if settings.get(key) is not None}
        return parse({"type": "continuous", **chosen})
    if schedule is None or kind == "manual":
        return dict(MANUAL)
    if kind == "cron":
        if not schedule.get("cronExpression"):
            raise ConfigError("the schedule is by cron and has no cronExpression", hint="Give a cronExpression.")
        return parse({"type": "cron", "expression": schedule["cronExpression"]})
    if kind == "basic":
        match = re.fullmatch(r"(?:every\s+)?(\d+)\s+(\w+)", str(schedule.get("basicTiming", "")).strip().lower())
        if match is None:
            raise ConfigError("the schedule is basic and has no basicTiming", hint='Write "Every 6 HOURS".')
        return parse({"type": "basic", "every": int(match[1]), "unit": match[2]})
    raise ConfigError(f"there is no scheduleType {kind}", hint="Take manual, cron or basic.")


def to_api(schedule: Schedule) -> dict[str, Any]:
    """The store's form as `{scheduleType, cronExpression | basicTiming}`: the zone follows the expression."""
    if schedule["type"] == "cron":
        return {
            "scheduleType": "cron",
            "cronExpression": f"{schedule['expression']} {schedule.get('time_zone') or 'UTC'}",
        }
    if schedule["type"] == "basic":
        return {"scheduleType": "basic", "basicTiming": f"Every {schedule['every']} {str(schedule['unit']).upper()}"}
    if is_continuous(schedule):
        settings = {"windowSeconds": schedule["window_s"], "rolloverSeconds": schedule["rollover_s"]}
        return {"scheduleType": "manual", "continuous": settings}
    return {"scheduleType": "manual"}
