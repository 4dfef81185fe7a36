"""The state of one stream during a sync: documents, splitter, recent writes, staging file."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from kitestring.batch import Batch
from kitestring.errors import RecordError
from kitestring.json_codec import TooDeepError
from kitestring.types import Record, Reject, Stream
from kitestring.vector.diff import ChunkDiff, ChunkedRecord
from kitestring.vector.digest import digest, metadata_digest, text_digest
from kitestring.vector.document import DocumentBuilder
from kitestring.vector.embedder import Embedder
from kitestring.vector.processing import Processing
from kitestring.vector.recent_writes import RecentWrites
from kitestring.vector.split.splitter import Splitter
from kitestring.vector.staging import StagingFile
from kitestring.vector.store import Stored

if TYPE_CHECKING:
    from kitestring.vector.store import Vector

MOST_KEYS = 100_000
"""The most keys of a new collection in memory (about 15 MB); with more, the store is queried."""


class EmbeddedBatch(Batch):
    """A batch that was chunked, compared and embedded.

    `since` is the number of the last write before the comparison, `stored` the chunks it was compared with, `vectors`
    those of changed chunks by digest, `embedded` and `tokens` the chunks and tokens that were embedded, `superseded`
    the number of records that a later one of the batch replaces, `attempted` whether a write of it was begun.
    """

    __slots__ = ("attempted", "diffs", "embedded", "rejected", "since", "stored", "superseded", "tokens", "vectors")

    def __init__(self, batch: Batch, since: int) -> None:
        super().__init__(batch.stream, rows=batch.rows(), nbytes=batch.nbytes)
        self.since = since
        self.diffs: list[ChunkDiff] = []
        self.stored: dict[str, list[Stored]] = {}
        self.vectors: dict[str, Vector] = {}
        self.rejected: list[Reject] = []
        self.superseded = 0
        self.embedded = 0
        self.tokens = 0
        self.attempted = False


class StreamWriter:
    """The state of a stream from `begin` to `commit` or `abort`."""

    def __init__(self, stream: Stream, processing: Processing, embedder: Embedder, omit_text: bool) -> None:
        self.stream = stream
        self.documents = DocumentBuilder(processing, stream, omit_text)
        self.splitter = Splitter(processing, embedder)
        self.embedder = embedder
        self.omit_text = omit_text
        self.model = digest("model", embedder.model_name)[:8]
        """The prefix of a chunk's digest, so that any stored chunk tells its model."""
        self.recent_writes = RecentWrites()
        self.written: set[str] | None = None
        """The keys written in this sync, if the collection holds nothing else: other keys need no look-up. None:
        anything may be stored."""
        self.staging: StagingFile | None = None
        self.countable = True
        """False once a record was written that the store does not count (no text, or the same key twice)."""
        self.reads_records = type(embedder).embed_records is not Embedder.embed_records
        """Whether the vector comes from the record, not from the text: then it is part of the digest."""

    @property
    def name(self) -> str:
        """The stream's name in the store (`_ab_stream`)."""
        return self.documents.stream_id

    @property
    def namespace(self) -> str:
        return self.stream.namespace or ""

    def note_written(self, keys: Collection[str]) -> None:
        """Note that these records were written, or may have been in part."""
        if self.written is not None:
            self.written.update(keys)
            if len(self.written) > MOST_KEYS:
                self.written = None
        self.recent_writes.add(keys)

    def note_all_written(self) -> None:
        """Note that any record may have been written."""
        self.recent_writes.add_all()

    def chunk_records(self, rows: Sequence[Record]) -> tuple[list[ChunkedRecord], list[Reject], int]:
        """The records to store, the last version of each key; the rejected rows; and how many rows a later one
        replaces."""
        by_key: dict[str, ChunkedRecord] = {}
        rejected: list[Reject] = []
        for row in rows:
            try:
                chunked = self.chunk_record(row)
            except RecordError as error:
                rejected.append(Reject(row, error.message))
                continue
            except (TooDeepError, RecursionError):
                rejected.append(
                    Reject(row, "the record is nested more deeply than its text or metadata can hold (1,000 levels)")
                )
                continue
            by_key.pop(chunked.key, None)  # the last version keeps its own position
            by_key[chunked.key] = chunked
        return list(by_key.values()), rejected, len(rows) - len(rejected) - len(by_key)

    def chunk_record(self, record: Record) -> ChunkedRecord:
        document = self.documents.build(record)
        texts = self.splitter.split(document.text)
        if document.url is not None and document.metadata.get("url") != document.url:
            document.metadata.setdefault("source_url", document.url)
        model, chunking = self.embedder.model_name, self.splitter.chunking
        if self.reads_records and texts:
            chunking += self.embedder.embed_records([record], texts[:1])[0].tobytes().hex()
        if self.stream.write.appends:  # no record replaces another, even with the same key
            document.key, document.former_key = uuid.uuid4().hex, None
        return ChunkedRecord(
            document.key,
            self.name,
            record,
            document,
            texts,
            [self.model + text_digest(model, chunking, text) for text in texts],
            metadata_digest({"metadata": document.metadata, "text": not self.omit_text}),
            self.namespace,
        )
