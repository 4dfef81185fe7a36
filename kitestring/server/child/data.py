"""Reads a destination in a child process, for people: its streams, rows, chunks of a record, neighbours, a map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from kitestring.errors import ConfigError
from kitestring.json_codec import dumps_text, plain, without_surrogates
from kitestring.server.child.actions import open_connector
from kitestring.server.child.call import ActionCall
from kitestring.server.child.filter_fields import refuse_unknown_fields
from kitestring.server.child.hit_fields import OF_CHUNKS, OF_HITS, field_name
from kitestring.types import DELETED_AT, Record

SAFE_INTEGER = 2**53
"""The numbers of a browser are exact below this one."""

MAP_TEXT = 300
"""The characters of a text that a point of the map shows."""

MOST_CHARACTERS = 32 * 1024 * 1024
"""In one answer: the server has it in memory, several times over, for each reader at once."""


def streams(call: ActionCall) -> Any:
    """The streams that a destination holds: `{"chunks": …, "note": …, "streams": […] or null}`."""
    from kitestring.destination import Browses, Relates

    with open_connector(call, "destination") as destination:
        listed = browsing(call, destination, Browses).stored_streams()
        return {
            "chunks": isinstance(destination, Relates),
            "note": destination.note() if isinstance(destination, Relates) else "",
            "streams": None
            if listed is None
            else [
                {
                    "name": stream.name,
                    "namespace": stream.namespace,
                    "records": stream.records,
                    "chunks": stream.chunks,
                    "countedTo": stream.counted_to,
                }
                for stream in listed
            ],
        }


def rows(call: ActionCall) -> Any:
    """A page of rows of `stream`. Options: `namespace`, `where`, `limit`, `offset`, `includeDeleted`, `longest`."""
    from kitestring.destination import Browses, Relates

    request = call.request
    with open_connector(call, "destination") as destination:
        place = str(request["stream"]), request.get("namespace")
        page = browsing(call, destination, Browses).stored_rows(
            *place,
            where=request.get("where"),
            limit=int(request["limit"]),
            offset=int(request["offset"]),
            include_deleted=bool(request.get("includeDeleted")),
        )
        refuse_unknown_fields(destination, request.get("where"), page.rows, [place], page.fields)
        shape = chunk if isinstance(destination, Relates) else row
        longest = fitting(int(request["longest"]), page.rows)
        return {
            "rows": [shape(record, longest) for record in page.rows],
            "total": page.total,
            "countedTo": page.counted_to,
            "fields": list(page.fields),
        }


def record(call: ActionCall) -> Any:
    """All chunks of the record `recordId` of `stream`, in order."""
    from kitestring.destination import Relates

    request = call.request
    with open_connector(call, "destination") as destination:
        chunks = browsing(call, destination, Relates).record_chunks(str(request["stream"]), str(request["recordId"]))
        longest = fitting(int(request["longest"]), chunks)
        return [chunk(each, longest) for each in chunks]


def neighbours(call: ActionCall) -> Any:
    """The chunks nearest to `chunkId`, with their distances. Options: `where`, `limit`, `stream`, `includeDeleted`."""
    from kitestring.destination import Relates

    request = call.request
    with open_connector(call, "destination") as destination:
        hits = browsing(call, destination, Relates).neighbours(
            str(request["chunkId"]),
            where=request.get("where"),
            limit=int(request["limit"]),
            stream=request.get("stream"),
            include_deleted=bool(request.get("includeDeleted")),
        )
        stream = request.get("stream")
        refuse_unknown_fields(destination, request.get("where"), hits, [(stream, None)] if stream else None)
        longest = fitting(int(request["longest"]), hits)
        return [{**chunk(hit, longest), "distance": hit["distance"]} for hit in hits]


def chunk_map(call: ActionCall) -> Any:
    """A sample of the chunks of `streams` in a plane. Options: `where`, `most`."""
    from kitestring.destination import Relates

    request = call.request
    with open_connector(call, "destination") as destination:
        names = [str(name) for name in request["streams"]]
        drawn = browsing(call, destination, Relates).chunk_map(
            names, where=request.get("where"), most=int(request["most"])
        )
        rows = [point.row for point in drawn.points]
        refuse_unknown_fields(destination, request.get("where"), rows, [(name, None) for name in names])
        return {
            "points": [
                {
                    "x": round(point.x, 4),
                    "y": round(point.y, 4),
                    "chunkId": str(point.row["id"]),
                    "recordId": point.row.get("record_id"),
                    "stream": point.row.get("stream"),
                    "text": shortened(str(point.row.get("text") or ""), MAP_TEXT),
                }
                for point in drawn.points
            ],
            "kept": round(drawn.kept, 4),
            "sizes": dict(drawn.sizes),
        }


def browsing(call: ActionCall, destination: Any, protocol: Any) -> Any:
    """The destination, if it can do this. `ConfigError` if not."""
    if not isinstance(destination, protocol):
        name = call.request["destination"]["connector"]
        raise ConfigError(
            f"{name} holds no chunks with vectors"
            if protocol.__name__ == "Relates"
            else f"Kitestring cannot read back what {name} holds",
            hint="Choose another destination.",
        )
    return destination


def row(record: Record, longest: int) -> dict[str, Any]:
    """A row as it is shown. `cut`: the fields whose values are too long to be shown whole; `texts`: numbers that a
    browser cannot hold, and that are shown as text."""
    values: dict[str, Any] = {}
    cut: list[str] = []
    texts: list[str] = []
    for name, value in record.items():
        name = without_surrogates(str(name))
        values[name], is_cut, is_text = shown(value, longest)
        if is_cut:
            cut.append(name)
        if is_text:
            texts.append(name)
    return {"values": values, "cut": cut, "texts": texts, "deleted": record.get(DELETED_AT) is not None}


def chunk(hit: Mapping[str, Any], longest: int) -> dict[str, Any]:
    """A chunk as it is shown: its own fields, and its metadata under the names of the record's fields."""
    metadata = {field_name(name): value for name, value in hit.items() if name not in OF_HITS and name not in OF_CHUNKS}
    if hit.get("url") is not None and "source_url" not in metadata:
        metadata["url"] = hit["url"]
    text = hit.get("text")
    number = hit.get("chunk_number")
    return {
        **row(metadata, longest),
        "chunkId": str(hit["id"]),
        "recordId": hit.get("record_id"),
        "stream": hit.get("stream"),
        "number": number if isinstance(number, int) else None,
        "text": None if text is None else shortened(str(text), max(longest, 20_000)),
    }


