"""When the credentials of a source or destination end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from kitestring.server.auth.access import Reader, ServerContext
from kitestring.server.connections import endpoints

router = APIRouter(tags=["credentials"])


class CredentialEnd(BaseModel):
    """A credential that ends at a known moment. `daysLeft` is below zero when it is over."""

    name: str
    endsAt: datetime
    daysLeft: int
    hint: str


class CredentialEnds(BaseModel):
    """As its connector told in the last check or sync; empty where nothing ends, or nothing is known."""

    data: list[CredentialEnd]


@router.get("/sources/{sourceId}/credentials", operation_id="listSourceCredentialEnds", response_model=CredentialEnds)
def list_credential_ends(caller: Reader, context: ServerContext, sourceId: UUID) -> Any:
    """When the credentials of a source end, the next one first."""
    with context.store.read() as db:
        ends = endpoints.get(db, "source", str(sourceId)).credential_ends or []
    now = datetime.now(UTC)
    return {
        "data": [
            {
                "name": end["name"],
                "endsAt": end["at"],
                "daysLeft": (datetime.fromisoformat(end["at"]) - now).days,
                "hint": end["hint"],
            }
            for end in ends
        ]
    }
