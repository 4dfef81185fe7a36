"""Expiry of the credentials of a source."""

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
    """A credential with a known expiry. `daysLeft` is negative after it."""

    name: str
    endsAt: datetime
    daysLeft: int
    hint: str


class CredentialEnds(BaseModel):
    """Expiries from the last check or sync; empty if nothing expires, or nothing is known."""

    data: list[CredentialEnd]


@router.get("/sources/{sourceId}/credentials", operation_id="listSourceCredentialEnds", response_model=CredentialEnds)
def list_credential_ends(caller: Reader, context: ServerContext, sourceId: UUID) -> Any:
    """The expiries of a source's credentials, the next one first."""
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
