"""Snowflake, for the connectors that read and write it: settings, sessions, and errors of the driver as ours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import model_validator

from kitestring.config import Config, option, secret
from kitestring.errors import AuthError, ConfigError, RecordError, TransientError
from kitestring.redact import Redactor
from kitestring.vendors.driver_error import codes_of, kind_of, kind_of_refusal

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection as Session

LOGIN_TIMEOUT_S = 30
NETWORK_TIMEOUT_S = 600
"""How long the driver repeats a request that gets no answer."""

VALUE_CODES = frozenset(
    {100033, 100035, 100038, 100039, 100040, 100041, 100046, 100048, 100069, 100071, 100078, 100132}
)
"""Codes for a value that a type does not hold, or a text that cannot be read as one: numbers, dates, JSON, length."""

VALUE_STATES = frozenset({"22001", "22003", "22007", "22008", "22018", "22023", "22P02"})

QUOTA = frozenset({90073, 90064})
"""A resource monitor has suspended the warehouse, or its credits are used up."""

NO_WAREHOUSE = frozenset({606})
LOCKED = frozenset({625, 612, 200001})
"""Another transaction holds the table, or there was a deadlock."""

BUSY = re.compile(r"290(408|429|5\d\d): ")
"""The driver's codes of answers of HTTP that may be others later; it has no attribute with them."""


class SnowflakeConfig(Config):
    """The settings of a connection to Snowflake. The options of a connector have the orders 8 onwards."""

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

    @model_validator(mode="after")
    def _has_a_secret(self) -> SnowflakeConfig:
        if bool(self.password) == bool(self.private_key):
            raise ValueError("the user signs in with one of both: give either `password` or `private_key`")
        return self

    def server_place(self) -> str:
        """Where the database is, for messages."""
        return f"{urlsplit(self.server_url).hostname}/{self.database}"

    @property
    def server_url(self) -> str:
        return self.host if "://" in self.host else f"https://{self.host}"

    def redactor(self) -> Redactor:
        return Redactor([text for text in (self.password, self.private_key, self.private_key_password) if text])

    def open(self, schema: str) -> Session:
        """A session in UTC. Raises the errors of `translated`."""
        import snowflake.connector

        address = urlsplit(self.server_url)
        arguments: dict[str, Any] = {
            "user": self.username,
            "account": str(address.hostname).removesuffix(".snowflakecomputing.com"),
            "host": address.hostname,
            "port": address.port or 443,
            "protocol": address.scheme,
            "database": self.database,
            "schema": schema,
            "login_timeout": LOGIN_TIMEOUT_S,
            "network_timeout": NETWORK_TIMEOUT_S,
            "application": "kitestring",
            "session_parameters": {"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False, "TIMEZONE": "UTC"},
        }
        arguments |= {name: value for name, value in (("role", self.role), ("warehouse", self.warehouse)) if value}
        if self.private_key:
            arguments["private_key"] = key_of(self.private_key, self.private_key_password)
        else:
            arguments["password"] = self.password
        with translated(self.server_place(), self.redactor(), connects=True):
            return snowflake.connector.connect(**arguments)


def user_of_airbyte(options: dict[str, Any]) -> dict[str, Any]:
    """The options with the user that Airbyte's connectors have in an object `credentials`."""
    credentials = options.pop("credentials", None)
    if not isinstance(credentials, Mapping):
        return options
    if str(credentials.get("auth_type", "")).startswith("OAuth"):
        raise ValueError(f"the auth_type {credentials['auth_type']} is not supported: use a private key")
    return {**{name: value for name, value in credentials.items() if name != "auth_type"}, **options}


@contextmanager
def translated(place: str, redactor: Redactor, *, connects: bool = False, writes: bool = False) -> Iterator[None]:
    """Turn errors of the driver into ours. A refused user and a network that is down have the same code."""
    from snowflake.connector.errors import Error

    try:
        yield
    except (Error, OSError) as error:
        text = redactor.text(" ".join(str(error).split()))[:300]
        codes = codes_of(error)
        done = "written" if writes else "read"
        kind = kind_of_refusal(text) if connects else None
        kind = kind or kind_of(error, "snowflake")
        if codes & QUOTA:
            raise ConfigError(
                f"{place}: the warehouse has no credits left: {text}",
                hint="Raise the quota of its resource monitor, or wait for the next period.",
            ) from None
        if codes & NO_WAREHOUSE:
            raise ConfigError(f"{place} runs no statement: {text}", hint="Set `warehouse`.") from None
        if kind is AuthError:
            raise AuthError(
                f"{place} refuses the user: {text}", hint="Check the user, the secret and the role."
            ) from None
        if kind is TransientError or codes & LOCKED or BUSY.match(text):
            raise TransientError(f"{place} cannot be {done} now: {text}") from None
        if writes and (codes & VALUE_CODES or codes & VALUE_STATES):
            raise RecordError(f"Snowflake cannot take a value: {text}") from None
        raise ConfigError(
            f"{place} cannot be {done}: {text}", hint="Correct the configuration, or the rights of the role."
        ) from None


def key_of(pem: str, password: str | None) -> bytes:
    """A private key in the form that the driver takes."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as form

    try:
        key = form.load_pem_private_key(pem.encode(), password.encode() if password else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            "`private_key` cannot be read", hint="Give a PEM text, and `private_key_password` if it is encrypted."
        ) from error
    return key.private_bytes(form.Encoding.DER, form.PrivateFormat.PKCS8, form.NoEncryption())
