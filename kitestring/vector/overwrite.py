"""Brings the sealed generation of an overwrite into the store: what is new first, then away with what is not in it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from kitestring.errors import TransientError
from kitestring.vector.staging import Shadow
from kitestring.vector.store import Chunk, Ref, Store, Stored

log = logging.getLogger("kitestring.vector")
T = TypeVar("T")
TRIES = 5


def apply(store: Store, stream: str, namespace: str, shadow: Shadow) -> None:
    """New and changed chunks, then marks, then the removal of what is not in the new generation. Every step can be
    repeated. What a stream of another namespace wrote under the same name is not touched."""
    written = removed = 0
    for page in shadow.chunks():
        todo: Sequence[Chunk] = page
        old: list[Stored] = []
        if not store.replaces:
            todo, old = unmatched(page, patiently(lambda page=page: store.find(refs_of(page))))  # type: ignore[misc]
        patiently(lambda todo=todo: store.upsert(todo))  # type: ignore[misc]
        if old:
            patiently(lambda old=old: store.delete(old))  # type: ignore[misc]
        written += len(todo)
    marks = shadow.marks()
    for deleted_at, refs in by_time(marks, stream):
        chunks = [c for stored in store.find(refs).values() for c in stored if not c.marked]
        patiently(lambda chunks=chunks, deleted_at=deleted_at: store.mark(chunks, deleted_at))  # type: ignore[misc]
    for page_of_rows in store.scan(stream):
        rows = [row for row in page_of_rows if row.namespace in (None, namespace)]
        counts = shadow.seen(list({row.key for row in rows}))
        gone = [row for row in rows if row.number is None or row.number >= counts.get(row.key, 0)]
        if gone:
            patiently(lambda gone=gone: store.delete(gone))  # type: ignore[misc]
        removed += len(gone)
    log.info("overwrite applied", extra={"stream": stream, "chunks_written": written, "chunks_deleted": removed})


def by_time(marks: Mapping[str, tuple[str, int]], stream: str) -> Iterable[tuple[str, list[Ref]]]:
    """Records to mark, together where they were deleted at the same time."""
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


def unmatched(chunks: Sequence[Chunk], stored: Mapping[str, list[Stored]]) -> tuple[list[Chunk], list[Stored]]:
    """Those of `chunks` that are not stored exactly as they are, and the stored rows that stand in the place of any."""
    todo: list[Chunk] = []
    old: list[Stored] = []
    for chunk in chunks:
        there = [s for s in stored.get(chunk.key, ()) if s.number == chunk.number]
        exact = next((s for s in there if (s.digest, s.metadata_digest) == (chunk.digest, chunk.metadata_digest)), None)
        if exact is None:
            todo.append(chunk)
        old.extend(s for s in there if s is not exact)
    return todo, old


def patiently(call: Callable[[], T]) -> T:
    """Call again after a `TransientError`, with growing waits: an overwrite that was begun should be finished."""
    for attempt in range(1, TRIES):
        try:
            return call()
        except TransientError as error:
            wait_s = error.retry_after_s or 0.5 * 2**attempt
            log.warning("the store is not ready", extra={"error": str(error), "wait_s": wait_s})
            time.sleep(wait_s)
    return call()
