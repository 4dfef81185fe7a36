"""Builder projects and manifest versions of Airbyte's Config API.

Airbyte gives and takes manifests as values. A draft keeps its YAML, comments included, while its values are the given
ones. Airbyte knows one active version for all sources; here too, where its API makes a version active.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection, select, update

from kitestring import json_codec
from kitestring.declarative.python_components import FIELD
from kitestring.errors import ConfigError, ConnectorError
from kitestring.server.auth.access import ASKS, Editor, Reader, ServerContext
from kitestring.server.builder import builder_project, connector_manifest, draft_read, publication
from kitestring.server.builder.builder_project import Origin
from kitestring.server.connections import version_upgrade
from kitestring.server.connectors import connector_version
from kitestring.server.connectors import definitions as connector_definitions
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem, missing_resource
from kitestring.server.store.tables import definitions
from kitestring.server.workspaces import workspaces

router = APIRouter(prefix="/connector_builder_projects", tags=["config: builder projects"])
manifests = APIRouter(prefix="/declarative_source_definitions", tags=["config: manifests"])
VALUES_S = 20.0
READ_LIMIT_S = 120.0


class ProjectsInWorkspace(BaseModel):
    """The projects of a workspace."""

    workspaceId: UUID


class ConfigProjectRef(ProjectsInWorkspace):
    """A project; with `version` as it was published."""

    builderProjectId: UUID
    version: int | None = Field(None, ge=0, lt=2**31)


class ProjectDetails(BaseModel):
    """The name of a project, and its draft."""

    name: str = Field(min_length=1, max_length=200)
    draftManifest: dict[str, Any] | None = None
    componentsFileContent: str | None = Field(None, max_length=4_000_000)
    """The text of a `components.py`: the draft carries it. It runs once an instance admin has approved it."""

    def draft(self) -> dict[str, Any] | None:
        """The manifest with its components in it."""
        if self.draftManifest is None or self.componentsFileContent is None:
            return self.draftManifest
        metadata = {**(self.draftManifest.get("metadata") or {}), FIELD: self.componentsFileContent}
        return {**self.draftManifest, "metadata": metadata}


class ConfigProjectCreate(ProjectsInWorkspace):
    """A new project."""

    builderProject: ProjectDetails


class ConfigProjectUpdate(ConfigProjectRef):
    """A change of a project; without a draft, the draft stays."""

    builderProject: ProjectDetails


class ManifestInput(BaseModel):
    """A manifest with what is new in it. Its number is the next one, whatever `version` says."""

    manifest: dict[str, Any]
    description: str = Field("", max_length=10_000)
    version: int | None = None


class ConfigPublication(ConfigProjectRef):
    """A project to publish, with its manifest."""

    name: str = Field(min_length=1, max_length=200)
    initialDeclarativeManifest: ManifestInput


class ProjectOfDefinition(ProjectsInWorkspace):
    """A connector."""

    actorDefinitionId: UUID


class TestingValues(ConfigProjectRef):
    """The inputs of test reads."""

    testingValues: dict[str, Any]


class StreamRead(ProjectsInWorkspace):
    """A test read of a stream. Without a configuration, with the testing values of the project."""

    builderProjectId: UUID | None = None
    manifest: dict[str, Any] | None = None
    config: dict[str, Any] | None = None
    streamName: str
    state: list[Any] | dict[str, Any] | None = None
    recordLimit: int = Field(1000, ge=1, le=10_000)
    pageLimit: int = Field(5, ge=1, le=100)
    sliceLimit: int = Field(5, ge=1, le=100)


class ConnectorFork(ProjectsInWorkspace):
    """A connector to begin a project with a copy of."""

    baseActorDefinitionId: UUID


class FullResolution(ConfigProjectRef):
    """A manifest of a project, and how many streams of each dynamic stream are wanted."""

    manifest: dict[str, Any]
    streamLimit: int = Field(100, ge=1, le=1000)


class ManifestsOfSource(ProjectsInWorkspace):
    """A low-code connector."""

    sourceDefinitionId: UUID


class ManifestCreate(ManifestsOfSource):
    """A new version of a connector."""

    declarativeManifest: ManifestInput
    setAsActiveManifest: bool = True


class ActiveManifest(ManifestsOfSource):
    """The version that all sources are to run."""

    version: int = Field(ge=0, lt=2**31)


def own_project(db: Connection, body: ConfigProjectRef) -> Any:
    """The project of a request. 404 where it is of another workspace."""
    row = builder_project.get(db, str(body.builderProjectId))
    if row.workspace_id != str(body.workspaceId):
        raise missing_resource("builder project", body.builderProjectId)
    return row


def details_of(row: Any) -> dict[str, Any]:
    published = row.published_version is not None
    return {
        "builderProjectId": row.id,
        "name": row.name,
        "hasDraft": bool(row.changed),
        "updatedAt": row.updated_at_ms // 1000,
        **({"sourceDefinitionId": row.definition_id} if published else {}),
        **({"activeDeclarativeManifestVersion": row.published_version} if published else {}),
    }


def values_of_draft(context: Context, draft: str) -> dict[str, Any] | None:
    """The values of a draft, read in a child process; None where it is unfinished."""
    try:
        values: dict[str, Any] = context.runner.run("manifest_values", {"manifest": draft}, limit_s=VALUES_S)
    except (ConfigError, ConnectorError):
        return None
    return values


def text_of(context: Context, draft: str, values: Mapping[str, Any]) -> str:
    """The text of a manifest that was given as values: the draft itself where it has these."""
    return draft if values_of_draft(context, draft) == plain(values) else connector_version.yaml_of(values)


def plain(values: Mapping[str, Any]) -> Any:
    """Values as they are after a journey through JSON."""
    return json_codec.loads(json_codec.dumps(values))


@router.post("/list", operation_id="configListBuilderProjects")
def list_projects(caller: Reader, context: ServerContext, body: ProjectsInWorkspace) -> Any:
    with context.store.read() as db:
        return {"projects": [details_of(row) for row in builder_project.find_all(db, str(body.workspaceId))]}


@router.post("/get_with_manifest", operation_id="configGetBuilderProject")
def get_project(caller: Reader, context: ServerContext, body: ConfigProjectRef) -> Any:
    """A project with its draft, or where there is nothing unpublished, with the active version."""
    with context.store.read() as db:
        row = own_project(db, body)
        version = row.published_version if body.version is None and not row.changed else body.version
        published = None
        if version is not None and row.published_version is not None:
            published = connector_version.get(db, row.definition_id, version)
        elif version is not None:
            raise missing_resource("connector version", version)
    answer: dict[str, Any] = {"builderProject": details_of(row), "testingValues": builder_project.masked_config(row)}
    if published is not None:
        answer["declarativeManifest"] = {
            "isDraft": False,
            "manifest": connector_version.values_of(published.manifest),
            "version": published.version,
            "description": published.note,
        }
        return answer
    values = values_of_draft(context, row.draft)
    return {**answer, "declarativeManifest": {"isDraft": True, "manifest": values}} if values is not None else answer


@router.post("/get_for_definition_id", operation_id="configGetBuilderProjectOfDefinition")
def get_project_of_definition(caller: Reader, context: ServerContext, body: ProjectOfDefinition) -> Any:
    """The project of a connector. 404 for a connector that was not made in the builder."""
    with context.store.read() as db:
        row = builder_project.of_definition(db, str(body.actorDefinitionId))
    if row is None or row.workspace_id != str(body.workspaceId):
        raise missing_resource("builder project of the definition", body.actorDefinitionId)
    return {"builderProjectId": row.id, "workspaceId": row.workspace_id}


@router.post("/create", operation_id="configCreateBuilderProject")
def create_project(caller: Editor, context: ServerContext, body: ConfigProjectCreate) -> Any:
    details, draft = body.builderProject, body.builderProject.draft()
    with context.store.write() as db:
        workspaces.get(db, str(body.workspaceId))
        project_id = builder_project.create(
            context,
            db,
            workspace_id=str(body.workspaceId),
            name=details.name,
            draft=connector_version.yaml_of(draft) if draft is not None else "",
            origin=Origin("manifest" if details.draftManifest is not None else "empty"),
        )
    return {"workspaceId": str(body.workspaceId), "builderProjectId": project_id}


@router.post("/fork", operation_id="configForkConnector")
def fork_connector(caller: Editor, context: ServerContext, body: ConnectorFork) -> Any:
    """A new project with a copy of a low-code connector's manifest, comments included."""
    with context.store.write() as db:
        workspaces.get(db, str(body.workspaceId))
        copy = connector_manifest.of_connector(db, str(body.baseActorDefinitionId))
        project_id = builder_project.create(
            context,
            db,
            workspace_id=str(body.workspaceId),
            name=copy.name,
            draft=copy.text,
            icon=copy.icon,
            origin=Origin("connector", copy.name, copy.version),
        )
    return {"workspaceId": str(body.workspaceId), "builderProjectId": project_id}


