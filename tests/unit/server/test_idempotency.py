"""A change that is sent again with the same `Idempotency-Key` happens once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, update

from kitestring.server.context import Context
from kitestring.server.http import idempotency
from kitestring.server.http.idempotency import IdempotencyKeys, key_of
from kitestring.server.jobs.retention import clean
from kitestring.server.secrets.secret_box import SecretBox
from kitestring.server.store.tables import idempotency_keys
from tests.unit.server.tenants import Browser, Tenant, admin

pytestmark = pytest.mark.slow

SECRET = "t0p-s3cret-token"
ZENDESK = {
    "sourceType": "zendesk-support",
    "subdomain": "acme",
    "credentials": {"credentials": "api_token", "email": "rosa@acme.example", "api_token": SECRET},
}


def source(tenant: Tenant, **more: Any) -> dict[str, Any]:
    return {"name": "Help", "workspaceId": tenant.workspace_id, "configuration": ZENDESK, **more}


def names(client: Browser) -> list[str]:
    return sorted(row["name"] for row in client.get("/v1/sources").json()["data"])


@pytest.fixture
def acme(context: Context) -> Tenant:
    return Tenant.make(context, "acme")


@pytest.fixture
def editor(context: Context, acme: Tenant) -> Browser:
    return Browser(context, acme.member("workspace_editor"))


def test_of_many_requests_at_once_with_one_key_one_is_run_and_all_get_its_answer(acme: Tenant, editor: Browser) -> None:
    def send(_: int) -> Any:
        return editor.post("/v1/sources", json=source(acme), headers={"Idempotency-Key": "click-1"})

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert sorted(answer.headers.get("idempotency-replayed", "") for answer in answers) == ["", *["true"] * 5]
    assert names(editor) == ["Help", "acme"]
    assert editor.post("/v1/sources", json=source(acme), headers={"Idempotency-Key": "click-2"}).status_code == 200
    assert names(editor) == ["Help", "Help", "acme"]


def test_a_job_is_started_once_for_a_key_and_a_repeated_deletion_succeeds(acme: Tenant, context: Context) -> None:
    client = Browser(context, admin(context))
    once = {"Idempotency-Key": "sync"}
    body = {"connectionId": acme.connection_id, "jobType": "sync"}
    first, second = (client.post("/v1/jobs", json=body, headers=once) for _ in range(2))
    assert first.json() == second.json()
    assert client.post("/v1/jobs", json=body, headers={"Idempotency-Key": "other"}).status_code == 409
    responses = [client.delete(f"/v1/sources/{acme.source_id}", headers={"Idempotency-Key": "gone"}) for _ in range(2)]
    assert [answer.status_code for answer in responses] == [204, 204]
    assert client.delete(f"/v1/sources/{acme.source_id}").status_code == 404


def test_another_body_with_the_same_key_is_refused_and_another_user_has_keys_of_their_own(
    acme: Tenant, context: Context, editor: Browser
) -> None:
    key = {"Idempotency-Key": "a"}
    assert editor.post("/v1/sources", json=source(acme), headers=key).status_code == 200
    refused = editor.post("/v1/sources", json=source(acme, name="Desk"), headers=key)
    assert refused.status_code == 422
    assert "used for another request" in refused.json()["detail"]
    assert editor.post("/v1/destinations", json=source(acme), headers=key).status_code == 422
    other = Browser(context, acme.member("workspace_editor"))
    assert other.post("/v1/sources", json=source(acme, name="Desk"), headers=key).status_code == 200
    assert names(editor) == ["Desk", "Help", "acme"]
    for wrong in ("", "x" * 256, "ä"):
        headers = {"Idempotency-Key": wrong.encode()}
        assert editor.post("/v1/sources", json=source(acme), headers=headers).status_code == 400


def test_no_secret_of_a_request_or_an_answer_is_in_the_store(acme: Tenant, context: Context, editor: Browser) -> None:
    key = {"Idempotency-Key": "a"}
    editor.post("/v1/sources", json=source(acme), headers=key)
    first = editor.post("/v1/applications", json={"name": "ci"}, headers={"Idempotency-Key": "b"})
    second = editor.post("/v1/applications", json={"name": "ci"}, headers={"Idempotency-Key": "b"})
    assert first.json() == second.json()
    secret = first.json()["clientSecret"]
    with context.store.read() as db:
        rows = [str(row) for row in db.execute(select(idempotency_keys))]
    assert len(rows) == 2
    assert not any(text in row for row in rows for text in (SECRET, secret, "rosa@acme.example", "Help"))


def test_of_a_request_that_only_asks_nothing_is_kept_and_a_repetition_is_answered_again(
    acme: Tenant, context: Context, editor: Browser
) -> None:
    definition = editor.get("/api/kitestring/v1/connectors/source/sample").json()["definitionId"]
    body = {"name": "Shop", "workspaceId": acme.workspace_id, "definitionId": definition, "configuration": {"count": 2}}
    key = {"Idempotency-Key": "a"}
    source_id = editor.post("/v1/sources", json=body).json()["sourceId"]
    path = f"/api/kitestring/v1/sources/{source_id}"
    stream = editor.post(f"{path}/discover").json()["streams"][0]["name"]
    reader = Browser(context, acme.member("workspace_reader"))
    requests = [
        editor.post(f"{path}/read", json={"stream": stream}, headers=key),
        reader.post("/api/v1/sources/get", json={"sourceId": source_id}, headers=key),
        reader.post("/api/kitestring/v1/schedule/preview", json={"scheduleType": "manual"}, headers=key),
    ]
    assert [answer.status_code for answer in requests] == [200] * 3
    assert len(requests[0].json()["records"]) == 2
    second = editor.post(f"{path}/read", json={"stream": stream, "limit": 1}, headers=key)
    assert len(second.json()["records"]) == 1
    assert "idempotency-replayed" not in second.headers
    with context.store.read() as db:
        assert not list(db.execute(select(idempotency_keys)))


def test_a_refused_request_leaves_its_key_free(acme: Tenant, editor: Browser) -> None:
    key = {"Idempotency-Key": "a"}
    wrong = source(acme, configuration={**ZENDESK, "subdomain": ""})
    assert editor.post("/v1/sources", json=wrong, headers=key).status_code == 422
    assert editor.post("/v1/sources", json=source(acme), headers=key).status_code == 200


def test_a_request_that_failed_half_way_is_not_run_a_second_time(acme: Tenant, editor: Browser) -> None:
    text = """
