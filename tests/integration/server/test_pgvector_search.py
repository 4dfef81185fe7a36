"""A collection in PostgreSQL is filled and searched through the API, the library and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import kitestring as ks
from kitestring.cli.command_line import app
from kitestring.client import Client
from tests.integration.postgres_server import Database, database, postgres_server  # noqa: F401
from tests.integration.server.running import Running

pytestmark = pytest.mark.slow


def test_what_a_server_wrote_with_pgvector_is_searched_from_everywhere(
    tmp_path: Path,
    database: Database,  # noqa: F811
) -> None:
    config = {
        "processing": {"chunk_size": 100, "text_fields": ["name", "email"]},
        "embedding": {"mode": "fake"},
        "indexing": {**database.config, "collection": "people"},
    }
    running = Running(tmp_path)
    try:
        with Client(running.url) as client:
            space = next(iter(client.listed("workspace")))["workspaceId"]
            listed = {item["connector"]: item for item in client.call("GET", "/api/kitestring/v1/connectors")["data"]}
            assert listed["pgvector"]["searchable"]
            ends = {}
            for kind, name, configuration in (
                ("source", "sample", {"sourceType": "sample", "count": 20}),
                ("destination", "people", {"destinationType": "pgvector", **config}),
            ):
                body = {"name": name, "workspaceId": space, "configuration": configuration}
                ends[f"{kind}Id"] = client.call("POST", f"/v1/{kind}s", body)[f"{kind}Id"]
            displayed = client.call("GET", f"/v1/destinations/{ends['destinationId']}")
            assert database.password not in json.dumps(displayed)
            streams = [{"name": "users", "syncMode": "incremental_deduped_history"}]
            connection = client.call(
                "POST", "/v1/connections", {"name": "c", **ends, "configurations": {"streams": streams}}
            )
            job = client.wait(client.run(connection["connectionId"])["jobId"])
            assert job["status"] == "succeeded"
            where = {"or": [{"id": {"gte": 3, "lt": 5}}, {"name": {"exists": False}}]}
            hits = client.search(ends["destinationId"], {"text": "somebody", "where": where, "limit": 5})
            assert sorted(hit["_id"] for hit in hits) == [3, 4]
            # The connection of the search process stays open; one that the server has ended is opened again.
            kept = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            assert len(database.run(f"SELECT pid {kept}")) == 1
            assert database.run(f"SELECT pg_terminate_backend(pid) AS ended {kept}") == [{"ended": True}]
            assert client.search(ends["destinationId"], {"text": "somebody", "where": where, "limit": 5}) == hits
            with pytest.raises(Exception, match="did you mean gte"):
                client.search(ends["destinationId"], {"text": "x", "where": {"id": {"gtee": 3}}})
    finally:
        assert running.stop() == 0
    with ks.destination("pgvector", config) as destination:
        (hit,) = destination.search("somebody", where="$.id == 7")
        assert (hit["_id"], hit["stream"]) == (7, "users")
    project = tmp_path / "kitestring.yaml"
    project.write_text(yaml.safe_dump({"destinations": {"people": {"connector": "pgvector", "config": config}}}))
    words = ["search", "-p", str(project), "somebody", "--where", '{"id": {"in": [3, 9]}}', "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert sorted(json.loads(line)["_id"] for line in result.stdout.splitlines()) == [3, 9]
