"""airbyte-api 0.x, unchanged: what it takes to move data, and what that version decodes of it."""

from __future__ import annotations

import json
import sys
import time

import airbyte_api
from airbyte_api import api, models

URL, FOLDER, CLIENT_ID, CLIENT_SECRET = sys.argv[1:5]
client = airbyte_api.AirbyteAPI(
    server_url=URL,
    security=models.Security(
        client_credentials=models.SchemeClientCredentials(
            client_id=CLIENT_ID, client_secret=CLIENT_SECRET, token_url=f"{URL}/applications/token"
        )
    ),
)
workspaces = client.workspaces.list_workspaces(api.ListWorkspacesRequest()).workspaces_response.data
workspace = workspaces[0].workspace_id
definitions = client.source_definitions.list_source_definitions(
    api.ListSourceDefinitionsRequest(workspace_id=workspace)
).definitions_response.data
sample = next(definition for definition in definitions if definition.docker_repository == "kitestring/source-sample")
source = client.sources.create_source(
    models.SourceCreateRequest(
        name="people", workspace_id=workspace, definition_id=sample.id, configuration={"count": 20}
    )
).source_response
destination = client.destinations.create_destination(
    models.DestinationCreateRequest(
        name="vectors",
        workspace_id=workspace,
        configuration=models.DestinationMilvus(
            embedding=models.DestinationMilvusFake(),
            indexing=models.DestinationMilvusIndexing(
                host=f"{FOLDER}/zero.db", collection="people", auth=models.NoAuth()
            ),
            processing=models.DestinationMilvusProcessingConfigModel(chunk_size=200, text_fields=["name"]),
        ),
    )
).destination_response
assert isinstance(destination.configuration, models.DestinationMilvus), type(destination.configuration)
connection = client.connections.create_connection(
    models.ConnectionCreateRequest(
        source_id=source.source_id,
        destination_id=destination.destination_id,
        configurations=models.StreamConfigurationsInput(
            streams=[
                models.StreamConfiguration(
                    name="users",
                    sync_mode=models.ConnectionSyncModeEnum.INCREMENTAL_DEDUPED_HISTORY,
                    mappers=[  # version 1.0.1 cannot decode one: the encryption of its union wants an `algorithm`
                        models.ConfiguredStreamMapper(
                            type=models.StreamMapperType.HASHING,
                            mapper_configuration=models.Hashing(
                                target_field="email", method=models.HashingMethod.SHA_256, field_name_suffix="_hash"
                            ),
                        )
                    ],
                )
            ]
        ),
    )
).connection_response
(stream,) = connection.configurations.streams
assert stream.mappers[0].mapper_configuration.target_field == "email", stream
job = client.jobs.create_job(
    models.JobCreateRequest(connection_id=connection.connection_id, job_type=models.JobTypeEnum.SYNC)
).job_response
for _ in range(600):
    job = client.jobs.get_job(api.GetJobRequest(job_id=job.job_id)).job_response
    if job.status.value not in ("pending", "running", "incomplete", "queued"):
        break
    time.sleep(0.2)
assert (job.status.value, job.rows_synced) == ("succeeded", 20), job
listed = client.jobs.list_jobs(api.ListJobsRequest(connection_id=connection.connection_id)).jobs_response
assert [item.job_id for item in listed.data] == [job.job_id]
client.connections.delete_connection(api.DeleteConnectionRequest(connection_id=connection.connection_id))
client.destinations.delete_destination(api.DeleteDestinationRequest(destination_id=destination.destination_id))
client.sources.delete_source(api.DeleteSourceRequest(source_id=source.source_id))
print(json.dumps({"rows": job.rows_synced}))
