"""`syncCatalog` of Airbyte's Config API: every stream of a source, with how it is moved if it is selected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kitestring.airbyte import modes
from kitestring.server.connections import connection
from kitestring.server.connections.connection import Catalog
from kitestring.server.http.problem import Problem


def shown(catalog: Mapping[str, Any] | None, chosen: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every stream of the catalog, those of the connection with its choices. One that is gone from it stands too."""
    streams = list((catalog or {}).get("streams") or ())
    by_name = {(one["name"], one.get("namespace") or None): one for one in chosen}
    known = {(one["name"], one.get("namespace") or None) for one in streams}
    streams += [
        {"name": name, "namespace": space, "json_schema": {}} for name, space in by_name if (name, space) not in known
    ]
    return {
        "streams": [
            {"stream": stream(one), "config": config(one, by_name.get((one["name"], one.get("namespace") or None)))}
            for one in streams
        ]
    }


def stream(one: Mapping[str, Any]) -> dict[str, Any]:
    """A stream of the catalog."""
    return {
        "name": one["name"],
        "jsonSchema": one.get("json_schema") or {},
        "supportedSyncModes": list(one.get("supported_sync_modes") or ["full_refresh"]),
        "sourceDefinedCursor": bool(one.get("source_defined_cursor")),
        "defaultCursorField": list(one.get("default_cursor_field") or ()),
        "sourceDefinedPrimaryKey": [list(path) for path in one.get("source_defined_primary_key") or ()],
        **({"namespace": one["namespace"]} if one.get("namespace") else {}),
    }


def config(one: Mapping[str, Any], chosen: Mapping[str, Any] | None) -> dict[str, Any]:
    """How a stream is moved; where it is not selected, how it would be."""
    given = chosen or {}
    mode = modes.MODES[given.get("syncMode") or modes.DEFAULT]
    fields = list(given.get("selectedFields") or ())
    return {
        "syncMode": mode.reads.value,
        "destinationSyncMode": mode.writes,
        "cursorField": list(given.get("cursorField") or ()),
        "primaryKey": [list(path) for path in given.get("primaryKey") or one.get("source_defined_primary_key") or ()],
        "aliasName": given.get("destinationObjectName") or one["name"],
        "selected": chosen is not None,
        "suggested": False,
        "fieldSelectionEnabled": bool(fields),
        "selectedFields": fields,
        "includeFiles": False,
        "mappers": list(given.get("mappers") or ()),
    }


def wanted(body: Mapping[str, Any], catalog: Catalog) -> list[dict[str, Any]]:
    """The streams that a `syncCatalog` selects, as connections keep them. `Problem` 422 names what cannot be."""
    chosen = []
    for number, entry in enumerate(body.get("streams") or ()):
        one, how = (entry.get("stream"), entry.get("config") or {}) if isinstance(entry, Mapping) else (None, {})
        if not isinstance(one, Mapping) or not isinstance(one.get("name"), str) or not isinstance(how, Mapping):
            raise Problem(422, f"the stream {number} of syncCatalog has no name", hint="Give stream.name and config.")
        if how.get("selected", True):
            chosen.append((one, how))
    try:
        return connection.configure_streams(catalog, [choice(one, how) for one, how in chosen])
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise Problem(
            422, f"syncCatalog cannot be understood: {error}", hint="Change the one that the connection has now."
        ) from error


def hashed(fields: Any) -> list[dict[str, Any]] | None:
    """The older way to have fields hashed, as mappers."""
    return [
        {"type": "hashing", "mapperConfiguration": {"targetField": field["fieldPath"][0], "fieldNameSuffix": "_hashed"}}
        for field in fields or ()
    ] or None


def choice(one: Mapping[str, Any], how: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of a `syncCatalog` in the public API's words."""
    pair = str(how.get("syncMode") or "full_refresh"), str(how.get("destinationSyncMode") or "overwrite")
    if pair == ("incremental", "overwrite"):  # Airbyte's interface offers it, and its platform reads all
        pair = ("full_refresh", "overwrite")
    mode = modes.mode_of(*pair)
    if mode is None:
        raise Problem(
            422,
            f"the stream {one['name']} asks for {pair[0]} with {pair[1]}, which is not supported",
            hint=f"Take one of {', '.join(f'{known.reads} with {known.writes}' for known in modes.MODES.values())}.",
        )
    alias = how.get("aliasName")
    return {
        "name": one["name"],
        "namespace": one.get("namespace") or None,
        "syncMode": mode.name,
        "cursorField": how.get("cursorField") or None,
        "primaryKey": how.get("primaryKey") or None,
        "selectedFields": (how.get("selectedFields") or None) if how.get("fieldSelectionEnabled") else None,
        "includeFiles": how.get("includeFiles") or None,
        "mappers": how.get("mappers") or hashed(how.get("hashedFields")),
        "destinationObjectName": how.get("destinationObjectName") or (alias if alias != one["name"] else None),
    }
