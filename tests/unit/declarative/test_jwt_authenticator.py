"""Signed tokens: one for each request, or exchanged for another token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from authenticated import read
from loopback import Api, Open

from kitestring.errors import ConfigError


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
