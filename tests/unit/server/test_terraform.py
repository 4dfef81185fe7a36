"""What Terraform's Airbyte provider asks, resource by resource, replayed: its public behaviour, not its code.

Facts about the provider (version 1.3): create is a POST, read a GET, update a PUT (sources, destinations, definitions)
or a PATCH (connections, workspaces, permissions), import a read. 200 exactly; a delete 204 (200 for definitions) or
404; 404 on read means removed. After creating or updating a source or a destination it reads; a connection it does not.
A second plan shows no difference when what was sent comes back.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from kitestring.server.auth import user
from kitestring.server.context import Context
from kitestring.server.workspaces import workspaces
from tests.unit.server.tenants import Browser, admin

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parents[2] / "golden" / "terraform"
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
SECRETS = ("api_token",)
EXTRACTOR: dict[str, Any] = {"type": "DpathExtractor", "field_path": []}
MANIFEST = {
    "type": "DeclarativeSource",
    "version": "6.0.0",
    "check": {"type": "CheckStream", "stream_names": ["countries"]},
    "streams": [
        {
            "type": "DeclarativeStream",
            "name": "countries",
            "retriever": {
                "type": "SimpleRetriever",
                "requester": {"type": "HttpRequester", "url_base": "https://example.com", "path": "/countries"},
                "record_selector": {"type": "RecordSelector", "extractor": EXTRACTOR},
            },
            "schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": "object", "properties": {}}},
        }
    ],
}


class Provider:
    """Sends what the provider sends, and keeps what was said, with ids and times named."""

    def __init__(self, context: Context, folder: Path) -> None:
        self.client = Browser(context, admin(context))
        self.document = self.client.get("/api/openapi.json").json()
        self.exchanges: list[dict[str, Any]] = []
        self.names: dict[str, str] = {}
        self.folder = folder
        with context.store.write() as db:
            self.user_id = user.add(db, "ada@example.com", None, 1)
            self.workspace_id = workspaces.default(db).id
            self.organization_id = workspaces.default(db).organization_id
        for name, value in (("user", self.user_id), ("workspace", self.workspace_id)):
            self.names[value] = f"<{name}>"
        self.names[self.organization_id] = "<organization>"

    def send(self, method: str, path: str, body: Any = None, status: int = 200, name: str = "") -> Any:
        """The answer's body; its status has to be this one, and its shape the document's. `name` is for a new id."""
        answer = self.client.request(method, f"/api/public/v1{path}", json=body)
        assert answer.status_code == status, answer.text
        actual_body = answer.json() if answer.content else None
        if name:
            key = "id" if "id" in actual_body else next(key for key in actual_body if key.endswith("Id"))
            self.names[actual_body[key]] = f"<{name}>"
        if status == 200:
            self.check(method, path, actual_body)
        messages = {"request": f"{method} {self.named(path)}", **({"body": self.named(body)} if body else {})}
        displayed = actual_body if status < 400 else {"title": actual_body["title"]}
        self.exchanges.append(
            {**messages, "status": status, **({"answer": self.named(displayed)} if displayed else {})}
        )
        return actual_body

    def check(self, method: str, path: str, response_body: Any) -> None:
        """The answer is as the OpenAPI document says."""
        whole = f"/api/public/v1{path}"
        for template, methods in self.document["paths"].items():
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), whole) and method.lower() in methods:
                shape = methods[method.lower()]["responses"]["200"]["content"]["application/json"]["schema"]
                Draft202012Validator({**shape, "components": self.document["components"]}).validate(response_body)
                return
        raise AssertionError(f"the document has no {method} {path}")

    def named(self, value: Any) -> Any:
        """A value with each id by its name, and without times and folders."""
        text = json.dumps(value)
        text = UUID.sub(lambda results: self.names.get(results[0], results[0]), text)
        text = re.sub(r'"createdAt": \d+', '"createdAt": "<seconds>"', text)
        return json.loads(text.replace(str(self.folder), "<folder>"))

    def resource(
        self, name: str, path: str, create: Mapping[str, Any], update: Mapping[str, Any], verb: str, deleted: int = 204
    ) -> None:
        """The whole life of a resource: made, planned again, changed, imported, destroyed, and gone."""
        reads = name in ("source", "destination")
        response = self.send("POST", path, create, name=name)
        place = f"{path}/{response['id'] if 'id' in response else response[f'{name}Id']}"
        settled(create, self.send("GET", place) if reads else response)
        settled(create, self.send("GET", place))
        changed = self.send(verb, place, update)
        settled(update, self.send("GET", place) if reads else changed)
        second = self.send("GET", place)
        settled(update, second)
        self.send("DELETE", place, status=deleted)
        self.send("GET", place, status=404)
        self.send("DELETE", place, status=404)

    def kept(self, name: str) -> None:
        """What was said is what the golden file holds."""
        path = GOLDEN / f"{name}.yaml"
        text = yaml.safe_dump(self.exchanges, sort_keys=False, allow_unicode=True, width=120)
        if os.environ.get("KITESTRING_GOLDEN"):
            path.write_text(text)
        assert text == path.read_text(), "the API has changed: look at the diff after KITESTRING_GOLDEN=1 pytest"


def settled(sent: Any, results: Any, at: str = "") -> None:
    """What was sent comes back: a second plan has no difference. Of secrets the provider keeps its own."""
    if isinstance(sent, Mapping):
        for key, value in sent.items():
            if key in SECRETS:
                continue
            assert key in results, f"{at}.{key} did not come back"
            if key == "cronExpression":
                assert results[key] == f"{value} UTC"
                continue
            settled(value, results[key], f"{at}.{key}")
    elif isinstance(sent, list):
        assert len(sent) == len(results), f"{at}: {sent} became {results}"
        for number, (item, other) in enumerate(zip(sent, results, strict=True)):
            settled(item, other, f"{at}[{number}]")
    else:
        assert sent == results, f"{at}: {sent} became {results}"


@pytest.fixture
def provider(context: Context, tmp_path: Path) -> Provider:
    return Provider(context, tmp_path)


def zendesk(provider: Provider, **more: Any) -> dict[str, Any]:
    token = {"credentials": "api_token", "email": "a@example.com", "api_token": "a secret of Zendesk"}
    return {"subdomain": "acme", "start_date": "2024-01-01T00:00:00Z", "credentials": token, **more}


def test_a_source(provider: Provider) -> None:
    create = {
        "name": "help desk",
        "workspaceId": provider.workspace_id,
        "definitionId": "79c1aa37-dae3-42ae-b333-d1c105477715",
        "configuration": zendesk(provider),
    }
    update = {"name": "the help desk", "configuration": zendesk(provider, ignore_pagination=True)}
    provider.resource("source", "/sources", create, update, "PUT")
    assert "a secret" not in json.dumps([entry.get("answer") for entry in provider.exchanges])
    for item in provider.exchanges:
        if isinstance(item.get("body"), dict):
            item["body"]["configuration"]["credentials"]["api_token"] = "<secret>"
    provider.kept("source")


def test_a_destination(provider: Provider) -> None:
    ends = {"path": str(provider.folder / "files"), "format": "jsonl"}
    listed = provider.client.get(f"/v1/workspaces/{provider.workspace_id}/definitions/destinations").json()["data"]
    files = next(item["id"] for item in listed if item["dockerRepository"] == "kitestring/destination-files")
    create = {"name": "files", "workspaceId": provider.workspace_id, "definitionId": files, "configuration": ends}
    update = {"name": "other files", "configuration": {**ends, "format": "csv"}}
    provider.resource("destination", "/destinations", create, update, "PUT")
    provider.kept("destination")


def test_a_connection(provider: Provider) -> None:
    ends = {"workspaceId": provider.workspace_id}
    sample = {"sourceType": "sample", "count": 3}
    source = provider.send("POST", "/sources", {**ends, "name": "people", "configuration": sample}, name="source")
    files = {"destinationType": "duckdb", "path": str(provider.folder / "x.duckdb")}
    destination = provider.send(
        "POST", "/destinations", {**ends, "name": "files", "configuration": files}, name="destination"
    )
    stream = {
        "name": "users",
        "syncMode": "incremental_deduped_history",
        "cursorField": ["updated_at"],
        "primaryKey": [["id"]],
        "selectedFields": [{"fieldPath": ["id"]}, {"fieldPath": ["name"]}, {"fieldPath": ["updated_at"]}],
        "includeFiles": False,
        "destinationObjectName": "users",
        "mappers": [],
    }
    create = {
        "name": "people to files",
        "sourceId": source["sourceId"],
        "destinationId": destination["destinationId"],
        "configurations": {"streams": [stream, {"name": "products", "syncMode": "full_refresh_overwrite"}]},
        "schedule": {"scheduleType": "cron", "cronExpression": "0 0 12 * * ?"},
        "namespaceDefinition": "custom_format",
        "namespaceFormat": "raw_${SOURCE_NAMESPACE}",
        "prefix": "p_",
        "nonBreakingSchemaUpdatesBehavior": "propagate_columns",
        "status": "active",
    }
    update = {
        "name": "renamed",
        "configurations": {"streams": [{"name": "products", "syncMode": "full_refresh_append"}]},
        "schedule": {"scheduleType": "manual"},
        "namespaceDefinition": "destination",
        "namespaceFormat": "",
        "prefix": "",
        "nonBreakingSchemaUpdatesBehavior": "ignore",
        "status": "inactive",
    }
    provider.resource("connection", "/connections", create, update, "PATCH")
    provider.kept("connection")


def test_a_connection_of_which_nothing_is_said_takes_all_streams(provider: Provider) -> None:
    ends = {"workspaceId": provider.workspace_id}
    sample, files = {"sourceType": "sample"}, {"destinationType": "files", "path": str(provider.folder)}
    source = provider.send("POST", "/sources", {**ends, "name": "people", "configuration": sample}, name="source")
    destination = provider.send(
        "POST", "/destinations", {**ends, "name": "files", "configuration": files}, name="destination"
    )
    create = {"sourceId": source["sourceId"], "destinationId": destination["destinationId"]}
    provider.resource("connection", "/connections", create, {"name": "named"}, "PATCH")
    provider.kept("connection_defaults")


def test_a_workspace(provider: Provider) -> None:
    messages = {
        "failure": {"email": {"enabled": True}, "webhook": {"enabled": True, "url": "https://example.com/hook"}},
        "success": {"email": {"enabled": False}},
    }
    create = {"name": "support", "organizationId": provider.organization_id, "notifications": messages}
    created = {key: value for key, value in create.items() if key != "organizationId"}
    update = {**created, "name": "the support"}
    place = provider.send("POST", "/workspaces", create, name="workspace")["workspaceId"]
    settled(created, provider.send("GET", f"/workspaces/{place}"))
    settled(update, provider.send("PATCH", f"/workspaces/{place}", update))
    settled(update, provider.send("GET", f"/workspaces/{place}"))
    provider.send("DELETE", f"/workspaces/{place}", status=204)
    provider.send("GET", f"/workspaces/{place}", status=404)
    provider.send("DELETE", f"/workspaces/{place}", status=404)
    provider.kept("workspace")


def test_a_permission(provider: Provider) -> None:
    create = {
        "permissionType": "workspace_reader",
        "userId": provider.user_id,
        "workspaceId": provider.workspace_id,
    }
    provider.resource("permission", "/permissions", create, {"permissionType": "workspace_editor"}, "PATCH")
    provider.kept("permission")


@pytest.mark.parametrize("kind", ["source", "destination"])
def test_a_definition(provider: Provider, kind: str) -> None:
    create = {
        "name": "mine",
        "dockerRepository": f"me/{kind}-mine",
        "dockerImageTag": "1.0.0",
        "documentationUrl": "https://example.com/docs",
    }
    update = {"name": "mine, renamed", "dockerImageTag": "1.0.1"}
    where = f"/workspaces/{provider.workspace_id}/definitions/{kind}s"
    provider.resource(f"{kind}Definition", where, create, update, "PUT", deleted=200)
    provider.kept(f"{kind}_definition")


def test_a_low_code_definition(provider: Provider) -> None:
    where = f"/workspaces/{provider.workspace_id}/definitions/declarative_sources"
    create = {"name": "countries", "manifest": MANIFEST}
    changed = {"manifest": {**MANIFEST, "version": "6.1.0"}}
    provider.resource("declarativeSourceDefinition", where, create, changed, "PUT", deleted=200)
    provider.kept("declarative_source_definition")
