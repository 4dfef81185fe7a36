"""Search over a synced collection, by meaning."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.responses import SearchHits
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import Reader, ServerContext
from kitestring.server.retrieval.destination_reads import read_destination
from kitestring.server.retrieval.freshness import freshness_of

router = APIRouter(tags=["search"])


class SearchRequest(Body):
    """A search. `where` is a filter, as field and value or in the store's own language. `perRecord`: at most so many
    chunks of one record."""

    text: str = Field(min_length=1, max_length=100_000)
    where: dict[str, Any] | str | None = None
    limit: int = Field(10, ge=1, le=1000)
    threshold: float | None = None
    hybrid: bool | None = None
    stream: str | None = None
    includeDeleted: bool = False
    perRecord: int | None = Field(None, ge=1, le=1000)


@router.post(
    "/destinations/{destinationId}/search", operation_id="searchDestination", responses=responses_for(SearchHits)
)
def search_destination(caller: Reader, context: ServerContext, destinationId: UUID, body: SearchRequest) -> Any:
    """Search a collection with the embedder that filled it: the nearest chunks, best first."""
    request = {**body.model_dump(), "explained": True}
    answer = read_destination(context, caller, str(destinationId), "search", request)
    with context.store.read() as db:
        return {**answer, **freshness_of(db, str(destinationId))}
