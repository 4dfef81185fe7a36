"""`JwtAuthenticator`: signs a JSON Web Token for every request."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

from kitestring import json_codec
from kitestring.declarative.authenticator import RenewedToken
from kitestring.declarative.connection import Clock
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.request_option import RequestOption
from kitestring.errors import ConfigError

CLOCKS_AGREE_S = 2
"""The `Date` header has whole seconds, and a response takes time to arrive."""


@keyword("JwtAuthenticator")
class JwtAuthenticator(RenewedToken):
    """Signs a new token (RFC 7519) for every request."""

    def __init__(self, node: Node, **_: Any) -> None:
        super().__init__()
        self._ahead_s = 0
        """How far the API's clock is ahead of ours; measured when a token is refused."""
        self._node = node
        self._algorithm = str(node.constant("algorithm", types=(str,)))
        self._duration = node.integer("token_duration", 1200) or 0
        self._secret = node.needed_text("secret_key", types=(str,))
        self._passphrase = node.text("passphrase", "", types=(str,))
        self._encoded = node.condition(node.get("base64_encode_secret_key", False))
        self._prefix = node.text("header_prefix", "", types=(str,))
        self._parts = {
            name: {k: node.template(v, empty=None) for k, v in node.mapping(name).items()}
            for name in ("jwt_headers", "additional_jwt_headers", "jwt_payload", "additional_jwt_payload")
        }
        option = node.child("request_option", "RequestOption")
        if isinstance(option, RequestOption):
            self.place, self.path = option.place, option.path

    def header_value(self, token: str) -> str:
        prefix = str(self._prefix({}))
        return f"{prefix} {token}" if prefix else token

    def token(self) -> str:
        now = int(datetime.now(UTC).timestamp()) + self._ahead_s
        header = {**self._render("additional_jwt_headers"), **self._render("jwt_headers"), "alg": self._algorithm}
        header.setdefault("typ", "JWT")
        payload = {
            **self._render("additional_jwt_payload"),
            **self._render("jwt_payload"),
            "iat": now,
            "exp": now + self._duration,
            "nbf": now,
        }
        body = b".".join(base64url(json_codec.dumps(part)) for part in (header, payload))
        return (body + b"." + base64url(self._signature(body))).decode()

    def _render(self, name: str) -> dict[str, Any]:
        context = {"json_loads": json_codec.loads}
        return {k: v for k, t in self._parts[name].items() if (v := t(context)) is not None}

    def _signature(self, body: bytes) -> bytes:
        secret = str(self._secret({"json_loads": json_codec.loads}))
        self.secrets = (secret,)
        if self._encoded({}):
            secret = b64encode(secret.encode()).decode()
        if self._algorithm.startswith("HS"):
            import hmac

            return hmac.digest(secret.encode(), body, f"sha{self._algorithm[2:]}")
        return sign(self._node, self._algorithm, secret, str(self._passphrase({})), body)

    def refresh(self, response: Any) -> bool:
        """Sign by the API's clock if ours differs: a token from the future or the past is refused."""
        clock = Clock()
        clock.observe_date(response)
        before, self._ahead_s = self._ahead_s, int(clock.ahead.total_seconds())
        return abs(self._ahead_s - before) > CLOCKS_AGREE_S


def base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def sign(node: Node, algorithm: str, key: str, passphrase: str, body: bytes) -> bytes:
    """Sign with a private key in PEM (RFC 7518)."""
    from importlib import import_module

    primitives = "cryptography.hazmat.primitives"
    try:
        hashes = import_module(f"{primitives}.hashes")
        serialization = import_module(f"{primitives}.serialization")
        ec, ed25519, padding, rsa, utils = (
            import_module(f"{primitives}.asymmetric.{name}") for name in ("ec", "ed25519", "padding", "rsa", "utils")
        )
    except ImportError as error:
        raise ConfigError(
            f"signing with {algorithm} needs the package cryptography, which is not installed",
            hint="pip install cryptography",
        ) from error
    try:
        private = serialization.load_pem_private_key(key.encode(), passphrase.encode() if passphrase else None)
    except (ValueError, TypeError) as error:
        raise ConfigError("the private key for signing cannot be read", hint="Set a private key in PEM.") from error
    digest = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}.get(algorithm[2:5], hashes.SHA256)()
    kind = algorithm[:2]
    if isinstance(private, rsa.RSAPrivateKey) and kind == "RS":
        signature: bytes = private.sign(body, padding.PKCS1v15(), digest)
    elif isinstance(private, rsa.RSAPrivateKey) and kind == "PS":
        signature = private.sign(body, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    elif isinstance(private, ec.EllipticCurvePrivateKey) and kind == "ES":
        size = (private.curve.key_size + 7) // 8
        first, second = utils.decode_dss_signature(private.sign(body, ec.ECDSA(digest)))
        signature = first.to_bytes(size, "big") + second.to_bytes(size, "big")
    elif isinstance(private, ed25519.Ed25519PrivateKey) and algorithm == "EdDSA":
        signature = private.sign(body)
    else:
        raise node.error(f"{algorithm} does not fit the private key", "algorithm")
    return signature
