"""What the streams of a source are, and how they can be moved: `GET /streams` of Airbyte's public API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter

from kitestring.server import actors, connections, connectors
from kitestring.server.api.public.shapes import StreamProperties, told
from kitestring.server.auth.access import Here, Reader
from kitestring.server.context import Context

router = APIRouter(prefix="/streams", tags=["streams"])


@router.get("", operation_id="getStreamProperties", responses=told(StreamProperties))
def properties(
    who: Reader, here: Here, sourceId: UUID, destinationId: UUID | None = None, ignoreCache: bool = False
) -> Any:
    """A bare list, one entry a stream. Calls the source where no catalog is kept, or with `ignoreCache`."""
    catalog = connections.discover(here, str(sourceId), fresh=ignoreCache)
    writes = written(here, str(destinationId)) if destinationId else None
    return [
        {
            "streamName": one["name"],
            "streamnamespace": one.get("namespace"),
            "syncModes": [mode for mode in modes(one) if writes is None or connections.MODES[mode][1] in writes],
            "defaultCursorField": list(one.get("default_cursor_field") or ()),
            "sourceDefinedCursorField": bool(one.get("source_defined_cursor")),
            "sourceDefinedPrimaryKey": [list(path) for path in one.get("source_defined_primary_key") or ()],
            "propertyFields": list(fields(one.get("json_schema") or {})),
        }
        for one in catalog.streams
    ]


def modes(stream: Mapping[str, Any]) -> list[str]:
    """The sync modes of a stream, as far as its source goes."""
    can = stream.get("supported_sync_modes") or ["full_refresh"]
    keyed = bool(stream.get("source_defined_primary_key"))
    found = []
    if "full_refresh" in can:
        found += ["full_refresh_overwrite", "full_refresh_append"]
        found += ["full_refresh_overwrite_deduped"] if keyed else []
    if "incremental" in can:
        found += ["incremental_append", "incremental_deduped_history"]
    return found


def written(context: Context, destination_id: str) -> frozenset[str] | None:
    """The write modes of a destination; None where nobody can tell before a sync."""
    with context.store.read() as db:
        return connectors.write_modes(actors.get(db, "destination", destination_id).connector)


def fields(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """The paths of all fields of a JSON Schema, those inside objects too."""
    for name, inner in (schema.get("properties") or {}).items():
        yield [*path, name]
        if isinstance(inner, Mapping) and len(path) < 8:
            yield from fields(inner, (*path, name))
