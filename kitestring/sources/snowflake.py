"""Snowflake: the tables and views of a database, by Snowflake's connector."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import model_validator

from kitestring.config import option, secret
from kitestring.errors import AuthError, ConfigError, TransientError
from kitestring.facts import Facts, Proposal
from kitestring.redact import Redactor
from kitestring.sql.server_source import ServerSource
from kitestring.sql.source import BATCH_ROWS, TableReader
from kitestring.sql.source_table import RowRange, SqlColumn, SqlTable, rows_as_table
from kitestring.vendors.driver_error import kind_of, kind_of_refusal
from kitestring.vendors.sql_quoting import literal, quoted

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.types import Reject

LOGIN_TIMEOUT_S = 30
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MOST_DIGITS = 38

COLUMNS = """
SELECT table_schema, table_name, column_name, data_type, numeric_precision, numeric_scale
FROM information_schema.columns WHERE table_schema IN ({schemas}) ORDER BY table_schema, table_name, ordinal_position
"""


class Snowflake(ServerSource):
    """Reads the tables and views of a Snowflake database."""

    facts: ClassVar[Facts] = Facts(
        title="Snowflake",
        network="native",
        programs=False,
        packages=("snowflake.connector", "pyarrow"),
        category="database",
        summary="tables and views of Snowflake",
        proposal=Proposal(
            config="host: acme-eu1.snowflakecomputing.com\nwarehouse: COMPUTE_WH\ndatabase: SHOP\nusername: READER\n"
            "password: ${SNOWFLAKE_PASSWORD}\n"
        ),
    )

    host: str = option(order=0, examples=["acme-eu1.snowflakecomputing.com"])
    """The account's host."""
    role: str | None = option(None, order=1)
    warehouse: str | None = option(None, order=2)
    database: str = option(order=3)
    username: str = option(order=4)
    password: str | None = secret(None, order=5)
    """Either it or `private_key`."""
    private_key: str | None = secret(None, order=6)
    """A PEM text, from -----BEGIN to the END line."""
    private_key_password: str | None = secret(None, order=7)

    schemas: list[str] = option(default_factory=lambda: ["PUBLIC"], order=8, min_length=1)
    """The schemas whose tables are streams, as Snowflake has their names: mostly in capitals."""

    connections: int = option(4, ge=1, le=64, order=9, group="advanced")
    """How many streams are read at the same time."""

    @model_validator(mode="after")
    def _has_a_secret(self) -> Snowflake:
        if bool(self.password) == bool(self.private_key):
            raise ValueError("the user signs in with one of both: give either `password` or `private_key`")
        return self

    @classmethod
    def own_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Airbyte has an object for the user, and one schema."""
        credentials = options.pop("credentials", None)
        if isinstance(credentials, Mapping):
            if credentials.get("auth_type") == "OAuth":
                raise ValueError("the auth_type OAuth is not supported: use a private key")
            options = {**{name: value for name, value in credentials.items() if name != "auth_type"}, **options}
        schema = options.pop("schema", None)
        if schema:
            options.setdefault("schemas", [schema])
        return options

    def place(self) -> str:
        return f"{urlsplit(self._address).hostname}/{self.database}"

    def concurrency(self) -> int:
        return self.connections

    @property
    def _address(self) -> str:
        return self.host if "://" in self.host else f"https://{self.host}"

    def open_reader(self) -> TableReader:
        address = urlsplit(self._address)
        args: dict[str, Any] = {
            "user": self.username,
            "account": str(address.hostname).removesuffix(".snowflakecomputing.com"),
            "host": address.hostname,
            "port": address.port or 443,
            "protocol": address.scheme,
            "database": self.database,
            "schema": self.schemas[0],
            "login_timeout": LOGIN_TIMEOUT_S,
            "application": "kitestring",
            "session_parameters": {"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False, "TIMEZONE": "UTC"},
        }
        args |= {name: value for name, value in (("role", self.role), ("warehouse", self.warehouse)) if value}
        if self.private_key:
            args["private_key"] = key_of(self.private_key, self.private_key_password)
        else:
            args["password"] = self.password
        secrets = [text for text in (self.password, self.private_key, self.private_key_password) if text]
        return SnowflakeReader(args, self.place(), self.schemas, Redactor(secrets))


class SnowflakeReader(TableReader):
    """One session."""

    def __init__(self, args: Mapping[str, Any], place: str, schemas: Sequence[str], redactor: Redactor) -> None:
        import snowflake.connector

        self.place = place
        self.schemas = schemas
        self.redactor = redactor
        with self.translated(connects=True):
            self.session = snowflake.connector.connect(**args)

    def tables(self) -> list[SqlTable]:
        return self._tables(self.schemas)

    def table(self, name: str, namespace: str | None) -> SqlTable | None:
        return next((t for t in self._tables([namespace or self.schemas[0]]) if t.name == name), None)

    def _tables(self, schemas: Sequence[str]) -> list[SqlTable]:
        columns: dict[tuple[str, str], list[SqlColumn]] = {}
        for schema, table, *column in self._rows(COLUMNS.format(schemas=", ".join(map(literal, schemas)))):
            if schema in schemas and not table.startswith("_kitestring_"):
                columns.setdefault((schema, table), []).append(column_of(*column))
        keys: dict[tuple[str, str], list[tuple[int, str]]] = {}
        for schema in {schema for schema, _ in columns}:
            for row in self._rows(f"SHOW PRIMARY KEYS IN SCHEMA {self._reference(schema)}"):
                keys.setdefault((row[2], row[3]), []).append((row[5], row[4]))
        return [
            SqlTable(place[1], place[0], tuple(parts), tuple(name for _, name in sorted(keys.get(place, []))))
            for place, parts in columns.items()
        ]

    def read(
        self, table: SqlTable, columns: Sequence[SqlColumn], rows: RowRange
    ) -> Iterator[tuple[pa.Table, Sequence[Reject]]]:
        name, order = quoted(rows.column), ""
        conditions = [f"{name} IS NULL"] if rows.nulls else []
        values = []
        for operator, value in ((">=", rows.start), ("<", rows.stop)):
            if value is not None:
                conditions.append(f"{name} {operator} %s")
                values.append(value)
        if rows.ordered:
            conditions.append(f"{name} IS NOT NULL")
            order = f" ORDER BY {name}"
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        selected = ", ".join(
            f"{column.expression or quoted(column.name)} AS {quoted(column.name)}" for column in columns
        )
        place = self._reference(table.namespace or self.schemas[0], table.name)
        query = f"SELECT {selected} FROM {place}{where}{order}"  # noqa: S608 - quoted
        if values:  # else the driver leaves signs of per cent in names alone
            query = query.replace("%", "%%").replace(" %%s", " %s")
        with self.translated(), self.session.cursor() as cursor:
            cursor.execute(query, values or None)
            while part := cursor.fetchmany(BATCH_ROWS):
                yield rows_as_table(columns, part)

    def now(self, cursor: SqlColumn) -> int:
        ((moment,),) = self._rows("SELECT current_timestamp()")
        microseconds: int = (moment.astimezone(dt.UTC) - EPOCH) // dt.timedelta(microseconds=1)
        return microseconds

    def close(self) -> None:
        with self.translated():
            self.session.close()

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.translated(), self.session.cursor() as cursor:
            return list(cursor.execute(statement).fetchall())

    def _reference(self, *names: str) -> str:
        return ".".join(map(quoted, names))

    @contextmanager
    def translated(self, connects: bool = False) -> Iterator[None]:
        """Turn errors of the driver into ours. A refused user and a network that is down have the same code."""
        from snowflake.connector.errors import Error

        try:
            yield
        except (Error, OSError) as error:
            text = self.redactor.text(" ".join(str(error).split()))[:300]
            kind = kind_of_refusal(text) if connects else None
            kind = kind or kind_of(error, "snowflake")
            if kind is AuthError:
                raise AuthError(
                    f"{self.place} refuses the user: {text}", hint="Check the user, the secret and the role."
                ) from None
            if kind is TransientError:
                raise TransientError(f"{self.place} cannot be read now: {text}") from None
            raise ConfigError(f"{self.place} cannot be read: {text}", hint="Correct the configuration.") from None


def column_of(name: str, data_type: str, precision: int | None, scale: int | None) -> SqlColumn:
    """A column of the catalog. Whole numbers are int64: a larger one does not fit."""
    import pyarrow as pa

    kind = data_type.upper()
    if kind in ("VARIANT", "OBJECT", "ARRAY", "MAP", "VECTOR"):
        document = f"{quoted(name)}::ARRAY" if kind == "VECTOR" else quoted(name)
        return SqlColumn(name, pa.string(), True, f"to_json({document})")
    if kind in ("GEOGRAPHY", "GEOMETRY"):
        return SqlColumn(name, pa.string(), True, f"to_json(st_asgeojson({quoted(name)}))")
    if kind in ("NUMBER", "DECIMAL", "NUMERIC", "FIXED"):
        return SqlColumn(name, pa.decimal128(precision or MOST_DIGITS, scale) if scale else pa.int64())
    types = {
        "FLOAT": pa.float64(),
        "BOOLEAN": pa.bool_(),
        "DATE": pa.date32(),
        "TIME": pa.time64("us"),
        "BINARY": pa.binary(),
        "TIMESTAMP_NTZ": pa.timestamp("us"),
        "TIMESTAMP_TZ": pa.timestamp("us", "UTC"),
        "TIMESTAMP_LTZ": pa.timestamp("us", "UTC"),
    }
    return SqlColumn(name, types.get(kind, pa.string()))


def key_of(pem: str, password: str | None) -> bytes:
    """A private key in the form that the driver takes."""
    from cryptography.hazmat.primitives import serialization as form

    try:
        key = form.load_pem_private_key(pem.encode(), password.encode() if password else None)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            "`private_key` cannot be read", hint="Give a PEM text, and `private_key_password` if it is encrypted."
        ) from error
    return key.private_bytes(form.Encoding.DER, form.PrivateFormat.PKCS8, form.NoEncryption())
