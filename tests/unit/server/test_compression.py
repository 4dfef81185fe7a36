"""Compressed answers: who gets them, and which are left as they are."""

from __future__ import annotations

import pytest

from kitestring.server.context import Context
from tests.unit.server.tenants import Browser, Tenant, admin

pytestmark = pytest.mark.slow

CONNECTORS = "/api/kitestring/v1/connectors"


def test_an_answer_of_the_api_is_compressed_for_a_client_that_takes_it(context: Context) -> None:
    browser = Browser(context)
    plain = browser.get(CONNECTORS, headers={"Accept-Encoding": "identity"})
    answer = browser.get(CONNECTORS, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["vary"]
    assert answer.content == plain.content
    assert int(answer.headers["content-length"]) < len(plain.content) / 4
    assert "content-encoding" not in plain.headers


def test_events_a_small_answer_and_a_session_are_never_compressed(context: Context) -> None:
    acme = Tenant.make(context, "acme")
    with context.store.write() as db:
        job = context.queue.enqueue(db, acme.connection_id, "sync")
        context.queue.cancel(db, job)
    browser = Browser(context, admin(context))
    for path in (f"/api/kitestring/v1/jobs/{job}/events", "/v1/health", "/api/kitestring/v1/session"):
        answer = browser.get(path, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200, path
        assert "content-encoding" not in answer.headers, path
