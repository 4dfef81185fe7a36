"""Mappers of a connection's streams: validated when they are set, stored in the form of the API.

The key of an encryption is never stored, only a reference to it (see `secrets/references.py`).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kitestring.airbyte.modes import WRITES
from kitestring.errors import ConfigError
from kitestring.mappers import mapper_settings
from kitestring.server.http.problem import Problem
from kitestring.server.secrets.secret_box import is_reference

SOME_KEY = "00" * 16


def validate(request: Sequence[Any], stream: Mapping[str, Any], chosen: Mapping[str, Any], writes: str) -> list[Any]:
    """The mappers of a request, as they are kept: each with an id. `stream` is the catalog's body of the stream,
    `chosen` its configuration so far. `Problem` 422 for what cannot be."""
    from kitestring.airbyte.source import stream_of
    from kitestring.mappers.apply import compile_mappers

    name = str(stream["name"])
    try:
        plain = mapper_settings.from_api(request, name)
        for entry in plain:
            if entry.get("algorithm") == "AES" and not is_reference(entry.get("key")):
                raise ConfigError(
                    f"the key of a mapper of {name} is to be kept, and keys are not kept with a connection",
                    hint="Give a reference to it, such as ${env:KITESTRING_CONFIG_KEY}.",
                )
        read = replace(stream_of(stream, "the source"), write=WRITES[writes], fields=())
        if chosen.get("primaryKey"):
            read = replace(read, primary_key=tuple(map(tuple, chosen["primaryKey"])))
        compile_mappers(read, [{**entry, "key": SOME_KEY} if "key" in entry else entry for entry in plain])
        # With what was left out: clients of Airbyte's API decode no mapper without it.
        plain = [entry.model_dump(exclude_none=True) for entry in mapper_settings.load(plain, name)]
    except ConfigError as error:
        raise Problem(422, error.message, hint=error.hint) from error
    ids = [str(entry.get("id") or uuid.uuid4()) for entry in request]
    return [{"id": id_, **api_entry} for id_, api_entry in zip(ids, mapper_settings.to_api(plain), strict=True)]


def to_project_file(stored: Sequence[Mapping[str, Any]] | None, stream: str) -> list[dict[str, Any]]:
    """Mappers as they are kept in the spelling of a project file."""
    return mapper_settings.from_api(stored or (), stream)
