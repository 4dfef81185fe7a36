"""Credentials that their connector renews: kept in the row of the source, and renewed by one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from connections import ended, enqueue, new_connection, plan_of
from pages import MANIFEST, Pages
from sqlalchemy import select, update

from kitestring.redact import MASK
from kitestring.server.builder import builder_project
from kitestring.server.connections import endpoints
from kitestring.server.connectors import definitions
from kitestring.server.context import Context
from kitestring.server.jobs.config_updates import LEASE_MS, ConfigUpdater, merge_changes
from kitestring.server.jobs.worker import Worker
from kitestring.server.store.tables import connections, consents, renewals, sources
from kitestring.testing.stand_in import Answer, Call, route
from kitestring.testing.token_endpoint import TokenEndpoint
from kitestring.testing.zendesk import ZendeskStandIn
from kitestring.yaml_lines import read_yaml
from tests.unit.server.tenants import Browser, Tenant, admin

pytestmark = pytest.mark.slow

ITEMS = [{"name": "items"}]


class SignedPages(Pages):
    """Pages for those who have a token. A refresh ends the old pair, and takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = TokenEndpoint({"larkspur": "secret"}, delay_s=0.5)

    @route("POST", "/token")
    def token(self, call: Call) -> Any:
        return self.tokens.answer(call)

    def authorize(self, call: Call) -> Answer | None:
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        return None if call.path == "/token" or self.tokens.allows(token) else self.refuse(401, "no")

    def signed_manifest(self, folder: Path) -> str:
        path = folder / "signed.yaml"
        text = MANIFEST.replace("BUDGET", "").replace("http_method: GET}", "http_method: GET, authenticator: AUTH}")
        form = "properties: {url: {type: string}, token: {type: string, airbyte_secret: true}}"
        secret = "properties: {url: {type: string}, credentials: {type: object, properties: {SECRETS}}}"
        secrets = ", ".join(
            f"{name}: {{type: string, airbyte_secret: true}}" for name in ("access_token", "refresh_token")
        )
        auth = (
            "{type: OAuthAuthenticator, client_id: larkspur, client_secret: secret, refresh_token_updater: {}, "
            "token_refresh_endpoint: \"{{ config['url'] }}/token\"}"
        )
        path.write_text(text.replace("AUTH", auth).replace(form, secret.replace("SECRETS", secrets)))
        return str(path)


@pytest.fixture
def pages() -> Iterator[SignedPages]:
    with SignedPages() as served:
        yield served


def of_source(context: Context, pages: SignedPages, folder: Path, count: int) -> list[str]:
    """Connections of one source, whose access token has ended."""
    pair = pages.tokens.granted()
    pages.tokens.end_access()
    config = {"url": pages.url, "credentials": {"access_token": "ended", "refresh_token": pair.refresh_token}}
    manifest = pages.signed_manifest(folder)
    connection_ids = [
        new_connection(
            context, config, {"path": str(folder / f"out{n}"), "format": "jsonl"}, ITEMS, source_connector=manifest
        )
        for n in range(count)
    ]
    first = plan_of(context, connection_ids[0]).source.id
    with context.store.write() as db:
        db.execute(update(connections).where(connections.c.id.in_(connection_ids)).values(source_id=first))
    return connection_ids


def test_jobs_of_one_source_never_renew_at_once(
    context: Context, work: Callable[[], Worker], pages: SignedPages, tmp_path: Path
) -> None:
    connection_ids = of_source(context, pages, tmp_path, 3)
    work()
    work()
    numbers = [enqueue(context, connection_id) for connection_id in connection_ids]
    assert [ended(context, number).status for number in numbers] == ["succeeded"] * 3
    assert [exchange.status for exchange in pages.tokens.exchanges] == [200]
    assert pages.tokens.most_at_once == 1
    source = plan_of(context, connection_ids[0]).source
    with context.store.read() as db:
        row = db.execute(select(sources.c.config).where(sources.c.id == source.id)).scalar_one()
        assert db.execute(select(renewals)).all() == []
    assert "token-" not in str(row)
    stored = context.secret_box.open_config(row, source.id)["credentials"]
    assert pages.tokens.allows(stored["access_token"])


