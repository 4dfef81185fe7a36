"""Kitestring's own API: what Airbyte's has no word for."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pages import Pages
from test_connections import create_endpoint, joined

from kitestring import registry
from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.app import create_app
from kitestring.server.connections import connection
from kitestring.server.context import Context
from kitestring.server.jobs.worker import Worker
from tests.unit.server.documented import Document, documented

pytestmark = pytest.mark.slow

OWN = "/api/kitestring/v1"


@pytest.fixture
def client(context: Context) -> TestClient:
    return documented(TestClient(create_app(context)))


@pytest.fixture
def working(context: Context) -> Iterator[Worker]:
    worker = Worker(context, connection.plan_of, slots=1)
    worker.start()
    yield worker
    worker.stop()


@pytest.fixture
def connection_id(context: Context, tmp_path: Path) -> str:
    return joined(context, tmp_path / "out", [{"name": "users", "syncMode": "incremental_append"}])


def events_of(client: TestClient, job: int, **headers: str) -> list[tuple[str, str, Any]]:
    """Kind, id and data of every event, until the stream ends."""
    results = []
    with client.stream("GET", f"{OWN}/jobs/{job}/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for block in "".join(answer.iter_text()).split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if fields:
                results.append((fields["event"], fields["id"], json.loads(fields["data"])))
    return results


def test_a_job_is_told_as_it_happens_and_whole_when_it_has_ended(
    client: TestClient, working: Worker, connection_id: str
) -> None:
    answer = client.post(f"{OWN}/connections/{connection_id}/sync")
    assert answer.status_code == 202
    job = answer.json()["jobId"]
    events = events_of(client, job)
    assert events[-1][0] == "end"
    assert events[-1][2] == {"status": "succeeded"}
    assert {kind for kind, _, _ in events} - {"progress"} == {"job", "log", "end"}
    logs = [data for kind, _, data in events if kind == "log"]
    second = events_of(client, job, **{"Last-Event-ID": events[-1][1]})
    assert not [data for kind, _, data in second if kind == "log"]
    whole = client.get(f"{OWN}/jobs/{job}").json()
    assert whole["history"][0]["streams"]["users"]["written"] == 30
    entries = client.get(f"{OWN}/jobs/{job}/attempts/1/log", params={"level": "info"}).json()["entries"]
    assert [entry["message"] for entry in entries] == [log["message"] for log in logs]
    assert client.get(f"{OWN}/jobs").json()["data"][0]["jobId"] == job


SUMMARY = {
    "phase": "embedding",
    "stream": None,
    "streams": 2,
    "streams_ended": 1,
    "read": 470,
    "written": 200,
    "records_per_s": 5.5,
    "done": 210,
    "total": 470,
    "estimated": False,
    "left_s": 47,
    "finished": 0,
    "to_finish": 0,
    "figures": {"chunks_embedded": 210, "chunks_to_embed": 470, "tokens": 9000, "cost_usd": 0.01},
    "waiting": None,
}


def progress_of(streams: int, read: int) -> dict[str, Any]:
    """What a job's process reports."""
    stream = {"status": "reading", "read": read, "written": 0, "bytes": 0, "records_per_s": 5.5, "lag_s": None}
    return {
        "seconds": 1.0,
        "streams": {f"s{number}": {**stream, "phase": "reading", "total": 470} for number in range(streams)},
        "waiting": None,
        "summary": {**SUMMARY, "read": read},
    }


