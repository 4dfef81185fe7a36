"""Rankings of hits: several are fused into one, and the chunks of a record are put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kitestring.retrieval.record_label import link_of
from kitestring.types import Record
from kitestring.vector.rank_fusion import fused_scores


@dataclass(slots=True)
class RankedHit:
    """A chunk, and its score in a ranking: higher is better."""

    hit: Record
    score: float


@dataclass(slots=True)
class RecordHits:
    """The chunks of one record, best first; its score is that of the best."""

    chunks: list[RankedHit] = field(default_factory=list)

    @property
    def score(self) -> float:
        return self.chunks[0].score

    @property
    def best(self) -> Record:
        return self.chunks[0].hit


def fused(rankings: Iterable[Sequence[Record]]) -> list[RankedHit]:
    """One ranking of all chunks, by reciprocal rank: a chunk that several rankings have near their top comes first.
    The distances of the rankings need not be comparable."""
    lists = [list(ranking) for ranking in rankings]
    hits = {str(hit["id"]): hit for ranking in reversed(lists) for hit in ranking}
    scores = fused_scores([str(hit["id"]) for hit in ranking] for ranking in lists)
    ranked = [RankedHit(hits[name], score) for name, score in scores.items()]
    return sorted(ranked, key=lambda entry: -entry.score)


def by_record(ranking: Iterable[RankedHit]) -> list[RecordHits]:
    """The records of a ranking, in the order of their best chunks."""
    records: dict[tuple[str, str], RecordHits] = {}
    for entry in ranking:
        records.setdefault(record_of(entry.hit), RecordHits()).chunks.append(entry)
    return list(records.values())


def record_of(hit: Record) -> tuple[str, str]:
    """The stream and the id of a chunk's record. A chunk of another program may have no record id: those with the same
    address are of one record, and one without an address is alone."""
    record_id = hit.get("record_id")
    return str(hit.get("stream") or ""), str((link_of(hit) or hit["id"]) if record_id is None else record_id)
