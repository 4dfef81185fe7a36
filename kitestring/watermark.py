"""The watermark of an incremental read: the highest credible cursor value, and the rows at it.

For every source with a cursor, whatever the form of its states:

- values are compared by what they are (numbers, moments, texts), not by how they are spelled;
- a moment after the sync's start never becomes the state: the record is passed on, and read again next time;
- an invalid value (NaN, infinity, null, another type than the others) never becomes the state;
- a record that the destination rejects does not move the state (`Checkpoint.without`);
- where nothing removes duplicates, digests of the records at the state's value (and beyond it) are kept, so that the
  next sync may read them again: a late record with the same value arrives, and none arrives twice.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import heapq
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

from kitestring import json_codec
from kitestring.paths import at
from kitestring.types import Checkpoint, Path, Record, State

Place: TypeAlias = tuple[str, Any]
"""The position of a value among its kind: ("number", …), ("moment", …) or ("text", …)."""

DISTINCT = 1_024
"""The number of highest values kept: more than a sync may reject by default."""

MOST_KNOWN = 10_000
"""The most digests in a state."""

MOST_DOUBTS = 5

MOST_DIGITS = 400
"""The most digits of a number written out: 64-bit floats have fewer."""

AHEAD = dt.timedelta(hours=24)
"""Clocks and time zones explain a moment up to this far ahead."""

NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?")
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*(Z|[+-]\d\d(?::?\d\d)?|UTC)?)?", re.I)


def place_of(value: Any) -> Place | None:
    """The position of a value in the order of its kind; None for a value without one.

    A text that is a date or a date-time in ISO 8601 is a moment (in UTC where it names no zone), one that is a decimal
    number is a number.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return "number", value
    if isinstance(value, float | Decimal):
        is_finite = value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)
        return ("number", value) if is_finite else None
    if isinstance(value, dt.datetime):
        return "moment", value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value
    if isinstance(value, dt.date):
        return "moment", dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    if not isinstance(value, str):
        return None
    text = value.strip()
    moment = moment_of(text)
    if moment is not None:
        return "moment", moment
    if NUMBER.fullmatch(text):
        return "number", Decimal(text)
    return ("text", value) if text else None


def moment_of(text: str) -> dt.datetime | None:
    """The moment that a text in ISO 8601 names, digits beyond microseconds cut; None where it names none."""
    match = MOMENT.fullmatch(text)
    if match is None:
        return None
    date, time, zone = match.groups()
    try:
        zone = "+00:00" if zone is None or zone.upper() in ("Z", "UTC") else zone
        return dt.datetime.fromisoformat(f"{date}T{time or '00:00'}{zone}").astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


