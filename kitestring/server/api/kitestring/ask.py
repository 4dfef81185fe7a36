"""Answers from a synced collection, and records that resemble others."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from kitestring.errors import ConfigError, KitestringError
from kitestring.retrieval.answer import Answer, answering
from kitestring.retrieval.passage_retrieval import Passages, Retrieval
from kitestring.retrieval.prompt import Turn
from kitestring.retrieval.similar_records import MOST_SEEDS, RecordName, similar
from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.event_response import (
    EventStream,
    GeneratedEvents,
    encoded,
    failure,
    responses_of_events,
)
from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.auth.access import AnyUser, Reader, ServerContext
from kitestring.server.auth.principal import Principal
from kitestring.server.context import Context
from kitestring.server.retrieval.answer_models import answer_slot, language_model, reranker
from kitestring.server.retrieval.collection_reads import CollectionReads

router = APIRouter(tags=["search"])

Where = dict[str, Any] | str | None
LONG = 20_000


class ConversationTurn(Body):
    """A question and its answer, earlier in the conversation."""

    question: str = Field(max_length=LONG)
    answer: str = Field(max_length=LONG)


class AskRequest(Body):
    """A question. `limit` is the number of records that the answer may use. Without `useModel`, and on a server without
    a language model, the answer consists of sentences of the records."""

    question: str = Field(min_length=1, max_length=LONG)
    history: list[ConversationTurn] = Field([], max_length=20)
    where: Where = None
    stream: str | None = None
    limit: int = Field(5, ge=1, le=20)
    hybrid: bool | None = None
    includeDeleted: bool = False
    useModel: bool = True


class NamedRecord(Body):
    """A record by the stored name of its stream and its record id."""

    stream: str = Field(min_length=1, max_length=1_000)
    recordId: str = Field(min_length=1, max_length=100_000)


class SimilarRequest(Body):
    """A text, or records. `diversity` from 0 to 1 leaves out records that resemble one above them."""

    text: str = Field("", max_length=100_000)
    records: list[NamedRecord] = Field([], max_length=MOST_SEEDS)
    where: Where = None
    stream: str | None = None
    limit: int = Field(5, ge=1, le=100)
    diversity: float = Field(0, ge=0, le=1)
    threshold: float | None = None
    includeDeleted: bool = False


class AnswerPassage(ResponseModel):
    """A chunk that the answer could use, under the number by which the answer cites it. `highlights`: the places of
    words of the question, as offsets of characters."""

    number: int
    text: str
    stream: str
    recordId: str | None
    chunkId: str
    title: str
    url: str
    distance: float | None
    score: float
    highlights: list[list[int]]


class AnswerRead(ResponseModel):
    """An answer. `answered` is false if the sources do not contain it. `citations` are numbers of passages."""

    question: str
    text: str
    answered: bool
    passages: list[AnswerPassage]
    citations: list[int]
    notes: list[str]
    model: str | None
    inputTokens: int | None
    outputTokens: int | None
    costUsd: float | None


class SimilarRead(ResponseModel):
    """A record, with its chunk that is nearest. `score` is 1 for the first record."""

    stream: str
    recordId: str | None
    chunkId: str
    title: str
    url: str
    text: str
    score: float
    distance: float | None


class SimilarRecords(ResponseModel):
    data: list[SimilarRead]


class AnswerModels(ResponseModel):
    """What answers are made with: the names of the language model and of the reranker."""

    model: str | None
    reranker: str | None


@router.get("/answers/models", operation_id="getAnswerModels", responses=responses_for(AnswerModels))
def get_answer_models(caller: AnyUser, context: ServerContext) -> Any:
    """The language model that writes answers, and the reranker, if the operator has set them."""
    model, ranks = language_model(context.settings), reranker(context.settings)
    return {"model": model.model if model else None, "reranker": ranks.kind if ranks else None}


@router.post("/destinations/{destinationId}/ask", operation_id="askDestination", responses=responses_for(AnswerRead))
def ask_destination(caller: Reader, context: ServerContext, destinationId: UUID, body: AskRequest) -> Any:
    """Answer a question from a collection, with citations. The whole answer, or an error."""
    *_, answer = parts_of(context, caller, str(destinationId), body)
    assert isinstance(answer, Answer)
    return answer.as_dict()


@router.post(
    "/destinations/{destinationId}/ask/events",
    operation_id="askDestinationWithEvents",
    responses=responses_of_events("passages", "text", "answer", "end"),
    response_class=EventStream,
)
def ask_with_events(caller: Reader, context: ServerContext, destinationId: UUID, body: AskRequest) -> EventStream:
    """Answer a question as the answer comes, as server-sent events: `passages`, parts of the text as `text`, and in the
    end `answer`. An answer that breaks off has the event `end` with `error` and `hint` in its place."""
    parts = parts_of(context, caller, str(destinationId), body)
    first = next(parts)  # an error before the first event is answered as any other
    return GeneratedEvents(events_of(first, parts))


@router.post(
    "/destinations/{destinationId}/similar", operation_id="listSimilarRecords", responses=responses_for(SimilarRecords)
)
def list_similar_records(caller: Reader, context: ServerContext, destinationId: UUID, body: SimilarRequest) -> Any:
    """The records that resemble a text, a record, or several records, best first and without these."""
    if bool(body.text.strip()) == bool(body.records):
        raise ConfigError("similar records are those of a text or of records", hint="Give either text or records.")
    near = similar(
        CollectionReads(context, caller, str(destinationId)),
        [RecordName(record.stream, record.recordId) for record in body.records] or body.text,
        where=body.where,
        stream=body.stream,
        limit=body.limit,
        diversity=body.diversity,
        threshold=body.threshold,
        include_deleted=body.includeDeleted,
    )
    return {"data": [record.as_dict() for record in near]}


def parts_of(
    context: Context, caller: Principal, destination_id: str, body: AskRequest
) -> Iterator[Passages | str | Answer]:
    """The answer as it comes."""
    how = Retrieval(
        where=body.where,
        stream=body.stream,
        limit=body.limit,
        hybrid=body.hybrid,
        reranker=reranker(context.settings),
        include_deleted=body.includeDeleted,
    )
    history = [Turn(turn.question, turn.answer) for turn in body.history]
    model = language_model(context.settings) if body.useModel else None
    with answer_slot():
        reads = CollectionReads(context, caller, destination_id)
        yield from answering(reads, body.question, model=model, history=history, how=how)


def events_of(first: Passages | str | Answer, parts: Iterator[Passages | str | Answer]) -> Generator[bytes]:
    """The parts as server-sent events."""
    yield encoded(event_of(first))
    try:
        for part in parts:
            yield encoded(event_of(part))
    except KitestringError as error:
        yield encoded(failure(error))


def event_of(part: Passages | str | Answer) -> dict[str, Any]:
    match part:
        case Passages():
            passages = [passage.as_dict() for passage in part.passages]
            return {"event": "passages", "passages": passages, "notes": list(part.notes)}
        case Answer():
            return {"event": "answer", **part.as_dict()}
    return {"event": "text", "text": part}
