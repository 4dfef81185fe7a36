"""From a question to passages: candidates of the store are fused, reranked if there is a reranker, and put together by
record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kitestring.destination import Compares, Searches
from kitestring.errors import ConfigError
from kitestring.retrieval.passage import Passage, passages_of
from kitestring.retrieval.ranking import RankedHit, by_record, fused
from kitestring.retrieval.reranker import Reranker

BY_MEANING = "The collection has no index of words, so passages are found by meaning only."
WITHOUT_MEANING = "The embedder of this collection makes vectors without meaning: passages are found by chance."


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """How passages are found. `limit` counts records, `candidates` the chunks that each search gives.

    `hybrid`: None takes what the collection supports. `where`, `stream`, `include_deleted`: as in a search.
    """

    where: str | Mapping[str, Any] | None = None
    stream: str | None = None
    limit: int = 5
    chunks_per_record: int = 2
    candidates: int = 40
    hybrid: bool | None = None
    include_deleted: bool = False
    reranker: Reranker | None = None

    def __post_init__(self) -> None:
        for name in ("limit", "chunks_per_record", "candidates"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, and at least 1 is needed", hint="Leave it out.")

    def options(self) -> dict[str, Any]:
        """Those of a search. `include_deleted` only if it is set: a destination without marks need not know it."""
        marked = {"include_deleted": True} if self.include_deleted else {}
        return {"where": self.where, "stream": self.stream, **marked}


@dataclass(frozen=True, slots=True)
class Passages:
    """The passages for a question, best record first, and what a reader has to know about the search."""

    passages: Sequence[Passage]
    notes: Sequence[str] = ()


def retrieve(reads: Searches, question: str, how: Retrieval, context: Sequence[str] = ()) -> Passages:
    """The passages that may answer a question. `context`: other wordings that are searched for too, such as the
    question together with the one before it; the results are fused."""
    limit = max(how.candidates, how.limit)
    texts = dict.fromkeys([question, *context])
    ranking = fused(reads.search(text, limit=limit, hybrid=how.hybrid, **how.options()) for text in texts)
    with_text = [entry for entry in ranking if str(entry.hit.get("text") or "").strip()]
    if ranking and not with_text:
        raise ConfigError(
            "the chunks that were found have no text, and an answer needs it",
            hint="Sync into a new collection with omit_raw_text: false.",
        )
    if how.reranker is not None and with_text:
        with_text = reranked(how.reranker, question, with_text[:limit])
    records = by_record(with_text)[: how.limit]
    return Passages(passages_of(records, question, how.chunks_per_record), retrieval_notes(reads, how))


def reranked(reranker: Reranker, question: str, ranking: Sequence[RankedHit]) -> list[RankedHit]:
    """The same chunks in the order of a reranker, with its scores."""
    scores = reranker.scores(question, [str(entry.hit["text"]) for entry in ranking])
    order = sorted(range(len(ranking)), key=lambda index: -scores[index])
    return [RankedHit(ranking[index].hit, scores[index]) for index in order]


def retrieval_notes(reads: Searches, how: Retrieval) -> list[str]:
    if not isinstance(reads, Compares):
        return []
    facts = reads.reading_facts()
    notes = [] if facts.words or how.hybrid is False else [BY_MEANING]
    return notes if facts.meaningful else [*notes, WITHOUT_MEANING]
