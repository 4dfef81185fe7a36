"""`syncCatalog` of Airbyte's Config API: every stream of a source, with how it is moved if it is selected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kitestring.airbyte import modes
from kitestring.server.connections import connection
from kitestring.server.connections.connection import Catalog
from kitestring.server.http.problem import Problem


def sync_catalog(catalog: Mapping[str, Any] | None, chosen: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every stream of the catalog, those of the connection with its choices. Streams that left the catalog are
    included."""
    streams = list((catalog or {}).get("streams") or ())
    by_name = {(each["name"], each.get("namespace") or None): each for each in chosen}
    known = {(each["name"], each.get("namespace") or None) for each in streams}
    streams += [
        {"name": name, "namespace": space, "json_schema": {}} for name, space in by_name if (name, space) not in known
    ]
    return {
        "streams": [
            {
                "stream": stream_body(each),
                "config": config_body(each, by_name.get((each["name"], each.get("namespace") or None))),
            }
            for each in streams
        ]
    }


def stream_body(stream: Mapping[str, Any]) -> dict[str, Any]:
    """A stream of the catalog."""
    return {
        "name": stream["name"],
        "jsonSchema": stream.get("json_schema") or {},
        "supportedSyncModes": list(stream.get("supported_sync_modes") or ["full_refresh"]),
        "sourceDefinedCursor": bool(stream.get("source_defined_cursor")),
        "defaultCursorField": list(stream.get("default_cursor_field") or ()),
        "sourceDefinedPrimaryKey": [list(path) for path in stream.get("source_defined_primary_key") or ()],
        **({"namespace": stream["namespace"]} if stream.get("namespace") else {}),
    }


def config_body(stream: Mapping[str, Any], chosen: Mapping[str, Any] | None) -> dict[str, Any]:
    """How a stream is moved, or would be moved if it were selected."""
    choice = chosen or {}
    mode = modes.MODES[choice.get("syncMode") or modes.DEFAULT]
    fields = list(choice.get("selectedFields") or ())
    return {
        "syncMode": mode.reads.value,
        "destinationSyncMode": mode.writes,
        "cursorField": list(choice.get("cursorField") or ()),
        "primaryKey": [
            list(path) for path in choice.get("primaryKey") or stream.get("source_defined_primary_key") or ()
        ],
        "aliasName": choice.get("destinationObjectName") or stream["name"],
        "selected": chosen is not None,
        "suggested": False,
        "fieldSelectionEnabled": bool(fields),
        "selectedFields": fields,
        "includeFiles": False,
        "mappers": list(choice.get("mappers") or ()),
        **({"detectDeletes": choice["detectDeletes"]} if choice.get("detectDeletes") else {}),
    }


def selected_streams(body: Mapping[str, Any], catalog: Catalog) -> list[dict[str, Any]]:
    """The selected streams of a `syncCatalog`, as connections store them. `Problem` 422 names an impossible choice."""
    chosen = []
    for number, entry in enumerate(body.get("streams") or ()):
        stream, stream_config = (
            (entry.get("stream"), entry.get("config") or {}) if isinstance(entry, Mapping) else (None, {})
        )
        if (
            not isinstance(stream, Mapping)
            or not isinstance(stream.get("name"), str)
            or not isinstance(stream_config, Mapping)
        ):
            raise Problem(422, f"the stream {number} of syncCatalog has no name", hint="Give stream.name and config.")
        if stream_config.get("selected", True):
            chosen.append((stream, stream_config))
    try:
        return connection.configure_streams(
            catalog, [stream_choice(stream, stream_config) for stream, stream_config in chosen]
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise Problem(
            422, f"syncCatalog cannot be understood: {error}", hint="Change the one that the connection has now."
        ) from error


def hashing_mappers(fields: Any) -> list[dict[str, Any]] | None:
    """The older `hashedFields` as mappers."""
    return [
        {"type": "hashing", "mapperConfiguration": {"targetField": field["fieldPath"][0], "fieldNameSuffix": "_hashed"}}
        for field in fields or ()
    ] or None


def stream_choice(stream: Mapping[str, Any], stream_config: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of a `syncCatalog`, in the public API's terms."""
    pair = (
        str(stream_config.get("syncMode") or "full_refresh"),
        str(stream_config.get("destinationSyncMode") or "overwrite"),
    )
    if pair == ("incremental", "overwrite"):  # Airbyte's interface offers it, and its platform reads all
        pair = ("full_refresh", "overwrite")
    mode = modes.mode_of(*pair)
    if mode is None:
        raise Problem(
            422,
            f"the stream {stream['name']} has {pair[0]} with {pair[1]}, which is not supported",
            hint=f"Take one of {', '.join(f'{each.reads} with {each.writes}' for each in modes.MODES.values())}.",
        )
    alias = stream_config.get("aliasName")
    return {
        "name": stream["name"],
        "namespace": stream.get("namespace") or None,
        "syncMode": mode.name,
        "cursorField": stream_config.get("cursorField") or None,
        "primaryKey": stream_config.get("primaryKey") or None,
        "selectedFields": (stream_config.get("selectedFields") or None)
        if stream_config.get("fieldSelectionEnabled")
        else None,
        "includeFiles": stream_config.get("includeFiles") or None,
        "mappers": stream_config.get("mappers") or hashing_mappers(stream_config.get("hashedFields")),
        "detectDeletes": stream_config.get("detectDeletes") or None,
        "destinationObjectName": stream_config.get("destinationObjectName")
        or (alias if alias != stream["name"] else None),
    }
