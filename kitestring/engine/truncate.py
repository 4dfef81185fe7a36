"""A stream that was emptied at its source (`types.Truncate`): check that the destination supports it, and empty it."""

from __future__ import annotations

import logging

from kitestring.airbyte.modes import word_of
from kitestring.destination import Destination, Truncates
from kitestring.engine.selection import Route
from kitestring.errors import ConfigError, ConnectorError
from kitestring.types import Receipt, Truncate

log = logging.getLogger("kitestring.engine")


def accept_truncate(route: Route, destination: Destination, truncate: Truncate) -> Truncate | None:
    """The event; None where it changes nothing. `ConfigError` where the destination cannot carry it out."""
    write = route.written.write
    if not isinstance(truncate.deleted_at, str) or not truncate.deleted_at:  # a mark without a time is none
        raise ConnectorError(
            f"a Truncate of {route.read.key} has {truncate.deleted_at!r} as its time, not a text",
            hint="This is a defect of the source: please report it.",
            stream=route.read.key,
        )
    if write.deletes == "keep":
        log.warning(
            "%s was emptied at the source at %s: its records stay, since deleted records are kept",
            route.read.key,
            truncate.deleted_at,
            extra={"stream": route.read.key},
        )
        return None
    if isinstance(destination, Truncates) or (write.replace and write.deletes == "remove"):
        return truncate
    raise ConfigError(
        f"{route.read.key} was emptied at the source at {truncate.deleted_at}, and {type(destination).__name__} cannot "
        f"{write.deletes} all records of a stream at once",
        hint=f"Refresh the stream (it is written as {word_of(write)}): a new copy takes the place of the old records.",
        stream=route.read.key,
    )


def empty_stream(route: Route, destination: Destination, truncate: Truncate) -> Receipt | None:
    """Delete all records of the stream; None where the destination does not report how many."""
    if isinstance(destination, Truncates):
        return destination.truncate(route.written, truncate.deleted_at)
    destination.abort(route.written)  # a new copy begins empty
    destination.begin(route.written)
    return None
