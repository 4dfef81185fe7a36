"""A manifest written out: references replaced, parameters handed down, left-out types filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kitestring.declarative.manifest import PARAMETERS, component_type, parse, resolve


def resolved(manifest: str | Mapping[str, Any]) -> dict[str, Any]:
    """The manifest (a YAML text, or values) as the engine reads it, sharing nothing with what was given.

    `ConfigError` for what is no YAML or no manifest, and for a reference that leads nowhere or in a circle.
    """
    raw = parse(manifest) if isinstance(manifest, str) else manifest
    found: dict[str, Any] = typed(resolve(raw), "")
    return found


def typed(value: Any, field: str) -> Any:
    """A copy in which every component says its type, and none carries `$parameters`, which are handed down already."""
    if isinstance(value, list):
        return [typed(one, field) for one in value]
    if not isinstance(value, Mapping):
        return value
    parent, _, name = field.rpartition(".")
    kind = value.get("type") or component_type(value, parent, name)
    found = {} if not kind or "type" in value else {"type": kind}
    if not isinstance(kind, str) or kind in ("object", "InlineSchemaLoader"):
        return {**found, **{key: copied(one) for key, one in value.items() if key != PARAMETERS}}
    return {**found, **{key: typed(one, f"{kind}.{key}") for key, one in value.items() if key != PARAMETERS}}


def copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: copied(one) for key, one in value.items()}
    return [copied(one) for one in value] if isinstance(value, list) else value
