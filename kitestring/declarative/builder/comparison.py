"""Compare two versions of a manifest: what changes for the sources that use it, and what of that breaks them.

A change breaks where rows that were written before no longer fit those that come: a stream is gone, its key or cursor
is another, its saved state has another form, a field is gone or has another type; or where a source no longer works
with its configuration: an input that it lacks is required.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.declarative.builder.input_comparison import input_changes
from kitestring.declarative.builder.resolution import resolved
from kitestring.declarative.builder.version_change import VersionChange, brief, listing, types_of, widened

NO_STREAM: Mapping[str, Any] = {}
PARTS: Mapping[str, tuple[str, str]] = {
    "record_selector": ("records", "how records are taken from an answer"),
    "paginator": ("pagination", "how pages are requested"),
    "transformations": ("transformations", "how records are transformed"),
    "schema_normalization": ("transformations", "how records are transformed"),
    "decoder": ("records", "how answers are decoded"),
    "file_uploader": ("records", "which files are downloaded"),
}
"""Kinds of change by the field of a stream or its retriever."""
REQUEST: Mapping[str, tuple[str, str]] = {
    "authenticator": ("authentication", "how its requests sign in"),
    "error_handler": ("errors", "how its errors are handled"),
    "url": ("request", "the address of the requests"),
    "url_base": ("request", "the base URL of the requests"),
    "path": ("request", "the path of the requests"),
    "http_method": ("request", "the method of the requests"),
    "request_parameters": ("request", "the query parameters of the requests"),
    "request_headers": ("request", "the headers of the requests"),
    "request_body": ("request", "the body of the requests"),
    "request_body_data": ("request", "the body of the requests"),
    "request_body_json": ("request", "the JSON body of the requests"),
}
"""Kinds of change by the field of a requester; every other field is of the request."""
TOP_LEVEL: Mapping[str, tuple[str, str]] = {
    "check": ("check", "which streams test a configuration"),
    "api_budget": ("limits", "the rate limits"),
    "concurrency_level": ("limits", "how many requests run at once"),
    "stream_groups": ("limits", "which streams are read one at a time"),
    "credential_ends": ("authentication", "how the end of credentials is read"),
}
"""Kinds of change by the field of the manifest."""
OWN_FIELDS = frozenset({"type", "name", "primary_key", "incremental_sync", "retriever", "schema_loader"})
"""Fields of a stream that have comparisons of their own."""


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[VersionChange]:
    """The changes between two manifests, given as their values; those that break first."""
    old, new = resolved(before), resolved(after)
    changes = [
        *stream_list_changes(streams_of(old), streams_of(new)),
        *dynamic_changes(old, new),
        *input_changes(old, new),
        *(
            VersionChange(None, kind, name, brief(old.get(name)), brief(new.get(name)), False, f"Changes {words}.")
            for name, (kind, words) in TOP_LEVEL.items()
            if old.get(name) != new.get(name)
        ),
    ]
    return sorted(changes, key=lambda change: not change.breaking)


def streams_of(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The streams by name; conditional ones included."""
    by_name: dict[str, Mapping[str, Any]] = {}
    for entry in listing(manifest.get("streams")):
        inner = listing(entry.get("streams")) if entry.get("type") == "ConditionalStreams" else [entry]
        for stream in inner:
            if isinstance(stream.get("name"), str):
                by_name.setdefault(stream["name"], stream)
    return by_name


def stream_list_changes(
    old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]]
) -> Iterator[VersionChange]:
    for name in old:
        if name not in new:
            yield VersionChange(name, "stream", "", name, None, True, f"The stream {name} is gone.")
        elif old[name] != new[name]:
            yield from stream_changes(name, full_stream(old[name]), full_stream(new[name]))
    for name in new:
        if name not in old:
            yield VersionChange(name, "stream", "", None, name, False, f"The stream {name} is new.")


