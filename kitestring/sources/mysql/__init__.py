"""MySQL and MariaDB: the tables and views of a database, as Arrow, whole or from a cursor value on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from kitestring.config import option
from kitestring.facts import Facts, Proposal
from kitestring.source import Source
from kitestring.sources.mysql.reader import MysqlReader
from kitestring.sql.source import SqlSource, TableReader
from kitestring.vendors.mysql import PROPOSAL, MysqlConfig
from kitestring.vendors.ssh_tunnel import asks_for_no_tunnel


def is_standard(value: Any) -> bool:
    """Whether a `replication_method` reads by cursor columns."""
    method = value.get("method") if isinstance(value, Mapping) else value
    return not method or str(method).upper() == "STANDARD"


AIRBYTES: dict[str, Callable[[Any], bool]] = {
    "tunnel_method": asks_for_no_tunnel,
    "jdbc_url_params": lambda value: not value,
    "replication_method": is_standard,
    "check_privileges": lambda _: True,
    "checkpoint_target_interval_seconds": lambda _: True,
    "max_db_connections": lambda _: True,
}
"""Options of Airbyte's source-mysql 3.51 that do not exist here, and whether a value has no effect."""


class Mysql(MysqlConfig, SqlSource, Source):
    """Reads the tables and views of a database of MySQL or MariaDB. Nothing is written there.

    A full refresh reads a table with an integer key in ranges of it, several at a time. An incremental read is ordered
    by the cursor column and can continue after any checkpoint.
    """

    facts: ClassVar[Facts] = Facts(
        network="python",
        programs=False,
        packages=("numpy", "pyarrow", "pymysql"),
        preload=("numpy", "pyarrow", "pymysql"),
        category="database",
        summary="tables and views of MySQL or MariaDB, as Arrow",
        proposal=Proposal(config=PROPOSAL),
    )
    splits: ClassVar[bool] = True
    airbyte_options: ClassVar[Mapping[str, Callable[[Any], bool]]] = AIRBYTES
    airbyte_refusal: ClassVar[str] = (
        "tunnels, JDBC parameters, and change data capture (choose the `replication_method` STANDARD)"
    )

    database: str = option(order=2, examples=["shop"])
    """The database whose tables and views are streams."""

    connections: int = option(4, ge=1, le=64, order=7, group="advanced", alias="concurrency")
    """How many connections read at the same time."""

    def place(self) -> str:
        return str(self.server_address)

    def open_reader(self) -> TableReader:
        return MysqlReader(self)

    def concurrency(self) -> int:
        return self.connections
