"""Python components of low-code sources: their approval by an instance admin."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import Field

from kitestring.declarative.python_components import digest_of
from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.auth.access import ASKS, AnyUser, InstanceAdmin, ServerContext
from kitestring.server.builder import component_approval
from kitestring.server.context import Context

router = APIRouter(prefix="/builder/components", tags=["builder"])

MOST_CODE = 1_000_000
"""Characters of a components text."""
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="The SHA-256 of the components text in UTF-8.")]


class ComponentsText(Body):
    """The text of Python components."""

    code: str = Field(min_length=1, max_length=MOST_CODE)


class ComponentApproval(ResponseModel):
    """Whether a components text may run. `possible`: this server runs approved components. `approvedBy` and
    `approvedAtMs` are null while it is not approved."""

    digest: str
    possible: bool
    approved: bool
    approvedBy: str | None
    approvedAtMs: int | None


def read_approval(context: Context, digest: str) -> dict[str, Any]:
    with context.store.read() as db:
        row = component_approval.find(db, digest)
    return {
        "digest": digest,
        "possible": context.settings.runs_python_components,
        "approved": row is not None,
        "approvedBy": row.approved_by if row is not None else None,
        "approvedAtMs": row.approved_at_ms if row is not None else None,
    }


@router.post("", operation_id="findComponentApproval", dependencies=ASKS, responses=responses_for(ComponentApproval))
def find_approval(caller: AnyUser, context: ServerContext, body: ComponentsText) -> Any:
    """The digest of a components text, and whether it may run."""
    return read_approval(context, digest_of(body.code))


@router.get("/{digest}/approval", operation_id="getComponentApproval", responses=responses_for(ComponentApproval))
def get_approval(caller: AnyUser, context: ServerContext, digest: Digest) -> Any:
    """Whether the Python components with this digest may run."""
    return read_approval(context, digest)


@router.post("/{digest}/approval", operation_id="approveComponents", responses=responses_for(ComponentApproval))
def approve_components(caller: InstanceAdmin, context: ServerContext, digest: Digest, body: ComponentsText) -> Any:
    """Let Python components run, in every manifest that carries this exact text, with the rights of a job's process.
    422 where the digest is not that of the text, or this server runs no Python components."""
    component_approval.approve(context.settings, context.store, digest, body.code)
    return read_approval(context, digest)


@router.delete("/{digest}/approval", status_code=204, operation_id="revokeComponentApproval")
def revoke_approval(caller: InstanceAdmin, context: ServerContext, digest: Digest) -> Response:
    """Take the approval back: no check, test read or sync begins to run the code."""
    component_approval.revoke(context.store, digest)
    return Response(status_code=204)
