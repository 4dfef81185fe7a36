"""The difference between the chunks that a record should have and those that are stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kitestring.json_codec import dumps
from kitestring.types import Record
from kitestring.vector.document import Document
from kitestring.vector.store import Chunk, Ref, Stored

if TYPE_CHECKING:
    from kitestring.vector.store import Vector


@dataclass(slots=True)
class ChunkedRecord:
    """A record as it should be stored: its document, cut into chunks, without vectors.

    `key` is the document's; in `append`, where no record replaces another, a random one.
    """

    key: str
    stream: str
    record: Record
    document: Document
    texts: list[str]
    digests: list[str]
    metadata_digest: str
    namespace: str = ""

    @property
    def ref(self) -> Ref:
        return Ref(self.key, self.stream, self.document.record_id, len(self.texts))

    @property
    def former_ref(self) -> Ref | None:
        """The record under the key that an earlier version of Kitestring gave it, if that was another."""
        key = self.document.former_key
        return None if key is None else replace(self.ref, key=key, former=True)


@dataclass(slots=True)
class ChunkDiff:
    """The work for one record: numbers of chunks to embed, of chunks to write with a stored vector, rows to remove."""

    chunked: ChunkedRecord
    embed: list[int] = field(default_factory=list)
    reuse: dict[int, Stored] = field(default_factory=dict)
    stale: list[Stored] = field(default_factory=list)

    @property
    def unchanged(self) -> bool:
        return not (self.embed or self.reuse or self.stale)


def compare(chunked: ChunkedRecord, stored: Iterable[Stored], replaces: bool) -> ChunkDiff:
    """Compare a record with its stored chunks. `replaces`: writing a number removes the row that had it.

    A chunk stays untouched if digest and metadata digest are both equal. If only the metadata differ, or the same text
    had another number in this record, the stored vector is reused.
    """
    diff = ChunkDiff(chunked)
    at: dict[int, list[Stored]] = {}
    by_digest: dict[str, Stored] = {}
    for chunk in stored:
        if chunk.number is None or chunk.number >= len(chunked.digests):
            diff.stale.append(chunk)
        else:
            at.setdefault(chunk.number, []).append(chunk)
        if chunk.digest:
            by_digest.setdefault(chunk.digest, chunk)
    for number, digest in enumerate(chunked.digests):
        at_number = at.get(number, ())
        identical = next(
            (s for s in at_number if s.digest == digest and s.metadata_digest == chunked.metadata_digest), None
        )
        if identical is None:
            if digest in by_digest:
                diff.reuse[number] = by_digest[digest]
            else:
                diff.embed.append(number)
        if not replaces:
            diff.stale.extend(s for s in at_number if s is not identical)
    return diff


def overlay(below: Sequence[Stored], above: Sequence[Stored]) -> list[Stored]:
    """The chunks after `above` is written over `below`, number by number."""
    numbers = {s.number for s in above}
    return [*above, *(s for s in below if s.number not in numbers)]


def chunks_of(diffs: Iterable[ChunkDiff], vectors: Mapping[str, Vector], omit_text: bool = False) -> list[Chunk]:
    """The chunks that these diffs write, with their texts or without."""
    chunks = []
    for diff in diffs:
        chunked = diff.chunked
        for number in sorted([*diff.embed, *diff.reuse]):
            digest = chunked.digests[number]
            chunks.append(
                Chunk(
                    chunked.key,
                    number,
                    chunked.stream,
                    chunked.document.record_id,
                    "" if omit_text else chunked.texts[number],
                    vectors[digest],
                    digest,
                    chunked.metadata_digest,
                    chunked.document.metadata,
                    chunked.namespace,
                )
            )
    return chunks


def nbytes_of(diff: ChunkDiff, dimension: int) -> int:
    """The approximate size of a record's chunks in a store."""
    chunked = diff.chunked
    metadata = len(dumps(chunked.document.metadata))
    return sum(4 * dimension + len(text.encode()) + metadata for text in chunked.texts)