def test_a_check_and_a_job_share_what_one_of_them_renews(
    context: Context, work: Callable[[], Worker], pages: SignedPages, tmp_path: Path
) -> None:
    (connection_id,) = of_source(context, pages, tmp_path, 1)
    source = plan_of(context, connection_id).source
    context.runner.run("check", {"source": source.body()}, updater=ConfigUpdater(context, source=source))
    work()
    assert ended(context, enqueue(context, connection_id)).status == "succeeded"
    assert len(pages.tokens.refreshes) == 1


def test_a_renewal_of_a_process_that_is_gone_ends(context: Context, tmp_path: Path) -> None:
    connection_id = new_connection(context, {}, {"path": str(tmp_path)}, ITEMS)
    updater = ConfigUpdater(context, source=plan_of(context, connection_id).source)
    request = {"end": "source", "holder": "first"}
    assert updater.renewal(request)["granted"]
    assert updater.renewal(request)["granted"]
    assert updater.renewal({**request, "holder": "second"}) == {"granted": False}
    with context.store.write() as db:
        db.execute(update(renewals).values(until_ms=renewals.c.until_ms - LEASE_MS - 1))
    assert updater.renewal({**request, "holder": "second"})["granted"]
    updater.renewal({**request, "over": True})  # not its own any more
    assert updater.renewal(request) == {"granted": False}
    updater.renewal({**request, "holder": "second", "over": True})
    assert updater.renewal(request)["granted"]


def test_a_rotated_token_is_kept_sealed_and_references_stay(context: Context, tmp_path: Path) -> None:
    spec = {"properties": {"token": {"airbyte_secret": True}, "key": {"airbyte_secret": True}}}
    connection_id = new_connection(context, {}, {"path": str(tmp_path)}, ITEMS)
    owner = plan_of(context, connection_id).source.id
    stored = context.secret_box.seal_config({"token": "old", "key": "${env:KEY}", "start": "2024"}, spec, owner)
    with context.store.write() as db:
        db.execute(update(sources).where(sources.c.id == owner).values(config=stored))
    updater = ConfigUpdater(context, source=plan_of(context, connection_id).source)
    updater.save("source", {"token": "new", "key": "${env:KEY}", "start": "2024"}, spec)
    with context.store.read() as db:
        row = db.execute(select(sources.c.config).where(sources.c.id == owner)).scalar_one()
    assert "new" not in str(row)
    assert row["key"] == "${env:KEY}"
    assert context.secret_box.open_config(row, owner)["token"] == "new"
    assert merge_changes({"a": "sealed"}, {"a": "x"}, {"a": "x", "b": 1}) == {"a": "sealed", "b": 1}
    assert merge_changes({"a": "sealed", "b": 1}, {"a": "x", "b": 1}, {"a": "x"}) == {"a": "sealed"}


def test_what_an_editor_changes_while_a_job_renews_stays(context: Context, tmp_path: Path) -> None:
    spec = {"properties": {"credentials": {"properties": {"token": {"airbyte_secret": True}}}}}
    pair = {"refresh": "r0", "token": "t0"}
    connection_id = new_connection(
        context, {"start": "2024", "team": "a", "credentials": pair}, {"path": str(tmp_path)}, ITEMS
    )
    source = plan_of(context, connection_id).source

    def edit(config: dict[str, Any]) -> None:
        with context.store.write() as db:
            db.execute(update(sources).where(sources.c.id == source.id).values(config=config))

    def renewed(number: int) -> dict[str, Any]:
        new = {**source.config, "credentials": {"refresh": f"r{number}", "token": f"t{number}"}}
        updater.save("source", new, spec)
        return context.secret_box.open_config(plan_of(context, connection_id).source.config, source.id)

    updater = ConfigUpdater(context, source=source)
    edit({"start": "2020", "projects": ["b"], "credentials": pair})
    updater.renewal({"end": "source", "holder": "first"})
    assert renewed(1) == {"start": "2020", "projects": ["b"], "credentials": {"refresh": "r1", "token": "t1"}}
    # Other credentials, entered while the token request is under way, are not replaced.
    updater.renewal({"end": "source", "holder": "first"})
    edit({"start": "2020", "credentials": {"kind": "key", "key": "k", "refresh": "r9"}})
    assert renewed(2) == {"start": "2020", "credentials": {"kind": "key", "key": "k", "refresh": "r9"}}
    # Entered before it, they are what the job goes on with.
    assert updater.renewal({"end": "source", "holder": "first"})["config"]["credentials"]["refresh"] == "r9"
    assert renewed(10)["credentials"] == {"kind": "key", "key": "k", "refresh": "r10", "token": "t10"}


