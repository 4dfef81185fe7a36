"""Errors of database drivers are classified by their codes, never by what a statement quotes."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import sqlalchemy.exc as exc

from kitestring.errors import AuthError, ConfigError, TransientError
from kitestring.vendors.driver_error import own_error


class DriverError(Exception):
    def __init__(self, *args: Any, **facts: Any) -> None:
        super().__init__(*args)
        vars(self).update(facts)


class Coded:
    def __init__(self, code: str) -> None:
        self.full_code = code

    def __str__(self) -> str:
        return f"{self.full_code}: something"


def kind(cause: Exception, dialect: str, statement: str | None = "SELECT 1") -> type:
    return type(own_error(exc.OperationalError(statement, {}, cause), dialect, str, "db.example.com/shop"))


def google(code: int) -> Exception:
    error = DriverError("message")
    error.__cause__ = DriverError("reason", code=code)
    return error


@pytest.mark.parametrize(
    ("dialect", "cause", "expected"),
    [
        ("postgresql", DriverError("text", sqlstate="42501"), AuthError),
        ("postgresql", DriverError("text", pgcode="28P01"), AuthError),
        ("postgresql", DriverError("text", sqlstate="40P01"), TransientError),
        ("postgresql", DriverError("text", sqlstate="57P01"), TransientError),
        ("mysql", DriverError(1045, "text"), AuthError),
        ("mariadb", DriverError(2013, "text"), TransientError),
        ("mssql", DriverError((18456, b"text")), AuthError),
        ("mssql", DriverError(1205, b"text"), TransientError),
        ("mssql", DriverError("08S01", "text"), TransientError),
        ("mssql", DriverError("28000", "text"), AuthError),
        ("mssql", DriverError("HYT00", "text"), TransientError),
        ("oracle", DriverError(Coded("ORA-01017")), AuthError),
        ("oracle", DriverError(Coded("DPY-4011")), TransientError),
        ("snowflake", DriverError("text", errno=3001, sqlstate="42501"), AuthError),
        ("bigquery", google(403), AuthError),
        ("bigquery", google(503), TransientError),
        ("unknown", ConnectionResetError("text"), TransientError),
        # A code counts in its own dialect only, and a text of a statement never.
        ("oracle", DriverError(1045, "text"), ConfigError),
        (
            "postgresql",
            DriverError('column "password_timeout" does not exist: access denied', sqlstate="42703"),
            ConfigError,
        ),
        ("unknown", DriverError("connection refused, login failed"), ConfigError),
    ],
)
def test_an_error_of_a_statement_is_classified_by_its_codes(dialect: str, cause: Exception, expected: type) -> None:
    assert kind(cause, dialect) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("connection failed: Connection refused", TransientError),
        ('password authentication failed for user "reader"', AuthError),
        ('FATAL: database "password timeout" does not exist', ConfigError),
        ("Login failed for user 'x'", AuthError),
    ],
)
def test_a_refused_connection_without_a_code_is_classified_by_the_drivers_words(text: str, expected: type) -> None:
    assert kind(DriverError(text), "unknown", statement=None) is expected


def test_a_locked_sqlite_file_may_be_tried_again_and_a_missing_column_not(tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("CREATE TABLE t (id)")
    writer.execute("BEGIN EXCLUSIVE")
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 0}, poolclass=sa.NullPool)
    for statement, expected in (("SELECT * FROM t", TransientError), ("SELECT database_is_locked FROM t", ConfigError)):
        with engine.connect() as connection, pytest.raises(exc.OperationalError) as caught:
            connection.execute(sa.text(statement))
        assert type(own_error(caught.value, "sqlite", str, "shop.sqlite")) is expected
        writer.execute("COMMIT") if writer.in_transaction else None
    writer.close()
