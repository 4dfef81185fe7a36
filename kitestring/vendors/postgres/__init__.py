"""PostgreSQL, for the connectors that read and write it.

- `PostgresConfig`: the settings that all of them have, and `connect()`, which gives an ADBC connection in autocommit
  mode. `translated()` is the context in which errors of the driver become ours, `place` says where the database is.
- `statement`: `quoted` and `literal` write names and texts; `run`, `affected`, `rows` and `transaction` carry out
  statements on a connection.
- `errors`: `Place`, and `translated`, the table of codes.

`connection.cursor().adbc_ingest(table, data, mode="append", db_schema_name=schema)` writes Arrow by binary COPY, inside
the open transaction if there is one. The types of the table have to be those of the Arrow schema: text goes into
`jsonb` as the extension type `arrow.json`, into `uuid` as `arrow.uuid`; decimals of 128 and 256 bits go into `numeric`.
"""

from kitestring.vendors.postgres.connection import PROPOSAL, PostgresConfig, SslMode, asks_for_no_tunnel, close
from kitestring.vendors.postgres.errors import Place, translated
from kitestring.vendors.postgres.statement import affected, literal, quoted, rows, run, transaction

__all__ = [
    "PROPOSAL",
    "Place",
    "PostgresConfig",
    "SslMode",
    "affected",
    "asks_for_no_tunnel",
    "close",
    "literal",
    "quoted",
    "rows",
    "run",
    "transaction",
    "translated",
]
