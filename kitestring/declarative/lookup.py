"""`Lookup`: a table made from another stream, for templates that replace ids with names."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from kitestring import json_codec
from kitestring.declarative.keyword import Node, keyword
from kitestring.errors import AuthError, ConfigError
from kitestring.paths import value_at

log = logging.getLogger("kitestring.declarative")

GOOD_FOR_S = 3_600.0
"""A sync reads a table once; a longer-lived source reads it again."""
TABLES = "lookup_tables"
"""The key in `BuildContext.values` of the source's tables, by their definition."""


class Table:
    """The values of one lookup, read at first use and shared by all streams and threads of a source."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values: dict[str, Any] = {}
        self.until = 0.0


@keyword("Lookup")
class Lookup:
    """A table of all records of another stream, from which a template gets the value of a key."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.name = str(node.need("name"))
        self._key = node.path_of("key")
        self._value = node.needed_text("value", types=(str,))
        self._stream: Any = node.needed_child("stream", "DeclarativeStream", parent=True)
        tables = node.context.values.setdefault(TABLES, {})
        self._table: Table = tables.setdefault(json_codec.dumps_text(dict(node.values), sort_keys=True), Table())

    def __call__(self, key: Any) -> Any:
        """The value of a key; an empty text for an unknown key."""
        table = self._table
        if time.monotonic() >= table.until:
            with table.lock:
                if time.monotonic() >= table.until:
                    table.values = self._read()
                    table.until = time.monotonic() + GOOD_FOR_S
        return table.values.get(str(key), "")

    def _read(self) -> dict[str, Any]:
        """Read the table. If the credentials may not read it, the table is empty, with a warning: names are missing
        then, records are not."""
        values: dict[str, Any] = {}
        doubts: list[str] = []
        path = [str(part({})) for part in self._key]
        try:
            for records, _ in self._stream.all_records({}, lambda state: None, doubts):
                for record in records:
                    key = value_at(record, path)
                    if key is not None:
                        values[str(key)] = self._value({"record": record})
        except (ConfigError, AuthError) as error:
            log.warning(
                "ids of %s are not replaced with names: the stream %s cannot be read: %s",
                self.name,
                self._stream.name,
                error.message,
                extra={"stream": self._stream.name},
            )
        for doubt in doubts:
            log.warning(
                "names of %s may be missing: the stream %s could not be read completely: %s",
                self.name,
                self._stream.name,
                doubt,
                extra={"stream": self._stream.name},
            )
        return values


def finder(lookups: list[Lookup]) -> Mapping[str, Any]:
    """The template function `lookup(name, key)`, if there are lookups."""
    if not lookups:
        return {}
    by_name = {lookup_.name: lookup_ for lookup_ in lookups}

    def lookup(name: str, key: Any) -> Any:
        if name not in by_name:
            raise ValueError(f"there is no lookup {name!r}, only {', '.join(by_name)}")
        return by_name[name](key)

    return {"lookup": lookup}
