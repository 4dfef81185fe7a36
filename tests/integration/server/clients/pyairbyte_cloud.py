"""PyAirbyte's cloud module, unchanged: deploys, syncs, reads states, catalogs, attempts and logs, and changes them."""

from __future__ import annotations

import json
import sys

from airbyte import exceptions
from airbyte.cloud import CloudWorkspace

URL, FOLDER, CLIENT_ID, CLIENT_SECRET, WORKSPACE, SOURCE = sys.argv[1:7]

workspace = CloudWorkspace(workspace_id=WORKSPACE, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, api_root=URL)
workspace.connect()
organization = workspace.get_organization()
assert organization.organization_name == "Default Organization", organization.organization_name

source = workspace.get_source(SOURCE)
assert source.check(), "the source's check failed"
source.rename("people of PyAirbyte")
assert workspace.list_sources(name="people of PyAirbyte")
destination = workspace.deploy_destination(
    "vectors of PyAirbyte",
    {
        "destinationType": "milvus",
        "embedding": {"mode": "fake"},
        "indexing": {"host": f"{FOLDER}/pyairbyte.db", "collection": "people", "auth": {"mode": "no_auth"}},
        "processing": {"chunk_size": 200, "text_fields": ["name"]},
    },
)
assert destination.check()
connection = workspace.deploy_connection(
    "made by PyAirbyte", source=source, destination=destination, selected_streams=["users"]
)
assert connection.stream_names == ["users"]
connection.rename("renamed by PyAirbyte")
connection.set_table_prefix("p_")
connection.set_schedule("0 0 9 ? * MON-FRI")
connection.set_manual_schedule()
assert connection.dump_raw_state() == []

catalog = connection.dump_raw_catalog()
by_name = {stream["stream"]["name"]: stream for stream in catalog["streams"]}
assert set(by_name) >= {"users", "products"}, by_name
by_name["users"] |= {
    "sync_mode": "incremental",
    "destination_sync_mode": "append_dedup",
    "cursor_field": ["updated_at"],
}
connection.import_raw_catalog(catalog)
assert connection.dump_raw_catalog(normalize=False)["streams"]

result = connection.run_sync(wait=True, wait_timeout=1200)
assert str(getattr(result.get_job_status(), "value", result.get_job_status())) == "succeeded"
assert result.records_synced == 30, result.records_synced
attempts = result.get_attempts()
assert len(attempts) == 1
assert (attempts[0].status, attempts[0].records_synced) == ("succeeded", 30)
assert "the attempt ended: succeeded" in attempts[0].get_full_log_text()

state = connection.get_stream_state("users")
assert state, "no state after an incremental sync"
connection.set_stream_state("users", {**state, "touched": True})
assert connection.get_stream_state("users")["touched"] is True
raw = connection.dump_raw_state(normalize=False)
connection.import_raw_state(raw)
logs = connection.get_previous_sync_logs(limit=5)
assert [log.job_id for log in logs] == [result.job_id]

connection.set_enabled(enabled=False)
try:
    connection.run_sync(wait=False)
except exceptions.PyAirbyteInputError as refused:
    output = str(refused)
else:
    output = "a disabled connection was run"
if "disabled (status" not in output:
    raise SystemExit(output)
connection.set_enabled(enabled=True)
workspace.permanently_delete_connection(connection, safe_mode=False)
workspace.permanently_delete_destination(destination, safe_mode=False)
print(json.dumps({"rows": result.records_synced}))