def test_when_credentials_end_is_kept_and_told_until_the_configuration_changes(context: Context) -> None:
    admin(context)
    acme = Tenant.make(context, "acme")
    boss = Browser(context, acme.member("workspace_admin"))
    config = {
        "subdomain": "acme",
        "base_url": "http://127.0.0.1:9",
        "credentials": {"credentials": "api_token", "email": "me@acme.example", "api_token": "a-secret-token"},
    }
    with context.store.write() as db:
        source_id = endpoints.create(
            context,
            db,
            "source",
            workspace_id=acme.workspace_id,
            name="support",
            definition=definitions.of_type("source", "zendesk_support"),
            config=config,
            trusted=True,
        )
    url = f"/api/kitestring/v1/sources/{source_id}/credentials"
    assert boss.get(url).json() == {"data": []}
    ends = [{"name": "The API token", "at": "2027-04-30T00:00:00+00:00", "hint": "Create an OAuth client."}]
    with context.store.read() as db:
        end = endpoints.endpoint_of(context, db, "source", source_id)
    ConfigUpdater(context, source=end).save_credential_ends("source", ends)
    (displayed,) = boss.get(url).json()["data"]
    assert (displayed["name"], displayed["endsAt"][:10], displayed["hint"]) == (
        "The API token",
        "2027-04-30",
        ends[0]["hint"],
    )
    assert displayed["daysLeft"] == (datetime(2027, 4, 30, tzinfo=UTC) - datetime.now(UTC)).days
    with context.store.write() as db:
        endpoints.change(context, db, "source", source_id, trusted=True, config={**config, "subdomain": "other"})
    assert boss.get(url).json() == {"data": []}
    outsider = Browser(context, Tenant.make(context, "globex").member("workspace_admin"))
    assert outsider.get(url).status_code in (403, 404)


def test_a_check_keeps_when_credentials_end(context: Context) -> None:
    with ZendeskStandIn() as zendesk:
        config = {**zendesk.config, "credentials": zendesk.api_token_credentials}
        connection_id = new_connection(context, config, {"path": "/nowhere"}, ITEMS, source_connector="zendesk_support")
        source = plan_of(context, connection_id).source
        context.runner.run("check", {"source": source.body()}, updater=ConfigUpdater(context, source=source))
    with context.store.read() as db:
        (stored,) = db.execute(select(sources.c.credential_ends).where(sources.c.id == source.id)).scalar_one()
    assert stored["at"] == "2027-04-30T00:00:00+00:00"


@pytest.fixture
def zendesk() -> Iterator[ZendeskStandIn]:
    with ZendeskStandIn() as stand_in:
        yield stand_in


class Drafts:
    """An editor who tests drafts of a source, and saves them. Access tokens have ended, so that each test renews."""

    def __init__(self, context: Context, zendesk: ZendeskStandIn) -> None:
        admin(context)
        self.context, self.zendesk = context, zendesk
        self.tenant = Tenant.make(context, "acme")
        self.boss = Browser(context, self.tenant.member("workspace_admin"))
        self.definition = definitions.of_type("source", "zendesk_support")

    def config(self) -> dict[str, Any]:
        ended = {"access_token": "ended", "token_expiry_date": "2020-01-01T00:00:00Z"}
        return {**self.zendesk.config, "credentials": {**self.zendesk.consented(), **ended}}

    def test(self, config: dict[str, Any], source_id: str = "") -> Any:
        body = {
            "kind": "source",
            "workspaceId": self.tenant.workspace_id,
            "definitionId": self.definition.id,
            "configuration": config,
            **({"sourceId": source_id} if source_id else {}),
        }
        return self.boss.post("/api/kitestring/v1/check", json=body).json()["status"]

    def save(self, config: dict[str, Any]) -> str:
        with self.context.store.write() as db:
            return endpoints.create(
                self.context,
                db,
                "source",
                workspace_id=self.tenant.workspace_id,
                name="support",
                definition=self.definition,
                config=config,
                trusted=True,
            )

    def change(self, source_id: str, config: dict[str, Any]) -> None:
        with self.context.store.write() as db:
            endpoints.change(self.context, db, "source", source_id, trusted=True, config=config)

    def credentials(self, source_id: str) -> dict[str, Any]:
        with self.context.store.read() as db:
            secrets: dict[str, Any] = dict(
                endpoints.endpoint_of(self.context, db, "source", source_id).config["credentials"]
            )
        return secrets

    def is_good(self, source_id: str) -> bool:
        """Whether the token is good that the source has now, which a later job goes on with."""
        return self.zendesk.tokens.allows(self.credentials(source_id)["access_token"])


