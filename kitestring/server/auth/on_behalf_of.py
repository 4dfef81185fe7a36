"""The header by which a program says for whom it reads: `Kitestring-On-Behalf-Of: {"user": "ann", "groups": ["a"]}`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kitestring.server.http.problem import Problem

HEADER = "Kitestring-On-Behalf-Of"


def on_behalf_of(headers: Sequence[str]) -> Mapping[str, Any] | None:
    """The attributes of the reader; None without the header. 400 for anything but one JSON object in ASCII."""
    if not headers:
        return None
    if len(headers) > 1:
        raise Problem(400, f"the request has {HEADER} {len(headers)} times", hint="Send it once.")
    text = headers[0]
    try:
        attributes = json.loads(text, object_pairs_hook=without_repetition) if text.isascii() else None
    except (ValueError, RecursionError):
        attributes = None
    if not isinstance(attributes, dict):
        raise Problem(
            400,
            f"{HEADER} is not a JSON object in ASCII, with each name once",
            hint=f'Send {HEADER}: {{"user": "ann", "groups": ["support"]}}; other letters as \\u00e9.',
        )
    return attributes


def without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; `ValueError` for a name that comes twice, which two programs may read in two ways."""
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a name comes twice")
    return result
