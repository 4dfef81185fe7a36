"""Airflow's Airbyte hook, unchanged: tests the connection, runs a sync and waits, resets, with and without a login."""

from __future__ import annotations

import json
import os
import sys

URL, CLIENT_ID, CLIENT_SECRET, CONNECTION = sys.argv[1:5]
os.environ["AIRFLOW_CONN_AIRBYTE_DEFAULT"] = json.dumps(
    {"conn_type": "airbyte", "host": URL, "login": CLIENT_ID, "password": CLIENT_SECRET}
)

from airflow.providers.airbyte.hooks.airbyte import AirbyteHook  # noqa: E402

hook = AirbyteHook()
reached, output = hook.test_connection()
assert reached, output
job = hook.submit_sync_connection(CONNECTION)
hook.wait_for_job(job.job_id, wait_seconds=0.3, timeout=1200)
details = hook.get_job_details(job.job_id)
assert details.rows_synced == 30, details
reset = hook.submit_reset_connection(CONNECTION)
assert reset.job_type == "reset", reset
hook.wait_for_job(reset.job_id, wait_seconds=0.3, timeout=1200)
print(json.dumps({"rows": details.rows_synced}))
