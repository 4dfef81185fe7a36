"""PostgreSQL, for the connectors that read and write it.

- `PostgresConfig`: the settings that all of them have. `connect()` gives a connection of ADBC's with the settings of
  `SESSION`, which reads Arrow; `open()` one of psycopg's. Both are in autocommit mode. `translated()` and
  `translated_psycopg()` are the contexts in which errors of the driver become ours, `place` says where the database is.
- `statement`: `quoted` and `literal` write names and texts; `run`, `affected`, `rows` and `transaction` carry out
  statements on a connection.
- `copy_stream`: Arrow as the stream of a binary COPY, which `cursor.copy` of psycopg sends.
- `errors`: `Place`, and `translated`, the table of codes.
"""

from kitestring.vendors.postgres.connection import PROPOSAL, SESSION, PostgresConfig, SslMode, asks_for_no_tunnel, close
from kitestring.vendors.postgres.copy import copy_stream
from kitestring.vendors.postgres.errors import Place, translated
from kitestring.vendors.postgres.statement import affected, literal, quoted, rows, run, transaction

__all__ = [
    "PROPOSAL",
    "SESSION",
    "Place",
    "PostgresConfig",
    "SslMode",
    "affected",
    "asks_for_no_tunnel",
    "close",
    "copy_stream",
    "literal",
    "quoted",
    "rows",
    "run",
    "transaction",
    "translated",
]
