"""dagster-airbyte, unchanged: a workspace as assets that are materialised, and its older resource."""

from __future__ import annotations

import json
import sys

import dagster as dg
from dagster_airbyte import AirbyteResource, AirbyteWorkspace, build_airbyte_assets_definitions

ROOT, CLIENT_ID, CLIENT_SECRET, WORKSPACE, CONNECTION, EMAIL, PASSWORD = sys.argv[1:8]

workspace = AirbyteWorkspace(
    rest_api_base_url=f"{ROOT}/api/public/v1",
    configuration_api_base_url=f"{ROOT}/api/v1",
    workspace_id=WORKSPACE,
    client_id=CLIENT_ID,
    client_secret=CLIENT_SECRET,
    poll_interval=0.3,
    poll_timeout=1200,
)
assets = build_airbyte_assets_definitions(
    workspace=workspace, connection_selector_fn=lambda connection: connection.id == CONNECTION
)
assert [key.path[-1] for asset in assets for key in asset.keys] == ["users"], assets
done = dg.materialize(assets, resources={"airbyte": workspace})
assert done.success
materialised = [event.asset_key.path[-1] for event in done.get_asset_materialization_events()]
assert materialised == ["users"], materialised

host, _, port = ROOT.removeprefix("http://").partition(":")
older = AirbyteResource(host=host, port=port, username=EMAIL, password=PASSWORD, forward_logs=True, poll_interval=0.3)
output = older.sync_and_poll(CONNECTION, poll_interval=0.3, poll_timeout=1200)
assert output.job_details["job"]["status"] == "succeeded"
stats = output.job_details["attempts"][-1]["attempt"]["streamStats"]
print(json.dumps({"assets": materialised, "streams": [stat["streamName"] for stat in stats]}))
