"""The consent that a draft of the connector builder describes: its tokens become sealed inputs of the tests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus, urlsplit

import httpx
import pytest
from stand_ins.workshop import CLIENT, SECRET, WorkshopStandIn

from kitestring.declarative.builder.validation import validate
from kitestring.redact import MASK
from kitestring.server.builder import builder_project
from kitestring.server.connections import endpoints
from kitestring.server.context import Context
from tests.unit.server.shop import OWN, PROJECTS
from tests.unit.server.tenants import Browser, Tenant, admin

pytestmark = pytest.mark.slow

CONSENT = f"{OWN}/consents/builder-project"
CONFIG_API = "/api/v1/connector_builder_projects"
BACK = "https://ui.example/done"
FORM = Path(__file__).parents[2] / "golden" / "builder_consent.yaml"
"""What the form of the builder writes (kitestring/ui/src/builder/form/consent.ts)."""
MANIFEST = """\
version: 6.48.10
type: DeclarativeSource
check: {type: CheckStream, stream_names: [teams]}
streams:
  - type: DeclarativeStream
    name: teams
    primary_key: [id]
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url_base: URL/v1
        path: /teams
        authenticator:
          type: OAuthAuthenticator
          client_id: "{{ config['client_id'] }}"
          client_secret: "{{ config['client_secret'] }}"
          refresh_token: "{{ config['refresh_token'] }}"
          token_refresh_endpoint: URL/oauth/token
          refresh_token_updater: {refresh_token_config_path: [refresh_token]}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [data]}}
    schema_loader: {type: InlineSchemaLoader, schema: {type: object, properties: {id: {type: integer}}}}
spec:
  type: Spec
  connection_specification:
    type: object
    required: [client_id, client_secret, refresh_token]
    properties:
      client_id: {type: string}
      client_secret: {type: string, airbyte_secret: true}
      refresh_token: {type: string, airbyte_secret: true}
  advanced_auth:
    auth_flow_type: oauth2.0
    oauth_config_specification:
      oauth_connector_input_specification:
        consent_url: >-
          URL/oauth/authorize?response_type=code&{{ client_id_param }}&{{ redirect_uri_param }}&{{ state_param
          }}&code_challenge={{ state_value | codeChallengeS256 }}&code_challenge_method=S256
        access_token_url: URL/oauth/token
        access_token_headers: {Content-Type: application/x-www-form-urlencoded}
        access_token_params:
          grant_type: authorization_code
          code: "{{ auth_code_value }}"
          client_id: "{{ client_id_value }}"
          client_secret: "{{ client_secret_value }}"
          redirect_uri: "{{ redirect_uri_value }}"
          code_verifier: "{{ state_value }}"
        extract_output: [refresh_token]
      complete_oauth_output_specification:
        required: [refresh_token]
        properties: {refresh_token: {type: string, path_in_connector_config: [refresh_token]}}
