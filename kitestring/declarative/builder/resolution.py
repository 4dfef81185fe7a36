"""Resolve a manifest: replace references, hand down parameters, fill in missing types, make dynamic streams."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from kitestring.config import secrets_in
from kitestring.declarative.manifest import PARAMETERS, component_type, parse, resolve
from kitestring.declarative.source import DeclarativeSource
from kitestring.redact import Redactor


def resolved(manifest: str | Mapping[str, Any]) -> dict[str, Any]:
    """The manifest (a YAML text, or values) as the engine reads it. Repeated references may share one object.

    Raises `ConfigError` for a text that is not YAML or not a manifest, and for a broken or circular reference.
    """
    raw = parse(manifest) if isinstance(manifest, str) else manifest
    resolved_manifest: dict[str, Any] = add_types(resolve(raw), "", {})
    return resolved_manifest


def fully_resolved(
    manifest: str | Mapping[str, Any],
    config: Mapping[str, Any],
    most: int,
    built: Callable[[DeclarativeSource], None],
    secrets: Collection[str] = (),
) -> dict[str, Any]:
    """The resolved manifest with the streams that its dynamic streams make, at most `most` of each.

    Each stream says in `dynamic_stream_name` which has made it, as airbyte-cdk's `full_resolve_manifest` does. Sends
    the requests of resolvers; `built` is called before the first. Secrets of the configuration are masked.
    """
    values = resolved(manifest)
    source = DeclarativeSource.of(parse(manifest) if isinstance(manifest, str) else manifest, config)
    built(source)
    mask = Redactor([*secrets, *secrets_in(config, source.form)])
    try:
        by_dynamic = source.dynamic_streams()
    finally:
        source.close()
    streams = [{**stream, "dynamic_stream_name": None} for stream in values.get("streams") or ()]
    for name, dynamic in by_dynamic.items():
        for stream in dynamic[:most]:
            streams.append({**mask.value(add_types(stream, "", {})), "dynamic_stream_name": name})
    return {**values, "streams": streams}


Resolved = dict[tuple[int, str], tuple[Any, Any]]
"""By id and field of a value: the value (kept alive so that its id stays unique) and its copy."""


def add_types(value: Any, field: str, done: Resolved) -> Any:
    """A copy in which every component has a type and none has `$parameters`, which are handed down already."""
    if not isinstance(value, Mapping | list):
        return value
    key = id(value), field
    if key not in done:
        done[key] = value, copy_with_types(value, field, done)
    return done[key][1]


def copy_with_types(value: Any, field: str, done: Resolved) -> Any:
    if isinstance(value, list):
        return [add_types(inner, field, done) for inner in value]
    parent, _, name = field.rpartition(".")
    kind = value.get("type") or component_type(value, parent, name)
    own_type = {} if not kind or "type" in value else {"type": kind}
    fields = {key: inner for key, inner in value.items() if key != PARAMETERS}
    if not isinstance(kind, str) or kind in ("object", "InlineSchemaLoader"):
        return {**own_type, **fields}
    return {**own_type, **{key: add_types(inner, f"{kind}.{key}", done) for key, inner in fields.items()}}
