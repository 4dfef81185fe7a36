"""Python components that a manifest carries: they run only when an instance admin has approved their exact text."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from connections import ended
from integration.foreign_packages import python_of
from pages import Pages
from stand_ins.workshop import CLIENT, SECRET, WorkshopStandIn

from kitestring.airbyte import cdk
from kitestring.airbyte.custom_code import INTERPRETER
from kitestring.declarative.builder.validation import validate
from kitestring.declarative.python_components import digest_of
from kitestring.server.builder import builder_project
from kitestring.server.connections import connection
from kitestring.server.context import Context
from kitestring.server.jobs.forkserver import ForkServer
from kitestring.server.jobs.worker import Worker
from kitestring.server.settings import Settings
from kitestring.server.store import tables
from kitestring.testing.stand_in import Answer
from tests.unit.server.shop import OWN, PROJECTS, Shop
from tests.unit.server.tenants import Browser, Tenant, admin
from tests.unit.server.test_draft_consent import MANIFEST as OAUTH

pytestmark = pytest.mark.slow

COMPONENTS = f"{OWN}/builder/components"
CODE = '''\
"""Marks records — with the process that did it. 🪁"""

import os
import pathlib
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.declarative.transformations import RecordTransformation

pathlib.Path({mark!r}).write_text("ran")


@dataclass
class Mark(RecordTransformation):
    word: str = "none"

    def transform(self, record: dict[str, Any], *args: Any, **more: Any) -> None:
        record["marked"], record["process"] = self.word, os.getpid()
'''
MARKING = {"type": "CustomTransformation", "class_name": "components.Mark", "word": "kite 🪁"}


def carried(code: str, transformation: dict[str, Any] | None = None, **metadata: Any) -> str:
    """A manifest of `Pages` that carries components."""
    text = Path(__file__).with_name("pages.py").read_text()
    values = yaml.safe_load(text.partition('MANIFEST = """')[2].partition('"""')[0].replace("BUDGET\n", ""))
    values["streams"][0]["transformations"] = [transformation or MARKING]
    values["metadata"] = {"components_py": code, **metadata}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


@dataclass
class Bench:
    """A server with an instance admin, an admin and an editor of a workspace, and an API to read."""

    context: Context
    shop: Shop
    root: Browser
    workspace_admin: Browser
    pages: Pages
    mark: Path

    @property
    def code(self) -> str:
        return CODE.format(mark=str(self.mark))

    def approve(self, browser: Browser, code: str) -> Any:
        return browser.post(f"{COMPONENTS}/{digest_of(code)}/approval", json={"code": code})

    def read(
        self,
        manifest: str,
        browser: Browser | None = None,
        *,
        most: dict[str, int] | None = None,
        **config: Any,
    ) -> Any:
        body = {
            "workspaceId": self.shop.tenant.workspace_id,
            "manifest": manifest,
            "configuration": {"url": self.pages.url, "token": "t0p-s3cret", **config},
            "stream": "items",
            **(most or {"records": 15}),
        }
        return (browser or self.shop.editor).post(f"{OWN}/builder/read", json=body)

    def sync(self, connection_id: str) -> Any:
        started = self.shop.editor.post("/v1/jobs", json={"connectionId": connection_id, "jobType": "sync"})
        assert started.status_code == 200, started.text
        return ended(self.context, started.json()["jobId"])

    def refused(self, manifest: str, why: str = "that no instance_admin has approved", **config: Any) -> None:
        """A test read is refused, and none of the code has run."""
        answer = self.read(manifest, **config)
        assert answer.status_code == 422, answer.text
        assert why in answer.text
        assert not self.mark.exists()


@pytest.fixture
def bench(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv(INTERPRETER, python_of(f"airbyte-cdk=={cdk.BEFORE_7}"))
    context = Context.of(Settings(home=home))
    context.runner.fork_server = ForkServer()  # it starts with this environment
    root = Browser(context, admin(context))
    tenant = Tenant.make(context, "acme")
    shop = Shop(tenant, Browser(context, tenant.member("workspace_editor")))
    workspace_admin = Browser(context, tenant.member("workspace_admin"))
    with Pages() as pages:
        yield Bench(context, shop, root, workspace_admin, pages, tmp_path / "mark")
    context.close()


def test_nobody_but_an_instance_admin_approves_and_revokes(bench: Bench) -> None:
    digest = digest_of(bench.code)
    for browser in (bench.shop.editor, bench.workspace_admin):
        assert bench.approve(browser, bench.code).status_code == 403
        assert browser.delete(f"{COMPONENTS}/{digest}/approval").status_code == 403
        state = browser.post(COMPONENTS, json={"code": bench.code}).json()
        assert (state["digest"], state["approved"], state["possible"]) == (digest, False, True)
    bench.refused(carried(bench.code))
    other = bench.root.post(f"{COMPONENTS}/{digest}/approval", json={"code": bench.code + " "})
    assert (other.status_code, "the approval is for" in other.text) == (422, True)
    approved = bench.approve(bench.root, bench.code).json()
    assert (approved["approved"], approved["approvedBy"]) == (True, "root@example.com (test)")
    assert bench.root.delete(f"{COMPONENTS}/{digest}/approval").status_code == 204
    with bench.context.store.read() as db:
        rows = db.execute(tables.audit.select().where(tables.audit.c.kind == "python_components")).all()
    assert [(row.action, row.actor, row.resource_id) for row in rows] == [
        ("approve", "root@example.com (test)", digest),
        ("revoke", "root@example.com (test)", digest),
    ]


def test_a_test_read_shows_the_records_of_approved_components_and_no_secret(bench: Bench) -> None:
    code = bench.code + "\nprint('the token is t0p-s3cret')\n"
    bench.refused(carried(code))
    assert bench.read(carried(code), bench.root).status_code == 422, "an instance admin approves before a read too"
    assert bench.approve(bench.root, code).status_code == 200
    answer = bench.read(carried(code))
    assert answer.status_code == 200, answer.text
    reading = answer.json()
    assert reading["error"] == ""
    records = [record for part in reading["slices"] for page in part["pages"] for record in page["records"]]
    assert [record["id"] for record in records] == list(range(15))
    assert {record["marked"] for record in records} == {"kite 🪁"}
    assert os.getpid() not in {record["process"] for record in records}, "never in the server's process"
    assert reading["limited"] == ["records"]
    assert any("Airbyte's CDK runs" in line["message"] for line in reading["logs"])
    assert "t0p-s3cret" not in answer.text


GROUPS = {
    "type": "ListPartitionRouter",
    "cursor_field": "group",
    "values": ["red", "blue", "green"],
    "request_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "group"},
}


def test_a_test_read_of_components_shows_its_requests_by_slice_and_page(bench: Bench) -> None:
    assert bench.approve(bench.root, bench.code).status_code == 200
    values = yaml.safe_load(carried(bench.code))
    retriever = values["streams"][0]["retriever"]
    retriever["partition_router"] = GROUPS
    token = "{{ config['token'] }}"
    retriever["requester"]["authenticator"] = {"type": "BearerAuthenticator", "api_token": token}
    retriever["requester"]["request_parameters"] = {"search": token}
    text = yaml.safe_dump(values, allow_unicode=True)
    answer = bench.read(text, most={"records": 1000, "slices": 2, "pages": 2})
    reading = answer.json()
    assert (reading["error"], sorted(reading["limited"])) == ("", ["pages", "slices"]), reading
    assert [part["partition"]["group"] for part in reading["slices"]] == ["red", "blue"]
    for part in reading["slices"]:
        assert [len(page["records"]) for page in part["pages"]] == [10, 10]
        exchanges = [page["exchange"] for page in part["pages"]]
        assert [exchange["status"] for exchange in exchanges] == [200, 200]
        assert [exchange["response"]["items"][0]["id"] for exchange in exchanges] == [0, 10]
        assert all(f"group={part['partition']['group']}" in exchange["url"] for exchange in exchanges)
        assert ["page=0" in exchange["url"] for exchange in exchanges] == [True, False]
        assert exchanges[0]["headers"]["Authorization"].strip("*") == ""
        assert exchanges[0]["curl"].startswith(f"curl '{bench.pages.url}/items?")
    assert reading["other"] == []
    assert "t0p-s3cret" not in answer.text
    bench.pages.refusal = Answer(400, {"error": "the page is unknown"})
    refused = bench.read(text, most={"records": 1000, "slices": 2, "pages": 2}).json()
    (page,) = refused["slices"][0]["pages"]
    assert (page["exchange"]["status"], page["exchange"]["response"]) == (400, {"error": "the page is unknown"})
    assert "Bad request" in refused["error"]


def test_a_draft_with_components_goes_on_with_the_refresh_token_of_the_read_before(bench: Bench) -> None:
    assert bench.approve(bench.root, bench.code).status_code == 200
    with WorkshopStandIn() as workshop:
        values = yaml.safe_load(OAUTH.replace("URL", workshop.url))
        values["streams"][0]["transformations"] = [MARKING]
        values["metadata"] = {"components_py": bench.code}
        token = workshop.tokens.granted().refresh_token
        body = {
            "workspaceId": bench.shop.tenant.workspace_id,
            "name": "Rotating",
            "manifest": yaml.safe_dump(values, allow_unicode=True),
            "testConfiguration": {"client_id": CLIENT, "client_secret": SECRET, "refresh_token": token},
        }
        project = bench.shop.editor.post(PROJECTS, json=body).json()["projectId"]
        workshop.tokens.end_access()
        for requests in (1, 0):
            answer = bench.shop.editor.post(f"{PROJECTS}/{project}/read", json={"stream": "teams"})
            reading = answer.json()
            assert (reading["error"], len(reading["slices"][0]["pages"][0]["records"])) == ("", 4), reading
            assert len(reading["other"]) == requests, "the second read has the access token of the first"
            assert "token-" not in answer.text, "no token is shown, though the CDK got it"
        with bench.context.store.read() as db:
            row = builder_project.get(db, project)
        kept = builder_project.opened_config(bench.context, row)
        assert kept["refresh_token"] != token
        assert "token-" not in json.dumps(row.config)
    places = (bench.context.settings.home, Path.cwd() / ".kitestring")
    assert not [path for place in places for path in place.rglob("configurations")], "nothing is kept in the open"


def test_one_changed_byte_and_a_revocation_stop_the_code(bench: Bench) -> None:
    assert bench.approve(bench.root, bench.code).status_code == 200
    bench.refused(carried(bench.code + "\n"))
    bench.refused(carried(bench.code.replace("none", "nonE")))
    assert bench.read(carried(bench.code)).json()["error"] == ""
    bench.mark.unlink()
    bench.root.delete(f"{COMPONENTS}/{digest_of(bench.code)}/approval")
    bench.refused(carried(bench.code))


def test_a_published_version_is_checked_discovered_and_synced_while_its_components_are_approved(bench: Bench) -> None:
    shop = bench.shop
    shop.begin(carried(bench.code), "Pages")
    refused = shop.post()
    assert (refused.status_code, "has approved" in refused.text) == (422, True)
    assert bench.approve(bench.root, bench.code).status_code == 200
    definition_id = shop.publish()["definitionId"]
    spec = shop.editor.get(f"{OWN}/connectors/source/{definition_id}").json()["spec"]
    assert "allow_custom_code" not in spec["properties"]
    source_id = shop.source(definition_id, config={"url": bench.pages.url})
    connection_id = shop.connection(source_id, "items")
    worker = Worker(bench.context, connection.plan_of, slots=1)
    worker.start()
    try:
        first = bench.sync(connection_id)
        assert first.status == "succeeded", first
        files = list((bench.context.settings.home / "workspaces").rglob("*.jsonl"))
        rows = [json.loads(line) for path in files for line in path.read_text().splitlines()]
        assert len(rows) == 30
        assert {row["marked"] for row in rows} == {"kite 🪁"}

        bench.mark.unlink()
        bench.root.delete(f"{COMPONENTS}/{digest_of(bench.code)}/approval")
        assert bench.sync(connection_id).status == "failed"
        check = shop.editor.post(f"{OWN}/sources/{source_id}/check")
        assert "has approved" in check.text
        body = {
            "name": "another",
            "workspaceId": shop.tenant.workspace_id,
            "definitionId": definition_id,
            "configuration": {"url": bench.pages.url},
        }
        another = shop.editor.post("/v1/sources", json=body)
        assert another.status_code in (400, 422), another.text
        assert not bench.mark.exists()
    finally:
        worker.stop()


def test_a_hardened_server_runs_no_components_and_approves_none(bench: Bench, tmp_path: Path) -> None:
    assert bench.approve(bench.root, bench.code).status_code == 200
    home = Path(shutil.copytree(bench.context.settings.home, tmp_path / "hardened"))
    context = Context.of(Settings(home=home, allow_private_hosts=False))
    try:
        root = Browser(context, "root@example.com")
        state = root.post(COMPONENTS, json={"code": bench.code}).json()
        assert (state["approved"], state["possible"]) == (True, False)
        refused = bench.approve(root, bench.code)
        assert (refused.status_code, "runs no Python components" in refused.text) == (422, True)
        answer = bench.read(carried(bench.code), root)
        assert (answer.status_code, "this server runs none" in answer.text) == (422, True)
        assert not bench.mark.exists()
    finally:
        context.close()
    assert Settings(home=home).runs_python_components
    assert not Settings(home=home, python_components=False).runs_python_components
    assert Settings(home=home, python_components=True, allow_private_hosts=False).runs_python_components


def test_an_approval_opens_no_way_to_other_code(bench: Bench, tmp_path: Path) -> None:
    assert bench.approve(bench.root, bench.code).status_code == 200
    other = {**MARKING, "class_name": "subprocess.Popen"}
    bench.refused(carried(bench.code, other), "may use classes of its own components only")
    text = carried(bench.code)
    assert validate(text) == []
    assert "subprocess.Popen" in validate(carried(bench.code, other))[0].message
    loader = text.replace("InlineSchemaLoader", "JsonFileSchemaLoader")
    bench.refused(loader, "reads its schema from a file")
    # The CDK would run code from the configuration, and classes of any module that a template names while it runs.
    evil = tmp_path / "evil"
    injected = f"import pathlib; pathlib.Path({str(evil)!r}).write_text('ran')"
    sums = {"sha256": sha256(injected.encode()).hexdigest()}
    config: dict[str, Any] = {"__injected_components_py": injected, "__injected_components_py_checksums": sums}
    answer = bench.read(text, **config)
    assert answer.json()["error"] == "", answer.text
    assert not evil.exists()
    values = yaml.safe_load(text)
    stream = {**values["streams"][0], "name": "others"}
    touch = {"type": "CustomTransformation", "class_name": "components.Mark", "args": ["touch", str(evil)]}
    stream["transformations"] = [touch, MARKING]
    mapping = {
        "type": "ComponentMappingDefinition",
        "field_path": ["transformations", "0", "class_name"],
        "value": "{{ components_values['kind'] }}",
    }
    streams = {"type": "StreamConfig", "configs_pointer": ["kinds"]}
    resolver = {"type": "ConfigComponentsResolver", "stream_config": streams, "components_mapping": [mapping]}
    values["dynamic_streams"] = [
        {
            "type": "DynamicDeclarativeStream",
            "name": "kinds",
            "stream_template": stream,
            "components_resolver": resolver,
        }
    ]
    dynamic = yaml.safe_dump(values, allow_unicode=True)
    good = bench.read(dynamic, kinds=[{"kind": "components.Mark"}])
    assert good.json()["error"] == "", good.text
    bad = bench.read(dynamic, kinds=[{"kind": "subprocess.Popen"}])
    assert bad.json()["error"], bad.text
    assert "no class of the components" in bad.text
    assert not evil.exists()
