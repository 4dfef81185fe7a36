"""A passage: a chunk of a record as a source of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kitestring.retrieval.highlight import highlights
from kitestring.retrieval.ranking import RecordHits
from kitestring.retrieval.record_label import title_of, web_link_of
from kitestring.types import Record


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that may answer a question, under the number by which the answer cites it.

    `record_id` and `chunk_id` lead to its record and to the chunk; `url` is the record's address at the source.
    `distance` is in the metric of the collection (in a search with words: a score), `score` is that of the ranking.
    """

    number: int
    text: str
    stream: str
    record_id: str | None
    chunk_id: str
    title: str
    url: str
    distance: float | None
    score: float
    highlights: Sequence[tuple[int, int]] = ()
    fields: Record = field(default_factory=dict, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """As JSON, without the fields of the record."""
        return {
            "number": self.number,
            "text": self.text,
            "stream": self.stream,
            "recordId": self.record_id,
            "chunkId": self.chunk_id,
            "title": self.title,
            "url": self.url,
            "distance": self.distance,
            "score": self.score,
            "highlights": [list(span) for span in self.highlights],
        }


def passages_of(records: Sequence[RecordHits], question: str, chunks_per_record: int) -> list[Passage]:
    """The best chunks of each record, numbered from 1; those of one record in the order of its text."""
    passages: list[Passage] = []
    for record in records:
        best = record.chunks[:chunks_per_record]
        for entry in sorted(best, key=lambda entry: chunk_number(entry.hit)):
            hit, text = entry.hit, str(entry.hit.get("text") or "")
            distance, record_id = hit.get("distance"), hit.get("record_id")
            passages.append(
                Passage(
                    number=len(passages) + 1,
                    text=text,
                    stream=str(hit.get("stream") or ""),
                    record_id=None if record_id is None else str(record_id),
                    chunk_id=str(hit["id"]),
                    title=title_of(hit),
                    url=web_link_of(hit),
                    distance=None if distance is None else float(distance),
                    score=entry.score,
                    highlights=highlights(question, text),
                    fields=hit,
                )
            )
    return passages


def chunk_number(hit: Record) -> int:
    number = hit.get("chunk_number")
    return number if isinstance(number, int) else 0
