"""Data: what a destination holds, read without a question, in a child process. Nothing is changed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.auth.access import Reader, ServerContext
from kitestring.server.connections.written_streams import written_streams
from kitestring.server.retrieval.destination_reads import read_destination

router = APIRouter(prefix="/destinations/{destinationId}/data", tags=["data"])

NAME = 1_000
"""The most characters in the name of a stream."""

Where = dict[str, Any] | str | None
"""A filter: field and value, comparisons, or a text in the language of a vector store."""


class RowsRequest(Body):
    """A page of a stream. Values that are longer than `longest` characters are cut."""

    stream: str = Field(min_length=1, max_length=NAME)
    namespace: str | None = Field(None, max_length=NAME)
    where: Where = None
    limit: int = Field(50, ge=1, le=500)
    offset: int = Field(0, ge=0, le=10_000_000)
    includeDeleted: bool = False
    longest: int = Field(2_000, ge=50, le=5_000_000)


class RecordRequest(Body):
    """A record of a stream."""

    stream: str = Field(min_length=1, max_length=NAME)
    recordId: str = Field(min_length=1, max_length=100_000)
    longest: int = Field(20_000, ge=50, le=5_000_000)


class NeighboursRequest(Body):
    """A chunk. With `stream`, only chunks of that stream are compared."""

    chunkId: str = Field(min_length=1, max_length=10_000)
    where: Where = None
    limit: int = Field(10, ge=1, le=100)
    stream: str | None = Field(None, max_length=NAME)
    longest: int = Field(2_000, ge=50, le=5_000_000)


class MapRequest(Body):
    """The streams to draw, and at most how many chunks of them."""

    streams: list[str] = Field(min_length=1, max_length=200)
    where: Where = None
    most: int = Field(500, ge=1, le=2_000)


class DataWriter(ResponseModel):
    """A connection that writes a stream, and the stream's name in it."""

    connectionId: str
    name: str
    stream: str


class DataStream(ResponseModel):
    """A stream at the destination, under its name there. `records` are those without a mark of deletion; null if they
    were not counted, and at least `countedTo` where the count stopped."""

    name: str
    namespace: str | None
    records: int | None
    chunks: int | None
    countedTo: int | None
    writers: list[DataWriter]


class DataStreams(ResponseModel):
    """The streams that a destination holds. `chunks`: it is a vector store. `listed`: false if the destination cannot
    list its streams, and these are those of its connections. `note`: what a reader of the vectors has to know."""

    chunks: bool
    note: str
    listed: bool
    data: list[DataStream]


class DataRow(ResponseModel):
    """A row. `cut`: the fields whose values are longer than asked for. `texts`: the fields with a number that JSON
    numbers of 64 bits cannot hold, as text."""

    values: dict[str, Any]
    cut: list[str]
    texts: list[str]
    deleted: bool


class DataChunk(DataRow):
    """A chunk: a part of a record's text, with the fields of its record in `values`."""

    chunkId: str
    recordId: str | None
    stream: str | None
    number: int | None
    text: str | None


class DataNeighbour(DataChunk):
    """A chunk, and its distance in the metric of the collection."""

    distance: float


class DataRows(ResponseModel):
    """A page of rows, or of chunks. `total` pass the filter: null if they were not counted, and at least `countedTo`
    where the count stopped. `fields` are all fields of a table, in order."""

    rows: list[DataChunk | DataRow]
    total: int | None
    countedTo: int | None
    fields: list[str]


class DataChunks(ResponseModel):
    data: list[DataChunk]


class DataNeighbours(ResponseModel):
    data: list[DataNeighbour]


class DataPoint(ResponseModel):
    """A chunk in a plane in which near chunks are near; `x` and `y` are between -1 and 1."""

    x: float
    y: float
    chunkId: str
    recordId: str | None
    stream: str | None
    text: str


class DataMap(ResponseModel):
    """A sample of chunks in the plane of their two principal components, which shows the share `kept` of the variance.
    `sizes`: how many chunks of each stream."""

    points: list[DataPoint]
    kept: float
    sizes: dict[str, int]


@router.get("/streams", operation_id="listDataStreams", responses=responses_for(DataStreams))
def list_data_streams(caller: Reader, context: ServerContext, destinationId: UUID) -> Any:
    """The streams that a destination holds, with counts."""
    answer = read_destination(context, caller, str(destinationId), "data_streams", {})
    with context.store.read() as db:
        written = written_streams(db, str(destinationId))
    writers: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
    for stream in written:
        # A vector store has the namespace in the name.
        place = (stream.collection_name, None) if answer["chunks"] else (stream.name, stream.namespace)
        writer = {"connectionId": stream.connection_id, "name": stream.connection_name, "stream": stream.key}
        writers.setdefault(place, []).append(writer)
    listed = answer["streams"]
    if listed is None:
        unknown = {"records": None, "chunks": None, "countedTo": None}
        listed = [{"name": name, "namespace": namespace, **unknown} for name, namespace in sorted(writers, key=str)]
    data = []
    for each in listed:
        place = each["name"], None if answer["chunks"] else each["namespace"]
        data.append({**each, "writers": writers.get(place, [])})
    return {
        "chunks": answer["chunks"],
        "note": answer["note"],
        "listed": answer["streams"] is not None,
        "data": data,
    }


@router.post("/rows", operation_id="listDataRows", responses=responses_for(DataRows))
def list_data_rows(caller: Reader, context: ServerContext, destinationId: UUID, body: RowsRequest) -> Any:
    """Rows of a stream by page; of a vector store, its chunks. A filter reads nothing beyond the stream."""
    return read_destination(context, caller, str(destinationId), "data_rows", body.model_dump())


@router.post("/record", operation_id="listRecordChunks", responses=responses_for(DataChunks))
def list_record_chunks(caller: Reader, context: ServerContext, destinationId: UUID, body: RecordRequest) -> Any:
    """All chunks of a record in order, those that are marked as deleted too."""
    return {"data": read_destination(context, caller, str(destinationId), "data_record", body.model_dump())}


@router.post("/neighbours", operation_id="listChunkNeighbours", responses=responses_for(DataNeighbours))
def list_chunk_neighbours(caller: Reader, context: ServerContext, destinationId: UUID, body: NeighboursRequest) -> Any:
    """The chunks that are nearest to a chunk, best first."""
    return {"data": read_destination(context, caller, str(destinationId), "data_neighbours", body.model_dump())}


@router.post("/map", operation_id="drawDataMap", responses=responses_for(DataMap))
def draw_data_map(caller: Reader, context: ServerContext, destinationId: UUID, body: MapRequest) -> Any:
    """A sample of chunks in a plane. No embedder is called."""
    return read_destination(context, caller, str(destinationId), "data_map", body.model_dump())
