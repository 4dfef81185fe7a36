"""The base of all vector destinations: records in, chunks with vectors out; only what changed is embedded.

The order is the promise: compare with the digests stored beside the chunks, embed what is new, store it, and only then
remove what it replaces. A store (`store.py`) supplies the verbs.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import PrivateAttr

from kitestring import activity
from kitestring.batch import Batch
from kitestring.config import Advice, at_option, choice, option
from kitestring.destination import Destination
from kitestring.errors import ConfigError, KitestringError
from kitestring.types import EVERY_WRITE, Receipt, Stream, Write
from kitestring.vector import deletion
from kitestring.vector.chunk_listing import ChunkListing
from kitestring.vector.chunk_pages import ReadsChunks
from kitestring.vector.diff import ChunkDiff, ChunkedRecord, chunks_of, compare, nbytes_of, overlay
from kitestring.vector.embedders import Embedding, embedder_classes, mode_of
from kitestring.vector.name_clash import refuse_name_clashes
from kitestring.vector.overwrite import apply_overwrite
from kitestring.vector.processing import Processing
from kitestring.vector.proposal import FIRST_CHUNK_SIZE
from kitestring.vector.record_key import stream_id
from kitestring.vector.staging import StagedRow, StagingFile, staging_path
from kitestring.vector.store import Chunk, Store, Stored
from kitestring.vector.stream_writer import EmbeddedBatch, StreamWriter
from kitestring.vector.usage import Usage

if TYPE_CHECKING:
    from kitestring.http import Share
    from kitestring.key_listing import KeyListing
    from kitestring.vector.store import Vector

log = logging.getLogger("kitestring.vector")


class VectorDestination(ReadsChunks, Destination):
    """Chunks, embeds and stores the records of streams. A subclass implements `connect` and `place`.

    `append` adds every record; `append_dedup` keeps one version per primary key and touches only chunks that changed;
    `overwrite` stages the new generation in a file and applies it in `commit`, again only what changed.
    """

    writes: ClassVar[frozenset[Write]] = EVERY_WRITE
    batch_rows: ClassVar[int] = 1_000

    processing: Processing = option(title="Text and chunks", group="processing")
    embedding: Embedding = choice(
        "mode",
        title="Embedding",
        description="The model that turns texts into vectors.",
        group="embedding",
        type="object",
    )
    omit_raw_text: bool = option(
        False,
        title="Do not store raw text",
        description="Store the vectors and the metadata without the text they were made from.",
        group="advanced",
    )
    shadow_folder: str | None = option(
        None,
        title="Staging folder",
        local_path=True,
        description="The folder in which an overwrite stages its data until it is complete. It needs space for the"
        " stream's chunks and vectors. Default: beside an embedded store, else the user's state folder.",
        group="advanced",
    )

    _writers: dict[str, StreamWriter] = PrivateAttr(default_factory=dict)
    _estimated: int = PrivateAttr(default=0)
    _size_warned: bool = PrivateAttr(default=False)
    _schemas: list[Mapping[str, Any]] = PrivateAttr(default_factory=list)
    _unwritten: set[str] = PrivateAttr(default_factory=set)
    _connected: Store | None = PrivateAttr(default=None)
    _lock: threading.RLock = PrivateAttr(default_factory=threading.RLock)

    # -- what a subclass implements ------------------------------------------------------------------------------------

    def connect(self) -> Store:
        """A connection to the collection that the configuration names."""
        raise NotImplementedError

    def place(self) -> str:
        """The identity of the collection: address, database, name. No secrets."""
        raise NotImplementedError

    def default_staging_folder(self) -> Path:
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "kitestring"
        return state if writable(state) else Path(tempfile.gettempdir()) / "kitestring"

    def share(self, share: Share) -> None:
        self.embedding.share(share)

    # -- the contract --------------------------------------------------------------------------------------------------

    def advice(self) -> Iterator[Advice]:
        size, limit = self.processing.chunk_size, self.embedding.max_tokens
        if size > limit:
            model = self.embedding.model_name
            message = f"{model} reads at most {limit:,} tokens at once: larger chunks are cut to that size."
            yield Advice("processing.chunk_size", message, limit)
        if self.note():
            yield Advice("embedding", self.note())

    def note(self) -> str:
        """What somebody who looks at the vectors has to know; empty for nothing."""
        if self.embedding.meaningful:
            return ""
        name = type(self.embedding).model_config.get("title")
        return f"{name} makes vectors without meaning: chunks that are near each other are not similar."

    @classmethod
    def suggested(cls) -> dict[str, Any]:
        ready = next((embedder for embedder in embedder_classes() if embedder.ready()), None)
        processing = {"chunk_size": FIRST_CHUNK_SIZE}
        return {"processing": processing, **({"embedding": {"mode": mode_of(ready)}} if ready else {})}

    def declared_fields(self) -> Sequence[str]:
        renamed = [mapping.to_field for mapping in self.processing.field_name_mappings]
        return [*self.processing.metadata_fields, *renamed]

    def check(self) -> None:
        with at_option("embedding"):
            self.embedding.check()
            dimension = self.embedding.dimension
        with at_option("indexing"):
            self.store.check(dimension)
        self._warn_of_size(0)

    def expect(self, streams: Sequence[Stream]) -> None:
        self._schemas = [stream.schema for stream in streams]
        self._unwritten = {stream.key for stream in streams}

    def begin(self, stream: Stream) -> None:
        writer = StreamWriter(stream, self.processing, self.embedding, self.omit_raw_text)
        same_named = next((r for k, r in self._writers.items() if r.name == writer.name and k != stream.key), None)
        if same_named is not None:
            raise ConfigError(
                f"the streams {same_named.stream.key} and {stream.key} would both be stored as {writer.name}",
                hint="Give one of them a prefix or another namespace.",
                streams=[same_named.stream.key, stream.key],
            )
        schemas = self._schemas or [stream.schema]
        created = self.store.ensure(self.embedding.dimension, not stream.incremental, schemas)
        if not created:
            refuse_name_clashes(self.store, stream)
            if stream.incremental:
                self._check_model(writer)
        path = self._staging_path(stream)
        overwrite, applied = stream.write.replace, False
        if overwrite or path.exists():
            staging = StagingFile(path)
            try:
                if staging.sealed:  # a crash or a lost connection interrupted a commit: finish it first
                    log.info("finishing an overwrite that was interrupted", extra={"stream": stream.key})
                    apply_overwrite(self.store, writer.name, writer.namespace, staging)
                    applied = True
                if overwrite:
                    staging.clear()
                    writer.staging = staging
                else:
                    staging.remove()
            except BaseException:
                staging.close()
                raise
        if created and not applied and stream.key not in self._writers:
            writer.written = set()
        self._writers[stream.key] = writer

    def prepare(self, stream: Stream, batch: Batch) -> Batch:
        writer = self._writer_of(stream)
        prepared = EmbeddedBatch(batch, writer.recent_writes.now())
        with activity.phase("chunking"):
            records, prepared.rejected, prepared.superseded = writer.chunk_records(batch.rows())
        if not stream.write.appends:
            written = writer.written
            prepared.stored = self._find_stored([d for d in records if written is None or d.key in written])
        replaces = self._replaces(writer)
        prepared.diffs = [compare(d, prepared.stored.get(d.key, ()), replaces) for d in records]
        with activity.chunked(len(batch)):
            self._fetch_vectors(writer, prepared, prepared.diffs)
        return prepared

    def write(self, stream: Stream, batch: Batch) -> Receipt:
        writer = self._writer_of(stream)
        prepared = batch if isinstance(batch, EmbeddedBatch) else self.prepare(stream, batch)
        assert isinstance(prepared, EmbeddedBatch)
        return self._stage(writer, prepared) if writer.staging is not None else self._apply_changes(writer, prepared)

    def commit(self, stream: Stream) -> None:
        writer = self._writers.get(stream.key)
        if writer is not None and writer.staging is not None:
            writer.staging.seal()
            apply_overwrite(self.store, writer.name, writer.namespace, writer.staging)
            writer.staging.remove()
            writer.staging = None
        self._unwritten.discard(stream.key)
        if not self._unwritten:
            self.store.finish()

    def abort(self, stream: Stream) -> None:
        writer = self._writers.get(stream.key)
        if writer is not None and writer.staging is not None:
            # A sealed file is complete: it stays, and the next begin applies the rest of it.
            if writer.staging.sealed:
                writer.staging.close()
            else:
                writer.staging.remove()
            writer.staging = None
        if stream.key in self._unwritten:  # the other streams do not wait for this one
            self._unwritten.discard(stream.key)
            if not self._unwritten and self._connected is not None:
                with contextlib.suppress(KitestringError):  # the next sync calls it again
                    self._connected.finish()

    def close(self) -> None:
        with self._lock:
            for writer in self._writers.values():
                if writer.staging is not None:
                    writer.staging.close()
            self._writers.clear()
            store, self._connected = self._connected, None
        if store is not None:
            store.close()
        self.embedding.close()

    # -- abilities -----------------------------------------------------------------------------------------------------

    def delete(self, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> Receipt:
        return deletion.delete(self.store, self._writer_of(stream), keys)

    def mark(self, stream: Stream, keys: Mapping[tuple[Any, ...], Any]) -> Receipt:
        return deletion.mark(self.store, self._writer_of(stream), keys)

    def truncate(self, stream: Stream, deleted_at: str) -> Receipt | None:
        return deletion.truncate(self.store, self._writer_of(stream), deleted_at)

    def key_listing(self, stream: Stream) -> KeyListing:
        return ChunkListing(self.store, self._writer_of(stream))

    def count(self, stream: Stream) -> int | None:
        writer = self._writers.get(stream.key)
        if writer is not None and not writer.countable:
            return None
        return self.store.count(stream_id(stream))

    def estimate(self, stream: Stream, batch: Batch) -> Mapping[str, float]:
        writer = self._writer_of(stream)
        records, _, _ = writer.chunk_records(batch.rows())
        stored = {} if stream.write.appends else self._find_stored(records)
        replaces = self._replaces(writer)
        diffs = [compare(d, stored.get(d.key, ()), replaces) for d in records]
        new = {diff.chunked.digests[n]: diff.chunked.texts[n] for diff in diffs for n in diff.embed}
        tokens = 0 if writer.reads_records else sum(map(writer.splitter.tokens, new.values()))
        usage = Usage(self.embedding.usd_per_million_tokens, tokens=tokens)
        nbytes = sum(nbytes_of(diff, self.embedding.dimension) for diff in diffs if not diff.unchanged)
        self._estimated += nbytes
        self._warn_of_size(self._estimated)
        return {
            "records": len(records),
            "unchanged": sum(diff.unchanged for diff in diffs),
            "chunks": sum(len(chunked.texts) for chunked in records),
            "chunks_embedded": len(new),
            "stored_mb": nbytes / 1e6,
            "tokens": usage.tokens,
            **usage.cost(),
        }

    # -- internals -----------------------------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The store, connected on first use."""
        with self._lock:
            if self._connected is None:
                self._connected = self.connect()
            return self._connected

    def _warn_of_size(self, nbytes: int) -> None:
        """Log once why the store is not suited to this many more bytes."""
        warning = None if self._size_warned else self.store.capacity_warning(nbytes)
        if warning is not None:
            log.warning(warning)
            self._size_warned = True

    def _check_model(self, writer: StreamWriter) -> None:
        """Refuse an incremental stream whose stored vectors are of another model: no search would find its changes."""
        sample = next(iter(self.store.sample(writer.name)), None)
        if sample is not None and sample.digest and not sample.digest.startswith(writer.model):
            raise ConfigError(
                f"the vectors of {writer.name} come from another model than {self.embedding.model_name}",
                hint="Choose that model again, sync the stream once as full refresh, or name another collection.",
                stream=writer.stream.key,
            )

    def _find_stored(self, records: Sequence[ChunkedRecord]) -> dict[str, list[Stored]]:
        """The stored chunks of these records, those under the key of an earlier version included (they get
        replaced)."""
        stored = self.store.find([chunked.ref for chunked in records])
        keys = {chunked.key for chunked in records}  # a former key may be the key of another record of the batch
        former = {
            ref.key: (chunked, ref)
            for chunked in records
            if chunked.key not in stored and (ref := chunked.former_ref) is not None and ref.key not in keys
        }
        if former:
            for key, chunks in self.store.find([ref for _, ref in former.values()]).items():
                chunked = former[key][0]
                stored[chunked.key] = [Stored(chunk.row, chunked.key, None, chunk.digest) for chunk in chunks]
        return stored

    def _writer_of(self, stream: Stream) -> StreamWriter:
        with self._lock:
            if stream.key not in self._writers:  # a dry run, or a deletion outside a sync
                self._writers[stream.key] = StreamWriter(stream, self.processing, self.embedding, self.omit_raw_text)
            return self._writers[stream.key]

    def _replaces(self, writer: StreamWriter) -> bool:
        """Whether a write replaces rows by identity: a staging file always does, whatever the store does."""
        return self.store.replaces or writer.stream.write.replace

    def _staging_path(self, stream: Stream) -> Path:
        folder = Path(self.shadow_folder).expanduser() if self.shadow_folder else self.default_staging_folder()
        return staging_path(folder, self.place(), stream)

    def _fetch_vectors(self, writer: StreamWriter, prepared: EmbeddedBatch, diffs: Iterable[ChunkDiff]) -> None:
        """Fill `prepared.vectors` for these diffs: read stored vectors back, embed each new text once."""
        by_digest = prepared.vectors
        reuse: dict[str, Stored] = {}
        new: dict[str, tuple[ChunkedRecord, str]] = {}
        for diff in diffs:
            for number, chunk in diff.reuse.items():
                reuse.setdefault(diff.chunked.digests[number], chunk)
        if reuse:
            staged_rows = [chunk.row for chunk in reuse.values() if isinstance(chunk.row, StagedRow)]
            in_store = [chunk for chunk in reuse.values() if not isinstance(chunk.row, StagedRow)]
            by_row: dict[Any, Vector] = self.store.vectors(in_store)
            if staged_rows and writer.staging is not None:
                by_row.update(writer.staging.vectors(staged_rows))
            by_digest.update({digest: by_row[chunk.row] for digest, chunk in reuse.items() if chunk.row in by_row})
        for diff in diffs:
            missing = [n for n in diff.reuse if diff.chunked.digests[n] not in by_digest]
            for number in missing:
                del diff.reuse[number]
            diff.embed.extend(missing)
            for number in diff.embed:
                digest = diff.chunked.digests[number]
                if digest not in by_digest:
                    new[digest] = (diff.chunked, diff.chunked.texts[number])
        if new:
            texts = [text for _, text in new.values()]
            tokens = 0 if writer.reads_records else sum(map(writer.splitter.tokens, texts))
            with activity.embedding(len(new), tokens, self.embedding.usd_per_million_tokens):
                vectors = self.embedding.embed_records([chunked.record for chunked, _ in new.values()], texts)
            by_digest.update(zip(new, vectors, strict=True))
            prepared.embedded += len(new)
            prepared.tokens += tokens

    def _apply_changes(self, writer: StreamWriter, prepared: EmbeddedBatch) -> Receipt:
        """Write the new chunks into the store, then remove what they replace."""
        outdated = writer.recent_writes.since(prepared.since)
        if prepared.attempted or outdated is None:
            outdated = frozenset(diff.chunked.key for diff in prepared.diffs)
        if outdated:
            self._recompare(writer, prepared, outdated)
        chunks = chunks_of(prepared.diffs, prepared.vectors, self.omit_raw_text)
        stale = [chunk for diff in prepared.diffs for chunk in diff.stale]
        prepared.attempted = True
        try:
            cut = self.store.upsert(chunks) if chunks else 0
            if stale:
                self.store.delete(stale)
        finally:
            writer.note_written([diff.chunked.key for diff in prepared.diffs if not diff.unchanged])
        return self._receipt(writer, prepared, chunks, len(stale), cut)

    def _recompare(self, writer: StreamWriter, prepared: EmbeddedBatch, keys: frozenset[str]) -> None:
        """Compare the records with these keys again: they were written after the batch was compared."""
        records = [p.chunked for p in prepared.diffs if p.chunked.key in keys or p.chunked.document.former_key in keys]
        if not records:
            return
        stored = self._find_stored(records)
        replaces = self.store.replaces
        fresh = {d.key: compare(d, stored.get(d.key, ()), replaces) for d in records}
        prepared.diffs = [fresh.get(diff.chunked.key, diff) for diff in prepared.diffs]
        self._fetch_vectors(writer, prepared, list(fresh.values()))

    def _stage(self, writer: StreamWriter, prepared: EmbeddedBatch) -> Receipt:
        """Write into the staging file: chunks that differ from the old generation, and the keys of the new one."""
        staging = writer.staging
        assert staging is not None
        keys = [diff.chunked.key for diff in prepared.diffs]
        repeated = staging.chunk_counts(keys)
        if repeated:
            writer.countable = writer.countable and prepared.attempted
            staged = staging.stored(list(repeated))
            recompared = {
                diff.chunked.key: compare(
                    diff.chunked,
                    overlay(prepared.stored.get(diff.chunked.key, ()), staged.get(diff.chunked.key, ())),
                    True,
                )
                for diff in prepared.diffs
                if diff.chunked.key in repeated
            }
            prepared.diffs = [recompared.get(diff.chunked.key, diff) for diff in prepared.diffs]
            self._fetch_vectors(writer, prepared, list(recompared.values()))
        prepared.attempted = True
        chunks = chunks_of(prepared.diffs, prepared.vectors, self.omit_raw_text)
        staging.add(chunks, [(diff.chunked.key, len(diff.chunked.texts)) for diff in prepared.diffs])
        return self._receipt(writer, prepared, chunks, sum(len(diff.stale) for diff in prepared.diffs))

    def _receipt(
        self, writer: StreamWriter, prepared: EmbeddedBatch, chunks: Sequence[Chunk], deleted: int, cut: int = 0
    ) -> Receipt:
        empty = sum(1 for diff in prepared.diffs if not diff.chunked.texts)
        if empty or prepared.superseded:
            writer.countable = False
        unchanged = sum(diff.unchanged for diff in prepared.diffs)
        total = sum(len(diff.chunked.texts) for diff in prepared.diffs)
        usage = Usage(
            self.embedding.usd_per_million_tokens,
            embedded=prepared.embedded,
            reused=total - sum(len(diff.embed) for diff in prepared.diffs),
            written=len(chunks),
            deleted=deleted,
            tokens=prepared.tokens,
        )
        return Receipt(
            written=len(prepared.diffs) - unchanged + prepared.superseded,
            unchanged=unchanged,
            rejected=prepared.rejected,
            figures=usage.figures() | ({"values_cut": cut} if cut else {}),
        )


def writable(folder: Path) -> bool:
    """Whether this folder exists, or can be created, and takes files."""
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    return nearest.is_dir() and os.access(nearest, os.W_OK)
