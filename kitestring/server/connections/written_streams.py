"""The streams that connections write to a destination, under their names there."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from kitestring.server.connections.connection import key_of, written_namespace
from kitestring.server.store.tables import connections


@dataclass(frozen=True, slots=True)
class WrittenStream:
    """A stream of a connection. `key` is its name in the connection; `name` and `namespace` are those at the
    destination."""

    connection_id: str
    connection_name: str
    key: str
    name: str
    namespace: str | None

    @property
    def collection_name(self) -> str:
        """Its value of `_ab_stream` in a vector store."""
        return f"{self.namespace}_{self.name}" if self.namespace else self.name


def written_streams(db: Connection, destination_id: str) -> list[WrittenStream]:
    """The streams of all connections to a destination, by the names of the connections."""
    c = connections.c
    query = (
        select(c.id, c.name, c.prefix, c.streams, c.namespace_definition, c.namespace_format)
        .where(c.destination_id == destination_id, c.deleted_at_ms.is_(None))
        .order_by(c.name, c.id)
    )
    written = []
    for row in db.execute(query):
        for stream in row.streams or ():
            namespace = written_namespace(row.namespace_definition, row.namespace_format, stream.get("namespace"))
            if namespace is None:
                namespace = stream.get("namespace")
            name = f"{row.prefix or ''}{stream.get('destinationObjectName') or stream['name']}"
            written.append(WrittenStream(row.id, row.name, key_of(stream), name, namespace or None))
    return written