class Watermark:
    """The watermark of one read of one partition. Not for several threads.

    `since` is the value of the state that the read begins at, None for none; `known` what was beside it, as
    `checkpoint` gave it. `now` is the source's clock when the sync began. `cursor` is the path of the cursor field,
    `keys` are those of the primary key. `digests`: nothing else keeps duplicates away (`Stream.write.appends`).
    """

    def __init__(
        self,
        cursor: Path,
        since: Any = None,
        *,
        now: dt.datetime | None = None,
        keys: Sequence[Path] = (),
        digests: bool = False,
        known_digests: Sequence[str] | int = (),
        place: Callable[[Any], Place | None] = place_of,
    ) -> None:
        self.since = since
        self.doubts: list[str] = []
        """Reasons for `Suspicion`s, once each: invalid values, moments far ahead."""
        self._cursor, self._keys, self._place, self._digests = cursor, keys, place, digests
        self._now = now or dt.datetime.now(dt.UTC)
        start = place(since)
        self._kind = start[0] if start else ""
        self._start: Any = start[1] if start else None
        self._known_digests: Counter[str] = Counter(() if isinstance(known_digests, int) else known_digests)
        self._many = known_digests if isinstance(known_digests, int) else 0
        self._at_start = 0
        self._heap: list[Any] = []
        self._tops: dict[Any, Top] = {}
        self._beyond: list[str] = []

    def is_new(self, record: Record) -> bool:
        """Note a record that was read; False for one that an earlier sync wrote."""
        value = at(record, self._cursor)
        place = self._place(value)
        if place is None or place[0] != (self._kind or place[0]):
            if value is not None:
                self._doubt(f"the cursor value {excerpt(value)} cannot be the start of an incremental read")
            return self._is_new(record, None)
        self._kind, position = place
        if self._start is not None and position < self._start:
            return True
        if self._kind == "moment" and position > self._now:
            if position - self._now > AHEAD:
                self._doubt(
                    f"the cursor value {excerpt(value)} lies in the future (it is {self._now:%Y-%m-%d %H:%M} UTC): the "
                    "record is written, and comes again with every sync until then"
                )
            return self._is_new(record, position)
        new = self._is_new(record, position)
        top = self._tops.get(position)
        if top is None:
            top = self._tops[position] = Top(value)
            if len(self._heap) < DISTINCT:
                heapq.heappush(self._heap, position)
            else:
                del self._tops[heapq.heappushpop(self._heap, position)]
        top.count += 1
        if self._digests:
            top.digests.append(self._last)
        return new

    @property
    def reached(self) -> bool:
        """True where there is a value to resume from."""
        return self.since is not None or bool(self._tops)

    def checkpoint(self, state_of: Callable[[Any, Sequence[str] | int], State]) -> Checkpoint:
        """A checkpoint behind the records so far. `state_of` makes the source's state of a cursor value (None: there is
        none yet) and of what is to be handed back as `known`."""
        tops = {position: (top.value, top.count, len(top.digests), top.digests) for position, top in self._tops.items()}
        beyond = len(self._beyond)

        def without(records: Sequence[Record]) -> State:
            return state_of(*self._reached(tops, beyond, records))

        return Checkpoint(without(()), without=without)

    def _is_new(self, record: Record, position: Any) -> bool:
        if not self._digests:
            return True
        digest = self._last = digest_of(record, self._keys, position)
        if position is None or (self._kind == "moment" and position > self._now):
            self._beyond.append(digest)
            if len(self._beyond) > MOST_KNOWN:
                self._doubt(f"more than {MOST_KNOWN:,} records lie behind the cursor: they will be written again")
        if self._many and position == self._start:
            self._at_start += 1
            if self._at_start > self._many:
                self._doubt(
                    f"{self._many:,} records of the cursor value {excerpt(self.since)} were written, now there are more"
                    ", and which of them are late cannot be told: refresh the stream"
                )
            return False
        if self._known_digests[digest] > 0:
            self._known_digests[digest] -= 1
            return False
        return True

    def _reached(
        self, tops: Mapping[Any, tuple[Any, int, int, list[str]]], beyond: int, rejected: Sequence[Record]
    ) -> tuple[Any, Sequence[str] | int]:
        """The highest value that a durable record has, and what is known of the records there."""
        missing: Counter[Any] = Counter()
        lost: Counter[str] = Counter()
        for record in rejected:
            place = self._place(at(record, self._cursor))
            position = place[1] if place is not None and place[0] == self._kind else None
            missing[position] += 1
            if self._digests:
                lost[digest_of(record, self._keys, position)] += 1
        value, reached = self.since, self._start
        if None not in missing:  # else it is not known which one is to be left out
            for position in sorted(tops, reverse=bool(rejected)) if rejected else [max(tops)] if tops else []:
                if tops[position][1] > missing[position]:
                    value, reached = tops[position][0], position
                    break
        if not self._digests:
            return value, ()
        digests_kept = list(self._beyond[:beyond])
        for position, (_, _, count, digests) in tops.items():
            if reached is None or position >= reached:
                digests_kept.extend(digests[:count])
        if self._many and reached == self._start:
            return value, max(self._many, self._at_start)
        if reached == self._start:  # what was known there and did not come again is known all the same
            digests_kept.extend((self._known_digests).elements())
        for digest in [digest for digest in digests_kept if lost[digest] > 0]:
            if lost[digest] > 0:
                lost[digest] -= 1
                digests_kept.remove(digest)
        return value, digests_kept if len(digests_kept) <= MOST_KNOWN else len(digests_kept)

    def _doubt(self, reason: str) -> None:
        if reason not in self.doubts and len(self.doubts) < MOST_DOUBTS:
            self.doubts.append(reason)


@dataclass(slots=True)
class Top:
    """One of the highest values: as it came, how many records have it, and their digests."""

    value: Any
    count: int = 0
    digests: list[str] = field(default_factory=list)


def digest_of(record: Any, keys: Sequence[Path], position: Any) -> str:
    """16 hexadecimal digits for a record: of its primary key, or of all of it where it has none, and of its cursor."""
    identity = [at(record, path) for path in keys] if keys else record
    if isinstance(position, float | Decimal):  # 1, 1.0 and 1.00 are one place
        exact = Decimal(repr(position)) if isinstance(position, float) else position
        if abs(exact.adjusted()) < MOST_DIGITS:
            position = f"{exact:f}".rstrip("0").rstrip(".") if exact.as_tuple().exponent < 0 else int(exact)  # type: ignore[operator]
    text = json_codec.dumps([identity, str(position)], sort_keys=True, levels=json_codec.ANY_DEPTH)
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def excerpt(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
