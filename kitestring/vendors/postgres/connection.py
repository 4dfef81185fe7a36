"""Connections to PostgreSQL: `PostgresConfig`, the settings that its connectors share."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn
from urllib.parse import urlencode, urlsplit

from pydantic import ConfigDict, PrivateAttr, model_validator

from kitestring.address import ConnectionUrl, Endpoint, Resolve, endpoints, pinned
from kitestring.config import Config, choice, option, secret
from kitestring.errors import ConfigError, KitestringError, TransientError
from kitestring.vendors.airbyte_option import without_ignored
from kitestring.vendors.postgres.errors import NOWHERE, Place, translated
from kitestring.vendors.postgres.statement import run
from kitestring.vendors.rds_login import Login, PasswordLogin, RdsLogin, needs_tls
from kitestring.vendors.ssh_tunnel import LOCALHOST, NoTunnel, Tunnel, TunnelMethod

if TYPE_CHECKING:
    import psycopg

    from kitestring.vendors.postgres.replication import Replication

CONNECT_TIMEOUT_S = 10

# The server writes values in one way, whatever the user's own settings are.
SESSION = {
    "standard_conforming_strings": "on",
    "timezone": "'UTC'",
    "datestyle": "'ISO, YMD'",
    "intervalstyle": "'iso_8601'",
    "extra_float_digits": "1",
    "bytea_output": "'hex'",
    "idle_in_transaction_session_timeout": "0",
}

PORT = 5432

NAME = re.compile("[a-z_]+")
"""The form of the names of libpq's parameters."""

PROPOSAL = """\
host: ${PGHOST:-localhost}
port: ${PGPORT:-5432}
database: ${PGDATABASE:-postgres}
username: ${PGUSER:-postgres}
password: ${PGPASSWORD:-}
"""
"""The configuration that `kitestring init` writes for a connector of PostgreSQL."""

NO_ACCOUNT = {
    "passfile": os.devnull,
    "sslcert": f"{os.devnull}/none",
    "gssencmode": "disable",
}
"""Keeps libpq from the passwords, the certificate and the Kerberos tickets of the account it runs in."""

DEFAULTS = {
    **dict.fromkeys(("hostaddr", "password", "options", "requirepeer", "sslkey", "sslrootcert", "sslcrl"), ""),
    "port": str(PORT),
    "sslmode": "prefer",
    "channel_binding": "prefer",
    "client_encoding": "UTF8",
    "target_session_attrs": "any",
    "ssl_min_protocol_version": "TLSv1.2",
    "ssl_max_protocol_version": "",
}
"""Values for what a configuration leaves open, so that neither environment variables (`PGHOSTADDR`, `PGPASSWORD`,
`PGOPTIONS`) nor a service file fill it in. All are parameters since PostgreSQL 13.
https://www.postgresql.org/docs/current/libpq-envars.html"""

HARMLESS = frozenset(
    {
        *("host", "hostaddr", "port", "dbname", "user", "password", "sslmode", "connect_timeout", "application_name"),
        *("fallback_application_name", "target_session_attrs", "channel_binding", "options", "client_encoding"),
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
        *("gssencmode", "sslnegotiation", "load_balance_hosts", "ssl_min_protocol_version"),
    }
)
"""Parameters of a connection URL that name no file and no service of this machine."""


class SslMode(Config):
    """The encryption of the connection; certificates are PEM texts."""

    model_config = ConfigDict(title="SSL mode")

    mode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = option("prefer", order=0)
    ca_certificate: str | None = secret(None, order=1, title="CA certificate")
    client_certificate: str | None = secret(None, order=2, title="Client certificate")
    client_key: str | None = secret(None, order=3, title="Client key")
    client_key_password: str | None = secret(None, order=4, title="Password of the client key")


