"""Random secrets (client secrets, session and CSRF tokens) and their hashes; they are long: a plain hash is enough."""

from __future__ import annotations

import hashlib
import hmac
import secrets


def random_token() -> str:
    """256 random bits as URL-safe text."""
    return secrets.token_urlsafe(32)


def digest(text: str) -> str:
    """SHA-256 in hex: what the store keeps."""
    return hashlib.sha256(text.encode()).hexdigest()


def matches(text: str, stored: str) -> bool:
    """Whether a text has this digest, in constant time."""
    return hmac.compare_digest(digest(text), stored)
