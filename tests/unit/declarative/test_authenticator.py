"""Credentials as the API gets them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from loopback import Api, Open, stream, sync

from kitestring.errors import AuthError, ConfigError

PAGE = {"data": [{"id": 1}]}


def read(
    api: Api, open_source: Open, authenticator: dict[str, Any], config: dict[str, Any] | None = None, **requester: Any
) -> Any:
    api.answers.setdefault("/things", PAGE)
    source = open_source(stream(url=api.url, requester={"authenticator": authenticator, **requester}), config=config)
    sync(source)
    return next(call for call in reversed(api.calls) if call.path == "/things")


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
    asked = api.calls[0]
    assert asked.form["grant_type"] == "refresh_token"
    assert (asked.form["client_id"], asked.form["client_secret"], asked.form["refresh_token"]) == (
        "i",
        "hush-hush",
        "r1",
    )
    assert asked.form["extra"] == "i"
    assert asked.headers["x-app"] == "k"
    assert asked.body.count(b"scopes=") == 2


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
    (asked,) = [c for c in api.calls if c.path == "/token"]
    assert json.loads(asked.body)["grant_type"] == "refresh_token"
    assert asked.headers["content-type"].startswith("application/json")


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
    told: list[Any] = []
    source.on_config(lambda changed: told.append(json.loads(json.dumps(changed))))
    sync(source)
    assert api.calls[0].form["refresh_token"] == "r1"
    assert api.calls[-1].headers["authorization"] == "Bearer a2"
    assert told[0]["credentials"]["refresh_token"] == "r2"
    assert told[0]["credentials"]["access_token"] == "a2"
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


def unpacked(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    head, payload, signature = token.split(".")

    def plain(text: str) -> bytes:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    return json.loads(plain(head)), json.loads(plain(payload)), f"{head}.{payload}".encode(), plain(signature)


JWT = {
    "type": "JwtAuthenticator",
    "secret_key": "{{ config.key }}",
    "algorithm": "HS256",
    "token_duration": 60,
    "header_prefix": "Bearer",
    "jwt_headers": {"kid": "{{ config.kid }}", "typ": "JWT"},
    "jwt_payload": {"iss": "me", "aud": "{{ config.absent }}"},
    "additional_jwt_payload": {"scope": "all"},
}


def test_a_signed_token_is_made_for_a_request(api: Api, open_source: Open) -> None:
    header = read(api, open_source, JWT, {"key": "secret-key", "kid": "k1"}).headers["authorization"]
    head, payload, body, signature = unpacked(header.removeprefix("Bearer "))
    assert head == {"kid": "k1", "typ": "JWT", "alg": "HS256"}
    assert payload["exp"] - payload["iat"] == 60
    assert (payload["iss"], payload["scope"]) == ("me", "all")
    assert "aud" not in payload
    assert signature == hmac.digest(b"secret-key", body, hashlib.sha256)


def test_a_signed_token_may_go_elsewhere_and_its_key_be_encoded(api: Api, open_source: Open) -> None:
    option = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "jwt"}
    result = read(
        api,
        open_source,
        {**JWT, "header_prefix": "", "base64_encode_secret_key": True, "request_option": option},
        {"key": "k"},
    )
    _, _, body, signature = unpacked(result.query["jwt"])
    assert signature == hmac.digest(base64.b64encode(b"k"), body, hashlib.sha256)


@pytest.mark.parametrize("algorithm", ["RS256", "PS384", "ES256", "EdDSA"])
def test_a_private_key_signs(api: Api, open_source: Open, algorithm: str) -> None:
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    private: Any = {
        "RS": lambda: rsa.generate_private_key(65537, 2048),
        "PS": lambda: rsa.generate_private_key(65537, 2048),
        "ES": lambda: ec.generate_private_key(ec.SECP256R1()),
        "Ed": ed25519.Ed25519PrivateKey.generate,
    }[algorithm[:2]]()
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"pass"),
    ).decode()
    authenticator = {**JWT, "algorithm": algorithm, "passphrase": "pass"}
    header = read(api, open_source, authenticator, {"key": pem, "kid": "k"}).headers["authorization"]
    _, _, body, signature = unpacked(header.removeprefix("Bearer "))
    public = private.public_key()
    if algorithm == "RS256":
        public.verify(signature, body, padding.PKCS1v15(), hashes.SHA256())
    elif algorithm == "PS384":
        public.verify(signature, body, padding.PSS(padding.MGF1(hashes.SHA384()), 48), hashes.SHA384())
    elif algorithm == "ES256":
        whole = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        public.verify(whole, body, ec.ECDSA(hashes.SHA256()))
    else:
        public.verify(signature, body)


def test_a_key_that_does_not_fit_is_told(api: Api, open_source: Open) -> None:
    pytest.importorskip("cryptography")
    with pytest.raises(ConfigError, match="cannot be read"):
        read(api, open_source, {**JWT, "algorithm": "RS256"}, {"key": "no pem", "kid": "k"})


def test_a_signed_assertion_is_traded_for_a_token(api: Api, open_source: Open) -> None:
    api.answers["/token"] = {"access_token": "a1"}
    authenticator = {
        "type": "OAuthAuthenticator",
        "token_refresh_endpoint": f"{api.url}/token",
        "use_profile_assertion": True,
        "profile_assertion": JWT,
    }
    assert read(api, open_source, authenticator, {"key": "k", "kid": "k1"}).headers["authorization"] == "Bearer a1"
    form = api.calls[0].form
    assert form["grant_type"].endswith("jwt-bearer")
    assert unpacked(form["assertion"])[1]["iss"] == "me"


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


def rotating(api: Api, refreshes: list[str]) -> None:
    """A token endpoint whose refresh tokens are good for one use, and that ends the old access token."""

    def token(call: Any) -> Any:
        refreshes.append(call.form["refresh_token"])
        if call.form["refresh_token"] != f"r{len(refreshes) - 1}":
            return 400, {"error": "invalid_grant"}
        return {"access_token": f"a{len(refreshes)}", "refresh_token": f"r{len(refreshes)}", "expires_in": 3600}

    def things(call: Any) -> Any:
        good = call.headers["authorization"] == f"Bearer a{len(refreshes)}"
        return {"data": [{"id": 1}, {"id": 2}]} if good else (401, {"message": "expired"})

    api.answers["/token"] = token
    for path in ("/parents", "/things/1", "/things/2", "/things"):
        api.answers[path] = things


UPDATED = {
    "type": "OAuthAuthenticator",
    "client_id": "i",
    "client_secret": "s",
    "refresh_token_updater": {
        "access_token_config_path": ["access"],
        "refresh_token_config_path": ["refresh"],
        "token_expiry_date_config_path": ["expiry"],
    },
}


def test_streams_with_the_same_credential_use_one_token(api: Api, open_source: Open) -> None:
    refreshes: list[str] = []
    rotating(api, refreshes)
    signed = {"authenticator": {**UPDATED, "token_refresh_endpoint": f"{api.url}/token"}}
    parent = {
        "type": "ParentStreamConfig",
        "stream": stream("parents", url=api.url, path="/parents", requester=signed),
        "parent_key": "id",
        "partition_field": "n",
    }
    router = {"type": "SubstreamPartitionRouter", "parent_stream_configs": [parent]}
    child = stream(
        url=api.url,
        path="/things/{{ stream_slice['n'] }}",
        requester=signed,
        retriever={"partition_router": router},
    )
    kept: list[dict[str, Any]] = []
    source = open_source(child, config={"refresh": "r0", "access": "", "expiry": ""})
    source.on_config(lambda config: kept.append(dict(config)))
    assert len(sync(source).records) == 4
    assert refreshes == ["r0"]
    assert [(config["access"], config["refresh"]) for config in kept] == [("a1", "r1")]
    assert [call.path for call in api.calls].count("/parents") == 1


def test_two_sources_of_one_process_use_up_no_refresh_token_twice(api: Api, open_source: Open) -> None:
    refreshes: list[str] = []
    rotating(api, refreshes)
    signed = {"authenticator": {**UPDATED, "token_refresh_endpoint": f"{api.url}/token"}}
    kept: list[str] = []
    sources = []
    for _ in range(2):
        source = open_source(stream(url=api.url, requester=signed), config={"refresh": "r0"})
        source.on_config(lambda config: kept.append(config["refresh"]))
        sources.append(source)
    assert [len(sync(source).records) for source in sources] == [2, 2]
    assert refreshes == ["r0"]
    assert kept == ["r1", "r1"]


def test_threads_whose_token_was_refused_fetch_one_new_token(api: Api, open_source: Open) -> None:
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    fetched: list[str] = []
    barrier = Barrier(4, timeout=120)

    def token(call: Any) -> Any:
        fetched.append("t")
        return {"access_token": f"a{len(fetched)}", "expires_in": 3600}

    def things(call: Any) -> Any:
        if call.headers["authorization"] == "Bearer a1":
            barrier.wait()  # all four are answered only when all have asked
            return 401, {}
        return {"data": [{"id": 1}]}

    api.answers.update({"/token": token, "/things": things})
    signed = {
        "authenticator": {
            "type": "OAuthAuthenticator",
            "client_id": "i",
            "client_secret": "s",
            "refresh_token": "r",
            "token_refresh_endpoint": f"{api.url}/token",
        }
    }
    source = open_source(stream(url=api.url, requester=signed))
    requester = source.component("things").retriever.requester
    from kitestring.declarative.slice import WHOLE

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: requester.send(WHOLE)[0].status, range(4)))
    assert answers == [200] * 4
    assert len(fetched) == 2