class PostgresConfig(Config):
    """The settings of a connection to PostgreSQL, and connections made with them.

    A connector inherits from it and from `Source` or `Destination`; its own options have the orders 3 and 8 onwards.
    """

    writing: ClassVar[bool] = False
    """Whether errors are about the rights to write."""

    airbyte_options: ClassVar[Mapping[str, Callable[[Any], bool]]] = {}
    """Options of Airbyte's connector of this vendor that do not exist here, and whether a value has no effect."""

    airbyte_refusal: ClassVar[str] = ""
    """The features that other values of these options need."""

    host: str = option("localhost", order=0)
    port: int = option(5432, ge=1, le=65535, order=1)
    database: str = option("postgres", order=2)
    username: str = option("postgres", order=4)
    password: str | None = secret(None, order=5)
    authentication: Login = choice(
        "method", default_factory=PasswordLogin, order=5, title="Authentication", group="advanced", type="object"
    )
    """The password, or a token of AWS IAM that is made for each connection."""
    ssl_mode: SslMode = option(default_factory=SslMode, order=6, title="SSL mode", group="advanced")
    url: str | None = secret(None, order=7, title="Connection URL", group="advanced")
    """`postgresql://user:password@host:port/database?sslmode=require`, instead of the fields above."""
    tunnel_method: TunnelMethod = choice(
        "tunnel_method", default_factory=NoTunnel, order=90, title="SSH tunnel", group="advanced", type="object"
    )
    """A bastion host through which the database is reached; `host` and `port` are then as that host reaches it."""

    _confined: bool = PrivateAttr(default=False)
    _addresses: list[str] = PrivateAttr(default_factory=list)
    """The checked address of each host, if the connector is pinned."""
    _tunnel: Tunnel | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _as_airbyte_has_it(cls, values: Any) -> Any:
        """Accept options of Airbyte's connector whose values have no effect."""
        if not isinstance(values, Mapping):
            return values
        options = dict(values)
        if "tunnel_method" in options and not options["tunnel_method"]:
            del options["tunnel_method"]
        return without_ignored(
            options,
            cls.airbyte_options,
            lambda name: f"{name} needs what Kitestring does not have yet: {cls.airbyte_refusal}",
        )

    @model_validator(mode="before")
    @classmethod
    def _mode_alone(cls, values: Any) -> Any:
        """Accept `ssl_mode: require` for `ssl_mode: {mode: require}`."""
        if isinstance(values, Mapping) and isinstance(values.get("ssl_mode"), str):
            return {**values, "ssl_mode": {"mode": values["ssl_mode"]}}
        return values

    @model_validator(mode="after")
    def _sends_tokens_encrypted(self) -> PostgresConfig:
        if isinstance(self.authentication, RdsLogin) and self.url:
            raise ValueError("url has a login of its own: give host, port and username, or leave authentication out")
        if isinstance(self.authentication, RdsLogin) and "," in self.host:
            raise ValueError(f"a token of AWS is for one host, and host is {self.host}")
        needs_tls(self.authentication, self.ssl_mode.mode, ("require", "verify-ca", "verify-full"))
        return self

    def confine(self, place: Callable[[str, str], str]) -> None:
        super().confine(place)
        self._confined = True

    def machine_use(self) -> str | None:
        settings = self._plain_settings()
        if not settings:
            return "a url that cannot be read, and may name files of the machine"
        for name in settings:
            if name not in HARMLESS:
                return f"{name} in url, which can name a file or credentials of the machine"
        for host in settings["host"].split(","):
            if "/" in host or host.startswith("@"):
                return f"the Unix socket {host}"
        if not settings["host"] and not settings.get("hostaddr"):
            return "the Unix socket that libpq uses without a host"
        return self.authentication.machine_use()

    def pin(self, resolve: Resolve) -> None:
        """Connect to the checked addresses (`hostaddr`); the names stay for the certificates (`host`). A tunnel uses
        Python's sockets, which are checked; the host that it resolves the database's name on is another machine."""
        if isinstance(self.tunnel_method, NoTunnel):
            self._addresses = pinned(self._endpoints(), resolve)
        self._confined = True
        # libpq has no parameter for "no service". A service could not lead elsewhere, since all parameters are set; an
        # unknown one would fail every connection.
        os.environ.pop("PGSERVICE", None)

    def _endpoints(self) -> list[Endpoint]:
        """The addresses that libpq connects to."""
        settings = self._plain_settings()
        return endpoints(settings.get("hostaddr") or settings.get("host", ""), settings.get("port") or PORT)

    def _plain_settings(self) -> dict[str, str]:
        """The settings of the options, or of the URL, by libpq's names; {} if the URL cannot be read."""
        if not self.url:
            return {
                "host": self.host,
                "port": str(self.port),
                "dbname": self.database,
                "user": self.username,
                "password": self.password or "",
                "sslmode": self.ssl_mode.mode,
            }
        try:
            url = ConnectionUrl.parse(self.url)
            places = [Endpoint(url.hosts, PORT)] if "/" in url.hosts else endpoints(url.hosts, PORT)
        except ConfigError:
            return {}
        if url.scheme not in ("postgres", "postgresql") or not all(map(NAME.fullmatch, url.parameters)):
            return {}
        named = {"dbname": url.path, "user": url.user, "password": url.password}
        return {
            "host": ",".join(place.host for place in places) if url.hosts else "",
            "port": ",".join(str(place.port) for place in places),
            **{name: value for name, value in named.items() if value},
            **url.parameters,
        }

    @property
    def place(self) -> Place:
        """Where the database is, for messages."""
        if not self.url:
            return Place(self.host, self.port, self.database, self.username)
        try:
            parts = urlsplit(self.url)
            host, port, user = parts.hostname or "localhost", parts.port or PORT, parts.username or ""
        except ValueError:
            return NOWHERE
        # If the special characters of a password are not encoded, the rest looks like a path.
        is_url = "://" in self.url and "@" not in parts.path
        return Place(host, port, parts.path.strip("/"), user) if is_url else NOWHERE

    def connect(self) -> Any:
        """An ADBC connection in autocommit mode, with the settings of `SESSION`, to read tables as Arrow. It reads all
        types of the database first, which takes ten times the CPU of `open_catalog`. Raises the errors of `translated`.
        """
        from adbc_driver_postgresql import dbapi

        connection = None
        try:
            with self._certificates() as files:
                connection = dbapi.connect(self._conninfo(files), autocommit=True)
            for name, value in SESSION.items():
                run(connection, f"SET {name} = {value}")
        except dbapi.Error as error:
            if connection is not None:
                close(connection)
            self._refuse(error)
        return connection

    def open(self) -> psycopg.Connection[Any]:
        """A psycopg connection in autocommit mode, with the settings of the server and the user."""
        import psycopg

        try:
            with self._certificates() as files:
                connection = psycopg.connect(self._conninfo(files), autocommit=True)
        except psycopg.Error as error:
            self._refuse(error)
        connection.prepare_threshold = None  # a connection pooler may not support prepared statements
        return connection

    def open_catalog(self) -> psycopg.Connection[Any]:
        """A psycopg connection in autocommit mode, with the settings of `SESSION`, for short results."""
        import psycopg

        connection = self.open()
        try:
            connection.execute("; ".join(f"SET {name} = {value}" for name, value in SESSION.items()).encode())
        except psycopg.Error as error:
            close(connection)
            self._refuse(error)
        return connection

    def open_replication(self) -> Replication:
        """A connection for logical replication, with the settings of `SESSION`. The driver's errors are translated."""
        import psycopg

        from kitestring.vendors.postgres.replication import Replication, replication_error

        try:
            with self._certificates() as files:
                connection = psycopg.connect(with_replication(self._conninfo(files)), autocommit=True)
        except psycopg.Error as error:
            text = str(error)
            if "unsupported startup parameter" in text:
                raise ConfigError(
                    f"{self.place} takes no connection for replication: a connection pooler (PgBouncer) answers there",
                    hint="Set `host` and `port` to the server itself: change data capture cannot go through a pooler.",
                ) from None
            refusal = replication_error("42501" if "must be superuser or replication" in text else "", text, self.place)
            refusal = refusal or replication_error(
                "42501" if "permission denied to start" in text else "", text, self.place
            )
            if refusal is not None and not self.url:
                raise refusal from error
            self._refuse(error)
        replication = Replication(connection, self.place)
        for name, value in SESSION.items():
            replication.query(f"SET {name} = {value}")
        return replication

    def _refuse(self, error: Exception) -> NoReturn:
        """Raise our error for a failed connection."""
        failure = translated(error, self.place, writing=self.writing)
        # libpq repeats parts of a URL that it misreads, for example as a host `word@host`.
        was_read = "connection to server" in str(error) and "@" not in str(error)
        if self.url and not was_read and not failure.fields.get("code"):
            raise self._without_url(failure) from None
        raise failure from error

    def _without_url(self, failure: KitestringError) -> KitestringError:
        """The error without libpq's message, which may contain parts of the password."""
        if "detail" in failure.fields:  # the message is ours
            return type(failure)(str(failure), hint=failure.hint)
        if isinstance(failure, TransientError):
            return TransientError(f"{self.place} broke off", hint="Try again.")
        return ConfigError(
            "the connection URL of PostgreSQL cannot be read",
            hint="`url` is postgresql://user:password@host:port/database, with parameters of libpq behind a question "
            "mark. In the user and the password write @ as %40, / as %2F, % as %25 and a space as %20.",
        )

    @contextmanager
    def translated_psycopg(self) -> Iterator[None]:
        """Turn errors of psycopg into ours."""
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            raise translated(error, self.place, writing=self.writing) from error

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn errors of ADBC and psycopg into ours."""
        import psycopg
        import pyarrow as pa
        from adbc_driver_manager import dbapi

        try:
            yield
        # Arrow's errors and those of the system come while a result streams in.
        except (dbapi.Error, psycopg.Error, pa.ArrowException, OSError) as error:
            raise translated(error, self.place, writing=self.writing) from error

    def _conninfo(self, files: Mapping[str, str]) -> str:
        """The connection string for libpq: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING"""
        ours = {"connect_timeout": str(CONNECT_TIMEOUT_S), "hostaddr": ""}
        tunnelled = self._tunnelled()
        if self.url and not (self._confined or self._addresses or tunnelled):
            if "service=" in self.url or "://" not in self.url:  # it may contain an address
                del ours["hostaddr"]
            left_out = {name: value for name, value in ours.items() if f"{name}=" not in self.url}
            return f"{self.url}{'&' if '?' in self.url else '?'}{urlencode(left_out)}" if left_out else self.url
        settings = {
            **ours,
            "application_name": "kitestring",
            "sslpassword": self.ssl_mode.client_key_password or "",
            **self._plain_settings(),
            **self._token(),
        }
        chosen = {name: value for name, value in settings.items() if value or name == "hostaddr"}
        if self._confined or self._addresses:
            user = chosen.get("user", "postgres")
            chosen = {"user": user, "dbname": user, **DEFAULTS, **chosen, **NO_ACCOUNT}
        if self._addresses:
            chosen["hostaddr"] = ",".join(self._addresses)
        chosen.update(tunnelled)
        return " ".join(f"{name}={conninfo_value(value)}" for name, value in {**chosen, **files}.items())

    def _token(self) -> dict[str, str]:
        """A new token as the password, for one connection."""
        login = self.authentication
        if not isinstance(login, RdsLogin):
            return {}
        return {"password": login.token(self.host, self.port, self.username)}

    def _tunnelled(self) -> dict[str, str]:
        """The local addresses and ports of the tunnel, in place of those of the database; {} without one. The names of
        the hosts stay for the certificates."""
        if isinstance(self.tunnel_method, NoTunnel):
            return {}
        settings = self._plain_settings()
        if not settings or settings["host"].startswith(("/", "@")):
            raise ConfigError(
                "an SSH tunnel needs the host of the database by name, and `host` or `url` gives none",
                hint="`host` is the name or address of the database as the SSH server reaches it.",
            )
        if self._tunnel is None:
            self._tunnel = Tunnel(self.tunnel_method)
        ports = self._tunnel.ports(self._endpoints())
        return {"hostaddr": ",".join([LOCALHOST] * len(ports)), "port": ",".join(map(str, ports))}

    def close_tunnel(self) -> None:
        """Close the SSH tunnel, if one is open; the next connection opens it again."""
        if self._tunnel is not None:
            self._tunnel.close()

    @contextmanager
    def _certificates(self) -> Iterator[dict[str, str]]:
        """The certificates as temporary files, as libpq needs them, while it connects."""
        mode = self.ssl_mode
        texts = {"sslrootcert": mode.ca_certificate, "sslcert": mode.client_certificate, "sslkey": mode.client_key}
        with tempfile.TemporaryDirectory() if any(texts.values()) else nullcontext("") as folder:
            files = {name: os.path.join(folder, name) for name, text in texts.items() if text}
            for name, path in files.items():
                with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                    file.write(texts[name] or "")
            yield files


def with_replication(conninfo: str) -> str:
    """A connection string that asks for logical replication."""
    if "://" not in conninfo:
        return f"{conninfo} replication=database"
    return f"{conninfo}{'&' if '?' in conninfo else '?'}replication=database"


def close(connection: Any) -> None:
    """Close a connection, even a broken one."""
    import psycopg
    from adbc_driver_manager import dbapi

    with suppress(dbapi.Error, psycopg.Error):
        connection.close()


def conninfo_value(value: object) -> str:
    if "\0" in str(value):
        raise ConfigError("an option of the connection contains a NUL character", hint="Remove it.")
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