def test_a_running_job_says_how_far_it_is_wherever_it_is_listed(
    client: TestClient, context: Context, connection_id: str
) -> None:
    client.post(f"{OWN}/connections/{connection_id}/sync")
    claim = context.queue.claim("w")
    assert claim is not None
    job = claim.job_id
    assert client.get(f"{OWN}/jobs/{job}").json()["progress"] is None
    context.queue.save_progress({claim: progress_of(2, 470)})
    whole = client.get(f"{OWN}/jobs/{job}").json()
    assert whole["progress"] == SUMMARY
    assert whole["history"][0]["progress"]["streams"]["s1"]["total"] == 470
    answer = client.get(f"{OWN}/jobs", params={"counted": True, "text": "%"}).json()
    assert answer == {"data": [], "counts": {}}
    answer = client.get(f"{OWN}/jobs", params={"counted": True, "status": "failed"}).json()
    assert answer == {"data": [], "counts": {"running": 1}}
    assert client.get(f"{OWN}/jobs").json()["data"][0]["progress"] == SUMMARY
    last = client.get(f"{OWN}/connections").json()["data"][0]["job"]
    assert (last["progress"], last["figures"]["chunks_embedded"], last["figures"]["read"]) == (SUMMARY, 210, 470)
    context.queue.finish(claim, "failed", streams={"s0": {"status": "failed", "read": 471, "figures": {"tokens": 9}}})
    context.queue.save_progress({claim: progress_of(2, 999)})  # of a claim that is over
    last = client.get(f"{OWN}/connections").json()["data"][0]["job"]
    assert (last["progress"], last["figures"]) == (None, {"read": 471, "tokens": 9})
    assert client.get(f"{OWN}/jobs/{job}").json()["progress"] is None


def test_events_of_a_job_with_many_streams_carry_how_far_it_is_in_short(
    client: TestClient, context: Context, connection_id: str
) -> None:
    client.post(f"{OWN}/connections/{connection_id}/sync")
    claim = context.queue.claim("w")
    assert claim is not None
    watched, watch = threading.Event(), context.queue.signals.watch

    def work() -> None:
        assert watched.wait(600)
        for read in range(5):
            context.queue.save_progress({claim: progress_of(200, read)})
            time.sleep(0.3)
        context.queue.finish(claim, "succeeded", streams={})

    worker = threading.Thread(target=work)
    worker.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(context.queue.signals, "watch", lambda *of: (watch(*of), watched.set()))
            events = events_of(client, claim.job_id)
    finally:
        worker.join()
    reads = [data["read"] for kind, _, data in events if kind == "progress"]
    assert reads == sorted(reads)
    assert len(reads) >= 2
    assert [kind for kind, _, _ in events if kind != "progress"] == ["job", "job", "end"]


@pytest.mark.parametrize("number", ["1234567890123.4567890123", "123456789012345678901234567890", "1E+400", "0.1"])
def test_a_state_keeps_all_digits_by_both_apis(client: TestClient, connection_id: str, number: str) -> None:
    place, kind = f"{OWN}/connections/{connection_id}/state", {"Content-Type": "application/json"}
    states = f'{{"states":{{"users":{{"cursor":{number}}}}}}}'
    assert client.put(place, content=states, headers=kind).text == states
    assert client.get(place).text == states
    assert client.put(place, content=states[:-1], headers=kind).status_code == 400
    requests = {"connectionId": connection_id}
    whole = client.post("/api/v1/state/get", json=requests).text
    assert f'"cursor":{number}}}' in whole
    replaced = f'{{"connectionId":"{connection_id}","connectionState":{whole}}}'
    client.put(place, json={"states": {"users": {}}})
    answer = client.post("/api/v1/state/create_or_update", content=replaced, headers=kind)
    assert answer.text == whole


def test_a_state_is_seen_set_with_known_streams_only_and_forgotten(
    client: TestClient, context: Context, connection_id: str
) -> None:
    place = f"{OWN}/connections/{connection_id}/state"
    assert client.get(place).json() == {"states": {}}
    assert client.put(place, json={"states": {"users": {"cursor": "2024"}}}).json() == {
        "states": {"users": {"cursor": "2024"}}
    }
    refused = client.put(place, json={"states": {"usres": {}}})
    assert refused.status_code == 422
    assert "It has: users" in refused.json()["detail"]
    with context.store.write() as db:
        job = context.queue.enqueue(db, connection_id)
    assert client.put(place, json={"states": {"users": {}}}).status_code == 409
    client.post(f"{OWN}/jobs/{job}/cancel")
    assert client.delete(place, params={"stream": "users"}).status_code == 204
    assert client.get(place).json() == {"states": {}}


