"""Applies the sealed generation of an overwrite to the store: write what is new, then delete what is not in it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from kitestring import activity
from kitestring.backoff import backoff_s
from kitestring.errors import TransientError
from kitestring.vector.staging import StagingFile
from kitestring.vector.store import Chunk, Ref, Store, Stored

log = logging.getLogger("kitestring.vector")
T = TypeVar("T")
MOST_ATTEMPTS = 5


def apply_overwrite(store: Store, stream: str, namespace: str, staging: StagingFile) -> None:
    """New and changed chunks, then marks, then the removal of what is not in the new generation. Every step can be
    repeated. Rows that a stream of another namespace wrote under the same name stay."""
    written = removed = staged = 0
    total = staging.chunk_total()
    for page in staging.chunks():
        new_chunks: Sequence[Chunk] = page
        outdated: list[Stored] = []
        if not store.replaces:
            new_chunks, outdated = changed_chunks(page, retry_transient(lambda page=page: store.find(refs_of(page))))  # type: ignore[misc]
        retry_transient(lambda new_chunks=new_chunks: store.upsert(new_chunks))  # type: ignore[misc]
        if outdated:
            retry_transient(lambda outdated=outdated: store.delete(outdated))  # type: ignore[misc]
        written += len(new_chunks)
        staged += len(page)
        activity.finishing(staged, total)
    marks = staging.marks()
    for deleted_at, refs in by_time(marks, stream):
        chunks = [c for stored in store.find(refs).values() for c in stored if not c.marked]
        retry_transient(lambda chunks=chunks, deleted_at=deleted_at: store.mark(chunks, deleted_at))  # type: ignore[misc]
    for page_of_rows in store.scan(stream):
        rows = [row for row in page_of_rows if row.namespace in (None, namespace)]
        counts = staging.chunk_counts(list({row.key for row in rows}))
        obsolete = [row for row in rows if row.number is None or row.number >= counts.get(row.key, 0)]
        if obsolete:
            retry_transient(lambda obsolete=obsolete: store.delete(obsolete))  # type: ignore[misc]
        removed += len(obsolete)
    log.info("overwrite applied", extra={"stream": stream, "chunks_written": written, "chunks_deleted": removed})


def by_time(marks: Mapping[str, tuple[str, int]], stream: str) -> Iterable[tuple[str, list[Ref]]]:
    """Records to mark, grouped by the time of their deletion."""
    times: dict[str, list[Ref]] = {}
    for key, (deleted_at, count) in marks.items():
        times.setdefault(deleted_at, []).append(Ref(key, stream, "", count))
    return times.items()


def refs_of(chunks: Iterable[Chunk]) -> list[Ref]:
    most: dict[str, Ref] = {}
    for chunk in chunks:
        count = max(chunk.number + 1, most[chunk.key].count if chunk.key in most else 0)
        most[chunk.key] = Ref(chunk.key, chunk.stream, chunk.record_id, count)
    return list(most.values())


def changed_chunks(chunks: Sequence[Chunk], stored: Mapping[str, list[Stored]]) -> tuple[list[Chunk], list[Stored]]:
    """Those of `chunks` that are not stored with the same digests, and the stored rows that they replace."""
    new_chunks: list[Chunk] = []
    outdated: list[Stored] = []
    for chunk in chunks:
        matches = [s for s in stored.get(chunk.key, ()) if s.number == chunk.number]
        identical = next(
            (s for s in matches if (s.digest, s.metadata_digest) == (chunk.digest, chunk.metadata_digest)), None
        )
        if identical is None:
            new_chunks.append(chunk)
        outdated.extend(s for s in matches if s is not identical)
    return new_chunks, outdated


def retry_transient(call: Callable[[], T]) -> T:
    """Retry after a `TransientError`, with growing waits: a begun overwrite should be finished."""
    for attempt in range(1, MOST_ATTEMPTS):
        try:
            return call()
        except TransientError as error:
            wait_s = error.retry_after_s or backoff_s(attempt, least=1.0)
            log.warning("the store is not ready", extra={"error": str(error), "wait_s": wait_s})
            time.sleep(wait_s)
    return call()
