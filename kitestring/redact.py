"""The one redactor: hides known secrets, credential headers and credential-like query parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Set
from typing import Any
from urllib.parse import quote, quote_plus

from kitestring.errors import KitestringError

MASK = "**********"
"""Replaces a secret in every configuration, log or error that is shown."""
SHORTEST = 4
"""Shorter strings are not masked: that would garble every message."""
CREDENTIAL = re.compile(
    r"(^|[-_.])(authorization|cookie|token|secret|password|passwd|pwd|api[-_]?key|apikey|key|auth|signature|sig"
    r"|credentials?|jwt|session|code|assertion)$",
    re.IGNORECASE,
)
QUERY = re.compile(r"([?&])([^=&#\s]+)=([^&#\s]*)")


def is_credential(name: str) -> bool:
    """True for the name of a header or parameter that usually carries a credential."""
    return CREDENTIAL.search(name) is not None or name.lower() in ("accesstoken", "clientsecret", "set-cookie")


class Redactor:
    """Replaces secrets in texts and values. One thread may add secrets while others redact."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask these strings too: as they are, as a query writes them, and as JSON does."""
        parts = (part for secret in secrets for part in (secret, *credentials_in(secret)))
        new = {form for part in parts if len(part) >= SHORTEST for form in spellings(part)}
        if new <= self._secrets:
            return
        self._secrets |= new
        # The longest first: a secret that contains another disappears whole.
        self._pattern = re.compile("|".join(re.escape(s) for s in sorted(self._secrets, key=len, reverse=True)))

    def text(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text

    def url(self, url: str) -> str:
        """An address, its credential-like parameters masked."""
        if "?" in url:
            url = QUERY.sub(lambda m: f"{m[1]}{m[2]}={MASK if is_credential(m[2]) else m[3]}", url)
        return self.text(url)

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {k: MASK if is_credential(k) else self.text(str(v)) for k, v in headers.items()}

    def error(self, error: KitestringError) -> KitestringError:
        """The same error with nothing secret in its message, hint and fields."""
        if self._pattern:
            error.message = self.text(error.message)
            error.args = (error.message,)
            error.hint = self.text(error.hint)
            error.fields = {k: self.value(v) for k, v in error.fields.items()}
        return error

    def value(self, value: Any, by_name: bool = False) -> Any:
        """A copy of a JSON value, its texts masked; `by_name`: also whole texts under the name of a credential."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                name: MASK
                if by_name and isinstance(inner, str) and is_credential(str(name))
                else self.value(inner, by_name)
                for name, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.value(inner, by_name) for inner in value]
        return value


def spellings(secret: str) -> set[str]:
    """A secret as it is, as queries write it, and as a JSON string contains it."""
    return {
        secret,
        quote(secret, safe="", errors="replace"),
        quote_plus(secret, errors="replace"),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    }


def credentials_in(secret: str) -> list[str]:
    """The credentials in a secret that is a JSON object: the private key of a service account, say."""
    if not secret.lstrip().startswith("{"):
        return []
    try:
        members = json.loads(secret)
    except (ValueError, RecursionError):
        return []
    return [value for name, value in members.items() if isinstance(value, str) and is_credential(name)]


def mask_values(node: Any, secrets: Set[str]) -> Any:
    """A copy of a JSON value in which each value that is one of these secrets, as text, is masked."""
    if isinstance(node, Mapping):
        return {name: mask_values(value, secrets) for name, value in node.items()}
    if isinstance(node, list):
        return [mask_values(value, secrets) for value in node]
    return MASK if node is not None and not isinstance(node, bool) and str(node) in secrets else node
