"""Hides secrets in what is logged or said: known strings, credential headers, credential-like query parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from kitestring.config import MASK
from kitestring.errors import KitestringError

SHORTEST = 4
"""Strings shorter than this are no secrets worth the name, and masking them would garble every message."""
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
    """Replaces what must not be shown."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask these strings too, as they are and as a query writes them."""
        new = {form for s in secrets if s and len(s) >= SHORTEST for form in (s, quote(s, safe=""), quote_plus(s))}
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
            error.fields = {k: self._value(v) for k, v in error.fields.items()}
        return error

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {k: self._value(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(v) for v in value]
        return value
