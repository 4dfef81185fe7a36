"""Credentials as the API gets them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from authenticated import PAGE, read
from loopback import Api, Open, stream, sync

from kitestring.errors import AuthError, ConfigError


@pytest.mark.parametrize(
    ("authenticator", "header"),
    [
        ({"type": "BearerAuthenticator", "api_token": "{{ config.key }}"}, "Bearer 0042"),
        ({"type": "BasicHttpAuthenticator", "username": "{{ config.key }}", "password": "pä"}, "Basic MDA0Mjpww6Q="),
        ({"type": "BasicHttpAuthenticator", "username": "u"}, "Basic dTo="),
        ({"type": "ApiKeyAuthenticator", "header": "Authorization", "api_token": "T {{ config.key }}"}, "T 0042"),
        ({"type": "NoAuth"}, None),
    ],
)  # fmt: skip
def test_a_header_carries_the_credential(
    api: Api, open_source: Open, authenticator: dict[str, Any], header: str | None
) -> None:
    assert read(api, open_source, authenticator, {"key": "0042"}).headers.get("authorization") == header


def test_a_key_goes_where_the_manifest_says(api: Api, open_source: Open) -> None:
    def key(place: str) -> dict[str, Any]:
        option = {"type": "RequestOption", "inject_into": place, "field_name": "key"}
        return {"type": "ApiKeyAuthenticator", "api_token": "{{ config.key }}", "inject_into": option}

    assert read(api, open_source, key("request_parameter"), {"key": "k"}).query == {"key": "k"}
    assert read(api, open_source, key("body_json"), {"key": "k"}, http_method="POST").json == {"key": "k"}
    assert read(api, open_source, key("body_data"), {"key": "k"}, http_method="POST").form == {"key": "k"}
    assert read(api, open_source, key("body_data"), {"key": "k"}).form == {"key": "k"}
    assert read(api, open_source, key("request_parameter"), {"key": "k"}, path="/things?key=k").query == {"key": "k"}


@pytest.mark.parametrize(
    ("authenticator", "fact"),
    [
        ({"type": "BearerAuthenticator"}, "needs `api_token`"),
        ({"type": "ApiKeyAuthenticator", "api_token": "x"}, "either `inject_into` or `header`"),
        ({"type": "CustomAuthenticator", "class_name": "source_x.Auth"}, "needs the Python class source_x.Auth"),
        ({"type": "BearerAuthentikator"}, "did you mean BearerAuthenticator"),
        ({"api_token": "x"}, "has no `type`"),
        ("text", "is a text, a component"),
    ],
)
def test_a_wrong_authenticator_is_told_with_its_place(open_source: Open, authenticator: Any, fact: str) -> None:
    source = open_source(stream(url="http://127.0.0.1:1", requester={"authenticator": authenticator}))
    with pytest.raises(ConfigError, match=fact) as caught:
        source.discover()
    assert "streams[0].retriever.requester" in str(caught.value)


CHOICE = {
    "type": "SelectiveAuthenticator",
    "authenticator_selection_path": ["credentials", "kind"],
    "authenticators": {
        "token": {"type": "BearerAuthenticator", "api_token": "{{ config.credentials.token }}"},
        "none": {"type": "NoAuth"},
    },
}


def test_the_configuration_chooses_an_authenticator(api: Api, open_source: Open) -> None:
    assert (
        read(api, open_source, CHOICE, {"credentials": {"kind": "token", "token": "t"}}).headers["authorization"]
        == "Bearer t"
    )
    with pytest.raises(ConfigError, match=r"has no credentials\.kind"):
        read(api, open_source, CHOICE, {})
    with pytest.raises(ConfigError, match="'magic', the manifest has token, none"):
        read(api, open_source, CHOICE, {"credentials": {"kind": "magic"}})


def session(api: Api, **more: Any) -> dict[str, Any]:
    return {
        "type": "SessionTokenAuthenticator",
        "login_requester": {
            "type": "HttpRequester",
            "url_base": api.url,
            "path": "/login",
            "http_method": "POST",
            "request_body_json": {"user": "u"},
        },
        "session_token_path": ["token", "value"],
        "expiration_duration": "PT1H",
        "request_authentication": {"type": "Bearer"},
        **more,
    }


def test_a_login_gives_a_token_that_is_kept(api: Api, open_source: Open) -> None:
    api.answers["/login"] = {"token": {"value": "s1"}}
    source = open_source(stream(url=api.url, requester={"authenticator": session(api)}))
    api.answers["/things"] = PAGE
    sync(source)
    sync(source)
    assert api.paths() == ["/login", "/things", "/things"]
    assert api.calls[-1].headers["authorization"] == "Bearer s1"


def test_a_token_that_is_refused_is_fetched_again(api: Api, open_source: Open) -> None:
    api.answers["/login"] = [{"token": {"value": "old"}}, {"token": {"value": "new"}}]
    api.answers["/things"] = lambda call: PAGE if call.headers["authorization"] == "Bearer new" else (401, {})
    assert sync(open_source(stream(url=api.url, requester={"authenticator": session(api)}))).records == PAGE["data"]


def test_without_a_duration_every_request_logs_in(api: Api, open_source: Open) -> None:
    api.answers["/login"] = {"token": {"value": "s1"}}
    source = open_source(stream(url=api.url, requester={"authenticator": session(api, expiration_duration=None)}))
    api.answers["/things"] = PAGE
    sync(source)
    sync(source)
    assert api.paths().count("/login") == 2


def test_a_session_token_can_go_into_a_header_as_a_template(api: Api, open_source: Open) -> None:
    api.answers["/login"] = b"<token><value>s2</value></token>"
    way = {
        "type": "ApiKey",
        "api_token": "S {{ session_token }}",
        "inject_into": {"type": "RequestOption", "inject_into": "header", "field_name": "X-Session"},
    }
    authenticator = session(api, request_authentication=way, decoder={"type": "XmlDecoder"})
    assert read(api, open_source, authenticator).headers["x-session"] == "S s2"


def test_a_login_that_fails_is_told(api: Api, open_source: Open) -> None:
    api.answers["/login"] = {"nothing": 1}
    with pytest.raises(AuthError, match=r"has no token\.value"):
        read(api, open_source, session(api))
    api.answers["/login"] = (403, {"message": "wrong password"})
    with pytest.raises(AuthError, match="wrong password"):
        read(api, open_source, session(api))
    with pytest.raises(ConfigError, match="neither ApiKey nor Bearer"):
        read(api, open_source, session(api, request_authentication={"type": "Cookie"}))
    with pytest.raises(ConfigError, match="ISO 8601"):
        read(api, open_source, session(api, expiration_duration="1h"))


LEGACY = {
    "type": "LegacySessionTokenAuthenticator",
    "header": "X-Session",
    "login_url": "/session",
    "validate_session_url": "/me",
    "session_token": "{{ config.session }}",
    "session_token_response_key": "id",
    "username": "{{ config.user }}",
    "password": "{{ config.password }}",
}


def test_a_valid_session_of_the_configuration_is_used(api: Api, open_source: Open) -> None:
    api.answers["/me"] = {}
    assert read(api, open_source, LEGACY, {"session": "given"}).headers["x-session"] == "given"


def test_an_expired_session_is_replaced_by_a_login(api: Api, open_source: Open) -> None:
    api.answers.update({"/me": (401, {}), "/session": {"id": "fresh"}})
    config = {"session": "given", "user": "u", "password": "p"}
    assert read(api, open_source, LEGACY, config).headers["x-session"] == "fresh"
    with pytest.raises(AuthError, match="no user name and password"):
        read(api, open_source, LEGACY, {"session": "given"})
    api.answers["/session"] = {}
    with pytest.raises(AuthError, match="has no id"):
        read(api, open_source, LEGACY, config)


OAUTH = {
    "type": "OAuthAuthenticator",
    "client_id": "{{ config.id }}",
    "client_secret": "{{ config.secret }}",
    "refresh_token": "{{ config.refresh }}",
}


KEYS = {"id": "i", "secret": "hush-hush", "refresh": "r1"}


def test_a_refresh_token_gives_access(api: Api, open_source: Open) -> None:
    api.answers["/token"] = {"data": {"access_token": "a1"}, "expires_in": 3600}
    authenticator = {
        **OAUTH,
        "token_refresh_endpoint": f"{api.url}/token",
        "scopes": ["read", "write"],
        "refresh_request_body": {"extra": "{{ config.id }}", "grant_type": "ignored"},
        "refresh_request_headers": {"X-App": "k"},
    }
    assert read(api, open_source, authenticator, KEYS).headers["authorization"] == "Bearer a1"
    requests = api.calls[0]
    assert requests.form["grant_type"] == "refresh_token"
    assert (requests.form["client_id"], requests.form["client_secret"], requests.form["refresh_token"]) == (
        "i",
        "hush-hush",
        "r1",
    )
    assert requests.form["extra"] == "i"
    assert requests.headers["x-app"] == "k"
    assert requests.body.count(b"scopes=") == 2


def test_client_credentials_need_no_refresh_token(api: Api, open_source: Open) -> None:
    api.answers["/token"] = {"access_token": "a1"}
    authenticator = {
        "type": "OAuthAuthenticator",
        "client_id": "i",
        "client_secret": "s",
        "grant_type": "client_credentials",
        "token_refresh_endpoint": f"{api.url}/token",
        "send_refresh_request_as_query_params": True,
    }
    read(api, open_source, authenticator)
    assert api.calls[0].query == {"grant_type": "client_credentials", "client_id": "i", "client_secret": "s"}


def test_credentials_in_a_header_are_not_repeated_in_the_form(api: Api, open_source: Open) -> None:
    api.answers["/token"] = {"access_token": "a1"}
    headers = {"Authorization": "Basic {{ (config.id ~ ':' ~ config.secret) | base64encode }}"}
    read(
        api,
        open_source,
        {**OAUTH, "token_refresh_endpoint": f"{api.url}/token", "refresh_request_headers": headers},
        KEYS,
    )
    assert set(api.calls[0].form) == {"grant_type", "refresh_token"}


def test_an_access_token_that_still_holds_is_used(api: Api, open_source: Open) -> None:
    known = {
        **OAUTH,
        "token_refresh_endpoint": f"{api.url}/token",
        "access_token_value": "given",
        "token_expiry_date": "2099-01-01T00:00:00Z",
    }
    assert read(api, open_source, known, KEYS).headers["authorization"] == "Bearer given"
    assert "/token" not in api.paths()
    api.answers["/token"] = {"access_token": "new"}
    assert read(api, open_source, {**known, "token_expiry_date": "1000"}, KEYS).headers["authorization"] == "Bearer new"
    with pytest.raises(ConfigError, match="not a date"):
        read(api, open_source, {**known, "token_expiry_date": "soon"}, KEYS)


def test_an_access_token_without_an_endpoint_is_used_until_it_is_refused(api: Api, open_source: Open) -> None:
    fixed = {"type": "OAuthAuthenticator", "access_token_value": "{{ config.token }}"}
    assert read(api, open_source, fixed, {"token": "fixed"}).headers["authorization"] == "Bearer fixed"
    api.answers["/things"] = (401, {"message": "expired"})
    with pytest.raises(AuthError, match="expired"):
        read(api, open_source, fixed, {"token": "fixed"})
    with pytest.raises(AuthError, match="cannot be renewed"):
        read(api, open_source, fixed, {})


@pytest.mark.parametrize(
    ("answer", "fact"),
    [
        ((400, {"error": "invalid_grant"}), "does not accept the grant.*invalid_grant"),
        ((401, {"error": "invalid_client"}), "OAuth client: it is unknown, was deleted, or its secret was changed"),
        ((400, {"error": "invalid_scope", "error_description": "no write"}), r"scopes .*\(invalid_scope: no write\)"),
        ((400, {"error": "invalid_client", "error_description": "hush-hush"}), "invalid_client"),
        ((400, {"error": {"code": 7}}), "refused the credentials"),
        ((422, ["no object"]), "refused the credentials"),
        ({"nothing": 1}, "returned no access_token"),
        ({"access_token": "a", "expires_in": "soon"}, "unreadable expiry 'soon'"),
    ],
)
def test_a_token_endpoint_that_refuses_is_told_without_secrets(
    api: Api, open_source: Open, answer: Any, fact: str
) -> None:
    api.answers["/token"] = answer
    with pytest.raises((AuthError, ConfigError), match=fact) as caught:
        read(api, open_source, {**OAUTH, "token_refresh_endpoint": f"{api.url}/token"}, KEYS)
    assert "hush-hush" not in str(caught.value)


def test_a_token_request_is_json_where_the_manifest_says_so(api: Api, open_source: Open) -> None:
    api.answers.update({"/token": {"access_token": "a"}, "/things": PAGE})
    headers = {"refresh_request_headers": {"content-type": "application/json; charset=utf-8"}}
    call = read(api, open_source, {**OAUTH, **headers, "token_refresh_endpoint": f"{api.url}/token"}, KEYS)
    assert call.headers["authorization"] == "Bearer a"
    (requests,) = [c for c in api.calls if c.path == "/token"]
    assert json.loads(requests.body)["grant_type"] == "refresh_token"
    assert requests.headers["content-type"].startswith("application/json")


def test_a_missing_refresh_token_is_told(api: Api, open_source: Open) -> None:
    with pytest.raises(AuthError, match="no refresh token"):
        read(api, open_source, {**OAUTH, "token_refresh_endpoint": f"{api.url}/token"}, {"id": "i"})


def test_a_refresh_token_that_is_used_up_is_replaced_and_told(api: Api, open_source: Open) -> None:
    api.answers.update({"/token": {"access_token": "a2", "refresh_token": "r2", "expires_in": 10}, "/things": PAGE})
    authenticator = {
        **OAUTH,
        "refresh_token": None,
        "token_refresh_endpoint": f"{api.url}/token",
        "refresh_token_updater": {},
    }
    config = {
        "id": "i",
        "secret": "s",
        "credentials": {"refresh_token": "r1", "access_token": "a1", "token_expiry_date": "2020-01-01T00:00:00Z"},
    }
    source = open_source(stream(url=api.url, requester={"authenticator": authenticator}), config=config)
    messages: list[Any] = []
    source.on_config(lambda changed: messages.append(json.loads(json.dumps(changed))))
    sync(source)
    assert api.calls[0].form["refresh_token"] == "r1"
    assert api.calls[-1].headers["authorization"] == "Bearer a2"
    assert messages[0]["credentials"]["refresh_token"] == "r2"
    assert messages[0]["credentials"]["access_token"] == "a2"
    assert config["credentials"]["refresh_token"] == "r1"


def test_an_expiry_may_be_a_moment(api: Api, open_source: Open) -> None:
    api.answers["/token"] = {"access_token": "a", "expires_in": "2020-01-01T00:00:00Z"}
    api.answers["/things"] = PAGE
    authenticator = {
        **OAUTH,
        "token_refresh_endpoint": f"{api.url}/token",
        "token_expiry_date_format": "%Y-%m-%dT%H:%M:%SZ",
    }
    source = open_source(stream(url=api.url, requester={"authenticator": authenticator}), config=KEYS)
    sync(source)
    sync(source)
    assert api.paths().count("/token") == 2


def test_a_template_that_nothing_leads_to_may_be_malformed(api: Api, open_source: Open) -> None:
    api.answers["/things"] = {"data": [{"id": 1}]}
    broken = {
        "type": "OAuthAuthenticator",
        "client_id": "i",
        "client_secret": "{{ config.x) }}",
        "grant_type": "client_credentials",
        "access_token_value": "token",
    }
    assert sync(open_source(stream(url=api.url, requester={"authenticator": broken}))).records == [{"id": 1}]
    source = open_source(
        stream(url=api.url, requester={"authenticator": {"type": "BearerAuthenticator", "api_token": "{{ a) }}"}})
    )
    assert len(source.discover()) == 1
    with pytest.raises(ConfigError, match="malformed"):
        sync(source)
