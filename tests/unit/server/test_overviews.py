"""What the pages of the interface show of connections."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, update
from test_connections import joined

from kitestring.server.app import create_app
from kitestring.server.connections import connection
from kitestring.server.context import Context
from kitestring.server.jobs.worker import Worker
from kitestring.server.observability.audit import acting
from kitestring.server.store.tables import attempts, connections, jobs
from tests.unit.server.documented import documented
from tests.unit.server.tenants import Browser, Tenant, admin

pytestmark = pytest.mark.slow

OWN = "/api/kitestring/v1"


@pytest.fixture
def client(context: Context) -> TestClient:
    return documented(TestClient(create_app(context)))


@pytest.fixture
def connection_id(context: Context, tmp_path: Path) -> str:
    return joined(context, tmp_path / "out", [{"name": "users", "syncMode": "incremental_append"}])


def ids(client: TestClient, **query: str) -> list[str]:
    answer = client.get(f"{OWN}/connections", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == len(answer.json()["data"])
    return [item["connectionId"] for item in answer.json()["data"]]


def test_a_connection_is_shown_with_its_ends_its_last_job_and_the_figures_of_its_streams(
    client: TestClient, context: Context, connection_id: str
) -> None:
    [before] = client.get(f"{OWN}/connections").json()["data"]
    assert before["job"] is None
    assert before["source"]["connector"] == "sample"
    assert before["streamCount"] == 1
    worker = Worker(context, connection.plan_of, slots=1)
    worker.start()
    try:
        job = client.post(f"{OWN}/connections/{connection_id}/sync").json()["jobId"]
        with client.stream("GET", f"{OWN}/jobs/{job}/events") as events:
            events.read()
    finally:
        worker.stop()
    [after] = client.get(f"{OWN}/connections").json()["data"]
    assert after["job"]["status"] == "succeeded"
    assert after["job"]["figures"]["written"] == 30
    whole = client.get(f"{OWN}/connections/{connection_id}").json()
    [stream] = whole["streams"]
    assert (stream["key"], stream["last"]["written"], stream["last"]["jobId"]) == ("users", 30, job)
    assert whole["changes"] is None


def test_connections_are_found_by_text_and_by_what_became_of_them(
    client: TestClient, context: Context, connection_id: str
) -> None:
    name = client.get(f"{OWN}/connections").json()["data"][0]["name"]
    assert ids(client, text=name[:6].upper()) == [connection_id]
    assert ids(client, text="100%") == []
    assert ids(client, condition="never") == [connection_id]
    assert ids(client, condition="running") == []
    client.post(f"{OWN}/connections/{connection_id}/sync")
    assert ids(client, condition="running") == [connection_id]
    assert ids(client, condition="never") == []
    assert ids(client, condition="deciding") == []
    with context.store.write() as db:
        db.execute(update(connections).values(pending_changes={"changes": {"breaking": []}, "catalog": {}}))
    assert ids(client, condition="running") == [connection_id]  # work under way has priority, as in its badge
    with context.store.write() as db:
        db.execute(update(jobs).values(status="succeeded"))
    assert ids(client, condition="deciding") == ids(client, condition="active") == [connection_id]
    assert ids(client, condition="paused") == ids(client, condition="succeeded") == []
    assert client.get(f"{OWN}/connections", params={"condition": "odd"}).status_code == 400


def test_an_answered_change_waits_no_longer(client: TestClient, context: Context, connection_id: str) -> None:
    with context.store.write() as db:
        db.execute(update(connections).values(pending_changes=None))
    assert ids(client, condition="deciding") == []
    assert client.get(f"{OWN}/connections/{connection_id}").json()["deciding"] is False


def test_a_schedule_is_previewed_before_it_is_kept(client: TestClient) -> None:
    def preview(**timing: str) -> list[int]:
        answer = client.post(f"{OWN}/schedule/preview", json=timing)
        assert answer.status_code == 200, answer.text
        next_ms: list[int] = answer.json()["nextMs"]
        return next_ms

    every = preview(scheduleType="basic", basicTiming="Every 6 HOURS")
    assert [b - a for a, b in pairwise(every)] == [6 * 3_600_000] * 4
    assert len(preview(scheduleType="cron", cronExpression="0 30 6 * * ? Europe/Berlin")) == 5
    assert preview(scheduleType="manual") == []
    refused = client.post(f"{OWN}/schedule/preview", json={"scheduleType": "cron", "cronExpression": "one two"})
    assert refused.status_code == 422
    assert refused.json()["data"]["hint"]


def test_a_list_is_ordered_by_what_a_user_asks_for_and_what_has_no_value_is_last(
    client: TestClient, context: Context, tmp_path: Path
) -> None:
    first, second, third = (joined(context, tmp_path / name, name=name) for name in ("b", "A", "c"))
    assert ids(client) == ids(client, order="name") == [second, first, third]
    assert ids(client, order="-name") == [third, first, second]
    assert ids(client, order="-created") == [third, second, first]
    client.post(f"{OWN}/connections/{third}/sync")
    client.post(f"{OWN}/connections/{first}/sync")
    assert ids(client, order="lastSync") == [third, first, second]
    assert ids(client, order="-lastSync") == [first, third, second]
    assert ids(client, order="condition") == [first, third, second]
    assert ids(client, order="-fresh") == [second, first, third]
    with context.store.write() as db:
        db.execute(update(jobs).where(jobs.c.connection_id == third).values(status="succeeded", started_at_ms=7))
    assert ids(client, order="-fresh") == ids(client, order="fresh") == [third, second, first]
    assert {item["freshAtMs"] for item in client.get(f"{OWN}/connections").json()["data"]} == {7, None}
    page = client.get(f"{OWN}/connections", params={"limit": 1, "offset": 1}).json()
    assert ([item["connectionId"] for item in page["data"]], page["total"]) == ([first], 3)


def test_who_made_a_connection_is_shown_to_its_editors_alone(context: Context) -> None:
    admin(context)
    tenants = [Tenant.make(context, name) for name in ("acme", "globex")]
    with context.store.write() as db:
        db.execute(update(connections).values(created_by="ada@example.com (ci)"))
    seen = {}
    for role in ("workspace_reader", "workspace_runner", "workspace_editor"):
        client = Browser(context, tenants[0].member(role))
        listed = client.get(f"{OWN}/connections").json()["data"]
        counts = client.get(f"{OWN}/connections/counts").json()
        found = client.get(f"{OWN}/connections", params={"owner": "ada@example.com (ci)", "order": "owner"}).json()
        one = client.get(f"{OWN}/connections/{tenants[0].connection_id}").json()
        assert counts["total"] == 1
        seen[role] = [listed[0]["owner"], one["owner"], counts["owners"][0]["owner"], found["total"]]
    ada = "ada@example.com (ci)"
    assert seen == {
        "workspace_reader": ["", "", "", 0],
        "workspace_runner": ["", "", "", 0],
        "workspace_editor": [ada, ada, ada, 1],
    }


def test_counts_say_how_many_are_in_each_condition_of_each_owner_and_with_each_tag(
    client: TestClient, context: Context, tmp_path: Path
) -> None:
    with acting("ada@example.com"):
        first = joined(context, tmp_path / "a", name="first")
    second = joined(context, tmp_path / "b", name="second", status="inactive")
    workspace = client.get("/api/public/v1/workspaces").json()["data"][0]["workspaceId"]
    tag = client.post(
        "/api/public/v1/tags", json={"name": "urgent", "color": "FF8000", "workspaceId": workspace}
    ).json()
    tagged = {"connectionIds": [first], "action": "addTags", "tagIds": [tag["tagId"]]}
    assert client.post(f"{OWN}/connections/bulk/change", json=tagged).json()["data"][0]["status"] == "done"
    counts = client.get(f"{OWN}/connections/counts").json()
    assert (counts["total"], counts["conditions"]) == (2, {"never": 1, "paused": 1})
    assert counts["owners"] == [{"owner": "", "connections": 1}, {"owner": "ada@example.com", "connections": 1}]
    assert [(single_tag["name"], single_tag["connections"]) for single_tag in counts["tags"]] == [("urgent", 1)]
    for name, number in counts["conditions"].items():
        assert len(ids(client, condition=name)) == number
    assert ids(client, owner="ada@example.com") == ids(client, tagIds=tag["tagId"]) == [first]
    assert client.get(f"{OWN}/connections/counts", params={"text": "second"}).json()["conditions"] == {"paused": 1}
    [row] = client.get(f"{OWN}/connections", params={"owner": ""}).json()["data"]
    assert (row["connectionId"], row["tags"], row["owner"]) == (second, [], "")


def test_a_bulk_action_says_what_became_of_each_connection(
    client: TestClient, context: Context, tmp_path: Path
) -> None:
    first, second = joined(context, tmp_path / "a"), joined(context, tmp_path / "b", status="inactive")

    def outcomes(path: str, action: str, **more: object) -> list[tuple[str, str]]:
        body = {"connectionIds": [first, second, first], "action": action, **more}
        answer = client.post(f"{OWN}/connections/bulk/{path}", json=body)
        assert answer.status_code == 200, answer.text
        assert [item["connectionId"] for item in answer.json()["data"]] == [first, second]
        return [(item["status"], item["message"]) for item in answer.json()["data"]]

    assert outcomes("run", "sync") == [("done", ""), ("skipped", "it is paused")]
    assert outcomes("run", "sync")[0] == ("skipped", "its job has not ended yet")
    assert outcomes("run", "cancel") == [("done", ""), ("skipped", "it has no job that runs or waits")]
    assert outcomes("change", "resume") == [("skipped", "it is active already"), ("done", "")]
    assert outcomes("change", "pause") == [("done", ""), ("done", "")]
    with context.store.write() as db:
        db.execute(update(connections).where(connections.c.id == first).values(status="locked"))
    assert [status for status, _ in outcomes("change", "resume")] == ["failed", "done"]
    refused = client.post(f"{OWN}/connections/bulk/change", json={"connectionIds": [first], "action": "addTags"})
    assert refused.status_code == 422


def test_usage_sums_the_jobs_that_ended_and_keeps_them_when_the_jobs_are_gone(
    client: TestClient, context: Context, connection_id: str
) -> None:
    worker = Worker(context, connection.plan_of, slots=1)
    worker.start()
    try:
        job = client.post(f"{OWN}/connections/{connection_id}/sync").json()["jobId"]
        with client.stream("GET", f"{OWN}/jobs/{job}/events") as events:
            events.read()
    finally:
        worker.stop()
    with context.store.write() as db:
        db.execute(delete(attempts))
        db.execute(delete(jobs))
    days = {"from": "2000-01-01", "to": "2999-12-31"}
    [usage] = client.get(f"{OWN}/usage", params=days).json()["data"]
    assert (usage["connectionId"], usage["jobs"], usage["failed"]) == (connection_id, 1, 0)
    assert (usage["read"], usage["written"], usage["tokens"], usage["costUsd"]) == (30, 30, 0, 0)
    assert len(usage["period"]) == 7
    [usage] = client.get(f"{OWN}/usage", params={**days, "by": "day"}).json()["data"]
    assert len(usage["period"]) == 10
    assert client.get(f"{OWN}/usage", params={**days, "to": "2000-01-01"}).json()["data"] == []
    assert client.get(f"{OWN}/usage", params={"from": "yesterday", "to": "today"}).status_code == 400


def test_of_two_who_change_the_streams_of_a_connection_the_second_sees_the_first(
    client: TestClient, context: Context, connection_id: str
) -> None:
    own, public = f"{OWN}/connections/{connection_id}", f"/v1/connections/{connection_id}"
    loaded = client.get(own).json()["version"]
    streams = {"configurations": {"streams": [{"name": "users", "syncMode": "full_refresh_overwrite"}]}}
    first = client.patch(public, json=streams, headers={"If-Match": f'"{loaded}"'})
    assert first.status_code == 200, first.text
    others = {"configurations": {"streams": [{"name": "products", "syncMode": "full_refresh_append"}]}}
    second = client.patch(public, json=others, headers={"If-Match": f'"{loaded}"'})
    assert (second.status_code, second.json()["title"]) == (412, "precondition-failed")
    assert [stream["name"] for stream in client.get(own).json()["streams"]] == ["users"]
    # A schema change that waits for a decision is another state; a job that ends is not.
    version = client.get(own).json()["version"]
    with context.store.write() as db:
        db.execute(update(connections).values(failures=3, next_run_at_ms=5))
    assert client.get(own).json()["version"] == version
    with context.store.write() as db:
        connection.change(context, db, connection_id, {"pending_changes": {"changes": {}, "catalog": {}}})
    assert client.patch(public, json=others, headers={"If-Match": version}).status_code == 412
    assert client.patch(public, json=others, headers={"If-Match": "*"}).status_code == 200
    assert client.patch(public, json={"name": "Last wins"}).status_code == 200


def test_a_filter_that_a_list_does_not_have_is_refused_and_lists_nothing(client: TestClient) -> None:
    for address, sentence in (
        ("/connections?conditon=failed", "conditon is not a known parameter; did you mean condition?"),
        ("/connections/counts?owners=ada", "owners is not a known parameter; did you mean owner?"),
        ("/connections?limit=5&limits=5", "limits is not a known parameter; did you mean limit?"),
    ):
        refused = client.get(f"{OWN}{address}")
        assert refused.status_code == 400
        assert refused.json()["detail"].startswith(f"{sentence} Known are ")
    assert "sourceId" in client.get(f"{OWN}/connections?x=1").json()["data"]["hint"]
    assert client.get(f"{OWN}/connections?condition=failed&limit=5").status_code == 200
    # Airbyte ignores what it does not know, and so do its two APIs here.
    assert client.get("/api/public/v1/connections?conditon=failed").status_code == 200