"""


@pytest.fixture
def workshop() -> Iterator[WorkshopStandIn]:
    with WorkshopStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def acme(context: Context) -> Tenant:
    admin(context)
    return Tenant.make(context, "acme")


@pytest.fixture
def editor(acme: Tenant) -> Browser:
    browser = Browser(acme.context, acme.member("workspace_editor"))
    browser.follow_redirects = False
    return browser


def project_of(editor: Browser, acme: Tenant, manifest: str, **config: str) -> str:
    body = {"workspaceId": acme.workspace_id, "name": "Workshop", "manifest": manifest, "testConfiguration": config}
    answer = editor.post(PROJECTS, json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["projectId"])


def followed(address: str, link: str = "Allow") -> str:
    """The address that a person's click on the vendor's page leads to."""
    page = httpx.get(address)
    assert page.status_code == 200, page.text
    match = re.search(rf'<a href="([^"]+)">{link}', page.text)
    assert match
    return unescape(match[1])


def stored(context: Context, project: str) -> tuple[Any, dict[str, Any]]:
    with context.store.read() as db:
        row = builder_project.get(db, project)
    return row, builder_project.opened_config(context, row)


def test_the_tokens_of_a_consent_are_sealed_and_the_next_test_reads_with_them(
    context: Context, acme: Tenant, editor: Browser, workshop: WorkshopStandIn
) -> None:
    text = MANIFEST.replace("URL", workshop.url)
    project = project_of(editor, acme, text, client_id=CLIENT, client_secret=SECRET)
    begun = editor.post(CONSENT, json={"projectId": project, "redirectUrl": BACK})
    assert begun.status_code == 200, begun.text
    assert SECRET not in begun.text
    back = followed(begun.json()["consentUrl"])
    place = f"{urlsplit(back).path}?{urlsplit(back).query}"
    stranger = Browser(context, acme.member("workspace_editor"))
    editor.patch(f"{PROJECTS}/{project}", json={"revision": 1, "manifest": text.replace("/oauth/token", "/elsewhere")})
    answer = editor.get(place)
    assert (answer.status_code, answer.headers["location"]) == (302, f"{BACK}?project_id={project}")
    for browser in (editor, stranger):  # a state is good once, and in the browser that began
        assert browser.get(place).status_code == 400
    row, opened = stored(context, project)
    assert opened["refresh_token"].startswith("token-refresh")
    assert opened["refresh_token"] not in json.dumps(row.config)
    assert row.revision == 2, "nobody's text has changed"
    assert editor.get(f"{PROJECTS}/{project}").json()["testConfiguration"]["refresh_token"] == MASK
    read = editor.post(f"{PROJECTS}/{project}/read", json={"manifest": text, "stream": "teams"})
    assert (read.status_code, len(read.json()["slices"][0]["pages"][0]["records"])) == (200, 4), read.text
    assert opened["refresh_token"] not in read.text


def test_each_read_of_a_draft_goes_on_with_the_refresh_token_that_the_read_before_has_got(
    context: Context, acme: Tenant, editor: Browser, workshop: WorkshopStandIn
) -> None:
    text = FORM.read_text().replace("https://example.com", workshop.url)
    project = project_of(editor, acme, text, client_id=CLIENT, client_secret=SECRET)
    begun = editor.post(CONSENT, json={"projectId": project, "redirectUrl": BACK})
    editor.get(followed(begun.json()["consentUrl"]).partition(context.settings.url)[2])
    tokens = [stored(context, project)[1]["client_refresh_token"]]
    for number in range(1, 3):
        workshop.tokens.end_access()
        read = editor.post(f"{PROJECTS}/{project}/read", json={"stream": "teams"}).json()
        assert (read["error"], len(read["slices"][0]["pages"][-1]["records"])) == ("", 4), read
        assert [exchange.status for exchange in workshop.tokens.exchanges] == [200] * (number + 1)
        row, opened = stored(context, project)
        tokens.append(opened["client_refresh_token"])
        assert workshop.tokens.allows(opened["oauth_access_token"])
        assert "token-" not in json.dumps(row.config) + json.dumps(read)
    assert len({*tokens}) == 3
    published = editor.post(f"{PROJECTS}/{project}/publish", json={"revision": row.revision})
    assert published.status_code == 200, published.text
    body = {"name": "W", "workspaceId": acme.workspace_id, "definitionId": published.json()["definitionId"]}
    source = editor.post("/v1/sources", json={**body, "configuration": opened}).json()["sourceId"]
    workshop.tokens.end_access()
    checked = editor.post(f"{OWN}/sources/{source}/check")
    assert checked.status_code == 200, checked.text
    with context.store.read() as db:
        row = endpoints.get(db, "source", source)
    assert "token-" not in json.dumps(row.config)
    kept = context.secret_box.open_config(row.config, row.id)
    assert kept["client_refresh_token"] not in tokens
    assert workshop.tokens.allows(kept["oauth_access_token"])


def test_a_consent_without_pkce_suits_a_strict_vendor_and_one_with_it_a_vendor_that_requires_it(
    context: Context, acme: Tenant, editor: Browser, workshop: WorkshopStandIn
) -> None:
    def sign_in(text: str) -> str:
        project = project_of(editor, acme, text, client_id=CLIENT, client_secret=SECRET)
        address = editor.post(CONSENT, json={"projectId": project, "redirectUrl": BACK}).json()["consentUrl"]
        page = httpx.get(address)
        back = page.headers["location"] if page.status_code == 302 else followed(address)
        return str(editor.get(back.partition(context.settings.url)[2]).headers["location"])

    text = FORM.read_text().replace("https://example.com", workshop.url)
    # What the switch of the form writes (kitestring/ui/src/builder/form/edits.test.ts).
    challenge = "&code_challenge={{state_value | codeChallengeS256}}&code_challenge_method=S256"
    uri = 'redirect_uri: "{{ redirect_uri_value }}"\n'
    with_pkce = text.replace("state={{state_value}}", "state={{state_value}}" + challenge)
    with_pkce = with_pkce.replace(uri, f'{uri}          code_verifier: "{{{{ state_value }}}}"\n')
    assert validate(text) == validate(with_pkce) == []
    workshop.pkce = "refused"
    assert "error=" not in sign_in(text)
    workshop.pkce = "required"
    assert "error=" not in sign_in(with_pkce)
    refused = unquote_plus(sign_in(text))
    assert "Code challenge required. The vendor asks for PKCE: switch it on" in refused
    workshop.pkce = "allowed"
    assert "error=" not in sign_in(text)
    assert "error=" not in sign_in(with_pkce)


def test_what_goes_wrong_is_said_and_stores_nothing(
    context: Context, acme: Tenant, editor: Browser, workshop: WorkshopStandIn
) -> None:
    text = MANIFEST.replace("URL", workshop.url)
    bare = project_of(editor, acme, text)
    answer = editor.post(CONSENT, json={"projectId": bare, "redirectUrl": BACK})
    assert (answer.status_code, "application's client_id" in answer.text) == (422, True)
    for broken, fact in (
        (text.replace(f"{workshop.url}/oauth/authorize", "javascript:alert(1)//"), "no web address"),
        (text.partition("  advanced_auth")[0], "describes no consent"),
        ("a: [", "not YAML"),
    ):
        other = project_of(editor, acme, broken, client_id=CLIENT, client_secret=SECRET)
        answer = editor.post(CONSENT, json={"projectId": other, "redirectUrl": BACK})
        assert (answer.status_code, fact in answer.text) == (422, True), answer.text
    project = project_of(editor, acme, text, client_id=CLIENT, client_secret="wr0ng-secret")
    address = editor.post(CONSENT, json={"projectId": project, "redirectUrl": BACK}).json()["consentUrl"]
    denied = editor.get(followed(address, "Deny").partition(context.settings.url)[2])
    assert "access_denied" in denied.headers["location"]
    address = editor.post(CONSENT, json={"projectId": project, "redirectUrl": BACK}).json()["consentUrl"]
    refused = editor.get(followed(address).partition(context.settings.url)[2])
    assert "error=" in refused.headers["location"]
    assert "wr0ng-secret" not in refused.headers["location"]
    assert "refresh_token" not in stored(context, project)[1]
    reader = Browser(context, acme.member("workspace_reader"))
    assert reader.post(CONSENT, json={"projectId": project, "redirectUrl": BACK}).status_code == 403


def test_airbytes_calls_for_a_consent_seal_the_tokens_and_answer_them_masked(
    context: Context, acme: Tenant, editor: Browser, workshop: WorkshopStandIn
) -> None:
    text = MANIFEST.replace("URL", workshop.url)
    project = project_of(editor, acme, text, client_id=CLIENT, client_secret=SECRET)
    other = project_of(editor, acme, text, client_id=CLIENT, client_secret=SECRET)
    ref = {"workspaceId": acme.workspace_id, "builderProjectId": project, "redirectUrl": BACK}
    begun = editor.post(f"{CONFIG_API}/get_oauth_consent_url", json=ref)
    back = followed(begun.json()["consentUrl"])
    assert back.startswith(BACK)
    query = dict(httpx.URL(back).params)
    answer = editor.post(f"{CONFIG_API}/complete_oauth", json={**ref, "queryParams": query})
    assert answer.json() == {"request_succeeded": True, "auth_payload": {"refresh_token": MASK}}
    token = stored(context, project)[1]["refresh_token"]
    values = {"client_id": CLIENT, "client_secret": MASK, **answer.json()["auth_payload"]}
    kept = editor.post(f"{CONFIG_API}/update_testing_values", json={**ref, "testingValues": values})
    assert kept.status_code == 200, kept.text
    assert stored(context, project)[1]["refresh_token"] == token
    again = editor.post(f"{CONFIG_API}/complete_oauth", json={**ref, "queryParams": query})
    assert again.status_code == 400
    begun = editor.post(f"{CONFIG_API}/get_oauth_consent_url", json=ref)
    query = dict(httpx.URL(followed(begun.json()["consentUrl"])).params)
    wrong = editor.post(f"{CONFIG_API}/complete_oauth", json={**ref, "builderProjectId": other, "queryParams": query})
    assert wrong.status_code == 400
