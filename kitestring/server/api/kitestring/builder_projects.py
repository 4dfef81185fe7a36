"""Projects of the connector builder: drafts of low-code sources, and their test configurations."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, Field

from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.auth.access import Editor, Reader, ServerContext
from kitestring.server.builder import builder_project, connector_manifest
from kitestring.server.builder.builder_project import Origin
from kitestring.server.context import Context
from kitestring.server.workspaces import workspaces

router = APIRouter(prefix="/builder/projects", tags=["builder projects"])

OriginKind = Literal["empty", "url", "curl", "openapi", "har", "manifest", "connector"]
MOST_ICON = 32 * 1024
MOST_MANIFEST = 4_000_000
"""Characters."""


def svg(text: str) -> str:
    """An icon as the web interface shows it: the text of an SVG, or none."""
    if text and not re.match(r"\s*(<\?xml[^>]*>\s*)?<svg[\s>]", text):
        raise ValueError("an icon is the text of an SVG file")
    return text


ProjectName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
Icon = Annotated[str, Field(max_length=MOST_ICON), AfterValidator(svg)]
ManifestYaml = Annotated[str, Field(max_length=MOST_MANIFEST, description="YAML; it may be unfinished.")]
TestConfiguration = Annotated[
    dict[str, Any], Field(description="The inputs of test reads. Secrets are sealed; a mask keeps the stored secret.")
]


class ProjectOrigin(Body):
    """The origin of a new project, with its name and version."""

    kind: OriginKind = "empty"
    name: str = Field("", max_length=2000)
    version: str = Field("", max_length=200)

    def of(self) -> Origin:
        return Origin(self.kind, self.name, self.version)


class ProjectCreate(Body):
    """A new project."""

    workspaceId: UUID
    name: ProjectName
    manifest: ManifestYaml
    icon: Icon = ""
    origin: ProjectOrigin = Field(default_factory=ProjectOrigin)
    testConfiguration: TestConfiguration = Field(default_factory=dict)


class ProjectFromConnector(Body):
    """A new project with a copy of a low-code connector's manifest."""

    workspaceId: UUID
    definitionId: UUID
    name: ProjectName | None = None


class ProjectUpdate(Body):
    """A change, and the revision that it was made on."""

    revision: int
    name: ProjectName | None = None
    icon: Icon | None = None
    manifest: ManifestYaml | None = None
    testConfiguration: TestConfiguration | None = None


class OriginRead(ResponseModel):
    """The origin of a project."""

    kind: OriginKind
    name: str
    version: str


class BuilderProjectSummary(ResponseModel):
    """A project. `definitionId` and `publishedVersion` are null until it is published."""

    projectId: UUID
    workspaceId: UUID
    name: str
    icon: str
    revision: int
    createdAtMs: int
    updatedAtMs: int
    createdBy: str
    updatedBy: str
    origin: OriginRead
    definitionId: UUID | None
    publishedVersion: int | None
    changedSincePublished: bool


class BuilderProjects(ResponseModel):
    """The projects of a workspace, the one that was changed last first."""

    data: list[BuilderProjectSummary]


class BuilderProject(BuilderProjectSummary):
    """A project with its manifest as YAML text, exactly as it was written. Secrets of the configuration are masked."""

    manifest: str
    testConfiguration: dict[str, Any]


PROJECT = responses_for(BuilderProject)


def summary_of(row: Any) -> dict[str, Any]:
    return {
        "projectId": row.id,
        "workspaceId": row.workspace_id,
        "name": row.name,
        "icon": row.icon,
        "revision": row.revision,
        "createdAtMs": row.created_at_ms,
        "updatedAtMs": row.updated_at_ms,
        "createdBy": row.created_by,
        "updatedBy": row.updated_by,
        "origin": row.origin,
        "definitionId": row.definition_id if row.published_version is not None else None,
        "publishedVersion": row.published_version,
        "changedSincePublished": bool(row.changed),
    }


def read_project(context: Context, project_id: str) -> dict[str, Any]:
    with context.store.read() as db:
        row = builder_project.get(db, project_id)
    return {**summary_of(row), "manifest": row.draft, "testConfiguration": builder_project.masked_config(row)}


