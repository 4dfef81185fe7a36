"""Actions on many connections at once. Each has its own transaction: what one connection refuses stops no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import Connection, Row

from kitestring.errors import KitestringError
from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.job_cause import JobCause
from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.auth.access import Editor, Runner, ServerContext
from kitestring.server.connections import connection
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem

router = APIRouter(prefix="/connections/bulk", tags=["connections"])
MOST = 500
Act = Callable[[Connection, Row[Any]], str | int]
"""Does it. A text says why there was nothing to do, a number is the job's, an empty text is nothing more to say."""


class BulkResult(ResponseModel):
    """The result of one connection. `message` says why it was skipped or failed."""

    connectionId: UUID
    status: Literal["done", "skipped", "failed"]
    message: str
    hint: str
    jobId: int | None


class BulkResults(ResponseModel):
    """The result of each connection, in the order of the request."""

    data: list[BulkResult]


class BulkRun(Body):
    """The connections to sync, or whose jobs to cancel."""

    connectionIds: list[UUID] = Field(min_length=1, max_length=MOST)
    action: Literal["sync", "cancel"]


class BulkChange(Body):
    """The connections to pause or resume, or the tags to add to them or to remove."""

    connectionIds: list[UUID] = Field(min_length=1, max_length=MOST)
    action: Literal["pause", "resume", "addTags", "removeTags"]
    tagIds: list[UUID] = Field(default_factory=list, max_length=50)


@router.post("/run", operation_id="runConnections", responses=responses_for(BulkResults))
def run_connections(caller: Runner, context: ServerContext, body: BulkRun, cause: JobCause) -> Any:
    """Sync connections, or cancel their jobs; what became of each. Paused connections and those with a job are left."""
    return for_each(context, body.connectionIds, sync(context, cause) if body.action == "sync" else cancel(context))


@router.post("/change", operation_id="changeConnections", responses=responses_for(BulkResults))
def change_connections(caller: Editor, context: ServerContext, body: BulkChange) -> Any:
    """Pause, resume or tag connections; what became of each."""
    if body.action in ("pause", "resume"):
        return for_each(context, body.connectionIds, change_status(context, body.action == "resume"))
    if not body.tagIds:
        raise Problem(422, f"the action {body.action} has no tagIds", hint="Name the tags.")
    tag_ids = [str(tag_id) for tag_id in body.tagIds]
    return for_each(context, body.connectionIds, change_tags(context, tag_ids, body.action == "addTags"))


def for_each(context: Context, connection_ids: list[UUID], act: Act) -> dict[str, Any]:
    results = []
    for connection_id in dict.fromkeys(map(str, connection_ids)):
        result: dict[str, Any] = {
            "connectionId": connection_id,
            "status": "done",
            "message": "",
            "hint": "",
            "jobId": None,
        }
        try:
            with context.store.write() as db:
                outcome = act(db, connection.get(db, connection_id))
            if isinstance(outcome, int):
                result["jobId"] = outcome
            elif outcome:
                result |= {"status": "skipped", "message": outcome}
        except Problem as problem:
            result |= {"status": "failed", "message": problem.detail, "hint": problem.hint}
        except KitestringError as error:
            result |= {"status": "failed", "message": error.message, "hint": error.hint}
        results.append(result)
    return {"data": results}


def sync(context: Context, cause: str) -> Act:
    def act(db: Connection, row: Row[Any]) -> str | int:
        if row.status != "active":
            return "it is paused"
        if context.queue.active(db, row.id) is not None:
            return "its job has not ended yet"
        return context.queue.enqueue(db, row.id, "sync", cause=cause)

    return act


def cancel(context: Context) -> Act:
    def act(db: Connection, row: Row[Any]) -> str | int:
        job_id = context.queue.active(db, row.id)
        if job_id is None:
            return "it has no job that runs or waits"
        context.queue.cancel(db, job_id)
        return job_id

    return act


def change_status(context: Context, active: bool) -> Act:
    def act(db: Connection, row: Row[Any]) -> str | int:
        if row.status == "locked":
            raise Problem(409, f"the connection {row.name} is locked", hint="Unlock it first.")
        if (row.status == "active") == active:
            return "it is active already" if active else "it is paused already"
        connection.change(context, db, row.id, {"status": "active" if active else "inactive"})
        return ""

    return act


def change_tags(context: Context, tag_ids: list[str], add: bool) -> Act:
    def act(db: Connection, row: Row[Any]) -> str | int:
        before = [tag.id for tag in connection.tags_of(db, [row.id])[row.id]]
        after = [*before, *tag_ids] if add else [tag_id for tag_id in before if tag_id not in tag_ids]
        if set(after) == set(before):
            return "it has these tags already" if add else "it has none of these tags"
        connection.tag(db, row.id, row.workspace_id, after)
        return ""

    return act
