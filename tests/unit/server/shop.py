"""A workspace with an editor who publishes versions of a low-code connector: for tests of the connector builder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.unit.server.tenants import Browser, Tenant

OWN = "/api/kitestring/v1"
PROJECTS = f"{OWN}/builder/projects"
THINGS = """\
# Version %(number)s of the connector.
version: 6.0.0
type: DeclarativeSource
check: {type: CheckStream, stream_names: [things]}
streams:
  - type: DeclarativeStream
    name: things
    primary_key: %(key)s
    retriever: &all
      type: SimpleRetriever
      requester: {type: HttpRequester, url_base: "http://127.0.0.1:9", path: /things}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}
    schema_loader:
      type: InlineSchemaLoader
      schema: {type: object, properties: {id: {type: integer}, uid: {type: string}}}
  - type: DeclarativeStream
    name: %(other)s
    retriever: *all
    schema_loader: {type: InlineSchemaLoader, schema: {type: object, properties: {id: {type: integer}}}}
spec:
  type: Spec
  connection_specification:
    type: object
    required: [token%(required)s]
    properties:
      token: {type: string, airbyte_secret: true}
      region: {type: string}
"""


def things(number: int, key: str = "id", other: str = "parts", required: str = "") -> str:
    return THINGS % {"number": number, "key": key, "other": other, "required": required}


@dataclass
class Shop:
    """A workspace whose editor publishes a connector of things."""

    tenant: Tenant
    editor: Browser
    project: dict[str, Any] = field(default_factory=dict)

    def begin(self, text: str, name: str = "Things") -> None:
        body = {"workspaceId": self.tenant.workspace_id, "name": name, "manifest": text}
        self.project = self.editor.post(PROJECTS, json=body).json()

    @property
    def path(self) -> str:
        return f"{PROJECTS}/{self.project['projectId']}"

    def write(self, text: str, **fields: Any) -> None:
        body = {"revision": self.project["revision"], "manifest": text, **fields}
        answer = self.editor.patch(self.path, json=body)
        assert answer.status_code == 200, answer.text
        self.project = answer.json()

    def plan(self) -> dict[str, Any]:
        answer = self.editor.post(f"{self.path}/publish/plan", json={"revision": self.project["revision"]})
        assert answer.status_code == 200, answer.text
        plan: dict[str, Any] = answer.json()
        return plan

    def post(self, **fields: Any) -> Any:
        return self.editor.post(f"{self.path}/publish", json={"revision": self.project["revision"], **fields})

    def publish(self, **fields: Any) -> dict[str, Any]:
        answer = self.post(**fields)
        assert answer.status_code == 200, answer.text
        published: dict[str, Any] = answer.json()
        return published

    def source(self, definition_id: str, name: str = "Shop", config: dict[str, Any] | None = None) -> str:
        body = {
            "name": name,
            "workspaceId": self.tenant.workspace_id,
            "definitionId": definition_id,
            "configuration": config or {"token": "t0p-s3cret"},
        }
        answer = self.editor.post("/v1/sources", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["sourceId"])

    def connection(self, source_id: str, *streams: str) -> str:
        files = {"destinationType": "files", "path": f"out/{source_id}", "format": "jsonl"}
        where = {"workspaceId": self.tenant.workspace_id, "name": "files", "configuration": files}
        destination = self.editor.post("/v1/destinations", json=where).json()["destinationId"]
        chosen = [{"name": name, "syncMode": "full_refresh_overwrite"} for name in streams]
        body = {"sourceId": source_id, "destinationId": destination, "configurations": {"streams": chosen}}
        answer = self.editor.post("/v1/connections", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["connectionId"])

    def row(self, table: Any, key: str) -> Any:
        with self.tenant.context.store.read() as db:
            return db.execute(table.select().where(table.c.id == key)).one()

    def runs(self, source_id: str) -> int:
        version: int = self.editor.get(f"{OWN}/sources/{source_id}/connector-version").json()["version"]
        return version

    def versions(self) -> list[dict[str, Any]]:
        data: list[dict[str, Any]] = self.editor.get(f"{self.path}/versions").json()["data"]
        return data
