"""Secrets that an earlier version stored unencrypted are encrypted when a server starts."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from sqlalchemy import select, update

from kitestring.server.connections import endpoints
from kitestring.server.connections.unsealed_secrets import seal_secrets
from kitestring.server.context import Context
from kitestring.server.run import Server
from kitestring.server.store.tables import connector_versions, definitions, sources
from kitestring.yaml_lines import read_yaml
from tests.unit.server.pages import MANIFEST
from tests.unit.server.tenants import Browser, Tenant

PLAIN = {"url": "https://api.example.com", "token": "t0p-s3cret"}


def stored(context: Context, source_id: str) -> dict[str, Any]:
    with context.store.read() as db:
        config: dict[str, Any] = db.execute(select(sources.c.config).where(sources.c.id == source_id)).scalar_one()
    return config


def unsealed_source(context: Context) -> str:
    """A low-code source whose form is behind a reference, with a token as an earlier version stored it."""
    tenant = Tenant.make(context, "acme")
    editor = Browser(context, tenant.member("workspace_editor"))
    manifest = copy.deepcopy(read_yaml(MANIFEST.replace("BUDGET", ""), "the manifest")[0])
    manifest |= {"definitions": {"spec": manifest["spec"]}, "spec": "#/definitions/spec"}
    path = f"/v1/workspaces/{tenant.workspace_id}/definitions/declarative_sources"
    definition_id = editor.post(path, json={"name": "Pages", "manifest": manifest}).json()["id"]
    ids = {"workspaceId": tenant.workspace_id, "definitionId": definition_id}
    source_id: str = editor.post("/v1/sources", json={"name": "Pages", **ids, "configuration": PLAIN}).json()[
        "sourceId"
    ]
    with context.store.write() as db:
        db.execute(update(sources).where(sources.c.id == source_id).values(config=PLAIN))
    return source_id


def test_a_start_of_a_server_encrypts_a_secret_that_is_stored_open(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    source_id = unsealed_source(context)
    server = Server(context, api=False, work=False)
    server.start()
    server.stop()
    config = stored(context, source_id)
    assert config["url"] == PLAIN["url"]
    assert config["token"].startswith("sealed:")
    with context.store.read() as db:
        assert endpoints.endpoint_of(context, db, "source", source_id).config == PLAIN
    assert "was stored unencrypted" in caplog.text
    assert PLAIN["token"] not in caplog.text
    assert seal_secrets(context) == 0
    assert stored(context, source_id) == config


def test_a_form_that_cannot_be_read_does_not_keep_a_server_from_starting(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    source_id = unsealed_source(context)
    with context.store.write() as db:
        db.execute(update(definitions).values(manifest={"spec": "#/definitions/nowhere"}))
        db.execute(update(connector_versions).values(manifest='spec: "#/definitions/nowhere"'))
    assert seal_secrets(context) == 0
    assert "cannot be checked" in caplog.text
    assert stored(context, source_id) == PLAIN
