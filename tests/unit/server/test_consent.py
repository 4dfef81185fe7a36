"""OAuth consents, against a vendor on this machine that is strict about codes, clients, addresses and PKCE."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from kitestring import registry
from kitestring.errors import ConnectorError
from kitestring.server.connections import endpoints
from kitestring.server.connectors import definitions
from kitestring.server.context import Context
from kitestring.server.oauth.vendor import Vendor, vendor_of, vendors
from kitestring.server.store.tables import audit, consents, oauth_credentials
from kitestring.testing.stand_in import Answer, StandIn, route
from tests.unit.server.tenants import Browser, Tenant, admin

pytestmark = pytest.mark.slow

VENDORS = vendors()
CLIENT = {"client_id": "the-client", "client_secret": "the-client-secret"}
INPUTS = {
    "zendesk_support": {"subdomain": "acme"},
    "shopify": {"shop": "acme"},
    "jira": {"domain": "acme.atlassian.net"},
    "confluence": {"domain_name": "acme.atlassian.net"},
}
SITES = {"acme": "1a11d016-8984-4c3e-b9ab-142dd06acb1b", "globex": "2a11d016-8984-4c3e-b9ab-142dd06acb1b"}
BACK = "https://ui.example/done?tab=1"


class Bank(StandIn):
    """A vendor: gives a code for a consent, and tokens for the code, once."""

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, dict[str, str]] = {}
        self.answer_with: dict[str, Any] | None = None

    def consent(self, url: str) -> str:
        """What the browser does: opens the address, agrees, and is sent back; the address it is sent to."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT["client_id"]
        code = f"code-{len(self.given)}"
        self.given[code] = query
        back = {"code": code, "state": query["state"], "shop": "acme.myshopify.com", "timestamp": "1"}
        output = "&".join(f"{name}={back[name]}" for name in sorted(back))
        back["hmac"] = hmac.new(CLIENT["client_secret"].encode(), output.encode(), hashlib.sha256).hexdigest()
        return f"{urlsplit(query['redirect_uri']).path}?{urlencode(back)}"

    @route("POST", "/token")
    def token(self, call: Any) -> Any:
        kind = call.headers.get("content-type", "")
        body = call.json() if "json" in kind else {k: v[0] for k, v in parse_qs(call.body.decode()).items()}
        scheme, _, word = call.headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            body["client_id"], _, body["client_secret"] = base64.b64decode(word).decode().partition(":")
        query = self.given.pop(body.get("code", ""), None)
        if query is None or body["grant_type"] != "authorization_code":
            return Answer(400, {"error": "invalid_grant"})
        if {name: body.get(name) for name in CLIENT} != CLIENT or body["redirect_uri"] != query["redirect_uri"]:
            return Answer(401, {"error": "invalid_client"})
        if "code_challenge" in query:
            digest = hashlib.sha256(body["code_verifier"].encode()).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != query["code_challenge"]:
                return Answer(400, {"error": "invalid_grant"})
        self.extra = {name: value for name, value in body.items() if name == "expiring"}
        tokens = {"access_token": "access-geheim", "refresh_token": "refresh-geheim", "token": "token-geheim"}
        answer = {"ok": True, "token_type": "bearer", "expires_in": 3600, **tokens}
        return answer if self.answer_with is None else self.answer_with

    @route("GET", "/sites")
    def sites(self, call: Any) -> Any:
        if call.headers.get("authorization") != "Bearer access-geheim":
            return Answer(401, {"error": "unauthorized"})
        return [{"id": key, "url": f"https://{name}.atlassian.net"} for name, key in SITES.items()]


@pytest.fixture
def bank() -> Iterator[Bank]:
    with Bank() as single_bank:
        yield single_bank


@pytest.fixture
def acme(context: Context) -> Tenant:
    admin(context)
    return Tenant.make(context, "acme")


def client_for(tenant: Tenant, bank: Bank, role: str = "workspace_editor") -> Browser:
    client = Browser(tenant.context, tenant.member(role))
    app = client.app
    assert isinstance(app, FastAPI)
    app.state.vendors = {
        name: replace(
            item,
            authorize_url=f"{bank.url}/authorize",
            token_url=f"{bank.url}/token",
            sites_url=item.sites_url and f"{bank.url}/sites",
        )
        for name, item in VENDORS.items()
    }
    client.follow_redirects = False
    return client