@router.post("/full_resolve", operation_id="configResolveBuilderProject", dependencies=ASKS)
def full_resolve(caller: Editor, context: ServerContext, body: FullResolution) -> Any:
    """A manifest with its references resolved and its dynamic streams made, with the testing values of the project."""
    with context.store.read() as db:
        row = own_project(db, body)
    draft = draft_read.of_project(context, row, body.manifest)
    request = {**draft.request(context, trusted=caller.instance_admin), "most": body.streamLimit}
    return {
        "manifest": context.runner.run("manifest_full_resolve", request, limit_s=READ_LIMIT_S, updater=draft.updater)
    }


@router.post("/update", status_code=204, operation_id="configUpdateBuilderProject")
def update_project(caller: Editor, context: ServerContext, body: ConfigProjectUpdate) -> Response:
    """Change name and draft. Airbyte's clients name no revision: the last one wins."""
    write_draft(context, body, body.builderProject.name, body.builderProject.draft())
    return Response(status_code=204)


def write_draft(context: Context, body: ConfigProjectRef, name: str, manifest: Mapping[str, Any] | None) -> int:
    """Write name and draft; the revision that the project is at then."""
    with context.store.read() as db:
        row = own_project(db, body)
    draft = row.draft if manifest is None else text_of(context, row.draft, manifest)
    config = builder_project.opened_config(context, row)
    secrets = builder_project.secrets_in(context, draft, config) if draft != row.draft else frozenset()
    if (name, draft) == (row.name, row.draft):
        return int(row.revision)
    with context.store.write() as db:
        revision = builder_project.get(db, row.id).revision
        builder_project.change(context, db, row.id, revision, name=name, draft=draft, secrets=secrets)
    return int(revision) + 1


