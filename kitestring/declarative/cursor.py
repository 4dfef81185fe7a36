"""Cursors: from a saved state to the intervals that are not read yet, and back to a state.

A state is `{cursor field: value}`. During a sync, when intervals end out of order, it has Airbyte's other form,
`{"state_type": "date-range", "slices": [{"start", "end", "most_recent_cursor_value"}]}`. Both forms are read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Generic, TypeVar

from kitestring.declarative import datetime_format
from kitestring.declarative.datetime_format import Duration
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.listed_records import LISTED
from kitestring.declarative.request_option import Options, RequestOption
from kitestring.declarative.slice import Slice
from kitestring.errors import ConfigError
from kitestring.types import Record, State

Value = TypeVar("Value", datetime, float)
WRITTEN_DIGESTS = "kitestring_known"
"""The key beside a cursor value under which a state keeps the digests of written records."""
AIRBYTE = "like_airbyte"
"""Set for a source whose states an Airbyte platform keeps: it reads only the manifest's date formats."""
NEAR_PRESENT = timedelta(minutes=5)
"""An end this close to the present was not chosen by the user."""


def not_after(value: Any, most: datetime | None) -> Any:
    """A value of a state, limited to `most` if it is a time."""
    return most if most is not None and isinstance(value, datetime) and value > most else value


@dataclass(frozen=True, slots=True)
class Interval(Generic[Value]):
    """An interval that was read, and the highest cursor value in it."""

    start: Value
    end: Value
    latest: Value | None = None


@dataclass(frozen=True, slots=True)
class Progress(Generic[Value]):
    """A parsed state. `since`: where new records begin. `legacy`: the other keys of the state."""

    since: Value
    intervals: list[Interval[Value]]
    legacy: dict[str, Any]


