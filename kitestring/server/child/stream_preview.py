"""Previews a stream in a child process: a few records as the destination would get them, and as chunks."""

from __future__ import annotations

from typing import Any

from kitestring.server.child.call import ActionCall
from kitestring.server.child.connector_setup import build_connector, selections


def stream_preview(call: ActionCall) -> Any:
    """The first `limit` records of the one stream of the request, with its fields selected and its mappers applied.

    For a vector store also each record's text, metadata and chunks with their tokens, cut as a sync cuts them. Nothing
    is embedded, and nothing is written.
    """
    from kitestring.batch import Batch
    from kitestring.engine.selection import route
    from kitestring.library import Records, SourceHandle
    from kitestring.vector.destination import VectorDestination

    request = call.request
    (selection,) = selections(call, request)
    source, _ = build_connector(call, "source", request["source"])
    destination, _ = build_connector(call, "destination", request["destination"])
    try:
        handle = object.__new__(SourceHandle)
        handle.name, handle.config, handle._built = str(request["source"]["connector"]), {}, source
        records = Records(handle, selection.name, int(request["limit"]))
        stream = records.stream
        rows = list(records)
        path = route(stream, selection, destination, request["prefix"], request["namespace"])
        mapped = path.mapped(Batch(stream.key, rows=rows), False)
        rejected = [*records.rejected, *mapped.rejected]
        preview: dict[str, Any] = {
            "records": [{"record": row} for row in mapped.batch.rows()],
            "filtered": mapped.filtered,
            "rejected": [{"record": reject.record, "reason": reject.reason} for reject in rejected],
        }
        if isinstance(destination, VectorDestination):
            add_chunks(preview, destination, path.written)
        return preview
    finally:
        source.close()
        destination.close()


def add_chunks(preview: dict[str, Any], destination: Any, stream: Any) -> None:
    """Add the text, metadata and chunks of each record, or the reason why it would be rejected."""
    from kitestring.errors import RecordError
    from kitestring.vector.stream_writer import StreamWriter

    writer = StreamWriter(stream, destination.processing, destination.embedding, destination.omit_raw_text)
    preview["chunkSize"], preview["chunkOverlap"] = writer.splitter.size, writer.splitter.overlap
    for entry in preview["records"]:
        try:
            chunked = writer.chunk_record(entry["record"])
        except RecordError as error:
            entry["reason"] = error.message
            continue
        entry["text"] = chunked.document.text
        entry["metadata"] = chunked.document.metadata
        entry["chunks"] = [{"text": text, "tokens": writer.splitter.tokens(text)} for text in chunked.texts]
