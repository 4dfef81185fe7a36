"""The cursor of a stream: its field, its format, and the parameter by which the real API returns only what changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kitestring.declarative.builder import paging
from kitestring.declarative.builder.manifest_plan import snake
from kitestring.declarative.builder.probe import ProbedRead, Prober
from kitestring.declarative.builder.stream_proposal import Draft, Edit, Proposal, count_of
from kitestring.declarative.datetime_format import DateFormat
from kitestring.declarative.manifest import connection_specification

CURSOR = ("incremental_sync",)
PARAMETERS = ("retriever", "requester", "request_parameters")
CHANGED = re.compile(r"(?:^|_)(?:updated|modified|changed|edited|last_update|lastmodified|lastupdated|touched)")
CREATED = re.compile(r"(?:^|_)(?:created|date|time|timestamp|at|on|occurred|started|sent|published)(?:$|_)")
FORMATS = (
    *("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%_msZ", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%S%z"),
    *("%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"),
)
SINCE_PARAMETERS = (
    *("updated_since", "since", "updated_after", "modified_since", "modified_after", "updated_at_min", "start_time"),
    *("updated_at[gte]", "updated[gte]", "start_date", "from"),
)
MOST_TRIES = 12
FIRST_DAY = "2010-01-01T00:00:00Z"
INPUT = {
    "type": "string",
    "format": "date-time",
    "title": "Start date",
    "description": "Records from this time on are read.",
}


@dataclass(slots=True)
class CursorField:
    """A field with times: its formats, and its values in the order of the records."""

    name: str
    formats: list[str]
    moments: list[datetime]
    changes: bool


def propose_cursor(draft: Draft, prober: Prober, notes: list[str]) -> list[Proposal]:
    """The best cursor, proven where a parameter was seen to narrow the list; else one that filters what was read."""
    base = prober.read(draft.changed((CURSOR, None)))
    if not base.records and draft.get(*CURSOR) is not None:  # the API may insist on its parameter
        base = prober.read(draft.changed())
    rows = [row for row in base.records if isinstance(row, Mapping)]
    fields = sorted(cursor_fields(rows), key=lambda field: not field.changes)
    if not fields:
        notes.append(f"Cursor: no field of the {count_of(rows)} has times in a known format. {base.error}".strip())
        return []
    field = fields[0]
    warning = "" if field.changes else f" {field.name} does not move when a record changes: changes would be missed."
    before = min(field.moments) < max(field.moments)
    if before and (proven := by_parameter(draft, prober, field)) is not None:
        parameter, value, excluded = proven
        evidence = (
            f"With {parameter} the API returned only records whose {field.name} is not before it; {excluded} of the "
            f"first page were left out.{warning}"
        )
        proposal = new_proposal(draft, f"Cursor {field.name}, asked for by {parameter}", evidence, value, "proven")
        return [] if draft.get(*CURSOR) == value else [proposal]
    newest_first = field.moments == sorted(field.moments, reverse=True)
    feed = len(field.moments) >= 5 and before and newest_first
    value = cursor(field, field.formats[0]) | ({"is_data_feed": True} if feed else {"is_client_side_incremental": True})
    how = (
        "The newest records come first, so a sync can stop at the first record that it has."
        if feed
        else "Each sync reads the whole list and passes on what changed."
    )
    tried = (
        "No usual parameter narrows the list." if before else "All records have the same time, so none could be tried."
    )
    evidence = f"{field.name} is a time in all {count_of(field.moments)}. {tried} {how}{warning}"
    title = f"Cursor {field.name}, {'newest first' if feed else 'filtered here'}"
    return [] if draft.get(*CURSOR) else [new_proposal(draft, title, evidence, value, "likely")]


def prove_cursor(draft: Draft, prober: Prober, name: str, parameter: str, sent: str) -> Proposal | None:
    """The proposal of a cursor that was named, where its parameter narrows the list. `sent`: its format, if known."""
    if not name or not parameter:
        return None
    rows = [row for row in prober.read(draft.changed((CURSOR, None))).records if isinstance(row, Mapping)]
    formats = formats_of([row.get(name) for row in rows])
    if not formats:
        return None
    moments = [moment for row in rows if (moment := moment_of(row.get(name), formats)) is not None]
    field = CursorField(name, formats, moments, True)
    ways = [(parameter, text) for text in dict.fromkeys((sent, formats[0], "%s")) if text]
    proven = by_parameter(draft, prober, field, ways)
    if proven is None or draft.get(*CURSOR) == proven[1]:
        return None
    evidence = (
        f"with {parameter} the API returned only records whose {name} is not before it; {proven[2]} were left out."
    )
    return new_proposal(draft, f"Cursor {name}, asked for by {parameter}", evidence, proven[1], "proven")


def new_proposal(draft: Draft, title: str, evidence: str, value: dict[str, Any], confidence: Any) -> Proposal:
    also = []
    properties = connection_specification(draft.resolved).get("properties")
    if isinstance(properties, Mapping) and "start_date" not in properties:
        also.append(Edit(["spec", "connection_specification", "properties", "start_date"], dict(INPUT)))
    parameters = draft.get(*PARAMETERS)
    name = value.get("start_time_option", {}).get("field_name")
    if isinstance(parameters, Mapping) and name in parameters:
        also.append(Edit(draft.place(*PARAMETERS, str(name)), None))
    return Proposal("cursor", title, evidence, draft.place(*CURSOR), value, confidence, also)


def cursor(field: CursorField, sent: str, parameter: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {
        "type": "DatetimeBasedCursor",
        "cursor_field": field.name,
        "datetime_format": sent,
        "cursor_datetime_formats": field.formats,
        "start_datetime": {
            "type": "MinMaxDatetime",
            "datetime": "{{ config.get('start_date', '" + FIRST_DAY + "') }}",
            "datetime_format": "%Y-%m-%dT%H:%M:%SZ",
        },
    }
    if parameter:
        values["start_time_option"] = paging.option(parameter)
    return values


def by_parameter(
    draft: Draft, prober: Prober, field: CursorField, ways: Iterable[tuple[str, str]] | None = None
) -> tuple[str, dict[str, Any], int] | None:
    """The parameter that narrows the list, the cursor with it, and how many records it excluded. `ways`: parameters
    with formats to try, the usual ones without."""
    moments = sorted(field.moments)
    middle = next(moment for moment in moments[len(moments) // 2 :] if moment > moments[0]) if moments else None
    if middle is None:
        return None
    excluded = sum(moment < middle for moment in moments)
    for tries, (parameter, sent) in enumerate(ways if ways is not None else parameters(draft, field)):
        if tries == MOST_TRIES:
            return None
        value = cursor(field, sent, parameter)
        narrowed = prober.read(with_cursor(draft, value, middle, parameter))
        later = moments_in(narrowed, field)
        if narrowed.error or not later or any(moment < floor(middle, sent) for moment in later):
            continue
        whole = prober.read(with_cursor(draft, value, None, parameter))
        if whole.error or not moments_in(whole, field):
            continue  # the usual start is refused, or leaves nothing
        return parameter, value, excluded
    return None


def floor(moment: datetime, sent: str) -> datetime:
    """The time that a format can say of a moment."""
    form = DateFormat(sent)
    return form.parse(form.format(moment))


def parameters(draft: Draft, field: CursorField) -> Iterator[tuple[str, str]]:
    """Parameters with the formats in which they may be sent, the likely ones first."""
    own = draft.get(*PARAMETERS)
    sent = [str(name) for name in own] if isinstance(own, Mapping) else []
    plain = snake(field.name)
    related = [name for name in sent if re.search(r"since|after|from|start|min|gte", snake(name))]
    names = dict.fromkeys(
        [*related, *SINCE_PARAMETERS[:5], f"{field.name}_after", f"{plain}_since", *SINCE_PARAMETERS[5:]]
    )
    for name in names:
        yield name, field.formats[0]
        if name in ("start_time", *related) and field.formats[0] != "%s":
            yield name, "%s"


def with_cursor(draft: Draft, value: dict[str, Any], start: datetime | None, parameter: str) -> dict[str, Any]:
    values = dict(value)
    if start is not None:
        text = start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        values["start_datetime"] = {
            "type": "MinMaxDatetime",
            "datetime": text,
            "datetime_format": "%Y-%m-%dT%H:%M:%S.%fZ",
        }
    own = draft.get(*PARAMETERS)
    kept = {name: item for name, item in own.items() if name != parameter} if isinstance(own, Mapping) else None
    return draft.changed((CURSOR, values), *([(PARAMETERS, kept)] if kept is not None else []))


def moments_in(read: ProbedRead, field: CursorField) -> list[datetime]:
    """The field's times in the answers themselves: records that a cursor filters out count too."""
    moments = []
    for row in read.records:
        moment = moment_of(row.get(field.name), field.formats) if isinstance(row, Mapping) else None
        if moment is not None:
            moments.append(moment)
    return moments


