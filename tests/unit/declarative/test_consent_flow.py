"""The consent that a manifest describes: its templates, its token request, and what becomes of the answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kitestring.declarative.consent_flow import ConsentFlow, flow_of
from kitestring.errors import AuthError, ConfigError

CONFIG = {"client_id": "kite", "client_secret": "s&cret", "subdomain": "acme", "deep": {"no": "text"}}
BACK, STATE = "https://kite.example/back?a=1", "state-1"


def flow(output: dict[str, Any] | None = None, **request: Any) -> ConsentFlow:
    addresses = {"consent_url": "https://a.example/authorize", "access_token_url": "https://a.example/token"}
    specification: dict[str, Any] = {"oauth_connector_input_specification": {**addresses, **request}}
    if output is not None:
        specification["complete_oauth_output_specification"] = output
    return ConsentFlow(specification)


@pytest.mark.parametrize(
    ("template", "rest"),
    [
        ("client_id={{ client_id_value }}&state={{ state_value }}", "client_id=kite&state=state-1"),
        ("{{ client_id_param }}&{{ state_param }}", "app=kite&state=state-1"),
        ("{{ client_id_key }}={{ app }}&state={{ state }}", "app=kite&state=state-1"),
        ("{{ redirect_uri_param }}", "redirect_uri=https%3A%2F%2Fkite.example%2Fback%3Fa%3D1"),
        ("r={{ redirect_uri_value | urlencode }}", "r=https%3A%2F%2Fkite.example%2Fback%3Fa%3D1"),
        ("r={{ {{redirect_uri_value}} | urlEncoder }}", "r=https%3A%2F%2Fkite.example%2Fback%3Fa%3D1"),
        ("x={{ {{client_id_value}}:{{state_value}} | base64Encoder }}", "x=a2l0ZTpzdGF0ZS0x"),
        (  # the example of RFC 7636, appendix B
            "c={{ 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk' | codeChallengeS256 }}",
            "c=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        ),
        ("s={{ scope_value }}&{{ scope_param }}", "s=read,write&scope=read%2Cwrite"),
        ("shop={{ subdomain }}", "shop=acme"),
    ],
)
def test_the_address_is_rendered_as_airbytes_platform_does(template: str, rest: str) -> None:
    described = flow(
        consent_url=f"https://a.example/authorize?{template}",
        client_id_key="app",
        scopes=[{"scope": "read"}, {"scope": "write"}],
        scopes_join_strategy="comma",
    )
    config = {**CONFIG, "app": "kite"}
    assert described.address(config, BACK, STATE) == f"https://a.example/authorize?{rest}"


@pytest.mark.parametrize(
    ("url", "fact"),
    [
        ("javascript:alert(1)//{{ client_id_value }}", "is no web address"),
        ("https://a.example/{{ client_secret_value }}", "names client_secret_value"),
        ("https://a.example/{{ password }}", "names password"),
        ("https://a.example/{{ client_id_value", "a template that fails"),
        ("https://a.example/{{ 'x' * 10 ** 9 }}", "a template that fails"),
        ("https://a.example/{{ ''.__class__.mro() }}", "a template that fails"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str, fact: str) -> None:
    with pytest.raises(ConfigError, match=fact):
        flow(consent_url=url).address(CONFIG, BACK, STATE)


def test_without_addresses_or_without_a_client_there_is_no_consent() -> None:
    with pytest.raises(ConfigError, match="describes no consent"):
        flow_of({"spec": {"connection_specification": {}}})
    with pytest.raises(ConfigError, match="needs the application's client_id"):
        flow().address({"client_secret": "x"}, BACK, STATE)


def test_the_token_request_is_json_unless_its_content_type_says_form() -> None:
    fields = {"{{ client_secret_key }}": "{{ client_secret_value }}", "code": "{{ auth_code_value }}"}
    url, headers, body = flow(access_token_params=fields).token_request(CONFIG, BACK, STATE, "c0de")
    assert (url, headers) == ("https://a.example/token", {"Accept": "application/json"})
    assert body == {"json": {"client_secret": "s&cret", "code": "c0de"}}
    form = {"Content-Type": "application/x-www-form-urlencoded", "X": "{{ (client_id_value ~ ':') | b64encode }}"}
    _, headers, body = flow(access_token_params=fields, access_token_headers=form).token_request(
        CONFIG, BACK, STATE, "c"
    )
    assert (headers["X"], list(body)) == ("a2l0ZTo=", ["form"])
    assert "Content-Type" not in headers
    form = {"content-type": "Application/X-WWW-Form-Urlencoded; charset=UTF-8"}
    _, headers, body = flow(access_token_params=fields, access_token_headers=form).token_request(
        CONFIG, BACK, STATE, "c"
    )
    assert (list(body), [*headers]) == (["form"], ["Accept"])
    _, _, body = flow(access_token_url="https://a.example/token?{{ auth_code_param }}").token_request(
        CONFIG, BACK, STATE, "c"
    )
    assert body == {}


def test_the_answer_goes_to_the_places_that_the_manifest_names() -> None:
    output = {
        "required": ["token"],
        "properties": {
            "token": {
                "path_in_connector_config": ["credentials", "access_token"],
                "path_in_oauth_response": ["data", "t"],
            },
            "refresh_token": {"path_in_connector_config": ["credentials", "refresh_token"]},
            "token_expiry_date": {"path_in_connector_config": ["credentials", "until"]},
            "absent": {"path_in_connector_config": ["absent"]},
        },
    }
    described = flow(output, extract_output=["refresh_token"])
    answer = {"data": {"t": "acc"}, "refresh_token": "ref", "expires_in": "60"}
    assert described.options(answer, datetime(2026, 1, 1, tzinfo=UTC)) == {
        "credentials": {"access_token": "acc", "refresh_token": "ref", "until": "2026-01-01T00:01:00+00:00"}
    }
    assert flow(extract_output=["$.data.t"]).options(answer) == {"t": "acc"}
    for broken, fact in (
        ({"error": "invalid_grant"}, "invalid_grant"),
        (["x"], "no object"),
        ({"data": {"t": "x"}}, "without refresh_token"),
        ({"refresh_token": "r"}, "without token"),
    ):
        with pytest.raises(AuthError, match=fact):
            described.options(broken)
