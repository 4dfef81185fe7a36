"""MySQL and MariaDB, for the connectors that read and write them.

- `MysqlConfig`: the settings of all of them. `open()` returns a `Session` of PyMySQL with the settings of `SESSION`;
  `translated()` is a context that turns errors of the driver into ours; `server_address` is where the server is.
- `bulk_text`: Arrow as the text of a bulk load.
- `errors`: `Place`, and `translated` with the table of error codes.
"""

from kitestring.vendors.mysql.connection import (
    PROPOSAL,
    SESSION,
    MysqlConfig,
    SslMode,
    collation_of,
    server_of,
)
from kitestring.vendors.mysql.errors import Place, code_of, translated

__all__ = [
    "PROPOSAL",
    "SESSION",
    "MysqlConfig",
    "Place",
    "SslMode",
    "code_of",
    "collation_of",
    "server_of",
    "translated",
]
