"""Deletions in a vector store or in the staged generation of an overwrite: by primary key or of a whole stream, removed
or marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kitestring.types import Receipt
from kitestring.vector.record_key import former_refs_of, refs_of
from kitestring.vector.store import Ref, Store
from kitestring.vector.stream_writer import StreamWriter
from kitestring.vector.unicode import well_formed
from kitestring.vector.usage import Usage

Keys = Sequence[tuple[Any, ...]]


def delete(store: Store, writer: StreamWriter, keys: Keys) -> Receipt:
    """Remove the records with these primary keys."""
    refs = refs_of(writer.stream, keys)
    if writer.staging is not None:
        deleted = writer.staging.discard([ref.key for ref in refs])
        return Receipt(deleted=deleted, unchanged=len(keys) - deleted)
    try:
        stored = store.find([*refs, *former_refs_of(writer.stream, keys)])
        chunks = [chunk for chunks in stored.values() for chunk in chunks]
        store.delete(chunks)
    finally:
        writer.note_written([ref.key for ref in refs])
    deleted = min(len(stored), len(keys))
    return Receipt(deleted=deleted, unchanged=len(keys) - deleted, figures=Usage(deleted=len(chunks)).figures())


def mark(store: Store, writer: StreamWriter, keys: Mapping[tuple[Any, ...], Any]) -> Receipt:
    """Mark the records with these primary keys as deleted, each at its time."""
    deleted = 0
    times: dict[str, list[tuple[Any, ...]]] = {}
    for key, deleted_at in keys.items():
        times.setdefault(str(well_formed(deleted_at)), []).append(key)
    for deleted_at, group in times.items():
        refs = refs_of(writer.stream, group)
        if writer.staging is not None:
            deleted += writer.staging.mark([ref.key for ref in refs], deleted_at)
            continue
        try:
            live = mark_live(store, [*refs, *former_refs_of(writer.stream, group)], deleted_at)
        finally:
            writer.note_written([ref.key for ref in refs])
        deleted += min(live, len(group))
    return Receipt(deleted=deleted, unchanged=len(keys) - deleted)


def truncate(store: Store, writer: StreamWriter, deleted_at: str) -> Receipt | None:
    """Delete every record of a stream, or mark all that have no mark. Rows that a stream of another namespace wrote
    under the same name stay. None if the store cannot count its records."""
    marks = writer.stream.write.deletes == "mark"
    if writer.staging is not None:
        return Receipt(deleted=writer.staging.mark_all(deleted_at) if marks else writer.staging.empty())
    before = store.count(writer.name)
    try:
        for page in store.scan(writer.name):
            chunks = [chunk for chunk in page if chunk.namespace in (None, writer.namespace)]
            if marks:
                mark_live(store, refs_by_key(writer.name, chunks), deleted_at)
            elif chunks:
                store.delete(chunks)
    finally:
        writer.note_all_written()
    after = store.count(writer.name)
    return None if before is None or after is None else Receipt(deleted=before - after)


def mark_live(store: Store, refs: Sequence[Ref], deleted_at: str) -> int:
    """Mark those of these records that have no mark. Returns their number."""
    live = [chunks for chunks in store.find(refs).values() if not all(chunk.marked for chunk in chunks)]
    store.mark([chunk for chunks in live for chunk in chunks if not chunk.marked], deleted_at)
    return len(live)


def refs_by_key(stream: str, chunks: Iterable[Any]) -> list[Ref]:
    counts: dict[str, int] = {}
    for chunk in chunks:
        if chunk.key:
            counts[chunk.key] = max(counts.get(chunk.key, 0), (chunk.number or 0) + 1)
    return [Ref(key, stream, "", count) for key, count in counts.items()]
