"""Cursors by time: slices of a step, dates in the formats of the API, and `MinMaxDatetime`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from kitestring.declarative import datetime_format
from kitestring.declarative.cursor import AIRBYTE, Cursor, Interval, Progress
from kitestring.declarative.datetime_format import DateFormat, parse_duration
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.request_option import Options, RequestOption
from kitestring.declarative.slice import Slice
from kitestring.declarative.template import Template
from kitestring.errors import ConfigError
from kitestring.types import State
from kitestring.watermark import moment_of


@keyword("MinMaxDatetime")
class MinMaxDatetime:
    """A time from a template, limited to a minimum and a maximum."""

    def __init__(self, node: Node, format: str = "", **_: Any) -> None:
        self._node = node
        self._format = DateFormat(str(node.get("datetime_format") or format or datetime_format.DEFAULT_FORMAT))
        self._value = node.needed_text("datetime")
        self._least: Template | None = node.text("min_datetime") if node.get("min_datetime") else None
        self._most: Template | None = node.text("max_datetime") if node.get("max_datetime") else None

    def __call__(self) -> datetime:
        moment = self._parse("datetime", self._value)
        if self._least is not None and self._least({}) != "":
            moment = max(moment, self._parse("min_datetime", self._least))
        if self._most is not None and self._most({}) != "":
            moment = min(moment, self._parse("max_datetime", self._most))
        return moment

    def _parse(self, name: str, template: Template) -> datetime:
        value = template({})
        try:
            return self._format.parse(str(value))
        except (ValueError, OverflowError) as error:
            raise ConfigError(
                f"manifest, {self._node.path}.{name}: {str(value)!r} is not a date in the format {self._format.text}",
                hint="Check the dates in the configuration: " + str(template.text),
                place=f"{self._node.path}.{name}",
            ) from error


Clamp = Callable[[datetime], datetime]
WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")


@keyword("DatetimeBasedCursor")
class DatetimeBasedCursor(Cursor[datetime]):
    """Reads by time, from the last cursor value minus the lookback to the end, in steps if `step` is set."""

    def __init__(self, node: Node, **_: Any) -> None:
        super().__init__(node)
        self.format = DateFormat(str(node.need("datetime_format")))
        self._formats = [DateFormat(str(text)) for text in node.items("cursor_datetime_formats")] + [self.format]
        self._zoned = "%z" in self.format.text
        self.start_key = str(node.constant("partition_field_start", "start_time"))
        self.end_key = str(node.constant("partition_field_end", "end_time"))
        self.granularity = self._duration("cursor_granularity")
        self._increment = self.granularity or timedelta(milliseconds=1)
        self.lookback = self._duration("lookback_window")
        self.step = self._duration("step")
        if bool(node.get("step")) != bool(node.get("cursor_granularity")):
            raise node.error("`step` and `cursor_granularity` need each other")
        self._strict = node.flag("is_compare_strictly")
        self.start = self._time("start_datetime")()
        self._end = self._time("end_datetime") if node.get("end_datetime") else datetime_format.now
        self._clamp: Clamp | None = None
        self._clamp_end: Clamp | None = None
        if node.get("clamping"):
            self._clamp, self._clamp_end = clamps(node)
        self._start_option: RequestOption | None = node.child("start_time_option", "RequestOption")
        self._end_option: RequestOption | None = node.child("end_time_option", "RequestOption")

    def _duration(self, name: str) -> Any:
        text = self.node.constant(name)
        if not text:
            return None
        try:
            return parse_duration(text)
        except ValueError as error:
            raise self.node.error(str(error), name) from None

    def _time(self, name: str) -> Callable[[], datetime]:
        value = self.node.need(name)
        if not isinstance(value, Mapping):
            value = {"type": "MinMaxDatetime", "datetime": str(value), "$parameters": dict(self.node.parameters)}
        moment: MinMaxDatetime = self.node.typed(value, name, "MinMaxDatetime").build(format=self.format.text)
        return moment

    def parse(self, value: Any) -> datetime:
        """Parse by the manifest's formats, else as ISO 8601; digits beyond microseconds are cut."""
        if isinstance(value, bool):
            raise ValueError(f"{value} is not a date or time")
        for format_ in self._formats:
            try:
                return format_.parse(value)
            except (ValueError, OverflowError):
                continue
        moment = None if self._like_airbyte else moment_of(str(value).strip())
        if moment is None:
            raise ValueError(f"{value!r} is not a date or time")
        return moment

    def write(self, value: datetime) -> str:
        """Write in UTC if the format has no zone (Airbyte's engine drops the zone)."""
        if not self._zoned and value.tzinfo is not UTC and not self._like_airbyte:
            value = value.astimezone(UTC)
        return self.format.format(value)

    def write_exact(self, value: datetime) -> str:
        """Write in the manifest's format, or in ISO 8601 if that would lose the time of day or the zone."""
        text = self.write(value)
        return text if self.parse_saved(text) == value else value.isoformat()

    def parse_saved(self, value: Any) -> datetime:
        """States are written in `datetime_format`, so it is tried before the record formats (`%ms` and `%s` look
        alike). Airbyte's engine tries the record formats first."""
        try:
            return super().parse_saved(value) if self._like_airbyte else self.parse_written(value)
        except ConfigError:
            try:
                return datetime_format.parse_iso(str(value))
            except ValueError:
                pass
            raise

    def parse_written(self, value: Any) -> datetime:
        try:
            return self.format.parse(value)
        except (ValueError, TypeError, OverflowError):
            return super().parse_saved(value)

    @property
    def _like_airbyte(self) -> bool:
        return bool(self.node.context.values.get(AIRBYTE))

    def after(self, value: datetime) -> datetime:
        try:
            return value + self._increment
        except OverflowError:
            return value

    def end(self) -> datetime:
        end = self._end()
        if self._clamp_end is not None:
            return self._clamp_end(end) - (self.granularity or timedelta(seconds=1))
        return end

    def lookback_start(self, value: datetime) -> datetime:
        try:
            lower: datetime = value - self.lookback if self.lookback is not None else value
            return lower
        except OverflowError:
            return value

    @property
    def text_length(self) -> int:
        return self.format.length if len(self._formats) == 1 else 0

    def fill(self, options: Options, part: Slice) -> None:
        if self._start_option is not None and self.start_key in part.cursor_slice:
            self._start_option.inject(options, part.cursor_slice[self.start_key])
        if self._end_option is not None and self.end_key in part.cursor_slice:
            self._end_option.inject(options, part.cursor_slice[self.end_key])

    def bounds(
        self, part: Mapping[str, Any], latest: datetime | None, progress: Progress[datetime]
    ) -> Interval[datetime] | None:
        return Interval(self.parse_saved(part[self.start_key]), self.parse_saved(part[self.end_key]), latest)

    def slices(self, progress: Progress[datetime]) -> Iterator[dict[str, Any]]:
        intervals = self.merge_intervals(progress.intervals)
        if self.start < intervals[0].start:
            yield from self._split(self.start, intervals[0].start, False)
        for before, behind in itertools.pairwise(intervals):
            yield from self._split(before.end + (self.granularity or timedelta()), behind.start, False)
        last = intervals[-1].end
        try:
            last = last - self.lookback if self.lookback else last
        except OverflowError:
            last = self.start
        yield from self._split(last, self.end(), True)

    def _split(self, lower: datetime, upper: datetime, final: bool) -> Iterator[dict[str, Any]]:
        """Split an interval into steps. Bounds are inclusive: a step ends one granularity before the next begins."""
        if lower > upper or (lower == upper and not self.granularity) or upper < self.start:
            return
        clamp = self._clamp or (lambda value: value)
        lower = clamp(max(lower, self.start))
        if lower > upper or (lower == upper and (self._strict or not final)):
            return
        if self.step is None or self._step_end(lower) >= upper:
            end = upper if final and self.granularity else clamp(upper)
            yield self._slice(lower, end - self.granularity if self.granularity and not final else end)
            return
        while True:
            end = min(self._step_end(lower), upper)
            done = end >= upper
            if not done:
                end = clamp(end)
                done = end == upper
            lower = clamp(lower)
            if lower >= end:
                return
            shorten = self.granularity and not (final and done)
            yield self._slice(lower, end - self.granularity if shorten else end)
            lower = end
            if done:
                return

    def _step_end(self, lower: datetime) -> datetime:
        try:
            stepped: datetime = lower + self.step
            return stepped
        except OverflowError:
            return self.end()

    def _slice(self, start: datetime, end: datetime) -> dict[str, Any]:
        return {self.start_key: self.write(start), self.end_key: self.write(end)}

    def shift_back(self, state: Mapping[str, Any], seconds: float) -> State:
        """A state moved back by the duration of the last sync."""
        if not seconds or state.get(self.field) is None:
            return dict(state)
        try:
            return {**state, self.field: self.write(self.parse_saved(state[self.field]) - timedelta(seconds=seconds))}
        except OverflowError:
            return dict(state)

    def narrow(self, part: Slice, latest: datetime | None) -> Slice:
        """The rest of a slice after the latest record."""
        if latest is None:
            return part
        return part.with_cursor({**part.cursor_slice, self.start_key: self.write(latest)})

    def halves(self, part: Slice, least: timedelta) -> list[Slice]:
        """The two halves of a slice; empty if it is not longer than `least`."""
        if not self.granularity:
            return []
        start, end = self.parse_saved(part[self.start_key]), self.parse_saved(part[self.end_key])
        units = (end - start) // self.granularity + 1
        if units < 2 or end - start <= least:
            return []
        middle = start + self.granularity * (units // 2)
        return [
            part.with_cursor(self._slice(start, middle - self.granularity)),
            part.with_cursor(self._slice(middle, end)),
        ]


def clamps(node: Node) -> tuple[Clamp, Clamp]:
    """Functions that round up and down to whole days, weeks or months."""
    clamping = node.at(node.need("clamping"), "clamping")
    target = str(clamping.needed_text("target")({}))

    def midnight(value: datetime) -> datetime:
        return value.replace(hour=0, minute=0, second=0, microsecond=0)

    if target == "DAY":
        return (lambda v: midnight(v) if midnight(v) == v else midnight(v) + timedelta(days=1)), midnight
    if target == "MONTH":
        return (lambda v: midnight(v) if v.day == 1 else datetime_format.shift_months(midnight(v).replace(day=1), 1)), (
            lambda v: midnight(v).replace(day=1)
        )
    weekday = clamping.mapping("target_details").get("weekday")
    if target != "WEEK" or weekday not in WEEKDAYS:
        raise clamping.error("DAY, MONTH, or WEEK with target_details.weekday is expected", "target")
    day = WEEKDAYS.index(weekday)
    return (lambda v: midnight(v) + timedelta(days=(day - v.weekday()) % 7)), (
        lambda v: midnight(v) - timedelta(days=(v.weekday() - day) % 7)
    )
