"""A change between two versions of a manifest, and how values of both are shown and compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kitestring import json_codec

LONGEST = 2000
"""Characters of a value that is shown whole."""


@dataclass(frozen=True, slots=True)
class VersionChange:
    """One change. `stream` is None for one of the whole connector; `field` is empty for one of the stream itself.

    `before` and `after` are plain values; one that is too long is cut as a text.
    """

    stream: str | None
    kind: str
    field: str
    before: Any
    after: Any
    breaking: bool
    sentence: str


def brief(value: Any) -> Any:
    """A value for a change, cut where it is long."""
    text = json_codec.dumps_text(value)
    return value if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def listing(value: Any) -> list[Mapping[str, Any]]:
    """The objects in a list. Empty if the value is not a list."""
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def types_of(schema: Any) -> str:
    """The types of a JSON schema in words, null left out: `string (date-time)`, `integer or number`; empty for any."""
    if not isinstance(schema, Mapping):
        return ""
    branches = listing(schema.get("oneOf")) + listing(schema.get("anyOf"))
    if branches:
        return " or ".join(dict.fromkeys(kind for branch in branches if (kind := types_of(branch))))
    kinds = schema.get("type")
    names = [str(kind) for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind not in (None, "null")]
    form = schema.get("format")
    items = types_of(schema.get("items")) if "array" in names else ""
    detail = f" ({form})" if isinstance(form, str) else f" of {items}" if items else ""
    return " or ".join(names) + (detail if names else "")


def widened(before: str, after: str) -> bool:
    """Whether every value of the types before is one of the types after."""
    old, new = ({*text.split(" or ")} if text else set() for text in (before, after))
    if not new:
        return True
    if "number" in new:
        old.discard("integer")
    return bool(before) and old <= new
