"""Tests of notification channels."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import select

from kitestring.errors import KitestringError
from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.checks import CheckResult
from kitestring.server.auth.access import Admin, ServerContext
from kitestring.server.http.problem import Problem
from kitestring.server.notifications import outbox
from kitestring.server.store.tables import workspaces

router = APIRouter(tags=["notifications"])


class NotificationTest(Body):
    """A channel: the `url` of a webhook or of apprise, or the addresses `to` of an e-mail."""

    workspaceId: UUID
    way: Literal["webhook", "email", "apprise"]
    url: str = ""
    to: list[str] = Field(default_factory=list, max_length=10)


@router.post("/notifications/test", operation_id="testNotification", response_model=CheckResult)
def test_notification(caller: Admin, context: ServerContext, body: NotificationTest) -> Any:
    """Send a test notification by a stored or unsaved channel, and return the result."""
    if body.way != "email" and not body.url:
        raise Problem(422, f"a test by {body.way} needs a url", hint="Give the url.")
    with context.store.read() as db:
        name = db.execute(select(workspaces.c.name).where(workspaces.c.id == str(body.workspaceId))).scalar_one()
    try:
        outbox.send_test(context, name, body.way, body.url, body.to)
    except KitestringError as error:
        return {"status": "failed", "message": error.message, "hint": error.hint}
    return {"status": "succeeded"}
