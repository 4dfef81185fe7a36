"""`CredentialEnd`: the expiry of a credential, from the manifest or the API."""

from __future__ import annotations

import logging
import re
from typing import Any

from kitestring import credentials
from kitestring.declarative.datetime_format import parse_iso
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.slice import WHOLE
from kitestring.errors import KitestringError

log = logging.getLogger("kitestring.declarative")

ZONE_SUFFIX = re.compile(r"\s+(UTC|Z|[+-]\d\d:?\d\d)$")


@keyword("CredentialEnd")
class CredentialEnd:
    """A credential that expires at a time, given by a template. With a `requester` it sees `response` and `headers`."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._node = node
        self._name = str(node.need("name"))
        self._at = node.needed_text("at", types=(str,))
        self._hint = str(node.get("hint", ""))
        self._needed = node.condition(node.get("condition", True))
        self._requester: Any = node.child("requester", "HttpRequester", name="credential_ends")

    def end(self) -> credentials.CredentialEnd | None:
        """The expiry of the credential; None if it has none, or if the request for it fails."""
        if not self._needed({}):
            return None
        context: dict[str, Any] = {}
        try:
            if self._requester is not None:
                response, _ = self._requester.send(WHOLE)
                context = {"headers": response.headers, "response": response.json()}
            text = str(self._at(context)).strip()
        except KitestringError as error:
            log.info("the expiry of %s is unknown: %s", self._name, error.message)
            return None
        if not text:
            return None
        try:
            moment = parse_iso(ZONE_SUFFIX.sub(lambda zone: "+00:00" if zone[1] in ("UTC", "Z") else zone[1], text))
        except ValueError:
            if self._requester is None:
                raise self._node.error(f"is {text!r}, a date or time is expected", "at") from None
            log.info(
                "the expiry of %s is unknown: the API returned %r, which is not a date or time", self._name, text[:100]
            )
            return None
        return credentials.CredentialEnd(self._name, moment, self._hint)
