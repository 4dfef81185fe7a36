"""Tokens of applications: short-lived JWTs, signed with a key that is derived from the server's secret key."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass

from kitestring.server.http.problem import Problem
from kitestring.server.secrets.secret_box import SecretBox

ISSUER = "kitestring"
NO_USER_ID = "00000000-0000-0000-0000-000000000000"
"""The `user_id` of an application that was made while no user was configured."""


@dataclass(frozen=True)
class Claim:
    """The content of a token: the application, and the user it acts for (None: created before the first user)."""

    application_id: str
    user_id: str | None


def issue_token(secret_box: SecretBox, claim: Claim, seconds: int) -> str:
    """A token. Airbyte's clients decode it and look for `user_id`."""
    import jwt

    now = int(time.time())
    return jwt.encode(
        {
            "iss": ISSUER,
            "sub": claim.application_id,
            "user_id": claim.user_id or NO_USER_ID,
            "iat": now,
            "exp": now + seconds,
        },
        _key(secret_box.keys[secret_box.current]),
        algorithm="HS256",
        headers={"kid": secret_box.current},
    )


def verify_token(secret_box: SecretBox, token: str, *, expired: bool = False) -> Claim:
    """The claim of a verified token. 401 for a token of another issuer, and for an expired one unless `expired`."""
    import jwt

    try:
        key = secret_box.keys.get(jwt.get_unverified_header(token).get("kid", ""))
        if key is None:
            raise unauthorized("the token was not made by this server, or with a key that it no longer has")
        claims = jwt.decode(
            token,
            _key(key),
            algorithms=["HS256"],
            issuer=ISSUER,
            leeway=5,
            options={"require": ["exp", "sub", "user_id"], "verify_exp": not expired},
        )
    except jwt.ExpiredSignatureError:
        raise unauthorized("the token has expired") from None
    except jwt.PyJWTError:
        raise unauthorized("the token is not valid") from None
    user_id = str(claims["user_id"])
    return Claim(str(claims["sub"]), None if user_id == NO_USER_ID else user_id)


def unauthorized(why: str) -> Problem:
    """401."""
    return Problem(
        401,
        why,
        hint="Get a token at /api/public/v1/applications/token, or log in.",
        headers={"WWW-Authenticate": 'Bearer realm="kitestring"'},
    )


def _key(key: bytes) -> bytes:
    return hmac.new(key, b"kitestring tokens", hashlib.sha256).digest()
