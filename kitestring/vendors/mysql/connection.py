"""Connections to MySQL and MariaDB: `MysqlConfig`, the settings that their connectors share."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict, model_validator

from kitestring.config import Config, choice, option, secret
from kitestring.errors import ConfigError
from kitestring.vendors.airbyte_option import without_ignored
from kitestring.vendors.mysql.errors import Place, translated
from kitestring.vendors.rds_login import Login, PasswordLogin, RdsLogin, needs_tls

if TYPE_CHECKING:
    from kitestring.vendors.mysql.session import Session

CONNECT_TIMEOUT_S = 10
PORT = 3306

SQL_MODE = (
    "ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION"
)
"""Names in double quotes, `||` for texts, backslashes as they are, and an error for a value that does not fit."""

SESSION = {
    "sql_mode": f"'{SQL_MODE}'",
    "time_zone": "'+00:00'",
    "lock_wait_timeout": "60",
    "wait_timeout": "86400",
    "net_write_timeout": "3600",
    "net_read_timeout": "3600",
}
"""The settings of every session, whatever those of the server are. A session may be idle for long: while the log is
followed, rows are read by their keys at times only."""

OLDEST = {"MariaDB": (10, 6), "MySQL": (8, 0, 23)}
"""The first versions in which a rename of tables survives a crash, and a column can be invisible."""

PROPOSAL = """\
host: ${MYSQL_HOST:-localhost}
port: ${MYSQL_PORT:-3306}
database: ${MYSQL_DATABASE:-shop}
username: ${MYSQL_USER:-root}
password: ${MYSQL_PASSWORD:-}
"""
"""The configuration that `kitestring init` writes for a connector of MySQL."""


class SslMode(Config):
    """The encryption of the connection; certificates are PEM texts."""

    model_config = ConfigDict(title="SSL mode")

    mode: Literal["disabled", "preferred", "required", "verify_ca", "verify_identity"] = option("preferred", order=0)
    ca_certificate: str | None = secret(None, order=1, title="CA certificate")
    client_certificate: str | None = secret(None, order=2, title="Client certificate")
    client_key: str | None = secret(None, order=3, title="Client key")
    client_key_password: str | None = secret(None, order=4, title="Password of the client key")


class MysqlConfig(Config):
    """The settings of a connection to MySQL or MariaDB, and sessions made with them.

    A connector inherits from it and from `Source` or `Destination`; its own options have the orders 6 onwards.
    """

    writing: ClassVar[bool] = False
    """Whether errors are about the rights to write."""

    airbyte_options: ClassVar[Mapping[str, Callable[[Any], bool]]] = {}
    """Options of Airbyte's connector of this vendor that do not exist here, and whether a value has no effect."""

    airbyte_refusal: ClassVar[str] = ""
    """The features that other values of these options need."""

    host: str = option("localhost", order=0)
    port: int = option(PORT, ge=1, le=65535, order=1)
    database: str = option(order=2)
    username: str = option("root", order=3)
    password: str | None = secret(None, order=4)
    authentication: Login = choice(
        "method", default_factory=PasswordLogin, order=4, title="Authentication", group="advanced", type="object"
    )
    """The password, or a token of AWS IAM that is made for each connection."""
    ssl_mode: SslMode = option(default_factory=SslMode, order=5, title="SSL mode", group="advanced")

    @model_validator(mode="before")
    @classmethod
    def _as_airbyte_has_it(cls, values: Any) -> Any:
        """Accept options of Airbyte's connector whose values have no effect, and `ssl: true` for `ssl_mode`."""
        if not isinstance(values, Mapping):
            return values
        options = without_ignored(
            values,
            cls.airbyte_options,
            lambda name: f"{name} needs what Kitestring does not have yet: {cls.airbyte_refusal}",
        )
        switch = options.pop("ssl", None)
        if switch is not None:
            options.setdefault("ssl_mode", {"mode": "required" if switch else "disabled"})
        if isinstance(options.get("ssl_mode"), str):
            options["ssl_mode"] = {"mode": options["ssl_mode"]}
        return options

    @model_validator(mode="after")
    def _sends_tokens_encrypted(self) -> MysqlConfig:
        needs_tls(self.authentication, self.ssl_mode.mode, ("required", "verify_ca", "verify_identity"))
        return self

    def _secret_word(self) -> str:
        """The password, or a new token in place of it, for one connection."""
        login = self.authentication
        if isinstance(login, RdsLogin):
            return login.token(self.host, self.port, self.username)
        return self.password or ""

    @property
    def nulls_unfit(self) -> bool:
        """Whether a value that its type does not hold is read as null, but in the key: else its row is rejected."""
        return False

    @property
    def server_address(self) -> Place:
        """Where the database is, for messages."""
        return Place(self.host, self.port, self.database, self.username)

    def open(self, database: str = "") -> Session:
        """A session with the settings of `SESSION`, in autocommit mode; in `database`, or in none. Raises the errors of
        `translated`."""
        import pymysql

        from kitestring.vendors.mysql.session import Session

        settings = ", ".join(f"SESSION {name} = {value}" for name, value in SESSION.items())
        secret_word = self._secret_word()
        with self.translated():
            session = Session(
                host=self.host,
                port=self.port,
                user=self.username,
                password=secret_word.encode(),
                database=database or None,
                charset="utf8mb4",
                connect_timeout=CONNECT_TIMEOUT_S,
                program_name="kitestring",
                init_command=f"SET {settings}",
                ssl=self._tls(),
                ssl_disabled=self.ssl_mode.mode == "disabled",
            )
        title, version = server_of(session)
        if version < OLDEST[title]:
            session.close()
            oldest = ".".join(map(str, OLDEST[title]))
            raise ConfigError(
                f"{self.server_address} is {title} {'.'.join(map(str, version))}, older than {oldest}",
                hint="Upgrade the server.",
            )
        try:
            # Texts are compared by code points, with spaces at their end.
            session.query(f"SET NAMES utf8mb4 COLLATE {collation_of(session)}")
        except pymysql.Error as error:
            session.close()
            raise translated(error, self.server_address, writing=self.writing) from error
        return session

    def _tls(self) -> ssl.SSLContext | None:
        """The settings of TLS. None for `preferred`: with TLS where the server has it, its certificate unchecked."""
        from kitestring.vendors.mysql.session import unchecked

        mode = self.ssl_mode
        if mode.mode in ("disabled", "preferred"):
            return None
        try:
            if mode.mode == "required":
                context = unchecked()
            else:
                context = ssl.create_default_context(cadata=mode.ca_certificate or None)
                # Certificates that MySQL makes itself lack what the strict check wants.
                context.verify_flags &= ~ssl.VERIFY_X509_STRICT
                context.check_hostname = mode.mode == "verify_identity"
            if mode.client_certificate:
                with tempfile.TemporaryDirectory() as folder:  # Python reads a key from a file alone
                    path = os.path.join(folder, "client.pem")
                    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                        file.write(f"{mode.client_certificate}\n{mode.client_key or ''}\n")
                    context.load_cert_chain(path, password=mode.client_key_password or "")
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(
                "a certificate or key of `ssl_mode` cannot be read",
                hint="Give PEM texts, from -----BEGIN to the END line.",
                detail=str(error),
            ) from error
        return context

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn errors of PyMySQL into ours."""
        import pymysql

        try:
            yield
        except (pymysql.Error, OSError) as error:
            raise translated(error, self.server_address, writing=self.writing) from error


def server_of(session: Session) -> tuple[str, tuple[int, ...]]:
    """The title of a server, and its version."""
    text = session.server_version
    is_mariadb = "MariaDB" in text
    # MariaDB before 11 begins with 5.5.5-, for replicas that would not accept its number.
    number = text.removeprefix("5.5.5-").partition("-")[0]
    version = tuple(int(part) for part in number.split(".")[:3] if part.isdecimal())
    return ("MariaDB" if is_mariadb else "MySQL"), version


def collation_of(session: Session) -> str:
    """The collation that compares texts by code points and does not ignore spaces at their end."""
    return "utf8mb4_nopad_bin" if server_of(session)[0] == "MariaDB" else "utf8mb4_0900_bin"
