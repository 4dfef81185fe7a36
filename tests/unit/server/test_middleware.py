"""What every request and every answer meets."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from kitestring.server.app import create_app
from kitestring.server.context import Context
from kitestring.server.http.middleware import OPEN_BYTES, WithoutQuery
from kitestring.server.settings import Settings
from tests.unit.server.tenants import Browser, Tenant, admin

pytestmark = pytest.mark.slow

SESSION = "/api/kitestring/v1/session"


def chunks(size: int) -> Iterator[bytes]:
    """A body that does not say how long it is."""
    yield b'{"name": "'
    for _ in range(size // 1000):
        yield b"x" * 1000
    yield b'"}'


def test_every_answer_has_the_security_headers_and_none_lets_another_site_read_it(context: Context) -> None:
    client = Browser(context)
    for path in ("/v1/health", "/v1/applications", "/v1/nothing", "/api/openapi.json"):
        answer = client.get(path, headers={"Origin": "https://evil.example"})
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers
    requests = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in client.options("/v1/applications", headers=requests).headers


def test_no_cache_keeps_the_events_of_a_job(context: Context) -> None:
    acme = Tenant.make(context, "acme")
    with context.store.write() as db:
        job = context.queue.enqueue(db, acme.connection_id, "sync")
        context.queue.cancel(db, job)
    answer = Browser(context, acme.member("workspace_reader")).get(f"/api/kitestring/v1/jobs/{job}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert "event: end" in answer.text


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(context: Context) -> None:
    limited = replace(
        context,
        settings=Settings(home=context.settings.home, max_request_mb=0.1),
    )
    client = TestClient(create_app(limited))
    url = "/v1/applications"
    assert client.post(url, json={"name": "x" * 200_000}).status_code == 413
    assert client.post(url, content=chunks(200_000)).status_code == 413
    assert client.post(url, json={"name": "x"}, headers={"Content-Length": "nonsense"}).status_code == 413
    json = {"Content-Type": "application/json"}
    assert client.post(url, content=chunks(0), headers=json).status_code == 400  # an empty name
    assert client.post(url, content=iter([b'{"name":', b' "whole"}']), headers=json).json()["name"] == "whole"


def test_where_no_credentials_are_asked_for_a_body_is_small(context: Context) -> None:
    client = TestClient(create_app(context))
    for url in ("/applications/token", "/api/kitestring/v1/session/login"):
        assert client.post(url, content=b"x" * (OPEN_BYTES + 1)).status_code == 413
        assert client.post(url, content=chunks(OPEN_BYTES + 1000)).status_code == 413


def test_the_access_log_shows_no_query() -> None:
    line = ("127.0.0.1:5", "GET", "/v1/oauth/callback?code=geheim&state=x", "1.1", 302)
    record = logging.LogRecord("uvicorn.access", 20, "", 0, '%s - "%s %s HTTP/%s" %d', line, None)
    assert WithoutQuery().filter(record)
    assert record.getMessage() == '127.0.0.1:5 - "GET /v1/oauth/callback HTTP/1.1" 302'


def test_text_that_no_database_can_keep_is_refused_and_emoji_are_not(context: Context) -> None:
    client = Browser(context)
    json = {"Content-Type": "application/json"}
    for word in (rb"\ud800", rb"\udc00", rb"a\ud800b", rb"\ud83d\ud83d", rb"\u0000", rb"\uDC00\uD800"):
        for url in ("/v1/applications", "/applications/token", "/api/kitestring/v1/session/login"):
            answer = client.post(url, content=b'{"name": "' + word + b'", "email": "", "password": ""}', headers=json)
            assert answer.status_code in (400, 401), (word, url)
    for word in (rb"\ud83d\ude00", rb"\u00e4", rb"\\u0000", rb"\\ud800", "😀".encode()):
        assert client.post("/v1/applications", content=b'{"name": "' + word + b'"}', headers=json).status_code == 200
    for path in ("/v1/sources/%00", "/v1/sources?workspaceIds=%00"):
        assert client.get(path).status_code == 400


def test_a_body_in_another_encoding_hides_nothing(context: Context) -> None:
    admin(context)
    client = Browser(context, "root@example.com")
    kind = {"Content-Type": "application/json"}
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        body = '{"name": "a\\u0000", "email": "a@b", "password": "\\u0000"}'.encode(encoding)
        for url in ("/v1/applications", f"{SESSION}/login", "/v1/applications/token"):
            assert client.post(url, content=body, headers=kind).status_code == 400, (encoding, url)
    lone = b'{"name": "x", "workspaceId": "", "configuration": {"a": "\xed\xa0\x80"}}'
    assert "UTF-8" in client.post("/v1/sources", content=lone, headers=kind).json()["detail"]


def test_a_nul_among_credentials_is_refused_before_any_database_is_asked(context: Context) -> None:
    admin(context)
    client = Browser(context)
    for words in (b"a\0@example.com:word", b"a\0:word"):
        header = {"Authorization": f"Basic {base64.b64encode(words).decode()}"}
        assert "base64" in client.get("/v1/workspaces", headers=header).json()["detail"]
        assert client.post("/v1/applications/token", headers=header).status_code == 400
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    response = client.post("/v1/applications/token", content=b"client_id=a%00&client_secret=x", headers=form)
    assert response.status_code == 400
    login = client.post(f"{SESSION}/login", json={"email": "a\0@example.com", "password": "word"})
    assert login.status_code == 400


def test_a_number_that_no_database_takes_is_refused(context: Context) -> None:
    client = Browser(context)
    for offset in (2**63, 10**20):
        for path in ("/v1/sources", "/v1/jobs", "/v1/workspaces", "/v1/connections"):
            assert client.get(f"{path}?offset={offset}").status_code == 400, path
