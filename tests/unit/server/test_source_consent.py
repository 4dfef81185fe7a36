"""The consent of an account for a source whose connector was published, or installed, and describes one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from stand_ins.workshop import CLIENT, SECRET, WorkshopStandIn

from kitestring.redact import MASK
from kitestring.server.connections import endpoints
from kitestring.server.context import Context
from tests.unit.server.shop import OWN, Shop
from tests.unit.server.tenants import Browser, Tenant, admin
from tests.unit.server.test_draft_consent import BACK, FORM, MANIFEST, followed

pytestmark = pytest.mark.slow

CONSENTS = f"{OWN}/consents"


@pytest.fixture
def workshop() -> Iterator[WorkshopStandIn]:
    with WorkshopStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def shop(context: Context) -> Shop:
    admin(context)
    acme = Tenant.make(context, "acme")
    editor = Browser(context, acme.member("workspace_editor"))
    editor.follow_redirects = False
    return Shop(acme, editor)


def published(shop: Shop, text: str) -> str:
    shop.begin(text, "Workshop")
    return str(shop.publish()["definitionId"])


def inputs_of(shop: Shop, definition_id: str) -> Any:
    return shop.editor.get(f"{OWN}/connectors/source/{definition_id}").json()["consentInputs"]


def begun(shop: Shop, **body: Any) -> Any:
    return shop.editor.post(CONSENTS, json={"redirectUrl": BACK, **body})


def returned(shop: Shop, answer: Any, link: str = "Allow") -> str:
    """The address that the browser is at in the end."""
    assert answer.status_code == 200, answer.text
    assert SECRET not in answer.text
    back = followed(answer.json()["consentUrl"], link).partition(shop.tenant.context.settings.url)[2]
    end = shop.editor.get(back)
    assert end.status_code == 302, end.text
    assert shop.editor.get(back).status_code == 400, "a state is good once"
    return str(end.headers["location"])


def opened(shop: Shop, source_id: str) -> dict[str, Any]:
    context = shop.tenant.context
    with context.store.read() as db:
        row = endpoints.get(db, "source", source_id)
    config = context.secret_box.open_config(row.config, row.id)
    assert "token-" not in json.dumps(row.config), "tokens are sealed"
    return config


def test_a_source_of_a_published_connector_signs_in_and_keeps_each_rotated_token(
    shop: Shop, workshop: WorkshopStandIn
) -> None:
    definition_id = published(shop, FORM.read_text().replace("https://example.com", workshop.url))
    assert inputs_of(shop, definition_id) == [["client_id"], ["client_secret"]]
    config = {"client_id": CLIENT, "client_secret": SECRET}
    new = {"workspaceId": shop.tenant.workspace_id, "definitionId": definition_id}
    location = returned(shop, begun(shop, **new, configuration=config))
    secret_id = location.partition("secret_id=")[2]
    assert location.startswith(BACK)
    assert secret_id
    body = {"name": "W", **new, "configuration": config, "secretId": secret_id}
    made = shop.editor.post("/v1/sources", json=body)
    assert made.status_code == 200, made.text
    assert "token-" not in made.text
    source_id = made.json()["sourceId"]
    assert shop.editor.post("/v1/sources", json=body).status_code == 422, "a secret id is good once"
    tokens = [opened(shop, source_id)["client_refresh_token"]]
    for _ in range(2):
        workshop.tokens.end_access()
        checked = shop.editor.post(f"{OWN}/sources/{source_id}/check")
        assert checked.json()["status"] == "succeeded", checked.text
        tokens.append(opened(shop, source_id)["client_refresh_token"])
    assert len({*tokens}) == 3
    workshop.tokens.end_all()
    assert shop.editor.post(f"{OWN}/sources/{source_id}/check").json()["status"] == "failed"
    assert returned(shop, begun(shop, sourceId=source_id)) == f"{BACK}?source_id={source_id}"
    renewed = opened(shop, source_id)
    assert renewed["client_refresh_token"] not in tokens
    assert (renewed["client_id"], renewed["client_secret"]) == (CLIENT, SECRET)
    assert shop.editor.post(f"{OWN}/sources/{source_id}/check").json()["status"] == "succeeded"


def nested(workshop: WorkshopStandIn) -> str:
    """A manifest whose form has the OAuth options in one of two branches of `credentials`."""
    values = yaml.safe_load(MANIFEST.replace("URL", workshop.url))
    text = {"type": "string"}
    secret = {**text, "airbyte_secret": True}
    branch = {
        "type": "object",
        "required": ["auth_type", "client_id", "client_secret", "refresh_token"],
        "properties": {
            "auth_type": {**text, "const": "oauth2.0"},
            "client_id": text,
            "client_secret": secret,
            "refresh_token": secret,
        },
    }
    key = {
        "type": "object",
        "required": ["auth_type", "key"],
        "properties": {"auth_type": {**text, "const": "key"}, "key": secret},
    }
    form = {"type": "object", "properties": {"credentials": {"type": "object", "oneOf": [key, branch]}}}
    values["spec"]["connection_specification"] = form
    auth = values["spec"]["advanced_auth"]
    auth |= {"predicate_key": ["credentials", "auth_type"], "predicate_value": "oauth2.0"}
    output = auth["oauth_config_specification"]["complete_oauth_output_specification"]["properties"]
    output["refresh_token"]["path_in_connector_config"] = ["credentials", "refresh_token"]
    authenticator = values["streams"][0]["retriever"]["requester"]["authenticator"]
    for name in ("client_id", "client_secret", "refresh_token"):
        authenticator[name] = f"{{{{ config['credentials']['{name}'] }}}}"
    authenticator["refresh_token_updater"] = {"refresh_token_config_path": ["credentials", "refresh_token"]}
    return str(yaml.safe_dump(values))


def test_the_tokens_join_the_branch_of_the_form_that_has_the_client(shop: Shop, workshop: WorkshopStandIn) -> None:
    definition_id = published(shop, nested(workshop))
    assert inputs_of(shop, definition_id) == [["credentials", "client_id"], ["credentials", "client_secret"]]
    config = {"credentials": {"client_id": CLIENT, "client_secret": SECRET}}
    new = {"workspaceId": shop.tenant.workspace_id, "definitionId": definition_id}
    secret_id = returned(shop, begun(shop, **new, configuration=config)).partition("secret_id=")[2]
    body = {"name": "W", **new, "configuration": config, "secretId": secret_id}
    made = shop.editor.post("/v1/sources", json=body)
    assert made.status_code == 200, made.text
    credentials = opened(shop, made.json()["sourceId"])["credentials"]
    assert credentials.keys() == {"auth_type", "client_id", "client_secret", "refresh_token"}
    assert (credentials["auth_type"], made.json()["configuration"]["credentials"]["refresh_token"]) == (
        "oauth2.0",
        MASK,
    )


def test_a_consent_that_cannot_be_is_not_offered_and_what_goes_wrong_is_said(
    shop: Shop, workshop: WorkshopStandIn
) -> None:
    text = MANIFEST.replace("URL", workshop.url)
    without = published(shop, text.partition("  advanced_auth")[0])
    assert inputs_of(shop, without) is None
    workspace = shop.tenant.workspace_id
    refused = begun(shop, workspaceId=workspace, definitionId=without)
    assert (refused.status_code, "no OAuth consent for Workshop" in refused.text) == (422, True)
    hidden = published(
        shop, text.replace("client_id: {type: string}", "client: {type: string}").replace("client_id, ", "")
    )
    assert inputs_of(shop, hidden) is None
    definition_id = published(shop, text)
    new = {"workspaceId": workspace, "definitionId": definition_id}
    nothing = begun(shop, **new)
    assert (nothing.status_code, "the application's client_id" in nothing.text) == (422, True)
    config = {"client_id": CLIENT, "client_secret": "wr0ng-secret"}
    denied = returned(shop, begun(shop, **new, configuration=config), "Deny")
    assert "access_denied" in denied
    wrong = returned(shop, begun(shop, **new, configuration=config))
    assert "error=" in wrong
    assert "wr0ng" not in wrong
    other = Tenant.make(shop.tenant.context, "other")
    stranger = Browser(shop.tenant.context, other.member("workspace_editor"))
    body = {
        "workspaceId": other.workspace_id,
        "definitionId": definition_id,
        "redirectUrl": BACK,
        "configuration": config,
    }
    assert stranger.post(CONSENTS, json=body).status_code in (403, 404)
    reader = Browser(shop.tenant.context, shop.tenant.member("workspace_reader"))
    assert reader.post(CONSENTS, json={**body, "workspaceId": workspace}).status_code == 403
    config["client_secret"] = SECRET
    secret_id = returned(shop, begun(shop, **new, configuration=config)).partition("secret_id=")[2]
    taken = {
        "name": "W",
        "workspaceId": workspace,
        "definitionId": without,
        "configuration": config,
        "secretId": secret_id,
    }
    assert shop.editor.post("/v1/sources", json=taken).status_code == 422, "tokens go to no other connector"
