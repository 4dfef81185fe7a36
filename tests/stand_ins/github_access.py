"""Access to the GitHub stand-in: personal tokens with their quotas, and an app whose installation tokens end."""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import orjson

Json = dict[str, Any]

APP_ID, CLIENT_ID, INSTALLATION = 998877, "Iv23liLarkspur", 4711
LIMIT = 5000
LONGEST_JWT_S = 600


class Access:
    """Tokens and what is left of them. `quotas`: calls that a token may make on `core` and on `graphql`, by token;
    `calls_per_token`: after so many an installation token has ended."""

    def __init__(self, token: str, quotas: Mapping[str, int] | None, calls_per_token: int | None) -> None:
        self.limits = dict(quotas or {token: LIMIT})
        self.calls_left = {
            (t, resource): n for t, n in self.limits.items() for resource in ("core", "graphql", "search")
        }
        self.reset_s = int(time.time()) + 3600
        self.counted = quotas is not None
        self.expiry = ""
        """The header `github-authentication-token-expiration`; empty for a token that does not expire."""
        self._calls_per_token = calls_per_token
        self._installed: dict[str, int | None] = {}
        self.issued = 0
        self._pairs = 1
        self._lock = threading.Lock()

    def admits(self, authorization: str) -> bool:
        """Whether these credentials are good; a call of an installation token counts."""
        kind, _, token = authorization.partition(" ")
        if kind.lower() not in ("bearer", "token"):
            return False
        with self._lock:
            if token in self._installed:
                calls_left = self._installed[token]
                if calls_left == 0:
                    return False
                self._installed[token] = None if calls_left is None else calls_left - 1
                return True
        return token in self.limits

    def take(self, authorization: str, resource: str) -> tuple[bool, dict[str, str]]:
        """Whether the token has a call left, and the headers that say so."""
        token = authorization.partition(" ")[2]
        with self._lock:
            if not self.counted or token not in self.limits:
                return True, {}
            calls_left = self.calls_left[token, resource]
            self.calls_left[token, resource] = max(0, calls_left - 1)
        return calls_left > 0, {
            "x-ratelimit-limit": str(self.limits[token]),
            "x-ratelimit-remaining": str(max(0, calls_left - 1)),
            "x-ratelimit-reset": str(self.reset_s),
            "x-ratelimit-resource": resource,
        }

    def resources(self, authorization: str) -> Json:
        """The answer of `/rate_limit`."""
        token = authorization.partition(" ")[2]
        limit = self.limits.get(token, LIMIT)
        return {
            resource: {
                "limit": limit,
                "remaining": self.calls_left.get((token, resource), limit),
                "reset": self.reset_s,
            }
            for resource in ("core", "graphql", "search")
        }

    def refreshed(self, refresh_token: str) -> Json | None:
        """A new pair of tokens of a user of the app for the one refresh token that is good; None for another."""
        with self._lock:
            if refresh_token != f"ghr_{self._pairs}":
                return None
            self._pairs += 1
            access_token = f"ghu_larkspur_{self._pairs}"
            self._installed = {t: n for t, n in self._installed.items() if not t.startswith("ghu_")}
            self._installed[access_token] = None
        return {"access_token": access_token, "expires_in": 28_800, "refresh_token": f"ghr_{self._pairs}",
                "refresh_token_expires_in": 15_897_600, "scope": "", "token_type": "bearer"}  # fmt: skip

    # The app

    @cached_property
    def _key(self) -> Any:
        from cryptography.hazmat.primitives.asymmetric import rsa

        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def private_key(self) -> str:
        """The app's key in PEM, as GitHub gives it for download."""
        from cryptography.hazmat.primitives import serialization

        pem: bytes = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        return pem.decode()

    def refusal_of(self, authorization: str, now: float) -> str:
        """Why a JWT of the app is refused at that time; empty for one that is good."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        try:
            head, body, signature = authorization.partition(" ")[2].split(".")
            claims, header = orjson.loads(_plain(body)), orjson.loads(_plain(head))
            self._key.public_key().verify(
                _plain(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (ValueError, binascii.Error, InvalidSignature):
            return "A JSON web token could not be decoded"
        if header.get("alg") != "RS256":
            return "A JSON web token could not be decoded"
        if str(claims.get("iss")) not in (str(APP_ID), CLIENT_ID):
            return "'Issuer' claim ('iss') must be an Integer"
        if not isinstance(claims.get("iat"), int) or claims["iat"] > now + 1:
            return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
        if not now < claims.get("exp", 0) <= now + LONGEST_JWT_S:
            return "'Expiration time' claim ('exp') is too far in the future"
        return ""

    def issue(self) -> str:
        """A new installation token."""
        with self._lock:
            self.issued += 1
            token = f"ghs_larkspur_{self.issued}"
            self._installed[token] = self._calls_per_token
        return token


def _plain(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