def registered(tenant: Tenant, connector: str, scope: str = "workspace") -> None:
    boss = Browser(tenant.context, tenant.member(f"{scope}_admin"))
    key = getattr(tenant, f"{scope}_id")
    body = {"actorType": "source", "name": connector.replace("_", "-"), "configuration": CLIENT}
    assert boss.put(f"/v1/{scope}s/{key}/oauthCredentials", json=body).status_code == 200


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=list(VENDORS))
def test_a_consent_ends_in_a_source_with_sealed_tokens(
    context: Context, acme: Tenant, bank: Bank, vendor: Vendor
) -> None:
    registered(acme, vendor.connector)
    client = client_for(acme, bank)
    kind = vendor.connector.replace("_", "-")
    inputs = INPUTS.get(vendor.connector, {})
    body = {
        "workspaceId": acme.workspace_id,
        "sourceType": kind,
        "redirectUrl": BACK,
        "oAuthInputConfiguration": inputs,
    }
    url = client.post("/v1/sources/initiateOAuth", json=body).json()["consentUrl"]
    answer = client.get(bank.consent(url))
    assert answer.status_code == 302
    place = urlsplit(answer.headers["location"])
    query = parse_qs(place.query)
    assert (place.netloc, query["tab"]) == ("ui.example", ["1"])
    assert "geheim" not in answer.headers["location"]
    spec = registry.connector("source", vendor.connector).spec()
    needed = {
        name: {"start_date": "2024-01-01T00:00:00Z", "domain": "x"}.get(name, "x") for name in spec.get("required", ())
    }
    needed = {**needed, **inputs, **({"repositories": ["a/b"]} if vendor.connector == "github" else {})}
    needed.pop("credentials", None)
    needed.pop("access_token", None)
    response = client.post(
        "/v1/sources",
        json={
            "name": "s",
            "workspaceId": acme.workspace_id,
            "configuration": {"sourceType": kind, **needed},
            "secretId": query["secret_id"][0],
        },
    )
    assert response.status_code == 200, response.text
    assert "geheim" not in response.text
    assert "the-client-secret" not in response.text
    with context.store.read() as db:
        row = endpoints.get(db, "source", response.json()["sourceId"])
        assert "geheim" not in str(row.config)
        opened = context.secret_box.open_config(row.config, row.id)
    flat = {**opened, **{f"credentials.{k}": v for k, v in opened.get("credentials", {}).items()}}
    for name, option in vendor.tokens.items():
        assert (
            flat[option]
            == {"access_token": "access-geheim", "refresh_token": "refresh-geheim", "token": "token-geheim"}[name]
        )
    for option, value in vendor.constants.items():
        assert flat[option] == value
    for option in vendor.renewed.values():
        assert flat[option] in ("access-geheim", "refresh-geheim")
    if vendor.expiry:
        left = datetime.fromisoformat(flat[vendor.expiry]) - datetime.now(UTC)
        assert timedelta(minutes=50) < left < timedelta(minutes=61)
    if vendor.sites_url:
        assert opened["cloud_id"] == SITES["acme"]
    assert bank.extra == vendor.asked
    # The secret id, like the state, is good once.
    second = client.post(
        "/v1/sources",
        json={
            "name": "s",
            "workspaceId": acme.workspace_id,
            "configuration": {"sourceType": kind, **needed},
            "secretId": query["secret_id"][0],
        },
    )
    assert second.status_code == 422


def github(context: Context, tenant: Tenant) -> str:
    """A source with a personal token."""
    with context.store.write() as db:
        return endpoints.create(
            context,
            db,
            "source",
            workspace_id=tenant.workspace_id,
            name="gh",
            definition=definitions.of_type("source", "github"),
            config={
                "repositories": ["a/b"],
                "credentials": {"option_title": "PAT Credentials", "personal_access_token": "old-geheim"},
            },
            trusted=True,
        )


def test_a_source_gets_new_tokens_in_the_browser_that_asked_and_in_no_other(
    context: Context, acme: Tenant, bank: Bank
) -> None:
    registered(acme, "github", "organization")
    source_id = github(context, acme)
    client, other = client_for(acme, bank), client_for(acme, bank)
    other.app = client.app
    url = "/api/kitestring/v1/consents"
    body = {"sourceId": source_id, "redirectUrl": "http://127.0.0.1:8000/sources"}
    stolen = bank.consent(client.post(url, json=body).json()["consentUrl"])
    assert client_for(acme, bank).get(stolen).status_code == 400
    assert client.get(stolen).status_code == 400  # it was spent by the attempt
    back = bank.consent(client.post(url, json=body).json()["consentUrl"])
    answer = client.get(back)
    assert answer.headers["location"] == f"http://127.0.0.1:8000/sources?source_id={source_id}"
    assert client.get(back).status_code == 400
    with context.store.read() as db:
        row = endpoints.get(db, "source", source_id)
        opened = context.secret_box.open_config(row.config, row.id)
        actor = db.execute(select(audit.c.actor).where(audit.c.resource_id == source_id)).scalars().all()
    assert opened["credentials"] == {
        "option_title": "OAuth Credentials",
        "access_token": "access-geheim",
        "client_id": "the-client",
        "client_secret": "the-client-secret",
        "refresh_token": "refresh-geheim",
        "token_expiry_date": opened["credentials"]["token_expiry_date"],
    }
    assert opened["repositories"] == ["a/b"]
    assert actor
    assert all("(test)" in item for item in actor)


