"""Refuses a filter by a field that no stored row has: a typo is never an answer without rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kitestring.destination import Browses
from kitestring.errors import ConfigError
from kitestring.filters import names_in, parse
from kitestring.server.child.hit_fields import OF_CHUNKS, OF_HITS, field_name
from kitestring.stored_rows import StoredRows
from kitestring.suggest import nearest_name
from kitestring.types import Record

SAMPLE = 50
"""The rows of a stream whose fields are proposed instead."""
MOST_NAMES = 20


def refuse_unknown_fields(
    destination: Any,
    where: Any,
    rows: Iterable[Record],
    streams: Iterable[tuple[str, str | None]] | None = None,
    known: Iterable[str] = (),
) -> None:
    """`ConfigError` if no row of the streams (None: of all) has a field of the filter, and the configuration names no
    such field either. `rows` are those that passed it, `known` the fields of a table.

    A text in the language of a store is not checked, nor what a destination cannot list.
    """
    tree = parse(where) if isinstance(where, Mapping) else None
    if tree is None or not isinstance(destination, Browses):
        return
    unknown = names_in(tree) - set(known) - {field_name(name) for row in rows for name in row}
    unknown -= {*OF_HITS, *OF_CHUNKS}
    if isinstance(destination, StoredRows):
        unknown -= set(destination.declared_fields())
    if not unknown:
        return
    if streams is None:
        streams = [(stream.name, stream.namespace) for stream in destination.stored_streams() or ()]
    places = list(streams)
    for name in sorted(unknown):
        if not any(has_field(destination, place, name) for place in places):
            refuse(destination, places, name, list(known))


def has_field(destination: Browses, place: tuple[str, str | None], name: str) -> bool:
    """Whether a row has a value in the field, or not all rows could be looked through."""
    page = destination.stored_rows(*place, where={name: {"exists": True}}, limit=1, include_deleted=True)
    return bool(page.rows) or name in page.fields or page.counted_to is not None


def refuse(destination: Browses, places: list[tuple[str, str | None]], name: str, known: list[str]) -> None:
    pages = [destination.stored_rows(*place, limit=SAMPLE, include_deleted=True) for place in places]
    if not any(page.rows for page in pages):
        return
    names = known or sorted(
        {field_name(field) for page in pages for row in page.rows for field in row} - {*OF_HITS, *OF_CHUNKS}
    )
    place = f"the stream {places[0][0]}" if len(places) == 1 else "the destination"
    near = nearest_name(name, names)
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    raise ConfigError(
        f"no row of {place} has the field {name}" + (f"; did you mean {near}?" if near else ""),
        hint=f"Fields are {', '.join(names[:MOST_NAMES])}{more}.",
        field=name,
    )
