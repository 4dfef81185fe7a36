"""Arrow values as the values of records: each one exactly, whatever a column holds.

`pyarrow`'s own `to_pylist` makes 00:00:00 of 24:00:00, fails for years that Python's dates do not know, and cuts or
needs pandas for nanoseconds. Values that Python cannot hold exactly become text in ISO 8601:

- times outside of a day, and those with nanoseconds: `24:00:00`, `10:00:00.000000001`;
- dates and timestamps outside of the years 1 to 9999 (`-0043-03-15`, `+12024-01-01T00:00:00Z`), timestamps with
  nanoseconds: those with a zone in UTC;
- the endless dates and timestamps of PostgreSQL and DuckDB: `infinity` and `-infinity`;
- durations and intervals: `P1M2DT3.5S`, `PT-0.5S`.

Texts that are no UTF-8 have U+FFFD where they are not; a UUID is its text, a JSON column its JSON text; a map is an
object where its keys are distinct texts, else a list of `{"key": …, "value": …}`. Of several columns or fields of one
name the later ones are called `name_2`, `name_3`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from kitestring.types import Record

if TYPE_CHECKING:
    import pyarrow as pa

UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""The number of units per second."""

DAY_S = 86_400
EPOCH_DAY = dt.date(1970, 1, 1).toordinal()
DAYS = range(dt.date.min.toordinal() - EPOCH_DAY, dt.date.max.toordinal() - EPOCH_DAY + 1)
"""Python's dates, in days since 1970."""

ENDLESS = {"infinity": 1, "-infinity": -1}
"""The texts of endless dates and timestamps. Arrow has no value for them: the largest number with this sign is one, as
in DuckDB (https://github.com/duckdb/duckdb, date_t::infinity and timestamp_t::infinity)."""
ENDLESS_DAY = 2**31 - 1
ENDLESS_TICK = 2**63 - 1

EPOCH = dt.datetime(1970, 1, 1)
MOMENT = re.compile(
    r"([+-]?\d{4,12})-(\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d+))?\s*(Z|[+-]\d\d:?(?:\d\d)?)?)?", re.ASCII
)
TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?", re.ASCII)


