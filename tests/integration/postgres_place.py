"""A schema of a PostgreSQL server that a test writes to."""

import itertools

from kitestring.batch import Batch
from kitestring.destinations.postgres import Postgres
from kitestring.engine import Selection, sync
from kitestring.schema import Schema
from kitestring.testing.memory import MemorySource
from kitestring.types import Receipt, Stream, Write

APPEND = Write()


LATEST = Write(keep="latest", deletes="remove")


NEW = Write(replace=True, deletes="remove")


NEW_LATEST = Write(replace=True, keep="latest", deletes="remove")


numbers = itertools.count()


class Place:
    """A schema of its own, and destinations that write there."""

    def __init__(self, server):
        self.server = server
        self.schema = f"s{next(numbers)}"

    def destination(self, **settings):
        return Postgres.load({**self.server.config, "schema": self.schema, "airbyte_columns": False, **settings})

    def rows(self, table="things", columns="*", order="1"):
        return self.server.run(f'SELECT {columns} FROM {self.schema}."{table}" ORDER BY {order}')

    def types(self, table="things"):
        rows = self.server.run(
            f"SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute "
            f"WHERE attrelid = '{self.schema}.\"{table}\"'::regclass AND attnum > 0 AND NOT attisdropped"
        )
        return {row["name"]: row["type"] for row in rows}

    def sync(self, records, mode="append_dedup", schema=None, keys="id", **settings):
        schemas = {"things": {"type": "object", "properties": schema}} if schema else {}
        source = MemorySource(
            records={"things": records}, primary_keys={"things": keys} if keys else {}, schemas=schemas
        )
        path = [keys] if keys and "." in keys else None
        result = sync(source, self.destination(**settings), [Selection("things", write_mode=mode, primary_key=path)])
        stream = result.streams["things"]
        stream.error = stream.error or result.error
        return stream

    def run(self, *statements):
        return self.server.run(*statements)


def written(destination, stream, *tables):
    """Receipts of these tables as batches of one stream, from begin to commit."""
    destination.begin(stream)
    receipts = [
        destination.write(stream, destination.prepare(stream, Batch(stream.key, table=table))) for table in tables
    ]
    receipts.append(destination.commit(stream) or Receipt())
    destination.close()
    return receipts


def stream_of(table, write=APPEND, key=("id",), name="things"):
    return Stream(name, schema=Schema.of(table.schema), primary_key=tuple((part,) for part in key), write=write)
