"""Records that are similar to a text, to a record, or to several records of a reader's interest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kitestring.destination import Compares, ListsNeighbours, Searches
from kitestring.errors import ConfigError
from kitestring.retrieval.ranking import RecordHits, by_record, fused, record_of
from kitestring.retrieval.record_label import title_of, web_link_of
from kitestring.types import DELETED_AT, Record

MOST_SEEDS = 50
"""Records of interest in one call."""
MOST_CHUNKS = 8
"""Chunks of one record that are compared; of a longer one, these are spread over its text."""
CANDIDATES = 40
DIVERSE_CANDIDATES = 4
"""With diversity, so many times the limit is chosen from."""


@dataclass(frozen=True, slots=True)
class RecordName:
    """A record by the stored name of its stream and its record id, as a hit has them."""

    stream: str
    record_id: str


@dataclass(frozen=True, slots=True)
class SimilarRecord:
    """A record, with its chunk that is nearest. `score` is that of the ranking, 1 for the first; `distance` that of the
    nearest chunk, in the metric of the collection."""

    stream: str
    record_id: str | None
    chunk_id: str
    title: str
    url: str
    text: str
    score: float
    distance: float | None
    fields: Record = field(default_factory=dict, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """As JSON, without the fields of the record."""
        return {
            "stream": self.stream,
            "recordId": self.record_id,
            "chunkId": self.chunk_id,
            "title": self.title,
            "url": self.url,
            "text": self.text,
            "score": self.score,
            "distance": self.distance,
        }


def similar(
    reads: Searches,
    seeds: str | Sequence[RecordName],
    *,
    where: str | Mapping[str, Any] | None = None,
    stream: str | None = None,
    limit: int = 5,
    diversity: float = 0.0,
    threshold: float | None = None,
    include_deleted: bool = False,
) -> list[SimilarRecord]:
    """The records that are nearest to a text, or to records, best first and without those records themselves.

    Records are compared by their chunks: one that is near several chunks of the seeds comes before one that is near a
    single chunk. `diversity` from 0 to 1 leaves out what resembles a record above it (maximal marginal relevance). The
    seeds themselves need not pass `where`. `threshold` is for a text: it leaves out chunks that are farther away.
    """
    if limit < 1:
        raise ConfigError(f"limit is {limit}, and at least one record is returned", hint="Leave it out for 5.")
    if not 0 <= diversity <= 1:
        raise ConfigError(f"diversity is {diversity:g}", hint="Give a number from 0 (nearest) to 1 (most different).")
    most = limit * DIVERSE_CANDIDATES if diversity else limit
    count = max(CANDIDATES, most * 4)
    if isinstance(seeds, str):
        if not seeds.strip():
            raise ConfigError("the text is empty", hint="Give a text, or a record.")
        deleted = {"include_deleted": True} if include_deleted else {}
        rankings = [
            reads.search(seeds, where=where, limit=count, threshold=threshold, hybrid=False, stream=stream, **deleted)
        ]
        known: set[tuple[str, str]] = set()
    else:
        if threshold is not None:
            raise ConfigError("a threshold is for a text, and records are given", hint="Leave the threshold out.")
        rankings = near_records(reads, seeds, where, stream, count, include_deleted)
        known = {(seed.stream, seed.record_id) for seed in seeds}
    records = [record for record in by_record(fused(rankings)) if record_of(record.best) not in known]
    if diversity:
        records = diverse(reads, records[:most], diversity, limit)
    best = max((record.score for record in records), default=1.0)
    return [similar_record(record, record.score / best) for record in records[:limit]]


def near_records(
    reads: Searches,
    seeds: Sequence[RecordName],
    where: str | Mapping[str, Any] | None,
    stream: str | None,
    count: int,
    include_deleted: bool,
) -> list[list[Record]]:
    """What is near each chunk of each record. `ConfigError` for a record that is not there."""
    if not isinstance(reads, ListsNeighbours):
        raise ConfigError("this destination holds no chunks with vectors", hint="Choose a vector store.")
    if not seeds or len(seeds) > MOST_SEEDS:
        raise ConfigError(f"{len(seeds)} records are given, and 1 to {MOST_SEEDS} are compared", hint="Give some.")
    rankings = []
    for seed in dict.fromkeys(seeds):
        chunks = reads.record_chunks(seed.stream, seed.record_id)
        live = chunks if include_deleted else [chunk for chunk in chunks if chunk.get(DELETED_AT) is None]
        if not live:
            raise ConfigError(
                f"the stream {seed.stream} has no record {seed.record_id}",
                hint="A search shows the record ids of its hits. The record may have been deleted.",
            )
        for chunk in evenly_chosen(live, MOST_CHUNKS):
            more = count + len(chunks)  # the record's own chunks are near each other
            rankings.append(
                reads.neighbours(
                    str(chunk["id"]), where=where, limit=more, stream=stream, include_deleted=include_deleted
                )
            )
    return rankings


def evenly_chosen(chunks: Sequence[Record], most: int) -> list[Record]:
    """At most so many chunks, at even distances, with the first."""
    if len(chunks) <= most:
        return list(chunks)
    return [chunks[number * len(chunks) // most] for number in range(most)]


def diverse(reads: Searches, records: Sequence[RecordHits], diversity: float, limit: int) -> list[RecordHits]:
    """Maximal marginal relevance: each next record is near the seeds and unlike those above it
    (https://dl.acm.org/doi/10.1145/290941.291025)."""
    if not isinstance(reads, Compares):
        raise ConfigError("this destination cannot compare its chunks", hint="Leave diversity out.")
    if len(records) < 2:
        return list(records)
    similarity = reads.chunk_similarities([str(record.best["id"]) for record in records])
    top = records[0].score
    chosen, rest = [0], list(range(1, len(records)))

    def worth(index: int) -> float:
        nearest = max(similarity[index][other] for other in chosen)
        return (1 - diversity) * records[index].score / top - diversity * nearest

    while rest and len(chosen) < limit:
        index = max(rest, key=worth)
        chosen.append(index)
        rest.remove(index)
    return [records[index] for index in chosen]


def similar_record(record: RecordHits, score: float) -> SimilarRecord:
    hit = record.best
    distance, record_id = hit.get("distance"), hit.get("record_id")
    return SimilarRecord(
        stream=str(hit.get("stream") or ""),
        record_id=None if record_id is None else str(record_id),
        chunk_id=str(hit["id"]),
        title=title_of(hit),
        url=web_link_of(hit),
        text=str(hit.get("text") or ""),
        score=score,
        distance=None if distance is None else float(distance),
        fields=hit,
    )