@router.post("/delete", status_code=204, operation_id="configDeleteBuilderProject")
def delete_project(caller: Editor, context: ServerContext, body: ConfigProjectRef) -> Response:
    with context.store.write() as db:
        builder_project.delete(context, db, own_project(db, body).id)
    return Response(status_code=204)


@router.post("/publish", operation_id="configPublishBuilderProject")
def publish_project(caller: Editor, context: ServerContext, body: ConfigPublication) -> Any:
    """Publish a project with a manifest. All sources of its connector run it at once."""
    initial = body.initialDeclarativeManifest
    revision = write_draft(context, body, body.name, initial.manifest)
    with context.store.read() as db:
        row = own_project(db, body)
        definition = publication.definition_of(db, row)
    if definition is not None and not row.changed and (definition.name, definition.icon) == (row.name, row.icon):
        return {"sourceDefinitionId": definition.id}
    definition_id, _ = publication.publish(
        context, row.id, revision, initial.description, "all", trusted=caller.instance_admin
    )
    return {"sourceDefinitionId": definition_id}


@router.post("/update_testing_values", operation_id="configUpdateTestingValues")
def update_testing_values(caller: Editor, context: ServerContext, body: TestingValues) -> Any:
    """Replace the inputs of test reads. The project's own spec says which are secret. Answers them masked."""
    with context.store.read() as db:
        row = own_project(db, body)
    config = builder_project.opened_config(context, row, body.testingValues)
    secrets = builder_project.secrets_in(context, row.draft, config)
    with context.store.write() as db:
        revision = builder_project.get(db, row.id).revision
        builder_project.change(context, db, row.id, revision, config=body.testingValues, secrets=secrets)
        return builder_project.masked_config(builder_project.get(db, row.id))


@router.post("/read_stream", operation_id="configReadBuilderStream", dependencies=ASKS)
def read_stream(caller: Editor, context: ServerContext, body: StreamRead) -> Any:
    """A test read of a stream: slices with their pages, requests and records, the log, a schema."""
    if body.builderProjectId is not None:
        with context.store.read() as db:
            ref = ConfigProjectRef(workspaceId=body.workspaceId, builderProjectId=body.builderProjectId)
            row = own_project(db, ref)
        draft = draft_read.of_project(context, row, body.manifest, body.config)
    elif body.manifest is None:
        raise Problem(400, "the request has neither builderProjectId nor manifest", hint="Give one of them.")
    else:
        draft = draft_read.of_values(context, str(body.workspaceId), body.manifest, body.config or {})
    most = {"most_slices": body.sliceLimit, "most_pages": body.pageLimit, "most_records": body.recordLimit}
    request = {"stream": body.streamName, "state": stream_state(body.streamName, body.state), "most": most}
    reading = context.runner.run(
        "manifest_read",
        {**draft.request(context, trusted=caller.instance_admin), **request},
        limit_s=READ_LIMIT_S,
        updater=draft.updater,
    )
    return reading_of(body.streamName, reading)


def stream_state(name: str, state: Any) -> dict[str, Any] | None:
    """The state of a stream in Airbyte's messages, or as it is."""
    if not isinstance(state, list):
        return dict(state) if state is not None else None
    for message in state:
        stream = message.get("stream") if isinstance(message, Mapping) else None
        descriptor = stream.get("stream_descriptor") if isinstance(stream, Mapping) else None
        if isinstance(descriptor, Mapping) and descriptor.get("name") == name:
            values = stream.get("stream_state") if isinstance(stream, Mapping) else None
            return values if isinstance(values, dict) else None
    return None


