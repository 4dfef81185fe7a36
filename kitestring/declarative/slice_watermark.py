"""The highest credible cursor value of a slice and the digests of its records, for the note to `merge`."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kitestring.paths import at
from kitestring.types import Path, Record
from kitestring.watermark import AHEAD, MOST_DOUBTS, MOST_KNOWN, digest_of, excerpt

if TYPE_CHECKING:
    from kitestring.declarative.cursor import Cursor

WrittenDigests = Mapping[str, Sequence[str]]
"""Digests of written records, by their cursor value as in the state."""

DISTINCT = 1_024
"""How many of the highest values are remembered; more than a sync may reject by default."""
PER_PAGE = 16
"""How many values of a page are remembered if they order as texts."""


class SliceWatermark:
    """Tracks the cursor values of the records of one slice. Not thread-safe.

    `most`: the start of the sync by the source's clock; a later time cannot become the state. `digests`: the write does
    not deduplicate, so records in `known` are dropped. `identity` distinguishes the partition's digests from others.
    """

    def __init__(
        self,
        cursor: Cursor[Any],
        most: Callable[[], datetime],
        *,
        keys: Sequence[Path] = (),
        identity: str = "",
        digests: bool = False,
        written_before: WrittenDigests | None = None,
    ) -> None:
        self._cursor, self._most, self._keys, self._identity = cursor, most, keys, identity
        self._digests = digests
        self._written_before: dict[Any, Counter[str]] = {
            cursor.parse_saved(value) if value else None: Counter(digests_)
            for value, digests_ in (written_before or {}).items()
            if digests
        }
        self._counts: Counter[Any] = Counter()
        self._written_now: dict[Any, list[Any]] = {}
        self._size = 0
        self._full = False
        self.doubts: list[str] = []

    def new_records(self, records: list[Record]) -> list[Record]:
        """The records that no earlier sync wrote."""
        if not records:
            return records
        if not self._digests:
            if not self._count_texts(records):
                self._counts.update(
                    place
                    for record in records
                    if (place := self._believed_value(record.get(self._cursor.field))) is not None
                )
                self._prune()
            return records
        return [record for record in records if self._is_new(record)]

    def _count_texts(self, records: list[Record]) -> bool:
        """The fast path for texts whose order is their order in time."""
        cursor = self._cursor
        length, field = cursor.text_length, cursor.field
        if not length:
            return False
        texts: list[Any] = [record.get(field) for record in records]
        if set(map(type, texts)) != {str} or set(map(len, texts)) != {length}:
            return False
        distinct = sorted(set(texts))
        behind = bisect_right(distinct, cursor.write(self._most()))
        counts = Counter(texts)
        try:
            values = {cursor.parse(text): counts[text] for text in distinct[max(0, behind - PER_PAGE) : behind]}
        except (ValueError, OverflowError):
            return False
        if behind < len(distinct):
            self._believed_value(distinct[-1])
        self._counts.update(values)
        self._prune()
        return True

    def _prune(self) -> None:
        if len(self._counts) > 2 * DISTINCT:
            self._counts = Counter({place: self._counts[place] for place in sorted(self._counts)[-DISTINCT:]})

    def _read(self, value: Any) -> Any:
        """The parsed cursor value; None if it is missing or unreadable."""
        if value is None or value == "":
            return None
        try:
            return self._cursor.parse(value)
        except (ValueError, TypeError, ArithmeticError):
            field = self._cursor.field
            self._doubt(f"the cursor value {excerpt(value)} of {field} cannot be read with the manifest's formats")
            return None

    def _believed_value(self, value: Any) -> Any:
        """The parsed cursor value if it is credible; None for a time in the future."""
        place = self._read(value)
        if isinstance(place, datetime) and place > (most := self._most()):
            if place - most > AHEAD:
                self._doubt(
                    f"the cursor value {excerpt(value)} of {self._cursor.field} is in the future by more than "
                    f"{AHEAD.days * 24} hours: the record is written, and read again by every sync until then"
                )
            return None
        return place

    def _is_new(self, record: Record) -> bool:
        value = record.get(self._cursor.field)
        believed, place = self._believed_value(value), self._read(value)
        if believed is not None:
            self._counts[believed] += 1
            self._prune()
        identity = self._identity_of(record)
        if not self._full:
            self._written_now.setdefault(place, []).append(identity)
            self._size += 1
            if self._size > 2 * MOST_KNOWN:
                self._forget()
        written = self._written_before.get(place)
        if written is None:
            return True
        digest = self._digest(identity, self._text(place))
        if written[digest] <= 0:
            return True
        written[digest] -= 1
        return False

    def _text(self, place: Any) -> str:
        """A cursor value as a key of `WrittenDigests`; an empty text for a record without one."""
        return "" if place is None else str(self._cursor.write_exact(place))

    def _identity_of(self, record: Record) -> Any:
        """The values of the primary key; without one, a digest of the record as it is now: others may change it."""
        if self._keys:
            return [at(record, path) for path in self._keys]
        return digest_of(record, (), "")

    def _digest(self, identity: Any, text: str) -> str:
        return digest_of(identity, (), f"{self._identity} {text}")

    def _forget(self) -> None:
        """Keep the digests of the highest values only."""
        places = sorted(place for place in self._written_now if place is not None)
        while self._size > MOST_KNOWN and len(places) > 1:
            self._size -= len(self._written_now.pop(places.pop(0)))
        if self._size > MOST_KNOWN:
            self._full = True
            self._written_now.clear()
            self._doubt(
                f"more than {MOST_KNOWN:,} records have the same cursor value, or none: they are appended again"
            )

    def note(self, rejected: Sequence[Record] = (), moves: bool = True) -> dict[str, Any]:
        """`latest`, the highest cursor value of the records that were not rejected, and `known`, the digests. `moves`:
        the state will move to `latest`."""
        missing: Counter[Any] = Counter()
        unknown = False
        for record in rejected:
            try:
                missing[self._cursor.parse(record.get(self._cursor.field))] += 1
            except (ValueError, TypeError, ArithmeticError):
                unknown = True  # the rejected value is unknown
        latest = None
        if not unknown:
            latest = max((place for place, count in self._counts.items() if count > missing[place]), default=None)
        note: dict[str, Any] = {"latest": None if latest is None else self._cursor.write(latest)}
        if self._digests:
            lowest = (
                None
                if latest is None or not moves
                else self._cursor.lookback_start(self._cursor.parse_written(note["latest"]))
            )
            note["known"] = self._known_from(lowest, rejected)
        return note

    def _known_from(self, lowest: Any, rejected: Sequence[Record]) -> dict[str, list[str]]:
        """The digests of records that the next sync may read again."""
        places = ((record, self._read(record.get(self._cursor.field))) for record in rejected)
        lost = Counter(self._digest(self._identity_of(record), self._text(place)) for record, place in places)
        by_value: dict[str, list[str]] = {}
        for place, identities in self._written_now.items():
            if place is None or lowest is None or place >= lowest:
                text = self._text(place)
                remaining = list((Counter(self._digest(identity, text) for identity in identities) - lost).elements())
                if remaining:
                    by_value[text] = remaining
        unmatched = {
            self._text(place): list(counts.elements()) for place, counts in self._written_before.items()
        }  # written, and not seen again
        for value, digests in digests_from(self._cursor, unmatched, lowest).items():
            by_value[value] = [*by_value.get(value, ()), *digests]
        return by_value

    def _doubt(self, reason: str) -> None:
        if reason not in self.doubts and len(self.doubts) < MOST_DOUBTS:
            self.doubts.append(reason)


def merge_digests(first: WrittenDigests, second: WrittenDigests) -> dict[str, list[str]]:
    """Merge the digests of two slices; a record in both counts once."""
    merged = {value: list(digests) for value, digests in first.items()}
    for value, digests in second.items():
        merged[value] = list((Counter(merged.get(value, ())) | Counter(digests)).elements())
    return merged


def digests_from(cursor: Cursor[Any], digests: WrittenDigests, lowest: Any) -> dict[str, list[str]]:
    """The digests of values from `lowest` on (None: of all) and of records without a value, up to the limit of a
    state."""
    selected: dict[str, list[str]] = {}
    remaining = MOST_KNOWN
    for value in sorted(filter(None, digests), key=cursor.parse_saved, reverse=True):
        if (lowest is not None and cursor.parse_saved(value) < lowest) or remaining <= 0:
            break
        if digests[value]:
            selected[value] = list(digests[value])
            remaining -= len(selected[value])
    return {**selected, "": list(digests[""])} if digests.get("") else selected
