"""Fields of a source: with types, suggested ones, and a preview of what is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from kitestring.server.api.airbyte_public.connections import StreamConfiguration
from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.responses import RejectedRecord
from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.auth.access import ASKS, Editor, Reader, ServerContext
from kitestring.server.connections import connection, endpoints
from kitestring.server.connections.connection import Catalog
from kitestring.server.http.problem import Problem
from kitestring.server.jobs.config_updates import ConfigUpdater
from kitestring.suggest import did_you_mean
from kitestring.vector.field_suggestion import suggest_fields, types_of

router = APIRouter(tags=["streams"])
DEEPEST = 8


class FieldRead(ResponseModel):
    """A field of a stream: its path, its JSON types without null, and its format (`date-time`) where it has one."""

    path: list[str]
    types: list[str]
    format: str
    nullable: bool
    description: str


class FieldsRead(ResponseModel):
    """The fields of a stream, an object before its own fields."""

    data: list[FieldRead]


class SuggestedFields(ResponseModel):
    """Field paths of a source: all of them, those to embed, and those to keep as metadata."""

    fields: list[str]
    text: list[str]
    metadata: list[str]


class PreviewRequest(Body):
    """A stream as it is configured, saved or not. `textFields` and `metadataFields` replace those of the
    destination."""

    sourceId: UUID
    destinationId: UUID
    stream: StreamConfiguration
    prefix: str = ""
    limit: int = Field(3, ge=1, le=20)
    textFields: list[str] | None = None
    metadataFields: list[str] | None = None


class ChunkPreview(ResponseModel):
    """A chunk and its tokens, as the destination's embedding model counts them."""

    text: str
    tokens: int


class RecordPreview(ResponseModel):
    """A record as it is written. For a vector store also its text, metadata and chunks, or the `reason` why it would be
    rejected."""

    record: dict[str, Any]
    text: str = Field(default_factory=str)
    metadata: dict[str, Any] = Field(default_factory=dict)
    chunks: list[ChunkPreview] = Field(default_factory=list)
    reason: str = Field(default_factory=str)


class StreamPreview(ResponseModel):
    """The first records of a stream as the destination would get them. `filtered` counts those that a mapper leaves
    out; `chunkSize` and `chunkOverlap` (in tokens) are those of a vector store."""

    records: list[RecordPreview]
    filtered: int
    rejected: list[RejectedRecord]
    chunkSize: int = Field(default_factory=int)
    chunkOverlap: int = Field(default_factory=int)


@router.get("/sources/{sourceId}/fields", operation_id="listStreamFields", responses=responses_for(FieldsRead))
def list_fields(caller: Reader, context: ServerContext, sourceId: UUID, stream: str) -> Any:
    """The fields of a stream, from the stored catalog. Calls the source only if none is stored. `stream` is its key."""
    schema = stream_of(connection.discover(context, str(sourceId)), stream).get("json_schema") or {}
    return {"data": list(fields_of(schema))}


@router.get(
    "/sources/{sourceId}/suggested-fields", operation_id="suggestFields", responses=responses_for(SuggestedFields)
)
def suggest(caller: Reader, context: ServerContext, sourceId: UUID) -> Any:
    """The fields of a source that a vector store could embed and keep as metadata, by their names and types."""
    return asdict(suggest_fields(connection.discover(context, str(sourceId)).streams))


@router.post("/preview", operation_id="previewStream", dependencies=ASKS, responses=responses_for(StreamPreview))
def preview(caller: Editor, context: ServerContext, body: PreviewRequest) -> Any:
    """Read a few records of a stream, and show what the destination would get. Embeds nothing, and writes nothing."""
    catalog = connection.discover(context, str(body.sourceId))
    configured = connection.configure_stream(catalog, body.stream.model_dump(exclude_none=True))
    with context.store.read() as db:
        source = endpoints.endpoint_of(context, db, "source", str(body.sourceId))
        destination = endpoints.endpoint_of(context, db, "destination", str(body.destinationId))
    changed = {"text_fields": body.textFields, "metadata_fields": body.metadataFields}
    override = {name: paths for name, paths in changed.items() if paths is not None}
    stored = destination.config.get("processing")
    if override and isinstance(stored, Mapping):
        destination = replace(destination, config={**destination.config, "processing": {**stored, **override}})
    request = {
        "source": source.body(),
        "destination": destination.body(),
        "streams": [asdict(connection.selection(configured, "source", None))],
        "limit": body.limit,
        "prefix": body.prefix,
        "namespace": None,
    }
    return context.runner.run("stream_preview", request, updater=ConfigUpdater(context, source=source))


def stream_of(catalog: Catalog, key: str) -> Mapping[str, Any]:
    """The stream with this key (`namespace.name`, or the name). 404 without one."""
    by_key = {connection.key_of(stream): stream for stream in catalog.streams}
    if key not in by_key:
        raise Problem(
            404, f"the source has no stream {key}{did_you_mean(key, list(by_key))}", hint="Read its schema again."
        )
    return by_key[key]


def fields_of(schema: Mapping[str, Any], outer: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    for name, inner in (schema.get("properties") or {}).items():
        field = inner if isinstance(inner, Mapping) else {}
        kinds = types_of(field) if field.get("type") else set()
        yield {
            "path": [*outer, name],
            "types": sorted(kinds - {"null"}),
            "format": str(field.get("format") or ""),
            "nullable": "null" in kinds,
            "description": str(field.get("description") or "")[:300],
        }
        if len(outer) < DEEPEST:
            yield from fields_of(field, (*outer, name))
