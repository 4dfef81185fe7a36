"""Login by OpenID Connect, against an issuer on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi.testclient import TestClient

from kitestring.server.app import create_app
from kitestring.server.auth import user
from kitestring.server.context import Context
from kitestring.server.settings import Settings
from kitestring.testing.stand_in import Answer, StandIn, route
from tests.unit.server.tenants import admin

pytestmark = pytest.mark.slow

START = "/api/kitestring/v1/session/oidc"


class Issuer(StandIn):
    """An issuer that signs what `claims` says about whoever logs in."""

    def __init__(self) -> None:
        super().__init__()
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.signs_with = self.key
        self.claims: dict[str, Any] = {}
        self.headers: dict[str, Any] = {"kid": "one"}
        self.authorization: dict[str, str] = {}

    @route("GET", "/.well-known/openid-configuration")
    def described(self, call: Any) -> Any:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }

    @route("GET", "/keys")
    def keys(self, call: Any) -> Any:
        content = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**content, "kid": "one", "use": "sig", "alg": "RS256"}]}

    def log_in(self, location: str) -> str:
        """What the browser does at the issuer; where it is sent back to."""
        self.authorization = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert self.authorization["scope"] == "openid email profile"
        return f"{urlsplit(self.authorization['redirect_uri']).path}?code=the-code&state={self.authorization['state']}"

    @route("POST", "/token")
    def token(self, call: Any) -> Any:
        form = {name: values[0] for name, values in parse_qs(call.body.decode()).items()}
        provided = base64.b64decode(call.headers["authorization"].partition(" ")[2]).decode()
        created = (
            base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        )
        if (
            provided != "kitestring:geheim"
            or form["code"] != "the-code"
            or created != self.authorization["code_challenge"]
        ):
            return Answer(400, {"error": "invalid_grant"})
        now = int(time.time())
        output = {
            "iss": self.url,
            "aud": "kitestring",
            "sub": "ada-1",
            "iat": now,
            "exp": now + 60,
            "nonce": self.authorization["nonce"],
            "email": "ada@example.com",
            "email_verified": True,
            "name": "Ada",
            **self.claims,
        }
        output = {name: value for name, value in output.items() if value is not None}
        return {"id_token": jwt.encode(output, self.signs_with, algorithm="RS256", headers=self.headers)}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as single_issuer:
        yield single_issuer


def browser(context: Context, issuer: Issuer, **more: Any) -> TestClient:
    created_context = replace(
        context,
        settings=Settings(
            home=context.settings.home,
            oidc_issuer=issuer.url,
            oidc_client_id="kitestring",
            oidc_client_secret="geheim",
            **more,
        ),
    )
    return TestClient(create_app(created_context), follow_redirects=False)


def through(client: TestClient, issuer: Issuer) -> Any:
    return client.get(issuer.log_in(client.get(START, params={"back": "/x?y=1"}).headers["location"]))


def added(context: Context, email: str) -> str:
    with context.store.write() as db:
        return user.add(db, email, None, 1)


def test_a_known_user_comes_back_with_a_session(context: Context, issuer: Issuer) -> None:
    admin(context)
    added(context, "ada@example.com")
    client = browser(context, issuer)
    assert client.get("/api/kitestring/v1/session/ways").json()["oidc"] == "single sign-on"
    answer = through(client, issuer)
    assert (answer.status_code, answer.headers["location"]) == (302, "/x?y=1")
    assert client.get("/api/kitestring/v1/session").json()["name"] == "ada@example.com"
    # From then on the subject counts, whatever becomes of the address.
    issuer.claims = {"email": "countess@example.com", "email_verified": False}
    second = browser(context, issuer)
    assert through(second, issuer).status_code == 302
    assert second.get("/api/kitestring/v1/session").json()["name"] == "ada@example.com"


def test_what_is_wrong_with_a_token_keeps_its_bearer_out(context: Context, issuer: Issuer) -> None:
    admin(context)
    added(context, "ada@example.com")
    now = int(time.time())
    for claims in (
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"iss": "https://another.example"},
        {"exp": now - 3600},
        {"exp": None},
        {"azp": "another"},
        {"sub": "stranger", "email": "stranger@example.com"},
        {"sub": "mallory", "email_verified": False},
        {"sub": "mallory", "email_verified": None},
    ):
        issuer.claims = claims
        assert through(browser(context, issuer), issuer).status_code == 401, claims
    issuer.claims = {}
    issuer.headers = {"kid": "unknown"}
    assert through(browser(context, issuer), issuer).status_code == 401
    issuer.headers = {"kid": "one"}
    issuer.signs_with = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert through(browser(context, issuer), issuer).status_code == 401
    issuer.signs_with = issuer.key
    assert through(browser(context, issuer), issuer).status_code == 302
    issuer.claims = {"sub": "somebody else"}
    assert through(browser(context, issuer), issuer).status_code == 401


def test_a_login_ends_in_the_browser_that_began_it(context: Context, issuer: Issuer) -> None:
    admin(context)
    added(context, "ada@example.com")
    client, other = browser(context, issuer), browser(context, issuer)
    back = issuer.log_in(client.get(START).headers["location"])
    assert other.get(back).status_code == 401
    assert client.get(back.replace("state=", "state=x")).status_code == 401
    assert client.get(back.replace("code=the-code", "error=access_denied")).status_code == 401
    assert client.get(back).status_code == 302
    assert client.get(back).status_code == 401


def test_strangers_become_users_only_where_that_is_wanted_and_never_the_first(context: Context, issuer: Issuer) -> None:
    expected = {"oidc_create": True, "oidc_domains": "example.com"}
    assert through(browser(context, issuer, **expected), issuer).status_code == 401
    admin(context)
    assert through(browser(context, issuer), issuer).status_code == 401
    assert through(browser(context, issuer, oidc_create=True), issuer).status_code == 401
    issuer.claims = {"email": "ada@notexample.com"}
    assert through(browser(context, issuer, **expected), issuer).status_code == 401
    issuer.claims = {}
    client = browser(context, issuer, **expected)
    assert through(client, issuer).status_code == 302
    session = client.get("/api/kitestring/v1/session").json()
    assert session["instanceAdmin"] is False
    assert session["workspaces"] == []


def test_nobody_is_sent_to_another_site_at_the_end(context: Context, issuer: Issuer) -> None:
    admin(context)
    added(context, "ada@example.com")
    for back in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:x"):
        client = browser(context, issuer)
        location = client.get(START, params={"back": back}).headers["location"]
        assert client.get(issuer.log_in(location)).headers["location"] == "/", back
