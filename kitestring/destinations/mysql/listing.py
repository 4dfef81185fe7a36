"""A listing of the source's keys compared with a table of MySQL."""

from __future__ import annotations

from collections.abc import Sequence

from kitestring.destinations.mysql.connection import key_columns
from kitestring.destinations.mysql.dialect import DIALECT
from kitestring.sql.key import Part
from kitestring.sql.table import Table
from kitestring.sql.table_listing import TableListing


class MysqlListing(TableListing):
    """Has an index on the listed keys: MariaDB would compare each with each."""

    def _require_listed(self, table: Table, parts: Sequence[Part]) -> None:
        is_new = self.kinds is None
        super()._require_listed(table, parts)
        if is_new:
            is_text = [part.entries is not None or len(part.path) > 1 for part in parts]
            kinds = {f"c{n}": "VARCHAR" if is_text[n] else part.kind for n, part in enumerate(parts)}
            self.connection.rows(f"ALTER TABLE {self.listed} ADD INDEX ({key_columns(DIALECT, kinds)})")