def test_a_draft_is_saved_with_the_pair_that_its_tests_have_renewed(context: Context, zendesk: ZendeskStandIn) -> None:
    drafts = Drafts(context, zendesk)
    config = drafts.config()
    assert drafts.test(config) == "succeeded"
    assert drafts.test(config) == "succeeded"
    assert [exchange.status for exchange in zendesk.tokens.exchanges] == [200]
    later = {**config, "start_date": "2025-05-05T00:00:00Z"}
    source_id = drafts.save(later)
    assert drafts.is_good(source_id)
    assert drafts.test(later, source_id) == "succeeded"
    with context.store.read() as db:
        stored = str(db.execute(select(consents.c.body)).all())
        assert drafts.credentials(source_id)["refresh_token"] not in stored
        assert endpoints.endpoint_of(context, db, "source", source_id).config["start_date"] == "2025-05-05T00:00:00Z"


def test_a_test_of_an_edited_source_keeps_the_pair_that_it_renews(context: Context, zendesk: ZendeskStandIn) -> None:
    drafts = Drafts(context, zendesk)
    config = drafts.config()
    source_id = drafts.save(config)
    masked = {**config, "credentials": {**config["credentials"], "client_secret": MASK, "refresh_token": MASK}}
    masked["credentials"]["access_token"] = MASK
    assert drafts.test({**masked, "start_date": "2025-05-05T00:00:00Z"}, source_id) == "succeeded"
    assert drafts.is_good(source_id)
    with context.store.read() as db:  # nobody has saved that
        assert endpoints.endpoint_of(context, db, "source", source_id).config["start_date"] == config["start_date"]
    drafts.change(source_id, masked)
    assert drafts.test(masked, source_id) == "succeeded"
    assert [exchange.status for exchange in zendesk.tokens.exchanges] == [200, 200]  # the form had the old end


def test_a_test_that_renews_the_credentials_is_kept_as_the_last_one(context: Context, zendesk: ZendeskStandIn) -> None:
    drafts = Drafts(context, zendesk)
    source_id = drafts.save(drafts.config())
    path = f"/api/kitestring/v1/sources/{source_id}"
    tested = drafts.boss.post(f"{path}/check").json()
    assert (tested["status"], drafts.is_good(source_id)) == ("succeeded", True)
    assert drafts.boss.get(path).json()["lastCheck"] == tested


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_secret_stays_one_when_an_editor_changes_the_form_of_its_low_code_source(
    context: Context, pages: SignedPages, tmp_path: Path, method: str
) -> None:
    tenant = Tenant.make(context, "acme")
    editor = Browser(context, tenant.member("workspace_editor"))
    place = f"/v1/workspaces/{tenant.workspace_id}/definitions/declarative_sources"
    manifest = read_yaml(Path(pages.manifest(tmp_path)).read_text(), "the manifest")[0]
    definition = editor.post(place, json={"name": "Signed", "manifest": manifest}).json()["id"]
    config = {"url": pages.url, "token": "t0p-s3cret"}
    body = {"name": "Signed", "workspaceId": tenant.workspace_id, "definitionId": definition, "configuration": config}
    source_id = editor.post("/v1/sources", json=body).json()["sourceId"]
    del manifest["spec"]["connection_specification"]["properties"]["token"]["airbyte_secret"]
    assert editor.put(f"{place}/{definition}", json={"name": "Signed", "manifest": manifest}).status_code == 200
    same = {"name": "Signed", "configuration": {"url": pages.url, "token": MASK}}
    answer = editor.request(method, f"/v1/sources/{source_id}", json=same)
    assert answer.status_code == 200, answer.text
    assert answer.json()["configuration"]["token"] == MASK
    assert "t0p-s3cret" not in editor.get(f"/v1/sources/{source_id}").text
    with context.store.read() as db:
        assert endpoints.endpoint_of(context, db, "source", source_id).config == config