def fitting(longest: int, records: Sequence[Mapping[str, Any]]) -> int:
    """The longest value, so that an answer with all of these records is not too large."""
    return min(longest, max(50, MOST_CHARACTERS // max(1, sum(map(len, records)))))


def shown(value: Any, longest: int) -> tuple[Any, bool, bool]:
    """A value for a browser, whether it was cut, and whether it is a number as text."""
    if value is None or isinstance(value, bool):
        return value, False, False
    if isinstance(value, str):
        text = without_surrogates(value)
        return shortened(text, longest), len(text) > longest, False
    if isinstance(value, int | float | Decimal):
        exact = abs(value) < SAFE_INTEGER if isinstance(value, int) else exact_float(value)
        if not exact:
            return dumps_text(value).strip('"'), False, True
        return (value if isinstance(value, int) else float(value)), False, False
    if isinstance(value, Mapping | list | tuple):
        text = dumps_text(value)
        if len(text) > longest:
            return shortened(text, longest), True, False
        return browsable(value), False, False
    return shown(plain(value), longest)


def browsable(value: Any) -> Any:
    """A nested value in which no number loses a digit."""
    if isinstance(value, Mapping):
        return {without_surrogates(str(name)): browsable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [browsable(inner) for inner in value]
    return shown(value, 1 << 62)[0]


def exact_float(value: float | Decimal) -> bool:
    number = float(value)
    return abs(number) < float("inf") and (not isinstance(value, Decimal) or Decimal(repr(number)) == value)


def shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


ACTIONS: dict[str, Callable[[ActionCall], Any]] = {
    "data_streams": streams,
    "data_rows": rows,
    "data_record": record,
    "data_neighbours": neighbours,
    "data_map": chunk_map,
}