def test_streams_are_refreshed_and_cleared_one_by_one(client: TestClient, connection_id: str) -> None:
    refused = client.post(f"{OWN}/connections/{connection_id}/refresh", json={"streams": ["nosuch"]})
    assert refused.status_code == 422
    job = client.post(f"{OWN}/connections/{connection_id}/refresh", json={"streams": ["users"], "mode": "merge"}).json()
    assert (job["kind"], job["options"]) == ("refresh", {"streams": ["users"], "mode": "merge"})
    busy = client.post(f"{OWN}/connections/{connection_id}/clear", json={})
    assert (busy.status_code, busy.json()["data"]["jobId"]) == (409, job["jobId"])
    assert client.post(f"{OWN}/jobs/{job['jobId']}/cancel").json()["status"] == "cancelled"
    assert client.post(f"{OWN}/jobs/{job['jobId']}/cancel").status_code == 409


def test_a_source_is_checked_kept_or_not(client: TestClient, context: Context) -> None:
    source = create_endpoint(context, "source", "sample", {"count": 3})
    assert client.post(f"{OWN}/sources/{source}/check").json()["status"] == "succeeded"
    workspace = client.get("/v1/workspaces").json()["data"][0]["workspaceId"]
    draft = {"kind": "source", "workspaceId": workspace, "configuration": {"sourceType": "sample", "cuont": 3}}
    body = client.post(f"{OWN}/check", json=draft).json()
    assert body["status"] == "failed"
    assert "did you mean count" in body["message"]
    lost = {"sourceType": "postgres", "host": "127.0.0.1", "port": 1, "password": "a secret of ours"}
    body = client.post(f"{OWN}/check", json={**draft, "configuration": lost}).json()
    assert body["status"] == "failed"
    assert body["hint"]
    assert "a secret of ours" not in json.dumps(body)
    records = client.post(f"{OWN}/sources/{source}/read", json={"stream": "users", "limit": 2}).json()["records"]
    assert len(records) == 2


def test_lists_of_connectors_show_what_each_declares_of_itself(client: TestClient) -> None:
    listed = client.get(f"{OWN}/connectors", params={"native": True}).json()["data"]
    for row in listed:
        facts = registry.connector(row["kind"], row["connector"]).facts()
        assert (row["category"], row["summary"], row["searchable"]) == (facts.category, facts.summary, facts.searchable)
    assert {row["connector"] for row in listed if row["searchable"]} >= {"milvus", "pgvector"}
    assert {row["connector"] for row in listed if row["followsChanges"]} == {"mongodb", "mysql", "postgres"}
    definitions = client.post("/api/v1/source_definitions/list").json()["sourceDefinitions"]
    kinds = {definition["name"]: definition["sourceType"] for definition in definitions}
    assert (kinds["PostgreSQL"], kinds["Zendesk Support"]) == ("database", "api")


def test_connectors_are_found_with_their_forms(client: TestClient) -> None:
    data = client.get(f"{OWN}/connectors", params={"search": "zendesk support", "kind": "source"}).json()["data"]
    assert [item["type"] for item in data] == ["zendesk-support"]
    body = client.get(f"{OWN}/connectors/source/zendesk-support").json()
    assert body["spec"]["properties"]["subdomain"]
    assert client.get(f"{OWN}/connectors/source/{body['definitionId']}").json()["connector"] == "zendesk_support"
    assert client.get(f"{OWN}/connectors/source/zendesk-suport").status_code == 404


