"""`GET /streams` of Airbyte's public API: the streams of a source and their sync modes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter

from kitestring.airbyte import modes
from kitestring.server.api.airbyte_public.responses import StreamProperties
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import Reader, ServerContext
from kitestring.server.connections import connection, endpoints
from kitestring.server.connectors import definitions
from kitestring.server.context import Context
from kitestring.types import Write

router = APIRouter(prefix="/streams", tags=["streams"])


@router.get("", operation_id="getStreamProperties", responses=responses_for(StreamProperties))
def get_stream_properties(
    caller: Reader, context: ServerContext, sourceId: UUID, destinationId: UUID | None = None, ignoreCache: bool = False
) -> Any:
    """A list with an entry for each stream. Calls the source if no catalog is stored, or with `ignoreCache`."""
    catalog = connection.discover(context, str(sourceId), fresh=ignoreCache)
    writes = writes_of(context, str(destinationId)) if destinationId else None
    return [
        {
            "streamName": stream["name"],
            "streamnamespace": stream.get("namespace"),
            "syncModes": modes_of(stream, writes),
            "defaultCursorField": list(stream.get("default_cursor_field") or ()),
            "sourceDefinedCursorField": bool(stream.get("source_defined_cursor")),
            "sourceDefinedPrimaryKey": [list(path) for path in stream.get("source_defined_primary_key") or ()],
            "propertyFields": list(fields(stream.get("json_schema") or {})),
        }
        for stream in catalog.streams
    ]


def modes_of(stream: Mapping[str, Any], writes: frozenset[Write] | None) -> list[str]:
    """The sync modes that both the stream and the destination support."""
    can = stream.get("supported_sync_modes") or ["full_refresh"]
    return [
        mode.name for mode in modes.MODES.values() if mode.reads in can and (writes is None or mode.write in writes)
    ]


def writes_of(context: Context, destination_id: str) -> frozenset[Write] | None:
    """The write modes of a destination; None if only a sync shows them."""
    with context.store.read() as db:
        return definitions.supported_writes(endpoints.get(db, "destination", destination_id).connector)


def fields(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """The paths of all fields of a JSON Schema, nested ones included."""
    for name, inner in (schema.get("properties") or {}).items():
        yield [*path, name]
        if isinstance(inner, Mapping) and len(path) < 8:
            yield from fields(inner, (*path, name))
