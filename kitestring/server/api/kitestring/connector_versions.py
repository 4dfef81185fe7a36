"""Versions of connectors that the builder publishes, and the sources that run them."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import Field
from sqlalchemy import Connection, select

from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.builder_responses import ManifestDefect
from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.auth.access import ASKS, Editor, Reader, ServerContext
from kitestring.server.builder import builder_project, publication
from kitestring.server.connections import version_upgrade
from kitestring.server.connectors import connector_version, definitions
from kitestring.server.http.problem import missing_resource
from kitestring.server.store.tables import connections

router = APIRouter(tags=["connector versions"])
PROJECT = "/builder/projects/{projectId}"
SOURCE = "/sources/{sourceId}/connector-version"
Version = Annotated[int, Path(ge=1, lt=2**31)]


class PublicationRequest(Body):
    """A project, at the revision that was looked at."""

    revision: int


class Publication(PublicationRequest):
    """A publication, and the sources to upgrade."""

    note: str = Field("", max_length=10_000, description="What is new, for those who use the connector.")
    upgrade: Literal["none", "all"] | Annotated[list[UUID], Field(max_length=10_000)] = "none"


class VersionChoice(Body):
    """The version that a source is to run."""

    version: int = Field(ge=1, lt=2**31)


class VersionChangeRead(ResponseModel):
    """A change between two versions. `stream` is null for one of the whole connector. `before` and `after` are cut
    where they are long."""

    stream: str | None
    kind: Literal[
        "stream",
        "dynamic_stream",
        "primary_key",
        "sync_mode",
        "cursor",
        "state_format",
        "partitions",
        "schema",
        "schema_field",
        "input",
        "request",
        "authentication",
        "pagination",
        "records",
        "errors",
        "transformations",
        "check",
        "limits",
        "other",
    ]
    field: str
    before: Any
    after: Any
    breaking: bool
    sentence: str


class PublicationSource(ResponseModel):
    """A source of the connector, the version that it runs, and the count of its connections. `breaking`: an upgrade
    pauses them; `problem` says why its configuration would not do any more, empty where it does."""

    sourceId: UUID
    name: str
    version: int
    connections: int
    breaking: bool
    problem: str


class PublicationPlan(ResponseModel):
    """The effect of a publication. `version` is the number that it would get, the changes are since the last one."""

    version: int
    changes: list[VersionChangeRead]
    breaking: bool
    defects: list[ManifestDefect]
    sources: list[PublicationSource]


class Published(ResponseModel):
    """The connector, and its version."""

    definitionId: UUID
    version: int


class PublishedVersionSummary(ResponseModel):
    """A version. `current`: new sources get it; `sources` run it."""

    version: int
    note: str
    breaking: bool
    createdBy: str
    createdAtMs: int
    current: bool
    sources: int


class PublishedVersions(ResponseModel):
    """The versions of a connector, the newest first; none until it is published."""

    data: list[PublishedVersionSummary]


class PublishedVersion(PublishedVersionSummary):
    """A version with its manifest as YAML text, as it was published."""

    manifest: str


class SourceVersions(PublishedVersions):
    """The version that a source runs, and those that there are. `projectId`: where the connector is edited."""

    version: int
    projectId: UUID | None


class ConnectionEffect(ResponseModel):
    """A connection of the source, and the sentences why it is paused; none where it goes on."""

    connectionId: UUID
    name: str
    status: str
    reasons: list[str]


class SourceVersionPlan(ResponseModel):
    """The effect of another version on a source. `problem` says why the configuration would not fit any more."""

    version: int
    changes: list[VersionChangeRead]
    breaking: bool
    problem: str
    connections: list[ConnectionEffect]


class SourceVersionChange(ResponseModel):
    """The version that a source runs now, and the connections that were paused."""

    sourceId: UUID
    version: int
    paused: list[UUID]


@router.post(
    f"{PROJECT}/publish/plan",
    operation_id="planPublication",
    dependencies=ASKS,
    responses=responses_for(PublicationPlan),
)
def plan_publication(caller: Editor, context: ServerContext, projectId: UUID, body: PublicationRequest) -> Any:
    """Show the effect of publishing a project: changes, which of them break, and who is affected. Changes nothing."""
    planned = publication.plan(context, str(projectId), body.revision)
    return {
        "version": planned.next_version,
        "changes": planned.changes,
        "breaking": any(change["breaking"] for change in planned.changes),
        "defects": planned.comparison.defects,
        "sources": [
            {
                "sourceId": source.id,
                "name": source.name,
                "version": source.runs,
                "connections": source.links,
                "breaking": bool(problem) or planned.comparison.breaks(source.runs),
                "problem": problem,
            }
            for source in planned.sources
            for problem in [planned.problem(context, source)]
        ],
    }


@router.post(f"{PROJECT}/publish", operation_id="publishBuilderProject", responses=responses_for(Published))
def publish_project(caller: Editor, context: ServerContext, projectId: UUID, body: Publication) -> Any:
    """Publish a project: a connector of the workspace, or a new version of it. Sources keep the version that they run
    unless they are upgraded; a change that breaks pauses the connections of those."""
    upgrade = body.upgrade if isinstance(body.upgrade, str) else [str(source_id) for source_id in body.upgrade]
    definition_id, version = publication.publish(
        context, str(projectId), body.revision, body.note, upgrade, trusted=caller.instance_admin
    )
    return {"definitionId": definition_id, "version": version}


def summary_of(row: Any, current: int, counts: dict[int, int]) -> dict[str, Any]:
    return {
        "version": row.version,
        "note": row.note,
        "breaking": row.breaking,
        "createdBy": row.created_by,
        "createdAtMs": row.created_at_ms,
        "current": row.version == current,
        "sources": counts.get(row.version, 0),
    }


def summaries_of(db: Connection, definition_id: str, current: int) -> list[dict[str, Any]]:
    counts = connector_version.source_counts(db, definition_id, current)
    return [summary_of(row, current, counts) for row in connector_version.find_all(db, definition_id)]


@router.get(f"{PROJECT}/versions", operation_id="listConnectorVersions", responses=responses_for(PublishedVersions))
def list_versions(caller: Reader, context: ServerContext, projectId: UUID) -> Any:
    """The published versions of a project, the newest first."""
    with context.store.read() as db:
        definition = publication.definition_of(db, builder_project.get(db, str(projectId)))
        return {"data": summaries_of(db, definition.id, definition.version) if definition is not None else []}


@router.get(
    f"{PROJECT}/versions/{{version}}", operation_id="getConnectorVersion", responses=responses_for(PublishedVersion)
)
def get_version(caller: Reader, context: ServerContext, projectId: UUID, version: Version) -> Any:
    """A published version with its manifest."""
    with context.store.read() as db:
        definition = publication.definition_of(db, builder_project.get(db, str(projectId)))
        if definition is None:
            raise missing_resource("connector version", version)
        row = connector_version.get(db, definition.id, version)
        counts = connector_version.source_counts(db, definition.id, definition.version)
        return {**summary_of(row, definition.version, counts), "manifest": row.manifest}


@router.get(SOURCE, operation_id="getSourceVersion", responses=responses_for(SourceVersions))
def get_source_version(caller: Reader, context: ServerContext, sourceId: UUID) -> Any:
    """The version of its connector that a source runs, and those that there are. 422 for a source whose connector has
    no versions."""
    with context.store.read() as db:
        source = version_upgrade.of_source(db, str(sourceId))
        project = builder_project.of_definition(db, source.definition_id)
        current = int(definitions.get(db, "source", source.definition_id).version)
        return {
            "version": source.runs,
            "projectId": project.id if project is not None else None,
            "data": summaries_of(db, source.definition_id, current),
        }


@router.post(
    f"{SOURCE}/plan", operation_id="planSourceVersion", dependencies=ASKS, responses=responses_for(SourceVersionPlan)
)
def plan_source_version(caller: Editor, context: ServerContext, sourceId: UUID, body: VersionChoice) -> Any:
    """Show the effect of another version of its connector, newer or older, on a source. Changes nothing."""
    source, comparison, effects, problem = version_upgrade.plan(context, str(sourceId), body.version)
    with context.store.read() as db:
        rows = {row.id: row for row in db.execute(select(connections).where(connections.c.id.in_(effects)))}
    return {
        "version": source.runs,
        "changes": comparison.changes(source.runs),
        "breaking": bool(problem) or comparison.breaks(source.runs),
        "problem": problem,
        "connections": [
            {
                "connectionId": connection_id,
                "name": rows[connection_id].name,
                "status": rows[connection_id].status,
                "reasons": reasons,
            }
            for connection_id, reasons in effects.items()
        ],
    }


@router.post(SOURCE, operation_id="changeSourceVersion", responses=responses_for(SourceVersionChange))
def change_source_version(caller: Editor, context: ServerContext, sourceId: UUID, body: VersionChoice) -> Any:
    """Have a source run another version of its connector, newer or older. A change that breaks pauses connections."""
    paused = version_upgrade.change(context, str(sourceId), body.version, trusted=caller.instance_admin)
    return {"sourceId": sourceId, "version": body.version, "paused": paused}
