"""Login by OpenID Connect: the authorization code flow with PKCE, state and nonce, against one issuer.

An ID token of the issuer belongs to the user with the same verified e-mail address, or to one who logged in before (by
issuer and subject). Others are refused, unless `oidc_create` makes users of those whose address is in
`oidc_domains`; the very first user is always added by hand, so that the first visitor does not become an admin.

What has to be remembered between the two redirects is in a sealed cookie of the browser that began: no other browser
can end the login, and a login that is never ended leaves nothing behind.
https://openid.net/specs/openid-connect-core-1_0.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from kitestring.errors import AuthError, ConfigError
from kitestring.server.auth import user
from kitestring.server.auth.token import unauthorized
from kitestring.server.auth.token_hash import random_token
from kitestring.server.context import Context
from kitestring.server.settings import Settings
from kitestring.server.store.tables import users

COOKIE = "kitestring_oidc"
CALLBACK = "/api/kitestring/v1/session/oidc/callback"
COOKIE_MAX_AGE_S = 600
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures of the issuer. None with a shared secret, and never none at all."""
OWNER = "oidc login"


def begin(context: Context, back: str) -> tuple[str, str]:
    """The issuer's address to go to, and the cookie to bring back. `back`: the page to end on."""
    settings = require_configured(context.settings)
    metadata = discover(settings)
    state, nonce, verifier = random_token(), random_token(), random_token()
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": settings.oidc_client_id,
        "redirect_uri": f"{settings.url}{CALLBACK}",
        "scope": "openid email profile",
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    login = {"state": state, "nonce": nonce, "verifier": verifier, "back": own_page(back)}
    endpoint = str(metadata["authorization_endpoint"])
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}", context.secret_box.seal(
        json.dumps(login), OWNER
    )


def end(context: Context, query: Mapping[str, str], cookie: str) -> tuple[str, str]:
    """The id of the user who has come back, and the page to go to. 401 for a user who is refused."""
    settings = require_configured(context.settings)
    try:
        login = json.loads(context.secret_box.open(cookie, OWNER))
    except (ConfigError, ValueError):
        raise unauthorized("the login was not begun in this browser, or too long ago") from None
    if not hmac.compare_digest(login["state"].encode(), query.get("state", "").encode()):
        raise unauthorized("the login was not begun in this browser, or too long ago")
    if "code" not in query:
        raise unauthorized(f"the login was refused: {query.get('error', 'no code came back')[:100]}")
    try:
        claims = identity(settings, query["code"], login)
    except AuthError as error:
        raise unauthorized(error.message) from error
    return user_of_claims(context, settings, claims), str(login["back"])


def identity(settings: Settings, code: str, login: Mapping[str, str]) -> dict[str, Any]:
    """The claims of the ID token for a code, verified. `AuthError` for a token that is not what it should be."""
    import jwt

    from kitestring.http import Basic, Retries, Session

    metadata = discover(settings)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": f"{settings.url}{CALLBACK}",
        "code_verifier": login["verifier"],
    }
    methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    in_header = "client_secret_basic" in methods
    if not in_header:
        form |= {"client_id": settings.oidc_client_id, "client_secret": settings.oidc_client_secret}
    with Session(
        secrets=[settings.oidc_client_secret, code, login["verifier"]],
        auth=Basic(settings.oidc_client_id, settings.oidc_client_secret) if in_header else None,
        policy=Retries(attempts=1),
        timeout_s=20,
    ) as http:
        try:
            token = http.request("POST", str(metadata["token_endpoint"]), form=form).json().get("id_token")
        except ConfigError as error:
            raise AuthError(f"the issuer does not accept the login: {error.message}", hint="Log in again.") from error
    with Session(timeout_s=20) as http:
        keys = http.get(str(metadata["jwks_uri"])).get("keys") or []
    try:
        header = jwt.get_unverified_header(str(token))
        fitting = [
            key for key in keys if header.get("kid") in (None, key.get("kid")) and key.get("use", "sig") == "sig"
        ]
        if not fitting:
            raise AuthError("the issuer signed with a key that it does not publish", hint="Log in again.")
        claims = jwt.decode(
            str(token),
            jwt.PyJWK.from_dict(
                fitting[0], algorithm=header.get("alg") if header.get("alg") in ALGORITHMS else None
            ).key,
            algorithms=ALGORITHMS,
            audience=settings.oidc_client_id,
            issuer=str(metadata["issuer"]),
            leeway=60,
            options={"require": ["exp", "iat", "sub", "aud", "iss"]},
        )
    except jwt.PyJWTError as error:
        raise AuthError(f"the issuer's ID token is not valid: {error}", hint="Log in again.") from error
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), login["nonce"].encode()):
        raise AuthError("the issuer's ID token belongs to another login", hint="Log in again.")
    if claims.get("azp", settings.oidc_client_id) != settings.oidc_client_id:
        raise AuthError("the issuer's ID token was made for another program", hint="Log in again.")
    return dict(claims)