def test_what_goes_wrong_at_the_vendor_comes_back_as_an_error_without_secrets(
    context: Context, acme: Tenant, bank: Bank
) -> None:
    registered(acme, "slack")
    client = client_for(acme, bank)
    body = {"workspaceId": acme.workspace_id, "sourceType": "slack", "redirectUrl": BACK}

    def ended(**more: str) -> dict[str, list[str]]:
        back = bank.consent(client.post("/v1/sources/initiateOAuth", json=body).json()["consentUrl"])
        path, _, query = back.partition("?")
        output = {**{name: values[0] for name, values in parse_qs(query).items()}, **more}
        answer = client.get(path, params={name: value for name, value in output.items() if value})
        assert answer.status_code == 302
        return parse_qs(urlsplit(answer.headers["location"]).query)

    assert ended(code="", error="access_denied")["error"] == ["access_denied"]
    refused = ended(code="forged")["error"][0]
    assert "the-client-secret" not in refused
    bank.answer_with = {"ok": False, "error": "bad_client"}
    assert "bad_client" in ended()["error"][0]
    bank.answer_with = {"ok": True}
    assert "access_token" in ended()["error"][0]
    with context.store.write() as db:
        db.execute(consents.update().values(expires_at_ms=1))
    back = bank.consent(client.post("/v1/sources/initiateOAuth", json=body).json()["consentUrl"])
    with context.store.write() as db:
        db.execute(consents.update().values(expires_at_ms=1))
    assert client.get(back).status_code == 400


def test_a_consent_for_a_site_that_it_does_not_open_says_which_it_opens(
    context: Context, acme: Tenant, bank: Bank
) -> None:
    registered(acme, "jira")
    client = client_for(acme, bank)
    for domain in ("other.atlassian.net", ""):
        body = {
            "workspaceId": acme.workspace_id,
            "sourceType": "jira",
            "redirectUrl": BACK,
            "oAuthInputConfiguration": {"domain": domain} if domain else {},
        }
        back = bank.consent(client.post("/v1/sources/initiateOAuth", json=body).json()["consentUrl"])
        (error,) = parse_qs(urlsplit(client.get(back).headers["location"]).query)["error"]
        assert "opens acme.atlassian.net, globex.atlassian.net, and domain is" in error


def test_shopifys_signature_is_checked(context: Context, acme: Tenant, bank: Bank) -> None:
    registered(acme, "shopify")
    client = client_for(acme, bank)
    body = {
        "workspaceId": acme.workspace_id,
        "sourceType": "shopify",
        "redirectUrl": BACK,
        "oAuthInputConfiguration": {"shop": "acme"},
    }
    back = bank.consent(client.post("/v1/sources/initiateOAuth", json=body).json()["consentUrl"])
    answer = client.get(back.replace("timestamp=1", "timestamp=2"))
    assert "signature" in answer.headers["location"]
    for shop in ("evil.example/", "acme.evil.example", "a@b", "../x", "", "acme.myshopify.com"):
        wrong = {**body, "oAuthInputConfiguration": {"shop": shop}}
        assert client.post("/v1/sources/initiateOAuth", json=wrong).status_code == 422, shop


def test_a_consent_needs_a_client_a_role_and_a_way_back(context: Context, acme: Tenant, bank: Bank) -> None:
    client = client_for(acme, bank)
    url = "/v1/sources/initiateOAuth"
    body: dict[str, Any] = {"workspaceId": acme.workspace_id, "sourceType": "github", "redirectUrl": BACK}
    missing = client.post(url, json=body)
    assert missing.status_code == 422
    assert "/api/public/v1/oauth/callback" in missing.json()["detail"]
    own = {"oAuthInputConfiguration": {"credentials": CLIENT}}
    assert client.post(url, json={**body, **own}).status_code == 200
    for redirect in ("http://evil.example/", "javascript:alert(1)", "//evil.example", "ftp://x"):
        assert client.post(url, json={**body, **own, "redirectUrl": redirect}).status_code == 400, redirect
    assert client.post(url, json={**body, "sourceType": "stripe"}).status_code == 422
    reader = client_for(acme, bank, "workspace_reader")
    assert reader.post(url, json={**body, **own}).status_code == 403
    globex = Tenant.make(context, "globex")
    assert client.post(url, json={**body, **own, "workspaceId": globex.workspace_id}).status_code == 403


def test_an_oauth_client_is_sealed_and_forgotten_when_it_is_deleted(context: Context, acme: Tenant) -> None:
    registered(acme, "github")
    registered(acme, "github")
    with context.store.read() as db:
        (row,) = db.execute(select(oauth_credentials)).all()
    assert "the-client" not in str(row.config)
    boss = Browser(context, acme.member("workspace_admin"))
    url = f"/v1/workspaces/{acme.workspace_id}/oauthCredentials"
    assert boss.delete(f"{url}/source/source-github").status_code == 204
    with context.store.read() as db:
        assert db.execute(select(oauth_credentials)).all() == []
    assert boss.put(url, json={"actorType": "source", "name": "github", "configuration": {}}).status_code == 422


def test_an_oauth_that_a_connector_declares_wrongly_is_a_defect_of_the_connector() -> None:
    with pytest.raises(ConnectorError, match="the OAuth declaration of shop is invalid"):
        vendor_of("shop", {"authorise_url": "https://shop.example"})
