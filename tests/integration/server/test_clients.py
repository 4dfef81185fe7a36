"""Airbyte's clients, unchanged, each in an environment of its own, against a server that runs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.foreign_packages import python_of
from tests.integration.server.served import EMAIL, PASSWORD, Served, served

CLIENTS = Path(__file__).parent / "clients"
OPERATIONS_OF_THE_SDK = 47
MANIFEST = """
type: DeclarativeSource
version: 6.0.0
check: {type: CheckStream, stream_names: [countries]}
streams:
  - type: DeclarativeStream
    name: countries
    retriever:
      type: SimpleRetriever
      requester: {type: HttpRequester, url_base: "https://example.com", path: /countries}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}
    schema_loader: {type: InlineSchemaLoader, schema: {type: object, properties: {name: {type: string}}}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served")) as running:
        (running.folder / "manifest.json").write_text(json.dumps(yaml.safe_load(MANIFEST)))
        yield running


def ran(folder: Path, requirement: str, script: str, *words: str) -> dict[str, Any]:
    """What a script prints in its last line, as JSON; it has to succeed."""
    quiet = {"DO_NOT_TRACK": "1", "DAGSTER_DISABLE_TELEMETRY": "1", "AIRBYTE_OFFLINE_MODE": "1"}
    homes = {"HOME": str(folder), "AIRFLOW_HOME": str(folder / "airflow"), "DAGSTER_HOME": ""}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KITESTRING_", "PYTHON"))}
    python = python_of(requirement)
    done = subprocess.run(
        [python, str(CLIENTS / script), *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**kept, **quiet, **homes},
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    content: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return content


def test_the_sdk_of_version_1_does_all_that_it_can_do(server: Served, tmp_path: Path) -> None:
    words = (server.public, str(server.folder), server.client_id, server.client_secret)
    messages = ran(tmp_path, "airbyte-api==1.0.1", "airbyte_api_1.py", *words)
    assert len(messages["operations"]) >= OPERATIONS_OF_THE_SDK, messages
    assert messages["rows"] == 40


def test_the_sdk_of_version_0_moves_data(server: Served, tmp_path: Path) -> None:
    words = (server.public, str(server.folder), server.client_id, server.client_secret)
    assert ran(tmp_path, "airbyte-api==0.53.0", "airbyte_api_0.py", *words) == {"rows": 20}


def test_pyairbyte_deploys_syncs_and_changes_states_and_catalogs(server: Served, tmp_path: Path) -> None:
    _, source = server.connection("for PyAirbyte")
    words = (server.client_id, server.client_secret, server.workspace_id, source)
    messages = ran(tmp_path, "airbyte==0.71.3", "pyairbyte_cloud.py", server.public, str(tmp_path), *words)
    assert messages == {"rows": 30}


def test_pyairbyte_publishes_a_manifest_and_reads_its_builder_project(server: Served, tmp_path: Path) -> None:
    words = (server.client_id, server.client_secret, server.workspace_id)
    told = ran(tmp_path, "airbyte==0.71.3", "pyairbyte_builder.py", server.public, str(server.folder), *words)
    assert told["version"] == 2


def test_airflow_runs_a_sync_and_waits_for_it(server: Served, tmp_path: Path) -> None:
    connection, _ = server.connection("for Airflow")
    words = (server.public, server.client_id, server.client_secret, connection)
    assert ran(tmp_path, "apache-airflow-providers-airbyte==6.2.0", "airflow_hook.py", *words) == {"rows": 30}


def test_dagster_materialises_the_streams_of_a_connection(server: Served, tmp_path: Path) -> None:
    connection, _ = server.connection("for Dagster")
    words = (server.root, server.client_id, server.client_secret, server.workspace_id, connection, EMAIL, PASSWORD)
    messages = ran(tmp_path, "dagster-airbyte==0.29.27", "dagster_assets.py", *words)
    assert messages == {"assets": ["users"], "streams": ["users"]}
