"""A source that is a program: one process reads all streams of its catalog."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import PrivateAttr

from kitestring.airbyte.program import ProgramConfig
from kitestring.source import Source
from kitestring.types import Catalog, Stream


class ProgramSource(ProgramConfig, Source):
    """Keeps the catalog as the program gave it, by stream key, so that the program gets it back with all its fields."""

    _catalog: dict[str, dict[str, Any]] | None = PrivateAttr(default=None)

    def keep_catalog(self, body: Any, stream_of: Callable[[Any, str], Stream]) -> Catalog:
        """The catalog of a program's answer. `stream_of` reads one of its streams; it gets the title of the program for
        its errors."""
        catalog: dict[str, dict[str, Any]] = {}
        streams = []
        for raw in body.get("streams") or () if isinstance(body, Mapping) else ():
            stream = stream_of(raw, self.title)
            catalog[stream.key] = raw
            streams.append(stream)
        self._catalog = catalog
        return Catalog(tuple(streams))

    def kept_catalog(self) -> Mapping[str, dict[str, Any]]:
        """The program's entry of each stream, by stream key. Asks the program if it has not been asked yet."""
        if self._catalog is None:
            self.discover()
        assert self._catalog is not None
        return self._catalog

    def groups(self, streams: Sequence[Stream]) -> list[list[Stream]]:
        """One process feeds all streams."""
        return [list(streams)]

    def concurrency(self) -> int:
        return 1

    def close(self) -> None:
        self.end_all()
        super().close()