def rows(table: pa.Table) -> list[Record]:
    """The records of a table."""
    names = distinct_names(table.column_names)
    columns = [values(column) for column in table.columns]
    if not columns:
        return [{} for _ in range(table.num_rows)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """The values of a column."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        return [value for chunk in column.chunks for value in values(chunk)]
    reader = reader_of(column.type)
    if reader is not None:
        return reader(column)
    try:
        plain: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        binary = pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary()
        return [
            None if value is None else value.decode("utf-8", "replace") for value in column.cast(binary).to_pylist()
        ]
    return plain


def reader_of(type_: pa.DataType) -> Callable[[Any], list[Any]] | None:
    """A function that reads arrays of this type, or None where `to_pylist` is exact."""
    import pyarrow as pa

    is_ = pa.types
    if isinstance(type_, pa.BaseExtensionType):
        if type_.extension_name == "arrow.uuid":
            return lambda array: [None if value is None else str(value) for value in array.to_pylist()]
        return lambda array: values(array.storage)
    if is_.is_dictionary(type_):
        return lambda array: values(array.dictionary_decode())
    if is_.is_run_end_encoded(type_):
        return run_values
    if is_.is_time(type_):
        return time_values
    if is_.is_timestamp(type_):
        return timestamp_values
    if is_.is_date(type_):
        return date_values
    if is_.is_duration(type_):
        unit = UNITS[type_.unit]
        return lambda array: [None if n is None else iso_duration(0, 0, n, unit) for n in integers(array)]
    if is_.is_interval(type_):
        return lambda array: [None if v is None else iso_duration(v[0], v[1], v[2], 10**9) for v in array.to_pylist()]
    if is_.is_map(type_):
        return map_values
    if is_.is_struct(type_):
        return struct_values
    if is_.is_list_view(type_) or is_.is_large_list_view(type_):
        return lambda array: [values(item.values) if item.is_valid else None for item in array]
    if (is_.is_list(type_) or is_.is_large_list(type_) or is_.is_fixed_size_list(type_)) and may_need_reader(type_):
        return list_values
    return None


def may_need_reader(type_: pa.DataType) -> bool:
    """True for a list of values that `to_pylist` may not read exactly: texts, and types with a reader."""
    import pyarrow as pa

    inner = type_.value_type
    while pa.types.is_list(inner):
        inner = inner.value_type
    return reader_of(inner) is not None or pa.types.is_string(inner) or pa.types.is_large_string(inner)


def as_integers(array: pa.Array) -> pa.Array:
    """The integers that times, dates and durations are."""
    import pyarrow as pa

    narrow = pa.types.is_time32(array.type) or pa.types.is_date32(array.type)
    return array.view(pa.int32() if narrow else pa.int64())


def integers(array: pa.Array) -> list[int | None]:
    numbers: list[int | None] = as_integers(array).to_pylist()
    return numbers


def within(array: pa.Array, span: range) -> bool:
    """True where all integers of an array are in a range."""
    import pyarrow.compute as pc

    bounds = pc.min_max(as_integers(array)).as_py()
    return bounds["min"] is None or (bounds["min"] >= span.start and bounds["max"] < span.stop)


def time_values(array: pa.Array) -> list[Any]:
    unit = UNITS[array.type.unit]
    if unit <= 10**6 and within(array, range(DAY_S * unit)):
        return list(array.to_pylist())
    finer = unit // 10**6 or 1
    factor = 10**6 * finer // unit

    def value_of(ticks: int | None) -> Any:
        if ticks is None:
            return None
        seconds, rest = divmod(ticks, unit)
        if rest % finer or not 0 <= seconds < DAY_S:
            return iso_time(ticks, unit)
        return dt.time(seconds // 3600, seconds // 60 % 60, seconds % 60, rest * factor // finer)

    return list(map(value_of, integers(array)))


def timestamp_values(array: pa.Array) -> list[Any]:
    """Datetimes as pyarrow gives them (of a zone, where the type has one), where all of them are exact."""
    import pyarrow as pa

    unit, zone = UNITS[array.type.unit], array.type.tz
    if within(array, range((DAYS.start + 1) * DAY_S * unit, (DAYS.stop - 1) * DAY_S * unit)):
        try:
            return list(array.cast(pa.timestamp("us", zone)).to_pylist())
        except (pa.ArrowInvalid, ValueError, OverflowError, KeyError):
            pass  # nanoseconds, or a zone that is not known here

    def value_of(tick: int | None) -> Any:
        if tick is None:
            return None
        if abs(tick) == ENDLESS_TICK:
            return endless(tick)
        seconds, rest = divmod(tick, unit)
        days, seconds = divmod(seconds, DAY_S)
        if days in DAYS and not rest * 10**6 % unit:
            moment = EPOCH + dt.timedelta(days, seconds, rest * 10**6 // unit)
            return moment.replace(tzinfo=dt.UTC) if zone else moment
        return f"{iso_date(days)}T{iso_time(seconds * unit + rest, unit)}{'Z' if zone else ''}"

    return list(map(value_of, integers(array)))


def date_values(array: pa.Array) -> list[Any]:
    import pyarrow as pa

    scale = 1 if pa.types.is_date32(array.type) else DAY_S * 1000
    if within(array, range(DAYS.start * scale, DAYS.stop * scale)):
        return list(array.to_pylist())

    def value_of(ticks: int | None) -> Any:
        if ticks is None:
            return None
        days = ticks // scale
        if abs(days) == ENDLESS_DAY:
            return endless(days)
        return dt.date.fromordinal(days + EPOCH_DAY) if days in DAYS else iso_date(days)

    return list(map(value_of, integers(array)))


def has_text(column: pa.ChunkedArray) -> bool:
    """True where Arrow itself writes these values as exact texts."""
    import pyarrow as pa

    is_, type_ = pa.types, column.type
    if is_.is_time(type_):
        return all(within(chunk, range(DAY_S * UNITS[type_.unit])) for chunk in column.chunks)
    if is_.is_date(type_) or is_.is_timestamp(type_):
        scale = 1 if is_.is_date32(type_) else DAY_S * (UNITS[type_.unit] if is_.is_timestamp(type_) else 1000)
        return all(within(chunk, range(DAYS.start * scale, DAYS.stop * scale)) for chunk in column.chunks)
    return is_.is_dictionary(type_) or reader_of(type_) is None


def run_values(array: pa.Array) -> list[Any]:
    import pyarrow.compute as pc

    return values(pc.run_end_decode(array))


def list_values(array: pa.Array) -> list[Any]:
    """Lists, by the values of all of them at once."""
    import pyarrow.compute as pc

    inner = iter(values(array.flatten()))
    lengths = pc.list_value_length(array).to_pylist()
    return [None if length is None else list(islice(inner, length)) for length in lengths]


def struct_values(array: pa.Array) -> list[Any]:
    type_ = array.type
    names = distinct_names([type_.field(n).name for n in range(type_.num_fields)])
    present = array.is_valid().to_pylist()
    columns = [values(part) for part in array.flatten()]
    rows_ = zip(*columns, strict=True) if columns else ((),) * len(array)
    return [dict(zip(names, row, strict=True)) if is_ else None for is_, row in zip(present, rows_, strict=True)]


def map_values(array: pa.Array) -> list[Any]:
    offsets = array.offsets.to_pylist()
    start, stop = offsets[0], offsets[-1]
    keys = values(array.keys[start:stop])
    items = values(array.items[start:stop])
    maps: list[Any] = []
    for present, (first, last) in zip(array.is_valid().to_pylist(), pairwise(offsets), strict=True):
        inside = slice(first - start, last - start)
        maps.append(map_of(keys[inside], items[inside]) if present else None)
    return maps


def map_of(keys: Sequence[Any], items: Sequence[Any]) -> Any:
    if all(isinstance(key, str) for key in keys) and len(set(keys)) == len(keys):
        return dict(zip(keys, items, strict=True))
    return [{"key": key, "value": item} for key, item in zip(keys, items, strict=True)]


def distinct_names(names: Sequence[str]) -> list[str]:
    """The names, with a number at those that were there before."""
    original, distinct = set(names), []
    for n, name in enumerate(names):
        number = 2
        while name in distinct or (number > 2 and name in original):
            name, number = f"{names[n]}_{number}", number + 1
        distinct.append(name)
    return distinct


def endless(number: int) -> str:
    return "infinity" if number > 0 else "-infinity"


def iso_date(days: int) -> str:
    """The date so many days after 1970-01-01, of any year. Year 0 is 1 BC; years outside of 0 to 9999 have a sign.

    The calendar repeats every 400 years, which have 146,097 days.
    """
    cycles, rest = divmod(days - DAYS.start, 146_097)
    date = dt.date.fromordinal(rest + 1)
    year = date.year + 400 * cycles
    sign = "" if 0 <= year <= 9999 else "-" if year < 0 else "+"
    return f"{sign}{abs(year):04}-{date.month:02}-{date.day:02}"


def iso_time(ticks: int, unit: int) -> str:
    """A time of day of any length: `24:00:00`, `10:00:00.5`."""
    sign, ticks = ("-", -ticks) if ticks < 0 else ("", ticks)
    seconds, rest = divmod(ticks, unit)
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{fraction(rest, unit)}"


def fraction(ticks: int, unit: int) -> str:
    """`.5` for 500,000 of 1,000,000."""
    return f".{ticks:0{len(str(unit)) - 1}}".rstrip("0") if ticks else ""


def iso_duration(months: int, days: int, ticks: int, unit: int) -> str:
    """A duration of months, days and a time, as in ISO 8601; each may be negative."""
    sign, ticks = ("-", -ticks) if ticks < 0 else ("", ticks)
    seconds, rest = divmod(ticks, unit)
    text = f"{months}M" if months else ""
    text += f"{days}D" if days else ""
    if ticks or not text:
        hours, minutes = divmod(seconds // 60, 60)
        text += "T" + (f"{sign}{hours}H" if hours else "") + (f"{sign}{minutes}M" if minutes else "")
        if seconds % 60 or rest or not seconds:
            text += f"{sign}{seconds % 60}{fraction(rest, unit)}S"
    return f"P{text}"


# -- and back ----------------------------------------------------------------------------------------------------------


def ticks_of(value: Any, unit: int, *, zone: bool = True) -> int | None:
    """The ticks since 1970 of a datetime or of a text that is one (in UTC where it has no offset); None for no such.

    Digits finer than the unit are cut. `zone`: an offset counts; else it is looked over. `infinity` has the largest
    number of 64 bits, whatever the unit.
    """
    nanoseconds = 0
    if isinstance(value, str):
        if value in ENDLESS:
            return ENDLESS[value] * ENDLESS_TICK
        match = MOMENT.fullmatch(value.strip())
        if match is None:
            try:
                value = dt.datetime.fromisoformat(value.strip())
            except ValueError:
                return None
        else:
            year, month_and_day, time, digits, offset = match.groups()
            cycles, year_of_cycle = divmod(int(year) - 2000, 400)
            nanoseconds = int((digits or "")[:9].ljust(9, "0"))
            text = f"{2000 + year_of_cycle}-{month_and_day}T{time or '00:00'}{offset or ''}"
            try:
                value = dt.datetime.fromisoformat(text)
            except ValueError:
                return None
            nanoseconds += cycles * 146_097 * DAY_S * 10**9
    if not isinstance(value, dt.datetime):
        return None
    offset_of = value.utcoffset() if zone else None
    since = value.replace(tzinfo=None) - EPOCH - (offset_of or dt.timedelta())
    nanoseconds += ((since.days * DAY_S + since.seconds) * 10**6 + since.microseconds) * 1000
    return nanoseconds * unit // 10**9


def time_ticks_of(value: Any, unit: int) -> int | None:
    """The ticks since midnight of a time, or of a text that is one, up to 24:00:00; None for no such."""
    if isinstance(value, str) and (match := TIME.fullmatch(value.strip())):
        hours, minutes, seconds, digits = match.groups()
        nanoseconds = int((digits or "")[:9].ljust(9, "0"))
        nanoseconds += ((int(hours) * 60 + int(minutes)) * 60 + int(seconds or 0)) * 10**9
        valid = int(minutes) < 60 and int(seconds or 0) < 60 and nanoseconds <= DAY_S * 10**9
        return nanoseconds * unit // 10**9 if valid else None
    if not isinstance(value, dt.time) or value.tzinfo is not None:
        return None
    return (((value.hour * 60 + value.minute) * 60 + value.second) * 10**6 + value.microsecond) * unit // 10**6