def full_stream(stream: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a stream that reads in two ways, the one that a sync with a state continues with."""
    inner = stream.get("incremental_stream") if stream.get("type") == "StateDelegatingStream" else None
    return {**stream, **inner} if isinstance(inner, Mapping) else stream


def stream_changes(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[VersionChange]:
    was, now = key_of(old), key_of(new)
    if was != now:
        sentence = f"The primary key of {name} is {words_of(now)}, it was {words_of(was)}."
        yield VersionChange(name, "primary_key", "primary_key", was, now, True, sentence)
    yield from cursor_changes(name, old, new)
    yield from schema_changes(name, old, new)
    retrievers = mapping(old, "retriever"), mapping(new, "retriever")
    yield from partition_changes(name, *retrievers, incremental=bool(old.get("incremental_sync")))
    yield from request_changes(name, mapping(retrievers[0], "requester"), mapping(retrievers[1], "requester"))
    compared = {"type", "requester", "partition_router"}
    for before, after, own in ((old, new, OWN_FIELDS), (*retrievers, compared)):
        for field in sorted({*before, *after} - own):
            if before.get(field) != after.get(field):
                kind, words = PARTS.get(field, ("other", f"`{field}`"))
                values = brief(before.get(field)), brief(after.get(field))
                yield VersionChange(name, kind, field, *values, False, f"Changes {words} of {name}.")


def key_of(stream: Mapping[str, Any]) -> list[str]:
    """The primary key as dotted paths."""
    value = stream.get("primary_key") or []
    entries = value if isinstance(value, list) else [value]
    return [".".join(map(str, entry)) if isinstance(entry, list) else str(entry) for entry in entries]


def words_of(key: list[str]) -> str:
    return ", ".join(key) if key else "none"


def cursor_changes(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[VersionChange]:
    was, now = mapping(old, "incremental_sync"), mapping(new, "incremental_sync")
    if was == now:
        return
    field, other = was.get("cursor_field"), now.get("cursor_field")
    if not was:
        sentence = f"{name} can be read incrementally, by {other}."
        yield VersionChange(name, "sync_mode", "incremental_sync", None, brief(other), False, sentence)
    elif not now:
        sentence = f"{name} can no longer be read incrementally."
        yield VersionChange(name, "sync_mode", "incremental_sync", brief(field), None, True, sentence)
    elif field != other:
        sentence = f"The cursor of {name} is {other}, it was {field}: its state no longer fits."
        yield VersionChange(name, "cursor", "cursor_field", brief(field), brief(other), True, sentence)
    if not was or not now:
        return
    for key in sorted({*was, *now} - {"cursor_field"}):
        if was.get(key) == now.get(key):
            continue
        form = key in ("type", "datetime_format")
        sentence = (
            f"The cursor of {name} has another {'form' if key == 'type' else 'format'}: its state no longer fits."
            if form
            else f"Changes {key} of the cursor of {name}."
        )
        kind = "state_format" if form else "cursor"
        yield VersionChange(name, kind, key, brief(was.get(key)), brief(now.get(key)), form, sentence)


def partition_changes(
    name: str, old: Mapping[str, Any], new: Mapping[str, Any], *, incremental: bool
) -> Iterator[VersionChange]:
    """Other partitions break a stream that has a state by partition."""
    was, now = old.get("partition_router"), new.get("partition_router")
    if was == now:
        return
    fields, others = partition_fields(was), partition_fields(now)
    values = brief(was), brief(now)
    if fields == others:
        yield VersionChange(
            name, "partitions", "partition_router", *values, False, f"Changes the partitions of {name}."
        )
        return
    sentence = f"{name} is read by {words_of(others)}, it was by {words_of(fields)}"
    sentence += ": its state no longer fits." if incremental else "."
    yield VersionChange(name, "partitions", "partition_router", *values, incremental, sentence)


def partition_fields(routers: Any) -> list[str]:
    """The fields that tell partitions apart."""
    fields: list[str] = []
    for router in listing(routers if isinstance(routers, list) else [routers]):
        parents = listing(router.get("parent_stream_configs"))
        fields += [str(parent.get("partition_field")) for parent in parents] or [str(router.get("cursor_field", ""))]
    return [field for field in fields if field]


def schema_changes(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[VersionChange]:
    was, now = mapping(old, "schema_loader"), mapping(new, "schema_loader")
    if was == now:
        return
    before, after = was.get("schema"), now.get("schema")
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from field_changes(name, "", before, after)
        return
    values = brief(was or None), brief(now or None)
    yield VersionChange(name, "schema", "schema_loader", *values, False, f"The schema of {name} comes from elsewhere.")


def field_changes(
    name: str, path: str, old: Mapping[str, Any], new: Mapping[str, Any], depth: int = 0
) -> Iterator[VersionChange]:
    """Fields that came, went or have another type, inner ones too."""
    was, now = mapping(old, "properties"), mapping(new, "properties")
    for field in dict.fromkeys([*was, *now]):
        place = f"{path}.{field}" if path else str(field)
        before, after = was.get(field), now.get(field)
        if before == after:
            continue
        types, others = types_of(before), types_of(after)
        if field not in now:
            sentence = f"The field {place} of {name} is gone."
            yield VersionChange(name, "schema_field", place, types, None, True, sentence)
        elif field not in was:
            sentence = f"{name} has the new field {place}."
            yield VersionChange(name, "schema_field", place, None, others, False, sentence)
        elif types != others:
            sentence = f"The field {place} of {name} is {others or 'of any type'}, it was {types or 'of any type'}."
            yield VersionChange(name, "schema_field", place, types, others, not widened(types, others), sentence)
        elif isinstance(before, Mapping) and isinstance(after, Mapping) and depth < 20:
            yield from field_changes(name, place, before, after, depth + 1)


def request_changes(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[VersionChange]:
    for field in sorted({*old, *new} - {"type"}):
        if old.get(field) != new.get(field):
            kind, words = REQUEST.get(field, ("request", f"`{field}` of the requests"))
            values = brief(old.get(field)), brief(new.get(field))
            sentence = f"Changes {words} of {name}." if kind == "request" else f"Changes {words}: {name}."
            yield VersionChange(name, kind, field, *values, False, sentence)


def dynamic_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[VersionChange]:
    """Streams that are made from templates: which there are shows when a source is discovered."""
    was, now = (
        {str(entry.get("name", number)): entry for number, entry in enumerate(listing(manifest.get("dynamic_streams")))}
        for manifest in (old, new)
    )
    for name in dict.fromkeys([*was, *now]):
        if name not in now:
            sentence = f"The streams that {name} made are gone."
            yield VersionChange(None, "dynamic_stream", name, name, None, True, sentence)
        elif name not in was:
            yield VersionChange(None, "dynamic_stream", name, None, name, False, f"Streams are made by {name}.")
        elif was[name] != now[name]:
            sentence = f"Changes the streams that {name} makes: the next sync compares them."
            yield VersionChange(None, "dynamic_stream", name, None, None, False, sentence)


def mapping(node: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """An inner object, empty where there is none."""
    value = node.get(field)
    return value if isinstance(value, Mapping) else NO_STREAM
