"""airbyte-api 1.x, unchanged: every operation that has a meaning here. Prints one JSON object at the end."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from airbyte_api import AirbyteAPI, api, models

URL, FOLDER = sys.argv[1:3]
CLIENT = dict(zip(("client_id", "client_secret"), sys.argv[3:5], strict=False))
done: list[str] = []


def ok(name: str, answer: object, status: int = 200) -> object:
    assert answer.status_code == status, (name, answer.status_code, answer.raw_response.text)
    done.append(name)
    return answer


security = (
    models.Security(client_credentials=models.SchemeClientCredentials(**CLIENT, token_url=f"{URL}/applications/token"))
    if CLIENT
    else None
)
# Its own limit is 5 s for each read, too little on a busy machine.
client = AirbyteAPI(server_url=URL, security=security, timeout_ms=600_000)
ok("get_health_check", client.health.get_health_check())
first = ok("list_workspaces", client.workspaces.list_workspaces(request=api.ListWorkspacesRequest()))
workspace = first.workspaces_response.data[0].workspace_id
new_workspace = ok(
    "create_workspace",
    client.workspaces.create_workspace(request=models.WorkspaceCreateRequest(name="made by the SDK")),
).workspace_response
ok(
    "get_workspace",
    client.workspaces.get_workspace(request=api.GetWorkspaceRequest(workspace_id=new_workspace.workspace_id)),
)
renamed = ok(
    "update_workspace",
    client.workspaces.update_workspace(
        request=api.UpdateWorkspaceRequest(
            workspace_id=new_workspace.workspace_id,
            workspace_update_request=models.WorkspaceUpdateRequest(name="renamed"),
        )
    ),
)
assert renamed.workspace_response.name == "renamed"
ok(
    "delete_workspace",
    client.workspaces.delete_workspace(request=api.DeleteWorkspaceRequest(workspace_id=new_workspace.workspace_id)),
    204,
)

# A type that the SDK knows: its own class comes back, with the secret masked. (Version 1.0.1 reads no source whose
# configuration has `credentials`, whatever server sends it: another class of its union raises for them.)
postgres = ok(
    "create_source",
    client.sources.create_source(
        request=models.SourceCreateRequest(
            name="shop",
            workspace_id=workspace,
            configuration=models.SourcePostgres(host="127.0.0.1", database="shop", username="me", password="a secret"),
        )
    ),
).source_response
assert isinstance(postgres.configuration, models.SourcePostgres), type(postgres.configuration)
assert postgres.configuration.password not in ("a secret", None)
ok("delete_source", client.sources.delete_source(request=api.DeleteSourceRequest(source_id=postgres.source_id)), 204)

definitions = ok(
    "list_source_definitions",
    client.source_definitions.list_source_definitions(request=api.ListSourceDefinitionsRequest(workspace_id=workspace)),
).definitions_response.data
sample = next(definition for definition in definitions if definition.docker_repository == "kitestring/source-sample")
ok(
    "get_source_definition",
    client.source_definitions.get_source_definition(
        request=api.GetSourceDefinitionRequest(workspace_id=workspace, definition_id=sample.id)
    ),
)
source = ok(
    "create_source",
    client.sources.create_source(
        request=models.SourceCreateRequest(
            name="people", workspace_id=workspace, definition_id=sample.id, configuration={"count": 50}
        )
    ),
).source_response
ok("get_source", client.sources.get_source(request=api.GetSourceRequest(source_id=source.source_id)))
ok(
    "patch_source",
    client.sources.patch_source(
        request=api.PatchSourceRequest(
            source_id=source.source_id,
            source_patch_request=models.SourcePatchRequest(name="renamed", configuration={"count": 60}),
        )
    ),
)
ok(
    "put_source",
    client.sources.put_source(
        request=api.PutSourceRequest(
            source_id=source.source_id,
            source_put_request=models.SourcePutRequest(name="people", configuration={"count": 40}),
        )
    ),
)
listed = ok("list_sources", client.sources.list_sources(request=api.ListSourcesRequest(workspace_ids=[workspace])))
assert [item.name for item in listed.sources_response.data] == ["people"]

destination = ok(
    "create_destination",
    client.destinations.create_destination(
        request=models.DestinationCreateRequest(
            name="vectors",
            workspace_id=workspace,
            configuration=models.DestinationMilvus(
                embedding=models.DestinationMilvusFake(),
                indexing=models.DestinationMilvusIndexing(
                    host=f"{FOLDER}/vectors.db",
                    collection="people",
                    auth=models.DestinationMilvusNoAuth(),
                ),
                processing=models.DestinationMilvusProcessingConfigModel(
                    chunk_size=200, text_fields=["name"], metadata_fields=["id"]
                ),
            ),
        )
    ),
).destination_response
assert isinstance(destination.configuration, models.DestinationMilvus)
ok(
    "get_destination",
    client.destinations.get_destination(request=api.GetDestinationRequest(destination_id=destination.destination_id)),
)
ok(
    "patch_destination",
    client.destinations.patch_destination(
        request=api.PatchDestinationRequest(
            destination_id=destination.destination_id,
            destination_patch_request=models.DestinationPatchRequest(name="vectors, renamed"),
        )
    ),
)
ok(
    "put_destination",
    client.destinations.put_destination(
        request=api.PutDestinationRequest(
            destination_id=destination.destination_id,
            destination_put_request=models.DestinationPutRequest(
                name="vectors", configuration=destination.configuration
            ),
        )
    ),
)
ok("list_destinations", client.destinations.list_destinations(request=api.ListDestinationsRequest()))
destination_definitions = ok(
    "list_destination_definitions",
    client.destination_definitions.list_destination_definitions(
        request=api.ListDestinationDefinitionsRequest(workspace_id=workspace)
    ),
)
properties = ok(
    "get_stream_properties",
    client.streams.get_stream_properties(
        request=api.GetStreamPropertiesRequest(source_id=source.source_id, destination_id=destination.destination_id)
    ),
).stream_properties_response
assert "users" in {single_property.stream_name for single_property in properties}

tag = ok(
    "create_tag",
    client.tags.create_tag(request=models.TagCreateRequest(name="nightly", color="FF8000", workspace_id=workspace)),
).tag_response
ok("get_tag", client.tags.get_tag(request=api.GetTagRequest(tag_id=tag.tag_id)))
ok(
    "update_tag",
    client.tags.update_tag(
        request=api.UpdateTagRequest(
            tag_id=tag.tag_id, tag_patch_request=models.TagPatchRequest(name="hourly", color="0080FF")
        )
    ),
)
ok("list_tags", client.tags.list_tags(request=api.ListTagsRequest(workspace_ids=[workspace])))

connection = ok(
    "create_connection",
    client.connections.create_connection(
        request=models.ConnectionCreateRequest(
            name="people to vectors",
            source_id=source.source_id,
            destination_id=destination.destination_id,
            configurations=models.StreamConfigurations(
                streams=[
                    models.StreamConfiguration(
                        name="users",
                        sync_mode=models.ConnectionSyncModeEnum.INCREMENTAL_DEDUPED_HISTORY,
                        destination_object_name="people",
                    )
                ]
            ),
            schedule=models.AirbyteAPIConnectionSchedule(
                schedule_type=models.ScheduleTypeEnum.CRON, cron_expression="0 0 12 * * ?"
            ),
        )
    ),
).connection_response
assert connection.schedule.cron_expression == "0 0 12 * * ? UTC", connection.schedule
(stream,) = connection.configurations.streams
assert stream.destination_object_name == "people", stream
ok(
    "get_connection",
    client.connections.get_connection(request=api.GetConnectionRequest(connection_id=connection.connection_id)),
)
patched = ok(
    "patch_connection",
    client.connections.patch_connection(
        request=api.PatchConnectionRequest(
            connection_id=connection.connection_id,
            connection_patch_request=models.ConnectionPatchRequest(
                prefix="my_",
                tags=[models.Tag(tag_id=tag.tag_id, workspace_id=workspace, name="hourly", color="0080FF")],
            ),
        )
    ),
).connection_response
assert (patched.prefix, patched.tags[0].name) == ("my_", "hourly")
ok(
    "list_connections",
    client.connections.list_connections(request=api.ListConnectionsRequest(tag_ids=[tag.tag_id])),
)


def run(kind: models.JobTypeEnum) -> models.JobResponse:
    job = ok(
        "create_job",
        client.jobs.create_job(request=models.JobCreateRequest(connection_id=connection.connection_id, job_type=kind)),
    ).job_response
    for _ in range(600):
        job = client.jobs.get_job(request=api.GetJobRequest(job_id=job.job_id)).job_response
        if job.status not in ("pending", "running", "incomplete", "queued"):
            return job
        time.sleep(0.2)
    raise SystemExit(f"job {job.job_id} has not ended: {job.status}")


synced = run(models.JobTypeEnum.SYNC)
done.append("get_job")
assert (synced.status, synced.rows_synced) == ("succeeded", 40), synced
second = run(models.JobTypeEnum.SYNC)
assert second.status == "succeeded", second
jobs = ok(
    "list_jobs",
    client.jobs.list_jobs(
        request=api.ListJobsRequest(connection_id=connection.connection_id, order_by="createdAt|DESC")
    ),
).jobs_response.data
assert [job.job_id for job in jobs] == [second.job_id, synced.job_id]
try:
    client.jobs.cancel_job(request=api.CancelJobRequest(job_id=second.job_id))
except Exception as refused:
    if getattr(refused, "status_code", 0) != 409:
        raise
    done.append("cancel_job")
else:
    raise SystemExit("a job that has ended was cancelled")

manifest = json.loads(Path(FOLDER, "manifest.json").read_text())
low_code = ok(
    "create_declarative_source_definition",
    client.declarative_source_definitions.create_declarative_source_definition(
        request=api.CreateDeclarativeSourceDefinitionRequest(
            workspace_id=workspace,
            create_declarative_source_definition_request=models.CreateDeclarativeSourceDefinitionRequest(
                name="countries", manifest=manifest
            ),
        )
    ),
).declarative_source_definition_response
ok(
    "get_declarative_source_definition",
    client.declarative_source_definitions.get_declarative_source_definition(
        request=api.GetDeclarativeSourceDefinitionRequest(workspace_id=workspace, definition_id=low_code.id)
    ),
)
raised = ok(
    "update_declarative_source_definition",
    client.declarative_source_definitions.update_declarative_source_definition(
        request=api.UpdateDeclarativeSourceDefinitionRequest(
            workspace_id=workspace,
            definition_id=low_code.id,
            update_declarative_source_definition_request=models.UpdateDeclarativeSourceDefinitionRequest(
                manifest=manifest
            ),
        )
    ),
).declarative_source_definition_response
assert raised.version == low_code.version + 1
ok(
    "list_declarative_source_definitions",
    client.declarative_source_definitions.list_declarative_source_definitions(
        request=api.ListDeclarativeSourceDefinitionsRequest(workspace_id=workspace)
    ),
)
ok(
    "delete_declarative_source_definition",
    client.declarative_source_definitions.delete_declarative_source_definition(
        request=api.DeleteDeclarativeSourceDefinitionRequest(workspace_id=workspace, definition_id=low_code.id)
    ),
)
custom = ok(
    "create_destination_definition",
    client.destination_definitions.create_destination_definition(
        request=api.CreateDestinationDefinitionRequest(
            workspace_id=workspace,
            create_definition_request=models.CreateDefinitionRequest(
                name="mine", docker_repository="me/destination-mine", docker_image_tag="1.0.0"
            ),
        )
    ),
).definition_response
ok(
    "update_destination_definition",
    client.destination_definitions.update_destination_definition(
        request=api.UpdateDestinationDefinitionRequest(
            workspace_id=workspace,
            definition_id=custom.id,
            update_definition_request=models.UpdateDefinitionRequest(name="mine", docker_image_tag="1.0.1"),
        )
    ),
)
ok(
    "delete_destination_definition",
    client.destination_definitions.delete_destination_definition(
        request=api.DeleteDestinationDefinitionRequest(workspace_id=workspace, definition_id=custom.id)
    ),
)
organizations = ok("list_organizations_for_user", client.organizations.list_organizations_for_user())
organization = organizations.organizations_response.data[0].organization_id
ok(
    "list_users_within_an_organization",
    client.users.list_users_within_an_organization(
        request=api.ListUsersWithinAnOrganizationRequest(organization_id=organization)
    ),
)
ok("list_permissions", client.permissions.list_permissions(request=api.ListPermissionsRequest()))
ok(
    "delete_connection",
    client.connections.delete_connection(request=api.DeleteConnectionRequest(connection_id=connection.connection_id)),
    204,
)
ok("delete_tag", client.tags.delete_tag(request=api.DeleteTagRequest(tag_id=tag.tag_id)), 204)
ok(
    "delete_destination",
    client.destinations.delete_destination(
        request=api.DeleteDestinationRequest(destination_id=destination.destination_id)
    ),
    204,
)
print(json.dumps({"operations": sorted(set(done)), "rows": synced.rows_synced}))
