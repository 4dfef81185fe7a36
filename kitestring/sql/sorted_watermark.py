"""The watermark of a read that is ordered by its cursor, on Arrow columns: the promise of `Watermark` at their speed.

Rows arrive in the order of the cursor. Only rows at the first value of the read, rows beyond the cursor (later than the
sync's start, NaN, infinity, null) and rows at the last value are processed one by one; if the destination deduplicates,
none are.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any

from kitestring import arrow_values
from kitestring.arrow_values import DAY_S, ENDLESS, ENDLESS_DAY, EPOCH_DAY, ticks_of
from kitestring.batch import Batch
from kitestring.types import Checkpoint, Path, Record, Reject, State, Suspicion
from kitestring.watermark import AHEAD, MOST_DOUBTS, MOST_KNOWN, digest_of, excerpt

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.source import Item

log = logging.getLogger("kitestring.sql")

RETAINED_ROWS = 65_536
"""How many of the last rows are retained (their cursor and key), far more than a sync may reject by default."""

MICROSECOND = 10**6


class SortedWatermark:
    """The watermark of one read. Not thread-safe.

    `cursor` is the column's name, and `type_` the kind of its order, with a name of PostgreSQL's types. `state` is
    where the read continues: {"cursor": the last value, "known": digests of the rows at it and of rows without a
    position, "behind": digests of rows beyond it}; if too many rows have the value, "count" is their number and
    replaces "known". `now` is the server's clock in microseconds. `digests`: only digests prevent duplicates.
    """

    def __init__(
        self, cursor: str, type_: str, state: State, *, now: int, keys: Sequence[Path] = (), digests: bool = False
    ) -> None:
        self.doubts: list[str] = []
        """Warnings about the read, without repetition."""
        self._cursor, self._type, self._keys, self._digests = cursor, type_, keys, digests
        self._now = now // (DAY_S * MICROSECOND) if type_ == "date" else now
        day = AHEAD // dt.timedelta(microseconds=1)
        self._far = self._now + (1 if type_ == "date" else day)
        self.since: Any = state.get("cursor")
        self._start = self.position_of(self.since)
        self.stuck = False
        """The state is unusable, and reading all again would duplicate rows."""
        if self.since is not None and (self._start is None or (self._is_moment and self._start > self._far)):
            self._give_up_state()
        self._written_digests = Counter([*state.get("known", ()), *state.get("behind", ())] if digests else ())
        self._some_behind = bool(state.get("behind"))
        self._many: int = state.get("count", 0) if digests and "count" in state else 0
        self._at_start = 0
        self._top, self._value, self._count = self._start, self.since, 0
        self._top_digests: list[str] = []
        self._before: list[str] = []
        self._behind: list[str] = []
        self._has_rows = False
        self._retained: deque[tuple[pa.Array, pa.Table]] = deque()
        self._retained_rows = 0

    @property
    def _is_moment(self) -> bool:
        return self._type in ("date", "timestamp", "timestamptz")

    def position_of(self, value: Any) -> Any:
        """The position of a value (of a state, a record or a column) in the order; None without one."""
        if value is None or isinstance(value, bool):
            return None
        if self._type == "date":
            if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
                return value.toordinal() - EPOCH_DAY
            if isinstance(value, str) and value in ENDLESS:
                return ENDLESS[value] * ENDLESS_DAY
            ticks = value * DAY_S if isinstance(value, int) else ticks_of(value, 1)
            return None if ticks is None else ticks // DAY_S
        if self._is_moment:
            return value if isinstance(value, int) else ticks_of(value, MICROSECOND)
        if self._type in ("text", "varchar", "uuid"):
            return value if isinstance(value, str) else None
        try:
            if self._type == "float8":
                return float(value) if math.isfinite(float(value)) else None
            number = Decimal(value)
        except (ValueError, ArithmeticError, TypeError):
            return None
        if not number.is_finite():
            return None
        text = f"{number:f}"
        return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)

    def take(self, table: pa.Table) -> pa.Table:
        """Process the next rows. Returns those that no earlier sync wrote."""
        import pyarrow as pa

        self._has_rows = True
        column = table.column(self._cursor).combine_chunks()
        positions = arrow_values.as_integers(column) if self._is_moment else column
        first, stop = self._believable(positions)
        self._doubt_behind(column, stop)
        inside = positions.slice(first, stop - first)
        at_start = self._run_length(inside, self._start) if self._start is not None else 0
        dropped: set[int] = set()
        if self._digests:
            dropped |= self._rows_written_before(table, positions, range(first), self._before)
            dropped |= self._rows_written_before(table, positions, range(stop, len(table)), self._behind)
            if len(self._behind) > MOST_KNOWN:
                self._doubt(f"more than {MOST_KNOWN:,} rows are beyond the cursor: they will be written again")
            if self._many:
                self._count_start(at_start)
                dropped.update(range(first, first + at_start))
            else:
                dropped |= self._rows_written_before(table, positions, range(first, first + at_start), None)
            if self._some_behind:
                dropped |= self._rows_written_before(table, positions, range(first + at_start, stop), None)
        if stop > first:
            self._advance(table, column, positions, first, stop)
        if not dropped:
            return table
        return table.take(pa.array([n for n in range(len(table)) if n not in dropped], pa.int64()))

    def items(self, stream: str, parts: Iterable[tuple[pa.Table, Sequence[Reject]]]) -> Iterator[Item]:
        """What a source yields for the rows of the whole read, in the order of the cursor, with their rejects."""
        for part, rejects in () if self.stuck else parts:
            yield from rejects
            if not part.num_rows:
                continue
            new = self.take(part)
            if new.num_rows:
                yield Batch(stream, table=new)
            if (checkpoint := self.checkpoint()) is not None:
                yield checkpoint
        self.finish()
        yield from map(Suspicion, self.doubts)
        if (checkpoint := self.checkpoint(last=True)) is not None:
            yield checkpoint

    def checkpoint(self, last: bool = False) -> Checkpoint | None:
        """A checkpoint after the rows so far; None if there is none yet, or if too many rows have the last value to
        continue among them. `last`: there are no more rows."""
        if not self._has_rows or (self._digests and self._count > MOST_KNOWN and not last):
            return None
        if self._value is None and not self._digests:
            return None
        top = (self._top, self._value, self._count, list(self._top_digests))
        other_digests = list(self._before) if self._value is None else []
        behind: list[str] = []
        (behind if self._is_moment else other_digests).extend(self._behind)
        # Digests of rows that have not arrived yet stay in the state.
        if not last or self._top == self._start:
            (behind if self._some_behind else other_digests).extend(self._written_digests.elements())
        retained = tuple(self._retained)

        def without(records: Sequence[Record]) -> State:
            return self._without(top, other_digests, behind, retained, records)

        return Checkpoint(self._state(*top[1:], other_digests, behind), without=without)

    def finish(self) -> None:
        """There are no more rows: warn about rows that the state cannot distinguish."""
        if self._digests and self._value is None and len(self._before) > MOST_KNOWN:
            self._doubt(f"more than {MOST_KNOWN:,} rows have no cursor value: they will be written again")

    # -- the rows ------------------------------------------------------------------------------------------------------

    def _believable(self, positions: pa.Array) -> tuple[int, int]:
        """The range of rows whose cursor has a value for a state."""
        import pyarrow as pa
        import pyarrow.compute as pc

        mask = positions.is_valid()
        if self._is_moment:
            # A state is a moment that Python has: rows of earlier ones come again, as those of -infinity do.
            lowest = -719_162 * (1 if self._type == "date" else DAY_S * MICROSECOND)
            inside = pc.and_(pc.greater(positions, lowest), pc.less_equal(positions, self._now))
            mask = pc.and_(mask, pc.fill_null(inside, False))
        elif self._type == "float8":
            mask = pc.and_(mask, pc.fill_null(pc.is_finite(positions), False))
        elif self._type == "numeric" and pa.types.is_string(positions.type):
            special_values = pc.is_in(positions, pa.array(["NaN", "Infinity", "-Infinity"]))
            mask = pc.and_(mask, pc.invert(special_values))
        count = pc.sum(mask).as_py() or 0
        first = pc.index(mask, True).as_py() if count else positions.null_count
        return first, first + count

    def _run_length(self, positions: pa.Array, position: Any) -> int:
        """The number of first rows with this position."""
        import pyarrow.compute as pc

        if not len(positions) or self.position_of(positions[0].as_py()) != position:
            return 0
        runs = pc.run_end_encode(positions)
        length = 0
        for value, end in zip(runs.values, runs.run_ends.to_pylist(), strict=True):
            if self.position_of(value.as_py()) != position:
                break
            length = end
        return length

    def _advance(self, table: pa.Table, column: pa.Array, positions: pa.Array, first: int, stop: int) -> None:
        """Advance to the last value of these rows."""
        import pyarrow.compute as pc

        inside = positions.slice(first, stop - first)
        top = self.position_of(inside[-1].as_py())
        runs = pc.run_end_encode(inside)
        ends = [0, *runs.run_ends.to_pylist()]
        number = len(ends) - 2
        while number > 0 and self.position_of(runs.values[number - 1].as_py()) == top:
            number -= 1
        start = first + ends[number]
        if top != self._top:
            self._count, self._top_digests = 0, []
        self._top, self._value = top, state_value(column[stop - 1])
        self._count += stop - start
        if self._digests and self._count <= MOST_KNOWN:
            self._top_digests.extend(self._digests_of(table, positions, range(start, stop)))
        names = self._identity(table)
        part = table.select(names).slice(first, stop - first) if self._digests else table.select([]).slice(0, 0)
        self._retained.append((inside, part))
        self._retained_rows += len(inside)
        while len(self._retained) > 1 and self._retained_rows - len(self._retained[0][0]) >= RETAINED_ROWS:
            self._retained_rows -= len(self._retained.popleft()[0])

    def _identity(self, table: pa.Table) -> list[str]:
        names = {path[0] for path in self._keys}
        return [name for name in table.column_names if not names or name in names]

    def _digests_of(self, table: pa.Table, positions: pa.Array, numbers: range) -> list[str]:
        rows = arrow_values.rows(table.select(self._identity(table)).slice(numbers.start, len(numbers)))
        places = [self.position_of(value.as_py()) for value in positions.slice(numbers.start, len(numbers))]
        return [digest_of(row, self._keys, place) for row, place in zip(rows, places, strict=True)]

    def _rows_written_before(
        self, table: pa.Table, positions: pa.Array, numbers: range, noted: list[str] | None
    ) -> set[int]:
        """The numbers of those rows that were written before. `noted` gets the digests of all, for the next sync."""
        if not numbers:
            return set()
        written: set[int] = set()
        for number, digest in zip(numbers, self._digests_of(table, positions, numbers), strict=True):
            if self._written_digests[digest] > 0:
                self._written_digests[digest] -= 1
                written.add(number)
            if noted is not None and len(noted) <= MOST_KNOWN:
                noted.append(digest)
        return written

    def _count_start(self, count: int) -> None:
        self._at_start += count
        if self._at_start > self._many:
            self._doubt(
                f"{self._many:,} rows of the cursor value {excerpt(self.since)} were written, now there are more, and "
                "it is unknown which of them are late: refresh the stream"
            )

    # -- the state -----------------------------------------------------------------------------------------------------

    def _without(
        self,
        top: tuple[Any, Any, int, list[str]],
        other_digests: list[str],
        behind: list[str],
        retained: Sequence[tuple[pa.Array, pa.Table]],
        records: Sequence[Record],
    ) -> State:
        """The state behind these rows but for the records."""
        if not records:
            return self._state(*top[1:], other_digests, behind)
        missing: Counter[Any] = Counter()
        lost: Counter[str] = Counter()
        unknown = 0  # of records that mappers have changed: they may be any
        for record in records:
            position = self.position_of(record.get(self._cursor))
            missing[position] += 1
            unknown += self._cursor not in record
            if self._digests:
                lost[digest_of(record, self._keys, position)] += 1
        value, count = self.since, 0
        digests: list[str] = []
        above: list[str] = []
        for position, group in groupby(self._backwards(retained), key=lambda item: item[0]):
            items = list(group)
            rows = sum(len(numbers) for _, _, numbers in items)
            digests = self._group_digests(retained, items) if self._digests else []
            if rows > missing[position] + unknown:
                _, number, numbers = items[0]
                inside = retained[number][0]
                value = state_value(self._as_column(inside)[numbers.stop - 1])
                count = rows - missing[position]
                break
            above += digests
            digests = []
        at_value = Counter(digests) - lost
        later = Counter([*behind, *above]) - lost
        return self._state(value, count, list(at_value.elements()), other_digests, list(later.elements()))

    def _backwards(self, retained: Sequence[tuple[pa.Array, pa.Table]]) -> Iterator[tuple[Any, int, range]]:
        """(position, number of the table, its rows) of each run, the last one first."""
        import pyarrow.compute as pc

        for number in range(len(retained) - 1, -1, -1):
            runs = pc.run_end_encode(retained[number][0])
            ends = [0, *runs.run_ends.to_pylist()]
            for run in range(len(ends) - 2, -1, -1):
                yield self.position_of(runs.values[run].as_py()), number, range(ends[run], ends[run + 1])

    def _group_digests(
        self, retained: Sequence[tuple[pa.Array, pa.Table]], items: Sequence[tuple[Any, int, range]]
    ) -> list[str]:
        digests: list[str] = []
        for _, number, numbers in items:
            if len(digests) + len(numbers) > MOST_KNOWN:
                continue
            positions, table = retained[number]
            digests += self._digests_of(table, positions, numbers)
        return digests

    def _as_column(self, positions: pa.Array) -> pa.Array:
        """The column of these positions."""
        import pyarrow as pa

        if not self._is_moment:
            return positions
        if self._type == "date":
            return positions.view(pa.date32())
        return positions.view(pa.timestamp("us", "UTC" if self._type == "timestamptz" else None))

    def _state(
        self, value: Any, count: int, digests: Sequence[str], other_digests: Sequence[str], behind: Sequence[str]
    ) -> State:
        """The state with the digests of the rows at its value, or their number."""
        state: State = {} if value is None else {"cursor": value}
        counted = self._many and value == self.since and not (self._at_start == self._many == len(digests))
        if counted or count > MOST_KNOWN or not self._digests:
            state["count"] = self._many if counted else count
            behind = [*other_digests, *behind]
        else:
            state["known"] = [*digests, *other_digests]
        return {**state, "behind": list(behind)} if behind else state

    def _give_up_state(self) -> None:
        """Give up a state of an earlier version: a read cannot continue from NaN, infinity or a moment far ahead."""
        if self._digests:
            self.stuck = True
            self._doubt(f"the state is at {excerpt(self.since)}, after which no row can be found: refresh the stream")
        else:
            log.warning("the state is unusable: all rows are read again", extra={"cursor": excerpt(self.since)})
        self.since = self._start = None

    def _doubt_behind(self, column: pa.Array, stop: int) -> None:
        """Warn about values that can never be the state, or not for long."""
        if stop == len(column):
            return
        value = arrow_values.values(column.slice(len(column) - 1))[0]
        position = self.position_of(value)
        if position is None:
            self._doubt(f"the cursor value {excerpt(value)} cannot be the start of an incremental read")
        elif position > self._far:
            self._doubt(
                f"the cursor value {excerpt(value)} lies in the future of the server's clock: the rows are written and "
                "come again with every sync until then"
            )

    def _doubt(self, reason: str) -> None:
        if reason not in self.doubts and len(self.doubts) < MOST_DOUBTS:
            self.doubts.append(reason)


def state_value(value: pa.Scalar) -> str | int | None:
    """A cursor value for the state, in a form that can be read back as the same value."""
    plain = value.as_py()
    return plain if plain is None or isinstance(plain, int) else str(plain)
