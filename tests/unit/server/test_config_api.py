"""The Config API, as prefect-airbyte, Kestra and dagster's older resources call it; states while a job is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from kitestring.redact import MASK
from kitestring.server.app import create_app
from kitestring.server.context import Context
from tests.unit.server.test_connections import ZENDESK, joined

pytestmark = pytest.mark.slow


class Config(TestClient):
    """Posts to /api/v1."""

    def ask(self, path: str, status: int = 200, **body: Any) -> Any:
        answer = self.post(f"/api/v1/{path}", json=body, follow_redirects=False)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None


@pytest.fixture
def config(context: Context) -> Config:
    return Config(create_app(context), base_url="http://127.0.0.1")


def workspace_of(config: Config) -> str:
    workspace_id: str = config.ask("workspaces/list")["workspaces"][0]["workspaceId"]
    return workspace_id


def test_a_slash_at_the_end_is_no_other_path(context: Context, config: Config, tmp_path: Path) -> None:
    connection = joined(context, tmp_path)
    assert config.get("/api/v1/health/").json() == {"available": True}
    assert config.ask("connections/get/", connectionId=connection)["status"] == "active"
    job = config.ask("connections/sync/", connectionId=connection)["job"]
    answer = config.ask("jobs/get/", id=job["id"])
    assert (answer["job"]["status"], answer["job"]["configType"], answer["attempts"]) == ("pending", "sync", [])


def test_a_job_is_listed_and_cancelled_and_a_second_is_refused(
    context: Context, config: Config, tmp_path: Path
) -> None:
    connection = joined(context, tmp_path)
    first = config.ask("connections/reset", connectionId=connection)["job"]
    assert first["configType"] == "reset_connection"
    config.ask("connections/sync", 409, connectionId=connection)
    listed = config.ask("jobs/list", configTypes=["clear", "reset_connection"], configId=connection)
    assert [job["job"]["id"] for job in listed["jobs"]] == [first["id"]]
    assert config.ask("jobs/list", configTypes=["sync"], configId=connection)["totalJobCount"] == 0
    assert config.ask("jobs/cancel", id=first["id"])["job"]["status"] == "cancelled"
    config.ask("jobs/cancel", 409, id=first["id"])


def test_a_state_is_replaced_as_a_whole_and_never_under_a_job(context: Context, config: Config, tmp_path: Path) -> None:
    connection = joined(context, tmp_path)
    assert config.ask("state/get", connectionId=connection)["stateType"] == "not_set"
    users = {"streamDescriptor": {"name": "users"}, "streamState": {"cursor": "2026-01-01"}}
    shared = {"sharedState": {"position": 7}, "streamStates": [users]}
    provided = {"stateType": "global", "globalState": shared}
    answer = config.ask("state/create_or_update_safe", connectionId=connection, connectionState=provided)
    assert answer["globalState"] == shared
    only = {"stateType": "stream", "streamState": [users]}
    config.ask("state/create_or_update_safe", connectionId=connection, connectionState=only)
    assert config.ask("state/get", connectionId=connection) == {"connectionId": connection, **only}
    config.ask("connections/sync", connectionId=connection)
    refused = config.ask("state/create_or_update_safe", 423, connectionId=connection, connectionState=provided)
    assert "has not ended" in refused["detail"]


def test_a_catalog_that_comes_back_changes_nothing_and_what_it_selects_is_moved(
    context: Context, config: Config, tmp_path: Path
) -> None:
    connection = joined(context, tmp_path, [{"name": "users", "syncMode": "incremental_deduped_history"}])
    before = config.ask("web_backend/connections/get", connectionId=connection, withRefreshedCatalog=True)
    catalog = before["syncCatalog"]
    assert {
        single_stream["stream"]["name"]: single_stream["config"]["selected"] for single_stream in catalog["streams"]
    } == {
        "users": True,
        "products": False,
        "purchases": False,
    }
    same = config.ask("web_backend/connections/update", connectionId=connection, syncCatalog=catalog, skipReset=True)
    assert same["syncCatalog"] == catalog
    for stream in catalog["streams"]:
        stream["config"] |= {"selected": True, "syncMode": "full_refresh", "destinationSyncMode": "overwrite"}
    config.ask("connections/update", connectionId=connection, syncCatalog=catalog, scheduleType="manual")
    streams = config.get(f"/v1/connections/{connection}").json()["configurations"]["streams"]
    assert {single_stream["name"]: single_stream["syncMode"] for single_stream in streams} == dict.fromkeys(
        ("users", "products", "purchases"), "full_refresh_overwrite"
    )
    catalog["streams"][0]["config"]["destinationSyncMode"] = "merge"
    refused = config.ask("connections/update", 422, connectionId=connection, syncCatalog=catalog)
    assert "full_refresh with merge, which is not supported" in refused["detail"]


def test_mappers_come_and_go_in_a_catalog_and_what_is_none_is_refused(
    context: Context, config: Config, tmp_path: Path
) -> None:
    connection = joined(context, tmp_path, [{"name": "users", "syncMode": "full_refresh_append"}])
    catalog = config.ask("web_backend/connections/get", connectionId=connection)["syncCatalog"]
    users = next(stream["config"] for stream in catalog["streams"] if stream["stream"]["name"] == "users")
    users |= {"aliasName": "people", "hashedFields": [{"fieldPath": ["email"]}]}
    config.ask("connections/update", connectionId=connection, syncCatalog=catalog)
    second = config.ask("web_backend/connections/get", connectionId=connection)["syncCatalog"]
    displayed = next(stream["config"] for stream in second["streams"] if stream["stream"]["name"] == "users")
    assert displayed["aliasName"] == "people"
    (hashing,) = displayed["mappers"]
    assert hashing["mapperConfiguration"] == {
        "targetField": "email",
        "method": "SHA-256",
        "fieldNameSuffix": "_hashed",
    }
    for wrong in ({"mappers": 5}, {"mappers": [None]}, {"hashedFields": [{"fieldPath": []}]}, {"hashedFields": [7]}):
        users |= {"mappers": None, "hashedFields": None, **wrong}
        config.ask("connections/update", 422, connectionId=connection, syncCatalog=catalog)


def test_ends_and_connections_are_made_changed_and_deleted(config: Config, tmp_path: Path) -> None:
    workspace = workspace_of(config)
    definitions = config.ask("source_definitions/list")["sourceDefinitions"]
    ids = {definition["name"]: definition["sourceDefinitionId"] for definition in definitions}
    form = config.ask("source_definition_specifications/get", sourceDefinitionId=ids["Zendesk Support"])
    assert "subdomain" in form["connectionSpecification"]["properties"]
    desk = config.ask(
        "sources/create",
        name="desk",
        workspaceId=workspace,
        sourceDefinitionId=ids["Zendesk Support"],
        connectionConfiguration=ZENDESK,
    )
    assert desk["connectionConfiguration"]["credentials"]["api_token"] == MASK
    config.ask("sources/update", sourceId=desk["sourceId"], connectionConfiguration=desk["connectionConfiguration"])
    config.ask("sources/delete", 204, sourceId=desk["sourceId"])
    people = config.ask(
        "sources/create",
        name="people",
        workspaceId=workspace,
        sourceDefinitionId=ids["Sample data"],
        connectionConfiguration={"count": 3},
    )
    assert config.ask("sources/check_connection", sourceId=people["sourceId"])["status"] == "succeeded"
    catalog = config.ask("sources/discover_schema", sourceId=people["sourceId"])
    assert len(catalog["catalog"]["streams"]) == 3
    listed = config.ask("destination_definitions/list")["destinationDefinitions"]
    files = config.ask(
        "destinations/create",
        name="files",
        workspaceId=workspace,
        destinationDefinitionId=next(item["destinationDefinitionId"] for item in listed if item["name"] == "Files"),
        connectionConfiguration={"path": str(tmp_path), "format": "jsonl"},
    )
    answer = config.ask(
        "connections/create",
        sourceId=people["sourceId"],
        destinationId=files["destinationId"],
        namespaceDefinition="customformat",
        namespaceFormat="raw",
        nonBreakingChangesPreference="disable",
        scheduleType="basic",
        scheduleData={"basicSchedule": {"units": 6, "timeUnit": "hours"}},
    )
    assert (answer["namespaceDefinition"], answer["nonBreakingChangesPreference"]) == ("customformat", "disable")
    assert answer["scheduleData"] == {"basicSchedule": {"units": 6, "timeUnit": "hours"}}
    public = config.get(f"/v1/connections/{answer['connectionId']}").json()
    assert public["namespaceDefinition"] == "custom_format"
    assert public["schedule"] == {"scheduleType": "basic", "basicTiming": "Every 6 HOURS"}
    config.ask("connections/delete", 204, connectionId=answer["connectionId"])
    assert config.ask("connections/list", workspaceId=workspace)["connections"] == []