def user_of_claims(context: Context, settings: Settings, claims: Mapping[str, Any]) -> str:
    """The user of an identity: by subject, by verified address, or a new one where that is allowed."""
    subject = f"{claims['iss']} {claims['sub']}"
    email = str(claims.get("email") or "").strip().lower()
    # Some issuers leave the claim out, and some write it as text; only a clear yes counts.
    verified = claims.get("email_verified") in (True, "true")
    with context.store.write() as db:
        row = db.execute(users.select().where(users.c.subject == subject)).one_or_none()
        if row is None and email and verified:
            row = user.by_email(db, email)
            if row is not None and row.subject is not None:
                raise unauthorized("the user of this address logs in with another identity")
            if row is not None:
                db.execute(users.update().where(users.c.id == row.id).values(subject=subject))
        if row is not None:
            if row.disabled:
                raise unauthorized("the user is disabled")
            return str(row.id)
        domain = email.rpartition("@")[2]
        domains = [domain.strip().lower() for domain in settings.oidc_domains.split(",") if domain.strip()]
        if not (settings.oidc_create and verified and domain in domains and user.configured(db)):
            raise unauthorized("nobody of this address is a user of the server; ask its admin to add you")
        name = str(claims.get("name") or "")[:200]
        return user.add(db, email, None, context.store.now_ms(db), name=name, subject=subject)


def discover(settings: Settings) -> Mapping[str, Any]:
    """The issuer's own description. `ConfigError` where it is not the issuer's, or names no https addresses."""
    from kitestring.http import Session

    issuer = settings.oidc_issuer.rstrip("/")
    with Session(timeout_s=20) as http:
        metadata = http.get(f"{issuer}/.well-known/openid-configuration")
    if not isinstance(metadata, Mapping) or str(metadata.get("issuer", "")).rstrip("/") != issuer:
        raise ConfigError(
            f"{issuer} describes another issuer",
            hint="Correct KITESTRING_OIDC_ISSUER: it is compared letter by letter.",
        )
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        endpoint = str(metadata.get(name, ""))
        if not endpoint.startswith("https://") and not issuer.startswith("http://"):
            raise ConfigError(f"the issuer's {name} is not an https address", hint="Ask the issuer's operator.")
    return metadata


def require_configured(settings: Settings) -> Settings:
    """404 where no issuer is set up."""
    if not (settings.oidc_issuer and settings.oidc_client_id):
        raise ConfigError(
            "no login by OIDC is set up", hint="Set KITESTRING_OIDC_ISSUER, _OIDC_CLIENT_ID and _OIDC_CLIENT_SECRET."
        )
    return settings


def own_page(back: str) -> str:
    """A page of this server; the first page for an address elsewhere."""
    plain = back.startswith("/") and not back.startswith("//") and "\\" not in back and back.isprintable()
    return back if plain else "/"