def cursor_fields(rows: Sequence[Mapping[str, Any]]) -> Iterator[CursorField]:
    """The fields with a time in all records."""
    for name in list(rows[0])[:500] if rows else ():
        plain = snake(str(name))
        changes = CHANGED.search(plain) is not None
        if not changes and CREATED.search(plain) is None:
            continue
        values = [row.get(name) for row in rows]
        formats = formats_of(values)
        if formats:
            moments = [moment for value in values if (moment := moment_of(value, formats)) is not None]
            yield CursorField(str(name), formats, moments, changes)


def formats_of(values: Sequence[Any]) -> list[str]:
    """The fewest formats that read all values; empty where a value is none, or no format reads it."""
    if not values or any(value is None or isinstance(value, bool) for value in values):
        return []
    if all(isinstance(value, int) for value in values):
        if all(10**8 < value < 10**11 for value in values):
            return ["%s"]
        return ["%ms"] if all(10**11 <= value < 10**14 for value in values) else []
    if all(isinstance(value, float) and 10**8 < value < 10**11 for value in values):
        return ["%s_as_float"]
    if not all(isinstance(value, str) for value in values):
        return []
    rest, formats = list(values), list[str]()
    while rest and len(formats) < 3:
        best = max(FORMATS, key=lambda text: sum(reads(text, value) for value in rest))
        unread = [value for value in rest if not reads(best, value)]
        if len(unread) == len(rest):
            return []
        formats.append(best)
        rest = unread
    return formats if not rest else []


def reads(text: str, value: Any) -> bool:
    form = DateFormat(text)
    try:
        moment = form.parse(value)
    except (ValueError, TypeError, OverflowError):
        return False
    return "%_ms" not in text or form.format(moment) == value


def moment_of(value: Any, formats: Sequence[str]) -> datetime | None:
    for text in formats:
        try:
            return DateFormat(text).parse(value)
        except (ValueError, TypeError, OverflowError):
            continue
    return None