@pytest.mark.parametrize("place", ["spec", "connection_specification"])
def test_a_secret_is_one_where_the_form_of_a_low_code_source_is_behind_a_reference(
    context: Context, pages: SignedPages, tmp_path: Path, place: str
) -> None:
    tenant = Tenant.make(context, "acme")
    editor = Browser(context, tenant.member("workspace_editor"))
    manifest = read_yaml(Path(pages.manifest(tmp_path)).read_text(), "the manifest")[0]
    spec = manifest["spec"]
    if place == "spec":
        manifest |= {"definitions": {"spec": spec}, "spec": "#/definitions/spec"}
    else:
        form = spec.pop("connection_specification")
        manifest |= {"definitions": {"form": form}}
        spec["connection_specification"] = {"$ref": "#/definitions/form"}
    definitions_path = f"/v1/workspaces/{tenant.workspace_id}/definitions/declarative_sources"
    answer = editor.post(definitions_path, json={"name": "Signed", "manifest": manifest})
    assert answer.status_code == 200, answer.text
    config = {"url": pages.url, "token": "t0p-s3cret"}
    body = {
        "name": "Signed",
        "workspaceId": tenant.workspace_id,
        "definitionId": answer.json()["id"],
        "configuration": config,
    }
    source = editor.post("/v1/sources", json=body).json()
    assert source["configuration"]["token"] == MASK
    with context.store.read() as db:
        stored = db.exec_driver_sql("select config from sources").scalars().all()
        assert endpoints.endpoint_of(context, db, "source", source["sourceId"]).config == config
    assert "t0p-s3cret" not in str(stored)


def test_a_test_of_other_credentials_leaves_those_that_are_kept(context: Context, zendesk: ZendeskStandIn) -> None:
    drafts = Drafts(context, zendesk)
    source_id = drafts.save(drafts.config())
    before = drafts.credentials(source_id)
    other = drafts.config()
    assert drafts.test(other, source_id) == "succeeded"
    assert drafts.credentials(source_id) == before
    drafts.change(source_id, other)
    assert drafts.is_good(source_id)


def test_a_read_of_the_builder_goes_on_with_the_pair_that_the_one_before_has_renewed(
    context: Context, pages: SignedPages, tmp_path: Path
) -> None:
    admin(context)
    acme = Tenant.make(context, "acme")
    boss = Browser(context, acme.member("workspace_admin"))
    pair = pages.tokens.granted()
    body = {
        "workspaceId": acme.workspace_id,
        "manifest": Path(pages.signed_manifest(tmp_path)).read_text(),
        "configuration": {"url": pages.url, "credentials": {"refresh_token": pair.refresh_token}},
        "stream": "items",
    }
    for _ in range(2):
        answer = boss.post("/api/kitestring/v1/builder/read", json=body).json()
        assert (answer["error"], len(answer["slices"]) > 0) == ("", True)
    assert [exchange.status for exchange in pages.tokens.exchanges] == [200]


def test_a_read_of_a_builder_project_keeps_what_it_has_renewed_sealed_in_the_project(
    context: Context, pages: SignedPages, tmp_path: Path
) -> None:
    admin(context)
    acme = Tenant.make(context, "acme")
    editor = Browser(context, acme.member("workspace_editor"))
    projects = "/api/kitestring/v1/builder/projects"
    pair = pages.tokens.granted()
    body = {
        "workspaceId": acme.workspace_id,
        "name": "Signed",
        "manifest": Path(pages.signed_manifest(tmp_path)).read_text().replace(", airbyte_secret: true", ""),
        "testConfiguration": {"url": pages.url, "credentials": {"refresh_token": pair.refresh_token}},
    }
    project = editor.post(projects, json=body).json()
    for _ in range(2):
        answer = editor.post(f"{projects}/{project['projectId']}/read", json={"stream": "items"}).json()
        assert (answer["error"], len(answer["slices"]) > 0) == ("", True)
    assert [exchange.status for exchange in pages.tokens.exchanges] == [200]
    after = editor.get(f"{projects}/{project['projectId']}").json()
    assert set(after["testConfiguration"]["credentials"].values()) == {MASK}
    assert after["testConfiguration"]["url"] == pages.url
    assert after["revision"] == project["revision"]
    with context.store.read() as db:
        config = builder_project.opened_config(context, builder_project.get(db, project["projectId"]))
    assert pages.tokens.allows(config["credentials"]["access_token"])
    assert config["credentials"]["refresh_token"] != pair.refresh_token