def test_a_draft_of_a_manifest_is_validated_and_resolved_in_a_child(client: TestClient) -> None:
    workspace = client.get("/v1/workspaces").json()["data"][0]["workspaceId"]
    body = {"workspaceId": workspace, "manifest": "type: DeclarativeSource\nstreams: []\n"}
    defects = client.post(f"{OWN}/builder/validate", json=body).json()["defects"]
    assert "no streams" in " ".join(defect["message"] for defect in defects)
    assert client.post(f"{OWN}/builder/resolve", json={**body, "manifest": "a: ["}).status_code == 422
    schema = client.post(f"{OWN}/builder/infer", json={"workspaceId": workspace, "records": [{"id": 1}, {"id": "x"}]})
    assert schema.json()["schema"]["properties"]["id"]


def test_settings_are_shown_without_secrets_and_a_search_needs_a_store_that_can(
    client: TestClient, context: Context, connection_id: str
) -> None:
    body = client.get(f"{OWN}/settings").json()
    assert body["settings"]["lease_s"] == context.settings.lease_s
    assert not {"secret_key", "database_url"} & set(body["settings"])
    with context.store.read() as db:
        destination = connection.get(db, connection_id).destination_id
    refused = client.post(f"{OWN}/destinations/{destination}/search", json={"text": "x"})
    assert (refused.status_code, "cannot be searched" in refused.json()["detail"]) == (422, True)


def test_what_is_not_there_is_said(client: TestClient) -> None:
    for place in ("jobs/7", "jobs/7/events", "jobs/99999999999999999999999"):
        assert client.get(f"{OWN}/{place}").status_code == 404


def test_what_a_workspace_answers_is_as_the_document_says(
    client: TestClient, context: Context, connection_id: str, tmp_path: Path
) -> None:
    """`documented` holds each answer against its model: no field more, none less, none of another type."""
    workspace = client.get("/v1/workspaces").json()["data"][0]["workspaceId"]
    with context.store.read() as db:
        source = connection.get(db, connection_id).source_id
    exported = client.get(f"{OWN}/project/export", params={"workspaceId": workspace, "states": True}).json()
    assert set(exported) == {"sources", "destinations", "connections"}
    planned = client.post(f"{OWN}/project/plan", json={"workspaceId": workspace, "wanted": exported}).json()["changes"]
    assert {change["action"] for change in planned} == {"adopt"}
    gets = ("settings", "workers", "audit", "consents", "users", "jobs", "connections", f"connections/{connection_id}")
    for place in (*gets, f"connections/{connection_id}/changes", f"sources/{source}/credentials"):
        assert client.get(f"{OWN}/{place}").status_code == 200, place
    for place in (f"sources/{source}/discover", *(f"connections/{connection_id}/{a}" for a in ("diff", "estimate"))):
        assert client.post(f"{OWN}/{place}").status_code == 200, place
    with Pages() as pages:
        manifest = Path(pages.manifest(tmp_path)).read_text()
        body = {"workspaceId": workspace, "manifest": manifest, "configuration": {"url": pages.url}, "stream": "items"}
        reading = client.post(f"{OWN}/builder/read", json=body).json()
    assert reading["slices"][0]["pages"][0]["records"][0]["id"] == 0
    resolved = client.post(f"{OWN}/builder/resolve", json={"workspaceId": workspace, "manifest": manifest}).json()
    assert resolved["type"] == "DeclarativeSource"


def test_an_answer_that_its_model_does_not_describe_fails_the_test(context: Context) -> None:
    app = create_app(context)
    answers = {"/v1/extra": {"nextMs": [1], "more": 1}, "/v1/missing": {}, "/v1/typed": {"nextMs": ["1"]}}
    for path, answer in answers.items():
        app.add_api_route(path, lambda answer=answer: answer, responses=responses_for(StrictPreview))
    client = documented(TestClient(app), Document(app))
    for path in answers:
        with pytest.raises(AssertionError, match=f"GET {path}"):
            client.get(path)


class StrictPreview(ResponseModel):
    nextMs: list[int]
