"""Calls for builders of low-code sources: resolve, validate, test read, infer a schema.

A manifest is resolved and read in a child process, within limits.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.responses import (
    InferredSchema,
    ManifestDefects,
    ManifestReading,
    ResolvedManifest,
)
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import Editor, ServerContext
from kitestring.server.jobs.config_updates import DraftConfigUpdater
from kitestring.server.jobs.connection_plan import Endpoint

router = APIRouter(prefix="/builder", tags=["builder"])


class ManifestText(Body):
    """A manifest, as YAML text or as values."""

    workspaceId: UUID
    manifest: str | dict[str, Any]


class ManifestValidation(ManifestText):
    """A manifest, and the configuration for its templates."""

    configuration: dict[str, Any] | None = None


class ManifestRead(ManifestText):
    """A test read: the stream, and limits."""

    configuration: dict[str, Any] = Field(default_factory=dict)
    stream: str
    state: dict[str, Any] | None = None
    slices: int = Field(5, ge=1, le=100)
    pages: int = Field(5, ge=1, le=100)
    records: int = Field(1000, ge=1, le=10_000)


class RecordsToInfer(Body):
    """Records to infer a schema from."""

    workspaceId: UUID
    records: list[dict[str, Any]] = Field(max_length=10_000)


@router.post("/resolve", operation_id="resolveManifest", responses=responses_for(ResolvedManifest))
def resolve_manifest(caller: Editor, context: ServerContext, body: ManifestText) -> Any:
    """Resolve a manifest: replace its references and hand parameters down."""
    return context.runner.run("manifest_resolve", {"manifest": body.manifest}, limit_s=30.0)


@router.post("/validate", operation_id="validateManifest", responses=responses_for(ManifestDefects))
def validate_manifest(caller: Editor, context: ServerContext, body: ManifestValidation) -> Any:
    """Validate a manifest. Each defect has line, column, path, message and hint; without defects the manifest can
    run."""
    request = {"manifest": body.manifest, "config": body.configuration}
    return {"defects": context.runner.run("manifest_validate", request, limit_s=30.0)}


@router.post("/read", operation_id="readManifest", responses=responses_for(ManifestReading))
def read_manifest(caller: Editor, context: ServerContext, body: ManifestRead) -> Any:
    """Read the first pages of a stream: requests, responses, records, the state, a schema, the log."""
    request = {
        "manifest": body.manifest,
        "config": body.configuration,
        "workspace_id": str(body.workspaceId),
        "trusted": caller.instance_admin,
        "stream": body.stream,
        "state": body.state,
        "most": {"most_slices": body.slices, "most_pages": body.pages, "most_records": body.records},
    }
    draft = Endpoint("", body.configuration, workspace_id=str(body.workspaceId))
    return context.runner.run(
        "manifest_read", request, limit_s=120.0, updater=DraftConfigUpdater(context, "source", draft, {})
    )


@router.post("/infer", operation_id="inferSchema", responses=responses_for(InferredSchema))
def infer_schema_of(caller: Editor, context: ServerContext, body: RecordsToInfer) -> Any:
    """Infer a JSON Schema that fits all records."""
    from kitestring.declarative.builder.inference import infer_schema

    return {"schema": infer_schema(body.records)}
