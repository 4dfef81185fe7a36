"""The Python API of answers: `ks.ask`, `ks.answering` and `ks.similar`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from kitestring.destination import Destination
from kitestring.library import DestinationHandle, searchable
from kitestring.retrieval import answer as answers
from kitestring.retrieval import similar_records
from kitestring.retrieval.answer import Answer
from kitestring.retrieval.language_model import LanguageModel
from kitestring.retrieval.passage import Passage
from kitestring.retrieval.passage_retrieval import Passages, Retrieval
from kitestring.retrieval.prompt import Turn
from kitestring.retrieval.reranker import Reranker
from kitestring.retrieval.similar_records import RecordName, SimilarRecord

__all__ = [
    "Answer",
    "LanguageModel",
    "Passage",
    "Passages",
    "RecordName",
    "Reranker",
    "SimilarRecord",
    "Turn",
    "answering",
    "ask",
    "similar",
]


def ask(
    destination: DestinationHandle | Destination,
    question: str,
    *,
    model: LanguageModel | Literal[False] | None = None,
    history: Sequence[Turn] = (),
    where: str | Mapping[str, Any] | None = None,
    stream: str | None = None,
    limit: int = 5,
    hybrid: bool | None = None,
    reranker: Reranker | None = None,
    include_deleted: bool = False,
    permission: Mapping[str, Any] | None = None,
) -> Answer:
    """The answer to a question from what was synced, with citations; see `answering`."""
    *_, answer = answering(
        destination,
        question,
        model=model,
        history=history,
        where=where,
        stream=stream,
        limit=limit,
        hybrid=hybrid,
        reranker=reranker,
        include_deleted=include_deleted,
        permission=permission,
    )
    assert isinstance(answer, Answer)
    return answer


def answering(
    destination: DestinationHandle | Destination,
    question: str,
    *,
    model: LanguageModel | Literal[False] | None = None,
    history: Sequence[Turn] = (),
    where: str | Mapping[str, Any] | None = None,
    stream: str | None = None,
    limit: int = 5,
    hybrid: bool | None = None,
    reranker: Reranker | None = None,
    include_deleted: bool = False,
    permission: Mapping[str, Any] | None = None,
) -> Iterator[Passages | str | Answer]:
    """An answer as it comes: the passages, parts of its text, and in the end the whole `Answer`. If it breaks off, an
    error is raised after the last part.

    `model` is a language model; None takes the one of the variables `KITESTRING_ANSWER_…`, False takes none. Without a
    model the answer is made of the sentences that are nearest to the question. `history` is the conversation so far.
    `where`, `stream`, `hybrid` and `include_deleted` are as in `search`; `limit` is the number of records that the
    answer may use. `reranker` orders the passages again. `permission` is a filter that every passage passes whatever
    `where` is, for the user on whose behalf a program asks.
    """
    if model is None:
        model = LanguageModel.of()
    how = Retrieval(
        where=where, stream=stream, limit=limit, hybrid=hybrid, reranker=reranker, include_deleted=include_deleted
    )
    return answers.answering(
        searchable(destination, permission), question, model=model or None, history=history, how=how
    )


def similar(
    destination: DestinationHandle | Destination,
    seeds: str | RecordName | Sequence[RecordName],
    *,
    where: str | Mapping[str, Any] | None = None,
    stream: str | None = None,
    limit: int = 5,
    diversity: float = 0.0,
    threshold: float | None = None,
    include_deleted: bool = False,
    permission: Mapping[str, Any] | None = None,
) -> list[SimilarRecord]:
    """The records nearest to a text, a record, or several records of somebody's interest, best first.

    `where`, `stream`, `threshold`, `include_deleted` and `permission` are as in `search`. `diversity` from 0 to 1
    leaves out records that resemble one above them. The given records are not returned.
    """
    return similar_records.similar(
        searchable(destination, permission),
        [seeds] if isinstance(seeds, RecordName) else seeds,
        where=where,
        stream=stream,
        limit=limit,
        diversity=diversity,
        threshold=threshold,
        include_deleted=include_deleted,
    )
