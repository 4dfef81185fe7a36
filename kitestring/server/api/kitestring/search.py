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

router = APIRouter(tags=["search"])


class SearchRequest(Body):
    """A search. `where` is a filter, as field and value or in the store's own language."""

    text: str = Field(min_length=1, max_length=100_000)
    where: dict[str, Any] | str | None = None
    limit: int = Field(10, ge=1, le=1000)
    threshold: float | None = None
    hybrid: bool | None = None
    stream: str | None = None
    includeDeleted: bool = False


@router.post(
    "/destinations/{destinationId}/search", operation_id="searchDestination", responses=responses_for(SearchHits)
)
def search_destination(caller: Reader, context: ServerContext, destinationId: UUID, body: SearchRequest) -> Any:
    """Search a collection with the embedder that filled it: the nearest chunks, best first."""
    return {"data": read_destination(context, caller, str(destinationId), "search", body.model_dump())}
