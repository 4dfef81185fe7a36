"""How dialects of SQLAlchemy compare texts by their characters, whatever the collation of a column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def unchanged(value: Any) -> Any:
    return value


def as_bytes_of_mysql(text: Any) -> Any:
    from sqlalchemy import cast
    from sqlalchemy.dialects import mysql

    return cast(cast(text, mysql.CHAR(charset="utf8mb4")), mysql.BINARY)


def as_bytes_of_oracle(text: Any) -> Any:
    from sqlalchemy import func

    return func.nlssort(text, "NLS_SORT=BINARY")


EXACT_TEXTS: Mapping[str, Callable[[Any], Any]] = {
    "postgresql": lambda text: text.collate("C"),
    "sqlite": lambda text: text.collate("BINARY"),
    "mysql": as_bytes_of_mysql,
    "mariadb": as_bytes_of_mysql,
    "oracle": as_bytes_of_oracle,
}
"""By the name of the dialect. A collation may take `a`, `A` and `a` with a space at its end for equal: a state cannot
continue among them."""