sources:
  Shop: {connector: sample, config: {count: 3}}
  Broken: {connector: postgres, config: {host: 127.0.0.1, port: 9, database: a, username: a, password: a}}
destinations:
  Out: {connector: files, config: {path: out}}
connections:
  Charges: {source: Broken, destination: Out}
"""
    apply, key = "/api/kitestring/v1/project/text/apply", {"Idempotency-Key": "a"}
    body = {"workspaceId": acme.workspace_id, "text": text}
    first = editor.post(apply, json=body, headers=key)
    assert first.status_code >= 400, first.text
    assert names(editor) == ["Broken", "Shop", "acme"], first.text
    again = editor.post(apply, json=body, headers=key)
    assert (again.status_code, "retry-after" in again.headers) == (409, False)
    assert "failed after it had changed something" in again.json()["detail"]
    assert editor.post(apply, json=body, headers={"Idempotency-Key": "b"}).text == first.text
    wrong = {**body, "text": text.replace("count: 3", "cont: 3").replace("Shop", "Other")}
    assert [editor.post(apply, json=wrong, headers={"Idempotency-Key": "c"}).status_code for _ in range(2)] == [
        422,
        422,
    ]


def test_a_request_that_still_runs_is_waited_for_and_one_of_a_killed_server_is_not_run_again(
    acme: Tenant, context: Context, editor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "WAIT_S", 0.2)
    keys, name = IdempotencyKeys(context), key_of("a", editor_of(context))
    body = source(acme)
    request = editor.build_request("POST", "/v1/sources", json=body, headers={"Idempotency-Key": "a"})
    digest = keys.digest(b"POST\0/v1/sources?\0" + request.content)
    assert keys.claim(name, digest) is None
    waits = editor.send(request)
    assert (waits.status_code, waits.headers["retry-after"]) == (409, "5")
    with context.store.write() as db:
        db.execute(update(idempotency_keys).values(running_until_ms=1))
    stopped = editor.send(request)
    assert stopped.status_code == 409
    assert "retry-after" not in stopped.headers
    assert "the server stopped" in stopped.json()["detail"]
    assert names(editor) == ["acme"]


def editor_of(context: Context) -> Any:
    from kitestring.server.auth import user
    from kitestring.server.store.tables import users

    with context.store.read() as db:
        return user.principal_of(db, db.execute(select(users)).one())


def test_a_key_is_kept_for_a_day_and_its_answer_opens_while_the_secret_key_is_known(
    acme: Tenant, context: Context, editor: Browser
) -> None:
    key = {"Idempotency-Key": "a"}
    first = editor.post("/v1/sources", json=source(acme), headers=key)
    rotated = SecretBox([b"n" * 32, *context.secret_box.keys.values()])
    assert rotated.digest(b"x") == context.secret_box.digest(b"x")
    assert clean(context)
    assert editor.post("/v1/sources", json=source(acme), headers=key).text == first.text
    with context.store.write() as db:
        db.execute(update(idempotency_keys).values(expires_at_ms=1))
    assert editor.post("/v1/sources", json=source(acme), headers=key).text != first.text
    with context.store.write() as db:
        db.execute(update(idempotency_keys).values(expires_at_ms=1))
    clean(context)
    with context.store.read() as db:
        assert not list(db.execute(select(idempotency_keys)))


def test_an_answer_that_is_too_large_to_keep_arrives_and_is_not_made_twice(
    acme: Tenant, editor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MAX_ANSWER_BYTES", 100)
    key = {"Idempotency-Key": "a"}
    first = editor.post("/v1/sources", json=source(acme), headers=key)
    assert first.json()["name"] == "Help"
    second = editor.post("/v1/sources", json=source(acme), headers=key)
    assert second.status_code == 409
    assert "too large to keep" in second.json()["detail"]
    assert names(editor) == ["Help", "acme"]
