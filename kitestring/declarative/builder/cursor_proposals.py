"""The cursor of a stream: its field, its format, and the parameter, or the field of the JSON body, by which the real
API returns only what changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from kitestring.declarative.builder import paging
from kitestring.declarative.builder.manifest_plan import snake
from kitestring.declarative.builder.pagination_proposals import leaves
from kitestring.declarative.builder.probe import ProbedRead, Prober
from kitestring.declarative.builder.stream_proposal import Draft, Edit, Proposal, count_of
from kitestring.declarative.datetime_format import DateFormat
from kitestring.declarative.manifest import connection_specification

CURSOR = ("incremental_sync",)
REQUESTER = ("retriever", "requester")
PARAMETERS = (*REQUESTER, "request_parameters")
BODY = (*REQUESTER, "request_body_json")
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
SINCE = re.compile(r"since|after|from|start|min|gte")
DOCUMENTED = re.compile(r"(?<![\w.])[A-Za-z]\w{0,40}(?:[_.\[][\w.$\]]{1,40}|[A-Z]\w{0,40})", re.ASCII)
"""A name in a documentation that is no word of its sentences: `changed_after`, `filter.since`, `updatedAfter`."""
FILTERS = re.compile(r"filter|query|where|search|criteria|condition")
NO_FILTERS = re.compile(r"pag(?:e|ing|ination)$|sort|order|cursor|fields|include")
MOST_TRIES = 12
MOST_TRIES_BESIDE_BODY = 4
"""Parameters of the query that are tried where the request has a JSON body: the body is the likelier place."""
MOST_DOCUMENTED = 4
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


@dataclass(frozen=True, slots=True)
class Way:
    """How a request says since when: the place inside the requester, and the format that is sent."""

    path: tuple[str, ...]
    sent: str

    @property
    def name(self) -> str:
        name = ".".join(self.path[1:])
        return f"{name} of the body" if self.path[0] == BODY[-1] else name

    def option(self) -> dict[str, Any]:
        return paging.body_option(list(self.path[1:])) if self.path[0] == BODY[-1] else paging.option(self.path[1])


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
    warning = "" if field.changes else f"{field.name} does not move when a record changes: changes would be missed."
    before = min(field.moments) < max(field.moments)
    if before and (proven := by_parameter(draft, prober, field)) is not None:
        way, value, excluded = proven
        evidence = (
            f"With {way.name} the API returned only records whose {field.name} is not before it; {excluded} of the "
            "first page were left out."
        )
        title = f"Cursor {field.name}, asked for by {way.name}"
        proposal = new_proposal(draft, title, evidence, value, "proven", way, warning)
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
        f"No usual {'field of the body' if isinstance(draft.get(*BODY), Mapping) else 'parameter'} narrows the list."
        if before
        else "All records have the same time, so none could be tried."
    )
    evidence = f"{field.name} is a time in all {count_of(field.moments)}. {tried} {how}"
    title = f"Cursor {field.name}, {'newest first' if feed else 'filtered by Kitestring'}"
    return [] if draft.get(*CURSOR) else [new_proposal(draft, title, evidence, value, "likely", None, warning)]


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
    paths: list[tuple[str, ...]] = [(PARAMETERS[-1], parameter)]
    if isinstance(draft.get(*BODY), Mapping):
        paths.insert(0, (BODY[-1], *parameter.split(".")))
    ways = [Way(path, text) for path in paths for text in dict.fromkeys((sent, formats[0], "%s")) if text]
    proven = by_parameter(draft, prober, field, ways)
    if proven is None or draft.get(*CURSOR) == proven[1]:
        return None
    way, value, excluded = proven
    evidence = f"with {way.name} the API returned only records whose {name} is not before it; {excluded} were left out."
    return new_proposal(draft, f"Cursor {name}, asked for by {way.name}", evidence, value, "proven", way)


def new_proposal(
    draft: Draft,
    title: str,
    evidence: str,
    value: dict[str, Any],
    confidence: Any,
    way: Way | None = None,
    warning: str = "",
) -> Proposal:
    also = []
    properties = connection_specification(draft.resolved).get("properties")
    if isinstance(properties, Mapping) and "start_date" not in properties:
        also.append(Edit(["spec", "connection_specification", "properties", "start_date"], dict(INPUT)))
    if way is not None and draft.get(*REQUESTER, *way.path) is not None:
        also.append(Edit(draft.place(*REQUESTER, *way.path), None))
    return Proposal("cursor", title, evidence, draft.place(*CURSOR), value, confidence, also, warning)


def cursor(field: CursorField, sent: str, way: Way | None = None) -> dict[str, Any]:
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
    if way is not None:
        values["start_time_option"] = way.option()
    return values


def by_parameter(
    draft: Draft, prober: Prober, field: CursorField, ways: Iterable[Way] | None = None
) -> tuple[Way, dict[str, Any], int] | None:
    """The way that narrows the list, the cursor with it, and how many records it excluded. `ways`: those to try, the
    usual ones without."""
    moments = sorted(field.moments)
    middle = next(moment for moment in moments[len(moments) // 2 :] if moment > moments[0]) if moments else None
    if middle is None:
        return None
    excluded = sum(moment < middle for moment in moments)
    for way in ways if ways is not None else usual_ways(draft, field):
        value = cursor(field, way.sent, way)
        narrowed = prober.read(with_cursor(draft, value, middle, way))
        later = moments_in(narrowed, field)
        if narrowed.error or not later or any(moment < floor(middle, way.sent) for moment in later):
            continue
        whole = prober.read(with_cursor(draft, value, None, way))
        if whole.error or not moments_in(whole, field):
            continue  # the usual start is refused, or leaves nothing
        return way, value, excluded
    return None


def floor(moment: datetime, sent: str) -> datetime:
    """The time that a format can say of a moment."""
    form = DateFormat(sent)
    return form.parse(form.format(moment))


def usual_ways(draft: Draft, field: CursorField) -> Iterator[Way]:
    """Where the time may be sent, with its formats, the likely places first."""
    named = documented_names(draft.documentation, field)
    body = draft.get(*BODY)
    if isinstance(body, Mapping):
        yield from islice(in_body(body, field, named), MOST_TRIES)
        yield from islice(in_query(draft, field, named), MOST_TRIES_BESIDE_BODY)
    else:
        yield from islice(in_query(draft, field, named), MOST_TRIES)


def in_query(draft: Draft, field: CursorField, named: list[str]) -> Iterator[Way]:
    """Parameters of the query: those that are sent, those of the documentation, usual ones."""
    own = draft.get(*PARAMETERS)
    sent = [str(name) for name in own] if isinstance(own, Mapping) else []
    plain = snake(field.name)
    related = [name for name in sent if SINCE.search(snake(name))]
    names = dict.fromkeys(
        [*related, *named, *SINCE_PARAMETERS[:5], f"{field.name}_after", f"{plain}_since", *SINCE_PARAMETERS[5:]]
    )
    for name in names:
        path = (PARAMETERS[-1], name)
        yield Way(path, field.formats[0])
        if name in ("start_time", *related) and field.formats[0] != "%s":
            yield Way(path, "%s")


def in_body(body: Mapping[str, Any], field: CursorField, named: list[str]) -> Iterator[Way]:
    """Fields of the JSON body: those that are sent, those of the documentation, usual ones; in the object that filters,
    if there is one."""
    related = [tuple(path) for path in leaves(body) if SINCE.search(snake(path[-1]))]
    inside = [path for path in objects(body) if not NO_FILTERS.search(snake(path[-1]))]
    place: tuple[str, ...] = next((path for path in inside if FILTERS.search(snake(path[-1]))), ())
    stem = re.sub(r"_(?:at|on|date|time)$", "", snake(field.name))
    names = [f"{stem}_after", f"{stem}_since", f"{snake(field.name)}_after"]
    if snake(field.name) != field.name:  # the API writes its names without underscores
        names = [camel(name) for name in names]
    usual = [*names, *("updated_after", "updated_since", "modified_since", "since", "from")]
    paths = [
        *related,
        *(tuple(name.split(".")) for name in named if "." in name),
        *((*place, name) for name in (*(name for name in named if "." not in name), *usual)),
        *((*place, field.name, operator) for operator in ("gte", "$gte")),
    ]
    for path in dict.fromkeys(paths):
        if reaches(body, path):
            yield Way((BODY[-1], *path), field.formats[0])


def objects(values: Mapping[str, Any], parents: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of the objects in a body."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield (*parents, str(name))
            yield from objects(value, (*parents, str(name)))


def reaches(body: Mapping[str, Any], path: Sequence[str]) -> bool:
    """Whether a field can be set at a path: nothing on its way is another value than an object."""
    inside: Any = body
    for name in path[:-1]:
        inside = inside.get(name)
        if inside is None:
            return True
        if not isinstance(inside, Mapping):
            return False
    return not isinstance(inside.get(path[-1]), Mapping)


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def documented_names(documentation: str, field: CursorField) -> list[str]:
    """The names in a documentation that speak of a beginning in time; those that speak of the field first."""
    stem = re.sub(r"_(?:at|on|date|time)$", "", snake(field.name))
    matches = dict.fromkeys(match.group().rstrip(".") for match in DOCUMENTED.finditer(documentation))
    names = [name for name in matches if SINCE.search(snake(name.rpartition(".")[2])) and len(name) <= 60]
    return sorted(names, key=lambda name: stem not in snake(name))[:MOST_DOCUMENTED]


def with_cursor(draft: Draft, value: dict[str, Any], start: datetime | None, way: Way) -> dict[str, Any]:
    values = dict(value)
    if start is not None:
        text = start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        values["start_datetime"] = {
            "type": "MinMaxDatetime",
            "datetime": text,
            "datetime_format": "%Y-%m-%dT%H:%M:%S.%fZ",
        }
    path = (*REQUESTER, *way.path)
    return draft.changed((CURSOR, values), *([(path, None)] if draft.get(*path) is not None else []))


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
