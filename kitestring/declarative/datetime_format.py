"""Date formats, compiled once, and ISO 8601 durations, also with months and years."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULT_FORMAT = "%Y-%m-%dT%H:%M:%S.%f%z"


class DateFormat:
    """A format of `strptime`, and beyond it: `%s` epoch seconds, `%s_as_float`, `%ms` and `%epoch_microseconds`,
    and `%_ms` for three digits of a second inside a format.

    A text without a zone is UTC. `parse` raises ValueError. The common formats are parsed without `strptime`.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.parse: Callable[[Any], datetime] = EPOCHS[text][0] if text in EPOCHS else self._parser()
        self.format: Callable[[datetime], str] = EPOCHS[text][1] if text in EPOCHS else self._write
        self.length = FIXED_LENGTHS.get(text, 0)
        """The length of all texts of this format if their text order is their order in time, else 0."""

    def _parser(self) -> Callable[[Any], datetime]:
        pattern = self.text.replace("%_ms", "%f")

        def parse(value: Any) -> datetime:
            moment = datetime.strptime(str(value), pattern)
            return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

        shape = ISO_PATTERNS.get(self.text)
        if shape is None:
            return parse
        fits = re.compile(shape).fullmatch

        def parse_fast(value: Any) -> datetime:
            if type(value) is str and fits(value):
                moment = datetime.fromisoformat(value)
                return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
            return parse(value)

        return parse_fast

    def _write(self, moment: datetime) -> str:
        if "%_ms" in self.text:
            return moment.strftime(self.text.replace("%_ms", f"{moment.microsecond // 1000:03d}"))
        return moment.strftime(self.text)


EPOCHS: dict[str, tuple[Callable[[Any], datetime], Callable[[datetime], str]]] = {
    "%s": (lambda v: datetime.fromtimestamp(int(v), UTC), lambda m: str(int(m.timestamp()))),
    "%s_as_float": (lambda v: datetime.fromtimestamp(float(v), UTC), lambda m: str(float(m.timestamp()))),
    "%ms": (lambda v: EPOCH + timedelta(milliseconds=int(v)), lambda m: str((m - EPOCH) // timedelta(milliseconds=1))),
    "%epoch_microseconds": (
        lambda v: EPOCH + timedelta(microseconds=int(v)),
        lambda m: str((m - EPOCH) // timedelta(microseconds=1)),
    ),
}
_DAY, _TIME = r"\d{4}-\d\d-\d\d", r"T\d\d:\d\d:\d\d"
ISO_PATTERNS = {
    "%Y-%m-%d": _DAY,
    "%Y-%m-%dT%H:%M:%S": _DAY + _TIME,
    "%Y-%m-%dT%H:%M:%SZ": _DAY + _TIME + "Z",
    "%Y-%m-%dT%H:%M:%S.%fZ": _DAY + _TIME + r"\.\d{1,6}Z",
    "%Y-%m-%dT%H:%M:%S.%f": _DAY + _TIME + r"\.\d{1,6}",
    "%Y-%m-%dT%H:%M:%S%z": _DAY + _TIME + r"(?:Z|[+-]\d\d:?\d\d)",
    "%Y-%m-%dT%H:%M:%S.%f%z": _DAY + _TIME + r"\.\d{1,6}(?:Z|[+-]\d\d:?\d\d)",
    "%Y-%m-%dT%H:%M:%S.%_msZ": _DAY + _TIME + r"\.\d{1,6}Z",
}
FIXED_LENGTHS = {"%Y-%m-%d": 10, "%Y-%m-%dT%H:%M:%S": 19, "%Y-%m-%dT%H:%M:%SZ": 20, "%Y-%m-%dT%H:%M:%S.%_msZ": 24}


@dataclass(frozen=True, slots=True)
class Months:
    """A duration with calendar parts. `moment + Months(...)` keeps the day of the month if that month has it."""

    months: int
    rest: timedelta

    def __radd__(self, moment: Any) -> Any:
        return shift_months(moment, self.months) + self.rest

    def __rsub__(self, moment: Any) -> Any:
        return shift_months(moment, -self.months) - self.rest

    def __neg__(self) -> Months:
        return Months(-self.months, -self.rest)

    def __str__(self) -> str:
        return f"{self.months} month{'s' if self.months > 1 else ''}, {self.rest}"

    def __mul__(self, times: int) -> Months:
        return Months(self.months * times, self.rest * times)


Duration = timedelta | Months
_DURATION = re.compile(
    r"([+-])?P(?!$)(?:(\d+(?:[.,]\d+)?)Y)?(?:(\d+(?:[.,]\d+)?)M)?(?:(\d+(?:[.,]\d+)?)W)?(?:(\d+(?:[.,]\d+)?)D)?"
    r"(?:T(?!$)(?:(\d+(?:[.,]\d+)?)H)?(?:(\d+(?:[.,]\d+)?)M)?(?:(\d+(?:[.,]\d+)?)S)?)?"
)


def parse_duration(text: Any) -> Duration:
    """Parse an ISO 8601 duration (`P1M`, `PT0.001S`). Raises ValueError."""
    match = _DURATION.fullmatch(str(text).strip())
    if not match:
        raise ValueError(f"{text!r} is not an ISO 8601 duration such as P30D or PT1S")
    years, months, weeks, days, hours, minutes, seconds = (
        float((g or "0").replace(",", ".")) for g in match.groups()[1:]
    )
    rest = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not years and not months:
        return -rest if match[1] == "-" else rest
    whole = Months(int(years * 12 + months), rest)
    return -whole if match[1] == "-" else whole


def shift_months(moment: Any, months: int) -> Any:
    """The same day and time of another month, or its last day if it is shorter."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise OverflowError("the date is out of range")
    return moment.replace(year=year, month=month + 1, day=min(moment.day, calendar.monthrange(year, month + 1)[1]))


def parse_iso(text: str) -> datetime:
    """Parse a date or time in ISO 8601; without a zone it is UTC."""
    moment = datetime.fromisoformat(text.strip())
    return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def now() -> datetime:
    return datetime.now(UTC)


def as_moment(value: date) -> datetime:
    """The start of a day in UTC."""
    return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