class Cursor(Generic[Value]):
    """Base of both cursors: reads and writes states, and filters records."""

    kind = "date-range"
    start: Value
    lookback: Duration | None = None

    def __init__(self, node: Node) -> None:
        self.node = node
        self.field = str(node.constant("cursor_field"))
        self.user_field = node.flag("allow_catalog_defined_cursor_field")
        self.feed = node.flag("is_data_feed")
        self.client_side = node.flag("is_client_side_incremental")
        self.whole_stream = node.flag("global_substream_cursor")
        self.passes_listed = node.flag("passes_newly_listed")
        self.read_before = node.condition(node.get("list_read_before", True))
        if self.passes_listed and (not self.client_side or self.whole_stream or node.get("step")):
            raise node.error(
                "needs `is_client_side_incremental`, and no `step` or `global_substream_cursor`", "passes_newly_listed"
            )

    def parse(self, value: Any) -> Value:
        """Parse a cursor value. Raises ValueError."""
        raise NotImplementedError

    def write(self, value: Value) -> Any:
        raise NotImplementedError

    def write_exact(self, value: Value) -> Any:
        """`value` written so that `parse_saved` returns it unchanged."""
        return self.write(value)

    def after(self, value: Value) -> Value:
        """The next value: the start of an interval directly after `value`."""
        raise NotImplementedError

    def end(self) -> Value:
        raise NotImplementedError

    def slices(self, progress: Progress[Value]) -> Iterator[dict[str, Any]]:
        """The bounds of the intervals that are not read yet, as templates and requests see them."""
        raise NotImplementedError

    def bounds(
        self, part: Mapping[str, Any], latest: Value | None, progress: Progress[Value]
    ) -> Interval[Value] | None:
        """The interval that a completed slice covers."""
        raise NotImplementedError

    def fill(self, options: Options, part: Slice) -> None:
        """Put the bounds of a slice into a request."""

    def lookback_start(self, value: Value) -> Value:
        """Where a sync with the state `value` starts to read."""
        return value

    @property
    def text_length(self) -> int:
        """The length of all cursor values if their text order is their order in time, else 0."""
        return 0

    def progress(self, state: Mapping[str, Any], most: datetime | None = None) -> Progress[Value]:
        """Parse a state. A time after `most` counts as `most`. Raises `ConfigError` for an unreadable cursor value."""
        if state.get("state_type") in ("date-range", "integer"):
            intervals = [
                Interval(
                    self.parse_saved(s["start"]),
                    self.parse_saved(s["end"]),
                    self._parse_optional(s.get("most_recent_cursor_value")),
                )
                for s in state.get("slices", ())
            ]
            legacy = dict(state.get("legacy") or {})
            if intervals:
                first = intervals[0]
                if first.latest is not None:
                    first = intervals[0] = replace(first, latest=not_after(first.latest, most))
                return Progress(first.latest if first.latest is not None else first.end, intervals, legacy)
        else:
            legacy = dict(state)
        legacy.pop(WRITTEN_DIGESTS, None)
        legacy.pop(LISTED, None)
        saved = not_after(self.parse_saved(state[self.field]), most) if state.get(self.field) is not None else None
        since = saved if saved is not None and saved >= self.start else self.start
        return Progress(since, [Interval(self.start, since, since)], legacy)

    def parse_saved(self, value: Any) -> Value:
        """Parse a value of a state or a slice. Raises `ConfigError`."""
        try:
            return self.parse(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise ConfigError(
                f"the saved state holds {value!r} for {self.field}, which the manifest's date formats do not read",
                hint="Correct the state, or reset this stream.",
            ) from error

    def parse_written(self, value: Any) -> Value:
        """Parse a text that `write` returned."""
        return self.parse_saved(value)

    def _parse_optional(self, value: Any) -> Value | None:
        return None if value is None else self.parse_saved(value)

    def add(self, progress: Progress[Value], interval: Interval[Value] | None) -> Progress[Value]:
        """Progress with one more interval; adjacent intervals are merged."""
        intervals = list(progress.intervals)
        if interval is not None:
            intervals.append(interval)
        return replace(progress, intervals=self.merge_intervals(intervals))

    def merge_intervals(self, intervals: list[Interval[Value]]) -> list[Interval[Value]]:
        merged: list[Interval[Value]] = []
        for interval in sorted(intervals, key=lambda s: (s.start, s.end)):
            if merged and self.after(merged[-1].end) >= interval.start:
                last = merged[-1]
                values = [value for value in (last.latest, interval.latest) if value is not None]
                merged[-1] = Interval(last.start, max(last.end, interval.end), max(values) if values else None)
            else:
                merged.append(interval)
        return merged

    def running_state(self, progress: Progress[Value]) -> State:
        """The state during a sync."""
        slices = [
            {"start": self.write_exact(s.start), "end": self.write_exact(s.end)}
            | ({} if s.latest is None else {"most_recent_cursor_value": self.write_exact(s.latest)})
            for s in progress.intervals
        ]
        state: State = {"state_type": self.kind, "slices": slices}
        if progress.legacy:
            state["legacy"] = progress.legacy
        return state

    def final_state(self, progress: Progress[Value]) -> State:
        """The state after a sync: the value up to which everything was read."""
        return {**progress.legacy, self.field: self.write(self.completed_until(progress))}

    def completed_until(self, progress: Progress[Value]) -> Value:
        """The value up to which everything was read."""
        first = self.merge_intervals(progress.intervals)[0]
        return first.start if first.latest is None else first.latest

    def lowest(self, progress: Progress[Value]) -> Value:
        """Records below this cursor value were read before."""
        since = progress.since
        return max(self.lookback_start(since), min(since, self.start))

    def observe(self, records: list[Record], latest: Value | None) -> Value | None:
        """The highest cursor value of the records and `latest`. Unreadable values and times in the future do not
        count."""
        field = self.field
        for record in records:
            value = record.get(field)
            if value is None:
                continue
            try:
                parsed = self.parse(value)
            except (ValueError, TypeError, ArithmeticError):
                continue
            if isinstance(parsed, datetime) and parsed > datetime_format.now():
                continue
            if latest is None or parsed > latest:
                latest = parsed
        return latest

    def cursor_filter(self, lowest: Value) -> Callable[[Record], bool]:
        """A filter that is true for records from `lowest` to the configured end, and for records without a cursor
        value."""
        end: Any = self.end()
        if isinstance(end, datetime) and end > datetime_format.now() - NEAR_PRESENT:
            end = datetime.max.replace(tzinfo=UTC)  # the end is now: records of the future are kept too
        field = self.field

        def accepts(record: Record) -> bool:
            value = record.get(field)
            if value is None:
                return True
            try:
                return bool(lowest <= self.parse(value) <= end)
            except (ValueError, TypeError, ArithmeticError):
                return True

        return accepts


@keyword("IncrementingCountCursor")
class IncrementingCountCursor(Cursor[float]):
    """Reads by a growing number, from its last value."""

    kind = "integer"

    def __init__(self, node: Node, **_: Any) -> None:
        super().__init__(node)
        self.start = node.integer("start_value", 0) or 0
        self._start_option: RequestOption | None = node.child("start_value_option", "RequestOption")

    def parse(self, value: Any) -> float:
        if isinstance(value, str):
            value = int(value) if value.strip().lstrip("+-").isdigit() else Decimal(value.strip())
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not math.isfinite(value):
            raise ValueError(f"{value!r} is not a number")
        return value  # type: ignore[return-value]

    def write(self, value: float) -> Any:
        return value

    def after(self, value: float) -> float:
        return value + 1

    def end(self) -> float:
        return float("inf")

    def fill(self, options: Options, part: Slice) -> None:
        if self._start_option is not None and "start" in part.cursor_slice:
            self._start_option.inject(options, part.cursor_slice["start"])

    def bounds(
        self, part: Mapping[str, Any], latest: float | None, progress: Progress[float]
    ) -> Interval[float] | None:
        return None if latest is None else Interval(progress.since, latest, latest)

    def slices(self, progress: Progress[float]) -> Iterator[dict[str, Any]]:
        yield {"start": self.merge_intervals(progress.intervals)[-1].end}