@router.get("", operation_id="listBuilderProjects", responses=responses_for(BuilderProjects))
def list_projects(caller: Reader, context: ServerContext, workspaceId: Annotated[UUID, Query()]) -> Any:
    """The projects of a workspace, the one that was changed last first."""
    with context.store.read() as db:
        return {"data": [summary_of(row) for row in builder_project.find_all(db, str(workspaceId))]}


@router.post("", operation_id="createBuilderProject", responses=PROJECT)
def create_project(caller: Editor, context: ServerContext, body: ProjectCreate) -> Any:
    """Create a project. The manifest may be unfinished; nothing of it runs."""
    secrets = builder_project.secrets_in(context, body.manifest, body.testConfiguration)
    with context.store.write() as db:
        workspaces.get(db, str(body.workspaceId))
        project_id = builder_project.create(
            context,
            db,
            workspace_id=str(body.workspaceId),
            name=body.name,
            draft=body.manifest,
            icon=body.icon,
            origin=body.origin.of(),
            config=body.testConfiguration,
            secrets=secrets,
        )
    return read_project(context, project_id)


@router.post("/from-connector", operation_id="createBuilderProjectFromConnector", responses=PROJECT)
def create_from_connector(caller: Editor, context: ServerContext, body: ProjectFromConnector) -> Any:
    """Create a project with a copy of a low-code connector's manifest, comments included. 422 for a connector that is
    written in Python or is not installed."""
    with context.store.write() as db:
        workspaces.get(db, str(body.workspaceId))
        copy = connector_manifest.of_connector(db, str(body.definitionId))
        project_id = builder_project.create(
            context,
            db,
            workspace_id=str(body.workspaceId),
            name=body.name or copy.name,
            draft=copy.text,
            icon=copy.icon,
            origin=Origin("connector", copy.name, copy.version),
        )
    return read_project(context, project_id)


@router.get("/{projectId}", operation_id="getBuilderProject", responses=PROJECT)
def get_project(caller: Reader, context: ServerContext, projectId: UUID) -> Any:
    """A project with its manifest."""
    return read_project(context, str(projectId))


@router.patch("/{projectId}", operation_id="updateBuilderProject", responses=PROJECT)
def update_project(caller: Editor, context: ServerContext, projectId: UUID, body: ProjectUpdate) -> Any:
    """Change a project. 409 where it is no longer at the revision that the change was made on."""
    with context.store.read() as db:
        row = builder_project.get(db, str(projectId))
    config = builder_project.opened_config(context, row, body.testConfiguration)
    draft = row.draft if body.manifest is None else body.manifest
    secrets: builder_project.Secrets = frozenset()
    if body.testConfiguration is not None or draft != row.draft:
        secrets = builder_project.secrets_in(context, draft, config)
    with context.store.write() as db:
        builder_project.change(
            context,
            db,
            str(projectId),
            body.revision,
            name=body.name,
            icon=body.icon,
            draft=body.manifest,
            config=body.testConfiguration,
            secrets=secrets,
        )
    return read_project(context, str(projectId))


@router.delete("/{projectId}", status_code=204, operation_id="deleteBuilderProject")
def delete_project(caller: Editor, context: ServerContext, projectId: UUID) -> Response:
    """Delete a project. A connector that was published from it stays."""
    with context.store.write() as db:
        builder_project.delete(context, db, str(projectId))
    return Response(status_code=204)


class YamlResponse(Response):
    """A YAML text."""

    media_type = "text/yaml"


@router.get("/{projectId}/manifest", operation_id="getBuilderProjectManifest", response_class=YamlResponse)
def get_project_manifest(caller: Reader, context: ServerContext, projectId: UUID) -> YamlResponse:
    """The manifest as YAML, byte for byte as it was written."""
    with context.store.read() as db:
        row = builder_project.get(db, str(projectId))
    return yaml_file(row.name, row.draft)


def yaml_file(name: str, text: str) -> YamlResponse:
    """A text as a file that a browser saves under a name."""
    bare = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "manifest"
    headers = {"Content-Disposition": f"inline; filename*=UTF-8''{quote(bare)}.yaml"}
    return YamlResponse(text, headers=headers)