def reading_of(name: str, reading: Mapping[str, Any]) -> dict[str, Any]:
    """A test read in Airbyte's form."""
    logs = [{"level": entry["level"], "message": entry["message"]} for entry in reading["logs"]]
    if reading["error"]:
        message = " ".join(part for part in (reading["error"], reading["hint"]) if part)
        logs.append({"level": "ERROR", "message": message})
    return {
        "logs": logs,
        "slices": [
            {
                "pages": [
                    {"records": page["records"], **(exchange_of(page["exchange"]) if page["exchange"] else {})}
                    for page in part["pages"]
                ],
                "slice_descriptor": {**part["partition"], **part["bounds"]},
                "state": [
                    {
                        "type": "STREAM",
                        "stream": {"stream_descriptor": {"name": name}, "stream_state": part["state"]},
                    }
                ],
                "auxiliary_requests": [],
            }
            for part in reading["slices"]
        ],
        "test_read_limit_reached": bool(reading["limited"]),
        "auxiliary_requests": [
            {"title": "Other request", "description": "", "type": "OTHER", **exchange_of(exchange)}
            for exchange in reading["other"]
        ],
        "inferred_schema": reading["schema"],
        "inferred_datetime_formats": {},
        "latest_config_update": {},
    }


def exchange_of(exchange: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "request": {
            "url": exchange["url"],
            "http_method": exchange["method"],
            "headers": exchange["headers"],
            "body": text_of_body(exchange["body"]),
        },
        "response": {
            "status": exchange["status"],
            "headers": exchange["response_headers"],
            "body": text_of_body(exchange["response"]),
        },
    }


def text_of_body(body: Any) -> str:
    return "" if body is None else body if isinstance(body, str) else json_codec.dumps_text(body)


def own_definition(db: Connection, body: ManifestsOfSource) -> Any:
    """The low-code connector of a request. 404 if it does not belong to the workspace."""
    row = db.execute(
        select(definitions).where(
            definitions.c.id == str(body.sourceDefinitionId),
            definitions.c.workspace_id == str(body.workspaceId),
            definitions.c.deleted_at_ms.is_(None),
        )
    ).one_or_none()
    if row is None or row.manifest is None:
        raise missing_resource("custom source definition", body.sourceDefinitionId)
    return row


@manifests.post("/list_manifests", operation_id="configListManifests")
def list_manifests(caller: Reader, context: ServerContext, body: ManifestsOfSource) -> Any:
    with context.store.read() as db:
        row = own_definition(db, body)
        versions = connector_version.find_all(db, row.id)
    return {
        "manifestVersions": [
            {"version": version.version, "description": version.note, "isActive": version.version == row.version}
            for version in versions
        ]
    }


@manifests.post("/create_manifest", status_code=204, operation_id="configCreateManifest")
def create_manifest(caller: Editor, context: ServerContext, body: ManifestCreate) -> Response:
    """A new version. Where it is set active, all sources run it at once; connections of streams that it breaks are
    paused."""
    manifest = connector_definitions.check_manifest(body.declarativeManifest.manifest)
    note, text = body.declarativeManifest.description, connector_version.yaml_of(manifest)
    with context.store.read() as db:
        definition_id = own_definition(db, body).id
    if not body.setAsActiveManifest:
        with context.store.write() as db:
            connector_version.add(context, db, definition_id, text, note=note)
        return Response(status_code=204)
    replacement = version_upgrade.compare_with_sources(context, definition_id, text)
    with context.store.write() as db:
        row = own_definition(db, body)

        def run() -> int:
            return connector_version.replace_current(context, db, row.id, manifest, note=note)

        version_upgrade.replace(context, db, row, replacement, run, caller.instance_admin)
    return Response(status_code=204)


@manifests.post("/update_active_manifest", status_code=204, operation_id="configUpdateActiveManifest")
def update_active_manifest(caller: Editor, context: ServerContext, body: ActiveManifest) -> Response:
    """Have all sources of a connector run a version, newer or older; connections of streams that it breaks are
    paused."""
    with context.store.read() as db:
        definition_id = own_definition(db, body).id
        version = connector_version.get(db, definition_id, body.version)
    replacement = version_upgrade.compare_with_sources(context, definition_id, version.manifest)
    with context.store.write() as db:
        row = own_definition(db, body)

        def run() -> int:
            values = {"manifest": connector_version.values_of(version.manifest), "version": version.version}
            db.execute(update(definitions).where(definitions.c.id == row.id).values(**values))
            connector_version.run_version(db, row.id, version.version)
            return int(version.version)

        version_upgrade.replace(context, db, row, replacement, run, caller.instance_admin)
    return Response(status_code=204)
