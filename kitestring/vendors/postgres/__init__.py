"""PostgreSQL, for the connectors that read and write it.

- `PostgresConfig`: the settings of all of them. `connect()` returns an ADBC connection with the settings of `SESSION`,
  which reads Arrow; `open()` a psycopg connection. Both are in autocommit mode. `translated()` and
  `translated_psycopg()` are contexts that turn errors of the driver into ours; `place` is where the database is.
- `statement`: `run`, `affected`, `rows` and `transaction` execute statements on a connection.
- `copy_stream`: Arrow as the stream of a binary COPY, for `cursor.copy` of psycopg.
- `errors`: `Place`, and `translated` with the table of error codes.
"""

from kitestring.vendors.postgres.connection import PROPOSAL, SESSION, PostgresConfig, SslMode, close
from kitestring.vendors.postgres.copy import copy_stream
from kitestring.vendors.postgres.errors import Place, translated
from kitestring.vendors.postgres.statement import affected, rows, run, transaction

__all__ = [
    "PROPOSAL",
    "SESSION",
    "Place",
    "PostgresConfig",
    "SslMode",
    "affected",
    "close",
    "copy_stream",
    "rows",
    "run",
    "transaction",
    "translated",
]
